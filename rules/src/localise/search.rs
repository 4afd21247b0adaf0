//! The search: score, prefer the shorter, take away, look again.

use super::cells::{Combination, Sums};
use super::table::Table;
use super::{CAUSES_MAX, Cube, DIMENSIONS_MAX, RANKED_MAX, Seen, Suspect, Verdict};
use crate::alert::Labels;
use crate::series::OTHER;

/// So many requests of everybody's baseline are added to each combination's own, and as many as hold so many errors: that
/// a few requests went well says nothing where errors are rare.
const SHRINKAGE: f64 = 50.0;
const SHRINKAGE_ERRORS: f64 = 0.5;
/// Combinations with less of the excess are not looked at.
const LEAST_SHARE: f64 = 0.05;
/// A shorter combination is preferred if it scores so much of the best.
const NEARLY: f64 = 0.9;
/// A further cause scores at least so much of the first.
const FURTHER: f64 = 0.2;
/// A cause has at least so many times its share of the traffic of the excess; else it is everything that fails.
const CONCENTRATION: f64 = 1.5;
/// What fails at less than this share of the others' surplus is not part of it.
const SPARED: f64 = 0.2;
/// That something is spared is believed if it would have had so many errors.
const EVIDENCE: f64 = 5.0;
/// That all but some children are spared, if they would have had so many: those that fail were picked for it.
const EVIDENCE_SPLIT: f64 = 12.0;
/// Causes that have so much of the traffic leave nothing that could be spared.
const COVERS_ALL: f64 = 0.99;
/// No less is expected of anything, lest errors without a request are infinitely unlikely.
const EXPECTED_MIN: f64 = 0.001;
/// A cause scores so much beyond the logarithm of how many such combinations there are: the best of many that are alike
/// looks like something, too.
const BEYOND_CHANCE: f64 = 3.0;

/// What is to be expected, from the baseline of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Everybody's ratio before.
    usual: f64,
    /// Everything.
    all: Seen,
    /// Without any baseline: errors and requests of everything now.
    now: Option<(f64, f64)>,
}

impl Scale {
    pub fn of(all: &Seen) -> Scale {
        let is_blank = all.baseline_requests <= 0.0;
        Scale {
            all: *all,
            usual: (all.baseline_errors + 0.5) / (all.baseline_requests + 1.0),
            now: is_blank.then_some((all.errors, all.requests)),
        }
    }

    pub fn expected(&self, seen: &Seen) -> f64 {
        match self.now {
            // The rate of all others.
            Some((errors, requests)) => {
                let rest =
                    ((errors - seen.errors).max(0.0) + 0.5) / ((requests - seen.requests).max(0.0) + 1.0);
                seen.requests * rest.min(1.0)
            }
            None => {
                let others = SHRINKAGE.max(SHRINKAGE_ERRORS / self.usual);
                let before = seen.baseline_errors + others * self.usual;
                seen.requests * before / (seen.baseline_requests + others)
            }
        }
    }

    /// How unlikely it is by chance: half of it against its own baseline, half against how everything else has moved from
    /// its own. The first alone would call any large part the cause where all is somewhat worse than before, the second
    /// alone takes longer. Where nothing failed before, the first says nothing.
    pub fn score(&self, seen: &Seen) -> f64 {
        let alone = self.alone(seen);
        if self.now.is_some() {
            return alone;
        }
        let beside =
            contrast((seen.errors, self.expected(seen)), (self.all.errors, self.expected(&self.all)));
        if self.all.baseline_errors > 0.0 { f64::midpoint(alone, beside) } else { beside }
    }

    /// Against its own baseline.
    fn alone(&self, seen: &Seen) -> f64 {
        surprise(seen.errors, self.expected(seen))
    }

    fn excess(&self, seen: &Seen) -> f64 {
        seen.errors - self.expected(seen)
    }
}

/// Poisson: how much likelier so many errors are if they are what is usual here now.
fn surprise(errors: f64, expected: f64) -> f64 {
    if errors <= expected || errors <= 0.0 {
        return 0.0;
    }
    let expected = expected.max(EXPECTED_MIN);
    (errors * (errors / expected).ln() + expected - errors).max(0.0)
}

