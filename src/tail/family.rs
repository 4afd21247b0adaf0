//! A log and its rotated files, which are one stream of lines: what of it was not read yet, found wherever it lies now.
//!
//! The invariant that this rests on, the *frontier*: in the order of rotation, every file newer than the newest one that we
//! know was never read, and every unknown file older than that one was there before us. It holds since files are opened
//! oldest first and the log itself last: whatever part of that a snapshot holds is a frontier, too. What we know of a file
//! is its key, else the bytes at its head and before our place, be it plain, a copy or an archive. If no known file is left,
//! the time of the last write stands in: what was written after the last write that we saw is new, and something may be lost.

use super::cursor::{Cursor, Progress};
use super::event::{Event, FileId, Loss, Place, Placed, Trouble};
use super::identity::{ANCHOR_LEN, Compression, FileKey, HEAD_LEN, Stat};
use super::open::{Found, open_regular};
use super::scan::Opening;
use super::siblings::{self, Sibling};
use super::stream::{PROBE, Stream, excuse, goes_on, head_in, is_newer, is_of, mark, want_refilled};
use super::tracked::{Archive, Tracked, head_of, read_up_to, resume};
use super::{Position, Tailer};
use gatewatch_parsers::Millis;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// They may be renamed while they are looked at: so many looks at once, then at the next scan.
const LOOKS: usize = 3;

/// Why a log's rotated files are looked at.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// Another file is at its path, or nothing is known of this one.
    New,
    /// What was at its path until this place is there no more.
    Displaced(Position, Loss),
    /// A file was read to its end, and no path leads to it: its archive is known from now on.
    Ended(Position),
    /// The file at its path is known: none of its rotated files is new, but known ones may not be read to their end.
    Known,
    /// Nothing is at its path.
    Empty,
}

impl Why {
    fn displaced(&self) -> Option<FileKey> {
        if let Why::Displaced(position, _) = self { Some(position.key) } else { None }
    }
}

/// A rotated file that is to be read.
struct Next {
    sibling: Sibling,
    handle: Arc<File>,
    compression: Compression,
    cursor: Cursor,
    placed: Placed,
    /// An archive without a whole line.
    is_void: bool,
}

impl Next {
    /// To be read from its beginning. `is_refilled`: it is known by its birth, and no longer what was read of it; truncated
    /// and written to since.
    fn unknown(
        sibling: Sibling,
        handle: Arc<File>,
        compression: Compression,
        head: &[u8],
        is_refilled: bool,
        now: Millis,
    ) -> Next {
        let mut cursor = Cursor::new(0, &[], head.get(..HEAD_LEN).unwrap_or(head), now);
        cursor.modified(sibling.stat.stamp);
        let placed = if is_refilled { Placed::Replaced } else { Placed::Beginning };
        let is_void = compression != Compression::Plain && head.len() < HEAD_LEN && !head.contains(&b'\n');
        Next { sibling, handle, compression, cursor, placed, is_void }
    }
}

enum Located {
    /// It is known, and there is more.
    Rest(Box<Next>),
    /// It is known, and was read; under another key, which nobody else knows yet.
    Done(Option<(Position, Placed)>),
    /// It holds what is read from another file that is open.
    Copy { of_nothing_read: bool },
    /// It is what a file that is open goes on in.
    Moved(Option<FileId>),
    /// It is not known.
    Unknown(Box<Next>),
}

