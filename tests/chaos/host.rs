//! The host: logs, a writer, logrotate, a receiver, and the agent that is killed.

use crate::dice::Dice;
use crate::receiver::Receiver;
use crate::rotation::{Mode, Rotator};
use crate::support::Process;
use crate::writer::{self, RATE, Writer, Written};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_gatewatch");
/// What is not caught up with by then never will be.
const CATCH_UP: Duration = Duration::from_secs(60);

/// What a run was like.
pub struct Ran {
    pub kills: u64,
    pub rotations: u64,
    /// Different snapshots that restarts began from.
    pub snapshots: u64,
    pub rate: u64,
}

impl fmt::Display for Ran {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran { kills, rotations, snapshots, rate } = self;
        write!(to, "{kills} kills, {rotations} rotations, {snapshots} snapshots gone on from, {rate} lines/s")
    }
}

/// What the agent says it has counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    pub requests: u64,
    pub gateway_errors: u64,
    pub status: BTreeMap<String, u64>,
    /// By upstream, if it says so.
    pub by_upstream: Option<BTreeMap<String, u64>>,
    pub late: u64,
    pub future: u64,
    pub possible_loss: u64,
    /// Messages that are not told yet.
    pub outbox: u64,
}

pub struct Host {
    folder: tempfile::TempDir,
    pub receiver: Receiver,
    seed: u64,
    written: Written,
}

