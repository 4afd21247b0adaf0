//! Stamps: as a format string describes them (`%{%d/%b/%Y %T}t`), and their values → time.

use super::shape::Shape;
use super::steps::Spec;
use super::values::{Slot, Values};
use super::{Directive, Piece};
use crate::context::Context;
use crate::record::Millis;
use crate::time;

/// The pieces of a `strftime` format. `name` is the directive's, with `{}` where the format stands.
///
/// # Errors
/// A conversion of which no time could be made.
pub fn strftime(format: &str, name: &str, is_end: bool) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            pieces.push(Piece::Text(c.into()));
            continue;
        }
        let mut conversion = chars.next();
        // Flags and modifiers: `%-d`, `%Ey`.
        if matches!(conversion, Some('-' | '_' | 'E' | 'O')) {
            conversion = chars.next();
        }
        let Some(conversion) = conversion else { return Err(format!("`{format}` ends with a bare %")) };
        for part in parts(conversion).ok_or(format!("%{conversion} in `{format}` is not supported"))? {
            pieces.push(match *part {
                Part::Text(text) => Piece::Text(text.to_owned()),
                Part::Value(conversion, shape, slot) => {
                    let name = name.replace("{}", &format!("{{%{conversion}}}"));
                    Piece::Value(Directive { slot, is_end, ..Directive::new(&name, shape) })
                }
            });
        }
    }
    Ok(pieces)
}

/// What a conversion consists of.
enum Part {
    Text(&'static str),
    Value(char, Shape, Option<Slot>),
}

const YEAR: Part = Part::Value('Y', Shape::Digits(4), Some(Slot::Year));
const SHORT_YEAR: Part = Part::Value('y', Shape::Digits(2), Some(Slot::ShortYear));
const MONTH: Part = Part::Value('m', Shape::Digits(2), Some(Slot::Month));
const MONTH_NAME: Part = Part::Value('b', Shape::Month, Some(Slot::MonthName));
const DAY: Part = Part::Value('d', Shape::Day, Some(Slot::Day));
const HOUR: Part = Part::Value('H', Shape::Digits(2), Some(Slot::Hour));
const HOUR_12: Part = Part::Value('I', Shape::Digits(2), Some(Slot::Hour12));
const HALF_DAY: Part = Part::Value('p', Shape::HalfDay, Some(Slot::HalfDay));
const MINUTE: Part = Part::Value('M', Shape::Digits(2), Some(Slot::Minute));
const SECOND: Part = Part::Value('S', Shape::Digits(2), Some(Slot::Second));
const ZONE: Part = Part::Value('z', Shape::Zone, Some(Slot::Zone));
const COLON: Part = Part::Text(":");
const DASH: Part = Part::Text("-");
const SLASH: Part = Part::Text("/");
const BLANK: Part = Part::Text(" ");

fn parts(conversion: char) -> Option<&'static [Part]> {
    Some(match conversion {
        'Y' => &[YEAR],
        'y' => &[SHORT_YEAR],
        'm' => &[MONTH],
        'b' | 'h' => &[MONTH_NAME],
        'd' | 'e' => &[DAY],
        'H' => &[HOUR],
        'I' => &[HOUR_12],
        'k' => &[Part::Value('k', Shape::Day, Some(Slot::Hour))],
        'l' => &[Part::Value('l', Shape::Day, Some(Slot::Hour12))],
        'p' | 'P' => &[HALF_DAY],
        'M' => &[MINUTE],
        'S' => &[SECOND],
        'z' | 'Z' => &[ZONE],
        's' => &[Part::Value('s', Shape::Number, Some(Slot::Epoch))],
        'a' | 'A' => &[Part::Value('a', Shape::Word, None)],
        'j' => &[Part::Value('j', Shape::Digits(3), None)],
        'u' | 'w' => &[Part::Value('u', Shape::Digits(1), None)],
        'T' => &[HOUR, COLON, MINUTE, COLON, SECOND],
        'R' => &[HOUR, COLON, MINUTE],
        'r' => &[HOUR_12, COLON, MINUTE, COLON, SECOND, BLANK, HALF_DAY],
        'F' => &[YEAR, DASH, MONTH, DASH, DAY],
        'D' => &[MONTH, SLASH, DAY, SLASH, SHORT_YEAR],
        'c' => &[
            Part::Value('a', Shape::Month, None),
            BLANK,
            MONTH_NAME,
            BLANK,
            DAY,
            BLANK,
            HOUR,
            COLON,
            MINUTE,
            COLON,
            SECOND,
            BLANK,
            YEAR,
        ],
        'n' => &[Part::Text("\n")],
        't' => &[Part::Text("\t")],
        '%' => &[Part::Text("%")],
        _ => return None,
    })
}

impl Spec {
    /// # Errors
    /// What is missing to make a time of the stamps.
    pub fn check_stamp(&self) -> Result<(), String> {
        let has = |slots: &[Slot]| slots.iter().any(|slot| self.has(*slot));
        if has(&[Slot::Clf, Slot::Epoch]) {
            return Ok(());
        }
        let day = [
            (has(&[Slot::Day]), "the day"),
            (has(&[Slot::Month, Slot::MonthName]), "the month"),
            (has(&[Slot::Year, Slot::ShortYear, Slot::MonthName]), "the year"),
            (has(&[Slot::Hour, Slot::Hour12]), "the hour"),
            (has(&[Slot::Minute]), "the minute"),
        ];
        if day.iter().all(|(has, _)| !has) {
            return Err("no time in it".to_owned());
        }
        match day.iter().find(|(has, _)| !has) {
            Some((_, missing)) => Err(format!("its time lacks {missing}")),
            None => Ok(()),
        }
    }

