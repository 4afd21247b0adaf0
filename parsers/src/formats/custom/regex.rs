//! `regex:` — a regular expression with named groups, over bytes. The engine is linear in the line; its memory is
//! bounded when it is compiled.

use regex::bytes::{Regex, RegexBuilder};

use super::{Captures, field};
use crate::context::Context;
use crate::fields::{Target, Values};
use crate::formats::{Field, Format, Malformed, Parsed, SpecError};

/// Of the compiled program, and of each thread's cache of states.
const SIZE_MAX: usize = 1 << 20;

#[derive(Debug)]
struct Custom {
    name: String,
    captures: Captures,
    /// Group of each capture.
    groups: Vec<usize>,
    regex: Regex,
}

/// Compiles what stands after `regex:`.
pub fn compile(setting: Option<&str>) -> Result<Box<dyn Format>, SpecError> {
    let setting = setting.unwrap_or_default();
    if setting.is_empty() {
        let message = format!("no regular expression; write for instance {}", super::REGEX.example);
        return Err(SpecError { message, at: 0 });
    }
    let regex = build(setting)?;
    let mut captures = Captures::default();
    let mut groups = Vec::new();
    for (group, name) in regex.capture_names().enumerate() {
        if let Some(name) = name {
            let at = setting.find(&format!("<{name}>")).unwrap_or(0);
            captures.add(name, None, at)?;
            groups.push(group);
        }
    }
    captures.check(setting)?;
    Ok(Box::new(Custom { name: format!("regex:{setting}"), captures, groups, regex }))
}

/// Without Unicode where the expression allows it: logs are bytes, and `.` must not stop at one that is not UTF-8.
fn build(setting: &str) -> Result<Regex, SpecError> {
    let with_unicode = |unicode| {
        RegexBuilder::new(setting).unicode(unicode).size_limit(SIZE_MAX).dfa_size_limit(SIZE_MAX).build()
    };
    with_unicode(false).or_else(|_| with_unicode(true)).map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => SpecError {
            message: format!(
                "the expression needs more than {limit} bytes; use smaller repetitions, or a pattern"
            ),
            at: 0,
        },
        error => refused(&error.to_string()),
    })
}

/// The regex crate's message: the expression, a line of carets under it, and `error: …`.
fn refused(message: &str) -> SpecError {
    let reason = message.lines().last().unwrap_or(message);
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    let carets = message.lines().find(|line| line.contains('^') && line.trim_matches([' ', '^']).is_empty());
    // The expression is indented by four.
    let at = carets.and_then(|line| line.find('^')).map_or(0, |column| column.saturating_sub(4));
    SpecError { message: format!("no regular expression: {reason}"), at }
}

impl Format for Custom {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        "custom regular expression".to_owned()
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
            self.walk(text, |target, _, value| values.set(target, value))
        })
    }

    fn explain<'a>(&'a self, line: &'a [u8], _context: &mut Context) -> Vec<Field<'a>> {
        let mut fields = Vec::new();
        // Nothing is seen of a line that does not match, and `parse` says so.
        let _ = self.walk(line, |_, name, value| fields.push(field(name, line, value)));
        fields
    }
}

impl Custom {
    fn walk<'a>(
        &'a self,
        line: &'a [u8],
        mut found: impl FnMut(Target, &'a str, &'a [u8]),
    ) -> Result<(), Malformed<'a>> {
        let Some(matched) = self.regex.captures(line) else {
            return Err(Malformed {
                field: crate::formats::LINE,
                at: 0,
                reason: "the regular expression does not match",
            });
        };
        let names = self.captures.names.iter().zip(&self.captures.targets);
        for (group, (name, target)) in self.groups.iter().zip(names) {
            if let (Some(target), Some(value)) = (target, matched.get(*group)) {
                found(*target, name, value.as_bytes());
            }
        }
        Ok(())
    }
}
