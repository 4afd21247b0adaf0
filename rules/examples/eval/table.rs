//! The figures as tables in Markdown.

use crate::Setup;
use crate::faults::What;
use crate::intervals::{Figure, median, rate, share};
use crate::parameters::{BASE, LOADS};
use crate::score::{Score, Told};
use std::fmt::Write;

/// Everything that is reported.
pub fn report(setup: &Setup, score: &Score) -> String {
    let mut out = head(setup);
    let mut section = |title: &str, note: &str, table: String| {
        let _ = write!(out, "## {title}\n\n{note}\n\n{table}\n");
    };
    section("Goals", GOALS, goals(setup, score));
    section(
        "False alarms per group and day",
        FALSE,
        by_load(setup, &|rule, load| {
            let alarms = score.alarms.get(&load)?.get(rule)?;
            Some(shown_rate(rate(alarms.false_ones, alarms.group_days)?))
        }),
    );
    section(
        "Blips that fired",
        BLIPS,
        by_load(setup, &|rule, load| {
            let blips = || {
                score
                    .told
                    .iter()
                    .filter(|told| told.load == load && told.what == What::Blip && told.meant[rule])
            };
            let fired = blips().filter(|told| told.after[rule].is_some()).count();
            Some(shown_share(share(fired as u64, blips().count() as u64)?))
        }),
    );
    section(
        "Missed",
        MISSED,
        by_load(setup, &|rule, load| {
            let of = |told: &&Told| told.load == load && is_fault(told) && told.meant[rule];
            let missed = score.told.iter().filter(of).filter(|told| told.after[rule].is_none()).count();
            Some(shown_share(share(missed as u64, score.told.iter().filter(of).count() as u64)?))
        }),
    );
    section(
        "Median delay",
        DELAY,
        by_load(setup, &|rule, load| {
            let of =
                |told: &&Told| told.load == load && is_fault(told) && told.meant[rule] && told.timeout == 0;
            Some(shown_delay(delays(score.told.iter().filter(of), |told| told.after[rule])?))
        }),
    );
    section("By kind of fault", KINDS, kinds(setup, score));
    section("At first", FIRST, first(setup, score));
    out
}

fn head(setup: &Setup) -> String {
    let (first, last) = (setup.seeds.start(), setup.seeds.end());
    format!(
        "# How good the presets are\n\nMade by `make eval`: generated traffic of hosts and fleets, with faults whose place and \
        time are known, through the engine with `rules/presets/default.toml`. What the traffic is like is \
        `rules/examples/eval/parameters.rs`. Seeds {first} to {last}, {} group-days of each load; the presets were tuned on seeds 1 \
        to 10 only. In brackets: 95 % intervals. `plain` is the usual rule, `ratio > 5 %` of the last minute and nothing \
        else.\n\n",
        setup.group_days,
    )
}

const GOALS: &str = "Rates are those of one group at that hour; faults that retries hide from users are left out, hangs are \
    left out of the delays: the first line that shows one is written when the timeout strikes.";
const FALSE: &str = "Alerts that fired further than 2 min from any fault of their group, those that a blip caused among them.";
const BLIPS: &str = "Of total failures of one server for 5 to 8 s.";
const MISSED: &str = "Of faults of the kind that the rule is for, 20 to 100 % of requests, 1 to 30 min.";
const DELAY: &str = "Of the same, hangs apart: from the first request that the fault may strike until the step that shows it is \
    judged, in seconds.";
const KINDS: &str = "All presets together, groups of at least 100 requests a minute.";
const FIRST: &str = "Alerts in the first 90 min of hosts that were never seen before, all of them false and in no other table: groups that \
    always fail are told of once.";

/// A fault, and after how long each rule told it.
pub fn line(setup: &Setup, told: &Told) -> String {
    let mut line = format!(
        "{}\tload {}\trate {:.0}\tbase {:.4}\tshare {:.2}\tlasts {}\ttimeout {}\tmasked {}",
        told.what.name(),
        told.load,
        told.rate,
        told.base,
        told.share,
        told.lasts / 1_000,
        told.timeout / 1_000,
        told.masked,
    );
    for (rule, after) in setup.rules.iter().zip(&told.after) {
        if let Some(after) = after {
            let _ = write!(line, "\t{} {:.1}", rule.name, *after as f64 / 1_000.0);
        }
    }
    line
}

pub fn is_fault(told: &Told) -> bool {
    told.what != What::Blip
}

fn delays<'a>(told: impl Iterator<Item = &'a Told>, after: impl Fn(&Told) -> Option<i64>) -> Option<Figure> {
    let mut all: Vec<f64> = told.filter_map(after).map(|delay| delay as f64 / 1_000.0).collect();
    median(&mut all)
}

/// The first of the presets to say so.
fn together(setup: &Setup, told: &Told) -> Option<i64> {
    told.after.iter().take(setup.presets).flatten().min().copied()
}

fn shown_rate(f: Figure) -> String {
    format!("{} ({}–{})", short(f.value), short(f.low), short(f.high))
}

fn short(x: f64) -> String {
    match x {
        0.0 => "0".to_owned(),
        x if x < 0.1 => format!("{x:.4}"),
        x if x < 10.0 => format!("{x:.2}"),
        x => format!("{x:.0}"),
    }
}

fn shown_share(f: Figure) -> String {
    format!("{:.1} % ({:.1}–{:.1})", 100.0 * f.value, 100.0 * f.low, 100.0 * f.high)
}

fn shown_delay(f: Figure) -> String {
    format!("{:.0} ({:.0}–{:.0})", f.value, f.low, f.high)
}

