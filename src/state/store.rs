//! The directory of the snapshots: two generations, written in turn, each replaced as a whole. Whatever happens to one
//! while it is written, the other is whole, and of an instant of its own: to go on from it is exact, too.

use super::lock::Lock;
use super::pack::{pack, unpack};
use super::{Snapshot, former, frame, frame::Flaw};
use gatewatch_parsers::Millis;
use rustix::fs::OFlags;
use serde::Serialize;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The two generations.
pub const GENERATIONS: [&str; 2] = ["snapshot.a", "snapshot.b"];
/// Is written, synced, and renamed to one of them.
pub const NEW: &str = "snapshot.new";
/// Those that cannot be read are kept under this name and the time.
const CORRUPT: &str = "snapshot.corrupt-";
/// So many of them.
const CORRUPT_MAX: usize = 4;

/// Why the agent must not start: going on would destroy what another program still can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {flaw}: a newer gatewatch wrote it; run that one, or move the file away", path.display())]
pub struct Refused {
    /// The snapshot.
    pub path: PathBuf,
    flaw: Flaw,
}

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest snapshot that can be read, and its number.
    pub snapshot: Option<(u64, Box<Snapshot>)>,
    /// What a program before this format left.
    pub former: Option<former::Former>,
    /// There was one, and none can be read.
    pub lost: bool,
    /// To be said.
    pub troubles: Vec<String>,
}

/// The directory.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Taken before each writing; `None`: somebody else sees to it that there is one writer.
    lock: Option<Lock>,
    /// The number of the newest, and which generation it is.
    newest: Option<(u64, usize)>,
}

impl Store {
    /// Snapshots in this directory, which is made when it is needed.
    #[must_use]
    pub fn new(folder: &Path) -> Store {
        Store { folder: folder.to_path_buf(), lock: None, newest: None }
    }

    /// The same, written to only while `lock` is held.
    #[must_use]
    pub fn locked(self, lock: Lock) -> Store {
        Store { lock: Some(lock), ..self }
    }

    /// What is there. Snapshots that cannot be read are moved aside, under a name with the time `now`.
    ///
    /// # Errors
    /// A newer program wrote one.
    pub fn load(&mut self, now: Millis) -> Result<Found, Refused> {
        let mut found = Found::default();
        let (mut flawed, mut unread) = (Vec::new(), false);
        let prepared = prepare(&self.folder);
        if let Err(e) = &prepared {
            found.troubles.push(format!("the snapshot cannot be kept in {} ({e})", self.folder.display()));
        }
        for (at, name) in GENERATIONS.iter().enumerate() {
            let path = self.folder.join(name);
            let bytes = match read(&path) {
                Ok(bytes) => bytes,
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(e) => {
                    unread = true;
                    // Of a directory that cannot be used, that is said already.
                    if prepared.is_ok() {
                        flawed.push((path, format!("cannot be read ({e})")));
                    }
                    continue;
                }
            };
            match decode(&bytes) {
                Ok((seq, snapshot)) => {
                    if found.snapshot.as_ref().is_none_or(|(best, _)| seq > *best) {
                        self.newest = Some((seq, at));
                        found.snapshot = Some((seq, Box::new(snapshot)));
                    }
                }
                Err(flaw @ Flaw::Newer(_)) => return Err(Refused { path, flaw }),
                Err(flaw) => flawed.push((path, flaw.to_string())),
            }
        }
        found.lost = found.snapshot.is_none() && (unread || !flawed.is_empty());
        for (path, why) in flawed {
            let kept = self.quarantine(&path, now);
            let kept =
                kept.map_or_else(|e| format!("it cannot be moved ({e})"), |to| format!("kept as {to}"));
            found.troubles.push(format!("{} {why}: {kept}", path.display()));
        }
        if found.snapshot.is_none() && !found.lost {
            match former::read(&self.folder) {
                Ok(former) => found.former = former,
                Err(e) => {
                    found.troubles.push(format!("the snapshot cannot be read ({e})"));
                    found.lost = true;
                }
            }
        }
        Ok(found)
    }

