//! Series × steps of event time: the one store of counts, in two tiers. Steps are kept with reasons, the last
//! [`STEPS_HELD`] closed ones and those still open; minutes without reasons, as many as the longest window needs. Both
//! are sparse. A closed step never changes.

use crate::block::{Block, FUTURE, LATE};
use crate::intern::Interner;
use crate::lost::Lost;
use crate::series::{LabelSet, Plan, SeriesId, family_name};
use crate::tally::Tally;
use crate::total::Total;
use gatewatch_parsers::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

mod cells;
mod state;

pub(crate) use state::BucketsState;

/// So many closed steps are held.
pub const STEPS_HELD: i64 = 60;
/// The least length of a cell of the second tier.
const MINUTE: Millis = 60_000;

/// The length of a minute: whole steps, so that no step belongs to two.
fn minute_of(step: Millis) -> Millis {
    let step = step.max(1);
    MINUTE.div_euclid(step).saturating_add(i64::from(MINUTE % step != 0)).saturating_mul(step)
}

/// Counts of a series in a step or minute, by its number: start ÷ length.
type Cells = VecDeque<(i64, Tally)>;

#[derive(Debug, Default)]
struct Series {
    steps: Cells,
    minutes: Cells,
    /// Everything that was ever added to either.
    total: Total,
    pinned: bool,
    /// An `__other__` series: what it counts is overflow.
    folded: bool,
}

impl Series {
    fn is_idle(&self) -> bool {
        !self.pinned && self.steps.is_empty() && self.minutes.is_empty()
    }
}

/// What became of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Requests that were late: by their own file, or since the step was closed.
    pub late: u64,
}

/// The one store of counts.
#[derive(Debug)]
pub struct Buckets {
    plan: Arc<Plan>,
    step: Millis,
    minute: Millis,
    minutes_held: i64,
    interner: Interner,
    series: Vec<Series>,
    closed: Option<Millis>,
    /// The series that have anything in a step or minute, so that idle ones cost nothing: held and open ones.
    in_step: BTreeMap<i64, Vec<u32>>,
    in_minute: BTreeMap<i64, Vec<u32>>,
    /// Ids that have come to name a series, or ceased to, since somebody asked.
    changed: Vec<u32>,
    overflow: u64,
    /// What belongs to no series: those that left, what was late, what was future.
    left: Total,
    lost: Lost,
    generation: u64,
    /// Idle series were looked for since the last close, and left.
    swept: bool,
    /// The ids of a block's series, while it is absorbed.
    ids: Vec<Option<u32>>,
}

impl Buckets {
    /// `minutes`: how many closed minutes are held; `cap`: how many series at most.
    #[must_use]
    pub fn new(plan: Arc<Plan>, step: Millis, minutes: usize, cap: usize) -> Buckets {
        let step = step.max(1);
        Buckets {
            step,
            minute: minute_of(step),
            minutes_held: i64::try_from(minutes).unwrap_or(i64::MAX),
            interner: Interner::of(&plan, cap),
            plan,
            series: Vec::new(),
            closed: None,
            in_step: BTreeMap::new(),
            in_minute: BTreeMap::new(),
            changed: Vec::new(),
            overflow: 0,
            left: Total::default(),
            lost: Lost::default(),
            generation: 0,
            swept: false,
            ids: Vec::new(),
        }
    }

    /// Which labels the series carry.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Length of a step.
    #[must_use]
    pub fn step(&self) -> Millis {
        self.step
    }

    /// Length of a minute: 60 s, or the least multiple of a step that is longer.
    #[must_use]
    pub fn minute(&self) -> Millis {
        self.minute
    }

    /// Adds a block's cells to their steps. Those whose step ends at or before `late_before`, or is closed, are late:
    /// they are not added.
    pub fn absorb(&mut self, block: &Block, late_before: Millis) -> Absorbed {
        let mut late = block.late();
        let bound = self.closed.map_or(late_before, |closed| late_before.max(closed));
        self.ids.clear();
        self.ids.resize(block.series(), None);
        for cell in block.cells() {
            let is_placed = cell.step != LATE && cell.step != FUTURE;
            let is_late = !is_placed || step_end(cell.step, self.step) <= bound;
            if is_late && !block.is_first(cell) {
                continue;
            }
            if is_late {
                late += u64::from(cell.numbers.requests) * u64::from(is_placed);
                self.left.add_cell(block, cell);
                continue;
            }
            let id = match self.ids.get(cell.series as usize) {
                Some(Some(id)) => *id,
                _ => self.intern(block, cell.series),
            };
            let Some(series) = self.series.get_mut(id as usize) else { continue };
            if series.folded {
                self.overflow += u64::from(cell.numbers.requests);
            }
            series.total.add_cell(block, cell);
            let (tally, is_new) = cell_of(&mut series.steps, cell.step);
            tally.add_numbers(&cell.numbers);
            for (detail, count) in block.details(cell) {
                tally.add_detail(detail, count);
            }
            if is_new {
                self.in_step.entry(cell.step).or_default().push(id);
            }
        }
        Absorbed { late }
    }

