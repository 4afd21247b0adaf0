//! What people and machines are sent, as golden files: `UPDATE_GOLDEN=1 cargo test --test messages` writes them anew.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch::message::{About, Message};
use gatewatch::notification::{Item, News, Notification, Subject, Totals};
use gatewatch::notifiers::{Payload, html, render};
use gatewatch::receiver::{EmailSettings, Receiver, ReceiverKind, Secret, Tls};
use gatewatch_parsers::{Happened, Millis, Origin, Reason, Zone};
use gatewatch_rules::alert::{Alert, End, Kind, State};
use gatewatch_rules::rule::{Counts, Severity};
use gatewatch_rules::servers::Server;
use gatewatch_rules::two_way::Finding;
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
    Item { news, reopened: 0, alert }
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

fn posted(notification: &Notification, kind: ReceiverKind) -> serde_json::Value {
    match render(notification, &receiver(kind), &about()).unwrap().payload {
        Payload::Post { body, .. } => serde_json::from_str(&body).unwrap(),
        Payload::Mail { .. } => panic!("a mail"),
    }
}

fn mailed(notification: &Notification) -> String {
    match render(notification, &email(), &about()).unwrap().payload {
        Payload::Mail { message, .. } => String::from_utf8(message.formatted()).unwrap(),
        Payload::Post { .. } => panic!("a POST"),
    }
}

#[test]
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, notification) in cases() {
        let message = Message::of(&notification, &about());
        let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap() + "\n";
        let files = [
            ("webhook.json", pretty(&posted(&notification, ReceiverKind::webhook(URL)))),
            ("slack.json", pretty(&posted(&notification, ReceiverKind::Slack { url: url() }))),
            ("txt", format!("Subject: {}\n\n{}\n{}", message.subject, message.headline, message.text())),
            ("html", html::page(&message)),
            ("eml", mailed(&notification).replace("\r\n", "\n")),
        ];
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
        let slack = posted(&notification, ReceiverKind::Slack { url: url() });
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
