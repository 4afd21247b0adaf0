//! What must not matter: how records were cut into blocks, in which order they came, how often the engine was asked,
//! and what else is in the log.

use super::tests::{STEP, count, engine, play, preset, presets, rule, told, warning};
use super::*;
use crate::collector::Collector;
use crate::rule::Counts;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A request: when, where, how.
type Request = (Millis, usize, usize);

const PLACES: [&str; 6] =
    ["i/n1/p/u1/", "i/n1/p/u2/", "i/n2/p/u1/", "i/n2/p/u3/", "i/n1/p//a.example", "j/n3/q/u9/"];
const HOW: [&str; 6] = ["", "502", "504", "failed", "abandoned", "slow"];

/// Every kind of rule, and presets made nervous, so that few requests suffice.
fn rules() -> Vec<Rule> {
    let mut all = presets();
    for rule in &mut all {
        (rule.min_requests, rule.min_errors, rule.min_bad_steps) = (2, 1, 1);
        (rule.confidence, rule.keep_firing_for, rule.stale_after) = (Some(0.5), 30_000, 120_000);
        rule.recover_below = None;
    }
    let mut patient = rule("patient", warning(0.3), &["pool"]);
    (patient.for_, patient.min_requests, patient.min_errors) = (20_000, 1, 1);
    let mut sluggish = rule("sluggish", warning(0.5), &["pool"]);
    (sluggish.min_requests, sluggish.min_errors) = (8, 4);
    let mut long = rule("long", warning(0.3), &["upstream", "site"]);
    (long.window, long.min_requests, long.min_errors) = (600_000, 5, 2);
    let mut number = Rule::new("number", "count", warning(3.0));
    (number.status, number.group_by) = (vec![504], vec!["input".into()]);
    let mut tries = rule("tries", warning(0.3), &["node"]);
    (tries.counts, tries.min_requests, tries.min_errors) = (Counts::Masked, 2, 1);
    all.extend([patient, sluggish, long, number, tries]);
    all.extend(super::kinds::nervous());
    all
}

/// Requests in bursts, with holes between them of up to 3 h.
fn requests() -> impl Strategy<Value = Vec<Request>> {
    let gap = prop_oneof![
        8 => 0..2_000i64, 4 => 0..20_000i64, 1 => 0..700_000i64, 1 => 0..10_800_000i64
    ];
    let mood = prop_oneof![Just(0usize), Just(1), Just(2)];
    let burst = (gap, mood, prop::collection::vec((0..1_500i64, 0..PLACES.len(), 0..HOW.len()), 1..40));
    prop::collection::vec(burst, 1..12).prop_map(|bursts| {
        let mut at = 7_200_000;
        let mut requests = Vec::new();
        for (gap, mood, burst) in bursts {
            at += gap;
            for (after, place, how) in burst {
                at += after;
                // A mood in which all is well, some fail, all fail.
                let how = if how % 3 < mood { how.max(1) } else { 0 };
                requests.push((at, place, how));
            }
        }
        requests
    })
}

fn count_all(collector: &mut Collector, requests: &[Request]) {
    for &(end, place, how) in requests {
        count(collector, end, PLACES[place], how > 0, HOW[how]);
    }
}

/// In one block, then to the end.
fn at_once(requests: &[Request], skips: bool) -> (Vec<Change>, Vec<Incident>) {
    let (mut engine, mut collector) = engine(rules());
    engine.skips = skips;
    count_all(&mut collector, requests);
    let mut block = Block::default();
    collector.take(&mut block);
    engine.absorb(&block, Millis::MIN);
    (engine.finish(), engine.incidents())
}

/// A few at a time, asking in between.
fn piecewise(requests: &[Request], cuts: &[usize], advances: &[Millis]) -> (Vec<Change>, Vec<Incident>) {
    let (mut engine, mut collector) = engine(rules());
    let mut block = Block::default();
    let mut changes = Vec::new();
    let (mut from, mut cuts, mut advances) = (0, cuts.iter().cycle(), advances.iter().cycle());
    while from < requests.len() {
        let to = (from + 1 + cuts.next().unwrap_or(&0)).min(requests.len());
        count_all(&mut collector, &requests[from..to]);
        collector.take(&mut block);
        assert_eq!(engine.absorb(&block, Millis::MIN), 0);
        let newest = requests[from..to].iter().map(|r| r.0).max().unwrap_or(0);
        // Never past what is still to come.
        let next = requests[to..].iter().map(|r| r.0).min().unwrap_or(newest);
        changes.append(&mut engine.advance(next.min(newest + 5_000) - advances.next().unwrap_or(&0)));
        from = to;
    }
    changes.append(&mut engine.finish());
    (changes, engine.incidents())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn blocks_order_and_questions_do_not_matter(
        requests in requests(),
        cuts in prop::collection::vec(0..30usize, 1..6),
        advances in prop::collection::vec(0..30_000i64, 1..6),
        swaps in prop::collection::vec((0..400usize, 0..5usize), 0..40),
    ) {
        let expected = at_once(&requests, true);
        let mut shuffled = requests;
        for (at, by) in swaps {
            let (a, b) = (at % shuffled.len(), (at + by) % shuffled.len());
            shuffled.swap(a, b);
        }
        let found = piecewise(&shuffled, &cuts, &advances);
        prop_assert_eq!(told(&found.0), told(&expected.0));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn skipping_is_judging_each_step(requests in requests()) {
        let (skipped, judged) = (at_once(&requests, true), at_once(&requests, false));
        prop_assert_eq!(told(&skipped.0), told(&judged.0));
        prop_assert_eq!(skipped, judged);
    }
}

#[test]
fn the_invariants_see_alerts() {
    // Else the properties above would hold of nothing.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let requests = requests().new_tree(&mut runner).unwrap().current();
        for change in at_once(&requests, true).0 {
            kinds.insert(format!("{:?} {:?}", change.kind, change.alert.end));
        }
    }
    assert!(kinds.len() >= 5, "{kinds:?}");
}

