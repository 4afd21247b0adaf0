//! The life of `gatewatch run` on a host: who else runs, what systemd is told, reloads, pauses, and a world that fails it:
//! a state directory that is full, read-only or not there, no descriptors, no inotify. Each test has the real binary,
//! files and sockets of its own; every wait is bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::agent::{Agent, Place, line_of, lines};
use support::{Answer, Process, Webhook, program, skip, wait_for};

const SOON: Duration = Duration::from_secs(25);
/// Who may not read everything.
const NOBODY: u32 = 65_534;

/// An alert for ten errors of one upstream within half a minute, and another one for more: none may be counted twice.
const TEN: &str = "[rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"30s\"\nseverity = \"critical\"\nkeep_firing_for = \"1s\"\n\
                   [rule.count.more]\ngroup_by = [\"upstream\"]\nabove = 10\nwindow = \"30s\"\nseverity = \"critical\"\n";

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

fn input(name: &str, paths: &Path) -> String {
    format!("[input.file.{name}]\npaths = [{}]\n", quoted(paths))
}

fn says(body: &Value, status: &str, rule: &str, upstream: usize) -> bool {
    let upstream = format!("10.0.0.{upstream}:8080");
    let alerts = body["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    alerts.iter().any(|a| {
        a["status"] == status
            && a["labels"]["alertname"] == rule
            && a["labels"]["upstream"] == upstream.as_str()
    })
}

fn fires(webhook: &Webhook, rule: &str, upstream: usize) -> Value {
    webhook.wait(&format!("{rule} of {upstream}"), SOON, |body| {
        assert!(!says(body, "firing", "more", upstream), "counted twice: {body:#}");
        says(body, "firing", rule, upstream)
    })
}

fn silent(webhook: &Webhook, why: &str) {
    let all: Vec<Value> = webhook.bodies.try_iter().collect();
    assert!(all.is_empty(), "{why}: {all:#?}");
}

/// A log, its agent that follows it, and who is told.
fn started(rules: &str) -> (Place, Webhook, Agent) {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input("edge", &log) + rules + &webhook.table("ops")));
    let agent = place.run_configured();
    agent.says("access.log from byte");
    (place, webhook, agent)
}

#[test]
fn a_second_agent_is_refused_and_names_the_first() {
    let (place, webhook, mut first) = started(TEN);
    let mut second = place.run_configured();
    let status = second.process.end_within(Duration::from_secs(5)).expect("it ends");
    let said = second.says("another gatewatch");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("(pid {})", first.process.0.id())), "{said}");
    assert!(said.contains("state_dir"), "what to do: {said}");
    // The first one is none the worse for it.
    append(&place.path("access.log"), &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    // However it ends, the directory is free.
    first.process.signal("KILL");
    first.process.end_within(Duration::from_secs(5)).unwrap();
    let mut third = place.run_configured();
    third.says("access.log from byte");
    third.ends("TERM");
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state"), 0o700);
}

/// What a manager would hear.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn hear(&mut self) {
        let mut buffer = [0; 512];
        while let Ok(n) = self.socket.recv(&mut buffer) {
            self.heard.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
    }

    fn hears(&mut self, what: &str) {
        let start = Instant::now();
        while !self.heard.iter().any(|h| h.starts_with(what)) {
            assert!(start.elapsed() < SOON, "{what} did not come: {:?}", self.heard);
            std::thread::sleep(Duration::from_millis(20));
            self.hear();
        }
    }
}

