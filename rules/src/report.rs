//! What a finished count looks like to those who print it. Every list is sorted as printed.

use crate::alert::Labels;
use crate::rule::Severity;
use crate::servers::Server;
use crate::two_way::TwoWay;
use gatewatch_parsers::{Millis, Origin, Reason};
use serde::{Deserialize, Serialize};

/// Counts of requests, and of what is counted beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Finished requests.
    pub requests: u64,
    /// Gateway errors among them.
    pub gateway_errors: u64,
    /// Tries at upstreams.
    pub attempts: u64,
    /// Failed ones among them.
    pub failed_attempts: u64,
    /// Requests that ended well after a failed attempt.
    pub masked: u64,
    /// Requests cut after the header.
    pub aborted: u64,
    /// Requests whose client left before the upstream's header.
    pub abandoned: u64,
}

/// A group of the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The labels it was grouped by that it has.
    pub labels: Labels,
    /// Its counts.
    pub counted: Counted,
    /// Requests with 502, 503 and 504.
    pub status: [u64; 3],
    /// Gateway errors by reason, most first.
    pub reasons: Vec<(Reason, u64)>,
    /// Total time in ms: p50, p95, p99; `None`: not logged.
    pub percentiles: Option<[u32; 3]>,
}

/// What error logs tell of a group: failures without anything to divide by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosed {
    /// The labels it was grouped by that it has.
    pub labels: Labels,
    /// Failed attempts by reason, most first.
    pub failed: Vec<(Reason, u64)>,
    /// Bodies that were cut, by reason, most first.
    pub aborted: Vec<(Reason, u64)>,
}

impl Diagnosed {
    /// All of them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.failed.iter().chain(&self.aborted).map(|(_, n)| n).sum()
    }
}

/// An alert's whole life, as `analyze` and `replay` list it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The rule.
    pub rule: String,
    /// The worst severity reached.
    pub severity: Severity,
    /// The group.
    pub labels: Labels,
    /// Start of the first bad step.
    pub started: Millis,
    /// End of the last bad step; `None`: bad to the log's end.
    pub ended: Option<Millis>,
    /// When the rule would have said so.
    pub fired: Option<Millis>,
    /// When it reached its worst severity, if that was later.
    pub escalated: Option<Millis>,
    /// When it would have said that it is over.
    pub resolved: Option<Millis>,
    /// The highest ratio of a judged window.
    pub peak_ratio: f64,
    /// Requests from `started` to `ended`.
    pub requests: u64,
    /// What the rule counts, from `started` to `ended`.
    pub gateway_errors: u64,
    /// Those by reason, most first.
    pub reasons: Vec<(Reason, u64)>,
    /// Those by origin, most first.
    pub origins: Vec<(Origin, u64)>,
    /// Share of all errors under the rule then that are this group's (0–1).
    pub share_of_errors: f64,
    /// Its share of all requests then.
    pub share_of_requests: f64,
    /// Messages that never arrived, of whatever group, in its windows.
    #[serde(default)]
    pub undercount: u64,
    /// Which incident for people it was part of.
    #[serde(default)]
    pub envelope: Option<String>,
    /// What that had as its cause last, in words.
    #[serde(default)]
    pub cause: Option<String>,
    /// What its servers' states were about then, as far as the log tells. Not kept: whoever lists incidents adds it.
    #[serde(skip)]
    pub events: Vec<Server>,
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnparsedSample {
    /// The file as given.
    pub path: String,
    /// Its line, from 1.
    pub line: u64,
    /// The line's first 512 bytes.
    pub text: Vec<u8>,
    /// The field that was expected.
    pub field: String,
    /// What was wrong.
    pub reason: String,
}

/// An input as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The file as given; `-` for standard input.
    pub path: String,
    /// The format's name.
    pub format: String,
    /// For people: `HAProxy httplog, rfc3164`.
    pub title: String,
    /// Bytes read, decompressed.
    pub bytes: u64,
    /// Lines read = parsed + unparsed + other.
    pub lines: u64,
    /// Lines that were records.
    pub parsed: u64,
    /// Lines that were not understood.
    pub unparsed: u64,
    /// No access-log lines by nature.
    pub other: u64,
    /// Lines that were cut at the cap: their beginning was parsed.
    pub too_long: u64,
    /// Some of its stamps carry no zone, so that the setting decided.
    pub zoneless: bool,
    /// The first end, over all its records.
    pub first: Option<Millis>,
    /// The last.
    pub last: Option<Millis>,
}

/// Requests and errors over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Length of a point.
    pub step: Millis,
    /// Start of the first point.
    pub start: Millis,
    /// Requests by point.
    pub requests: Vec<u64>,
    /// Gateway errors by point.
    pub gateway_errors: Vec<u64>,
}

/// Everything that `analyze` knows at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Interrupted before the end.
    pub partial: bool,
    /// The zone that zoneless stamps were read in, if any carried none: its name.
    pub timezone: Option<String>,
    /// Whether that zone was assumed and not set.
    pub timezone_assumed: bool,
    /// Records whose step was closed when they came: in totals, in no bucket.
    pub late: u64,
    /// Records stamped over an hour ahead of their file.
    pub future: u64,
    /// Records counted under `__other__`.
    pub series_overflow: u64,
    /// The inputs, in the order given.
    pub inputs: Vec<Input>,
    /// The first 10 lines that were not understood.
    pub unparsed_samples: Vec<UnparsedSample>,
    /// Totals.
    pub counted: Counted,
    /// Requests by status, ascending; the last key is `-` (none).
    pub status: Vec<(String, u64)>,
    /// Gateway errors by origin, all four.
    pub origin: Vec<(Origin, u64)>,
    /// Gateway errors by reason, most first.
    pub reasons: Vec<(Reason, u64)>,
    /// The labels that `groups` are by.
    pub by: Vec<String>,
    /// The groups: most gateway errors, then most requests first, ties by labels.
    pub groups: Vec<Group>,
    /// What error logs tell, by the same labels: most failures first, ties by labels.
    pub diagnosed: Vec<Diagnosed>,
    /// The same by node, by pool and by upstream (label name, groups), for the table's head; a label without values
    /// has none.
    pub by_label: Vec<(String, Vec<Group>)>,
    /// Incidents by started, rule, labels.
    pub incidents: Vec<Incident>,
    /// What proxies wrote of their servers' states, by node, pool and server.
    pub events: Vec<Server>,
    /// Errors over time.
    pub timeline: Timeline,
    /// Exits and targets, where records name both.
    pub two_way: Option<TwoWay>,
    /// For nginx logs without upstream variables: the exact `log_format` to add.
    pub advice: Option<String>,
}
