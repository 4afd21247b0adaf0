//! One file a verb. Data to stdout, talk to stderr.

mod alerts;
mod analyze;
mod asked;
pub mod check;
mod demo;
mod detect;
mod explain;
mod finished;
pub mod init;
pub mod notify;
mod replay;
mod run;
mod silence;
mod status;
mod test;

use crate::cli::{Cli, Command, Notify};
use crate::exit::Exit;
use crate::reports::text::printable_lines;
use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;

/// Arguments → a command → an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are data; a closed pipe is no error.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { Exit::Usage.code() } else { 0 });
        }
    };
    let exit = match cli.command {
        Command::Analyze(args) => analyze::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Init(args) => printed(init::run(&args, &mut io::stdout().lock(), &mut io::stderr())),
        Command::Replay(args) => replay::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Alerts(args) => alerts::run(&args),
        Command::Silence(args) => silence::run(&args),
        Command::Check(args) => {
            printed(check::run(&args, &mut io::stdout().lock(), &mut io::stderr().lock()))
        }
        Command::Detect(args) => detect::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Notify(Notify::Test(args)) => {
            printed(notify::test(&args, &mut io::stdout().lock(), &mut io::stderr().lock()))
        }
        Command::Demo => demo::run(),
    };
    exit.into()
}

fn printed(result: io::Result<Exit>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(e) => unwritten(&e),
    }
}

/// A reader that has gone has had enough: fine, silently.
fn unwritten(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Exit::Fine;
    }
    complain(&format!("cannot write to stdout: {error}"));
    Exit::Error
}

/// Says an error, once, on stderr. Names of files and what logs hold may be in it.
fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "gatewatch: {}", printable_lines(message));
}

/// Writes data to stdout.
fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Fine,
        Err(e) => unwritten(&e),
    }
}
