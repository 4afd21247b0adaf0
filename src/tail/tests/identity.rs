//! Which file is this? Each of these fails under a design that looks at less: by inode alone, without an anchor.

use super::super::tracked::position_at;
use super::*;

/// A file of these lines, restored as if an earlier process had stood at `offset` in another file that had its inode:
/// made at another time, with other bytes. Filesystems hand numbers out again as they like; this does not wait for it.
fn with_the_inode_of_another(design: Design, old: &str, new: &str) -> Rig {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("old", old);
    let old = position_at(&rig.path("old"), old.len() as u64).unwrap();
    fs::remove_file(rig.path("old")).unwrap();
    rig.append("a.log", new);
    let mut key = Stat::of_path(&rig.path("a.log")).unwrap().key;
    key.birth = key.birth.saturating_sub(1_000_000_000);
    rig.tailer.set_design(design);
    rig.restart_at(vec![Position { path: rig.path("a.log"), key, ..old }]);
    rig
}

#[test]
fn an_inode_handed_out_again_while_down_is_another_file() {
    let (old, new) = ("one\ntwo\n", "1\n2\n3\n4\n5\n6\n");
    let mut rig = with_the_inode_of_another(Design::default(), old, new);
    assert_eq!(rig.pass(0).lines(), ["1", "2", "3", "4", "5", "6"]);
    // Who looks at the inode only goes on in the midst of it.
    let wrong = Design { inode_only: true, ..Design::default() };
    let mut rig = with_the_inode_of_another(wrong, old, new);
    assert_eq!(rig.pass(0).lines(), ["5", "6"]);
}

/// Deleted and made again until the new file has the inode of the old one; `None`: this filesystem does not do that.
fn made_again(rig: &Rig, text: &str) -> Option<()> {
    let ino = |rig: &Rig| Stat::of_path(&rig.path("a.log")).unwrap().key.ino;
    let before = ino(rig);
    for _ in 0..64 {
        fs::remove_file(rig.path("a.log")).unwrap();
        rig.append("a.log", text);
        if ino(rig) == before {
            return Some(());
        }
    }
    None
}

#[test]
fn an_inode_handed_out_again_while_we_look_is_another_file() {
    let try_with = |design: Design| {
        let mut rig = Rig::new(&["a.log"]);
        // One descriptor only, and another file has it: nothing keeps the inode from being handed out again.
        rig.tailer.max_open = 1;
        let first = Pattern::literal(&rig.path("0.log"));
        rig.tailer.inputs[0].paths.insert(0, first);
        rig.append("0.log", "first\n");
        rig.tailer.set_design(design);
        rig.append("a.log", "one\ntwo\n");
        rig.pass(0);
        rig.pass(1_000);
        rig.lines();
        made_again(&rig, "1\n2\n3\n4\n5\n6\n")?;
        Some(rig.pass(1_000).lines())
    };
    // Another process may be handed it first.
    let try_often = |design: Design| (0..20).find_map(|_| try_with(design));
    // Not all filesystems do that, and none can be made to.
    let Some(lines) = try_often(Design::default()) else {
        return eprintln!("skipped: this filesystem does not hand inodes out again");
    };
    assert_eq!(lines, ["1", "2", "3", "4", "5", "6"]);
    let wrong = Design { inode_only: true, no_anchor: true, ..Design::default() };
    assert_ne!(try_often(wrong), Some(lines));
}

#[test]
fn a_position_by_offset_is_gone_on_from() {
    let mut rig = Rig::new(&["a.log"]);
    let text = (0..400).map(|n| format!("{n:03}\n")).collect::<String>();
    rig.append("a.log", &text);
    for line in [0, 1, 30, 63, 64, 65, 300, 400] {
        let position = position_at(&rig.path("a.log"), line * 4).unwrap();
        rig.restart_at(vec![position]);
        let lines = rig.pass(0).lines();
        assert_eq!(lines.len() as u64, 400 - line);
        assert_eq!(lines.first().cloned(), (line < 400).then(|| format!("{line:03}")));
    }
    assert_eq!(position_at(&rig.path("a.log"), 1_601).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(position_at(&rig.path("none"), 0).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(position_at(rig.dir.path(), 0).is_err());
    fs::write(rig.path("a.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\0").unwrap();
    assert!(position_at(&rig.path("a.gz"), 0).is_err());
}
