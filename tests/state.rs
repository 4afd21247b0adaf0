//! What outlives the process: kills, broken snapshots, directories that cannot be written. The real binary and real
//! files; every wait is bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use gatewatch::state::{Lines, Snapshot, frame};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use support::agent::{Agent, Place, line_of, lines};
use support::{Webhook, wait_for};

const SOON: Duration = Duration::from_secs(25);
/// More than nine errors of an upstream within half a minute.
const TEN: &str = "[rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"30s\"\nseverity = \"critical\"\nkeep_firing_for = \"1s\"\n";

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn input(place: &Place) -> String {
    format!(
        "[input.file.edge]\npaths = [{:?}]\nstart = \"beginning\"\n",
        place.path("*.log").display().to_string()
    )
}

/// All lines of all files, of now and of before.
fn total(snapshot: &Snapshot) -> Lines {
    let mut sum = Lines::default();
    snapshot.files.iter().for_each(|file| sum += file.lines);
    snapshot.counters.gone.values().for_each(|lines| sum += *lines);
    sum
}

fn counted(agent: &Agent, place: &Place, lines: u64) -> Snapshot {
    let snapshot = agent.saved(place, &format!("{lines} lines"), |snapshot| total(snapshot).read >= lines);
    assert_eq!((total(&snapshot).read, total(&snapshot).parsed), (lines, lines));
    snapshot
}

fn kill(agent: &mut Agent) {
    agent.process.signal("KILL");
    agent.process.end_within(SOON).expect("killed");
}

fn generations(place: &Place) -> [Vec<u8>; 2] {
    ["snapshot.a", "snapshot.b"].map(|name| fs::read(place.path("state").join(name)).unwrap())
}

