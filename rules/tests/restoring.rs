//! An engine that was saved and restored is the engine that was never interrupted: for random episodes, cut anywhere.

use gatewatch_parsers::{Attempt, Attempts, Cause, Millis, Outcome, Reason, Record, Status};
use gatewatch_rules::alert::{Change, ChangeKind, End};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions, EngineState, Unsound};
use gatewatch_rules::matcher::Matcher;
use gatewatch_rules::report::Counted;
use gatewatch_rules::rule::{Counts, Rule, Severity};
use gatewatch_rules::series::{Plan, Source};
use proptest::prelude::*;
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
    /// A file of its own that has come so much further: what is older is late.
    Late(Millis),
    Lost(Millis, u64),
    Reload(usize),
    /// Saved and restored, in one of the two worlds.
    Cut,
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
    let mut all = vec![errors, patient, rest, long, number, tries];
    match variant {
        1 => all.iter_mut().for_each(|rule| rule.runbook = Some("https://…".into())),
        2 => all[1].for_ = 10_000,
        3 => drop(all.remove(3)),
        4 => all.reverse(),
        _ => {}
    }
    all
}

struct World {
    engine: Engine,
    collector: Collector,
    block: Block,
    newest: Millis,
    late_before: Millis,
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
            rules,
            plan,
            options,
        }
    }

    fn count(&mut self, upstream: usize, site: usize, how: usize) {
        let site = format!("site{site}");
        let source =
            Source { input: "i".into(), node: format!("n{}", upstream % 2), site, ..Source::default() };
        let mut record = Record::new(self.newest, Status::new(200));
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
                self.late_before = self.newest - by;
                Vec::new()
            }
            Deed::Lost(ago, count) => {
                self.engine.lost(self.newest - ago, *count);
                Vec::new()
            }
            Deed::Reload(variant) => {
                self.rules = rules(*variant);
                self.plan = Arc::new(Plan::new(&self.rules, &[]));
                let changes = self.engine.reload(self.rules.clone(), Arc::clone(&self.plan));
                self.collector = Collector::new(Arc::clone(&self.plan), STEP, false);
                changes
            }
            Deed::Cut => Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.engine.state()).unwrap()
    }

    fn restored(&self, bytes: &[u8]) -> Result<(Engine, Vec<Change>), Unsound> {
        restored(bytes, self.rules.clone(), &self.plan, self.options)
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
        2 => (0..100_000i64).prop_map(Deed::Late),
        2 => (0..40_000i64, 1..50u64).prop_map(|(ago, count)| Deed::Lost(ago, count)),
        1 => (0..5usize).prop_map(Deed::Reload),
        10 => Just(Deed::Cut),
    ];
    prop::collection::vec(deed, 1..60)
}

fn cap() -> impl Strategy<Value = usize> {
    prop_oneof![Just(6usize), Just(12), Just(30), Just(2_000)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_changes_nothing(deeds in deeds(), cap in cap()) {
        let (mut straight, mut cut) = (World::new(cap), World::new(cap));
        for deed in &deeds {
            if matches!(deed, Deed::Cut) {
                let bytes = cut.bytes();
                let (engine, changes) = cut.restored(&bytes).unwrap();
                prop_assert_eq!(changes, []);
                cut.engine = engine;
                prop_assert_eq!(cut.bytes(), bytes);
            }
            prop_assert_eq!(straight.act(deed), cut.act(deed));
        }
        straight.is_like(&cut)?;
        prop_assert_eq!(straight.engine.finish(), cut.engine.finish());
        straight.is_like(&cut)?;
    }
}
