//! Log dates → time, by hand: a strptime costs more than the rest of the line. The zone of a stamp without one is a
//! setting.
//!
//! The last minute parsed is remembered, not the last second: lines that log a request's start are written in the order
//! of ends, so that neighbours differ by seconds.

use std::fmt;

use chrono::offset::{LocalResult, Offset, TimeZone};
use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::record::Millis;
use crate::text::word_at;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The zone of stamps that carry none. Serialises by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Zone {
    /// A fixed offset: milliseconds east of UTC.
    Fixed(i32),
    /// An IANA zone, with its summer times.
    Named(chrono_tz::Tz),
}

impl Zone {
    /// `UTC`, `Europe/Berlin`, `+02:00`, `-0930`, `Z`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Zone> {
        if let Some(offset) = offset(name.as_bytes()) {
            return Some(Zone::Fixed(offset));
        }
        if name.eq_ignore_ascii_case("utc") {
            return Some(Zone::Fixed(0));
        }
        name.parse().ok().map(Zone::Named)
    }

    /// Local time, as if it were UTC → time. An ambiguous one takes the reading nearest `near`, a skipped one moves by
    /// the gap. The second value: whether it was ambiguous.
    fn resolve(self, local: Millis, near: Millis) -> Option<(Millis, bool)> {
        let zone = match self {
            Zone::Fixed(offset) => return Some((local - Millis::from(offset), false)),
            Zone::Named(zone) => zone,
        };
        match zone.offset_from_local_datetime(&naive(local)?) {
            LocalResult::Single(offset) => Some((local - east(&offset), false)),
            LocalResult::Ambiguous(a, b) => {
                let (a, b) = (local - east(&a), local - east(&b));
                Some((if a.abs_diff(near) <= b.abs_diff(near) { a } else { b }, true))
            }
            LocalResult::None => {
                // The offset in force before the gap reads the stamp as the clock would have gone on.
                let before = zone.offset_from_local_datetime(&naive(local - DAY)?).earliest()?;
                Some((local - east(&before), false))
            }
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Zone::Fixed(0) => f.write_str("UTC"),
            Zone::Fixed(offset) => {
                let minutes = offset.unsigned_abs() / 60_000;
                let sign = if *offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Zone::Named(zone) => f.write_str(zone.name()),
        }
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.to_string()
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Zone, String> {
        Zone::parse(&name).ok_or_else(|| format!("`{name}` is no time zone"))
    }
}

/// What [`Dates`] know of their file that its lines alone do not tell: for a reading that goes on later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dated {
    /// The zone in force.
    pub zone: Zone,
    /// The time that stamps are close to: it decides a missing year.
    pub near: Millis,
    /// How far the file has come: it decides an ambiguous hour.
    pub newest: Millis,
    /// An ambiguous stamp was dated.
    pub ambiguous: bool,
}

/// Dates of one file → time. Remembers the last minute it parsed: log lines repeat it.
#[derive(Clone, Debug)]
pub struct Dates {
    zone: Zone,
    /// A time that this file's stamps are close to: it decides a missing year.
    near: Millis,
    /// How far the file has come; before the first line, the same. It decides an ambiguous hour.
    newest: Millis,
    /// An ambiguous stamp was dated.
    ambiguous: bool,
    /// A stamp without a zone was dated.
    zoneless: bool,
    clf: Minute<17>,
    iso: Minute<16>,
}

impl Dates {
    /// Dates of a file whose zoneless stamps are in `zone` and close to `near`.
    #[must_use]
    pub fn new(zone: Zone, near: Millis) -> Dates {
        let (clf, iso) = (Minute::FORGOTTEN, Minute::FORGOTTEN);
        Dates { zone, near, newest: near, ambiguous: false, zoneless: false, clf, iso }
    }

    /// For a reading that goes on later. The minute parsed last is left out: it only saves work.
    #[must_use]
    pub fn dated(&self) -> Dated {
        Dated { zone: self.zone, near: self.near, newest: self.newest, ambiguous: self.ambiguous }
    }

    /// Goes on where an earlier reading was.
    #[must_use]
    pub fn going_on(dated: &Dated) -> Dates {
        let mut dates = Dates::new(dated.zone, dated.near);
        (dates.newest, dates.ambiguous) = (dated.newest, dated.ambiguous);
        dates
    }

