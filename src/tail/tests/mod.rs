//! Real files in a temporary directory, and a clock that only moves when told.
//!
//! Faults, and the tests that bring them about (`stream`: a unit test of that module; `random`: among others, in any order):
//!
//! | what happens | test |
//! |---|---|
//! | renamed, the writer told later | `rename_and_create_with_a_writer_on_the_old_file`, `random` |
//! | rotated once, twice, many times while down | `rotation::any_number_of_rotations_while_down` |
//! | rotated and compressed while down, by gzip, zstd, xz, bzip2 | `rotation::compressed_while_down` |
//! | compressed at once, the old file still open | `rotation::compressed_while_the_old_file_is_open` |
//! | dates in names, names before the ending | `siblings::tests::*`, `rotation::any_number_of_rotations_while_down` |
//! | renamed while down, and cleaned up | `rotation::what_was_counted_is_not_counted_again` |
//! | copied and truncated, live | `rotation::copied_and_truncated`, `random` |
//! | copied and truncated while behind, while down | `rotation::copied_and_truncated_while_behind` |
//! | truncated and refilled: smaller, the same size, larger | `truncations`, `identity::*`, `random` |
//! | written anew and moved over | `written_anew_and_moved_over`, `restarts_go_on_where_they_were`, `random` |
//! | deleted and made again, live | `deleted_and_made_again`, `identity::an_inode_handed_out_again_while_we_look_is_another_file` |
//! | the same while down | `identity::an_inode_handed_out_again_while_down_is_another_file` |
//! | deleted, the writer still there | `deleted_and_made_again` |
//! | two files with the same first KiB | `rotation::the_same_beginning_is_not_the_same_file` |
//! | empty, ten bytes | `rotation::small_files_are_read_at_once` |
//! | renamed, never created | `renamed_but_not_created_yet` |
//! | a slow writer's half line | `appended_lines_come_at_once`, `start_at_the_end_keeps_lines_whole`, `random` |
//! | a cut line at a rotated end | `rename_and_create_with_a_writer_on_the_old_file` |
//! | the hole of a writer without append, terabytes | `the_hole_of_a_writer_without_append`, `rotation::a_huge_hole_is_skipped` |
//! | CR, NUL, no UTF-8 | `appended_lines_come_at_once`, `the_hole_of_a_writer_without_append` |
//! | more than 4 GiB | `rotation::a_huge_hole_is_skipped` |
//! | permission denied, granted later | `permission_denied_then_granted` |
//! | a failed listing | `what_cannot_be_listed_is_not_deleted`, `permission_denied_then_granted` |
//! | few descriptors, many files | `few_files_stay_open`, `rotation::compressed_while_closed` |
//! | one hot file, quiet ones | `nobody_waits_for_a_backlog` |
//! | the directory appears later, is renamed | `what_appears_later_is_read_from_its_beginning` |
//! | symlinks: swapped, dangling, looping, hostile | `symlinks_lead_to_files`, `security::*`, `open::tests::*` |
//! | hard links, overlapping patterns | `one_file_under_many_names_is_read_once`, `random` |
//! | pipes, devices, directories | `pipes_devices_and_archives_are_refused` |
//! | no events, or too many | every test here: none has a watcher; `wake` is a hint |
//! | unmounted and mounted again | `a_remount_is_no_new_file` |
//! | a damaged archive, a bomb | `rotation::a_damaged_archive_is_said`, `security::a_bomb_is_not_read_on` |
//! | the clock set back | `the_clock_set_back_stops_nothing` |

mod faults;
mod identity;
mod mixed;
mod random;
mod rotation;
mod security;

use super::identity::Stat;
use super::*;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

/// What a receiver makes of the events: lines, and a word for everything else.
#[derive(Default)]
pub(super) struct Received {
    pub(super) lines: Vec<String>,
    words: Vec<String>,
    pub(super) losses: usize,
    cut: HashMap<FileId, Vec<u8>>,
    names: HashMap<FileId, String>,
    keys: HashMap<FileId, FileKey>,
    pub(super) counted: HashMap<FileKey, Position>,
}

impl Received {
    fn progress(&mut self, file: FileId) -> &mut Progress {
        &mut self.counted.get_mut(&self.keys[&file]).unwrap().progress
    }

