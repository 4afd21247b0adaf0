use super::*;
use crate::state::{AgentState, Counters, FileState, Lines, Reading};
use crate::tail::{FileKey, Position, Progress};
use gatewatch_parsers::{Context, Dated, Parsed, Zone};
use gatewatch_rules::block::Block;
use gatewatch_rules::clock::FileClock;
use gatewatch_rules::collector::{Collector, Place};
use gatewatch_rules::engine::{Engine, EngineOptions, EngineState};
use gatewatch_rules::rule::{Rule, Severity};
use gatewatch_rules::series::Plan;
use gatewatch_rules::source::Source;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use tempfile::TempDir;

const NOW: Millis = 1_800_000_000_000;
const OPTIONS: EngineOptions = EngineOptions { step: 5_000, series_cap: 10 };

/// A snapshot with something of everything, told apart by `saved`.
pub(crate) fn snapshot(saved: Millis) -> Snapshot {
    let mut clock = FileClock::new(2_000, 5_000);
    clock.admit(NOW);
    let position = Position {
        path: "/var/log/nginx/access.log".into(),
        key: FileKey { dev: 1, ino: 2, birth: 3 },
        progress: Progress { offset: 4_000, ..Progress::default() },
    };
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let dated = Dated { zone, near: NOW, newest: NOW, ambiguous: false };
    let reading = Reading { format: Some("nginx:combined".to_owned()), dated, unwrapper: None };
    let lines = Lines { read: 9, parsed: 8, unparsed: 1, ..Lines::default() };
    Snapshot {
        agent: AgentState { program: "0.1.0".to_owned(), node: "edge".to_owned(), step: 5_000, saved },
        files: vec![FileState {
            position,
            followed: true,
            input: "edge".to_owned(),
            clock,
            mark: Default::default(),
            read: NOW,
            reading: Some(reading),
            held: b"GET \xff".to_vec(),
            lines,
            late_needed: 70,
        }],
        inputs: vec!["edge".to_owned()],
        cursors: [("journal".to_owned(), "s=1;i=2".to_owned())].into(),
        engine: engine(),
        outbox: Default::default(),
        mutes: Default::default(),
        counters: Counters {
            gone: [("edge".to_owned(), lines)].into(),
            state_rebuilt: 1,
            told: Default::default(),
        },
    }
}

fn rules() -> Vec<Rule> {
    let mut rule = Rule::new("errors", "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
    rule.group_by = vec!["upstream".to_owned()];
    let mut number = Rule::new("number", "count", vec![(Severity::Warning, 3.0)]);
    number.window = 600_000;
    vec![rule, number]
}

/// An engine whose upstream fails.
fn engine() -> EngineState<'static> {
    let plan = Arc::new(Plan::new(&rules(), &[]));
    let mut engine = Engine::new(rules(), Arc::clone(&plan), OPTIONS);
    let mut collector = Collector::new(plan, OPTIONS.step, false);
    let format = gatewatch_parsers::formats::compile("nginx:combined_upstream").unwrap();
    let mut context = Context::new(Zone::Fixed(0), NOW);
    let line = b"203.0.113.7 - - [15/Jan/2027:08:00:00 +0000] \"GET /p HTTP/1.1\" 502 512 \"-\" \"curl\" rt=0.013 uct=\"0.001\" \
                 uht=\"-\" urt=\"0.012\" ua=\"10.0.0.1:8080\" us=\"502\"";
    let mut block = Block::default();
    for step in 0..12 {
        let Ok(Parsed::Record(mut record)) = format.parse(line, &mut context) else { panic!("not a line") };
        record.end = NOW + step * OPTIONS.step;
        (0..20).for_each(|_| collector.count(&Source::default(), &record, Place::Step));
        engine.sample(&collector.last_series().unwrap().clone(), record.end, line);
    }
    collector.take(&mut block);
    engine.absorb(&block, Millis::MIN);
    assert!(!engine.advance(NOW + 12 * OPTIONS.step).is_empty(), "an alert");
    postcard::from_bytes(&plain(&engine.state()).unwrap()).unwrap()
}

/// Goes on with it: nothing may panic, whatever it says.
fn go_on(snapshot: Snapshot) {
    let plan = Arc::new(Plan::new(&rules(), &[]));
    if let Ok((mut engine, _)) = Engine::restore(snapshot.engine, rules(), plan, OPTIONS) {
        engine.advance(NOW + 3_600_000);
        assert!(encode(&engine.state()).is_ok());
    }
    for file in snapshot.files {
        let mut clock = file.clock.with(2_000, 5_000);
        let _ = (clock.admit(NOW), clock.idle(1_000, NOW), clock.finish());
    }
}

