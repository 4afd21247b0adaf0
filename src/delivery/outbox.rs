//! Decides what is due to whom, and when: grouping, repeats, retries, coalescing. Pure: the time is an argument, and
//! [`Outbox::state`] is all that a snapshot needs.
//!
//! Invariants: one notification in flight per receiver; the newest state of an alert replaces the queued one; an alert
//! that a receiver believes to fire is never forgotten before its end was told.

use super::queue::{Entry, Flight, Owed, Queue, Terms, Told};
use crate::notification::{Item, News, Notification, Outcome, Subject, is_over};
use crate::receiver::Receiver;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, Change, ChangeKind};
use gatewatch_rules::rule::{Rule, Severity};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// So much news may wait, over all receivers.
pub const CAP: usize = 1_000;
/// After so long, what came and went unseen is only summed up, and what is refused is given up.
pub const TTL: Millis = 3_600_000;
/// What a receiver refused is offered again after this: a 404 may be a deployment.
const REFUSED_PAUSE: Millis = 15 * 60_000;
const RETRY_AFTER_MAX: Millis = 15 * 60_000;
const BACKOFF_MAX: Millis = 60_000;
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
    counters: Counters,
    random: u64,
    /// The newest time that it was given.
    now: Millis,
}

impl State {
    /// How much news waits, or is on its way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queues.values().flat_map(|queue| queue.entries.values()).filter(|entry| entry.is_news()).count()
    }

    /// What has happened to deliveries.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
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
        let mut outbox =
            Outbox { terms: BTreeMap::new(), routes: BTreeMap::new(), state, catching_up: false, next_id: 1 };
        outbox.reconfigure(receivers, rules, now);
        outbox
    }

    /// What to save.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes a new configuration. Says nothing by itself: a new receiver hears of what fires already at its next change; what was refused or waits to be retried is tried at once.
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
            for entry in queue.entries.values_mut() {
                if let Owed::News { ready, .. } = &mut entry.owed {
                    *ready = (*ready).min(now);
                }
            }
        }
        self.prune();
    }

    /// While it is catching up, alerts that were detected late wait: they may be over before the end of the log.
    pub fn set_catching_up(&mut self, catching_up: bool) {
        self.catching_up = catching_up;
    }

    /// Takes what the engine says.
    pub fn push(&mut self, change: Change, now: Millis) {
        self.set_now(now);
        let Change { kind, mut alert, .. } = change;
        // The engine does not know; whoever found its beginning does.
        if let Some(known) = self.state.alerts.get(&alert.fingerprint)
            && known.incident == alert.incident
        {
            alert.detected_late |= known.detected_late;
        }
        let repeat = self.repeat(&alert.rule);
        for (name, terms) in &self.terms {
            let notify = self.routes.get(&alert.rule).map_or(&[][..], |route| &route.notify);
            let Some(queue) = self.state.queues.get_mut(name) else { continue };
            if let Some(entry) = queue.entries.get_mut(&alert.fingerprint) {
                match kind {
                    ChangeKind::Reopened => entry.reopened += 1,
                    ChangeKind::Firing => entry.reopened = 0,
                    ChangeKind::Escalated | ChangeKind::Resolved => {}
                }
                queue.settle(&alert, terms, repeat, now);
                continue;
            }
            let wanted = terms.take(alert.severity) && (notify.is_empty() || notify.contains(name));
            let entry = match kind {
                ChangeKind::Firing | ChangeKind::Escalated if wanted => Entry::new(&alert, terms, now),
                ChangeKind::Reopened if wanted => Entry { reopened: 1, ..Entry::reopened(&alert, now) },
                _ => continue,
            };
            queue.entries.insert(alert.fingerprint.clone(), entry);
        }
        if self.state.queues.values().any(|queue| queue.entries.contains_key(&alert.fingerprint)) {
            self.state.alerts.insert(alert.fingerprint.clone(), alert);
        } else {
            self.state.alerts.remove(&alert.fingerprint);
        }
        while self.pending() > CAP && self.drop_one(now) {}
    }

    /// The alerts that are not over, as last told of.
    pub fn open_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.state.alerts.values().filter(|alert| !is_over(alert))
    }

    /// Newer figures of an alert that has not changed otherwise; a reminder shows them.
    pub fn refresh(&mut self, alert: &Alert) {
        if let Some(known) = self.state.alerts.get_mut(&alert.fingerprint)
            && known.incident == alert.incident
            && !is_over(known)
            && !is_over(alert)
        {
            known.clone_from(alert);
        }
    }

    /// What is to be sent now, by the wall clock: at most one per receiver, and none while one is on its way there.
    pub fn due(&mut self, now: Millis) -> Vec<Notification> {
        self.set_now(now);
        let names: Vec<String> = self.state.queues.keys().cloned().collect();
        names.iter().filter_map(|name| self.due_to(name, now)).collect()
    }

    /// When something will be due, if nothing happens before; may lie in the past.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        let idle = self.state.queues.values().filter(|queue| queue.flight.is_none());
        let first = |queue: &Queue| {
            let waiting =
                queue.entries.iter().filter(|(fingerprint, entry)| !self.is_held(fingerprint, entry));
            waiting.map(|(_, entry)| entry.owed.ready().max(queue.not_before)).min()
        };
        idle.filter_map(first).min()
    }

    /// Takes what became of the notification `id`. One that is not known (its receiver is gone) is ignored.
    pub fn done(&mut self, id: u64, outcome: &Outcome, now: Millis) {
        self.set_now(now);
        let flown = self.state.queues.iter_mut().find_map(|(name, queue)| {
            let flight = queue.flight.take_if(|flight| flight.id == id)?;
            Some((name.clone(), flight))
        });
        let Some((name, flight)) = flown else { return };
        match outcome {
            Outcome::Sent => self.arrived(&name, &flight, now),
            Outcome::Retry { after, .. } => {
                self.state.counters.retried += 1;
                self.back_off(&name, after.unwrap_or(0), now);
            }
            Outcome::Failed { .. } => self.refused(&name, &flight, now),
        }
        self.forget_what_is_settled(&name, &flight, now);
        self.prune();
    }

    /// How much news waits, or is on its way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state.pending()
    }

    /// What has happened to deliveries.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state.counters()
    }

    /// A clock that was set back must hold up nothing: what was due in a second is due in a second still.
    fn set_now(&mut self, now: Millis) {
        let back = self.state.now - now;
        self.state.now = now;
        if back <= 0 {
            return;
        }
        for queue in self.state.queues.values_mut() {
            queue.not_before -= back;
            for entry in queue.entries.values_mut() {
                match &mut entry.owed {
                    Owed::News { ready, since } => (*ready, *since) = (*ready - back, *since - back),
                    Owed::Reminder { at } => *at -= back,
                }
            }
        }
    }

    fn repeat(&self, rule: &str) -> Millis {
        self.routes.get(rule).map_or(REPEAT_INTERVAL, |route| route.repeat)
    }

    fn is_held(&self, fingerprint: &str, entry: &Entry) -> bool {
        self.catching_up
            && entry.told.is_none()
            && self.state.alerts.get(fingerprint).is_some_and(|alert| alert.detected_late)
    }

    fn due_to(&mut self, receiver: &str, now: Millis) -> Option<Notification> {
        let queue = self.state.queues.get(receiver)?;
        if queue.flight.is_some() || queue.not_before > now {
            return None;
        }
        let mut open = Vec::new();
        for (fingerprint, entry) in &queue.entries {
            let alert = self.state.alerts.get(fingerprint)?;
            if let Some(news) = entry.news(alert).filter(|_| !self.is_held(fingerprint, entry)) {
                open.push((subject(entry, news, alert, now), entry, news, alert));
            }
        }
        let due = open.iter().filter(|(_, entry, ..)| entry.owed.ready() <= now);
        let urgency = |(_, entry, news, alert): &(Subject, &Entry, News, &Alert)| {
            (Reverse((news.is_firing(), alert.severity)), entry.owed.ready())
        };
        let subject = due.min_by_key(|candidate| urgency(candidate))?.0.clone();
        // A reminder takes along those that would follow it shortly.
        open.retain(|(s, entry, _, alert)| {
            let slack = if entry.is_news() { Millis::MAX } else { self.repeat(&alert.rule) / 10 };
            *s == subject && entry.owed.ready() <= now.saturating_add(slack)
        });
        open.sort_by(|a, b| worse_first((a.2, a.3), (b.2, b.3)));

        let key = key(receiver, &subject, open.iter().map(|(_, entry, news, alert)| (*entry, *news, *alert)));
        let telling = open.iter().map(|(.., alert)| (alert.fingerprint.clone(), Told::of(alert))).collect();
        let items = open
            .into_iter()
            .map(|(_, entry, news, alert)| Item { news, reopened: entry.reopened, alert: alert.clone() })
            .collect();
        let id = self.next_id;
        self.next_id += 1;
        self.state.queues.get_mut(receiver)?.flight = Some(Flight { id, telling });
        Some(Notification { id, key, receiver: receiver.to_owned(), subject, at: now, items })
    }

    fn arrived(&mut self, receiver: &str, flight: &Flight, now: Millis) {
        self.state.counters.sent += 1;
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        queue.tries = 0;
        queue.not_before = now;
        for (fingerprint, told) in &flight.telling {
            let Some(entry) = queue.entries.get_mut(fingerprint) else { continue };
            let (Some(alert), Some(terms)) = (self.state.alerts.get(fingerprint), self.terms.get(receiver))
            else {
                continue;
            };
            let repeat = self.routes.get(&alert.rule).map_or(REPEAT_INTERVAL, |route| route.repeat);
            entry.told = Some(told.clone());
            // What was owed is paid; what has changed since is news from now on.
            entry.owed = Owed::News { ready: Millis::MAX, since: now };
            if let Some(owed) = entry.settled(alert, terms, repeat, now) {
                entry.owed = owed;
            }
        }
    }

    /// Of what was on its way: entries with nothing left to say.
    fn forget_what_is_settled(&mut self, receiver: &str, flight: &Flight, now: Millis) {
        let (Some(queue), Some(terms)) = (self.state.queues.get_mut(receiver), self.terms.get(receiver))
        else {
            return;
        };
        for fingerprint in flight.telling.keys() {
            let alert = self.state.alerts.get(fingerprint);
            let settled =
                queue.entries.get(fingerprint).zip(alert).and_then(|(e, a)| e.settled(a, terms, 0, now));
            if settled.is_none() {
                queue.entries.remove(fingerprint);
            }
        }
    }

    fn back_off(&mut self, receiver: &str, after: Millis, now: Millis) {
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        let most = BACKOFF_MAX.min(1_000 << queue.tries.min(6));
        let jitter = random(&mut self.state.random, most);
        queue.tries = queue.tries.saturating_add(1);
        queue.not_before = now + jitter.max(after.clamp(0, RETRY_AFTER_MAX));
    }

    fn refused(&mut self, receiver: &str, flight: &Flight, now: Millis) {
        self.state.counters.failed += 1;
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        queue.tries = 0;
        queue.not_before = now;
        for fingerprint in flight.telling.keys() {
            let Some(alert) = self.state.alerts.get(fingerprint) else { continue };
            let Some(entry) = queue.entries.get_mut(fingerprint) else { continue };
            let repeat = self.routes.get(&alert.rule).map_or(REPEAT_INTERVAL, |route| route.repeat);
            match entry.owed {
                Owed::News { since, .. } if now - since < TTL => {
                    entry.owed = Owed::News { ready: now + REFUSED_PAUSE, since };
                }
                Owed::News { .. } => {
                    self.state.counters.deliveries_dropped += 1;
                    if is_over(alert) {
                        queue.entries.remove(fingerprint);
                    } else {
                        entry.owed = Owed::Reminder { at: now + repeat };
                    }
                }
                Owed::Reminder { .. } => entry.owed = Owed::Reminder { at: now + repeat },
            }
        }
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
        self.state.counters.deliveries_dropped += 1;
        let Some(queue) = self.state.queues.get_mut(&name) else { return false };
        if believed_firing && let Some(entry) = queue.entries.get_mut(&fingerprint) {
            entry.owed = Owed::Reminder { at: now + REPEAT_INTERVAL };
        } else {
            queue.entries.remove(&fingerprint);
        }
        if !self.state.queues.values().any(|queue| queue.entries.contains_key(&fingerprint)) {
            self.state.alerts.remove(&fingerprint);
        }
        true
    }

    /// Forgets the alerts of which nobody is told.
    fn prune(&mut self) {
        let told: BTreeSet<&String> = self.state.queues.values().flat_map(|q| q.entries.keys()).collect();
        self.state.alerts.retain(|fingerprint, _| told.contains(fingerprint));
    }
}

