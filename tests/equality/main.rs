//! However a log comes, what is said of it is the same: read by any number of threads, in blocks of any size, in one file
//! or ten, compressed or not, finished or while it is being written. Logs are generated, the reference reads line by line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/dice.rs"]
mod dice;
mod finished;
mod flood;
mod follow;
mod holes;
mod live;
mod logs;
mod reference;
mod running;
