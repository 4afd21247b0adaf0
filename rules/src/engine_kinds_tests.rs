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
    vec![changed, spike]
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
