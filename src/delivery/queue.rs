//! What one receiver was told of each alert, and what it is owed. News is never stored: it follows from what was told
//! last and from the alert as it stands, so a stale "firing" cannot come after a "resolved".

use super::flight::Flight;
use super::missed::Missed;
use super::pace;
use super::standing::{Standing, Threads};
use crate::notification::{News, Subject, is_over};
use crate::receiver::{Rate, Receiver};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Alert;
use gatewatch_rules::rule::Severity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An alert that came back, and whose end was told, is told again if it lasts so long: the receiver's last word must
/// not stay wrong.
pub(super) const REOPENED_AFTER: Millis = 10 * 60_000;
const GROUP_WAIT: Millis = 10_000;

/// What a receiver wants.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    severity: Vec<Severity>,
    send_resolved: bool,
    group_wait: Option<Millis>,
    pub(super) rate: Option<Rate>,
    pub(super) fallback: Option<String>,
    /// How often it is told again of what stands, since it forgets.
    pub(super) resend: Option<Millis>,
    /// Alerts of one message.
    pub(super) items_max: usize,
    fallback_only: bool,
}

impl Terms {
    pub(super) fn of(receiver: &Receiver) -> Terms {
        Terms {
            severity: receiver.severity.clone(),
            send_resolved: receiver.send_resolved,
            group_wait: receiver.group_wait,
            rate: receiver.rate_limit,
            fallback: receiver.fallback.clone(),
            resend: receiver.kind.resend(),
            items_max: receiver.kind.items_max(),
            fallback_only: receiver.fallback_only,
        }
    }

    /// Whether the receiver `name` is told of such an alert, if its rule names these.
    pub(super) fn wants(&self, name: &str, severity: Severity, named: &[String]) -> bool {
        let is_named = named.iter().any(|one| one == name);
        self.take(severity) && (is_named || named.is_empty() && !self.fallback_only)
    }

    pub(super) fn take(&self, severity: Severity) -> bool {
        self.severity.is_empty() || self.severity.contains(&severity)
    }

    fn wait(&self, severity: Severity) -> Millis {
        self.group_wait.unwrap_or(if severity == Severity::Critical { 0 } else { GROUP_WAIT })
    }
}

/// What the receiver believes of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) incident: String,
    pub(super) severity: Severity,
    pub(super) over: bool,
}

impl Told {
    pub(super) fn of(alert: &Alert) -> Told {
        Told { incident: alert.incident.clone(), severity: alert.severity, over: is_over(alert) }
    }
}

/// What the receiver is owed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Owed {
    /// Something that it does not know yet.
    News {
        /// Not before.
        ready: Millis,
        /// Since when.
        since: Millis,
    },
    /// That it still fires.
    Reminder {
        /// Not before.
        at: Millis,
    },
}

impl Owed {
    pub(super) fn ready(self) -> Millis {
        match self {
            Owed::News { ready, .. } => ready,
            Owed::Reminder { at } => at,
        }
    }
}

/// Why a receiver is told of an alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Cause {
    /// It changed.
    #[default]
    Changed,
    /// The receiver is new, and it fires already.
    Introduced,
    /// Another receiver cannot be told.
    StandsIn {
        /// Its name.
        receiver: String,
        /// Since when it takes nothing.
        since: Millis,
    },
}

/// One alert, to one receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) told: Option<Told>,
    pub(super) owed: Owed,
    pub(super) reopened: u32,
    pub(super) cause: Cause,
    /// It was told to fire, and nobody knows whether that arrived.
    pub(super) may_believe: bool,
    /// The fallback has it.
    pub(super) handed_on: bool,
}

impl Entry {
    /// Nothing told, something owed.
    pub(super) fn new(alert: &Alert, terms: &Terms, now: Millis) -> Entry {
        let owed = Owed::News { ready: now + terms.wait(alert.severity), since: now };
        Entry { told: None, owed, reopened: 0, cause: Cause::Changed, may_believe: false, handed_on: false }
    }

    /// The same at once, for another reason than a change.
    pub(super) fn because(cause: Cause, now: Millis) -> Entry {
        let owed = Owed::News { ready: now, since: now };
        Entry { told: None, owed, reopened: 0, cause, may_believe: false, handed_on: false }
    }

    /// It came back, and what the receiver knew of it is forgotten: so its end was told.
    pub(super) fn reopened(alert: &Alert, now: Millis) -> Entry {
        let told = Told { over: true, ..Told::of(alert) };
        let owed = Owed::Reminder { at: now.saturating_add(REOPENED_AFTER) };
        Entry { told: Some(told), owed, reopened: 1, ..Entry::because(Cause::Changed, now) }
    }

    /// What there is to say of `alert`; `None`: the receiver knows all.
    pub(super) fn news(&self, alert: &Alert) -> Option<News> {
        let told = self.told.as_ref().filter(|told| told.incident == alert.incident);
        match (told, is_over(alert)) {
            (None, false) => Some(News::Firing),
            (None, true) => Some(News::FiredAndResolved),
            (Some(told), false) if alert.severity > told.severity => {
                Some(News::Escalated { from: told.severity })
            }
            (Some(told), false) if told.over => Some(News::Reopened),
            (Some(_), false) => Some(News::Repeated),
            // Told to be back since, perhaps: then its end is to be told again.
            (Some(told), true) if told.over && !self.may_believe => None,
            (Some(_), true) => Some(News::Resolved),
        }
    }

    /// Whether the receiver believes that it fires: then its end is never dropped.
    pub(super) fn believed_firing(&self) -> bool {
        self.may_believe || self.told.as_ref().is_some_and(|told| !told.over)
    }

