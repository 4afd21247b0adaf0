//! Finished logs, as `analyze`, `replay` and `test` read them: what was named → found, recognised, counted and judged.

mod progress;
mod times;

use super::complain;
use crate::batch::job::{Job, Selection};
use crate::batch::open::Log;
use crate::batch::{self, BatchInput, Listener, Outcome};
use crate::cli::Common;
use crate::exit::Exit;
use crate::inputs::{self, Problem, Source};
use crate::reports;
use crate::reports::text::printable;
use crate::settings::Settings;
use crate::wiring::{self, FileSettings};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Change;
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::filter::Filter;
use gatewatch_rules::rule::Rule;
use gatewatch_rules::series::{BUILT_IN, Plan};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much behind a finished file's newest end a record may come: nobody is waiting.
pub(super) const LATENESS: Millis = 5 * 60 * 1000;
/// Series held at most.
pub(super) const SERIES: usize = 50_000;

/// An exit code, and what is said with it.
pub(super) type Refused = (Exit, String);

pub(super) fn usage(message: String) -> Refused {
    (Exit::Usage, message)
}

/// What was named, looked at.
pub(super) struct Opened {
    /// What can be read.
    pub inputs: Vec<BatchInput>,
    /// [`Exit::Error`] if something cannot.
    pub exit: Exit,
    /// So many doubts were said.
    pub warnings: usize,
}

/// Set by Ctrl-C; a second one ends the process at once.
pub(super) fn stopped_by_ctrl_c() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let _ =
        signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 130, Arc::clone(&stop));
    let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop));
    stop
}

/// `--where`.
pub(super) fn filter(condition: Option<&str>) -> Result<Option<Filter>, Refused> {
    let parse = |w: &str| {
        Filter::parse(w).map_err(|e| {
            let column = w.get(..e.at).map_or(0, |before| before.chars().count());
            usage(format!("--where: {}\n  {w}\n  {}^", e.message, " ".repeat(column)))
        })
    };
    condition.map(parse).transpose()
}

/// Finds the files, and recognises each by its head.
pub(super) fn open(
    files: &[PathBuf],
    settings: &Settings,
    common: &Common,
    stop: &Arc<AtomicBool>,
) -> Result<Opened, Refused> {
    let files: Vec<_> = files.iter().map(|f| f.clone().into_os_string()).collect();
    let found = inputs::select(&files, &mut |path| {
        let log = Log::look(Source::File(path.to_path_buf()), stop).map_err(|e| io::Error::other(e.text))?;
        Ok(wiring::is_log(&log.head, log.modified))
    });
    let mut opened = Opened {
        inputs: Vec::new(),
        exit: if found.problems.is_empty() { Exit::Fine } else { Exit::Error },
        warnings: usize::from(!found.left_out.is_empty()),
    };
    say_selection(&found, common);
    for source in found.sources {
        match Log::look(source, stop) {
            Ok(log) => opened.take(log, settings, common),
            Err(problem) => opened.cannot(&problem),
        }
    }
    if opened.inputs.is_empty() && opened.exit == Exit::Fine {
        return Err((Exit::Unparsed, "no log found".to_owned()));
    }
    Ok(opened)
}

impl Opened {
    fn cannot(&mut self, problem: &Problem) {
        complain(&problem.to_string());
        self.exit = Exit::Error;
    }

    /// Recognises a log by its head.
    fn take(&mut self, log: Log, settings: &Settings, common: &Common) {
        let of_file = settings.of_file(log.path());
        let (input, note) = recognised(log, &of_file, self.inputs.len());
        if let Some(note) = note {
            self.warnings += 1;
            if !common.quiet {
                complain(&format!("{}: {note}", printable(&input.job.path)));
            }
        }
        if common.verbose > 0 {
            complain(&format!("{}: read as {}", printable(&input.job.path), input.job.title));
        }
        self.inputs.push(input);
    }
}

