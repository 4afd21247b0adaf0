//! Labelled faults, made by number: proxies' traffic, sparse ratios, dense cubes. What is tuned on some seeds is reported on others.

use super::*;

/// Numbers that look random: splitmix64.
pub struct Numbers(u64);

impl Numbers {
    pub fn of(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
    /// How many of `n` happen, each with this chance.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n < 64 {
            return (0..n).filter(|_| self.unit() < p).count() as u64;
        }
        let (mean, sd) = (n as f64 * p, (n as f64 * p * (1.0 - p)).sqrt());
        if mean < 20.0 {
            return self.poisson(mean).min(n);
        }
        (mean + sd * self.normal()).round().clamp(0.0, n as f64) as u64
    }
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut n) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            n += 1;
        }
        n
    }
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (self.unit().max(1e-12), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

type Labels = Vec<(String, String)>;

/// A cube, and the causes that were put in: any one of a set of equal names each; none: everything.
pub struct Case {
    pub kind: &'static str,
    pub cube: Cube,
    pub causes: Vec<Vec<Labels>>,
}

fn label(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

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

/// 8 nodes in 4 regions, 12 upstreams in 3 pools, 60 sites by Zipf of which 3 are always bad, 3 plans.
pub fn proxies(seed: u64, requests: f64) -> Case {
    let mut r = Numbers::of(seed);
    let kind = KINDS[(seed % KINDS.len() as u64) as usize];
    let node = r.below(8);
    let upstream = r.below(12);
    let site = r.below(8);
    let (node2, upstream2) = ((node + 1 + r.below(7)) % 8, (upstream + 1 + r.below(11)) % 12);
    let share = r.between(0.2, 1.0);
    let region_of = |node: usize| [0usize, 0, 0, 1, 1, 2, 2, 3][node];
    let zipf: Vec<f64> = (1..=60).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = zipf.iter().sum();
    let bad = [5 + r.below(10), 20 + r.below(10), 40 + r.below(10)];
    let base = r.between(0.001, 0.02);
    let node_weight: Vec<f64> = (0..8).map(|_| r.between(0.5, 1.5)).collect();
    let node_total: f64 = node_weight.iter().sum();
    let up_weight: Vec<f64> = (0..12).map(|_| r.between(0.5, 1.5)).collect();
    let up_total: f64 = up_weight.iter().sum();
    let mut cube = Cube::new(["region", "node", "pool", "upstream", "site", "plan"]);
    for n in 0..8 {
        for u in 0..12 {
            for s in 0..60 {
                for plan in 0..3 {
                    let weight = node_weight[n] / node_total * up_weight[u] / up_total * zipf[s] / total
                        * [0.6, 0.3, 0.1][plan];
                    let now = r.poisson(requests * weight);
                    let before = r.poisson(requests * weight * 15.0);
                    if now + before == 0 {
                        continue;
                    }
                    let usual = if bad.contains(&s) { 0.2 } else { base };
                    let hit = match kind {
                        "upstream" => u == upstream,
                        "node" => n == node,
                        "region" => region_of(n) == region_of(node),
                        "site" => s == site,
                        "upstream x node" => u == upstream && n == node,
                        "upstream x site" => u == upstream && s == site,
                        "pool" => u / 4 == upstream / 4,
                        "two upstreams" => u == upstream || u == upstream2,
                        "two nodes" => n == node || n == node2,
                        "upstream and site" => u == upstream || s == site,
                        _ => true,
                    };
                    let p = if hit { usual + (1.0 - usual) * share } else { usual };
                    let seen = Seen {
                        errors: r.binomial(now, p) as f64,
                        requests: now as f64,
                        baseline_errors: r.binomial(before, usual) as f64,
                        baseline_requests: before as f64,
                    };
                    let values = [
                        region_of(n).to_string(),
                        n.to_string(),
                        (u / 4).to_string(),
                        u.to_string(),
                        s.to_string(),
                        plan.to_string(),
                    ];
                    cube.add(values.iter().map(String::as_str), seen);
                }
            }
        }
    }
    let of_node = |n: usize| {
        let mut names = vec![vec![label("node", n)]];
        if n == 7 {
            names.push(vec![label("region", 3)]);
        }
        names
    };
    let causes = match kind {
        "upstream" => vec![vec![vec![label("upstream", upstream)]]],
        "node" => vec![of_node(node)],
        "region" if region_of(node) == 3 => vec![of_node(7)],
        "region" => vec![vec![vec![label("region", region_of(node))]]],
        "site" => vec![vec![vec![label("site", site)]]],
        "upstream x node" => vec![
            of_node(node)
                .into_iter()
                .map(|mut l| {
                    l.push(label("upstream", upstream));
                    l
                })
                .collect(),
        ],
        "upstream x site" => vec![vec![vec![label("upstream", upstream), label("site", site)]]],
        "pool" => vec![vec![vec![label("pool", upstream / 4)]]],
        "two upstreams" => {
            [upstream, upstream2].into_iter().map(|u| vec![vec![label("upstream", u)]]).collect()
        }
        "two nodes" => [node, node2].into_iter().map(of_node).collect(),
        "upstream and site" => vec![vec![vec![label("upstream", upstream)]], vec![vec![label("site", site)]]],
        _ => vec![],
    };
    Case { kind, cube, causes }
}

/// Few labels with a few values each, very unlike in traffic and in what is usual; a small cause of one to three labels.
pub fn sparse(seed: u64) -> Case {
    let mut r = Numbers::of(seed ^ 0xabcd);
    let sizes = [3 + r.below(6), 3 + r.below(5), 4 + r.below(8), 2 + r.below(2)];
    let weights: Vec<Vec<f64>> =
        sizes.iter().map(|n| (0..*n).map(|_| (r.normal() * 2.0).exp()).collect()).collect();
    let rates: Vec<Vec<f64>> =
        sizes.iter().map(|n| (0..*n).map(|_| (r.normal() * 0.6).exp()).collect()).collect();
    let sums: Vec<f64> = weights.iter().map(|w| w.iter().sum()).collect();
    let requests = 10f64.powf(r.between(3.5, 5.2));
    let base = r.between(0.003, 0.02);
    let depth = 1 + (seed % 3) as usize;
    let causes_wanted = if seed % 5 == 4 { 2 } else { 1 };
    let mut leaves: Vec<([usize; 4], f64, f64, f64)> = Vec::new();
    for a in 0..sizes[0] {
        for b in 0..sizes[1] {
            for c in 0..sizes[2] {
                for d in 0..sizes[3] {
                    let at = [a, b, c, d];
                    let w: f64 = (0..4).map(|i| weights[i][at[i]] / sums[i]).product::<f64>()
                        * (r.normal() * 0.7).exp();
                    let rate: f64 = (base * (0..4).map(|i| rates[i][at[i]]).product::<f64>()).min(0.5);
                    leaves.push((at, (requests * w), rate, 0.0));
                }
            }
        }
    }
    let mut causes: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut tries = 0;
    while causes.len() < causes_wanted && tries < 2000 {
        tries += 1;
        // Through a leaf that has traffic.
        let Some(leaf) = leaves.get(r.below(leaves.len())) else { continue };
        let mut dims = vec![0, 1, 2, 3];
        while dims.len() > depth {
            dims.remove(r.below(dims.len()));
        }
        let cause: Vec<(usize, usize)> = dims.iter().map(|d| (*d, leaf.0[*d])).collect();
        let (mut n, mut e) = (0.0, 0.0);
        let mut rows = 0;
        for l in &leaves {
            if cause.iter().all(|(d, v)| l.0[*d] == *v) {
                n += l.1;
                e += l.1 * l.2;
                rows += usize::from(l.1 > 0.5);
            }
        }
        let share = r.between(0.05, 0.8);
        if n * share < 25.0
            || n > requests * 0.5
            || n * share < 4.0 * e.sqrt()
            || rows < 2
            || causes.contains(&cause)
        {
            continue;
        }
        // One part of which alone would be a shorter name for it is not distinct.
        for l in &mut leaves {
            if cause.iter().all(|(d, v)| l.0[*d] == *v) {
                l.3 = share;
            }
        }
        causes.push(cause);
    }
    let names = ["cdn", "bitrate", "device", "p2p"];
    let mut cube = Cube::new(names);
    let mut rows: Vec<[usize; 4]> = Vec::new();
    for (at, n, rate, share) in &leaves {
        let now = r.poisson(*n);
        let before = r.poisson(n * 10.0);
        if now == 0 {
            continue;
        }
        let drift = (r.normal() * 0.15).exp();
        let usual = (rate * drift).min(0.9);
        let seen = Seen {
            errors: r.binomial(now, usual + (1.0 - usual) * share) as f64,
            requests: now as f64,
            baseline_errors: r.binomial(before, *rate) as f64,
            baseline_requests: before as f64,
        };
        rows.push(*at);
        let values: Vec<String> = at.iter().map(|v| format!("v{v}")).collect();
        cube.add(values.iter().map(String::as_str), seen);
    }
    Case {
        kind: ["depth 1", "depth 2", "depth 3"][depth - 1],
        cube,
        causes: causes.iter().map(|c| equal_names(c, &rows, &names)).collect(),
    }
}

/// Every shortest-or-longer set of labels that names the same rows.
fn equal_names(cause: &[(usize, usize)], rows: &[[usize; 4]], names: &[&str; 4]) -> Vec<Labels> {
    let covered: Vec<bool> = rows.iter().map(|r| cause.iter().all(|(d, v)| r[*d] == *v)).collect();
    let Some(first) = covered.iter().position(|c| *c) else { return vec![] };
    let mut all = Vec::new();
    for mask in 1u32..16 {
        let labels: Vec<(usize, usize)> =
            (0..4).filter(|d| mask >> d & 1 == 1).map(|d| (d, rows[first][d])).collect();
        if rows.iter().zip(&covered).all(|(r, c)| labels.iter().all(|(d, v)| r[*d] == *v) == *c) {
            all.push(labels.iter().map(|(d, v)| label(names[*d], format!("v{v}"))).collect());
        }
    }
    all
}

/// Five labels of ten values; every leaf has something, and noise; one to three causes of depth 1 to 3.
pub fn dense(seed: u64) -> Case {
    let mut r = Numbers::of(seed ^ 0x55aa);
    let sizes = [10, 8, 6, 5];
    let depth = 1 + (seed % 3) as usize;
    let count = 1 + (seed / 3 % 3) as usize;
    let mut dims: Vec<usize> = vec![0, 1, 2, 3];
    while dims.len() > depth {
        dims.remove(r.below(dims.len()));
    }
    let mut causes: Vec<Vec<(usize, usize)>> = Vec::new();
    while causes.len() < count {
        let cause: Vec<(usize, usize)> = dims.iter().map(|d| (*d, r.below(sizes[*d]))).collect();
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let share = r.between(0.2, 0.9);
    let names = ["a", "b", "c", "d"];
    let mut cube = Cube::new(names);
    let mut rows = Vec::new();
    for a in 0..sizes[0] {
        for b in 0..sizes[1] {
            for c in 0..sizes[2] {
                for d in 0..sizes[3] {
                    let at = [a, b, c, d];
                    rows.push(at);
                    let n = (r.normal() + 4.0).exp();
                    let hit = causes.iter().any(|cause| cause.iter().all(|(d, v)| at[*d] == *v));
                    let noise = (r.normal() * 0.02).abs();
                    let p = if hit { share + r.normal() * 0.05 } else { noise };
                    let before = (r.normal() * 0.02).abs();
                    let seen = Seen {
                        errors: (n * p.clamp(0.0, 1.0)).round(),
                        requests: n.round(),
                        baseline_errors: (n * before).round(),
                        baseline_requests: n.round(),
                    };
                    let values: Vec<String> = at.iter().map(|v| format!("v{v}")).collect();
                    cube.add(values.iter().map(String::as_str), seen);
                }
            }
        }
    }
    let kind = [
        "depth 1 x1",
        "depth 2 x1",
        "depth 3 x1",
        "depth 1 x2",
        "depth 2 x2",
        "depth 3 x2",
        "depth 1 x3",
        "depth 2 x3",
        "depth 3 x3",
    ][(depth - 1) + 3 * (count - 1)];
    Case { kind, cube, causes: causes.iter().map(|c| equal_names(c, &rows, &names)).collect() }
}

/// Whether the first candidate is a cause; whether one of the first three is; whether the causes are exactly those put in.
pub fn judge(case: &Case, verdict: &Verdict) -> [bool; 3] {
    let is_it = |labels: &Labels| {
        if case.causes.is_empty() {
            return labels.is_empty();
        }
        let mut own = labels.clone();
        own.sort();
        case.causes.iter().flatten().any(|cause| {
            let mut cause = cause.clone();
            cause.sort();
            cause == own
        })
    };
    let first = verdict.ranked.first().is_some_and(|s| is_it(&s.labels));
    let third = verdict.ranked.iter().take(3).any(|s| is_it(&s.labels));
    let exact = if case.causes.is_empty() {
        verdict.is_global
    } else {
        !verdict.is_global
            && verdict.causes.len() == case.causes.len()
            && verdict.causes.iter().all(|s| is_it(&s.labels))
    };
    [first, third, exact]
}
