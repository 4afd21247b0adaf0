//! A window: the last closed steps, or, where it is longer than steps are held, the last whole minutes. Stretched by
//! doubling for groups with little traffic.

use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

pub use crate::buckets::STEPS_HELD;
/// So many whole minutes are held behind them.
pub const MINUTES_HELD: i64 = 360;
/// A minute.
pub const MINUTE: Millis = 60_000;

/// A stretch of time that ends with a closed step, and the length of its points: a step, or a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start of the first point.
    pub from: Millis,
    /// End of the last point.
    pub to: Millis,
    /// Length of a point.
    pub unit: Millis,
}

impl Span {
    /// The window of this length that a step ending at `end` closes. One longer than [`STEPS_HELD`] steps consists of
    /// whole minutes and ends with the last full one: it slides by the minute.
    #[must_use]
    pub fn ending(end: Millis, length: Millis, step: Millis) -> Span {
        let step = step.max(1);
        if length <= STEPS_HELD * step {
            let whole = length.max(1).div_ceil_by(step);
            return Span { from: end - whole, to: end, unit: step };
        }
        let to = end.div_euclid(MINUTE) * MINUTE;
        Span { from: to - length.div_ceil_by(MINUTE), to, unit: MINUTE }
    }

    /// Whether it consists of minutes.
    #[must_use]
    pub fn is_minutes(&self, step: Millis) -> bool {
        self.unit != step
    }

    /// How many points it has.
    #[must_use]
    pub fn points(&self) -> usize {
        usize::try_from((self.to - self.from) / self.unit.max(1)).unwrap_or(0)
    }
}

trait DivCeil {
    fn div_ceil_by(self, unit: Self) -> Self;
}

impl DivCeil for Millis {
    /// The least multiple of `unit` that is not below.
    fn div_ceil_by(self, unit: Millis) -> Millis {
        (self + unit - 1).div_euclid(unit) * unit
    }
}

/// The lengths to try, shortest first: the window, doubled until `stretch` is reached.
pub fn lengths(window: Millis, stretch: Option<Millis>) -> impl Iterator<Item = Millis> {
    let most = stretch.unwrap_or(window).max(window);
    std::iter::successors(Some(window), move |&last| {
        (last > 0 && last < most).then(|| last.saturating_mul(2).min(most))
    })
}

/// Errors among requests (or attempts) in one step or minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Errors.
    pub errors: u64,
    /// Requests, or attempts.
    pub requests: u64,
}

impl Point {
    /// Errors ÷ requests; 0 without requests.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn ratio(self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }
}

impl Point {
    /// So many requests less, all of which failed.
    fn without(self, failed: u64) -> Point {
        Point { errors: self.errors - failed, requests: self.requests - failed }
    }

    /// How many of the errors a total failure in a part of it explains: the requests of that part, and one standard
    /// deviation more.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts stay far below 2^52, and this is not negative"
    )]
    fn most_in(self, part: Millis, of: Millis) -> u64 {
        let part = part as f64 / of as f64;
        let mean = self.requests as f64 * part;
        self.errors.min((mean + (mean * (1.0 - part)).sqrt()).ceil() as u64)
    }
}

impl std::ops::AddAssign for Point {
    fn add_assign(&mut self, other: Point) {
        self.errors += other.errors;
        self.requests += other.requests;
    }
}

/// A blip is looked for at so many places between two points.
const PLACES: i64 = 10;

/// Errors that a total failure explains: from which point on, and how many in each.
struct Blip {
    first: usize,
    by_point: Vec<u64>,
    errors: u64,
}

/// What a group did in a window: its points, oldest first, and their sum. Reused from group to group.
#[derive(Clone, Debug)]
pub struct Window {
    span: Span,
    points: Vec<Point>,
    sum: Point,
    left_out: u64,
}

impl Default for Window {
    fn default() -> Window {
        Window {
            span: Span { from: 0, to: 0, unit: 1 },
            points: Vec::new(),
            sum: Point::default(),
            left_out: 0,
        }
    }
}

