//! `gatewatch analyze`: finished logs → a report.

mod again;
mod conditions;
mod progress;
mod times;

use super::{complain, print};
use crate::batch::job::{Job, Selection};
use crate::batch::open::Log;
use crate::batch::{self, BatchInput, Outcome};
use crate::cli::{Analyze, Common, Output};
use crate::exit::Exit;
use crate::inputs::{self, Problem, Source};
use crate::reports::text::printable;
use crate::reports::{self, Look, REPORTS};
use crate::settings::{self, Settings};
use crate::wiring::{self, FileSettings};
use conditions::Condition;
use gatewatch_parsers::Millis;
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::filter::Filter;
use gatewatch_rules::report::Report;
use gatewatch_rules::series::{BUILT_IN, Plan};
use std::io::IsTerminal;
use std::path::PathBuf;
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
    if let Some(twice) = args
        .by
        .iter()
        .enumerate()
        .find(|(i, by)| by.is_empty() || args.by.iter().take(*i).any(|other| other == *by))
    {
        return Err(usage(format!("--by {}: `{}` is empty or there twice", args.by.join(","), twice.1)));
    }
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
    // Set by Ctrl-C; a second one ends it at once.
    let stop = Arc::new(AtomicBool::new(false));
    let _ =
        signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 130, Arc::clone(&stop));
    let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop));
    let mut warnings = 0;
    let mut exit = Exit::Fine;
    let files: Vec<_> = args.files.iter().map(|f| f.clone().into_os_string()).collect();
    let found = inputs::select(&files, &mut |path| {
        let log =
            Log::look(Source::File(path.to_path_buf()), &stop).map_err(|e| std::io::Error::other(e.text))?;
        Ok(wiring::is_log(&log.head, log.modified))
    });
    if !found.problems.is_empty() {
        exit = Exit::Error;
    }
    warnings += usize::from(!found.left_out.is_empty());
    say_selection(&found, &args.common);
    let mut open = Vec::new();
    for source in found.sources {
        match prepare(source, &asked, &args.common, open.len(), &stop, &mut warnings) {
            Ok(input) => open.push(input),
            Err(problem) => {
                complain(&problem.to_string());
                exit = Exit::Error;
            }
        }
    }
    if open.is_empty() {
        return if exit == Exit::Fine { Err((Exit::Unparsed, "no log found".to_owned())) } else { Ok(exit) };
    }
    labels_exist(args, &asked, &open)?;
    let selection = Arc::new(selection(args, &asked, &open)?);
    let plan = Arc::new(Plan::for_report(&asked.settings.rules, &args.by));
    let options = EngineOptions { step: selection.step, series_cap: SERIES };
    let engine = Engine::new(asked.settings.rules.clone(), Arc::clone(&plan), options);
    let outcome = count(args, &asked, open, engine, &plan, &selection, &stop);

    // What Ctrl-C cut short says so itself.
    let cut_short = |e: &std::io::Error| outcome.partial && e.kind() == std::io::ErrorKind::UnexpectedEof;
    for (path, error) in outcome.errors.iter().filter(|e| !cut_short(&e.1)) {
        complain(&format!("{}: read only in part: {error}", printable(path)));
        exit = exit.and(Exit::Error);
    }
    let partial = outcome.partial;
    let mut report = report(args, outcome);
    if report.inputs.iter().any(|input| input.zoneless) {
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
    common: &Common,
    index: usize,
    stop: &Arc<AtomicBool>,
    warnings: &mut usize,
) -> Result<BatchInput, Problem> {
    let log = Log::look(source, stop)?;
    let settings: FileSettings = asked.settings.of_file(log.path());
    let recognised = wiring::recognise(&log.shown(), &log.head, log.modified, &settings);
    if let Some(note) = recognised.note {
        *warnings += 1;
        if !common.quiet {
            complain(&format!("{}: {note}", printable(&log.shown())));
        }
    }
    if common.verbose > 0 {
        complain(&format!("{}: read as {}", printable(&log.shown()), recognised.title));
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

/// What of the command line cannot be read, is no log, or is there twice.
fn say_selection(found: &inputs::Selection, common: &Common) {
    for problem in &found.problems {
        complain(&problem.to_string());
    }
    if common.quiet {
        return;
    }
    if !found.left_out.is_empty() {
        complain(&left_out(&found.left_out, common.verbose > 0));
    }
    if found.duplicates > 0 {
        complain("a file that is named twice is read once");
    }
}

/// `a, b and 3 more` are no logs: named once.
fn left_out(paths: &[PathBuf], all: bool) -> String {
    let shown = if all { paths.len() } else { paths.len().min(5) };
    let names: Vec<_> =
        paths.iter().take(shown).map(|p| printable(&p.display().to_string()).into_owned()).collect();
    let more = paths.len() - shown;
    let more = if more > 0 { format!(" and {more} more (-v names them)") } else { String::new() };
    format!("left out, no logs that are known: {}{more}", names.join(", "))
}

/// A label that no line can have is a slip of the pen: nothing would be grouped, or nothing counted.
fn labels_exist(args: &Analyze, asked: &Asked, open: &[BatchInput]) -> Result<(), Refused> {
    let mut known: Vec<&str> = BUILT_IN.to_vec();
    for job in open.iter().map(|i| &i.job) {
        known.extend(job.source.extra.iter().map(String::as_str));
        known.extend(job.source.path_labels.iter().map(|l| l.0.as_str()));
    }
    let mut wanted = args.by.iter().map(|by| ("--by", by.as_str()));
    let by_filter = asked.filter.iter().flat_map(Filter::captures).map(|name| ("--where", name));
    let unknown = wanted.by_ref().chain(by_filter).find(|(_, name)| !known.contains(name));
    unknown.map_or(Ok(()), |(flag, name)| {
        Err(usage(format!("{flag}: no label `{name}`; these logs have {}", known.join(", "))))
    })
}

fn selection(args: &Analyze, asked: &Asked, open: &[BatchInput]) -> Result<Selection, Refused> {
    let now = crate::clock::now();
    let first = open.iter().filter_map(|i| i.first_stamp).min();
    let time = |name: &str, text: &Option<String>| {
        text.as_deref()
            .map(|t| times::parse(t, now, first).map_err(|e| usage(format!("{name}: {e}"))))
            .transpose()
    };
    let (since, until) = (time("--since", &args.since)?, time("--until", &args.until)?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        let (since, until) = (reports::rfc3339(since), reports::rfc3339(until));
        return Err(usage(format!("--since {since} is not before --until {until}")));
    }
    Ok(Selection {
        filter: asked.filter.clone(),
        since,
        until,
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
    stop: &AtomicBool,
) -> Outcome {
    let total = open.iter().map(|i| i.log.size).sum::<Option<u64>>();
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
