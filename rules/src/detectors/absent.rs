//! `absent`: a group that had requests has none any more: its input fell silent, its server is gone, its site was moved.
//!
//! How long that has to last follows from how fast requests came before, over the `baseline` that ends with the last one:
//! at least `window`, until chance explains it with at most `alpha` (14 requests did not come, at 1e-6), and three times the
//! longest gap of whole minutes that there was, lest a job that runs every ten minutes is missed in between. A group with
//! fewer than `min_requests` in its baseline, or that was seen for less than half of it, is not missed, so that nights are
//! quiet. `alpha = 1`: after `window`, whatever the traffic was.
//!
//! It is over once requests come again, at half that pace at least. Silence is what it is about, so `stale_after` ends it
//! only after a day.

use super::{Above, Detector, Way};
use crate::rule::{Problem, Rule};
use crate::window::Point;

/// Requests that do not come any more.
pub const DETECTOR: Detector = Detector {
    name: "absent",
    summary: "a group that had requests has none any more",
    is_count: false,
    above: Above::None,
    keys: &["group_by", "match", "window", "baseline", "alpha", "min_requests"],
    way: Way::Silence,
    level: Point::ratio,
    bad_point: |_, point| point.requests == 0,
    problems,
};

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn problems(rule: &Rule) -> Vec<Problem> {
    let mut found = Vec::new();
    if rule.baseline.is_none() {
        found.push(Problem::new("baseline", "is what tells how many requests are missed: it cannot be off"));
    }
    let least = (1.0 / rule.alpha).ln().ceil();
    if rule.min_requests == 0 || (rule.min_requests as f64) < least {
        let message = format!("must be at least {}: fewer may be chance (alpha)", least.max(1.0));
        found.push(Problem::new("min_requests", message));
    }
    if rule.stale_after <= rule.window {
        found.push(Problem::new("stale_after", "must be longer than window"));
    }
    found
}
