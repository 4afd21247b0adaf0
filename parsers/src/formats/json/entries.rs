//! The names that are looked for, found again by the names that lead to a member. Nearly every member of a line is none
//! of them, so that a miss has to be cheap: a few bits of the name decide where to look.

use super::Entry;
use crate::text;

/// A power of two, some times the number of names.
const BUCKETS: usize = 1024;

/// Entries by a hash of their path.
#[derive(Debug)]
pub struct Entries {
    /// Bucket by bucket.
    entries: Vec<Entry>,
    /// Where each bucket begins, and where the last one ends.
    starts: Vec<u16>,
}

impl Entries {
    pub fn new(mut entries: Vec<Entry>) -> Entries {
        // A path is split at its last dot only; names may hold dots themselves.
        let of = |entry: &Entry| place(entry.path.as_bytes(), entry.path.len());
        // Of those with the same path the first one counts: the order stays.
        entries.sort_by_key(of);
        let start = |bucket: usize| entries.partition_point(|entry| of(entry) < bucket);
        let starts = (0..=BUCKETS).map(|bucket| u16::try_from(start(bucket)).unwrap_or(u16::MAX)).collect();
        Entries { entries, starts }
    }

    /// The entry whose path is these names with dots between.
    #[inline(always)]
    pub fn find(&self, names: &[&[u8]]) -> Option<&Entry> {
        let (last, before) = names.split_last()?;
        let length = before.iter().fold(last.len(), |length, name| length + name.len() + 1);
        let (from, to) = match self.starts.get(place(last, length)..)? {
            [from, to, ..] if from < to => (usize::from(*from), usize::from(*to)),
            _ => return None,
        };
        self.entries.get(from..to)?.iter().find(|entry| is_path(entry.path.as_bytes(), last, before, length))
    }
}

/// Which bucket: by the length of the whole, and the last bytes, which the last name has as the whole path has them.
#[inline(always)]
fn place(text: &[u8], length: usize) -> usize {
    // The last byte and the one before it; a name of one byte has a dot, or nothing, before it: both count as nothing.
    let (before, last) = match text {
        [.., b'.', last] | [last] => (0, *last),
        [.., before, last] => (*before, *last),
        [] => (0, 0),
    };
    (length.wrapping_mul(167) ^ usize::from(last).wrapping_mul(31) ^ usize::from(before).wrapping_mul(5))
        % BUCKETS
}

/// Whether the path, split at dots, is these names. Names may hold dots themselves.
#[inline(always)]
fn is_path(path: &[u8], last: &[u8], before: &[&[u8]], length: usize) -> bool {
    if path.len() != length {
        return false;
    }
    let Some((mut rest, own)) = path.split_at_checked(length - last.len()) else { return false };
    if !text::same(own, last) {
        return false;
    }
    for name in before {
        let Some(after) = rest.strip_prefix(*name).and_then(|after| after.strip_prefix(b".")) else {
            return false;
        };
        rest = after;
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
