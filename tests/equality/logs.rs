//! Generated logs: several upstreams, faults, retries, disorder, and what else real logs have.

use crate::dice::Dice;
use chrono::{DateTime, TimeZone, Utc};
use gatewatch_parsers::Millis;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// 2026-11-22T12:00:00Z.
pub const T: Millis = 1_795_348_800_000;
pub const HOUR: Millis = 3_600_000;
/// 2099-01-01T00:00:00Z.
pub const YEAR_2099: Millis = 4_070_908_800_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    HaProxy,
    Nginx,
}

impl Kind {
    pub fn log_format(self) -> &'static str {
        match self {
            Kind::HaProxy => "haproxy",
            Kind::Nginx => "nginx:combined_upstream",
        }
    }
}

/// What a log is to have.
#[derive(Clone, Debug)]
pub struct Spec {
    pub kind: Kind,
    pub seed: u64,
    pub requests: usize,
    /// Time between two requests, at most, in ms.
    pub gap: u64,
    /// A line comes at most so much after the request ended.
    pub delay: u64,
    pub jumps: bool,
    pub wrong_stamps: bool,
    pub noise: bool,
    /// Lines longer than a line may be.
    pub giants: bool,
    /// Late lines, beyond what any lateness allows.
    pub stragglers: bool,
    /// No fault in the last half.
    pub quiet_end: bool,
    /// Of HAProxy's stamps.
    pub zone: chrono_tz::Tz,
    pub start: Millis,
}

impl Spec {
    /// A log with nothing unusual in it.
    pub fn plain(kind: Kind, seed: u64, requests: usize) -> Spec {
        Spec {
            kind,
            seed,
            requests,
            gap: 200,
            delay: 900,
            jumps: false,
            wrong_stamps: false,
            noise: false,
            giants: false,
            stragglers: false,
            quiet_end: false,
            zone: chrono_tz::UTC,
            start: T,
        }
    }
}

/// Logs in which everything may happen.
pub fn any_spec() -> impl Strategy<Value = Spec> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.15), any::<bool>());
    (kinds(), any::<u64>(), 1usize..900, prop_oneof![Just(20u64), Just(200), Just(3_000)], flags).prop_map(
        |(kind, seed, requests, gap, (jumps, wrong_stamps, noise, giants, stragglers))| Spec {
            gap,
            jumps,
            wrong_stamps,
            noise,
            giants,
            stragglers,
            ..Spec::plain(kind, seed, requests)
        },
    )
}

/// Logs without late or future lines.
pub fn orderly_spec() -> impl Strategy<Value = Spec> {
    (kinds(), any::<u64>(), 2usize..900, prop_oneof![Just(50u64), Just(300), Just(3_000)], any::<bool>())
        .prop_map(|(kind, seed, requests, gap, noise)| Spec {
            gap,
            noise,
            ..Spec::plain(kind, seed, requests)
        })
}

pub fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::HaProxy), Just(Kind::Nginx)]
}

/// A line of a log, without its newline.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "shown when a test fails")]
pub struct Line {
    /// When it is in the file.
    pub written: Millis,
    pub text: Vec<u8>,
}

/// As a file has them.
pub fn bytes<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<u8> {
    let mut all = Vec::new();
    for line in lines {
        all.extend_from_slice(&line.text);
        all.push(b'\n');
    }
    all
}

/// A time of trouble at an upstream.
struct Fault {
    from: Millis,
    to: Millis,
    upstream: u64,
    /// One of so many requests fails.
    one_in: u64,
    kind: u64,
}

pub const UPSTREAMS: u64 = 4;

/// The lines, in the order in which they are written.
pub fn lines(spec: &Spec) -> Vec<Line> {
    let mut dice = Dice::new(spec.seed);
    let span = spec.requests as u64 * spec.gap / 2;
    let quiet = if spec.quiet_end { 2 } else { 1 };
    let faults: Vec<Fault> = (0..1 + dice.below(3))
        .map(|_| {
            let from = spec.start + dice.below(span / quiet) as Millis;
            Fault {
                from,
                to: from + dice.below(60_000.min(span / quiet)) as Millis,
                upstream: dice.below(UPSTREAMS),
                one_in: 1 + dice.below(6),
                kind: dice.below(5),
            }
        })
        .collect();
    let mut all = Vec::with_capacity(spec.requests);
    let (mut time, mut leap) = (spec.start, 0);
    for _ in 0..spec.requests {
        time += dice.below(spec.gap) as Millis;
        if spec.jumps && dice.one_in(200) {
            leap += HOUR / 2 + dice.below(3 * HOUR as u64) as Millis;
        }
        let upstream = dice.below(UPSTREAMS);
        let fault = faults.iter().find(|f| f.upstream == upstream && (f.from..f.to).contains(&time));
        let fault = fault.filter(|f| dice.one_in(f.one_in)).map(|f| f.kind);
        let written = time + leap + dice.below(spec.delay + 1) as Millis;
        let mut end = time + leap;
        if spec.stragglers && dice.one_in(60) {
            end -= dice.below(20 * 60_000) as Millis;
        }
        if spec.wrong_stamps && dice.one_in(80) {
            end = YEAR_2099 + dice.below(1000) as Millis;
        }
        let path =
            if spec.giants && dice.one_in(100) { 60_000 + dice.below(300_000) } else { dice.below(400) };
        all.push(Line { written, text: request(spec, &mut dice, end, upstream, fault, path as usize) });
        if spec.noise && dice.one_in(10) {
            let text = noise(spec.kind, &mut dice);
            all.push(Line { written, text });
        }
    }
    // Stable: what was written in the same millisecond stays as it is.
    all.sort_by_key(|line| line.written);
    all
}

