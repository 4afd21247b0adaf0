//! Path patterns: `*`, `?`, `[a-z]`, `[!0-9]`, `**`, and `<label>`, which matches like `*` and keeps what it matched.
//!
//! A listing that fails says so and finds nothing there: whoever asks must not take that for "deleted".

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// `**` goes so many directories down, at most: a bind mount can hold itself.
const DEEPEST: usize = 16;
/// So many files are followed at once, at most, over all patterns: where each stands goes into the snapshot.
pub const FOUND_MAX: usize = 10_000;
/// And with so many bytes of paths.
pub const PATHS_MAX: usize = 1 << 20;
/// So many names of a directory are looked at.
const NAMES_MAX: usize = 100_000;

/// A path pattern that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Nothing there.
    #[error("the path is empty")]
    Empty,
    /// `[` without `]`.
    #[error("`[` is never closed")]
    OpenClass,
    /// `<` without `>`.
    #[error("`<` is never closed (a label is written `<node>`)")]
    OpenLabel,
    /// `<1st>`, `<>`.
    #[error("`<{0}>` is no label name: letters, digits and `_`, not a digit first")]
    LabelName(String),
    /// Twice the same.
    #[error("the label `<{0}>` stands there twice")]
    LabelTwice(String),
    /// `<a><b>`: where one ends is anybody's guess.
    #[error("`<{0}>` and what follows it could be cut anywhere: put something between them")]
    LabelsTouch(String),
    /// `a**b`.
    #[error("`**` stands alone between two slashes")]
    DeepInside,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Any,
    Class { not: bool, ranges: Vec<(u8, u8)> },
    Label(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(OsString),
    Wild(Vec<Token>),
    Deep,
}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    root: PathBuf,
    parts: Vec<Part>,
}

/// A path that a pattern matched (one without wildcards is not looked up), and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path.
    pub path: PathBuf,
    /// What the pattern's `<label>`s matched, in its order.
    pub labels: Vec<(String, String)>,
}

/// What a listing gave.
#[derive(Debug, Default)]
pub struct Listing {
    /// The paths, in the order of their bytes directory by directory.
    pub found: Vec<Found>,
    /// Directories whose content matters: those listed and the parents of what was found.
    pub directories: BTreeSet<PathBuf>,
    /// Directories that could not be listed.
    pub failed: Vec<(PathBuf, io::Error)>,
    /// How many names were looked at.
    pub names: usize,
    /// Paths that match, and are too many.
    pub left: usize,
}

