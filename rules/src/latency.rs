//! Request times in fixed bins: quantised to 5 significant bits, so a percentile's upper edge errs by at most 1/32.

/// Sub-bins of each octave; below this, every millisecond has its own bin.
const SUB_BITS: u32 = 5;
const SUB: u32 = 1 << SUB_BITS;
/// Times from 2^24 ms (4 h 39 min) on share the last bin.
const MAX: u32 = (1 << 24) - 1;
/// So many samples are kept one by one; most series of a flood never have more.
const FEW: usize = 32;

/// Request times of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// The bins of the first few samples.
    few: Vec<u16>,
    /// Once there are more: counts by bin from `first` on.
    bins: Vec<u32>,
    first: u16,
}

fn bin(millis: u32) -> u16 {
    let millis = millis.min(MAX);
    let octave = (u32::BITS - millis.leading_zeros()).saturating_sub(SUB_BITS + 1);
    // Within an octave the top 6 bits are 32 to 63, so bins of neighbouring octaves join up.
    u16::try_from(octave * SUB + (millis >> octave)).unwrap_or(u16::MAX)
}

/// The greatest time of a bin.
fn upper_edge(bin: u16) -> u32 {
    let bin = u32::from(bin);
    let octave = (bin / SUB).saturating_sub(1);
    let top = bin - octave * SUB;
    ((top + 1) << octave) - 1
}

impl Latency {
    /// Counts one request's time.
    #[inline]
    pub fn record(&mut self, millis: u32) {
        let bin = bin(millis);
        let at = usize::from(bin.wrapping_sub(self.first));
        match self.bins.get_mut(at) {
            Some(count) => *count = count.saturating_add(1),
            None => self.record_rare(bin),
        }
    }

    fn record_rare(&mut self, bin: u16) {
        if self.bins.is_empty() {
            if self.few.len() < FEW {
                self.few.push(bin);
                return;
            }
            for bin in std::mem::take(&mut self.few) {
                self.add(bin, 1);
            }
        }
        self.add(bin, 1);
    }

    /// Widens the bins by whole octaves as needed, so that a series allocates a few times in its life.
    fn add(&mut self, bin: u16, count: u32) {
        let sub = SUB as u16;
        let (low, high) = (bin / sub * sub, (bin / sub + 1) * sub);
        if self.bins.is_empty() {
            self.first = low;
        } else if low < self.first {
            let missing = usize::from(self.first - low);
            self.bins.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = low;
        }
        let length = usize::from(high - self.first);
        if self.bins.len() < length {
            self.bins.resize(length, 0);
        }
        if let Some(slot) = self.bins.get_mut(usize::from(bin - self.first)) {
            *slot = slot.saturating_add(count);
        }
    }

    /// Adds another series' times.
    pub fn merge(&mut self, other: &Latency) {
        for bin in &other.few {
            self.record_rare_or_known(*bin);
        }
        for (bin, count) in (other.first..).zip(&other.bins).filter(|(_, count)| **count > 0) {
            self.settle();
            self.add(bin, *count);
        }
    }

    fn record_rare_or_known(&mut self, bin: u16) {
        if self.bins.is_empty() { self.record_rare(bin) } else { self.add(bin, 1) }
    }

    /// From samples one by one to bins.
    fn settle(&mut self) {
        for bin in std::mem::take(&mut self.few) {
            self.add(bin, 1);
        }
    }

    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.few.len() as u64 + self.bins.iter().map(|n| u64::from(*n)).sum::<u64>()
    }

    /// The time that at least this share (0–1) of requests did not exceed, in ms, at the upper edge of its bin;
    /// `None`: nothing was counted.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<u32> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "a share of a count is a count"
        )]
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total);
        let mut few = self.few.clone();
        few.sort_unstable();
        let few = few.into_iter().map(|bin| (bin, 1));
        let bins = (self.first..).zip(self.bins.iter().map(|n| u64::from(*n)));
        let mut below = 0;
        for (bin, count) in few.chain(bins) {
            below += count;
            if below >= rank {
                return Some(upper_edge(bin));
            }
        }
        None
    }

    /// p50, p95 and p99 in ms.
    #[must_use]
    pub fn percentiles(&self) -> Option<[u32; 3]> {
        Some([self.percentile(0.5)?, self.percentile(0.95)?, self.percentile(0.99)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bins_are_in_order_and_join_up() {
        let mut last = (bin(0), upper_edge(bin(0)));
        for millis in 0..200_000 {
            let this = bin(millis);
            assert!(this == last.0 || this == last.0 + 1, "{millis}");
            assert!(upper_edge(this) >= millis, "{millis}");
            assert!(f64::from(upper_edge(this)) <= f64::from(millis) * 1.05, "{millis}");
            last = (this, upper_edge(this));
        }
        assert_eq!(upper_edge(bin(u32::MAX)), MAX);
    }

    proptest! {
        #[test]
        fn percentiles_err_by_at_most_five_percent(
            mut times in proptest::collection::vec(prop_oneof![0u32..40, 0u32..2_000, 0u32..16_000_000], 1..300),
            share in 0.0..=1.0f64,
        ) {
            let mut latency = Latency::default();
            times.iter().for_each(|t| latency.record(*t));
            times.sort_unstable();
            let rank = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
            let exact = times[rank - 1];
            let found = latency.percentile(share).unwrap();
            prop_assert!(found >= exact && f64::from(found) <= f64::from(exact) * 1.05, "{found} for {exact}");
        }

        #[test]
        fn merging_is_counting_together(
            a in proptest::collection::vec(0u32..100_000, 0..100),
            b in proptest::collection::vec(0u32..100_000, 0..100),
        ) {
            let of = |times: &[u32]| {
                let mut latency = Latency::default();
                times.iter().for_each(|t| latency.record(*t));
                latency
            };
            let (mut left, mut right) = (of(&a), of(&b));
            left.merge(&of(&b));
            right.merge(&of(&a));
            prop_assert_eq!(left.count(), (a.len() + b.len()) as u64);
            for share in [0.0, 0.5, 0.9, 0.99, 1.0] {
                let together = of(&[a.clone(), b.clone()].concat());
                prop_assert_eq!(left.percentile(share), together.percentile(share));
                prop_assert_eq!(right.percentile(share), together.percentile(share));
            }
        }
    }
}
