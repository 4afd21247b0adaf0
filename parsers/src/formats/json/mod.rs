//! `json` — one object a line, by the names that nginx's variables, Caddy, Traefik, Envoy and logstash have, or by a map
//! (`json:status=resp.code,time=@timestamp`). Dots lead into nested objects.
//!
//! Strings are taken as they stand between the quotes, escapes and all: a path with `\u0026` stays so. Only a date's
//! escaped slashes are read as slashes. Of a name that is repeated the first one counts, so that nothing later in the
//! line (a header's value in a log written without escapes) can change a status that stood before it.

mod map;
mod names;
pub(in crate::formats) mod scan;
mod speakers;

use self::scan::Value;
pub(super) use self::speakers::{is_other, record};
use super::{Field, Format, Kind, Malformed, Parsed, envoy};
use crate::context::Context;
use crate::fields::{Slot, Target, Unit, Unusable, Values, is_missing, offset_in};
use crate::syslog;

/// `json`
pub const KIND: Kind = Kind {
    name: "json",
    summary: "JSON lines by the names that nginx, Caddy, Traefik, Envoy and logstash use, or by a map of names",
    example: "json:time=@timestamp,status=resp.code,upstream=backend,request_time=duration_ms:ms",
    compile: map::compile,
    built_in: || vec![Box::new(Json::recognising())],
};

/// What a member's value is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A field.
    Slot(Slot),
    /// A label of its own.
    Extra(u8),
    /// Total time, in this unit.
    Duration(Unit),
    /// The host asked for; with logstash the host that sent the event.
    Host,
    /// logstash has handled this line.
    Logstash,
    /// Caddy's logger: access lines and others share a file.
    Logger,
    /// Traefik: the status of the service behind it.
    OriginStatus,
    /// Traefik: how often it tried again.
    Retries,
    /// Envoy's response flags.
    Flags,
    /// Envoy's response code details.
    Details,
    /// Envoy: why the connection failed.
    Failure,
    /// Envoy: how long the upstream took, if it answered.
    ServiceTime,
    /// Envoy: how often it tried.
    Tries,
}

/// Whose line it is, where a name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Caddy
    Caddy,
    /// Traefik
    Traefik,
    /// Envoy
    Envoy,
}

/// One name that is looked for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Names from the outermost on, with dots between.
    pub path: Box<str>,
    /// What it means.
    pub meaning: Meaning,
    /// Which of several names for the same counts: the least.
    pub rank: u8,
    /// Who alone writes it.
    pub speaker: Option<Speaker>,
}

/// What a line said beside the fields that all formats share.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The fields.
    pub values: Values<'a>,
    /// Whose line it is.
    pub speaker: Option<Speaker>,
    /// Caddy's logger.
    pub logger: Option<&'a [u8]>,
    /// Traefik: the status of the service behind it.
    pub origin_status: Option<&'a [u8]>,
    /// Traefik: how often it tried again.
    pub retries: &'a [u8],
    /// Envoy's response flags.
    pub flags: Option<&'a [u8]>,
    /// Envoy's response code details.
    pub details: &'a [u8],
    /// Envoy: why the connection failed.
    pub failure: &'a [u8],
    /// Envoy: how long the upstream took, if it answered.
    pub service_time: Option<&'a [u8]>,
    /// Envoy: how often it tried.
    pub tries: &'a [u8],
    host: &'a [u8],
    logstash: bool,
    /// Ranks of what `values` holds, by slot.
    ranks: [u8; Slot::COUNT],
}

