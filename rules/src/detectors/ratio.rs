//! `ratio`: errors ÷ requests over a window, above a threshold beyond chance.

use super::{Above, Detector, Verdict, Way, judge_shared};
use crate::rule::{Problem, Rule};
use crate::window::{Point, Window};

pub(super) const KEYS: &[&str] = &[
    "group_by",
    "match",
    "window",
    "above",
    "counts",
    "status",
    "stretch",
    "min_requests",
    "min_errors",
    "confidence",
    "min_bad_steps",
    "blip",
    "times_rest",
    "recover_below",
    "baseline",
    "alpha",
    "times",
    "ceiling",
];

/// Errors ÷ requests.
pub const DETECTOR: Detector = Detector {
    name: "ratio",
    summary: "the share of requests that failed",
    is_count: false,
    above: Above::Share,
    keys: KEYS,
    way: Way::Window(judge),
    level: Point::ratio,
    bad_point: |above, point| point.ratio() > above,
    problems,
};

fn judge(rule: &Rule, above: f64, window: &Window) -> Verdict {
    sure(rule, above, window, judge_shared(rule, above, window, &DETECTOR))
}

/// What is bad must be so beyond chance.
pub(super) fn sure(rule: &Rule, above: f64, window: &Window, verdict: Verdict) -> Verdict {
    if verdict == Verdict::Bad
        && let Some(confidence) = rule.confidence
        && wilson_lower(window.sum(), two_sided_z(confidence)) <= above
    {
        return Verdict::NotSure;
    }
    verdict
}

pub(super) fn problems(rule: &Rule) -> Vec<Problem> {
    let mut found = Vec::new();
    if rule.above.iter().any(|&(_, above)| !(0.0..1.0).contains(&above)) {
        found.push(Problem::new("above", "must be a share from 0 % to below 100 %: no ratio is above 100 %"));
    }
    if rule.confidence.is_some_and(|c| !(0.5..1.0).contains(&c)) {
        found.push(Problem::new("confidence", "must be from 50 % to below 100 %; 99 % is usual"));
    }
    if !(rule.times_rest.is_finite() && rule.times_rest >= 0.0) {
        found.push(Problem::new("times_rest", "must be 0 (off) or a positive number"));
    } else if rule.times_rest > 0.0 && rule.group_by.is_empty() {
        found.push(Problem::new("times_rest", "needs group_by: a sole group has no others to compare with"));
    }
    found
}

/// The lower end of Wilson's interval: the least ratio that these numbers leave credible. It is what keeps 1 error of 1
/// from being 100 %.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub fn wilson_lower(point: Point, z: f64) -> f64 {
    if point.requests == 0 {
        return 0.0;
    }
    let n = point.requests as f64;
    // Errors may exceed what they are divided by where the two are counted apart (masked ÷ attempts).
    let p = point.ratio().min(1.0);
    let z2 = z * z;
    let centre = p + z2 / (2.0 * n);
    let spread = z * ((p * (1.0 - p) / n) + z2 / (4.0 * n * n)).sqrt();
    ((centre - spread) / (1.0 + z2 / n)).max(0.0)
}

/// The z of a two-sided confidence: 0.99 → 2.5758. Acklam's approximation of the normal quantile, off by less than
/// 1.2e-9 relative.
#[must_use]
pub fn two_sided_z(confidence: f64) -> f64 {
    normal_quantile(f64::midpoint(1.0, confidence.clamp(0.0, 1.0 - 1e-12)))
}

/// The value that a standard normal variable stays below with probability `p`, for 0.5 ≤ p < 1.
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let horner = |of: &[f64], x: f64| of.iter().fold(0.0, |sum, c| sum * x + c);
    if p <= 0.975_75 {
        let q = p - 0.5;
        return q * horner(&A, q * q) / horner(&B, q * q);
    }
    let q = (-2.0 * (1.0 - p).ln()).sqrt();
    -horner(&C, q) / horner(&D, q)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Severity;
    use crate::window::Span;

    #[test]
    fn the_usual_z() {
        let cases =
            [(0.5, 0.674_490), (0.9, 1.644_854), (0.95, 1.959_964), (0.99, 2.575_829), (0.999, 3.290_527)];
        for (confidence, z) in cases {
            assert!((two_sided_z(confidence) - z).abs() < 1e-5, "{confidence}: {}", two_sided_z(confidence));
        }
        assert!(two_sided_z(1.0).is_finite());
    }

    /// How many errors of n put the lower bound above 5 %.
    #[test]
    fn errors_needed() {
        for (requests, needed) in [(10, 3), (20, 4), (50, 7), (100, 11), (1000, 68)] {
            let z = two_sided_z(0.99);
            let least = (0..=requests).find(|&errors| wilson_lower(Point { errors, requests }, z) > 0.05);
            assert_eq!(least, Some(needed), "of {requests}");
        }
        assert_eq!(wilson_lower(Point::default(), 2.58), 0.0);
        assert!(wilson_lower(Point { errors: 9, requests: 3 }, 2.58).is_finite());
    }

    fn window(points: &[(u64, u64)]) -> Window {
        let mut window = Window::default();
        let to = 5_000 * i64::try_from(points.len()).unwrap();
        window.reset(Span { from: 0, to, unit: 5_000 });
        for (i, &(errors, requests)) in points.iter().enumerate() {
            window.add(5_000 * i64::try_from(i).unwrap(), Point { errors, requests });
        }
        window
    }

    #[test]
    fn what_spares_a_group() {
        let mut rule = Rule::new("errors", "ratio", vec![(Severity::Warning, 0.05)]);
        (rule.min_requests, rule.min_errors, rule.min_bad_steps) = (10, 5, 3);
        rule.confidence = Some(0.99);
        let cases: &[(&[(u64, u64)], Verdict)] = &[
            (&[(0, 1000)], Verdict::NoErrors),
            (&[], Verdict::NoErrors),
            (&[(1, 1)], Verdict::TooFewRequests),
            (&[(4, 10)], Verdict::TooFewErrors),
            (&[(5, 100), (0, 0), (0, 0)], Verdict::NotAbove), // strictly above
            (&[(100, 200), (0, 200), (0, 200)], Verdict::TooFewBadSteps), // a 5 s blip
            (&[(3, 33), (3, 33), (2, 34)], Verdict::NotSure), // 8 of 100
            (&[(4, 33), (4, 33), (3, 34)], Verdict::Bad),     // 11 of 100
        ];
        for (points, verdict) in cases {
            assert_eq!(judge(&rule, 0.05, &window(points)), *verdict, "{points:?}");
        }
        assert_eq!(judge(&rule, f64::NAN, &window(&[(10, 10)])), Verdict::NotAbove);
    }
}
