//! Attempts: one request may have tried several servers. nginx writes them as lists (`"a, b : c"`, `"502, 504 : 200"`),
//! HAProxy as a count of retries. Split only when asked for, so that nothing is allocated and the usual single attempt
//! costs next to nothing.

use crate::reason::Cause;
use crate::record::Status;

/// One try at one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// A server on its own: `addr:port`, `unix:/path`, HAProxy's `backend/server`; empty if no single server is known
    /// (nginx's group name in place of an address, `<NOSRV>`, the failed tries of a redispatched request).
    pub upstream: &'a [u8],
    /// The group it belongs to; empty: that of the record.
    pub pool: &'a [u8],
    /// What it answered, or what the proxy noted for it.
    pub status: Status,
    /// Why it failed; `None`: it did not.
    pub failure: Option<Cause>,
}

/// What was tried, in order. Iterate with [`Attempts::iter`]; the last item gave the answer.
#[derive(Clone, Copy, Debug)]
pub enum Attempts<'a> {
    /// No upstream was involved, or the format does not say.
    None,
    /// One try.
    One(Attempt<'a>),
    /// nginx's lists, as logged.
    Lists(Lists<'a>),
    /// HAProxy: the logged server, and how many tries came before the last one.
    Retries(Retries<'a>),
}

/// nginx's upstream variables as logged (`$upstream_addr` and friends): item i of each belongs to attempt i. A missing
/// variable is empty; so is a list that is shorter than the others from there on.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// `$upstream_addr`
    pub addr: &'a [u8],
    /// `$upstream_status`
    pub status: &'a [u8],
    /// `$upstream_connect_time`; `None`: the format does not carry it, so nothing can be concluded from a dash.
    pub connect_time: Option<&'a [u8]>,
    /// `$upstream_header_time`; `None`: the format does not carry it.
    pub header_time: Option<&'a [u8]>,
    /// `$upstream_response_time`; `None`: the format does not carry it.
    pub response_time: Option<&'a [u8]>,
    /// The request's own status, for an attempt that got none.
    pub request_status: Status,
}

/// HAProxy's retries (`%rc`).
#[derive(Clone, Copy, Debug)]
pub struct Retries<'a> {
    /// The last attempt, at the logged server.
    pub last: Attempt<'a>,
    /// How many tries failed before it; bounded by the parser.
    pub before: u16,
    /// `+`: the request was redispatched, so the failed tries belong to the pool and to no known server.
    pub redispatched: bool,
    /// Why those failed, as far as is known.
    pub cause: Cause,
}
