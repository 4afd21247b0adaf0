//! Exits, providers and targets as marginals: each family of series counts everything once, totals never double, and how
//! lines were cut into blocks changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch_parsers::{Attempt, Attempts, Cause, Extra, Millis, Outcome, Reason, Record, Status};
use gatewatch_rules::alert::Change;
use gatewatch_rules::buckets::Buckets;
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::matcher::Matcher;
use gatewatch_rules::rule::{Rule, Severity};
use gatewatch_rules::series::{LabelSet, Plan, Source};
use gatewatch_rules::summary::Summary;
use gatewatch_rules::two_way::Finding;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const STEP: Millis = 5_000;
const T: Millis = 1_800_000_000_000;
const NEVER: Millis = Millis::MIN;

/// A scraper's request.
#[derive(Clone, Debug)]
struct Request {
    end: Millis,
    exit: usize,
    target: usize,
    /// 0: none.
    upstream: usize,
    status: u16,
}

const EXITS: [&str; 6] =
    ["", "203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8::1:0:0:7", "exit-of-a-very-long-name-17"];
const TARGETS: [&str; 4] = ["", "shop.example", "news.example", "travel.example"];
const UPSTREAMS: [&str; 3] = ["", "10.0.0.1:80", "10.0.0.2:80"];

fn provider(exit: usize) -> &'static str {
    ["", "acme"][exit % 2]
}

fn source() -> Source {
    let extra = vec!["exit_ip".to_owned(), "provider".to_owned()];
    Source { input: "scraper".into(), node: "n".into(), extra, ..Source::default() }
}

fn count(collector: &mut Collector, source: &Source, request: &Request) {
    let line = format!("{} {}", EXITS[request.exit], provider(request.exit));
    let (exit, provider) = line.split_once(' ').unwrap();
    let mut record = Record::new(request.end, Status::new(request.status));
    record.site = TARGETS[request.target].as_bytes();
    let none = &b""[..];
    let values = [exit.as_bytes(), provider.as_bytes(), none, none, none, none, none, none];
    record.extra = Extra::new(line.as_bytes(), &values);
    let cause = (request.status >= 500).then_some(Cause::proxy(Reason::ConnectionRefused));
    if let Some(cause) = cause {
        record.outcome = Outcome::GatewayError(cause);
    }
    if request.upstream > 0 {
        let upstream = UPSTREAMS[request.upstream].as_bytes();
        record.attempts =
            Attempts::One(Attempt { upstream, pool: b"", status: record.status, failure: cause });
    }
    collector.count(source, &record, Place::Step);
}

fn rule(name: &str, group_by: &[&str], matchers: &[&str]) -> Rule {
    let mut rule = Rule::new(name, "ratio", vec![(Severity::Warning, 0.3)]);
    rule.group_by = group_by.iter().map(|label| (*label).to_owned()).collect();
    rule.matchers = matchers.iter().map(|m| Matcher::parse(m).unwrap()).collect();
    (rule.min_requests, rule.min_errors) = (5, 3);
    rule
}

