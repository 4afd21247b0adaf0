//! Maintenance windows: when somebody works on something anyway. A window is a set of stretches of time, each from a wall
//! clock's reading to another in one zone.
//!
//! Invariants: a stretch is never interrupted, also not where a clock goes back: an hour that comes twice belongs to it
//! both times; an hour that a clock skips does not exist, and a stretch that lies in it whole does not take place.

use chrono::offset::{LocalResult, Offset, TimeZone};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::matcher::Matcher;

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;
/// A day that is looked for comes within this many, or never: the calendar repeats every 28 years, but for 2100.
const DAYS_MAX: u64 = 41 * 366;
/// Stretches that follow one another without a gap are one, up to so many days.
const MERGED_DAYS: u64 = 400;
/// No clock has been set by more in one go.
const GAP_MAX: Millis = 26 * 3_600_000;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub start: Millis,
    /// The first moment after it.
    pub end: Millis,
}

/// One `[maintenance.NAME]`. What is empty restricts nothing.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// Alerts that it holds back: all must match.
    pub matchers: Vec<Matcher>,
    /// Whose wall clock.
    pub zone: Zone,
    /// Minutes of the day, from and to; a `to` that is not after `from` is on the next day.
    pub times: Vec<(u16, u16)>,
    /// Days of the week, Monday first.
    pub weekdays: [bool; 7],
    /// Days of the month, from and to; -1 is the last one.
    pub days_of_month: Vec<(i8, i8)>,
    /// Months, January first.
    pub months: [bool; 12],
    /// Nothing before.
    pub from: Option<Millis>,
    /// Nothing from then on.
    pub until: Option<Millis>,
    /// What it is for.
    pub comment: Option<String>,
}

impl Window {
    /// One that restricts nothing.
    #[must_use]
    pub fn new(name: &str, zone: Zone) -> Window {
        Window {
            name: name.to_owned(),
            matchers: Vec::new(),
            zone,
            times: Vec::new(),
            weekdays: [false; 7],
            days_of_month: Vec::new(),
            months: [false; 12],
            from: None,
            until: None,
            comment: None,
        }
    }

    /// Whether it comes again and again, as against once.
    #[must_use]
    pub fn recurs(&self) -> bool {
        !(self.times.is_empty()
            && self.days_of_month.is_empty()
            && self.weekdays == [false; 7]
            && self.months == [false; 12])
    }

    /// The first stretch that is not over at `at`; `None`: none comes any more.
    #[must_use]
    pub fn next(&self, at: Millis) -> Option<Span> {
        let (from, until) = (self.from.unwrap_or(Millis::MIN), self.until.unwrap_or(Millis::MAX));
        if !self.recurs() {
            return (at < until && from < until).then_some(Span { start: from, end: until });
        }
        let first = local(self.zone, at.max(from))?.date().checked_sub_days(Days::new(2))?;
        let mut found: Option<(Span, u64)> = None;
        for n in 0..DAYS_MAX {
            let day = first.checked_add_days(Days::new(n))?;
            match found {
                Some((_, began)) if n - began > MERGED_DAYS => break,
                _ => {}
            }
            if local(self.zone, until).is_some_and(|end| day > end.date()) {
                break;
            }
            for span in self.spans(day) {
                let span = Span { start: span.start.max(from), end: span.end.min(until) };
                if span.end <= span.start || span.end <= at {
                    continue;
                }
                match &mut found {
                    None => found = Some((span, n)),
                    Some((whole, _)) if span.start <= whole.end => whole.end = whole.end.max(span.end),
                    Some((whole, _)) => return Some(*whole),
                }
            }
        }
        found.map(|(span, _)| span)
    }

    /// The stretches that begin on a day, the first one first.
    fn spans(&self, day: NaiveDate) -> Vec<Span> {
        if !self.is_on(day) {
            return Vec::new();
        }
        let times: &[(u16, u16)] = if self.times.is_empty() { &[(0, DAY)] } else { &self.times };
        let span = |&(from, to): &(u16, u16)| {
            let to = if to <= from { to + DAY } else { to };
            let (start, end) = (moment(self.zone, day, from)?, moment(self.zone, day, to)?);
            Some(Span { start: start.0, end: end.1 })
        };
        let mut spans: Vec<Span> = times.iter().filter_map(span).collect();
        spans.sort_by_key(|span| (span.start, span.end));
        spans
    }

    fn is_on(&self, day: NaiveDate) -> bool {
        let has = |set: &[bool], at: u32| {
            !set.contains(&true) || usize::try_from(at).is_ok_and(|at| set.get(at) == Some(&true))
        };
        let last = i8::try_from(day.num_days_in_month()).unwrap_or(31);
        let of_end = |n: i8| if n < 0 { last + 1 + n } else { n };
        let number = i8::try_from(day.day()).unwrap_or(0);
        let mut days = self.days_of_month.iter();
        has(&self.weekdays, day.weekday().num_days_from_monday())
            && has(&self.months, day.month0())
            && (self.days_of_month.is_empty()
                || days.any(|&(from, to)| (of_end(from)..=of_end(to)).contains(&number)))
    }
}

