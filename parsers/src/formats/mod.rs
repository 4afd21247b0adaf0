//! The formats. One file a kind; a kind is one line in [`FORMATS`].

mod apache;
mod aws;
mod custom;
pub(crate) mod envoy;
mod error_log;
pub mod haproxy;
pub mod json;
mod labelled;
pub(crate) mod nginx;
mod percent;
mod squid;
mod threeproxy;
mod tinyproxy;
mod traefik;
mod varnish;
mod w3c;

pub use w3c::Columns;

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

impl Parsed<'_> {
    /// When what it tells of happened, if it counts in time: the end of a request, a failure.
    #[must_use]
    pub fn end(&self) -> Option<crate::record::Millis> {
        match self {
            Parsed::Record(record) => Some(record.end),
            Parsed::Diagnosis(diagnosis) => Some(diagnosis.at),
            Parsed::Event(_) | Parsed::Other => None,
        }
    }
}

/// What is malformed where no field of a line is: the line as a whole.
pub(crate) const LINE: &str = "line";

/// Where a line stopped making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed<'a> {
    /// The field that was expected, in the format's own word (`$status`, `%ST`, `<time>`); where it was none of them,
    /// `LINE` or `object`. Never empty.
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

    /// This format as it is in the file that these lines begin, where the file itself says what its lines are (`w3c`: its
    /// `#Fields`). `None`: as it stands.
    fn for_head(&self, _head: &[&[u8]]) -> Option<Box<dyn Format>> {
        None
    }

    /// The name under which a reading of the same file goes on later, with what was learned from the lines so far.
    fn name_in(&self, _context: &Context) -> String {
        self.name().to_owned()
    }

    /// Whether a line may say how the lines after it read (`w3c`: `#Fields`): then none can be read before those above it.
    fn reads_in_order(&self) -> bool {
        false
    }

    /// Whether [`Format::name_in`] of this format may have given that name.
    fn is_learned_as(&self, _name: &str) -> bool {
        false
    }

    /// One line, without its line end (`\n`, `\r\n`).
    ///
    /// # Errors
    /// Where the line stops making sense, as far as it was understood.
    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>>;

    /// Every field it sees in this line, up to where it stops. Slow; for people.
    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>>;

    /// Whether the line bears what only this format's product writes, where others write lines of the same shape;
    /// `None`: nothing tells them apart, or nothing needs to.
    fn marks(&self, _line: &[u8]) -> Option<bool> {
        None
    }

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
    nginx::STREAM,
    haproxy::KIND,
    envoy::KIND,
    squid::KIND,
    apache::KIND,
    varnish::KIND,
    aws::ALB,
    aws::ELB,
    w3c::CLOUDFRONT,
    w3c::W3C,
    labelled::LTSV,
    labelled::LOGFMT,
    threeproxy::KIND,
    tinyproxy::KIND,
    custom::PATTERN,
    custom::REGEX,
];

/// Other names of built-in formats.
const ALIASES: &[(&str, &str)] = &[("nginx-proxy-manager", "nginx:npm"), ("heroku", "logfmt")];

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
    let spec = ALIASES.iter().find(|(alias, _)| *alias == spec).map_or(spec, |(_, name)| *name);
    let (word, rest) = match spec.split_once(':') {
        Some((word, rest)) => (word, Some(rest)),
        None => (spec, None),
    };
    let Some(kind) = FORMATS.iter().find(|k| k.name == word) else {
        return Err(SpecError { message: unknown(word, spec), at: 0 });
    };
    (kind.compile)(rest).map_err(|e| SpecError { at: e.at + word.len() + usize::from(rest.is_some()), ..e })
}

/// The labels, beside those that all formats share, that a format may give which was detected and not set.
#[must_use]
pub fn detected_labels() -> Vec<String> {
    let built_in = FORMATS.iter().flat_map(|kind| (kind.built_in)());
    let mut labels: Vec<String> = built_in.flat_map(|format| format.extra_labels().to_vec()).collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// Whether this is the name of an error log's format.
#[must_use]
pub fn is_error_log(name: &str) -> bool {
    [error_log::NGINX, error_log::APACHE].iter().any(|kind| kind.name == name)
}

/// The error log that these lines are of, if at least half of them show one.
#[must_use]
pub fn error_log_of(sample: &[&[u8]], context: &Context) -> Option<Box<dyn Format>> {
    let built_in = [error_log::NGINX, error_log::APACHE].into_iter().flat_map(|kind| (kind.built_in)());
    built_in.into_iter().find(|format| {
        let mut context = context.clone();
        let own = sample.iter().filter(|line| format.is_own(line, &mut context)).count();
        own > 0 && own * 2 >= sample.len()
    })
}

/// A setting without its kind, or with a wrong one: what it may have been meant to be.
fn unknown(word: &str, spec: &str) -> String {
    let products = [
        ("%START_TIME", "envoy"),
        ("%>Hs", "squid"),
        ("%Ss", "squid"),
        ("%>s", "apache"),
        ("%{Varnish:", "varnish"),
    ];
    let signs = [("$", "nginx"), ("%", "haproxy"), ("(?", "regex"), ("<", "pattern")];
    if let Some((_, kind)) = products.iter().chain(&signs).find(|(sign, _)| spec.contains(sign)) {
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
            ("%h %l %u %t \"%r\" %>s %b", "write apache:%h"),
            ("%ts.%03tu %Ss/%03>Hs", "write squid:%ts"),
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
