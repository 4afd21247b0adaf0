//! One followed file: its descriptor and its cursor.

use super::cursor::{Cursor, Got, Progress};
use super::design::Design;
use super::event::{Event, FileId, Place, Trouble};
use super::identity::{ANCHOR_LEN, Compression, FileKey, HEAD_LEN, Kind, Print, Stat, read_at};
use super::{CHUNK, HOT_EVERY, HOT_FOR, Position, TURN};
use gatewatch_parsers::Millis;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `O_NONBLOCK`: a pipe put where a log was must not hang us between looking and opening.
const O_NONBLOCK: i32 = if cfg!(target_os = "linux") { 0o4000 } else { 4 };

/// The buffer that all files share: what must still be there, then what is new.
pub(super) const BUFFER: usize = ANCHOR_LEN + CHUNK;

/// Never due by itself: only a scan or a hint brings it back.
const NEVER: Millis = Millis::MAX;

/// How a visit ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Its turn is over, not its bytes.
    More,
    /// Read to its end.
    Nothing,
    /// What grows there is an archive.
    Compressed(Compression),
}

pub(super) struct Tracked {
    pub(super) id: FileId,
    pub(super) key: FileKey,
    pub(super) path: PathBuf,
    pub(super) input: usize,
    pub(super) labels: Vec<(String, String)>,
    /// `None`: closed for the sake of the limit, or after an error.
    pub(super) handle: Option<File>,
    pub(super) cursor: Cursor,
    /// Not before this one, which had the path, is read to its end.
    pub(super) after: Option<FileId>,
    /// When to look again.
    pub(super) due: Millis,
    /// Until when it counts as giving lines.
    pub(super) hot_until: Millis,
    /// Nothing but NUL so far: the hole that a writer without `O_APPEND` leaves before a truncated file's new lines.
    pub(super) in_hole: bool,
    pub(super) idle: bool,
}

impl Tracked {
    pub(super) fn place(&self) -> Place<'_> {
        Place { path: &self.path, input: self.input, labels: &self.labels, key: self.key }
    }

    /// Gives the receiver what came since the last visit, [`TURN`] bytes at most.
    pub(super) fn visit(
        &mut self,
        now: Millis,
        design: Design,
        buffer: &mut [u8],
        out: &mut impl FnMut(Event<'_>),
    ) -> io::Result<Visit> {
        let mut budget = TURN;
        while budget > 0 {
            let Some(file) = self.handle.as_ref() else { return Ok(Visit::Nothing) };
            // Before the read: what is written after it makes another stamp.
            let stamp = Stat::of_file(file)?.stamp;
            self.cursor.modified(stamp);
            let window = self.cursor.window();
            let room = buffer.get_mut(..window.check + CHUNK).unwrap_or_default();
            let length = read_once(file, room, window.from)?;
            let read = room.get(..length).unwrap_or_default();
            let got = match self.cursor.judge(read) {
                Got::Replaced if design.no_anchor => Got::More(read.get(window.check..).unwrap_or_default()),
                got => got,
            };
            let bytes = match got {
                Got::Replaced => {
                    self.truncated(now, out);
                    continue;
                }
                Got::More([]) => {
                    self.cursor.found_nothing(stamp);
                    self.rest(now, out);
                    return Ok(Visit::Nothing);
                }
                Got::More(bytes) => bytes,
            };
            if self.cursor.offset() == 0 && Compression::of(bytes) != Compression::Plain {
                return Ok(Visit::Compressed(Compression::of(bytes)));
            }
            budget = budget.saturating_sub(bytes.len());
            let hole =
                if self.in_hole { bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len()) } else { 0 };
            let (nothing, bytes) = bytes.split_at_checked(hole).unwrap_or((&[], bytes));
            if !nothing.is_empty() {
                self.cursor.skip(nothing, now);
            }
            if !bytes.is_empty() {
                self.in_hole = false;
                let offset = self.cursor.offset();
                self.cursor.advance(bytes, now);
                (self.idle, self.hot_until) = (false, now.saturating_add(HOT_FOR));
                out(Event::Chunk { file: self.id, offset, bytes, after: self.cursor.progress() });
            }
        }
        self.due = now;
        Ok(Visit::More)
    }

    pub(super) fn truncated(&mut self, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        self.cursor.reset(now);
        (self.in_hole, self.idle, self.due) = (true, false, now);
        out(Event::Truncated { file: self.id });
    }

    /// Read to its end: looked at again soon if it gave lines lately.
    fn rest(&mut self, now: Millis, out: &mut impl FnMut(Event<'_>)) {
        self.due = if now < self.hot_until { now.saturating_add(HOT_EVERY) } else { NEVER };
        if !self.idle {
            self.idle = true;
            out(Event::Idle { file: self.id });
        }
    }

    /// Opens it again where its path still leads to it.
    pub(super) fn reopen(&mut self, path: &Path, design: Design) -> Result<(), Trouble> {
        let (file, stat) = open_regular(path)?;
        if design.key(stat.key) == self.key {
            self.handle = Some(file);
        }
        Ok(())
    }

    /// Closes it; its path leads back to it.
    pub(super) fn close(&mut self, open: &mut usize) {
        if self.handle.take().is_some() {
            *open = open.saturating_sub(1);
        }
    }

    /// Another inode that begins like this file and has the same bytes before the offset: written anew and moved over
    /// it. The stream goes on there.
    pub(super) fn continues_in(&self, file: &File) -> io::Result<bool> {
        let progress = self.cursor.progress();
        let window = self.cursor.window();
        if window.check == 0 || self.cursor.offset() == 0 {
            return Ok(false);
        }
        let mut room = [0; ANCHOR_LEN];
        let room = room.get_mut(..window.check).unwrap_or_default();
        let length = read_at(file, room, window.from)?;
        let same = matches!(self.cursor.judge(room.get(..length).unwrap_or_default()), Got::More(_));
        Ok(same && Print::of(&head_of(file, usize::from(progress.head.len))?) == progress.head)
    }
}

