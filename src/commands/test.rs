//! `gatewatch test`: cases of rules as data, as promtool has them for its own: log lines in, alerts out.

mod case;
mod lines;
mod table;
mod verdict;

use super::finished::{self, Counting, LATENESS};
use super::{complain, print};
use crate::batch::job::Selection;
use crate::batch::open::Log;
use crate::batch::{self, BatchInput};
use crate::cli::{Common, Form, Test};
use crate::exit::Exit;
use crate::inputs::Source;
use crate::reports;
use crate::reports::json;
use crate::reports::text::printable_lines;
use crate::settings::{self, Settings};
use crate::wiring::FileSettings;
use case::{Case, File};
use gatewatch_parsers::Millis;
use gatewatch_rules::report::Incident;
use serde::Serialize;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// What came of a case.
struct Ran {
    file: String,
    case: String,
    /// What is wrong; nothing: it passed.
    problems: Vec<String>,
    lines: u64,
    /// When its first record ended: its times count from there.
    start: Option<Millis>,
    /// Those that fired.
    incidents: Vec<Incident>,
}

/// Runs it.
pub fn run(args: &Test) -> Exit {
    let mut ran = Vec::new();
    let mut refused = Exit::Fine;
    for path in &args.files {
        match File::read(path) {
            Ok(file) => {
                let wanted = |name: &String| args.only.as_ref().is_none_or(|only| name.contains(only));
                for (name, case) in file.cases.iter().filter(|(name, _)| wanted(name)) {
                    match one(path, &file, name, case) {
                        Ok(one) => ran.push(one),
                        Err((exit, why)) => {
                            let whose = format!("{}: case {name}: {why}", path.display());
                            complain(&printable_lines(&whose));
                            refused = refused.and(exit);
                        }
                    }
                }
            }
            Err((exit, why)) => {
                complain(&why);
                refused = refused.and(exit);
            }
        }
    }
    let failed = ran.iter().filter(|ran| !ran.problems.is_empty()).count();
    if ran.is_empty() && refused == Exit::Fine {
        complain("no case to run: write [case.NAME] in the file, or see --only");
        return Exit::Usage;
    }
    let printed = match args.format {
        Form::Json => print(&as_json(&ran)),
        Form::Table => {
            let color =
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            print(&table::render(&ran, color, reports::width()))
        }
    };
    let crossed = if failed > 0 { Exit::Crossed } else { Exit::Fine };
    refused.and(printed).and(crossed)
}

/// A path of a test file is one beside that file.
fn beside(path: &Path, named: &Path) -> PathBuf {
    path.parent().map_or_else(|| named.to_path_buf(), |folder| folder.join(named))
}

fn one(path: &Path, file: &File, name: &str, case: &Case) -> Result<Ran, (Exit, String)> {
    let config = case.config.as_ref().or(file.config.as_ref());
    let common = Common {
        config: config.iter().map(|config| beside(path, config)).collect(),
        log_format: case.log_format.clone(),
        timezone: Some(case.timezone.clone().unwrap_or_else(|| "UTC".to_owned())),
        node: case.node.clone(),
        region: case.region.clone(),
        quiet: true,
        ..Common::default()
    };
    let settings = if config.is_some() {
        settings::for_finished_logs(&common)?
    } else {
        settings::for_presets(&common)?
    };
    let inputs = inputs(path, name, case, &settings)?;
    let selection = Selection {
        filter: None,
        since: None,
        until: None,
        step: settings.step,
        lateness: LATENESS,
        block: batch::BLOCK,
    };
    let counting = Counting { rules: &settings.rules, by: &[], selection, jobs: 1, quiet: true };
    let outcome = finished::count(counting, inputs, &AtomicBool::new(false), &mut |_| {});
    if let Some((path, error)) = outcome.errors.first() {
        return Err((Exit::Error, format!("{path}: read only in part: {error}")));
    }
    let start = outcome.inputs.iter().filter_map(|input| input.first).min();
    let mut incidents = outcome.engine.incidents();
    incidents.retain(|incident| incident.fired.is_some());
    let mut problems = verdict::unread(case, &outcome.inputs, &outcome.unparsed_samples);
    problems.extend(verdict::unknown_rules(case, &settings.rules));
    problems.extend(verdict::differences(&case.alert, &incidents, start.unwrap_or(0)));
    Ok(Ran {
        file: path.display().to_string(),
        case: name.to_owned(),
        problems,
        lines: outcome.inputs.iter().map(|input| input.lines).sum(),
        start,
        incidents,
    })
}

/// The files that a case names, and the lines that it writes itself.
fn inputs(
    path: &Path,
    name: &str,
    case: &Case,
    settings: &Settings,
) -> Result<Vec<BatchInput>, (Exit, String)> {
    let of: FileSettings = match &case.input {
        Some(input) => settings
            .of_input(input)
            .ok_or_else(|| (Exit::Configuration, format!("input: the configuration has no input `{input}`")))?
            .clone(),
        None => settings.of_file(None),
    };
    let mut logs = Vec::new();
    for log in &case.logs {
        let source = Source::File(beside(path, log));
        logs.push(Log::look(source, &std::sync::Arc::default()).map_err(|e| (Exit::Error, e.to_string()))?);
    }
    if !case.lines.is_empty() {
        let text = lines::written(&case.lines, case.start)
            .map_err(|why| (Exit::Configuration, format!("lines: {why}")))?;
        logs.push(Log::of_lines(name, &text, case.start));
    }
    if logs.is_empty() {
        return Err((Exit::Configuration, "it has neither logs nor lines".to_owned()));
    }
    let input = |(index, log)| finished::recognised(log, &of, index).0;
    Ok(logs.into_iter().enumerate().map(input).collect())
}

#[derive(Serialize)]
struct Row<'a, I> {
    file: &'a str,
    case: &'a str,
    passed: bool,
    problems: &'a [String],
    lines: u64,
    start: Option<String>,
    incidents: I,
}

fn row(ran: &Ran) -> impl Serialize + '_ {
    Row {
        file: &ran.file,
        case: &ran.case,
        passed: ran.problems.is_empty(),
        problems: &ran.problems,
        lines: ran.lines,
        start: ran.start.map(reports::rfc3339),
        incidents: json::incidents(&ran.incidents),
    }
}

/// One object, schema 1: `incidents` as `analyze` lists them.
fn as_json(ran: &[Ran]) -> String {
    #[derive(Serialize)]
    struct Whole<C> {
        schema: u32,
        passed: usize,
        failed: usize,
        cases: Vec<C>,
    }
    let failed = ran.iter().filter(|ran| !ran.problems.is_empty()).count();
    let cases = ran.iter().map(row).collect();
    let whole = Whole { schema: 1, passed: ran.len() - failed, failed, cases };
    let text = serde_json::to_string_pretty(&whole).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"));
    text + "\n"
}
