//! Faults of the host around the files: device numbers, many files, many writers, what is no file.

use super::*;
use std::os::unix::net::UnixListener;

/// A reboot may find the disk under another number: files are known again by what they hold.
#[test]
fn another_device_number_is_the_same_file() {
    for is_rotated in [false, true] {
        let mut rig = Rig::new(&["a.log"]);
        rig.append("a.log", "one\ntwo\n");
        assert_eq!(rig.pass(0).lines(), ["one", "two"]);
        rig.append("a.log", "three\n");
        if is_rotated {
            rig.rename("a.log", "a.log.1");
            rig.append("a.log", "four\n");
        }
        let mut positions: Vec<Position> = rig.got.counted.values().cloned().collect();
        for position in &mut positions {
            position.key.dev += 1;
        }
        rig.restart_at(positions);
        let expected: &[&str] = if is_rotated { &["three", "four"] } else { &["three"] };
        assert_eq!(rig.pass(0).lines(), expected);
        assert_eq!(rig.got.losses, 0);
        rig.pass(100_000);
        assert!(rig.lines().is_empty());
    }
}

/// A state of long ago is put back: what was read since is read again, from there, and from nowhere else.
#[test]
fn a_position_of_long_ago_is_gone_on_from() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "1\n");
    assert_eq!(rig.pass(0).lines(), ["1"]);
    let old: Vec<Position> = rig.got.counted.values().cloned().collect();
    rig.append("a.log", "2\n");
    rig.pass(1_000);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "3\n");
    assert_eq!(rig.pass(1_000).lines(), ["2", "3"]);
    rig.tick();
    rig.rename("a.log.1", "a.log.2");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "4\n");
    assert_eq!(rig.pass(1_000).lines(), ["4"]);
    rig.restart_at(old);
    assert_eq!(rig.pass(0).lines(), ["2", "3", "4"]);
    assert_eq!(rig.got.losses, 0);
}

/// O_APPEND does not make a write one piece for who reads: nothing is handed out as a line that is none.
#[test]
fn large_appends_of_many_writers_come_whole() {
    const WRITERS: usize = 4;
    const EACH: usize = 60;
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "");
    rig.pass(0);
    let path = rig.path("a.log");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            std::thread::spawn(move || {
                for n in 0..EACH {
                    let text = format!("{writer} {n} {}\n", "x".repeat(32 << 10));
                    file.write_all(text.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    let mut lines = Vec::new();
    while writers.iter().any(|writer| !writer.is_finished()) {
        lines.extend(rig.pass(100).lines());
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    lines.extend(rig.pass(1_000).lines());
    assert_eq!(lines.len(), WRITERS * EACH);
    let mut next = [0; WRITERS];
    for line in lines {
        let mut words = line.split(' ');
        let writer: usize = words.next().unwrap().parse().unwrap();
        let n: usize = words.next().unwrap().parse().unwrap();
        assert_eq!(n, next[writer]);
        next[writer] += 1;
        assert_eq!(words.next().unwrap().len(), 32 << 10);
    }
}

#[test]
fn thousands_of_files_come_with_few_descriptors() {
    const FILES: usize = 5_000;
    let mut rig = Rig::new(&["*.log"]);
    rig.tailer.max_open = 64;
    for n in 0..FILES {
        rig.append(&format!("{n:05}.log"), "0\n");
    }
    assert_eq!(rig.pass(0).lines().len(), FILES);
    for n in (0..FILES).step_by(100) {
        rig.append(&format!("{n:05}.log"), format!("{n}\n"));
    }
    let mut lines = rig.pass(1_000).lines();
    lines.extend(rig.pass(1_000).lines());
    assert_eq!(lines.len(), FILES / 100);
    let open = rig.tailer.files.values().filter(|file| file.handle.is_some()).count();
    assert!(open <= 64 && open == rig.tailer.open, "{open}");
    assert!(rig.words().iter().all(|word| word.starts_with("opened")));
}

#[test]
fn a_socket_is_no_log() {
    let mut rig = Rig::new(&["*.log"]);
    let _listening = UnixListener::bind(rig.path("b.log")).unwrap();
    rig.append("a.log", "1\n");
    assert_eq!(rig.pass(0).lines(), ["1"]);
    assert!(rig.words().contains(&"b.log: is no regular file: not followed".to_owned()));
}
