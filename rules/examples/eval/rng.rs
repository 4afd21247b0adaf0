//! Chance that is the same on every machine: xoshiro256++, and exact samplers on it.

/// Blackman and Vigna's xoshiro256++.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

/// From here on a Poisson variable is drawn by rejection: the search for it would take long.
const MANY: f64 = 12.0;

impl Rng {
    /// A stream of its own for every list of numbers.
    pub fn new(seeds: &[u64]) -> Rng {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let mut all = [next(), next(), next(), next()];
        for &seed in seeds {
            all = all.map(|word| (word ^ seed).wrapping_mul(0xd129_0d3c_9f4c_3a25).rotate_left(29) ^ next());
        }
        let mut rng = Rng(all);
        for _ in 0..16 {
            rng.next();
        }
        rng
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c1, d1) = (c ^ a, d ^ b);
        self.0 = [a ^ d1, b ^ c1, c1 ^ (b << 17), d1.rotate_left(45)];
        result
    }

    /// From 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From `low` to below `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// The same, as likely in each factor of ten.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// One of so many.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "few"
    )]
    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Of the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Of the Poisson distribution with this mean.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        if mean <= 0.0 {
            0
        } else if mean < MANY {
            self.poisson_few(mean)
        } else {
            self.poisson_many(mean)
        }
    }

    /// By inversion.
    fn poisson_few(&mut self, mean: f64) -> u32 {
        let mut term = (-mean).exp();
        let mut rest = self.uniform();
        let mut count = 0;
        // Beyond, the terms are below what a float tells apart.
        while rest >= term && count < 200 {
            rest -= term;
            count += 1;
            term *= mean / f64::from(count);
        }
        count
    }

    /// Hörmann's PTRS: transformed rejection with squeeze.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "far below 2^32, and not negative"
    )]
    fn poisson_many(&mut self, mean: f64) -> u32 {
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = 1.0 - self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return k as u32;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            if (v * inverse_alpha / (a / (us * us) + b)).ln() <= k * mean.ln() - mean - ln_factorial(k) {
                return k as u32;
            }
        }
    }
}

/// ln k!, by Stirling's series where it is exact to the last bits.
fn ln_factorial(k: f64) -> f64 {
    if k < 16.0 {
        let mut product = 1.0;
        let mut i = 2.0;
        while i <= k {
            product *= i;
            i += 1.0;
        }
        return product.ln();
    }
    let n = k + 1.0;
    let (inverse, square) = (1.0 / n, 1.0 / (n * n));
    (n - 0.5) * n.ln() - n
        + 0.5 * std::f64::consts::TAU.ln()
        + inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_has_its_mean_and_variance_and_tail() {
        for mean in [0.05, 0.9, 7.0, 11.9, 12.1, 40.0, 833.0] {
            let mut rng = Rng::new(&[7, (mean * 100.0) as u64]);
            let count = 200_000;
            let all: Vec<f64> = (0..count).map(|_| f64::from(rng.poisson(mean))).collect();
            let average = all.iter().sum::<f64>() / f64::from(count);
            let variance = all.iter().map(|x| (x - average).powi(2)).sum::<f64>() / f64::from(count);
            let off = (average - mean) / (mean / f64::from(count)).sqrt();
            assert!(off.abs() < 4.5, "{mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.05, "{mean}: variance {variance}");
            // P(X = 0) and P(X ≤ mean) against the sum of the terms.
            let below = all.iter().filter(|x| **x <= mean).count() as f64 / f64::from(count);
            let mut exact = 0.0;
            let mut k = 0.0;
            while k <= mean {
                exact += (k * mean.ln() - mean - ln_factorial(k)).exp();
                k += 1.0;
            }
            assert!((below - exact).abs() < 0.006, "{mean}: {below} {exact}");
        }
    }
}
