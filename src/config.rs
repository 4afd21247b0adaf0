//! The configuration: TOML as written → settings, with every mistake at once.
//!
//! Two kinds of types: the tables as they stand in the files ([`document`](self), spans and all), and the settings that
//! everything else sees, below. Nothing else reads TOML.

mod agent;
mod countries;
mod document;
mod effective;
mod files;
mod inputs;
mod judge;
mod mute;
mod notify;
mod problem;
mod reader;
mod rules;
mod secrets;
mod streams;
mod tables;
mod values;

pub use effective::{effective, memory};
pub use files::{DEFAULT_FILE, load};
pub use inputs::path_glob;
pub use problem::{Place, Problem, Problems, Source};
pub use values::{parse_duration, print_duration};

use crate::inputs::streams::Kind;
use crate::mute::maintenance::Window;
use crate::receiver::{Heartbeat, Receiver};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::presets::presets;
use gatewatch_rules::regions::By;
use gatewatch_rules::rule::Rule;
use gatewatch_rules::source::{Regions, Table};
use problem::Log;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Labels that every record may bear.
const LABELS: [&str; 6] = ["input", "node", "region", "pool", "upstream", "site"];

/// Everything that is configured, presets and defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[agent]`.
    pub agent: Agent,
    /// `[regions]`: name, glob or network → region.
    pub regions: Vec<(String, String)>,
    /// `[pools]`: upstream, glob or network → pool.
    pub pools: Vec<(String, String)>,
    /// Empty: look for logs.
    pub inputs: Vec<Input>,
    /// Presets first, then as written.
    pub rules: Vec<Rule>,
    /// Presets that `enabled = false` dropped: detector and name.
    pub dropped: Vec<(String, String)>,
    /// Empty: alerts are lines on standard error.
    pub receivers: Vec<Receiver>,
    /// When nobody is told of some alerts.
    pub maintenance: Vec<Window>,
    /// `[heartbeat]`.
    pub heartbeat: Option<Heartbeat>,
    /// What loads, but will not do what it seems to.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// What says the region where neither line nor path does.
    #[must_use]
    pub fn regions(&self) -> Regions {
        let rows = self.agent.regions_file.iter().flat_map(|file| &file.rows);
        let table = Table::new(self.regions.iter().chain(rows).map(|(key, region)| (key, region)));
        let countries = self.agent.regions_mmdb.as_ref().map(|file| Arc::clone(&file.known));
        Regions::new(table).by(By::of(&self.agent.regions_by)).with_countries(countries)
    }
}

/// The agent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// This host, unless a line, a path or an input says otherwise.
    pub node: String,
    /// Its region; `None`: as `[regions]` says.
    pub region: Option<String>,
    /// Rows that go on behind `[regions]`.
    pub regions_file: Option<RegionsFile>,
    /// Where the table names no region, the country of the address.
    pub regions_mmdb: Option<Countries>,
    /// The label whose name or address decides the region.
    pub regions_by: String,
    /// Where the snapshot lives.
    pub state_dir: PathBuf,
    /// Length of a bucket; divides a minute.
    pub step: Millis,
    /// How far behind the newest line a step is closed.
    pub lateness: Millis,
    /// Of stamps that carry none; `None`: the host's.
    pub timezone: Option<Zone>,
    /// Where `/metrics` is served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether the presets stand beside the rules.
    pub presets: bool,
}

impl Agent {
    fn knows_region(&self) -> bool {
        self.region.is_some() || self.regions_file.is_some() || self.regions_mmdb.is_some()
    }
}

/// A table of regions beside the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Name, glob or network, and region.
    pub rows: Vec<(String, String)>,
}

/// A MaxMind file.
#[derive(Clone, Debug)]
pub struct Countries {
    /// Where it is.
    pub path: PathBuf,
    /// What it knows.
    pub known: Arc<dyn gatewatch_rules::source::Countries>,
}

/// The same file of the same day.
impl PartialEq for Countries {
    fn eq(&self, other: &Countries) -> bool {
        self.path == other.path && format!("{:?}", self.known) == format!("{:?}", other.known)
    }
}

impl Eq for Countries {}

/// One `[input.KIND.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Unique among inputs.
    pub name: String,
    /// `file`, `syslog`, `journald`.
    pub kind: &'static str,
    /// Globs; `<label>` in one captures a path part. [`path_glob`] makes plain globs of them.
    pub paths: Vec<String>,
    /// As `--log-format`; it compiles. `None`: detected.
    pub log_format: Option<String>,
    /// Instead of the agent's.
    pub node: Option<String>,
    /// Instead of the agent's.
    pub region: Option<String>,
    /// Instead of the agent's.
    pub timezone: Option<Zone>,
    /// What is a gateway error here, instead of the format's own rule; sorted.
    pub gateway_statuses: Option<Vec<u16>>,
    /// Of files that are there at the very first start.
    pub start: Start,
    /// Labels that its format's captures and its paths give.
    pub labels: Vec<String>,
    /// Of an input that is no file: where it hears what it counts.
    pub stream: Option<Kind>,
}

