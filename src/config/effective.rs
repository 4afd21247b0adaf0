//! The settings that hold, as TOML that reads back the same; and what they may cost in memory.

mod receivers;

use super::mute::{self, Words};
use super::values::{print_duration, tidy};
use super::{Config, Input};
use crate::inputs::streams::Kind;
use crate::inputs::syslog::address::Listen;
use crate::inputs::syslog::ring::RING;
use crate::mute::HELD_MAX;
use crate::mute::maintenance::Window;
use gatewatch_parsers::Millis;
use gatewatch_rules::detectors::burn_rate::{self, EXPORTED, Pair};
use gatewatch_rules::detectors::{self, Detector};
use gatewatch_rules::pairs::PAIRS_MAX;
use gatewatch_rules::rule::Rule;
use gatewatch_rules::two_way::{EXIT, PROVIDER};
use gatewatch_rules::window::{MINUTE, MINUTES_HELD, STEPS_HELD};
use std::fmt::Write as _;

/// Everything that holds: what was written, presets and defaults. Secrets are left out.
#[must_use]
pub fn effective(config: &Config) -> String {
    let mut out = Toml(String::new());
    agent(&mut out, config);
    for (table, words) in [("regions", &config.regions), ("pools", &config.pools)] {
        if !words.is_empty() {
            out.table(table);
            words.iter().for_each(|(key, word)| out.text(&quoted(key), word));
        }
    }
    for input in &config.inputs {
        input_table(&mut out, input);
    }
    for rule in &config.rules {
        rule_table(&mut out, rule);
    }
    for (detector, name) in &config.dropped {
        out.table(&format!("rule.{detector}.{}", key(name)));
        out.put("enabled", "false");
    }
    for receiver in &config.receivers {
        receivers::table(&mut out, receiver);
    }
    if let Some(heartbeat) = &config.heartbeat {
        receivers::heartbeat(&mut out, heartbeat);
    }
    for window in &config.maintenance {
        window_table(&mut out, window);
    }
    out.0
}

struct Toml(String);

impl Toml {
    fn table(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{gap}[{name}]");
    }

    fn put(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.put(key, quoted(value));
    }

    fn time(&mut self, key: &str, length: Millis) {
        self.text(key, &print_duration(length));
    }

    fn list(&mut self, key: &str, items: impl Iterator<Item = String>) {
        let items: Vec<_> = items.collect();
        self.put(key, format!("[{}]", items.join(", ")));
    }
}

/// A TOML string; in single quotes where that saves escapes.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.chars().any(|c| c == '\'' || c.is_control()) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A name in a header: bare if TOML allows.
fn key(name: &str) -> String {
    let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { quoted(name) }
}

fn agent(out: &mut Toml, config: &Config) {
    let agent = &config.agent;
    out.table("agent");
    out.text("node", &agent.node);
    if let Some(region) = &agent.region {
        out.text("region", region);
    }
    if let Some(file) = &agent.regions_file {
        out.text("regions_file", &file.path.display().to_string());
    }
    if let Some(file) = &agent.regions_mmdb {
        out.text("regions_mmdb", &file.path.display().to_string());
    }
    out.text("regions_by", &agent.regions_by);
    out.text("state_dir", &agent.state_dir.display().to_string());
    out.time("step", agent.step);
    out.time("lateness", agent.lateness);
    if let Some(zone) = agent.timezone {
        out.text("timezone", &zone.to_string());
    }
    out.put("presets", agent.presets);
    out.text("listen", &agent.listen.map_or("off".to_owned(), |at| at.to_string()));
}

fn input_table(out: &mut Toml, input: &Input) {
    out.table(&format!("input.{}.{}", input.kind, key(&input.name)));
    match &input.stream {
        None => out.list("paths", input.paths.iter().map(|p| quoted(p))),
        Some(stream) => stream_keys(out, stream),
    }
    for (key, value) in [("log_format", &input.log_format), ("node", &input.node), ("region", &input.region)]
    {
        if let Some(value) = value {
            out.text(key, value);
        }
    }
    if let Some(zone) = input.timezone {
        out.text("timezone", &zone.to_string());
    }
    if let Some(statuses) = &input.gateway_statuses {
        out.list("gateway_statuses", statuses.iter().map(u16::to_string));
    }
    if input.stream.is_none() {
        out.text("start", input.start.name());
    }
}

