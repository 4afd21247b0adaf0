//! Traefik: its access log's outcome, and what its own log says of a service that failed.

use super::{Seen, caddy};
use crate::context::Context;
use crate::diagnosis::{Diagnosis, Effect};
use crate::failure::{self, Failure};
use crate::fields::{self, Slot};
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};

/// Traefik's `OriginStatus` is taken around its own proxy code: one that equals the client's may be an upstream's or
/// Traefik's own. One that is absent or different was not the upstream's.
pub fn outcome(seen: &Seen<'_>, record: &Record<'_>) -> Outcome {
    let origin = seen.origin_status.and_then(fields::status).unwrap_or(Status::NONE);
    let has_server = !seen.values.or_empty(Slot::Upstream).is_empty();
    match record.status.code() {
        Some(code @ (502 | 504)) if origin == record.status => {
            Outcome::GatewayError(if is_own_body(code, seen.origin_size) {
                Cause::UNKNOWN
            } else {
                Cause::upstream()
            })
        }
        Some(502 | 504) => Outcome::GatewayError(Cause::proxy(Reason::Unknown)),
        // The balancer found no server to pick.
        Some(503) if !has_server && !record.pool.is_empty() => {
            Outcome::GatewayError(Cause::proxy(Reason::DestinationUnavailable))
        }
        Some(499) => Outcome::Abandoned,
        _ => Outcome::Fine,
    }
}

/// Whether a body of this length can be Traefik's own, which is the status' name; with none (HEAD, or not logged) it can.
pub fn is_own_body(code: u16, size: &[u8]) -> bool {
    let own: &[u8] = if code == 502 { b"11" } else { b"15" };
    fields::is_missing(size) || size == b"0" || size == own
}

/// `{"level":"debug","msg":"'502 Bad Gateway' caused by: dial tcp …"}`, and of version 3
/// `{"level":"debug","error":"dial tcp …","message":"502 Bad Gateway"}`.
pub fn diagnosis<'a>(seen: &Seen<'a>, context: &mut Context) -> Option<Diagnosis<'a>> {
    // What nearly every line ends at.
    if seen.message.is_empty() || seen.values.get(Slot::Status).is_some() {
        return None;
    }
    let (status, text) = match memchr::memmem::find(seen.message, b" caused by: ") {
        Some(at) => {
            let text = seen.message.get(at + b" caused by: ".len()..)?;
            (seen.message.get(..at)?.strip_prefix(b"'")?, text)
        }
        None => (seen.message, *seen.errors().first()?),
    };
    if !status.starts_with(b"502 Bad Gateway") && !status.starts_with(b"504 Gateway Timeout") {
        return None;
    }
    let cause = match failure::of(text, &[]) {
        Some(Failure::Upstream(reason)) => Cause::proxy(reason),
        _ => Cause::proxy(Reason::Unknown),
    };
    Some(Diagnosis {
        at: seen.values.at(context)?,
        cause,
        effect: Effect::Failed,
        node: seen.values.or_empty(Slot::Node),
        pool: b"",
        upstream: caddy::dialled(text),
        site: b"",
    })
}
