//! A block of leaves: what a collector counted between two takes, as flat lists that are reused from block to block.

use crate::clues::Clue;
use crate::pairs::Tried;
use crate::series::{LabelSet, Plan};
use crate::servers::Seen;
use crate::tally::{Detail, Numbers};
use gatewatch_parsers::{Millis, Outcome, Reason, Status};

/// In place of a step: late by its own file.
pub(crate) const LATE: i64 = i64::MIN;
/// In place of a step: future.
pub(crate) const FUTURE: i64 = i64::MIN + 1;
/// No cell, no detail.
const NONE: u32 = u32::MAX;
/// So many cells of a series are looked through for a step; beyond, a second cell of the same step does no harm.
const LOOK_BACK: usize = 4;

/// Requests of one series that ended in one step and are alike, counted by someone else than a collector: a generator of
/// traffic, say. Equal to so many records.
#[derive(Clone, Copy, Debug)]
pub struct Alike {
    /// The step's number: its start ÷ the length of a step.
    pub step: i64,
    /// How many; 0: attempts only.
    pub requests: u32,
    /// What the clients got.
    pub status: Status,
    /// What that means.
    pub outcome: Outcome,
    /// Tries at this series' upstream, the requests' last ones and others.
    pub attempts: u32,
    /// Failed ones among them, all for this reason.
    pub failed: Option<(u32, Reason)>,
    /// Whether every request had a failed attempt somewhere: one that ended well is masked.
    pub retried: bool,
}

/// Leaves: counts by series and step. Empty when new; filled by `Collector::take`, or by [`Block::add_alike`].
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The label sets' bytes, back to back, and where each ends.
    sets: Vec<u8>,
    set_ends: Vec<usize>,
    /// Of which family each is.
    families: Vec<u8>,
    cells: Vec<Cell>,
    details: Vec<Entry>,
    clues: Vec<ClueEntry>,
    /// Exits and targets: their bytes, back to back, and what was counted of them by step. A step may have several.
    pair_keys: Vec<u8>,
    pairs: Vec<PairCell>,
    /// Requests by `Status::index`.
    statuses: Vec<u32>,
    late: u64,
    future: u64,
    requests: u64,
    ends: Option<(Millis, Millis)>,
    servers: Vec<Seen>,
}

/// Counts of a series in a step. A step may have several.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub series: u32,
    /// The step's number, [`LATE`] or [`FUTURE`].
    pub step: i64,
    pub numbers: Numbers,
    details: u32,
    clues: u32,
    /// The cell of this series before this one.
    older: u32,
}

/// What came of an exit's requests to a target, in a step.
#[derive(Clone, Debug)]
struct PairCell {
    key_end: usize,
    step: i64,
    tried: Tried,
}

/// A detail of a cell, in a list.
#[derive(Clone, Copy, Debug)]
struct Entry {
    detail: Detail,
    count: u32,
    next: u32,
}

/// A clue of a cell, in a list.
#[derive(Clone, Copy, Debug)]
struct ClueEntry {
    clue: Clue,
    count: u32,
    next: u32,
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}

impl Block {
    /// Empties it; its memory stays.
    pub fn clear(&mut self) {
        self.sets.clear();
        self.set_ends.clear();
        self.families.clear();
        self.cells.clear();
        self.details.clear();
        self.clues.clear();
        self.pair_keys.clear();
        self.pairs.clear();
        self.statuses.fill(0);
        self.servers.clear();
        (self.late, self.future, self.requests, self.ends) = (0, 0, 0, None);
    }

    /// A request was seen, whatever its series.
    #[inline(always)]
    pub(crate) fn see(&mut self, end: Millis, status: Status, step: i64) {
        self.requests += 1;
        if step <= FUTURE {
            self.late += u64::from(step == LATE);
            self.future += u64::from(step == FUTURE);
        }
        self.see_beside(end);
        match self.statuses.get_mut(status.index()) {
            Some(count) => *count += 1,
            None => self.see_first(status),
        }
    }

    #[cold]
    fn see_first(&mut self, status: Status) {
        self.statuses.resize(Status::COUNT, 0);
        if let Some(count) = self.statuses.get_mut(status.index()) {
            *count += 1;
        }
    }

