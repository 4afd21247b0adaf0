//! Who reads the logs: the user that asks, and the one that the packaged unit runs as.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The unit's group.
const ADM: &str = "adm";
/// Where what packages log is kept. What a developer keeps elsewhere is no business of the unit's.
const LOGS: &str = "/var/log";

/// The user that runs this, and its groups, as people name them.
pub(super) fn user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let name = name_of("/etc/passwd", uid).unwrap_or_else(|| uid.to_string());
    let groups = rustix::process::getgroups().unwrap_or_default();
    let groups = groups
        .iter()
        .map(|gid| name_of("/etc/group", gid.as_raw()).unwrap_or_else(|| gid.as_raw().to_string()));
    let groups: Vec<_> = groups.collect();
    let among = if groups.is_empty() { String::new() } else { format!(" ({})", groups.join(", ")) };
    format!("user {name}{among}")
}

/// Who may read it: its group, or that of the folder that hides it; `adm`, which owns logs on Debian, if nothing tells.
pub(super) fn group_of(path: &Path) -> String {
    let gid = path.ancestors().find_map(|p| fs::metadata(p).ok()).map(|meta| meta.gid());
    let name = gid.filter(|gid| *gid != 0).and_then(|gid| name_of("/etc/group", gid));
    name.unwrap_or_else(|| ADM.to_owned())
}

/// Why the unit may not read a file that root may.
pub(super) struct Hidden {
    pub(super) why: String,
    pub(super) help: String,
}

/// `None`: the unit may, or it is not for us to say.
pub(super) fn hidden(path: &Path) -> Option<Hidden> {
    if !rustix::process::geteuid().is_root() || !path.starts_with(LOGS) {
        return None;
    }
    let adm = id_of(&fs::read_to_string("/etc/group").ok()?, ADM)?;
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    way.into_iter().find_map(|part| {
        let meta = fs::metadata(part).ok()?;
        let group = name_of("/etc/group", meta.gid()).unwrap_or_else(|| meta.gid().to_string());
        let why = || format!("{} is {:o}, of group {group}", part.display(), meta.mode() & 0o7777);
        let help = || match group.as_str() {
            ADM => format!("chmod g+rX {}", part.display()),
            "root" => format!("chgrp {ADM} {0} && chmod g+rX {0}", part.display()),
            group => format!("SupplementaryGroups={group} in the unit, and chmod g+rX {}", part.display()),
        };
        (!is_open(&meta, adm)).then(|| Hidden { why: why(), help: help() })
    })
}

/// Whether a member of the group may read it, or go through it.
fn is_open(meta: &Metadata, group: u32) -> bool {
    let bit = if meta.is_dir() { 0o1 } else { 0o4 };
    let mode = if meta.gid() == group { meta.mode() >> 3 } else { meta.mode() };
    mode & bit != 0
}

pub(in crate::commands) fn name_of(table: &str, id: u32) -> Option<String> {
    let text = fs::read_to_string(table).unwrap_or_default();
    text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse::<u32>().ok()? == id).then(|| name.to_owned())
    })
}

fn id_of(table: &str, name: &str) -> Option<u32> {
    let line = table.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn who_may() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.log");
        fs::write(&file, "").unwrap();
        let gid = fs::metadata(&file).unwrap().gid();
        for (mode, member, other) in
            [(0o640, true, false), (0o600, false, false), (0o604, false, true), (0o644, true, true)]
        {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let meta = fs::metadata(&file).unwrap();
            assert_eq!((is_open(&meta, gid), is_open(&meta, gid + 1)), (member, other), "{mode:o}");
        }
        assert_eq!(id_of("root:x:0:\nadm:x:4:syslog,me\n", "adm"), Some(4));
        assert!(hidden(&file).is_none());
        assert!(user().starts_with("user "));
    }
}