    /// Tells it how far a file that is being written has come.
    pub fn set_near(&mut self, near: Millis) {
        (self.near, self.newest) = (near, near);
    }

    /// Tells it how far a finished file was read. Missing years stay those of its modification time, so that only an
    /// ambiguous hour depends on the lines before.
    pub fn set_newest(&mut self, newest: Millis) {
        self.newest = newest;
    }

    /// A time that this file's stamps are close to.
    #[must_use]
    pub fn near(&self) -> Millis {
        self.near
    }

    /// The zone of stamps that carry none.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Whether a stamp was dated that has two readings: no zone of its own, in the hour that comes twice when the clock
    /// goes back. Whoever parses a file out of order must then keep to the order.
    #[must_use]
    pub fn saw_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// Whether a stamp was dated that carries no zone, so that the setting decided.
    #[must_use]
    pub fn saw_zoneless(&self) -> bool {
        self.zoneless
    }

    /// `22/Nov/2026:14:53:53`, then perhaps `.243`, then perhaps ` +0000`.
    #[must_use]
    pub fn clf(&mut self, text: &[u8]) -> Option<Millis> {
        let (head, tail) = text.split_first_chunk::<17>()?;
        let (millis, zone) = seconds(tail)?;
        let minute = match self.clf.get(head, zone) {
            Some(minute) => minute,
            None => {
                let (minute, keep) = self.place(clf_minute(head)?, zone)?;
                self.clf.set(head, zone, minute, keep);
                minute
            }
        };
        Some(minute + millis)
    }

    /// The same, where what surrounds the stamp (a syslog header) says how far east of UTC its clock is. A zone of the
    /// stamp's own goes before.
    #[must_use]
    pub fn clf_east(&mut self, text: &[u8], east: i32) -> Option<Millis> {
        let (head, tail) = text.split_first_chunk::<17>()?;
        let (millis, zone) = seconds(tail)?;
        if !zone.is_empty() {
            return self.clf(text);
        }
        // No zone as text looks like these bytes: they are not all printable.
        let zone = east.to_ne_bytes();
        let minute = match self.clf.get(head, &zone) {
            Some(minute) => minute,
            None => {
                let minute = clf_minute(head)? - Millis::from(east);
                self.clf.set(head, &zone, minute, true);
                minute
            }
        };
        Some(minute + millis)
    }

    /// The same as `clf`, or as `clf_east` where that is known, for what is usual: `22/Nov/2026:14:53:53.243`.
    #[inline]
    #[must_use]
    pub fn clf_millis(&mut self, text: &[u8; 24], east: Option<i32>) -> Option<Millis> {
        let memory = &self.clf;
        if text.first_chunk::<17>() == Some(&memory.head)
            && let Some(millis) = text.last_chunk().and_then(|tail| plain_seconds(*tail))
            && match east {
                None => memory.zone_len == 0,
                Some(east) => memory.zone_len == 4 && memory.zone == word_at(&east.to_ne_bytes(), 0),
            }
        {
            return Some(memory.at + millis);
        }
        match east {
            Some(east) => self.clf_east(text, east),
            None => self.clf(text),
        }
    }

    /// `2026-11-22T14:53:53`, with `T` or a space, then perhaps a fraction, then perhaps `Z`, `+01:00` or `+0100`.
    #[must_use]
    pub fn iso(&mut self, text: &[u8]) -> Option<Millis> {
        self.year_first(text, b'-')
    }

    /// `2026/11/22 14:53:53`, the date of nginx's error.log.
    #[must_use]
    pub fn slashed(&mut self, text: &[u8]) -> Option<Millis> {
        self.year_first(text, b'/')
    }

    fn year_first(&mut self, text: &[u8], separator: u8) -> Option<Millis> {
        let (head, tail) = text.split_first_chunk::<16>()?;
        let (millis, zone) = seconds(tail)?;
        let minute = match self.iso.get(head, zone) {
            // What is remembered may have come from the other separator: it must then be refused all the same.
            Some(minute) if head.get(4) == Some(&separator) => minute,
            _ => {
                let (minute, keep) = self.place(year_first_minute(head, separator)?, zone)?;
                self.iso.set(head, zone, minute, keep);
                minute
            }
        };
        Some(minute + millis)
    }

