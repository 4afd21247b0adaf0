//! Records → counts → verdicts. This crate reads no clock, file, network or environment and takes no lock: time is an
//! argument.

pub mod alert;
pub mod matcher;
pub mod report;
pub mod rule;