    pub(super) fn take(&mut self, event: Event<'_>) {
        let short = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match event {
            Event::Opened { file, place, placed, follows, from, .. } => {
                let labels: String = place.labels.iter().map(|(k, v)| format!(" {k}={v}")).collect();
                let follows = follows.map_or(String::new(), |f| format!(" after {}", f.0));
                self.words.push(format!("opened {} {placed:?}{labels}{follows}", short(place.path)));
                self.names.insert(file, short(place.path));
                self.keys.insert(file, place.key);
                let path = place.path.to_path_buf();
                self.counted.insert(place.key, Position { path, key: place.key, progress: from });
                assert!(self.cut.insert(file, Vec::new()).is_none(), "opened twice");
            }
            Event::Moved { file, place } => {
                let labels: String = place.labels.iter().map(|(k, v)| format!(" {k}={v}")).collect();
                self.words.push(format!("moved {} {}{labels}", self.names[&file], place.input));
                let old = self.keys.insert(file, place.key).unwrap();
                let Position { progress, .. } = self.counted.remove(&old).unwrap();
                let path = place.path.to_path_buf();
                self.counted.insert(place.key, Position { path, key: place.key, progress });
            }
            Event::Chunk { file, bytes, after, .. } => {
                assert!(!bytes.is_empty());
                let cut = self.cut.get_mut(&file).unwrap();
                cut.extend_from_slice(bytes);
                while let Some(end) = cut.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = cut.drain(..=end).collect();
                    self.lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
                }
                *self.progress(file) = after;
            }
            Event::Truncated { file } => {
                self.cut.get_mut(&file).unwrap().clear();
                *self.progress(file) = self.progress(file).restarted();
                self.words.push(format!("truncated {}", self.names[&file]));
            }
            Event::Finished { file, after } => {
                *self.progress(file) = after;
                let cut = self.cut.remove(&file).unwrap();
                if !cut.is_empty() {
                    self.lines.push(String::from_utf8_lossy(&cut).into_owned());
                }
                self.words.push(format!("finished {}", self.names[&file]));
            }
            Event::Dropped { file } => {
                self.cut.remove(&file).unwrap();
                self.words.push(format!("dropped {}", self.names[&file]));
            }
            Event::Rotated { file } => self.words.push(format!("rotated {}", self.names[&file])),
            Event::Gone { file } => self.words.push(format!("gone {}", self.names[&file])),
            Event::Unreadable { path, trouble, repeated, .. } => {
                let again = if repeated { " (again)" } else { "" };
                self.words.push(format!("{}: {trouble}{again}", short(path)));
            }
            Event::Recovered { path, .. } => self.words.push(format!("recovered {}", short(path))),
            Event::PossibleLoss { path, loss } => {
                self.losses += 1;
                self.words.push(format!("{}: {loss:?}", short(path)));
            }
            Event::Idle { .. } | Event::Reconciled | Event::FirstScanDone => {}
        }
    }
}

pub(super) struct Rig {
    dir: tempfile::TempDir,
    pub(super) tailer: Tailer,
    pub(super) now: Millis,
    pub(super) got: Received,
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn input(name: &str, dir: &Path, paths: &[&str], start: Start) -> Input {
    let pattern = |path: &&str| Pattern::new(&dir.join(path).display().to_string()).unwrap();
    Input { name: name.to_owned(), paths: paths.iter().map(pattern).collect(), start }
}

impl Rig {
    /// Follows the patterns from the files' beginning; nothing is polled yet.
    pub(super) fn new(paths: &[&str]) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let tailer = Tailer::new(vec![input("test", dir.path(), paths, Start::Beginning)], 100);
        Rig { dir, tailer, now: 1_000_000, got: Received::default() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) -> File {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
        file
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// What is written from now on is later than what was before, by the kernel's clock, too.
    pub(super) fn tick(&self) {
        let mark = || {
            fs::write(self.path("tick"), "").unwrap();
            fs::metadata(self.path("tick")).unwrap().modified().unwrap()
        };
        let before = mark();
        while mark() == before {
            std::thread::yield_now();
        }
    }

    /// Time passes, and then everything that is due is done.
    pub(super) fn pass(&mut self, ms: Millis) -> &mut Rig {
        self.now += ms;
        for _ in 0..1_000 {
            if self.tailer.poll(self.now, &mut |event| self.got.take(event)) > self.now {
                return self;
            }
        }
        unreachable!("it never comes to rest");
    }

    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.got.lines)
    }

