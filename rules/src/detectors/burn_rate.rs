//! `burn_rate`: the error budget of an SLO is used up too fast, over a long and a short window at once (Google's SRE
//! workbook, ch. 5): the long one shows that it matters, the short one that it still goes on.
//!
//! Of the workbook's four pairs of windows the two that page are judged. Those over 6 h are not: counts are held for 6 h.
//! Prometheus has them, from the exported metrics.

use super::{Above, Detector, Way};
use crate::rule::{Problem, Rule};
use crate::window::{MINUTE, Point};
use gatewatch_parsers::Millis;

/// Errors ÷ requests, against the budget.
pub const DETECTOR: Detector = Detector {
    name: "burn_rate",
    summary: "the error budget of an SLO is used up too fast",
    is_count: false,
    above: Above::None,
    keys: &["group_by", "match", "counts", "status", "slo", "min_requests", "min_errors"],
    way: Way::Burn,
    level: Point::ratio,
    bad_point: |above, point| point.ratio() > above,
    problems,
};

/// A pair of windows, and how many times as fast as the SLO allows the budget must be used up in both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The long window.
    pub long: Millis,
    /// The short one.
    pub short: Millis,
    /// How many times.
    pub burn: f64,
}

/// The pairs that are judged, the fastest first.
pub const PAIRS: [Pair; 2] = [
    Pair { long: 60 * MINUTE, short: 5 * MINUTE, burn: 14.4 },
    Pair { long: 360 * MINUTE, short: 30 * MINUTE, burn: 6.0 },
];

/// The pairs whose windows are too long to be judged here.
pub const EXPORTED: [Pair; 2] = [
    Pair { long: 24 * 60 * MINUTE, short: 120 * MINUTE, burn: 3.0 },
    Pair { long: 72 * 60 * MINUTE, short: 360 * MINUTE, burn: 1.0 },
];

impl Pair {
    /// The share of errors above which both windows must be.
    #[must_use]
    pub fn limit(&self, slo: f64) -> f64 {
        self.burn * (1.0 - slo)
    }

    /// The pair with this long window.
    #[must_use]
    pub fn of(long: Millis) -> Pair {
        PAIRS.into_iter().find(|pair| pair.long == long).unwrap_or(PAIRS[0])
    }
}

/// The lowest share of errors that may be bad.
#[must_use]
pub fn lowest_limit(slo: f64) -> f64 {
    PAIRS.iter().map(|pair| pair.limit(slo)).fold(f64::INFINITY, f64::min)
}

fn problems(rule: &Rule) -> Vec<Problem> {
    let is_sound = |slo: f64| slo > 0.0 && slo < 1.0;
    match rule.slo {
        Some(slo) if is_sound(slo) && lowest_limit(slo) < 1.0 => Vec::new(),
        Some(slo) if is_sound(slo) => {
            vec![Problem::new(
                "slo",
                "is so low that its budget cannot burn six times too fast; use [rule.ratio.…]",
            )]
        }
        _ => vec![Problem::new("slo", "must be a share between 0 % and 100 %, like \"99.9%\"")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_workbook() {
        let limits: Vec<f64> = PAIRS.iter().chain(&EXPORTED).map(|pair| pair.limit(0.999) * 1e4).collect();
        assert_eq!(limits.iter().map(|limit| limit.round() as u64).collect::<Vec<_>>(), [144, 60, 30, 10]);
        // Budget ÷ (window ÷ 30 d), of 2 %, 5 %, 10 % and 10 %.
        for (pair, share) in PAIRS.iter().chain(&EXPORTED).zip([0.02, 0.05, 0.1, 0.1]) {
            let burn = share * 30.0 * 24.0 * 60.0 / (pair.long / MINUTE) as f64;
            assert!((burn - pair.burn).abs() < 1e-9, "{pair:?}");
            assert_eq!(pair.long / pair.short, 12);
        }
    }
}
