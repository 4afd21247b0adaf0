//! What is handed on: a notification as the outbox decides it, and what became of it.

pub mod trial;

use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, State};
use gatewatch_rules::rule::Severity;
use serde::{Deserialize, Serialize};

/// What is new about an alert, to the receiver that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// It fires.
    Firing,
    /// Told before; its severity rose since.
    Escalated {
        /// The severity that was told.
        from: Severity,
    },
    /// Told before, and it still fires.
    Repeated,
    /// It was told to be over, and has come back.
    Reopened,
    /// It is over.
    Resolved,
    /// It came and went before anybody could be told.
    FiredAndResolved,
}

impl News {
    /// Whether the alert fires, as far as this message says.
    #[must_use]
    pub fn is_firing(self) -> bool {
        !matches!(self, News::Resolved | News::FiredAndResolved)
    }
}

/// One alert of a notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What is new.
    pub news: News,
    /// How often it has come back since it first fired.
    pub reopened: u32,
    /// Where the receiver was told of this incident first.
    pub thread: Option<Thread>,
    /// The alert as it stands.
    pub alert: Alert,
}

/// A message that a receiver has, to be answered and changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// What the receiver calls it.
    pub name: String,
    /// Whether it is about this incident alone.
    pub alone: bool,
}

impl Item {
    /// An alert of which the receiver has no thread, and which has not come back.
    #[must_use]
    pub fn new(news: News, alert: Alert) -> Item {
        Item { news, reopened: 0, thread: None, alert }
    }
}

/// What a notification's alerts have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// They changed under this rule.
    Rule(String),
    /// They are of this incident.
    Incident(String),
    /// They changed under several rules, and the receiver's rate limit leaves one message for all of them.
    Several,
    /// They fire already, and the receiver is new.
    Introduced,
    /// They are another receiver's, which cannot be told.
    StandsIn {
        /// Its name.
        receiver: String,
        /// Since when it takes nothing.
        since: Millis,
    },
    /// They came and went while gatewatch was down, and were found when it caught up.
    WhileDown,
    /// They came and went while the receiver could not be reached.
    WhileAway,
    /// Somebody wants to see whether the receiver takes one.
    Test,
    /// Nothing is new: all that stands is told again, to a receiver that forgets.
    Standing,
}

impl Subject {
    /// Whether it sums up what is over and was never told.
    #[must_use]
    pub fn is_summary(&self) -> bool {
        matches!(self, Subject::WhileDown | Subject::WhileAway)
    }
}

/// How much a summary sums up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Incidents, those that are not shown included.
    pub incidents: u64,
    /// When the first of them began.
    pub from: Millis,
    /// When the last of them was over.
    pub to: Millis,
}

/// One message for one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Which: unique while the process lives.
    pub id: u64,
    /// The idempotency key: the same for the same content, over retries and restarts.
    pub key: String,
    /// The receiver's name.
    pub receiver: String,
    /// What its alerts have in common.
    pub subject: Subject,
    /// When it was put together.
    pub at: Millis,
    /// Its alerts: those that fire first, the worst of them first; never empty. Of a summary only the worst.
    pub items: Vec<Item>,
    /// Of a summary: all of it.
    pub totals: Option<Totals>,
}

impl Notification {
    /// The alerts that fire.
    pub fn firing(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.news.is_firing())
    }

    /// Where the receiver was told first of all these, if that was one place.
    #[must_use]
    pub fn thread(&self) -> Option<&str> {
        let name = |item: &'_ Item| item.thread.as_ref().map(|thread| thread.name.clone());
        let first = self.items.first()?;
        let same = self.items.iter().all(|item| name(item) == name(first));
        first.thread.as_ref().filter(|_| same).map(|thread| thread.name.as_str())
    }

    /// The worst severity of those that fire, or of all if none does.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let worst = self.firing().map(|item| item.alert.severity).max();
        worst.or_else(|| self.items.iter().map(|item| item.alert.severity).max()).unwrap_or_default()
    }
}

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Sent,
    /// The receiver has it, and calls it so.
    SentAs(String),
    /// It may do later.
    Retry {
        /// Not before so long, as the receiver says.
        after: Option<Millis>,
        /// What happened; without secrets.
        why: String,
        /// Nobody knows whether the receiver has it: it must get the very same again, under the same key.
        may_have_arrived: bool,
    },
    /// The same again would be refused again.
    Failed {
        /// What happened; without secrets.
        why: String,
    },
}

impl Outcome {
    /// Whether the receiver has it.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        matches!(self, Outcome::Sent | Outcome::SentAs(_))
    }
}

/// Whether an alert is over.
#[must_use]
pub fn is_over(alert: &Alert) -> bool {
    alert.state == State::Resolved
}
