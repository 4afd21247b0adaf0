//! A running `gatewatch run`, with a folder of its own, and what it says.

use super::{Process, wait_for};
use chrono::DateTime;
use gatewatch::state::Snapshot;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A line that nginx would write of a request that ended so long ago; the upstream is `10.0.0.<upstream>:8080`.
pub fn line_of(seconds_ago: i64, upstream: usize, status: u16) -> String {
    let at = DateTime::from_timestamp_millis(gatewatch::clock::now() - seconds_ago * 1_000).unwrap();
    let header = if status == 502 { "-" } else { "0.012" };
    format!(
        "203.0.113.7 - - [{}] \"GET /p HTTP/1.1\" {status} 512 \"-\" \"Mozilla/5.0\" rt=0.013 uct=\"0.001\" uht=\"{header}\" \
         urt=\"0.012\" ua=\"10.0.0.{upstream}:8080\" us=\"{status}\"\n",
        at.format("%d/%b/%Y:%H:%M:%S %z"),
    )
}

/// So many lines of now.
pub fn lines(count: usize, upstream: usize, status: u16) -> String {
    line_of(0, upstream, status).repeat(count)
}

/// A folder for one test: logs, configuration, state.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// An empty one, that everybody may enter.
    pub fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        Place { folder }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether the tests run as root.
    pub fn is_root(&self) -> bool {
        fs::metadata(self.folder.path()).unwrap().uid() == 0
    }

    /// Writes the configuration: short steps, no presets, and these tables.
    pub fn configure(&self, tables: &str) -> PathBuf {
        let path = self.path("gatewatch.toml");
        let text = format!(
            "[agent]\nnode = \"edge-1\"\nstate_dir = {:?}\nstep = \"1s\"\nlateness = \"1s\"\npresets = false\n{tables}",
            self.path("state")
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// Its newest snapshot.
    pub fn snapshot(&self) -> Option<Snapshot> {
        gatewatch::state::peek(&self.path("state")).ok().map(|(_, snapshot)| snapshot)
    }

    /// Starts it with these arguments, in this folder.
    pub fn run(&self, arguments: &[&str]) -> Agent {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
        self.start(command.arg("run").args(arguments))
    }

    /// The same, with the configuration.
    pub fn run_configured(&self) -> Agent {
        self.run(&["-c", "gatewatch.toml"])
    }

    /// The same as somebody who may not read everything; `None`: that cannot be done here.
    pub fn run_as_nobody(&self, arguments: &[&str]) -> Option<Agent> {
        if !self.is_root() {
            return Some(self.run(arguments));
        }
        let setpriv = super::program("setpriv")?;
        // Where the build put it, nobody may be unable to go.
        let binary = self.path("gatewatch");
        if !binary.exists() {
            fs::hard_link(env!("CARGO_BIN_EXE_gatewatch"), &binary)
                .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_gatewatch"), &binary).map(drop))
                .unwrap();
        }
        let mut command = Command::new(setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary);
        Some(self.start(command.arg("run").args(arguments)))
    }

    /// Starts a command in this folder, and listens to its stderr.
    pub fn start(&self, command: &mut Command) -> Agent {
        command.current_dir(self.folder.path()).env("XDG_STATE_HOME", self.folder.path());
        let mut process =
            Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
        let said = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = process.0.stderr.take() {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    *said.lock().unwrap() += &format!("{line}\n");
                }
            });
        }
        Agent { process, said }
    }
}

/// A running agent.
pub struct Agent {
    /// It.
    pub process: Process,
    said: Arc<Mutex<String>>,
}

impl Agent {
    /// What it has said so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says this; the line that does.
    pub fn says(&self, part: &str) -> String {
        let mut last = String::new();
        let found = (0..SOON.as_millis() / 20).find_map(|_| {
            last = self.said();
            let found = last.lines().find(|line| line.contains(part)).map(str::to_owned);
            if found.is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
            found
        });
        found.unwrap_or_else(|| panic!("it does not say {part:?}, but:\n{last}"))
    }

    /// How many lines say this.
    pub fn count(&self, part: &str) -> usize {
        self.said().lines().filter(|line| line.contains(part)).count()
    }

    /// Sends it a signal; it ends well, in time.
    pub fn ends(&mut self, signal: &str) {
        self.process.signal(signal);
        let status = self.process.end_within(Duration::from_secs(5));
        let status =
            status.unwrap_or_else(|| panic!("SIG{signal} does not end it within 5 s:\n{}", self.said()));
        assert!(status.success(), "{status}:\n{}", self.said());
    }

    /// Waits until a snapshot of it is so.
    pub fn saved(&self, place: &Place, what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        wait_for(&format!("a snapshot with {what}"), SOON, || place.snapshot().filter(&is_so))
    }
}
