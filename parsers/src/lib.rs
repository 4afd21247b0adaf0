//! Log lines of proxies and gateways → [`Record`]: pure functions over bytes. This crate reads no clock, file, network
//! or environment, takes no lock, and never panics on input.
//!
//! The data path: bytes → [`lines::LineBuffer`] → a [`formats::Format`] → [`Record`].

pub mod container;
pub mod context;
pub mod detect;
pub mod diagnosis;
pub mod event;
mod failure;
mod fields;
pub mod formats;
pub mod lines;
mod looks;
pub mod proxy_status;
pub mod reason;
pub mod record;
pub mod syslog;
pub mod text;
pub mod time;
pub mod upstreams;
pub mod whose;

pub use context::Context;
pub use diagnosis::{Diagnosis, Effect};
pub use event::{Event, Happened};
pub use formats::{Field, Format, Malformed, Parsed};
pub use reason::{Cause, Origin, Reason};
pub use record::{EXTRA_LABELS_MAX, Extra, Millis, Outcome, Record, Status};
pub use time::{Dated, Dates, Zone};
pub use upstreams::{Attempt, Attempts};
