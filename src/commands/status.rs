//! `gatewatch status`: what a running agent is doing, or what its last snapshot holds.

pub(super) mod table;

use super::asked::{folder, json, look, seen};
use super::{complain, print};
use crate::cli::{Form, Status};
use crate::exit::Exit;

/// Runs it.
pub fn run(args: &Status) -> Exit {
    let folder = match folder(&args.config, args.state_dir.as_deref()) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let (view, agent) = match seen(&folder, args.state_dir.is_some()) {
        Ok(seen) => seen,
        Err(text) => {
            complain(&text);
            return Exit::Error;
        }
    };
    match args.format {
        Form::Json => json(&view),
        Form::Table => print(&table::render(&view, &look(agent))),
    }
}
