//! Reads a table key by key: what is asked for is known, everything else in it is a mistake.

use super::problem::{Log, Spot, printable};
use super::values::{Read, Refusal, did_you_mean, type_of};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table as written, and where.
#[derive(Clone, Debug)]
pub(super) struct Section<'a> {
    /// For messages: `rule.ratio.errors`.
    pub title: String,
    /// Its header, or its key.
    pub spot: Spot,
    pub table: &'a DeTable<'a>,
}

/// A value as written, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    pub key: Spot,
    pub spot: Spot,
    pub value: &'a DeValue<'a>,
    /// Whether it stands in a preset that the section overrides.
    pub inherited: bool,
}

/// A value that was read, and where it stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<T> {
    pub value: T,
    pub written: Spot,
}

/// Reads one section; every key that is asked for becomes known.
pub(super) struct Reader<'r, 'a, 's> {
    pub section: &'r Section<'a>,
    /// What it overrides, key by key.
    base: Option<&'r Section<'a>>,
    known: Vec<&'static str>,
    pub log: &'r mut Log<'s>,
}

impl<'r, 'a, 's> Reader<'r, 'a, 's> {
    pub fn new(section: &'r Section<'a>, base: Option<&'r Section<'a>>, log: &'r mut Log<'s>) -> Self {
        Reader { section, base, known: Vec::new(), log }
    }

    /// The value of `key`, which is known from now on.
    pub fn get(&mut self, key: &'static str) -> Option<Written<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let here = lookup(self.section, key, false);
        here.or_else(|| self.base.and_then(|base| lookup(base, key, true)))
    }

    /// The value of `key`, read by `read`.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Read<T>,
    ) -> Option<Found<T>> {
        let written = self.get(key)?;
        match read(written.value) {
            Ok(value) => Some(Found { value, written: written.spot }),
            Err(refusal) => {
                refuse(self.log, key, written.spot, &refusal);
                None
            }
        }
    }

    /// Just the value of `key`.
    pub fn value<T>(&mut self, key: &'static str, read: impl FnOnce(&DeValue<'_>) -> Read<T>) -> Option<T> {
        self.read(key, read).map(|found| found.value)
    }

    /// A list, each element read by `read` and refused by itself. `None`: no such key, or no list.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<Vec<Found<T>>> {
        let written = self.get(key)?;
        let DeValue::Array(array) = written.value else {
            let label = match written.value {
                DeValue::String(_) => "a string; put it into brackets: [\"…\"]",
                DeValue::Integer(_) => "an integer; put it into brackets: […]",
                other => type_of(other),
            };
            refuse(self.log, key, written.spot, &Refusal::new("a list", label));
            return None;
        };
        let mut list = Vec::with_capacity(array.len());
        for element in array {
            let spot = Spot::new(written.spot.file, element.span());
            match read(element.get_ref()) {
                Ok(value) => list.push(Found { value, written: spot }),
                Err(refusal) => refuse(self.log, key, spot, &refusal),
            }
        }
        Some(list)
    }

    /// A required key that is not there.
    pub fn lacks(&mut self, key: &str, label: &str) {
        let message = format!("[{}] lacks `{key}`", self.section.title);
        self.log.missing(self.section.spot, message, label);
    }

    /// Where the value of `key` stands, if it stands in this section.
    pub fn own(&mut self, key: &'static str) -> Option<Spot> {
        self.get(key).filter(|written| !written.inherited).map(|written| written.spot)
    }

    /// Refuses every key that was not asked for.
    pub fn finish(self) {
        for (key, _) in in_order(self.section.table) {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let label = did_you_mean(name, &self.known)
                    .unwrap_or_else(|| format!("known: {}", self.known.join(", ")));
                let message = format!("unknown key `{}` in [{}]", shown(name), self.section.title);
                self.log.error(Spot::new(self.section.spot.file, key.span()), message, &label);
            }
        }
    }
}

/// Says that the value of `key` was refused.
pub(super) fn refuse(log: &mut Log<'_>, key: &str, mut spot: Spot, refusal: &Refusal) {
    if let Some(at) = refusal.at {
        spot = inside(log, spot, at);
    }
    log.error(spot, format!("`{}` must be {}", shown(key), refusal.wants), &refusal.label);
}

/// Where the byte `at` of a string stands, if the string is written without escapes; else the whole value.
pub(super) fn inside(log: &Log<'_>, spot: Spot, at: usize) -> Spot {
    let written = log.sources.get(spot.file).and_then(|s| s.text.get(spot.start..spot.end)).unwrap_or("");
    let plain = !written.contains('\\') || written.starts_with('\'');
    if !plain || written.starts_with("\"\"\"") || written.starts_with("'''") || at + 2 >= written.len() {
        return spot;
    }
    Spot { start: spot.start + 1 + at, end: spot.start + 2 + at, ..spot }
}

/// A name from the file as it may stand in a message.
pub(super) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(64).map(printable).collect();
    if shown.len() < name.len() && name.chars().count() > 64 {
        shown.push('…');
    }
    shown
}

/// A table's entries as they stand in the file; the parser sorts them by name.
pub(super) fn in_order<'t, 'a>(
    table: &'t DeTable<'a>,
) -> Vec<(&'t Spanned<toml::de::DeString<'a>>, &'t Spanned<DeValue<'a>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|entry| entry.0.span().start);
    entries
}

fn lookup<'a>(section: &Section<'a>, key: &str, inherited: bool) -> Option<Written<'a>> {
    let (name, value) = section.table.iter().find(|entry| entry.0.get_ref() == key)?;
    let file = section.spot.file;
    let spot = Spot::new(file, value.span());
    Some(Written { key: Spot::new(file, name.span()), spot, value: value.get_ref(), inherited })
}