    /// The id of a series of a block, new or not.
    fn intern(&mut self, block: &Block, series: u32) -> u32 {
        let bytes = block.set(series);
        let id = match self.interner.find(bytes) {
            Some(id) => id,
            None => self.add_series(&LabelSet::from_bytes(bytes)),
        };
        if let Some(slot) = self.ids.get_mut(series as usize) {
            *slot = Some(id);
        }
        id
    }

    fn add_series(&mut self, set: &LabelSet) -> u32 {
        if self.interner.is_full() && !self.swept {
            self.swept = true;
            self.let_idle_leave();
        }
        let before = self.interner.len();
        let id =
            if self.interner.is_full() { self.interner.fold(set) } else { self.interner.insert(set.clone()) };
        let folded = self.interner.set(id) != Some(set);
        self.series.resize_with(self.interner.slots(), Series::default);
        if let Some(series) = self.series.get_mut(id as usize).filter(|_| self.interner.len() > before) {
            *series = Series { folded, ..Series::default() };
            self.generation += 1;
            self.changed.push(id);
        }
        id
    }

    fn let_idle_leave(&mut self) {
        // Not those that the block being absorbed has found.
        let taken: BTreeSet<u32> = self.ids.iter().flatten().copied().collect();
        for (id, series) in (0u32..).zip(&mut self.series) {
            if series.is_idle() && !taken.contains(&id) && self.interner.set(id).is_some() {
                let total = std::mem::take(&mut series.total);
                // Else what left would count as often as there are families.
                if self.interner.set(id).is_some_and(|set| self.plan.family(set) == 0) {
                    self.left.merge(&total);
                }
                self.interner.remove(id);
                self.generation += 1;
                self.changed.push(id);
            }
        }
    }

    /// Closes the steps that end at or before `until`. Minutes that are whole by then enter the second tier; what is
    /// older than is held leaves.
    pub fn close(&mut self, until: Millis) {
        if self.closed.is_some_and(|closed| until <= closed) {
            return;
        }
        let first_open = until.div_euclid(self.step);
        self.fill_minutes(until.div_euclid(self.minute));
        let oldest = first_open.saturating_sub(STEPS_HELD);
        for id in drain_before(&mut self.in_step, oldest) {
            if let Some(series) = self.series.get_mut(id as usize) {
                drop_before(&mut series.steps, oldest);
            }
        }
        self.closed = Some(first_open.saturating_mul(self.step));
        self.swept = false;
        let minutes = self.minutes_held.saturating_add(1).saturating_mul(self.minute / self.step);
        self.lost.forget_before(oldest.min(first_open.saturating_sub(minutes)));
    }

    /// So many messages never arrived, about then.
    pub(crate) fn lose(&mut self, at: Millis, count: u64) {
        let first_open = self.closed.map_or(i64::MIN, |closed| closed.div_euclid(self.step));
        self.lost.add(at.div_euclid(self.step).max(first_open), count);
    }

    /// How many messages never arrived in the steps that begin in `from..to`.
    #[must_use]
    pub fn lost(&self, from: Millis, to: Millis) -> u64 {
        self.lost.between(from.div_euclid(self.step), to.div_euclid(self.step))
    }

