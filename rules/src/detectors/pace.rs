//! How fast requests come while all is well, for the detectors that hear what does not come.

use crate::window::Point;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

/// How fast requests come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Requests a millisecond.
    pub rate: f64,
    /// So long without any is bad.
    pub patience: Millis,
}

/// Nothing is as fast: far from overflow in any time that is asked for.
const RATE_MAX: f64 = 1e6;

impl Pace {
    /// Whether it can have been saved.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (0.0..=RATE_MAX).contains(&self.rate) && crate::saved::is_time(self.patience)
    }

    /// How many are expected in so long.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52")]
    pub fn expected(&self, length: Millis) -> f64 {
        self.rate * length.max(0) as f64
    }

    /// Of those expected in so long, how many have not come, where so many have.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and far below 2^52"
    )]
    pub fn missing(&self, length: Millis, came: u64) -> Point {
        let expected = self.expected(length).round() as u64;
        Point { errors: expected.saturating_sub(came), requests: expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_come() {
        let pace = Pace { rate: 0.1, patience: 60_000 };
        let point = |errors, requests| Point { errors, requests };
        assert_eq!(pace.missing(10_000, 0), point(1_000, 1_000));
        assert_eq!(pace.missing(10_000, 990), point(10, 1_000));
        assert_eq!(pace.missing(10_000, 2_000), point(0, 1_000));
        assert_eq!(pace.missing(-1, 0), point(0, 0));
        assert!(pace.is_sound() && !Pace { rate: f64::NAN, ..pace }.is_sound());
    }
}
