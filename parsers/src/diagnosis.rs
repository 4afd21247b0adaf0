//! One line of a proxy's error log that tells of an upstream's failure: no request, but its cause in finer words than the
//! access log has. Lines are not joined; what they count stands beside the access log's counts, in the same series.

use crate::reason::Cause;
use crate::record::{Millis, Record, Status};
use crate::upstreams::{Attempt, Attempts};

/// What an upstream's failure did to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An attempt failed: the request was tried elsewhere, or answered with a gateway error.
    Failed,
    /// The header was sent already: the status stays, the body is cut.
    Aborted,
}

/// An upstream's failure, as an error log has it.
#[derive(Clone, Copy, Debug)]
pub struct Diagnosis<'a> {
    /// When it was logged.
    pub at: Millis,
    /// Who and why.
    pub cause: Cause,
    /// What came of it.
    pub effect: Effect,
    /// The machine that logged the line, if its header names it.
    pub node: &'a [u8],
    /// Upstream group or balancer; empty if not logged.
    pub pool: &'a [u8],
    /// The server, as the access log names it; empty if none was tried (no live upstreams, a name that did not resolve).
    pub upstream: &'a [u8],
    /// The host asked for, without port; empty if not logged.
    pub site: &'a [u8],
}

impl<'a> Diagnosis<'a> {
    /// As a record that has its labels, its time and no status: for whoever selects or labels records.
    #[must_use]
    pub fn as_record(&self) -> Record<'a> {
        let attempt = Attempt {
            upstream: self.upstream,
            pool: self.pool,
            status: Status::NONE,
            failure: Some(self.cause),
        };
        let attempts = if self.upstream.is_empty() { Attempts::None } else { Attempts::One(attempt) };
        Record {
            node: self.node,
            pool: self.pool,
            site: self.site,
            attempts,
            ..Record::new(self.at, Status::NONE)
        }
    }
}
