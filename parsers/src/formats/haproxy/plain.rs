//! httplog as HAProxy itself writes it, with one space between fields: nearly every line of nearly every file. Fields
//! that differ in length from line to line are found without a branch, since a mispredicted branch costs more than a
//! field; for those that are nearly always the same, that one value is compared first. Whatever is not quite so is left
//! to [`super::httplog`], which gives the same for these lines, field by field.

use super::fields::{HIGH, LOW, Timer, equal, every, number_at_end, numbers, only_numbers, position, timer};
use super::httplog::status;
use super::session::{Mode, Request, Session};
use super::termination::Termination;
use crate::record::Status;

/// `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`, whole.
#[inline(always)]
pub(super) fn line(input: &[u8]) -> Option<Session<'_>> {
    let (rest, _) = one(input)?;
    let (dated, rest) = rest.split_first_chunk::<27>()?;
    let [b'[', date @ .., b']', b' '] = dated else { return None };
    let (rest, frontend) = one(rest)?;
    if frontend.last() == Some(&b':') {
        return None;
    }
    let (rest, upstream) = one(rest)?;
    let at = first(upstream, b'/')?;
    let (backend, server) = (upstream.get(..at)?, upstream.get(at + 1..)?);
    if backend.is_empty() || server.is_empty() {
        return None;
    }
    let timers = last_of_five(rest)?;
    let total = timers.time()?;
    let (status, termination, rest) = answer(timers.rest)?;
    let connections = last_of_five(rest)?;
    let request = request(captures(captures(queues(connections.rest)?)?)?)?;
    Some(Session {
        mode: Mode::Http,
        date,
        total: Some(total),
        status,
        termination,
        backend,
        server,
        upstream,
        retries: connections.last,
        request: Request::Line(request),
        ..Session::new()
    })
}

/// Where this byte stands first: without a branch if within 24 bytes.
#[inline(always)]
fn first(input: &[u8], byte: u8) -> Option<usize> {
    let Some(chunk) = input.first_chunk::<24>() else { return position(input, byte) };
    let (words, _) = chunk.as_chunks::<8>();
    let &[a, b, c] = words else { return None };
    let [a, b, c] = [a, b, c].map(|word| equal(u64::from_le_bytes(word), byte));
    if a | b | c == 0 {
        return position(input.get(24..)?, byte).map(|at| at + 24);
    }
    let (marks, before) = if b != 0 { (b, 8) } else { (c, 16) };
    let (marks, before) = if a != 0 { (a, 0) } else { (marks, before) };
    Some(before + first_mark(marks))
}

/// `%ST %B %CC %CS %tsc `: the status, the state, and the rest.
#[inline(always)]
fn answer(input: &[u8]) -> Option<(Status, Termination, &[u8])> {
    let (code, rest) = input.split_first_chunk::<4>()?;
    let [code @ .., b' '] = code else { return None };
    let status = status(code)?;
    let (rest, _) = short(rest)?;
    if let Some((usual, [b' ', rest @ ..])) = rest.split_first_chunk::<8>()
        && u64::from_le_bytes(*usual) == u64::from_le_bytes(*b"- - ----")
    {
        return Some((status, Termination::NORMAL, rest));
    }
    let (rest, _) = one(rest)?;
    let (rest, _) = one(rest)?;
    let (rest, letters) = one(rest)?;
    Some((status, Termination::parse(letters)?, rest))
}

/// The rest behind a field and its one space, and the field.
#[inline(always)]
fn one(input: &[u8]) -> Option<(&[u8], &[u8])> {
    split(input, first(input, b' ')?)
}

/// The same of a field that is expected to be shorter than eight bytes.
#[inline(always)]
fn short(input: &[u8]) -> Option<(&[u8], &[u8])> {
    split(input, position(input, b' ')?)
}

#[inline(always)]
fn split(input: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    let (field, rest) = input.split_at_checked(at)?;
    (!field.is_empty()).then_some((rest.get(1..)?, field))
}

/// `%sq/%bq `
#[inline(always)]
fn queues(input: &[u8]) -> Option<&[u8]> {
    if let Some((usual, rest)) = input.split_first_chunk::<4>()
        && u32::from_le_bytes(*usual) == u32::from_le_bytes(*b"0/0 ")
    {
        return Some(rest);
    }
    let (rest, field) = one(input)?;
    numbers(field).filter(|found| found.count == 2).map(|_| rest)
}

