//! The files that a command line means: what was typed → what to read, in a fixed order, each file once.

use crate::tail::HINT_PERMISSION;
use crate::tail::identity::{FileKey, Kind, Stat};
use crate::tail::paths::{Found, Listing, Pattern};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// A pipe that was named itself: read like standard input.
    Pipe(PathBuf),
}

/// Something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {text}", on_one_line(path))]
pub struct Problem {
    /// As it was typed, or found.
    pub path: PathBuf,
    /// Why, and what to do.
    pub text: String,
}

/// A name must not begin a line of its own, which would look like ours.
fn on_one_line(path: &Path) -> String {
    path.display().to_string().replace('\n', "\\u{a}")
}

impl Problem {
    /// What the system said about a path, with what to do about it.
    #[must_use]
    pub fn of(path: &Path, error: &io::Error) -> Problem {
        let text = match error.kind() {
            io::ErrorKind::NotFound => "no such file".to_owned(),
            io::ErrorKind::PermissionDenied => format!("permission denied: {HINT_PERMISSION}"),
            _ => error.to_string(),
        };
        Problem { path: path.to_path_buf(), text }
    }
}

/// What a command line means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// What to read: in the order of the command line, within a pattern or directory in the order of the names.
    pub sources: Vec<Source>,
    /// What was asked for and cannot be read.
    pub problems: Vec<Problem>,
    /// What patterns and directories hold besides: no log, no file.
    pub left_out: Vec<PathBuf>,
    /// How many further names of files that are read already.
    pub duplicates: usize,
}

/// Finds out what to read. `is_log` says whether a regular file found in a directory is one that detection knows;
/// files that were named, or matched by a pattern, are not asked about. A directory gives its own files, not those of
/// the directories in it.
pub fn select(arguments: &[OsString], is_log: &mut dyn FnMut(&Path) -> io::Result<bool>) -> Selection {
    let mut selector = Selector { selection: Selection::default(), seen: HashSet::new(), is_log };
    for argument in arguments {
        selector.argument(argument);
    }
    selector.selection
}

struct Selector<'a> {
    selection: Selection,
    seen: HashSet<FileKey>,
    is_log: &'a mut dyn FnMut(&Path) -> io::Result<bool>,
}