    fn words(&mut self) -> Vec<String> {
        std::mem::take(&mut self.got.words)
    }

    /// A new process that goes on where this one's receiver has counted.
    pub(super) fn restart(&mut self) {
        let positions = self.got.counted.values().cloned().collect();
        self.restart_at(positions);
    }

    fn restart_at(&mut self, positions: Vec<Position>) {
        let inputs = self.tailer.inputs.clone();
        let names = inputs.iter().map(|input| input.name.clone()).collect::<Vec<_>>();
        let design = self.tailer.design;
        self.tailer = Tailer::new(inputs, 100);
        self.tailer.set_design(design);
        self.tailer.restore(positions, names);
        self.got.cut.clear();
    }
}

#[test]
fn appended_lines_come_at_once() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    assert_eq!(rig.pass(0).lines(), ["one"]);
    rig.append("a.log", b"two\r\nthr\xff");
    assert_eq!(rig.pass(100).lines(), ["two\r"]);
    rig.append("a.log", "ee\n");
    assert_eq!(rig.pass(100).lines(), ["thr\u{fffd}ee"]);
    assert_eq!(rig.words(), ["opened a.log Beginning"]);
}

#[test]
fn a_quiet_file_is_looked_at_once_a_second() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    assert_eq!(rig.pass(0).lines(), ["one"]);
    rig.pass(2_000);
    rig.append("a.log", "two\n");
    assert!(rig.pass(500).lines().is_empty());
    rig.tailer.hint();
    assert_eq!(rig.pass(1).lines(), ["two"]);
    rig.pass(2_000);
    rig.append("a.log", "three\n");
    assert_eq!(rig.pass(1_000).lines(), ["three"]);
}

#[test]
fn start_at_the_end_keeps_lines_whole() {
    let dir = tempfile::tempdir().unwrap();
    let tailer = Tailer::new(vec![input("test", dir.path(), &["*.log"], Start::End)], 100);
    let mut rig = Rig { dir, tailer, now: 0, got: Received::default() };
    rig.append("a.log", "old\nhal");
    assert!(rig.pass(0).lines().is_empty());
    rig.append("a.log", "f\n");
    rig.append("b.log", "later\n");
    assert_eq!(rig.pass(1_000).lines(), ["half", "later"]);
    assert_eq!(rig.words(), ["opened a.log End", "opened b.log Beginning"]);
}

#[test]
fn rename_and_create_with_a_writer_on_the_old_file() {
    let mut rig = Rig::new(&["a.log"]);
    let mut old = rig.append("a.log", "1\n");
    rig.pass(0);
    old.write_all(b"2\n").unwrap();
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "4\n");
    old.write_all(b"3\n").unwrap();
    // The old file's lines come first.
    assert_eq!(rig.pass(1_000).lines(), ["1", "2", "3", "4"]);
    // The writer was told late; its last line is cut.
    old.write_all(b"late\ncut").unwrap();
    assert_eq!(rig.pass(5_000).lines(), ["late"]);
    rig.append("a.log", "5\n");
    assert_eq!(rig.pass(29_000).lines(), ["5"]);
    assert_eq!(rig.pass(1_000).lines(), ["cut"]);
    assert_eq!(
        rig.words(),
        ["opened a.log Beginning", "rotated a.log", "opened a.log Beginning after 1", "finished a.log"]
    );
    rig.pass(60_000);
    assert_eq!(rig.tailer.files.len(), 1);
}

#[test]
fn renamed_but_not_created_yet() {
    let mut rig = Rig::new(&["a.log"]);
    let mut old = rig.append("a.log", "1\n");
    rig.pass(0);
    rig.rename("a.log", "a.log.1");
    rig.pass(1_000);
    old.write_all(b"2\n").unwrap();
    rig.pass(400_000);
    old.write_all(b"3\n").unwrap();
    rig.pass(400_000);
    rig.append("a.log", "4\n");
    assert_eq!(rig.pass(1_000).lines(), ["1", "2", "3", "4"]);
    let words = rig.words();
    assert_eq!(words[..2], ["opened a.log Beginning", "gone a.log"]);
    assert!(words.contains(&"opened a.log Beginning after 1".to_owned()), "{words:?}");
}

