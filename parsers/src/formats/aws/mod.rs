//! AWS's load balancers: `alb` (Application Load Balancer) and `elb` (classic). The classic line is an ALB's without its
//! first field and without what follows the TLS protocol.
//!
//! An ALB stamps the response, a classic one the request. What a line may carry beyond the fields that are known here is
//! ignored, as AWS asks for. The node is the load balancer: the address of its own node stands in the file's name only.

mod verdict;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::combinator::{eof, peek};
use nom::sequence::terminated;

use super::{Field, Format, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::offset_in;
use crate::record::{Millis, Record, Status};
use crate::text::{self, Piece};
use crate::upstreams::{Attempt, Attempts};

/// `alb`
pub const ALB: Kind = Kind {
    name: "alb",
    summary: "AWS Application Load Balancer access logs",
    example: "alb",
    compile: |setting| of_kind(Balancer::Alb, setting),
    built_in: || vec![Box::new(Balancer::Alb)],
};

/// `elb`
pub const ELB: Kind = Kind {
    name: "elb",
    summary: "AWS Classic Load Balancer access logs, HTTP and TCP",
    example: "elb",
    compile: |setting| of_kind(Balancer::Elb, setting),
    built_in: || vec![Box::new(Balancer::Elb)],
};

fn of_kind(kind: Balancer, setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    match setting {
        None => Ok(Box::new(kind)),
        Some(_) => Err(SpecError { message: format!("`{}` takes no setting", kind.name()), at: 0 }),
    }
}

/// AWS's names of the fields, in order.
const FIELDS: [&str; 33] = [
    "type",
    "time",
    "elb",
    "client:port",
    "target:port",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
    "target_group_arn",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "matched_rule_priority",
    "request_creation_time",
    "actions_executed",
    "redirect_url",
    "error_reason",
    "target:port_list",
    "target_status_code_list",
    "classification",
    "classification_reason",
    "conn_trace_id",
    "transformed_host",
    "transformed_uri",
    "request_transform_status",
];

/// What the classic log calls otherwise.
const ELB_FIELDS: [(usize, &str); 4] = [
    (TIME, "timestamp"),
    (TARGET, "backend:port"),
    (TARGET_TIME, "backend_processing_time"),
    (9, "backend_status_code"),
];

const TYPE: usize = 0;
const TIME: usize = 1;
const NAME: usize = 2;
const CLIENT: usize = 3;
const TARGET: usize = 4;
const REQUEST_TIME: usize = 5;
const TARGET_TIME: usize = 6;
const RESPONSE_TIME: usize = 7;
const STATUS: usize = 8;
const TARGET_STATUS: usize = 9;
const REQUEST: usize = 12;
const TARGET_GROUP: usize = 16;
const TRACE: usize = 17;
const DOMAIN: usize = 18;
const CERTIFICATE: usize = 19;
const CREATED: usize = 21;
const ACTIONS: usize = 22;
const ERROR_REASON: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Balancer {
    Alb,
    Elb,
}

/// The values of a line, by AWS's order; the classic log's first one is empty.
struct Values<'a> {
    line: &'a [u8],
    fields: [&'a [u8]; FIELDS.len()],
    /// How many there are.
    seen: usize,
}

impl<'a> Values<'a> {
    fn get(&self, field: usize) -> &'a [u8] {
        self.fields.get(field).copied().unwrap_or_default()
    }

    fn or_empty(&self, field: usize) -> &'a [u8] {
        text::dash(self.get(field))
    }
}

