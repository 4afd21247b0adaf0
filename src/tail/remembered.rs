//! Files that are not followed now, and where they stood.

use super::Position;
use super::identity::{FileKey, Stamp, Stat};
use gatewatch_parsers::Millis;
use std::collections::HashMap;
use std::path::Path;

/// Files let go are remembered, so that one that comes back (remounted, renamed into a pattern, written again) goes on
/// where it was: so many, and for so long after they were last seen.
const REMEMBERED_MAX: usize = 16_384;
const REMEMBERED_FOR: Millis = 24 * 3_600_000;

struct Memory {
    position: Position,
    /// As it was when read to its end, and its length then; `None`: to be looked at.
    whole: Option<(Stamp, u64)>,
    seen: Millis,
    /// Restored, and not found yet: it may be anywhere among the rotated files.
    missing: bool,
}

/// Files that are not followed now.
#[derive(Default)]
pub(super) struct Remembered {
    files: HashMap<FileKey, Memory>,
}

impl Remembered {
    /// `whole`: as it was when read to its end.
    pub(super) fn keep(&mut self, position: Position, whole: Option<&Stat>, now: Millis) {
        self.insert(Memory {
            position,
            whole: whole.map(|stat| (stat.stamp, stat.size)),
            seen: now,
            missing: false,
        });
    }

    /// An earlier process was there.
    pub(super) fn restore(&mut self, position: Position) {
        let missing = !position.progress.finished;
        self.insert(Memory { position, whole: None, seen: 0, missing });
    }

    fn insert(&mut self, memory: Memory) {
        let key = memory.position.key;
        if self.files.len() >= REMEMBERED_MAX
            && !self.files.contains_key(&key)
            && let Some(oldest) =
                self.files.values().min_by_key(|m| (m.seen, m.position.key)).map(|m| m.position.key)
        {
            self.files.remove(&oldest);
        }
        self.files.insert(key, memory);
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = &Position> {
        self.files.values().map(|memory| &memory.position)
    }

    pub(super) fn get(&self, key: &FileKey) -> Option<&Position> {
        self.files.get(key).map(|memory| &memory.position)
    }

    pub(super) fn forget(&mut self, key: &FileKey) {
        self.files.remove(key);
    }

    /// It is as we left it: nothing to open. A restored one is not yet known to be.
    pub(super) fn is_unchanged(&mut self, stat: &Stat, now: Millis) -> bool {
        self.files.get_mut(&stat.key).is_some_and(|memory| {
            memory.seen = now;
            memory.whole == Some((stat.stamp, stat.size))
        })
    }

    /// Not read to the end as far as we know, and not seen since the start.
    pub(super) fn missing(&self) -> impl Iterator<Item = &Position> {
        self.files.values().filter(|memory| memory.missing).map(|memory| &memory.position)
    }

    /// It is nowhere, and that was said.
    pub(super) fn give_up(&mut self, key: &FileKey) {
        if let Some(memory) = self.files.get_mut(key) {
            (memory.missing, memory.position.progress.finished) = (false, true);
        }
    }

    /// What may be the same file under another key (on another device number after a reboot, or written anew and moved
    /// over), furthest first.
    pub(super) fn at_path(&self, path: &Path) -> Vec<Position> {
        let here = self.positions().filter(|position| position.path == path);
        let mut here: Vec<Position> = here.filter(|position| position.progress.offset > 0).cloned().collect();
        here.sort_by_key(|position| (std::cmp::Reverse(position.progress.offset), position.key));
        here
    }

    pub(super) fn forget_old(&mut self, now: Millis) {
        self.files.retain(|_, memory| {
            if memory.seen == 0 {
                // Restored: its day begins now.
                memory.seen = now;
            }
            now.saturating_sub(memory.seen) < REMEMBERED_FOR
        });
    }
}
