//! Squid's format codes: `%`, a quoting, a width, `{argument}`, then the code (or the argument behind it).

use crate::fields::Unit;
use crate::formats::percent::{Directive, Padding, Piece, Shape, Slot, strftime};
use crate::proxy_status::Header;

/// How a value is quoted: by the modifier, else by what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    /// As in URLs: no blank is left in it.
    Url,
    /// Between quotes: `\"`.
    Quotes,
    /// Between brackets: these are escaped, blanks are not.
    Brackets,
    /// Not at all, or as a shell's word.
    Raw,
}

/// The string → its pieces.
///
/// # Errors
/// What is no code.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut around = Quoting::Url;
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, code) = rest.split_at(at);
        around = before.chars().fold(around, |around, c| match (c, around) {
            ('"', Quoting::Url) => Quoting::Quotes,
            ('[', Quoting::Url) => Quoting::Brackets,
            ('"', Quoting::Quotes) | (']', Quoting::Brackets) => Quoting::Url,
            _ => around,
        });
        pieces.push(Piece::Text(before.to_owned()));
        rest = match code.strip_prefix("%%") {
            Some(rest) => {
                pieces.push(Piece::Text("%".to_owned()));
                rest
            }
            None => {
                let (code, rest) = Code::read(code, around)?;
                pieces.extend(code.pieces()?);
                rest
            }
        };
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

struct Code<'s> {
    name: &'s str,
    code: &'s str,
    argument: Option<&'s str>,
    quoting: Quoting,
    padding: Padding,
}

