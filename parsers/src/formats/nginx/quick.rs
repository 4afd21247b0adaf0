//! The quick way along a format's steps, for a line on which no step leaves a choice: nearly every line. Short numbers
//! are measured by the word. Whatever is not quite so is left to [`super::steps`], which gives the same for these lines.

use super::steps::{End, Ends, Literal, Slots, Step};
use super::variables::Shape;
use crate::text::{self, ONES, TOPS, word_at};

/// How much is looked at before a vector search takes over.
const NEAR: usize = 32;

/// How the end of a step's value is found here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    /// 26 bytes of `$time_local`.
    Clf,
    /// Three digits.
    Status,
    /// As many digits and points as there are, or a dash, or nothing.
    Number,
    /// The same; `0.019` nearly always.
    Seconds,
    /// At the next quote, which may be far.
    Quoted,
    /// At the next quote, which is near.
    QuotedAddresses,
    /// As `Quoted`; one number stands there nearly always.
    QuotedNumbers,
    /// So far before the next quote.
    BeforeQuote(usize),
    /// At the next blank.
    Word,
    /// One item, with no blank in it; a blank follows.
    Item,
    /// At this byte, just before the next blank.
    BeforeBlank(u8),
    /// As [`Step::end`] says.
    Slowly,
}

impl Quick {
    pub(super) fn of(shape: Shape, ends: Ends, literal: &str, no_quotes: bool) -> Quick {
        let before_blank = match literal.as_bytes() {
            [first, b' ', ..] if no_quotes && *first != b' ' => Some(*first),
            _ => None,
        };
        match (ends, shape) {
            (Ends::Shape, Shape::Clf) => Quick::Clf,
            (Ends::Shape, Shape::Status) => Quick::Status,
            (Ends::Shape, Shape::Number) => Quick::Number,
            (Ends::Shape, Shape::Decimal) => Quick::Seconds,
            (Ends::Quote, Shape::Free) => Quick::Quoted,
            (Ends::Quote, Shape::Addresses) => Quick::QuotedAddresses,
            (Ends::Quote, Shape::Numbers | Shape::Statuses) => Quick::QuotedNumbers,
            (Ends::BeforeQuote(back), _) => Quick::BeforeQuote(back),
            (Ends::Word, _) => Quick::Word,
            (Ends::List, _) if literal.starts_with(' ') => Quick::Item,
            (Ends::Choice, Shape::Token) => before_blank.map_or(Quick::Slowly, Quick::BeforeBlank),
            _ => Quick::Slowly,
        }
    }
}

/// Reads a whole line into the slots. `None`: it takes more than this.
#[inline(always)]
pub(super) fn read<'a>(head: &Literal, steps: &[Step], line: &'a [u8], slots: &mut Slots<'a>) -> Option<()> {
    if !head.is_at(line, 0) {
        return None;
    }
    let mut pos = head.len();
    for step in steps {
        let end = end(step, line, pos)?;
        if !step.literal.is_at(line, end) {
            return None;
        }
        if let Some(slot) = step.slot
            && let Some(kept) = slots.get_mut(slot as usize)
        {
            *kept = line.get(pos..end)?;
        }
        pos = end + step.literal.len();
    }
    (pos == line.len()).then_some(())
}

/// Where the value that begins at `pos` ends.
#[inline(always)]
fn end(step: &Step, line: &[u8], pos: usize) -> Option<usize> {
    match step.quick {
        Quick::Clf => is_clf(line.get(pos..)?).then_some(pos + 26),
        Quick::Status => (run(word_at(line, pos), b'0') == 3).then_some(pos + 3),
        Quick::Seconds if is_seconds(word_at(line, pos), &step.literal) => Some(pos + 5),
        Quick::Number | Quick::Seconds => match run(word_at(line, pos), b'.') {
            0 => Some(pos + usize::from(line.get(pos) == Some(&b'-'))),
            8 => slowly(step, line, pos),
            len => line.get(pos).is_some_and(u8::is_ascii_digit).then_some(pos + len),
        },
        Quick::Quoted => Some(pos + memchr::memchr(b'"', line.get(pos..)?)?),
        Quick::QuotedAddresses => near(b'"', line, pos),
        Quick::QuotedNumbers if is_seconds(word_at(line, pos), &step.literal) => Some(pos + 5),
        Quick::QuotedNumbers => {
            let end = pos + run(word_at(line, pos), b'-');
            // The literal begins with the quote.
            if line.get(end) == Some(&b'"') { Some(end) } else { slowly(step, line, pos) }
        }
        Quick::BeforeQuote(back) => near(b'"', line, pos)?.checked_sub(back).filter(|end| *end >= pos),
        Quick::Word => near(b' ', line, pos),
        Quick::Item => item(step, line, pos),
        Quick::BeforeBlank(first) => {
            let end = near(b' ', line, pos)?.checked_sub(1)?;
            text::find_either(first, b'"', line.get(pos..end)?).is_none().then_some(end)
        }
        Quick::Slowly => slowly(step, line, pos),
    }
}

