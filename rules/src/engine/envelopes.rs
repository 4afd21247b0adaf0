//! Which alerts belong together: every firing joins the incident whose cause explains it, or opens one.

use super::Engine;
use crate::alert::{Change, ChangeKind, Labels};
use crate::buckets::STEPS_HELD;
use crate::groups::counted;
use crate::incident::{ASKED_MAX, Affected, CONSIDERED_MAX, EXPLAINED, Envelope, causes};
use crate::localise::{Cube, LEAVES_MAX, Seen, Suspect, Verdict};
use crate::rule::Rule;
use crate::series::{FAMILY, OTHER, SeriesId};
use crate::tally::Tally;
use crate::window::{MINUTE, Point, Span};
use gatewatch_parsers::Millis;
use std::collections::BTreeMap;

/// What was usual is looked up over so long before the fault.
const BASELINE: Millis = 30 * MINUTE;
/// An alert that began so long ago is no part of what begins now: what it counted is usual meanwhile.
const RECENT: Millis = 15 * MINUTE;
/// Of two causes that are the same series, the one that comes first here is named. Inputs last: they are made by hand.
const ORDER: [&str; 5] = ["upstream", "node", "pool", "region", "site"];

/// One look at the series of a rule.
struct Scan {
    rule: usize,
    window: Millis,
    cube: Cube,
    verdict: Verdict,
    /// The one node that all of it is of.
    node: Option<String>,
}

/// Where an alert is: the place of its rule, and of its group there.
pub(super) type Seat = (usize, u32);

impl Engine {
    /// Puts the firings of a step into incidents; `seats` are those of the changes, in their order.
    pub(super) fn gather(&mut self, end: Millis, changes: &mut [Change], seats: &[Seat]) {
        let mut scans: Vec<Scan> = Vec::new();
        // The envelope that took part, and the scan that says most of it.
        let mut touched: BTreeMap<String, usize> = BTreeMap::new();
        self.wake(changes, seats);
        for (change, &(rule, group)) in changes.iter_mut().zip(seats) {
            let is_news = matches!(change.kind, ChangeKind::Firing | ChangeKind::Escalated);
            let Some(known) = self.seat((rule, group)).filter(|_| is_news) else { continue };
            let window = change.alert.window;
            let at = scans.iter().position(|scan| (scan.rule, scan.window) == (rule, window));
            let at = at.unwrap_or_else(|| {
                scans.extend(self.scan(rule, window, end));
                scans.len().saturating_sub(1)
            });
            let Some(scan) = scans.get(at) else { continue };
            let id = match known.filter(|_| change.kind == ChangeKind::Escalated) {
                Some(id) => id,
                None => self.find_or_open(scan, (rule, group), change, end),
            };
            touched.insert(id.clone(), at);
            change.alert.envelope = self.envelopes.get(&id).cloned();
            self.set_envelope((rule, group), id);
        }
        for (id, at) in touched {
            if let Some(scan) = scans.get(at) {
                self.recompute(&id, scan, end);
            }
        }
    }

    /// What has come back is in its incident still, which is not over.
    fn wake(&mut self, changes: &[Change], seats: &[Seat]) {
        for (_, seat) in changes.iter().zip(seats).filter(|(change, _)| change.kind == ChangeKind::Reopened) {
            if let Some(id) = self.seat(*seat).flatten()
                && let Some(envelope) = self.envelopes.get_mut(&id)
            {
                envelope.members = envelope.members.max(1);
            }
        }
    }

    /// Counts members anew, gives every change its incident as it stands, and forgets incidents without alerts.
    pub(super) fn settle_envelopes(&mut self, changes: &mut [Change]) {
        if changes.is_empty() && self.envelopes.is_empty() {
            return;
        }
        let mut open: BTreeMap<&str, u32> = BTreeMap::new();
        for (groups, _) in &self.rules {
            for (_, case) in groups.with_case() {
                if let Some(id) = &case.envelope {
                    *open.entry(id).or_default() += u32::from(case.life().is_open());
                }
            }
        }
        for (id, envelope) in &mut self.envelopes {
            envelope.members = open.get(id.as_str()).copied().unwrap_or(0);
        }
        for change in changes {
            if let Some(known) = &mut change.alert.envelope
                && let Some(now) = self.envelopes.get(&known.id)
            {
                known.clone_from(now);
            }
        }
        let open: std::collections::BTreeSet<String> = open.into_keys().map(str::to_owned).collect();
        self.envelopes.retain(|id, _| open.contains(id));
    }

