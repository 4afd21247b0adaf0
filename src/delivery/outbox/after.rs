//! What follows from an answer, and from none: who knows what now, when to try again, who is told instead.

use super::{Outbox, TTL};
use crate::delivery::flight::{Flight, Flown};
use crate::delivery::missed::Missed;
use crate::delivery::pace;
use crate::delivery::queue::{Cause, Entry, Owed, REOPENED_AFTER, ToldIncident};
use crate::notification::{News, Outcome, Subject, is_over};
use gatewatch_parsers::Millis;
use gatewatch_rules::rule::Severity;

/// What a receiver refused is offered again after this: a 404 may be a deployment.
const REFUSED_PAUSE: Millis = 15 * 60_000;
/// A receiver that takes nothing for so long is stood in for.
pub(super) const FALLBACK_AFTER: Millis = 5 * 60_000;

impl Outbox {
    /// Takes what became of a flight.
    pub(super) fn ended(&mut self, receiver: &str, mut flight: Flight, outcome: &Outcome, now: Millis) {
        if let Some(queue) = self.state.queues.get_mut(receiver) {
            queue.refused = matches!(outcome, Outcome::Failed { .. });
            queue.failing = if outcome.is_sent() { None } else { queue.failing.or(Some(now)) };
        }
        match outcome {
            _ if flight.subject == Subject::Standing => return self.stood(receiver, outcome, now),
            Outcome::Sent => self.arrived(receiver, &flight, None, now),
            Outcome::SentAs(name) => self.arrived(receiver, &flight, Some(name), now),
            Outcome::Failed { .. } => self.refused(receiver, &mut flight, now),
            Outcome::Retry { after, may_have_arrived, .. } => {
                self.state.counters.retried += 1;
                self.back_off(receiver, *after, now);
                flight.may_have_arrived |= may_have_arrived;
                // Who forgets may hear it twice, and must not hear what is old.
                let forgets = self.terms.get(receiver).is_some_and(|terms| terms.resend.is_some());
                if flight.may_have_arrived && !forgets {
                    flight.id = 0;
                    if let Some(queue) = self.state.queues.get_mut(receiver) {
                        queue.flight = Some(flight);
                    }
                    return;
                }
            }
        }
        self.put_back(receiver, flight, outcome.is_sent(), now);
    }

    /// Gives up sending the same again: what it said is put together anew.
    pub(super) fn ground(&mut self, receiver: &str, now: Millis) {
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        let Some(flight) = queue.flight.take() else { return };
        self.put_back(receiver, flight, false, now);
    }

    /// Of what was on its way: a summary that did not arrive waits on, and entries with nothing left to say are
    /// forgotten.
    fn put_back(&mut self, receiver: &str, mut flight: Flight, arrived: bool, now: Millis) {
        let (Some(queue), Some(terms)) = (self.state.queues.get_mut(receiver), self.terms.get(receiver))
        else {
            return;
        };
        if !arrived && let Some(missed) = queue.summary(&flight.subject) {
            missed.merge(std::mem::take(&mut flight.missed));
        }
        let believed = |item: &&Flown| !arrived && flight.may_have_arrived && item.news.is_firing();
        for item in flight.items.iter().filter(believed) {
            if let Some(entry) = queue.entries.get_mut(&item.fingerprint) {
                entry.may_believe = true;
            }
        }
        // Nobody knows whether it believes in that end: it is told that the alert is back, and of its next end.
        let ended =
            |item: &&Flown| !arrived && flight.may_have_arrived && item.has_come_back(&self.state.alerts);
        for item in flight.items.iter().filter(ended) {
            if let Some(entry) = queue.entries.get_mut(&item.fingerprint) {
                entry.told.iter_mut().for_each(|told| told.over = true);
                entry.may_believe = true;
                entry.owed = Owed::Reminder { at: now.saturating_add(REOPENED_AFTER) };
            }
        }
        for item in &flight.items {
            let alert = self.state.alerts.get(&item.fingerprint);
            // The next incident has taken its place: nobody will say it again.
            let replaced = item.was.as_ref().zip(alert).filter(|(was, now)| was.incident != now.incident);
            if let Some((was, _)) = replaced.filter(|_| !arrived && item.news == News::FiredAndResolved) {
                queue.sum_up(was, now);
            }
            let entry = queue.entries.get(&item.fingerprint);
            if entry.zip(alert).and_then(|(entry, alert)| entry.settled(alert, terms, 0, now)).is_none() {
                queue.entries.remove(&item.fingerprint);
            }
        }
        self.prune();
    }