    /// Adds counts of one series of the plan's first family. `step`: the length of one. A series may come again.
    pub fn add_alike(
        &mut self,
        plan: &Plan,
        labels: &LabelSet,
        step: Millis,
        all: impl IntoIterator<Item = Alike>,
    ) {
        let mut newest = None;
        for alike in all {
            let cell = match newest {
                Some(newest) => self.find_cell(newest, alike.step),
                None => self.add_series(labels.as_bytes(), 0, alike.step),
            };
            newest = newest.max(Some(cell));
            self.see_alike(&alike, step);
            self.count_alike(plan, cell, &alike);
        }
    }

    fn see_alike(&mut self, alike: &Alike, step: Millis) {
        if alike.requests == 0 {
            return;
        }
        self.see(alike.step.saturating_mul(step), alike.status, alike.step);
        let others = alike.requests - 1;
        self.requests += u64::from(others);
        if let Some(count) = self.statuses.get_mut(alike.status.index()) {
            *count = count.saturating_add(others);
        }
    }

    fn count_alike(&mut self, plan: &Plan, cell: u32, alike: &Alike) {
        let Some(numbers) = self.numbers(cell) else { return };
        let failed = alike.failed.map_or(0, |(failed, _)| failed);
        let mut added = Numbers {
            requests: alike.requests,
            attempts: alike.attempts,
            failed_attempts: failed,
            ..Numbers::default()
        };
        match alike.outcome {
            Outcome::Fine if alike.retried => added.masked = alike.requests,
            Outcome::Fine => {}
            Outcome::Aborted => added.aborted = alike.requests,
            Outcome::Abandoned => added.abandoned = alike.requests,
            Outcome::GatewayError(_) => added.gateway_errors = alike.requests,
        }
        numbers.add(&added);
        if let Some((failed, reason)) = alike.failed {
            self.add_details(cell, Detail::failed(reason), failed);
        }
        let cause = alike.outcome.gateway_error();
        if let Some(cause) = cause {
            self.add_details(cell, Detail::reason(cause.reason), alike.requests);
            self.add_details(cell, Detail::origin(cause.origin), alike.requests);
        }
        if plan.watches(alike.status) || cause.is_some() {
            self.add_details(cell, Detail::status(alike.status), alike.requests);
        }
    }

    /// Something was seen that is no request.
    #[inline(always)]
    pub(crate) fn see_beside(&mut self, at: Millis) {
        match &mut self.ends {
            Some((first, last)) => (*first, *last) = ((*first).min(at), (*last).max(at)),
            None => self.ends = Some((at, at)),
        }
    }

    /// A server changed its state.
    pub(crate) fn see_server(&mut self, seen: Seen) {
        self.servers.push(seen);
    }

    pub(crate) fn servers(&self) -> &[Seen] {
        &self.servers
    }

    /// A series of this block, and its first cell.
    pub(crate) fn add_series(&mut self, set: &[u8], family: u8, step: i64) -> u32 {
        self.sets.extend_from_slice(set);
        self.set_ends.push(self.sets.len());
        self.families.push(family);
        self.push_cell(index(self.set_ends.len() - 1), step, NONE)
    }

    /// The cell for this step of the series whose newest cell is `newest`; it may be new.
    #[inline(always)]
    pub(crate) fn find_cell(&mut self, newest: u32, step: i64) -> u32 {
        match self.cells.get(newest as usize) {
            Some(cell) if cell.step == step => newest,
            _ => self.find_older_cell(newest, step),
        }
    }

    #[inline(never)]
    fn find_older_cell(&mut self, newest: u32, step: i64) -> u32 {
        let (mut at, mut series) = (newest, 0);
        for _ in 0..LOOK_BACK {
            let Some(cell) = self.cells.get(at as usize) else { break };
            if cell.step == step {
                return at;
            }
            (at, series) = (cell.older, cell.series);
        }
        self.push_cell(series, step, newest)
    }

    fn push_cell(&mut self, series: u32, step: i64, older: u32) -> u32 {
        self.cells.push(Cell {
            series,
            step,
            numbers: Numbers::default(),
            details: NONE,
            clues: NONE,
            older,
        });
        index(self.cells.len() - 1)
    }

    #[inline]
    pub(crate) fn numbers(&mut self, cell: u32) -> Option<&mut Numbers> {
        Some(&mut self.cells.get_mut(cell as usize)?.numbers)
    }

