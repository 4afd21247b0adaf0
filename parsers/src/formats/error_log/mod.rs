//! Error logs as a second source: nginx's `error_log` and Apache's `ErrorLog`. A line is no request. One that tells of an
//! upstream's failure is a [`Diagnosis`], one that tells of a server taken out of rotation or back an [`Event`], all
//! others are other by nature. No line is joined with another: of the lines that a product writes for one failure, one is
//! counted, the one that knows most.

mod apache;
mod errno;
mod nginx;
mod place;

use super::{Compiled, Field, Format, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::diagnosis::{Diagnosis, Effect};
use crate::event::{Event, Happened};
use crate::reason::{Cause, Reason};
use crate::record::Millis;
use crate::syslog::{Header, start_of, strip_before_date};

/// nginx's error log.
pub const NGINX: Kind = Kind {
    name: "nginx-error",
    summary: "nginx's error_log: why upstreams failed, beside its access log",
    example: "nginx-error",
    compile: |setting| compile(setting, &nginx::DIALECT),
    built_in: || built_in(&nginx::DIALECT),
};

/// Apache's error log.
pub const APACHE: Kind = Kind {
    name: "apache-error",
    summary: "Apache's ErrorLog: why mod_proxy's backends failed, beside its access log",
    example: "apache-error",
    compile: |setting| compile(setting, &apache::DIALECT),
    built_in: || built_in(&apache::DIALECT),
};

/// A product's way to write its error log.
#[derive(Debug)]
struct Dialect {
    name: &'static str,
    title: &'static str,
    /// Takes a line without its header apart, as far as it goes.
    read: for<'a> fn(&'a [u8], &mut Line<'a>) -> Result<Said<'a>, Stopped<'a>>,
    /// The date as logged → as ISO 8601 writes it, without a zone.
    date: fn(&[u8]) -> Option<Iso>,
    /// Whether a line that has no date of its own plainly goes on with the one before.
    goes_on: fn(&[u8]) -> bool,
}

/// `2026-11-22T14:53:53.000`, and room for a zone.
type Iso = [u8; 23];

/// The parts of a line, each as logged; empty where it has none.
#[derive(Debug, Default)]
struct Line<'a> {
    date: &'a [u8],
    level: &'a [u8],
    process: &'a [u8],
    connection: &'a [u8],
    errno: &'a [u8],
    client: &'a [u8],
    message: &'a [u8],
    action: &'a [u8],
    server: &'a [u8],
    request: &'a [u8],
    upstream: &'a [u8],
    host: &'a [u8],
}

impl<'a> Line<'a> {
    fn named(&self) -> [(&'static str, &'a [u8]); 12] {
        [
            ("date", self.date),
            ("level", self.level),
            ("process", self.process),
            ("connection", self.connection),
            ("errno", self.errno),
            ("client", self.client),
            ("message", self.message),
            ("action", self.action),
            ("server", self.server),
            ("request", self.request),
            ("upstream", self.upstream),
            ("host", self.host),
        ]
    }
}

/// What a line says.
#[derive(Clone, Copy, Debug)]
enum Said<'a> {
    Other,
    Failed { reason: Reason, effect: Effect, pool: &'a [u8], upstream: &'a [u8], site: &'a [u8] },
    Happened { happened: Happened, pool: &'a [u8], upstream: &'a [u8], detail: &'a [u8] },
}

/// Where a line stopped making sense.
#[derive(Clone, Copy, Debug)]
struct Stopped<'a> {
    rest: &'a [u8],
    field: &'static str,
    reason: &'static str,
}

fn stop<'a, T>(rest: &'a [u8], field: &'static str, reason: &'static str) -> Result<T, Stopped<'a>> {
    Err(Stopped { rest, field, reason })
}

const TOO_EARLY: &str = "the line ends too early";

fn compile(setting: Option<&str>, dialect: &'static Dialect) -> Compiled {
    match setting {
        None => Ok(Box::new(ErrorLog { dialect })),
        Some(_) => {
            Err(SpecError { message: format!("{} has one form: write it alone", dialect.name), at: 0 })
        }
    }
}

fn built_in(dialect: &'static Dialect) -> Vec<Box<dyn Format>> {
    vec![Box::new(ErrorLog { dialect })]
}

