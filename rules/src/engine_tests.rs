//! Episodes as data: what groups did in which steps, and what is told of it and when.

use super::*;
use crate::alert::ChangeKind;
use crate::collector::{Collector, Place};
use crate::matcher::Matcher;
use crate::rule::Counts;
use crate::series::Source;
use gatewatch_parsers::{Attempt, Attempts, Cause, Outcome, Reason, Record, Status};

pub(super) const STEP: Millis = 5_000;

/// Steps `.0`, group `input/node/pool/upstream/site`, requests, bad ones among them, and what is bad about them.
pub(super) type Deed<'a> = (std::ops::Range<i64>, &'a str, u64, u64, &'a str);

pub(super) fn warning(above: f64) -> Vec<(Severity, f64)> {
    vec![(Severity::Warning, above)]
}

pub(super) fn both(warning: f64, critical: f64) -> Vec<(Severity, f64)> {
    vec![(Severity::Warning, warning), (Severity::Critical, critical)]
}

pub(super) fn rule(name: &str, above: Vec<(Severity, f64)>, group_by: &[&str]) -> Rule {
    let mut rule = Rule::new(name, "ratio", above);
    rule.group_by = group_by.iter().map(|l| (*l).to_owned()).collect();
    rule
}

fn matching(mut rule: Rule, matcher: &str) -> Rule {
    rule.matchers.push(Matcher::parse(matcher).unwrap());
    rule
}

/// As the preset of this name.
pub(super) fn preset(name: &str) -> Rule {
    let upstream = ["input", "pool", "upstream"];
    let mut rule = match name {
        "errors" => matching(rule(name, both(0.05, 0.2), &upstream), "upstream!=\"\""),
        "site" => matching(rule(name, both(0.05, 0.2), &["input", "node", "site"]), "upstream=\"\""),
        "node" => rule(name, both(0.05, 0.2), &["input", "node"]),
        "region" => matching(rule(name, both(0.03, 0.1), &["input", "region"]), "region!=\"\""),
        "masked" => matching(rule(name, warning(0.05), &upstream), "upstream!=\"\""),
        _ => rule(name, both(0.1, 0.4), &["input", "pool"]),
    };
    (rule.confidence, rule.min_bad_steps) = (Some(0.99), 3);
    match name {
        "errors" | "site" => {
            (rule.stretch, rule.min_requests, rule.min_errors) = (Some(600_000), 10, 5);
            rule.recover_below = Some(0.02);
        }
        "node" => {
            (rule.times_rest, rule.min_requests, rule.min_errors) = (3.0, 200, 30);
            rule.recover_below = Some(0.02);
        }
        "region" => {
            (rule.window, rule.times_rest, rule.min_requests, rule.min_errors) = (120_000, 3.0, 500, 50);
            (rule.min_bad_steps, rule.recover_below, rule.keep_firing_for) = (6, Some(0.01), 300_000);
        }
        "masked" => {
            (rule.counts, rule.window, rule.min_requests, rule.min_errors) =
                (Counts::FailedAttempts, 300_000, 20, 10);
            (rule.min_bad_steps, rule.keep_firing_for) = (6, 600_000);
        }
        _ => {
            (rule.counts, rule.window, rule.min_requests, rule.min_errors) =
                (Counts::Abandoned, 300_000, 100, 30);
            (rule.min_bad_steps, rule.keep_firing_for) = (6, 600_000);
        }
    }
    rule
}

pub(super) fn presets() -> Vec<Rule> {
    ["errors", "site", "node", "region", "masked", "abandoned"].map(preset).to_vec()
}

