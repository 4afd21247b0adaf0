//! Follows files: what is written to them comes out as [`Event`]s, every byte once and in order, across renames,
//! truncations, deletions and restarts.
//!
//! A [`Tailer`] is driven by [`Tailer::poll`] and knows no clock: who drives it says what time it is and may sleep until
//! the time that comes back. Nothing but looking decides: hints ([`Tailer::hint`], see [`wake`]) only make it look sooner.
//!
//! - [`paths`] which paths a pattern matches · `open` how they are opened · [`identity`] which file that is
//! - [`cursor`] where we are in it, and what next · `tracked` one open file · `remembered` where others stood
//! - `scan` what is there against what is followed · `settle` what became of what is followed
//! - [`siblings`] names of rotated files · `family` what of them is unread · `missing` what is nowhere · `stream` who holds the same · [`unpack`] archives
//! - [`wake`] notify, a hint · `design` known mistakes, for tests

pub mod cursor;
mod design;
mod event;
mod family;
pub mod identity;
mod missing;
mod open;
pub mod paths;
mod remembered;
mod scan;
mod settle;
pub mod siblings;
mod stream;
mod tracked;
pub mod unpack;
pub mod wake;

pub use cursor::Progress;
pub use design::Design;
pub use event::{Counters, Event, FileId, HINT_PERMISSION, Loss, Place, Placed, Trouble};
pub use identity::FileKey;

use gatewatch_parsers::Millis;
use identity::Stat;
use paths::Pattern;
use remembered::Remembered;
use scan::Candidate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
pub use tracked::position_at;
use tracked::{Tracked, Visit};

/// One read gives so many bytes, at most: few enough to stay in the cache.
pub const CHUNK: usize = 64 * 1024;
/// A file's turn: the others wait no longer than this takes.
pub const TURN: usize = 64 * 1024;
/// A file that gives lines is read so often,
pub const HOT_EVERY: Millis = 100;
/// and counts as giving lines for so long after the last one.
pub const HOT_FOR: Millis = 1_000;
/// What is there is compared with what is followed so often. This is the truth; hints only come sooner.
pub const RECONCILE_EVERY: Millis = 1_000;
/// A directory tree with many names is listed less often: a second more for each so many, unless something hints.
const NAMES_A_SECOND: usize = 1_000;

/// Where to begin in files that are there at the very first start. Later files: from their beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// What is written from now on.
    #[default]
    End,
    /// All of it.
    Beginning,
}

/// Files to follow under one name.
#[derive(Clone, Debug)]
pub struct Input {
    /// As in `[input.file.NAME]`.
    pub name: String,
    /// The paths; a file that several match belongs to the first.
    pub paths: Vec<Pattern>,
    /// Where to begin at the very first start.
    pub start: Start,
}

/// Where a file's reading stands, for a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The path it was read through.
    #[serde(with = "path_bytes")]
    pub path: PathBuf,
    /// Which file.
    pub key: FileKey,
    /// How far, with the evidence.
    pub progress: Progress,
}

