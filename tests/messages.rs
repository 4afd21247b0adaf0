//! What people and machines are sent, as golden files: `UPDATE_GOLDEN=1 cargo test --test messages` writes them anew.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch::message::{About, Message};
use gatewatch::notification::{Item, News, Notification, Subject, Thread, Totals, trial::trial};
use gatewatch::notifiers::{NOTIFIERS, Payload, Request, html, render};
use gatewatch::receiver::{EmailSettings, Receiver, ReceiverKind, Secret, Templates, Tls};
use gatewatch_parsers::{Happened, Millis, Origin, Reason, Zone};
use gatewatch_rules::alert::{Alert, End, Kind, State};
use gatewatch_rules::around::Around;
use gatewatch_rules::clues::{Found, Pile};
use gatewatch_rules::incident::{Affected, Envelope, Place};
use gatewatch_rules::rule::{Counts, Severity};
use gatewatch_rules::servers::Server;
use gatewatch_rules::two_way::Finding;
use gatewatch_rules::window::Point;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const MINUTE: Millis = 60_000;

fn alert() -> Alert {
    serde_json::from_str(include_str!("messages/alert.json")).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn over(mut alert: Alert, end: End) -> Alert {
    alert.state = State::Resolved;
    alert.end = Some(end);
    alert.last_bad = alert.started + 5 * MINUTE;
    alert.resolved = Some(alert.last_bad + 2 * MINUTE);
    (alert.errors, alert.requests, alert.peak) = (14_946, 25_016, 0.611);
    (alert.window_errors, alert.window_requests) = (14, 5_011);
    alert.reasons = vec![(Reason::ConnectionTerminated, 14_810), (Reason::ConnectionFailed, 136)];
    alert.origins = vec![(Origin::Proxy, 14_946)];
    alert
}

/// Of a pool of forward proxies; a target's name is whatever a log says.
fn exits() -> Alert {
    let exit = Finding::Exit {
        exit: "203.0.113.7".into(),
        provider: "globex".into(),
        bad: 38,
        of: 40,
        is_bad: true,
    };
    let target = Finding::Target {
        target: "<!channel> *shop*\r\n.example".into(),
        bad: 61,
        of: 64,
        refused: Some([93, 0, 87]),
        is_bad: true,
    };
    let labels = labels(&[("exit_ip", "203.0.113.7"), ("provider", "globex")]);
    Alert { labels, findings: vec![exit, target], ..alert() }
}

fn item(news: News, alert: Alert) -> Item {
    Item::new(news, alert)
}

fn notification(items: Vec<Item>) -> Notification {
    let at = items.iter().map(|item| item.alert.resolved.unwrap_or(item.alert.fired)).max().unwrap() + 2_000;
    Notification {
        id: 1,
        key: "gw-00c0ffee00c0ffee".into(),
        receiver: "ops".into(),
        subject: Subject::Rule("errors".into()),
        at,
        items,
        totals: None,
    }
}

fn summary(subject: Subject, items: &[Item], incidents: u64) -> Notification {
    let from = items.iter().map(|item| item.alert.started).min().unwrap();
    let to = items.iter().filter_map(|item| item.alert.resolved).max().unwrap();
    let totals = Some(Totals { incidents, from, to });
    Notification { subject, totals, ..notification(items.to_vec()) }
}

fn twelve() -> Vec<Item> {
    (0..12_u32)
        .map(|n| {
            let mut alert = alert();
            let server = format!("be_img/srv{n}");
            alert.labels = labels(&[("input", "edge"), ("pool", "be_img"), ("upstream", &server)]);
            alert.fingerprint = format!("4f2a9c31d07b{n:04x}");
            alert.incident = format!("{n:04x}-1");
            alert.window_errors = 1_058 - u64::from(n) * 60;
            alert.severity = if n < 8 { Severity::Critical } else { Severity::Warning };
            alert.above = if n < 8 { 0.2 } else { 0.05 };
            (alert.share_of_errors, alert.share_of_requests) = (1.0 / 12.0, 1.0 / 12.0);
            item(News::Firing, alert)
        })
        .collect()
}

fn hostile() -> Notification {
    let mut alert = alert();
    let long = "x".repeat(5_000);
    alert.rule = "errors\r\nBcc: all@example.net".into();
    alert.labels = labels(&[
        ("site", "<!channel> *bold* `code` <b>\"&'\r\nBcc: all@example.net\r\n\r\n$(reboot)'; rm -rf ~ #"),
        ("exit_ip", &long),
        ("node", "\u{202e}gnp.exe\u{200b}\u{1b}[2J"),
    ]);
    alert.rule_labels = labels(&[("alertname", "another"), ("team", "<script>alert(1)</script>")]);
    alert.runbook = Some("javascript:alert(1)//\"><img src=x onerror=alert(2)>|x>".into());
    for (i, sample) in alert.samples.iter_mut().enumerate() {
        let ends =
            "``` <!here> @channel <https://evil.example|login> </pre><script>alert(1)</script> \u{7} &amp;";
        sample.line = if i == 0 { ends.into() } else { format!("{long}\r\n.\r\nQUIT") };
    }
    Notification {
        subject: Subject::Rule(alert.rule.clone()),
        ..notification(vec![item(News::Firing, alert)])
    }
}

fn counted() -> Alert {
    let mut alert = alert();
    alert.rule = "any-504".into();
    alert.labels = labels(&[("region", "eu-fra"), ("upstream", "10.0.0.3:8080")]);
    (alert.is_count, alert.above, alert.window) = (true, 20.0, 5 * MINUTE);
    (alert.window_errors, alert.window_requests, alert.recent) = (31, 40_112, (4, 2_410));
    alert.reasons = vec![(Reason::ConnectionReadTimeout, 20), (Reason::UpstreamResponse, 11)];
    alert.origins = vec![(Origin::Proxy, 20), (Origin::Upstream, 11)];
    alert.statuses = vec![(504, 31)];
    (alert.severity, alert.normal) = (Severity::Warning, None);
    (alert.share_of_errors, alert.share_of_requests) = (1.0, 0.25);
    alert
}

/// One of each kind that has words of its own.
fn kinds() -> Vec<(&'static str, Notification)> {
    let spike = Alert { kind: Kind::Spike { times: 3.0 }, above: 0.012, ..alert() };
    let mut burn =
        Alert { kind: Kind::BurnRate { slo: 0.999 }, above: 0.0144, window: 60 * MINUTE, ..alert() };
    (burn.window_errors, burn.window_requests, burn.rule) = (6_108, 301_000, "slo".into());
    let mut absent = Alert { kind: Kind::Absent, above: 0.0, severity: Severity::Warning, ..alert() };
    (absent.labels, absent.rule) = (labels(&[("input", "edge")]), "silent".into());
    (absent.window, absent.window_errors, absent.window_requests) = (2 * MINUTE, 203, 203);
    (absent.started, absent.last_traffic) = (absent.fired - 2 * MINUTE, absent.fired - 2 * MINUTE);
    (absent.statuses, absent.reasons, absent.origins) = (Vec::new(), Vec::new(), Vec::new());
    (absent.samples, absent.recent, absent.normal) = (Vec::new(), (0, 0), None);
    let mut stall =
        Alert { kind: Kind::Stall, above: 0.5, window: 15_000, rule: "hangs".into(), ..absent.clone() };
    (stall.labels, stall.window_errors, stall.window_requests) = (alert().labels, 1_104, 1_199);
    stall.started = stall.fired - 15_000;
    let mut slow = Alert { kind: Kind::Slow { longer_than: 2_000 }, above: 0.05, ..alert() };
    (slow.reasons, slow.origins, slow.rule) = (Vec::new(), Vec::new(), "slow".into());
    let mut was_absent = over(absent.clone(), End::Recovered);
    (was_absent.requests, was_absent.errors) = (1_012, 1_012);
    let mut was_stalled = over(stall.clone(), End::Usual);
    (was_stalled.errors, was_stalled.requests) = (9_000, 24_000);
    let silent = |alert: Alert| Alert { reasons: Vec::new(), origins: Vec::new(), ..alert };
    let (was_absent, was_stalled) = (silent(was_absent), silent(was_stalled));
    let mut unheard = silent(over(absent.clone(), End::Expired));
    (unheard.requests, unheard.errors) = (146_000, 146_000);
    let was_slow = silent(over(slow.clone(), End::Recovered));
    let fires = |alert| notification(vec![item(News::Firing, alert)]);
    let ends = |alert| notification(vec![item(News::Resolved, alert)]);
    vec![
        ("firing_spike", fires(spike)),
        ("firing_burn_rate", fires(burn.clone())),
        ("firing_absent", fires(absent.clone())),
        ("firing_stall", fires(stall)),
        ("firing_slow", fires(slow)),
        ("repeated_absent", notification(vec![item(News::Repeated, absent)])),
        ("resolved_burn_rate", ends(over(burn, End::Recovered))),
        ("resolved_absent", ends(was_absent)),
        ("resolved_slow", ends(was_slow)),
        ("expired_absent", ends(unheard)),
        ("usual", ends(over(alert(), End::Usual))),
        ("usual_stall", ends(was_stalled)),
    ]
}

/// A server that was out for a while and takes requests again; its pool had none left.
fn with_servers() -> Alert {
    let started = alert().started;
    let server = |upstream: &str, changes: &[(i64, Happened)]| Server {
        pool: "be_img".into(),
        upstream: upstream.into(),
        changes: changes.iter().map(|(after, happened)| (started + after * 1_000, *happened)).collect(),
        times: 1,
        detail: "Layer4 connection problem, info: \"Connection refused\"\u{7}".into(),
        ..Server::default()
    };
    let events = vec![
        server("be_img/srv3", &[(5, Happened::Down), (20, Happened::Up)]),
        server("", &[(5, Happened::NoServer)]),
    ];
    Alert { events, in_rotation: Some(419), ..alert() }
}

/// Everything that is known of it beside its own figures.
fn with_evidence() -> Alert {
    let healthy = |n: u32, ratio| (format!("be_img/srv{n}"), ratio);
    let around = Around {
        healthy: vec![healthy(0, 0.003), healthy(1, 0.004), healthy(2, 0.0036)],
        healthy_groups: 9,
        healthy_range: (0.003, 0.005),
        bad_groups: 0,
        pool: Some(("be_img".into(), Point { errors: 1_112, requests: 20_218 })),
        all: Point { errors: 1_330, requests: 60_455 },
        saved: 12,
        others: Point { errors: 54, requests: 15_162 },
    };
    let pile = Pile { millis: 60_000, share: 0.93, just_under: 9 };
    let clues = Found { pile: Some(pile), slow: 40, refused: 0, retryable: (930, 128) };
    let reasons = vec![(Reason::HttpResponseTimeout, 1_034), (Reason::ConnectionFailed, 10)];
    Alert { around: Some(around), clues: Some(clues), reasons, statuses: vec![(504, 1_044)], ..alert() }
}

/// A target that blocks, and hardly anything is well.
fn blocked() -> Alert {
    let around = Around { bad_groups: 3, all: Point { errors: 1_330, requests: 5_455 }, ..Around::default() };
    let clues = Found { refused: 2_310, retryable: (1_058, 0), ..Found::default() };
    let labels = labels(&[("site", "shop.example")]);
    Alert { labels, around: Some(around), clues: Some(clues), ..alert() }
}

fn of_a_node() -> Envelope {
    Envelope {
        place: Place::OwnProxy,
        same: labels(&[("region", "eu-fra")]),
        excess_share: Some(0.974),
        traffic_share: 0.118,
        affected: Some(Affected { label: "upstream".into(), failing: 40, of: 41 }),
        members: 12,
        ..Envelope::opened("0000-1".into(), alert().fired, labels(&[("node", "edge-fra1-03")]))
    }
}

/// Alerts of one fault, told together.
fn incidents() -> [(&'static str, Notification); 3] {
    let of_node: Vec<Item> = twelve()
        .into_iter()
        .map(|item| Item { alert: Alert { envelope: Some(of_a_node()), ..item.alert }, ..item })
        .collect();
    let ended = |item: &Item| Item {
        news: News::Resolved,
        alert: over(item.alert.clone(), End::Recovered),
        ..item.clone()
    };
    let of_node_over: Vec<Item> = of_node.iter().map(ended).collect();
    let together =
        |items| Notification { subject: Subject::Incident("0000-1".into()), ..notification(items) };
    let of_one = Envelope { labels: labels(&[("upstream", "be_img/srv3")]), ..of_a_node() };
    let of_one = Envelope { place: Place::Upstream, affected: None, same: Vec::new(), ..of_one };
    let of_one = Alert { envelope: Some(of_one), ..alert() };
    [
        ("incident", together(of_node)),
        ("incident_over", together(of_node_over)),
        ("incident_of_one", notification(vec![item(News::Firing, of_one)])),
    ]
}

fn cases() -> Vec<(&'static str, Notification)> {
    let mut again = alert();
    again.normal = Some(0.0);
    let mut late = alert();
    (late.detected_late, late.fired) = (true, late.started + 25_000);
    let mut one_of_many = over(alert(), End::Recovered);
    one_of_many.labels = labels(&[("input", "edge"), ("pool", "be_img"), ("upstream", "be_img/srv1")]);
    let mut yesterday = over(alert(), End::Recovered);
    yesterday.started -= 26 * 60 * MINUTE;
    let reopened = Item { reopened: 2, ..item(News::Reopened, again) };
    let missed = [one_of_many.clone(), over(counted(), End::Recovered), yesterday.clone()];
    let missed = missed.map(|alert| item(News::FiredAndResolved, Alert { detected_late: true, ..alert }));
    let mixed = vec![item(News::Firing, alert()), item(News::Resolved, one_of_many)];
    let several = vec![item(News::Firing, alert()), item(News::Firing, counted())];
    let stands_in = Subject::StandsIn { receiver: "chat".into(), since: alert().fired - 7 * MINUTE };
    let escalated = item(News::Escalated { from: Severity::Warning }, alert());
    let mut all = kinds();
    all.extend(incidents());
    all.extend([
        ("firing", notification(vec![item(News::Firing, alert())])),
        ("firing_twelve", notification(twelve())),
        ("firing_count", notification(vec![item(News::Firing, counted())])),
        ("firing_late", notification(vec![item(News::Firing, late)])),
        ("escalated", notification(vec![escalated])),
        ("repeated", notification(vec![item(News::Repeated, alert())])),
        ("reopened", notification(vec![reopened])),
        ("resolved", notification(vec![item(News::Resolved, over(alert(), End::Recovered))])),
        ("resolved_after_midnight", notification(vec![item(News::Resolved, yesterday)])),
        (
            "fired_and_resolved",
            notification(vec![item(News::FiredAndResolved, over(alert(), End::Recovered))]),
        ),
        ("expired", notification(vec![item(News::Resolved, over(alert(), End::Expired))])),
        ("closed", notification(vec![item(News::Resolved, over(alert(), End::Config))])),
        ("mixed", notification(mixed)),
        ("while_down", summary(Subject::WhileDown, &missed, 37)),
        ("while_away", summary(Subject::WhileAway, &missed, 3)),
        ("firing_undercount", notification(vec![item(News::Firing, Alert { undercount: 312, ..alert() })])),
        ("firing_servers", notification(vec![item(News::Firing, with_servers())])),
        ("firing_evidence", notification(vec![item(News::Firing, with_evidence())])),
        ("firing_blocked", notification(vec![item(News::Firing, blocked())])),
        ("firing_exits", notification(vec![item(News::Firing, exits())])),
        ("several", Notification { subject: Subject::Several, ..notification(several) }),
        (
            "introduced",
            Notification { subject: Subject::Introduced, ..notification(vec![item(News::Firing, alert())]) },
        ),
        ("stands_in", Notification { subject: stands_in, ..notification(vec![item(News::Firing, alert())]) }),
        ("hostile", hostile()),
    ]);
    all
}

fn about() -> About {
    About { zone: Zone::Named(chrono_tz::Europe::Berlin), node: "loghost-1".into(), log_file: None }
}

fn receiver(kind: ReceiverKind) -> Receiver {
    Receiver::new("ops", kind)
}

const URL: &str = "https://hooks.example.net/secret";

fn url() -> Secret {
    Secret::new(URL.into())
}

fn email() -> Receiver {
    receiver(ReceiverKind::Email(EmailSettings {
        host: "mail.example.net".into(),
        port: 587,
        tls: Tls::Starttls,
        username: None,
        password: None,
        from: "gatewatch <gatewatch@example.net>".into(),
        to: vec!["duty@example.net".into(), "Ops Nächte <ops@example.net>".into()],
    }))
}

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn teams() -> ReceiverKind {
    ReceiverKind::Teams { url: url() }
}

fn discord() -> ReceiverKind {
    ReceiverKind::Discord { url: url() }
}

fn pagerduty() -> ReceiverKind {
    ReceiverKind::PagerDuty { url: url(), routing_key: secret("routing-key") }
}

fn telegram() -> ReceiverKind {
    let (token, chat) = (secret("123456:t0ken"), "-1001234567890".into());
    ReceiverKind::Telegram { url: secret("https://api.telegram.example"), token, chat, topic: Some(7) }
}

fn ntfy() -> ReceiverKind {
    ReceiverKind::Ntfy { url: secret("https://ntfy.example"), topic: secret("gatewatch"), token: None }
}

fn slack_bot() -> ReceiverKind {
    let token = secret("xoxb-t0ken");
    ReceiverKind::SlackBot { url: secret("https://slack.example/api"), token, channel: "C0123456789".into() }
}

fn alertmanager() -> ReceiverKind {
    let urls = vec![url(), secret("https://am-2.example.net")];
    ReceiverKind::Alertmanager { urls, bearer_token: None, resend: MINUTE }
}

fn journald() -> ReceiverKind {
    ReceiverKind::Journald { socket: "/run/systemd/journal/socket".into() }
}

fn exec() -> ReceiverKind {
    ReceiverKind::Exec { program: "/usr/local/bin/page".into(), args: vec![secret("t0ken")], timeout: 10_000 }
}

/// As they go out; lengths in front of what has several lines.
fn entries(notification: &Notification) -> String {
    match render(notification, &receiver(journald()), &about()).unwrap().payload {
        Payload::Datagrams { datagrams, .. } => {
            let text =
                |one: &Vec<u8>| String::from_utf8_lossy(one).replace('\0', "").replace('\u{fffd}', "?");
            datagrams.iter().map(text).collect::<Vec<_>>().join("\n")
        }
        other => panic!("{other:?}"),
    }
}

fn slack() -> ReceiverKind {
    ReceiverKind::Slack { url: url() }
}

fn posts(notification: &Notification, kind: ReceiverKind) -> Vec<Request> {
    match render(notification, &receiver(kind), &about()).unwrap().payload {
        Payload::Requests(posts) | Payload::Peers(posts) => posts,
        other => panic!("{other:?}"),
    }
}

fn json(request: &Request) -> Value {
    serde_json::from_str(request.body.as_ref().unwrap()).unwrap()
}

fn bodies(notification: &Notification, kind: ReceiverKind) -> Vec<Value> {
    posts(notification, kind).iter().map(json).collect()
}

fn posted(notification: &Notification, kind: ReceiverKind) -> Value {
    let bodies = bodies(notification, kind);
    assert_eq!(bodies.len(), 1);
    bodies[0].clone()
}

fn mailed(notification: &Notification) -> String {
    match render(notification, &email(), &about()).unwrap().payload {
        Payload::Mail { message, .. } => String::from_utf8(message.formatted()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// As if the receiver had been told of each before, by itself.
fn in_thread(notification: &Notification) -> Notification {
    let mut notification = notification.clone();
    for (n, item) in notification.items.iter_mut().enumerate() {
        item.thread = Some(Thread { name: format!("C01/1793492552.{n:06}"), alone: true });
    }
    notification
}

/// The words are those of all kinds; what is each kind's own shows in these.
const FORMS: [&str; 6] = ["firing", "firing_twelve", "resolved", "mixed", "while_down", "hostile"];

#[test]
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, notification) in cases() {
        let message = Message::of(&notification, &about());
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
        let posted = |kind| pretty(&posted(&notification, kind));
        let mut files = vec![
            ("webhook.json", posted(ReceiverKind::webhook(URL))),
            ("slack.json", posted(slack())),
            ("txt", format!("Subject: {}\n\n{}\n{}", message.subject, message.headline, message.text())),
            ("html", html::page(&message)),
            ("eml", mailed(&notification).replace("\r\n", "\n")),
        ];
        if FORMS.contains(&name) {
            files.extend([
                ("teams.json", posted(teams())),
                ("discord.json", posted(discord())),
                ("telegram.json", posted(telegram())),
                ("ntfy.json", posted(ntfy())),
                ("pagerduty.json", pretty(&bodies(&notification, pagerduty()).into())),
                ("slack_bot.json", pretty(&bodies(&in_thread(&notification), slack_bot()).into())),
                ("alertmanager.json", pretty(&bodies(&notification, alertmanager())[0])),
                ("journald.txt", entries(&notification)),
            ]);
        }
        for (extension, text) in files {
            let path = folder.join(format!("{name}.{extension}"));
            if update {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &text).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                wrong.push(path);
            }
        }
    }
    assert!(wrong.is_empty(), "not as written: {wrong:#?}");
}

/// Limits of Slack and of headers hold for every case, and nothing from a log gets through as markup.
#[test]
fn limits() {
    for (name, notification) in cases() {
        let message = Message::of(&notification, &about());
        assert!(message.headline.chars().count() <= 150, "{name}");
        assert!(message.subject.chars().count() <= 120, "{name}");
        assert!(!message.subject.contains(['\r', '\n']), "{name}");
        let slack = posted(&notification, slack());
        let blocks = slack["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{name}");
        for block in blocks {
            let max = if block["type"] == "header" { 150 } else { 3_000 };
            let text = block["text"]["text"].as_str().or_else(|| block["elements"][0]["text"].as_str());
            let text = text.unwrap_or_default();
            assert!(text.chars().count() <= max, "{name}: {block}");
            for mention in ["<!", "<@", "<#"] {
                assert!(!text.contains(mention), "{name}: {block}");
            }
        }
        let page = html::page(&message);
        for tag in ["<script", "<img", "<b>", "href=\"javascript"] {
            assert!(!page.contains(tag), "{name}: {tag}");
        }
        let mail = mailed(&notification);
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(head.lines().all(|line| line.len() <= 998 && !line.starts_with("Bcc")), "{name}:\n{head}");
        let body = posted(&notification, ReceiverKind::webhook(URL));
        for alert in body["alerts"].as_array().unwrap() {
            for value in alert["labels"].as_object().unwrap().values() {
                assert!(!value.as_str().unwrap().contains(['\r', '\n', '\u{1b}', '\u{202e}']), "{name}");
            }
        }
    }
}

#[test]
fn what_is_not_an_error_of_the_proxy_has_its_own_words() {
    let words = [
        (Counts::GatewayErrors, "fails 20.9 %", "users see 502"),
        (Counts::FailedAttempts, "fails 20.9 % of its tries", "1,058 of 5,056 tries in 1 min"),
        (Counts::Masked, "needs a retry for 20.9 %", "users do not see it"),
        (Counts::Abandoned, "loses 20.9 % of its clients before an answer", "users leave without an answer"),
        (Counts::Aborted, "cuts 20.9 % of its answers short", "end too early"),
    ];
    for (counts, head, lead) in words {
        let alert = Alert { counts, ..alert() };
        let message = Message::of(&notification(vec![item(News::Firing, alert)]), &about());
        assert!(message.headline.contains(head), "{}", message.headline);
        assert!(message.sections[0].lead.join("\n").contains(lead), "{:?}", message.sections[0].lead);
    }
}

fn text<'v>(value: &'v Value, at: &str) -> &'v str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// All cases, and one that is as long as a message can be.
fn worst() -> Vec<(&'static str, Notification)> {
    let mut all = cases();
    let many = (0..200_u32).map(|n| {
        let mut one = hostile().items.remove(0);
        one.alert.labels.push(("upstream".into(), format!("{n}{}", "<&>\"\u{1f525}*_`".repeat(40))));
        one.alert.fingerprint = format!("{n:016x}");
        one
    });
    all.push(("many_hostile", Notification { subject: Subject::Several, ..notification(many.collect()) }));
    all
}

/// 28 KB, and no markdown at all: text stands in runs, which read none.
#[test]
fn limits_of_teams() {
    for (name, notification) in worst() {
        let post = posts(&notification, teams()).remove(0);
        let length = post.body.as_ref().unwrap().len();
        assert!(length <= 28 << 10, "{name}: {length}");
        if let Some(instead) = &post.instead {
            assert!(instead.len() < length, "{name}: {}", instead.len());
        }
        for body in [&post.body, &post.instead].into_iter().flatten() {
            let card: Value = serde_json::from_str(body).unwrap();
            let content = &card["attachments"][0]["content"];
            assert_eq!(card["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
            assert_eq!((text(content, "/type"), text(content, "/version")), ("AdaptiveCard", "1.2"));
            for block in content["body"].as_array().unwrap() {
                assert_eq!(block["type"], "RichTextBlock", "{name}");
                for run in block["inlines"].as_array().unwrap() {
                    assert_eq!(run["type"], "TextRun", "{name}");
                    let link = text(run, "/selectAction/url");
                    assert!(link.is_empty() || link.starts_with("https://"), "{name}: {link}");
                }
            }
        }
    }
}

#[test]
fn limits_of_discord() {
    for (name, notification) in worst() {
        let body = posted(&notification, discord());
        assert_eq!(body["allowed_mentions"], serde_json::json!({ "parse": [] }), "{name}");
        assert!(utf16(text(&body, "/content")) <= 2_000, "{name}");
        let embeds = body["embeds"].as_array().unwrap();
        assert!((1..=10).contains(&embeds.len()), "{name}");
        let mut total = 0;
        for embed in embeds {
            let [title, description, footer] =
                ["/title", "/description", "/footer/text"].map(|at| utf16(text(embed, at)));
            assert!(title <= 256 && description <= 4_096 && footer <= 2_048, "{name}: {embed}");
            total += title + description + footer;
            // Nothing from a log is markup: every such sign outside of code stands behind a backslash.
            let outside: String = text(embed, "/description").split("```").step_by(2).collect();
            let prose = outside.replace("**", "").replace("[Runbook](", "");
            for sign in ['<', '[', '`', '_', '|'] {
                let escaped = prose.replace(&format!("\\{sign}"), "");
                assert!(!escaped.contains(sign), "{name}: {sign} in {prose}");
            }
        }
        assert!(total <= 6_000, "{name}: {total}");
    }
}

#[test]
fn limits_of_telegram() {
    for (name, notification) in worst() {
        let post = posts(&notification, telegram()).remove(0);
        assert_eq!(post.url.expose(), "https://api.telegram.example/bot123456:t0ken/sendMessage");
        let body = json(&post);
        let html = text(&body, "/text");
        assert!((1..=4_096).contains(&utf16(html)), "{name}: {}", utf16(html));
        assert_eq!((text(&body, "/parse_mode"), &body["message_thread_id"]), ("HTML", &7.into()), "{name}");
        // Only our tags, each closed, in order.
        let mut open = Vec::new();
        for tag in html.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0) {
            match tag.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "{name}: {html}"),
                None => {
                    let word = tag.split(' ').next().unwrap();
                    assert!(["b", "i", "pre", "a"].contains(&word), "{name}: <{tag}>");
                    open.push(word);
                }
            }
        }
        assert!(open.is_empty(), "{name}: {html}");
        let plain: Value = serde_json::from_str(post.instead.as_ref().unwrap()).unwrap();
        assert!(plain.get("parse_mode").is_none() && utf16(text(&plain, "/text")) <= 4_096, "{name}");
    }
}

