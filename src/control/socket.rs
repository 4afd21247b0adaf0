//! The socket in the state directory: nobody but its owner may use it, and what an earlier process left is put away.

use crate::status::View;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Its name in the state directory.
pub const NAME: &str = "control.sock";
/// The system takes no longer names of sockets, its own end included.
const PATH_MAX: usize = 100;

/// A listening socket, and which file it is.
pub(super) struct Bound {
    pub listener: UnixListener,
    path: PathBuf,
    file: (u64, u64),
}

impl Bound {
    /// Nobody has put another one in its place.
    pub fn is_there(&self) -> bool {
        which(&self.path) == Some(self.file)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.is_there() {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

fn which(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Opens the socket, unless another process answers there.
pub(super) fn bind(folder: &Path) -> io::Result<Bound> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(NAME);
    match connect(folder) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there")),
        Err(e) if is_nobody(&e) => {}
        Err(e) => return Err(e),
    }
    // Made under another name: it must not be reachable before its mode is set.
    let name = format!(".{NAME}.{}", std::process::id());
    let new = folder.join(&name);
    let _absent = fs::remove_file(&new);
    let listener = through(folder, &name, |path| UnixListener::bind(path))?;
    let placed = fs::set_permissions(&new, Permissions::from_mode(0o600))
        .and_then(|()| listener.set_nonblocking(true))
        .and_then(|()| fs::rename(&new, &path));
    if let Err(e) = placed {
        let _gone = fs::remove_file(&new);
        return Err(e);
    }
    let file = which(&path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(Bound { listener, path, file })
}

/// Speaks to the agent of this state directory.
pub(super) fn connect(folder: &Path) -> io::Result<UnixStream> {
    through(folder, NAME, |path| UnixStream::connect(path))
}

/// Whether this error says that no agent is there.
pub(super) fn is_nobody(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused | NotADirectory)
}

/// The name of a socket is short; that of a folder may be long: then through an open descriptor of the folder.
fn through<T>(folder: &Path, name: &str, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = folder.join(name);
    if path.as_os_str().len() <= PATH_MAX {
        return act(&path);
    }
    let open = File::open(folder)?;
    act(&Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()).join(name))
}

/// Looks up how long the files are by now. May wait for a disk: never to be called by the engine's thread.
pub fn measure(view: &mut View) {
    for input in &mut view.inputs {
        let Some(key) = input.key else { continue };
        match fs::metadata(&input.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == key => input.grown_to(meta.len()),
            // Renamed or deleted: what was known of it last.
            _ => input.grown_to(input.size.max(input.offset)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_put_away_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than a socket's name may be.
        for folder in [folder.path().join("state"), folder.path().join("s".repeat(120))] {
            let first = bind(&folder).unwrap();
            assert_eq!(fs::metadata(folder.join(NAME)).unwrap().mode() & 0o777, 0o600);
            assert_eq!(bind(&folder).err().unwrap().kind(), io::ErrorKind::AddrInUse);
            drop(first);
            assert!(is_nobody(&connect(&folder).unwrap_err()));
            // Killed: the file stays, nobody listens.
            let stale = through(&folder, NAME, |path| UnixListener::bind(path)).unwrap();
            drop(stale);
            assert!(folder.join(NAME).exists() && is_nobody(&connect(&folder).unwrap_err()));
            let second = bind(&folder).unwrap();
            assert!(connect(&folder).is_ok() && second.is_there());
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        }
    }
}
