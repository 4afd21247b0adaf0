//! Mail: text and HTML, marked as automatic, one thread per incident.

use super::{Notifier, Payload, Said, html};
use crate::message::About;
use crate::notification::Notification;
use crate::receiver::{EmailSettings, Receiver, ReceiverKind};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use std::time::{Duration, SystemTime};

/// `[notify.email.NAME]`
pub(super) const NOTIFIER: Notifier = Notifier {
    name: "email",
    summary: "mail over SMTP: STARTTLS, implicit TLS or plain; text and HTML",
    render,
};

/// A thread is named after so many incidents.
const REFERENCES_MAX: usize = 10;

fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Payload, String> {
    let ReceiverKind::Email(settings) = &receiver.kind else { return Err("not a mail".into()) };
    let said = Said::of(notification, receiver, about, str::to_owned);
    let message = Box::new(mail(notification, settings, &said)?);
    Ok(Payload::Mail { settings: settings.clone(), message })
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|error| format!("{text:?} is no mail address: {error}"))
}

fn mail(
    notification: &Notification,
    settings: &EmailSettings,
    said: &Said,
) -> Result<lettre::Message, String> {
    let from = mailbox(&settings.from)?;
    let domain = from.email.domain().to_owned();
    let message = &said.message;
    // An id that no mail has: the first of an incident refers to it like all that follow, so that they stand together
    // wherever the thread was joined.
    let roots: Vec<String> = notification
        .items
        .iter()
        .take(REFERENCES_MAX)
        .map(|item| format!("<gatewatch.{}.{}@{domain}>", item.alert.fingerprint, item.alert.incident))
        .collect();
    let date = SystemTime::UNIX_EPOCH + Duration::from_millis(notification.at.max(0).unsigned_abs());
    let mut builder = lettre::Message::builder()
        .from(from)
        .subject(said.title.as_ref().unwrap_or(&message.subject).clone())
        .date(date)
        // Stable over retries: a mail that arrived twice is known as one.
        .message_id(Some(format!("<{}@{domain}>", notification.key)))
        .raw_header(header("Auto-Submitted", "auto-generated")?)
        .raw_header(header("X-Auto-Response-Suppress", "All")?)
        .references(roots.join(" "));
    if let Some(root) = roots.into_iter().next() {
        builder = builder.in_reply_to(root);
    }
    for to in &settings.to {
        builder = builder.to(mailbox(to)?);
    }
    let (text, page) = match &said.text {
        Some(own) => (own.clone(), html::plain(said.title(), own)),
        None => (format!("{}\n\n{}", said.title(), message.text()), html::page(message)),
    };
    let parts = MultiPart::alternative()
        .boundary(format!("=_{}", notification.key))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(page));
    builder.multipart(parts).map_err(|error| error.to_string())
}

fn header(name: &'static str, value: &str) -> Result<HeaderValue, String> {
    let name = HeaderName::new_from_ascii(name.into()).map_err(|error| error.to_string())?;
    Ok(HeaderValue::new(name, value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["ops@example.net", "Ops <ops@example.net>", "\"Ops, night\" <ops@example.net>"] {
            assert!(mailbox(good).is_ok(), "{good}");
        }
        for bad in ["ops", "ops@", "a@b.example\r\nBcc: c@d.example", ""] {
            assert!(mailbox(bad).is_err(), "{bad:?}");
        }
    }
}
