//! What stands beside an alert: the groups that do not fail, its pool and everything, and what retries save there. One
//! look at all series of a step, however many alerts fire in it.

use crate::buckets::Buckets;
use crate::groups::{Group, Groups, counted};
use crate::rule::Rule;
use crate::series::{LabelSet, SeriesId};
use crate::tally::Tally;
use crate::window::{Point, Span};
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many healthy groups are named.
pub const NAMED_MAX: usize = 3;
/// A group with fewer requests in the window shows nothing.
const REQUESTS_MIN: u64 = 20;

/// What does not fail, what of the whole does, and what another try would have saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Around {
    /// Healthy groups under the same rule, those with most requests first; at most [`NAMED_MAX`]. Values of the labels in
    /// which they differ from the alert's group, and their share of errors (0–1).
    pub healthy: Vec<(String, f64)>,
    /// All of them.
    pub healthy_groups: u64,
    /// Their shares of errors: the least and the greatest.
    pub healthy_range: (f64, f64),
    /// Other groups that are bad, too.
    pub bad_groups: u64,
    /// The group's pool: its name, and its errors among requests.
    pub pool: Option<(String, Point)>,
    /// Everything that the rule sees.
    pub all: Point,
    /// Requests of the pool that a retry saved.
    pub saved: u64,
    /// Tries at the pool's other servers: those that failed, and all. No others: no requests.
    pub others: Point,
}

/// All groups of a rule in the window that a step closes.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// By the group's place: what it counted; those with most requests first, ties by labels.
    groups: Vec<(u32, Point)>,
    pools: BTreeMap<Pool, Sums>,
    all: Point,
    span: Span,
}

/// Input and pool: two inputs' pools of one name are two.
type Pool = (Vec<u8>, Vec<u8>);

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    counted: Point,
    tries: Point,
    saved: u64,
}

impl Sums {
    fn add(&mut self, rule: &Rule, tally: &Tally) {
        self.counted += counted(rule, tally);
        self.tries += Point { errors: tally.failed_attempts(), requests: tally.attempts() };
        self.saved = self.saved.saturating_add(tally.masked());
    }
}

/// Every tally of a series in a span.
fn each(buckets: &Buckets, id: SeriesId, span: Span, mut take: impl FnMut(&Tally)) {
    if span.is_minutes(buckets.step()) {
        buckets.minutes(id, span.from, span.to).for_each(|(_, tally)| take(tally));
    } else {
        buckets.steps(id, span.from, span.to).for_each(|(_, tally)| take(tally));
    }
}

fn pool_of(buckets: &Buckets, labels: &LabelSet) -> Option<Pool> {
    let plan = buckets.plan();
    let value = |name: &str| plan.index(name).map_or(&b""[..], |at| labels.get(at));
    let pool = value("pool");
    (!pool.is_empty()).then(|| (value("input").to_vec(), pool.to_vec()))
}

impl Surroundings {
    /// In the window that ends at `end`.
    pub fn of(groups: &Groups, buckets: &Buckets, end: Millis) -> Surroundings {
        let rule = &groups.rule;
        let span = Span::ending(end, rule.window, buckets.step());
        let mut all =
            Surroundings { groups: Vec::new(), pools: BTreeMap::new(), all: Point::default(), span };
        for (at, group) in groups.placed() {
            let mut own = Point::default();
            for &id in &group.members {
                let pool = buckets.labels(id).and_then(|labels| pool_of(buckets, labels));
                let mut sums = Sums::default();
                each(buckets, id, span, |tally| sums.add(rule, tally));
                own += sums.counted;
                if let Some(pool) = pool {
                    let of_pool = all.pools.entry(pool).or_default();
                    of_pool.counted += sums.counted;
                    of_pool.tries += sums.tries;
                    of_pool.saved = of_pool.saved.saturating_add(sums.saved);
                }
            }
            all.all += own;
            all.groups.push((at, own));
        }
        let key = |at: u32| groups.group(at).map(|group| &group.key);
        all.groups.sort_by(|a, b| b.1.requests.cmp(&a.1.requests).then_with(|| key(a.0).cmp(&key(b.0))));
        all
    }

    /// What stands beside this group.
    pub fn around(&self, groups: &Groups, at: u32, buckets: &Buckets) -> Option<Around> {
        let rule = &groups.rule;
        let group = groups.group(at)?;
        let mut around = Around { all: self.all, ..Around::default() };
        let others =
            self.groups.iter().filter(|(other, point)| *other != at && point.requests >= REQUESTS_MIN);
        let lowest = rule.above.iter().map(|(_, above)| *above).fold(f64::INFINITY, f64::min);
        for (other, point) in others {
            let ratio = point.ratio();
            if ratio > lowest {
                around.bad_groups += 1;
                continue;
            }
            if ratio > rule.recover_level() {
                continue;
            }
            let (least, most) = around.healthy_range;
            let is_first = around.healthy_groups == 0;
            around.healthy_range = (if is_first { ratio } else { least.min(ratio) }, most.max(ratio));
            around.healthy_groups += 1;
            if around.healthy.len() < NAMED_MAX
                && let Some(other) = groups.group(*other)
            {
                around.healthy.push((difference(rule, group, other), ratio));
            }
        }
        let labels = group.members.iter().min().and_then(|id| buckets.labels(*id));
        if let Some(pool) = labels.and_then(|labels| pool_of(buckets, labels))
            && rule.group_by.iter().any(|by| by == "upstream")
            && let Some(sums) = self.pools.get(&pool)
        {
            let mut own = Sums::default();
            for &id in &group.members {
                each(buckets, id, self.span, |tally| own.add(rule, tally));
            }
            around.pool = Some((String::from_utf8_lossy(&pool.1).into_owned(), sums.counted));
            around.saved = sums.saved;
            around.others = Point {
                errors: sums.tries.errors.saturating_sub(own.tries.errors),
                requests: sums.tries.requests.saturating_sub(own.tries.requests),
            };
        }
        Some(around)
    }
}

/// What another group is called beside this one: the values that differ.
fn difference(rule: &Rule, group: &Group, other: &Group) -> String {
    let pairs = group.key.values().zip(other.key.values());
    let by = rule.group_by.iter().map(String::as_str).zip(pairs);
    let differs = |name: &str, own: &[u8], value: &[u8]| own != value && !value.is_empty() && name != "input";
    let values: Vec<_> = by.filter(|(name, (own, value))| differs(name, own, value)).collect();
    // A server's name says its pool's.
    let has_upstream = values.iter().any(|(name, _)| *name == "upstream");
    let named = values.iter().filter(|(name, _)| !(has_upstream && *name == "pool"));
    named.map(|(_, (_, value))| String::from_utf8_lossy(value)).collect::<Vec<_>>().join(" ")
}
