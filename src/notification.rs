//! What is handed on: a notification as the outbox decides it, and what became of it.

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
    /// The alert as it stands.
    pub alert: Alert,
}

/// What a notification's alerts have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// They changed under this rule.
    Rule(String),
    /// They came and went unseen: the agent was catching up, or the receiver could not be reached for an hour.
    Missed,
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
    /// Its alerts: those that fire first, the worst of them first; never empty.
    pub items: Vec<Item>,
}

impl Notification {
    /// The alerts that fire.
    pub fn firing(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.news.is_firing())
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
    /// It may do later.
    Retry {
        /// Not before so long, as the receiver says.
        after: Option<Millis>,
        /// What happened; without secrets.
        why: String,
    },
    /// The same again would be refused again.
    Failed {
        /// What happened; without secrets.
        why: String,
    },
}

/// Whether an alert is over.
#[must_use]
pub fn is_over(alert: &Alert) -> bool {
    alert.state == State::Resolved
}
