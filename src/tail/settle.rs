//! What has become of the files that are followed: rotated, gone, truncated, back.

use super::Tailer;
use super::cursor::{Action, AtPath, Departure};
use super::event::{Event, FileId, Loss, Placed, Trouble};
use super::family::Why;
use super::identity::Stat;
use super::scan::Candidate;
use super::tracked::Tracked;
use gatewatch_parsers::Millis;
use std::io;

impl Tailer {
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
    pub(super) fn settle(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        if self.reconfigured && !self.place_again(id, now, out) {
            return;
        }
        let Some(file) = self.files.get(&id) else { return };
        if file.archive.is_some() {
            // It does not grow, and it ends when it was read.
            if let Some(file) = self.files.get_mut(&id) {
                file.due = now;
            }
            return;
        }
        let (at_path, mut own) = self.at_path(file);
        let Some(file) = self.files.get_mut(&id) else { return };
        if let Some(handle) = &file.handle
            && let Ok(stat) = Stat::of_file(handle)
        {
            own = Some(stat);
        }
        loop {
            let Some(file) = self.files.get_mut(&id) else { return };
            match file.cursor.decide(now, own.as_ref(), at_path) {
                Action::Wait | Action::Back => {}
                Action::Read => file.due = now,
                Action::Truncated => {
                    if self.truncated(id, now, out) {
                        continue;
                    }
                }
                Action::Left(departure) => {
                    out(match departure {
                        Departure::Rotated => Event::Rotated { file: id },
                        Departure::Gone => Event::Gone { file: id },
                    });
                    self.counters.rotations += u64::from(departure == Departure::Rotated);
                    if self.design.leave_at_once && departure == Departure::Rotated {
                        return self.finish(id, now, out);
                    }
                    continue;
                }
                Action::Release if own.is_some_and(|own| own.links > 0) => {
                    return self.finish(id, now, out);
                }
                Action::Release if own.is_some() => return self.end(id, now, out),
                Action::Release => {
                    // Closed when it was renamed: its inode has another name there.
                    own = self.open_again(id);
                    if own.is_some() {
                        continue;
                    }
                    self.lose(id, now, out);
                }
            }
            return;
        }
    }

    /// Lets go of a deleted file. Where it was compressed, the archive is known to be read from now on.
    fn end(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let Some(file) = self.files.get(&id) else { return };
        let (path, key) = (file.path.clone(), file.key);
        self.finish(id, now, out);
        let Some(position) = self.remembered.get(&key).cloned() else { return };
        if let Err(trouble) = self.catch_up(&path, &Why::Ended(position), None, now, out) {
            self.troubles.report(now, None, &path, trouble, out);
        }
    }

    fn open_again(&mut self, id: FileId) -> Option<Stat> {
        let file = self.files.get_mut(&id)?;
        file.reopen(self.design).ok()?;
        let stat = Stat::of_file(file.handle.as_ref()?).ok()?;
        self.open += 1;
        Some(self.design.stat(stat))
    }

    /// What was there before the offset is there no more: what was not read of it may be in a copy or an archive. False: that
    /// could not be looked at.
    pub(super) fn truncated(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) -> bool {
        let Some(file) = self.files.get(&id) else { return false };
        let (path, position) = (file.path.clone(), file.position());
        let why = Why::Displaced(position, Loss::Truncated);
        let before = match self.catch_up(&path, &why, Some(id), now, out) {
            Ok(before) => before,
            Err(trouble) => {
                self.troubles.report(now, Some(id), &path, trouble, out);
                return false;
            }
        };
        self.counters.truncations += 1;
        if let Some(file) = self.files.get_mut(&id) {
            file.truncated(now, out);
            self.come_after(id, before, now);
        }
        true
    }

    /// A file of which nothing was read yet, and which changed: what was written to it first may have been copied and truncated
    /// away, and its place does not show that. True: something of that is to be read before it.
    pub(super) fn was_emptied(
        &mut self,
        id: FileId,
        now: Millis,
        out: &mut impl FnMut(Event<'_>),
    ) -> Result<bool, Trouble> {
        let Some(file) = self.files.get(&id) else { return Ok(false) };
        let nothing_read = file.cursor.offset() == 0 && file.archive.is_none();
        let Some(handle) = file.handle.as_ref().filter(|_| nothing_read) else { return Ok(false) };
        let stamp = Stat::of_file(handle).map_err(|error| Trouble::from(&error))?.stamp;
        if file.checked == Some(stamp) {
            return Ok(false);
        }
        let path = file.path.clone();
        let before = self.catch_up(&path, &Why::New, Some(id), now, out)?;
        if let Some(file) = self.files.get_mut(&id) {
            file.checked = Some(stamp);
        }
        if before.is_some() {
            self.come_after(id, before, now);
        }
        Ok(before.is_some())
    }

    /// It was not open, and now its inode is nowhere: what was not read of it may be in an archive.
    pub(super) fn lose(&mut self, id: FileId, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let Some(file) = self.files.get(&id) else { return };
        let (path, position) = (file.path.clone(), file.position());
        let why = Why::Displaced(position, Loss::Gone);
        if let Err(trouble) = self.catch_up(&path, &why, Some(id), now, out) {
            return self.troubles.report(now, Some(id), &path, trouble, out);
        }
        // Found or said to be lost: nobody looks for it again.
        let found = self.files.get_mut(&id).map(|file| {
            file.cursor.end();
            file.position()
        });
        self.forget(id, now);
        out(Event::Dropped { file: id });
        if let Some(position) = found {
            self.tell_read(&path, &position, Placed::Resumed, out);
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
}
