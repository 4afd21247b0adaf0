//! A `log-format` as it stands in the configuration → a [`Template`], and its values → a record.

use super::events;
use super::httplog::{self, Line};
use super::names::Names;
use super::session::{Mode, Request, Session};
use super::template::{Piece, Slot, Template, Values};
use super::termination::Termination;
use super::variables::{pieces, told, unquoted};
use super::{explained, is_blank_or_comment, offset_of};
use crate::context::Context;
use crate::formats::{self, Format, Malformed, Parsed, SpecError};
use crate::proxy_status;
use crate::record::Record;
use crate::syslog::{Header, strip, strip_before_date};
use crate::text::dash;

/// A compiled `log-format`.
#[derive(Debug)]
pub(super) struct LogFormat {
    name: String,
    template: Template,
    times: Times,
    mode: Mode,
    names: Names,
    /// Whose value tells of an error.
    told: Option<proxy_status::Header>,
    /// Whether a line begins with a date, so that none is taken for a header's.
    begins_with_date: bool,
}

/// The first header that tells of an error; others are read as any text is.
fn one_header(pieces: &mut [Piece]) -> Option<proxy_status::Header> {
    let mut header = None;
    for piece in pieces {
        match piece {
            Piece::Field(field) if field.slot == Slot::Told && header.is_some() => field.slot = Slot::None,
            Piece::Field(field) if field.slot == Slot::Told => header = told(&field.name),
            _ => {}
        }
    }
    header
}

/// Which fields say when a session ended.
#[derive(Debug)]
struct Times {
    date: Slot,
    /// From that date to the end; without it, `phases` together are a lower bound.
    total: Option<Slot>,
    /// Phases before what `total` counts.
    before: &'static [Slot],
}

const PHASES: &[Slot] = &[Slot::Th, Slot::Ti, Slot::TR, Slot::Tw, Slot::Tc, Slot::Tr, Slot::Td];
const REQUEST_PHASES: &[Slot] = &[Slot::TR, Slot::Tw, Slot::Tc, Slot::Tr, Slot::Td];

impl Times {
    fn of(template: &Template) -> Option<Times> {
        let has = |slot: &Slot| template.has(*slot);
        let request = [Slot::RequestDate, Slot::RequestDateZoned].into_iter().find(has);
        let accept = [Slot::AcceptDate, Slot::AcceptDateZoned, Slot::AcceptSeconds].into_iter().find(has);
        let ta = Some(Slot::Ta).filter(has);
        let tt = Some(Slot::Tt).filter(has);
        match (request, accept) {
            (Some(date), _) if ta.is_some() => Some(Times { date, total: ta, before: &[] }),
            (_, Some(date)) if tt.is_some() => Some(Times { date, total: tt, before: &[] }),
            (Some(date), _) => Some(Times { date, total: tt, before: &[] }),
            // `%Tt` = `%Th` + `%Ti` + `%Ta`.
            (None, Some(date)) => Some(Times { date, total: ta, before: &[Slot::Th, Slot::Ti] }),
            (None, None) => None,
        }
    }

    fn phases(&self) -> &'static [Slot] {
        match self.date {
            Slot::RequestDate | Slot::RequestDateZoned => REQUEST_PHASES,
            _ => PHASES,
        }
    }
}

impl LogFormat {
    /// Compiles the string of a `log-format` line, with or without that word, quotes and escapes.
    pub fn compile(setting: &str) -> Result<LogFormat, SpecError> {
        let text = unquoted(setting);
        let mut pieces = pieces(&text, setting)?;
        let told = one_header(&mut pieces);
        let template = Template::new(pieces).map_err(|message| SpecError { message, at: 0 })?;
        let Some(times) = Times::of(&template) else {
            let message = "this log-format has no date: add %tr (or %t, %trg, %T, %Ts)".to_owned();
            return Err(SpecError { message, at: 0 });
        };
        if !template.has(Slot::Status) && !template.has(Slot::State) {
            let message =
                "this log-format has neither a status (%ST) nor a termination state (%tsc)".to_owned();
            return Err(SpecError { message, at: 0 });
        }
        let mode = if template.has(Slot::Status) { Mode::Http } else { Mode::Tcp };
        let begins_with_date = template.begins_with_date();
        let template = template.needing(&[
            times.date,
            times.total.unwrap_or(Slot::None),
            Slot::Status,
            Slot::State,
            Slot::Retries,
            Slot::Backend,
            Slot::Server,
        ]);
        let name = format!("haproxy:{setting}");
        Ok(LogFormat { name, template, times, mode, names: Names::new(), told, begins_with_date })
    }

