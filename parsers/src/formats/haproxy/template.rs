//! A compiled `log-format`: texts and fields in order, matched against a line. A field without a fixed shape ends where
//! the text behind it begins; if the rest does not fit then, where that text begins next. The number of such second
//! tries is bounded, so that no line costs more than a few times its length.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n, take_while1};
use nom::character::complete::{char, digit1, one_of};
use nom::combinator::{opt, recognize};
use nom::error::Error;

use crate::text::escaped;

/// How many second tries one line may cost.
const TRIES_MAX: u32 = 500;

/// Where a value goes that bears on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    None,
    AcceptDate,
    AcceptDateZoned,
    AcceptSeconds,
    AcceptMillis,
    RequestDate,
    RequestDateZoned,
    Ta,
    Tt,
    Th,
    Ti,
    TR,
    Tw,
    Tc,
    Tr,
    Td,
    Status,
    State,
    Retries,
    Backend,
    Server,
    ServerAddress,
    ServerPort,
    Request,
    Method,
    Target,
    Path,
    Site,
    Told,
    Node,
}

const SLOTS: usize = Slot::Node as usize + 1;

/// How a value looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `17`, `-1`, `+2`, `-`
    Number,
    /// `22/Nov/2026:14:54:06.956`, with or without ` +0000`
    Date,
    /// No spaces.
    Word,
    /// Anything.
    Text,
    /// `{a|b}`, or nothing if none is configured.
    Captures,
}

/// A variable.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// As in the configuration, for people.
    pub name: String,
    pub shape: Shape,
    pub slot: Slot,
    /// `+Q`: in quotes. Numbers, dates and states never are.
    pub quoted: bool,
    /// `+E`: quotes inside have a backslash.
    pub escaped: bool,
}

/// A part of a `log-format`.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(Vec<u8>),
    /// Blanks. HAProxy writes one for any number of them, and none where an absent field stood between.
    Blank,
    Field(Field),
}

impl Piece {
    /// Adds literal text, its blanks apart.
    pub fn push_text(pieces: &mut Vec<Piece>, text: &str) {
        for (i, word) in text.split(' ').enumerate() {
            if i > 0 && !matches!(pieces.last(), Some(Piece::Blank)) {
                pieces.push(Piece::Blank);
            }
            match pieces.last_mut() {
                _ if word.is_empty() => {}
                Some(Piece::Text(before)) => before.extend_from_slice(word.as_bytes()),
                _ => pieces.push(Piece::Text(word.as_bytes().to_vec())),
            }
        }
    }
}

/// Takes the values as they are found. A second try gives values again: the last one for a piece holds.
pub(super) trait Keep<'a> {
    fn keep(&mut self, piece: usize, slot: Slot, value: &'a [u8]);
}

/// The values that bear on a record.
#[derive(Debug, Default)]
pub(super) struct Values<'a>([&'a [u8]; SLOTS]);

impl<'a> Values<'a> {
    /// Empty if not logged.
    pub fn get(&self, slot: Slot) -> &'a [u8] {
        self.0.get(slot as usize).copied().unwrap_or_default()
    }
}

impl<'a> Keep<'a> for Values<'a> {
    fn keep(&mut self, _: usize, slot: Slot, value: &'a [u8]) {
        if slot != Slot::None
            && let Some(kept) = self.0.get_mut(slot as usize)
        {
            *kept = value;
        }
    }
}

impl<'a> Keep<'a> for Vec<(usize, &'a [u8])> {
    fn keep(&mut self, piece: usize, _: Slot, value: &'a [u8]) {
        self.retain(|(kept, _)| *kept < piece);
        self.push((piece, value));
    }
}

/// Where a line stopped making sense.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stop {
    pub piece: usize,
    pub at: usize,
}

/// The compiled form.
#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// The last piece without which a line says nothing: behind it, a line may be cut (`len`, 1024 by default).
    needed: usize,
}

/// One line being matched.
struct Run<'a, 'k, K> {
    line: &'a [u8],
    keep: &'k mut K,
    tries: u32,
    furthest: Stop,
}

