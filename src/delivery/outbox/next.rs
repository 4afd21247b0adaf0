//! What a receiver is told next: the very same again, or what is due, put together anew.

use super::{Outbox, TTL};
use crate::delivery::flight::{Flight, Flown, key, worse_first};
use crate::delivery::missed::Missed;
use crate::delivery::pace;
use crate::delivery::queue::{Cause, Entry, Owed, Queue};
use crate::notification::{News, Notification, Subject};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Alert;
use gatewatch_rules::rule::Severity;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// An entry with something to say.
struct Open<'a> {
    subject: Subject,
    fingerprint: &'a str,
    entry: &'a Entry,
    news: News,
    alert: &'a Alert,
}

/// Less goes first.
type Urgency = (Reverse<(bool, Severity)>, Millis);

impl Outbox {
    /// What is to be sent to one receiver now; it counts as on its way from here on.
    pub(super) fn due_to(&mut self, receiver: &str, now: Millis) -> Option<Notification> {
        let rate = self.terms.get(receiver)?.rate;
        let queue = self.state.queues.get(receiver)?;
        if queue.is_busy() || queue.free(rate) > now {
            return None;
        }
        if let Some(flight) = &queue.flight
            && flight.is_stale(&self.state.alerts, &self.muted, now)
        {
            self.ground(receiver, now);
        }
        if self.state.queues.get(receiver)?.flight.is_none() {
            self.tend(receiver, now);
            self.sum_up(receiver, now);
            let flight = self.compose(receiver, now).or_else(|| self.standing(receiver, now))?;
            self.state.queues.get_mut(receiver)?.flight = Some(flight);
        }
        let id = self.next_id;
        self.next_id += 1;
        let queue = self.state.queues.get_mut(receiver)?;
        queue.paid_until = pace::spend(rate, queue.paid_until, now);
        let flight = queue.flight.as_mut()?;
        flight.id = id;
        let notification = flight.notification(receiver, &self.state.alerts, &queue.threads);
        if notification.is_none() {
            queue.flight = None;
        }
        notification
    }

    /// Moves into the summaries what came and went unseen, once it is known that it did.
    fn sum_up(&mut self, receiver: &str, now: Millis) {
        let Some(queue) = self.state.queues.get(receiver) else { return };
        let unseen = |(fingerprint, entry): (&String, &Entry)| {
            let alert = self.state.alerts.get(fingerprint)?;
            let Owed::News { ready, since } = entry.owed else { return None };
            let over = entry.news(alert) == Some(News::FiredAndResolved);
            let told_of = entry.believed_firing() || entry.cause != Cause::Changed;
            let unseen = over && !told_of && !self.is_held(fingerprint, entry);
            let old = now.saturating_sub(since) > TTL;
            (unseen && ready <= now).then(|| (fingerprint.clone(), alert.detected_late, old))
        };
        let unseen: Vec<(String, bool, bool)> = queue.entries.iter().filter_map(unseen).collect();
        // Once one is old, its receiver was away, and one message says so of all.
        let away = !queue.away.is_empty() || unseen.iter().any(|(.., old)| *old);
        let found = !unseen.is_empty();
        for (fingerprint, late, _) in unseen {
            let Some(alert) = self.state.alerts.get(&fingerprint) else { continue };
            if let Some(queue) = self.state.queues.get_mut(receiver).filter(|_| late || away) {
                queue.sum_up(alert, now);
                queue.entries.remove(&fingerprint);
            }
        }
        if found {
            self.prune();
        }
    }

    /// Puts together what is most urgent.
    fn compose(&mut self, receiver: &str, now: Millis) -> Option<Flight> {
        let queue = self.state.queues.get(receiver)?;
        let rate = self.terms.get(receiver)?.rate;
        let mut open = self.open(queue);
        let due = open.iter().filter(|one| one.entry.owed.ready() <= now);
        let rules: BTreeSet<&Subject> =
            due.filter(|one| one.entry.is_news()).map(|one| &one.subject).collect();
        let rules = rules.into_iter().filter(|subject| is_own(subject)).count();
        // A message for each rule only while the rate allows that.
        if rules > pace::tokens(rate, queue.paid_until, now) {
            let news = |one: &&mut Open<'_>| one.entry.is_news() && is_own(&one.subject);
            open.iter_mut().filter(news).for_each(|one| one.subject = Subject::Several);
        }
        let summary = self.summary_due(queue, now);
        let due = open.iter().filter(|one| one.entry.owed.ready() <= now);
        let first = due.min_by_key(|one| urgency(one)).map(|one| (urgency(one), one.subject.clone()));
        let subject = match (first, summary) {
            (Some((entry, _)), Some((summary, subject))) if summary < entry => subject,
            (Some((_, subject)), _) | (None, Some((_, subject))) => subject,
            (None, None) => return None,
        };
        if subject.is_summary() {
            let missed = std::mem::take(self.state.queues.get_mut(receiver)?.summary(&subject)?);
            return Some(flight(receiver, subject, &[], missed, now));
        }
        // A reminder takes along those that would follow it shortly.
        open.retain(|one| {
            let is_incident = matches!(subject, Subject::Incident(_));
            // An incident is told as a whole.
            let is_all = one.entry.is_news() || is_incident;
            let slack = if is_all { Millis::MAX } else { self.repeat(&one.alert.rule) / 10 };
            // What waits for the end of its incident is due at no time.
            let ready = Some(one.entry.owed.ready()).filter(|ready| *ready < Millis::MAX);
            one.subject == subject && ready.is_some_and(|ready| ready <= now.saturating_add(slack))
        });
        let said: Vec<String> = open.iter().map(|one| one.fingerprint.to_owned()).collect();
        self.renew(&said);
        let queue = self.state.queues.get(receiver)?;
        let mut open = self.open(queue);
        open.retain(|one| said.iter().any(|fingerprint| fingerprint == one.fingerprint));
        open.sort_by(|a, b| worse_first((a.news, a.alert), (b.news, b.alert)));
        // The others stay due.
        open.truncate(self.terms.get(receiver)?.items_max);
        Some(flight(receiver, subject, &open, Missed::default(), now))
    }

