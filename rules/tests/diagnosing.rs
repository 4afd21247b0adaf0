//! An error log beside an access log: counted in the same series, never as requests; what is read out is finer, and sums.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use gatewatch_parsers::{
    Attempt, Attempts, Cause, Diagnosis, Effect, Event, Happened, Millis, Outcome, Parsed, Reason, Record,
    Status,
};
use gatewatch_rules::alert::ChangeKind;
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::report::Report;
use gatewatch_rules::rule::{Counts, Rule, Severity};
use gatewatch_rules::series::{Plan, Source};
use gatewatch_rules::servers::Stands;
use gatewatch_rules::summary::Summary;
use proptest::prelude::*;
use std::sync::Arc;

const STEP: Millis = 5_000;
/// A whole hour.
const T: Millis = 1_800_000_000_000;

const UPSTREAMS: [&str; 3] = ["", "10.0.0.1:80", "10.0.0.2:80"];
const COARSE: [Reason; 4] =
    [Reason::ConnectionFailed, Reason::InvalidResponse, Reason::Unknown, Reason::ConnectionReadTimeout];
const FINE: [Reason; 5] = [
    Reason::ConnectionRefused,
    Reason::ConnectionTerminated,
    Reason::DnsError,
    Reason::HttpResponseIncomplete,
    Reason::ConnectionReadTimeout,
];

/// A line of either log.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: Millis,
    upstream: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Fine,
    Error(Reason),
    Failed(Reason),
    Cut(Reason),
}

impl Line {
    fn parsed(&self) -> Parsed<'static> {
        let upstream = UPSTREAMS[self.upstream].as_bytes();
        let told = |reason, effect| {
            let (node, pool, site, at) = (&b"edge"[..], &b""[..], &b""[..], self.at);
            Parsed::Diagnosis(Diagnosis {
                at,
                cause: Cause::proxy(reason),
                effect,
                node,
                pool,
                upstream,
                site,
            })
        };
        let cause = match self.what {
            What::Failed(reason) => return told(reason, Effect::Failed),
            What::Cut(reason) => return told(reason, Effect::Aborted),
            What::Error(reason) => Some(Cause::proxy(reason)),
            What::Fine => None,
        };
        let status = Status::new(if cause.is_some() { 502 } else { 200 });
        let attempt = Attempt { upstream, pool: b"", status, failure: cause };
        let attempts = if upstream.is_empty() { Attempts::None } else { Attempts::One(attempt) };
        let outcome = cause.map_or(Outcome::Fine, Outcome::GatewayError);
        Parsed::Record(Record { node: b"edge", attempts, outcome, ..Record::new(self.at, status) })
    }
}

fn rule(name: &str, detector: &'static str, counts: Counts, above: f64) -> Rule {
    Rule {
        group_by: vec!["upstream".to_owned()],
        counts,
        min_requests: 1,
        min_errors: 1,
        ..Rule::new(name, detector, vec![(Severity::Warning, above)])
    }
}

fn rules() -> Vec<Rule> {
    vec![
        rule("errors", "ratio", Counts::GatewayErrors, 0.1),
        rule("many", "count", Counts::GatewayErrors, 2.0),
        rule("cut", "ratio", Counts::Aborted, 0.1),
    ]
}

/// Both logs, each counted by itself in this order.
fn counted(logs: &[&[Line]]) -> (Report, Engine) {
    let plan = Arc::new(Plan::new(&rules(), &["node".to_owned()]));
    let mut engine = Engine::new(rules(), Arc::clone(&plan), EngineOptions { step: STEP, series_cap: 100 });
    let mut summary = Summary::new(Arc::clone(&plan), STEP);
    let mut block = Block::default();
    for log in logs {
        let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
        for line in *log {
            collector.count_parsed(&Source::default(), &line.parsed(), Place::Step);
        }
        collector.take(&mut block);
        summary.absorb(&block, Millis::MIN);
        engine.absorb(&block, Millis::MIN);
    }
    engine.finish();
    (summary.into_report(&["upstream".to_owned()]), engine)
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let what = prop_oneof![
        3 => Just(What::Fine),
        4 => prop::sample::select(&COARSE[..]).prop_map(What::Error),
        4 => prop::sample::select(&FINE[..]).prop_map(What::Failed),
        1 => prop::sample::select(&FINE[..]).prop_map(What::Cut),
    ];
    let line = (0..60_000i64, 0..UPSTREAMS.len(), what);
    proptest::collection::vec(
        line.prop_map(|(at, upstream, what)| Line { at: T + at, upstream, what }),
        1..80,
    )
}

