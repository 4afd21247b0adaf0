//! `traefik` — Traefik's common log format: the combined format, then the request's number, router, service URL and the
//! time it took. `traefik:generic` is without these (Traefik's `genericCLF`); `traefik:json` is its JSON, read by `json`.
//!
//! Read from the end: behind the request line all texts have their quotes escaped, while a path may hold any byte.

use super::json::{self, Speaker};
use super::{Field, Format, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::{self, offset_in};
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record};
use crate::syslog;
use crate::text;
use crate::upstreams::{Attempt, Attempts};

/// `traefik`
pub const KIND: Kind = Kind {
    name: "traefik",
    summary: "Traefik's access log in its common format; `traefik:generic` for its genericCLF",
    example: "traefik",
    compile,
    built_in: || vec![Box::new(Traefik { form: Form::Common })],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `format: common`
    Common,
    /// `format: genericCLF`
    Generic,
}

#[derive(Debug)]
struct Traefik {
    form: Form,
}

fn compile(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let form = match setting {
        None | Some("common") => Form::Common,
        Some("generic" | "genericCLF") => Form::Generic,
        Some("json") => return json::speaking("traefik:json", Speaker::Traefik, None),
        Some(other) => {
            let message =
                format!("Traefik has no format `{other}`; known: traefik, traefik:generic, traefik:json");
            return Err(SpecError { message, at: 0 });
        }
    };
    Ok(Box::new(Traefik { form }))
}

/// The fields in their order, by Traefik's names.
const NAMES: [&str; 12] = [
    "ClientHost",
    "ClientUsername",
    "StartUTC",
    "RequestLine",
    "DownstreamStatus",
    "DownstreamContentSize",
    "request_Referer",
    "request_User-Agent",
    "RequestCount",
    "RouterName",
    "ServiceURL",
    "Duration",
];

const CLIENT: usize = 0;
const USER: usize = 1;
const START: usize = 2;
const REQUEST: usize = 3;
const STATUS: usize = 4;
const SIZE: usize = 5;
const REFERER: usize = 6;
const AGENT: usize = 7;
const COUNT: usize = 8;
const ROUTER: usize = 9;
const SERVICE: usize = 10;
const DURATION: usize = 11;

/// The fields of a line, quotes taken off.
type Fields<'a> = [Option<&'a [u8]>; 12];

/// What is left of a line from which fields are taken off the end.
struct Tail<'a> {
    rest: &'a [u8],
    fields: Fields<'a>,
}

impl<'a> Tail<'a> {
    /// Takes the last field off, and the blank before it.
    fn take(&mut self, field: usize, last: fn(&[u8]) -> Option<usize>) -> Result<(), Malformed<'static>> {
        let name = NAMES.get(field).copied().unwrap_or_default();
        let bad = |at| Malformed { field: name, at, reason: "not what the format says" };
        let at = last(self.rest).ok_or_else(|| bad(self.rest.len().saturating_sub(1)))?;
        let (rest, value) = self.rest.split_at_checked(at).ok_or_else(|| bad(at))?;
        self.rest = rest.strip_suffix(b" ").ok_or_else(|| bad(at))?;
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        if let Some(place) = self.fields.get_mut(field) {
            *place = Some(quoted.unwrap_or(value));
        }
        Ok(())
    }
}

/// Where a number or a dash at the end begins.
fn number(text: &[u8]) -> Option<usize> {
    let at = text.iter().rposition(|b| *b == b' ')? + 1;
    let word = text.get(at..)?;
    let is_number = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    (is_number || word == b"-").then_some(at)
}

/// A status or a dash: three digits, or fewer where there is none.
fn status(text: &[u8]) -> Option<usize> {
    number(text).filter(|at| matches!(text.len() - at, 1 | 3))
}

/// `12ms`
fn millis(text: &[u8]) -> Option<usize> {
    let digits = text.strip_suffix(b"ms")?;
    number(digits).filter(|at| digits.get(*at) != Some(&b'-'))
}

