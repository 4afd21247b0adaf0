//! What programs before the snapshots of [`super`] left: `state.json`, with positions and the outbox but no counts. Read
//! once, and removed as soon as a snapshot stands in its place.

use super::store;
use crate::delivery::outbox;
use crate::tail::Position;
use serde::Deserialize;
use std::io;
use std::path::Path;

/// The file.
pub const NAME: &str = "state.json";

/// What it says.
#[derive(Debug, Default, Deserialize)]
pub struct Former {
    version: u32,
    /// Where every file stands.
    pub positions: Vec<Position>,
    /// The inputs that were followed.
    pub inputs: Vec<String>,
    /// The number of the last incident: the next one must not look like one that a receiver knows.
    #[serde(default)]
    pub incidents: u64,
    /// What receivers were told, and are still to be told.
    pub outbox: outbox::State,
}

/// Reads it; `None`: there is none.
pub(super) fn read(folder: &Path) -> io::Result<Option<Former>> {
    let text = match store::read(&folder.join(NAME)) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let former: Former = serde_json::from_slice(&text)?;
    if former.version == 1 {
        Ok(Some(former))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("{NAME} of version {}", former.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_former_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_none());
        let outbox = serde_json::to_string(&outbox::State::default()).unwrap();
        let text = |version| {
            format!(
                r#"{{"version":{version},"positions":[],"inputs":["edge"],"incidents":7,"outbox":{outbox}}}"#
            )
        };
        fs::write(folder.path().join(NAME), text(1)).unwrap();
        let former = read(folder.path()).unwrap().unwrap();
        assert_eq!((former.inputs.as_slice(), former.incidents), (&["edge".to_owned()][..], 7));
        for wrong in ["{", "", &text(9)] {
            fs::write(folder.path().join(NAME), wrong).unwrap();
            assert!(read(folder.path()).is_err(), "{wrong}");
        }
    }
}
