//! Designs that are known to be wrong, put back by tests: each must be found out by them.

use super::identity::{FileKey, Stat};

/// What is left out. Nothing, outside of tests: only they, and the hidden feature `wrong-designs`, can set one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Design {
    /// A file is its inode: neither its birth nor its bytes are looked at.
    pub inode_only: bool,
    /// A rotated file is left as soon as its path shows another one.
    pub leave_at_once: bool,
    /// The bytes before the offset are not looked at: a file is truncated if it is shorter than before.
    pub no_anchor: bool,
}

impl Design {
    /// The file's key, as far as this design looks.
    pub(super) fn key(self, key: FileKey) -> FileKey {
        if self.inode_only { FileKey { birth: 0, ..key } } else { key }
    }

    /// The same for all that is known of the file.
    pub(super) fn stat(self, stat: Stat) -> Stat {
        Stat { key: self.key(stat.key), ..stat }
    }
}
