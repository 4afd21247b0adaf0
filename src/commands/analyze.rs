//! `gatewatch analyze`: finished logs → a report.

mod conditions;
mod progress;
mod times;

use super::{complain, print};
use crate::batch::job::{Job, Selection};
use crate::batch::open::Log;
use crate::batch::{self, BatchInput, Outcome};
use crate::cli::{Analyze, Output};
use crate::exit::Exit;
use crate::inputs::{self, Problem, Source};
use crate::reports::{self, Look, REPORTS};
use crate::settings::{self, Settings};
use crate::wiring::{self, FileSettings};
use conditions::Condition;
use gatewatch_parsers::Millis;
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::filter::Filter;
use gatewatch_rules::report::Report;
use gatewatch_rules::series::Plan;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much behind a finished file's newest end a record may come: nobody is waiting.
const LATENESS: Millis = 5 * 60 * 1000;
/// Series held at most.
const SERIES: usize = 50_000;

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

type Refused = (Exit, String);

/// The command line, understood before a file is opened.
struct Asked {
    conditions: Vec<Condition>,
    min_parsed: f64,
    filter: Option<Filter>,
    kind: &'static reports::Kind,
    settings: Settings,
    jobs: usize,
}

fn usage(message: String) -> Refused {
    (Exit::Usage, message)
}

fn understand(args: &Analyze) -> Result<Asked, Refused> {
    let conditions =
        args.fail_on.iter().map(|c| Condition::parse(c)).collect::<Result<_, _>>().map_err(usage)?;
    let min_parsed = conditions::number_or_percent(&args.min_parsed)
        .filter(|n| *n <= 1.0)
        .ok_or_else(|| usage(format!("--min-parsed `{}`: write a share, e.g. 90%", args.min_parsed)))?;
    let filter = args.where_.as_deref().map(|w| {
        Filter::parse(w).map_err(|e| {
            let column = w.get(..e.at).map_or(0, |before| before.chars().count());
            usage(format!("--where: {}\n  {w}\n  {}^", e.message, " ".repeat(column)))
        })
    });
    let settings = settings::for_finished_logs(&args.common)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(cores).clamp(1, 256);
    if args.jobs == Some(0) {
        return Err(usage("--jobs 0: at least one thread is needed".to_owned()));
    }
    Ok(Asked {
        conditions,
        min_parsed,
        filter: filter.transpose()?,
        kind: report_kind(args)?,
        settings,
        jobs,
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
    let mut warnings = 0;
    let mut exit = Exit::Fine;
    let files: Vec<_> = args.files.iter().map(|f| f.clone().into_os_string()).collect();
    let found = inputs::select(&files, &mut |path| {
        let log = Log::look(Source::File(path.to_path_buf())).map_err(|e| std::io::Error::other(e.text))?;
        Ok(wiring::is_log(&log.head, log.modified))
    });
    for problem in &found.problems {
        complain(&problem.to_string());
        exit = Exit::Error;
    }
    for path in &found.left_out {
        complain(&format!("{}: left out: no log that is known", path.display()));
        warnings += 1;
    }
    let mut open = Vec::new();
    for source in found.sources {
        match prepare(source, &asked, args.common.quiet, open.len(), &mut warnings) {
            Ok(input) => open.push(input),
            Err(problem) => {
                complain(&problem.to_string());
                exit = Exit::Error;
            }
        }
    }
    let total = open.iter().map(|i| i.log.size).sum::<Option<u64>>();
    if open.is_empty() {
        return if exit == Exit::Fine { Err((Exit::Unparsed, "no log found".to_owned())) } else { Ok(exit) };
    }
    let selection = Arc::new(selection(args, &asked, &open)?);
    let plan = Arc::new(Plan::for_report(&asked.settings.rules, &args.by));
    let needs_zone = open.iter().any(|i| i.job.format.as_ref().is_some_and(|f| f.needs_zone()));
    let options = EngineOptions { step: selection.step, series_cap: SERIES };
    let engine = Engine::new(asked.settings.rules.clone(), Arc::clone(&plan), options);
    let outcome = count(args, &asked, open, engine, &plan, &selection, total);

    for (path, error) in &outcome.errors {
        complain(&format!("{path}: read only in part: {error}"));
        exit = exit.and(Exit::Error);
    }
    let partial = outcome.partial;
    let mut report = report(args, outcome);
    if needs_zone {
        report.timezone = Some(asked.settings.file.zone.name.clone());
        report.timezone_assumed = asked.settings.file.zone.assumed;
    }
    exit = exit.and(write(args, &asked, &report));
    exit = exit.and(judge(args, &asked, &report, warnings));
    Ok(if partial { Exit::Interrupted } else { exit })
}

/// Recognises a file by its head.
fn prepare(
    source: Source,
    asked: &Asked,
    quiet: bool,
    index: usize,
    warnings: &mut usize,
) -> Result<BatchInput, Problem> {
    let log = Log::look(source)?;
    let settings: FileSettings = asked.settings.of_file(log.path());
    let recognised = wiring::recognise(&log.shown(), &log.head, log.modified, &settings);
    if let Some(note) = recognised.note.filter(|_| !quiet) {
        complain(&format!("{}: {note}", log.shown()));
        *warnings += 1;
    }
    let job = Job {
        index,
        path: log.shown(),
        is_pipe: log.is_pipe(),
        format: recognised.format,
        title: recognised.title,
        source: recognised.source,
        context: recognised.context,
    };
    Ok(BatchInput { job, first_stamp: recognised.first_stamp, log })
}

fn selection(args: &Analyze, asked: &Asked, open: &[BatchInput]) -> Result<Selection, Refused> {
    let now = crate::clock::now();
    let first = open.iter().filter_map(|i| i.first_stamp).min();
    let time = |name: &str, text: &Option<String>| {
        text.as_deref()
            .map(|t| times::parse(t, now, first).map_err(|e| usage(format!("{name}: {e}"))))
            .transpose()
    };
    Ok(Selection {
        filter: asked.filter.clone(),
        since: time("--since", &args.since)?,
        until: time("--until", &args.until)?,
        step: asked.settings.step,
        lateness: LATENESS,
        block: batch::BLOCK,
    })
}

#[allow(clippy::too_many_arguments, reason = "one call; a struct would only name them twice")]
fn count(
    args: &Analyze,
    asked: &Asked,
    open: Vec<BatchInput>,
    engine: Engine,
    plan: &Arc<Plan>,
    selection: &Arc<Selection>,
    total: Option<u64>,
) -> Outcome {
    // A second Ctrl-C ends it at once.
    let stop = Arc::new(AtomicBool::new(false));
    let _ =
        signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 130, Arc::clone(&stop));
    let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop));
    let mut bar = progress::Bar::new(total, args.common.quiet);
    let outcome = batch::run(open, engine, plan, selection, asked.jobs, &mut |progress| {
        bar.show(progress.bytes, progress.lines);
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    outcome
}

fn report(args: &Analyze, outcome: Outcome) -> Report {
    let mut report = outcome.summary.into_report(&args.by);
    report.partial = outcome.partial;
    report.incidents = outcome.engine.incidents();
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
        files: args.files.iter().map(|f| f.display().to_string()).collect(),
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
        complain("warning: no lines at all");
        warnings += 1;
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
