//! Records → blocks → buckets and summary, against plain sums.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use gatewatch_parsers::{
    Attempt, Attempts, Cause, Millis, Outcome, Reason, Record, Status, upstreams::Retries,
};
use gatewatch_rules::buckets::Buckets;
use gatewatch_rules::clock::{Admit, FileClock, Held};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::regions::By;
use gatewatch_rules::report::{Counted, Report};
use gatewatch_rules::series::{OTHER, Plan, Regions, Source, Table};
use gatewatch_rules::summary::Summary;
use gatewatch_rules::tally::Tally;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const STEP: Millis = 5_000;
/// A whole hour.
const T: Millis = 1_800_000_000_000;
const NEVER: Millis = Millis::MIN;

fn plan(names: &[&str]) -> Arc<Plan> {
    Arc::new(Plan::new(&[], &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()))
}

#[derive(Clone, Debug)]
struct Line {
    end: Millis,
    /// One of `UPSTREAMS`.
    upstream: usize,
    site: String,
    status: u16,
    /// Failed attempts before the last one.
    before: u16,
    time: Option<u32>,
    place: Place,
}

const UPSTREAMS: [&str; 4] = ["", "10.0.0.1:80", "10.0.0.2:80", "be/srv1"];

impl Line {
    fn new(end: Millis, upstream: usize, status: u16) -> Line {
        Line { end, upstream, site: String::new(), status, before: 0, time: None, place: Place::Step }
    }

    fn record(&self) -> Record<'_> {
        let status = Status::new(self.status);
        let mut record = Record::new(self.end, status);
        record.site = self.site.as_bytes();
        record.pool = b"be";
        record.request_time = self.time;
        let failure = self.is_error().then_some(Cause::proxy(Reason::ConnectionRefused));
        record.outcome = match (failure, self.status) {
            (Some(cause), _) => Outcome::GatewayError(cause),
            (_, 499) => Outcome::Abandoned,
            (_, 206) => Outcome::Aborted,
            _ => Outcome::Fine,
        };
        let last = Attempt { upstream: UPSTREAMS[self.upstream].as_bytes(), pool: b"", status, failure };
        record.attempts = match (self.upstream, self.before) {
            (0, _) => Attempts::None,
            (_, 0) => Attempts::One(last),
            (_, before) => {
                let cause = Cause::proxy(Reason::ConnectionFailed);
                Attempts::Retries(Retries { last, before, redispatched: self.status == 404, cause })
            }
        };
        record
    }

    fn is_error(&self) -> bool {
        matches!(self.status, 502 | 504)
    }

    fn failed(&self) -> u16 {
        if self.upstream == 0 { 0 } else { self.before + u16::from(self.is_error()) }
    }

    /// What it adds, counted plainly.
    fn counted(&self) -> Counted {
        let attempts = if self.upstream == 0 { 0 } else { u64::from(self.before) + 1 };
        let fine = !self.is_error() && self.status != 499 && self.status != 206;
        Counted {
            requests: 1,
            gateway_errors: self.is_error().into(),
            attempts,
            failed_attempts: self.failed().into(),
            masked: u64::from(fine && self.failed() > 0),
            aborted: u64::from(self.status == 206),
            abandoned: u64::from(self.status == 499),
        }
    }
}

fn sum<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Counted {
    let mut sum = Counted::default();
    lines.into_iter().for_each(|line| sum.add(&line.counted()));
    sum
}

fn block_of(plan: &Arc<Plan>, lines: &[Line]) -> Block {
    let mut collector = Collector::new(Arc::clone(plan), STEP, false);
    let mut block = Block::default();
    lines.iter().for_each(|line| collector.count(&Source::default(), &line.record(), line.place));
    collector.take(&mut block);
    block
}

/// Everything that the first tier holds: (labels, step) → tally.
fn held(buckets: &Buckets) -> BTreeMap<(String, Millis), Tally> {
    let cells = buckets.ids().flat_map(|id| {
        let labels = format!("{:?}", buckets.labels(id).unwrap());
        buckets
            .steps(id, Millis::MIN, Millis::MAX)
            .map(move |(start, tally)| ((labels.clone(), start), tally.clone()))
    });
    cells.collect()
}