#[test]
fn rotated_twice_between_two_looks() {
    let mut rig = Rig::new(&["a.log*"]);
    rig.append("a.log", "1\n");
    rig.pass(0);
    rig.append("a.log", "2\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "3\n");
    rig.rename("a.log.1", "a.log.2");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "4\n");
    let mut lines = rig.pass(1_000).lines();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3", "4"]);
    // Long after they were let go, none is read again, though the pattern matches them.
    for _ in 0..40 {
        rig.pass(30_000);
    }
    assert!(rig.lines().is_empty());
    rig.append("a.log.1", "very late\n");
    assert_eq!(rig.pass(1_000).lines(), ["very late"]);
}

#[test]
fn truncations() {
    for (name, refill, want) in [
        ("smaller", "x\n", vec!["x"]),
        ("same size", "four\nfive\n", vec!["four", "five"]),
        ("past the offset", "four\nfive\nsix\n", vec!["four", "five", "six"]),
    ] {
        let mut rig = Rig::new(&["a.log"]);
        rig.append("a.log", "one\ntwo\ncu");
        assert_eq!(rig.pass(0).lines(), ["one", "two"], "{name}");
        // Not within one tick of the kernel's clock: two changes within one look the same by every stamp.
        std::thread::yield_now();
        let before = fs::metadata(rig.path("a.log")).unwrap();
        while fs::metadata(rig.path("a.log")).unwrap().modified().unwrap() == before.modified().unwrap() {
            fs::write(rig.path("a.log"), refill).unwrap();
        }
        assert_eq!(rig.pass(1_000).lines(), want, "{name}");
        assert_eq!(rig.words(), ["opened a.log Beginning", "a.log: Truncated", "truncated a.log"], "{name}");
        rig.append("a.log", "end\n");
        assert_eq!(rig.pass(1_000).lines(), ["end"], "{name}");
    }
}

#[test]
fn truncated_to_nothing() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    rig.pass(0);
    fs::write(rig.path("a.log"), "").unwrap();
    rig.pass(1_000);
    rig.append("a.log", "two\n");
    assert_eq!(rig.pass(1_000).lines(), ["one", "two"]);
}

#[test]
fn the_hole_of_a_writer_without_append() {
    let mut rig = Rig::new(&["a.log"]);
    let mut writer = File::create(rig.path("a.log")).unwrap();
    let long = format!("{}\n", "x".repeat(299_999));
    writer.write_all(long.as_bytes()).unwrap();
    assert_eq!(rig.pass(0).lines().len(), 1);
    OpenOptions::new().write(true).open(rig.path("a.log")).unwrap().set_len(0).unwrap();
    writer.write_all(b"after\n").unwrap();
    assert_eq!(writer.stream_position().unwrap(), 300_006);
    assert_eq!(rig.pass(1_000).lines(), ["after"]);
    // Bytes of value 0 within lines are the parser's to judge.
    writer.write_all(b"a\0b\n").unwrap();
    assert_eq!(rig.pass(1_000).lines(), ["a\0b"]);
}

#[test]
fn deleted_and_made_again() {
    let mut rig = Rig::new(&["*.log"]);
    let mut old = rig.append("a.log", "1\n");
    rig.pass(0);
    old.write_all(b"2\n").unwrap();
    fs::remove_file(rig.path("a.log")).unwrap();
    old.write_all(b"3\n").unwrap();
    assert_eq!(rig.pass(1_000).lines(), ["1", "2", "3"]);
    drop(old);
    for n in 0..5 {
        // The inode is reused or not: the content is another.
        rig.append("a.log", format!("new {n}\n"));
        assert_eq!(rig.pass(1_000).lines(), [format!("new {n}")]);
        fs::remove_file(rig.path("a.log")).unwrap();
        rig.pass(12_000);
        rig.pass(12_000);
        assert!(rig.tailer.files.is_empty(), "a deleted file is let go: its disk space is free again");
    }
    assert_eq!(rig.words().iter().filter(|word| word.starts_with("finished")).count(), 6);
}

