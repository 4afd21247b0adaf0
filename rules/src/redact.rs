//! Log lines as they may be shown to others: without query strings, credentials and tokens, and cut. What else a line
//! holds (control characters, markup) is for whoever prints it to escape.

/// A sample is cut to so many bytes.
pub const SAMPLE_MAX: usize = 512;
/// So much of a line is looked at; the rest would be cut anyway.
const LOOK_MAX: usize = 4 * SAMPLE_MAX;
/// Stands for what was left out.
const CUT: &str = "…";
/// A word that, before `:` or `=`, says that a secret follows.
const SECRETS: &[&str] = &[
    "authorization",
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "cookie",
    "api-key",
    "api_key",
    "apikey",
    "session",
    "sessionid",
    "jsessionid",
    "phpsessid",
    "signature",
    "credential",
    "auth",
];
/// A word that, before a blank, says that a secret follows.
const SCHEMES: &[&str] = &["bearer", "basic", "digest", "negotiate"];

/// The line as it may be shown.
#[must_use]
pub fn redact(line: &[u8]) -> String {
    let whole = line.len() <= LOOK_MAX;
    let mut looked = String::from_utf8_lossy(line.get(..LOOK_MAX).unwrap_or(line)).into_owned();
    if !whole {
        // The last word may be the harmless-looking half of a token.
        looked.truncate(looked.rfind(' ').unwrap_or(0));
    }
    let mut out = String::with_capacity(looked.len().min(SAMPLE_MAX));
    let mut rest = looked.as_str();
    while let Some(first) = rest.chars().next() {
        if out.len() > SAMPLE_MAX {
            break;
        }
        let taken = if is_word(first) { take_word(rest, &mut out) } else { take_mark(first, rest, &mut out) };
        rest = rest.get(taken..).unwrap_or("");
    }
    shorten(&mut out, !whole);
    out
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+')
}

/// Whatever a value in a log line ends with. Deliberately little: a quote or comma that a client sent must not end it.
fn ends_value(c: char) -> bool {
    c.is_ascii_whitespace() || c == '"'
}

/// Copies a word, or what may be shown of it and of the secret that follows; returns how many bytes are done with.
fn take_word(rest: &str, out: &mut String) -> usize {
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    if is_token(word) {
        out.push_str(CUT);
        return end;
    }
    out.push_str(word);
    let lower = word.to_ascii_lowercase();
    let secret = if SECRETS.iter().any(|s| lower.ends_with(s)) {
        let between = after.len() - after.trim_start_matches(is_between).len();
        let named = after.get(..between).is_some_and(|b| b.contains([':', '=']));
        let value = after.get(between..).unwrap_or("");
        named.then(|| (between, value_len(value, lower.ends_with("cookie"))))
    } else if SCHEMES.contains(&lower.as_str()) && after.starts_with(' ') {
        let value = after.get(1..).unwrap_or("");
        Some((1, value_len(value, false))).filter(|(_, len)| *len >= 8)
    } else {
        None
    };
    match secret {
        Some((between, len)) if len > 0 && after.get(between..between + len) != Some("-") => {
            out.push_str(after.get(..between).unwrap_or(""));
            out.push_str(CUT);
            end + between + len
        }
        _ => end,
    }
}

/// What may stand between a name and its value: `":"`, `: `, `=\"`.
fn is_between(c: char) -> bool {
    matches!(c, ':' | '=' | ' ' | '"' | '\'' | '\\')
}

/// Length of a secret value: to its end, behind an authorization scheme, through all cookies.
fn value_len(value: &str, cookies: bool) -> usize {
    let mut len = escaped_len(value);
    let first = value.get(..len).unwrap_or("");
    let more = |len: usize| value.get(len..).unwrap_or("").strip_prefix(' ').map(escaped_len).unwrap_or(0);
    if SCHEMES.iter().any(|s| first.eq_ignore_ascii_case(s)) && more(len) > 0 {
        len += 1 + more(len);
    }
    while cookies && value.get(..len).is_some_and(|v| v.ends_with(';')) && more(len) > 0 {
        len += 1 + more(len);
    }
    len
}

/// Length up to what ends a value; a backslash takes the next character with it.
fn escaped_len(value: &str) -> usize {
    let mut escaped = false;
    value
        .find(|c: char| {
            let ends = !escaped && ends_value(c);
            escaped = !escaped && c == '\\';
            ends
        })
        .unwrap_or(value.len())
}

/// Copies what is no word; a query string and the user of a URL are left out.
fn take_mark(first: char, rest: &str, out: &mut String) -> usize {
    let encoded = rest.get(..3).is_some_and(|s| s.eq_ignore_ascii_case("%3f"));
    if first == '?' || encoded {
        let mark = if encoded { 3 } else { 1 };
        out.push_str(rest.get(..mark).unwrap_or(""));
        let query = escaped_len(rest.get(mark..).unwrap_or(""));
        if query > 0 {
            out.push_str(CUT);
        }
        return mark + query;
    }
    if let Some(after) = rest.strip_prefix("://") {
        out.push_str("://");
        let authority = after.find(|c| ends_value(c) || matches!(c, '/' | '?')).unwrap_or(after.len());
        return match after.get(..authority).and_then(|a| a.rfind('@')) {
            Some(at) => {
                out.push_str(CUT);
                3 + at
            }
            None => 3,
        };
    }
    out.push(first);
    first.len_utf8()
}