fn payload(saved: Millis) -> Vec<u8> {
    encode(&snapshot(saved)).unwrap()
}

/// A directory in which these were written, one after the other.
fn written(saved: &[Millis]) -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(&folder.path().join("state"));
    store.load(NOW).unwrap();
    for saved in saved {
        store.write(&payload(*saved)).unwrap();
    }
    (folder, store)
}

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join("state").join(name)
}

/// What the next process finds: the number, and which one it is.
fn found(folder: &TempDir) -> (Option<(u64, Millis)>, Found) {
    let found = Store::new(&folder.path().join("state")).load(NOW).unwrap();
    let newest = found.snapshot.as_ref().map(|(seq, snapshot)| (*seq, snapshot.agent.saved));
    let peeked = peek(&folder.path().join("state")).ok();
    assert_eq!(peeked.map(|(seq, snapshot)| (seq, snapshot.agent.saved)), newest);
    (newest, found)
}

fn corrupt(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path().join("state")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(CORRUPT)).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read() {
    let bytes = frame::wrap(3, &payload(NOW));
    let (seq, read) = decode(&bytes).unwrap();
    assert_eq!((seq, encode(&read).unwrap()), (3, payload(NOW)));
    assert_eq!(read.files, snapshot(NOW).files);
}

#[test]
fn every_cut_and_every_flipped_bit_is_seen() {
    let bytes = frame::wrap(3, &pack(&small()).unwrap());
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped).is_err(), "bit {bit}");
    }
}

/// Behind a checksum that somebody made fit: refused, or something else that can be gone on with; never a panic.
#[test]
fn a_hostile_payload_is_refused_or_harmless() {
    let payload = small();
    for length in 0..payload.len() {
        assert!(decode(&frame::wrap(3, &pack(&payload[..length]).unwrap())).is_err(), "cut at {length}");
    }
    let mut more = payload.clone();
    more.push(0);
    assert!(decode(&frame::wrap(3, &pack(&more).unwrap())).is_err(), "there is more than it says");
    for bit in 0..payload.len() * 8 {
        changed(&payload, bit);
    }
    let large = plain(&snapshot(NOW)).unwrap();
    for bit in (0..large.len() * 8).step_by(large.len() * 8 / 300 + 1) {
        changed(&large, bit);
    }
}

fn changed(payload: &[u8], bit: usize) {
    let mut flipped = payload.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    if let Ok((_, read)) = decode(&frame::wrap(3, &pack(&flipped).unwrap())) {
        assert!(encode(&read).is_ok(), "bit {bit}");
        go_on(read);
    }
}

/// The payload of a snapshot whose engine has counted nothing.
fn small() -> Vec<u8> {
    let engine = Engine::new(Vec::new(), Arc::new(Plan::new(&[], &[])), OPTIONS);
    let engine = postcard::from_bytes(&plain(&engine.state()).unwrap()).unwrap();
    plain(&Snapshot { engine, ..snapshot(NOW) }).unwrap()
}

#[test]
fn generations_alternate_and_the_newest_wins() {
    let (folder, _) = written(&[]);
    assert!(found(&folder).0.is_none() && !found(&folder).1.lost, "the very first start");
    let (folder, mut store) = written(&[1, 2, 3]);
    assert_eq!(found(&folder).0, Some((3, 3)));
    assert!(path(&folder, "snapshot.a").exists() && path(&folder, "snapshot.b").exists());
    assert!(!path(&folder, NEW).exists());
    // The next process goes on with the generation that is not the newest.
    store = Store::new(store.folder.as_path());
    store.load(NOW).unwrap();
    let newest = fs::read(path(&folder, "snapshot.a")).unwrap();
    assert_eq!(store.write(&payload(4)).unwrap(), 4);
    assert_eq!(fs::read(path(&folder, "snapshot.a")).unwrap(), newest);
    assert_eq!(found(&folder).0, Some((4, 4)));
    let mode = |name: &str| fs::metadata(path(&folder, name)).unwrap().mode() & 0o777;
    assert_eq!((mode("snapshot.a"), mode("")), (0o600, 0o700));
}