fn line() -> impl Strategy<Value = Line> {
    let status = prop_oneof![4 => Just(200u16), 1 => Just(502), 1 => Just(504), 1 => Just(499), 1 => Just(206),
        1 => Just(404), 1 => Just(1000)];
    let place = prop_oneof![8 => Just(Place::Step), 1 => Just(Place::Late), 1 => Just(Place::Future)];
    let time = prop_oneof![Just(None), (0..100_000u32).prop_map(Some)];
    let before = prop_oneof![4 => Just(0), 1 => 1..4u16];
    (0..200_000i64, 0..UPSTREAMS.len(), 0..5u8, status, before, time, place).prop_map(
        |(end, upstream, site, status, before, time, place)| {
            let site = format!("site{site}");
            Line { end: T + end, upstream, site, status, before, time, place }
        },
    )
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    proptest::collection::vec(line(), 1..150)
}

proptest! {
    #[test]
    fn blocks_add_up_however_lines_are_cut(lines in lines(), cut in 1usize..40, until in 0..40i64) {
        let plan = plan(&["pool", "upstream", "site"]);
        let mut whole = Buckets::new(Arc::clone(&plan), STEP, 5, 1_000);
        whole.absorb(&block_of(&plan, &lines), NEVER);
        let mut cut_up = Buckets::new(Arc::clone(&plan), STEP, 5, 1_000);
        let mut collector = Collector::new(Arc::clone(&plan), STEP, true);
        let mut block = Block::default();
        for lines in lines.chunks(cut) {
            lines.iter().for_each(|line| collector.count(&Source::default(), &line.record(), line.place));
            collector.take(&mut block);
            cut_up.absorb(&block, NEVER);
        }
        prop_assert_eq!(held(&whole), held(&cut_up));

        let on_time = lines.iter().filter(|line| line.place == Place::Step);
        let mut total = Tally::default();
        held(&whole).values().for_each(|tally| total.add(tally));
        let expected = sum(on_time);
        prop_assert_eq!(total.requests(), expected.requests);
        prop_assert_eq!(total.gateway_errors(), expected.gateway_errors);
        prop_assert_eq!(total.attempts(), expected.attempts);
        prop_assert_eq!(total.failed_attempts(), expected.failed_attempts);
        prop_assert_eq!(total.masked(), expected.masked);
        prop_assert_eq!(total.reasons().map(|r| r.1).sum::<u64>(), expected.gateway_errors);
        prop_assert_eq!(total.origins().map(|o| o.1).sum::<u64>(), expected.gateway_errors);
        prop_assert_eq!(total.failed_reasons().map(|r| r.1).sum::<u64>(), expected.failed_attempts);

        // Closing at once or step by step is the same.
        for step in 0..=until {
            cut_up.close(T + step * STEP);
        }
        whole.close(T + until * STEP);
        prop_assert_eq!(held(&whole), held(&cut_up));
        for id in whole.ids() {
            let minutes = |b: &Buckets| b.minutes(id, Millis::MIN, Millis::MAX).map(|(at, t)| (at, t.clone())).collect::<Vec<_>>();
            prop_assert_eq!(minutes(&whole), minutes(&cut_up));
        }
        prop_assert_eq!(whole.next_open_step(), cut_up.next_open_step());
    }

    #[test]
    fn a_report_adds_up(
        lines in lines(),
        late_before in prop_oneof![Just(NEVER), (0..200_000i64).prop_map(|by| T + by)],
        cut in 1usize..40,
        cap in prop_oneof![Just(4usize), Just(8), Just(50_000)],
        by in prop_oneof![Just(vec![]), Just(vec!["upstream"]), Just(vec!["site"]), Just(vec!["pool", "site"]), Just(vec!["nobody"])],
    ) {
        let plan = Arc::new(Plan::for_report(&[], &["site".to_owned()]));
        let mut summary = Summary::with_cap(Arc::clone(&plan), STEP, cap);
        let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 0, 1_000);
        let mut collectors = [true, true].map(|latency| Collector::new(Arc::clone(&plan), STEP, latency));
        let mut block = Block::default();
        let mut late = 0;
        for (i, lines) in lines.chunks(cut).enumerate() {
            let collector = &mut collectors[i % 2];
            lines.iter().for_each(|line| collector.count(&Source::default(), &line.record(), line.place));
            collector.take(&mut block);
            summary.absorb(&block, late_before);
            late += buckets.absorb(&block, late_before).late;
        }
        collectors.iter_mut().for_each(|collector| summary.merge_latencies(collector.latencies()));
        let by: Vec<String> = by.into_iter().map(str::to_owned).collect();
        let report = summary.into_report(&by);

        prop_assert_eq!(report.late, late);
        prop_assert_eq!(report.counted, sum(&lines));
        prop_assert_eq!(report.future, lines.iter().filter(|line| line.place == Place::Future).count() as u64);
        check_sums(&report);
        if cap > 1_000 {
            prop_assert_eq!(report.series_overflow, 0);
            let times = lines.iter().filter(|line| line.time.is_some()).count();
            prop_assert_eq!(report.groups.iter().any(|group| group.percentiles.is_some()), times > 0);
        }
    }
}

