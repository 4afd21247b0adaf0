//! Formats that the user describes: `pattern:` with `<captures>` between literal text, `regex:` with named groups. What
//! they share is here: the names of captures and what they mean.

mod pattern;
mod regex;

use super::{Field, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::{Slot, Target, Unit, Unusable, Values, offset_in};
use crate::proxy_status::Header;
use crate::record::EXTRA_LABELS_MAX;
use crate::syslog;

/// `pattern:…`
pub const PATTERN: Kind = Kind {
    name: "pattern",
    summary: "The line as text with <captures>: each reaches up to the text that follows it, <_> is skipped",
    example: "pattern:<client> - <_> [<time>] \"<method> <uri> <_>\" <status> <bytes> <upstream> <request_time>",
    compile: pattern::compile,
    built_in: Vec::new,
};

/// `regex:…`
pub const REGEX: Kind = Kind {
    name: "regex",
    summary: "A regular expression with named groups, for what a pattern cannot say",
    example: r#"regex:^\S+ \S+ \S+ \[(?<time>[^\]]+)\] "(?<request>[^"]*)" (?<status>\d{3}) (?<upstream>\S+)"#,
    compile: regex::compile,
    built_in: Vec::new,
};

/// Labels that every record has; a capture cannot take their names.
const OWN_LABELS: &[&str] = &["input"];

/// The captures of a setting, in its order.
#[derive(Debug, Default)]
struct Captures {
    /// Names as written: for messages, and for a malformed line's field.
    names: Vec<String>,
    targets: Vec<Option<Target>>,
    labels: Vec<String>,
    unit: Unit,
    header: Option<Header>,
}

impl Captures {
    /// Takes the next capture by its name, with its unit if it has one; `at` is where it stands in the setting.
    fn add(&mut self, name: &str, unit: Option<&str>, at: usize) -> Result<(), SpecError> {
        let target = match name {
            "_" if unit.is_none() => None,
            _ => Some(self.target(name, unit).map_err(|message| SpecError { message, at })?),
        };
        self.names.push(name.to_owned());
        self.targets.push(target);
        Ok(())
    }

    fn target(&mut self, name: &str, unit: Option<&str>) -> Result<Target, String> {
        // A group's name in a regular expression cannot hold a colon: `request_time_ms`.
        let (base, unit) = match name.strip_prefix("request_time_") {
            Some(suffix) if unit.is_none() && Unit::named(suffix.as_bytes()).is_some() => {
                ("request_time", Some(suffix))
            }
            _ => (name, unit),
        };
        if let Some(slot) = Slot::named(base) {
            if let Some(other) = self.name_of(slot) {
                return Err(format!("`{name}` and `{other}` mean the same; skip one of them with `_`"));
            }
            if let Some(unit) = unit {
                let known = Unit::named(unit.as_bytes()).filter(|_| slot == Slot::RequestTime);
                self.unit = known.ok_or_else(|| {
                    format!("`{name}:{unit}`: only request_time takes a unit, one of s, ms, us, ns")
                })?;
            }
            if slot == Slot::ProxyStatus {
                self.header = Header::named(base.as_bytes());
            }
            return Ok(Target::Slot(slot));
        }
        if unit.is_some() {
            return Err(format!("`{name}` takes no unit; only request_time does"));
        }
        if OWN_LABELS.contains(&name) {
            return Err(format!("`{name}` is a label of its own already; choose another name"));
        }
        if self.labels.iter().any(|label| label == name) {
            return Err(format!("`{name}` is captured twice; skip one of them with `_`"));
        }
        let index = self.labels.len();
        if index >= EXTRA_LABELS_MAX {
            return Err(format!(
                "`{name}` would be label number {}; at most {EXTRA_LABELS_MAX} ({}); skip what no rule needs with `_`",
                index + 1,
                self.labels.join(", ")
            ));
        }
        self.labels.push(name.to_owned());
        Ok(Target::Extra(u8::try_from(index).unwrap_or(u8::MAX)))
    }

    /// The name under which a slot is captured.
    fn name_of(&self, slot: Slot) -> Option<&str> {
        let index = self.targets.iter().position(|target| *target == Some(Target::Slot(slot)))?;
        self.names.get(index).map(String::as_str)
    }

    fn has(&self, slot: Slot) -> bool {
        self.name_of(slot).is_some()
    }

    /// Without a time and a status nothing can be counted.
    fn check(&self, setting: &str) -> Result<(), SpecError> {
        let missing = match (self.has(Slot::Time) || self.has(Slot::StartTime), self.has(Slot::Status)) {
            (true, true) => return Ok(()),
            (false, true) => "`time` (when the request ended; `start_time` if the log has its start)",
            (true, false) => "`status`",
            (false, false) => "`time` and `status`",
        };
        let labels = match self.labels.is_empty() {
            true => String::new(),
            false => format!(
                "; these names mean nothing to gatewatch and would become labels: {}",
                self.labels.join(", ")
            ),
        };
        Err(SpecError { message: format!("nothing captures {missing}{labels}"), at: setting.len() })
    }

    fn knows_upstream(&self) -> bool {
        self.has(Slot::Upstream) || self.has(Slot::Server)
    }

    /// A malformed line's field as the setting names it.
    fn malformed<'a>(&'a self, line: &[u8], unusable: Unusable<'_>) -> Malformed<'a> {
        let field = self.name_of(unusable.slot).unwrap_or(unusable.slot.name());
        Malformed {
            field,
            at: unusable.value.map_or(0, |value| offset_in(line, value)),
            reason: unusable.reason,
        }
    }
}

/// The record of one line, with or without a syslog header in front of what the setting describes: `capture` fills in
/// what it finds and says where it failed.
fn parse<'a>(
    captures: &'a Captures,
    line: &'a [u8],
    context: &mut Context,
    capture: impl Fn(&'a [u8], &mut Values<'a>) -> Result<(), Malformed<'a>>,
) -> Result<Parsed<'a>, Malformed<'a>> {
    if line.trim_ascii().is_empty() {
        return Ok(Parsed::Other);
    }
    let try_at = |text: &'a [u8], node: &'a [u8], context: &mut Context| {
        let mut values = Values::new(line, captures.unit);
        values.header = captures.header.unwrap_or(Header::PROXY_STATUS);
        if !node.is_empty() {
            values.set(Target::Slot(Slot::Node), node);
        }
        capture(text, &mut values)?;
        whole_status(line, &values)?;
        values.record(context).map_err(|unusable| captures.malformed(line, unusable))
    };
    let failure = match try_at(line, b"", context) {
        Ok(record) => return Ok(Parsed::Record(record)),
        Err(failure) => failure,
    };
    let mut prefix = context.prefix;
    let header = syslog::strip(line, &mut prefix);
    if header.rest.len() == line.len() {
        return Err(failure);
    }
    context.prefix = prefix;
    try_at(header.rest, header.host, context).map(Parsed::Record).map_err(|_| failure)
}

/// A status has three digits, or it may be the first one or two of a cut line.
fn whole_status<'a>(line: &[u8], values: &Values<'_>) -> Result<(), Malformed<'a>> {
    let Some(status) = values.get(Slot::Status) else { return Ok(()) };
    let at = offset_in(line, status);
    let is_short = status.len() < 3 && status.iter().all(u8::is_ascii_digit);
    if is_short && (status != b"0" || at + status.len() == line.len()) && !status.is_empty() {
        return Err(Malformed { field: Slot::Status.name(), at, reason: "a status has three digits" });
    }
    Ok(())
}

/// What was captured, for people.
fn field<'a>(name: &str, line: &'a [u8], value: &'a [u8]) -> Field<'a> {
    Field { name: name.to_owned(), value, at: offset_in(line, value) }
}

#[cfg(test)]
mod tests;
