//! The nom pieces that formats share: fields of a line, and what they mean.

use memchr::{memchr, memchr2, memrchr};
use nom::IResult;
use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::digit1;
use nom::combinator::{eof, verify};
use nom::error::ErrorKind;
use nom::sequence::{preceded, terminated};

use crate::record::Status;

/// What a piece gives: the rest of the line, and what it took.
pub type Piece<'a, T = &'a [u8]> = IResult<&'a [u8], T, Failed<'a>>;

/// Where a piece failed: the rest of the line there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed<'a> {
    /// From here on nothing fitted.
    pub rest: &'a [u8],
}

impl<'a> nom::error::ParseError<&'a [u8]> for Failed<'a> {
    fn from_error_kind(rest: &'a [u8], _: ErrorKind) -> Failed<'a> {
        Failed { rest }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Failed<'a>) -> Failed<'a> {
        other
    }
}

/// Nothing fits from here on.
///
/// # Errors
/// Always.
pub fn fail<T>(rest: &[u8]) -> Piece<'_, T> {
    Err(nom::Err::Error(Failed { rest }))
}

pub(crate) const ONES: u64 = u64::from_le_bytes([0x01; 8]);
pub(crate) const TOPS: u64 = u64::from_le_bytes([0x80; 8]);

/// How much is looked at before a vector search takes over.
const SHORT: usize = 32;

/// The top bit of each zero byte of a word, exact up to the lowest one.
pub(crate) const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & TOPS
}

/// The eight bytes at a place of a line, the first one lowest; zeros beyond its end.
#[inline(always)]
pub(crate) fn word_at(line: &[u8], at: usize) -> u64 {
    match line.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(word) => u64::from_le_bytes(*word),
        None => last_word(line, at),
    }
}

fn last_word(line: &[u8], at: usize) -> u64 {
    let rest = line.get(at..).unwrap_or_default();
    match line.last_chunk::<8>() {
        // At most seven of them are left.
        Some(_) if rest.is_empty() => 0,
        Some(word) => u64::from_le_bytes(*word) >> (64 - 8 * rest.len()),
        None => short_word(rest),
    }
}

/// A text of fewer than eight bytes as a word.
#[inline(always)]
fn short_word(text: &[u8]) -> u64 {
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        // The two overlap in the same bytes.
        (Some(head), Some(tail)) => {
            let tail = u64::from(u32::from_le_bytes(*tail)) << (8 * (text.len() - 4));
            u64::from(u32::from_le_bytes(*head)) | tail
        }
        _ => text.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)),
    }
}

/// The first place of a byte. Fields are short: a word at a time costs less than setting up a vector search.
#[must_use]
pub fn find(byte: u8, text: &[u8]) -> Option<usize> {
    let pattern = ONES * u64::from(byte);
    let (head, tail) = text.split_at_checked(SHORT).unwrap_or((text, b""));
    find_short(head, |word| zero_bytes(word ^ pattern), |b| b == byte)
        .or_else(|| if tail.is_empty() { None } else { memchr(byte, tail).map(|at| SHORT + at) })
}

/// The first place of either byte, as `find`.
#[must_use]
pub fn find_either(a: u8, b: u8, text: &[u8]) -> Option<usize> {
    let (in_a, in_b) = (ONES * u64::from(a), ONES * u64::from(b));
    let (head, tail) = text.split_at_checked(SHORT).unwrap_or((text, b""));
    find_short(head, |word| zero_bytes(word ^ in_a) | zero_bytes(word ^ in_b), |byte| byte == a || byte == b)
        .or_else(|| if tail.is_empty() { None } else { memchr2(a, b, tail).map(|at| SHORT + at) })
}