    /// The envelope that a case has; `None`: there is no such case.
    fn seat(&self, (rule, group): Seat) -> Option<Option<String>> {
        let (groups, _) = self.rules.get(rule)?;
        Some(groups.group(group)?.case.as_ref()?.envelope.clone())
    }

    fn set_envelope(&mut self, (rule, group): Seat, id: String) {
        let group = self.rules.get_mut(rule).and_then(|(groups, _)| groups.group_mut(group));
        if let Some(case) = group.and_then(|group| group.case.as_deref_mut()) {
            case.envelope = Some(id);
        }
    }

    /// The incident that a firing belongs to, the newest that explains it; else one that it opens.
    fn find_or_open(&mut self, scan: &Scan, seat: Seat, change: &Change, end: Millis) -> String {
        let window = change.alert.window;
        let mut open: Vec<(Millis, &String, &Envelope)> =
            self.envelopes.iter().filter(|(_, e)| e.members > 0).map(|(id, e)| (e.opened, id, e)).collect();
        open.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)));
        open.truncate(CONSIDERED_MAX);
        let own: Vec<&Suspect> = causes(&scan.verdict)
            .iter()
            .filter(|cause| self.explains(&cause.labels, seat, window, end))
            .collect();
        let together = own.iter().find_map(|cause| {
            open.iter().find(|(_, id, _)| self.explains_most(&cause.labels, id, end)).map(|(_, id, _)| *id)
        });
        // What was found earlier holds on, but not that everything failed: that explains whatever comes.
        let holds = |envelope: &Envelope| {
            !envelope.labels.is_empty() && self.explains(&envelope.labels, seat, window, end)
        };
        let earlier = || open.iter().find(|(.., envelope)| holds(envelope)).map(|(_, id, _)| *id);
        if let Some(id) = together.or_else(earlier) {
            return id.clone();
        }
        let alert = &change.alert;
        let mut envelope = Envelope::opened(alert.incident.clone(), end, alert.labels.clone());
        if let Some(cause) = own.first() {
            envelope.take(&scan.verdict, cause);
        }
        // Others that fire in the same step may join it.
        envelope.members = 1;
        let id = envelope.id.clone();
        self.envelopes.insert(id.clone(), envelope);
        id
    }

    /// Looks for the cause again, now that others have joined.
    fn recompute(&mut self, id: &str, scan: &Scan, end: Millis) {
        let found = causes(&scan.verdict).iter().find(|cause| self.explains_most(&cause.labels, id, end));
        let found = found.cloned();
        let Some(envelope) = self.envelopes.get_mut(id) else { return };
        if let Some(cause) = found {
            envelope.take(&scan.verdict, &cause);
        }
        envelope.seen_from.clone_from(&scan.node);
        let is_named = |name: &&&str| envelope.labels.iter().any(|(own, _)| own == **name);
        let affected = ORDER.iter().filter(|name| !is_named(name)).find_map(|name| {
            let (failing, of) = scan.cube.affected(&envelope.labels, name)?;
            Some(Affected { label: (*name).to_owned(), failing, of })
        });
        envelope.affected = affected;
        envelope.not_affected = scan.cube.spared(&envelope.labels);
    }

    /// Whether most of an incident's open alerts are explained by a cause.
    fn explains_most(&self, labels: &Labels, id: &str, end: Millis) -> bool {
        let (mut explained, mut asked) = (0, 0);
        for (rule, (groups, _)) in self.rules.iter().enumerate() {
            for &at in groups.active() {
                let Some(case) = groups.group(at).and_then(|group| group.case.as_deref()) else { continue };
                if asked < ASKED_MAX && case.life().is_open() && case.envelope.as_deref() == Some(id) {
                    asked += 1;
                    explained += usize::from(self.explains(labels, (rule, at), case.window(), end));
                }
            }
        }
        explained * 2 > asked
    }

    /// Whether most errors of a group lie where the labels are. A series that does not carry one of them lies elsewhere.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn explains(&self, labels: &Labels, (rule, group): Seat, window: Millis, end: Millis) -> bool {
        if labels.is_empty() {
            return true;
        }
        let Some((groups, _)) = self.rules.get(rule) else { return false };
        let Some(group) = groups.group(group) else { return false };
        let plan = self.buckets.plan();
        let places: Option<Vec<(usize, &str)>> =
            labels.iter().map(|(name, value)| Some((plan.index(name)?, value.as_str()))).collect();
        let Some(places) = places else { return false };
        let span = Span::ending(end, window, self.buckets.step());
        let (mut inside, mut all) = (0, 0);
        for &id in &group.members {
            let errors = self.sum(&groups.rule, id, span).errors;
            let set = self.buckets.labels(id);
            let is_there = |(at, value): &(usize, &str)| {
                set.is_some_and(|set| String::from_utf8_lossy(set.get(*at)) == *value)
            };
            all += errors;
            inside += if places.iter().all(is_there) { errors } else { 0 };
        }
        all > 0 && inside as f64 >= EXPLAINED * all as f64
    }

    fn sum(&self, rule: &Rule, id: SeriesId, span: Span) -> Point {
        let mut sum = Point::default();
        let mut add = |(_, tally): (Millis, &Tally)| sum += counted(rule, tally);
        if span.is_minutes(self.buckets.step()) {
            self.buckets.minutes(id, span.from, span.to).for_each(&mut add);
        } else {
            self.buckets.steps(id, span.from, span.to).for_each(&mut add);
        }
        sum
    }

    /// What was usual: minutes, and where these are not held, steps.
    fn usual(&self, rule: &Rule, id: SeriesId, (from, split, to): (Millis, Millis, Millis)) -> Point {
        let mut sum = Point::default();
        let minutes = self.buckets.minutes(id, from, split);
        let steps = self.buckets.steps(id, split, to);
        minutes.chain(steps).for_each(|(_, tally)| sum += counted(rule, tally));
        sum
    }

    /// Looks at the series of a rule, in a window that ends now and before everything that began lately.
    fn scan(&self, rule: usize, window: Millis, end: Millis) -> Option<Scan> {
        let (groups, _) = self.rules.get(rule)?;
        let span = Span::ending(end, window, self.buckets.step());
        let to = self.began(end).min(span.to);
        let held = end - STEPS_HELD * self.buckets.step();
        let minute = self.buckets.minute();
        let split = if to <= held { to } else { (held + minute - 1).div_euclid(minute) * minute }.min(to);
        let before = (to - BASELINE, split, to);
        let names = self.names();
        let mut cube = Cube::new(names.iter().map(|(_, name)| name.clone()));
        let mut nodes: Vec<&[u8]> = Vec::new();
        let node = self.buckets.plan().index("node");
        for id in groups.members() {
            let Some(set) = self.buckets.labels(id) else { continue };
            let (now, usual) = (self.sum(&groups.rule, id, span), self.usual(&groups.rule, id, before));
            if now.requests + now.errors + usual.requests == 0 {
                continue;
            }
            if let Some(at) = node
                && nodes.len() < 2
                && !nodes.contains(&set.get(at))
            {
                nodes.push(set.get(at));
            }
            let value = |(at, _): &(usize, String)| match set.get(*at) {
                // What has no such label is nowhere.
                [] => OTHER.into(),
                value => String::from_utf8_lossy(value),
            };
            let values: Vec<_> = names.iter().map(value).collect();
            cube.add(values.iter().map(AsRef::as_ref), seen(now, usual));
        }
        cube.fold(LEAVES_MAX);
        let node = match nodes.as_slice() {
            [one] if !one.is_empty() => Some(String::from_utf8_lossy(one).into_owned()),
            _ => None,
        };
        Some(Scan { rule, window, verdict: cube.localise(), cube, node })
    }

    /// The labels to search, in [`ORDER`].
    fn names(&self) -> Vec<(usize, String)> {
        let plan = self.buckets.plan();
        let rank = |name: &str| match name {
            "input" => ORDER.len() + 1,
            _ => ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len()),
        };
        let mut names: Vec<(usize, String)> =
            plan.names().iter().cloned().enumerate().filter(|(_, name)| name != FAMILY).collect();
        names.sort_by_key(|(at, name)| (rank(name), *at));
        names
    }

    /// When the first of the alerts began that fired lately.
    fn began(&self, end: Millis) -> Millis {
        let open = self.rules.iter().flat_map(|(groups, _)| groups.with_case());
        let lately = open.filter(|(_, case)| case.life().is_open()).map(|(_, case)| case.started());
        lately.filter(|started| *started >= end - RECENT).min().unwrap_or(end)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn seen(now: Point, usual: Point) -> Seen {
    Seen {
        errors: now.errors as f64,
        requests: now.requests as f64,
        baseline_errors: usual.errors as f64,
        baseline_requests: usual.requests as f64,
    }
}
