//! The names that a log has after its rotation, and their order: `access.log.1`, `access.log-20261101.gz`,
//! `access-20261101.log`, `access.1.log`. Names and times in, order out.

use super::identity::{FileKey, Kind, Stat};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What archives are called; what they are is told by their bytes.
const COMPRESSED: [&[u8]; 7] = [b".gz", b".zst", b".zstd", b".xz", b".bz2", b".lzma", b".Z"];
/// A number has so many digits at most; more are a date.
const NUMBER_DIGITS: usize = 5;
/// What stands for number or date is no longer than this.
const TOKEN_MAX: usize = 32;
/// So many rotated files of one log are looked at, the newest.
const SIBLINGS_MAX: usize = 1_000;

/// What a rotated name says of its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Age {
    /// `.1` is the newest; it counts up at each rotation.
    Number(u64),
    /// Year first: as text, later is newer.
    Day(String),
    /// Seconds since the epoch.
    Epoch(u64),
    /// A date written in another order.
    Unordered,
}

/// A name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The log's own name.
    pub live: Vec<u8>,
    /// Which of its rotated files.
    pub age: Age,
    /// The name without the archive's ending: `a.log.1` and `a.log.1.gz` are one, the second in the making.
    slot: Vec<u8>,
    /// It is an archive by its name.
    pub compressed: bool,
    /// A number stands before the ending, as in `edge.1.log`: that may as well be a log of its own.
    pub doubtful: bool,
}

/// Every way to read a name as that of a rotated file.
pub fn readings(name: &[u8]) -> Vec<Rotated> {
    let ending = COMPRESSED.iter().find_map(|ending| name.strip_suffix(*ending));
    let (slot, compressed) = (ending.unwrap_or(name), ending.is_some());
    let mut found = Vec::new();
    let mut add = |live: Vec<u8>, age: Age, doubtful: bool| {
        if !live.is_empty() {
            found.push(Rotated { live, age, slot: slot.to_vec(), compressed, doubtful });
        }
    };
    for (live, age, _) in cuts(slot) {
        add(live.to_vec(), age, false);
    }
    if let Some(dot) = memchr::memrchr(b'.', slot)
        && let Some((stem, ending)) = slot.split_at_checked(dot)
        && ending.iter().any(u8::is_ascii_alphabetic)
    {
        for (live, age, separator) in cuts(stem) {
            let is_number = matches!(age, Age::Number(_));
            if !is_number || separator == b'.' {
                add([live, ending].concat(), age, is_number);
            }
        }
    }
    if compressed {
        add(slot.to_vec(), Age::Number(0), false);
    }
    found
}

/// `access.log` and `2026-11-01` out of `access.log-2026-11-01`, and everything else that it may be.
fn cuts(name: &[u8]) -> impl Iterator<Item = (&[u8], Age, u8)> {
    let separators = name.iter().enumerate().filter(|(_, b)| matches!(b, b'.' | b'-' | b'_'));
    separators.filter_map(move |(at, separator)| {
        let age = age(name.get(at + 1..)?)?;
        Some((name.get(..at)?, age, *separator))
    })
}

fn age(token: &[u8]) -> Option<Age> {
    if token == b"old" {
        return Some(Age::Number(1));
    }
    let ends = [token.first()?, token.last()?];
    let fits = token.iter().all(|b| b.is_ascii_digit() || b"-_.:T+".contains(b));
    if token.len() > TOKEN_MAX || !fits || !ends.iter().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = token.iter().filter(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
    if digits.len() == token.len() && digits.len() <= NUMBER_DIGITS {
        return digits.parse().ok().map(Age::Number);
    }
    if digits.len() <= NUMBER_DIGITS {
        return None;
    }
    let part = |from, to| digits.get(from..to).and_then(|text: &str| text.parse::<u32>().ok()).unwrap_or(0);
    if (1990..2200).contains(&part(0, 4)) && (1..=12).contains(&part(4, 6)) {
        return Some(Age::Day(digits));
    }
    Some(match digits.parse() {
        Ok(seconds) if digits.len() == 10 => Age::Epoch(seconds),
        _ => Age::Unordered,
    })
}

/// A rotated file.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Where.
    pub path: PathBuf,
    /// What the filesystem says of it.
    pub stat: Stat,
    name: Rotated,
}

