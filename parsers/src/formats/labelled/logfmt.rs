//! logfmt: `name=value`, blanks between; a value with blanks stands between quotes, and `\` escapes in there. A name
//! alone is true.

use super::Stopped;
use crate::text::{self, Piece};

/// Whether a name and a value come first.
pub(super) fn begins(line: &[u8]) -> bool {
    name(line).is_ok_and(|(rest, _)| rest.starts_with(b"="))
}

const NAME: [bool; 256] = text::word_bytes(b"_.-@/#:");

pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && text::run_of(&NAME, name) == name.len()
}

fn name(rest: &[u8]) -> Piece<'_> {
    match rest.split_at_checked(text::run_of(&NAME, rest)) {
        Some((name, after)) if !name.is_empty() => Ok((after, name)),
        _ => text::fail(rest),
    }
}

fn value(rest: &[u8]) -> Piece<'_> {
    if let Some(inner) = rest.strip_prefix(b"\"") {
        let (rest, value) = text::escaped(inner)?;
        return Ok((rest.get(1..).unwrap_or_default(), value));
    }
    let (value, rest) = rest.split_at(text::find_either(b' ', b'"', rest).unwrap_or(rest.len()));
    Ok((rest, value))
}

/// Calls `each` for every name and its value. All names are looked at, known or not: their ends are found so.
#[inline(always)]
pub(super) fn pairs<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8], &'a [u8]) -> bool,
) -> Result<(), Stopped> {
    let mut rest = text;
    loop {
        if rest.first().is_some_and(|b| *b <= b' ') {
            rest = rest.trim_ascii_start();
        }
        if rest.is_empty() {
            return Ok(());
        }
        let stopped = |rest: &[u8], reason| Err(Stopped { at: text.len() - rest.len(), reason });
        let Ok((after, name)) = name(rest) else { return stopped(rest, "a name was expected") };
        rest = match after.strip_prefix(b"=") {
            Some(text) => match value(text) {
                Ok((after, value)) => {
                    each(name, value);
                    after
                }
                Err(_) => return stopped(text, "a quote that does not end"),
            },
            None => after,
        };
        if !matches!(rest.first(), None | Some(b' ' | b'\t')) {
            return stopped(rest, "a blank was expected");
        }
    }
}
