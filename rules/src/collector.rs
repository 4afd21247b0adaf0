//! The hot path: records → the leaves of a block. A record of a known series costs no allocation.

pub use crate::block::Block;
use crate::block::{FUTURE, LATE};
use crate::intern::Interner;
use crate::latency::Latency;
use crate::regions::By;
use crate::series::{FAMILIES_MAX, Label, LabelSet, Plan, Source, cut, family_name, write};
use crate::servers::Seen;
use crate::tally::Detail;
use cell::{Tried, count_clues, count_in, leaves_clues};
use exits::Exits;
use gatewatch_parsers::upstreams::AttemptIter;
use gatewatch_parsers::{Attempt, Attempts, Diagnosis, Effect, Event, Millis, Parsed, Record, Status};
use std::collections::HashMap;
use std::sync::Arc;
use tables::Tables;
use values::{Carried, Key, Values, is_set};

pub use of::Of;

mod cell;
mod exits;
mod of;
mod tables;
mod values;

/// So many series are known from block to block; beyond, all are forgotten (their times are kept).
const KNOWN_MAX: usize = 4096;
/// Times are kept of so many series; beyond, they fold as series do.
const LATENCIES_MAX: usize = 50_000;
/// Slots of the table of shortcuts; a power of two.
const SHORTCUTS: usize = 4096;
/// How far from its own slot a shortcut may lie.
const REACH: usize = 4;

/// Where a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its step.
    Step,
    /// In totals only: its file had passed that step.
    Late,
    /// In totals only: stamped over an hour ahead of its file.
    Future,
}

/// Counts records into the leaves of a block.
#[derive(Debug)]
pub struct Collector {
    plan: Arc<Plan>,
    /// By family: the labels carried without and with an upstream.
    carried: Vec<[Carried; 2]>,
    step: Millis,
    /// The step found last, and its bounds: records come nearly in order, and a division costs.
    current: (i64, Millis, Millis),
    block: Block,
    epoch: u32,
    ids: HashMap<LabelSet, u32>,
    known: Vec<Known>,
    /// By family: the place in `known` that was counted in last.
    last: [u32; FAMILIES_MAX],
    /// Hash of a label set, cheap and no defence against chosen values, and its place in `known`: only a hint.
    shortcuts: Vec<(u32, u32)>,
    scratch: Vec<u8>,
    tables: Tables,
    exits: Exits,
    latencies: Option<Latencies>,
}

#[derive(Debug)]
struct Known {
    set: LabelSet,
    key: Key,
    family: u8,
    /// The take up to which `cell`, its newest cell in the block, holds.
    epoch: u32,
    cell: u32,
    latency: Latency,
}

/// No shortcut: no series has this place.
const EMPTY: (u32, u32) = (0, u32::MAX);

/// Times of series that are no longer known.
#[derive(Debug)]
struct Latencies {
    interner: Interner,
    by_id: Vec<Latency>,
}

impl Latencies {
    fn merge(&mut self, known: Known) {
        if known.latency.count() == 0 {
            return;
        }
        let id = match self.interner.find(known.set.as_bytes()) {
            Some(id) => id,
            None if self.interner.is_full() => self.interner.fold(&known.set),
            None => self.interner.insert(known.set),
        };
        let at = id as usize;
        if self.by_id.len() <= at {
            self.by_id.resize_with(at + 1, Latency::default);
        }
        if let Some(latency) = self.by_id.get_mut(at) {
            latency.merge(&known.latency);
        }
    }
}

impl Collector {
    /// `latency`: whether request times are kept by series.
    #[must_use]
    pub fn new(plan: Arc<Plan>, step: Millis, latency: bool) -> Collector {
        let latencies =
            latency.then(|| Latencies { interner: Interner::of(&plan, LATENCIES_MAX), by_id: Vec::new() });
        Collector {
            carried: (0..plan.families())
                .map(|family| [false, true].map(|has| Carried::new(plan.carried(family, has))))
                .collect(),
            plan,
            step: step.max(1),
            current: (0, 0, 0),
            block: Block::default(),
            epoch: 1,
            ids: HashMap::new(),
            known: Vec::new(),
            last: [u32::MAX; FAMILIES_MAX],
            shortcuts: vec![EMPTY; SHORTCUTS],
            scratch: Vec::new(),
            tables: Tables::default(),
            exits: Exits::default(),
            latencies,
        }
    }

