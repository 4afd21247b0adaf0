//! A file as blocks of whole lines. A line belongs to the block that it starts in, so blocks of a plain file can be read
//! by anyone in any order, and blocks of a stream come to the same lines.

use gatewatch_parsers::lines::LINE_MAX;
use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes of a block: small enough to stay in a core's L2 cache while it is parsed.
pub const BLOCK: usize = 256 * 1024;

/// Bytes read beyond a block for its last line's end: most lines are shorter, and more is read where one is not.
const OVERLAP: usize = 4 * 1024;

/// How many blocks of `block` bytes a plain file of this size has.
#[must_use]
pub fn count(size: u64, block: usize) -> u64 {
    size.div_ceil(block as u64)
}

/// Reads block `index`, of `block` bytes, of a plain file of which `size` bytes are to be read (it may have grown since). Returns where in
/// `buf` its whole lines are; empty if no line starts in it.
///
/// # Errors
/// Whatever reading gives.
pub fn read_plain(
    file: &File,
    size: u64,
    block: usize,
    index: u64,
    buf: &mut Vec<u8>,
) -> io::Result<Range<usize>> {
    let start = index * block as u64;
    // One byte before the block tells whether a line starts right at it.
    let from = start.saturating_sub(1);
    let until = |beyond: usize| (start + (block + beyond) as u64).min(size);
    read_between(file, buf, 0, from, until(OVERLAP))?;

    let lead = (start - from) as usize;
    let first = if lead == 0 {
        0
    } else {
        match memchr(b'\n', buf) {
            Some(newline) => newline + 1,
            None => return Ok(0..0),
        }
    };
    let block_end = (lead + block).min(buf.len());
    if first >= block_end {
        return Ok(0..0);
    }
    // The last line that starts in the block ends at the first newline at or after the block's last byte.
    let tail = block_end - 1;
    let newline = |buf: &[u8]| buf.get(tail..).and_then(|rest| memchr(b'\n', rest)).map(|at| tail + at + 1);
    let mut end = newline(buf);
    if end.is_none() {
        read_between(file, buf, buf.len(), from, until(LINE_MAX))?;
        end = newline(buf);
    }
    Ok(first..end.unwrap_or(buf.len()))
}

/// Fills `buf`, of which `have` bytes are there already, with the file's bytes between the two offsets. What `buf` holds
/// beyond is overwritten and not cleared before: clearing would cost as much as a tenth of parsing.
fn read_between(file: &File, buf: &mut Vec<u8>, have: usize, from: u64, until: u64) -> io::Result<()> {
    buf.resize(until.saturating_sub(from) as usize, 0);
    let got = read_full_at(file, buf.get_mut(have..).unwrap_or_default(), from + have as u64)?;
    buf.truncate(have + got);
    Ok(())
}

