//! Reads a line along a format's steps: each variable's value, then the literal that follows it.
//!
//! Most values end in one way only: by their shape, or at the quote that cannot occur inside them. Where a client's text
//! stands unquoted (or `escape=none` lets quotes through), every occurrence of the literal may be its end: they are
//! tried in turn, the rest of the line decides. Whoever can write into such a text can write a line with two readings.
//! If those differ in what is counted, the line is refused: a client must not choose its own status.

use memchr::memmem;

use super::quick::Quick;
use super::variables::{SLOTS, Shape, Slot};
use crate::text::{self, word_at};

/// How many ends are tried in one line before it is given up.
const TRIES_MAX: u32 = 512;

/// A variable and the literal after it.
#[derive(Debug)]
pub(super) struct Step {
    /// With its dollar.
    pub(super) name: String,
    pub(super) slot: Option<Slot>,
    pub(super) shape: Shape,
    pub(super) literal: Literal,
    pub(super) ends: Ends,
    pub(super) quick: Quick,
    /// No raw quote occurs in a value.
    pub(super) no_quotes: bool,
    /// An empty value may have lost one of the two blanks around it.
    pub(super) squeezes: bool,
}

/// What stands between two values, with its first eight bytes as a word: comparing them so is cheaper than a call.
#[derive(Debug)]
pub(super) struct Literal {
    text: Vec<u8>,
    word: u64,
    mask: u64,
    /// Its first byte, if that ends a number; else one that no line is asked for.
    ends_number: u16,
}

impl Literal {
    pub(super) fn new(text: &str) -> Literal {
        let (mut word, mut mask) = ([0; 8], [0; 8]);
        for ((word, mask), byte) in word.iter_mut().zip(&mut mask).zip(text.bytes()) {
            (*word, *mask) = (byte, 0xFF);
        }
        let first = text.bytes().next().filter(|b| !matches!(b, b'0'..=b'9' | b'.' | b'-' | 0));
        Literal {
            text: text.into(),
            word: u64::from_le_bytes(word),
            mask: u64::from_le_bytes(mask),
            ends_number: first.map_or(u16::MAX, u16::from),
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it stands at this place of a line.
    #[inline(always)]
    pub(super) fn is_at(&self, line: &[u8], at: usize) -> bool {
        word_at(line, at) & self.mask == self.word
            && (self.text.len() <= 8 || line.get(at..).is_some_and(|rest| rest.starts_with(&self.text)))
    }

    /// Whether this is its first byte, and cannot belong to a number before it.
    #[inline(always)]
    pub(super) fn ends_number(&self, byte: u8) -> bool {
        self.ends_number == u16::from(byte)
    }

    fn starts(&self, rest: &[u8]) -> bool {
        self.text.len() <= rest.len() && self.is_at(rest, 0)
    }

    /// Without its first blank.
    fn starts_squeezed(&self, rest: &[u8]) -> bool {
        self.text.get(1..).is_some_and(|text| rest.starts_with(text))
    }
}

/// Where a value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Where its shape does.
    Shape,
    /// At the next blank.
    Word,
    /// At the next quote.
    Quote,
    /// At the next quote that no backslash escapes.
    Escaped,
    /// Before the first slash, the start of the next value.
    Slash,
    /// So far before the next quote: a date and the literals around it stand between.
    BeforeQuote(usize),
    /// With the line.
    Line,
    /// As far as it is a list; else earlier.
    List,
    /// At one of the literal's occurrences.
    Choice,
}

/// The values of one line.
pub(super) type Slots<'a> = [&'a [u8]; SLOTS];

/// A line of which nothing has been read. Not a constant: that would be copied by a call.
#[inline(always)]
pub(super) fn empty<'a>() -> Slots<'a> {
    std::array::from_fn(|_| &b""[..])
}

/// What is seen of a value's end: the lengths of the value and of the literal after it.
pub(super) enum End {
    At(usize, usize),
    Several,
    Nowhere,
}

impl Step {
    /// Where the value at the start of `rest` ends, if it can end in one way only.
    pub(super) fn end(&self, rest: &[u8]) -> End {
        let len = match self.ends {
            Ends::Shape => self.shape.take(rest).ok().map(|(after, _)| rest.len() - after.len()),
            Ends::Word => Some(text::find(b' ', rest).unwrap_or(rest.len())),
            Ends::Quote => text::find(b'"', rest).filter(|len| self.fits_between_quotes(rest, *len)),
            Ends::Escaped => text::escaped(rest).ok().map(|(_, value)| value.len()),
            Ends::Slash => text::find(b'/', rest),
            Ends::Line => {
                let value = text::ends_with(&self.literal.text, rest).ok().map(|(_, value)| value);
                value.filter(|value| self.fits_at_line_end(value)).map(<[u8]>::len)
            }
            Ends::List => return self.list_end(rest),
            Ends::Choice if self.shape == Shape::Token => return self.token_end(rest),
            Ends::BeforeQuote(back) => return self.end_before_quote(rest, back),
            Ends::Choice => {
                let mut ends = CandidateEnds::new(self, rest);
                return match (ends.next(), ends.next()) {
                    (None, _) => End::Nowhere,
                    (Some((len, literal_len)), None) => End::At(len, literal_len),
                    _ => End::Several,
                };
            }
        };
        len.map_or(End::Nowhere, |len| End::At(len, self.literal.text.len()))
    }

