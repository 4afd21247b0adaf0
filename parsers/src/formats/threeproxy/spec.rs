//! A `logformat` string → the steps that read its lines.

use memchr::memrchr;

use crate::context::Context;
use crate::formats::SpecError;
use crate::record::Millis;
use crate::text;

/// The one of 3proxy's sample configuration.
pub(super) const SAMPLE: &str = "- +_L%t.%. %N.%p %E %U %C:%c %R:%r %O %I %h %T";

/// More variables than any log has.
const STEPS_MAX: usize = 64;

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    Hour,
    Minute,
    Second,
    Epoch,
    Millis,
    Zone,
    Code,
    Remote,
    RemotePort,
    External,
    Hostname,
    BytesIn,
    BytesOut,
    Duration,
    Text,
    Other,
}

impl Variable {
    pub(super) const COUNT: usize = Variable::Other as usize + 1;

    const LETTERS: &[(u8, Variable)] = &[
        (b'Y', Variable::Year),
        (b'y', Variable::ShortYear),
        (b'm', Variable::Month),
        (b'o', Variable::MonthName),
        (b'd', Variable::Day),
        (b'H', Variable::Hour),
        (b'M', Variable::Minute),
        (b'S', Variable::Second),
        (b't', Variable::Epoch),
        (b'.', Variable::Millis),
        (b'z', Variable::Zone),
        (b'E', Variable::Code),
        (b'R', Variable::Remote),
        (b'r', Variable::RemotePort),
        (b'e', Variable::External),
        (b'n', Variable::Hostname),
        (b'I', Variable::BytesIn),
        (b'O', Variable::BytesOut),
        (b'D', Variable::Duration),
        (b'T', Variable::Text),
    ];

    const NAMES: [&str; Variable::COUNT] = [
        "%Y",
        "%y",
        "%m",
        "%o",
        "%d",
        "%H",
        "%M",
        "%S",
        "%t",
        "%.",
        "%z",
        "%E",
        "%R",
        "%r",
        "%e",
        "%n",
        "%I",
        "%O",
        "%D",
        "%T",
        "logformat",
    ];

    /// As written in a logformat.
    pub(super) fn name(self) -> &'static str {
        Variable::NAMES.get(self as usize).copied().unwrap_or_default()
    }

    pub(super) fn is_stamp(self) -> bool {
        (self as usize) <= Variable::Zone as usize
    }
}

/// A variable and the literal after it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) letter: u8,
    pub(super) variable: Variable,
    literal: Box<[u8]>,
    is_last: bool,
}

impl Step {
    /// The value at the start, and what follows its literal.
    pub(super) fn read<'a>(&self, rest: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let len = match &*self.literal {
            [] if self.is_last => rest.len(),
            // Dates may be written without anything between.
            [] => rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len()).min(self.digits()?),
            _ if self.is_last => rest.strip_suffix(&*self.literal)?.len(),
            // An IPv6 address has colons, a service's name may have points: the last one before the blank ends it.
            [byte] if *byte > b' ' => {
                let word = rest.get(..text::find(b' ', rest).unwrap_or(rest.len()))?;
                if self.variable.is_stamp() { text::find(*byte, word)? } else { memrchr(*byte, word)? }
            }
            [byte] => text::find(*byte, rest)?,
            literal => text::find_literal(literal, rest)?,
        };
        let (value, after) = rest.split_at_checked(len)?;
        Some((value, after.get(self.literal.len()..)?))
    }

    fn digits(&self) -> Option<usize> {
        Some(match self.variable {
            Variable::Year => 4,
            Variable::Millis => 3,
            Variable::Epoch => 10,
            variable if variable.is_stamp() && variable != Variable::MonthName => 2,
            _ => return None,
        })
    }
}

/// A logformat taken apart.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) head: String,
    pub(super) steps: Vec<Step>,
    /// Bit i: has variable i.
    carried: u32,
    /// `G`: stamps are UTC.
    is_utc: bool,
}

impl Spec {
    pub(super) fn compile(setting: &str) -> Result<Spec, SpecError> {
        let refuse = |message: &str| Err(SpecError { message: message.to_owned(), at: 0 });
        let text = setting.trim().trim_matches('"');
        let (is_utc, text) = match options(text) {
            Some(found) => found,
            None => {
                return refuse(
                    "a logformat begins with L (local time) or G (UTC), after -characters+replacement",
                );
            }
        };
        let mut pieces = text.split('%');
        let head = pieces.next().unwrap_or_default().to_owned();
        let mut steps: Vec<Step> = Vec::new();
        // `%%` is a percent sign, and `%1-2T` is some words of %T.
        for piece in pieces {
            let piece = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
            let Some(letter @ 33..=126) = piece.bytes().next() else {
                return refuse("a % without a letter after it");
            };
            let known = Variable::LETTERS.iter().find(|(own, _)| *own == letter);
            let variable = known.map_or(Variable::Other, |(_, variable)| *variable);
            let literal = piece.as_bytes().get(1..).unwrap_or_default();
            steps.push(Step { letter, variable, literal: literal.into(), is_last: false });
        }
        if steps.len() > STEPS_MAX {
            return refuse("more variables than any log has");
        }
        if let Some(last) = steps.last_mut() {
            last.is_last = true;
        }
        let carried = steps.iter().fold(0, |carried, step| carried | 1 << step.variable as u32);
        let spec = Spec { head, steps, carried, is_utc };
        spec.check().map_or(Ok(spec), refuse)
    }