#[test]
fn a_crash_at_any_step_leaves_one_or_the_other() {
    let third = frame::wrap(3, &payload(3));
    // While it was written, before and after its sync.
    for length in [0, 1, third.len() / 2, third.len()] {
        let (folder, _) = written(&[1, 2]);
        fs::write(path(&folder, NEW), &third[..length]).unwrap();
        assert_eq!(found(&folder).0, Some((2, 2)), "{length} bytes written");
        let mut store = Store::new(&folder.path().join("state"));
        store.load(NOW).unwrap();
        assert_eq!(store.write(&payload(4)).unwrap(), 3, "what a crash left is in nobody's way");
        assert_eq!(found(&folder).0, Some((3, 4)));
    }
    // After it was renamed; its directory entry was durable, or was not.
    let (folder, _) = written(&[1, 2]);
    fs::write(path(&folder, NEW), &third).unwrap();
    fs::rename(path(&folder, NEW), path(&folder, "snapshot.a")).unwrap();
    assert_eq!(found(&folder).0, Some((3, 3)));
}

#[test]
fn a_directory_that_cannot_be_used_is_said_once() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    // Nothing in it can be opened, whoever runs this.
    symlink(&state, &state).unwrap();
    let found = Store::new(&state).load(NOW).unwrap();
    assert!(found.lost && found.snapshot.is_none(), "what it holds is not known");
    assert_eq!(found.troubles.len(), 1, "{:?}", found.troubles);
}

#[test]
fn a_broken_one_is_moved_aside_and_the_other_used() {
    type Break = fn(&Path);
    let table: [(&str, Break); 7] = [
        ("cut", |path| fs::write(path, &fs::read(path).unwrap()[..10]).unwrap()),
        ("empty", |path| drop(File::create(path).unwrap())),
        ("zeros", |path| fs::write(path, vec![0; 4_096]).unwrap()),
        ("a flipped bit", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[50] ^= 4;
            fs::write(path, bytes).unwrap();
        }),
        ("an older format", |path| {
            fs::write(path, frame::of_version(&fs::read(path).unwrap(), 0)).unwrap();
        }),
        ("a symlink", |path| {
            fs::rename(path, path.with_extension("elsewhere")).unwrap();
            symlink(path.with_extension("elsewhere"), path).unwrap();
        }),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for (what, spoil) in table {
        let (folder, _) = written(&[1, 2, 3]);
        spoil(&path(&folder, "snapshot.a"));
        let (newest, first) = found(&folder);
        assert_eq!(newest, Some((2, 2)), "{what}");
        assert!(!first.lost && first.troubles.len() == 1, "{what}: {:?}", first.troubles);
        assert_eq!(corrupt(&folder), [format!("{CORRUPT}{NOW}-a")], "{what}");
        // Said once: it is out of the way.
        assert!(found(&folder).1.troubles.is_empty(), "{what}");

        let (folder, _) = written(&[1, 2, 3]);
        GENERATIONS.iter().for_each(|name| spoil(&path(&folder, name)));
        let (newest, first) = found(&folder);
        assert!(newest.is_none() && first.lost, "{what}");
        assert_eq!((first.troubles.len(), corrupt(&folder).len()), (2, 2), "{what}");
    }
}

#[test]
fn so_many_broken_ones_are_kept() {
    let (folder, _) = written(&[1]);
    for i in 0..20 {
        fs::write(path(&folder, "snapshot.b"), "junk").unwrap();
        Store::new(&folder.path().join("state")).load(NOW + i).unwrap();
    }
    let kept = corrupt(&folder);
    assert_eq!(kept.len(), CORRUPT_MAX);
    assert_eq!(kept.last().unwrap(), &format!("{CORRUPT}{}-b", NOW + 19));
    assert_eq!(found(&folder).0, Some((1, 1)));
}

#[test]
fn a_newer_programs_snapshot_is_left_alone() {
    for name in GENERATIONS {
        let (folder, _) = written(&[1, 2]);
        let newer = frame::of_version(&fs::read(path(&folder, name)).unwrap(), frame::VERSION + 1);
        fs::write(path(&folder, name), &newer).unwrap();
        let refused = Store::new(&folder.path().join("state")).load(NOW).unwrap_err();
        assert!(refused.to_string().contains("a newer gatewatch wrote it"), "{refused}");
        assert_eq!(fs::read(path(&folder, name)).unwrap(), newer);
        assert!(corrupt(&folder).is_empty());
    }
}

