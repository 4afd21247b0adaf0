//! Where we are in one file, and what to do next: pure, so that every order of events can be tried in a table.
//!
//! The invariant: the bytes handed out since the last [`Cursor::reset`] are the file's bytes from its beginning (or from
//! where we began) up to `offset`, each once. Every read begins a little before the offset and compares what it finds there
//! with what was there (see [`Cursor::window`]): whatever happened to the file in between, no byte behind a changed anchor
//! is taken for a continuation.

use super::identity::{ANCHOR_LEN, FIRST_LEN, HEAD_LEN, Print, Stamp, Stat, is_proof};
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

/// A deleted file is let go after so long without a new byte. Only a writer that still has it open can add one, and
/// then it is the writer that keeps the disk full.
pub const GRACE_DELETED: Millis = 10_000;
/// A rotated file is let go after so long without a new byte, once its successor is being written. Proxies write on into
/// the old file until they are told to reopen, which may take a `sleep` in a postrotate script.
pub const GRACE_ROTATED: Millis = 30_000;
/// The same while no successor is being written: nobody has told the writer yet.
pub const GRACE_ALONE: Millis = 600_000;

/// How far a file was handed out in whole lines, with the evidence to find the place again: what a snapshot keeps.
/// A cut line is read again after a restart, never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Just after the last line feed handed out.
    pub offset: u64,
    /// Fingerprint of the bytes just before `offset`.
    pub anchor: Print,
    /// Fingerprint of the file's first bytes.
    pub head: Print,
    /// Fingerprint of fewer of them, by which a copy shorter than the head is known.
    #[serde(default)]
    pub first: Print,
    /// When the file was last written, as seen before that was read; nanoseconds since the epoch.
    #[serde(default)]
    pub modified: i64,
    /// It was read to its confirmed end: nothing of it is missed when it is gone.
    #[serde(default)]
    pub finished: bool,
}

impl Progress {
    /// The same file from its beginning, after it was truncated: when it was written before tells what is rotated since.
    #[must_use]
    pub fn restarted(self) -> Progress {
        Progress { modified: self.modified, ..Progress::default() }
    }
}

/// What the file's path shows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPath {
    /// This very file.
    Same,
    /// Another file; has it any bytes yet?
    Other {
        /// The successor is being written.
        written: bool,
    },
    /// Nothing at all.
    Nothing,
    /// We could not look. That is never "gone".
    Unknown,
}

/// The path no longer leads to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Another file took its path.
    Rotated,
    /// Its path is empty: deleted, or renamed and not created again yet.
    Gone,
}

/// What to do with a file now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read from [`Cursor::window`].
    Read,
    /// It is shorter than what was read: begin again, at 0.
    Truncated,
    /// The path no longer leads here: say so, and read the old file on.
    Left(Departure),
    /// The path leads here again.
    Back,
    /// Nothing to do.
    Wait,
    /// Left, read to its end, and quiet for long enough: let go of it.
    Release,
}

/// Where a read begins: `check` bytes that must be what they were, then what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Offset of the first byte to read.
    pub from: u64,
    /// So many bytes are known already.
    pub check: usize,
}

/// What a read at the [`Window`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got<'b> {
    /// The bytes that follow; empty: nothing more.
    More(&'b [u8]),
    /// The bytes before the offset are not those that were there: truncated and refilled.
    Replaced,
}

/// The place in one file.
#[derive(Clone, Debug)]
pub struct Cursor {
    offset: u64,
    recent: [u8; ANCHOR_LEN],
    recent_len: usize,
    progress: Progress,
    /// The file's first bytes, until there are [`HEAD_LEN`] of them.
    head: Vec<u8>,
    /// As the file was when a read last found nothing more.
    quiet: Option<Stamp>,
    left: Option<Departure>,
    /// When a byte came last, or the path changed.
    moved: Millis,
}

impl Cursor {
    /// At `offset`, with the bytes just before it (the last [`ANCHOR_LEN`], if there are so many) and the file's first bytes,
    /// [`HEAD_LEN`] at most.
    #[must_use]
    pub fn new(offset: u64, before: &[u8], head: &[u8], now: Millis) -> Cursor {
        let mut cursor = Cursor {
            offset,
            recent: [0; ANCHOR_LEN],
            recent_len: 0,
            progress: Progress {
                offset,
                anchor: Print::of(last(before)),
                head: Print::of(head),
                first: first(head),
                ..Progress::default()
            },
            head: if head.len() < HEAD_LEN { head.to_vec() } else { Vec::new() },
            quiet: None,
            left: None,
            moved: now,
        };
        cursor.remember(before);
        cursor
    }

