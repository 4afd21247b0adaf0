//! Figures as people read them: `20.9 %`, `14,946`, `5 min`, `00:22:30 UTC`.

pub use crate::figures::{commas as count, ratio, rfc3339};
use chrono::{DateTime, FixedOffset, Offset, TimeZone, Utc};
use gatewatch_parsers::{Millis, Zone};

const DAY: Millis = 86_400_000;

/// A ratio: `20.9 %`, `0.04 %`; `100 %` and `0 %` only when it is so.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if !percent.is_finite() || percent <= 0.0 {
        return "0 %".into();
    }
    let text = match percent {
        p if p < 0.01 => return "under 0.01 %".into(),
        p if p < 0.095 => format!("{p:.2}"),
        p if p < 100.0 => format!("{:.1}", p.min(99.9)),
        p => format!("{p:.1}"),
    };
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// A share of a whole, where whole percents are enough from 10 % on: `99 %`, `8.4 %`.
#[must_use]
pub fn share(ratio: f64) -> String {
    if (0.1..1.0).contains(&ratio) { format!("{:.0} %", (ratio * 100.0).min(99.0)) } else { percent(ratio) }
}

/// `45 s`, `2 min 30 s`, `12 min`, `1 h 5 min`, `2 d 3 h`.
#[must_use]
pub fn span(length: Millis) -> String {
    let seconds = length.max(0) / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => format!("{} ms", length.max(0)),
        1..60 => format!("{seconds} s"),
        60..600 => two(minutes, "min", seconds % 60, "s"),
        600..3_600 => format!("{minutes} min"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

fn two(first: i64, unit: &str, second: i64, smaller: &str) -> String {
    if second == 0 { format!("{first} {unit}") } else { format!("{first} {unit} {second} {smaller}") }
}

/// Prints times for one reader: UTC, and beside it the local time of a zone.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zone: Zone,
    /// Times of this day need no date.
    today: Millis,
}

impl Clock {
    /// For a message put together at `now`.
    #[must_use]
    pub fn new(zone: Zone, now: Millis) -> Clock {
        Clock { zone, today: now.div_euclid(DAY) }
    }

    /// `00:22:30 UTC`, with the date if it is not today's.
    #[must_use]
    pub fn utc(&self, time: Millis) -> String {
        format!("{} UTC", self.bare(time, "%H:%M:%S"))
    }

    /// `03:14 UTC`
    #[must_use]
    pub fn utc_minute(&self, time: Millis) -> String {
        format!("{} UTC", self.bare(time, "%H:%M"))
    }

    /// `00:22:30–00:27:30 UTC`
    #[must_use]
    pub fn utc_range(&self, from: Millis, to: Millis) -> String {
        let (a, b) = (self.bare(from, "%H:%M:%S"), self.bare(to, "%H:%M:%S"));
        let dash = if a.contains(' ') || b.contains(' ') { " – " } else { "–" };
        format!("{a}{dash}{b} UTC")
    }

    /// `00:22:30 UTC (01:22:30 Berlin)`; without the local time where that is UTC.
    #[must_use]
    pub fn both(&self, time: Millis) -> String {
        let local = self.local(time).map_or(String::new(), |local| format!(" ({local})"));
        format!("{}{local}", self.utc(time))
    }

    /// `01:22:30 Berlin`, with the date if it is not that of UTC; `None`: it is UTC.
    #[must_use]
    pub fn local(&self, time: Millis) -> Option<String> {
        let utc = date_time(time)?;
        let (offset, name) = match self.zone {
            Zone::Fixed(millis) => (FixedOffset::east_opt(millis / 1_000)?, None),
            Zone::Named(zone) => {
                (zone.offset_from_utc_datetime(&utc.naive_utc()).fix(), zone.name().rsplit('/').next())
            }
        };
        if offset.local_minus_utc() == 0 {
            return None;
        }
        let local = utc.with_timezone(&offset);
        let same_day = local.date_naive() == utc.date_naive();
        let pattern = if same_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        let name = name.map_or_else(|| offset.to_string(), |name| name.replace('_', " "));
        Some(format!("{} {name}", local.format(pattern)))
    }

    fn bare(&self, time: Millis, pattern: &str) -> String {
        let Some(utc) = date_time(time) else { return "?".into() };
        let day = if time.div_euclid(DAY) == self.today { "" } else { "%Y-%m-%d " };
        utc.format(&format!("{day}{pattern}")).to_string()
    }
}

fn date_time(time: Millis) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Millis = 1_793_492_550_000; // 2026-11-01 00:22:30 UTC

    #[test]
    fn figures() {
        let percents = [
            (0.0, "0 %"),
            (-1.0, "0 %"),
            (f64::NAN, "0 %"),
            (0.000_01, "under 0.01 %"),
            (0.0004, "0.04 %"),
            (0.004, "0.4 %"),
            (0.2, "20 %"),
            (0.209, "20.9 %"),
            (0.9999, "99.9 %"),
            (1.0, "100 %"),
            (1.5, "150 %"),
        ];
        for (ratio, expected) in percents {
            assert_eq!(percent(ratio), expected, "{ratio}");
        }
        for (ratio, expected) in
            [(0.991, "99 %"), (0.999, "99 %"), (1.0, "100 %"), (0.0837, "8.4 %"), (0.5, "50 %")]
        {
            assert_eq!(share(ratio), expected, "{ratio}");
        }
        let spans = [
            (-5, "0 ms"),
            (400, "400 ms"),
            (45_000, "45 s"),
            (300_000, "5 min"),
            (150_000, "2 min 30 s"),
            (754_000, "12 min"),
            (3_900_000, "1 h 5 min"),
            (14_400_000, "4 h"),
            (183_600_000, "2 d 3 h"),
        ];
        for (length, expected) in spans {
            assert_eq!(span(length), expected);
        }
    }

    #[test]
    fn times() {
        let berlin = Clock::new(Zone::Named(chrono_tz::Europe::Berlin), T);
        assert_eq!(berlin.both(T), "00:22:30 UTC (01:22:30 Berlin)");
        assert_eq!(berlin.both(T - DAY / 2), "2026-10-31 12:22:30 UTC (13:22:30 Berlin)");
        assert_eq!(berlin.utc_minute(T), "00:22 UTC");
        assert_eq!(berlin.utc_range(T, T + 300_000), "00:22:30–00:27:30 UTC");
        assert_eq!(berlin.utc_range(T - 3_600_000, T), "2026-10-31 23:22:30 – 00:22:30 UTC");
        let new_york = Clock::new(Zone::Named(chrono_tz::America::New_York), T);
        assert_eq!(new_york.both(T), "00:22:30 UTC (2026-10-31 20:22:30 New York)");
        assert_eq!(Clock::new(Zone::Named(chrono_tz::Europe::London), T).both(T), "00:22:30 UTC");
        assert_eq!(Clock::new(Zone::Fixed(0), T).both(T), "00:22:30 UTC");
        assert_eq!(Clock::new(Zone::Fixed(19_800_000), T).both(T), "00:22:30 UTC (05:52:30 +05:30)");
        assert_eq!(berlin.both(Millis::MAX), "? UTC");
    }
}
