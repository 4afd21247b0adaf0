//! The two-way view of exits and targets: an exit that fails on many targets is a bad exit, a target that fails for many
//! exits is a bad target, or one that blocks. Where both look bad, the worse of them explains the other.

use crate::pairs::{Pair, Pairs, Tried};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Fewer targets, or exits, show nothing.
const OTHERS_MIN: u64 = 3;
/// Nor do fewer bad requests.
const BAD_MIN: u64 = 5;
/// Percent of the others on which an exit or a target must be bad: the worst are found first, and what they explain is
/// no longer held against the rest.
const SHARES: [u64; 7] = [100, 95, 90, 80, 70, 60, 51];
/// Percent of all exits and of all targets: where so many are bad, it is none of them.
const EVERYWHERE: u64 = 90;

/// An exit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its address, or whatever the log names it by.
    pub exit: String,
    /// Who lends it; may be empty.
    pub provider: String,
    /// What came of its requests.
    pub tried: Tried,
    /// The targets that it was used for, and those on which at least half of its requests were bad.
    pub targets: u64,
    /// See `targets`.
    pub bad_targets: u64,
    /// It is bad, whatever the target.
    pub is_bad: bool,
}

/// A target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub target: String,
    /// What came of the requests to it.
    pub tried: Tried,
    /// The exits that asked it, and those for which at least half of the requests were bad.
    pub exits: u64,
    /// See `exits`.
    pub bad_exits: u64,
    /// The exit with most of its requests, and how many.
    pub busiest: (String, u64),
    /// It is bad, whatever the exit.
    pub is_bad: bool,
}

impl Target {
    /// Whether what is bad of it is mostly that it turns requests away.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        is_blocking(&self.tried)
    }
}

fn is_blocking(tried: &Tried) -> bool {
    tried.bad > 0 && tried.refused.iter().sum::<u64>() * 2 >= tried.bad
}

/// Exits, targets, and which of them are to blame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TwoWay {
    /// Most bad targets first, then most bad requests.
    pub exits: Vec<Exit>,
    /// Most bad exits first, then most bad requests.
    pub targets: Vec<Target>,
    /// Pairs of an exit and a target that are listed.
    pub pairs: u64,
    /// Requests of pairs that are not: see [`Pairs::left`].
    pub left: u64,
    /// See [`Pairs::error`].
    pub error: u64,
    /// Nearly every exit is bad on nearly every target: the fault is in what they share.
    pub is_everywhere: bool,
}

/// One thing that the two-way view shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// What an exit does.
    Exit {
        /// The exit.
        exit: String,
        /// Who lends it; may be empty.
        provider: String,
        /// It fails on so many …
        bad: u64,
        /// … of so many targets.
        of: u64,
        /// It is to blame.
        is_bad: bool,
    },
    /// What a target does.
    Target {
        /// The host.
        target: String,
        /// It fails for so many …
        bad: u64,
        /// … of so many exits.
        of: u64,
        /// Requests with 403, 407 and 429, if it is these that make it bad.
        refused: Option<[u64; 3]>,
        /// It is to blame.
        is_bad: bool,
    },
    /// Nearly all exits are bad on nearly all targets.
    Everywhere {
        /// So many exits.
        exits: u64,
        /// So many targets.
        targets: u64,
    },
}

impl Exit {
    fn finding(&self) -> Finding {
        Finding::Exit {
            exit: self.exit.clone(),
            provider: self.provider.clone(),
            bad: self.bad_targets,
            of: self.targets,
            is_bad: self.is_bad,
        }
    }
}

impl Target {
    fn finding(&self) -> Finding {
        Finding::Target {
            target: self.target.clone(),
            bad: self.bad_exits,
            of: self.exits,
            refused: self.is_blocking().then_some(self.tried.refused),
            is_bad: self.is_bad,
        }
    }
}

impl TwoWay {
    /// The view of a table; `None`: no request named both an exit and a target.
    #[must_use]
    pub fn of(pairs: &Pairs) -> Option<TwoWay> {
        if pairs.is_empty() {
            return None;
        }
        let mut view = two_way(pairs.iter());
        (view.left, view.error) = (pairs.left(), pairs.error());
        Some(view)
    }

    /// What it shows: whatever is to blame, the worst first, `most` at most.
    #[must_use]
    pub fn findings(&self, most: usize) -> Vec<Finding> {
        let (exits, targets) = (self.exits.len() as u64, self.targets.len() as u64);
        let everywhere = self.is_everywhere.then_some(Finding::Everywhere { exits, targets });
        let exits = self.exits.iter().filter(|exit| exit.is_bad).map(|e| (e.tried.bad, e.finding()));
        let targets = self.targets.iter().filter(|target| target.is_bad).map(|t| (t.tried.bad, t.finding()));
        let mut all: Vec<(u64, Finding)> = exits.chain(targets).collect();
        all.sort_by_key(|(bad, _)| std::cmp::Reverse(*bad));
        everywhere.into_iter().chain(all.into_iter().map(|(_, finding)| finding)).take(most).collect()
    }

