//! What a JSON line means by whose it is: nginx's variables, Caddy, Traefik or Envoy.

use super::{Seen, Speaker};
use crate::context::Context;
use crate::fields::{self, Slot, Unusable, is_missing};
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
        Speaker::Envoy => envoy(seen, record.status),
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
    match fields::count(seen.retries) {
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
fn envoy(seen: &Seen<'_>, status: Status) -> Outcome {
    let flags = seen.flags.filter(|flags| !is_missing(flags)).unwrap_or_default();
    let is_gateway = matches!(status.code(), Some(502..=504));
    if seen.details.starts_with(b"via_upstream")
        || (flags.is_empty() && seen.details.is_empty() && seen.flags.is_some())
    {
        // A 503 that the upstream itself sent is no failure of the gateway.
        let passed = matches!(status.code(), Some(502 | 504));
        return if passed { Outcome::GatewayError(Cause::upstream()) } else { Outcome::Fine };
    }
    let reason = flags.split(|b| *b == b',').find_map(|flag| envoy_reason(flag, seen.details));
    match (is_gateway, reason) {
        (true, Some(reason)) => Outcome::GatewayError(Cause::proxy(reason)),
        (true, None) if status.code() == Some(503) => Outcome::Fine,
        (true, None) if seen.flags.is_none() => Outcome::GatewayError(Cause::UNKNOWN),
        (true, None) => Outcome::GatewayError(Cause::proxy(Reason::Unknown)),
        // Cut in the body: the status stays what the upstream's header said.
        (false, Some(_)) if matches!(status.code(), Some(100..=399)) => Outcome::Aborted,
        (false, _) if status.code() == Some(0) && flags.split(|b| *b == b',').any(|flag| flag == b"DC") => {
            Outcome::Abandoned
        }
        _ => Outcome::Fine,
    }
}

/// What a flag says of an upstream's failure; `None`: nothing.
fn envoy_reason(flag: &[u8], details: &[u8]) -> Option<Reason> {
    let has = |text: &[u8]| memchr::memmem::find(details, text).is_some();
    Some(match flag {
        b"UF" if has(b"connection_timeout") => Reason::ConnectionTimeout,
        b"UF" if has(b"Connection_refused") || has(b"_111") => Reason::ConnectionRefused,
        b"UF" if has(b"CERTIFICATE_VERIFY_FAILED") => Reason::TlsCertificateError,
        b"UF" if has(b"TLS_error") => Reason::TlsProtocolError,
        b"UF" if has(b"Connection_reset") => Reason::ConnectionTerminated,
        b"UF" => Reason::ConnectionFailed,
        b"UC" | b"UR" => Reason::ConnectionTerminated,
        b"UT" => Reason::HttpResponseTimeout,
        b"UPE" => Reason::HttpProtocolError,
        b"UH" | b"LH" => Reason::DestinationUnavailable,
        b"UO" => Reason::ConnectionLimitReached,
        b"NC" => Reason::ProxyConfigurationError,
        b"DF" => Reason::DnsError,
        _ => return None,
    })
}
