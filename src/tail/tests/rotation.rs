//! Rotation that nobody watched: several times, compressed, copied, while we were down, stopped or behind.

use super::*;

/// A log that was read up to "known", and then not looked at any more.
fn known(pattern: &str) -> Rig {
    let mut rig = Rig::new(&[pattern]);
    if !pattern.contains('*') {
        rig.append("a.log.9", "before us\n");
        rig.tick();
    }
    rig.append("a.log", "");
    rig.pass(0);
    rig.append("a.log", "known\n");
    rig.pass(1_000);
    assert_eq!(rig.lines(), ["known"]);
    rig.append("a.log", "rest\n");
    rig
}

fn pack(rig: &Rig, name: &str, ending: &str) {
    let bytes = fs::read(rig.path(name)).unwrap();
    let packed = match ending {
        "gz" => gzip(&bytes),
        "zst" => zstd::encode_all(&bytes[..], 1).unwrap(),
        "xz" => {
            let mut to = liblzma::write::XzEncoder::new(Vec::new(), 1);
            to.write_all(&bytes).unwrap();
            to.finish().unwrap()
        }
        _ => {
            let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            to.write_all(&bytes).unwrap();
            to.finish().unwrap()
        }
    };
    let modified = fs::metadata(rig.path(name)).unwrap().modified().unwrap();
    let path = rig.path(&format!("{name}.{ending}"));
    fs::write(&path, packed).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    fs::remove_file(rig.path(name)).unwrap();
}

#[test]
fn any_number_of_rotations_while_down() {
    let names: [(&str, [&str; 3]); 4] = [
        ("a.log", ["a.log.3", "a.log.2", "a.log.1"]),
        ("a.log", ["a.log-20261030", "a.log-20261031", "a.log-20261101"]),
        ("a.log", ["a-20261030.log", "a-20261031.log", "a-20261101.log"]),
        ("a.log", ["a.3.log", "a.2.log", "a.1.log"]),
    ];
    for (pattern, rotated) in names {
        for down in [true, false] {
            let mut rig = known(pattern);
            if down {
                rig.restart();
            }
            for (n, name) in rotated.iter().enumerate() {
                rig.tick();
                rig.rename("a.log", name);
                rig.append("a.log", format!("{n}\n"));
            }
            // In order, and nothing that was there before us.
            assert_eq!(rig.pass(1_000).lines(), ["rest", "0", "1", "2"], "{rotated:?} {down}");
            assert_eq!(rig.got.losses, 0);
            rig.restart();
            for _ in 0..4 {
                rig.pass(700_000);
            }
            assert!(rig.lines().is_empty(), "{rotated:?} {down}");
        }
    }
}

#[test]
fn compressed_while_down() {
    for ending in ["gz", "zst", "xz", "bz2"] {
        let mut rig = known("a.log");
        rig.restart();
        rig.rename("a.log", "a.log.2");
        pack(&rig, "a.log.2", ending);
        rig.tick();
        rig.append("a.log.1", "middle\n");
        pack(&rig, "a.log.1", ending);
        rig.append("a.log", "new\n");
        assert_eq!(rig.pass(0).lines(), ["rest", "middle", "new"], "{ending}");
        assert_eq!((rig.got.losses, rig.tailer.counters().recovered), (0, 2), "{:?}", rig.words());
        // Renamed and restarted once more: all of it is known.
        rig.restart();
        rig.rename(&format!("a.log.2.{ending}"), &format!("a.log.3.{ending}"));
        rig.pass(0);
        rig.pass(1_000);
        assert!(rig.lines().is_empty(), "{ending}");
    }
}

#[test]
fn an_archive_goes_on_where_it_was_left() {
    let mut rig = known("a.log");
    let text: String = (0..100_000).map(|n| format!("{n:07}\n")).collect();
    rig.append("a.log", &text);
    rig.rename("a.log", "a.log.1");
    pack(&rig, "a.log.1", "gz");
    rig.append("a.log", "new\n");
    rig.restart();
    let mut lines = Vec::new();
    for _ in 0..40 {
        // One turn, and dead.
        rig.tailer.poll(rig.now, &mut |event| rig.got.take(event));
        lines.extend(rig.lines());
        rig.restart();
        rig.now += 1_000;
    }
    lines.extend(rig.pass(0).lines());
    assert_eq!(lines.len(), 100_002, "{:?} {:?}", lines.last(), rig.words());
    assert_eq!((lines[0].as_str(), lines[1].as_str(), lines[100_001].as_str()), ("rest", "0000000", "new"));
}