/// Where reading begins in files that are there at the very first start; later files are read from their beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At their end.
    #[default]
    End,
    /// At their beginning.
    Beginning,
}

impl Start {
    /// The word as it stands in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Start::End => "end",
            Start::Beginning => "beginning",
        }
    }
}

/// What the configuration may ask of the world, and the defaults that depend on the host.
pub struct Outside<'o> {
    /// A file's text (`password_file`, `url_file`).
    pub file: &'o dyn Fn(&str) -> io::Result<String>,
    /// A MaxMind file.
    pub countries: &'o dyn Fn(&Path) -> io::Result<Arc<dyn gatewatch_rules::source::Countries>>,
    /// A variable of the environment (`${env:NAME}`).
    pub variable: &'o dyn Fn(&str) -> Option<String>,
    /// Whether a file of the configuration may be read by others than its owner.
    pub exposed: &'o dyn Fn(&str) -> bool,
    /// The host's name.
    pub node: String,
    /// Where state is kept unless told otherwise.
    pub state_dir: PathBuf,
}

/// One file's text, with nothing outside: no file can be read, no variable is set.
///
/// # Errors
/// Every mistake.
pub fn parse_str(name: &str, text: &str) -> Result<Config, Problems> {
    let outside = Outside {
        file: &|_| Err(io::ErrorKind::NotFound.into()),
        countries: &|_| Err(io::ErrorKind::NotFound.into()),
        variable: &|_| None,
        exposed: &|_| false,
        node: "localhost".to_owned(),
        state_dir: PathBuf::from("/var/lib/gatewatch"),
    };
    parse(vec![Source { name: name.to_owned(), text: text.to_owned() }], &outside)
}

/// Files, in the order in which they add to each other.
///
/// # Errors
/// Every mistake.
pub fn parse(mut sources: Vec<Source>, outside: &Outside<'_>) -> Result<Config, Problems> {
    let written = sources.len();
    sources.push(Source { name: "built-in presets".to_owned(), text: presets().to_owned() });
    let mut log = Log::new(&sources);
    let trees: Vec<_> = sources.iter().map(document::parse).collect();
    let (own, presets) = trees.split_at(written);
    let own = document::collect(own, 0, &mut log);
    let below = document::collect(presets, written, &mut log);

    let agent = agent::agent(own.agent.as_ref(), outside, &mut log);
    let regions = tables::words(own.regions.as_ref(), "region", &mut log);
    let pools = tables::words(own.pools.as_ref(), "pool", &mut log);
    let (inputs, knows_upstream) = inputs::inputs(&own.inputs, &mut log);
    let receivers = notify::receivers(&own.receivers, outside, &mut log);
    let heartbeat = notify::heartbeat(own.heartbeat.as_ref(), outside, &mut log);
    let knows_region =
        agent.knows_region() || !regions.is_empty() || inputs.iter().any(|i| i.region.is_some());
    let mut labels: Vec<String> = LABELS.map(str::to_owned).to_vec();
    labels.retain(|l| (l != "region" || knows_region) && (l != "upstream" || knows_upstream));
    labels.extend(inputs.iter().flat_map(|i| i.labels.clone()));
    let around = rules::Surroundings {
        // Files that only a command line names are detected, too.
        is_detected: inputs.is_empty() || inputs.iter().any(|i| i.log_format.is_none()),
        step: agent.step,
        receivers: own.receivers.iter().map(|e| e.name).collect(),
        labels,
        presets: written,
    };
    let below = if agent.presets { below.rules.as_slice() } else { &[] };
    let (rules, dropped) = rules::rules(below, &own.rules, &around, &mut log);
    judge::told(&rules, &own.rules, &receivers, &mut log);
    mute::mutes(&rules, &own.rules, &dropped, &mut log);
    let maintenance = mute::windows(&own.maintenance, agent.timezone, &around, &rules, &mut log);

    let (errors, warnings) = log.finish();
    if errors.is_empty() {
        let receivers = receivers.into_iter().map(|r| r.0).collect();
        Ok(Config {
            agent,
            regions,
            pools,
            inputs,
            rules,
            dropped,
            receivers,
            maintenance,
            heartbeat,
            warnings,
        })
    } else {
        Err(Problems(errors))
    }
}