fn check_sums(report: &Report) {
    let requests = report.counted.requests;
    assert_eq!(requests, report.status.iter().map(|s| s.1).sum::<u64>());
    assert_eq!(requests, report.timeline.requests.iter().sum::<u64>() + report.late + report.future);
    let mut groups = Counted::default();
    report.groups.iter().for_each(|group| groups.add(&group.counted));
    assert_eq!(groups, report.counted);
    assert_eq!(report.counted.gateway_errors, report.origin.iter().map(|o| o.1).sum::<u64>());
    assert_eq!(report.counted.gateway_errors, report.reasons.iter().map(|r| r.1).sum::<u64>());
    assert_eq!(report.origin.len(), 4);
    for group in &report.groups {
        assert_eq!(group.counted.gateway_errors, group.reasons.iter().map(|r| r.1).sum::<u64>());
    }
    let sorted = report.groups.is_sorted_by_key(|group| std::cmp::Reverse(group.counted.gateway_errors));
    assert!(sorted);
}

#[test]
fn one_line_stamped_2099_changes_no_bucket() {
    let plan = plan(&["upstream"]);
    let count = |lines: &[Line]| {
        let mut clock = FileClock::new(2_000, STEP);
        let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
        let mut hold: Option<&Line> = None;
        let mut put = |line: &Line, place| collector.count(&Source::default(), &line.record(), place);
        let place = |held| if held == Held::Count { Place::Step } else { Place::Future };
        for line in lines {
            let verdict = clock.admit(line.end);
            if let Some((held, line)) = verdict.held.zip(hold.take()) {
                put(line, place(held));
            }
            match verdict.this {
                Admit::Count => put(line, Place::Step),
                Admit::Late => put(line, Place::Late),
                Admit::Hold => hold = Some(line),
            }
        }
        if let Some((held, line)) = clock.finish().zip(hold) {
            put(line, place(held));
        }
        let mut block = Block::default();
        collector.take(&mut block);
        let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 5, 100);
        buckets.absorb(&block, NEVER);
        (held(&buckets), block.requests(), block.future())
    };
    let lines: Vec<Line> = (0..50)
        .map(|i| Line::new(T + i * 700, 1 + i as usize % 3, 200 + 302 * u16::from(i % 5 == 0)))
        .collect();
    let (without, requests, _) = count(&lines);
    for at in [0, 1, 25, 50] {
        let mut lines = lines.clone();
        lines.insert(at, Line::new(4_070_908_800_000, 2, 502));
        assert_eq!(count(&lines), (without.clone(), requests + 1, 1), "before line {at}");
    }
}

#[test]
fn a_flood_of_sites_hides_no_upstream() {
    let records = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let plan = plan(&["pool", "upstream", "site"]);
    let cap = 500;
    let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 10, cap);
    let mut summary = Summary::with_cap(Arc::clone(&plan), STEP, cap);
    let mut collector = Collector::new(Arc::clone(&plan), STEP, true);
    let mut block = Block::default();
    // (step, upstream) → requests, errors
    let mut expected: BTreeMap<(Millis, usize), (u64, u64)> = BTreeMap::new();
    let mut found = expected.clone();
    let mut random = 1u64;
    for i in 0..records {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut line = Line::new(T + i * 400_000 / records, 1 + (random >> 33) as usize % 3, 200);
        line.site = format!("{random:016x}.example");
        line.time = Some(5);
        // One upstream fails half of its requests from the second minute on.
        if line.upstream == 2 && line.end > T + 60_000 && random >> 40 & 1 == 0 {
            line.status = 502;
        }
        let sums = expected.entry((line.end / STEP * STEP, line.upstream)).or_default();
        *sums = (sums.0 + 1, sums.1 + u64::from(line.is_error()));
        collector.count(&Source::default(), &line.record(), Place::Step);
        if i % 1_000 == 999 {
            collector.take(&mut block);
            assert_eq!(buckets.absorb(&block, NEVER).late, 0);
            summary.absorb(&block, NEVER);
            let until = (line.end - 2_000) / STEP * STEP;
            let before = buckets.closed_until().unwrap_or(T);
            buckets.close(until);
            collect(&buckets, before, until, &mut found);
            assert!(buckets.len() <= cap, "{} series", buckets.len());
        }
    }
    let before = buckets.closed_until().unwrap_or(T);
    buckets.close(T + 500_000);
    collect(&buckets, before, T + 500_000, &mut found);
    assert_eq!(found, expected);
    assert!(buckets.series_overflow() > records as u64 / 2);

    summary.merge_latencies(collector.latencies());
    let report = summary.into_report(&["upstream".to_owned()]);
    check_sums(&report);
    assert!(report.series_overflow > records as u64 / 2);
    for group in &report.groups {
        let upstream = UPSTREAMS.iter().position(|name| *name == group.labels[0].1).unwrap();
        let of = |pick: fn(&(u64, u64)) -> u64| {
            expected.iter().filter(|e| e.0.1 == upstream).map(|e| pick(e.1)).sum::<u64>()
        };
        assert_eq!((group.counted.requests, group.counted.gateway_errors), (of(|e| e.0), of(|e| e.1)));
        assert_eq!(group.percentiles, Some([5, 5, 5]));
    }
}