#[test]
fn limits_of_ntfy() {
    for (name, notification) in worst() {
        let post = posts(&notification, ntfy()).remove(0);
        // To the root: the topic is in the JSON, and nothing in a header.
        assert_eq!(post.url.expose(), "https://ntfy.example/");
        let body = json(&post);
        assert!((1..=4_096).contains(&text(&body, "/message").len()), "{name}");
        assert!(
            !text(&body, "/title").contains(['\r', '\n']) && text(&body, "/title").len() <= 1_000,
            "{name}"
        );
        assert!((1..=5).contains(&body["priority"].as_u64().unwrap()), "{name}");
        assert!(body["actions"].as_array().is_none_or(|actions| actions.len() <= 3), "{name}");
        assert!(text(&body, "/click").is_empty() || text(&body, "/click").starts_with("https://"), "{name}");
    }
}

#[test]
fn limits_of_pagerduty() {
    for (name, notification) in worst() {
        let bodies = bodies(&notification, pagerduty());
        let alerts: BTreeSet<&str> =
            notification.items.iter().map(|item| item.alert.fingerprint.as_str()).collect();
        assert_eq!(bodies.len(), notification.items.len(), "{name}");
        let mut keys = BTreeSet::new();
        for (body, item) in bodies.iter().zip(&notification.items) {
            assert!(serde_json::to_string(body).unwrap().len() <= 512 << 10, "{name}");
            let key = text(body, "/dedup_key");
            keys.insert(key.to_owned());
            assert!((1..=255).contains(&key.len()), "{name}: {key}");
            assert_eq!(text(body, "/routing_key"), "routing-key");
            if !item.news.is_firing() {
                assert_eq!((text(body, "/event_action"), body.get("payload")), ("resolve", None), "{name}");
                continue;
            }
            assert_eq!(text(body, "/event_action"), "trigger", "{name}");
            assert!((1..=1_024).contains(&text(body, "/payload/summary").chars().count()), "{name}");
            assert!(!text(body, "/payload/source").is_empty(), "{name}");
            let severity = text(body, "/payload/severity");
            assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
            let links = body["links"].as_array().unwrap();
            assert!(links.iter().all(|link| text(link, "/href").starts_with("https://")), "{name}");
        }
        assert_eq!(keys.len(), alerts.len(), "{name}");
    }
}

