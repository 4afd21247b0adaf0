//! `--where 'status>=500 and site=~"api"'`: which records are counted at all.
//!
//! Unlike a matcher's, a regular expression here is found anywhere in the value, as in grep; `^` and `$` anchor it. The
//! labels are those of the request: `upstream` and `pool` are those of its last attempt.

use crate::matcher::{MatcherError, compile, error, name, operator, skip_blanks, value};
use crate::series::{BUILT_IN, Source};
use gatewatch_parsers::{Record, Status};
use regex::Regex;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The fields that are numbers.
const NUMBERS: [&str; 2] = ["status", "request_time"];
/// The fields of a record that are no labels.
const FIELDS: [&str; 4] = ["status", "request_time", "method", "path"];

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    field: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// Compares as text: equal, or not.
    Text(bool, Vec<u8>),
    /// Found, or not.
    Regex(bool, Regex),
    /// Compares as a number, a status or milliseconds; no number compares as unequal.
    Number(&'static [Ordering], f64),
}

impl Filter {
    /// Conditions joined by `and`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Filter, MatcherError> {
        let mut conditions = Vec::new();
        let mut at = 0;
        loop {
            let (condition, end) = condition(text, at)?;
            conditions.push(condition);
            at = skip_blanks(text, end);
            let rest = text.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Filter { conditions });
            }
            let word = rest.split_whitespace().next().unwrap_or_default();
            if !word.eq_ignore_ascii_case("and") {
                return Err(error("expected `and`", at));
            }
            at += word.len();
        }
    }

    /// Whether the record is to be counted.
    #[must_use]
    pub fn eval(&self, source: &Source, record: &Record<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(source, record))
    }

    /// The labels it asks for that not every record can have: captures of a custom format, or mistyped names.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        let names = self.conditions.iter().map(|condition| condition.field.as_str());
        names.filter(|name| !FIELDS.contains(name) && !BUILT_IN.contains(name))
    }
}

fn condition(text: &str, at: usize) -> Result<(Condition, usize), MatcherError> {
    let (field, at) = name(text, at)?;
    let (op, after) = operator(text, at, &["=~", "!~", "!=", "<=", ">=", "==", "=", "<", ">"])?;
    let start = skip_blanks(text, after);
    if start >= text.len() {
        return Err(error("expected a value", start));
    }
    let (value, end) = value(text, start, "'")?;
    let is_number = NUMBERS.contains(&field);
    let test = match op {
        "=~" | "!~" => {
            Test::Regex(op == "=~", compile(&value).map_err(|message| MatcherError { message, at: start })?)
        }
        "<" | "<=" | ">" | ">=" if !is_number => {
            return Err(error(
                &format!("`{op}` compares numbers: {}", NUMBERS.join(", ")),
                skip_blanks(text, at),
            ));
        }
        "=" | "==" | "!=" if !is_number || value == "-" => Test::Text(op != "!=", value.into_bytes()),
        _ => Test::Number(orderings(op), number(field, &value).ok_or_else(|| bad_number(field, start))?),
    };
    Ok((Condition { field: field.to_owned(), test }, end))
}

fn orderings(op: &str) -> &'static [Ordering] {
    match op {
        "<" => &[Ordering::Less],
        "<=" => &[Ordering::Less, Ordering::Equal],
        ">" => &[Ordering::Greater],
        ">=" => &[Ordering::Greater, Ordering::Equal],
        "!=" => &[Ordering::Less, Ordering::Greater],
        _ => &[Ordering::Equal],
    }
}

fn bad_number(field: &str, at: usize) -> MatcherError {
    let expected = match field {
        "status" => "expected a status, such as 502",
        _ => "expected a time: seconds, or with a unit, such as 0.5, 500ms, 2s, 1m",
    };
    error(expected, at)
}

