//! A finished log, looked at and opened: its head tells the format, then its bytes come as blocks.

use super::blocks::Stream;
use super::file::Feed;
use crate::clock::{millis, now};
use crate::inputs::unwrapped::{Unwrapped, unwrapped};
use crate::inputs::{Problem, Source, archive, stdin};
use gatewatch_parsers::Millis;
use gatewatch_parsers::container::Runtime;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Bytes that recognition looks at.
const HEAD: u64 = 64 * 1024;

/// A log whose head was read.
pub struct Log {
    source: Source,
    /// The first bytes, decompressed; whole lines but for a cut last one.
    pub head: Vec<u8>,
    /// A time that its stamps are close to: when it was last written, for a pipe now.
    pub modified: Millis,
    /// The reader behind the head, of what can be read only once.
    rest: Option<Box<dyn Read + Send>>,
    compressed: bool,
    /// Whose wrapping was taken off the head, and will be off the rest.
    runtime: Option<Runtime>,
    /// Bytes on disk; `None` of a pipe.
    pub size: Option<u64>,
    /// Bytes read of those.
    pub done: Arc<AtomicU64>,
}

/// As it was given.
#[must_use]
pub fn shown(source: &Source) -> String {
    match source {
        Source::Stdin => "-".to_owned(),
        Source::File(path) | Source::Pipe(path) => path.display().to_string(),
    }
}

impl Log {
    /// Reads the head. A pipe ends when `stop` is set.
    ///
    /// # Errors
    /// It cannot be opened, or not one byte decompresses.
    pub fn look(source: Source, stop: &Arc<AtomicBool>) -> Result<Log, Problem> {
        let path = match &source {
            Source::Stdin => PathBuf::from("-"),
            Source::File(path) | Source::Pipe(path) => path.clone(),
        };
        let wrong = |e: io::Error| Problem::of(&path, &e);
        let opened = match &source {
            Source::Stdin => stdin::open(stop),
            Source::Pipe(path) => stdin::open_pipe(path, stop),
            Source::File(path) => archive::open(path),
        };
        let mut opened = opened.map_err(wrong)?;
        let mut head = Vec::new();
        // A truncated archive may break in its head: what came before is a head all the same.
        let read = opened.reader.by_ref().take(HEAD).read_to_end(&mut head);
        if head.is_empty() {
            read.map_err(wrong)?;
        }
        let once = !matches!(source, Source::File(_));
        let mut rest = once.then_some(opened.reader);
        let runtime = Runtime::of(&head);
        if let Some(runtime) = runtime {
            let raw = std::mem::take(&mut head);
            head = unwrapped(&raw, runtime);
            rest = rest.map(|reader| -> Box<dyn Read + Send> {
                Box::new(Unwrapped::new(io::Cursor::new(raw).chain(reader), runtime))
            });
        }
        let modified = match &source {
            Source::File(path) => {
                std::fs::metadata(path).and_then(|m| m.modified()).map_or_else(|_| now(), millis)
            }
            _ => now(),
        };
        Ok(Log {
            compressed: opened.compression != crate::tail::identity::Compression::Plain,
            rest,
            runtime,
            source,
            head,
            modified,
            size: opened.size,
            done: opened.done,
        })
    }

    /// Lines that are no file's, under the name that messages call them by.
    #[must_use]
    pub fn of_lines(name: &str, text: &[u8], modified: Millis) -> Log {
        let (head, rest) = text.split_at(text.len().min(HEAD as usize));
        Log {
            source: Source::Pipe(PathBuf::from(name)),
            head: head.to_vec(),
            modified,
            rest: Some(Box::new(io::Cursor::new(rest.to_vec()))),
            compressed: false,
            runtime: None,
            size: None,
            done: Arc::default(),
        }
    }

    /// As it was given.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.source)
    }

    /// The file's path, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            _ => None,
        }
    }

    /// Whether reading it may wait for somebody else.
    #[must_use]
    pub fn is_pipe(&self) -> bool {
        !matches!(self.source, Source::File(_))
    }

    /// Opens it, when its turn has come; a stream comes in blocks of so many bytes.
    ///
    /// # Errors
    /// It can no longer be opened.
    pub fn feed(self, block: usize, done: &mut Vec<Arc<AtomicU64>>) -> io::Result<Feed> {
        match self.source {
            Source::File(path) if self.compressed || self.runtime.is_some() => {
                let opened = archive::open(&path)?;
                done.push(opened.done);
                let reader = match self.runtime {
                    Some(runtime) => Box::new(Unwrapped::new(opened.reader, runtime)),
                    None => opened.reader,
                };
                Ok(Feed::Stream(Some(Box::new(Stream::new(reader, Vec::new(), block)))))
            }
            Source::File(path) => {
                let file = File::open(path)?;
                let size = file.metadata()?.len();
                Ok(Feed::Plain { file: Arc::new(file), size })
            }
            _ => {
                done.push(self.done);
                let reader = self.rest.ok_or_else(|| io::Error::other("opened twice"))?;
                // What unwraps begins at the beginning.
                let head = if self.runtime.is_some() { Vec::new() } else { self.head };
                Ok(Feed::Stream(Some(Box::new(Stream::new(reader, head, block)))))
            }
        }
    }
}
