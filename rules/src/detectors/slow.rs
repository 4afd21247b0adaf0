//! `slow`: the share of requests that took longer than `longer_than`. Those whose log names no time are not slow; tunnels
//! (CONNECT, 101) are not counted as such: their time is the client's.

use super::{Above, Detector, Verdict, Way, judge_shared, ratio};
use crate::rule::{Problem, Rule};
use crate::window::{Point, Window};

/// Slow requests ÷ requests.
pub const DETECTOR: Detector = Detector {
    name: "slow",
    summary: "the share of requests that took too long",
    is_count: false,
    above: Above::Share,
    keys: &[
        "group_by",
        "match",
        "window",
        "above",
        "longer_than",
        "stretch",
        "min_requests",
        "min_errors",
        "confidence",
        "min_bad_steps",
        "times_rest",
        "recover_below",
        "baseline",
        "alpha",
        "times",
        "ceiling",
    ],
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
    let is_counted = |longer_than| crate::tally::slow_units(longer_than).is_some();
    if !rule.longer_than.is_some_and(is_counted) {
        let message = "must be whole hundredths of a second, from 10ms to 10m, like \"2s\"";
        found.push(Problem::new("longer_than", message));
    }
    found
}
