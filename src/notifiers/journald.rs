//! The host's journal, by its own protocol: an entry for each alert, with fields to search by.

use super::{Notifier, Payload};
use crate::message::words::clean;
use crate::message::{About, Section, note, sections};
use crate::notification::{Item, Notification};
use crate::receiver::{Receiver, ReceiverKind};
use gatewatch_rules::rule::Severity;

/// `[notify.journald.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "journald",
    summary: "the host's journal: an entry for each alert, with fields to search by",
    render,
};

/// Names of fields are no longer.
const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 1_024;
/// A datagram must fit into the socket's buffer.
const MESSAGE_MAX: usize = 32 << 10;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Journald { socket } = &receiver.kind else { return Err("not the journal".into()) };
    let sections = sections(notification, about);
    let items = notification.items.iter().zip(&sections);
    let datagrams = items.map(|(item, section)| entry(item, section, notification)).collect();
    Ok(Payload::Datagrams { socket: socket.clone(), datagrams })
}

fn entry(item: &Item, section: &Section, notification: &Notification) -> Vec<u8> {
    let alert = &item.alert;
    let firing = item.news.is_firing();
    // As syslog has them: critical, warning, notice.
    let priority = match (firing, alert.severity) {
        (true, Severity::Critical) => "2",
        (true, Severity::Warning) => "4",
        (false, _) => "5",
    };
    let note = note(notification).map(|note| format!("{note}\n")).unwrap_or_default();
    let message = format!("{}\n{note}{}", section.head, section.text());
    let mut out = Vec::new();
    field(&mut out, "MESSAGE", super::fit::cut_bytes(message.trim_end(), MESSAGE_MAX).as_bytes());
    let mut put = |name: &str, value: &str| field(&mut out, name, clean(value, VALUE_MAX).as_bytes());
    put("PRIORITY", priority);
    put("SYSLOG_IDENTIFIER", "gatewatch");
    put("GATEWATCH_STATUS", if firing { "firing" } else { "resolved" });
    put("GATEWATCH_RULE", &alert.rule);
    put("GATEWATCH_SEVERITY", alert.severity.name());
    put("GATEWATCH_INCIDENT", &alert.incident);
    put("GATEWATCH_FINGERPRINT", &alert.fingerprint);
    put("GATEWATCH_RECEIVER", &notification.receiver);
    for (name, value) in alert.rule_labels.iter().chain(&alert.labels) {
        put(&format!("GATEWATCH_LABEL_{name}"), value);
    }
    if let Some(runbook) = &section.runbook {
        put("GATEWATCH_RUNBOOK", runbook);
    }
    out
}

/// `NAME=value`; a value of several lines stands behind its length.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    out.extend(name.chars().take(NAME_MAX).map(|c| plain(c) as u8));
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing() {
        let framed = |name, value: &str| {
            let mut out = Vec::new();
            field(&mut out, name, value.as_bytes());
            out
        };
        assert_eq!(framed("PRIORITY", "2"), b"PRIORITY=2\n");
        assert_eq!(framed("MESSAGE", "a\nb=c"), b"MESSAGE\n\x05\0\0\0\0\0\0\0a\nb=c\n");
        assert_eq!(framed("GATEWATCH_LABEL_exit-ip\nX=", ""), b"GATEWATCH_LABEL_EXIT_IP_X_=\n");
        assert_eq!(framed(&"x".repeat(100), "").len(), 64 + 2);
    }
}
