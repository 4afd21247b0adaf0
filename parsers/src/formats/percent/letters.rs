//! The grammar that Apache's `LogFormat` and varnishncsa share: `%`, then conditions, then perhaps `{argument}`, then a
//! letter. What the letters mean is the product's.

use super::{Directive, Piece, Shape, Slot, strftime};
use crate::fields::Unit;

/// A directive as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'s> {
    /// The whole of it.
    pub name: &'s str,
    /// `h`, `^ti`
    pub letter: &'s str,
    /// What stands in braces.
    pub argument: Option<&'s str>,
    /// `<` (of the original request) or `>` (of the final one).
    pub which: Option<char>,
}

/// The string → its pieces.
///
/// # Errors
/// What is no directive.
pub fn pieces(
    text: &str,
    directive: fn(&Letter<'_>) -> Result<Vec<Piece>, String>,
) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, directive_on) = rest.split_at(at);
        pieces.push(Piece::Text(before.to_owned()));
        let after = directive_on.get(1..).unwrap_or_default();
        if let Some(after) = after.strip_prefix('%') {
            pieces.push(Piece::Text("%".to_owned()));
            rest = after;
            continue;
        }
        let (letter, after) = letter(directive_on)?;
        pieces.extend(directive(&letter)?);
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// The directive at the start, and what follows it.
fn letter(text: &str) -> Result<(Letter<'_>, &str), String> {
    let (mut which, mut argument) = (None, None);
    let mut rest = text.get(1..).unwrap_or_default();
    loop {
        let Some(c) = rest.chars().next() else { return Err(format!("`{text}`: a bare % at the end")) };
        match c {
            '!' | ',' | '0'..='9' => {}
            '<' | '>' => which = Some(c),
            '{' => {
                let Some(end) = rest.find('}') else {
                    return Err(format!("`{text}`: the brace is not closed"));
                };
                argument = rest.get(1..end);
                rest = rest.get(end + 1..).unwrap_or_default();
                continue;
            }
            '^' => break,
            _ if c.is_ascii_alphabetic() => break,
            _ => return Err(format!("`%{c}`: no such directive")),
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    let len = if rest.starts_with('^') { 3 } else { 1 };
    let (letter, after) = rest.split_at_checked(len).ok_or(format!("`{text}`: no such directive"))?;
    let name = text.get(..text.len() - after.len()).unwrap_or_default();
    Ok((Letter { name, letter, argument, which }, after))
}

impl Letter<'_> {
    /// A value of no meaning to us.
    pub fn other(&self, shape: Shape) -> Vec<Piece> {
        vec![Piece::Value(Directive::new(self.name, shape))]
    }

    /// One that has some.
    pub fn of(&self, shape: Shape, slot: Slot) -> Vec<Piece> {
        vec![Piece::Value(Directive::of(self.name, shape, slot))]
    }

    /// A header of the answer; `whose` stands before the name of one that the upstream sent.
    pub fn header(&self, whose: &str) -> Vec<Piece> {
        let header = format!("{whose}{}", self.argument.unwrap_or_default());
        vec![Piece::Value(Directive::header(self.name, Shape::Free, &header))]
    }

    /// A length of time.
    pub fn duration(&self, unit: Unit) -> Vec<Piece> {
        let directive = Directive::of(self.name, Shape::Decimal, Slot::Duration);
        vec![Piece::Value(Directive { unit: Some(unit), ..directive })]
    }

    /// `%T`, `%{ms}T`
    ///
    /// # Errors
    /// There is no such unit.
    pub fn taken(&self) -> Result<Vec<Piece>, String> {
        match self.argument {
            None | Some("s") => Ok(self.duration(Unit::Seconds)),
            Some("ms") => Ok(self.duration(Unit::Millis)),
            Some("us") => Ok(self.duration(Unit::Micros)),
            Some(_) => Err(format!("`{}`: the units are s, ms and us", self.name)),
        }
    }

    /// `%t`, `%{msec}t`, `%{begin:%F %T}t`, `%{end:sec}t`
    ///
    /// # Errors
    /// A conversion of which no time could be made.
    pub fn stamp(&self) -> Result<Vec<Piece>, String> {
        let (is_end, format) = match self.argument {
            Some(argument) => match (argument.strip_prefix("end:"), argument.strip_prefix("begin:")) {
                (Some(format), _) => (true, format),
                (_, Some(format)) => (false, format),
                _ => (argument == "end", if matches!(argument, "begin" | "end") { "" } else { argument }),
            },
            None => (false, ""),
        };
        let of = |shape: Shape, slot: Slot| {
            Piece::Value(Directive { is_end, ..Directive::of(self.name, shape, slot) })
        };
        Ok(match format {
            // The brackets belong to the text around it: what stands before a stamp is then seen to end at once.
            "" => vec![Piece::Text("[".to_owned()), of(Shape::Clf, Slot::Clf), Piece::Text("]".to_owned())],
            "sec" | "msec" | "usec" => vec![of(Shape::Number, Slot::Epoch)],
            "msec_frac" => vec![of(Shape::Digits(3), Slot::Millis)],
            "usec_frac" => vec![of(Shape::Digits(6), Slot::Micros)],
            format => {
                strftime(format, &self.name.replacen(self.argument.unwrap_or_default(), "", 1), is_end)?
            }
        })
    }
}

/// A string as a configuration has it: without the quotes around it and what escapes them.
pub fn unquoted(setting: &str) -> String {
    let setting = setting.trim();
    let quote = setting.chars().next().filter(|c| matches!(c, '"' | '\''));
    let inner = quote.zip(setting.get(1..)).and_then(|(quote, inner)| {
        let mut escaped = false;
        let end = inner.char_indices().find(|(_, c)| {
            let is_end = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            is_end
        });
        let (end, _) = end?;
        let nickname = inner.get(end + 1..)?;
        // A format that itself begins with a quote goes on with directives behind the next one.
        (!nickname.contains('%')).then(|| inner.get(..end)).flatten()
    });
    let mut plain = String::with_capacity(setting.len());
    let mut chars = inner.unwrap_or(setting).chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some('t') => plain.push('\t'),
                Some(c @ ('"' | '\'' | '\\')) => plain.push(c),
                Some(c) => plain.extend(['\\', c]),
                None => plain.push('\\'),
            },
            c => plain.push(c),
        }
    }
    plain
}
