//! The pieces of a HAProxy line as nom steps. The short fields are split eight bytes at a time: a call of memchr costs
//! more than such a field, a loop over bytes twice as much.

use nom::IResult;
use nom::error::{ErrorKind, ParseError};

/// Where a line stopped making sense: HAProxy's name of the field, and what was wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped<'a> {
    pub rest: &'a [u8],
    pub field: &'static str,
    pub reason: &'static str,
}

impl<'a> ParseError<&'a [u8]> for Stopped<'a> {
    fn from_error_kind(rest: &'a [u8], _: ErrorKind) -> Stopped<'a> {
        Stopped { rest, field: crate::formats::LINE, reason: "not as expected" }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Stopped<'a>) -> Stopped<'a> {
        other
    }
}

pub(super) type Step<'a, T> = IResult<&'a [u8], T, Stopped<'a>>;

#[cold]
pub(super) fn stop<'a, T>(rest: &'a [u8], field: &'static str, reason: &'static str) -> Step<'a, T> {
    Err(nom::Err::Error(Stopped { rest, field, reason }))
}

/// Told every field as it is parsed: nobody on the hot path, a list for `explain`.
pub(super) trait Notes<'a> {
    /// Whether anybody listens.
    const HEARS: bool = true;

    fn note(&mut self, name: &'static str, value: &'a [u8]);
}

impl<'a> Notes<'a> for () {
    const HEARS: bool = false;

    #[inline(always)]
    fn note(&mut self, _: &'static str, _: &'a [u8]) {}
}

impl<'a> Notes<'a> for Vec<(&'static str, &'a [u8])> {
    fn note(&mut self, name: &'static str, value: &'a [u8]) {
        self.push((name, value));
    }
}

pub(super) const LOW: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGH: u64 = LOW << 7;

/// The high bit of every byte of `chunk` that equals `byte`; above the first such byte it may err.
#[inline(always)]
pub(super) fn equal(chunk: u64, byte: u8) -> u64 {
    let x = chunk ^ (LOW * u64::from(byte));
    x.wrapping_sub(LOW) & !x & HIGH
}

/// The high bit of every byte of `chunk` that equals `byte`, and no other.
#[inline(always)]
pub(super) fn every(chunk: u64, byte: u8) -> u64 {
    let x = chunk ^ (LOW * u64::from(byte));
    !(((x & !HIGH) + !HIGH) | x) & HIGH
}

/// The high bit of every byte of `chunk` from `+` to `9`: those of numbers, signs and slashes.
#[inline(always)]
pub(super) fn only_numbers(chunk: u64) -> u64 {
    let at_least = (chunk | HIGH).wrapping_sub(LOW * u64::from(b'+'));
    let above = (chunk & !HIGH) + LOW * u64::from(0x7F - b'9');
    at_least & !above & !chunk & HIGH
}

/// Where this byte stands first, in a text that is expected to be short.
#[inline(always)]
pub(super) fn position(input: &[u8], byte: u8) -> Option<usize> {
    let mut rest = input;
    let mut before = 0;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let hit = equal(u64::from_le_bytes(*chunk), byte);
        if hit != 0 {
            return Some(before + (hit.trailing_zeros() / 8) as usize);
        }
        before += 8;
        rest = after;
    }
    rest.iter().position(|&b| b == byte).map(|at| before + at)
}

/// A word that is not empty and is followed by a space; takes the spaces, too.
#[inline(always)]
pub(super) fn word<'a>(input: &'a [u8], field: &'static str) -> Step<'a, &'a [u8]> {
    match position(input, b' ').and_then(|at| input.split_at_checked(at)) {
        Some((word, rest)) if !word.is_empty() => Ok((spaces(rest), word)),
        Some(_) => stop(input, field, "nothing is here"),
        None => stop(input, field, "the line ends here"),
    }
}

/// Skips spaces. One is the rule, more happen behind some relays.
#[inline(always)]
pub(super) fn spaces(input: &[u8]) -> &[u8] {
    match input {
        [b' ', b' ', ..] => many_spaces(input),
        [b' ', rest @ ..] => rest,
        _ => input,
    }
}

#[cold]
fn many_spaces(input: &[u8]) -> &[u8] {
    let at = input.iter().position(|b| *b != b' ').unwrap_or(input.len());
    input.get(at..).unwrap_or_default()
}

