//! Labelled faults: counts by label set, and where the fault was put. Three kinds of traffic: proxies', sparse ratios with
//! unlike values, and dense cubes with noise.

use super::numbers::Numbers;
use gatewatch_rules::localise::{Cube, Seen, Verdict};

type Labels = Vec<(String, String)>;
/// Places of labels and the values there.
type Cause = Vec<(usize, usize)>;

/// Counts, and what was put in.
pub struct Case {
    pub kind: &'static str,
    pub cube: Cube,
    /// By cause, every name that says the same; none: everything.
    pub causes: Vec<Vec<Labels>>,
}

/// A case that grows row by row.
struct Made {
    names: &'static [&'static str],
    cube: Cube,
    rows: Vec<Vec<usize>>,
}

impl Made {
    fn new(names: &'static [&'static str]) -> Made {
        Made { names, cube: Cube::new(names.iter().copied()), rows: Vec::new() }
    }

    fn add(&mut self, row: &[usize], seen: Seen) {
        let values: Vec<String> = row.iter().map(|value| format!("v{value}")).collect();
        self.cube.add(values.iter().map(String::as_str), seen);
        self.rows.push(row.to_vec());
    }

    fn case(self, kind: &'static str, causes: &[Cause]) -> Case {
        let causes = causes.iter().map(|cause| self.equal_names(cause)).collect();
        Case { kind, cube: self.cube, causes }
    }

    /// Every set of up to three labels that names the same rows.
    fn equal_names(&self, cause: &Cause) -> Vec<Labels> {
        let Some(first) = self.rows.iter().find(|row| covers(cause, row)) else { return Vec::new() };
        let mut all = Vec::new();
        for mask in 1u32..1 << self.names.len() {
            if mask.count_ones() > 3 {
                continue;
            }
            let chosen = (0..self.names.len()).filter(|at| mask >> at & 1 == 1);
            let other: Cause = chosen.map(|at| (at, first[at])).collect();
            if self.rows.iter().all(|row| covers(&other, row) == covers(cause, row)) {
                let label = |(at, value): &(usize, usize)| (self.names[*at].to_owned(), format!("v{value}"));
                all.push(other.iter().map(label).collect());
            }
        }
        all
    }
}

fn covers(cause: &Cause, row: &[usize]) -> bool {
    cause.iter().all(|(at, value)| row[*at] == *value)
}

const REGION: usize = 0;
const NODE: usize = 1;
const POOL: usize = 2;
const UPSTREAM: usize = 3;
const SITE: usize = 4;
/// A node's region: three nodes in one, and a region of one node.
const REGION_OF: [usize; 8] = [0, 0, 0, 1, 1, 2, 2, 3];
const KINDS: [&str; 11] = [
    "upstream",
    "node",
    "region",
    "site",
    "upstream x node",
    "upstream x site",
    "pool",
    "everything",
    "two upstreams",
    "two nodes",
    "upstream and site",
];

/// What fails; none: everything.
fn put(kind: &str, r: &mut Numbers) -> Vec<Cause> {
    let (node, upstream, site) = (r.below(8), r.below(12), r.below(8));
    let (other_node, other_upstream) = ((node + 1 + r.below(7)) % 8, (upstream + 1 + r.below(11)) % 12);
    match kind {
        "upstream" => vec![vec![(UPSTREAM, upstream)]],
        "node" => vec![vec![(NODE, node)]],
        "region" => vec![vec![(REGION, REGION_OF[node])]],
        "site" => vec![vec![(SITE, site)]],
        "upstream x node" => vec![vec![(NODE, node), (UPSTREAM, upstream)]],
        "upstream x site" => vec![vec![(UPSTREAM, upstream), (SITE, site)]],
        "pool" => vec![vec![(POOL, upstream / 4)]],
        "two upstreams" => vec![vec![(UPSTREAM, upstream)], vec![(UPSTREAM, other_upstream)]],
        "two nodes" => vec![vec![(NODE, node)], vec![(NODE, other_node)]],
        "upstream and site" => vec![vec![(UPSTREAM, upstream)], vec![(SITE, site)]],
        _ => Vec::new(),
    }
}

fn weights(r: &mut Numbers, n: usize) -> Vec<f64> {
    let all: Vec<f64> = (0..n).map(|_| r.between(0.5, 1.5)).collect();
    let sum: f64 = all.iter().sum();
    all.iter().map(|weight| weight / sum).collect()
}

