//! 3proxy's error codes, by the reference in its documentation.

use crate::reason::{Cause, Origin, Reason};
use crate::record::Outcome;

/// What the counts of bytes show; `None`: they are not logged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// The client had something sent.
    pub(super) asked: Option<bool>,
    /// The server had something sent back.
    pub(super) answered: Option<bool>,
}

/// What a code means. 1–10 are refusals, 21 is the proxy's own memory, 200 and more are what one service says of its own
/// protocol: no upstream's failures. Those of an established connection count if the server was asked and nothing came
/// back; which end broke it, releases before 0.9 number otherwise, so that the coarser word stands.
pub(super) fn outcome(code: u16, progress: Progress) -> Outcome {
    let is_unanswered = progress.asked == Some(true) && progress.answered == Some(false);
    let reason = match code {
        // No socket, no address to bind: the proxy's own, but it kept the request from its target.
        11 | 12 | 71 | 72 => Reason::Unknown,
        13 | 14 | 73 | 74 => Reason::ConnectionFailed,
        // The proxy behind this one refused, or said nothing.
        31..=32 | 34..=69 => Reason::Unknown,
        33 => {
            return Outcome::GatewayError(Cause {
                origin: Origin::Upstream,
                reason: Reason::UpstreamResponse,
            });
        }
        92 if is_unanswered => Reason::ConnectionReadTimeout,
        96 if is_unanswered => Reason::ConnectionTerminated,
        90 | 91 | 93 | 97 if is_unanswered => Reason::Unknown,
        100 => Reason::DnsError,
        _ => return Outcome::Fine,
    };
    Outcome::GatewayError(Cause::proxy(reason))
}
