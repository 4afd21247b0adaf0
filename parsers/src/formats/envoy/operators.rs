//! Envoy's command operators: what a value can look like, and which of them bear on a record.

use super::stamp::Stamp;
use crate::fields::Unit;
use crate::proxy_status::Header;

/// A value that a record needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    StartTime,
    EmitTime,
    Duration,
    ResponseDuration,
    ResponseTxDuration,
    Status,
    Flags,
    Details,
    Termination,
    Failure,
    ServiceTime,
    /// A header that tells of an error.
    Told,
    Method,
    Path,
    Protocol,
    Authority,
    ServerName,
    Host,
    RemoteAddress,
    Cluster,
    Attempts,
    HostsAttempted,
    Hostname,
    Region,
}

/// How many slots there are.
pub(super) const SLOTS: usize = Slot::Region as usize + 1;

/// What a value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Stamp(Stamp),
    /// Three digits, `0` or `-`.
    Status,
    /// `157`, `-`, or nothing where empty values are omitted.
    Number,
    /// No blank in it.
    Word,
    /// Anything.
    Text,
}

impl Shape {
    /// The value's end follows from the value itself.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self, Shape::Stamp(_) | Shape::Status | Shape::Number)
    }
}

/// An operator taken apart: `%NAME(args):Z%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    /// With its arguments, between its percent signs, as it stands in the configuration.
    pub(super) text: String,
    pub(super) shape: Shape,
    pub(super) slot: Option<Slot>,
    /// Of a duration.
    pub(super) unit: Unit,
    /// Of `Slot::Told`.
    pub(super) told: Option<Header>,
}

impl Operator {
    /// The operator at the start of the text (behind its percent sign), and what follows its second one.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    pub(super) fn first(text: &str) -> Result<(Operator, &str), String> {
        let shown = || text.split(['%', ' ']).next().unwrap_or_default();
        let end = text.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        if name.is_empty() {
            return Err("a % that no operator follows; a percent sign itself is %%".to_owned());
        }
        let (arguments, rest) = match rest.strip_prefix('(') {
            None => (None, closed(rest)),
            Some(inside) => {
                let mut ends = inside.match_indices(')').map(|(at, _)| at);
                let found = ends.find_map(|at| Some((inside.get(..at)?, closed(inside.get(at + 1..)?)?)));
                match found {
                    Some((arguments, rest)) => (Some(arguments), Some(rest)),
                    None => (None, None),
                }
            }
        };
        let Some(rest) = rest else { return Err(format!("%{}: where it ends cannot be seen", shown())) };
        let whole = text.get(..text.len() - rest.len()).unwrap_or(text);
        let (shape, slot, unit) = meaning(name, arguments)?;
        let told = arguments.filter(|_| slot == Some(Slot::Told)).and_then(error_header);
        Ok((Operator { text: format!("%{whole}"), shape, slot, unit, told }, rest))
    }
}

