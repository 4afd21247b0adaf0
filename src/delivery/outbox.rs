//! Decides what is due to whom, and when: grouping, repeats, retries, coalescing. Pure: the time is an argument, and
//! [`Outbox::state`] is all that a snapshot needs.
//!
//! Invariants: one notification in flight per receiver; the newest state of an alert replaces the queued one; an alert
//! that a receiver believes to fire is never forgotten before its end was told.

mod after;
mod next;
mod together;

use super::queue::{Cause, Entry, Owed, Queue, Terms};
use crate::notification::{News, Notification, Outcome, Subject, is_over};
use crate::receiver::Receiver;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, Change, ChangeKind};
use gatewatch_rules::incident::Envelope;
use gatewatch_rules::rule::{Rule, Severity};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// So much news may wait, over all receivers.
pub const CAP: usize = 1_000;
/// Alerts of which nobody is told are not remembered beyond this.
const ALERTS_MAX: usize = 2 * CAP;
/// After so long, what came and went unseen is only summed up, and what is refused is given up.
pub const TTL: Millis = 3_600_000;
/// Lines are kept of so many alerts: in a flood beyond that, no reader looks at the lines of each.
const WITH_SAMPLES_MAX: usize = 500;
const REPEAT_INTERVAL: Millis = 4 * 3_600_000;

/// What has happened to deliveries since the state was new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Notifications that arrived.
    pub sent: u64,
    /// Tries that will be repeated.
    pub retried: u64,
    /// Notifications that were refused for good.
    pub failed: u64,
    /// Alerts whose news was given up: at the cap, or refused for [`TTL`].
    pub deliveries_dropped: u64,
}

/// All that outlives the process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    alerts: BTreeMap<String, Alert>,
    queues: BTreeMap<String, Queue>,
    /// Incidents as they stand, by id.
    envelopes: BTreeMap<String, Envelope>,
    counters: Counters,
    random: u64,
    /// The newest time that it was given.
    now: Millis,
}

impl State {
    /// How much news waits, or is on its way.
    #[must_use]
    pub fn pending(&self) -> usize {
        let of = |queue: &Queue| {
            let summaries =
                [&queue.down, &queue.away].into_iter().filter(|missed| !missed.is_empty()).count();
            summaries + queue.entries.values().filter(|entry| entry.is_news()).count()
        };
        self.queues.values().map(of).sum()
    }

    /// What has happened to deliveries.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The alerts that are not over, as last told of.
    pub fn open_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().filter(|alert| !is_over(alert))
    }
}

/// Less is dropped first.
type Rank = (bool, bool, Severity, Reverse<Millis>);

#[derive(Clone, Debug)]
struct Route {
    notify: Vec<String>,
    repeat: Millis,
}

/// What is due to whom.
#[derive(Debug)]
pub struct Outbox {
    terms: BTreeMap<String, Terms>,
    routes: BTreeMap<String, Route>,
    state: State,
    catching_up: bool,
    /// Alerts that nobody is to be told of for now, but of their end.
    muted: BTreeSet<String>,
    next_id: u64,
}

impl Outbox {
    /// An empty outbox. `seed` must differ between hosts, so that their retries do not come together.
    #[must_use]
    pub fn new(receivers: &[Receiver], rules: &[Rule], seed: u64) -> Outbox {
        Outbox::restored(State { random: seed, ..State::default() }, receivers, rules, 0)
    }

