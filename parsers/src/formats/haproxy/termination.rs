//! HAProxy's termination state: who ended the session, in which phase, and what that says about an answer.

use crate::context::Context;
use crate::reason::{Cause, Origin, Reason};
use crate::record::{Outcome, Status};

/// The first two letters of `%tsc` or `%ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Termination {
    /// `-` nobody, `C` client, `c` its timeout, `S` server, `s` its timeout, `P` proxy, `L` proxy by itself, `R` resources,
    /// `I` internal, `D` server marked down, `U` active server back up, `K` killed by an admin.
    pub who: u8,
    /// `-` after the end, `R` request, `Q` queue, `C` connect, `H` response header, `D` data, `L` last data, `T` tarpit.
    pub phase: u8,
}

impl Termination {
    /// Nothing unusual, or nothing logged.
    pub const NORMAL: Termination = Termination { who: b'-', phase: b'-' };

    /// Two letters, or four with the cookies'.
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Termination> {
        let &[who, phase] = text.get(..2)?.first_chunk()?;
        let known =
            matches!(who, b'-' | b'C' | b'c' | b'S' | b's' | b'P' | b'L' | b'R' | b'I' | b'D' | b'U' | b'K')
                && matches!(phase, b'-' | b'R' | b'Q' | b'C' | b'H' | b'D' | b'L' | b'T')
                && (text.len() == 2 || text.len() == 4);
        known.then_some(Termination { who, phase })
    }

    /// An answer that a rule of the configuration made: it says nothing about any upstream.
    fn is_policy(self) -> bool {
        matches!(self.phase, b'R' | b'T') || self.who == b'L'
    }

    /// Whether the header had not come from the server when this ended.
    fn is_before_header(self) -> bool {
        matches!(self.phase, b'Q' | b'C' | b'H')
    }

    /// What the end of an HTTP request means. `has_server`: a server's name was logged, not `<NOSRV>` or the like.
    pub fn of_http(self, status: Status, has_server: bool, context: &Context) -> Outcome {
        let by_default = !self.is_policy()
            && match status.code() {
                Some(502 | 504) => true,
                Some(503) => self.is_before_header() && matches!(self.who, b'S' | b's' | b'P' | b'R'),
                _ => false,
            };
        if context.is_gateway_status(status, by_default) {
            return Outcome::GatewayError(self.cause(has_server));
        }
        match (self.who, self.phase) {
            (b'S' | b's', b'D') => Outcome::Aborted,
            // Only who left counts: `c` is a client that sent nothing in time, which no upstream can cause.
            (b'C', b'Q' | b'C' | b'H') => Outcome::Abandoned,
            _ => Outcome::Fine,
        }
    }

    /// What the end of a TCP session means. `SD` and `sD` are no cut bodies here: a TCP service ends its sessions so.
    pub fn of_tcp(self, has_server: bool) -> Outcome {
        match (self.who, self.phase) {
            (b'S' | b's', b'Q' | b'C') => Outcome::GatewayError(self.cause(has_server)),
            (b'C', b'Q' | b'C') => Outcome::Abandoned,
            _ => Outcome::Fine,
        }
    }

