//! The whole snapshot with everything at its cap at once, built by the parts that build it in an agent.

use super::*;
use crate::delivery::outbox::Outbox;
use crate::receiver::{Receiver, ReceiverKind};
use crate::state::{AgentState, Counters, FileState, Lines, Reading, decode};
use crate::tail::paths::{FOUND_MAX, PATHS_MAX};
use crate::tail::{FileKey, Position, Progress, position_at};
use gatewatch_parsers::{
    Attempt, Attempts, Cause, Dated, Event, Extra, Happened, Millis, Outcome, Reason, Record, Status, Zone,
};
use gatewatch_rules::alert::{Change, ChangeKind};
use gatewatch_rules::clock::FileClock;
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::rule::{Rule, Severity};
use gatewatch_rules::series::{Plan, Source};
use gatewatch_rules::watermark::Watermarks;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

const STEP: Millis = 5_000;
const T: Millis = 1_800_000_000_000;
const MIB: f64 = 1_048_576.0;
/// What `run` has.
const OPTIONS: EngineOptions = EngineOptions { step: STEP, series_cap: 2_000 };

/// Chance that comes out the same at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    /// What cannot be packed: any printable character.
    fn text(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b'!' + self.below(94) as u8)).collect()
    }
}

/// How full everything is.
#[derive(Clone, Copy)]
struct Full {
    /// Values and lines are as long as they may be, and nothing in them comes twice; else what a busy host has.
    hostile: bool,
    /// Labels that rules group by, beside the usual ones.
    captures: usize,
    files: usize,
}

impl Full {
    fn value(self, dice: &mut Dice, usual: String) -> String {
        if self.hostile { dice.text(128) } else { usual }
    }
}

fn rules(full: Full) -> Vec<Rule> {
    let levels = vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)];
    let mut errors = Rule::new("errors", "ratio", levels.clone());
    errors.group_by = ["input", "node", "region", "pool", "upstream", "site"].map(str::to_owned).to_vec();
    errors.group_by.extend((0..full.captures).map(|i| format!("c{i}")));
    let mut upstream = Rule::new("upstream", "ratio", levels.clone());
    upstream.group_by = ["pool", "upstream"].map(str::to_owned).to_vec();
    let mut long = Rule::new("long", "ratio", levels);
    (long.window, long.group_by) = (360 * 60_000, vec!["node".into(), "upstream".into()]);
    vec![errors, upstream, long]
}

/// What the records of one series name.
struct Named {
    source: Source,
    pool: String,
    upstream: String,
    site: String,
    captures: Vec<String>,
}

fn named(full: Full, dice: &mut Dice, i: usize) -> Named {
    let node = full.value(dice, format!("edge-fra1-{:02}", i % 20));
    let region = full.value(dice, "eu-central-1".to_owned());
    Named {
        source: Source {
            input: "edge".into(),
            node,
            region,
            extra: ["exit_ip".to_owned(), "provider".to_owned()]
                .into_iter()
                .chain((0..full.captures).map(|i| format!("c{i}")))
                .collect(),
            ..Source::default()
        },
        pool: full.value(dice, format!("be_checkout_{}", i % 30)),
        upstream: full.value(dice, format!("10.{}.{}.{}:8080", i % 7, i / 200, i % 200)),
        site: full.value(dice, format!("shop{}.example.com", i % 40)),
        captures: (0..full.captures).map(|_| full.value(dice, "v".to_owned())).collect(),
    }
}

const CAUSES: [Reason; 6] = [
    Reason::ConnectionReadTimeout,
    Reason::ConnectionRefused,
    Reason::ConnectionTimeout,
    Reason::DnsError,
    Reason::ConnectionTerminated,
    Reason::HttpResponseIncomplete,
];

fn count(full: Full, exits: bool, dice: &mut Dice, named: &Named, end: Millis, collector: &mut Collector) {
    let failed = dice.below(2) == 0;
    let status = if failed { 502 + dice.below(3) as u16 } else { 200 };
    let cause = Cause::proxy(CAUSES[dice.below(6) as usize]);
    let failure = failed.then_some(cause);
    let mut record = Record::new(end, Status::new(status));
    record.outcome = failure.map_or(Outcome::Fine, Outcome::GatewayError);
    (record.pool, record.site) = (named.pool.as_bytes(), named.site.as_bytes());
    record.attempts = Attempts::One(Attempt {
        upstream: named.upstream.as_bytes(),
        pool: b"",
        status: record.status,
        failure,
    });
    let mut exit = || full.value(dice, format!("203.0.{}.{}", dice.0 % 100, dice.0 % 251));
    let exit = if exits { exit() } else { String::new() };
    let provider = if exits { full.value(dice, "provider-1".to_owned()) } else { String::new() };
    let line = [&exit, &provider].into_iter().chain(&named.captures).cloned().collect::<String>();
    let mut values = [&b""[..]; gatewatch_parsers::EXTRA_LABELS_MAX];
    let mut rest = line.as_bytes();
    for (slot, text) in values.iter_mut().zip([&exit, &provider].into_iter().chain(&named.captures)) {
        (*slot, rest) = rest.split_at(text.len());
    }
    record.extra = Extra::new(line.as_bytes(), &values);
    collector.count(&named.source, &record, Place::Step);
}