    fn header<'a>(&self, line: &'a [u8], context: &mut Context) -> Header<'a> {
        if self.begins_with_date {
            strip_before_date(line, &mut context.prefix)
        } else {
            strip(line, &mut context.prefix)
        }
    }

    fn session<'a>(&'a self, line: &'a [u8], values: &Values<'a>) -> Result<Session<'a>, Wrong<'a>> {
        let date = values.get(self.times.date);
        let mut session = Session::new();
        (session.mode, session.date) = (self.mode, date);
        if let Some(text) = self.logged(values, Slot::Status) {
            session.status = httplog::status(text).ok_or(Wrong("%ST", text, "a status should be here"))?;
        }
        if let Some(text) = self.logged(values, Slot::State) {
            session.termination =
                Termination::parse(text).ok_or(Wrong("%tsc", text, "no termination state"))?;
        }
        (session.backend, session.server) = (dash(values.get(Slot::Backend)), dash(values.get(Slot::Server)));
        session.upstream = self.upstream(line, &mut session, values);
        session.retries = if self.template.has(Slot::Retries) { values.get(Slot::Retries) } else { b"0" };
        session.site = dash(values.get(Slot::Site));
        session.node = dash(values.get(Slot::Node));
        session.told = self.told.and_then(|header| header.cause(values.get(Slot::Told)));
        session.request = if self.template.has(Slot::Request) {
            Request::Line(values.get(Slot::Request))
        } else {
            let target = match values.get(Slot::Target) {
                b"" => values.get(Slot::Path),
                target => target,
            };
            Request::Parts { method: dash(values.get(Slot::Method)), target: dash(target) }
        };
        self.set_times(&mut session, values)?;
        Ok(session)
    }

    fn logged<'a>(&self, values: &Values<'a>, slot: Slot) -> Option<&'a [u8]> {
        self.template.has(slot).then(|| values.get(slot))
    }

    /// `%b/%s` as one slice of the line if they stand so; else made once for all lines. Without a server's name, its
    /// address.
    fn upstream<'a>(&'a self, line: &'a [u8], session: &mut Session<'a>, values: &Values<'a>) -> &'a [u8] {
        let address = dash(values.get(Slot::ServerAddress));
        if session.server.is_empty() && !address.is_empty() {
            session.server = address;
            return joined(line, address, b':', values.get(Slot::ServerPort)).unwrap_or(address);
        }
        joined(line, session.backend, b'/', session.server)
            .unwrap_or_else(|| self.names.join(session.backend, session.server))
    }

    fn set_times<'a>(&self, session: &mut Session<'a>, values: &Values<'a>) -> Result<(), Wrong<'a>> {
        use super::fields::{Timer, timer};
        let phase = |slot: &Slot| timer(values.get(*slot)).map_or(0, |timer| timer.ms.max(0));
        session.later = self.times.before.iter().map(phase).sum();
        if matches!(self.times.date, Slot::RequestDateZoned | Slot::AcceptDateZoned | Slot::AcceptSeconds)
            && self.template.has(Slot::AcceptMillis)
        {
            session.later += phase(&Slot::AcceptMillis).min(999);
        }
        session.total = match self.times.total {
            Some(slot) => {
                let text = values.get(slot);
                Some(timer(text).ok_or(Wrong("%Ta", text, "a time in milliseconds should be here"))?)
            }
            None => {
                let ms = self.times.phases().iter().filter(|slot| self.template.has(**slot)).map(phase).sum();
                Some(Timer { ms, at_least: true })
            }
        };
        Ok(())
    }

    fn record<'a>(
        &'a self,
        header: &Header<'a>,
        values: &Values<'a>,
        context: &mut Context,
    ) -> Result<Record<'a>, Wrong<'a>> {
        let session = self.session(header.rest, values)?;
        let wrong = Wrong("%tr", session.date, "this is no date");
        if self.times.date != Slot::AcceptSeconds {
            return session.record(header, context).ok_or(wrong);
        }
        let start = crate::time::epoch(session.date).ok_or(wrong)?;
        Ok(session.record_from(start, header, context))
    }
}

/// A field's name, its value, and what is wrong with it.
struct Wrong<'a>(&'static str, &'a [u8], &'static str);

/// Two neighbours in the line with this byte between them, as one slice.
fn joined<'a>(line: &'a [u8], left: &'a [u8], between: u8, right: &'a [u8]) -> Option<&'a [u8]> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let (from, at) = (offset_of(line, left), offset_of(line, right));
    let end = from + left.len();
    (at == end + 1 && line.get(end) == Some(&between)).then(|| line.get(from..at + right.len()))?
}

impl Format for LogFormat {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        "HAProxy log-format".to_owned()
    }

    fn knows_upstream(&self) -> bool {
        self.template.has(Slot::Server) || self.template.has(Slot::ServerAddress)
    }

    fn needs_zone(&self) -> bool {
        matches!(self.times.date, Slot::RequestDate | Slot::AcceptDate)
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        let header = self.header(line, context);
        let mut values = Values::default();
        if let Err(stopped) = self.template.run(header.rest, &mut values) {
            // Errors of connections and messages about servers do not follow the log-format.
            let is_other = is_blank_or_comment(line)
                || events::is_known(header.rest)
                || events::connect(header.rest, &mut ()).is_ok()
                || httplog::line(header.rest, &mut Session::new(), &mut ())
                    .is_ok_and(|(_, line)| line == Line::Failed);
            if is_other {
                return Ok(super::not_a_session(&header, context));
            }
            let (field, at) =
                (self.template.name_of(stopped.piece), line.len() - header.rest.len() + stopped.at);
            return Err(Malformed { field, at, reason: "the line goes on otherwise" });
        }
        match self.record(&header, &values, context) {
            Ok(record) => Ok(Parsed::Record(record)),
            Err(Wrong(field, text, reason)) => Err(Malformed { field, at: offset_of(line, text), reason }),
        }
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<formats::Field<'a>> {
        let header = self.header(line, context);
        let mut found: Vec<(usize, &'a [u8])> = Vec::new();
        // Where it stops is what `parse` says.
        let _ = self.template.run(header.rest, &mut found);
        let mut fields = explained(line, &header, Vec::new());
        fields.extend(found.into_iter().map(|(piece, value)| formats::Field {
            name: self.template.name_of(piece).to_owned(),
            value,
            at: offset_of(line, value),
        }));
        fields
    }
}