#[test]
fn compressed_while_the_old_file_is_open() {
    let mut rig = known("a.log");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "new\n");
    assert_eq!(rig.pass(1_000).lines(), ["rest", "new"]);
    pack(&rig, "a.log.1", "gz");
    for _ in 0..5 {
        rig.pass(30_000);
    }
    rig.restart();
    rig.rename("a.log.1.gz", "a.log.2.gz");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "newer\n");
    assert_eq!(rig.pass(0).lines(), ["newer"]);
}

#[test]
fn compressed_while_closed() {
    let mut rig = Rig::new(&["0.log", "a.log"]);
    rig.tailer.max_open = 1;
    rig.append("0.log", "x\n");
    rig.append("a.log", "known\n");
    assert_eq!(rig.pass(0).lines().len(), 2);
    rig.append("a.log", "rest\n");
    rig.rename("a.log", "a.log.1");
    pack(&rig, "a.log.1", "gz");
    rig.append("a.log", "new\n");
    let mut lines = rig.pass(1_000).lines();
    lines.sort();
    assert_eq!(lines, ["new", "rest"]);
    assert_eq!(rig.got.losses, 0);
}

#[test]
fn what_was_counted_is_not_counted_again() {
    for pattern in ["a.log", "a.log*"] {
        let mut rig = known(pattern);
        assert_eq!(rig.pass(1_000).lines(), ["rest"]);
        rig.restart();
        rig.rename("a.log", "a.log.1");
        rig.pass(0);
        rig.append("a.log", "new\n");
        assert_eq!(rig.pass(1_000).lines(), ["new"]);
        // Somebody unpacks an old one, and makes a copy of one that is being read.
        rig.append("a.log.5", "old\n");
        fs::copy(rig.path("a.log"), rig.path("a.log.0")).unwrap();
        rig.restart();
        rig.pass(0);
        rig.pass(1_000);
        assert!(rig.lines().is_empty(), "{pattern}");
    }
}

#[test]
fn nothing_rotated_is_read_at_the_very_first_start() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log.2", "2\n");
    rig.append("a.log.1", "1\n");
    rig.append("a.log", "0\n");
    assert_eq!(rig.pass(0).lines(), ["0"]);
    rig.pass(100_000);
    rig.restart();
    rig.pass(0);
    assert!(rig.lines().is_empty());
}

#[test]
fn copied_and_truncated() {
    for pattern in ["a.log", "a.log*"] {
        let mut rig = known(pattern);
        assert_eq!(rig.pass(1_000).lines(), ["rest"]);
        fs::copy(rig.path("a.log"), rig.path("a.log.1")).unwrap();
        rig.pass(1_000);
        fs::write(rig.path("a.log"), "after\n").unwrap();
        assert_eq!(rig.pass(1_000).lines(), ["after"], "{pattern}");
        rig.pass(100_000);
        rig.restart();
        rig.pass(0);
        assert!(rig.lines().is_empty(), "{pattern}");
        assert_eq!(rig.got.losses, 0);
    }
}

#[test]
fn copied_and_truncated_while_behind() {
    for down in [true, false] {
        for packed in [true, false] {
            let mut rig = known("a.log");
            if down {
                rig.restart();
            }
            fs::copy(rig.path("a.log"), rig.path("a.log.1")).unwrap();
            if packed {
                pack(&rig, "a.log.1", "gz");
            }
            fs::write(rig.path("a.log"), "after\n").unwrap();
            assert_eq!(rig.pass(1_000).lines(), ["rest", "after"], "{down} {packed}");
            assert_eq!(rig.got.losses, 0);
        }
    }
}

#[test]
fn what_is_found_nowhere_is_said() {
    let mut rig = known("a.log");
    rig.restart();
    fs::remove_file(rig.path("a.log")).unwrap();
    rig.append("a.log", "new\n");
    assert_eq!(rig.pass(0).lines(), ["new"]);
    assert_eq!((rig.got.losses, rig.tailer.counters().possible_losses), (1, 1));
    // Once.
    rig.pass(100_000);
    rig.restart();
    rig.pass(0);
    assert_eq!(rig.got.losses, 1);
}