/// A log as the driver wants it, and what is doubtful about its format.
pub(super) fn recognised(log: Log, settings: &FileSettings, index: usize) -> (BatchInput, Option<String>) {
    let recognised = wiring::recognise(&log.shown(), &log.head, log.modified, settings);
    let job = Job {
        index,
        path: log.shown(),
        is_pipe: log.is_pipe(),
        format: recognised.format,
        title: recognised.title,
        source: recognised.source,
        context: recognised.context,
    };
    (BatchInput { job, first_stamp: recognised.first_stamp, log }, recognised.note)
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

/// The labels that lines of these logs may bear.
pub(super) fn labels_of(open: &[BatchInput]) -> Vec<&str> {
    let mut known: Vec<&str> = BUILT_IN.to_vec();
    for job in open.iter().map(|i| &i.job) {
        known.extend(job.source.extra.iter().map(String::as_str));
        known.extend(job.source.path_labels.iter().map(|l| l.0.as_str()));
    }
    known
}

/// A label that no line can have is a slip of the pen: nothing would be grouped, or nothing counted.
pub(super) fn labels_exist<'a>(
    mut wanted: impl Iterator<Item = (&'a str, &'a str)>,
    open: &[BatchInput],
) -> Result<(), Refused> {
    let known = labels_of(open);
    let unknown = wanted.find(|(_, name)| !known.contains(name));
    unknown.map_or(Ok(()), |(flag, name)| {
        Err(usage(format!("{flag}: no label `{name}`; these logs have {}", known.join(", "))))
    })
}

/// `--since` and `--until`.
pub(super) fn span(
    since: Option<&str>,
    until: Option<&str>,
    open: &[BatchInput],
) -> Result<(Option<Millis>, Option<Millis>), Refused> {
    let now = crate::clock::now();
    let first = open.iter().filter_map(|i| i.first_stamp).min();
    let time = |name: &str, text: Option<&str>| {
        text.map(|t| times::parse(t, now, first).map_err(|e| usage(format!("{name}: {e}")))).transpose()
    };
    let (since, until) = (time("--since", since)?, time("--until", until)?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        let (since, until) = (reports::rfc3339(since), reports::rfc3339(until));
        return Err(usage(format!("--since {since} is not before --until {until}")));
    }
    Ok((since, until))
}

/// How the logs are counted.
pub(super) struct Counting<'a> {
    /// The rules they are judged by.
    pub rules: &'a [Rule],
    /// Labels that the report groups by.
    pub by: &'a [String],
    /// Which requests count.
    pub selection: Selection,
    /// Threads.
    pub jobs: usize,
    /// Whether no progress is shown.
    pub quiet: bool,
}

/// Reads everything and judges it; `on_changes` hears what would have been told.
pub(super) fn count(
    counting: Counting<'_>,
    open: Vec<BatchInput>,
    stop: &AtomicBool,
    on_changes: &mut dyn FnMut(Vec<Change>),
) -> Outcome {
    let plan = Arc::new(Plan::for_report(counting.rules, counting.by));
    let options = EngineOptions { step: counting.selection.step, series_cap: SERIES };
    let engine = Engine::new(counting.rules.to_vec(), Arc::clone(&plan), options);
    let total = open.iter().map(|i| i.log.size).sum::<Option<u64>>();
    let mut bar = progress::Bar::new(total, counting.quiet);
    let mut on_progress = |progress: &batch::Progress| {
        bar.show(progress.bytes, progress.lines);
        !stop.load(Ordering::Relaxed)
    };
    let listener = Listener { on_progress: &mut on_progress, on_changes };
    let outcome = batch::run(open, engine, &plan, &Arc::new(counting.selection), counting.jobs, listener);
    bar.clear();
    outcome
}

/// Says what could be read only in part; what that comes to.
pub(super) fn say_errors(outcome: &Outcome) -> Exit {
    // What Ctrl-C cut short says so itself.
    let cut_short = |e: &io::Error| outcome.partial && e.kind() == io::ErrorKind::UnexpectedEof;
    let mut exit = Exit::Fine;
    for (path, error) in outcome.errors.iter().filter(|e| !cut_short(&e.1)) {
        complain(&format!("{}: read only in part: {error}", printable(path)));
        exit = Exit::Error;
    }
    exit
}

/// Threads, where nobody asked for a number.
pub(super) fn jobs(asked: Option<usize>) -> Result<usize, Refused> {
    if asked == Some(0) {
        return Err(usage("--jobs 0: at least one thread is needed".to_owned()));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(asked.unwrap_or(cores).clamp(1, 256))
}
