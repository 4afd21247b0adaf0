//! Where a fault is: which few labels hold the errors that are more than usual. An expectation-based Poisson scan: every
//! combination of up to three labels is compared with what its own baseline lets expect, and the one whose errors are
//! least likely by chance is the cause, or a shorter one that says nearly the same.

use crate::series::OTHER;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

mod beside;
mod cells;
mod search;
mod table;

/// At most so many labels are scanned; of more, those that tell most.
pub const DIMENSIONS_MAX: usize = 6;
/// A cause has at most so many labels.
pub const DEPTH_MAX: usize = 3;
/// A fault has at most so many causes.
pub const CAUSES_MAX: usize = 3;
/// So many candidates are ranked.
pub const RANKED_MAX: usize = 10;
/// So many values that do not fail are named.
pub const SPARED_MAX: usize = 3;
/// So many leaves are scanned in a running agent; of more, rare values are folded.
pub const LEAVES_MAX: usize = 10_000;

/// More of anything is not told apart: sums stay exact.
const COUNT_MAX: f64 = 1e12;

/// What was counted of one set of labels. Anything that is no number, or below 0, is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Errors now.
    pub errors: f64,
    /// Requests now.
    pub requests: f64,
    /// Errors before, over however long.
    pub baseline_errors: f64,
    /// Requests before, over the same time.
    pub baseline_requests: f64,
}

impl Seen {
    fn sound(self) -> Seen {
        let of = |count: f64| if count.is_finite() && count > 0.0 { count.min(COUNT_MAX) } else { 0.0 };
        Seen {
            errors: of(self.errors),
            requests: of(self.requests),
            baseline_errors: of(self.baseline_errors),
            baseline_requests: of(self.baseline_requests),
        }
    }

    fn add(&mut self, other: &Seen) {
        self.errors += other.errors;
        self.requests += other.requests;
        self.baseline_errors += other.baseline_errors;
        self.baseline_requests += other.baseline_requests;
    }

    /// What is left without some of it; a sum of fractions may end a hair below 0.
    fn without(&self, other: &Seen) -> Seen {
        let of = |all: f64, part: f64| (all - part).max(0.0);
        Seen {
            errors: of(self.errors, other.errors),
            requests: of(self.requests, other.requests),
            baseline_errors: of(self.baseline_errors, other.baseline_errors),
            baseline_requests: of(self.baseline_requests, other.baseline_requests),
        }
    }
}

/// A combination of labels under suspicion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Name and value; none: everything.
    pub labels: Vec<(String, String)>,
    /// How unlikely its errors are by chance: a logarithm, 0 for as many as expected.
    pub score: f64,
    /// Its errors.
    pub errors: f64,
    /// As many as were to be expected.
    pub expected: f64,
    /// Its requests.
    pub requests: f64,
    /// Its share of all errors beyond those expected (0–1).
    pub excess_share: f64,
    /// Its share of all requests (0–1).
    pub traffic_share: f64,
    /// Labels that would name the very same series: "= all of region eu".
    pub same: Vec<(String, String)>,
    /// Labels that all its series have, and others too: the node n3 is in region eu.
    pub within: Vec<(String, String)>,
}

impl Suspect {
    /// In words: `node n3 (= all of region eu)`; `everything`.
    #[must_use]
    pub fn words(&self) -> String {
        let named = |labels: &[(String, String)], by: &str| {
            labels.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(by)
        };
        if self.labels.is_empty() {
            return "everything".to_owned();
        }
        let own = named(&self.labels, ", ");
        if self.same.is_empty() { own } else { format!("{own} (= all of {})", named(&self.same, ", ")) }
    }
}

/// What does not fail beside a cause, by the cause's first label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spared {
    /// The label.
    pub label: String,
    /// Its values that do not fail, those with most requests first; at most [`SPARED_MAX`].
    pub values: Vec<String>,
    /// How many more there are.
    pub more: u32,
    /// The lowest and the highest share of errors among all of them.
    pub ratios: (f64, f64),
}

/// Where the fault is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// What explains the excess, the greatest first; at most [`CAUSES_MAX`]. Empty: nothing is above what was expected.
    pub causes: Vec<Suspect>,
    /// Everything is affected alike: no few labels explain it.
    pub is_global: bool,
    /// Everything, as a suspect.
    pub whole: Suspect,
    /// Causes, then further candidates; at most [`RANKED_MAX`]. Everything comes first if it is global.
    pub ranked: Vec<Suspect>,
    /// What no cause explains: errors and requests of the rest, and the errors to be expected there.
    pub rest: (f64, f64, f64),
}

