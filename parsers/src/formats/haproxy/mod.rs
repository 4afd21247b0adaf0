//! HAProxy. One file may hold the lines of several frontends: `haproxy` understands `option httplog`, `httpslog`,
//! `tcplog` and `httplog clf`, the default log, the error log and the messages about servers, line by line.
//! `haproxy:<log-format>` understands a `log-format` as it stands in the configuration.

mod clf;
mod events;
mod fields;
mod httplog;
mod log_format;
mod names;
mod plain;
mod session;
mod template;
mod termination;
mod variables;

use fields::{Notes, Stopped};
use httplog::Line;
use names::Names;
use session::Session;

use super::{Field, Format, Kind, LINE, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::event::Event;
use crate::syslog::{Header, start_of, strip};

/// HAProxy's logs.
pub const KIND: Kind = Kind {
    name: "haproxy",
    summary: "HAProxy: httplog, httpslog, tcplog, clf and error lines, mixed; or any log-format",
    example: "haproxy:%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %rc %{+Q}r",
    compile,
    built_in: || vec![Box::new(HaProxy::new())],
};

/// The names of the built-in formats: all of them are the one that understands all.
const BUILT_IN: [&str; 6] = ["httplog", "httpslog", "tcplog", "clf", "default", "error"];

fn compile(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    match setting {
        None => Ok(Box::new(HaProxy::new())),
        Some(name) if BUILT_IN.contains(&name) => Ok(Box::new(HaProxy::new())),
        Some(text) => Ok(Box::new(log_format::LogFormat::compile(text)?)),
    }
}

/// The built-in formats, told apart line by line.
#[derive(Debug)]
struct HaProxy {
    names: Names,
}

impl HaProxy {
    fn new() -> HaProxy {
        HaProxy { names: Names::new() }
    }

    /// The line behind its header; false: it is no session.
    fn session<'a, N: Notes<'a>>(
        &'a self,
        header: &Header<'a>,
        session: &mut Session<'a>,
        notes: &mut N,
    ) -> Result<bool, Stopped<'a>> {
        match httplog::line(header.rest, session, notes) {
            Ok((_, Line::Session)) => Ok(true),
            Ok((_, Line::Failed)) => Ok(false),
            Err(error) => self.other_line(header, stopped(error), session, notes),
        }
    }

    fn other_line<'a, N: Notes<'a>>(
        &'a self,
        header: &Header<'a>,
        stopped: Stopped<'a>,
        session: &mut Session<'a>,
        notes: &mut N,
    ) -> Result<bool, Stopped<'a>> {
        let rest = header.rest;
        if stopped.field == "%tr" && stopped.rest.starts_with(b"- ") {
            *session = clf::line(rest, &self.names, notes).map_err(self::stopped)?.1;
            return Ok(true);
        }
        if rest.starts_with(b"Connect from ") {
            events::connect(rest, notes).map_err(self::stopped)?;
            return Ok(false);
        }
        if events::is_known(rest) || events::is_message(header.tag, rest) {
            notes.note("message", rest);
            return Ok(false);
        }
        Err(stopped)
    }
}

impl HaProxy {
    /// A line that is not plain httplog, or no fine answer.
    #[inline(never)]
    fn parse_any<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        let header = &strip(line, &mut context.prefix);
        if let Some(session) = plain::line(header.rest)
            && let Some(record) = session.record(header, context)
        {
            return Ok(Parsed::Record(record));
        }
        let mut session = Session::new();
        match self.session(header, &mut session, &mut ()) {
            Ok(true) => match session.record(header, context) {
                Some(record) => Ok(Parsed::Record(record)),
                None => Err(no_date(line, session.date)),
            },
            Ok(false) => Ok(not_a_session(header, context)),
            Err(_) if is_blank_or_comment(line) => Ok(Parsed::Other),
            Err(stopped) => Err(stopped.malformed(line)),
        }
    }
}

/// A change of a server's or backend's state, dated by its header: the message has no date of its own.
fn not_a_session<'a>(header: &Header<'a>, context: &mut Context) -> Parsed<'a> {
    let Some(change) = events::change(header.rest) else { return Parsed::Other };
    let events::Change { happened, pool, upstream, detail } = change;
    let at = context.dates.any(header.stamp);
    Parsed::Event(Event { at, happened, node: header.host, pool, upstream, detail })
}

impl Format for HaProxy {
    fn name(&self) -> &str {
        "haproxy"
    }

    fn title(&self) -> String {
        "HAProxy".to_owned()
    }

    fn knows_upstream(&self) -> bool {
        true
    }

    fn needs_zone(&self) -> bool {
        true
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        let header = strip(line, &mut context.prefix);
        // Neither the header nor the session has an address here, so that they are never written to memory.
        if let Some(session) = plain::line(header.rest)
            && let Some(record) = session.fine(&header, context)
        {
            return Ok(Parsed::Record(record));
        }
        self.parse_any(line, context)
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let header = strip(line, &mut context.prefix);
        let mut notes: Vec<(&'static str, &'a [u8])> = Vec::new();
        // Where it stops is what `parse` says.
        let _ = self.session(&header, &mut Session::new(), &mut notes);
        explained(line, &header, notes)
    }
}

/// Blank lines and comments are no access-log lines by nature.
fn is_blank_or_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b"#")
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn stopped(error: nom::Err<Stopped<'_>>) -> Stopped<'_> {
    match error {
        nom::Err::Error(stopped) | nom::Err::Failure(stopped) => stopped,
        nom::Err::Incomplete(_) => Stopped { rest: b"", field: LINE, reason: "the line ends here" },
    }
}

impl<'a> Stopped<'a> {
    #[cold]
    fn malformed(self, line: &[u8]) -> Malformed<'a> {
        let at =
            if self.rest.is_empty() { line.len() } else { start_of(line, self.rest).unwrap_or(line.len()) };
        Malformed { field: self.field, at, reason: self.reason }
    }
}

fn no_date<'a>(line: &[u8], date: &[u8]) -> Malformed<'a> {
    Malformed { field: "%tr", at: start_of(line, date).unwrap_or(0), reason: "this is no date" }
}

/// The header's fields, then the line's, in the order of the line.
fn explained<'a>(
    line: &'a [u8],
    header: &Header<'a>,
    notes: Vec<(&'static str, &'a [u8])>,
) -> Vec<Field<'a>> {
    let of_header =
        [("syslog date", header.stamp), ("syslog host", header.host), ("syslog program", header.tag)];
    let mut fields: Vec<Field<'a>> = of_header
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .chain(notes)
        .map(|(name, value)| Field { name: name.to_owned(), value, at: offset_of(line, value) })
        .collect();
    fields.sort_by_key(|field| field.at);
    fields
}

/// Where a slice of the line begins, empty or not; the line's end for what is no slice of it.
fn offset_of(line: &[u8], part: &[u8]) -> usize {
    let at = (part.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    at.min(line.len())
}
