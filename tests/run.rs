//! `gatewatch run` as it is met on a host: files that come, go and cannot be read, receivers that fail, signals.
//! Each test has the real binary, files and sockets of its own; every wait is bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::agent::{Place, line_of, lines};
use support::{Answer, Process, Webhook, skip, wait_for};

const SOON: Duration = Duration::from_secs(25);

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// An alert for `10` errors of one upstream, and another one for more: none may be counted twice.
const TEN: &str = "[rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"30s\"\nseverity = \"critical\"\nkeep_firing_for = \"1s\"\n\
                   [rule.count.more]\ngroup_by = [\"upstream\"]\nabove = 10\nwindow = \"30s\"\nseverity = \"critical\"\n";
/// A ratio over five seconds.
const RATIO: &str = "[rule.ratio.errors]\ngroup_by = [\"upstream\"]\nwindow = \"5s\"\nabove = { critical = \"20%\" }\n\
                     min_requests = 5\nmin_errors = 3\nkeep_firing_for = \"1s\"\n";

fn input(paths: &str, more: &str) -> String {
    format!("[input.file.edge]\npaths = [{paths}]\n{more}\n")
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
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

fn quiet(webhook: &Webhook, of: &str) {
    let unexpected: Vec<Value> = webhook.bodies.try_iter().filter(|b| b.to_string().contains(of)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

#[test]
fn no_configuration_at_all() {
    let place = Place::new();
    append(&place.path("access.log"), &lines(50, 11, 200));
    // A relative path, from where it was started; a glob; presets; no receiver; nobody's home.
    let Some(mut agent) = place.run_as_nobody(&["access.log", "none-*.log"]) else {
        return skip("no setpriv");
    };
    agent.says("access.log from byte");
    agent.says("none-*.log: matches no file yet");
    // Three bad steps of 5 s are needed.
    let said = wait_for("an alert on stderr", SOON, || {
        append(&place.path("access.log"), &(lines(5, 13, 502) + &lines(5, 12, 200)));
        std::thread::sleep(Duration::from_millis(500));
        let said = agent.said();
        said.contains("FIRING critical").then_some(said)
    });
    assert!(said.contains("10.0.0.13:8080") && said.contains("invalid_response"), "{said}");
    agent.ends("INT");
}

#[test]
fn a_file_that_may_not_be_read() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("secret.log");
    append(&log, &lines(3, 11, 200));
    fs::set_permissions(&log, fs::Permissions::from_mode(0o000)).unwrap();
    place.configure(&(input(&quoted(&log), "") + TEN + &webhook.table("ops")));
    let Some(mut agent) = place.run_as_nobody(&["-c", "gatewatch.toml"]) else { return skip("no setpriv") };
    let said = agent.says("secret.log: Permission denied");
    assert!(said.contains("add the user to group adm"), "{said}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(agent.count("Permission denied"), 1, "{}", agent.said());
    fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
    agent.says("is read again");
    append(&log, &lines(10, 12, 502));
    fires(&webhook, "ten", 12);
    agent.ends("TERM");
}

#[test]
fn files_that_come_and_go() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let (folder, log) = (place.path("logs"), place.path("logs/access.log"));
    place.configure(&(input(&quoted(&folder.join("*.log")), "") + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("matches no file yet");

    // The folder comes later: its file is read from its beginning.
    fs::create_dir(&folder).unwrap();
    append(&log, &lines(10, 1, 502));
    fires(&webhook, "ten", 1);
    // Renamed, and created anew; the writer goes on in the old one for a while.
    let mut old = OpenOptions::new().append(true).open(&log).unwrap();
    fs::rename(&log, place.path("logs/access.log.1")).unwrap();
    append(&log, &lines(6, 2, 502));
    old.write_all(lines(4, 2, 502).as_bytes()).unwrap();
    fires(&webhook, "ten", 2);
    // Copied and truncated.
    append(&log, &lines(5, 3, 502));
    std::thread::sleep(Duration::from_millis(1_500));
    fs::copy(&log, place.path("logs/access.log.2")).unwrap();
    File::create(&log).unwrap();
    append(&log, &lines(5, 3, 502));
    fires(&webhook, "ten", 3);
    // Deleted, and there again.
    fs::remove_file(&log).unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    append(&log, &lines(10, 4, 502));
    fires(&webhook, "ten", 4);
    std::thread::sleep(Duration::from_secs(2));
    quiet(&webhook, "\"more\"");
    agent.ends("TERM");
}

#[test]
fn a_hundred_files() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let name = |i: usize| place.path(&format!("site{i}.log"));
    (0..100).for_each(|i| append(&name(i), &lines(1, 9, 200)));
    place.configure(&(input(&quoted(&place.path("*.log")), "") + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    wait_for("all of them", SOON, || (agent.count("from byte") == 100).then_some(()));
    // One in each of ten.
    (0..10).for_each(|i| append(&name(i * 10), &lines(1, 5, 502)));
    fires(&webhook, "ten", 5);
    quiet(&webhook, "\"more\"");
    agent.ends("TERM");
}

#[test]
fn a_restart_loses_nothing_and_counts_nothing_twice() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(20, 1, 502));
    place.configure(&(input(&quoted(&log), "") + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    // The very first start begins at the end.
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    agent.ends("TERM");
    // Half a line is no line yet.
    let (ten, rest) = (lines(10, 3, 502), "HTTP/1.1");
    let cut = ten.len() - 40;
    append(&log, &ten[..cut]);
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    std::thread::sleep(Duration::from_millis(1_500));
    agent.ends("TERM");
    let mut agent = place.run_configured();
    append(&log, &ten[cut..]);
    // The nine that a former life has counted are not this one's; the one that was cut then is.
    append(&log, &lines(9, 3, 502));
    fires(&webhook, "ten", 3);
    agent.ends("TERM");
    assert!(ten.contains(rest));
    // While it was away, the file was rotated and went on.
    append(&log, &lines(4, 4, 502));
    fs::rename(&log, place.path("access.log.1")).unwrap();
    append(&log, &lines(10, 5, 502));
    let mut agent = place.run_configured();
    fires(&webhook, "ten", 5);
    quiet(&webhook, "\"more\"");
    agent.ends("TERM");
}

#[test]
fn state_that_cannot_be_read_or_written() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    fs::create_dir(place.path("state")).unwrap();
    fs::write(place.path("state/state.json"), "{\"version\":1,\"posit").unwrap();
    place.configure(&(input(&quoted(&log), "") + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("the snapshot cannot be read");
    agent.says("access.log from byte");
    append(&log, &lines(10, 1, 502));
    fires(&webhook, "ten", 1);
    // Positions are lost with the state: what was there before may be read again, from the open windows' start.
    agent.saved(&place, "ten lines", |snapshot| snapshot.files.iter().any(|file| file.lines.read >= 10));
    agent.ends("TERM");
    // A folder that cannot be made, whoever asks.
    fs::remove_dir_all(place.path("state")).unwrap();
    fs::write(place.path("state"), "no folder").unwrap();
    let mut agent = place.run_configured();
    agent.says("the snapshot cannot be written");
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    assert_eq!(agent.count("the snapshot cannot be"), 1, "{}", agent.said());
    agent.ends("TERM");
}

#[test]
fn it_ends_in_time_under_load_and_with_a_receiver_that_hangs() {
    let (place, webhook) = (Place::new(), Webhook::start());
    webhook.answer(Answer::Hang);
    let (log, backlog) = (place.path("access.log"), place.path("backlog.log"));
    append(&log, &lines(1, 1, 200));
    let paths = format!("{}, {}", quoted(&log), quoted(&backlog));
    place.configure(&(input(&paths, "") + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    append(&log, &lines(10, 1, 502));
    wait_for("a post", SOON, || (webhook.refused() > 0).then_some(()));
    // More than is read within five seconds.
    let text = lines(50_000, 2, 200);
    let mut file = File::create(&backlog).unwrap();
    (0..20).for_each(|_| file.write_all(text.as_bytes()).unwrap());
    agent.says("backlog.log from byte");
    agent.ends("TERM");
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    let good = input(&quoted(&log), "") + RATIO + &webhook.table("ops");
    place.configure(&good);
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    place.configure(&(good.replace("5s", "5 parsecs") + "[notify.email.x]\nfrom = \"nobody\"\n"));
    agent.process.signal("HUP");
    agent.says("the old one stays");
    let said = agent.said();
    for mistake in ["`window`", "`smtp`", "`from`", "`to`"] {
        assert!(said.contains(mistake), "no {mistake} in {said}");
    }
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "errors", 2);
    agent.ends("TERM");
}

#[test]
fn receivers_that_fail_and_come_back() {
    let (place, steady, busy) = (Place::new(), Webhook::start(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    // A port just released: nobody listens there yet.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = listener.local_addr().unwrap();
    drop(listener);
    busy.answer(Answer::Status(500, ""));
    let tables = steady.table("steady") + &busy.table("busy");
    let tables = format!("{tables}[notify.webhook.down]\nurl = \"http://{down}/hook\"\n");
    place.configure(&(input(&quoted(&log), "") + TEN + &tables));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    // One that fails holds up nobody else.
    fires(&steady, "ten", 2);
    let said = agent.says("500");
    assert!(said.contains("busy"), "which receiver: {said}");
    assert!(agent.says("refused").contains("down"));
    wait_for("some tries", SOON, || (busy.refused() > 1).then_some(()));
    busy.answer(Answer::Status(429, "Retry-After: 1\r\n"));
    agent.says("429");
    busy.answer(Answer::Status(200, ""));
    fires(&busy, "ten", 2);
    assert!(agent.says("arrives again").contains("busy"));
    // Somebody else may have taken the port meanwhile, which is nobody's fault.
    if let Ok(listener) = TcpListener::bind(down) {
        fires(&Webhook::at(listener), "ten", 2);
    }
    quiet(&busy, "\"firing\"");
    agent.ends("TERM");
}

#[test]
fn an_alert_that_fires_over_a_restart() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    let rules = RATIO.replace("min_requests", "stale_after = \"5s\"\nmin_requests");
    place.configure(&(input(&quoted(&log), "") + &rules + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    append(&log, &(lines(10, 2, 502) + &lines(10, 3, 502)));
    let first = webhook.wait("both", SOON, |_| true);
    assert!(says(&first, "firing", "errors", 2) && says(&first, "firing", "errors", 3), "{first:#}");
    agent.ends("TERM");
    // One goes on, which is no news; the other one is over, which is; a third one begins, and is not taken for one of them.
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    append(&log, &(lines(10, 2, 502) + &lines(10, 4, 502)));
    let second = webhook.wait("the third", SOON, |_| true);
    assert!(says(&second, "firing", "errors", 4) && !says(&second, "firing", "errors", 2), "{second:#}");
    let ended = wait_for("the end", SOON, || {
        append(&log, &(lines(3, 2, 502) + &lines(3, 3, 200) + &lines(3, 4, 502)));
        std::thread::sleep(Duration::from_millis(300));
        webhook.bodies.try_recv().ok()
    });
    assert!(says(&ended, "resolved", "errors", 3), "{ended:#}");
    assert_eq!(ended["alerts"].as_array().unwrap().len(), 1, "{ended:#}");
    let incident = |body: &Value| {
        let text = body["alerts"].to_string();
        text.split("incident ")
            .skip(1)
            .map(|t| t.split(['"', '\\']).next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(incident(&first).contains(&incident(&ended)[0]), "{first:#} {ended:#}");
    assert!(incident(&second).iter().all(|i| i.ends_with("-3")), "{second:#}");
    quiet(&webhook, "10.0.0.2");
    agent.ends("TERM");
}

#[test]
fn a_reminder_shows_the_figures_of_now() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(3, 11, 200));
    let rule = TEN.replacen("above = 9", "above = 9\nrepeat_interval = \"3s\"", 1);
    place.configure(&(input(&quoted(&log), "") + &rule + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    append(&log, &lines(10, 12, 502));
    fires(&webhook, "ten", 12);
    append(&log, &lines(7, 12, 502));
    webhook.wait("a reminder of 17 errors", SOON, |body| {
        says(body, "firing", "ten", 12) && body.to_string().contains("17 gateway errors")
    });
    agent.ends("TERM");
}

#[test]
fn without_stdin_and_stderr() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input(&quoted(&log), "start = \"beginning\"") + TEN + &webhook.table("ops")));
    let script = format!("exec {:?} run -c gatewatch.toml <&- >&- 2>&-", env!("CARGO_BIN_EXE_gatewatch"));
    let mut agent = place.start(Command::new("sh").args(["-c", &script]));
    append(&log, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    agent.process.signal("HUP");
    append(&log, &lines(10, 3, 502));
    fires(&webhook, "ten", 3);
    agent.ends("TERM");
    // A reader of its stderr that has gone is no reason to end.
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(["run", "-c", "gatewatch.toml"]).current_dir(place.path(""));
    let mut process = Process::start(command.stdin(Stdio::null()).stderr(Stdio::piped()));
    drop(process.0.stderr.take());
    append(&log, &lines(10, 4, 502));
    fires(&webhook, "ten", 4);
    process.signal("TERM");
    assert!(process.end_within(Duration::from_secs(5)).unwrap().success());
}

#[test]
fn lines_that_are_not_understood_are_told_once() {
    let place = Place::new();
    let strange = "nobody knows what this is\n";
    append(&place.path("strange.log"), strange);
    append(&place.path("wrong.log"), &lines(1, 1, 200));
    append(&place.path("good.log"), &lines(1, 1, 200));
    let tables = format!(
        "[input.file.strange]\npaths = [{}]\n[input.file.wrong]\npaths = [{}]\nlog_format = \"haproxy\"\n\
         [input.file.good]\npaths = [{}]\n",
        quoted(&place.path("strange.log")),
        quoted(&place.path("wrong.log")),
        quoted(&place.path("good.log"))
    );
    place.configure(&(tables + TEN));
    let mut agent = place.run_configured();
    wait_for("all three", SOON, || (agent.count("from byte") == 3).then_some(()));
    for _ in 0..3 {
        append(&place.path("strange.log"), &strange.repeat(100));
        append(&place.path("wrong.log"), &lines(100, 1, 200));
        append(&place.path("good.log"), &(lines(150, 1, 200) + strange));
        std::thread::sleep(Duration::from_millis(700));
    }
    agent.says("strange.log");
    let said = agent.says("wrong.log: ");
    agent.says("gatewatch explain");
    std::thread::sleep(Duration::from_millis(1_500));
    let all = agent.said();
    assert!(said.contains("wrong.log"), "{all}");
    for name in ["strange.log", "wrong.log"] {
        assert_eq!(
            all.lines().filter(|l| l.contains(name) && l.contains("explain")).count(),
            1,
            "{name}: {all}"
        );
    }
    assert!(!all.lines().any(|l| l.contains("good.log") && l.contains("explain")), "{all}");
    agent.ends("TERM");
}

#[test]
fn the_past_pages_nobody() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    // Two incidents of 20 s, an hour ago and 40 minutes ago, over since; fine ever after.
    let bad = |from: i64, upstream: usize| -> String {
        (0..20).map(|s| line_of(from - s, upstream, 502) + &line_of(from - s, 9, 200)).collect()
    };
    let fine = |from: i64, to: i64| -> String {
        (to..from).rev().map(|s| line_of(s, 1, 200).repeat(2) + &line_of(s, 2, 200).repeat(2)).collect()
    };
    let text = fine(3_700, 3_600) + &bad(3_600, 1) + &fine(3_580, 2_400) + &bad(2_400, 2) + &fine(2_380, 2);
    append(&log, &text);
    place.configure(&(input(&quoted(&log), "start = \"beginning\"") + RATIO + &webhook.table("ops")));
    let mut agent = place.run_configured();
    let first = webhook.wait("the summary", SOON, |_| true);
    assert_eq!(first["status"], "resolved", "{first:#}");
    assert_eq!(first["alerts"].as_array().unwrap().len(), 2, "{first:#}");
    assert!(says(&first, "resolved", "errors", 1) && says(&first, "resolved", "errors", 2), "{first:#}");
    // What is wrong now is told as ever.
    append(&log, &lines(10, 3, 502));
    let second = webhook.wait("the present", SOON, |_| true);
    assert!(says(&second, "firing", "errors", 3), "{second:#}");
    agent.ends("TERM");
}

#[test]
fn what_fires_since_the_past_is_told_as_detected_late() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    let text: String = (0..1_800).rev().map(|s| line_of(s, 1, 502).repeat(2) + &line_of(s, 2, 200)).collect();
    append(&log, &text);
    place.configure(&(input(&quoted(&log), "start = \"beginning\"") + RATIO + &webhook.table("ops")));
    let mut agent = place.run_configured();
    let body = webhook.wait("it", SOON, |_| true);
    assert!(says(&body, "firing", "errors", 1), "{body:#}");
    assert!(body.to_string().contains("detected late"), "{body:#}");
    agent.ends("TERM");
}

#[test]
fn late_lines_name_the_lateness_that_would_do() {
    let place = Place::new();
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input(&quoted(&log), "") + TEN));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    for _ in 0..4 {
        append(&log, &(lines(100, 1, 200) + &line_of(8, 1, 200).repeat(10)));
        std::thread::sleep(Duration::from_millis(500));
    }
    let said = agent.says("lateness");
    assert!(said.contains("\"8s\"") || said.contains("\"9s\""), "{said}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(agent.count("lateness"), 1, "{}", agent.said());
    agent.ends("TERM");
}

#[test]
fn files_whose_time_is_off_are_told_and_not_waited_for() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let (live, skewed, stalled) =
        (place.path("live.log"), place.path("skewed.log"), place.path("stalled.log"));
    append(&stalled, &line_of(300, 7, 200));
    let paths = [&live, &skewed, &stalled].map(|p| quoted(p)).join(", ");
    place.configure(&(input(&paths, "start = \"beginning\"") + TEN + &webhook.table("ops")));
    append(&live, &lines(1, 1, 200));
    append(&skewed, &line_of(3_600, 8, 200));
    let mut agent = place.run_configured();
    wait_for("all three", SOON, || (agent.count("from byte") == 3).then_some(()));
    // Fresh lines, an hour behind.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1_200));
        append(&live, &lines(1, 1, 200));
        append(&skewed, &line_of(3_600, 8, 200));
    }
    agent.says("stalled.log: is read to its end");
    let said = agent.says("input_skewed");
    assert!(said.contains("skewed.log") && said.contains("60 min"), "{said}");
    append(&live, &lines(10, 2, 502));
    fires(&webhook, "ten", 2);
    agent.ends("TERM");
}
