//! The values of an attempt's labels, and whether a known series has them.

use crate::series::{Label, LabelSet, Plan, Source, cut};
use gatewatch_parsers::{Attempt, Record};

/// Labels that are carried.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) labels: Vec<(u8, Label)>,
    /// Which of the built-in ones, in the order of [`Label`].
    pub(super) built_in: [bool; 6],
    /// Whether there are others: captures.
    pub(super) captures: bool,
}

impl Carried {
    pub(super) fn new(labels: Vec<(u8, Label)>) -> Carried {
        let mut built_in = [false; 6];
        let mut captures = false;
        for (_, label) in &labels {
            match built_in.get_mut(*label as usize) {
                Some(carried) => *carried = true,
                None => captures = true,
            }
        }
        Carried { labels, built_in, captures }
    }

    /// The captures into a hash of the rest: an exit's is all that tells its series from another's.
    pub(super) fn hash_of_captures(&self, plan: &Plan, values: &Values<'_>, hash: u64) -> u64 {
        let captures = self.labels.iter().filter(|(_, label)| *label == Label::Capture);
        captures.fold(hash, |hash, &(index, label)| {
            let [first, last] = words(values.get(plan, index, label));
            (hash.rotate_left(5) ^ first ^ last.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        })
    }
}

/// The built-in labels of a series as words: length, first and last eight bytes of each. To compare these costs a tenth
/// of comparing the values, and up to sixteen bytes they are all that a value is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// A byte a label.
    lengths: u64,
    words: [u64; 12],
}

impl Key {
    pub(super) const EMPTY: Key = Key { lengths: 0, words: [0; 12] };

    #[inline(always)]
    pub(super) fn of(values: &Values<'_>, carried: [bool; 6]) -> Key {
        let mut key = Key::EMPTY;
        for (i, (value, carried)) in values.built_in.iter().zip(carried).enumerate() {
            if carried && !value.is_empty() {
                key.lengths |= (value.len() as u64) << (8 * i);
                [key.words[2 * i], key.words[2 * i + 1]] = words(value);
            }
        }
        key
    }

    /// Puts the value of a built-in label, of which nothing was put yet.
    #[inline(always)]
    pub(super) fn put(&mut self, label: Label, value: &[u8]) {
        let at = label as usize;
        if at < 6 {
            self.lengths |= (value.len() as u64) << (8 * at);
            [self.words[2 * at], self.words[2 * at + 1]] = words(value);
        }
    }

    #[inline(always)]
    pub(super) fn is(&self, other: &Key) -> bool {
        let differs =
            self.words.iter().zip(&other.words).fold(self.lengths ^ other.lengths, |d, (a, b)| d | (a ^ b));
        differs == 0
    }

    /// Whether no value is longer than what the words show: at most [`cut`]'s 128 bytes, so no byte overflows.
    #[inline]
    pub(super) fn says_all(&self) -> bool {
        (self.lengths + 0x6F6F_6F6F_6F6F) & 0x8080_8080_8080 == 0
    }

    /// Cheap, and only a hint. The input and the region follow from the rest, nearly always, and the pool from the
    /// upstream.
    #[inline(always)]
    pub(super) fn hash(&self, has_upstream: bool) -> u64 {
        let pool = if has_upstream { Label::Upstream } else { Label::Pool };
        let of = |label: Label, factor: u64| {
            let at = 2 * label as usize;
            (self.words[at] ^ self.words[at + 1].rotate_left(29)).wrapping_mul(factor)
        };
        of(Label::Node, 0x9E37_79B9_7F4A_7C15)
            ^ of(pool, 0xC2B2_AE3D_27D4_EB4F)
            ^ of(Label::Site, 0x1656_67B1_9E37_79F9)
            ^ self.lengths.wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }
}

/// The first and the last bytes of a value: eight, four, or what there are.
#[inline]
fn words(value: &[u8]) -> [u64; 2] {
    match (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        (Some(first), Some(last)) => [u64::from_le_bytes(*first), u64::from_le_bytes(*last)],
        _ => match (value.first_chunk::<4>(), value.last_chunk::<4>(), value) {
            (Some(first), Some(last), _) => [*first, *last].map(|four| u64::from(u32::from_le_bytes(four))),
            // Of three bytes at most, these are all.
            (_, _, [first, .., last]) => {
                let middle = value.get(1).copied().unwrap_or_default();
                [u64::from(*first) | u64::from(middle) << 8 | u64::from(*last) << 16, 0]
            }
            _ => [value.first().map_or(0, |byte| u64::from(*byte)), 0],
        },
    }
}

/// The values of an attempt's labels.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    /// In the order of [`Label`], cut.
    pub(super) built_in: [&'a [u8]; 6],
    pub(super) source: &'a Source,
    pub(super) record: &'a Record<'a>,
}

impl<'a> Values<'a> {
    #[inline]
    pub(super) fn get(&self, plan: &Plan, index: u8, label: Label) -> &'a [u8] {
        match self.built_in.get(label as usize) {
            Some(value) => value,
            None => {
                let name = plan.names().get(usize::from(index)).map_or("", String::as_str);
                cut(self.source.capture(self.record, name))
            }
        }
    }

    #[inline(always)]
    pub(super) fn set_upstream(&mut self, attempt: &Attempt<'a>, pool: &'a [u8]) {
        self.built_in[Label::Pool as usize] = cut(if attempt.pool.is_empty() { pool } else { attempt.pool });
        self.built_in[Label::Upstream as usize] = cut(attempt.upstream);
    }

    #[inline]
    pub(super) fn set(&mut self, label: Label, value: &'a [u8]) {
        if let Some(slot) = self.built_in.get_mut(label as usize) {
            *slot = cut(value);
        }
    }

    /// Whether an upstream is named, and its pool is not.
    #[inline]
    pub(super) fn lacks_pool(&self) -> bool {
        self.built_in[Label::Pool as usize].is_empty() && self.has_upstream()
    }

    #[inline]
    pub(super) fn has_upstream(&self) -> bool {
        !self.built_in[Label::Upstream as usize].is_empty()
    }
}

/// Whether a label set has these values. Labels that are not carried are empty in both: the upstream decides which are
/// carried, and it is compared.
#[inline]
pub(super) fn is_set(set: &LabelSet, plan: &Plan, carried: &[(u8, Label)], values: &Values<'_>) -> bool {
    let Some((lengths, mut rest)) = set.parts() else { return false };
    carried.iter().all(|&(index, label)| {
        let value = values.get(plan, index, label);
        let Some(length) = lengths.get(usize::from(index)) else { return false };
        if usize::from(*length) != value.len() {
            return false;
        }
        let Some((own, after)) = rest.split_at_checked(value.len()) else { return false };
        rest = after;
        same(own, value)
    })
}

/// Equality of slices of equal length. Values are short, and a call of `memcmp` for each costs more than all else here.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(a_last), Some(b_last)) => {
            a_last == b_last && a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).all(|(a, b)| a == b)
        }
        _ => match (
            a.first_chunk::<4>().zip(a.last_chunk::<4>()),
            b.first_chunk::<4>().zip(b.last_chunk::<4>()),
        ) {
            (Some(a), Some(b)) => a == b,
            _ => a.iter().zip(b).all(|(a, b)| a == b),
        },
    }
}
