//! nginx's access logs: any `log_format` string is compiled into the steps that read its lines.

mod built_in;
mod quick;
mod spec;
mod steps;
mod variables;
pub(crate) mod verdict;

use self::built_in::{BUILT_IN, BuiltIn};
use self::spec::Spec;
use self::variables::Slot;
use self::verdict::Carried;
use super::{Field, Format, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::proxy_status;
use crate::syslog::{self, Header, Prefix};

/// `nginx:…`
pub const KIND: Kind = Kind {
    name: "nginx",
    summary: "nginx access logs, by name or by the log_format string as it stands in nginx.conf",
    example: "nginx:$remote_addr [$time_local] \"$request\" $status $upstream_addr $upstream_status",
    compile,
    built_in,
};

/// `nginx-stream:…`
pub const STREAM: Kind = Kind {
    name: "nginx-stream",
    summary: "nginx stream logs (TCP and UDP sessions), by the log_format string as it stands in stream { }",
    example: "nginx-stream:$remote_addr [$time_local] $protocol $status $session_time \"$upstream_addr\"",
    compile: compile_stream,
    built_in: Vec::new,
};

#[derive(Debug)]
struct Nginx {
    name: String,
    title: String,
    spec: Spec,
    carried: Carried,
    /// Its lines begin with a date, which no header's date may be confused with.
    begins_with_date: bool,
}

fn compile(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let setting = setting.unwrap_or("combined");
    if let Some(known) = BUILT_IN.iter().find(|known| known.name == setting) {
        return Ok(Box::new(named(known)?));
    }
    let is_word_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if setting.bytes().all(is_word_byte) {
        let names: Vec<_> = BUILT_IN.iter().map(|known| known.name).collect();
        let message = format!(
            "no nginx format is called `{setting}`; known: {}; or give the log_format string itself",
            names.join(", ")
        );
        return Err(SpecError { message, at: 0 });
    }
    let title =
        spec::directive_name(setting).map_or("nginx log_format".to_owned(), |name| format!("nginx {name}"));
    Ok(Box::new(Nginx::new(format!("nginx:{setting}"), title, spec::compile(setting)?)))
}

fn compile_stream(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let setting = setting.unwrap_or("stream");
    if BUILT_IN.iter().any(|known| known.name == setting) {
        return compile(Some(setting));
    }
    let mut format =
        Nginx::new(format!("nginx-stream:{setting}"), "nginx stream".to_owned(), spec::compile(setting)?);
    format.carried = format.carried.with(Slot::Protocol);
    Ok(Box::new(format))
}

fn built_in() -> Vec<Box<dyn Format>> {
    let formats = BUILT_IN.iter().filter_map(|known| named(known).ok());
    formats.map(|format| Box::new(format) as Box<dyn Format>).collect()
}

fn named(known: &BuiltIn) -> Result<Nginx, SpecError> {
    let spec = spec::compile(known.log_format)?;
    Ok(Nginx::new(format!("nginx:{}", known.name), known.title.to_owned(), spec))
}

/// The header that tells of an error, if the format logs one. Of several the first one counts.
fn one_header(spec: &mut Spec) -> Option<proxy_status::Header> {
    let mut header = None;
    for step in spec.steps.iter_mut().filter(|step| step.slot == Some(Slot::ProxyStatus)) {
        match header {
            Some(_) => step.slot = None,
            None => header = proxy_status::Header::named(step.name.trim_start_matches('$').as_bytes()),
        }
    }
    header
}

impl Nginx {
    fn new(name: String, title: String, mut spec: Spec) -> Nginx {
        let header = one_header(&mut spec);
        let slots = spec.steps.iter().filter_map(|step| step.slot);
        let carried = slots.fold(Carried::default().telling(header), Carried::with);
        let first = spec.steps.first().and_then(|step| step.slot);
        let begins_with_date = spec.head.len() == 0 && matches!(first, Some(Slot::TimeIso | Slot::TimeLocal));
        Nginx { name, title, spec, carried, begins_with_date }
    }

    /// One line without a syslog header.
    fn bare<'a>(
        &'a self,
        line: &'a [u8],
        node: &'a [u8],
        context: &mut Context,
    ) -> Result<Parsed<'a>, Malformed<'a>> {
        let mut slots = steps::empty();
        let (head, steps) = (&self.spec.head, &self.spec.steps[..]);
        if quick::read(head, steps, line, &mut slots).is_none()
            && let Err(refused) = steps::read(head, steps, line, &mut slots)
        {
            // Behind the last value there is more of the line: it is that value that did not end where it should.
            let field = self.field(refused.step.unwrap_or(steps.len().saturating_sub(1)));
            return Err(Malformed { field, at: refused.at, reason: refused.reason });
        }
        match verdict::time(&slots, self.carried, context) {
            Ok(end) => Ok(Parsed::Record(verdict::record(&slots, self.carried, end, node, context))),
            Err(slot) => Err(self.no_such_date(line, slot)),
        }
    }

    fn no_such_date(&self, line: &[u8], slot: Slot) -> Malformed<'_> {
        let step = self.spec.steps.iter().position(|step| step.slot == Some(slot)).unwrap_or_default();
        let at = steps::trace(&self.spec.head, &self.spec.steps, line).get(step).map_or(0, |(at, _)| *at);
        Malformed { field: self.field(step), at, reason: "no such date" }
    }

    fn field(&self, step: usize) -> &str {
        self.spec.steps.get(step).map_or("", |step| step.name.as_str())
    }

    fn header<'a>(&self, line: &'a [u8], context: &mut Context) -> Header<'a> {
        let strip = if self.begins_with_date { syslog::strip_before_date } else { syslog::strip };
        strip(line, &mut context.prefix)
    }

    /// One line with a syslog header, which may name the node; `None`: it bears none.
    fn behind_header<'a>(
        &'a self,
        line: &'a [u8],
        context: &mut Context,
    ) -> Option<Result<Parsed<'a>, Malformed<'a>>> {
        let header = self.header(line, context);
        let at = line.len().checked_sub(header.rest.len()).filter(|at| *at > 0)?;
        let parsed = self.bare(header.rest, header.host, context);
        Some(parsed.map_err(|malformed| Malformed { at: malformed.at + at, ..malformed }))
    }

    /// A line with a syslog header, or one that leaves a choice, or none of this format.
    #[inline(never)]
    fn parse_slowly<'a>(
        &'a self,
        line: &'a [u8],
        context: &mut Context,
    ) -> Result<Parsed<'a>, Malformed<'a>> {
        // The last line's header is looked for first, so that no line is read twice.
        if context.prefix != Prefix::None
            && let Some(parsed @ Ok(_)) = self.behind_header(line, context)
        {
            return parsed;
        }
        match self.bare(line, b"", context) {
            Err(malformed) => self.behind_header(line, context).unwrap_or(Err(malformed)),
            parsed => parsed,
        }
    }
}

