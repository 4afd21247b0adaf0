//! `option httplog clf`: a common log line with HAProxy's fields behind it, most of them quoted. A configuration that
//! spells it out as a `log-format` often leaves stray backslashes in it.

use super::fields::{Notes, Step, date, number, spaces, stop, timer, word};
use super::httplog::status;
use super::names::Names;
use super::session::{Request, Session};
use super::termination::Termination;

/// `%ci - - [%trg] "%r" %ST %B "" "" %cp %ms "%ft" "%b" "%s" %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc …`
pub(super) fn line<'a, N: Notes<'a>>(
    input: &'a [u8],
    names: &'a Names,
    notes: &mut N,
) -> Step<'a, Session<'a>> {
    let mut rest = input;
    let mut take = |rest: &mut &'a [u8], name: &'static str| -> Result<&'a [u8], nom::Err<_>> {
        let (after, value) = bare(rest, name)?;
        notes.note(name, value);
        *rest = after;
        Ok(value)
    };
    take(&mut rest, "%ci")?;
    (rest, _) = word(rest, "-")?;
    (rest, _) = word(rest, "-")?;
    let date_at = rest;
    let (after, date) = date(date_at, "%trg")?;
    let (after, request) = quoted(after)?;
    rest = after;
    let mut session = Session::new();
    session.date = date;
    session.request = Request::Line(request);
    let at = rest;
    match status(take(&mut rest, "%ST")?) {
        Some(found) => session.status = found,
        None => return stop(at, "%ST", "a status should be here"),
    }
    take(&mut rest, "%B")?;
    (rest, _) = word(rest, "\"\"")?;
    (rest, _) = word(rest, "\"\"")?;
    take(&mut rest, "%cp")?;
    // The milliseconds of the connection's beginning: right for its first request, no worse than none for the others.
    session.later = number(take(&mut rest, "%ms")?).filter(|ms| *ms < 1_000).unwrap_or(0);
    take(&mut rest, "%ft")?;
    session.backend = take(&mut rest, "%b")?;
    session.server = take(&mut rest, "%s")?;
    for name in ["%TR", "%Tw", "%Tc", "%Tr"] {
        let at = rest;
        if timer(take(&mut rest, name)?).is_none() {
            return stop(at, name, "a time in milliseconds should be here");
        }
    }
    let at = rest;
    session.total = timer(take(&mut rest, "%Ta")?);
    if session.total.is_none() {
        return stop(at, "%Ta", "a time in milliseconds should be here");
    }
    let at = rest;
    match Termination::parse(take(&mut rest, "%tsc")?) {
        Some(found) => session.termination = found,
        None => return stop(at, "%tsc", "no termination state"),
    }
    for name in ["%ac", "%fc", "%bc", "%sc"] {
        take(&mut rest, name)?;
    }
    session.retries = take(&mut rest, "%rc")?;
    session.upstream = names.join(session.backend, session.server);
    notes.note("%trg", date);
    notes.note("%r", request);
    if !rest.is_empty() {
        notes.note("further fields", rest);
    }
    Ok((&[], session))
}

/// A word without its quotes, and without a backslash that the configuration left there.
fn bare<'a>(input: &'a [u8], field: &'static str) -> Step<'a, &'a [u8]> {
    let (rest, word) = word(input, field)?;
    let is_wrapping = |b: &u8| matches!(b, b'"' | b'\\');
    let from = word.iter().position(|b| !is_wrapping(b)).unwrap_or(word.len());
    let to = word.iter().rposition(|b| !is_wrapping(b)).map_or(from, |at| at + 1);
    Ok((rest, word.get(from..to).unwrap_or_default()))
}

/// `"GET / HTTP/1.1" `
fn quoted(input: &[u8]) -> Step<'_, &[u8]> {
    let field = "%r";
    let rest = input.strip_prefix(b"\\").unwrap_or(input);
    let [b'"', rest @ ..] = rest else { return stop(input, field, "a quoted request should be here") };
    let Some(at) = memchr::memchr(b'"', rest) else { return stop(input, field, "the request has no end") };
    match rest.get(at + 1..) {
        Some([b' ', after @ ..]) => {
            let request = rest.get(..at).unwrap_or_default();
            Ok((spaces(after), request.strip_suffix(b"\\").unwrap_or(request)))
        }
        _ => stop(input, field, "a space should follow the request"),
    }
}
