//! `spike`: errors ÷ requests, so many times the group's own normal; `above` is only a floor.

use super::{Above, Detector, Verdict, Way, judge_shared, ratio};
use crate::rule::{Problem, Rule};
use crate::window::{Point, Window};

/// Errors ÷ requests, against the group's own normal.
pub const DETECTOR: Detector = Detector {
    name: "spike",
    summary: "the share of requests that failed, against the group's own normal",
    is_count: false,
    above: Above::Floor,
    keys: ratio::KEYS,
    way: Way::Window(judge),
    level: Point::ratio,
    bad_point: |above, point| point.ratio() > above,
    problems,
};

fn judge(rule: &Rule, above: f64, window: &Window) -> Verdict {
    ratio::sure(rule, above, window, judge_shared(rule, above, window, &DETECTOR))
}

fn problems(rule: &Rule) -> Vec<Problem> {
    let mut found = ratio::problems(rule);
    if rule.baseline.is_none() {
        found.push(Problem::new("baseline", "is what a spike rule judges by: it cannot be off"));
    }
    found
}
