//! The formats. One file a kind; a kind is one line in [`FORMATS`].

mod custom;
pub(crate) mod envoy;
mod error_log;
pub mod haproxy;
pub mod json;
pub(crate) mod nginx;
mod traefik;

use crate::context::Context;
use crate::diagnosis::Diagnosis;
use crate::event::Event;
use crate::record::Record;

/// What a line was.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every line is a record, and one box a line is what must not be"
)]
pub enum Parsed<'a> {
    /// A finished request.
    Record(Record<'a>),
    /// An upstream's failure, as an error log has it: no request.
    Diagnosis(Diagnosis<'a>),
    /// A server's or a pool's change of state; by nature no access-log line.
    Event(Event<'a>),
    /// No access-log line by nature: a start message, a server going down, a comment, a blank line.
    Other,
}

/// Where a line stopped making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed<'a> {
    /// The field that was expected, in the format's own word (`$status`, `%ST`, `<time>`).
    pub field: &'a str,
    /// Byte offset into the line.
    pub at: usize,
    /// What was wrong, in a few words.
    pub reason: &'static str,
}

/// A field as `explain` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The format's own word for it.
    pub name: String,
    /// The bytes as logged.
    pub value: &'a [u8],
    /// Byte offset into the line.
    pub at: usize,
}

/// A compiled format: lines in, records out. Shared between threads; what changes from line to line is in `Context`.
pub trait Format: Send + Sync + std::fmt::Debug {
    /// As one would write it after `--log-format`: `nginx:combined`, `haproxy`, `json`, `nginx:$remote_addr …`.
    fn name(&self) -> &str;

    /// For people: `nginx combined`, `HAProxy httplog`.
    fn title(&self) -> String {
        self.name().to_owned()
    }

    /// Names of the further captures that become labels, in the order of `Record::extra`; at most `EXTRA_LABELS_MAX`.
    fn extra_labels(&self) -> &[String] {
        &[]
    }

    /// Whether a line of this format can name the upstream.
    fn knows_upstream(&self) -> bool;

    /// Whether its stamps carry no zone, so that the zone is a setting.
    fn needs_zone(&self) -> bool;

    /// One line, without its line end (`\n`, `\r\n`).
    ///
    /// # Errors
    /// Where the line stops making sense, as far as it was understood.
    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>>;

    /// Every field it sees in this line, up to where it stops. Slow; for people.
    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>>;

    /// Whether a line that is no request and no diagnosis shows this format all the same, so that detection may count it:
    /// a quiet error log has no others.
    fn is_own(&self, _line: &[u8], _context: &mut Context) -> bool {
        false
    }
}

/// What compiling a setting gives.
pub type Compiled = Result<Box<dyn Format>, SpecError>;

/// A kind of format: what stands before the colon in `--log-format`.
pub struct Kind {
    /// The word before the colon.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// An example of the whole setting.
    pub example: &'static str,
    /// Compiles what stands after the colon (`None`: no colon).
    pub compile: fn(Option<&str>) -> Compiled,
    /// The built-in formats that detection tries, most specific first.
    pub built_in: fn() -> Vec<Box<dyn Format>>,
}

/// Every kind, in the order in which detection tries them.
pub const FORMATS: &[Kind] = &[
    json::KIND,
    json::CADDY,
    json::CLOUDFLARE,
    json::FASTLY,
    json::SCRAPER,
    error_log::NGINX,
    error_log::APACHE,
    traefik::KIND,
    nginx::KIND,
    haproxy::KIND,
    custom::PATTERN,
    custom::REGEX,
];

/// A `--log-format` that does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SpecError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Byte offset into the setting, for a caret.
    pub at: usize,
}

/// Compiles a whole setting: `nginx:combined`, `haproxy`, `pattern:…`, `regex:…`, `json:…`.
///
/// # Errors
/// What is wrong with it, and where.
pub fn compile(spec: &str) -> Compiled {
    let (word, rest) = match spec.split_once(':') {
        Some((word, rest)) => (word, Some(rest)),
        None => (spec, None),
    };
    let Some(kind) = FORMATS.iter().find(|k| k.name == word) else {
        return Err(SpecError { message: unknown(word, spec), at: 0 });
    };
    (kind.compile)(rest).map_err(|e| SpecError { at: e.at + word.len() + usize::from(rest.is_some()), ..e })
}

/// A setting without its kind, or with a wrong one: what it may have been meant to be.
fn unknown(word: &str, spec: &str) -> String {
    let signs = [("$", "nginx"), ("%", "haproxy"), ("(?", "regex"), ("<", "pattern")];
    if let Some((_, kind)) = signs.iter().find(|(sign, _)| spec.contains(sign)) {
        return format!("a log format begins with its kind; write {kind}:{spec}");
    }
    let names: Vec<_> = FORMATS.iter().map(|kind| kind.name).collect();
    format!("unknown log format `{word}`; known: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_says_what_may_have_been_meant() {
        let cases = [
            ("$remote_addr [$time_local]", "write nginx:$remote_addr"),
            ("%ci:%cp [%tr]", "write haproxy:%ci"),
            (r"^(?<time>\S+) ", "write regex:^"),
            ("<time> <status>", "write pattern:<time>"),
            ("ngnix", "unknown log format `ngnix`; known: "),
            ("", "unknown log format ``"),
        ];
        for (spec, message) in cases {
            let error = compile(spec).unwrap_err();
            assert!(error.message.contains(message), "{spec}: {error}");
        }
    }
}
