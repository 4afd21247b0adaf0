//! A scraper's own log: what became of each fetch, by status or by the exception that came in its place.

use super::Seen;
use crate::context::Context;
use crate::failure::{self, Failure};
use crate::fields::{self, Slot, Target, Unusable};
use crate::reason::Cause;
use crate::record::{Outcome, Record, Status};

/// Words that stand in a status' place where the fetch went well.
const WELL: &[&[u8]] = &[b"ok", b"success", b"succeeded", b"done", b"completed", b"finished"];

/// Words that stand there where it did not, and say nothing more.
const BADLY: &[&[u8]] = &[b"error", b"failed", b"failure", b"exception", b"err", b"fail"];

/// The request with its status as far as it has one: a failed fetch has none, or a word for it. Other programs log errors,
/// too: without a status, the line is a fetch only if it names an exit, or a target and an error that fetches end in.
///
/// # Errors
/// If the time is missing or no such thing, or the line tells neither a status nor what became of a fetch.
pub fn bare_record<'a>(seen: &Seen<'a>, context: &mut Context) -> Result<Record<'a>, Unusable<'a>> {
    let logged = seen.values.get(Slot::Status);
    // 0 is what is logged where no answer came.
    let is_status = |status: Status| status.code() != Some(0) || seen.errors().is_empty();
    if logged.and_then(fields::status).is_some_and(is_status) {
        return seen.values.bare_record(context);
    }
    let ended = Ending::of(seen);
    let is_fetch = match ended.failure {
        Some(Failure::Upstream(_) | Failure::GivenUp) => seen.names_exit() || seen.names_target(),
        _ => seen.names_exit() && (ended.has_failed || ended.went_well),
    };
    // Of a cut line, the status may be what is missing.
    if !is_fetch || !seen.is_whole {
        return seen.values.bare_record(context);
    }
    let mut values = seen.values;
    values.set(Target::Slot(Slot::Status), b"");
    values.bare_record(context)
}

/// What the words of a line say of its end.
struct Ending {
    failure: Option<Failure>,
    has_failed: bool,
    went_well: bool,
}

impl Ending {
    fn of(seen: &Seen<'_>) -> Ending {
        let status = seen.values.or_empty(Slot::Status);
        let word = if fields::status(status).is_none() { status } else { b"" };
        let failure = match seen.errors() {
            [] if word.is_empty() => None,
            errors => failure::of(word, errors),
        };
        Ending {
            failure,
            has_failed: !seen.errors().is_empty() || is_word(BADLY, word),
            went_well: is_word(WELL, word),
        }
    }
}

/// What became of it. An exception in place of a status is a gateway error; one after a status tells that the body was cut.
pub fn outcome(seen: &Seen<'_>, status: Status) -> Outcome {
    let ended = Ending::of(seen);
    match (status.code(), ended.failure) {
        (None | Some(0), Some(Failure::GivenUp)) => Outcome::Abandoned,
        (None | Some(0), Some(Failure::Upstream(reason))) => Outcome::GatewayError(Cause::proxy(reason)),
        (None | Some(0), None) if ended.has_failed => Outcome::GatewayError(Cause::UNKNOWN),
        (Some(502 | 504), Some(Failure::Upstream(reason))) => Outcome::GatewayError(Cause::proxy(reason)),
        (Some(502 | 504), _) => Outcome::GatewayError(Cause::UNKNOWN),
        (Some(100..=399), Some(Failure::Upstream(_))) => Outcome::Aborted,
        _ => Outcome::Fine,
    }
}

fn is_word(words: &[&[u8]], word: &[u8]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}
