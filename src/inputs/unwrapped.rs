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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives as many bytes as it is told, read by read.
    struct Cut<'a>(&'a [u8], Vec<usize>);

    impl Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.pop().unwrap_or(3).min(buffer.len());
            self.0.read(&mut buffer[..size])
        }
    }

    proptest! {
        #[test]
        fn reads_make_no_difference(
            lines in prop::collection::vec("[ -~é]{0,30}", 0..20),
            cuts in prop::collection::vec(1usize..40, 60),
            at in 1usize..12,
            ended: bool,
        ) {
            let mut wrapped = String::new();
            for line in &lines {
                let letters: Vec<char> = line.chars().collect();
                let parts: Vec<String> = letters.chunks(at).map(|c| c.iter().collect()).collect();
                for (i, part) in parts.iter().enumerate() {
                    let tag = if i + 1 == parts.len() { "F" } else { "P" };
                    wrapped += &format!("2026-11-22T14:54:06.9Z stdout {tag} {part}\n");
                }
                if parts.is_empty() {
                    wrapped += "2026-11-22T14:54:06.9Z stdout F \n";
                }
            }
            if !ended {
                wrapped.pop();
            }
            let mut text = String::new();
            let mut reader = Unwrapped::new(Cut(wrapped.as_bytes(), cuts), Runtime::Cri);
            reader.read_to_string(&mut text).unwrap();
            let plain: String = lines.iter().map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(&text, &plain);
            prop_assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
            prop_assert_eq!(unwrapped(wrapped.as_bytes(), Runtime::Cri), plain.as_bytes());
        }
    }
}