fn stream_keys(out: &mut Toml, stream: &Kind) {
    match stream {
        Kind::Syslog(syslog) => {
            out.list("listen", syslog.listen.iter().map(|l| quoted(&l.to_string())));
            if !syslog.allow.is_empty() {
                out.list("allow", syslog.allow.iter().map(|a| quoted(&a.to_string())));
            }
            if syslog.listen.iter().any(|l| matches!(l, Listen::Unix(_))) {
                out.text("mode", &format!("{:04o}", syslog.access.mode));
                if let Some(group) = &syslog.access.group {
                    out.text("group", group);
                }
            }
            if let Some(tls) = &syslog.tls {
                out.text("cert_file", &tls.cert.display().to_string());
                out.text("key_file", &tls.key.display().to_string());
                if let Some(ca) = &tls.client_ca {
                    out.text("client_ca_file", &ca.display().to_string());
                }
            }
        }
        Kind::Journald(journald) => {
            for (key, list) in [("units", &journald.units), ("identifiers", &journald.identifiers)] {
                if !list.is_empty() {
                    out.list(key, list.iter().map(|name| quoted(name)));
                }
            }
        }
    }
}

fn rule_table(out: &mut Toml, rule: &Rule) {
    out.table(&format!("rule.{}.{}", rule.detector, key(&rule.name)));
    if rule.detector != "unparsed" {
        out.list("group_by", rule.group_by.iter().map(|g| quoted(g)));
    }
    out.list("match", rule.matchers.iter().map(|m| quoted(&m.to_string())));
    if let Some(detector) = detectors::find(rule.detector) {
        judged_keys(out, rule, detector);
    }
    out.time("for", rule.for_);
    out.time("keep_firing_for", rule.keep_firing_for);
    out.time("stale_after", rule.stale_after);
    if !rule.notify.is_empty() {
        out.list("notify", rule.notify.iter().map(|n| quoted(n)));
    }
    if !rule.mutes.is_empty() {
        out.list("mutes", rule.mutes.iter().map(|m| quoted(m)));
    }
    out.time("repeat_interval", rule.repeat_interval);
    if !rule.labels.is_empty() {
        let labels: Vec<_> = rule.labels.iter().map(|(k, v)| format!("{k} = {}", quoted(v))).collect();
        out.put("labels", format!("{{ {} }}", labels.join(", ")));
    }
    if let Some(runbook) = &rule.runbook {
        out.text("runbook", runbook);
    }
}

/// What is judged of an SLO, and what Prometheus can judge of it.
fn burns(out: &mut Toml) {
    let both = |pair: &Pair| {
        let (long, short) = (print_duration(pair.long), print_duration(pair.short));
        format!("{long} and {short} above {} times the budget", pair.burn)
    };
    let judged: Vec<_> = burn_rate::PAIRS.iter().map(both).collect();
    let _ = writeln!(out.0, "# bad: {}", judged.join("; or "));
    let exported: Vec<_> = EXPORTED.iter().map(both).collect();
    let _ = writeln!(
        out.0,
        "# counts are held for 6h. In Prometheus: {}, of increase(gatewatch_gateway_errors_total[1d]) / \
         increase(gatewatch_requests_total[1d])",
        exported.join("; or ")
    );
}

/// The keys that this detector reads.
fn judged_keys(out: &mut Toml, rule: &Rule, detector: &Detector) {
    let percent = |n: f64| format!("\"{}%\"", tidy(n * 100.0));
    let level = |n: f64| if detector.is_count { n.to_string() } else { percent(n) };
    let is_read = |key| detector.keys.contains(&key);
    if is_read("counts") {
        out.text("counts", rule.counts.name());
    }
    if !rule.status.is_empty() {
        out.list("status", rule.status.iter().map(u16::to_string));
    }
    if let Some(slo) = rule.slo {
        out.put("slo", percent(slo));
    }
    if is_read("window") {
        out.time("window", rule.window);
    }
    if let Some(longer_than) = rule.longer_than {
        out.time("longer_than", longer_than);
    }
    if is_read("stretch") {
        out.text("stretch", &rule.stretch.map_or("off".to_owned(), print_duration));
    }
    if is_read("above") {
        let above: Vec<_> = rule.above.iter().map(|(s, n)| format!("{} = {}", s.name(), level(*n))).collect();
        out.put("above", format!("{{ {} }}", above.join(", ")));
    } else {
        rule.above.iter().for_each(|(severity, _)| out.text("severity", severity.name()));
    }
    let confidence = rule.confidence.map_or("\"off\"".to_owned(), percent);
    let blip = rule.blip.map_or("off".to_owned(), print_duration);
    for (key, value) in [
        ("min_requests", rule.min_requests.to_string()),
        ("min_errors", rule.min_errors.to_string()),
        ("confidence", confidence),
        ("min_bad_steps", rule.min_bad_steps.to_string()),
        ("blip", quoted(&blip)),
        ("times_rest", rule.times_rest.to_string()),
        ("recover_below", level(rule.recover_level())),
    ] {
        if is_read(key) {
            out.put(key, value);
        }
    }
    if is_read("baseline") {
        out.text("baseline", &rule.baseline.map_or("off".to_owned(), print_duration));
    }
    if rule.slo.is_some() {
        burns(out);
    }
    if rule.baseline.is_some() || !is_read("baseline") {
        normal_keys(out, rule, detector);
    }
}

