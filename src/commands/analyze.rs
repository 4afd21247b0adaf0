//! `gatewatch analyze`: finished logs → a report.

mod again;
mod conditions;

use super::finished::{self, Counting, LATENESS, Refused, usage};
use super::{complain, print};
use crate::batch::job::Selection;
use crate::batch::{self, BatchInput, Outcome};
use crate::cli::{Analyze, Output};
use crate::exit::Exit;
use crate::reports::{self, Look, REPORTS};
use crate::settings::{self, Settings};
use crate::wiring;
use conditions::Condition;
use gatewatch_rules::filter::Filter;
use gatewatch_rules::report::Report;
use std::io::IsTerminal;

/// Runs it.
pub fn run(args: &Analyze) -> Exit {
    match analyze(args) {
        Ok(exit) => exit,
        Err((exit, message)) => {
            complain(&message);
            exit
        }
    }
}

/// The command line, understood before a file is opened.
struct Asked {
    conditions: Vec<Condition>,
    min_parsed: f64,
    filter: Option<Filter>,
    kind: &'static reports::Kind,
    settings: Settings,
    jobs: usize,
}

fn understand(args: &Analyze) -> Result<Asked, Refused> {
    let conditions =
        args.fail_on.iter().map(|c| Condition::parse(c)).collect::<Result<_, _>>().map_err(usage)?;
    let min_parsed = conditions::number_or_percent(&args.min_parsed)
        .filter(|n| *n <= 1.0)
        .ok_or_else(|| usage(format!("--min-parsed `{}`: write a share, e.g. 90%", args.min_parsed)))?;
    if let Some(twice) = args
        .by
        .iter()
        .enumerate()
        .find(|(i, by)| by.is_empty() || args.by.iter().take(*i).any(|other| other == *by))
    {
        return Err(usage(format!("--by {}: `{}` is empty or there twice", args.by.join(","), twice.1)));
    }
    let settings = settings::for_finished_logs(&args.common)?;
    Ok(Asked {
        conditions,
        min_parsed,
        filter: finished::filter(args.where_.as_deref())?,
        kind: report_kind(args)?,
        settings,
        jobs: finished::jobs(args.jobs)?,
    })
}

/// `--format`, else the extension of `-o`, else the table.
fn report_kind(args: &Analyze) -> Result<&'static reports::Kind, Refused> {
    let name = args.format.map(|f| match f {
        Output::Table => "table",
        Output::Json => "json",
        Output::Csv => "csv",
        Output::Markdown => "markdown",
    });
    let extension = args.output.as_ref().and_then(|o| o.extension()).and_then(|e| e.to_str());
    let wanted = |kind: &&reports::Kind| match (name, extension) {
        (Some(name), _) => kind.name == name,
        (None, Some(extension)) => kind.extensions.contains(&extension),
        (None, None) => kind.name == "table",
    };
    REPORTS
        .iter()
        .find(wanted)
        .ok_or_else(|| usage("-o: unknown extension; say --format table, json, csv or markdown".to_owned()))
}

fn analyze(args: &Analyze) -> Result<Exit, Refused> {
    let asked = understand(args)?;
    let stop = finished::stopped_by_ctrl_c();
    let opened = finished::open(&args.files, &asked.settings, &args.common, &stop)?;
    if opened.inputs.is_empty() {
        return Ok(opened.exit);
    }
    let by = args.by.iter().map(|by| ("--by", by.as_str()));
    let by_filter = asked.filter.iter().flat_map(Filter::captures).map(|name| ("--where", name));
    finished::labels_exist(by.chain(by_filter), &opened.inputs)?;
    let counting = Counting {
        rules: &asked.settings.rules,
        by: &args.by,
        selection: selection(args, &asked, &opened.inputs)?,
        jobs: asked.jobs,
        quiet: args.common.quiet,
    };
    let outcome = finished::count(counting, opened.inputs, &stop, &mut |_| {});
    let mut exit = opened.exit.and(finished::say_errors(&outcome));
    let partial = outcome.partial;
    let mut report = report(args, outcome);
    if report.inputs.iter().any(|input| input.zoneless) {
        report.timezone = Some(asked.settings.file.zone.name.clone());
        report.timezone_assumed = asked.settings.file.zone.assumed;
    }
    exit = exit.and(write(args, &asked, &report));
    exit = exit.and(judge(args, &asked, &report, opened.warnings));
    Ok(if partial { Exit::Interrupted } else { exit })
}

fn selection(args: &Analyze, asked: &Asked, open: &[BatchInput]) -> Result<Selection, Refused> {
    let (since, until) = finished::span(args.since.as_deref(), args.until.as_deref(), open)?;
    Ok(Selection {
        filter: asked.filter.clone(),
        since,
        until,
        step: asked.settings.step,
        lateness: LATENESS,
        block: batch::BLOCK,
    })
}

fn report(args: &Analyze, outcome: Outcome) -> Report {
    let mut report = outcome.summary.into_report(&args.by);
    report.partial = outcome.partial;
    report.incidents = outcome.engine.incidents();
    report.events = outcome.engine.servers().all().cloned().collect();
    report.series_overflow = report.series_overflow.max(outcome.engine.buckets().series_overflow());
    report.inputs = outcome.inputs;
    report.unparsed_samples = outcome.unparsed_samples;
    report.advice = wiring::advice(&report);
    report
}

fn write(args: &Analyze, asked: &Asked, report: &Report) -> Exit {
    let to_terminal = args.output.is_none() && std::io::stdout().is_terminal();
    let look = Look {
        width: reports::width(),
        color: to_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        top: args.top,
        again: again::words(args),
    };
    let text = (asked.kind.render)(report, &look);
    match &args.output {
        None => print(&text),
        Some(path) => match std::fs::write(path, text) {
            Ok(()) => Exit::Fine,
            Err(e) => {
                complain(&format!("cannot write {}: {e}", path.display()));
                Exit::Error
            }
        },
    }
}

/// What the report makes of the flags that let a build fail.
fn judge(args: &Analyze, asked: &Asked, report: &Report, mut warnings: usize) -> Exit {
    let mut exit = Exit::Fine;
    let lines: u64 = report.inputs.iter().map(|i| i.lines).sum();
    if lines == 0 && !report.partial {
        warnings += 1;
        if !args.common.quiet {
            complain("warning: no lines at all");
        }
    }
    if conditions::too_few_parsed(report, asked.min_parsed) {
        let parsed: u64 = report.inputs.iter().map(|i| i.parsed).sum();
        let unparsed: u64 = report.inputs.iter().map(|i| i.unparsed).sum();
        complain(&format!(
            "only {parsed} of {} lines were understood (--min-parsed {}); `gatewatch explain FILE` shows where it stops, \
             --log-format says the format",
            parsed + unparsed,
            args.min_parsed
        ));
        exit = exit.and(Exit::Unparsed);
    }
    for crossed in asked.conditions.iter().filter_map(|c| c.crossed(report)) {
        complain(&crossed);
        exit = exit.and(Exit::Crossed);
    }
    if args.strict && warnings > 0 {
        exit = exit.and(Exit::Warnings);
    }
    exit
}
