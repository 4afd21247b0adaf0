//! One alert with what is known of why: its life, and what was counted since it began. Counts are added step by step, so
//! that it needs no more history than its window when it begins.

mod totals;

use crate::alert::{Alert, End, Kind, Labels, Sample, State};
use crate::detectors::Detector;
use crate::detectors::burn_rate::Pair;
use crate::detectors::normal::{Normal, bar};
use crate::detectors::pace::Pace;
use crate::engine::Standing;
use crate::life::{Event, Judgement, Life};
use crate::redact::SAMPLE_MAX;
use crate::report::Incident;
use crate::rule::{Rule, Severity};
use crate::samples::SAMPLES_MAX;
use crate::saved::is_time;
use crate::series::{LabelSet, SeriesId};
use crate::window::{Point, Window};
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;
pub(crate) use totals::Totals;
use totals::ranked;

/// An alert from pending until it can no longer reopen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    life: Life,
    /// Counts up over all incidents; `None`: has not fired.
    number: Option<u64>,
    started: Millis,
    last_bad: Millis,
    fired: Option<Millis>,
    severity: Severity,
    escalated: Millis,
    resolved: Option<Millis>,
    end: Option<End>,
    last_traffic: Millis,
    peak: f64,
    window: (Millis, Point),
    normal: Option<f64>,
    /// What was normal for the group when this began, where its rule asks for it: it stays while this lasts.
    own_normal: Option<Normal>,
    /// The group was hardly known when this began: what it is like all the time may yet turn out to be its normal.
    learns: bool,
    /// When that happened: what was until then is no incident.
    learnt: Option<Millis>,
    /// How fast requests came when this began, where its rule asks for it: it stays while this lasts.
    pace: Option<Pace>,
    /// From `started` to `last_bad`.
    confirmed: Totals,
    /// From there to the end of the last bad step that came while recovering or later: part of the incident only if it
    /// fires again.
    unsure: Totals,
    unsure_until: Option<Millis>,
    /// From there to the last closed step.
    after: Totals,
    samples: Vec<Sample>,
    /// Messages that never arrived: from the window in which it began until it resolved, and since.
    lost: (u64, u64),
    /// The series that may not leave while this is open.
    pub pinned: Option<SeriesId>,
    /// The incident that it belongs to since it fired.
    pub envelope: Option<String>,
}

/// What is known when a group becomes bad.
pub(crate) struct Beginning {
    pub at: Millis,
    pub started: Millis,
    pub last_bad: Millis,
    pub normal: Option<f64>,
    pub own_normal: Option<Normal>,
    pub learns: bool,
    pub pace: Option<Pace>,
    pub last_traffic: Millis,
    /// From `started` to `last_bad`, and from there to `at`.
    pub confirmed: Totals,
    pub after: Totals,
    /// Messages that never arrived in its window.
    pub lost: u64,
}

impl Case {
    pub fn new(beginning: Beginning) -> Case {
        Case {
            life: Life::new(beginning.at),
            number: None,
            started: beginning.started,
            last_bad: beginning.last_bad,
            fired: None,
            severity: Severity::Warning,
            escalated: beginning.at,
            resolved: None,
            end: None,
            last_traffic: beginning.last_traffic,
            peak: 0.0,
            window: (0, Point::default()),
            normal: beginning.own_normal.map(|normal| normal.ratio).or(beginning.normal),
            own_normal: beginning.own_normal,
            learns: beginning.learns,
            learnt: None,
            pace: beginning.pace,
            confirmed: beginning.confirmed,
            unsure: Totals::default(),
            unsure_until: None,
            after: beginning.after,
            samples: Vec::new(),
            lost: (beginning.lost, 0),
            pinned: None,
            envelope: None,
        }
    }

    pub fn life(&self) -> &Life {
        &self.life
    }

    /// From when on it is no part of what is normal for the group.
    pub fn abnormal_from(&self) -> Millis {
        self.learnt.unwrap_or(self.started)
    }

    /// Whether it may turn out to be the group's normal, having lasted so long.
    pub fn may_be_usual(&self, at: Millis, baseline: Millis) -> bool {
        self.learns && self.life.is_open() && at - self.started >= baseline
    }