/// Poisson: how much likelier a part's errors are if it has moved by another factor than the rest, than if all has moved
/// by one. Each with its errors and how many were to be expected.
fn contrast((errors, expected): (f64, f64), (all, all_expected): (f64, f64)) -> f64 {
    let expected = expected.max(EXPECTED_MIN);
    let all_expected = all_expected.max(expected + EXPECTED_MIN);
    if errors * all_expected <= all * expected {
        return 0.0;
    }
    let term =
        |errors: f64, expected: f64| if errors > 0.0 { errors * (errors / expected).ln() } else { 0.0 };
    let rest = term((all - errors).max(0.0), all_expected - expected);
    (term(errors, expected) + rest - term(all, all_expected)).max(0.0)
}

/// A combination and what was counted of it.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    combination: Combination,
    seen: Seen,
    score: f64,
}

/// By score; then the shorter; then by labels.
fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    let depths = a.combination.depth().cmp(&b.combination.depth());
    b.score.total_cmp(&a.score).then(depths).then_with(|| a.combination.cmp(&b.combination))
}

struct Search<'a> {
    table: &'a Table,
    scale: Scale,
    sums: Sums,
    /// Rows that no cause covers yet, and their sum.
    left: Vec<usize>,
    rest: Seen,
    /// Less excess than this is not looked at.
    least: f64,
}

/// Where the fault is.
pub(super) fn localise(cube: &Cube) -> Verdict {
    let table = Table::of(cube);
    let all = table.sum();
    let scale = Scale::of(&all);
    let least = least(&table, &scale, &all);
    let left: Vec<usize> = (0..table.rows.len()).collect();
    let mut search = Search { sums: Sums::new(&table, least), scale, left, rest: all, least, table: &table };
    let first = search.candidates();
    let causes = search.causes(&first);
    let mut listed: Vec<Candidate> = causes.clone();
    for candidate in &first {
        if listed.len() >= RANKED_MAX {
            break;
        }
        let is_new = |known: &Candidate| !search.is_same(known, candidate);
        if listed.iter().all(is_new) {
            listed.push(*candidate);
        }
    }
    search.verdict(&all, &causes, &listed)
}

/// A share of the whole excess, or of that of the worst value, where others have improved meanwhile.
fn least(table: &Table, scale: &Scale, all: &Seen) -> f64 {
    let mut most = if scale.now.is_some() { 0.0 } else { scale.excess(all) };
    for (at, values) in table.values.iter().enumerate() {
        let mut sums = vec![Seen::default(); values.len()];
        for (row, seen) in table.rows.iter().zip(&table.seen) {
            if let Some(sum) = row.get(at).and_then(|code| sums.get_mut(*code as usize)) {
                sum.add(seen);
            }
        }
        most = sums.iter().map(|sum| scale.excess(sum)).fold(most, f64::max);
    }
    most * LEAST_SHARE
}

