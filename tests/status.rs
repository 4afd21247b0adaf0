//! What an agent says of itself: `gatewatch status` of a running one and of its last snapshot, `/metrics`, `/healthz` and
//! `/readyz`. The real binary, sockets of its own, every wait bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::agent::{Agent, Place, lines};
use support::{program, skip, wait_for};

const SOON: Duration = Duration::from_secs(25);
/// An answer takes no longer, whoever else is there.
const AT_ONCE: Duration = Duration::from_secs(5);
/// A rule that fires at once and goes on.
const RULE: &str = "[rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"1m\"\nseverity = \"critical\"\n\
                    keep_firing_for = \"1h\"\nstale_after = \"2h\"\n";

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// An agent that reads `access.log` from its beginning and serves metrics on a port of the system's choice.
fn configured(place: &Place, tables: &str) {
    let log = place.path("access.log");
    let path = place.configure(&format!(
        "[input.file.edge]\npaths = [{:?}]\nstart = \"beginning\"\n{RULE}{tables}",
        log.display().to_string()
    ));
    let text = fs::read_to_string(&path).unwrap().replace("listen = \"off\"", "listen = \"127.0.0.1:0\"");
    fs::write(&path, text).unwrap();
}

fn gatewatch(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(arguments).current_dir(place.path("")).env("XDG_STATE_HOME", place.path("xdg"));
    command.env("COLUMNS", "100").stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(place: &Place, arguments: &[&str]) -> Result<Value, Output> {
    let output = gatewatch(place, arguments);
    if output.status.success() { Ok(serde_json::from_slice(&output.stdout).unwrap()) } else { Err(output) }
}

/// Of the running agent, once there is one.
fn live(place: &Place) -> Value {
    wait_for("a running agent", SOON, || {
        let view = json(place, &["status", "-c", "gatewatch.toml", "--format", "json"]).ok()?;
        (view["agent"]["running"] == true).then_some(view)
    })
}

/// Of the last snapshot, once there is one.
fn last(place: &Place) -> Value {
    wait_for("a snapshot", SOON, || json(place, &["status", "--state-dir", "state", "--format", "json"]).ok())
}

/// Waits until so many requests are counted.
fn counted(place: &Place, requests: u64) -> Value {
    wait_for(&format!("{requests} requests in status"), SOON, || {
        Some(live(place)).filter(|view| view["requests"] == requests)
    })
}

fn port(agent: &Agent) -> SocketAddr {
    let said = agent.says("metrics are at http://");
    let at = said.split("http://").nth(1).unwrap().split('/').next().unwrap();
    at.parse().unwrap()
}

/// The status line and headers, and the body. Of an answer that breaks off, what came.
fn ask(at: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(AT_ONCE)).unwrap();
    stream.set_write_timeout(Some(AT_ONCE)).unwrap();
    let _refused = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _broken_off = stream.read_to_end(&mut answer);
    let answer = text(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) => (head.to_owned(), body.to_owned()),
        None => (answer, String::new()),
    }
}

fn get(at: SocketAddr, path: &str) -> (String, String) {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n"))
}

/// The metrics, by name, each with its labels and value.
fn metrics(at: SocketAddr) -> BTreeMap<String, Vec<(String, f64)>> {
    let (head, body) = get(at, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut families: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        families.entry(name.to_owned()).or_default().push((labels.to_owned(), value.parse().unwrap()));
    }
    families
}

fn sum(families: &BTreeMap<String, Vec<(String, f64)>>, name: &str) -> f64 {
    families.get(name).unwrap_or_else(|| panic!("no {name}")).iter().map(|(_, value)| value).sum()
}

/// 40 good requests, 20 errors of another upstream, a line that is none.
fn mixed() -> String {
    lines(40, 11, 200) + &lines(20, 12, 502) + "this is no request\n"
}

/// An agent that follows such a log.
fn started() -> (Place, Agent) {
    let place = Place::new();
    configured(&place, "");
    append(&place.path("access.log"), &mixed());
    let agent = place.run_configured();
    (place, agent)
}

/// The fields of the contract, in its order.
const FIELDS: [&str; 12] = [
    "schema",
    "inputs",
    "requests",
    "gateway_errors",
    "status",
    "late",
    "future",
    "series",
    "series_overflow",
    "alerts",
    "outbox",
    "snapshot",
];