/// A status, or a time in milliseconds; without a unit a time is in seconds, as nginx logs it.
fn number(field: &str, text: &str) -> Option<f64> {
    if field == "status" {
        return text.parse::<u16>().ok().filter(|n| *n < 1000).map(f64::from);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    Some(digits.parse::<f64>().ok().filter(|_| plain)? * unit)
}

impl Condition {
    fn holds(&self, source: &Source, record: &Record<'_>) -> bool {
        match &self.test {
            Test::Text(wanted, value) => (*text(&self.field, source, record) == **value) == *wanted,
            Test::Regex(wanted, regex) => {
                let text = text(&self.field, source, record);
                regex.is_match(&String::from_utf8_lossy(&text)) == *wanted
            }
            Test::Number(wanted, number) => {
                let own = match self.field.as_str() {
                    "status" => record.status.code().map(f64::from),
                    _ => record.request_time.map(f64::from),
                };
                match own.and_then(|own| own.partial_cmp(number)) {
                    Some(ordering) => wanted.contains(&ordering),
                    None => !wanted.contains(&Ordering::Equal) && wanted.len() == 2,
                }
            }
        }
    }
}

/// A field as text; a status as printed, a time in seconds.
fn text<'a>(field: &str, source: &'a Source, record: &Record<'a>) -> Cow<'a, [u8]> {
    let last = || record.attempts.last();
    let value = match field {
        "status" => return Cow::Owned(status_text(record.status).into_bytes()),
        "request_time" => {
            let time = record.request_time.map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000));
            return Cow::Owned(time.unwrap_or_else(|| "-".to_owned()).into_bytes());
        }
        "method" => record.method,
        "path" => record.path,
        "input" => source.input.as_bytes(),
        "node" => source.node(record),
        "region" => source.region(record, last().map_or(b"", |attempt| attempt.upstream)),
        "site" => source.site(record),
        "upstream" => last().map_or(b"" as &[u8], |attempt| attempt.upstream),
        "pool" => last().map_or_else(|| source.pool(record), |attempt| source.pool_of(record, &attempt)),
        name => source.capture(record, name),
    };
    Cow::Borrowed(value)
}

/// A status as it is printed: three digits as logged, `-` for none.
#[must_use]
pub fn status_text(status: Status) -> String {
    status.code().map_or_else(|| "-".to_owned(), |code| format!("{code:03}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_parsers::{Attempt, Attempts};
    use proptest::prelude::*;

    fn record() -> Record<'static> {
        let mut record = Record::new(0, Status::new(502));
        record.request_time = Some(1_500);
        record.method = b"GET";
        record.path = b"/api/v1?x=1";
        record.site = b"www.api.example";
        record.pool = b"be_img";
        let (upstream, status) = (b"10.0.0.1:80" as &[u8], Status::new(502));
        record.attempts = Attempts::One(Attempt { upstream, pool: b"", status, failure: None });
        record
    }

    #[test]
    fn conditions_hold() {
        let cases = [
            (r#"status>=500 and site=~"api""#, true),
            ("status >= 500 AND status<503", true),
            ("status=502", true),
            ("status==502", true),
            ("status!=502", false),
            ("status>502", false),
            ("status<=501", false),
            ("status=~'^5'", true),
            ("status=-", false),
            ("site=~^api", false),
            ("site!~^api", true),
            ("method=GET and path=~^/api/", true),
            ("method!=GET", false),
            ("request_time>1", true),
            ("request_time>1.5", false),
            ("request_time>=1500ms", true),
            ("request_time<2s", true),
            ("request_time<1m", true),
            ("upstream=10.0.0.1:80", true),
            ("pool=be_img", true),
            ("node=edge and input=in", true),
            ("tenant=''", true),
            (r#"tenant!="""#, false),
        ];
        let source = Source { node: "edge".into(), input: "in".into(), ..Source::default() };
        for (text, expected) in cases {
            assert_eq!(Filter::parse(text).unwrap().eval(&source, &record()), expected, "{text}");
        }
    }

    #[test]
    fn what_was_not_logged_is_unequal_to_every_number() {
        let record = Record::new(0, Status::NONE);
        let cases = [
            ("status=-", true),
            ("status!=-", false),
            ("status=200", false),
            ("status!=200", true),
            ("status<500", false),
            ("status>=0", false),
            ("request_time<1", false),
            ("request_time!=1", true),
        ];
        for (text, expected) in cases {
            assert_eq!(Filter::parse(text).unwrap().eval(&Source::default(), &record), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        let cases = [
            ("", 0),
            ("status", 6),
            ("status>=", 8),
            ("status>=abc", 8),
            ("status>=5000", 8),
            ("status>=500 or site=a", 12),
            ("status>=500 and", 15),
            ("site<5", 4),
            ("site=~(", 6),
            ("request_time>1y", 13),
            ("request_time>-1", 13),
            ("site='a", 5),
        ];
        for (text, at) in cases {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn unknown_names_are_told() {
        let filter = Filter::parse("statsu=500 and site=a and exit_ip=b and status=1").unwrap();
        assert_eq!(filter.captures().collect::<Vec<_>>(), ["statsu", "exit_ip"]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_an_error(text in "\\PC{0,40}") {
            match Filter::parse(&text) {
                Ok(filter) => {
                    let _ = filter.eval(&Source::default(), &record()); }
                Err(error) => prop_assert!(error.at <= text.len()),
            }
        }
    }
}
