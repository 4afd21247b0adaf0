//! Webhook and Slack against a loopback receiver that answers as told, alone and with the outbox and its thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use gatewatch::delivery::outbox::Outbox;
use gatewatch::delivery::send::send;
use gatewatch::delivery::{Courier, Done};
use gatewatch::message::About;
use gatewatch::notification::{Item, News, Notification, Outcome, Subject, Thread};
use gatewatch::notifiers::{Delivery, render};
use gatewatch::receiver::{Receiver, ReceiverKind, Secret, SigningSecret};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::alert::{Alert, Change, ChangeKind, State};
use gatewatch_rules::rule::{Rule, Severity};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const T: Millis = 1_793_492_552_000;
const LONG: Duration = Duration::from_secs(10);

/// A request as it came.
struct Request {
    line: String,
    headers: BTreeMap<String, String>,
    text: String,
    body: Value,
}

/// A receiver that gives these answers in turn, and closes each connection; `""` is no answer at all.
struct Loopback {
    url: String,
    requests: mpsc::Receiver<Request>,
}

impl Loopback {
    fn new(answers: &[&str]) -> Loopback {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/services/T0AA/B0BB/s3cret", listener.local_addr().unwrap());
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let (send, requests) = mpsc::channel();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let Some(request) = read(&stream) else { return };
                let _ = stream.write_all(answer.as_bytes());
                if answer.is_empty() {
                    open.push(stream);
                }
                if send.send(request).is_err() {
                    return;
                }
            }
            // Keeps what got no answer open until the test is over.
            let _ = listener.accept();
        });
        Loopback { url, requests }
    }

    fn next(&self) -> Request {
        self.requests.recv_timeout(LONG).unwrap()
    }

    fn is_quiet(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let line = lines.next()?;
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).ok()?;
    Some(Request { line, headers, body: serde_json::from_str(&text).ok()?, text })
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn alert() -> Alert {
    serde_json::from_str(include_str!("messages/alert.json")).unwrap()
}

fn about() -> About {
    About { zone: Zone::Fixed(0), node: "loghost-1".into(), log_file: None }
}

fn receiver(kind: ReceiverKind) -> Receiver {
    Receiver::new("ops", kind)
}

fn webhook(url: &str) -> Receiver {
    receiver(ReceiverKind::webhook(url))
}

fn slack(url: &str) -> Receiver {
    receiver(ReceiverKind::Slack { url: Secret::new(url.into()) })
}

fn notification(items: Vec<Item>) -> Notification {
    let (name, key) = ("ops".into(), "gw-00c0ffee00c0ffee".into());
    let subject = Subject::Rule("errors".into());
    Notification { id: 7, key, receiver: name, subject, at: T, items, totals: None }
}

fn delivery(receiver: &Receiver) -> Delivery {
    render(&notification(vec![Item::new(News::Firing, alert())]), receiver, &about()).unwrap()
}

fn deliver(delivery: &Delivery, timeout: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(send(delivery, timeout))
}

fn sent(receiver: &Receiver, timeout: Duration) -> Outcome {
    deliver(&delivery(receiver), timeout)
}

fn retry(after: Option<Millis>, why: &str) -> Outcome {
    Outcome::Retry { after, why: why.into(), may_have_arrived: false }
}

fn perhaps(after: Option<Millis>, why: &str) -> Outcome {
    Outcome::Retry { after, why: why.into(), may_have_arrived: true }
}

fn failed(why: &str) -> Outcome {
    Outcome::Failed { why: why.into() }
}

#[test]
fn answers_of_a_webhook() {
    let no_redirect = "answered 302 (redirects are not followed)";
    let redirect = "302 Found\r\nLocation: http://127.0.0.1:9/services/T0AA/B0BB/s3cret";
    let cases = [
        (answer("200 OK", "whatever"), Outcome::Sent),
        (answer("204 No Content", ""), Outcome::Sent),
        (
            answer("429 Too Many Requests\r\nRetry-After: 30", "slow down"),
            retry(Some(30_000), "answered 429: slow down"),
        ),
        (answer("500 Internal Server Error", ""), perhaps(None, "answered 500")),
        (answer("503 Service Unavailable\r\nRetry-After: 5", ""), retry(Some(5_000), "answered 503")),
        (answer("408 Request Timeout", ""), retry(None, "answered 408")),
        (answer("425 Too Early", ""), retry(None, "answered 425")),
        (answer("400 Bad Request", "no\r\nBcc: x"), failed("answered 400: no\\u{d}\\u{a}Bcc: x")),
        (
            answer("404 Not Found", "Cannot POST /services/T0AA/B0BB/s3cret"),
            failed("answered 404: Cannot POST /…/…/…/…"),
        ),
        (answer("410 Gone", ""), failed("answered 410")),
        (answer(redirect, ""), failed(no_redirect)),
    ];
    for (text, expected) in &cases {
        let loopback = Loopback::new(&[text]);
        let outcome = sent(&webhook(&loopback.url), LONG);
        assert_eq!(&outcome, expected, "{text}");
        let request = loopback.next();
        assert_eq!(request.line, "POST /services/T0AA/B0BB/s3cret HTTP/1.1");
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["idempotency-key"], "gw-00c0ffee00c0ffee");
        let golden: Value =
            serde_json::from_str(include_str!("golden/messages/firing.webhook.json")).unwrap();
        assert_eq!(request.body["alerts"][0]["labels"], golden["alerts"][0]["labels"]);
        assert_eq!(request.body["groupKey"], golden["groupKey"]);
        assert!(loopback.is_quiet());
    }
}

