//! Varnish's access logs as varnishncsa writes them: its default format, or the string after `-F`. `%t` is the
//! request's start, and `%r` names the host: Varnish puts it together.
//!
//! Varnish never makes 502 or 504 itself; an upstream that failed is 503, as its own error pages and an upstream's are.

use super::percent::letters::{self, Letter};
use super::percent::{Expected, Percent, Piece, Product, Shape, Slot, Values, Verdict};
use super::{Compiled, Format, Kind, SpecError};
use crate::fields::Unit;
use crate::reason::{Cause, Reason};
use crate::text;
use memchr::memmem;

/// `varnish:…`
pub const KIND: Kind = Kind {
    name: "varnish",
    summary: "Varnish access logs by varnishncsa, in its default format or the one given to its -F",
    example: r#"varnish:%h %l %u %t "%r" %s %b %D %{Varnish:handling}x %{VCL_Log:backend}x"#,
    compile,
    built_in,
};

const PRODUCT: Product = Product { verdict, marks: None, request: None };

/// Of the default format, which other products' lines look like.
const DEFAULT: Product = Product {
    marks: Some(marks),
    request: Some(Expected { fits: is_whole_url, reason: "Varnish names the host in it" }),
    ..PRODUCT
};

/// `%l` is always a dash.
const DEFAULT_FORMAT: &str = r#"%h - %u %t "%r" %s %b "%{Referer}i" "%{User-agent}i""#;

fn compile(setting: Option<&str>) -> Compiled {
    let Some(setting) = setting else { return default()?.boxed() };
    if !setting.contains('%') {
        let message =
            format!("no Varnish format is called `{setting}`; give the string after varnishncsa's -F");
        return Err(SpecError { message, at: 0 });
    }
    let pieces = pieces(&letters::unquoted(setting))?;
    let (name, title) = (format!("varnish:{setting}"), "Varnish varnishncsa -F".to_owned());
    Percent::compile(&PRODUCT, name, title, vec![pieces])?.boxed()
}

fn built_in() -> Vec<Box<dyn Format>> {
    default().ok().map(|format| Box::new(format) as Box<dyn Format>).into_iter().collect()
}

fn default() -> Result<Percent, SpecError> {
    let (name, title) = ("varnish".to_owned(), "Varnish varnishncsa".to_owned());
    Percent::compile(&DEFAULT, name, title, vec![pieces(DEFAULT_FORMAT)?])
}

fn pieces(text: &str) -> Result<Vec<Piece>, SpecError> {
    letters::pieces(text, directive).map_err(|message| SpecError { message, at: 0 })
}

fn directive(letter: &Letter<'_>) -> Result<Vec<Piece>, String> {
    let argument = letter.argument.unwrap_or_default();
    Ok(match letter.letter {
        "t" => letter.stamp()?,
        "D" => letter.duration(Unit::Micros),
        "T" => letter.taken()?,
        "s" => letter.of(Shape::Status, Slot::Status),
        "r" => letter.of(Shape::Free, Slot::Request),
        "m" => letter.of(Shape::Word, Slot::Method),
        "U" => letter.of(Shape::Free, Slot::Target),
        "i" if argument.eq_ignore_ascii_case("host") => letter.of(Shape::Free, Slot::Host),
        // Varnish has no error headers of its own.
        "o" => letter.header("upstream_http_"),
        // What VCL is customarily made to log.
        "x" if argument.eq_ignore_ascii_case("vcl_log:backend") => letter.of(Shape::Free, Slot::Upstream),
        "x" => match argument {
            "Varnish:handling" => letter.of(Shape::Word, Slot::Handling),
            // `boot.default`, of a backend's own transaction.
            "VSL:BackendOpen[2]" => letter.of(Shape::Free, Slot::Upstream),
            "VSL:FetchError" => letter.of(Shape::Free, Slot::Notes),
            "Varnish:time_firstbyte" => letter.other(Shape::Decimal),
            "Varnish:hitmiss" | "Varnish:side" | "Varnish:vxid" => letter.other(Shape::Word),
            _ => letter.other(Shape::Free),
        },
        "b" | "I" | "O" => letter.other(Shape::Decimal),
        "h" | "H" | "l" => letter.other(Shape::Word),
        "i" | "q" | "u" => letter.other(Shape::Free),
        _ => return Err(format!("`{}`: varnishncsa has no such directive", letter.name)),
    })
}

fn verdict(values: &Values<'_>) -> Option<Verdict> {
    // VCL made the answer.
    let is_synthetic = matches!(values.get(Slot::Handling), b"synth" | b"error");
    let cause = match (fetch_error(values.known(Slot::Notes)), values.status().code()) {
        (Some(reason), _) => Cause::proxy(reason),
        (None, _) if is_synthetic => Cause::proxy(Reason::Unknown),
        (None, Some(503)) => Cause::UNKNOWN,
        // Behind a backend's error stands the backend.
        (None, _) => Cause::upstream(),
    };
    Some(match values.status().code() {
        Some(502..=504) => Verdict::error(cause),
        _ => Verdict::fine(cause),
    })
}

/// What Varnish says of a fetch that failed.
fn fetch_error(text: &[u8]) -> Option<Reason> {
    if text.is_empty() {
        return None;
    }
    let words: &[(&[u8], Reason)] = &[
        (b"first byte timeout", Reason::ConnectionReadTimeout),
        (b"between bytes timeout", Reason::ConnectionReadTimeout),
        (b"no backend connection", Reason::ConnectionFailed),
        (b"backend connection", Reason::ConnectionFailed),
        (b"unhealthy", Reason::DestinationUnavailable),
        (b"No backend", Reason::DestinationUnavailable),
        (b"overflow", Reason::HttpResponseHeaderSectionSize),
        (b"http format error", Reason::HttpProtocolError),
        (b"Received junk", Reason::HttpProtocolError),
        (b"HTC eof", Reason::ConnectionTerminated),
        (b"HTC", Reason::InvalidResponse),
        (b"reset by peer", Reason::ConnectionTerminated),
        (b"Broken pipe", Reason::ConnectionTerminated),
    ];
    let known = words.iter().find(|(words, _)| memmem::find(text, words).is_some());
    known.map(|(_, reason)| *reason).or(Some(Reason::Unknown))
}

/// A path alone is another product's.
fn is_whole_url(request: &[u8]) -> bool {
    !text::request_line(request).target.starts_with(b"/")
}

/// A request with its host; other proxies log that only for clients that ask them for other hosts.
fn marks(line: &[u8]) -> bool {
    let request = memchr::memchr(b'"', line).and_then(|at| line.get(at + 1..)).unwrap_or_default();
    text::request_line(request).target.starts_with(b"http://")
}

#[cfg(test)]
mod tests;
