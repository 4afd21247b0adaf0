//! `w3c` — the W3C's extended log format: a `#Fields` line says what the columns are (IIS, CloudFront, Blue Coat, Tomcat).
//! A file may hold several; each is good up to the next. `w3c:date time …` names the columns, for a file that does not,
//! or that is read from its middle on. Stamps are UTC.
//!
//! So its blocks are read one after the other, never side by side: another `#Fields` of as many columns would be read by
//! the head's, and no line would show it.
//!
//! `cloudfront` is `w3c` with CloudFront's own columns until a `#Fields` line says otherwise. Values stay as logged,
//! percent-encoded.

mod cloudfront;
mod columns;
mod iis;

use std::sync::Arc;

pub use columns::Columns;
use columns::{Role, Speaker};

use super::{Field, Format, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::{Unit, duration, offset_in};
use crate::reason::Cause;
use crate::record::{Millis, Outcome, Record, Status};
use crate::text;
use crate::upstreams::{Attempt, Attempts};

/// `w3c`
pub const W3C: Kind = Kind {
    name: "w3c",
    summary: "W3C extended log format (IIS and others): columns by the file's #Fields line, or as named here",
    example: "w3c:date time s-ip cs-method cs-uri-stem sc-status sc-substatus sc-win32-status time-taken",
    compile: |setting| match setting {
        None => Ok(Box::new(W3c { name: "w3c".to_owned(), columns: None })),
        Some(fields) => of_columns(fields),
    },
    built_in: || vec![Box::new(W3c { name: "w3c".to_owned(), columns: None })],
};

/// `cloudfront`
pub const CLOUDFRONT: Kind = Kind {
    name: "cloudfront",
    summary: "Amazon CloudFront's standard logs, with or without their #Fields line",
    example: "cloudfront",
    compile: |setting| match setting {
        None => Ok(Box::new(standard())),
        Some(_) => Err(SpecError {
            message:
                "`cloudfront` takes no setting; for a real-time log's columns write w3c:timestamp c-ip …"
                    .to_owned(),
            at: 0,
        }),
    },
    built_in: || vec![Box::new(standard())],
};

fn standard() -> W3c {
    W3c { name: "cloudfront".to_owned(), columns: Columns::compile(cloudfront::FIELDS).ok().map(Arc::new) }
}

fn of_columns(fields: &str) -> Result<Box<dyn Format>, SpecError> {
    let fields = fields.trim();
    let columns = Columns::compile(fields)?;
    if let Some(lacks) = columns.lacks() {
        return Err(SpecError { message: lacks.to_owned(), at: fields.len() });
    }
    Ok(Box::new(W3c { name: name_of(&columns), columns: Some(Arc::new(columns)) }))
}

/// What `compile` makes the same of.
fn name_of(columns: &Columns) -> String {
    let is_standard = columns.text().split(' ').eq(cloudfront::FIELDS.split_ascii_whitespace());
    if is_standard { "cloudfront".to_owned() } else { format!("w3c:{}", columns.text()) }
}

#[derive(Debug)]
struct W3c {
    name: String,
    /// Until a `#Fields` line says otherwise.
    columns: Option<Arc<Columns>>,
}

impl W3c {
    fn columns<'c>(&'c self, context: &'c Context) -> Option<&'c Columns> {
        context.columns.as_deref().or(self.columns.as_deref())
    }

    /// A line that begins with `#`.
    fn directive(&self, line: &[u8], context: &mut Context) {
        let Some(fields) = fields_of(line) else { return };
        if self.columns(context).is_some_and(|columns| columns.text().as_bytes() == fields) {
            return;
        }
        // Columns that say nothing replace the old ones all the same: those would read something else in these lines.
        let columns = std::str::from_utf8(fields).ok().and_then(|fields| Columns::compile(fields).ok());
        context.columns = Some(Arc::new(columns.unwrap_or_else(Columns::unreadable)));
    }
}

/// Lines that no other format has.
const DIRECTIVES: [&[u8]; 7] =
    [b"#Version:", b"#Fields:", b"#Software:", b"#Start-Date:", b"#End-Date:", b"#Date:", b"#Remark:"];

/// What a `#Fields` line names.
fn fields_of(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    Some(line.strip_prefix(b"#Fields:")?.trim_ascii())
}

impl Format for W3c {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        match &self.columns {
            Some(columns) => columns.speaker().title().to_owned(),
            None => Speaker::Anyone.title().to_owned(),
        }
    }

    fn knows_upstream(&self) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.has(Role::Upstream))
    }

    fn needs_zone(&self) -> bool {
        false
    }

    fn for_head(&self, head: &[&[u8]]) -> Option<Box<dyn Format>> {
        if self.columns.is_some() && self.name != "cloudfront" {
            return None;
        }
        let fields = head.iter().find_map(|line| fields_of(line))?;
        of_columns(std::str::from_utf8(fields).ok()?).ok()
    }

    fn name_in(&self, context: &Context) -> String {
        match &context.columns {
            Some(columns) if columns.lacks().is_none() => name_of(columns),
            _ => self.name.clone(),
        }
    }

    fn is_learned_as(&self, name: &str) -> bool {
        name.starts_with("w3c:") || name == "cloudfront"
    }

    fn reads_in_order(&self) -> bool {
        true
    }

    fn is_own(&self, line: &[u8], _context: &mut Context) -> bool {
        self.columns.is_some() && DIRECTIVES.iter().any(|own| line.starts_with(own))
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        if line.trim_ascii().is_empty() {
            return Ok(Parsed::Other);
        }
        if line.starts_with(b"#") || line.starts_with(b"\xef\xbb\xbf#") {
            self.directive(line, context);
            return Ok(Parsed::Other);
        }
        let columns = context.columns.clone().or_else(|| self.columns.clone());
        let Some(columns) = columns else {
            return Err(Malformed { field: "#Fields", at: 0, reason: "no such line came before this one" });
        };
        if let Some(reason) = columns.lacks() {
            return Err(Malformed { field: "#Fields", at: 0, reason });
        }
        let values = Values::read(&columns, line)?;
        record(&columns, &values, context).map(Parsed::Record)
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let Some(columns) = self.columns(context).filter(|_| !line.starts_with(b"#")) else {
            return Vec::new();
        };
        let values = columns::split(line);
        let fields = columns.text().split(' ').zip(values);
        fields
            .map(|(name, value)| Field { name: name.to_owned(), value, at: offset_in(line, value) })
            .collect()
    }
}