fn noise(kind: Kind, dice: &mut Dice) -> Vec<u8> {
    match (dice.below(4), kind) {
        (0, Kind::HaProxy) => b"<129>Nov 22 14:54:06 haproxy[7229]: Server b_app/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.".to_vec(),
        (0, Kind::Nginx) => b"# a comment".to_vec(),
        (1, _) => Vec::new(),
        (2, _) => format!("neither this nor that {}", dice.below(1_000_000)).into_bytes(),
        _ => vec![0xff, 0xfe, b'x'],
    }
}

/// The upstream's name as rules group by it.
pub fn upstream_name(kind: Kind, upstream: u64) -> String {
    match kind {
        Kind::HaProxy => format!("b_app/s{upstream}"),
        Kind::Nginx => format!("10.0.0.{upstream}:8080"),
    }
}

fn request(
    spec: &Spec,
    dice: &mut Dice,
    end: Millis,
    upstream: u64,
    fault: Option<u64>,
    path: usize,
) -> Vec<u8> {
    let path = format!("/{}", "p".repeat(path));
    match spec.kind {
        Kind::HaProxy => haproxy(dice, spec.zone, end, upstream, fault, &path),
        Kind::Nginx => nginx(dice, end, upstream, fault, &path),
    }
}

fn haproxy(
    dice: &mut Dice,
    zone: chrono_tz::Tz,
    end: Millis,
    upstream: u64,
    fault: Option<u64>,
    path: &str,
) -> Vec<u8> {
    let took = dice.below(2_000) as Millis;
    // Timers, status, state, retries.
    let (timers, status, state, retries) = match fault {
        None => (format!("0/0/0/{took}/{took}"), 200, "----", "0"),
        Some(0) => (format!("0/0/-1/-1/{took}"), 503, "SC--", "3"),
        Some(1) => (format!("0/0/0/-1/{took}"), 504, "sH--", "0"),
        Some(2) => (format!("0/0/0/-1/{took}"), 502, "SH--", "0"),
        Some(3) => (format!("0/0/0/{took}/{took}"), 200, "----", "+1"),
        Some(_) => (format!("0/0/0/{took}/{took}"), 502, "----", "1"),
    };
    let start = Utc.timestamp_millis_opt(end - took).unwrap().with_timezone(&zone);
    let stamp = start.format("%d/%b/%Y:%H:%M:%S%.3f");
    format!(
        "127.0.0.1:53900 [{stamp}] fe_http b_app/s{upstream} {timers} {status} 217 - - {state} 1/1/0/0/{retries} 0/0 \"GET {path} HTTP/1.1\""
    )
    .into_bytes()
}

fn nginx(dice: &mut Dice, end: Millis, upstream: u64, fault: Option<u64>, path: &str) -> Vec<u8> {
    let took = format!("0.{:03}", dice.below(1_000));
    let own = upstream_name(Kind::Nginx, upstream);
    let other = upstream_name(Kind::Nginx, (upstream + 1) % UPSTREAMS);
    let (status, addresses, statuses, times) = match fault {
        None => (200, own, "200".to_owned(), took.clone()),
        Some(0) => (502, own, "502".to_owned(), took.clone()),
        Some(1) => (504, own, "504".to_owned(), took.clone()),
        Some(2) => (502, format!("{own}, {other}"), "502, 502".to_owned(), format!("{took}, {took}")),
        Some(_) => (200, format!("{own}, {other}"), "502, 200".to_owned(), format!("{took}, {took}")),
    };
    let stamp = DateTime::<Utc>::from_timestamp_millis(end).unwrap().format("%d/%b/%Y:%H:%M:%S +0000");
    format!(
        "10.1.1.1 - - [{stamp}] \"GET {path} HTTP/1.1\" {status} 6 \"-\" \"gen/1.0\" rt={took} uct=\"{times}\" uht=\"{times}\" urt=\"{times}\" ua=\"{addresses}\" us=\"{statuses}\""
    )
    .into_bytes()
}

/// So many cases, the same at every run; with `EQUALITY_CASES=10` ten times as many, others each time. A failure prints
/// its seed and leaves no file.
pub fn cases(some: u32) -> ProptestConfig {
    let times: Option<u32> = std::env::var("EQUALITY_CASES").ok().and_then(|n| n.parse().ok());
    let rng_seed = if times.is_some() { RngSeed::Random } else { RngSeed::Fixed(502) };
    ProptestConfig {
        cases: some * times.unwrap_or(1),
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
