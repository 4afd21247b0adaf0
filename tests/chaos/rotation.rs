//! The real logrotate, with a state file of its own, about once a second.

use crate::dice::Dice;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// As Debian's packages, and people, set it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Create,
    Delaycompress,
    Compress,
    Dateext,
    Copytruncate,
}

impl Mode {
    pub fn log(self) -> String {
        format!("{self:?}.log").to_lowercase()
    }

    fn directives(self) -> &'static str {
        match self {
            Mode::Create => "create\nnocompress",
            Mode::Delaycompress => "create\ncompress\ndelaycompress",
            Mode::Compress => "create\ncompress",
            Mode::Dateext => "create\ncompress\ndelaycompress\ndateext\ndateformat -%Y%m%d-%s",
            Mode::Copytruncate => "copytruncate\nnocompress",
        }
    }
}

/// Rotates one log until it is stopped.
pub struct Rotator {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Rotator {
    pub fn start(folder: &Path, logs: &Path, mode: Mode, seed: u64) -> Rotator {
        let log = logs.join(mode.log());
        let configuration = folder.join(format!("{mode:?}.logrotate"));
        // What nginx's package does. The sleep: a writer that has not reopened yet must not write behind gzip's back, as
        // its manual says (and why delaycompress exists).
        let postrotate = match mode {
            Mode::Copytruncate => String::new(),
            _ => format!("postrotate\nkill -USR1 {}\nsleep 0.3\nendscript\n", std::process::id()),
        };
        let text = format!(
            "{:?} {{\nrotate 10000\nmissingok\nnotifempty\n{}\n{postrotate}}}\n",
            log.display().to_string(),
            mode.directives()
        );
        fs::write(&configuration, text).unwrap();
        let state = folder.join(format!("{mode:?}.state"));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut dice, mut rotations) = (Dice::new(seed), 0);
            while !stopped.load(Ordering::Relaxed) {
                let wait = Duration::from_millis(700 + dice.below(600));
                let begin = Instant::now();
                while begin.elapsed() < wait && !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                rotations += u64::from(rotate(&configuration, &state));
            }
            rotations
        });
        Rotator { stop, thread: Some(thread) }
    }

    /// How often it has rotated.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Rotator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether it rotated: within one second of the last time a date of seconds is taken already, and logrotate leaves it be.
fn rotate(configuration: &Path, state: &Path) -> bool {
    let logrotate: PathBuf = crate::support::program("logrotate").unwrap();
    let output = Command::new(logrotate)
        .arg("-f")
        .arg("-s")
        .args([state, configuration])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let is_taken = said.contains("already exists, skipping rotation");
    assert!(output.status.success() || is_taken, "logrotate: {said}");
    output.status.success()
}
