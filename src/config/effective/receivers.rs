//! A receiver as it holds. What is or may be secret is left out.

use super::{Toml, key, quoted};
use crate::receiver::{EmailSettings, Heartbeat, Receiver, ReceiverKind, Secret, Tls};

pub(super) fn table(out: &mut Toml, receiver: &Receiver) {
    out.table(&format!("notify.{}.{}", receiver.kind.name(), key(&receiver.name)));
    kind(out, &receiver.kind);
    if !receiver.severity.is_empty() {
        out.list("severity", receiver.severity.iter().map(|s| quoted(s.name())));
    }
    out.put("send_resolved", receiver.send_resolved);
    if let Some(file) = &receiver.ca_file {
        out.text("ca_file", &file.display().to_string());
    }
    if let Some(wait) = receiver.group_wait {
        out.time("group_wait", wait);
    }
    out.text("rate_limit", &receiver.rate_limit.map_or("off".to_owned(), |rate| rate.to_string()));
    if let Some(fallback) = &receiver.fallback {
        out.text("fallback", fallback);
    }
    if receiver.fallback_only {
        out.put("fallback_only", true);
    }
    for (key, template) in
        [("title_template", &receiver.templates.title), ("template", &receiver.templates.text)]
    {
        template.iter().for_each(|template| out.text(key, template));
    }
    if receiver.watchdog {
        out.put("watchdog", true);
    }
    if let Some(proxy) = &receiver.proxy {
        out.text("proxy", &proxy.to_string());
    }
}

pub(super) fn heartbeat(out: &mut Toml, heartbeat: &Heartbeat) {
    out.table("heartbeat");
    out.text("url", &heartbeat.url.to_string());
    out.time("every", heartbeat.every);
    out.text("method", if heartbeat.post { "POST" } else { "GET" });
    heartbeat.ca_file.iter().for_each(|file| out.text("ca_file", &file.display().to_string()));
    heartbeat.proxy.iter().for_each(|proxy| out.text("proxy", &proxy.to_string()));
}

fn kind(out: &mut Toml, kind: &ReceiverKind) {
    let secret = |out: &mut Toml, key: &str, secret: &Secret| out.text(key, &secret.to_string());
    match kind {
        ReceiverKind::Slack { url } | ReceiverKind::Teams { url } | ReceiverKind::Discord { url } => {
            secret(out, "url", url);
        }
        ReceiverKind::SlackBot { url, token, channel } => {
            secret(out, "api_url", url);
            secret(out, "token", token);
            out.text("channel", channel);
        }
        ReceiverKind::Webhook { url, bearer_token, secret: signing } => {
            secret(out, "url", url);
            bearer_token.iter().for_each(|token| secret(out, "bearer_token", token));
            signing.iter().for_each(|signing| out.text("secret", &format!("{signing:?}")));
        }
        ReceiverKind::PagerDuty { url, routing_key } => {
            secret(out, "url", url);
            secret(out, "routing_key", routing_key);
        }
        ReceiverKind::Telegram { url, token, chat, topic } => {
            secret(out, "api_url", url);
            secret(out, "token", token);
            out.text("chat_id", chat);
            topic.iter().for_each(|topic| out.put("message_thread_id", topic));
        }
        ReceiverKind::Ntfy { url, topic, token } => {
            secret(out, "url", url);
            secret(out, "topic", topic);
            token.iter().for_each(|token| secret(out, "token", token));
        }
        ReceiverKind::Alertmanager { urls, bearer_token, resend } => {
            out.list("urls", urls.iter().map(|url| quoted(&url.to_string())));
            bearer_token.iter().for_each(|token| secret(out, "bearer_token", token));
            out.time("resend", *resend);
        }
        ReceiverKind::Exec { program, args, timeout } => {
            let program = quoted(&program.display().to_string());
            let args = args.iter().map(|arg| quoted(&arg.to_string()));
            out.list("command", std::iter::once(program).chain(args));
            out.time("timeout", *timeout);
        }
        ReceiverKind::Journald { socket } => out.text("socket", &socket.display().to_string()),
        ReceiverKind::Email(settings) => mail(out, settings),
    }
}

fn mail(out: &mut Toml, mail: &EmailSettings) {
    let scheme = if mail.tls == Tls::Implicit { "smtps" } else { "smtp" };
    let host = if mail.host.contains(':') { format!("[{}]", mail.host) } else { mail.host.clone() };
    out.text("smtp", &format!("{scheme}://{host}:{}", mail.port));
    out.text("tls", mail.tls.name());
    if let Some(username) = &mail.username {
        out.text("username", username);
    }
    if let Some(password) = &mail.password {
        out.text("password", &password.to_string());
    }
    out.text("from", &mail.from);
    out.list("to", mail.to.iter().map(|t| quoted(t)));
}
