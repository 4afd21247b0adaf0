//! Episodes of the detectors that look at more than their window.

use super::tests::{Episode, both, check, rule, warning, with};
use super::*;

const U1: &str = "i//p/u1/";
const U2: &str = "i//p/u2/";

/// Every such kind, made nervous, so that few requests suffice.
pub(super) fn nervous() -> Vec<Rule> {
    let mut changed = rule("changed", both(0.2, 0.6), &["upstream"]);
    (changed.baseline, changed.min_requests, changed.min_errors) = (Some(600_000), 2, 1);
    (changed.stretch, changed.keep_firing_for) = (Some(240_000), 30_000);
    let mut spike = Rule::new("spike", "spike", warning(0.0));
    (spike.group_by, spike.baseline) = (vec!["pool".into()], Some(600_000));
    (spike.min_requests, spike.min_errors, spike.times, spike.alpha) = (2, 1, 1.5, 0.05);
    spike.keep_firing_for = 30_000;
    let mut burn = Rule::new("burn", "burn_rate", vec![(Severity::Critical, 0.0)]);
    (burn.group_by, burn.min_requests, burn.min_errors) = (vec!["pool".into()], 2, 1);
    burn.set_slo(0.97);
    let mut gone = Rule::new("gone", "absent", warning(0.0));
    (gone.group_by, gone.baseline, gone.window) = (vec!["upstream".into()], Some(60_000), 20_000);
    (gone.alpha, gone.min_requests, gone.stale_after) = (0.1, 3, 120_000);
    (gone.keep_firing_for, gone.for_) = (10_000, 10_000);
    let mut silent = Rule::new("silent", "absent", warning(0.0));
    (silent.baseline, silent.window, silent.alpha, silent.min_requests) = (Some(300_000), 60_000, 1.0, 1);
    let mut stall = Rule::new("stall", "stall", both(0.2, 0.6));
    (stall.window, stall.alpha, stall.min_requests) = (50_000, 0.1, 1);
    (stall.keep_firing_for, stall.stale_after) = (10_000, 60_000);
    let mut slow = Rule::new("slow", "slow", warning(0.1));
    (slow.group_by, slow.longer_than) = (vec!["node".into()], Some(2_000));
    (slow.min_requests, slow.min_errors, slow.window) = (2, 1, 600_000);
    vec![changed, spike, burn, gone, silent, stall, slow]
}

/// As the presets, with a baseline.
fn own() -> Rule {
    with(rule("r", both(0.05, 0.2), &["upstream"]), |r| {
        (r.min_requests, r.min_errors, r.min_bad_steps, r.confidence) = (10, 5, 3, Some(0.99));
        (r.recover_below, r.baseline) = (Some(0.02), Some(1_800_000));
    })
}

#[test]
fn chronic_groups_fire_on_change() {
    check(vec![
        Episode {
            name: "told of once; then only when it is beyond its normal, and over when it is back there",
            rule: own(),
            deeds: &[
                (0..1200, U2, 50, 0, ""),
                (0..700, U1, 50, 10, "502"),
                (700..730, U1, 50, 30, "502"),
                (730..1200, U1, 50, 10, "502"),
            ],
            told: &[
                "0:15 firing warning u1",
                "30:00 usual warning u1",
                "58:45 firing critical u1",
                "63:45 recovered critical u1",
            ],
        },
        Episode {
            name: "above the ceiling it is bad for ever, known or not",
            rule: own(),
            deeds: &[(0..1200, U2, 50, 0, ""), (0..800, U1, 50, 35, "502"), (800..900, U1, 50, 0, "502")],
            told: &["0:15 firing critical u1", "69:40 recovered critical u1"],
        },
        Episode {
            name: "what has become worse is no normal, however long it lasts",
            rule: own(),
            deeds: &[
                (0..1200, U2, 50, 0, ""),
                (0..400, U1, 50, 1, "502"),
                (400..1100, U1, 50, 10, "502"),
                (1100..1200, U1, 50, 1, "502"),
            ],
            told: &["33:40 firing warning u1", "94:35 recovered warning u1"],
        },
        Episode {
            name: "a group that comes later is judged as the others are",
            rule: own(),
            deeds: &[(0..600, U2, 50, 1, "502"), (400..600, U1, 50, 10, "502"), (600..700, U2, 50, 1, "502")],
            told: &["33:35 firing warning u1"],
        },
    ]);
}

