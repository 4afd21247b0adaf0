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
    label(line).is_some() && text::find(b'\t', line).is_some()
}

fn label(field: &[u8]) -> Option<(&[u8], &[u8])> {
    const LABEL: [bool; 256] = text::word_bytes(b"_.-");
    let (label, rest) = field.split_at_checked(text::run_of(&LABEL, field))?;
    Some((label, rest.strip_prefix(b":")?)).filter(|(label, _)| !label.is_empty())
}

#[inline(always)]
pub(super) fn pairs<'a>(text: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), Stopped> {
    let mut rest = text;
    loop {
        let tab = text::find(b'\t', rest);
        let (field, after) = rest.split_at_checked(tab.unwrap_or(rest.len())).unwrap_or_default();
        match label(field) {
            Some((label, value)) => each(label, value),
            // Tabs at the end, and two of them, are seen.
            None if field.is_empty() => {}
            None => {
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
