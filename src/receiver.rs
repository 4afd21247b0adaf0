//! Who is told: the receivers of the configuration, ready to use. Their secrets are read, and never printed.

use gatewatch_parsers::Millis;
use gatewatch_rules::rule::Severity;
use std::fmt;
use std::path::PathBuf;

/// One `[notify.KIND.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Unique among receivers.
    pub name: String,
    /// How it is reached.
    pub kind: ReceiverKind,
    /// Severities that it takes; empty: all.
    pub severity: Vec<Severity>,
    /// Whether it is told that an alert is over.
    pub send_resolved: bool,
    /// How long to wait for more alerts of the same rule; `None`: 10 s, for a critical one not at all.
    pub group_wait: Option<Millis>,
    /// Certificates (PEM) that its server's must come from, and no others; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// POST of Alertmanager's webhook body, version 4.
    Webhook {
        /// Where to; it may carry a token.
        url: Secret,
    },
    /// Slack's incoming webhook.
    Slack {
        /// Where to; the URL is the credential.
        url: Secret,
    },
    /// Mail.
    Email(EmailSettings),
}

impl ReceiverKind {
    /// The middle word of `[notify.slack.ops]`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            ReceiverKind::Webhook { .. } => "webhook",
            ReceiverKind::Slack { .. } => "slack",
            ReceiverKind::Email(_) => "email",
        }
    }
}

/// A mail server, and who writes to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSettings {
    /// The server's name; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// For AUTH; with it there is always a password.
    pub username: Option<String>,
    /// For AUTH.
    pub password: Option<Secret>,
    /// The sender: `addr@host` or `Name <addr@host>`.
    pub from: String,
    /// The recipients, at least one.
    pub to: Vec<String>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain at first, then STARTTLS; a server that does not offer it is an error.
    Starttls,
    /// From the first byte.
    Implicit,
    /// Never: only when said.
    None,
}

impl Tls {
    /// Every way, in the order of the documentation.
    pub const ALL: [Tls; 3] = [Tls::Starttls, Tls::Implicit, Tls::None];

    /// The word as it stands in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tls::Starttls => "starttls",
            Tls::Implicit => "implicit",
            Tls::None => "none",
        }
    }
}

/// Text that must not be printed: a password, or a URL that is a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself, for the connection only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let kind = ReceiverKind::Slack { url: Secret::new("https://hooks.slack.com/T0/x".into()) };
        assert_eq!(format!("{kind:?}"), "Slack { url: <secret> }");
        assert_eq!(Secret::new("x".into()).to_string(), "<secret>");
    }
}
