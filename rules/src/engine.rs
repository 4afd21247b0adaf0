//! The engine: blocks in, changes out. It owns all counts and every alert; time is the watermark that it is given. Each
//! closed step is judged once, in order, so how records were cut into blocks and how often it was asked change nothing.

use crate::alert::{Change, End, Labels, State};
use crate::block::Block;
use crate::buckets::Buckets;
use crate::case::labels;
use crate::clues::Clues;
use crate::detectors::{self, Detector};
use crate::groups::{Groups, may_count};
use crate::incident::Envelope;
use crate::judge::{Scratch, judge};
use crate::life::Event;
use crate::recent::Recent;
use crate::report::Incident;
use crate::rule::{Rule, Severity};
use crate::samples::Samples;
use crate::series::{LabelSet, Plan, SeriesId};
use crate::servers::Servers;
use crate::total::Totals;
use crate::window::{MINUTE, MINUTES_HELD, Span};
use gatewatch_parsers::Millis;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

mod envelopes;
mod state;

pub use crate::saved::Unsound;
use envelopes::Seat;
pub use state::EngineState;

/// So many incidents that are over are remembered; then the first ones go.
pub const INCIDENTS_MAX: usize = 10_000;
/// At least so many, however few the series.
const INCIDENTS_MIN: usize = 400;
/// Beyond the year 10000, either way, time stands still: a stamp there is garbage, and arithmetic must not overflow.
const FAR: Millis = 253_402_300_800_000;
/// Lines are kept of so many series.
const SAMPLED_MAX: usize = 2_000;
/// So long before and after an incident, servers' changes may have to do with it.
const AROUND: Millis = MINUTE;
/// A line that was no alert's by then is forgotten.
const SAMPLE_KEPT: Millis = 15 * MINUTE;

/// What does not follow from the rules.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Length of a step.
    pub step: Millis,
    /// At most so many series.
    pub series_cap: usize,
}

/// An alert as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The group.
    pub labels: Labels,
    /// Pending, firing or recovering.
    pub state: State,
    /// The worst severity reached; of a pending alert it is not known yet.
    pub severity: Severity,
    /// Since when it is in this state, in event time.
    pub since: Millis,
    /// Messages that never arrived in what was judged: its counts are too low by up to so many.
    pub undercount: u64,
    /// Which incident; `None`: it has not fired.
    pub incident: Option<String>,
    /// Errors and requests (or attempts) in the window it was judged over last.
    pub counted: (u64, u64),
    /// The incident that it is part of.
    pub envelope: Option<Envelope>,
}

/// One owner of all counts and alerts.
#[derive(Debug)]
pub struct Engine {
    pub(crate) buckets: Buckets,
    rules: Vec<(Groups, &'static Detector)>,
    /// The series that the groups know, by id: an id may name another series once its own has left.
    known: Vec<Option<LabelSet>>,
    /// How many alerts keep a series from leaving.
    pub(crate) pins: HashMap<SeriesId, u32>,
    pub(crate) samples: Samples,
    pub(crate) servers: Servers,
    pub(crate) recent: Recent,
    pub(crate) clues: Clues,
    over: VecDeque<Incident>,
    incidents_max: usize,
    incidents_dropped: u64,
    totals: Totals,
    /// The number of the last incident.
    pub(crate) number: u64,
    /// Fingerprint → number, of incidents that were open when an earlier process ended.
    pub(crate) former: HashMap<String, u64>,
    /// The incidents that alerts belong to, by id.
    pub(crate) envelopes: BTreeMap<String, Envelope>,
    scratch: Scratch,
    /// Off in tests only, to show that it changes nothing.
    skips: bool,
}

impl Engine {
    /// An engine that has seen nothing. Rules of a detector that is not known are left out
    /// ([`Rule::problems`] names them), and those about lines: they are no business of counts.
    #[must_use]
    pub fn new(rules: Vec<Rule>, plan: Arc<Plan>, options: EngineOptions) -> Engine {
        let step = options.step.max(1);
        let minutes = minutes(&rules, step);
        let with_detector = |rule: Rule| {
            let detector = detectors::find_of_counts(rule.detector)?;
            Some((Groups::new(rule, &plan, step), detector))
        };
        let rules = rules.into_iter().filter_map(with_detector).collect();
        let buckets = Buckets::new(plan, step, minutes, options.series_cap);
        Engine {
            rules,
            known: Vec::new(),
            pins: HashMap::new(),
            samples: Samples::new(step, options.series_cap.min(SAMPLED_MAX)),
            servers: Servers::default(),
            recent: Recent::default(),
            clues: Clues::default(),
            over: VecDeque::new(),
            // A running agent shows none of them, and what is kept is saved: few where the series are few.
            incidents_max: (options.series_cap / 5).clamp(INCIDENTS_MIN, INCIDENTS_MAX),
            incidents_dropped: 0,
            totals: Totals::default(),
            number: 0,
            former: HashMap::new(),
            envelopes: BTreeMap::new(),
            scratch: Scratch::default(),
            skips: true,
            buckets,
        }
    }

