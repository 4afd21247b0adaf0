//! `count`: the number of errors in a window, above a threshold, whatever the traffic.

use super::{Above, Detector, Verdict, Way, judge_shared};
use crate::rule::{Problem, Rule};
use crate::window::{Point, Window};

/// The number of errors.
pub const DETECTOR: Detector = Detector {
    name: "count",
    summary: "the number of requests that failed",
    is_count: true,
    above: Above::Number,
    keys: &[
        "group_by",
        "match",
        "window",
        "above",
        "counts",
        "status",
        "min_requests",
        "min_errors",
        "min_bad_steps",
        "recover_below",
    ],
    way: Way::Window(judge),
    level,
    // The threshold is one of the whole window, so a step is bad as soon as it has any error.
    bad_point: |_, point| point.errors > 0,
    problems,
};

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn level(point: Point) -> f64 {
    point.errors as f64
}

fn judge(rule: &Rule, above: f64, window: &Window) -> Verdict {
    judge_shared(rule, above, window, &DETECTOR)
}

fn problems(rule: &Rule) -> Vec<Problem> {
    let mut found = Vec::new();
    if rule.above.iter().any(|&(_, above)| !(above.is_finite() && above >= 0.0)) {
        found.push(Problem::new("above", "must be a number of errors, 0 or more"));
    }
    let of_ratio = "belongs to rules of kind ratio; a count rule compares a number of errors";
    if rule.confidence.is_some() {
        found.push(Problem::new("confidence", of_ratio));
    }
    if rule.times_rest != 0.0 {
        found.push(Problem::new("times_rest", of_ratio));
    }
    if rule.baseline.is_some() {
        found.push(Problem::new("baseline", of_ratio));
    }
    if rule.stretch.is_some() {
        found.push(Problem::new("stretch", of_ratio));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Severity;
    use crate::window::Span;

    #[test]
    fn counts_errors_and_not_traffic() {
        let rule = Rule::new("any-504", "count", vec![(Severity::Warning, 20.0)]);
        for (errors, requests, verdict) in [
            (20, 20, Verdict::NotAbove),
            (21, 21, Verdict::Bad),
            (21, 1_000_000, Verdict::Bad),
            (0, 5, Verdict::NoErrors),
        ] {
            let mut window = Window::default();
            window.reset(Span { from: 0, to: 5_000, unit: 5_000 });
            window.add(0, Point { errors, requests });
            assert_eq!(judge(&rule, 20.0, &window), verdict, "{errors} of {requests}");
        }
    }
}