    /// As it was when `state` was saved, under what is configured now.
    #[must_use]
    pub fn restored(state: State, receivers: &[Receiver], rules: &[Rule], now: Millis) -> Outbox {
        let mut outbox = Outbox {
            terms: BTreeMap::new(),
            routes: BTreeMap::new(),
            state,
            catching_up: false,
            muted: BTreeSet::new(),
            next_id: 1,
        };
        outbox.set_now(now.min(outbox.state.now));
        outbox.state.alerts.retain(|fingerprint, alert| *fingerprint == alert.fingerprint);
        for queue in outbox.state.queues.values_mut() {
            queue.entries.retain(|fingerprint, _| outbox.state.alerts.contains_key(fingerprint));
            // It may have arrived: nobody saw how it ended.
            queue.flight.iter_mut().for_each(|flight| flight.may_have_arrived = true);
        }
        outbox.reconfigure(receivers, rules, now);
        outbox.ground_what_forgets(now);
        outbox
    }

    /// What to save.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes a new configuration. Says nothing to who knows all; a receiver that is new, or that a rule names newly, hears
    /// of what fires already. What was refused or waits to be retried is tried at once.
    pub fn reconfigure(&mut self, receivers: &[Receiver], rules: &[Rule], now: Millis) {
        self.terms = receivers.iter().map(|r| (r.name.clone(), Terms::of(r))).collect();
        self.routes = rules
            .iter()
            .map(|r| (r.name.clone(), Route { notify: r.notify.clone(), repeat: r.repeat_interval }))
            .collect();
        self.state.queues.retain(|name, _| self.terms.contains_key(name));
        for name in self.terms.keys() {
            let queue = self.state.queues.entry(name.clone()).or_default();
            queue.not_before = queue.not_before.min(now);
            let forgets = self.terms.get(name).is_some_and(|terms| terms.resend.is_some());
            // Who forgets only from now on, or was told elsewhere, is told at once.
            let told = queue.entries.values().any(|entry| entry.told.is_some());
            queue.standing.next = queue.standing.next.or(told.then_some(now)).filter(|_| forgets);
            for entry in queue.entries.values_mut() {
                if let Owed::News { ready, .. } = &mut entry.owed {
                    *ready = (*ready).min(now);
                }
            }
        }
        self.introduce(now);
        self.prune();
    }

    /// Who should know of an alert that fires and was never told of it, is told.
    fn introduce(&mut self, now: Millis) {
        for alert in self.state.alerts.values().filter(|alert| !is_over(alert)) {
            let named = self.routes.get(&alert.rule).map_or(&[][..], |route| &route.notify);
            for (name, terms) in &self.terms {
                let Some(queue) = self.state.queues.get_mut(name) else { continue };
                if terms.wants(name, alert.severity, named) {
                    let introduced = || Entry::because(Cause::Introduced, now);
                    queue.entries.entry(alert.fingerprint.clone()).or_insert_with(introduced);
                }
            }
        }
    }

    /// While it is catching up, alerts that were detected late wait: they may be over before the end of the log.
    pub fn set_catching_up(&mut self, catching_up: bool) {
        self.catching_up = catching_up;
    }

    /// These alerts, by fingerprint, are muted from now on and no others: whoever knows that they fire hears no more of
    /// it, but of their end.
    pub fn set_muted(&mut self, muted: BTreeSet<String>) {
        self.muted = muted;
    }

