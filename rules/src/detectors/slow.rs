//! `slow`: the share of requests that took longer than `longer_than`. Those whose log names no time are not slow; tunnels
//! (CONNECT, 101) are not counted as such: their time is the client's.

use super::{Above, Detector, Verdict, Way, judge_shared, ratio};
use crate::rule::{Problem, Rule};
use crate::tally::slow_units;
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

/// So many lengths of time are watched at most.
pub(crate) const WATCHED_MAX: usize = 1_000;

/// The times that rules watch, in hundredths of a second, sorted.
pub(crate) fn watched_times(rules: &[Rule]) -> Vec<u16> {
    let mut times: Vec<u16> = rules.iter().filter_map(|rule| slow_units(rule.longer_than?)).collect();
    times.sort_unstable();
    times.dedup();
    times.truncate(WATCHED_MAX);
    times
}

fn judge(rule: &Rule, above: f64, window: &Window) -> Verdict {
    ratio::sure(rule, above, window, judge_shared(rule, above, window, &DETECTOR))
}

fn problems(rule: &Rule) -> Vec<Problem> {
    let mut found = ratio::problems(rule);
    let is_counted = |longer_than| slow_units(longer_than).is_some();
    if !rule.longer_than.is_some_and(is_counted) {
        let message = "must be whole hundredths of a second, from 10ms to 10m, like \"2s\"";
        found.push(Problem::new("longer_than", message));
    }
    found
}