/// The generation that was written last.
fn newest(place: &Place) -> std::path::PathBuf {
    let seqs = generations(place).map(|bytes| frame::unwrap(&bytes).unwrap().0);
    place.path("state").join(if seqs[0] > seqs[1] { "snapshot.a" } else { "snapshot.b" })
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn killed_again_and_again_it_counts_every_line_once() {
    let place = Place::new();
    place.configure(&(input(&place) + TEN));
    let log = place.path("access.log");
    let (mut written, mut kills, mut rotations) = (0, 0, 0);
    let end = Instant::now() + Duration::from_secs(12);
    while Instant::now() < end {
        let mut agent = place.run_configured();
        // In pieces that end within lines, while it starts, reads and writes snapshots.
        let until = Instant::now() + Duration::from_millis(300 + 70 * (kills % 9));
        while Instant::now() < until {
            let text = lines(37, 1, 200);
            let (head, tail) = text.split_at(text.len() / 2 + 11);
            append(&log, head);
            std::thread::sleep(Duration::from_millis(3));
            append(&log, tail);
            written += 37;
        }
        kill(&mut agent);
        kills += 1;
        if kills % 5 == 0 {
            rotations += 1;
            fs::rename(&log, place.path(&format!("old-{rotations}.log"))).unwrap();
        }
    }
    assert!(kills >= 10 && rotations >= 2, "{kills} kills, {rotations} rotations");
    let mut agent = place.run_configured();
    let snapshot = counted(&agent, &place, written);
    agent.ends("TERM");
    assert_eq!(snapshot.agent.node, "edge-1");
    let totals = snapshot.engine.totals();
    assert_eq!((totals.counted.requests, totals.future), (written, 0));
    assert_eq!(totals.status.values().sum::<u64>(), written);
}

#[test]
fn ended_again_and_again_under_load_it_counts_every_line_once() {
    let place = Place::new();
    place.configure(&(input(&place) + TEN));
    let log = place.path("access.log");
    let mut written = 0;
    for round in 0..8 {
        let mut agent = place.run_configured();
        let until = Instant::now() + Duration::from_millis(200 + 150 * (round % 4));
        while Instant::now() < until {
            append(&log, &lines(500, 1, 200));
            written += 500;
            std::thread::sleep(Duration::from_millis(10));
        }
        // Before it listens to signals, it has read nothing.
        agent.says("from byte");
        agent.ends("TERM");
        if round % 3 == 2 {
            fs::rename(&log, place.path(&format!("old-{round}.log"))).unwrap();
        }
    }
    let mut agent = place.run_configured();
    agent.says("from byte");
    let snapshot = counted(&agent, &place, written);
    agent.ends("TERM");
    assert_eq!(snapshot.engine.totals().counted.requests, written);
}

/// As a backup would: both generations of some time ago. Counts and places are of one moment, so that nothing is lost or
/// counted twice, though the log was rotated since.
#[test]
fn an_old_snapshot_that_is_put_back_is_gone_on_from() {
    let place = Place::new();
    place.configure(&(input(&place).replace("*.log", "access.log") + TEN));
    let log = place.path("access.log");
    append(&log, &lines(20, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 20);
    agent.ends("TERM");
    let old = generations(&place);
    append(&log, &lines(20, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 40);
    fs::rename(&log, place.path("access.log.1")).unwrap();
    append(&log, &lines(20, 1, 200));
    counted(&agent, &place, 60);
    agent.ends("TERM");
    for (name, bytes) in ["snapshot.a", "snapshot.b"].iter().zip(old) {
        fs::write(place.path("state").join(name), bytes).unwrap();
    }
    append(&log, &lines(20, 1, 200));
    let mut agent = place.run_configured();
    let snapshot = counted(&agent, &place, 80);
    assert_eq!(snapshot.engine.totals().counted.requests, 80);
    agent.ends("TERM");
}

/// Files are the queue: however much is written at once, it is read as it is counted.
#[test]
fn a_burst_is_counted_in_little_memory() {
    let place = Place::new();
    place.configure(&(input(&place) + TEN));
    let log = place.path("access.log");
    append(&log, &lines(1_000, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 1_000);
    let text = lines(10_000, 1, 200);
    (0..30).for_each(|_| append(&log, &text));
    counted(&agent, &place, 301_000);
    let status = fs::read_to_string(format!("/proc/{}/status", agent.process.0.id())).unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    let peak: u64 = peak.unwrap();
    assert!(peak < 64 << 10, "{peak} KiB");
    agent.ends("TERM");
}

#[test]
fn a_broken_snapshot_costs_nothing_while_the_other_is_whole() {
    let place = Place::new();
    place.configure(&(input(&place) + TEN));
    let log = place.path("access.log");
    append(&log, &lines(20, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 20);
    append(&log, &lines(20, 1, 200));
    counted(&agent, &place, 40);
    agent.ends("TERM");
    flip(&newest(&place));
    append(&log, &lines(20, 1, 200));
    let mut agent = place.run_configured();
    agent.says("has a wrong checksum: kept as snapshot.corrupt-");
    counted(&agent, &place, 60);
    agent.ends("TERM");
}

#[test]
fn with_both_broken_open_windows_are_counted_again_and_the_past_is_no_news() {
    let (place, webhook) = (Place::new(), Webhook::start());
    place.configure(&(input(&place) + TEN + &webhook.table("ops")));
    let log = place.path("access.log");
    // Long over; over by now; and what begins.
    append(&log, &(0..3_000).map(|i| line_of(9_000 - i, 1, 502)).collect::<String>());
    append(&log, &(line_of(70, 2, 502).repeat(12) + &line_of(30, 2, 200) + &line_of(20, 2, 200)));
    append(&log, &line_of(3, 3, 502).repeat(9));
    fs::create_dir(place.path("state")).unwrap();
    ["a", "b"]
        .iter()
        .for_each(|name| fs::write(place.path(&format!("state/snapshot.{name}")), "junk").unwrap());
    let mut agent = place.run_configured();
    agent.says("no snapshot can be used");
    agent.says("access.log from byte");
    append(&log, &lines(1, 3, 502));
    let body = webhook.wait("the third", SOON, |_| true);
    let text = body.to_string();
    assert!(
        text.contains("10.0.0.3") && !text.contains("10.0.0.1:") && !text.contains("10.0.0.2"),
        "{body:#}"
    );
    let snapshot = agent.saved(&place, "the tenth", |snapshot| snapshot.counters.state_rebuilt == 1);
    assert!(total(&snapshot).read < 3_000, "{:?}", total(&snapshot));
    agent.ends("TERM");
    assert!(webhook.bodies.try_iter().all(|body| !body.to_string().contains("10.0.0.2")));
    let names = fs::read_dir(place.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    let kept = names.filter(|name| name.to_string_lossy().starts_with("snapshot.corrupt-"));
    assert_eq!(kept.count(), 2);
}

#[test]
fn a_newer_snapshot_is_not_destroyed() {
    let place = Place::new();
    place.configure(&(input(&place) + TEN));
    append(&place.path("access.log"), &lines(20, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 20);
    agent.ends("TERM");
    let path = newest(&place);
    let newer = frame::of_version(&fs::read(&path).unwrap(), frame::VERSION + 1);
    fs::write(&path, &newer).unwrap();
    let mut agent = place.run_configured();
    let status = agent.process.end_within(SOON).expect("it refuses to start");
    assert_eq!(status.code(), Some(1));
    agent.says("a newer gatewatch wrote it");
    assert_eq!(fs::read(&path).unwrap(), newer);
}

#[test]
fn an_idle_agent_writes_nothing() {
    let place = Place::new();
    let rule = TEN.replace("30s", "5s").replace("severity", "stale_after = \"5s\"\nseverity");
    place.configure(&(input(&place) + &rule));
    let log = place.path("access.log");
    append(&log, &lines(20, 1, 502));
    let mut agent = place.run_configured();
    counted(&agent, &place, 20);
    // Until it has fired, and is over by the time that passes alone.
    agent.says("FIRING");
    wait_for("the end", Duration::from_secs(60), || (agent.count("ENDED, no traffic") > 0).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    let before = generations(&place);
    std::thread::sleep(Duration::from_secs(5));
    assert!(before == generations(&place), "nothing was read, and it writes");
    append(&log, &lines(1, 1, 200));
    counted(&agent, &place, 21);
    agent.ends("TERM");
}

#[test]
fn a_directory_that_is_gone_and_comes_back() {
    let (place, webhook) = (Place::new(), Webhook::start());
    place.configure(&(input(&place) + TEN + &webhook.table("ops")));
    let (log, state) = (place.path("access.log"), place.path("state"));
    append(&log, &lines(20, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 20);
    fs::rename(&state, place.path("away")).unwrap();
    fs::write(&state, "no directory").unwrap();
    append(&log, &lines(10, 2, 502));
    // Alerts do not wait for what cannot be.
    webhook.wait("an alert", SOON, |body| body.to_string().contains("10.0.0.2"));
    agent.says("the snapshot cannot be written");
    append(&log, &lines(10, 3, 502));
    webhook.wait("another one", SOON, |body| body.to_string().contains("10.0.0.3"));
    assert_eq!(agent.count("the snapshot"), 1, "said once: {}", agent.said());
    fs::remove_file(&state).unwrap();
    agent.says("the snapshot is written again");
    counted(&agent, &place, 40);
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
    kill(&mut agent);
    append(&log, &lines(2, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 42);
    agent.ends("TERM");
}

#[test]
fn who_is_told_is_told_of_what_is_durable() {
    let (place, webhook) = (Place::new(), Webhook::start());
    place.configure(&(input(&place) + TEN + &webhook.table("ops")));
    let log = place.path("access.log");
    append(&log, &lines(20, 1, 200));
    let mut agent = place.run_configured();
    counted(&agent, &place, 20);
    append(&log, &lines(10, 2, 502));
    let first = webhook.wait("an alert", SOON, |_| true);
    kill(&mut agent);
    let saved = serde_json::to_string(&place.snapshot().unwrap().outbox).unwrap();
    assert!(saved.contains("10.0.0.2:8080"), "{saved}");
    // It may come once more, under the same key; it is the same incident, and its end is told.
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    let end = wait_for("the end", Duration::from_secs(60), || {
        append(&log, &lines(1, 2, 200));
        std::thread::sleep(Duration::from_millis(500));
        webhook.bodies.try_iter().find(|body| body["status"] == "resolved")
    });
    assert_eq!(end["alerts"][0]["fingerprint"], first["alerts"][0]["fingerprint"]);
    agent.ends("TERM");
}

#[test]
fn another_step_keeps_positions_and_totals() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let tables = input(&place) + TEN + &webhook.table("ops");
    let path = place.configure(&tables);
    let log = place.path("access.log");
    append(&log, &(lines(10, 2, 502) + &lines(10, 1, 200)));
    let mut agent = place.run_configured();
    webhook.wait("an alert", SOON, |body| body["status"] == "firing");
    counted(&agent, &place, 20);
    agent.ends("TERM");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("step = \"1s\"", "step = \"2s\"")).unwrap();
    let mut agent = place.run_configured();
    agent.says("agent.step is another one");
    // What fired is not judged any more.
    webhook.wait("its end", SOON, |body| body["status"] == "resolved");
    append(&log, &lines(5, 1, 200));
    let snapshot = counted(&agent, &place, 25);
    assert_eq!((snapshot.engine.totals().counted.requests, snapshot.agent.step), (25, 2_000));
    agent.ends("TERM");
}
