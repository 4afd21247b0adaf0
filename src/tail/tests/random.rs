//! Any order of writing, rotating, compressing, copying, truncating, deleting, looking and dying, on real files, against the
//! trivial account of what was written: every whole line that was not destroyed unseen comes exactly once.

use super::super::Design;
use super::super::identity::{FileKey, Stat};
use super::{Rig, gzip};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;

#[derive(Clone, Debug)]
enum Op {
    Lines(usize),
    /// The first half of a line; whatever is written next ends it.
    Half,
    /// Renamed, and the older ones on; the writer stays on the old file until it reopens.
    Rotate,
    Reopen,
    /// The newest rotated file is compressed, whether or not somebody still writes to it.
    Compress,
    /// Copied to the newest rotated name, then so many lines are written, then truncated.
    CopyTruncate(usize),
    Truncate,
    /// Truncated and written past its old length before anybody looks.
    Refill,
    Delete,
    /// Deleted and made again, perhaps with the same inode.
    MakeAgain,
    /// Copied, a line added to the copy, the copy moved over it.
    Replace,
    HardLink,
    Look(i64),
    /// A single poll: a backlog may be left half read.
    Glance,
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (1usize..30).prop_map(Op::Lines),
        1 => (3_000usize..9_000).prop_map(Op::Lines),
        3 => Just(Op::Half),
        5 => Just(Op::Rotate),
        5 => Just(Op::Reopen),
        3 => Just(Op::Compress),
        2 => prop_oneof![Just(0), 1usize..5].prop_map(Op::CopyTruncate),
        1 => Just(Op::Truncate),
        1 => Just(Op::Refill),
        1 => Just(Op::Delete),
        1 => Just(Op::MakeAgain),
        1 => Just(Op::Replace),
        1 => Just(Op::HardLink),
        8 => (50i64..1_500).prop_map(Op::Look),
        3 => Just(Op::Glance),
        4 => Just(Op::Restart),
    ];
    proptest::collection::vec(op, 1..50)
}

/// A file of several names, and nothing that copies it: which of its names a copy is of nobody can tell.
fn ops_of_names() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (1usize..30).prop_map(Op::Lines),
        1 => Just(Op::Half),
        3 => Just(Op::Rotate),
        3 => Just(Op::Reopen),
        3 => Just(Op::HardLink),
        1 => Just(Op::Delete),
        6 => (50i64..1_500).prop_map(Op::Look),
    ];
    proptest::collection::vec(op, 1..40)
}

/// How rotated files are called, and whether the pattern finds them, too.
#[derive(Clone, Copy, Debug)]
struct Setting {
    dated: bool,
    pattern: &'static str,
}

fn settings() -> impl Strategy<Value = Setting> {
    (any::<bool>(), prop_oneof![Just("a.log"), Just("a.log*")])
        .prop_map(|(dated, pattern)| Setting { dated, pattern })
}

/// A whole line, and the files that hold it.
struct Written {
    line: String,
    held_by: HashSet<FileKey>,
    destroyed: bool,
}

struct Writer {
    rig: Rig,
    file: File,
    half: bool,
    number: usize,
    dated: bool,
    is_wide: bool,
    rotated: usize,
    written: Vec<Written>,
    /// No path leads there any more.
    deleted: HashSet<FileKey>,
}

impl Writer {
    fn new(setting: Setting, design: Design) -> Writer {
        let mut rig = Rig::new(&[setting.pattern]);
        rig.tailer.set_design(design);
        let file = open(&rig);
        rig.pass(0);
        rig.tick();
        Writer {
            rig,
            file,
            half: false,
            number: 0,
            dated: setting.dated,
            is_wide: setting.pattern == "a.log*",
            rotated: 0,
            written: Vec::new(),
            deleted: HashSet::new(),
        }
    }

    fn key(&self) -> FileKey {
        Stat::of_file(&self.file).unwrap().key
    }

    fn key_of(&self, name: &str) -> FileKey {
        Stat::of_path(&self.rig.path(name)).unwrap().key
    }

