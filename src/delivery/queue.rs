//! What one receiver was told of each alert, and what it is owed. News is never stored: it follows from what was told
//! last and from the alert as it stands, so a stale "firing" cannot come after a "resolved".

use crate::notification::{News, is_over};
use crate::receiver::Receiver;
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
}

impl Terms {
    pub(super) fn of(receiver: &Receiver) -> Terms {
        Terms {
            severity: receiver.severity.clone(),
            send_resolved: receiver.send_resolved,
            group_wait: receiver.group_wait,
        }
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

/// One alert, to one receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) told: Option<Told>,
    pub(super) owed: Owed,
    pub(super) reopened: u32,
}

impl Entry {
    /// Nothing told, something owed.
    pub(super) fn new(alert: &Alert, terms: &Terms, now: Millis) -> Entry {
        let owed = Owed::News { ready: now + terms.wait(alert.severity), since: now };
        Entry { told: None, owed, reopened: 0 }
    }

    /// It came back, and what the receiver knew of it is forgotten: so its end was told.
    pub(super) fn reopened(alert: &Alert, now: Millis) -> Entry {
        let told = Told { over: true, ..Told::of(alert) };
        Entry { told: Some(told), owed: Owed::Reminder { at: now + REOPENED_AFTER }, reopened: 0 }
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
            (Some(told), true) if told.over => None,
            (Some(_), true) => Some(News::Resolved),
        }
    }

    /// Whether the receiver believes that it fires: then its end is never dropped.
    pub(super) fn believed_firing(&self) -> bool {
        self.told.as_ref().is_some_and(|told| !told.over)
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
            News::FiredAndResolved if self.told.is_none() && !self.is_news() => return None,
            // Not for this receiver, which goes on with what it knows.
            News::Escalated { .. } if !terms.take(alert.severity) => News::Repeated,
            news => news,
        };
        Some(match (news, self.owed) {
            (News::Repeated | News::Reopened, reminder @ Owed::Reminder { .. }) => reminder,
            (News::Repeated, _) => Owed::Reminder { at: now + repeat },
            (News::Reopened, _) => Owed::Reminder { at: now + REOPENED_AFTER },
            (_, Owed::News { ready, since }) => {
                Owed::News { ready: ready.min(now + terms.wait(alert.severity)), since }
            }
            (_, Owed::Reminder { .. }) => Owed::News { ready: now + terms.wait(alert.severity), since: now },
        })
    }
}

/// What is on its way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) id: u64,
    /// Fingerprint → what the receiver will know once it has arrived.
    pub(super) telling: BTreeMap<String, Told>,
}

/// One receiver: its entries by fingerprint, and when it may be tried.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Failed tries in a row.
    pub(super) tries: u32,
    /// No try before this.
    pub(super) not_before: Millis,
    /// Forgotten over a restart: what was on its way is sent again, under the same key.
    #[serde(skip)]
    pub(super) flight: Option<Flight>,
}

impl Queue {
    pub(super) fn is_in_flight(&self, fingerprint: &str) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.telling.contains_key(fingerprint))
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
}
