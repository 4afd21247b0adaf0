//! Mail against a real aiosmtpd: STARTTLS, implicit TLS, AUTH; and a webhook behind TLS. Certificates by openssl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use gatewatch::delivery::send::send;
use gatewatch::message::About;
use gatewatch::notification::{Item, News, Notification, Outcome, Subject};
use gatewatch::notifiers::{Delivery, render};
use gatewatch::receiver::{EmailSettings, Receiver, ReceiverKind, Secret, Tls};
use gatewatch_parsers::Zone;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use support::servers::{Certificates, PYTHON, Server, lacks_servers};

fn notification() -> Notification {
    let alert = serde_json::from_str(include_str!("messages/alert.json")).unwrap();
    let item = Item::new(News::Firing, alert);
    let (receiver, key) = ("duty".into(), "gw-00c0ffee00c0ffee".into());
    let subject = Subject::Rule("errors".into());
    Notification { id: 1, key, receiver, subject, at: item.alert.fired, items: vec![item], totals: None }
}

fn delivery(kind: ReceiverKind, ca_file: Option<PathBuf>) -> Delivery {
    let about = About { zone: Zone::Fixed(0), node: "loghost-1".into(), log_file: None };
    let receiver = Receiver { ca_file, ..Receiver::new("duty", kind) };
    render(&notification(), &receiver, &about).unwrap()
}

fn settings(port: u16, tls: Tls, to: &[&str]) -> EmailSettings {
    EmailSettings {
        host: "127.0.0.1".into(),
        port,
        tls,
        username: None,
        password: None,
        from: "gatewatch <gatewatch@example.net>".into(),
        to: to.iter().map(|to| (*to).to_owned()).collect(),
    }
}

fn with_password(settings: EmailSettings, password: &str) -> EmailSettings {
    EmailSettings {
        username: Some("gatewatch".into()),
        password: Some(Secret::new(password.into())),
        ..settings
    }
}

fn sent(delivery: &Delivery) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(send(delivery, Duration::from_secs(10)))
}

fn mailed(settings: EmailSettings, ca_file: Option<PathBuf>) -> Outcome {
    sent(&delivery(ReceiverKind::Email(settings), ca_file))
}