impl Pattern {
    /// Compiles it. A relative one begins in the current directory.
    pub fn new(text: &str) -> Result<Pattern, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        let root = if text.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() };
        let mut labels = Vec::new();
        let mut parts = Vec::new();
        for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
            parts.push(compile(part, &mut labels)?);
        }
        Ok(Pattern { text: text.to_owned(), root, parts })
    }

    /// One path, taken as it is, wildcards or not.
    #[must_use]
    pub fn literal(path: &Path) -> Pattern {
        let text = path.to_string_lossy().into_owned();
        let parts = path.file_name().map(|name| Part::Literal(name.to_owned())).into_iter().collect();
        Pattern { text, root: path.parent().map(Path::to_path_buf).unwrap_or_default(), parts }
    }

    /// Everything in a directory that is not hidden, whatever characters are in its name.
    #[must_use]
    pub fn all_in(directory: &Path) -> Pattern {
        let text = directory.to_string_lossy().into_owned();
        Pattern { text, root: directory.to_path_buf(), parts: vec![Part::Wild(vec![Token::Any])] }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// It names one path.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Where its first wildcard begins: everything that it finds lies below.
    #[must_use]
    pub fn fixed(&self) -> PathBuf {
        let mut fixed = self.root.clone();
        let before_last = self.parts.len().saturating_sub(1);
        for part in self.parts.iter().take(before_last) {
            let Part::Literal(name) = part else { break };
            fixed.push(name);
        }
        fixed
    }

    /// The labels of a path that it would find, were it there.
    #[must_use]
    pub fn would_find(&self, path: &Path) -> Option<Vec<(String, String)>> {
        let inside = path.strip_prefix(&self.root).ok()?;
        let names: Vec<&[u8]> = inside.components().map(|part| part.as_os_str().as_bytes()).collect();
        let mut labels = Vec::new();
        along(&self.parts, &names, &mut labels).then_some(labels)
    }

    /// The labels that it captures.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Wild(tokens) => tokens.as_slice(),
                _ => &[],
            })
            .filter_map(|token| match token {
                Token::Label(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// Adds to the listing what it matches now.
    pub fn find(&self, listing: &mut Listing) {
        let before = listing.found.len();
        walk(&self.root, &self.parts, &mut Vec::new(), DEEPEST, listing);
        // `*/access.log` goes through every directory, and most have none. A plain path is wanted, there or not.
        if !self.is_plain() && matches!(self.parts.last(), Some(Part::Literal(_))) {
            let guessed = listing.found.split_off(before);
            listing.found.extend(guessed.into_iter().filter(|found| may_exist(&found.path)));
        }
    }
}

fn along(parts: &[Part], names: &[&[u8]], labels: &mut Vec<(String, String)>) -> bool {
    let Some((part, rest)) = parts.split_first() else { return names.is_empty() };
    if *part == Part::Deep {
        let most = names.len().min(DEEPEST);
        return (0..=most).any(|n| along(rest, names.get(n..).unwrap_or_default(), labels));
    }
    let Some((name, names)) = names.split_first() else { return false };
    let before = labels.len();
    let fits = match part {
        Part::Literal(literal) => literal.as_bytes() == *name,
        Part::Wild(tokens) => matches(tokens, name).map(|mut found| labels.append(&mut found)).is_some(),
        Part::Deep => false,
    };
    if fits && along(rest, names, labels) {
        return true;
    }
    labels.truncate(before);
    false
}

/// Only "no" means no: what cannot be looked at has to be said.
fn may_exist(path: &Path) -> bool {
    !matches!(fs::symlink_metadata(path), Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

fn compile(part: &str, labels: &mut Vec<String>) -> Result<Part, BadPattern> {
    if part == "**" {
        return Ok(Part::Deep);
    }
    if part.contains("**") {
        return Err(BadPattern::DeepInside);
    }
    let mut tokens = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let was_label = match tokens.last() {
            Some(Token::Label(name)) => Some(String::clone(name)),
            _ => None,
        };
        let (token, after) = match byte {
            b'?' => (Token::One, after),
            b'*' => (Token::Any, after),
            b'[' => class(after)?,
            b'<' => {
                let (name, after) = label(after)?;
                if labels.contains(&name) {
                    return Err(BadPattern::LabelTwice(name));
                }
                labels.push(name.clone());
                (Token::Label(name), after)
            }
            byte => (Token::Byte(byte), after),
        };
        if let Some(name) = was_label
            && matches!(token, Token::Any | Token::Label(_))
        {
            return Err(BadPattern::LabelsTouch(name));
        }
        tokens.push(token);
        rest = after;
    }
    let plain: Option<Vec<u8>> =
        tokens.iter().map(|t| if let Token::Byte(b) = t { Some(*b) } else { None }).collect();
    Ok(plain.map_or(Part::Wild(tokens), |bytes| Part::Literal(OsString::from_vec(bytes))))
}

fn label(after: &[u8]) -> Result<(String, &[u8]), BadPattern> {
    let end = memchr::memchr(b'>', after).ok_or(BadPattern::OpenLabel)?;
    let (name, rest) = after.split_at_checked(end).ok_or(BadPattern::OpenLabel)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !fits {
        return Err(BadPattern::LabelName(name));
    }
    Ok((name, rest.get(1..).unwrap_or_default()))
}

fn class(after: &[u8]) -> Result<(Token, &[u8]), BadPattern> {
    let (not, mut rest) = match after {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        rest = match rest {
            // A `]` that comes first stands for itself.
            [b']', after @ ..] if !ranges.is_empty() => return Ok((Token::Class { not, ranges }, after)),
            [from, b'-', to, after @ ..] if *to != b']' => {
                ranges.push((*from, *to));
                after
            }
            [byte, after @ ..] => {
                ranges.push((*byte, *byte));
                after
            }
            [] => return Err(BadPattern::OpenClass),
        };
    }
}

/// Where in the name each label's text lies, if the whole name matches. Greedy wildcards with one point to come back
/// to would do for `*` alone; labels need their extents, and names are short (255 bytes), so plain backtracking
/// with a budget: a pattern of twenty stars cannot stall us.
fn matches(tokens: &[Token], name: &[u8]) -> Option<Vec<(String, String)>> {
    let hidden = name.first() == Some(&b'.') && tokens.first() != Some(&Token::Byte(b'.'));
    let mut budget = 100_000usize;
    let mut labels = Vec::new();
    (!hidden && step(tokens, name, &mut labels, &mut budget)).then(|| {
        labels.reverse();
        labels
    })
}

fn step(tokens: &[Token], name: &[u8], labels: &mut Vec<(String, String)>, budget: &mut usize) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return false;
    }
    let Some((token, rest)) = tokens.split_first() else { return name.is_empty() };
    let one = |fits: bool| if fits { name.get(1..) } else { None };
    let next = match token {
        Token::Byte(byte) => one(name.first() == Some(byte)),
        Token::One => one(!name.is_empty()),
        Token::Class { not, ranges } => one(name
            .first()
            .is_some_and(|b| ranges.iter().any(|(from, to)| (from..=to).contains(&b)) != *not)),
        Token::Any => {
            return (0..=name.len()).any(|n| step(rest, name.get(n..).unwrap_or_default(), labels, budget));
        }
        Token::Label(label) => {
            let longest_first = (1..=name.len()).rev();
            for n in longest_first {
                let (text, after) = name.split_at_checked(n).unwrap_or((name, &[]));
                if step(rest, after, labels, budget) {
                    labels.push((label.clone(), String::from_utf8_lossy(text).into_owned()));
                    return true;
                }
            }
            return false;
        }
    };
    next.is_some_and(|name| step(rest, name, labels, budget))
}

fn walk(dir: &Path, parts: &[Part], labels: &mut Vec<(String, String)>, deep: usize, listing: &mut Listing) {
    let Some((part, rest)) = parts.split_first() else { return };
    match part {
        Part::Literal(name) => arrive(dir, name, rest, labels, deep, listing),
        Part::Wild(tokens) => {
            for name in names(dir, listing) {
                if let Some(mut found) = matches(tokens, name.as_bytes()) {
                    let before = labels.len();
                    labels.append(&mut found);
                    arrive(dir, &name, rest, labels, deep, listing);
                    labels.truncate(before);
                }
            }
        }
        Part::Deep => {
            // None, or one directory more.
            walk(dir, rest, labels, deep, listing);
            if deep > 0 {
                for name in names(dir, listing) {
                    let path = dir.join(&name);
                    // Not through symlinks: they may lead back up.
                    let real = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
                    if real && !name.as_bytes().starts_with(b".") {
                        walk(&path, parts, labels, deep - 1, listing);
                    }
                }
            }
        }
    }
}

fn arrive(
    dir: &Path,
    name: &OsStr,
    rest: &[Part],
    labels: &mut Vec<(String, String)>,
    deep: usize,
    listing: &mut Listing,
) {
    let path = dir.join(name);
    if !rest.is_empty() {
        walk(&path, rest, labels, deep, listing);
    } else if listing.found.len() < FOUND_MAX {
        listing.directories.insert(dir.to_path_buf());
        listing.found.push(Found { path, labels: labels.clone() });
    } else {
        listing.left += 1;
    }
}

/// The names in a directory, sorted; none if it is not there (yet) or is none.
fn names(dir: &Path, listing: &mut Listing) -> Vec<OsString> {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = match fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Vec::new();
        }
        Err(error) => {
            listing.failed.push((dir.to_path_buf(), error));
            return Vec::new();
        }
    };
    listing.directories.insert(dir.to_path_buf());
    let mut names = Vec::new();
    for entry in entries.take(NAMES_MAX) {
        match entry {
            Ok(entry) => names.push(entry.file_name()),
            Err(error) => {
                listing.failed.push((dir.to_path_buf(), error));
                break;
            }
        }
    }
    listing.names += names.len();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(part: &str) -> Vec<Token> {
        match compile(part, &mut Vec::new()).unwrap() {
            Part::Wild(tokens) => tokens,
            Part::Literal(name) => name.as_bytes().iter().map(|b| Token::Byte(*b)).collect(),
            Part::Deep => unreachable!("`**` is no name"),
        }
    }

    #[test]
    fn names_match() {
        let cases = [
            ("*access.log", "access.log", Some("")),
            ("*access.log", "shop-access.log", Some("")),
            ("*access.log", "access.log.1", None),
            ("*.log", ".hidden.log", None),
            (".*.log", ".hidden.log", Some("")),
            ("?.log", "a.log", Some("")),
            ("?.log", ".log", None),
            ("a[0-9].log", "a7.log", Some("")),
            ("a[!0-9].log", "a7.log", None),
            ("a[]x]", "a]", Some("")),
            ("a[x-]", "a-", Some("")),
            ("<site>-access.log", "shop-access.log", Some("site=shop")),
            ("<site>-access.log", "a-b-access.log", Some("site=a-b")),
            ("<site>-access.log", "-access.log", None),
            ("<site>-access.log", ".x-access.log", None),
            ("<node>.<site>.log", "fra1.shop.log", Some("node=fra1 site=shop")),
            ("<node>", "edge-7", Some("node=edge-7")),
            ("*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", None),
        ];
        for (pattern, name, want) in cases {
            let got = matches(&tokens(pattern), name.as_bytes())
                .map(|labels| labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "));
            assert_eq!(got.as_deref(), want, "{pattern} {name}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("", BadPattern::Empty),
            ("/var/a[b", BadPattern::OpenClass),
            ("/var/<node", BadPattern::OpenLabel),
            ("/var/<>/a", BadPattern::LabelName(String::new())),
            ("/var/<1>/a", BadPattern::LabelName("1".into())),
            ("/<a>/<a>", BadPattern::LabelTwice("a".into())),
            ("/<a><b>", BadPattern::LabelsTouch("a".into())),
            ("/<a>*", BadPattern::LabelsTouch("a".into())),
            ("/a**", BadPattern::DeepInside),
        ];
        for (text, want) in cases {
            assert_eq!(Pattern::new(text), Err(want), "{text}");
        }
    }

    fn found(pattern: &str) -> (Vec<String>, Listing) {
        let mut listing = Listing::default();
        Pattern::new(pattern).unwrap().find(&mut listing);
        let shown = |f: &Found| {
            let labels: String = f.labels.iter().map(|(k, v)| format!(" {k}={v}")).collect();
            format!("{}{labels}", f.path.file_name().unwrap_or_default().display())
        };
        (listing.found.iter().map(shown).collect(), listing)
    }

    #[test]
    fn finds_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display();
        for path in ["fra1/haproxy.log", "ams2/haproxy.log", "ams2/x/y/deep.log", "b.log", "a.log", ".c.log"]
        {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        assert_eq!(found(&format!("{root}/*.log")).0, ["a.log", "b.log"]);
        assert_eq!(found(&format!("{root}//./b.log")).0, ["b.log"]);
        assert_eq!(found(&format!("{root}/f*/<node>.log")).0, ["haproxy.log node=haproxy"]);
        assert_eq!(found(&format!("{root}/ams*/<node>/**/*.log")).0, ["deep.log node=x"]);
        assert_eq!(found(&format!("{root}/**/deep.log")).1.failed.len(), 0);
        assert!(found(&format!("{root}/**/*.log")).0.contains(&"deep.log".to_owned()));
        assert!(found(&format!("{root}/nowhere/*.log")).0.is_empty());
        let (names, listing) = found(&format!("{root}/<node>/haproxy.log"));
        assert_eq!(names, ["haproxy.log node=ams2", "haproxy.log node=fra1"]);
        assert!(listing.directories.contains(&dir.path().join("fra1")));
        assert_eq!(
            Pattern::new("/<node>/<site>.log").unwrap().labels().collect::<Vec<_>>(),
            ["node", "site"]
        );
    }

    #[test]
    fn what_would_be_found() {
        let cases = [
            ("/var/log/*.log", "/var/log/a.log", Some("")),
            ("/var/log/*.log", "/var/log/a.log.1", None),
            ("/var/log/<node>/haproxy.log", "/var/log/fra1/haproxy.log", Some("node=fra1")),
            ("/var/**/<site>.log", "/var/a/b/x.log", Some("site=x")),
            ("/var/**/<site>.log", "/var/x.log", Some("site=x")),
            ("/var/log/a.log", "/var/log/a.log", Some("")),
            ("/var/log/a.log", "/var/log/b/a.log", None),
        ];
        for (pattern, path, want) in cases {
            let got = Pattern::new(pattern).unwrap().would_find(Path::new(path));
            let got = got.map(|l| l.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "));
            assert_eq!(got.as_deref(), want, "{pattern} {path}");
        }
        for (pattern, fixed) in [("/var/log/*.log", "/var/log"), ("/a/<b>/c.log", "/a"), ("*.log", "")] {
            assert_eq!(Pattern::new(pattern).unwrap().fixed(), Path::new(fixed));
        }
    }

    #[test]
    fn a_literal_is_taken_as_it_is() {
        let mut listing = Listing::default();
        let pattern = Pattern::literal(Path::new("/x/a[1]*.log"));
        pattern.find(&mut listing);
        assert!(pattern.is_plain());
        assert_eq!(listing.found[0].path, Path::new("/x/a[1]*.log"));
    }
}
