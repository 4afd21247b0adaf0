//! parsers/FORMATS.md: every format, its fields and what shows a cause. Nothing in it is asserted by hand: a field's
//! meaning is seen by changing it and reading the line again, and each line must give the very cause that stands beside
//! it. `UPDATE_GOLDEN=1` writes the page as it would be now.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test outside the crate reads its files and fails aloud"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use gatewatch_parsers::formats::{self, FORMATS, Format, Kind};
use gatewatch_parsers::{Context, Outcome, Parsed, Record, Zone};

/// `> setting | what the line shows | what comes of it`, and the line.
const SAMPLES: &str = include_str!("formats_doc/samples.txt");
const HEAD: &str = include_str!("formats_doc/head.md");

/// The latest of the samples: dates without a year take the nearest.
fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_360_700_000)
}

struct Sample {
    setting: &'static str,
    shows: &'static str,
    want: &'static str,
    line: &'static str,
}

fn samples() -> Vec<Sample> {
    let mut lines = SAMPLES.lines();
    let mut samples = Vec::new();
    while let Some(head) = lines.next() {
        let parts: Vec<_> = head.strip_prefix("> ").unwrap().split(" | ").collect();
        let [setting, shows, want] = parts[..] else { panic!("{head}") };
        samples.push(Sample { setting, shows, want, line: lines.next().unwrap() });
    }
    samples
}

fn format(setting: &str) -> Box<dyn Format> {
    formats::compile(setting).unwrap_or_else(|e| panic!("{setting}: {e}"))
}

/// What a line comes to, in the words of reports.
fn verdict(format: &dyn Format, line: &[u8]) -> String {
    match format.parse(line, &mut context()) {
        Ok(Parsed::Record(record)) => outcome(&record),
        Ok(Parsed::Diagnosis(diagnosis)) => format!("diagnosis {}", diagnosis.cause.reason.name()),
        Ok(Parsed::Event(_)) => "event".to_owned(),
        Ok(Parsed::Other) => "other".to_owned(),
        Err(e) => format!("malformed {}", e.field),
    }
}

fn outcome(record: &Record<'_>) -> String {
    let failed = record.attempts.iter().filter(|attempt| attempt.failure.is_some()).count();
    match record.outcome {
        Outcome::Fine if failed > 0 => "masked".to_owned(),
        Outcome::Fine => "no error".to_owned(),
        Outcome::GatewayError(cause) => format!("{} {}", cause.origin.name(), cause.reason.name()),
        Outcome::Aborted => "aborted".to_owned(),
        Outcome::Abandoned => "abandoned".to_owned(),
    }
}

/// What gatewatch takes from a line, by its own names.
fn taken(format: &dyn Format, line: &[u8]) -> Option<BTreeMap<&'static str, String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut context = context();
    match format.parse(line, &mut context) {
        Ok(Parsed::Record(record)) => Some(BTreeMap::from([
            ("time", record.end.to_string()),
            ("status", format!("{:?}", record.status)),
            ("request time", format!("{:?}", record.request_time)),
            ("method", text(record.method)),
            ("path", text(record.path)),
            ("node", text(record.node)),
            ("region", text(record.region)),
            ("pool", text(record.pool)),
            ("site", text(record.site)),
            ("upstream", record.attempts.iter().map(|a| text(a.upstream) + " " + &text(a.pool)).collect()),
            ("reason", outcome(&record)),
            ("labels", (0..8).map(|i| text(record.extra.get(i)) + " ").collect()),
        ])),
        Ok(Parsed::Diagnosis(diagnosis)) => {
            // Its parts, without the places in the line that a change of length would move.
            let mut parts = BTreeMap::from([("time", diagnosis.at.to_string())]);
            parts.insert("reason", diagnosis.cause.reason.name().to_owned());
            parts.insert("upstream", text(diagnosis.upstream));
            parts.insert("site", text(diagnosis.site));
            Some(parts)
        }
        _ => None,
    }
}

/// A value with one byte of it exchanged, or all of it missing.
fn variants(value: &[u8]) -> Vec<Vec<u8>> {
    let mut variants = vec![b"-".to_vec(), b"0".to_vec(), b"502".to_vec(), b"200".to_vec(), b"7".to_vec()];
    for at in 0..value.len().min(48) {
        let others: &[u8] = match value[at] {
            b'0'..=b'9' => b"123",
            b'a'..=b'z' | b'A'..=b'Z' => b"xSsCHP",
            b'-' => b"SH",
            _ => continue,
        };
        variants.extend(others.iter().map(|other| {
            let mut variant = value.to_vec();
            variant[at] = *other;
            variant
        }));
    }
    variants
}

