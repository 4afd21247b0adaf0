//! A snapshot that is too large to be written every few seconds leaves out what is missed least: lines that show a fault,
//! exits and targets, then the oldest minutes. Never what exact counting rests on: positions, totals, alerts, the outbox.

use super::frame::{self, Flaw};
use super::{Snapshot, encode};
use gatewatch_rules::engine::EngineState;
use serde::Serialize;

/// No payload is larger if leaving out can help it: with its frame around it, 8 MiB.
pub const PAYLOAD_MAX: usize = (8 << 20) - frame::AROUND;

/// A snapshot's payload, and what it lacks.
#[derive(Debug)]
pub struct Fitted {
    /// As [`encode`] gives it.
    pub payload: Vec<u8>,
    /// What was left out, in words; what is missed least first.
    pub left_out: Vec<&'static str>,
}

/// Encodes it, leaving out as much as need be. It begins by leaving out one thing less than the last time (`last`), since each
/// thing more is one encoding more.
///
/// # Errors
/// Even what cannot be left out is more than can be read again.
pub fn fit<O: Serialize, M: Serialize>(
    snapshot: &mut Snapshot<EngineState<'_>, O, M>,
    last: usize,
) -> Result<Fitted, Flaw> {
    let mut left_out = Vec::new();
    while left_out.len() + 1 < last
        && let Some(what) = snapshot.engine.leave_out(left_out.len())
    {
        left_out.push(what);
    }
    loop {
        let encoded = encode(snapshot);
        let fits = encoded.as_ref().is_ok_and(|payload| payload.len() <= PAYLOAD_MAX);
        let may_help = matches!(encoded, Ok(_) | Err(Flaw::TooLarge(_))) && !fits;
        match may_help.then(|| snapshot.engine.leave_out(left_out.len())).flatten() {
            Some(what) => left_out.push(what),
            None => return encoded.map(|payload| Fitted { payload, left_out }),
        }
    }
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
