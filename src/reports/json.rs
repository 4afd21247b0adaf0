//! One object, schema 1: fields are added, never renamed. Times RFC 3339 UTC, durations in seconds, ratios 0–1.

use super::text::{is_unprintable, ratio};
use super::{Look, rfc3339};
use gatewatch_parsers::{Happened, Millis, Reason};
use gatewatch_rules::report::{Counted, Diagnosed, Group, Incident, Report};
use gatewatch_rules::servers::{Server, Stands};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Renders the object.
pub fn render(report: &Report, look: &Look) -> String {
    let text = serde_json::to_string_pretty(&Whole(report, look.top))
        .unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"));
    escaped(&text).into_owned() + "\n"
}

/// JSON needs no escape for what a terminal would obey; a report is looked at on one all the same. The same values are
/// read from it: such characters stand in strings only.
fn escaped(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c != '\n' && is_unprintable(c);
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if obeyed(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Pairs as an object, in their order.
struct Pairs<I>(I);

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)> + Clone> Serialize for Pairs<I> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.clone())
    }
}

/// Items as an array.
struct Items<I>(I);

impl<T: Serialize, I: Iterator<Item = T> + Clone> Serialize for Items<I> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.clone())
    }
}

fn reasons(list: &[(Reason, u64)]) -> impl Serialize + '_ {
    Pairs(list.iter().map(|(reason, n)| (reason.name(), n)))
}

fn labels(list: &[(String, String)]) -> impl Serialize + '_ {
    Pairs(list.iter().map(|(name, value)| (name, value)))
}

fn time(at: Option<Millis>) -> Option<String> {
    at.map(rfc3339)
}

struct Whole<'a>(&'a Report, Option<usize>);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let r = self.0;
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("schema", &1)?;
        map.serialize_entry("partial", &r.partial)?;
        map.serialize_entry("timezone", &r.timezone)?;
        map.serialize_entry("late", &r.late)?;
        map.serialize_entry("future", &r.future)?;
        map.serialize_entry("series_overflow", &r.series_overflow)?;
        map.serialize_entry("inputs", &Items(r.inputs.iter().map(input)))?;
        let sum = |of: fn(&gatewatch_rules::report::Input) -> u64| r.inputs.iter().map(of).sum::<u64>();
        let lines = [
            ("read", sum(|i| i.lines)),
            ("parsed", sum(|i| i.parsed)),
            ("unparsed", sum(|i| i.unparsed)),
            ("other", sum(|i| i.other)),
        ];
        map.serialize_entry("lines", &Pairs(lines.into_iter()))?;
        map.serialize_entry("unparsed_samples", &Items(r.unparsed_samples.iter().map(sample)))?;
        map.serialize_entry("requests", &r.counted.requests)?;
        map.serialize_entry("gateway_errors", &r.counted.gateway_errors)?;
        map.serialize_entry("ratio", &ratio(r.counted.gateway_errors, r.counted.requests))?;
        map.serialize_entry("status", &Pairs(r.status.iter().map(|(k, v)| (k, v))))?;
        map.serialize_entry("origin", &Pairs(r.origin.iter().map(|(k, v)| (k.name(), v))))?;
        map.serialize_entry("reasons", &reasons(&r.reasons))?;
        beside(&mut map, &r.counted)?;
        map.serialize_entry("aborted", &r.counted.aborted)?;
        map.serialize_entry("abandoned", &r.counted.abandoned)?;
        let shown = r.groups.get(..self.1.unwrap_or(usize::MAX).min(r.groups.len())).unwrap_or_default();
        map.serialize_entry("groups", &Items(shown.iter().map(OneGroup)))?;
        map.serialize_entry("incidents", &incidents(&r.incidents))?;
        map.serialize_entry("timeline", &Points(&r.timeline))?;
        map.serialize_entry("diagnosed", &Items(r.diagnosed.iter().map(diagnosed)))?;
        map.serialize_entry("events", &Items(r.events.iter().map(event)))?;
        // Absent where records name no exits.
        if let Some(view) = &r.two_way {
            map.serialize_entry("exits_targets", &super::exits::Json(view, self.1))?;
        }
        map.end()
    }
}

fn beside<M: SerializeMap>(map: &mut M, counted: &Counted) -> Result<(), M::Error> {
    map.serialize_entry("attempts", &counted.attempts)?;
    map.serialize_entry("failed_attempts", &counted.failed_attempts)?;
    map.serialize_entry("masked", &counted.masked)
}

#[derive(Serialize)]
struct DiagnosedRow<L, R> {
    labels: L,
    failed: u64,
    aborted: u64,
    reasons: R,
    aborted_reasons: R,
}

fn diagnosed(d: &Diagnosed) -> impl Serialize + '_ {
    let count = |list: &[(Reason, u64)]| list.iter().map(|(_, n)| n).sum();
    DiagnosedRow {
        labels: labels(&d.labels),
        failed: count(&d.failed),
        aborted: count(&d.aborted),
        reasons: reasons(&d.failed),
        aborted_reasons: reasons(&d.aborted),
    }
}