/// The end of an incident closes what its beginning opened, whatever happened between.
#[test]
fn one_key_an_incident() {
    let key = |item: Item| text(&posted(&notification(vec![item]), pagerduty()), "/dedup_key").to_owned();
    let firing = key(item(News::Firing, alert()));
    assert_eq!(firing, key(item(News::Escalated { from: Severity::Warning }, alert())));
    assert_eq!(firing, key(item(News::Resolved, over(alert(), End::Recovered))));
    assert_ne!(firing, key(item(News::Firing, Alert { incident: "4f2a-2".into(), ..alert() })));
}

/// Names are those that Prometheus allows, values say something, and no figure is in a label.
#[test]
fn limits_of_alertmanager() {
    for (name, notification) in worst() {
        let bodies = bodies(&notification, alertmanager());
        assert_eq!((bodies.len(), &bodies[0]), (2, &bodies[1]), "every peer is told the same");
        let alerts = bodies[0].as_array().unwrap();
        assert_eq!(alerts.len(), notification.items.len(), "{name}: none is left out");
        for (alert, item) in alerts.iter().zip(&notification.items) {
            for (label, value) in alert["labels"].as_object().unwrap() {
                assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}: {label}");
                assert!(!label.starts_with(|c: char| c.is_ascii_digit()), "{name}: {label}");
                assert!(!value.as_str().unwrap().is_empty(), "{name}: {label}");
            }
            let time = |at| chrono::DateTime::parse_from_rfc3339(text(alert, at)).unwrap().timestamp_millis();
            let (starts, ends) = (time("/startsAt"), time("/endsAt"));
            assert!(starts <= ends, "{name}");
            assert_eq!(ends > notification.at, item.news.is_firing(), "{name}: {ends}");
        }
    }
}

