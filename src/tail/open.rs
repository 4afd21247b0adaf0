//! Opening what a directory offers, whoever may write there: only regular files, never hanging, and symlinks only as far as
//! they are trusted.
//!
//! A proxy's user can often write to the directory of its logs. A link `access.log.9 → /etc/shadow` there must not make a
//! reader with more rights show that file. So a symlink is followed where it was named in the configuration, without
//! wildcards; one that a pattern found is followed if it leads to a file below the pattern's own directory (the part before
//! its first wildcard), or if nobody but root could have placed it and it leads no further than the directory above that
//! (`/var/log/containers/*.log` to `/var/log/pods/…`).

use super::event::Trouble;
use super::identity::{Kind, Stat};
use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Symlinks on the way to one file, at most; the kernel's own limit.
const LINKS_MAX: usize = 40;

/// How a path came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Somebody wrote it down: its symlinks are meant.
    Named,
    /// A pattern matched it below this directory.
    Below(&'a Path),
    /// As the name of a rotated file: no symlink is one.
    Rotated,
}

/// Opens a regular file, and nothing else, without ever hanging.
pub(super) fn open_regular(path: &Path, found: Found<'_>) -> Result<(File, Stat), Trouble> {
    let io = |error: io::Error| Trouble::from(&error);
    let mut checked = None;
    let mut real = path.to_path_buf();
    if let Found::Below(root) = found {
        real = resolve(path, root)?;
        let stat = Stat::of_link(&real).map_err(io)?;
        if stat.kind != Kind::Regular {
            return Err(Trouble::NotRegular(stat.kind));
        }
        checked = Some(stat.key);
    }
    let follow = if found == Found::Named { OFlags::empty() } else { OFlags::NOFOLLOW };
    // NONBLOCK: a pipe put where a log was must not hang us. std adds CLOEXEC.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | follow;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&real).map_err(io)?;
    let stat = Stat::of_file(&file).map_err(io)?;
    if stat.kind != Kind::Regular {
        return Err(Trouble::NotRegular(stat.kind));
    }
    // A directory on the way may have been swapped for a link since it was looked at.
    if checked.is_some_and(|key| key != stat.key) {
        return Err(Trouble::from(&io::Error::from(io::ErrorKind::NotFound)));
    }
    Ok((file, stat))
}

/// The path without symlinks behind `root`, if each of them may be followed.
fn resolve(path: &Path, root: &Path) -> Result<PathBuf, Trouble> {
    let io = |error: io::Error| Trouble::from(&error);
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let Ok(inside) = path.strip_prefix(root).or_else(|_| path.strip_prefix(".")) else {
        return Ok(path.to_path_buf());
    };
    let home = fs::canonicalize(root).map_err(io)?;
    let mut at = home.clone();
    let mut to_go: Vec<PathBuf> = inside.components().rev().map(|part| part.as_os_str().into()).collect();
    let (mut links, mut roots_own) = (0, true);
    while let Some(part) = to_go.pop() {
        match part.components().next() {
            Some(Component::RootDir) => at = PathBuf::from("/"),
            Some(Component::ParentDir) => drop(at.pop()),
            Some(Component::Normal(name)) => {
                let next = at.join(name);
                let meta = fs::symlink_metadata(&next).map_err(io)?;
                if !meta.is_symlink() {
                    at = next;
                    continue;
                }
                links += 1;
                if links > LINKS_MAX {
                    return Err(io(io::Error::other("too many symlinks")));
                }
                roots_own &= meta.uid() == 0 && only_root_writes(&at);
                let target = fs::read_link(&next).map_err(io)?;
                to_go.extend(target.components().rev().map(|part| part.as_os_str().into()));
            }
            _ => {}
        }
    }
    // Never the whole tree: what is above the logs of `/logs/*.log` is everything.
    let above = home.parent().filter(|above| above.parent().is_some());
    let near = roots_own && above.is_some_and(|above| at.starts_with(above));
    if links == 0 || at.starts_with(&home) || near { Ok(at) } else { Err(Trouble::LinkAway) }
}

fn only_root_writes(directory: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    fs::symlink_metadata(directory).is_ok_and(|meta| meta.uid() == 0 && meta.mode() & OTHERS_WRITE == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn links_are_followed_as_far_as_they_are_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        for folder in ["log/nginx/sub", "log/pods", "else"] {
            fs::create_dir_all(top.join(folder)).unwrap();
        }
        for file in ["log/nginx/real", "log/nginx/sub/deep", "log/pods/pod", "else/secret"] {
            fs::write(top.join(file), "").unwrap();
        }
        let nginx = top.join("log/nginx");
        let link = |to: &str, name: &str| symlink(to, nginx.join(name)).unwrap();
        link("real", "inside");
        link("sub/../inside", "twice");
        link("../pods/pod", "beside");
        link("../../else/secret", "away");
        link("/etc/passwd", "far");
        link("loop", "loop");
        link("none", "dangling");
        link("../../else", "folder");
        let open = |name: &str| open_regular(&nginx.join(name), Found::Below(&nginx)).map(|_| ());
        for name in ["real", "inside", "twice", "sub/deep"] {
            assert_eq!(open(name), Ok(()), "{name}");
        }
        for name in ["away", "far", "folder/secret"] {
            assert_eq!(open(name), Err(Trouble::LinkAway), "{name}");
            assert!(open_regular(&nginx.join(name), Found::Named).is_ok(), "{name}");
        }
        for name in ["loop", "dangling"] {
            assert!(matches!(open(name), Err(Trouble::Io { .. })), "{name}");
        }
        for name in ["inside", "far"] {
            assert!(open_regular(&nginx.join(name), Found::Rotated).is_err(), "{name}");
        }
        // Beside it only what root alone could have placed.
        let is_root = fs::metadata(&nginx).unwrap().uid() == 0;
        assert_eq!(open("beside").is_ok(), is_root);
        fs::set_permissions(&nginx, fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(open("beside"), Err(Trouble::LinkAway));
        assert_eq!(open("inside"), Ok(()));
    }
}
