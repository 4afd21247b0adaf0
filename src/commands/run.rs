//! `gatewatch run`: follow logs and alert.

use super::complain;
use crate::agent::{self, Signals};
use crate::cli::Run;
use crate::exit::Exit;
use crate::settings;
use crate::state::lock::{Lock, Refused};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use std::sync::Arc;

/// Runs it.
pub fn run(args: &Run) -> Exit {
    // First of all: a reload or an end that comes while it starts must not kill it.
    let signals = Signals::default();
    for signal in [SIGTERM, SIGINT] {
        let _ = flag::register(signal, Arc::clone(&signals.stop));
    }
    let _ = flag::register(SIGHUP, Arc::clone(&signals.reload));
    // A limit of file sizes (ulimit -f) is a full disk like any other, not the end.
    let _ = flag::register(SIGXFSZ, Arc::default());
    let load = || settings::for_live_logs(&args.common, &args.files);
    let live = match load() {
        Ok(live) => live,
        Err((exit, text)) => {
            complain(&text);
            return exit;
        }
    };
    if let Some(found) = &live.found {
        complain(found);
    }
    for warning in &live.config.warnings {
        complain(&warning.to_string());
    }
    if rustix::process::geteuid().is_root() {
        complain(
            "runs as root, which it need not: a user in group adm may read the logs, as the packaged unit has it",
        );
    }
    let mut lock = Lock::of(&live.config.agent.state_dir);
    match lock.hold() {
        Ok(()) => {}
        // Judging goes before remembering: who is to be paged cannot wait for a disk.
        Err(refused @ Refused::Unusable { .. }) => complain(&format!(
            "the state directory cannot be used: {refused}. It goes on without: a restart would begin anew, and lose \
             what is not delivered. Make the directory writable, or set agent.state_dir; it is tried again"
        )),
        Err(refused) => {
            complain(&format!("cannot start: {refused}"));
            return Exit::Error;
        }
    }
    match agent::run(live, lock, &|| load().map_err(|e| e.1), &signals) {
        Ok(()) => Exit::Fine,
        Err(e) => {
            complain(&format!("cannot start: {e}"));
            Exit::Error
        }
    }
}