#[test]
fn of_a_running_agent_and_of_its_last_snapshot() {
    let (place, mut agent) = started();
    let view = wait_for("an alert in status", SOON, || {
        Some(live(&place)).filter(|view| view["alerts"][0]["state"] == "firing")
    });
    let bytes = fs::metadata(place.path("access.log")).unwrap().len();
    let input = &view["inputs"][0];
    assert_eq!(input["path"].as_str().unwrap(), place.path("access.log").display().to_string());
    for (field, expected) in
        [("offset", bytes), ("size", bytes), ("lines", 61), ("parsed", 60), ("unparsed", 1), ("late", 0)]
    {
        assert_eq!(input[field], expected, "{field}: {view:#}");
    }
    assert_eq!((&input["promise"], &input["standing"]), (&"exact".into(), &"fine".into()), "{view:#}");
    assert_eq!((&view["requests"], &view["gateway_errors"]), (&60.into(), &20.into()));
    assert_eq!(view["alerts"][0]["labels"], serde_json::json!({ "upstream": "10.0.0.12:8080" }));
    assert!(view["agent"]["pid"].as_u64() == Some(u64::from(agent.process.0.id())));

    // The same file, by the other end of the same code.
    let report =
        json(&place, &["analyze", "--quiet", "--min-parsed", "0%", "--format", "json", "access.log"])
            .unwrap();
    for field in ["requests", "gateway_errors", "status", "late", "future"] {
        assert_eq!(view[field], report[field], "{field}");
    }

    agent.ends("TERM");
    let output = gatewatch(&place, &["status", "-c", "gatewatch.toml", "--format", "json"]);
    assert!(text(&output.stderr).contains("not running; this is the last snapshot"), "{output:?}");
    let after: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(after["snapshot"]["seq"].as_u64() >= view["snapshot"]["seq"].as_u64());
    for field in FIELDS.iter().filter(|field| !["snapshot", "inputs"].contains(field)) {
        assert_eq!(after[field], view[field], "{field}: {after:#} is not {view:#}");
    }
    for field in
        ["path", "format", "offset", "size", "lines", "parsed", "unparsed", "late", "promise", "newest"]
    {
        assert_eq!(after["inputs"][0][field], view["inputs"][0][field], "{field}");
    }
    assert_eq!(after, {
        let mut named = last(&place);
        // Only the time has gone on.
        named["snapshot"]["age"] = after["snapshot"]["age"].clone();
        named
    });
}

/// The names of an object's fields, as they stand.
struct Names(Vec<String>);

impl<'de> serde::Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Names, M::Error> {
                let mut names = Vec::new();
                while let Some((name, serde::de::IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        from.deserialize_map(Visitor)
    }
}

#[test]
fn the_object_begins_with_the_contract() {
    let (place, mut agent) = started();
    let view = wait_for("an alert in status", SOON, || {
        Some(live(&place)).filter(|view| view["alerts"][0]["state"] == "firing")
    });
    let written = text(&gatewatch(&place, &["status", "-c", "gatewatch.toml", "--format", "json"]).stdout);
    let Names(names) = serde_json::from_str(&written).unwrap();
    assert_eq!(names[..FIELDS.len()], FIELDS, "{written}");
    let has = |object: &Value, fields: &[&str]| {
        assert!(fields.iter().all(|field| object.get(field).is_some()), "{fields:?} in {object:#}");
    };
    has(&view["inputs"][0], &["path", "format", "offset", "size", "lines", "parsed", "unparsed", "late"]);
    has(&view["alerts"][0], &["rule", "labels", "state", "since"]);
    has(&view["snapshot"], &["seq", "age"]);
    assert!(view["outbox"].is_u64() && view["schema"] == 1 && view["status"]["502"] == 20, "{view:#}");
    agent.ends("TERM");
}

