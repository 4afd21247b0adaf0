//! How sure a figure is: 95 % intervals.

use gatewatch_rules::window::Point;

const Z: f64 = 1.959_964;

/// A figure, and the interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// A share (Wilson's interval); `None` of nothing.
pub fn share(some: u64, all: u64) -> Option<Figure> {
    if all == 0 {
        return None;
    }
    let ratio = |errors| Point { errors, requests: all };
    let (n, value) = (all as f64, ratio(some).ratio());
    let centre = value + Z * Z / (2.0 * n);
    let spread = Z * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
    let of = |x: f64| (x / (1.0 + Z * Z / n)).clamp(0.0, 1.0);
    Some(Figure { value, low: of(centre - spread), high: of(centre + spread) })
}

/// A rate of rare events (Garwood's exact interval); `None` over no time.
pub fn rate(events: u64, time: f64) -> Option<Figure> {
    if time <= 0.0 {
        return None;
    }
    let k = events as f64;
    let low = if events == 0 { 0.0 } else { solve(|mean| 1.0 - below(events - 1, mean), k) };
    let high = solve(|mean| 1.0 - below(events, mean) - 0.95, k + 1.0);
    Some(Figure { value: k / time, low: low / time, high: high / time })
}

/// P(X ≤ k) of a Poisson variable; far out in the tails, as a normal one has it.
fn below(k: u64, mean: f64) -> f64 {
    let mut term = -mean;
    let mut sum = term.exp();
    for i in 1..=k {
        term += (mean / i as f64).ln();
        sum += term.exp();
    }
    sum.min(1.0)
}

/// Where an increasing function is 2.5 %.
fn solve(increasing: impl Fn(f64) -> f64, near: f64) -> f64 {
    let (mut low, mut high) = (0.0, near + 10.0 * near.sqrt() + 10.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if increasing(middle) < 0.025 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// A median, by the ranks of the order statistics; `None` of nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks")]
pub fn median(values: &mut [f64]) -> Option<Figure> {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let at = |rank: f64| values.get(rank.clamp(0.0, (n - 1.0).max(0.0)) as usize).copied();
    let spread = Z * n.sqrt() / 2.0;
    Some(Figure { value: at(n / 2.0)?, low: at(n / 2.0 - spread)?, high: at(n / 2.0 + spread)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_intervals() {
        // Garwood: 0 → (0, 3.689), 1 → (0.0253, 5.572), 10 → (4.795, 18.39).
        for (events, low, high) in [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)] {
            let figure = rate(events, 1.0).unwrap();
            assert!((figure.low - low).abs() < 0.01 && (figure.high - high).abs() < 0.01, "{figure:?}");
        }
        let figure = share(10, 100).unwrap();
        assert!((figure.low - 0.0552).abs() < 1e-3 && (figure.high - 0.1744).abs() < 1e-3, "{figure:?}");
        let mut values: Vec<f64> = (0..101).map(f64::from).collect();
        let figure = median(&mut values).unwrap();
        assert_eq!(figure.value, 50.0);
        assert!((40.0..=41.0).contains(&figure.low) && (59.0..=61.0).contains(&figure.high), "{figure:?}");
        assert!(share(0, 0).is_none() && rate(0, 0.0).is_none() && median(&mut []).is_none());
    }
}
