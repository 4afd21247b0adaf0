//! Reads a line along a format's steps, left to right: each value, then the text that follows it. Most values end in one
//! way only. Where a client's text stands unquoted, every place at which the text after it occurs may be its end: they
//! are tried in turn, and a line whose readings differ in what is counted is refused. A client must not choose its own
//! status.

use memchr::{memchr3, memmem};

use super::shape::{Shape, Taken};
use super::values::{Slot, Values};
use super::{Directive, Padding, Piece};
use crate::fields::Unit;
use crate::formats::Field;
use crate::proxy_status::Header;
use crate::text::{self, find};

/// How many ends are tried in one line before it is given up.
const TRIES_MAX: u32 = 512;
/// How many bytes are looked at for that, some more than once: a hostile line of 64 KiB must cost milliseconds.
const WORK_MAX: usize = 256 << 10;
/// Besides the bytes skipped, what a look at the next value is worth.
const TRY_COSTS: usize = 64;

/// A value and the text after it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) directive: Directive,
    pub(super) literal: Vec<u8>,
    /// Blanks before the value are no part of it.
    pub(super) padded: bool,
    /// So may blanks after it be.
    pub(super) trailing: bool,
    /// Ends before the first slash, the start of the next value.
    pub(super) at_slash: bool,
    /// [`Step::only_end`] says where it ends.
    pub(super) is_sure: bool,
}

impl Step {
    /// The first end at or after `from` of a value that has no shape of its own.
    fn end(&self, rest: &[u8], from: usize) -> Option<usize> {
        if self.at_slash {
            return find(b'/', rest).filter(|at| *at >= from);
        }
        let is_word = self.directive.shape == Shape::Word;
        if self.trailing {
            let word = rest.get(..find(b' ', rest).unwrap_or(rest.len()))?;
            let literal = self.literal.first().and_then(|_| memmem::find(word, &self.literal));
            return (from == 0).then_some(literal.unwrap_or(word.len()));
        }
        let Some(first) = self.literal.first() else {
            let end = match is_word {
                true => find(b' ', rest).unwrap_or(rest.len()),
                false if self.directive.escaped => bare_quote(rest, 0).unwrap_or(rest.trim_ascii_end().len()),
                false => rest.trim_ascii_end().len(),
            };
            return (from <= end).then_some(end);
        };
        if is_word {
            let word = find(b' ', rest).unwrap_or(rest.len());
            if *first == b' ' {
                return (from <= word && rest.get(word..)?.starts_with(&self.literal)).then_some(word);
            }
            let mut at = from;
            loop {
                at += find(*first, rest.get(at..)?)?;
                if at > word {
                    return None;
                }
                if rest.get(at..)?.starts_with(&self.literal) {
                    return Some(at);
                }
                at += 1;
            }
        }
        self.free_end(*first, rest, from)
    }

    fn free_end(&self, first: u8, rest: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let tail = rest.get(at..)?;
            at += match self.directive.escaped {
                true => memchr3(first, b'"', b'\\', tail)?,
                false => find(first, tail)?,
            };
            let tail = rest.get(at..)?;
            match tail.first() {
                _ if tail.starts_with(&self.literal) => return Some(at),
                Some(b'\\') if self.directive.escaped => at += 2,
                // Apache's empty user.
                Some(b'"') if at == 0 && rest.starts_with(b"\"\"") => at = 2,
                // No bare quote belongs to the value.
                Some(b'"') if self.directive.escaped => return None,
                _ => at += 1,
            }
        }
    }

    /// Whether a value without a shape ends at its first end, whatever follows.
    fn ends_at_once(&self) -> bool {
        let literal = self.literal.first();
        self.at_slash
            || self.trailing
            || self.directive.shape == Shape::Word && matches!(literal, None | Some(b' '))
            || self.directive.escaped && matches!(literal, None | Some(b'"'))
    }
}

/// The first quote that no backslash escapes.
fn bare_quote(text: &[u8], from: usize) -> Option<usize> {
    text::escaped(text.get(from..)?).ok().map(|(_, value)| from + value.len())
}

