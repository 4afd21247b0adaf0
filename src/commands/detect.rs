//! `gatewatch detect`: which format, and how sure.

use super::{complain, print};
use crate::batch::open::Log;
use crate::cli::Detect;
use crate::exit::Exit;
use crate::inputs;
use crate::reports::text::{percent, printable};
use crate::wiring::ZoneSetting;
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, detect};
use std::fmt::Write;
use std::sync::Arc;

/// Lines looked at.
const LINES: usize = 500;

/// Runs it.
pub fn run(args: &Detect) -> Exit {
    let zone = match ZoneSetting::new(args.common.timezone.as_deref()) {
        Ok(zone) => zone,
        Err(message) => {
            complain(&message);
            return Exit::Usage;
        }
    };
    let files: Vec<_> = args.files.iter().map(|f| f.clone().into_os_string()).collect();
    let found = inputs::select(&files, &mut |_| Ok(true));
    let mut exit = Exit::Fine;
    let mut text = String::new();
    let mut problems = found.problems;
    for source in found.sources {
        match Log::look(source, &Arc::default()) {
            Ok(log) => {
                let known = one(&mut text, &log.shown(), &log.head, &Context::new(zone.zone, log.modified));
                exit = exit.and(if known { Exit::Fine } else { Exit::Unparsed });
            }
            Err(problem) => problems.push(problem),
        }
    }
    for problem in &problems {
        complain(&problem.to_string());
        exit = exit.and(Exit::Error);
    }
    exit.and(print(&text))
}

/// One file's paragraph; whether any format explains it.
fn one(text: &mut String, path: &str, head: &[u8], context: &Context) -> bool {
    let sample: Vec<&[u8]> = Lines::new(head, true).take(LINES).collect();
    let detection = detect::detect_at(path, &sample, context);
    let plural = if sample.len() == 1 { "" } else { "s" };
    let _ = writeln!(text, "{}: {} line{plural} looked at", printable(path), sample.len());
    for candidate in detection.candidates.iter().filter(|c| c.share > 0.0).take(5) {
        let _ = writeln!(
            text,
            "  {:>6}  {:<32} --log-format '{}'",
            percent(candidate.share),
            candidate.format.title(),
            candidate.format.name()
        );
    }
    if !detection.ambiguous.is_empty() {
        let _ = writeln!(text, "  as well as the first: {}", detection.ambiguous.join(", "));
    }
    if detection.parts.len() > 1 {
        let parts: Vec<_> =
            detection.parts.iter().map(|p| format!("{} {}", percent(p.share), p.title)).collect();
        let _ = writeln!(text, "  mixed: {}", printable(&parts.join(", ")));
    }
    if let Some(note) = &detection.note {
        let _ = writeln!(text, "  {}", printable(note));
    }
    detection.best().is_some()
}