    /// Who stands in for another receiver reminds nobody: that is the other one's.
    fn repeat(&self, repeat: Millis) -> Millis {
        if matches!(self.cause, Cause::StandsIn { .. }) { Millis::MAX } else { repeat }
    }

    /// Whether the receiver knows that it fires, as it does.
    pub(super) fn stands(&self, alert: &Alert) -> bool {
        let knows = |told: &Told| told.incident == alert.incident && !told.over;
        !is_over(alert) && self.told.as_ref().is_some_and(knows)
    }

    /// Whether it is pending news, as against a reminder.
    pub(super) fn is_news(&self) -> bool {
        matches!(self.owed, Owed::News { .. })
    }

    /// What is owed now that the alert, or what was told, has changed; `None`: nothing ever, forget it.
    pub(super) fn settled(&self, alert: &Alert, terms: &Terms, repeat: Millis, now: Millis) -> Option<Owed> {
        let news = match self.news(alert)? {
            News::Resolved if !terms.send_resolved => return None,
            // Its firing was given up: its end means nothing to the receiver.
            News::FiredAndResolved if self.told.is_none() && !self.is_news() && !self.may_believe => {
                return None;
            }
            // Not for this receiver, which goes on with what it knows.
            News::Escalated { .. } if !terms.take(alert.severity) => News::Repeated,
            news => news,
        };
        let soon = now.saturating_add(terms.wait(alert.severity));
        Some(match (news, self.owed) {
            (News::Repeated | News::Reopened, reminder @ Owed::Reminder { .. }) => reminder,
            (News::Repeated, _) => Owed::Reminder { at: now.saturating_add(self.repeat(repeat)) },
            (News::Reopened, _) => Owed::Reminder { at: now.saturating_add(REOPENED_AFTER) },
            (_, Owed::News { ready, since }) => Owed::News { ready: ready.min(soon), since },
            (_, Owed::Reminder { .. }) => Owed::News { ready: soon, since: now },
        })
    }
}

/// What the receiver was told of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ToldIncident {
    /// Its cause, in words.
    pub(super) cause: String,
    /// How many alerts it had.
    pub(super) members: u32,
    /// The worst severity.
    pub(super) severity: Severity,
    /// When.
    pub(super) at: Millis,
}

/// One receiver: its entries by fingerprint, and when it may be tried.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Incidents of which it was told, by id.
    pub(super) incidents: BTreeMap<String, ToldIncident>,
    /// What came and went while gatewatch was down.
    pub(super) down: Missed,
    /// What came and went while the receiver could not be reached.
    pub(super) away: Missed,
    /// Failed tries in a row.
    pub(super) tries: u32,
    /// Since when nothing arrives.
    pub(super) failing: Option<Millis>,
    /// Whether the last try was refused for good.
    pub(super) refused: bool,
    /// No try before this.
    pub(super) not_before: Millis,
    /// Up to when its rate is used.
    pub(super) paid_until: Millis,
    pub(super) flight: Option<Flight>,
    pub(super) standing: Standing,
    pub(super) threads: Threads,
}

impl Queue {
    pub(super) fn is_in_flight(&self, fingerprint: &str) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.tells(fingerprint))
    }

    /// Whether there is something that it has to hear.
    pub(super) fn owes(&self) -> bool {
        let news = self.entries.values().any(Entry::is_news);
        news || self.flight.is_some() || !self.away.is_empty() || self.standing.next.is_some()
    }

    /// Whether something is on its way there now.
    pub(super) fn is_busy(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| !flight.is_grounded())
    }

    /// When it may be told something.
    pub(super) fn free(&self, rate: Option<Rate>) -> Millis {
        self.not_before.max(pace::next_token(rate, self.paid_until))
    }

    pub(super) fn summary(&mut self, subject: &Subject) -> Option<&mut Missed> {
        match subject {
            Subject::WhileDown => Some(&mut self.down),
            Subject::WhileAway => Some(&mut self.away),
            _ => None,
        }
    }

    /// Sums up an alert that is over and was never told.
    pub(super) fn sum_up(&mut self, alert: &Alert, now: Millis) {
        let missed = if alert.detected_late { &mut self.down } else { &mut self.away };
        missed.add(alert.clone(), now);
    }

    /// It was summed up, and has come back before that was told.
    pub(super) fn take_back(&mut self, incident: &str) -> bool {
        self.down.take_back(incident) || self.away.take_back(incident)
    }

    /// Settles one entry after a change. What is on its way stays until it is known to have arrived or not.
    pub(super) fn settle(&mut self, alert: &Alert, terms: &Terms, repeat: Millis, now: Millis) {
        let in_flight = self.is_in_flight(&alert.fingerprint);
        let Some(entry) = self.entries.get_mut(&alert.fingerprint) else { return };
        match entry.settled(alert, terms, repeat, now) {
            Some(owed) => entry.owed = owed,
            None if in_flight => {}
            None => {
                self.entries.remove(&alert.fingerprint);
            }
        }
    }

    /// The clock was set back: what was due in a second is due in a second still.
    pub(super) fn shift(&mut self, back: Millis) {
        let shift = |time: &mut Millis| *time = time.saturating_sub(back);
        shift(&mut self.not_before);
        shift(&mut self.paid_until);
        self.failing.iter_mut().for_each(shift);
        self.incidents.values_mut().for_each(|told| shift(&mut told.at));
        self.down.shift(back);
        self.away.shift(back);
        self.standing.shift(back);
        self.threads.shift(back);
        for entry in self.entries.values_mut() {
            match &mut entry.owed {
                Owed::News { ready, since } => {
                    // The end of an alert whose incident goes on is due at no time.
                    if *ready < Millis::MAX {
                        shift(ready);
                    }
                    shift(since);
                }
                Owed::Reminder { at } => shift(at),
            }
        }
    }
}
