//! What a worker must know of a file, and which of its requests count.

use gatewatch_parsers::{Context, Format, Malformed, Millis, Parsed, Record};
use gatewatch_rules::filter::Filter;
use gatewatch_rules::source::Source;
use std::sync::Arc;

/// A file to be counted: shared with the workers, never changed; replaced where the file says that its lines change.
#[derive(Clone)]
pub struct Job {
    /// Its place among the files given.
    pub index: usize,
    /// As it was given.
    pub path: String,
    /// Reading it may wait for somebody else.
    pub is_pipe: bool,
    /// `None`: no format that is known explains its lines.
    pub format: Option<Arc<dyn Format>>,
    /// For people: `HAProxy httplog`.
    pub title: String,
    /// Its own labels.
    pub source: Source,
    /// What each block's context starts as.
    pub context: Context,
}

impl Job {
    /// What a line is.
    ///
    /// # Errors
    /// Where it stops making sense; at once, if the format is not known.
    #[inline]
    pub fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        match &self.format {
            Some(format) => format.parse(line, context),
            None => Err(Malformed { field: "log format", at: 0, reason: "unknown; give --log-format" }),
        }
    }

    /// Whether no block may be read before those above it were.
    #[must_use]
    pub fn reads_in_order(&self) -> bool {
        self.format.as_ref().is_some_and(|format| format.reads_in_order())
    }

    /// A fresh context for a block.
    #[must_use]
    pub fn context(&self) -> Context {
        self.context.clone()
    }
}

/// Which requests count, and how time is cut.
#[derive(Clone, Debug)]
pub struct Selection {
    /// `--where`
    pub filter: Option<Filter>,
    /// `--since`: ends at or after.
    pub since: Option<Millis>,
    /// `--until`: ends before.
    pub until: Option<Millis>,
    /// Length of a bucket.
    pub step: Millis,
    /// How much behind its file's newest end a record may come.
    pub lateness: Millis,
    /// Bytes of a block; [`BLOCK`](super::BLOCK), but tests cut small logs into many.
    pub block: usize,
}

impl Selection {
    /// Whether every request counts.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.filter.is_none()
    }

    /// Whether what this line tells counts; a failure of an error log has no status, method or path.
    #[must_use]
    pub fn takes_parsed(&self, source: &Source, parsed: &Parsed<'_>) -> bool {
        match parsed {
            Parsed::Record(record) => self.takes(source, record),
            Parsed::Diagnosis(diagnosis) => self.takes(source, &diagnosis.as_record()),
            Parsed::Event(event) => self.takes(source, &event.as_record()),
            Parsed::Other => false,
        }
    }

    /// Whether this request counts.
    #[must_use]
    pub fn takes(&self, source: &Source, record: &Record<'_>) -> bool {
        self.since.is_none_or(|since| record.end >= since)
            && self.until.is_none_or(|until| record.end < until)
            && self.filter.as_ref().is_none_or(|filter| filter.eval(source, record))
    }
}
