//! Counts over time in few points, however long the time: when there are too many, points join.

use crate::report::Timeline;
use gatewatch_parsers::Millis;
use std::collections::BTreeMap;

/// At most so many points.
pub const POINTS_MAX: i64 = 300;

const SECOND: Millis = 1_000;
const DAY: Millis = 86_400 * SECOND;
/// The lengths of a point; each divides the next, so that joining is exact. Beyond the last: doublings of it.
const LENGTHS: [Millis; 9] = [
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
    900 * SECOND,
    3_600 * SECOND,
    21_600 * SECOND,
    DAY,
];

/// A timeline that grows.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    length: Millis,
    /// Requests and errors by start ÷ length.
    points: BTreeMap<i64, (u64, u64)>,
}

impl Points {
    pub fn new() -> Points {
        Points { length: LENGTHS[0], points: BTreeMap::new() }
    }

    /// Counts at a time.
    pub fn add(&mut self, time: Millis, requests: u64, errors: u64) {
        let point = self.points.entry(time.div_euclid(self.length)).or_default();
        *point = (point.0 + requests, point.1 + errors);
        while self.span() > POINTS_MAX {
            self.coarsen();
        }
    }

    /// How many points there are between the first and the last.
    fn span(&self) -> i64 {
        match (self.points.first_key_value(), self.points.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last.saturating_sub(*first).saturating_add(1),
            _ => 0,
        }
    }

    fn coarsen(&mut self) {
        let next = LENGTHS.into_iter().find(|length| *length > self.length).unwrap_or(self.length * 2);
        let factor = next / self.length;
        let mut joined: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        for (number, (requests, errors)) in &self.points {
            let point = joined.entry(number.div_euclid(factor)).or_default();
            *point = (point.0 + requests, point.1 + errors);
        }
        (self.length, self.points) = (next, joined);
    }

    pub fn finish(&self) -> Timeline {
        let first = self.points.first_key_value().map_or(0, |(first, _)| *first);
        let point = |i: i64| self.points.get(&(first + i)).copied().unwrap_or_default();
        let points: Vec<(u64, u64)> = (0..self.span()).map(point).collect();
        Timeline {
            step: self.length,
            start: first.saturating_mul(self.length),
            requests: points.iter().map(|p| p.0).collect(),
            gateway_errors: points.iter().map(|p| p.1).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_length_divides_the_next() {
        assert!(LENGTHS.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }

    #[test]
    fn the_smallest_length_that_fits_is_taken() {
        let cases = [
            (0, 5, 1),
            (1_495, 5, 300),
            (1_500, 10, 151),
            (3_000, 30, 101),
            (3_600 * 24, 300, 289),
            (3_600 * 24 * 7, 3_600, 169),
            (3_600 * 24 * 299, 86_400, 300),
            (3_600 * 24 * 300, 172_800, 151),
        ];
        for (last, length, points) in cases {
            let mut timeline = Points::new();
            timeline.add(0, 1, 0);
            timeline.add(last * SECOND, 1, 1);
            let timeline = timeline.finish();
            assert_eq!((timeline.step, timeline.requests.len()), (length * SECOND, points), "{last} s");
        }
        assert!(Points::new().finish().requests.is_empty());
    }

    proptest! {
        #[test]
        fn joining_is_exact_and_order_does_not_matter(
            mut times in proptest::collection::vec((0..400_000_000i64, 0u64..5), 1..100),
            scale in 0..12u32,
        ) {
            let of = |times: &[(i64, u64)]| {
                let mut points = Points::new();
                times.iter().for_each(|(time, n)| points.add(time << scale, n + 1, *n));
                points.finish()
            };
            let timeline = of(&times);
            prop_assert!(timeline.requests.len() as i64 <= POINTS_MAX);
            prop_assert_eq!(timeline.requests.iter().sum::<u64>(), times.iter().map(|t| t.1 + 1).sum::<u64>());
            prop_assert_eq!(timeline.gateway_errors.iter().sum::<u64>(), times.iter().map(|t| t.1).sum::<u64>());
            let inside = times.iter().filter(|t| (t.0 << scale) < timeline.start + timeline.step);
            prop_assert_eq!(timeline.requests[0], inside.map(|t| t.1 + 1).sum::<u64>());
            times.reverse();
            prop_assert_eq!(of(&times), timeline);
        }
    }
}