/// The keys that say how far from a group's own normal is bad.
fn normal_keys(out: &mut Toml, rule: &Rule, detector: &Detector) {
    let percent = |n: f64| format!("\"{}%\"", tidy(n * 100.0));
    for (key, value) in [
        ("alpha", if rule.alpha < 0.001 { format!("{:e}", rule.alpha) } else { rule.alpha.to_string() }),
        ("times", rule.times.to_string()),
        ("ceiling", percent(rule.ceiling)),
    ] {
        if detector.keys.contains(&key) {
            out.put(key, value);
        }
    }
}

fn window_table(out: &mut Toml, window: &Window) {
    out.table(&format!("maintenance.{}", key(&window.name)));
    for (key, words) in mute::written(window) {
        match words {
            Words::One(text) => out.text(key, &text),
            Words::List(list) => out.list(key, list.iter().map(|word| quoted(word))),
        }
    }
}

/// Active series at most.
pub const SERIES_MAX: u64 = 2_000;
/// Notifications waiting at most.
const OUTBOX_MAX: u64 = 1_000;
/// Read, and not yet counted.
const IN_FLIGHT: u64 = 4 << 20;
/// A label value is cut to this.
const LABEL_BYTES: u64 = 128;
/// A step with errors: its time and counts, and some sixteen reasons, origins and statuses.
const STEP_BYTES: u64 = 256;
/// A minute: its time and counts, and a few statuses.
const MINUTE_BYTES: u64 = 128;
/// An exit's requests to a target, with the longest names; and how many such pairs there may be, in tables and in steps
/// that are still open.
const PAIR_BYTES: u64 = 512;
const PAIRS: u64 = 2 * PAIRS_MAX as u64;
/// An alert or a notification of one, with samples and labels.
const ALERT_BYTES: u64 = 6 << 10;
/// An alert that is held back, without samples.
const HELD_BYTES: u64 = 2 << 10;

/// What `run` may hold at most: every series active and failing in every step, an alert of every rule on each group of
/// which there can be one a series, a full outbox, all readers waiting.
///
/// bytes = 2,000 series × (labels × 128 B + 60 steps × 256 B + minutes × 128 B) + (2,000 alerts + 1,000 notifications) ×
/// 6 KiB + 2,000 alerts held back × 2 KiB + 4 MiB + syslog inputs × 8 MiB, where minutes is the longest that a rule looks
/// back, its baseline included, if that is over 60 steps; and 40,000 pairs × 512 B where inputs name exits. A MaxMind file
/// comes on top, as large as it is.
#[must_use]
pub fn memory(config: &Config) -> u64 {
    let held = STEPS_HELD * config.agent.step;
    let longest = config.rules.iter().map(Rule::look_back).filter(|length| *length > held).max();
    let minutes = longest.map_or(0, |length| (length / MINUTE).min(MINUTES_HELD)).unsigned_abs();
    let mut labels: Vec<&str> = Vec::new();
    for rule in &config.rules {
        labels.extend(rule.group_by.iter().map(String::as_str));
        labels.extend(rule.matchers.iter().map(|m| m.label.as_str()));
    }
    labels.sort_unstable();
    labels.dedup();
    let steps = STEPS_HELD.unsigned_abs() * STEP_BYTES;
    let series = labels.len() as u64 * LABEL_BYTES + steps + minutes * MINUTE_BYTES;
    let sockets = config.inputs.iter().filter(|i| matches!(i.stream, Some(Kind::Syslog(_)))).count();
    // What is detected may turn out to name exits.
    let names_exits = |input: &Input| {
        input.log_format.is_none() || input.labels.iter().any(|label| label == EXIT || label == PROVIDER)
    };
    let pairs = if config.inputs.is_empty() || config.inputs.iter().any(names_exits) {
        PAIRS * PAIR_BYTES
    } else {
        0
    };
    pairs
        + SERIES_MAX * series
        + (SERIES_MAX + OUTBOX_MAX) * ALERT_BYTES
        + HELD_MAX as u64 * HELD_BYTES
        + IN_FLIGHT
        + sockets as u64 * RING as u64
}
