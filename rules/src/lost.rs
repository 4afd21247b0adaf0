//! Messages that never arrived, by when that was: what a verdict may have missed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many stretches of time are told apart in which messages were lost.
const LOST_MAX: usize = 512;

/// Messages that never arrived, by step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost(BTreeMap<i64, u64>);

impl Lost {
    /// Where there are too many, the two oldest join at the later one's time: rather too much is doubted than too little.
    pub fn add(&mut self, step: i64, count: u64) {
        let sum = self.0.entry(step).or_default();
        *sum = sum.saturating_add(count);
        if self.0.len() > LOST_MAX
            && let Some((_, oldest)) = self.0.pop_first()
            && let Some(mut next) = self.0.first_entry()
        {
            *next.get_mut() = next.get().saturating_add(oldest);
        }
    }

    /// In the steps `from..to`.
    pub fn between(&self, from: i64, to: i64) -> u64 {
        if self.0.is_empty() || from >= to {
            return 0;
        }
        self.0.range(from..to).fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// No window reaches further back.
    pub fn forget_before(&mut self, step: i64) {
        while self.0.first_key_value().is_some_and(|(first, _)| *first < step) {
            self.0.pop_first();
        }
    }

    pub fn is_sound(&self) -> bool {
        self.0.len() <= LOST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_found_by_its_step_and_never_vanishes() {
        let mut lost = Lost::default();
        (0..2_000).for_each(|step| lost.add(step, 2));
        assert_eq!(lost.0.len(), LOST_MAX);
        assert_eq!(lost.between(i64::MIN, i64::MAX), 4_000);
        assert_eq!(lost.between(1_990, 1_995), 10);
        assert_eq!(lost.between(1_995, 1_990), 0);
        lost.forget_before(1_999);
        assert_eq!(lost.between(i64::MIN, i64::MAX), 2);
        lost.add(1_999, u64::MAX);
        assert_eq!(lost.between(0, 2_000), u64::MAX);
    }
}
