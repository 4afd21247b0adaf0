//! A scanner over one line of JSON: every scalar member with the names that lead to it, nothing allocated, nothing
//! unescaped. It forgives what nginx's `escape=json` writes when a `log_format` leaves a variable unquoted
//! (`"status":009`, `"x":,`, `"us":502, 200`) and bytes that are not UTF-8; it does not forgive an object that is cut
//! or followed by something else: half a line must never pass for a whole one.

use memchr::{memchr, memchr2};

use crate::text;

/// How many names may lead to a value (`http.response.status_code` has three); what lies deeper is skipped.
pub const DEPTH_MAX: usize = 3;

/// What stands after the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Between quotes, escapes as they stand.
    Text(&'a [u8]),
    /// A number, a literal, or what an unquoted variable left: `009`, `502, 200`, nothing at all.
    Bare(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes; `null` is empty.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bare(b"null") => b"",
            Value::Text(bytes) | Value::Bare(bytes) => bytes,
        }
    }
}

/// Where the scan stopped making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken<'a> {
    /// The name of the member whose value stands there; empty between members.
    pub member: &'a [u8],
    /// Byte offset into what was scanned.
    pub at: usize,
    /// What was wrong.
    pub reason: &'static str,
}

/// Calls `member` for every scalar of the object at the start of `text`, in order: the names that lead to it, outermost
/// first, the value, and the value's offset. A name that is repeated is reported each time.
///
/// # Errors
/// Where the object stops making sense. Members before that have been reported.
pub fn members<'a>(
    text: &'a [u8],
    mut member: impl FnMut(&[&'a [u8]], Value<'a>, usize),
) -> Result<(), Broken<'a>> {
    let mut scan = Scan { text, at: 0, member: b"" };
    let mut names: [&[u8]; DEPTH_MAX] = [b""; DEPTH_MAX];
    let mut depth = 0;
    scan.space();
    scan.expect(b'{', "no JSON object")?;
    loop {
        scan.space();
        // An empty object, or a trailing comma: nginx cannot write the latter, people's log_formats do.
        if scan.take(b'}') {
            if scan.close(&mut depth)? {
                return Ok(());
            }
            continue;
        }
        let Some(slot) = names.get_mut(depth) else { return Err(scan.broken("nested too deep")) };
        *slot = scan.string("no member name")?;
        scan.space();
        scan.expect(b':', "no colon after a member name")?;
        scan.member = slot;
        scan.space();
        let at = scan.at;
        match scan.peek() {
            Some(b'{') if depth + 1 < DEPTH_MAX => {
                scan.at += 1;
                depth += 1;
                continue;
            }
            Some(b'{') => scan.skip_nested()?,
            Some(b'[') if !scan.is_address() => scan.skip_nested()?,
            Some(b'"') => {
                let value = Value::Text(scan.string("a string without its end")?);
                member(names.get(..=depth).unwrap_or_default(), value, at + 1);
            }
            _ => {
                let value = match scan.plain() {
                    Some(value) => value,
                    None => scan.bare()?,
                };
                let value = Value::Bare(value);
                member(names.get(..=depth).unwrap_or_default(), value, at);
            }
        }
        scan.space();
        if scan.take(b',') {
            scan.member = b"";
            continue;
        }
        scan.expect(b'}', "neither comma nor brace after a member")?;
        scan.member = b"";
        if scan.close(&mut depth)? {
            return Ok(());
        }
    }
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// The member that is being read.
    member: &'a [u8],
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn broken(&self, reason: &'static str) -> Broken<'a> {
        Broken { member: self.member, at: self.at, reason }
    }

    /// Over blanks; most writers put none.
    #[inline(always)]
    fn space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.blanks();
        }
    }

    #[inline(never)]
    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<(), Broken<'a>> {
        if self.take(byte) { Ok(()) } else { Err(self.broken(otherwise)) }
    }

    /// After a closing brace: up one level and over a comma or further braces. True once the whole object has ended.
    fn close(&mut self, depth: &mut usize) -> Result<bool, Broken<'a>> {
        loop {
            self.space();
            if *depth == 0 {
                return if self.rest().is_empty() {
                    Ok(true)
                } else {
                    Err(self.broken("more after the object's end"))
                };
            }
            *depth -= 1;
            if self.take(b',') {
                return Ok(false);
            }
            self.expect(b'}', "neither comma nor brace after an object")?;
        }
    }

    /// What lies between two quotes, and steps over the second.
    #[inline(always)]
    fn string(&mut self, otherwise: &'static str) -> Result<&'a [u8], Broken<'a>> {
        self.expect(b'"', otherwise)?;
        let end = text::quote(self.text, self.at);
        match end.and_then(|end| Some((end, self.text.get(self.at..end)?))) {
            Some((end, string)) => {
                self.at = end + 1;
                Ok(string)
            }
            None => Err(self.broken("a string without its end")),
        }
    }

    /// A number or a literal that a brace, or a comma and the next name, follow at once: nearly every value without
    /// quotes. The same as [`Scan::bare`] for these.
    #[inline(always)]
    fn plain(&mut self) -> Option<&'a [u8]> {
        const PLAIN: [bool; 256] = text::word_bytes(b".-+");
        let rest = self.rest();
        let (value, after) = rest.split_at_checked(text::run_of(&PLAIN, rest))?;
        if !matches!(after, [b'}', ..] | [b',', b'"', ..]) {
            return None;
        }
        self.at += value.len();
        Some(value)
    }

    /// A value without quotes: up to the object's end, or to the comma before the next member. A comma before anything
    /// else belongs to the value, since an unquoted `$upstream_status` is a list.
    fn bare(&mut self) -> Result<&'a [u8], Broken<'a>> {
        let text = self.rest();
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| memchr2(b',', b'}', rest)) {
            let end = from + found;
            let after = text.get(end + 1..).unwrap_or_default().trim_ascii_start();
            if text.get(end) == Some(&b'}') || after.first().is_none_or(|b| matches!(b, b'"' | b'}')) {
                let value = text.get(..end).unwrap_or_default();
                // A quote inside means that a string lost its beginning.
                if let Some(quote) = memchr(b'"', value) {
                    self.at += quote;
                    return Err(self.broken("a quote inside a value"));
                }
                self.at += end;
                // The space after a list belongs to it: `502 : ` ends in an attempt that was never made.
                return Ok(if memchr(b',', value).is_some() || memchr(b':', value).is_some() {
                    value
                } else {
                    value.trim_ascii_end()
                });
            }
            from = end + 1;
        }
        Err(self.broken("a value without its end"))
    }

    /// Whether the bracket here opens an unquoted IPv6 address (`[::1]:80`) rather than an array.
    fn is_address(&self) -> bool {
        let text = self.rest();
        if matches!(text.get(1), Some(b'"' | b'{' | b'[' | b']')) {
            return false;
        }
        memchr(b']', text).is_some_and(|end| {
            text.get(end + 1) == Some(&b':')
                && text
                    .get(1..end)
                    .is_some_and(|t| t.iter().all(|b| b.is_ascii_hexdigit() || *b == b':' || *b == b'.'))
        })
    }

    /// Steps over an object or array, strings in it and all. The kinds of bracket are not matched with one another: of
    /// what is skipped only the end matters.
    fn skip_nested(&mut self) -> Result<(), Broken<'a>> {
        let mut open = 0usize;
        loop {
            match self.peek() {
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open = open.saturating_sub(1),
                Some(b'"') => {
                    self.string("a string without its end")?;
                    continue;
                }
                Some(_) => {}
                None => return Err(self.broken("nested without an end")),
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Vec<(String, String)>, Broken<'_>> {
        let mut seen = Vec::new();
        members(text.as_bytes(), |names, value, at| {
            let name: Vec<_> = names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
            let value = match value {
                Value::Text(text) | Value::Bare(text) => text,
            };
            assert_eq!(text.as_bytes().get(at..at + value.len()), Some(value), "the offset is the value's");
            seen.push((name.join("."), String::from_utf8_lossy(value).into_owned()));
        })?;
        Ok(seen)
    }

    #[test]
    fn what_is_seen() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("{}", &[]),
            (r#" { "a" : 1 , "b" : "x" } "#, &[("a", "1"), ("b", "x")]),
            (
                r#"{"a":"x\",\"status\":\"502\",\"y\":\"","b":1}"#,
                &[("a", r#"x\",\"status\":\"502\",\"y\":\""#), ("b", "1")],
            ),
            (r#"{"a":"\\","b":"\\\"}{"}"#, &[("a", r"\\"), ("b", r#"\\\"}{"#)]),
            (
                r#"{"a":{"b":{"c":1,"d":"e"},"f":2},"g":3}"#,
                &[("a.b.c", "1"), ("a.b.d", "e"), ("a.f", "2"), ("g", "3")],
            ),
            (r#"{"a":{"b":{"c":{"d":"}]","e":{}},"f":1}}}"#, &[("a.b.f", "1")]),
            (r#"{"a":{},"b":[],"c":[{"x":"]"},[1,"}"]],"d":1}"#, &[("d", "1")]),
            (r#"{"a":{"b":1}}"#, &[("a.b", "1")]),
            // nginx's broken ones
            (r#"{"status":009,"x":,"y":1}"#, &[("status", "009"), ("x", ""), ("y", "1")]),
            (r#"{"us":502, 200,"y":}"#, &[("us", "502, 200"), ("y", "")]),
            (r#"{"us":504 : 502, 200}"#, &[("us", "504 : 502, 200")]),
            (r#"{"us":502 : ,"y":1}"#, &[("us", "502 : "), ("y", "1")]),
            (r#"{"ua":127.0.0.1:80, [::1]:80,"y":-}"#, &[("ua", "127.0.0.1:80, [::1]:80"), ("y", "-")]),
            (r#"{"ua":[::1]:80, 127.0.0.1:80,"y":1}"#, &[("ua", "[::1]:80, 127.0.0.1:80"), ("y", "1")]),
            (r#"{"a":1,}"#, &[("a", "1")]),
        ];
        for (text, want) in table {
            let want: Vec<_> = want.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(scan(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "x",
            "[]",
            "{",
            r#"{"a"#,
            r#"{"a""#,
            r#"{"a":"#,
            r#"{"a":1"#,
            r#"{"a":"x"#,
            r#"{"a":"x\"}"#,
            r#"{"a":"x\"#,
            r#"{"a":1}x"#,
            r#"{"a":1}{"b":2}"#,
            r#"{"a":{"b":1}"#,
            r#"{"a":[1}"#,
            r#"{"a" 1}"#,
            r#"{a:1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":x","b":1}"#,
            r#"{"a":1,"b{"a":1}"#,
        ] {
            assert!(scan(text).is_err(), "{text}: {:?}", scan(text));
        }
    }

    #[test]
    fn every_prefix_of_an_object_is_refused() {
        let text = r#"{"a":{"b":1,"x":[1,2,{"y":"z"}]},"status":"502","us":502, 200,"ua":"say \"hi\" \\"}"#;
        for end in 0..text.len() {
            assert!(scan(&text[..end]).is_err(), "{}", &text[..end]);
        }
    }
}
