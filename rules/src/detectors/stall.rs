//! `stall`: requests stop being answered: a hang, seen before its first 504.
//!
//! A log line is written when its request ends, so an upstream that hangs for 60 s is invisible for 60 s, but for what does
//! not come: in the last `window` fewer requests were completed than `1 − above` of what is expected, and than of the least
//! that any stretch of that length had as long as steps are held before it (5 min of 5 s), so that traffic which comes in
//! waves is none; `min_requests` were expected, and chance explains it with at most `alpha`. How many were expected is the
//! mean of those stretches, and stays while the alert lasts.
//!
//! A log cannot tell requests that hang from requests that are not made. So it is a possible stall; once it has lasted for
//! `stale_after`, it is just less traffic, and over.

use super::{Above, Detector, Way};
use crate::rule::{Problem, Rule};
use crate::window::Point;

/// Requests that are not completed.
pub const DETECTOR: Detector = Detector {
    name: "stall",
    summary: "requests stop being completed: a hang before its first 504",
    is_count: false,
    above: Above::Share,
    keys: &["group_by", "match", "window", "above", "alpha", "min_requests", "recover_below"],
    way: Way::Stall,
    level: Point::ratio,
    bad_point: |above, point| point.ratio() > above,
    problems,
};

fn problems(rule: &Rule) -> Vec<Problem> {
    let mut found = Vec::new();
    if rule.above.iter().any(|&(_, above)| !(above > 0.0 && above < 1.0)) {
        found.push(Problem::new("above", "must be a share above 0 % and below 100 %"));
    }
    if rule.min_requests == 0 {
        found.push(Problem::new("min_requests", "must be at least 1"));
    }
    found
}
