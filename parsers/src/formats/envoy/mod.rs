//! Envoy's access logs: any format string is compiled into the steps that read its lines. Istio's formats and Envoy's
//! own are known by name. JSON logs under the names that everybody takes are read by `json`, with the same verdict; under
//! other names by the dictionary that the configuration has.

mod built_in;
mod dictionary;
mod ejections;
mod operators;
mod record;
mod spec;
mod stamp;
mod steps;
pub(crate) mod verdict;

use self::built_in::{BUILT_IN, BuiltIn};
use self::dictionary::Dictionary;
pub(crate) use self::ejections::ejection;
use self::operators::{Shape as Value, Slot};
use self::record::{Carried, Values, Wrong};
use self::spec::Spec;
use super::{Field, Format, Kind, LINE, Malformed, Parsed, SpecError, json};
use crate::context::Context;
use crate::syslog::{self, Header};

/// `envoy`, `envoy:…`
pub const KIND: Kind = Kind {
    name: "envoy",
    summary: "Envoy's access logs: its default, Istio's by name, or the format string as it stands in the configuration",
    example: "envoy:[%START_TIME%] \"%REQ(:METHOD)% %REQ(:PATH)%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %DURATION% %UPSTREAM_HOST% %UPSTREAM_CLUSTER%",
    compile,
    built_in,
};

/// How a line holds its values.
#[derive(Debug)]
enum Shape {
    Text(Spec),
    Json(Dictionary),
}

impl Shape {
    fn spec(&self) -> &Spec {
        match self {
            Shape::Text(spec) => spec,
            Shape::Json(dictionary) => &dictionary.spec,
        }
    }
}

#[derive(Debug)]
struct Envoy {
    name: String,
    title: String,
    shape: Shape,
    carried: Carried,
    /// Its lines begin with a date, which no header's date may be confused with.
    begins_with_date: bool,
}

fn compile(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let setting = setting.unwrap_or_default();
    if let Some(known) = BUILT_IN.iter().find(|known| known.name == setting) {
        return Ok(Box::new(named(known)?));
    }
    if setting == "json" {
        return (json::KIND.compile)(None);
    }
    if let Some(dictionary) = setting.strip_prefix("json:") {
        let dictionary = Dictionary::compile(dictionary).map_err(|e| SpecError { at: e.at + 5, ..e })?;
        let (name, title) = (format!("envoy:{setting}"), "Envoy JSON format".to_owned());
        return Ok(Box::new(Envoy::new(name, title, Shape::Json(dictionary))));
    }
    if !setting.contains('%') {
        let names: Vec<_> = BUILT_IN.iter().map(|known| known.name).filter(|name| !name.is_empty()).collect();
        let message = format!(
            "no format of Envoy is called `{setting}`; known: {}; or give the format string itself, or json",
            names.join(", ")
        );
        return Err(SpecError { message, at: 0 });
    }
    let shape = Shape::Text(Spec::compile(setting)?);
    Ok(Box::new(Envoy::new(format!("envoy:{setting}"), "Envoy format string".to_owned(), shape)))
}

fn built_in() -> Vec<Box<dyn Format>> {
    let formats = BUILT_IN.iter().filter_map(|known| named(known).ok());
    formats.map(|format| Box::new(format) as Box<dyn Format>).collect()
}

fn named(known: &BuiltIn) -> Result<Envoy, SpecError> {
    let name = if known.name.is_empty() { "envoy".to_owned() } else { format!("envoy:{}", known.name) };
    Ok(Envoy::new(name, known.title.to_owned(), Shape::Text(Spec::compile(known.format)?)))
}

impl Envoy {
    fn new(name: String, title: String, shape: Shape) -> Envoy {
        let carried = Carried::of(shape.spec());
        let first = shape.spec().steps.first().map(|step| &step.operator.shape);
        let begins_with_date = shape.spec().head.is_empty() && matches!(first, Some(Value::Stamp(_)));
        Envoy { name, title, shape, carried, begins_with_date }
    }

    /// One line without a syslog header.
    fn bare<'a>(
        &'a self,
        line: &'a [u8],
        node: &'a [u8],
        context: &mut Context,
    ) -> Result<Parsed<'a>, Malformed<'a>> {
        let mut slots = steps::empty();
        match &self.shape {
            Shape::Json(dictionary) => dictionary.read(line, &mut slots)?,
            Shape::Text(spec) => steps::read(spec, line, &mut slots).map_err(|refused| Malformed {
                field: self.field(refused.step),
                at: refused.at,
                reason: refused.reason,
            })?,
        }
        let values = Values { spec: self.shape.spec(), carried: &self.carried, slots: &slots };
        values.record(node, context).map(Parsed::Record).map_err(|Wrong(step, reason)| {
            let at = match &self.shape {
                Shape::Json(dictionary) => dictionary.place(line, step),
                Shape::Text(spec) => steps::trace(spec, line).get(step).map_or(0, |(at, _)| *at),
            };
            Malformed { field: self.field(step), at, reason }
        })
    }

    fn field(&self, step: usize) -> &str {
        self.shape.spec().steps.get(step).map_or(LINE, |step| step.operator.text.as_str())
    }

    fn header<'a>(&self, line: &'a [u8], context: &mut Context) -> Header<'a> {
        let strip = if self.begins_with_date { syslog::strip_before_date } else { syslog::strip };
        strip(line, &mut context.prefix)
    }

    /// Every field of a line without its header, as far as it can be read.
    fn fields<'a>(&self, line: &'a [u8], offset: usize) -> Vec<Field<'a>> {
        match &self.shape {
            Shape::Json(dictionary) => dictionary.explain(line, offset),
            Shape::Text(spec) => {
                let named = spec.steps.iter().zip(steps::trace(spec, line));
                let field = |(step, (at, value)): (&spec::Step, (usize, &'a [u8]))| Field {
                    name: step.operator.text.clone(),
                    value,
                    at: at + offset,
                };
                named.map(field).collect()
            }
        }
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
        let needs = |shape: &Value| matches!(shape, Value::Stamp(stamp) if stamp.needs_zone());
        self.shape.spec().steps.iter().any(|step| needs(&step.operator.shape))
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
        let offset = line.len() - header.rest.len();
        let (whole, behind) = (self.fields(line, 0), self.fields(header.rest, offset));
        if offset == 0 || behind.len() <= whole.len() {
            return whole;
        }
        header.fields(line).chain(behind).collect()
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
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let date = words.next().unwrap_or_default();
    let is_date = date.len() >= 20 && date.first().is_some_and(u8::is_ascii_digit) && date.contains(&b'T');
    is_date && words.next().is_some_and(is_level)
}

fn is_level(word: &[u8]) -> bool {
    matches!(word, b"trace" | b"debug" | b"info" | b"warning" | b"warn" | b"error" | b"critical" | b"fatal")
}

#[cfg(test)]
mod tests;
