//! What the agent says on stderr: troubles when they begin and end, alerts where nobody else is told.

use super::files::LiveFiles;
use crate::delivery::Done;
use crate::inputs::file::{Happening, Message};
use crate::notification::Outcome;
use crate::reports::text::{percent, printable, printable_lines};
use crate::reports::{rfc3339, table};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Change, ChangeKind, End};
use gatewatch_rules::watermark::Standing;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Says things once.
#[derive(Default)]
pub struct Notices {
    /// Path → what was said of its time last.
    standings: BTreeMap<String, &'static str>,
    /// Why the snapshot cannot be written.
    snapshot_failed: Option<String>,
    /// Receiver → why it does not take what it is sent.
    failing: BTreeMap<String, String>,
}

impl Notices {
    /// Says it.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "gatewatch: {}", printable_lines(text));
    }

    /// What happened to files.
    pub fn happening(&mut self, message: &Message) {
        match &message.what {
            Happening::Opened { place, from, .. } => {
                self.say(&format!(
                    "following {} from byte {}",
                    printable(&place.path.display().to_string()),
                    from.offset
                ));
            }
            Happening::Unreadable { path, trouble, .. } => {
                self.say(&format!("{}: {trouble}", printable(&path.display().to_string())));
            }
            Happening::Recovered { path, .. } => {
                self.say(&format!("{}: is read again", printable(&path.display().to_string())));
            }
            Happening::PossibleLoss { path, loss } => {
                self.say(&format!("possible_loss: {}: {loss}", printable(&path.display().to_string())));
            }
            Happening::Warning(text) => self.say(text),
            _ => {}
        }
    }

    /// What files say of themselves, and where their time stands.
    pub fn files(&mut self, files: &mut LiveFiles, now: Millis) {
        let mut said: Vec<String> =
            files.notes().iter().map(|(path, note)| format!("{}: {note}", printable(path))).collect();
        for (path, report) in files.reports(now) {
            let (word, text) = match report.standing {
                Standing::Stalled { behind } => (
                    "input_stalled",
                    format!("is read to its end, {} s behind the others: not waited for", behind / 1000),
                ),
                Standing::Skewed { offset } => (
                    "input_skewed",
                    format!("its times are off by {} min: is its timezone set right?", offset / 60_000),
                ),
                _ => ("", String::new()),
            };
            if self.standings.get(path).copied().unwrap_or_default() != word {
                if word.is_empty() {
                    self.standings.remove(path);
                } else {
                    self.standings.insert(path.to_owned(), word);
                    said.push(format!("{word}: {}: {text}", printable(path)));
                }
            }
        }
        for text in said {
            self.say(&text);
        }
    }

    /// An alert, where no receiver is configured.
    pub fn change(&mut self, change: &Change) {
        let alert = &change.alert;
        if let Some(note) = &alert.note {
            return match change.kind {
                ChangeKind::Resolved => self.say(&format!("RESOLVED {}: {}", alert.rule, note.what)),
                _ => self.say(&format!(
                    "FIRING {} {}: {}: {}",
                    alert.severity.name(),
                    alert.rule,
                    note.what,
                    note.advice
                )),
            };
        }
        let ratio = if let Some(figure) = crate::message::kind::figure(alert) {
            figure
        } else if alert.is_count {
            format!("{} errors", alert.window_errors)
        } else {
            percent(crate::reports::text::ratio(alert.window_errors, alert.window_requests))
        };
        let why = table::main_reason(&alert.reasons);
        let word = match (change.kind, alert.end) {
            (ChangeKind::Firing, _) if alert.detected_late => "FIRED, detected late,",
            (ChangeKind::Firing | ChangeKind::Escalated, _) => "FIRING",
            (ChangeKind::Reopened, _) => "FIRING again",
            (ChangeKind::Resolved, Some(End::Expired)) => "ENDED, no traffic",
            (ChangeKind::Resolved, Some(End::Usual)) => "ENDED, taken as its normal",
            (ChangeKind::Resolved, Some(End::Config)) => "ENDED, rule changed",
            (ChangeKind::Resolved, _) => "RESOLVED",
        };
        let undercount = match alert.undercount {
            0 => String::new(),
            n => format!(" (undercount: {n} messages were lost meanwhile)"),
        };
        self.say(&format!(
            "{word} {} {}: {} {ratio} since {} {why}{undercount}",
            alert.severity.name(),
            alert.rule,
            table::place(&alert.labels),
            rfc3339(alert.started),
        ));
    }

    /// What became of a delivery: said when that changes, not at each of many tries.
    pub fn outcome(&mut self, done: &Done) {
        let (why, then) = match &done.outcome {
            Outcome::Sent | Outcome::SentAs(_) => {
                if self.failing.remove(&done.receiver).is_some() {
                    self.say(&format!("receiver {}: what is sent arrives again", done.receiver));
                }
                return;
            }
            Outcome::Retry { why, .. } => (why, "it is tried again"),
            Outcome::Failed { why } => (why, "refused for now"),
        };
        if self.failing.get(&done.receiver) != Some(why) {
            self.say(&format!("receiver {}: {}: {then}", done.receiver, printable(why)));
            self.failing.insert(done.receiver.clone(), why.clone());
        }
    }

    /// Why the snapshot cannot be written.
    pub fn snapshot_trouble(&self) -> Option<String> {
        self.snapshot_failed.clone()
    }

    /// Whether the snapshot could be written: said when that changes.
    pub fn snapshot(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) if self.snapshot_failed.is_some() => self.say("the snapshot is written again"),
            Err(e) if self.snapshot_failed.is_none() => {
                self.say(&format!(
                    "the snapshot cannot be written ({e}): a restart would count again from the last one that was; \
                     make room, or set agent.state_dir"
                ));
                self.snapshot_failed = Some(e.to_string());
                return;
            }
            Err(_) => return,
            Ok(()) => {}
        }
        self.snapshot_failed = None;
    }
}
