//! Alertmanager's matchers: `upstream!=""`, `site=~"api.*"`. An absent label is empty. Regular expressions are anchored.

use regex::{Regex, RegexBuilder};
use std::fmt;

/// A compiled regular expression may take so much memory.
const REGEX_MAX: usize = 1 << 20;

/// How a label is compared.
#[derive(Clone, Debug)]
pub enum Op {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored
    Match(Regex),
    /// `!~`, anchored
    NotMatch(Regex),
}

/// One matcher.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// How it is compared.
    pub op: Op,
}

/// A matcher that does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatcherError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Byte offset into the matcher, for a caret.
    pub at: usize,
}

impl fmt::Display for MatcherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MatcherError {}

impl Matcher {
    /// One matcher as written: a label, `=`, `!=`, `=~` or `!~`, and a value, in double quotes or bare.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Matcher, MatcherError> {
        let (label, at) = name(text, 0)?;
        let (op, at) = operator(text, at, &["=~", "!~", "!=", "="])?;
        let start = skip_blanks(text, at);
        let (value, end) = value(text, start, "")?;
        let end = skip_blanks(text, end);
        if end < text.len() {
            return Err(error("one matcher ends here; write each as a string of its own", end));
        }
        let regex = || anchored(&value).map_err(|message| MatcherError { message, at: start });
        let op = match op {
            "=" => Op::Equal(value),
            "!=" => Op::NotEqual(value),
            "=~" => Op::Match(regex()?),
            _ => Op::NotMatch(regex()?),
        };
        Ok(Matcher { label: label.to_owned(), op })
    }

    /// Whether a label's value matches; bytes that are no UTF-8 read as U+FFFD in regular expressions.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        match &self.op {
            Op::Equal(wanted) => value == wanted.as_bytes(),
            Op::NotEqual(wanted) => value != wanted.as_bytes(),
            Op::Match(regex) => regex.is_match(&String::from_utf8_lossy(value)),
            Op::NotMatch(regex) => !regex.is_match(&String::from_utf8_lossy(value)),
        }
    }
}

/// As it would be written.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |regex: &Regex| {
            let whole = regex.as_str();
            whole.strip_prefix("^(?:").and_then(|r| r.strip_suffix(")$")).unwrap_or(whole).to_owned()
        };
        let (op, value) = match &self.op {
            Op::Equal(value) => ("=", value.clone()),
            Op::NotEqual(value) => ("!=", value.clone()),
            Op::Match(regex) => ("=~", written(regex)),
            Op::NotMatch(regex) => ("!~", written(regex)),
        };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "{}{op}\"{value}\"", self.label)
    }
}

fn anchored(regex: &str) -> Result<Regex, String> {
    compile(regex)?;
    // Compiled alone first: `a)(b` must not become valid by what is put around it.
    compile(&format!("^(?:{regex})$"))
}

/// A regular expression of bounded size; the error is its last line, which says what is wrong.
pub(crate) fn compile(regex: &str) -> Result<Regex, String> {
    RegexBuilder::new(regex).size_limit(REGEX_MAX).build().map_err(|e| {
        let message = e.to_string();
        let last = message.lines().last().unwrap_or_default();
        format!("bad regular expression: {}", last.trim_start_matches("error: "))
    })
}

pub(crate) fn error(message: &str, at: usize) -> MatcherError {
    MatcherError { message: message.to_owned(), at }
}

pub(crate) fn skip_blanks(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.len() - rest.trim_start().len()
}

/// A label's name, and where it ends.
pub(crate) fn name(text: &str, at: usize) -> Result<(&str, usize), MatcherError> {
    let start = skip_blanks(text, at);
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    match rest.get(..end) {
        Some(name) if name.starts_with(|c: char| !c.is_ascii_digit()) => Ok((name, start + end)),
        _ => Err(error("expected a label's name", start)),
    }
}