impl Balancer {
    fn field(self, field: usize) -> &'static str {
        let own = ELB_FIELDS.iter().find(|(index, _)| self == Balancer::Elb && *index == field);
        own.map_or_else(|| FIELDS.get(field).copied().unwrap_or_default(), |(_, name)| name)
    }

    /// How many fields the oldest lines have: fewer are a cut line.
    fn least(self) -> usize {
        match self {
            Balancer::Alb => TRACE + 1,
            Balancer::Elb => REQUEST + 1,
        }
    }

    /// Takes a line apart; `Err`: where that ended, with what it gave so far.
    fn values(self, line: &[u8]) -> (Values<'_>, Option<&[u8]>) {
        let mut values = Values { line, fields: [b""; FIELDS.len()], seen: 0 };
        if self == Balancer::Elb {
            values.seen = TYPE + 1;
        }
        let mut rest = line;
        while let Some(place) = values.fields.get_mut(values.seen) {
            match field(rest) {
                Ok((after, value)) => {
                    (*place, rest) = (value, after);
                    values.seen += 1;
                }
                Err(_) => return (values, Some(rest)),
            }
            match rest {
                [] => break,
                [b' ', after @ ..] => rest = after,
                _ => return (values, Some(rest)),
            }
        }
        (values, None)
    }

    fn bad(self, values: &Values<'_>, field: usize, reason: &'static str) -> Malformed<'static> {
        Malformed { field: self.field(field), at: offset_in(values.line, values.get(field)), reason }
    }

    /// What is no line of this format is found by its first fields.
    fn check(self, values: &Values<'_>) -> Result<(), Malformed<'static>> {
        let is_type = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if self == Balancer::Alb && !values.get(TYPE).iter().all(is_type) {
            return Err(self.bad(values, TYPE, "no type of request or connection"));
        }
        for field in [CLIENT, TARGET] {
            let value = values.get(field);
            let port = memchr::memrchr(b':', value).and_then(|colon| value.get(colon + 1..));
            // A byte in the place of the blank behind it would shift every field, the statuses among them.
            if value != b"-" && !port.is_some_and(|port| port.iter().all(u8::is_ascii_digit)) {
                return Err(self.bad(values, field, "no address with a port"));
            }
        }
        for field in [REQUEST_TIME, TARGET_TIME, RESPONSE_TIME] {
            if !is_time(values.get(field)) {
                return Err(self.bad(values, field, "no number of seconds"));
            }
        }
        for field in [STATUS, TARGET_STATUS] {
            if status(values.get(field)).is_none() {
                return Err(self.bad(values, field, "no status"));
            }
        }
        Ok(())
    }

    fn record<'a>(
        self,
        values: &Values<'a>,
        context: &mut Context,
    ) -> Result<Record<'a>, Malformed<'static>> {
        self.check(values)?;
        let stamp = values.get(TIME);
        let stamp =
            Some(stamp).filter(|stamp| stamp.ends_with(b"Z")).and_then(|stamp| context.dates.iso(stamp));
        let Some(stamp) = stamp else { return Err(self.bad(values, TIME, "no such date")) };
        let measured = total(values);
        let (end, request_time) = match self {
            Balancer::Elb => (stamp.saturating_add(measured.unwrap_or(0)), measured),
            // Without its times, the request's beginning is what is left.
            Balancer::Alb => {
                (stamp, measured.or_else(|| Some(stamp - context.dates.iso(values.get(CREATED))?)))
            }
        };
        let mut record = Record::new(end, status(values.get(STATUS)).unwrap_or(Status::NONE));
        record.request_time = request_time.and_then(|ms| u32::try_from(ms).ok());
        // Dashes stand for what could not be read.
        let request = values.get(REQUEST).trim_ascii_end();
        let request = text::request_line(request.strip_suffix(b" -").unwrap_or(request));
        let (host, path) = url(request.target);
        record.method = text::dash(request.method);
        record.path = path;
        record.site = text::site(if host.is_empty() { values.or_empty(DOMAIN) } else { host });
        record.node = values.or_empty(NAME);
        let group = arn(values.get(TARGET_GROUP));
        record.pool = group.name;
        record.region =
            if group.region.is_empty() { arn(values.get(CERTIFICATE)).region } else { group.region };
        let target_status = status(values.get(TARGET_STATUS)).unwrap_or(Status::NONE);
        record.outcome =
            context.outcome(record.status, verdict::outcome(self, values, record.status, target_status));
        if let target @ [_, ..] = values.or_empty(TARGET) {
            // Without the target's own status, what the load balancer answered in its place.
            let status = if target_status == Status::NONE { record.status } else { target_status };
            let failure = record.outcome.gateway_error();
            record.attempts = Attempts::One(Attempt { upstream: target, pool: b"", status, failure });
        }
        Ok(record)
    }
}

impl Format for Balancer {
    fn name(&self) -> &str {
        match self {
            Balancer::Alb => "alb",
            Balancer::Elb => "elb",
        }
    }

    fn title(&self) -> String {
        match self {
            Balancer::Alb => "AWS Application Load Balancer".to_owned(),
            Balancer::Elb => "AWS Classic Load Balancer".to_owned(),
        }
    }

    fn knows_upstream(&self) -> bool {
        true
    }

