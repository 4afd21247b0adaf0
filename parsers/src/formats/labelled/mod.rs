//! `ltsv` and `logfmt`: lines of names and values, without an order. The names are those that JSON lines have, and some
//! of each format's own.
//!
//! A line with a syslog header, and no time of its own, is dated by that (Heroku's router).

mod heroku;
mod logfmt;
mod ltsv;

use super::json::{self, Entry, Known, Meaning, Seen};
use super::{Field, Format, Kind, LINE, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::{Slot, Unit, offset_in};
use crate::syslog::{self, Header};

/// `ltsv`
pub const LTSV: Kind = Kind {
    name: "ltsv",
    summary: "LTSV, label:value between tabs, by the labels of ltsv.org and the names that JSON lines have",
    example: "ltsv",
    compile: |setting| of(Grammar::Ltsv, setting),
    built_in: || vec![Box::new(Labelled::new(Grammar::Ltsv))],
};

/// `logfmt`
pub const LOGFMT: Kind = Kind {
    name: "logfmt",
    summary: "logfmt, name=value between blanks, by the names that JSON lines have; Heroku's router among them",
    example: "logfmt",
    compile: |setting| of(Grammar::Logfmt, setting),
    built_in: || vec![Box::new(Labelled::new(Grammar::Logfmt))],
};

fn of(grammar: Grammar, setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    match setting {
        None => Ok(Box::new(Labelled::new(grammar))),
        Some(_) => Err(SpecError { message: format!("`{}` takes no setting", grammar.name()), at: 0 }),
    }
}

/// How names and values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grammar {
    Ltsv,
    Logfmt,
}

/// Where a line stopped making sense, and why.
struct Stopped {
    at: usize,
    reason: &'static str,
}

impl Grammar {
    fn name(self) -> &'static str {
        match self {
            Grammar::Ltsv => "ltsv",
            Grammar::Logfmt => "logfmt",
        }
    }

    /// Whether a line may begin so, without a header.
    fn begins(self, line: &[u8]) -> bool {
        match self {
            Grammar::Ltsv => ltsv::begins(line),
            Grammar::Logfmt => logfmt::begins(line),
        }
    }

    /// Calls `each` for every name and value; it tells whether it knows the name. One that it does not know may be none:
    /// that ends it.
    fn pairs<'a>(self, text: &'a [u8], each: impl FnMut(&'a [u8], &'a [u8]) -> bool) -> Result<(), Stopped> {
        match self {
            Grammar::Ltsv => ltsv::pairs(text, each),
            Grammar::Logfmt => logfmt::pairs(text, each),
        }
    }

    fn is_name(self, name: &[u8]) -> bool {
        match self {
            Grammar::Ltsv => ltsv::is_label(name),
            Grammar::Logfmt => logfmt::is_name(name),
        }
    }

    /// Names that mean something here beside those of JSON, or something else.
    fn own(self) -> &'static [(&'static str, Option<Meaning>, u8)] {
        match self {
            Grammar::Ltsv => ltsv::NAMES,
            Grammar::Logfmt => heroku::NAMES,
        }
    }
}

#[derive(Debug)]
struct Labelled {
    grammar: Grammar,
    known: Known,
}

impl Labelled {
    fn new(grammar: Grammar) -> Labelled {
        Labelled { grammar, known: Known::but_for(grammar.own()) }
    }

    /// Whether this is a program's message in the same file, rather than a request under names that nobody here knows.
    fn is_message(&self, text: &[u8]) -> bool {
        let (mut level, mut message, mut status) = (false, false, false);
        let read = self.grammar.pairs(text, |name, _| {
            let has = |word: &[u8]| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
            match name {
                b"level" | b"lvl" | b"severity" => level = true,
                b"msg" | b"message" => message = true,
                _ => status |= has(b"status") || has(b"code"),
            }
            false
        });
        read.is_ok() && level && message && !status
    }