/// A format string taken apart.
#[derive(Debug)]
pub struct Spec {
    pub(super) head: Vec<u8>,
    pub(super) steps: Vec<Step>,
    /// Each value ends in one way only.
    is_plain: bool,
    carried: u64,
    /// Headers may follow (Squid's `log_mime_hdrs`), or a dash (Traffic Server's log of Squid's shape).
    tail: bool,
    /// The stamps are those of the request's end.
    pub is_end: bool,
    /// What the duration counts.
    pub unit: Unit,
    /// The header of the answer that tells of an error.
    pub header: Option<Header>,
}

/// Where a line could not be read.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub step: usize,
    pub at: usize,
    pub reason: &'static str,
}

impl Spec {
    /// # Errors
    /// Where a value's end could not be seen.
    pub fn compile(mut pieces: Vec<Piece>) -> Result<Spec, String> {
        let (is_end, unit) = choose(&mut pieces);
        let mut head = String::new();
        let mut steps: Vec<Step> = Vec::new();
        for piece in pieces {
            match (piece, steps.last_mut()) {
                (Piece::Text(text), None) => head.push_str(&text),
                (Piece::Text(text), Some(step)) => step.literal.extend(text.bytes()),
                (Piece::Value(directive), last) => {
                    let after_left =
                        last.as_ref().is_some_and(|step| step.directive.padding == Padding::Right);
                    if let Some(step) = last
                        && step.literal.is_empty()
                        && !step.directive.shape.is_fixed()
                    {
                        let is_target = |d: &Directive| matches!(d.slot, Some(Slot::Target | Slot::Path));
                        match directive.shape {
                            _ if is_target(&directive) && !is_target(&step.directive) => step.at_slash = true,
                            // `%U%q`: one text to us.
                            Shape::Word | Shape::Free => {
                                step.directive.name.push_str(&directive.name);
                                continue;
                            }
                            _ => {
                                return Err(format!(
                                    "where `{}` ends cannot be seen: nothing stands before {}",
                                    step.directive.name, directive.name
                                ));
                            }
                        }
                    }
                    let padded = directive.padding == Padding::Left || after_left;
                    let literal = Vec::new();
                    let (trailing, at_slash, is_sure) = (false, false, false);
                    steps.push(Step { directive, literal, padded, trailing, at_slash, is_sure });
                }
            }
        }
        for step in &mut steps {
            step.trailing = step.directive.padding == Padding::Right && step.directive.shape != Shape::Free;
            if step.trailing {
                let blanks = step.literal.iter().take_while(|b| **b == b' ').count();
                step.literal.drain(..blanks);
            }
        }
        if let Some(last) = steps.last_mut() {
            last.literal.truncate(last.literal.trim_ascii_end().len());
        }
        let header = steps.iter().find_map(|step| step.directive.header);
        let slots = steps.iter().filter_map(|step| step.directive.slot);
        let carried = slots.fold(0, |carried, slot| carried | 1 << slot as u32);
        for step in &mut steps {
            step.is_sure = step.has_only_end();
        }
        let is_plain = steps.iter().all(|step| step.is_sure);
        Ok(Spec { head: head.into_bytes(), steps, is_plain, carried, tail: false, is_end, unit, header })
    }

    pub fn carried(&self) -> u64 {
        self.carried
    }

    pub fn has(&self, slot: Slot) -> bool {
        self.carried & 1 << slot as u32 != 0
    }

    /// The directive there.
    pub fn field(&self, step: usize) -> &str {
        self.steps.get(step).map_or("the line's end", |step| step.directive.name.as_str())
    }

    /// The directive of this slot.
    pub fn field_of(&self, slot: Slot) -> &str {
        let step = self.steps.iter().position(|step| step.directive.slot == Some(slot));
        step.map_or("", |step| self.field(step))
    }

    pub fn begins_with_stamp(&self) -> bool {
        let first = self.steps.first().and_then(|step| step.directive.slot);
        self.head.iter().all(|b| *b == b'[') && first.is_some_and(Slot::is_stamp)
    }

