//! The lines of `option httplog`, `httpslog` and `tcplog`, told apart line by line: HTTP has five timers, TCP three.
//! What is not needed for a record is split off, but not looked at.

use super::fields::{
    Notes, Slashed, Step, captures, date, numbers, position, slashed, spaces, stop, timer, word,
};
use super::session::{Mode, Request, Session};
use super::termination::Termination;
use crate::record::Status;

/// How many fields of somebody's own may stand between server and timers.
const EXTRA_MAX: usize = 3;

/// A line that begins with a client and a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A session; its fields are where the caller wanted them.
    Session,
    /// `fe_tls/1: SSL handshake failure`: a connection that never became a session.
    Failed,
}

/// `%ci:%cp [%tr] %ft %b/%s …`
pub(super) fn line<'a, N: Notes<'a>>(
    input: &'a [u8],
    session: &mut Session<'a>,
    notes: &mut N,
) -> Step<'a, Line> {
    let (rest, client) = word(input, "%ci:%cp")?;
    if N::HEARS {
        // The port is after the last colon: HAProxy writes IPv6 without brackets.
        let (address, port) = match memchr::memrchr(b':', client) {
            Some(at) => (client.get(..at).unwrap_or_default(), client.get(at + 1..).unwrap_or_default()),
            None => (client, &b""[..]),
        };
        notes.note("%ci", address);
        notes.note("%cp", port);
    }
    let (rest, date) = date(rest, "%tr")?;
    let (rest, frontend) = word(rest, "%ft")?;
    if let [bind @ .., b':'] = frontend
        && bind.contains(&b'/')
        && !rest.is_empty()
    {
        notes.note("%t", date);
        notes.note("frontend/bind", bind);
        notes.note("message", rest);
        return Ok((&[], Line::Failed));
    }
    let (rest, upstream) = word(rest, "%b/%s")?;
    let Some((backend, server)) = split_server(upstream) else {
        return stop(rest, "%b/%s", "a backend and a server should be here");
    };
    let (rest, timers) = timers(rest)?;
    let mode = if timers.count == 5 { Mode::Http } else { Mode::Tcp };
    (session.mode, session.date) = (mode, date);
    (session.backend, session.server, session.upstream) = (backend, server, upstream);
    session.total = timer(timers.last);
    if session.total.is_none() {
        return stop(rest, "%Ta", "a time in milliseconds should be here");
    }
    notes.note(if mode == Mode::Http { "%tr" } else { "%t" }, date);
    notes.note("%ft", frontend);
    notes.note("%b", backend);
    notes.note("%s", server);
    let (rest, ()) = match mode {
        Mode::Http => http(rest, session, timers, notes)?,
        Mode::Tcp => tcp(rest, session, timers, notes)?,
    };
    Ok((rest, Line::Session))
}

/// `be/s1`, `be/<NOSRV>`
fn split_server(upstream: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = position(upstream, b'/')?;
    let (backend, server) = (upstream.get(..at)?, upstream.get(at + 1..)?);
    (!backend.is_empty() && !server.is_empty()).then_some((backend, server))
}

/// The timers.
fn timers(input: &[u8]) -> Step<'_, Slashed<'_>> {
    match slashed(input, TIMERS) {
        Ok((rest, found)) if matches!(found.count, 3 | 5) => Ok((rest, found)),
        _ => later_timers(input),
    }
}

const TIMERS: &str = "%TR/%Tw/%Tc/%Tr/%Ta";

/// The timers, behind fields that somebody put before them.
#[cold]
fn later_timers(input: &[u8]) -> Step<'_, Slashed<'_>> {
    let mut input = input;
    for _ in 0..EXTRA_MAX {
        (input, _) = word(input, TIMERS)?;
        if let Ok((rest, found)) = slashed(input, TIMERS)
            && matches!(found.count, 3 | 5)
        {
            return Ok((rest, found));
        }
    }
    stop(input, TIMERS, "no timers are here")
}

