//! A topic of an ntfy server, as JSON to its root: nothing from a log is in a header.

use super::fit::{cut, cut_bytes, fitting, is_link};
use super::{Answer, Notifier, Payload, Request, Said};
use crate::message::{About, Message};
use crate::notification::Notification;
use crate::receiver::{Receiver, ReceiverKind, Secret};
use gatewatch_rules::rule::Severity;
use serde_json::json;

/// `[notify.ntfy.NAME]`
pub(super) const NOTIFIER: Notifier =
    Notifier { name: "ntfy", summary: "a topic of an ntfy server, with priorities and tags", render };

/// A longer message becomes an attachment.
const MESSAGE_MAX: usize = 4_096;
const TITLE_MAX: usize = 200;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Ntfy { url, topic, token } = &receiver.kind else {
        return Err("not a topic of ntfy".into());
    };
    let said = Said::of(notification, receiver, about, str::to_owned);
    let text = match &said.text {
        Some(text) => text.clone(),
        None => text(&fitting(&said.message, |message| text(message).len() <= MESSAGE_MAX)),
    };
    let (priority, tags) = urgency(notification);
    let mut body = json!({
        "topic": topic.expose(),
        "title": cut(said.title(), TITLE_MAX),
        "message": cut_bytes(&text, MESSAGE_MAX),
        "priority": priority,
        "tags": tags,
    });
    let runbook = said.message.sections.first().and_then(|section| section.runbook.as_deref());
    if let (Some(runbook), Some(body)) = (runbook.filter(|url| is_link(url)), body.as_object_mut()) {
        body.insert("click".into(), runbook.into());
        body.insert("actions".into(), json!([{ "action": "view", "label": "Runbook", "url": runbook }]));
    }
    let root = Secret::new(format!("{}/", url.expose().trim_end_matches('/')));
    let post = Request::new(root, body.to_string(), Answer::Success);
    Ok(Payload::one(Request { bearer_token: token.clone(), hidden: vec![topic.clone()], ..post }))
}

/// 5 rings, 4 is shown at once, 3 is as any other, 2 is silent.
fn urgency(notification: &Notification) -> (u8, [&'static str; 2]) {
    match (notification.firing().next(), notification.severity()) {
        (Some(_), Severity::Critical) => (5, ["rotating_light", "firing"]),
        (Some(_), Severity::Warning) => (4, ["warning", "firing"]),
        (None, _) if notification.subject.is_summary() => (2, ["information_source", "resolved"]),
        (None, _) => (3, ["white_check_mark", "resolved"]),
    }
}

/// Without empty lines at its end.
fn text(message: &Message) -> String {
    message.text().trim_end().to_owned()
}