    /// # Errors
    /// Where the line stops making sense.
    pub fn read<'a>(&self, line: &'a [u8], values: &mut Values<'a>) -> Result<(), Stop> {
        if self.is_plain && self.plain(line, values).is_some() {
            return Ok(());
        }
        let mut reading = Reading::new(self, line, values);
        if reading.all() && reading.tries > 0 && !reading.two_readings {
            return Ok(());
        }
        Err(reading.stop())
    }

    /// Each value as far as the line can be read.
    pub fn trace<'a>(&self, line: &'a [u8]) -> Vec<Field<'a>> {
        let mut values = Values::new(line, self.carried);
        let mut reading = Reading::new(self, line, &mut values);
        reading.trace = Some((Vec::new(), Vec::new()));
        reading.all();
        let seen = reading.trace.map(|(_, best)| best).unwrap_or_default();
        let fields = self.steps.iter().zip(seen);
        fields.map(|(step, (at, value))| Field { name: step.directive.name.clone(), value, at }).collect()
    }

    /// Lets that follow.
    pub fn with_tail(mut self) -> Spec {
        self.tail = true;
        self
    }
}

/// Of several stamps those of the end count; of several durations the finest.
fn choose(pieces: &mut [Piece]) -> (bool, Unit) {
    let fineness = |unit: Unit| match unit {
        Unit::Seconds | Unit::Written => 0,
        Unit::Millis => 1,
        Unit::Micros => 2,
        Unit::Nanos => 3,
    };
    let (mut is_end, mut unit) = (false, None::<Unit>);
    for piece in pieces.iter() {
        if let Piece::Value(directive) = piece {
            is_end |= directive.is_end && directive.slot.is_some_and(Slot::is_stamp);
            let finer = directive.unit.filter(|new| unit.is_none_or(|old| fineness(*new) > fineness(old)));
            unit = finer.or(unit);
        }
    }
    for piece in pieces {
        if let Piece::Value(directive) = piece
            && (is_end && !directive.is_end && directive.slot.is_some_and(Slot::is_stamp)
                || directive.unit.is_some() && directive.unit != unit)
        {
            directive.slot = None;
        }
    }
    (is_end, unit.unwrap_or_default())
}

/// One line being read.
struct Reading<'f, 'a> {
    spec: &'f Spec,
    line: &'a [u8],
    values: &'f mut Values<'a>,
    /// The step and the place of the failure that got furthest.
    furthest: (usize, usize),
    tries: u32,
    work: usize,
    two_readings: bool,
    /// For `explain`: the values of this reading, and of the one that got furthest.
    trace: Option<(Seen<'a>, Seen<'a>)>,
}

/// Values with their places.
type Seen<'a> = Vec<(usize, &'a [u8])>;

impl<'f, 'a> Reading<'f, 'a> {
    fn new(spec: &'f Spec, line: &'a [u8], values: &'f mut Values<'a>) -> Reading<'f, 'a> {
        Reading {
            spec,
            line,
            values,
            furthest: (0, 0),
            tries: TRIES_MAX,
            work: WORK_MAX,
            two_readings: false,
            trace: None,
        }
    }

    fn stop(&self) -> Stop {
        let (step, at) = self.furthest;
        let reason = match self.tries {
            0 => "too many readings of this line",
            _ if self.two_readings => "two readings of this line differ",
            _ => "not what the format says",
        };
        Stop { step, at, reason }
    }

    fn all(&mut self) -> bool {
        self.line.starts_with(&self.spec.head) && self.run(0, self.spec.head.len())
    }

