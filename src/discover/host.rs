//! What the readers may ask of a host: the text of a file, the names that match, the end of a log. Nothing else of the
//! world is looked at, so that a test is a folder, or a table of names and texts.

use crate::clock::millis;
use gatewatch_parsers::Millis;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// No configuration is larger.
const TEXT_MAX: u64 = 4 << 20;
/// A pattern gives so many names, at most.
const NAMES_MAX: usize = 2_000;
/// So much of a log's end is looked at: what is written now, not what was written before the format was changed.
const SAMPLE: u64 = 64 << 10;
/// As the kernel has it.
const LINKS_MAX: usize = 40;

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Whole lines, but for a cut last one.
    pub bytes: Vec<u8>,
    /// When it was last written.
    pub modified: Millis,
}

/// A host, or a tree that looks like one.
pub trait Host {
    /// A file's text; what is no UTF-8 is replaced.
    ///
    /// # Errors
    /// It is not there, may not be read, or is no text of a sensible size.
    fn text(&self, path: &str) -> io::Result<String>;

    /// Names that match a shell's pattern, sorted; a hidden one only if the pattern says so.
    fn names(&self, pattern: &str) -> Vec<String>;

    /// Whether something is there.
    fn has(&self, path: &str) -> bool;

    /// The end of a log.
    ///
    /// # Errors
    /// It is not there or may not be read.
    fn sample(&self, path: &str) -> io::Result<Sample>;
}

/// The files below a directory that is taken for `/`.
#[derive(Clone, Debug)]
pub struct Rooted {
    root: PathBuf,
}

impl Rooted {
    /// This host itself.
    #[must_use]
    pub fn here() -> Rooted {
        Rooted::below(Path::new("/"))
    }

    /// A tree.
    #[must_use]
    pub fn below(root: &Path) -> Rooted {
        Rooted { root: root.to_owned() }
    }

    /// Where a path of the tree is really: links are followed within the tree.
    #[must_use]
    pub fn real(&self, path: &str) -> PathBuf {
        if self.root == Path::new("/") {
            return PathBuf::from(path);
        }
        let owned = |part: Component<'_>| part.as_os_str().to_owned();
        let mut left: VecDeque<_> = Path::new(path).components().map(owned).collect();
        let mut inside = PathBuf::new();
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            match Path::new(&part).components().next() {
                Some(Component::RootDir) => inside.clear(),
                Some(Component::ParentDir) => drop(inside.pop()),
                Some(Component::Normal(name)) => {
                    let link = fs::read_link(self.root.join(&inside).join(name)).ok();
                    match link.filter(|_| links < LINKS_MAX) {
                        Some(target) => {
                            links += 1;
                            for part in target.components().rev() {
                                left.push_front(owned(part));
                            }
                        }
                        None => inside.push(name),
                    }
                }
                _ => {}
            }
        }
        self.root.join(inside)
    }
}

/// Whether a shell would look for names.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

impl Host for Rooted {
    fn text(&self, path: &str) -> io::Result<String> {
        let file = File::open(self.real(path))?;
        // A pipe in place of a file would be waited for.
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("is no file"));
        }
        let mut bytes = Vec::new();
        file.take(TEXT_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > TEXT_MAX {
            return Err(io::Error::other("larger than 4 MiB"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn names(&self, pattern: &str) -> Vec<String> {
        if !is_pattern(pattern) {
            return if self.has(pattern) { vec![pattern.to_owned()] } else { Vec::new() };
        }
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let root = self.root.display().to_string();
        let root = root.trim_end_matches('/');
        let full = format!("{}{pattern}", glob::Pattern::escape(root));
        let found = glob::glob_with(&full, options).into_iter().flatten().flatten();
        let inside = |path: PathBuf| path.to_str()?.strip_prefix(root).map(str::to_owned);
        found.filter_map(inside).take(NAMES_MAX).collect()
    }

    fn has(&self, path: &str) -> bool {
        self.real(path).exists()
    }

    fn sample(&self, path: &str) -> io::Result<Sample> {
        let mut file = File::open(self.real(path))?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("is no file"));
        }
        let from = meta.len().saturating_sub(SAMPLE);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(SAMPLE).read_to_end(&mut bytes)?;
        if from > 0 {
            // The first line has lost its head.
            let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
            bytes.drain(..end);
        }
        Ok(Sample { bytes, modified: meta.modified().map_or(0, millis) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_within_the_tree() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path();
        fs::create_dir_all(root.join("etc/nginx/sites-enabled")).unwrap();
        fs::write(root.join("etc/nginx/default"), "here").unwrap();
        symlink("/etc/nginx/default", root.join("etc/nginx/sites-enabled/a")).unwrap();
        symlink("../default", root.join("etc/nginx/sites-enabled/b")).unwrap();
        symlink("/../../../../etc/nginx/default", root.join("etc/nginx/sites-enabled/c")).unwrap();
        symlink("loop", root.join("etc/nginx/sites-enabled/loop")).unwrap();
        fs::write(root.join("etc/nginx/sites-enabled/.hidden"), "no").unwrap();
        let host = Rooted::below(root);
        let names = host.names("/etc/nginx/sites-enabled/*");
        assert_eq!(names, ["a", "b", "c", "loop"].map(|n| format!("/etc/nginx/sites-enabled/{n}")));
        for name in &names[..3] {
            assert_eq!(host.text(name).unwrap(), "here", "{name}");
        }
        assert!(host.text(&names[3]).is_err());
        assert!(host.has("/etc/nginx/sites-enabled/b") && !host.has("/etc/passwd"));
    }

    #[test]
    fn the_end_of_a_log_begins_with_a_line() {
        let tree = tempfile::tempdir().unwrap();
        let line = "x".repeat(999) + "\n";
        fs::write(tree.path().join("a.log"), line.repeat(100)).unwrap();
        fs::write(tree.path().join("b.log"), "one\ntwo\n").unwrap();
        let host = Rooted::below(tree.path());
        let sample = host.sample("/a.log").unwrap();
        assert!(sample.bytes.len() > 60_000 && sample.bytes.len().is_multiple_of(1000));
        assert_eq!(host.sample("/b.log").unwrap().bytes, b"one\ntwo\n");
        assert!(host.sample("/").is_err());
    }
}
