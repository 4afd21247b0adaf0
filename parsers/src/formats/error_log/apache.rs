//! Apache's error log, 2.2 and 2.4: `[DATE] [module:level] [pid P:tid T] [file(line): ][(errno)words: ][[client A] ][AHnnnnn:
//! ]MESSAGE[, referer: R]`. mod_proxy writes two or three lines for one failure; the one that names the backend and the
//! error is counted, its companions (`failed to make connection to backend`, `Error reading from remote server returned by`,
//! `bad HTTP/1.1 header returned by`, `pass request body failed to … from`) are other by nature.

use memchr::memmem::find;
use nom::Parser;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::recognize;
use nom::sequence::{delimited, preceded, terminated};

use super::errno::Errno;
use super::place;
use super::{Dialect, Iso, Line, Said, Stopped, TOO_EARLY, stop};
use crate::diagnosis::Effect;
use crate::event::Happened;
use crate::reason::Reason;
use crate::text::Piece;

pub(super) static DIALECT: Dialect =
    Dialect { name: "apache-error", title: "Apache error log", read, date, goes_on };

/// `Sun Nov 22 15:18:28.773695 2026`, with or without a fraction; `2026-11-22 15:18:28.773695`.
fn date(text: &[u8]) -> Option<Iso> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut iso = *b"0000-00-00T00:00:00.000";
    let (day, clock) = if text.first()?.is_ascii_digit() {
        let (day, clock) = text.split_at_checked(11)?;
        (*day.first_chunk::<11>()?, clock)
    } else {
        let [_, _, _, b' ', m1, m2, m3, b' ', d1, d2, b' ', clock @ ..] = text else { return None };
        let name = [*m1, *m2, *m3];
        let (month, _) = (1u8..).zip(MONTHS.chunks_exact(3)).find(|(_, month)| *month == name)?;
        let (clock, year) = clock.split_at_checked(clock.len().checked_sub(5)?)?;
        let [b' ', y1, y2, y3, y4] = year else { return None };
        let tens = if *d1 == b' ' { b'0' } else { *d1 };
        ([*y1, *y2, *y3, *y4, b'-', b'0' + month / 10, b'0' + month % 10, b'-', tens, *d2, b' '], clock)
    };
    let (seconds, fraction) = clock.split_at_checked(8)?;
    let millis = match fraction {
        [] => *b".000",
        [b'.', a, b, c, ..] => [b'.', *a, *b, *c],
        _ => return None,
    };
    for (slot, byte) in iso.iter_mut().zip(day.iter().chain(seconds).chain(&millis)) {
        *slot = *byte;
    }
    Some(iso)
}

/// What applications write on their standard error has no head at all.
fn goes_on(text: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 5] = [b"PHP ", b"Stack trace:", b"  thrown in ", b"Traceback ", b"AH0"];
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

fn bracketed(text: &[u8]) -> Piece<'_> {
    let inside = take_while1(|b: u8| b != b']' && b != b'[');
    terminated(delimited(char('['), inside, char(']')), take_while(|b: u8| b == b' ')).parse_complete(text)
}

/// `[date] [module:level] [pid 1:tid 2] `; syslog keeps the date to itself.
fn head<'a>(text: &'a [u8], line: &mut Line<'a>) -> Result<&'a [u8], Stopped<'a>> {
    let Ok((mut rest, first)) = bracketed(text) else {
        return stop(text, "date", "no [date] as Apache writes it");
    };
    let mut level = first;
    if date(first).is_some() {
        line.date = first;
        (rest, level) = match bracketed(rest) {
            Ok(found) => found,
            Err(_) => return stop(rest, "level", "no [level]"),
        };
    }
    let named = level.rsplit(|b| *b == b':').next().unwrap_or_default();
    if !LEVELS.iter().any(|level| level.as_bytes() == named) && !named.starts_with(b"trace") {
        return stop(level, "level", "no level of Apache's");
    }
    line.level = level;
    if let Ok((behind, process)) = bracketed(rest)
        && process.starts_with(b"pid ")
    {
        (rest, line.process) = (behind, process);
    }
    Ok(rest)
}

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];

