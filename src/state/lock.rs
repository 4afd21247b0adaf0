//! The state directory is one agent's at a time: locked by flock(2), which ends with the process however that ends. It
//! is private (0700), and neither a symlink nor somebody else's: who could choose what lies in it could choose what is
//! counted and whom alerts reach.

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, openat};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Its name in the directory. It stays there: a file that is removed while somebody waits for it locks nothing.
pub const NAME: &str = "gatewatch.lock";
const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Another agent has it.
    #[error(
        "{}: another gatewatch{} keeps its state there: stop it, or give this one a state_dir of its own",
        folder.display(), pid.map_or(String::new(), |pid| format!(" (pid {pid})"))
    )]
    Held {
        /// The directory.
        folder: PathBuf,
        /// Whose it is, as far as it says.
        pid: Option<u32>,
    },
    /// Whoever made it so may be somebody who should not.
    #[error("{}: {why}", folder.display())]
    Unsafe {
        /// The directory.
        folder: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// It cannot be made or written: full, read-only, no permission. That may pass.
    #[error("{}: {error}", folder.display())]
    Unusable {
        /// The directory.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        let kind = match &refused {
            Refused::Unusable { error, .. } => error.kind(),
            Refused::Held { .. } => io::ErrorKind::ResourceBusy,
            Refused::Unsafe { .. } => io::ErrorKind::PermissionDenied,
        };
        io::Error::new(kind, refused.to_string())
    }
}

/// The state directory, and whether it is ours.
#[derive(Debug)]
pub struct Lock {
    folder: PathBuf,
    held: Option<Held>,
}

/// Closed, it is free again.
#[derive(Debug)]
struct Held {
    _file: File,
    /// Device and inode of the directory.
    key: (u64, u64),
}

impl Lock {
    /// Of this directory; nothing is touched yet.
    #[must_use]
    pub fn of(folder: &Path) -> Lock {
        Lock { folder: folder.to_path_buf(), held: None }
    }

    /// The directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the directory if need be, and takes it. To be called before each writing: it costs one look as long as the
    /// directory is held and still the one at its path; one that was not to be had, or was removed, is taken when it can be.
    ///
    /// # Errors
    /// It is not to be had.
    pub fn hold(&mut self) -> Result<(), Refused> {
        let here = fs::metadata(&self.folder).ok().map(|meta| (meta.dev(), meta.ino()));
        if here.is_some() && self.held.as_ref().map(|held| held.key) == here {
            return Ok(());
        }
        self.held = None;
        self.held = Some(self.take()?);
        Ok(())
    }

    fn take(&self) -> Result<Held, Refused> {
        let unusable = |error: io::Error| Refused::Unusable { folder: self.folder.clone(), error };
        let of_errno = |errno: Errno| unusable(errno.into());
        let directory = self.directory()?;
        let stat = fstat(&directory).map_err(of_errno)?;
        let me = rustix::process::geteuid().as_raw();
        if stat.st_uid != me {
            let folder = self.folder.clone();
            let why = format!(
                "belongs to user {}, not to user {me} who runs this: chown it, or set agent.state_dir to a directory of one's own",
                stat.st_uid
            );
            return Err(Refused::Unsafe { folder, why });
        }
        self.close_to_others(&directory, stat.st_mode)?;
        let flags = OPEN | OFlags::RDWR | OFlags::CREATE;
        let file = openat(&directory, NAME, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| match errno {
            Errno::LOOP => self.is_symlink(&self.folder.join(NAME)),
            errno => of_errno(errno),
        })?;
        let mut file = File::from(file);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Refused::Held { folder: self.folder.clone(), pid: pid_in(&mut file) });
            }
            Err(errno) => return Err(of_errno(errno)),
        }
        // For people only: on a full disk it is held all the same.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Held { _file: file, key: (stat.st_dev, stat.st_ino) })
    }

    /// Nobody else may write there, nor read if it is ours alone: others' files may have to be reached.
    fn close_to_others(&self, directory: &OwnedFd, mode: u32) -> Result<(), Refused> {
        let unusable = |error: io::Error| Refused::Unusable { folder: self.folder.clone(), error };
        if mode & 0o077 == 0 {
            return Ok(());
        }
        let is_ours = self.folder.join(NAME).is_file()
            || fs::read_dir(&self.folder).map_err(unusable)?.next().is_none();
        if is_ours {
            return rustix::fs::fchmod(directory, Mode::RWXU).map_err(|errno| unusable(errno.into()));
        }
        if mode & 0o022 != 0 {
            let why =
                "others may write there: chmod go-w it, or set agent.state_dir to a directory of one's own";
            return Err(Refused::Unsafe { folder: self.folder.clone(), why: why.to_owned() });
        }
        Ok(())
    }

    /// The directory, opened: what is checked is what is used.
    fn directory(&self) -> Result<OwnedFd, Refused> {
        let unusable = |error: io::Error| Refused::Unusable { folder: self.folder.clone(), error };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let follow = if is_of_systemd(&self.folder) { OFlags::empty() } else { OFlags::NOFOLLOW };
        let mut made = false;
        loop {
            match open(&self.folder, flags | follow, Mode::empty()) {
                Ok(directory) => return Ok(directory),
                Err(Errno::NOENT) if !made && !self.folder.is_symlink() => {
                    fs::DirBuilder::new()
                        .recursive(true)
                        .mode(0o700)
                        .create(&self.folder)
                        .map_err(unusable)?;
                    made = true;
                }
                // With O_DIRECTORY the kernel may say either of a symlink.
                Err(_) if self.folder.is_symlink() => return Err(self.is_symlink(&self.folder)),
                Err(errno) => return Err(unusable(errno.into())),
            }
        }
    }

    fn is_symlink(&self, path: &Path) -> Refused {
        let target = fs::read_link(path).map_or(String::new(), |to| format!(" to {}", to.display()));
        let why = if path == self.folder {
            format!("is a symlink{target}: name the directory itself in agent.state_dir")
        } else {
            format!("{} in it is a symlink{target}: remove it", path.display())
        };
        Refused::Unsafe { folder: self.folder.clone(), why }
    }
}

