//! What commands that ask an agent have in common: which one, what it says, and what its last snapshot holds.

mod last;

use super::status::table::{Look, span};
use super::{complain, print};
use crate::clock;
use crate::config;
use crate::control::client;
use crate::exit::Exit;
use crate::reports::{self, text::printable};
use crate::status::View;
use serde::Serialize;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

/// The state directory: as named, else the configuration's. What is wrong with that is said.
pub fn folder(config: &[PathBuf], state_dir: Option<&Path>) -> Result<PathBuf, Exit> {
    if let Some(folder) = state_dir {
        return Ok(folder.to_owned());
    }
    config::load(config).map(|config| config.agent.state_dir).map_err(|problems| {
        complain(&format!("{problems}\n--state-dir DIR needs no configuration"));
        Exit::Configuration
    })
}

/// How tables are to look here and now. `agent`: how the agent is.
pub fn look(agent: &'static str) -> Look {
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    Look { now: clock::now(), width: reports::width(), color, agent }
}

/// Prints one object.
pub fn json(object: &impl Serialize) -> Exit {
    match serde_json::to_string(object) {
        Ok(json) => print(&(json + "\n")),
        Err(e) => {
            complain(&format!("cannot be written: {e}"));
            Exit::Error
        }
    }
}

/// What the running agent says; else, or if a snapshot is asked for, what the last one holds. And how the agent is.
pub fn seen(folder: &Path, of_snapshot: bool) -> Result<(View, &'static str), String> {
    let shown = folder.display().to_string();
    let shown = printable(&shown);
    let asked = client::ask(folder);
    let state = match &asked {
        Ok(Some(_)) => "running",
        Ok(None) => "not running",
        Err(_) => "not answering",
    };
    match asked {
        Ok(Some(view)) if !of_snapshot => return Ok((view, state)),
        Err(e) if !of_snapshot => complain(&format!("the agent cannot be asked: {}", refused(&e, folder))),
        _ => {}
    }
    match last::view(folder, clock::now()) {
        Ok(Some(view)) => {
            let age = view.snapshot.age.map(|age| format!(", {} old", span(age))).unwrap_or_default();
            complain(&format!("{state}; this is the last snapshot{age} ({shown})"));
            Ok((view, state))
        }
        Ok(None) => Err(format!(
            "{state}, and there is no snapshot in {shown}: start `gatewatch run`, or name its configuration with -c, or its \
             state directory with --state-dir"
        )),
        Err(e) => {
            Err(format!("{state}, and the snapshot in {shown} cannot be read: {}", refused(&e, folder)))
        }
    }
}

/// Why, and what to do about it.
pub fn refused(error: &io::Error, folder: &Path) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(folder).ok().map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
            let owner = owner.map(|uid| format!(" (user id {uid})")).unwrap_or_default();
            format!("{error}: run this as the agent's user{owner}, or with sudo")
        }
        _ => error.to_string(),
    }
}