/// What stands before the message, in any order: `proxy_util.c(2140): `, `(111)Connection refused: `, `[client A] `,
/// `AH00957: `, and 2.2's `proxy: `.
fn message<'a>(mut rest: &'a [u8], line: &mut Line<'a>) -> &'a [u8] {
    loop {
        let code: Piece<'a> =
            terminated(recognize((tag(&b"AH"[..]), digit1)), tag(&b": "[..])).parse_complete(rest);
        let file: Piece<'a> = terminated(
            recognize((
                take_while1(|b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b)),
                char('('),
                digit1,
            )),
            tag(&b"): "[..]),
        )
        .parse_complete(rest);
        if let Ok((behind, _)) = code.or(file) {
            rest = behind;
        } else if let Ok((behind, errno)) = errno(rest) {
            (rest, line.errno) = (behind, errno);
        } else if let Ok((behind, inside)) = bracketed(rest)
            && (inside.starts_with(b"client ") || inside.starts_with(b"remote "))
        {
            (rest, line.client) = (behind, inside.get(7..).unwrap_or_default());
        } else if let Some(behind) = rest.strip_prefix(b"proxy: ") {
            rest = behind;
        } else {
            line.message = rest;
            return rest;
        }
    }
}

/// `(111)Connection refused: `, `(OS 10061)No connection could …: `
fn errno(text: &[u8]) -> Piece<'_> {
    let number = delimited(char('('), take_while1(|b: u8| b.is_ascii_alphanumeric() || b == b' '), char(')'));
    let words = terminated(take_while1(|b: u8| b != b':' && b != b'['), tag(&b": "[..]));
    preceded(number, words).parse_complete(text)
}

fn read<'a>(text: &'a [u8], line: &mut Line<'a>) -> Result<Said<'a>, Stopped<'a>> {
    let rest = head(text, line)?;
    let message = message(rest, line);
    let errno = Errno::of(line.errno);
    if let Some(found) = connecting(message, errno) {
        return found;
    }
    if let Some(found) = state(message) {
        return found;
    }
    if let Some(found) = backend(line, errno) {
        return found;
    }
    Ok(nameless(message, errno).unwrap_or(Said::Other))
}

type Found<'a> = Option<Result<Said<'a>, Stopped<'a>>>;

fn failed<'a>(reason: Reason, upstream: &'a [u8]) -> Said<'a> {
    Said::Failed { reason, effect: Effect::Failed, pool: b"", upstream, site: b"" }
}

/// What stands before `end`; the line's end comes too early for it.
fn up_to<'a>(text: &'a [u8], end: &[u8]) -> Result<&'a [u8], Stopped<'a>> {
    match find(text, end).and_then(|at| text.get(..at)) {
        Some(found) => Ok(found),
        None => stop(b"", "upstream", TOO_EARLY),
    }
}

/// `127.0.0.1:24002 (backend:24002)`, `Unix domain socket /run/x.sock (localhost)`, up to what must follow.
fn named<'a>(text: &'a [u8], end: &[u8]) -> Result<&'a [u8], Stopped<'a>> {
    let both = up_to(text, end)?;
    let Some((address, name)) = find(both, b" (").and_then(|at| both.split_at_checked(at)) else {
        return Ok(both);
    };
    match address.strip_prefix(b"Unix domain socket ") {
        Some(path) => Ok(path),
        None => Ok(place::worker(address, name.get(2..).unwrap_or_default())),
    }
}

/// `http: attempt to connect to A (N) failed`, `FCGI: attempt to connect to Unix domain socket P (N) failed`
fn connecting(message: &[u8], errno: Errno) -> Found<'_> {
    let behind = behind_word(message, b"attempt to connect to ");
    if let Some(rest) = behind {
        return Some(named(rest, b") failed").map(|upstream| failed(errno.connecting(), upstream)));
    }
    let rest = behind_word(message, b"disabled connection for (")?;
    Some(up_to(rest, b")").map(|upstream| failed(Reason::DestinationUnavailable, upstream)))
}

/// What follows these words, which a protocol's name and a colon may come before.
fn behind_word<'a>(message: &'a [u8], words: &[u8]) -> Option<&'a [u8]> {
    let at = find(message, words)?;
    let before = message.get(..at)?;
    let word = before.strip_suffix(b": ").unwrap_or(before);
    let is_word = word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') && before.len() != word.len();
    if at != 0 && !is_word {
        return None;
    }
    message.get(at + words.len()..)
}

