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
    let mut session = Session::new();
    let (rest, ()) = common(input, &mut session, notes)?;
    let (rest, ()) = own(rest, &mut session, notes)?;
    session.upstream = names.join(session.backend, session.server);
    if !rest.is_empty() {
        notes.note("further fields", rest);
    }
    Ok((&[], session))
}

/// What every common log has, up to the empty referrer and user agent.
fn common<'a, N: Notes<'a>>(input: &'a [u8], session: &mut Session<'a>, notes: &mut N) -> Step<'a, ()> {
    let (rest, _) = noted(input, "%ci", notes)?;
    let (rest, _) = word(rest, "-")?;
    let (rest, _) = word(rest, "-")?;
    let (rest, date) = date(rest, "%trg")?;
    notes.note("%trg", date);
    let (rest, request) = quoted(rest)?;
    notes.note("%r", request);
    (session.date, session.request) = (date, Request::Line(request));
    let at = rest;
    let (rest, text) = noted(rest, "%ST", notes)?;
    match status(text) {
        Some(found) => session.status = found,
        None => return stop(at, "%ST", "a status should be here"),
    }
    let (rest, _) = noted(rest, "%B", notes)?;
    let (rest, _) = word(rest, "\"\"")?;
    let (rest, _) = word(rest, "\"\"")?;
    Ok((rest, ()))
}

/// What HAProxy writes behind it.
fn own<'a, N: Notes<'a>>(input: &'a [u8], session: &mut Session<'a>, notes: &mut N) -> Step<'a, ()> {
    let (rest, _) = noted(input, "%cp", notes)?;
    // The milliseconds of the connection's beginning: right for its first request, no worse than none for the others.
    let (rest, ms) = noted(rest, "%ms", notes)?;
    session.later = number(ms).filter(|ms| *ms < 1_000).unwrap_or(0);
    let (mut rest, _) = noted(rest, "%ft", notes)?;
    (rest, session.backend) = noted(rest, "%b", notes)?;
    (rest, session.server) = noted(rest, "%s", notes)?;
    for name in ["%TR", "%Tw", "%Tc", "%Tr", "%Ta"] {
        let at = rest;
        let text;
        (rest, text) = noted(rest, name, notes)?;
        // The last one stays: the total.
        session.total = timer(text);
        if session.total.is_none() {
            return stop(at, name, "a time in milliseconds should be here");
        }
    }
    let at = rest;
    let text;
    (rest, text) = noted(rest, "%tsc", notes)?;
    match Termination::parse(text) {
        Some(found) => session.termination = found,
        None => return stop(at, "%tsc", "no termination state"),
    }
    for name in ["%ac", "%fc", "%bc", "%sc"] {
        (rest, _) = noted(rest, name, notes)?;
    }
    (rest, session.retries) = noted(rest, "%rc", notes)?;
    Ok((rest, ()))
}

/// A [`bare`] word, told.
fn noted<'a, N: Notes<'a>>(input: &'a [u8], name: &'static str, notes: &mut N) -> Step<'a, &'a [u8]> {
    let (rest, value) = bare(input, name)?;
    notes.note(name, value);
    Ok((rest, value))
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