    /// What stands was told again, or not: there is a next time.
    fn stood(&mut self, receiver: &str, outcome: &Outcome, now: Millis) {
        let Some(resend) = self.terms.get(receiver).and_then(|terms| terms.resend) else { return };
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        match outcome {
            Outcome::Retry { after, .. } => {
                self.state.counters.retried += 1;
                self.back_off(receiver, *after, now);
            }
            Outcome::Failed { .. } => {
                queue.standing.next = Some(now.saturating_add(resend));
                self.state.counters.failed += 1;
            }
            Outcome::Sent | Outcome::SentAs(_) => {
                queue.standing.next = Some(now.saturating_add(resend));
                (queue.tries, queue.not_before) = (0, now);
                self.state.counters.sent += 1;
            }
        }
    }

    /// What a receiver has now is remembered: to answer there, and to tell it again.
    fn remember(&mut self, receiver: &str, flight: &Flight, name: Option<&String>, now: Millis) {
        let resend = self.terms.get(receiver).and_then(|terms| terms.resend);
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        for item in &flight.items {
            let Some(alert) = item.alert(&self.state.alerts) else { continue };
            if let Some(name) = name {
                queue.threads.arrived(alert, name, now);
            }
            match resend {
                Some(_) if item.news.is_firing() => queue.standing.fires(&item.fingerprint),
                Some(_) => queue.standing.ended(alert.clone(), now),
                None => {}
            }
        }
        if let Some(resend) = resend {
            queue.standing.next.get_or_insert(now.saturating_add(resend));
        }
    }

    fn arrived(&mut self, receiver: &str, flight: &Flight, name: Option<&String>, now: Millis) {
        self.state.counters.sent += 1;
        self.remember(receiver, flight, name, now);
        let (Some(queue), Some(terms)) = (self.state.queues.get_mut(receiver), self.terms.get(receiver))
        else {
            return;
        };
        queue.tries = 0;
        queue.not_before = now;
        for item in &flight.items {
            let Some(entry) = queue.entries.get_mut(&item.fingerprint) else { continue };
            let Some(alert) = self.state.alerts.get(&item.fingerprint) else { continue };
            let repeat = self.routes.get(&alert.rule).map_or(super::REPEAT_INTERVAL, |route| route.repeat);
            let said = item.alert(&self.state.alerts).filter(|_| item.news.is_firing());
            if let Some((said, envelope)) = said.and_then(|said| Some((said, said.envelope.as_ref()?))) {
                let told = ToldIncident::of(envelope, said, queue.incidents.get(&envelope.id), now);
                queue.incidents.insert(envelope.id.clone(), told);
            }
            entry.told = item.told(&self.state.alerts);
            entry.may_believe = false;
            entry.handed_on = false;
            if entry.cause == Cause::Introduced {
                entry.cause = Cause::Changed;
            }
            // What was owed is paid; what has changed since is news from now on.
            entry.owed = Owed::News { ready: Millis::MAX, since: now };
            if let Some(owed) = entry.settled(alert, terms, repeat, now) {
                entry.owed = owed;
            }
        }
    }

    fn back_off(&mut self, receiver: &str, after: Option<Millis>, now: Millis) {
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        let wait = pace::back_off(&mut self.state.random, queue.tries, after);
        queue.tries = queue.tries.saturating_add(1);
        queue.not_before = now.saturating_add(wait);
    }

