//! A format string → the steps that read its lines.

use super::operators::{Operator, Shape, Slot};
use crate::formats::SpecError;

/// More operators than any log has.
const OPERATORS_MAX: usize = 128;

/// An operator and the text after it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) operator: Operator,
    pub(super) literal: Vec<u8>,
    /// Nothing else stands between its quotes.
    pub(super) is_alone: bool,
}

/// A format string taken apart.
#[derive(Debug)]
pub(super) struct Spec {
    /// What stands before the first operator.
    pub(super) head: Vec<u8>,
    pub(super) steps: Vec<Step>,
    /// Bytes that end a value which does not stand alone between quotes.
    pub(super) stops: Box<[bool; 256]>,
}

impl Spec {
    /// Compiles a format string as it stands in the configuration: as plain text, or with YAML's or JSON's quotes and
    /// escapes.
    pub(super) fn compile(setting: &str) -> Result<Spec, SpecError> {
        let text = unquoted(setting);
        let error = |message: String| {
            // The caret stands under the operator that the message names, if it names one.
            let named = message.split([' ', ':', ',']).find(|word| word.len() > 1 && word.starts_with('%'));
            let at = named.and_then(|name| setting.find(name)).unwrap_or(0);
            SpecError { message, at }
        };
        let (head, pieces) = split(&text).map_err(error)?;
        let steps = steps(&head, pieces).map_err(error)?;
        check(&steps)?;
        let mut stops = Box::new([false; 256]);
        let open = steps.iter().filter(|step| !step.operator.shape.is_fixed());
        let first = open.filter_map(|step| step.literal.first());
        for byte in first.chain(b" \"") {
            if let Some(stop) = stops.get_mut(usize::from(*byte)) {
                *stop = true;
            }
        }
        Ok(Spec { head: head.into_bytes(), steps, stops })
    }
}

/// Whether there is what no record can be without.
pub(super) fn check(steps: &[Step]) -> Result<(), SpecError> {
    let has = |slot| steps.iter().any(|step: &Step| step.operator.slot == Some(slot));
    let message = if !has(Slot::Status) && !has(Slot::Flags) {
        "a log with neither %RESPONSE_CODE% nor %RESPONSE_FLAGS% says nothing about errors"
    } else if !has(Slot::StartTime) && !has(Slot::EmitTime) {
        "no time in it: add %START_TIME%"
    } else {
        return Ok(());
    };
    Err(SpecError { message: message.to_owned(), at: 0 })
}

/// Takes the configuration's quotes, escapes and line end off.
fn unquoted(setting: &str) -> String {
    let setting = setting.trim();
    let inside = |quote: char| setting.strip_prefix(quote)?.strip_suffix(quote);
    // A format may itself begin and end with a quote: then those within have no backslash.
    let within_double = inside('"').filter(|text| !text.replace("\\\"", "").contains('"'));
    let within_single = inside('\'').filter(|text| !text.replace("''", "").contains('\''));
    let text = match (within_double, within_single) {
        (Some(text), _) => text.to_owned(),
        (_, Some(text)) => text.replace("''", "'"),
        _ => setting.to_owned(),
    };
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(next @ ('"' | '\\' | 'n' | 't' | 'r'))) => {
                chars.next();
                plain.push(match next {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            _ => plain.push(c),
        }
    }
    plain.trim_end().to_owned()
}

/// The text before the first operator, and each operator with the text after it.
fn split(text: &str) -> Result<(String, Vec<(Operator, String)>), String> {
    let (mut head, mut pieces) = (String::new(), Vec::<(Operator, String)>::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let literal = pieces.last_mut().map_or(&mut head, |(_, literal)| literal);
        match after.strip_prefix('%') {
            Some(after) if c == '%' => {
                literal.push('%');
                rest = after;
            }
            _ if c == '%' => {
                let (operator, after) = Operator::first(after)?;
                pieces.push((operator, String::new()));
                if pieces.len() > OPERATORS_MAX {
                    return Err(format!("more than {OPERATORS_MAX} operators"));
                }
                rest = after;
            }
            _ => {
                if c == '\n' {
                    return Err("a log line ends at its first line feed".to_owned());
                }
                literal.push(c);
                rest = after;
            }
        }
    }
    Ok((head, pieces))
}

fn steps(head: &str, pieces: Vec<(Operator, String)>) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::with_capacity(pieces.len());
    let mut opens = head.ends_with('"');
    let mut pieces = pieces.into_iter().peekable();
    while let Some((mut operator, mut literal)) = pieces.next() {
        // Two texts without anything between are one to us.
        while literal.is_empty()
            && !operator.shape.is_fixed()
            && let Some((next, _)) = pieces.peek()
        {
            if operator.slot.is_some() || next.slot.is_some() {
                return Err(format!(
                    "{} ends where {} begins: put a space between them",
                    operator.text, next.text
                ));
            }
            operator.shape = Shape::Text;
            literal = pieces.next().map(|(_, literal)| literal).unwrap_or_default();
        }
        let is_alone = opens && literal.starts_with('"');
        opens = literal.ends_with('"');
        steps.push(Step { operator, literal: literal.into_bytes(), is_alone });
    }
    Ok(steps)
}