/// What `DynamicUser=` with `StateDirectory=` makes: root's link to `private/<name>` beside it.
fn is_of_systemd(folder: &Path) -> bool {
    let by_root = folder.symlink_metadata().is_ok_and(|meta| meta.is_symlink() && meta.uid() == 0);
    let private = folder.file_name().map(|name| Path::new("private").join(name));
    by_root && private.is_some() && fs::read_link(folder).ok() == private
}

/// Whose lock it is.
fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn one_has_it_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/state");
        let (mut one, mut two) = (Lock::of(&folder), Lock::of(&folder));
        one.hold().unwrap();
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(NAME)), 0o600);
        let refused = two.hold().unwrap_err();
        assert!(
            matches!(&refused, Refused::Held { pid: Some(pid), .. } if *pid == std::process::id()),
            "{refused}"
        );
        assert!(refused.to_string().contains(&format!("(pid {})", std::process::id())), "{refused}");
        one.hold().unwrap();
        drop(one);
        two.hold().unwrap();
    }

    #[test]
    fn a_directory_that_was_replaced_is_taken_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        let mut one = Lock::of(&folder);
        one.hold().unwrap();
        fs::rename(&folder, dir.path().join("old")).unwrap();
        one.hold().unwrap();
        assert!(folder.join(NAME).exists());
        assert!(matches!(Lock::of(&folder).hold(), Err(Refused::Held { .. })));
        // The one that was moved away is free.
        Lock::of(&dir.path().join("old")).hold().unwrap();
    }

    #[test]
    fn one_of_our_own_is_closed_and_one_with_others_files_is_left_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let set = |bits| fs::set_permissions(dir.path(), fs::Permissions::from_mode(bits)).unwrap();
        set(0o777);
        Lock::of(dir.path()).hold().unwrap();
        assert_eq!(mode(dir.path()), 0o700);
        set(0o755);
        Lock::of(dir.path()).hold().unwrap();
        assert_eq!(mode(dir.path()), 0o700);
        // Like /tmp, or /var/lib: not ours to close.
        fs::remove_file(dir.path().join(NAME)).unwrap();
        fs::write(dir.path().join("others"), "").unwrap();
        set(0o777);
        let refused = Lock::of(dir.path()).hold().unwrap_err();
        assert!(refused.to_string().contains("others may write"), "{refused}");
        set(0o755);
        Lock::of(dir.path()).hold().unwrap();
        assert_eq!(mode(dir.path()), 0o755);
    }

    #[test]
    fn symlinks_are_refused_but_for_systemds_own() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        let refused = Lock::of(&link).hold().unwrap_err();
        assert!(
            matches!(refused, Refused::Unsafe { .. }) && refused.to_string().contains("symlink"),
            "{refused}"
        );
        fs::remove_dir(&real).unwrap();
        assert!(matches!(Lock::of(&link).hold(), Err(Refused::Unsafe { .. })), "dangling");
        assert!(!real.exists());
        // The lock itself is none, either.
        fs::create_dir(&real).unwrap();
        symlink(dir.path().join("victim"), real.join(NAME)).unwrap();
        assert!(matches!(Lock::of(&real).hold(), Err(Refused::Unsafe { .. })));
        assert!(!dir.path().join("victim").exists());
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all(dir.path().join("private/gw")).unwrap();
            symlink("private/gw", dir.path().join("gw")).unwrap();
            Lock::of(&dir.path().join("gw")).hold().unwrap();
        }
    }

    #[test]
    fn somebody_elses_is_refused() {
        // Root's, for everybody but root; for root, one that it gave away.
        let dir = tempfile::tempdir().unwrap();
        let mut folder = PathBuf::from("/");
        if rustix::process::geteuid().is_root() {
            folder = dir.path().join("state");
            fs::create_dir(&folder).unwrap();
            std::os::unix::fs::chown(&folder, Some(65_534), None).unwrap();
        }
        let refused = Lock::of(&folder).hold().unwrap_err();
        assert!(
            matches!(refused, Refused::Unsafe { .. }) && refused.to_string().contains("belongs to"),
            "{refused}"
        );
    }

    #[test]
    fn what_cannot_be_made_may_be_later() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let mut lock = Lock::of(&dir.path().join("file/state"));
        assert!(matches!(lock.hold(), Err(Refused::Unusable { .. })));
        fs::remove_file(dir.path().join("file")).unwrap();
        lock.hold().unwrap();
    }
}
