//! Series: a record's full label set. A [`Plan`] says which labels are carried, a [`LabelSet`] holds one series' values.

use crate::detectors::{
    find_of_counts,
    slow::{WATCHED_MAX, watched_times},
};
use crate::matcher::Op;
use crate::rule::Rule;
use crate::saved::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;

pub use crate::source::{Regions, Source, Table};

/// At most so many labels in a plan; further ones are not carried, so the configuration must refuse them.
pub const LABELS_MAX: usize = 64;
/// Longer label values are cut.
pub const VALUE_MAX: usize = 128;
/// What stands for all values of a label once there are too many series.
pub const OTHER: &str = "__other__";

/// The labels that every record can have, in the order in which series carry them; all else is a custom capture.
pub const BUILT_IN: [&str; 6] = ["input", "node", "region", "pool", "upstream", "site"];

/// A plan has at most so many families of series, the first among them.
pub const FAMILIES_MAX: usize = 4;
/// The name of the label that tells the families apart, where there are several; no record has it.
pub const FAMILY: &str = "__family__";
/// Its values. The first family's is that of a label which is absent.
const FAMILY_NAMES: [&[u8]; FAMILIES_MAX] = [b"", b"1", b"2", b"3"];

/// Where a label's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Input,
    Node,
    Region,
    Pool,
    Upstream,
    Site,
    /// A capture of a custom format or of a path, by the name at this label's place in the plan.
    Capture,
    /// Which family the series is of.
    Family,
}

/// Which labels a series carries, and in which order: just those that some rule, report or export asks for.
///
/// Where rules ask for captures (`exit_ip`, `provider`), their labels are kept apart, as marginals: series of a family of
/// their own, with just the labels that are asked for together. Else sixty exits on forty sites would be 2,400 series for
/// two rules that look at a hundred. Each record counts once in each family; sums over everything are the first one's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PlanState", try_from = "PlanState")]
pub struct Plan {
    names: Vec<String>,
    labels: Vec<Label>,
    /// Bit i: label i is carried where an upstream is known.
    with_upstream: u64,
    /// Bit i: label i is carried where none is known.
    without_upstream: u64,
    /// The labels of the second family, the third, …; those above are the first's.
    families: Vec<u64>,
    /// By `Status::index`: counted by status in each series.
    watched: Vec<bool>,
    /// Requests that took longer than so many hundredths of a second are counted in each series; sorted.
    slow: Vec<u16>,
}

/// A plan as it is saved.
#[derive(Serialize, Deserialize)]
struct PlanState {
    names: Vec<String>,
    with_upstream: u64,
    without_upstream: u64,
    families: Vec<u64>,
    watched: Vec<u16>,
    slow: Vec<u16>,
}

impl From<Plan> for PlanState {
    fn from(plan: Plan) -> PlanState {
        let watched = (0u16..).zip(&plan.watched).filter(|(_, is)| **is).map(|(status, _)| status);
        PlanState {
            watched: watched.collect(),
            slow: plan.slow,
            names: plan.names,
            with_upstream: plan.with_upstream,
            without_upstream: plan.without_upstream,
            families: plan.families,
        }
    }
}

impl TryFrom<PlanState> for Plan {
    type Error = &'static str;

    fn try_from(state: PlanState) -> Result<Plan, Self::Error> {
        let is_twice = |(i, name)| state.names.iter().take(i).any(|n: &String| n == name);
        if state.names.len() > LABELS_MAX || state.names.iter().enumerate().any(is_twice) {
            return Err("the labels of a series");
        }
        let has_label = state.names.last().is_some_and(|name| name == FAMILY);
        if state.families.len() >= FAMILIES_MAX || has_label == state.families.is_empty() {
            return Err("the families of series");
        }
        if state.slow.len() > WATCHED_MAX || !state.slow.is_sorted() {
            return Err("the times that are watched");
        }
        Ok(Plan {
            labels: state.names.iter().map(|name| label(name)).collect(),
            with_upstream: state.with_upstream,
            without_upstream: state.without_upstream,
            families: state.families,
            watched: watched(state.watched.into_iter()),
            slow: state.slow,
            names: state.names,
        })
    }
}

/// When a label is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    WithUpstream,
    WithoutUpstream,
}

