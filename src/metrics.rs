//! `/metrics`: what `status` says, and the counts of every series, from the same picture, so that they cannot disagree.
//! The labels are those that rules ask for, capped as series are; no path, address or line of a log is one.

use crate::status::{Standing, View, seconds};
use gatewatch_parsers::Status;
use gatewatch_rules::filter::status_text;
use gatewatch_rules::report::Counted;
use gatewatch_rules::series::{FAMILY, LabelSet};
use gatewatch_rules::total::Total;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// An agent at one moment, with the counts of its series.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// What `status` shows.
    pub view: View,
    /// The names of the series' labels, in their order.
    pub names: Vec<String>,
    /// What each series has counted.
    pub series: Vec<(LabelSet, Total)>,
    /// What series have counted that are kept apart: by captures that rules ask for, everything once more.
    pub apart: Vec<(LabelSet, Counted)>,
    /// The rules' names.
    pub rules: Vec<String>,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, 0.0.4: what everybody reads.
    Plain,
    /// OpenMetrics 1.0: what Prometheus asks for.
    OpenMetrics,
}

impl Format {
    /// What a scraper's `Accept` asks for.
    #[must_use]
    pub fn accepted(accept: &str) -> Format {
        if accept.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Plain }
    }

    /// Its `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes it. `None` never happens: writing to a string does not fail.
#[must_use]
pub fn encode(picture: Picture, format: Format) -> Option<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Sheet(picture)));
    let mut written = String::new();
    text::encode(&mut written, &registry).ok()?;
    Some(match format {
        Format::OpenMetrics => written,
        Format::Plain => plain(&written),
    })
}

/// OpenMetrics as Prometheus' own text: there a counter's help and type bear the name that its samples do.
fn plain(written: &str) -> String {
    let mut plain = String::with_capacity(written.len() + written.len() / 16);
    let mut lines = written.lines().filter(|line| *line != "# EOF").peekable();
    while let Some(line) = lines.next() {
        let name = |line: &str| line.split(' ').nth(2).map(str::to_owned);
        let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let described = line.starts_with("# HELP ") && lines.peek().is_some_and(|next| is_counter(next));
        match name(line).filter(|_| described || is_counter(line)) {
            Some(name) => plain.push_str(&line.replacen(&name, &format!("{name}_total"), 1)),
            None => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}

#[derive(Debug)]
struct Sheet(Picture);

type Labels<'l> = Vec<(Cow<'l, str>, Cow<'l, str>)>;

/// `{input="edge"}`; labels without a value are left out, as absent ones are.
fn labels<'l, const N: usize>(pairs: [(&'l str, &'l str); N]) -> Labels<'l> {
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(n, v)| (n.into(), v.into())).collect()
}

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Sheet(picture) = self;
        let view = &picture.view;
        process(view, &mut encoder)?;
        series(picture, &mut encoder)?;
        apart(picture, &mut encoder)?;
        totals(view, &mut encoder)?;
        inputs(view, &mut encoder)?;
        alerts(picture, &mut encoder)?;
        told(view, &mut encoder)?;
        kept(view, &mut encoder)
    }
}

fn counters<'l>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in samples {
        if labels.is_empty() {
            family.encode_counter::<Labels<'l>, u64, u64>(&count, None)?;
        } else {
            family.encode_family(&labels)?.encode_counter::<Labels<'l>, u64, u64>(&count, None)?;
        }
    }
    Ok(())
}