    /// Minutes before `next` are whole: those that were not yet are summed up, those that are too old leave.
    fn fill_minutes(&mut self, next: i64) {
        let first = self.closed.map_or(i64::MIN, |closed| closed.div_euclid(self.minute));
        if first >= next || self.minutes_held == 0 {
            return;
        }
        let steps_a_minute = self.minute / self.step;
        let steps = first.saturating_mul(steps_a_minute)..next.saturating_mul(steps_a_minute);
        for (step, ids) in self.in_step.range(steps) {
            let minute = step.div_euclid(steps_a_minute);
            for &id in ids {
                let Some(series) = self.series.get_mut(id as usize) else { continue };
                let Some((_, tally)) = range(&series.steps, 1, *step, *step + 1).next() else { continue };
                let (sum, is_new) = cell_of(&mut series.minutes, minute);
                sum.add_coarse(tally);
                if is_new {
                    self.in_minute.entry(minute).or_default().push(id);
                }
            }
        }
        let oldest = next.saturating_sub(self.minutes_held);
        for id in drain_before(&mut self.in_minute, oldest) {
            if let Some(series) = self.series.get_mut(id as usize) {
                drop_before(&mut series.minutes, oldest);
            }
        }
    }

    /// From now on at least so many minutes are held.
    pub fn hold_minutes(&mut self, minutes: usize) {
        self.minutes_held = self.minutes_held.max(i64::try_from(minutes).unwrap_or(i64::MAX));
    }

    /// From now on series carry other labels. What was counted stays, under the labels that it has: one that was not
    /// carried before is empty.
    pub fn replan(&mut self, plan: Arc<Plan>) {
        let places: Vec<Option<usize>> = plan.names().iter().map(|name| self.plan.index(name)).collect();
        let upstream = plan.index("upstream");
        let goes_on = plan.goes_on(&self.plan);
        // At once: what leaves for want of room meanwhile is of the new plan.
        let former = std::mem::replace(&mut self.plan, plan);
        let plan = Arc::clone(&self.plan);
        let sets: Vec<Option<LabelSet>> =
            (0u32..).zip(&self.series).map(|(id, _)| self.interner.set(id).cloned()).collect();
        self.interner = Interner::of(&plan, self.interner.cap());
        self.in_step.clear();
        self.in_minute.clear();
        self.changed.clear();
        let old = std::mem::take(&mut self.series);
        self.ids.clear();
        for (set, series) in sets.into_iter().zip(old) {
            let Some(set) = set else { continue };
            let value = |at: usize| places.get(at).copied().flatten().map_or(&b""[..], |old| set.get(old));
            let has_upstream = upstream.is_some_and(|at| !value(at).is_empty());
            let earlier = former.family(&set);
            for (family, _) in goes_on.iter().enumerate().filter(|(_, from)| **from == Some(earlier)) {
                let mask = plan.mask(family, has_upstream);
                let carried = (0..places.len()).map(|at| match mask >> at & 1 {
                    1 => value(at),
                    _ if plan.family_label() == Some(at) => family_name(family),
                    _ => b"",
                });
                self.add_whole(&LabelSet::new(carried), &series);
            }
        }
        self.generation += 1;
    }

    /// Adds everything that a series has counted to the one with these labels.
    fn add_whole(&mut self, set: &LabelSet, series: &Series) {
        let id = self.add_series(set);
        let Some(to) = self.series.get_mut(id as usize) else { return };
        to.folded |= series.folded;
        to.total.merge(&series.total);
        let step = (&series.steps, &mut to.steps, &mut self.in_step);
        let minute = (&series.minutes, &mut to.minutes, &mut self.in_minute);
        for (from, to, index) in [step, minute] {
            for (number, tally) in from {
                let (sum, is_new) = cell_of(to, *number);
                sum.add(tally);
                if is_new {
                    index.entry(*number).or_default().push(id);
                }
            }
        }
    }

    /// The end of the last closed step.
    #[must_use]
    pub fn closed_until(&self) -> Option<Millis> {
        self.closed
    }

    /// The start of the earliest open step that has anything.
    #[must_use]
    pub fn next_open_step(&self) -> Option<Millis> {
        let first_open = self.closed.map_or(i64::MIN, |closed| closed.div_euclid(self.step));
        self.in_step.range(first_open..).next().map(|(step, _)| step.saturating_mul(self.step))
    }

    /// A series' labels; `None`: it has left.
    #[must_use]
    pub fn labels(&self, id: SeriesId) -> Option<&LabelSet> {
        self.interner.set(id.0)
    }

    /// Every series, in no order of meaning.
    pub fn ids(&self) -> impl Iterator<Item = SeriesId> {
        self.interner.ids().map(SeriesId)
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.interner.len()
    }

    /// Whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes when series come or go.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The ids that have come to name a series, or ceased to, since this was asked last; some more than once.
    pub fn take_changed(&mut self) -> Vec<SeriesId> {
        std::mem::take(&mut self.changed).into_iter().map(SeriesId).collect()
    }

