//! Numbers, times and columns as people read them.

pub use crate::figures::{commas, ratio};
use gatewatch_parsers::Millis;
use std::borrow::Cow;
use std::fmt::Write;

/// `0.40 %`, `59.7 %`, `100 %`; never `0.00 %` for something, never `100 %` for less than all.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let p = ratio * 100.0;
    if p <= 0.0 {
        "0 %".to_owned()
    } else if p >= 100.0 {
        "100 %".to_owned()
    } else if p < 0.01 {
        "<0.01 %".to_owned()
    } else if p < 9.995 {
        format!("{p:.2} %")
    } else {
        format!("{:.1} %", p.min(99.9))
    }
}

/// A share to the nearest percent: `93 %`; `<1 %` for something.
#[must_use]
pub fn share(ratio: f64) -> String {
    let p = ratio * 100.0;
    if p <= 0.0 {
        "0 %".to_owned()
    } else if p < 1.0 {
        "<1 %".to_owned()
    } else if ratio < 1.0 && p >= 99.5 {
        ">99 %".to_owned()
    } else {
        format!("{p:.0} %")
    }
}

/// `252ms`, `1.26s`, `61s`.
#[must_use]
pub fn duration_ms(ms: u32) -> String {
    match ms {
        0..1000 => format!("{ms}ms"),
        1000..10_000 => format!("{:.2}s", f64::from(ms) / 1000.0),
        _ => format!("{}s", ms / 1000),
    }
}

/// `5 s`, `a minute`: the length of a chart's column.
#[must_use]
pub fn every(step: Millis) -> String {
    match step / 1000 {
        60 => "a minute".to_owned(),
        3600 => "an hour".to_owned(),
        86_400 => "a day".to_owned(),
        s if s % 86_400 == 0 => format!("per {} days", s / 86_400),
        s if s % 3600 == 0 => format!("per {} h", s / 3600),
        s if s % 60 == 0 => format!("per {} min", s / 60),
        s => format!("per {s} s"),
    }
}

fn utc(at: Millis) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(at).unwrap_or_default()
}

/// `2026-11-01 00:22:30`
#[must_use]
pub fn stamp(at: Millis) -> String {
    utc(at).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `00:22:30`; with the date where a span covers several days.
#[must_use]
pub fn clock(at: Millis, with_date: bool) -> String {
    utc(at).format(if with_date { "%m-%d %H:%M:%S" } else { "%H:%M:%S" }).to_string()
}

/// `00:22:30`; with the date where a span covers several days and this is not the day of `before`.
#[must_use]
pub fn clock_after(at: Millis, before: Millis, with_date: bool) -> String {
    clock(at, with_date && !same_day(at, before))
}

/// `00:22`, for commands.
#[must_use]
pub fn minute(at: Millis, with_date: bool) -> String {
    utc(at).format(if with_date { "%Y-%m-%dT%H:%M" } else { "%H:%M" }).to_string()
}

/// `00:22`, or `00:22:35` where a column is shorter than a minute.
#[must_use]
pub fn minute_or_second(at: Millis, step: Millis, with_date: bool) -> String {
    let text = clock(at, with_date);
    if step < 60_000 { text } else { text.get(..text.len() - 3).unwrap_or(&text).to_owned() }
}

/// Whether two times are on one UTC day.
#[must_use]
pub fn same_day(a: Millis, b: Millis) -> bool {
    utc(a).date_naive() == utc(b).date_naive()
}

/// What moves the cursor, turns the direction of what follows, or is not seen at all.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text from a log, safe for a terminal: control characters, and those that turn text around, are written out.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unprintable(c) {
            let _ = write!(safe, "\\u{{{:x}}}", c as u32);
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The same of a text of several lines, which stay lines.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Columns that text takes (no wide characters are made here; log text may have some, and only misaligns).
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Cut to `width` columns, with an ellipsis where something is missing.
#[must_use]
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    Cow::Owned(kept + "…")
}

/// Cut to `width` columns at its start: a path's end says more.
#[must_use]
pub fn cut_start(text: &str, width: usize) -> Cow<'_, str> {
    let all = columns(text);
    if all <= width {
        return Cow::Borrowed(text);
    }
    Cow::Owned(std::iter::once('…').chain(text.chars().skip(all + 1 - width.max(1))).collect())
}

/// Breaks at spaces so that no line is wider; what follows the first is indented.
#[must_use]
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + 16);
    let mut used = 0;
    // A percent sign and the number before it stay together.
    for word in text.replace(" %", "\u{a0}%").split(' ') {
        let len = columns(word);
        if used > 0 && used + 1 + len > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            used = indent;
        } else if used > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += len;
    }
    wrapped.replace('\u{a0}', " ")
}

/// Which side a column's text stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// No column is cut to less.
const NARROW: usize = 8;

/// Rows of equal length, the first one the head, as aligned columns two spaces apart. The widest left columns are cut so
/// that the whole fits `width`; trailing spaces are not written.
#[must_use]
pub fn grid(rows: &[Vec<String>], align: &[Align], width: usize) -> Vec<String> {
    let mut widths: Vec<usize> = align
        .iter()
        .enumerate()
        .map(|(i, _)| rows.iter().filter_map(|r| r.get(i)).map(|c| columns(c)).max().unwrap_or(0))
        .collect();
    let total: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    for _ in width..total {
        let left = widths.iter_mut().zip(align).filter(|(_, align)| **align == Align::Left);
        let widest = left.map(|(width, _)| width).max_by_key(|width| **width);
        match widest.filter(|widest| **widest > NARROW) {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for ((cell, width), align) in row.iter().zip(&widths).zip(align) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                let cell = cut(cell, *width);
                let pad = " ".repeat(width.saturating_sub(columns(&cell)));
                match align {
                    Align::Left => line.extend([cell.as_ref(), &pad]),
                    Align::Right => line.extend([pad.as_str(), cell.as_ref()]),
                }
            }
            line.trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let percents = [0.0, 0.000_01, 0.004, 0.008_97, 0.0999, 0.1, 0.597, 0.999_99, 1.0];
        let shown = ["0 %", "<0.01 %", "0.40 %", "0.90 %", "9.99 %", "10.0 %", "59.7 %", "99.9 %", "100 %"];
        assert_eq!(percents.map(percent), shown);
        assert_eq!([0.0, 0.001, 0.93, 0.999, 1.0].map(share), ["0 %", "<1 %", "93 %", ">99 %", "100 %"]);
        assert_eq!([0, 252, 1260, 61_000].map(duration_ms), ["0ms", "252ms", "1.26s", "61s"]);
    }

    #[test]
    fn log_text_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\r\n"), "a\\u{1b}[2Jb\\u{d}\\u{a}");
        assert_eq!(printable("Zürich"), "Zürich");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn grids_fit() {
        let rows = [vec!["UPSTREAM".into(), "N".into()], vec!["a".repeat(60), "1".into()]];
        let lines = grid(&rows, &[Align::Left, Align::Right], 40);
        assert!(lines.iter().all(|l| columns(l) <= 40), "{lines:?}");
        assert!(lines[1].contains('…'));
    }

    #[test]
    fn wrapping_keeps_percent_signs() {
        assert_eq!(wrap("aaa bbb 50 % ccc", 10, 2), "aaa bbb\n  50 % ccc");
    }
}
