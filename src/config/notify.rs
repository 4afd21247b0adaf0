//! `[notify.webhook.NAME]`, `[notify.slack.NAME]`, `[notify.email.NAME]`. What is secret is read here and printed nowhere.

use super::Outside;
use super::document::Entry;
use super::problem::{Log, Spot};
use super::reader::Reader;
use super::values::{self, Read, Refusal};
use crate::receiver::{EmailSettings, Receiver, ReceiverKind, Secret, Tls};
use reqwest::Url;
use std::path::PathBuf;
use toml::de::DeValue;

pub(super) fn receivers(
    entries: &[Entry<'_>],
    outside: &Outside<'_>,
    log: &mut Log<'_>,
) -> Vec<(Receiver, Spot)> {
    entries.iter().filter_map(|e| Some((receiver(e, outside, log)?, e.section.spot))).collect()
}

fn receiver(entry: &Entry<'_>, outside: &Outside<'_>, log: &mut Log<'_>) -> Option<Receiver> {
    let mut reader = Reader::new(&entry.section, None, log);
    let kind = match entry.kind {
        "webhook" => url(&mut reader, outside).map(|url| ReceiverKind::Webhook { url }),
        "slack" => url(&mut reader, outside).map(|url| ReceiverKind::Slack { url }),
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
    let ca_file = reader.value("ca_file", |v| certificates(v, outside));
    reader.finish();
    let name = entry.name.to_owned();
    Some(Receiver { name, kind: kind?, severity, send_resolved, group_wait, ca_file })
}

/// A string of `[notify]`: `${env:NAME}` is expanded.
fn expanded(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<String> {
    let text = values::text(value)?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let at = text.len() - after.len() - 2;
        let refusal = |label: String| Refusal {
            wants: "a string that can be expanded".to_owned(),
            label,
            at: Some(at),
        };
        let Some((name, behind)) = after.split_once('}') else {
            return Err(refusal("`${` without `}`".to_owned()));
        };
        let Some(name) = name.strip_prefix("env:") else {
            return Err(refusal("write ${env:NAME}".to_owned()));
        };
        let Some(value) = (outside.variable)(name) else {
            return Err(refusal(format!("the environment has no `{name}`")));
        };
        if value.chars().any(char::is_control) {
            return Err(refusal(format!("`{name}` has a control character (a line end, a tab) in it")));
        }
        out.push_str(before);
        out.push_str(&value);
        rest = behind;
    }
    out.push_str(rest);
    if out.is_empty() { Err(Refusal::new("a string", "empty")) } else { Ok(out) }
}

/// `key`, or the content of the file that `key_file` names; and where it stands.
fn secret(
    reader: &mut Reader<'_, '_, '_>,
    keys: (&'static str, &'static str),
    outside: &Outside<'_>,
) -> Option<(String, Spot)> {
    let both = (reader.get(keys.0), reader.get(keys.1));
    if let (Some(_), Some(file)) = both {
        let message = format!("`{}` and `{}` exclude each other", keys.1, keys.0);
        reader.log.error(file.key, message, "keep one");
    }
    let direct = reader.read(keys.0, |v| expanded(v, outside));
    let file = reader.read(keys.1, |v| from_file(v, outside));
    direct.or(file).map(|found| (found.value, found.written))
}

fn from_file(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<String> {
    const WANTS: &str = "a file that can be read";
    let path = expanded(value, outside)?;
    let text = (outside.file)(&path).map_err(|e| Refusal::new(WANTS, e.to_string()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Refusal::new("a file with a secret in it", "it is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::new("a file of one line", "it has more, or a control character"));
    }
    Ok(text.to_owned())
}

/// A file of certificates; it is read where a connection is made, and only looked at here.
fn certificates(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<PathBuf> {
    let path = expanded(value, outside)?;
    match (outside.file)(&path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Ok(PathBuf::from(path)),
        Ok(_) => Err(Refusal::new("a file of PEM certificates", "there is none in it")),
        Err(e) => Err(Refusal::new("a file that can be read", e.to_string())),
    }
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