fn events(full: Full, dice: &mut Dice, collector: &mut Collector) {
    for i in 0..1_100 {
        let texts: [String; 3] = std::array::from_fn(|n| full.value(dice, format!("server-{i}-{n}")));
        let [pool, upstream, detail] = texts.each_ref().map(String::as_bytes);
        for n in 0..8 {
            let happened = if n % 2 == 0 { Happened::Down } else { Happened::Up };
            let at = Some(T + i * 1_000 + n);
            let event = Event { at, happened, node: b"", pool, upstream, detail };
            collector.note(&Source::default(), &event, None);
        }
    }
}

/// An engine at all its caps, and the outbox that was told of its changes.
fn engine(full: Full, dice: &mut Dice) -> (Engine, Outbox) {
    let rules = rules(full);
    let plan = Arc::new(Plan::new(&rules, &[]));
    let mut engine = Engine::new(rules.clone(), Arc::clone(&plan), OPTIONS);
    let receivers =
        ["ops", "chat"].map(|name| Receiver::new(name, ReceiverKind::webhook("http://127.0.0.1:9/")));
    let mut outbox = Outbox::new(&receivers, &rules, 7);
    let mut collector = Collector::new(plan, STEP, false);
    let mut block = Block::default();
    // Without optimisation a part of the time suffices: the size grows with it.
    let (minutes, held): (i64, i64) = if cfg!(debug_assertions) { (12, 16) } else { (366, 72) };
    // More than there is room for: those that find none are folded.
    let all: Vec<Named> = (0..2_200).map(|i| named(full, dice, i)).collect();
    events(full, dice, &mut collector);
    // Steps older than those that are held come to minutes: one a minute is as good as twelve.
    let steps = (0..minutes * 12).filter(|step| step % 12 == 0 || *step > minutes * 12 - held);
    for step in steps {
        for named in &all {
            let end = T + step * STEP + 1;
            let exits = step > minutes * 12 - 14;
            for _ in 0..=dice.below(3) {
                count(full, exits, dice, named, end, &mut collector);
            }
            if step > minutes * 12 - 8
                && let Some(series) = collector.last_series()
            {
                let usual = format!(
                    "203.0.113.{} - - [15/Jan/2027:08:00:00 +0000] \"GET /p{} HTTP/1.1\" 502 512",
                    end % 251,
                    end % 999
                );
                let line = if full.hostile { dice.text(600) } else { usual };
                engine.sample(series, end, line.as_bytes());
            }
        }
        collector.take(&mut block);
        for _ in 0..=dice.below(4) {
            engine.absorb(&block, Millis::MIN);
        }
        // The last of them are still open.
        if step < minutes * 12 - 4 {
            for change in engine.advance(T + (step + 1) * STEP) {
                outbox.push(change, T + step * STEP);
            }
        }
    }
    let alerts: Vec<Change> = outbox
        .open_alerts()
        .map(|alert| Change { kind: ChangeKind::Firing, at: T, alert: alert.clone() })
        .collect();
    alerts.iter().for_each(|change| outbox.refresh(&change.alert));
    // Something is on its way to everybody.
    assert!(!outbox.due(T + minutes * 60_000).is_empty());
    (engine, outbox)
}

