//! What is known and not told: silences over the control socket, maintenance windows, rules that mute others. The real
//! binary, a webhook on loopback, every wait bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use gatewatch::cli::{Cli, Command as Verb, Silence};
use gatewatch::mute::about::About;
use gatewatch::mute::silences;
use gatewatch_parsers::Zone;
use gatewatch_rules::alert::{Alert, Hushed};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::agent::{Agent, Place, lines};
use support::{Webhook, wait_for};

const SOON: Duration = Duration::from_secs(25);
/// Fires at once, and goes on.
const LASTING: &str = "[rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"1m\"\nseverity = \"critical\"\n\
                       keep_firing_for = \"1h\"\nstale_after = \"2h\"\n";
/// Fires at once, and is over soon.
const SHORT: &str = "[rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"3s\"\nseverity = \"critical\"\n\
                     keep_firing_for = \"1s\"\n";

fn append(place: &Place, text: &str) {
    let mut log = OpenOptions::new().append(true).create(true).open(place.path("access.log")).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

fn configure(place: &Place, hook: &Webhook, tables: &str) {
    append(place, "");
    let log = place.path("access.log").display().to_string();
    let input = format!("[input.file.edge]\npaths = [{log:?}]\nstart = \"beginning\"\n");
    place.configure(&format!("{input}{tables}{}", hook.table("ops")));
}

fn gatewatch(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(arguments).current_dir(place.path("")).env("XDG_STATE_HOME", place.path("xdg"));
    command.env("COLUMNS", "150").env("USER", "anna").env_remove("SUDO_USER");
    command.stdin(Stdio::null()).output().unwrap()
}

/// What it prints; it ends well.
fn said(place: &Place, arguments: &[&str]) -> String {
    let output = gatewatch(place, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(place, &[arguments, &["--format", "json"]].concat())).unwrap()
}

/// The alerts that fire, by upstream: what mutes each.
fn muted(place: &Place) -> Vec<(String, String)> {
    let answer = json(place, &["alerts", "--state-dir", "state"]);
    let of = |alert: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        (text(&alert["labels"]["upstream"]), text(&alert["muted"]))
    };
    let mut alerts: Vec<_> = answer["alerts"].as_array().unwrap().iter().map(of).collect();
    alerts.sort();
    alerts
}

fn is_about(body: &Value, status: &str, upstream: &str) -> bool {
    let alerts = body["alerts"].as_array().unwrap();
    alerts.iter().any(|alert| alert["status"] == status && alert["labels"]["upstream"] == upstream)
}

/// Nothing else has come so far.
fn is_quiet(hook: &Webhook) {
    let more: Vec<Value> = hook.bodies.try_iter().collect();
    assert!(more.is_empty(), "{more:#?}");
}

fn started(place: &Place) -> Agent {
    let agent = place.run_configured();
    wait_for("its socket", SOON, || place.path("state/control.sock").exists().then_some(()));
    agent
}

const S12: &str = "10.0.0.12:8080";
const S13: &str = "10.0.0.13:8080";

/// The silence is ended by hand.
fn expired(place: &Place, hook: &Webhook) {
    let answer = said(place, &["silence", "expire", "1", "-c", "gatewatch.toml"]);
    assert_eq!(answer, "silence 1 is over: it held back 1 alert\n");
    let body = hook.wait("the one that was silenced", SOON, |body| is_about(body, "firing", S12));
    let text = body["alerts"][0]["annotations"]["description"].as_str().unwrap();
    assert!(
        text.contains("Muted   nobody was told until ") && text.contains("silence 1 of anna (deploy)"),
        "{text}"
    );
    assert!(
        text.contains("Silence gatewatch silence add rule=ten upstream=10.0.0.12:8080 -d 1h\n"),
        "{text}"
    );
    is_quiet(hook);
    let again = gatewatch(place, &["silence", "expire", "1", "7", "--state-dir", "state"]);
    let why = String::from_utf8(again.stderr).unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(why.contains("silence 1 is over already") && why.contains("there is no silence 7"), "{why}");
    let list = said(place, &["silence", "list", "--expired", "--state-dir", "state"]);
    assert!(
        list.contains("over")
            && said(place, &["silence", "list", "--state-dir", "state"]).contains("No silence"),
        "{list}"
    );
}

