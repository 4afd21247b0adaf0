//! Exit × target of the last minutes, for alerts: by step while steps are open, then in tables of ten minutes. What a step
//! counted enters in the order of names, so that how records were cut into blocks changes nothing.

use crate::block::{Block, FUTURE, LATE};
use crate::pairs::{PAIRS_MAX, Pairs, PairsState, Tried};
use crate::saved::{Bytes, Unsound, ensure, is_count, is_time};
use crate::two_way::TwoWay;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Length of a table; the current one and the one before are kept.
const PERIOD: Millis = 600_000;
/// Pairs of each.
const CAP: usize = PAIRS_MAX / 2;

/// Exits and targets of the last ten to twenty minutes.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// Steps that are not closed yet.
    open: BTreeMap<i64, BTreeMap<Box<[u8]>, Tried>>,
    /// Pairs in them: at most [`PAIRS_MAX`].
    waiting: usize,
    /// By period.
    closed: BTreeMap<i64, Pairs>,
    /// Requests that found no room while their step was open.
    left: u64,
}

impl Recent {
    /// Adds a block's pairs, but for those of steps that are closed.
    pub fn absorb(&mut self, block: &Block, first_open: i64) {
        for (key, step, tried) in block.pairs() {
            if step == LATE || step == FUTURE || step < first_open {
                continue;
            }
            let pairs = self.open.entry(step).or_default();
            if let Some(sum) = pairs.get_mut(key) {
                sum.add(tried);
            } else if self.waiting < PAIRS_MAX {
                pairs.insert(key.into(), *tried);
                self.waiting += 1;
            } else {
                self.left = self.left.saturating_add(tried.requests);
            }
        }
    }

    /// The steps that end at or before `end` are closed.
    pub fn close(&mut self, end: Millis, step: Millis) {
        while let Some(first) = self.open.first_entry().filter(|first| step_end(*first.key(), step) <= end) {
            let period = first.key().saturating_mul(step).div_euclid(PERIOD);
            let pairs = first.remove();
            self.waiting -= pairs.len();
            let table = self.closed.entry(period).or_insert_with(|| Pairs::new(CAP));
            pairs.iter().for_each(|(key, tried)| table.add(key, tried));
        }
        let current = end.saturating_sub(1).div_euclid(PERIOD);
        while self.closed.first_key_value().is_some_and(|(period, _)| *period < current.saturating_sub(1)) {
            self.closed.pop_first();
        }
    }

    /// What the closed steps show.
    pub fn view(&self) -> Option<TwoWay> {
        let mut tables = self.closed.values();
        let first = tables.next()?;
        let mut all = Pairs::new(2 * CAP);
        all.merge(first);
        tables.for_each(|table| all.merge(table));
        TwoWay::of(&all)
    }

    pub fn state(&self) -> RecentState {
        let pairs = |pairs: &BTreeMap<Box<[u8]>, Tried>| {
            pairs.iter().map(|(key, tried)| (Bytes(key.to_vec()), *tried)).collect()
        };
        RecentState {
            open: self.open.iter().map(|(step, of)| (*step, pairs(of))).collect(),
            closed: self.closed.iter().map(|(period, table)| (*period, table.state())).collect(),
            left: self.left,
        }
    }

    pub fn restore(state: RecentState, step: Millis) -> Result<Recent, Unsound> {
        ensure(is_count(state.left), "exits that found no room")?;
        let mut all = Recent { left: state.left, ..Recent::default() };
        for (number, pairs) in state.open {
            ensure(is_time(number.saturating_mul(step)), "a step of exits")?;
            // Read as a table is, so that the same is asked of it.
            let table = Pairs::restore(PairsState::of(pairs), PAIRS_MAX)?;
            all.waiting += table.len();
            let is_new = all.open.insert(number, table.into_map()).is_none();
            ensure(is_new && all.waiting <= PAIRS_MAX, "the open steps of exits")?;
        }
        for (period, table) in state.closed {
            ensure(is_time(period.saturating_mul(PERIOD)), "a time of exits")?;
            all.closed.insert(period, Pairs::restore(table, CAP)?);
            ensure(all.closed.len() <= 3, "the times of exits")?;
        }
        Ok(all)
    }
}

fn step_end(number: i64, step: Millis) -> Millis {
    number.saturating_add(1).saturating_mul(step)
}

/// As it is saved.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RecentState {
    open: Vec<(i64, Vec<(Bytes, Tried)>)>,
    closed: Vec<(i64, PairsState)>,
    left: u64,
}
