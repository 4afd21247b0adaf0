//! The store of counts as it is saved. What follows from the rest is left out: which series are in which step, and how
//! far in the tiers a series reaches.

use super::cells::Saved;
use super::{Buckets, Cells, STEPS_HELD, Series, minute_of};
use crate::intern::Interner;
use crate::lost::Lost;
use crate::saved::{Unsound, ensure, is_count, is_time};
use crate::series::{LABELS_MAX, LabelSet, Plan};
use crate::total::Total;
use crate::window::MINUTES_HELD;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// No engine ever had room for more series.
const SLOTS_MAX: usize = 1 << 17;

/// The store of counts, by reference when it is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BucketsState<'a> {
    plan: Cow<'a, Plan>,
    #[serde(deserialize_with = "crate::saved::step")]
    step: Millis,
    closed: Option<Millis>,
    minutes_held: i64,
    /// By id: an id that names none is free. Boxed, so that a byte read does not become hundreds.
    series: Vec<Option<Box<SeriesState<'a>>>>,
    free: Cow<'a, [u32]>,
    fold_order: Cow<'a, [usize]>,
    swept: bool,
    changed: Cow<'a, [u32]>,
    overflow: u64,
    left: Cow<'a, Total>,
    lost: Cow<'a, Lost>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SeriesState<'a> {
    set: Cow<'a, LabelSet>,
    folded: bool,
    total: Cow<'a, Total>,
    steps: Saved<'a>,
    minutes: Saved<'a>,
}

impl BucketsState<'_> {
    /// Which labels the series carry.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The length of a step.
    pub fn step(&self) -> Millis {
        self.step
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.iter().flatten().count()
    }

    /// Requests counted under `__other__`.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Leaves out the minutes that ended so many before the last closed one: long windows see less until they are full again.
    pub fn leave_out_minutes(&mut self, keep: i64) {
        let Some(closed) = self.closed else { return };
        let oldest = closed.div_euclid(minute_of(self.step)).saturating_sub(keep);
        for series in self.series.iter_mut().flatten() {
            if let Saved::Held(_, from) = &mut series.minutes {
                *from = (*from).max(oldest);
            }
        }
    }

    /// The end of the last closed step.
    pub fn closed(&self) -> Option<Millis> {
        self.closed
    }
}

impl Buckets {
    /// As it stands, to be saved.
    pub(crate) fn state(&self) -> BucketsState<'_> {
        let series = (0u32..).zip(&self.series).map(|(id, series)| {
            Some(Box::new(SeriesState {
                set: Cow::Borrowed(self.interner.set(id)?),
                folded: series.folded,
                total: Cow::Borrowed(&series.total),
                steps: Saved::Held(&series.steps, i64::MIN),
                minutes: Saved::Held(&series.minutes, i64::MIN),
            }))
        });
        let (free, fold_order) = self.interner.memory();
        BucketsState {
            plan: Cow::Borrowed(&self.plan),
            step: self.step,
            closed: self.closed,
            minutes_held: self.minutes_held,
            series: series.collect(),
            free: Cow::Borrowed(free),
            fold_order: Cow::Borrowed(fold_order),
            swept: self.swept,
            changed: Cow::Borrowed(&self.changed),
            overflow: self.overflow,
            left: Cow::Borrowed(&self.left),
            lost: Cow::Borrowed(&self.lost),
        }
    }

    /// As it stood when it was saved. `cap`: how many series at most, from now on.
    ///
    /// # Errors
    /// What shows that this was never saved.
    pub(crate) fn restore(state: BucketsState<'_>, cap: usize) -> Result<Buckets, Unsound> {
        ensure((0..=MINUTES_HELD).contains(&state.minutes_held), "how many minutes are held")?;
        ensure(is_count(state.overflow), "the overflow")?;
        ensure(state.left.is_sound() && state.lost.is_sound(), "what left or was lost")?;
        ensure(state.fold_order.len() <= LABELS_MAX, "the order of folding")?;
        let slots = state.series.len();
        ensure(slots <= SLOTS_MAX, "how many series there were")?;
        ensure(state.changed.iter().all(|id| (*id as usize) < slots), "series that changed")?;
        let plan = Arc::new(state.plan.into_owned());
        let mut all = Buckets::new(Arc::clone(&plan), state.step, 0, cap);
        let closed_step = state.closed.map(|closed| closed.div_euclid(all.step));
        let is_whole = |closed: Millis| is_time(closed) && closed % state.step == 0;
        ensure(state.closed.is_none_or(is_whole), "the last closed step")?;
        all.closed = state.closed;
        all.minutes_held = state.minutes_held;

        let mut sets = Vec::with_capacity(slots);
        for (id, series) in (0u32..).zip(state.series) {
            let Some(series) = series else {
                sets.push(None);
                all.series.push(Series::default());
                continue;
            };
            let SeriesState { set, folded, total, steps, minutes } = *series;
            ensure(set.len() == plan.names().len(), "the labels of a series")?;
            ensure(total.is_sound(), "the total of a series")?;
            let (Some(steps), Some(minutes)) = (steps.cells(), minutes.cells()) else {
                return Err(Unsound("the counts of a series"));
            };
            let oldest = closed_step.map_or(i64::MIN, |step| step.saturating_sub(STEPS_HELD));
            ensure(are_within(&steps, oldest, i64::MAX, all.step), "the steps of a series")?;
            let whole = all.closed.map_or(i64::MIN, |closed| closed.div_euclid(all.minute));
            let oldest = whole.saturating_sub(all.minutes_held);
            ensure(are_within(&minutes, oldest, whole, all.minute), "the minutes of a series")?;
            index(&mut all.in_step, &steps, id);
            index(&mut all.in_minute, &minutes, id);
            sets.push(Some(set.into_owned()));
            all.series.push(Series { steps, minutes, total: total.into_owned(), pinned: false, folded });
        }
        all.interner =
            Interner::restore(&plan, cap, sets, state.free.into_owned(), state.fold_order.into_owned())
                .ok_or(Unsound("the numbers of series"))?;
        all.changed = state.changed.into_owned();
        all.swept = state.swept;
        all.overflow = state.overflow;
        (all.left, all.lost) = (state.left.into_owned(), state.lost.into_owned());
        Ok(all)
    }

    /// Nothing but what belongs to no series, everything else having left: of another length of step, counts cannot be
    /// told apart any more.
    ///
    /// # Errors
    /// What shows that this was never saved.
    pub(crate) fn restore_left(
        state: BucketsState<'_>,
        step: Millis,
        cap: usize,
    ) -> Result<Buckets, Unsound> {
        let mut all = Buckets::restore(state, cap)?;
        let mut left = std::mem::take(&mut all.left);
        all.totals().for_each(|(_, total)| left.merge(total));
        let (closed, overflow) = (all.closed, all.overflow);
        let mut all = Buckets::new(all.plan, step, 0, cap);
        (all.left, all.overflow) = (left, overflow);
        closed.into_iter().for_each(|closed| all.close(closed));
        Ok(all)
    }

    /// Whether there are more series than there may be from now on.
    pub(crate) fn is_over_cap(&self) -> bool {
        self.interner.is_over_cap()
    }
}

fn are_within(cells: &Cells, from: i64, to: i64, length: Millis) -> bool {
    cells.iter().all(|(number, _)| (from..to).contains(number) && is_time(number.saturating_mul(length)))
}

fn index(index: &mut BTreeMap<i64, Vec<u32>>, cells: &Cells, id: u32) {
    for (number, _) in cells {
        index.entry(*number).or_default().push(id);
    }
}