/// `… %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`
fn http<'a, N: Notes<'a>>(
    input: &'a [u8],
    session: &mut Session<'a>,
    timers: Slashed<'a>,
    notes: &mut N,
) -> Step<'a, ()> {
    note_all(notes, &["%TR", "%Tw", "%Tc", "%Tr", "%Ta"], timers.text);
    let (rest, text) = word(input, "%ST")?;
    let Some(found) = status(text) else { return stop(input, "%ST", "a status should be here") };
    session.status = found;
    notes.note("%ST", text);
    let (rest, bytes) = word(rest, "%B")?;
    notes.note("%B", bytes);
    let (rest, request_cookie) = word(rest, "%CC")?;
    notes.note("%CC", request_cookie);
    let (rest, response_cookie) = word(rest, "%CS")?;
    notes.note("%CS", response_cookie);
    let (rest, ()) = ending(rest, session, "%tsc", notes)?;
    let (rest, queues) = slashed(rest, "%sq/%bq")?;
    note_all(notes, &["%sq", "%bq"], queues.text);
    let (rest, request_headers) = captures(rest, "%hr")?;
    let (rest, response_headers) = match request_headers {
        Some(block) => {
            notes.note("%hr", block);
            captures(rest, "%hs")?
        }
        None => (rest, None),
    };
    if let Some(block) = response_headers {
        notes.note("%hs", block);
    }
    // Cut inside the captures: nothing that counts is lost.
    if rest.is_empty() && request_headers.is_some() {
        return Ok((rest, ()));
    }
    request(rest, session, notes)
}

/// `"GET / HTTP/1.1"`, cut or not, and httpslog's tail or whatever else somebody appended.
fn request<'a, N: Notes<'a>>(input: &'a [u8], session: &mut Session<'a>, notes: &mut N) -> Step<'a, ()> {
    let [b'"', rest @ ..] = input else { return stop(input, "%r", "a quoted request should be here") };
    let (line, tail) = match memchr::memchr(b'"', rest) {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
        None => (rest, &b""[..]),
    };
    session.request = Request::Line(line);
    notes.note("%r", line);
    match tail {
        [] => Ok((tail, ())),
        [b' ', tail @ ..] => {
            if !tail.is_empty() {
                notes.note("further fields", tail);
            }
            Ok((&[], ()))
        }
        _ => stop(tail, "%r", "a quote inside the request"),
    }
}

/// `… %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`
fn tcp<'a, N: Notes<'a>>(
    input: &'a [u8],
    session: &mut Session<'a>,
    timers: Slashed<'a>,
    notes: &mut N,
) -> Step<'a, ()> {
    note_all(notes, &["%Tw", "%Tc", "%Tt"], timers.text);
    let (rest, bytes) = word(input, "%B")?;
    if timer(bytes).is_none() {
        return stop(input, "%B", "a number of bytes should be here");
    }
    notes.note("%B", bytes);
    let (rest, ()) = ending(rest, session, "%ts", notes)?;
    // The last field: nothing follows it, or what somebody appended.
    let (tail, queues) = match position(rest, b' ') {
        Some(at) => (spaces(rest.get(at..).unwrap_or_default()), rest.get(..at).unwrap_or_default()),
        None => (&b""[..], rest),
    };
    match numbers(queues) {
        Some(found) if found.count == 2 => {}
        _ => return stop(rest, "%sq/%bq", "two numbers should be here"),
    }
    note_all(notes, &["%sq", "%bq"], queues);
    if !tail.is_empty() {
        notes.note("further fields", tail);
    }
    Ok((&[], ()))
}

/// `%tsc %ac/%fc/%bc/%sc/%rc `
fn ending<'a, N: Notes<'a>>(
    input: &'a [u8],
    session: &mut Session<'a>,
    field: &'static str,
    notes: &mut N,
) -> Step<'a, ()> {
    let (rest, letters) = word(input, field)?;
    let Some(termination) = Termination::parse(letters) else {
        return stop(input, field, "no termination state");
    };
    session.termination = termination;
    notes.note(field, letters);
    let (rest, connections) = slashed(rest, "%ac/%fc/%bc/%sc/%rc")?;
    if connections.count != 5 {
        return stop(input, "%ac/%fc/%bc/%sc/%rc", "five numbers should be here");
    }
    note_all(notes, &["%ac", "%fc", "%bc", "%sc", "%rc"], connections.text);
    session.retries = connections.last;
    Ok((rest, ()))
}

/// Three digits, or `-1` where the client left before an answer.
#[inline(always)]
pub(super) fn status(text: &[u8]) -> Option<Status> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(Status::new(u16::from(a & 15) * 100 + u16::from(b & 15) * 10 + u16::from(c & 15)))
        }
        b"-1" | b"0" | b"-" => Some(Status::NONE),
        _ => None,
    }
}

fn note_all<'a, N: Notes<'a>>(notes: &mut N, names: &[&'static str], text: &'a [u8]) {
    if N::HEARS {
        names.iter().zip(text.split(|&b| b == b'/')).for_each(|(name, value)| notes.note(name, value));
    }
}