/// One of `operators`, of which longer ones stand first.
pub(crate) fn operator<'o>(
    text: &str,
    at: usize,
    operators: &[&'o str],
) -> Result<(&'o str, usize), MatcherError> {
    let start = skip_blanks(text, at);
    let rest = text.get(start..).unwrap_or_default();
    match operators.iter().find(|op| rest.starts_with(**op)) {
        Some(op) => Ok((op, start + op.len())),
        None => Err(error(&format!("expected one of {}", operators.join(" ")), start)),
    }
}

/// A value in double quotes (`\"`, `\\`, `\n`; any other backslash stands for itself, as regular expressions need it), in
/// one of `quotes` verbatim, or bare up to a blank; and where it ends.
pub(crate) fn value(text: &str, start: usize, quotes: &str) -> Result<(String, usize), MatcherError> {
    let rest = text.get(start..).unwrap_or_default();
    let mut chars = rest.char_indices();
    match chars.next() {
        Some((_, '"')) => {}
        Some((_, quote)) if quotes.contains(quote) => {
            let inner = rest.get(1..).unwrap_or_default();
            let end = inner.find(quote).ok_or_else(|| error("this quote is not closed", start))?;
            return Ok((inner.get(..end).unwrap_or_default().to_owned(), start + end + 2));
        }
        _ => {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let bare = rest.get(..end).unwrap_or_default();
            if bare.contains('"') {
                return Err(error("a value with quotes inside must stand in quotes", start));
            }
            return Ok((bare.to_owned(), start + end));
        }
    }
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, start + at + 1)),
            '\\' => match chars.next() {
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                Some((_, 'n')) => value.push('\n'),
                Some((_, c)) => value.extend(['\\', c]),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(error("this quote is not closed", start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matchers_match() {
        let cases: [(&str, &[(&str, bool)]); 10] = [
            (r#"upstream="""#, &[("", true), ("a", false)]),
            (r#"upstream!="""#, &[("", false), ("a", true)]),
            ("upstream!=", &[("", false), ("a", true)]),
            ("  site = shop ", &[("shop", true), ("shopx", false)]),
            (r#"site=~"api.*""#, &[("api", true), ("api.example", true), ("xapi", false)]),
            (r#"site=~"a|b""#, &[("a", true), ("b", true), ("ab", false)]),
            (r#"site!~"a|b""#, &[("a", false), ("ab", true), ("", true)]),
            (r#"site=~"a\.b""#, &[("a.b", true), ("axb", false)]),
            (r#"site="a\"b\\c""#, &[("a\"b\\c", true)]),
            (r#"site=~".+""#, &[("", false), ("x", true)]),
        ];
        for (text, values) in cases {
            let matcher = Matcher::parse(text).unwrap();
            let again = Matcher::parse(&matcher.to_string()).unwrap();
            for (value, expected) in values {
                assert_eq!(matcher.matches(value.as_bytes()), *expected, "{text} on {value}");
                assert_eq!(again.matches(value.as_bytes()), *expected, "{again} on {value}");
            }
        }
        assert!(Matcher::parse("site=~a.b").unwrap().matches(b"a\xffb"));
    }

    #[test]
    fn mistakes_have_a_place() {
        let cases = [
            ("", 0),
            ("=a", 0),
            ("9a=b", 0),
            ("upstream", 8),
            ("upstream ~ a", 9),
            (r#"a="b"#, 2),
            (r#"a="b" c="d""#, 6),
            ("a=b c", 4),
            (r#"a=b"c""#, 2),
            ("a=~(", 3),
            ("a=~x)(y", 3),
            ("a=~\\w{999}{999}", 3),
        ];
        for (text, at) in cases {
            let error = Matcher::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_matcher_or_an_error(text in "\\PC{0,40}") {
            if let Err(error) = Matcher::parse(&text) {
                prop_assert!(error.at <= text.len());
            }
        }

        #[test]
        fn what_is_shown_is_read_back(value in "\\PC{0,20}") {
            let matcher = Matcher { label: "a".into(), op: Op::Equal(value.clone()) };
            prop_assert!(Matcher::parse(&matcher.to_string()).unwrap().matches(value.as_bytes()));
        }
    }
}