#[test]
fn spikes_need_a_past() {
    let spike = || {
        with(Rule::new("r", "spike", warning(0.0)), |r| {
            (r.group_by, r.min_bad_steps) = (vec!["upstream".into()], 3);
        })
    };
    check(vec![
        Episode {
            name: "from 1 % to 8 %: ten steps, and it is back; twice, and the first is not part of its normal",
            rule: spike(),
            deeds: &[
                (0..240, U1, 100, 1, "502"),
                (240..300, U1, 100, 8, "502"),
                (300..480, U1, 100, 1, "502"),
                (480..540, U1, 100, 8, "502"),
                (540..700, U1, 100, 1, "502"),
            ],
            told: &[
                "20:20 firing warning u1",
                "27:55 recovered warning u1",
                "40:20 firing warning u1",
                "47:55 recovered warning u1",
            ],
        },
        Episode {
            name: "bad from the very start: nothing to compare with",
            rule: spike(),
            deeds: &[(0..60, U1, 100, 50, "502")],
            told: &[],
        },
        Episode {
            name: "a floor",
            rule: with(spike(), |r| r.above = warning(0.1)),
            deeds: &[
                (0..240, U1, 100, 1, "502"),
                (240..300, U1, 100, 8, "502"),
                (300..360, U1, 100, 20, "502"),
            ],
            told: &["25:15 firing warning u1"],
        },
    ]);
}

#[test]
fn defaults_are_sound_at_every_usual_step() {
    let mut burn = Rule::new("r", "burn_rate", warning(0.0));
    burn.set_slo(0.999);
    let slow = with(Rule::new("r", "slow", warning(0.05)), |r| r.longer_than = Some(2_000));
    let quiet = ["absent", "stall", "spike"].map(|kind| Rule::new("r", kind, warning(0.5)));
    for rule in quiet.into_iter().chain([burn, slow]) {
        for step in [1_000, 2_000, 5_000, 10_000, 20_000] {
            assert_eq!(rule.problems(step), [], "{} at {step}", rule.detector);
        }
    }
}

#[test]
fn an_slo_burns() {
    let burn = || {
        let mut rule = Rule::new("r", "burn_rate", vec![(Severity::Critical, 0.0)]);
        rule.group_by = vec!["upstream".into()];
        rule.set_slo(0.999);
        rule
    };
    check(vec![
        Episode {
            name: "14.4 times in an hour: 1 % for 50 min is not, 5 % soon is; over when the last 5 min are at half of it",
            rule: burn(),
            deeds: &[
                (0..600, U1, 100, 1, "502"),
                (600..720, U1, 100, 5, "502"),
                (720..1440, U1, 1_000, 0, ""),
            ],
            told: &["58:00 firing critical u1", "63:00 recovered critical u1"],
        },
        Episode {
            name: "6 times in 6 h: 1 % for long",
            rule: with(burn(), |r| r.min_errors = 300),
            deeds: &[(0..4320, U1, 100, 0, ""), (4320..7200, U1, 100, 1, "502")],
            told: &["577:00 firing critical u1"],
        },
        Episode {
            name: "a minute of 5 % in a calm hour",
            rule: burn(),
            deeds: &[(0..720, U1, 100, 0, ""), (720..732, U1, 100, 5, "502"), (732..900, U1, 100, 0, "")],
            told: &[],
        },
    ]);
}

