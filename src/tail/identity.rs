//! Which file is this: device, inode and birth time while it is at hand; fingerprints of what was read once it is not.
//!
//! An inode alone proves nothing (ext4 hands the same number out again at once), a path alone even less. The birth time
//! tells a reused inode apart; the *anchor*, a fingerprint of the bytes just before the offset, tells a file apart that
//! was truncated and refilled in place; the *head* says whether another inode begins with the same bytes.

use ring::digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// So many bytes before the offset are fingerprinted, at most.
pub const ANCHOR_LEN: usize = 256;
/// So many bytes of a file's beginning are fingerprinted, at most.
pub const HEAD_LEN: usize = 1024;
/// And so many, for copies that are shorter.
pub const FIRST_LEN: usize = 64;

/// Whether these bytes tell one file from any other: a few of one line are how many lines begin.
pub(super) fn is_proof(bytes: &[u8]) -> bool {
    bytes.len() >= FIRST_LEN || memchr::memchr(b'\n', bytes).is_some()
}

/// No device has this number.
const NO_DEVICE: u64 = u64::MAX;

/// A file while it exists. Two files on one host at one time never share it; over time, filesystems without birth
/// times may reuse it, so that fingerprints are compared besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileKey {
    /// The device.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
    /// Nanoseconds since the epoch; 0: the filesystem keeps none.
    pub birth: u64,
}

impl FileKey {
    /// Of no file: under it a path's own history is remembered while the file that made it goes on under another name.
    pub(super) fn of_path(path: &Path) -> FileKey {
        let digest = digest::digest(&digest::SHA256, path.as_os_str().as_bytes());
        let number = digest.as_ref().first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
        FileKey { dev: NO_DEVICE, ino: number, birth: 0 }
    }

    /// Whether it is that of a path.
    pub(super) fn is_of_path(&self) -> bool {
        self.dev == NO_DEVICE
    }
}

/// When content or inode last changed, to the kernel's tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Modification, in nanoseconds since the epoch.
    pub modified: i128,
    /// Change of the inode.
    pub changed: i128,
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file: the only kind that is followed.
    Regular,
    /// A directory.
    Directory,
    /// A pipe: to open it could hang, to read it takes the lines from somebody else.
    Fifo,
    /// A socket or a device.
    Other,
}

/// What the filesystem says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Which file.
    pub key: FileKey,
    /// Length in bytes.
    pub size: u64,
    /// Names it has; 0: deleted.
    pub links: u64,
    /// When it last changed.
    pub stamp: Stamp,
    /// What it is.
    pub kind: Kind,
}

impl Stat {
    /// Of what the path leads to; symlinks are followed.
    pub fn of_path(path: &Path) -> io::Result<Stat> {
        fs::metadata(path).map(|m| Stat::of(&m))
    }

    /// Of what lies there itself, be it a symlink (then of kind [`Kind::Other`]).
    pub fn of_link(path: &Path) -> io::Result<Stat> {
        fs::symlink_metadata(path).map(|m| Stat::of(&m))
    }

    /// Of an open file.
    pub fn of_file(file: &File) -> io::Result<Stat> {
        file.metadata().map(|m| Stat::of(&m))
    }

    fn of(meta: &Metadata) -> Stat {
        let kind = meta.file_type();
        let kind = if kind.is_file() {
            Kind::Regular
        } else if kind.is_dir() {
            Kind::Directory
        } else if kind.is_fifo() {
            Kind::Fifo
        } else {
            Kind::Other
        };
        let birth = meta.created().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let nanos = |secs: i64, nsecs: i64| i128::from(secs) * 1_000_000_000 + i128::from(nsecs);
        Stat {
            key: FileKey {
                dev: meta.dev(),
                ino: meta.ino(),
                birth: birth.and_then(|b| u64::try_from(b.as_nanos()).ok()).unwrap_or(0),
            },
            size: meta.len(),
            links: meta.nlink(),
            stamp: Stamp {
                modified: nanos(meta.mtime(), meta.mtime_nsec()),
                changed: nanos(meta.ctime(), meta.ctime_nsec()),
            },
            kind,
        }
    }
}

/// A fingerprint of a run of bytes: the first 128 bits of SHA-256. A checksum would not do: whoever writes to a log could
/// make two files look like one, and then one of them is not read. The bytes themselves are not kept, since log lines carry
/// what must not lie in a state file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// How many bytes.
    pub len: u16,
    hash: [u8; 16],
}

impl Print {
    /// Of these bytes; of the first 65,535 of them.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Print {
        let bytes = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
        let Ok(len) = u16::try_from(bytes.len()) else { return Print::default() };
        if len == 0 {
            return Print::default();
        }
        let digest = digest::digest(&digest::SHA256, bytes);
        let hash = digest.as_ref().first_chunk().copied().unwrap_or_default();
        Print { len, hash }
    }
}

/// Compressed by what, told by the first bytes and never by the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
}

/// So many first bytes settle it.
pub const MAGIC_LEN: usize = 10;

impl Compression {
    /// The word of the field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Compression::Plain => "plain",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Xz => "xz",
            Compression::Bzip2 => "bzip2",
        }
    }

    /// What a file with these first bytes ([`MAGIC_LEN`] of them, if it has so many) is.
    #[must_use]
    pub fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
            // The second is a skippable frame, which pzstd and seekable archives put first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            // "BZh9" alone could begin a line: the block's own magic (of data, or of the end) has to follow.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Compression::Bzip2,
            _ => Compression::Plain,
        }
    }
}

/// Reads at a place until the buffer is full or the file ends; how many bytes.
pub fn read_at(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read_at(rest, from.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_tell_bytes_apart() {
        assert_eq!(Print::of(b"one two"), Print::of(b"one two"));
        assert_ne!(Print::of(b"one two"), Print::of(b"one tw0"));
        assert_ne!(Print::of(b""), Print::of(b"\0"));
        assert_eq!(Print::of(b""), Print::default());
        // The published test vector of SHA-256: a state file outlives a version.
        assert_eq!(Print::of(b"abc").hash[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        assert_eq!(Print::of(b"abc").len, 3);
    }

    #[test]
    fn magic_bytes() {
        let cases: [(&[u8], Compression); 10] = [
            (b"", Compression::Plain),
            (b"\x1f\x8b\x08\0", Compression::Gzip),
            (b"\x1f\x8b", Compression::Plain),
            (b"\x28\xb5\x2f\xfd\x04", Compression::Zstd),
            (b"\x5e\x2a\x4d\x18\x04", Compression::Zstd),
            (b"\xfd7zXZ\0\0", Compression::Xz),
            (b"BZh91AY&SY", Compression::Bzip2),
            (b"BZh9\x17\x72\x45\x38\x50\x90", Compression::Bzip2),
            (b"BZh9 is a log", Compression::Plain),
            (b"127.0.0.1 - -", Compression::Plain),
        ];
        for (head, want) in cases {
            assert_eq!(Compression::of(head), want, "{head:?}");
        }
    }

    #[test]
    fn a_path_and_its_open_file_agree() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "xyz").unwrap();
        let stat = Stat::of_path(&path).unwrap();
        assert_eq!(stat, Stat::of_file(&File::open(&path).unwrap()).unwrap());
        assert_eq!((stat.size, stat.links, stat.kind), (3, 1, Kind::Regular));
        assert_eq!(Stat::of_path(dir.path()).unwrap().kind, Kind::Directory);
    }
}
