//! Alertmanager's webhook, version 4: what reads that reads us.

use super::{Answer, Notifier, Payload, Post};
use crate::message::figures::rfc3339;
use crate::message::words::clean;
use crate::message::{self, About, Section, sections};
use crate::notification::{Item, Notification, Subject};
use crate::receiver::{Receiver, ReceiverKind};
use serde::Serialize;
use std::collections::BTreeMap;

/// `[notify.webhook.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "webhook",
    summary: "POST of Alertmanager's webhook body, version 4, with an Idempotency-Key; signed if wanted",
    render,
};

const VALUE_MAX: usize = 1_024;
/// How Alertmanager says "not over".
const NEVER: &str = "0001-01-01T00:00:00Z";

type Map = BTreeMap<String, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert<'a>>,
    group_labels: Map,
    common_labels: Map,
    common_annotations: Map,
    #[serde(rename = "externalURL")]
    external_url: &'static str,
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: Map,
    annotations: Map,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'static str,
    fingerprint: &'a str,
}

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Webhook { url, bearer_token, secret } = &receiver.kind else {
        return Err("not a webhook".into());
    };
    let body = serde_json::to_string(&body(notification, about)).map_err(|error| error.to_string())?;
    Ok(Payload::one(Post {
        key: Some(notification.key.clone()),
        bearer_token: bearer_token.clone(),
        secret: secret.clone(),
        ..Post::new(url.clone(), body, Answer::Success)
    }))
}

fn body<'a>(notification: &'a Notification, about: &About) -> Body<'a> {
    let sections = sections(notification, about);
    let alerts: Vec<Alert<'a>> = notification
        .items
        .iter()
        .zip(&sections)
        .map(|(item, section)| alert(item, section, notification))
        .collect();
    let (group_labels, group_key) = match &notification.subject {
        Subject::Rule(rule) => {
            let rule = clean(rule, VALUE_MAX);
            (Map::from([("alertname".into(), rule.clone())]), format!("{{}}:{{alertname={rule:?}}}"))
        }
        _ => (Map::new(), "{}:{}".into()),
    };
    let shown = notification.items.len() as u64;
    let truncated_alerts = notification.totals.map_or(0, |totals| totals.incidents.saturating_sub(shown));
    Body {
        receiver: &notification.receiver,
        status: status(notification.items.iter().any(|item| item.news.is_firing())),
        group_labels,
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        alerts,
        external_url: "",
        version: "4",
        group_key,
        truncated_alerts,
    }
}

fn alert<'a>(item: &'a Item, section: &Section, notification: &Notification) -> Alert<'a> {
    let alert = &item.alert;
    let mut labels = Map::new();
    // Identity first: a rule's own label must not take the place of the group's, nor either of these two.
    let of_rule = alert.rule_labels.iter().chain(&alert.labels);
    labels.extend(of_rule.map(|(name, value)| (clean(name, VALUE_MAX), clean(value, VALUE_MAX))));
    labels.insert("alertname".into(), clean(&alert.rule, VALUE_MAX));
    labels.insert("severity".into(), alert.severity.name().into());
    let mut annotations = Map::from([
        ("summary".into(), section.head.clone()),
        ("description".into(), section.text().trim_end().to_owned()),
    ]);
    if let Some(runbook) = &section.runbook {
        annotations.insert("runbook_url".into(), runbook.clone());
    }
    if alert.undercount > 0 {
        annotations.insert("undercount".into(), alert.undercount.to_string());
    }
    if let Some(note) = message::note(notification) {
        annotations.insert("note".into(), note);
    }
    if let Subject::StandsIn { receiver, .. } = &notification.subject {
        annotations.insert("stands_in_for".into(), receiver.clone());
    }
    let firing = item.news.is_firing();
    let end = alert.resolved.filter(|_| !firing);
    Alert {
        status: status(firing),
        labels,
        annotations,
        starts_at: rfc3339(alert.started),
        ends_at: end.map_or_else(|| NEVER.into(), rfc3339),
        generator_url: "",
        fingerprint: &alert.fingerprint,
    }
}

fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

/// What all of them have.
fn common<'a>(mut maps: impl Iterator<Item = &'a Map>) -> Map {
    let mut common = maps.next().cloned().unwrap_or_default();
    for map in maps {
        common.retain(|name, value| map.get(name) == Some(value));
    }
    common
}