    fn needs_zone(&self) -> bool {
        false
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        if line.trim_ascii().is_empty() {
            return Ok(Parsed::Other);
        }
        let (values, stopped) = self.values(line);
        if let Some(rest) = stopped {
            let reason =
                if rest.starts_with(b"\"") { "a quote that does not end" } else { "a blank was expected" };
            return Err(Malformed { field: self.field(values.seen), at: offset_in(line, rest), reason });
        }
        if values.seen < self.least() {
            return Err(Malformed {
                field: self.field(values.seen),
                at: line.len(),
                reason: "the line ends early",
            });
        }
        self.record(&values, context).map(Parsed::Record)
    }

    fn explain<'a>(&'a self, line: &'a [u8], _context: &mut Context) -> Vec<Field<'a>> {
        let (values, _) = self.values(line);
        let from = usize::from(*self == Balancer::Elb);
        let seen = values.fields.iter().enumerate().take(values.seen).skip(from);
        seen.map(|(i, value)| Field { name: self.field(i).to_owned(), value, at: offset_in(line, value) })
            .collect()
    }
}

/// One field: up to the next blank, or between quotes.
fn field(rest: &[u8]) -> Piece<'_> {
    match rest.split_first() {
        Some((b'"', inner)) => quoted(inner),
        _ => match text::find_either(b' ', b'"', rest).unwrap_or(rest.len()) {
            0 => text::fail(rest),
            len => Ok((rest.get(len..).unwrap_or_default(), rest.get(..len).unwrap_or_default())),
        },
    }
}

/// What stands before the quote that ends a field: one that a blank or the line's end follows. A user agent may end with
/// a backslash, which escapes nothing then.
fn quoted(inner: &[u8]) -> Piece<'_> {
    let quote = || terminated(tag(&b"\""[..]), peek(alt((tag(&b" "[..]), eof))));
    alt((terminated(text::escaped, quote()), terminated(text::before(b'"'), quote()))).parse_complete(inner)
}

/// `0.001`, `-1`
fn is_time(value: &[u8]) -> bool {
    matches!(value, b"-1" | b"-") || text::millis(value).is_some()
}

/// The three times together; `None` where one of them was not taken.
fn total(values: &Values<'_>) -> Option<Millis> {
    let mut micros = 0u64;
    for field in [REQUEST_TIME, TARGET_TIME, RESPONSE_TIME] {
        micros = micros.saturating_add(self::micros(values.get(field))?);
    }
    Millis::try_from((micros + 500) / 1_000).ok()
}

/// `0.000073` → 73
fn micros(value: &[u8]) -> Option<u64> {
    let millis = u64::from(text::millis(value)?);
    let point = text::find(b'.', value)?;
    let digit = |i: usize| {
        value.get(point + i).filter(|b: &&u8| b.is_ascii_digit()).map_or(0, |b| u64::from(b - b'0'))
    };
    Some(millis * 1_000 + digit(4) * 100 + digit(5) * 10 + digit(6))
}

/// Three digits; `-` and the classic log's `0` are none.
fn status(value: &[u8]) -> Option<Status> {
    match value {
        b"-" | b"0" => Some(Status::NONE),
        [_, _, _] => text::status(value),
        _ => None,
    }
}

/// `http://www.example.com:80/a?b` → host with port, path. ALB writes `http://10.0.0.7:80-` where it could read no more.
fn url(target: &[u8]) -> (&[u8], &[u8]) {
    let Some(scheme) = text::find_literal(b"://", target) else { return (b"", text::dash(target)) };
    let rest = target.get(scheme + 3..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end).unwrap_or((rest, b""));
    (host.strip_suffix(b"-").filter(|_| path.is_empty()).unwrap_or(host), path)
}

/// What a resource's name says.
#[derive(Clone, Copy, Default)]
struct Arn<'a> {
    region: &'a [u8],
    name: &'a [u8],
}

/// `arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067`
fn arn(value: &[u8]) -> Arn<'_> {
    let Some(value) = value.strip_prefix(b"arn:") else { return Arn::default() };
    // The partition, the service, the region, the account, the resource.
    let mut parts = value.splitn(5, |b| *b == b':');
    let (Some(region), Some(resource)) = (parts.nth(2), parts.nth(1)) else { return Arn::default() };
    let name = resource.strip_prefix(b"targetgroup/").unwrap_or_default();
    Arn { region, name: name.split(|b| *b == b'/').next().unwrap_or_default() }
}

#[cfg(test)]
mod tests;
