//! What a log says, read line by line: no blocks, no threads, nothing judged before all is counted.

use crate::logs::Kind;
use gatewatch::config;
use gatewatch::wiring::{self, FileSettings, ZoneSetting};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::clock::{Admit, FileClock, Held};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::report::{Input, Report};
use gatewatch_rules::rule::Rule;
use gatewatch_rules::series::Plan;
use gatewatch_rules::source::Regions;
use gatewatch_rules::summary::Summary;
use std::sync::Arc;

/// A time that stamps are close to: only stamps without a zone ask for it.
pub const NEAR: Millis = crate::logs::T + 86_400_000;

/// Rules, and what counting works by.
#[derive(Clone)]
pub struct Setup {
    pub rules: Vec<Rule>,
    pub step: Millis,
    pub lateness: Millis,
    pub settings: FileSettings,
    pub by: Vec<String>,
    /// Series at most.
    pub cap: usize,
}

const RULES: &str = r#"
[agent]
step = "1s"
[rule.ratio.quick]
group_by = ["upstream"]
window = "10s"
stretch = "40s"
above = { warning = "10%", critical = "40%" }
min_requests = 5
min_errors = 2
keep_firing_for = "5s"
stale_after = "30s"
[rule.ratio.attempts]
group_by = ["node", "upstream"]
counts = "failed_attempts"
window = "20s"
above = "10%"
min_requests = 5
min_errors = 2
for = "3s"
[rule.ratio.rest]
group_by = ["node"]
window = "2m"
above = "5%"
times_rest = 2
min_requests = 5
min_errors = 2
[rule.count.any-504]
status = [504]
window = "30s"
above = 1
"#;

impl Setup {
    /// Of finished logs, by quick rules beside the presets.
    pub fn new(kind: Kind) -> Setup {
        let config = config::parse_str("rules", RULES).unwrap();
        let format = wiring::compile_format(kind.log_format()).unwrap();
        Setup {
            rules: config.rules,
            step: config.agent.step,
            lateness: 300_000,
            settings: FileSettings {
                input: String::new(),
                format: Some(format),
                zone: ZoneSetting { zone: Zone::Fixed(0), name: "UTC".into(), assumed: false },
                node: "n".into(),
                node_is_flag: true,
                region: String::new(),
                regions: Arc::new(Regions::default()),
                pools: Arc::default(),
                gateway_statuses: None,
                path_labels: Vec::new(),
            },
            by: vec!["pool".into(), "upstream".into()],
            cap: 50_000,
        }
    }

    /// With the presets alone, whose windows are minutes.
    pub fn presets(kind: Kind) -> Setup {
        let config = config::parse_str("nothing", "").unwrap();
        Setup { rules: config.rules, step: config.agent.step, ..Setup::new(kind) }
    }

    pub fn plan(&self) -> Arc<Plan> {
        Arc::new(Plan::for_report(&self.rules, &self.by))
    }

    pub fn engine(&self, plan: &Arc<Plan>) -> Engine {
        let options = EngineOptions { step: self.step, series_cap: self.cap };
        Engine::new(self.rules.clone(), Arc::clone(plan), options)
    }
}

/// The report of files, each given by path and content; unparsed samples are left out.
pub fn line_by_line(setup: &Setup, files: &[(&str, &[u8])]) -> Report {
    let plan = setup.plan();
    let mut engine = setup.engine(&plan);
    let mut summary = Summary::new(Arc::clone(&plan), setup.step);
    let mut collector = Collector::new(plan, setup.step, true);
    let mut inputs = Vec::new();
    for (path, bytes) in files {
        inputs.push(file(setup, &mut collector, path, bytes));
    }
    let mut block = Block::default();
    collector.take(&mut block);
    summary.absorb(&block, Millis::MIN);
    engine.absorb(&block, Millis::MIN);
    summary.merge_latencies(collector.latencies());
    engine.finish();
    let mut report = summary.into_report(&setup.by);
    report.incidents = engine.incidents();
    report.inputs = inputs;
    report
}

fn file(setup: &Setup, collector: &mut Collector, path: &str, bytes: &[u8]) -> Input {
    let recognised = wiring::recognise(path, bytes, NEAR, &setup.settings);
    let (format, source, mut context) = (recognised.format.unwrap(), recognised.source, recognised.context);
    let mut input = Input {
        path: path.to_owned(),
        format: format.name().to_owned(),
        title: recognised.title,
        bytes: bytes.len() as u64,
        ..Input::default()
    };
    let mut clock = FileClock::new(setup.lateness, setup.step);
    let mut held = None;
    let mut lines = Lines::new(bytes, true);
    for line in &mut lines {
        input.lines += 1;
        if let Some(newest) = clock.newest() {
            context.dates.set_newest(newest);
        }
        let Ok(parsed) = format.parse(line, &mut context) else {
            input.unparsed += 1;
            continue;
        };
        let Some(end) = parsed.end() else {
            input.other += 1;
            collector.count_parsed(&source, &parsed, Place::Step);
            continue;
        };
        input.parsed += 1;
        input.first = Some(input.first.map_or(end, |first| first.min(end)));
        input.last = input.last.max(Some(end));
        let verdict = clock.admit(end);
        if let (Some(fate), Some(held)) = (verdict.held, held.take()) {
            collector.count_parsed(&source, &held, place_of(fate));
        }
        match verdict.this {
            Admit::Count => collector.count_parsed(&source, &parsed, Place::Step),
            Admit::Late => collector.count_parsed(&source, &parsed, Place::Late),
            Admit::Hold => held = Some(parsed),
        }
    }
    if let (Some(fate), Some(held)) = (clock.finish(), held) {
        collector.count_parsed(&source, &held, place_of(fate));
    }
    (input.too_long, input.zoneless) = (lines.too_long(), context.dates.saw_zoneless());
    input
}

fn place_of(held: Held) -> Place {
    match held {
        Held::Count => Place::Step,
        Held::Future => Place::Future,
    }
}