fn decoded(text: &str) -> String {
    let script = "import base64,sys,email,email.policy\n\
        m = email.message_from_bytes(base64.b64decode(sys.argv[1]), policy=email.policy.default)\n\
        print(m['Subject'], m['Auto-Submitted'], m['X-Auto-Response-Suppress'], m['Message-ID'], sep='\\n')\n\
        for part in m.iter_parts(): print(part.get_content_type()); print(part.get_content())";
    let output = Command::new(PYTHON).args(["-c", script, text]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn encrypted_and_with_a_password() {
    if lacks_servers() {
        return;
    }
    let certificates = Certificates::new();
    for (mode, tls) in [("starttls", Tls::Starttls), ("implicit", Tls::Implicit)] {
        let server = Server::smtp(mode, &certificates, true);
        let settings = settings(server.port, tls, &["duty@example.net", "Ops <ops@example.net>"]);
        let ca = || Some(certificates.path("ca.pem"));

        let outcome = mailed(with_password(settings.clone(), "wrong donkey"), ca());
        let Outcome::Failed { why } = outcome else { panic!("{mode}: {outcome:?}") };
        assert!(why.contains("535") && !why.contains("donkey"), "{mode}: {why}");
        assert!(matches!(mailed(settings.clone(), ca()), Outcome::Failed { .. }), "{mode}: without AUTH");
        let outcome = mailed(with_password(settings.clone(), "correct horse"), None);
        assert!(matches!(&outcome, Outcome::Retry { .. }), "{mode}: a certificate by nobody: {outcome:?}");

        assert_eq!(mailed(with_password(settings, "correct horse"), ca()), Outcome::Sent, "{mode}");
        let mail = server.next();
        assert_eq!(mail["tls"], true, "{mode}");
        assert_eq!(mail["user"], "gatewatch", "{mode}");
        assert_eq!(mail["from"], "gatewatch@example.net");
        assert_eq!(mail["to"], serde_json::json!(["duty@example.net", "ops@example.net"]));
        let text = decoded(mail["data"].as_str().unwrap());
        for part in [
            "[FIRING critical] be_img/srv3 502 20.9 % since 00:22:30 UTC, connection_terminated\n",
            "auto-generated\nAll\n<gw-00c0ffee00c0ffee@example.net>\ntext/plain\n",
            "Why     99 % connection_terminated: made by the proxy",
            "text/html\n<!DOCTYPE html>",
        ] {
            assert!(text.contains(part), "{mode}: no {part:?} in {text}");
        }
    }
}

#[test]
fn plain_only_when_said() {
    if lacks_servers() {
        return;
    }
    let certificates = Certificates::new();
    let server = Server::smtp("plain", &certificates, false);
    let to = ["duty@example.net"];
    let outcome = mailed(settings(server.port, Tls::Starttls, &to), Some(certificates.path("ca.pem")));
    assert!(matches!(&outcome, Outcome::Failed { why } if why.contains("STARTTLS")), "{outcome:?}");
    assert_eq!(mailed(settings(server.port, Tls::None, &to), None), Outcome::Sent);
    assert_eq!(server.next()["tls"], false);
}

#[test]
fn refused_addresses() {
    if lacks_servers() {
        return;
    }
    let certificates = Certificates::new();
    let server = Server::smtp("plain", &certificates, false);
    let outcome = mailed(settings(server.port, Tls::None, &["nobody@example.net"]), None);
    assert!(matches!(&outcome, Outcome::Failed { why } if why.contains("no such user")), "{outcome:?}");
    let outcome = mailed(settings(server.port, Tls::None, &["later@example.net"]), None);
    assert!(matches!(&outcome, Outcome::Retry { why, .. } if why.contains("greylisted")), "{outcome:?}");
    let both = ["nobody@example.net", "duty@example.net"];
    assert_eq!(mailed(settings(server.port, Tls::None, &both), None), Outcome::Sent);
    assert_eq!(server.next()["to"], serde_json::json!(["duty@example.net"]));
    let port = server.port;
    drop(server);
    let outcome = mailed(settings(port, Tls::None, &both), None);
    assert!(matches!(&outcome, Outcome::Retry { why, .. } if why.contains("refused")), "{outcome:?}");
}

#[test]
fn a_webhook_behind_tls() {
    if lacks_servers() {
        return;
    }
    let certificates = Certificates::new();
    let server = Server::start("https.py", &[], &certificates, false);
    let port = server.port;
    let url = || Secret::new(format!("https://localhost:{port}/hook"));
    let ca = Some(certificates.path("ca.pem"));
    let outcome = sent(&delivery(ReceiverKind::webhook(url().expose()), None));
    assert!(matches!(&outcome, Outcome::Retry { why, .. } if why.contains("certificate")), "{outcome:?}");
    assert_eq!(sent(&delivery(ReceiverKind::Slack { url: url() }, ca.clone())), Outcome::Sent);
    assert_eq!(sent(&delivery(ReceiverKind::webhook(url().expose()), ca)), Outcome::Sent);
    assert!(server.next()["blocks"].is_array());
    assert_eq!(server.next()["version"], "4");
    let outcome = sent(&delivery(ReceiverKind::webhook(url().expose()), Some(certificates.path("none.pem"))));
    assert!(matches!(&outcome, Outcome::Failed { why } if why.contains("none.pem")), "{outcome:?}");
}

/// Verified always: there is no switch that turns it off.
#[test]
fn certificates_that_are_none() {
    if lacks_servers() {
        return;
    }
    let cases = [
        ("wrong host", Certificates::with("DNS:mail.example.net", "2"), "not valid for name"),
        ("expired", Certificates::with("DNS:localhost,IP:127.0.0.1", "-1"), "Expired"),
        // Another authority of the same name.
        ("by somebody else", Certificates::new(), "BadSignature"),
    ];
    for (name, certificates, word) in &cases {
        let others = Certificates::new();
        let ca = if *word == "BadSignature" { &others } else { certificates }.path("ca.pem");
        let server = Server::start("https.py", &[], certificates, false);
        let url = format!("https://localhost:{}/T0AA/s3cret", server.port);
        for kind in [ReceiverKind::webhook(&url), ReceiverKind::Slack { url: Secret::new(url.clone()) }] {
            let outcome = sent(&delivery(kind, Some(ca.clone())));
            let Outcome::Retry { why, may_have_arrived, .. } = outcome else { panic!("{name}: {outcome:?}") };
            assert!(!may_have_arrived && why.contains(word), "{name}: {why}");
            assert!(!why.contains("s3cret") && !why.contains("T0AA"), "{name}: {why}");
        }
        for (mode, tls) in [("starttls", Tls::Starttls), ("implicit", Tls::Implicit)] {
            let server = Server::smtp(mode, certificates, true);
            let settings = with_password(settings(server.port, tls, &["duty@example.net"]), "correct horse");
            let outcome = mailed(settings, Some(ca.clone()));
            let Outcome::Retry { why, .. } = outcome else { panic!("{name}, {mode}: {outcome:?}") };
            assert!(why.contains(word) && !why.contains("horse"), "{name}, {mode}: {why}");
        }
    }
}
