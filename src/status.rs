//! What an agent is doing, as others see it: `gatewatch status`, `/metrics` and `/readyz` read this one picture, of a
//! running agent or of its last snapshot. Fields are added, never renamed; no field holds a secret.

mod of;

pub use crate::mute::Counters as Muted;
pub use crate::state::Lines;
pub use of::{alerts, input, inputs, receiver, silence, snapshot, window};

use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Labels, State};
use gatewatch_rules::rule::Severity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of [`View::schema`].
pub const SCHEMA: u32 = 1;

/// An agent, at one moment. Counts are those since its state directory was new.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// [`SCHEMA`]
    pub schema: u32,
    /// What is read, by path.
    pub inputs: Vec<InputView>,
    /// Finished requests.
    pub requests: u64,
    /// Gateway errors among them.
    pub gateway_errors: u64,
    /// Requests by status as logged.
    pub status: BTreeMap<String, u64>,
    /// Requests whose step was closed: in the totals, judged by no rule.
    pub late: u64,
    /// Requests that ended too far ahead of their file's time: the same.
    pub future: u64,
    /// Series held now.
    pub series: u64,
    /// Requests that were counted as `__other__` at the cap of series.
    pub series_overflow: u64,
    /// What is pending, fires or recovers; those about inputs last.
    pub alerts: Vec<AlertView>,
    /// News that waits for a receiver.
    pub outbox: u64,
    /// What a restart goes on from.
    pub snapshot: SnapshotView,
    /// The agent itself.
    pub agent: AgentView,
    /// All lines, those of files that are gone included.
    pub lines: Lines,
    /// Who is told.
    pub receivers: Vec<ReceiverView>,
    /// What has happened to what was sent.
    pub deliveries: Deliveries,
    /// Whatever was given up at a cap or could not be known.
    pub losses: Losses,
    /// Silences, in force or over.
    #[serde(default)]
    pub silences: Vec<SilenceView>,
    /// Maintenance windows as configured; of a snapshot none.
    #[serde(default)]
    pub maintenance: Vec<WindowView>,
    /// How many alerts were held back.
    #[serde(default)]
    pub muted: Muted,
}

/// How surely each line is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Exactly once, over restarts and rotation.
    #[default]
    Exact,
    /// Exactly once, except what a truncation in place took before it was read.
    Copytruncate,
    /// Exactly once, as long as the journal keeps it.
    WhileKept,
    /// Once, or lost and counted as lost: nobody keeps it for us.
    AtMostOnce,
}

impl Promise {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Promise::Exact => "exact",
            Promise::Copytruncate => "copytruncate",
            Promise::WhileKept => "while kept",
            Promise::AtMostOnce => "at most once",
        }
    }
}

/// How an input does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Read, or read to its end.
    #[default]
    Fine,
    /// It has no line yet.
    Empty,
    /// Its end is not reached since the start.
    CatchingUp,
    /// Read to its end, far behind the others: not waited for.
    Stalled,
    /// Its times look like another zone's.
    Skewed,
    /// It cannot be read.
    Unreadable,
    /// None of its lines is of a known format.
    NotUnderstood,
    /// It is followed no more.
    Gone,
}

impl Standing {
    /// The word as it stands in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Standing::Fine => "fine",
            Standing::Empty => "empty",
            Standing::CatchingUp => "catching up",
            Standing::Stalled => "stalled",
            Standing::Skewed => "skewed",
            Standing::Unreadable => "unreadable",
            Standing::NotUnderstood => "not understood",
            Standing::Gone => "gone",
        }
    }
}