/// Workers taken out of rotation and back, and balancers without any.
fn state(message: &[u8]) -> Found<'_> {
    if let Some(at) = find(message, b"disabling worker for (")
        && message.get(..at).is_some_and(|before| matches!(before, b"" | b"ap_proxy_connect_backend "))
    {
        let rest = message.get(at + 22..)?;
        let detail = message.get(at..)?;
        let down = |upstream| Said::Happened { happened: Happened::Paused, pool: b"", upstream, detail };
        return Some(up_to(rest, b")").map(down));
    }
    let checks =
        [(&b"Health check DISABLING "[..], Happened::Down), (b"Health check ENABLING ", Happened::Up)];
    for (words, happened) in checks {
        if let Some(at) = find(message, words).filter(|at| *at < 80) {
            let worker = message.get(at + words.len()..)?.trim_ascii();
            let (upstream, detail) = (place::upstream(worker, true), b"health check");
            return Some(Ok(Said::Happened { happened, pool: b"", upstream, detail }));
        }
    }
    let at = find(message, b": All workers are in error state")?;
    let pool = message.get(..at).filter(|pool| pool.starts_with(b"balancer://"))?;
    let reason = Reason::DestinationUnavailable;
    Some(Ok(Said::Failed { reason, effect: Effect::Failed, pool, upstream: b"", site: b"" }))
}

/// Lines that name the backend.
fn backend<'a>(line: &Line<'a>, errno: Errno) -> Found<'a> {
    let message = line.message;
    // Apache's own word for a line with a NUL in it.
    let is_garbage = line.errno == b"Invalid argument";
    let reason = if is_garbage { Reason::HttpProtocolError } else { errno.connected() };
    let begins = |words: &[u8]| message.starts_with(words).then(|| message.get(words.len()..)).flatten();
    if let Some(rest) = begins(b"error reading status line from remote server ") {
        let upstream = rest.split(|b| matches!(b, b' ' | b',')).next().unwrap_or_default();
        return Some(Ok(failed(reason, upstream)));
    }
    if let Some(rest) = begins(b"pass request body failed to ") {
        // Its companion goes on with the client's address; and a failed handshake ends with other errors, and a line of its own.
        let is_own = matches!(errno, Errno::Closed | Errno::TimedOut) && find(rest, b") from ").is_none();
        return is_own.then(|| named(rest, b")").map(|upstream| failed(errno.connected(), upstream)));
    }
    if let Some(rest) = begins(b"Error dispatching request to ") {
        let upstream = rest.split(|b| *b == b' ').next().unwrap_or_default();
        let upstream = upstream.strip_suffix(b":").unwrap_or(upstream);
        let is_named = upstream.first().is_some_and(|b| *b != b':');
        return Some(Ok(failed(errno.connected(), if is_named { upstream } else { b"" })));
    }
    if let Some(rest) = begins(b"read response failed from ").or_else(|| begins(b"dialog to ")) {
        return Some(named(rest, b")").map(|upstream| failed(errno.connected(), upstream)));
    }
    let rest = begins(b"DNS lookup failure for: ")?;
    Some(up_to(rest, b" returned by ").map(|upstream| failed(Reason::DnsError, upstream)))
}

/// Lines that do not.
fn nameless(message: &[u8], errno: Errno) -> Option<Said<'_>> {
    let begins = |words: &[u8]| message.starts_with(words);
    let reason = if begins(b"Error reading headers from backend") {
        errno.connected()
    } else if begins(b"header size is over the limit allowed by ResponseFieldSize") {
        Reason::HttpResponseHeaderSectionSize
    } else if begins(b"Corrupt status line returned by remote server") {
        Reason::HttpProtocolError
    } else if begins(b"Error during SSL Handshake with remote server") {
        Reason::TlsProtocolError
    } else if begins(b"Timeout on 100-Continue") {
        Reason::ConnectionReadTimeout
    } else if begins(b"error reading response") {
        let reason = errno.cutting();
        return Some(Said::Failed { reason, effect: Effect::Aborted, pool: b"", upstream: b"", site: b"" });
    } else {
        return None;
    };
    Some(failed(reason, b""))
}