impl Plan {
    /// The labels that `rules` group and match by, and those a report asks for. What only rules about records without
    /// an upstream ask for is carried by those alone, so that `site` does not multiply the upstreams' series.
    #[must_use]
    pub fn new(rules: &[Rule], by: &[String]) -> Plan {
        // The matchers of one about lines ask for no label of a record.
        let judged = || rules.iter().filter(|rule| find_of_counts(rule.detector).is_some());
        let mut asked: Vec<(&str, When)> = by.iter().map(|name| (name.as_str(), When::Always)).collect();
        let has_captures = judged().any(|rule| asks_for_captures(rule, by));
        let (apart, together) = judged().partition::<Vec<_>, _>(|rule| has_captures && is_apart(rule, by));
        for rule in together {
            let when = when(rule);
            asked.extend(rule.group_by.iter().map(|name| (name.as_str(), when)));
            for matcher in &rule.matchers {
                // A rule about upstream="" must still tell the series that have one.
                let when = if matcher.label == "upstream" { When::Always } else { when };
                asked.push((&matcher.label, when));
            }
        }
        let families = families(apart.iter().map(|rule| needs(rule).collect()).collect());
        let mut plan = Plan::of(&asked, &families, rules.iter().flat_map(|rule| rule.status.iter().copied()));
        plan.slow = watched_times(rules);
        plan
    }

    /// As [`Plan::new`], and what `analyze` shows: node, pool and upstream, and `by`; without `by`, the site of records
    /// that have no upstream.
    #[must_use]
    pub fn for_report(rules: &[Rule], by: &[String]) -> Plan {
        let head = ["node", "pool", "upstream"].map(str::to_owned);
        let all: Vec<String> = by.iter().cloned().chain(head).collect();
        let mut plan = Plan::new(rules, &all);
        if by.is_empty() {
            let mut asked: Vec<(&str, When)> = vec![("site", When::WithoutUpstream)];
            for (i, name) in plan.names.iter().enumerate() {
                if plan.with_upstream >> i & 1 == 1 {
                    asked.push((name, When::WithUpstream));
                }
                if plan.without_upstream >> i & 1 == 1 {
                    asked.push((name, When::WithoutUpstream));
                }
            }
            let families: Vec<Vec<&str>> =
                plan.families.iter().map(|mask| plan.names_in(*mask).collect()).collect();
            plan = Plan::of(&asked, &families, rules.iter().flat_map(|rule| rule.status.iter().copied()));
            plan.slow = watched_times(rules);
        }
        plan
    }

    fn of(asked: &[(&str, When)], families: &[Vec<&str>], statuses: impl Iterator<Item = u16>) -> Plan {
        let is_asked =
            |name: &str| asked.iter().any(|a| a.0 == name) || families.iter().flatten().any(|n| *n == name);
        let all = asked.iter().map(|a| a.0).chain(families.iter().flatten().copied());
        let mut captures: Vec<&str> =
            all.filter(|name| !BUILT_IN.contains(name) && *name != FAMILY).collect();
        captures.sort_unstable();
        captures.dedup();
        let room = LABELS_MAX - usize::from(!families.is_empty());
        let built_in = BUILT_IN.into_iter().filter(|name| is_asked(name));
        let mut names: Vec<String> = built_in.chain(captures).take(room).map(str::to_owned).collect();
        let mask_of = |carried: &dyn Fn(&str) -> bool| {
            names.iter().enumerate().filter(|(_, name)| carried(name)).fold(0, |mask, (i, _)| mask | 1 << i)
        };
        let unless = |when: When| mask_of(&|name| asked.iter().any(|a| a.0 == name && a.1 != when));
        let (with_upstream, without_upstream) = (unless(When::WithoutUpstream), unless(When::WithUpstream));
        let families: Vec<u64> =
            families.iter().map(|labels| mask_of(&|name| labels.contains(&name))).collect();
        if !families.is_empty() {
            names.push(FAMILY.to_owned());
        }
        Plan {
            labels: names.iter().map(|name| label(name)).collect(),
            with_upstream,
            without_upstream,
            families,
            watched: watched(statuses.chain([502, 503, 504])),
            slow: Vec::new(),
            names,
        }
    }

