//! One followed file: its descriptor and its cursor.

use super::cursor::{Cursor, Got, Progress};
use super::design::Design;
use super::event::{Counters, Event, FileId, Place, Trouble};
use super::identity::{ANCHOR_LEN, Compression, FileKey, HEAD_LEN, Print, Stamp, Stat, is_proof, read_at};
use super::open::{Found, open_regular};
use super::unpack::{self, Reached, Unpacked};
use super::{CHUNK, HOT_EVERY, HOT_FOR, Position, TURN};
use gatewatch_parsers::Millis;
use rustix::fs::SeekFrom;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirEntryExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// What was there before the offset is there no more.
    Replaced,
    /// What grows there is an archive.
    Compressed(Compression),
    /// An archive was read to its end: there will never be more.
    Ended,
    /// An archive holds more than can be true.
    Bomb,
}

/// A rotated file that was compressed.
#[derive(Default)]
pub(super) struct Archive {
    pub(super) compression: Compression,
    /// Decompresses from the cursor on; made when its turn comes.
    reader: Option<Unpacked>,
    /// As it was when reading began: one that changes meanwhile is not damaged, only not whole yet.
    pub(super) began: Option<Stamp>,
}

impl Archive {
    pub(super) fn of(compression: Compression) -> Option<Archive> {
        (compression != Compression::Plain).then(|| Archive { compression, ..Archive::default() })
    }
}

pub(super) struct Tracked {
    pub(super) id: FileId,
    pub(super) key: FileKey,
    /// The path of the log it belongs to: a rotated file's is that which it had before.
    pub(super) path: PathBuf,
    pub(super) input: usize,
    pub(super) labels: Vec<(String, String)>,
    /// `None`: closed for the sake of the limit, or after an error.
    pub(super) handle: Option<Arc<File>>,
    /// It is one; offsets are of what it holds.
    pub(super) archive: Option<Archive>,
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
    /// While nothing was read of it: as it was when its log's rotated files were looked at.
    pub(super) checked: Option<Stamp>,
}

