//! `[rule.DETECTOR.NAME]`, and the presets below them: the same name overrides key by key.

use super::document::Entry;
use super::judge;
use super::problem::{Log, Spot};
use super::reader::{Reader, Section, in_order, refuse, shown};
use super::values::{self, Read, Refusal, is_label_name, type_of};
use gatewatch_parsers::{Millis, formats};
use gatewatch_rules::detectors::{self, Above as Threshold, DETECTORS, Detector};
use gatewatch_rules::matcher::Matcher;
use gatewatch_rules::rule::{GROUP_BY_MAX, Rule, Severity};
use toml::de::{DeTable, DeValue};

/// What a rule is checked against.
pub(super) struct Surroundings<'c> {
    pub step: Millis,
    /// Receivers' names, those that were refused included.
    pub receivers: Vec<&'c str>,
    /// Labels that records may bear.
    pub labels: Vec<String>,
    /// Some lines' format is found out only when they are read.
    pub is_detected: bool,
    /// Index of the presets among the sources.
    pub presets: usize,
}

/// Effective rules, presets first; and the presets that were dropped.
pub(super) fn rules(
    presets: &[Entry<'_>],
    written: &[Entry<'_>],
    around: &Surroundings<'_>,
    log: &mut Log<'_>,
) -> (Vec<Rule>, Vec<(String, String)>) {
    let mut rules = Vec::new();
    let mut dropped = Vec::new();
    for preset in presets {
        let own = written.iter().find(|e| e.name == preset.name && e.kind == preset.kind);
        let (section, base) =
            own.map_or((&preset.section, None), |own| (&own.section, Some(&preset.section)));
        match rule(own.unwrap_or(preset), section, base, around, log) {
            Some(rule) => rules.push(rule),
            None => dropped.push((preset.kind.to_owned(), preset.name.to_owned())),
        }
    }
    for entry in written {
        match presets.iter().find(|p| p.name == entry.name) {
            Some(preset) if preset.kind == entry.kind => {}
            Some(preset) => {
                let message =
                    format!("the name `{}` is that of the preset [{}]", entry.name, preset.section.title);
                let label = "choose another, or say presets = false in [agent]";
                log.error(entry.section.spot, message, label);
            }
            None => rules.extend(rule(entry, &entry.section, None, around, log)),
        }
    }
    (rules, dropped)
}

/// `None`: it says `enabled = false`.
fn rule<'a>(
    entry: &Entry<'a>,
    section: &Section<'a>,
    base: Option<&Section<'a>>,
    around: &Surroundings<'_>,
    log: &mut Log<'_>,
) -> Option<Rule> {
    let mut reader = Reader::new(section, base, log);
    let enabled = reader.value("enabled", values::boolean).unwrap_or(true);
    let detector = detectors::find(entry.kind)?;
    let above = above(&mut reader, detector);
    let like = if detector.is_count { "like above = 20" } else { "like above = \"5%\"" };
    let needs =
        [("above", like), ("slo", "like slo = \"99.9%\""), ("longer_than", "like longer_than = \"2s\"")];
    let mut judged = enabled && above.is_some();
    for (key, like) in needs.into_iter().filter(|(key, _)| detector.keys.contains(key)) {
        if enabled && reader.get(key).is_none() && (key != "above" || above.is_none()) {
            reader.lacks(key, like);
            judged = false;
        }
    }
    let mut rule = Rule::new(entry.name, entry.kind, above.unwrap_or_default());
    what_counts(&mut reader, &mut rule, detector, around);
    time_spans(&mut reader, &mut rule, detector);
    thresholds(&mut reader, &mut rule, detector);
    normal(&mut reader, &mut rule, detector);
    told(&mut reader, &mut rule, around);
    foreign(&mut reader, detector);
    if judged {
        judge::rule(&mut reader, &rule, around.step);
    }
    reader.finish();
    enabled.then_some(rule)
}

type Above = Vec<(Severity, f64)>;

/// One value, or one a severity; the mildest first. `None`: lacks, or refused.
fn above(reader: &mut Reader<'_, '_, '_>, detector: &Detector) -> Option<Above> {
    let read = if detector.is_count { values::quantity } else { below_all };
    let severity = reader.value("severity", values::severity);
    if detector.above == Threshold::None {
        // Of burn_rate, both pairs of windows are those that page.
        let default = if detector.name == "burn_rate" { Severity::Critical } else { Severity::Warning };
        return Some(vec![(severity.unwrap_or(default), 0.0)]);
    }
    let Some(written) = reader.get("above") else {
        return match (detector.above, detector.name) {
            (Threshold::Floor, _) => Some(vec![(severity.unwrap_or_default(), 0.0)]),
            (_, "stall") => Some(vec![(severity.unwrap_or_default(), 0.5)]),
            _ => None,
        };
    };
    let DeValue::Table(table) = written.value else {
        let above = reader.value("above", read)?;
        return Some(vec![(severity.unwrap_or_default(), above)]);
    };
    if let Some(spot) = reader.own("severity") {
        reader.log.warn(spot, "`severity` has no effect".to_owned(), "`above` names its own severities");
    }
    let list = by_severity(table, written.spot, read, reader.log)?;
    match list.as_slice() {
        [] => {
            let label = "like { warning = \"5%\", critical = \"20%\" }";
            reader.log.error(written.spot, "`above` names no severity".to_owned(), label);
            None
        }
        [(_, warning), (_, critical)] if warning >= critical => {
            let message = "`above`: critical must be above warning".to_owned();
            reader.log.error(written.spot, message, "warning could never be told");
            None
        }
        _ => Some(list),
    }
}

/// `{ warning = …, critical = … }`, each refused by itself.
fn by_severity(
    table: &DeTable<'_>,
    written: Spot,
    read: impl Fn(&DeValue<'_>) -> Read<f64>,
    log: &mut Log<'_>,
) -> Option<Above> {
    let mut list = Vec::new();
    let mut whole = true;
    for (key, value) in in_order(table) {
        let name: &str = key.get_ref();
        let severity = values::severity(&DeValue::String(name.into()));
        if let Err(refusal) = &severity {
            let hint = if refusal.label.is_empty() { "known: warning, critical" } else { &refusal.label };
            let spot = Spot::new(written.file, key.span());
            log.error(spot, format!("unknown severity `{}` in `above`", shown(name)), hint);
        }
        let above = read(value.get_ref());
        if let Err(refusal) = &above {
            refuse(log, &format!("above.{name}"), Spot::new(written.file, value.span()), refusal);
        }
        match (severity, above) {
            (Ok(severity), Ok(above)) => list.push((severity, above)),
            _ => whole = false,
        }
    }
    list.sort_by_key(|above: &(Severity, f64)| above.0);
    whole.then_some(list)
}

/// A ratio that another can be above.
fn below_all(value: &DeValue<'_>) -> Read<f64> {
    match values::ratio(value)? {
        all if all >= 1.0 => Err(Refusal::new("a percentage", "no ratio is above 100 %")),
        ratio => Ok(ratio),
    }
}

/// The value of a key that only some detectors read.
fn some<T>(
    reader: &mut Reader<'_, '_, '_>,
    detector: &Detector,
    key: &'static str,
    read: impl FnOnce(&DeValue<'_>) -> Read<T>,
) -> Option<T> {
    detector.keys.contains(&key).then(|| reader.value(key, read)).flatten()
}

/// Keys that other detectors read, and this one does not.
fn foreign(reader: &mut Reader<'_, '_, '_>, detector: &Detector) {
    let written: Vec<&str> = reader.section.table.iter().map(|(key, _)| -> &str { key.get_ref() }).collect();
    let all = DETECTORS.iter().flat_map(|d| d.keys).filter(|key| !detector.keys.contains(key));
    let mut foreign: Vec<&'static str> = all.copied().filter(|key| written.contains(key)).collect();
    foreign.sort_unstable();
    foreign.dedup();
    for key in foreign {
        let Some(written) = reader.get(key) else { continue };
        let kinds: Vec<&str> = DETECTORS.iter().filter(|d| d.keys.contains(&key)).map(|d| d.name).collect();
        let message = format!("`{key}` belongs to rules of kind {}", kinds.join(", "));
        reader.log.error(written.key, message, &format!("{}: {}", detector.name, detector.summary));
    }
}

fn what_counts(
    reader: &mut Reader<'_, '_, '_>,
    rule: &mut Rule,
    detector: &Detector,
    around: &Surroundings<'_>,
) {
    let groups = if detector.keys.contains(&"group_by") {
        reader.list("group_by", values::label_name).unwrap_or_default()
    } else {
        Vec::new()
    };
    for (i, group) in groups.iter().enumerate() {
        if i == GROUP_BY_MAX {
            let message = format!("`group_by` must be at most {GROUP_BY_MAX} labels");
            reader.log.error(group.written, message, &format!("it has {}", groups.len()));
        }
        if groups.iter().take(i).any(|earlier| earlier.value == group.value) {
            reader.log.error(group.written, format!("`group_by` has `{}` twice", group.value), "");
        } else {
            known_label(&group.value, group.written, around, reader.log);
        }
    }
    rule.group_by = groups.into_iter().map(|g| g.value).collect();
    let matchers = reader.list("match", matcher).unwrap_or_default();
    for matcher in matchers.iter().filter(|_| detector.keys.contains(&"group_by")) {
        known_label(&matcher.value.label, matcher.written, around, reader.log);
    }
    rule.matchers = matchers.into_iter().map(|m| m.value).collect();
    rule.counts = some(reader, detector, "counts", values::counts).unwrap_or(rule.counts);
    if !detector.keys.contains(&"status") {
        return;
    }
    let status = reader.list("status", values::status).unwrap_or_default();
    rule.status = status.into_iter().map(|s| s.value).collect();
    rule.status.sort_unstable();
    rule.status.dedup();
}

/// A rule of one's own by a label that nothing gives is a mistake; a preset is just silent.
pub(super) fn known_label(label: &str, spot: Spot, around: &Surroundings<'_>, log: &mut Log<'_>) {
    if spot.file == around.presets || around.labels.iter().any(|known| known == label) {
        return;
    }
    let detected = if around.is_detected { formats::detected_labels() } else { Vec::new() };
    if detected.iter().any(|known| known == label) {
        return;
    }
    let known: Vec<_> = around.labels.iter().chain(&detected).map(String::as_str).collect();
    let hint = match label {
        "region" => "set it in [agent], [regions] or an input".to_owned(),
        "upstream" => "no log_format of the inputs has it".to_owned(),
        _ => values::did_you_mean(label, &known).unwrap_or_else(|| format!("known: {}", known.join(", "))),
    };
    log.warn(spot, format!("no input gives the label `{label}`: it is always empty"), &hint);
}

pub(super) fn matcher(value: &DeValue<'_>) -> Read<Matcher> {
    const WANTS: &str = "a list of matchers";
    let Some(text) = value.as_str() else { return Err(Refusal::new(WANTS, type_of(value))) };
    Matcher::parse(text).map_err(|e| Refusal { wants: WANTS.to_owned(), label: e.message, at: Some(e.at) })
}

fn time_spans(reader: &mut Reader<'_, '_, '_>, rule: &mut Rule, detector: &Detector) {
    rule.stretch = some(reader, detector, "stretch", values::duration_or_off).flatten();
    rule.window = some(reader, detector, "window", values::duration).unwrap_or(rule.window);
    rule.longer_than = some(reader, detector, "longer_than", values::duration);
    for (key, length) in [
        ("for", &mut rule.for_),
        ("keep_firing_for", &mut rule.keep_firing_for),
        ("stale_after", &mut rule.stale_after),
        ("repeat_interval", &mut rule.repeat_interval),
    ] {
        *length = reader.value(key, values::duration).unwrap_or(*length);
    }
}

fn thresholds(reader: &mut Reader<'_, '_, '_>, rule: &mut Rule, detector: &Detector) {
    let any = values::count_up_to(1_000_000_000_000);
    for (key, least) in [("min_requests", &mut rule.min_requests), ("min_errors", &mut rule.min_errors)] {
        *least = some(reader, detector, key, &any).map_or(*least, i64::unsigned_abs);
    }
    rule.confidence = some(reader, detector, "confidence", values::confidence).flatten();
    let bad_steps = some(reader, detector, "min_bad_steps", values::count_up_to(1_000_000));
    rule.min_bad_steps = bad_steps.and_then(|n| u32::try_from(n).ok()).unwrap_or(rule.min_bad_steps);
    rule.blip = some(reader, detector, "blip", values::duration_or_off).flatten();
    rule.times_rest = some(reader, detector, "times_rest", values::quantity).unwrap_or(rule.times_rest);
    let level = if detector.is_count { values::quantity } else { values::ratio };
    rule.recover_below = some(reader, detector, "recover_below", level);
}

/// What is normal for a group, and how far beyond it is bad.
fn normal(reader: &mut Reader<'_, '_, '_>, rule: &mut Rule, detector: &Detector) {
    if let Some(slo) = some(reader, detector, "slo", values::ratio) {
        rule.set_slo(slo);
    }
    rule.baseline = some(reader, detector, "baseline", values::duration_or_off).unwrap_or(rule.baseline);
    rule.alpha = some(reader, detector, "alpha", values::quantity).unwrap_or(rule.alpha);
    rule.times = some(reader, detector, "times", values::quantity).unwrap_or(rule.times);
    rule.ceiling = some(reader, detector, "ceiling", values::share_or_off).unwrap_or(rule.ceiling);
    if rule.baseline.is_some() || !detector.keys.contains(&"baseline") {
        return;
    }
    for key in ["alpha", "times", "ceiling"].into_iter().filter(|key| detector.keys.contains(key)) {
        if let Some(spot) = reader.own(key) {
            reader.log.warn(
                spot,
                format!("`{key}` has no effect"),
                "it needs a baseline, like baseline = \"30m\"",
            );
        }
    }
}

fn told(reader: &mut Reader<'_, '_, '_>, rule: &mut Rule, around: &Surroundings<'_>) {
    let notify = reader.list("notify", values::text);
    if let Some(written) = reader.get("notify").filter(|w| w.value.as_array().is_some_and(|a| a.is_empty())) {
        let label = "leave it out for every receiver; enabled = false turns the rule off";
        reader.log.error(written.spot, "`notify` must name a receiver".to_owned(), label);
    }
    for receiver in notify.iter().flatten() {
        if !around.receivers.contains(&receiver.value.as_str()) {
            let label = values::did_you_mean(&receiver.value, &around.receivers).unwrap_or_else(|| {
                if around.receivers.is_empty() {
                    "there is no [notify.…] table".to_owned()
                } else {
                    format!("known: {}", around.receivers.join(", "))
                }
            });
            reader.log.missing(receiver.written, format!("no receiver `{}`", shown(&receiver.value)), &label);
        }
    }
    rule.notify = notify.unwrap_or_default().into_iter().map(|n| n.value).collect();
    rule.mutes =
        reader.list("mutes", values::text).unwrap_or_default().into_iter().map(|m| m.value).collect();
    rule.labels = labels(reader, &rule.group_by);
    rule.runbook = reader.value("runbook", values::text);
}

fn labels(reader: &mut Reader<'_, '_, '_>, group_by: &[String]) -> Vec<(String, String)> {
    let Some(written) = reader.get("labels") else { return Vec::new() };
    let DeValue::Table(table) = written.value else {
        let label = format!("{}; like {{ team = \"edge\" }}", type_of(written.value));
        refuse(reader.log, "labels", written.spot, &Refusal::new("a table", label));
        return Vec::new();
    };
    let mut labels = Vec::new();
    for (key, value) in in_order(table) {
        let name: &str = key.get_ref();
        let spot = Spot::new(written.spot.file, key.span());
        if !is_label_name(name) {
            let label = "letters, digits and _, no digit first";
            reader.log.error(spot, format!("`{}` cannot name a label", shown(name)), label);
        } else if matches!(name, "alertname" | "severity") || group_by.iter().any(|g| g == name) {
            reader.log.error(spot, format!("the label `{name}` is taken"), "every alert has it anyway");
        }
        match values::text(value.get_ref()) {
            Ok(text) => labels.push((name.to_owned(), text)),
            Err(refusal) => {
                let spot = Spot::new(written.spot.file, value.span());
                refuse(reader.log, &format!("labels.{name}"), spot, &refusal);
            }
        }
    }
    labels
}