    fn names_in(&self, mask: u64) -> impl Iterator<Item = &str> {
        self.names.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1).map(|(_, name)| name.as_str())
    }

    /// How many families of series a record counts in.
    #[must_use]
    pub fn families(&self) -> usize {
        1 + self.families.len()
    }

    /// The family that a rule looks at: the first one that carries what it asks for.
    pub(crate) fn family_of(&self, rule: &Rule) -> usize {
        let always = self.with_upstream & self.without_upstream;
        let shown: Vec<String> = self.names_in(always).map(str::to_owned).collect();
        if self.families.is_empty() || !is_apart(rule, &shown) {
            return 0;
        }
        let carries = |mask: &u64| needs(rule).all(|name| self.names_in(*mask).any(|n| n == name));
        self.families.iter().position(carries).map_or(0, |at| at + 1)
    }

    /// The place of the label that tells the families apart, if there are several.
    pub(crate) fn family_label(&self) -> Option<usize> {
        (!self.families.is_empty()).then(|| self.names.len().saturating_sub(1))
    }

    /// The family that a series of this plan is of.
    pub(crate) fn family(&self, set: &LabelSet) -> usize {
        let name = self.family_label().map_or(&b""[..], |at| set.get(at));
        FAMILY_NAMES.iter().position(|known| *known == name).unwrap_or(0)
    }

    /// Where each family's series of an earlier plan go on: the first family into the first, and each other one into what
    /// it carries all labels of. A family that none goes on into starts anew.
    pub(crate) fn goes_on(&self, earlier: &Plan) -> Vec<Option<usize>> {
        let carried = |plan: &Plan, family: usize| -> Vec<String> {
            let mask = match family.checked_sub(1) {
                Some(at) => plan.families.get(at).copied().unwrap_or(0),
                None => plan.with_upstream & plan.without_upstream,
            };
            plan.names_in(mask).map(str::to_owned).collect()
        };
        let from = |family: usize| {
            let wanted = carried(self, family);
            let mut others = (1..earlier.families()).chain([0]);
            others.find(|other| {
                let has = carried(earlier, *other);
                wanted.iter().all(|name| has.contains(name))
            })
        };
        std::iter::once(Some(0)).chain((1..self.families()).map(from)).collect()
    }

    /// The labels' names, in the order of [`LabelSet::get`].
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a label; `None`: not carried, so always empty.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// Whether every series counts requests with this status.
    #[must_use]
    pub fn watches(&self, status: gatewatch_parsers::Status) -> bool {
        self.watched.get(status.index()).copied().unwrap_or(false)
    }

    /// Requests that took longer than so many hundredths of a second are counted in each series.
    pub(crate) fn slow(&self) -> &[u16] {
        &self.slow
    }

    pub(crate) fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The labels carried in a family with or without an upstream, and their places.
    pub(crate) fn carried(&self, family: usize, has_upstream: bool) -> Vec<(u8, Label)> {
        let mask = self.mask(family, has_upstream);
        (0u8..).zip(&self.labels).filter(|(i, _)| mask >> i & 1 == 1).map(|(i, label)| (i, *label)).collect()
    }

    pub(crate) fn carries_region(&self) -> bool {
        self.labels.contains(&Label::Region)
    }

    pub(crate) fn mask(&self, family: usize, has_upstream: bool) -> u64 {
        match family.checked_sub(1) {
            Some(at) => self.families.get(at).copied().unwrap_or(0),
            None if has_upstream => self.with_upstream,
            None => self.without_upstream,
        }
    }
}

/// What a family's series have as [`FAMILY`].
pub(crate) fn family_name(family: usize) -> &'static [u8] {
    FAMILY_NAMES.get(family).copied().unwrap_or_default()
}

/// The labels that a rule asks for together.
fn needs(rule: &Rule) -> impl Iterator<Item = &str> {
    rule.group_by.iter().map(String::as_str).chain(rule.matchers.iter().map(|m| m.label.as_str()))
}

/// Whether a rule asks for captures that the report does not show anyway.
fn asks_for_captures(rule: &Rule, by: &[String]) -> bool {
    needs(rule).any(|name| !BUILT_IN.contains(&name) && !by.iter().any(|shown| shown == name))
}

/// Whether a rule's labels are kept apart, where any rule's are: captures; and the sites of requests that have an upstream,
/// unless it asks for the upstream, too: where that is an exit, the two would be the product again.
fn is_apart(rule: &Rule, by: &[String]) -> bool {
    let is_site_alone = |name: &str| name == "site" && !asks_for_upstream(rule);
    asks_for_captures(rule, by)
        || needs(rule).any(|name| is_site_alone(name) && !by.iter().any(|shown| shown == name))
}

