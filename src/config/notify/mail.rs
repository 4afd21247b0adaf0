//! `[notify.email.NAME]`.

use crate::config::Outside;
use crate::config::reader::Reader;
use crate::config::secrets::{expanded, exposed, secret};
use crate::config::values::{self, Read, Refusal};
use crate::receiver::{EmailSettings, Secret, Tls};
use reqwest::Url;
use toml::de::DeValue;

pub(super) fn email(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<EmailSettings> {
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
