//! A container's log as the log that the program in it wrote.

use crate::tail::CHUNK;
use gatewatch_parsers::container::{Runtime, Unwrapper};
use gatewatch_parsers::lines::LineBuffer;
use std::io::{self, Read};

/// Takes the runtime's wrapping off while it is read.
pub struct Unwrapped<R> {
    raw: R,
    lines: LineBuffer,
    unwrapper: Unwrapper,
    chunk: Vec<u8>,
    /// Lines that were not asked for yet, and how far they were.
    text: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Unwrapped<R> {
    /// From its beginning.
    pub fn new(raw: R, runtime: Runtime) -> Unwrapped<R> {
        Unwrapped {
            raw,
            lines: LineBuffer::new(),
            unwrapper: Unwrapper::new(runtime),
            chunk: vec![0; CHUNK],
            text: Vec::new(),
            given: 0,
            ended: false,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        (self.given, self.ended) = (0, false);
        self.text.clear();
        let length = self.raw.read(&mut self.chunk)?;
        let mut bytes = self.chunk.get(..length).unwrap_or_default();
        let Unwrapped { lines, unwrapper, text, .. } = self;
        let mut add = |line: Option<&[u8]>| {
            if let Some(line) = line {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
        };
        while let Some(line) = lines.next_line(&mut bytes) {
            add(unwrapper.line(line));
        }
        if length == 0 {
            self.ended = true;
            if let Some(line) = lines.finish() {
                add(unwrapper.line(line));
            }
            while let Some(line) = unwrapper.finish() {
                add(Some(line));
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Unwrapped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.text.len() && !self.ended {
            self.fill()?;
        }
        let n = self.text.get(self.given..).unwrap_or_default().read(buffer)?;
        self.given += n;
        Ok(n)
    }
}

/// The lines of a head, unwrapped.
#[must_use]
pub fn unwrapped(head: &[u8], runtime: Runtime) -> Vec<u8> {
    let mut text = Vec::with_capacity(head.len());
    // Memory can be read.
    let _ = Unwrapped::new(head, runtime).read_to_end(&mut text);
    text
}
