//! `[input.syslog.NAME]` and `[input.journald.NAME]`: what they have of their own.

use super::problem::Spot;
use super::reader::{Found, Reader};
use super::values::{self, Read, Refusal, type_of};
use crate::inputs::journald;
use crate::inputs::syslog::address::{Listen, Network, Refused};
use crate::inputs::syslog::{Access, Settings, TlsFiles};
use std::path::PathBuf;
use toml::de::DeValue;

const EXAMPLE: &str = "like listen = [\"udp://127.0.0.1:5140\", \"unix:///run/gatewatch/log.sock\"]";

/// `[input.syslog.NAME]`; `seen`: where others listen.
pub(super) fn syslog(reader: &mut Reader<'_, '_, '_>, seen: &mut Vec<(Listen, Spot)>) -> Settings {
    let listen = reader.list("listen", listen).unwrap_or_default();
    required(reader, "listen", EXAMPLE);
    for found in &listen {
        // The system gives every port 0 another number.
        if found.value.address().is_some_and(|address| address.port() == 0) {
            continue;
        }
        match seen.iter().find(|s| s.0 == found.value) {
            Some((_, first)) => {
                let place = reader.log.sources.get(first.file).map(|s| s.name_of(first.start));
                let label = format!("first at {}", place.unwrap_or_default());
                reader.log.error(found.written, format!("`{}` is listened at already", found.value), &label);
            }
            None => seen.push((found.value.clone(), found.written)),
        }
    }
    let has_allow = reader.get("allow").is_some();
    let allow = reader.list("allow", network).unwrap_or_default();
    if let Some(open) = listen.iter().find(|l| l.value.is_open_to_others() && allow.is_empty())
        && (!has_allow
            || reader.get("allow").is_some_and(|w| w.value.as_array().is_some_and(|a| a.is_empty())))
    {
        let message = format!("`{}` is open to other hosts: `allow` must say which ones", open.value);
        reader.log.error(open.written, message, "like allow = [\"10.0.0.0/8\"], or listen at 127.0.0.1");
    }
    let tls = tls(reader, &listen);
    let access = access(reader, &listen);
    Settings {
        listen: listen.into_iter().map(|l| l.value).collect(),
        allow: allow.into_iter().map(|a| a.value).collect(),
        access,
        tls,
    }
}

/// A list that has to have something in it.
fn required(reader: &mut Reader<'_, '_, '_>, key: &'static str, example: &str) {
    match reader.get(key) {
        None => reader.lacks(key, example),
        Some(written) if written.value.as_array().is_some_and(|a| a.is_empty()) => {
            reader.log.error(written.spot, format!("`{key}` must not be empty"), example);
        }
        Some(_) => {}
    }
}

fn refusal(wants: &str, refused: Refused) -> Refusal {
    Refusal { wants: wants.to_owned(), label: refused.why, at: Some(refused.at) }
}

fn listen(value: &DeValue<'_>) -> Read<Listen> {
    const WANTS: &str = "a list of addresses";
    let Some(text) = value.as_str() else { return Err(Refusal::new(WANTS, type_of(value))) };
    Listen::parse(text).map_err(|refused| refusal(WANTS, refused))
}

fn network(value: &DeValue<'_>) -> Read<Network> {
    const WANTS: &str = "a list of networks";
    let Some(text) = value.as_str() else { return Err(Refusal::new(WANTS, type_of(value))) };
    Network::parse(text).map_err(|refused| refusal(WANTS, refused))
}

fn tls(reader: &mut Reader<'_, '_, '_>, listen: &[Found<Listen>]) -> Option<TlsFiles> {
    let path = |value: &DeValue<'_>| values::text(value).map(PathBuf::from);
    let cert = reader.value("cert_file", path);
    let key = reader.value("key_file", path);
    let client_ca = reader.value("client_ca_file", path);
    let at = listen.iter().find(|l| matches!(l.value, Listen::Tls(_)));
    match at {
        Some(at) => {
            for (key, given) in [("cert_file", cert.is_some()), ("key_file", key.is_some())] {
                if !given && reader.get(key).is_none() {
                    let message = format!("`{}` lacks `{key}`", at.value);
                    reader.log.error(at.written, message, "TLS needs cert_file and key_file, in PEM");
                }
            }
            Some(TlsFiles { cert: cert?, key: key?, client_ca })
        }
        None => {
            without(reader, &["cert_file", "key_file", "client_ca_file"], "tls://");
            None
        }
    }
}

fn access(reader: &mut Reader<'_, '_, '_>, listen: &[Found<Listen>]) -> Access {
    let mode = reader.value("mode", mode);
    let group = reader.value("group", values::text);
    if !listen.iter().any(|l| matches!(l.value, Listen::Unix(_))) {
        without(reader, &["mode", "group"], "unix://");
    }
    Access { mode: mode.unwrap_or(Access::default().mode), group }
}

/// Keys that do nothing, since no such socket is listened at.
fn without(reader: &mut Reader<'_, '_, '_>, keys: &[&'static str], scheme: &str) {
    for key in keys {
        if let Some(written) = reader.get(key) {
            let message = format!("`{key}` does nothing: nothing listens at {scheme}…");
            reader.log.warn(written.key, message, "");
        }
    }
}

/// `"0660"`, as chmod takes it.
fn mode(value: &DeValue<'_>) -> Read<u32> {
    const WANTS: &str = "a mode in octal digits";
    let Some(text) = value.as_str() else {
        return Err(Refusal::new(WANTS, format!("{}; write \"0660\"", type_of(value))));
    };
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err(Refusal::new(WANTS, "like \"0660\"")),
    }
}

/// `[input.journald.NAME]`.
pub(super) fn journald(reader: &mut Reader<'_, '_, '_>) -> journald::Settings {
    let mut list = |key| {
        let found = reader.list(key, word).unwrap_or_default();
        found.into_iter().map(|f| f.value).collect::<Vec<_>>()
    };
    let (units, identifiers) = (list("units"), list("identifiers"));
    let is_empty = |key, reader: &mut Reader<'_, '_, '_>| {
        reader.get(key).is_none_or(|w| w.value.as_array().is_some_and(|a| a.is_empty()))
    };
    if is_empty("units", reader) && is_empty("identifiers", reader) {
        let message = format!("[{}] lacks `units` or `identifiers`", reader.section.title);
        reader.log.error(reader.section.spot, message, "like units = [\"nginx.service\"]");
    }
    journald::Settings { units, identifiers }
}

/// What goes to journalctl as an argument of its own.
fn word(value: &DeValue<'_>) -> Read<String> {
    const WANTS: &str = "a list of names";
    let text = values::text(value).map_err(|refused| Refusal { wants: WANTS.to_owned(), ..refused })?;
    if value.as_str().is_some() && !text.starts_with('-') {
        Ok(text)
    } else {
        Err(Refusal::new(WANTS, "begins with a hyphen"))
    }
}