#[test]
fn written_anew_and_moved_over() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\ntwo\ncu");
    rig.pass(0);
    fs::copy(rig.path("a.log"), rig.path("new")).unwrap();
    rig.append("new", "t\nthree\n");
    rig.rename("new", "a.log");
    assert_eq!(rig.pass(1_000).lines(), ["one", "two", "cut", "three"]);
    // Other content at the same path is another file.
    fs::write(rig.path("new"), "one\ntwo\nxxx\nthree\nfour\n").unwrap();
    rig.rename("new", "a.log");
    assert_eq!(rig.pass(1_000).lines(), ["one", "two", "xxx", "three", "four"]);
}

#[test]
fn what_appears_later_is_read_from_its_beginning() {
    let mut rig = Rig::new(&["*.log", "later/<node>/haproxy.log"]);
    rig.pass(0);
    assert_eq!(rig.words(), ["*.log: matches no file yet", "haproxy.log: matches no file yet"]);
    rig.append("a.log", "a\n");
    assert_eq!(rig.pass(1_000).lines(), ["a"]);
    fs::create_dir_all(rig.path("later/fra1")).unwrap();
    rig.pass(1_000);
    rig.append("later/fra1/haproxy.log", "b\n");
    assert_eq!(rig.pass(1_000).lines(), ["b"]);
    let words = rig.words();
    assert!(words.contains(&"opened haproxy.log Beginning node=fra1".to_owned()), "{words:?}");
    // The directory is renamed and made again: the old one is read on, and so is the new one.
    let mut old = OpenOptions::new().append(true).open(rig.path("later/fra1/haproxy.log")).unwrap();
    rig.rename("later", "before");
    old.write_all(b"c\n").unwrap();
    fs::create_dir_all(rig.path("later/fra1")).unwrap();
    rig.append("later/fra1/haproxy.log", "d\n");
    assert_eq!(rig.pass(1_000).lines(), ["c", "d"]);
}

#[test]
fn hidden_files_are_not_matched() {
    let mut rig = Rig::new(&["*"]);
    rig.append(".a.log.swp", "no\n");
    rig.append("a.log", "yes\n");
    assert_eq!(rig.pass(0).lines(), ["yes"]);
}

#[test]
fn symlinks_lead_to_files() {
    let mut rig = Rig::new(&["current.log"]);
    rig.append("one.txt", "1\n");
    rig.append("two.txt", "2\n");
    symlink(rig.path("one.txt"), rig.path("current.log")).unwrap();
    assert_eq!(rig.pass(0).lines(), ["1"]);
    rig.append("one.txt", "1b\n");
    symlink(rig.path("two.txt"), rig.path("next")).unwrap();
    rig.rename("next", "current.log");
    assert_eq!(rig.pass(1_000).lines(), ["1b", "2"]);
    // Dangling, then a loop: the file is read on.
    fs::remove_file(rig.path("current.log")).unwrap();
    symlink(rig.path("current.log"), rig.path("current.log")).unwrap();
    rig.append("two.txt", "2b\n");
    assert_eq!(rig.pass(1_000).lines(), ["2b"]);
}

#[test]
fn one_file_under_many_names_is_read_once() {
    let mut rig = Rig::new(&["a*.log", "*.log", "<site>.log"]);
    rig.append("abc.log", "1\n");
    fs::hard_link(rig.path("abc.log"), rig.path("hard.log")).unwrap();
    symlink(rig.path("abc.log"), rig.path("soft.log")).unwrap();
    assert_eq!(rig.pass(0).lines(), ["1"]);
    rig.append("hard.log", "2\n");
    assert_eq!(rig.pass(1_000).lines(), ["2"]);
    assert_eq!(rig.words(), ["opened abc.log Beginning"]);
}