    /// `Nov 22 14:54:09`, `Nov  6 …`: RFC 3164's date. Of the years that have this date, the one nearest to the file's own time.
    #[must_use]
    pub fn rfc3164(&mut self, text: &[u8]) -> Option<Millis> {
        let (head, tail) = text.split_at_checked(12)?;
        let (millis, zone) = seconds(tail)?;
        let &[m1, m2, m3, b' ', d1, d2, b' ', h1, h2, b':', n1, n2] = head else { return None };
        let month = month(&[m1, m2, m3])?;
        let day = if d1 == b' ' { digit(d2)? } else { two(d1, d2)? };
        let clock = clock([h1, h2], [n1, n2])?;
        let here = year_of(self.near);
        // Eight years on either side hold a 29 February, also around 1900 and 2100.
        let years = std::iter::once(here).chain((1..=8).flat_map(|i| [here - i, here + i]));
        let mut best: Option<Millis> = None;
        for year in years {
            let Some(days) = days(year, month, day) else { continue };
            let Some((at, _)) = self.place(days * DAY + clock, zone) else { continue };
            let at = at + millis;
            if best.is_none_or(|b| at.abs_diff(self.near) < b.abs_diff(self.near)) {
                best = Some(at);
            }
        }
        best
    }

    /// Any of the shapes above, or an epoch.
    #[must_use]
    pub fn any(&mut self, text: &[u8]) -> Option<Millis> {
        match text {
            [_, _, b'/', _, _, _, b'/', ..] => self.clf(text),
            [_, _, _, _, b'-', ..] => self.iso(text),
            [_, _, _, _, b'/', ..] => self.slashed(text),
            [b'A'..=b'Z', _, _, b' ', ..] => self.rfc3164(text),
            _ => epoch(text),
        }
    }

    /// A local minute → time, and whether that may be remembered.
    fn place(&mut self, local: Millis, zone: &[u8]) -> Option<(Millis, bool)> {
        let zone = zone.strip_prefix(b" ").unwrap_or(zone);
        if !zone.is_empty() {
            return Some((local - Millis::from(offset(zone)?), true));
        }
        let (at, ambiguous) = self.zone.resolve(local, self.newest)?;
        self.ambiguous |= ambiguous;
        self.zoneless = true;
        Some((at, !ambiguous))
    }
}

/// The minute that was parsed last: its text, its zone's text, its time.
#[derive(Clone, Debug)]
struct Minute<const N: usize> {
    head: [u8; N],
    zone: u64,
    /// Greater than a word: nothing is remembered.
    zone_len: usize,
    at: Millis,
}

impl<const N: usize> Minute<N> {
    const FORGOTTEN: Minute<N> = Minute { head: [0; N], zone: 0, zone_len: usize::MAX, at: 0 };

    fn get(&self, head: &[u8; N], zone: &[u8]) -> Option<Millis> {
        (self.head == *head && self.zone_len == zone.len() && self.zone == word_at(zone, 0))
            .then_some(self.at)
    }

    fn set(&mut self, head: &[u8; N], zone: &[u8], at: Millis, keep: bool) {
        *self = Minute::FORGOTTEN;
        if keep && zone.len() <= 8 {
            (self.head, self.zone, self.zone_len, self.at) = (*head, word_at(zone, 0), zone.len(), at);
        }
    }
}

/// `1795359233.243`: seconds since the epoch; without a fraction also milli-, micro- or nanoseconds, told by their length.
#[must_use]
pub fn epoch(text: &[u8]) -> Option<Millis> {
    let len = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (whole, fraction) = match text.split_at_checked(len)? {
        (whole, []) => (whole, &b""[..]),
        (whole, [b'.', fraction @ ..]) => (whole, fraction),
        _ => return None,
    };
    if whole.is_empty() || whole.len() > 19 {
        return None;
    }
    let n = match whole.len() {
        19 => whole.iter().try_fold(0i64, |n, b| n.checked_mul(10)?.checked_add(i64::from(b - b'0')))?,
        _ => whole.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')),
    };
    let fraction = thousandths(fraction)?;
    match whole.len() {
        0..=11 => Some(n * SECOND + fraction),
        12..=14 => Some(n),
        15..=17 => Some(n / 1_000),
        _ => Some(n / 1_000_000),
    }
}