impl Search<'_> {
    /// Everything that has enough excess, the likeliest first.
    fn candidates(&self) -> Vec<Candidate> {
        let mut all = Vec::new();
        self.sums.each(self.least, |name, seen| {
            if self.scale.excess(seen) >= self.least {
                all.push(Candidate { combination: name(), seen: *seen, score: self.scale.score(seen) });
            }
        });
        all.sort_by(order);
        all
    }

    /// Causes, until what is left is little against the first.
    fn causes(&mut self, first: &[Candidate]) -> Vec<Candidate> {
        let mut causes: Vec<Candidate> = Vec::new();
        let mut candidates = first.to_vec();
        let mut enough = 0.0;
        while causes.len() < CAUSES_MAX {
            let Some(best) = candidates.first() else { break };
            if best.score < enough {
                break;
            }
            if causes.is_empty() {
                enough = best.score * FURTHER;
            }
            let chosen = self.shortest(best, &candidates);
            if chosen.score < self.chance(&chosen.combination) {
                break;
            }
            let found = self.refined(chosen);
            for cause in found.into_iter().take(CAUSES_MAX - causes.len()) {
                let cause = Candidate { combination: self.plain(cause.combination), ..cause };
                self.take_away(&cause);
                causes.push(cause);
            }
            candidates = self.candidates();
        }
        causes
    }

    /// What the best of so many combinations may well score by chance.
    #[expect(clippy::cast_precision_loss, reason = "numbers of values are small")]
    fn chance(&self, of: &Combination) -> f64 {
        let values = |at: usize| self.table.values.get(at).map_or(1, Vec::len) as f64;
        BEYOND_CHANCE + of.labels().map(|(at, _)| values(at).ln()).sum::<f64>()
    }

    /// The shortest that says nearly the same, and does not blame what is spared.
    fn shortest(&self, best: &Candidate, all: &[Candidate]) -> Candidate {
        let nearly = |one: &&Candidate| {
            one.score >= best.score * NEARLY
                && one.combination.is_ancestor_of(&best.combination)
                && !self.is_spared(&one.seen.without(&best.seen), &best.seen, EVIDENCE)
        };
        let mut shorter: Vec<&Candidate> = all.iter().filter(nearly).collect();
        shorter.sort_by(|a, b| a.combination.depth().cmp(&b.combination.depth()).then_with(|| order(a, b)));
        shorter.first().map_or(*best, |one| **one)
    }

    /// Whether the one would have errors if it were part of what fails in the other, and has not.
    fn is_spared(&self, one: &Seen, other: &Seen, evidence: f64) -> bool {
        let surplus = self.scale.excess(other) / other.requests.max(1.0);
        let due = surplus * one.requests;
        due >= evidence && self.scale.excess(one) < due * SPARED
    }

    /// A few children of it, where these fail and its others are spared: two servers of a pool, not the pool.
    fn refined(&self, of: Candidate) -> Vec<Candidate> {
        if of.combination.depth() >= super::DEPTH_MAX {
            return vec![of];
        }
        let mut best: Option<(f64, Vec<Candidate>)> = None;
        for at in (0..self.table.names.len()).filter(|at| !of.combination.has(*at)) {
            let mut children = self.children(&of.combination, at);
            if children.len() < 3 {
                continue;
            }
            children.sort_by(order);
            let mut union = Seen::default();
            let mut failing = Vec::new();
            for child in children.iter().take(CAUSES_MAX) {
                union.add(&child.seen);
                failing.push(*child);
                let rest = of.seen.without(&union);
                if failing.len() > 1 && self.is_spared(&rest, &union, EVIDENCE_SPLIT) {
                    let score = self.scale.score(&union);
                    if best.as_ref().is_none_or(|known| score > known.0) {
                        best = Some((score, failing.clone()));
                    }
                    break;
                }
            }
        }
        best.map_or(vec![of], |found| found.1)
    }

    /// Without the labels that follow from its others: a server alone, not its pool and the server.
    fn plain(&self, of: Combination) -> Combination {
        let mut plain = of;
        for label in of.labels() {
            let labels: Vec<(usize, u32)> = plain.labels().filter(|own| *own != label).collect();
            let shorter = Combination::of(&labels);
            let is_same = |row: &[u32; DIMENSIONS_MAX]| plain.covers(row) || !shorter.covers(row);
            if shorter.depth() > 0 && self.table.rows.iter().all(is_same) {
                plain = shorter;
            }
        }
        plain
    }

    /// What is left of a combination, by the values of one more label.
    fn children(&self, of: &Combination, at: usize) -> Vec<Candidate> {
        let values = self.table.values.get(at).map_or(&[][..], Vec::as_slice);
        let mut sums = vec![Seen::default(); values.len()];
        for (row, seen) in self.left_of(of) {
            if let Some(sum) = row.get(at).and_then(|code| sums.get_mut(*code as usize)) {
                sum.add(seen);
            }
        }
        let all = (0u32..).zip(values).zip(sums);
        all.filter(|((_, value), seen)| seen.requests + seen.errors > 0.0 && *value != OTHER)
            .map(|((code, _), seen)| Candidate {
                combination: of.with(at, code),
                score: self.scale.score(&seen),
                seen,
            })
            .collect()
    }

    fn left_of(&self, of: &Combination) -> impl Iterator<Item = (&[u32], &Seen)> {
        let rows =
            self.left.iter().filter_map(|at| Some((self.table.rows.get(*at)?, self.table.seen.get(*at)?)));
        rows.filter(|(row, _)| of.covers(row.as_slice())).map(|(row, seen)| (row.as_slice(), seen))
    }

    fn take_away(&mut self, cause: &Candidate) {
        let covers = |at: &usize| self.table.rows.get(*at).is_some_and(|row| cause.combination.covers(row));
        let (gone, left): (Vec<usize>, Vec<usize>) = self.left.iter().partition(|at| covers(at));
        self.left = left;
        self.rest = self.rest.without(&cause.seen);
        self.sums.remove(self.table, &gone);
    }

    /// Whether two name the same rows.
    fn is_same(&self, a: &Candidate, b: &Candidate) -> bool {
        a.combination == b.combination
            || (a.seen == b.seen
                && self.table.rows.iter().all(|row| a.combination.covers(row) == b.combination.covers(row)))
    }
}

