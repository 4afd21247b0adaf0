//! The life of an alert: inactive → pending → firing → recovering → resolved; and what others are told of it.

use crate::around::Around;
pub use crate::case::fingerprint;
use crate::clues::Found;
use crate::incident::Envelope;
use crate::rule::{Counts, Severity};
use crate::servers::Server;
use crate::two_way::Finding;
use gatewatch_parsers::{Millis, Origin, Reason};
use serde::{Deserialize, Serialize};

/// Where an alert stands (Prometheus' words; `recovering` is Grafana's).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Bad, but not yet for long enough.
    Pending,
    /// Bad.
    Firing,
    /// No longer bad, but not yet for long enough.
    Recovering,
    /// Over.
    Resolved,
}

impl State {
    /// The word as it stands in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Firing => "firing",
            State::Recovering => "recovering",
            State::Resolved => "resolved",
        }
    }
}

/// How an alert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Seen to recover.
    Recovered,
    /// No traffic to judge for `stale_after`: never seen to recover.
    Expired,
    /// It had been as bad ever since the group was first seen, for as long as its rule's `baseline`: taken as its normal.
    Usual,
    /// Its rule is gone or was changed.
    Config,
    /// Its group was evicted at the cap of series.
    Evicted,
}

/// So many findings go with an alert.
pub const FINDINGS_MAX: usize = 3;

/// Labels as printed: name and value in the rule's order, empty values left out.
pub type Labels = Vec<(String, String)>;

/// A log line that shows the fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When that request ended.
    pub end: Millis,
    /// The line, cut to 512 bytes, query string and tokens redacted; may hold anything else that a log line may.
    pub line: String,
}

/// What an alert says that is not about traffic, but about the agent's own sight of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What is wrong, in a sentence without its end.
    pub what: String,
    /// What to do.
    pub advice: String,
    /// What shows more, for a shell.
    pub command: Option<String>,
}

/// That nobody was told of an alert for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hushed {
    /// Why: `silence 3 of anna (deploy)`, `maintenance weekly`, `rule node`. Holds what people wrote.
    pub by: String,
    /// Up to when, by the wall clock.
    pub until: Millis,
}

/// How it was judged, as far as its figures and limit need words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Errors ÷ requests above a threshold.
    #[default]
    Ratio,
    /// A number of errors above a threshold.
    Count,
    /// Errors ÷ requests above so many times the group's own normal.
    Spike {
        /// How many.
        times: f64,
    },
    /// Errors ÷ requests, so many times what the SLO allows: `above` ÷ (1 − `slo`).
    BurnRate {
        /// The share of requests that must be well.
        slo: f64,
    },
    /// No requests come: "requests" are those that were expected, "errors" those that did not come.
    Absent,
    /// Requests are not completed: "requests" are those that were expected, "errors" those that were not completed.
    Stall,
    /// Slow requests ÷ requests: "errors" are those that took too long.
    Slow {
        /// How long, in ms.
        longer_than: Millis,
    },
}

/// An alert as the world is told of it: the state of one group under one rule, with what is known of why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The rule's name.
    pub rule: String,
    /// Which alert: hash of rule and group labels, 16 hex digits; the same across restarts.
    pub fingerprint: String,
    /// Which incident of it: `fingerprint` first 4 digits, a dash, the number of this incident; unchanged when reopened.
    pub incident: String,
    /// The group.
    pub labels: Labels,
    /// Labels that the rule adds.
    pub rule_labels: Labels,
    /// The rule's runbook.
    pub runbook: Option<String>,
    /// Firing, recovering or resolved (pending alerts are not told).
    pub state: State,
    /// How it ended; `None` while it has not.
    pub end: Option<End>,
    /// The worst severity reached in this incident.
    pub severity: Severity,
    /// What the rule counts.
    pub counts: Counts,
    /// The threshold that was crossed, of this severity: a ratio, or a number for `count`.
    pub above: f64,
    /// Whether `above` is a number (detector `count`) and not a ratio.
    pub is_count: bool,
    /// How it was judged.
    #[serde(default)]
    pub kind: Kind,
    /// Length of the window it was judged over last.
    pub window: Millis,
    /// Errors in that window.
    pub window_errors: u64,
    /// Requests (or attempts) in that window.
    pub window_requests: u64,
    /// Errors and requests in the last 20 s of it, or in its last step if that is longer.
    pub recent: (u64, u64),
    /// The group's ratio before the first bad step, as far back as buckets go, or over its rule's `baseline`; `None`:
    /// nothing before.
    pub normal: Option<f64>,
    /// Start of the first bad step.
    pub started: Millis,
    /// End of the last bad step so far.
    pub last_bad: Millis,
    /// When the rule first said so, in event time.
    pub fired: Millis,
    /// When it reached `severity`, in event time.
    pub escalated: Millis,
    /// When it was over, in event time.
    pub resolved: Option<Millis>,
    /// When the group last had traffic: end of that step.
    pub last_traffic: Millis,
    /// The highest ratio of a judged window.
    pub peak: f64,
    /// Requests (or attempts) from `started` to `last_bad`.
    pub requests: u64,
    /// Errors from `started` to `last_bad`.
    pub errors: u64,
    /// Those errors by reason, most first.
    pub reasons: Vec<(Reason, u64)>,
    /// Those errors by origin, most first.
    pub origins: Vec<(Origin, u64)>,
    /// Those requests by status as far as counted (gateway statuses and those that rules watch), most first.
    pub statuses: Vec<(u16, u64)>,
    /// The share of all errors under this rule, from `started` to `last_bad`, that are this group's (0–1).
    pub share_of_errors: f64,
    /// Its share of all requests under this rule then.
    pub share_of_requests: f64,
    /// The first lines that show it.
    pub samples: Vec<Sample>,
    /// More than 10 min old when found: the agent was catching up.
    pub detected_late: bool,
    /// It fired before, and nobody was told until now.
    #[serde(default)]
    pub hushed: Option<Hushed>,
    /// Messages that never arrived, of whatever group, in or since its windows: it may be worse, or not be over.
    #[serde(default)]
    pub undercount: u64,
    /// The last changes of its servers' states, as far as the log tells.
    #[serde(default)]
    pub events: Vec<Server>,
    /// Of one server, where the log tells when servers go: it has not, and got so many requests in the last 20 s (or the
    /// last step).
    #[serde(default)]
    pub in_rotation: Option<u64>,
    /// What exits and targets show of it, where records name both: at most [`FINDINGS_MAX`], the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What stands beside it; told when it fires, and of a single group nothing does.
    #[serde(default)]
    pub around: Option<Around>,
    /// What its requests of the last minutes show beside their reasons, while it fires.
    #[serde(default)]
    pub clues: Option<Found>,
    /// Of one that is about an input and not about traffic: what it says in place of figures.
    pub note: Option<Note>,
    /// The incident that it is part of, as far as one engine sees all of it.
    #[serde(default)]
    pub envelope: Option<Envelope>,
}

/// Something that others may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It fires.
    Firing,
    /// Its severity rose.
    Escalated,
    /// Bad again within 10 min of resolving: the same incident, no page.
    Reopened,
    /// It is over.
    Resolved,
}

/// A change of one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// When, in event time.
    pub at: Millis,
    /// The alert as it stands after it.
    pub alert: Alert,
}
