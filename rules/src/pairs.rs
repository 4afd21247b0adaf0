//! Exit × target: what came of the requests that each exit of a forward proxy made to each target. Of the pairs with most
//! requests, since there may be millions: a table with a cap, and a bound for what it may be wrong by.

use crate::saved::{Bytes, Unsound, ensure, is_count};
use crate::series::cut;
use gatewatch_parsers::Status;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Pairs in a table at most.
pub const PAIRS_MAX: usize = 20_000;
/// Statuses by which a target, or the proxy before it, turns a request away.
pub const REFUSALS: [u16; 3] = [403, 407, 429];

/// What came of some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Finished requests.
    pub requests: u64,
    /// Gateway errors among them.
    pub gateway_errors: u64,
    /// Those with a status of [`REFUSALS`].
    pub refused: [u64; 3],
    /// Those that were one or the other.
    pub bad: u64,
}

impl Tried {
    /// One request.
    #[must_use]
    pub fn once(status: Status, is_gateway_error: bool) -> Tried {
        let refused = REFUSALS.map(|code| u64::from(status == Status::new(code)));
        let bad = u64::from(is_gateway_error || refused != [0; 3]);
        Tried { requests: 1, gateway_errors: u64::from(is_gateway_error), refused, bad }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Tried) {
        self.requests = self.requests.saturating_add(other.requests);
        self.gateway_errors = self.gateway_errors.saturating_add(other.gateway_errors);
        for (sum, n) in self.refused.iter_mut().zip(other.refused) {
            *sum = sum.saturating_add(n);
        }
        self.bad = self.bad.saturating_add(other.bad);
    }

    fn is_sound(&self) -> bool {
        let parts = [self.gateway_errors, self.bad].into_iter().chain(self.refused);
        is_count(self.requests) && parts.into_iter().all(|part| part <= self.requests)
    }
}

/// An exit, its provider, and the target: the bytes that name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The exit: its address, or whatever the log names it by; where none is named, the provider.
    pub exit: &'a [u8],
    /// Who lends it; may be empty.
    pub provider: &'a [u8],
    /// The host asked for.
    pub target: &'a [u8],
}

impl<'a> Pair<'a> {
    /// Appends its bytes: two lengths and the values, each cut as a label's is.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let [exit, provider, target] = [self.exit, self.provider, self.target].map(cut);
        bytes.extend([exit, provider].map(|part| u8::try_from(part.len()).unwrap_or(u8::MAX)));
        [exit, provider, target].iter().for_each(|part| bytes.extend_from_slice(part));
    }

    /// From what [`Pair::write`] wrote.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Pair<'a>> {
        let ([exit, provider], rest) = bytes.split_first_chunk::<2>()?;
        let (exit, rest) = rest.split_at_checked(usize::from(*exit))?;
        let (provider, target) = rest.split_at_checked(usize::from(*provider))?;
        Some(Pair { exit, provider, target })
    }
}

/// The pairs with most requests.
///
/// At the cap half of the pairs leave: those whose weight is at most the median, by which the others' weights are
/// lowered (Misra and Gries). So a pair that is not listed, or what one that is listed had before it came back, is at most
/// [`Pairs::error`] requests; and however many others come, a pair with more than that stays.
#[derive(Clone, Debug)]
pub struct Pairs {
    of: HashMap<Box<[u8]>, Entry>,
    cap: usize,
    error: u64,
    left: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    tried: Tried,
    weight: u64,
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs::new(PAIRS_MAX)
    }
}

impl Pairs {
    /// At most so many pairs.
    #[must_use]
    pub fn new(cap: usize) -> Pairs {
        Pairs { of: HashMap::new(), cap: cap.max(2), error: 0, left: 0 }
    }

    /// Adds what came of requests of a pair, by its bytes.
    pub(crate) fn add(&mut self, key: &[u8], tried: &Tried) {
        if let Some(entry) = self.of.get_mut(key) {
            entry.tried.add(tried);
            entry.weight = entry.weight.saturating_add(tried.requests);
            return;
        }
        if self.of.len() >= self.cap {
            self.make_room();
        }
        self.of.insert(key.into(), Entry { tried: *tried, weight: tried.requests });
    }

