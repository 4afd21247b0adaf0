//! `gatewatch explain`: every field it saw in a line, and where parsing stopped.

use super::{complain, print};
use crate::batch::open::Log;
use crate::cli::Explain;
use crate::clock::now;
use crate::exit::Exit;
use crate::inputs;
use crate::reports::rfc3339;
use crate::reports::text::printable;
use crate::wiring::{self, ZoneSetting};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Effect, Format, Happened, Outcome, Parsed, Record, detect};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Lines of a file that are shown.
const LINES: usize = 5;

/// Runs it.
pub fn run(args: &Explain) -> Exit {
    match explain(args) {
        Ok(text) => print(&text),
        Err((exit, message)) => {
            complain(&message);
            exit
        }
    }
}

fn explain(args: &Explain) -> Result<String, (Exit, String)> {
    let zone = ZoneSetting::new(args.common.timezone.as_deref()).map_err(|e| (Exit::Usage, e))?;
    let given = args.common.log_format.as_deref().map(wiring::compile_format).transpose();
    let given = given.map_err(|e| (Exit::Usage, e))?;
    let (head, near) = head(&args.what)?;
    let sample: Vec<&[u8]> = Lines::new(&head, true).take(500).collect();
    let mut context = Context::new(zone.zone, near);
    let format = match given {
        Some(format) => format,
        None => {
            let mut detection = detect::detect_at(&args.what, &sample, &context);
            if detection.candidates.is_empty() {
                let why = detection.note.unwrap_or_else(|| "no known format; say --log-format".to_owned());
                let name =
                    if Path::new(&args.what).exists() { printable(&args.what) + ": " } else { "".into() };
                return Err((Exit::Unparsed, format!("{name}{}", printable(&why))));
            }
            Arc::from(detection.candidates.swap_remove(0).format)
        }
    };
    let mut text = format!("format: {} (--log-format '{}')\n", format.title(), format.name());
    for line in sample.iter().take(LINES) {
        one(&mut text, format.as_ref(), line, &mut context);
    }
    Ok(text)
}

/// A file's head, standard input's, or the line itself.
fn head(what: &str) -> Result<(Vec<u8>, i64), (Exit, String)> {
    let path = Path::new(what);
    if what != "-" && !path.exists() {
        // A line has spaces or braces; anything else was meant as a path.
        if what.contains([' ', '{', '|', '\t']) {
            return Ok((what.as_bytes().to_vec(), now()));
        }
        return Err((Exit::Error, format!("{}: no such file (a log line goes in quotes)", printable(what))));
    }
    let found = inputs::select(&[what.into()], &mut |_| Ok(true));
    if let Some(problem) = found.problems.first() {
        return Err((Exit::Error, problem.to_string()));
    }
    let source = found
        .sources
        .into_iter()
        .next()
        .ok_or_else(|| (Exit::Error, format!("{}: no log found", printable(what))))?;
    let log = Log::look(source, &Arc::default()).map_err(|e| (Exit::Error, e.to_string()))?;
    Ok((log.head, log.modified))
}

fn show(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes)).into_owned()
}

fn one(text: &mut String, format: &dyn Format, line: &[u8], context: &mut Context) {
    let _ = writeln!(text, "\n{}", show(line));
    for field in format.explain(line, &mut context.clone()) {
        let _ = writeln!(text, "  {:<28} {}", printable(&field.name), show(field.value));
    }
    match format.parse(line, context) {
        Ok(Parsed::Record(record)) => understood(text, &record),
        Ok(Parsed::Diagnosis(d)) => {
            let effect = match d.effect {
                Effect::Failed => "a failed attempt",
                Effect::Aborted => "a body cut after the header",
            };
            let (origin, reason) = (d.cause.origin.name(), d.cause.reason.name());
            let _ = writeln!(text, "  = at {}: {effect}, origin {origin}, reason {reason}", rfc3339(d.at));
            labels(text, &[("node", d.node), ("pool", d.pool), ("upstream", d.upstream), ("site", d.site)]);
        }
        Ok(Parsed::Event(e)) => {
            let happened = match e.happened {
                Happened::Down => "a server is out of rotation",
                Happened::Paused => "a server is out of rotation for a while",
                Happened::Up => "a server is back",
                Happened::NoServer => "no server is left",
            };
            let at = e.at.map_or("at no known time".to_owned(), |at| format!("at {}", rfc3339(at)));
            let _ = writeln!(text, "  = {at}: {happened} (other)");
            labels(
                text,
                &[("node", e.node), ("pool", e.pool), ("upstream", e.upstream), ("detail", e.detail)],
            );
        }
        Ok(Parsed::Other) => {
            text.push_str("  = no access-log line by nature (other)\n");
        }
        Err(malformed) => {
            let rest = line.get(malformed.at..).unwrap_or_default();
            let _ = writeln!(
                text,
                "  ! stopped at byte {}, where {} should be: {}\n    from there: {}",
                malformed.at,
                malformed.field,
                malformed.reason,
                show(rest.get(..80).unwrap_or(rest))
            );
        }
    }
}

/// Those that are there.
fn labels(text: &mut String, named: &[(&str, &[u8])]) {
    for (name, value) in named.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "    {name:<9} {}", show(value));
    }
}

/// What gatewatch makes of it.
fn understood(text: &mut String, record: &Record<'_>) {
    let status = record.status.code().map_or("-".to_owned(), |code| format!("{code:03}"));
    let outcome = match record.outcome {
        Outcome::Fine => "fine".to_owned(),
        Outcome::GatewayError(cause) => {
            format!("gateway error: origin {}, reason {}", cause.origin.name(), cause.reason.name())
        }
        Outcome::Aborted => "aborted: cut after the header".to_owned(),
        Outcome::Abandoned => "abandoned: the client left before the upstream's header".to_owned(),
    };
    let _ = writeln!(text, "  = ended {}, status {status}, {outcome}", rfc3339(record.end));
    let named =
        [("node", record.node), ("region", record.region), ("pool", record.pool), ("site", record.site)];
    labels(text, &named);
    if let Some(ms) = record.request_time {
        let _ = writeln!(text, "    request_time {:.3} s", f64::from(ms) / 1000.0);
    }
    for (i, attempt) in record.attempts.iter().enumerate() {
        let upstream = if attempt.upstream.is_empty() { attempt.pool } else { attempt.upstream };
        let failure = attempt
            .failure
            .map_or("answered".to_owned(), |c| format!("failed: {}, {}", c.origin.name(), c.reason.name()));
        let _ = writeln!(text, "    attempt {} {} {failure}", i + 1, show(upstream));
    }
}