    /// Where an earlier one stood, with the bytes that proved it.
    #[must_use]
    pub fn resumed(progress: &Progress, before: &[u8], head: &[u8], now: Millis) -> Cursor {
        let mut cursor = Cursor::new(progress.offset, before, head, now);
        cursor.progress.modified = progress.modified;
        cursor
    }

    /// At the beginning.
    #[must_use]
    pub fn at_beginning(now: Millis) -> Cursor {
        Cursor::new(0, &[], &[], now)
    }

    /// At the beginning of a file that begins so: until it is read, a copy of it is known by that.
    #[must_use]
    pub fn before_all(head: &[u8], now: Millis) -> Cursor {
        Cursor::new(0, &[], head, now)
    }

    /// The next byte that will be handed out.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What to keep for a restart.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether what was read tells this file from any other.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        let before = self.recent.get(..self.recent_len).unwrap_or_default();
        self.offset == 0 || self.offset >= FIRST_LEN as u64 || is_proof(before)
    }

    /// The path no longer leads here.
    #[must_use]
    pub fn left(&self) -> Option<Departure> {
        self.left
    }

    /// When a byte came last, or the path changed.
    #[must_use]
    pub fn moved(&self) -> Millis {
        self.moved
    }

    /// The last read found nothing more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet.is_some()
    }

    /// What to do, given what the file says of itself (`None`: it is not open, or did not answer) and what its path shows.
    /// Ask again after each answer but `Wait` and `Release`.
    pub fn decide(&mut self, now: Millis, own: Option<&Stat>, at_path: AtPath) -> Action {
        let left = match at_path {
            AtPath::Same => None,
            AtPath::Other { .. } => Some(Departure::Rotated),
            AtPath::Nothing => Some(self.left.unwrap_or(Departure::Gone)),
            AtPath::Unknown => self.left,
        };
        if left != self.left {
            self.left = left;
            self.moved = now;
            return left.map_or(Action::Back, Action::Left);
        }
        let Some(stat) = own else {
            // A closed file that no path leads to can never be read again.
            let lost = matches!(at_path, AtPath::Other { .. } | AtPath::Nothing);
            return if lost { Action::Release } else { Action::Wait };
        };
        if stat.size < self.offset {
            return Action::Truncated;
        }
        // The stamp, since a file refilled to the same length looks like one that nobody touched.
        if stat.size > self.offset || self.quiet != Some(stat.stamp) {
            return Action::Read;
        }
        let grace = match at_path {
            AtPath::Same | AtPath::Unknown => return Action::Wait,
            _ if stat.links == 0 => GRACE_DELETED,
            AtPath::Other { written: true } => GRACE_ROTATED,
            AtPath::Other { written: false } | AtPath::Nothing => GRACE_ALONE,
        };
        if now.saturating_sub(self.moved) >= grace { Action::Release } else { Action::Wait }
    }

    /// Where the next read has to begin.
    #[must_use]
    pub fn window(&self) -> Window {
        Window { from: self.offset.saturating_sub(self.recent_len as u64), check: self.recent_len }
    }

    /// What a read at [`Cursor::window`] found.
    #[must_use]
    pub fn judge<'b>(&self, read: &'b [u8]) -> Got<'b> {
        // Before nothing there is nothing: but how it began when it was placed is known, and was not read yet.
        let known = usize::from(self.progress.head.len);
        if self.offset == 0 && known > 0 && read.get(..known).map(Print::of) != Some(self.progress.head) {
            return Got::Replaced;
        }
        match read.split_at_checked(self.recent_len) {
            Some((before, more)) if Some(before) == self.recent.get(..self.recent_len) => Got::More(more),
            _ => Got::Replaced,
        }
    }

    /// These bytes were handed out.
    pub fn advance(&mut self, bytes: &[u8], now: Millis) {
        self.extend_head(bytes);
        let line_end = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let (whole, cut) = bytes.split_at_checked(line_end).unwrap_or((bytes, &[]));
        self.remember(whole);
        self.offset += whole.len() as u64;
        if !whole.is_empty() {
            self.mark();
        }
        self.remember(cut);
        self.offset += cut.len() as u64;
        self.quiet = None;
        self.moved = now;
        self.progress.finished = false;
    }

    /// The file was last written then, and what is read from now on is at least as new.
    pub fn modified(&mut self, stamp: Stamp) {
        let nanos = i64::try_from(stamp.modified).unwrap_or(i64::MAX);
        self.progress.modified = self.progress.modified.max(nanos);
    }

    /// This is its confirmed end.
    pub fn finish(&mut self) {
        self.mark();
        self.progress.finished = true;
    }

    /// It is not read on, whatever it holds.
    pub fn end(&mut self) {
        self.progress.finished = true;
    }

    /// These bytes were left out: the hole before a truncated file's new beginning. What follows begins a line.
    pub fn skip(&mut self, bytes: &[u8], now: Millis) {
        self.advance(bytes, now);
        self.mark();
    }

    /// A hole was left out, up to there: nothing but NUL, which nobody has to read to know.
    pub fn jump(&mut self, to: u64, now: Millis) {
        let zeros = [0; HEAD_LEN];
        let length = usize::try_from(to.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let zeros = zeros.get(..length).unwrap_or(&zeros);
        self.extend_head(zeros);
        self.remember(zeros);
        self.offset = self.offset.max(to);
        self.mark();
        (self.quiet, self.moved, self.progress.finished) = (None, now, false);
    }

    /// The path shows another file: this one is a rotated one from the start.
    pub fn leave(&mut self) {
        self.left = Some(Departure::Rotated);
    }

    /// The cut line at the end was handed out as it is: it will not be read again.
    pub fn mark(&mut self) {
        self.progress.offset = self.offset;
        self.progress.anchor = Print::of(self.recent.get(..self.recent_len).unwrap_or_default());
    }

    /// A read found nothing more, of the file as it was with this stamp, taken *before* the read.
    pub fn found_nothing(&mut self, before: Stamp) {
        self.quiet = Some(before);
    }

    /// Begin again, at 0.
    pub fn reset(&mut self, now: Millis) {
        let (left, progress) = (self.left, self.progress.restarted());
        *self = Cursor::at_beginning(now);
        (self.left, self.progress) = (left, progress);
    }

    fn extend_head(&mut self, bytes: &[u8]) {
        if self.offset == 0 {
            // What it began with when it was placed may be there no more.
            self.head.clear();
            (self.progress.head, self.progress.first) = (Print::default(), Print::default());
        }
        let known = usize::from(self.progress.head.len);
        if known < HEAD_LEN
            && let Some(skip) = (known as u64).checked_sub(self.offset)
            && let Some(more) = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..))
            && !more.is_empty()
        {
            self.head.extend_from_slice(more.get(..HEAD_LEN - known).unwrap_or(more));
            self.progress.head = Print::of(&self.head);
            if usize::from(self.progress.first.len) < FIRST_LEN {
                self.progress.first = first(&self.head);
            }
            if self.head.len() >= HEAD_LEN {
                self.head = Vec::new();
            }
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        let bytes = last(bytes);
        let keep = self.recent_len.min(ANCHOR_LEN - bytes.len());
        self.recent.copy_within(self.recent_len - keep..self.recent_len, 0);
        if let Some(room) = self.recent.get_mut(keep..keep + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.recent_len = keep + bytes.len();
    }
}

