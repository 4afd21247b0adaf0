//! How often a fault is found, and how long that takes: `cargo run --release -p gatewatch-rules --example hit_rates [SEED]`.
//! Tuned on seeds from 1,001; the documentation's table is of the default, 5,001.

use faults::{Case, dense, judge, proxies, sparse};
use gatewatch_rules::localise::LEAVES_MAX;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

mod faults;
mod numbers;

fn main() {
    let from = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(5_001_u64);
    println!("{:14} {:18} {:>5}  hit@1  hit@3  exact", "traffic", "fault", "n");
    for requests in [500.0, 3_000.0, 20_000.0] {
        rates(&format!("proxies {requests}"), (from..from + 1_100).map(|seed| proxies(seed, requests)));
    }
    rates("sparse", (from..from + 600).map(sparse).filter(|case| !case.causes.is_empty()));
    rates("dense", (from..from + 180).map(dense));
    for requests in [3_000.0, 100_000.0, 10_000_000.0] {
        times((from..from + 44).map(|seed| proxies(seed, requests)));
    }
}

/// Hits at 1 and at 3, and exact verdicts, by kind of fault.
fn rates(traffic: &str, cases: impl Iterator<Item = Case>) {
    let mut by: BTreeMap<&str, ([f64; 3], f64)> = BTreeMap::new();
    for case in cases {
        let hits = judge(&case, &case.cube.localise()).map(|hit| f64::from(u8::from(hit)));
        for kind in [case.kind, "all"] {
            let (sums, count) = by.entry(kind).or_default();
            sums.iter_mut().zip(hits).for_each(|(sum, hit)| *sum += hit);
            *count += 1.0;
        }
    }
    for (kind, (sums, count)) in by {
        let [first, third, exact] = sums.map(|sum| sum / count);
        println!("{traffic:14} {kind:18} {count:>5}  {first:.3}  {third:.3}  {exact:.3}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a program, and no part of the core")]
fn times(cases: impl Iterator<Item = Case>) {
    let mut spent: Vec<Duration> = Vec::new();
    let mut rows = 0;
    for mut case in cases {
        case.cube.fold(LEAVES_MAX);
        let begun = Instant::now();
        std::hint::black_box(case.cube.localise());
        spent.push(begun.elapsed());
        rows = rows.max(case.cube.len());
    }
    spent.sort();
    let median = spent.get(spent.len() / 2).copied().unwrap_or_default();
    let worst = spent.last().copied().unwrap_or_default();
    println!("up to {rows} rows of 6 labels: median {median:.1?}, worst {worst:.1?}");
}