    /// All that a receiver which forgets was told and that stands, and what is over since a short time.
    fn standing(&mut self, receiver: &str, now: Millis) -> Option<Flight> {
        let resend = self.terms.get(receiver)?.resend?;
        let queue = self.state.queues.get_mut(receiver)?;
        if queue.standing.next.is_none_or(|next| next > now) {
            return None;
        }
        let flown = |alert: &Alert, news, reopened, was| Flown {
            fingerprint: alert.fingerprint.clone(),
            news,
            reopened,
            was,
        };
        let fires = queue.entries.iter().filter_map(|(fingerprint, entry)| {
            let alert = self.state.alerts.get(fingerprint).filter(|alert| entry.stands(alert))?;
            Some(flown(alert, News::Repeated, entry.reopened, None))
        });
        let mut items: Vec<Flown> = fires.collect();
        let over = queue
            .standing
            .over(resend, now)
            .map(|alert| flown(alert, News::Resolved, 0, Some(alert.clone())));
        items.extend(over);
        if items.is_empty() {
            queue.standing.next = None;
            return None;
        }
        let said =
            items.iter().filter_map(|item| Some((item.news, (0, now), item.alert(&self.state.alerts)?)));
        let missed = Missed::default();
        let key = key(receiver, &Subject::Standing, said, &missed);
        Some(Flight {
            id: 0,
            key,
            subject: Subject::Standing,
            at: now,
            may_have_arrived: false,
            items,
            missed,
        })
    }

    /// Everything that one day is to be said.
    fn open<'a>(&'a self, queue: &'a Queue) -> Vec<Open<'a>> {
        let mut together: BTreeMap<&str, u32> = BTreeMap::new();
        for (fingerprint, entry) in &queue.entries {
            let alert = self.state.alerts.get(fingerprint).filter(|alert| entry.news(alert).is_some());
            if let Some(envelope) = alert.and_then(|alert| alert.envelope.as_ref()) {
                *together.entry(&envelope.id).or_default() += 1;
            }
        }
        let open = |(fingerprint, entry): (&'a String, &'a Entry)| {
            let alert = self.state.alerts.get(fingerprint)?;
            let news = entry.news(alert).filter(|_| !self.is_held(fingerprint, entry))?;
            let subject = match &entry.cause {
                Cause::Introduced => Subject::Introduced,
                Cause::StandsIn { receiver, since } => {
                    Subject::StandsIn { receiver: receiver.clone(), since: *since }
                }
                Cause::Changed => match &alert.envelope {
                    Some(incident) if together.get(incident.id.as_str()) > Some(&1) => {
                        Subject::Incident(incident.id.clone())
                    }
                    _ => Subject::Rule(alert.rule.clone()),
                },
            };
            Some(Open { subject, fingerprint, entry, news, alert })
        };
        queue.entries.iter().filter_map(open).collect()
    }

    /// A summary that may go out. What is still being found belongs into the same one.
    fn summary_due(&self, queue: &Queue, now: Millis) -> Option<(Urgency, Subject)> {
        let down = (&queue.down, Subject::WhileDown);
        let away = (&queue.away, Subject::WhileAway);
        let of = |(missed, subject): (&Missed, Subject)| {
            let severity = missed.worst().first()?.severity;
            let waits = subject == Subject::WhileDown && self.catching_up;
            (missed.ready <= now && !waits).then_some(((Reverse((false, severity)), missed.ready), subject))
        };
        [down, away].into_iter().filter_map(of).min()
    }
}

/// Whether it is told in a message of its own while the rate allows that.
fn is_own(subject: &Subject) -> bool {
    matches!(subject, Subject::Rule(_) | Subject::Incident(_))
}

fn urgency(one: &Open<'_>) -> Urgency {
    (Reverse((one.news.is_firing(), one.alert.severity)), one.entry.owed.ready())
}

fn flight(receiver: &str, subject: Subject, open: &[Open<'_>], missed: Missed, now: Millis) -> Flight {
    let marks = |entry: &Entry| (entry.reopened, if entry.is_news() { 0 } else { entry.owed.ready() });
    let said = open.iter().map(|one| (one.news, marks(one.entry), one.alert));
    let key = key(receiver, &subject, said, &missed);
    let item = |one: &Open<'_>| Flown {
        fingerprint: one.fingerprint.to_owned(),
        news: one.news,
        reopened: one.entry.reopened,
        was: None,
    };
    let items = open.iter().map(item).collect();
    Flight { id: 0, key, subject, at: now, may_have_arrived: false, items, missed }
}
