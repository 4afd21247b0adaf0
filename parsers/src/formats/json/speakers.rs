//! What a JSON line means by whose it is: nginx's variables, or one of those that have words of their own.

use super::{Seen, Speaker, caddy, networks, scraper, traefik};
use crate::context::Context;
use crate::fields::{self, Unusable, is_missing};
use crate::formats::Parsed;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};
use crate::upstreams::{Attempt, Attempts, Retries};

/// A bound for a count that comes from the line.
const RETRIES_MAX: u16 = 64;

/// What a line is that tells of something else than a finished request.
pub fn beside<'a>(seen: &Seen<'a>, context: &mut Context) -> Option<Parsed<'a>> {
    match seen.logger {
        Some(logger) => caddy::beside(seen, logger, context),
        None => traefik::diagnosis(seen, context).map(Parsed::Diagnosis),
    }
}

/// The request.
///
/// # Errors
/// If the time or the status is missing or no such thing.
pub fn record<'a>(seen: &Seen<'a>, context: &mut Context) -> Result<Record<'a>, Unusable<'a>> {
    let Some(speaker) = seen.speaker else { return seen.values.record(context) };
    let mut record = match speaker {
        Speaker::Scraper => scraper::bare_record(seen, context)?,
        _ => seen.values.bare_record(context)?,
    };
    record.outcome = match speaker {
        Speaker::Caddy => caddy::outcome(record.status),
        Speaker::Traefik => traefik::outcome(seen, &record),
        Speaker::Envoy => envoy(seen, record.status),
        Speaker::Cloudflare => networks::cloudflare(seen, &mut record, context),
        Speaker::Fastly => networks::fastly(seen, &mut record),
        Speaker::Scraper => scraper::outcome(seen, record.status),
    };
    let by_default = record.outcome.gateway_error();
    record.outcome = match (context.is_gateway_status(record.status, by_default.is_some()), by_default) {
        (true, cause) => Outcome::GatewayError(cause.unwrap_or(Cause::UNKNOWN)),
        // A failure without a status is none that the setting speaks of.
        (false, Some(_)) if record.status == Status::NONE => record.outcome,
        (false, Some(_)) => Outcome::Fine,
        (false, None) => record.outcome,
    };
    record.outcome = seen.values.refined(record.outcome);
    record.attempts = attempts(seen, &record);
    Ok(record)
}

fn attempts<'a>(seen: &Seen<'a>, record: &Record<'a>) -> Attempts<'a> {
    let Attempts::One(last) = seen.values.single(record) else { return Attempts::None };
    let last = Attempt { upstream: fields::authority(last.upstream), ..last };
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