/// Whether a word looks made by a machine to be unguessable: long hexadecimal or base64. Names of hosts, pools and paths
/// are not: their parts are short or are words.
fn is_token(word: &str) -> bool {
    let has = |s: &str, of: fn(&u8) -> bool| s.as_bytes().iter().any(of);
    let mixed = |s: &str| has(s, u8::is_ascii_digit) && has(s, u8::is_ascii_alphabetic);
    let hex = |s: &str| s.bytes().all(|b| b.is_ascii_hexdigit());
    if word.len() < 16 {
        return false;
    }
    let parts = || word.split(['-', '_', '+']);
    let hex_digits: usize = parts().map(str::len).sum();
    parts().any(|part| mixed(part) && (part.len() >= 20 || part.len() >= 16 && hex(part)))
        || hex_digits >= 32 && parts().all(hex)
        || word.len() >= 24
            && mixed(word)
            && has(word, u8::is_ascii_uppercase)
            && has(word, u8::is_ascii_lowercase)
}

fn shorten(text: &mut String, cut: bool) {
    if !cut && text.len() <= SAMPLE_MAX {
        return;
    }
    let mut end = text.len().min(SAMPLE_MAX - CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(CUT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_cut_and_what_stays() {
        let cases = [
            (
                r#"1.2.3.4 - - [x] "GET /v1/users/39?token=abc&a=1 HTTP/1.1" 502 0"#,
                r#"1.2.3.4 - - [x] "GET /v1/users/39?… HTTP/1.1" 502 0"#,
            ),
            (r#""GET /a?q=1""#, r#""GET /a?…""#),
            (r#"GET /a? HTTP/1.1"#, r#"GET /a? HTTP/1.1"#),
            (r#"{"uri":"/a?x=\"secret\" y","status":502}"#, r#"{"uri":"/a?… y","status":502}"#),
            (r#"GET /a?x=\x22secret HTTP/1.1"#, "GET /a?… HTTP/1.1"),
            ("GET /a%3Fkey=secret HTTP/1.1", "GET /a%3F… HTTP/1.1"),
            ("ref https://bob:secret@h.example.com/x", "ref https://…@h.example.com/x"),
            ("GET https://h.example.com/x@y", "GET https://h.example.com/x@y"),
            ("Authorization: Bearer abc.def.ghi next", "Authorization: … next"),
            (r#"{"Authorization":"Basic dXNlcjpwYXNz","a":1}"#, r#"{"Authorization":"…","a":1}"#),
            (r#"{"Cookie":"a=b; c=d","a":1}"#, r#"{"Cookie":"…","a":1}"#),
            ("x-api-key=k123 y", "x-api-key=… y"),
            ("{h.example.com|Bearer abcdefgh12}", "{h.example.com|Bearer …"),
            ("/a;jsessionid=AB12 502", "/a;jsessionid=… 502"),
            ("token=- 502", "token=- 502"),
            ("/reset/9f86d081884c7d659a2feaa0c55ad015 x", "/reset/… x"),
            ("/u/6fa459ea-ee8a-3ca4-894e-db77e160355e x", "/u/… x"),
            ("/o/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x", "/o/….….x"),
            // names stay
            (
                "[default-echo-service-8080] ip-10-0-12-34.eu-central-1.compute.internal",
                "[default-echo-service-8080] ip-10-0-12-34.eu-central-1.compute.internal",
            ),
            (
                "web-7d9c5b8f6d-x2x4z be_img/srv3 0/0/1/-1/34 502 SH--",
                "web-7d9c5b8f6d-x2x4z be_img/srv3 0/0/1/-1/34 502 SH--",
            ),
            (
                "2026-11-01T00:22:30.123456+00:00 [2001:db8::1]:443",
                "2026-11-01T00:22:30.123456+00:00 [2001:db8::1]:443",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
            ),
            ("a\u{1b}[31m\tb", "a\u{1b}[31m\tb"),
        ];
        for (line, shown) in cases {
            assert_eq!(redact(line.as_bytes()), shown);
        }
    }

    #[test]
    fn a_long_line_is_cut_and_its_last_word_dropped() {
        let long = format!("{} {}", "word ".repeat(200), "x".repeat(5000));
        let shown = redact(long.as_bytes());
        assert!(shown.len() <= SAMPLE_MAX && shown.ends_with('…'), "{shown}");
        let cut = format!("/a?{} {}", "q".repeat(LOOK_MAX - 30), "0123456789abcdef0123456789abcdef");
        assert_eq!(redact(cut.as_bytes()), "/a?……");
        assert_eq!(redact("é".repeat(400).as_bytes()).len(), 511);
    }

    proptest! {
        #[test]
        fn any_bytes_stay_within_bounds(line in prop::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(redact(&line).len() <= SAMPLE_MAX);
        }

        #[test]
        fn no_query_survives(path in "/[a-z]{0,9}", query in "[a-zA-Z0-9=&,;'%]{1,40}SECRET[a-z0-9=&]{0,40}") {
            let line = format!("\"GET {path}?{query} HTTP/1.1\" 502");
            prop_assert_eq!(redact(line.as_bytes()), format!("\"GET {path}?… HTTP/1.1\" 502"));
        }
    }
}
