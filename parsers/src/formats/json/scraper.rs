//! A scraper's own log: what became of each fetch, by status or by the exception that came in its place.

use super::Seen;
use crate::context::Context;
use crate::failure::{self, Failure};
use crate::fields::{self, Slot, Target, Unusable};
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};

/// Words that stand in a status' place where the fetch went well.
const WELL: &[&[u8]] = &[b"ok", b"success", b"succeeded", b"done", b"completed", b"finished"];

/// Words that stand there where it did not, and say nothing more.
const BADLY: &[&[u8]] = &[b"error", b"failed", b"failure", b"exception", b"err", b"fail"];

/// The request with its status as far as it has one: a failed fetch has none, or a word for it.
///
/// # Errors
/// If the time is missing or no such thing, or the line tells neither a status nor a failure of a request.
pub fn bare_record<'a>(seen: &Seen<'a>, context: &mut Context) -> Result<Record<'a>, Unusable<'a>> {
    let logged = seen.values.get(Slot::Status);
    // 0 is what is logged where no answer came.
    let is_status = |status: Status| status.code() != Some(0) || seen.errors().is_empty();
    if logged.and_then(fields::status).is_some_and(is_status) {
        return seen.values.bare_record(context);
    }
    let is_request = [Slot::Site, Slot::Path, Slot::Request, Slot::Upstream]
        .iter()
        .any(|slot| !seen.values.or_empty(*slot).is_empty());
    let is_known = logged.is_some_and(|word| is_word(WELL, word) || failed(word).is_some());
    let has_failed = !seen.errors().is_empty() || logged.is_some_and(|word| is_word(BADLY, word));
    if !is_request || !(is_known || has_failed) {
        return seen.values.bare_record(context);
    }
    let mut values = seen.values;
    values.set(Target::Slot(Slot::Status), b"");
    values.bare_record(context)
}

/// What became of it. An exception in place of a status is a gateway error; one after a status tells that the body was cut.
pub fn outcome(seen: &Seen<'_>, status: Status) -> Outcome {
    let word = seen.values.or_empty(Slot::Status);
    let is_word = fields::status(word).is_none();
    let mut texts: [&[u8]; 6] = [b""; 6];
    let named = is_word.then_some(word);
    let all = named.into_iter().chain(seen.errors().iter().copied());
    let mut count = 0;
    for (place, text) in texts.iter_mut().zip(all) {
        *place = text;
        count += 1;
    }
    let texts = texts.get(..count).unwrap_or_default();
    let failure = failure::of(texts);
    let has_failed = !seen.errors().is_empty() || is_word && !self::is_word(WELL, word);
    match (status.code(), failure) {
        (None | Some(0), Some(Failure::GivenUp)) => Outcome::Abandoned,
        (None | Some(0), Some(Failure::Upstream(reason))) => Outcome::GatewayError(Cause::proxy(reason)),
        (None | Some(0), None) if has_failed => Outcome::GatewayError(Cause::UNKNOWN),
        (Some(502 | 504), Some(Failure::Upstream(reason))) => Outcome::GatewayError(Cause::proxy(reason)),
        (Some(502 | 504), _) => Outcome::GatewayError(Cause::UNKNOWN),
        (Some(100..=399), Some(Failure::Upstream(reason))) if reason != Reason::Unknown => Outcome::Aborted,
        _ => Outcome::Fine,
    }
}

fn is_word(words: &[&[u8]], word: &[u8]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn failed(word: &[u8]) -> Option<Failure> {
    failure::of(&[word])
}