#[inline(never)]
fn slowly(step: &Step, line: &[u8], pos: usize) -> Option<usize> {
    match step.end(line.get(pos..)?) {
        End::At(len, literal_len) if literal_len == step.literal.len() => Some(pos + len),
        _ => None,
    }
}

/// A list of one item; a blank and a colon would go on with it.
#[inline(always)]
fn item(step: &Step, line: &[u8], pos: usize) -> Option<usize> {
    let digits = match step.shape {
        Shape::Addresses => {
            let end = near(b' ', line, pos)?;
            let value = line.get(pos..end)?;
            let fits = !value.is_empty() && (text::is_ip_and_port(value) || step.shape.fits(value));
            return (fits && line.get(end + 1) != Some(&b':')).then_some(end);
        }
        Shape::Statuses => run(word_at(line, pos), b'0'),
        _ if is_seconds(word_at(line, pos), &step.literal) => 5,
        _ => run(word_at(line, pos), b'.'),
    };
    let (first, most) = (line.get(pos)?, if step.shape == Shape::Statuses { 3 } else { 7 });
    let len = match digits {
        0 if *first == b'-' => 1,
        len if len <= most && first.is_ascii_digit() => len,
        _ => return slowly(step, line, pos),
    };
    match line.get(pos + len..)? {
        [b' ', next, ..] if *next != b':' => Some(pos + len),
        _ => slowly(step, line, pos),
    }
}

#[inline(always)]
fn near(byte: u8, line: &[u8], pos: usize) -> Option<usize> {
    let pattern = ONES * u64::from(byte);
    let mut at = pos;
    // Beyond the line's end there are zeros, which nobody looks for.
    while at < pos + NEAR {
        let hits = text::zero_bytes(word_at(line, at) ^ pattern);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Some(at + memchr::memchr(byte, line.get(at..)?)?)
}

/// `0.019` and the first byte of a literal that does not look like a number's next.
#[inline(always)]
fn is_seconds(word: u64, literal: &Literal) -> bool {
    const MASK: u64 = u64::from_le_bytes([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0]);
    const ZERO: u64 = u64::from_le_bytes(*b"0.000\0\0\0");
    // Takes a digit above nine, and any difference from the point, over the top bit.
    const OVER: u64 = u64::from_le_bytes([0x76, 0x7F, 0x76, 0x76, 0x76, 0, 0, 0]);
    let digits = (word ^ ZERO) & MASK;
    (digits | digits.wrapping_add(OVER)) & TOPS & MASK == 0 && literal.ends_number((word >> 40) as u8)
}

const fn at_least(low: u8) -> u64 {
    ONES * (0x80 - low as u64)
}

/// How many of a word's bytes, from the first, are digits or lie between `low` and the point.
#[inline(always)]
fn run(word: u64, low: u8) -> usize {
    let bytes = word & !TOPS;
    let from = |low: u8| bytes + at_least(low);
    let slash = from(b'/') & !from(b'0');
    let good = from(low) & !from(b'9' + 1) & !slash & !word;
    (!good & TOPS).trailing_zeros() as usize / 8
}

/// All bits of each byte that is not zero; for bytes below 0x80.
const fn filled(word: u64) -> u64 {
    ((word + ONES * 0x7F) & TOPS) / 0x80 * 0xFF
}

/// `22/Nov/2026:14:53:53 +0000`: only its outline.
#[inline(always)]
fn is_clf(rest: &[u8]) -> bool {
    // What stands between the numbers, eight bytes at a time.
    const MARKS: [u64; 3] = [
        u64::from_le_bytes(*b"\0\0/\0\0\0/\0"),
        u64::from_le_bytes(*b"\0\0\0:\0\0:\0"),
        u64::from_le_bytes(*b"\0:\0\0 \0\0\0"),
    ];
    let Some((date, _)) = rest.split_first_chunk::<26>() else { return false };
    let (&[a, b, c], _) = date.as_chunks::<8>() else { return false };
    let other = |word: [u8; 8], marks: u64| (u64::from_le_bytes(word) ^ marks) & filled(marks);
    let others = other(a, MARKS[0]) | other(b, MARKS[1]) | other(c, MARKS[2]);
    others == 0 && matches!(date[21], b'+' | b'-')
}

#[cfg(test)]
#[path = "quick_tests.rs"]
mod tests;