#[test]
fn the_same_beginning_is_not_the_same_file() {
    let header = format!("#{}\n", "x".repeat(2_000));
    let mut rig = Rig::new(&["*.log"]);
    rig.append("a.log", format!("{header}a\n"));
    rig.append("b.log", format!("{header}b\n"));
    let mut lines = rig.pass(0).lines();
    lines.retain(|line| !line.starts_with('#'));
    assert_eq!(lines, ["a", "b"]);
    rig.restart();
    rig.rename("a.log", "a.log.2");
    rig.tick();
    rig.append("a.log.1", format!("{header}middle\n"));
    rig.append("a.log", format!("{header}new\n"));
    let mut lines = rig.pass(0).lines();
    lines.retain(|line| !line.starts_with('#'));
    assert_eq!(lines, ["middle", "new"]);
}

#[test]
fn small_files_are_read_at_once() {
    let mut rig = Rig::new(&["*.log"]);
    rig.append("empty.log", "");
    rig.append("ten.log", "123456789\n");
    assert_eq!(rig.pass(0).lines(), ["123456789"]);
    rig.append("empty.log", "x\n");
    assert_eq!(rig.pass(1_000).lines(), ["x"]);
}

#[test]
fn a_huge_hole_is_skipped() {
    let mut rig = Rig::new(&["a.log"]);
    let mut writer = File::create(rig.path("a.log")).unwrap();
    const FAR: u64 = 6 << 30;
    writer.seek(io::SeekFrom::Start(FAR)).unwrap();
    writer.write_all(b"one\n").unwrap();
    assert_eq!(rig.pass(0).lines(), ["one"]);
    assert!(rig.tailer.counters().hole_bytes >= FAR);
    rig.restart();
    writer.write_all(b"two\n").unwrap();
    assert_eq!(rig.pass(0).lines(), ["two"]);
}

#[test]
fn a_damaged_archive_is_said() {
    let mut rig = known("a.log");
    rig.restart();
    rig.append("a.log", (0..50_000).map(|n| format!("{n}\n")).collect::<String>());
    rig.rename("a.log", "a.log.1");
    pack(&rig, "a.log.1", "gz");
    let whole = fs::read(rig.path("a.log.1.gz")).unwrap();
    fs::write(rig.path("a.log.1.gz"), &whole[..whole.len() / 2]).unwrap();
    rig.append("a.log", "new\n");
    let lines = rig.pass(0).lines();
    assert_eq!((lines[0].as_str(), lines.last().map(String::as_str)), ("rest", Some("new")));
    assert!(lines.len() > 10_000 && rig.got.losses == 1, "{} {:?}", lines.len(), rig.words());
    rig.pass(100_000);
    assert!(rig.lines().is_empty());
}

/// Whatever of a file was counted when, and however often we die: what lies in its archive is not lost.
#[test]
fn nothing_is_said_to_be_lost_that_lies_in_an_archive() {
    for (behind, delayed, restarts) in
        (0..16).flat_map(|n| [false, true].map(|delayed| (n % 4, delayed, n / 4)))
    {
        let case = format!("behind {behind}, delayed {delayed}, restarts {restarts}");
        let mut rig = known("a.log");
        let restart = |rig: &mut Rig, at: usize| {
            if restarts & at > 0 {
                rig.restart();
            }
        };
        let mut want = vec!["rest".to_owned()];
        for n in 0..6 {
            rig.tick();
            let look = |rig: &mut Rig, at: usize| {
                if behind != at {
                    rig.pass(300);
                    rig.pass(1_000);
                }
                rig.tick();
            };
            look(&mut rig, 1);
            restart(&mut rig, 1);
            let packed = rig.path("a.log.1").exists();
            if packed && delayed {
                pack(&rig, "a.log.1", "gz");
            }
            for m in (1..=n).rev() {
                let (from, to) = (format!("a.log.{m}.gz"), format!("a.log.{}.gz", m + 1));
                if rig.path(&from).exists() {
                    rig.rename(&from, &to);
                }
            }
            rig.rename("a.log", "a.log.1");
            rig.append("a.log", "");
            look(&mut rig, 2);
            rig.append("a.log", format!("{n}\n"));
            want.push(n.to_string());
            look(&mut rig, 3);
            restart(&mut rig, 2);
            if !delayed {
                pack(&rig, "a.log.1", "gz");
            }
        }
        for _ in 0..3 {
            rig.pass(1_500);
            rig.restart();
        }
        for _ in 0..3 {
            rig.pass(700_000);
        }
        assert_eq!((rig.lines(), rig.got.losses), (want, 0), "{case}: {:?}", rig.words());
    }
}