/// What the wall clock shows.
fn local(zone: Zone, at: Millis) -> Option<NaiveDateTime> {
    let utc = DateTime::from_timestamp_millis(at)?.naive_utc();
    let offset = match zone {
        Zone::Fixed(offset) => i64::from(offset),
        Zone::Named(zone) => i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000,
    };
    Some(DateTime::from_timestamp_millis(at.checked_add(offset)?)?.naive_utc())
}

/// When the wall clock shows this minute of a day: the first time and the last. A reading that it skips is where it does so.
fn moment(zone: Zone, day: NaiveDate, minute: u16) -> Option<(Millis, Millis)> {
    let day = day.checked_add_days(Days::new(u64::from(minute / DAY)))?;
    let reading = day.and_hms_opt(u32::from(minute % DAY) / 60, u32::from(minute % 60), 0)?;
    reading_at(zone, reading)
}

/// When the wall clock shows this: the first time and the last. A reading that it skips is where it does so.
#[must_use]
pub fn reading_at(zone: Zone, reading: NaiveDateTime) -> Option<(Millis, Millis)> {
    let as_utc = reading.and_utc().timestamp_millis();
    let zone_of = match zone {
        Zone::Fixed(offset) => {
            let at = as_utc.checked_sub(Millis::from(offset))?;
            return Some((at, at));
        }
        Zone::Named(zone) => zone,
    };
    let east =
        |offset: &<chrono_tz::Tz as TimeZone>::Offset| i64::from(offset.fix().local_minus_utc()) * 1_000;
    match zone_of.offset_from_local_datetime(&reading) {
        LocalResult::Single(offset) => Some((as_utc - east(&offset), as_utc - east(&offset))),
        LocalResult::Ambiguous(a, b) => {
            let (a, b) = (as_utc - east(&a), as_utc - east(&b));
            Some((a.min(b), a.max(b)))
        }
        LocalResult::None => {
            // Clocks jump at whole seconds: the first one at which it shows this or more.
            let (mut before, mut after) = ((as_utc - GAP_MAX) / 1_000, (as_utc + GAP_MAX) / 1_000);
            while after - before > 1 {
                let middle = before + (after - before) / 2;
                if local(zone, middle * 1_000)? < reading { before = middle } else { after = middle }
            }
            Some((after * 1_000, after * 1_000))
        }
    }
}

/// `2026-12-24 18:00`, `2026-12-24T18:00:00`, `2026-12-24`, or with an offset as RFC 3339 has it: the first moment and the
/// last that it may mean.
#[must_use]
pub fn stamp(text: &str, zone: Zone) -> Option<(Millis, Millis)> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some((at.timestamp_millis(), at.timestamp_millis()));
    }
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(NaiveDateTime::from);
    let patterns = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
    let read = |pattern: &&str| NaiveDateTime::parse_from_str(text, pattern).ok();
    reading_at(zone, patterns.iter().find_map(read).or_else(day)?)
}

