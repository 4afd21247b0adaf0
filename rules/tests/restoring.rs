//! An engine that was saved and restored is the engine that was never interrupted: for random episodes, cut anywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gatewatch_parsers::{Attempt, Attempts, Cause, Millis, Outcome, Reason, Record, Status};
use gatewatch_rules::alert::{Change, End};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions, EngineState, Unsound};
use gatewatch_rules::matcher::Matcher;
use gatewatch_rules::rule::{Counts, Rule, Severity};
use gatewatch_rules::series::{Plan, Source};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::sync::Arc;

const STEP: Millis = 5_000;
const T: Millis = 1_800_000_000_000;

#[derive(Clone, Debug)]
enum Deed {
    /// Requests: how long after the last one, upstream, site, how.
    Count(Vec<(Millis, usize, usize, usize)>),
    /// The watermark: so far behind the newest request.
    Advance(Millis),
    /// Another file has come so much further: what is older is late.
    Late(Millis),
    Lost(Millis, u64),
    Reload(usize),
    /// Saved and restored, in one of the two worlds.
    Cut,
    /// The same under other rules; the other world is told of them.
    CutAndReload(usize),
}

const UPSTREAMS: [&str; 5] = ["", "u1", "u2", "u3", "u4"];

fn ratio(name: &str, above: f64, group_by: &[&str]) -> Rule {
    let mut rule =
        Rule::new(name, "ratio", vec![(Severity::Warning, above), (Severity::Critical, above * 1.8)]);
    rule.group_by = group_by.iter().map(|l| (*l).to_owned()).collect();
    (rule.min_requests, rule.min_errors, rule.keep_firing_for, rule.stale_after) = (2, 1, 30_000, 120_000);
    rule
}

/// Rules of every kind; of the variants, some judge alike, some do not, some carry other labels.
fn rules(variant: usize) -> Vec<Rule> {
    let mut errors = ratio("errors", 0.3, &["pool", "upstream"]);
    errors.matchers = vec![Matcher::parse("upstream=~\"u[1-3]\"").unwrap()];
    (errors.stretch, errors.confidence, errors.min_requests) = (Some(600_000), Some(0.5), 6);
    let mut patient = ratio("patient", 0.3, &["pool"]);
    patient.for_ = 20_000;
    let mut rest = ratio("rest", 0.2, &["upstream"]);
    (rest.times_rest, rest.min_bad_steps, rest.keep_firing_for) = (2.0, 2, 0);
    let mut long = ratio("long", 0.25, &["site"]);
    (long.window, long.matchers) = (600_000, vec![Matcher::parse("upstream=\"\"").unwrap()]);
    let mut number = Rule::new("number", "count", vec![(Severity::Warning, 3.0)]);
    (number.status, number.group_by) = (vec![504], vec!["input".into(), "upstream".into()]);
    let mut tries = ratio("tries", 0.3, &["node"]);
    tries.counts = Counts::FailedAttempts;
    let exits = ratio("exits", 0.5, &["exit_ip"]);
    let mut own = ratio("own", 0.2, &["upstream"]);
    (own.baseline, own.stretch) = (Some(60_000), Some(120_000));
    let mut spike = Rule::new("spike", "spike", vec![(Severity::Warning, 0.0)]);
    (spike.group_by, spike.baseline) = (vec!["pool".into()], Some(600_000));
    (spike.min_requests, spike.min_errors, spike.times, spike.alpha) = (2, 1, 1.2, 0.1);
    spike.keep_firing_for = 30_000;
    let mut burn = Rule::new("burn", "burn_rate", vec![(Severity::Critical, 0.0)]);
    (burn.group_by, burn.min_requests, burn.min_errors) = (vec!["pool".into()], 2, 1);
    burn.set_slo(0.97);
    let mut absent = Rule::new("absent", "absent", vec![(Severity::Warning, 0.0)]);
    (absent.group_by, absent.baseline, absent.window) = (vec!["upstream".into()], Some(60_000), 10_000);
    (absent.alpha, absent.min_requests, absent.stale_after) = (1.0, 1, 60_000);
    (absent.keep_firing_for, absent.for_) = (10_000, 5_000);
    let mut stall = Rule::new("stall", "stall", vec![(Severity::Warning, 0.2)]);
    (stall.window, stall.alpha, stall.min_requests) = (50_000, 0.1, 1);
    (stall.keep_firing_for, stall.stale_after) = (10_000, 60_000);
    let mut slow = ratio("slow", 0.1, &["upstream"]);
    (slow.detector, slow.longer_than) = ("slow", Some(20));
    let mut all =
        vec![errors, patient, rest, long, number, tries, exits, own, spike, burn, absent, stall, slow];
    match variant {
        1 => all.iter_mut().for_each(|rule| rule.runbook = Some("https://…".into())),
        2 => all[1].for_ = 10_000,
        3 => drop(all.remove(3)),
        4 => all.reverse(),
        _ => {}
    }
    all
}