    /// Takes what the engine says.
    pub fn push(&mut self, change: Change, now: Millis) {
        self.set_now(now);
        let Change { kind, mut alert, .. } = change;
        let before = self.state.alerts.get(&alert.fingerprint).cloned();
        // The engine does not know; whoever found its beginning does.
        if let Some(known) = before.as_ref().filter(|known| known.incident == alert.incident) {
            alert.detected_late |= known.detected_late;
        }
        if let Some(before) = &before {
            self.keep_as_told(before, &alert, now);
        }
        let repeat = self.repeat(&alert.rule);
        let named = self.routes.get(&alert.rule).map_or(&[][..], |route| &route.notify);
        for (name, terms) in &self.terms {
            let Some(queue) = self.state.queues.get_mut(name) else { continue };
            if let Some(entry) = queue.entries.get_mut(&alert.fingerprint) {
                match kind {
                    ChangeKind::Reopened => entry.reopened = entry.reopened.saturating_add(1),
                    ChangeKind::Firing => (entry.reopened, entry.handed_on) = (0, false),
                    ChangeKind::Escalated | ChangeKind::Resolved => {}
                }
                queue.settle(&alert, terms, repeat, now);
                continue;
            }
            let wanted = terms.wants(name, alert.severity, named);
            let entry = match kind {
                ChangeKind::Firing | ChangeKind::Escalated if wanted => Entry::new(&alert, terms, now),
                ChangeKind::Reopened if wanted && queue.take_back(&alert.incident) => {
                    Entry { reopened: 1, ..Entry::new(&alert, terms, now) }
                }
                ChangeKind::Reopened if wanted => Entry::reopened(&alert, now),
                _ => continue,
            };
            queue.entries.insert(alert.fingerprint.clone(), entry);
        }
        self.take_envelope(&alert);
        let ends = is_over(&alert) && alert.envelope.is_some();
        self.insert(alert);
        if ends {
            // Else nothing is due when the last one of them was never told by itself.
            let names: Vec<String> = self.state.queues.keys().cloned().collect();
            names.iter().for_each(|name| self.tend(name, now));
            self.prune_incidents();
        }
        while self.pending() > CAP && self.drop_one(now) {}
    }

    /// Remembers an alert of which somebody is told, or which fires: a new receiver will want to know.
    fn insert(&mut self, mut alert: Alert) {
        self.trim(&mut alert);
        let is_told = self.state.queues.values().any(|queue| queue.entries.contains_key(&alert.fingerprint));
        if is_told || !is_over(&alert) && self.state.alerts.len() < ALERTS_MAX {
            self.state.alerts.insert(alert.fingerprint.clone(), alert);
        } else {
            self.state.alerts.remove(&alert.fingerprint);
        }
    }

    /// Before an alert changes: what is on its way stays as it was told, and an incident that nobody was told of is summed
    /// up before another takes its place.
    fn keep_as_told(&mut self, before: &Alert, after: &Alert, now: Millis) {
        for queue in self.state.queues.values_mut() {
            queue.flight.iter_mut().for_each(|flight| flight.keep(before));
            let Some(entry) = queue.entries.get(&before.fingerprint) else { continue };
            // Its end is on its way by itself.
            let said = queue.flight.iter().flat_map(|flight| &flight.items);
            let of_it =
                |was: &Alert| was.incident == before.incident && was.fingerprint == before.fingerprint;
            let mut said = said.filter(|item| item.was.as_ref().is_some_and(of_it));
            let unseen = before.incident != after.incident
                && entry.is_news()
                && said.all(|item| item.news.is_firing())
                && entry.news(before) == Some(News::FiredAndResolved);
            if unseen {
                queue.sum_up(before, now);
            }
        }
    }