    /// Whether the stamps carry a zone.
    pub fn has_zone(&self) -> bool {
        [Slot::Clf, Slot::Epoch, Slot::Zone].iter().any(|slot| self.has(*slot))
    }
}

/// When the request ended. `Err`: the slot whose value is no part of a date.
pub fn end(values: &Values<'_>, spec: &Spec, context: &mut Context) -> Result<Millis, Slot> {
    let mut at = if values.carries(Slot::Epoch) {
        time::epoch(values.get(Slot::Epoch)).ok_or(Slot::Epoch)?
    } else if values.carries(Slot::Clf) {
        context.dates.clf(values.get(Slot::Clf)).ok_or(Slot::Clf)?
    } else {
        assembled(values, context)?
    };
    for (slot, per_milli) in [(Slot::Millis, 1), (Slot::Micros, 1_000)] {
        // Only a stamp in whole seconds lacks them.
        if values.carries(slot) && at % 1_000 == 0 {
            let digits = values.get(slot);
            let number = crate::fields::duration(digits, crate::fields::Unit::Millis);
            at += number.filter(|n| n / per_milli < 1_000).ok_or(slot)? / per_milli;
        }
    }
    if spec.is_end {
        return Ok(at);
    }
    Ok(at.saturating_add(values.duration(spec.unit).unwrap_or(0)))
}

/// A stamp being put together: `22/Nov/2026:14:53:53 +0000`.
struct Stamp {
    text: [u8; 48],
    len: usize,
}

impl Stamp {
    fn push(&mut self, part: &[u8]) {
        for byte in part {
            if let Some(place) = self.text.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

fn assembled(values: &Values<'_>, context: &mut Context) -> Result<Millis, Slot> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut stamp = Stamp { text: [0; 48], len: 0 };
    let month = match values.carries(Slot::MonthName) {
        true => values.get(Slot::MonthName),
        false => {
            let number = crate::fields::count(values.get(Slot::Month)).map(usize::from);
            let number = number.and_then(|n| n.checked_sub(1)).ok_or(Slot::Month)?;
            MONTHS.get(number * 3..number * 3 + 3).ok_or(Slot::Month)?
        }
    };
    let day =
        crate::fields::count(values.get(Slot::Day).trim_ascii()).filter(|n| *n < 32).ok_or(Slot::Day)?;
    let hour = hour(values)?;
    let second: &[u8] = if values.carries(Slot::Second) { values.get(Slot::Second) } else { b"00" };
    let year = values.carries(Slot::Year) || values.carries(Slot::ShortYear);
    if year {
        stamp.push(&two(day));
        stamp.push(b"/");
        stamp.push(month);
        stamp.push(b"/");
        match values.carries(Slot::Year) {
            true => stamp.push(values.get(Slot::Year)),
            false => {
                stamp.push(b"20");
                stamp.push(values.get(Slot::ShortYear));
            }
        }
        stamp.push(b":");
    } else {
        stamp.push(month);
        stamp.push(b" ");
        stamp.push(&two(day));
        stamp.push(b" ");
    }
    stamp.push(&hour);
    stamp.push(b":");
    stamp.push(values.get(Slot::Minute));
    stamp.push(b":");
    stamp.push(second);
    match values.get(Slot::Zone) {
        b"" => {}
        b"UTC" | b"GMT" | b"UCT" => stamp.push(b" +0000"),
        // Other zones' names mean several: the setting decides.
        name if name.len() > 1 && name.iter().all(u8::is_ascii_alphabetic) => {}
        zone => {
            stamp.push(b" ");
            stamp.push(zone);
        }
    }
    let at = if year { context.dates.clf(stamp.text()) } else { context.dates.rfc3164(stamp.text()) };
    at.ok_or(if values.carries(Slot::Day) { Slot::Day } else { Slot::Hour })
}

/// The hour of the day, of `%H` or of `%I` and `%p`.
fn hour(values: &Values<'_>) -> Result<[u8; 2], Slot> {
    let of = |slot| crate::fields::count(values.get(slot).trim_ascii_start());
    if values.carries(Slot::Hour) {
        return of(Slot::Hour).filter(|hour| *hour < 24).map(two).ok_or(Slot::Hour);
    }
    let hour = of(Slot::Hour12).filter(|hour| (1..=12).contains(hour));
    let hour = hour.ok_or(Slot::Hour12)? % 12;
    let is_afternoon = matches!(values.get(Slot::HalfDay), [b'P' | b'p', ..]);
    Ok(two(if is_afternoon { hour + 12 } else { hour }))
}

fn two(number: u16) -> [u8; 2] {
    let digit = |n: u16| u8::try_from(n % 10).map_or(b'?', |n| b'0' + n);
    [digit(number / 10), digit(number)]
}
