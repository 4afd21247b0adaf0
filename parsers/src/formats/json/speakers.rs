//! What a JSON line means by whose it is: nginx's variables, Caddy, Traefik or Envoy.

use super::{Seen, Speaker};
use crate::context::Context;
use crate::fields::{self, Slot, Unusable, is_missing};
use crate::formats::envoy::verdict::Evidence;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};
use crate::upstreams::{Attempt, Attempts, Retries};

/// A bound for a count that comes from the line.
const RETRIES_MAX: u16 = 64;

/// Whether the line tells of something else than a finished request.
pub fn is_other(seen: &Seen<'_>) -> bool {
    // Caddy's `http.log.error` repeats the status of a request that its access log has, too.
    let is_caddy = seen.speaker == Some(Speaker::Caddy);
    seen.logger.is_some_and(|logger| {
        (is_caddy || logger.starts_with(b"http.")) && !logger.starts_with(b"http.log.access")
    })
}

/// The request.
///
/// # Errors
/// If the time or the status is missing or no such thing.
pub fn record<'a>(seen: &Seen<'a>, context: &mut Context) -> Result<Record<'a>, Unusable<'a>> {
    let Some(speaker) = seen.speaker else { return seen.values.record(context) };
    let mut record = seen.values.bare_record(context)?;
    record.outcome = match speaker {
        Speaker::Caddy => caddy(record.status),
        Speaker::Traefik => traefik(seen, &record),
        Speaker::Envoy => envoy(seen, &record, context),
    };
    let by_default = record.outcome.gateway_error();
    record.outcome = match (context.is_gateway_status(record.status, by_default.is_some()), by_default) {
        (true, cause) => Outcome::GatewayError(cause.unwrap_or(Cause::UNKNOWN)),
        (false, Some(_)) => Outcome::Fine,
        (false, None) => record.outcome,
    };
    record.attempts = attempts(seen, &record);
    Ok(record)
}

fn attempts<'a>(seen: &Seen<'a>, record: &Record<'a>) -> Attempts<'a> {
    let Attempts::One(last) = seen.values.single(record) else { return Attempts::None };
    let last = Attempt { upstream: address(last.upstream), ..last };
    let tries = fields::count(seen.tries).map(|n| n.saturating_sub(1));
    match fields::count(seen.retries).or(tries) {
        None | Some(0) => Attempts::One(last),
        // Which servers the earlier tries went to is not logged.
        Some(n) => Attempts::Retries(Retries {
            last,
            before: n.min(RETRIES_MAX),
            redispatched: true,
            cause: Cause::UNKNOWN,
        }),
    }
}

/// `http://10.0.0.7:8080/base` → `10.0.0.7:8080`
fn address(url: &[u8]) -> &[u8] {
    let Some(scheme) = memchr::memmem::find(url, b"://") else { return url };
    let rest = url.get(scheme + 3..).unwrap_or_default();
    rest.split(|b| *b == b'/').next().unwrap_or(rest)
}

/// Caddy's access log names no upstream, and an upstream's 502 looks like its own. Without a live upstream it answers
/// 503, as upstreams do, too.
fn caddy(status: Status) -> Outcome {
    match status.code() {
        Some(502..=504) => Outcome::GatewayError(Cause::UNKNOWN),
        // Releases before 2.7 log 0 for a client that left.
        Some(499 | 0) => Outcome::Abandoned,
        _ => Outcome::Fine,
    }
}

/// Traefik's `OriginStatus` is taken around its own proxy code: one that equals the client's may be an upstream's or
/// Traefik's own. One that is absent or different was not the upstream's.
fn traefik(seen: &Seen<'_>, record: &Record<'_>) -> Outcome {
    let origin = seen.origin_status.and_then(fields::status).unwrap_or(Status::NONE);
    let has_server = !seen.values.or_empty(Slot::Upstream).is_empty();
    match record.status.code() {
        Some(502 | 504) if origin == record.status => Outcome::GatewayError(Cause::UNKNOWN),
        Some(502 | 504) => Outcome::GatewayError(Cause::proxy(Reason::Unknown)),
        // The balancer found no server to pick.
        Some(503) if !has_server && !record.pool.is_empty() => {
            Outcome::GatewayError(Cause::proxy(Reason::DestinationUnavailable))
        }
        Some(499) => Outcome::Abandoned,
        _ => Outcome::Fine,
    }
}

/// Envoy says it all: flags where it failed, details for how.
fn envoy(seen: &Seen<'_>, record: &Record<'_>, context: &Context) -> Outcome {
    let logged = |slot| seen.values.get(slot).map(|value| !is_missing(value));
    Evidence {
        failure: seen.failure,
        pool: record.pool,
        has_upstream: logged(Slot::Upstream),
        header_came: seen.service_time.map(|value| !is_missing(value)),
        is_http: logged(Slot::Method),
        ..Evidence::new(record.status, seen.flags, seen.details)
    }
    .outcome(context)
}