#[test]
fn systemd_is_told_of_every_turn_of_life() {
    let place = Place::new();
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input("edge", &log) + TEN));
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut manager = Manager { socket, heard: Vec::new() };
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(["run", "-c", "gatewatch.toml"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let mut agent = place.start(&mut command);
    manager.hears("READY=1");
    agent.says("access.log from byte");
    manager.hears("STATUS=following 1 file, 0 alerts firing");
    // The watchdog is fed while the engine turns, and at no other time.
    let beats = |manager: &mut Manager| {
        manager.hear();
        manager.heard.iter().filter(|h| *h == "WATCHDOG=1").count()
    };
    let before = beats(&mut manager);
    wait_for("the watchdog", SOON, || (beats(&mut manager) > before + 5).then_some(()));
    agent.process.signal("STOP");
    std::thread::sleep(Duration::from_millis(500));
    let before = beats(&mut manager);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(beats(&mut manager), before, "a process that is stopped feeds nobody");
    agent.process.signal("CONT");
    wait_for("the watchdog", SOON, || (beats(&mut manager) > before).then_some(()));
    // A reload, and one that is refused: both end.
    for text in ["", "[rule.count.ten]\nabove = \"many\"\n"] {
        manager.heard.clear();
        append(&place.path("gatewatch.toml"), text);
        agent.process.signal("HUP");
        manager.hears("RELOADING=1\nMONOTONIC_USEC=");
        manager.hears("READY=1");
    }
    agent.says("the old one stays");
    // Ten errors are an alert: so says the status.
    append(&log, &lines(10, 2, 502));
    manager.hears("STATUS=following 1 file, 1 alert firing");
    agent.ends("TERM");
    manager.hears("STOPPING=1");
}

#[test]
fn a_hundred_reloads_while_it_fires_send_nothing() {
    let ratio = "[rule.ratio.errors]\ngroup_by = [\"upstream\"]\nwindow = \"5s\"\nabove = { critical = \"20%\" }\n\
                 min_requests = 5\nmin_errors = 3\nkeep_firing_for = \"1s\"\n";
    let (place, webhook, mut agent) = started(ratio);
    let log = place.path("access.log");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "errors", 2);
    for i in 1..=100 {
        append(&log, &lines(10, 2, 502));
        agent.process.signal("HUP");
        wait_for("the reload", SOON, || (agent.count("configuration reloaded") == i).then_some(()));
    }
    std::thread::sleep(Duration::from_secs(2));
    silent(&webhook, "a reload is no news");
    let resolved = wait_for("the end", SOON, || {
        append(&log, &lines(30, 2, 200));
        std::thread::sleep(Duration::from_millis(300));
        webhook.bodies.try_recv().ok()
    });
    assert!(says(&resolved, "resolved", "errors", 2), "{resolved:#}");
    agent.ends("TERM");
}

#[test]
fn a_reload_changes_what_was_changed_and_nothing_else() {
    let (place, webhook, late_comer) = (Place::new(), Webhook::start(), Webhook::start());
    let (edge, other) = (place.path("edge.log"), place.path("other.log"));
    append(&edge, &lines(1, 1, 200));
    append(&other, &lines(1, 1, 200));
    let rule = |name: &str, above: u32| {
        format!(
            "[rule.count.{name}]\ngroup_by = [\"upstream\"]\nabove = {above}\nwindow = \"1m\"\nseverity = \"critical\"\n"
        )
    };
    let first = input("edge", &edge) + &rule("kept", 4) + &rule("changed", 4) + &webhook.table("ops");
    place.configure(&first);
    let mut agent = place.run_configured();
    agent.says("edge.log from byte");
    append(&edge, &lines(5, 2, 502));
    let (kept, changed) = (Cell::new(false), Cell::new(false));
    webhook.wait("both", SOON, |body| {
        kept.set(kept.get() || says(body, "firing", "kept", 2));
        changed.set(changed.get() || says(body, "firing", "changed", 2));
        kept.get() && changed.get()
    });
    let reload = |agent: &Agent, tables: &str| {
        let before = agent.count("configuration reloaded");
        place.configure(tables);
        agent.process.signal("HUP");
        wait_for("the reload", SOON, || (agent.count("configuration reloaded") > before).then_some(()));
    };
    // Another rule: its alert ends, the other one's goes on.
    let second = first.replace(&rule("changed", 4), &rule("changed", 1_000));
    reload(&agent, &second);
    let body = webhook.wait("its end", SOON, |_| true);
    assert!(says(&body, "resolved", "changed", 2) && !says(&body, "resolved", "kept", 2), "{body:#}");
    // One more input, one more receiver: the first log is followed on, the second one from its beginning or end.
    let third = second.clone() + &input("other", &other) + &late_comer.table("late");
    reload(&agent, &third);
    agent.says("other.log from byte");
    append(&other, &lines(5, 3, 502));
    // A new receiver hears first of what fires already.
    assert!(says(&late_comer.wait("the old one", SOON, |_| true), "firing", "kept", 2));
    assert!(says(&late_comer.wait("the new one", SOON, |_| true), "firing", "kept", 3));
    assert!(says(&webhook.wait("the new one", SOON, |_| true), "firing", "kept", 3));
    assert_eq!(agent.count("edge.log from byte"), 1, "{}", agent.said());
    // Both gone again: what they would say is nobody's any more, the rest goes on.
    reload(&agent, &second);
    append(&other, &lines(5, 4, 502));
    append(&edge, &lines(5, 5, 502));
    assert!(says(&webhook.wait("the kept one", SOON, |_| true), "firing", "kept", 5));
    std::thread::sleep(Duration::from_secs(2));
    silent(&webhook, "a log that is no input any more");
    silent(&late_comer, "a receiver that is none any more");
    agent.ends("TERM");
}