    /// The alerts that are not over, as last told of.
    pub fn open_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.state.open_alerts()
    }

    /// The alerts of which something is due that is no news of the moment: a reminder, or what has waited. Figures of
    /// theirs may be of hours ago: [`Outbox::refresh`] them first.
    #[must_use]
    pub fn may_be_stale(&self, now: Millis) -> BTreeSet<&str> {
        const FRESH: Millis = 10_000;
        let due = |owed: &Owed| match owed {
            Owed::News { ready, since } => *ready <= now && now.saturating_sub(*since) > FRESH,
            Owed::Reminder { at } => *at <= now,
        };
        let queues = self.state.queues.values().filter(|queue| !queue.is_busy());
        let entries = queues.flat_map(|queue| &queue.entries).filter(|(_, entry)| due(&entry.owed));
        let open =
            entries.filter(|(key, _)| self.state.alerts.get(*key).is_some_and(|alert| !is_over(alert)));
        open.map(|(fingerprint, _)| fingerprint.as_str()).collect()
    }

    /// Newer figures of an alert that has not changed otherwise; a reminder shows them.
    pub fn refresh(&mut self, alert: &Alert) {
        if let Some(known) = self.state.alerts.get_mut(&alert.fingerprint)
            && known.incident == alert.incident
            && !is_over(known)
            && !is_over(alert)
        {
            let flights = self.state.queues.values_mut().filter_map(|queue| queue.flight.as_mut());
            flights.for_each(|flight| flight.keep(known));
            let late = known.detected_late;
            let has_lines = !known.samples.is_empty();
            known.clone_from(alert);
            known.detected_late |= late;
            if let Some(envelope) = &alert.envelope {
                self.state.envelopes.insert(envelope.id.clone(), envelope.clone());
            }
            if !has_lines && self.state.alerts.len() > WITH_SAMPLES_MAX {
                self.state.alerts.entry(alert.fingerprint.clone()).and_modify(|known| known.samples.clear());
            }
        }
    }

    /// An alert that is new in a flood is kept without its lines: the state must stay small enough to be written.
    fn trim(&self, alert: &mut Alert) {
        let has_lines =
            self.state.alerts.get(&alert.fingerprint).is_some_and(|known| !known.samples.is_empty());
        if !has_lines && self.state.alerts.len() >= WITH_SAMPLES_MAX {
            alert.samples.clear();
        }
    }

    /// What is to be sent now, by the wall clock: at most one per receiver, and none while one is on its way there.
    pub fn due(&mut self, now: Millis) -> Vec<Notification> {
        self.set_now(now);
        self.stand_in(now);
        let names: Vec<String> = self.state.queues.keys().cloned().collect();
        names.iter().filter_map(|name| self.due_to(name, now)).collect()
    }

    /// When something will be due, if nothing happens before; may lie in the past.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        let of = |(name, queue): (&String, &Queue)| {
            let terms = self.terms.get(name)?;
            let waiting =
                queue.entries.iter().filter(|(fingerprint, entry)| !self.is_held(fingerprint, entry));
            let entries = waiting.map(|(_, entry)| entry.owed.ready()).filter(|ready| *ready < Millis::MAX);
            let away = Some(&queue.away);
            let summaries = [away, Some(&queue.down).filter(|_| !self.catching_up)].into_iter().flatten();
            let summaries = summaries.filter(|missed| !missed.is_empty()).map(|missed| missed.ready);
            let again = queue.flight.as_ref().map(|_| Millis::MIN);
            let stands = queue.standing.next.filter(|_| terms.resend.is_some());
            let first =
                entries.chain(summaries).chain(again).chain(stands).min().filter(|_| !queue.is_busy());
            let told = first.map(|first| first.max(queue.free(terms.rate)));
            let owed = || queue.entries.iter().any(|(key, entry)| self.to_hand_on(key, entry).is_some());
            let stood_in = queue.failing.filter(|_| terms.fallback.is_some() && owed());
            let wait = if queue.refused { 0 } else { after::FALLBACK_AFTER };
            let stood_in = stood_in.map(|since| since.saturating_add(wait));
            told.into_iter().chain(stood_in).min()
        };
        self.state.queues.iter().filter_map(of).min()
    }

    /// Takes what became of the notification `id`. One that is not known (its receiver is gone) is ignored.
    pub fn done(&mut self, id: u64, outcome: &Outcome, now: Millis) {
        self.set_now(now);
        let flown = self.state.queues.iter_mut().find_map(|(name, queue)| {
            let flight = queue.flight.take_if(|flight| flight.id == id && id != 0)?;
            Some((name.clone(), flight))
        });
        let Some((name, flight)) = flown else { return };
        self.ended(&name, flight, outcome, now);
    }

    /// How much news waits, or is on its way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state.pending()
    }

    /// A receiver that did not take what it was sent last, and is owed it still: once that is given up, nobody could ever
    /// see it take something again.
    #[must_use]
    pub fn failing(&self) -> Option<&str> {
        let failing = |queue: &Queue| queue.failing.is_some() && queue.owes();
        let mut failing = self.state.queues.iter().filter(|(_, queue)| failing(queue));
        failing.next().map(|(name, _)| name.as_str())
    }

    /// What has happened to deliveries.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state.counters()
    }

    /// Who forgets is told how it is now, not how it was before the end of an earlier process.
    fn ground_what_forgets(&mut self, now: Millis) {
        let forgets = self.terms.iter().filter(|(_, terms)| terms.resend.is_some());
        for name in forgets.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            if let Some(queue) = self.state.queues.get_mut(&name) {
                queue.flight.take_if(|flight| flight.subject == Subject::Standing);
            }
            self.ground(&name, now);
        }
    }

    /// A clock that was set back must hold up nothing: what was due in a second is due in a second still.
    fn set_now(&mut self, now: Millis) {
        let back = self.state.now.saturating_sub(now);
        self.state.now = now;
        if back > 0 {
            self.state.queues.values_mut().for_each(|queue| queue.shift(back));
        }
    }

    fn repeat(&self, rule: &str) -> Millis {
        self.routes.get(rule).map_or(REPEAT_INTERVAL, |route| route.repeat)
    }

    fn is_held(&self, fingerprint: &str, entry: &Entry) -> bool {
        let Some(alert) = self.state.alerts.get(fingerprint) else { return false };
        let is_muted = self.muted.contains(fingerprint) && !is_over(alert);
        is_muted || self.catching_up && entry.told.is_none() && alert.detected_late
    }

    /// Gives up the news that matters least; `false`: all of it must stay.
    fn drop_one(&mut self, now: Millis) -> bool {
        let mut least: Option<(Rank, String, String)> = None;
        for (name, queue) in &self.state.queues {
            for (fingerprint, entry) in &queue.entries {
                let Some(alert) = self.state.alerts.get(fingerprint) else { continue };
                let Owed::News { since, .. } = entry.owed else { continue };
                if queue.is_in_flight(fingerprint) || (entry.believed_firing() && is_over(alert)) {
                    continue;
                }
                // The mildest and newest goes first: what broke first is nearer to the cause.
                let rank = (entry.believed_firing(), !is_over(alert), alert.severity, Reverse(since));
                if least.as_ref().is_none_or(|(best, ..)| rank < *best) {
                    least = Some((rank, name.clone(), fingerprint.clone()));
                }
            }
        }
        let Some(((believed_firing, ..), name, fingerprint)) = least else { return false };
        let Some(queue) = self.state.queues.get_mut(&name) else { return false };
        let alert = self.state.alerts.get(&fingerprint);
        if let Some(alert) = alert.filter(|alert| is_over(alert)) {
            // Not lost: it is counted in the summary.
            queue.sum_up(alert, now);
            queue.entries.remove(&fingerprint);
        } else if believed_firing && let Some(entry) = queue.entries.get_mut(&fingerprint) {
            self.state.counters.deliveries_dropped += 1;
            entry.owed = Owed::Reminder { at: now.saturating_add(REPEAT_INTERVAL) };
        } else {
            self.state.counters.deliveries_dropped += 1;
            queue.entries.remove(&fingerprint);
        }
        if self.state.alerts.get(&fingerprint).is_some_and(is_over)
            && !self.state.queues.values().any(|queue| queue.entries.contains_key(&fingerprint))
        {
            self.state.alerts.remove(&fingerprint);
        }
        true
    }

    /// Forgets the alerts that are over and of which nobody is told.
    fn prune(&mut self) {
        let told: BTreeSet<&String> = self.state.queues.values().flat_map(|q| q.entries.keys()).collect();
        self.state.alerts.retain(|fingerprint, alert| !is_over(alert) || told.contains(fingerprint));
        self.prune_incidents();
    }
}

#[cfg(test)]
mod standing_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod whatever_tests;