    /// What it shows of the exit, the provider or the target that a group's labels name; of other groups, the worst.
    #[must_use]
    pub fn findings_for(&self, labels: &[(String, String)], most: usize) -> Vec<Finding> {
        let label = |name: &str| labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        // Where the upstreams are the exits, they have their names.
        let upstream = || label("upstream").filter(|name| self.exits.iter().any(|e| e.exit == **name));
        let (exit, provider) = (label(EXIT).or_else(upstream), label(PROVIDER));
        let mut found = Vec::new();
        if exit.is_some() || provider.is_some() {
            let is_it =
                |e: &&Exit| exit.is_none_or(|x| x == e.exit) && provider.is_none_or(|p| p == e.provider);
            let exits = self.exits.iter().filter(is_it).filter(|e| exit.is_some() || e.is_bad);
            found.extend(exits.map(Exit::finding));
        }
        if let Some(site) = label("site") {
            found.extend(self.targets.iter().filter(|t| t.target == site).map(Target::finding));
        }
        let names_any = exit.is_some() || provider.is_some() || label("site").is_some();
        if self.is_everywhere || !names_any {
            return self.findings(most);
        }
        found.truncate(most);
        found
    }
}

/// The capture that names an exit.
pub const EXIT: &str = "exit_ip";
/// The capture that names who lends it.
pub const PROVIDER: &str = "provider";

/// A pair by the places of its exit and its target.
struct Cell {
    exit: usize,
    target: usize,
    is_bad: bool,
}

/// The view of some pairs, each of them once.
#[must_use]
pub fn two_way<'a>(pairs: impl IntoIterator<Item = (Pair<'a>, &'a Tried)>) -> TwoWay {
    let mut view = TwoWay::default();
    let mut exits: HashMap<(&[u8], &[u8]), usize> = HashMap::new();
    let mut targets: HashMap<&[u8], usize> = HashMap::new();
    let mut cells = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (pair, tried) in pairs {
        let exit = *exits.entry((pair.exit, pair.provider)).or_insert_with(|| {
            let (exit, provider) = (text(pair.exit), text(pair.provider));
            view.exits.push(Exit { exit, provider, ..Exit::default() });
            view.exits.len() - 1
        });
        let target = *targets.entry(pair.target).or_insert_with(|| {
            view.targets.push(Target { target: text(pair.target), ..Target::default() });
            view.targets.len() - 1
        });
        let is_bad = tried.bad > 0 && tried.bad.saturating_mul(2) >= tried.requests;
        if let Some(exit) = view.exits.get_mut(exit) {
            exit.tried.add(tried);
            exit.targets += 1;
            exit.bad_targets += u64::from(is_bad);
        }
        if let Some(target) = view.targets.get_mut(target) {
            target.tried.add(tried);
            target.exits += 1;
            target.bad_exits += u64::from(is_bad);
            let busiest = (text(pair.exit), tried.requests);
            // The first by name, where two are as busy: pairs come in any order.
            if (busiest.1, &target.busiest.0) > (target.busiest.1, &busiest.0) || target.exits == 1 {
                target.busiest = busiest;
            }
        }
        cells.push(Cell { exit, target, is_bad });
    }
    view.pairs = cells.len() as u64;
    view.is_everywhere = is_everywhere(&view);
    if !view.is_everywhere {
        blame(&mut view, &cells);
    }
    view.exits.sort_by(|a, b| {
        let key = |e: &Exit| std::cmp::Reverse((e.is_bad, e.bad_targets, e.tried.bad, e.tried.requests));
        key(a).cmp(&key(b)).then_with(|| (&a.exit, &a.provider).cmp(&(&b.exit, &b.provider)))
    });
    view.targets.sort_by(|a, b| {
        let key = |t: &Target| std::cmp::Reverse((t.is_bad, t.bad_exits, t.tried.bad, t.tried.requests));
        key(a).cmp(&key(b)).then_with(|| a.target.cmp(&b.target))
    });
    view
}

fn is_share(bad: u64, of: u64, percent: u64) -> bool {
    of >= OTHERS_MIN && u128::from(bad) * 100 >= u128::from(of) * u128::from(percent)
}

/// Whether nearly all exits are bad on most targets, and nearly all targets for most exits.
fn is_everywhere(view: &TwoWay) -> bool {
    let exits = view.exits.iter().filter(|e| is_share(e.bad_targets, e.targets, 51)).count() as u64;
    let targets = view.targets.iter().filter(|t| is_share(t.bad_exits, t.exits, 51)).count() as u64;
    is_share(exits, view.exits.len() as u64, EVERYWHERE)
        && is_share(targets, view.targets.len() as u64, EVERYWHERE)
}