/// The values of a line by what they mean.
struct Values<'a> {
    line: &'a [u8],
    by_role: [Option<&'a [u8]>; Role::COUNT],
}

impl<'a> Values<'a> {
    fn read(columns: &Columns, line: &'a [u8]) -> Result<Values<'a>, Malformed<'static>> {
        let mut values = Values { line, by_role: [None; Role::COUNT] };
        let mut count = 0;
        for value in columns::split(line) {
            if let Some(place) = columns.role(count).and_then(|role| values.by_role.get_mut(role as usize)) {
                *place = Some(value);
            }
            count += 1;
        }
        // A blank inside a value would move all that follow. CloudFront adds columns at the end.
        let is_longer = count > columns.count() && !line.contains(&b'\t');
        if count < columns.count() || is_longer {
            let reason = if is_longer { "more values than columns" } else { "fewer values than columns" };
            return Err(Malformed { field: "#Fields", at: line.len(), reason });
        }
        Ok(values)
    }

    fn get(&self, role: Role) -> &'a [u8] {
        self.by_role.get(role as usize).copied().flatten().map_or(&b""[..], text::dash)
    }

    fn bad(&self, role: Role, reason: &'static str) -> Malformed<'static> {
        Malformed { field: role.name(), at: offset_in(self.line, self.get(role)), reason }
    }
}

fn record<'a>(
    columns: &Columns,
    values: &Values<'a>,
    context: &mut Context,
) -> Result<Record<'a>, Malformed<'static>> {
    let stamp = end(values, context)?;
    let status = match values.get(Role::Status) {
        b"" => Status::NONE,
        value @ [_, _, _] => text::status(value).ok_or_else(|| values.bad(Role::Status, "no status"))?,
        // IIS writes 0 where it sent none.
        b"0" => Status::new(0),
        _ => return Err(values.bad(Role::Status, "no status")),
    };
    let mut record = Record::new(stamp, status);
    record.request_time = request_time(columns, values.get(Role::TimeTaken));
    record.method = values.get(Role::Method);
    record.path = values.get(Role::Path);
    record.node = values.get(Role::Node);
    let site = [Role::HostHeader, Role::Host].map(|role| values.get(role));
    record.site = text::site(site.into_iter().find(|site| !site.is_empty()).unwrap_or_default());
    let outcome = match columns.speaker() {
        Speaker::CloudFront => cloudfront::outcome(values, status),
        Speaker::Iis => iis::outcome(values, status),
        Speaker::BlueCoat | Speaker::Anyone => match status.code() {
            Some(502 | 504) => Outcome::GatewayError(Cause::UNKNOWN),
            _ => Outcome::Fine,
        },
    };
    record.outcome = context.outcome(status, outcome);
    if let upstream @ [_, ..] = values.get(Role::Upstream) {
        let failure = record.outcome.gateway_error();
        record.attempts = Attempts::One(Attempt { upstream, pool: b"", status, failure });
    }
    Ok(record)
}

/// The stamp, in UTC: two columns, or an epoch.
fn end(values: &Values<'_>, context: &mut Context) -> Result<Millis, Malformed<'static>> {
    if let stamp @ [_, ..] = values.get(Role::Timestamp) {
        let end = if stamp.contains(&b'-') { context.dates.iso(stamp) } else { crate::time::epoch(stamp) };
        return end.ok_or_else(|| values.bad(Role::Timestamp, "no such date"));
    }
    let (date, time) = (values.get(Role::Date), values.get(Role::Time));
    let mut stamp = [b' '; 32];
    let parts: [&[u8]; 4] = [date, b" ", time, b"Z"];
    let mut len = 0;
    for part in parts {
        let place = stamp.get_mut(len..len + part.len());
        place.ok_or_else(|| values.bad(Role::Date, "no such date"))?.copy_from_slice(part);
        len += part.len();
    }
    let stamp = stamp.get(..len).and_then(|stamp| context.dates.iso(stamp));
    stamp.ok_or_else(|| values.bad(if date.is_empty() { Role::Date } else { Role::Time }, "no such date"))
}

/// IIS and Blue Coat count milliseconds; the format itself, seconds with a fraction.
fn request_time(columns: &Columns, value: &[u8]) -> Option<u32> {
    let unit = match columns.speaker() {
        Speaker::CloudFront => Unit::Seconds,
        Speaker::Iis | Speaker::BlueCoat => Unit::Millis,
        Speaker::Anyone if value.contains(&b'.') => Unit::Seconds,
        Speaker::Anyone => return None,
    };
    duration(value, unit).and_then(|ms| u32::try_from(ms).ok())
}

#[cfg(test)]
mod tests;