/// Counts a request, bad or not, of a group.
pub(super) fn count(collector: &mut Collector, end: Millis, place: &str, is_bad: bool, how: &str) {
    let mut labels = place.split('/');
    let [input, node, pool, upstream, site] = std::array::from_fn(|_| labels.next().unwrap_or(""));
    let source = Source { input: input.into(), ..Source::default() };
    let mut record = Record::new(end, Status::new(200));
    (record.node, record.pool, record.site) = (node.as_bytes(), pool.as_bytes(), site.as_bytes());
    let cause = Cause::proxy(Reason::ConnectionTerminated);
    let mut attempt =
        Attempt { upstream: upstream.as_bytes(), pool: b"", status: Status::new(200), failure: None };
    record.request_time = Some(20);
    match (is_bad, how) {
        (false, _) => {}
        (_, "slow") => record.request_time = Some(2_500),
        (_, "failed") => attempt.failure = Some(cause),
        (_, "abandoned") => (record.outcome, record.status) = (Outcome::Abandoned, Status::new(499)),
        (_, "aborted") => record.outcome = Outcome::Aborted,
        (_, status) => {
            record.status = Status::new(status.parse().unwrap());
            if record.status != Status::new(500) {
                (record.outcome, attempt.failure) = (Outcome::GatewayError(cause), Some(cause));
            }
        }
    }
    record.attempts = if upstream.is_empty() { Attempts::None } else { Attempts::One(attempt) };
    collector.count(&source, &record, Place::Step);
}

pub(super) fn engine(rules: Vec<Rule>) -> (Engine, Collector) {
    let plan = Arc::new(Plan::new(&rules, &["upstream".to_owned(), "site".to_owned()]));
    let collector = Collector::new(Arc::clone(&plan), STEP, false);
    (Engine::new(rules, plan, EngineOptions { step: STEP, series_cap: 50_000 }), collector)
}

/// Plays deeds to the end of the last; returns the changes and the engine.
pub(super) fn play(rules: Vec<Rule>, deeds: &[Deed<'_>]) -> (Vec<Change>, Engine) {
    let (mut engine, mut collector) = engine(rules);
    let mut changes = Vec::new();
    let mut block = Block::default();
    let first = deeds.iter().map(|d| d.0.start).min().unwrap_or(0);
    let last = deeds.iter().map(|d| d.0.end).max().unwrap_or(0);
    for step in first..last {
        for (steps, place, requests, bad, how) in deeds {
            for i in 0..if steps.contains(&step) { *requests } else { 0 } {
                // Spread, so that each step ends with a bad one.
                let is_bad = i >= requests - bad;
                count(&mut collector, step * STEP + i64::try_from(i).unwrap() % STEP, place, is_bad, how);
            }
        }
        collector.take(&mut block);
        engine.absorb(&block, Millis::MIN);
        changes.append(&mut engine.advance((step + 1) * STEP));
    }
    (changes, engine)
}

fn minutes(at: Millis) -> String {
    format!("{}:{:02}", at / 60_000, at % 60_000 / 1000)
}

/// `2:45 firing warning u1`
pub(super) fn told(changes: &[Change]) -> Vec<String> {
    let told = |change: &Change| {
        let Change { kind, at, alert } = change;
        let kind = match (kind, alert.end) {
            (ChangeKind::Resolved, Some(end)) => format!("{end:?}"),
            _ => format!("{kind:?}"),
        };
        let labels: Vec<&str> = alert.labels.iter().map(|(_, value)| value.as_str()).collect();
        let (severity, labels) = (alert.severity.name(), labels.join(","));
        format!("{} {} {severity} {labels}", minutes(*at), kind.to_lowercase())
    };
    changes.iter().map(told).collect()
}

pub(super) struct Episode {
    pub name: &'static str,
    pub rule: Rule,
    pub deeds: &'static [Deed<'static>],
    pub told: &'static [&'static str],
}

const U1: &str = "i//p/u1/";
const U2: &str = "i//p/u2/";

pub(super) fn with(mut rule: Rule, edit: impl FnOnce(&mut Rule)) -> Rule {
    edit(&mut rule);
    rule
}

/// A rule without refinements: 10 requests and 1 error suffice.
fn plain() -> Rule {
    with(rule("r", both(0.1, 0.5), &["upstream"]), |r| (r.min_requests, r.min_errors) = (10, 1))
}

#[test]
fn presets_are_sound_at_every_usual_step() {
    for step in [1_000, 2_000, 5_000, 10_000] {
        for rule in presets() {
            assert_eq!(rule.problems(step), [], "{} at {step}", rule.name);
        }
    }
}