/// What others do all the time, so that time goes on.
const CLOCK: &str = "j//p/u9/";

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn silence() {
    let absent = || {
        let mut rule = Rule::new("r", "absent", warning(0.0));
        rule.group_by = vec!["upstream".into()];
        rule
    };
    let deeds: &'static [(std::ops::Range<i64>, &str, u64, u64, &str)] = &[
        (0..900, CLOCK, 10, 0, ""),
        (0..400, U1, 2, 0, ""),
        (0..400, "i//p/thin/", 1, 0, ""),
        (500..900, U1, 2, 0, ""),
    ];
    check(vec![
        Episode {
            name: "missed after 2 min of nothing, or when 14 are missing; over when they come again",
            rule: absent(),
            deeds,
            told: &["35:20 firing warning u1", "35:20 firing warning thin", "43:45 recovered warning u1"],
        },
        Episode {
            name: "who made a request every 2 min is not missed",
            rule: absent(),
            deeds: &[
                (0..900, CLOCK, 10, 0, ""),
                (0..1, U1, 1, 0, ""),
                (24..25, U1, 1, 0, ""),
                (48..49, U1, 1, 0, ""),
                (72..73, U1, 1, 0, ""),
                (96..97, U1, 1, 0, ""),
            ],
            told: &[],
        },
        Episode {
            name: "nor is a job that runs every ten minutes, in between",
            rule: absent(),
            deeds: &[
                (0..900, CLOCK, 10, 0, ""),
                (0..12, U1, 50, 0, ""),
                (120..132, U1, 50, 0, ""),
                (240..252, U1, 50, 0, ""),
                (360..372, U1, 50, 0, ""),
                (480..492, U1, 50, 0, ""),
            ],
            told: &["68:00 firing warning u1"],
        },
        Episode {
            name: "nor one that was there for a moment only",
            rule: absent(),
            deeds: &[(0..900, CLOCK, 10, 0, ""), (100..140, U1, 50, 0, "")],
            told: &[],
        },
        Episode {
            name: "alpha = 1: after window, whatever was there; a few requests do not end it",
            rule: with(absent(), |r| (r.alpha, r.min_requests, r.window) = (1.0, 1, 600_000)),
            deeds: &[
                (0..900, CLOCK, 10, 0, ""),
                (0..1, U1, 1, 0, ""),
                (300..301, U1, 1, 0, ""),
                (450..451, U1, 1, 0, ""),
                (580..900, U1, 1, 0, ""),
            ],
            told: &[
                "35:05 firing warning u1",
                "39:35 recovered warning u1",
                "47:35 reopened warning u1",
                "50:25 recovered warning u1",
            ],
        },
        Episode {
            name: "over after stale_after, and not again",
            rule: with(absent(), |r| r.stale_after = 600_000),
            deeds: &[(0..900, CLOCK, 10, 0, ""), (0..400, U1, 20, 0, "")],
            told: &["35:20 firing warning u1", "43:20 expired warning u1"],
        },
    ]);
}

#[test]
fn a_hang_is_seen_before_its_first_504() {
    let stall = || {
        let mut rule = Rule::new("r", "stall", warning(0.5));
        rule.group_by = vec!["upstream".into()];
        rule
    };
    check(vec![
        Episode {
            name: "all hang for 60 s; then they end, 504, and others go on",
            rule: stall(),
            deeds: &[
                (0..200, CLOCK, 10, 0, ""),
                (0..100, U1, 20, 0, ""),
                (112..124, U1, 20, 20, "504"),
                (124..200, U1, 20, 0, ""),
            ],
            told: &["8:30 firing warning u1", "11:35 recovered warning u1"],
        },
        Episode {
            name: "traffic that comes in waves is no hang",
            rule: stall(),
            deeds: &[
                (0..200, CLOCK, 10, 0, ""),
                (0..40, U1, 40, 0, ""),
                (40..44, U1, 2, 0, ""),
                (44..80, U1, 40, 0, ""),
                (80..84, U1, 2, 0, ""),
                (84..200, U1, 40, 0, ""),
            ],
            told: &[],
        },
        Episode {
            name: "half of it is not yet too few, a third is; and once that lasts, it is just less traffic",
            rule: stall(),
            deeds: &[
                (0..400, CLOCK, 10, 0, ""),
                (0..100, U1, 20, 0, ""),
                (100..140, U1, 10, 0, ""),
                (140..240, U1, 20, 0, ""),
                (240..400, U1, 6, 0, ""),
            ],
            told: &["20:15 firing warning u1", "30:00 usual warning u1"],
        },
        Episode {
            name: "little traffic says nothing",
            rule: stall(),
            deeds: &[(0..200, CLOCK, 40, 0, ""), (0..100, U1, 9, 0, "")],
            told: &[],
        },
        Episode {
            name: "a server that is gone",
            rule: stall(),
            deeds: &[(0..400, CLOCK, 40, 0, ""), (0..100, U1, 20, 0, "")],
            told: &["8:30 firing warning u1", "18:20 expired warning u1"],
        },
    ]);
}

#[test]
fn slow_requests() {
    let slow = with(Rule::new("r", "slow", warning(0.2)), |r| {
        (r.group_by, r.longer_than) = (vec!["upstream".into()], Some(2_000));
    });
    check(vec![
        Episode {
            name: "a quarter takes 2.5 s",
            rule: slow.clone(),
            deeds: &[(0..20, U1, 20, 0, ""), (20..40, U1, 20, 5, "slow"), (40..80, U1, 20, 0, "")],
            told: &["2:30 firing warning u1", "6:00 recovered warning u1"],
        },
        Episode {
            name: "that is shorter than 3 s",
            rule: with(slow, |r| r.longer_than = Some(3_000)),
            deeds: &[(0..20, U1, 20, 0, ""), (20..40, U1, 20, 5, "slow"), (40..80, U1, 20, 0, "")],
            told: &[],
        },
    ]);
}
