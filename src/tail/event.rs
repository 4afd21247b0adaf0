//! What a [`super::Tailer`] tells: which file, which bytes, what became of it.

use super::cursor::Progress;
use super::identity::{Compression, FileKey, Kind};
use super::paths::FOUND_MAX;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// What to do about a file that may not be read.
pub const HINT_PERMISSION: &str = "add the user to group adm, or let it read the file";

/// A followed file, as long as it is followed. Never given out twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u64);

impl FileId {
    /// Standard input, which no tailer gives out.
    pub const STDIN: FileId = FileId(0);
    /// Streams of inputs that are no files are numbered from here.
    pub const FIRST_STREAM: u64 = 1 << 48;

    /// Whether it is no file: there is no position to go on from.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self == FileId::STDIN || self.0 >= FileId::FIRST_STREAM
    }
}

/// Where a file is read from, and why there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// From its beginning: it appeared while we watched, or the input says so.
    Beginning,
    /// From its end: it was there at the very first start.
    End,
    /// Where it was left, the evidence agreeing.
    Resumed,
    /// Where another file of this key was left, the evidence agreeing: its archive, its copy, or it on another inode.
    Continued(FileKey),
    /// From its beginning: what was read of it is no longer there.
    Replaced,
}

/// Where a file belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The path it is read through.
    pub path: &'a Path,
    /// Which input, an index into the list last given.
    pub input: usize,
    /// What the pattern's `<label>`s matched.
    pub labels: &'a [(String, String)],
    /// Which file of the filesystem.
    pub key: FileKey,
}

/// Something happened. Events of one file come in order: `Opened`, chunks, `Finished`.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// From now on followed.
    Opened {
        /// Its number.
        file: FileId,
        /// Where it belongs.
        place: Place<'a>,
        /// Where the first byte that will come is, and what to go on from until a chunk was counted.
        from: Progress,
        /// Its length now: what lies between is backlog.
        size: u64,
        /// Why there.
        placed: Placed,
        /// The file that had the path before it.
        follows: Option<FileId>,
    },
    /// Input, path, labels or inode of a followed file are others now; its stream goes on.
    Moved {
        /// The file.
        file: FileId,
        /// Where it belongs now.
        place: Place<'a>,
    },
    /// The next bytes, cut anywhere.
    Chunk {
        /// The file.
        file: FileId,
        /// Offset of the first.
        offset: u64,
        /// Never empty.
        bytes: &'a [u8],
        /// Where to go on after a restart, if everything up to here is counted.
        after: Progress,
    },
    /// A read found nothing more. Holds until the next chunk, confirmed by each `Reconciled`.
    Idle {
        /// The file.
        file: FileId,
    },
    /// It was truncated or refilled: a cut line is void, and it is read again from its beginning. Until a chunk was
    /// counted, what to go on from is [`Progress::restarted`].
    Truncated {
        /// The file.
        file: FileId,
    },
    /// Another file took its path; it is read on until its writer is gone.
    Rotated {
        /// The old file.
        file: FileId,
    },
    /// Nothing is at its path; it is read on all the same.
    Gone {
        /// The file.
        file: FileId,
    },
    /// Read to its confirmed end and let go: a cut last line is all there will be of it.
    Finished {
        /// The file.
        file: FileId,
        /// Where to go on, should it come back.
        after: Progress,
    },
    /// No input's any more, after another list of inputs, or not for us: a cut line is void.
    Dropped {
        /// The file.
        file: FileId,
    },
    /// Something that should be read cannot be. Repeated while it lasts, ever more rarely.
    Unreadable {
        /// The followed file, if it is one.
        file: Option<FileId>,
        /// The path, or the pattern that matches nothing.
        path: &'a Path,
        /// Why, and what to do.
        trouble: &'a Trouble,
        /// It was said before.
        repeated: bool,
    },
    /// What was unreadable is read, or is no more.
    Recovered {
        /// The followed file, if it is one.
        file: Option<FileId>,
        /// As in `Unreadable`.
        path: &'a Path,
    },
    /// Lines may be lost: what was not read yet is found nowhere.
    PossibleLoss {
        /// Where they were written to.
        path: &'a Path,
        /// What happened.
        loss: Loss,
    },
    /// Every file that was there at the start has been placed.
    FirstScanDone,
    /// Every file was looked at: those that are idle still are.
    Reconciled,
}

/// How lines may have been lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The file was truncated, and no rotated file holds what it held.
    #[error("was truncated: what was written since the last read is lost, if anything was")]
    Truncated,
    /// A file is gone, and no rotated file holds what it held.
    #[error("a file that was not read to its end is gone, and no rotated file or archive holds the rest")]
    Gone,
    /// An archive cannot be read on.
    #[error("a rotated archive cannot be read to its end: what follows is lost")]
    Damaged,
    /// An archive comes to more bytes than can be true.
    #[error("a rotated archive is far too large for a log: it is not read on")]
    Bomb,
}