impl Search<'_> {
    fn verdict(&self, all: &Seen, causes: &[Candidate], listed: &[Candidate]) -> Verdict {
        let mut explained = Seen::default();
        causes.iter().for_each(|cause| explained.add(&cause.seen));
        let explains: f64 = causes.iter().map(|cause| self.scale.excess(&cause.seen)).sum();
        // Others may have improved meanwhile.
        let excess = if self.scale.now.is_some() { explains } else { self.scale.excess(all).max(explains) };
        let suspect = |candidate: &Candidate| self.suspect(candidate, all, excess);
        let whole = self.whole(all, excess);
        let is_global = match causes {
            [] => self.scale.now.is_none() && whole.score >= BEYOND_CHANCE,
            _ => self.is_global(all, &explained, excess),
        };
        let mut ranked: Vec<Suspect> = listed.iter().map(suspect).collect();
        if is_global {
            ranked.insert(0, whole.clone());
            ranked.truncate(RANKED_MAX);
        }
        Verdict {
            causes: causes.iter().map(suspect).collect(),
            is_global,
            whole,
            ranked,
            rest: (self.rest.errors, self.rest.requests, self.scale.expected(&self.rest)),
        }
    }

    /// Whether the rest fails, too.
    fn is_global(&self, all: &Seen, explained: &Seen, excess: f64) -> bool {
        // Without seeing others fail, nobody can say that they do.
        let covers_all = explained.requests >= COVERS_ALL * all.requests;
        let others_fail = self.rest.errors >= EVIDENCE
            && (self.scale.now.is_some() || self.scale.excess(&self.rest) >= EVIDENCE);
        if !others_fail && !covers_all {
            return false;
        }
        let share = self.scale.excess(explained) / excess.max(f64::MIN_POSITIVE);
        let traffic = explained.requests / all.requests.max(f64::MIN_POSITIVE);
        if self.scale.now.is_some() {
            let errors = explained.errors / all.errors.max(f64::MIN_POSITIVE);
            return errors < traffic * CONCENTRATION;
        }
        if share < traffic * CONCENTRATION && !self.is_spared(&self.rest, explained, EVIDENCE) {
            return true;
        }
        self.scale.alone(all) >= NEARLY * self.scale.alone(explained) && self.fails_alike(explained)
    }

    fn fails_alike(&self, explained: &Seen) -> bool {
        let rate = |seen: &Seen| self.scale.excess(seen) / seen.requests.max(1.0);
        rate(&self.rest) >= 0.5 * rate(explained)
    }

    fn whole(&self, all: &Seen, excess: f64) -> Suspect {
        let expected = if self.scale.now.is_some() { all.errors - excess } else { self.scale.expected(all) };
        Suspect {
            score: surprise(all.errors, expected),
            errors: all.errors,
            expected,
            requests: all.requests,
            excess_share: f64::from(u8::from(excess > 0.0)),
            traffic_share: f64::from(u8::from(all.requests > 0.0)),
            ..Suspect::default()
        }
    }

    fn suspect(&self, candidate: &Candidate, all: &Seen, excess: f64) -> Suspect {
        let Candidate { combination, seen, score } = candidate;
        let (same, within) = self.relatives(combination);
        let share = |part: f64, whole: f64| if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 };
        Suspect {
            labels: combination.labels().filter_map(|(at, code)| self.label(at, code)).collect(),
            score: *score,
            errors: seen.errors,
            expected: self.scale.expected(seen),
            requests: seen.requests,
            excess_share: share(self.scale.excess(seen), excess),
            traffic_share: share(seen.requests, all.requests),
            same,
            within,
        }
    }

    fn label(&self, at: usize, code: u32) -> Option<(String, String)> {
        let value = self.table.values.get(at)?.get(code as usize)?;
        Some((self.table.names.get(at)?.clone(), value.clone()))
    }

    /// The labels that all rows of a combination share beside its own: those that no other row has, and the others.
    fn relatives(&self, of: &Combination) -> (Labels, Labels) {
        let mut covered = self.table.rows.iter().filter(|row| of.covers(row.as_slice()));
        let Some(first) = covered.next() else { return Default::default() };
        let mut shared: Vec<usize> = (0..self.table.names.len()).filter(|at| !of.has(*at)).collect();
        for row in covered {
            shared.retain(|at| row.get(*at) == first.get(*at));
        }
        let (mut same, mut within) = (Vec::new(), Vec::new());
        for at in shared {
            let code = first.get(at).copied().unwrap_or(0);
            let is_same = self.table.rows.iter().all(|row| row.get(at) != Some(&code) || of.covers(row));
            let to = if is_same { &mut same } else { &mut within };
            to.extend(self.label(at, code).filter(|(_, value)| !value.is_empty()));
        }
        (same, within)
    }
}
