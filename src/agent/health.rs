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
//! | those of kind `unparsed` | too many of a window's lines are not understood | the window |
//!
//! All are warnings, and over after five minutes without; but those of kind `unparsed` are as their rule says (the preset
//! `input_unparsed`: over 1 % of a minute's lines, and 10). One that fires keeps its severity.

use crate::inputs::file::Happening;
use crate::reports::text::printable;
use crate::state::Lines;
use crate::tail::{FileId, Trouble};
use chrono::{DateTime, Offset, TimeZone};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::alert::{Alert, Change, ChangeKind, End, Kind, Labels, Note, State, fingerprint};
use gatewatch_rules::detectors::unparsed;
use gatewatch_rules::rule::{Counts, Rule, Severity};
use gatewatch_rules::watermark::Standing;
use gatewatch_rules::window::Point;
use std::collections::{BTreeMap, VecDeque};

const MINUTE: Millis = 60_000;
/// Judged so often.
const EVERY: Millis = 2_000;
/// So long without, and it is over: what comes and goes is one alert.
const CLEAR: Millis = 5 * MINUTE;
/// So many minutes of a file's lines are held: the longest window there is.
const MINUTES_MAX: usize = 360;
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
    rule: String,
    path: String,
    input: String,
    severity: Severity,
    /// How long it has to last, and how long without it is over.
    wait: Millis,
    clear: Millis,
    /// What its rule passes on.
    labels: Labels,
    runbook: Option<String>,
    note: Note,
}

/// The faults of one rule and path over time.
enum Phase {
    /// Not for long enough to be told.
    Pending { since: Millis },
    /// Told.
    Firing { alert: Box<Alert>, clear: Millis, clear_since: Option<Millis> },
}

/// A minute of a file's lines.
struct Minute {
    began: Millis,
    /// Now.
    seen: Millis,
    lines: Lines,
    /// What the last whole minutes were, the newest first: how many lines, and of them late, and not understood.
    whole: VecDeque<[u64; 3]>,
}

type Key = (String, String);

/// What is known of all inputs.
#[derive(Default)]
pub struct Health {
    phases: BTreeMap<Key, Phase>,
    minutes: BTreeMap<FileId, Minute>,
    /// Path → why it cannot be read.
    unreadable: BTreeMap<String, String>,
    judged: Option<Millis>,
    /// Of kind `unparsed`.
    rules: Vec<Rule>,
}

const STALLED: &str = "input_stalled";
const SKEWED: &str = "input_skewed";
const UNREADABLE: &str = "input_unreadable";
const LATE: &str = "input_late";

/// Whether an alert is one of these.
pub fn is_about_inputs(alert: &Alert) -> bool {
    alert.note.is_some()
}

