//! What is there against what is followed: the reconcile that everything rests on.

use super::cursor::{Action, AtPath, Cursor, Departure};
use super::design::Design;
use super::event::{Event, FileId, Place, Placed, Trouble};
use super::identity::{Compression, FileKey, Kind, MAGIC_LEN, Stamp, Stat, read_at};
use super::paths::Listing;
use super::tracked::{Tracked, at_end, open_regular, resume};
use super::{NAMES_A_SECOND, Position, RECONCILE_EVERY, Start, Tailer};
use gatewatch_parsers::Millis;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

/// Files let go are remembered, so that one that comes back (remounted, renamed into a pattern, written again) goes on
/// where it was: so many, and for so long after they were last seen.
const REMEMBERED_MAX: usize = 16_384;
const REMEMBERED_FOR: Millis = 24 * 3_600_000;
/// A file that gave nothing for so long is closed when others need to be opened.
const CLOSE_AFTER: Millis = 10_000;

/// A path that some input's pattern matches.
pub(super) struct Candidate {
    path: PathBuf,
    input: usize,
    labels: Vec<(String, String)>,
    pub(super) stat: io::Result<Stat>,
    /// This very file is not for us, and why.
    pub(super) refused: Option<(FileKey, Trouble)>,
}

struct Memory {
    position: Position,
    /// As it was when read to its end; `None`: to be looked at.
    stamp: Option<Stamp>,
    seen: Millis,
}

/// Files that are not followed now, and where they stood.
#[derive(Default)]
pub(super) struct Remembered {
    files: HashMap<FileKey, Memory>,
}

impl Remembered {
    pub(super) fn keep(&mut self, position: Position, stamp: Option<Stamp>, now: Millis) {
        if self.files.len() >= REMEMBERED_MAX
            && let Some(oldest) =
                self.files.values().min_by_key(|m| (m.seen, m.position.key)).map(|m| m.position.key)
        {
            self.files.remove(&oldest);
        }
        self.files.insert(position.key, Memory { position, stamp, seen: now });
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.files.values().map(|memory| memory.position.clone())
    }

    /// It is as we left it: nothing to open. A restored one is not yet known to be.
    fn is_unchanged(&mut self, stat: &Stat, now: Millis) -> bool {
        self.files.get_mut(&stat.key).is_some_and(|memory| {
            memory.seen = now;
            memory.stamp == Some(stat.stamp) && memory.position.progress.offset == stat.size
        })
    }

    /// What may be the same file under another key (on another device number after a reboot, or written anew and moved
    /// over), furthest first.
    fn at_path(&self, path: &Path) -> Vec<Position> {
        let here =
            self.files.values().map(|memory| &memory.position).filter(|position| position.path == path);
        let mut here: Vec<Position> = here.filter(|position| position.progress.offset > 0).cloned().collect();
        here.sort_by_key(|position| (std::cmp::Reverse(position.progress.offset), position.key));
        here
    }

    fn forget_old(&mut self, now: Millis) {
        self.files.retain(|_, memory| {
            if memory.seen == 0 {
                // Restored: its day begins now.
                memory.seen = now;
            }
            now.saturating_sub(memory.seen) < REMEMBERED_FOR
        });
    }
}

impl Tailer {
    pub(super) fn reconcile(&mut self, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        self.troubles.begin_scan();
        self.list(now);
        for candidate in &mut self.candidates {
            candidate.stat = Stat::of_path(&candidate.path).map(|stat| self.design.stat(stat));
        }
        let ids: Vec<FileId> = self.files.keys().copied().collect();
        for id in ids {
            self.settle(id, now, out);
        }
        for at in 0..self.candidates.len() {
            self.consider(at, now, out);
        }
        self.close_some(now);
        self.remembered.forget_old(now);
        self.report_failures(now, out);
        self.troubles.end_scan(out);
        self.scanned.extend(self.inputs.iter().map(|input| input.name.clone()));
        if !self.first_scan_done {
            self.first_scan_done = true;
            out(Event::FirstScanDone);
        }
        (self.hinted, self.reconfigured, self.last_reconcile) = (false, false, Some(now));
    }