/// What follows a block of captured headers, if there is one.
#[inline(always)]
fn captures(input: &[u8]) -> Option<&[u8]> {
    let [b'{', rest @ ..] = input else { return Some(input) };
    match rest.get(memchr::memchr(b'}', rest)? + 1..)? {
        [b' ', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// `"GET / HTTP/1.1"`, then nothing or a space.
#[inline(always)]
fn request(input: &[u8]) -> Option<&[u8]> {
    let [b'"', rest @ ..] = input else { return None };
    let (request, behind) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
    matches!(behind.get(1), None | Some(b' ')).then_some(request)
}

/// Five numbers between slashes.
struct Five<'a> {
    text: &'a [u8],
    /// The fifth.
    last: &'a [u8],
    /// What is behind them and their space.
    rest: &'a [u8],
}

impl Five<'_> {
    /// The fifth as a time.
    #[inline(always)]
    fn time(&self) -> Option<Timer> {
        match number_at_end(self.text.last_chunk()?, self.last.len()) {
            Some(ms) => Some(Timer { ms, at_least: false }),
            None => timer(self.last),
        }
    }
}

/// Five numbers between slashes.
#[inline(always)]
fn last_of_five(input: &[u8]) -> Option<Five<'_>> {
    let (chunks, _) = input.first_chunk::<16>()?.as_chunks::<8>();
    let &[low, high] = chunks else { return None };
    let (low, high) = (u64::from_le_bytes(low), u64::from_le_bytes(high));
    let (low_end, high_end) = (equal(low, b' '), equal(high, b' '));
    if low_end | high_end == 0 {
        return long_five(input);
    }
    // What is before the space, in each half: all of the upper one does not count if the space is in the lower one.
    let low_inside = low_end.wrapping_sub(1) & !low_end;
    let high_inside = if low_end == 0 { high_end.wrapping_sub(1) & !high_end } else { 0 };
    let len = if low_end == 0 { 8 + first_mark(high_end) } else { first_mark(low_end) };
    let (low_slashes, high_slashes) = (every(low, b'/') & low_inside, every(high, b'/') & high_inside);
    let foreign = (!only_numbers(low) & low_inside | !only_numbers(high) & high_inside) & HIGH;
    if foreign != 0 || marks(low_slashes) + marks(high_slashes) != 4 {
        return None;
    }
    let (slashes, before) = if high_slashes == 0 { (low_slashes, 8) } else { (high_slashes, 16) };
    let last = before - (slashes.leading_zeros() / 8) as usize;
    let (field, rest) = input.split_at_checked(len)?;
    let last = field.get(last..).filter(|last| !last.is_empty())?;
    Some(Five { text: field, last, rest: rest.get(1..)? })
}

/// The same of more than fifteen bytes.
#[inline(never)]
fn long_five(input: &[u8]) -> Option<Five<'_>> {
    let (rest, text) = one(input)?;
    let found = numbers(text).filter(|found| found.count == 5)?;
    Some(Five { text, last: found.last, rest })
}

/// The first byte that is marked by its high bit.
#[inline(always)]
fn first_mark(bits: u64) -> usize {
    (bits.trailing_zeros() / 8) as usize
}

/// How many bytes are marked by their high bits: eight at most, so that the sum of all bytes fits in one.
#[inline(always)]
fn marks(bits: u64) -> u64 {
    (bits >> 7).wrapping_mul(LOW) >> 56
}

#[cfg(test)]
mod tests {
    use super::super::httplog::{self, Line};
    use super::*;
    use proptest::prelude::*;

    const RAW: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/nginx-haproxy/haproxy.raw.log"));

    /// Whether a line is a plain one; then field by field it is the same.
    fn is_plain(line: &[u8]) -> bool {
        let Some(plain) = super::line(line) else { return false };
        let mut session = Session::new();
        let found = httplog::line(line, &mut session, &mut ()).map(|(_, line)| line);
        assert_eq!(found.ok(), Some(Line::Session), "{}", line.escape_ascii());
        assert_eq!(format!("{plain:?}"), format!("{session:?}"));
        true
    }

    #[test]
    fn real_lines_are_plain() {
        let count = RAW.lines().filter(|line| is_plain(line.as_bytes())).count();
        // All but the common log lines.
        assert_eq!(count, 51);
        let tail = r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe~ be/s1 0/0/0/-1/1001 504 198 - - sH-- 1/1/0/0/0 0/0 "GET / HTTP/1.1" 0/0/0/0/0 gw/TLSv1.3/X"#;
        assert!(is_plain(tail.as_bytes()));
    }

    proptest! {
        #[test]
        fn a_damaged_line_is_the_same_either_way(
            at in any::<prop::sample::Index>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
                prop::sample::select(&b" /-+0\"{}[]:"[..]),
                any::<u8>(),
            ]), 1..4),
        ) {
            let lines: Vec<_> = RAW.lines().collect();
            let mut line = lines[at.index(lines.len())].as_bytes().to_vec();
            for (at, byte) in damage {
                let at = at.index(line.len().min(150));
                line[at] = byte;
            }
            is_plain(&line);
        }

        #[test]
        fn the_first_is_found(text in prop::collection::vec(prop_oneof![10 => Just(b'a'), 1 => Just(b'!'), 1 => Just(b' '), 2 => any::<u8>()], 0..40)) {
            prop_assert_eq!(first(&text, b' '), text.iter().position(|b| *b == b' '));
        }

        #[test]
        fn the_fifth_number_is_the_last(text in "[0-9]{1,4}(/[+-]?[0-9]{0,5}){3,5}", behind in "[ -~]{16}") {
            let line = format!("{text} {behind}");
            let found = last_of_five(line.as_bytes()).map(|five| (five.last, five.rest));
            let want = numbers(text.as_bytes()).filter(|n| n.count == 5).map(|n| (n.last, behind.as_bytes()));
            prop_assert_eq!(found, want);
        }
    }
}
