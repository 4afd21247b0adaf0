//! Label sets → small numbers, never more than a cap. A flood of values of one label (random sites) cannot hide the
//! others: from the cap on that label reads `__other__` in new series, so sums by every other label stay exact.

use crate::series::{LabelSet, OTHER, Plan};
use std::collections::{HashMap, HashSet};

/// A set has so many bytes on average at most, and the cap is as full when they are: eight labels of the longest values. So
/// what is saved of them has a bound, however many labels rules ask for.
const SET_BYTES: usize = 1_024;

/// Label values come from log lines, so from anybody: the map's hash is keyed at random, else a flood of chosen values
/// would make it slow.
#[derive(Debug)]
pub(crate) struct Interner {
    ids: HashMap<LabelSet, u32>,
    sets: Vec<Option<LabelSet>>,
    free: Vec<u32>,
    cap: usize,
    /// Of all sets.
    bytes: usize,
    /// Labels in the order in which they are folded; empty until needed, and again when sets have left.
    fold_order: Vec<usize>,
    /// Never folded: which family a set is of. Each family has a last place of its own.
    kept: Option<usize>,
    families: usize,
}

impl Interner {
    /// At most `cap` sets are held (and at least 4, so that there is room to fold).
    pub fn new(cap: usize) -> Interner {
        let cap = cap.clamp(4, u32::MAX as usize);
        Interner {
            ids: HashMap::new(),
            sets: Vec::new(),
            free: Vec::new(),
            cap,
            bytes: 0,
            fold_order: Vec::new(),
            kept: None,
            families: 1,
        }
    }

    /// For sets of this plan; of each family there is room for a few at least.
    pub fn of(plan: &Plan, cap: usize) -> Interner {
        let families = plan.families();
        let all = Interner::new(cap.max(4 * families));
        Interner { kept: plan.family_label(), families, ..all }
    }

    /// As one was whose parts these are; `None`: they do not fit together.
    pub fn restore(
        plan: &Plan,
        cap: usize,
        sets: Vec<Option<LabelSet>>,
        free: Vec<u32>,
        fold_order: Vec<usize>,
    ) -> Option<Interner> {
        let mut all = Interner::of(plan, cap);
        let holes: HashSet<u32> = free.iter().copied().collect();
        for (id, set) in (0u32..).zip(&sets) {
            let is_new = match set {
                Some(set) => all.ids.insert(set.clone(), id).is_none(),
                None => holes.contains(&id),
            };
            if !is_new {
                return None;
            }
        }
        // Each hole is named, once, and nothing else.
        (all.ids.len() + holes.len() == sets.len() && holes.len() == free.len()).then_some(())?;
        all.bytes = sets.iter().flatten().map(|set| set.as_bytes().len()).sum();
        (all.sets, all.free, all.fold_order) = (sets, free, fold_order);
        Some(all)
    }

    /// The ids to be given next, the last one first; and the order in which labels are folded.
    pub fn memory(&self) -> (&[u32], &[usize]) {
        (&self.free, &self.fold_order)
    }

    /// How many sets there may be.
    pub fn cap(&self) -> usize {
        self.cap
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether a new set must be folded: a quarter of the cap is kept for folded ones and those that need no folding.
    pub fn is_full(&self) -> bool {
        let room = self.cap.saturating_mul(SET_BYTES);
        self.len() >= self.cap - self.cap / 4 || self.bytes >= room - room / 4
    }

    /// Whether another folded set finds room; each family's last place is none of it.
    fn has_room(&self) -> bool {
        self.len() + self.families < self.cap && self.bytes < self.cap.saturating_mul(SET_BYTES)
    }

    /// Whether there are more than there may be: those of a time with another cap.
    pub fn is_over_cap(&self) -> bool {
        self.len() > self.cap
    }

    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        self.ids.get(bytes).copied()
    }

    pub fn set(&self, id: u32) -> Option<&LabelSet> {
        self.sets.get(id as usize)?.as_ref()
    }

    /// One more than the greatest id.
    pub fn slots(&self) -> usize {
        self.sets.len()
    }