    /// It turned out to be the group's normal.
    pub fn learn(&mut self, at: Millis, normal: Normal) {
        (self.learns, self.learnt, self.own_normal) = (false, Some(at), Some(normal));
    }

    /// What was normal for the group when this began; `None`: not known, or not asked for.
    pub fn own_normal(&self) -> Option<&Normal> {
        self.own_normal.as_ref()
    }

    /// How fast requests came when this began; `None`: not known, or not asked for.
    pub fn pace(&self) -> Option<Pace> {
        self.pace
    }

    /// Whether it has lasted for so long, or ended for that.
    pub fn is_usual(&self, at: Millis, after: Millis) -> bool {
        self.end == Some(End::Usual) || self.life.is_open() && at - self.started >= after
    }

    /// Whether it has ever fired.
    pub fn has_fired(&self) -> bool {
        self.fired.is_some()
    }

    /// The end of the last bad step that is part of it.
    pub fn last_bad(&self) -> Millis {
        self.last_bad
    }

    /// The start of its first bad step.
    pub fn started(&self) -> Millis {
        self.started
    }

    /// Length of the window that it was judged over last.
    pub fn window(&self) -> Millis {
        self.window.0
    }

    /// Adds what the group and its rule counted in the step that ends at `end`.
    pub fn count(&mut self, end: Millis, step: Totals, is_bad: bool) {
        if step.own.requests > 0 {
            self.last_traffic = end;
        }
        self.after.add(step);
        if is_bad {
            self.unsure.add(std::mem::take(&mut self.after));
            self.unsure_until = Some(end);
        }
    }

    /// So many messages never arrived in the last step.
    pub fn lose(&mut self, count: u64) {
        let sum = if self.resolved.is_some() { &mut self.lost.1 } else { &mut self.lost.0 };
        *sum = sum.saturating_add(count);
    }

    /// Judges the step that ends at `at`; its counts are in already.
    pub fn judge(&mut self, rule: &Rule, at: Millis, judgement: Judgement, window: &Window) -> Vec<Event> {
        let span = window.span();
        self.window = (span.to - span.from, window.sum());
        let events = self.life.step(rule, at, judgement);
        for &event in &events {
            self.take(event, at);
        }
        // What comes while it recovers may be the usual noise; not if it fires.
        if matches!(self.life.state(), State::Firing | State::Pending) && !self.life.has_resolved() {
            self.peak = self.peak.max(window.sum().ratio());
            if let Some(until) = self.unsure_until.take() {
                self.confirmed.add(std::mem::take(&mut self.unsure));
                self.last_bad = until;
            }
        }
        events
    }

    /// Its rule or group is gone.
    pub fn close(&mut self, end: End, at: Millis) -> Vec<Event> {
        let events = self.life.close(end, at);
        for &event in &events {
            self.take(event, at);
        }
        events
    }

    fn take(&mut self, event: Event, at: Millis) {
        match event {
            Event::Fired(severity) => {
                (self.fired, self.severity, self.escalated) = (Some(at), severity, at);
            }
            Event::Escalated(severity) => (self.severity, self.escalated) = (severity, at),
            Event::Reopened => {
                (self.resolved, self.end) = (None, None);
                self.lost = (self.lost.0.saturating_add(self.lost.1), 0);
            }
            Event::Resolved(end) => (self.resolved, self.end) = (Some(at), Some(end)),
        }
    }

    /// Gives it its number when it fires.
    pub fn set_number(&mut self, next: u64) {
        self.number = Some(next);
    }

    /// How many lines it could still show.
    pub fn wants_samples(&self) -> usize {
        SAMPLES_MAX - self.samples.len().min(SAMPLES_MAX)
    }

    /// Forgets the lines that show it.
    pub fn forget_samples(&mut self) {
        self.samples.clear();
    }

