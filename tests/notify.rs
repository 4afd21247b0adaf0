//! `gatewatch notify test`, and the heartbeat of a running agent: the real binary, loopback receivers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;
use support::agent::{Place, lines};
use support::{Answer, Webhook};

const SOON: Duration = Duration::from_secs(25);

/// Exit code, stdout, stderr.
fn notify(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(["notify", "test", "-c"]).arg(place.path("gatewatch.toml")).args(arguments);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_receiver_says_what_it_answered() {
    let (place, good, bad) = (Place::new(), Webhook::start(), Webhook::start());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bad.answer(Answer::Status(403, ""));
    let more = format!("[notify.teams.team]\nurl = \"http://{closed}/s3cret-path\"\n");
    let manager = format!("[notify.alertmanager.am]\nurls = [\"{}\"]\n", good.url);
    place.configure(&(good.table("ops") + &bad.table("duty") + &more + &manager));

    let (exit, out, err) = notify(&place, &[]);
    assert_eq!((exit, err.as_str()), (1, ""), "{out}");
    let lines: Vec<Vec<&str>> =
        out.lines().map(|line| line.splitn(3, "  ").map(str::trim).collect()).collect();
    let said = |name: &str| lines.iter().find(|line| line[0] == name).unwrap()[2..].join(" ");
    assert!(said("ops").ends_with("sent"), "{out}");
    assert!(said("duty").contains("refused: answered 403"), "{out}");
    assert!(said("team").contains("not now:") && !out.contains("s3cret"), "{out}");
    assert!(said("am").contains("sent; its end: sent"), "{out}");

    let is_test = |body: &serde_json::Value| body["alerts"][0]["labels"]["test"] == "true";
    let body = good.wait("the test", SOON, is_test);
    let summary = body["alerts"][0]["annotations"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("TEST FIRING critical"), "{summary}");

    let (exit, out, _) = notify(&place, &["ops"]);
    assert_eq!((exit, out.lines().count()), (0, 1), "{out}");
    let (exit, _, err) = notify(&place, &["opps"]);
    assert!(exit == 2 && err.contains("known: ops, duty, team, am"), "{err}");
}

#[test]
fn what_would_be_sent_is_shown_without_secrets() {
    let (place, hook) = (Place::new(), Webhook::start());
    let more = "[notify.pagerduty.pager]\nrouting_key = \"r0uting-s3cret\"\n\
                [notify.telegram.phone]\ntoken = \"1:s3cret\"\nchat_id = 7\n\
                [notify.ntfy.push]\ntopic = \"s3cret-topic\"\n\
                [notify.exec.page]\ncommand = [\"/bin/false\", \"s3cret\"]\n\
                [notify.journald.journal]\n\
                [notify.slack.chat]\nurl = \"https://hooks.slack.com/services/s3cret\"\n";
    place.configure(&(hook.table("ops") + more));
    let (exit, out, err) = notify(&place, &["--render"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    assert!(!out.contains("s3cret"), "{out}");
    for part in [
        "# ops (webhook)",
        "POST https://events.pagerduty.com/<secret>",
        "\"chat_id\": \"7\"",
        "\"topic\": \"<secret>\"",
        "run /bin/false <secret>",
        "PRIORITY=2",
        "TEST FIRING critical",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(hook.bodies.try_recv().is_err(), "nothing is sent");
    std::fs::write(place.path("gatewatch.toml"), "[notify.slack.x]\n").unwrap();
    assert_eq!(notify(&place, &[]).0, 78);
}

/// It is heard at once, not while a receiver fails, and again as soon as that one takes what it is sent.
#[test]
fn a_heart_that_beats_only_while_all_is_well() {
    let (place, hook, heart) = (Place::new(), Webhook::start(), Webhook::start());
    let log = place.path("access.log");
    let append = |text: &str| {
        OpenOptions::new().append(true).create(true).open(&log).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append(&lines(1, 1, 200));
    let tables = format!(
        "[input.file.edge]\npaths = [{log:?}]\n[rule.count.ten]\nabove = 9\nwindow = \"30s\"\nseverity = \"critical\"\n{}\
         watchdog = true\n[heartbeat]\nurl = \"{}\"\nevery = \"10s\"\nmethod = \"POST\"\n",
        hook.table("ops"),
        heart.url
    );
    place.configure(&tables);
    let mut agent = place.run_configured();
    heart.bodies.recv_timeout(SOON).expect("the first beat");
    let dog = hook.wait("the watchdog", SOON, |body| body["alerts"][0]["labels"]["alertname"] == "Watchdog");
    assert_eq!(dog["alerts"][0]["labels"]["severity"], "none");
    assert_eq!(dog["alerts"][0]["labels"]["node"], "edge-1");

    hook.answer(Answer::Status(503, ""));
    append(&lines(10, 2, 502));
    agent.says("ops: answered 503");
    while heart.bodies.try_recv().is_ok() {}
    assert!(
        heart.bodies.recv_timeout(Duration::from_secs(12)).is_err(),
        "it beats although a receiver fails"
    );
    hook.answer(Answer::Status(200, ""));
    heart.bodies.recv_timeout(SOON).expect("it beats again");
    agent.ends("TERM");
}
