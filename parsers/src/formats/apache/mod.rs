//! Apache's access logs: any `LogFormat` string, and the formats that have names. `%t` is the request's start.
//!
//! Apache answers 502, 503 and 504 itself when a backend fails, and passes on a backend's own; the line cannot tell,
//! unless it carries the notes or headers that do.

use super::percent::letters::{self, Letter};
use super::percent::{Percent, Piece, Product, Shape, Slot, Values, Verdict};
use super::{Compiled, Format, Kind, SpecError};
use crate::fields::Unit;
use crate::reason::{Cause, Reason};
use memchr::memmem;

/// `apache:…`
pub const KIND: Kind = Kind {
    name: "apache",
    summary: "Apache access logs: common, combined and their kin, or the LogFormat string as it stands in httpd.conf",
    example: r#"apache:%v:%p %h %l %u %t "%r" %>s %b %D %{BALANCER_WORKER_NAME}e"#,
    compile,
    built_in,
};

const PRODUCT: Product = Product { verdict, marks: Some(marks), request: None };

macro_rules! common {
    ($before:literal, $bytes:literal, $after:literal) => {
        concat!($before, r#"%h - %u %t "%r" %>s "#, $bytes, $after)
    };
}

/// Names, the most usual one first. For `%l` a dash: nobody has an identity, and a host before the client is told from it.
const NAMED: &[(&str, &str)] = &[
    ("combined", common!("", "%b", r#" "%{Referer}i" "%{User-Agent}i""#)),
    ("vhost_combined", common!("%v:%p ", "%O", r#" "%{Referer}i" "%{User-Agent}i""#)),
    ("common", common!("", "%b", "")),
    ("combinedio", common!("", "%b", r#" "%{Referer}i" "%{User-Agent}i" %I %O"#)),
    ("vhost_common", common!("%v ", "%b", "")),
];

fn compile(setting: Option<&str>) -> Compiled {
    let Some(setting) = setting else {
        let formats = NAMED.iter().map(|(_, format)| letters::pieces(format, directive));
        let formats =
            formats.collect::<Result<Vec<_>, _>>().map_err(|message| SpecError { message, at: 0 })?;
        return Percent::compile(&PRODUCT, "apache".to_owned(), "Apache".to_owned(), formats)?.boxed();
    };
    if NAMED.iter().any(|(name, _)| *name == setting) {
        return Ok(Box::new(named(setting)?));
    }
    if matches!(setting, "referer" | "agent") {
        let message = format!("Apache's `{setting}` log has no status, so it says nothing about errors");
        return Err(SpecError { message, at: 0 });
    }
    if !setting.contains('%') {
        let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
        let message = format!(
            "no Apache format is called `{setting}`; known: {}; or give the LogFormat string itself",
            names.join(", ")
        );
        return Err(SpecError { message, at: 0 });
    }
    let text = setting.trim_start().strip_prefix("LogFormat ").unwrap_or(setting);
    let pieces = letters::pieces(&letters::unquoted(text), directive)
        .map_err(|message| SpecError { message, at: 0 })?;
    let (name, title) = (format!("apache:{setting}"), "Apache LogFormat".to_owned());
    Percent::compile(&PRODUCT, name, title, vec![pieces])?.boxed()
}

fn built_in() -> Vec<Box<dyn Format>> {
    let formats = NAMED.iter().filter_map(|(name, _)| named(name).ok());
    formats.map(|format| Box::new(format) as Box<dyn Format>).collect()
}

fn named(name: &str) -> Result<Percent, SpecError> {
    let format = NAMED.iter().find(|(known, _)| *known == name).map_or("", |(_, format)| format);
    let pieces = letters::pieces(format, directive).map_err(|message| SpecError { message, at: 0 })?;
    Percent::compile(&PRODUCT, format!("apache:{name}"), format!("Apache {name}"), vec![pieces])
}

fn directive(letter: &Letter<'_>) -> Result<Vec<Piece>, String> {
    let argument = letter.argument.unwrap_or_default();
    Ok(match letter.letter {
        "t" => letter.stamp()?,
        "D" => letter.duration(Unit::Micros),
        "T" => letter.taken()?,
        "s" if letter.which == Some('>') => letter.of(Shape::Status, Slot::Status),
        "s" => letter.of(Shape::Status, Slot::FirstStatus),
        "r" => letter.of(Shape::Free, Slot::Request),
        "m" => letter.of(Shape::Word, Slot::Method),
        "U" => letter.of(Shape::Free, Slot::Target),
        "v" | "V" => letter.of(Shape::Word, Slot::ServerName),
        "i" if argument.eq_ignore_ascii_case("host") => letter.of(Shape::Free, Slot::Host),
        "o" => letter.header(""),
        "e" if argument == "BALANCER_WORKER_NAME" => letter.of(Shape::Free, Slot::Upstream),
        "e" if argument == "BALANCER_WORKER_ROUTE" => letter.of(Shape::Free, Slot::UpstreamName),
        "n" if argument == "JK_WORKER_NAME" => letter.of(Shape::Free, Slot::UpstreamName),
        "e" if argument == "BALANCER_NAME" => letter.of(Shape::Free, Slot::Pool),
        "n" if argument == "error-notes" => letter.of(Shape::Free, Slot::Notes),
        "b" | "B" | "I" | "O" | "S" | "p" | "k" => letter.other(Shape::Number),
        "a" | "A" | "h" | "H" | "l" | "L" | "P" | "R" | "X" => letter.other(Shape::Word),
        "C" | "e" | "f" | "i" | "n" | "q" | "u" | "x" | "c" | "g" | "M" | "^ti" | "^to" => {
            letter.other(Shape::Free)
        }
        _ => return Err(format!("`{}`: Apache has no such directive", letter.name)),
    })
}

fn verdict(values: &Values<'_>) -> Option<Verdict> {
    let cause = cause(values);
    Some(match values.status().code() {
        Some(502..=504) => Verdict::error(cause),
        _ => Verdict::fine(cause),
    })
}

/// `mod_proxy` notes what it tells the client: `The proxy server could not handle the request<p>Reason: <strong>DNS
/// lookup failure for: …`
fn cause(values: &Values<'_>) -> Cause {
    let notes = values.known(Slot::Notes);
    let has = |text: &[u8]| memmem::find(notes, text).is_some();
    if has(b"DNS lookup failure") {
        return Cause::proxy(Reason::DnsError);
    }
    if has(b"Error during SSL Handshake") {
        return Cause::proxy(Reason::TlsProtocolError);
    }
    if has(b"Corrupt status line") {
        return Cause::proxy(Reason::HttpProtocolError);
    }
    // Closed, reset or silent: Apache has one word for all of them.
    if has(b"remote server") || has(b"proxy server") {
        return Cause::proxy(Reason::Unknown);
    }
    Cause::UNKNOWN
}

/// What nginx never writes in a line of this shape: a quote or a backslash behind a backslash (it writes `\x22` and
/// `\x5C`), other control characters' letters, a dash for no bytes, and an empty name in quotes.
fn marks(line: &[u8]) -> bool {
    let is_escape = |at: usize| matches!(line.get(at + 1), Some(b'"' | b'\\' | b'n' | b't' | b'r'));
    let mut from = 0;
    while let Some(at) = line.get(from..).and_then(|rest| memchr::memchr(b'\\', rest)).map(|at| from + at) {
        if is_escape(at) {
            return true;
        }
        from = at + 2;
    }
    // `… HTTP/1.1" 304 - "`
    let status = memmem::find(line, b"\" ").and_then(|at| line.get(at + 2..));
    matches!(status, Some([_, _, _, b' ', b'-', rest @ ..]) if matches!(rest, [] | [b' ', ..]))
        || memmem::find(line, b" \"\" [").is_some()
}

#[cfg(test)]
mod tests;
