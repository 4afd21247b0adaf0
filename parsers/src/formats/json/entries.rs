//! The names that are looked for, found again by the names that lead to a member. Nearly every member of a line is none
//! of them, so that a miss has to be cheap: a few bits of the name decide where to look.

use super::Entry;

/// A power of two, some times the number of names.
const BUCKETS: usize = 1024;

/// Entries by a hash of their path.
#[derive(Debug)]
pub struct Entries {
    buckets: Vec<Vec<Entry>>,
}

impl Entries {
    pub fn new(entries: Vec<Entry>) -> Entries {
        let mut buckets: Vec<Vec<Entry>> = Vec::new();
        buckets.resize_with(BUCKETS, Vec::new);
        for entry in entries {
            // A path is split at its last dot only; names may hold dots themselves.
            if let Some(bucket) = buckets.get_mut(place(entry.path.as_bytes(), entry.path.len())) {
                bucket.push(entry);
            }
        }
        Entries { buckets }
    }

    /// The entry whose path is these names with dots between.
    pub fn find(&self, names: &[&[u8]]) -> Option<&Entry> {
        let last = names.last()?;
        let length = names.iter().map(|name| name.len() + 1).sum::<usize>().checked_sub(1)?;
        let bucket = self.buckets.get(place(last, length))?;
        bucket.iter().find(|entry| is_path(entry.path.as_bytes(), names))
    }
}

/// Which bucket: by the length of the whole, and the last bytes, which the last name has as the whole path has them.
fn place(text: &[u8], length: usize) -> usize {
    let last =
        |back: usize| text.len().checked_sub(back).and_then(|at| text.get(at)).map_or(0, |b| usize::from(*b));
    // The last byte and the one before it; a name of one byte has a dot, or nothing, before it: both count as nothing.
    let before = match last(2) {
        _ if text.len() < 2 => 0,
        dot if dot == usize::from(b'.') => 0,
        byte => byte,
    };
    (length.wrapping_mul(167) ^ last(1).wrapping_mul(31) ^ before.wrapping_mul(5)) % BUCKETS
}

/// Whether the path, split at dots, is these names. Names may hold dots themselves.
fn is_path(path: &[u8], names: &[&[u8]]) -> bool {
    let mut rest = path;
    for (i, name) in names.iter().enumerate() {
        let Some(after) = rest.strip_prefix(*name) else { return false };
        rest = after;
        if i + 1 < names.len() {
            let Some(after) = rest.strip_prefix(b".") else { return false };
            rest = after;
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Slot;
    use crate::formats::json::Meaning;

    #[test]
    fn what_is_found() {
        let paths = ["a", "status", "a.b", "a.bc", "a:b", "x.y.z", "http.response.status_code", "a.b.c"];
        let entry = |path: &&str| Entry {
            path: (*path).into(),
            meaning: Meaning::Slot(Slot::Status),
            rank: 0,
            speaker: None,
        };
        let entries = Entries::new(paths.iter().map(entry).collect());
        let found = |names: &[&str]| {
            let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
            entries.find(&names).map(|entry| entry.path.to_string())
        };
        assert_eq!(found(&["a"]).as_deref(), Some("a"));
        assert_eq!(found(&["status"]).as_deref(), Some("status"));
        assert_eq!(found(&["a", "b"]).as_deref(), Some("a.b"));
        assert_eq!(found(&["a.b"]).as_deref(), Some("a.b"), "a name may hold a dot");
        assert_eq!(found(&["a", "bc"]).as_deref(), Some("a.bc"));
        assert_eq!(found(&["x", "y.z"]).as_deref(), Some("x.y.z"));
        assert_eq!(found(&["x.y", "z"]).as_deref(), Some("x.y.z"));
        assert_eq!(found(&["http", "response", "status_code"]).as_deref(), Some("http.response.status_code"));
        assert_eq!(found(&["a", "b", "c"]).as_deref(), Some("a.b.c"));
        assert_eq!(found(&["b"]), None);
        assert_eq!(found(&["x", "y"]), None);
        assert_eq!(found(&[""]), None);
        assert_eq!(found(&[]), None);
    }
}
