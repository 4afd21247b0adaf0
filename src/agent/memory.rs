//! Files that are not followed now: gone, or not to be read since the start. What is known of them waits for the day when
//! they come back.

use crate::inputs::file::Placing;
use crate::state::{FileState, Lines};
use crate::tail::{FileKey, Placed, Progress};
use std::collections::BTreeMap;

/// So many are remembered.
const REMEMBERED_MAX: usize = 1_000;

/// Files that are not followed now, and in which order they went.
#[derive(Default)]
pub struct Memory {
    files: BTreeMap<FileKey, (u64, FileState)>,
    next: u64,
    /// By input: what the lines came to of files that are gone.
    gone: BTreeMap<String, Lines>,
}

impl Memory {
    /// As an earlier process left it.
    pub fn of(files: Vec<FileState>, gone: BTreeMap<String, Lines>) -> Memory {
        let mut memory = Memory { gone, ..Memory::default() };
        files.into_iter().for_each(|file| memory.insert(file));
        memory
    }

    fn insert(&mut self, file: FileState) {
        let file = FileState { followed: false, ..file };
        if let Some((_, former)) = self.files.insert(file.position.key, (self.next, file)) {
            self.count(&former.input, former.lines);
        }
        self.next += 1;
    }

    /// The lines of a file or stream that is gone: its input's from now on.
    pub fn count(&mut self, input: &str, lines: Lines) {
        *self.gone.entry(input.to_owned()).or_default() += lines;
    }

    /// A file that is followed no longer. Of too many, those that went first are forgotten.
    pub fn keep(&mut self, file: FileState) {
        self.count(&file.input, file.lines);
        self.insert(FileState { lines: Lines::default(), ..file });
        while self.files.len() > REMEMBERED_MAX
            && let Some(first) = self.files.iter().min_by_key(|(_, (age, _))| *age).map(|(key, _)| *key)
            && let Some((_, file)) = self.files.remove(&first)
        {
            self.count(&file.input, file.lines);
        }
    }

    /// What is known of a file that is followed again: under its key; or, if it has another one by now (written anew, or on
    /// another device number), by the place that was found in it. One that was replaced in place goes on as if it had been
    /// truncated while it was followed.
    pub fn recall(&mut self, place: &Placing, from: Progress, placed: Placed) -> Option<FileState> {
        if matches!(placed, Placed::Beginning | Placed::End) {
            // What was known under its key is of no use any more, and must not come back beside it.
            if let Some((_, former)) = self.files.remove(&place.key) {
                self.count(&former.input, former.lines);
            }
            return None;
        }
        if let Placed::Continued(old) = placed
            && old != place.key
            && let Some((_, file)) = self.files.remove(&old)
        {
            // The stream goes on under this key: under the old one it would be looked for for ever.
            if let Some((_, former)) = self.files.remove(&place.key) {
                self.count(&former.input, former.lines);
            }
            return Some(file);
        }
        let place_of = |progress: &Progress| (progress.offset, progress.anchor);
        let is_same = |file: &FileState| {
            placed == Placed::Resumed && place_of(&file.position.progress) == place_of(&from)
        };
        let key = match self.files.get(&place.key) {
            Some(_) => place.key,
            None => *self.files.iter().find(|(_, (_, file))| is_same(file))?.0,
        };
        self.files.remove(&key).map(|(_, file)| file)
    }

    /// Takes out those whose clock holds a line: a file that is not there to be read on.
    pub fn take_held(&mut self) -> Vec<FileState> {
        let holds = self.files.iter().filter(|(_, (_, file))| !file.held.is_empty());
        let keys: Vec<FileKey> = holds.map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.files.remove(key)).map(|(_, file)| file).collect()
    }

    /// Those that went first come first.
    pub fn files(&self) -> impl Iterator<Item = &FileState> {
        let mut files: Vec<&(u64, FileState)> = self.files.values().collect();
        files.sort_by_key(|(age, _)| *age);
        files.into_iter().map(|(_, file)| file)
    }

    /// By input: what the lines came to of files that are gone.
    pub fn gone(&self) -> &BTreeMap<String, Lines> {
        &self.gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::Position;
    use gatewatch_rules::clock::FileClock;
    use gatewatch_rules::watermark::Mark;
    use std::path::PathBuf;

    fn key(ino: u64) -> FileKey {
        FileKey { dev: 1, ino, birth: 0 }
    }

    fn file(ino: u64, rotations: u64) -> FileState {
        let position =
            Position { path: PathBuf::from("a.log"), key: key(ino), progress: Progress::default() };
        FileState {
            position,
            followed: true,
            input: "edge".into(),
            clock: FileClock::new(0, 1_000),
            mark: Mark::default(),
            read: 0,
            reading: None,
            held: b"held".to_vec(),
            lines: Lines { rotations, ..Lines::default() },
            late_needed: 0,
        }
    }

    #[test]
    fn a_stream_that_goes_on_under_another_key_is_known_under_that_only() {
        let mut memory = Memory::of(vec![file(1, 3), file(2, 4)], BTreeMap::new());
        let place = Placing { path: PathBuf::from("a.log"), input: 0, labels: Vec::new(), key: key(2) };
        let known = memory.recall(&place, Progress::default(), Placed::Continued(key(1))).unwrap();
        assert_eq!((known.position.key, known.held), (key(1), b"held".to_vec()));
        assert_eq!(memory.files().count(), 0);
        assert_eq!(memory.gone()["edge"].rotations, 4, "what was counted stays counted");
        // Of one that is followed there is nothing here.
        assert_eq!(memory.recall(&place, Progress::default(), Placed::Continued(key(1))), None);
    }
}