/// Reads until `buf` is full or the file ends: it may have been truncated since its size was seen.
fn read_full_at(file: &File, buf: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buf.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset) {
            Ok(0) => break,
            Ok(n) => {
                got += n;
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

/// Blocks of something that can only be read once, in order: an archive, standard input.
pub struct Stream {
    reader: Box<dyn Read + Send>,
    /// Bytes of a block.
    block: usize,
    /// The start of a line whose end has not come yet.
    carry: Vec<u8>,
    /// Inside a line that was longer than a line may be: drop the rest of it.
    skipping: bool,
    /// Bytes of such lines, since somebody asked.
    dropped: u64,
    ended: bool,
}

impl Stream {
    /// A stream in blocks of `block` bytes that starts with `head`, bytes that were already taken from the reader.
    #[must_use]
    pub fn new(reader: Box<dyn Read + Send>, head: Vec<u8>, block: usize) -> Stream {
        Stream { reader, block, carry: head, skipping: false, dropped: 0, ended: false }
    }

    /// Fills `buf` with the next block of whole lines; the last one may lack its newline. An empty block is the end.
    /// What could be read before an error is handed out first; the error comes with the next call.
    ///
    /// # Errors
    /// Whatever reading or decompressing gives.
    pub fn fill(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        buf.clear();
        loop {
            buf.append(&mut self.carry);
            let read = self.read_block(buf);
            self.drop_skipped(buf);
            if let Err(e) = read {
                let whole = memrchr(b'\n', buf).map_or(0, |newline| newline + 1);
                buf.truncate(whole);
                return if buf.is_empty() { Err(e) } else { Ok(()) };
            }
            if self.ended {
                return Ok(());
            }
            if let Some(newline) = memrchr(b'\n', buf) {
                self.carry.extend_from_slice(buf.get(newline + 1..).unwrap_or_default());
                buf.truncate(newline + 1);
                return Ok(());
            }
            if buf.len() > LINE_MAX {
                // Too long for a line: its prefix is one, the rest is dropped as it comes.
                self.skipping = true;
                return Ok(());
            }
            std::mem::swap(buf, &mut self.carry);
        }
    }

    /// Bytes beyond what a line may have that were read and dropped since this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Reads up to a block; notes the end.
    fn read_block(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        // What is carried over may be a block already, where lines are longer than one.
        let full = if buf.len() < self.block { self.block } else { buf.len() + self.block };
        while buf.len() < full && !self.ended {
            let have = buf.len();
            buf.resize(full, 0);
            let got = self.reader.read(buf.get_mut(have..).unwrap_or_default());
            buf.truncate(have + got.as_ref().map_or(0, |n| *n));
            match got {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.reader = Box::new(Failed(Some(io::Error::new(e.kind(), e.to_string()))));
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    fn drop_skipped(&mut self, buf: &mut Vec<u8>) {
        if !self.skipping {
            return;
        }
        match memchr(b'\n', buf) {
            Some(newline) => {
                self.dropped += newline as u64 + 1;
                buf.drain(..=newline);
                self.skipping = false;
            }
            None => {
                self.dropped += buf.len() as u64;
                buf.clear();
            }
        }
    }
}

/// A reader that has failed: says so once more, so that no byte before the failure is lost.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        if all.last().is_some_and(Vec::is_empty) {
            all.pop();
        }
        for line in &mut all {
            line.truncate(LINE_MAX);
        }
        all
    }

    fn plain_lines(bytes: &[u8], block: usize) -> Vec<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let size = bytes.len() as u64;
        let mut buf = Vec::new();
        let mut all = Vec::new();
        for index in 0..count(size, block) {
            let range = read_plain(&file, size, block, index, &mut buf).unwrap();
            all.extend(lines(&buf[range]));
        }
        all
    }

    fn stream_lines(bytes: &[u8], piece: usize, block: usize) -> Vec<Vec<u8>> {
        struct Pieces(Vec<u8>, usize, usize);
        impl Read for Pieces {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let n = self.2.min(buf.len()).min(self.0.len() - self.1);
                buf[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
                self.1 += n;
                Ok(n)
            }
        }
        let mut stream = Stream::new(Box::new(Pieces(bytes.to_vec(), 0, piece)), Vec::new(), block);
        let mut buf = Vec::new();
        let mut all = Vec::new();
        loop {
            stream.fill(&mut buf).unwrap();
            if buf.is_empty() {
                return all;
            }
            all.extend(lines(&buf));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn blocks_are_the_files_lines(lengths in prop::collection::vec(
            prop_oneof![0usize..300, 60_000usize..70_000, 250_000usize..600_000], 0..14), ended: bool, piece in 1000usize..300_000,
            block in prop_oneof![Just(BLOCK), 1_000usize..100_000]) {
            let mut bytes = Vec::new();
            for (i, len) in lengths.iter().enumerate() {
                bytes.extend(std::iter::repeat_n(b'a' + (i % 26) as u8, *len));
                bytes.push(b'\n');
            }
            if !ended { bytes.extend_from_slice(b"tail"); }
            prop_assert_eq!(plain_lines(&bytes, block), lines(&bytes));
            prop_assert_eq!(stream_lines(&bytes, piece, block), lines(&bytes));
        }
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        struct Breaks(u8);
        impl Read for Breaks {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => {
                        buf[..6].copy_from_slice(b"a\nb\nha");
                        Ok(6)
                    }
                    _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut")),
                }
            }
        }
        let mut stream = Stream::new(Box::new(Breaks(0)), Vec::new(), BLOCK);
        let mut buf = Vec::new();
        stream.fill(&mut buf).unwrap();
        assert_eq!(buf, b"a\nb\n");
        assert_eq!(stream.fill(&mut buf).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
