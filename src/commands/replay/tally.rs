//! What each rule did over the logs: counted from the changes, as receivers would have been told.

use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Change, ChangeKind};
use gatewatch_rules::rule::{Rule, Severity};
use std::collections::BTreeMap;

/// What one rule did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The rule.
    pub rule: String,
    /// Alerts that fired.
    pub fired: u64,
    /// Those of them that became critical.
    pub critical: u64,
    /// How often one came back within ten minutes: the same alert, no page.
    pub reopened: u64,
    /// How long alerts fired, all together; those that still do, to the end of the logs.
    pub firing: Millis,
    /// The longest of them, from its firing to its end.
    pub longest: Millis,
    /// Whether any still fires at the end.
    pub is_firing: bool,
}

/// Counts changes by rule.
#[derive(Debug)]
pub struct Tally {
    rows: Vec<Row>,
    /// Since when an alert fires, and its row; by fingerprint.
    open: BTreeMap<String, (Millis, usize)>,
}

impl Tally {
    /// For these rules, those apart that finished logs say nothing about.
    #[must_use]
    pub fn new(rules: &[Rule]) -> Tally {
        let judged = rules.iter().filter(|rule| rule.judges_requests());
        let rows = judged.map(|rule| Row { rule: rule.name.clone(), ..Row::default() }).collect();
        Tally { rows, open: BTreeMap::new() }
    }

    /// Takes a change; they come in order.
    pub fn take(&mut self, change: &Change) {
        let alert = &change.alert;
        let Some(at) = self.rows.iter().position(|row| row.rule == alert.rule) else { return };
        let Some(row) = self.rows.get_mut(at) else { return };
        match change.kind {
            ChangeKind::Firing => {
                row.fired += 1;
                row.critical += u64::from(alert.severity == Severity::Critical);
                self.open.insert(alert.fingerprint.clone(), (change.at, at));
            }
            ChangeKind::Reopened => {
                row.reopened += 1;
                self.open.insert(alert.fingerprint.clone(), (change.at, at));
            }
            ChangeKind::Escalated => row.critical += 1,
            ChangeKind::Resolved => {
                if let Some((since, _)) = self.open.remove(&alert.fingerprint) {
                    row.lasted(change.at - since);
                }
            }
        }
    }

    /// A row a rule; what still fires does so until `end`.
    #[must_use]
    pub fn rows(mut self, end: Option<Millis>) -> Vec<Row> {
        for (since, at) in self.open.into_values() {
            if let Some(row) = self.rows.get_mut(at) {
                row.is_firing = true;
                row.lasted(end.map_or(0, |end| (end - since).max(0)));
            }
        }
        self.rows
    }
}

impl Row {
    fn lasted(&mut self, length: Millis) {
        self.firing = self.firing.saturating_add(length);
        self.longest = self.longest.max(length);
    }
}
