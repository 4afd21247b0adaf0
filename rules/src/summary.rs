//! Totals for reports: of every record, those that are late or future, too.

use crate::alert::Labels;
use crate::block::{Block, FUTURE, LATE};
use crate::filter::status_text;
use crate::intern::Interner;
use crate::latency::Latency;
use crate::pairs::Pairs;
use crate::refine::ByUpstream;
use crate::report::{Counted, Diagnosed, Group, Report};
use crate::series::{LabelSet, Plan};
use crate::timeline::Points;
use crate::total::Total;
use crate::two_way::TwoWay;
use gatewatch_parsers::{Millis, Reason, Status};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many series `analyze` keeps totals of.
pub const SERIES_MAX: usize = 50_000;

/// Totals by series, by status and over time.
#[derive(Debug)]
pub struct Summary {
    plan: Arc<Plan>,
    step: Millis,
    interner: Interner,
    series: Vec<Series>,
    statuses: BTreeMap<Status, u64>,
    timeline: Points,
    late: u64,
    future: u64,
    overflow: u64,
    pairs: Pairs,
    /// The ids of a block's series, while it is absorbed.
    ids: Vec<Option<u32>>,
}

/// A series' totals.
#[derive(Clone, Debug, Default)]
struct Series {
    total: Total,
    latency: Latency,
    folded: bool,
}

impl Series {
    fn merge(&mut self, other: &Series) {
        self.total.merge(&other.total);
        self.latency.merge(&other.latency);
    }

    fn into_group(self, labels: Labels, why: &ByUpstream<'_>) -> Group {
        Group {
            labels,
            counted: *self.total.counted(),
            status: [502, 503, 504].map(|code| self.total.status(code)),
            reasons: ranked(why.reasons()),
            percentiles: self.latency.percentiles(),
        }
    }
}

/// Most first.
fn ranked(mut reasons: Vec<(Reason, u64)>) -> Vec<(Reason, u64)> {
    reasons.sort_by_key(|(reason, count)| (Reverse(*count), *reason));
    reasons
}

impl Summary {
    /// Totals of series of this plan, [`SERIES_MAX`] at most.
    #[must_use]
    pub fn new(plan: Arc<Plan>, step: Millis) -> Summary {
        Summary::with_cap(plan, step, SERIES_MAX)
    }

    /// With another cap.
    #[must_use]
    pub fn with_cap(plan: Arc<Plan>, step: Millis, cap: usize) -> Summary {
        Summary {
            interner: Interner::of(&plan, cap),
            plan,
            step: step.max(1),
            series: Vec::new(),
            statuses: BTreeMap::new(),
            timeline: Points::new(),
            late: 0,
            future: 0,
            overflow: 0,
            pairs: Pairs::default(),
            ids: Vec::new(),
        }
    }