#[test]
fn answers_of_slack() {
    let cases = [
        (answer("200 OK", "ok"), Outcome::Sent),
        (answer("200 OK", "<html>log in</html>"), failed("answered 200: <html>log in</html>")),
        (answer("429 Too Many Requests\r\nRetry-After: 1", ""), retry(Some(1_000), "answered 429")),
        (answer("400 Bad Request", "invalid_payload"), failed("answered 400: invalid_payload")),
        (answer("403 Forbidden", "action_prohibited"), failed("answered 403: action_prohibited")),
        (answer("404 Not Found", "no_service"), failed("answered 404: no_service")),
        (answer("410 Gone", "channel_is_archived"), failed("answered 410: channel_is_archived")),
        (answer("500 Server Error", "rollup_error"), perhaps(None, "answered 500: rollup_error")),
    ];
    for (text, expected) in &cases {
        let loopback = Loopback::new(&[text]);
        assert_eq!(&sent(&slack(&loopback.url), LONG), expected, "{text}");
        let body = loopback.next().body;
        assert_eq!(body["text"], "FIRING critical: be_img/srv3 fails 20.9 % (normal 0.4 %)");
        assert_eq!(body["blocks"][0]["type"], "header");
    }
}

/// What a receiver of this kind makes of an answer, and what it was sent.
fn exchange(kind: impl Fn(Secret) -> ReceiverKind, answers: &[&str]) -> (Outcome, Vec<Request>) {
    let loopback = Loopback::new(answers);
    let outcome = sent(&receiver(kind(Secret::new(loopback.url.clone()))), LONG);
    let requests = answers.iter().map(|_| loopback.next()).collect();
    assert!(loopback.is_quiet());
    (outcome, requests)
}

#[test]
fn answers_of_teams() {
    let teams = |url| ReceiverKind::Teams { url };
    let busy = answer("429 Too Many Requests", "");
    let too_large = answer("413 Request Entity Too Large", "");
    let ok = answer("202 Accepted", "");
    assert_eq!(exchange(teams, &[&ok]).0, Outcome::Sent);
    assert_eq!(exchange(teams, &[&busy]).0, retry(None, "answered 429"));
    let (outcome, requests) = exchange(teams, &[&too_large, &ok]);
    assert_eq!(outcome, Outcome::Sent);
    assert!(requests[1].text.len() < requests[0].text.len());
    assert!(requests[1].text.contains("be_img/srv3 fails 20.9 %"));
    assert_eq!(exchange(teams, &[&too_large, &too_large]).0, failed("answered 413"));
}

