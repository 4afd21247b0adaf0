//! Records → counts → verdicts. This crate reads no clock, file, network or environment and takes no lock: time is an
//! argument.

pub mod alert;
pub mod block;
pub mod buckets;
mod case;
pub mod clock;
pub mod collector;
pub mod detectors;
pub mod engine;
pub mod filter;
mod groups;
mod intern;
mod judge;
pub mod latency;
pub mod life;
mod lost;
pub mod matcher;
pub mod presets;
pub mod redact;
pub mod refine;
pub mod regions;
pub mod report;
pub mod rule;
mod samples;
pub mod saved;
pub mod series;
pub mod source;
pub mod summary;
pub mod table;
pub mod tally;
mod tell;
pub mod timeline;
pub mod total;
pub mod watermark;
pub mod window;