fn of(reasons: &[(Reason, u64)], wanted: Reason) -> u64 {
    reasons.iter().find(|(reason, _)| *reason == wanted).map_or(0, |(_, n)| *n)
}

proptest! {
    #[test]
    fn reasons_sum_to_errors_and_no_order_matters(lines in lines(), turn in any::<prop::sample::Index>()) {
        let is_access = |line: &&Line| matches!(line.what, What::Fine | What::Error(_));
        let access: Vec<Line> = lines.iter().filter(is_access).copied().collect();
        let errors: Vec<Line> = lines.iter().filter(|line| !is_access(line)).copied().collect();
        let (report, engine) = counted(&[&access, &errors]);
        let (alone, _) = counted(&[&access]);

        // Nothing that is counted of requests changes, but the bodies that only the error log knows to be cut.
        let cut = errors.iter().filter(|line| matches!(line.what, What::Cut(_))).count() as u64;
        prop_assert_eq!(report.counted.aborted, cut);
        let mut counted_alone = report.counted;
        counted_alone.aborted = 0;
        prop_assert_eq!(counted_alone, alone.counted);
        prop_assert_eq!(&report.status, &alone.status);
        prop_assert_eq!(&report.origin, &alone.origin);
        prop_assert_eq!(&report.timeline, &alone.timeline);

        let sum = |reasons: &[(Reason, u64)]| reasons.iter().map(|(_, n)| n).sum::<u64>();
        prop_assert_eq!(sum(&report.reasons), report.counted.gateway_errors);
        for group in &report.groups {
            prop_assert_eq!(sum(&group.reasons), group.counted.gateway_errors);
            // Never beyond the coarse count, nor beyond what the error log tells.
            let own = alone.groups.iter().find(|own| own.labels == group.labels).unwrap();
            let told = report.diagnosed.iter().find(|told| told.labels == group.labels);
            for (reason, n) in &group.reasons {
                let finer = told.map_or(0, |told| of(&told.failed, *reason));
                prop_assert!(*n <= of(&own.reasons, *reason).max(finer), "{}", reason.name());
            }
        }
        let told: u64 = report.diagnosed.iter().map(gatewatch_rules::report::Diagnosed::count).sum();
        prop_assert_eq!(told, errors.len() as u64);
        for incident in engine.incidents().iter().filter(|i| i.rule != "cut") {
            prop_assert_eq!(sum(&incident.reasons), incident.gateway_errors);
        }

        // Other file first; lines in another order.
        let (turned, turned_engine) = counted(&[&errors, &access]);
        prop_assert_eq!(&turned, &report);
        prop_assert_eq!(turned_engine.incidents(), engine.incidents());
        let mut mixed = lines.clone();
        mixed.rotate_left(turn.index(lines.len()));
        let (mixed, mixed_engine) = counted(&[&mixed]);
        prop_assert_eq!(&mixed, &report);
        prop_assert_eq!(mixed_engine.incidents(), engine.incidents());
    }

    #[test]
    fn an_error_log_alone_makes_no_incident(lines in lines()) {
        let errors: Vec<Line> =
            lines.into_iter().filter(|line| matches!(line.what, What::Failed(_) | What::Cut(_))).collect();
        let (report, engine) = counted(&[&errors]);
        prop_assert_eq!(engine.incidents(), vec![]);
        prop_assert_eq!((report.counted.requests, report.counted.gateway_errors), (0, 0));
        prop_assert!(report.groups.is_empty() && report.reasons.is_empty());
        prop_assert_eq!(report.diagnosed.is_empty(), errors.is_empty());
    }
}

