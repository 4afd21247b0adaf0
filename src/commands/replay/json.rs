//! One object, schema 1: `incidents` as `analyze` lists them.

use super::Judged;
use super::tally::Row;
use crate::reports::{json, rfc3339};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Change, ChangeKind};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Whole<I> {
    schema: u32,
    partial: bool,
    first: Option<String>,
    last: Option<String>,
    late: u64,
    future: u64,
    series_overflow: u64,
    #[serde(flatten)]
    judged: Side<I>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes_dropped: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<Side<I>>,
}

/// One configuration's.
#[derive(Serialize)]
struct Side<I> {
    config: String,
    fired: u64,
    rules: Vec<RuleRow>,
    incidents: I,
    incidents_dropped: u64,
}

#[derive(Serialize)]
struct RuleRow {
    rule: String,
    fired: u64,
    critical: u64,
    reopened: u64,
    firing_seconds: f64,
    longest_seconds: f64,
    firing: bool,
}

#[derive(Serialize)]
struct ChangeRow {
    at: String,
    change: &'static str,
    rule: String,
    severity: &'static str,
    labels: BTreeMap<String, String>,
    errors: u64,
    requests: u64,
}

/// Renders the object.
pub fn render(new: &Judged, old: Option<&Judged>, every: bool) -> String {
    let span = new.span();
    let whole = Whole {
        schema: 1,
        partial: new.partial || old.is_some_and(|old| old.partial),
        first: span.map(|(first, _)| rfc3339(first)),
        last: span.map(|(_, last)| rfc3339(last)),
        late: new.late,
        future: new.future,
        series_overflow: new.series_overflow,
        judged: side(new),
        changes: every.then(|| new.changes.iter().map(change).collect()),
        changes_dropped: every.then_some(new.changes_dropped),
        compare: old.map(side),
    };
    let text = serde_json::to_string_pretty(&whole).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"));
    text + "\n"
}

fn side(judged: &Judged) -> Side<impl Serialize + '_> {
    Side {
        config: judged.name.clone(),
        fired: judged.fired(),
        rules: judged.rules.iter().map(rule).collect(),
        incidents: json::incidents(&judged.incidents),
        incidents_dropped: judged.incidents_dropped,
    }
}

fn seconds(length: Millis) -> f64 {
    length as f64 / 1000.0
}

fn rule(row: &Row) -> RuleRow {
    RuleRow {
        rule: row.rule.clone(),
        fired: row.fired,
        critical: row.critical,
        reopened: row.reopened,
        firing_seconds: seconds(row.firing),
        longest_seconds: seconds(row.longest),
        firing: row.is_firing,
    }
}

fn change(change: &Change) -> ChangeRow {
    let alert = &change.alert;
    ChangeRow {
        at: rfc3339(change.at),
        change: word(change.kind),
        rule: alert.rule.clone(),
        severity: alert.severity.name(),
        labels: alert.labels.iter().cloned().collect(),
        errors: alert.window_errors,
        requests: alert.window_requests,
    }
}

/// What happened, in a word.
pub fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Firing => "firing",
        ChangeKind::Escalated => "escalated",
        ChangeKind::Reopened => "reopened",
        ChangeKind::Resolved => "resolved",
    }
}
