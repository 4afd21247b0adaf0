//! What values look like: most end by their shape.

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `22/Nov/2026:14:53:53 +0000`
    Clf,
    /// So many digits.
    Digits(u8),
    /// As many digits as there are; a dash for none.
    Number,
    /// The same, and perhaps a fraction.
    Decimal,
    /// Three digits; Squid's 0 and a dash are none.
    Status,
    /// `Nov`
    Month,
    /// `22`, ` 2`
    Day,
    /// `+0000`, `+00:00`, `Z`, `UTC`
    Zone,
    /// `AM`, `PM`
    HalfDay,
    /// `TCP_MISS_ABORTED`; a dash for none.
    Capitals,
    /// No blank in it.
    Word,
    /// Anything.
    Free,
}

/// How much of the line belongs to a value.
pub enum Taken {
    /// So much.
    Len(usize),
    /// It cannot begin so.
    Wrong,
    /// All up to what follows it.
    Open,
}

impl Shape {
    /// The value's end follows from the value itself.
    pub fn is_fixed(self) -> bool {
        !matches!(self, Shape::Word | Shape::Free)
    }

    /// How much of this belongs to such a value.
    pub fn take(self, rest: &[u8]) -> Taken {
        let len = match self {
            Shape::Word | Shape::Free => return Taken::Open,
            Shape::Clf => clf(rest),
            Shape::Digits(n) => usize::from(n) * usize::from(digits(rest, 0) >= usize::from(n)),
            Shape::Number | Shape::Decimal => number(rest, self == Shape::Decimal),
            Shape::Status => match (digits(rest, 0), rest) {
                (3, _) => 3,
                (1, [b'0', ..]) | (0, [b'-', ..]) => 1,
                _ => 0,
            },
            Shape::Month => match rest {
                [a, b, c, ..] if [a, b, c].iter().all(|b| b.is_ascii_alphabetic()) => 3,
                _ => 0,
            },
            Shape::Day => match rest {
                [b' ' | b'0'..=b'3', b'0'..=b'9', ..] => 2,
                [b'1'..=b'9', ..] => 1,
                _ => 0,
            },
            Shape::Zone => match rest {
                [b'+' | b'-', _, _, b':', _, _, ..] => 6,
                [b'+' | b'-', ..] if digits(rest, 1) >= 4 => 5,
                _ => rest.iter().take_while(|b| b.is_ascii_alphabetic()).count(),
            },
            Shape::HalfDay => 2 * usize::from(matches!(rest, [b'A' | b'P' | b'a' | b'p', b'M' | b'm', ..])),
            Shape::Capitals => match rest {
                [b'-', ..] => 1,
                _ => {
                    let is_inside = |b: &u8| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_');
                    rest.iter().position(|b| !is_inside(b)).unwrap_or(rest.len())
                }
            },
        };
        if len == 0 { Taken::Wrong } else { Taken::Len(len) }
    }
}

fn digits(rest: &[u8], from: usize) -> usize {
    let rest = rest.get(from..).unwrap_or_default();
    rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len())
}

fn number(rest: &[u8], with_fraction: bool) -> usize {
    let sign = usize::from(rest.first() == Some(&b'-'));
    let whole = digits(rest, sign);
    match rest.get(sign + whole) {
        Some(b'.') if whole > 0 && with_fraction => sign + whole + 1 + digits(rest, sign + whole + 1),
        _ => sign + whole,
    }
}

/// Only the outline: `Dates` reads it.
fn clf(rest: &[u8]) -> usize {
    let Some(stamp) = rest.first_chunk::<26>() else { return 0 };
    let marks = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    let fits = marks.iter().all(|(at, mark)| stamp.get(*at) == Some(mark));
    if fits && matches!(stamp.get(21), Some(b'+' | b'-')) { stamp.len() } else { 0 }
}