/// 8 nodes in 4 regions, 12 upstreams in 3 pools, 60 sites by Zipf of which 3 always fail a fifth, 3 plans; of so many
/// requests, and 15 times as many before. A fault fails 20 to 100 %.
pub fn proxies(seed: u64, requests: f64) -> Case {
    let mut r = Numbers::of(seed);
    let kind = KINDS[usize::try_from(seed).unwrap_or(0) % KINDS.len()];
    let causes = put(kind, &mut r);
    let (share, base) = (r.between(0.2, 1.0), r.between(0.001, 0.02));
    let zipf: f64 = (1..=60).map(|rank| 1.0 / f64::from(rank)).sum();
    let chronic = [5 + r.below(10), 20 + r.below(10), 40 + r.below(10)];
    let (nodes, upstreams) = (weights(&mut r, 8), weights(&mut r, 12));
    let mut made = Made::new(&["region", "node", "pool", "upstream", "site", "plan"]);
    for at in 0..8 * 12 * 60 * 3 {
        let (plan, site, upstream, node) = (at % 3, at / 3 % 60, at / 180 % 12, at / 2160);
        let row = [REGION_OF[node], node, upstream / 4, upstream, site, plan];
        let rank = f64::from(u32::try_from(site).unwrap_or(0) + 1);
        let weight = nodes[node] * upstreams[upstream] / rank / zipf * [0.6, 0.3, 0.1][plan];
        let (now, before) = (r.poisson(requests * weight), r.poisson(requests * weight * 15.0));
        if now + before <= 0.0 {
            continue;
        }
        let usual = if chronic.contains(&site) { 0.2 } else { base };
        let hit = causes.is_empty() || causes.iter().any(|cause| covers(cause, &row));
        let chance = if hit { usual + (1.0 - usual) * share } else { usual };
        let seen = Seen {
            errors: r.binomial(now, chance),
            requests: now,
            baseline_errors: r.binomial(before, usual),
            baseline_requests: before,
        };
        made.add(&row, seen);
    }
    made.case(kind, &causes)
}

struct Leaf {
    row: [usize; 4],
    requests: f64,
    usual: f64,
    share: f64,
}

/// Leaves of four labels with few values each, very unlike in traffic and in what is usual.
fn leaves(r: &mut Numbers) -> Vec<Leaf> {
    let sizes = [3 + r.below(6), 3 + r.below(5), 4 + r.below(8), 2 + r.below(2)];
    let spread = |r: &mut Numbers, by: f64| -> Vec<Vec<f64>> {
        sizes.iter().map(|n| (0..*n).map(|_| (r.normal() * by).exp()).collect()).collect()
    };
    let (weights, rates) = (spread(r, 2.0), spread(r, 0.6));
    let requests = 10f64.powf(r.between(3.5, 5.2));
    let base = r.between(0.003, 0.02);
    let of = |all: &[Vec<f64>], row: &[usize; 4]| -> f64 {
        all.iter().zip(row).map(|(values, value)| values[*value]).product()
    };
    let sum: f64 = weights.iter().map(|values| values.iter().sum::<f64>()).product();
    (0..sizes.iter().product())
        .map(|at| {
            let (ab, cd) = (sizes[0] * sizes[1], sizes[2]);
            let row = [at % sizes[0], at / sizes[0] % sizes[1], at / ab % cd, at / ab / cd];
            let weight = of(&weights, &row) / sum * (r.normal() * 0.7).exp();
            let usual = (base * of(&rates, &row)).min(0.5);
            Leaf { row, requests: requests * weight, usual, share: 0.0 }
        })
        .collect()
}

/// A cause of so many labels that can be seen: through a leaf with traffic, in several leaves, beyond what is usual.
fn visible(r: &mut Numbers, leaves: &[Leaf], depth: usize) -> Option<(Cause, f64)> {
    let leaf = &leaves[r.below(leaves.len())];
    let mut labels = vec![0, 1, 2, 3];
    while labels.len() > depth {
        labels.remove(r.below(labels.len()));
    }
    let cause: Cause = labels.iter().map(|at| (*at, leaf.row[*at])).collect();
    let covered: Vec<&Leaf> = leaves.iter().filter(|leaf| covers(&cause, &leaf.row)).collect();
    let requests: f64 = covered.iter().map(|leaf| leaf.requests).sum();
    let usual: f64 = covered.iter().map(|leaf| leaf.requests * leaf.usual).sum();
    let all: f64 = leaves.iter().map(|leaf| leaf.requests).sum();
    let share = r.between(0.05, 0.8);
    let errors = requests * share;
    let several = covered.iter().filter(|leaf| leaf.requests > 0.5).count() > 1;
    let is_seen = errors >= 25.0 && errors >= 4.0 * usual.sqrt() && requests <= all * 0.5;
    (several && is_seen).then_some((cause, share))
}