    /// Who made the error and why, no further than these letters show.
    fn cause(self, has_server: bool) -> Cause {
        let reason = match (self.who, self.phase) {
            _ if self.is_policy() => Reason::ProxyConfigurationError,
            (b'C' | b'c', b'Q' | b'C' | b'H') => {
                return Cause { origin: Origin::Client, reason: Reason::ClientAborted };
            }
            (b'P' | b'R', b'Q' | b'C') | (b'R', b'H') => Reason::ConnectionLimitReached,
            (b's', b'C') => Reason::ConnectionTimeout,
            // Without a server nobody was asked; with one it refused, or there was no route, or TLS failed.
            (b'S', b'C') if !has_server => Reason::DestinationUnavailable,
            (b'S', b'C') => Reason::ConnectionFailed,
            (b'S' | b's' | b'D', b'Q') | (b'D', b'C') => Reason::DestinationUnavailable,
            (b'S' | b'D' | b'U' | b'K', b'H') => Reason::ConnectionTerminated,
            (b's', b'H') => Reason::ConnectionReadTimeout,
            // Garbage, a header that is too big, or `http-response deny`: the line is the same.
            (b'P', b'H') => Reason::InvalidResponse,
            // The header had come: the status is the server's own.
            (_, b'-' | b'D' | b'L') if has_server => return Cause::upstream(),
            (b'-', _) => return Cause::UNKNOWN,
            _ => Reason::Unknown,
        };
        Cause::proxy(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Zone;

    const NOT: Option<(Origin, Reason)> = None;
    const fn proxy(reason: Reason) -> Option<(Origin, Reason)> {
        Some((Origin::Proxy, reason))
    }
    const UPSTREAM: Option<(Origin, Reason)> = Some((Origin::Upstream, Reason::UpstreamResponse));

    #[test]
    fn the_table_of_design() {
        use Reason::*;
        let context = Context::new(Zone::Fixed(0), 0);
        // Letters, status, a server was named → gateway error.
        let cases = [
            ("SC--", 503, true, proxy(ConnectionFailed)),
            ("SC--", 503, false, proxy(DestinationUnavailable)),
            ("sC--", 503, true, proxy(ConnectionTimeout)),
            ("sC--", 504, true, proxy(ConnectionTimeout)),
            ("sQ--", 503, false, proxy(DestinationUnavailable)),
            ("SQ--", 503, true, proxy(DestinationUnavailable)),
            ("RC--", 503, true, proxy(ConnectionLimitReached)),
            ("PC--", 503, true, proxy(ConnectionLimitReached)),
            ("PQ--", 503, false, proxy(ConnectionLimitReached)),
            ("SH--", 502, true, proxy(ConnectionTerminated)),
            ("SHVN", 502, true, proxy(ConnectionTerminated)),
            ("sH--", 504, true, proxy(ConnectionReadTimeout)),
            ("PH--", 502, true, proxy(InvalidResponse)),
            ("PH--", 503, true, proxy(InvalidResponse)),
            ("PH--", 500, true, NOT),
            ("SH--", 425, true, NOT),
            ("----", 502, true, UPSTREAM),
            ("----", 504, true, UPSTREAM),
            ("--NI", 502, true, UPSTREAM),
            ("SD--", 502, true, UPSTREAM),
            ("CD--", 504, true, UPSTREAM),
            ("----", 503, true, NOT),
            ("----", 502, false, Some((Origin::Unknown, Unknown))),
            ("PR--", 502, false, NOT),
            ("PT--", 503, false, NOT),
            ("LR--", 503, false, NOT),
            ("LR--", 504, false, NOT),
            ("LH--", 502, false, NOT),
            ("CH--", 504, true, Some((Origin::Client, ClientAborted))),
            ("CC--", 503, true, NOT),
            ("CQ--", 503, false, NOT),
            ("cC--", 503, true, NOT),
            ("IH--", 503, true, NOT),
            ("IH--", 502, true, proxy(Unknown)),
        ];
        for (letters, status, has_server, want) in cases {
            let state = Termination::parse(letters.as_bytes()).unwrap();
            let got = state.of_http(Status::new(status), has_server, &context).gateway_error();
            assert_eq!(got.map(|c| (c.origin, c.reason)), want, "{letters} {status}");
        }
    }

    #[test]
    fn beside_gateway_errors() {
        let context = Context::new(Zone::Fixed(0), 0);
        let http = |letters: &str, code| {
            Termination::parse(letters.as_bytes()).unwrap().of_http(Status::new(code), true, &context)
        };
        assert_eq!(http("SD--", 200), Outcome::Aborted);
        assert_eq!(http("sD--", 206), Outcome::Aborted);
        assert_eq!(http("CD--", 200), Outcome::Fine);
        for letters in ["CH--", "CC--", "CQ--"] {
            assert_eq!(http(letters, 1000), Outcome::Abandoned, "{letters}");
        }
        for letters in ["cH--", "cC--", "cQ--", "CR--", "cR--", "cD--"] {
            assert_eq!(http(letters, 408), Outcome::Fine, "{letters}");
        }
        let tcp = |letters: &str| Termination::parse(letters.as_bytes()).unwrap().of_tcp(true);
        for letters in ["--", "SD", "sD", "cD", "CD", "RC", "PC"] {
            assert_eq!(tcp(letters), Outcome::Fine, "{letters}");
        }
        assert_eq!(tcp("CC"), Outcome::Abandoned);
        assert_eq!(tcp("SC").gateway_error(), Some(Cause::proxy(Reason::ConnectionFailed)));
        assert_eq!(tcp("sC").gateway_error(), Some(Cause::proxy(Reason::ConnectionTimeout)));
        assert_eq!(tcp("sQ").gateway_error(), Some(Cause::proxy(Reason::DestinationUnavailable)));
    }

    #[test]
    fn an_input_says_what_counts() {
        let mut context = Context::new(Zone::Fixed(0), 0);
        context.gateway_statuses = Some(vec![500, 503]);
        let state = Termination::NORMAL;
        assert_eq!(state.of_http(Status::new(502), true, &context), Outcome::Fine);
        assert_eq!(state.of_http(Status::new(503), true, &context).gateway_error(), Some(Cause::upstream()));
        let denied = Termination { who: b'P', phase: b'R' };
        let cause = denied.of_http(Status::new(503), false, &context).gateway_error();
        assert_eq!(cause, Some(Cause::proxy(Reason::ProxyConfigurationError)));
    }

    #[test]
    fn only_letters_of_the_manual() {
        for text in ["", "S", "SC-", "SC---", "XX--", "S1--", "12", "\"\"", "sc--"] {
            assert_eq!(Termination::parse(text.as_bytes()), None, "{text}");
        }
    }
}
