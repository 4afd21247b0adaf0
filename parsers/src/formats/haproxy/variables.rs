//! The string of a `log-format` → its pieces.

use nom::bytes::complete::{take_until, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::opt;
use nom::sequence::delimited;
use nom::{IResult, Parser};

use super::template::{Field, Piece, Shape, Slot};
use crate::formats::SpecError;
use crate::proxy_status::Header;

/// HAProxy's own names of what it can log: name, shape, and where the value goes if it bears on a record.
const ALIASES: &[(&str, Shape, Slot)] = &[
    ("ci", Shape::Word, Slot::None),
    ("Ci", Shape::Word, Slot::None),
    ("cp", Shape::Number, Slot::None),
    ("Cp", Shape::Number, Slot::None),
    ("fi", Shape::Word, Slot::None),
    ("Fi", Shape::Word, Slot::None),
    ("fp", Shape::Number, Slot::None),
    ("Fp", Shape::Number, Slot::None),
    ("bi", Shape::Word, Slot::None),
    ("Bi", Shape::Word, Slot::None),
    ("bp", Shape::Number, Slot::None),
    ("Bp", Shape::Number, Slot::None),
    ("si", Shape::Word, Slot::ServerAddress),
    ("Si", Shape::Word, Slot::ServerAddress),
    ("sp", Shape::Number, Slot::ServerPort),
    ("Sp", Shape::Number, Slot::ServerPort),
    ("f", Shape::Word, Slot::None),
    ("ft", Shape::Word, Slot::None),
    ("b", Shape::Word, Slot::Backend),
    ("s", Shape::Word, Slot::Server),
    ("t", Shape::Date, Slot::AcceptDate),
    ("tr", Shape::Date, Slot::RequestDate),
    ("trg", Shape::Date, Slot::RequestDateZoned),
    ("trl", Shape::Date, Slot::RequestDateZoned),
    ("T", Shape::Date, Slot::AcceptDateZoned),
    ("Tl", Shape::Date, Slot::AcceptDateZoned),
    ("Ts", Shape::Number, Slot::AcceptSeconds),
    ("ms", Shape::Number, Slot::AcceptMillis),
    ("Ta", Shape::Number, Slot::Ta),
    ("Tt", Shape::Number, Slot::Tt),
    ("Th", Shape::Number, Slot::Th),
    ("Ti", Shape::Number, Slot::Ti),
    ("TR", Shape::Number, Slot::TR),
    ("Tw", Shape::Number, Slot::Tw),
    ("Tc", Shape::Number, Slot::Tc),
    ("Tr", Shape::Number, Slot::Tr),
    ("Td", Shape::Number, Slot::Td),
    ("Tq", Shape::Number, Slot::None),
    ("Tu", Shape::Number, Slot::None),
    ("TU", Shape::Number, Slot::None),
    ("ST", Shape::Number, Slot::Status),
    ("st", Shape::Number, Slot::Status),
    ("ts", Shape::Word, Slot::State),
    ("tsc", Shape::Word, Slot::State),
    ("rc", Shape::Number, Slot::Retries),
    ("B", Shape::Number, Slot::None),
    ("U", Shape::Number, Slot::None),
    ("CC", Shape::Word, Slot::None),
    ("cc", Shape::Word, Slot::None),
    ("CS", Shape::Word, Slot::None),
    ("cs", Shape::Word, Slot::None),
    ("ac", Shape::Number, Slot::None),
    ("fc", Shape::Number, Slot::None),
    ("bc", Shape::Number, Slot::None),
    ("sc", Shape::Number, Slot::None),
    ("sq", Shape::Number, Slot::None),
    ("bq", Shape::Number, Slot::None),
    ("lc", Shape::Number, Slot::None),
    ("rt", Shape::Number, Slot::None),
    ("pid", Shape::Number, Slot::None),
    ("hr", Shape::Captures, Slot::None),
    ("hs", Shape::Captures, Slot::None),
    ("hrl", Shape::Text, Slot::None),
    ("hsl", Shape::Text, Slot::None),
    ("r", Shape::Text, Slot::Request),
    ("HM", Shape::Word, Slot::Method),
    ("HU", Shape::Text, Slot::Target),
    ("HP", Shape::Text, Slot::Path),
    ("HPO", Shape::Text, Slot::Path),
    ("HQ", Shape::Text, Slot::None),
    ("HV", Shape::Word, Slot::None),
    ("H", Shape::Word, Slot::Node),
    ("ID", Shape::Text, Slot::None),
    ("E", Shape::Text, Slot::None),
    ("sslc", Shape::Word, Slot::None),
    ("sslv", Shape::Word, Slot::None),
];

/// Sample fetches that say the same as an alias.
const FETCHES: &[(&str, &str)] = &[
    ("be_name", "b"),
    ("srv_name", "s"),
    ("fe_name", "f"),
    ("status", "ST"),
    ("txn.status", "ST"),
    ("txn.sess_term_state", "ts"),
    ("txn.conn_retries", "rc"),
    ("txn.timer.total", "Ta"),
    ("method", "HM"),
    ("capture.req.method", "HM"),
    ("capture.req.uri", "HU"),
    ("path", "HP"),
    ("pathq", "HU"),
    ("hostname", "H"),
];

/// The string without `log-format`, the quotes around it, and the backslashes that the configuration needs.
pub(super) fn unquoted(setting: &str) -> String {
    let text = setting.trim();
    let text = text.strip_prefix("log-format ").map_or(text, str::trim);
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return if quote == '"' { unescaped(inner) } else { inner.to_owned() };
        }
    }
    unescaped(text)
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next) if c == '\\' && matches!(next, ' ' | '"' | '\'' | '\\' | '#') => {
                out.push(next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

/// Splits the string at its variables.
pub(super) fn pieces(text: &str, setting: &str) -> Result<Vec<Piece>, SpecError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut flags = Flags::default();
    while !rest.is_empty() {
        let at = setting.find(rest).unwrap_or(0);
        let Some(after) = rest.strip_prefix('%') else {
            let end = rest.find('%').unwrap_or(rest.len());
            let (literal, after) = rest.split_at(end);
            Piece::push_text(&mut pieces, literal);
            rest = after;
            continue;
        };
        if let Some(after) = after.strip_prefix('%') {
            Piece::push_text(&mut pieces, "%");
            rest = after;
            continue;
        }
        let Ok((after, variable)) = variable(after) else {
            let message = "a variable should follow this % (write %% for the character)".to_owned();
            return Err(SpecError { message, at });
        };
        rest = after;
        let own = flags.changed(variable.flags);
        match variable.what {
            // `%{+Q}o` sets the flags of all that follow.
            What::Alias("o") => flags = own,
            what => {
                pieces.push(Piece::Field(field(&what, own).map_err(|message| SpecError { message, at })?));
            }
        }
    }
    Ok(pieces)
}

/// What a variable's braces say about how it is written.
#[derive(Clone, Copy, Default)]
struct Flags {
    quoted: bool,
    escaped: bool,
    hex: bool,
}

impl Flags {
    fn changed(mut self, changes: &str) -> Flags {
        for change in changes.split(',') {
            let (on, name) = match change.split_at_checked(1) {
                Some(("+", name)) => (true, name),
                Some(("-", name)) => (false, name),
                _ => continue,
            };
            match name {
                "Q" => self.quoted = on,
                "E" => self.escaped = on,
                "X" => self.hex = on,
                _ => {}
            }
        }
        self
    }
}

enum What<'t> {
    Alias(&'t str),
    Expression(&'t str),
}

struct Variable<'t> {
    flags: &'t str,
    what: What<'t>,
}

/// `ci`, `{+Q}r`, `[capture.req.hdr(0),lower]`, `(name:type){+Q}[…]`, behind the `%`.
fn variable(input: &str) -> IResult<&str, Variable<'_>> {
    let named = delimited(char('('), take_until(")"), char(')'));
    let flags = delimited(char('{'), take_until("}"), char('}'));
    let (rest, (_, flags)) = (opt(named), opt(flags)).parse(input)?;
    let flags = flags.unwrap_or_default();
    if rest.starts_with('[') {
        let (rest, expression) = expression(rest)?;
        return Ok((rest, Variable { flags, what: What::Expression(expression) }));
    }
    let (rest, alias) = take_while1(|c: char| c.is_ascii_alphanumeric()).parse(rest)?;
    Ok((rest, Variable { flags, what: What::Alias(alias) }))
}

