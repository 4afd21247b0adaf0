//! Files → tables: syntax errors with their places, kinds and names, nothing said twice.

use super::problem::{Doubt, Log, Source, Spot};
use super::reader::{Section, in_order, shown};
use super::values::{did_you_mean, type_of};
use crate::receiver::ReceiverKind;
use gatewatch_rules::detectors::DETECTORS;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `[input.file.edge]`, `[rule.ratio.errors]`, `[notify.slack.ops]`.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub kind: &'static str,
    pub name: &'a str,
    pub section: Section<'a>,
}

/// All files together.
#[derive(Clone, Debug, Default)]
pub(super) struct Document<'a> {
    pub agent: Option<Section<'a>>,
    pub regions: Option<Section<'a>>,
    pub pools: Option<Section<'a>>,
    pub heartbeat: Option<Section<'a>>,
    pub inputs: Vec<Entry<'a>>,
    pub rules: Vec<Entry<'a>>,
    pub receivers: Vec<Entry<'a>>,
    /// These have no kind.
    pub maintenance: Vec<Entry<'a>>,
}

/// A table of kinds of tables of names.
struct Family {
    word: &'static str,
    /// A member of it, in messages.
    one: &'static str,
    /// What a kind is called in messages.
    called: &'static str,
    kinds: fn() -> Vec<&'static str>,
}

const INPUT: Family = Family {
    word: "input",
    one: "an input",
    called: "kind of input",
    kinds: || vec!["file", "syslog", "journald"],
};
const RULE: Family = Family {
    word: "rule",
    one: "a rule",
    called: "detector",
    kinds: || DETECTORS.iter().map(|detector| detector.name).collect(),
};
const NOTIFY: Family =
    Family { word: "notify", one: "a receiver", called: "notifier", kinds: || ReceiverKind::NAMES.to_vec() };
const MAINTENANCE: Family = Family { word: "maintenance", one: "a window", called: "", kinds: Vec::new };
const TABLES: [&str; 8] =
    ["agent", "regions", "pools", "input", "rule", "notify", "maintenance", "heartbeat"];

/// A syntax tree, as far as the text goes, and what was wrong with the rest.
pub(super) type Tree<'a> = (Spanned<DeTable<'a>>, Vec<toml::de::Error>);

/// Parses one file.
pub(super) fn parse(source: &Source) -> Tree<'_> {
    DeTable::parse_recoverable(&source.text)
}

/// Puts the files together. `first` is the index of the first tree among the sources.
pub(super) fn collect<'a>(trees: &'a [Tree<'a>], first: usize, log: &mut Log<'_>) -> Document<'a> {
    for (i, (_, errors)) in trees.iter().enumerate() {
        report_syntax(first + i, errors, log);
    }
    let mut document = Document::default();
    for (i, (tree, _)) in trees.iter().enumerate() {
        add(&mut document, first + i, tree.get_ref(), log);
    }
    document
}

fn add<'a>(document: &mut Document<'a>, file: usize, tree: &'a DeTable<'a>, log: &mut Log<'_>) {
    for (key, value) in in_order(tree) {
        let word: &str = key.get_ref();
        let spot = Spot::new(file, key.span());
        let DeValue::Table(table) = value.get_ref() else {
            if TABLES.contains(&word) {
                log.error(spot, format!("`{word}` must be a table"), type_of(value.get_ref()));
            } else {
                unknown_table(word, spot, log);
            }
            continue;
        };
        match word {
            "agent" => once(&mut document.agent, word, file, (key.span(), value.span()), table, log),
            "regions" => once(&mut document.regions, word, file, (key.span(), value.span()), table, log),
            "pools" => once(&mut document.pools, word, file, (key.span(), value.span()), table, log),
            "heartbeat" => once(&mut document.heartbeat, word, file, (key.span(), value.span()), table, log),
            "input" => family(&INPUT, file, table, &mut document.inputs, log),
            "rule" => family(&RULE, file, table, &mut document.rules, log),
            "notify" => family(&NOTIFY, file, table, &mut document.receivers, log),
            "maintenance" => {
                for (key, value) in in_order(table) {
                    let title = format!("maintenance.{}", shown(key.get_ref()));
                    if let Some(section) = named(&MAINTENANCE, title, file, key, value, log) {
                        enter(
                            Entry { kind: "", name: key.get_ref(), section },
                            &mut document.maintenance,
                            log,
                        );
                    }
                }
            }
            _ => unknown_table(word, spot, log),
        }
    }
}

fn unknown_table(word: &str, spot: Spot, log: &mut Log<'_>) {
    let label = did_you_mean(word, &TABLES).unwrap_or_else(|| format!("known: {}", TABLES.join(", ")));
    log.error(spot, format!("unknown table or key `{}`", shown(word)), &label);
}

/// The header, where a table has one; else its key.
fn spot_of(file: usize, key: std::ops::Range<usize>, value: std::ops::Range<usize>, log: &Log<'_>) -> Spot {
    let text = log.sources.get(file).map_or("", |s| s.text.as_str());
    let header = text.get(value.clone()).is_some_and(|t| t.starts_with('['));
    Spot::new(file, if header { value } else { key })
}

fn once<'a>(
    place: &mut Option<Section<'a>>,
    word: &str,
    file: usize,
    spans: (std::ops::Range<usize>, std::ops::Range<usize>),
    table: &'a DeTable<'a>,
    log: &mut Log<'_>,
) {
    let spot = spot_of(file, spans.0, spans.1, log);
    match place {
        Some(first) => twice(word, spot, first.spot, log),
        None => *place = Some(Section { title: word.to_owned(), spot, table }),
    }
}

