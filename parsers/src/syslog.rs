//! The header that syslog, rsyslog's files, HAProxy's `log … format` or a container's log put before a line. Found by
//! itself: no setting says which one it is. Lines of one file bear the same header, so the last one is remembered and
//! compared first; what is found never depends on that.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while_m_n, take_while1};
use nom::character::complete::{char, digit1, one_of, space0, space1};
use nom::combinator::{map, not, opt, peek, recognize, value, verify};
use nom::multi::many1_count;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use crate::fields::offset_in;
use crate::formats::Field;

/// What stood before the line, taken apart. `rest` is the line itself; everything borrows from the logged bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// The line without its header.
    pub rest: &'a [u8],
    /// The host that logged; empty if the header has none.
    pub host: &'a [u8],
    /// The program's name, without its process id; empty if the header has none.
    pub tag: &'a [u8],
    /// The header's own date as logged; empty if it has none.
    pub stamp: &'a [u8],
    /// The header's zone, in milliseconds east of UTC, if its date carries one.
    pub offset: Option<i32>,
}

impl<'a> Header<'a> {
    /// What it says, as `explain` shows it.
    pub(crate) fn fields(&self, line: &'a [u8]) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let parts = [("syslog time", self.stamp), ("syslog host", self.host), ("syslog tag", self.tag)];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        parts.map(|(name, value)| Field { name: name.to_owned(), value, at: offset_in(line, value) })
    }
}

mod recent;

pub use recent::Recent;
use recent::Seen;

/// Which headers the last lines bore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one for each file that is read")]
pub enum Prefix {
    /// None, or such that are cheap to find again.
    None,
    /// These.
    Seen(Recent),
}

/// Headers in headers: a container's log of a relay's log.
const LAYERS_MAX: usize = 3;

/// Whether the format itself begins with a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnDate {
    /// No: a date in front is a header's.
    No,
    /// Yes: a date in front is a header's only if a host and a program follow.
    Yes,
}

/// Takes the header off a line whose own format does not begin with a date. Without a header, `rest` is the line.
#[inline(always)]
pub fn strip<'a>(line: &'a [u8], sticky: &mut Prefix) -> Header<'a> {
    strip_any(line, sticky, OwnDate::No)
}

/// Takes the header off a line whose own format begins with a date, and leaves that date.
pub fn strip_before_date<'a>(line: &'a [u8], sticky: &mut Prefix) -> Header<'a> {
    strip_any(line, sticky, OwnDate::Yes)
}

#[inline(always)]
fn strip_any<'a>(line: &'a [u8], sticky: &mut Prefix, own: OwnDate) -> Header<'a> {
    if let Prefix::Seen(recent) = sticky
        && let Some(header) = recent.again(line, own)
    {
        return header;
    }
    look(line, sticky, own)
}

/// Finds the header, and remembers it.
#[inline(never)]
fn look<'a>(line: &'a [u8], sticky: &mut Prefix, own: OwnDate) -> Header<'a> {
    let mut found = Header { rest: line, ..Header::default() };
    let mut layers = 0;
    while layers < LAYERS_MAX
        && let Ok((rest, layer)) =
            any_layer(found.rest, if found.stamp.is_empty() { own } else { OwnDate::Yes })
    {
        found.rest = rest;
        // The inner header is the writer's own; a container's date says nothing about the writer's zone.
        if !layer.host.is_empty() {
            found.host = layer.host;
        }
        if !layer.tag.is_empty() {
            found.tag = layer.tag;
        }
        if !layer.stamp.is_empty() {
            found.stamp = layer.stamp;
        }
        found.offset = layer.offset.or(found.offset);
        layers += 1;
    }
    if layers == 1
        && let Some(seen) = Seen::of(line, &found, own)
    {
        match sticky {
            Prefix::Seen(recent) => recent.remember(seen),
            Prefix::None => {
                *sticky = Prefix::Seen(Recent::new(seen));
            }
        }
    }
    found
}

/// Where `part`, a slice of `whole`, begins in it.
pub(crate) fn start_of(whole: &[u8], part: &[u8]) -> Option<usize> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (!part.is_empty() && start + part.len() <= whole.len()).then_some(start)
}