/// Sums the closed steps by upstream.
fn collect(buckets: &Buckets, from: Millis, to: Millis, sums: &mut BTreeMap<(Millis, usize), (u64, u64)>) {
    for id in buckets.ids() {
        let upstream = buckets.labels(id).unwrap().get(1);
        let upstream = UPSTREAMS.iter().position(|name| name.as_bytes() == upstream).unwrap();
        for (start, tally) in buckets.steps(id, from, to) {
            let sum = sums.entry((start, upstream)).or_default();
            *sum = (sum.0 + tally.requests(), sum.1 + tally.gateway_errors());
        }
    }
}

#[test]
fn idle_series_leave_at_the_cap_and_pinned_ones_stay() {
    let plan = plan(&["site"]);
    let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 2, 8);
    let with_site = |site: &str, end| {
        let line = Line { site: site.to_owned(), ..Line::new(end, 0, 200) };
        block_of(&plan, &[line])
    };
    let names = |buckets: &Buckets| -> Vec<String> {
        let mut names: Vec<_> = buckets
            .ids()
            .map(|id| String::from_utf8(buckets.labels(id).unwrap().get(0).to_vec()).unwrap())
            .collect();
        names.sort();
        names
    };
    for i in 0..6 {
        buckets.absorb(&with_site(&format!("s{i}"), T), NEVER);
    }
    let generation = buckets.generation();
    let pinned = buckets.ids().find(|id| buckets.labels(*id).unwrap().get(0) == b"s3").unwrap();
    buckets.pin(pinned, true);
    buckets.absorb(&with_site("s0", T + STEP), NEVER);
    assert_eq!(buckets.generation(), generation);

    // All have something in a held step: the new one is folded.
    buckets.absorb(&with_site("new", T + 2 * STEP), NEVER);
    assert_eq!(names(&buckets), [OTHER, "s0", "s1", "s2", "s3", "s4", "s5"]);
    assert_eq!(buckets.series_overflow(), 1);

    // Held steps and minutes are over for all; what comes then makes them leave, but the pinned one.
    buckets.absorb(&with_site("s0", T + 400_000), NEVER);
    buckets.close(T + 395_000);
    buckets.absorb(&with_site("newer", T + 400_000), NEVER);
    assert_eq!(names(&buckets), ["newer", "s0", "s3"]);
    assert_ne!(buckets.generation(), generation);
    buckets.pin(pinned, false);
    for i in 0..6 {
        buckets.absorb(&with_site(&format!("t{i}"), T + 400_000), NEVER);
    }
    buckets.close(T + 400_000);
    buckets.absorb(&with_site("last", T + 410_000), NEVER);
    assert!(!names(&buckets).contains(&"s3".to_owned()));
}