    fn make_room(&mut self) {
        let mut weights: Vec<u64> = self.of.values().map(|entry| entry.weight).collect();
        let middle = weights.len() / 2;
        let median = *weights.select_nth_unstable(middle).1;
        self.of.retain(|_, entry| {
            let stays = entry.weight > median;
            if stays {
                entry.weight -= median;
            } else {
                self.left = self.left.saturating_add(entry.tried.requests);
            }
            stays
        });
        self.error = self.error.saturating_add(median);
    }

    /// Adds another table's counts.
    pub fn merge(&mut self, other: &Pairs) {
        self.error = self.error.saturating_add(other.error);
        self.left = self.left.saturating_add(other.left);
        for (key, entry) in other.sorted() {
            self.add(key, &entry.tried);
        }
    }

    fn sorted(&self) -> Vec<(&[u8], &Entry)> {
        let mut all: Vec<_> = self.of.iter().map(|(key, entry)| (&**key, entry)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// Every pair that is listed, in no order of meaning.
    pub fn iter(&self) -> impl Iterator<Item = (Pair<'_>, &Tried)> {
        self.of.iter().filter_map(|(key, entry)| Some((Pair::read(key)?, &entry.tried)))
    }

    /// How many are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty() && self.left == 0
    }

    /// Requests of pairs when they left: counted here no more.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// A pair's requests may be too few by so many; of one that is not listed, there were at most so many.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.error
    }

    /// What each pair came to, by its bytes.
    pub(crate) fn into_map(self) -> BTreeMap<Box<[u8]>, Tried> {
        self.of.into_iter().map(|(key, entry)| (key, entry.tried)).collect()
    }

    pub(crate) fn state(&self) -> PairsState {
        let entries = self.sorted().into_iter().map(|(key, entry)| (Bytes(key.to_vec()), *entry)).collect();
        PairsState { entries, error: self.error, left: self.left }
    }

    pub(crate) fn restore(state: PairsState, cap: usize) -> Result<Pairs, Unsound> {
        ensure(is_count(state.error) && is_count(state.left), "what left the table of exits")?;
        ensure(state.entries.len() <= cap, "the table of exits")?;
        let mut all = Pairs { error: state.error, left: state.left, ..Pairs::new(cap) };
        for (Bytes(key), entry) in state.entries {
            let is_sound = Pair::read(&key).is_some_and(|pair| is_whole(&pair, key.len()));
            ensure(is_sound && entry.tried.is_sound(), "an exit and its target")?;
            ensure(entry.weight <= entry.tried.requests, "the weight of an exit and its target")?;
            ensure(all.of.insert(key.into(), entry).is_none(), "an exit and its target are there twice")?;
        }
        Ok(all)
    }
}

/// Whether it can have been written, and not just read from a file.
fn is_whole(pair: &Pair<'_>, length: usize) -> bool {
    let parts = [pair.exit, pair.provider, pair.target];
    parts.iter().all(|part| cut(part).len() == part.len())
        && !pair.exit.is_empty()
        && !pair.target.is_empty()
        && 2 + parts.iter().map(|part| part.len()).sum::<usize>() == length
}

/// A table as it is saved: equal tables are equal bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PairsState {
    entries: Vec<(Bytes, Entry)>,
    error: u64,
    left: u64,
}