    /// Reads from step `i` at `at` to the line's end.
    fn run(&mut self, mut i: usize, mut at: usize) -> bool {
        let spec = self.spec;
        while let Some(step) = spec.steps.get(i) {
            if step.padded {
                let blanks = self.line.iter().skip(at).take_while(|b| **b == b' ').count();
                at += blanks;
                self.spend(blanks);
            }
            let rest = self.line.get(at..).unwrap_or_default();
            if self.tries < TRIES_MAX {
                // Another reading of the same bytes, some of which may be looked at to the line's end.
                self.spend(rest.len());
            }
            let sure = if step.is_sure { step.only_end(rest) } else { None };
            let sure = sure.filter(|len| rest.get(*len..).is_some_and(|after| step.is_literal_at(after)));
            let taken = sure.map_or_else(|| step.directive.shape.take(rest), Taken::Len);
            let len = match taken {
                Taken::Len(len) => len,
                Taken::Wrong => return self.fail(i, at),
                Taken::Open => {
                    // Where none fits, the first one shows how far the line makes sense.
                    let first = if step.ends_at_once() { None } else { self.fitting_end(i, rest, 0) };
                    let Some(len) = first.or_else(|| step.end(rest, 0)) else { return self.fail(i, at) };
                    if first.is_some() && self.fitting_end(i, rest, len + 1).is_some() {
                        return self.choose(i, at);
                    }
                    len
                }
            };
            let Some((value, after)) = rest.split_at_checked(len) else { return self.fail(i, at) };
            let blanks = match step.trailing {
                true => after.iter().take_while(|b| **b == b' ').count(),
                false => 0,
            };
            if !after.get(blanks..).is_some_and(|after| step.is_literal_at(after)) {
                return self.fail(i, at + len);
            }
            self.keep(i, at, value);
            at += len + blanks + step.literal.len();
            i += 1;
        }
        let left = self.line.get(at..).unwrap_or_default();
        let is_tail = spec.tail && (left.starts_with(b" [") || left == b" -");
        if !left.trim_ascii().is_empty() && !is_tail {
            return self.fail(i, at);
        }
        if let Some((now, best)) = &mut self.trace {
            best.clone_from(now);
        }
        self.furthest = (i, at);
        true
    }

    /// Counts bytes that were looked at; at the limit the line is given up.
    fn spend(&mut self, bytes: usize) {
        match self.work.checked_sub(bytes + TRY_COSTS) {
            Some(left) => self.work = left,
            None => self.tries = 0,
        }
    }

    /// The first end at or after `from` behind which the next value can begin.
    fn fitting_end(&mut self, i: usize, rest: &[u8], mut from: usize) -> Option<usize> {
        let step = self.spec.steps.get(i)?;
        let is_sure = |next: &&Step| next.directive.shape.is_fixed() && !next.padded && !next.trailing;
        let next = self.spec.steps.get(i + 1).filter(is_sure);
        while self.tries > 0 {
            let end = step.end(rest, from);
            // A word's blank is looked for each time, though fast.
            self.spend(end.unwrap_or(rest.len()).saturating_sub(from) + rest.len() / 64);
            let len = end?;
            let Some(next) = next else { return Some(len) };
            let after = rest.get(len + step.literal.len()..)?;
            if let Taken::Len(taken) = next.directive.shape.take(after)
                && after.get(taken..)?.starts_with(&next.literal)
            {
                return Some(len);
            }
            from = len + 1;
        }
        None
    }

    /// Tries every end that the value of step `i` may have.
    fn choose(&mut self, i: usize, at: usize) -> bool {
        let spec = self.spec;
        let Some(step) = spec.steps.get(i) else { return false };
        let rest = self.line.get(at..).unwrap_or_default();
        let mut first: Option<Values<'a>> = None;
        let mut next = self.fitting_end(i, rest, 0);
        while let Some(len) = next {
            if self.tries == 0 {
                return false;
            }
            self.tries -= 1;
            self.keep(i, at, rest.get(..len).unwrap_or_default());
            let done = self.run(i + 1, at + len + step.literal.len());
            next = self.fitting_end(i, rest, len + 1);
            match &first {
                _ if !done => {}
                None if next.is_none() => return true,
                None => first = Some(*self.values),
                Some(first) => self.two_readings |= first.differ(self.values),
            }
        }
        match first {
            Some(first) => {
                *self.values = first;
                true
            }
            None => self.fail(i, at),
        }
    }

    fn keep(&mut self, i: usize, at: usize, value: &'a [u8]) {
        if let Some(slot) = self.spec.steps.get(i).and_then(|step| step.directive.slot) {
            self.values.set(slot, value);
        }
        if let Some((now, _)) = &mut self.trace {
            now.truncate(i);
            now.push((at, value));
        }
    }

    fn fail(&mut self, i: usize, at: usize) -> bool {
        if at >= self.furthest.1 {
            self.furthest = (i, at);
            if let Some((now, best)) = &mut self.trace
                && now.len() >= best.len()
            {
                now.truncate(i);
                best.clone_from(now);
            }
        }
        false
    }
}