#[derive(Debug)]
struct World {
    engine: Engine,
    collector: Collector,
    block: Block,
    newest: Millis,
    late_before: Millis,
    variant: usize,
    rules: Vec<Rule>,
    plan: Arc<Plan>,
    options: EngineOptions,
}

impl World {
    fn new(cap: usize) -> World {
        let rules = rules(0);
        let plan = Arc::new(Plan::new(&rules, &[]));
        let options = EngineOptions { step: STEP, series_cap: cap };
        World {
            engine: Engine::new(rules.clone(), Arc::clone(&plan), options),
            collector: Collector::new(Arc::clone(&plan), STEP, false),
            block: Block::default(),
            newest: T,
            late_before: Millis::MIN,
            variant: 0,
            rules,
            plan,
            options,
        }
    }

    fn count(&mut self, upstream: usize, site: usize, how: usize) {
        let site = format!("site{site}");
        let exit = ("exit_ip".to_owned(), format!("e{}", how % 3));
        let node = format!("n{}", upstream % 2);
        let source = Source { input: "i".into(), node, path_labels: vec![exit], ..Source::default() };
        let mut record = Record::new(self.newest, Status::new(200));
        record.site = site.as_bytes();
        record.request_time = Some(how as u32 * 10);
        let cause = Cause::proxy(Reason::ALL[how % Reason::ALL.len()]);
        let mut attempt = Attempt {
            upstream: UPSTREAMS[upstream].as_bytes(),
            pool: b"p",
            status: Status::new(200),
            failure: None,
        };
        match how {
            1 | 2 => {
                record.status = Status::new(500 + 2 * how as u16);
                (record.outcome, attempt.failure) = (Outcome::GatewayError(cause), Some(cause));
            }
            3 => attempt.failure = Some(cause),
            4 => (record.outcome, record.status) = (Outcome::Abandoned, Status::new(499)),
            _ => {}
        }
        record.attempts = if upstream == 0 { Attempts::None } else { Attempts::One(attempt) };
        self.collector.count(&source, &record, Place::Step);
        if how == 1 || how == 2 {
            let series = self.collector.last_series().unwrap().clone();
            self.engine.sample(&series, self.newest, format!("{} {how} /a?token=1", self.newest).as_bytes());
        }
    }

    fn absorb(&mut self) {
        self.collector.take(&mut self.block);
        self.engine.absorb(&self.block, self.late_before);
    }

    fn act(&mut self, deed: &Deed) -> Vec<Change> {
        match deed {
            Deed::Count(requests) => {
                for (after, upstream, site, how) in requests {
                    self.newest += after;
                    self.count(*upstream, *site, *how);
                }
                self.absorb();
                Vec::new()
            }
            Deed::Advance(behind) => self.engine.advance(self.newest - behind),
            Deed::Late(by) => {
                self.late_before = self.newest + by;
                Vec::new()
            }
            Deed::Lost(ago, count) => {
                self.engine.lost(self.newest - ago, *count);
                Vec::new()
            }
            Deed::CutAndReload(variant) if *variant == self.variant => Vec::new(),
            Deed::Reload(variant) | Deed::CutAndReload(variant) => {
                self.take_rules(*variant);
                self.engine.reload(self.rules.clone(), Arc::clone(&self.plan))
            }
            Deed::Cut => Vec::new(),
        }
    }

