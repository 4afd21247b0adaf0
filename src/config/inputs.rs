//! `[input.file.NAME]`, and what the tables of all kinds of inputs have in common.

use super::document::Entry;
use super::problem::{Log, Spot};
use super::reader::{Reader, inside};
use super::values::{self, Read, Refusal, is_label_name, type_of};
use super::{Input, Start, streams};
use crate::inputs::streams::Kind;
use crate::inputs::syslog::address::Listen;
use gatewatch_parsers::formats::{self, Format};
use toml::de::DeValue;

/// What stood in an earlier input, and must not stand twice.
#[derive(Default)]
struct Seen {
    paths: Vec<(String, Spot)>,
    sockets: Vec<(Listen, Spot)>,
}

/// The inputs; and whether any of them may name upstreams.
pub(super) fn inputs(entries: &[Entry<'_>], log: &mut Log<'_>) -> (Vec<Input>, bool) {
    let mut inputs = Vec::with_capacity(entries.len());
    let mut seen = Seen::default();
    let mut knows_upstream = entries.is_empty();
    for entry in entries {
        inputs.push(input(entry, &mut seen, &mut knows_upstream, log));
    }
    (inputs, knows_upstream)
}

fn input(entry: &Entry<'_>, seen: &mut Seen, knows_upstream: &mut bool, log: &mut Log<'_>) -> Input {
    let mut reader = Reader::new(&entry.section, None, log);
    let (mut paths_read, mut stream, mut start) = (Vec::new(), None, Start::default());
    match entry.kind {
        "syslog" => stream = Some(Kind::Syslog(streams::syslog(&mut reader, &mut seen.sockets))),
        "journald" => stream = Some(Kind::Journald(streams::journald(&mut reader))),
        _ => {
            paths_read = paths(&mut reader, &mut seen.paths);
            let starts = [("end", Start::End), ("beginning", Start::Beginning)];
            start = reader.value("start", |v| values::one_of(&starts, v)).unwrap_or_default();
        }
    }
    let paths = paths_read;
    let (log_format, compiled) = log_format(&mut reader);
    *knows_upstream |= compiled.as_ref().is_none_or(|format| format.knows_upstream());
    let mut labels = compiled.map_or(Vec::new(), |format| format.extra_labels().to_vec());
    labels.extend(paths.iter().flat_map(|p| path_labels(p).unwrap_or_default()).map(|l| l.0.to_owned()));
    let node = reader.value("node", values::text);
    let region = reader.value("region", values::text);
    let timezone = reader.value("timezone", values::zone);
    let gateway_statuses = reader.list("gateway_statuses", values::status).map(|list| {
        let mut list: Vec<_> = list.into_iter().map(|s| s.value).collect();
        list.sort_unstable();
        list.dedup();
        list
    });
    reader.finish();
    Input {
        name: entry.name.to_owned(),
        kind: entry.kind,
        paths,
        log_format,
        node,
        region,
        timezone,
        gateway_statuses,
        start,
        labels,
        stream,
    }
}

fn paths(reader: &mut Reader<'_, '_, '_>, seen: &mut Vec<(String, Spot)>) -> Vec<String> {
    let paths = reader.list("paths", path).unwrap_or_default();
    match reader.get("paths") {
        None => reader.lacks("paths", "like paths = [\"/var/log/nginx/*access.log\"]"),
        Some(written) if written.value.as_array().is_some_and(|a| a.is_empty()) => {
            reader.log.error(written.spot, "`paths` must name a file".to_owned(), "empty");
        }
        Some(_) => {}
    }
    for path in &paths {
        match seen.iter().find(|s| s.0 == path.value) {
            Some((_, first)) => {
                let place = reader.log.sources.get(first.file).map(|s| s.name_of(first.start));
                let message = format!("`{}` is read twice: its requests count twice", path.value);
                reader.log.warn(path.written, message, &format!("first at {}", place.unwrap_or_default()));
            }
            None => seen.push((path.value.clone(), path.written)),
        }
    }
    paths.into_iter().map(|p| p.value).collect()
}

/// The setting, and what it compiles to.
fn log_format(reader: &mut Reader<'_, '_, '_>) -> (Option<String>, Option<Box<dyn Format>>) {
    let Some(spec) = reader.read("log_format", values::text) else { return (None, None) };
    match formats::compile(&spec.value) {
        Ok(format) => (Some(spec.value), Some(format)),
        Err(e) => {
            let spot = inside(reader.log, spec.written, e.at);
            reader.log.error(spot, "`log_format` cannot be read".to_owned(), &e.message);
            (None, None)
        }
    }
}

/// A glob with `<label>` for path parts that become labels.
fn path(value: &DeValue<'_>) -> Read<String> {
    const WANTS: &str = "a list of paths";
    let path = values::text(value).map_err(|r| Refusal { wants: WANTS.to_owned(), ..r })?;
    if value.as_str().is_none() {
        return Err(Refusal::new(WANTS, type_of(value)));
    }
    let labels = path_labels(&path)?;
    for (i, (label, at)) in labels.iter().enumerate() {
        if labels.iter().take(i).any(|earlier| earlier.0 == *label) {
            let label = format!("<{label}> stands twice in one path");
            return Err(Refusal { wants: WANTS.to_owned(), label, at: Some(*at) });
        }
    }
    match glob::Pattern::new(&path_glob(&path)) {
        Ok(_) => Ok(path),
        Err(e) => Err(Refusal::new(WANTS, format!("no glob: {}", e.msg))),
    }
}

/// The `<label>`s of a path, and where they stand.
fn path_labels(path: &str) -> Read<Vec<(&str, usize)>> {
    let refusal = |label: &str, at| Refusal {
        wants: "a list of paths".to_owned(),
        label: label.to_owned(),
        at: Some(at),
    };
    let mut labels = Vec::new();
    let mut from = 0;
    while let Some(open) = path.get(from..).and_then(|rest| rest.find('<')).map(|i| from + i) {
        let rest = path.get(open + 1..).unwrap_or("");
        let Some(length) = rest.find('>') else { return Err(refusal("`<` without `>`", open)) };
        let name = rest.get(..length).unwrap_or("");
        if !is_label_name(name) {
            return Err(refusal("a label's name is letters, digits and _, no digit first", open));
        }
        labels.push((name, open));
        from = open + 1 + length + 1;
    }
    Ok(labels)
}

/// The path as a plain glob: `<label>` matches any one part.
#[must_use]
pub fn path_glob(path: &str) -> String {
    let mut glob = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((_, behind)) = after.split_once('>') else { break };
        glob.push_str(before);
        glob.push('*');
        rest = behind;
    }
    glob.push_str(rest);
    glob
}