fn find_short(text: &[u8], hits: impl Fn(u64) -> u64, is_hit: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let hits = hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return Some(i * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    match text.last_chunk::<8>() {
        _ if rest.is_empty() => None,
        // Its first bytes have been looked at: they hold no hit.
        Some(last) => match hits(u64::from_le_bytes(*last)) {
            0 => None,
            hits => Some(text.len() - 8 + hits.trailing_zeros() as usize / 8),
        },
        None => rest.iter().position(|b| is_hit(*b)),
    }
}

/// Whether these are digits, points, dashes, slashes and at least one colon: an IPv4 address with its port, as far as
/// nothing else looks like one. `false` for a text of fewer than 8 or more than 24 bytes, whatever it is.
#[inline(always)]
pub(crate) fn is_ip_and_port(text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) else { return false };
    // Three words, overlapping, are the whole text.
    let middle = text.get((text.len() - 8) / 2..).and_then(|rest| rest.first_chunk::<8>());
    let Some(middle) = middle.filter(|_| text.len() <= 24) else { return false };
    let (mut others, mut colons) = (0, 0);
    for word in [first, middle, last].map(|word| u64::from_le_bytes(*word)) {
        let bytes = word & !TOPS;
        let from_dash = bytes + ONES * (0x80 - b'-' as u64);
        let beyond_colon = bytes + ONES * (0x7F - b':' as u64);
        others |= !from_dash | beyond_colon | word;
        colons |= zero_bytes(word ^ (ONES * u64::from(b':')));
    }
    others & TOPS == 0 && colons != 0
}

/// Everything before this byte; the byte itself stays.
///
/// # Errors
/// It does not come.
pub fn before(byte: u8) -> impl Fn(&[u8]) -> Piece<'_> {
    move |rest| match find(byte, rest).and_then(|at| rest.split_at_checked(at)) {
        Some((taken, rest)) => Ok((rest, taken)),
        None => fail(rest),
    }
}

/// Everything before the quote that ends a JSON string, or any other in which `\` takes the next byte with it. nginx's
/// `\x22` reads the same way. The quote stays.
///
/// # Errors
/// The string does not end.
pub fn escaped(rest: &[u8]) -> Piece<'_> {
    match quote(rest, 0).and_then(|at| rest.split_at_checked(at)) {
        Some((taken, rest)) => Ok((rest, taken)),
        None => fail(rest),
    }
}

/// The place of the first quote from `from` on that no backslash takes with it.
#[inline(always)]
pub(crate) fn quote(text: &[u8], from: usize) -> Option<usize> {
    let (quotes, backslashes) = (ONES * u64::from(b'"'), ONES * u64::from(b'\\'));
    let mut at = from;
    // Names and most values are short.
    while at < from + SHORT
        && let Some(word) = text.get(at..)?.first_chunk::<8>()
    {
        let word = u64::from_le_bytes(*word);
        let hits = zero_bytes(word ^ quotes) | zero_bytes(word ^ backslashes);
        if hits != 0 {
            at += hits.trailing_zeros() as usize / 8;
            return if text.get(at) == Some(&b'"') { Some(at) } else { far_quote(text, at) };
        }
        at += 8;
    }
    far_quote(text, at)
}

#[inline(never)]
fn far_quote(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// The first occurrence of a short literal: cheaper than a searcher that is built anew for each line. `None` for an empty
/// one.
pub(crate) fn find_literal(literal: &[u8], text: &[u8]) -> Option<usize> {
    let first = *literal.first()?;
    let mut from = 0;
    loop {
        let at = from + find(first, text.get(from..)?)?;
        if text.get(at..)?.starts_with(literal) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Which bytes are ASCII letters, digits, or one of `others`.
pub(crate) const fn word_bytes(others: &[u8]) -> [bool; 256] {
    let mut is = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        is[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        is[others[at] as usize] = true;
        at += 1;
    }
    is
}

/// How many bytes from the first on are of these.
#[inline(always)]
pub(crate) fn run_of(is: &[bool; 256], text: &[u8]) -> usize {
    text.iter().position(|b| !is[usize::from(*b)]).unwrap_or(text.len())
}

/// Whether two texts are the same. They are short: a call to compare them costs more.
#[inline(always)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(a_last), Some(b_last)) => {
            a_last == b_last && a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).all(|(a, b)| a == b)
        }
        _ => short_word(a) == short_word(b),
    }
}

/// A field without blanks; empty if a blank or the line's end comes at once.
///
/// # Errors
/// None: what is not there is empty.
pub fn word(rest: &[u8]) -> Piece<'_> {
    let at = find(b' ', rest).unwrap_or(rest.len());
    let (taken, rest) = rest.split_at(at);
    Ok((rest, taken))
}

/// A status of three digits, as nginx pads it.
///
/// # Errors
/// There are not exactly three digits.
pub fn three_digits(rest: &[u8]) -> Piece<'_> {
    match rest {
        [a, b, c, after @ ..]
            if a.is_ascii_digit()
                && b.is_ascii_digit()
                && c.is_ascii_digit()
                && !after.first().is_some_and(u8::is_ascii_digit) =>
        {
            let (taken, rest) = rest.split_at(3);
            Ok((rest, taken))
        }
        _ => fail(rest),
    }
}

