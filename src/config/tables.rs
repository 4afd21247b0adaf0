//! `[regions]`, its file, and `[pools]`: what a name or an address belongs to.

use super::problem::{Log, Source, Spot};
use super::reader::{Reader, Section, in_order, shown};
use super::secrets::{find, folder};
use super::values::{self, Refusal};
use super::{Countries, Outside};
use gatewatch_rules::table::{Network, NotANetwork};
use std::ops::Range;
use std::path::PathBuf;

/// Rows of a `regions_file` at most: the rest belongs into a MaxMind file.
const ROWS_MAX: usize = 200_000;
/// What the first column is called in a header.
const KEYS: [&str; 9] = ["network", "cidr", "prefix", "subnet", "address", "ip", "node", "name", "host"];

/// Key → word of a table, as they stand.
pub(super) fn words(section: Option<&Section<'_>>, of: &str, log: &mut Log<'_>) -> Vec<(String, String)> {
    let Some(section) = section else { return Vec::new() };
    let mut words: Vec<(String, String)> = Vec::new();
    for (key, value) in in_order(section.table) {
        let name: &str = key.get_ref();
        if let Err(e) = Network::parse(name) {
            let (message, label) = no_network(name, &e);
            log.error(Spot::new(section.spot.file, key.span()), message, &label);
        }
        match values::text(value.get_ref()) {
            Ok(word) => words.push((name.to_owned(), word)),
            Err(refusal) => {
                let spot = Spot::new(section.spot.file, value.span());
                let nested = value.get_ref().is_table();
                let label = if nested { "a table; put names with dots into quotes" } else { &refusal.label };
                log.error(spot, format!("the {of} of `{}` must be a string", shown(name)), label);
            }
        }
    }
    shadowed(section, &words, of, log);
    words
}

fn no_network(key: &str, error: &NotANetwork) -> (String, String) {
    let label = match error {
        NotANetwork::Length => "the length is up to 32 for IPv4, up to 128 for IPv6".to_owned(),
        NotANetwork::HostBits(network) => format!("the network is {network}"),
    };
    (format!("`{}` is no network", shown(key)), label)
}

/// Whatever stands behind a bare `*` is never reached, but for networks, which go before globs.
fn shadowed(section: &Section<'_>, words: &[(String, String)], of: &str, log: &mut Log<'_>) {
    let Some(all) = words.iter().position(|r| r.0 == "*") else { return };
    let what = if of == "region" { "node" } else { "upstream" };
    for (key, _) in in_order(section.table).into_iter().skip(all + 1) {
        if matches!(Network::parse(key.get_ref()), Ok(Some(_))) {
            continue;
        }
        let spot = Spot::new(section.spot.file, key.span());
        let message = format!("`{}` is never reached", shown(key.get_ref()));
        log.warn(spot, message, &format!("`*` above it matches every {what}"));
    }
}

/// `regions_file`: where it is, and its rows. All its mistakes are said with their places in it.
pub(super) fn regions_file(
    reader: &mut Reader<'_, '_, '_>,
    outside: &Outside<'_>,
) -> Option<(PathBuf, Vec<(String, String)>)> {
    let beside = folder(reader.log, reader.section.spot);
    let found = reader.read("regions_file", |value| {
        let path = values::text(value)?;
        find(&path, &beside, outside).map_err(|e| Refusal::new("a file that can be read", e.to_string()))
    })?;
    let (path, text) = found.value;
    let source = Source { name: path.display().to_string(), text };
    Some((path, rows(&source, found.written, reader.log)))
}

/// `regions_mmdb`: a relative path stands beside the configuration.
pub(super) fn countries(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<Countries> {
    let beside = folder(reader.log, reader.section.spot);
    reader.value("regions_mmdb", |value| {
        let path = beside.join(values::text(value)?);
        let known = (outside.countries)(&path);
        let known = known.map_err(|e| Refusal::new("a MaxMind file of countries", e.to_string()))?;
        Ok(Countries { path, known })
    })
}

/// The columns that count, and whether the first row is their header.
fn columns(first: &[(String, Range<usize>)]) -> (usize, usize, bool) {
    let place = |names: &[&str]| {
        first.iter().position(|(cell, _)| names.iter().any(|name| cell.eq_ignore_ascii_case(name)))
    };
    match (place(&KEYS), place(&["region"])) {
        (Some(key), Some(region)) => (key, region, true),
        _ => (0, 1, false),
    }
}

fn rows(source: &Source, written: Spot, log: &mut Log<'_>) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut order = None;
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let at = start..start + line.trim_end().len();
        start += line.len();
        // A byte order mark is what Excel writes first.
        let line = line.trim_end().trim_start_matches('\u{feff}');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let cells = match cells(line, at.end - line.len()) {
            Ok(cells) => cells,
            Err(place) => {
                log.error_in(written, source, place, "a quote is left open".to_owned(), "");
                continue;
            }
        };
        let (key, region, is_header) = match order {
            None => columns(&cells),
            Some((key, region)) => (key, region, false),
        };
        order = Some((key, region));
        if is_header {
            continue;
        }
        if rows.len() >= ROWS_MAX {
            let message = format!("{} has more than {ROWS_MAX} rows", source.name);
            log.error_in(written, source, at, message, "a MaxMind file (`regions_mmdb`) may have more");
            break;
        }
        if let Some(row) = row(&cells, (key, region), at, source, written, log) {
            rows.push(row);
        }
    }
    rows
}

