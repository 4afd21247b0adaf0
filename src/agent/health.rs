//! Alerts about the inputs themselves, in the same words and through the same receivers as those about traffic: a log that
//! nobody can read, or that tells another time, must not look like a quiet one. Pure: where files stand goes in, changes
//! come out.
//!
//! | rule | bad | waits |
//! |---|---|---|
//! | `input_stalled` | read to its end, over a minute behind the others | a minute |
//! | `input_skewed` | fresh lines whose times are off by what looks like a zone | a minute |
//! | `input_unreadable` | it cannot be read | a minute |
//! | `input_late` | over 1 % of a minute's lines came after their step was closed | that minute |
//! | `input_unparsed` | over 1 % of a minute's lines are not understood | that minute |
//!
//! All are warnings, and over after five minutes without.

use crate::inputs::file::Happening;
use crate::reports::text::printable;
use crate::state::Lines;
use crate::tail::{FileId, Trouble};
use chrono::{DateTime, Offset, TimeZone};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::alert::{Alert, Change, ChangeKind, End, Kind, Labels, Note, State, fingerprint};
use gatewatch_rules::rule::{Counts, Severity};
use gatewatch_rules::watermark::Standing;
use std::collections::BTreeMap;

const MINUTE: Millis = 60_000;
/// Judged so often.
const EVERY: Millis = 2_000;
/// So long without, and it is over: what comes and goes is one alert.
const CLEAR: Millis = 5 * MINUTE;
/// So many lines of a minute have to be wrong.
const ENOUGH: u64 = 10;
/// So many inputs in trouble are told one by one; the first ones say what is wrong with all.
const TOLD_MAX: usize = 200;
/// The longest `lateness` there is.
const LATENESS_MAX: Millis = 60 * MINUTE;

/// A file as it stands now.
pub struct Observed<'a> {
    /// Which.
    pub file: FileId,
    /// Its path.
    pub path: &'a str,
    /// The input it belongs to.
    pub input: &'a str,
    /// What its stamps are read in if they carry none.
    pub zone: Zone,
    /// Where its time stands.
    pub standing: Standing,
    /// What its lines came to.
    pub lines: Lines,
    /// The `lateness` that would have been enough for all that were late.
    pub late_needed: Millis,
}

/// What is wrong with an input: at most one of a rule and path at a time.
struct Fault {
    rule: &'static str,
    path: String,
    input: String,
    /// How long it has to last.
    wait: Millis,
    note: Note,
}

/// The faults of one rule and path over time.
enum Phase {
    /// Not for long enough to be told.
    Pending { since: Millis },
    /// Told.
    Firing { alert: Box<Alert>, clear_since: Option<Millis> },
}

/// A minute of a file's lines.
struct Minute {
    began: Millis,
    /// Now.
    seen: Millis,
    lines: Lines,
    /// What the last whole minute was: how many lines, and of them late, and not understood.
    last: (u64, u64, u64),
}