#[test]
fn a_closed_step_never_changes() {
    let plan = plan(&["upstream"]);
    let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 5, 100);
    let at = |by: Millis| block_of(&plan, &[Line::new(T + by, 1, 502)]);
    assert_eq!(buckets.next_open_step(), None);
    buckets.absorb(&at(1), NEVER);
    buckets.absorb(&at(12_000), NEVER);
    assert_eq!(buckets.next_open_step(), Some(T));
    buckets.close(T + STEP + 1);
    assert_eq!(buckets.closed_until(), Some(T + STEP));
    assert_eq!(buckets.next_open_step(), Some(T + 2 * STEP));
    let before = held(&buckets);
    assert_eq!(buckets.absorb(&at(4_999), NEVER).late, 1);
    assert_eq!(buckets.absorb(&at(5_000), T + 2 * STEP).late, 1, "its file had passed it");
    assert_eq!(held(&buckets), before);
    assert_eq!(buckets.absorb(&at(5_000), T + 2 * STEP - 1).late, 0);
    buckets.close(T - 99_999);
    assert_eq!(buckets.closed_until(), Some(T + STEP), "time does not go back");
    let mut late = Line::new(T + 99_999, 1, 200);
    late.place = Place::Late;
    assert_eq!(buckets.absorb(&block_of(&plan, &[late]), NEVER).late, 1);
}

#[test]
fn steps_roll_into_minutes_and_leave() {
    let plan = plan(&["upstream"]);
    let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 10, 100);
    // Every second for 20 minutes, an error each 10 s.
    for second in 0..1_200 {
        let status = if second % 10 == 0 { 502 } else { 200 };
        buckets.absorb(&block_of(&plan, &[Line::new(T + second * 1_000, 1, status)]), NEVER);
        buckets.close(T + second * 1_000);
    }
    let closed = buckets.closed_until().unwrap();
    assert_eq!(closed, T + 1_195_000);
    let id = buckets.ids().next().unwrap();
    let steps: Vec<_> = buckets.steps(id, NEVER, closed).map(|(at, tally)| (at, tally.requests())).collect();
    assert_eq!(steps.len(), 60);
    assert!(steps.iter().all(|(_, requests)| *requests == 5) && steps.is_sorted());
    assert_eq!(steps[59].0, T + 1_190_000);
    let minutes: Vec<_> = buckets.minutes(id, NEVER, Millis::MAX).collect();
    assert_eq!(
        minutes.iter().map(|(at, _)| (at - T) / 60_000).collect::<Vec<_>>(),
        (9..19).collect::<Vec<_>>()
    );
    for (_, tally) in minutes {
        assert_eq!((tally.requests(), tally.gateway_errors()), (60, 6));
        assert_eq!(tally.status(Status::new(502)), 6);
        assert_eq!(tally.reasons().count(), 0, "reasons are of the first tier");
    }
    assert_eq!(buckets.minutes(id, T + 600_000, T + 720_000).count(), 2);
    assert_eq!(buckets.steps(id, T + 1_000_001, T + 1_010_000).count(), 1);
    assert_eq!(buckets.steps(id, T + 1_010_000, T + 1_000_000).count(), 0);

    // A jump over everything held.
    buckets.close(T + 99_000_000);
    assert!(held(&buckets).is_empty() && buckets.minutes(id, NEVER, Millis::MAX).next().is_none());
}

#[test]
fn a_minute_is_whole_steps() {
    for (step, minute) in
        [(1_000, 60_000), (5_000, 60_000), (7_000, 63_000), (60_000, 60_000), (90_000, 90_000)]
    {
        let buckets = Buckets::new(plan(&[]), step, 10, 100);
        assert_eq!(buckets.minute(), minute);
    }
}