impl Tailer {
    /// Opens what is to be read of a log's rotated files, oldest first. Gives the last of them, which the log comes after:
    /// `waiting`, if it is followed already.
    ///
    /// # Errors
    /// Not everything could be looked at: nothing is concluded from that, and nothing may be opened that would count as known.
    pub(super) fn catch_up(
        &mut self,
        live: &Path,
        why: &Why,
        waiting: Option<FileId>,
        now: Millis,
        out: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<FileId>, Trouble> {
        for _ in 1..LOOKS {
            match self.catch_up_once(live, why, waiting, now, out) {
                Err(trouble) if trouble.has_moved() => {}
                result => return result,
            }
        }
        self.catch_up_once(live, why, waiting, now, out)
    }

    fn catch_up_once(
        &mut self,
        live: &Path,
        why: &Why,
        waiting: Option<FileId>,
        now: Millis,
        out: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<FileId>, Trouble> {
        let Some((input, labels)) = self.belongs(live) else { return Ok(None) };
        let siblings = match siblings::of(live) {
            Ok(siblings) => siblings,
            // For good, perhaps: the log itself is read all the same, and the trouble was or is told of.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let parent = live.parent().unwrap_or(live);
                self.troubles.report(now, None, parent, Trouble::from(&error), out);
                Vec::new()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Trouble::from(&error)),
        };
        let names = |siblings: &[Sibling]| {
            siblings.iter().map(|s| (s.path.clone(), s.stat.key)).collect::<BTreeSet<_>>()
        };
        let listed = names(&siblings);
        let mut streams = self.streams(live, why);
        let chain = self.unread(live, siblings, &mut streams, why, now, out)?;
        let new = chain.iter().filter(|next| next.placed == Placed::Beginning).count();
        let refilled = chain.iter().filter(|next| next.placed == Placed::Replaced);
        let refilled = refilled.map(|next| self.design.key(next.sibling.stat.key)).collect::<Vec<_>>();
        want_refilled(&mut streams, &refilled);
        if !matches!(why, Why::Empty | Why::Ended(_)) {
            // A listing may miss what is renamed meanwhile.
            let is_missing = streams.iter().any(|stream| stream.is_wanted && !stream.located);
            if is_missing && siblings::of(live).is_ok_and(|now| names(&now) != listed) {
                return Err(Trouble::from(&io::Error::from(io::ErrorKind::Interrupted)));
            }
            self.say_lost(live, &streams, why, new, out);
        } else {
            self.settle_empty(live, &streams, new, out);
            self.say_refilled(live, &streams, &refilled, out);
        }
        // Never one that came after the file that will wait, or waits for it itself.
        let may_wait_for = |file: &&Tracked| {
            file.path == live
                && file.cursor.left().is_some()
                && waiting.is_none_or(|waiting| file.id < waiting && !self.waits_for(file.id, waiting))
        };
        let mut before = self.files.values().rev().find(may_wait_for);
        let mut last = None;
        for next in chain {
            let id = self.open_rotated(live, (input, &labels), next, before.map(|file| file.id), out);
            (last, before) = (Some(id), self.files.get(&id));
        }
        Ok(last)
    }

    /// The input and labels of a log, also of one that is not there now.
    pub(super) fn belongs(&self, live: &Path) -> Option<(usize, Vec<(String, String)>)> {
        let listed = self.by_path.get(live).and_then(|at| self.candidates.get(*at));
        let known = listed.map(|c| (c.input, c.labels.clone()));
        let followed = || self.files.values().find(|f| f.path == live).map(|f| (f.input, f.labels.clone()));
        let would = || {
            let all = self.inputs.iter().enumerate();
            all.flat_map(|(at, input)| input.paths.iter().map(move |pattern| (at, pattern)))
                .find_map(|(at, pattern)| Some((at, pattern.would_find(live)?)))
        };
        known.or_else(followed).or_else(would).filter(|(input, _)| *input < self.inputs.len())
    }

    fn streams(&self, live: &Path, why: &Why) -> Vec<Stream> {
        let mut streams = Vec::new();
        if let Why::Displaced(position, _) | Why::Ended(position) = why {
            streams.push(Stream::remembered(position.clone(), true));
        }
        let displaced = streams.first().map(|stream| stream.position.key);
        for position in self.remembered.positions().filter(|p| is_of(live, &p.path)) {
            // What has another path of ours now is not looked for here.
            let key = &position.key;
            let elsewhere = key.is_of_path() || self.by_key.contains_key(key) || self.is_listed(key);
            if displaced != Some(position.key) {
                let is_wanted = !position.progress.finished && !elsewhere;
                let stream = Stream::remembered(position.clone(), is_wanted);
                streams.push(Stream { is_elsewhere: elsewhere, ..stream });
            }
        }
        for file in self.files.values().filter(|f| is_of(live, &f.path)) {
            let mut stream = Stream::followed(file);
            if Some(file.key) == displaced {
                // What it holds now is another stream, of which nothing was read.
                stream.position.progress = Progress::default();
            }
            streams.push(stream);
        }
        // Of two places in one stream the further one.
        streams.sort_by_key(|s| std::cmp::Reverse(s.position.progress.offset));
        streams
    }

    pub(super) fn is_listed(&self, key: &FileKey) -> bool {
        self.candidates.iter().any(|c| c.stat.as_ref().is_ok_and(|stat| stat.key == *key))
    }

    /// What is to be read, oldest first.
    fn unread(
        &mut self,
        live: &Path,
        siblings: Vec<Sibling>,
        streams: &mut Vec<Stream>,
        why: &Why,
        now: Millis,
        out: &mut impl FnMut(Event<'_>),
    ) -> Result<Vec<Next>, Trouble> {
        self.mark_elsewhere(&siblings, streams, why, now);
        let mut frontier = matches!(why, Why::Known | Why::Ended(_));
        let (mut found, mut unknown, mut hidden) = (Vec::new(), Aged::new(), Vec::new());
        let (mut voids, mut is_blind) = (0, false);
        for (age, sibling) in siblings.into_iter().enumerate() {
            if frontier && streams.iter().all(|stream| stream.located || !stream.is_wanted) {
                break;
            }
            let key = self.design.key(sibling.stat.key);
            let followed = self.by_key.get(&key).and_then(|id| self.files.get(id));
            if followed.is_some() || self.remembered.is_unchanged(&sibling.stat, now) {
                // What the file at this key held before is another stream.
                if why.displaced() != Some(key) {
                    mark(streams, &key);
                }
                // Of one that nothing was read of yet, the beginning may have been copied and truncated away.
                frontier |= followed.is_none_or(|file| file.cursor.offset() > 0 || file.archive.is_some());
                continue;
            }
            self.add_foreign(&key, streams);
            let (path, stat) = (sibling.path.clone(), sibling.stat);
            match self.locate(sibling, streams, now) {
                Ok(Located::Rest(next)) => {
                    frontier |= next.cursor.offset() > 0 || next.placed == Placed::Replaced;
                    found.push((age, next));
                }
                Ok(Located::Done(read)) => {
                    frontier = true;
                    read.iter().for_each(|(read, placed)| self.tell_read(live, read, *placed, out));
                }
                Ok(Located::Copy { of_nothing_read }) => frontier |= !of_nothing_read,
                Ok(Located::Moved(id)) => {
                    frontier = true;
                    self.tell_moved(id, out);
                }
                Ok(Located::Unknown(next)) if next.is_void => voids += 1,
                Ok(Located::Unknown(next)) => unknown.extend((!frontier).then_some((age, next))),
                Err(trouble) if trouble.is_of_one_file() => {
                    is_blind = true;
                    let known = streams.iter().find(|stream| stream.position.key == key);
                    hidden.extend((!frontier && known.is_none()).then(|| (path.clone(), stat)));
                    frontier |= known.is_some_and(|stream| stream.position.progress.offset > 0);
                    self.troubles.report(now, None, &path, trouble, out);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        excuse(streams, voids, is_blind, why.displaced());
        hidden.retain(|(_, stat)| frontier || is_newer(stat, streams));
        self.look_for(hidden);
        unknown.retain(|(_, next)| frontier || is_newer(&next.sibling.stat, streams));
        Ok(oldest_first(found, unknown))
    }

    /// One that is known under a name that is none of this log's.
    fn add_foreign(&self, key: &FileKey, streams: &mut Vec<Stream>) {
        let is_there = streams.iter().any(|stream| stream.position.key == *key);
        let known = self.remembered.get(key).filter(|_| !is_there).cloned();
        streams.extend(known.map(|position| Stream::remembered(position, false)));
    }

    /// One that is still there goes on there, and not in its copy.
    fn mark_elsewhere(&self, siblings: &[Sibling], streams: &mut [Stream], why: &Why, now: Millis) {
        let displaced = why.displaced();
        for stream in streams.iter_mut().filter(|s| s.is_wanted && Some(s.position.key) != displaced) {
            let own = siblings.iter().find(|s| self.design.key(s.stat.key) == stream.position.key);
            stream.is_elsewhere |=
                own.is_some_and(|own| self.is_as_left(own, &stream.position.progress, now));
        }
    }

    fn is_as_left(&self, sibling: &Sibling, progress: &Progress, now: Millis) -> bool {
        let file = open_regular(&sibling.path, Found::Rotated).ok().map(|(file, _)| file);
        file.is_some_and(|file| matches!(resume(&file, progress, self.design, now), Ok(Some(_))))
    }

    /// Which known stream a rotated file holds, if any.
    fn locate(&mut self, sibling: Sibling, streams: &mut [Stream], now: Millis) -> Result<Located, Trouble> {
        let failed = |error: io::Error| Trouble::from(&error);
        let (file, stat) = open_regular(&sibling.path, Found::Rotated)?;
        if stat.key != sibling.stat.key {
            // Renamed while we looked: looked at again as a whole.
            return Err(failed(io::ErrorKind::Interrupted.into()));
        }
        let (handle, key) = (Arc::new(file), self.design.key(stat.key));
        let plain = read_up_to(&handle, 0, PROBE).map_err(failed)?;
        let compression = Compression::of(&plain);
        let head = if compression == Compression::Plain { plain } else { head_in(&handle, compression) };
        let of_key = streams.iter().position(|stream| stream.position.key == key && !stream.is_followed);
        let others = (0..streams.len()).filter(|at| Some(*at) != of_key);
        for at in of_key.into_iter().chain(others).collect::<Vec<_>>() {
            let Some(stream) = streams.get_mut(at) else { continue };
            let by_key = Some(at) == of_key;
            if stream.located || (!by_key && !stream.begins(&head)) {
                continue;
            }
            // Its writer may not have left it: only one that was finished is left at its end.
            let is_held = by_key && stream.is_wanted && compression == Compression::Plain;
            let rest = goes_on(&handle, compression, &stat, stream, by_key, now).map_err(failed)?;
            // Refilled since it was read, and then copied: a copy of what will be read from its beginning.
            let is_whole = stream.orphan.is_some() && (1..PROBE).contains(&stream.own.len());
            let refilled = (!head.is_empty() && stream.own.starts_with(&head))
                || (is_whole && head.starts_with(&stream.own));
            let Some(rest) = rest.or_else(|| refilled.then_some(None)) else { continue };
            let position = stream.position.clone();
            if !by_key && stream.is_elsewhere && stream.is_wanted {
                // It is found where it is, with all that was written to it since.
                return Ok(Located::Copy { of_nothing_read: position.progress.offset == 0 });
            }
            stream.located = true;
            // A copy of what has a path of its own is not where that went.
            let is_followed = stream.is_followed || (stream.is_elsewhere && !by_key);
            let orphan = stream.orphan.filter(|(_, size)| *size < stat.size);
            // Earlier places in the same stream, left by others.
            streams.iter_mut().filter(|s| !s.is_followed && s.begins(&head)).for_each(|s| s.located = true);
            let rest = rest.filter(|(_, more)| !is_followed && (*more || is_held)).map(|(cursor, _)| cursor);
            let placed = if by_key { Placed::Resumed } else { Placed::Continued(position.key) };
            return Ok(match rest {
                Some(cursor) => {
                    let is_void = false;
                    Located::Rest(Box::new(Next { sibling, handle, compression, cursor, placed, is_void }))
                }
                // Written anew and moved over the one that is open, then rotated: it goes on here.
                _ if is_followed && orphan.is_some() && compression == Compression::Plain => {
                    let id = orphan.map(|(id, _)| id);
                    Located::Moved(id.filter(|id| self.goes_on_in(*id, handle, key, now)))
                }
                // It may be needed yet, should the original be truncated.
                _ if is_followed => Located::Copy { of_nothing_read: position.progress.offset == 0 },
                _ => {
                    let known = (position.key == key).then_some(());
                    if known.is_none() {
                        self.remembered.forget(&position.key);
                    }
                    let read = self.was_read(position, key, &handle, compression, &stat, now);
                    let read = read.map_err(failed)?;
                    Located::Done(known.is_none().then_some((read, placed)))
                }
            });
        }
        let is_refilled = of_key.is_some() && key.birth > 0 && compression == Compression::Plain;
        let next = Box::new(Next::unknown(sibling, handle, compression, &head, is_refilled, now));
        Ok(if is_refilled { Located::Rest(next) } else { Located::Unknown(next) })
    }

    fn goes_on_in(&mut self, id: FileId, handle: Arc<File>, key: FileKey, now: Millis) -> bool {
        let Some(file) = self.files.get_mut(&id) else { return false };
        self.by_key.remove(&file.key);
        (file.key, file.handle, file.due) = (key, Some(handle), now);
        self.by_key.insert(key, id);
        true
    }

    /// Remembers a rotated file that holds nothing new, so that nobody takes it for a new one.
    fn was_read(
        &mut self,
        position: Position,
        key: FileKey,
        file: &File,
        compression: Compression,
        stat: &Stat,
        now: Millis,
    ) -> io::Result<Position> {
        let mut progress = position.progress;
        if compression == Compression::Plain && stat.size < progress.offset {
            let from = stat.size.saturating_sub(ANCHOR_LEN as u64);
            let before = read_up_to(file, from, usize::try_from(stat.size - from).unwrap_or(0))?;
            progress = Cursor::new(stat.size, &before, &head_of(file, HEAD_LEN)?, now).progress();
        }
        progress.finished = true;
        let position = Position { path: position.path, key, progress };
        self.remembered.keep(position.clone(), Some(stat), now);
        Ok(position)
    }

    /// The receiver has to know, too, since what it counted is what a restart knows: a copy or archive of a file that is no
    /// more is the frontier then.
    pub(super) fn tell_read(
        &mut self,
        live: &Path,
        read: &Position,
        placed: Placed,
        out: &mut impl FnMut(Event<'_>),
    ) {
        let Position { key, progress, .. } = *read;
        let Some((input, labels)) = self.belongs(live) else { return };
        let file = FileId(self.next_id);
        self.next_id += 1;
        let place = Place { path: live, input, labels: &labels, key };
        let (from, size, follows) = (progress, progress.offset, None);
        out(Event::Opened { file, place, from, size, placed, follows });
        out(Event::Finished { file, after: progress });
    }

    fn open_rotated(
        &mut self,
        live: &Path,
        (input, labels): (usize, &[(String, String)]),
        next: Next,
        before: Option<FileId>,
        out: &mut impl FnMut(Event<'_>),
    ) -> FileId {
        let Next { sibling, handle, compression, mut cursor, placed, .. } = next;
        cursor.leave();
        self.counters.recovered += 1;
        if let Placed::Continued(old) = placed {
            self.remembered.forget(&old);
        }
        let archive = Archive::of(compression);
        // How much an archive holds is known at its end only; that there is something more has to be said now.
        let read = if archive.is_some() { cursor.offset() } else { 0 };
        let opening = Opening {
            path: live.to_path_buf(),
            input,
            labels: labels.to_vec(),
            key: self.design.key(sibling.stat.key),
            size: read + sibling.stat.size,
            handle,
            archive,
            cursor,
            placed,
            before,
            // Its family was looked at just now.
            checked: Some(sibling.stat.stamp),
        };
        self.begin(opening, Millis::MIN, out)
    }

    /// A copy of what is followed from its original: one stream, one place in it.
    pub(super) fn is_copy(&self, live: &Path, file: &File, stat: &Stat) -> io::Result<bool> {
        let head = read_up_to(file, 0, PROBE)?;
        for of in self.files.values().filter(|f| f.path == live && f.archive.is_none()) {
            let (progress, stream) = (of.cursor.progress(), Stream::followed(of));
            if stream.begins(&head)
                && (stat.size < progress.offset || resume(file, &progress, self.design, 0)?.is_some())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Rotated files, and which in the order of age.
type Aged = Vec<(usize, Box<Next>)>;

fn oldest_first(mut found: Aged, unknown: Aged) -> Vec<Next> {
    found.extend(unknown);
    found.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    found.into_iter().map(|(_, next)| *next).collect()
}
