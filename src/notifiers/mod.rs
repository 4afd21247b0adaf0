//! How a notification is put for each kind of receiver. Pure: what comes out is sent by [`crate::delivery::send`].

mod alertmanager;
pub mod beat;
mod discord;
mod email;
mod exec;
mod fit;
pub mod html;
mod journald;
mod ntfy;
mod pagerduty;
mod shown;
mod slack;
mod slack_bot;
mod teams;
mod telegram;
pub mod template;
mod webhook;

use crate::message::words::clean;
use crate::message::{About, Message};
use crate::notification::Notification;
use crate::receiver::{EmailSettings, Receiver, Secret, SigningSecret, Templates};
use gatewatch_parsers::Millis;
use std::path::PathBuf;

/// A title of one's own is no longer.
const TITLE_MAX: usize = 300;

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
    alertmanager::NOTIFIER,
    exec::NOTIFIER,
    journald::NOTIFIER,
];

/// What goes out, and where to.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Requests, one after the other; each must be taken.
    Requests(Vec<Request>),
    /// Requests to peers, all at once; it is enough if one is taken.
    Peers(Vec<Request>),
    /// A program to be run.
    Program(Program),
    /// Datagrams to a socket of this host.
    Datagrams {
        /// Its path.
        socket: PathBuf,
        /// Each is an entry.
        datagrams: Vec<Vec<u8>>,
    },
    /// A mail.
    Mail {
        /// The server.
        settings: EmailSettings,
        /// The mail as it goes out.
        message: Box<lettre::Message>,
    },
}

impl Payload {
    fn one(post: Request) -> Payload {
        Payload::Requests(vec![post])
    }
}

/// A program to be run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path.
    pub program: PathBuf,
    /// As they are: no shell reads them.
    pub args: Vec<Secret>,
    /// All of its environment.
    pub environment: Vec<(&'static str, String)>,
    /// What it reads.
    pub input: String,
    /// Longer, and it is killed.
    pub timeout: Millis,
}

/// An HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub url: Secret,
    /// The idempotency key, for receivers that know such a thing.
    pub key: Option<String>,
    /// JSON, to be posted; `None`: it is a GET.
    pub body: Option<String>,
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

impl Request {
    fn new(url: Secret, body: String, answer: Answer) -> Request {
        let (key, instead, bearer_token, secret) = (None, None, None, None);
        let body = Some(body);
        Request { url, key, body, instead, answer, bearer_token, secret, hidden: Vec::new() }
    }
}

/// Which answer means that it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Any 2xx.
    Success,
    /// 200, and the body is `ok`.
    SlackOk,
    /// 200, and `"ok": true`; the channel and the message's time stamp come back.
    SlackApi,
    /// The same; but if it is refused for good, nothing is lost.
    SlackChange,
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
    fn of(
        notification: &Notification,
        receiver: &Receiver,
        about: &About,
        escape: fn(&str) -> String,
    ) -> Said {
        let mut message = Message::of(notification, about);
        let Templates { title, text } = &receiver.templates;
        if title.is_none() && text.is_none() {
            return Said { message, title: None, text: None };
        }
        let context = template::context(notification, about, &message);
        let filled = |source: &Option<String>, escape| {
            let filled = source.as_deref().map(|source| template::fill(source, &context, escape));
            // Who says nothing would leave people with nothing.
            filled.transpose().map(|said| said.filter(|said| !said.trim().is_empty()))
        };
        let words = filled(title, str::to_owned).and_then(|title| Ok((title, filled(text, escape)?)));
        match words {
            Ok((title, text)) => {
                let title = title.map(|title| clean(title.trim(), TITLE_MAX));
                Said { message, title, text: text.map(|text| text.trim_end().to_owned()) }
            }
            // The built-in words, and why.
            Err(mistake) => {
                let failed = clean(&format!("template failed: {mistake}"), TITLE_MAX);
                let note = message.note.take().map(|note| format!("{note} "));
                message.note = Some(format!("{}{failed}", note.unwrap_or_default()));
                Said { message, title: None, text: None }
            }
        }
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
