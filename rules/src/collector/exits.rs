//! Exit × target, of records that name both: counted by step, beside the series and not as one of them.

use crate::block::Block;
use crate::pairs::{Pair, Tried};
use crate::series::Source;
use crate::two_way::{EXIT, PROVIDER};
use gatewatch_parsers::Record;
use std::collections::HashMap;

/// So many pairs are known from block to block; beyond, all are forgotten.
const KNOWN_MAX: usize = 8192;
/// Slots of the table of shortcuts; a power of two.
const SHORTCUTS: usize = 4096;

/// Where each pair was counted last.
#[derive(Debug, Default)]
pub(super) struct Exits {
    // Names come from log lines: the map's hash is keyed at random.
    places: HashMap<Box<[u8]>, u32>,
    known: Vec<Known>,
    /// By a cheap hash of a pair's bytes, its place in `known`: only a hint. Empty until there is a pair.
    shortcuts: Vec<u32>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Known {
    pair: Box<[u8]>,
    epoch: u32,
    step: i64,
    cell: u32,
}

impl Exits {
    #[inline(always)]
    pub(super) fn count(
        &mut self,
        source: &Source,
        record: &Record<'_>,
        step: i64,
        epoch: u32,
        block: &mut Block,
    ) {
        // Of nearly all logs this is all.
        if !source.extra.is_empty() || !source.path_labels.is_empty() {
            self.count_pair(source, record, step, epoch, block);
        }
    }

    fn count_pair(&mut self, source: &Source, record: &Record<'_>, step: i64, epoch: u32, block: &mut Block) {
        let Some(pair) = pair(source, record) else { return };
        self.scratch.clear();
        pair.write(&mut self.scratch);
        let Some(known) = self.find(epoch, step) else { return };
        if known.epoch != epoch || known.step != step {
            (known.epoch, known.step, known.cell) = (epoch, step, block.add_pair(&known.pair, step));
        }
        let tried = Tried::once(record.status, record.outcome.gateway_error().is_some());
        block.count_pair(known.cell, &tried);
    }

    /// The pair whose bytes are in `scratch`; a new one has been counted nowhere.
    fn find(&mut self, epoch: u32, step: i64) -> Option<&mut Known> {
        let shortcut = hash(&self.scratch) % SHORTCUTS;
        let hint = self.shortcuts.get(shortcut).map_or(usize::MAX, |at| *at as usize);
        let at = match self.known.get(hint) {
            Some(known) if *known.pair == *self.scratch => hint,
            _ => self.find_slowly(shortcut, epoch, step) as usize,
        };
        self.known.get_mut(at)
    }

    #[inline(never)]
    fn find_slowly(&mut self, shortcut: usize, epoch: u32, step: i64) -> u32 {
        let at = match self.places.get(&self.scratch[..]) {
            Some(at) => *at,
            None => {
                let at = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
                let pair: Box<[u8]> = self.scratch[..].into();
                self.places.insert(pair.clone(), at);
                self.known.push(Known { pair, epoch: epoch.wrapping_sub(1), step, cell: 0 });
                at
            }
        };
        self.shortcuts.resize(SHORTCUTS, u32::MAX);
        if let Some(slot) = self.shortcuts.get_mut(shortcut) {
            *slot = at;
        }
        at
    }

    /// A block was taken.
    pub(super) fn rest(&mut self) {
        if self.known.len() > KNOWN_MAX {
            self.places.clear();
            self.known.clear();
            self.shortcuts.clear();
        }
    }
}

/// Cheap, and no defence against chosen values.
fn hash(bytes: &[u8]) -> usize {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    (mix(hash, last) >> 48) as usize
}

/// The exit that a record names, or else its provider; and the target that the line or the path names: a file's name is
/// no target.
fn pair<'a>(source: &'a Source, record: &Record<'a>) -> Option<Pair<'a>> {
    let exit = source.capture(record, EXIT);
    let provider = source.capture(record, PROVIDER);
    let exit = if exit.is_empty() { provider } else { exit };
    let target = source.choose(record.site, "site", "");
    (!exit.is_empty() && !target.is_empty()).then_some(Pair { exit, provider, target })
}
