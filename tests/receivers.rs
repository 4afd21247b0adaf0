//! Webhook and Slack against a loopback receiver that answers as told, alone and with the outbox and its thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch::delivery::outbox::Outbox;
use gatewatch::delivery::send::send;
use gatewatch::delivery::{Courier, Done};
use gatewatch::message::About;
use gatewatch::notification::{Item, News, Notification, Outcome, Subject};
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

fn delivery(receiver: &Receiver) -> Delivery {
    let item = Item::new(News::Firing, alert());
    let (name, key) = ("ops".into(), "gw-00c0ffee00c0ffee".into());
    let subject = Subject::Rule("errors".into());
    let notification =
        Notification { id: 7, key, receiver: name, subject, at: T, items: vec![item], totals: None };
    render(&notification, receiver, &about()).unwrap()
}

fn sent(receiver: &Receiver, timeout: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(send(&delivery(receiver), timeout))
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