/// Opens a regular file, and nothing else, without ever hanging.
pub(super) fn open_regular(path: &Path) -> Result<(File, Stat), Trouble> {
    let open = || -> io::Result<(File, Stat)> {
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
        let stat = Stat::of_file(&file)?;
        Ok((file, stat))
    };
    let (file, stat) = open().map_err(|error| Trouble::from(&error))?;
    if stat.kind == Kind::Regular { Ok((file, stat)) } else { Err(Trouble::NotRegular(stat.kind)) }
}

/// A file's first bytes.
pub(super) fn head_of(file: &File, length: usize) -> io::Result<Vec<u8>> {
    read_up_to(file, 0, length.min(HEAD_LEN))
}

/// So many bytes from there, fewer if the file ends.
fn read_up_to(file: &File, from: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut room = vec![0; length];
    let found = read_at(file, &mut room, from)?;
    room.truncate(found);
    Ok(room)
}

/// A cursor where `progress` stood, if the file has the evidence that it is the same.
pub(super) fn resume(
    file: &File,
    progress: &Progress,
    design: Design,
    now: Millis,
) -> io::Result<Option<Cursor>> {
    let head = head_of(file, usize::from(progress.head.len))?;
    let length = usize::from(progress.anchor.len).min(ANCHOR_LEN);
    let Some(from) = progress.offset.checked_sub(length as u64) else { return Ok(None) };
    let before = read_up_to(file, from, length)?;
    let whole = before.len() == length;
    let same = (Print::of(&head) == progress.head || (design.inode_only && whole))
        && (Print::of(&before) == progress.anchor || (whole && (design.inode_only || design.no_anchor)));
    Ok(same.then(|| Cursor::resumed(progress, &before, &head, now)))
}

/// A cursor at the end of the last whole line, so that a line being written now comes whole.
pub(super) fn at_end(file: &File, size: u64, now: Millis) -> io::Result<Cursor> {
    const BACK: u64 = 64 * 1024;
    let from = size.saturating_sub(BACK);
    let room = read_up_to(file, from, usize::try_from(size - from).unwrap_or(0))?;
    let end = memchr::memrchr(b'\n', &room).map_or(if from == 0 { 0 } else { room.len() }, |at| at + 1);
    let before = room.get(..end).unwrap_or_default();
    Ok(Cursor::new(from + end as u64, before, &head_of(file, HEAD_LEN)?, now))
}

/// A position there, of a file as it is now: for who knows by other means how far it was counted. `offset` begins a line.
///
/// # Errors
/// It cannot be read, is no regular file, is an archive, or is shorter.
pub fn position_at(path: &Path, offset: u64) -> io::Result<Position> {
    let refused = |trouble: Trouble| io::Error::new(io::ErrorKind::InvalidInput, trouble.to_string());
    let (file, stat) = open_regular(path).map_err(|trouble| match trouble {
        Trouble::Io { kind, text } => io::Error::new(kind, text),
        other => refused(other),
    })?;
    let head = head_of(&file, HEAD_LEN)?;
    let what = Compression::of(&head);
    if what != Compression::Plain {
        return Err(refused(Trouble::Compressed(what)));
    }
    if offset > stat.size {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("has {} bytes only", stat.size)));
    }
    let before = read_up_to(&file, offset.saturating_sub(ANCHOR_LEN as u64), ANCHOR_LEN)?;
    let before = before.get(..usize::try_from(offset).unwrap_or(usize::MAX).min(before.len()));
    let mut cursor = Cursor::new(offset, before.unwrap_or_default(), &head, 0);
    cursor.modified(stat.stamp);
    Ok(Position { path: path.to_path_buf(), key: stat.key, progress: cursor.progress() })
}

/// One read: bytes that two reads put together might be of two files if it is truncated between them.
fn read_once(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, from) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