    fn take_rules(&mut self, variant: usize) {
        (self.variant, self.rules) = (variant, rules(variant));
        self.plan = Arc::new(Plan::new(&self.rules, &[]));
        self.collector = Collector::new(Arc::clone(&self.plan), STEP, false);
    }

    /// The same, but saved and restored where the deed says so.
    fn act_cut(&mut self, deed: &Deed) -> Vec<Change> {
        match deed {
            Deed::Cut => {
                let bytes = self.bytes();
                let changes = self.restore(&bytes);
                assert_eq!(self.bytes(), bytes);
                changes
            }
            Deed::CutAndReload(variant) => {
                let bytes = self.bytes();
                self.take_rules(*variant);
                self.restore(&bytes)
            }
            deed => self.act(deed),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.engine.state()).unwrap()
    }

    fn restore(&mut self, bytes: &[u8]) -> Vec<Change> {
        let (engine, changes) = restored(bytes, self.rules.clone(), &self.plan, self.options).unwrap();
        self.engine = engine;
        changes
    }

    /// In everything that anybody can ask, and in everything that is remembered.
    fn is_like(&self, other: &World) -> Result<(), TestCaseError> {
        let (engine, other) = (&self.engine, &other.engine);
        prop_assert_eq!(engine.incidents(), other.incidents());
        prop_assert_eq!(engine.alerts(), other.alerts());
        prop_assert_eq!(engine.totals(), other.totals());
        prop_assert_eq!(engine.buckets().series_overflow(), other.buckets().series_overflow());
        let [state, others] = [engine, other].map(|e| postcard::to_allocvec(&e.state()).unwrap());
        if state != others {
            let [state, others] = [engine, other].map(|e| format!("{:#?}", e.state()));
            let mut lines = state.lines().zip(others.lines()).enumerate();
            let (at, differs) = lines.find(|(_, (a, b))| a != b).unwrap_or_default();
            let before: Vec<&str> = state.lines().take(at).skip(at.saturating_sub(20)).collect();
            prop_assert!(false, "after {before:#?}: {differs:?}");
        }
        Ok(())
    }
}

fn restored(
    bytes: &[u8],
    rules: Vec<Rule>,
    plan: &Arc<Plan>,
    options: EngineOptions,
) -> Result<(Engine, Vec<Change>), Unsound> {
    let state: EngineState<'_> = postcard::from_bytes(bytes).map_err(|_| Unsound("not readable"))?;
    Engine::restore(state, rules, Arc::clone(plan), options)
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let gap = prop_oneof![
        30 => 0..1_500i64, 4 => 0..20_000i64, 1 => 0..700_000i64, 1 => 0..10_800_000i64
    ];
    let request = (gap, 0..UPSTREAMS.len(), 0..30usize, 0..5usize);
    // A mood in which all is well, some fail, all fail; and with few sites or with many.
    let burst =
        (0..3usize, any::<bool>(), prop::collection::vec(request, 1..40)).prop_map(|(mood, few, burst)| {
            let how = |how: usize| if how % 3 < mood { how.max(1) } else { 0 };
            let site = |site: usize| if few { site % 2 } else { site };
            burst.into_iter().map(|(gap, upstream, s, h)| (gap, upstream, site(s), how(h))).collect()
        });
    let deed = prop_oneof![
        12 => burst.prop_map(Deed::Count),
        10 => (0..20_000i64).prop_map(Deed::Advance),
        2 => (-20_000..20_000i64).prop_map(Deed::Late),
        2 => (0..40_000i64, 1..50u64).prop_map(|(ago, count)| Deed::Lost(ago, count)),
        1 => (0..5usize).prop_map(Deed::Reload),
        10 => Just(Deed::Cut),
        1 => (0..5usize).prop_map(Deed::CutAndReload),
    ];
    prop::collection::vec(deed, 1..60)
}

