//! nginx's error log: `DATE [level] pid#tid: *cid MESSAGE[ (errno: words)][ while ACTION], client: C, server: S, request:
//! "R"[, subrequest: "…"][, upstream: "U"][, host: "H"][, referrer: "F"]`. Nothing in it is escaped, and a line is cut at
//! 2,048 bytes. A client chooses the request, the host and the referrer, so that the names between fields are looked for
//! from the left, each behind the one before.

use memchr::memmem::{find, rfind};
use nom::Parser;
use nom::bytes::complete::{tag, take, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{opt, recognize, verify};
use nom::sequence::{delimited, preceded, terminated};

use super::errno::Errno;
use super::place;
use super::{Dialect, Iso, Line, Said, Stopped, TOO_EARLY, stop};
use crate::diagnosis::Effect;
use crate::event::Happened;
use crate::reason::Reason;
use crate::text::{Piece, site};

pub(super) static DIALECT: Dialect =
    Dialect { name: "nginx-error", title: "nginx error log", read, date, goes_on };

/// nginx writes no longer lines, the line's end included.
const LINE_MAX: usize = 2048;

fn date(text: &[u8]) -> Option<Iso> {
    let mut iso = *b"0000-00-00T00:00:00.000";
    let [y1, y2, y3, y4, b'/', m1, m2, b'/', d1, d2, b' ', clock @ ..] = text else { return None };
    let day = [*y1, *y2, *y3, *y4, b'-', *m1, *m2, b'-', *d1, *d2, b'T'];
    for (slot, byte) in iso.iter_mut().zip(day.iter().chain(clock.get(..8)?)) {
        *slot = *byte;
    }
    Some(iso)
}

/// What FastCGI applications write on their standard error stands in the log with its line ends.
fn goes_on(text: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 6] =
        [b"PHP message: ", b"PHP ", b"Stack trace:", b"  thrown in ", b"thrown in ", b"\" while reading "];
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) || is_frame(text)
}

/// `#0 /var/www/index.php(12): f()`
fn is_frame(text: &[u8]) -> bool {
    let frame: Piece<'_> = recognize((char('#'), digit1, char(' '))).parse_complete(text);
    frame.is_ok()
}

/// `2026/11/22 14:53:53 [error] 7228#7228: *9 `
fn head<'a>(text: &'a [u8], line: &mut Line<'a>) -> Result<&'a [u8], Stopped<'a>> {
    let stamp = verify(take(19usize), |d: &[u8]| {
        d.iter().zip(b"0000/00/00 00:00:00").all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            literal => byte == literal,
        })
    });
    let mut stamp = terminated(stamp, char(' '));
    let Ok((rest, date)): Piece<'a> = stamp.parse_complete(text) else {
        return stop(text, "date", "no date as nginx writes it");
    };
    line.date = date;
    let letters = take_while1(|b: u8| b.is_ascii_lowercase());
    let mut level = delimited(char('['), letters, tag(&b"] "[..]));
    let Ok((rest, level)): Piece<'a> = level.parse_complete(rest) else {
        return stop(rest, "level", "no [level]");
    };
    line.level = level;
    let mut process = terminated(recognize((digit1, char('#'), digit1)), tag(&b": "[..]));
    let Ok((rest, process)): Piece<'a> = process.parse_complete(rest) else {
        return stop(rest, "process", "no process#thread");
    };
    line.process = process;
    let mut connection = opt(preceded(char('*'), terminated(digit1, char(' '))));
    let found: Piece<'a, Option<&'a [u8]>> = connection.parse_complete(rest);
    let Ok((rest, connection)) = found else { return Ok(rest) };
    line.connection = connection.unwrap_or_default();
    Ok(rest)
}

