//! What the last snapshot in a state directory holds.

use crate::state::Store;
use crate::status::{SCHEMA, SnapshotView, View};
use gatewatch_parsers::Millis;
use std::io;
use std::path::Path;

/// The view of it; `None`: there is none.
pub fn view(folder: &Path, now: Millis) -> io::Result<Option<View>> {
    let Some(snapshot) = Store::new(folder).load()? else { return Ok(None) };
    let written = std::fs::metadata(folder.join("state.json"))?.modified()?;
    let age = now.saturating_sub(crate::clock::millis(written)).max(0);
    let _ = snapshot;
    Ok(Some(View {
        schema: SCHEMA,
        snapshot: SnapshotView { age: Some(crate::status::seconds(age)), ..SnapshotView::default() },
        ..View::default()
    }))
}