/// Positions as they are: hashes of random bytes, and paths as long as may be.
fn files(full: Full, dice: &mut Dice) -> Vec<FileState> {
    let mut mark = Watermarks::new();
    mark.register(1, 2_000);
    mark.read(1, T, T + 1);
    let folder = tempfile::tempdir().unwrap();
    let length = PATHS_MAX / FOUND_MAX;
    let reading = |near: Millis| Reading {
        format: Some("nginx:combined_upstream".to_owned()),
        dated: Dated { zone: Zone::Fixed(0), near, newest: near, ambiguous: false },
        unwrapper: None,
    };
    let progress: Vec<Progress> = (0..50)
        .map(|i| {
            let path = folder.path().join(format!("{i}"));
            std::fs::write(&path, dice.text(2_000)).unwrap();
            position_at(&path, 1_500).unwrap().progress
        })
        .collect();
    (0..full.files + 1_000)
        .map(|i| {
            let near = T + dice.below(1 << 32) as Millis;
            let mut clock = FileClock::new(2_000, STEP);
            clock.admit(near);
            let name =
                if full.hostile { dice.text(length) } else { format!("/var/log/nginx/site{i}.access.log") };
            // Hashes that come twice would be packed: they are made of random bytes.
            let mut json = serde_json::to_value(progress[i % 50]).unwrap();
            for print in ["anchor", "head", "first"] {
                let hash: Vec<u64> = (0..16).map(|_| dice.below(256)).collect();
                json[print]["hash"] = serde_json::json!(hash);
            }
            json["offset"] = serde_json::json!(dice.below(1 << 36));
            json["modified"] = serde_json::json!(T * 1_000_000 + dice.below(1 << 60) as i64 / 2);
            let key = FileKey { dev: 65_024, ino: dice.below(1 << 40), birth: near.unsigned_abs() };
            FileState {
                position: Position {
                    path: name.into(),
                    key,
                    progress: serde_json::from_value(json).unwrap(),
                },
                followed: i < full.files,
                input: "edge".to_owned(),
                clock,
                mark: mark.mark(1),
                read: near,
                reading: Some(reading(near)),
                // All that may be held at once, in some of them.
                held: if i < 8 { dice.text(64 << 10).into_bytes() } else { Vec::new() },
                lines: Lines {
                    read: dice.below(1 << 40),
                    parsed: dice.below(1 << 40),
                    late: dice.below(1 << 20),
                    ..Lines::default()
                },
                late_needed: dice.below(10_000) as Millis,
            }
        })
        .collect()
}

/// Puts everything together, and reads it again.
fn measure(full: Full) -> Fitted {
    let mut dice = Dice(502);
    let (engine, outbox) = engine(full, &mut dice);
    let files = files(full, &mut dice);
    let take = |engine: &Engine| -> Vec<u8> { postcard::to_stdvec(&engine.state()).unwrap() };
    let mut snapshot = Snapshot {
        agent: AgentState { program: "0.1.0".into(), node: "edge".into(), step: STEP, saved: T },
        files: files.clone(),
        inputs: vec!["edge".to_owned()],
        cursors: BTreeMap::new(),
        engine: engine.state(),
        outbox: outbox.state(),
        counters: Counters::default(),
        mutes: crate::mute::State::default(),
    };
    let parts = [
        ("engine", take(&engine).len()),
        ("outbox", postcard::to_stdvec(outbox.state()).unwrap().len()),
        ("files", postcard::to_stdvec(&files).unwrap().len()),
    ];
    let begin = Instant::now();
    let fitted = fit(&mut snapshot, 0).unwrap();
    println!(
        "{} series, {} alerts, {} incidents, {} pending; plain {parts:?}; {:.2} MiB in {:?}, left out: {:?}",
        engine.buckets().len(),
        engine.alerts().len(),
        engine.incidents().len(),
        outbox.pending(),
        fitted.payload.len() as f64 / MIB,
        begin.elapsed(),
        fitted.left_out
    );
    // What the agent says the next time is the same, found sooner.
    let last = fitted.left_out.len();
    let mut again = Snapshot { engine: engine.state(), ..snapshot };
    assert_eq!(fit(&mut again, last).unwrap().left_out, fitted.left_out);

    let (_, read) = decode(&frame::wrap(1, &fitted.payload)).unwrap();
    assert_eq!(read.files, files);
    assert_eq!(encode(&read.outbox).unwrap(), encode(outbox.state()).unwrap());
    let (plan, rules) = (Arc::new(Plan::new(&rules(full), &[])), rules(full));
    let (restored, changes) = Engine::restore(read.engine, rules, plan, OPTIONS).unwrap();
    assert!(changes.is_empty());
    assert_eq!(restored.totals(), engine.totals());
    assert_eq!(restored.alerts(), engine.alerts());
    assert_eq!(restored.incidents(), engine.incidents());
    assert_eq!(restored.buckets().len(), engine.buckets().len());
    fitted
}

/// Of a host as busy as may be nothing is left out.
#[test]
fn a_busy_host_is_kept_whole() {
    let fitted = measure(Full { hostile: false, captures: 0, files: 2_000 });
    assert!(fitted.left_out.is_empty(), "{:?}", fitted.left_out);
}

/// Everything at its cap at once, and nothing of it can be packed.
#[test]
fn eight_mebibytes_whatever_comes() {
    let fitted = measure(Full { hostile: true, captures: 2, files: FOUND_MAX });
    let whole = frame::wrap(1, &fitted.payload).len();
    assert!(whole <= 8 << 20, "{whole}");
}
