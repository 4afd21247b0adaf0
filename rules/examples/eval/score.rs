//! What the rules made of it: each alert is a fault's or false, each fault is found or missed.

use crate::faults::{Fault, What};
use crate::parameters::{DAY, EPOCH, Kind, LATENESS, MINUTE, NEAR, WARM_UP};
use crate::traffic::day;
use crate::world::{Labels, World};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Change, ChangeKind};
use gatewatch_rules::rule::{Counts, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a fault, or of a blip, and of who told it.
#[derive(Clone, Debug)]
pub struct Told {
    pub what: What,
    pub load: u32,
    pub share: f64,
    pub lasts: Millis,
    pub timeout: Millis,
    pub masked: bool,
    /// Requests a minute of one of its groups, at that hour.
    pub rate: f64,
    /// The share of errors of its (first) group when nothing is wrong.
    pub base: f64,
    /// By rule: from its start until the rule said so.
    pub after: Vec<Option<Millis>>,
    /// By rule: whether it is of the kind that the rule is for.
    pub meant: Vec<bool>,
}

/// What a rule said that no fault explains.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarms {
    pub group_days: f64,
    /// Blips' ones among them.
    pub false_ones: u64,
    pub of_blips: u64,
    /// Those of the time after a first start, which are in neither.
    pub at_first: u64,
}

/// What came of some worlds.
#[derive(Clone, Debug, Default)]
pub struct Score {
    pub told: Vec<Told>,
    /// By load and rule.
    pub alarms: BTreeMap<u32, Vec<Alarms>>,
    /// By load: days of servers and sites, the time after the first start apart.
    pub days: BTreeMap<u32, f64>,
    /// Faults that found no room.
    pub homeless: usize,
    pub steps: u64,
}

impl Score {
    pub fn merge(&mut self, other: Score) {
        self.told.extend(other.told);
        for (load, alarms) in other.alarms {
            let sums = self.alarms.entry(load).or_default();
            sums.resize_with(sums.len().max(alarms.len()), Alarms::default);
            for (sum, add) in sums.iter_mut().zip(alarms) {
                sum.group_days += add.group_days;
                sum.false_ones += add.false_ones;
                sum.of_blips += add.of_blips;
                sum.at_first += add.at_first;
            }
        }
        for (load, days) in other.days {
            *self.days.entry(load).or_default() += days;
        }
        self.homeless += other.homeless;
        self.steps += other.steps;
    }
}

/// An alert that fired.
struct Alert {
    at: Millis,
    rule: usize,
    group: BTreeSet<usize>,
}

/// Scores a world's changes.
pub fn score(
    world: &World,
    load: u32,
    rules: &[Rule],
    faults: &[Fault],
    changes: &[Change],
    until: Millis,
) -> Score {
    let groups: Vec<BTreeMap<Labels, Vec<usize>>> = rules.iter().map(|rule| world.groups_of(rule)).collect();
    let days = (until - EPOCH - WARM_UP) as f64 / DAY as f64;
    let mut alarms: Vec<Alarms> = groups
        .iter()
        .map(|groups| Alarms { group_days: groups.len() as f64 * days, ..Alarms::default() })
        .collect();
    let mut told: Vec<Told> = faults.iter().map(|fault| begin(world, load, rules, fault)).collect();
    for change in changes {
        let is_page = change.kind == ChangeKind::Firing;
        if !is_page && change.kind != ChangeKind::Reopened {
            continue;
        }
        let Some(alert) = alert(rules, &groups, change) else { continue };
        let near = |fault: &Fault| {
            let is_now = fault.start - NEAR <= alert.at && alert.at <= fault.shown_until() + NEAR;
            let is_here = |series: &usize| alert.group.contains(series);
            is_now && (fault.series.iter().any(is_here) || fault.shown_in.iter().any(is_here))
        };
        let found = faults.iter().zip(&mut told).find(|(fault, _)| near(fault));
        let mine = found.map(|(fault, told)| {
            if alert.at >= fault.start
                && let Some(slot) = told.after.get_mut(alert.rule)
            {
                slot.get_or_insert(alert.at + LATENESS - fault.start);
            }
            fault.is_blip()
        });
        if let (Some(sum), true) = (alarms.get_mut(alert.rule), is_page) {
            let is_first = alert.at < EPOCH + WARM_UP;
            sum.at_first += u64::from(is_first);
            sum.false_ones += u64::from(!is_first && mine != Some(false));
            sum.of_blips += u64::from(!is_first && mine == Some(true));
        }
    }
    let days = BTreeMap::from([(load, world.groups as f64 * days)]);
    Score { told, alarms: BTreeMap::from([(load, alarms)]), days, homeless: 0, steps: 0 }
}

fn alert(rules: &[Rule], groups: &[BTreeMap<Labels, Vec<usize>>], change: &Change) -> Option<Alert> {
    let rule = rules.iter().position(|rule| rule.name == change.alert.rule)?;
    let labels: Labels = change.alert.labels.iter().cloned().collect();
    let group = groups.get(rule)?.get(&labels)?.iter().copied().collect();
    Some(Alert { at: change.at, rule, group })
}

fn begin(world: &World, load: u32, rules: &[Rule], fault: &Fault) -> Told {
    let series = || fault.series.iter().filter_map(|i| world.series.get(*i));
    let rate: f64 = series().map(|s| s.rate * day(s.phase, fault.start)).sum();
    let groups: BTreeSet<_> = series().map(|s| s.group).collect();
    Told {
        what: fault.what,
        load,
        share: fault.share,
        lasts: fault.end - fault.start,
        timeout: fault.timeout,
        masked: fault.masked,
        rate: rate * MINUTE as f64 / groups.len().max(1) as f64,
        base: series().next().map_or(0.0, |s| s.base),
        after: vec![None; rules.len()],
        meant: rules.iter().map(|rule| is_meant(rule, world, fault)).collect(),
    }
}

/// Whether a rule is there for faults of this kind.
fn is_meant(rule: &Rule, world: &World, fault: &Fault) -> bool {
    match rule.counts {
        Counts::FailedAttempts | Counts::Retried | Counts::Masked => return fault.masked,
        Counts::Abandoned => return fault.impatient > 0.0 && world.kind != Kind::Forward,
        _ if fault.masked => return false,
        _ => {}
    }
    let has_upstreams = world.kind != Kind::Forward;
    match rule.group_by.last().map(String::as_str) {
        Some("upstream") => fault.what.is_one_server() && has_upstreams,
        Some("site") => fault.what == What::Dns || (!has_upstreams && fault.what != What::Everything),
        Some("node") => fault.what == What::Node,
        Some("region") => fault.what == What::Region,
        _ => fault.what == What::Everything,
    }
}