    /// Lists what the patterns match, unless that was done lately and costs much.
    fn list(&mut self, now: Millis) {
        let every = RECONCILE_EVERY
            .saturating_mul(Millis::try_from(self.names / NAMES_A_SECOND).unwrap_or(60).max(1));
        let recent = self.last_listing.is_some_and(|last| last <= now && now - last < every);
        if recent && !self.hinted {
            return;
        }
        let mut listing = Listing::default();
        let mut refused: HashMap<PathBuf, (FileKey, Trouble)> = HashMap::new();
        for old in self.candidates.drain(..) {
            if let Some(why) = old.refused {
                refused.insert(old.path, why);
            }
        }
        self.by_path.clear();
        self.failed.clear();
        for (input, of) in self.inputs.iter().enumerate() {
            for pattern in &of.paths {
                pattern.find(&mut listing);
                if listing.found.is_empty() && listing.failed.is_empty() {
                    self.failed.push((PathBuf::from(pattern.text()), Trouble::NoMatch));
                }
                for found in listing.found.drain(..) {
                    if !self.by_path.contains_key(&found.path) {
                        self.by_path.insert(found.path.clone(), self.candidates.len());
                        let refused = refused.remove(&found.path);
                        let stat = Err(io::ErrorKind::NotFound.into());
                        self.candidates.push(Candidate {
                            path: found.path,
                            input,
                            labels: found.labels,
                            stat,
                            refused,
                        });
                    }
                }
                let failed = listing.failed.drain(..).map(|(dir, error)| (dir, Trouble::from(&error)));
                self.failed.extend(failed);
            }
        }
        (self.directories, self.names) = (listing.directories, listing.names);
        self.last_listing = Some(now);
    }

    fn report_failures(&mut self, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        for (path, trouble) in &self.failed {
            self.troubles.report(now, None, path, trouble.clone(), out);
        }
        for candidate in &self.candidates {
            if let Some((key, trouble)) = &candidate.refused
                && candidate.stat.as_ref().is_ok_and(|stat| stat.key == *key)
            {
                self.troubles.report(now, None, &candidate.path, trouble.clone(), out);
            }
        }
    }

