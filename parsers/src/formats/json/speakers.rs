//! What a JSON line means by whose it is: nginx's variables, or one of those that have words of their own.

use super::{Seen, Speaker, caddy, networks, scraper, traefik};
use crate::context::Context;
use crate::fields::{self, Slot, Unusable, is_missing};
use crate::formats::Parsed;
use crate::formats::envoy::verdict::Evidence;
use crate::reason::Cause;
use crate::record::{Outcome, Record};
use crate::upstreams::{Attempt, Attempts, Retries};

/// A bound for a count that comes from the line.
const RETRIES_MAX: u16 = 64;

/// What a line is that tells of something else than a finished request.
pub fn beside<'a>(seen: &Seen<'a>, context: &mut Context) -> Option<Parsed<'a>> {
    match seen.logger {
        Some(logger) => caddy::beside(seen, logger, context),
        None => traefik::diagnosis(seen, context).map(Parsed::Diagnosis),
    }
}

/// The request.
///
/// # Errors
/// If the time or the status is missing or no such thing.
pub fn record<'a>(seen: &Seen<'a>, context: &mut Context) -> Result<Record<'a>, Unusable<'a>> {
    let Some(speaker) = seen.speaker else { return seen.values.record(context) };
    let mut record = match speaker {
        Speaker::Scraper => scraper::bare_record(seen, context)?,
        _ => seen.values.bare_record(context)?,
    };
    record.outcome = match speaker {
        Speaker::Caddy => caddy::outcome(record.status),
        Speaker::Traefik => traefik::outcome(seen, &record),
        Speaker::Envoy => envoy(seen, &record, context),
        Speaker::Cloudflare => networks::cloudflare(seen, &mut record, context),
        Speaker::Fastly => networks::fastly(seen, &mut record),
        Speaker::Scraper => scraper::outcome(seen, record.status),
    };
    record.outcome = context.outcome(record.status, record.outcome);
    record.outcome = seen.values.refined(record.outcome);
    record.attempts = attempts(seen, &record);
    Ok(record)
}

fn attempts<'a>(seen: &Seen<'a>, record: &Record<'a>) -> Attempts<'a> {
    let Attempts::One(last) = seen.values.single(record) else { return Attempts::None };
    let last = Attempt { upstream: fields::authority(last.upstream), ..last };
    let tries = fields::count(seen.tries).map(|n| n.saturating_sub(1));
    match fields::count(seen.retries).or(tries) {
        None | Some(0) => Attempts::One(last),
        // Which servers the earlier tries went to is not logged.
        Some(n) => Attempts::Retries(Retries {
            last,
            before: n.min(RETRIES_MAX),
            redispatched: true,
            cause: Cause::UNKNOWN,
        }),
    }
}

/// Envoy says it all: flags where it failed, details for how.
fn envoy(seen: &Seen<'_>, record: &Record<'_>, context: &Context) -> Outcome {
    let logged = |slot| seen.values.get(slot).map(|value| !is_missing(value));
    Evidence {
        failure: seen.failure,
        pool: record.pool,
        has_upstream: logged(Slot::Upstream),
        header_came: seen.service_time.map(|value| !is_missing(value)),
        is_http: logged(Slot::Method),
        ..Evidence::new(record.status, seen.flags, seen.details)
    }
    .outcome(context)
}
