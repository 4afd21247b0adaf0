//! `gatewatch status`: what a running agent is doing, or what its last snapshot holds.

mod last;
mod table;

use super::{complain, print};
use crate::cli::{Form, Status};
use crate::clock;
use crate::config;
use crate::control::client;
use crate::exit::Exit;
use crate::reports::{self, text::printable};
use crate::status::View;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use table::Look;

/// Runs it.
pub fn run(args: &Status) -> Exit {
    let folder = match folder(args) {
        Ok(folder) => folder,
        Err((exit, text)) => {
            complain(&text);
            return exit;
        }
    };
    let (view, agent) = match seen(&folder, args.state_dir.is_some()) {
        Ok(seen) => seen,
        Err(text) => {
            complain(&text);
            return Exit::Error;
        }
    };
    match args.format {
        Form::Json => match serde_json::to_string(&view) {
            Ok(json) => print(&(json + "\n")),
            Err(e) => {
                complain(&format!("cannot be written: {e}"));
                Exit::Error
            }
        },
        Form::Table => {
            let color =
                io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            print(&table::render(&view, &Look { now: clock::now(), width: reports::width(), color, agent }))
        }
    }
}

/// The state directory: as named, else the configuration's.
fn folder(args: &Status) -> Result<PathBuf, (Exit, String)> {
    if let Some(folder) = &args.state_dir {
        return Ok(folder.clone());
    }
    config::load(&args.config).map(|config| config.agent.state_dir).map_err(|problems| {
        (Exit::Configuration, format!("{problems}\n--state-dir DIR needs no configuration"))
    })
}

/// What the running agent says; else, or if a snapshot is asked for, what the last one holds. And how the agent is.
fn seen(folder: &Path, of_snapshot: bool) -> Result<(View, &'static str), String> {
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
            let age = view.snapshot.age.map(|age| format!(", {} old", table::span(age))).unwrap_or_default();
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
fn refused(error: &io::Error, folder: &Path) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(folder).ok().map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
            let owner = owner.map(|uid| format!(" (user id {uid})")).unwrap_or_default();
            format!("{error}: run this as the agent's user{owner}, or with sudo")
        }
        _ => error.to_string(),
    }
}