#[test]
fn pipes_devices_and_archives_are_refused() {
    let mut rig = Rig::new(&["*.log*"]);
    assert!(Command::new("mkfifo").arg(rig.path("pipe.log")).status().unwrap().success());
    symlink("/dev/null", rig.path("null.log")).unwrap();
    fs::create_dir(rig.path("dir.log")).unwrap();
    fs::write(rig.path("x.log.2.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\0").unwrap();
    fs::write(rig.path("b.log.gz"), b"").unwrap();
    rig.append("a.log", "1\n");
    assert_eq!(rig.pass(0).lines(), ["1"]);
    let words = rig.words();
    for name in ["pipe.log", "null.log"] {
        assert!(words.contains(&format!("{name}: is no regular file: not followed")), "{words:?}");
    }
    assert!(words.iter().any(|word| word.starts_with("x.log.2.gz: is compressed (gzip)")), "{words:?}");
    // One that is being compressed right now.
    fs::write(rig.path("b.log.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\0").unwrap();
    rig.pass(1_000);
    assert_eq!(rig.words()[0], "dropped b.log.gz");
    for _ in 0..10 {
        rig.pass(3_600_000);
    }
    let words = rig.words();
    assert!(words.is_empty(), "said once: {words:?}");
}

#[test]
fn a_warning_is_repeated_ever_more_rarely() {
    let mut rig = Rig::new(&["none/*.log", "b.log"]);
    let mut said = 0;
    for _ in 0..7_200 {
        rig.pass(1_000);
        said += rig.words().iter().filter(|word| word.starts_with("b.log: matches no file yet")).count();
    }
    // At 0, then after 1, 2, 4, … minutes.
    assert_eq!(said, 7);
    rig.append("b.log", "1\n");
    assert_eq!(rig.pass(1_000).words(), ["opened b.log Beginning", "recovered b.log"]);
}

#[test]
fn what_cannot_be_listed_is_not_deleted() {
    let mut rig = Rig::new(&["d/*.log"]);
    fs::create_dir(rig.path("d")).unwrap();
    rig.append("d/a.log", "1\n");
    rig.pass(0);
    // As it looks when the directory cannot be read (root can read every directory).
    rig.tailer.candidates.clear();
    rig.tailer.by_path.clear();
    rig.tailer.failed.push((rig.path("d"), Trouble::NoMatch));
    rig.append("d/a.log", "2\n");
    rig.tailer.last_listing = Some(rig.now + 1_000);
    assert_eq!(rig.pass(1_000).lines(), ["1", "2"]);
    assert_eq!(rig.words(), ["opened a.log Beginning", "d: matches no file yet"]);
    rig.pass(100_000);
    assert_eq!(rig.words(), ["recovered d"]);
    assert!(rig.lines().is_empty());
}

#[test]
fn a_remount_is_no_new_file() {
    let mut rig = Rig::new(&["d/*.log"]);
    fs::create_dir(rig.path("d")).unwrap();
    rig.append("d/a.log", "1\n");
    rig.pass(0);
    rig.rename("d", "elsewhere");
    for _ in 0..4 {
        rig.pass(300_000);
    }
    assert!(rig.tailer.files.is_empty());
    rig.rename("elsewhere", "d");
    rig.append("d/a.log", "2\n");
    assert_eq!(rig.pass(1_000).lines(), ["1", "2"]);
    assert!(rig.words().contains(&"opened a.log Resumed".to_owned()));
}

#[test]
fn nobody_waits_for_a_backlog() {
    let mut rig = Rig::new(&["*.log"]);
    let line = "x".repeat(999);
    rig.append("a.log", format!("{line}\n").repeat(4_000));
    rig.append("b.log", "quick\n");
    let next = rig.tailer.poll(rig.now, &mut |event| rig.got.take(event));
    assert_eq!(next, rig.now, "there is more");
    let lines = rig.lines();
    assert!(lines.len() <= TURN / 1_000 + 2, "{}", lines.len());
    assert_eq!(lines.last().map(String::as_str), Some("quick"));
    assert_eq!(rig.pass(0).lines().len() + lines.len(), 4_001);
}

#[test]
fn a_backlog_in_the_old_file_comes_before_the_new_one() {
    let mut rig = Rig::new(&["a.log"]);
    rig.pass(0);
    rig.append("a.log", "old\n".repeat(400_000));
    rig.tailer.hint();
    rig.now += 1_000;
    rig.tailer.poll(rig.now, &mut |event| rig.got.take(event));
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "new\n");
    let lines = rig.pass(1_000).lines();
    assert_eq!(lines.len(), 400_001);
    assert_eq!(lines.iter().position(|line| line == "new"), Some(400_000));
}

#[test]
fn few_files_stay_open() {
    let mut rig = Rig::new(&["*.log"]);
    rig.tailer.max_open = 3;
    for n in 0..20 {
        rig.append(&format!("{n:02}.log"), "0\n");
    }
    for round in 1..6 {
        assert_eq!(rig.pass(1_000).lines().len(), 20);
        let open = rig.tailer.files.values().filter(|file| file.handle.is_some()).count();
        assert!(open <= 3 && open == rig.tailer.open, "{open}");
        for n in 0..20 {
            rig.append(&format!("{n:02}.log"), format!("{round}\n"));
        }
    }
    // A closed one is renamed with bytes unread.
    rig.rename("19.log", "19.log.1");
    rig.append("19.log", "new\n");
    let mut lines = rig.pass(1_000).lines();
    lines.sort();
    assert_eq!(lines[..19], vec!["5"; 19]);
    assert_eq!(lines[19..], ["5", "new"]);
    assert!(rig.words().iter().all(|word| word.starts_with("opened") || word.starts_with("rotated")));
}

#[test]
fn restarts_go_on_where_they_were() {
    let mut rig = Rig::new(&["a.log*"]);
    rig.append("a.log", "1\n2\ncu");
    assert_eq!(rig.pass(0).lines(), ["1", "2"]);
    // A position survives being written down.
    let text = serde_json::to_string(&rig.tailer.positions()).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Position>>(&text).unwrap(), rig.tailer.positions());
    rig.restart();
    rig.append("a.log", "t\n3\n");
    assert_eq!(rig.pass(0).lines(), ["cut", "3"]);
    assert_eq!(rig.words()[1..], ["opened a.log Resumed"]);
    // Rotated while down, within the pattern.
    rig.restart();
    rig.append("a.log", "4\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "5\n");
    let mut lines = rig.pass(0).lines();
    lines.sort();
    assert_eq!(lines, ["4", "5"]);
    // Truncated and refilled while down.
    rig.restart();
    fs::write(rig.path("a.log"), "66\n77\n").unwrap();
    assert_eq!(rig.pass(0).lines(), ["66", "77"]);
    assert!(rig.words().contains(&"opened a.log Replaced".to_owned()));
    // Deleted and made again while down: whatever its inode is.
    rig.restart();
    fs::remove_file(rig.path("a.log")).unwrap();
    rig.append("a.log", "8888\n9999\n");
    assert_eq!(rig.pass(0).lines(), ["8888", "9999"]);
    // The same bytes on another inode: copied and moved over, or another device number after a reboot.
    rig.restart();
    fs::copy(rig.path("a.log"), rig.path("new")).unwrap();
    rig.append("new", "10\n");
    rig.rename("new", "a.log");
    assert_eq!(rig.pass(0).lines(), ["10"]);
    // Nothing is there at first.
    rig.restart();
    rig.rename("a.log", "away");
    rig.pass(0);
    rig.rename("away", "a.log");
    rig.append("a.log", "11\n");
    assert_eq!(rig.pass(1_000).lines(), ["11"]);
}

#[test]
fn another_list_of_inputs() {
    let mut rig = Rig::new(&["*.log"]);
    rig.append("a.log", "a1\ncu");
    rig.append("b.log", "b1\n");
    rig.append("c.txt", "c1\n");
    rig.pass(0);
    assert_eq!(rig.words(), ["opened a.log Beginning", "opened b.log Beginning"]);
    let dir = rig.dir.path();
    let inputs = vec![
        input("other", dir, &["<site>.txt"], Start::End),
        input("test", dir, &["<site>.log"], Start::Beginning),
    ];
    rig.tailer.reconfigure(inputs);
    rig.append("a.log", "t\n");
    assert_eq!(rig.pass(0).lines(), ["a1", "b1", "cut"]);
    assert_eq!(rig.words(), ["moved a.log 1 site=a", "moved b.log 1 site=b", "opened c.txt End site=c"]);
    // Taken out, and in again: goes on where it was.
    rig.tailer.reconfigure(vec![input("test", rig.dir.path(), &["b.log"], Start::Beginning)]);
    rig.append("a.log", "a2\n");
    rig.pass(0);
    assert_eq!(rig.words(), ["dropped a.log", "moved b.log 0", "dropped c.txt"]);
    rig.tailer.reconfigure(vec![input("test", rig.dir.path(), &["*.log"], Start::Beginning)]);
    assert_eq!(rig.pass(0).lines(), ["a2"]);
    assert_eq!(rig.words(), ["opened a.log Resumed"]);
    for _ in 0..100 {
        let same = rig.tailer.inputs.clone();
        rig.tailer.reconfigure(same);
        rig.pass(10);
    }
    assert!(rig.words().is_empty() && rig.lines().is_empty());
}

#[test]
fn the_clock_set_back_stops_nothing() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "1\n");
    rig.pass(0);
    rig.append("a.log", "2\n");
    assert_eq!(rig.pass(-900_000).lines(), ["1", "2"]);
    rig.append("a.log", "3\n");
    assert_eq!(rig.pass(1_000).lines(), ["3"]);
}

