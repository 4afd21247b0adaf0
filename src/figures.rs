//! The few figures that reports and messages write alike.

use chrono::DateTime;
use gatewatch_parsers::Millis;

/// `3,000,000`
#[must_use]
pub fn commas(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole`, 0 of nothing.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// RFC 3339 in UTC, milliseconds only if there are any.
#[must_use]
pub fn rfc3339(time: Millis) -> String {
    let pattern = if time % 1_000 == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" };
    DateTime::from_timestamp_millis(time)
        .map_or_else(|| "0001-01-01T00:00:00Z".into(), |utc| utc.format(pattern).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let table = [(0, "0"), (999, "999"), (1_000, "1,000"), (26_926, "26,926"), (3_000_000, "3,000,000")];
        for (n, expected) in table {
            assert_eq!(commas(n), expected);
        }
        assert_eq!((ratio(1, 0), ratio(1, 4)), (0.0, 0.25));
        let times = [(0, "1970-01-01T00:00:00Z"), (1_795_359_233_243, "2026-11-22T14:53:53.243Z")];
        for (time, expected) in times {
            assert_eq!(rfc3339(time), expected);
        }
        assert_eq!(rfc3339(Millis::MAX), "0001-01-01T00:00:00Z");
    }
}
