//! Slack: blocks, within their limits; an incoming webhook, or a bot. What comes from a log is escaped, so that it can mention
//! nobody.

use super::fit::{SAMPLE_MAX, cut};
use super::{Answer, Notifier, Payload, Request, Said, slack_bot};
use crate::message::{About, Message, Section};
use crate::notification::Notification;
use crate::receiver::{Receiver, ReceiverKind};
use serde_json::{Value, json};

/// `[notify.slack.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "slack",
    summary: "Slack: an incoming webhook, or a bot with threads and updates",
    render,
};

const HEADER_MAX: usize = 150;
const TEXT_MAX: usize = 3_000;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Slack { url } = &receiver.kind else {
        return slack_bot::render(notification, receiver, about);
    };
    let body = body(notification, receiver, about);
    Ok(Payload::one(Request::new(url.clone(), body.to_string(), Answer::SlackOk)))
}

/// The blocks, and what stands where they cannot be shown.
pub(super) fn body(notification: &Notification, receiver: &Receiver, about: &About) -> Value {
    let said = Said::of(notification, receiver, about, |text| escaped(text, TEXT_MAX));
    let text = escaped(said.title(), TEXT_MAX);
    match &said.text {
        Some(own) => {
            let header =
                json!({ "type": "plain_text", "text": cut(said.title(), HEADER_MAX), "emoji": false });
            let own = json!({ "type": "mrkdwn", "text": cut(own, TEXT_MAX), "verbatim": true });
            let blocks =
                [json!({ "type": "header", "text": header }), json!({ "type": "section", "text": own })];
            json!({ "text": text, "blocks": blocks })
        }
        None => json!({ "text": text, "blocks": blocks(said.title(), &said.message) }),
    }
}

/// At most 3 × 10 + 5 blocks: Slack takes 50.
fn blocks(title: &str, message: &Message) -> Vec<Value> {
    let header = escaped(title, HEADER_MAX);
    let mut blocks =
        vec![json!({ "type": "header", "text": { "type": "plain_text", "text": header, "emoji": false } })];
    let several = message.sections.len() > 1;
    blocks.extend(message.note.as_deref().map(|note| mrkdwn(&escaped(note, TEXT_MAX))));
    for section in &message.sections {
        if several {
            blocks.push(json!({ "type": "divider" }));
        }
        blocks.push(mrkdwn(&prose(section, several)));
        if let Some(code) = code(section) {
            blocks.push(mrkdwn(&code));
        }
    }
    if let Some(more) = &message.more {
        blocks.push(mrkdwn(&escaped(more, TEXT_MAX)));
    }
    let mut foot = vec![escaped(&message.foot, 300)];
    for section in message.sections.iter().take(1) {
        if !several {
            foot.push(format!("incident {}", escaped(&section.incident, 100)));
        }
        foot.extend(section.runbook.as_deref().map(|runbook| link(runbook, "Runbook")));
    }
    let foot = json!({ "type": "mrkdwn", "text": foot.join(" · "), "verbatim": true });
    blocks.push(json!({ "type": "context", "elements": [foot] }));
    blocks
}

fn mrkdwn(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
}

fn prose(section: &Section, several: bool) -> String {
    let mut lines = Vec::new();
    if several {
        lines.push(format!("*{}*", escaped(&section.head, 300)));
    }
    lines.extend(section.lead.iter().map(|text| escaped(text, 500)));
    lines.extend(section.facts.iter().map(|fact| format!("*{}* {}", fact.label, escaped(&fact.text, 600))));
    joined(&lines, "")
}

/// What is for a shell, and what is from a log, in the type of both.
fn code(section: &Section) -> Option<String> {
    let mut lines = Vec::new();
    lines.extend(section.command.as_deref().map(|command| code_line(command, 600)));
    lines.extend(section.samples.iter().map(|sample| code_line(sample, SAMPLE_MAX)));
    (!lines.is_empty()).then(|| joined(&lines, "```"))
}

/// Nothing in it can end the block.
fn code_line(text: &str, max: usize) -> String {
    escaped(&text.replace('`', "'"), max)
}

/// As many whole lines as fit: half an entity or an open code block would change what follows.
fn joined(lines: &[String], fence: &str) -> String {
    let mut out = String::from(fence);
    let mut length = 2 * fence.len();
    for (i, line) in lines.iter().enumerate() {
        length += line.chars().count() + 1;
        if length > TEXT_MAX {
            break;
        }
        if i > 0 {
            out.push('\n');
        }
        out.push_str(line);
    }
    out.push_str(fence);
    out
}

fn link(url: &str, text: &str) -> String {
    let plain =
        (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(['|', '>', '<', ' ']);
    if plain { format!("<{}|{text}>", escaped(url, 600)) } else { format!("{text}: {}", escaped(url, 600)) }
}

/// Slack's three entities; at most `max` characters, none of them half.
fn escaped(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut length = 0;
    for c in text.chars() {
        let entity = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let added = entity.len().max(1);
        if length + added >= max {
            out.push('…');
            return out;
        }
        length += added;
        if entity.is_empty() { out.push(c) } else { out.push_str(entity) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping() {
        assert_eq!(escaped("<!channel> & co", 100), "&lt;!channel&gt; &amp; co");
        assert_eq!(escaped("ab<cd", 6), "ab…");
        assert_eq!(code_line("```<!here>", 100), "'''&lt;!here&gt;");
        assert_eq!(link("https://a/b?c&d", "Runbook"), "<https://a/b?c&amp;d|Runbook>");
        assert_eq!(link("javascript:x", "Runbook"), "Runbook: javascript:x");
        let long = vec!["x".repeat(2_900), "y".repeat(200)];
        assert_eq!(joined(&long, "```").len(), 2_906);
    }
}
