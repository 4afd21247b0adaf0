//! Caddy: its access log's outcome, and what its error log says of the upstream that failed.

use memchr::memmem;

use super::Seen;
use crate::context::Context;
use crate::diagnosis::{Diagnosis, Effect};
use crate::event::{Event, Happened};
use crate::failure::{self, Failure};
use crate::fields::{self, Slot};
use crate::formats::Parsed;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Status};
use crate::text;

/// Caddy's access log names no upstream, and an upstream's 502 looks like its own. Without a live upstream it answers
/// 503, as upstreams do, too.
pub fn outcome(status: Status) -> Outcome {
    match status.code() {
        Some(502..=504) => Outcome::GatewayError(Cause::UNKNOWN),
        // Releases before 2.7 log 0 for a client that left.
        Some(499 | 0) => Outcome::Abandoned,
        _ => Outcome::Fine,
    }
}

/// What a line of another logger is: a failed upstream's cause, a health check's finding, or nothing. `None`: it is an
/// access line.
pub fn beside<'a>(seen: &Seen<'a>, logger: &[u8], context: &mut Context) -> Option<Parsed<'a>> {
    let is_caddys = seen.speaker == Some(super::Speaker::Caddy) || logger.starts_with(b"http.");
    if logger.starts_with(b"http.log.access") || !is_caddys {
        return None;
    }
    let found = match logger {
        _ if logger.starts_with(b"http.log.error") => failed(seen, context).map(Parsed::Diagnosis),
        _ if logger.starts_with(b"http.handlers.reverse_proxy.health_checker") => {
            event(seen, context).map(Parsed::Event)
        }
        b"http.handlers.reverse_proxy" => cut(seen, context).map(Parsed::Diagnosis),
        _ => None,
    };
    Some(found.unwrap_or(Parsed::Other))
}

/// `http.log.error` has any handler's error of a request that the access log has, too; those of the reverse proxy are
/// known by their words and end in a status of a gateway.
fn failed<'a>(seen: &Seen<'a>, context: &mut Context) -> Option<Diagnosis<'a>> {
    let status = fields::status(seen.values.get(Slot::Status)?)?;
    if !matches!(status.code(), Some(502..=504)) {
        return None;
    }
    let reason = match failure::of(seen.message, seen.errors()) {
        Some(Failure::Upstream(reason)) => reason,
        Some(Failure::GivenUp | Failure::Elsewhere) => return None,
        // Any handler may answer 503.
        None if status == Status::new(503) => return None,
        None => Reason::Unknown,
    };
    diagnosis(seen, reason, Effect::Failed, context)
}

/// `aborting with incomplete response`: the header was sent.
fn cut<'a>(seen: &Seen<'a>, context: &mut Context) -> Option<Diagnosis<'a>> {
    memmem::find(seen.message, b"incomplete response")?;
    // The reason why it could not be copied may be the client.
    let is_reading = seen.errors().iter().any(|error| error.starts_with(b"reading"));
    if !is_reading {
        return None;
    }
    diagnosis(seen, Reason::HttpResponseIncomplete, Effect::Aborted, context)
}

fn diagnosis<'a>(
    seen: &Seen<'a>,
    reason: Reason,
    effect: Effect,
    context: &mut Context,
) -> Option<Diagnosis<'a>> {
    let texts = std::iter::once(seen.message).chain(seen.errors().iter().copied());
    Some(Diagnosis {
        at: seen.values.at(context)?,
        cause: Cause::proxy(reason),
        effect,
        node: seen.values.or_empty(Slot::Node),
        pool: b"",
        upstream: match fields::authority(seen.values.or_empty(Slot::Upstream)) {
            b"" => texts.map(dialled).find(|server| !server.is_empty()).unwrap_or_default(),
            named => named,
        },
        site: text::site(seen.values.or_empty(Slot::Site)),
    })
}

/// `host is down`, `host is up`: the active health checks' findings.
fn event<'a>(seen: &Seen<'a>, context: &mut Context) -> Option<Event<'a>> {
    let happened = match seen.message {
        b"host is down" => Happened::Down,
        b"host is up" => Happened::Up,
        _ => return None,
    };
    Some(Event {
        at: seen.values.at(context),
        happened,
        node: seen.values.or_empty(Slot::Node),
        pool: b"",
        upstream: fields::authority(seen.host),
        detail: b"",
    })
}

/// The server in Go's `dial tcp 10.0.0.7:80: connect: …`, `read tcp 10.0.0.2:5000->10.0.0.7:80: …`; empty if none is.
pub fn dialled(text: &[u8]) -> &[u8] {
    let after = |mark: &[u8]| text.get(memmem::find(text, mark)? + mark.len()..);
    let rest =
        after(b"dial tcp ").or_else(|| after(b"->")).or_else(|| after(b"dial unix ")).unwrap_or_default();
    let end =
        memmem::find(rest, b": ").or_else(|| rest.iter().position(|b| *b == b' ')).unwrap_or(rest.len());
    let server = rest.get(..end).unwrap_or_default();
    // `dial tcp: lookup …` has a name that has no server.
    if memchr::memchr(b' ', server).is_some() { b"" } else { server }
}