fn any_layer(line: &[u8], own: OwnDate) -> IResult<&[u8], Header<'_>> {
    match line.first() {
        Some(b'<') => alt((rfc5424, |i| after_pri(i, own))).parse(line),
        Some(b'0'..=b'9') => alt((cri, |i| dated(i, own))).parse(line),
        Some(b'-' | b'[' | b'"' | b'{' | b' ' | b':') | None => nope(line),
        // Letters, and the lead bytes of UTF-8 (août), or of the escape sequence of a coloured compose.
        Some(_) => alt((compose, |i| dated(i, own), untimed)).parse(line),
    }
}

fn nope<T>(input: &[u8]) -> IResult<&[u8], T> {
    Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Alt)))
}

fn pri(input: &[u8]) -> IResult<&[u8], &[u8]> {
    delimited(char('<'), verify(digit1, |d: &[u8]| d.len() <= 3), char('>')).parse(input)
}

/// `<134>1 2026-11-22T14:54:06.958885+00:00 host haproxy 7229 - - `, rsyslog's `RSYSLOG_SyslogProtocol23Format` too.
fn rfc5424(input: &[u8]) -> IResult<&[u8], Header<'_>> {
    let (rest, _) = (pri, tag("1 ".as_bytes())).parse(input)?;
    let (rest, (stamp, offset)) =
        terminated(alt((iso_stamp, value((&b""[..], None), tag("-".as_bytes())))), char(' ')).parse(rest)?;
    let (rest, (host, app)) = (terminated(token, char(' ')), terminated(token, char(' '))).parse(rest)?;
    let (rest, _) = (token, char(' '), token, char(' ')).parse(rest)?;
    let (rest, _) = alt((tag("-".as_bytes()), recognize(many1_count(element)))).parse(rest)?;
    let (rest, _) = (space0, opt(tag(&b"\xEF\xBB\xBF"[..]))).parse(rest)?;
    let known = |word: &'_ [u8]| word != b"-";
    let header = Header {
        rest,
        host: if known(host) { host } else { b"" },
        tag: if known(app) { app } else { b"" },
        stamp,
        offset,
    };
    Ok((rest, header))
}

/// An element of RFC 5424's structured data: `[id name="a \] b"]`.
fn element(input: &[u8]) -> IResult<&[u8], ()> {
    let (mut rest, _) = char('[').parse(input)?;
    let mut quoted = false;
    while let Some((&b, after)) = rest.split_first() {
        rest = after;
        match b {
            b'\\' if quoted => rest = rest.get(1..).unwrap_or_default(),
            b'"' => quoted = !quoted,
            b']' if !quoted => return Ok((rest, ())),
            _ => {}
        }
    }
    nope(input)
}

/// `<134>` and what RFC 3164 or HAProxy's `local`, `timed`, `short` and `priority` put after it.
fn after_pri(input: &[u8], own: OwnDate) -> IResult<&[u8], Header<'_>> {
    let (rest, _) = (pri, space0).parse(input)?;
    alt((|i| dated(i, own), untimed, |i| Ok((i, Header::default())))).parse(rest)
}

/// A date, then perhaps a host, then perhaps a program.
fn dated(input: &[u8], own: OwnDate) -> IResult<&[u8], Header<'_>> {
    if let Ok((rest, stamp)) = terminated(month_stamp, space1).parse(input) {
        let (rest, (host, tag)) = alt((host_and_tag, lone_host, no_host)).parse(rest)?;
        return Ok((rest, Header { rest, host, tag, stamp, offset: None }));
    }
    if let Ok((rest, (stamp, offset))) = terminated(iso_stamp, space1).parse(input) {
        let (rest, (host, tag)) = match own {
            OwnDate::No if stamp.get(10) == Some(&b'T') => {
                alt((host_and_tag, lone_host, no_host)).parse(rest)?
            }
            OwnDate::No => host_and_tag(rest)?,
            OwnDate::Yes => {
                verify(host_and_tag, |(host, _): &(&[u8], &[u8])| !host.is_empty()).parse(rest)?
            }
        };
        return Ok((rest, Header { rest, host, tag, stamp, offset }));
    }
    // `2017/07/19 14:47:47 <local0,info> `; without the brackets it is nginx's error.log.
    let (rest, stamp) = terminated(slash_stamp, char(' ')).parse(input)?;
    let level = delimited(
        char('<'),
        take_while1(|b: u8| b.is_ascii_alphanumeric() || b == b',' || b == b'.'),
        char('>'),
    );
    let (rest, (host, tag)) = alt((
        preceded((level, space1), alt((host_and_tag, no_host))),
        verify(host_and_tag, |(host, _): &(&[u8], &[u8])| !host.is_empty()),
    ))
    .parse(rest)?;
    Ok((rest, Header { rest, host, tag, stamp, offset: None }))
}

