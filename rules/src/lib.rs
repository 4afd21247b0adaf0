//! Records → counts → verdicts. This crate reads no clock, file, network or environment and takes no lock: time is an
//! argument.

pub mod alert;
pub mod block;
pub mod buckets;
pub mod clock;
pub mod collector;
pub mod detectors;
pub mod filter;
mod intern;
pub mod latency;
pub mod life;
pub mod matcher;
pub mod presets;
pub mod redact;
pub mod report;
pub mod rule;
pub mod series;
pub mod source;
pub mod summary;
pub mod tally;
pub mod timeline;
pub mod watermark;
pub mod window;