/// `0.001`, `12`: as much as can belong to such a number.
///
/// # Errors
/// It does not begin with a digit.
pub fn decimal(rest: &[u8]) -> Piece<'_> {
    let len = rest.iter().position(|b| !(b.is_ascii_digit() || *b == b'.')).unwrap_or(rest.len());
    match rest.split_at_checked(len) {
        Some((taken @ [b'0'..=b'9', ..], rest)) => Ok((rest, taken)),
        _ => fail(rest),
    }
}

/// The status, if these are one to three digits.
#[must_use]
pub fn status(field: &[u8]) -> Option<Status> {
    if field.is_empty() || field.len() > 3 {
        return None;
    }
    let code =
        field.iter().try_fold(0u16, |n, b| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0')))?;
    Some(Status::new(code))
}

/// `1.004` seconds → 1004 milliseconds; `None` for a dash and whatever else is no number. Too great a time is the
/// greatest.
#[must_use]
pub fn millis(field: &[u8]) -> Option<u32> {
    if let &[a @ b'0'..=b'9', b'.', b @ b'0'..=b'9', c @ b'0'..=b'9', d @ b'0'..=b'9'] = field {
        let [a, b, c, d] = [a, b, c, d].map(|b| u32::from(b - b'0'));
        return Some(a * 1_000 + b * 100 + c * 10 + d);
    }
    let (mut millis, mut decimals) = (0u64, None);
    for byte in field {
        match (byte, decimals) {
            (b'0'..=b'9', Some(3..)) => {}
            (b'0'..=b'9', _) => {
                millis = millis.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                decimals = decimals.map(|n| n + 1);
            }
            (b'.', None) => decimals = Some(0),
            _ => return None,
        }
    }
    if !field.first()?.is_ascii_digit() {
        return None;
    }
    let scale = match decimals {
        None | Some(0) => 1_000,
        Some(1) => 100,
        Some(2) => 10,
        Some(_) => 1,
    };
    Some(u32::try_from(millis.saturating_mul(scale)).unwrap_or(u32::MAX))
}

/// A field, empty where the log has a dash for nothing.
#[must_use]
pub fn dash(field: &[u8]) -> &[u8] {
    if field == b"-" { b"" } else { field }
}

/// A request line, as far as it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// Empty where the first word is no method: a TLS handshake, one word alone, nothing.
    pub method: &'a [u8],
    /// Spaces in it stay; without a method, the whole line.
    pub target: &'a [u8],
    /// `HTTP/1.1`; empty for HTTP/0.9.
    pub protocol: &'a [u8],
}

/// `GET /a b HTTP/1.1` → its three parts. Scanners send everything else, too; nothing is refused.
#[must_use]
pub fn request_line(line: &[u8]) -> RequestLine<'_> {
    if line.is_empty() {
        return RequestLine { method: b"", target: b"", protocol: b"" };
    }
    usual_request_line(line).unwrap_or_else(|| any_request_line(line))
}

fn any_request_line(line: &[u8]) -> RequestLine<'_> {
    let line = dash(line);
    let Ok((rest, method)) = method(line) else {
        return RequestLine { method: b"", target: line, protocol: b"" };
    };
    match memrchr(b' ', rest).and_then(|at| rest.split_at_checked(at)) {
        Some((target, protocol)) if protocol.starts_with(b" HTTP/") => {
            RequestLine { method, target, protocol: protocol.get(1..).unwrap_or_default() }
        }
        _ => RequestLine { method, target: rest, protocol: b"" },
    }
}

/// A request line with a method of up to seven capitals and a protocol of eight bytes.
#[inline(always)]
fn usual_request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let (_, protocol) = line.split_last_chunk::<8>()?;
    let word = word_at(line, 0);
    let blanks = zero_bytes(word ^ (ONES * u64::from(b' ')));
    let len = blanks.trailing_zeros() as usize / 8;
    // A byte below `A` or above `Z` before the blank.
    let letters = word & !TOPS;
    let others = !(letters + ONES * (0x80 - b'A' as u64)) | (letters + ONES * (0x7F - b'Z' as u64)) | word;
    let is_method = blanks != 0 && len > 0 && others & TOPS & ((1 << (8 * len)) - 1) == 0;
    let &[b'H', b'T', b'T', b'P', b'/', a, b, c] = protocol else { return None };
    let (target, between) = line.get(len + 1..)?.split_at_checked(line.len().checked_sub(len + 10)?)?;
    let is_usual = is_method && a != b' ' && b != b' ' && c != b' ' && between.first() == Some(&b' ');
    is_usual.then_some(RequestLine { method: line.get(..len)?, target, protocol })
}