/// A row for each rule, a column for each load.
fn by_load(setup: &Setup, cell: &dyn Fn(usize, u32) -> Option<String>) -> String {
    let mut out = String::from("| requests a minute |");
    let loads: Vec<u32> = LOADS.into_iter().filter(|load| setup.loads.contains(load)).collect();
    for load in &loads {
        let _ = write!(out, " {load} |");
    }
    let _ = writeln!(out, "\n|---|{}", "--:|".repeat(loads.len()));
    for (i, rule) in setup.rules.iter().enumerate() {
        let cells: Vec<String> = loads.iter().map(|load| cell(i, *load).unwrap_or("–".to_owned())).collect();
        if cells.iter().any(|cell| cell != "–") {
            let _ = writeln!(out, "| {} {} | {} |", rule.detector, rule.name, cells.join(" | "));
        }
    }
    out
}

fn kinds(setup: &Setup, score: &Score) -> String {
    let mut out = String::from("| fault | how many | missed | median delay, s |\n|---|--:|--:|--:|\n");
    let mut row = |name: &str, of: &dyn Fn(&&Told) -> bool| {
        let all = || score.told.iter().filter(|told| is_fault(told) && told.rate >= 100.0).filter(of);
        let missed = all().filter(|told| together(setup, told).is_none()).count() as u64;
        let count = all().count() as u64;
        let missed = share(missed, count).map_or("–".to_owned(), shown_share);
        let delay = delays(all(), |told| together(setup, told)).map_or("–".to_owned(), shown_delay);
        let _ = writeln!(out, "| {name} | {count} | {missed} | {delay} |");
    };
    for what in What::FAULTS {
        row(what.name(), &|told| told.what == what && !told.masked);
    }
    row("one server, hidden by retries", &|told| told.masked);
    out
}

fn first(setup: &Setup, score: &Score) -> String {
    by_load(setup, &|rule, load| {
        let alarms = score.alarms.get(&load)?.get(rule)?;
        (alarms.group_days > 0.0).then(|| alarms.at_first.to_string())
    })
}

const QUIET: &str = "a blip (5 to 8 s total failure of one server) fires nothing";

/// A goal, the figure, and whether it is met.
fn goals(setup: &Setup, score: &Score) -> String {
    let mut out = String::from("| goal | figure (95 %) | of | met |\n|---|--:|--:|---|\n");
    let mut row = |goal: &str,
                   figure: Option<Figure>,
                   of: u64,
                   is_met: &dyn Fn(Figure) -> bool,
                   shown: &dyn Fn(Figure) -> String| {
        let met = figure.map_or("–", |f| if is_met(f) { "yes" } else { "**no**" });
        let _ = writeln!(out, "| {goal} | {} | {of} | {met} |", figure.map_or("–".to_owned(), shown));
    };
    for load in &setup.loads {
        let Some(alarms) = score.alarms.get(load) else { continue };
        let presets = alarms.iter().take(setup.presets);
        let sum: u64 = presets.map(|alarms| alarms.false_ones).sum();
        let days = score.days.get(load).copied().unwrap_or(0.0);
        let goal = format!("< 0.01 false alarms per group and day, all presets, at {load} req/min");
        row(&goal, rate(sum, days), days as u64, &|f| f.value < 0.01, &shown_rate);
    }
    let faults = || score.told.iter().filter(|told| is_fault(told) && !told.masked);
    let missed = |of: &dyn Fn(&&Told) -> bool| {
        let all = faults().filter(of).count() as u64;
        (share(faults().filter(of).filter(|told| together(setup, told).is_none()).count() as u64, all), all)
    };
    let (figure, all) = missed(&|told| told.rate >= 100.0);
    let (usual, of_usual) = missed(&|told| told.rate >= 100.0 && told.base <= BASE.1);
    row(
        "missed ≤ 1 % of faults of ≥ 20 %, ≥ 1 min, at ≥ 100 req/min",
        figure,
        all,
        &|f| f.value <= 0.01,
        &shown_share,
    );
    row("the same of groups that do not fail always", usual, of_usual, &|f| f.value <= 0.01, &shown_share);
    let (figure, all) = missed(&|told| told.rate >= 10.0 && told.share >= 1.0 && told.lasts >= 600_000);
    row("missed no total outage of 10 min at ≥ 10 req/min", figure, all, &|f| f.value == 0.0, &shown_share);
    let mut delay = |goal: &str, most: f64, of: &dyn Fn(&Told) -> bool| {
        let all = || faults().filter(|told| told.timeout == 0 && of(told));
        row(
            goal,
            delays(all(), |told| together(setup, told)),
            all().count() as u64,
            &|f| f.value <= most,
            &shown_delay,
        );
    };
    delay("median delay ≤ 10 s at ≥ 1,000 req/min and ≥ 50 %", 10.0, &|t| {
        t.rate >= 1_000.0 && t.share >= 0.5
    });
    delay("median delay ≤ 25 s at ≥ 1,000 req/min and 20 to 25 %", 25.0, &|t| {
        t.rate >= 1_000.0 && t.share < 0.25
    });
    delay("median delay ≤ 45 s at 100 (80 to 125) req/min", 45.0, &|t| (80.0..125.0).contains(&t.rate));
    let blips = || score.told.iter().filter(|told| told.what == What::Blip);
    let fired = blips().filter(|told| together(setup, told).is_some()).count() as u64;
    let all = blips().count() as u64;
    row(QUIET, share(fired, all), all, &|f| f.value == 0.0, &shown_share);
    out
}
