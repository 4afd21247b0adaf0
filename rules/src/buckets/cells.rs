//! A series' counts as bytes, of which a state has up to a million: two or three for a step or minute of requests that
//! ended well, a few more where some failed.
//!
//! A cell is a byte of marks, then, as far as the marks say so: the gap to the cell before it, a second byte of marks,
//! requests, attempts, gateway errors, failed attempts, masked, aborted, abandoned, details. Numbers are LEB128; requests
//! and gateway errors are told from those of the cell before, since traffic is steady more often than not.

use super::Cells;
use crate::saved::Bytes;
use crate::tally::{Detail, Numbers, Tally};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// There are as many attempts as requests.
const EACH_ONCE: u8 = 1;
/// Else there may be another number of them.
const ATTEMPTS: u8 = 1 << 1;
const ERRORS: u8 = 1 << 2;
/// As many attempts failed as there are gateway errors.
const EACH_FAILED: u8 = 1 << 3;
/// Else another number may have.
const FAILED: u8 = 1 << 4;
const DETAILS: u8 = 1 << 5;
const MORE_MARKS: u8 = 1 << 6;
/// It does not follow upon the last cell, or is the first.
const GAP: u8 = 1 << 7;

const MASKED: u8 = 1;
const ABORTED: u8 = 1 << 1;
const ABANDONED: u8 = 1 << 2;

/// A detail is its distance from the one before it, and these.
const DETAIL_MORE: u64 = 1;
/// It counts all the gateway errors, or all the failed attempts.
const DETAIL_ALL: u64 = 2;
const DETAIL_BITS: u32 = 2;

/// The cells of a series: those that are held, or such as were saved.
#[derive(Clone, Debug)]
pub(super) enum Saved<'a> {
    /// Those from this number on.
    Held(&'a Cells, i64),
    Bytes(Bytes),
}

impl Serialize for Saved<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Saved::Held(cells, from) => to.serialize_bytes(&encode(since(cells, *from))),
            Saved::Bytes(bytes) => bytes.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Saved<'_> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Bytes::deserialize(from).map(Saved::Bytes)
    }
}

impl Saved<'_> {
    /// `None`: these bytes were not written by this.
    pub fn cells(self) -> Option<Cells> {
        match self {
            Saved::Held(cells, from) => Some(since(cells, from).cloned().collect()),
            Saved::Bytes(bytes) => decode(&bytes.0),
        }
    }
}

fn since(cells: &Cells, from: i64) -> impl Iterator<Item = &(i64, Tally)> {
    cells.iter().skip_while(move |(number, _)| *number < from)
}

fn encode<'a>(cells: impl IntoIterator<Item = &'a (i64, Tally)>) -> Vec<u8> {
    let cells = cells.into_iter();
    let mut out = Vec::with_capacity(cells.size_hint().1.unwrap_or(0) * 4);
    let (mut next, mut last) = (0, Numbers::default());
    for (number, tally) in cells {
        write_cell(&mut out, number.wrapping_sub(next), &last, tally);
        next = number.wrapping_add(1);
        last = *tally.numbers();
    }
    out
}

fn write_cell(out: &mut Vec<u8>, gap: i64, last: &Numbers, tally: &Tally) {
    let numbers = tally.numbers();
    let mark = |is: bool, mark: u8| if is { mark } else { 0 };
    let more = mark(numbers.masked > 0, MASKED)
        | mark(numbers.aborted > 0, ABORTED)
        | mark(numbers.abandoned > 0, ABANDONED);
    let attempts = match numbers.attempts {
        0 => 0,
        n if n == numbers.requests => EACH_ONCE,
        _ => ATTEMPTS,
    };
    let failed = match numbers.failed_attempts {
        0 => 0,
        n if n == numbers.gateway_errors => EACH_FAILED,
        _ => FAILED,
    };
    let marks = attempts
        | failed
        | mark(numbers.gateway_errors > 0, ERRORS)
        | mark(tally.details().next().is_some(), DETAILS)
        | mark(more != 0, MORE_MARKS)
        | mark(gap != 0, GAP);
    out.push(marks);
    if gap != 0 {
        write_signed(out, gap);
    }
    if more != 0 {
        out.push(more);
    }
    write_signed(out, i64::from(numbers.requests) - i64::from(last.requests));
    if marks & ERRORS != 0 {
        write_signed(out, i64::from(numbers.gateway_errors) - i64::from(last.gateway_errors));
    }
    for (is_there, number) in [
        (marks & ATTEMPTS, numbers.attempts),
        (marks & FAILED, numbers.failed_attempts),
        (more & MASKED, numbers.masked),
        (more & ABORTED, numbers.aborted),
        (more & ABANDONED, numbers.abandoned),
    ] {
        if is_there != 0 {
            write(out, number.into());
        }
    }
    write_details(out, tally);
}

