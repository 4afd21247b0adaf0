//! The journal, as `journalctl -o json -f` tells it: a child process that is ended by its own id and started again when
//! it ends. Its cursor goes with what was read up to it, so that a restart can go on behind what was counted.

use super::file::{Happening, Sender};
use super::streams::Clock;
use super::syslog::address::Peer;
use super::syslog::ring::Counters;
use super::syslog::senders::{Senders, Setup};
use crate::tail::FileId;
use serde_json::Value;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Entries that may wait to be taken; then the child waits.
const AHEAD: usize = 256;
/// The longest entry: 64 KiB as numbers of four bytes each, and room for its other fields.
const ENTRY_MAX: usize = 512 * 1024;
/// Entries are gathered for so long before they are handed on, and so many at most.
const GATHER: Duration = Duration::from_millis(50);
const TOGETHER: usize = 1_000;
/// How often it looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(250);
/// A child that ended is started again after so long, then after twice as long, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// One that ran for so long was fine.
const FINE: Duration = Duration::from_secs(10);

/// `[input.journald.NAME]`, without what every input has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Of these units; empty: of all.
    pub units: Vec<String>,
    /// And of these programs (`SYSLOG_IDENTIFIER`); empty: of all.
    pub identifiers: Vec<String>,
}

impl Settings {
    /// What journalctl is told.
    fn arguments(&self, cursor: Option<&str>) -> Vec<OsString> {
        // Without --all, a field of over 4 KiB or with odd bytes comes as null.
        let mut list: Vec<OsString> =
            ["--output=json", "--follow", "--all", "--quiet", "--no-pager"].map(Into::into).to_vec();
        list.push("--output-fields=MESSAGE,SYSLOG_IDENTIFIER".into());
        list.push(cursor.map_or("--lines=0".into(), |cursor| format!("--after-cursor={cursor}").into()));
        list.extend(self.units.iter().map(|unit| format!("--unit={unit}").into()));
        list.extend(self.identifiers.iter().map(|name| format!("--identifier={name}").into()));
        list
    }
}

/// An entry of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    cursor: String,
    identifier: String,
    message: Vec<u8>,
}

/// Takes apart what journalctl prints. `None`: no JSON, or without a cursor.
fn entry(line: &[u8]) -> Option<Entry> {
    let value: Value = serde_json::from_slice(line).ok()?;
    Some(Entry {
        cursor: value.get("__CURSOR")?.as_str()?.to_owned(),
        identifier: text(value.get("SYSLOG_IDENTIFIER"))
            .map(|t| String::from_utf8_lossy(&t).into_owned())
            .unwrap_or_default(),
        message: text(value.get("MESSAGE")).unwrap_or_default(),
    })
}

/// A field: text, or its bytes as numbers where it is not UTF-8, or a list of both where it stands more than once.
fn text(value: Option<&Value>) -> Option<Vec<u8>> {
    match value? {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(list) if list.iter().all(Value::is_u64) => {
            list.iter().map(|n| u8::try_from(n.as_u64()?).ok()).collect()
        }
        Value::Array(list) => list.iter().find_map(|value| text(Some(value))),
        _ => None,
    }
}

/// A running input.
pub struct Journald {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Journald {
    /// Starts it, behind the cursor if there is one.
    #[must_use]
    pub fn start(
        settings: &Settings,
        setup: Setup,
        cursor: Option<String>,
        sender: Sender,
        clock: &Clock,
    ) -> Journald {
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            program: "journalctl".into(),
            settings: settings.clone(),
            cursor,
            name: setup.name.clone(),
            senders: Senders::new(setup, Arc::new(Counters::default())),
            sender,
            clock: Arc::clone(clock),
            stop: Arc::clone(&stop),
            said: String::new(),
        };
        let thread = thread::Builder::new().name("journald".to_owned()).spawn(move || reader.run()).ok();
        Journald { stop, thread }
    }

    /// Ends it soon.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

struct Reader {
    program: OsString,
    settings: Settings,
    cursor: Option<String>,
    name: String,
    senders: Senders,
    sender: Sender,
    clock: Clock,
    stop: Arc<AtomicBool>,
    said: String,
}

impl Reader {
    fn run(mut self) {
        let mut wait = RETRY.0;
        while !self.stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            match self.once() {
                Ok(false) => break,
                Ok(true) => self.say("journalctl ended: it is started again".to_owned()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.say("journalctl is not in PATH: the journal is not read".to_owned());
                }
                Err(e) => self.say(format!("journalctl cannot be started ({e}): it is tried again")),
            }
            if started.elapsed() >= FINE {
                (wait, self.said) = (RETRY.0, String::new());
            }
            if !self.stop.load(Ordering::Relaxed) {
                thread::park_timeout(wait);
            }
            wait = (wait * 2).min(RETRY.1);
        }
        let (sender, clock) = (&self.sender, &self.clock);
        self.senders.finish(&mut |what| sender.send(clock(), what));
    }

