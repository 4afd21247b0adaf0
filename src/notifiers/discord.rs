//! Discord's webhook: an embed for each alert, within its limits. It mentions nobody, whatever a log says.

use super::fit::{SAMPLE_MAX, cut, cut_utf16, fitting, is_link, utf16};
use super::{Answer, Notifier, Payload, Request, Said};
use crate::message::{About, Message, Section, Tone};
use crate::notification::Notification;
use crate::receiver::{Receiver, ReceiverKind, Secret};
use reqwest::Url;
use serde_json::{Value, json};

/// `[notify.discord.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "discord",
    summary: "Discord's webhook: an embed for each alert; it mentions nobody",
    render,
};

const CONTENT_MAX: usize = 2_000;
const TITLE_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 4_096;
/// Titles, descriptions and footers of all embeds.
const EMBEDS_MAX: usize = 6_000;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Discord { url } = &receiver.kind else { return Err("not a Discord webhook".into()) };
    let said = Said::of(notification, receiver, about, escaped);
    let embeds = match &said.text {
        Some(text) => {
            let text = cut_utf16(text, DESCRIPTION_MAX);
            vec![json!({ "description": text, "color": color(tone(&said.message)) })]
        }
        None => embeds(&fitting(&said.message, |message| {
            let embeds = embeds(message);
            embeds.iter().all(fits) && total(&embeds) <= EMBEDS_MAX
        })),
    };
    let body = json!({
        "content": cut_utf16(&escaped(said.title()), CONTENT_MAX),
        "embeds": embeds,
        "allowed_mentions": { "parse": [] },
    });
    Ok(Payload::one(Request::new(waiting(url)?, body.to_string(), Answer::Success)))
}

/// Asked to wait, Discord says whether the message was taken.
fn waiting(url: &Secret) -> Result<Secret, String> {
    let mut url = Url::parse(url.expose()).map_err(|error| error.to_string())?;
    if !url.query_pairs().any(|(name, _)| name == "wait") {
        url.query_pairs_mut().append_pair("wait", "true");
    }
    Ok(Secret::new(url.into()))
}

fn embeds(message: &Message) -> Vec<Value> {
    let several = message.sections.len() > 1;
    let mut embeds: Vec<Value> = message.sections.iter().map(|section| embed(section, several)).collect();
    if embeds.is_empty() {
        embeds.push(json!({ "color": color(Tone::Unknown) }));
    }
    let first = embeds.first_mut().and_then(Value::as_object_mut);
    if let (Some(first), Some(note)) = (first, &message.note) {
        let rest = first.get("description").and_then(Value::as_str).unwrap_or_default();
        let text = format!("{}\n{rest}", escaped(note));
        first.insert("description".into(), text.into());
    }
    let more = message.more.as_deref().map(|more| format!("{more} · ")).unwrap_or_default();
    let mut foot = format!("{more}{}", message.foot);
    if let [section] = message.sections.as_slice() {
        foot.push_str(&format!(" · incident {}", section.incident));
    }
    if let Some(last) = embeds.last_mut().and_then(Value::as_object_mut) {
        last.insert("footer".into(), json!({ "text": cut(&foot, 1_000) }));
    }
    embeds
}

fn embed(section: &Section, several: bool) -> Value {
    let mut lines: Vec<String> = section.lead.iter().map(|text| escaped(text)).collect();
    lines.extend(
        section.facts.iter().map(|fact| format!("**{}** {}", fact.label, escaped(&cut(&fact.text, 600)))),
    );
    let mut code: Vec<String> = section.command.iter().map(|command| cut(command, 600)).collect();
    code.extend(section.samples.iter().map(|sample| cut(sample, SAMPLE_MAX)));
    if !code.is_empty() {
        // Nothing in it can end the block.
        lines.push(format!("```\n{}\n```", code.join("\n").replace('`', "'")));
    }
    if let Some(runbook) = &section.runbook {
        let link = if is_link(runbook) {
            format!("[Runbook]({runbook})")
        } else {
            format!("Runbook: {}", escaped(runbook))
        };
        lines.push(link);
    }
    let mut embed = json!({ "description": lines.join("\n"), "color": color(section.tone) });
    if let (true, Some(embed)) = (several, embed.as_object_mut()) {
        embed.insert("title".into(), cut_utf16(&escaped(&section.head), TITLE_MAX).into());
    }
    embed
}

/// Titles, descriptions and footers.
fn lengths(embed: &Value) -> [usize; 3] {
    ["/title", "/description", "/footer/text"]
        .map(|at| embed.pointer(at).and_then(Value::as_str).map_or(0, utf16))
}

fn fits(embed: &Value) -> bool {
    let [title, description, footer] = lengths(embed);
    title <= TITLE_MAX && description <= DESCRIPTION_MAX && footer <= 2_048
}

fn total(embeds: &[Value]) -> usize {
    embeds.iter().flat_map(lengths).sum()
}

fn tone(message: &Message) -> Tone {
    message.sections.first().map_or(Tone::Unknown, |section| section.tone)
}

fn color(tone: Tone) -> u32 {
    match tone {
        Tone::Critical => 0xdc_2626,
        Tone::Warning => 0xd9_7706,
        Tone::Good => 0x16_a34a,
        Tone::Unknown => 0x6b_7280,
    }
}

/// What Discord's markdown would read, and what makes a link of an address.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if "\\`*_~|<>[]@:".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping() {
        assert_eq!(escaped("<@1> **b** [a](b) @here"), "\\<\\@1\\> \\*\\*b\\*\\* \\[a\\](b) \\@here");
    }

    #[test]
    fn it_waits_for_the_answer() {
        let wait = |url: &str| waiting(&Secret::new(url.into())).unwrap().expose().to_owned();
        assert_eq!(
            wait("https://d.example/api/webhooks/1/x"),
            "https://d.example/api/webhooks/1/x?wait=true"
        );
        assert_eq!(wait("https://d.example/x?thread_id=7"), "https://d.example/x?thread_id=7&wait=true");
        assert_eq!(wait("https://d.example/x?wait=true"), "https://d.example/x?wait=true");
    }
}