impl<'a> Seen<'a> {
    pub(super) fn new(line: &'a [u8]) -> Seen<'a> {
        Seen {
            values: Values::new(line, Unit::Written),
            speaker: None,
            logger: None,
            origin_status: None,
            retries: b"",
            flags: None,
            details: b"",
            failure: b"",
            service_time: None,
            tries: b"",
            host: b"",
            logstash: false,
            ranks: [u8::MAX; Slot::COUNT],
        }
    }

    pub(super) fn take(&mut self, entry: &Entry, value: &'a [u8]) {
        self.speaker = self.speaker.or(entry.speaker);
        match entry.meaning {
            Meaning::Slot(slot) => {
                self.set(slot, entry.rank, value);
            }
            Meaning::Duration(unit) => {
                let taken = self.set(Slot::RequestTime, entry.rank, value);
                self.values.unit = if taken { unit } else { self.values.unit };
            }
            Meaning::Extra(index) => self.values.set_first(Target::Extra(index), value),
            Meaning::Host if self.host.is_empty() => self.host = value,
            Meaning::Logstash => self.logstash = true,
            Meaning::Logger => self.logger = self.logger.or(Some(value)),
            Meaning::OriginStatus => self.origin_status = self.origin_status.or(Some(value)),
            Meaning::Retries if self.retries.is_empty() => self.retries = value,
            Meaning::Flags => self.flags = self.flags.or(Some(value)),
            Meaning::Details if self.details.is_empty() => self.details = value,
            Meaning::Failure if self.failure.is_empty() => self.failure = value,
            Meaning::ServiceTime => self.service_time = self.service_time.or(Some(value)),
            Meaning::Tries if self.tries.is_empty() => self.tries = value,
            _ => {}
        }
    }

    /// Puts a value into its slot if it ranks above what is there; of equals the first counts.
    pub(super) fn set(&mut self, slot: Slot, rank: u8, value: &'a [u8]) -> bool {
        let Some(old) = self.ranks.get_mut(slot as usize) else { return false };
        let held = self.values.get(slot);
        let better = match held {
            None => true,
            Some(held) => !is_missing(value) && (rank < *old || is_missing(held)),
        };
        if better {
            *old = rank;
            self.values.set(Target::Slot(slot), value);
        }
        better
    }

    /// What needs the whole line: whose host it is, what a bare duration counts.
    pub(super) fn settle(&mut self) {
        let slot = if self.logstash { Slot::Node } else { Slot::Site };
        if !self.host.is_empty() {
            self.set(slot, 2, self.host);
        }
        if self.values.unit == Unit::Written {
            self.values.unit = match self.speaker {
                Some(Speaker::Caddy) => Unit::Seconds,
                Some(Speaker::Envoy) => Unit::Millis,
                Some(Speaker::Traefik) | None => Unit::Written,
            };
        }
    }
}

#[derive(Debug)]
struct Json {
    name: String,
    labels: Vec<String>,
    /// Entries by the length of their path.
    entries: Vec<Vec<Entry>>,
    knows_upstream: bool,
}

impl Json {
    /// By the names that are known.
    fn recognising() -> Json {
        Json::new("json".to_owned(), names::entries(), Vec::new())
    }

    fn new(name: String, entries: Vec<Entry>, labels: Vec<String>) -> Json {
        let is_upstream = |e: &Entry| matches!(e.meaning, Meaning::Slot(Slot::Upstream | Slot::Server));
        let knows_upstream = entries.iter().any(is_upstream);
        let mut by_length: Vec<Vec<Entry>> = Vec::new();
        for entry in entries {
            let length = entry.path.len();
            if by_length.len() <= length {
                by_length.resize_with(length + 1, Vec::new);
            }
            if let Some(bucket) = by_length.get_mut(length) {
                bucket.push(entry);
            }
        }
        Json { name, labels, entries: by_length, knows_upstream }
    }

    fn entry(&self, names: &[&[u8]]) -> Option<&Entry> {
        let length = names.iter().map(|name| name.len() + 1).sum::<usize>().checked_sub(1)?;
        self.entries.get(length)?.iter().find(|entry| is_path(entry.path.as_bytes(), names))
    }

    fn scan<'a>(&self, line: &'a [u8], text: &'a [u8]) -> Result<Seen<'a>, Malformed<'static>> {
        let mut seen = Seen::new(line);
        let scanned = scan::members(text, |names, value, _| {
            if let Some(entry) = self.entry(names) {
                seen.take(entry, value.bytes());
            }
        });
        match scanned {
            Ok(()) => {
                seen.settle();
                Ok(seen)
            }
            Err(broken) => {
                Err(Malformed { field: "", at: offset_in(line, text) + broken.at, reason: broken.reason })
            }
        }
    }
}