    /// The series that have anything in the held or open step that begins at `start`, in no order of meaning.
    pub fn in_step(&self, start: Millis) -> impl Iterator<Item = SeriesId> {
        self.in_step.get(&start.div_euclid(self.step)).into_iter().flatten().map(|id| SeriesId(*id))
    }

    /// A series' steps that begin in `from..to`, by their start, ascending; open ones too.
    pub fn steps(&self, id: SeriesId, from: Millis, to: Millis) -> impl Iterator<Item = (Millis, &Tally)> {
        self.series.get(id.index()).into_iter().flat_map(move |s| range(&s.steps, self.step, from, to))
    }

    /// A series' closed minutes that begin in `from..to`, by their start, ascending.
    pub fn minutes(&self, id: SeriesId, from: Millis, to: Millis) -> impl Iterator<Item = (Millis, &Tally)> {
        self.series.get(id.index()).into_iter().flat_map(move |s| range(&s.minutes, self.minute, from, to))
    }

    /// What every series of the first family that is here came to since the state was new, in no order of meaning. With
    /// [`Buckets::left`], this is everything.
    pub fn totals(&self) -> impl Iterator<Item = (&LabelSet, &Total)> {
        let series = (0u32..).zip(&self.series);
        let series = series.filter_map(|(id, series)| Some((self.interner.set(id)?, &series.total)));
        series.filter(|(set, _)| self.plan.family(set) == 0)
    }

    /// The same of the other families, each of which has counted everything once more.
    pub fn totals_apart(&self) -> impl Iterator<Item = (&LabelSet, &Total)> {
        let series = (0u32..).zip(&self.series);
        let series = series.filter_map(|(id, series)| Some((self.interner.set(id)?, &series.total)));
        series.filter(|(set, _)| self.plan.family(set) > 0)
    }

    /// What belongs to no series: those that have left, what was late, what was future.
    #[must_use]
    pub fn left(&self) -> &Total {
        &self.left
    }

    /// A pinned series does not leave.
    pub fn pin(&mut self, id: SeriesId, pinned: bool) {
        if let Some(series) = self.series.get_mut(id.index()) {
            series.pinned = pinned;
        }
    }

    /// Requests counted under `__other__`.
    #[must_use]
    pub fn series_overflow(&self) -> u64 {
        self.overflow
    }
}

fn step_end(number: i64, step: Millis) -> Millis {
    number.saturating_add(1).saturating_mul(step)
}

/// The tally of a step or minute, and whether it is new. Nearly always the newest.
fn cell_of(cells: &mut Cells, number: i64) -> (&mut Tally, bool) {
    let newer = cells.iter().rev().take_while(|(n, _)| *n > number).count();
    let at = cells.len() - newer;
    let is_new = at.checked_sub(1).and_then(|i| cells.get(i)).is_none_or(|(n, _)| *n != number);
    if is_new {
        cells.insert(at, (number, Tally::default()));
    }
    (&mut cells[if is_new { at } else { at - 1 }].1, is_new)
}

fn drop_before(cells: &mut Cells, number: i64) {
    while cells.front().is_some_and(|(n, _)| *n < number) {
        cells.pop_front();
    }
    if cells.is_empty() {
        cells.shrink_to_fit();
    }
}

/// Takes the ids of the steps or minutes before `number`.
fn drain_before(index: &mut BTreeMap<i64, Vec<u32>>, number: i64) -> impl Iterator<Item = u32> {
    let later = index.split_off(&number);
    std::mem::replace(index, later).into_values().flatten()
}

/// The cells that begin in `from..to`.
fn range(cells: &Cells, length: Millis, from: Millis, to: Millis) -> impl Iterator<Item = (Millis, &Tally)> {
    let number =
        |time: Millis| time.div_euclid(length).saturating_add(i64::from(time.rem_euclid(length) != 0));
    let start = position(cells, number(from));
    let end = position(cells, number(to)).max(start);
    cells.range(start..end).map(move |(n, tally)| (n.saturating_mul(length), tally))
}

/// The place of the first cell that is not before `number`. Nearly always one of the newest is asked for.
fn position(cells: &Cells, number: i64) -> usize {
    const NEAR: usize = 8;
    let newer = cells.iter().rev().take(NEAR).take_while(|(n, _)| *n >= number).count();
    if newer < NEAR { cells.len() - newer } else { cells.partition_point(|(n, _)| *n < number) }
}
