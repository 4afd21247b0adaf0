//! Rotation whose scheme changes from time to time, as configurations and packages do: numbers and dates in one directory,
//! compressed at once, one rotation later or never, renamed or copied and truncated. Nothing of that destroys a line: each
//! comes once, and none is said to be lost.

use super::{Rig, gzip};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::fs::{self, File, OpenOptions};
use std::io::Write;

/// What logrotate is told.
#[derive(Clone, Copy, Debug)]
struct Scheme {
    dateext: bool,
    compress: bool,
    delaycompress: bool,
    copytruncate: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Lines(usize),
    /// Lines that come between the rename and the writer's reopening.
    Rotate(usize),
    Switch(Scheme),
    Look(i64),
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let scheme = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|s| Scheme {
        dateext: s.0,
        compress: s.1,
        delaycompress: s.2,
        copytruncate: s.3,
    });
    let op = prop_oneof![
        6 => (1usize..20).prop_map(Op::Lines),
        5 => prop_oneof![Just(0), 1usize..5].prop_map(Op::Rotate),
        3 => scheme.prop_map(Op::Switch),
        5 => prop_oneof![4 => 100i64..2_000, 1 => Just(40_000i64)].prop_map(Op::Look),
        3 => Just(Op::Restart),
    ];
    proptest::collection::vec(op, 1..40)
}

struct Host {
    rig: Rig,
    file: File,
    scheme: Scheme,
    rotations: u32,
    written: Vec<String>,
    /// Rotated and not compressed yet.
    plain: Option<String>,
}

impl Host {
    fn new(pattern: &str) -> Host {
        let mut rig = Rig::new(&[pattern]);
        let file = open(&rig);
        rig.pass(0);
        rig.tick();
        let scheme = Scheme { dateext: false, compress: false, delaycompress: false, copytruncate: false };
        Host { rig, file, scheme, rotations: 0, written: Vec::new(), plain: None }
    }

    fn lines(&mut self, count: usize) {
        for _ in 0..count {
            let line =
                format!("{:07} and as much more as the lines of logs have, or nearly so", self.written.len());
            self.file.write_all(format!("{line}\n").as_bytes()).unwrap();
            self.written.push(line);
        }
    }

    /// `.1` → `.2` and so on, the archives with them.
    fn shift(&mut self) {
        for number in (1..=self.rotations).rev() {
            for ending in ["", ".gz"] {
                let (from, to) = (format!("a.log.{number}{ending}"), format!("a.log.{}{ending}", number + 1));
                if self.rig.path(&from).exists() {
                    self.rig.rename(&from, &to);
                    if self.plain.as_ref() == Some(&from) {
                        self.plain = Some(to);
                    }
                }
            }
        }
    }

    fn compress(&self, name: &str) {
        let (plain, packed) = (self.rig.path(name), self.rig.path(&format!("{name}.gz")));
        let modified = fs::metadata(&plain).unwrap().modified().unwrap();
        fs::write(&packed, gzip(&fs::read(&plain).unwrap())).unwrap();
        OpenOptions::new().write(true).open(&packed).unwrap().set_modified(modified).unwrap();
        fs::remove_file(plain).unwrap();
    }

    fn rotate(&mut self, between: usize) {
        let Scheme { dateext, compress, delaycompress, copytruncate } = self.scheme;
        // As logrotate does it: what was left plain by the last rotation is compressed first.
        if let Some(name) = self.plain.take().filter(|_| compress) {
            self.compress(&name);
        }
        let day = self.rotations;
        let name = if dateext {
            format!("a.log-2026{:02}{:02}", 1 + day / 28, 1 + day % 28)
        } else {
            self.shift();
            "a.log.1".to_owned()
        };
        self.rotations += 1;
        if copytruncate {
            fs::copy(self.rig.path("a.log"), self.rig.path(&name)).unwrap();
            self.file.set_len(0).unwrap();
        } else {
            self.rig.rename("a.log", &name);
            let new = open(&self.rig);
            self.lines(between);
            self.file = new;
        }
        if compress && !delaycompress {
            self.compress(&name);
        } else {
            self.plain = Some(name);
        }
        // Two rotations are further apart than two ticks of the kernel's clock.
        self.rig.tick();
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Lines(count) => self.lines(*count),
            Op::Rotate(between) => self.rotate(*between),
            Op::Switch(scheme) => self.scheme = *scheme,
            Op::Look(ms) => {
                self.rig.pass(*ms);
                self.rig.tick();
            }
            Op::Restart => self.rig.restart(),
        }
    }
}

fn open(rig: &Rig) -> File {
    OpenOptions::new().append(true).create(true).open(rig.path("a.log")).unwrap()
}

fn violation(pattern: &str, ops: &[Op]) -> Option<String> {
    let mut host = Host::new(pattern);
    ops.iter().for_each(|op| host.step(op));
    for wait in [1_500, 1_500, 40_000, 700_000, 700_000] {
        host.step(&Op::Look(wait));
    }
    let mut got = std::mem::take(&mut host.rig.got.lines);
    got.sort();
    if got != host.written {
        let missing = host.written.iter().find(|line| !got.contains(line));
        let twice = got.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]);
        return Some(format!("missing {missing:?}, twice {twice:?}"));
    }
    (host.rig.got.losses > 0).then(|| format!("said to be lost: {:?}", host.rig.words()))
}

/// `PROPTEST_CASES` throws the dice more often.
#[test]
fn any_schemes_after_one_another_lose_nothing_and_say_so() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config =
        ProptestConfig { cases: asked.unwrap_or(96), failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let pattern = prop_oneof![Just("a.log"), Just("a.log*")];
    let result = runner.run(&(pattern, ops()), |(pattern, ops)| {
        prop_assert_eq!(violation(pattern, &ops), None);
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
}