#[derive(Serialize)]
struct EventRow<'a> {
    node: &'a str,
    pool: &'a str,
    upstream: &'a str,
    state: &'static str,
    since: String,
    times: u64,
    detail: &'a str,
    changes: Vec<ChangeRow>,
}

#[derive(Serialize)]
struct ChangeRow {
    at: String,
    state: &'static str,
}

fn event(server: &Server) -> EventRow<'_> {
    let (state, since) = match server.stands() {
        Stands::Out(since) if server.upstream.is_empty() => ("no_server", since),
        Stands::Out(since) => ("down", since),
        Stands::Back(_, since) => ("up", since),
        Stands::Paused(since) => ("paused", since),
    };
    let change = |(at, happened): &(Millis, Happened)| ChangeRow {
        at: rfc3339(*at),
        state: match happened {
            Happened::Down => "down",
            Happened::Up => "up",
            Happened::Paused => "paused",
            Happened::NoServer => "no_server",
        },
    };
    EventRow {
        node: &server.node,
        pool: &server.pool,
        upstream: &server.upstream,
        state,
        since: rfc3339(since),
        times: server.times,
        detail: &server.detail,
        changes: server.changes.iter().map(change).collect(),
    }
}

#[derive(Serialize)]
struct InputRow<'a> {
    path: &'a str,
    format: &'a str,
    bytes: u64,
    lines: u64,
    parsed: u64,
    unparsed: u64,
    other: u64,
    first: Option<String>,
    last: Option<String>,
}

fn input(i: &gatewatch_rules::report::Input) -> InputRow<'_> {
    InputRow {
        path: &i.path,
        format: &i.format,
        bytes: i.bytes,
        lines: i.lines,
        parsed: i.parsed,
        unparsed: i.unparsed,
        other: i.other,
        first: time(i.first),
        last: time(i.last),
    }
}

#[derive(Serialize)]
struct SampleRow<'a> {
    path: &'a str,
    line: u64,
    text: String,
    field: &'a str,
    reason: &'a str,
}

fn sample(s: &gatewatch_rules::report::UnparsedSample) -> SampleRow<'_> {
    let text = String::from_utf8_lossy(&s.text).into_owned();
    SampleRow { path: &s.path, line: s.line, text, field: &s.field, reason: &s.reason }
}

struct OneGroup<'a>(&'a Group);

impl Serialize for OneGroup<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let g = self.0;
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("labels", &labels(&g.labels))?;
        map.serialize_entry("requests", &g.counted.requests)?;
        map.serialize_entry("gateway_errors", &g.counted.gateway_errors)?;
        map.serialize_entry("ratio", &ratio(g.counted.gateway_errors, g.counted.requests))?;
        map.serialize_entry("status", &Pairs(["502", "503", "504"].into_iter().zip(g.status)))?;
        map.serialize_entry("reasons", &reasons(&g.reasons))?;
        beside(&mut map, &g.counted)?;
        map.serialize_entry("abandoned", &g.counted.abandoned)?;
        let seconds =
            |i: usize| g.percentiles.as_ref().and_then(|p| p.get(i)).map(|ms| f64::from(*ms) / 1000.0);
        for (i, name) in ["p50", "p95", "p99"].into_iter().enumerate() {
            map.serialize_entry(name, &seconds(i))?;
        }
        map.end()
    }
}

/// Incidents, as every command lists them.
#[must_use]
pub fn incidents(incidents: &[Incident]) -> impl Serialize + '_ {
    Items(incidents.iter().map(OneIncident))
}

struct OneIncident<'a>(&'a Incident);

impl Serialize for OneIncident<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let i = self.0;
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("rule", &i.rule)?;
        map.serialize_entry("severity", i.severity.name())?;
        map.serialize_entry("labels", &labels(&i.labels))?;
        map.serialize_entry("started", &rfc3339(i.started))?;
        map.serialize_entry("ended", &time(i.ended))?;
        map.serialize_entry("fired", &time(i.fired))?;
        map.serialize_entry("resolved", &time(i.resolved))?;
        map.serialize_entry("peak_ratio", &i.peak_ratio)?;
        map.serialize_entry("requests", &i.requests)?;
        map.serialize_entry("gateway_errors", &i.gateway_errors)?;
        map.serialize_entry("reasons", &reasons(&i.reasons))?;
        map.serialize_entry("events", &Items(i.events.iter().map(event)))?;
        map.serialize_entry("envelope", &i.envelope.as_ref().map(|id| Envelope { id, cause: &i.cause }))?;
        map.end()
    }
}

/// The incident for people that an alert was part of.
#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    cause: &'a Option<String>,
}

struct Points<'a>(&'a gatewatch_rules::report::Timeline);

impl Serialize for Points<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let t = self.0;
        let mut map = s.serialize_map(Some(4))?;
        if t.step % 1000 == 0 {
            map.serialize_entry("step", &(t.step / 1000))?;
        } else {
            map.serialize_entry("step", &(t.step as f64 / 1000.0))?;
        }
        map.serialize_entry("start", &(!t.requests.is_empty()).then(|| rfc3339(t.start)))?;
        map.serialize_entry("requests", &t.requests)?;
        map.serialize_entry("gateway_errors", &t.gateway_errors)?;
        map.end()
    }
}