#[test]
fn a_pause_raises_no_false_alarm_and_loses_nothing() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let (one, two) = (place.path("one.log"), place.path("two.log"));
    for log in [&one, &two] {
        append(log, &lines(1, 1, 200));
    }
    place.configure(&(input("edge", &place.path("*.log")) + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    wait_for("both", SOON, || (agent.count("from byte") == 2).then_some(()));
    append(&one, &lines(1, 1, 200));
    append(&two, &lines(5, 2, 502));
    std::thread::sleep(Duration::from_secs(2));
    agent.process.signal("STOP");
    // More than a minute passes in the logs: lines of then in one, of both in the other; the busy one is read first.
    std::thread::sleep(Duration::from_secs(12));
    append(&one, &(line_of(-70, 1, 200).repeat(40_000)));
    append(&two, &lines(5, 2, 502));
    agent.process.signal("CONT");
    fires(&webhook, "ten", 2);
    std::thread::sleep(Duration::from_secs(2));
    let said = agent.said();
    assert!(!said.contains("came too late"), "{said}");
    agent.ends("TERM");
}

/// Lets it write files of so many bytes.
fn limit_files(agent: &Agent, bytes: &str) {
    let pid = agent.process.0.id().to_string();
    let status =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_full_disk_stops_no_judging_and_is_recovered_from() {
    if program("prlimit").is_none() {
        return skip("no prlimit");
    }
    let (place, webhook, mut agent) = started(TEN);
    let log = place.path("access.log");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    // A limit of file sizes fails writes as a full disk does, and needs no privileges.
    limit_files(&agent, "0");
    append(&log, &lines(10, 3, 502));
    fires(&webhook, "ten", 3);
    agent.says("the snapshot cannot be written");
    append(&log, &lines(10, 4, 502));
    fires(&webhook, "ten", 4);
    limit_files(&agent, "unlimited");
    agent.says("the snapshot is written again");
    assert_eq!(agent.count("the snapshot cannot be written"), 1, "{}", agent.said());
    // What it then wrote is whole: a restart goes on, and counts nothing twice.
    agent.ends("TERM");
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    append(&log, &lines(10, 5, 502));
    fires(&webhook, "ten", 5);
    agent.ends("TERM");
}

/// A small disk for the state directory that only those see who enter its namespace: who holds it, and how to enter. `None`:
/// no disk may be mounted here.
fn small_disk(place: &Place) -> Option<(Process, Vec<String>)> {
    const SCRIPT: &str = "mount -t tmpfs -o size=256k none state && echo >mounted && exec sleep 600";
    fs::create_dir(place.path("state")).unwrap();
    let (unshare, _nsenter) = (program("unshare")?, program("nsenter")?);
    for (make, enter) in [("-m", ""), ("-Urm", " --user --preserve-credentials")] {
        let mut command = Command::new(&unshare);
        command.args([make, "sh", "-c", SCRIPT]).current_dir(place.path("")).stderr(Stdio::null());
        let mut holder = Process::start(&mut command);
        let gives_up = |holder: &mut Process| holder.0.try_wait().unwrap().is_some();
        while !place.path("mounted").exists() && !gives_up(&mut holder) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if place.path("mounted").exists() {
            let enter = format!("nsenter --target {} --mount{enter} sh -c", holder.0.id());
            return Some((holder, enter.split(' ').map(str::to_owned).collect()));
        }
    }
    None
}

#[test]
fn a_disk_without_a_free_byte_stops_no_judging_and_is_recovered_from() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let Some((holder, enter)) = small_disk(&place) else {
        return skip(
            "no disk may be mounted here: `a_full_disk_stops_no_judging_and_is_recovered_from` stands for it",
        );
    };
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input("edge", &log) + TEN + &webhook.table("ops")));
    let start = || {
        let mut command = Command::new(&enter[0]);
        // Whoever enters stands at the root.
        command.args(&enter[1..]).arg("cd \"$0\" && exec \"$@\"").arg(place.path(""));
        place.start(command.args([env!("CARGO_BIN_EXE_gatewatch"), "run", "-c", "gatewatch.toml"]))
    };
    let mut agent = start();
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    let inside = Path::new("/proc").join(holder.0.id().to_string()).join("root");
    let state = inside.join(place.path("state").strip_prefix("/").unwrap());
    assert!(state.join("snapshot.a").exists(), "its state is on the small disk");
    let mut fill = fs::File::create(state.join("fill")).unwrap();
    let full = (0..1_000).find_map(|_| fill.write_all(&[0; 4_096]).err());
    assert_eq!(full.map(|error| error.kind()), Some(std::io::ErrorKind::StorageFull));
    append(&log, &lines(10, 3, 502));
    fires(&webhook, "ten", 3);
    let said = agent.says("the snapshot cannot be written");
    assert!(said.contains("No space left"), "{said}");
    append(&log, &lines(10, 4, 502));
    fires(&webhook, "ten", 4);
    drop(fill);
    fs::remove_file(state.join("fill")).unwrap();
    agent.says("the snapshot is written again");
    assert_eq!(agent.count("the snapshot cannot be written"), 1, "{}", agent.said());
    // What it then wrote is whole: one that goes on after it was killed counts nothing twice.
    agent.process.0.kill().unwrap();
    agent.process.end_within(SOON);
    let mut agent = start();
    agent.says("access.log from byte");
    append(&log, &lines(10, 5, 502));
    fires(&webhook, "ten", 5);
    agent.ends("TERM");
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    if program("prlimit").is_none() {
        return skip("no prlimit");
    }
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input("edge", &log) + TEN + &webhook.table("ops")));
    let mut command = Command::new("prlimit");
    command.args(["--fsize=0:", env!("CARGO_BIN_EXE_gatewatch"), "run", "-c", "gatewatch.toml"]);
    let mut agent = place.start(&mut command);
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    agent.says("the snapshot cannot be written");
    limit_files(&agent, "unlimited");
    agent.says("the snapshot is written again");
    agent.ends("TERM");
}

