//! Formats that are described by a string of `%` directives: Squid's, Apache's and Varnish's. A product gives its
//! grammar (a string → pieces) and its verdict (values → what the request's end means); the rest is here.

mod clock;
pub mod letters;
mod plain;
mod shape;
mod steps;
mod values;

pub use self::clock::strftime;
pub use self::shape::Shape;
pub use self::values::{Slot, Values, Verdict};

use self::steps::Spec;
use super::{Compiled, Field, Format, LINE, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::Unit;
use crate::proxy_status::{self, Header};
use crate::record::Outcome;
use crate::syslog;

/// More directives than any log has.
const DIRECTIVES_MAX: usize = 128;

/// What a product brings along.
#[derive(Debug)]
pub struct Product {
    /// What the request's end means; `None`: it is none of a client's.
    pub verdict: for<'a> fn(&Values<'a>) -> Option<Verdict>,
    /// Whether a line bears what this product writes and others of the same shape do not; `None`: no line shows that.
    pub marks: Option<fn(&[u8]) -> bool>,
    /// What its request lines always are.
    pub request: Option<Expected>,
}

/// What a value must be.
#[derive(Debug)]
pub struct Expected {
    /// Whether it is.
    pub fits: fn(&[u8]) -> bool,
    /// What is said of one that is not.
    pub reason: &'static str,
}

/// A part of a format string.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Text as it stands in every line.
    Text(String),
    /// A value.
    Value(Directive),
}

/// What stands for a value.
#[derive(Clone, Debug)]
pub struct Directive {
    /// As it is written: `%>s`, `%{ms}T`.
    pub name: String,
    /// What it means to a record.
    pub slot: Option<Slot>,
    /// What its values look like.
    pub shape: Shape,
    /// A quote in the value is escaped by a backslash, so that a bare one ends it.
    pub escaped: bool,
    /// The value may be padded with blanks on this side.
    pub padding: Padding,
    /// Of a stamp: whether it is the request's end.
    pub is_end: bool,
    /// Of a duration: what it counts.
    pub unit: Option<Unit>,
    /// Of an answer's header: what it tells of errors.
    pub header: Option<Header>,
}

/// Where blanks may stand beside a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nowhere.
    None,
    /// Before it.
    Left,
    /// After it.
    Right,
}

impl Directive {
    /// A value that is there and means nothing to a record.
    pub fn new(name: &str, shape: Shape) -> Directive {
        Directive {
            name: name.to_owned(),
            slot: None,
            shape,
            escaped: true,
            padding: Padding::None,
            is_end: false,
            unit: None,
            header: None,
        }
    }

    /// A header of the answer, by its name: what it tells of errors is known of some.
    pub fn header(name: &str, shape: Shape, header: &str) -> Directive {
        let header = Header::named(header.as_bytes());
        Directive { header, slot: header.map(|_| Slot::Told), ..Directive::new(name, shape) }
    }

    /// One that has some.
    pub fn of(name: &str, shape: Shape, slot: Slot) -> Directive {
        Directive { slot: Some(slot), ..Directive::new(name, shape) }
    }
}

/// A compiled format of one of the products.
#[derive(Debug)]
pub struct Percent {
    product: &'static Product,
    name: String,
    title: String,
    /// More than one where a name stands for several formats: a line is read by the first that fits.
    specs: Vec<Spec>,
}

impl Percent {
    /// Of these pieces; several lists of them for a name that stands for several formats.
    ///
    /// # Errors
    /// Where a value's end could not be seen, or the time or the status is missing.
    pub fn compile(
        product: &'static Product,
        name: String,
        title: String,
        formats: Vec<Vec<Piece>>,
    ) -> Result<Percent, SpecError> {
        let specs = formats.into_iter().map(|pieces| {
            let count = pieces.iter().filter(|piece| matches!(piece, Piece::Value(_))).count();
            if count > DIRECTIVES_MAX {
                return Err(format!("more than {DIRECTIVES_MAX} directives"));
            }
            let spec = Spec::compile(pieces)?;
            if !spec.has(Slot::Status) && !spec.has(Slot::FirstStatus) {
                return Err("a log without the status says nothing about errors".to_owned());
            }
            spec.check_stamp()?;
            Ok(spec)
        });
        let specs = specs.collect::<Result<Vec<_>, String>>();
        let specs = specs.map_err(|message| {
            // The caret stands under the directive that the message names, if it names one.
            let named = message.split('`').nth(1).filter(|word| word.starts_with('%'));
            let setting = name.split_once(':').map_or("", |(_, setting)| setting);
            let at = named.and_then(|directive| setting.find(directive)).unwrap_or(0);
            SpecError { message, at }
        })?;
        Ok(Percent { product, name, title, specs })
    }

    /// The same, and headers may follow in brackets (Squid's `log_mime_hdrs`).
    pub fn with_tail(mut self) -> Percent {
        self.specs = self.specs.into_iter().map(Spec::with_tail).collect();
        self
    }

