//! The delivery networks that log in JSON: Cloudflare's Logpush, Fastly.

use super::Seen;
use crate::context::Context;
use crate::failure::{self, Failure};
use crate::fields::{self, Slot};
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};

/// Cloudflare's `http_requests`. Its own statuses say why; 502 and 504 may be the origin's.
pub fn cloudflare<'a>(seen: &Seen<'a>, record: &mut Record<'a>, context: &mut Context) -> Outcome {
    record.request_time = record.request_time.or_else(|| between(seen, record, context));
    let origin = seen.origin_status.and_then(fields::status);
    // 0: no answer came.
    let answered = origin.filter(|origin| !matches!(origin.code(), None | Some(0)));
    let own = |code| cloudflare_reason(code, seen).map(Cause::proxy);
    match record.status.code() {
        Some(code @ (502 | 504)) => Outcome::GatewayError(match (origin, answered) {
            (_, Some(answered)) if answered == record.status => Cause::upstream(),
            // What a worker made of an error on the way to the origin.
            (_, Some(answered)) => {
                own(answered.code().unwrap_or(code)).unwrap_or(Cause::proxy(Reason::Unknown))
            }
            (Some(_), None) => Cause::proxy(Reason::Unknown),
            (None, None) => Cause::UNKNOWN,
        }),
        Some(499) if answered.is_none() => Outcome::Abandoned,
        Some(code) => own(code).map_or(Outcome::Fine, Outcome::GatewayError),
        None => Outcome::Fine,
    }
}

/// What Cloudflare's own statuses say.
fn cloudflare_reason(code: u16, seen: &Seen<'_>) -> Option<Reason> {
    Some(match code {
        520 => Reason::InvalidResponse,
        521 => Reason::ConnectionRefused,
        522 => Reason::ConnectionTimeout,
        // No route to the origin.
        523 => Reason::ConnectionFailed,
        524 => Reason::HttpResponseTimeout,
        525 => Reason::TlsProtocolError,
        526 => Reason::TlsCertificateError,
        // A page of one of the 1xxx errors; which one, the log does not say by itself.
        530 if seen.errors().contains(&&b"1016"[..]) => Reason::DnsError,
        530 => Reason::Unknown,
        _ => return None,
    })
}

/// From the start to the end, where both are logged finer than by the second.
fn between(seen: &Seen<'_>, record: &Record<'_>, context: &mut Context) -> Option<u32> {
    let is_fine =
        |slot| seen.values.get(slot).is_some_and(|stamp| stamp.len() > 10 && !is_whole_second(stamp));
    if !is_fine(Slot::StartTime) || !is_fine(Slot::Time) {
        return None;
    }
    let start = context.dates.any(seen.values.get(Slot::StartTime)?)?;
    u32::try_from(record.end.checked_sub(start)?).ok()
}

/// `2026-11-22T14:53:53Z`
fn is_whole_second(stamp: &[u8]) -> bool {
    memchr::memchr(b'T', stamp).is_some() && memchr::memchr(b'.', stamp).is_none()
}

/// Fastly makes 503s, and says why in the reason phrase; any other status came from the origin, or from a shield. A 503
/// with another phrase is the configuration's or the origin's.
pub fn fastly<'a>(seen: &Seen<'a>, record: &mut Record<'a>) -> Outcome {
    // `%{req.request}V` is the method.
    let request = seen.values.or_empty(Slot::Request);
    if !request.is_empty() && memchr::memchr(b' ', request).is_none() {
        record.method = request;
        if record.path == request {
            record.path = b"";
        }
    }
    let is_own = seen.state.get().starts_with(b"ERROR");
    let phrase = seen.phrase.get();
    let reason = || match failure::of(phrase, &[]) {
        Some(Failure::Upstream(reason)) => Some(reason),
        _ if phrase.eq_ignore_ascii_case(b"backend fetch failed") => Some(Reason::Unknown),
        _ => None,
    };
    let code = record.status.code();
    // No other status' phrase is asked for its reason.
    let reason = if matches!(code, Some(502..=504)) { reason() } else { None };
    match (code, reason) {
        (Some(503), Some(reason)) => Outcome::GatewayError(Cause::proxy(reason)),
        (Some(502 | 504), _) if record.status != Status::NONE => {
            let answered =
                [&b"MISS"[..], b"PASS", b"HITPASS"].iter().any(|word| seen.state.get().starts_with(word));
            Outcome::GatewayError(match () {
                () if is_own => Cause::proxy(reason.unwrap_or(Reason::Unknown)),
                () if answered => Cause::upstream(),
                () => Cause::UNKNOWN,
            })
        }
        _ => Outcome::Fine,
    }
}