#[test]
fn a_state_directory_that_is_read_only_and_then_is_not() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input("edge", &log) + TEN + &webhook.table("ops")));
    let state = place.path("state");
    fs::create_dir(&state).unwrap();
    // Root is refused nothing: nobody's directory, for nobody.
    if place.is_root() {
        std::os::unix::fs::chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).unwrap();
    let Some(mut agent) = place.run_as_nobody(&["-c", "gatewatch.toml"]) else { return skip("no setpriv") };
    let said = agent.says("the state directory cannot be used");
    assert!(said.contains("Permission denied") && said.contains("state_dir"), "{said}");
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    agent.says("the snapshot cannot be written");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    agent.says("the snapshot is written again");
    agent.ends("TERM");
}

#[test]
fn a_state_directory_that_cannot_be_there_and_then_can() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    let tables = input("edge", &log) + TEN + &webhook.table("ops");
    let path = place.configure(&tables);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("/state\"", "/disk/state\"")).unwrap();
    // As if its disk were not mounted: nothing can be made there.
    fs::write(place.path("disk"), "").unwrap();
    let mut agent = place.run_configured();
    agent.says("the state directory cannot be used");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    fs::remove_file(place.path("disk")).unwrap();
    fs::create_dir(place.path("disk")).unwrap();
    wait_for("a state directory", SOON, || place.path("disk/state/gatewatch.lock").exists().then_some(()));
    // It is this one's from then on.
    let mut second = place.run_configured();
    assert_eq!(second.process.end_within(Duration::from_secs(5)).unwrap().code(), Some(1));
    // Removed while it runs: made again.
    fs::remove_dir_all(place.path("disk/state")).unwrap();
    append(&log, &lines(10, 3, 502));
    fires(&webhook, "ten", 3);
    wait_for("a state directory", SOON, || place.path("disk/state/gatewatch.lock").exists().then_some(()));
    agent.ends("TERM");
}

