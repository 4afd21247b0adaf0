//! Archives as streams, in bounded memory: what was rotated and compressed before we could read it is read all the same.

use super::cursor::{Cursor, Progress};
use super::identity::{ANCHOR_LEN, Compression, HEAD_LEN, Print};
use gatewatch_parsers::Millis;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an xz archive may need: the dictionary of `xz -9` (64 MiB) and a little. A hostile header can ask for 4 GiB.
const XZ_MEMORY: u64 = 80 << 20;
/// What a zstd archive may need, as a power of two: the window of `zstd --long`, zstd's own limit.
const ZSTD_WINDOW_LOG: u32 = 27;
/// No log shrinks to less than a few hundredths; one of which over so much came out of less than a two-thousandth was made
/// to keep somebody busy. (gzip cannot: its most is 1:1032.)
const BOMB_GIVEN: u64 = 256 << 20;
const BOMB_RATIO: u64 = 2_000;
/// Compressed bytes are read so many at a time.
const COMPRESSED_CHUNK: usize = 64 * 1024;

/// A followed archive gives so many bytes for each of its own, at most, or [`LEAST`] if that is more: logs shrink to a tenth
/// or a hundredth, a bomb to a millionth.
const RATIO: u64 = 1_000;
const LEAST: u64 = 1 << 30;

/// How many bytes an archive of this size may come to.
#[must_use]
pub fn most(size: u64) -> u64 {
    size.saturating_mul(RATIO).max(LEAST)
}

/// Decompressed bytes.
pub type Unpacked = Box<dyn Read + Send>;

/// The bytes of an archive, and how many of its own were taken so far. One that ends early or is damaged gives what could be
/// decoded, then one error, then nothing.
///
/// # Errors
/// No decoder could be made.
pub fn unpack(
    raw: impl Read + Send + 'static,
    compression: Compression,
) -> io::Result<(Unpacked, Arc<AtomicU64>)> {
    let done = Arc::new(AtomicU64::new(0));
    let counted = Counted { raw, done: Arc::clone(&done) };
    let reader: Unpacked = if compression == Compression::Plain {
        Box::new(counted)
    } else {
        let counted = BufReader::with_capacity(COMPRESSED_CHUNK, counted);
        let reader: Unpacked = match compression {
            Compression::Plain | Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(counted)),
            Compression::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(counted, stream))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(counted)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Box::new(Explained { reader, compression, given: 0, done: Arc::clone(&done), ended: false })
    };
    Ok((reader, done))
}

/// Counts what is taken from the disk.
struct Counted<R> {
    raw: R,
    done: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.raw.read(buffer)?;
        self.done.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Says what is wrong with an archive in words that help, once; then it is at its end.
struct Explained<R> {
    reader: R,
    compression: Compression,
    given: u64,
    done: Arc<AtomicU64>,
    ended: bool,
}

impl<R: Read> Read for Explained<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        match self.reader.read(buffer) {
            Ok(n) => {
                self.given += n as u64;
                let taken = self.done.load(Ordering::Relaxed).max(1);
                if self.given > BOMB_GIVEN && self.given / taken > BOMB_RATIO {
                    self.ended = true;
                    return Err(self.bomb(taken));
                }
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.ended = true;
                Err(self.explain(&error))
            }
        }
    }
}

impl<R> Explained<R> {
    fn bomb(&self, taken: u64) -> io::Error {
        let (name, given) = (self.compression.name(), self.given);
        let cat = match self.compression {
            Compression::Plain => "cat",
            Compression::Gzip => "zcat",
            Compression::Bzip2 => "bzcat",
            Compression::Xz => "xzcat",
            Compression::Zstd => "zstdcat",
        };
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "the {name} archive gave {given} bytes out of {taken}, like a decompression bomb: not read on \
                 (if it is a log: {cat} … | gatewatch analyze -)"
            ),
        )
    }

    fn explain(&self, error: &io::Error) -> io::Error {
        let (name, given) = (self.compression.name(), self.given);
        let text = error.to_string();
        let too_big = text.contains("memory") || text.contains("Memory");
        let (kind, what) = if error.raw_os_error().is_some() {
            (error.kind(), format!("cannot be read on ({text})"))
        } else if too_big {
            (io::ErrorKind::InvalidData, "needs more memory to decompress than is allowed".to_owned())
        } else if error.kind() == io::ErrorKind::UnexpectedEof {
            (io::ErrorKind::UnexpectedEof, "ends early (cut off, or still being written)".to_owned())
        } else {
            let at = self.done.load(Ordering::Relaxed);
            (io::ErrorKind::InvalidData, format!("is damaged before byte {at} ({text})"))
        };
        io::Error::new(kind, format!("the {name} archive {what}; {given} bytes of it were decompressed"))
    }
}

/// Of an open file, from its beginning.
pub(super) fn of_file(file: &Arc<File>, compression: Compression) -> io::Result<(Unpacked, Arc<AtomicU64>)> {
    unpack(FromStart { file: Arc::clone(file), at: 0 }, compression)
}

/// What is known of an archive when it was read up to a place.
pub(super) enum Reached {
    /// It is the stream that stood there, and goes on.
    There(Unpacked, Box<Cursor>),
    /// It begins alike and ends before the place.
    Shorter,
    /// It is another one.
    Other,
}

/// Reads an archive up to where `progress` stands, if it has the evidence that it is that stream. Its beginning is compared
/// first, so that another archive costs but a block.
pub(super) fn unpack_to(
    file: &Arc<File>,
    compression: Compression,
    progress: &Progress,
    now: Millis,
) -> io::Result<Reached> {
    let (mut reader, _) = of_file(file, compression)?;
    let mut head = Vec::with_capacity(HEAD_LEN);
    reader.by_ref().take(u64::from(progress.head.len)).read_to_end(&mut head)?;
    if head.len() < usize::from(progress.head.len) {
        return Ok(Reached::Shorter);
    }
    if Print::of(&head) != progress.head {
        return Ok(Reached::Other);
    }
    let (mut at, mut recent) = (head.len() as u64, head.clone());
    if at > progress.offset {
        // A cut line was seen behind the place: once more from the beginning, and not as far.
        reader = of_file(file, compression)?.0;
        (at, recent) = (0, Vec::new());
    }
    let mut room = vec![0; COMPRESSED_CHUNK];
    while at < progress.offset {
        let left = usize::try_from(progress.offset - at).unwrap_or(usize::MAX).min(room.len());
        let n = match reader.read(room.get_mut(..left).unwrap_or_default()) {
            Ok(0) => return Ok(Reached::Shorter),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        at += n as u64;
        recent.extend_from_slice(room.get(..n).unwrap_or_default());
        recent.drain(..recent.len().saturating_sub(ANCHOR_LEN));
    }
    let anchor = recent.len().saturating_sub(usize::from(progress.anchor.len));
    let before = recent.get(anchor..).unwrap_or_default();
    if Print::of(before) != progress.anchor {
        return Ok(Reached::Other);
    }
    let cursor = Cursor::resumed(progress, before, &head, now);
    Ok(Reached::There(reader, Box::new(cursor)))
}

/// A file read from its beginning without moving anybody's place in it.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = std::os::unix::fs::FileExt::read_at(self.file.as_ref(), buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
