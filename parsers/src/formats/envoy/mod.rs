//! Envoy's access logs: any format string is compiled into the steps that read its lines. Istio's formats and Envoy's
//! own are known by name. JSON logs are read by `json`, with the same verdict.

mod built_in;
mod ejections;
mod operators;
mod record;
mod spec;
mod stamp;
mod steps;
pub(crate) mod verdict;

use self::built_in::{BUILT_IN, BuiltIn};
pub(crate) use self::ejections::ejection;
use self::operators::{Shape, Slot};
use self::record::{Carried, Values};
use self::spec::Spec;
use super::{Field, Format, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::offset_in;
use crate::syslog::{self, Header};

/// `envoy`, `envoy:…`
pub const KIND: Kind = Kind {
    name: "envoy",
    summary: "Envoy's access logs: its default, Istio's by name, or the format string as it stands in the configuration",
    example: "envoy:[%START_TIME%] \"%REQ(:METHOD)% %REQ(:PATH)%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %DURATION% %UPSTREAM_HOST% %UPSTREAM_CLUSTER%",
    compile,
    built_in,
};

#[derive(Debug)]
struct Envoy {
    name: String,
    title: String,
    spec: Spec,
    carried: Carried,
    /// Its lines begin with a date, which no header's date may be confused with.
    begins_with_date: bool,
}

fn compile(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let setting = setting.unwrap_or_default();
    if let Some(known) = BUILT_IN.iter().find(|known| known.name == setting) {
        return Ok(Box::new(named(known)?));
    }
    if !setting.contains('%') {
        let names: Vec<_> = BUILT_IN.iter().map(|known| known.name).filter(|name| !name.is_empty()).collect();
        let message = format!(
            "no format of Envoy is called `{setting}`; known: {}; or give the format string itself, or json",
            names.join(", ")
        );
        return Err(SpecError { message, at: 0 });
    }
    let spec = Spec::compile(setting)?;
    Ok(Box::new(Envoy::new(format!("envoy:{setting}"), "Envoy format string".to_owned(), spec)))
}

fn built_in() -> Vec<Box<dyn Format>> {
    let formats = BUILT_IN.iter().filter_map(|known| named(known).ok());
    formats.map(|format| Box::new(format) as Box<dyn Format>).collect()
}

fn named(known: &BuiltIn) -> Result<Envoy, SpecError> {
    let name = if known.name.is_empty() { "envoy".to_owned() } else { format!("envoy:{}", known.name) };
    Ok(Envoy::new(name, known.title.to_owned(), Spec::compile(known.format)?))
}

impl Envoy {
    fn new(name: String, title: String, spec: Spec) -> Envoy {
        let carried = Carried::of(&spec);
        let first = spec.steps.first().map(|step| &step.operator.shape);
        let begins_with_date = spec.head.is_empty() && matches!(first, Some(Shape::Stamp(_)));
        Envoy { name, title, spec, carried, begins_with_date }
    }

    /// One line without a syslog header.
    fn bare<'a>(
        &'a self,
        line: &'a [u8],
        node: &'a [u8],
        context: &mut Context,
    ) -> Result<Parsed<'a>, Malformed<'a>> {
        let mut slots = steps::empty();
        if let Err(refused) = steps::read(&self.spec, line, &mut slots) {
            return Err(Malformed {
                field: self.field(refused.step),
                at: refused.at,
                reason: refused.reason,
            });
        }
        let values = Values { spec: &self.spec, carried: &self.carried, slots: &slots };
        values.record(node, context).map(Parsed::Record).map_err(|step| {
            let at = steps::trace(&self.spec, line).get(step).map_or(0, |(at, _)| *at);
            Malformed { field: self.field(step), at, reason: "no such date" }
        })
    }

    fn field(&self, step: usize) -> &str {
        self.spec.steps.get(step).map_or("", |step| step.operator.text.as_str())
    }

    fn header<'a>(&self, line: &'a [u8], context: &mut Context) -> Header<'a> {
        let strip = if self.begins_with_date { syslog::strip_before_date } else { syslog::strip };
        strip(line, &mut context.prefix)
    }
}

impl Format for Envoy {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn knows_upstream(&self) -> bool {
        self.carried.has(Slot::Host) || self.carried.has(Slot::RemoteAddress)
    }

    fn needs_zone(&self) -> bool {
        let needs = |shape: &Shape| matches!(shape, Shape::Stamp(stamp) if stamp.needs_zone());
        self.spec.steps.iter().any(|step| needs(&step.operator.shape))
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        let header = self.header(line, context);
        let at = line.len() - header.rest.len();
        let parsed = self.bare(header.rest, header.host, context);
        let Err(malformed) = parsed else { return parsed };
        // What looked like a header may have been the line's own.
        if at > 0
            && let Ok(parsed) = self.bare(line, b"", context)
        {
            return Ok(parsed);
        }
        if is_other(header.rest) || is_other(line) {
            return Ok(Parsed::Other);
        }
        Err(Malformed { at: malformed.at + at, ..malformed })
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let header = self.header(line, context);
        let (whole, behind) = (steps::trace(&self.spec, line), steps::trace(&self.spec, header.rest));
        let is_behind = header.rest.len() < line.len() && behind.len() > whole.len();
        let (offset, values) = if is_behind { (offset_in(line, header.rest), behind) } else { (0, whole) };
        let parts = [("syslog time", header.stamp), ("syslog host", header.host), ("syslog tag", header.tag)];
        let parts = parts.into_iter().filter(|(_, value)| is_behind && !value.is_empty());
        let header =
            parts.map(|(name, value)| Field { name: name.to_owned(), value, at: offset_in(line, value) });
        let fields = self.spec.steps.iter().zip(values);
        header
            .chain(fields.map(|(step, (at, value))| Field {
                name: step.operator.text.clone(),
                value,
                at: at + offset,
            }))
            .collect()
    }
}

/// Whether this is no access-log line by nature: a blank line, a comment, or what Envoy and Istio's agent write of
/// themselves to the same output. Half an access-log line is none of these.
fn is_other(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return true;
    }
    // `[2026-11-22 15:18:15.430][7][info][main] [source/server/server.cc:404] initializing`
    if let Some(inside) = line.strip_prefix(b"[") {
        let mut parts = inside.split(|b| *b == b']');
        let date = parts.next().unwrap_or_default();
        let is_date =
            date.len() >= 19 && date.first().is_some_and(u8::is_ascii_digit) && date.contains(&b' ');
        let thread = parts.next().and_then(|part| part.strip_prefix(b"[")).unwrap_or_default();
        let level = parts.next().and_then(|part| part.strip_prefix(b"[")).unwrap_or_default();
        return is_date && !thread.is_empty() && thread.iter().all(u8::is_ascii_digit) && is_level(level);
    }
    // `2022-09-01T13:15:09.085158Z\tinfo\tReadiness succeeded`
    let mut words = line.split(|b| *b == b'\t');
    let date = words.next().unwrap_or_default();
    let is_date = date.len() >= 20 && date.first().is_some_and(u8::is_ascii_digit) && date.contains(&b'T');
    is_date && words.next().is_some_and(is_level)
}

fn is_level(word: &[u8]) -> bool {
    matches!(word, b"trace" | b"debug" | b"info" | b"warning" | b"warn" | b"error" | b"critical" | b"fatal")
}

#[cfg(test)]
mod tests;