fn asks_for_upstream(rule: &Rule) -> bool {
    needs(rule).any(|name| name == "upstream")
}

/// The families for these needs: none that another one has all labels of, and beyond the most there may be, all in one.
fn families(mut needs: Vec<Vec<&str>>) -> Vec<Vec<&str>> {
    for labels in &mut needs {
        labels.sort_unstable();
        labels.dedup();
    }
    needs.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let mut families: Vec<Vec<&str>> = Vec::new();
    for labels in needs {
        if families.iter().any(|family| labels.iter().all(|label| family.contains(label))) {
            continue;
        }
        let is_full = families.len() + 1 == FAMILIES_MAX;
        match families.last_mut().filter(|_| is_full) {
            Some(last) => last.extend(labels),
            None => families.push(labels),
        }
    }
    families
}

fn watched(statuses: impl Iterator<Item = u16>) -> Vec<bool> {
    let mut watched = vec![false; gatewatch_parsers::Status::COUNT];
    for status in statuses {
        if let Some(slot) = watched.get_mut(usize::from(status)) {
            *slot = true;
        }
    }
    watched
}

fn when(rule: &Rule) -> When {
    let upstream = rule.matchers.iter().filter(|m| m.label == "upstream");
    for matcher in upstream {
        match &matcher.op {
            Op::Equal(value) if value.is_empty() => return When::WithoutUpstream,
            Op::NotEqual(value) if value.is_empty() => return When::WithUpstream,
            Op::Equal(_) => return When::WithUpstream,
            _ => {}
        }
    }
    When::Always
}

fn label(name: &str) -> Label {
    match name {
        "input" => Label::Input,
        "node" => Label::Node,
        "region" => Label::Region,
        "pool" => Label::Pool,
        "upstream" => Label::Upstream,
        "site" => Label::Site,
        FAMILY => Label::Family,
        _ => Label::Capture,
    }
}

/// One series in [`crate::buckets::Buckets`]; may name another series once its own has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesId(pub(crate) u32);

impl SeriesId {
    /// For tables beside the buckets: small, reused.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One series' label values in the plan's order, in one allocation: how many labels, the length of each value, then the
/// values. All sets of one store have the same plan, so equal bytes are equal values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSet(Box<[u8]>);

impl LabelSet {
    /// The values in the plan's order, each cut to [`VALUE_MAX`] bytes.
    #[must_use]
    pub fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> LabelSet {
        let values: Vec<&[u8]> = values.into_iter().take(LABELS_MAX).map(cut).collect();
        let mut bytes = Vec::with_capacity(1 + values.len() + values.iter().map(|v| v.len()).sum::<usize>());
        write(&mut bytes, values.len(), values.iter().copied());
        LabelSet(bytes.into())
    }

    /// From what [`write`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> LabelSet {
        LabelSet(bytes.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many labels the plan has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.first().map_or(0, |n| usize::from(*n))
    }

    /// Whether the plan has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of the label at this place of the plan; empty if it has none.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        self.values().nth(index).unwrap_or_default()
    }

    /// The values in the plan's order.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let (lengths, mut rest) = self.parts().unwrap_or_default();
        lengths.iter().map(move |length| {
            let (value, after) = rest.split_at_checked(usize::from(*length)).unwrap_or_default();
            rest = after;
            value
        })
    }

    /// The values' lengths, and the values back to back.
    #[inline]
    pub(crate) fn parts(&self) -> Option<(&[u8], &[u8])> {
        let (labels, rest) = self.0.split_first()?;
        rest.split_at_checked(usize::from(*labels))
    }

    /// The same with another value at one place.
    #[must_use]
    pub fn with(&self, index: usize, value: &[u8]) -> LabelSet {
        LabelSet::new(self.values().enumerate().map(|(i, old)| if i == index { value } else { old }))
    }
}

impl Serialize for LabelSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for LabelSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<LabelSet, D::Error> {
        let set = LabelSet(Bytes::deserialize(from)?.0.into());
        let is_sound = set.parts().is_some_and(|(lengths, values)| {
            lengths.len() <= LABELS_MAX
                && lengths.iter().all(|length| usize::from(*length) <= VALUE_MAX)
                && lengths.iter().map(|length| usize::from(*length)).sum::<usize>() == values.len()
        });
        if is_sound { Ok(set) } else { Err(serde::de::Error::custom("no label set")) }
    }
}