fn write_details(out: &mut Vec<u8>, tally: &Tally) {
    let mut details: Vec<_> = tally.details().map(|(detail, count)| (detail.code(), detail, count)).collect();
    details.sort_unstable_by_key(|detail| detail.0);
    let (mut last, mut left) = (0, details.len());
    for (code, detail, count) in details {
        left -= 1;
        let all = whole(detail, tally.numbers()) == count;
        let distance = u64::from(code - last) << DETAIL_BITS;
        write(out, distance | if all { DETAIL_ALL } else { 0 } | if left > 0 { DETAIL_MORE } else { 0 });
        if !all {
            write(out, count.into());
        }
        last = code;
    }
}

/// What a detail is nearly always a part of, and often all of.
fn whole(detail: Detail, numbers: &Numbers) -> u32 {
    if detail.is_failed() { numbers.failed_attempts } else { numbers.gateway_errors }
}

fn decode(mut bytes: &[u8]) -> Option<Cells> {
    let mut cells = Cells::new();
    let (mut next, mut before) = (0i64, Numbers::default());
    while !bytes.is_empty() {
        let (gap, tally) = read_cell(&mut bytes, &before)?;
        let number = next.checked_add(gap)?;
        if cells.back().is_some_and(|(last, _)| *last >= number) {
            return None;
        }
        next = number.checked_add(1)?;
        before = *tally.numbers();
        cells.push_back((number, tally));
    }
    Some(cells)
}

fn read_cell(bytes: &mut &[u8], last: &Numbers) -> Option<(i64, Tally)> {
    let marks = byte(bytes)?;
    let gap = if marks & GAP == 0 { 0 } else { read_signed(bytes)? };
    let more = if marks & MORE_MARKS == 0 { 0 } else { byte(bytes)? };
    let mut from = |last: u32| u32::try_from(i64::from(last).checked_add(read_signed(bytes)?)?).ok();
    let requests = from(last.requests)?;
    let gateway_errors = if marks & ERRORS == 0 { 0 } else { from(last.gateway_errors)? };
    let mut number = |is_there: u8| if is_there == 0 { Some(0) } else { u32::try_from(read(bytes)?).ok() };
    let mut numbers = Numbers {
        requests,
        gateway_errors,
        attempts: number(marks & ATTEMPTS)?,
        failed_attempts: number(marks & FAILED)?,
        masked: number(more & MASKED)?,
        aborted: number(more & ABORTED)?,
        abandoned: number(more & ABANDONED)?,
    };
    if marks & EACH_ONCE != 0 {
        numbers.attempts = numbers.requests;
    }
    if marks & EACH_FAILED != 0 {
        numbers.failed_attempts = numbers.gateway_errors;
    }
    let mut tally = Tally::default();
    tally.add_numbers(&numbers);
    if marks & DETAILS != 0 {
        read_details(bytes, &numbers, &mut tally)?;
    }
    Some((gap, tally))
}

fn read_details(bytes: &mut &[u8], numbers: &Numbers, tally: &mut Tally) -> Option<()> {
    let (mut code, mut is_first) = (0u16, true);
    loop {
        let head = read(bytes)?;
        let distance = u16::try_from(head >> DETAIL_BITS).ok()?;
        if distance == 0 && !is_first {
            return None;
        }
        (code, is_first) = (code.checked_add(distance)?, false);
        let detail = Detail::from_code(code)?;
        let count =
            if head & DETAIL_ALL == 0 { u32::try_from(read(bytes)?).ok()? } else { whole(detail, numbers) };
        tally.add_detail(detail, count);
        if head & DETAIL_MORE == 0 {
            return Some(());
        }
    }
}

