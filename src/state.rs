//! The snapshot: how far each file was counted, and what receivers were told, in one file that is replaced as a whole.

pub mod lock;

use crate::delivery::outbox;
use crate::tail::Position;
use lock::Lock;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The format of the file; another one is not read.
const VERSION: u32 = 1;
const NAME: &str = "state.json";

/// What outlives the process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    /// Where every file stands.
    pub positions: Vec<Position>,
    /// The inputs that were followed: a file of a new one is at its very first start.
    pub inputs: Vec<String>,
    /// The number of the last incident: the next one must not look like one that a receiver knows.
    #[serde(default)]
    pub incidents: u64,
    /// What receivers were told, and are still to be told.
    pub outbox: outbox::State,
}

impl Snapshot {
    /// A snapshot of now.
    #[must_use]
    pub fn new(
        positions: Vec<Position>,
        inputs: Vec<String>,
        incidents: u64,
        outbox: outbox::State,
    ) -> Snapshot {
        Snapshot { version: VERSION, positions, inputs, incidents, outbox }
    }
}

/// Where snapshots are kept.
pub struct Store {
    lock: Lock,
    path: PathBuf,
    last: Vec<u8>,
}

impl Store {
    /// Snapshots in this directory, which is made if it is not there.
    #[must_use]
    pub fn new(lock: Lock) -> Store {
        Store { path: lock.folder().join(NAME), lock, last: Vec::new() }
    }

    /// The last snapshot; `None`: there is none, this is the very first start.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub fn load(&self) -> io::Result<Option<Snapshot>> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let snapshot: Snapshot = serde_json::from_slice(&text)?;
        if snapshot.version == VERSION {
            Ok(Some(snapshot))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("of version {}", snapshot.version)))
        }
    }

    /// Replaces the last snapshot, if this one is another: written beside it, synced, renamed, the directory synced.
    ///
    /// # Errors
    /// It could not be written; the last one stands.
    pub fn save(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let text = serde_json::to_vec(snapshot)?;
        if text == self.last {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        self.lock.hold()?;
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(folder)?.sync_all()?;
        self.last = text;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_and_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::new(Lock::of(&folder.path().join("new")));
        assert!(store.load().unwrap().is_none());
        let snapshot = Snapshot::new(Vec::new(), vec!["edge".to_owned()], 7, outbox::State::default());
        store.save(&snapshot).unwrap();
        assert_eq!(store.load().unwrap().unwrap().inputs, ["edge"]);
        fs::write(&store.path, "{").unwrap();
        assert!(store.load().is_err());
        fs::write(&store.path, r#"{"version":9,"positions":[],"inputs":[],"outbox":null}"#).unwrap();
        assert!(store.load().is_err());
    }
}
