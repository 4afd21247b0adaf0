use super::*;
#[path = "localise_cases.rs"]
mod cases;
use std::collections::BTreeMap as Map;

fn table(name: &str, cases: impl Iterator<Item = cases::Case>) -> [f64; 3] {
    let mut by: Map<&str, ([usize; 3], usize)> = Map::new();
    let (mut sum, mut n) = ([0usize; 3], 0);
    let show = std::env::var("SHOW").is_ok();
    for (i, case) in cases.enumerate() {
        let verdict = case.cube.localise();
        let hits = cases::judge(&case, &verdict);
        if show && !hits[0] {
            println!("{name} {i} {} want {:?} global {}", case.kind, case.causes.first().map(|c| &c[0]), verdict.is_global);
            for s in verdict.ranked.iter().take(4) { println!("   {:?} score {:.0} ex {:.2} tr {:.2} x {} mu {:.1} n {}", s.labels, s.score, s.excess_share, s.traffic_share, s.errors, s.expected, s.requests); }
        }
        let row = by.entry(case.kind).or_default();
        row.1 += 1;
        n += 1;
        for k in 0..3 { row.0[k] += usize::from(hits[k]); sum[k] += usize::from(hits[k]); }
    }
    let of = |s: [usize; 3], n: usize| s.map(|s| s as f64 / n as f64);
    let all = of(sum, n);
    println!("{name:16} n={n:4} hit@1 {:.3} hit@3 {:.3} exact {:.3}", all[0], all[1], all[2]);
    for (kind, (s, n)) in by { let a = of(s, n); println!("    {kind:20} n={n:4} {:.3} {:.3} {:.3}", a[0], a[1], a[2]); }
    all
}

#[test]
#[ignore = "takes a while"]
fn hit_rates() {
    let from: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    for requests in [500.0, 3_000.0, 20_000.0] {
        table(&format!("proxies {requests}"), (from..from + 220).map(|seed| cases::proxies(seed, requests)));
    }
    table("sparse", (from..from + 300).map(cases::sparse).filter(|c| !c.causes.is_empty()));
    table("dense", (from..from + 90).map(cases::dense));
}
