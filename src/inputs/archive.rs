//! A file as a stream of bytes, decompressed if its first bytes say so; names prove nothing.
//!
//! Archives of several members (`cat a.gz b.gz`, zstd frames, xz streams) give all of them. One that ends early or is
//! damaged gives what could be decoded, then one error. What a file holds when it is opened is all that is read: one that
//! grows meanwhile does not keep us.

pub use crate::tail::identity::Compression;
use crate::tail::identity::{MAGIC_LEN, read_at};
use crate::tail::unpack::unpack;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A stream that is open.
pub struct Opened {
    /// The (decompressed) bytes.
    pub reader: Box<dyn Read + Send>,
    /// How they were compressed.
    pub compression: Compression,
    /// Bytes on disk, as seen when it was opened; `None` of a pipe.
    pub size: Option<u64>,
    /// How many of those were read so far, for a progress bar.
    pub done: Arc<AtomicU64>,
}

/// Opens a path: a file up to its present end, a pipe to its end.
pub fn open(path: &Path) -> io::Result<Opened> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !meta.is_file() {
        return open_stream(file);
    }
    let mut head = [0; MAGIC_LEN];
    let length = read_at(&file, &mut head, 0)?;
    let compression = Compression::of(head.get(..length).unwrap_or_default());
    let mut opened = decoded(file.take(meta.len()), compression)?;
    opened.size = Some(meta.len());
    Ok(opened)
}

