//! `%START_TIME(…)%`: a strftime-like text → the items that read such a stamp.

use crate::record::Millis;
use crate::time::Dates;

/// A compiled stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Empty: Envoy's own `2026-11-22T15:18:15.430Z`.
    items: Vec<Item>,
    /// Written in the host's zone, so that a stamp without an offset depends on the setting.
    is_local: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    /// So many digits, to this place of `2026-11-22T15:18:15`.
    Digits {
        at: usize,
        len: usize,
    },
    /// `%e`: a blank may stand for the first digit.
    Day,
    /// `Nov`, `November`
    Month,
    /// Seconds since the epoch; the fraction's digits follow without anything between.
    Epoch {
        fraction: usize,
    },
    /// So many digits; 0: all there are.
    Fraction(usize),
    /// `+0000`, `+00:00`, `Z`
    Offset,
    /// Letters that say nothing: the day's name, the zone's.
    Letters,
    Byte(u8),
}

const YEAR: Item = Item::Digits { at: 0, len: 4 };
const SHORT_YEAR: Item = Item::Digits { at: 2, len: 2 };
const MONTH: Item = Item::Digits { at: 5, len: 2 };
const DAY: Item = Item::Digits { at: 8, len: 2 };
const HOUR: Item = Item::Digits { at: 11, len: 2 };
const MINUTE: Item = Item::Digits { at: 14, len: 2 };
const SECOND: Item = Item::Digits { at: 17, len: 2 };

/// What was read so far: `2026-11-22T15:18:15.430` and an offset, as `Dates` take them.
struct Read<'a> {
    iso: [u8; 29],
    offset: &'a [u8],
    epoch: Option<Millis>,
    millis: Millis,
}

impl Stamp {
    /// Compiles what stands between the parentheses, `None` for no parentheses.
    ///
    /// # Errors
    /// What cannot be read, in a sentence.
    pub(super) fn compile(text: Option<&str>, is_local: bool) -> Result<Stamp, String> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(Stamp { items: Vec::new(), is_local });
        };
        let mut items = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == '%' {
                specifier(&mut chars, &mut items)?;
            } else {
                let mut buffer = [0; 4];
                items.extend(c.encode_utf8(&mut buffer).bytes().map(Item::Byte));
            }
        }
        for i in 1..items.len() {
            if let (Some(Item::Epoch { .. }), Some(Item::Fraction(len))) = (items.get(i - 1), items.get(i)) {
                let fraction = *len;
                if let Some(item) = items.get_mut(i - 1) {
                    *item = Item::Epoch { fraction };
                }
            }
        }
        let has = |item: Item| items.contains(&item);
        let has_month = has(MONTH) || has(Item::Month);
        let has_day = has(DAY) || has(Item::Day);
        let has_year = has(YEAR) || has(SHORT_YEAR);
        let is_whole = has_year && has_month && has_day && has(HOUR) && has(MINUTE);
        if !is_whole && !items.iter().any(|item| matches!(item, Item::Epoch { .. })) {
            return Err(format!("`{text}` is not a whole date: it needs %s, or year, month, day, %H and %M"));
        }
        Ok(Stamp { items, is_local })
    }

    /// Whether the time of a stamp depends on the zone setting.
    pub(super) fn needs_zone(&self) -> bool {
        let knows = |item: &Item| matches!(item, Item::Offset | Item::Epoch { .. });
        self.is_local && !self.items.iter().any(knows)
    }

    /// How long the stamp at the start is; `None`: there is none.
    pub(super) fn len(&self, rest: &[u8]) -> Option<usize> {
        if !self.items.is_empty() {
            return self.read(rest).map(|(len, _)| len);
        }
        let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b':' | b'.' | b'T' | b'Z' | b'+');
        let len = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
        (len >= 19).then_some(len)
    }

    /// Its time.
    pub(super) fn time(&self, value: &[u8], dates: &mut Dates) -> Option<Millis> {
        if self.items.is_empty() {
            // Envoy of the year before last wrote no zone, and meant UTC all the same.
            return dates.iso(value);
        }
        let (_, mut read) = self.read(value).filter(|(len, _)| *len == value.len())?;
        if let Some(epoch) = read.epoch {
            return Some(epoch + read.millis);
        }
        let offset: &[u8] = match read.offset {
            b"" if self.is_local => b"",
            b"" => b"Z",
            offset => offset,
        };
        read.iso.get_mut(23..23 + offset.len())?.copy_from_slice(offset);
        dates.iso(read.iso.get(..23 + offset.len())?).map(|at| at + read.millis)
    }

    /// The stamp at the start, and its length.
    fn read<'a>(&self, text: &'a [u8]) -> Option<(usize, Read<'a>)> {
        let mut read = Read { iso: *b"2000-01-01T00:00:00.000      ", offset: b"", epoch: None, millis: 0 };
        let mut rest = text;
        for item in &self.items {
            rest = read.item(*item, rest)?;
        }
        Some((text.len() - rest.len(), read))
    }
}