#[test]
fn quiet_directories_are_worth_a_watch() {
    let mut rig = Rig::new(&["*.log", "missing/x.log"]);
    rig.append("a.log", "1\n");
    rig.pass(0);
    let here = rig.dir.path().to_path_buf();
    assert!(!rig.tailer.quiet_directories(rig.now).contains(&here), "lines come anyway");
    assert!(rig.tailer.quiet_directories(rig.now).contains(&here.join("missing")));
    rig.pass(1_000);
    assert!(rig.tailer.quiet_directories(rig.now).contains(&here));
}

/// Root may read everything, so that these run as nobody: this very test program, once more.
fn as_somebody_else(test: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "").unwrap();
    mode(&secret, 0);
    if File::open(&secret).is_err() {
        return true;
    }
    // Where it was built may be a place that nobody else can enter, such as root's home.
    let program = dir.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    mode(&program, 0o755);
    mode(dir.path(), 0o755);
    let nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .current_dir("/")
        .args(["--exact", test, "--nocapture"])
        .output();
    match nobody {
        Ok(done) if done.status.success() => {}
        Ok(done) if done.status.code() == Some(101) => {
            unreachable!("as nobody: {}", String::from_utf8_lossy(&done.stderr))
        }
        refused => skip(&format!("{test}: this machine cannot run it as nobody ({refused:?})")),
    }
    false
}

