//! What the last snapshot in a state directory holds. Nothing is written there: its agent may be running.

use crate::control::measure;
use crate::state::store::GENERATIONS;
use crate::state::{Snapshot, decode};
use crate::status::{self, View};
use gatewatch_parsers::Millis;
use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// More than a snapshot can be.
const LARGEST: u64 = 64 << 20;

/// The view of it; `None`: there is none.
///
/// # Errors
/// There is one, and none can be read.
pub fn view(folder: &Path, now: Millis) -> io::Result<Option<View>> {
    let mut newest: Option<(u64, Snapshot)> = None;
    let mut trouble = None;
    for name in GENERATIONS {
        let path = folder.join(name);
        let found = read(&path).and_then(|bytes| decode(&bytes).map_err(io::Error::other));
        match found {
            Ok((seq, snapshot)) if newest.as_ref().is_none_or(|(best, _)| seq > *best) => {
                newest = Some((seq, snapshot));
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(e) => trouble = Some(e),
        }
    }
    let Some((seq, snapshot)) = newest else { return trouble.map_or(Ok(None), Err) };
    let mut view = status::snapshot(seq, &snapshot, now);
    measure(&mut view);
    Ok(Some(view))
}

/// A regular file, whoever it belongs to: root may look at what the agent's user has written.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