impl<'a> Read<'a> {
    /// Takes one item, and gives what follows it.
    fn item(&mut self, item: Item, rest: &'a [u8]) -> Option<&'a [u8]> {
        match item {
            Item::Byte(byte) => rest.split_first().filter(|(b, _)| **b == byte).map(|(_, rest)| rest),
            Item::Digits { at, len } => {
                let (digits, rest) = rest.split_at_checked(len)?;
                self.put(at, digits)?;
                Some(rest)
            }
            Item::Day => {
                let (digits, rest) = rest.split_first_chunk::<2>()?;
                let tens = if digits[0] == b' ' { b'0' } else { digits[0] };
                self.put(8, &[tens, digits[1]])?;
                Some(rest)
            }
            Item::Month => {
                const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
                let (name, rest) = rest.split_first_chunk::<3>()?;
                let (number, _) = (1u8..).zip(MONTHS.chunks_exact(3)).find(|(_, month)| month == name)?;
                self.put(5, &[b'0' + number / 10, b'0' + number % 10])?;
                Some(after(rest, |b| b.is_ascii_alphabetic()))
            }
            Item::Epoch { fraction } => {
                let digits = taken(rest, |b| b.is_ascii_digit());
                let len = digits.len().checked_sub(fraction).filter(|len| (1..=11).contains(len))?;
                let (digits, rest) = rest.split_at_checked(len)?;
                self.epoch = Some(digits.iter().fold(0, |n, b| n * 10 + Millis::from(b - b'0')) * 1_000);
                Some(rest)
            }
            Item::Fraction(len) => {
                let digits = taken(rest, |b| b.is_ascii_digit());
                let (digits, rest) = rest.split_at_checked(if len == 0 { digits.len() } else { len })?;
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(3);
                self.millis = padded.fold(0, |n, b| n * 10 + Millis::from(b - b'0'));
                Some(rest)
            }
            Item::Offset => {
                let len = match rest {
                    [b'Z', ..] => 1,
                    [b'+' | b'-', _, _, b':', _, _, ..] => 6,
                    _ => 5,
                };
                let (offset, rest) = rest.split_at_checked(len)?;
                self.offset = offset;
                Some(rest)
            }
            Item::Letters => {
                let letters = taken(rest, |b| b.is_ascii_alphabetic());
                (!letters.is_empty()).then(|| rest.get(letters.len()..)).flatten()
            }
        }
    }

    fn put(&mut self, at: usize, digits: &[u8]) -> Option<()> {
        let place = self.iso.get_mut(at..at + digits.len())?;
        digits.iter().all(u8::is_ascii_digit).then(|| place.copy_from_slice(digits))
    }
}

fn taken(rest: &[u8], is_part: fn(&u8) -> bool) -> &[u8] {
    let len = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
    rest.get(..len).unwrap_or_default()
}

fn after(rest: &[u8], is_part: fn(&u8) -> bool) -> &[u8] {
    rest.get(taken(rest, is_part).len()..).unwrap_or_default()
}

/// What follows a `%`.
fn specifier(chars: &mut std::str::Chars<'_>, items: &mut Vec<Item>) -> Result<(), String> {
    let byte = |c: char| Item::Byte(u8::try_from(c).unwrap_or(b'?'));
    let mut c = chars.next().unwrap_or_default();
    // `%E3S`, `%E*z`, `%:z`, `%3f`, `%E4Y`: the precision of what follows.
    let mut precision = None;
    while matches!(c, 'E' | 'O' | ':' | '*' | '0'..='9' | '-' | '_') {
        precision = c.to_digit(10).or(precision);
        if matches!(c, '-' | '_') {
            return Err("numbers without padding in a date cannot be read".to_owned());
        }
        let is_extended = c == 'E' || c == '*';
        c = chars.next().unwrap_or_default();
        if is_extended && c == 'T' {
            items.push(Item::Byte(b'T'));
            return Ok(());
        }
        // `%E*S` has a fraction of any length.
        if is_extended && matches!(c, '*') {
            precision = precision.or(Some(0));
        }
    }
    let digits = precision.map_or(0, |n| n as usize);
    match c {
        'Y' => items.push(YEAR),
        'y' => items.push(SHORT_YEAR),
        'm' => items.push(MONTH),
        'b' | 'h' | 'B' => items.push(Item::Month),
        'd' => items.push(DAY),
        'e' => items.push(Item::Day),
        'H' => items.push(HOUR),
        'M' => items.push(MINUTE),
        'S' if precision.is_some() => items.extend([SECOND, byte('.'), Item::Fraction(digits)]),
        'S' => items.push(SECOND),
        'f' => items.push(Item::Fraction(if digits == 0 { 9 } else { digits })),
        's' => items.push(Item::Epoch { fraction: 0 }),
        'z' => items.push(Item::Offset),
        'a' | 'A' | 'Z' => items.push(Item::Letters),
        'F' => items.extend([YEAR, byte('-'), MONTH, byte('-'), DAY]),
        'T' => items.extend([HOUR, byte(':'), MINUTE, byte(':'), SECOND]),
        'R' => items.extend([HOUR, byte(':'), MINUTE]),
        'D' => items.extend([MONTH, byte('/'), DAY, byte('/'), SHORT_YEAR]),
        'n' | 't' => items.push(byte('\t')),
        '%' => items.push(byte('%')),
        other => return Err(format!("%{other} in a date is not known here")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Zone;

    #[test]
    fn stamps_of_every_kind_are_the_same_instant() {
        let cases = [
            ("", "2026-11-22T15:18:15.430Z"),
            ("%s", "1795360695"),
            ("%s.%3f", "1795360695.430"),
            ("%s.%6f", "1795360695.430999"),
            ("%s.%9f", "1795360695.430999999"),
            ("%s.%f", "1795360695.430999999"),
            ("%s%3f", "1795360695430"),
            ("%Y/%m/%dT%H:%M:%S%z %s", "2026/11/22T15:18:15+0000 1795360695"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-11-22T15:18:15+0000"),
            ("%Y-%m-%dT%H:%M:%S.%3fZ", "2026-11-22T15:18:15.430Z"),
            ("%FT%T%Ez", "2026-11-22T16:18:15+01:00"),
            ("%d/%b/%Y:%H:%M:%S %z", "22/Nov/2026:15:18:15 +0000"),
            ("%a, %d %B %Y %T %Z", "Sun, 22 November 2026 15:18:15 UTC"),
            ("%Y-%m-%d %E3S %R", "2026-11-22 15.430 15:18"),
            ("%E4Y-%m-%dT%H:%M:%E*SZ", "2026-11-22T15:18:15.43099Z"),
            ("%D %T", "11/22/26 15:18:15"),
        ];
        for (text, value) in cases {
            let stamp = Stamp::compile(Some(text), false).unwrap();
            assert!(!stamp.needs_zone());
            let mut dates = Dates::new(Zone::Fixed(3_600_000), 0);
            let at = stamp.time(value.as_bytes(), &mut dates);
            assert_eq!(at.map(|at| at / 1_000), Some(1_795_360_695), "{text}: {at:?}");
            if value.contains(".43") {
                assert_eq!(at, Some(1_795_360_695_430), "{text}");
            }
            let more = format!("{value}] 502");
            assert_eq!(stamp.len(more.as_bytes()), Some(value.len()), "{text}");
        }
        for text in ["%H:%M:%S", "%j %Y", "%Y-%m-%d", "x", "%", "%-d", "%I %p"] {
            assert!(Stamp::compile(Some(text), false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_local_stamp_has_the_zone_of_the_setting() {
        let stamp = Stamp::compile(Some("%Y-%m-%d %T"), true).unwrap();
        assert!(stamp.needs_zone());
        let mut dates = Dates::new(Zone::Fixed(3_600_000), 0);
        assert_eq!(stamp.time(b"2026-11-22 16:18:15", &mut dates), Some(1_795_360_695_000));
    }
}