/// A quoted text, or a dash without quotes. Quotes in it are escaped, so that the nearest one that is not begins it.
fn quoted(text: &[u8]) -> Option<usize> {
    let Some(inside) = text.strip_suffix(b"\"") else {
        return text.ends_with(b" -").then(|| text.len() - 1);
    };
    let is_escaped = |at: usize| {
        inside.get(..at).unwrap_or_default().iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
    };
    if is_escaped(inside.len()) {
        return None;
    }
    memchr::memrchr_iter(b'"', inside).find(|at| !is_escaped(*at))
}

impl Traefik {
    fn fields<'a>(&self, line: &'a [u8]) -> (Fields<'a>, Result<(), Malformed<'static>>) {
        let mut tail = Tail { rest: line, fields: [None; 12] };
        let taken = self.take(&mut tail);
        (tail.fields, taken)
    }

    fn take(&self, tail: &mut Tail<'_>) -> Result<(), Malformed<'static>> {
        if self.form == Form::Common {
            tail.take(DURATION, millis)?;
            tail.take(SERVICE, quoted)?;
            tail.take(ROUTER, quoted)?;
            tail.take(COUNT, number)?;
        }
        tail.take(AGENT, quoted)?;
        tail.take(REFERER, quoted)?;
        tail.take(SIZE, number)?;
        tail.take(STATUS, status)?;
        head(tail)
    }

    /// One line without a header before it.
    fn bare<'a>(
        &'a self,
        line: &'a [u8],
        node: &'a [u8],
        context: &mut Context,
    ) -> Result<Parsed<'a>, Malformed<'a>> {
        let (fields, taken) = self.fields(line);
        taken?;
        let get = |field: usize| fields.get(field).copied().flatten().unwrap_or_default();
        let bad = |field: usize, reason| Malformed {
            field: NAMES.get(field).copied().unwrap_or_default(),
            at: offset_in(line, get(field)),
            reason,
        };
        let start = context.dates.clf(get(START)).ok_or_else(|| bad(START, "no such date"))?;
        let logged = fields::status(get(STATUS)).ok_or_else(|| bad(STATUS, "no status"))?;
        let took =
            get(DURATION).strip_suffix(b"ms").and_then(|ms| fields::duration(ms, fields::Unit::Millis));
        let mut record = Record::new(start.saturating_add(took.unwrap_or(0)), logged);
        let (method, path) = request(get(REQUEST));
        record.request_time = took.and_then(|ms| u32::try_from(ms).ok());
        record.method = text::dash(method);
        record.path = text::dash(path);
        record.node = node;
        record.pool = text::dash(get(ROUTER));
        let upstream = fields::authority(text::dash(get(SERVICE)));
        record.outcome = outcome(&record, upstream, get(SIZE), self.form, context);
        if !upstream.is_empty() {
            let failure = record.outcome.gateway_error();
            record.attempts = Attempts::One(Attempt { upstream, pool: b"", status: record.status, failure });
        }
        Ok(Parsed::Record(record))
    }
}