type Key = (&'static str, String);

/// What is known of all inputs.
#[derive(Default)]
pub struct Health {
    phases: BTreeMap<Key, Phase>,
    minutes: BTreeMap<FileId, Minute>,
    /// Path → why it cannot be read.
    unreadable: BTreeMap<String, String>,
    judged: Option<Millis>,
}

const STALLED: &str = "input_stalled";
const SKEWED: &str = "input_skewed";
const UNREADABLE: &str = "input_unreadable";
const LATE: &str = "input_late";
const UNPARSED: &str = "input_unparsed";
const RULES: [&str; 5] = [STALLED, SKEWED, UNREADABLE, LATE, UNPARSED];

/// Whether an alert is one of these.
pub fn is_about_inputs(alert: &Alert) -> bool {
    alert.note.is_some()
}

impl Health {
    /// Goes on with what receivers were told: `open` are all alerts that an earlier process left open.
    pub fn resume<'a>(open: impl Iterator<Item = &'a Alert>) -> Health {
        let mut health = Health::default();
        for alert in open {
            let rule = RULES.iter().find(|rule| **rule == alert.rule);
            let path = alert.labels.iter().find(|(name, _)| name == "path");
            if let (Some(rule), Some((_, path))) = (rule, path) {
                let phase = Phase::Firing { alert: Box::new(alert.clone()), clear_since: None };
                health.phases.insert((rule, path.clone()), phase);
            }
        }
        health
    }

    /// How many are told and not over.
    pub fn firing(&self) -> usize {
        self.phases.values().filter(|phase| matches!(phase, Phase::Firing { .. })).count()
    }

    /// What happened to a path.
    pub fn happening(&mut self, what: &Happening) {
        match what {
            Happening::Unreadable { path, trouble: trouble @ Trouble::Io { .. }, .. }
                if self.unreadable.len() < TOLD_MAX =>
            {
                self.unreadable.insert(path.display().to_string(), trouble.to_string());
            }
            Happening::Recovered { path, .. } => {
                self.unreadable.remove(&path.display().to_string());
            }
            _ => {}
        }
    }

    /// What has changed, now that all files stand so.
    pub fn judge<'a>(&mut self, now: Millis, files: impl Iterator<Item = Observed<'a>>) -> Vec<Change> {
        if self.judged.is_some_and(|last| (0..EVERY).contains(&(now - last))) {
            return Vec::new();
        }
        self.judged = Some(now);
        let mut faults = BTreeMap::new();
        let mut minutes = BTreeMap::new();
        for file in files {
            let minute = self.minutes.remove(&file.file);
            let minute = Minute::go_on(minute, &file, now);
            for fault in faults_of(&file, &minute, &self.phases) {
                faults.insert((fault.rule, fault.path.clone()), fault);
            }
            minutes.insert(file.file, minute);
        }
        self.minutes = minutes;
        for (path, why) in &self.unreadable {
            let fault = unreadable(path, why);
            faults.insert((fault.rule, fault.path.clone()), fault);
        }
        self.step(now, faults)
    }

    fn step(&mut self, now: Millis, mut faults: BTreeMap<Key, Fault>) -> Vec<Change> {
        let mut changes = Vec::new();
        self.phases.retain(|key, phase| match (phase, faults.remove(key)) {
            (Phase::Pending { .. }, None) => false,
            (Phase::Firing { alert, clear_since }, None) => {
                let since = *clear_since.get_or_insert(now);
                if now - since < CLEAR {
                    return true;
                }
                changes.push(Change { kind: ChangeKind::Resolved, at: now, alert: over(alert, since, now) });
                false
            }
            (phase @ Phase::Pending { .. }, Some(fault)) => {
                if let Phase::Pending { since } = *phase
                    && now - since >= fault.wait
                {
                    let alert = fired(fault, since, now);
                    changes.push(Change { kind: ChangeKind::Firing, at: now, alert: alert.clone() });
                    *phase = Phase::Firing { alert: Box::new(alert), clear_since: None };
                }
                true
            }
            (Phase::Firing { alert, clear_since }, Some(fault)) => {
                (*clear_since, alert.last_bad, alert.note) = (None, now, Some(fault.note));
                true
            }
        });
        for (key, fault) in faults {
            if self.phases.len() >= TOLD_MAX {
                break;
            }
            let mut phase = Phase::Pending { since: now };
            if fault.wait == 0 {
                let alert = fired(fault, now - MINUTE, now);
                changes.push(Change { kind: ChangeKind::Firing, at: now, alert: alert.clone() });
                phase = Phase::Firing { alert: Box::new(alert), clear_since: None };
            }
            self.phases.insert(key, phase);
        }
        changes
    }
}

impl Minute {
    fn go_on(known: Option<Minute>, file: &Observed<'_>, now: Millis) -> Minute {
        let begin = |last| Minute { began: now, seen: now, lines: file.lines, last };
        match known {
            None => begin((0, 0, 0)),
            // A clock that was set back begins anew.
            Some(minute) if !(0..MINUTE).contains(&(now - minute.began)) => {
                let lines = file.lines.read.saturating_sub(minute.lines.read);
                let late = file.lines.late.saturating_sub(minute.lines.late);
                begin((lines, late, file.lines.unparsed.saturating_sub(minute.lines.unparsed)))
            }
            Some(minute) => Minute { seen: now, ..minute },
        }
    }
}

/// Over 1 %; once told, until it is half of that.
fn is_over(part: u64, whole: u64, is_told: bool) -> bool {
    let enough = if is_told { 1 } else { ENOUGH };
    part >= enough && part.saturating_mul(if is_told { 200 } else { 100 }) > whole
}