    fn refused(&mut self, receiver: &str, flight: &mut Flight, now: Millis) {
        self.state.counters.failed += 1;
        let Some(queue) = self.state.queues.get_mut(receiver) else { return };
        queue.tries = 0;
        queue.not_before = now;
        let later = now.saturating_add(REFUSED_PAUSE);
        let gives_up = |since: Millis| now.saturating_sub(since) >= TTL;
        for item in &flight.items {
            let Some(alert) = self.state.alerts.get(&item.fingerprint) else { continue };
            let Some(entry) = queue.entries.get_mut(&item.fingerprint) else { continue };
            let repeat = self.routes.get(&alert.rule).map_or(super::REPEAT_INTERVAL, |route| route.repeat);
            match entry.owed {
                Owed::News { since, .. } if !gives_up(since) => {
                    entry.owed = Owed::News { ready: later, since };
                }
                Owed::News { .. } => {
                    self.state.counters.deliveries_dropped += 1;
                    if is_over(alert) {
                        queue.entries.remove(&item.fingerprint);
                    } else {
                        entry.owed = Owed::Reminder { at: now.saturating_add(repeat) };
                    }
                }
                Owed::Reminder { .. } => entry.owed = Owed::Reminder { at: now.saturating_add(repeat) },
            }
        }
        flight.missed.ready = later;
        if let Some(totals) = flight.missed.totals().filter(|_| gives_up(flight.missed.since)) {
            self.state.counters.deliveries_dropped += totals.incidents;
            flight.missed = Missed::default();
        }
    }

    /// Hands on to the fallbacks what cannot be told for too long, each alert once. What a receiver stands in for is
    /// never handed on further.
    pub(super) fn stand_in(&mut self, now: Millis) {
        let failing = self.state.queues.iter().filter_map(|(name, queue)| {
            let since = queue.failing?;
            let fallback = self.terms.get(name)?.fallback.clone()?;
            let long = queue.refused || now.saturating_sub(since) >= FALLBACK_AFTER;
            long.then(|| (name.clone(), fallback, since))
        });
        let failing: Vec<(String, String, Millis)> = failing.collect();
        for (receiver, fallback, since) in failing {
            for (fingerprint, severity) in self.hand_on(&receiver) {
                let Some(terms) = self.terms.get(&fallback) else { continue };
                let Some(queue) = self.state.queues.get_mut(&fallback) else { continue };
                if terms.take(severity) {
                    let cause = Cause::StandsIn { receiver: receiver.clone(), since };
                    queue.entries.entry(fingerprint).or_insert_with(|| Entry::because(cause, now));
                }
            }
        }
    }

    /// What `receiver` should know and does not; it is handed on from now on.
    fn hand_on(&mut self, receiver: &str) -> Vec<(String, Severity)> {
        let Some(queue) = self.state.queues.get(receiver) else { return Vec::new() };
        let owed = queue.entries.iter().filter_map(|(fingerprint, entry)| {
            self.to_hand_on(fingerprint, entry).map(|severity| (fingerprint.clone(), severity))
        });
        let owed: Vec<(String, Severity)> = owed.collect();
        if let Some(queue) = self.state.queues.get_mut(receiver) {
            for (fingerprint, _) in &owed {
                if let Some(entry) = queue.entries.get_mut(fingerprint) {
                    entry.handed_on = true;
                }
            }
        }
        owed
    }

    /// Whether an alert is one that a fallback should hear of; how bad it is.
    pub(super) fn to_hand_on(&self, fingerprint: &str, entry: &Entry) -> Option<Severity> {
        let alert = self.state.alerts.get(fingerprint)?;
        let unknown = matches!(entry.news(alert)?, News::Firing | News::Escalated { .. } | News::Reopened);
        let own = !matches!(entry.cause, Cause::StandsIn { .. });
        let wanted = own && unknown && entry.is_news() && !entry.handed_on;
        (wanted && !self.is_held(fingerprint, entry)).then_some(alert.severity)
    }
}
