//! Which alerts belong together, as told with each change.

use super::tests::{STEP, count, engine, play, preset, presets, rule, warning};
use super::*;
use crate::alert::ChangeKind;
use crate::collector::Collector;
use crate::incident::Place;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Spot = (&'static str, &'static str, &'static str);
/// Steps, where, requests, bad ones.
type Made = (std::ops::Range<i64>, String, u64, u64);

/// Traffic of some minutes: each server of each node 10 requests a step, of which these fail from minute 10 to 14.
fn fault(nodes: usize, servers: usize, fails: impl Fn(usize, usize) -> u64) -> Vec<Made> {
    let mut deeds = Vec::new();
    for node in 0..nodes {
        for server in 0..servers {
            let place = format!("i/n{node}/p{}/u{server}/", server / 4);
            let bad = fails(node, server);
            deeds.push((0..120, place.clone(), 10, 0));
            deeds.push((120..168, place.clone(), 10, bad));
            deeds.push((168..420, place, 10, 0));
        }
    }
    deeds
}

fn played(rules: Vec<Rule>, deeds: &[Made]) -> (Vec<Change>, Engine) {
    let deeds: Vec<super::tests::Deed<'_>> = deeds
        .iter()
        .map(|(steps, place, requests, bad)| (steps.clone(), place.as_str(), *requests, *bad, "502"))
        .collect();
    play(rules, &deeds)
}

/// Every incident: its cause as told last while it fired, and how many alerts it had at most.
fn told(changes: &[Change]) -> Vec<String> {
    let mut last: BTreeMap<(Millis, String), (String, u32)> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.kind != ChangeKind::Resolved) {
        let envelope = change.alert.envelope.clone().expect("every alert is in an incident");
        let known = last.entry((envelope.opened, envelope.id.clone())).or_default();
        *known = (envelope.words(), known.1.max(envelope.members));
    }
    last.into_values().map(|(words, members)| format!("{words}: {members}")).collect()
}

#[test]
fn one_fault_is_one_incident() {
    let all = |deeds: Vec<Made>| told(&played(presets(), &deeds).0);
    // 12 servers under two rules each, and the rule of nodes.
    assert_eq!(all(fault(3, 12, |node, _| if node == 1 { 9 } else { 0 })), ["node n1: 25"]);
    assert_eq!(all(fault(3, 12, |_, server| if server == 5 { 9 } else { 0 })), ["upstream u5: 2"]);
    assert_eq!(all(fault(3, 12, |_, server| if server / 4 == 1 { 9 } else { 0 })), ["pool p1: 8"]);
    assert_eq!(all(fault(3, 12, |_, _| 9)), ["everything: 24"]);
    assert_eq!(all(fault(1, 12, |_, _| 9)), ["all upstreams, as seen from n0 only: 24"]);
    assert_eq!(
        all(fault(3, 12, |node, server| if node == 1 && server == 7 { 9 } else { 0 })),
        ["upstream u7, node n1: 3"]
    );
    // Two that have nothing to do with each other; of the second, the node's rule takes notice, too.
    let mut both = fault(3, 12, |_, server| if server == 5 { 9 } else { 0 });
    both.extend([
        (140..168, "i/n2/p9/far/".to_owned(), 40, 40),
        (100..140, "i/n2/p9/far/".to_owned(), 40, 0),
    ]);
    assert_eq!(all(both), ["upstream u5: 2", "upstream far (= all of pool p9): 3"]);
}

#[test]
fn what_fails_later_by_itself_is_not_swallowed() {
    // Everything fails for a while, one server goes on failing, and another one fails when all else is well again.
    let mut deeds = fault(2, 6, |_, _| 9);
    deeds.retain(|(steps, place, ..)| {
        steps.start < 168 || !(place.contains("/u0/") || place.contains("/u5/"))
    });
    for node in 0..2 {
        deeds.push((168..420, format!("i/n{node}/p0/u0/"), 10, 9));
        deeds.push((168..400, format!("i/n{node}/p1/u5/"), 10, 0));
        deeds.push((400..420, format!("i/n{node}/p1/u5/"), 10, 9));
    }
    let (changes, _) = played(vec![preset("errors")], &deeds);
    assert_eq!(told(&changes), ["everything: 6", "upstream u5: 1"]);
}

#[test]
fn an_incident_says_how_much_of_it_fails_and_what_does_not() {
    let (changes, _) = played(presets(), &fault(3, 12, |node, s| if node == 1 && s != 3 { 9 } else { 0 }));
    let envelope = changes.iter().filter_map(|c| c.alert.envelope.clone()).find(|e| e.members > 8).unwrap();
    assert_eq!(envelope.place, Place::OwnProxy);
    let affected = envelope.affected.clone().unwrap();
    assert_eq!((affected.label.as_str(), affected.failing, affected.of), ("upstream", 11, 12));
    let spared = envelope.not_affected.clone().unwrap();
    assert_eq!(
        (spared.label.as_str(), spared.values.as_slice()),
        ("node", &["n0".to_owned(), "n2".to_owned()][..])
    );
    assert!(envelope.excess_share.unwrap() > 0.95 && envelope.traffic_share < 0.4);
    assert_eq!(envelope.suspects[0].labels, envelope.labels);
}

