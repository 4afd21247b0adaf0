//! Configuration and flags together: flags win.

use crate::cli::Common;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::wiring::{self, FileSettings, ZoneSetting};
use gatewatch_parsers::Millis;
use gatewatch_rules::rule::Rule;
use gatewatch_rules::source::Regions;
use std::path::Path;
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

impl Settings {
    /// What is set for this file.
    #[must_use]
    pub fn of_file(&self, path: Option<&Path>) -> FileSettings {
        let absolute = path.and_then(|p| std::fs::canonicalize(p).ok());
        let named = absolute.and_then(|path| {
            self.inputs.iter().find(|(globs, _)| globs.iter().any(|g| g.matches_path(&path))).map(|(_, settings)| settings)
        });
        named.unwrap_or(&self.file).clone()
    }
}

/// Loads the configuration: what `-c` names must be right; without it, a broken default one only costs its rules.
///
/// # Errors
/// Exit code and text.
pub fn for_finished_logs(common: &Common) -> Result<Settings, (Exit, String)> {
    let config = match config::load(&common.config) {
        Ok(config) => config,
        Err(problems) if !common.config.is_empty() => return Err((Exit::Configuration, problems.to_string())),
        Err(problems) => {
            let first = problems.to_string().lines().next().unwrap_or_default().to_owned();
            eprintln!("gatewatch: {} is left out ({first}); `gatewatch check` says more", config::DEFAULT_FILE);
            config::parse_str("nothing", "").map_err(|e| (Exit::Configuration, e.to_string()))?
        }
    };
    with(common, config)
}

fn with(common: &Common, config: Config) -> Result<Settings, (Exit, String)> {
    let usage = |message: String| (Exit::Usage, message);
    let format = common.log_format.as_deref().map(wiring::compile_format).transpose().map_err(usage)?;
    let set_zone = common.timezone.clone();
    let mut zone = ZoneSetting::new(set_zone.as_deref()).map_err(usage)?;
    if let (None, Some(configured)) = (&set_zone, config.agent.timezone) {
        zone = ZoneSetting { zone: configured, name: config::print_zone(configured), assumed: false };
    }
    let regions = Arc::new(Regions::new(config.regions.clone()));
    // A finished log may be of any host: this one's name is not its node's unless somebody says so.
    let file = FileSettings {
        input: String::new(),
        format,
        zone,
        node: common.node.clone().unwrap_or_default(),
        region: common.region.clone().or(config.agent.region.clone()).unwrap_or_default(),
        regions,
        gateway_statuses: None,
        path_labels: Vec::new(),
    };
    let inputs = config.inputs.iter().map(|input| of_input(input, &file)).collect();
    Ok(Settings { rules: config.rules, step: config.agent.step, file, inputs })
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
        settings.zone = ZoneSetting { zone, name: config::print_zone(zone), assumed: false };
    }
    if settings.node.is_empty() {
        settings.node = input.node.clone().unwrap_or_default();
    }
    settings.region = input.region.clone().unwrap_or(settings.region);
    settings.gateway_statuses.clone_from(&input.gateway_statuses);
    (globs, settings)
}