/// Random sites by the thousand while a server fails, more than the series' cap: no verdict by upstream changes.
#[test]
fn a_flood_of_sites_changes_no_verdict() {
    let flood = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    // Servers known before the flood, and servers that come when the cap is reached.
    flood_of(flood, 2_000);
    flood_of(flood, 500);
}

fn flood_of(flood: u64, cap: usize) {
    let alone = [
        (0..40, "i/n1/p/u1/", 30, 0, ""),
        (0..40, "i/n1/p/u2/", 30, 0, ""),
        (40..52, "i/n1/p/u1/", 30, 12, "502"),
        (40..52, "i/n1/p/u2/", 30, 0, ""),
        (52..120, "i/n1/p/u1/", 30, 0, ""),
        (52..120, "i/n1/p/u2/", 30, 0, ""),
    ];
    let by_upstream = |changes: &[Change]| {
        let of: Vec<Change> = changes.iter().filter(|c| c.alert.rule != "site").cloned().collect();
        told(&of)
    };
    let expected = by_upstream(&play(presets(), &alone).0);
    assert!(
        expected.iter().any(|t| t.contains("critical")) && expected.iter().any(|t| t.contains("recovered"))
    );

    let rules = presets();
    let plan = Arc::new(Plan::new(&rules, &["upstream".to_owned(), "site".to_owned()]));
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut engine = Engine::new(rules, plan, EngineOptions { step: STEP, series_cap: cap });
    let (mut block, mut changes, mut site) = (Block::default(), Vec::new(), 0u64);
    for step in 0..120 {
        for i in 0..flood / 120 {
            site += 1;
            let name = format!("i/n1/p//{:x}.example", site.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            count(
                &mut collector,
                step * STEP + i64::try_from(i).unwrap() % STEP,
                &name,
                site % 50 == 0,
                "502",
            );
        }
        for (steps, place, requests, bad, how) in &alone {
            for i in 0..if steps.contains(&step) { *requests } else { 0 } {
                count(&mut collector, step * STEP + i64::try_from(i).unwrap(), place, i < *bad, how);
            }
        }
        collector.take(&mut block);
        engine.absorb(&block, Millis::MIN);
        changes.append(&mut engine.advance((step + 1) * STEP));
    }
    assert_eq!(by_upstream(&changes), expected);
    assert!(engine.buckets().series_overflow() > 0 && engine.buckets().len() <= cap);
}

/// The group of an open alert is not evicted at the cap, so that it can still be seen to recover or expire.
#[test]
fn an_open_alert_keeps_its_group() {
    let mut errors = preset("errors");
    errors.stale_after = 900_000;
    let rules = vec![errors, preset("site")];
    let plan = Arc::new(Plan::new(&rules, &[]));
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut engine = Engine::new(rules, plan, EngineOptions { step: STEP, series_cap: 100 });
    let (mut block, mut changes) = (Block::default(), Vec::new());
    for step in 0..400 {
        if !(12..300).contains(&step) {
            for i in 0..20 {
                count(&mut collector, step * STEP + i, "i/n1/p/u1/", step < 12, "502");
            }
        }
        for i in 0..20 {
            count(&mut collector, step * STEP + i, &format!("i/n1/p//s{step}-{i}"), false, "");
        }
        collector.take(&mut block);
        engine.absorb(&block, Millis::MIN);
        changes.append(&mut engine.advance((step + 1) * STEP));
    }
    // 12:00 to 25:00 are silent, and 15 min of that would have ended it
    assert_eq!(told(&changes), ["0:15 firing critical i,p,u1", "27:05 recovered critical i,p,u1"]);
}