/// What the wall clock shows, for people: `2026-12-24 18:00`.
#[must_use]
pub fn reading_of(zone: Zone, at: Millis) -> String {
    local(zone, at).map_or_else(|| "?".to_owned(), |reading| reading.format("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(&format!("{text}:00Z")).unwrap().timestamp_millis()
    }

    fn shown(at: Millis) -> String {
        DateTime::from_timestamp_millis(at).unwrap().format("%Y-%m-%dT%H:%M").to_string()
    }

    /// `sat,sun 02:00-04:00 dom=-1 mon=2`
    fn window(zone: &str, text: &str) -> Window {
        let mut window = Window::new("w", Zone::parse(zone).unwrap());
        let number = |text: &str| text.parse::<u16>().unwrap();
        let minute = |text: &str| number(&text[..2]) * 60 + number(&text[3..]);
        for word in text.split(' ') {
            if let Some(days) = word.strip_prefix("dom=") {
                let (from, to) = days.split_once(':').unwrap_or((days, days));
                window.days_of_month.push((from.parse().unwrap(), to.parse().unwrap()));
            } else if let Some(month) = word.strip_prefix("mon=") {
                window.months[usize::from(number(month)) - 1] = true;
            } else if let Some(from) = word.strip_prefix("from=") {
                window.from = Some(utc(from));
            } else if let Some(until) = word.strip_prefix("until=") {
                window.until = Some(utc(until));
            } else if let Some((from, to)) = word.split_once('-') {
                window.times.push((minute(from), minute(to)));
            } else {
                let names = ["mo", "tu", "we", "th", "fr", "sa", "su"];
                window.weekdays[names.iter().position(|name| *name == word).unwrap()] = true;
            }
        }
        window
    }

    /// What, zone, window, at, and the stretch that is next: UTC.
    const STRETCHES: &str = "
        a plain day | UTC | 02:00-04:00 | 2026-11-23T05:00 | 2026-11-24T02:00 2026-11-24T04:00
        running | UTC | 02:00-04:00 | 2026-11-23T03:59 | 2026-11-23T02:00 2026-11-23T04:00
        its end is not in it | UTC | 02:00-04:00 | 2026-11-23T04:00 | 2026-11-24T02:00 2026-11-24T04:00
        in its zone | Asia/Tokyo | 02:00-04:00 | 2026-11-23T00:00 | 2026-11-23T17:00 2026-11-23T19:00
        over midnight | UTC | su 22:00-02:00 | 2026-11-23T01:00 | 2026-11-22T22:00 2026-11-23T02:00
        over midnight, from its own day | UTC | mo 22:00-02:00 | 2026-11-23T01:00 | 2026-11-23T22:00 2026-11-24T02:00
        a whole day | UTC | we | 2026-11-23T01:00 | 2026-11-25T00:00 2026-11-26T00:00
        two days are one stretch | UTC | sa su | 2026-11-23T01:00 | 2026-11-28T00:00 2026-11-30T00:00
        to midnight and on | UTC | sa 20:00-24:00 00:00-02:00 | 2026-11-23T01:00 | 2026-11-28T00:00 2026-11-28T02:00
        the last of the month | UTC | dom=-1 | 2026-11-23T01:00 | 2026-11-30T00:00 2026-12-01T00:00
        the last of February | UTC | dom=-1 mon=2 | 2026-11-23T01:00 | 2027-02-28T00:00 2027-03-01T00:00
        the last of a long February | UTC | dom=-1 mon=2 | 2027-11-23T01:00 | 2028-02-29T00:00 2028-03-01T00:00
        the 29th of February | UTC | dom=29 mon=2 | 2026-11-23T01:00 | 2028-02-29T00:00 2028-03-01T00:00
        a 30th of February never | UTC | dom=30 mon=2 | 2026-11-23T01:00 |
        the 31st: not every month | UTC | dom=31 01:00-02:00 | 2026-11-01T00:00 | 2026-12-31T01:00 2026-12-31T02:00
        the first Sunday | UTC | su dom=1:7 02:00-04:00 | 2026-11-23T00:00 | 2026-12-06T02:00 2026-12-06T04:00
        the last week | UTC | dom=-7:-1 03:00-03:30 | 2026-11-23T01:00 | 2026-11-24T03:00 2026-11-24T03:30
        the last Sunday of a month | UTC | su dom=-7:-1 | 2026-11-23T01:00 | 2026-11-29T00:00 2026-11-30T00:00
        once | UTC | from=2026-12-24T18:00 until=2026-12-27T06:00 | 2026-11-23T01:00 | 2026-12-24T18:00 2026-12-27T06:00
        once, and over | UTC | from=2026-12-24T18:00 until=2026-12-27T06:00 | 2026-12-27T06:00 |
        cut by from | UTC | 02:00-04:00 from=2026-12-24T03:00 | 2026-11-23T01:00 | 2026-12-24T03:00 2026-12-24T04:00
        cut by until | UTC | 02:00-04:00 until=2026-11-23T03:00 | 2026-11-23T01:00 | 2026-11-23T02:00 2026-11-23T03:00
        over by until | UTC | 02:00-04:00 until=2026-11-23T03:00 | 2026-11-23T03:00 |
        # Berlin, 2027-03-28: 02:00 is 03:00; 2026-10-25: 03:00 is 02:00 again.
        Berlin: skipped at its start | Europe/Berlin | 02:00-04:00 | 2027-03-28T00:00 | 2027-03-28T01:00 2027-03-28T02:00
        Berlin: skipped at its end | Europe/Berlin | 01:00-02:30 | 2027-03-27T23:30 | 2027-03-28T00:00 2027-03-28T01:00
        Berlin: skipped whole | Europe/Berlin | 02:00-03:00 | 2027-03-28T00:30 | 2027-03-29T00:00 2027-03-29T01:00
        Berlin: skipped within | Europe/Berlin | 02:15-02:45 | 2027-03-28T00:30 | 2027-03-29T00:15 2027-03-29T00:45
        Berlin: a short day | Europe/Berlin | su | 2027-03-28T00:00 | 2027-03-27T23:00 2027-03-28T22:00
        Berlin: a doubled hour | Europe/Berlin | 02:00-03:00 | 2026-10-24T23:00 | 2026-10-25T00:00 2026-10-25T02:00
        Berlin: within the doubled hour | Europe/Berlin | 02:15-02:45 | 2026-10-24T23:00 | 2026-10-25T00:15 2026-10-25T01:45
        Berlin: over the doubled hour | Europe/Berlin | 22:00-02:30 | 2026-10-24T23:00 | 2026-10-24T20:00 2026-10-25T01:30
        Berlin: a long day | Europe/Berlin | su | 2026-10-25T00:00 | 2026-10-24T22:00 2026-10-25T23:00
        # New York, 2027-03-14 and 2026-11-01.
        New York: skipped at its start | America/New_York | 02:30-04:00 | 2027-03-14T06:00 | 2027-03-14T07:00 2027-03-14T08:00
        New York: skipped whole | America/New_York | 02:00-03:00 | 2027-03-14T06:00 | 2027-03-15T06:00 2027-03-15T07:00
        New York: a doubled hour | America/New_York | 01:00-02:00 | 2026-11-01T00:00 | 2026-11-01T05:00 2026-11-01T07:00
        New York: before and after | America/New_York | su 00:30-03:30 | 2026-11-01T00:00 | 2026-11-01T04:30 2026-11-01T08:30
        # Lord Howe moves by half an hour, 2026-10-04 02:00 → 02:30 and 2027-04-04 02:00 → 01:30.
        Lord Howe: a skipped half hour | Australia/Lord_Howe | 02:15-03:00 | 2026-10-03T12:00 | 2026-10-03T15:30 2026-10-03T16:00
        Lord Howe: skipped whole | Australia/Lord_Howe | 02:00-02:30 | 2026-10-03T15:00 | 2026-10-04T15:00 2026-10-04T15:30
        Lord Howe: a doubled half hour | Australia/Lord_Howe | 01:30-02:00 | 2027-04-03T13:00 | 2027-04-03T14:30 2027-04-03T15:30
        # Where midnight is skipped: Beirut, 2026-03-29.
        Beirut: a day without midnight | Asia/Beirut | su | 2026-03-28T21:00 | 2026-03-28T22:00 2026-03-29T21:00
        a fixed offset | +05:30 | 00:00-01:00 | 2026-11-23T00:00 | 2026-11-23T18:30 2026-11-23T19:30
        all days are one stretch | UTC | mo tu we th fr sa su | 2026-11-23T00:00 | 2026-11-23T00:00 2027-12-29T00:00
    ";

    #[test]
    fn the_next_stretch() {
        let lines =
            STRETCHES.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [what, zone, text, at, expected] = cells[..] else { panic!("{line}") };
            let found = window(zone, text).next(utc(at));
            let found = found.map_or(String::new(), |s| format!("{} {}", shown(s.start), shown(s.end)));
            assert_eq!(found, expected, "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// The stretches cover just the minutes whose wall clock is in it, but for an hour that comes twice.
        #[test]
        fn stretches_are_what_the_wall_clock_shows(
            zone in prop::sample::select(&["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "UTC", "Asia/Kolkata"][..]),
            from in 0..DAY, length in 1..DAY, weekday in prop::option::of(0..7_usize), at in 1_700_000_000..1_900_000_000_i64,
        ) {
            let zone = Zone::parse(zone).unwrap();
            let mut window = Window::new("w", zone);
            window.times = vec![(from, if from + length <= DAY { from + length } else { from + length - DAY })];
            weekday.into_iter().for_each(|day| window.weekdays[day] = true);
            let at = at / 60 * 60_000;
            let span = window.next(at).unwrap();
            prop_assert!(span.start < span.end && span.end > at);
            let shows = |at: Millis| {
                let reading = local(zone, at).unwrap();
                let minute = (reading.and_utc().timestamp_millis() / 60_000 % i64::from(DAY)) as u16;
                let (day, inside) = match window.times[0] {
                    (from, to) if to > from => (reading.date(), (from..to).contains(&minute)),
                    (_, to) if minute < to => (reading.date().pred_opt().unwrap(), true),
                    (from, _) => (reading.date(), minute >= from),
                };
                inside && weekday.is_none_or(|wanted| day.weekday().num_days_from_monday() as usize == wanted)
            };
            // Before it, nothing; at its ends, what it says.
            if span.start > at {
                prop_assert!(!shows(at) && !shows(span.start - 60_000));
            }
            prop_assert!(shows(span.start), "{}", shown(span.start));
            let changes = local(zone, span.start - 7_200_000).unwrap() + (chrono::TimeDelta::milliseconds(span.end - span.start + 14_400_000))
                != local(zone, span.end + 7_200_000).unwrap();
            if !changes {
                prop_assert!(shows(span.end - 60_000), "{}", shown(span.end));
            }
        }

        #[test]
        fn any_time_is_taken(at in any::<Millis>()) {
            let _ = window("Europe/Berlin", "su 02:00-04:00 dom=-1").next(at);
        }
    }
}