#[derive(Debug)]
struct ErrorLog {
    dialect: &'static Dialect,
}

impl ErrorLog {
    /// The line's own date; else its header's.
    fn at<'a>(
        &self,
        line: &Line<'a>,
        header: &Header<'a>,
        context: &mut Context,
    ) -> Result<Millis, Stopped<'a>> {
        if line.date.is_empty() {
            return match context.dates.any(header.stamp) {
                Some(at) => Ok(at),
                None => stop(header.rest, "date", "neither the line nor its header has a date"),
            };
        }
        let iso = (self.dialect.date)(line.date);
        let at = iso.and_then(|iso| match header.offset {
            None => context.dates.iso(&iso),
            Some(east) => context.dates.iso(&zoned(&iso, east)),
        });
        match at {
            Some(at) => Ok(at),
            None => stop(line.date, "date", "no such date"),
        }
    }

    fn parsed<'a>(&self, header: &Header<'a>, context: &mut Context) -> Result<Parsed<'a>, Stopped<'a>> {
        let mut line = Line::default();
        let said = (self.dialect.read)(header.rest, &mut line)?;
        match said {
            Said::Other => Ok(Parsed::Other),
            Said::Failed { reason, effect, pool, upstream, site } => Ok(Parsed::Diagnosis(Diagnosis {
                at: self.at(&line, header, context)?,
                cause: Cause::proxy(reason),
                effect,
                node: header.host,
                pool,
                upstream,
                site,
            })),
            Said::Happened { happened, pool, upstream, detail } => Ok(Parsed::Event(Event {
                at: self.at(&line, header, context).ok(),
                happened,
                node: header.host,
                pool,
                upstream,
                detail,
            })),
        }
    }
}

/// A stamp with the zone that the header before it says: `+01:00`.
fn zoned(iso: &Iso, east: i32) -> [u8; 29] {
    let mut text = [b'0'; 29];
    let minutes = (east / 60_000).unsigned_abs();
    let digit = |n: u32| b'0' + u8::try_from(n % 10).unwrap_or(0);
    let zone = [
        if east < 0 { b'-' } else { b'+' },
        digit(minutes / 600),
        digit(minutes / 60),
        b':',
        digit(minutes % 60 / 10),
        digit(minutes % 60),
    ];
    for (slot, byte) in text.iter_mut().zip(iso.iter().chain(&zone)) {
        *slot = *byte;
    }
    text
}

impl Format for ErrorLog {
    fn name(&self) -> &str {
        self.dialect.name
    }

    fn title(&self) -> String {
        self.dialect.title.to_owned()
    }

    fn knows_upstream(&self) -> bool {
        true
    }

    fn needs_zone(&self) -> bool {
        true
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        let header = strip_before_date(line, &mut context.prefix);
        self.parsed(&header, context).or_else(|stopped| {
            if line.trim_ascii().is_empty() || (self.dialect.goes_on)(header.rest) {
                return Ok(Parsed::Other);
            }
            let end = line.len();
            let at = if stopped.rest.is_empty() { end } else { start_of(line, stopped.rest).unwrap_or(end) };
            Err(Malformed { field: stopped.field, at, reason: stopped.reason })
        })
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let header = strip_before_date(line, &mut context.prefix);
        let mut parts = Line::default();
        // Where it stops is what `parse` says.
        let _ = (self.dialect.read)(header.rest, &mut parts);
        let of_header =
            [("syslog date", header.stamp), ("syslog host", header.host), ("syslog program", header.tag)];
        let parts = of_header.into_iter().chain(parts.named());
        let mut fields: Vec<Field<'a>> = parts
            .filter_map(|(name, value)| {
                Some(Field { name: name.to_owned(), value, at: start_of(line, value)? })
            })
            .collect();
        fields.sort_by_key(|field| field.at);
        fields
    }

    fn is_own(&self, line: &[u8], context: &mut Context) -> bool {
        let header = strip_before_date(line, &mut context.prefix);
        let mut parts = Line::default();
        let read = (self.dialect.read)(header.rest, &mut parts);
        let dated = (self.dialect.date)(parts.date).is_some() || !header.stamp.is_empty();
        read.is_ok() && dated && !parts.level.is_empty()
    }
}

#[cfg(test)]
mod tests;