    /// Takes lines that show it, oldest first; those that it has or that came before it are left.
    pub fn offer_samples(&mut self, lines: Vec<Sample>) {
        let newest = self.samples.last().map_or(Millis::MIN, |s| s.end);
        let mut lines: Vec<Sample> = lines
            .into_iter()
            .filter(|s| s.end > newest && s.end >= self.started && s.end < self.last_bad)
            .collect();
        lines.sort_by(|a, b| (a.end, &a.line).cmp(&(b.end, &b.line)));
        lines.truncate(self.wants_samples());
        self.samples.append(&mut lines);
    }

    /// Whether it can have been saved when steps were closed up to there.
    pub fn is_sound(&self, closed: Millis) -> bool {
        let some = [self.fired, self.resolved, self.unsure_until, self.learnt];
        let times = [self.started, self.last_bad, self.escalated, self.last_traffic, self.window.0];
        let is_shown = |sample: &Sample| is_time(sample.end) && sample.line.len() <= SAMPLE_MAX;
        self.life.is_sound(closed)
            && self.own_normal.is_none_or(|normal| normal.is_sound())
            && self.pace.is_none_or(|pace| pace.is_sound())
            && times.into_iter().chain(some.into_iter().flatten()).all(is_time)
            && [&self.confirmed, &self.unsure, &self.after].into_iter().all(Totals::is_sound)
            && self.samples.len() <= SAMPLES_MAX
            && self.samples.iter().all(is_shown)
    }

    /// As it stands.
    pub fn standing<'a>(&self, rule: &'a str, labels: Labels) -> Standing<'a> {
        let number = self.number.filter(|_| self.fired.is_some());
        let name = || fingerprint(rule, &labels).get(..4).unwrap_or("").to_owned();
        Standing {
            rule,
            state: self.life.state(),
            severity: self.severity,
            since: self.life.since(),
            undercount: self.lost.0,
            incident: number.map(|number| format!("{}-{number}", name())),
            counted: (self.window.1.errors, self.window.1.requests),
            envelope: None,
            labels,
        }
    }

    /// As others are told of it; `since`: messages lost since the last closed step.
    pub fn alert(
        &self,
        rule: &Rule,
        key: &LabelSet,
        detector: &Detector,
        recent: Point,
        since: u64,
    ) -> Alert {
        let labels = labels(rule, key);
        let fingerprint = fingerprint(&rule.name, &labels);
        let above = rule.above.iter().find(|a| a.0 == self.severity).or(rule.above.first());
        let above = above.map_or(0.0, |above| above.1);
        let limit = self.limit(rule, above);
        let (shares, total) = (self.shares(), self.total());
        Alert {
            incident: format!("{}-{}", fingerprint.get(..4).unwrap_or(""), self.number.unwrap_or(0)),
            rule: rule.name.clone(),
            fingerprint,
            labels,
            rule_labels: rule.labels.clone(),
            runbook: rule.runbook.clone(),
            state: self.life.state(),
            end: self.end,
            severity: self.severity,
            counts: rule.counts,
            above: limit,
            is_count: detector.is_count,
            kind: kind(rule, detector, limit > above),
            window: self.window.0,
            window_errors: self.window.1.errors,
            window_requests: self.window.1.requests,
            recent: (recent.errors, recent.requests),
            normal: self.normal,
            started: self.started,
            last_bad: self.last_bad,
            fired: self.fired.unwrap_or(self.escalated),
            escalated: self.escalated,
            resolved: self.resolved,
            last_traffic: self.last_traffic,
            peak: self.peak,
            requests: total.requests,
            errors: total.errors,
            reasons: ranked(&self.confirmed.reasons),
            origins: ranked(&self.confirmed.origins),
            statuses: ranked(&self.confirmed.statuses),
            share_of_errors: shares.0,
            share_of_requests: shares.1,
            samples: self.samples.clone(),
            detected_late: false,
            hushed: None,
            undercount: self.lost.0.saturating_add(since),
            events: Vec::new(),
            in_rotation: None,
            findings: Vec::new(),
            around: None,
            clues: None,
            note: None,
            envelope: None,
        }
    }

    /// What it was judged against, where `above` is the rule's threshold.
    fn limit(&self, rule: &Rule, above: f64) -> f64 {
        match rule.slo {
            Some(slo) => Pair::of(self.window.0).limit(slo),
            None => bar(rule, above, self.own_normal()),
        }
    }

    /// As reports list it; `None`: it has not fired, nor is it about to.
    pub fn incident(&self, rule: &Rule, key: &LabelSet) -> Option<Incident> {
        if self.fired.is_none() && self.life.state() != State::Pending {
            return None;
        }
        let ((share_of_errors, share_of_requests), total) = (self.shares(), self.total());
        let is_bad = matches!(self.life.state(), State::Firing | State::Pending) && self.resolved.is_none();
        // Silence after the last bad step is no recovery.
        let to_the_end = is_bad && self.last_traffic <= self.last_bad;
        Some(Incident {
            rule: rule.name.clone(),
            severity: self.severity,
            labels: labels(rule, key),
            started: self.started,
            ended: (!to_the_end).then_some(self.last_bad),
            fired: self.fired,
            escalated: (self.fired.is_some_and(|fired| fired < self.escalated)).then_some(self.escalated),
            resolved: self.resolved,
            peak_ratio: self.peak,
            requests: total.requests,
            gateway_errors: total.errors,
            reasons: ranked(&self.confirmed.reasons),
            origins: ranked(&self.confirmed.origins),
            share_of_errors,
            share_of_requests,
            undercount: self.lost.0,
            envelope: self.envelope.clone(),
            cause: None,
            events: Vec::new(),
        })
    }

    /// What was counted from `started` to `last_bad`; or, where requests do not come, what was expected and did not.
    fn total(&self) -> Point {
        let own = self.confirmed.own;
        self.pace.map_or(own, |pace| pace.missing(self.last_bad - self.started, own.requests))
    }

    /// Of the rule's errors and requests from `started` to `last_bad`.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn shares(&self) -> (f64, f64) {
        let Totals { own, all, .. } = &self.confirmed;
        let share = |own: u64, all: u64| if all == 0 { 0.0 } else { own as f64 / all as f64 };
        (share(own.errors, all.errors), share(own.requests, all.requests))
    }
}