#[test]
fn life() {
    check(vec![
        Episode {
            name: "fires at the end of the step that crosses, recovers when the window is clean, resolves 2 min later",
            rule: plain(),
            deeds: &[(0..24, U1, 20, 0, ""), (24..36, U1, 20, 20, "502"), (36..100, U1, 20, 0, "")],
            // 2:10 is 40 of 240 requests; half of them at 2:35, strictly above
            told: &["2:10 firing warning u1", "2:35 escalated critical u1", "6:00 recovered critical u1"],
        },
        Episode {
            name: "for",
            rule: with(plain(), |r| r.for_ = 30_000),
            deeds: &[
                (0..24, U1, 20, 0, ""),
                (24..27, U1, 20, 20, "502"),
                (27..60, U1, 20, 0, ""),
                (60..72, U1, 20, 20, "502"),
            ],
            // above from 2:10 to 3:05
            // above recover_below again at 5:05, before it resolves at 5:15
            told: &["2:40 firing warning u1"],
        },
        Episode {
            name: "for is not reached",
            rule: with(plain(), |r| r.for_ = 60_000),
            deeds: &[(0..24, U1, 20, 0, ""), (24..27, U1, 20, 20, "502"), (27..60, U1, 20, 0, "")],
            told: &[],
        },
        Episode {
            name: "keep_firing_for",
            rule: with(plain(), |r| r.keep_firing_for = 10_000),
            deeds: &[(0..1, U1, 20, 20, "502"), (1..40, U1, 200, 0, "")],
            told: &["0:05 firing critical u1", "0:25 recovered critical u1"],
        },
    ]);
}

