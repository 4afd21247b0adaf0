//! `pattern:` — literal text and `<captures>`, as Loki writes them: a capture reaches up to the literal text that
//! follows it. Compiled once into steps; a line is walked from left to right, nothing is tried twice.
//!
//! Three things are read with more care than letter by letter, since the plain reading breaks on real lines:
//! captures between two double quotes never reach beyond the closing one (`\"` does not close), so that an empty or
//! one-word request does not shift what follows; an unquoted list of servers (`a:1, b:2 : c:3`) is one value; a date
//! starts at the last bracket before it, since a user's name may contain one.

use memchr::memmem::Finder;
use memchr::memrchr;

use super::{Captures, field};
use crate::context::Context;
use crate::fields::{Slot, Target, Values, offset_in};
use crate::formats::{Field, Format, Malformed, Parsed, SpecError};

#[derive(Debug)]
struct Pattern {
    name: String,
    captures: Captures,
    /// Literal text before the first capture.
    head: Vec<u8>,
    /// One step a capture.
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// The literal text after the capture; empty: it takes the rest.
    until: Finder<'static>,
    /// The step with which the quoted text that begins here ends.
    quoted_to: Option<usize>,
    is_list: bool,
}

/// Compiles what stands after `pattern:`.
pub fn compile(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let setting = setting.unwrap_or_default();
    if setting.is_empty() {
        let message = format!("no pattern; write for instance {}", super::PATTERN.example);
        return Err(SpecError { message, at: 0 });
    }
    let mut captures = Captures::default();
    let mut literals: Vec<Vec<u8>> = vec![Vec::new()];
    let mut at = 0;
    while let Some(rest) = setting.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(capture) = capture(rest) else {
            let end = rest.get(1..).and_then(|rest| rest.find('<')).map_or(rest.len(), |found| found + 1);
            let text = rest.get(..end).unwrap_or_default();
            literals.last_mut().map(|last| last.extend_from_slice(text.as_bytes())).unwrap_or_default();
            at += end;
            continue;
        };
        if literals.len() > 1 && literals.last().is_some_and(Vec::is_empty) {
            let message = "nothing between this capture and the one before it: put the text that separates them, or \
                make them one";
            return Err(SpecError { message: message.to_owned(), at });
        }
        captures.add(capture.name, capture.unit, at)?;
        literals.push(Vec::new());
        at += capture.len;
    }
    captures.check(setting)?;
    let head = literals.remove(0);
    let steps = steps(&captures, &head, &literals);
    Ok(Box::new(Pattern { name: format!("pattern:{setting}"), captures, head, steps }))
}

struct Capture<'s> {
    name: &'s str,
    unit: Option<&'s str>,
    len: usize,
}

/// The capture at the start of this text. Anything else in angle brackets is literal: `<134>`, `<NOSRV>`'s `<`.
fn capture(text: &str) -> Option<Capture<'_>> {
    let (inside, _) = text.strip_prefix('<')?.split_once('>')?;
    let (name, unit) = match inside.split_once(':') {
        Some((name, unit)) => (name, Some(unit)),
        None => (inside, None),
    };
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = starts && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_unit = unit.is_none_or(|unit| !unit.is_empty() && unit.bytes().all(|b| b.is_ascii_alphanumeric()));
    (is_name && is_unit).then(|| Capture { name, unit, len: inside.len() + 2 })
}

fn steps(captures: &Captures, head: &[u8], literals: &[Vec<u8>]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(literals.len());
    for (i, until) in literals.iter().enumerate() {
        let before = if i == 0 { head } else { literals.get(i - 1).map_or(head, Vec::as_slice) };
        let closing = literals.iter().skip(i).position(|literal| literal.contains(&b'"')).map(|n| n + i);
        let quoted_to = closing.filter(|close| {
            before.ends_with(b"\"") && literals.get(*close).is_some_and(|literal| literal.starts_with(b"\""))
        });
        let is_list = matches!(
            captures.targets.get(i),
            Some(Some(Target::Slot(
                Slot::Upstream
                    | Slot::UpstreamStatus
                    | Slot::ConnectTime
                    | Slot::HeaderTime
                    | Slot::ResponseTime
                    | Slot::ResponseLength
            )))
        ) && until.starts_with(b" ");
        steps.push(Step { until: Finder::new(until).into_owned(), quoted_to, is_list });
    }
    steps
}