fn faults_of(file: &Observed<'_>, minute: &Minute, told: &BTreeMap<Key, Phase>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let path = printable(file.path).into_owned();
    let is_told = |rule| matches!(told.get(&(rule, file.path.to_owned())), Some(Phase::Firing { .. }));
    let mut add = |rule, wait, what: String, advice: String, command: Option<String>| {
        let note = Note { what, advice, command };
        faults.push(Fault { rule, path: file.path.to_owned(), input: file.input.to_owned(), wait, note });
    };
    match file.standing {
        Standing::Stalled { behind } => add(
            STALLED,
            MINUTE,
            format!("{path} stands still, {} behind the other logs", span(behind)),
            "its writer has stopped or writes elsewhere; nothing waits for it. Is it an old log? Take it out of \
             the input's paths"
                .to_owned(),
            None,
        ),
        Standing::Skewed { offset } => add(
            SKEWED,
            MINUTE,
            format!("the times in {path} are {} {}", span(offset.abs()), if offset > 0 { "slow" } else { "fast" }),
            format!(
                "if they carry no zone, timezone = \"{}\" in its input would fit; else the clock of the host that \
                 writes it is wrong",
                fitting(file.zone, offset, minute.seen)
            ),
            None,
        ),
        _ => {}
    }
    let (lines, late, unparsed) = minute.last;
    if is_over(late, lines, is_told(LATE)) {
        let needed = file.late_needed.div_euclid(1_000) + 1;
        let advice = if needed * 1_000 <= LATENESS_MAX {
            format!("agent.lateness = \"{needed}s\" would have been enough (alerts come that much later)")
        } else {
            "they are over an hour late: are logs of several hosts or times written into one?".to_owned()
        };
        let what = format!("{late} of {lines} lines of {path} within a minute came too late to be judged");
        add(LATE, 0, what, advice, None);
    }
    if is_over(unparsed, lines, is_told(UNPARSED)) {
        add(
            UNPARSED,
            0,
            format!("{unparsed} of {lines} lines of {path} within a minute are not understood"),
            "set log_format of its input as the log is written; the command shows where parsing stops"
                .to_owned(),
            Some(format!("gatewatch explain {}", file.path)),
        );
    }
    faults
}

fn unreadable(path: &str, why: &str) -> Fault {
    let shown = printable(path);
    let note =
        Note { what: format!("{shown} cannot be read"), advice: printable(why).into_owned(), command: None };
    Fault { rule: UNREADABLE, path: path.to_owned(), input: String::new(), wait: MINUTE, note }
}

/// The zone in which stamps would have been right: `offset` is to be added to what was read in `zone`.
fn fitting(zone: Zone, offset: Millis, now: Millis) -> Zone {
    let east = match zone {
        Zone::Fixed(east) => Millis::from(east),
        Zone::Named(zone) => {
            let now = DateTime::from_timestamp_millis(now).unwrap_or_default().naive_utc();
            Millis::from(zone.offset_from_utc_datetime(&now).fix().local_minus_utc()) * 1_000
        }
    };
    Zone::Fixed(i32::try_from(east - offset).unwrap_or(0))
}

/// `90 s`, `12 min`, `3 h`.
fn span(length: Millis) -> String {
    match length / 1_000 {
        s if s < 120 => format!("{s} s"),
        s if s < 120 * 60 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

fn fired(fault: Fault, started: Millis, now: Millis) -> Alert {
    let mut labels: Labels = vec![("input".to_owned(), fault.input), ("path".to_owned(), fault.path)];
    labels.retain(|(_, value)| !value.is_empty());
    // The path alone: which input it belongs to may change.
    let identity: Labels = labels.iter().filter(|(name, _)| name == "path").cloned().collect();
    let fingerprint = fingerprint(fault.rule, &identity);
    Alert {
        rule: fault.rule.to_owned(),
        // Unique among the incidents of this path: there is no engine to number them.
        incident: format!("{}-{}", fingerprint.get(..4).unwrap_or(""), now.div_euclid(1_000)),
        fingerprint,
        labels,
        rule_labels: Vec::new(),
        runbook: None,
        state: State::Firing,
        end: None,
        severity: Severity::Warning,
        counts: Counts::GatewayErrors,
        above: 0.0,
        is_count: true,
        kind: Kind::Count,
        window: MINUTE,
        window_errors: 0,
        window_requests: 0,
        recent: (0, 0),
        normal: None,
        started,
        last_bad: now,
        fired: now,
        escalated: now,
        resolved: None,
        last_traffic: now,
        peak: 0.0,
        requests: 0,
        errors: 0,
        reasons: Vec::new(),
        origins: Vec::new(),
        statuses: Vec::new(),
        share_of_errors: 0.0,
        share_of_requests: 0.0,
        samples: Vec::new(),
        detected_late: false,
        undercount: 0,
        events: Vec::new(),
        in_rotation: None,
        findings: Vec::new(),
        note: Some(fault.note),
    }
}

fn over(alert: &Alert, last_bad: Millis, now: Millis) -> Alert {
    Alert {
        state: State::Resolved,
        end: Some(End::Recovered),
        last_bad: last_bad.max(alert.started),
        resolved: Some(now),
        ..alert.clone()
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
