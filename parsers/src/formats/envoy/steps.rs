//! Reads a line along a format's steps: each operator's value, then the text that follows it.
//!
//! Envoy escapes nothing: whoever writes a header writes quotes and blanks into the line. Nearly every line has none of
//! the format's own delimiters in its values; then there is one reading, found without looking back. Any other line is
//! read in every way that fits. If two readings differ in what is counted, the line is refused: a client must not choose
//! its own status.

use super::operators::{SLOTS, Shape, Slot};
use super::spec::{Spec, Step};
use crate::text::{find, word};

/// How many ends are tried in one line before it is given up.
const TRIES_MAX: u32 = 512;

/// The values of one line.
pub(super) type Slots<'a> = [&'a [u8]; SLOTS];

/// A line of which nothing has been read.
pub(super) fn empty<'a>() -> Slots<'a> {
    std::array::from_fn(|_| &b""[..])
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) step: usize,
    pub(super) at: usize,
    pub(super) reason: &'static str,
}

/// Reads a line.
pub(super) fn read<'a>(spec: &Spec, line: &'a [u8], slots: &mut Slots<'a>) -> Result<(), Refused> {
    if plain(spec, line, slots).is_some() {
        return Ok(());
    }
    let mut reading = Reading::new(spec, line);
    let whole = reading.run_all();
    *slots = reading.slots;
    if whole && reading.tries > 0 && !reading.two_readings { Ok(()) } else { Err(reading.refused()) }
}

/// Each value with its place, as far as the line can be read.
pub(super) fn trace<'a>(spec: &Spec, line: &'a [u8]) -> Values<'a> {
    let mut reading = Reading::new(spec, line);
    reading.trace = Some((Vec::new(), Vec::new()));
    let whole = reading.run_all();
    reading.trace.map(|(now, best)| if whole { now } else { best }).unwrap_or_default()
}

/// A line in whose values no delimiter occurs. With as many delimiters as the format has, no other reading fits.
fn plain<'a>(spec: &Spec, line: &'a [u8], slots: &mut Slots<'a>) -> Option<()> {
    let mut rest = line.strip_prefix(&spec.head[..])?;
    for step in &spec.steps {
        let len = match &step.operator.shape {
            shape if shape.is_fixed() => fixed(shape, rest)?,
            _ if step.is_alone => find(b'"', rest)?,
            _ => {
                let is_stop = |b: &u8| spec.stops.get(usize::from(*b)).copied().unwrap_or(true);
                rest.iter().position(is_stop).unwrap_or(rest.len())
            }
        };
        let (value, after) = rest.split_at_checked(len)?;
        if step.is_alone && step.operator.shape == Shape::Word && find(b' ', value).is_some() {
            return None;
        }
        rest = after.strip_prefix(&step.literal[..])?;
        if value.is_empty() && !step.may_be_empty() {
            return None;
        }
        step.keep(value, slots);
    }
    rest.trim_ascii().is_empty().then_some(())
}

/// The length of a value whose end follows from itself.
fn fixed(shape: &Shape, rest: &[u8]) -> Option<usize> {
    match shape {
        Shape::Stamp(stamp) => stamp.len(rest),
        Shape::Status => match rest {
            [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', after @ ..]
                if !after.first().is_some_and(u8::is_ascii_digit) =>
            {
                Some(3)
            }
            [b'0' | b'-', after @ ..] if !after.first().is_some_and(u8::is_ascii_digit) => Some(1),
            _ => None,
        },
        _ => match rest.first() {
            Some(b'-') => Some(1),
            _ => Some(rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len())),
        },
    }
}

impl Step {
    /// Where empty values are omitted. At the line's end it may be a cut one.
    fn may_be_empty(&self) -> bool {
        !self.literal.is_empty() && self.operator.shape != Shape::Status
    }

    pub(super) fn keep<'a>(&self, value: &'a [u8], slots: &mut Slots<'a>) {
        if let Some(slot) = self.operator.slot
            && let Some(kept) = slots.get_mut(slot as usize)
        {
            *kept = value;
        }
    }
}

/// Values with their places.
type Values<'a> = Vec<(usize, &'a [u8])>;

/// One line being read in every way.
struct Reading<'f, 'a> {
    spec: &'f Spec,
    line: &'a [u8],
    slots: Slots<'a>,
    /// The step and the place of the failure that got furthest.
    furthest: (usize, usize),
    tries: u32,
    two_readings: bool,
    /// For `explain`: the values now, and those of the reading that got furthest.
    trace: Option<(Values<'a>, Values<'a>)>,
}