fn read<'a>(text: &'a [u8], line: &mut Line<'a>) -> Result<Said<'a>, Stopped<'a>> {
    let rest = head(text, line)?;
    let (said, tail) = match find(rest, b", client: ").or_else(|| find(rest, b", udp client: ")) {
        Some(at) => rest.split_at(at),
        None => (rest, &b""[..]),
    };
    (line.message, line.action) = match rfind(said, b" while ") {
        Some(at) => (said.get(..at).unwrap_or_default(), said.get(at + 7..).unwrap_or_default()),
        None => (said, &b""[..]),
    };
    line.errno = errno(line.message);
    if let Some(said) = peer(rest) {
        return Ok(said);
    }
    let whole = context(tail, line);
    let Some(meant) = meaning(line) else {
        return if is_torn(line, tail) { stop(b"", "message", TOO_EARLY) } else { Ok(Said::Other) };
    };
    // Only what is behind a client's address is of a request; and only nginx's own limit cuts one without a trace.
    if !whole.line && text.len() + 1 < LINE_MAX {
        return stop(b"", if tail.is_empty() { "client" } else { "upstream" }, TOO_EARLY);
    }
    let upstream = place::upstream(line.upstream, whole.upstream);
    Ok(match meant {
        // Of which server, the line does not say.
        Meaning::Disabled if upstream.is_empty() && whole.line => return stop(b"", "upstream", TOO_EARLY),
        Meaning::Disabled if upstream.is_empty() => Said::Other,
        Meaning::Disabled => {
            Said::Happened { happened: Happened::Paused, pool: b"", upstream, detail: line.message }
        }
        Meaning::Failed(Reason::DestinationUnavailable, effect) => Said::Failed {
            reason: Reason::DestinationUnavailable,
            effect,
            pool: upstream,
            upstream: b"",
            site: asked_for(line),
        },
        Meaning::Failed(reason, effect) => {
            Said::Failed { reason, effect, pool: b"", upstream, site: asked_for(line) }
        }
    })
}

/// The host asked for, else the server's name; a session of `stream {}` has an address in its place.
fn asked_for<'a>(line: &Line<'a>) -> &'a [u8] {
    if line.request.is_empty() {
        return b"";
    }
    let names = [site(line.host), line.server];
    names.into_iter().find(|name| !name.is_empty() && *name != b"_").unwrap_or_default()
}

/// `(111: Connection refused)` at the end of a message: the words.
fn errno(message: &[u8]) -> &[u8] {
    let inside = || {
        let open = rfind(message, b" (")?;
        let (number, words) = {
            let inside = message.get(open + 2..)?.strip_suffix(b")")?;
            inside.split_at_checked(find(inside, b": ")?)?
        };
        number.iter().all(u8::is_ascii_digit).then(|| words.get(2..))?
    };
    inside().unwrap_or_default()
}

/// What of a line's end was there.
struct Whole {
    /// The line ends as lines end.
    line: bool,
    /// The upstream ends with its quote.
    upstream: bool,
}

/// The beginning of a message about an upstream, and no client behind it: half a line.
fn is_torn(line: &Line<'_>, tail: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 11] = [
        b"upstream ",
        b"no live upstreams",
        b"connect() ",
        b"recv() failed",
        b"readv() failed",
        b"send() failed",
        b"writev() failed",
        b"sendfile() failed",
        b"SSL_do_handshake() failed",
        b"peer closed connection in SSL handshake",
        b"no resolver defined to resolve ",
    ];
    let is_half = |words: &&[u8]| line.message.starts_with(words) || words.starts_with(line.message);
    tail.is_empty()
        && !line.connection.is_empty()
        && matches!(line.level, b"error" | b"crit")
        && BEGINNINGS.iter().any(is_half)
}

/// `, client: …` and all that follows.
fn context<'a>(tail: &'a [u8], line: &mut Line<'a>) -> Whole {
    let mut whole = Whole { line: false, upstream: false };
    let Some(at) = find(tail, b"client: ") else { return whole };
    let (client, rest) = before(tail.get(at + 8..).unwrap_or_default(), b", server: ");
    line.client = client;
    let ends = [REQUEST, UPSTREAM, HOST, COUNTS].into_iter();
    let end = ends.filter_map(|name| find(rest, name)).min().unwrap_or(rest.len());
    let (server, mut rest) = rest.split_at(end);
    line.server = server;
    let mut closed = false;
    if let Some(text) = rest.strip_prefix(REQUEST) {
        (line.request, rest, closed) = quoted(text, &[SUBREQUEST, UPSTREAM, HOST, REFERRER]);
    }
    if let Some(text) = rest.strip_prefix(SUBREQUEST) {
        (_, rest, closed) = quoted(text, &[UPSTREAM, HOST, REFERRER]);
    }
    if let Some(text) = rest.strip_prefix(UPSTREAM) {
        (line.upstream, rest, closed) = quoted(text, &[HOST, REFERRER, COUNTS]);
        whole.upstream = closed;
    }
    if let Some(text) = rest.strip_prefix(HOST) {
        (line.host, rest, closed) = quoted(text, &[REFERRER]);
        if !closed {
            line.host = b"";
        }
    }
    // What is behind these is not read: a client's text, or a session's counts.
    let is_end = rest.starts_with(REFERRER) || rest.starts_with(COUNTS);
    whole.line = is_end || rest.is_empty() && closed;
    whole
}