    /// Adds a block. Cells whose step ends at or before `late_before` are late: pass what the buckets were given, and no
    /// less than what they have closed, so that both say the same.
    pub fn absorb(&mut self, block: &Block, late_before: Millis) {
        self.late += block.late();
        self.future += block.future();
        for (status, count) in block.statuses() {
            *self.statuses.entry(status).or_default() += count;
        }
        block.pairs().for_each(|(key, _, tried)| self.pairs.add(key, tried));
        self.ids.clear();
        self.ids.resize(block.series(), None);
        for cell in block.cells().iter().filter(|cell| block.is_first(cell)) {
            let id = match self.ids.get(cell.series as usize) {
                Some(Some(id)) => *id,
                _ => self.intern(block, cell.series),
            };
            let counted = Counted::from(&cell.numbers);
            let Some(series) = self.series.get_mut(id as usize) else { continue };
            if series.folded {
                self.overflow += counted.requests;
            }
            series.total.add_cell(block, cell);
            if cell.step == LATE || cell.step == FUTURE || counted.requests == 0 {
                continue;
            }
            let start = cell.step.saturating_mul(self.step);
            if start.saturating_add(self.step) <= late_before {
                self.late += counted.requests;
            } else {
                self.timeline.add(start, counted.requests, counted.gateway_errors);
            }
        }
    }

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
        if let Some(id) = self.interner.find(set.as_bytes()) {
            return id;
        }
        let id =
            if self.interner.is_full() { self.interner.fold(set) } else { self.interner.insert(set.clone()) };
        let folded = self.interner.set(id) != Some(set);
        if self.series.len() < self.interner.slots() {
            self.series.push(Series { folded, ..Series::default() });
        }
        id
    }

    /// Adds request times of a collector, when it has counted all it will.
    pub fn merge_latencies(&mut self, latencies: Vec<(LabelSet, Latency)>) {
        for (set, latency) in latencies {
            let id = self.add_series(&set);
            if let Some(series) = self.series.get_mut(id as usize) {
                series.latency.merge(&latency);
            }
        }
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Requests so far that were late.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Requests so far that were late, and those stamped over an hour ahead of their file.
    #[must_use]
    pub fn late_and_future(&self) -> (u64, u64) {
        (self.late, self.future)
    }

    /// The report, as far as counts go; groups by these labels, or if there are none, by upstream if any record has one,
    /// else by site, else by node.
    #[must_use]
    pub fn into_report(self, by: &[String]) -> Report {
        // By upstream, whatever the access log can be grouped by.
        let asked =
            if by.is_empty() { ["pool", "upstream"].map(str::to_owned).to_vec() } else { by.to_vec() };
        let by = if by.is_empty() { vec![self.default_label().to_owned()] } else { by.to_vec() };
        let mut all = Total::default();
        let mut why = ByUpstream::default();
        // Times apart: nobody asks for percentiles over everything.
        for (set, series) in self.sets() {
            all.merge(&series.total);
            self.explain(set, series, &mut why);
        }
        let head = ["node", "pool", "upstream"];
        let by_label = head.map(|label| {
            let mut groups = self.groups(&[label.to_owned()]);
            groups.retain(|group| !group.labels.is_empty());
            (label.to_owned(), groups)
        });
        Report {
            late: self.late,
            future: self.future,
            series_overflow: self.overflow,
            counted: *all.counted(),
            status: self.statuses.iter().map(|(status, count)| (status_text(*status), *count)).collect(),
            origin: all.origins().collect(),
            reasons: ranked(why.reasons()),
            diagnosed: self.diagnosed(&asked),
            groups: self.groups(&by),
            by,
            by_label: by_label.into(),
            timeline: self.timeline.finish(),
            two_way: TwoWay::of(&self.pairs),
            ..Report::default()
        }
    }

    fn default_label(&self) -> &'static str {
        let has = |label: &str| {
            let place = self.plan.index(label);
            // What only an error log names says nothing of requests, where there are any.
            let counts = |series: &Series| series.total.counted().requests > 0 || self.statuses.is_empty();
            place.is_some_and(|i| self.sets().any(|(set, series)| counts(series) && !set.get(i).is_empty()))
        };
        ["upstream", "site"].into_iter().find(|label| has(label)).unwrap_or("node")
    }

    fn explain<'a>(&self, set: &'a LabelSet, series: &Series, why: &mut ByUpstream<'a>) {
        let upstream = self.plan.index("upstream").map_or(&b""[..], |at| set.get(at));
        let Series { total, .. } = series;
        why.add(upstream, total.reasons(), total.diagnosed(), total.origins());
    }

    /// What error logs tell, by these labels: most failures first, ties by labels.
    fn diagnosed(&self, by: &[String]) -> Vec<Diagnosed> {
        let places: Vec<Option<usize>> = by.iter().map(|name| self.plan.index(name)).collect();
        let mut totals: HashMap<Vec<&[u8]>, Total> = HashMap::new();
        for (set, series) in self.sets() {
            let values = places.iter().map(|place| place.map_or(b"" as &[u8], |i| set.get(i)));
            totals.entry(values.collect()).or_default().merge(&series.total);
        }
        let of = |(values, total): (Vec<&[u8]>, Total)| Diagnosed {
            labels: labels(by, values),
            failed: ranked(total.diagnosed().collect()),
            aborted: ranked(total.cuts().collect()),
        };
        let mut all: Vec<Diagnosed> = totals.into_iter().map(of).filter(|d| d.count() > 0).collect();
        all.sort_by(|a, b| b.count().cmp(&a.count()).then_with(|| a.labels.cmp(&b.labels)));
        all
    }

    fn sets(&self) -> impl Iterator<Item = (&LabelSet, &Series)> {
        (0u32..).zip(&self.series).filter_map(|(id, series)| Some((self.interner.set(id)?, series)))
    }

    /// Most gateway errors, then most requests first; ties by labels.
    fn groups(&self, by: &[String]) -> Vec<Group> {
        let places: Vec<Option<usize>> = by.iter().map(|name| self.plan.index(name)).collect();
        let mut totals: HashMap<Vec<&[u8]>, (Series, ByUpstream<'_>)> = HashMap::new();
        for (set, series) in self.sets() {
            let values = places.iter().map(|place| place.map_or(b"" as &[u8], |i| set.get(i)));
            let (sum, why) = totals.entry(values.collect()).or_default();
            sum.merge(series);
            self.explain(set, series, why);
        }
        // A series that has only times would be a group of nothing, and what only an error log tells is no request.
        let has_some = |series: &Series| {
            let counted = series.total.counted();
            counted.requests > 0 || counted.attempts > 0
        };
        let some = totals.into_iter().filter(|(_, (series, _))| has_some(series));
        let mut groups: Vec<Group> =
            some.map(|(values, (series, why))| series.into_group(labels(by, values), &why)).collect();
        groups.sort_by(|a, b| {
            let key =
                |group: &Group| (Reverse(group.counted.gateway_errors), Reverse(group.counted.requests));
            key(a).cmp(&key(b)).then_with(|| a.labels.cmp(&b.labels))
        });
        groups
    }
}

/// The labels that a group has.
fn labels(by: &[String], values: Vec<&[u8]>) -> Labels {
    let some = by.iter().zip(values).filter(|(_, value)| !value.is_empty());
    some.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
}
