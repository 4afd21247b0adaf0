//! Receivers on this host: `[notify.exec.NAME]`, `journald`.

use crate::config::Outside;
use crate::config::reader::Reader;
use crate::config::secrets::expanded;
use crate::config::values::{self, Read, Refusal};
use crate::receiver::{ReceiverKind, Secret};
use std::path::PathBuf;
use toml::de::DeValue;

const JOURNAL: &str = "/run/systemd/journal/socket";
const TIMEOUT: i64 = 10_000;
const TIMEOUT_RANGE: std::ops::RangeInclusive<i64> = 1_000..=300_000;

pub(super) fn exec(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    const EXAMPLE: &str =
        "a program and its arguments: command = [\"/usr/local/bin/page\", \"--team\", \"ops\"]";
    let written = reader.get("command");
    if written.is_none() {
        reader.lacks("command", EXAMPLE);
    }
    let command = reader.list("command", |value| expanded(value, outside));
    let timeout = reader.value("timeout", |value| {
        let timeout = values::duration(value)?;
        let refusal = || Refusal::new("1s to 5m", "others wait for it");
        TIMEOUT_RANGE.contains(&timeout).then_some(timeout).ok_or_else(refusal)
    });
    let mut command = command?.into_iter();
    let Some(program) = command.next() else {
        let is_empty = written.and_then(|w| w.value.as_array()).is_some_and(|a| a.is_empty());
        if let Some(written) = written.filter(|_| is_empty) {
            reader.log.error(written.spot, "`command` must not be empty".to_owned(), EXAMPLE);
        }
        return None;
    };
    if !program.value.starts_with('/') {
        // The daemon's PATH and folder are not those of who wrote this; and no shell reads it.
        reader.log.error(
            program.written,
            "`command` must begin with a program's whole path".to_owned(),
            EXAMPLE,
        );
        return None;
    }
    let args = command.map(|arg| Secret::new(arg.value)).collect();
    Some(ReceiverKind::Exec { program: program.value.into(), args, timeout: timeout.unwrap_or(TIMEOUT) })
}

pub(super) fn journald(reader: &mut Reader<'_, '_, '_>, outside: &Outside<'_>) -> Option<ReceiverKind> {
    if reader.get("socket").is_none() {
        return Some(ReceiverKind::Journald { socket: JOURNAL.into() });
    }
    let socket = reader.value("socket", |value| absolute(value, outside))?;
    Some(ReceiverKind::Journald { socket })
}

fn absolute(value: &DeValue<'_>, outside: &Outside<'_>) -> Read<PathBuf> {
    let text = expanded(value, outside)?;
    text.starts_with('/').then(|| PathBuf::from(text)).ok_or_else(|| Refusal::new("a whole path", JOURNAL))
}