/// A path, or a sending host; its counts go on when a rotation puts another file there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputView {
    /// Where it is.
    pub path: String,
    /// Its format; empty: not known yet.
    pub format: String,
    /// So far it is counted.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
    /// Lines read.
    pub lines: u64,
    /// Requests among them.
    pub parsed: u64,
    /// Lines that were not understood.
    pub unparsed: u64,
    /// Requests whose step was closed.
    pub late: u64,
    /// Lines that are no requests by nature.
    pub other: u64,
    /// The name of `[input.KIND.NAME]`.
    pub input: String,
    /// file, stdin, syslog, journald.
    pub kind: String,
    /// How surely each line is counted once.
    pub promise: Promise,
    /// How it does.
    pub standing: Standing,
    /// Why, if it is not fine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The newest end.
    #[serde(with = "time")]
    pub newest: Option<Millis>,
    /// How far its own time is behind the present, in seconds.
    pub behind: Option<f64>,
    /// Written, and not counted yet.
    pub bytes_behind: u64,
    /// Files put in its place.
    pub rotations: u64,
    /// Times that it was found truncated.
    pub truncations: u64,
    /// Times that lines may have been lost between two looks.
    pub possible_loss: u64,
    /// Messages that never arrived: the system's queue was full, or the agent's own.
    pub lost: u64,
    /// Lines cut at 64 KiB.
    pub lines_too_long: u64,
    /// Which file that is, so that its size can be looked up: device and inode.
    #[serde(skip)]
    pub key: Option<(u64, u64)>,
}

impl InputView {
    /// Takes the length that the file has now.
    pub fn grown_to(&mut self, size: u64) {
        self.size = size;
        self.bytes_behind = size.saturating_sub(self.offset);
    }
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// Its rule.
    pub rule: String,
    /// Its group.
    #[serde(with = "pairs")]
    pub labels: Labels,
    /// pending, firing or recovering.
    pub state: State,
    /// Since when, in the log's time.
    #[serde(with = "time")]
    pub since: Option<Millis>,
    /// The worst reached; of a pending one not known yet.
    pub severity: Severity,
    /// Messages that never arrived in what was judged: its counts are too low by up to so many.
    #[serde(default)]
    pub undercount: u64,
    /// Which incident; `None`: it has not fired.
    #[serde(default)]
    pub incident: Option<String>,
    /// Errors in the window it was judged over last.
    #[serde(default)]
    pub errors: u64,
    /// Requests (or attempts) in that window.
    #[serde(default)]
    pub requests: u64,
    /// Why nobody is told of it now: `silence 3 of anna (deploy)`, `maintenance weekly`, `rule node`.
    #[serde(default)]
    pub muted: Option<String>,
    /// The incident that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<PartOf>,
}

/// A silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceView {
    /// Which.
    pub id: u64,
    /// All match what it silences.
    pub matchers: Vec<String>,
    /// Whether it is in force.
    pub active: bool,
    /// When it was made.
    #[serde(with = "time")]
    pub starts: Option<Millis>,
    /// When it is over, or was.
    #[serde(with = "time")]
    pub ends: Option<Millis>,
    /// Whose it is.
    pub author: String,
    /// Why; may be empty.
    pub comment: String,
    /// Alerts that it held back.
    pub held: u64,
    /// Those among them that came and went meanwhile: nobody was ever told.
    pub unseen: u64,
}

/// A maintenance window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowView {
    /// Its name.
    pub name: String,
    /// Whether it is open now.
    pub open: bool,
    /// When it opened, or opens next; `None`: never, or it always was.
    #[serde(with = "time")]
    pub from: Option<Millis>,
    /// When it closes; `None`: it opens no more.
    #[serde(with = "time")]
    pub until: Option<Millis>,
    /// Whose wall clock it goes by.
    pub zone: String,
}

/// The incident for people that an alert is part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// Which.
    pub id: String,
    /// Its cause, in words.
    pub cause: String,
}

/// The last snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotView {
    /// Its number.
    pub seq: u64,
    /// How old it is, in seconds; `None`: there is none yet.
    pub age: Option<f64>,
    /// Why no newer one can be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// This is a running agent's, not a snapshot's.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// The version of gatewatch.
    pub version: String,
    /// Which node it is.
    pub node: String,
    /// When it was started.
    #[serde(with = "time")]
    pub since: Option<Millis>,
    /// How many rules judge.
    pub rules: u64,
    /// Where `/metrics` is; `None`: nowhere.
    pub listen: Option<String>,
    /// Every file that was there at the start was placed.
    pub scanned: bool,
    /// When a changed configuration was refused; `None`: the last one was taken.
    #[serde(with = "time")]
    pub configuration_refused: Option<Millis>,
    /// How far the log's time has come.
    #[serde(with = "time")]
    pub watermark: Option<Millis>,
    /// What it says at intervals; `None`: nobody hears it.
    #[serde(default)]
    pub heartbeat: Option<HeartbeatView>,
}