/// Of a rule that does not go on, a restored engine does not look at counts and lines again.
fn without_recent(mut changes: Vec<Change>) -> Vec<Change> {
    for change in changes.iter_mut().filter(|change| change.alert.end == Some(End::Config)) {
        (change.alert.recent, change.alert.samples) = ((0, 0), Vec::new());
    }
    changes
}

/// Two dozen each time; with `PROPTEST_CASES` as many as it says.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: if default.cases == 256 { 24 } else { default.cases }, ..default }
}

fn cap() -> impl Strategy<Value = usize> {
    prop_oneof![Just(6usize), Just(12), Just(30), Just(2_000)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_cut_changes_nothing(deeds in deeds(), cap in cap()) {
        let (mut straight, mut cut) = (World::new(cap), World::new(cap));
        for deed in &deeds {
            let (expected, found) = (straight.act(deed), cut.act_cut(deed));
            prop_assert_eq!(without_recent(expected), without_recent(found));
        }
        straight.is_like(&cut)?;
        prop_assert_eq!(straight.engine.finish(), cut.engine.finish());
        straight.is_like(&cut)?;
    }
}

/// What every series came to, what belongs to none, and what everything came to: one truth.
fn adds_up(engine: &Engine) -> Result<(), TestCaseError> {
    let mut sum = *engine.buckets().left().counted();
    engine.buckets().totals().for_each(|(_, total)| sum.add(total.counted()));
    let totals = engine.totals();
    prop_assert_eq!(sum, totals.counted);
    prop_assert_eq!(totals.counted.requests, totals.status.values().sum::<u64>());
    let statuses = |status| {
        let series = engine.buckets().totals().map(|(_, total)| total.status(status)).sum::<u64>();
        series + engine.buckets().left().status(status)
    };
    for status in [502, 504] {
        prop_assert_eq!(
            Some(statuses(status)).filter(|n| *n > 0),
            totals.status.get(&Status::new(status)).copied()
        );
    }
    Ok(())
}

/// A saved state, changed by anybody, is refused or works.
fn survives(bytes: &[u8], world: &mut World) -> bool {
    let Ok((engine, _)) = restored(bytes, world.rules.clone(), &world.plan, world.options) else {
        return false;
    };
    world.engine = engine;
    let _ = (world.engine.incidents(), world.engine.alerts(), world.engine.totals());
    for (i, how) in [2, 2, 1, 0, 3, 1, 2, 0].into_iter().enumerate() {
        world.newest += 2_000;
        (0..4).for_each(|n| world.count(n, i, how));
        world.absorb();
        world.engine.lost(world.newest, 1);
        world.engine.advance(world.newest - 7_000);
    }
    let again = world.bytes();
    world.engine.advance(world.newest + 3_600_000);
    world.engine.reload(rules(3), Arc::new(Plan::new(&rules(3), &[])));
    world.engine.finish();
    world.bytes();
    restored(&again, world.rules.clone(), &world.plan, world.options).is_ok()
}

/// The state of an engine in the middle of an episode.
fn state() -> impl Strategy<Value = World> {
    (deeds(), cap()).prop_map(|(deeds, cap)| {
        let mut world = World::new(cap);
        for deed in deeds.iter().filter(|deed| !matches!(deed, Deed::Reload(_) | Deed::CutAndReload(_))) {
            world.act(deed);
        }
        world
    })
}

/// Numbers that break what trusts them.
const ODD: [i64; 9] = [0, 1, -1, 127, 1 << 40, i64::MAX, i64::MIN, T, 4_294_967_295];

/// Puts something odd in the place that `at` leads to, from branch to branch.
fn spoil(value: &mut serde_json::Value, at: &[usize], odd: usize) {
    use serde_json::Value::{Array, Bool, Null, Number, Object, String};
    let (place, rest) = at.split_first().map_or((0, at), |(place, rest)| (*place, rest));
    match value {
        Array(all) if !all.is_empty() => {
            let place = place % all.len();
            match (rest.is_empty(), odd % 3) {
                (true, 0) => drop(all.remove(place)),
                (true, 1) => all.push(all[place].clone()),
                (true, _) => all.swap(place, 0),
                (false, _) => spoil(&mut all[place], rest, odd),
            }
        }
        Object(all) if !all.is_empty() => {
            let place = place % all.len();
            if let Some((_, value)) = all.iter_mut().nth(place) {
                spoil(value, rest, odd);
            }
        }
        Number(_) => *value = ODD[odd % ODD.len()].into(),
        Bool(is) => *is = !*is,
        String(text) => text.push_str("\u{0}x"),
        Null => *value = ODD[odd % ODD.len()].into(),
        Array(_) | Object(_) => {}
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_vanishes(deeds in deeds(), cap in cap()) {
        let mut world = World::new(cap);
        for deed in &deeds {
            world.act_cut(deed);
            adds_up(&world.engine)?;
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_work(
        mut world in state(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3usize), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = world.bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                _ => bytes.insert(at, byte),
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()).max(1) * 4);
        }
        survives(&bytes, &mut world);
    }

    #[test]
    fn changed_values_are_refused_or_work(
        mut world in state(),
        changes in prop::collection::vec((prop::collection::vec(any::<usize>(), 1..9), any::<usize>()), 1..4),
    ) {
        let mut value = serde_json::to_value(world.engine.state()).unwrap();
        changes.iter().for_each(|(at, odd)| spoil(&mut value, at, *odd));
        if let Ok(state) = serde_json::from_value::<EngineState<'_>>(value) {
            let bytes = postcard::to_allocvec(&state).unwrap();
            survives(&bytes, &mut world);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_work(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&bytes, &mut World::new(30));
    }
}

/// Else the properties above would be of refusals only, or of none.
#[test]
fn some_changes_are_refused_and_some_are_not() {
    let mut runner = TestRunner::deterministic();
    let mut count = [0, 0];
    for at in 0..40 {
        let mut world = state().new_tree(&mut runner).unwrap().current();
        let mut value = serde_json::to_value(world.engine.state()).unwrap();
        spoil(&mut value, &[at, at / 3, at / 2, at, 1, at, 0], at);
        let state =
            serde_json::from_value::<EngineState<'_>>(value).map(|s| postcard::to_allocvec(&s).unwrap());
        let works = state.is_ok_and(|bytes| survives(&bytes, &mut world));
        count[usize::from(works)] += 1;
    }
    assert!(count.iter().all(|n| *n > 4), "{count:?}");
}

/// An episode in which both rules have an alert; and what the world is like then.
fn both_fire() -> (World, Vec<Change>) {
    let mut world = World::new(100);
    world.rules = ["first", "second"].map(|name| ratio(name, 0.3, &["pool", "upstream"])).to_vec();
    world.plan = Arc::new(Plan::new(&world.rules, &[]));
    world.engine = Engine::new(world.rules.clone(), Arc::clone(&world.plan), world.options);
    world.collector = Collector::new(Arc::clone(&world.plan), STEP, false);
    let requests = (0..40).map(|i| (500, 1, 0, i % 2)).collect();
    let mut changes = world.act(&Deed::Count(requests));
    changes.append(&mut world.act(&Deed::Advance(0)));
    (world, changes)
}

fn told(changes: &[Change]) -> Vec<String> {
    let told = |c: &Change| format!("{} {:?} {:?} {}", c.alert.rule, c.kind, c.alert.end, c.alert.incident);
    changes.iter().map(told).collect()
}

#[test]
fn a_rule_that_changed_starts_fresh_and_the_others_go_on() {
    let (mut world, fired) = both_fire();
    assert_eq!(told(&fired), ["first Firing None 8b47-1", "second Firing None 2b1e-2"]);
    let bytes = world.bytes();
    // Their incident has lost a member meanwhile.
    let standing = |world: &World| -> Vec<String> {
        let alerts = world.engine.alerts().into_iter();
        alerts
            .map(|alert| format!("{:?}", gatewatch_rules::engine::Standing { envelope: None, ..alert }))
            .collect()
    };
    let before = standing(&world);

    world.rules[0].keep_firing_for = 60_000;
    world.rules[1].notify = vec!["ops".into()];
    assert_eq!(told(&world.restore(&bytes)), ["first Resolved Some(Config) 8b47-1"]);
    assert_eq!(standing(&world), before[1..]);
    // Its counts are there still: it is judged by the next step.
    world.act(&Deed::Count(vec![(1_000, 1, 0, 1)]));
    let changes = world.act(&Deed::Advance(-10_000));
    assert_eq!(told(&changes), ["first Firing None 8b47-3"]);
}

#[test]
fn an_alert_is_told_as_it_stands() {
    let (mut world, fired) = both_fire();
    let alert = &fired[1].alert;
    assert!(world.engine.alert("").is_none());
    let bytes = world.bytes();
    let before = world.engine.alert(&alert.fingerprint).unwrap();
    world.restore(&bytes);
    let now = world.engine.alert(&alert.fingerprint).unwrap();
    assert_eq!(now, before);
    assert!(now.requests > alert.requests && now.incident == alert.incident && now.fired == alert.fired);
    world.act(&Deed::Advance(-3_600_000));
    assert!(world.engine.alert(&alert.fingerprint).is_none(), "it is over");
}

#[test]
fn a_flood_of_nothing_is_refused() {
    let (world, _) = both_fire();
    let mut value = serde_json::to_value(world.engine.state()).unwrap();
    let nothing = vec![serde_json::Value::Null; 200_000];
    value["buckets"]["series"].as_array_mut().unwrap().extend(nothing);
    let bytes = postcard::to_allocvec(&serde_json::from_value::<EngineState<'_>>(value).unwrap()).unwrap();
    assert!(restored(&bytes, world.rules.clone(), &world.plan, world.options).is_err());
}

#[test]
fn a_step_that_changed_ends_all_alerts_and_no_total() {
    let (mut world, _) = both_fire();
    let (bytes, totals) = (world.bytes(), world.engine.totals().clone());
    let closed = world.engine.buckets().closed_until();
    world.options.step = 10_000;
    let changes = world.restore(&bytes);
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|c| c.alert.end == Some(End::Config) && Some(c.at) <= closed));
    assert!(world.engine.alerts().is_empty() && *world.engine.totals() == totals);
    adds_up(&world.engine).unwrap();
    world.act(&Deed::Advance(-100_000));
}

