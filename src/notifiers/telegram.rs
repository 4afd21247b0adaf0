//! A Telegram bot: HTML of at most 4,096 characters, in answer to the first message about the incident.

use super::fit::{SAMPLE_MAX, cut, cut_utf16, fitting, is_link, utf16};
use super::html::escaped;
use super::{Answer, Notifier, Payload, Request, Said};
use crate::message::{About, Message, Section};
use crate::notification::Notification;
use crate::receiver::{Receiver, ReceiverKind, Secret};
use serde_json::json;

/// `[notify.telegram.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "telegram",
    summary: "a Telegram bot: answers to the first message about an incident; topics",
    render,
};

const TEXT_MAX: usize = 4_096;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Telegram { url, token, chat, topic } = &receiver.kind else {
        return Err("not a Telegram bot".into());
    };
    let said = Said::of(notification, receiver, about, escaped);
    let head = format!("<b>{}</b>", escaped(&cut(said.title(), 300)));
    let text = match &said.text {
        // A tag that is cut is refused, and the plain text goes instead.
        Some(text) => cut_utf16(&format!("{head}\n{text}"), TEXT_MAX),
        None => text(&head, &fitting(&said.message, |message| utf16(&text(&head, message)) <= TEXT_MAX)),
    };
    let mut body = json!({
        "chat_id": chat,
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": { "is_disabled": true },
    });
    // Without markup: where HTML of one's own is refused, its text still arrives.
    let mut plain = json!({ "chat_id": chat, "text": plain(&said) });
    for body in [&mut body, &mut plain].into_iter().filter_map(|body| body.as_object_mut()) {
        if let Some(topic) = topic {
            body.insert("message_thread_id".into(), (*topic).into());
        }
        if let Some(message) = thread(notification) {
            let parameters = json!({ "message_id": message, "allow_sending_without_reply": true });
            body.insert("reply_parameters".into(), parameters);
        }
        if notification.firing().next().is_none() {
            body.insert("disable_notification".into(), true.into());
        }
    }
    let url = format!("{}/bot{}/sendMessage", url.expose().trim_end_matches('/'), token.expose());
    let post = Request::new(Secret::new(url), body.to_string(), Answer::Telegram);
    Ok(Payload::one(Request { instead: Some(plain.to_string()), ..post }))
}

/// The message to answer, if all of this is about one.
fn thread(notification: &Notification) -> Option<i64> {
    notification.thread()?.parse().ok()
}

fn plain(said: &Said) -> String {
    let text = said.text.clone().unwrap_or_else(|| said.message.text());
    cut_utf16(&format!("{}\n\n{text}", said.title()), TEXT_MAX)
}

/// Every line has its tags closed.
fn text(head: &str, message: &Message) -> String {
    let mut lines = vec![head.to_owned()];
    lines.extend(message.note.as_deref().map(|note| format!("<i>{}</i>", escaped(note))));
    let several = message.sections.len() > 1;
    for section in &message.sections {
        if several {
            lines.push(format!("\n<b>{}</b>", escaped(&section.head)));
        }
        prose(&mut lines, section);
    }
    lines.extend(message.more.as_deref().map(|more| format!("\n{}", escaped(more))));
    let mut foot = escaped(&message.foot);
    if let [section] = message.sections.as_slice() {
        foot.push_str(&format!(" · incident {}", escaped(&section.incident)));
    }
    lines.push(foot);
    lines.join("\n")
}

fn prose(lines: &mut Vec<String>, section: &Section) {
    lines.extend(section.lead.iter().map(|text| escaped(text)));
    lines.extend(
        section.facts.iter().map(|fact| format!("<b>{}</b> {}", fact.label, escaped(&cut(&fact.text, 600)))),
    );
    let samples = section.samples.iter().map(|sample| cut(sample, SAMPLE_MAX));
    let code: Vec<String> = section
        .command
        .iter()
        .map(|command| cut(command, 600))
        .chain(samples)
        .map(|line| escaped(&line))
        .collect();
    if !code.is_empty() {
        lines.push(format!("<pre>{}</pre>", code.join("\n")));
    }
    if let Some(runbook) = &section.runbook {
        let text = escaped(runbook);
        lines.push(if is_link(runbook) {
            format!("<a href=\"{text}\">Runbook</a>")
        } else {
            format!("Runbook: {text}")
        });
    }
}
