//! A workflow of Microsoft Teams: an adaptive card, within 28 KB. Its text stands in runs, which read no markdown, so that
//! nothing from a log can be a link.

use super::fit::{SAMPLE_MAX, cut, cut_bytes, fitting, is_link};
use super::{Answer, Notifier, Payload, Request, Said};
use crate::message::{About, Message, Section, Tone};
use crate::notification::Notification;
use crate::receiver::{Receiver, ReceiverKind};
use serde_json::{Value, json};

/// `[notify.teams.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "teams",
    summary: "a workflow of Microsoft Teams: an adaptive card of at most 28 KB",
    render,
};

/// Teams says 28 KB, and some who tried measured 21: this is the JSON as it goes out.
const BODY_MAX: usize = 20 << 10;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Teams { url } = &receiver.kind else { return Err("not a workflow of Teams".into()) };
    let said = Said::of(notification, receiver, about, escaped);
    let body = body(&said, BODY_MAX);
    // Where that is too large all the same.
    let smaller = self::body(&said, body.len() / 2);
    let instead = (smaller.len() < body.len()).then_some(smaller);
    Ok(Payload::one(Request { instead, ..Request::new(url.clone(), body, Answer::Success) }))
}

fn body(said: &Said, max: usize) -> String {
    if let Some(text) = &said.text {
        // In JSON a character may take six bytes.
        let text = cut_bytes(text, max / 6);
        let block = json!({ "type": "TextBlock", "text": text, "wrap": true });
        return card(said.title(), &[title(said.title(), tone(&said.message)), block]);
    }
    let of = |message: &Message| card(said.title(), &elements(said.title(), message));
    of(&fitting(&said.message, |message| of(message).len() <= max))
}

/// `summary` is what a phone shows before the card is opened.
fn card(summary: &str, body: &[Value]) -> String {
    let content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": body,
        "msteams": { "width": "full" },
    });
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": content,
    });
    json!({ "type": "message", "summary": cut(summary, 200), "attachments": [attachment] }).to_string()
}

fn elements(head: &str, message: &Message) -> Vec<Value> {
    let mut body = vec![title(head, tone(message))];
    body.extend(message.note.as_deref().map(|note| paragraph(&[run(note)])));
    let several = message.sections.len() > 1;
    for section in &message.sections {
        body.extend(several.then(|| title(&section.head, section.tone)));
        body.extend(prose(section));
        body.extend(code(section));
    }
    body.extend(message.more.as_deref().map(|more| paragraph(&[run(more)])));
    let mut foot = message.foot.clone();
    if let [section] = message.sections.as_slice() {
        foot.push_str(&format!(" · incident {}", section.incident));
    }
    body.push(paragraph(&[json!({ "type": "TextRun", "text": foot, "isSubtle": true, "size": "small" })]));
    body
}

fn tone(message: &Message) -> Tone {
    message.sections.first().map_or(Tone::Unknown, |section| section.tone)
}

fn title(text: &str, tone: Tone) -> Value {
    let color = match tone {
        Tone::Critical => "attention",
        Tone::Warning => "warning",
        Tone::Good => "good",
        Tone::Unknown => "default",
    };
    let text = cut(text, 200);
    paragraph(&[json!({ "type": "TextRun", "text": text, "weight": "bolder", "color": color })])
}

fn paragraph(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": cut(text, 1_000) })
}

fn prose(section: &Section) -> Vec<Value> {
    let mut blocks: Vec<Value> = section.lead.iter().map(|text| paragraph(&[run(text)])).collect();
    for fact in &section.facts {
        let label = json!({ "type": "TextRun", "text": format!("{} ", fact.label), "weight": "bolder" });
        blocks.push(paragraph(&[label, run(&fact.text)]));
    }
    if let Some(runbook) = &section.runbook {
        let link = json!({
            "type": "TextRun", "text": "Runbook",
            "selectAction": { "type": "Action.OpenUrl", "url": runbook },
        });
        let plain = || run(&format!("Runbook: {runbook}"));
        blocks.push(paragraph(&[if is_link(runbook) { link } else { plain() }]));
    }
    blocks
}

/// What is for a shell, and what is from a log, in the type of both.
fn code(section: &Section) -> Option<Value> {
    let mono =
        |text: String| json!({ "type": "TextRun", "text": text, "fontType": "monospace", "size": "small" });
    let samples = section.samples.iter().map(|sample| cut(sample, SAMPLE_MAX));
    let lines: Vec<String> = section.command.iter().map(|command| cut(command, 600)).chain(samples).collect();
    (!lines.is_empty()).then(|| paragraph(&[mono(lines.join("\n"))]))
}

/// For templates of one's own, which stand in a block that reads markdown.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if "\\`*_[]()#~<>".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
