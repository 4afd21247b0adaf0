//! What one record adds to the cell that it counts in.

use crate::block::Block;
use crate::clues::{SLOW, clues_of};
use crate::series::Plan;
use crate::tally::Detail;
use gatewatch_parsers::{Attempt, Outcome, Reason, Record, Status};

/// What an attempt adds.
#[derive(Clone, Copy)]
pub(super) enum Tried {
    No,
    Well,
    Failed(Reason),
}

impl Tried {
    pub fn of(attempt: &Attempt<'_>) -> Tried {
        attempt.failure.map_or(Tried::Well, |cause| Tried::Failed(cause.reason))
    }
}

/// An attempt, and the request if this is its last one (`Some`: whether any attempt failed).
#[inline(always)]
pub(super) fn count_in(
    block: &mut Block,
    cell: u32,
    plan: &Plan,
    record: &Record<'_>,
    tried: Tried,
    request: Option<bool>,
) {
    let Some(numbers) = block.numbers(cell) else { return };
    numbers.attempts += u32::from(!matches!(tried, Tried::No));
    numbers.requests += u32::from(request.is_some());
    let is_watched = request.is_some() && plan.watches(record.status);
    // Of nearly all requests this is all.
    if is_watched
        || request == Some(true)
        || matches!(tried, Tried::Failed(_))
        || !matches!(record.outcome, Outcome::Fine)
    {
        count_details(block, cell, is_watched, record, tried, request);
    }
    if !plan.slow().is_empty() && request.is_some() {
        count_slow(block, cell, plan, record);
    }
}

/// By the times that rules watch.
#[inline(never)]
fn count_slow(block: &mut Block, cell: u32, plan: &Plan, record: &Record<'_>) {
    let Some(time) = record.request_time.filter(|_| !record.is_tunnel()) else { return };
    for units in plan.slow().iter().filter(|units| time > u32::from(**units) * 10) {
        block.add_detail(cell, Detail::slow(*units));
    }
}

/// Nearly no request does.
#[inline(always)]
pub(super) fn leaves_clues(record: &Record<'_>) -> bool {
    record.request_time.is_some_and(|time| time >= SLOW)
        || record.status == Status::new(403)
        || record.status == Status::new(429)
        || matches!(record.outcome, Outcome::GatewayError(_))
}

#[inline(never)]
pub(super) fn count_clues(block: &mut Block, cell: u32, record: &Record<'_>) {
    clues_of(record).for_each(|clue| block.add_clue(cell, clue));
}

/// What there is to count beside an attempt and a request.
#[inline(never)]
fn count_details(
    block: &mut Block,
    cell: u32,
    is_watched: bool,
    record: &Record<'_>,
    tried: Tried,
    request: Option<bool>,
) {
    let Some(numbers) = block.numbers(cell) else { return };
    if let Tried::Failed(_) = tried {
        numbers.failed_attempts += 1;
    }
    match (request, record.outcome) {
        (Some(true), Outcome::Fine) => numbers.masked += 1,
        (Some(_), Outcome::Aborted) => numbers.aborted += 1,
        (Some(_), Outcome::Abandoned) => numbers.abandoned += 1,
        (Some(_), Outcome::GatewayError(_)) => numbers.gateway_errors += 1,
        (_, Outcome::Fine) | (None, _) => {}
    }
    if let Tried::Failed(reason) = tried {
        block.add_detail(cell, Detail::failed(reason));
    }
    if request.is_none() {
        return;
    }
    let cause = record.outcome.gateway_error();
    if let Some(cause) = cause {
        block.add_detail(cell, Detail::reason(cause.reason));
        block.add_detail(cell, Detail::origin(cause.origin));
    }
    if is_watched || cause.is_some() {
        block.add_detail(cell, Detail::status(record.status));
    }
}
