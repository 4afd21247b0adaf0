//! What keeps an alert from being told: the command that silences it, and that it was silenced.

use super::figures::Clock;
use super::section::Fact;
use super::words::clean;
use gatewatch_rules::alert::Alert;
use gatewatch_rules::matcher::{Matcher, Op};

/// A longer value is nobody's to paste.
const VALUE_MAX: usize = 256;

/// What a message says of it.
pub(super) fn facts(alert: &Alert, is_firing: bool, clock: &Clock) -> [Fact; 2] {
    let hushed = alert.hushed.as_ref().map(|hushed| {
        format!("nobody was told until {}: {}", clock.utc_minute(hushed.until), clean(&hushed.by, 200))
    });
    let command = command(alert).filter(|_| is_firing);
    [
        Fact { label: "Muted", text: hushed.unwrap_or_default() },
        Fact { label: SILENCE, text: command.unwrap_or_default() },
    ]
}

/// The label of the line with the command.
pub(super) const SILENCE: &str = "Silence";

/// The command that silences this alert and no other of its rule, but for the same group seen by another input. It is made to be pasted into a shell, and labels come
/// from a log: what no shell reads as it stands is quoted, and of what cannot be shown as it is there is no command.
fn command(alert: &Alert) -> Option<String> {
    let mut words = vec![word("rule", &alert.rule)?];
    let upstream = alert.labels.iter().find(|(name, _)| name == "upstream").map_or("", |(_, value)| value);
    for (name, value) in &alert.labels {
        // `be_img/srv3` says its pool; and what fails is not the log that shows it.
        let is_said = match name.as_str() {
            "pool" => upstream.strip_prefix(value.as_str()).is_some_and(|server| server.starts_with('/')),
            "input" => alert.labels.len() > 1 && alert.note.is_none(),
            _ => false,
        };
        if is_said {
            continue;
        }
        // These mean something else.
        if matches!(name.as_str(), "rule" | "alertname" | "severity") {
            return None;
        }
        words.push(word(name, value)?);
    }
    Some(format!("gatewatch silence add {} -d 1h", words.join(" ")))
}

/// A matcher, for a shell.
fn word(name: &str, value: &str) -> Option<String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_shown = clean(value, VALUE_MAX) == value && !value.contains('\t');
    if !is_name || !is_shown {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@%+,-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return Some(format!("{name}={value}"));
    }
    let matcher = Matcher { label: name.to_owned(), op: Op::Equal(value.to_owned()) };
    Some(format!("'{}'", matcher.to_string().replace('\'', r"'\''")))
}