/// Each field of a line with what changes when it does.
fn meanings(format: &dyn Format, line: &[u8]) -> Vec<(String, BTreeSet<&'static str>)> {
    let Some(before) = taken(format, line) else { return Vec::new() };
    let mut found = Vec::new();
    for field in format.explain(line, &mut context()) {
        let mut meaning = BTreeSet::new();
        let (start, end) = (field.at, field.at + field.value.len());
        for variant in variants(field.value) {
            let changed = [line.get(..start).unwrap(), &variant, line.get(end..).unwrap()].concat();
            let Some(after) = taken(format, &changed) else { continue };
            let differs = |(name, value): (&&'static str, &String)| (after[*name] != *value).then_some(*name);
            let now: BTreeSet<_> = before.iter().filter_map(differs).collect();
            // A change of everything is another shape of the line, and no field's meaning.
            if now.len() <= 3 {
                meaning.extend(now);
            }
        }
        found.push((field.name.clone(), meaning));
    }
    found
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\t', " ")
}

fn section(page: &mut String, kind: &Kind, samples: &[Sample]) {
    let _ = writeln!(page, "\n## {}\n\n{}\n\nExample: `{}`\n", kind.name, kind.summary, cell(kind.example));
    let built_in: Vec<_> = (kind.built_in)().iter().map(|f| format!("`{}`", shortened(f.name()))).collect();
    if !built_in.is_empty() {
        let _ = writeln!(page, "Detected: {}\n", built_in.join(", "));
    }
    if kind.name == "json" {
        known_names(page);
    }
    let of_kind = |setting: &str| setting.split(':').next() == Some(kind.name);
    let own: Vec<_> = samples.iter().filter(|sample| of_kind(sample.setting)).collect();
    if own.is_empty() {
        return;
    }
    let mut fields: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    let mut order = Vec::new();
    for sample in &own {
        for (name, meaning) in meanings(&*format(sample.setting), sample.line.as_bytes()) {
            if !fields.contains_key(&name) {
                order.push(name.clone());
            }
            fields.entry(name).or_default().extend(meaning);
        }
    }
    let used: Vec<_> = order.iter().filter(|name| !fields[*name].is_empty()).collect();
    if !used.is_empty() {
        page.push_str("| field | what is taken from it |\n|---|---|\n");
        for name in used {
            let meaning: Vec<_> = fields[name].iter().copied().collect();
            let _ = writeln!(page, "| `{}` | {} |", cell(name), meaning.join(", "));
        }
        page.push('\n');
    }
    page.push_str("| evidence | a line that has it | comes to |\n|---|---|---|\n");
    for sample in own {
        let line = cell(&sample.line.replace('`', "'"));
        let setting = match sample.setting {
            setting if setting == kind.name => String::new(),
            setting => format!(" (`{}`)", cell(setting)),
        };
        let _ = writeln!(page, "| {}{setting} | `{line}` | {} |", cell(sample.shows), sample.want);
    }
}

/// The names that every JSON line is searched for, the best of each first.
fn known_names(page: &mut String) {
    let mut order: Vec<&str> = Vec::new();
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, gives) in formats::json::known_names() {
        if !order.contains(&gives) {
            order.push(gives);
        }
        names.entry(gives).or_default().push(format!("`{name}`"));
    }
    page.push_str("| gives | names that are known without a map |\n|---|---|\n");
    for gives in order {
        let _ = writeln!(page, "| {gives} | {} |", names[gives].join(" "));
    }
    page.push('\n');
}

/// A built-in format is known by its name; one that is spelt out is cut.
fn shortened(name: &str) -> String {
    let short: String = name.chars().take(60).collect();
    if short.len() < name.len() { cell(&short) + "…" } else { cell(&short) }
}

#[test]
fn every_line_comes_to_what_the_page_says() {
    let mut wrong = String::new();
    for sample in samples() {
        let got = verdict(&*format(sample.setting), sample.line.as_bytes());
        if got != sample.want {
            let _ = writeln!(wrong, "{} | {} | {got}, not {}", sample.setting, sample.shows, sample.want);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_kind_but_patterns_has_a_line() {
    let samples = samples();
    for kind in FORMATS.iter().filter(|kind| !["pattern", "regex", "nginx-stream"].contains(&kind.name)) {
        let own = |sample: &Sample| sample.setting.split(':').next() == Some(kind.name);
        assert!(samples.iter().any(own), "{} has no line", kind.name);
    }
}

#[test]
fn the_page_is_what_the_formats_do() {
    let mut page = HEAD.to_owned();
    let samples = samples();
    FORMATS.iter().for_each(|kind| section(&mut page, kind, &samples));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("FORMATS.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(held == page, "parsers/FORMATS.md is not what the formats do; UPDATE_GOLDEN=1 writes it anew");
}
