//! What parsing a line needs beside the line: settings of its input, and memory of the lines before it in the same
//! file. One per reader; never shared.

use std::sync::Arc;

use crate::formats::Columns;
use crate::reason::Cause;
use crate::record::{Millis, Outcome, Status};
use crate::syslog::Prefix;
use crate::time::{Dates, Zone};

/// Settings of an input and memory of a file. Of the memory, a reading that goes on later needs [`Dates::dated`] and
/// what [`Format::name_in`](crate::Format::name_in) says: the syslog header seen last changes nothing that is found.
#[derive(Clone, Debug)]
pub struct Context {
    /// Dates → time: the zone of stamps that carry none, and the last second parsed.
    pub dates: Dates,
    /// What counts as a gateway error here instead of the format's own rule (`gateway_statuses`); sorted.
    pub gateway_statuses: Option<Vec<u16>>,
    /// The syslog header that the last line bore; tried first.
    pub prefix: Prefix,
    /// What the file's last `#Fields` line said, for formats that read one.
    pub columns: Option<Arc<Columns>>,
}

impl Context {
    /// A context for one file. `near`: a time that this file's stamps are close to (its modification time), which
    /// decides a missing year and an ambiguous local hour until lines have been read.
    #[must_use]
    pub fn new(zone: Zone, near: Millis) -> Context {
        Context { dates: Dates::new(zone, near), gateway_statuses: None, prefix: Prefix::None, columns: None }
    }

    /// Whether this status is a gateway error: as the input says, else as the format says.
    #[must_use]
    pub fn is_gateway_status(&self, status: Status, by_default: bool) -> bool {
        match (&self.gateway_statuses, status.code()) {
            (None, _) => by_default,
            (Some(list), Some(code)) => list.binary_search(&code).is_ok(),
            (Some(_), None) => false,
        }
    }

    /// What a request came to: as its format says, unless the input says otherwise of its status.
    #[must_use]
    pub fn outcome(&self, status: Status, by_default: Outcome) -> Outcome {
        let cause = by_default.gateway_error();
        match (self.is_gateway_status(status, cause.is_some()), cause) {
            (true, cause) => Outcome::GatewayError(cause.unwrap_or(Cause::UNKNOWN)),
            // A failure without a status is none that the setting speaks of.
            (false, Some(_)) if matches!(status.code(), None | Some(0)) => by_default,
            (false, Some(_)) => Outcome::Fine,
            (false, None) => by_default,
        }
    }
}