fn first(head: &[u8]) -> Print {
    Print::of(head.get(..FIRST_LEN).unwrap_or(head))
}

/// The last [`ANCHOR_LEN`] bytes.
fn last(bytes: &[u8]) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(ANCHOR_LEN)..).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::identity::{FileKey, Kind};
    use super::*;
    use proptest::prelude::*;

    fn stat(size: u64, tick: i128, links: u64) -> Stat {
        Stat {
            key: FileKey { dev: 1, ino: 2, birth: 3 },
            size,
            links,
            stamp: Stamp { modified: tick, changed: tick },
            kind: Kind::Regular,
        }
    }

    /// A cursor that has read 10 bytes at time 0 and found nothing more of the file at tick 1.
    fn at_ten() -> Cursor {
        let mut cursor = Cursor::at_beginning(0);
        cursor.advance(b"123456789\n", 0);
        cursor.found_nothing(stat(10, 1, 1).stamp);
        cursor
    }

    /// (time, size tick links, what the path shows, the answers in order)
    type Step = (Millis, Option<(u64, i128, u64)>, AtPath, Vec<Action>);

    fn try_out(cases: Vec<(&str, Vec<Step>)>) {
        for (name, steps) in cases {
            let mut cursor = at_ten();
            for (now, own, path, want) in steps {
                let own = own.map(|(size, tick, links)| stat(size, tick, links));
                for want in want {
                    assert_eq!(cursor.decide(now, own.as_ref(), path), want, "{name} at {now}");
                }
            }
        }
    }

    const WRITTEN: AtPath = AtPath::Other { written: true };
    const EMPTY: AtPath = AtPath::Other { written: false };

    #[test]
    fn the_head_of_a_file_not_read_yet() {
        let mut cursor = Cursor::before_all(b"seen\n", 0);
        assert_eq!((cursor.progress().offset, cursor.progress().head), (0, Print::of(b"seen\n")));
        // Refilled before it was read: what is read counts.
        cursor.advance(b"other\n", 0);
        assert_eq!(cursor.progress().head, Print::of(b"other\n"));
        cursor.advance(b"more\n", 0);
        assert_eq!(cursor.progress().head, Print::of(b"other\nmore\n"));
    }

    #[test]
    fn at_its_path() {
        use AtPath::{Nothing, Same, Unknown};
        try_out(vec![
            ("untouched", vec![(1_000, Some((10, 1, 1)), Same, vec![Action::Wait])]),
            ("grown", vec![(1_000, Some((15, 2, 1)), Same, vec![Action::Read])]),
            ("shorter", vec![(1_000, Some((9, 2, 1)), Same, vec![Action::Truncated])]),
            ("same length, touched", vec![(1_000, Some((10, 2, 1)), Same, vec![Action::Read])]),
            ("scan failed", vec![(9_999_999, Some((10, 1, 1)), Unknown, vec![Action::Wait])]),
            ("not open, at its path", vec![(9_999_999, None, Same, vec![Action::Wait])]),
            (
                "closed and gone",
                vec![(1_000, None, Nothing, vec![Action::Left(Departure::Gone), Action::Release])],
            ),
        ]);
    }

    #[test]
    fn departures() {
        use AtPath::{Nothing, Same, Unknown};
        try_out(vec![
            (
                "rotated, successor written",
                vec![
                    (1_000, Some((10, 1, 1)), WRITTEN, vec![Action::Left(Departure::Rotated), Action::Wait]),
                    (30_999, Some((10, 1, 1)), WRITTEN, vec![Action::Wait]),
                    (30_999, Some((12, 2, 1)), WRITTEN, vec![Action::Read]),
                    (31_000, Some((10, 1, 1)), WRITTEN, vec![Action::Release]),
                ],
            ),
            (
                "rotated, the writer not told yet",
                vec![
                    (1_000, Some((10, 1, 1)), EMPTY, vec![Action::Left(Departure::Rotated), Action::Wait]),
                    (600_999, Some((10, 1, 1)), EMPTY, vec![Action::Wait]),
                    (601_000, Some((10, 1, 1)), EMPTY, vec![Action::Release]),
                ],
            ),
            (
                "renamed, created later",
                vec![
                    (1_000, Some((10, 1, 1)), Nothing, vec![Action::Left(Departure::Gone), Action::Wait]),
                    (2_000, Some((10, 1, 1)), WRITTEN, vec![Action::Left(Departure::Rotated), Action::Wait]),
                    (31_999, Some((10, 1, 1)), WRITTEN, vec![Action::Wait]),
                    (32_000, Some((10, 1, 1)), WRITTEN, vec![Action::Release]),
                ],
            ),
            (
                "renamed and back",
                vec![
                    (1_000, Some((10, 1, 1)), Nothing, vec![Action::Left(Departure::Gone), Action::Wait]),
                    (2_000, Some((10, 1, 1)), Same, vec![Action::Back, Action::Wait]),
                ],
            ),
            (
                "deleted",
                vec![
                    (1_000, Some((10, 1, 0)), Nothing, vec![Action::Left(Departure::Gone), Action::Wait]),
                    (10_999, Some((10, 1, 0)), Nothing, vec![Action::Wait]),
                    (11_000, Some((10, 1, 0)), Nothing, vec![Action::Release]),
                ],
            ),
            (
                "left, then the scan fails",
                vec![
                    (1_000, Some((10, 1, 1)), WRITTEN, vec![Action::Left(Departure::Rotated), Action::Wait]),
                    (99_000, Some((10, 1, 1)), Unknown, vec![Action::Wait]),
                    (99_000, Some((10, 1, 1)), WRITTEN, vec![Action::Release]),
                ],
            ),
        ]);
    }

    #[test]
    fn progress_stops_at_whole_lines() {
        let mut cursor = Cursor::at_beginning(0);
        cursor.advance(b"one\ntw", 0);
        assert_eq!((cursor.offset(), cursor.progress().offset), (6, 4));
        assert_eq!(cursor.progress().anchor, Print::of(b"one\n"));
        cursor.advance(b"o", 0);
        assert_eq!(cursor.progress().anchor, Print::of(b"one\n"));
        cursor.advance(b"\n", 0);
        assert_eq!(cursor.progress().anchor, Print::of(b"one\ntwo\n"));
        assert_eq!(cursor.progress().head, Print::of(b"one\ntwo\n"));
        cursor.advance(&[b'x'; 2_000], 0);
        assert_eq!((cursor.offset(), cursor.progress().offset), (2_008, 8));
        assert_eq!(usize::from(cursor.progress().head.len), HEAD_LEN);
        cursor.mark();
        assert_eq!(cursor.progress().anchor, Print::of(&[b'x'; ANCHOR_LEN]));
    }

    #[test]
    fn the_head_is_known_before_the_place() {
        // Begun at 6 of 12 bytes with the first 8 seen: the head goes on where it stopped.
        let mut cursor = Cursor::new(6, b"012345", b"01234567", 0);
        cursor.advance(b"6789ab", 0);
        assert_eq!(cursor.progress().head, Print::of(b"0123456789ab"));
    }

    #[test]
    fn a_changed_anchor_is_no_continuation() {
        let cursor = at_ten();
        assert_eq!(cursor.window(), Window { from: 0, check: 10 });
        assert_eq!(cursor.judge(b"123456789\nmore"), Got::More(b"more"));
        assert_eq!(cursor.judge(b"123456789\n"), Got::More(b""));
        assert_eq!(cursor.judge(b"12345678"), Got::Replaced);
        assert_eq!(cursor.judge(b"\0\0\0\0\0\0\0\0\0\0more"), Got::Replaced);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Append(usize),
        Truncate,
        Refill(usize),
        Poll(usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => (1usize..40).prop_map(Op::Append),
            1 => Just(Op::Truncate),
            1 => (0usize..80).prop_map(Op::Refill),
            5 => (1usize..300).prop_map(Op::Poll),
        ];
        proptest::collection::vec(op, 1..60)
    }

    proptest! {
        /// Whatever happens to a file, what was handed out since the last reset is how the file begins.
        #[test]
        fn handed_out_is_a_prefix(ops in ops()) {
            let (mut file, mut given) = (Vec::<u8>::new(), Vec::<u8>::new());
            let mut cursor = Cursor::at_beginning(0);
            let (mut tick, mut number) = (0i128, 0u32);
            for op in ops.into_iter().chain([Op::Poll(10_000), Op::Poll(10_000), Op::Poll(10_000)]) {
                match op {
                    Op::Append(lines) | Op::Refill(lines) => {
                        if matches!(op, Op::Refill(_)) {
                            file.clear();
                        }
                        for _ in 0..lines {
                            number += 1;
                            file.extend_from_slice(format!("{number}\n").as_bytes());
                        }
                        tick += 1;
                    }
                    Op::Truncate => {
                        file.clear();
                        tick += 1;
                    }
                    Op::Poll(most) => {
                        let stat = stat(file.len() as u64, tick, 1);
                        let action = cursor.decide(0, Some(&stat), AtPath::Same);
                        if action == Action::Truncated {
                            cursor.reset(0);
                            given.clear();
                        } else if action == Action::Read {
                            let window = cursor.window();
                            let from = usize::try_from(window.from).unwrap().min(file.len());
                            let to = (from + window.check + most).min(file.len());
                            match cursor.judge(&file[from..to]) {
                                Got::Replaced => {
                                    cursor.reset(0);
                                    given.clear();
                                }
                                Got::More([]) => cursor.found_nothing(stat.stamp),
                                Got::More(bytes) => {
                                    given.extend_from_slice(bytes);
                                    let bytes = bytes.to_vec();
                                    cursor.advance(&bytes, 0);
                                }
                            }
                        }
                        prop_assert!(file.starts_with(&given));
                        prop_assert_eq!(given.len() as u64, cursor.offset());
                        let progress = cursor.progress();
                        let whole = usize::try_from(progress.offset).unwrap();
                        prop_assert_eq!(progress.anchor, Print::of(last(&given[..whole])));
                        prop_assert_eq!(progress.head, Print::of(&given[..given.len().min(HEAD_LEN)]));
                    }
                }
            }
            prop_assert_eq!(given, file);
        }
    }
}
