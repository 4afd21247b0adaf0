//! What the end of a request means, by Squid's own codes.
//!
//! Squid answers 502, 503 and 504 itself when an upstream fails, and passes on an upstream's own. `%err_code` tells
//! which, `%<Hs` does, and without them the content type does half of it: Squid's error pages are `text/html`, so that
//! anything else was the upstream's. A tunnel's content is nobody's but the two ends': a record with the method CONNECT
//! tells of its connecting only.

use memchr::memmem;

use crate::formats::percent::{Slot, Values, Verdict};
use crate::reason::{Cause, Origin, Reason};
use crate::record::{Outcome, Status};
use crate::text;

/// The verdict on one line; `None`: another cache asked whether this one has something (ICP, HTCP).
pub fn verdict(values: &Values<'_>) -> Option<Verdict> {
    let tag = Tag(values.get(Slot::Tag));
    (!tag.0.starts_with(b"UDP_")).then(|| of_request(values, tag))
}

fn of_request(values: &Values<'_>, tag: Tag<'_>) -> Verdict {
    let status = values.status().code();
    // The access list said so.
    if tag.has(b"DENIED") {
        return Verdict::fine(Cause::proxy(Reason::ProxyConfigurationError));
    }
    if let Some(code) = error_code(values) {
        return by_code(code, values);
    }
    // The upstream failed, and an old copy was at hand.
    if matches!(status, Some(100..=399)) {
        let failed_attempt = tag.has(b"REFRESH_FAIL").then_some(Cause::UNKNOWN);
        return Verdict { failed_attempt, ..Verdict::fine(Cause::UNKNOWN) };
    }
    let cause = cause(values, tag);
    let is_tunnel = values.method() == b"CONNECT" && tag.has(b"TUNNEL");
    match status {
        // No path was left to try: Squid says 500, and nobody else can answer a CONNECT.
        Some(500) if is_tunnel && cause.origin == Origin::Proxy && was_asked(values) => Verdict::error(cause),
        Some(502 | 504) => Verdict::error(cause),
        // Passed on, it is the upstream's business.
        Some(503) if cause != Cause::upstream() && !tag.is_hit() => Verdict::error(cause),
        // Nothing was sent: the client had left. `NONE`: it had not even asked.
        Some(0) if tag.is_forwarded() => Verdict {
            outcome: Outcome::Abandoned,
            otherwise: Cause { origin: Origin::Client, reason: Reason::ClientAborted },
            failed_attempt: None,
        },
        _ => Verdict::fine(cause),
    }
}

/// `TCP_MISS_ABORTED`
#[derive(Clone, Copy)]
struct Tag<'a>(&'a [u8]);

impl Tag<'_> {
    fn has(self, part: &[u8]) -> bool {
        text::find_literal(part, self.0).is_some()
    }

    /// An answer from the cache.
    fn is_hit(self) -> bool {
        self.has(b"HIT")
    }

    /// A request that was meant to go on to an upstream.
    fn is_forwarded(self) -> bool {
        self.0.starts_with(b"TCP_") && !self.is_hit()
    }
}

/// Squid's error; `None`: the format has none, or there was none. Traffic Server's log of this shape has it as the tag.
fn error_code<'a>(values: &Values<'a>) -> Option<&'a [u8]> {
    let tag = values.get(Slot::Tag);
    let code = if tag.starts_with(b"ERR_") { tag } else { values.known(Slot::ErrorCode) };
    (!code.is_empty()).then_some(code)
}

fn by_code(code: &[u8], values: &Values<'_>) -> Verdict {
    // A client that asks for what is in the cache only, a list that denies, a shutdown: no upstream failed.
    let is_policy = [b"DENIED".as_slice(), b"ONLY_IF_CACHED", b"SHUTTING_DOWN", b"CLIENT", b"LIFETIME"];
    let cause = match reason(code, values.known(Slot::ErrorDetail)) {
        // It reports what the upstream said.
        None if code.starts_with(b"ERR_RELAY_REMOTE") => Cause::upstream(),
        reason => Cause::proxy(reason.unwrap_or(Reason::Unknown)),
    };
    let tag = Tag(values.get(Slot::Tag));
    match values.status().code() {
        Some(0) if tag.has(b"ABORT") => Verdict {
            outcome: Outcome::Abandoned,
            ..Verdict::fine(Cause { origin: Origin::Client, reason: Reason::ClientAborted })
        },
        _ if is_policy.iter().any(|part| memmem::find(code, part).is_some()) => Verdict::fine(cause),
        Some(502..=504) => Verdict::error(cause),
        // Squid says 500, and other numbers, for some of them.
        Some(500..) if reason(code, b"").is_some() => Verdict::error(cause),
        // The header was sent already, and kept its status.
        Some(200..=399) if code.starts_with(b"ERR_READ") => {
            Verdict { outcome: Outcome::Aborted, ..Verdict::fine(cause) }
        }
        _ => Verdict::fine(cause),
    }
}