/// A method and the space after it.
fn method(line: &[u8]) -> Piece<'_> {
    let letters = take_while1(|b: u8| b.is_ascii_alphabetic() || b == b'-' || b == b'_');
    terminated(letters, tag(&b" "[..])).parse_complete(line)
}

/// The host asked for, without its port and without an IPv6 address' brackets; empty for a dash.
#[must_use]
pub fn site(host: &[u8]) -> &[u8] {
    let host = dash(host);
    if host.is_empty() {
        return host;
    }
    if let Some(inner) = host.strip_prefix(b"[") {
        return before(b']')(inner).map_or(host, |(_, address)| address);
    }
    let Some((name, port)) = find(b':', host).and_then(|at| host.split_at_checked(at)) else { return host };
    // A second colon: an IPv6 address without brackets has no port.
    let is_port =
        terminated(preceded(tag(&b":"[..]), digit1::<_, Failed<'_>>), eof).parse_complete(port).is_ok();
    if is_port || port == b":" { name } else { host }
}

/// A literal of the format.
///
/// # Errors
/// The line goes on otherwise.
pub fn literal<'a>(text: &[u8], rest: &'a [u8]) -> Piece<'a> {
    match rest.split_at_checked(text.len()) {
        Some((head, tail)) if head == text => Ok((tail, head)),
        _ => fail(rest),
    }
}

/// Everything before a literal with which the line ends; blanks at the line's end do not count. The literal stays.
///
/// # Errors
/// The line ends otherwise.
pub fn ends_with<'a>(text: &[u8], rest: &'a [u8]) -> Piece<'a> {
    match rest.trim_ascii_end().strip_suffix(text).and_then(|value| rest.split_at_checked(value.len())) {
        Some((value, rest)) => Ok((rest, value)),
        None => fail(rest),
    }
}

/// One item of nginx's upstream times and lengths: `0.001`, `-`.
///
/// # Errors
/// It is neither.
pub fn number_or_dash(rest: &[u8]) -> Piece<'_> {
    match rest.first() {
        Some(b'-') => literal(b"-", rest),
        _ => decimal(rest),
    }
}