impl Health {
    /// Goes on with what receivers were told: `open` are all alerts that an earlier process left open.
    pub fn resume<'a>(open: impl Iterator<Item = &'a Alert>) -> Health {
        let mut health = Health::default();
        for alert in open {
            let path = alert.labels.iter().find(|(name, _)| name == "path");
            if let (true, Some((_, path))) = (is_about_inputs(alert), path) {
                let phase = Phase::Firing { alert: Box::new(alert.clone()), clear: CLEAR, clear_since: None };
                health.phases.insert((alert.rule.clone(), path.clone()), phase);
            }
        }
        health
    }

    /// Those that are told and not over.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.phases.values().filter_map(|phase| match phase {
            Phase::Firing { alert, .. } => Some(&**alert),
            Phase::Pending { .. } => None,
        })
    }

    /// Judges by those of kind `unparsed` from now on.
    pub fn take_rules(&mut self, rules: &[Rule]) {
        self.rules = rules.iter().filter(|rule| rule.detector == unparsed::DETECTOR.name).cloned().collect();
    }

    /// How many are told and not over.
    pub fn firing(&self) -> usize {
        self.alerts().count()
    }

    /// An input that is not read, or stands still: the first of them, as told.
    pub fn trouble(&self) -> Option<String> {
        let mut bad = self.phases.iter().filter(|((rule, _), phase)| {
            let holds = matches!(phase, Phase::Firing { clear_since: None, .. });
            holds && [STALLED, UNREADABLE].contains(&rule.as_str())
        });
        bad.next().map(|((rule, path), _)| format!("{rule}: {}", printable(path)))
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
            let mut found = faults_of(&file, &minute, &self.phases);
            for rule in &self.rules {
                found.extend(not_understood(rule, &file, &minute, &self.phases));
            }
            faults.extend(found.into_iter().map(|fault| ((fault.rule.clone(), fault.path.clone()), fault)));
            minutes.insert(file.file, minute);
        }
        self.minutes = minutes;
        for (path, why) in &self.unreadable {
            let fault = unreadable(path, why);
            faults.insert((fault.rule.clone(), fault.path.clone()), fault);
        }
        self.step(now, faults)
    }

    fn step(&mut self, now: Millis, mut faults: BTreeMap<Key, Fault>) -> Vec<Change> {
        let mut changes = Vec::new();
        self.phases.retain(|key, phase| match (phase, faults.remove(key)) {
            (Phase::Pending { .. }, None) => false,
            (Phase::Firing { alert, clear, clear_since }, None) => {
                let since = *clear_since.get_or_insert(now);
                if now - since < *clear {
                    return true;
                }
                changes.push(Change { kind: ChangeKind::Resolved, at: now, alert: over(alert, since, now) });
                false
            }
            (phase @ Phase::Pending { .. }, Some(fault)) => {
                if let Phase::Pending { since } = *phase
                    && now - since >= fault.wait
                {
                    let (clear, alert) = (fault.clear, fired(fault, since, now));
                    changes.push(Change { kind: ChangeKind::Firing, at: now, alert: alert.clone() });
                    *phase = Phase::Firing { alert: Box::new(alert), clear, clear_since: None };
                }
                true
            }
            (Phase::Firing { alert, clear, clear_since }, Some(fault)) => {
                *clear = fault.clear;
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
                let (clear, alert) = (fault.clear, fired(fault, now - MINUTE, now));
                changes.push(Change { kind: ChangeKind::Firing, at: now, alert: alert.clone() });
                phase = Phase::Firing { alert: Box::new(alert), clear, clear_since: None };
            }
            self.phases.insert(key, phase);
        }
        changes
    }
}

impl Minute {
    fn go_on(known: Option<Minute>, file: &Observed<'_>, now: Millis) -> Minute {
        let Some(mut minute) = known else {
            return Minute { began: now, seen: now, lines: file.lines, whole: VecDeque::new() };
        };
        minute.seen = now;
        // A clock that was set back begins anew.
        if !(0..MINUTE).contains(&(now - minute.began)) {
            let (of, from) = (file.lines, minute.lines);
            let counts = [(of.read, from.read), (of.late, from.late), (of.unparsed, from.unparsed)];
            minute.whole.push_front(counts.map(|(now, then)| now.saturating_sub(then)));
            minute.whole.truncate(MINUTES_MAX);
            (minute.began, minute.lines) = (now, file.lines);
        }
        minute
    }

    /// Lines of the last whole minutes, and of them not understood.
    fn lines(&self, minutes: usize) -> Point {
        let mut sum = Point::default();
        for [read, _, unparsed] in self.whole.iter().take(minutes) {
            sum += Point { errors: *unparsed, requests: *read };
        }
        sum
    }
}