type HostAndTag<'a> = (&'a [u8], &'a [u8]);

fn no_host(input: &[u8]) -> IResult<&[u8], HostAndTag<'_>> {
    Ok((input, (b"", b"")))
}

/// `host haproxy[7229]: `, `haproxy[7229]: `, `nginx: `, `host haproxy[1] `.
fn host_and_tag(input: &[u8]) -> IResult<&[u8], HostAndTag<'_>> {
    alt((
        map(program, |tag| (&b""[..], tag)),
        map((terminated(host, space1), program), |(host, tag)| (host, tag)),
    ))
    .parse(input)
}

/// A host without a program, before an address, a JSON object or a quote.
fn lone_host(input: &[u8]) -> IResult<&[u8], HostAndTag<'_>> {
    let (rest, host) = terminated(host, space1).parse(input)?;
    let word = rest.split(|&b| b == b' ').next().unwrap_or_default();
    if looks_like_address(host)
        || !(looks_like_address(word) || matches!(rest.first(), Some(b'{' | b'"' | b'<')))
    {
        return nope(input);
    }
    Ok((rest, (host, b"")))
}

fn looks_like_address(word: &[u8]) -> bool {
    word == b"-"
        || word.contains(&b':')
        || (word.first().is_some_and(u8::is_ascii_digit) && word.contains(&b'.'))
}

/// `haproxy[7229]: ` without anything before it.
fn untimed(input: &[u8]) -> IResult<&[u8], Header<'_>> {
    let (rest, tag) = terminated(name, (pid, char(':'), space1)).parse(input)?;
    Ok((rest, Header { rest, tag, ..Header::default() }))
}

/// The program, with what ends it: a colon, or at least a process id.
fn program(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let (rest, name) = name(input)?;
    let (rest, _) =
        alt((recognize((opt(pid), char(':'), end_or_space)), recognize((pid, end_or_space)))).parse(rest)?;
    Ok((rest, name))
}

fn end_or_space(input: &[u8]) -> IResult<&[u8], &[u8]> {
    if input.is_empty() { Ok((input, input)) } else { space1(input) }
}

fn name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let part =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'@' | b'(' | b')');
    verify(take_while_m_n(1, 64, part), |n: &[u8]| {
        n.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_' || *b == b'(')
    })
    .parse(input)
}

fn pid(input: &[u8]) -> IResult<&[u8], &[u8]> {
    delimited(
        char('['),
        take_while_m_n(1, 16, |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/')),
        char(']'),
    )
    .parse(input)
}

fn host(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let part =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'%' | b'/' | b'@');
    take_while_m_n(1, 255, part).parse(input)
}

fn token(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|b: u8| b != b' ').parse(input)
}

/// `caddy  | `: docker compose pads the name and puts at least two spaces before the bar.
fn compose(input: &[u8]) -> IResult<&[u8], Header<'_>> {
    let colour = |i| {
        recognize((tag(&b"\x1b["[..]), take_while1(|b: u8| b.is_ascii_digit() || b == b';'), char('m')))
            .parse(i)
    };
    let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let (rest, _) = (opt(colour), take_while1(part), tag(&b"  "[..]), space0, char('|')).parse(input)?;
    let (rest, _) = (opt(colour), char(' ')).parse(rest)?;
    Ok((rest, Header { rest, ..Header::default() }))
}

/// `2016-10-06T00:17:09.669794202Z stdout F `, as Kubernetes' container runtimes write. Its date is the runtime's: it
/// says nothing about the writer, nor does its zone.
fn cri(input: &[u8]) -> IResult<&[u8], Header<'_>> {
    let (rest, _) = (iso_stamp, char(' ')).parse(input)?;
    let (rest, _) = (tag(&b"std"[..]), alt((tag(&b"out"[..]), tag(&b"err"[..]))), char(' ')).parse(rest)?;
    let (rest, _) = (one_of("FP"), opt(preceded(char(':'), token)), char(' ')).parse(rest)?;
    Ok((rest, Header { rest, ..Header::default() }))
}

/// The length of `Nov 22 14:54:06`.
const MONTH_LEN: usize = 15;