fn many(upstream: usize, what: What, count: i64) -> Vec<Line> {
    (0..count).map(|i| Line { at: T + i * 100, upstream, what }).collect()
}

#[test]
fn an_incident_says_the_finer_word_of_its_own_upstream() {
    let access = [
        many(1, What::Error(Reason::ConnectionFailed), 30),
        many(2, What::Error(Reason::ConnectionFailed), 20),
        many(1, What::Fine, 10),
    ];
    let errors = [
        many(1, What::Failed(Reason::ConnectionRefused), 30),
        many(1, What::Cut(Reason::HttpResponseIncomplete), 8),
    ];
    let (report, engine) = counted(&[&access.concat(), &errors.concat()]);
    assert_eq!(of(&report.reasons, Reason::ConnectionRefused), 30);
    assert_eq!(of(&report.reasons, Reason::ConnectionFailed), 20);
    let incidents = engine.incidents();
    let reasons = |rule: &str, upstream: &str| {
        let is = |i: &&gatewatch_rules::report::Incident| i.rule == rule && i.labels[0].1 == upstream;
        incidents.iter().find(is).map(|i| i.reasons.clone())
    };
    assert_eq!(reasons("errors", UPSTREAMS[1]), Some(vec![(Reason::ConnectionRefused, 30)]));
    assert_eq!(reasons("errors", UPSTREAMS[2]), Some(vec![(Reason::ConnectionFailed, 20)]));
    assert_eq!(reasons("many", UPSTREAMS[1]), Some(vec![(Reason::ConnectionRefused, 30)]));
    // Cut bodies are aborted requests, which nginx's access log cannot show.
    assert_eq!(reasons("cut", UPSTREAMS[1]), Some(vec![]));
}

fn event(at: Millis, happened: Happened, upstream: &'static str) -> Parsed<'static> {
    let (pool, upstream, detail) = (&b"be"[..], upstream.as_bytes(), &b"Layer4 timeout"[..]);
    Parsed::Event(Event { at: Some(at), happened, node: b"edge", pool, upstream, detail })
}

#[test]
fn an_alert_says_what_became_of_its_server_and_a_restart_forgets_nothing() {
    let plan = Arc::new(Plan::new(&rules(), &["node".to_owned()]));
    let options = EngineOptions { step: STEP, series_cap: 100 };
    let mut engine = Engine::new(rules(), Arc::clone(&plan), options);
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut block = Block::default();
    for line in many(1, What::Error(Reason::ConnectionFailed), 30) {
        collector.count_parsed(&Source::default(), &line.parsed(), Place::Step);
    }
    collector.count_parsed(&Source::default(), &event(T + 1_000, Happened::Down, UPSTREAMS[2]), Place::Step);
    collector.take(&mut block);
    engine.absorb(&block, Millis::MIN);
    let changes = engine.advance(T + STEP);
    let fired = changes.iter().find(|c| c.kind == ChangeKind::Firing).unwrap();
    // The log tells when servers go, and this one has not.
    assert!(fired.alert.events.is_empty() && fired.alert.in_rotation.is_some());

    let down = event(T + 6_000, Happened::Down, UPSTREAMS[1]);
    collector.count_parsed(&Source::default(), &down, Place::Step);
    collector.take(&mut block);
    engine.absorb(&block, Millis::MIN);
    let alert = engine.alert(&fired.alert.fingerprint).unwrap();
    assert_eq!(alert.events[0].stands(), Stands::Out(T + 6_000));
    assert_eq!((alert.events[0].detail.as_str(), alert.in_rotation), ("Layer4 timeout", None));
    assert!(engine.incidents()[0].events.iter().any(|server| server.upstream == UPSTREAMS[1]));

    let bytes = postcard::to_allocvec(&engine.state()).unwrap();
    let state = postcard::from_bytes(&bytes).unwrap();
    let (again, _) = Engine::restore(state, rules(), plan, options).unwrap();
    assert_eq!(again.servers(), engine.servers());
    assert_eq!(again.alert(&fired.alert.fingerprint), Some(alert));
}
