//! The agent's parts put together as the agent puts them together, without its threads and clocks: the tail, the files'
//! lines, the engine, the outbox, and all of them in one snapshot.

use gatewatch::agent::files::LiveFiles;
use gatewatch::agent::memory::Memory;
use gatewatch::config::{self, Config};
use gatewatch::delivery::outbox::Outbox;
use gatewatch::inputs::file::{Happening, Message};
use gatewatch::notification::{Notification, Outcome};
use gatewatch::state::{AgentState, Counters, Snapshot, encode};
use gatewatch::tail::paths::Pattern;
use gatewatch::tail::{Design, Event, FileId, Input, Start, Tailer};
use gatewatch::wiring::{self, FileSettings, ZoneSetting};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::collector::{Block, Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::report::Incident;
use gatewatch_rules::series::Plan;
use gatewatch_rules::source::Regions;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Which lines were handed out, how often. Kept beside each snapshot, of the same instant: what counts have to add up to.
pub type Ledger = BTreeMap<usize, u32>;

/// What a snapshot goes with.
#[derive(Clone, Default)]
pub struct Account {
    pub lines: Ledger,
    /// Names of logs of which something was said to be lost.
    pub flagged: BTreeSet<String>,
}

const CONFIGURATION: &str = r#"
[agent]
step = "1s"
lateness = "2s"
node = "n"
presets = false
[rule.ratio.errors]
group_by = ["upstream"]
window = "5s"
above = { warning = "20%", critical = "60%" }
min_requests = 2
min_errors = 1
keep_firing_for = "3s"
stale_after = "20s"
[rule.count.any]
window = "30s"
above = 3
[notify.webhook.ops]
url = "http://127.0.0.1:9/"
"#;
const SERIES: usize = 100;

pub struct System {
    tailer: Tailer,
    files: LiveFiles,
    engine: Engine,
    outbox: Outbox,
    config: Config,
    inputs: Vec<Input>,
    settings: FileSettings,
    plan: Arc<Plan>,
    handed: Handed,
    /// `EXACTLY_ONCE_TRACE=1` shows what the tail tells.
    is_traced: bool,
}

/// What the tail has handed out.
#[derive(Default)]
struct Handed {
    cut: HashMap<FileId, Vec<u8>>,
    account: Account,
}

fn configuration() -> Config {
    config::parse_str("test", CONFIGURATION).unwrap()
}

fn options(config: &Config) -> EngineOptions {
    EngineOptions { step: config.agent.step, series_cap: SERIES }
}

fn settings() -> FileSettings {
    FileSettings {
        input: "edge".into(),
        format: Some(wiring::compile_format("nginx:combined_upstream").unwrap()),
        zone: ZoneSetting { zone: Zone::Fixed(0), name: "UTC".into(), assumed: false },
        node: "n".into(),
        node_is_flag: true,
        region: String::new(),
        regions: Arc::new(Regions::default()),
        pools: Arc::default(),
        gateway_statuses: None,
        path_labels: Vec::new(),
    }
}

impl System {
    pub fn start(logs: &Path, found: Option<(Snapshot, Account)>, design: Design, now: Millis) -> System {
        let (config, settings) = (configuration(), settings());
        let pattern = Pattern::new(&logs.join("*.log").display().to_string()).unwrap();
        let inputs = vec![Input { name: "edge".into(), paths: vec![pattern], start: Start::Beginning }];
        let plan = Arc::new(Plan::new(&config.rules, &[]));
        let mut tailer = Tailer::new(inputs.clone(), 50);
        tailer.set_design(design);
        let terms = (config.agent.step, config.agent.lateness);
        let mut files = LiveFiles::new(vec![settings.clone()], Arc::clone(&plan), terms.0, terms.1);
        let mut handed = Handed::default();
        let mut changes = Vec::new();
        let (engine, outbox) = match found {
            Some((snapshot, account)) => {
                handed.account = account;
                let positions = snapshot.files.iter().map(|file| file.position.clone()).collect();
                tailer.restore(positions, snapshot.inputs.clone());
                let memory = Memory::of(snapshot.files, snapshot.counters.gone);
                files.remember(memory, snapshot.inputs, snapshot.cursors);
                let rules = config.rules.clone();
                let (engine, over) =
                    Engine::restore(snapshot.engine, rules, Arc::clone(&plan), options(&config)).unwrap();
                changes = over;
                (engine, Outbox::restored(snapshot.outbox, &config.receivers, &config.rules, now))
            }
            None => (
                Engine::new(config.rules.clone(), Arc::clone(&plan), options(&config)),
                Outbox::new(&config.receivers, &config.rules, 502),
            ),
        };
        let is_traced = std::env::var_os("EXACTLY_ONCE_TRACE").is_some();
        let mut system =
            System { tailer, files, engine, outbox, config, inputs, settings, plan, handed, is_traced };
        assert!(changes.is_empty(), "the same rules go on: {changes:?}");
        system.turn(now);
        system
    }

    /// One look; when to come again.
    pub fn glance(&mut self, now: Millis) -> Millis {
        let mut messages = Vec::new();
        let handed = &mut self.handed;
        let next = self.tailer.poll(now, &mut |event| {
            handed.take(&event);
            if self.is_traced {
                match event {
                    Event::Chunk { file, offset, bytes, .. } => {
                        eprintln!("{now}: Chunk {{ {file:?}, {offset}, {} bytes }}", bytes.len());
                    }
                    event => eprintln!("{now}: {event:?}"),
                }
            }
            messages.push(Message { at: now, what: Happening::owned(event) });
        });
        for message in messages {
            self.files.take(message, &mut self.engine);
        }
        self.turn(now);
        next
    }

    fn turn(&mut self, now: Millis) {
        self.files.flush(&mut self.engine);
        if let Some(watermark) = self.files.watermark(now) {
            self.outbox.set_catching_up(self.files.catching_up());
            for mut change in self.engine.advance(watermark) {
                // Told alert by alert, so that each can be asked for; what becomes of those of one fault, the outbox's own
                // tests say.
                change.alert.envelope = None;
                self.outbox.push(change, now);
            }
        }
    }

    /// Everything that is due.
    pub fn poll(&mut self, now: Millis) {
        for _ in 0..2_000 {
            if self.glance(now) > now {
                return;
            }
        }
        unreachable!("it never comes to rest");
    }

    pub fn hint(&mut self) {
        self.tailer.hint();
    }

    /// The same configuration again.
    pub fn reload(&mut self, now: Millis) {
        self.files.flush(&mut self.engine);
        self.plan = Arc::new(Plan::new(&self.config.rules, &[]));
        let changes = self.engine.reload(self.config.rules.clone(), Arc::clone(&self.plan));
        assert!(changes.is_empty(), "the same rules go on: {changes:?}");
        self.files.set_plan(Arc::clone(&self.plan));
        self.outbox.reconfigure(&self.config.receivers, &self.config.rules, now);
        self.tailer.reconfigure(self.inputs.clone());
        let what = Happening::Reconfigured;
        self.files.reconfigure(vec![self.settings.clone()]);
        self.files.take(Message { at: now, what }, &mut self.engine);
    }

    pub fn ledger(&self) -> &Ledger {
        &self.handed.account.lines
    }

    pub fn account(&self) -> &Account {
        &self.handed.account
    }

    /// What waits to be told, once the next snapshot is durable.
    pub fn due(&mut self, now: Millis) -> Vec<Notification> {
        self.outbox.due(now)
    }

    pub fn told(&mut self, id: u64, outcome: &Outcome, now: Millis) {
        self.outbox.done(id, outcome, now);
    }

    /// A snapshot's payload.
    pub fn save(&self, now: Millis) -> Vec<u8> {
        let snapshot = Snapshot {
            agent: AgentState {
                program: env!("CARGO_PKG_VERSION").to_owned(),
                node: "n".to_owned(),
                step: self.config.agent.step,
                saved: now,
            },
            files: self.files.states(),
            inputs: self.files.scanned().to_vec(),
            cursors: self.files.cursors().clone(),
            engine: self.engine.state(),
            outbox: self.outbox.state(),
            mutes: gatewatch::mute::State::default(),
            counters: Counters { gone: self.files.gone(), ..Counters::default() },
        };
        encode(&snapshot).unwrap()
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// What the engine comes to when it gets these lines in one go, and time passes until `end`.
pub fn in_one_go(lines: &str, end: Millis) -> (Engine, Vec<Incident>) {
    let (config, settings) = (configuration(), settings());
    let plan = Arc::new(Plan::new(&config.rules, &[]));
    let mut engine = Engine::new(config.rules.clone(), Arc::clone(&plan), options(&config));
    let mut collector = Collector::new(plan, config.agent.step, false);
    let recognised = wiring::recognise("a.log", lines.as_bytes(), end, &settings);
    let (format, mut context) = (recognised.format.unwrap(), recognised.context);
    for line in lines.lines() {
        if let Ok(gatewatch_parsers::Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context) {
            collector.count(&recognised.source, &record, Place::Step);
        }
    }
    let mut block = Block::default();
    collector.take(&mut block);
    engine.absorb(&block, Millis::MIN);
    engine.advance(end);
    let incidents = engine.incidents();
    (engine, incidents)
}

impl Handed {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Opened { file, .. } | Event::Truncated { file } => {
                self.cut.insert(*file, Vec::new());
            }
            Event::Chunk { file, bytes, .. } => {
                let cut = self.cut.entry(*file).or_default();
                cut.extend_from_slice(bytes);
                while let Some(end) = cut.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = cut.drain(..=end).collect();
                    if let Some(number) = number(&line) {
                        *self.account.lines.entry(number).or_default() += 1;
                    }
                }
            }
            Event::PossibleLoss { path, .. } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.account.flagged.insert(name);
            }
            _ => {}
        }
    }
}

/// The number of a line that is one from its first byte to its last.
fn number(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = text.strip_prefix("203.0.113.7 - - [")?.strip_suffix("\"\n")?;
    let (_, rest) = rest.split_once("] \"GET /n/")?;
    let (number, rest) = rest.split_once('/')?;
    let whole = rest.matches(" us=\"").count() == 1 && !rest.contains("203.0.113.7");
    whole.then(|| number.parse().ok())?
}
