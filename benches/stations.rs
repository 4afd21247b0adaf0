//! What a line costs at each station: parse, observe, close. `cargo bench`, or `make bench` for whole processes.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Parsed, Zone, formats};
use gatewatch_rules::block::Block;
use gatewatch_rules::collector::{Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::rule::{Rule, Severity};
use gatewatch_rules::series::Plan;
use gatewatch_rules::source::Source;
use std::fmt::Write;
use std::sync::Arc;

fn main() {
    divan::main();
}

/// Lines of a log, so that a format's own length and a few hosts and servers are in it.
const LINES: usize = 10_000;

fn haproxy() -> String {
    let mut log = String::new();
    for i in 0..LINES {
        let (host, pool, server, ms) = (i % 3, ["web", "api", "img"][i / 7 % 3], i * 7 % 4, 5 + i * 37 % 400);
        let (status, flags) = if i % 250 == 0 { (502, "SH--") } else { (200, "----") };
        let _ = writeln!(
            log,
            "Nov  1 00:00:{:02} edge-{host} haproxy[812]: 10.1.{}.{}:{} [01/Nov/2026:00:00:{:02}.{:03}] fe_main \
             be_{pool}/srv{server} 0/0/1/{ms}/{} {status} {} - - {flags} 312/290/24/6/0 0/0 \
             {{h{host}.example.com|Mozilla/5.0}} \"GET /v1/users/{}?page={server} HTTP/1.1\"",
            i / 200,
            i % 200,
            i % 97,
            1024 + i,
            i / 200,
            i % 1000,
            ms + 2,
            1200 + i % 3000,
            i % 97,
        );
    }
    log
}

fn nginx() -> String {
    let mut log = String::new();
    for i in 0..LINES {
        let (status, header) = if i % 250 == 0 { (502, "-") } else { (200, "0.019") };
        let _ = writeln!(
            log,
            "10.1.{}.{} - - [01/Nov/2026:00:00:{:02} +0000] \"GET /v1/users/{}?page=3 HTTP/1.1\" {status} {} \
             \"https://www.example.com/list\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\" \
             rt=0.019 uct=\"0.001\" uht=\"{header}\" urt=\"0.019\" ua=\"10.0.{}.{}:8080\" us=\"{status}\"",
            i % 200,
            i % 97,
            i / 200,
            i % 97,
            1200 + i % 3000,
            1 + i / 7 % 3,
            11 + i * 7 % 4,
        );
    }
    log
}

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_793_491_200_000)
}

fn log_of(format: &str) -> String {
    if format.starts_with("haproxy") { haproxy() } else { nginx() }
}

fn rules() -> Vec<Rule> {
    let rule = |name: &str, group_by: &[&str]| {
        let mut rule = Rule::new(name, "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
        rule.group_by = group_by.iter().map(|l| (*l).to_owned()).collect();
        rule
    };
    vec![
        rule("errors", &["input", "pool", "upstream"]),
        rule("node", &["input", "node"]),
        rule("region", &["region"]),
    ]
}

#[divan::bench(args = ["haproxy", "nginx:combined_upstream"])]
fn parse(bencher: Bencher<'_, '_>, format: &str) {
    let log = log_of(format);
    let compiled = formats::compile(format).unwrap();
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::new(log.len())).bench(|| {
        let mut context = context();
        let mut records = 0;
        for line in Lines::new(log.as_bytes(), true) {
            records +=
                usize::from(matches!(black_box(compiled.parse(line, &mut context)), Ok(Parsed::Record(_))));
        }
        assert_eq!(records, LINES);
    });
}

#[divan::bench(args = ["haproxy", "nginx:combined_upstream"])]
fn parse_and_observe(bencher: Bencher<'_, '_>, format: &str) {
    let log = log_of(format);
    let compiled = formats::compile(format).unwrap();
    let plan = Arc::new(Plan::for_report(&rules(), &[]));
    let source = Source::default();
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(|| (Collector::new(Arc::clone(&plan), 5000, true), Block::default()))
        .bench_local_values(|(mut collector, mut block)| {
            let mut context = context();
            for line in Lines::new(log.as_bytes(), true) {
                if let Ok(Parsed::Record(record)) = compiled.parse(line, &mut context) {
                    collector.count(&source, &record, Place::Step);
                }
            }
            collector.take(&mut block);
            block.requests()
        });
}

/// A snapshot at the cap of 2,000 series, all busy in every step of six hours (a flood of one label leaves 1,512 of them):
/// what the engine's thread spends on it.
#[divan::bench]
fn encode_2000_series(bencher: Bencher<'_, '_>) {
    const T: i64 = 1_793_491_200_000;
    let log = nginx();
    let compiled = formats::compile("nginx:combined_upstream").unwrap();
    let mut rules = rules();
    rules[0].window = 6 * 3_600_000;
    let plan = Arc::new(Plan::for_report(&rules, &["site".to_owned()]));
    let mut engine = Engine::new(rules, Arc::clone(&plan), EngineOptions { step: 5000, series_cap: 2000 });
    let mut collector = Collector::new(plan, 5000, false);
    let mut context = context();
    let parsed = |line| match compiled.parse(line, &mut context) {
        Ok(Parsed::Record(record)) => Some(record),
        _ => None,
    };
    let mut records: Vec<_> = Lines::new(log.as_bytes(), true).filter_map(parsed).take(1_950).collect();
    let sources: Vec<Source> =
        (0..records.len()).map(|i| Source { site: format!("site{i}"), ..Source::default() }).collect();
    let mut block = Block::default();
    for end in (0..6 * 720).map(|step| T + step * 5_000) {
        for (record, source) in records.iter_mut().zip(&sources) {
            record.end = end;
            collector.count(source, record, Place::Step);
        }
        collector.take(&mut block);
        engine.absorb(&block, i64::MIN);
        engine.advance(end + 5_000);
    }
    let size = postcard::to_stdvec(&engine.state()).unwrap().len();
    eprintln!("{} series, {size} bytes", engine.buckets().len());
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| postcard::to_stdvec(&engine.state()).unwrap().len());
}

/// The log's blocks, absorbed and judged to the end.
#[divan::bench]
fn judge(bencher: Bencher<'_, '_>) {
    let log = haproxy();
    let compiled = formats::compile("haproxy").unwrap();
    let plan = Arc::new(Plan::for_report(&rules(), &[]));
    let mut collector = Collector::new(Arc::clone(&plan), 5000, false);
    let mut context = context();
    for line in Lines::new(log.as_bytes(), true) {
        if let Ok(Parsed::Record(record)) = compiled.parse(line, &mut context) {
            collector.count(&Source::default(), &record, Place::Step);
        }
    }
    let mut block = Block::default();
    collector.take(&mut block);
    bencher
        .with_inputs(|| {
            Engine::new(rules(), Arc::clone(&plan), EngineOptions { step: 5000, series_cap: 2000 })
        })
        .bench_local_values(|mut engine| {
            engine.absorb(&block, i64::MIN);
            engine.finish().len()
        });
}
