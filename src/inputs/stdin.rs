//! Standard input, or a pipe named on the command line: read once, to its end.

use super::archive::{Opened, open_stream};
use super::file::{Happening, Sender};
use crate::tail::{CHUNK, FileId, Progress};
use gatewatch_parsers::Millis;
use std::io::{self, Read};
use std::thread::{self, JoinHandle};

/// What standard input is called in output.
pub const NAME: &str = "-";

/// For a finished log: its bytes, decompressed if need be.
pub fn open() -> io::Result<Opened> {
    open_stream(io::stdin())
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
