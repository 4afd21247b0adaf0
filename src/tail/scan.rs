//! What is there against what is followed: the reconcile that everything rests on.

use super::cursor::{AtPath, Cursor};
use super::event::{Event, FileId, Loss, Place, Placed, Trouble};
use super::family::Why;
use super::identity::{Compression, FileKey, HEAD_LEN, Kind, MAGIC_LEN, Stamp, Stat, read_at};
use super::open::{Found, open_regular};
use super::paths::{FOUND_MAX, Listing, PATHS_MAX};
use super::siblings;
use super::tracked::{Archive, Tracked, at_end, head_of, resume};
use super::{NAMES_A_SECOND, Position, RECONCILE_EVERY, Start, Tailer};
use gatewatch_parsers::Millis;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that gave nothing for so long is closed when others need to be opened.
const CLOSE_AFTER: Millis = 10_000;

/// A path that some input's pattern matches.
pub(super) struct Candidate {
    path: PathBuf,
    pub(super) input: usize,
    pub(super) labels: Vec<(String, String)>,
    pub(super) stat: io::Result<Stat>,
    /// The pattern has wildcards: it found this below this directory.
    below: Option<PathBuf>,
    /// Its name could be that of a rotated file.
    maybe_rotated: bool,
    /// This very file is not for us, and why.
    pub(super) refused: Option<(FileKey, Trouble)>,
}

