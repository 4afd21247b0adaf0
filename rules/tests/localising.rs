//! Faults that were put in are found; `examples/hit_rates` prints how many.

use faults::{Case, dense, judge, proxies, sparse};

#[path = "../examples/hit_rates/faults.rs"]
mod faults;
#[path = "../examples/hit_rates/numbers.rs"]
mod numbers;

/// The share of cases whose first candidate is right, and of those that have one among the first three.
fn hits(cases: impl Iterator<Item = Case>) -> (f64, f64) {
    let (mut first, mut third, mut all) = (0, 0, 0);
    for case in cases.filter(|case| case.kind == "everything" || !case.causes.is_empty()) {
        let hits = judge(&case, &case.cube.localise());
        first += i32::from(hits[0]);
        third += i32::from(hits[1]);
        all += 1;
    }
    (f64::from(first) / f64::from(all), f64::from(third) / f64::from(all))
}

#[test]
fn most_faults_are_found() {
    let found = hits((7_000..7_022).map(|seed| proxies(seed, 3_000.0)));
    assert!(found.0 >= 0.9, "{found:?}");
    let found = hits((7_000..7_050).map(sparse));
    assert!(found.0 >= 0.8 && found.1 >= 0.9, "{found:?}");
    let found = hits((7_000..7_018).map(dense));
    assert!(found.0 >= 0.95, "{found:?}");
}