/// Whether this is `Nov 22 14:54:06` or `Feb  6 01:02:03`.
#[inline]
fn month_shape(stamp: &[u8]) -> bool {
    let Some((front, clock)) = stamp.split_first_chunk::<7>() else { return false };
    let &[a, b, c, s1, tens, ones, s2] = front;
    let letters = [a, b, c].iter().fold(true, |all, b| all & b.is_ascii_alphabetic());
    let day = (tens.is_ascii_digit() | (tens == b' ')) & ones.is_ascii_digit();
    letters & day & (s1 == b' ') & (s2 == b' ') & is_clock(clock)
}

/// Whether this is `14:54:06` (`:` to `?` pass for digits; a date that says so fails later).
#[inline]
fn is_clock(text: &[u8]) -> bool {
    let Ok(bytes) = <[u8; 8]>::try_from(text) else { return false };
    u64::from_be_bytes(bytes) & 0xF0F0_FFF0_F0FF_F0F0 == 0x3030_3A30_303A_3030
}

/// `Nov 22 14:54:06`, `févr. 25 10:00:00`, `Nov 22 2026 14:54:06`, `Nov 22 14:54:06.123`.
fn month_stamp(input: &[u8]) -> IResult<&[u8], &[u8]> {
    if let Some((stamp, rest)) = input.split_at_checked(MONTH_LEN)
        && month_shape(stamp)
        && rest.first() == Some(&b' ')
    {
        return Ok((rest, stamp));
    }
    let word = take_while_m_n(3, 12, |b: u8| b.is_ascii_alphabetic() || b >= 0x80 || b == b'.');
    let day = take_while_m_n(1, 2, |b: u8| b.is_ascii_digit());
    let year = take_while_m_n(4, 4, |b: u8| b.is_ascii_digit());
    recognize((word, space1, day, char(' '), opt((year, char(' '))), clock, opt(fraction), peek(char(' '))))
        .parse(input)
}

fn clock(input: &[u8]) -> IResult<&[u8], &[u8]> {
    verify(take(8usize), is_clock).parse(input)
}

fn fraction(input: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((one_of(".,"), digit1)).parse(input)
}

/// Whether this begins like `2026-11-22T14:54:06`.
fn iso_shape(stamp: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b' ', rest @ ..] = stamp else { return false };
    [y1, y2, y3, y4, m1, m2, d1, d2].iter().all(|b| b.is_ascii_digit()) && rest.get(..8).is_some_and(is_clock)
}

/// Where the zone of a stamp that has `iso_shape` begins.
fn iso_zone_at(stamp: &[u8]) -> usize {
    let after = stamp.get(19..).unwrap_or_default();
    match after.split_first() {
        Some((b'.' | b',', digits)) => 20 + digits.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 19,
    }
}

/// An ISO 8601 stamp, and its zone in milliseconds east of UTC if it has one.
fn iso_stamp(input: &[u8]) -> IResult<&[u8], (&[u8], Option<i32>)> {
    if !iso_shape(input) {
        return nope(input);
    }
    let (rest, seconds) = take(iso_zone_at(input)).parse(input)?;
    let (rest, offset) = opt(zone).parse(rest)?;
    not(take_while_m_n(1, 1, |b: u8| b.is_ascii_alphanumeric())).parse(rest)?;
    let len = input.len() - rest.len();
    Ok((rest, (input.get(..len).unwrap_or(seconds), offset)))
}

/// `Z`, `+02:00`, `+0200`.
fn zone(input: &[u8]) -> IResult<&[u8], i32> {
    let two = |i| take_while_m_n(2, 2, |b: u8| b.is_ascii_digit()).parse(i);
    let signed = map((one_of("+-"), two, opt(char(':')), two), |(sign, h, _, m): (char, &[u8], _, &[u8])| {
        let east = (number(h) * 60 + number(m)) * 60_000;
        if sign == '-' { -east } else { east }
    });
    alt((value(0, char('Z')), signed)).parse(input)
}

fn number(digits: &[u8]) -> i32 {
    digits.iter().fold(0, |n, b| n * 10 + i32::from(b & 15))
}

