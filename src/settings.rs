//! Configuration and flags together: flags win.

use crate::cli::Common;
use crate::config::{self, Config};
use crate::discover::{self, Rooted};
use crate::exit::Exit;
use crate::inputs::streams::{Streams, Wanted};
use crate::tail::{self, paths::Pattern};
use crate::wiring::{self, FileSettings, ZoneSetting};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::rule::Rule;
use gatewatch_rules::source::Table;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What `analyze` works by.
pub struct Settings {
    /// The rules; presets included.
    pub rules: Vec<Rule>,
    /// Length of a bucket.
    pub step: Millis,
    /// Of a file that no input names.
    pub file: FileSettings,
    /// The configured inputs: what is said there of a file holds here, too.
    inputs: Vec<(Vec<glob::Pattern>, FileSettings)>,
}

impl Live {
    /// The logs in a shell's words, where one path or glob names them all: for the command that messages suggest. By the
    /// configuration and not by what is followed just now: a message that is sent again must be the same.
    #[must_use]
    pub fn log_file(&self) -> Option<String> {
        match &self.config.inputs[..] {
            [input] => match &input.paths[..] {
                [path] => Some(config::path_glob(path)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The zone of local times in messages: the agent's, else the host's.
    #[must_use]
    pub fn zone(&self) -> Zone {
        let host = || ZoneSetting::new(None).map_or(Zone::Fixed(0), |host| host.zone);
        self.config.agent.timezone.unwrap_or_else(host)
    }
}

impl Live {
    /// The inputs that are no files; and by their numbers, how their lines are counted.
    #[must_use]
    pub fn streams(&self, known: &mut Streams) -> (Vec<Wanted>, BTreeMap<usize, FileSettings>) {
        let mut wanted = Vec::new();
        let mut counted = BTreeMap::new();
        for (input, settings) in self.config.inputs.iter().zip(&self.settings) {
            let Some(kind) = input.stream.clone() else { continue };
            counted.insert(known.number(&input.name), settings.clone());
            wanted.push(Wanted {
                name: input.name.clone(),
                kind,
                has_node: input.node.is_some() || settings.node_is_flag,
                counted_by: format!("{settings:?}"),
            });
        }
        (wanted, counted)
    }
}

impl Settings {
    /// What is set for the files of an input; `None`: no input is called so.
    #[must_use]
    pub fn of_input(&self, name: &str) -> Option<&FileSettings> {
        self.inputs.iter().map(|(_, settings)| settings).find(|settings| settings.input == name)
    }

    /// What is set for this file.
    #[must_use]
    pub fn of_file(&self, path: Option<&Path>) -> FileSettings {
        let absolute = path.and_then(|p| std::fs::canonicalize(p).ok());
        let named = absolute.and_then(|path| {
            self.inputs
                .iter()
                .find(|(globs, _)| globs.iter().any(|g| g.matches_path(&path)))
                .map(|(_, settings)| settings)
        });
        named.unwrap_or(&self.file).clone()
    }
}

/// What `run` works by.
#[derive(Clone)]
pub struct Live {
    /// The configuration; its inputs are those below.
    pub config: Config,
    /// By input: how its files' lines are counted.
    pub settings: Vec<FileSettings>,
    /// What is followed.
    pub inputs: Vec<tail::Input>,
    /// What was found, where nothing was configured to be read.
    pub found: Option<String>,
}

/// Logs that are looked for where nothing is configured and no proxy's configuration tells where they are.
const USUAL: [(&str, &[&str]); 2] = [
    ("nginx", &["/var/log/nginx/*access*.log", "/var/log/nginx/*access_log"]),
    ("haproxy", &["/var/log/haproxy.log", "/var/log/haproxy/*.log"]),
];

/// Loads the configuration of `run`; files named on the command line stand in place of its inputs.
///
/// # Errors
/// Exit code and text.
pub fn for_live_logs(common: &Common, files: &[PathBuf]) -> Result<Live, (Exit, String)> {
    let mut config = config::load(&common.config).map_err(|problems| {
        let count = problems.0.len();
        (
            Exit::Configuration,
            format!(
                "{problems}\nconfiguration refused: {count} mistake{}",
                if count == 1 { "" } else { "s" }
            ),
        )
    })?;
    if !files.is_empty() {
        files.iter().try_for_each(|file| followable(file)).map_err(|e| (Exit::Usage, e))?;
        config.inputs = vec![plain_input("", files.iter().map(|f| f.display().to_string()).collect())];
    } else if config.inputs.is_empty() {
        let (found, said) = found_here(&Rooted::here());
        config.inputs = found.0;
        // What is written goes before what is found.
        config.pools.extend(found.1);
        config.agent.lateness = config.agent.lateness.max(found.2);
        return live(common, config).map(|live| Live { found: Some(said), ..live });
    }
    live(common, config)
}

/// Inputs, upstream → pool, and how late lines come.
type FoundHere = (Vec<config::Input>, Vec<(String, String)>, Millis);

/// The logs of this host's proxies, and what was found, in words.
fn found_here(host: &Rooted) -> (FoundHere, String) {
    let installed = discover::discover(host);
    let sources = discover::probe::sources(host, &installed);
    let text = discover::written::configuration(&installed, &sources);
    let found = config::parse_str("what was found", &text);
    let (inputs, pools, late) =
        found.map(|found| (found.inputs, found.pools, found.agent.lateness)).unwrap_or_default();
    if inputs.is_empty() {
        let usual = |(name, paths): (&str, &[&str])| {
            plain_input(name, paths.iter().map(|p| (*p).to_owned()).collect())
        };
        let inputs = USUAL.map(usual).to_vec();
        let paths: Vec<_> = inputs.iter().flat_map(|input| input.paths.clone()).collect();
        let said =
            format!("no input is configured and no proxy's log was found: waiting for {}", paths.join(", "));
        return ((inputs, Vec::new(), 0), said);
    }
    let places: Vec<_> = sources.iter().flat_map(|source| &source.places).map(ToString::to_string).collect();
    let (summary, places) = (discover::written::summary(&installed, &sources), places.join(", "));
    let mut said =
        format!("no input is configured; found {summary}: {places} (`gatewatch init` writes this down)");
    // A configuration that may not be read is why a log that one expects is not among them.
    for remark in installed.iter().flat_map(|one| &one.found.remarks) {
        if remark.text.starts_with("cannot read") {
            said.push_str(&format!("\n{}", remark.text));
        }
    }
    ((inputs, pools, late), said)
}

/// Whether it can ever be a log that grows: what else `analyze` takes would be waited for in silence.
fn followable(file: &Path) -> Result<(), String> {
    let shown = file.display().to_string();
    if file == Path::new("-") {
        return Err(
            "standard input cannot be followed: name the log, or use `gatewatch analyze -`".to_owned()
        );
    }
    if file.is_dir() {
        let folder = shown.trim_end_matches('/');
        return Err(format!("{shown} is a directory: name its files, as in '{folder}/*.log'"));
    }
    Ok(())
}

/// What runs with this configuration.
///
/// # Errors
/// Exit code and text.
pub fn live(common: &Common, config: Config) -> Result<Live, (Exit, String)> {
    let mut base = base(common, &config)?;
    if base.node.is_empty() {
        base.node.clone_from(&config.agent.node);
    }
    let settings: Vec<FileSettings> = config.inputs.iter().map(|input| of_input(input, &base).1).collect();
    let inputs =
        config.inputs.iter().map(followed).collect::<Result<_, _>>().map_err(|e| (Exit::Usage, e))?;
    Ok(Live { config, settings, inputs, found: None })
}

fn plain_input(name: &str, paths: Vec<String>) -> config::Input {
    config::Input { name: name.to_owned(), paths, ..config::Input::default() }
}

fn followed(input: &config::Input) -> Result<tail::Input, String> {
    let pattern = |path: &String| Pattern::new(path).map_err(|e| format!("{path}: {e}"));
    Ok(tail::Input {
        name: input.name.clone(),
        paths: input.paths.iter().map(pattern).collect::<Result<_, _>>()?,
        start: match input.start {
            config::Start::End => tail::Start::End,
            config::Start::Beginning => tail::Start::Beginning,
        },
    })
}

/// Loads the configuration: what `-c` names must be right; without it, a broken default one only costs its rules.
///
/// # Errors
/// Exit code and text.
pub fn for_finished_logs(common: &Common) -> Result<Settings, (Exit, String)> {
    let config = match config::load(&common.config) {
        Ok(config) => config,
        Err(problems) if !common.config.is_empty() => {
            return Err((Exit::Configuration, problems.to_string()));
        }
        Err(problems) => {
            let first = problems.to_string().lines().next().unwrap_or_default().to_owned();
            eprintln!(
                "gatewatch: {} is left out ({first}); `gatewatch check` says more",
                config::DEFAULT_FILE
            );
            config::parse_str("nothing", "").map_err(|e| (Exit::Configuration, e.to_string()))?
        }
    };
    with(common, config)
}

/// The presets and nothing else, whatever this host has configured.
///
/// # Errors
/// Exit code and text.
pub fn for_presets(common: &Common) -> Result<Settings, (Exit, String)> {
    with(common, config::parse_str("nothing", "").map_err(|e| (Exit::Configuration, e.to_string()))?)
}

fn with(common: &Common, config: Config) -> Result<Settings, (Exit, String)> {
    let file = base(common, &config)?;
    let inputs = config.inputs.iter().map(|input| of_input(input, &file)).collect();
    Ok(Settings { rules: config.rules, step: config.agent.step, file, inputs })
}

/// What holds for a file of which no input says anything else.
fn base(common: &Common, config: &Config) -> Result<FileSettings, (Exit, String)> {
    let usage = |message: String| (Exit::Usage, message);
    let format = common.log_format.as_deref().map(wiring::compile_format).transpose().map_err(usage)?;
    let set_zone = common.timezone.clone();
    let mut zone = ZoneSetting::new(set_zone.as_deref()).map_err(usage)?;
    if let (None, Some(configured)) = (&set_zone, config.agent.timezone) {
        zone = ZoneSetting { zone: configured, name: configured.to_string(), assumed: false };
    }
    let pools = Table::new(config.pools.iter().map(|(key, pool)| (key, pool)));
    // A finished log may be of any host: this one's name is not its node's unless somebody says so.
    Ok(FileSettings {
        input: String::new(),
        format,
        zone,
        node: common.node.clone().unwrap_or_default(),
        node_is_flag: common.node.is_some(),
        region: common.region.clone().or(config.agent.region.clone()).unwrap_or_default(),
        regions: Arc::new(config.regions()),
        pools: Arc::new(pools),
        gateway_statuses: None,
        path_labels: Vec::new(),
    })
}

/// An input's own settings over those of the command line's files; flags still win.
fn of_input(input: &config::Input, base: &FileSettings) -> (Vec<glob::Pattern>, FileSettings) {
    let globs = input.paths.iter().filter_map(|p| glob::Pattern::new(&config::path_glob(p)).ok()).collect();
    let mut settings = base.clone();
    settings.input.clone_from(&input.name);
    if settings.format.is_none() {
        settings.format = input.log_format.as_deref().and_then(|spec| wiring::compile_format(spec).ok());
    }
    if let (true, Some(zone)) = (settings.zone.assumed, input.timezone) {
        settings.zone = ZoneSetting { zone, name: zone.to_string(), assumed: false };
    }
    // An input's own node goes before the agent's; a flag's (the command line's files) before both.
    if let Some(node) = input.node.as_ref().filter(|_| !base.node_is_flag) {
        settings.node.clone_from(node);
    }
    settings.region = input.region.clone().unwrap_or(settings.region);
    settings.gateway_statuses.clone_from(&input.gateway_statuses);
    (globs, settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_configuration_the_proxies_own_tell() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discover/nginx");
        let ((inputs, ..), said) = found_here(&Rooted::below(&tree));
        let access = inputs
            .iter()
            .find(|input| input.paths.iter().any(|path| path == "/var/log/nginx/access.log"))
            .unwrap();
        assert_eq!(access.log_format.as_deref(), Some("nginx:combined"));
        assert!(said.contains("nginx format `combined`: /var/log/nginx/access.log"), "{said}");
        let nothing = tempfile::tempdir().unwrap();
        let ((inputs, pools, _), said) = found_here(&Rooted::below(nothing.path()));
        assert!(inputs.len() == 2 && pools.is_empty(), "{inputs:?}");
        assert!(said.contains("waiting for /var/log/nginx/*access*.log"), "{said}");
    }

    #[test]
    fn what_cannot_grow_is_not_waited_for() {
        let folder = std::env::temp_dir();
        let said = |file: &Path| followable(file).unwrap_err();
        assert!(said(Path::new("-")).contains("analyze -"));
        let named = format!("'{}/*.log'", folder.display().to_string().trim_end_matches('/'));
        assert!(said(&folder).ends_with(&named), "{}", said(&folder));
        for log in ["not-there-yet.log", "*.log", "./-"] {
            assert_eq!(followable(Path::new(log)), Ok(()), "{log}");
        }
    }
}
