//! Who may write to the directory of a log may put anything there.

use super::*;

#[test]
fn a_planted_link_is_not_opened_and_said_once() {
    let mut rig = Rig::new(&["access.log*"]);
    rig.append("access.log", "1\n");
    symlink("/etc/passwd", rig.path("access.log.9")).unwrap();
    symlink("/etc/passwd", rig.path("access.log_x")).unwrap();
    for _ in 0..5 {
        assert!(rig.pass(1_000).lines().iter().all(|line| line == "1"));
    }
    let words = rig.words();
    for name in ["access.log.9", "access.log_x"] {
        let said = words.iter().filter(|word| word.starts_with(&format!("{name}: is a symlink"))).count();
        assert_eq!(said, 1, "{words:?}");
    }
    // Nor as a rotated file that may hold what was not read yet.
    rig.restart();
    fs::remove_file(rig.path("access.log.9")).unwrap();
    rig.append("access.log", "2\n");
    rig.rename("access.log", "access.log.2");
    symlink("/etc/passwd", rig.path("access.log.1")).unwrap();
    rig.append("access.log", "3\n");
    assert_eq!(rig.pass(0).lines(), ["2", "3"]);
}

#[test]
fn a_pipe_in_the_place_of_a_rotated_file_hangs_nobody() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "1\n");
    rig.pass(0);
    rig.restart();
    rig.rename("a.log", "a.log.2");
    assert!(Command::new("mkfifo").arg(rig.path("a.log.1")).status().unwrap().success());
    rig.append("a.log", "2\n");
    assert_eq!(rig.pass(0).lines(), ["1", "2"]);
}

#[test]
fn a_bomb_is_not_read_on() {
    assert_eq!(unpack::most(208), 1 << 30);
    assert_eq!(unpack::most(2 << 20), 1_000 * (2 << 20));
    // Three GiB of NUL in a few hundred bytes: read by pieces, and no further than a log could go.
    let zeros = vec![0u8; 16 << 20];
    let mut to = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..66 {
        to.write_all(&zeros).unwrap();
    }
    let bomb = to.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "1\n");
    rig.pass(0);
    rig.restart();
    rig.rename("a.log", "a.log.2");
    fs::write(rig.path("a.log.1.zst"), bomb).unwrap();
    rig.append("a.log", "2\n");
    let mut bytes = 0;
    while rig.tailer.poll(rig.now, &mut |event| {
        if let Event::Chunk { bytes: chunk, .. } = event {
            bytes += chunk.len() as u64;
        }
    }) <= rig.now
    {}
    assert!(bytes <= (1 << 30) + (1 << 20), "{bytes}");
    assert_eq!(rig.tailer.counters().possible_losses, 1);
}