/// Counts by label set, to be searched.
#[derive(Clone, Debug, Default)]
pub struct Cube {
    names: Vec<String>,
    values: Vec<Vec<String>>,
    codes: Vec<HashMap<String, u32>>,
    /// Row by row, one code a name.
    rows: Vec<Vec<u32>>,
    seen: Vec<Seen>,
}

impl Cube {
    /// Nothing counted, under these label names. Of two causes that say the same, the one with the earlier label is named.
    #[must_use]
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Cube {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Cube {
            values: vec![Vec::new(); names.len()],
            codes: vec![HashMap::new(); names.len()],
            names,
            ..Cube::default()
        }
    }

    /// Adds what was counted of a label set: a value a name, in order; those that are missing are empty.
    pub fn add<'a>(&mut self, labels: impl IntoIterator<Item = &'a str>, seen: Seen) {
        let mut given = labels.into_iter();
        let mut row = Vec::with_capacity(self.names.len());
        for (values, codes) in self.values.iter_mut().zip(&mut self.codes) {
            let value = given.next().unwrap_or("");
            let next = u32::try_from(values.len()).unwrap_or(u32::MAX);
            let code = match codes.get(value) {
                Some(code) => *code,
                None => {
                    codes.insert(value.to_owned(), next);
                    values.push(value.to_owned());
                    next
                }
            };
            row.push(code);
        }
        self.rows.push(row);
        self.seen.push(seen.sound());
    }

    /// How many were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// At most so many rows: the values with the fewest errors (then requests) of the label that has most of them read
    /// `__other__`, which is never a cause. Returns how many values were folded.
    pub fn fold(&mut self, most: usize) -> usize {
        let mut folded = 0;
        while self.rows.len() > most.max(1) {
            let lens = self.values.iter().map(Vec::len).enumerate();
            let Some((at, 3..)) = lens.max_by_key(|(at, len)| (*len, usize::MAX - at)) else { break };
            folded += self.halve(at);
        }
        folded
    }

    /// Folds half of the values of one label.
    fn halve(&mut self, at: usize) -> usize {
        let Some(values) = self.values.get(at) else { return 0 };
        let mut ranked: Vec<(f64, f64, &str)> =
            values.iter().map(|value| (0.0, 0.0, value.as_str())).collect();
        for (row, seen) in self.rows.iter().zip(&self.seen) {
            if let Some(sum) = row.get(at).and_then(|code| ranked.get_mut(*code as usize)) {
                (sum.0, sum.1) = (sum.0 + seen.errors, sum.1 + seen.requests + seen.baseline_requests);
            }
        }
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then_with(|| a.2.cmp(b.2)));
        let stay: HashSet<&str> = ranked.iter().take(values.len() / 2).map(|v| v.2).collect();
        let folded = values.len() - stay.len();
        let mut less: BTreeMap<Vec<&str>, Seen> = BTreeMap::new();
        for (row, seen) in self.rows.iter().zip(&self.seen) {
            let value = |(i, code): (usize, &u32)| {
                let value = self.values.get(i).and_then(|v| v.get(*code as usize)).map_or("", String::as_str);
                if i == at && !stay.contains(value) { OTHER } else { value }
            };
            less.entry(row.iter().enumerate().map(value).collect()).or_default().add(seen);
        }
        let mut cube = Cube::new(self.names.iter().cloned());
        less.into_iter().for_each(|(labels, seen)| cube.add(labels, seen));
        *self = cube;
        folded
    }

    /// How many values of a label fail where a cause is, and how many are there; `None`: fewer than two are.
    #[must_use]
    pub fn affected(&self, cause: &[(String, String)], label: &str) -> Option<(u32, u32)> {
        beside::affected(self, cause, label)
    }

    /// What does not fail beside a cause.
    #[must_use]
    pub fn spared(&self, cause: &[(String, String)]) -> Option<Spared> {
        beside::spared(self, cause)
    }

    /// Where the fault is. Depends on the counts by label set only, not on the order in which they came.
    #[must_use]
    pub fn localise(&self) -> Verdict {
        search::localise(self)
    }
}

#[cfg(test)]
#[path = "localise_tests.rs"]
mod tests;
