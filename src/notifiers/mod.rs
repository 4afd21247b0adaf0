//! How a notification is put for each kind of receiver. Pure: what comes out is sent by [`crate::delivery::send`].

mod discord;
mod email;
mod fit;
pub mod html;
mod ntfy;
mod pagerduty;
mod slack;
mod teams;
mod telegram;
mod webhook;

use crate::message::{About, Message};
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
pub const NOTIFIERS: &[Notifier] = &[
    webhook::NOTIFIER,
    slack::NOTIFIER,
    email::NOTIFIER,
    teams::NOTIFIER,
    discord::NOTIFIER,
    pagerduty::NOTIFIER,
    telegram::NOTIFIER,
    ntfy::NOTIFIER,
];

/// What goes out, and where to.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Requests, one after the other; each must be taken.
    Posts(Vec<Post>),
    /// A mail.
    Mail {
        /// The server.
        settings: EmailSettings,
        /// The mail as it goes out.
        message: Box<lettre::Message>,
    },
}

impl Payload {
    fn one(post: Post) -> Payload {
        Payload::Posts(vec![post])
    }
}

/// A POST of JSON.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where to.
    pub url: Secret,
    /// The idempotency key, for receivers that know such a thing.
    pub key: Option<String>,
    /// JSON.
    pub body: String,
    /// What is sent in its place if the receiver finds the body too large, or cannot read it.
    pub instead: Option<String>,
    /// Which answer means that it was taken.
    pub answer: Answer,
    /// For `Authorization: Bearer`.
    pub bearer_token: Option<Secret>,
    /// Signs it, at each try anew.
    pub secret: Option<SigningSecret>,
    /// Secrets that stand in the body.
    pub hidden: Vec<Secret>,
}

impl Post {
    fn new(url: Secret, body: String, answer: Answer) -> Post {
        let (key, instead, bearer_token, secret) = (None, None, None, None);
        Post { url, key, body, instead, answer, bearer_token, secret, hidden: Vec::new() }
    }
}

/// Which answer means that it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Any 2xx.
    Success,
    /// 200, and the body is `ok`.
    SlackOk,
    /// 200, and `"ok": true`; the message's number comes back.
    Telegram,
}

/// What is to be said: in the built-in words, or in those of the receiver's own templates.
struct Said {
    message: Message,
    /// Plain text.
    title: Option<String>,
    /// In the target's markup.
    text: Option<String>,
}

impl Said {
    /// `escape` makes plain text one of the target's markup.
    fn of(notification: &Notification, _: &Receiver, about: &About, _: fn(&str) -> String) -> Said {
        Said { message: Message::of(notification, about), title: None, text: None }
    }

    fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.message.headline)
    }
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
