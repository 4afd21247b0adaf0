//! Lines that a case writes by itself: a template, every so often.

use super::case::Lines;
use chrono::DateTime;
use chrono::format::{Item, StrftimeItems};
use gatewatch_parsers::Millis;
use std::fmt::Write;

/// Bytes of one case's lines at most.
const LARGEST: usize = 256 << 20;

/// A piece of a template.
#[derive(Debug)]
enum Piece<'a> {
    Text(&'a str),
    Time(Vec<Item<'a>>),
    Rfc3339,
    Msec,
    Number,
}

/// The lines of all templates, in the order of their times; of one time, in the order of the templates.
///
/// # Errors
/// A template that makes no sense, or too many lines.
pub fn written(lines: &[Lines], start: Millis) -> Result<Vec<u8>, String> {
    let mut all: Vec<(Millis, usize, u64)> = Vec::new();
    let mut templates = Vec::new();
    let mut bytes = 0;
    for (at, lines) in lines.iter().enumerate() {
        templates.push(pieces(&lines.line)?);
        let times = times(lines)?;
        bytes += times.len().saturating_mul(lines.line.len() + 16);
        if bytes > LARGEST {
            return Err("over 256 MiB: write fewer, or shorter".to_owned());
        }
        all.extend(times.into_iter().zip(0..).map(|(time, n)| (time, at, n)));
    }
    all.sort_unstable();
    let mut text = String::with_capacity(bytes.min(1 << 20));
    for (time, at, n) in all {
        let time = DateTime::from_timestamp_millis(start.saturating_add(time)).unwrap_or_default();
        for piece in templates.get(at).into_iter().flatten() {
            let _ = match piece {
                Piece::Text(plain) => text.write_str(plain),
                Piece::Time(items) => write!(text, "{}", time.format_with_items(items.iter())),
                Piece::Rfc3339 => write!(text, "{}", time.format("%Y-%m-%dT%H:%M:%S%.3f+00:00")),
                Piece::Msec => write!(text, "{}", time.format("%s%.3f")),
                Piece::Number => write!(text, "{n}"),
            };
        }
        text.push('\n');
    }
    Ok(text.into_bytes())
}

fn times(lines: &Lines) -> Result<Vec<Millis>, String> {
    let (to, every) = match (lines.to, lines.every) {
        (None, None) => return Ok(vec![lines.from]),
        (Some(to), Some(every)) if every > 0 => (to, every),
        (Some(_), _) => return Err("`to` needs `every`: the time between two lines, above 0".to_owned()),
        (None, Some(_)) => return Err("`every` needs `to`: no line is written at or after".to_owned()),
    };
    if to <= lines.from {
        return Err("`to` must be after `from`".to_owned());
    }
    // No line is shorter than its newline.
    if (to - lines.from) / every > LARGEST as Millis {
        return Err("over 256 MiB: write fewer, or shorter".to_owned());
    }
    Ok((lines.from..to).step_by(usize::try_from(every).unwrap_or(usize::MAX)).collect())
}

/// Braces that hold none of our words are the log's own.
fn pieces(line: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut plain = 0;
    for (open, _) in line.match_indices('{') {
        let Some(inside) = line.get(open + 1..).and_then(|rest| rest.split_once('}')).map(|(word, _)| word)
        else {
            continue;
        };
        let piece = match inside {
            "time" => Piece::Rfc3339,
            "msec" => Piece::Msec,
            "n" => Piece::Number,
            _ => match inside.strip_prefix("time:") {
                Some(format) => Piece::Time(StrftimeItems::new(format).parse().map_err(|_| {
                    format!("`{{{inside}}}` is no time format: write e.g. {{time:%d/%b/%Y:%H:%M:%S %z}}")
                })?),
                None => continue,
            },
        };
        found.extend(line.get(plain..open).map(Piece::Text));
        found.push(piece);
        plain = open + inside.len() + 2;
    }
    found.extend(line.get(plain..).map(Piece::Text));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(line: &str, from: Millis, to: Option<Millis>, every: Option<Millis>) -> Lines {
        Lines { line: line.to_owned(), from, to, every }
    }

    #[test]
    fn templates() {
        let two = [
            lines("a {n} [{time:%d/%b/%Y:%H:%M:%S %z}]", 0, Some(2_000), Some(1_000)),
            lines("{\"t\":{msec},\"{x}\":\"{time}\"}", 500, None, None),
        ];
        let text = String::from_utf8(written(&two, 0).unwrap()).unwrap();
        assert_eq!(
            text,
            "a 0 [01/Jan/1970:00:00:00 +0000]\n\
             {\"t\":0.500,\"{x}\":\"1970-01-01T00:00:00.500+00:00\"}\n\
             a 1 [01/Jan/1970:00:00:01 +0000]\n"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let cases = [
            lines("{time:%Q}", 0, None, None),
            lines("x", 0, Some(5), None),
            lines("x", 0, Some(5), Some(0)),
            lines("x", 0, None, Some(5)),
            lines("x", 5, Some(5), Some(1)),
            lines("x", 0, Some(Millis::MAX), Some(1)),
            lines(&"x".repeat(1_000), 0, Some(1_000_000), Some(1)),
        ];
        for case in cases {
            let said = format!("{case:?}");
            assert!(written(&[case], 0).is_err(), "{}", &said[..said.len().min(80)]);
        }
        assert!(written(&[lines("{ {n {} é}", 0, None, None)], 0).is_ok());
    }
}
