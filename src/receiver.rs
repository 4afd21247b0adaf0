//! Who is told: the receivers of the configuration, ready to use. Their secrets are read, and never printed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gatewatch_parsers::Millis;
use gatewatch_rules::rule::Severity;
use ring::hmac;
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
    /// How much it is sent at most; `None`: as much as there is.
    pub rate_limit: Option<Rate>,
    /// Who is told instead while this one cannot be.
    pub fallback: Option<String>,
    /// Told by itself only under rules that name it; else it only stands in for others.
    pub fallback_only: bool,
    /// Words of its own.
    pub templates: Templates,
    /// Whether it hears at intervals that gatewatch works.
    pub watchdog: bool,
    /// The HTTP proxy on the way there; the environment's is not asked. It may carry a password.
    pub proxy: Option<Secret>,
}

impl Receiver {
    /// A receiver with the defaults.
    #[must_use]
    pub fn new(name: &str, kind: ReceiverKind) -> Receiver {
        Receiver {
            name: name.to_owned(),
            rate_limit: kind.usual_rate(),
            kind,
            severity: Vec::new(),
            send_resolved: true,
            group_wait: None,
            ca_file: None,
            fallback: None,
            fallback_only: false,
            templates: Templates::default(),
            watchdog: false,
            proxy: None,
        }
    }
}

/// Sources of templates, in place of the built-in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    /// Of the headline, or a mail's subject.
    pub title: Option<String>,
    /// Of all the rest, in the target's markup.
    pub text: Option<String>,
}

/// Who is asked at intervals, as long as all is well: it says so when nobody asks any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where to; it is a credential.
    pub url: Secret,
    /// How often.
    pub every: Millis,
    /// Whether it is a POST, and no GET.
    pub post: bool,
    /// As of receivers.
    pub ca_file: Option<PathBuf>,
    /// As of receivers.
    pub proxy: Option<Secret>,
}

impl Heartbeat {
    /// How often, unless said otherwise.
    pub const EVERY: Millis = 60_000;
}

/// So many messages in so long, and as many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Messages; at least 1.
    pub count: u32,
    /// In so long: a second, a minute or an hour.
    pub per: Millis,
}

impl Rate {
    /// Slack takes one a second and channel, PagerDuty 120 a minute, a mail server what it likes, and people less.
    pub const DEFAULT: Rate = Rate { count: 10, per: 60_000 };