impl std::fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.values().map(String::from_utf8_lossy)).finish()
    }
}

impl Borrow<[u8]> for LabelSet {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Appends a label set's bytes. The values are cut already and as many as `labels`, which fits a byte.
pub(crate) fn write<'a>(bytes: &mut Vec<u8>, labels: usize, values: impl Iterator<Item = &'a [u8]> + Clone) {
    bytes.push(u8::try_from(labels).unwrap_or(u8::MAX));
    bytes.extend(values.clone().map(|value| u8::try_from(value.len()).unwrap_or(u8::MAX)));
    for value in values {
        bytes.extend_from_slice(value);
    }
}

/// The part of a value that is kept.
#[inline]
pub(crate) fn cut(value: &[u8]) -> &[u8] {
    value.get(..VALUE_MAX).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::Matcher;
    use gatewatch_parsers::Status;
    use proptest::prelude::*;

    fn rule(group_by: &[&str], matchers: &[&str], status: &[u16]) -> Rule {
        let mut rule = Rule::new("r", "ratio", Vec::new());
        rule.group_by = group_by.iter().map(|name| (*name).to_owned()).collect();
        rule.matchers = matchers.iter().map(|m| Matcher::parse(m).unwrap()).collect();
        rule.status = status.to_vec();
        rule
    }

    fn carried(plan: &Plan, has_upstream: bool) -> Vec<&str> {
        plan.carried(0, has_upstream).iter().map(|(i, _)| plan.names()[usize::from(*i)].as_str()).collect()
    }

    #[test]
    fn a_series_carries_what_is_asked_for() {
        let rules = [
            rule(&["input", "pool", "upstream"], &["upstream!="], &[]),
            rule(&["input", "node", "site"], &["upstream="], &[429]),
            rule(&["exit_ip"], &["region!="], &[]),
        ];
        let plan = Plan::new(&rules, &[]);
        assert_eq!(plan.names(), ["input", "node", "region", "pool", "upstream", "site", "exit_ip", FAMILY]);
        assert_eq!(carried(&plan, true), ["input", "pool", "upstream"]);
        assert_eq!(carried(&plan, false), ["input", "node", "upstream", "site"]);
        assert_eq!(apart(&plan), [vec!["region", "exit_ip"]]);
        assert!(
            plan.watches(Status::new(429))
                && plan.watches(Status::new(503))
                && !plan.watches(Status::new(200))
        );
        assert_eq!(plan.index("exit_ip"), Some(6));
        assert_eq!(plan.index("nobody"), None);
        let mut reversed = rules;
        reversed.reverse();
        assert_eq!(Plan::new(&reversed, &[]).names(), plan.names());
    }

    fn apart(plan: &Plan) -> Vec<Vec<&str>> {
        plan.families.iter().map(|mask| plan.names_in(*mask).collect()).collect()
    }

    /// Together only what is asked for together.
    #[test]
    fn captures_are_kept_apart() {
        let exits = rule(&["provider", "exit_ip"], &[], &[]);
        let of = |rules: &[Rule]| Plan::new(rules, &[]);
        let servers = rule(&["upstream"], &["upstream!="], &[]);
        let both = rule(&["site"], &["upstream!="], &[]);
        let sites = rule(&["site", "node"], &["upstream="], &[]);
        type Case<'a> = (&'a [Rule], &'a [&'a [&'a str]], &'a [usize]);
        let cases: [Case<'_>; 8] = [
            (&[servers.clone(), sites], &[], &[0, 0]),
            (&[servers.clone(), both], &[], &[0, 0]),
            (&[servers.clone(), rule(&["site"], &[], &[])], &[], &[0, 0]),
            (
                &[servers, exits.clone(), rule(&["site"], &[], &[])],
                &[&["exit_ip", "provider"], &["site"]],
                &[0, 1, 2],
            ),
            (
                &[rule(&["exit_ip"], &[], &[]), exits.clone(), rule(&["provider"], &[], &[])],
                &[&["exit_ip", "provider"]],
                &[1, 1, 1],
            ),
            (
                &[exits.clone(), rule(&["site"], &["provider=p1"], &[])],
                &[&["exit_ip", "provider"], &["site", "provider"]],
                &[1, 2],
            ),
            (&[rule(&["site", "exit_ip"], &[], &[])], &[&["site", "exit_ip"]], &[1]),
            (
                &[
                    rule(&["a"], &[], &[]),
                    rule(&["b"], &[], &[]),
                    rule(&["c"], &[], &[]),
                    rule(&["d"], &[], &[]),
                ],
                &[&["a"], &["b"], &["c", "d"]],
                &[1, 2, 3, 3],
            ),
        ];
        for (rules, families, of_rules) in cases {
            let plan = of(rules);
            assert_eq!(apart(&plan), families);
            assert_eq!(rules.iter().map(|rule| plan.family_of(rule)).collect::<Vec<_>>(), of_rules);
            assert_eq!(plan.family_label().is_some(), !families.is_empty());
            assert!(plan.families() <= FAMILIES_MAX);
            let saved = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&saved).unwrap(), plan);
        }
        // What a report shows, it shows together.
        let plan = Plan::for_report(&[exits], &["exit_ip".to_owned(), "provider".to_owned()]);
        assert_eq!((apart(&plan).len(), plan.families()), (0, 1));
    }

    #[test]
    fn families_go_on_where_they_are_known() {
        let plan = |sets: &[&[&str]], by: &[&str]| {
            let rules: Vec<Rule> = sets.iter().map(|labels| rule(labels, &[], &[])).collect();
            Plan::new(&rules, &by.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        let both = plan(&[&["exit_ip"], &["tenant", "site"]], &[]);
        assert_eq!(apart(&both), [vec!["site", "tenant"], vec!["exit_ip"]]);
        assert_eq!(both.goes_on(&both), [Some(0), Some(1), Some(2)]);
        assert_eq!(plan(&[&["exit_ip"]], &[]).goes_on(&both), [Some(0), Some(2)]);
        assert_eq!(plan(&[&["tenant"]], &[]).goes_on(&both), [Some(0), Some(1)]);
        assert_eq!(plan(&[&["tenant", "node"]], &[]).goes_on(&both), [Some(0), None]);
        assert_eq!(plan(&[&["exit_ip"]], &[]).goes_on(&plan(&[], &["exit_ip"])), [Some(0), Some(0)]);
        assert_eq!(plan(&[], &["exit_ip"]).goes_on(&both), [Some(0)]);
    }

    #[test]
    fn a_report_asks_for_its_own() {
        let plan = Plan::for_report(&[], &[]);
        assert_eq!(carried(&plan, true), ["node", "pool", "upstream"]);
        assert_eq!(carried(&plan, false), ["node", "pool", "upstream", "site"]);
        let plan = Plan::for_report(&[], &["site".to_owned()]);
        assert_eq!(carried(&plan, true), ["node", "pool", "upstream", "site"]);
        let rules = [rule(&["site"], &["upstream="], &[])];
        assert_eq!(carried(&Plan::for_report(&rules, &[]), true), ["node", "pool", "upstream"]);
        assert!(Plan::new(&[], &[]).names().is_empty());
    }

    #[test]
    fn a_flood_of_label_names_is_cut() {
        let names: Vec<String> = (0..100).map(|i| format!("l{i}")).collect();
        assert_eq!(Plan::new(&[], &names).names().len(), LABELS_MAX);
        let rules: Vec<Rule> = names.iter().map(|name| rule(&[name], &[], &[])).collect();
        let plan = Plan::new(&rules, &[FAMILY.to_owned()]);
        assert_eq!((plan.names().len(), plan.families()), (LABELS_MAX, FAMILIES_MAX));
    }

    proptest! {
        #[test]
        fn a_set_gives_back_its_values(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..10),
            other in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let set = LabelSet::new(values.iter().map(Vec::as_slice));
            prop_assert_eq!(set.len(), values.len());
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(set.get(i), &value[..value.len().min(VALUE_MAX)]);
                let changed = set.with(i, &other);
                prop_assert_eq!(changed.get(i), cut(&other));
                prop_assert_eq!(changed.with(i, value), set.clone());
            }
            prop_assert_eq!(set.get(values.len()), b"");
            prop_assert_eq!(LabelSet::from_bytes(set.as_bytes()), set);
        }

        #[test]
        fn different_values_are_different_sets(a in "[ab]{0,3}", b in "[ab]{0,3}", c in "[ab]{0,3}", d in "[ab]{0,3}") {
            let set = |x: &str, y: &str| LabelSet::new([x.as_bytes(), y.as_bytes()]);
            prop_assert_eq!(set(&a, &b) == set(&c, &d), (a, b) == (c, d));
        }
    }
}