#[test]
fn labels_come_from_line_path_and_source() {
    let plan = plan(&["input", "node", "region", "pool", "upstream", "site", "tenant"]);
    let source = Source {
        input: "edge".into(),
        node: "host".into(),
        region: "eu".into(),
        site: "shop".into(),
        path_labels: vec![("tenant".into(), "t1".into())],
        ..Source::default()
    };
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut line = Line::new(T, 3, 200);
    line.site = "x".repeat(200);
    collector.count(&source, &line.record(), Place::Step);
    let plain = Record::new(T, Status::NONE);
    collector.count(&source, &plain, Place::Step);
    let mut block = Block::default();
    collector.take(&mut block);
    let mut buckets = Buckets::new(plan, STEP, 0, 100);
    buckets.absorb(&block, NEVER);
    let mut sets: Vec<String> =
        buckets.ids().map(|id| format!("{:?}", buckets.labels(id).unwrap())).collect();
    sets.sort();
    let long = "x".repeat(128);
    assert_eq!(
        sets,
        [
            r#"["edge", "host", "eu", "", "", "shop", "t1"]"#.to_owned(),
            format!(r#"["edge", "host", "eu", "be", "be/srv1", "{long}", "t1"]"#),
        ]
    );
}

/// Answers are remembered by value, and forgotten with the tables that gave them.
#[test]
fn pools_and_regions_come_from_tables() {
    let plan = plan(&["region", "pool", "upstream"]);
    let pools = |pool: &str| Arc::new(Table::new([("10.0.0.1:80", pool), ("10.0.0.0/24", "rest")]));
    let regions = |by: &str| {
        let table = Table::new([("10.0.0.2", "r2"), ("10.0.0.0/8", "r10"), ("edge*", "eu")]);
        Arc::new(Regions::new(table).by(By::of(by)))
    };
    let mut source = Source { node: "edge1".into(), region: "r0".into(), ..Source::default() };
    let mut collector = Collector::new(Arc::clone(&plan), STEP, false);
    let mut count = |source: &Source| {
        for attempts in [
            Attempts::None,
            one(b"10.0.0.1:80", b""),
            one(b"10.0.0.2:80", b""),
            one(b"10.0.0.1:80", b"own"),
            one(b"192.0.2.1:80", b""),
        ] {
            let mut record = Record::new(T, Status::new(200));
            record.attempts = attempts;
            collector.count(source, &record, Place::Step);
        }
        let mut block = Block::default();
        collector.take(&mut block);
        let mut buckets = Buckets::new(Arc::clone(&plan), STEP, 0, 100);
        buckets.absorb(&block, NEVER);
        let mut sets: Vec<_> = buckets.ids().map(|id| format!("{:?}", buckets.labels(id).unwrap())).collect();
        sets.sort();
        sets.concat()
    };
    assert_eq!(
        count(&source),
        r#"["r0", "", ""]["r0", "", "10.0.0.1:80"]["r0", "", "10.0.0.2:80"]["r0", "", "192.0.2.1:80"]["r0", "own", "10.0.0.1:80"]"#
    );
    (source.pools, source.regions) = (pools("api"), regions("node"));
    let by_node = r#"["eu", "", ""]["eu", "", "192.0.2.1:80"]["eu", "api", "10.0.0.1:80"]["eu", "own", "10.0.0.1:80"]["eu", "rest", "10.0.0.2:80"]"#;
    assert_eq!(count(&source), by_node);
    (source.pools, source.regions) = (pools("web"), regions("upstream"));
    assert_eq!(
        count(&source),
        r#"["r0", "", ""]["r0", "", "192.0.2.1:80"]["r10", "own", "10.0.0.1:80"]["r10", "web", "10.0.0.1:80"]["r2", "rest", "10.0.0.2:80"]"#
    );
    (source.pools, source.regions) = (pools("api"), regions("node"));
    assert_eq!(count(&source), by_node);
}

fn one<'a>(upstream: &'a [u8], pool: &'a [u8]) -> Attempts<'a> {
    Attempts::One(Attempt { upstream, pool, status: Status::new(200), failure: None })
}

#[test]
fn groups_are_by_the_finest_label_that_there_is() {
    let count = |lines: &[Line], source: &Source| {
        let plan = Arc::new(Plan::for_report(&[], &[]));
        let mut collector = Collector::new(Arc::clone(&plan), STEP, true);
        lines.iter().for_each(|line| collector.count(source, &line.record(), line.place));
        let mut block = Block::default();
        collector.take(&mut block);
        let mut summary = Summary::new(plan, STEP);
        summary.absorb(&block, NEVER);
        summary.merge_latencies(collector.latencies());
        summary.into_report(&[])
    };
    let source = Source { node: "n".into(), ..Source::default() };
    let mut bare = Line::new(T, 0, 200);
    let report = count(&[bare.clone()], &source);
    assert_eq!((report.by, report.by_label[0].1.len()), (vec!["node".to_owned()], 1));
    bare.site = "shop".into();
    assert_eq!(count(&[bare.clone()], &source).by, ["site"]);
    let report = count(&[bare, Line::new(T, 1, 502), Line::new(T, 2, 200)], &source);
    assert_eq!(report.by, ["upstream"]);
    let labels: Vec<_> = report.groups.iter().map(|group| group.labels.clone()).collect();
    let of = |name: &str| vec![("upstream".to_owned(), name.to_owned())];
    assert_eq!(labels, [of("10.0.0.1:80"), vec![], of("10.0.0.2:80")]);
    assert_eq!(report.by_label[2].1.len(), 2, "only groups that have the label");
    assert_eq!(report.status, [("200".to_owned(), 2), ("502".to_owned(), 1)]);
    let nothing = count(&[], &source);
    assert_eq!((nothing.groups.len(), nothing.by), (0, vec!["node".to_owned()]));
}