impl<'f, 'a> Reading<'f, 'a> {
    fn new(spec: &'f Spec, line: &'a [u8]) -> Reading<'f, 'a> {
        let slots = empty();
        Reading { spec, line, slots, furthest: (0, 0), tries: TRIES_MAX, two_readings: false, trace: None }
    }

    fn refused(&self) -> Refused {
        let (step, at) = self.furthest;
        let reason = match self.tries {
            0 => "too many readings of this line",
            _ if self.two_readings => "two readings of this line differ",
            _ => "not what the format says",
        };
        Refused { step, at, reason }
    }

    fn run_all(&mut self) -> bool {
        self.line.starts_with(&self.spec.head) && self.run(0, self.spec.head.len())
    }

    /// Reads from step `i` at `pos` to the line's end.
    fn run(&mut self, mut i: usize, mut pos: usize) -> bool {
        while let Some(step) = self.spec.steps.get(i) {
            let rest = self.line.get(pos..).unwrap_or_default();
            let len = match fixed_end(step, rest) {
                None => return self.choose(i, pos),
                Some(None) => return self.fail(i, pos),
                Some(Some(len)) => len,
            };
            if !rest.get(len..).is_some_and(|after| after.starts_with(&step.literal)) {
                return self.fail(i, pos + len);
            }
            if len == 0 && !step.may_be_empty() {
                return self.fail(i, pos);
            }
            self.keep(i, pos, rest.get(..len).unwrap_or_default());
            pos += len + step.literal.len();
            i += 1;
        }
        let is_end = self.line.get(pos..).is_none_or(|rest| rest.trim_ascii().is_empty());
        is_end || self.fail(i, pos)
    }

    /// Tries every end that the value of step `i` may have: the literal's occurrences.
    fn choose(&mut self, i: usize, pos: usize) -> bool {
        let Some(step) = self.spec.steps.get(i) else { return false };
        let rest = self.line.get(pos..).unwrap_or_default();
        let limit = if step.operator.shape == Shape::Word {
            word(rest).map_or(0, |(_, w)| w.len())
        } else {
            rest.len()
        };
        let mut first: Option<Slots<'a>> = None;
        let mut from = 0;
        while let Some(len) = occurrence(rest, &step.literal, from).filter(|len| *len <= limit) {
            from = len + 1;
            if self.tries == 0 {
                return false;
            }
            self.tries -= 1;
            self.keep(i, pos, rest.get(..len).unwrap_or_default());
            if !self.run(i + 1, pos + len + step.literal.len()) {
                continue;
            }
            // What people are shown is the first reading.
            if self.trace.is_some() {
                return true;
            }
            match first {
                None => first = Some(self.slots),
                Some(first) => self.two_readings |= differ(&first, &self.slots),
            }
        }
        match first {
            Some(first) => {
                self.slots = first;
                true
            }
            None => self.fail(i, pos),
        }
    }

    fn keep(&mut self, i: usize, pos: usize, value: &'a [u8]) {
        if let Some(step) = self.spec.steps.get(i) {
            step.keep(value, &mut self.slots);
        }
        if let Some((now, _)) = &mut self.trace {
            now.truncate(i);
            now.push((pos, value));
        }
    }

    fn fail(&mut self, i: usize, at: usize) -> bool {
        if (i, at) >= self.furthest {
            self.furthest = (i, at);
            if let Some((now, best)) = &mut self.trace {
                now.truncate(i);
                best.clone_from(now);
            }
        }
        false
    }
}

/// The length of the value at the start of `rest`, if it can end in one way only (`Some(None)`: in none).
fn fixed_end(step: &Step, rest: &[u8]) -> Option<Option<usize>> {
    match &step.operator.shape {
        shape if shape.is_fixed() => Some(fixed(shape, rest)),
        _ if !step.literal.is_empty() => None,
        Shape::Word => Some(word(rest).ok().map(|(_, value)| value.len())),
        _ => Some(Some(rest.trim_ascii_end().len())),
    }
}

/// Whether two readings of a line differ in what is counted.
fn differ(a: &Slots<'_>, b: &Slots<'_>) -> bool {
    let counted = [
        Slot::Status,
        Slot::Flags,
        Slot::Host,
        Slot::Cluster,
        Slot::StartTime,
        Slot::EmitTime,
        Slot::Duration,
    ];
    counted.iter().any(|slot| a.get(*slot as usize) != b.get(*slot as usize))
}

/// Where a literal stands next.
fn occurrence(rest: &[u8], literal: &[u8], from: usize) -> Option<usize> {
    let first = *literal.first()?;
    let mut at = from;
    loop {
        at += find(first, rest.get(at..)?)?;
        if rest.get(at..)?.starts_with(literal) {
            return Some(at);
        }
        at += 1;
    }
}