/// What happened since the start, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Files that another one took the path of.
    pub rotations: u64,
    /// Files that were truncated or refilled in place.
    pub truncations: u64,
    /// Rotated files, copies and archives that were found to hold what was not read yet.
    pub recovered: u64,
    /// Bytes read out of archives, decompressed.
    pub archive_bytes: u64,
    /// Times that lines may have been lost.
    pub possible_losses: u64,
    /// Bytes of holes that were skipped.
    pub hole_bytes: u64,
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The system says no.
    #[error("{text}{}", hint(*kind))]
    Io {
        /// Which no.
        kind: io::ErrorKind,
        /// In the system's words.
        text: String,
    },
    /// A pipe, socket or device: opening could hang, reading would take lines from somebody else.
    #[error("is no regular file: not followed")]
    NotRegular(Kind),
    /// Archives do not grow.
    #[error("is compressed ({}): not followed (`gatewatch analyze` reads it)", .0.name())]
    Compressed(Compression),
    /// A symlink that somebody else may have placed.
    #[error(
        "is a symlink that leads out of its directory: not followed (name it without wildcards, or match the files where they are)"
    )]
    LinkAway,
    /// No file matches.
    #[error("matches no file yet")]
    NoMatch,
    /// The files are too many.
    #[error(
        "matches more files than are followed at once ({FOUND_MAX} in all, by the order of the paths): some are not"
    )]
    TooMany,
}

impl Trouble {
    /// What was there a moment ago is there no more.
    pub(super) fn has_moved(&self) -> bool {
        matches!(self, Trouble::Io { kind: io::ErrorKind::Interrupted | io::ErrorKind::NotFound, .. })
    }

    /// What concerns this one file only: others are looked at all the same.
    pub(super) fn is_of_one_file(&self) -> bool {
        match self {
            Trouble::Io { kind, .. } => *kind == io::ErrorKind::PermissionDenied,
            _ => true,
        }
    }
}

fn hint(kind: io::ErrorKind) -> String {
    if kind == io::ErrorKind::PermissionDenied { format!(": {HINT_PERMISSION}") } else { String::new() }
}

impl From<&io::Error> for Trouble {
    fn from(error: &io::Error) -> Trouble {
        Trouble::Io { kind: error.kind(), text: error.to_string() }
    }
}

/// A trouble that lasts is said again after a minute, then ever more rarely, at least once an hour.
const REPEAT_FIRST: Millis = 60_000;
const REPEAT_LAST: Millis = 3_600_000;
/// More paths in trouble than this are not remembered one by one.
const TROUBLES_MAX: usize = 1_000;

struct Lasting {
    file: Option<FileId>,
    trouble: Trouble,
    again: Millis,
    every: Millis,
    scan: u64,
}

/// The troubles that last: each scan says again what it meets, and what it no longer meets has recovered.
#[derive(Default)]
pub(super) struct Troubles {
    lasting: HashMap<PathBuf, Lasting>,
    scan: u64,
}

impl Troubles {
    pub(super) fn report(
        &mut self,
        now: Millis,
        file: Option<FileId>,
        path: &Path,
        trouble: Trouble,
        out: &mut impl FnMut(Event<'_>),
    ) {
        let scan = self.scan;
        if let Some(known) = self.lasting.get_mut(path).filter(|known| known.trouble == trouble) {
            (known.scan, known.file) = (scan, file);
            if now >= known.again {
                known.every = known.every.saturating_mul(2).min(REPEAT_LAST);
                known.again = now.saturating_add(known.every);
                out(Event::Unreadable { file, path, trouble: &known.trouble, repeated: true });
            }
        } else if self.lasting.len() < TROUBLES_MAX || self.lasting.contains_key(path) {
            out(Event::Unreadable { file, path, trouble: &trouble, repeated: false });
            // What is by its nature not for us is said once.
            let lasts = matches!(trouble, Trouble::Io { .. } | Trouble::NoMatch | Trouble::TooMany);
            let again = if lasts { now.saturating_add(REPEAT_FIRST) } else { Millis::MAX };
            let lasting = Lasting { file, trouble, again, every: REPEAT_FIRST, scan };
            self.lasting.insert(path.to_path_buf(), lasting);
        }
    }

    pub(super) fn begin_scan(&mut self) {
        self.scan += 1;
    }

    pub(super) fn end_scan(&mut self, out: &mut impl FnMut(Event<'_>)) {
        let scan = self.scan;
        self.lasting.retain(|path, known| {
            let lasts = known.scan == scan;
            if !lasts {
                out(Event::Recovered { file: known.file, path });
            }
            lasts
        });
    }
}