/// By exit and by target; by server, as the presets are.
fn rules() -> Vec<Rule> {
    vec![
        rule("exits", &["exit_ip", "provider"], &["exit_ip!="]),
        rule("targets", &["site"], &[]),
        rule("servers", &["upstream"], &["upstream!="]),
        rule("providers", &["provider"], &[]),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let statuses = prop_oneof![4 => Just(200u16), 2 => Just(502), 1 => Just(403), 1 => Just(429)];
    (0..60_000i64, 0..EXITS.len(), 0..TARGETS.len(), 0..UPSTREAMS.len(), statuses).prop_map(
        |(after, exit, target, upstream, status)| Request { end: T + after, exit, target, upstream, status },
    )
}

/// Blocks of so many requests each.
fn blocks(requests: &[Request], plan: &Arc<Plan>, length: usize) -> Vec<Block> {
    let source = source();
    let mut collector = Collector::new(Arc::clone(plan), STEP, true);
    let cut = |requests: &[Request]| {
        requests.iter().for_each(|request| count(&mut collector, &source, request));
        let mut block = Block::default();
        collector.take(&mut block);
        block
    };
    requests.chunks(length).map(cut).collect()
}

/// Requests and errors by the values of some labels, of one family.
type Sums = BTreeMap<Vec<String>, (u64, u64)>;

fn sums(buckets: &Buckets, family: &[u8], labels: &[&str]) -> Sums {
    let plan = buckets.plan();
    let text = |set: &LabelSet, label: &&str| {
        let value = plan.index(label).map_or(&b""[..], |at| set.get(at));
        String::from_utf8(value.to_vec()).unwrap()
    };
    let mut sums = Sums::new();
    for id in buckets.ids() {
        let set = buckets.labels(id).unwrap();
        if plan.index("__family__").map_or(&b""[..], |at| set.get(at)) != family {
            continue;
        }
        for (_, tally) in buckets.steps(id, T, T + 100_000) {
            let sum = sums.entry(labels.iter().map(|label| text(set, label)).collect()).or_default();
            *sum = (sum.0 + tally.requests(), sum.1 + tally.gateway_errors());
        }
    }
    sums
}

fn truth(requests: &[Request], labels: impl Fn(&Request) -> Vec<&'static str>) -> Sums {
    let mut sums = Sums::new();
    for request in requests {
        let key = labels(request).into_iter().map(str::to_owned).collect();
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + 1, sum.1 + u64::from(request.status >= 500));
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Marginals are right, all of them sum to the same, and no total doubles; blocks may come in any order.
    #[test]
    fn marginals_sum_to_totals(
        requests in proptest::collection::vec(request(), 1..300),
        length in 1usize..80,
        turn in any::<prop::sample::Index>(),
    ) {
        let rules = rules();
        let plan = Arc::new(Plan::for_report(&rules, &[]));
        prop_assert_eq!(plan.families(), 3);
        let mut blocks = blocks(&requests, &plan, length);
        let at = turn.index(blocks.len());
        blocks.rotate_left(at);
        let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 0, 1_000);
        let mut summary = Summary::new(Arc::clone(&plan), STEP);
        let mut engine =
            Engine::new(rules, Arc::clone(&plan), EngineOptions { step: STEP, series_cap: 1_000 });
        for block in &blocks {
            prop_assert_eq!(buckets.absorb(block, NEVER).late, 0);
            summary.absorb(block, NEVER);
            engine.absorb(block, NEVER);
        }
        let all = requests.len() as u64;

        let exits = sums(&buckets, b"1", &["exit_ip", "provider"]);
        prop_assert_eq!(&exits, &truth(&requests, |r| vec![EXITS[r.exit], provider(r.exit)]));
        let sites = sums(&buckets, b"2", &["site"]);
        prop_assert_eq!(&sites, &truth(&requests, |r| vec![TARGETS[r.target]]));
        let servers = sums(&buckets, b"", &["upstream"]);
        prop_assert_eq!(&servers, &truth(&requests, |r| vec![UPSTREAMS[r.upstream]]));
        for family in [&exits, &sites, &servers] {
            prop_assert_eq!(family.values().map(|sum| sum.0).sum::<u64>(), all);
        }
        // No product: servers, sites of requests without one, exits, sites.
        let most = UPSTREAMS.len() - 1 + TARGETS.len() + EXITS.len() + TARGETS.len();
        prop_assert!(buckets.ids().count() <= most, "{}", buckets.ids().count());

        prop_assert_eq!(engine.totals().counted.requests, all);
        let counted: u64 = buckets.totals().map(|(_, total)| total.counted().requests).sum();
        prop_assert_eq!(counted + buckets.left().counted().requests, all);
        let report = summary.into_report(&[]);
        prop_assert_eq!(report.counted.requests, all);
        prop_assert_eq!(report.groups.iter().map(|group| group.counted.requests).sum::<u64>(), all);
        prop_assert_eq!(report.timeline.requests.iter().sum::<u64>(), all);

        // Exits and targets, of requests that name both: the provider stands for an exit that is not named.
        let named: Vec<_> = requests.iter().filter(|r| r.target > 0 && r.exit > 0).cloned().collect();
        let view = report.two_way.unwrap_or_default();
        let of_exits: Sums = view
            .exits
            .iter()
            .map(|e| (vec![e.exit.clone(), e.provider.clone()], (e.tried.requests, e.tried.gateway_errors)))
            .collect();
        prop_assert_eq!(of_exits, truth(&named, |r| vec![EXITS[r.exit], provider(r.exit)]));
        let of_targets: Sums = view
            .targets
            .iter()
            .map(|t| (vec![t.target.clone()], (t.tried.requests, t.tried.gateway_errors)))
            .collect();
        prop_assert_eq!(of_targets, truth(&named, |r| vec![TARGETS[r.target]]));
    }

    /// Other cuts, other questions: the same changes, findings and all; saved and read back, too.
    #[test]
    fn how_it_was_cut_changes_nothing(
        mut requests in proptest::collection::vec(request(), 1..400),
        lengths in (1usize..50, 50usize..400),
        cut_at in any::<prop::sample::Index>(),
    ) {
        requests.sort_by_key(|request| request.end);
        let rules = rules();
        let plan = Arc::new(Plan::new(&rules, &[]));
        let options = EngineOptions { step: STEP, series_cap: 1_000 };
        let run = |length: usize, ask: bool, cut: Option<usize>| -> Vec<Change> {
            let mut engine = Engine::new(rules.clone(), Arc::clone(&plan), options);
            let mut changes = Vec::new();
            for (i, block) in blocks(&requests, &plan, length).iter().enumerate() {
                engine.absorb(block, NEVER);
                if ask {
                    changes.append(&mut engine.advance(block.ends().unwrap().1 - STEP));
                }
                if cut == Some(i) {
                    let bytes = postcard::to_allocvec(&engine.state()).unwrap();
                    let state = postcard::from_bytes(&bytes).unwrap();
                    let (restored, over) =
                        Engine::restore(state, rules.clone(), Arc::clone(&plan), options).unwrap();
                    assert!(over.is_empty());
                    assert_eq!(postcard::to_allocvec(&restored.state()).unwrap(), bytes);
                    engine = restored;
                }
            }
            changes.append(&mut engine.finish());
            changes
        };
        let whole = run(lengths.1, false, None);
        let at = cut_at.index(requests.len().div_ceil(lengths.0));
        prop_assert_eq!(&run(lengths.0, true, None), &whole);
        prop_assert_eq!(&run(lengths.0, true, Some(at)), &whole);
    }
}