/// `%s - %s [date] "method path protocol"`: what stands before the status.
fn head(tail: &mut Tail<'_>) -> Result<(), Malformed<'static>> {
    let line = tail.rest;
    let bad = |field: usize, at| Malformed {
        field: NAMES.get(field).copied().unwrap_or_default(),
        at,
        reason: "not what the format says",
    };
    // The first date in brackets that a request follows: a user's name may hold brackets, a path both.
    let date = memchr::memmem::find_iter(line, b"] \"")
        .find_map(|end| {
            let bracket = end.checked_sub(27)?;
            (line.get(bracket) == Some(&b'[')).then_some((bracket, end))
        })
        .ok_or_else(|| bad(START, 0))?;
    let (bracket, end) = date;
    let request =
        line.get(end + 3..).and_then(|rest| rest.strip_suffix(b"\"")).ok_or_else(|| bad(REQUEST, end + 3))?;
    let names = line.get(..bracket).and_then(|names| names.strip_suffix(b" ")).ok_or_else(|| bad(USER, 0))?;
    // A client has no blank: with one, a header stands before it.
    let dash = names
        .iter()
        .position(|b| *b == b' ')
        .filter(|at| names.get(*at..).is_some_and(|r| r.starts_with(b" - ")));
    let dash = dash.ok_or_else(|| bad(CLIENT, 0))?;
    for (field, value) in [
        (CLIENT, names.get(..dash)),
        (USER, names.get(dash + 3..)),
        (START, line.get(bracket + 1..end)),
        (REQUEST, Some(request)),
    ] {
        if let Some(place) = tail.fields.get_mut(field) {
            *place = value;
        }
    }
    Ok(())
}

/// The method and the path of `method path protocol`, each of which may be a dash.
fn request(line: &[u8]) -> (&[u8], &[u8]) {
    let first = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let last = line.iter().rposition(|b| *b == b' ').unwrap_or(line.len());
    (line.get(..first).unwrap_or_default(), line.get(first + 1..last).unwrap_or_default())
}

/// Traefik's own 502 looks like a service's, as far as a service was asked. Its own 503, if there is no server to ask, is
/// known by its body: `no available server`, or `Service Unavailable` of version 1 and of the circuit breaker.
fn outcome(record: &Record<'_>, upstream: &[u8], size: &[u8], form: Form, context: &Context) -> Outcome {
    let no_service = upstream.is_empty() && form == Form::Common;
    let by_default = match record.status.code() {
        Some(502 | 504) if no_service => Outcome::GatewayError(Cause::proxy(Reason::Unknown)),
        Some(502 | 504) => Outcome::GatewayError(Cause::UNKNOWN),
        Some(503) if no_service && matches!(size, b"19" | b"20") => {
            Outcome::GatewayError(Cause::proxy(Reason::DestinationUnavailable))
        }
        Some(499) => Outcome::Abandoned,
        _ => Outcome::Fine,
    };
    context.outcome(record.status, by_default)
}

/// Traefik's own log, which a container mixes with the access log: `time="…" level=info msg="…"`, and of version 3
/// `2026-05-18T09:52:41Z INF …`.
fn is_message(text: &[u8]) -> bool {
    const LEVELS: [&[u8]; 7] = [b"TRC", b"DBG", b"INF", b"WRN", b"ERR", b"FTL", b"PNC"];
    let mut words = text.split(|b| *b == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_date = matches!(first, [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..]);
    LEVELS.contains(&second) && is_date || first.starts_with(b"time=") && second.starts_with(b"level=")
}

impl Format for Traefik {
    fn name(&self) -> &str {
        match self.form {
            Form::Common => "traefik",
            Form::Generic => "traefik:generic",
        }
    }

    fn title(&self) -> String {
        "Traefik common".to_owned()
    }

    fn knows_upstream(&self) -> bool {
        self.form == Form::Common
    }

    /// Its date has one.
    fn needs_zone(&self) -> bool {
        false
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        let text = line.trim_ascii_end();
        if text.is_empty() {
            return Ok(Parsed::Other);
        }
        let failure = match self.bare(text, b"", context) {
            Err(failure) => failure,
            parsed => return parsed,
        };
        let mut prefix = context.prefix;
        let header = syslog::strip(text, &mut prefix);
        if is_message(text) || is_message(header.rest) {
            return Ok(Parsed::Other);
        }
        if header.rest.len() == text.len() {
            return Err(failure);
        }
        context.prefix = prefix;
        let at = text.len() - header.rest.len();
        self.bare(header.rest, header.host, context)
            .map_err(|malformed| Malformed { at: malformed.at + at, ..malformed })
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let text = line.trim_ascii_end();
        let mut prefix = context.prefix;
        let (whole, taken) = self.fields(text);
        let fields = match taken {
            Ok(()) => whole,
            Err(_) => self.fields(syslog::strip(text, &mut prefix).rest).0,
        };
        let shown = NAMES.iter().zip(fields).filter_map(|(name, value)| {
            let value = value?;
            Some(Field { name: (*name).to_owned(), value, at: offset_in(line, value) })
        });
        shown.collect()
    }
}

#[cfg(test)]
#[path = "traefik_tests.rs"]
mod tests;
