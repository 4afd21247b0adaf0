//! The shell as a library, so that tests and fuzzers reach it: everything that touches the world. The binary is
//! `main.rs`, which only turns arguments into a command and its result into an exit code.

pub mod agent;
pub mod batch;
pub mod causes;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
pub mod delivery;
pub mod discover;
pub mod exit;
pub mod figures;
pub mod findings;
pub mod inputs;
pub mod message;
pub mod metrics;
pub mod mute;
pub mod notification;
pub mod notifiers;
pub mod receiver;
pub mod reports;
pub mod service;
pub mod settings;
pub mod state;
pub mod status;
pub mod tail;
pub mod wiring;