#[test]
fn few_descriptors_for_many_files() {
    if program("prlimit").is_none() {
        return skip("no prlimit");
    }
    let (place, webhook) = (Place::new(), Webhook::start());
    let name = |i: usize| place.path(&format!("site{i}.log"));
    (0..100).for_each(|i| append(&name(i), &lines(1, 9, 200)));
    place.configure(&(input("edge", &place.path("*.log")) + TEN + &webhook.table("ops")));
    let mut command = Command::new("prlimit");
    command.args(["--nofile=32", env!("CARGO_BIN_EXE_gatewatch"), "run", "-c", "gatewatch.toml"]);
    let mut agent = place.start(&mut command);
    wait_for("all of them", SOON, || (agent.count("from byte") == 100).then_some(()));
    // One in each of ten; then all of those again, which no rotation or failed look may count once more.
    (0..10).for_each(|i| append(&name(i * 10), &lines(1, 5, 502)));
    fires(&webhook, "ten", 5);
    for i in 0..100 {
        append(&name(i), &lines(1, 9, 200));
    }
    (0..10).for_each(|i| append(&name(i * 10 + 1), &lines(1, 6, 502)));
    fires(&webhook, "ten", 6);
    std::thread::sleep(Duration::from_secs(2));
    let all: Vec<Value> = webhook.bodies.try_iter().filter(|b| b.to_string().contains("\"more\"")).collect();
    assert!(all.is_empty(), "{all:#?}");
    agent.ends("TERM");
}