fn write(out: &mut Vec<u8>, mut number: u64) {
    while let low @ 0x80.. = number {
        out.push((low & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Sign last, so that small numbers of either sign are short.
fn write_signed(out: &mut Vec<u8>, number: i64) {
    write(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

fn read_signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = read(bytes)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let next = byte(bytes)?;
        number |= u64::from(next & 0x7f).checked_shl(shift)?;
        if next & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_parsers::{Origin, Reason, Status};
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![6 => Just(0u32), 6 => 1..400u32, 1 => any::<u32>()]
    }

    fn tally() -> impl Strategy<Value = Tally> {
        let detail = prop_oneof![
            (0..Reason::ALL.len()).prop_map(|i| Detail::reason(Reason::ALL[i])),
            (0..Origin::ALL.len()).prop_map(|i| Detail::origin(Origin::ALL[i])),
            (0..Reason::ALL.len()).prop_map(|i| Detail::failed(Reason::ALL[i])),
            (0..Reason::ALL.len()).prop_map(|i| Detail::diagnosed(Reason::ALL[i])),
            (0..Reason::ALL.len()).prop_map(|i| Detail::cut(Reason::ALL[i])),
            (0..=1000u16).prop_map(|status| Detail::status(Status::new(status))),
        ];
        let count = proptest::option::of(number());
        let details =
            prop_oneof![Just(Vec::new()).boxed(), proptest::collection::vec((detail, count), 0..6).boxed()];
        (proptest::array::uniform7(number()), any::<[bool; 2]>(), details).prop_map(|(n, same, details)| {
            let numbers = Numbers {
                requests: n[0],
                gateway_errors: n[1],
                attempts: if same[0] { n[0] } else { n[2] },
                failed_attempts: if same[1] { n[1] } else { n[3] },
                masked: n[4],
                aborted: n[5],
                abandoned: n[6],
            };
            let mut tally = Tally::default();
            tally.add_numbers(&numbers);
            for (detail, count) in details {
                tally.add_detail(detail, count.unwrap_or(whole(detail, &numbers)));
            }
            tally
        })
    }

    fn cells() -> impl Strategy<Value = Cells> {
        let gap = prop_oneof![4 => Just(0i64), 2 => 0..100i64, 1 => 0..1_000_000_000_000i64];
        let start = prop_oneof![Just(0i64), -100..100i64, 360_000_000..400_000_000i64];
        (start, proptest::collection::vec((gap, tally()), 0..20)).prop_map(|(mut next, cells)| {
            let place = |(gap, tally): (i64, Tally)| {
                let number = next + gap;
                next = number + 1;
                (number, tally)
            };
            cells.into_iter().map(place).collect()
        })
    }

    proptest! {
        #[test]
        fn cells_come_back(cells in cells()) {
            prop_assert_eq!(decode(&encode(&cells)), Some(cells));
        }

        #[test]
        fn any_bytes_are_refused_or_are_cells(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(cells) = decode(&bytes) {
                prop_assert!(cells.iter().is_sorted_by(|a, b| a.0 < b.0));
                prop_assert_eq!(decode(&encode(&cells)), Some(cells));
            }
        }
    }

    #[test]
    fn a_minute_without_errors_is_two_bytes_and_one_with_some_four() {
        let cells = |errors: u32| -> Cells {
            let cell = |minute: u32| {
                let mut tally = Tally::default();
                let requests = 600 + minute % 60;
                tally.add_numbers(&Numbers { requests, attempts: requests, ..Numbers::default() });
                if errors > 0 {
                    let (gateway_errors, failed_attempts) = (errors, errors);
                    tally.add_numbers(&Numbers { gateway_errors, failed_attempts, ..Numbers::default() });
                    tally.add_detail(Detail::status(Status::new(504)), errors);
                }
                (29_000_000 + i64::from(minute), tally)
            };
            (0..360).map(cell).collect()
        };
        assert_eq!(encode(&cells(0)).len(), 360 * 2 + 5);
        assert_eq!(encode(&cells(300)).len(), 360 * 4 + 6);
    }
}
