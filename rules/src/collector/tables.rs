//! What `[regions]` and `[pools]` said of the values seen last: records ask the same again and again.

use crate::regions::By;
use crate::series::{Regions, Source, cut};
use crate::table::{NO_WORD, Table, Word};
use gatewatch_parsers::Record;
use std::sync::Arc;

/// Slots of a table of answers; a power of two.
const SLOTS: usize = 1024;
/// How far from its own slot an answer may lie.
const REACH: usize = 4;

/// What the tables of the source seen last said.
#[derive(Debug, Default)]
pub(super) struct Tables {
    regions: Arc<Regions>,
    of_region: Answers,
    pools: Arc<Table>,
    of_upstream: Answers,
}

impl Tables {
    /// The region of a record of this node, but for what only its upstream decides.
    #[inline]
    pub(super) fn region<'a>(&mut self, source: &'a Source, record: &Record<'a>, node: &[u8]) -> &'a [u8] {
        let own = source.own_region(record);
        if !own.is_empty() || source.regions.is_empty() {
            return if own.is_empty() { source.region.as_bytes() } else { own };
        }
        match source.regions.whose() {
            By::Node => self.look_up_region(source, node),
            By::Upstream => source.region.as_bytes(),
            _ => self.look_up_region(source, source.decides_region(record)),
        }
    }

    /// The region of an attempt, where upstreams decide.
    pub(super) fn region_of_upstream<'a>(
        &mut self,
        source: &'a Source,
        record: &Record<'a>,
        upstream: &[u8],
    ) -> &'a [u8] {
        let own = source.own_region(record);
        if own.is_empty() { self.look_up_region(source, upstream) } else { own }
    }

    fn look_up_region<'a>(&mut self, source: &'a Source, value: &[u8]) -> &'a [u8] {
        if !Arc::ptr_eq(&self.regions, &source.regions) {
            self.regions = Arc::clone(&source.regions);
            self.of_region = Answers::default();
        }
        let regions = &source.regions;
        source.region_of(regions.word(self.of_region.find(cut(value), |value| regions.position(value))))
    }

    /// The pool of an upstream.
    #[inline]
    pub(super) fn pool<'a>(&mut self, source: &'a Source, upstream: &[u8]) -> &'a [u8] {
        if !Arc::ptr_eq(&self.pools, &source.pools) {
            self.pools = Arc::clone(&source.pools);
            self.of_upstream = Answers::default();
        }
        let pools = &source.pools;
        pools.word(self.of_upstream.find(cut(upstream), |value| pools.position(value))).as_bytes()
    }
}

#[derive(Clone, Debug)]
struct Answer {
    value: Vec<u8>,
    word: Word,
    is_known: bool,
}

/// Values and their words. A value is at most a label's; a slot's memory is used again, so that a flood of values costs
/// time and no memory.
#[derive(Debug, Default)]
struct Answers(Vec<Answer>);

impl Answers {
    #[inline]
    fn find(&mut self, value: &[u8], look_up: impl FnOnce(&[u8]) -> Word) -> Word {
        let start = hash(value);
        for i in 0..REACH {
            match self.0.get((start + i) % SLOTS) {
                Some(answer) if answer.is_known && answer.value == value => return answer.word,
                _ => {}
            }
        }
        self.learn(start, value, look_up(value))
    }

    #[cold]
    fn learn(&mut self, start: usize, value: &[u8], word: Word) -> Word {
        if self.0.is_empty() {
            self.0.resize(SLOTS, Answer { value: Vec::new(), word: NO_WORD, is_known: false });
        }
        let places = (0..REACH).map(|i| (start + i) % SLOTS);
        let free = places.clone().find(|at| self.0.get(*at).is_some_and(|answer| !answer.is_known));
        if let Some(slot) = self.0.get_mut(free.unwrap_or(start % SLOTS)) {
            slot.value.clear();
            slot.value.extend_from_slice(value);
            (slot.word, slot.is_known) = (word, true);
        }
        word
    }
}

/// Cheap, and only a hint: the last bytes, in which addresses differ.
#[inline]
fn hash(value: &[u8]) -> usize {
    let word = |bytes: &[u8]| bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let last = value.last_chunk::<8>().map_or_else(|| word(value), |last| u64::from_le_bytes(*last));
    let first = value.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first));
    let mixed =
        (last ^ first.rotate_left(29) ^ (value.len() as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 48) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More values than slots: every answer is right, and the memory stays.
    #[test]
    fn answers_are_those_of_the_table() {
        let mut answers = Answers::default();
        for round in 0..3u32 {
            for i in 0..5_000u32 {
                let value = format!("10.{}.{}.{}:8080", round % 2, i / 256, i % 256);
                let found = answers.find(value.as_bytes(), |value| {
                    assert_eq!(value.len(), value.len().min(128));
                    i + round % 2
                });
                assert_eq!(found, i + round % 2, "{value}");
            }
        }
        assert_eq!(answers.0.len(), SLOTS);
    }
}