/// Paths are bytes: one that is not UTF-8 must come back as it was.
mod path_bytes {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(path.as_os_str().as_bytes())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Vec::<u8>::deserialize(from).map(|bytes| PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// Follows files. See the module.
pub struct Tailer {
    inputs: Vec<Input>,
    /// So many files stay open; one more is open for its turn only. Left ones, which no path leads to, come on top.
    max_open: usize,
    files: BTreeMap<FileId, Tracked>,
    by_key: HashMap<FileKey, FileId>,
    remembered: Remembered,
    troubles: event::Troubles,
    candidates: Vec<Candidate>,
    by_path: HashMap<PathBuf, usize>,
    /// Directories that could not be listed, and patterns that match nothing.
    failed: Vec<(PathBuf, Trouble)>,
    directories: BTreeSet<PathBuf>,
    /// Inputs whose files have been placed once: what appears later begins at its beginning.
    scanned: HashSet<String>,
    first_scan_done: bool,
    names: usize,
    /// Files open now.
    open: usize,
    /// Another list of inputs was given since the last scan.
    reconfigured: bool,
    hinted: bool,
    /// It is still to be said that every file was looked at.
    looked_at: bool,
    last_reconcile: Option<Millis>,
    last_listing: Option<Millis>,
    next_id: u64,
    buffer: Vec<u8>,
    counters: Counters,
    design: Design,
}

impl Tailer {
    /// Follows these inputs; `max_open` files stay open at once.
    #[must_use]
    pub fn new(inputs: Vec<Input>, max_open: usize) -> Tailer {
        Tailer {
            inputs,
            max_open: max_open.max(1),
            files: BTreeMap::new(),
            by_key: HashMap::new(),
            remembered: Remembered::default(),
            troubles: event::Troubles::default(),
            candidates: Vec::new(),
            by_path: HashMap::new(),
            failed: Vec::new(),
            directories: BTreeSet::new(),
            scanned: HashSet::new(),
            first_scan_done: false,
            names: 0,
            open: 0,
            reconfigured: false,
            hinted: false,
            looked_at: false,
            last_reconcile: None,
            last_listing: None,
            next_id: FileId::STDIN.0 + 1,
            buffer: vec![0; tracked::BUFFER],
            counters: Counters::default(),
            design: Design::default(),
        }
    }

    /// Puts a wrong design back, to see that it is found out.
    #[cfg(any(test, feature = "wrong-designs"))]
    pub fn set_design(&mut self, design: Design) {
        self.design = design;
    }

    /// Goes on where an earlier process was, before the first poll: files at these positions, and inputs that it followed.
    /// A file that is in none of them is then a later file, read from its beginning.
    pub fn restore(&mut self, positions: Vec<Position>, inputs: impl IntoIterator<Item = String>) {
        self.scanned.extend(inputs);
        for mut position in positions {
            position.key = self.design.key(position.key);
            self.remembered.restore(position);
        }
    }

    /// Where every file stands that is followed or was: what [`Tailer::restore`] takes. A receiver that has not yet counted
    /// all it was given keeps the [`Progress`] of its last counted chunk instead.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let followed = self.files.values().map(Tracked::position);
        followed.chain(self.remembered.positions().cloned()).collect()
    }

    /// What happened since the start, in numbers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Something may have changed: look at the next poll.
    pub fn hint(&mut self) {
        self.hinted = true;
    }

    /// Directories in which a change should [`Tailer::hint`]: not those where lines come anyway, since each of them would.
    #[must_use]
    pub fn quiet_directories(&self, now: Millis) -> BTreeSet<PathBuf> {
        let mut quiet = self.directories.clone();
        for file in self.files.values().filter(|file| file.hot_until > now) {
            if let Some(parent) = file.path.parent() {
                quiet.remove(parent);
            }
        }
        quiet
    }

    /// Takes another list of inputs. Files that it still matches go on where they are.
    pub fn reconfigure(&mut self, inputs: Vec<Input>) {
        let index_of: HashMap<&str, usize> =
            inputs.iter().enumerate().map(|(i, input)| (input.name.as_str(), i)).collect();
        for file in self.files.values_mut() {
            let name = self.inputs.get(file.input).map(|input| input.name.as_str());
            // Out of range until the next scan places it.
            file.input = name.and_then(|name| index_of.get(name).copied()).unwrap_or(usize::MAX);
        }
        self.inputs = inputs;
        self.reconfigured = true;
        self.last_listing = None;
        self.last_reconcile = None;
    }

    /// Looks, reads one turn of every file that has something, and says when to come again.
    pub fn poll(&mut self, now: Millis, out: &mut impl FnMut(Event<'_>)) -> Millis {
        let reconciled = self.next_reconcile(now) <= now;
        if reconciled {
            self.reconcile(now, out);
        }
        let due: Vec<FileId> =
            self.files.values().filter(|file| file.due <= now).map(|file| file.id).collect();
        for id in due {
            self.visit(id, now, out);
        }
        self.looked_at |= reconciled;
        // Whoever waits for another one has lines, though nothing shows that yet.
        let waits = |file: &Tracked| file.idle && file.due <= now;
        if self.looked_at && !self.files.values().any(waits) {
            self.looked_at = false;
            out(Event::Reconciled);
        }
        let next = self.files.values().map(|file| file.due).min().unwrap_or(Millis::MAX);
        next.min(self.next_reconcile(now))
    }

    fn next_reconcile(&self, now: Millis) -> Millis {
        let Some(last) = self.last_reconcile else { return now };
        if last > now {
            // The clock was set back.
            return now;
        }
        // A thousand files cost a few milliseconds to look at: hints must not make that a habit.
        let hint_every =
            HOT_EVERY.saturating_add(Millis::try_from(self.names / 50).unwrap_or(RECONCILE_EVERY));
        last.saturating_add(if self.hinted { hint_every.min(RECONCILE_EVERY) } else { RECONCILE_EVERY })
    }

    fn visit(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let before =
            self.files.get(&id).and_then(|file| file.after).and_then(|before| self.files.get(&before));
        if before.is_some_and(|before| before.due <= now && !before.cursor.is_quiet()) {
            return;
        }
        let Some(file) = self.files.get_mut(&id) else { return };
        (file.after, file.due) = (None, Millis::MAX);
        let path = file.path.clone();
        if file.handle.is_none() {
            match file.reopen(self.design) {
                Ok(()) if file.handle.is_some() => self.open += 1,
                // Where it is now is asked by the next scan; an archive is asked for here only.
                Ok(()) if file.archive.is_some() => return self.lose(id, now, out),
                Ok(()) => return,
                Err(trouble) => return self.troubles.report(now, Some(id), &path, trouble, out),
            }
        }
        match self.was_emptied(id, now, out) {
            Ok(false) => {}
            Ok(true) => return,
            Err(trouble) => return self.troubles.report(now, Some(id), &path, trouble, out),
        }
        let Some(file) = self.files.get_mut(&id) else { return };
        match file.visit(now, self.design, &mut self.buffer, &mut self.counters, out) {
            Ok(Visit::More | Visit::Nothing) => {}
            Ok(Visit::Replaced) => return self.replaced(id, now, out),
            Ok(Visit::Compressed(what)) => {
                self.forget(id, now);
                out(Event::Dropped { file: id });
                return self.refuse(&path, now, Trouble::Compressed(what), out);
            }
            Ok(Visit::Ended) => return self.finish(id, now, out),
            Ok(Visit::Bomb) => return self.give_up(id, Loss::Bomb, now, out),
            Err(error) => return self.failed(id, &error, now, out),
        }
        if self.open > self.max_open && file.cursor.left().is_none() {
            file.close(&mut self.open);
        }
    }

    fn replaced(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        if self.files.get(&id).is_some_and(|file| file.archive.is_some()) {
            self.give_up(id, Loss::Damaged, now, out);
        } else {
            self.truncated(id, now, out);
        }
    }

    fn failed(&mut self, id: FileId, error: &io::Error, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let damaged = matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
        let stamp = file.handle.as_ref().and_then(|handle| Stat::of_file(handle).ok()).map(|stat| stat.stamp);
        let path = file.path.clone();
        if let Some(archive) = &file.archive
            && damaged
            && archive.began == stamp
        {
            self.troubles.report(now, Some(id), &path, Trouble::from(error), out);
            return self.give_up(id, Loss::Damaged, now, out);
        }
        // Opened anew by the next scan: a stale handle of a network filesystem heals so.
        if file.cursor.left().is_none() {
            file.close(&mut self.open);
        }
        self.troubles.report(now, Some(id), &path, Trouble::from(error), out);
    }

    /// Reads an archive no further; a cut line is no line.
    fn give_up(&mut self, id: FileId, loss: Loss, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let path = file.path.clone();
        file.cursor.end();
        self.forget(id, now);
        out(Event::Dropped { file: id });
        self.lost(&path, loss, out);
    }

    /// Ends a file's stream at its confirmed end.
    fn finish(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.cursor.finish();
        let after = file.cursor.progress();
        self.forget(id, now);
        out(Event::Finished { file: id, after });
    }

    /// No longer follows a file, and remembers where it stood.
    fn forget(&mut self, id: FileId, now: Millis) {
        let Some(mut file) = self.files.remove(&id) else { return };
        self.by_key.remove(&file.key);
        let position = file.position();
        let stat = file.handle.as_ref().and_then(|handle| Stat::of_file(handle).ok());
        let at_end = |stat: &Stat| match file.archive {
            Some(_) => position.progress.finished,
            None => stat.size == position.progress.offset,
        };
        let whole = stat.filter(at_end);
        file.close(&mut self.open);
        self.remembered.keep(position, whole.as_ref(), now);
    }

    fn refuse(&mut self, path: &Path, now: Millis, trouble: Trouble, out: &mut impl FnMut(Event<'_>)) {
        if let Some(candidate) = self.by_path.get(path).and_then(|at| self.candidates.get_mut(*at))
            && let Ok(stat) = &candidate.stat
        {
            candidate.refused = Some((stat.key, trouble.clone()));
        }
        self.troubles.report(now, None, path, trouble, out);
    }
}

#[cfg(test)]
mod tests;
