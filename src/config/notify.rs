//! `[notify.KIND.NAME]`: what receivers have in common. What is secret is read here and printed nowhere.

mod chats;
mod host;
mod machines;
mod mail;
mod templates;

use super::Outside;
use super::document::Entry;
use super::problem::{Log, Spot};
use super::reader::{Reader, Section, shown};
use super::secrets::{certificates, expanded, exposed, secret};
use super::values::{self, Read, Refusal, did_you_mean};
use crate::receiver::{Heartbeat, Rate, Receiver, ReceiverKind, Secret, Templates};
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

/// `[heartbeat]`
pub(super) fn heartbeat(
    section: Option<&Section<'_>>,
    outside: &Outside<'_>,
    log: &mut Log<'_>,
) -> Option<Heartbeat> {
    const EVERY: std::ops::RangeInclusive<i64> = 10_000..=3_600_000;
    let mut reader = Reader::new(section?, None, log);
    let url = url(&mut reader, outside);
    exposed(&mut reader, "url", outside);
    let every = reader.value("every", |value| {
        let every = values::duration(value)?;
        EVERY
            .contains(&every)
            .then_some(every)
            .ok_or_else(|| Refusal::new("10s to 1h", values::print_duration(every)))
    });
    let post = reader.value("method", |value| values::one_of(&[("GET", false), ("POST", true)], value));
    let ca_file = certificates(&mut reader, "ca_file", outside);
    let proxy = proxy(&mut reader, outside);
    reader.finish();
    let every = every.unwrap_or(Heartbeat::EVERY);
    Some(Heartbeat { url: url?, every, post: post.unwrap_or(false), ca_file, proxy })
}

fn receiver(entry: &Entry<'_>, names: &[&str], outside: &Outside<'_>, log: &mut Log<'_>) -> Option<Receiver> {
    let mut reader = Reader::new(&entry.section, None, log);
    let kind = match entry.kind {
        "webhook" => machines::webhook(&mut reader, outside),
        "alertmanager" => machines::alertmanager(&mut reader, outside),
        "pagerduty" => machines::pagerduty(&mut reader, outside),
        "exec" => host::exec(&mut reader, outside),
        "journald" => host::journald(&mut reader, outside),
        "slack" => chats::slack(&mut reader, outside),
        "teams" => chats::teams(&mut reader, outside),
        "discord" => chats::discord(&mut reader, outside),
        "telegram" => chats::telegram(&mut reader, outside),
        "ntfy" => chats::ntfy(&mut reader, outside),
        _ => mail::email(&mut reader, outside).map(ReceiverKind::Email),
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
    let usual_rate = || kind.as_ref().map_or(Some(Rate::DEFAULT), ReceiverKind::usual_rate);
    let rate_limit = reader.value("rate_limit", rate).unwrap_or_else(usual_rate);
    let fallback = fallback(&mut reader, entry.name, names);
    let fallback_only = reader.value("fallback_only", values::boolean).unwrap_or(false);
    let on_this_host = matches!(entry.kind, "exec" | "journald");
    let ca_file = if on_this_host { None } else { certificates(&mut reader, "ca_file", outside) };
    let by_http = !on_this_host && entry.kind != "email";
    let proxy = if by_http { proxy(&mut reader, outside) } else { None };
    let heard = matches!(entry.kind, "webhook" | "alertmanager");
    let watchdog = heard && reader.value("watchdog", values::boolean).unwrap_or(false);
    let takes_templates = kind.as_ref().is_some_and(ReceiverKind::takes_templates);
    let templates =
        if takes_templates { templates::templates(&mut reader, outside) } else { Templates::default() };
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
        templates,
        watchdog,
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

/// `url`, or the content of `url_file`; both may be needed.
fn url(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<Secret> {
    if reader.get("url").is_none() && reader.get("url_file").is_none() {
        reader.lacks("url", "url = \"https://…\", or url_file = \"…\"");
    }
    let (text, spot) = secret(reader, ("url", "url_file"), outside)?;
    match web(&text) {
        Ok(()) => Some(Secret::new(text)),
        Err(label) => {
            reader.log.error(spot, "`url` must be a URL".to_owned(), &label);
            None
        }
    }
}

/// A URL that has a default; a server's address, but it may carry a password.
fn url_or(
    reader: &mut Reader<'_, '_, '_>,
    key: &'static str,
    usual: &str,
    outside: &Outside<'_>,
) -> Option<Secret> {
    if reader.get(key).is_none() {
        return Some(Secret::new(usual.to_owned()));
    }
    reader.value(key, |value| web_url(value, outside))
}

fn web_url(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<Secret> {
    let text = expanded(value, outside)?;
    web(&text).map_err(|label| Refusal::new("a URL", label))?;
    Ok(Secret::new(text))
}

/// The URL may be a credential: nothing of it is repeated.
fn web(text: &str) -> Result<(), String> {
    const BEGINNING: &str = "begins with https:// or http://";
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Err(BEGINNING.to_owned()),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => Err("it has no host".to_owned()),
        Ok(_) => Ok(()),
        Err(_) if !text.contains("://") => Err(BEGINNING.to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

/// A secret that has to be there: `key` or `key_file`.
fn required(
    reader: &mut Reader<'_, '_, '_>,
    keys: (&'static str, &'static str),
    example: &str,
    outside: &Outside<'_>,
) -> Option<Secret> {
    if reader.get(keys.0).is_none() && reader.get(keys.1).is_none() {
        reader.lacks(keys.0, example);
    }
    optional(reader, keys, outside)
}

/// `key`, or the content of the file that `key_file` names.
fn optional(
    reader: &mut Reader<'_, '_, '_>,
    keys: (&'static str, &'static str),
    outside: &Outside<'_>,
) -> Option<Secret> {
    let found = secret(reader, keys, outside);
    exposed(reader, keys.0, outside);
    found.map(|(text, _)| Secret::new(text))
}
