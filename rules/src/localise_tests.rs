use super::*;
use proptest::prelude::*;

/// `node site: errors/requests before/before` a line → rank by rank, causes with a star.
fn told(names: &str, rows: &str) -> String {
    let mut cube = Cube::new(names.split(' '));
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (labels, counts) = row.split_once(':').unwrap();
        let counts: Vec<f64> = counts.split([' ', '/']).filter_map(|n| n.parse().ok()).collect();
        let seen = Seen {
            errors: counts[0],
            requests: counts[1],
            baseline_errors: counts[2],
            baseline_requests: counts[3],
        };
        cube.add(labels.split(' '), seen);
    }
    let verdict = cube.localise();
    let causes: Vec<String> = verdict.causes.iter().map(Suspect::words).collect();
    if verdict.is_global { format!("everything; {}", causes.join("; ")) } else { causes.join("; ") }
}

#[test]
fn faults_are_found_where_they_are() {
    let cases = [
        ("one of three", "a: 50/100 1/1000\nb: 1/100 10/1000\nc: 0/100 9/1000", "node a"),
        ("all alike", "a: 50/100 1/1000\nb: 49/100 10/1000\nc: 55/100 9/1000", "everything; "),
        ("nothing", "a: 1/100 10/1000\nb: 1/100 10/1000\nc: 0/100 9/1000", ""),
        ("always bad", "a: 20/100 200/1000\nb: 1/100 10/1000\nc: 30/100 9/1000", "node c"),
        ("no baseline", "a: 20/100 0/0\nb: 1/100 0/0\nc: 0/100 0/0", "node a"),
        ("no baseline, all alike", "a: 20/100 0/0\nb: 21/100 0/0\nc: 20/100 0/0", ""),
        ("none failed before", "a: 40/100 0/1000\nb: 1/100 0/1000\nc: 0/100 0/1000", "node a"),
        ("no requests", "a: 40/0 0/1000\nb: 1/0 0/1000\nc: 0/0 0/1000", "node a"),
        ("only errors", "a: 40/0 0/0\nb: 1/0 0/0\nc: 0/0 0/0", "node a"),
        ("one value", "a: 40/100 0/1000", "everything; "),
        ("nothing at all", "", ""),
        ("no numbers", "a: NaN/inf -5/NaN\nb: -1/NaN inf/3", ""),
        (
            "two",
            "a: 40/100 1/1000\nb: 50/100 1/1000\nc: 1/100 9/1000\nd: 1/100 9/1000\ne: 1/100 9/1000",
            "node b; node a",
        ),
        ("others improved", "a: 40/100 10/1000\nb: 0/100 300/1000\nc: 0/100 300/1000", "node a"),
        (
            "a folded value is no cause",
            "__other__: 50/100 1/1000\nb: 1/100 10/1000\nc: 0/100 9/1000",
            "everything; ",
        ),
    ];
    for (name, rows, expected) in cases {
        let found = told("node", rows);
        // Whatever it names besides is of no meaning when everything fails.
        let found = found.strip_prefix("everything").map_or(found.as_str(), |_| "everything; ");
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_follows_from_a_label_is_said_and_not_asked_for() {
    let rows = |eu2: &str| {
        format!(
            "n1 eu u1: 30/100 1/1000\nn1 eu u2: 33/100 1/1000\n{eu2} u1: 1/100 10/1000\n{eu2} u2: 1/100 9/1000\n\
             n3 us u1: 1/100 9/1000\nn3 us u2: 1/100 11/1000\nn4 ap u1: 1/100 9/1000\nn4 ap u2: 2/100 11/1000"
        )
    };
    assert_eq!(told("node region upstream", &rows("n2 us")), "node n1 (= all of region eu)");
    assert_eq!(told("node region upstream", &rows("n2 eu")), "node n1");
    // Of two names for the same, the first label's.
    assert_eq!(
        told("region node upstream", &rows("n2 us").replace("n1 eu", "eu n1")),
        "region eu (= all of node n1)"
    );
}

#[test]
fn two_servers_of_a_pool_are_not_the_pool() {
    let row = |pool: &str, server: &str, errors: u32| format!("{pool} {server}: {errors}/200 2/2000\n");
    let others: String = (0..8).map(|i| row("web", &format!("w{i}"), 0)).collect();
    let bad = |failing: usize| -> String {
        (0..4).map(|i| row("img", &format!("i{i}"), if i < failing { 120 + i as u32 } else { 0 })).collect()
    };
    assert_eq!(told("pool server", &format!("{}{others}", bad(1))), "server i0");
    assert_eq!(told("pool server", &format!("{}{others}", bad(2))), "server i1; server i0");
    assert_eq!(told("pool server", &format!("{}{others}", bad(4))), "pool img");
}

#[test]
fn too_many_rows_are_folded_and_the_worst_stay() {
    let mut cube = Cube::new(["site", "node"]);
    for i in 0..3_000u32 {
        let errors = if i == 77 { 500.0 } else { f64::from(i % 50 == 0) };
        let seen = Seen { errors, requests: 1000.0, baseline_errors: 10.0, baseline_requests: 10_000.0 };
        cube.add([format!("s{i}").as_str(), if i % 2 == 0 { "a" } else { "b" }], seen);
    }
    assert!(cube.clone().fold(3_000) == 0);
    let folded = cube.fold(100);
    assert!(cube.len() <= 100 && folded > 2_800, "{} {folded}", cube.len());
    assert_eq!(cube.localise().causes.first().map(Suspect::words).as_deref(), Some("site s77"));
}

fn count() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0u32..200).prop_map(f64::from),
        1 => Just(0.0),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-3.0), Just(1e300), Just(1e-300), Just(0.5)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is counted, in whatever order: the same verdict, within its bounds.
    #[test]
    fn whatever_is_counted(
        rows in prop::collection::vec(([0u8..3, 0u8..4, 0u8..2, 0u8..9], [count(), count(), count(), count()]), 0..40),
        turn in 0usize..40,
    ) {
        let of = |rows: &[([u8; 4], [f64; 4])]| {
            let mut cube = Cube::new(["a", "b", "c", "d"]);
            for (labels, [errors, requests, baseline_errors, baseline_requests]) in rows {
                let labels = labels.map(|l| l.to_string());
                let seen = Seen {
                    errors: *errors,
                    requests: *requests,
                    baseline_errors: *baseline_errors,
                    baseline_requests: *baseline_requests,
                };
                cube.add(labels.iter().map(String::as_str), seen);
            }
            cube.localise()
        };
        let verdict = of(&rows);
        let mut turned = rows.clone();
        turned.rotate_left(turn.min(rows.len()));
        prop_assert_eq!(&verdict, &of(&turned));
        prop_assert!(verdict.causes.len() <= CAUSES_MAX && verdict.ranked.len() <= RANKED_MAX);
        for suspect in verdict.ranked.iter().chain(&verdict.causes).chain([&verdict.whole]) {
            let numbers = [suspect.score, suspect.errors, suspect.expected, suspect.requests];
            prop_assert!(numbers.iter().all(|n| n.is_finite() && *n >= 0.0), "{:?}", suspect);
            let shares = [suspect.excess_share, suspect.traffic_share];
            prop_assert!(shares.iter().all(|n| (0.0..=1.0).contains(n)), "{:?}", suspect);
            prop_assert!(suspect.labels.len() <= DEPTH_MAX);
        }
    }
}
