//! What is found nowhere, which log it was of, and who waits for whom while it is looked for.

use super::cursor::{Departure, Progress};
use super::event::{Event, FileId, Loss, Placed};
use super::family::Why;
use super::identity::{FileKey, Stat};
use super::stream::Stream;
use super::{Position, Tailer, siblings};
use gatewatch_parsers::Millis;
use std::collections::BTreeSet;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

impl Tailer {
    /// Whether a file comes after another one, however many lie between.
    pub(super) fn waits_for(&self, file: FileId, other: FileId) -> bool {
        let mut at = Some(file);
        while let Some(id) = at.filter(|id| *id != other) {
            at = self.files.get(&id).and_then(|file| file.after);
        }
        at.is_some()
    }

    /// The file comes after that one, and is due. Files of a family have an order, and no file ever waits for itself: what
    /// would close a circle is not waited for.
    pub(super) fn come_after(&mut self, file: FileId, before: Option<FileId>, now: Millis) {
        let before = before.filter(|before| !self.waits_for(*before, file));
        if let Some(file) = self.files.get_mut(&file) {
            (file.after, file.due) = (before, now);
        }
    }

    /// Says what is nowhere, once. Of a file seen empty nothing is known: any of the `new` ones may be it.
    pub(super) fn say_lost(
        &mut self,
        live: &Path,
        streams: &[Stream],
        why: &Why,
        mut new: usize,
        out: &mut impl FnMut(Event<'_>),
    ) {
        let displaced = match why {
            Why::Displaced(position, loss) => Some((position.key, *loss)),
            _ => None,
        };
        for stream in streams.iter().filter(|stream| stream.is_wanted && !stream.located) {
            let key = stream.position.key;
            let is_displaced = displaced.is_some_and(|(of, _)| of == key);
            let loss = displaced.filter(|_| is_displaced).map_or(Loss::Gone, |(_, loss)| loss);
            self.remembered.give_up(&key);
            let is_new = stream.position.progress.head.len == 0 && new > 0;
            new -= usize::from(is_new);
            let is_read = !is_displaced && streams.iter().any(|other| other.is_beyond(stream));
            // Never looked into: by now it may be any archive that was.
            let is_unseen = stream.position.progress == Progress::default();
            if !is_new && !is_read && !is_unseen {
                self.lost(live, loss, out);
            }
            if !is_displaced {
                self.tell_over(live, stream, out);
            }
        }
    }

    /// Nothing is at the log's path that could be read, so that nothing is said to be lost yet. But what was seen empty, and
    /// is in none of the places where it could be known by its key, is in one of the `new` files: looked for no more.
    pub(super) fn settle_empty(
        &mut self,
        live: &Path,
        streams: &[Stream],
        new: usize,
        out: &mut impl FnMut(Event<'_>),
    ) {
        let empty = |s: &&Stream| s.is_wanted && !s.located && s.position.progress.head.len == 0;
        for stream in streams.iter().filter(empty).take(new) {
            self.remembered.give_up(&stream.position.key);
            self.tell_over(live, stream, out);
        }
    }

    fn tell_over(&mut self, live: &Path, stream: &Stream, out: &mut impl FnMut(Event<'_>)) {
        let mut position = stream.position.clone();
        position.progress.finished = true;
        self.tell_read(live, &position, Placed::Resumed, out);
    }

    /// Of what was truncated while nobody looked, the end was not read.
    pub(super) fn say_refilled(
        &mut self,
        live: &Path,
        streams: &[Stream],
        refilled: &[FileKey],
        out: &mut impl FnMut(Event<'_>),
    ) {
        let lost = |s: &&Stream| s.is_wanted && !s.located && refilled.contains(&s.position.key);
        for _ in streams.iter().filter(lost) {
            self.lost(live, Loss::Truncated, out);
        }
    }

    /// The file goes on under another key.
    pub(super) fn tell_moved(&self, id: Option<FileId>, out: &mut impl FnMut(Event<'_>)) {
        if let Some(file) = id.and_then(|id| self.files.get(&id)) {
            out(Event::Moved { file: file.id, place: file.place() });
        }
    }

    /// What nobody may read now is looked for until it can be read: by then others have come after it.
    pub(super) fn look_for(&mut self, hidden: Vec<(PathBuf, Stat)>) {
        for (path, stat) in hidden {
            let (key, progress) = (self.design.key(stat.key), Progress::default());
            self.remembered.restore(Position { path, key, progress });
        }
    }

    pub(super) fn lost(&mut self, path: &Path, loss: Loss, out: &mut impl FnMut(Event<'_>)) {
        self.counters.possible_losses += 1;
        out(Event::PossibleLoss { path, loss });
    }

    /// A file goes on under another name: what was read of it through its former path stays known of that. Else nothing would
    /// be, and what is made and rotated there before anybody looks would count as older than us.
    pub(super) fn leave_path(&mut self, former: Position, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let Position { path, mut progress, .. } = former;
        progress.finished = true;
        let position = Position { key: FileKey::of_path(&path), path, progress };
        let placed = Placed::Continued(position.key);
        self.tell_read(&position.path, &position, placed, out);
        self.remembered.keep(position, None, now);
    }

    /// Files that an earlier process had not read to their end, and that are not where they were: by now rotated, compressed,
    /// or gone.
    pub(super) fn find_missing(&mut self, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let gone = self.files.values().filter(|f| f.cursor.left() == Some(Departure::Gone));
        let mut logs: BTreeSet<PathBuf> = gone.map(|file| file.path.clone()).collect();
        let missing = self
            .remembered
            .missing()
            .filter(|position| !self.by_key.contains_key(&position.key) && !self.is_listed(&position.key));
        logs.extend(missing.map(|position| self.live_of(&position.path).unwrap_or(position.path.clone())));
        for live in logs {
            let at_path = self.files.values().rev().find(|f| f.path == live && f.cursor.left().is_none());
            let why = match at_path {
                // Nothing was read of it: what was rotated before it may be new, too.
                Some(file) if file.cursor.offset() == 0 => Why::New,
                Some(_) => Why::Known,
                None => Why::Empty,
            };
            let at_path = at_path.map(|file| file.id);
            match self.catch_up(&live, &why, at_path, now, out) {
                Ok(Some(last)) => at_path.into_iter().for_each(|id| self.come_after(id, Some(last), now)),
                Ok(None) => {}
                Err(trouble) => self.troubles.report(now, None, &live, trouble, out),
            }
        }
    }

    /// The log that a path is a rotated file of, if we know of it.
    pub(super) fn live_of(&self, path: &Path) -> Option<PathBuf> {
        let (parent, name) = (path.parent()?, path.file_name()?);
        siblings::readings(name.as_bytes())
            .into_iter()
            .map(|reading| parent.join(std::ffi::OsString::from_vec(reading.live)))
            .find(|live| self.is_known(live))
    }

    fn is_known(&self, live: &Path) -> bool {
        let is_there = |at: &usize| self.candidates.get(*at).is_some_and(|c| c.stat.is_ok());
        self.by_path.get(live).is_some_and(is_there)
            || self.files.values().any(|file| file.path == live)
            || self.remembered.positions().any(|position| position.path == live)
    }
}