impl PairsState {
    /// A table that nothing has left.
    pub fn of(pairs: Vec<(Bytes, Tried)>) -> PairsState {
        let entry = |tried: Tried| Entry { weight: tried.requests, tried };
        let entries = pairs.into_iter().map(|(key, tried)| (key, entry(tried))).collect();
        PairsState { entries, ..PairsState::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(exit: u32, target: u32) -> Vec<u8> {
        let (exit, target) = (format!("203.0.113.{exit}"), format!("t{target}.example"));
        let mut bytes = Vec::new();
        Pair { exit: exit.as_bytes(), provider: b"p", target: target.as_bytes() }.write(&mut bytes);
        bytes
    }

    fn of(requests: u64) -> Tried {
        Tried { requests, ..Tried::default() }
    }

    #[test]
    fn a_request_is_bad_once() {
        for (status, is_error, bad, refused) in [
            (200, false, 0, [0, 0, 0]),
            (502, true, 1, [0, 0, 0]),
            (403, false, 1, [1, 0, 0]),
            (407, true, 1, [0, 1, 0]),
            (429, false, 1, [0, 0, 1]),
            (503, false, 0, [0, 0, 0]),
        ] {
            let tried = Tried::once(Status::new(status), is_error);
            assert_eq!((tried.bad, tried.refused, tried.requests), (bad, refused, 1), "{status}");
            assert_eq!(tried.gateway_errors, u64::from(is_error));
        }
    }

    #[test]
    fn a_pair_gives_back_its_parts() {
        let long = [b'x'; 200];
        for (exit, provider, target) in [(&b"e"[..], &b""[..], &b"t"[..]), (&long, &long, &long)] {
            let mut bytes = Vec::new();
            Pair { exit, provider, target }.write(&mut bytes);
            let pair = Pair::read(&bytes).unwrap();
            assert_eq!([pair.exit, pair.provider, pair.target], [exit, provider, target].map(cut));
            assert!(is_whole(&pair, bytes.len()));
        }
        for bytes in [&b""[..], b"\x01", b"\x05\x00abc", b"\x01\x09ab"] {
            assert_eq!(Pair::read(bytes), None);
        }
    }

    /// A scraper that asks each of 100,000 hosts once hides no pair that matters.
    #[test]
    fn a_flood_of_targets_hides_no_heavy_pair() {
        let mut pairs = Pairs::new(1_000);
        for i in 0..100_000u32 {
            pairs.add(&key(i % 7, 1_000_000 + i), &of(1));
            if i % 100 == 0 {
                pairs.add(&key(1, 1), &Tried::once(Status::new(403), false));
            }
        }
        assert!(pairs.len() <= 1_000);
        let heavy = pairs.iter().find(|(pair, _)| pair.target == b"t1.example").unwrap();
        assert!(heavy.1.requests + pairs.error() >= 1_000, "{heavy:?}, {}", pairs.error());
        assert!(heavy.1.bad == heavy.1.requests && heavy.1.requests > 500);
        let listed: u64 = pairs.iter().map(|(_, tried)| tried.requests).sum();
        assert_eq!(listed + pairs.left(), 101_000);
    }

    proptest! {
        /// The bound holds for every pair, and what is listed and what left are all there is; below the cap all is exact.
        #[test]
        fn no_pair_is_wrong_by_more_than_the_bound(
            cap in 2usize..40,
            adds in proptest::collection::vec((0u32..8, 0u32..8, 1u64..20), 0..300),
            cut_at in any::<prop::sample::Index>(),
        ) {
            let mut truth: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
            let mut one = Pairs::new(cap);
            // Saved and read back in between: nothing changes.
            let at = if adds.is_empty() { 0 } else { cut_at.index(adds.len()) };
            for (i, (exit, target, n)) in adds.iter().enumerate() {
                if i == at {
                    one = Pairs::restore(one.state(), cap).unwrap();
                }
                *truth.entry(key(*exit, *target)).or_default() += n;
                one.add(&key(*exit, *target), &of(*n));
            }
            prop_assert!(one.len() <= cap);
            let listed: u64 = one.iter().map(|(_, tried)| tried.requests).sum();
            prop_assert_eq!(listed + one.left(), truth.values().sum::<u64>());
            for (key, n) in &truth {
                let shown = one.of.get(&key[..]).map_or(0, |entry| entry.tried.requests);
                prop_assert!(shown <= *n && n - shown <= one.error(), "{} of {}, {}", shown, n, one.error());
            }
            if truth.len() <= cap {
                prop_assert_eq!((one.error(), one.left(), one.len()), (0, 0, truth.len()));
            }
        }

        #[test]
        fn merging_is_counting_together(
            adds in proptest::collection::vec((0u32..8, 0u32..8, 1u64..20), 0..200),
            turn in any::<prop::sample::Index>(),
        ) {
            let table = |adds: &[(u32, u32, u64)]| {
                let mut table = Pairs::new(100);
                adds.iter().for_each(|(exit, target, n)| table.add(&key(*exit, *target), &of(*n)));
                table
            };
            let at = if adds.is_empty() { 0 } else { turn.index(adds.len()) };
            let (first, second) = adds.split_at(at);
            let whole = table(&adds);
            for (a, b) in [(first, second), (second, first)] {
                let mut sum = table(a);
                sum.merge(&table(b));
                prop_assert_eq!(sum.sorted(), whole.sorted());
            }
        }
    }
}