    /// Goes on where an earlier process was: the number of its last incident, and the open ones by fingerprint. One that
    /// fires again is the same incident still.
    pub fn resume(&mut self, number: u64, open: impl IntoIterator<Item = (String, u64)>) {
        self.number = number;
        self.former = open.into_iter().collect();
    }

    /// The number of the last incident.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Adds a block. Cells whose step ends at or before `late_before`, or is closed, are late; returns how many requests
    /// were.
    pub fn absorb(&mut self, block: &Block, late_before: Millis) -> u64 {
        let late = self.buckets.absorb(block, late_before).late;
        let closed = self.buckets.closed_until().map_or(late_before, |closed| closed.max(late_before));
        let first_open = closed.div_euclid(self.buckets.step());
        self.recent.absorb(block, first_open);
        self.clues.absorb(block, first_open);
        self.totals.absorb(block, late);
        block.servers().iter().for_each(|seen| self.servers.take(seen));
        late
    }

    /// So many messages never arrived, at about that time: whatever is judged of then or later may be worse than it looks.
    pub fn lost(&mut self, at: Millis, count: u64) {
        self.buckets.lose(at.clamp(-FAR, FAR), count);
        self.totals.lose(count);
    }

    /// What everything came to since the state was new.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Closes every step that ends at or before the watermark and judges each, once, in order. Where nothing is bad and
    /// nothing came, it moves on at once.
    pub fn advance(&mut self, watermark: Millis) -> Vec<Change> {
        let step = self.buckets.step();
        let last = watermark.clamp(-FAR, FAR).div_euclid(step) * step;
        let mut changes = Vec::new();
        loop {
            let first_open = self.buckets.next_open_step().filter(|start| *start < last).map(|s| s.max(-FAR));
            let closed = match self.buckets.closed_until() {
                Some(closed) if !(self.skips && self.is_quiet()) => closed,
                _ => first_open.unwrap_or(last),
            };
            if closed >= last {
                self.buckets.close(last);
                self.recent.close(last, step);
                self.clues.close(last, step);
                return changes;
            }
            self.close_step(closed + step, &mut changes);
        }
    }

    /// The end of finished logs: closes the last steps, too.
    pub fn finish(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(start) = self.buckets.next_open_step().filter(|start| *start < FAR) {
            changes.append(&mut self.advance(start.saturating_add(self.buckets.step())));
        }
        changes
    }

    /// Every incident, over and open, by started, rule and labels.
    #[must_use]
    pub fn incidents(&self) -> Vec<Incident> {
        let mut all: Vec<Incident> = self.over.iter().cloned().collect();
        for (groups, _) in &self.rules {
            let known = groups.with_case();
            let known = known.filter_map(|(group, case)| case.incident(&groups.rule, &group.key));
            all.extend(known.map(|incident| with_cause(&self.envelopes, incident)));
        }
        all.sort_by(|a, b| (a.started, &a.rule, &a.labels).cmp(&(b.started, &b.rule, &b.labels)));
        for incident in &mut all {
            let ended = incident.ended.unwrap_or(Millis::MAX).saturating_add(AROUND);
            incident.events =
                self.servers.of_time(&incident.labels, incident.started.saturating_sub(AROUND), ended);
        }
        all
    }

    /// What is known of servers' states.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// How many incidents are no longer remembered.
    #[must_use]
    pub fn incidents_dropped(&self) -> u64 {
        self.incidents_dropped
    }