impl Host {
    pub fn new(seed: u64) -> Host {
        let host = Host {
            folder: tempfile::tempdir().unwrap(),
            receiver: Receiver::start(seed),
            seed,
            written: Written::default(),
        };
        fs::create_dir(host.logs()).unwrap();
        let text = format!(
            "[agent]\nnode = \"edge-1\"\nstate_dir = {:?}\nstep = \"1s\"\nlateness = \"2s\"\npresets = false\n\
             [input.file.edge]\npaths = [{:?}]\nlog_format = \"nginx:combined_upstream\"\nstart = \"beginning\"\n\
             [rule.ratio.errors]\ngroup_by = [\"upstream\"]\nwindow = \"3s\"\nabove = {{ critical = \"20%\" }}\n\
             min_requests = 50\nmin_errors = 10\nkeep_firing_for = \"1s\"\nstale_after = \"2s\"\n\
             [notify.webhook.ops]\nurl = {:?}\n",
            host.path("state"),
            host.logs().join("*.log"),
            host.receiver.url,
        );
        fs::write(host.path("gatewatch.toml"), text).unwrap();
        host
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    pub fn written(&self) -> Written {
        self.written.clone()
    }

    fn agent(&self) -> Process {
        let said = OpenOptions::new().append(true).create(true).open(self.path("said")).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["run", "-c"]).arg(self.path("gatewatch.toml")).current_dir(self.folder.path());
        Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said))
    }

    /// What the agent has said last, for whoever reads of a failure.
    pub fn said(&self) -> String {
        let text = fs::read(self.path("said")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Writes, rotates and kills for so long, by each mode in turn.
    pub fn run(&mut self, modes: &[Mode], time: Duration) -> Ran {
        let mut dice = Dice::new(self.seed);
        let mut ran = Ran { kills: 0, rotations: 0, snapshots: 0, rate: 0 };
        let mut seen = BTreeSet::new();
        let first = self.logs().join(modes[0].log());
        let mut writer = Writer::start(&first, &self.path("truth"), self.seed);
        let begin = Instant::now();
        for (turn, mode) in (1u32..).zip(modes) {
            writer.move_to(&self.logs().join(mode.log()));
            let rotator = Rotator::start(self.folder.path(), &self.logs(), *mode, dice.below(u64::MAX));
            let until = time * turn / u32::try_from(modes.len()).unwrap();
            while begin.elapsed() < until {
                let mut agent = self.agent();
                std::thread::sleep(Duration::from_millis(100 + dice.below(401)));
                assert!(agent.0.try_wait().unwrap().is_none(), "it ended by itself:\n{}", self.said());
                // SIGKILL, and waits for its end.
                drop(agent);
                ran.kills += 1;
                seen.insert(state_of(&self.path("state")));
            }
            ran.rotations += rotator.stop();
        }
        let elapsed = begin.elapsed();
        self.written = writer.stop();
        ran.snapshots = seen.len() as u64;
        ran.rate = self.written.lines * 1_000 / u64::try_from(elapsed.as_millis()).unwrap();
        assert!(ran.rate > RATE * 9 / 10, "the writer is too slow here: {ran}");
        ran
    }

    /// Lets the agent catch up, looks once more a while later, and ends it well: what it has counted then.
    pub fn catch_up(&self, enough: impl Fn(&Counted) -> bool) -> Counted {
        let begin = Instant::now();
        let mut agent = self.agent();
        let mut last = None;
        while begin.elapsed() < CATCH_UP {
            std::thread::sleep(Duration::from_millis(500));
            last = self.counted();
            if last.as_ref().is_some_and(&enough) {
                break;
            }
        }
        println!("caught up in {:.1} s", begin.elapsed().as_secs_f64());
        // The last alerts are over for want of lines (lateness, window, stale_after, keep_firing_for); what would be counted
        // twice by now is.
        std::thread::sleep(Duration::from_secs(15));
        // And told, perhaps at the second try, and no faster than the rate limit has it: then nothing is left to tell.
        let begin = Instant::now();
        let is_told = || self.counted().is_some_and(|counted| counted.outbox == 0);
        while !is_told() && begin.elapsed() < CATCH_UP {
            std::thread::sleep(Duration::from_millis(500));
        }
        println!("told {:.1} s after that", begin.elapsed().as_secs_f64());
        agent.signal("TERM");
        let ended = agent.end_within(Duration::from_secs(10)).expect("SIGTERM does not end it");
        assert!(ended.success(), "{ended}:\n{}", self.said());
        self.counted().unwrap_or_else(|| panic!("no status; before: {last:?}\n{}", self.said()))
    }

    fn counted(&self) -> Option<Counted> {
        let mut command = Command::new(BINARY);
        command.args(["status", "--format", "json", "--state-dir"]).arg(self.path("state"));
        let output = command.stdin(Stdio::null()).output().ok()?;
        let said: Value = serde_json::from_slice(&output.stdout).ok()?;
        let number = |name: &str| said[name].as_u64().unwrap_or(0);
        let map = |value: &Value| -> Option<BTreeMap<String, u64>> {
            Some(value.as_object()?.iter().map(|(k, v)| (k.clone(), v.as_u64().unwrap_or(0))).collect())
        };
        Some(Counted {
            requests: number("requests"),
            gateway_errors: number("gateway_errors"),
            status: map(&said["status"])?,
            by_upstream: map(&said["upstreams"]),
            late: number("late"),
            future: number("future"),
            outbox: number("outbox"),
            possible_loss: said["inputs"]
                .as_array()?
                .iter()
                .filter_map(|i| i["possible_loss"].as_u64())
                .sum(),
        })
    }

    /// How many of the written lines are in no file any more.
    pub fn source_lost(&self, written: &Written) -> u64 {
        let mut there = vec![false; usize::try_from(written.lines).unwrap()];
        for entry in fs::read_dir(self.logs()).unwrap().map(Result::unwrap) {
            for line in read(&entry.path()).split(|b| *b == b'\n') {
                if let Some(seen) = writer::number(line).and_then(|n| there.get_mut(n)) {
                    *seen = true;
                }
            }
        }
        there.iter().filter(|there| !**there).count() as u64
    }

    /// What `analyze` finds in everything that was written.
    pub fn analyzed(&self) -> Value {
        let mut command = Command::new(BINARY);
        command.args(["analyze", "-q", "--format", "json", "--log-format", "nginx:combined_upstream", "-c"]);
        let output = command.args([self.path("gatewatch.toml"), self.path("truth")]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// What a failure was made of stays, for whoever looks for its cause.
impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            println!("kept: {}", self.folder.path().display());
        }
    }
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|e| e == "gz") {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        return plain;
    }
    bytes
}

/// What the state directory holds, as one number.
fn state_of(folder: &Path) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    for path in names.iter().filter(|path| path.is_file()) {
        fs::read(path).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}
