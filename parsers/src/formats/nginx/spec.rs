//! A `log_format` string → the steps that read its lines.

use super::quick::Quick;
use super::steps::{Ends, Literal, Step};
use super::variables::{Shape, Slot, variable};
use crate::formats::SpecError;

/// `22/Nov/2026:14:53:53 +0000`
const CLF_LEN: usize = 26;

/// More variables than any log has.
const VARIABLES_MAX: usize = 128;

/// A `log_format` taken apart.
#[derive(Debug)]
pub(super) struct Spec {
    /// What stands before the first variable.
    pub(super) head: Literal,
    pub(super) steps: Vec<Step>,
}

/// How nginx escapes what clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// `\x22`: no raw quote in a value.
    Default,
    /// `\"`; also used for an object whose `escape=json` was not pasted along, since it reads `\x22` as well.
    Json,
    /// Not at all.
    None,
}

/// The name that a pasted directive gives, if it is one: `log_format NAME …`.
pub(super) fn directive_name(setting: &str) -> Option<&str> {
    setting.trim_start().strip_prefix("log_format")?.split_whitespace().next()
}

/// Compiles a `log_format` string, or the whole directive as it stands in nginx.conf.
pub(super) fn compile(setting: &str) -> Result<Spec, SpecError> {
    let (escape, text) = unquote(setting)?;
    let escape =
        escape.unwrap_or(if text.trim_start().starts_with('{') { Escape::Json } else { Escape::Default });
    let (head, variables) = split(&text).map_err(|message| error(setting, message))?;
    if variables.len() > VARIABLES_MAX {
        return Err(error(setting, format!("more than {VARIABLES_MAX} variables")));
    }
    let steps = steps(&head, variables, escape).map_err(|message| error(setting, message))?;
    let has = |slot| steps.iter().any(|step: &Step| step.slot == Some(slot));
    if !has(Slot::Status) {
        return Err(error(setting, "a log without $status says nothing about errors".to_owned()));
    }
    if !has(Slot::TimeLocal) && !has(Slot::TimeIso) && !has(Slot::Msec) {
        return Err(error(setting, "no time in it: add $msec, $time_iso8601 or $time_local".to_owned()));
    }
    Ok(Spec { head: Literal::new(&head), steps })
}

fn error(setting: &str, message: String) -> SpecError {
    // The caret stands under the variable that the message names, if it names one.
    let named = message.split_whitespace().find(|word| word.starts_with('$'));
    let at = named.and_then(|name| setting.find(name)).unwrap_or(0);
    SpecError { message, at }
}

/// Takes `escape=…` and nginx.conf's quotes off: what nginx itself would log by.
fn unquote(setting: &str) -> Result<(Option<Escape>, String), SpecError> {
    let setting = setting.trim_start();
    let (escape, rest) = escape_of(setting)?;
    let is_quoted = rest.trim_end().trim_end_matches(';').trim_end().ends_with(['\'', '"']);
    let before_quote = rest.split(['\'', '"']).next().unwrap_or_default();
    let is_directive = directive_name(rest).is_some() || rest.starts_with('\'') || {
        // `main '…' '…';`: the directive without its first word.
        let mut words = before_quote.split_whitespace();
        words.next().is_some_and(|word| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            && words.all(|word| word.starts_with("escape="))
            && before_quote.ends_with(char::is_whitespace)
    };
    if !(is_directive && is_quoted) {
        return Ok((escape, unescape(rest)));
    }
    let (options, quoted) = rest.split_at(before_quote.len());
    let option = options.split_whitespace().find(|word| word.starts_with("escape="));
    let escape = match option {
        Some(word) => escape_of(word)?.0,
        None => escape,
    };
    Ok((escape, join_quoted(quoted)))
}

fn escape_of(setting: &str) -> Result<(Option<Escape>, &str), SpecError> {
    let Some(rest) = setting.strip_prefix("escape=") else { return Ok((None, setting)) };
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let escape = match word {
        "default" => Escape::Default,
        "json" => Escape::Json,
        "none" => Escape::None,
        _ => {
            return Err(SpecError {
                message: format!("escape={word}: nginx knows default, json, none"),
                at: 0,
            });
        }
    };
    Ok((Some(escape), rest))
}

/// `'a' "b";` → `ab`.
fn join_quoted(text: &str) -> String {
    let mut joined = String::new();
    let mut quote = None;
    let mut chars = text.chars().peekable();
    let mut part = String::new();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            None => {}
            Some(q) if c == q => {
                joined.push_str(&unescape(&part));
                part.clear();
                quote = None;
            }
            Some(_) => {
                part.push(c);
                if c == '\\' {
                    part.extend(chars.next());
                }
            }
        }
    }
    joined
}