    pub(crate) fn add_detail(&mut self, cell: u32, detail: Detail) {
        self.add_details(cell, detail, 1);
    }

    fn add_details(&mut self, cell: u32, detail: Detail, count: u32) {
        if count == 0 {
            return;
        }
        let new = index(self.details.len());
        let Some(cell) = self.cells.get_mut(cell as usize) else { return };
        let mut at = cell.details;
        while let Some(entry) = self.details.get_mut(at as usize) {
            if entry.detail == detail {
                entry.count = entry.count.saturating_add(count);
                return;
            }
            at = entry.next;
        }
        self.details.push(Entry { detail, count, next: cell.details });
        cell.details = new;
    }

    pub(crate) fn add_clue(&mut self, cell: u32, clue: Clue) {
        let new = index(self.clues.len());
        let Some(cell) = self.cells.get_mut(cell as usize) else { return };
        let mut at = cell.clues;
        while let Some(entry) = self.clues.get_mut(at as usize) {
            if entry.clue == clue {
                entry.count = entry.count.saturating_add(1);
                return;
            }
            at = entry.next;
        }
        self.clues.push(ClueEntry { clue, count: 1, next: cell.clues });
        cell.clues = new;
    }

    pub(crate) fn clues<'a>(&'a self, cell: &Cell) -> impl Iterator<Item = (Clue, u32)> + 'a {
        let mut at = cell.clues;
        std::iter::from_fn(move || {
            let entry = self.clues.get(at as usize)?;
            at = entry.next;
            Some((entry.clue, entry.count))
        })
    }

    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub(crate) fn details<'a>(&'a self, cell: &Cell) -> impl Iterator<Item = (Detail, u32)> + 'a {
        let mut at = cell.details;
        std::iter::from_fn(move || {
            let entry = self.details.get(at as usize)?;
            at = entry.next;
            Some((entry.detail, entry.count))
        })
    }

    /// A pair in a step: its cell.
    pub(crate) fn add_pair(&mut self, key: &[u8], step: i64) -> u32 {
        self.pair_keys.extend_from_slice(key);
        self.pairs.push(PairCell { key_end: self.pair_keys.len(), step, tried: Tried::default() });
        index(self.pairs.len() - 1)
    }

    #[inline]
    pub(crate) fn count_pair(&mut self, cell: u32, tried: &Tried) {
        if let Some(cell) = self.pairs.get_mut(cell as usize) {
            cell.tried.add(tried);
        }
    }

    /// The pairs' bytes, their steps, and what was counted.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&[u8], i64, &Tried)> {
        let mut start = 0;
        self.pairs.iter().map(move |cell| {
            let key = self.pair_keys.get(start..cell.key_end).unwrap_or_default();
            start = cell.key_end;
            (key, cell.step, &cell.tried)
        })
    }

    pub(crate) fn series(&self) -> usize {
        self.set_ends.len()
    }

    /// Whether a cell is of the first family: sums over everything are of these only.
    #[inline]
    pub(crate) fn is_first(&self, cell: &Cell) -> bool {
        self.families.get(cell.series as usize).is_none_or(|family| *family == 0)
    }

    /// The bytes of a series' label set.
    pub(crate) fn set(&self, series: u32) -> &[u8] {
        let at = series as usize;
        let start = at.checked_sub(1).and_then(|before| self.set_ends.get(before)).copied().unwrap_or(0);
        let end = self.set_ends.get(at).copied().unwrap_or(start);
        self.sets.get(start..end).unwrap_or_default()
    }

    /// Requests by status, those that are not 0.
    pub fn statuses(&self) -> impl Iterator<Item = (Status, u64)> {
        let seen = (0u16..).zip(&self.statuses).filter(|(_, count)| **count > 0);
        seen.map(|(status, count)| (Status::new(status), u64::from(*count)))
    }

    /// Requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Requests among them that were placed late by their own file.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Requests among them that were placed in the future.
    #[must_use]
    pub fn future(&self) -> u64 {
        self.future
    }

    /// The earliest and the latest time, over all its records and diagnoses.
    #[must_use]
    pub fn ends(&self) -> Option<(Millis, Millis)> {
        self.ends
    }
}