#[test]
fn silenced_killed_and_told_at_the_end() {
    let (place, hook) = (Place::new(), Webhook::start());
    configure(&place, &hook, LASTING);
    let mut agent = started(&place);
    let line = [
        "silence",
        "add",
        "rule=ten",
        "upstream=10.0.0.12:8080",
        "-d",
        "1h",
        "-m",
        "deploy",
        "--state-dir",
        "state",
    ];
    let answer = said(&place, &line);
    assert!(
        answer.starts_with("silence 1: rule=\"ten\" upstream=\"10.0.0.12:8080\", for 1 h, until 20"),
        "{answer}"
    );
    assert!(answer.ends_with("; nothing that fires now matches\n"), "{answer}");
    append(&place, &(lines(20, 12, 502) + &lines(20, 13, 502)));
    hook.wait("the other one", SOON, |body| is_about(body, "firing", S13) && !is_about(body, "firing", S12));
    let by = "silence 1 of anna (deploy)".to_owned();
    let expected = [(S12.to_owned(), by), (S13.to_owned(), String::new())];
    wait_for("both alerts", SOON, || (muted(&place) == expected).then_some(()));
    let status = said(&place, &["status", "-c", "gatewatch.toml"]);
    assert!(
        status.contains("firing, muted") && status.contains("1 silence in force · 1 alert held back"),
        "{status}"
    );

    // What was answered was durable.
    agent.process.0.kill().unwrap();
    agent.process.0.wait().unwrap();
    let offline = json(&place, &["silence", "list", "--state-dir", "state"]);
    assert_eq!((&offline["silences"][0]["id"], &offline["silences"][0]["active"]), (&1.into(), &true.into()));
    let mut agent = started(&place);
    wait_for("both alerts again", SOON, || (muted(&place) == expected).then_some(()));
    is_quiet(&hook);
    assert_eq!(
        muted(&place)[0].1,
        said(&place, &["alerts", "upstream=10.0.0.12:8080", "--state-dir", "state"])
            .lines()
            .nth(1)
            .and_then(|line| line.split("no: ").nth(1))
            .unwrap()
    );

    expired(&place, &hook);
    agent.ends("TERM");
}

/// Whoever was told hears the end, whatever is silenced since; of what came and went silenced nobody hears.
#[test]
fn the_end_is_told_to_those_who_know() {
    let (place, hook) = (Place::new(), Webhook::start());
    configure(&place, &hook, SHORT);
    let mut agent = started(&place);
    append(&place, &lines(20, 12, 502));
    hook.wait("it fires", SOON, |body| is_about(body, "firing", S12));
    let answer = said(&place, &["silence", "add", "upstream=~10[.].*", "-d", "1h", "--state-dir", "state"]);
    assert!(answer.contains("it mutes 1 alert that fires now"), "{answer}");
    append(&place, &lines(20, 13, 502));
    wait_for("the silenced one", SOON, || {
        muted(&place).iter().any(|(upstream, by)| upstream == S13 && !by.is_empty()).then_some(())
    });
    let unseen = || {
        append(&place, &(lines(1, 12, 200) + &lines(1, 13, 200)));
        let list = json(&place, &["silence", "list", "--state-dir", "state"]);
        (list["silences"][0]["unseen"] == 1).then_some(list)
    };
    let list = wait_for("both to be over", SOON, unseen);
    assert_eq!(list["silences"][0]["held"], 1, "{list:#}");
    hook.wait("its end", SOON, |body| is_about(body, "resolved", S12));
    is_quiet(&hook);
    agent.ends("TERM");
}