/// Says which exits and which targets are bad. Those that are bad on nearly all others are found first and left out of the
/// count of the others: forty bad exits make no target bad.
fn blame(view: &mut TwoWay, cells: &[Cell]) {
    for percent in SHARES {
        // Bad and all, by exit and by target, without what is found already.
        let mut exits = vec![(0u64, 0u64); view.exits.len()];
        let mut targets = vec![(0u64, 0u64); view.targets.len()];
        for cell in cells {
            let (Some(exit), Some(target)) = (view.exits.get(cell.exit), view.targets.get(cell.target))
            else {
                continue;
            };
            let one = (u64::from(cell.is_bad), 1);
            if let Some(sum) = exits.get_mut(cell.exit).filter(|_| !target.is_bad) {
                *sum = (sum.0 + one.0, sum.1 + one.1);
            }
            if let Some(sum) = targets.get_mut(cell.target).filter(|_| !exit.is_bad) {
                *sum = (sum.0 + one.0, sum.1 + one.1);
            }
        }
        for (exit, (bad, of)) in view.exits.iter_mut().zip(exits) {
            exit.is_bad |= exit.tried.bad >= BAD_MIN && is_share(bad, of, percent);
        }
        for (target, (bad, of)) in view.targets.iter_mut().zip(targets) {
            target.is_bad |= target.tried.bad >= BAD_MIN && is_share(bad, of, percent);
        }
    }
}