    pub fn ids(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.sets).filter(|(_, set)| set.is_some()).map(|(id, _)| id)
    }

    /// The id of a set that is new or not. The caller has seen that there is room.
    pub fn insert(&mut self, set: LabelSet) -> u32 {
        if let Some(id) = self.find(set.as_bytes()) {
            return id;
        }
        let id = self.free.pop().unwrap_or(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        self.bytes += set.as_bytes().len();
        self.ids.insert(set.clone(), id);
        match self.sets.get_mut(id as usize) {
            Some(slot) => *slot = Some(set),
            None => self.sets.push(Some(set)),
        }
        id
    }

    /// The id of what stands for a set that finds no room: with as few labels folded as possible, at best none.
    pub fn fold(&mut self, set: &LabelSet) -> u32 {
        if self.fold_order.len() != set.len() {
            self.fold_order = self.order(set.len());
        }
        let mut folded = set.clone();
        // A set without the label that floods is no part of the flood: it has a place among the folded ones.
        if self.fold_order.first().is_some_and(|&label| set.get(label).is_empty()) && self.has_room() {
            return self.insert(folded);
        }
        for &label in &self.fold_order {
            if folded.get(label).is_empty() || self.kept == Some(label) {
                continue;
            }
            folded = folded.with(label, OTHER.as_bytes());
            if let Some(id) = self.find(folded.as_bytes()) {
                return id;
            }
            if self.has_room() {
                return self.insert(folded);
            }
        }
        // The last places belong to these sets, one a family.
        let value = |label: usize| if self.kept == Some(label) { set.get(label) } else { OTHER.as_bytes() };
        self.insert(LabelSet::new((0..set.len()).map(value)))
    }

    /// A set leaves.
    pub fn remove(&mut self, id: u32) {
        if let Some(set) = self.sets.get_mut(id as usize).and_then(Option::take) {
            self.bytes = self.bytes.saturating_sub(set.as_bytes().len());
            self.ids.remove(&set);
            self.free.push(id);
            self.fold_order.clear();
        }
    }

    /// Labels by number of distinct values, most first; then in the plan's order.
    fn order(&self, labels: usize) -> Vec<usize> {
        let mut seen: Vec<HashSet<&[u8]>> = vec![HashSet::new(); labels];
        for set in self.sets.iter().flatten() {
            for (values, value) in seen.iter_mut().zip(set.values()) {
                values.insert(value);
            }
        }
        let mut order: Vec<usize> = (0..labels).collect();
        let count = |i: usize| if self.kept == Some(i) { 0 } else { seen.get(i).map_or(0, HashSet::len) };
        order.sort_by_key(|&i| std::cmp::Reverse(count(i)));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> LabelSet {
        LabelSet::new(values.iter().map(|value| value.as_bytes()))
    }

    fn add(interner: &mut Interner, values: &[&str]) -> u32 {
        let set = set(values);
        if let Some(id) = interner.find(set.as_bytes()) {
            return id;
        }
        if interner.is_full() { interner.fold(&set) } else { interner.insert(set) }
    }

    #[test]
    fn the_label_with_most_values_is_folded() {
        let mut all = Interner::new(40);
        for i in 0..100 {
            let id = add(&mut all, &[["u1", "u2"][i % 2], &format!("site{i}")]);
            assert_eq!(all.set(id).unwrap().get(0), ["u1", "u2"][i % 2].as_bytes());
        }
        assert_eq!(all.len(), 32);
        let cases: [(&[&str], &[&str]); 3] = [
            (&["u1", "new"], &["u1", OTHER]),
            (&["u3", "new"], &["u3", OTHER]),
            // Without the label that floods there is nothing to fold.
            (&["u3", ""], &["u3", ""]),
        ];
        for (values, expected) in cases {
            let id = add(&mut all, values);
            assert_eq!(all.set(id), Some(&set(expected)), "{values:?}");
        }
    }

    #[test]
    fn the_cap_holds_whatever_comes() {
        for cap in [0, 4, 5, 16, 100] {
            let mut all = Interner::new(cap);
            for i in 0..1_000 {
                let value = |on: bool| if on { format!("v{i}") } else { String::new() };
                let id = add(&mut all, &[&value(i % 2 == 0), &value(i % 3 == 0), &value(i % 5 == 0)]);
                assert!(all.set(id).is_some());
            }
            assert!(all.len() <= cap.max(4), "{cap}");
        }
    }

    /// Sixty labels of the longest values are no more bytes than eight.
    #[test]
    fn the_cap_holds_in_bytes_too() {
        let long = |i: usize, label: usize| format!("{i:0>100}-{label:0>20}");
        for (labels, expected) in [(8, 75), (60, 10)] {
            let mut all = Interner::new(100);
            for i in 0..1_000 {
                let values: Vec<String> = (0..labels).map(|label| long(i, label)).collect();
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                let id = add(&mut all, &values);
                assert!(all.set(id).is_some());
            }
            let sets: Vec<&LabelSet> = all.sets.iter().flatten().collect();
            assert_eq!(all.bytes, sets.iter().map(|set| set.as_bytes().len()).sum::<usize>());
            assert!(all.bytes < 100 * SET_BYTES + 2 * 64 * 128, "{labels}: {}", all.bytes);
            let whole = sets.iter().filter(|set| set.values().all(|value| value != OTHER.as_bytes())).count();
            assert!(whole >= expected / 2 && all.len() <= 100, "{labels}: {whole} of {}", all.len());
            let restored = all.sets.clone();
            let plan = Plan::new(&[], &[]);
            let again = Interner::restore(&plan, 100, restored, all.free.clone(), all.fold_order.clone());
            assert_eq!(again.unwrap().bytes, all.bytes);
        }
    }

    /// Whatever floods, a set stays in its family, and each family keeps a place.
    #[test]
    fn families_are_never_folded() {
        let mut rule = crate::rule::Rule::new("r", "ratio", Vec::new());
        rule.group_by = vec!["exit_ip".to_owned()];
        let plan = Plan::new(&[rule], &["site".to_owned()]);
        assert_eq!((plan.families(), plan.family_label()), (2, Some(2)));
        for cap in [0, 8, 9, 40] {
            let mut all = Interner::of(&plan, cap);
            for i in 0..1_000 {
                let value = format!("v{i}");
                let values = if i % 2 == 0 { [&*value, "", ""] } else { ["", &*value, "1"] };
                let id = add(&mut all, &values);
                assert_eq!(plan.family(all.set(id).unwrap()), i % 2, "{cap} {i}");
            }
            assert!(all.len() <= cap.max(8), "{cap}: {}", all.len());
        }
    }

    #[test]
    fn what_leaves_makes_room() {
        let mut all = Interner::new(4);
        let ids: Vec<u32> = ["a", "b", "c"].iter().map(|v| add(&mut all, &[v])).collect();
        assert!(all.is_full());
        all.remove(ids[1]);
        assert_eq!(add(&mut all, &["d"]), ids[1]);
        assert_eq!(all.find(set(&["b"]).as_bytes()), None);
        assert_eq!(all.ids().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