#[test]
fn fewer_series_than_before_hold_all_counts() {
    let mut world = World::new(2_000);
    world.act(&Deed::Count((0..200).map(|i| (100, 0, i % 60, i % 3)).collect()));
    world.act(&Deed::Advance(5_000));
    let (bytes, totals) = (world.bytes(), world.engine.totals().clone());
    assert!(world.engine.buckets().len() > 30);
    world.options.series_cap = 10;
    assert_eq!(world.restore(&bytes), []);
    assert!(world.engine.buckets().len() <= 10 && *world.engine.totals() == totals);
    adds_up(&world.engine).unwrap();
}

/// Random episodes do not last for long enough.
#[test]
fn what_turns_out_to_be_normal_is_remembered() {
    let play = |cut: bool| {
        let (mut world, mut changes) = (World::new(2_000), Vec::new());
        for minute in 0..30usize {
            // One of four fails, then, for a while, three of four.
            let requests = (0..120).map(|i| (500, 1, 0, [2, 0, 0, 0][(i + minute) % 4])).collect();
            let worse = (0..120).map(|i| (500, 1, 0, [2, 2, 2, 0][i % 4])).collect();
            world.act(&Deed::Count(if (12..15).contains(&minute) { worse } else { requests }));
            let deed = if cut { Deed::Cut } else { Deed::Advance(0) };
            changes.extend(world.act_cut(&deed));
            changes.extend(world.act(&Deed::Advance(0)));
        }
        changes
    };
    let (straight, cut) = (play(false), play(true));
    assert_eq!(straight, cut);
    let own: Vec<String> = told(&straight).into_iter().filter(|told| told.starts_with("own ")).collect();
    assert!(own.iter().any(|told| told.contains("Usual")), "{own:?}");
}

