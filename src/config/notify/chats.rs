//! Receivers that are read by people: `[notify.slack.NAME]`, `teams`, `discord`, `telegram`, `ntfy`.

use super::{optional, required, url, url_or};
use crate::config::Outside;
use crate::config::reader::Reader;
use crate::config::secrets::{expanded, exposed};
use crate::config::values::{self, Read, Refusal};
use crate::receiver::ReceiverKind;
use toml::de::DeValue;

const SLACK: &str = "https://slack.com/api";
const TELEGRAM: &str = "https://api.telegram.org";
const NTFY: &str = "https://ntfy.sh";

/// An incoming webhook's `url`, or a bot's `token` and `channel`.
pub(super) fn slack(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let bot = ["token", "token_file", "channel"].into_iter().find_map(|key| reader.get(key));
    let Some(bot) = bot else {
        let url = url(reader, outside)?;
        exposed(reader, "url", outside);
        return Some(ReceiverKind::Slack { url });
    };
    if reader.get("url").is_some() || reader.get("url_file").is_some() {
        let message =
            "an incoming webhook's `url` and a bot's `token` and `channel` exclude each other".to_owned();
        reader.log.error(bot.key, message, "keep one");
        return None;
    }
    let example = "a bot's xoxb-…, or token_file = \"…\"";
    let token = required(reader, ("token", "token_file"), example, outside);
    if reader.get("channel").is_none() {
        reader.lacks("channel", "like channel = \"C0123456789\", or \"#ops\"");
    }
    let channel = reader.value("channel", |value| expanded(value, outside));
    let url = url_or(reader, "api_url", SLACK, outside);
    Some(ReceiverKind::SlackBot { url: url?, token: token?, channel: channel? })
}

pub(super) fn teams(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let url = url(reader, outside)?;
    exposed(reader, "url", outside);
    Some(ReceiverKind::Teams { url })
}

pub(super) fn discord(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let url = url(reader, outside)?;
    exposed(reader, "url", outside);
    Some(ReceiverKind::Discord { url })
}

pub(super) fn telegram(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let token = required(reader, ("token", "token_file"), "a bot's 123456:…, or token_file = \"…\"", outside);
    if reader.get("chat_id").is_none() {
        reader.lacks("chat_id", "like chat_id = -1001234567890, or \"@channel\"");
    }
    let chat = reader.value("chat_id", |value| chat(value, outside));
    let topic = reader.value("message_thread_id", values::count_up_to(i64::MAX));
    let url = url_or(reader, "api_url", TELEGRAM, outside);
    Some(ReceiverKind::Telegram { url: url?, token: token?, chat: chat?, topic })
}

/// A number, negative for groups, or `@channel`.
fn chat(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<String> {
    if let DeValue::Integer(number) = value {
        let number = i64::from_str_radix(number.as_str(), number.radix());
        return number.map(|n| n.to_string()).map_err(|e| Refusal::new("a chat's number", e.to_string()));
    }
    let text = expanded(value, outside)?;
    let is_chat = text.parse::<i64>().is_ok() || text.starts_with('@') && text.len() > 1;
    is_chat
        .then_some(text)
        .ok_or_else(|| Refusal::new("a chat's number or \"@channel\"", "like -1001234567890"))
}

pub(super) fn ntfy(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let topic = required(reader, ("topic", "topic_file"), "like topic = \"gatewatch-3f9c\"", outside);
    let token = optional(reader, ("token", "token_file"), outside);
    let url = url_or(reader, "url", NTFY, outside);
    let (url, topic) = (url?, topic?);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !topic.expose().chars().all(plain) || topic.expose().len() > 64 {
        let spot = reader.get("topic").or_else(|| reader.get("topic_file")).map(|written| written.spot);
        let label = "letters, digits, _ and -, at most 64; the server goes into url";
        reader.log.error(
            spot.unwrap_or(reader.section.spot),
            "`topic` must be a topic's name".to_owned(),
            label,
        );
        return None;
    }
    Some(ReceiverKind::Ntfy { url, topic, token })
}

#[cfg(test)]
mod tests {
    use crate::config::parse_str;
    use crate::receiver::ReceiverKind;

    #[test]
    fn chats_of_telegram() {
        for (written, expected) in [
            ("-1001234567890", Some("-1001234567890")),
            ("\"-100\"", Some("-100")),
            ("\"@ops\"", Some("@ops")),
            ("\"ops\"", None),
            ("1.5", None),
        ] {
            let text = format!("[notify.telegram.t]\ntoken = \"1:x\"\nchat_id = {written}\n");
            let read = parse_str("c.toml", &text).ok().map(|config| match &config.receivers[0].kind {
                ReceiverKind::Telegram { chat, .. } => chat.clone(),
                other => format!("{other:?}"),
            });
            assert_eq!(read.as_deref(), expected, "{written}");
        }
    }
}