impl Format for Nginx {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn knows_upstream(&self) -> bool {
        self.carried.has(Slot::Addr)
    }

    /// `$time_iso8601`, `$time_local` and `$msec` all carry one.
    fn needs_zone(&self) -> bool {
        false
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        if line.first().is_none_or(|b| *b == b'#') || line.trim_ascii().is_empty() {
            return Ok(Parsed::Other);
        }
        let mut slots = steps::empty();
        if context.prefix == Prefix::None
            && quick::read(&self.spec.head, &self.spec.steps, line, &mut slots).is_some()
            && let Ok(end) = verdict::time(&slots, self.carried, context)
        {
            return Ok(Parsed::Record(verdict::record(&slots, self.carried, end, b"", context)));
        }
        self.parse_slowly(line, context)
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let whole = steps::trace(&self.spec.head, &self.spec.steps, line);
        let header = self.header(line, context);
        let offset = line.len() - header.rest.len();
        let behind = steps::trace(&self.spec.head, &self.spec.steps, header.rest);
        let is_behind = offset > 0 && behind.len() > whole.len();
        let (offset, values) = if is_behind { (offset, behind) } else { (0, whole) };
        let header = header.fields(line).filter(|_| is_behind);
        let fields = self.spec.steps.iter().zip(values);
        header
            .chain(fields.map(|(step, (at, value))| Field {
                name: step.name.clone(),
                value,
                at: at + offset,
            }))
            .collect()
    }
}

#[cfg(test)]
mod tests;
