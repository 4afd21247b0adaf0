//! Webhook and Slack against a loopback receiver that answers as told, alone and with the outbox and its thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch::delivery::outbox::Outbox;
use gatewatch::delivery::send::send;
use gatewatch::delivery::{Courier, Done};
use gatewatch::message::About;
use gatewatch::notification::{Item, News, Notification, Outcome, Subject};
use gatewatch::notifiers::{Delivery, render};
use gatewatch::receiver::{Receiver, ReceiverKind, Secret};
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
    Some(Request { line, headers, body: serde_json::from_slice(&body).ok()? })
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
    let item = Item { news: News::Firing, reopened: 0, alert: alert() };
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