/// The names that are known, for other formats whose fields have names.
#[derive(Debug)]
pub(super) struct Known(Json);

impl Known {
    /// Every one of them.
    pub(super) fn new() -> Known {
        Known(Json::recognising())
    }

    /// What a name means.
    pub(super) fn entry(&self, name: &[u8]) -> Option<&Entry> {
        self.0.entry(&[name])
    }
}

/// Whether the path, split at dots, is these names. Names may hold dots themselves.
fn is_path(path: &[u8], names: &[&[u8]]) -> bool {
    let mut rest = path;
    for (i, name) in names.iter().enumerate() {
        let Some(after) = rest.strip_prefix(*name) else { return false };
        rest = after;
        if i + 1 < names.len() {
            let Some(after) = rest.strip_prefix(b".") else { return false };
            rest = after;
        }
    }
    rest.is_empty()
}

/// The object in a line: behind a syslog or container header, or a byte order mark.
fn object<'a>(line: &'a [u8], context: &mut Context) -> (&'a [u8], &'a [u8]) {
    let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if text.is_empty() || text.starts_with(b"{") {
        return (text, b"");
    }
    let header = syslog::strip(text, &mut context.prefix);
    (header.rest.trim_ascii(), header.host)
}

impl Format for Json {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        if self.name == "json" { "JSON".to_owned() } else { "JSON with a field map".to_owned() }
    }

    fn extra_labels(&self) -> &[String] {
        &self.labels
    }

    fn knows_upstream(&self) -> bool {
        self.knows_upstream
    }

    fn needs_zone(&self) -> bool {
        false
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        let (text, sender) = object(line, context);
        if text.is_empty() {
            return Ok(Parsed::Other);
        }
        let mut seen = self.scan(line, text)?;
        if speakers::is_other(&seen) {
            return Ok(Parsed::Other);
        }
        if !sender.is_empty() {
            seen.set(Slot::Node, u8::MAX, sender);
        }
        speakers::record(&seen, context).map(Parsed::Record).or_else(|unusable| match unusable.value {
            // What is no request may be Envoy's word on a server.
            None if let Some(event) = envoy::ejection(text, sender, context) => Ok(Parsed::Event(event)),
            None if is_message(text) => Ok(Parsed::Other),
            _ => Err(malformed(line, unusable)),
        })
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let (text, _) = object(line, context);
        let from = offset_in(line, text);
        let mut fields = Vec::new();
        // What was seen before the break is what people want; where it broke, `parse` says.
        let _ = scan::members(text, |names, value, at| {
            let (Value::Text(value) | Value::Bare(value)) = value;
            fields.push(Field { name: joined(names), value, at: from + at });
        });
        fields
    }
}

fn malformed<'a>(line: &[u8], unusable: Unusable<'_>) -> Malformed<'a> {
    let at = unusable.value.map_or(0, |value| offset_in(line, value));
    Malformed { field: unusable.slot.name(), at, reason: unusable.reason }
}

fn joined(names: &[&[u8]]) -> String {
    names.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(".")
}

/// Whether this is a program's message in the same file rather than a request under names that we do not know: it has a
/// level and a text, and nothing in it is called a status or a code.
fn is_message(text: &[u8]) -> bool {
    let (mut level, mut message, mut status) = (false, false, false);
    let whole = scan::members(text, |names, _, _| {
        let Some(name) = names.last() else { return };
        let has = |word: &[u8]| name.to_ascii_lowercase().windows(word.len()).any(|part| part == word);
        match *name {
            b"level" | b"severity" => level = true,
            b"msg" | b"message" => message = true,
            _ => status |= has(b"status") || has(b"code"),
        }
    });
    whole.is_ok() && level && message && !status
}

/// The names in a line, dots between: for people who have to write a map. Empty if it is no JSON object.
#[must_use]
pub fn member_names(line: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let text = line.get(line.iter().position(|b| *b == b'{').unwrap_or(line.len())..).unwrap_or_default();
    let whole = scan::members(text, |path, _, _| names.push(joined(path)));
    if whole.is_ok() { names } else { Vec::new() }
}

#[cfg(test)]
mod tests;
