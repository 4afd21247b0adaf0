//! Any order of writing, rotating, truncating, deleting, looking and dying, on real files, against the trivial account of
//! what was written: every whole line that was not destroyed unseen comes exactly once.

use super::super::Design;
use super::super::identity::{FileKey, Stat};
use super::Rig;
use proptest::prelude::*;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;

#[derive(Clone, Debug)]
enum Op {
    Lines(usize),
    /// The first half of a line; whatever is written next ends it.
    Half,
    /// Renamed; the writer stays on the old file until it reopens.
    Rotate,
    Reopen,
    Truncate,
    Delete,
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
        3 => Just(Op::Rotate),
        3 => Just(Op::Reopen),
        1 => Just(Op::Truncate),
        1 => Just(Op::Delete),
        8 => (50i64..1_500).prop_map(Op::Look),
        3 => Just(Op::Glance),
        2 => Just(Op::Restart),
    ];
    proptest::collection::vec(op, 1..50)
}

struct Writer {
    rig: Rig,
    file: File,
    half: bool,
    number: usize,
    rotated: usize,
    /// Every whole line, and the file it went to.
    written: Vec<(String, FileKey)>,
    /// No path leads there any more.
    deleted: HashSet<FileKey>,
    /// Destroyed before anybody could read them.
    destroyed: HashSet<String>,
}

impl Writer {
    fn new() -> Writer {
        let rig = Rig::new(&["a.log*"]);
        let file = open(&rig);
        Writer {
            rig,
            file,
            half: false,
            number: 0,
            rotated: 0,
            written: Vec::new(),
            deleted: HashSet::new(),
            destroyed: HashSet::new(),
        }
    }

    fn key(&self) -> FileKey {
        Stat::of_file(&self.file).unwrap().key
    }

    fn lines(&mut self, count: usize) {
        let (key, mut text) = (self.key(), String::new());
        for _ in 0..count {
            if !std::mem::take(&mut self.half) {
                self.number += 1;
                text.push_str(&format!("{:07}", self.number));
            }
            text.push_str(" and some more text\n");
            self.written.push((format!("{:07} and some more text", self.number), key));
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

    /// What went to this file and was not received is lost.
    fn destroy(&mut self, key: FileKey) {
        let seen: HashSet<&String> = self.rig.got.lines.iter().collect();
        let lost = self.written.iter().filter(|(line, to)| *to == key && !seen.contains(line));
        self.destroyed.extend(lost.map(|(line, _)| line.clone()));
    }

    fn unseen(&mut self) {
        // A file that is deleted and not held open by the tailer can be read by nobody.
        let lost = |key: &FileKey| !self.rig.tailer.by_key.contains_key(key);
        let lost: Vec<FileKey> = self.deleted.iter().copied().filter(lost).collect();
        for key in lost {
            self.destroy(key);
        }
    }

    fn step(&mut self, op: &Op) {
        let live = self.rig.path("a.log");
        let at_path = || Stat::of_path(&live).ok().map(|stat| stat.key);
        match op {
            Op::Lines(count) => self.lines(*count),
            Op::Half => self.half(),
            Op::Rotate => {
                if live.exists() {
                    self.rotated += 1;
                    self.rig.rename("a.log", &format!("a.log.{}", self.rotated));
                }
            }
            Op::Reopen => {
                if self.half {
                    self.lines(1);
                }
                self.file = open(&self.rig);
            }
            Op::Truncate => {
                self.destroy(self.key());
                self.half = false;
                self.file.set_len(0).unwrap();
            }
            Op::Delete => {
                if let Some(key) = at_path() {
                    self.deleted.insert(key);
                    fs::remove_file(&live).unwrap();
                }
            }
            Op::Look(ms) => {
                self.rig.pass(*ms);
            }
            Op::Glance => {
                let rig = &mut self.rig;
                rig.now += 1;
                rig.tailer.poll(rig.now, &mut |event| rig.got.take(event));
            }
            Op::Restart => self.rig.restart(),
        }
        self.unseen();
    }
}

fn open(rig: &Rig) -> File {
    OpenOptions::new().append(true).create(true).open(rig.path("a.log")).unwrap()
}

/// What the account and the receiver differ in, after everything came to rest.
fn violation(ops: &[Op], design: Design) -> Option<String> {
    let mut writer = Writer::new();
    writer.rig.tailer.set_design(design);
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
    let whole: HashSet<&String> = writer.written.iter().map(|(line, _)| line).collect();
    if let Some(pair) = got.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(format!("twice: {}", pair[0]));
    }
    let got: HashSet<&String> = got.iter().collect();
    let mut missing = writer.written.iter().map(|(line, _)| line).filter(|line| !got.contains(line));
    if let Some(line) = missing.find(|line| !writer.destroyed.contains(*line)) {
        return Some(format!("lost: {line}"));
    }
    got.into_iter().find(|line| !whole.contains(*line)).map(|line| format!("never written: {line}"))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn every_line_once(ops in ops()) {
        prop_assert_eq!(violation(&ops, Design::default()), None);
    }
}