impl Template {
    /// # Errors
    /// Two fields of which nobody could tell where one ends.
    pub fn new(pieces: Vec<Piece>) -> Result<Template, String> {
        for pair in pieces.windows(2) {
            if let [Piece::Field(left), Piece::Field(right)] = pair
                && matches!(left.shape, Shape::Word | Shape::Text)
                && !(left.quoted || right.quoted)
            {
                return Err(format!(
                    "nothing separates {} from {}: put a space between them",
                    left.name, right.name
                ));
            }
        }
        Ok(Template { pieces, needed: 0 })
    }

    /// Says which values a record cannot be without.
    pub fn needing(mut self, slots: &[Slot]) -> Template {
        let is_needed = |piece: &Piece| matches!(piece, Piece::Field(field) if field.slot != Slot::None && slots.contains(&field.slot));
        self.needed = self.pieces.iter().rposition(is_needed).unwrap_or(0);
        self
    }

    pub fn has(&self, slot: Slot) -> bool {
        slot != Slot::None
            && self.pieces.iter().any(|piece| matches!(piece, Piece::Field(field) if field.slot == slot))
    }

    pub fn begins_with_date(&self) -> bool {
        matches!(self.pieces.first(), Some(Piece::Field(field)) if matches!(field.shape, Shape::Date | Shape::Text))
    }

    /// The name of the field there, or of the next one.
    pub fn name_of(&self, piece: usize) -> &str {
        let name = self.pieces.iter().skip(piece).find_map(|piece| match piece {
            Piece::Field(field) => Some(field.name.as_str()),
            _ => None,
        });
        name.unwrap_or("the line's end")
    }

    /// Matches a whole line.
    pub fn run<'a, K: Keep<'a>>(&self, line: &'a [u8], keep: &mut K) -> Result<(), Stop> {
        let mut run = Run { line, keep, tries: TRIES_MAX, furthest: Stop::default() };
        if self.from(0, 0, &mut run) { Ok(()) } else { Err(run.furthest) }
    }

    fn from<'a, K: Keep<'a>>(&self, first: usize, at: usize, run: &mut Run<'a, '_, K>) -> bool {
        let mut at = at;
        for (i, piece) in self.pieces.iter().enumerate().skip(first) {
            let rest = run.line.get(at..).unwrap_or_default();
            if at > run.furthest.at || i > run.furthest.piece {
                run.furthest = Stop { piece: i, at };
            }
            // Cut behind all that counts.
            if rest.is_empty() && i > self.needed {
                return true;
            }
            match piece {
                Piece::Text(text) if rest.starts_with(text) => at += text.len(),
                Piece::Text(text) => return i > self.needed && text.starts_with(rest),
                Piece::Blank => {
                    let blanks = rest.iter().take_while(|b| **b == b' ').count();
                    let before = at.checked_sub(1).and_then(|at| run.line.get(at));
                    if blanks == 0 && !matches!(before, None | Some(b' ')) {
                        return false;
                    }
                    at += blanks;
                }
                Piece::Field(field) => match fixed(field, rest) {
                    Fixed::Value { value, len } => {
                        run.keep.keep(i, field.slot, value);
                        at += len;
                    }
                    Fixed::Wrong => return false,
                    Fixed::Cut if i < self.needed || matches!(field.slot, Slot::Status | Slot::State) => {
                        return false;
                    }
                    Fixed::Cut => {
                        run.keep.keep(i, field.slot, rest.get(1..).unwrap_or_default());
                        return true;
                    }
                    Fixed::Open => return self.open(i, field, at, run),
                },
            }
        }
        run.line.get(at..).unwrap_or_default().iter().all(|b| *b == b' ')
    }

