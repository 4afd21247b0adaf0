//! The shell as a library, so that tests and fuzzers reach it.

pub mod delivery;
pub mod message;
pub mod notifiers;
pub mod receiver;
