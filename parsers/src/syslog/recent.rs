//! The headers seen last, so that a line that bears the same one again, only later, costs a comparison.

use crate::text;

use super::{Header, MONTH_LEN, OwnDate, is_clock, iso_shape, iso_zone_at, month_shape, start_of};

/// How many are remembered: the lines of a few hosts may alternate in one file.
const RECENT: usize = 4;

/// The headers seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    seen: [Option<Seen>; RECENT],
    /// What tells them apart at a glance, and where it is in a line: see [`key`].
    keys: [u64; RECENT],
    key_at: usize,
    /// The one that fitted last.
    last: usize,
    /// The one to forget next.
    next: usize,
}

impl Recent {
    /// With one header.
    pub(super) fn new(seen: Seen) -> Recent {
        let mut recent = Recent { seen: [None; RECENT], keys: [0; RECENT], key_at: 0, last: 0, next: 0 };
        recent.remember(seen);
        recent
    }

    /// The header of a line that bears one of these.
    #[inline(always)]
    pub(super) fn again<'a>(&mut self, line: &'a [u8], own: OwnDate) -> Option<Header<'a>> {
        // Where hosts alternate at random, trying one after the other is a mispredicted branch a line.
        if let Some(key) = key(line, self.key_at) {
            let known = (0..).zip(&self.keys);
            self.last =
                known.fold(self.last, |last, (place, known)| if *known == key { place } else { last });
        }
        let fits = |seen: &Option<Seen>| seen.as_ref().is_some_and(|seen| seen.fits(line));
        if !self.seen.get(self.last).is_some_and(fits) {
            self.last = self.seen.iter().position(fits)?;
        }
        self.seen.get_mut(self.last)?.as_mut()?.again(line, own)
    }

    /// Remembers it in place of the oldest.
    pub(super) fn remember(&mut self, seen: Seen) {
        if let (Some(place), Some(known)) = (self.seen.get_mut(self.next), self.keys.get_mut(self.next)) {
            self.key_at = usize::from(seen.tail_at);
            // Of a shorter one there is none: it is found all the same.
            *known = if usize::from(seen.tail_len) < KEY_LEN { 0 } else { key(&seen.tail, 0).unwrap_or(0) };
            *place = Some(seen);
        }
        self.last = self.next;
        self.next = (self.next + 1) % RECENT;
    }
}

const KEY_LEN: usize = 16;

/// A glance at what follows the seconds of a header's date, which is its host. Equal keys prove nothing.
#[inline(always)]
fn key(line: &[u8], at: usize) -> Option<u64> {
    let (words, _) = line.get(at..)?.first_chunk::<KEY_LEN>()?.as_chunks::<8>();
    let &[a, b] = words else { return None };
    Some(u64::from_le_bytes(a).rotate_left(29) ^ u64::from_le_bytes(b))
}

/// `at=info`
fn is_pair(text: &[u8]) -> bool {
    const NAME: [bool; 256] = text::word_bytes(b"_.-");
    text.get(text::run_of(&NAME, text)) == Some(&b'=')
}

/// A header as the last line bore it: everything after the seconds of its date must be there again byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    stamp: StampKind,
    /// Whether the line's own date was to be kept.
    keeps: OwnDate,
    front: Front,
    /// Where the date begins, after `<134>` or at 0.
    at: u8,
    /// Where the remembered bytes begin.
    tail_at: u8,
    tail_len: u8,
    host: (u8, u8),
    tag: (u8, u8),
    offset: Option<i32>,
    /// `Nov 22 1` as the last line had it: the shape of these bytes is known.
    day: [u8; 8],
    tail: [u8; TAIL_MAX],
}

const TAIL_MAX: usize = 72;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StampKind {
    /// `Nov 22 14:54:06`
    Month,
    /// `2026-11-22T14:54:06.959018+00:00`
    Iso,
}

/// What stands before the date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    /// Nothing.
    Nothing,
    /// `<134>`
    Pri,
    /// `<134>1 `
    Rfc5424,
}

impl Front {
    fn of(bytes: &[u8]) -> Option<Front> {
        let (front, digits) = match bytes {
            [] => return Some(Front::Nothing),
            [b'<', digits @ .., b'>'] => (Front::Pri, digits),
            [b'<', digits @ .., b'>', b'1', b' '] => (Front::Rfc5424, digits),
            _ => return None,
        };
        ((1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)).then_some(front)
    }
}

