//! One finished request, in nginx's and HAProxy's own words: borrowed slices of the line (logs are not UTF-8), typed
//! numbers, and the verdict that the line alone allows. A record owns nothing and costs no allocation.

use crate::reason::Cause;
use crate::upstreams::Attempts;
use serde::{Deserialize, Serialize};

/// Milliseconds since the epoch, UTC; also lengths of time in milliseconds.
pub type Millis = i64;

/// How many named captures of a custom format become labels; more are refused when the format is compiled.
pub const EXTRA_LABELS_MAX: usize = 8;

/// The status as logged: 0 to 999 (`000`, `009` and `499` are real), or none (`-`, `-1`, a TCP session).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u16")]
pub struct Status(u16);

impl Status {
    /// No status was logged.
    pub const NONE: Status = Status(1000);
    /// One more than the greatest index that `index` gives.
    pub const COUNT: usize = 1001;

    /// A logged status; anything above 999 is none.
    #[must_use]
    pub const fn new(code: u16) -> Status {
        if code > 999 { Status::NONE } else { Status(code) }
    }

    /// The number, or `None` where none was logged.
    #[must_use]
    pub const fn code(self) -> Option<u16> {
        if self.0 == 1000 { None } else { Some(self.0) }
    }

    /// 0 to 1000, for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl From<u16> for Status {
    fn from(code: u16) -> Status {
        Status::new(code)
    }
}

/// What a request's end means to this program. Exactly one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of ours.
    Fine,
    /// 502, 504, or another answer that the proxy made because an upstream failed.
    GatewayError(Cause),
    /// Cut after the header; the status is kept (HAProxy's SD and sD, Envoy's UPE).
    Aborted,
    /// The client left before the upstream's header (nginx 499 without header time, HAProxy CH CC CQ).
    Abandoned,
}

impl Outcome {
    /// The cause, if this is a gateway error.
    #[must_use]
    pub fn gateway_error(self) -> Option<Cause> {
        match self {
            Outcome::GatewayError(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Further captures of a line: kept as places in it, so that a record that has none stays small to make and to hand on.
#[derive(Clone, Copy, Debug)]
pub struct Extra<'a> {
    line: &'a [u8],
    /// Start and length.
    places: [(u16, u16); EXTRA_LABELS_MAX],
}

impl<'a> Extra<'a> {
    /// No captures.
    pub const NONE: Extra<'static> = Extra { line: b"", places: [(0, 0); EXTRA_LABELS_MAX] };

    /// These parts of `line`. One that is no part of it is empty; beyond 64 KiB, a line is cut before it comes here.
    #[must_use]
    pub fn new(line: &'a [u8], values: &[&'a [u8]; EXTRA_LABELS_MAX]) -> Extra<'a> {
        let place = |value: &&[u8]| {
            if value.is_empty() {
                return None;
            }
            let start = (value.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
            let end = start.checked_add(value.len())?;
            line.get(start..end)?;
            Some((u16::try_from(start).ok()?, u16::try_from(value.len()).unwrap_or(u16::MAX)))
        };
        let mut extra = Extra { line, ..Extra::NONE };
        for (slot, value) in extra.places.iter_mut().zip(values) {
            *slot = place(value).unwrap_or_default();
        }
        extra
    }

    /// The capture at this place; empty if there is none.
    #[must_use]
    pub fn get(&self, index: usize) -> &'a [u8] {
        let (start, len) = self.places.get(index).copied().unwrap_or_default();
        self.line.get(usize::from(start)..usize::from(start) + usize::from(len)).unwrap_or_default()
    }
}

/// One finished request.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When the request ended. Formats that log the start have added the total time.
    pub end: Millis,
    /// The status that the client got.
    pub status: Status,
    /// What it means.
    pub outcome: Outcome,
    /// Total time of the request in milliseconds; `None` where the format logs none.
    pub request_time: Option<u32>,
    /// The method; empty where there was none.
    pub method: &'a [u8],
    /// The request target as logged, escapes and all.
    pub path: &'a [u8],
    /// The machine that logged the line, if the line or its syslog header names it.
    pub node: &'a [u8],
    /// The region, if the line names it (a capture called `region`).
    pub region: &'a [u8],
    /// Backend or upstream group; empty if unknown.
    pub pool: &'a [u8],
    /// The host asked for (a forward proxy's target), without port; empty if not logged.
    pub site: &'a [u8],
    /// What was tried, in order; the last one gave the answer.
    pub attempts: Attempts<'a>,
    /// A custom format's further named captures, in the order of `Format::extra_labels`.
    pub extra: Extra<'a>,
}

impl<'a> Record<'a> {
    /// A record with nothing known but its end and status.
    #[must_use]
    pub fn new(end: Millis, status: Status) -> Record<'a> {
        Record {
            end,
            status,
            outcome: Outcome::Fine,
            request_time: None,
            method: b"",
            path: b"",
            node: b"",
            region: b"",
            pool: b"",
            site: b"",
            attempts: Attempts::None,
            extra: Extra::NONE,
        }
    }

    /// Whether its total time says nothing about an upstream's speed (a tunnel or an upgraded connection).
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.status == Status::new(101) || self.method == b"CONNECT"
    }
}