/// A shell that runs what follows with hardly any inotify, and whatever keeps it so; `None`: that cannot be done here.
fn without_inotify(place: &Place) -> Option<(Command, Vec<Process>)> {
    let script = "echo 1 >/proc/sys/user/max_inotify_instances && echo 0 >/proc/sys/user/max_inotify_watches && exec \"$@\"";
    let works = |command: &mut Command| {
        command.stderr(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let limited = || {
        let mut command = Command::new("unshare");
        command.args(["-Ur", "sh", "-c", script, "sh"]);
        command
    };
    if works(limited().arg("true")) {
        return Some((limited(), Vec::new()));
    }
    // Where no namespace may be made: all that one user may have, used up by others of that user.
    if !place.is_root() {
        return None;
    }
    let (setpriv, tail) = (program("setpriv")?, program("tail")?);
    let user = |of: &Path| {
        let mut command = Command::new(of);
        command.args(["--reuid=64999", "--regid=64999", "--clear-groups"]);
        command
    };
    let most: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").ok()?.trim().parse().ok()?;
    let quiet = place.path("quiet");
    fs::write(&quiet, "").ok()?;
    fs::set_permissions(&quiet, fs::Permissions::from_mode(0o644)).ok()?;
    if most > 1_024 {
        return None;
    }
    let start = |_| {
        let mut command = user(&setpriv);
        Process::start(command.arg(&tail).arg("-f").arg(&quiet).stdout(Stdio::null()).stderr(Stdio::null()))
    };
    let holders = (0..most).map(start).collect();
    let mut command = user(&setpriv);
    command.args(["sh", "-c", "exec \"$@\"", "sh"]);
    Some((command, holders))
}

#[test]
fn without_inotify_it_looks_by_itself() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    let tables = input("edge", &place.path("*.log")) + TEN + &webhook.table("ops");
    let path = place.configure(&tables);
    // Whoever runs it can make its directory.
    let text = fs::read_to_string(&path).unwrap().replace("/state\"", "/own/state\"");
    fs::write(&path, text).unwrap();
    fs::create_dir(place.path("own")).unwrap();
    fs::set_permissions(place.path("own"), fs::Permissions::from_mode(0o777)).unwrap();
    let Some((mut command, _holders)) = without_inotify(&place) else { return skip("no user namespaces") };
    let binary = place.path("gatewatch");
    fs::copy(env!("CARGO_BIN_EXE_gatewatch"), &binary).unwrap();
    let mut agent = place.start(command.arg(&binary).args(["run", "-c", "gatewatch.toml"]));
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    // A new file, and a rotation, are found without an event as well.
    append(&place.path("new.log"), &lines(10, 3, 502));
    fires(&webhook, "ten", 3);
    fs::rename(&log, place.path("access.log.1")).unwrap();
    append(&log, &lines(10, 4, 502));
    fires(&webhook, "ten", 4);
    agent.ends("TERM");
}

/// More events than the system keeps for somebody who does not read them: what they were about is found all the same.
#[test]
fn a_queue_of_events_that_overflows() {
    let kept = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
    let kept: usize = kept.trim().parse().unwrap_or(16_384);
    if kept > 100_000 {
        return skip("this system keeps more events than one would make");
    }
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input("edge", &place.path("*.log")) + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    // Quiet for a while: its directory is watched.
    std::thread::sleep(Duration::from_secs(3));
    agent.process.signal("STOP");
    // Each is made, written, closed and removed: four events.
    for i in 0..kept / 4 + 1_000 {
        let path = place.path(&format!("x{i}"));
        fs::write(&path, "x").unwrap();
        fs::remove_file(&path).unwrap();
    }
    append(&log, &lines(5, 2, 502));
    fs::rename(&log, place.path("access.log.1")).unwrap();
    append(&log, &lines(5, 2, 502));
    append(&place.path("new.log"), &lines(10, 3, 502));
    agent.process.signal("CONT");
    let (two, three) = (Cell::new(false), Cell::new(false));
    webhook.wait("both", SOON, |body| {
        assert!(!says(body, "firing", "more", 2) && !says(body, "firing", "more", 3), "{body:#}");
        two.set(two.get() || says(body, "firing", "ten", 2));
        three.set(three.get() || says(body, "firing", "ten", 3));
        two.get() && three.get()
    });
    append(&place.path("new.log"), &lines(10, 4, 502));
    fires(&webhook, "ten", 4);
    agent.ends("TERM");
}

#[test]
fn a_log_directory_that_is_moved_away_and_made_anew() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let (folder, log) = (place.path("logs"), place.path("logs/access.log"));
    fs::create_dir(&folder).unwrap();
    append(&log, &lines(1, 1, 200));
    place.configure(&(input("edge", &folder.join("*.log")) + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    let mut old = OpenOptions::new().append(true).open(&log).unwrap();
    append(&log, &lines(5, 2, 502));
    std::thread::sleep(Duration::from_millis(1_500));
    fs::rename(&folder, place.path("moved")).unwrap();
    // Its writer goes on in the old one, another one begins in the new one.
    old.write_all(lines(3, 2, 502).as_bytes()).unwrap();
    fs::create_dir(&folder).unwrap();
    append(&log, &lines(2, 2, 502));
    fires(&webhook, "ten", 2);
    append(&log, &lines(10, 3, 502));
    fires(&webhook, "ten", 3);
    agent.ends("TERM");
}

#[test]
fn a_receiver_that_never_answers_holds_up_nothing() {
    let (place, webhook, stuck) = (Place::new(), Webhook::start(), Webhook::start());
    stuck.answer(Answer::Hang);
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    let tables = input("edge", &log) + TEN + &stuck.table("a-stuck") + &webhook.table("ops");
    place.configure(&tables);
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    for upstream in 2..6 {
        append(&log, &lines(10, upstream, 502));
        fires(&webhook, "ten", upstream);
    }
    assert!(stuck.refused() > 0, "it was asked");
    agent.ends("TERM");
}

#[test]
fn an_input_whose_time_is_off_is_an_alert() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let (live, skewed) = (place.path("live.log"), place.path("skewed.log"));
    append(&live, &lines(1, 1, 200));
    append(&skewed, &line_of(3_600, 8, 200));
    place.configure(&(input("edge", &place.path("*.log")) + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    wait_for("both", SOON, || (agent.count("from byte") == 2).then_some(()));
    let body = wait_for("the alert", Duration::from_secs(110), || {
        append(&live, &lines(1, 1, 200));
        append(&skewed, &line_of(3_600, 8, 200));
        std::thread::sleep(Duration::from_secs(1));
        webhook.bodies.try_recv().ok()
    });
    let alert = &body["alerts"][0];
    assert_eq!((&alert["labels"]["alertname"], &alert["status"]), (&"input_skewed".into(), &"firing".into()));
    assert_eq!(alert["labels"]["path"], skewed.display().to_string().as_str(), "{body:#}");
    let text = alert["annotations"]["description"].as_str().unwrap();
    assert!(text.contains("60 min slow") && text.contains("timezone = "), "{text}");
    silent(&webhook, "said once");
    agent.ends("TERM");
}
