//! `backend/server` for lines that log the two apart. Made once for each server, kept as long as the format.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

const SLOTS: usize = 1024;
const PROBES: usize = 16;
/// Longer names are no names of servers.
const LEN_MAX: usize = 256;

/// The names made so far. Bounded: what finds no place any more is named by its server alone.
pub(super) struct Names {
    slots: Vec<OnceLock<Box<[u8]>>>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Names({})", self.slots.iter().filter(|slot| slot.get().is_some()).count())
    }
}

impl Names {
    pub fn new() -> Names {
        Names { slots: (0..SLOTS).map(|_| OnceLock::new()).collect() }
    }

    /// `backend/server`; the server where there is no backend, and where there is no server, nothing.
    pub fn join<'a>(&'a self, backend: &[u8], server: &'a [u8]) -> &'a [u8] {
        if backend.is_empty() || server.is_empty() || backend.len() + server.len() >= LEN_MAX {
            return server;
        }
        let mut hasher = DefaultHasher::new();
        (backend, server).hash(&mut hasher);
        // Only the low bits matter.
        let first = (hasher.finish() as u32) as usize;
        for slot in self.slots.iter().cycle().skip(first % SLOTS).take(PROBES) {
            let name = slot.get_or_init(|| [backend, server].join(&b'/').into_boxed_slice());
            let is_it = name.len() == backend.len() + 1 + server.len()
                && name.starts_with(backend)
                && name.ends_with(server)
                && name.get(backend.len()) == Some(&b'/');
            if is_it {
                return name;
            }
        }
        server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_once_and_bounded() {
        let names = Names::new();
        let first = names.join(b"be", b"s1");
        assert_eq!(first, b"be/s1");
        assert!(std::ptr::eq(first, names.join(b"be", b"s1")));
        assert_eq!(names.join(b"", b"s1"), b"s1");
        assert_eq!(names.join(b"be", b""), b"");
        for i in 0..5_000 {
            let (backend, server) = (format!("be{}", i % 7), format!("s{i}"));
            let name = names.join(backend.as_bytes(), server.as_bytes()).to_vec();
            assert!(name == format!("{backend}/{server}").into_bytes() || name == server.as_bytes());
        }
        assert_eq!(names.join(b"be", b"s1"), b"be/s1");
    }
}