#[test]
fn what_was_lost_is_in_verdicts_until_they_are_over() {
    let undercount = |at: &[(usize, Millis, u64)]| {
        let (mut world, mut seen, mut standing) = (both_fire().0, Vec::new(), 0);
        world.engine = Engine::new(world.rules.clone(), Arc::clone(&world.plan), world.options);
        for minute in 0..40usize {
            for (_, ago, count) in at.iter().filter(|(when, ..)| *when == minute) {
                world.act(&Deed::Lost(*ago, *count));
            }
            let how = usize::from((4..6).contains(&minute));
            world.act(&Deed::Count((0..12).map(|_| (5_000, 1, 0, how)).collect()));
            seen.extend(world.act(&Deed::Advance(0)));
            standing = world.engine.alerts().iter().map(|alert| alert.undercount).fold(standing, u64::max);
        }
        assert_eq!(standing, seen.iter().map(|change| change.alert.undercount).max().unwrap());
        let told =
            seen.iter().filter(|c| c.alert.rule == "first").map(|c| c.alert.undercount).collect::<Vec<_>>();
        let incidents = world.engine.incidents();
        (told, incidents.iter().map(|i| i.undercount).max().unwrap(), world.engine.totals().lost)
    };
    // Fired, escalated or not, resolved: then what was lost long before, just before, while it fired, and after.
    let (told, incident, lost) = undercount(&[]);
    assert!(told.len() >= 2 && told.iter().all(|n| *n == 0) && (incident, lost) == (0, 0));
    assert!(undercount(&[(1, 0, 7)]).0.iter().all(|n| *n == 0));
    let just_before = undercount(&[(4, 0, 7)]);
    assert!(just_before.0.iter().all(|n| *n == 7) && just_before.1 == 7, "{just_before:?}");
    let meanwhile = undercount(&[(4, 0, 7), (5, 0, 4)]);
    assert_eq!((meanwhile.0.first(), meanwhile.0.last(), meanwhile.1), (Some(&7), Some(&11), 11));
    let after = undercount(&[(20, 0, 7)]);
    assert_eq!((after.0.last(), after.1, after.2), (Some(&0), 0, 7));
    // Of a time that was judged already: it is doubt about now.
    assert_eq!(undercount(&[(5, 3_600_000, 9)]).1, 9);
}

