//! What a file is when it is no access log: for a sentence that helps more than "unknown format".

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, digit1, space1};
use nom::combinator::recognize;
use nom::error::Error;

use crate::context::Context;
use crate::lines;
use crate::syslog;

/// Recognises the start of a line.
type Look = fn(&[u8]) -> Nothing<'_>;

type Nothing<'a> = nom::IResult<&'a [u8], (), Error<&'a [u8]>>;

/// Compressed files, by how they begin.
const COMPRESSED: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"\x04\x22\x4d\x18", "lz4"),
];

/// So much of a line is looked at.
const LOOKED_AT: usize = 256;

/// Why these are no lines of text, in a sentence.
pub fn unreadable(sample: &[&[u8]]) -> Option<String> {
    let first = sample.iter().copied().find(|line| !line.is_empty());
    let Some(first) = first else { return Some("empty: no lines yet".to_owned()) };
    if let Some((_, name)) =
        COMPRESSED.iter().find(|(magic, _)| sample.first().unwrap_or(&first).starts_with(magic))
    {
        return Some(format!("compressed with {name}, not lines of text"));
    }
    // Without its byte order mark every other byte of UTF-16 is NUL; a hole in a file is nothing but NUL. By lines, and by
    // the beginnings of long ones: a single hole says nothing about the lines around it.
    let (mut bytes, mut nul, mut binary) = (0, 0, 0);
    let (mut wide, mut all) = (0, 0);
    for line in sample.iter().take(super::detect::SAMPLE_MAX).filter(|line| !line.is_empty()) {
        let line = line.get(..LOOKED_AT).unwrap_or(line);
        let zeros = line.iter().filter(|byte| **byte == 0).count();
        all += 1;
        if zeros * 5 >= line.len() * 2 && zeros < line.len() {
            wide += 1;
            continue;
        }
        let is_binary = |byte: &&u8| **byte < b' ' && !matches!(byte, b'\t' | b'\r' | 0x1b);
        bytes += line.len();
        nul += zeros;
        binary += line.iter().filter(is_binary).count();
    }
    if lines::is_utf16(first) || wide * 2 > all {
        return Some("UTF-16, not bytes of ASCII: convert it with iconv -f UTF-16 -t UTF-8".to_owned());
    }
    if nul == bytes && wide == 0 {
        return Some("nothing but NUL bytes: a hole that a truncated file left".to_owned());
    }
    (binary * 10 > bytes).then(|| "binary data, not lines of text".to_owned())
}

/// Whether a JSON object begins in this line, behind whatever header.
pub fn is_json(line: &[u8], context: &Context) -> bool {
    let mut prefix = context.prefix;
    syslog::strip(line, &mut prefix).rest.trim_ascii_start().starts_with(b"{")
}

/// JSON that is no object a line, in a sentence: one array, or objects that people can read.
pub fn json_of_many_lines(lines: &[&[u8]]) -> Option<String> {
    let mut texts = lines.iter().map(|line| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii());
    let how = match (texts.next()?, texts.next()) {
        ([b'[', b'{', ..], _) | ([b'['], Some([b'{', ..])) => "one array: jq -c '.[]'",
        ([b'{'], Some([b'"', ..])) => "over several lines: jq -c .",
        _ => return None,
    };
    Some(format!("JSON, but {how} makes one object a line of it"))
}

/// What a line is that is no request, if it is something that people point this program at by mistake.
pub fn not_access(line: &[u8], context: &Context) -> Option<String> {
    let mut prefix = context.prefix;
    let header = syslog::strip_before_date(line, &mut prefix);
    let known = [line, header.rest].into_iter().find_map(|text| {
        let fits = |(_, look): &&(&str, Look)| look(text).is_ok();
        LOOKS.iter().find(fits).map(|(title, _)| (*title).to_owned())
    });
    let program = || {
        let tag = String::from_utf8_lossy(header.tag);
        (!tag.is_empty()).then(|| format!("syslog of {tag}"))
    };
    known.or_else(program)
}

/// Titles read well before "not an access log".
const LOOKS: &[(&str, Look)] =
    &[("nginx stream log (TCP sessions)", nginx_stream), ("HAProxy events", haproxy_event)];

/// `127.0.0.1 [22/Nov/2026:14:54:05 +0000] TCP 502 `
fn nginx_stream(text: &[u8]) -> Nothing<'_> {
    let word = take_while1(|b: u8| b > b' ');
    let date = recognize((char('['), take_while1(|b: u8| b != b']'), char(']')));
    let protocol = alt((tag(&b"TCP"[..]), tag(&b"UDP"[..])));
    (word, space1, date, space1, protocol, space1, digit1).map(|_| ()).parse_complete(text)
}

/// `Server be/s1 is DOWN, …`, `Proxy x started.`
fn haproxy_event(text: &[u8]) -> Nothing<'_> {
    let subject =
        alt((tag(&b"Server "[..]), tag(&b"Proxy "[..]), tag(&b"backend "[..]), tag(&b"Backup Server "[..])));
    let name = take_while1(|b: u8| b > b' ');
    let verb =
        alt((tag(&b" is "[..]), tag(&b" started."[..]), tag(&b" stopped"[..]), tag(&b" has no server"[..])));
    (subject, name, verb).map(|_| ()).parse_complete(text)
}
