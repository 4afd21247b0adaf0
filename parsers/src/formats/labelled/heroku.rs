//! Heroku's router: `at=error code=H12 desc="Request timeout" method=GET path="/" host=… dyno=web.1 connect=1ms
//! service=30000ms status=503 bytes=0`. Its codes say what failed; it answers 503 for nearly all of them.

use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, digit1};
use nom::sequence::{preceded, terminated};

use super::{Meaning, Seen, lasting, slot};
use crate::context::Context;
use crate::fields::{Slot, Unit};
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record};
use crate::syslog::Header;
use crate::text::{Failed, Piece};

/// Names that the router alone has. Others may call something else a service: any other name for a time goes before.
pub(super) const NAMES: &[(&str, Option<Meaning>, u8)] =
    &[("dyno", slot(Slot::Upstream), 9), ("service", lasting(Unit::Written), 9)];

/// Heroku's own frame: RFC 5424's header without structured data, `<158>1 2012-10-11T03:47:20+00:00 host heroku router - `.
pub(super) fn framed(line: &[u8]) -> Piece<'_, Header<'_>> {
    let word = || terminated(take_while1::<_, _, Failed<'_>>(|b| b > b' '), char(' '));
    let pri = (char('<'), digit1, tag(&b">1 "[..]));
    let (rest, (stamp, host, tag)) = preceded(pri, (word(), word(), word())).parse_complete(line)?;
    let (rest, _) = (word(), word()).parse_complete(rest)?;
    Ok((b"", Header { rest, host, tag, stamp, offset: None }))
}

/// What tells the router's lines from others, and what it says of a failure.
#[derive(Default)]
pub(super) struct Router<'a> {
    code: &'a [u8],
    is_error: bool,
    has_dyno: bool,
    has_service: bool,
    sock: &'a [u8],
}

impl<'a> Router<'a> {
    pub(super) fn take(&mut self, name: &[u8], value: &'a [u8]) {
        match name {
            b"code" if self.code.is_empty() => self.code = value,
            b"at" => self.is_error = value == b"error",
            b"dyno" => self.has_dyno = true,
            b"service" => self.has_service = true,
            b"sock" => self.sock = value,
            _ => {}
        }
    }

    fn is_router(&self) -> bool {
        self.has_dyno && self.has_service
    }

    /// The record with what the router says of it; any other line's as it is.
    pub(super) fn judge(&self, mut record: Record<'a>, seen: &Seen<'a>, context: &Context) -> Record<'a> {
        if !self.is_router() {
            return record;
        }
        record.outcome = context.outcome(record.status, self.outcome(&record));
        record.attempts = seen.values.single(&record);
        record
    }

    fn outcome(&self, record: &Record<'_>) -> Outcome {
        if !self.is_error || self.code.is_empty() {
            return match record.status.code() {
                // Passed through.
                Some(502 | 504) => Outcome::GatewayError(Cause::upstream()),
                _ => Outcome::Fine,
            };
        }
        if self.sock == b"client" || matches!(self.code, b"H27" | b"H28") {
            return Outcome::Abandoned;
        }
        match reason(self.code) {
            Some(reason) => Outcome::GatewayError(Cause::proxy(reason)),
            None => Outcome::Fine,
        }
    }
}

/// What a code says of the application's failure; `None`: it is not the application's (what clients sent, maintenance,
/// an account's limits).
fn reason(code: &[u8]) -> Option<Reason> {
    Some(match code {
        // Crashed; a queue too deep; nothing runs; it does not start.
        b"H10" | b"H11" | b"H14" | b"H20" => Reason::DestinationUnavailable,
        b"H12" => Reason::HttpResponseTimeout,
        b"H13" | b"H18" => Reason::ConnectionTerminated,
        b"H15" => Reason::ConnectionReadTimeout,
        b"H17" | b"H25" => Reason::HttpProtocolError,
        b"H19" => Reason::ConnectionTimeout,
        b"H21" => Reason::ConnectionRefused,
        b"H22" => Reason::ConnectionLimitReached,
        b"H23" => Reason::ProxyConfigurationError,
        b"H24" | b"H99" => Reason::Unknown,
        _ => return None,
    })
}
