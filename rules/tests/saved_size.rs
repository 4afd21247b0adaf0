//! A state stays within what can be written every few seconds, however full it is.

use gatewatch_parsers::{Attempt, Attempts, Cause, Millis, Outcome, Reason, Record, Status};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions, EngineState};
use gatewatch_rules::rule::{Rule, Severity};
use gatewatch_rules::series::{Plan, Source};
use std::sync::Arc;

const STEP: Millis = 5_000;
const T: Millis = 1_800_000_000_000;
const MIB: f64 = 1_048_576.0;

/// An engine that has seen so many series for all the time that is held, requests in each step of each. One request in
/// `errors` failed.
fn full(series: usize, errors: usize) -> (Engine, Vec<Rule>, Arc<Plan>, EngineOptions) {
    let mut rule = Rule::new("errors", "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
    rule.group_by = ["input", "pool", "upstream"].map(str::to_owned).to_vec();
    let mut long = Rule::new("long", "ratio", vec![(Severity::Warning, 0.9)]);
    (long.window, long.group_by) = (360 * 60_000, vec!["node".into()]);
    let rules = vec![rule, long];
    let plan = Arc::new(Plan::new(&rules, &[]));
    // A quarter of the cap is for series that are folded.
    let options = EngineOptions { step: STEP, series_cap: series * 4 / 3 + 1 };
    let mut engine = Engine::new(rules.clone(), Arc::clone(&plan), options);
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut block = Block::default();
    let source = Source { input: "edge".into(), node: "edge-fra1-03".into(), ..Source::default() };
    let upstreams: Vec<String> =
        (0..series).map(|i| format!("10.{}.{}.{}:8080", i % 7, i / 200, i % 200)).collect();
    let cause = Cause::proxy(Reason::ConnectionReadTimeout);
    let (mut count, minutes) = (0usize, 366);
    // Steps older than those that are held come to minutes: one a minute is as good as twelve.
    let steps = (0..minutes * 12).filter(|step| step % 12 == 0 || *step > (minutes - 6) * 12);
    for step in steps {
        for upstream in &upstreams {
            for i in 0..2 {
                count += 1;
                let failed = count % errors == 0;
                let mut record =
                    Record::new(T + step * STEP + i, Status::new(if failed { 504 } else { 200 }));
                let failure = failed.then_some(cause);
                record.outcome = failure.map_or(Outcome::Fine, Outcome::GatewayError);
                (record.pool, record.site) = (b"be_checkout", b"");
                record.attempts = Attempts::One(Attempt {
                    upstream: upstream.as_bytes(),
                    pool: b"",
                    status: record.status,
                    failure,
                });
                collector.count(&source, &record, Place::Step);
                if failed && let Some(series) = collector.last_series() {
                    engine.sample(series, record.end, &[b'x'; 300]);
                }
            }
        }
        collector.take(&mut block);
        // Once more and again: a busy host's counts need two bytes, and go up and down.
        for _ in 0..120 + (step * 7919) % 25 {
            engine.absorb(&block, Millis::MIN);
        }
        engine.advance(T + (step + 1) * STEP);
    }
    (engine, rules, plan, options)
}

fn measure(series: usize, errors: usize) -> usize {
    let (engine, rules, plan, options) = full(series, errors);
    let now = T + 366 * 60_000;
    let (mut steps, mut minutes) = (0, 0);
    for id in engine.buckets().ids() {
        steps += engine.buckets().steps(id, Millis::MIN, now).count();
        minutes += engine.buckets().minutes(id, Millis::MIN, now).count();
    }
    assert_eq!((steps, minutes), (series * 60, series * 360));
    let bytes = postcard::to_allocvec(&engine.state()).unwrap();
    let state: EngineState<'_> = postcard::from_bytes(&bytes).unwrap();
    let (restored, changes) = Engine::restore(state, rules, plan, options).unwrap();
    println!("{} alerts, {} incidents", engine.alerts().len(), engine.incidents().len());
    assert!(changes.is_empty() && postcard::to_allocvec(&restored.state()).unwrap() == bytes);
    bytes.len()
}

/// 2,000 series with requests in each of 60 steps and 360 minutes; where a hundredth of the requests
/// failed, or half; with lines and alerts.
#[test]
fn eight_mebibytes_by_the_caps() {
    // A part of the series suffices where nobody waits for an optimised build: the size grows with their number.
    let part = if cfg!(debug_assertions) { 40 } else { 1 };
    for errors in [100, 2] {
        let bytes = measure(2_000 / part, errors) * part;
        println!("one request in {errors} failed: {:.2} MiB", bytes as f64 / MIB);
        assert!(bytes <= 8 << 20, "one in {errors}: {bytes}");
    }
}
