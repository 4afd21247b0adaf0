//! How a notification is put for each kind of receiver. Pure: what comes out is sent by [`crate::delivery::send`].

mod email;
pub mod html;
mod slack;
mod webhook;

use crate::message::About;
use crate::notification::Notification;
use crate::receiver::{EmailSettings, Receiver, Secret, SigningSecret};
use std::path::PathBuf;

/// A kind of receiver.
#[derive(Debug)]
pub struct Notifier {
    /// The middle word of `[notify.slack.ops]`.
    pub name: &'static str,
    /// One line for the documentation.
    pub summary: &'static str,
    /// Puts a notification; an error is one of the configuration.
    render: fn(&Notification, &Receiver, &About) -> Result<Payload, String>,
}

/// Every kind of receiver.
pub const NOTIFIERS: &[Notifier] = &[webhook::NOTIFIER, slack::NOTIFIER, email::NOTIFIER];

/// What goes over the network, and where to.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A POST of JSON.
    Post {
        /// Where to.
        url: Secret,
        /// The idempotency key, for receivers that know such a thing.
        key: Option<String>,
        /// JSON.
        body: String,
        /// Which answer means that it was taken.
        answer: Answer,
        /// For `Authorization: Bearer`.
        bearer_token: Option<Secret>,
        /// Signs it, at each try anew.
        secret: Option<SigningSecret>,
    },
    /// A mail.
    Mail {
        /// The server.
        settings: EmailSettings,
        /// The mail as it goes out.
        message: Box<lettre::Message>,
    },
}

/// Which answer means that it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Any 2xx.
    Success,
    /// 200, and the body is `ok`.
    SlackOk,
}

/// A rendered notification on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// [`Notification::id`]
    pub id: u64,
    /// The receiver's name.
    pub receiver: String,
    /// Certificates that its server's must come from.
    pub ca_file: Option<PathBuf>,
    /// The proxy on the way.
    pub proxy: Option<Secret>,
    /// What is sent.
    pub payload: Payload,
}

/// Puts `notification` for its receiver. An error is one of the configuration: a mail address that is none.
pub fn render(notification: &Notification, receiver: &Receiver, about: &About) -> Result<Delivery, String> {
    let kind = receiver.kind.name();
    let notifier = NOTIFIERS.iter().find(|notifier| notifier.name == kind);
    let notifier = notifier.ok_or_else(|| format!("no notifier {kind}"))?;
    Ok(Delivery {
        id: notification.id,
        receiver: receiver.name.clone(),
        ca_file: receiver.ca_file.clone(),
        proxy: receiver.proxy.clone(),
        payload: (notifier.render)(notification, receiver, about)?,
    })
}
