//! `--since` and `--until`: stamps, times of day, and spans back from now.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use gatewatch_parsers::Millis;

/// Understands `2026-11-01T00:22:30Z`, `2026-11-01 00:22`, `2026-11-01`, `00:22:30` (on the day of `first`, the log's
/// first record) and `-3h` (before `now`). Without a zone it is UTC, as the report prints.
///
/// # Errors
/// A sentence that says what is understood.
pub fn parse(text: &str, now: Millis, first: Option<Millis>) -> Result<Millis, String> {
    let text = text.trim();
    if let Some(span) = text.strip_prefix('-') {
        let span = crate::config::parse_duration(span)
            .ok_or_else(|| format!("`{text}` is no span: write e.g. -3h, -90m, -1d"))?;
        return Ok(now - span);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    let text = text.trim_end_matches(" UTC").trim_end_matches('Z');
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(time.and_utc().timestamp_millis());
        }
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
    }
    for format in ["%H:%M:%S%.f", "%H:%M"] {
        if let Ok(time) = NaiveTime::parse_from_str(text, format) {
            let day = first
                .and_then(DateTime::from_timestamp_millis)
                .ok_or("a time of day needs a log with dates")?;
            return Ok(day.date_naive().and_time(time).and_utc().timestamp_millis());
        }
    }
    Err(format!(
        "`{text}` is no time: write 2026-11-01T00:22:30Z, 2026-11-01, 00:22 (of the log's first day) or -3h"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let first = DateTime::parse_from_rfc3339("2026-11-01T10:00:00Z").unwrap();
        let now = (first + chrono::TimeDelta::days(1)).timestamp_millis();
        let at = |text: &str| parse(text, now, Some(first.timestamp_millis())).map(crate::reports::rfc3339);
        let table = [
            ("2026-11-01T00:22:30Z", "2026-11-01T00:22:30Z"),
            ("2026-11-01T01:22:30+01:00", "2026-11-01T00:22:30Z"),
            ("2026-11-01 00:22", "2026-11-01T00:22:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("00:22", "2026-11-01T00:22:00Z"),
            ("00:22:30", "2026-11-01T00:22:30Z"),
            ("-3h", "2026-11-02T07:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(at(text).unwrap(), expected, "{text}");
        }
        assert!(at("yesterday").unwrap_err().contains("-3h"));
        assert!(at("-3x").is_err());
    }
}