/// One item of `$upstream_status`: up to three digits, `-`.
///
/// # Errors
/// It is neither.
pub fn status_or_dash(rest: &[u8]) -> Piece<'_> {
    match rest.first() {
        Some(b'-') => literal(b"-", rest),
        _ => verify(digit1, |digits: &[u8]| digits.len() <= 3).parse_complete(rest),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_byte_is_found_where_it_is(text in proptest::collection::vec(any::<u8>(), 0..80), a in any::<u8>(), b in any::<u8>()) {
            prop_assert_eq!(find(a, &text), memchr(a, &text));
            prop_assert_eq!(find_either(a, b, &text), memchr2(a, b, &text));
        }

        #[test]
        fn an_ip_and_its_port_hold_nothing_else(text in "[-./0-9:, ;a\\x00\u{80}]{0,2}[0-9.:]{0,28}[-./0-9:, ;a\\x00]{0,2}") {
            let text = text.as_bytes();
            let fits = text.iter().all(|b| (b'-'..=b':').contains(b)) && text.contains(&b':');
            prop_assert_eq!(is_ip_and_port(text), fits && (8..=24).contains(&text.len()));
        }

        #[test]
        fn a_word_is_what_stands_there(text in proptest::collection::vec(any::<u8>(), 0..24), at in 0..30usize) {
            let mut bytes = [0; 8];
            text.iter().skip(at).zip(&mut bytes).for_each(|(from, to)| *to = *from);
            prop_assert_eq!(word_at(&text, at), u64::from_le_bytes(bytes));
        }

        #[test]
        fn the_usual_request_line_is_no_other(line in "([A-Z]{0,9}|[A-Za-z@_ -]{0,9}) ?/?[a-z ]{0,9} (HTTP/[0-9. ]{3}|[A-Z/ ]{8})") {
            let line = line.as_bytes();
            if let Some(usual) = usual_request_line(line) {
                prop_assert_eq!(usual, any_request_line(line));
            }
        }

        #[test]
        fn among_few_bytes_as_well(text in "[ab\\x00\\x01\\x7f]{0,80}") {
            prop_assert_eq!(find(b'b', text.as_bytes()), memchr(b'b', text.as_bytes()));
            prop_assert_eq!(find_either(1, b'b', text.as_bytes()), memchr2(1, b'b', text.as_bytes()));
        }
    }

    #[test]
    fn request_lines_are_split() {
        let cases = [
            ("GET / HTTP/1.1", ("GET", "/", "HTTP/1.1")),
            ("", ("", "", "")),
            ("-", ("", "", "")),
            ("GET /plain", ("GET", "/plain", "")),
            ("batman", ("", "batman", "")),
            ("geti /plain HTTP/1.1", ("geti", "/plain", "HTTP/1.1")),
            ("GET /a b c HTTP/1.1", ("GET", "/a b c", "HTTP/1.1")),
            ("GET  HTTP/1.1", ("GET", "", "HTTP/1.1")),
            ("GET HTTP/1.1", ("GET", "HTTP/1.1", "")),
            ("CONNECT example.com:443 HTTP/1.1", ("CONNECT", "example.com:443", "HTTP/1.1")),
            ("PRI * HTTP/2.0", ("PRI", "*", "HTTP/2.0")),
            ("VERSION-CONTROL /x HTTP/1.1", ("VERSION-CONTROL", "/x", "HTTP/1.1")),
            (r"\x16\x03\x01\x02 \x00", ("", r"\x16\x03\x01\x02 \x00", "")),
            ("GET ", ("GET", "", "")),
        ];
        for (line, (method, target, protocol)) in cases {
            let got = request_line(line.as_bytes());
            let want = [method.as_bytes(), target.as_bytes(), protocol.as_bytes()];
            assert_eq!([got.method, got.target, got.protocol], want, "{line:?}");
        }
    }

    #[test]
    fn sites_lose_their_port() {
        let cases = [
            ("example.com", "example.com"),
            ("example.com:443", "example.com"),
            ("example.com:", "example.com"),
            ("[::1]:80", "::1"),
            ("[::1]", "::1"),
            ("[::1", "[::1"),
            ("::1", "::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("10.0.0.1:8080", "10.0.0.1"),
            ("-", ""),
            ("", ""),
            ("a:b", "a:b"),
        ];
        for (host, want) in cases {
            assert_eq!(site(host.as_bytes()), want.as_bytes(), "{host}");
        }
    }

    #[test]
    fn seconds_become_milliseconds() {
        let cases: &[(&str, Option<u32>)] = &[
            ("0.000", Some(0)),
            ("1.004", Some(1_004)),
            ("0.3", Some(300)),
            ("12", Some(12_000)),
            ("0.123456", Some(123)),
            ("99999999999999999999.9", Some(u32::MAX)),
            ("-", None),
            ("", None),
            (".5", None),
            ("1.", Some(1_000)),
            ("1.2x", None),
            ("1.2345x", None),
            ("0.1, 0.2", None),
        ];
        for (text, want) in cases {
            assert_eq!(millis(text.as_bytes()), *want, "{text}");
        }
    }

    #[test]
    fn a_status_has_three_digits() {
        for (line, want) in [("200 x", Some(3)), ("009", Some(3)), ("20", None), ("2000", None), ("- ", None)]
        {
            assert_eq!(three_digits(line.as_bytes()).ok().map(|(_, s)| s.len()), want, "{line}");
        }
        assert_eq!(status(b"009"), Some(Status::new(9)));
        assert_eq!(status(b"-1"), None);
        assert_eq!(status(b"1000"), None);
    }

    #[test]
    fn an_escaped_quote_ends_nothing() {
        let cases = [
            (r#"a" b"#, Some("a")),
            (r#"a\" b" c"#, Some(r#"a\" b"#)),
            (r#"a\\" b"#, Some(r"a\\")),
            (r#"\x22" b"#, Some(r"\x22")),
            (r#"a\"#, None),
            ("a", None),
        ];
        for (line, want) in cases {
            assert_eq!(escaped(line.as_bytes()).ok().map(|(_, s)| s), want.map(str::as_bytes), "{line}");
        }
    }
}