/// Exits by provider: how many there are, and how many of them are bad. Without those that name none.
#[must_use]
pub fn providers(exits: &[Exit]) -> BTreeMap<&str, (u64, u64)> {
    let mut of: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for exit in exits.iter().filter(|exit| !exit.provider.is_empty()) {
        let sum = of.entry(&exit.provider).or_default();
        *sum = (sum.0 + 1, sum.1 + u64::from(exit.is_bad));
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_parsers::Status;
    use proptest::prelude::*;

    /// Every exit at every target: `bad` says which are, and with which status.
    fn view(exits: u32, targets: u32, bad: impl Fn(u32, u32) -> Option<u16>) -> TwoWay {
        let mut pairs = Pairs::new(20_000);
        for exit in 0..exits {
            for target in 0..targets {
                let mut key = Vec::new();
                let names = (format!("e{exit}"), format!("p{}", exit % 2), format!("t{target}"));
                let pair = Pair {
                    exit: names.0.as_bytes(),
                    provider: names.1.as_bytes(),
                    target: names.2.as_bytes(),
                };
                pair.write(&mut key);
                for i in 0..4 {
                    let status = bad(exit, target).filter(|_| i < 3);
                    let is_error = status.is_some_and(|status| status >= 500);
                    pairs.add(&key, &Tried::once(Status::new(status.unwrap_or(200)), is_error));
                }
            }
        }
        TwoWay::of(&pairs).unwrap()
    }

    fn blamed(view: &TwoWay) -> (Vec<&str>, Vec<&str>) {
        let exits = view.exits.iter().filter(|e| e.is_bad).map(|e| e.exit.as_str());
        let targets = view.targets.iter().filter(|t| t.is_bad).map(|t| t.target.as_str());
        (exits.collect(), targets.collect())
    }

    type Bad = fn(u32, u32) -> Option<u16>;
    /// What it shows, exits, targets, what is bad; the bad exits, the bad targets, and whether everything is.
    type Case = (&'static str, u32, u32, Bad, &'static [&'static str], &'static [&'static str], bool);

    #[test]
    fn who_is_to_blame() {
        let cases: [Case; 10] = [
            ("nothing is bad", 64, 40, |_, _| None, &[], &[], false),
            ("one exit, on 38 of 40", 64, 40, |e, t| (e == 7 && t > 1).then_some(502), &["e7"], &[], false),
            (
                "one target, for 61 of 64",
                64,
                40,
                |e, t| (t == 5 && e > 2).then_some(403),
                &[],
                &["t5"],
                false,
            ),
            ("both", 64, 40, |e, t| (e == 7 || t == 5).then_some(429), &["e7"], &["t5"], false),
            ("forty exits make no target bad", 64, 4, |e, _| (e < 40).then_some(502), &[], &[], false),
            ("everything", 8, 8, |_, _| Some(504), &[], &[], true),
            ("half of everything, anywhere", 8, 8, |e, t| ((e + t) % 2 == 0).then_some(504), &[], &[], false),
            ("one target shows nothing of its exits", 8, 1, |_, _| Some(403), &[], &["t0"], false),
            ("one exit shows nothing of its targets", 1, 8, |_, _| Some(502), &["e0"], &[], false),
            ("two of each show nothing", 2, 2, |_, _| Some(502), &[], &[], false),
        ];
        for (name, exits, targets, bad, bad_exits, bad_targets, everywhere) in cases {
            let view = view(exits, targets, bad);
            let (found_exits, found_targets) = blamed(&view);
            if exits == 64 && targets == 4 {
                assert_eq!((found_exits.len(), found_targets.len()), (40, 0), "{name}");
                continue;
            }
            assert_eq!((&*found_exits, &*found_targets), (bad_exits, bad_targets), "{name}");
            assert_eq!(view.is_everywhere, everywhere, "{name}");
        }
    }

    #[test]
    fn counts_are_those_of_people() {
        let view = view(64, 40, |e, t| match (e, t) {
            (7, 2..) => Some(502),
            (3.., 5) => Some([403, 429][e as usize % 2]),
            _ => None,
        });
        let exit = &view.exits[0];
        assert_eq!((exit.exit.as_str(), exit.bad_targets, exit.targets), ("e7", 38, 40));
        let target = &view.targets[0];
        assert_eq!((target.target.as_str(), target.bad_exits, target.exits), ("t5", 61, 64));
        assert!(target.is_blocking() && !view.targets[1].is_blocking());
        assert_eq!(target.tried.refused, [90, 0, 90]);
        assert_eq!((target.busiest.clone(), target.tried.requests), (("e0".to_owned(), 4), 256));
        assert_eq!(view.pairs, 64 * 40);
        assert_eq!(providers(&view.exits), [("p0", (32, 0)), ("p1", (32, 1))].into());

        let of = |labels: &[(&str, &str)]| {
            let labels: Vec<_> = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            view.findings_for(&labels, 3)
        };
        let bad_exit =
            Finding::Exit { exit: "e7".into(), provider: "p1".into(), bad: 38, of: 40, is_bad: true };
        let refused = Some([90, 0, 90]);
        let bad_target = Finding::Target { target: "t5".into(), bad: 61, of: 64, refused, is_bad: true };
        assert_eq!(of(&[("exit_ip", "e7")]), std::slice::from_ref(&bad_exit));
        assert_eq!(of(&[("exit_ip", "e7"), ("provider", "p0")]), []);
        assert_eq!(of(&[("provider", "p1")]), std::slice::from_ref(&bad_exit));
        assert_eq!(of(&[("site", "t5")]), std::slice::from_ref(&bad_target));
        assert_eq!(of(&[("upstream", "u")]), [bad_target, bad_exit]);
        let fine = Finding::Exit { exit: "e8".into(), provider: "p0".into(), bad: 1, of: 40, is_bad: false };
        assert_eq!(of(&[("exit_ip", "e8")]), [fine]);
        assert_eq!(of(&[("exit_ip", "nobody")]), []);
        assert_eq!(of(&[("upstream", "e7"), ("node", "n")]), of(&[("exit_ip", "e7")]));
    }

    #[test]
    fn without_exits_there_is_no_view() {
        assert_eq!(TwoWay::of(&Pairs::default()), None);
    }

    proptest! {
        /// Its sums are those of the pairs, and their order changes nothing.
        #[test]
        fn marginals_sum_to_the_pairs(
            tried in proptest::collection::btree_map((0u8..9, 0u8..9), (1u64..30, 0u64..30), 0..60),
            turn in any::<prop::sample::Index>(),
        ) {
            let cells: Vec<(String, String, Tried)> = tried
                .iter()
                .map(|((e, t), (requests, bad))| {
                    let tried = Tried { requests: *requests, bad: *bad.min(requests), ..Tried::default() };
                    (format!("e{e}"), format!("t{t}"), tried)
                })
                .collect();
            let view = |cells: &[(String, String, Tried)]| {
                two_way(cells.iter().map(|(exit, target, tried)| {
                    (Pair { exit: exit.as_bytes(), provider: b"", target: target.as_bytes() }, tried)
                }))
            };
            let first = view(&cells);
            let sum = |of: &dyn Fn(&Tried) -> u64| cells.iter().map(|(_, _, tried)| of(tried)).sum::<u64>();
            for of in [&(|t: &Tried| t.requests) as &dyn Fn(&Tried) -> u64, &|t: &Tried| t.bad] {
                prop_assert_eq!(first.exits.iter().map(|e| of(&e.tried)).sum::<u64>(), sum(of));
                prop_assert_eq!(first.targets.iter().map(|t| of(&t.tried)).sum::<u64>(), sum(of));
            }
            prop_assert_eq!(first.exits.iter().map(|e| e.targets).sum::<u64>(), first.pairs);
            prop_assert_eq!(first.targets.iter().map(|t| t.exits).sum::<u64>(), first.pairs);
            let mut turned = cells.clone();
            if !turned.is_empty() {
                turned.rotate_left(turn.index(cells.len()));
                turned.reverse();
            }
            prop_assert_eq!(view(&turned), first);
        }
    }
}