/// Of something that can be read only once, like standard input.
pub fn open_stream(mut stream: impl Read + Send + 'static) -> io::Result<Opened> {
    let mut head = Vec::with_capacity(MAGIC_LEN);
    // What begins like a log line needs no second look: a pipe may give a line at a time.
    while head.len() < MAGIC_LEN
        && head.first().is_none_or(|b| matches!(b, 0x1f | 0x28 | 0x50..=0x5f | 0xfd | b'B'))
    {
        let mut more = [0; MAGIC_LEN];
        let room = more.get_mut(..MAGIC_LEN - head.len()).unwrap_or_default();
        match stream.read(room) {
            Ok(0) => break,
            Ok(n) => head.extend_from_slice(room.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let compression = Compression::of(&head);
    decoded(io::Cursor::new(head).chain(stream), compression)
}

fn decoded(raw: impl Read + Send + 'static, compression: Compression) -> io::Result<Opened> {
    let (reader, done) = unpack(raw, compression)?;
    Ok(Opened { reader, compression, size: None, done })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::Ordering;

    fn text() -> Vec<u8> {
        (0..60_000)
            .flat_map(|i| format!("{i} 127.0.0.1 - - \"GET /{} HTTP/1.1\" 502\n", i * 7919).into_bytes())
            .collect()
    }

    fn compress(kind: Compression, text: &[u8]) -> Vec<u8> {
        match kind {
            Compression::Plain => text.to_vec(),
            Compression::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                to.write_all(text).unwrap();
                to.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(text, 1).unwrap(),
            Compression::Xz => {
                let mut to = liblzma::write::XzEncoder::new(Vec::new(), 1);
                to.write_all(text).unwrap();
                to.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                to.write_all(text).unwrap();
                to.finish().unwrap()
            }
        }
    }

    const ALL: [Compression; 4] = [Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2];

    fn on_disk(bytes: &[u8], name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    /// What came before the error, the error, and that the end stays the end.
    fn drain(mut opened: Opened) -> (Vec<u8>, Option<io::Error>) {
        let mut bytes = Vec::new();
        let error = opened.reader.read_to_end(&mut bytes).err();
        let after = opened.reader.read(&mut [0; 8]).unwrap();
        assert_eq!(after, 0);
        (bytes, error)
    }

    #[test]
    fn all_give_what_plain_gives() {
        let text = text();
        for kind in ALL.into_iter().chain([Compression::Plain]) {
            let packed = compress(kind, &text);
            let (_dir, path) = on_disk(&packed, "lies.bz2");
            let opened = open(&path).unwrap();
            assert_eq!((opened.compression, opened.size), (kind, Some(packed.len() as u64)));
            let done = Arc::clone(&opened.done);
            assert_eq!(drain(opened).0, text, "{kind:?}");
            assert_eq!(done.load(Ordering::Relaxed), packed.len() as u64, "{kind:?}");
            let piped = open_stream(io::Cursor::new(packed)).unwrap();
            assert_eq!((piped.compression, piped.size), (kind, None));
            assert_eq!(drain(piped).0, text, "{kind:?}");
        }
    }

    #[test]
    fn all_members_count() {
        let (one, two) = (b"one\n".repeat(1_000), b"two\n".repeat(1_000));
        for kind in ALL {
            let packed =
                [compress(kind, &one), compress(kind, &two), compress(kind, b""), compress(kind, &one)]
                    .concat();
            let (got, error) = drain(open_stream(io::Cursor::new(packed)).unwrap());
            assert!(error.is_none(), "{kind:?} {error:?}");
            assert_eq!(got, [&one[..], &two, &one].concat(), "{kind:?}");
        }
    }

    #[test]
    fn what_is_cut_gives_its_beginning_and_an_error() {
        let text = text();
        for kind in ALL {
            let packed = compress(kind, &text);
            for cut in [packed.len() / 2, packed.len() - 1, packed.len() - 5] {
                let (_dir, path) = on_disk(&packed[..cut], "cut");
                let (got, error) = drain(open(&path).unwrap());
                let error = error.unwrap();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{kind:?} {error}");
                assert!(
                    error.to_string().contains(&format!("{} archive ends early", kind.name())),
                    "{error}"
                );
                assert!(text.starts_with(&got), "{kind:?}");
                // bzip2's blocks are 100 KiB here, the others give all but the last few.
                assert!(got.len() > text.len() / 3, "{kind:?} {} of {}", got.len(), text.len());
            }
        }
    }

    #[test]
    fn a_member_cut_in_its_header_is_an_error() {
        for kind in ALL {
            let one = compress(kind, b"one\n");
            let packed = [&one[..], &one[..6]].concat();
            let (got, error) = drain(open_stream(io::Cursor::new(packed)).unwrap());
            assert_eq!(got, b"one\n", "{kind:?}");
            assert!(error.is_some(), "{kind:?}");
        }
    }

    #[test]
    fn what_is_damaged_gives_an_error() {
        let text = text();
        for kind in ALL {
            let mut packed = compress(kind, &text);
            let middle = packed.len() / 2;
            for byte in &mut packed[middle..middle + 64] {
                *byte ^= 0x55;
            }
            let (got, error) = drain(open_stream(io::Cursor::new(packed)).unwrap());
            let error = error.unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{kind:?} {error}");
            assert!(error.to_string().contains("is damaged"), "{error}");
            assert!(!got.is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn greedy_archives_are_refused() {
        let mut options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
        options.dict_size(256 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let stream =
            liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
        let mut to = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        to.write_all(b"one\n").unwrap();
        let (_, error) = drain(open_stream(io::Cursor::new(to.finish().unwrap())).unwrap());
        assert!(error.unwrap().to_string().contains("more memory"), "xz");

        // A zstd frame whose header asks for a window of 2 GiB.
        let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x21\x00\x00one\n";
        let (_, error) = drain(open_stream(io::Cursor::new(&frame[..])).unwrap());
        assert!(error.unwrap().to_string().contains("more memory"), "zstd");
    }

    #[test]
    fn a_bomb_streams() {
        let zeros = vec![0u8; 1 << 20];
        let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        for _ in 0..32 {
            to.write_all(&zeros).unwrap();
        }
        let mut opened = open_stream(io::Cursor::new(to.finish().unwrap())).unwrap();
        assert_eq!(io::copy(&mut opened.reader, &mut io::sink()).unwrap(), 32 << 20);
    }

    #[test]
    fn a_growing_file_ends_where_it_ended() {
        let (_dir, path) = on_disk(b"one\n", "a.log");
        let opened = open(&path).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(drain(opened).0, b"one\n");
    }

    #[test]
    fn short_and_empty_streams() {
        for text in [&b""[..], b"\x1f", b"B", b"P", b"one line\n"] {
            let (_dir, path) = on_disk(text, "a");
            assert_eq!(drain(open(&path).unwrap()).0, text);
            assert_eq!(drain(open_stream(io::Cursor::new(text)).unwrap()).0, text);
        }
        assert!(open(Path::new("/")).is_err());
    }
}
