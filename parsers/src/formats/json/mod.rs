//! `json` — one object a line, by the names that nginx's variables, Caddy, Traefik, Envoy, Cloudflare, Fastly, logstash
//! and people's scrapers have, or by a map (`json:status=resp.code,time=@timestamp`). Dots lead into nested objects.
//!
//! Strings are taken as they stand between the quotes, escapes and all: a path with `\u0026` stays so. Only a date's
//! escaped slashes are read as slashes. Of a name that is repeated the first one counts, so that nothing later in the
//! line (a header's value in a log written without escapes) can change a status that stood before it.

mod caddy;
mod entries;
mod map;
mod names;
mod networks;
pub(in crate::formats) mod scan;
mod scraper;
mod seen;
mod speakers;
mod traefik;

use self::entries::Entries;
use self::scan::Value;
pub(super) use self::seen::Seen;
pub(super) use self::speakers::{beside, record};
use super::{Compiled, Field, Format, Kind, Malformed, Parsed, SpecError, envoy};
use crate::context::Context;
use crate::fields::{Slot, Unit, Unusable, offset_in};
use crate::proxy_status::Header;
use crate::syslog;

/// `json`
pub const KIND: Kind = Kind {
    name: "json",
    summary: "JSON lines by the names that nginx, Caddy, Traefik, Envoy, Cloudflare, Fastly and scrapers use, or by a map",
    example: "json:time=@timestamp,status=resp.code,upstream=backend,request_time=duration_ms:ms",
    compile: map::compile,
    built_in: || vec![Box::new(Json::recognising())],
};

/// `caddy`
pub const CADDY: Kind =
    spoken("caddy", "Caddy's JSON, also filtered until nothing in it is Caddy's alone", |setting| {
        speaking("caddy", Speaker::Caddy, setting)
    });

/// `cloudflare`
pub const CLOUDFLARE: Kind = spoken("cloudflare", "Cloudflare's Logpush of http_requests", |setting| {
    speaking("cloudflare", Speaker::Cloudflare, setting)
});

/// `fastly`
pub const FASTLY: Kind = spoken("fastly", "Fastly's JSON, as its documentation has it", |setting| {
    speaking("fastly", Speaker::Fastly, setting)
});

/// `scraper`
pub const SCRAPER: Kind =
    spoken("scraper", "A scraper's own JSON: exit, target, status or exception", |setting| {
        speaking("scraper", Speaker::Scraper, setting)
    });

/// A kind that says whose the lines are, where the names in them leave that open; detection finds the others.
const fn spoken(name: &'static str, summary: &'static str, compile: fn(Option<&str>) -> Compiled) -> Kind {
    Kind { name, summary, example: name, compile, built_in: Vec::new }
}

/// The names that are known, and whose lines they are.
pub fn speaking(name: &str, speaker: Speaker, setting: Option<&str>) -> Compiled {
    if setting.is_some() {
        let message =
            format!("`{name}` takes nothing more; names of your own are a map: json:time=…,status=…");
        return Err(SpecError { message, at: 0 });
    }
    Ok(Box::new(Json { name: name.to_owned(), speaker: Some(speaker), ..Json::recognising() }))
}

/// A longer name of a member is none that a person gave.
const NAME_MAX: usize = 64;

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
    /// A header that tells of an error.
    Told(Header),
    /// An exception's name, an error's text.
    Error,
    /// A program's own text for people, which may hold an error's.
    Message,
    /// Traefik: how long the body was that the service sent.
    OriginSize,
    /// Fastly's word for what it did, and the reason phrase.
    State,
    /// See `State`.
    Phrase,
    /// Nothing but whose line it is.
    Mark,
    /// The address that a forward proxy's request left from.
    Exit,
    /// The forward proxy that was asked.
    Proxy,
    /// Whose it is.
    Provider,
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
    /// Cloudflare's Logpush
    Cloudflare,
    /// Fastly
    Fastly,
    /// A program that fetches pages, through forward proxies or not.
    Scraper,
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

#[derive(Debug)]
struct Json {
    name: String,
    labels: Vec<String>,
    entries: Entries,
    /// Whose lines these are, where the setting says so.
    speaker: Option<Speaker>,
    knows_upstream: bool,
}

impl Json {
    /// By the names that are known.
    fn recognising() -> Json {
        let labels = seen::LABELS.map(str::to_owned).to_vec();
        Json::new("json".to_owned(), names::entries(), labels)
    }