/// What follows an operator's closing percent sign, which may have a length before it.
fn closed(rest: &str) -> Option<&str> {
    let rest = match rest.strip_prefix(':') {
        Some(length) => length.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    rest.strip_prefix('%')
}

fn meaning(name: &str, arguments: Option<&str>) -> Result<(Shape, Option<Slot>, Unit), String> {
    let stamp = |slot, is_local| {
        let stamp = Stamp::compile(arguments, is_local).map_err(|e| format!("%{name}: {e}"))?;
        Ok((Shape::Stamp(stamp), Some(slot), Unit::Millis))
    };
    let (shape, slot) = match name {
        "START_TIME" => return stamp(Slot::StartTime, false),
        "START_TIME_LOCAL" => return stamp(Slot::StartTime, true),
        "EMIT_TIME" => return stamp(Slot::EmitTime, false),
        "EMIT_TIME_LOCAL" => return stamp(Slot::EmitTime, true),
        "COMMON_DURATION" => return Ok(common_duration(arguments.unwrap_or_default())),
        "DURATION" => (Shape::Number, Some(Slot::Duration)),
        "RESPONSE_DURATION" => (Shape::Number, Some(Slot::ResponseDuration)),
        "RESPONSE_TX_DURATION" => (Shape::Number, Some(Slot::ResponseTxDuration)),
        "RESPONSE_CODE" => (Shape::Status, Some(Slot::Status)),
        "RESPONSE_FLAGS" | "RESPONSE_FLAGS_LONG" => (Shape::Word, Some(Slot::Flags)),
        // Envoy before 1.17 left blanks in them.
        "RESPONSE_CODE_DETAILS" => (Shape::Text, Some(Slot::Details)),
        "CONNECTION_TERMINATION_DETAILS" => (Shape::Text, Some(Slot::Termination)),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => (Shape::Text, Some(Slot::Failure)),
        "PROTOCOL" => (Shape::Word, Some(Slot::Protocol)),
        "UPSTREAM_HOST" => (Shape::Word, Some(Slot::Host)),
        "UPSTREAM_REMOTE_ADDRESS" => (Shape::Word, Some(Slot::RemoteAddress)),
        "UPSTREAM_CLUSTER" | "UPSTREAM_CLUSTER_RAW" => (Shape::Word, Some(Slot::Cluster)),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => (Shape::Number, Some(Slot::Attempts)),
        "UPSTREAM_HOSTS_ATTEMPTED" => (Shape::Text, Some(Slot::HostsAttempted)),
        "REQUESTED_SERVER_NAME" => (Shape::Word, Some(Slot::ServerName)),
        "HOSTNAME" => (Shape::Word, Some(Slot::Hostname)),
        "ENVIRONMENT" => environment(arguments.unwrap_or_default()),
        "REQ" | "REQUEST_HEADER" | "REQ_WITHOUT_QUERY" => request_header(arguments.unwrap_or_default()),
        "PATH" => (Shape::Text, Some(Slot::Path)),
        "RESP" | "RESPONSE_HEADER" => response_header(arguments.unwrap_or_default()),
        _ => (shape_by_name(name), None),
    };
    Ok((shape, slot, Unit::Millis))
}

/// `%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%` is the request's time; between other points it is none of ours.
fn common_duration(arguments: &str) -> (Shape, Option<Slot>, Unit) {
    let mut parts = arguments.split(':');
    let is_total = parts.next() == Some("DS_RX_BEG") && parts.next() == Some("DS_TX_END");
    let unit = parts.next().and_then(|unit| Unit::named(unit.as_bytes())).unwrap_or(Unit::Millis);
    (Shape::Number, is_total.then_some(Slot::Duration), unit)
}

fn environment(name: &str) -> (Shape, Option<Slot>) {
    match name {
        "HOSTNAME" | "NODE_NAME" | "POD_NAME" => (Shape::Word, Some(Slot::Hostname)),
        "REGION" | "AWS_REGION" => (Shape::Word, Some(Slot::Region)),
        _ => (Shape::Text, None),
    }
}

/// `X?Y`: of two headers the first that is there.
fn has_header(arguments: &str, header: &str) -> bool {
    arguments.split('?').any(|name| name.trim().eq_ignore_ascii_case(header))
}

fn request_header(arguments: &str) -> (Shape, Option<Slot>) {
    if has_header(arguments, ":METHOD") {
        (Shape::Word, Some(Slot::Method))
    } else if has_header(arguments, ":PATH") {
        (Shape::Text, Some(Slot::Path))
    } else if has_header(arguments, ":AUTHORITY") || has_header(arguments, "HOST") {
        (Shape::Word, Some(Slot::Authority))
    } else {
        (Shape::Text, None)
    }
}

fn response_header(arguments: &str) -> (Shape, Option<Slot>) {
    if has_header(arguments, ":STATUS") {
        (Shape::Status, Some(Slot::Status))
    } else if has_header(arguments, "X-ENVOY-UPSTREAM-SERVICE-TIME") {
        (Shape::Word, Some(Slot::ServiceTime))
    } else {
        (Shape::Text, error_header(arguments).map(|_| Slot::Told))
    }
}

/// `Proxy-Status`, or a provider's error header.
fn error_header(arguments: &str) -> Option<Header> {
    arguments.split('?').find_map(|name| Header::named(name.trim().as_bytes()))
}

/// An operator that bears on nothing.
fn shape_by_name(name: &str) -> Shape {
    let is_number = ["_BYTES", "_BYTES_SENT", "_BYTES_RECEIVED", "_DURATION", "_PORT"];
    let is_word =
        ["_ADDRESS", "_WITHOUT_PORT", "_PROTOCOL", "_TLS_VERSION", "_TLS_CIPHER", "_FINGERPRINT_256", "_ID"];
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match name {
        "BYTES_SENT" | "BYTES_RECEIVED" | "GRPC_STATUS_NUMBER" | "CONNECTION_ID" => Shape::Number,
        "KUMA_MESH" | "KUMA_SOURCE_SERVICE" | "KUMA_DESTINATION_SERVICE" | "ACCESS_LOG_TYPE" => Shape::Word,
        // Before the numbers: an address `…_WITHOUT_PORT` is no port.
        _ if ends(&is_word) => Shape::Word,
        _ if ends(&is_number) => Shape::Number,
        _ => Shape::Text,
    }
}