    /// The pairs of a line, and the header before them.
    fn text<'a>(&self, line: &'a [u8], context: &mut Context) -> Option<Header<'a>> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_end();
        if self.grammar.begins(line) {
            return Some(Header { rest: line, ..Header::default() });
        }
        let header = syslog::strip(line, &mut context.prefix);
        let begins = self.grammar.begins(header.rest);
        let framed = || heroku::framed(line).ok().map(|(_, header)| header);
        if begins { Some(header) } else { framed().filter(|header| self.grammar.begins(header.rest)) }
    }
}

/// A status has three digits, or it may be the beginning of one in a cut line.
fn is_whole_status(line: &[u8], seen: &Seen<'_>) -> bool {
    let Some(status) = seen.values.get(Slot::Status) else { return true };
    let is_last = offset_in(line, status) + status.len() >= line.trim_ascii_end().len();
    !(is_last && status.len() < 3 && status != b"-")
}

impl Format for Labelled {
    fn name(&self) -> &str {
        self.grammar.name()
    }

    fn title(&self) -> String {
        match self.grammar {
            Grammar::Ltsv => "LTSV".to_owned(),
            Grammar::Logfmt => "logfmt".to_owned(),
        }
    }

    fn extra_labels(&self) -> &[String] {
        self.known.labels()
    }

    fn knows_upstream(&self) -> bool {
        true
    }

    fn needs_zone(&self) -> bool {
        false
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        if line.trim_ascii().is_empty() {
            return Ok(Parsed::Other);
        }
        let Some(header) = self.text(line, context) else {
            return Err(Malformed { field: LINE, at: 0, reason: "no name and value" });
        };
        let (mut seen, mut router) = (Seen::new(line), heroku::Router::default());
        let read = self.grammar.pairs(header.rest, |name, value| {
            router.take(name, value);
            let entry = self.known.entry(name);
            if let Some(entry) = entry {
                seen.take(entry, plain(entry, value));
            }
            entry.is_some()
        });
        if let Err(stopped) = read {
            let at = offset_in(line, header.rest) + stopped.at;
            return Err(Malformed { field: LINE, at, reason: stopped.reason });
        }
        seen.settle();
        if !header.host.is_empty() {
            seen.set(Slot::Node, u8::MAX, header.host);
        }
        if seen.values.get(Slot::Time).is_none()
            && seen.values.get(Slot::StartTime).is_none()
            && !header.stamp.is_empty()
        {
            seen.set(Slot::Time, u8::MAX, header.stamp);
        }
        if let Some(beside) = json::beside(&seen, context) {
            return Ok(beside);
        }
        if !is_whole_status(line, &seen) {
            let at = seen.values.get(Slot::Status).map_or(0, |status| offset_in(line, status));
            return Err(Malformed { field: Slot::Status.name(), at, reason: "a status has three digits" });
        }
        match json::record(&seen, context) {
            Ok(record) => Ok(Parsed::Record(router.judge(record, &seen, context))),
            Err(unusable) if unusable.value.is_none() && self.is_message(header.rest) => Ok(Parsed::Other),
            Err(unusable) => Err(Malformed {
                field: unusable.slot.name(),
                at: unusable.value.map_or(0, |value| offset_in(line, value)),
                reason: unusable.reason,
            }),
        }
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let Some(header) = self.text(line, context) else { return Vec::new() };
        let mut fields: Vec<_> = header.fields(line).collect();
        // What was seen before the break is what people want; where it broke, `parse` says.
        let _ = self.grammar.pairs(header.rest, |name, value| {
            if self.grammar.is_name(name) {
                let name = String::from_utf8_lossy(name).into_owned();
                fields.push(Field { name, value, at: offset_in(line, value) });
            }
            false
        });
        fields
    }
}

/// A date without the brackets that Apache puts around it.
fn plain<'a>(entry: &Entry, value: &'a [u8]) -> &'a [u8] {
    let is_time = matches!(entry.meaning, Meaning::Slot(Slot::Time | Slot::StartTime));
    let inner = value.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]"));
    inner.filter(|_| is_time).unwrap_or(value)
}

const fn slot(slot: Slot) -> Option<Meaning> {
    Some(Meaning::Slot(slot))
}

const fn lasting(unit: Unit) -> Option<Meaning> {
    Some(Meaning::Duration(unit))
}

#[cfg(test)]
mod tests;