fn gauges<'l>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    samples: impl IntoIterator<Item = (Labels<'l>, f64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        if labels.is_empty() {
            family.encode_gauge(&value)?;
        } else {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

fn one<T>(value: T) -> [(Labels<'static>, T); 1] {
    [(Labels::new(), value)]
}

fn yes(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn process(view: &View, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let agent = &view.agent;
    let build = [(labels([("version", &agent.version)]), 1.0)];
    gauges(encoder, ("gatewatch_build_info", "Which gatewatch this is."), build)?;
    let started = agent.since.map(|at| (Labels::new(), seconds(at)));
    let described = ("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
    gauges(encoder, described, started)?;
    let taken = one(yes(agent.configuration_refused.is_none()));
    let described = ("gatewatch_config_last_reload_successful", "Whether the last configuration was taken.");
    gauges(encoder, described, taken)?;
    let ready = one(yes(view.checks().iter().all(|check| check.trouble.is_none())));
    gauges(encoder, ("gatewatch_ready", "What /readyz says."), ready)
}

/// What the series of one set of labels have counted. Sets that differ in unprintable bytes only are one here.
#[derive(Default)]
struct Counts {
    by_name: [u64; COUNTED.len()],
    statuses: BTreeMap<Status, u64>,
    reasons: BTreeMap<&'static str, u64>,
    diagnosed: BTreeMap<&'static str, u64>,
}

type Count = (&'static str, &'static str, fn(&Counted) -> u64);

const COUNTED: [Count; 7] = [
    ("gatewatch_requests", "Finished requests that were judged.", |c| c.requests),
    ("gatewatch_gateway_errors", "Gateway errors among them.", |c| c.gateway_errors),
    ("gatewatch_attempts", "Tries at upstreams.", |c| c.attempts),
    ("gatewatch_failed_attempts", "Failed tries at upstreams.", |c| c.failed_attempts),
    ("gatewatch_masked_requests", "Requests that a retry saved.", |c| c.masked),
    ("gatewatch_aborted_requests", "Requests cut after the header.", |c| c.aborted),
    ("gatewatch_abandoned_requests", "Requests whose client left before the header.", |c| c.abandoned),
];

/// Labels that a metric adds by itself; a capture of that name stands beside them.
const OWN: [&str; 5] = ["status", "reason", "le", "quantile", "family"];

/// The labels of families beside the first one: under names of their own, since sums must not double.
fn apart(picture: &Picture, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let names: Vec<String> = picture.names.iter().map(name).collect();
    let mut sums: BTreeMap<Labels<'_>, Counted> = BTreeMap::new();
    for (set, counted) in &picture.apart {
        let pairs = names.iter().map(|name| Cow::Borrowed(name.as_str())).zip(set.values().map(readable));
        sums.entry(pairs.filter(|(_, value)| !value.is_empty()).collect()).or_default().add(counted);
    }
    if sums.is_empty() {
        return Ok(());
    }
    let requests = sums.iter().map(|(labels, counted)| (labels.clone(), counted.requests));
    let help = "Judged requests by the captures that rules ask for; `family` tells the sets of labels apart.";
    counters(encoder, ("gatewatch_requests_by_capture", help), requests)?;
    let errors = sums.iter().map(|(labels, counted)| (labels.clone(), counted.gateway_errors));
    counters(encoder, ("gatewatch_gateway_errors_by_capture", "Gateway errors among them."), errors)
}

/// A label's name that no metric takes for its own.
fn name(name: &String) -> String {
    if name == FAMILY {
        "family".to_owned()
    } else if OWN.contains(&name.as_str()) || name.starts_with("__") {
        format!("label_{}", name.trim_start_matches('_'))
    } else {
        name.clone()
    }
}

fn series(picture: &Picture, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let names: Vec<String> = picture.names.iter().map(name).collect();
    let mut sums: BTreeMap<Vec<Cow<'_, str>>, Counts> = BTreeMap::new();
    for (set, total) in &picture.series {
        let sum = sums.entry(set.values().map(readable).collect()).or_default();
        for (of_all, (_, _, of)) in sum.by_name.iter_mut().zip(&COUNTED) {
            *of_all += of(total.counted());
        }
        total.statuses().for_each(|(status, n)| *sum.statuses.entry(status).or_default() += n);
        total.reasons().for_each(|(reason, n)| *sum.reasons.entry(reason.name()).or_default() += n);
        total.diagnosed().for_each(|(reason, n)| *sum.diagnosed.entry(reason.name()).or_default() += n);
    }
    let sums: Vec<(Labels<'_>, Counts)> = sums
        .into_iter()
        .map(|(values, counts)| {
            let pairs = names.iter().map(|name| Cow::Borrowed(name.as_str())).zip(values);
            (pairs.filter(|(_, value)| !value.is_empty()).collect(), counts)
        })
        .collect();
    for (at, (name, help, _)) in COUNTED.iter().enumerate() {
        let samples =
            sums.iter().map(|(l, counts)| (l.clone(), counts.by_name.get(at).copied().unwrap_or(0)));
        counters(encoder, (name, help), samples)?;
    }
    let statuses = sums.iter().flat_map(|(labels, counts)| {
        counts.statuses.iter().map(|(status, n)| (with(labels, "status", status_text(*status).into()), *n))
    });
    let help = "Judged requests with a status that is a gateway error's or that a rule watches.";
    counters(encoder, ("gatewatch_responses", help), statuses)?;
    let by_reason = |of: fn(&Counts) -> &BTreeMap<&'static str, u64>| {
        let each =
            sums.iter().flat_map(move |(labels, counts)| of(counts).iter().map(move |count| (labels, count)));
        each.map(|(labels, (reason, n))| (with(labels, "reason", (*reason).into()), *n))
    };
    let described = ("gatewatch_gateway_error_reasons", "Gateway errors by reason (RFC 9209).");
    counters(encoder, described, by_reason(|counts| &counts.reasons))?;
    let help =
        "Failed tries at upstreams by reason, as error logs tell them: beside the requests, not among them.";
    counters(encoder, ("gatewatch_error_log_failures", help), by_reason(|counts| &counts.diagnosed))
}

fn with<'l>(labels: &Labels<'l>, name: &'l str, value: Cow<'l, str>) -> Labels<'l> {
    let mut labels = labels.clone();
    labels.push((name.into(), value));
    labels
}

/// A value as text; bytes that are none are written out.
fn readable(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.escape_ascii().to_string()),
    }
}