/// The first message is changed where it is about one alert; what is new wakes people, an end does not.
#[test]
fn threads_of_slack() {
    for (name, notification) in worst() {
        let threaded = in_thread(&notification);
        let requests = posts(&threaded, slack_bot());
        let (post, changes) = requests.split_last().unwrap();
        assert!(post.url.expose().ends_with("/api/chat.postMessage"), "{name}");
        assert!(changes.len() <= 10, "{name}");
        for change in changes {
            assert!(change.url.expose().ends_with("/api/chat.update"), "{name}");
            let body = json(change);
            assert_eq!(text(&body, "/channel"), "C01", "{name}");
            assert!(text(&body, "/ts").starts_with("1793492552."), "{name}");
        }
        let one = threaded.items.len() == 1;
        assert_eq!(json(post).get("thread_ts").is_some(), one, "{name}");
        if one {
            let wakes = threaded.items[0].news.is_firing();
            assert_eq!(json(post)["reply_broadcast"], wakes, "{name}");
            let alone: Value = serde_json::from_str(post.instead.as_ref().unwrap()).unwrap();
            assert_eq!((alone.get("thread_ts"), text(&alone, "/channel")), (None, "C0123456789"), "{name}");
        }
        let shared = Thread { name: "C01/1.1".into(), alone: false };
        let mut together = notification.clone();
        together.items.iter_mut().for_each(|item| item.thread = Some(shared.clone()));
        let requests = posts(&together, slack_bot());
        assert_eq!((requests.len(), text(&json(&requests[0]), "/thread_ts")), (1, "1.1"), "{name}");
    }
}