/// `2017/07/19 14:47:47`
fn slash_stamp(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let digits = |n| take_while_m_n(n, n, |b: u8| b.is_ascii_digit());
    recognize((digits(4), char('/'), digits(2), char('/'), digits(2), char(' '), clock)).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i32 = 3_600_000;

    /// Header, host, tag, offset; every one is put before lines of several formats.
    const HEADERS: &[(&str, &str, &str, Option<i32>)] = &[
        ("", "", "", None),
        ("<134>", "", "", None),
        ("<6>", "", "", None),
        ("<134>Nov 22 14:54:06 haproxy[7229]: ", "", "haproxy", None),
        ("<134>Nov 22 14:54:06 edge-hap-01 haproxy[7229]: ", "edge-hap-01", "haproxy", None),
        (
            "<134>1 2026-11-22T14:54:06.958885+00:00 edge-hap-01 haproxy 7229 - - ",
            "edge-hap-01",
            "haproxy",
            Some(0),
        ),
        ("<134>1 2026-11-22T14:54:06Z - haproxy - - [x@1 a=\"b] \\\" c\"][y] ", "", "haproxy", Some(0)),
        ("<134>1 - edge haproxy 7229 - - \u{feff}", "edge", "haproxy", None),
        (
            "<134>1 2026-11-22T14:54:06.958885-05:00 edge haproxy 7229 - -  ",
            "edge",
            "haproxy",
            Some(-5 * HOUR),
        ),
        ("<6>2026-11-22T14:54:06.958948+00:00 ", "", "", Some(0)),
        ("2026-11-22T14:54:06.959018+05:30 ", "", "", Some(5 * HOUR + HOUR / 2)),
        ("<190>Nov 22 14:53:53 vm nginx: ", "vm", "nginx", None),
        ("<190>Nov 22 14:53:53 ngx: ", "", "ngx", None),
        ("Nov 22 15:18:09 haproxy[518]: ", "", "haproxy", None),
        ("Feb  6 12:14:14 localhost haproxy[14389]: ", "localhost", "haproxy", None),
        ("Feb 6 12:14:14 localhost haproxy[14389]: ", "localhost", "haproxy", None),
        ("Feb  6 12:14:14 localhost haproxy[14389]:  ", "localhost", "haproxy", None),
        ("Sep 20 15:44:23 127.0.0.1 haproxy[25457]: ", "127.0.0.1", "haproxy", None),
        ("Sep 20 15:44:23 fe80::1%eth0 haproxy: ", "fe80::1%eth0", "haproxy", None),
        ("2015-08-26T02:09:48+02:00 host haproxy[1]: ", "host", "haproxy", Some(2 * HOUR)),
        ("2015-08-26T02:09:48+02:00 host haproxy[1] ", "host", "haproxy", Some(2 * HOUR)),
        ("2015-08-26T02:09:48.123+0200 host haproxy[1]: ", "host", "haproxy", Some(2 * HOUR)),
        ("2015-08-26 02:09:48 host haproxy[1]: ", "host", "haproxy", None),
        ("Jul 30 09:03:52 pix-web-01 docker/haproxy-1[9]: ", "pix-web-01", "docker/haproxy-1", None),
        ("févr. 25 10:11:12 gohan nginx[3]: ", "gohan", "nginx", None),
        ("août 19 11:08:37 gohan nginx: ", "gohan", "nginx", None),
        ("Nov 22 2026 14:54:06 edge haproxy[7]: ", "edge", "haproxy", None),
        ("2017/07/19 14:47:47 <local0,info> ", "", "", None),
        ("2017/07/19 14:47:47 <local0,info> host haproxy[1]: ", "host", "haproxy", None),
        ("caddy  | ", "", "", None),
        ("\u{1b}[36mproxy-1     |\u{1b}[0m ", "", "", None),
        ("2016-10-06T00:17:09.669794202Z stdout F ", "", "", None),
        ("2016-10-06T00:17:09.669794202Z stderr P <134>Nov 22 14:54:06 haproxy[7229]: ", "", "haproxy", None),
        ("proxy-1  | <134>Nov 22 14:54:06 edge haproxy[7229]: ", "edge", "haproxy", None),
        ("Nov 22 14:54:06 relay <134>Nov 22 14:54:05 edge haproxy[7229]: ", "edge", "haproxy", None),
        (
            "2026-11-22T14:54:06+01:00 relay syslog: Nov 22 14:54:05 edge haproxy[7]: ",
            "edge",
            "haproxy",
            Some(HOUR),
        ),
        ("haproxy[7229]: ", "", "haproxy", None),
        ("Nov 22 14:54:06 edge-7 ", "edge-7", "", None),
        ("Nov 22 14:54:06 ", "", "", None),
    ];

    /// Lines that must come out whole.
    const LINES: &[&str] = &[
        r#"127.0.0.1:53900 [22/Nov/2026:14:54:06.956] fe b/s1 0/0/0/1/1 200 54 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"127.0.0.1 - - [22/Nov/2026:14:53:53 +0000] "GET /u_ok?sc=u_ok HTTP/1.1" 200 6 "-" "gen: 1.0""#,
        r#"2001:db8::1 - joe: [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 6"#,
        r#"{"status":200}"#,
    ];

    /// Beginnings of access lines that look most like a header.
    const BARE: &[&str] = &[
        r#"fe80::1 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 6"#,
        r#"www.example.com 127.0.0.1 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 6"#,
        "1157689312.049   5006 10.105.21.199 TCP_MISS/200 19763 CONNECT login.example:443 - DIRECT/209.73.177.115 -",
        r#"[2022-09-01T13:15:09.085Z] "GET /reviews/0 HTTP/1.1" 503 UF"#,
        "2026/11/22 14:53:53 [error] 12#12: *3 connect() failed",
        "example.com | 200 | 0.001",
        "unix: - - [22/Nov/2026:14:53:53 +0000]",
        "unix:2 [22/Nov/2026:14:54:19.212] fe b/s1 0/0/0/2/2 200 54",
        r#"<BADREQ>" 400"#,
        "",
        "-",
        "2019-12-04\t21:02:31\tLAX1\t392",
    ];

    #[test]
    fn every_header_before_every_line() {
        let mut sticky = Prefix::None;
        for (header, host, tag, offset) in HEADERS {
            for line in LINES {
                let whole = format!("{header}{line}");
                // Twice: looked for, then remembered.
                for _ in 0..2 {
                    let found = strip(whole.as_bytes(), &mut sticky);
                    assert_eq!(String::from_utf8_lossy(found.rest), *line, "{whole}");
                    assert_eq!(String::from_utf8_lossy(found.host), *host, "{whole}");
                    assert_eq!(String::from_utf8_lossy(found.tag), *tag, "{whole}");
                    assert_eq!(found.offset, *offset, "{whole}");
                }
            }
        }
    }

    #[test]
    fn the_beginning_of_an_access_line_is_no_header() {
        for line in BARE {
            assert_eq!(strip(line.as_bytes(), &mut Prefix::None).rest, line.as_bytes(), "{line}");
            assert_eq!(strip_before_date(line.as_bytes(), &mut Prefix::None).rest, line.as_bytes(), "{line}");
        }
    }

    #[test]
    fn a_date_of_the_lines_own_stays() {
        let line = b"2026-11-22T14:54:06+00:00 127.0.0.1 GET / 200";
        assert_eq!(strip_before_date(line, &mut Prefix::None).rest, line);
        let tagged = [b"<190>Nov 22 14:53:53 vm nginx: ", &line[..]].concat();
        for _ in 0..2 {
            assert_eq!(strip_before_date(&tagged, &mut Prefix::None).rest, line);
            assert_eq!(strip(&tagged, &mut Prefix::None).rest, line);
        }
    }

    #[test]
    fn an_event_keeps_its_first_words() {
        let event: &[u8] = b"Server be/s1 is DOWN, reason: Layer4 timeout";
        for header in ["<134>Nov 22 14:54:06 haproxy[7]: ", "2026-11-22T14:54:06+00:00 ", "<6>", ""] {
            let line = [header.as_bytes(), event].concat();
            assert_eq!(strip(&line, &mut Prefix::None).rest, event, "{header}");
        }
    }

    fn header_and_line() -> impl Strategy<Value = Vec<u8>> {
        let header = prop::sample::select(HEADERS).prop_map(|h| h.0.as_bytes().to_vec());
        let line = prop_oneof![
            prop::sample::select(LINES).prop_map(|l| l.as_bytes().to_vec()),
            prop::sample::select(BARE).prop_map(|l| l.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..40),
        ];
        (header, line, any::<prop::sample::Index>(), any::<Option<u8>>()).prop_map(|(mut h, l, at, byte)| {
            h.extend(l);
            if let Some(byte) = byte
                && !h.is_empty()
            {
                let at = at.index(h.len());
                h[at] = byte;
            }
            h
        })
    }

    proptest! {
        /// What is found depends on the line alone, and header and rest are the line.
        #[test]
        fn memory_changes_nothing(before in header_and_line(), line in header_and_line()) {
            for strip in [strip, strip_before_date] {
                let mut sticky = Prefix::None;
                strip(&before, &mut sticky);
                let found = strip(&line, &mut sticky);
                prop_assert_eq!(found, strip(&line, &mut Prefix::None));
                prop_assert!(line.ends_with(found.rest));
            }
        }
    }
}