    /// A field that ends where what follows it begins.
    fn open<'a, K: Keep<'a>>(&self, i: usize, field: &Field, at: usize, run: &mut Run<'a, '_, K>) -> bool {
        let rest = run.line.get(at..).unwrap_or_default();
        let end: &[u8] = match self.pieces.get(i + 1) {
            Some(Piece::Text(text)) => text,
            Some(Piece::Blank) => b" ",
            // A quoted field: `fixed` has seen that no quote begins here.
            Some(Piece::Field(_)) => b"\"",
            None => {
                let len = if field.shape == Shape::Word {
                    find(rest, b" ", 0).unwrap_or(rest.len())
                } else {
                    rest.len()
                };
                run.keep.keep(i, field.slot, rest.get(..len).unwrap_or_default());
                return rest.get(len..).unwrap_or_default().iter().all(|b| *b == b' ');
            }
        };
        let limit = match field.shape {
            Shape::Word => find(rest, b" ", 0).unwrap_or(rest.len()),
            _ => rest.len(),
        };
        let mut from = 0;
        while let Some(len) = find(rest, end, from).filter(|len| *len <= limit) {
            from = len + 1;
            if len == 0 && end == b" " {
                break;
            }
            run.keep.keep(i, field.slot, rest.get(..len).unwrap_or_default());
            if self.from(i + 1, at + len, run) {
                return true;
            }
            run.tries = run.tries.saturating_sub(1);
            if run.tries == 0 {
                return false;
            }
        }
        // Cut within a field behind all that counts, or within the request itself.
        let is_cut = i > self.needed && find(rest, end, 0).is_none();
        if is_cut {
            run.keep.keep(i, field.slot, rest);
        }
        is_cut
    }
}

/// What a field's own shape says about its end.
enum Fixed<'a> {
    Value {
        value: &'a [u8],
        len: usize,
    },
    /// It cannot begin so.
    Wrong,
    /// It begins, and the line ends in it.
    Cut,
    /// Nothing.
    Open,
}

fn fixed<'a>(field: &Field, rest: &'a [u8]) -> Fixed<'a> {
    let whole = |found: Option<(&'a [u8], &'a [u8])>| match found {
        Some((_, value)) => Fixed::Value { value, len: value.len() },
        None => Fixed::Wrong,
    };
    match field.shape {
        Shape::Number => whole(number(rest)),
        Shape::Date => whole(date(rest)),
        Shape::Captures => match rest {
            [b'{', inside @ ..] => match memchr::memchr(b'}', inside).and_then(|at| inside.get(..at)) {
                Some(value) => Fixed::Value { value, len: value.len() + 2 },
                None => Fixed::Cut,
            },
            _ => Fixed::Value { value: b"", len: 0 },
        },
        Shape::Word | Shape::Text => match rest {
            [b'"', inside @ ..] if field.quoted => {
                let value = if field.escaped {
                    escaped(inside).ok().map(|(_, value)| value)
                } else {
                    memchr::memchr(b'"', inside).and_then(|at| inside.get(..at))
                };
                value.map_or(Fixed::Cut, |value| Fixed::Value { value, len: value.len() + 2 })
            }
            _ => Fixed::Open,
        },
    }
}

/// `17`, `-1`, `+2`, `-`
fn number(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    alt((recognize((opt(one_of("+-")), digit1)), tag::<_, _, Error<&[u8]>>(&b"-"[..]))).parse(rest).ok()
}

/// `22/Nov/2026:14:54:06.956 +0000`
fn date(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let stamp = take_while1::<_, _, Error<&[u8]>>(|b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'/' | b':' | b'.')
    });
    let zone = (char(' '), one_of("+-"), take_while_m_n(4, 4, |b: u8| b.is_ascii_digit()));
    recognize((stamp, opt(zone))).parse(rest).ok()
}

/// Where this text stands next.
fn find(rest: &[u8], text: &[u8], from: usize) -> Option<usize> {
    let &[first, ..] = text else { return None };
    let mut at = from;
    loop {
        let tail = rest.get(at..)?;
        at += memchr::memchr(first, tail)?;
        if rest.get(at..)?.starts_with(text) {
            return Some(at);
        }
        at += 1;
    }
}