    /// What stands behind the `/`.
    pub const UNITS: [(&str, Millis); 3] = [("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    /// The time that one message takes of it.
    #[must_use]
    pub fn interval(self) -> Millis {
        (self.per / Millis::from(self.count.max(1))).max(1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Rate::UNITS.iter().find(|(_, per)| *per == self.per).map_or("?", |(unit, _)| unit);
        write!(f, "{}/{unit}", self.count)
    }
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// POST of Alertmanager's webhook body, version 4.
    Webhook {
        /// Where to; it may carry a token.
        url: Secret,
        /// For `Authorization: Bearer`.
        bearer_token: Option<Secret>,
        /// Signs what is sent, by Standard Webhooks.
        secret: Option<SigningSecret>,
    },
    /// Slack's incoming webhook.
    Slack {
        /// Where to; the URL is the credential.
        url: Secret,
    },
    /// A Slack app's bot: it answers in threads and changes what it said.
    SlackBot {
        /// The API; `https://slack.com/api` but for tests and gateways.
        url: Secret,
        /// `xoxb-…`
        token: Secret,
        /// `C0123456789`, or `#ops`.
        channel: String,
    },
    /// A workflow of Microsoft Teams.
    Teams {
        /// Where to; the URL is the credential.
        url: Secret,
    },
    /// Discord's webhook.
    Discord {
        /// Where to; the URL is the credential.
        url: Secret,
    },
    /// PagerDuty's Events API, version 2.
    PagerDuty {
        /// Where to: that of the region.
        url: Secret,
        /// The service's integration key.
        routing_key: Secret,
    },
    /// A Telegram bot.
    Telegram {
        /// The API; `https://api.telegram.org` but for a server of one's own.
        url: Secret,
        /// `123456:ABC…`
        token: Secret,
        /// A number, negative for groups, or `@channel`.
        chat: String,
        /// The topic of a forum.
        topic: Option<i64>,
    },
    /// A topic of an ntfy server.
    Ntfy {
        /// The server, without the topic.
        url: Secret,
        /// Who knows it may read it.
        topic: Secret,
        /// `tk_…`
        token: Option<Secret>,
    },
    /// Alertmanager's API, version 2.
    Alertmanager {
        /// Every peer of a cluster, without `/api/v2/alerts`.
        urls: Vec<Secret>,
        /// For `Authorization: Bearer`.
        bearer_token: Option<Secret>,
        /// What fires is told again so often.
        resend: Millis,
    },
    /// A program on this host.
    Exec {
        /// Its path.
        program: PathBuf,
        /// As they are: no shell reads them. They may carry a token.
        args: Vec<Secret>,
        /// Longer, and it is killed.
        timeout: Millis,
    },
    /// The host's journal.
    Journald {
        /// Where journald listens.
        socket: PathBuf,
    },
    /// Mail.
    Email(EmailSettings),
}

impl ReceiverKind {
    /// A webhook that asks for nothing but its URL.
    #[must_use]
    pub fn webhook(url: &str) -> ReceiverKind {
        ReceiverKind::Webhook { url: Secret::new(url.to_owned()), bearer_token: None, secret: None }
    }

    /// The middle word of `[notify.slack.ops]`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            ReceiverKind::Webhook { .. } => "webhook",
            ReceiverKind::Slack { .. } | ReceiverKind::SlackBot { .. } => "slack",
            ReceiverKind::Email(_) => "email",
            ReceiverKind::Teams { .. } => "teams",
            ReceiverKind::Discord { .. } => "discord",
            ReceiverKind::PagerDuty { .. } => "pagerduty",
            ReceiverKind::Telegram { .. } => "telegram",
            ReceiverKind::Ntfy { .. } => "ntfy",
            ReceiverKind::Alertmanager { .. } => "alertmanager",
            ReceiverKind::Exec { .. } => "exec",
            ReceiverKind::Journald { .. } => "journald",
        }
    }

    /// Every middle word, in the order of the documentation.
    pub const NAMES: [&str; 11] = [
        "webhook",
        "slack",
        "email",
        "teams",
        "discord",
        "pagerduty",
        "telegram",
        "ntfy",
        "alertmanager",
        "exec",
        "journald",
    ];

    /// How much it is sent at most, unless said otherwise: machines take all.
    #[must_use]
    pub fn usual_rate(&self) -> Option<Rate> {
        match self {
            ReceiverKind::Alertmanager { .. } | ReceiverKind::Journald { .. } => None,
            _ => Some(Rate::DEFAULT),
        }
    }

    /// Whether a title and a text of one's own have a place there.
    #[must_use]
    pub fn takes_templates(&self) -> bool {
        !matches!(
            self,
            ReceiverKind::Webhook { .. }
                | ReceiverKind::Alertmanager { .. }
                | ReceiverKind::Exec { .. }
                | ReceiverKind::Journald { .. }
        )
    }

    /// How often what stands is told again, to a receiver that forgets.
    #[must_use]
    pub fn resend(&self) -> Option<Millis> {
        match self {
            ReceiverKind::Alertmanager { resend, .. } => Some(*resend),
            _ => None,
        }
    }

    /// Alerts of one message at most; what is left goes into the next. PagerDuty takes each as an event of its own, 120 a
    /// minute: so many, ten times.
    #[must_use]
    pub fn items_max(&self) -> usize {
        match self {
            ReceiverKind::PagerDuty { .. } => 10,
            _ => usize::MAX,
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

/// A secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// Reads it; the error says what is wrong and shows nothing of it.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<SigningSecret, &'static str> {
        let text = text.strip_prefix("whsec_").ok_or("begins with whsec_")?;
        let bytes = BASE64.decode(text).map_err(|_| "no base64 behind whsec_")?;
        if (24..=64).contains(&bytes.len()) {
            Ok(SigningSecret(bytes))
        } else {
            Err("it must have 24 to 64 bytes: echo whsec_$(openssl rand -base64 32)")
        }
    }

    /// The value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    }
}

impl fmt::Debug for SigningSecret {
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
        let secret = SigningSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{secret:?}"), "<secret>");
    }

    /// The example of the specification's reference libraries.
    #[test]
    fn signed_as_the_standard_says() {
        let secret = SigningSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn signing_secrets() {
        let of = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![7; bytes]));
        for good in [24, 32, 64] {
            assert!(SigningSecret::read(&of(good)).is_ok(), "{good}");
        }
        let bad = [of(23), of(65), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), "whsec_???".into()];
        for bad in bad {
            let said = SigningSecret::read(&bad).unwrap_err();
            assert!(!said.contains(bad.trim_start_matches("whsec_")), "{said}");
        }
    }
}