fn totals(view: &View, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let statuses = view.status.iter().map(|(status, n)| (labels([("status", status)]), *n));
    let help = "All finished requests by status as logged, late and future ones included.";
    counters(encoder, ("gatewatch_requests_by_status", help), statuses)?;
    let help = "Requests that came after their step was judged.";
    counters(encoder, ("gatewatch_late_requests", help), one(view.late))?;
    let help = "Requests that ended too far ahead of their file's time to be believed.";
    counters(encoder, ("gatewatch_future_requests", help), one(view.future))?;
    gauges(encoder, ("gatewatch_series", "Series held."), one(view.series as f64))?;
    let help = "Requests counted as __other__ at the cap of series.";
    counters(encoder, ("gatewatch_series_overflow", help), one(view.series_overflow))?;
    let reached = view.agent.watermark.map(|at| (Labels::new(), seconds(at)));
    let help = "How far the logs' time has come, in seconds since unix epoch.";
    gauges(encoder, ("gatewatch_watermark_timestamp_seconds", help), reached)
}

fn inputs(view: &View, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let by_input = view.by_input();
    let results = by_input.iter().flat_map(|(input, sum)| {
        [("parsed", sum.parsed), ("unparsed", sum.unparsed), ("other", sum.other)]
            .map(|(result, n)| (labels([("input", *input), ("result", result)]), n))
    });
    let help = "Lines read: requests, lines that were not understood, lines that are no requests.";
    counters(encoder, ("gatewatch_lines", help), results)?;
    type Of = fn(&crate::status::InputView) -> u64;
    let counted: [(&str, &str, Of); 3] = [
        ("gatewatch_rotations", "Files put in another one's place.", |i| i.rotations),
        ("gatewatch_truncations", "Files found truncated.", |i| i.truncations),
        ("gatewatch_possible_losses", "Times that lines may have been lost.", |i| i.possible_loss),
    ];
    for (name, help, of) in counted {
        let samples = by_input.iter().map(|(input, sum)| (labels([("input", *input)]), of(sum)));
        counters(encoder, (name, help), samples)?;
    }
    let lost = by_input.iter().map(|(input, sum)| (labels([("input", *input)]), sum.lost));
    let help = "Messages that never arrived: the system's queue was full, or the agent's own.";
    counters(encoder, ("gatewatch_syslog_dropped", help), lost)?;
    let behind = by_input.iter().map(|(i, sum)| (labels([("input", *i)]), sum.bytes_behind as f64));
    gauges(encoder, ("gatewatch_bytes_behind", "Written to logs and not counted yet."), behind)?;
    let newest = by_input.iter().filter_map(|(i, sum)| Some((labels([("input", *i)]), seconds(sum.newest?))));
    let help = "End of the newest request, in seconds since unix epoch.";
    gauges(encoder, ("gatewatch_newest_timestamp_seconds", help), newest)?;
    let behind = by_input.iter().filter_map(|(i, sum)| Some((labels([("input", *i)]), sum.behind?)));
    let help = "How far the time of the input's slowest file is behind the present.";
    gauges(encoder, ("gatewatch_behind_seconds", help), behind)?;
    let mut standings: BTreeMap<(&str, &'static str), f64> = BTreeMap::new();
    for input in by_input.keys() {
        for standing in [Standing::Fine, Standing::Unreadable, Standing::Stalled, Standing::Skewed] {
            standings.insert((*input, standing.name()), 0.0);
        }
    }
    for one in &view.inputs {
        *standings.entry((&one.input, one.standing.name())).or_default() += 1.0;
    }
    let files = standings.iter().map(|((i, state), n)| (labels([("input", *i), ("state", *state)]), *n));
    gauges(encoder, ("gatewatch_files", "Files by how they do."), files)
}

fn alerts(picture: &Picture, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut counts: BTreeMap<(&str, &'static str), f64> = BTreeMap::new();
    for rule in &picture.rules {
        for state in ["pending", "firing", "recovering"] {
            counts.insert((rule, state), 0.0);
        }
    }
    for alert in &picture.view.alerts {
        *counts.entry((&alert.rule, alert.state.name())).or_default() += 1.0;
    }
    let samples = counts.iter().map(|((r, state), n)| (labels([("rule", *r), ("state", *state)]), *n));
    gauges(encoder, ("gatewatch_alerts", "Alerts by rule and state."), samples)
}

fn told(view: &View, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let outcomes = view.receivers.iter().flat_map(|receiver| {
        let d = receiver.deliveries;
        [("sent", d.sent), ("retried", d.retried), ("failed", d.failed)]
            .map(|(outcome, n)| (labels([("receiver", &receiver.name), ("outcome", outcome)]), n))
    });
    let help = "Notifications: arrived, to be tried again, refused.";
    counters(encoder, ("gatewatch_deliveries", help), outcomes)?;
    let failing = view
        .receivers
        .iter()
        .map(|receiver| (labels([("receiver", &receiver.name)]), yes(receiver.failing_since.is_some())));
    gauges(encoder, ("gatewatch_receiver_failing", "Whether the last delivery did not arrive."), failing)?;
    gauges(encoder, ("gatewatch_outbox_waiting", "News that waits for a receiver."), one(view.outbox as f64))
}

fn kept(view: &View, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let age = view.snapshot.age.map(|age| (Labels::new(), age));
    gauges(encoder, ("gatewatch_snapshot_age_seconds", "Age of what a restart goes on from."), age)?;
    let failing = one(yes(view.snapshot.error.is_some()));
    gauges(encoder, ("gatewatch_snapshot_failing", "Whether no newer one can be written."), failing)?;
    let losses = &view.losses;
    for (name, help, n) in [
        ("gatewatch_lines_too_long", "Lines cut at 64 KiB.", losses.lines_too_long),
        ("gatewatch_input_waits", "Times that reading waited for counting.", losses.input_waits),
        ("gatewatch_deliveries_dropped", "Alerts whose news was given up.", losses.deliveries_dropped),
        ("gatewatch_incidents_dropped", "Incidents no longer remembered.", losses.incidents_dropped),
        ("gatewatch_alerts_held_back", "Alerts that were muted when they fired.", view.muted.held),
        ("gatewatch_alerts_unseen", "Of these, came and went untold.", view.muted.unseen),
        ("gatewatch_state_rebuilt", "Times that the state was lost and rebuilt.", losses.state_rebuilt),
    ] {
        counters(encoder, (name, help), one(n))?;
    }
    Ok(())
}
