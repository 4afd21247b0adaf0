//! Detectors: numbers in, bad or not out, and what spared it. Pure. One file per kind, one line in [`DETECTORS`].

use crate::rule::{Problem, Rule};
use crate::window::{Point, Window};

pub mod absent;
pub mod burn_rate;
pub mod count;
pub mod normal;
pub mod pace;
pub mod ratio;
pub mod slow;
pub mod spike;
pub mod stall;
pub mod unparsed;

/// Every detector, by the word in `[rule.<word>.<name>]`.
pub const DETECTORS: &[Detector] = &[
    ratio::DETECTOR,
    count::DETECTOR,
    spike::DETECTOR,
    burn_rate::DETECTOR,
    absent::DETECTOR,
    stall::DETECTOR,
    slow::DETECTOR,
    unparsed::DETECTOR,
];

/// What `above` is to a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Above {
    /// A share, and the one key that a rule needs.
    Share,
    /// A number of errors, and the one key that a rule needs.
    Number,
    /// A share that may be left out.
    Floor,
    /// Nothing that can be set: another key says it.
    None,
}

/// Whether a group becomes bad at a threshold, as far as its own window tells.
pub type Judge = fn(&Rule, f64, &Window) -> Verdict;

/// What a detector looks at.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// The counts in the window.
    Window(Judge),
    /// Two windows at once, against a budget.
    Burn,
    /// How long there has been nothing.
    Silence,
    /// How few there were lately.
    Stall,
    /// Lines, not requests: no engine judges them.
    Lines,
}

impl Way {
    /// Whether it looks for what does not come: then a group matters for its requests, not for its errors.
    #[must_use]
    pub fn is_of_traffic(self) -> bool {
        matches!(self, Way::Silence | Way::Stall)
    }
}

/// A way to tell bad from good.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// Its word in the configuration.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Whether `above` is a number of errors and not a ratio.
    pub is_count: bool,
    /// What `above` is.
    pub above: Above,
    /// The keys of a rule that only some detectors read, and this one does.
    pub keys: &'static [&'static str],
    /// What it looks at.
    pub way: Way,
    /// What is compared with `above` and `recover_below`.
    pub level: fn(Point) -> f64,
    /// Whether a single step or minute is bad by itself.
    pub bad_point: fn(f64, Point) -> bool,
    /// What is wrong with the keys that only it reads.
    pub problems: fn(&Rule) -> Vec<Problem>,
}

/// Finds a detector by its word.
#[must_use]
pub fn find(name: &str) -> Option<&'static Detector> {
    DETECTORS.iter().find(|d| d.name == name)
}

/// Finds a detector that judges what is counted.
pub(crate) fn find_of_counts(name: &str) -> Option<&'static Detector> {
    find(name).filter(|detector| !matches!(detector.way, Way::Lines))
}

/// Bad, or the first thing that spared it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every condition holds.
    Bad,
    /// Nothing failed.
    NoErrors,
    /// Less traffic than `min_requests`.
    TooFewRequests,
    /// Fewer errors than `min_errors`.
    TooFewErrors,
    /// Not above the threshold.
    NotAbove,
    /// Above it, but it may be chance.
    NotSure,
    /// Above it, but in too few steps: a blip.
    TooFewBadSteps,
    /// Above it, but no more than a blip explains.
    Blip,
    /// Above it, but all other groups are as bad, or there is none.
    LikeTheRest,
    /// Above it, but that is its own normal.
    LikeItself,
    /// Nothing is known yet that it could be compared with.
    NoHistory,
}

/// The conditions that every detector shares, cheapest first.
fn judge_shared(rule: &Rule, above: f64, window: &Window, detector: &Detector) -> Verdict {
    let sum = window.sum();
    if sum.errors == 0 {
        return Verdict::NoErrors;
    }
    if window.requests() < rule.min_requests {
        return Verdict::TooFewRequests;
    }
    if sum.errors < rule.min_errors {
        return Verdict::TooFewErrors;
    }
    // Strictly above, and a number that is none (a broken threshold) is never above.
    if (detector.level)(sum) <= above || above.is_nan() {
        return Verdict::NotAbove;
    }
    if rule.min_bad_steps > 1 {
        let bad = window.points().iter().filter(|p| (detector.bad_point)(above, **p)).count();
        // A window of minutes may have fewer points than steps were asked for: then all of them.
        if bad < window.points().len().min(rule.min_bad_steps as usize) {
            return Verdict::TooFewBadSteps;
        }
    }
    Verdict::Bad
}

/// Whether a group is above `times_rest` times the ratio of all other groups together. Without traffic elsewhere there is
/// nothing to compare with: on a single host such a rule is silent.
#[must_use]
pub fn above_rest(times: f64, group: Point, rest: Point) -> bool {
    rest.requests > 0 && group.ratio() > times * rest.ratio()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (i, detector) in DETECTORS.iter().enumerate() {
            assert_eq!(DETECTORS.iter().position(|d| d.name == detector.name), Some(i));
            assert!(!detector.summary.is_empty());
            assert_eq!(find(detector.name).map(|d| d.name), Some(detector.name));
        }
        assert!(find("astrology").is_none());
    }

    #[test]
    fn the_rest() {
        let point = |errors, requests| Point { errors, requests };
        let cases = [
            (3.0, point(10, 100), point(3, 100), true),
            (3.0, point(9, 100), point(3, 100), false),
            (3.0, point(1, 100), point(0, 100), true),
            (3.0, point(100, 100), point(0, 0), false),
            (3.0, point(90, 100), point(40, 100), false),
        ];
        for (times, group, rest, expected) in cases {
            assert_eq!(above_rest(times, group, rest), expected, "{group:?} {rest:?}");
        }
    }
}
