//! The proof on a whole host: a numbered writer at 20,000 lines a second that reopens as nginx does, the real logrotate about
//! once a second, `kill -9` of the real agent every 0.1 to 0.5 s. In the end what the agent says it counted is what the
//! writer wrote, and what was told is what `analyze` finds in all of it. `make chaos`; CHAOS_SECONDS, CHAOS_SEED.
//!
//! What this rests on, beside the command line:
//! - a snapshot is due by the age of the last *durable* one, whichever process wrote it: an agent that never lives for a
//!   second must still get on;
//! - `gatewatch status --format json --state-dir DIR` of a dead agent: requests, gateway_errors, status, late, future,
//!   `upstreams{name: gateway_errors}` if it has them, `possible_loss` if a source lost lines by truncation;
//! - the same Idempotency-Key for the same content, over crashes, and never for another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod check;
#[path = "../support/dice.rs"]
mod dice;
mod host;
mod receiver;
mod rotation;
mod writer;

use host::Host;
use rotation::Mode;
use std::time::Duration;

/// So long writers write, in all.
fn seconds() -> u64 {
    std::env::var("CHAOS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

fn seed() -> u64 {
    let given = std::env::var("CHAOS_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| u64::try_from(gatewatch::clock::now()).unwrap() % 1_000_000)
}

/// Runs shorter than a minute have as much less of everything.
fn at_least(count: u64, seconds: u64) -> u64 {
    count * seconds.min(60) / 60
}

#[test]
fn rotated_by_rename() {
    if support::program("logrotate").is_none() {
        return support::skip("no logrotate");
    }
    let (seconds, seed) = (seconds(), seed());
    println!("CHAOS_SECONDS={seconds} CHAOS_SEED={seed}");
    // CHAOS_MODES=compress,dateext: of these only, to find out which one fails.
    let wanted = std::env::var("CHAOS_MODES").unwrap_or_default();
    let mut modes = vec![Mode::Create, Mode::Delaycompress, Mode::Compress, Mode::Dateext];
    modes.retain(|mode| wanted.is_empty() || wanted.contains(mode.log().trim_end_matches(".log")));
    let mut host = Host::new(seed);
    let ran = host.run(&modes, Duration::from_secs(seconds));
    println!("{ran}");
    assert!(ran.kills >= at_least(100, seconds), "too few kills to mean anything: {ran}");
    assert!(ran.rotations >= at_least(10, seconds), "too few rotations to mean anything: {ran}");
    assert!(ran.snapshots >= at_least(20, seconds), "the agent got on too rarely to mean anything: {ran}");
    let written = host.written();
    assert_eq!(host.source_lost(&written), 0, "the source itself lost lines: this run proves nothing");
    let counted = host.catch_up(|counted| counted.requests >= written.lines);
    check::exact(&counted, &written);
    check::alerts(&host);
}

/// copytruncate destroys what is written between the copy and the truncation: nothing is counted twice, and what is
/// missing is what the source lost, or was said to be possibly lost.
#[test]
fn copied_and_truncated() {
    if support::program("logrotate").is_none() {
        return support::skip("no logrotate");
    }
    let (seconds, seed) = ((seconds() / 3).max(10), seed());
    println!("CHAOS_SECONDS={} CHAOS_SEED={seed}", seconds * 3);
    let mut host = Host::new(seed);
    let ran = host.run(&[Mode::Copytruncate], Duration::from_secs(seconds));
    println!("{ran}");
    assert!(ran.kills >= at_least(100, seconds), "too few kills to mean anything: {ran}");
    assert!(ran.rotations >= at_least(10, seconds), "too few rotations to mean anything: {ran}");
    let written = host.written();
    let lost = host.source_lost(&written);
    let counted = host.catch_up(|counted| counted.requests + lost >= written.lines);
    check::weaker(&counted, &written, lost);
}