/// Else the property above would hold of nothing.
#[test]
fn the_episodes_see_everything() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    let mut episodes = 0;
    for _ in 0..60 {
        let (deeds, cap) = (deeds(), cap()).new_tree(&mut runner).unwrap().current();
        let mut world = World::new(cap);
        let mut changes: Vec<Change> = deeds.iter().flat_map(|deed| world.act(deed)).collect();
        changes.append(&mut world.engine.finish());
        for change in &changes {
            seen.insert(format!("{:?} {:?}", change.kind, change.alert.end));
            let kinds = ["own", "spike", "burn", "absent", "stall", "slow"];
            seen.extend(kinds.iter().filter(|kind| **kind == change.alert.rule).map(|k| (*k).to_owned()));
            seen.extend((change.alert.undercount > 0).then(|| "undercount".to_owned()));
        }
        let (buckets, totals) = (world.engine.buckets(), world.engine.totals());
        let all = [
            ("overflow", buckets.series_overflow() > 0),
            ("left", buckets.left().counted().requests > totals.late),
            ("late", totals.late > 0),
            ("incident", world.engine.incidents().iter().any(|i| i.undercount > 0)),
        ];
        seen.extend(all.iter().filter(|(_, is)| *is).map(|(what, _)| (*what).to_owned()));
        episodes += usize::from(!changes.is_empty());
    }
    assert!(episodes > 20, "{episodes}");
    assert_eq!(
        seen.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "Escalated None",
            "Firing None",
            "Reopened None",
            "Resolved Some(Config)",
            "Resolved Some(Expired)",
            "Resolved Some(Recovered)",
            "Resolved Some(Usual)",
            "absent",
            "burn",
            "incident",
            "late",
            "left",
            "overflow",
            "own",
            "slow",
            "spike",
            "stall",
            "undercount",
        ]
    );
}
