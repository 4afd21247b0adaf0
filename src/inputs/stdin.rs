//! Standard input, or a pipe named on the command line: read once, to its end.

use super::archive::{Opened, open_stream};
use super::file::{Happening, Sender};
use crate::tail::{CHUNK, FileId, Progress};
use gatewatch_parsers::Millis;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What standard input is called in output.
pub const NAME: &str = "-";

/// For a finished log: its bytes, decompressed if need be. They end when `stop` is set.
///
/// # Errors
/// It cannot be read.
pub fn open(stop: &Arc<AtomicBool>) -> io::Result<Opened> {
    open_stream(Interruptible::new(stop, || Ok(io::stdin()))?)
}

/// The same of a named pipe.
///
/// # Errors
/// It cannot be opened or read.
pub fn open_pipe(path: &Path, stop: &Arc<AtomicBool>) -> io::Result<Opened> {
    let path = path.to_owned();
    open_stream(Interruptible::new(stop, || File::open(path))?)
}

/// How often a reader that waits looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(50);
/// Chunks that may wait to be taken.
const AHEAD: usize = 4;

/// A pipe whose writer may never write again: a thread of its own waits for it (and for somebody to open it), so that
/// nobody else must. The thread is never joined; it ends with the process if the writer stays silent.
struct Interruptible {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    stop: Arc<AtomicBool>,
}

impl Interruptible {
    fn new<R: Read>(
        stop: &Arc<AtomicBool>,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<Interruptible> {
        let (sender, chunks) = sync_channel(AHEAD);
        thread::Builder::new().name("pipe".to_owned()).spawn(move || match open() {
            Ok(mut stream) => while sender.send(read_chunk(&mut stream)).is_ok() {},
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        })?;
        Ok(Interruptible { chunks, chunk: io::Cursor::default(), stop: Arc::clone(stop) })
    }
}

fn read_chunk(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; CHUNK];
    let length = stream.read(&mut chunk)?;
    chunk.truncate(length);
    Ok(chunk)
}

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let taken = self.chunk.read(buffer)?;
            if taken > 0 || self.stop.load(Ordering::Relaxed) {
                return Ok(taken);
            }
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(Ok(chunk)) if chunk.is_empty() => return Ok(0),
                Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

/// For `run`: a thread that sends what comes as [`FileId::STDIN`], until the end or until nobody listens. It cannot be
/// stopped while it waits for the writer, so it is not to be joined before the stream ended.
pub fn follow(
    mut stream: impl Read + Send + 'static,
    input: usize,
    sender: Sender,
    clock: impl Fn() -> Millis + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let file = FileId::STDIN;
        let (mut offset, mut buffer) = (0, vec![0; CHUNK]);
        let mut open = sender.send(clock(), Happening::stream_opened(input));
        while open {
            let length = match stream.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    sender.send(clock(), Happening::stream_failed(&error));
                    0
                }
            };
            if length == 0 {
                break;
            }
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            let after = Progress { offset: offset + length as u64, ..Progress::default() };
            // The next read may wait for the writer: until then there is nothing more.
            open = sender.send(clock(), Happening::Chunk { file, offset, bytes, after })
                && sender.send(clock(), Happening::Idle { file });
            offset = after.offset;
        }
        sender.send(clock(), Happening::Finished { file, after: Progress::default() });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_writer_does_not_keep_us() {
        /// Gives a line, sets the flag, then would wait for ever.
        struct Silent(Arc<AtomicBool>, bool);
        impl Read for Silent {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.1 {
                    self.0.store(true, Ordering::Relaxed);
                    loop {
                        thread::park();
                    }
                }
                self.1 = true;
                buffer[..5].copy_from_slice(b"line\n");
                Ok(5)
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let silent = Silent(Arc::clone(&stop), false);
        let mut reader = Interruptible::new(&stop, || Ok(silent)).unwrap();
        let mut text = Vec::new();
        // Both ends are right: the flag may be seen before the line is.
        reader.read_to_end(&mut text).unwrap();
        assert!(text == b"line\n" || text.is_empty(), "{text:?}");
    }
}