/// `is_own`: the group's limit is above its rule's.
fn kind(rule: &Rule, detector: &Detector, is_own: bool) -> Kind {
    match detector.name {
        "count" => Kind::Count,
        "burn_rate" => Kind::BurnRate { slo: rule.slo.unwrap_or(0.0) },
        "absent" => Kind::Absent,
        "stall" => Kind::Stall,
        "slow" => Kind::Slow { longer_than: rule.longer_than.unwrap_or(0) },
        _ if is_own => Kind::Spike { times: rule.times },
        _ => Kind::Ratio,
    }
}

/// The group as printed: values that log lines gave, empty ones left out.
pub(crate) fn labels(rule: &Rule, key: &LabelSet) -> Labels {
    let named = rule.group_by.iter().zip(key.values()).filter(|(_, value)| !value.is_empty());
    named.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
}

/// Which alert this is, across restarts and versions.
pub fn fingerprint(rule: &str, labels: &Labels) -> String {
    #[expect(
        deprecated,
        reason = "the one hash of the standard library whose algorithm (SipHash-2-4) will not change"
    )]
    let mut hash = std::hash::SipHasher::new();
    let mut write = |text: &str| {
        hash.write(text.as_bytes());
        hash.write(&[0xff]); // in no UTF-8 text, so that "ab", "c" is not "a", "bc"
    };
    write(rule);
    for (name, value) in labels {
        write(name);
        write(value);
    }
    format!("{:016x}", hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_stay() {
        let of = |rule: &str, labels: &[(&str, &str)]| {
            fingerprint(rule, &labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(of("errors", &[("upstream", "u7")]), "76f1f3c3ceda0e6e");
        assert_ne!(of("errors", &[("a", "bc")]), of("errors", &[("ab", "c")]));
        assert_ne!(of("errors", &[]), of("error", &[("s", "")]));
    }

    #[test]
    fn ranks_ties_by_key() {
        assert_eq!(ranked(&[(504, 3), (502, 3), (503, 9)]), [(503, 9), (502, 3), (504, 3)]);
    }
}
