//! `[notify.webhook.NAME]`, `[notify.slack.NAME]`, `[notify.email.NAME]`. What is secret is read here and printed nowhere.

use super::Outside;
use super::document::Entry;
use super::problem::{Log, Spot};
use super::reader::{Reader, shown};
use super::secrets::{certificates, expanded, exposed, is_credential, secret};
use super::values::{self, Read, Refusal, did_you_mean};
use crate::receiver::{EmailSettings, Rate, Receiver, ReceiverKind, Secret, SigningSecret, Tls};
use reqwest::Url;
use toml::de::DeValue;

pub(super) fn receivers(
    entries: &[Entry<'_>],
    outside: &Outside<'_>,
    log: &mut Log<'_>,
) -> Vec<(Receiver, Spot)> {
    let names: Vec<&str> = entries.iter().map(|e| e.name).collect();
    let read = |e: &Entry<'_>| Some((receiver(e, &names, outside, log)?, e.section.spot));
    entries.iter().filter_map(read).collect()
}

fn receiver(entry: &Entry<'_>, names: &[&str], outside: &Outside<'_>, log: &mut Log<'_>) -> Option<Receiver> {
    let mut reader = Reader::new(&entry.section, None, log);
    let kind = match entry.kind {
        "webhook" => webhook(&mut reader, outside),
        "slack" => slack(&mut reader, outside),
        _ => email(&mut reader, outside).map(ReceiverKind::Email),
    };
    let severity = reader.list("severity", values::severity);
    if severity.as_ref().is_some_and(Vec::is_empty)
        && let Some(written) =
            reader.get("severity").filter(|w| w.value.as_array().is_some_and(|a| a.is_empty()))
    {
        reader.log.error(written.spot, "`severity` must name one".to_owned(), "leave it out for all");
    }
    let mut severity: Vec<_> = severity.unwrap_or_default().into_iter().map(|s| s.value).collect();
    severity.sort_unstable();
    severity.dedup();
    let send_resolved = reader.value("send_resolved", values::boolean).unwrap_or(true);
    let group_wait = reader.value("group_wait", values::duration);
    let rate_limit = reader.value("rate_limit", rate).unwrap_or(Some(Rate::DEFAULT));
    let fallback = fallback(&mut reader, entry.name, names);
    let fallback_only = reader.value("fallback_only", values::boolean).unwrap_or(false);
    let ca_file = certificates(&mut reader, "ca_file", outside);
    let proxy = if entry.kind == "email" { None } else { proxy(&mut reader, outside) };
    reader.finish();
    let name = entry.name.to_owned();
    Some(Receiver {
        name,
        kind: kind?,
        severity,
        send_resolved,
        group_wait,
        ca_file,
        rate_limit,
        fallback,
        fallback_only,
        proxy,
    })
}

/// `"10/m"`, or `"off"`.
fn rate(value: &DeValue<'_>) -> Read<Option<Rate>> {
    let refusal = |label: &str| Refusal::new("messages in a time, like \"10/m\", or \"off\"", label);
    let text = values::text(value)?;
    if text == "off" {
        return Ok(None);
    }
    let (count, per) = text.split_once('/').ok_or_else(|| refusal("no `/` in it"))?;
    let count = count.trim().parse::<u32>().ok().filter(|count| (1..=1_000).contains(count));
    let count = count.ok_or_else(|| refusal("1 to 1000, in front of the `/`"))?;
    let units = Rate::UNITS.iter().find(|(unit, _)| *unit == per.trim());
    let (_, per) = units.ok_or_else(|| refusal("s, m or h behind the `/`"))?;
    Ok(Some(Rate { count, per: *per }))
}

/// Another receiver's name.
fn fallback(reader: &mut Reader<'_, '_, '_>, own: &str, names: &[&str]) -> Option<String> {
    let found = reader.read("fallback", values::text)?;
    let label = if found.value == own {
        "a receiver cannot stand in for itself".to_owned()
    } else if names.contains(&found.value.as_str()) {
        return Some(found.value);
    } else {
        let others: Vec<&str> = names.iter().copied().filter(|name| *name != own).collect();
        did_you_mean(&found.value, &others).unwrap_or_else(|| match others.as_slice() {
            [] => "there is no other receiver".to_owned(),
            _ => format!("known: {}", others.join(", ")),
        })
    };
    let message = format!("`fallback` names no other receiver: `{}`", shown(&found.value));
    reader.log.missing(found.written, message, &label);
    None
}

fn webhook(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let url = url(reader, outside);
    if url.as_ref().is_some_and(|url| is_credential(url.expose())) {
        exposed(reader, "url", outside);
    }
    let bearer_token = secret(reader, ("bearer_token", "bearer_token_file"), outside);
    exposed(reader, "bearer_token", outside);
    let signing = secret(reader, ("secret", "secret_file"), outside);
    exposed(reader, "secret", outside);
    let secret = signing.and_then(|(text, spot)| match SigningSecret::read(&text) {
        Ok(secret) => Some(secret),
        Err(why) => {
            reader.log.error(spot, "`secret` must be one of Standard Webhooks".to_owned(), why);
            None
        }
    });
    let bearer_token = bearer_token.map(|(text, _)| Secret::new(text));
    Some(ReceiverKind::Webhook { url: url?, bearer_token, secret })
}

fn slack(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    let url = url(reader, outside)?;
    exposed(reader, "url", outside);
    Some(ReceiverKind::Slack { url })
}

/// It may carry a user and a password: nothing of it is repeated.
fn proxy(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<Secret> {
    let found = reader.read("proxy", |v| expanded(v, outside))?;
    let is_proxy = Url::parse(&found.value).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if is_proxy {
        return Some(Secret::new(found.value));
    }
    reader.log.error(found.written, "`proxy` must be an HTTP proxy's URL".to_owned(), "http://proxy:3128");
    None
}

fn url(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<Secret> {
    const BEGINNING: &str = "begins with https:// or http://";
    let written = reader.get("url").is_some() || reader.get("url_file").is_some();
    if !written {
        reader.lacks("url", "url = \"https://…\", or url_file = \"…\"");
    }
    let (text, spot) = secret(reader, ("url", "url_file"), outside)?;
    // The URL may be a credential: nothing of it is repeated.
    let label = match Url::parse(&text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => BEGINNING.to_owned(),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => "it has no host".to_owned(),
        Ok(_) => return Some(Secret::new(text)),
        Err(_) if !text.contains("://") => BEGINNING.to_owned(),
        Err(e) => e.to_string(),
    };
    reader.log.error(spot, "`url` must be a URL".to_owned(), &label);
    None
}

fn email(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<EmailSettings> {
    let server = server(reader, outside);
    let username = reader.read("username", |v| expanded(v, outside));
    let password = secret(reader, ("password", "password_file"), outside);
    exposed(reader, "password", outside);
    let has_password = reader.get("password").is_some() || reader.get("password_file").is_some();
    match (reader.get("username"), has_password) {
        (Some(written), false) => {
            reader.log.missing(
                written.key,
                "`username` without a password".to_owned(),
                "add password_file = \"…\"",
            );
        }
        (None, true) => {
            let spot = password.as_ref().map_or(reader.section.spot, |p| p.1);
            reader.log.missing(spot, "a password without `username`".to_owned(), "");
        }
        _ => {}
    }
    let from = reader.value("from", |v| mailbox(v, outside));
    let to = reader.list("to", |v| mailbox(v, outside));
    if reader.get("from").is_none() {
        reader.lacks("from", "like from = \"gatewatch@example.net\"");
    }
    match reader.get("to") {
        None => reader.lacks("to", "like to = [\"duty@example.net\"]"),
        Some(written) if written.value.as_array().is_some_and(|a| a.is_empty()) => {
            reader.log.error(written.spot, "`to` must name somebody".to_owned(), "empty");
        }
        Some(_) => {}
    }
    let (host, port, tls) = server?;
    if let (Tls::None, Some(password)) = (tls, &password) {
        reader.log.warn(password.1, "the password is sent in the clear".to_owned(), "tls = \"none\"");
    }
    Some(EmailSettings {
        host,
        port,
        tls,
        username: username.map(|u| u.value),
        password: password.map(|p| Secret::new(p.0)),
        from: from?,
        to: to?.into_iter().map(|t| t.value).collect(),
    })
}

fn mailbox(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<String> {
    let text = expanded(value, outside)?;
    match text.parse::<lettre::message::Mailbox>() {
        Ok(_) => Ok(text),
        Err(_) => {
            Err(Refusal::new("a mail address", "like \"duty@example.net\" or \"Duty <duty@example.net>\""))
        }
    }
}

/// `smtp://host[:587]` or `smtps://host[:465]`, and `tls`.
fn server(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<(String, u16, Tls)> {
    const EXAMPLE: &str = "like \"smtp://mail.example.net:587\" or \"smtps://mail.example.net\"";
    let tls = reader.read("tls", |v| values::one_of(&Tls::ALL.map(|t| (t.name(), t)), v));
    if reader.get("smtp").is_none() {
        reader.lacks("smtp", EXAMPLE);
    }
    let smtp = reader.read("smtp", |v| expanded(v, outside))?;
    let refuse = |reader: &mut Reader<'_, '_, '_>, label: &str| {
        reader.log.error(smtp.written, "`smtp` must be a mail server's URL".to_owned(), label);
        None
    };
    let Ok(url) = Url::parse(&smtp.value) else { return refuse(reader, EXAMPLE) };
    let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']').to_owned();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if !matches!(url.scheme(), "smtp" | "smtps") || host.is_empty() || !host.chars().all(plain) {
        return refuse(reader, EXAMPLE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse(reader, "write username = \"…\" and password_file = \"…\"");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return refuse(reader, "just a host and a port");
    }
    let tls = match (url.scheme(), tls) {
        ("smtps", None) => Tls::Implicit,
        ("smtps", Some(tls)) if tls.value != Tls::Implicit => {
            let message = format!("smtps:// is implicit TLS, and `tls` is {}", tls.value.name());
            reader.log.error(tls.written, message, "leave it out, or write smtp://");
            return None;
        }
        (_, tls) => tls.map_or(Tls::Starttls, |tls| tls.value),
    };
    let usual = match tls {
        Tls::Starttls => 587,
        Tls::Implicit => 465,
        Tls::None => 25,
    };
    match url.port().unwrap_or(usual) {
        0 => refuse(reader, "port 0"),
        port => Some((host, port, tls)),
    }
}
