//! What was counted of an alert's group, and of all groups beside it.

use crate::rule::Rule;
use crate::saved::is_count;
use crate::tally::Tally;
use crate::window::Point;
use gatewatch_parsers::{Origin, Reason, Status};
use serde::{Deserialize, Serialize};

/// Counts of the group, and of all groups of the rule, over some time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// The group.
    pub own: Point,
    /// All groups of the rule, this one too.
    pub all: Point,
    pub(super) reasons: Vec<(Reason, u64)>,
    pub(super) origins: Vec<(Origin, u64)>,
    pub(super) statuses: Vec<(u16, u64)>,
}

impl Totals {
    /// Adds a tally of the group; its reasons are told apart, by upstream.
    pub fn count(&mut self, rule: &Rule, tally: &Tally) {
        self.own += crate::groups::counted(rule, tally);
        // Requests that are no gateway errors have neither origins nor reasons.
        if rule.has_reasons() {
            tally.origins().for_each(|(o, n)| add(&mut self.origins, o, n));
        }
        for (status, n) in tally.statuses() {
            if let Some(code) = status.code() {
                add(&mut self.statuses, code, n);
            }
        }
    }

    /// Adds why.
    pub fn give_reasons(&mut self, reasons: Vec<(Reason, u64)>) {
        reasons.into_iter().for_each(|(r, n)| add(&mut self.reasons, r, n));
    }

    pub(super) fn add(&mut self, other: Totals) {
        self.own += other.own;
        self.all += other.all;
        other.reasons.into_iter().for_each(|(r, n)| add(&mut self.reasons, r, n));
        other.origins.into_iter().for_each(|(o, n)| add(&mut self.origins, o, n));
        other.statuses.into_iter().for_each(|(s, n)| add(&mut self.statuses, s, n));
    }

    pub(super) fn is_sound(&self) -> bool {
        let [own, all] = [self.own, self.all];
        let sums = [own.errors, own.requests, all.errors, all.requests];
        let reasons = self.reasons.iter().map(|r| r.1);
        let parts = reasons.chain(self.origins.iter().map(|o| o.1)).chain(self.statuses.iter().map(|s| s.1));
        sums.into_iter().chain(parts).all(is_count)
            && self.reasons.len() <= Reason::ALL.len()
            && self.origins.len() <= Origin::ALL.len()
            && self.statuses.len() <= Status::COUNT
    }
}

/// Sorted by key, so that equal counts are equal values, whatever came first.
fn add<K: Ord>(to: &mut Vec<(K, u64)>, key: K, count: u64) {
    let at = to.partition_point(|(k, _)| *k < key);
    match to.get_mut(at) {
        Some((k, n)) if *k == key => *n += count,
        _ => to.insert(at, (key, count)),
    }
}

/// Most first, ties by key.
pub(super) fn ranked<K: Copy + Ord>(counts: &[(K, u64)]) -> Vec<(K, u64)> {
    let mut ranked = counts.to_vec();
    ranked.sort_by_key(|&(key, count)| (std::cmp::Reverse(count), key));
    ranked
}