/// One or two causes of one to three labels; what is usual drifts.
pub fn sparse(seed: u64) -> Case {
    let mut r = Numbers::of(seed ^ 0xabcd);
    let mut leaves = leaves(&mut r);
    let kind = usize::try_from(seed % 3).unwrap_or(0);
    let wanted = if seed % 5 == 4 { 2 } else { 1 };
    let mut causes: Vec<Cause> = Vec::new();
    for _ in 0..2_000 {
        let found = visible(&mut r, &leaves, kind + 1).filter(|(cause, _)| !causes.contains(cause));
        let Some((cause, share)) = found.filter(|_| causes.len() < wanted) else { continue };
        leaves.iter_mut().filter(|leaf| covers(&cause, &leaf.row)).for_each(|leaf| leaf.share = share);
        causes.push(cause);
    }
    let mut made = Made::new(&["cdn", "bitrate", "device", "p2p"]);
    for leaf in &leaves {
        let (now, before) = (r.poisson(leaf.requests), r.poisson(leaf.requests * 10.0));
        let usual = (leaf.usual * (r.normal() * 0.15).exp()).min(0.9);
        if now > 0.0 {
            let seen = Seen {
                errors: r.binomial(now, usual + (1.0 - usual) * leaf.share),
                requests: now,
                baseline_errors: r.binomial(before, leaf.usual),
                baseline_requests: before,
            };
            made.add(&leaf.row, seen);
        }
    }
    made.case(["depth 1", "depth 2", "depth 3"][kind], &causes)
}

/// Four labels, every leaf of which has much, and noise; one to three causes of the same one to three labels.
pub fn dense(seed: u64) -> Case {
    let mut r = Numbers::of(seed ^ 0x55aa);
    let sizes = [10, 8, 6, 5];
    let (kind, count) = (usize::try_from(seed % 3).unwrap_or(0), 1 + seed / 3 % 3);
    let mut labels = vec![0, 1, 2, 3];
    while labels.len() > kind + 1 {
        labels.remove(r.below(labels.len()));
    }
    let mut causes: Vec<Cause> = Vec::new();
    while (causes.len() as u64) < count {
        let cause: Cause = labels.iter().map(|at| (*at, r.below(sizes[*at]))).collect();
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let share = r.between(0.2, 0.9);
    let mut made = Made::new(&["a", "b", "c", "d"]);
    for at in 0..sizes.iter().product() {
        let row = [at % 10, at / 10 % 8, at / 80 % 6, at / 480];
        let requests = (r.normal() + 4.0).exp().round();
        let hit = causes.iter().any(|cause| covers(cause, &row));
        let mut noise = || (r.normal() * 0.02).abs();
        let (now, before) = (noise(), noise());
        let ratio = if hit { share + r.normal() * 0.05 } else { now };
        let seen = Seen {
            errors: (requests * ratio.clamp(0.0, 1.0)).round(),
            requests,
            baseline_errors: (requests * before).round(),
            baseline_requests: requests,
        };
        made.add(&row, seen);
    }
    made.case(["depth 1", "depth 2", "depth 3"][kind], &causes)
}

/// Whether the first candidate is a cause that was put in; whether one of the first three is; whether the verdict names
/// just the causes.
pub fn judge(case: &Case, verdict: &Verdict) -> [bool; 3] {
    let is_it = |labels: &Labels| {
        let mut own = labels.clone();
        own.sort();
        let mut causes = case.causes.iter().flatten().cloned();
        case.causes.is_empty() && labels.is_empty()
            || causes.any(|mut cause| {
                cause.sort();
                cause == own
            })
    };
    let first = verdict.ranked.first().is_some_and(|suspect| is_it(&suspect.labels));
    let third = verdict.ranked.iter().take(3).any(|suspect| is_it(&suspect.labels));
    let all = verdict.causes.len() == case.causes.len() && verdict.causes.iter().all(|s| is_it(&s.labels));
    let exact = if case.causes.is_empty() { verdict.is_global } else { !verdict.is_global && all };
    [first, third, exact]
}
