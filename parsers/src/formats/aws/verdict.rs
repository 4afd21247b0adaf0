//! What a load balancer's status means: who made it, and why.

use super::{ACTIONS, Balancer, ERROR_REASON, REQUEST_TIME, TARGET, TARGET_TIME, Values};
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Status};

/// What the line shows, by AWS's own account of its statuses.
///
/// 502, 503 and 504 are the load balancer's own unless the target's status says the same. 460 is a client that left
/// before the answer; 463, 464 and 561 are what clients sent and what an identity provider answered; 000 is a connection
/// that HTTP/2's rules ended. A `fixed-response` was configured.
pub(super) fn outcome(kind: Balancer, values: &Values<'_>, status: Status, target: Status) -> Outcome {
    let made = match status.code() {
        Some(460) => return Outcome::Abandoned,
        Some(code @ 502..=504) => code,
        _ => return Outcome::Fine,
    };
    if is_fixed_response(values.get(ACTIONS)) {
        return Outcome::Fine;
    }
    match (target == status, made) {
        // An upstream's own 503 is no failure of the gateway.
        (true, 503) => Outcome::Fine,
        (true, _) => Outcome::GatewayError(Cause::upstream()),
        (false, _) => Outcome::GatewayError(Cause::proxy(reason(kind, values, made))),
    }
}

fn is_fixed_response(actions: &[u8]) -> bool {
    actions.split(|b| *b == b',').any(|action| action == b"fixed-response")
}

/// Why the load balancer answered so. A target's time is taken when its header begins, a request's when it was passed on;
/// -1 is written for several reasons, and proves nothing.
fn reason(kind: Balancer, values: &Values<'_>, made: u16) -> Reason {
    if let Some(reason) = by_error_reason(values.or_empty(ERROR_REASON)) {
        return reason;
    }
    let was_sent = values.get(REQUEST_TIME) != b"-1";
    let answered = values.get(TARGET_TIME) != b"-1";
    let has_target = !values.or_empty(TARGET).is_empty();
    match made {
        503 if !has_target => Reason::DestinationUnavailable,
        502 if has_target && answered => Reason::InvalidResponse,
        // The classic one says 504 of targets that closed the connection, too.
        504 if kind == Balancer::Alb && has_target && was_sent => Reason::HttpResponseTimeout,
        _ => Reason::Unknown,
    }
}

/// `error_reason`, which ALB writes for what is no plain target: functions above all.
fn by_error_reason(reason: &[u8]) -> Option<Reason> {
    Some(match reason {
        b"" => return None,
        b"LambdaConnectionTimeout" | b"WAFConnectionTimeout" => Reason::ConnectionTimeout,
        b"LambdaConnectionError" | b"WAFConnectionError" => Reason::ConnectionFailed,
        b"LambdaInvalidResponse" | b"LambdaResponseTooLarge" | b"LambdaUnhandled" => Reason::InvalidResponse,
        b"WAFResponseReadTimeout" => Reason::ConnectionReadTimeout,
        b"LambdaThrottling" | b"LambdaResourceNotFound" | b"LambdaENILimitReachedException" => {
            Reason::DestinationUnavailable
        }
        b"LambdaAccessDenied"
        | b"LambdaBadRequest"
        | b"LambdaEC2AccessDeniedException"
        | b"LambdaInvalidRuntimeException"
        | b"LambdaInvalidSecurityGroupIDException"
        | b"LambdaInvalidSubnetIDException"
        | b"LambdaInvalidZipFileException"
        | b"LambdaKMSAccessDeniedException"
        | b"LambdaKMSDisabledException"
        | b"LambdaKMSInvalidStateException"
        | b"LambdaKMSNotFoundException"
        | b"LambdaRequestTooLarge"
        | b"LambdaSubnetIPAddressLimitReachedException" => Reason::ProxyConfigurationError,
        _ => Reason::Unknown,
    })
}