#[test]
fn a_program_is_told_as_a_webhook_is() {
    for (name, notification) in worst() {
        let program = match render(&notification, &receiver(exec()), &about()).unwrap().payload {
            Payload::Program(program) => program,
            other => panic!("{name}: {other:?}"),
        };
        let body: Value = serde_json::from_str(&program.input).unwrap();
        assert_eq!(body, posted(&notification, ReceiverKind::webhook(URL)), "{name}");
        let from_log = |value: &str| value.contains("channel>") || value.contains('\n');
        assert!(!program.environment.iter().any(|(_, value)| from_log(value)), "{name}");
        assert_eq!(program.args, [secret("t0ken")]);
    }
}

#[test]
fn every_kind_of_the_configuration_is_put() {
    let names: Vec<&str> = NOTIFIERS.iter().map(|notifier| notifier.name).collect();
    assert_eq!(names, ReceiverKind::NAMES);
}

fn own(kind: ReceiverKind, title: &str, text: &str) -> Receiver {
    let templates = Templates { title: Some(title.into()), text: Some(text.into()) };
    Receiver { templates, ..receiver(kind) }
}

/// All that is sent, one text after the other.
fn rendered(notification: &Notification, receiver: &Receiver) -> String {
    match render(notification, receiver, &about()).unwrap().payload {
        Payload::Requests(requests) => {
            let bodies = requests.iter().map(|request| serde_json::to_string_pretty(&json(request)).unwrap());
            bodies.collect::<Vec<_>>().join("\n")
        }
        Payload::Mail { message, .. } => String::from_utf8(message.formatted()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn people() -> [Receiver; 8] {
    let kinds = [slack(), slack_bot(), teams(), discord(), pagerduty(), telegram(), ntfy()];
    let mut all: Vec<Receiver> = kinds.into_iter().map(receiver).collect();
    all.push(email());
    all.try_into().unwrap()
}

/// What a log says is escaped for each target, and what a template says is not.
#[test]
fn words_of_ones_own() {
    let text = "{% for a in alerts %}*own* {{ a.labels.site }}{% endfor %} \u{1f525}";
    for with in people() {
        let kind = with.kind.name();
        let with = Receiver { templates: own(slack(), "OWN {{ status }}", text).templates, ..with };
        let said = rendered(&hostile(), &with);
        assert!(said.contains("OWN firing"), "{kind}: {said}");
        assert!(said.contains("*own*") || kind == "email", "{kind}: {said}");
        assert!(!said.contains("1,058"), "{kind}: no built-in words: {said}");
        let escaped = match kind {
            "slack" => "&lt;!channel&gt; *bold* `code`",
            "teams" => r"\\<!channel\\> \\*bold\\*",
            "discord" => r"\\<!channel\\> \\*bold\\*",
            "telegram" => "&lt;!channel&gt; *bold* `code` &lt;b&gt;",
            // Plain text.
            "pagerduty" | "ntfy" => "<!channel> *bold*",
            _ => continue,
        };
        assert!(said.contains(escaped), "{kind}: {said}");
    }
}

/// Within every limit, however much a template says; and one that fails costs its words only.
#[test]
fn a_template_loses_no_alert() {
    let endless = "{% for a in range(3000) %}{{ alerts[0].labels.site }}<b>{% endfor %}";
    let fails = [
        "{{ alerts|nonsense }}",
        "{{ alerts[0].startsAt / 2 }}",
        "{{ 1 / 0 }}",
        "{{ x",
        "{% for a in range(9000) %}{% for b in range(9000) %}{{ b }}{% endfor %}{% endfor %}",
    ];
    for with in people() {
        let kind = with.kind.name();
        let of = |title: &str, text: &str| {
            let templates = own(slack(), title, text).templates;
            rendered(&hostile(), &Receiver { templates, ..with.clone() })
        };
        let long = of(&"long".repeat(1_000), endless);
        let max = if kind == "email" { 1 << 20 } else { 128 << 10 };
        assert!(long.len() < max, "{kind}: {}", long.len());
        for template in fails {
            for said in [of("{{ status }}", template), of(template, "{{ status }}")] {
                let said = said.replace("=\r\n", "").replace("\\", "");
                assert!(said.contains("template failed: line 1, column"), "{kind}: {template}: {said}");
                assert!(said.contains("FIRING critical"), "{kind}: {template}: {said}");
            }
        }
        // Nothing is no message.
        assert!(of("{{ nothing }}", " {{ nothing }} \n").contains("FIRING critical"), "{kind}");
    }
    let body: Value = {
        let with = own(telegram(), "{{ status }}", endless);
        let Payload::Requests(requests) = render(&hostile(), &with, &about()).unwrap().payload else {
            panic!()
        };
        json(&requests[0])
    };
    assert!(utf16(text(&body, "/text")) <= 4_096);
}

#[test]
fn a_test_says_that_it_is_one() {
    for over in [false, true] {
        let notification = trial("ops", over, 1_793_492_572_000).unwrap();
        for with in people() {
            let kind = with.kind.name();
            let said = rendered(&notification, &with).replace("=\r\n", "");
            // The end of an incident at PagerDuty has no words.
            assert!(said.contains("TEST ") || kind == "pagerduty" && over, "{kind}: {said}");
        }
        let body = posted(&notification, ReceiverKind::webhook(URL));
        assert_eq!(body["alerts"][0]["labels"]["test"], "true");
        assert!(text(&body, "/alerts/0/annotations/note").contains("This is a test"));
    }
}
