//! The map after `json:`: which member holds what.

use super::{Entry, Json, Meaning, scan};
use crate::fields::{Slot, Unit};
use crate::formats::{Format, SpecError};
use crate::proxy_status::Header;
use crate::record::EXTRA_LABELS_MAX;

/// `name=path`, separated by commas.
pub fn compile(map: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let Some(map) = map else { return Ok(Box::new(Json::recognising())) };
    let mut entries: Vec<Entry> = Vec::new();
    let mut labels: Vec<String> = Vec::new();
    let mut at = 0;
    for pair in map.split(',') {
        let entry = entry(pair, &entries, &mut labels).map_err(|message| SpecError { message, at })?;
        entries.push(entry);
        at += pair.len() + 1;
    }
    let has = |slot| entries.iter().any(|entry| entry.meaning == Meaning::Slot(slot));
    let missing = match (has(Slot::Time) || has(Slot::StartTime), has(Slot::Status)) {
        (true, true) => return Ok(Box::new(Json::new(format!("json:{map}"), entries, labels))),
        (false, true) => "time=… (when the request ended; start_time=… if the log has its start)",
        (true, false) => "status=…",
        (false, false) => "time=… and status=…",
    };
    let known = if labels.is_empty() {
        String::new()
    } else {
        format!("; these become labels: {}", labels.join(", "))
    };
    Err(SpecError { message: format!("the map lacks {missing}{known}"), at: map.len() })
}

fn entry(pair: &str, entries: &[Entry], labels: &mut Vec<String>) -> Result<Entry, String> {
    let (name, path) = match pair.split_once('=') {
        Some((name, path)) if !name.trim().is_empty() && !path.trim().is_empty() => {
            (name.trim(), path.trim())
        }
        _ => return Err(format!("`{pair}`: write name=member, like status=resp.code")),
    };
    let (meaning, path) = match Slot::named(name) {
        Some(Slot::RequestTime) => {
            let (path, unit) = match path.rsplit_once(':') {
                Some((path, unit)) if Unit::named(unit.as_bytes()).is_some() => {
                    (path, Unit::named(unit.as_bytes()))
                }
                _ => (path, None),
            };
            (Meaning::Duration(unit.unwrap_or(Unit::Seconds)), path)
        }
        Some(Slot::ProxyStatus) => {
            (Meaning::Told(Header::named(name.as_bytes()).unwrap_or(Header::PROXY_STATUS)), path)
        }
        Some(slot) => (Meaning::Slot(slot), path),
        None if name == "error" => (Meaning::Error, path),
        None => (Meaning::Extra(label(name, labels)?), path),
    };
    if path.split('.').count() > scan::DEPTH_MAX && !path.is_empty() {
        return Err(format!("`{path}` leads through more than {} names", scan::DEPTH_MAX));
    }
    let same = |e: &&Entry| match (e.meaning, meaning) {
        (Meaning::Duration(_), Meaning::Duration(_)) | (Meaning::Told(_), Meaning::Told(_)) => true,
        (a, b) => a == b,
    };
    if entries.iter().any(|entry| same(&entry)) {
        return Err(format!("`{name}` is mapped twice"));
    }
    if entries.iter().any(|e| *e.path == *path) {
        return Err(format!("`{path}` is mapped twice"));
    }
    Ok(Entry { path: path.into(), meaning, rank: 0, speaker: None })
}

fn label(name: &str, labels: &mut Vec<String>) -> Result<u8, String> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') || name == "input" {
        return Err(format!("`{name}` is no name for a label: letters, digits and _, and not `input`"));
    }
    if labels.iter().any(|l| l == name) {
        return Err(format!("`{name}` is mapped twice"));
    }
    if labels.len() >= EXTRA_LABELS_MAX {
        return Err(format!(
            "`{name}` is one label too many; at most {EXTRA_LABELS_MAX}: {}",
            labels.join(", ")
        ));
    }
    labels.push(name.to_owned());
    Ok(u8::try_from(labels.len() - 1).unwrap_or(u8::MAX))
}