const REQUEST: &[u8] = b", request: \"";
const SUBREQUEST: &[u8] = b", subrequest: \"";
const UPSTREAM: &[u8] = b", upstream: \"";
const HOST: &[u8] = b", host: \"";
const REFERRER: &[u8] = b", referrer: \"";
/// Of a session of `stream {}`.
const COUNTS: &[u8] = b", bytes from/to client:";

fn before<'a>(text: &'a [u8], name: &[u8]) -> (&'a [u8], &'a [u8]) {
    match find(text, name).and_then(|at| text.split_at_checked(at)) {
        Some((value, rest)) => (value, rest.get(name.len()..).unwrap_or_default()),
        None => (text, b""),
    }
}

/// The value before the quote that one of these follows, or the line's end; the rest; whether the quote was there.
fn quoted<'a>(text: &'a [u8], ends: &[&[u8]]) -> (&'a [u8], &'a [u8], bool) {
    let mut closing = memchr::memchr_iter(b'"', text).filter(|at| {
        let behind = text.get(at + 1..).unwrap_or_default();
        behind.is_empty() || ends.iter().any(|end| behind.starts_with(end))
    });
    match closing.next().and_then(|at| text.split_at_checked(at)) {
        Some((value, rest)) => (value, rest.get(1..).unwrap_or_default(), true),
        None => (text, b"", false),
    }
}

/// What a message means.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    Failed(Reason, Effect),
    Disabled,
}

/// What nginx was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Handshaking,
    /// Sending the request, or waiting for the header.
    Waiting,
    /// The header was sent on.
    Body,
    /// Sending the body to the client: what nginx says of the upstream is of the body, an error of a call the client's.
    ToClient,
    /// Both sides of an upgraded connection or a session.
    Tunnel,
    Unsaid,
    /// Something else.
    Foreign,
}

fn phase(action: &[u8]) -> Phase {
    match action {
        b"connecting to upstream" => Phase::Connecting,
        b"SSL handshaking to upstream" => Phase::Handshaking,
        b"sending request to upstream" | b"reading response header from upstream" => Phase::Waiting,
        b"reading upstream" | b"proxying and reading from upstream" | b"proxying and sending to upstream" => {
            Phase::Body
        }
        b"sending to client" => Phase::ToClient,
        b"proxying upgraded connection" | b"proxying connection" => Phase::Tunnel,
        b"" => Phase::Unsaid,
        _ => Phase::Foreign,
    }
}

/// `None`: nothing of an upstream's failure.
fn meaning(line: &Line<'_>) -> Option<Meaning> {
    let (message, phase) = (line.message, phase(line.action));
    if message == b"upstream server temporarily disabled" {
        return Some(Meaning::Disabled);
    }
    if !matches!(line.level, b"error" | b"crit" | b"alert" | b"emerg") {
        return None;
    }
    let (reason, body) = if let Some(said) = message.strip_prefix(b"upstream ") {
        (of_upstream(said, phase)?, matches!(phase, Phase::Body | Phase::ToClient | Phase::Tunnel))
    } else if message == b"no live upstreams" {
        (Reason::DestinationUnavailable, false)
    } else if let Some(reason) = resolving(message, line) {
        (reason, false)
    } else {
        (of_call(message, Errno::of(line.errno), phase)?, phase == Phase::Body)
    };
    let effect = if body { Effect::Aborted } else { Effect::Failed };
    Some(Meaning::Failed(reason, effect))
}

