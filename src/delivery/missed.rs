//! What came and went before a receiver could be told: how much, between when, and the worst of it. It takes the same
//! room for a week as for an hour.

use super::flight::worse_first;
use crate::message::SHOWN;
use crate::notification::{News, Totals};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Alert;
use serde::{Deserialize, Serialize};

/// Incidents that are over and were never told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Missed {
    totals: Option<Totals>,
    /// The worst, the worst of all first.
    worst: Vec<Alert>,
    /// Not before, by the wall clock.
    pub(super) ready: Millis,
    /// Since when it waits, by the wall clock.
    pub(super) since: Millis,
}

impl Missed {
    pub(super) fn is_empty(&self) -> bool {
        self.totals.is_none()
    }

    pub(super) fn totals(&self) -> Option<Totals> {
        self.totals
    }

    pub(super) fn worst(&self) -> &[Alert] {
        &self.worst
    }

    /// One more incident.
    pub(super) fn add(&mut self, alert: Alert, now: Millis) {
        let to = alert.resolved.unwrap_or(alert.last_bad);
        let totals = Some(Totals { incidents: 1, from: alert.started, to });
        self.merge(Missed { totals, worst: vec![alert], ready: now, since: now });
    }

    /// It is not over after all: it is no longer among them. `false`: it is not known to be.
    pub(super) fn take_back(&mut self, incident: &str) -> bool {
        let Some(at) = self.worst.iter().position(|alert| alert.incident == incident) else { return false };
        self.worst.remove(at);
        let rest = self.totals.map(|t| Totals { incidents: t.incidents.saturating_sub(1), ..t });
        self.totals = rest.filter(|totals| totals.incidents > 0 && !self.worst.is_empty());
        true
    }

    /// Takes all that another one holds.
    pub(super) fn merge(&mut self, other: Missed) {
        let (Some(ours), Some(theirs)) = (self.totals, other.totals) else {
            if self.is_empty() {
                *self = other;
            }
            return;
        };
        self.totals = Some(Totals {
            incidents: ours.incidents.saturating_add(theirs.incidents),
            from: ours.from.min(theirs.from),
            to: ours.to.max(theirs.to),
        });
        self.since = self.since.min(other.since);
        self.ready = self.ready.max(other.ready);
        self.worst.extend(other.worst);
        self.worst.sort_by(|a, b| {
            let by_length = (b.last_bad.saturating_sub(b.started)).cmp(&a.last_bad.saturating_sub(a.started));
            worse_first((News::FiredAndResolved, a), (News::FiredAndResolved, b)).then(by_length)
        });
        self.worst.truncate(SHOWN);
    }

    /// The clock was set back by so much.
    pub(super) fn shift(&mut self, back: Millis) {
        self.ready = self.ready.saturating_sub(back);
        self.since = self.since.saturating_sub(back);
    }
}