fn subject(entry: &Entry, news: News, alert: &Alert, now: Millis) -> Subject {
    let waited = match entry.owed {
        Owed::News { since, .. } => now - since,
        Owed::Reminder { .. } => 0,
    };
    if news == News::FiredAndResolved && (alert.detected_late || waited > TTL) {
        Subject::Missed
    } else {
        Subject::Rule(alert.rule.clone())
    }
}

fn worse_first(a: (News, &Alert), b: (News, &Alert)) -> std::cmp::Ordering {
    let rank = |(news, alert): (News, &Alert)| (news.is_firing(), alert.severity);
    let badness = |alert: &Alert| match alert.is_count || alert.window_requests == 0 {
        true => alert.window_errors as f64,
        false => alert.window_errors as f64 / alert.window_requests as f64,
    };
    rank(b)
        .cmp(&rank(a))
        .then_with(|| badness(b.1).total_cmp(&badness(a.1)))
        .then_with(|| b.1.errors.cmp(&a.1.errors))
        .then_with(|| a.1.labels.cmp(&b.1.labels))
}

/// A number for the content: the same over retries and restarts, another as soon as there is something else to say.
fn key<'a>(
    receiver: &str,
    subject: &Subject,
    said: impl Iterator<Item = (&'a Entry, News, &'a Alert)>,
) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    add(receiver);
    add(&format!("{subject:?}"));
    for (entry, news, alert) in said {
        let reminder = if entry.is_news() { 0 } else { entry.owed.ready() };
        add(&alert.fingerprint);
        add(&format!("{} {news:?} {} {reminder}", alert.incident, entry.reopened));
    }
    format!("gw-{hash:016x}")
}

/// The next of a splitmix64 sequence, in `0..=most`.
fn random(state: &mut u64, most: Millis) -> Millis {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z % (most.unsigned_abs() + 1)).cast_signed()
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
