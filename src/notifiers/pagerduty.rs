//! PagerDuty's Events API, version 2: each alert is an incident there, opened and closed by the same key.

use super::fit::{cut, is_link};
use super::{Answer, Notifier, Payload, Request, Said};
use crate::message::figures::rfc3339;
use crate::message::words::clean;
use crate::message::{About, Section, sections};
use crate::notification::{Item, Notification};
use crate::receiver::{Receiver, ReceiverKind, Secret};
use gatewatch_rules::alert::Alert;
use serde_json::{Map, Value, json};

/// `[notify.pagerduty.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "pagerduty",
    summary: "PagerDuty's Events API v2: an incident for each alert, resolved with it",
    render,
};

const SUMMARY_MAX: usize = 1_024;
const KEY_MAX: usize = 255;
const VALUE_MAX: usize = 1_024;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::PagerDuty { url, routing_key } = &receiver.kind else {
        return Err("not a service of PagerDuty".into());
    };
    let sections = sections(notification, about);
    let items = notification.items.iter().zip(&sections);
    let post = |(item, section): (&Item, &Section)| {
        let alone = Notification { items: vec![item.clone()], ..notification.clone() };
        let said = Said::of(&alone, receiver, about, str::to_owned);
        let event = event(item, section, &said, routing_key, about);
        let post = Request::new(url.clone(), event.to_string(), Answer::Success);
        Request { hidden: vec![routing_key.clone()], ..post }
    };
    Ok(Payload::Requests(items.map(post).collect()))
}

/// The same for all that is told of an incident. Agents that see the same alert have one each: what one of them sees end
/// may go on for another.
fn dedup_key(alert: &Alert, about: &About) -> String {
    let key = format!("gatewatch/{}/{}/{}", clean(&about.node, 60), alert.fingerprint, alert.incident);
    cut(&key, KEY_MAX)
}

fn event(item: &Item, section: &Section, said: &Said, routing_key: &Secret, about: &About) -> Value {
    let alert = &item.alert;
    let key = dedup_key(alert, about);
    if !item.news.is_firing() {
        // What is over pages nobody: if it was never told, this closes nothing.
        return json!({ "routing_key": routing_key.expose(), "event_action": "resolve", "dedup_key": key });
    }
    let label = |wanted: &str| {
        alert.labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| clean(value, 255))
    };
    let mut payload = json!({
        "summary": cut(said.title.as_deref().unwrap_or(&section.head), SUMMARY_MAX),
        "source": label("node").unwrap_or_else(|| clean(&about.node, 255)),
        "severity": alert.severity.name(),
        "timestamp": rfc3339(alert.started),
        "class": clean(&alert.rule, 255),
        "custom_details": details(section, said, alert),
    });
    if let Some(payload) = payload.as_object_mut() {
        let component = ["upstream", "site", "node", "region"].into_iter().find_map(label);
        payload.extend(component.map(|name| ("component".to_owned(), name.into())));
        payload.extend(label("pool").map(|name| ("group".to_owned(), name.into())));
    }
    let runbook = section.runbook.as_deref().filter(|url| is_link(url));
    let links: Vec<Value> =
        runbook.map(|url| json!({ "href": url, "text": "Runbook" })).into_iter().collect();
    json!({
        "routing_key": routing_key.expose(),
        "event_action": "trigger",
        "dedup_key": key,
        "client": "gatewatch",
        "payload": payload,
        "links": links,
    })
}

/// Far from PagerDuty's 512 KB: each part of it is capped.
fn details(section: &Section, said: &Said, alert: &Alert) -> Value {
    let labels: Map<String, Value> = alert
        .labels
        .iter()
        .chain(&alert.rule_labels)
        .map(|(name, value)| (clean(name, VALUE_MAX), clean(value, VALUE_MAX).into()))
        .collect();
    if let Some(text) = &said.text {
        return json!({ "labels": labels, "text": cut(text, 32 << 10) });
    }
    let mut details = Map::new();
    details.insert("labels".into(), labels.into());
    details.insert("figures".into(), section.lead.join("\n").into());
    details.extend(section.facts.iter().map(|fact| (fact.label.to_lowercase(), fact.text.as_str().into())));
    details.extend(section.command.iter().map(|command| ("try".to_owned(), command.as_str().into())));
    if !section.samples.is_empty() {
        details.insert("lines".into(), section.samples.join("\n").into());
    }
    details.extend(said.message.note.iter().map(|note| ("note".to_owned(), note.as_str().into())));
    details.insert("incident".into(), section.incident.as_str().into());
    Value::Object(details)
}