    fn fits_between_quotes(&self, rest: &[u8], len: usize) -> bool {
        self.shape == Shape::Free
            || rest.get(..len).is_some_and(|value| self.shape.fits_between_quotes(value))
    }

    fn fits_at_line_end(&self, value: &[u8]) -> bool {
        self.shape.fits(value) && !(self.no_quotes && text::find(b'"', value).is_some())
    }

    fn end_before_quote(&self, rest: &[u8], back: usize) -> End {
        let Some(quote) = text::find(b'"', rest) else { return End::Nowhere };
        match quote.checked_sub(back) {
            Some(len) => End::At(len, self.literal.text.len()),
            None if self.squeezes && quote + 1 == back => End::At(0, self.literal.text.len() - 1),
            None => End::Nowhere,
        }
    }

    /// A value without blanks: if the literal's first byte is in it once only, it ends there.
    fn token_end(&self, rest: &[u8]) -> End {
        let word = rest.get(..text::find(b' ', rest).unwrap_or(rest.len())).unwrap_or_default();
        let Some(first) = self.literal.text.first() else { return End::Several };
        let Some((value, after)) = text::find(*first, word).and_then(|at| word.split_at_checked(at)) else {
            return End::Nowhere;
        };
        if after.get(1..).is_some_and(|after| text::find(*first, after).is_some()) {
            return End::Several;
        }
        match self.no_quotes && text::find(b'"', value).is_some() {
            true => End::Nowhere,
            false => End::At(value.len(), self.literal.text.len()),
        }
    }

    fn list_end(&self, rest: &[u8]) -> End {
        let Ok((after, value)) = self.shape.take(rest) else { return End::Nowhere };
        let Some(first) = self.literal.text.first() else { return End::At(value.len(), 0) };
        // The usual list has one item, and the literal's first byte is not in it.
        if self.literal.starts(after) && !value.contains(first) {
            return End::At(value.len(), self.literal.text.len());
        }
        End::Several
    }
}

/// One line being read.
pub(super) struct Reading<'f, 'a> {
    steps: &'f [Step],
    line: &'a [u8],
    slots: &'f mut Slots<'a>,
    /// The step and the place of the failure that got furthest.
    furthest: (usize, usize),
    tries: u32,
    two_readings: bool,
    /// For `explain`: the values of the reading that got furthest.
    trace: Option<Trace<'a>>,
}

#[derive(Default)]
struct Trace<'a> {
    now: Vec<(usize, &'a [u8])>,
    best: Vec<(usize, &'a [u8])>,
    /// `best` is the whole line.
    done: bool,
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) step: Option<usize>,
    pub(super) at: usize,
    pub(super) reason: &'static str,
}

/// Reads a line into the slots that the format has.
pub(super) fn read<'a>(
    head: &Literal,
    steps: &[Step],
    line: &'a [u8],
    slots: &mut Slots<'a>,
) -> Result<(), Refused> {
    let mut reading = Reading::new(steps, line, slots);
    if reading.run_all(head) && reading.tries > 0 && !reading.two_readings {
        Ok(())
    } else {
        Err(reading.refused())
    }
}

/// Each value with its place, as far as the line can be read.
pub(super) fn trace<'a>(head: &Literal, steps: &[Step], line: &'a [u8]) -> Vec<(usize, &'a [u8])> {
    let mut slots = empty();
    let mut reading = Reading::new(steps, line, &mut slots);
    reading.trace = Some(Trace::default());
    reading.run_all(head);
    reading.trace.map(|trace| trace.best).unwrap_or_default()
}

impl<'f, 'a> Reading<'f, 'a> {
    fn new(steps: &'f [Step], line: &'a [u8], slots: &'f mut Slots<'a>) -> Reading<'f, 'a> {
        Reading { steps, line, slots, furthest: (0, 0), tries: TRIES_MAX, two_readings: false, trace: None }
    }

    fn refused(&self) -> Refused {
        let (step, at) = self.furthest;
        let reason = match self.tries {
            0 => "too many readings of this line",
            _ if self.two_readings => "two readings of this line differ",
            _ => "not what the format says",
        };
        Refused { step: (step < self.steps.len()).then_some(step), at, reason }
    }

    fn run_all(&mut self, head: &Literal) -> bool {
        head.starts(self.line) && self.run(0, head.len())
    }