#[test]
fn a_maintenance_window_and_a_reload() {
    let (place, hook) = (Place::new(), Webhook::start());
    let window =
        "[maintenance.now]\nmatch = [\"rule=ten\"]\nzone = \"Europe/Berlin\"\nuntil = \"2100-01-01\"\n";
    configure(&place, &hook, &format!("{LASTING}{window}"));
    let mut agent = started(&place);
    append(&place, &lines(20, 12, 502));
    wait_for("the muted alert", SOON, || {
        (muted(&place) == [(S12.to_owned(), "maintenance now".to_owned())]).then_some(())
    });
    let list = said(&place, &["silence", "list", "-c", "gatewatch.toml"]);
    assert!(
        list.contains("Maintenance now is open until 2100-01-01 00:00 Europe/Berlin (2099-12-31 23:00 UTC)."),
        "{list}"
    );
    let check = said(&place, &["check", "-c", "gatewatch.toml"]);
    assert!(
        check.contains(
            "# Maintenance now is open until 2100-01-01 00:00 Europe/Berlin (until 2099-12-31 23:00 UTC)."
        ),
        "{check}"
    );
    is_quiet(&hook);
    configure(&place, &hook, LASTING);
    agent.process.signal("HUP");
    let body = hook.wait("the alert", SOON, |body| is_about(body, "firing", S12));
    assert!(body.to_string().contains("maintenance now"), "{body:#}");
    agent.ends("TERM");
}

#[test]
fn one_rule_mutes_another() {
    let (place, hook) = (Place::new(), Webhook::start());
    let node = LASTING
        .replace("count.ten", "count.node")
        .replace("upstream", "node")
        .replace("above = 9", "above = 9\nmutes = [\"ten\"]");
    configure(
        &place,
        &hook,
        &format!("{LASTING}{node}")
            .replace("group_by = [\"upstream\"]", "group_by = [\"node\", \"upstream\"]"),
    );
    let mut agent = started(&place);
    append(&place, &lines(20, 12, 502));
    hook.wait("the node's", SOON, |body| body["alerts"][0]["labels"]["alertname"] == "node");
    let rule = |alert: &Value| {
        (alert["rule"].as_str().unwrap().to_owned(), alert["muted"].as_str().map(str::to_owned))
    };
    let expected = [("node".to_owned(), None), ("ten".to_owned(), Some("rule node".to_owned()))];
    wait_for("both alerts", SOON, || {
        let answer = json(&place, &["alerts", "--state-dir", "state"]);
        let mut alerts: Vec<_> = answer["alerts"].as_array().unwrap().iter().map(rule).collect();
        alerts.sort();
        (alerts == expected).then_some(())
    });
    is_quiet(&hook);
    agent.ends("TERM");
}

