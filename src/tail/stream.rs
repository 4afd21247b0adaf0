//! A stream of lines that is known, and whether another file holds it, too: its copy, its archive, or it under another name.

use super::cursor::{Cursor, Progress};
use super::event::FileId;
use super::identity::{Compression, FIRST_LEN, FileKey, HEAD_LEN, Print, Stat, is_proof};
use super::tracked::{Tracked, read_up_to, resume};
use super::unpack::{self, Reached};
use super::{Design, Position, siblings};
use gatewatch_parsers::Millis;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// So many first bytes of a file that is open and of another one are compared.
pub(super) const PROBE: usize = 64 * 1024;

/// One that was known, and whether it was found.
pub(super) struct Stream {
    pub(super) position: Position,
    /// It is open, and read from there.
    pub(super) is_followed: bool,
    /// If so: which, and its length if no path leads to it any more.
    pub(super) orphan: Option<(FileId, u64)>,
    /// And how it begins.
    pub(super) own: Vec<u8>,
    /// It may not have been read to its end.
    pub(super) is_wanted: bool,
    /// Some path of ours leads to it, where it is or will be followed.
    pub(super) is_elsewhere: bool,
    pub(super) located: bool,
}

impl Stream {
    pub(super) fn remembered(position: Position, is_wanted: bool) -> Stream {
        Stream {
            position,
            is_followed: false,
            orphan: None,
            own: Vec::new(),
            is_wanted,
            is_elsewhere: false,
            located: false,
        }
    }

    pub(super) fn followed(file: &Tracked) -> Stream {
        let plain = file.handle.as_ref().filter(|_| file.archive.is_none());
        // What cannot be read now is known by what was read of it.
        let own = plain.and_then(|handle| read_up_to(handle, 0, PROBE).ok()).unwrap_or_default();
        let stat = plain.and_then(|handle| Stat::of_file(handle).ok()).filter(|stat| stat.links == 0);
        let orphan = stat.map(|stat| (file.id, stat.size));
        let position = file.position();
        Stream { is_followed: true, orphan, own, ..Stream::remembered(position, false) }
    }

    /// Whether this is another place in the same stream, and no earlier one: its archive, which is read or was.
    pub(super) fn is_beyond(&self, other: &Stream) -> bool {
        let (own, of) = (&self.position, &other.position);
        let (own, of, is_other) = (&own.progress, &of.progress, own.key != of.key);
        // What was read on may have a longer head by now.
        let grown = own.head.len > of.head.len && usize::from(of.first.len) == FIRST_LEN;
        let same = of.head.len > 0 && own.head == of.head || grown && own.first == of.first;
        is_other && same && own.offset >= of.offset
    }

    /// Whether a file that begins so may be this one, or a copy of it.
    pub(super) fn begins(&self, head: &[u8]) -> bool {
        let Progress { head: known, first, .. } = self.position.progress;
        let as_print = |of: Print| {
            let bytes = head.get(..usize::from(of.len)).filter(|bytes| is_proof(bytes));
            bytes.is_some_and(|bytes| Print::of(bytes) == of)
        };
        let as_known = as_print(known);
        let as_first = head.len() < usize::from(known.len) && as_print(first);
        let shorter = head.len().min(self.own.len());
        let as_own = head.get(..shorter).filter(|bytes| is_proof(bytes)) == self.own.get(..shorter);
        // It may have been refilled since it was read: what it held then counts, too.
        as_known || as_first || as_own
    }
}

/// Whether files of that path belong to this log.
pub(super) fn is_of(live: &Path, path: &Path) -> bool {
    let rotated = || {
        let (Some(name), Some(of)) = (path.file_name(), live.file_name()) else { return false };
        path.parent() == live.parent()
            && siblings::readings(name.as_bytes()).iter().any(|reading| reading.live == of.as_bytes())
    };
    path == live || rotated()
}

/// The file at this key is known to be there.
pub(super) fn mark(streams: &mut [Stream], key: &FileKey) {
    streams.iter_mut().filter(|stream| stream.position.key == *key).for_each(|stream| stream.located = true);
}

/// Of what was found nowhere: so many lie in archives without a whole line, and no line was read of them. And where a file
/// cannot be read now, it may be any of the others: none is given up yet, and the next scan looks again.
pub(super) fn excuse(streams: &mut [Stream], voids: usize, is_blind: bool, displaced: Option<FileKey>) {
    let missing = |stream: &&mut Stream| stream.is_wanted && !stream.located;
    let unread = |stream: &&mut Stream| missing(stream) && stream.position.progress.offset == 0;
    streams.iter_mut().filter(unread).take(voids).for_each(|stream| stream.located = true);
    let others = |stream: &&mut Stream| is_blind && Some(stream.position.key) != displaced;
    streams.iter_mut().filter(others).for_each(|stream| stream.located = true);
}

/// What these files held before they were refilled: each is read from its beginning now, whatever other path leads to it, so
/// that nobody will come upon that later.
pub(super) fn want_refilled(streams: &mut [Stream], refilled: &[FileKey]) {
    let missed = |s: &&mut Stream| !s.located && !s.is_followed && !s.position.progress.finished;
    let of_these = streams.iter_mut().filter(missed).filter(|s| refilled.contains(&s.position.key));
    of_these.for_each(|stream| stream.is_wanted = true);
}

/// The first bytes of what an archive holds; none of one that is damaged.
pub(super) fn head_in(file: &Arc<File>, compression: Compression) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_LEN);
    if let Ok((reader, _)) = unpack::of_file(file, compression) {
        // What was decoded before an error stays.
        let _damaged = reader.take(PROBE as u64).read_to_end(&mut head);
    }
    head
}

/// `None`: it is not this stream. `Some(None)`: it is, and ends before that place. Else: whether there is more behind it.
pub(super) fn goes_on(
    file: &Arc<File>,
    compression: Compression,
    stat: &Stat,
    stream: &Stream,
    by_key: bool,
    now: Millis,
) -> io::Result<Option<Option<(Cursor, bool)>>> {
    let progress = stream.position.progress;
    if compression == Compression::Plain {
        if stat.size < progress.offset {
            // A copy made before we read on; the file itself would have been truncated.
            return Ok((!by_key).then_some(None));
        }
        let cursor = resume(file, &progress, Design::default(), now)?;
        let cursor = cursor.filter(|cursor| by_key || cursor.is_proof());
        return Ok(cursor.map(|cursor| Some((cursor, stat.size > progress.offset))));
    }
    Ok(match unpack::unpack_to(file, compression, &progress, now) {
        Ok(Reached::There(_, cursor)) if !cursor.is_proof() => None,
        Ok(Reached::There(mut reader, cursor)) => {
            let more = !matches!(reader.read(&mut [0; 1]), Ok(0));
            Some(Some((*cursor, more)))
        }
        Ok(Reached::Shorter) => Some(None),
        Ok(Reached::Other) => None,
        // Damaged before the place where we were: nothing of it is to be had.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            None
        }
        Err(error) => return Err(error),
    })
}

/// No known file is left to go by: what was written after the last write that we saw is new.
pub(super) fn is_newer(stat: &Stat, streams: &[Stream]) -> bool {
    let known =
        streams.iter().map(|stream| stream.position.progress).filter(|progress| progress.modified > 0);
    let newest = known.max_by_key(|progress| (progress.modified, progress.offset == 0));
    // Where nothing was read yet, what was written in that very moment was not, either.
    let since = newest.map(|newest| i128::from(newest.modified) + i128::from(newest.offset > 0));
    since.is_some_and(|since| stat.stamp.modified >= since)
}