/// What an agent says of itself at intervals, only while all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatView {
    /// When it arrived last, since the agent was started.
    #[serde(with = "time")]
    pub last: Option<Millis>,
    /// Why it is not said, or did not arrive.
    pub why: Option<String>,
}

/// Who is told, and whether they take it. Never where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverView {
    /// Its name.
    pub name: String,
    /// webhook, slack, email.
    pub kind: String,
    /// When it last took something.
    #[serde(with = "time")]
    pub last_success: Option<Millis>,
    /// Since when it takes nothing.
    #[serde(with = "time")]
    pub failing_since: Option<Millis>,
    /// Why.
    pub why: Option<String>,
    /// What it was sent.
    pub deliveries: Deliveries,
}

/// What has happened to what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    /// It arrived.
    pub sent: u64,
    /// Tries that are repeated.
    pub retried: u64,
    /// It was refused.
    pub failed: u64,
}

/// Counters of what was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Lines cut at 64 KiB.
    pub lines_too_long: u64,
    /// Times that reading waited for counting, since the agent was started.
    pub input_waits: u64,
    /// Alerts whose news was given up.
    pub deliveries_dropped: u64,
    /// Incidents that are over and no longer remembered.
    pub incidents_dropped: u64,
    /// Times that the state was lost and rebuilt from the logs.
    pub state_rebuilt: u64,
}

/// Something that has to hold before an agent is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// One word.
    pub name: &'static str,
    /// What is wrong; `None`: it holds.
    pub trouble: Option<String>,
}

impl View {
    /// What has to hold: every file placed, none unreadable, the last configuration taken, the snapshot written.
    /// A log that is not there yet is no trouble, nor is a receiver that fails: judging goes on.
    #[must_use]
    pub fn checks(&self) -> [Check; 4] {
        let unreadable = self.inputs.iter().filter(|i| i.standing == Standing::Unreadable).count();
        [
            ("scan", (!self.agent.scanned).then(|| "files are still being looked for".to_owned())),
            ("inputs", (unreadable > 0).then(|| format!("{unreadable} cannot be read"))),
            (
                "configuration",
                self.agent
                    .configuration_refused
                    .map(|_| "the last one was refused; the old one holds".into()),
            ),
            ("snapshot", self.snapshot.error.as_ref().map(|_| "it cannot be written".to_owned())),
        ]
        .map(|(name, trouble)| Check { name, trouble })
    }

    /// Says what kind each input is, by its name, and what that can promise.
    #[must_use]
    pub fn with_kinds(mut self, kind_of: impl Fn(&str) -> Option<&'static str>) -> View {
        for one in &mut self.inputs {
            let kind = kind_of(&one.input).filter(|kind| !kind.is_empty()).unwrap_or("file");
            one.kind = kind.to_owned();
            one.promise = one.promise.max(match kind {
                "file" => Promise::Exact,
                "journald" => Promise::WhileKept,
                _ => Promise::AtMostOnce,
            });
        }
        self
    }

    /// The counts by the name of the input: what does not grow with the number of files.
    #[must_use]
    pub fn by_input(&self) -> BTreeMap<&str, InputView> {
        let mut sums: BTreeMap<&str, InputView> = BTreeMap::new();
        for one in &self.inputs {
            let sum = sums.entry(&one.input).or_default();
            sum.lines += one.lines;
            sum.parsed += one.parsed;
            sum.unparsed += one.unparsed;
            sum.other += one.other;
            sum.late += one.late;
            sum.bytes_behind += one.bytes_behind;
            sum.rotations += one.rotations;
            sum.truncations += one.truncations;
            sum.possible_loss += one.possible_loss;
            sum.lost += one.lost;
            sum.lines_too_long += one.lines_too_long;
            sum.newest = sum.newest.max(one.newest);
            let worst = sum.behind.unwrap_or(f64::MIN).max(one.behind.unwrap_or(f64::MIN));
            sum.behind = (worst > f64::MIN).then_some(worst);
        }
        sums
    }
}

/// Seconds of a length of time.
#[must_use]
pub fn seconds(length: Millis) -> f64 {
    length as f64 / 1_000.0
}

