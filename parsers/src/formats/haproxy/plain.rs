//! httplog as HAProxy itself writes it, with one space between fields: nearly every line of nearly every file. Where the
//! spaces are is found for 64 bytes at once without a branch, since fields differ in length from line to line and a
//! mispredicted branch costs more than a field. Whatever is not quite so is left to [`super::httplog`], which gives the
//! same for these lines, field by field.

use super::fields::{HIGH, LOW, captures, every, numbers, only_numbers, position, timer};
use super::httplog::status;
use super::session::{Mode, Request, Session};
use super::termination::Termination;

/// The places of the spaces in a line, in order.
struct Spaces<'a> {
    line: &'a [u8],
    /// A bit for each space of the block that is still to come.
    bits: u64,
    /// Where the block begins, and where the field after the last space does.
    block: usize,
    field: usize,
}

impl<'a> Spaces<'a> {
    #[inline(always)]
    fn new(line: &'a [u8]) -> Option<Spaces<'a>> {
        Some(Spaces { line, bits: block_bits(line)?, block: 0, field: 0 })
    }

    /// The next field: its beginning and its end. `None`: it is empty, or no whole block is left.
    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        while self.bits == 0 {
            self.block += 64;
            self.bits = block_bits(self.line.get(self.block..)?)?;
        }
        let end = self.block + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        let field = (self.field, end);
        self.field = end + 1;
        (field.0 < end).then_some(field)
    }

    #[inline(always)]
    fn take(&mut self) -> Option<&'a [u8]> {
        let (from, to) = self.next()?;
        self.line.get(from..to)
    }
}

/// A bit for each space in the first 64 bytes; for the last block of a line, of what is left.
#[inline(always)]
fn block_bits(rest: &[u8]) -> Option<u64> {
    match rest.first_chunk::<64>() {
        Some(block) => Some(bits_of(block)),
        None if rest.is_empty() => None,
        None => {
            let mut block = [0; 64];
            block.get_mut(..rest.len())?.copy_from_slice(rest);
            Some(bits_of(&block))
        }
    }
}

/// A bit for each space. The comparison becomes the machine's vector instructions.
#[inline(always)]
fn bits_of(block: &[u8; 64]) -> u64 {
    let spaces = block.map(|b| u8::from(b == b' '));
    let (words, _) = spaces.as_chunks::<8>();
    let mut bits = 0;
    for (i, word) in words.iter().enumerate() {
        // Gathers the lowest bits of eight bytes in the uppermost byte.
        let gathered = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * i);
    }
    bits
}

/// `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`, whole.
#[inline(always)]
pub(super) fn line(input: &[u8]) -> Option<Session<'_>> {
    let mut spaces = Spaces::new(input)?;
    spaces.next()?;
    let [b'[', date @ .., b']'] = spaces.take()? else { return None };
    if date.len() != 24 || spaces.take()?.last() == Some(&b':') {
        return None;
    }
    let upstream = spaces.take()?;
    let at = position(upstream, b'/')?;
    let (backend, server) = (upstream.get(..at)?, upstream.get(at + 1..)?);
    let total = last_of_five(input, spaces.next()?)?;
    let status = status(spaces.take()?)?;
    for _ in 0..3 {
        spaces.next()?;
    }
    let termination = Termination::parse(spaces.take()?)?;
    let retries = last_of_five(input, spaces.next()?)?;
    let queues = spaces.take()?;
    if backend.is_empty() || server.is_empty() || !is_pair(queues) {
        return None;
    }
    let (rest, request_headers) = captures(input.get(spaces.field..)?, "").ok()?;
    let rest = if request_headers.is_some() { captures(rest, "").ok()?.0 } else { rest };
    let [b'"', rest @ ..] = rest else { return None };
    let at = memchr::memchr(b'"', rest)?;
    if !matches!(rest.get(at + 1), None | Some(b' ')) {
        return None;
    }
    let mut session = Session::new();
    session.mode = Mode::Http;
    session.date = date;
    session.total = Some(timer(total)?);
    session.status = status;
    session.termination = termination;
    (session.backend, session.server, session.upstream) = (backend, server, upstream);
    session.retries = retries;
    session.request = Request::Line(rest.get(..at)?);
    Some(session)
}

/// The fifth of five numbers between slashes; quickly if they are no more than 16 bytes.
#[inline(always)]
fn last_of_five(line: &[u8], (from, to): (usize, usize)) -> Option<&[u8]> {
    let len = to - from;
    if len > 16 {
        return numbers(line.get(from..to)?).filter(|found| found.count == 5).map(|found| found.last);
    }
    let (chunks, _) = line.get(from..)?.first_chunk::<16>()?.as_chunks::<8>();
    let (mut count, mut last, mut foreign) = (0, 0, 0);
    for (i, chunk) in chunks.iter().enumerate() {
        let chunk = u64::from_le_bytes(*chunk);
        // The bits of what belongs to the field.
        let bytes = len.saturating_sub(8 * i).min(8);
        let inside = u64::MAX.checked_shr(64 - 8 * u32::try_from(bytes).ok()?).unwrap_or(0);
        let slashes = every(chunk, b'/') & inside;
        foreign |= !only_numbers(chunk) & inside & HIGH;
        count += slashes >> 7;
        if slashes != 0 {
            last = 8 * (i + 1) - (slashes.leading_zeros() / 8) as usize;
        }
    }
    // Two in each byte at most: the sum of all bytes fits in one.
    if foreign != 0 || count.wrapping_mul(LOW) >> 56 != 4 {
        return None;
    }
    line.get(from + last..to).filter(|last| !last.is_empty())
}

/// `0/0`, or any two numbers.
#[inline(always)]
fn is_pair(text: &[u8]) -> bool {
    text == b"0/0" || numbers(text).is_some_and(|found| found.count == 2)
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
        fn spaces_are_found(block in prop::collection::vec(prop_oneof![Just(b' '), any::<u8>()], 64)) {
            let block = <[u8; 64]>::try_from(block).unwrap();
            let want = (0..64).filter(|i| block[*i] == b' ').fold(0_u64, |bits, i| bits | 1 << i);
            prop_assert_eq!(bits_of(&block), want);
        }

        #[test]
        fn the_fifth_number_is_the_last(text in "[0-9]{1,4}(/[+-]?[0-9]{0,5}){3,5}", behind in "[ -~]{16}") {
            let line = format!("{text} {behind}");
            let found = last_of_five(line.as_bytes(), (0, text.len()));
            let want = numbers(text.as_bytes()).filter(|n| n.count == 5).map(|n| n.last);
            prop_assert_eq!(found, want);
        }
    }
}