/// Seen empty, and then not until its archive: there is nothing to know it by, and it is read all the same.
#[test]
fn a_file_seen_empty_is_not_lost_in_its_archive() {
    for (down, later) in [(true, 0), (true, 2), (false, 0), (false, 2)] {
        let mut rig = known("a.log");
        rig.rename("a.log", "a.log.1");
        rig.tick();
        rig.append("a.log", "");
        rig.pass(1_000);
        pack(&rig, "a.log.1", "gz");
        rig.pass(1_000);
        if down {
            rig.restart();
        }
        rig.tick();
        rig.append("a.log", "1\n");
        rig.rename("a.log.1.gz", "a.log.2.gz");
        rig.rename("a.log", "a.log.1");
        pack(&rig, "a.log.1", "gz");
        let mut want = vec!["rest", "1"];
        for (n, text) in ["2", "3"].into_iter().enumerate().take(later) {
            for m in (1..=n + 2).rev() {
                rig.rename(&format!("a.log.{m}.gz"), &format!("a.log.{}.gz", m + 1));
            }
            rig.tick();
            rig.append("a.log.1", format!("{text}\n"));
            pack(&rig, "a.log.1", "gz");
            want.push(text);
        }
        rig.append("a.log", "new\n");
        want.push("new");
        for _ in 0..3 {
            rig.pass(1_500);
            rig.restart();
        }
        let case = format!("down {down}, later {later}");
        let want: Vec<String> = want.iter().map(ToString::to_string).collect();
        assert_eq!((rig.lines(), rig.got.losses), (want, 0), "{case}: {:#?}", rig.words());
    }
}

/// Were two files to wait for each other, neither would ever be read, and both would always be due.
#[test]
fn nobody_waits_in_a_circle() {
    let mut rig = Rig::new(&["*.log"]);
    for name in ["a.log", "b.log", "c.log"] {
        rig.append(name, "1\n");
    }
    rig.pass(0);
    let ids: Vec<FileId> = rig.tailer.files.keys().copied().collect();
    let [a, b, c] = ids[..] else { unreachable!("three files") };
    let now = rig.now;
    for (file, before) in [(a, b), (b, c), (c, a), (b, a), (a, a)] {
        rig.tailer.come_after(file, Some(before), now);
        assert!(
            ids.iter().all(|id| rig.tailer.files[id]
                .after
                .is_none_or(|after| { !rig.tailer.waits_for(after, *id) }))
        );
    }
    for name in ["a.log", "b.log", "c.log"] {
        rig.append(name, "2\n");
    }
    assert_eq!(rig.pass(1_000).lines().len(), 6);
}

/// Placed, and dead before anything of it was counted: its beginning is known, and so is its copy.
#[test]
fn a_copy_of_what_was_only_placed_is_known() {
    let mut rig = Rig::new(&["a.log"]);
    rig.pass(0);
    rig.append("a.log", "1\n2\n");
    // Nothing of its first chunk is durable.
    rig.now += 1_000;
    let mut at_first = Vec::new();
    let got = &mut rig.got;
    rig.tailer.poll(rig.now, &mut |event| {
        if let Event::Opened { place, from, .. } = event {
            at_first.push(Position { path: place.path.to_path_buf(), key: place.key, progress: from });
        }
        got.take(event);
    });
    assert_eq!(rig.lines(), ["1", "2"]);
    rig.restart_at(at_first);
    rig.tick();
    fs::copy(rig.path("a.log"), rig.path("a.log.1")).unwrap();
    rig.rename("a.log", "a.log.2");
    rig.tick();
    rig.append("a.log", "3\n");
    rig.pass(1_000);
    assert_eq!((rig.pass(1_000).lines(), rig.got.losses), (["1", "2", "3"].map(str::to_owned).to_vec(), 0));
}

/// The original goes on where it is, whatever its copy holds, and in whichever order they are looked at.
#[test]
fn a_copy_is_not_read_instead_of_its_original() {
    let mut rig = known("a.log");
    rig.restart();
    rig.tick();
    fs::copy(rig.path("a.log"), rig.path("a.log.1")).unwrap();
    rig.append("a.log", "later\n");
    rig.rename("a.log", "a.log.2");
    rig.tick();
    rig.append("a.log", "new\n");
    for _ in 0..3 {
        rig.pass(1_000);
        rig.restart();
    }
    assert_eq!((rig.lines(), rig.got.losses), (["rest", "later", "new"].map(str::to_owned).to_vec(), 0));
}