impl Selector<'_> {
    fn argument(&mut self, argument: &OsStr) {
        let path = Path::new(argument);
        if argument == "-" {
            let source = Source::Stdin;
            if self.selection.sources.contains(&source) {
                self.selection.duplicates += 1;
            } else {
                self.selection.sources.push(source);
            }
            return;
        }
        // What exists as it was typed is meant as it was typed, whatever characters are in its name.
        match Stat::of_path(path) {
            Ok(stat) if stat.kind == Kind::Directory => self.directory(path),
            Ok(stat) => self.add(path, &stat),
            Err(error) => match argument.to_str().map(Pattern::new) {
                Some(Ok(pattern)) if !pattern.is_plain() => self.pattern(&pattern),
                Some(Err(bad)) if error.kind() == io::ErrorKind::NotFound => {
                    self.problem(path, bad.to_string());
                }
                _ => self.selection.problems.push(Problem::of(path, &error)),
            },
        }
    }

    fn add(&mut self, path: &Path, stat: &Stat) {
        if !self.seen.insert(stat.key) {
            self.selection.duplicates += 1;
        } else if stat.kind == Kind::Regular {
            self.selection.sources.push(Source::File(path.to_path_buf()));
        } else if stat.kind == Kind::Fifo {
            self.selection.sources.push(Source::Pipe(path.to_path_buf()));
        } else {
            self.problem(path, "is a socket or a device, not a log".to_owned());
        }
    }

    fn pattern(&mut self, pattern: &Pattern) {
        let found = self.list(pattern);
        if found.is_empty() {
            return self.problem(Path::new(pattern.text()), "matches no file".to_owned());
        }
        for Found { path, .. } in found {
            match Stat::of_path(&path) {
                Ok(stat) if stat.kind == Kind::Regular => self.add(&path, &stat),
                Ok(_) => self.selection.left_out.push(path),
                // A pattern goes through directories that lack the file.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.selection.problems.push(Problem::of(&path, &error)),
            }
        }
    }

    fn directory(&mut self, path: &Path) {
        let (sources, problems) = (self.selection.sources.len(), self.selection.problems.len());
        let duplicates = self.selection.duplicates;
        for Found { path, .. } in self.list(&Pattern::all_in(path)) {
            let known = match Stat::of_path(&path) {
                Ok(stat) if stat.kind == Kind::Regular => (self.is_log)(&path).map(|log| log.then_some(stat)),
                Ok(_) => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
            match known {
                Ok(Some(stat)) => self.add(&path, &stat),
                Ok(None) => self.selection.left_out.push(path),
                Err(error) => self.selection.problems.push(Problem::of(&path, &error)),
            }
        }
        let selection = &self.selection;
        let nothing = (selection.sources.len(), selection.problems.len(), selection.duplicates);
        if nothing == (sources, problems, duplicates) {
            self.problem(path, "is a directory without logs that are known".to_owned());
        }
    }

    fn list(&mut self, pattern: &Pattern) -> Vec<Found> {
        let mut listing = Listing::default();
        pattern.find(&mut listing);
        self.selection.problems.extend(listing.failed.iter().map(|(path, error)| Problem::of(path, error)));
        listing.found
    }

    fn problem(&mut self, path: &Path, text: String) {
        self.selection.problems.push(Problem { path: path.to_path_buf(), text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// `(sources, problems, left out, duplicates)`, with paths relative to the directory.
    fn shown(dir: &Path, arguments: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>, usize) {
        let arguments: Vec<OsString> = arguments
            .iter()
            .map(|a| if *a == "-" { "-".into() } else { dir.join(a).into_os_string() })
            .collect();
        let selection = select(&arguments, &mut |path| Ok(path.extension().is_some_and(|e| e == "log")));
        let short = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
        let source = |source: &Source| match source {
            Source::Stdin => "-".to_owned(),
            Source::File(path) => short(path),
            Source::Pipe(path) => format!("| {}", short(path)),
        };
        (
            selection.sources.iter().map(source).collect(),
            selection.problems.iter().map(|p| format!("{}: {}", short(&p.path), p.text)).collect(),
            selection.left_out.iter().map(|p| short(p)).collect(),
            selection.duplicates,
        )
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in ["b.log", "a.log", "readme", ".hidden.log", "sub/c.log", "empty/x/y.log", "a[1].log"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x\n").unwrap();
        }
        fs::hard_link(dir.path().join("a.log"), dir.path().join("z.log")).unwrap();
        std::os::unix::fs::symlink("sub/c.log", dir.path().join("d.log")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("dangling.log")).unwrap();
        assert!(
            std::process::Command::new("mkfifo").arg(dir.path().join("pipe.log")).status().unwrap().success()
        );
        dir
    }

    #[test]
    fn command_lines() {
        let tree = tree();
        let all = ["a.log", "a[1].log", "b.log", "d.log"];
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str], usize);
        let cases: &[Case<'_>] = &[
            (&["b.log", "a.log"], &["b.log", "a.log"], &[], &[], 0),
            (&["a.log", "z.log", "a.log", "./a.log"], &["a.log"], &[], &[], 3),
            (&["-", "a.log", "-"], &["-", "a.log"], &[], &[], 1),
            (&["*.log"], &all, &[], &["pipe.log"], 1),
            (&["a[1].log"], &["a[1].log"], &[], &[], 0),
            (&["pipe.log"], &["| pipe.log"], &[], &[], 0),
            (&["."], &all, &[], &["dangling.log", "empty", "pipe.log", "readme", "sub"], 1),
            (&["sub", "d.log"], &["sub/c.log"], &[], &[], 1),
            (&["empty"], &[], &["empty: is a directory without logs that are known"], &["empty/x"], 0),
            (&["none.log", "b.log"], &["b.log"], &["none.log: no such file"], &[], 0),
            (&["*.gz"], &[], &["*.gz: matches no file"], &[], 0),
            (&["*/c.log"], &["sub/c.log"], &[], &[], 0),
            (&["**/c.log"], &["sub/c.log"], &[], &[], 0),
            (&["b.log/x"], &[], &["b.log/x: Not a directory (os error 20)"], &[], 0),
            (&["x[.log"], &[], &["x[.log: `[` is never closed"], &[], 0),
            (&["dangling.log"], &[], &["dangling.log: no such file"], &[], 0),
        ];
        for (arguments, sources, problems, left_out, duplicates) in cases {
            let got = shown(tree.path(), arguments);
            let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            let want = (owned(sources), owned(problems), owned(left_out), *duplicates);
            assert_eq!(got, want, "{arguments:?}");
        }
    }

    #[test]
    fn devices_are_no_logs() {
        let (sources, problems, ..) = shown(Path::new("/"), &["dev/null"]);
        assert_eq!(
            (sources, problems),
            (vec![], vec!["dev/null: is a socket or a device, not a log".to_owned()])
        );
    }

    #[test]
    fn what_to_do_is_said() {
        let problem =
            Problem::of(Path::new("/var/log/nginx/access.log"), &io::ErrorKind::PermissionDenied.into());
        assert!(problem.to_string().contains("group adm"), "{problem}");
    }
}
