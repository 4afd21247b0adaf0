//! The agent's parts put together as the agent puts them together, without its threads and clocks.

use gatewatch::tail::paths::Pattern;
use gatewatch::tail::{Event, FileId, FileKey, Input, Position, Progress, Start, Tailer};
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Which lines were counted, how often: saved with the positions, as counts are.
pub type Ledger = BTreeMap<usize, u32>;

/// What outlives the process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    positions: Vec<Position>,
    inputs: Vec<String>,
    pub ledger: Ledger,
}

/// What a receiver of the tail's events knows.
#[derive(Default)]
struct Counting {
    cut: HashMap<FileId, Vec<u8>>,
    keys: HashMap<FileId, FileKey>,
    positions: HashMap<FileKey, Position>,
    ledger: Ledger,
}

pub struct System {
    tailer: Tailer,
    counting: Counting,
    inputs: Vec<Input>,
}

fn inputs(logs: &Path) -> Vec<Input> {
    let pattern = Pattern::new(&logs.join("*.log*").display().to_string()).unwrap();
    vec![Input { name: "edge".into(), paths: vec![pattern], start: Start::Beginning }]
}

impl System {
    pub fn start(logs: &Path, saved: Option<Saved>) -> System {
        let inputs = inputs(logs);
        let mut tailer = Tailer::new(inputs.clone(), 50);
        let mut counting = Counting::default();
        if let Some(Saved { positions, inputs, ledger }) = saved {
            counting.positions = positions.iter().map(|p| (p.key, p.clone())).collect();
            counting.ledger = ledger;
            tailer.restore(positions, inputs);
        }
        System { tailer, counting, inputs }
    }

    /// One look; when to come again.
    pub fn glance(&mut self, now: Millis) -> Millis {
        let counting = &mut self.counting;
        self.tailer.poll(now, &mut |event| counting.take(event))
    }

    /// Everything that is due.
    pub fn poll(&mut self, now: Millis) {
        for _ in 0..1_000 {
            if self.glance(now) > now {
                return;
            }
        }
        unreachable!("it never comes to rest");
    }

    pub fn hint(&mut self) {
        self.tailer.hint();
    }

    pub fn reload(&mut self) {
        self.tailer.reconfigure(self.inputs.clone());
    }

    pub fn ledger(&self) -> &Ledger {
        &self.counting.ledger
    }

    pub fn save(&self) -> Saved {
        Saved {
            positions: self.counting.positions.values().cloned().collect(),
            inputs: self.inputs.iter().map(|input| input.name.clone()).collect(),
            ledger: self.counting.ledger.clone(),
        }
    }
}

impl Counting {
    fn put(&mut self, file: FileId, progress: Progress) {
        if let Some(position) = self.keys.get(&file).and_then(|key| self.positions.get_mut(key)) {
            position.progress = progress;
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Opened { file, place, from, .. } => {
                let path: PathBuf = place.path.to_path_buf();
                self.keys.insert(file, place.key);
                self.positions.insert(place.key, Position { path, key: place.key, progress: from });
                self.cut.insert(file, Vec::new());
            }
            Event::Moved { file, place } => {
                if let Some(old) = self.keys.insert(file, place.key)
                    && let Some(position) = self.positions.remove(&old)
                {
                    let path = place.path.to_path_buf();
                    self.positions.insert(place.key, Position { path, key: place.key, ..position });
                }
            }
            Event::Chunk { file, bytes, after, .. } => {
                let cut = self.cut.entry(file).or_default();
                cut.extend_from_slice(bytes);
                while let Some(end) = cut.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = cut.drain(..=end).collect();
                    if let Some(number) = number(&line) {
                        *self.ledger.entry(number).or_default() += 1;
                    }
                }
                self.put(file, after);
            }
            Event::Truncated { file } => {
                self.cut.insert(file, Vec::new());
                self.put(file, Progress::default());
            }
            Event::Finished { file, after } => self.put(file, after),
            _ => {}
        }
    }
}

/// The number of a line that is one from its first byte to its last.
fn number(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = text.strip_prefix("203.0.113.7 - - [")?.strip_suffix("\"\n")?;
    let (_, rest) = rest.split_once("] \"GET /n/")?;
    let (number, rest) = rest.split_once('/')?;
    let whole = rest.matches(" us=\"").count() == 1 && !rest.contains("203.0.113.7");
    whole.then(|| number.parse().ok())?
}