    /// The same, to hand on.
    pub fn boxed(self) -> Compiled {
        Ok(Box::new(self))
    }

    /// One line without a syslog header.
    fn bare<'a>(
        &'a self,
        line: &'a [u8],
        node: &'a [u8],
        context: &mut Context,
    ) -> Result<Parsed<'a>, Malformed<'a>> {
        let mut furthest = Malformed { field: LINE, at: 0, reason: "no such format" };
        for spec in &self.specs {
            match self.by(spec, line, node, context) {
                Ok(parsed) => return Ok(parsed),
                Err(malformed) if malformed.at >= furthest.at => furthest = malformed,
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    fn by<'a>(
        &self,
        spec: &'a Spec,
        line: &'a [u8],
        node: &'a [u8],
        context: &mut Context,
    ) -> Result<Parsed<'a>, Malformed<'a>> {
        let mut values = Values::new(line, spec.carried());
        spec.read(line, &mut values).map_err(|stop| Malformed {
            field: spec.field(stop.step),
            at: stop.at,
            reason: stop.reason,
        })?;
        let refuse = |slot: Slot, reason: &'static str| Malformed {
            field: spec.field_of(slot),
            at: crate::fields::offset_in(line, values.get(slot)),
            reason,
        };
        if let Some(expected) = &self.product.request
            && values.carries(Slot::Request)
            && !(expected.fits)(values.get(Slot::Request))
        {
            return Err(refuse(Slot::Request, expected.reason));
        }
        let end = clock::end(&values, spec, context).map_err(|slot| refuse(slot, "no such date"))?;
        let mut record = values.record(end, spec.unit).map_err(|slot| refuse(slot, "no status"))?;
        record.node = node;
        let Some(verdict) = (self.product.verdict)(&values) else { return Ok(Parsed::Other) };
        let own = verdict.outcome.gateway_error();
        record.outcome = if context.is_gateway_status(record.status, own.is_some()) {
            let own = own.unwrap_or(verdict.otherwise);
            let told = spec.header.and_then(|header| header.cause(values.get(Slot::Told)));
            Outcome::GatewayError(told.map_or(own, |told| proxy_status::refined(own, told)))
        } else if own.is_some() {
            Outcome::Fine
        } else {
            verdict.outcome
        };
        record.attempts = values.attempts(&record, verdict.failed_attempt);
        Ok(Parsed::Record(record))
    }

    fn header<'a>(&self, line: &'a [u8], context: &mut Context) -> syslog::Header<'a> {
        let begins_with_date = self.specs.first().is_some_and(Spec::begins_with_stamp);
        if begins_with_date {
            syslog::strip_before_date(line, &mut context.prefix)
        } else {
            syslog::strip(line, &mut context.prefix)
        }
    }

    fn behind_header<'a>(
        &'a self,
        line: &'a [u8],
        context: &mut Context,
    ) -> Option<Result<Parsed<'a>, Malformed<'a>>> {
        let header = self.header(line, context);
        let at = line.len().checked_sub(header.rest.len()).filter(|at| *at > 0)?;
        let parsed = self.bare(header.rest, header.host, context);
        Some(parsed.map_err(|malformed| Malformed { at: malformed.at + at, ..malformed }))
    }
}

impl Format for Percent {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn knows_upstream(&self) -> bool {
        self.specs.iter().any(|spec| spec.has(Slot::Upstream) || spec.has(Slot::UpstreamName))
    }

    fn needs_zone(&self) -> bool {
        self.specs.iter().any(|spec| !spec.has_zone())
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        if line.first().is_none_or(|b| *b == b'#') || line.trim_ascii().is_empty() {
            return Ok(Parsed::Other);
        }
        // The last line's header is looked for first, so that no line is read twice.
        if context.prefix != syslog::Prefix::None
            && let Some(parsed @ Ok(_)) = self.behind_header(line, context)
        {
            return parsed;
        }
        match self.bare(line, b"", context) {
            Err(malformed) => self.behind_header(line, context).unwrap_or(Err(malformed)),
            parsed => parsed,
        }
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let header = self.header(line, context);
        let longest = |text: &'a [u8]| {
            self.specs
                .iter()
                .map(|spec| spec.trace(text))
                .reduce(|a, b| if b.len() > a.len() { b } else { a })
        };
        let whole = longest(line).unwrap_or_default();
        let behind = longest(header.rest).unwrap_or_default();
        if header.rest.len() == line.len() || behind.len() <= whole.len() {
            return whole;
        }
        let place = |value: &[u8]| crate::fields::offset_in(line, value);
        header
            .fields(line)
            .chain(behind.into_iter().map(|field| Field { at: place(field.value), ..field }))
            .collect()
    }

    fn marks(&self, line: &[u8]) -> Option<bool> {
        self.product.marks.map(|marks| marks(line))
    }
}

#[cfg(test)]
pub(super) mod tests;