/// `[22/Nov/2026:14:54:06.956] `
#[inline(always)]
pub(super) fn date<'a>(input: &'a [u8], field: &'static str) -> Step<'a, &'a [u8]> {
    let [b'[', rest @ ..] = input else { return stop(input, field, "a date in brackets should be here") };
    let at = if rest.get(24) == Some(&b']') { Some(24) } else { memchr::memchr(b']', rest) };
    let Some(at) = at else { return stop(input, field, "the date has no end") };
    match (rest.get(..at), rest.get(at + 1..)) {
        (Some([]), _) => stop(input, field, "the date is empty"),
        (Some(date), Some([b' ', after @ ..])) => Ok((spaces(after), date)),
        _ => stop(input, field, "a space should follow the date"),
    }
}

/// A time in milliseconds as HAProxy logs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timer {
    /// -1: that phase was not reached.
    pub ms: i64,
    /// `+`: logged before the end (`option logasap`), so that it is a lower bound.
    pub at_least: bool,
}

/// `17`, `-1`, `+1001`. Nothing above 15 digits: no sum of such times overflows.
#[inline(always)]
pub(super) fn timer(text: &[u8]) -> Option<Timer> {
    let (at_least, digits) = match text {
        b"-1" => return Some(Timer { ms: -1, at_least: false }),
        [b'+', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    Some(Timer { ms: number(digits)?, at_least })
}

/// 1 to 15 digits.
#[inline(always)]
pub(super) fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut n = 0;
    for b in digits {
        let d = b.wrapping_sub(b'0');
        if d > 9 {
            return None;
        }
        n = n * 10 + i64::from(d);
    }
    Some(n)
}

/// The number of the last `len` bytes of these, all of them at once; `None`: they are not 1 to 8 digits.
#[inline(always)]
pub(super) fn number_at_end(bytes: &[u8; 8], len: usize) -> Option<i64> {
    let unused = 8_usize.checked_sub(len).filter(|unused| *unused < 8)?;
    // What is not used becomes zeros in front.
    let digits = (u64::from_le_bytes(*bytes) ^ (LOW * u64::from(b'0'))) >> (8 * unused) << (8 * unused);
    if (((digits & !HIGH) + LOW * (0x7F - 9)) | digits) & HIGH != 0 {
        return None;
    }
    // Neighbours by tens, then by hundreds, then by ten thousands.
    let pairs = digits.wrapping_mul(10) + (digits >> 8);
    let (even, odd) = (pairs & 0x0000_00FF_0000_00FF, (pairs >> 16) & 0x0000_00FF_0000_00FF);
    let sum = even.wrapping_mul(0x000F_4240_0000_0064).wrapping_add(odd.wrapping_mul(0x0000_2710_0000_0001));
    Some(i64::from((sum >> 32) as u32))
}

/// Numbers between slashes as one word: `0/0/0/1/1`, `1/-1/+1001`, `1/1/0/0/+2`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slashed<'a> {
    pub text: &'a [u8],
    /// How many numbers.
    pub count: usize,
    /// The last one.
    pub last: &'a [u8],
}

/// The numbers between slashes, if the next word is that.
pub(super) fn slashed<'a>(input: &'a [u8], field: &'static str) -> Step<'a, Slashed<'a>> {
    let (rest, text) = word(input, field)?;
    match numbers(text) {
        Some(found) => Ok((rest, found)),
        None => stop(input, field, "numbers and slashes should be here"),
    }
}

/// The same of a word that stands alone. Commas and dots pass for digits where only the last number counts.
pub(super) fn numbers(text: &[u8]) -> Option<Slashed<'_>> {
    let count = 1 + text.iter().filter(|b| **b == b'/').count();
    let last = text.rsplit(|b| *b == b'/').next().filter(|last| !last.is_empty())?;
    text.iter().all(|b| (b'+'..=b'9').contains(b)).then_some(Slashed { text, count, last })
}

/// A block of captured headers, `{a|b}`, without its braces. Inside, HAProxy writes a brace as `#7D`.
#[inline(always)]
pub(super) fn captures<'a>(input: &'a [u8], field: &'static str) -> Step<'a, Option<&'a [u8]>> {
    let [b'{', rest @ ..] = input else { return Ok((input, None)) };
    match position(rest, b'}') {
        Some(at) => match (rest.get(..at), rest.get(at + 1..)) {
            (Some(block), Some([b' ', after @ ..])) => Ok((spaces(after), Some(block))),
            (Some(block), Some([])) => Ok((&[], Some(block))),
            _ => stop(input, field, "a space should follow the captures"),
        },
        // Cut at the log's `len`: everything that is counted stands before.
        None => Ok((&[], Some(rest))),
    }
}