impl Window {
    /// Empties it for another span.
    pub fn reset(&mut self, span: Span) {
        self.span = span;
        self.left_out = 0;
        self.sum = Point::default();
        self.points.clear();
        self.points.resize(span.points(), Point::default());
    }

    /// Adds what was counted in the step or minute that starts at `start`.
    pub fn add(&mut self, start: Millis, counted: Point) {
        let at = usize::try_from((start - self.span.from).div_euclid(self.span.unit));
        if let Some(point) = at.ok().and_then(|i| self.points.get_mut(i)) {
            *point += counted;
            self.sum += counted;
        }
    }

    /// A window of which no more than the sum is known.
    pub fn set(&mut self, span: Span, sum: Point) {
        self.points.clear();
        (self.span, self.sum) = (span, sum);
    }

    /// Where it lies.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Requests that it had before a blip was left out.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.sum.requests + self.left_out
    }

    /// The sum of its points.
    #[must_use]
    pub fn sum(&self) -> Point {
        self.sum
    }

    /// Its points, oldest first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The sum of the points of its last `length`, at least of one.
    #[must_use]
    pub fn last(&self, length: Millis) -> Point {
        let count = usize::try_from(length / self.span.unit).unwrap_or(1).max(1);
        let mut sum = Point::default();
        for point in self.points.iter().rev().take(count) {
            sum += *point;
        }
        sum
    }

    /// What is left without a blip: without the most errors that a total failure of this length or less explains, wherever
    /// it lay.
    pub fn without(&self, blip: Millis, left: &mut Window) {
        left.clone_from(self);
        let worst = (0..self.points.len()).filter_map(|first| self.worst_from(first, blip));
        let Some(worst) = worst.max_by_key(|found| found.errors) else { return };
        left.left_out = worst.errors;
        left.sum = left.sum.without(worst.errors);
        for (point, explained) in left.points.iter_mut().skip(worst.first).zip(worst.by_point) {
            *point = point.without(explained);
        }
    }

    /// The blip that explains most of those that begin in this point. Points amid it have failed as a whole; so it reaches
    /// no further than to the first that has not.
    fn worst_from(&self, first: usize, blip: Millis) -> Option<Blip> {
        let unit = self.span.unit.max(1);
        let begin = self.points.get(first)?;
        let mut amid: Vec<u64> = Vec::new();
        let mut worst: Option<Blip> = None;
        for end in self.points.get(first + 1..)?.iter().chain([&Point::default()]) {
            let rest = blip - unit.saturating_mul(i64::try_from(amid.len()).unwrap_or(i64::MAX));
            if rest <= 0 {
                break;
            }
            for place in 0..=PLACES {
                let before = (rest * place / PLACES).min(unit);
                let after = (rest - before).min(unit);
                let ends = [begin.most_in(before, unit), end.most_in(after, unit)];
                let errors = ends[0] + ends[1] + amid.iter().sum::<u64>();
                if worst.as_ref().is_none_or(|worst| worst.errors < errors) {
                    let by_point = [&ends[..1], &amid, &ends[1..]].concat();
                    worst = Some(Blip { first, by_point, errors });
                }
            }
            if end.errors * 10 < end.requests * 9 || end.requests == 0 {
                break;
            }
            amid.push(end.errors);
        }
        worst
    }

    /// Start of the first point that is bad by itself, and end of the last.
    pub fn bad_between(&self, bad: impl Fn(Point) -> bool) -> Option<(Millis, Millis)> {
        let first = self.points.iter().position(|&p| bad(p))?;
        let last = self.points.iter().rposition(|&p| bad(p))?;
        let at = |i: usize| self.span.from + i64::try_from(i).unwrap_or(0) * self.span.unit;
        Some((at(first), at(last) + self.span.unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases = [
            // end, length, step → from, to, unit
            ((100_000, 60_000, 5_000), (40_000, 100_000, 5_000)),
            ((100_000, 300_000, 5_000), (-200_000, 100_000, 5_000)),
            ((100_000, 305_000, 5_000), (-300_000, 60_000, 60_000)),
            ((120_000, 600_000, 5_000), (-480_000, 120_000, 60_000)),
            ((-5_000, 600_000, 5_000), (-660_000, -60_000, 60_000)),
            // a cap of the stretch that no step divides is rounded up
            ((100_000, 7_000, 5_000), (90_000, 100_000, 5_000)),
        ];
        for ((end, length, step), (from, to, unit)) in cases {
            assert_eq!(Span::ending(end, length, step), Span { from, to, unit }, "{end} {length} {step}");
        }
        assert_eq!(Span::ending(120_000, 600_000, 5_000).points(), 10);
    }

    #[test]
    fn a_window_doubles_up_to_its_stretch() {
        let all = |w, s| lengths(w, s).collect::<Vec<_>>();
        assert_eq!(all(60, None), [60]);
        assert_eq!(all(60, Some(600)), [60, 120, 240, 480, 600]);
        assert_eq!(all(60, Some(60)), [60]);
        assert_eq!(all(60, Some(5)), [60]);
        assert_eq!(all(0, Some(5)), [0]);
    }

    /// Steps of ten requests; what failed, and what is left of it without a blip of 8 s.
    #[test]
    fn what_a_blip_explains() {
        let cases: &[(&[u64], &[u64])] = &[
            (&[0, 0, 0], &[0, 0, 0]),
            (&[0, 10, 6, 0], &[0, 0, 0, 0]),
            // 1.5 s, 5 s, 1.5 s
            (&[0, 3, 10, 3, 0], &[0, 0, 0, 0, 0]),
            // It lasts; of ten requests, all may have come within 4 s.
            (&[0, 10, 10, 10, 0], &[0, 10, 0, 0, 0]),
            // Not total, so that no three steps are one blip.
            (&[0, 3, 3, 3, 3], &[0, 3, 3, 0, 0]),
            (&[0, 5, 5, 5], &[0, 5, 0, 0]),
            // Two blips are one too many; one may lie at either end.
            (&[10, 6, 0, 0, 6, 10], &[10, 6, 0, 0, 0, 0]),
            (&[0, 0, 0, 6, 10], &[0, 0, 0, 0, 0]),
            (&[9], &[0]),
        ];
        for (errors, expected) in cases {
            let mut window = Window::default();
            let to = 5_000 * i64::try_from(errors.len()).unwrap();
            window.reset(Span { from: 0, to, unit: 5_000 });
            for (start, &errors) in (0..).step_by(5_000).zip(*errors) {
                window.add(start, Point { errors, requests: 10 });
            }
            let mut left = Window::default();
            window.without(8_000, &mut left);
            let found: Vec<u64> = left.points().iter().map(|point| point.errors).collect();
            assert_eq!(found, *expected, "{errors:?}");
            assert_eq!(left.sum().errors, found.iter().sum::<u64>(), "{errors:?}");
            assert_eq!(left.requests(), window.sum().requests);
        }
    }

    #[test]
    fn points_add_up_and_strangers_are_ignored() {
        let mut window = Window::default();
        window.reset(Span::ending(20_000, 20_000, 5_000));
        for (start, errors, requests) in
            [(0, 1, 10), (5_000, 5, 10), (5_000, 1, 1), (15_000, 9, 9), (20_000, 7, 7), (-5_000, 3, 3)]
        {
            window.add(start, Point { errors, requests });
        }
        assert_eq!(window.sum(), Point { errors: 16, requests: 30 });
        assert_eq!(window.last(10_000), Point { errors: 9, requests: 9 });
        assert_eq!(window.last(1), Point { errors: 9, requests: 9 });
        assert_eq!(window.bad_between(|p| p.ratio() > 0.5), Some((5_000, 20_000)));
        assert_eq!(window.bad_between(|p| p.ratio() > 1.0), None);
    }
}
