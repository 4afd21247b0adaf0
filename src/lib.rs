//! The shell as a library, so that tests and fuzzers reach it.

pub mod commands;
pub mod config;
pub mod receiver;
