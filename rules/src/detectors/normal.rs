//! A group's own normal: what share of it fails when all is well, and what is beyond that. Chronically bad groups (a target
//! that refuses every fifth request) are told of when they change, and only then.
//!
//! The normal is drawn to that of all groups of the rule together, as if the group had had [`PRIOR`] requests like theirs:
//! so a group that has just come is judged as the others are, and one with some thousand requests by itself. The threshold
//! of a group is its rule's, or `times` its normal if that is higher, though not above `ceiling`, nor above half-way from
//! its normal to everything; and what is above it must be beyond chance: Poisson's tail (Chernoff's bound) below `alpha`.
//!
//! It has recovered once it is not above `recover_below`; or, being chronic, once it is back at its normal: not above
//! half-way from there to where it was bad, or below the ceiling and so little above its normal that chance explains it (the
//! cube root of `alpha`). Else a group that fails 20 % of the time would fire for ever after its first real fault.
//!
//! Where nothing is known yet, at the very first start, a ratio rule judges by its threshold alone (its people learn once
//! that a group is chronic), and a spike rule says nothing. An alert of a group that had been seen for less than half of the
//! baseline when it began ends as `usual` once it has lasted for a whole one without a change: what the group has been like
//! ever since it is known is its normal, and it is told of again when it changes. Never above the ceiling.

use crate::rule::Rule;
use crate::window::Point;
use serde::{Deserialize, Serialize};

use super::ratio::{two_sided_z, wilson_lower};

/// The normal of all groups counts for one of them as so many requests.
pub const PRIOR: u64 = 50;

/// A group's own normal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// The share that fails (0–1).
    pub ratio: f64,
}

impl Normal {
    /// Of a group that was like this while all groups of its rule were like that; `None`: too little is known of any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn of(own: Point, all: Point) -> Option<Normal> {
        if all.requests < PRIOR {
            return None;
        }
        let prior = PRIOR as f64;
        // Half an error of one request more: that nothing has failed so far does not mean that nothing ever does.
        let errors = own.errors as f64 + prior * all.ratio() + 0.5;
        Some(Normal { ratio: (errors / (own.requests as f64 + prior + 1.0)).min(1.0) })
    }

    /// Whether it can have been saved.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (0.0..=1.0).contains(&self.ratio)
    }

    /// Whether it is beyond its normal: above the rule's ceiling, or not to be explained by chance.
    #[must_use]
    pub fn is_passed(&self, rule: &Rule, sum: Point) -> bool {
        let least = rule.confidence.map_or(sum.ratio(), |c| wilson_lower(sum, two_sided_z(c)));
        least > rule.ceiling || self.score(sum) > (1.0 / rule.alpha).ln()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn score(&self, sum: Point) -> f64 {
        score(sum.errors as f64, sum.requests as f64 * self.ratio)
    }
}

/// Above this a group is bad under a threshold of its rule.
#[must_use]
pub fn bar(rule: &Rule, above: f64, normal: Option<&Normal>) -> f64 {
    let own = normal.map_or(0.0, |n| (n.ratio * rule.times).min(f64::midpoint(n.ratio, 1.0)));
    own.min(rule.ceiling).max(above)
}

/// Whether a group with an alert has not recovered.
#[must_use]
pub fn is_still_up(rule: &Rule, normal: Option<&Normal>, sum: Point) -> bool {
    let (level, limit) = (sum.ratio(), rule.recover_level());
    let is_back = |normal: &Normal| {
        let half_way = f64::midpoint(normal.ratio, bar(rule, rule.lowest_above(), Some(normal)));
        let may_be_chance = level <= rule.ceiling && normal.score(sum) <= (1.0 / rule.alpha).ln() / 3.0;
        normal.ratio * rule.times > limit && (level <= half_way || may_be_chance)
    };
    level > limit && !normal.is_some_and(is_back)
}

/// How far a number is from the one expected: ln(1/α) where a Poisson variable gets as far with probability α at most.
/// 0 where it is no further in this direction.
#[must_use]
pub fn score(found: f64, expected: f64) -> f64 {
    if found <= expected { 0.0 } else { distance(found, expected) }
}