/// One bad exit of sixty-four, one target that blocks: two rules find them, and each alert says whose fault it is.
#[test]
fn an_alert_says_whose_fault_it_is() {
    let rules = vec![rule("exits", &["exit_ip"], &["exit_ip!="]), rule("targets", &["site"], &["site!="])];
    let plan = Arc::new(Plan::new(&rules, &[]));
    let source = Source { extra: vec!["exit_ip".to_owned()], ..Source::default() };
    let options = EngineOptions { step: STEP, series_cap: 2_000 };
    let mut engine = Engine::new(rules, Arc::clone(&plan), options);
    let mut collector = Collector::new(plan, STEP, false);
    let mut changes = Vec::new();
    for second in 0..60i64 {
        for exit in 0..64 {
            let target = (exit + second) % 40;
            let line = format!("203.0.113.{exit} target{target}.example");
            let (ip, site) = line.split_once(' ').unwrap();
            let blocked = target == 5 && exit > 2;
            let mut record = Record::new(T + second * 1_000, Status::new(if blocked { 403 } else { 200 }));
            let none = &b""[..];
            record.extra =
                Extra::new(line.as_bytes(), &[ip.as_bytes(), none, none, none, none, none, none, none]);
            record.site = site.as_bytes();
            if exit == 7 || (blocked && exit % 2 == 0) {
                record.status = Status::new(502);
                record.outcome = Outcome::GatewayError(Cause::proxy(Reason::ConnectionTimeout));
            }
            collector.count(&source, &record, Place::Step);
        }
        let mut block = Block::default();
        collector.take(&mut block);
        engine.absorb(&block, NEVER);
        changes.append(&mut engine.advance(T + second * 1_000 - STEP));
    }
    changes.append(&mut engine.finish());
    let fired = |rule: &str| {
        let mut of: Vec<_> = changes.iter().filter(|change| change.alert.rule == rule).collect();
        of.dedup_by_key(|change| change.alert.fingerprint.clone());
        of
    };
    let exits = fired("exits");
    assert_eq!(exits.len(), 1);
    assert_eq!(exits[0].alert.labels, [("exit_ip".to_owned(), "203.0.113.7".to_owned())]);
    let [Finding::Exit { exit, bad, of, is_bad: true, .. }] = &exits[0].alert.findings[..] else {
        panic!("{:?}", exits[0].alert.findings)
    };
    assert_eq!((exit.as_str(), bad), ("203.0.113.7", of));
    let targets = fired("targets");
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].alert.labels, [("site".to_owned(), "target5.example".to_owned())]);
    let [Finding::Target { target, is_bad: true, refused: Some(_), .. }] = &targets[0].alert.findings[..]
    else {
        panic!("{:?}", targets[0].alert.findings)
    };
    assert_eq!(target, "target5.example");
}

/// A record of a known pair allocates nothing (see `allocations.rs`), and a flood of pairs fills no memory.
#[test]
fn a_flood_of_exits_and_targets_is_capped() {
    let rules = rules();
    let plan = Arc::new(Plan::new(&rules, &[]));
    let options = EngineOptions { step: STEP, series_cap: 200 };
    let mut engine = Engine::new(rules, Arc::clone(&plan), options);
    let mut summary = Summary::new(Arc::clone(&plan), STEP);
    let mut collector = Collector::new(plan, STEP, false);
    let source = source();
    for i in 0..30_000u64 {
        let line = format!("exit{i} {} t{i}.example", provider(1));
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut record = Record::new(T + i64::try_from(i).unwrap(), Status::new(502));
        record.outcome = Outcome::GatewayError(Cause::proxy(Reason::DnsError));
        let none = &b""[..];
        record.extra = Extra::new(line.as_bytes(), &[parts[0], parts[1], none, none, none, none, none, none]);
        record.site = parts[2];
        collector.count(&source, &record, Place::Step);
        if i % 1_500 == 1_499 {
            let mut block = Block::default();
            collector.take(&mut block);
            summary.absorb(&block, NEVER);
            engine.absorb(&block, NEVER);
            engine.advance(record.end - STEP);
        }
    }
    assert!(engine.buckets().ids().count() <= 200);
    assert!(engine.buckets().series_overflow() > 0);
    assert_eq!(engine.totals().counted.requests, 30_000);
    let saved = postcard::to_allocvec(&engine.state()).unwrap().len();
    assert!(saved < 4 << 20, "{saved}");
    let view = summary.into_report(&[]).two_way.unwrap();
    assert!(view.pairs <= 20_000);
    let listed: u64 = view.exits.iter().map(|exit| exit.tried.requests).sum();
    assert_eq!(listed + view.left, 30_000);
    assert!(view.error >= 1 && view.error < 10, "{}", view.error);
}