/// The rotated files of the log at this path, newest first. Symlinks, and what is no regular file, are none.
///
/// A listing may miss what is renamed meanwhile, and a file that was missed once would count as older than those that were
/// found: only two listings alike are believed.
///
/// # Errors
/// The directory cannot be listed, or its names are changing (`Interrupted`): then nothing is known.
pub fn of(live: &Path) -> io::Result<Vec<Sibling>> {
    let (first, second) = (listed(live)?, listed(live)?);
    let same = |(a, b): (&Sibling, &Sibling)| (&a.path, a.stat.key) == (&b.path, b.stat.key);
    if first.len() == second.len() && first.iter().zip(&second).all(same) {
        return Ok(second);
    }
    Err(io::ErrorKind::Interrupted.into())
}

fn listed(live: &Path) -> io::Result<Vec<Sibling>> {
    let (Some(parent), Some(name)) = (live.parent(), live.file_name()) else { return Ok(Vec::new()) };
    let here = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let mut found = Vec::new();
    for entry in fs::read_dir(here)? {
        let file = entry?.file_name();
        let reading = readings(file.as_bytes()).into_iter().find(|reading| reading.live == name.as_bytes());
        let Some(name) = reading else { continue };
        let path = parent.join(&file);
        match Stat::of_link(&path) {
            Ok(stat) if stat.kind == Kind::Regular => found.push(Sibling { path, stat, name }),
            // Renamed while we looked: the next look sees it under its new name.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sort(&mut found);
    found.truncate(SIBLINGS_MAX);
    Ok(found)
}

/// Newest first; of two of one rotation the plain one, since the other may not be whole yet; each file once.
fn sort(found: &mut Vec<Sibling>) {
    let all = |is: fn(&Age) -> bool| found.iter().all(|sibling| is(&sibling.name.age));
    // One rule for all: two rules at once would make no order. Compressing keeps the time of the last write.
    let by_name = all(|age| matches!(age, Age::Number(_)))
        || all(|age| matches!(age, Age::Day(_)))
        || all(|age| matches!(age, Age::Epoch(_)));
    let sign = if counts_down(found) { -1 } else { 1 };
    let age = |sibling: &Sibling| match &sibling.name.age {
        Age::Number(number) if by_name => (sign * i128::from(*number), String::new()),
        Age::Epoch(seconds) if by_name => (-i128::from(*seconds), String::new()),
        // Digit by digit the other way round: later is first. Longer is newer.
        Age::Day(digits) if by_name => {
            (0, digits.chars().map(|c| char::from(b'0' + b'9' - c as u8)).chain(['~']).collect())
        }
        _ => (-sibling.stat.stamp.modified, String::new()),
    };
    found.sort_by_cached_key(|sibling| (age(sibling), sibling.name.compressed, sibling.path.clone()));
    let (mut keys, mut slots): (HashSet<FileKey>, HashSet<Vec<u8>>) = (HashSet::new(), HashSet::new());
    found.retain(|sibling| slots.insert(sibling.name.slot.clone()) && keys.insert(sibling.stat.key));
}

/// Some count their rotations, so that the highest number is the newest: the times of the last writes tell, and the times of
/// birth must not say otherwise. (A writer that was not told yet writes to an old file after the new one was made; a directory
/// copied as a whole is born in any order. An archive is born when it is made.)
fn counts_down(found: &[Sibling]) -> bool {
    let number = |sibling: &Sibling| match sibling.name.age {
        Age::Number(number) => number,
        _ => 0,
    };
    let mut by_number: Vec<&Sibling> = found.iter().collect();
    by_number.sort_by_key(|sibling| (number(sibling), sibling.stat.stamp.modified));
    let (mut newer, mut older) = (0, 0);
    for (low, high) in by_number.iter().zip(by_number.iter().skip(1)) {
        if number(low) == number(high) || low.stat.stamp.modified == high.stat.stamp.modified {
            continue;
        }
        let comparable = !low.name.compressed && !high.name.compressed && low.stat.key.birth > 0;
        let born_later = !comparable || high.stat.key.birth > low.stat.key.birth;
        let is_newer = high.stat.stamp.modified > low.stat.stamp.modified && born_later;
        newer += usize::from(is_newer);
        older += usize::from(!is_newer);
    }
    newer > older
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::identity::Stamp;

    #[test]
    fn names_of_rotated_files() {
        let cases = [
            ("access.log.1", "access.log", Some("Number(1)")),
            ("access.log.14.gz", "access.log", Some("Number(14) gz")),
            ("access.log-20261101", "access.log", Some("Day(\"20261101\")")),
            ("access.log-20261101.zst", "access.log", Some("Day(\"20261101\") gz")),
            ("access.log-2026-11-01_17.xz", "access.log", Some("Day(\"2026110117\") gz")),
            ("access.log.2026-11-01T17:30:00.bz2", "access.log", Some("Day(\"20261101173000\") gz")),
            ("access.log-1793523600", "access.log", Some("Epoch(1793523600)")),
            ("access.log-01112026", "access.log", Some("Unordered")),
            ("access.log.old", "access.log", Some("Number(1)")),
            ("access.log.gz", "access.log", Some("Number(0) gz")),
            ("access-20261101.log", "access.log", Some("Day(\"20261101\")")),
            ("access-20261101.log.gz", "access.log", Some("Day(\"20261101\") gz")),
            ("access.1.log", "access.log", Some("Number(1) doubtful")),
            ("access-1.log", "access.log", None),
            ("access.log.1", "access", None),
            ("access.log.swp", "access.log", None),
            ("access.log", "access.log", None),
            ("access.log2", "access.log", None),
            ("shop-access.log.1", "access.log", None),
            ("access_log.1", "access_log", Some("Number(1)")),
            ("access_log-20261101", "access_log", Some("Day(\"20261101\")")),
            ("haproxy.log-12345678901234567890123456789012345", "haproxy.log", None),
        ];
        for (name, live, want) in cases {
            let reading = readings(name.as_bytes()).into_iter().find(|r| r.live == live.as_bytes());
            let got = reading.map(|r| {
                let word = |is: bool, word: &str| if is { format!(" {word}") } else { String::new() };
                format!("{:?}{}{}", r.age, word(r.compressed, "gz"), word(r.doubtful, "doubtful"))
            });
            assert_eq!(got.as_deref(), want, "{name} of {live}");
        }
    }

    fn ordered(names: &[(&str, i128)]) -> Vec<String> {
        born([0; 4], names)
    }

    fn born(births: [u64; 4], names: &[(&str, i128)]) -> Vec<String> {
        let mut found: Vec<Sibling> = names
            .iter()
            .zip((1..).zip(births))
            .map(|((name, modified), (ino, birth))| {
                let reading = readings(name.as_bytes()).into_iter().find(|r| r.live == b"a.log").unwrap();
                let stat = Stat {
                    key: FileKey { dev: 1, ino, birth },
                    size: 1,
                    links: 1,
                    stamp: Stamp { modified: *modified, changed: 0 },
                    kind: Kind::Regular,
                };
                Sibling { path: PathBuf::from(name), stat, name: reading }
            })
            .collect();
        sort(&mut found);
        found.iter().map(|sibling| sibling.path.display().to_string()).collect()
    }

    #[test]
    fn newest_first() {
        let by_number = [("a.log.10.gz", 9), ("a.log.2.gz", 9), ("a.log.1", 9), ("a.log.9.gz", 9)];
        assert_eq!(ordered(&by_number), ["a.log.1", "a.log.2.gz", "a.log.9.gz", "a.log.10.gz"]);
        let by_day = [("a.log-20251231.gz", 9), ("a.log-20260102", 1), ("a.log-20260101", 5)];
        assert_eq!(ordered(&by_day), ["a.log-20260102", "a.log-20260101", "a.log-20251231.gz"]);
        let hours = [("a.log-2026010103", 0), ("a.log-20260101", 0), ("a.log-2026010112", 0)];
        assert_eq!(ordered(&hours), ["a.log-2026010112", "a.log-2026010103", "a.log-20260101"]);
        // One of another kind, or with the day first: the time of the last write decides, for all.
        let mixed = [("a.log.1", 5), ("a.log-20260101", 7), ("a.log.2", 9)];
        assert_eq!(ordered(&mixed), ["a.log.2", "a.log-20260101", "a.log.1"]);
        let day_first = [("a.log-31122025", 1), ("a.log-01012026", 2)];
        assert_eq!(ordered(&day_first), ["a.log-01012026", "a.log-31122025"]);
        let counted = [("a.log.1", 1), ("a.log.2", 2), ("a.log.10", 5), ("a.log.9", 6)];
        assert_eq!(ordered(&counted), ["a.log.10", "a.log.9", "a.log.2", "a.log.1"]);
        // A writer that is told late writes to an old one after the new one was made.
        let told_late = [("a.log.1", 1), ("a.log.2", 5), ("a.log.3", 3), ("a.log.4", 4)];
        assert_eq!(ordered(&told_late), ["a.log.4", "a.log.3", "a.log.2", "a.log.1"]);
        assert_eq!(born([9, 8, 7, 10], &told_late), ["a.log.1", "a.log.2", "a.log.3", "a.log.4"]);
        // Being compressed right now.
        assert_eq!(ordered(&[("a.log.1.gz", 9), ("a.log.1", 1)]), ["a.log.1"]);
    }
}