#[test]
fn answers_of_discord() {
    let discord = |url| ReceiverKind::Discord { url };
    let (outcome, requests) = exchange(discord, &[&answer("200 OK", r#"{"id":"1"}"#)]);
    assert_eq!(outcome, Outcome::Sent);
    assert_eq!(requests[0].line, "POST /services/T0AA/B0BB/s3cret?wait=true HTTP/1.1");
    let limited = r#"{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}"#;
    let limited = answer("429 Too Many Requests\r\nRetry-After: 65", limited);
    let Outcome::Retry { after, may_have_arrived: false, .. } = exchange(discord, &[&limited]).0 else {
        panic!()
    };
    assert_eq!(after, Some(65_000));
    let unknown = answer("404 Not Found", r#"{"message": "Unknown Webhook", "code": 10015}"#);
    assert!(matches!(exchange(discord, &[&unknown]).0, Outcome::Failed { .. }));
}

#[test]
fn answers_of_pagerduty() {
    let pagerduty = |url| ReceiverKind::PagerDuty { url, routing_key: Secret::new("r0uting-key".into()) };
    let taken = answer("202 Accepted", r#"{"status":"success","dedup_key":"x"}"#);
    let (outcome, requests) = exchange(pagerduty, &[&taken]);
    assert_eq!(outcome, Outcome::Sent);
    assert_eq!(requests[0].body["event_action"], "trigger");
    let invalid =
        answer("400 Bad Request", r#"{"status":"invalid event","errors":["r0uting-key is no key"]}"#);
    let Outcome::Failed { why } = exchange(pagerduty, &[&invalid]).0 else { panic!() };
    assert!(why.contains("invalid event") && !why.contains("r0uting"), "{why}");
    assert_eq!(exchange(pagerduty, &[&answer("429 Too Many Requests", "")]).0, retry(None, "answered 429"));
    assert_eq!(exchange(pagerduty, &[&answer("500 Oops", "")]).0, perhaps(None, "answered 500"));
}

#[test]
fn answers_of_telegram() {
    let telegram = |url| ReceiverKind::Telegram {
        url,
        token: Secret::new("123456:t0ken".into()),
        chat: "-100".into(),
        topic: None,
    };
    let ok = answer("200 OK", r#"{"ok":true,"result":{"message_id":4711,"text":"…"}}"#);
    let (outcome, requests) = exchange(telegram, &[&ok]);
    assert_eq!(outcome, Outcome::SentAs("4711".into()));
    assert_eq!(requests[0].line, "POST /services/T0AA/B0BB/s3cret/bot123456:t0ken/sendMessage HTTP/1.1");
    let busy =
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}"#;
    let Outcome::Retry { after, .. } = exchange(telegram, &[&answer("429 Too Many", busy)]).0 else {
        panic!()
    };
    assert_eq!(after, Some(35_000));
    // HTML that it cannot read arrives as plain text.
    let entities =
        answer("400 Bad Request", r#"{"ok":false,"error_code":400,"description":"can't parse entities"}"#);
    let (outcome, requests) = exchange(telegram, &[&entities, &ok]);
    assert_eq!(outcome, Outcome::SentAs("4711".into()));
    assert_eq!(
        (&requests[0].body["parse_mode"], &requests[1].body["parse_mode"]),
        (&"HTML".into(), &Value::Null)
    );
    let wrong = answer("401 Unauthorized", r#"{"ok":false,"description":"bot123456:t0ken"}"#);
    let Outcome::Failed { why } = exchange(telegram, &[&wrong]).0 else { panic!() };
    assert!(!why.contains("t0ken"), "{why}");
}

#[test]
fn answers_of_ntfy() {
    let ntfy = |url| {
        let (topic, token) = (Secret::new("t0pic-3f9c".into()), Some(Secret::new("tk_s3cret".into())));
        ReceiverKind::Ntfy { url, topic, token }
    };
    let (outcome, requests) = exchange(ntfy, &[&answer("200 OK", r#"{"id":"1"}"#)]);
    assert_eq!(outcome, Outcome::Sent);
    assert_eq!(requests[0].body["topic"], "t0pic-3f9c");
    assert_eq!(requests[0].headers["authorization"], "Bearer tk_s3cret");
    let busy =
        answer("429 Too Many Requests", r#"{"code":42901,"http":429,"error":"limit reached: t0pic-3f9c"}"#);
    let Outcome::Retry { why, .. } = exchange(ntfy, &[&busy]).0 else { panic!() };
    assert!(!why.contains("3f9c"), "{why}");
}

fn slack_bot(url: Secret) -> ReceiverKind {
    ReceiverKind::SlackBot { url, token: Secret::new("xoxb-t0ken".into()), channel: "#ops".into() }
}

/// What follows a first message goes into its thread, and that message says how it ended.
#[test]
fn slacks_bot_keeps_a_thread() {
    let posted = |ts: &str| answer("200 OK", &format!(r#"{{"ok":true,"channel":"C01","ts":"{ts}"}}"#));
    let busy = answer("429 Too Many Requests\r\nRetry-After: 2", "");
    let answers = [posted("1.01"), busy, posted("1.01"), posted("1.02")];
    let loopback = Loopback::new(&answers.each_ref().map(String::as_str));
    let mut path = Path::new(vec![receiver(slack_bot(Secret::new(loopback.url.clone())))]);
    path.push(ChangeKind::Firing);
    assert_eq!(path.run(), [Outcome::SentAs("C01/1.01".into())]);
    path.push(ChangeKind::Resolved);
    assert_eq!(path.run().last(), Some(&Outcome::SentAs("C01/1.02".into())));

    let requests: Vec<Request> = (0..4).map(|_| loopback.next()).collect();
    let methods: Vec<&str> =
        requests.iter().map(|request| request.line.split(['/', ' ']).nth(6).unwrap()).collect();
    assert_eq!(methods, ["chat.postMessage", "chat.update", "chat.update", "chat.postMessage"]);
    assert!(requests.iter().all(|request| request.headers["authorization"] == "Bearer xoxb-t0ken"));
    let of = |i: usize, key: &str| requests[i].body[key].as_str().unwrap_or_default();
    assert_eq!((of(0, "channel"), of(0, "thread_ts")), ("#ops", ""));
    assert!(of(0, "text").starts_with("FIRING critical"));
    assert_eq!((of(2, "channel"), of(2, "ts")), ("C01", "1.01"));
    assert!(of(2, "text").starts_with("RESOLVED"));
    assert_eq!((of(3, "channel"), of(3, "thread_ts")), ("C01", "1.01"));
    assert_eq!(requests[3].body["reply_broadcast"], false);
    path.courier.stop(LONG);
}

#[test]
fn answers_of_slacks_api() {
    let said = |text: &str| answer("200 OK", text);
    let no = said(r#"{"ok":false,"error":"not_in_channel"}"#);
    assert_eq!(exchange(slack_bot, &[&no]).0, failed("answered not_in_channel"));
    let token = said(r#"{"ok":false,"error":"invalid_auth xoxb-t0ken"}"#);
    let Outcome::Failed { why } = exchange(slack_bot, &[&token]).0 else { panic!() };
    assert!(!why.contains("t0ken"), "{why}");
    let later = answer("429 Too Many Requests\r\nRetry-After: 30", r#"{"ok":false,"error":"ratelimited"}"#);
    assert!(matches!(exchange(slack_bot, &[&later]).0, Outcome::Retry { after: Some(30_000), .. }));

    // A thread that is gone: the message stands by itself.
    let mut item = Item::new(News::Repeated, alert());
    item.thread = Some(Thread { name: "C01/1.01".into(), alone: true });
    let gone = said(r#"{"ok":false,"error":"thread_not_found"}"#);
    let loopback = Loopback::new(&[&gone, &said(r#"{"ok":true,"channel":"C01","ts":"2.01"}"#)]);
    let receiver = receiver(slack_bot(Secret::new(loopback.url.clone())));
    let delivery = render(&notification(vec![item]), &receiver, &about()).unwrap();
    assert_eq!(deliver(&delivery, LONG), Outcome::SentAs("C01/2.01".into()));
    assert_eq!(loopback.next().body["thread_ts"], "1.01");
    assert_eq!(loopback.next().body.get("thread_ts"), None);
}

fn alertmanager(urls: &[&str]) -> ReceiverKind {
    let urls = urls.iter().map(|url| Secret::new((*url).to_owned())).collect();
    ReceiverKind::Alertmanager { urls, bearer_token: None, resend: 60_000 }
}

#[test]
fn every_peer_is_told_and_one_is_enough() {
    let ok = answer("200 OK", "");
    let (one, two) = (Loopback::new(&[&ok]), Loopback::new(&[&answer("500 Oops", "")]));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    let all = receiver(alertmanager(&[&closed, &two.url, &one.url]));
    assert_eq!(sent(&all, LONG), Outcome::Sent);
    assert_eq!(two.next().line, "POST /services/T0AA/B0BB/s3cret/api/v2/alerts HTTP/1.1");
    let alerts = one.next().body;
    assert_eq!(alerts[0]["labels"]["alertname"], "errors");
    assert_eq!(alerts[0]["startsAt"], "2026-11-01T00:22:30Z");
    // Four re-sends from when it was put together.
    assert_eq!(alerts[0]["endsAt"], "2026-11-01T00:26:32Z");

    let refuses = Loopback::new(&[&answer("400 Bad Request", "bad")]);
    assert!(matches!(sent(&receiver(alertmanager(&[&closed, &refuses.url])), LONG), Outcome::Retry { .. }));
    let refuses = Loopback::new(&[&answer("400 Bad Request", "bad")]);
    assert_eq!(sent(&receiver(alertmanager(&[&refuses.url])), LONG), failed("answered 400: bad"));
}

fn http(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LONG)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Debian's, on a port of its own; it ends with the test.
fn start_alertmanager() -> Option<((support::Process, tempfile::TempDir), String)> {
    let program = support::program("prometheus-alertmanager")?;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("alertmanager.yml");
    std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n- name: nobody\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = std::process::Command::new(program);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.path().display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let server = support::Process::start(&mut command);
    let ready = || http(&address, "/-/ready").is_some_and(|(status, _)| status == 200);
    eventually("Alertmanager is ready", ready);
    Some(((server, folder), address))
}

/// Debian's Alertmanager takes what it is sent, takes the same again for the same, and knows when it is over.
#[test]
fn a_real_alertmanager() {
    let Some((_server, address)) = start_alertmanager() else {
        return support::skip("no Alertmanager (Debian: prometheus-alertmanager)");
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Millis::try_from(now.as_millis()).unwrap();
    let mut path = Path::new(vec![receiver(alertmanager(&[&format!("http://{address}")]))]);
    path.now = now;
    let mut alert = Alert { started: now - 30_000, fired: now, ..alert() };
    alert.labels.push(("exit-ip".into(), "192.0.2.7\n\u{1b}".into()));
    let known = || -> Vec<Value> {
        let (status, text) = http(&address, "/api/v2/alerts").unwrap();
        assert_eq!(status, 200);
        serde_json::from_str(&text).unwrap()
    };
    let tell = |path: &mut Path, at: Millis| {
        let due = path.outbox.due(at);
        assert_eq!(due.len(), 1);
        path.courier.send(render(&due[0], &path.receivers[0], &about()).unwrap()).unwrap();
        let done = path.done.recv_timeout(LONG).unwrap();
        assert_eq!(done.outcome, Outcome::Sent);
        path.outbox.done(done.id, &done.outcome, at);
    };

    path.outbox.push(Change { kind: ChangeKind::Firing, at: now, alert: alert.clone() }, now);
    tell(&mut path, now);
    let first = known();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0]["labels"]["alertname"], "errors");
    assert_eq!(first[0]["labels"]["exit_ip"], "192.0.2.7\\u{a}\\u{1b}");
    assert_eq!(first[0]["status"]["state"], "active");
    let ends = |alert: &Value| {
        let text = alert["endsAt"].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    };
    assert!((ends(&first[0]) - now - 240_000).abs() < 1_000, "{first:?}");

    // A minute later: the same alert, for longer.
    tell(&mut path, now + 60_000);
    let second = known();
    assert_eq!((second.len(), &second[0]["fingerprint"]), (1, &first[0]["fingerprint"]));
    assert_eq!(second[0]["startsAt"], first[0]["startsAt"]);
    assert!((ends(&second[0]) - ends(&first[0]) - 60_000).abs() < 1_000, "{second:?}");

    alert.state = State::Resolved;
    alert.resolved = Some(now);
    path.outbox.push(Change { kind: ChangeKind::Resolved, at: now, alert }, now + 61_000);
    tell(&mut path, now + 61_000);
    assert_eq!(known(), Vec::<Value>::new(), "what is over is no longer listed");
    tell(&mut path, now + 121_000);
    assert_eq!(known(), Vec::<Value>::new());
    path.courier.stop(LONG);
}

/// Waits for what another process does.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(25), "{what}: not within 25 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A shell script as a receiver.
fn script(folder: &std::path::Path, text: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("page");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn run_script(text: &str, args: &[&str], timeout: Millis) -> (Outcome, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), &format!("cd {}\n{text}", folder.path().display()));
    let args = args.iter().map(|arg| Secret::new((*arg).to_owned())).collect();
    (sent(&receiver(ReceiverKind::Exec { program, args, timeout }), LONG), folder)
}

#[test]
fn a_program_gets_json_and_nothing_else() {
    let text = "cat > input; env > env; printf '%s\\n' \"$@\" > args; pwd > /dev/null";
    let (outcome, folder) = run_script(text, &["--team", "$(reboot) `x` ; ops"], 10_000);
    assert_eq!(outcome, Outcome::Sent);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let body: Value = serde_json::from_str(&read("input")).unwrap();
    assert_eq!((body["version"].as_str(), body["status"].as_str()), (Some("4"), Some("firing")));
    assert_eq!(read("args"), "--team\n$(reboot) `x` ; ops\n");
    let env = read("env");
    let mut names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    // `sh` sets the rest by itself.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    let ours =
        ["GATEWATCH_KEY", "GATEWATCH_RECEIVER", "GATEWATCH_SEVERITY", "GATEWATCH_STATUS", "LANG", "PATH"];
    assert_eq!(names, ours);
}

#[test]
fn exit_codes() {
    let why = |text: &str| failed(text);
    let cases = [
        ("exit 0", Outcome::Sent),
        // One that reads nothing of 64 KiB and more is no error.
        ("exec <&-; exit 0", Outcome::Sent),
        ("echo no such team: t0ken-of-ours >&2; exit 1", why("exit code 1: no such team: …")),
        ("exit 75", retry(None, "exit code 75")),
        ("kill -9 $$", perhaps(None, "killed by signal 9")),
        ("head -c 300000 /dev/zero >&2; exit 0", Outcome::Sent),
    ];
    for (text, expected) in cases {
        let (outcome, _folder) = run_script(text, &["t0ken-of-ours"], 10_000);
        assert_eq!(outcome, expected, "{text}");
    }
    let program = "/absent/page".into();
    let absent = receiver(ReceiverKind::Exec { program, args: Vec::new(), timeout: 1_000 });
    assert!(matches!(sent(&absent, LONG), Outcome::Failed { why } if why.starts_with("cannot be started")));
}

#[test]
fn a_program_that_hangs_ends_with_all_it_started() {
    let (outcome, folder) = run_script("sleep 300 & echo $! > child; wait", &[], 1_000);
    let Outcome::Retry { why, may_have_arrived: true, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(why, "took longer than 1 s and was killed");
    let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
    // Gone, or a zombie of whoever adopts it.
    eventually("the child is killed", || state().map_or(true, |stat| stat.contains(") Z ")));
}

/// What a program holds open of its standard error after its end is not waited for.
#[test]
fn a_program_that_leaves_a_child_behind() {
    let before = Instant::now();
    let (outcome, folder) = run_script("sleep 3 & echo $! > child; exit 0", &[], 60_000);
    assert_eq!(outcome, Outcome::Sent);
    assert!(before.elapsed() < Duration::from_secs(3));
    drop(folder);
}

/// The journal's own protocol: a field a line, or its length first.
fn fields(mut datagram: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while !datagram.is_empty() {
        let end = datagram.iter().position(|b| *b == b'\n').unwrap();
        let line = std::str::from_utf8(&datagram[..end]).unwrap();
        datagram = &datagram[end + 1..];
        if let Some((name, value)) = line.split_once('=') {
            fields.insert(name.to_owned(), value.to_owned());
        } else {
            let (length, rest) = datagram.split_at(8);
            let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
            fields.insert(line.to_owned(), String::from_utf8(rest[..length].to_vec()).unwrap());
            assert_eq!(rest[length], b'\n');
            datagram = &rest[length + 1..];
        }
    }
    fields
}

#[test]
fn the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let journal = || receiver(ReceiverKind::Journald { socket: path.clone() });
    let Outcome::Retry { may_have_arrived: false, .. } = sent(&journal(), LONG) else { panic!() };
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(sent(&journal(), LONG), Outcome::Sent);
    let mut buffer = vec![0; 1 << 20];
    let length = socket.recv(&mut buffer).unwrap();
    let entry = fields(&buffer[..length]);
    let of = |name: &str| entry[name].as_str();
    assert!(of("MESSAGE").starts_with("FIRING critical: be_img/srv3 fails 20.9 % (normal 0.4 %)\n1,058 of"));
    assert_eq!((of("PRIORITY"), of("SYSLOG_IDENTIFIER")), ("2", "gatewatch"));
    assert_eq!((of("GATEWATCH_STATUS"), of("GATEWATCH_RULE")), ("firing", "errors"));
    assert_eq!(of("GATEWATCH_LABEL_UPSTREAM"), "be_img/srv3");
    assert!(entry.keys().all(|name| name.len() <= 64 && !name.starts_with('_')));
}

#[test]
fn no_answer_is_tried_again_and_names_no_secret() {
    let silent = Loopback::new(&[""]);
    let cut = Loopback::new(&["HTTP/1.1 20"]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases = [
        (silent.url, Duration::from_millis(50), "timed out"),
        (cut.url, LONG, "connection"),
        (format!("http://{closed}/services/T0AA/s3cret"), LONG, "refused"),
    ];
    for (url, timeout, word) in cases {
        let Outcome::Retry { after: None, why, .. } = sent(&webhook(&url), timeout) else { panic!("{url}") };
        assert!(why.contains(word), "{why}");
        assert!(!why.contains("s3cret") && !why.contains("T0AA") && !why.contains("http://"), "{why}");
    }
    let Outcome::Failed { why } = sent(&webhook("no url at all/s3cret"), LONG) else { panic!() };
    assert!(!why.contains("s3cret"), "{why}");
}

/// The outbox and the thread, with a clock of their own: nobody waits for a backoff.
struct Path {
    outbox: Outbox,
    courier: Courier,
    done: mpsc::Receiver<Done>,
    receivers: Vec<Receiver>,
    now: Millis,
}

impl Path {
    fn new(receivers: Vec<Receiver>) -> Path {
        let (send, done) = mpsc::channel();
        let courier = Courier::start(move |one| drop(send.send(one))).unwrap();
        let rules = [Rule::new("errors", "ratio", vec![(Severity::Critical, 0.2)])];
        Path { outbox: Outbox::new(&receivers, &rules, 1), courier, done, receivers, now: T }
    }

    fn push(&mut self, kind: ChangeKind) {
        let mut alert = alert();
        if kind == ChangeKind::Resolved {
            alert.state = State::Resolved;
        }
        self.outbox.push(Change { kind, at: self.now, alert }, self.now);
    }

    /// Sends what is due, and goes on to the next that will be, until nothing is for an hour.
    fn run(&mut self) -> Vec<Outcome> {
        let end = self.now + 3_600_000;
        let mut outcomes = Vec::new();
        while let Some(next) = self.outbox.next_due().filter(|next| *next < end) {
            self.now = self.now.max(next);
            let due = self.outbox.due(self.now);
            for notification in &due {
                let receiver = self.receivers.iter().find(|r| r.name == notification.receiver).unwrap();
                self.courier.send(render(notification, receiver, &about()).unwrap()).unwrap();
            }
            for _ in &due {
                let done = self.done.recv_timeout(LONG).unwrap();
                self.outbox.done(done.id, &done.outcome, self.now);
                outcomes.push(done.outcome);
            }
        }
        outcomes
    }
}

#[test]
fn firing_and_resolved_arrive_once_each_over_a_bad_line() {
    let answers = [
        answer("500 Internal Server Error", ""),
        answer("429 Too Many Requests\r\nRetry-After: 30", ""),
        answer("200 OK", ""),
        answer("502 Bad Gateway", ""),
        answer("200 OK", ""),
    ];
    let loopback = Loopback::new(&answers.each_ref().map(String::as_str));
    let mut path = Path::new(vec![webhook(&loopback.url)]);
    path.push(ChangeKind::Firing);
    let outcomes = path.run();
    assert_eq!((outcomes.len(), outcomes.last()), (3, Some(&Outcome::Sent)));
    assert!(path.now - T >= 30_000, "Retry-After");
    path.push(ChangeKind::Resolved);
    assert_eq!(path.run().len(), 2);

    let requests: Vec<Request> = (0..5).map(|_| loopback.next()).collect();
    let statuses: Vec<&str> =
        requests.iter().map(|request| request.body["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["firing", "firing", "firing", "resolved", "resolved"]);
    let key = |i: usize| &requests[i].headers["idempotency-key"];
    assert!(key(0) == key(1) && key(1) == key(2) && key(2) != key(3) && key(3) == key(4));
    assert_eq!(requests[4].body["alerts"][0]["status"], "resolved");
    let counters = path.outbox.counters();
    assert_eq!((counters.sent, counters.retried, path.outbox.pending()), (2, 3, 0));
    path.courier.stop(LONG);
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody() {
    let hangs = Loopback::new(&[""]);
    let works = Loopback::new(&[&answer("200 OK", "ok")]);
    let mut path =
        Path::new(vec![webhook(&hangs.url), Receiver { name: "chat".into(), ..slack(&works.url) }]);
    path.push(ChangeKind::Firing);
    let due = path.outbox.due(T);
    assert_eq!(due.len(), 2);
    for notification in &due {
        let receiver = path.receivers.iter().find(|r| r.name == notification.receiver).unwrap();
        path.courier.send(render(notification, receiver, &about()).unwrap()).unwrap();
    }
    let done = path.done.recv_timeout(LONG).unwrap();
    assert_eq!(done.outcome, Outcome::Sent);
    hangs.next();
    let before = Instant::now();
    path.courier.stop(Duration::from_millis(20));
    assert!(before.elapsed() < Duration::from_secs(4));
    // What was given up is owed still.
    assert_eq!(path.outbox.pending(), 2);
}

#[test]
fn what_is_under_way_at_the_end_still_arrives() {
    let works = Loopback::new(&[&answer("200 OK", "ok")]);
    let (send, done) = mpsc::channel();
    let courier = Courier::start(move |one| drop(send.send(one))).unwrap();
    courier.send(delivery(&slack(&works.url))).unwrap();
    courier.stop(LONG);
    assert_eq!(done.recv().unwrap(), Done { id: 7, receiver: "ops".into(), outcome: Outcome::Sent });
    assert!(done.recv().is_err(), "the thread is gone");
}

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn guarded(url: &str) -> Receiver {
    receiver(ReceiverKind::Webhook {
        url: Secret::new(url.into()),
        bearer_token: Some(Secret::new("t0ken-of-ours".into())),
        secret: Some(SigningSecret::read(WHSEC).unwrap()),
    })
}

#[test]
fn signed_and_with_a_token() {
    let loopback = Loopback::new(&[&answer("503 Busy", ""), &answer("204 No Content", "")]);
    let receiver = guarded(&loopback.url);
    assert_eq!(sent(&receiver, LONG), retry(None, "answered 503"));
    assert_eq!(sent(&receiver, LONG), Outcome::Sent);
    for _ in 0..2 {
        let request = loopback.next();
        let header = |name: &str| request.headers[name].as_str();
        assert_eq!(header("authorization"), "Bearer t0ken-of-ours");
        assert_eq!(header("webhook-id"), "gw-00c0ffee00c0ffee");
        assert_eq!(header("idempotency-key"), header("webhook-id"));
        let timestamp: i64 = header("webhook-timestamp").parse().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!((0..=300).contains(&(now.cast_signed() - timestamp)));
        let signature =
            SigningSecret::read(WHSEC).unwrap().sign(header("webhook-id"), timestamp, &request.text);
        assert_eq!(header("webhook-signature"), signature);
    }
}

/// A redirect could lead anywhere, the metadata of a cloud machine for one, with the message in hand.
#[test]
fn no_redirect_is_followed() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"]
    {
        let target = Loopback::new(&[&answer("200 OK", "ok")]);
        let first = Loopback::new(&[&answer(&format!("{status}\r\nLocation: {}", target.url), "")]);
        let outcome = sent(&webhook(&first.url), LONG);
        assert!(matches!(&outcome, Outcome::Failed { why } if why.contains("not followed")), "{outcome:?}");
        first.next();
        assert!(target.is_quiet() && first.is_quiet(), "{status}");
    }
}

#[test]
fn no_error_names_a_secret() {
    let echo = "Bearer t0ken-of-ours, /services/T0AA/B0BB/s3cret?token=q7ery";
    let echoes = Loopback::new(&[&answer("401 Unauthorized", echo)]);
    let plain = Loopback::new(&[""]);
    let port = plain.url.split(['/', ':']).nth(4).unwrap().to_owned();
    let urls = [
        // An answer that repeats what it got.
        format!("{}?token=q7ery", echoes.url),
        // No such name.
        "http://nobody.invalid/services/T0AA/s3cret?token=q7ery".to_owned(),
        "https://user:hunter22@nobody.invalid/services/T0AA/s3cret".to_owned(),
        // No TLS there, and then nothing at all.
        format!("https://127.0.0.1:{port}/services/T0AA/s3cret"),
        // No URL.
        "http://[::1/services/T0AA/s3cret".to_owned(),
        "s3cret".to_owned(),
    ];
    for url in &urls {
        let outcome = sent(&guarded(url), Duration::from_millis(1_500));
        let (Outcome::Retry { why, .. } | Outcome::Failed { why }) = &outcome else { panic!("{outcome:?}") };
        let everything = format!("{why} {:?} {:?}", outcome, delivery(&guarded(url)));
        for secret in ["s3cret", "T0AA", "q7ery", "hunter22", "t0ken", "MfKQ9r8"] {
            assert!(!everything.contains(secret), "{secret}: {everything}");
        }
        assert!(why.len() > 5, "{why}");
    }
}

/// The environment's proxy would see every message. In a process of its own, since the environment is everybody's.
#[test]
fn only_a_configured_proxy_is_asked() {
    const MARK: &str = "GATEWATCH_TEST_PROXIED";
    if std::env::var_os(MARK).is_none() {
        let trap = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", trap.local_addr().unwrap());
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "only_a_configured_proxy_is_asked"]).env(MARK, "1");
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            again.env(name, &proxy);
        }
        assert!(again.output().unwrap().status.success());
        trap.set_nonblocking(true).unwrap();
        assert!(trap.accept().is_err(), "it was asked");
        return;
    }
    let direct = Loopback::new(&[&answer("200 OK", "")]);
    assert_eq!(sent(&webhook(&direct.url), LONG), Outcome::Sent);
    assert!(direct.next().line.starts_with("POST /services"));
    let proxy = Loopback::new(&[&answer("200 OK", "")]);
    let proxied = webhook("http://receiver.invalid/hook");
    assert_eq!(
        sent(&Receiver { proxy: Some(Secret::new(proxy.url.clone())), ..proxied }, LONG),
        Outcome::Sent
    );
    assert_eq!(proxy.next().line, "POST http://receiver.invalid/hook HTTP/1.1");
}

/// An answer without end: only its beginning is read, and nobody waits for the rest.
#[test]
fn an_endless_answer_is_read_to_a_cap() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let written = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read(&stream).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 99999999999\r\n\r\n").unwrap();
        let block = vec![b'x'; 64 << 10];
        (0..16_384).take_while(|_| stream.write_all(&block).is_ok()).count()
    });
    let before = Instant::now();
    let Outcome::Failed { why } = sent(&webhook(&url), LONG) else { panic!() };
    assert!(why.len() < 400 && before.elapsed() < LONG / 2, "{why}");
    assert!(written.join().unwrap() < 1_000, "the connection is closed");
}

/// What a message says of a request, and what the outbox keeps of it.
#[test]
fn no_query_string_is_sent_or_kept() {
    let mut bad = alert();
    for sample in &mut bad.samples {
        let line = format!("GET /x?token=abc123 HTTP/1.1 {}", sample.line);
        sample.line = gatewatch_rules::redact::redact(line.as_bytes());
    }
    let mut outbox = Outbox::new(&[webhook("http://127.0.0.1:9/T0AA/s3cret")], &[], 1);
    outbox.push(Change { kind: ChangeKind::Firing, at: T, alert: bad }, T);
    let due = outbox.due(T);
    let rendered = format!("{:?}", render(&due[0], &webhook("http://127.0.0.1:9/x"), &about()).unwrap());
    let state = serde_json::to_string(outbox.state()).unwrap();
    for (name, text) in [("message", &rendered), ("state", &state)] {
        assert!(text.contains("GET /x?"), "{name}: {text}");
        for secret in ["abc123", "s3cret", "T0AA", "http://127.0.0.1"] {
            assert!(!text.contains(secret), "{name}: {secret}");
        }
    }
}
