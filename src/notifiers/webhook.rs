//! Alertmanager's webhook, version 4: what reads that reads us.

use super::{Answer, Notifier, Payload, Request};
use crate::message::figures::rfc3339;
use crate::message::words::clean;
use crate::message::{self, About, Section, sections};
use crate::notification::{Item, Notification, Subject};
use crate::receiver::{Receiver, ReceiverKind};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::fingerprint;
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

pub(super) type Map = BTreeMap<String, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
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
    let body = json(notification, about)?;
    Ok(Payload::one(Request {
        key: Some(notification.key.clone()),
        bearer_token: bearer_token.clone(),
        secret: secret.clone(),
        ..Request::new(url.clone(), body, Answer::Success)
    }))
}

/// The body as text, for whoever else reads it.
pub(super) fn json(notification: &Notification, about: &About) -> Result<String, String> {
    serde_json::to_string(&body(notification, about)).map_err(|error| error.to_string())
}

/// The body as it is put together.
pub(super) fn body<'a>(notification: &'a Notification, about: &About) -> Body<'a> {
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
    let firing = item.news.is_firing();
    let end = alert.resolved.filter(|_| !firing);
    Alert {
        status: status(firing),
        labels: labels(alert),
        annotations: annotations(item, section, notification),
        starts_at: rfc3339(alert.started),
        ends_at: end.map_or_else(|| NEVER.into(), rfc3339),
        generator_url: "",
        fingerprint: &alert.fingerprint,
    }
}

/// An alert that never ends.
pub(super) fn watchdog(
    receiver: &Receiver,
    about: &About,
    since: Millis,
    now: Millis,
) -> Result<Payload, String> {
    let ReceiverKind::Webhook { url, bearer_token, secret } = &receiver.kind else {
        return Err("not a webhook".into());
    };
    let labels = watchdog_labels(about);
    let pairs: Vec<(String, String)> = labels.clone().into_iter().collect();
    let fingerprint = fingerprint(WATCHDOG, &pairs);
    let alert = Alert {
        status: status(true),
        labels: labels.clone(),
        annotations: watchdog_annotations(about),
        starts_at: rfc3339(since),
        ends_at: NEVER.into(),
        generator_url: "",
        fingerprint: &fingerprint,
    };
    let body = Body {
        receiver: &receiver.name,
        status: status(true),
        group_labels: Map::from([("alertname".into(), WATCHDOG.into())]),
        common_labels: labels,
        common_annotations: alert.annotations.clone(),
        alerts: vec![alert],
        external_url: "",
        version: "4",
        group_key: format!("{{}}:{{alertname={WATCHDOG:?}}}"),
        truncated_alerts: 0,
    };
    let body = serde_json::to_string(&body).map_err(|error| error.to_string())?;
    Ok(Payload::one(Request {
        key: Some(format!("gw-watchdog-{now}")),
        bearer_token: bearer_token.clone(),
        secret: secret.clone(),
        ..Request::new(url.clone(), body, Answer::Success)
    }))
}

/// Its name everywhere.
const WATCHDOG: &str = "Watchdog";

pub(super) fn watchdog_labels(about: &About) -> Map {
    let pairs = [("alertname", WATCHDOG), ("severity", "none")];
    let mut labels: Map =
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    labels.insert("node".into(), clean(&about.node, VALUE_MAX));
    labels
}

pub(super) fn watchdog_annotations(about: &About) -> Map {
    let works = "its logs are read, its rules judged, its messages delivered";
    let never = "It is told at intervals and never ends: whoever misses it raises the alarm.";
    Map::from([
        ("summary".into(), format!("gatewatch on {} works: {works}", clean(&about.node, 60))),
        ("description".into(), never.into()),
    ])
}

/// Who it is: no figures among them.
pub(super) fn labels(alert: &gatewatch_rules::alert::Alert) -> Map {
    let mut labels = Map::new();
    // Identity first: a rule's own label must not take the place of the group's, nor either of these two.
    let of_rule = alert.rule_labels.iter().chain(&alert.labels);
    labels.extend(of_rule.map(|(name, value)| (clean(name, VALUE_MAX), clean(value, VALUE_MAX))));
    labels.insert("alertname".into(), clean(&alert.rule, VALUE_MAX));
    labels.insert("severity".into(), alert.severity.name().into());
    labels
}

/// What there is to say of it.
pub(super) fn annotations(item: &Item, section: &Section, notification: &Notification) -> Map {
    let alert = &item.alert;
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
    annotations
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
