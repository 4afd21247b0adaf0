//! Labeled Tab-separated Values, as ltsv.org has them: `label:value`, tabs between, nothing escaped.

use super::{Meaning, Stopped, lasting, slot};
use crate::fields::{Slot, Unit};
use crate::text;

/// ltsv.org's recommended labels, where they are not JSON's: its `host` is the client.
pub(super) const NAMES: &[(&str, Option<Meaning>, u8)] = &[
    ("host", None, 0),
    ("req", slot(Slot::Request), 0),
    ("reqtime", lasting(Unit::Seconds), 0),
    ("reqtime_microsec", lasting(Unit::Micros), 0),
    ("taken", lasting(Unit::Seconds), 1),
    ("taken_sec", lasting(Unit::Seconds), 1),
    ("response_time", lasting(Unit::Seconds), 2),
    ("apptime", slot(Slot::ResponseTime), 2),
    ("upstream_response_time", slot(Slot::ResponseTime), 0),
];

/// Whether a label comes first, and a tab somewhere.
pub(super) fn begins(line: &[u8]) -> bool {
    let label = text::find(b':', line).and_then(|at| line.get(..at));
    label.is_some_and(is_label) && text::find(b'\t', line).is_some()
}

pub(super) fn is_label(label: &[u8]) -> bool {
    const LABEL: [bool; 256] = text::word_bytes(b"_.-");
    !label.is_empty() && text::run_of(&LABEL, label) == label.len()
}

/// Calls `each` for every label and its value; it tells whether it knows the label, which need not be looked at then.
#[inline(always)]
pub(super) fn pairs<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8], &'a [u8]) -> bool,
) -> Result<(), Stopped> {
    let mut rest = text;
    loop {
        let tab = text::find(b'\t', rest);
        let (field, after) = rest.split_at_checked(tab.unwrap_or(rest.len())).unwrap_or_default();
        let parts = text::find(b':', field).and_then(|at| field.split_at_checked(at));
        match parts.and_then(|(label, value)| Some((label, value.get(1..)?))) {
            Some((label, value)) if each(label, value) || is_label(label) => {}
            // Tabs at the end, and two of them, are seen.
            _ if field.is_empty() => {}
            _ => {
                let at = text.len() - rest.len();
                return Err(Stopped { at, reason: "a label and a colon were expected" });
            }
        }
        match after {
            [_, after @ ..] => rest = after,
            [] => return Ok(()),
        }
    }
}
