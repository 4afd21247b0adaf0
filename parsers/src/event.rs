//! What a proxy writes of its servers beside requests: out of rotation, back again, none left.

use crate::record::{Millis, Record, Status};
use crate::upstreams::{Attempt, Attempts};
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Happened {
    /// The server was taken out of rotation (HAProxy's DOWN, Envoy's ejection).
    Down,
    /// It was taken out for a while, and nothing will tell when it is back (nginx's `temporarily disabled`, Apache's
    /// `disabling worker … for 60s`).
    Paused,
    /// It came back.
    Up,
    /// No server of the pool is left.
    NoServer,
}

/// A change of a server's or a pool's state.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When; `None` where neither line nor header say: then it is the newest end of the file so far.
    pub at: Option<Millis>,
    /// What.
    pub happened: Happened,
    /// The machine that logged the line, if its header names it.
    pub node: &'a [u8],
    /// Backend or upstream group; empty if not logged.
    pub pool: &'a [u8],
    /// The server, as the access log names it; empty for [`Happened::NoServer`].
    pub upstream: &'a [u8],
    /// Why, in the proxy's own words: `Layer4 connection problem`; empty if not logged.
    pub detail: &'a [u8],
}

impl<'a> Event<'a> {
    /// As a record that has its labels, its time (0 if it has none) and no status: for whoever selects records.
    #[must_use]
    pub fn as_record(&self) -> Record<'a> {
        let (upstream, pool) = (self.upstream, self.pool);
        let attempt = Attempt { upstream, pool, status: Status::NONE, failure: None };
        let attempts = if upstream.is_empty() { Attempts::None } else { Attempts::One(attempt) };
        Record { node: self.node, pool, attempts, ..Record::new(self.at.unwrap_or(0), Status::NONE) }
    }
}