    /// What is missing.
    fn check(&self) -> Option<&'static str> {
        let has = |all: &[Variable]| all.iter().all(|variable| self.has(*variable));
        let has_year = self.has(Variable::Year) || self.has(Variable::ShortYear);
        let has_month = self.has(Variable::Month) || self.has(Variable::MonthName);
        let has_date = has_year
            && has_month
            && has(&[Variable::Day, Variable::Hour, Variable::Minute, Variable::Second]);
        if !self.has(Variable::Code) {
            return Some("without %E (the error code) a log says nothing about failures");
        }
        if !has_date && !self.has(Variable::Epoch) {
            return Some("no time in it: add %t, or %Y, %m, %d, %H, %M and %S");
        }
        let runs_together = |step: &Step| step.literal.is_empty() && !step.is_last && step.digits().is_none();
        self.steps
            .iter()
            .any(runs_together)
            .then_some("where a value ends cannot be seen: nothing stands before the next one")
    }

    pub(super) fn has(&self, variable: Variable) -> bool {
        self.carried & 1 << variable as u32 != 0
    }

    pub(super) fn needs_zone(&self) -> bool {
        !self.has(Variable::Epoch) && !self.is_utc && !self.has(Variable::Zone)
    }

    /// What a message calls the stamp.
    pub(super) fn stamp_name(&self) -> &'static str {
        let first = self.steps.iter().find(|step| step.variable.is_stamp());
        first.map_or("%t", |step| step.variable.name())
    }

    /// The stamp.
    pub(super) fn time(&self, values: &[&[u8]; Variable::COUNT], context: &mut Context) -> Option<Millis> {
        let get = |variable: Variable| values.get(variable as usize).copied().unwrap_or_default();
        let millis = get(Variable::Millis);
        if self.has(Variable::Epoch) {
            let seconds = crate::time::epoch(get(Variable::Epoch))?;
            return seconds.checked_add(if millis.is_empty() {
                0
            } else {
                crate::fields::count(millis)?.into()
            });
        }
        let mut stamp = Stamp { bytes: [0; 40], len: 0 };
        match get(Variable::Year) {
            b"" => stamp.push(b"20")?.push(get(Variable::ShortYear))?,
            year => stamp.push(year)?,
        };
        let month = match get(Variable::Month) {
            b"" => month(get(Variable::MonthName))?,
            month => month,
        };
        stamp.push(b"-")?.push(month)?.push(b"-")?.push(get(Variable::Day))?.push(b"T")?;
        stamp
            .push(get(Variable::Hour))?
            .push(b":")?
            .push(get(Variable::Minute))?
            .push(b":")?
            .push(get(Variable::Second))?;
        if !millis.is_empty() {
            stamp.push(b".")?.push(millis)?;
        }
        stamp.push(if self.is_utc { b"Z" } else { get(Variable::Zone) })?;
        context.dates.iso(stamp.bytes.get(..stamp.len)?)
    }
}

/// The stamp's parts, in the order that dates are read in.
struct Stamp {
    bytes: [u8; 40],
    len: usize,
}

impl Stamp {
    fn push(&mut self, part: &[u8]) -> Option<&mut Stamp> {
        self.bytes.get_mut(self.len..self.len + part.len())?.copy_from_slice(part);
        self.len += part.len();
        Some(self)
    }
}

fn month(name: &[u8]) -> Option<&'static [u8]> {
    const NUMBERS: [(&[u8], &[u8]); 12] = [
        (b"Jan", b"01"),
        (b"Feb", b"02"),
        (b"Mar", b"03"),
        (b"Apr", b"04"),
        (b"May", b"05"),
        (b"Jun", b"06"),
        (b"Jul", b"07"),
        (b"Aug", b"08"),
        (b"Sep", b"09"),
        (b"Oct", b"10"),
        (b"Nov", b"11"),
        (b"Dec", b"12"),
    ];
    NUMBERS.iter().find(|(own, _)| *own == name).map(|(_, number)| *number)
}

/// `L…`, `G…`, `-'"+_L…`: whether stamps are UTC, and what follows.
fn options(text: &str) -> Option<(bool, &str)> {
    let text = match text.strip_prefix('-') {
        // One character replaces all those before the last plus.
        Some(rest) => {
            let letter = rest.find('%').and_then(|percent| rest.get(..percent)?.rfind(['L', 'G']))?;
            rest.get(letter..)?
        }
        None => text,
    };
    match text.split_at_checked(1)? {
        ("L", rest) => Some((false, rest)),
        ("G", rest) => Some((true, rest)),
        _ => None,
    }
}