/// nginx.conf's own escapes; any other backslash stays.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let meant = match (c, chars.peek()) {
            ('\\', Some(next @ ('"' | '\'' | '\\'))) => *next,
            ('\\', Some('t')) => '\t',
            ('\\', Some('r')) => '\r',
            ('\\', Some('n')) => '\n',
            _ => {
                plain.push(c);
                continue;
            }
        };
        chars.next();
        plain.push(meant);
    }
    plain
}

/// The text before the first variable, and each variable with the text after it.
fn split(text: &str) -> Result<(String, Vec<(String, String)>), String> {
    let mut pieces = text.split('$');
    let head = pieces.next().unwrap_or_default().to_owned();
    let mut variables = Vec::new();
    for piece in pieces {
        let (name, literal) = match piece.strip_prefix('{') {
            Some(braced) => {
                braced.split_once('}').ok_or_else(|| format!("${piece}: the brace is not closed"))?
            }
            None => {
                let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
                piece.split_at(end)
            }
        };
        if name.is_empty() {
            return Err("a $ without a variable's name".to_owned());
        }
        variables.push((name.to_owned(), literal.to_owned()));
    }
    Ok((head, variables))
}

fn steps(head: &str, variables: Vec<(String, String)>, escape: Escape) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = head.to_owned();
    let mut variables = variables.into_iter().peekable();
    while let Some((name, mut literal)) = variables.next() {
        let (shape, slot) = variable(&name);
        let mut ends_at_slash = false;
        while literal.is_empty() && !shape.is_fixed() {
            let Some((next, _)) = variables.peek() else { break };
            match variable(next) {
                (_, Some(Slot::RequestUri | Slot::Uri))
                    if !matches!(slot, Some(Slot::RequestUri | Slot::Uri)) =>
                {
                    ends_at_slash = true;
                    break;
                }
                // `$uri$is_args$args`: one text to us.
                (Shape::Free | Shape::Token, _) if !shape.is_list() => {}
                _ => return Err(format!("where ${name} ends cannot be seen: nothing stands before ${next}")),
            }
            literal = variables.next().map(|(_, literal)| literal).unwrap_or_default();
        }
        let is_last = variables.peek().is_none();
        if is_last {
            literal.truncate(literal.trim_ascii_end().len());
        }
        let ends = match before_quote(&literal, variables.peek()) {
            _ if ends_at_slash => Ends::Slash,
            Some(back) if shape == Shape::Free && escape != Escape::None => Ends::BeforeQuote(back),
            _ => ends(shape, &literal, is_last, escape),
        };
        // Tools that squeeze blanks make one of the two around an empty user.
        let squeezes = name == "remote_user" && before.ends_with(' ') && literal.starts_with(' ');
        let no_quotes = escape != Escape::None;
        before.clone_from(&literal);
        let name = format!("${name}");
        let quick = Quick::of(shape, ends, &literal, no_quotes);
        let literal = Literal::new(&literal);
        steps.push(Step { name, slot, shape, literal, ends, quick, no_quotes, squeezes });
    }
    Ok(steps)
}

/// How far before the next quote a value ends that `$time_local` follows, and a quote after that: neither holds one.
fn before_quote(literal: &str, next: Option<&(String, String)>) -> Option<usize> {
    let (name, after_next) = next?;
    let has_quote = literal.contains('"') || variable(name).0 != Shape::Clf;
    (!has_quote).then(|| after_next.find('"').map(|at| literal.len() + CLF_LEN + at)).flatten()
}

fn ends(shape: Shape, literal: &str, is_last: bool, escape: Escape) -> Ends {
    let at_quote = literal.starts_with('"');
    match escape {
        _ if shape.is_fixed() => Ends::Shape,
        Escape::Default if at_quote => Ends::Quote,
        // What nginx makes itself has no quotes in it, however they are escaped.
        _ if at_quote && shape != Shape::Free => Ends::Quote,
        Escape::Json if at_quote => Ends::Escaped,
        _ if is_last && !shape.is_list() => Ends::Line,
        _ if shape.is_list() => Ends::List,
        _ if shape == Shape::Token && literal.starts_with(' ') => Ends::Word,
        _ => Ends::Choice,
    }
}