/// A file that is to be followed, and from where.
pub(super) struct Opening {
    pub(super) path: PathBuf,
    pub(super) input: usize,
    pub(super) labels: Vec<(String, String)>,
    pub(super) key: FileKey,
    pub(super) size: u64,
    pub(super) handle: Arc<File>,
    pub(super) archive: Option<Archive>,
    pub(super) cursor: Cursor,
    pub(super) placed: Placed,
    pub(super) before: Option<FileId>,
    pub(super) checked: Option<Stamp>,
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
        // Logs before their rotated files, which may be known by them.
        let (rotated, logs): (Vec<usize>, Vec<usize>) =
            (0..self.candidates.len()).partition(|at| self.is_rotated(*at));
        for at in logs.into_iter().chain(rotated) {
            self.consider(at, now, out);
        }
        self.find_missing(now, out);
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
        let mut bytes = 0;
        for (input, of) in self.inputs.iter().enumerate() {
            for pattern in &of.paths {
                let below = (!pattern.is_plain()).then(|| pattern.fixed());
                pattern.find(&mut listing);
                if listing.found.is_empty() && listing.failed.is_empty() {
                    self.failed.push((PathBuf::from(pattern.text()), Trouble::NoMatch));
                }
                for found in listing.found.drain(..) {
                    if !self.by_path.contains_key(&found.path) {
                        let length = found.path.as_os_str().len();
                        if self.candidates.len() >= FOUND_MAX || bytes + length > PATHS_MAX {
                            listing.left += 1;
                            continue;
                        }
                        bytes += length;
                        self.by_path.insert(found.path.clone(), self.candidates.len());
                        let refused = refused.remove(&found.path);
                        let stat = Err(io::ErrorKind::NotFound.into());
                        let name = found.path.file_name().unwrap_or_default();
                        let maybe_rotated =
                            below.is_some() && !siblings::readings(name.as_bytes()).is_empty();
                        self.candidates.push(Candidate {
                            path: found.path,
                            input,
                            labels: found.labels,
                            stat,
                            below: below.clone(),
                            maybe_rotated,
                            refused,
                        });
                    }
                }
                if std::mem::take(&mut listing.left) > 0 {
                    self.failed.push((PathBuf::from(pattern.text()), Trouble::TooMany));
                }
                let failed = listing.failed.drain(..).map(|(dir, error)| (dir, Trouble::from(&error)));
                self.failed.extend(failed);
            }
        }
        (self.directories, self.names) = (listing.directories, listing.names);
        self.last_listing = Some(now);
    }

    fn is_rotated(&self, at: usize) -> bool {
        self.candidates.get(at).is_some_and(|candidate| candidate.maybe_rotated)
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
        // The log's affair, unless it is read on its own already.
        if self.is_log_s_affair(at) && self.remembered.get(&stat.key).is_none() {
            return;
        }
        if let Err(trouble) = self.follow(at, now, out) {
            self.troubles.report(now, None, &path, trouble, out);
        }
    }

    /// A rotated file of a log that is known: whether it is to be read is told by what was read of the log. At the very first
    /// start there is nothing to tell it by: what a pattern matches is followed then.
    fn is_log_s_affair(&self, at: usize) -> bool {
        let Some(c) = self.candidates.get(at).filter(|c| c.maybe_rotated) else { return false };
        let first = self.inputs.get(c.input).is_some_and(|input| !self.scanned.contains(&input.name));
        let name = c.path.file_name().unwrap_or_default();
        // `edge.1.log` beside `edge.log` may be a log of its own.
        let sure = siblings::readings(name.as_bytes()).iter().any(|reading| !reading.doubtful);
        !first && sure && self.live_of(&c.path).is_some()
    }

    fn follow(&mut self, at: usize, now: Millis, out: &mut impl FnMut(Event<'_>)) -> Result<(), Trouble> {
        let Some(candidate) = self.candidates.get(at) else { return Ok(()) };
        let Candidate { path, input, labels, below, maybe_rotated, .. } = candidate;
        let (path, input, labels) = (path.clone(), *input, labels.clone());
        let found = below.as_deref().map_or(Found::Named, Found::Below);
        let live = if *maybe_rotated { self.live_of(&path) } else { None };
        let (handle, stat) = match open_regular(&path, found) {
            Err(trouble @ Trouble::LinkAway) => {
                self.refuse(&path, now, trouble, out);
                return Ok(());
            }
            opened => opened?,
        };
        let stat = self.design.stat(stat);
        // It may have changed hands since it was looked at.
        if self.by_key.contains_key(&stat.key) {
            return Ok(());
        }
        let failed = |error: io::Error| Trouble::from(&error);
        if self.is_not_for_us(&path, live.as_deref(), &handle, &stat, now, out).map_err(failed)? {
            return Ok(());
        }
        let handle = Arc::new(handle);
        let of_path = self.files.values().filter(|file| file.path == path && file.archive.is_none());
        let of_path: Vec<FileId> = of_path.map(|file| file.id).collect();
        for id in &of_path {
            if self.goes_on(*id, &handle, &stat).map_err(failed)? {
                self.hand_over(*id, handle, &stat, now, out);
                return Ok(());
            }
        }
        let before = of_path.last().copied();
        let former = self.remembered.get(&stat.key).cloned();
        let (mut cursor, placed, why) = self.place(&path, input, &handle, &stat, now)?;
        // When it was written before we knew it tells it apart from what is rotated from now on.
        if placed != Placed::Resumed {
            cursor.modified(stat.stamp);
        }
        // Read on under the log's name, as it was before it was rotated.
        let of = live.filter(|_| self.is_log_s_affair(at));
        let (path, input, labels) = match of.and_then(|of| Some((self.belongs(&of)?, of))) {
            Some(((input, labels), of)) => {
                cursor.leave();
                (of, input, labels)
            }
            None => (path, input, labels),
        };
        let rotated = why.map(|why| self.catch_up(&path, &why, None, now, out)).transpose()?.flatten();
        if self.by_key.contains_key(&stat.key) {
            // Itself one of those: a rotated file that was refilled, or has another name among them.
            return Ok(());
        }
        let checked = (placed != Placed::Resumed).then_some(stat.stamp);
        let Stat { key, size, .. } = stat;
        let before = rotated.or(before);
        let archive = None;
        let opening =
            Opening { path, input, labels, key, size, handle, archive, cursor, placed, before, checked };
        let left = former.filter(|former| placed == Placed::Resumed && former.path != opening.path);
        self.begin(opening, now, out);
        left.into_iter().for_each(|former| self.leave_path(former, now, out));
        Ok(())
    }

    /// An archive, or a copy of what is followed.
    fn is_not_for_us(
        &mut self,
        path: &Path,
        live: Option<&Path>,
        handle: &File,
        stat: &Stat,
        now: Millis,
        out: &mut impl FnMut(Event<'_>),
    ) -> io::Result<bool> {
        let mut magic = [0; MAGIC_LEN];
        let length = read_at(handle, &mut magic, 0)?;
        let what = Compression::of(magic.get(..length).unwrap_or_default());
        if what != Compression::Plain {
            // A rotated file of a log that is followed is no surprise.
            if live.is_none() {
                self.refuse(path, now, Trouble::Compressed(what), out);
            }
            return Ok(true);
        }
        let Some(live) = live.filter(|_| self.remembered.get(&stat.key).is_none()) else { return Ok(false) };
        self.is_copy(live, handle, stat)
    }

    /// From now on it is followed.
    pub(super) fn begin(&mut self, opening: Opening, due: Millis, out: &mut impl FnMut(Event<'_>)) -> FileId {
        let Opening { path, input, labels, key, size, handle, archive, cursor, placed, before, checked } =
            opening;
        let id = FileId(self.next_id);
        self.next_id += 1;
        let place = Place { path: &path, input, labels: &labels, key };
        let (from, follows) = (cursor.progress(), before);
        out(Event::Opened { file: id, place, from, size, placed, follows });
        self.remembered.forget(&key);
        self.by_key.insert(key, id);
        let in_hole = cursor.offset() == 0;
        let handle = (self.open < self.max_open).then_some(handle);
        self.open += usize::from(handle.is_some());
        let tracked = Tracked {
            id,
            key,
            path,
            input,
            labels,
            handle,
            archive,
            cursor,
            after: before,
            due,
            hot_until: Millis::MIN,
            in_hole,
            idle: false,
            checked,
        };
        self.files.insert(id, tracked);
        id
    }

    /// Is the new file at its path the old one written anew? Only if that took its last name: what was rotated keeps one.
    fn goes_on(&self, before: FileId, handle: &File, stat: &Stat) -> io::Result<bool> {
        let Some(file) = self.files.get(&before) else { return Ok(false) };
        let own = file.handle.as_deref().map(Stat::of_file).transpose()?;
        let replaced = own.is_none_or(|own| own.links == 0) && file.cursor.left().is_some();
        Ok(replaced && stat.size >= file.cursor.offset() && file.continues_in(handle)?)
    }

    fn hand_over(
        &mut self,
        id: FileId,
        handle: Arc<File>,
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

    /// Where to begin in a file that is new to us, why there, and what of its log's rotated files is to be read before.
    fn place(
        &mut self,
        path: &Path,
        input: usize,
        handle: &File,
        stat: &Stat,
        now: Millis,
    ) -> Result<(Cursor, Placed, Option<Why>), Trouble> {
        let failed = |error: io::Error| Trouble::from(&error);
        let head = head_of(handle, HEAD_LEN).map_err(failed)?;
        let beginning = || Cursor::before_all(&head, now);
        if let Some(position) = self.remembered.get(&stat.key).cloned() {
            let resumed = resume(handle, &position.progress, self.design, now).map_err(failed)?;
            let why = Why::Displaced(position, Loss::Truncated);
            return Ok(match resumed {
                Some(cursor) => (cursor, Placed::Resumed, None),
                None => (beginning(), Placed::Replaced, Some(why)),
            });
        }
        // Another inode at a path where we were: the same bytes, and the old inode nowhere to be seen.
        let positions = self.remembered.at_path(path);
        let siblings = if positions.is_empty() { Ok(Vec::new()) } else { siblings::of(path) };
        let siblings = siblings.or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Ok(Vec::new()),
            _ => Err(failed(error)),
        })?;
        for Position { key, progress, .. } in positions {
            let elsewhere = self.is_listed(&key) || siblings.iter().any(|s| s.stat.key == key);
            if elsewhere {
                continue;
            }
            let resumed = resume(handle, &progress, self.design, now).map_err(failed)?;
            if let Some(cursor) = resumed.filter(Cursor::is_proof) {
                self.remembered.forget(&key);
                return Ok((cursor, Placed::Continued(key), None));
            }
        }
        let input = self.inputs.get(input);
        let present_at_start = input.is_some_and(|input| !self.scanned.contains(&input.name));
        if present_at_start && input.is_some_and(|input| input.start == Start::End) {
            return Ok((at_end(handle, stat.size, now).map_err(failed)?, Placed::End, None));
        }
        Ok((beginning(), Placed::Beginning, (!present_at_start).then_some(Why::New)))
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