impl<'s> Code<'s> {
    /// The code at the start, and what follows it.
    fn read(text: &'s str, around: Quoting) -> Result<(Code<'s>, &'s str), String> {
        let rest = text.get(1..).unwrap_or_default();
        let quotings = [
            ('"', Quoting::Quotes),
            ('[', Quoting::Brackets),
            ('#', Quoting::Url),
            ('/', Quoting::Raw),
            ('\'', Quoting::Raw),
        ];
        let modifier = quotings.iter().find(|(c, _)| rest.starts_with(*c));
        let (quoting, rest) = match modifier {
            Some((_, quoting)) => (*quoting, rest.get(1..).unwrap_or_default()),
            None => (around, rest),
        };
        let (is_left, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let is_zero = rest.starts_with('0');
        let unsized_ = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_wide = unsized_.len() < rest.len();
        let unsized_ = match unsized_.strip_prefix('.') {
            Some(precision) => precision.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => unsized_,
        };
        let padding = match (is_wide, is_left) {
            (true, true) => Padding::Right,
            (true, false) if !is_zero => Padding::Left,
            _ => Padding::None,
        };
        let (before, rest) = braced(unsized_)?;
        let rest = rest.strip_prefix("http::").unwrap_or(rest);
        let (code, rest) = split_code(rest);
        if code.is_empty() {
            return Err(format!("`{text}`: no such code"));
        }
        let (argument, rest) = match before {
            Some(_) => (before, rest),
            None => braced(rest)?,
        };
        let name = text.get(..text.len() - rest.len()).unwrap_or_default();
        Ok((Code { name, code, argument, quoting, padding }, rest))
    }

    fn pieces(&self) -> Result<Vec<Piece>, String> {
        let format = self.argument.filter(|_| matches!(self.code, "tl" | "tg"));
        if let Some(format) = format {
            return strftime(format, &self.name.replacen(format, "", 1), true);
        }
        let (shape, slot) = self.meaning();
        let quoted = !matches!(self.quoting, Quoting::Url);
        let shape = if quoted && shape == Shape::Word { Shape::Free } else { shape };
        // Squid has no error headers of its own.
        let header = self.argument.filter(|_| self.code == "<h");
        let header = header.and_then(|header| Header::named(format!("upstream_http_{header}").as_bytes()));
        Ok(vec![Piece::Value(Directive {
            name: self.name.to_owned(),
            slot: header.map(|_| Slot::Told).or(slot),
            header,
            shape,
            escaped: self.quoting == Quoting::Quotes,
            padding: self.padding,
            is_end: matches!(self.code, "ts" | "tu" | "tl" | "tg"),
            unit: (self.code == "tr").then_some(Unit::Millis),
        })])
    }

    /// Outside of quotes and brackets no value has a blank in it.
    fn meaning(&self) -> (Shape, Option<Slot>) {
        let header = |name: &str| self.argument.is_some_and(|argument| argument.eq_ignore_ascii_case(name));
        match self.code {
            "ts" => (Shape::Number, Some(Slot::Epoch)),
            "tS" => (Shape::Decimal, Some(Slot::Epoch)),
            "tu" => (Shape::Number, Some(Slot::Millis)),
            "tl" | "tg" => (Shape::Clf, Some(Slot::Clf)),
            "tr" => (Shape::Number, Some(Slot::Duration)),
            ">Hs" | "Hs" => (Shape::Status, Some(Slot::Status)),
            "<Hs" => (Shape::Status, Some(Slot::UpstreamStatus)),
            "Ss" => (Shape::Capitals, Some(Slot::Tag)),
            "Sh" => (Shape::Capitals, Some(Slot::Hierarchy)),
            "<a" => (Shape::Word, Some(Slot::Upstream)),
            "<p" => (Shape::Number, Some(Slot::UpstreamPort)),
            "<A" => (Shape::Word, Some(Slot::UpstreamName)),
            "rm" | ">rm" => (Shape::Word, Some(Slot::Method)),
            "ru" | ">ru" => (Shape::Word, Some(Slot::Target)),
            "rp" | ">rp" => (Shape::Word, Some(Slot::Path)),
            ">rd" => (Shape::Word, Some(Slot::ServerName)),
            ">h" | ">ha" if header("host") => (Shape::Word, Some(Slot::Host)),
            "mt" => (Shape::Word, Some(Slot::Mime)),
            "err_code" => (Shape::Word, Some(Slot::ErrorCode)),
            "err_detail" => (Shape::Word, Some(Slot::ErrorDetail)),
            "<st" => (Shape::Number, Some(Slot::Bytes)),
            "<pt" | "<tt" | "dt" | ">p" | "lp" | ">lp" | "<lp" | ">rP" | "<rP" | "st" | ">st" | ">sh"
            | "<sh" | "<bs" | "<sH" | "<sS" | "sn" => (Shape::Number, None),
            _ => (Shape::Word, None),
        }
    }
}

/// `{argument}` at the start, and what follows it.
fn braced(text: &str) -> Result<(Option<&str>, &str), String> {
    let Some(inner) = text.strip_prefix('{') else { return Ok((None, text)) };
    let (argument, rest) =
        inner.split_once('}').ok_or_else(|| format!("`{text}`: the brace is not closed"))?;
    Ok((Some(argument), rest))
}

/// Codes that end where they end, whatever letters follow; longer ones first.
const CODES: &[&str] = &[
    "master_xaction",
    "request_attempts",
    "busy_time",
    "credentials",
    "err_detail",
    "err_code",
    ">handshake",
    ">nfmark",
    "<nfmark",
    ">eui",
    ">qos",
    "<qos",
    "note",
    "<pt",
    "<tt",
    ">la",
    "<la",
    ">lp",
    "<lp",
    ">ha",
    ">Hs",
    "<Hs",
    "<bs",
    ">rm",
    ">ru",
    ">rs",
    ">rd",
    ">rP",
    ">rp",
    ">rv",
    "<rm",
    "<ru",
    "<rs",
    "<rd",
    "<rP",
    "<rp",
    "<rv",
    ">st",
    "<st",
    ">sh",
    "<sh",
    "<sH",
    "<sS",
    "la",
    "lp",
    "ts",
    "tu",
    "tl",
    "tg",
    "tS",
    "tr",
    "dt",
    "un",
    "ul",
    "ui",
    "ue",
    "us",
    "Hs",
    "Ss",
    "Sh",
    "mt",
    "rm",
    "ru",
    "rp",
    "rv",
    "st",
    "et",
    "ea",
    "sn",
    ">a",
    ">p",
    ">A",
    "<a",
    "<p",
    "<A",
    ">h",
    "<h",
    ">v",
];

fn split_code(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '<' | '>');
    let namespaced = ["ssl::", "tls::", "icap::", "adapt::", "transport::", "proxy_protocol::"];
    let len = match CODES.iter().find(|code| text.starts_with(**code)) {
        Some(code) => code.len(),
        None if namespaced.iter().any(|namespace| text.starts_with(namespace)) => {
            text.find(|c| !is_part(c)).unwrap_or(text.len())
        }
        None => 0,
    };
    text.split_at(len)
}