#[test]
fn an_incident_is_over_when_its_last_member_is_and_keeps_its_id() {
    let (changes, engine) = played(presets(), &fault(3, 12, |node, _| if node == 1 { 9 } else { 0 }));
    let ids: BTreeSet<&str> =
        changes.iter().filter_map(|c| Some(c.alert.envelope.as_ref()?.id.as_str())).collect();
    assert_eq!(ids.len(), 1);
    let last = changes.last().unwrap().alert.envelope.clone().unwrap();
    assert_eq!(last.members, 0);
    assert!(ids.contains(changes[0].alert.incident.as_str()), "the id is that of the first alert");
    let listed = engine.incidents();
    assert!(!listed.is_empty() && listed.iter().all(|i| i.envelope.as_deref() == Some(last.id.as_str())));
    assert!(listed.iter().all(|i| i.cause.as_deref() == Some("node n1")), "{listed:?}");
}

const PLACES: [Spot; 7] = [
    ("n1", "p", "u1"),
    ("n1", "p", "u2"),
    ("n2", "p", "u1"),
    ("n2", "p", "u3"),
    ("n3", "q", "u9"),
    ("n1", "q", "u9"),
    ("n2", "q", "u8"),
];

fn rules() -> Vec<Rule> {
    let mut all = vec![preset("errors"), preset("node"), preset("masked")];
    for rule in &mut all {
        (rule.min_requests, rule.min_errors, rule.min_bad_steps) = (2, 1, 1);
        (rule.confidence, rule.keep_firing_for, rule.stale_after) = (Some(0.5), 20_000, 60_000);
        rule.recover_below = None;
    }
    let mut pools = rule("pools", warning(0.3), &["pool"]);
    (pools.min_requests, pools.min_errors) = (4, 2);
    all.push(pools);
    all
}

/// For so many steps each, which of [`PLACES`] fail (by bit), of how many requests.
fn phases() -> impl Strategy<Value = Vec<(i64, u8, u64)>> {
    prop::collection::vec((1..40i64, any::<u8>(), 1..8u64), 1..14)
}

fn block_of(collector: &mut Collector, step: i64, failing: u8, requests: u64) {
    for (at, (node, pool, server)) in PLACES.iter().enumerate() {
        for i in 0..requests {
            let place = format!("i/{node}/{pool}/{server}/");
            let end = step * STEP + i64::try_from(i).unwrap();
            count(collector, end, &place, failing >> at & 1 == 1, "502");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Ids stay; every open alert is in exactly one incident; one is over just when all of its alerts are; a saved and
    /// restored engine goes on with the same incidents.
    #[test]
    fn whatever_fails(phases in phases(), save_at in 0..300i64) {
        let (mut engine, mut collector) = engine(rules());
        let plan = Arc::clone(engine.buckets().plan());
        let options = EngineOptions { step: STEP, series_cap: 50_000 };
        let mut other: Option<Engine> = None;
        let mut block = Block::default();
        // Incident of an alert → its envelope; envelope → its open alerts.
        let mut of: BTreeMap<String, String> = BTreeMap::new();
        let mut step = 1_000;
        for (steps, failing, requests) in phases.into_iter().chain([(60, 0, 3)]) {
            for _ in 0..steps {
                block_of(&mut collector, step, failing, requests);
                collector.take(&mut block);
                engine.absorb(&block, Millis::MIN);
                step += 1;
                let changes = engine.advance(step * STEP);
                if let Some(other) = &mut other {
                    other.absorb(&block, Millis::MIN);
                    prop_assert_eq!(&changes, &other.advance(step * STEP));
                }
                for change in &changes {
                    let envelope = change.alert.envelope.as_ref();
                    prop_assert!(envelope.is_some(), "{:?} without an incident", change.kind);
                    let id = envelope.map(|e| e.id.clone()).unwrap_or_default();
                    let known = of.entry(change.alert.incident.clone()).or_insert_with(|| id.clone());
                    prop_assert_eq!(&*known, &id, "an alert changed its incident");
                }
                let mut open: BTreeMap<String, u32> = BTreeMap::new();
                for standing in engine.alerts().iter().filter(|alert| alert.state != State::Pending) {
                    let envelope = standing.envelope.as_ref();
                    prop_assert!(envelope.is_some());
                    *open.entry(envelope.map(|e| e.id.clone()).unwrap_or_default()).or_default() += 1;
                }
                for (id, envelope) in &engine.envelopes {
                    prop_assert_eq!(open.get(id).copied().unwrap_or(0), envelope.members);
                    prop_assert_eq!(id, &envelope.id);
                }
                prop_assert!(open.keys().all(|id| engine.envelopes.contains_key(id)));
                if step == 1_000 + save_at {
                    let saved = postcard::to_allocvec(&engine.state()).unwrap();
                    let state: EngineState<'_> = postcard::from_bytes(&saved).unwrap();
                    let (restored, changes) = Engine::restore(state, rules(), Arc::clone(&plan), options).unwrap();
                    prop_assert!(changes.is_empty());
                    other = Some(restored);
                }
            }
        }
    }
}
