//! Exits and targets of forward proxies: who is to blame, what each target does, how its requests spread over the exits.

use super::Look;
use super::text::{self, Align, commas, cut, printable, ratio, share};
use crate::findings::sentence;
use gatewatch_rules::pairs::{REFUSALS, Tried};
use gatewatch_rules::report::Report;
use gatewatch_rules::two_way::{Exit, Target, TwoWay, providers};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Rows of a list that nobody asked a number for, and sentences.
const ROWS: usize = 10;
/// Columns of a name in a sentence.
const NAME: usize = 60;

/// For people; empty where records name no exits.
pub fn lines(report: &Report, look: &Look) -> Vec<String> {
    let Some(view) = &report.two_way else { return Vec::new() };
    let mut lines = vec![title(view)];
    lines.extend(sentences(view).iter().map(|line| text::wrap(&format!("  {line}"), look.width, 4)));
    let rows = look.top.unwrap_or(ROWS);
    lines.extend(grid(&exit_rows(view, rows), 2, look));
    lines.extend(grid(&target_rows(view, rows), 1, look));
    let all = providers(&view.exits);
    if all.len() > 1 {
        let of = |(name, (exits, bad)): (&&str, &(u64, u64))| {
            format!("{} {} of {} exits bad", cut(&printable(name), NAME), commas(*bad), commas(*exits))
                .replace(' ', "\u{a0}")
        };
        let parts: Vec<String> = all.iter().take(ROWS).map(of).collect();
        lines.push(text::wrap(&format!("PROVIDERS {}", parts.join(" · ")), look.width, 10));
    }
    lines
}

/// `EXITS AND TARGETS  64 exits, 40 targets`, and what the table could not hold.
fn title(view: &TwoWay) -> String {
    let left = match view.left {
        0 => String::new(),
        left => format!(
            " (the {} busiest pairs; {} requests are of others, and a pair may lack {})",
            commas(view.pairs),
            commas(left),
            commas(view.error)
        ),
    };
    let (exits, targets) = (view.exits.len() as u64, view.targets.len() as u64);
    let (exits, targets) = (super::table::plural(exits, "exit"), super::table::plural(targets, "target"));
    format!("EXITS AND TARGETS  {exits}, {targets}{left}")
}

/// Who is to blame.
pub fn sentences(view: &TwoWay) -> Vec<String> {
    let clean = |name: &str| cut(&printable(name), NAME).into_owned();
    view.findings(ROWS).iter().map(|finding| sentence(finding, clean)).collect()
}

fn grid(rows: &[Vec<String>], left: usize, look: &Look) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let align: Vec<Align> =
        (0..columns).map(|i| if i < left || i + 1 == columns { Align::Left } else { Align::Right }).collect();
    if rows.len() < 2 { Vec::new() } else { text::grid(rows, &align, look.width) }
}

/// Of exits only those that fail in several places say anything.
fn exit_rows(view: &TwoWay, most: usize) -> Vec<Vec<String>> {
    let head = ["EXIT", "PROVIDER", "REQUESTS", "BAD", "BAD ON", ""].map(str::to_owned).to_vec();
    let is_shown = |exit: &&Exit| exit.is_bad || exit.bad_targets.saturating_mul(4) > exit.targets;
    let bad = view.exits.iter().filter(is_shown).take(most);
    let row = |exit: &Exit| {
        vec![
            printable(&exit.exit).into_owned(),
            printable(&exit.provider).into_owned(),
            commas(exit.tried.requests),
            share(ratio(exit.tried.bad, exit.tried.requests)),
            format!("{} of {}", commas(exit.bad_targets), commas(exit.targets)),
            if exit.is_bad { "bad exit".to_owned() } else { String::new() },
        ]
    };
    std::iter::once(head).chain(bad.map(row)).collect()
}

fn target_rows(view: &TwoWay, most: usize) -> Vec<Vec<String>> {
    let head = ["TARGET", "REQUESTS", "ERRORS", "403", "407", "429", "BAD FOR", "BUSIEST EXIT", ""];
    let row = |target: &Target| {
        let [forbidden, credentials, limited] = target.tried.refused.map(commas);
        vec![
            printable(&target.target).into_owned(),
            commas(target.tried.requests),
            commas(target.tried.gateway_errors),
            forbidden,
            credentials,
            limited,
            format!("{} of {}", commas(target.bad_exits), commas(target.exits)),
            share(ratio(target.busiest.1, target.tried.requests)),
            verdict(target).unwrap_or_default().to_owned(),
        ]
    };
    std::iter::once(head.map(str::to_owned).to_vec()).chain(view.targets.iter().take(most).map(row)).collect()
}

fn verdict(target: &Target) -> Option<&'static str> {
    target.is_bad.then(|| if target.is_blocking() { "blocks" } else { "bad target" })
}

/// `exits_targets` of the JSON report.
pub struct Json<'a>(pub &'a TwoWay, pub Option<usize>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let view = self.0;
        let most = self.1.unwrap_or(usize::MAX);
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("pairs", &view.pairs)?;
        map.serialize_entry("left", &view.left)?;
        map.serialize_entry("error", &view.error)?;
        map.serialize_entry("everywhere", &view.is_everywhere)?;
        map.serialize_entry("exits", &view.exits.iter().take(most).map(OneExit).collect::<Vec<_>>())?;
        map.serialize_entry("targets", &view.targets.iter().take(most).map(OneTarget).collect::<Vec<_>>())?;
        let all = providers(&view.exits);
        let providers: Vec<_> = all
            .iter()
            .map(|(provider, (exits, bad_exits))| Provider { provider, exits: *exits, bad_exits: *bad_exits })
            .collect();
        map.serialize_entry("providers", &providers)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Provider<'a> {
    provider: &'a str,
    exits: u64,
    bad_exits: u64,
}

fn tried<M: SerializeMap>(map: &mut M, tried: &Tried) -> Result<(), M::Error> {
    map.serialize_entry("requests", &tried.requests)?;
    map.serialize_entry("bad", &tried.bad)?;
    map.serialize_entry("gateway_errors", &tried.gateway_errors)?;
    let status: std::collections::BTreeMap<String, u64> =
        REFUSALS.iter().zip(tried.refused).map(|(status, n)| (status.to_string(), n)).collect();
    map.serialize_entry("status", &status)
}

struct OneExit<'a>(&'a Exit);

impl Serialize for OneExit<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("exit", &self.0.exit)?;
        map.serialize_entry("provider", &self.0.provider)?;
        tried(&mut map, &self.0.tried)?;
        map.serialize_entry("targets", &self.0.targets)?;
        map.serialize_entry("bad_targets", &self.0.bad_targets)?;
        map.serialize_entry("verdict", &self.0.is_bad.then_some("bad exit"))?;
        map.end()
    }
}

struct OneTarget<'a>(&'a Target);

impl Serialize for OneTarget<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let target = self.0;
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("target", &target.target)?;
        tried(&mut map, &target.tried)?;
        map.serialize_entry("exits", &target.exits)?;
        map.serialize_entry("bad_exits", &target.bad_exits)?;
        map.serialize_entry("busiest_exit", &target.busiest.0)?;
        map.serialize_entry("busiest_share", &ratio(target.busiest.1, target.tried.requests))?;
        map.serialize_entry("verdict", &verdict(target))?;
        map.end()
    }
}
