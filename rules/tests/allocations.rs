//! A record of a known series costs no allocation, whatever it was.

use gatewatch_parsers::upstreams::Lists;
use gatewatch_parsers::{Attempt, Attempts, Cause, Extra, Outcome, Reason, Record, Status};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::rule::Rule;
use gatewatch_rules::series::{Plan, Regions, Source, Table};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERVERS: [&[u8]; 4] = [b"10.0.0.1:80", b"10.0.0.2:80", b"be_img/srv3", b""];

/// Every kind of record, `n` of them, over some steps.
fn count(collector: &mut Collector, source: &Source, n: usize) {
    for i in 0..n {
        let failure = (i % 3 == 0).then_some(Cause::proxy(Reason::ConnectionRefused));
        let status = Status::new(if failure.is_some() { 502 } else { 200 });
        let mut record = Record::new((i as i64 * 37) % 20_000, status);
        record.request_time = Some((i as u32 * 131) % 60_000);
        record.pool = [b"be_img" as &[u8], b""][i % 2];
        record.node = [b"edge-1" as &[u8], b"edge-2", b"10.7.7.7"][i % 3];
        record.site = b"www.example.com";
        let exit: &[u8] = [b"203.0.113.7", b"203.0.113.8"][i % 2];
        let none = &b""[..];
        record.extra = Extra::new(exit, &[exit, none, none, none, none, none, none, none]);
        record.outcome = match (failure, i % 5) {
            (Some(cause), _) => Outcome::GatewayError(cause),
            (None, 3) => Outcome::Aborted,
            (None, 4) => Outcome::Abandoned,
            _ => Outcome::Fine,
        };
        record.attempts = match i % 7 {
            0 => Attempts::None,
            1 | 2 => Attempts::Lists(Lists {
                of_session: false,
                addr: b"10.0.0.1:80, 10.0.0.2:80",
                status: b"502, 200",
                connect_time: Some(b"-, 0.001"),
                header_time: Some(b"-, 0.002"),
                response_time: Some(b"0.000, 0.002"),
                response_length: None,
                request_status: status,
            }),
            _ => Attempts::One(Attempt { upstream: SERVERS[i % 4], pool: b"", status, failure }),
        };
        let place = match i % 100 {
            98 => Place::Late,
            99 => Place::Future,
            _ => Place::Step,
        };
        collector.count(source, &record, place);
    }
}

#[test]
fn a_record_of_a_known_series_costs_no_allocation() {
    let names = ["input", "node", "region", "pool", "upstream", "site"].map(str::to_owned);
    let plan = Arc::new(Plan::new(&[], &names));
    let mut exits = Rule::new("exits", "ratio", Vec::new());
    exits.group_by = vec!["exit_ip".to_owned()];
    let with_exits = Arc::new(Plan::new(&[exits], &names));
    let regions = Arc::new(Regions::new(Table::new([("edge-*", "eu"), ("10.0.0.0/8", "ten")])));
    let pools = Arc::new(Table::new([("10.0.0.1:80", "api"), ("10.0.0.0/8", "rest")]));
    let source = Source { input: "edge".into(), regions, pools, ..Source::default() };
    let naming = Source { extra: vec!["exit_ip".to_owned()], ..source.clone() };
    for (latency, plan, source) in
        [(false, &plan, &source), (true, &plan, &source), (true, &with_exits, &naming)]
    {
        let mut collector = Collector::new(Arc::clone(plan), 5_000, latency);
        let mut block = Block::default();
        // Twice, since a block's memory is swapped in from the take before.
        for _ in 0..2 {
            count(&mut collector, source, 20_000);
            collector.take(&mut block);
        }
        count(&mut collector, source, 20_000);
        collector.take(&mut block);
        let region = Region::new(ALLOCATOR);
        count(&mut collector, source, 20_000);
        collector.take(&mut block);
        let change = region.change();
        assert_eq!(change.allocations + change.reallocations, 0, "latency {latency}: {change:?}");
        assert_eq!(block.requests(), 20_000);
    }
}