#[test]
fn what_a_blip_explains_is_left_out() {
    let blip = || {
        with(plain(), |r| {
            (r.blip, r.min_requests, r.min_errors) = (Some(8_000), 60, 5);
            (r.window, r.stretch, r.confidence) = (30_000, Some(600_000), Some(0.99));
        })
    };
    check(vec![
        Episode {
            name: "8 s that straddle three steps",
            rule: blip(),
            deeds: &[
                (0..24, U1, 100, 1, "502"),
                (24..25, U1, 100, 30, "502"),
                (25..26, U1, 100, 100, "502"),
                (26..27, U1, 100, 30, "502"),
                (27..60, U1, 100, 1, "502"),
            ],
            told: &[],
        },
        Episode {
            name: "the same, and it goes on",
            rule: blip(),
            deeds: &[(0..24, U1, 100, 1, "502"), (24..36, U1, 100, 100, "502"), (36..100, U1, 100, 0, "")],
            // 7 s and 2 s of it are left at 2:15
            told: &["2:15 firing warning u1", "2:25 escalated critical u1", "5:30 recovered critical u1"],
        },
        Episode {
            name: "a stretched window says nothing of what is over",
            rule: blip(),
            deeds: &[(0..12, U1, 1, 0, ""), (12..20, U1, 2, 2, "502"), (20..200, U1, 1, 0, "")],
            told: &[],
        },
    ]);
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn coming_back() {
    check(vec![
        Episode {
            name: "recovering, then firing again: nothing is told",
            rule: plain(),
            deeds: &[
                (0..12, U1, 20, 20, "502"),
                (12..36, U1, 20, 0, ""),
                (36..38, U1, 20, 20, "502"),
                (38..100, U1, 20, 0, ""),
            ],
            // recovering at 2:00 and again at 4:10
            told: &["0:05 firing critical u1", "6:10 recovered critical u1"],
        },
        Episode {
            name: "no traffic holds, and ends it only after stale_after",
            rule: plain(),
            deeds: &[(0..12, U1, 20, 20, "502"), (12..200, U2, 1, 0, "")],
            // the window is empty from 2:00 on
            told: &["0:05 firing critical u1", "12:00 expired critical u1"],
        },
        Episode {
            name: "held while nobody asks, then well",
            rule: plain(),
            deeds: &[(0..12, U1, 20, 20, "502"), (12..100, U2, 1, 0, ""), (100..140, U1, 5, 0, "")],
            // too little traffic to begin, enough to recover: 8:25 and 2 min
            told: &["0:05 firing critical u1", "10:25 recovered critical u1"],
        },
        Episode {
            name: "what it fired for does not reopen it when traffic stops",
            rule: preset("errors"),
            deeds: &[(11..30, U1, 50, 15, "502"), (30..50, U1, 30, 0, ""), (50..240, U2, 1, 0, "")],
            // stretched over the silence from 4:10 on, the window holds the three bad minutes again
            told: &["1:10 firing critical i,p,u1", "5:30 recovered critical i,p,u1"],
        },
        Episode {
            name: "what came since reopens it, however little traffic that is",
            rule: preset("errors"),
            deeds: &[
                (0..15, U1, 50, 15, "502"),
                (15..50, U1, 10, 0, ""),
                (50..90, U2, 1, 0, ""),
                (90..114, U1, 1, 1, "502"),
                (114..120, U2, 1, 0, ""),
            ],
            told: &[
                "0:15 firing critical i,p,u1",
                "4:15 recovered critical i,p,u1",
                "8:00 reopened critical i,p,u1",
            ],
        },
        Episode {
            name: "reopens within 10 min of resolving",
            rule: with(plain(), |r| r.keep_firing_for = 0),
            deeds: &[
                (0..1, U1, 20, 20, "502"),
                (1..132, U1, 20, 0, ""),
                (132..133, U1, 40, 40, "502"),
                (133..265, U1, 20, 0, ""),
                (265..266, U1, 40, 40, "502"),
            ],
            told: &[
                "0:05 firing critical u1",
                "1:05 recovered critical u1",
                "11:05 reopened critical u1",
                "12:05 recovered critical u1",
                // 10 min and 5 s after: another incident
                "22:10 firing warning u1",
            ],
        },
    ]);
}

#[test]
fn minima() {
    check(vec![
        Episode {
            name: "each severity by its own threshold, beyond chance by its own",
            rule: with(plain(), |r| r.confidence = Some(0.99)),
            // 11 of 20 is above both thresholds, credibly only above 10 %; 31 of 40 above 50 %, too
            deeds: &[(0..1, U1, 20, 11, "502"), (1..4, U1, 20, 20, "502")],
            told: &["0:05 firing warning u1", "0:10 escalated critical u1"],
        },
        Episode {
            name: "min_requests",
            rule: with(plain(), |r| r.min_requests = 100),
            deeds: &[(0..4, U1, 24, 24, "502"), (4..5, U1, 4, 0, "")],
            told: &["0:25 firing critical u1"],
        },
        Episode {
            name: "min_errors",
            rule: with(plain(), |r| r.min_errors = 7),
            deeds: &[(0..10, U1, 6, 1, "502")],
            told: &["0:35 firing warning u1"],
        },
        Episode {
            name: "stretched on low traffic: a request every 20 s, each fails",
            rule: preset("errors"),
            deeds: &[
                (0..1, U1, 1, 1, "502"),
                (4..5, U1, 1, 1, "502"),
                (8..9, U1, 1, 1, "502"),
                (12..13, U1, 1, 1, "502"),
                (16..17, U1, 1, 1, "502"),
                (20..21, U1, 1, 1, "502"),
                (24..25, U1, 1, 1, "502"),
                (28..29, U1, 1, 1, "502"),
                (32..33, U1, 1, 1, "502"),
                (36..37, U1, 1, 1, "502"),
                (40..41, U1, 1, 1, "502"),
            ],
            // the tenth
            told: &["3:05 firing critical i,p,u1"],
        },
    ]);
}

#[test]
fn blips() {
    check(vec![
        Episode {
            name: "one failed request of one is nothing",
            rule: preset("errors"),
            deeds: &[(0..1, U1, 1, 1, "502"), (1..200, U2, 1, 0, "")],
            told: &[],
        },
        Episode {
            name: "a 5 s blip fires nothing",
            rule: preset("errors"),
            deeds: &[(0..30, U1, 100, 0, ""), (30..31, U1, 100, 100, "502"), (31..90, U1, 100, 0, "")],
            told: &[],
        },
        Episode {
            name: "nor does one across two steps",
            rule: preset("errors"),
            deeds: &[(0..30, U1, 100, 0, ""), (30..32, U1, 100, 100, "502"), (32..90, U1, 100, 0, "")],
            told: &[],
        },
        Episode {
            name: "three bad steps do",
            rule: preset("errors"),
            deeds: &[(0..30, U1, 100, 0, ""), (30..33, U1, 100, 100, "502"), (33..40, U1, 100, 0, "")],
            // 300 of 1,200: 25 %, credibly over 20 %
            told: &["2:45 firing critical i,p,u1"],
        },
    ]);
}

#[test]
fn nodes() {
    check(vec![
        Episode {
            name: "a node is silent on a single host",
            rule: preset("node"),
            deeds: &[(0..40, "i/n1/p/u1/", 50, 50, "502")],
            told: &[],
        },
        Episode {
            name: "one node of three",
            rule: preset("node"),
            deeds: &[
                (0..40, "i/n1/p/u1/", 50, 25, "502"),
                (0..40, "i/n2/p/u1/", 50, 1, "502"),
                (0..40, "i/n3/p/u1/", 50, 0, ""),
            ],
            told: &["0:20 firing critical i,n1"],
        },
        Episode {
            name: "all nodes alike are no node's fault",
            rule: preset("node"),
            deeds: &[(0..40, "i/n1/p/u1/", 50, 25, "502"), (0..40, "i/n2/p/u1/", 50, 20, "502")],
            told: &[],
        },
    ]);
}

#[test]
fn what_counts() {
    check(vec![
        Episode {
            name: "count",
            rule: with(Rule::new("any-504", "count", warning(20.0)), |r| {
                (r.status, r.window, r.group_by) = (vec![504], 300_000, vec!["upstream".into()]);
            }),
            deeds: &[(0..40, U1, 1, 1, "504"), (0..40, U2, 1000, 1, "502"), (40..160, U1, 1, 0, "")],
            // 21 at 1:45; 30 have left the window at 7:30
            told: &["1:45 firing warning u1", "9:30 recovered warning u1"],
        },
        Episode {
            name: "status counts whoever made them",
            rule: with(plain(), |r| r.status = vec![500]),
            deeds: &[(0..3, U1, 20, 15, "500"), (0..3, U2, 20, 20, "502")],
            told: &["0:05 firing critical u1"],
        },
        Episode {
            name: "gateway errors are no 500",
            rule: plain(),
            deeds: &[(0..3, U1, 20, 15, "500"), (0..3, U2, 20, 20, "502")],
            told: &["0:05 firing critical u2"],
        },
        Episode {
            name: "failed attempts",
            rule: with(plain(), |r| r.counts = Counts::FailedAttempts),
            deeds: &[(0..3, U1, 20, 4, "failed"), (0..3, U2, 20, 20, "abandoned")],
            told: &["0:05 firing warning u1"],
        },
        Episode {
            name: "masked",
            rule: with(plain(), |r| r.counts = Counts::Masked),
            deeds: &[(0..3, U1, 20, 4, "failed"), (0..3, U2, 20, 20, "502")],
            told: &["0:05 firing warning u1"],
        },
        Episode {
            name: "abandoned",
            rule: with(plain(), |r| r.counts = Counts::Abandoned),
            deeds: &[(0..3, U1, 20, 4, "abandoned"), (0..3, U2, 20, 20, "502")],
            told: &["0:05 firing warning u1"],
        },
        Episode {
            name: "aborted",
            rule: with(plain(), |r| r.counts = Counts::Aborted),
            deeds: &[(0..3, U1, 20, 4, "aborted"), (0..3, U2, 20, 20, "502")],
            told: &["0:05 firing warning u1"],
        },
    ]);
}

#[test]
fn groups_and_windows() {
    check(vec![
        Episode {
            name: "a label that is absent makes a group of its own, and is not shown",
            rule: with(rule("r", warning(0.1), &["node", "upstream"]), |r| r.min_errors = 1),
            deeds: &[(0..1, "i/n1/p//", 50, 50, "502"), (0..1, "i//p/u1/", 50, 50, "502")],
            told: &["0:05 firing warning u1", "0:05 firing warning n1"],
        },
        Episode {
            name: "requests without an upstream are judged by site, those with one are not",
            rule: preset("site"),
            deeds: &[
                (0..6, "i/n1/p//a.example", 50, 50, "502"),
                (0..6, "i/n1/p/u1/b.example", 50, 50, "502"),
            ],
            told: &["0:15 firing critical i,n1,a.example"],
        },
        Episode {
            name: "bad only once good steps have left the window, without a further request",
            rule: with(plain(), |r| r.above = warning(0.3)),
            deeds: &[(0..6, U1, 20, 0, ""), (6..12, U1, 20, 8, "502"), (12..40, U2, 1, 0, "")],
            // at 1:20 48 of 160, not strictly above
            told: &["1:25 firing warning u1"],
        },
        Episode {
            name: "a long window slides by the minute",
            rule: with(plain(), |r| r.window = 600_000),
            deeds: &[(3..4, U1, 20, 20, "502"), (4..160, U1, 1, 0, "")],
            // bad once the first minute is full; it leaves the window at 11:00, well for 2 min at 13:00
            told: &["1:00 firing critical u1", "13:00 recovered critical u1"],
        },
    ]);
}

pub(super) fn check(episodes: Vec<Episode>) {
    let mut wrong = Vec::new();
    for episode in episodes {
        assert_eq!(episode.rule.problems(STEP), [], "{}", episode.name);
        let (changes, _) = play(vec![episode.rule], episode.deeds);
        if told(&changes) != episode.told {
            wrong.push(format!(
                "{}\n  is     {:?}\n  not    {:?}",
                episode.name,
                told(&changes),
                episode.told
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// 50 min of three pools of four servers; one of them fails 60 % of its requests for 5 min. At 417 requests a step.
#[test]
fn a_server_fails_for_five_minutes() {
    let server = |pool: &str, i: i64| format!("edge/n/be_{pool}/be_{pool}-srv{i}/");
    let pools = ["api", "img", "web"].into_iter();
    let places: Vec<String> = pools.flat_map(|pool| (0..4).map(move |i| server(pool, i))).collect();
    let bad = "edge/n/be_img/be_img-srv3/";
    let mut deeds: Vec<Deed<'_>> = Vec::new();
    for place in &places {
        if place != bad {
            deeds.push((0..600, place, 40, 0, ""));
        }
    }
    // 0.4 % before and after
    deeds.extend([
        (0..270, bad, 417, 2, "502"),
        (270..330, bad, 417, 249, "502"),
        (330..600, bad, 417, 2, "502"),
    ]);
    let (changes, engine) = play(presets(), &deeds);
    assert_eq!(
        told(&changes),
        [
            "22:45 firing warning edge,be_img,be_img-srv3",
            // 20.1 % at 22:50 is not yet credibly over 20 %
            "22:55 escalated critical edge,be_img,be_img-srv3",
            // failed attempts, over 5 min, need six bad steps
            "23:00 firing warning edge,be_img,be_img-srv3",
            "30:30 recovered critical edge,be_img,be_img-srv3",
            "42:20 recovered warning edge,be_img,be_img-srv3",
        ]
    );
    let alert = &changes[0].alert;
    assert_eq!((alert.started, alert.last_bad, alert.fired), (1_350_000, 1_365_000, 1_365_000));
    assert_eq!((alert.errors, alert.requests), (3 * 249, 3 * 417));
    assert_eq!(
        (alert.window, alert.window_errors, alert.window_requests),
        (60_000, 9 * 2 + 3 * 249, 12 * 417)
    );
    assert_eq!(alert.recent, (2 + 3 * 249, 4 * 417));
    assert_eq!(alert.normal.map(|n| (n * 1e4).round()), Some(48.0));
    assert_eq!((alert.above, alert.is_count), (0.05, false));
    assert_eq!(alert.reasons, [(Reason::ConnectionTerminated, 3 * 249)]);
    assert_eq!(alert.statuses, [(502, 3 * 249)]);
    assert!(
        alert.incident.starts_with(&alert.fingerprint[..4]) && alert.incident.ends_with("-1"),
        "{}",
        alert.incident
    );
    let over = &changes[3].alert;
    assert_eq!((over.started, over.last_bad, over.errors), (1_350_000, 1_650_000, 60 * 249));
    assert_eq!((over.resolved, over.last_traffic), (Some(1_830_000), 1_830_000));
    let incidents = engine.incidents();
    assert_eq!(incidents.len(), 2);
    let incident = &incidents[0];
    assert_eq!((incident.rule.as_str(), incident.severity), ("errors", Severity::Critical));
    assert_eq!((incident.started, incident.ended), (1_350_000, Some(1_650_000)));
    assert_eq!((incident.fired, incident.escalated), (Some(1_365_000), Some(1_375_000)));
    assert_eq!((incident.resolved, incident.requests), (Some(1_830_000), 60 * 417));
    assert_eq!((incident.gateway_errors, incident.share_of_errors), (60 * 249, 1.0));
    assert!((incident.share_of_requests - 417.0 / (417.0 + 440.0)).abs() < 1e-9);
    assert!((incident.peak_ratio - 249.0 / 417.0).abs() < 1e-9);
}

#[test]
fn forty_groups_are_told_in_the_order_of_their_labels() {
    let names: Vec<String> = (0..40).map(|i| format!("i//p/u{:02}/", (i * 17) % 40)).collect();
    let deeds: Vec<Deed<'_>> = names.iter().map(|n| (0..2, n.as_str(), 10, 10, "502")).collect();
    let (changes, engine) = play(vec![plain()], &deeds);
    let groups: Vec<String> = changes.iter().map(|c| c.alert.labels[0].1.clone()).collect();
    let expected: Vec<String> = (0..40).map(|i| format!("u{i:02}")).collect();
    assert_eq!(groups, expected);
    let numbers: Vec<String> = changes.iter().map(|c| c.alert.incident[5..].to_owned()).collect();
    assert_eq!(numbers, (1..=40).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(engine.alerts().len(), 40);
    assert!(engine.alerts().iter().all(|a| a.state == State::Firing && a.since == STEP));
    assert!(changes.iter().all(|c| (c.alert.share_of_errors - 1.0 / 40.0).abs() < 1e-9));
}

#[test]
fn what_the_last_steps_leave_open() {
    let bad_to_the_end: &[Deed<'_>] = &[(0..5, U1, 20, 20, "502"), (5..8, U2, 20, 0, "")];
    let (_, engine) = play(vec![plain()], bad_to_the_end);
    let incident = engine.incidents().remove(0);
    assert_eq!((incident.ended, incident.resolved, incident.fired), (None, None, Some(5_000)));

    let well_before: &[Deed<'_>] = &[(0..5, U1, 20, 20, "502"), (5..8, U1, 20, 0, "")];
    let incident = play(vec![plain()], well_before).1.incidents().remove(0);
    assert_eq!((incident.ended, incident.resolved), (Some(25_000), None));

    let patient = with(plain(), |r| r.for_ = 60_000);
    let (changes, engine) = play(vec![patient], bad_to_the_end);
    assert_eq!(told(&changes), [""; 0]);
    let incident = engine.incidents().remove(0);
    assert_eq!((incident.fired, incident.ended, incident.gateway_errors), (None, None, 100));
    assert_eq!(engine.alerts()[0].state, State::Pending);
}

#[test]
fn finish_closes_the_last_step() {
    let (mut engine, mut collector) = engine(vec![plain()]);
    for i in 0..20 {
        count(&mut collector, 60_000 + i, U1, true, "502");
    }
    let mut block = Block::default();
    collector.take(&mut block);
    engine.absorb(&block, Millis::MIN);
    assert_eq!(told(&engine.advance(64_999)), [""; 0]);
    assert_eq!(told(&engine.finish()), ["1:05 firing critical u1"]);
    assert_eq!(told(&engine.finish()), [""; 0]);
    // the step is closed now
    for i in 0..20 {
        count(&mut collector, 60_000 + i, U1, true, "502");
    }
    collector.take(&mut block);
    assert_eq!(engine.absorb(&block, Millis::MIN), 20);
}

#[test]
fn stamps_from_nowhere() {
    let far = [Millis::MIN, -FAR - 1, FAR - 1, FAR + 1, Millis::MAX];
    for end in far {
        let (mut engine, mut collector) = engine(vec![plain()]);
        for at in [end, 60_000] {
            (0..50).for_each(|_| count(&mut collector, at, U1, true, "502"));
        }
        let mut block = Block::default();
        collector.take(&mut block);
        engine.absorb(&block, Millis::MIN);
        engine.advance(Millis::MIN);
        engine.finish();
        engine.advance(Millis::MAX);
        assert!(engine.incidents().iter().any(|i| i.started == 60_000), "{end}");
    }
}

#[test]
fn lines_that_show_it() {
    let (mut engine, mut collector) = engine(vec![plain()]);
    let mut block = Block::default();
    let mut changes = Vec::new();
    for step in 0..8 {
        for i in 0..20 {
            let end = step * STEP + i;
            count(&mut collector, end, U1, step > 2, "502");
            if step > 2 {
                let set = collector.last_series().unwrap().clone();
                engine.sample(&set, end, format!("line {end} GET /x?token=1").as_bytes());
            }
        }
        collector.take(&mut block);
        engine.absorb(&block, Millis::MIN);
        changes.append(&mut engine.advance((step + 1) * STEP));
    }
    let lines = |at: usize| changes[at].alert.samples.iter().map(|s| s.line.as_str()).collect::<Vec<_>>();
    assert_eq!(lines(0), ["line 15000 GET /x?…"]);
    assert_eq!(lines(1), ["line 15000 GET /x?…", "line 20000 GET /x?…", "line 25000 GET /x?…"]);
}

#[test]
fn a_hundred_reloads_change_nothing_while_it_fires() {
    let (mut engine, mut collector) = engine(presets());
    let plan = Arc::clone(engine.buckets().plan());
    let more: Vec<Rule> =
        presets().into_iter().chain([rule("by-node", warning(0.5), &["node", "exit_ip"])]).collect();
    let more_plan = Arc::new(Plan::new(&more, &["upstream".to_owned()]));
    assert_ne!(plan.names(), more_plan.names());
    let mut block = Block::default();
    let mut changes = Vec::new();
    for step in 0..100 {
        for i in 0..50 {
            count(&mut collector, step * STEP + i, "i/n1/p/u1/", (20..60).contains(&step), "502");
        }
        collector.take(&mut block);
        engine.absorb(&block, Millis::MIN);
        changes.append(&mut engine.advance((step + 1) * STEP));
        // There and back, under other labels in between.
        let (rules, plan) = if step % 2 == 0 { (more.clone(), &more_plan) } else { (presets(), &plan) };
        let told_by_reload = engine.reload(rules, Arc::clone(plan));
        if !(20..=60).contains(&step) {
            assert_eq!(told(&told_by_reload), [""; 0]);
        }
        changes.extend(told_by_reload.into_iter().filter(|c| c.alert.rule != "by-node"));
        collector = Collector::new(Arc::clone(plan), STEP, false);
    }
    changes.retain(|c| c.alert.rule != "by-node");
    let deeds: &[Deed<'_>] = &[
        (0..20, "i/n1/p/u1/", 50, 0, ""),
        (20..60, "i/n1/p/u1/", 50, 50, "502"),
        (60..100, "i/n1/p/u1/", 50, 0, ""),
    ];
    assert_eq!(told(&changes), told(&play(presets(), deeds).0));
}

#[test]
fn a_rule_that_goes_or_changes_ends_its_alerts() {
    let deeds: &[Deed<'_>] = &[(0..5, U1, 20, 20, "502"), (0..5, U2, 20, 20, "502")];
    let (_, mut engine) = play(vec![plain()], deeds);
    let changed = with(plain(), |r| r.min_errors = 2);
    let plan = Arc::clone(engine.buckets().plan());
    let ended = engine.reload(vec![changed], plan);
    assert_eq!(told(&ended), ["0:25 config critical u1", "0:25 config critical u2"]);
    assert!(engine.alerts().is_empty());
    let incidents = engine.incidents();
    assert_eq!(incidents.iter().map(|i| i.resolved).collect::<Vec<_>>(), [Some(25_000); 2]);
}