/// `[expression]`, in which brackets may stand within parentheses (a regular expression's).
fn expression(input: &str) -> IResult<&str, &str> {
    let (rest, _) = char('[').parse(input)?;
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ']' if depth == 0 => {
                let (expression, rest) = rest.split_at(at);
                let (rest, _) = char(']').parse(rest)?;
                return Ok((rest, expression));
            }
            _ => {}
        }
    }
    // Unbalanced parentheses: the first bracket ends it.
    delimited(char('['), take_while(|c| c != ']'), char(']')).parse(input)
}

fn field(what: &What<'_>, flags: Flags) -> Result<Field, String> {
    let (name, alias) = match what {
        What::Alias(alias) => (format!("%{alias}"), Some(*alias)),
        What::Expression(expression) => {
            let name = format!("%[{expression}]");
            let fetch = expression.trim();
            let same = FETCHES.iter().find(|(name, _)| *name == fetch);
            if same.is_none() {
                let slot = match told(&name) {
                    Some(_) => Slot::Told,
                    None if names_host(fetch) => Slot::Site,
                    None => Slot::None,
                };
                return Ok(Field {
                    name,
                    shape: Shape::Text,
                    slot,
                    escaped: flags.escaped,
                    quoted: flags.quoted,
                });
            }
            (name, same.map(|(_, alias)| *alias))
        }
    };
    let known = ALIASES.iter().find(|(known, _, _)| Some(*known) == alias);
    let Some(&(_, shape, slot)) = known else {
        return Err(format!("HAProxy has no variable {name}"));
    };
    // In hexadecimal it is only skipped.
    let (shape, slot) =
        if flags.hex && shape == Shape::Number { (Shape::Word, Slot::None) } else { (shape, slot) };
    Ok(Field { name, shape, slot, escaped: flags.escaped, quoted: flags.quoted })
}

/// The header of an answer that a field by this name logs, if it is one that tells of an error:
/// `%[res.hdr(proxy-status)]`, `%[res.fhdr(X-Luminati-Error,1)]`.
pub(super) fn told(field: &str) -> Option<Header> {
    let (fetch, rest) = field.trim_start_matches("%[").split_once('(')?;
    let is_answers = matches!(fetch.trim(), "res.hdr" | "res.fhdr" | "shdr" | "res.hdrs");
    let name = rest.split([')', ',']).next()?.trim();
    is_answers.then(|| Header::named(name.as_bytes())).flatten()
}

/// Whether a sample expression gives the host that was asked for.
fn names_host(expression: &str) -> bool {
    let lower = expression.to_ascii_lowercase();
    lower.starts_with("ssl_fc_sni")
        || lower.contains("hdr(host")
        || (lower.starts_with("var(")
            && lower.split([')', ',']).next().is_some_and(|name| name.contains("host")))
}