    fn lines(&mut self, count: usize) {
        let (key, mut text) = (self.key(), String::new());
        for _ in 0..count {
            if !std::mem::take(&mut self.half) {
                self.number += 1;
                text.push_str(&format!("{:07}", self.number));
            }
            text.push_str(" and some more text, as long as lines of logs are, or at least nearly so\n");
            let line = format!(
                "{:07} and some more text, as long as lines of logs are, or at least nearly so",
                self.number
            );
            self.written.push(Written { line, held_by: HashSet::from([key]), destroyed: false });
        }
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn half(&mut self) {
        if !self.half {
            self.half = true;
            self.number += 1;
            write!(self.file, "{:07}", self.number).unwrap();
        }
    }

    fn end_half(&mut self) {
        if self.half {
            self.lines(1);
        }
    }

    /// The other file holds now what this one holds.
    fn copied(&mut self, from: FileKey, to: FileKey) {
        self.written.iter_mut().filter(|w| w.held_by.contains(&from)).for_each(|w| {
            w.held_by.insert(to);
        });
    }

    /// This file holds nothing any more: what nobody else holds, and was not received, is lost.
    fn emptied(&mut self, key: FileKey) {
        let seen: HashSet<&String> = self.rig.got.lines.iter().collect();
        for written in &mut self.written {
            if written.held_by.remove(&key) && written.held_by.is_empty() && !seen.contains(&written.line) {
                written.destroyed = true;
            }
        }
    }

    fn unseen(&mut self) {
        // A file that is deleted and not held open by the tailer can be read by nobody.
        let held: HashSet<FileKey> =
            self.rig.tailer.files.values().filter(|f| f.handle.is_some()).map(|f| f.key).collect();
        let lost: Vec<FileKey> = self.deleted.difference(&held).copied().collect();
        for key in lost {
            self.emptied(key);
        }
    }

    fn names(&self, n: usize) -> [String; 2] {
        let name = if self.dated {
            let day = self.rotated - n;
            format!("a.log-2026{:02}{:02}", 1 + day / 28, 1 + day % 28)
        } else {
            format!("a.log.{}", n + 1)
        };
        [format!("{name}.gz"), name]
    }

    /// Makes room for the newest rotated name, and gives it.
    fn shift(&mut self) -> String {
        if !self.dated {
            for n in (0..self.rotated).rev() {
                for (from, to) in self.names(n).into_iter().zip(self.names(n + 1)) {
                    if self.rig.path(&from).exists() {
                        self.rig.rename(&from, &to);
                    }
                }
            }
        }
        self.rotated += 1;
        let [_, name] = self.names(0);
        name
    }

    fn gone(&mut self, name: &str) {
        let key = self.key_of(name);
        fs::remove_file(self.rig.path(name)).unwrap();
        // Another name is one only where the pattern finds it.
        let links = self.is_wide
            && fs::metadata(self.rig.path("a.log.link")).is_ok_and(|_| self.key_of("a.log.link") == key);
        if !links {
            self.deleted.insert(key);
        }
    }

    fn step(&mut self, op: &Op) {
        let is_there = self.rig.path("a.log").exists();
        match op {
            Op::Lines(count) => self.lines(*count),
            Op::Half => self.half(),
            Op::Rotate if is_there => {
                let name = self.shift();
                self.rig.rename("a.log", &name);
            }
            Op::Reopen => {
                self.end_half();
                self.file = open(&self.rig);
            }
            Op::Compress if self.rotated > 0 => self.compress(),
            Op::CopyTruncate(between) if is_there => self.copy_truncate(*between),
            Op::Truncate => {
                self.emptied(self.key());
                self.half = false;
                self.file.set_len(0).unwrap();
            }
            Op::Refill => {
                let before = self.file.metadata().unwrap().len();
                self.step(&Op::Truncate);
                while self.file.metadata().unwrap().len() < before + 10 {
                    self.lines(100);
                }
            }
            Op::Delete if is_there => self.gone("a.log"),
            Op::MakeAgain if is_there => {
                self.end_half();
                self.gone("a.log");
                self.file = open(&self.rig);
                self.lines(30);
            }
            // Whose old file keeps a name was not replaced, as far as anybody can tell.
            Op::Replace if is_there && !self.rig.path("a.log.link").exists() => {
                self.end_half();
                let from = self.key_of("a.log");
                fs::copy(self.rig.path("a.log"), self.rig.path("new")).unwrap();
                self.copied(from, self.key_of("new"));
                self.gone("a.log");
                self.rig.rename("new", "a.log");
                self.file = open(&self.rig);
                self.lines(1);
            }
            Op::HardLink if is_there && !self.rig.path("a.log.link").exists() => {
                fs::hard_link(self.rig.path("a.log"), self.rig.path("a.log.link")).unwrap();
            }
            Op::Look(ms) => {
                self.rig.pass(*ms);
                // Looks are further apart than the kernel's ticks.
                self.rig.tick();
            }
            Op::Glance => {
                let rig = &mut self.rig;
                rig.now += 1;
                rig.tailer.poll(rig.now, &mut |event| rig.got.take(event));
                rig.tick();
            }
            Op::Restart => self.rig.restart(),
            _ => {}
        }
        self.unseen();
    }

    fn compress(&mut self) {
        let [packed, name] = self.names(0);
        if !self.rig.path(&name).exists() {
            return;
        }
        if fs::metadata(self.rig.path(&name)).unwrap().nlink() > 1 {
            // gzip refuses those, too.
            return;
        }
        let key = self.key_of(&name);
        if key == self.key() {
            // A cut line would end in the old file, and begin in the archive.
            self.end_half();
        }
        let bytes = fs::read(self.rig.path(&name)).unwrap();
        let modified = fs::metadata(self.rig.path(&name)).unwrap().modified().unwrap();
        fs::write(self.rig.path(&packed), gzip(&bytes)).unwrap();
        OpenOptions::new().write(true).open(self.rig.path(&packed)).unwrap().set_modified(modified).unwrap();
        self.copied(key, self.key_of(&packed));
        self.gone(&name);
    }

    fn copy_truncate(&mut self, between: usize) {
        // Who copies and truncates a file of two names has two logs in one: whose is the copy?
        let names = self.file.metadata().unwrap().nlink();
        if self.key() != self.key_of("a.log") || names > 1 {
            return;
        }
        self.end_half();
        let name = self.shift();
        let key = self.key();
        fs::copy(self.rig.path("a.log"), self.rig.path(&name)).unwrap();
        self.copied(key, self.key_of(&name));
        self.lines(between);
        self.emptied(key);
        self.file.set_len(0).unwrap();
    }
}

fn open(rig: &Rig) -> File {
    OpenOptions::new().append(true).create(true).open(rig.path("a.log")).unwrap()
}

/// Nothing of this destroys a line.
fn is_harmless(op: &Op) -> bool {
    use Op::{Glance, Half, HardLink, Lines, Look, Reopen, Restart, Rotate};
    matches!(op, Lines(_) | Half | Rotate | Reopen | HardLink | Look(_) | Glance | Restart)
}

/// What the account and the receiver differ in, after everything came to rest.
fn violation(setting: Setting, ops: &[Op], design: Design) -> Option<String> {
    let mut writer = Writer::new(setting, design);
    for op in ops {
        writer.step(op);
    }
    writer.step(&Op::Reopen);
    for _ in 0..3 {
        writer.step(&Op::Look(1_500));
    }
    for _ in 0..3 {
        writer.step(&Op::Look(700_000));
    }
    let mut got = std::mem::take(&mut writer.rig.got.lines);
    got.sort();
    let whole: HashSet<&String> = writer.written.iter().map(|written| &written.line).collect();
    if let Some(pair) = got.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(format!("twice: {}", pair[0]));
    }
    let got: HashSet<&String> = got.iter().collect();
    let missing = |w: &&Written| !w.destroyed && !got.contains(&w.line);
    if let Some(written) = writer.written.iter().find(missing) {
        return Some(format!("lost: {}", written.line));
    }
    if ops.iter().all(is_harmless) && writer.rig.got.losses > 0 {
        return Some("said to be lost, though nothing was".to_owned());
    }
    got.into_iter().find(|line| !whole.contains(*line)).map(|line| format!("never written: {line}"))
}

