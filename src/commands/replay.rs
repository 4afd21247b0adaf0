//! `gatewatch replay`: past logs, judged by any rules. How often would they have fired, with what, and where do two
//! configurations differ?

mod json;
mod table;
mod tally;

use super::finished::{self, Counting, LATENESS, Opened, Refused, usage};
use super::{complain, print};
use crate::batch;
use crate::batch::job::Selection;
use crate::cli::{Common, Form, Replay};
use crate::exit::Exit;
use crate::reports::{self, Look};
use crate::settings::{self, Settings};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Change;
use gatewatch_rules::filter::Filter;
use gatewatch_rules::report::{Incident, Input};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tally::{Row, Tally};

/// Changes that `--every` holds; the rest are counted.
const CHANGES_MAX: usize = 10_000;

/// What came of the logs under one configuration.
struct Judged {
    /// What the configuration is called.
    name: String,
    /// By started, rule and labels.
    incidents: Vec<Incident>,
    /// Those that are no longer remembered.
    incidents_dropped: u64,
    /// A row a rule, in the configuration's order.
    rules: Vec<Row>,
    /// In order; only if asked for.
    changes: Vec<Change>,
    changes_dropped: u64,
    inputs: Vec<Input>,
    requests: u64,
    late: u64,
    future: u64,
    series_overflow: u64,
    partial: bool,
}

impl Judged {
    /// From the first record's end to the last one's.
    fn span(&self) -> Option<(Millis, Millis)> {
        let first = self.inputs.iter().filter_map(|input| input.first).min()?;
        Some((first, self.inputs.iter().filter_map(|input| input.last).max()?))
    }

    /// Alerts that would have fired.
    fn fired(&self) -> u64 {
        self.rules.iter().map(|row| row.fired).sum()
    }
}

/// Runs it.
pub fn run(args: &Replay) -> Exit {
    match replay(args) {
        Ok(exit) => exit,
        Err((exit, message)) => {
            complain(&message);
            exit
        }
    }
}

fn replay(args: &Replay) -> Result<Exit, Refused> {
    let filter = finished::filter(args.where_.as_deref())?;
    if args.compare.is_some() && args.files.iter().any(|file| file == Path::new("-")) {
        return Err(usage(
            "--compare reads the logs twice, and standard input can be read once: name a file".to_owned(),
        ));
    }
    let new = settings::for_finished_logs(&args.common)?;
    // Both are read before the logs are: a mistake in the second is not to be told after a minute.
    let old = args.compare.as_ref().map(|path| Ok::<_, Refused>((path, other(args, path)?))).transpose()?;
    let stop = finished::stopped_by_ctrl_c();
    let (mut exit, new) = match judged(args, &args.common, &new, filter.as_ref(), &stop)? {
        (exit, Some(judged)) => (exit, judged),
        (exit, None) => return Ok(exit),
    };
    let mut partial = new.partial;
    let mut compared = None;
    if let Some((_, (common, settings))) = old.filter(|_| !partial) {
        // What is doubtful about the logs was said.
        let (again, judged) = judged(args, &common, &settings, filter.as_ref(), &stop)?;
        exit = exit.and(again);
        partial |= judged.as_ref().is_some_and(|judged| judged.partial);
        compared = judged;
    }
    exit = exit.and(write(args, &new, compared.as_ref()));
    let parsed: u64 = new.inputs.iter().map(|input| input.parsed).sum();
    if parsed == 0 && new.inputs.iter().any(|input| input.lines > 0) {
        complain("no line was understood: `gatewatch detect FILE` says what it is, --log-format reads it");
        exit = exit.and(Exit::Unparsed);
    }
    Ok(if partial { Exit::Interrupted } else { exit })
}

/// The other configuration, by the same flags.
fn other(args: &Replay, path: &Path) -> Result<(Common, Settings), Refused> {
    let common = Common { config: vec![path.to_path_buf()], quiet: true, verbose: 0, ..args.common.clone() };
    let settings = settings::for_finished_logs(&common)?;
    Ok((common, settings))
}

fn judged(
    args: &Replay,
    common: &Common,
    settings: &Settings,
    filter: Option<&Filter>,
    stop: &Arc<AtomicBool>,
) -> Result<(Exit, Option<Judged>), Refused> {
    let Opened { inputs, exit, .. } = finished::open(&args.files, settings, common, stop)?;
    if inputs.is_empty() {
        return Ok((exit, None));
    }
    let captures = filter.iter().flat_map(|filter| filter.captures()).map(|name| ("--where", name));
    finished::labels_exist(captures, &inputs)?;
    let (since, until) = finished::span(args.since.as_deref(), args.until.as_deref(), &inputs)?;
    let selection = Selection {
        filter: filter.cloned(),
        since,
        until,
        step: settings.step,
        lateness: LATENESS,
        block: batch::BLOCK,
    };
    let counting = Counting {
        rules: &settings.rules,
        by: &[],
        selection,
        jobs: finished::jobs(args.jobs)?,
        quiet: common.quiet,
    };
    let mut tally = Tally::new(&settings.rules);
    let (mut kept, mut dropped) = (Vec::new(), 0);
    let outcome = finished::count(counting, inputs, stop, &mut |changes| {
        changes.iter().for_each(|change| tally.take(change));
        let room = if args.every { CHANGES_MAX - kept.len() } else { 0 };
        dropped += changes.len().saturating_sub(room) as u64;
        kept.extend(changes.into_iter().take(room));
    });
    let exit = exit.and(finished::say_errors(&outcome));
    let incidents = outcome.engine.incidents();
    let (late, future) = outcome.summary.late_and_future();
    let last = outcome.inputs.iter().filter_map(|input| input.last).max();
    let judged = Judged {
        name: named(common),
        rules: tally.rows(last),
        incidents,
        incidents_dropped: outcome.engine.incidents_dropped(),
        changes: kept,
        changes_dropped: if args.every { dropped } else { 0 },
        requests: outcome.summary.requests(),
        late,
        future,
        series_overflow: outcome.engine.buckets().series_overflow(),
        inputs: outcome.inputs,
        partial: outcome.partial,
    };
    Ok((exit, Some(judged)))
}

/// What a configuration is called.
fn named(common: &Common) -> String {
    let names: Vec<_> = common.config.iter().map(|path| path.display().to_string()).collect();
    if names.is_empty() { "these rules".to_owned() } else { names.join(", ") }
}

fn write(args: &Replay, new: &Judged, old: Option<&Judged>) -> Exit {
    match args.format {
        Form::Json => print(&json::render(new, old, args.every)),
        Form::Table => {
            let look = Look {
                width: reports::width(),
                color: std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
                top: None,
                again: String::new(),
            };
            print(&table::render(new, old, &look))
        }
    }
}
