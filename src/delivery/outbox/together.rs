//! What alerts of one incident owe together. Its first page names it; who fires later in it is told with the next news of
//! it, and that is due only when it matters: it got worse, its cause is another one, it is twice as large. Its end is told
//! once, when its last alert is over.

use super::Outbox;
use crate::delivery::queue::{Cause, Entry, Owed, Queue, ToldIncident};
use crate::notification::{News, is_over};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, End};
use gatewatch_rules::incident::Envelope;
use std::collections::BTreeSet;

/// News of an incident that is no worse than was told comes at most so often.
const UPDATE_AFTER: Millis = 60_000;

/// What becomes of an entry.
enum Turn {
    Owes(Owed),
    /// The incident was told, and this came and went in it.
    Forget,
}

impl Outbox {
    /// Remembers an incident as it stands now: what was stored with its other alerts is of earlier.
    pub(super) fn take_envelope(&mut self, alert: &Alert) {
        if let Some(envelope) = &alert.envelope {
            self.state.envelopes.insert(envelope.id.clone(), envelope.clone());
        }
    }

    /// Settles what the alerts of each incident owe to one receiver.
    pub(super) fn tend(&mut self, receiver: &str, now: Millis) {
        let Some(queue) = self.state.queues.get(receiver) else { return };
        // Alerts that are not for this receiver keep no end from it.
        let open = self.open_incidents(queue);
        let turn = |(fingerprint, entry): (&String, &Entry)| {
            let alert = self.state.alerts.get(fingerprint)?;
            let id = alert.envelope.as_ref().filter(|_| entry.cause == Cause::Changed)?.id.as_str();
            let is_quiet = self.is_held(fingerprint, entry) || queue.is_in_flight(fingerprint);
            let turn = self.turn(queue, entry, alert, (id, open.contains(id)), now);
            turn.filter(|_| !is_quiet).map(|turn| (fingerprint.clone(), turn))
        };
        let turns: Vec<(String, Turn)> = queue.entries.iter().filter_map(turn).collect();
        let forgets = turns.iter().any(|(_, turn)| matches!(turn, Turn::Forget));
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        for (fingerprint, turn) in turns {
            match turn {
                Turn::Forget => {
                    queue.entries.remove(&fingerprint);
                }
                Turn::Owes(owed) => {
                    if let Some(entry) = queue.entries.get_mut(&fingerprint) {
                        entry.owed = owed;
                    }
                }
            }
        }
        if forgets {
            self.prune();
        }
    }

    /// What an entry owes, as part of an incident that is open or over; `None`: what it owes by itself.
    fn turn(
        &self,
        queue: &Queue,
        entry: &Entry,
        alert: &Alert,
        (id, is_open): (&str, bool),
        now: Millis,
    ) -> Option<Turn> {
        let told = queue.incidents.get(id);
        let since = match entry.owed {
            Owed::News { since, .. } => since,
            Owed::Reminder { .. } => now,
        };
        let later = |told: &ToldIncident| {
            let at = told.at.saturating_add(self.repeat(&alert.rule));
            Some(Turn::Owes(Owed::Reminder { at }))
        };
        match (entry.news(alert)?, told) {
            // That its rule or its group is gone has nothing to do with the fault.
            (News::Resolved, _) if is_open && !matches!(alert.end, Some(End::Config | End::Evicted)) => {
                Some(Turn::Owes(Owed::News { ready: Millis::MAX, since }))
            }
            (News::Resolved, _) if entry.owed.ready() == Millis::MAX => {
                Some(Turn::Owes(Owed::News { ready: now, since }))
            }
            (News::Firing, None) if !entry.is_news() => Some(Turn::Owes(Owed::News { ready: now, since })),
            (News::Firing, Some(told)) if alert.severity > told.severity => {
                let ready = if entry.is_news() { entry.owed.ready() } else { now };
                Some(Turn::Owes(Owed::News { ready, since }))
            }
            (News::Firing, Some(told)) if self.state.envelopes.get(id).is_some_and(|e| told.differs(e)) => {
                let ready = told.at.saturating_add(UPDATE_AFTER);
                let ready = if entry.is_news() { ready.max(entry.owed.ready()) } else { ready.max(now) };
                Some(Turn::Owes(Owed::News { ready, since }))
            }
            (News::Firing, Some(told)) => later(told),
            (News::Escalated { .. }, Some(told)) if entry.is_news() && told.severity >= alert.severity => {
                later(told)
            }
            (News::FiredAndResolved, Some(_)) if !entry.believed_firing() => Some(Turn::Forget),
            _ => None,
        }
    }

    /// The incidents that have an alert that fires, of those that a receiver is told of.
    fn open_incidents(&self, queue: &Queue) -> BTreeSet<&str> {
        let alerts = queue.entries.keys().filter_map(|fingerprint| self.state.alerts.get(fingerprint));
        let firing = alerts.filter(|alert| !is_over(alert));
        firing.filter_map(|alert| Some(alert.envelope.as_ref()?.id.as_str())).collect()
    }

    /// Forgets incidents of which nothing is left to tell.
    pub(super) fn prune_incidents(&mut self) {
        let ids = |alert: &Alert| alert.envelope.as_ref().map(|envelope| envelope.id.clone());
        let known: BTreeSet<String> = self.state.alerts.values().filter_map(ids).collect();
        self.state.envelopes.retain(|id, _| known.contains(id));
        for queue in self.state.queues.values_mut() {
            queue.incidents.retain(|id, _| known.contains(id));
        }
    }

    /// Gives alerts that are about to be told their incident as it stands now.
    pub(super) fn renew(&mut self, fingerprints: &[String]) {
        for fingerprint in fingerprints {
            let Some(known) = self.state.alerts.get_mut(fingerprint) else { continue };
            let id = known.envelope.as_ref().map(|envelope| &envelope.id);
            let Some(now) = id.and_then(|id| self.state.envelopes.get(id)) else { continue };
            if known.envelope.as_ref() == Some(now) {
                continue;
            }
            // What is on its way to others stays as it was put.
            let flights = self.state.queues.values_mut().filter_map(|queue| queue.flight.as_mut());
            flights.for_each(|flight| flight.keep(known));
            known.envelope = Some(now.clone());
        }
    }
}

impl ToldIncident {
    /// Of an alert that was told to fire.
    pub(super) fn of(envelope: &Envelope, alert: &Alert, before: Option<&ToldIncident>, now: Millis) -> Self {
        let severity = before.map_or(alert.severity, |before| before.severity.max(alert.severity));
        ToldIncident { cause: envelope.words(), members: envelope.members, severity, at: now }
    }

    /// Whether the receiver would want to know how it stands now.
    fn differs(&self, now: &Envelope) -> bool {
        self.cause != now.words() || now.members >= self.members.saturating_mul(2).max(2)
    }
}