/// Says why a test is skipped, also to who runs the tests; with CI=true that is a failure.
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot be skipped in CI: {why}");
    eprintln!("skipped: {why}");
    if let Some(file) = std::env::var_os("GATEWATCH_SKIPPED") {
        writeln!(File::options().append(true).open(file).unwrap(), "skipped: {why}").unwrap();
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn permission_denied_then_granted() {
    if !as_somebody_else("tail::tests::permission_denied_then_granted") {
        return;
    }
    let mut rig = Rig::new(&["d/*.log"]);
    fs::create_dir(rig.path("d")).unwrap();
    rig.append("d/a.log", "1\n");
    mode(&rig.path("d/a.log"), 0);
    rig.pass(0);
    for _ in 0..59 {
        rig.pass(1_000);
    }
    let words = rig.words();
    assert!(
        words.len() == 1 && words[0].contains("Permission denied") && words[0].contains("group adm"),
        "{words:?}"
    );
    mode(&rig.path("d/a.log"), 0o644);
    assert_eq!(rig.pass(1_000).lines(), ["1"]);
    assert_eq!(rig.words(), ["opened a.log Beginning", "recovered a.log"]);
    // The directory can be neither listed nor entered: the open file is read on, and nothing is deleted.
    let mut writer = rig.append("d/a.log", "");
    for denied in [0o000, 0o300, 0o600] {
        mode(&rig.path("d"), denied);
        writer.write_all(b"2\n").unwrap();
        assert_eq!(rig.pass(1_000).lines(), ["2"], "{denied:o}");
        rig.pass(700_000);
        mode(&rig.path("d"), 0o755);
        rig.pass(100_000);
        assert!(rig.lines().is_empty());
        let words = rig.words();
        assert!(
            words.iter().all(|w| w.contains("Permission denied") || w.starts_with("recovered")),
            "{words:?}"
        );
    }
}