impl Seen {
    /// What to remember of a header: `None` where looking again is as cheap.
    pub(super) fn of(line: &[u8], header: &Header<'_>, keeps: OwnDate) -> Option<Seen> {
        let end = line.len() - header.rest.len();
        let at = start_of(line, header.stamp)?;
        let kind = if header.stamp.len() == MONTH_LEN && month_shape(header.stamp) {
            StampKind::Month
        } else if iso_shape(header.stamp) && header.stamp.get(10) == Some(&b'T') {
            StampKind::Iso
        } else {
            return None;
        };
        let seconds = if kind == StampKind::Month { MONTH_LEN } else { iso_zone_at(header.stamp) };
        let tail_at = at + seconds;
        let bytes = line.get(tail_at..end)?;
        // Without a program, what follows decides where the header ends; so does it after a container's.
        if header.tag.is_empty() || !(8..=TAIL_MAX).contains(&bytes.len()) {
            return None;
        }
        let front = Front::of(line.get(..at)?)?;
        let mut tail = [0; TAIL_MAX];
        tail.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let within = |part: &[u8]| -> Option<(u8, u8)> {
            let from = start_of(bytes, part)?;
            Some((u8::try_from(from).ok()?, u8::try_from(from + part.len()).ok()?))
        };
        Some(Seen {
            stamp: kind,
            keeps,
            front,
            at: u8::try_from(at).ok()?,
            tail_at: u8::try_from(tail_at).ok()?,
            tail_len: u8::try_from(bytes.len()).ok()?,
            host: if header.host.is_empty() { (0, 0) } else { within(header.host)? },
            tag: within(header.tag)?,
            offset: header.offset,
            day: [0; 8],
            tail,
        })
    }

    /// Whether the line has the remembered bytes in their place. Eight at a time: a call for so few costs more.
    #[inline(always)]
    fn fits(&self, line: &[u8]) -> bool {
        let (from, len) = (usize::from(self.tail_at), usize::from(self.tail_len));
        let (Some(text), Some(tail)) = (line.get(from..from + len), self.tail.get(..len)) else {
            return false;
        };
        let ((text_words, _), (tail_words, _)) = (text.as_chunks::<8>(), tail.as_chunks::<8>());
        text_words.iter().zip(tail_words).all(|(a, b)| a == b)
            && text.last_chunk::<8>() == tail.last_chunk::<8>()
    }

    /// The same header again, only later, in a line that fits.
    #[inline(always)]
    fn again<'a>(&mut self, line: &'a [u8], own: OwnDate) -> Option<Header<'a>> {
        let (at, tail_at, len) =
            (usize::from(self.at), usize::from(self.tail_at), usize::from(self.tail_len));
        let (front, rest) = line.split_at_checked(tail_at + len)?;
        let tail = front.get(tail_at..)?;
        if self.keeps != own || (at > 0 && Front::of(front.get(..at)?)? != self.front) {
            return None;
        }
        // Anything but the beginning of an access line may be another header inside this one: look properly.
        match rest.first() {
            Some(b'0'..=b'9') if !matches!(rest.get(4), Some(b'-' | b'/')) => {}
            Some(b'-' | b'"' | b'{') => {}
            // No header has a sign of equality behind its first word.
            Some(b'a'..=b'z' | b'A'..=b'Z') if is_pair(rest) => {}
            _ => return None,
        }
        let seconds = front.get(at..tail_at)?;
        let stamp = match self.stamp {
            StampKind::Month => self.is_month(seconds).then_some(seconds)?,
            StampKind::Iso if iso_shape(seconds) && iso_zone_at(seconds) == seconds.len() => {
                let zone = tail.iter().position(|&b| b == b' ')?;
                front.get(at..tail_at + zone)?
            }
            _ => return None,
        };
        let part = |(from, to): (u8, u8)| tail.get(usize::from(from)..usize::from(to));
        Some(Header { rest, host: part(self.host)?, tag: part(self.tag)?, stamp, offset: self.offset })
    }

    /// The same as `month_shape`.
    #[inline(always)]
    fn is_month(&mut self, stamp: &[u8]) -> bool {
        let (Some(day), Some(clock)) = (stamp.first_chunk::<8>(), stamp.get(7..)) else { return false };
        if self.day == *day {
            return is_clock(clock);
        }
        let is_month = month_shape(stamp);
        if is_month {
            self.day = *day;
        }
        is_month
    }
}