/// `:53.243 +0000` → milliseconds, and the rest (the zone).
fn seconds(tail: &[u8]) -> Option<(Millis, &[u8])> {
    let &[b':', s1, s2, ref rest @ ..] = tail else { return None };
    let seconds = two(s1, s2).filter(|s| *s < 60)? * SECOND;
    let &[b'.' | b',', ref rest @ ..] = rest else { return Some((seconds, rest)) };
    let end = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at_checked(end)?;
    if fraction.is_empty() {
        return None;
    }
    Some((seconds + thousandths(fraction)?, zone))
}

/// `3:53.243` → the milliseconds of what follows the minute, all bytes at once.
#[inline]
fn plain_seconds(tail: [u8; 8]) -> Option<Millis> {
    // Punctuation becomes 0, digits become their values: neither may be greater.
    let digits = (u64::from_le_bytes(tail) ^ u64::from_le_bytes(*b"0:00.000")) >> 8;
    if (digits.wrapping_add(0x0076_7676_7F76_767F) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let digit = |at: u32| (digits >> (8 * at)) & 15;
    let seconds = digit(1) * 10 + digit(2);
    let millis = seconds * 1_000 + digit(4) * 100 + digit(5) * 10 + digit(6);
    (seconds < 60).then(|| millis.cast_signed())
}

/// The digits of a fraction → milliseconds, cut.
fn thousandths(fraction: &[u8]) -> Option<Millis> {
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    digits.take(3).try_fold(0, |n, b| Some(n * 10 + digit(b)?))
}

/// `22/Nov/2026:14:53` → the minute, as if it were UTC.
fn clf_minute(head: &[u8; 17]) -> Option<Millis> {
    let &[d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', h1, h2, b':', n1, n2] = head else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    Some(days(year, month(&[m1, m2, m3])?, two(d1, d2)?)? * DAY + clock([h1, h2], [n1, n2])?)
}

/// `2026-11-22T14:53` → the minute, as if it were UTC.
fn year_first_minute(head: &[u8; 16], separator: u8) -> Option<Millis> {
    let &[y1, y2, y3, y4, s1, m1, m2, s2, d1, d2, b'T' | b't' | b' ', h1, h2, b':', n1, n2] = head else {
        return None;
    };
    if s1 != separator || s2 != separator {
        return None;
    }
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    Some(days(year, two(m1, m2)?, two(d1, d2)?)? * DAY + clock([h1, h2], [n1, n2])?)
}

fn clock(hour: [u8; 2], minute: [u8; 2]) -> Option<Millis> {
    let (hour, minute) = (two(hour[0], hour[1])?, two(minute[0], minute[1])?);
    (hour < 24 && minute < 60).then_some(hour * HOUR + minute * MINUTE)
}

/// `Z`, `+01`, `+0100`, `+01:00` → milliseconds east of UTC.
fn offset(text: &[u8]) -> Option<i32> {
    let (sign, h1, h2, m1, m2) = match *text {
        [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2] => (sign, h1, h2, b'0', b'0'),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, h1, h2, m1, m2),
        _ => return None,
    };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    let east = i32::try_from(hours * HOUR + minutes * MINUTE).ok()?;
    match sign {
        b'+' => Some(east),
        b'-' => Some(-east),
        _ => None,
    }
}

fn month(name: &[u8; 3]) -> Option<i64> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (at, _) = (1..).zip(MONTHS.chunks_exact(3)).find(|(_, month)| month == name)?;
    Some(at)
}

/// Days since the epoch; `None` where the calendar has no such day. Years start in March here, so that the leap day is
/// the last of a year and the months before it follow one rule.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let before = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(before + (153 * from_march + 2) / 5 + day - 1 - 719_468)
}

fn year_of(at: Millis) -> i64 {
    use chrono::Datelike;
    DateTime::from_timestamp_millis(at).map_or(1970, |at| i64::from(at.year()))
}

fn naive(local: Millis) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_millis(local).map(|at| at.naive_utc())
}

fn east(offset: &impl Offset) -> Millis {
    Millis::from(offset.fix().local_minus_utc()) * SECOND
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn digit(b: u8) -> Option<i64> {
    b.is_ascii_digit().then(|| i64::from(b - b'0'))
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
