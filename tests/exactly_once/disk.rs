//! The state directory: the real store, and what happens to it.

use crate::actions::Step;
use crate::system::{Account, Ledger};
use gatewatch::state::store::{GENERATIONS, NEW};
use gatewatch::state::{Snapshot, Store, decode, frame};
use gatewatch_parsers::Millis;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

pub struct Disk {
    _temporary: tempfile::TempDir,
    folder: PathBuf,
    store: Store,
    /// By a snapshot's number: what had been handed out at its instant.
    ledgers: BTreeMap<u64, Account>,
    /// Every snapshot that was durable, as it lay there.
    former: Vec<(u64, Account, Vec<u8>)>,
    full: bool,
}

impl Disk {
    /// In memory, where that is possible: a real fsync for each of so many snapshots would make the cases few.
    pub fn new() -> Disk {
        let memory = tempfile::tempdir_in("/dev/shm");
        let temporary = memory.or_else(|_| tempfile::tempdir()).unwrap();
        let folder = temporary.path().join("state");
        let store = Store::new(&folder);
        Disk {
            _temporary: temporary,
            store,
            folder,
            ledgers: BTreeMap::new(),
            former: Vec::new(),
            full: false,
        }
    }

    /// A full disk, as the store meets it: what it has to write cannot be written.
    pub fn fill(&mut self, full: bool) {
        self.full = full;
        let in_the_way = self.folder.join(NEW);
        if full && !in_the_way.is_dir() {
            let _torn = fs::remove_file(&in_the_way);
            fs::create_dir_all(&in_the_way).unwrap();
        } else if !full && in_the_way.is_dir() {
            fs::remove_dir(&in_the_way).unwrap();
        }
    }

    /// A snapshot comes so far.
    pub fn save(&mut self, payload: &[u8], account: &Account, step: Step) {
        if self.full {
            assert!(self.store.write(payload).is_err());
            return;
        }
        let bytes = frame::wrap(u64::MAX, payload);
        match step {
            Step::NotBegun => {}
            Step::Torn => self.beside(&bytes[..bytes.len() / 2]),
            Step::Written => self.beside(&bytes),
            Step::Renamed | Step::Told => {
                let seq = self.store.write(payload).unwrap();
                self.ledgers.insert(seq, account.clone());
                self.former.push((seq, account.clone(), frame::wrap(seq, payload)));
            }
        }
    }

    fn beside(&self, bytes: &[u8]) {
        fs::create_dir_all(&self.folder).unwrap();
        fs::write(self.folder.join(NEW), bytes).unwrap();
    }

    /// What a new process finds.
    pub fn load(&mut self, now: Millis) -> Option<(Snapshot, Account)> {
        self.store = Store::new(&self.folder);
        let found = self.store.load(now).unwrap();
        assert!(!found.lost, "some snapshot can always be read: {:?}", found.troubles);
        found.snapshot.map(|(seq, snapshot)| (*snapshot, self.ledgers[&seq].clone()))
    }

    /// As [`Disk::load`], with the counts of one instant and the positions of another.
    pub fn load_apart(&mut self, now: Millis) -> Option<(Snapshot, Account)> {
        let (older, _) = self.generations().into_iter().min_by_key(|(seq, _)| *seq)?;
        let (mut snapshot, ledger) = self.load(now)?;
        let Some((_, other)) = self.generations().into_iter().find(|(seq, _)| *seq == older) else {
            return Some((snapshot, ledger));
        };
        snapshot.engine = other.engine;
        Some((snapshot, self.ledgers[&older].clone()))
    }

    fn generations(&self) -> Vec<(u64, Snapshot)> {
        let read = |name: &&str| decode(&fs::read(self.folder.join(name)).ok()?).ok();
        GENERATIONS.iter().filter_map(read).collect()
    }

    /// The ledger that a new process would go on with.
    pub fn ledger(&self) -> Option<&Ledger> {
        let (seq, _) = self.generations().into_iter().max_by_key(|(seq, _)| *seq)?;
        self.ledgers.get(&seq).map(|account| &account.lines)
    }

    /// Puts back the one that many before the newest, alone.
    pub fn restore(&mut self, back: usize) {
        let Some(at) = self.former.len().checked_sub(1 + back) else { return };
        for name in GENERATIONS {
            let _absent = fs::remove_file(self.folder.join(name));
        }
        self.former.truncate(at + 1);
        // After a damaged one, its number is given out again.
        let (seq, account, bytes) = &self.former[at];
        self.ledgers.insert(*seq, account.clone());
        fs::write(self.folder.join(GENERATIONS[0]), bytes).unwrap();
    }

    /// Damages the newest one, if the other one is whole: cut, or a bit turned.
    pub fn corrupt(&mut self, at: u16) {
        let sound =
            |name: &&'static str| Some((decode(&fs::read(self.folder.join(name)).ok()?).ok()?.0, *name));
        let mut generations: Vec<(u64, &str)> = GENERATIONS.iter().filter_map(sound).collect();
        generations.sort_unstable();
        if let [_, (_, newest)] = generations[..] {
            let path = self.folder.join(newest);
            let mut bytes = fs::read(&path).unwrap();
            let place = usize::from(at) % bytes.len();
            if at.is_multiple_of(2) {
                bytes.truncate(place);
            } else {
                bytes[place] ^= 1 << (at % 8);
            }
            fs::write(path, bytes).unwrap();
        }
    }
}