fn twice(title: &str, spot: Spot, first: Spot, log: &mut Log<'_>) {
    log.clash(spot, format!("[{title}] stands twice"), "put both together", first, "first at");
}

fn family<'a>(
    family: &Family,
    file: usize,
    table: &'a DeTable<'a>,
    entries: &mut Vec<Entry<'a>>,
    log: &mut Log<'_>,
) {
    let word = family.word;
    let kinds = (family.kinds)();
    for (key, value) in in_order(table) {
        let written: &str = key.get_ref();
        let spot = Spot::new(file, key.span());
        let known = kinds.iter().find(|kind| **kind == written);
        let (Some(kind), DeValue::Table(names)) = (known, value.get_ref()) else {
            let example = format!("tables are named like [{word}.{}.NAME]", kinds.first().unwrap_or(&"KIND"));
            if known.is_some() {
                log.error(spot, format!("`{word}.{written}` must be a table of tables"), &example);
                continue;
            }
            let label = did_you_mean(written, &kinds)
                .unwrap_or_else(|| format!("known: {}; {example}", kinds.join(", ")));
            log.error(spot, format!("unknown {} `{}`", family.called, shown(written)), &label);
            continue;
        };
        for (key, value) in in_order(names) {
            let title = format!("{word}.{kind}.{}", shown(key.get_ref()));
            if let Some(section) = named(family, title, file, key, value, log) {
                enter(Entry { kind, name: key.get_ref(), section }, entries, log);
            }
        }
    }
}

fn named<'a>(
    family: &Family,
    title: String,
    file: usize,
    key: &Spanned<toml::de::DeString<'a>>,
    value: &'a Spanned<DeValue<'a>>,
    log: &mut Log<'_>,
) -> Option<Section<'a>> {
    let name: &str = key.get_ref();
    let spot = Spot::new(file, key.span());
    let DeValue::Table(table) = value.get_ref() else {
        let (word, found) = (family.word, type_of(value.get_ref()));
        let kind = if (family.kinds)().is_empty() { "" } else { "KIND." };
        let label = format!("{found}; tables are named like [{word}.{kind}NAME]");
        log.error(spot, format!("`{title}` must be a table"), &label);
        return None;
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(plain) {
        let message = format!("`{}` cannot name {}", shown(name), family.one);
        log.error(spot, message, "letters, digits, `-`, `_` and `.`, at most 64");
        return None;
    }
    Some(Section { title, spot: spot_of(file, key.span(), value.span(), log), table })
}

/// Takes it in, unless its name is taken.
fn enter<'a>(entry: Entry<'a>, entries: &mut Vec<Entry<'a>>, log: &mut Log<'_>) {
    let spot = entry.section.spot;
    match entries.iter().find(|e| e.name == entry.name) {
        Some(first) if first.kind == entry.kind => twice(&entry.section.title, spot, first.section.spot, log),
        Some(first) => {
            let message = format!("the name `{}` stands for [{}] already", entry.name, first.section.title);
            log.clash(spot, message, "names are unique across kinds", first.section.spot, "there:");
        }
        None => entries.push(entry),
    }
}

/// One syntax error a line; none behind the first that leaves the structure open, since they follow from it.
fn report_syntax(file: usize, errors: &[toml::de::Error], log: &mut Log<'_>) {
    let sources = log.sources;
    let Some(source) = sources.get(file).filter(|_| !errors.is_empty()) else { return };
    let mut errors: Vec<_> = errors.iter().map(|e| (e.span().unwrap_or(0..0), e.message())).collect();
    errors.sort_by_key(|e| (e.0.start, e.0.end));
    let mut doubt = Doubt { file, lines: Vec::new(), from: None };
    for (span, message) in errors {
        let line = source.line_of(span.start).0;
        let open = ["missing comma", "unclosed", "unexpected"].iter().any(|w| message.starts_with(w));
        if !doubt.lines.contains(&line) {
            doubt.lines.push(line);
            let note = (message == "duplicate key").then(|| first_of_two(source, span.start)).flatten();
            // "expected literal string" and the like: the parser's words for what the sentence has said already.
            let message = message.split(", expected literal string").next().unwrap_or(message);
            log.syntax(
                Spot::new(file, span.clone()),
                format!("not TOML: {message}"),
                note.into_iter().collect(),
            );
        }
        if open {
            doubt.from = Some(span.start);
            break;
        }
    }
    log.doubts.push(doubt);
}

/// Where the header or key of this line stood before.
fn first_of_two(source: &Source, at: usize) -> Option<String> {
    let start_of = |at: usize| source.text.get(..at).and_then(|h| h.rfind('\n')).map_or(0, |i| i + 1);
    let key_of = |line: &str| -> String {
        let line = line.trim();
        let end = if line.starts_with('[') { line.rfind(']').map(|i| i + 1) } else { line.find('=') };
        line.get(..end.unwrap_or(line.len())).unwrap_or("").trim().to_owned()
    };
    let key = key_of(source.line_of(at).2);
    let mut end = start_of(at);
    let mut first = None;
    while end > 0 {
        let start = start_of(end - 1);
        let line = source.text.get(start..end).unwrap_or("");
        if key_of(line) == key {
            first = Some(start);
        }
        if line.trim_start().starts_with('[') && !key.starts_with('[') {
            break;
        }
        end = start;
    }
    first.map(|at| format!("first at {}", source.name_of(at)))
}