    fn say(&mut self, text: String) {
        if self.said != text {
            self.sender.send((self.clock)(), Happening::Warning(format!("input {}: {text}", self.name)));
            self.said = text;
        }
    }

    /// One life of the child. False: nobody listens any more, or it is to stop.
    fn once(&mut self) -> io::Result<bool> {
        let mut command = Command::new(&self.program);
        command.args(self.settings.arguments(self.cursor.as_deref()));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take();
        let child = Ended(child);
        let (lines, received) = sync_channel(AHEAD);
        let reader = stdout
            .map(|stdout| {
                thread::Builder::new().name("journalctl".to_owned()).spawn(move || read(stdout, &lines))
            })
            .transpose()?;
        let heard = self.take(&received);
        // Its end is the reader's end, too.
        drop(child);
        drop(received);
        if let Some(reader) = reader {
            let _ = reader.join();
        }
        Ok(heard)
    }

    fn take(&mut self, received: &Receiver<Vec<u8>>) -> bool {
        let mut looked = Instant::now();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            let mut next = received.recv_timeout(PATIENCE);
            let first = Instant::now();
            let mut together = Together::default();
            let mut heard = true;
            let mut entries = 0;
            while let (true, Ok(line)) = (heard, &next) {
                heard = self.entry(line, &mut together);
                entries += 1;
                let left = GATHER.saturating_sub(first.elapsed());
                if left.is_zero() || entries >= TOGETHER {
                    break;
                }
                next = received.recv_timeout(left);
            }
            heard = heard && self.hand_on(together);
            if heard && looked.elapsed() >= PATIENCE * 4 {
                looked = Instant::now();
                let (sender, clock) = (&self.sender, &self.clock);
                heard = self.senders.tidy(clock(), &mut |what| sender.send(clock(), what));
            }
            if !heard {
                return false;
            }
            if matches!(next, Err(RecvTimeoutError::Disconnected)) {
                return true;
            }
        }
    }

    fn entry(&mut self, line: &[u8], together: &mut Together) -> bool {
        let Some(entry) = entry(line) else { return true };
        let now = (self.clock)();
        together.cursor = Some(entry.cursor);
        let sender = &self.sender;
        self.senders.put(Peer::Local, (b"", entry.identifier.as_bytes()), &entry.message, now, &mut |what| {
            together.keep(what).is_none_or(|what| sender.send(now, what))
        })
    }

    /// Sends what was gathered as one message: a snapshot has all of it, and the cursor, or nothing.
    fn hand_on(&mut self, mut together: Together) -> bool {
        let (sender, now) = (&self.sender, (self.clock)());
        let mut idle = Vec::new();
        self.senders.settle(&mut |what| {
            idle.extend(together.keep(what));
            true
        });
        let Some(cursor) = together.cursor else { return true };
        self.cursor = Some(cursor.clone());
        let input = self.name.clone();
        sender.send(now, Happening::Journal { input, cursor, chunks: together.chunks })
            && idle.into_iter().all(|what| sender.send(now, what))
    }
}

/// Lines of several programs, up to one cursor.
#[derive(Default)]
struct Together {
    chunks: Vec<(FileId, Vec<u8>)>,
    cursor: Option<String>,
}

impl Together {
    /// Keeps a chunk; gives back anything else.
    fn keep(&mut self, what: Happening) -> Option<Happening> {
        match what {
            Happening::Chunk { file, bytes, .. } => {
                self.chunks.push((file, bytes));
                None
            }
            other => Some(other),
        }
    }
}

/// A child that is ended, by its own id, and waited for.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whole lines, until the end or until nobody takes them. One that is too long is left out.
fn read(stdout: ChildStdout, lines: &SyncSender<Vec<u8>>) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        line.clear();
        match stdout.by_ref().take(ENTRY_MAX as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = line.ends_with(b"\n");
        if whole && !too_long && lines.send(line.clone()).is_err() {
            return;
        }
        too_long = !whole;
    }
}

#[cfg(test)]
#[path = "journald_tests.rs"]
mod tests;