/// The same for a number that is lower than expected.
#[must_use]
pub fn score_below(found: f64, expected: f64) -> f64 {
    if found >= expected { 0.0 } else { distance(found, expected) }
}

fn distance(found: f64, expected: f64) -> f64 {
    if found <= 0.0 { expected } else { found * (found / expected).ln() - (found - expected) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Severity;
    use proptest::prelude::*;

    fn rule() -> Rule {
        let mut rule = Rule::new("r", "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
        (rule.baseline, rule.confidence) = (Some(1_800_000), Some(0.99));
        rule
    }

    fn point(errors: u64, requests: u64) -> Point {
        Point { errors, requests }
    }

    /// How many errors of n are beyond a normal of 1 % (α = 1e-6): the bound asks for one or two more than the tail itself.
    #[test]
    fn errors_needed() {
        let (rule, normal) = (rule(), Normal { ratio: 0.01 });
        for (requests, needed) in [(10, 5), (50, 8), (100, 10), (1000, 31)] {
            let least = (0..=requests).find(|&errors| normal.is_passed(&rule, point(errors, requests)));
            assert_eq!(least, Some(needed), "of {requests}");
        }
    }

    #[test]
    fn a_new_group_is_like_the_others_and_an_old_one_like_itself() {
        let normal = |own, all| Normal::of(own, all).map(|n| (n.ratio * 1e4).round() / 1e4);
        assert_eq!(normal(point(0, 0), point(100, 10_000)), Some(0.0196));
        assert_eq!(normal(point(2_000, 10_000), point(2_100, 20_000)), Some(0.1996));
        assert_eq!(normal(point(0, 100_000), point(0, 100_000)), Some(0.0));
        assert_eq!(normal(point(9, 49), point(9, 49)), None);
    }

    #[test]
    fn thresholds_of_groups() {
        let rule = rule();
        for (normal, above, expected) in
            [(0.01, 0.05, 0.05), (0.01, 0.2, 0.2), (0.2, 0.05, 0.3), (0.2, 0.2, 0.3), (0.6, 0.05, 0.5)]
        {
            let found = bar(&rule, above, Some(&Normal { ratio: normal }));
            assert!((found - expected).abs() < 1e-9, "{normal} {above}: {found}");
        }
        let spike = Rule::new("s", "spike", vec![(Severity::Warning, 0.0)]);
        assert_eq!(bar(&spike, 0.0, Some(&Normal { ratio: 0.5 })), 0.75);
        assert_eq!(bar(&rule, 0.05, None), 0.05);
    }

    #[test]
    fn a_chronic_group_recovers_to_its_normal() {
        let (rule, chronic) = (rule(), Normal { ratio: 0.2 });
        for (sum, expected) in [
            (point(400, 1_000), true),
            (point(280, 1_000), true),
            (point(210, 1_000), false),
            (point(20, 1_000), false),
            (point(4, 10), false), // chance
            (point(9, 10), true),
        ] {
            assert_eq!(is_still_up(&rule, Some(&chronic), sum), expected, "{sum:?}");
        }
        // Of one that is well most of the time, only `recover_below` counts.
        assert!(is_still_up(&rule, Some(&Normal { ratio: 0.01 }), point(1, 10)));
        assert!(is_still_up(&rule, None, point(3, 100)) && !is_still_up(&rule, None, point(2, 100)));
    }

    proptest! {
        #[test]
        fn scores_grow_with_the_distance(expected in 0.0..1e6f64, found in 0.0..1e6f64, more in 0.1..1e5f64) {
            let (near, far) = (score(found, expected), score(found + more, expected));
            prop_assert!(near >= 0.0 && far >= near);
            prop_assert!(score(found, expected) == 0.0 || score_below(found, expected) == 0.0);
        }

        #[test]
        fn a_bar_is_never_below_the_threshold(ratio in 0.0..=1.0f64, above in 0.0..1.0f64, times in 1.0..9.0f64) {
            let rule = Rule { times, ..rule() };
            let bar = bar(&rule, above, Some(&Normal { ratio }));
            prop_assert!(bar >= above && bar <= rule.ceiling.max(above));
        }
    }
}
