//! What closing a step costs: `cargo run --release -p gatewatch-rules --example judging_speed`.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use gatewatch_parsers::{Attempt, Attempts, Cause, Outcome, Reason, Record, Status};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::matcher::{Matcher, Op};
use gatewatch_rules::rule::{Counts, Rule, Severity};
use gatewatch_rules::series::{Plan, Source};
use std::sync::Arc;
use std::time::{Duration, Instant};

const STEP: i64 = 5_000;
/// Enough for every step to be held, and some more.
const STEPS: i64 = 90;

fn main() {
    println!("closing a step (median, worst), judging included");
    for (what, bad) in [("all well", 0), ("1 % of the series fail", 100), ("all series fail", 1)] {
        show(&format!("10,000 series, 6 presets, {what}"), presets(), 10_000, 10_000, bad);
    }
    for (what, bad) in [("all well", 0), ("1 % of the series fail", 100), ("all series fail", 1)] {
        show(&format!("2,000 series, 100 rules, {what}"), hundred(), 2_000, 2_000, bad);
    }
    show("10,000 series, 100 rules, 1 % of the series fail", hundred(), 10_000, 10_000, 100);
    show("10,000 series, 100 rules, all series fail", hundred(), 10_000, 10_000, 1);
    show("50,000 series of which 500 have traffic, 6 presets, 1 % fail", presets(), 50_000, 500, 100);
}

/// As the presets group, match and look back.
fn presets() -> Vec<Rule> {
    let rule = |name: &str, group_by: &[&str], window| {
        let mut rule = Rule::new(name, "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
        rule.group_by = group_by.iter().map(|l| (*l).to_owned()).collect();
        (rule.window, rule.confidence, rule.min_bad_steps) = (window, Some(0.99), 3);
        (rule.min_requests, rule.min_errors) = (10, 5);
        rule
    };
    let upstream = |op| vec![Matcher { label: "upstream".into(), op }];
    let mut errors = rule("errors", &["input", "pool", "upstream"], 60_000);
    (errors.matchers, errors.stretch) = (upstream(Op::NotEqual(String::new())), Some(600_000));
    let mut site = rule("site", &["input", "node", "site"], 60_000);
    (site.matchers, site.stretch) = (upstream(Op::Equal(String::new())), Some(600_000));
    let mut node = rule("node", &["input", "node"], 60_000);
    node.times_rest = 3.0;
    let mut region = rule("region", &["input", "region"], 120_000);
    region.times_rest = 3.0;
    let mut masked = rule("masked", &["input", "pool", "upstream"], 300_000);
    (masked.matchers, masked.counts) = (upstream(Op::NotEqual(String::new())), Counts::FailedAttempts);
    let mut abandoned = rule("abandoned", &["input", "pool"], 300_000);
    abandoned.counts = Counts::Abandoned;
    vec![errors, site, node, region, masked, abandoned]
}

fn hundred() -> Vec<Rule> {
    let named = |i: usize| {
        let mut rule = presets().swap_remove(i % 6);
        rule.name = format!("{}{i}", rule.name);
        rule
    };
    (0..100).map(named).collect()
}

fn show(what: &str, rules: Vec<Rule>, series: usize, busy: usize, one_bad_in: usize) {
    let plan = Arc::new(Plan::new(&rules, &[]));
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut engine = Engine::new(rules, plan, EngineOptions { step: STEP, series_cap: 100_000 });
    let source = Source { input: "edge".into(), ..Source::default() };
    let mut block = Block::default();
    let (mut took, mut changes) = (Vec::new(), 0);
    for step in 0..STEPS {
        // At first each series is seen once.
        let seen = if step == 0 { series } else { busy };
        for i in 0..seen {
            let is_bad = step > 20 && one_bad_in > 0 && i % one_bad_in == 0;
            for k in 0..4 {
                count(&mut collector, &source, step * STEP + k, i, is_bad && k == 0);
            }
        }
        collector.take(&mut block);
        engine.absorb(&block, i64::MIN);
        let start = Instant::now();
        changes += engine.advance((step + 1) * STEP).len();
        took.push(start.elapsed());
    }
    took.drain(..1);
    took.sort_unstable();
    let worst = took.last().copied().unwrap_or(Duration::ZERO);
    println!("{what:62} {:>9.2?} {worst:>9.2?}  {changes} changes", took[took.len() / 2]);
}

fn count(collector: &mut Collector, source: &Source, end: i64, i: usize, is_bad: bool) {
    let (node, pool) = (format!("edge-{}", i % 8), format!("pool{}", i / 8 % 100));
    let upstream = format!("{pool}/srv{}", i / 800);
    let failure = is_bad.then_some(Cause::proxy(Reason::ConnectionTerminated));
    let status = Status::new(if is_bad { 502 } else { 200 });
    let mut record = Record::new(end, status);
    (record.node, record.pool) = (node.as_bytes(), pool.as_bytes());
    record.outcome = failure.map_or(Outcome::Fine, Outcome::GatewayError);
    record.attempts = Attempts::One(Attempt { upstream: upstream.as_bytes(), pool: b"", status, failure });
    collector.count(source, &record, Place::Step);
}