/// Why the upstream failed; `None`: this error is about something else.
fn reason(code: &[u8], detail: &[u8]) -> Option<Reason> {
    Some(match code {
        b"ERR_CONNECT_FAIL" => match errno(detail) {
            Some(111) => Reason::ConnectionRefused,
            Some(110) => Reason::ConnectionTimeout,
            Some(104) => Reason::ConnectionTerminated,
            _ => Reason::ConnectionFailed,
        },
        b"ERR_SECURE_CONNECT_FAIL" if is_of_certificate(detail) => Reason::TlsCertificateError,
        b"ERR_SECURE_CONNECT_FAIL" => Reason::TlsProtocolError,
        b"ERR_DNS_FAIL" => Reason::DnsError,
        b"ERR_READ_TIMEOUT" => Reason::ConnectionReadTimeout,
        b"ERR_READ_ERROR" | b"ERR_WRITE_ERROR" => match errno(detail) {
            Some(104 | 32) => Reason::ConnectionTerminated,
            _ => Reason::InvalidResponse,
        },
        b"ERR_ZERO_SIZE_OBJECT" => Reason::ConnectionTerminated,
        b"ERR_INVALID_RESP" | b"ERR_UNSUP_HTTPVERSION" => Reason::HttpProtocolError,
        b"ERR_TOO_BIG" => Reason::HttpResponseHeaderSectionSize,
        b"ERR_CANNOT_FORWARD" => Reason::DestinationUnavailable,
        _ => return None,
    })
}

/// `errno=111`
fn errno(detail: &[u8]) -> Option<u16> {
    let from = memmem::rfind(detail, b"=").map_or(0, |at| at + 1);
    let digits = detail.get(from..)?;
    let len = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    crate::fields::count(digits.get(..len)?)
}

fn is_of_certificate(detail: &[u8]) -> bool {
    let words: [&[u8]; 4] = [b"X509", b"CERT", b"DOMAIN_MISMATCH", b"INFINITE_VALIDATION"];
    words.iter().any(|word| memmem::find(detail, word).is_some())
}

/// Who made the answer, where no error is named.
fn cause(values: &Values<'_>, tag: Tag<'_>) -> Cause {
    let status = values.status();
    if values.carries(Slot::UpstreamStatus) {
        return match values.status_of(Slot::UpstreamStatus) {
            Some(upstream) if upstream == status => Cause::upstream(),
            _ => Cause::proxy(unspoken(values)),
        };
    }
    // It names none: Squid made no error.
    if values.carries(Slot::ErrorCode) {
        return Cause::upstream();
    }
    if tag.is_hit() {
        return Cause::UNKNOWN;
    }
    let hierarchy = values.get(Slot::Hierarchy);
    let hierarchy = hierarchy.strip_prefix(b"TIMEOUT_").unwrap_or(hierarchy);
    let is_direct = matches!(hierarchy, b"HIER_DIRECT" | b"DIRECT" | b"ORIGINAL_DST" | b"PINNED");
    match hierarchy {
        // Nobody was asked: the name did not resolve, or there is nobody to ask.
        b"HIER_NONE" | b"NONE" => return Cause::proxy(Reason::Unknown),
        // Only a parent can answer a CONNECT beside Squid.
        _ if is_direct && values.method() == b"CONNECT" => return Cause::proxy(unspoken(values)),
        _ => {}
    }
    // Where nothing was sent, there is no type of it.
    let was_sent = !values.carries(Slot::Bytes) || values.get(Slot::Bytes) != b"0";
    let is_typed = values.carries(Slot::Mime) && was_sent && values.method() != b"CONNECT";
    match is_typed && !values.get(Slot::Mime).starts_with(b"text/html") {
        true => Cause::upstream(),
        false => Cause::UNKNOWN,
    }
}

fn was_asked(values: &Values<'_>) -> bool {
    !values.known(Slot::Upstream).is_empty()
}

/// The reason of an error that Squid made and did not name: a tunnel fails while connecting only.
fn unspoken(values: &Values<'_>) -> Reason {
    match values.status() {
        _ if values.method() != b"CONNECT" || !was_asked(values) => Reason::Unknown,
        status if status == Status::new(504) => Reason::ConnectionTimeout,
        _ => Reason::ConnectionFailed,
    }
}