    fn new(name: String, entries: Vec<Entry>, labels: Vec<String>) -> Json {
        let is_upstream = |e: &Entry| matches!(e.meaning, Meaning::Slot(Slot::Upstream | Slot::Server));
        let knows_upstream = entries.iter().any(is_upstream);
        Json { name, labels, entries: Entries::new(entries), speaker: None, knows_upstream }
    }

    /// What the members of an object in a line say; filled in place, for it is no small thing to hand on.
    fn scan<'a>(&self, line: &'a [u8], text: &'a [u8], seen: &mut Seen<'a>) -> Result<(), Malformed<'a>> {
        seen.speaker = self.speaker;
        let scanned = scan::members(text, |names, value, _| {
            if let Some(entry) = self.entries.find(names) {
                seen.take(entry, value.bytes());
            }
        });
        match scanned {
            Ok(()) => {
                seen.is_whole = true;
                seen.settle();
                Ok(())
            }
            Err(broken) => {
                // A name is what the line says: only a plain one is shown as a field's.
                let is_plain = matches!(broken.member.len(), 1..=NAME_MAX)
                    && broken.member.iter().all(u8::is_ascii_graphic);
                let member = str::from_utf8(broken.member).ok().filter(|_| is_plain);
                let field = member.unwrap_or("object");
                Err(Malformed { field, at: offset_in(line, text) + broken.at, reason: broken.reason })
            }
        }
    }
}

/// The names that are known, for other formats whose fields have names.
#[derive(Debug)]
pub(super) struct Known(Json);

impl Known {
    /// Every one of them, but for what a format has in their place: `None` is a name that means nothing there.
    pub(super) fn but_for(own: &[(&str, Option<Meaning>, u8)]) -> Known {
        let is_own = |path: &str| own.iter().any(|(name, ..)| *name == path);
        let mut entries = names::entries();
        entries.retain(|entry| !is_own(&entry.path));
        entries.extend(own.iter().filter_map(|(name, meaning, rank)| {
            Some(Entry { path: (*name).into(), meaning: (*meaning)?, rank: *rank, speaker: None })
        }));
        Known(Json::new("json".to_owned(), entries, seen::LABELS.map(str::to_owned).to_vec()))
    }

    /// The labels that some of them fill.
    pub(super) fn labels(&self) -> &[String] {
        &self.0.labels
    }

    /// What a name means.
    pub(super) fn entry(&self, name: &[u8]) -> Option<&Entry> {
        self.0.entries.find(&[name])
    }
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
        match self.name.split_once(':') {
            None if self.speaker.is_none() => "JSON".to_owned(),
            Some(("json", _)) => "JSON with a field map".to_owned(),
            _ => format!("JSON of {}", self.name),
        }
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
        let mut seen = Seen::new(line);
        self.scan(line, text, &mut seen)?;
        if !sender.is_empty() {
            seen.set(Slot::Node, u8::MAX, sender);
        }
        if let Some(beside) = speakers::beside(&seen, context) {
            return Ok(beside);
        }
        let unusable = match speakers::record(&seen, context) {
            Ok(record) => return Ok(Parsed::Record(record)),
            Err(unusable) => unusable,
        };
        if unusable.value.is_none() {
            // What is no request may be Envoy's word on a server.
            if let Some(event) = envoy::ejection(text, sender, context) {
                return Ok(Parsed::Event(event));
            }
            if is_message(text) {
                return Ok(Parsed::Other);
            }
        }
        Err(malformed(line, unusable))
    }

    /// Envoy may write of its servers to a file of its own.
    fn is_own(&self, line: &[u8], context: &mut Context) -> bool {
        let (text, sender) = object(line, context);
        envoy::ejection(text, sender, context).is_some()
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

/// Every name that is known without a map, and what it gives.
pub fn known_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    names::documented()
}

/// Whether one of these names is known to give a time, and one a status.
pub(crate) fn tells(names: &[String]) -> (bool, bool) {
    let gives = |what: &[&str]| {
        known_names().any(|(name, gives)| what.contains(&gives) && names.iter().any(|n| n == name))
    };
    (gives(&[Slot::Time.name(), Slot::StartTime.name()]), gives(&[Slot::Status.name()]))
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
mod speakers_tests;
#[cfg(test)]
mod tests;