fn row(
    cells: &[(String, Range<usize>)],
    (key, region): (usize, usize),
    line: Range<usize>,
    source: &Source,
    written: Spot,
    log: &mut Log<'_>,
) -> Option<(String, String)> {
    let cell = |at: usize| cells.get(at).filter(|(cell, _)| !cell.is_empty());
    let Some((name, at)) = cell(key) else {
        let label = "like `10.1.0.0/16,eu-fra` or `edge-fra*,eu-fra`";
        log.error_in(written, source, line, "no network, name or glob".to_owned(), label);
        return None;
    };
    let Some((word, _)) = cell(region) else {
        let label = "like `10.1.0.0/16,eu-fra` or `edge-fra*,eu-fra`";
        log.error_in(written, source, line, format!("`{}` has no region", shown(name)), label);
        return None;
    };
    if let Err(e) = Network::parse(name) {
        let (message, label) = no_network(name, &e);
        log.error_in(written, source, at.clone(), message, &label);
        return None;
    }
    if name.chars().chain(word.chars()).any(char::is_control) {
        let message = "a control character (a tab) in a row".to_owned();
        log.error_in(written, source, line, message, "cells are separated by commas");
        return None;
    }
    Some((name.clone(), word.clone()))
}

/// The cells of a row, and where they stand; RFC 4180's quotes, within the line. An error: where a quote is left open.
fn cells(line: &str, start: usize) -> Result<Vec<(String, Range<usize>)>, Range<usize>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let at = start + line.len() - rest.len();
        let trimmed = rest.trim_start();
        let (cell, after) = match trimmed.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or(at..start + line.len())?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (cell, after) = rest.split_at(end);
                (cell.trim().to_owned(), after)
            }
        };
        let end = start + line.len() - after.len();
        let blanks = rest.len() - trimmed.len();
        cells.push((cell, at + blanks.min(end - at)..end));
        match after.trim_start().strip_prefix(',') {
            Some(more) => rest = more,
            // Behind a closing quote only a comma makes sense; what else stands there belongs to nobody.
            None => return Ok(cells),
        }
    }
}

/// Up to the closing quote; two of them are one.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                rest = more;
            }
            None => return Some((cell.trim().to_owned(), after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let sources = [Source { name: "c.toml".into(), text: "regions_file = \"r.csv\"".into() }];
        let mut log = Log::new(&sources);
        let source = Source { name: "r.csv".into(), text: text.to_owned() };
        let rows = rows(&source, Spot::new(0, 0..12), &mut log);
        let (errors, _) = log.finish();
        if errors.is_empty() { Ok(rows) } else { Err(super::super::Problems(errors).to_string()) }
    }

    #[test]
    fn rows_are_read() {
        for (text, expected) in [
            ("10.1.0.0/16,eu-fra\nedge-*,eu\n", vec![("10.1.0.0/16", "eu-fra"), ("edge-*", "eu")]),
            ("network,region\r\n10.1.0.0/16,eu-fra\r\n", vec![("10.1.0.0/16", "eu-fra")]),
            ("\u{feff}Region , CIDR,note\neu,10.0.0.0/8,x,y\n", vec![("10.0.0.0/8", "eu")]),
            ("# seen from here\n\n  db1 , \"Frankfurt, DC2\" \n", vec![("db1", "Frankfurt, DC2")]),
            ("\"say \"\"hi\"\"\",a", vec![("say \"hi\"", "a")]),
            ("name,a\n", vec![("name", "a")]),
            ("", vec![]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(k, r)| ((*k).to_owned(), (*r).to_owned())).collect();
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_have_their_places() {
        for (text, place, said) in [
            ("a,b\n10.1.0.0/33,eu\n", "r.csv:2:1", "`10.1.0.0/33` is no network"),
            ("a,b\n x , 10.1.0.1/16\n10.1.0.1/16 ,eu", "r.csv:3:1", "the network is 10.1.0.0/16"),
            ("a\n", "r.csv:1:1", "`a` has no region"),
            ("a,\n", "r.csv:1:1", "`a` has no region"),
            (",eu\n", "r.csv:1:1", "no network, name or glob"),
            ("a,\"eu\n", "r.csv:1:3", "a quote is left open"),
            ("a\tb,eu\n", "r.csv:1:1", "a control character"),
        ] {
            let problems = read(text).unwrap_err();
            assert!(problems.contains(place) && problems.contains(said), "{text}: {problems}");
        }
        let many = "a,b\n".repeat(ROWS_MAX + 1);
        assert!(read(&many).unwrap_err().contains("more than 200000 rows"));
    }

    proptest! {
        #[test]
        fn whatever_stands_there(text in "[a1,\"\\./ \n\r\té#]{0,60}") {
            let _ = read(&text);
        }
    }
}