    /// What of this source's records can be known beforehand, for [`Collector::count_of`].
    #[must_use]
    pub fn of<'s>(&self, source: &'s Source) -> Of<'s> {
        Of::new(source, &self.plan, &self.carried)
    }

    /// The same as [`Collector::count`] of a record of this source. Nearly every one asked one server that has a name; where
    /// neither tables nor captures say more of it, only its own words are looked at.
    #[inline]
    pub fn count_of(&mut self, of: &Of<'_>, record: &Record<'_>, place: Place) {
        let Some((key, attempt)) = of.key(record) else { return self.count(of.source, record, place) };
        let step = self.place_of(record.end, place);
        self.block.see(record.end, record.status, step);
        let at = self.find(0, true, &key, || of.values(record, attempt));
        self.add_at(at, step, record, Tried::of(attempt), Some(attempt.failure.is_some()));
    }

    /// Counts one record: the request in the series of its last attempt, each attempt in its own.
    pub fn count(&mut self, source: &Source, record: &Record<'_>, place: Place) {
        let step = self.place_of(record.end, place);
        self.block.see(record.end, record.status, step);
        self.exits.count(source, record, step, self.epoch, &mut self.block);
        let (mut values, pool) = self.values(source, record);
        match &record.attempts {
            Attempts::None => self.add(&values, step, Tried::No, Some(false)),
            Attempts::One(attempt) => {
                self.set_upstream(&mut values, attempt, pool);
                self.add(&values, step, Tried::of(attempt), Some(attempt.failure.is_some()));
            }
            attempts => self.count_attempts(&mut values, step, pool, attempts.iter()),
        }
    }

    /// Counts an error log's line in the series that the access log counts the same upstream in: beside its requests,
    /// never among them. A body that was cut is aborted: the access logs of those products do not show it.
    pub fn count_diagnosis(&mut self, source: &Source, diagnosis: &Diagnosis<'_>, place: Place) {
        let step = self.place_of(diagnosis.at, place);
        self.block.see_beside(diagnosis.at);
        let record = diagnosis.as_record();
        let (mut values, pool) = self.values(source, &record);
        if let Attempts::One(attempt) = &record.attempts {
            self.set_upstream(&mut values, attempt, pool);
        }
        let reason = diagnosis.cause.reason;
        for family in 0..self.carried.len() {
            let at = self.find_values(family, &values);
            let Some(cell) = self.cell(family, at, step) else { continue };
            match diagnosis.effect {
                Effect::Failed => self.block.add_detail(cell, Detail::diagnosed(reason)),
                Effect::Aborted => {
                    self.block.add_detail(cell, Detail::cut(reason));
                    if let Some(numbers) = self.block.numbers(cell) {
                        numbers.aborted += 1;
                    }
                }
            }
        }
    }

    /// Counts a line that tells of a request or of a failure, and notes one that tells of a server.
    pub fn count_parsed(&mut self, source: &Source, parsed: &Parsed<'_>, place: Place) {
        match parsed {
            Parsed::Record(record) => self.count(source, record, place),
            Parsed::Diagnosis(diagnosis) => self.count_diagnosis(source, diagnosis, place),
            Parsed::Event(event) => self.note(source, event, None),
            Parsed::Other => {}
        }
    }

    /// Notes a server's change of state. `newest`: the newest end of its file so far, for one without a time.
    pub fn note(&mut self, source: &Source, event: &Event<'_>, newest: Option<Millis>) {
        let Some(at) = event.at.or(newest).or(self.block.ends().map(|(_, last)| last)) else { return };
        let record = Record { node: event.node, pool: event.pool, ..Record::new(at, Status::NONE) };
        let (mut values, pool) = self.values(source, &record);
        if !event.upstream.is_empty() {
            let (upstream, status) = (event.upstream, Status::NONE);
            self.set_upstream(
                &mut values,
                &Attempt { upstream, pool: event.pool, status, failure: None },
                pool,
            );
        }
        let [_, node, _, pool, upstream, _] = values.built_in;
        self.block.see_server(Seen::new(at, event.happened, [node, pool, upstream, event.detail]));
    }

    #[inline(always)]
    fn place_of(&mut self, end: Millis, place: Place) -> i64 {
        match place {
            Place::Step => self.step_of(end),
            Place::Late => LATE,
            Place::Future => FUTURE,
        }
    }

    /// What is known of the record beside its attempts, and its own pool.
    #[inline(always)]
    fn values<'a>(&mut self, source: &'a Source, record: &'a Record<'a>) -> (Values<'a>, &'a [u8]) {
        let node = source.node(record);
        let region = if self.plan.carries_region() { self.tables.region(source, record, node) } else { b"" };
        let site = source.site(record);
        let pool = source.pool(record);
        let built_in = [source.input.as_bytes(), node, region, pool, b"", site].map(cut);
        (Values { built_in, source, record }, pool)
    }

    fn count_attempts<'a>(
        &mut self,
        values: &mut Values<'a>,
        step: i64,
        pool: &'a [u8],
        mut attempts: AttemptIter<'a>,
    ) {
        let mut any_failed = false;
        let mut this = attempts.next();
        loop {
            let next = attempts.next();
            if let Some(attempt) = &this {
                any_failed |= attempt.failure.is_some();
                self.set_upstream(values, attempt, pool);
            }
            let tried = this.as_ref().map_or(Tried::No, Tried::of);
            self.add(values, step, tried, next.is_none().then_some(any_failed));
            if next.is_none() {
                return;
            }
            this = next;
        }
    }

    #[inline(always)]
    fn set_upstream<'a>(&mut self, values: &mut Values<'a>, attempt: &Attempt<'a>, pool: &'a [u8]) {
        values.set_upstream(attempt, pool);
        let source = values.source;
        if !source.pools.is_empty() && values.lacks_pool() {
            values.set(Label::Pool, self.tables.pool(source, attempt.upstream));
        }
        if *source.regions.whose() == By::Upstream && self.plan.carries_region() {
            values
                .set(Label::Region, self.tables.region_of_upstream(source, values.record, attempt.upstream));
        }
    }

    /// The labels of the series that the last record's request was counted in: its line is offered by them.
    #[must_use]
    pub fn last_series(&self) -> Option<&LabelSet> {
        self.last_in_families().next()
    }

    /// The same, and those of the other families.
    pub fn last_in_families(&self) -> impl Iterator<Item = &LabelSet> {
        self.last.iter().filter_map(|at| Some(&self.known.get(*at as usize)?.set))
    }

    /// Gives what was counted since the last take. `block`'s memory is used for what comes next.
    pub fn take(&mut self, block: &mut Block) {
        block.clear();
        std::mem::swap(block, &mut self.block);
        self.epoch = self.epoch.wrapping_add(1);
        self.exits.rest();
        if self.known.len() > KNOWN_MAX {
            self.forget();
        }
    }

    /// The request times so far, by series; they start afresh.
    pub fn latencies(&mut self) -> Vec<(LabelSet, Latency)> {
        self.forget();
        let Some(latencies) = &mut self.latencies else { return Vec::new() };
        let by_id = std::mem::take(&mut latencies.by_id);
        let interner = std::mem::replace(&mut latencies.interner, Interner::of(&self.plan, LATENCIES_MAX));
        (0u32..).zip(by_id).filter_map(|(id, latency)| Some((interner.set(id)?.clone(), latency))).collect()
    }

    #[inline]
    fn step_of(&mut self, end: Millis) -> i64 {
        let (step, from, to) = self.current;
        if from <= end && end < to {
            return step;
        }
        let step = end.div_euclid(self.step);
        let from = step.saturating_mul(self.step);
        self.current = (step, from, from.saturating_add(self.step));
        step
    }

    /// Adds to one series of each family: an attempt, and the request if this is its last (`Some`: whether any attempt
    /// failed).
    fn add(&mut self, values: &Values<'_>, step: i64, tried: Tried, request: Option<bool>) {
        self.add_to_first(values, step, tried, request);
        // Nearly no plan has others.
        for family in 1..self.carried.len() {
            self.add_to(family, values, step, tried, request);
        }
    }

    #[inline(never)]
    fn add_to_first(&mut self, values: &Values<'_>, step: i64, tried: Tried, request: Option<bool>) {
        let at = self.find_values(0, values);
        self.add_at(at, step, values.record, tried, request);
    }

    /// Adds to the first family's series at this place in `known`, which alone keeps times and clues.
    #[inline(always)]
    fn add_at(&mut self, at: u32, step: i64, record: &Record<'_>, tried: Tried, request: Option<bool>) {
        let Some(cell) = self.cell(0, at, step) else { return };
        count_in(&mut self.block, cell, &self.plan, record, tried, request);
        if request.is_some() && leaves_clues(record) {
            count_clues(&mut self.block, cell, record);
        }
        if let (Some(time), Some(_), true) = (record.request_time, request, self.latencies.is_some())
            && !record.is_tunnel()
            && let Some(known) = self.known.get_mut(at as usize)
        {
            known.latency.record(time);
        }
    }

    #[inline(never)]
    fn add_to(&mut self, family: usize, values: &Values<'_>, step: i64, tried: Tried, request: Option<bool>) {
        let at = self.find_values(family, values);
        if let Some(cell) = self.cell(family, at, step) {
            count_in(&mut self.block, cell, &self.plan, values.record, tried, request);
        }
    }

    /// The cell in this step of the block of the family's series at this place in `known`.
    #[inline(always)]
    fn cell(&mut self, family: usize, at: u32, step: i64) -> Option<u32> {
        if let Some(last) = self.last.get_mut(family) {
            *last = at;
        }
        let known = self.known.get_mut(at as usize)?;
        if known.epoch != self.epoch {
            known.epoch = self.epoch;
            known.cell = self.block.add_series(known.set.as_bytes(), known.family, step);
        }
        let cell = self.block.find_cell(known.cell, step);
        // Older cells are found through the newest.
        known.cell = known.cell.max(cell);
        Some(cell)
    }

    fn find_values(&mut self, family: usize, values: &Values<'_>) -> u32 {
        let has_upstream = values.has_upstream();
        let Some(carried) = self.carried.get(family) else { return u32::MAX };
        let key = Key::of(values, carried[usize::from(has_upstream)].built_in);
        self.find(family, has_upstream, &key, || *values)
    }

    /// The place in `known` of the series with this key. The values are asked for where it does not say all of them.
    #[inline(always)]
    fn find<'v>(
        &mut self,
        family: usize,
        has_upstream: bool,
        key: &Key,
        values: impl Fn() -> Values<'v>,
    ) -> u32 {
        let Some(carried) = self.carried.get(family) else { return u32::MAX };
        let carried = &carried[usize::from(has_upstream)];
        let mut hash = key.hash(has_upstream);
        if carried.captures {
            hash = carried.hash_of_captures(&self.plan, &values(), hash);
        }
        // The last multiplication leaves the low bits poor.
        let tag = (hash >> 16) as u32;
        let start = (hash >> 48) as usize;
        for i in 0..REACH {
            let (found, known) = self.shortcuts[(start.wrapping_add(i)) % SHORTCUTS];
            if found == tag
                && let Some(series) = self.known.get(known as usize)
                && series.key.is(key)
                && usize::from(series.family) == family
                && ((!carried.captures && key.says_all())
                    || is_set(&series.set, &self.plan, &carried.labels, &values()))
            {
                return known;
            }
        }
        self.find_slowly(family, &values(), key, tag, start)
    }

    #[cold]
    fn find_slowly(&mut self, family: usize, values: &Values<'_>, key: &Key, tag: u32, start: usize) -> u32 {
        let mask = self.plan.mask(family, values.has_upstream());
        let labels = (0u8..).zip(self.plan.labels());
        let value = |(i, label): (u8, &Label)| match mask >> i & 1 {
            1 => values.get(&self.plan, i, *label),
            _ if *label == Label::Family => family_name(family),
            _ => b"",
        };
        self.scratch.clear();
        write(&mut self.scratch, self.plan.labels().len(), labels.map(value));
        let known = match self.ids.get(&self.scratch[..]) {
            Some(known) => *known,
            None => {
                let known = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
                let set = LabelSet::from_bytes(&self.scratch);
                self.ids.insert(set.clone(), known);
                let epoch = self.epoch.wrapping_sub(1);
                let family = u8::try_from(family).unwrap_or(0);
                self.known.push(Known {
                    set,
                    key: *key,
                    family,
                    epoch,
                    cell: 0,
                    latency: Latency::default(),
                });
                known
            }
        };
        let free =
            (0..REACH).map(|i| start.wrapping_add(i) % SHORTCUTS).find(|&i| self.shortcuts[i] == EMPTY);
        self.shortcuts[free.unwrap_or(start % SHORTCUTS)] = (tag, known);
        known
    }

    /// Forgets the series, but not their times.
    fn forget(&mut self) {
        self.last = [u32::MAX; FAMILIES_MAX];
        self.ids.clear();
        self.shortcuts.fill(EMPTY);
        let known = std::mem::take(&mut self.known);
        let Some(latencies) = &mut self.latencies else { return };
        for known in known {
            latencies.merge(known);
        }
    }
}
