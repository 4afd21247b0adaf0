//! Exit × target, of records that name both: counted by step, beside the series and not as one of them.

use crate::block::Block;
use crate::pairs::{Pair, Tried};
use crate::series::Source;
use crate::two_way::{EXIT, PROVIDER};
use gatewatch_parsers::Record;
use std::collections::HashMap;

/// So many pairs are known from block to block; beyond, all are forgotten.
const KNOWN_MAX: usize = 8192;

/// Where each pair was counted last.
#[derive(Debug, Default)]
pub(super) struct Exits {
    // Names come from log lines: the map's hash is keyed at random.
    known: HashMap<Box<[u8]>, Place>,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    epoch: u32,
    step: i64,
    cell: u32,
}

impl Exits {
    #[inline]
    pub(super) fn count(
        &mut self,
        source: &Source,
        record: &Record<'_>,
        step: i64,
        epoch: u32,
        block: &mut Block,
    ) {
        // Of nearly all logs this is all.
        if source.extra.is_empty() && source.path_labels.is_empty() {
            return;
        }
        let Some(pair) = pair(source, record) else { return };
        let tried = Tried::once(record.status, record.outcome.gateway_error().is_some());
        self.scratch.clear();
        pair.write(&mut self.scratch);
        let place = match self.known.get_mut(&self.scratch[..]) {
            Some(place) => place,
            None => self.known.entry(self.scratch[..].into()).or_insert(Place {
                epoch: epoch.wrapping_sub(1),
                step,
                cell: 0,
            }),
        };
        if place.epoch != epoch || place.step != step {
            *place = Place { epoch, step, cell: block.add_pair(&self.scratch, step) };
        }
        block.count_pair(place.cell, &tried);
    }

    /// A block was taken.
    pub(super) fn rest(&mut self) {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
    }
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