/// Times as RFC 3339.
mod time {
    use crate::figures::rfc3339;
    use chrono::DateTime;
    use gatewatch_parsers::Millis;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Millis>, to: S) -> Result<S::Ok, S::Error> {
        time.map(rfc3339).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let read = |text: String| DateTime::parse_from_rfc3339(&text).map(|at| at.timestamp_millis());
        text.map(read).transpose().map_err(D::Error::custom)
    }
}

/// Pairs as an object, in their order.
mod pairs {
    use gatewatch_rules::alert::Labels;
    use serde::de::{MapAccess, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(pairs: &Labels, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(pairs.iter().map(|(name, value)| (name, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Labels, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Labels, M::Error> {
                let mut pairs = Labels::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_kind_can_promise() {
        let input = |name: &str, promise| InputView { input: name.into(), promise, ..InputView::default() };
        let inputs = vec![
            input("log", Promise::Exact),
            input("cut", Promise::Copytruncate),
            input("socket", Promise::Exact),
            input("journal", Promise::Exact),
            input("unknown", Promise::Exact),
        ];
        let kind = |name: &str| match name {
            "log" | "cut" => Some("file"),
            "socket" => Some("syslog"),
            "journal" => Some("journald"),
            _ => None,
        };
        let view = View { inputs, ..View::default() }.with_kinds(kind);
        let said: Vec<&str> = view.inputs.iter().map(|one| one.promise.name()).collect();
        assert_eq!(said, ["exact", "copytruncate", "at most once", "while kept", "exact"]);
    }

    fn view() -> View {
        View {
            schema: SCHEMA,
            inputs: vec![InputView {
                path: "/var/log/a.log".into(),
                newest: Some(5),
                ..InputView::default()
            }],
            status: [("200".to_owned(), 3), ("-".to_owned(), 1)].into(),
            alerts: vec![AlertView {
                rule: "errors".into(),
                labels: vec![("upstream".into(), "b".into()), ("node".into(), "a".into())],
                state: State::Firing,
                since: Some(1_795_359_233_243),
                severity: Severity::Critical,
                undercount: 0,
                incident: Some("4f2a-1".into()),
                errors: 20,
                requests: 60,
                muted: None,
                envelope: None,
            }],
            snapshot: SnapshotView { seq: 7, age: Some(0.25), error: None },
            ..View::default()
        }
    }

    #[test]
    fn the_object_begins_with_the_contract() {
        let json = serde_json::to_string(&view()).unwrap();
        let contract = [
            "\"schema\":1,\"inputs\":[{\"path\":",
            "\"format\":",
            "\"offset\":",
            "\"size\":",
            "\"lines\":",
            "\"parsed\":",
            "\"unparsed\":",
            "\"late\":",
            "\"requests\":",
            "\"gateway_errors\":",
            "\"status\":{\"-\":1,\"200\":3}",
            "\"late\":",
            "\"future\":",
            "\"series\":",
            "\"series_overflow\":",
            "\"alerts\":[{\"rule\":\"errors\",\"labels\":{\"upstream\":\"b\",\"node\":\"a\"},\"state\":\"firing\",\"since\":\"2026-11-22T14:53:53.243Z\"",
            "\"outbox\":0",
            "\"snapshot\":{\"seq\":7,\"age\":0.25}",
        ];
        let mut rest = json.as_str();
        for part in contract {
            let at = rest.find(part).unwrap_or_else(|| panic!("no {part} in order in {json}"));
            rest = &rest[at + part.len()..];
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let json = serde_json::to_string(&view()).unwrap();
        assert_eq!(serde_json::from_str::<View>(&json).unwrap(), view());
    }

    #[test]
    fn what_makes_an_agent_unready() {
        let wrong = |view: &View| -> Vec<&str> {
            view.checks().into_iter().filter(|c| c.trouble.is_some()).map(|c| c.name).collect()
        };
        let mut view = view();
        assert_eq!(wrong(&view), ["scan"]);
        view.agent.scanned = true;
        assert!(wrong(&view).is_empty());
        view.inputs[0].standing = Standing::Unreadable;
        view.agent.configuration_refused = Some(1);
        view.snapshot.error = Some("no space".into());
        assert_eq!(wrong(&view), ["inputs", "configuration", "snapshot"]);
    }
}