/// The same dice each time: a failure is one that anybody sees. `PROPTEST_CASES` throws them more often.
fn runner(cases: u32, max_shrink_iters: u32) -> TestRunner {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: asked.unwrap_or(cases),
        max_shrink_iters,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn holds(ops: impl Strategy<Value = Vec<Op>>, cases: u32) {
    let result = runner(cases, 2_000).run(&(settings(), ops), |(setting, ops)| {
        prop_assert_eq!(violation(setting, &ops, Design::default()), None);
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
}

#[test]
fn every_line_once() {
    holds(ops(), 128);
}

#[test]
fn every_line_once_under_several_names() {
    holds(ops_of_names(), 64);
}

/// The test above finds out a wrong design.
fn is_found_out(design: Design) -> bool {
    let result = runner(300, 0).run(&(settings(), ops()), |(setting, ops)| {
        if violation(setting, &ops, design).is_some() {
            Err(TestCaseError::fail("found out"))
        } else {
            Ok(())
        }
    });
    result.is_err()
}

#[test]
fn an_inode_as_identity_is_found_out() {
    assert!(is_found_out(Design { inode_only: true, ..Design::default() }));
}

#[test]
fn leaving_a_rotated_file_at_once_is_found_out() {
    assert!(is_found_out(Design { leave_at_once: true, ..Design::default() }));
}

#[test]
fn reading_without_an_anchor_is_found_out() {
    assert!(is_found_out(Design { no_anchor: true, ..Design::default() }));
}