impl Tracked {
    pub(super) fn place(&self) -> Place<'_> {
        Place { path: &self.path, input: self.input, labels: &self.labels, key: self.key }
    }

    pub(super) fn position(&self) -> Position {
        Position { path: self.path.clone(), key: self.key, progress: self.cursor.progress() }
    }

    /// Gives the receiver what came since the last visit, [`TURN`] bytes at most.
    pub(super) fn visit(
        &mut self,
        now: Millis,
        design: Design,
        buffer: &mut [u8],
        counters: &mut Counters,
        out: &mut impl FnMut(Event<'_>),
    ) -> io::Result<Visit> {
        if self.archive.is_some() {
            return self.visit_archive(now, buffer, counters, out);
        }
        let mut budget = TURN;
        while budget > 0 {
            let Some(file) = self.handle.as_ref() else { return Ok(Visit::Nothing) };
            // Before the read: what is written after it makes another stamp.
            let stat = Stat::of_file(file)?;
            let window = self.cursor.window();
            let room = buffer.get_mut(..window.check + CHUNK).unwrap_or_default();
            let length = read_once(file, room, window.from)?;
            let read = room.get(..length).unwrap_or_default();
            let got = match self.cursor.judge(read) {
                Got::Replaced if design.no_anchor => Got::More(read.get(window.check..).unwrap_or_default()),
                got => got,
            };
            let bytes = match got {
                // When it was written before, and not now, tells what was rotated in between.
                Got::Replaced => return Ok(Visit::Replaced),
                Got::More([]) => {
                    self.cursor.found_nothing(stat.stamp);
                    self.rest(now, out);
                    return Ok(Visit::Nothing);
                }
                Got::More(bytes) => bytes,
            };
            self.cursor.modified(stat.stamp);
            if self.cursor.offset() == 0 && Compression::of(bytes) != Compression::Plain {
                return Ok(Visit::Compressed(Compression::of(bytes)));
            }
            budget = budget.saturating_sub(bytes.len());
            let (nothing, bytes) = self.behind_hole(bytes);
            if !nothing.is_empty() {
                let before = self.cursor.offset();
                self.cursor.skip(nothing, now);
                if bytes.is_empty() {
                    self.cursor.jump(data_behind(file, self.cursor.offset(), stat.size), now);
                }
                counters.hole_bytes += self.cursor.offset() - before;
            }
            if !bytes.is_empty() {
                self.give(bytes, now, out);
            }
        }
        self.due = now;
        Ok(Visit::More)
    }

    /// The hole's part of what was read, and the rest.
    fn behind_hole<'b>(&self, bytes: &'b [u8]) -> (&'b [u8], &'b [u8]) {
        let data = || bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
        let hole = if self.in_hole { data() } else { 0 };
        bytes.split_at_checked(hole).unwrap_or((&[], bytes))
    }

    fn give(&mut self, bytes: &[u8], now: Millis, out: &mut impl FnMut(Event<'_>)) {
        let offset = self.cursor.offset();
        self.cursor.advance(bytes, now);
        (self.in_hole, self.idle, self.hot_until) = (false, false, now.saturating_add(HOT_FOR));
        out(Event::Chunk { file: self.id, offset, bytes, after: self.cursor.progress() });
    }

    fn visit_archive(
        &mut self,
        now: Millis,
        buffer: &mut [u8],
        counters: &mut Counters,
        out: &mut impl FnMut(Event<'_>),
    ) -> io::Result<Visit> {
        let (Some(file), Some(archive)) = (&self.handle, &mut self.archive) else {
            return Ok(Visit::Nothing);
        };
        let stat = Stat::of_file(file)?;
        let mut reader = match archive.reader.take() {
            Some(reader) => reader,
            None => {
                archive.began = Some(stat.stamp);
                match unpack::unpack_to(file, archive.compression, &self.cursor.progress(), now)? {
                    Reached::There(reader, cursor) => {
                        self.cursor = *cursor;
                        self.cursor.leave();
                        reader
                    }
                    Reached::Shorter | Reached::Other => return Ok(Visit::Replaced),
                }
            }
        };
        self.cursor.modified(stat.stamp);
        let mut budget = TURN;
        while budget > 0 {
            if self.cursor.offset() > unpack::most(stat.size) {
                return Ok(Visit::Bomb);
            }
            let room = buffer.get_mut(..CHUNK).unwrap_or_default();
            let length = match reader.read(room) {
                Ok(0) => return Ok(Visit::Ended),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            budget = budget.saturating_sub(length);
            counters.archive_bytes += length as u64;
            let (nothing, bytes) = self.behind_hole(room.get(..length).unwrap_or_default());
            if !nothing.is_empty() {
                self.cursor.skip(nothing, now);
                counters.hole_bytes += nothing.len() as u64;
            }
            if !bytes.is_empty() {
                self.give(bytes, now, out);
            }
        }
        if let Some(archive) = &mut self.archive {
            archive.reader = Some(reader);
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

    /// Opens it again: where its path leads to it, else wherever in that directory it is called something else now. The
    /// key proves that it is the file that was opened before, whatever the way there.
    pub(super) fn reopen(&mut self, design: Design) -> Result<(), Trouble> {
        let is_it = |path: &Path, found: Found<'_>| -> Result<Option<File>, Trouble> {
            let (file, stat) = open_regular(path, found)?;
            Ok((design.key(stat.key) == self.key).then_some(file))
        };
        // Where it is not, something else may be that cannot be opened.
        let here = if self.cursor.left().is_some() { None } else { is_it(&self.path, Found::Named)? };
        let found = match here {
            None => self.renamed().and_then(|path| is_it(&path, Found::Rotated).ok().flatten()),
            here => here,
        };
        self.handle = found.map(Arc::new);
        Ok(())
    }

    fn renamed(&self) -> Option<PathBuf> {
        let parent = self.path.parent()?;
        let here = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let mut entries = fs::read_dir(here).ok()?.filter_map(Result::ok);
        entries.find(|entry| entry.ino() == self.key.ino).map(|entry| entry.path())
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
        // Not read yet, or refilled since: the new one begins with all that the old one holds now.
        let own = self.handle.as_ref().map(|own| read_up_to(own, 0, CHUNK)).transpose()?.unwrap_or_default();
        if is_proof(&own) && own == read_up_to(file, 0, own.len())? {
            return Ok(true);
        }
        if self.cursor.offset() == 0 || !self.cursor.is_proof() {
            return Ok(false);
        }
        let mut room = [0; ANCHOR_LEN];
        let room = room.get_mut(..window.check).unwrap_or_default();
        let length = read_at(file, room, window.from)?;
        let same = matches!(self.cursor.judge(room.get(..length).unwrap_or_default()), Got::More(_));
        Ok(same && Print::of(&head_of(file, usize::from(progress.head.len))?) == progress.head)
    }
}

/// A file's first bytes.
pub(super) fn head_of(file: &File, length: usize) -> io::Result<Vec<u8>> {
    read_up_to(file, 0, length.min(HEAD_LEN))
}

/// So many bytes from there, fewer if the file ends.
pub(super) fn read_up_to(file: &File, from: u64, length: usize) -> io::Result<Vec<u8>> {
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
    let (file, stat) = open_regular(path, Found::Named).map_err(|trouble| match trouble {
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

/// Where the hole that begins there ends: asked of the filesystem, since it may be terabytes long. Filesystems that do not
/// know say that there is data at once.
fn data_behind(file: &File, offset: u64, size: u64) -> u64 {
    if offset >= size {
        return offset;
    }
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data.clamp(offset, size),
        // No data up to the end.
        Err(rustix::io::Errno::NXIO) => size,
        Err(_) => offset,
    }
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