    /// Writes the next one: beside the others, synced, renamed over the older generation, the directory synced. Gives its
    /// number.
    ///
    /// # Errors
    /// It could not be written; both generations stand.
    pub fn write(&mut self, payload: &[u8]) -> io::Result<u64> {
        if let Some(lock) = &mut self.lock {
            lock.hold()?;
        }
        prepare(&self.folder)?;
        let (seq, at) = self.newest.map_or((1, 0), |(seq, at)| (seq.wrapping_add(1), 1 - at.min(1)));
        let name = GENERATIONS.get(at).copied().unwrap_or(NEW);
        let new = self.folder.join(NEW);
        // One that a crash left, or that somebody put there: never written through.
        remove(&new)?;
        let bytes = frame::wrap(seq, payload);
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(&new, self.folder.join(name))
            });
        if let Err(e) = written {
            // On a full disk what was written of it takes space that somebody needs.
            let _ = remove(&new);
            return Err(e);
        }
        self.newest = Some((seq, at));
        File::open(&self.folder)?.sync_all()?;
        remove(&self.folder.join(former::NAME))?;
        Ok(seq)
    }

    fn quarantine(&self, path: &Path, now: Millis) -> io::Result<String> {
        let mut kept: Vec<(u64, PathBuf)> = fs::read_dir(&self.folder)?
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let age =
                    entry.file_name().to_str()?.strip_prefix(CORRUPT)?.split('-').next()?.parse().ok()?;
                Some((age, entry.path()))
            })
            .collect();
        kept.sort();
        while kept.len() >= CORRUPT_MAX {
            remove(&kept.remove(0).1)?;
        }
        let generation = path.extension().unwrap_or_default().to_string_lossy();
        let name = format!("{CORRUPT}{now}-{generation}");
        fs::rename(path, self.folder.join(&name))?;
        Ok(name)
    }
}

/// The newest snapshot in a directory that can be read, and its number; nothing is touched, whoever is writing there.
///
/// # Errors
/// There is none.
pub fn peek(folder: &Path) -> io::Result<(u64, Snapshot)> {
    let of = |name: &&str| decode(&read(&folder.join(name))?).map_err(io::Error::other);
    let mut generations: Vec<io::Result<(u64, Snapshot)>> = GENERATIONS.iter().map(of).collect();
    generations.sort_by_key(|generation| generation.as_ref().map_or(0, |(seq, _)| *seq));
    generations.pop().unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
}

/// A snapshot's payload, packed.
///
/// # Errors
/// It is too large to be read again.
pub fn encode(snapshot: &impl Serialize) -> Result<Vec<u8>, Flaw> {
    pack(&plain(snapshot)?)
}

/// The same before it is packed.
///
/// # Errors
/// Never, for what a snapshot holds.
pub fn plain(snapshot: &impl Serialize) -> Result<Vec<u8>, Flaw> {
    postcard::to_stdvec(snapshot).map_err(|e| Flaw::Payload(e.to_string()))
}

/// A file's bytes → the snapshot and its number. Hostile bytes are refused, whatever they say.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<(u64, Snapshot), Flaw> {
    let (seq, payload) = frame::unwrap(bytes)?;
    let plain = unpack(payload)?;
    let (snapshot, rest) = postcard::take_from_bytes(&plain).map_err(|e| Flaw::Payload(e.to_string()))?;
    if rest.is_empty() {
        Ok((seq, snapshot))
    } else {
        Err(Flaw::Payload("there is more than it says".into()))
    }
}

/// A file of ours: no symlink, no pipe, nobody else's, not larger than any can be.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let flags = i32::try_from(flags).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why.to_owned()));
    if !meta.is_file() {
        return refuse("is no regular file");
    }
    if !is_trusted(meta.uid()) {
        return refuse("belongs to another user");
    }
    if meta.len() > frame::SIZE_MAX as u64 {
        return refuse("is too large");
    }
    let mut bytes = Vec::new();
    file.take(frame::SIZE_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

/// Makes the directory, if it is not there; nobody else may write in it.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    let meta = match fs::metadata(folder) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            fs::metadata(folder)?
        }
        Err(e) => return Err(e),
    };
    let denied = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned()));
    if !is_trusted(meta.uid()) {
        return denied("the directory belongs to another user");
    }
    if meta.mode() & 0o022 != 0 {
        let closed = fs::Permissions::from_mode(meta.mode() & 0o7755);
        if fs::set_permissions(folder, closed).is_err() {
            return denied("others may write in the directory");
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
pub(crate) mod tests;