#[test]
fn what_is_refused() {
    let (place, hook) = (Place::new(), Webhook::start());
    configure(&place, &hook, LASTING);
    let refused = |arguments: &[&str], code: i32, part: &str| {
        let output = gatewatch(&place, &[arguments, &["--state-dir", "state"]].concat());
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{arguments:?}: {why}");
        assert!(why.contains(part), "{arguments:?}: {why}");
    };
    refused(&["silence", "add", "rule=x", "-d", "1h"], 1, "Start `gatewatch run`");
    refused(&["silence", "expire", "1"], 1, "no agent is running");
    refused(&["silence", "list"], 1, "there is no snapshot");
    refused(&["alerts"], 1, "there is no snapshot");
    refused(&["alerts", "upstream"], 2, "expected one of");
    refused(&["silence", "add", "rule=x"], 2, "--duration");
    refused(&["silence", "add", "rule=x", "-d", "1h", "--until", "03:00"], 2, "cannot be used with");
    refused(&["silence", "add", "-d", "1h"], 2, "MATCHERS");
    refused(&["silence", "add", "upstream=~.*", "-d", "1h"], 2, "every alert");
    refused(&["silence", "add", "rule=x", "-d", "soon"], 2, "30m");
    refused(&["silence", "add", "rule=x", "--until", "soon"], 2, "2026-01-31 03:00");

    let path = place.path("gatewatch.toml");
    let text = fs::read_to_string(&path).unwrap().replace("listen = \"off\"", "listen = \"127.0.0.1:0\"");
    fs::write(&path, text).unwrap();
    let mut agent = started(&place);
    refused(&["silence", "add", "rule=x", "-d", "400d"], 1, "a year at most");
    refused(&["silence", "add", "rule=x", "--until", "2020-01-01"], 1, "over already");
    refused(&["silence", "add", "rule=x", "-d", "1h", "--author", " "], 1, "--author");
    // Nobody orders anything over the port.
    let at = agent.says("metrics are at http://");
    let at = at.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let body = r#"{"matchers":["rule=x"],"ends":99999999999999,"author":"x","comment":""}"#;
    let mut stream = TcpStream::connect(&at).unwrap();
    write!(stream, "POST /silences HTTP/1.1\r\nHost: {at}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    let mut answer = String::new();
    let _broken_off = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    // Nor is a body of any size read at the socket.
    let mut socket = std::os::unix::net::UnixStream::connect(place.path("state/control.sock")).unwrap();
    let long = "x".repeat(100_000);
    let _refused =
        write!(socket, "POST /silences HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let mut answer = String::new();
    let _broken_off = socket.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(said(&place, &["silence", "list", "--state-dir", "state"]).contains("No silence is in force."));
    agent.ends("TERM");
}

fn alert() -> Alert {
    serde_json::from_str(include_str!("messages/alert.json")).unwrap()
}

/// The line that a message gives, as the shell hands it on, silences the alert that the message is about.
#[test]
fn the_line_of_a_message_can_be_pasted() {
    let values = [
        "be_img/srv3",
        "[2001:db8::1]:8080",
        "a b",
        "it's",
        "\"q\"",
        "$(reboot)",
        "`id`",
        "~x",
        "!x",
        "*",
        "\\n",
        "é",
        "",
        "a;b|c&d>e",
    ];
    for value in values {
        let mut alert = alert();
        alert.labels = vec![("upstream".into(), value.into()), ("node".into(), "edge-1".into())];
        let text = message(&alert);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Silence "))
            .unwrap_or_else(|| panic!("{value}: {text}"));
        let script = format!("gatewatch() {{ printf '%s\\0' gatewatch \"$@\"; }}\n{line}");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let typed = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = typed.trim_end_matches('\0').split('\0').collect();
        let cli = <Cli as clap::Parser>::try_parse_from(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
        let Verb::Silence(Silence::Add(add)) = cli.command else { panic!("{line}") };
        assert_eq!(add.duration.as_deref(), Some("1h"));
        let matchers = silences::read(&add.matchers).unwrap();
        assert!(About::of(&alert).is_matched(&matchers), "{line}");
        alert.labels[0].1.push('x');
        assert!(!About::of(&alert).is_matched(&matchers), "{line} silences others");
    }
    // What cannot be shown as it is cannot be pasted; what is over need not be.
    for value in ["a\nb", "a\u{202e}b", "\u{1b}[2J", "a\tb"] {
        let mut alert = alert();
        alert.labels = vec![("upstream".into(), value.into())];
        assert!(!message(&alert).contains("silence add"), "{value:?}");
    }
    let mut alert = alert();
    alert.hushed = Some(Hushed { by: "silence 3 of anna (de\u{1b}ploy)".into(), until: alert.fired });
    let text = message(&alert);
    assert!(text.contains("Muted   nobody was told until ") && !text.contains('\u{1b}'), "{text}");
}

fn message(alert: &Alert) -> String {
    use gatewatch::message::{About, Message};
    use gatewatch::notification::{Item, News, Notification, Subject};
    let notification = Notification {
        id: 1,
        key: "k".into(),
        receiver: "ops".into(),
        subject: Subject::Rule(alert.rule.clone()),
        at: alert.fired,
        items: vec![Item::new(News::Firing, alert.clone())],
        totals: None,
    };
    Message::of(&notification, &About { zone: Zone::Fixed(0), node: "edge-1".into(), log_file: None }).text()
}