/// What nginx says of the upstream itself.
fn of_upstream(said: &[u8], phase: Phase) -> Option<Reason> {
    let begins = |words: &[&str]| words.iter().any(|word| said.starts_with(word.as_bytes()));
    let is_body = matches!(phase, Phase::Body | Phase::ToClient | Phase::Tunnel);
    Some(if begins(&["timed out"]) {
        match phase {
            Phase::Connecting | Phase::Handshaking => Reason::ConnectionTimeout,
            Phase::Unsaid | Phase::Foreign => Reason::HttpResponseTimeout,
            _ => Reason::ConnectionReadTimeout,
        }
    } else if begins(&["prematurely closed"]) {
        match phase {
            Phase::Handshaking => Reason::TlsProtocolError,
            _ if is_body => Reason::HttpResponseIncomplete,
            _ => Reason::ConnectionTerminated,
        }
    } else if begins(&["sent goaway", "rejected request"]) {
        if is_body { Reason::HttpResponseIncomplete } else { Reason::ConnectionTerminated }
    } else if begins(&["sent too big header"]) {
        Reason::HttpResponseHeaderSectionSize
    } else if begins(&["SSL certificate"]) {
        Reason::TlsCertificateError
    } else if begins(&["sent ", "violated ", "split a header line", "prematurely sent "]) {
        Reason::HttpProtocolError
    } else {
        return None;
    })
}

/// `X could not be resolved (3: Host not found)`, `no resolver defined to resolve X`: of a request, not of nginx's own
/// errands.
fn resolving(message: &[u8], line: &Line<'_>) -> Option<Reason> {
    let is_unresolved = find(message, b" could not be resolved (").is_some();
    if !is_unresolved && !message.starts_with(b"no resolver defined to resolve ") {
        return None;
    }
    if line.client.is_empty() || line.action.starts_with(b"requesting certificate status") {
        return None;
    }
    Some(if Errno::of(line.errno) == Errno::TimedOut { Reason::DnsTimeout } else { Reason::DnsError })
}

/// `recv() failed (104: Connection reset by peer)`: a call of the operating system or of OpenSSL.
fn of_call(message: &[u8], errno: Errno, phase: Phase) -> Option<Reason> {
    match phase {
        Phase::Connecting => (is_failed(message, b"connect() ")).then(|| errno.connecting()),
        Phase::Handshaking => {
            if find(message, b"certificate verify failed").is_some() {
                return Some(Reason::TlsCertificateError);
            }
            let is_known = is_failed(message, b"SSL_do_handshake() ")
                || message.starts_with(b"peer closed connection in SSL handshake");
            is_known.then_some(Reason::TlsProtocolError)
        }
        Phase::Waiting => is_failed(message, b"() ").then(|| errno.connected()),
        Phase::Body => is_failed(message, b"() ").then(|| errno.cutting()),
        Phase::ToClient | Phase::Tunnel | Phase::Unsaid | Phase::Foreign => None,
    }
}

/// `connect() failed (…)`, `connect() to unix:/x failed (…)`, `kevent() reported that connect() failed (…)`.
fn is_failed(message: &[u8], call: &[u8]) -> bool {
    let behind = find(message, call).and_then(|at| message.get(at + call.len()..));
    behind.is_some_and(|behind| {
        behind.starts_with(b"failed") || behind.starts_with(b"to ") && find(behind, b" failed (").is_some()
    })
}

/// Health checks of nginx Plus (`peer is unhealthy while …, health check "x" of peer A in upstream "U"`) and of the
/// check module that others bring (`disable check peer: A`).
fn peer(rest: &[u8]) -> Option<Said<'_>> {
    let checked = [(&b"disable check peer: "[..], Happened::Down), (b"enable check peer: ", Happened::Up)];
    if let Some((beginning, happened)) =
        checked.into_iter().find(|(beginning, _)| rest.starts_with(beginning))
    {
        let upstream = rest.get(beginning.len()..)?.trim_ascii();
        return Some(Said::Happened { happened, pool: b"", upstream, detail: b"" });
    }
    let plus = [(&b"peer is unhealthy"[..], Happened::Down), (b"peer is healthy", Happened::Up)];
    let (_, happened) = plus.into_iter().find(|(beginning, _)| rest.starts_with(beginning))?;
    let (detail, named) = rest.split_at_checked(find(rest, b" of peer ")?)?;
    let (upstream, pool) = before(named.get(9..)?, b" in upstream \"");
    Some(Said::Happened { happened, pool: pool.strip_suffix(b"\"")?, upstream, detail })
}