/// By a rule of kind `unparsed`; once told, until it has recovered.
fn not_understood(
    rule: &Rule,
    file: &Observed<'_>,
    minute: &Minute,
    told: &BTreeMap<Key, Phase>,
) -> Option<Fault> {
    let value = |name: &str| if name == "input" { file.input } else { file.path };
    if !rule.matchers.iter().all(|m| m.matches(value(&m.label).as_bytes())) {
        return None;
    }
    let key = (rule.name.clone(), file.path.to_owned());
    let minutes = usize::try_from(rule.window / MINUTE).unwrap_or(1).max(1);
    let lines = minute.lines(minutes);
    let severity = match told.get(&key) {
        Some(Phase::Firing { alert, .. }) => {
            (lines.errors > 0 && lines.ratio() > rule.recover_level()).then_some(alert.severity)
        }
        _ if lines.requests < rule.min_requests || lines.errors < rule.min_errors.max(1) => None,
        _ => rule.above.iter().rev().find(|(_, above)| lines.ratio() > *above).map(|above| above.0),
    };
    let path = printable(file.path);
    let within = if minutes == 1 { "a minute".to_owned() } else { format!("{minutes} min") };
    let what =
        format!("{} of {} lines of {path} within {within} are not understood", lines.errors, lines.requests);
    let advice = "set log_format of its input as the log is written; the command shows where parsing stops";
    severity.map(|severity| Fault {
        rule: key.0,
        path: key.1,
        input: file.input.to_owned(),
        severity,
        wait: rule.for_,
        clear: rule.keep_firing_for,
        labels: rule.labels.clone(),
        runbook: rule.runbook.clone(),
        note: Note {
            what,
            advice: advice.to_owned(),
            command: Some(format!("gatewatch explain {}", file.path)),
        },
    })
}

/// Over 1 %; once told, until it is half of that.
fn is_over(part: u64, whole: u64, is_told: bool) -> bool {
    let enough = if is_told { 1 } else { ENOUGH };
    part >= enough && part.saturating_mul(if is_told { 200 } else { 100 }) > whole
}

fn faults_of(file: &Observed<'_>, minute: &Minute, told: &BTreeMap<Key, Phase>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let path = printable(file.path).into_owned();
    let is_told = |rule: &str| {
        matches!(told.get(&(String::from(rule), file.path.to_owned())), Some(Phase::Firing { .. }))
    };
    let mut add = |rule: &str, wait, what: String, advice: String| {
        let note = Note { what, advice, command: None };
        faults.push(Fault { wait, ..fault(rule, file.path, file.input, note) });
    };
    match file.standing {
        Standing::Stalled { behind } => add(
            STALLED,
            MINUTE,
            format!("{path} stands still, {} behind the other logs", span(behind)),
            "its writer has stopped or writes elsewhere; nothing waits for it. Is it an old log? Take it out of \
             the input's paths"
                .to_owned(),
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
        ),
        _ => {}
    }
    let [lines, late, _] = minute.whole.front().copied().unwrap_or_default();
    if is_over(late, lines, is_told(LATE)) {
        let needed = file.late_needed.div_euclid(1_000) + 1;
        let advice = if needed * 1_000 <= LATENESS_MAX {
            format!("agent.lateness = \"{needed}s\" would have been enough (alerts come that much later)")
        } else {
            "they are over an hour late: are logs of several hosts or times written into one?".to_owned()
        };
        let what = format!("{late} of {lines} lines of {path} within a minute came too late to be judged");
        add(LATE, 0, what, advice);
    }
    faults
}

fn unreadable(path: &str, why: &str) -> Fault {
    let shown = printable(path);
    let note =
        Note { what: format!("{shown} cannot be read"), advice: printable(why).into_owned(), command: None };
    Fault { wait: MINUTE, ..fault(UNREADABLE, path, "", note) }
}

/// A warning that no rule is set for.
fn fault(rule: &str, path: &str, input: &str, note: Note) -> Fault {
    Fault {
        rule: rule.to_owned(),
        path: path.to_owned(),
        input: input.to_owned(),
        severity: Severity::Warning,
        wait: 0,
        clear: CLEAR,
        labels: Vec::new(),
        runbook: None,
        note,
    }
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
    let fingerprint = fingerprint(&fault.rule, &identity);
    Alert {
        rule: fault.rule,
        // Unique among the incidents of this path: there is no engine to number them.
        incident: format!("{}-{}", fingerprint.get(..4).unwrap_or(""), now.div_euclid(1_000)),
        fingerprint,
        labels,
        rule_labels: fault.labels,
        runbook: fault.runbook,
        state: State::Firing,
        end: None,
        severity: fault.severity,
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
        hushed: None,
        undercount: 0,
        events: Vec::new(),
        in_rotation: None,
        findings: Vec::new(),
        around: None,
        clues: None,
        note: Some(fault.note),
        envelope: None,
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