    /// Reads from step `i` at `pos` to the line's end.
    fn run(&mut self, mut i: usize, mut pos: usize) -> bool {
        while let Some(step) = self.steps.get(i) {
            let rest = self.line.get(pos..).unwrap_or_default();
            let (len, literal_len) = match step.end(rest) {
                End::At(len, literal_len) => (len, literal_len),
                End::Several => return self.choose(i, pos),
                End::Nowhere => return self.fail(i, pos),
            };
            let Some((value, after)) = rest.split_at_checked(len) else { return self.fail(i, pos) };
            let is_whole = literal_len == step.literal.text.len();
            if !(is_whole && step.literal.starts(after) || !is_whole && step.literal.starts_squeezed(after)) {
                return self.fail(i, pos + len);
            }
            self.keep(i, pos, value);
            pos += len + literal_len;
            i += 1;
        }
        let is_end = self.line.get(pos..).is_none_or(|rest| rest.trim_ascii_end().is_empty());
        if !is_end {
            return self.fail(i, pos);
        }
        if let Some(trace) = &mut self.trace
            && !trace.done
        {
            *trace = Trace { best: trace.now.clone(), done: true, now: std::mem::take(&mut trace.now) };
        }
        true
    }

    /// Tries every end that the value of step `i` may have.
    fn choose(&mut self, i: usize, pos: usize) -> bool {
        let Some(step) = self.steps.get(i) else { return false };
        let rest = self.line.get(pos..).unwrap_or_default();
        let mut ends = CandidateEnds::new(step, rest);
        let mut first: Option<Slots<'a>> = None;
        let mut next = ends.next();
        while let Some((len, literal_len)) = next {
            if self.tries == 0 {
                return false;
            }
            self.tries -= 1;
            self.keep(i, pos, rest.get(..len).unwrap_or_default());
            let done = self.run(i + 1, pos + len + literal_len);
            next = ends.next();
            match first {
                _ if !done => {}
                None if next.is_none() => return true,
                None => first = Some(*self.slots),
                Some(first) => self.two_readings |= differ(&first, self.slots),
            }
        }
        match first {
            Some(first) => {
                *self.slots = first;
                true
            }
            None => self.fail(i, pos),
        }
    }

    fn keep(&mut self, i: usize, pos: usize, value: &'a [u8]) {
        if let Some(slot) = self.steps.get(i).and_then(|step| step.slot)
            && let Some(kept) = self.slots.get_mut(slot as usize)
        {
            *kept = value;
        }
        if let Some(trace) = &mut self.trace {
            trace.now.truncate(i);
            trace.now.push((pos, value));
        }
    }

    fn fail(&mut self, i: usize, at: usize) -> bool {
        if at >= self.furthest.1 {
            self.furthest = (i, at);
            if let Some(trace) = &mut self.trace
                && !trace.done
            {
                trace.now.truncate(i);
                trace.best.clone_from(&trace.now);
            }
        }
        false
    }
}

/// Whether two readings of a line differ in what is counted.
fn differ(a: &Slots<'_>, b: &Slots<'_>) -> bool {
    let counted =
        [Slot::Status, Slot::UpstreamStatus, Slot::Addr, Slot::TimeLocal, Slot::TimeIso, Slot::Msec];
    counted.iter().any(|slot| a.get(*slot as usize) != b.get(*slot as usize))
}

/// Where a value may end: lengths of the value and of the literal after it.
enum CandidateEnds<'f, 'a> {
    /// A list: as long as possible first.
    List { step: &'f Step, rest: &'a [u8], up_to: Option<usize> },
    /// A text: as short as possible first.
    Text { literal: &'f [u8], region: &'a [u8], from: usize, squeezed: bool },
}

impl<'f, 'a> CandidateEnds<'f, 'a> {
    fn new(step: &'f Step, rest: &'a [u8]) -> CandidateEnds<'f, 'a> {
        if step.ends == Ends::List {
            let up_to = step.shape.take(rest).ok().map(|(_, value)| value.len());
            return CandidateEnds::List { step, rest, up_to };
        }
        // The literal itself may hold the first quote, or the first blank.
        let limit = |end: usize| rest.get(..end + step.literal.text.len()).unwrap_or(rest);
        let mut region = rest;
        if step.shape == Shape::Token
            && let Some(blank) = text::find(b' ', rest)
        {
            region = limit(blank);
        }
        if step.no_quotes
            && let Some(quote) = text::find(b'"', region)
        {
            region = limit(quote);
        }
        let literal = &step.literal.text[..];
        let squeezed = step.squeezes && literal.get(1..).is_some_and(|literal| rest.starts_with(literal));
        CandidateEnds::Text { literal, region, from: 0, squeezed }
    }

    fn next(&mut self) -> Option<(usize, usize)> {
        match self {
            CandidateEnds::List { step, rest, up_to } => {
                while let Some(end) = *up_to {
                    let region = rest.get(..end + step.literal.text.len()).unwrap_or(rest);
                    let at = memmem::rfind(region, &step.literal.text)?;
                    *up_to = at.checked_sub(1);
                    if rest.get(..at).is_some_and(|value| step.shape.fits(value)) {
                        return Some((at, step.literal.text.len()));
                    }
                }
                None
            }
            CandidateEnds::Text { literal, squeezed: squeezed @ true, .. } => {
                *squeezed = false;
                Some((0, literal.len() - 1))
            }
            CandidateEnds::Text { literal, region, from, .. } => {
                let at = *from + text::find_literal(literal, region.get(*from..)?)?;
                *from = at + 1;
                Some((at, literal.len()))
            }
        }
    }
}
