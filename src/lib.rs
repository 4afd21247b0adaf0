//! The shell as a library, so that tests and fuzzers reach it.

pub mod inputs;
pub mod tail;
