//! Counts that somebody else has made come to the same as the records that they stand for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch_parsers::{Attempt, Attempts, Cause, Millis, Outcome, Reason, Record, Status};
use gatewatch_rules::block::Alike;
use gatewatch_rules::buckets::Buckets;
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::rule::{Rule, Severity};
use gatewatch_rules::series::{Plan, Source};
use std::sync::Arc;

const STEP: Millis = 5_000;
const FIRST: i64 = 360_000_000;

/// How many end in which step, their status and outcome; all at one upstream.
const REQUESTS: [(i64, u32, u16, Outcome); 7] = [
    (FIRST, 20, 200, Outcome::Fine),
    (FIRST, 3, 502, Outcome::GatewayError(Cause::proxy(Reason::ConnectionRefused))),
    (FIRST, 2, 504, Outcome::GatewayError(Cause::proxy(Reason::ConnectionReadTimeout))),
    (FIRST + 1, 7, 499, Outcome::Abandoned),
    (FIRST + 1, 4, 503, Outcome::Fine),
    (FIRST, 5, 200, Outcome::Aborted),
    (FIRST + 2, 1, 200, Outcome::Fine),
];

fn buckets(plan: &Arc<Plan>, block: &Block) -> Buckets {
    let mut buckets = Buckets::new(Arc::clone(plan), STEP, 0, 10);
    assert_eq!(buckets.absorb(block, Millis::MIN).late, 0);
    buckets
}

#[test]
fn alike_requests_count_as_so_many_records() {
    let mut rule = Rule::new("r", "ratio", vec![(Severity::Warning, 0.05)]);
    rule.group_by = vec!["node".into(), "upstream".into()];
    let plan = Arc::new(Plan::new(&[rule], &[]));
    let source = Source { node: "n1".into(), ..Source::default() };
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    for (step, count, status, outcome) in REQUESTS {
        let mut record = Record::new(step * STEP, Status::new(status));
        record.outcome = outcome;
        let failure = outcome.gateway_error();
        let status = record.status;
        record.attempts = Attempts::One(Attempt { upstream: b"10.0.0.1:80", pool: b"", status, failure });
        (0..count).for_each(|_| collector.count(&source, &record, Place::Step));
    }
    let series = collector.last_series().unwrap().clone();
    let mut counted = Block::default();
    collector.take(&mut counted);
    let alike = REQUESTS.map(|(step, requests, status, outcome)| {
        let failed = outcome.gateway_error().map(|cause| (requests, cause.reason));
        Alike {
            step,
            requests,
            status: Status::new(status),
            outcome,
            attempts: requests,
            failed,
            retried: false,
        }
    });
    let mut given = Block::default();
    given.add_alike(&plan, &series, STEP, alike);
    assert_eq!(given.requests(), counted.requests());
    assert_eq!(given.statuses().collect::<Vec<_>>(), counted.statuses().collect::<Vec<_>>());
    assert_eq!(given.ends(), counted.ends());
    let all = |block: &Block| {
        let buckets = buckets(&plan, block);
        let steps = |id| buckets.steps(id, FIRST * STEP, (FIRST + 3) * STEP);
        let tallies = buckets.ids().flat_map(|id| {
            let labels = buckets.labels(id).unwrap().clone();
            steps(id).map(move |(start, tally)| (labels.clone(), start, tally.clone())).collect::<Vec<_>>()
        });
        tallies.collect::<Vec<_>>()
    };
    assert_eq!(all(&given), all(&counted));
    assert_eq!(all(&given).len(), 3);
}
