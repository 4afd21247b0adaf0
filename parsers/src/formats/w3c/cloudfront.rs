//! CloudFront's result types: who made an answer, and why.

use super::Values;
use super::columns::Role;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Status};

/// The columns of a standard log.
pub(super) const FIELDS: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status \
    cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol \
    cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version \
    fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type \
    sc-content-len sc-range-start sc-range-end";

/// What the result types show. A 503 counts where its type says that the origin failed: an origin's own, and those for
/// limits of CloudFront, do not. 000 is a client that left before there was an answer.
pub(super) fn outcome(values: &Values<'_>, status: Status) -> Outcome {
    let types = [Role::DetailedResultType, Role::ResponseResultType, Role::ResultType];
    let known = types.iter().find_map(|role| cause(values.get(*role)));
    match (status.code(), known) {
        (Some(502 | 504), cause) => Outcome::GatewayError(cause.unwrap_or(Cause::UNKNOWN)),
        (Some(500 | 503), Some(cause)) if is_origins(cause) => Outcome::GatewayError(cause),
        (Some(0), _) => Outcome::Abandoned,
        (Some(200..=399), Some(cause)) if is_origins(cause) => Outcome::Aborted,
        _ => Outcome::Fine,
    }
}

fn is_origins(cause: Cause) -> bool {
    !matches!(cause.reason, Reason::ProxyConfigurationError | Reason::ClientAborted)
}

/// What a type says of an origin's failure; `None`: nothing (`Error`, `Miss`), or too little (`OriginError`).
fn cause(result: &[u8]) -> Option<Cause> {
    let reason = match result {
        b"OriginConnectError" => Reason::ConnectionFailed,
        b"OriginDnsError" => Reason::DnsError,
        // Connecting or reading took too long.
        b"OriginCommError" => Reason::HttpResponseTimeout,
        b"OriginReadError" | b"OriginWriteError" | b"OriginZeroSizeObjectError" => Reason::InvalidResponse,
        b"OriginInvalidResponseError" | b"OriginContentRangeLengthError" => Reason::HttpProtocolError,
        b"OriginHeaderTooBigError" => Reason::HttpResponseHeaderSectionSize,
        b"AbortedOrigin" => Reason::Unknown,
        b"SlowReaderOriginError" | b"ClientCommError" | b"ClientHungUpRequest" => {
            return Some(Cause { origin: crate::Origin::Client, reason: Reason::ClientAborted });
        }
        _ if [&b"Lambda"[..], b"Function"].iter().any(|own| result.starts_with(own))
            && result.ends_with(b"Error") =>
        {
            Reason::ProxyConfigurationError
        }
        b"LambdaLimitExceeded" => Reason::ProxyConfigurationError,
        _ => return None,
    };
    Some(Cause::proxy(reason))
}