#[test]
fn nothing_to_show_says_what_to_do() {
    let place = Place::new();
    configured(&place, "");
    let output = gatewatch(&place, &["status", "-c", "gatewatch.toml"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("not running, and there is no snapshot") && said.contains("--state-dir"), "{said}");
    fs::write(place.path("gatewatch.toml"), "[agent]\nnope = 1\n").unwrap();
    let output = gatewatch(&place, &["status", "-c", "gatewatch.toml"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}

#[test]
fn killed_and_started_again() {
    let (place, mut agent) = started();
    counted(&place, 60);
    wait_for("a snapshot of it", SOON, || (last(&place)["requests"] == 60).then_some(()));
    agent.process.0.kill().unwrap();
    agent.process.0.wait().unwrap();
    assert!(place.path("state/control.sock").exists(), "a kill leaves the socket");
    let output = gatewatch(&place, &["status", "-c", "gatewatch.toml"]);
    assert!(output.status.success() && text(&output.stderr).contains("not running"), "{output:?}");
    let mut agent = place.run_configured();
    append(&place.path("access.log"), &lines(5, 11, 200));
    counted(&place, 65);
    agent.ends("TERM");
    assert!(!place.path("state/control.sock").exists(), "it puts its socket away");
}

#[test]
fn metrics_are_the_counts_of_status() {
    let (place, mut agent) = started();
    let at = port(&agent);
    wait_for("an alert", SOON, || (live(&place)["alerts"][0]["state"] == "firing").then_some(()));
    // A line of an hour ago comes too late to be judged.
    counted(&place, 60);
    append(&place.path("access.log"), &support::agent::line_of(3_000, 11, 200));
    let view = counted(&place, 61);
    let m = metrics(at);
    let of = |field: &str| view[field].as_f64().unwrap();
    assert_eq!(of("late"), 1.0, "{view:#}");
    let judged = sum(&m, "gatewatch_requests_total");
    assert_eq!(judged + of("late") + of("future"), of("requests"), "{m:#?}");
    assert_eq!(sum(&m, "gatewatch_gateway_errors_total"), of("gateway_errors"));
    assert_eq!(sum(&m, "gatewatch_gateway_error_reasons_total"), of("gateway_errors"));
    assert_eq!(sum(&m, "gatewatch_requests_by_status_total"), of("requests"));
    assert_eq!(sum(&m, "gatewatch_lines_total"), view["lines"]["read"].as_f64().unwrap());
    assert_eq!(sum(&m, "gatewatch_late_requests_total"), 1.0);
    assert_eq!(sum(&m, "gatewatch_series"), of("series"));
    let firing = m["gatewatch_alerts"].iter().find(|(labels, _)| labels.contains("firing")).unwrap();
    assert_eq!(firing.1, 1.0, "{m:#?}");
    assert_eq!((get(at, "/healthz").1.as_str(), get(at, "/status").0.contains(" 404 ")), ("ok\n", true));
    let (head, body) = get(at, "/readyz");
    assert!(head.contains(" 200 ") && body.contains("scan: ok") && body.contains("snapshot: ok"), "{body}");
    let (head, body) = ask(at, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.contains(" 200 ") && body.is_empty(), "{head}");

    // Prometheus' own judgement of names, help and types.
    let (_, body) = get(at, "/metrics");
    match program("promtool") {
        Some(promtool) => {
            let mut check = Command::new(promtool);
            check
                .args(["check", "metrics"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut check = check.spawn().unwrap();
            check.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
            let output = check.wait_with_output().unwrap();
            assert!(
                output.status.success() && output.stderr.is_empty() && output.stdout.is_empty(),
                "{output:?}"
            );
        }
        None => skip("no promtool"),
    }
    agent.ends("TERM");
}

/// What was cut, and what had to wait, is a number that somebody can look at.
#[test]
fn what_is_cut_and_what_waits_is_counted() {
    let place = Place::new();
    configured(&place, "");
    let log = place.path("access.log");
    append(&log, &lines(40, 11, 200));
    let mut agent = place.run_configured();
    let at = port(&agent);
    counted(&place, 40);
    assert_eq!(live(&place)["losses"]["lines_too_long"], 0);
    append(&log, &("x".repeat(70_000) + "\n"));
    // More than may be on its way to be counted.
    append(&log, &lines(100_000, 11, 200));
    let view = counted(&place, 100_040);
    assert_eq!((&view["losses"]["lines_too_long"], &view["lines"]["too_long"]), (&1.into(), &1.into()));
    assert_eq!(view["inputs"][0]["lines_too_long"], 1, "{view:#}");
    assert!(view["losses"]["input_waits"].as_u64().unwrap() > 0, "{view:#}");
    let m = metrics(at);
    assert_eq!(sum(&m, "gatewatch_lines_too_long_total"), 1.0);
    assert!(sum(&m, "gatewatch_input_waits_total") > 0.0);
    let table = text(&gatewatch(&place, &["status", "-c", "gatewatch.toml"]).stdout);
    assert!(table.contains("1 lines cut at 64 KiB"), "{table}");
    agent.ends("TERM");
    assert_eq!(last(&place)["losses"]["lines_too_long"], 1);
}

/// A label's value is whatever a client sends as a host: it stays one value.
#[test]
fn a_label_is_no_line_of_metrics() {
    let place = Place::new();
    let rule = "[rule.count.sites]\ngroup_by = [\"site\"]\nabove = 1000\nwindow = \"1m\"\n";
    configured(&place, rule);
    let path = place.path("gatewatch.toml");
    let format = "log_format = 'nginx:escape=none $host [$time_local] \"$request\" $status'\nstart =";
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("start =", format)).unwrap();
    let hosts = ["plain.example", "a\"b", "a\\b", "a\"}_1{x=\"", "\\\"", "a\\n#_HELP"];
    let now = chrono::DateTime::from_timestamp_millis(gatewatch::clock::now()).unwrap();
    for host in hosts {
        let stamp = now.format("%d/%b/%Y:%H:%M:%S +0000");
        append(&place.path("access.log"), &format!("{host} [{stamp}] \"GET / HTTP/1.1\" 200\n"));
    }
    let mut agent = place.run_configured();
    let at = port(&agent);
    counted(&place, hosts.len() as u64);
    let (_, body) = get(at, "/metrics");
    let mut sites: Vec<String> = Vec::new();
    for line in body.lines().filter(|line| line.starts_with("gatewatch_requests_total{")) {
        let Some((_, value)) = line.split_once("site=\"") else { continue };
        // Up to the first quote that is not escaped; then the label, or the set, ends.
        let (mut site, mut chars) = (String::new(), value.chars());
        loop {
            match chars.next().unwrap_or_else(|| panic!("no end: {line}")) {
                '"' => break,
                '\\' => site.push(chars.next().unwrap()),
                c => site.push(c),
            }
        }
        assert!(chars.as_str() == "} 1" || chars.as_str().starts_with(','), "{line}");
        sites.push(site);
    }
    sites.sort();
    let mut expected: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    expected.sort();
    assert_eq!(sites, expected, "{body}");
    agent.ends("TERM");
}

/// Exits and sites that rules ask for are marginals: under names of their own, so that no sum doubles.
#[test]
fn what_is_kept_apart_has_its_own_metrics() {
    let place = Place::new();
    let rules = "[rule.count.exits]\ngroup_by = [\"exit_ip\"]\nabove = 1000\nwindow = \"1m\"\n\
                 [rule.count.sites]\ngroup_by = [\"site\"]\nabove = 1000\nwindow = \"1m\"\n";
    configured(&place, rules);
    let path = place.path("gatewatch.toml");
    let format = "log_format = 'pattern:<epoch> <status> <exit_ip> <site>'\nstart =";
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("start =", format)).unwrap();
    for (exit, site) in [("e1", "a.example"), ("e1", "b.example"), ("e2", "a.example")] {
        let now = gatewatch::clock::now() / 1_000;
        append(&place.path("access.log"), &format!("{now} 200 {exit} {site}\n"));
    }
    let mut agent = place.run_configured();
    let at = port(&agent);
    counted(&place, 3);
    let (_, body) = get(at, "/metrics");
    let of = |name: &str| -> u64 {
        let lines = body
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    };
    assert_eq!(of("gatewatch_requests_total"), 3, "{body}");
    for line in [
        "gatewatch_requests_by_capture_total{exit_ip=\"e1\",family=\"1\"} 2",
        "gatewatch_requests_by_capture_total{exit_ip=\"e2\",family=\"1\"} 1",
        "gatewatch_requests_by_capture_total{site=\"a.example\",family=\"2\"} 2",
        "gatewatch_requests_by_capture_total{site=\"b.example\",family=\"2\"} 1",
    ] {
        assert!(body.lines().any(|l| l == line), "{line}: {body}");
    }
    agent.ends("TERM");
}

#[test]
fn hostile_guests_cost_nothing() {
    let (place, mut agent) = started();
    let at = port(&agent);
    counted(&place, 60);

    assert!(ask(at, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").0.contains(" 405 "));
    assert!(ask(at, "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n").0.contains(" 405 "));
    assert!(
        get(at, "/../../etc/passwd").0.contains(" 404 ") || get(at, "/../../etc/passwd").0.contains(" 400 ")
    );
    // A header of a megabyte: refused, at the latest when it is too long.
    let long = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    let (head, _) = ask(at, &long);
    assert!(!head.contains(" 200 "), "{head}");
    let (head, _) = ask(at, "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n");
    assert!(!head.contains(" 200 "), "{head}");

    // Guests that say nothing, as many as this process may have; and some that say a byte now and then.
    let idle: Vec<TcpStream> = (0..1_000).map_while(|_| TcpStream::connect(at).ok()).collect();
    assert!(idle.len() > 400, "only {} connections", idle.len());
    drop(idle.last().map(|last| last.try_clone()));
    let mut slow: Vec<&TcpStream> = idle.iter().rev().take(20).collect();
    for i in 0..10u64 {
        for stream in &mut slow {
            // The oldest ones are sent away meanwhile.
            let _gone = stream.write_all(if i == 0 { b"GET /metrics HTTP/1.1\r\nX-Slow: " } else { b"a" });
        }
        let asked = Instant::now();
        append(&place.path("access.log"), &lines(10, 11, 200));
        assert!(get(at, "/metrics").0.contains(" 200 "));
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        counted(&place, 60 + 10 * (i + 1));
    }
    // Open connections of the agent: bounded.
    let open = fs::read_dir(format!("/proc/{}/fd", agent.process.0.id())).unwrap().count();
    assert!(open < 200, "{open} descriptors");
    drop(idle);
    assert!(get(at, "/healthz").0.contains(" 200 "));
    agent.ends("TERM");
}

#[test]
fn the_socket_is_its_owners_and_answers_under_load() {
    use std::os::unix::fs::PermissionsExt;
    let (place, mut agent) = started();
    counted(&place, 60);
    let mode = fs::metadata(place.path("state/control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Removed by somebody: it comes back.
    fs::remove_file(place.path("state/control.sock")).unwrap();
    wait_for("the socket", SOON, || place.path("state/control.sock").exists().then_some(()));
    counted(&place, 60);
    agent.ends("TERM");
}

#[test]
fn receivers_that_fail_are_named_without_their_urls() {
    let place = Place::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    configured(
        &place,
        &format!(
            "[notify.webhook.ops]\nurl = \"http://{nobody}/T0KEN-A\"\n\
             [notify.slack.chat]\nurl = \"http://user:T0KEN-B@{nobody}/services/T0KEN-C\"\n"
        ),
    );
    append(&place.path("access.log"), &mixed());
    let mut agent = place.run_configured();
    let at = port(&agent);
    let view = wait_for("both fail", SOON, || {
        let view = live(&place);
        let fails = |i: usize| view["receivers"][i]["failing_since"].is_string();
        (fails(0) && fails(1)).then_some(view)
    });
    let table = text(&gatewatch(&place, &["status", "-c", "gatewatch.toml"]).stdout);
    for name in ["ops", "chat"] {
        assert!(table.contains(&format!("Receiver {name} has taken nothing for ")), "{table}");
    }
    let (_, exported) = get(at, "/metrics");
    assert!(exported.contains("gatewatch_receiver_failing{receiver=\"chat\"} 1.0"), "{exported}");
    agent.ends("TERM");
    let after = last(&place).to_string();
    for shown in [view.to_string(), table, exported, after, agent.said()] {
        assert!(!shown.contains("T0KEN") && !shown.contains("/services"), "{shown}");
    }
}

#[test]
fn a_port_that_is_taken_is_a_notice() {
    let place = Place::new();
    configured(&place, "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let path = place.path("gatewatch.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("127.0.0.1:0", &at.to_string())).unwrap();
    append(&place.path("access.log"), &mixed());
    let mut agent = place.run_configured();
    let said = agent.says(&format!("no metrics at {at}"));
    assert!(said.contains("agent.listen"), "{said}");
    counted(&place, 60);
    // Free again: it is taken then.
    drop(taken);
    assert_eq!(port(&agent), at);
    agent.ends("TERM");
}