    /// What the path of a followed file shows now.
    fn at_path(&self, file: &Tracked) -> (AtPath, Option<Stat>) {
        let stat = match self.by_path.get(&file.path).and_then(|at| self.candidates.get(*at)) {
            Some(Candidate { stat: Ok(stat), .. }) => Ok(*stat),
            // A pattern no longer lists it, or looking failed: the path itself has the say.
            _ => Stat::of_path(&file.path).map(|stat| self.design.stat(stat)),
        };
        match stat {
            Ok(stat) if stat.key == file.key => (AtPath::Same, Some(stat)),
            Ok(stat) => (AtPath::Other { written: stat.size > 0 }, None),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                (AtPath::Nothing, None)
            }
            Err(_) => (AtPath::Unknown, None),
        }
    }

    /// Does what the cursor says about one followed file, reading apart.
    fn settle(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        if self.reconfigured && !self.place_again(id, now, out) {
            return;
        }
        let Some(file) = self.files.get(&id) else { return };
        let (at_path, mut own) = self.at_path(file);
        let Some(file) = self.files.get_mut(&id) else { return };
        if let Some(handle) = &file.handle
            && let Ok(stat) = Stat::of_file(handle)
        {
            own = Some(stat);
        }
        loop {
            match file.cursor.decide(now, own.as_ref(), at_path) {
                Action::Wait | Action::Back => {}
                Action::Read => file.due = now,
                Action::Truncated => {
                    file.truncated(now, out);
                    continue;
                }
                Action::Left(departure) => {
                    out(match departure {
                        Departure::Rotated => Event::Rotated { file: id },
                        Departure::Gone => Event::Gone { file: id },
                    });
                    if self.design.leave_at_once && departure == Departure::Rotated {
                        return self.finish(id, now, out);
                    }
                    if own.is_none() {
                        own = find_again(file, self.design);
                        self.open += usize::from(file.handle.is_some());
                    }
                    continue;
                }
                Action::Release => return self.finish(id, now, out),
            }
            return;
        }
    }

    /// After another list of inputs: the input and labels that a file has now. False: none, and it is followed no longer.
    fn place_again(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) -> bool {
        let Some(file) = self.files.get_mut(&id) else { return false };
        if let Some(c) = self.by_path.get(&file.path).and_then(|at| self.candidates.get(*at)) {
            if c.input != file.input || c.labels != file.labels {
                (file.input, file.labels) = (c.input, c.labels.clone());
                out(Event::Moved { file: id, place: file.place() });
            }
            return true;
        }
        // One whose path is empty now, or could not be listed, still has its input by name.
        let known = file.input < self.inputs.len();
        let unseen = !self.failed.is_empty() || Stat::of_path(&file.path).is_err();
        if known && unseen {
            return true;
        }
        self.forget(id, now);
        out(Event::Dropped { file: id });
        false
    }

    /// Follows what a path leads to, if nobody does yet.
    fn consider(&mut self, at: usize, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        let path = candidate.path.clone();
        let stat = match &candidate.stat {
            Ok(stat) => *stat,
            Err(error) => {
                let missing = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
                let trouble = if missing { Trouble::NoMatch } else { Trouble::from(error) };
                let followed = self.files.values().find(|file| file.path == path);
                // Between two names, or unreachable but open: still read.
                if followed.is_none_or(|file| file.handle.is_none()) {
                    self.troubles.report(now, followed.map(|file| file.id), &path, trouble, out);
                }
                return;
            }
        };
        if candidate.refused.as_ref().is_some_and(|(key, _)| *key == stat.key) {
            return;
        }
        candidate.refused = None;
        match stat.kind {
            Kind::Regular => {}
            Kind::Directory => return,
            Kind::Fifo | Kind::Other => return self.refuse(&path, now, Trouble::NotRegular(stat.kind), out),
        }
        if self.by_key.contains_key(&stat.key) || self.remembered.is_unchanged(&stat, now) {
            return;
        }
        if let Err(trouble) = self.follow(at, now, out) {
            self.troubles.report(now, None, &path, trouble, out);
        }
    }

    fn follow(&mut self, at: usize, now: Millis, out: &mut impl FnMut(Event<'_>)) -> Result<(), Trouble> {
        let Some(Candidate { path, input, labels, .. }) = self.candidates.get(at) else { return Ok(()) };
        let (path, input, labels) = (path.clone(), *input, labels.clone());
        let (handle, stat) = open_regular(&path)?;
        let stat = self.design.stat(stat);
        // It may have changed hands since it was looked at.
        if self.by_key.contains_key(&stat.key) {
            return Ok(());
        }
        let failed = |error: io::Error| Trouble::from(&error);
        let mut magic = [0; MAGIC_LEN];
        let length = read_at(&handle, &mut magic, 0).map_err(failed)?;
        let what = Compression::of(magic.get(..length).unwrap_or_default());
        if what != Compression::Plain {
            self.refuse(&path, now, Trouble::Compressed(what), out);
            return Ok(());
        }
        let before = self.files.values().rev().find(|file| file.path == path).map(|file| file.id);
        if let Some(before) = before
            && self.goes_on(before, &handle, &stat).map_err(failed)?
        {
            self.hand_over(before, handle, &stat, now, out);
            return Ok(());
        }
        let (cursor, placed) = self.place(&path, input, &handle, &stat, now).map_err(failed)?;
        let id = FileId(self.next_id);
        self.next_id += 1;
        let place = Place { path: &path, input, labels: &labels, key: stat.key };
        out(Event::Opened {
            file: id,
            place,
            from: cursor.progress(),
            size: stat.size,
            placed,
            follows: before,
        });
        self.by_key.insert(stat.key, id);
        let in_hole = cursor.offset() == 0;
        let handle = (self.open < self.max_open).then_some(handle);
        self.open += usize::from(handle.is_some());
        let tracked = Tracked {
            id,
            key: stat.key,
            path,
            input,
            labels,
            handle,
            cursor,
            after: before,
            due: now,
            hot_until: Millis::MIN,
            in_hole,
            idle: false,
        };
        self.files.insert(id, tracked);
        Ok(())
    }

    /// Is the new file at its path the old one written anew? Only if that took its last name: what was rotated keeps one.
    fn goes_on(&self, before: FileId, handle: &File, stat: &Stat) -> io::Result<bool> {
        let Some(file) = self.files.get(&before) else { return Ok(false) };
        let own = file.handle.as_ref().map(Stat::of_file).transpose()?;
        let replaced = own.is_none_or(|own| own.links == 0) && file.cursor.left().is_some();
        Ok(replaced && stat.size >= file.cursor.offset() && file.continues_in(handle)?)
    }

    fn hand_over(
        &mut self,
        id: FileId,
        handle: File,
        stat: &Stat,
        now: Millis,
        out: &mut impl FnMut(Event<'_>),
    ) {
        let Some(file) = self.files.get_mut(&id) else { return };
        self.by_key.remove(&file.key);
        self.open += usize::from(file.handle.is_none());
        (file.key, file.handle, file.due) = (stat.key, Some(handle), now);
        self.by_key.insert(file.key, id);
        file.cursor.decide(now, None, AtPath::Same);
        out(Event::Moved { file: id, place: file.place() });
    }

    /// Where to begin in a file that is new to us.
    fn place(
        &mut self,
        path: &Path,
        input: usize,
        handle: &File,
        stat: &Stat,
        now: Millis,
    ) -> io::Result<(Cursor, Placed)> {
        let beginning = || Cursor::at_beginning(now);
        if let Some(memory) = self.remembered.files.remove(&stat.key) {
            let resumed = resume(handle, &memory.position.progress, self.design, now)?;
            return Ok(resumed.map_or((beginning(), Placed::Replaced), |cursor| (cursor, Placed::Resumed)));
        }
        // Another inode at a path where we were: the same bytes, and the old inode nowhere to be seen.
        for Position { key, progress, .. } in self.remembered.at_path(path) {
            let elsewhere = self.candidates.iter().any(|c| c.stat.as_ref().is_ok_and(|stat| stat.key == key));
            if !elsewhere && let Some(cursor) = resume(handle, &progress, self.design, now)? {
                self.remembered.files.remove(&key);
                return Ok((cursor, Placed::Resumed));
            }
        }
        let input = self.inputs.get(input);
        let present_at_start = input.is_some_and(|input| !self.scanned.contains(&input.name));
        if present_at_start && input.is_some_and(|input| input.start == Start::End) {
            return Ok((at_end(handle, stat.size, now)?, Placed::End));
        }
        Ok((beginning(), Placed::Beginning))
    }

    /// When the limit of open files is reached, those that gave nothing for a while make room; they are opened again when
    /// their path says that they grew. Never one that no path leads to.
    fn close_some(&mut self, now: Millis) {
        if self.open < self.max_open {
            return;
        }
        for file in self.files.values_mut() {
            let quiet = file.cursor.is_quiet() && now.saturating_sub(file.cursor.moved()) > CLOSE_AFTER;
            if quiet && file.cursor.left().is_none() {
                file.close(&mut self.open);
            }
        }
    }
}

/// A closed file that was renamed: its inode under another name in the same directory.
fn find_again(file: &mut Tracked, design: Design) -> Option<Stat> {
    let parent = file.path.parent()?.to_path_buf();
    let entries = fs::read_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { &parent }).ok()?;
    let renamed = entries.filter_map(Result::ok).find(|entry| entry.ino() == file.key.ino)?;
    file.reopen(&renamed.path(), design).ok()?;
    file.handle.as_ref().and_then(|handle| Stat::of_file(handle).ok())
}