impl Pattern {
    /// Walks the line and reports every capture.
    fn walk<'a>(
        &'a self,
        line: &'a [u8],
        mut found: impl FnMut(usize, &'a [u8]),
    ) -> Result<(), Malformed<'a>> {
        let Some(mut rest) = line.strip_prefix(self.head.as_slice()) else {
            return Err(Malformed {
                field: crate::formats::LINE,
                at: 0,
                reason: "the pattern begins with other text",
            });
        };
        let mut i = 0;
        while let Some(step) = self.steps.get(i) {
            let last = step.quoted_to.unwrap_or(i);
            let Some(closing) = self.steps.get(last) else { break };
            let end = if step.quoted_to.is_some() {
                end_of_quoted(rest, &closing.until)
            } else if closing.until.needle().is_empty() {
                Some(rest.len())
            } else if step.is_list {
                end_of_list(rest, &closing.until)
            } else {
                closing.until.find(rest)
            };
            let Some(end) = end else {
                let field = self.captures.names.get(i).map_or("", String::as_str);
                let reason = "the text that follows this field is missing";
                return Err(Malformed { field, at: offset_in(line, rest), reason });
            };
            let (value, after) = rest.split_at(end);
            self.inside(i, last, value, &mut found);
            rest = after.get(closing.until.needle().len()..).unwrap_or_default();
            i = last + 1;
        }
        Ok(())
    }

    /// The captures of steps `first` to `last` within `text`. Where the text between two of them is missing, the first
    /// takes all and the others get nothing: a request line of one word.
    fn inside<'a>(&self, first: usize, last: usize, text: &'a [u8], found: &mut impl FnMut(usize, &'a [u8])) {
        let mut rest = text;
        for i in first..last {
            let Some(step) = self.steps.get(i) else { return };
            let Some(end) = step.until.find(rest) else { return found(i, rest) };
            let (value, after) = rest.split_at(end);
            found(i, value);
            rest = after.get(step.until.needle().len()..).unwrap_or_default();
        }
        found(last, rest);
    }

    fn target(&self, capture: usize) -> Option<Target> {
        self.captures.targets.get(capture).copied().flatten()
    }
}

/// Where the closing quote is, with the text that must follow it. Apache, Traefik and JSON escape a quote by a
/// backslash; nginx writes `\x22`.
fn end_of_quoted(text: &[u8], closing: &Finder<'_>) -> Option<usize> {
    closing.find_iter(text).find(|end| {
        let before = text.get(..*end).unwrap_or_default();
        before.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0
    })
}

/// Where a list of servers ends: not within `, ` or ` : `.
fn end_of_list(text: &[u8], until: &Finder<'_>) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + until.find(text.get(from..)?)?;
        let (value, after) = text.split_at(end);
        if after.starts_with(b" : ") {
            from = end + 3;
        } else if value.ends_with(b",") {
            from = end + 1;
        } else {
            return Some(end);
        }
    }
}

impl Format for Pattern {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        "custom pattern".to_owned()
    }

    fn extra_labels(&self) -> &[String] {
        &self.captures.labels
    }

    fn knows_upstream(&self) -> bool {
        self.captures.knows_upstream()
    }

    fn needs_zone(&self) -> bool {
        false
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        super::parse(&self.captures, line, context, |text, values: &mut Values<'a>| {
            self.walk(text, |i, value| {
                if let Some(target) = self.target(i) {
                    values.set(target, own_part(target, value));
                }
            })
        })
    }

    fn explain<'a>(&'a self, line: &'a [u8], _context: &mut Context) -> Vec<Field<'a>> {
        let mut fields = Vec::new();
        // What was found before a failure is what people want to see; where it failed, `parse` says.
        let _ = self.walk(line, |i, value| {
            if let (Some(target), Some(name)) = (self.target(i), self.captures.names.get(i)) {
                fields.push(field(name, line, own_part(target, value)));
            }
        });
        fields
    }
}

/// A date starts after the last bracket before it: `- joe [x] [22/Nov/2026:14:53:53 +0000]`.
fn own_part(target: Target, value: &[u8]) -> &[u8] {
    match target {
        Target::Slot(Slot::Time | Slot::StartTime) => {
            memrchr(b'[', value).and_then(|at| value.get(at + 1..)).unwrap_or(value)
        }
        _ => value,
    }
}
