//! What counting costs: `cargo run --release -p gatewatch-rules --example counting_speed`.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use gatewatch_parsers::{Attempt, Attempts, Cause, Outcome, Reason, Record, Status};
use gatewatch_rules::buckets::Buckets;
use gatewatch_rules::clock::BlockClock;
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::series::{Plan, Source};
use gatewatch_rules::summary::Summary;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const STEP: i64 = 5_000;
const T: i64 = 1_800_000_000_000;
/// Records of a block: 256 KiB of log.
const BLOCK: usize = 1_300;

fn main() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let presets = names(&["input", "node", "region", "pool", "upstream"]);
    println!("a record, 36 known series, 5 labels:     {:.1} ns", records(&presets, false));
    println!("the same, request times kept:            {:.1} ns", records(&presets, true));
    println!(
        "the same, node, pool, upstream:          {:.1} ns",
        records(&names(&["node", "pool", "upstream"]), true)
    );
    clock();
    two_thousand(&presets);
}

/// 12 upstreams on 3 nodes; 1 % gateway errors.
fn servers() -> Vec<(String, String, String)> {
    let all = (0..36).map(|i| {
        let pool = ["be_api", "be_img", "be_web"][i % 3];
        (format!("edge-{}", i / 12), pool.to_owned(), format!("{pool}/srv{}", i % 12 / 3))
    });
    all.collect()
}

fn records(labels: &[String], latency: bool) -> f64 {
    let plan = Arc::new(Plan::new(&[], labels));
    let servers = servers();
    let source = Source { input: "edge".into(), ..Source::default() };
    let mut random = 1u64;
    let records: Vec<Record<'_>> = (0..1 << 12)
        .map(|i| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (node, pool, upstream) = &servers[(random >> 33) as usize % servers.len()];
            let failure = (random >> 40).is_multiple_of(100);
            let failure = failure.then_some(Cause::proxy(Reason::ConnectionTerminated));
            let status = Status::new(if failure.is_some() { 502 } else { 200 });
            let mut record = Record::new(T + i, status);
            (record.node, record.pool, record.site) = (node.as_bytes(), pool.as_bytes(), b"www.example.com");
            record.request_time = Some((random >> 50) as u32);
            record.outcome = failure.map_or(Outcome::Fine, Outcome::GatewayError);
            let attempt = Attempt { upstream: upstream.as_bytes(), pool: b"", status, failure };
            record.attempts = Attempts::One(attempt);
            record
        })
        .collect();
    let mut collector = Collector::new(plan, STEP, latency);
    let mut block = Block::default();
    let mut best = f64::INFINITY;
    for _ in 0..300 {
        let start = Instant::now();
        for chunk in records.chunks(BLOCK) {
            chunk.iter().for_each(|record| collector.count(&source, record, Place::Step));
            collector.take(&mut block);
            black_box(&block);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / records.len() as f64);
    }
    best
}

fn clock() {
    let mut clock = BlockClock::new(300_000, STEP);
    let mut best = f64::INFINITY;
    for _ in 0..30 {
        let start = Instant::now();
        for i in 0..100_000i64 {
            black_box(clock.admit(black_box(T + i - (i & 7))));
        }
        best = best.min(start.elapsed().as_nanos() as f64 / 100_000.0);
    }
    println!("its file's clock:                        {best:.1} ns");
}

/// 2,000 series, all with traffic in every step, for ten minutes.
fn two_thousand(labels: &[String]) {
    let plan = Arc::new(Plan::new(&[], labels));
    let names: Vec<String> = (0..2_000).map(|i| format!("10.{}.{}.7:8080", i / 250, i % 250)).collect();
    let source = Source {
        input: "edge".into(),
        node: "edge-fra1-03".into(),
        region: "eu".into(),
        ..Source::default()
    };
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 10, 4_000);
    let mut summary = Summary::new(plan, STEP);
    let mut block = Block::default();
    let before = resident();
    let (mut absorb, mut close, mut total) = (0.0f64, 0.0f64, 0.0f64);
    for step in 0..120 {
        for name in &names {
            let mut record = Record::new(T + step * STEP, Status::new(200));
            record.pool = b"be_api";
            let attempt =
                Attempt { upstream: name.as_bytes(), pool: b"", status: record.status, failure: None };
            record.attempts = Attempts::One(attempt);
            collector.count(&source, &record, Place::Step);
        }
        collector.take(&mut block);
        let start = Instant::now();
        buckets.absorb(&block, i64::MIN);
        let absorbed = Instant::now();
        buckets.close(T + (step + 1) * STEP);
        let closed = Instant::now();
        summary.absorb(&block, i64::MIN);
        total += closed.elapsed().as_secs_f64();
        absorb += (absorbed - start).as_secs_f64();
        close += (closed - absorbed).as_secs_f64();
    }
    println!(
        "2,000 series, a step (mean of 120): absorb {:.2} ms, close {:.2} ms, summary {:.2} ms",
        absorb / 0.12,
        close / 0.12,
        total / 0.12
    );
    println!(
        "2,000 series, 60 steps and 10 minutes held: {:.1} MiB more resident (buckets, summary, collector)",
        resident() - before
    );
}

/// MiB in memory; 0 where the system does not tell.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<f64>().ok())
        .map_or(0.0, |pages| pages * 4096.0 / 1048576.0)
}
