//! A host or a fleet: who serves what, how often it is asked, and how often it fails when nothing is wrong.

use crate::parameters::{BASE, CHRONIC, Kind, MINUTE, OWN_ANSWERS, STEP};
use crate::rng::Rng;
use gatewatch_parsers::{Attempt, Attempts, Record, Status};
use gatewatch_rules::collector::{Collector, Place};
use gatewatch_rules::matcher::Matcher;
use gatewatch_rules::rule::Rule;
use gatewatch_rules::series::{LabelSet, Plan, Source};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels by name, those that are empty left out.
pub type Labels = BTreeMap<String, String>;

/// One series of counts: a server (or a site) as one node sees it.
#[derive(Debug)]
pub struct Series {
    /// As the engine knows it.
    pub set: LabelSet,
    /// All its labels, carried by some rule or not.
    pub labels: Labels,
    pub node: usize,
    pub region: usize,
    pub pool: usize,
    /// Which server, or site; `None`: what the proxy answers by itself.
    pub group: Option<usize>,
    /// Requests a millisecond on a day's average.
    pub rate: f64,
    /// When its day is busiest, as a part of a day.
    pub phase: f64,
    /// Share of errors when nothing is wrong.
    pub base: f64,
    /// Whether the pool tries another server when this one fails.
    pub retries: bool,
}

/// Who serves what.
#[derive(Debug)]
pub struct World {
    pub kind: Kind,
    pub nodes: usize,
    pub regions: usize,
    /// Servers or sites.
    pub groups: usize,
    pub series: Vec<Series>,
}

impl World {
    /// One of this kind whose groups are asked so often a minute.
    pub fn new(kind: Kind, load: u32, plan: &Arc<Plan>, rng: &mut Rng) -> World {
        let (nodes, regions, pools, servers) = kind.size();
        let groups = pools * servers;
        let bases: Vec<(f64, f64)> = (0..groups)
            .map(|_| {
                let base = rng.log_between(BASE.0, BASE.1);
                (rng.uniform(), if rng.uniform() < CHRONIC.0 { CHRONIC.1 } else { base })
            })
            .collect();
        let rate = f64::from(load) / MINUTE as f64 / nodes as f64;
        let mut world = World { kind, nodes, regions, groups, series: Vec::new() };
        for node in 0..nodes {
            for (group, &(phase, base)) in bases.iter().enumerate() {
                world.add(plan, node, Some(group), group / servers, (rate, phase, base));
            }
            if kind != Kind::Forward {
                let base = rng.log_between(BASE.0, BASE.1);
                for pool in 0..pools {
                    world.add(plan, node, None, pool, (rate * servers as f64 * OWN_ANSWERS, 0.5, base));
                }
            }
        }
        world
    }

    fn add(
        &mut self,
        plan: &Arc<Plan>,
        node: usize,
        group: Option<usize>,
        pool: usize,
        (rate, phase, base): (f64, f64, f64),
    ) {
        let region = node * self.regions / self.nodes;
        let is_forward = self.kind == Kind::Forward;
        let mut labels =
            Labels::from([("input".to_owned(), "all".to_owned()), ("node".to_owned(), format!("n{node}"))]);
        if self.regions > 1 {
            labels.insert("region".to_owned(), format!("r{region}"));
        }
        let server = group.filter(|_| !is_forward);
        if let Some(server) = server {
            labels.insert("pool".to_owned(), format!("p{pool}"));
            labels.insert("upstream".to_owned(), format!("10.0.{pool}.{server}:80"));
        }
        let site = group.filter(|_| is_forward).unwrap_or(pool);
        if server.is_none() {
            labels.insert("site".to_owned(), format!("s{site}.example"));
        }
        let set = set(plan, &labels);
        let retries = self.kind == Kind::Host && pool % 2 == 1;
        self.series.push(Series { set, labels, node, region, pool, group, rate, phase, base, retries });
    }

    /// The groups of a rule here, and the series of each.
    pub fn groups_of(&self, rule: &Rule) -> BTreeMap<Labels, Vec<usize>> {
        let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
        for (i, series) in self.series.iter().enumerate() {
            let value = |name: &str| series.labels.get(name).map_or("", String::as_str);
            if rule.matchers.iter().all(|m: &Matcher| m.matches(value(&m.label).as_bytes())) {
                let named = rule.group_by.iter().map(|name| (name.clone(), value(name).to_owned()));
                groups.entry(named.filter(|(_, value)| !value.is_empty()).collect()).or_default().push(i);
            }
        }
        groups
    }
}

/// The series that a request with these labels is counted in, as the collector says.
fn set(plan: &Arc<Plan>, labels: &Labels) -> LabelSet {
    let value = |name: &str| labels.get(name).map_or("", String::as_str);
    let source = Source {
        input: value("input").to_owned(),
        node: value("node").to_owned(),
        region: value("region").to_owned(),
        ..Source::default()
    };
    let status = Status::new(200);
    let mut record = Record::new(0, status);
    record.site = value("site").as_bytes();
    if !value("upstream").is_empty() {
        let (upstream, pool) = (value("upstream").as_bytes(), value("pool").as_bytes());
        record.attempts = Attempts::One(Attempt { upstream, pool, status, failure: None });
    }
    let mut collector = Collector::new(Arc::clone(plan), STEP, false);
    collector.count(&source, &record, Place::Step);
    collector.last_series().cloned().unwrap_or_else(|| LabelSet::new([]))
}
