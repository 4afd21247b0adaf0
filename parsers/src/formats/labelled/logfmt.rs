//! logfmt: `name=value`, blanks between; a value with blanks stands between quotes, and `\` escapes in there. A name
//! alone is true.

use nom::Parser;
use nom::bytes::complete::{take_while, take_while1};

use super::Stopped;
use crate::text::{self, Failed, Piece};

/// Whether a name and a value come first.
pub(super) fn begins(line: &[u8]) -> bool {
    name(line).is_ok_and(|(rest, _)| rest.starts_with(b"="))
}

fn name(rest: &[u8]) -> Piece<'_> {
    take_while1::<_, _, Failed<'_>>(|b: u8| b.is_ascii_alphanumeric() || b"_.-@/#:".contains(&b))
        .parse_complete(rest)
}

fn value(rest: &[u8]) -> Piece<'_> {
    if let Some(inner) = rest.strip_prefix(b"\"") {
        let (rest, value) = text::escaped(inner)?;
        return Ok((rest.get(1..).unwrap_or_default(), value));
    }
    take_while::<_, _, Failed<'_>>(|b| b != b' ' && b != b'"').parse_complete(rest)
}

pub(super) fn pairs<'a>(text: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), Stopped> {
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
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