#[test]
fn what_cannot_be_written_leaves_both_as_they_are() {
    let (folder, mut store) = written(&[1, 2]);
    // Nothing can take the place of a directory that is not empty.
    let before = fs::read(path(&folder, "snapshot.b")).unwrap();
    fs::remove_file(path(&folder, "snapshot.a")).unwrap();
    fs::create_dir_all(path(&folder, "snapshot.a/x")).unwrap();
    assert!(store.write(&payload(3)).is_err());
    assert!(!path(&folder, NEW).exists(), "it takes no space");
    assert_eq!(fs::read(path(&folder, "snapshot.b")).unwrap(), before);
    fs::remove_dir_all(path(&folder, "snapshot.a")).unwrap();
    assert_eq!(store.write(&payload(3)).unwrap(), 3, "the same generation is tried again");
    assert_eq!(found(&folder).0, Some((3, 3)));
    // A directory that is gone is made again.
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    assert_eq!(store.write(&payload(4)).unwrap(), 4);
    assert_eq!(found(&folder).0, Some((4, 4)));
}

#[test]
fn nothing_is_written_through_a_link() {
    let (folder, mut store) = written(&[1]);
    let target = folder.path().join("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, path(&folder, NEW)).unwrap();
    symlink(&target, path(&folder, "snapshot.b")).unwrap();
    assert_eq!(store.write(&payload(2)).unwrap(), 2);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(found(&folder).0, Some((2, 2)));
}

#[test]
fn what_a_former_program_left_is_read_until_a_snapshot_stands_in_its_place() {
    let (folder, mut store) = written(&[]);
    fs::create_dir_all(folder.path().join("state")).unwrap();
    let outbox = serde_json::to_string(&crate::delivery::outbox::State::default()).unwrap();
    let text = format!(r#"{{"version":1,"positions":[],"inputs":["edge"],"outbox":{outbox}}}"#);
    fs::write(path(&folder, former::NAME), text).unwrap();
    assert_eq!(found(&folder).1.former.unwrap().inputs, ["edge"]);
    store.write(&payload(1)).unwrap();
    assert!(!path(&folder, former::NAME).exists());
    assert!(found(&folder).1.former.is_none());
    let (folder, _) = written(&[]);
    fs::create_dir_all(folder.path().join("state")).unwrap();
    fs::write(path(&folder, former::NAME), "{").unwrap();
    assert!(found(&folder).1.lost);
}

#[test]
fn a_directory_that_others_may_write_in_is_closed_to_them() {
    let (folder, mut store) = written(&[]);
    let state = folder.path().join("state");
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    store.write(&payload(1)).unwrap();
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o755);
}

/// A snapshot that an earlier build of this format wrote is read to the same: whoever changes a type in it raises
/// [`frame::VERSION`], and writes the file anew with `UPDATE_GOLDEN=1`.
#[test]
fn what_an_earlier_build_of_this_format_wrote_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/golden.snapshot");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, frame::wrap(502, &payload(NOW))).unwrap();
    }
    let written = fs::read(&path).unwrap();
    let advice = "a type in the snapshot changed: raise frame::VERSION, then UPDATE_GOLDEN=1";
    let (seq, read) = decode(&written).unwrap_or_else(|flaw| panic!("{flaw}: {advice}"));
    assert_eq!(seq, 502);
    // What is in it means what it meant.
    let whole = |snapshot: &Snapshot| plain(snapshot).unwrap();
    assert_eq!(whole(&read), whole(&snapshot(NOW)), "{advice}");
    go_on(read);
}

/// Said, moved aside, and counted anew: nothing of another format is guessed at.
#[test]
fn an_older_format_is_refused_in_words() {
    let (folder, _) = written(&[1, 2]);
    for name in GENERATIONS {
        let older = frame::of_version(&fs::read(path(&folder, name)).unwrap(), frame::VERSION - 1);
        fs::write(path(&folder, name), older).unwrap();
    }
    let (newest, found) = found(&folder);
    assert!(newest.is_none() && found.lost, "it is rebuilt from the logs");
    let word = format!("is of format {}, this program knows {} only", frame::VERSION - 1, frame::VERSION);
    assert!(
        found.troubles.len() == 2 && found.troubles.iter().all(|said| said.contains(&word)),
        "{:?}",
        found.troubles
    );
}

/// What `fuzz/snapshot` begins with: it says where.
#[test]
fn seeds() {
    let Some(folder) = std::env::var_os("GATEWATCH_SEEDS") else { return };
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("whole"), frame::wrap(3, &payload(NOW))).unwrap();
    fs::write(folder.join("payload"), plain(&snapshot(NOW)).unwrap()).unwrap();
}
