//! Alerts that fired when an earlier process ended. Counts do not outlive a process: such an alert fires again, as the same
//! incident, or it is over when its rule has judged for long enough without finding it so.

use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, Change, ChangeKind, End, State};
use gatewatch_rules::rule::Rule;
use std::collections::BTreeMap;

/// Those of which nothing was heard yet.
#[derive(Default)]
pub struct Former {
    alerts: BTreeMap<String, Alert>,
    /// The first watermark of this process.
    since: Option<Millis>,
}

impl Former {
    /// These were open.
    pub fn new(open: impl Iterator<Item = Alert>) -> Former {
        Former { alerts: open.map(|alert| (alert.fingerprint.clone(), alert)).collect(), since: None }
    }

    /// Fingerprints, with the numbers of the incidents.
    pub fn numbers(&self) -> impl Iterator<Item = (String, u64)> {
        self.alerts.values().filter_map(|alert| Some((alert.fingerprint.clone(), number(alert)?)))
    }

    /// The engine knows it.
    pub fn heard_of(&mut self, change: &Change) {
        self.alerts.remove(&change.alert.fingerprint);
    }

    /// Those that are over, by now or since their rule is gone.
    pub fn over(&mut self, watermark: Millis, rules: &[Rule]) -> Vec<Change> {
        let since = *self.since.get_or_insert(watermark);
        let end = |alert: &Alert| match rules.iter().find(|rule| rule.name == alert.rule) {
            None => Some(End::Config),
            Some(rule) if watermark - since >= rule.stale_after.max(rule.window) => Some(End::Recovered),
            Some(_) => None,
        };
        let mut changes = Vec::new();
        self.alerts.retain(|_, alert| {
            let Some(end) = end(alert) else { return true };
            let mut alert = alert.clone();
            (alert.state, alert.end, alert.resolved) = (State::Resolved, Some(end), Some(watermark));
            // Of another time: not what holds "now".
            (alert.window_errors, alert.window_requests, alert.recent) = (0, 0, (0, 0));
            changes.push(Change { kind: ChangeKind::Resolved, at: watermark, alert });
            false
        });
        changes
    }
}

/// The number in `4c1f-12`.
fn number(alert: &Alert) -> Option<u64> {
    alert.incident.rsplit_once('-')?.1.parse().ok()
}
