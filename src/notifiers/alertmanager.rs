//! Alertmanager's API, version 2, all peers of a cluster. It forgets: what fires is told again long before its `endsAt`, what
//! is over for some minutes more.

use super::{Answer, Notifier, Payload, Request, webhook};
use crate::message::figures::rfc3339;
use crate::message::{About, sections};
use crate::notification::{Item, Notification};
use crate::receiver::{Receiver, ReceiverKind, Secret};
use gatewatch_parsers::Millis;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `[notify.alertmanager.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "alertmanager",
    summary: "Alertmanager's API v2, every peer: told again while it fires, and when it is over",
    render,
};

/// So many re-sends may be lost before Alertmanager takes an alert for over.
const LOST_MAX: Millis = 4;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Alertmanager { resend, .. } = &receiver.kind else {
        return Err("not Alertmanager".into());
    };
    let sections = sections(notification, about);
    let items = notification.items.iter().zip(&sections);
    let alert = |(item, section)| {
        let annotations = webhook::annotations(item, section, notification);
        alert(item, notification.at, *resend, &annotations)
    };
    let alerts: Vec<Value> = items.map(alert).collect();
    to_all(receiver, &Value::Array(alerts).to_string())
}

/// The same to every peer.
fn to_all(receiver: &Receiver, body: &str) -> Result<Payload, String> {
    let ReceiverKind::Alertmanager { urls, bearer_token, .. } = &receiver.kind else {
        return Err("not Alertmanager".into());
    };
    let request = |url: &Secret| {
        let url = format!("{}/api/v2/alerts", url.expose().trim_end_matches('/'));
        let request = Request::new(Secret::new(url), body.to_owned(), Answer::Success);
        Request { bearer_token: bearer_token.clone(), ..request }
    };
    Ok(Payload::Peers(urls.iter().map(request).collect()))
}

/// An alert that never ends, told until `end`.
pub(super) fn watchdog(
    receiver: &Receiver,
    about: &About,
    since: Millis,
    end: Millis,
) -> Result<Payload, String> {
    let alert = json!({
        "labels": labels(webhook::watchdog_labels(about)),
        "annotations": webhook::watchdog_annotations(about),
        "startsAt": rfc3339(since),
        "endsAt": rfc3339(end),
    });
    to_all(receiver, &json!([alert]).to_string())
}

fn alert(item: &Item, at: Millis, resend: Millis, annotations: &BTreeMap<String, String>) -> Value {
    let alert = &item.alert;
    let end = if item.news.is_firing() {
        at.saturating_add(resend.saturating_mul(LOST_MAX))
    } else {
        // A log's time may run ahead of Alertmanager's: what is over must not end in the future.
        alert.resolved.unwrap_or(at).min(at)
    };
    json!({
        "labels": labels(webhook::labels(alert)),
        "annotations": annotations,
        "startsAt": rfc3339(alert.started),
        "endsAt": rfc3339(end.max(alert.started)),
    })
}

/// Alertmanager refuses names that are none to Prometheus, and a label without a value is no label.
fn labels(labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let named = labels.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
        let mut name: String = name.chars().map(plain).collect();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, '_');
        }
        (name, value)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_labels() {
        let given = [("exit-ip", "a"), ("1st", "b"), ("", "c"), ("gone", ""), ("ok_1", "d"), ("ö", "e")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let names: Vec<String> = labels(BTreeMap::from(given)).into_keys().collect();
        assert_eq!(names, ["_", "_1st", "exit_ip", "ok_1"]);
    }
}