    /// Every alert that is pending, firing or recovering, by rule and labels.
    #[must_use]
    pub fn alerts(&self) -> Vec<Standing<'_>> {
        let mut all = Vec::new();
        for (groups, _) in &self.rules {
            let standing = groups.with_case().filter(|(_, case)| case.life().state() != State::Resolved);
            let name = &groups.rule.name;
            all.extend(standing.map(|(group, case)| Standing {
                envelope: self.envelope_of(case),
                ..case.standing(name, labels(&groups.rule, &group.key))
            }));
        }
        all.sort_by(|a, b| (a.rule, &a.labels).cmp(&(b.rule, &b.labels)));
        all
    }

    pub(crate) fn rules(&self) -> &[(Groups, &'static Detector)] {
        &self.rules
    }

    /// The counts, for whoever else reads them.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Offers the line of a gateway error, by the labels of its series. Of most it takes none: one a step and series.
    pub fn sample(&mut self, labels: &LabelSet, end: Millis, line: &[u8]) {
        self.samples.offer(labels, end, line);
    }

    /// Takes other rules. Those that judge as before keep their alerts and timers; alerts of the others are over. Blocks
    /// counted under the old plan must have been absorbed before; those of the new plan come after.
    pub fn reload(&mut self, rules: Vec<Rule>, plan: Arc<Plan>) -> Vec<Change> {
        // Else the groups that are closed now know some series by the ids of others.
        self.sync();
        let step = self.buckets.step();
        let mut old = std::mem::take(&mut self.rules);
        let mut kept: Vec<(Groups, &'static Detector)> = Vec::new();
        self.buckets.hold_minutes(minutes(&rules, step));
        for rule in rules {
            let Some(detector) = detectors::find_of_counts(rule.detector) else { continue };
            match old.iter().position(|(groups, _)| groups.rule.judges_like(&rule)) {
                Some(at) => {
                    let (mut groups, _) = old.remove(at);
                    groups.rule = rule;
                    kept.push((groups, detector));
                }
                None => kept.push((Groups::new(rule, &plan, step), detector)),
            }
        }
        let mut changes: Vec<Change> =
            old.into_iter().flat_map(|(groups, detector)| self.close_rule(groups, detector)).collect();
        self.rules = kept;
        self.settle(plan);
        self.settle_envelopes(&mut changes);
        changes
    }

    /// Series carry what the plan says from now on, and every rule knows them.
    fn settle(&mut self, plan: Arc<Plan>) {
        if plan != *self.buckets.plan() || self.buckets.is_over_cap() {
            self.buckets.replan(plan);
        }
        for id in std::mem::take(&mut self.pins).into_keys() {
            self.buckets.pin(id, false);
        }
        for (groups, _) in &mut self.rules {
            groups.rebind(self.buckets.plan());
        }
        self.buckets.take_changed();
        self.introduce();
        self.keep_open();
    }

    /// Introduces every series to every rule.
    fn introduce(&mut self) {
        self.known.clear();
        for id in self.buckets.ids() {
            self.known.resize(self.known.len().max(id.index() + 1), None);
            if let (Some(slot), Some(set)) = (self.known.get_mut(id.index()), self.buckets.labels(id)) {
                *slot = Some(set.clone());
                self.rules.iter_mut().for_each(|(groups, _)| groups.add(id, set));
            }
        }
    }

    fn close_rule(&mut self, mut groups: Groups, detector: &'static Detector) -> Vec<Change> {
        let at = self.buckets.closed_until().unwrap_or(0);
        let mut events: Vec<(u32, Event)> = Vec::new();
        for &group in &groups.active().to_vec() {
            let case = groups.group_mut(group).and_then(|g| g.case.as_deref_mut());
            let told = case.map(|case| case.close(End::Config, at)).unwrap_or_default();
            events.extend(told.into_iter().map(|event| (group, event)));
        }
        groups.sort(&mut events);
        let changes = self.tell(&mut groups, detector, at, &events);
        let mut over: Vec<_> = groups.with_case().collect();
        over.sort_by_key(|(group, _)| &group.key);
        self.over.extend(over.into_iter().filter_map(|(group, case)| {
            case.incident(&groups.rule, &group.key).map(|incident| with_cause(&self.envelopes, incident))
        }));
        changes
    }

    /// Whether nothing can change without further requests.
    fn is_quiet(&self) -> bool {
        self.rules.iter().all(|(groups, _)| groups.active().is_empty())
    }

    fn close_step(&mut self, end: Millis, changes: &mut Vec<Change>) {
        self.buckets.close(end);
        self.recent.close(end, self.buckets.step());
        self.clues.close(end, self.buckets.step());
        self.sync();
        self.note(end);
        let mut rules = std::mem::take(&mut self.rules);
        let mut told: Vec<Change> = Vec::new();
        let mut seats: Vec<Seat> = Vec::new();
        for (at, (groups, detector)) in rules.iter_mut().enumerate() {
            if groups.active().is_empty() {
                continue;
            }
            let outcome = judge(groups, &self.buckets, detector, end, &mut self.scratch);
            self.over
                .extend(outcome.over.into_iter().map(|(_, incident)| with_cause(&self.envelopes, incident)));
            told.append(&mut self.tell(groups, detector, end, &outcome.events));
            seats.extend(outcome.events.iter().map(|(group, _)| (at, *group)));
        }
        self.rules = rules;
        self.gather(end, &mut told, &seats);
        self.settle_envelopes(&mut told);
        changes.append(&mut told);
        while self.over.len() > self.incidents_max {
            self.over.pop_front();
            self.incidents_dropped += 1;
        }
        if end.rem_euclid(MINUTE) < self.buckets.step() {
            self.samples.forget_before(end - SAMPLE_KEPT);
        }
    }

    /// Tells the rules which series have come and gone.
    fn sync(&mut self) {
        let changed = self.buckets.take_changed();
        if changed.is_empty() {
            return;
        }
        let mut gone = Vec::new();
        for &id in &changed {
            self.known.resize(self.known.len().max(id.index() + 1), None);
            let now = self.buckets.labels(id);
            let slot = self.known.get_mut(id.index());
            gone.extend(slot.and_then(|slot| slot.take_if(|was| Some(&*was) != now)).map(|_| id));
        }
        self.rules.iter_mut().for_each(|(groups, _)| groups.remove(&gone));
        for id in changed {
            let (Some(slot), Some(set)) = (self.known.get_mut(id.index()), self.buckets.labels(id)) else {
                continue;
            };
            if slot.is_none() {
                self.rules.iter_mut().for_each(|(groups, _)| groups.add(id, set));
                *slot = Some(set.clone());
            }
        }
        self.keep_open();
    }

    /// Tells the rules what every series counted in the step that ends at `end`.
    fn note(&mut self, end: Millis) {
        let start = end - self.buckets.step();
        self.rules.iter_mut().for_each(|(groups, _)| groups.begin_step());
        for id in self.buckets.in_step(start) {
            for (_, tally) in self.buckets.steps(id, start, end) {
                let may_count = may_count(tally);
                self.rules.iter_mut().for_each(|(groups, _)| groups.note(id, tally, end, may_count));
            }
        }
    }

    /// Keeps the groups of open alerts, where a reload has let go of them.
    fn keep_open(&mut self) {
        let mut rules = std::mem::take(&mut self.rules);
        for (groups, _) in &mut rules {
            groups.each_case(|case, members| self.keep(case, members));
        }
        self.rules = rules;
    }
}

/// What the incident of a finished alert had as its cause.
fn with_cause(envelopes: &BTreeMap<String, Envelope>, mut incident: Incident) -> Incident {
    let envelope = incident.envelope.as_ref().and_then(|id| envelopes.get(id));
    incident.cause = envelope.map(Envelope::words);
    incident
}

/// How many minutes the rules look back over.
fn minutes(rules: &[Rule], step: Millis) -> usize {
    let of = |rule: &Rule| {
        let span = Span::ending(0, rule.look_back(), step);
        // A baseline ends with its window, not with a minute.
        let more = i64::from(rule.baseline.is_some());
        if span.is_minutes(step) { (span.to - span.from) / MINUTE + more } else { more }
    };
    let most = rules.iter().map(of).max().unwrap_or(0).min(MINUTES_HELD);
    usize::try_from(most).unwrap_or(0)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "engine_kinds_tests.rs"]
mod kinds;

#[cfg(test)]
#[path = "engine_invariant_tests.rs"]
mod invariants;

#[cfg(test)]
#[path = "engine_incident_tests.rs"]
mod incidents;
