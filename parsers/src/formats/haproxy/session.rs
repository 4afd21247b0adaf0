//! A session as logged, whatever the shape of its line → [`Record`].

use super::fields::{Timer, number, position};
use super::termination::Termination;
use crate::context::Context;
use crate::proxy_status;
use crate::reason::{Cause, Reason};
use crate::record::{Extra, Outcome, Record, Status};
use crate::syslog::Header;
use crate::text;
use crate::upstreams::{Attempt, Attempts, Retries};

/// More tries than this before the last are a number that was never true.
const RETRIES_MAX: i64 = 1_000;

/// Whether a session has a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `mode http`
    Http,
    /// `mode tcp`
    Tcp,
}

/// What one line says about one session. What the line lacks is empty or zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    pub mode: Mode,
    /// The date of the beginning as logged.
    pub date: &'a [u8],
    /// What to add to it: milliseconds that the date does not carry, and the phases before it is counted from.
    pub later: i64,
    /// From that date to the end.
    pub total: Option<Timer>,
    pub status: Status,
    pub termination: Termination,
    pub backend: &'a [u8],
    pub server: &'a [u8],
    /// `backend/server`, one slice.
    pub upstream: &'a [u8],
    /// `%rc` as logged: `2`, `+1`.
    pub retries: &'a [u8],
    pub request: Request<'a>,
    /// The host asked for, if a field of its own says it.
    pub site: &'a [u8],
    /// The machine, if a field of its own says it.
    pub node: &'a [u8],
    /// What a header of the answer tells of an error.
    pub told: Option<Cause>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    /// `GET / HTTP/1.1`, `<BADREQ>`
    Line(&'a [u8]),
    /// Fields of their own.
    Parts { method: &'a [u8], target: &'a [u8] },
}

impl<'a> Session<'a> {
    /// With nothing known.
    pub fn new() -> Session<'a> {
        Session {
            mode: Mode::Http,
            date: b"",
            later: 0,
            total: None,
            status: Status::NONE,
            termination: Termination::NORMAL,
            backend: b"",
            server: b"",
            upstream: b"",
            retries: b"",
            request: Request::Line(b""),
            site: b"",
            node: b"",
            told: None,
        }
    }

    /// When it began; `None`: its date is no date.
    #[inline(always)]
    pub fn start(&self, header: &Header<'a>, context: &mut Context) -> Option<i64> {
        match (self.date.try_into(), header.offset) {
            (Ok(date), east) => context.dates.clf_millis(date, east),
            (Err(_), Some(east)) => context.dates.clf_east(self.date, east),
            (Err(_), None) => context.dates.clf(self.date),
        }
    }

    /// The record; `None`: the date is no date.
    pub fn record(&self, header: &Header<'a>, context: &mut Context) -> Option<Record<'a>> {
        let start = self.start(header, context)?;
        Some(self.record_from(start, header, context))
    }

    /// The same as [`Session::record`] of what nearly every session is, made in one piece where the caller wants
    /// it: a request that a server answered well at the first try. `None`: it is something else.
    #[inline(always)]
    pub fn fine(&self, header: &Header<'a>, context: &mut Context) -> Option<Record<'a>> {
        let total = self.total.filter(|total| total.ms >= 0 && !total.at_least)?;
        let is_fine = self.mode == Mode::Http
            && self.termination == Termination::NORMAL
            && !matches!(self.status.code(), Some(502 | 504))
            && context.gateway_statuses.is_none()
            && self.retries == b"0"
            && !matches!(self.server, [] | [b'<', ..])
            && self.site.is_empty();
        let Request::Line(line) = self.request else { return None };
        let (method, path @ [b'/', ..]) = usual_request(line)? else { return None };
        if !is_fine {
            return None;
        }
        let start = self.start(header, context)?;
        let (upstream, status) = (self.upstream, self.status);
        Some(Record {
            end: start + self.later + total.ms,
            status,
            outcome: Outcome::Fine,
            request_time: Some(u32::try_from(total.ms).unwrap_or(u32::MAX)),
            method,
            path,
            node: if self.node.is_empty() { header.host } else { self.node },
            region: b"",
            pool: self.backend,
            site: b"",
            attempts: Attempts::One(Attempt { upstream, pool: b"", status, failure: None }),
            extra: Extra::NONE,
        })
    }

    /// The record of a session that began then.
    #[inline(never)]
    pub fn record_from(&self, start: i64, header: &Header<'a>, context: &Context) -> Record<'a> {
        // -1: it never began, so that its beginning was its end.
        let total = self.total.filter(|total| total.ms >= 0);
        let end = start + self.later + total.map_or(0, |total| total.ms);
        let mut record = Record::new(end, self.status);
        // A lower bound is good enough to place the end, but no sample of how long requests take.
        record.request_time =
            total.filter(|total| !total.at_least).map(|total| u32::try_from(total.ms).unwrap_or(u32::MAX));
        let has_server = !self.server.is_empty() && !self.server.starts_with(b"<");
        record.outcome = match self.mode {
            Mode::Http => self.termination.of_http(self.status, has_server, context),
            Mode::Tcp => self.termination.of_tcp(has_server),
        };
        if let (Some(told), Outcome::GatewayError(own)) = (self.told, record.outcome) {
            record.outcome = Outcome::GatewayError(proxy_status::refined(own, told));
        }
        record.node = if self.node.is_empty() { header.host } else { self.node };
        record.pool = self.backend;
        record.attempts = self.attempts(record.outcome, has_server);
        let site = match self.request {
            Request::Line(b"<BADREQ>") => b"",
            Request::Line(line) => {
                (record.method, record.path) = split_request(line);
                asked_for(record.method, record.path)
            }
            Request::Parts { method, target } => {
                (record.method, record.path) = (method, target);
                asked_for(method, target)
            }
        };
        record.site = if self.site.is_empty() { site } else { text::site(self.site) };
        record
    }

    /// One attempt and one for each retry. A request that no server could get (`<NOSRV>` after a failure) is one failed
    /// attempt of its pool; one that was answered without asking any (policy, statistics, `<BADREQ>`) has none.
    #[inline(always)]
    fn attempts(&self, outcome: Outcome, has_server: bool) -> Attempts<'a> {
        let failure = outcome.gateway_error();
        if !has_server && failure.is_none() {
            return Attempts::None;
        }
        let upstream = if has_server { self.upstream } else { b"" };
        let last = Attempt { upstream, pool: b"", status: self.status, failure };
        let (redispatched, digits) = match self.retries {
            b"0" => return Attempts::One(last),
            [b'+', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let before = number(digits).unwrap_or(0).min(RETRIES_MAX);
        match u16::try_from(before) {
            Ok(before @ 1..) => {
                Attempts::Retries(Retries { last, before, redispatched, cause: retried(failure) })
            }
            _ => Attempts::One(last),
        }
    }
}

/// Why the tries before the last one failed: as the last one did, if that did not get a connection either. Otherwise
/// the line does not tell: `retry-on` retries after answers, too.
fn retried(last: Option<Cause>) -> Cause {
    match last {
        Some(cause) if matches!(cause.reason, Reason::ConnectionFailed | Reason::ConnectionTimeout) => cause,
        _ => Cause::proxy(Reason::Unknown),
    }
}

/// Method and target. What HAProxy writes is nearly always well formed; the rest is for those who know scanners.
fn split_request(line: &[u8]) -> (&[u8], &[u8]) {
    usual_request(line).unwrap_or_else(|| {
        let line = text::request_line(line);
        (line.method, line.target)
    })
}

/// Method and target of a well-formed request.
#[inline(always)]
fn usual_request(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // Where the digits of the version are: any may stand there.
    const DIGITS: u64 = 0xFF00_FF00_0000_0000;
    let (before, protocol) = line.split_last_chunk::<8>()?;
    if u64::from_le_bytes(*protocol) | DIGITS != u64::from_le_bytes(*b"HTTP/1.1") | DIGITS {
        return None;
    }
    let before = before.strip_suffix(b" ")?;
    if let Some((get, target)) = before.split_first_chunk::<4>()
        && u32::from_le_bytes(*get) == u32::from_le_bytes(*b"GET ")
    {
        return Some((b"GET", target));
    }
    let (method, target) = before.split_at_checked(position(before, b' ')?)?;
    let is_usual = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
    Some((method, target.get(1..)?)).filter(|_| is_usual)
}

/// The host in a target that names one: HTTP/2 and forward proxies log absolute ones. Empty for a path.
#[inline(always)]
fn asked_for<'a>(method: &[u8], target: &'a [u8]) -> &'a [u8] {
    if target.starts_with(b"/") {
        return b"";
    }
    named_host(method, target)
}

#[cold]
fn named_host<'a>(method: &[u8], target: &'a [u8]) -> &'a [u8] {
    if method == b"CONNECT" {
        return text::site(target);
    }
    let Some(at) = memchr::memmem::find(target, b"://").filter(|at| *at <= 5) else { return b"" };
    let rest = target.get(at + 3..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b' ')).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let host = memchr::memrchr(b'@', authority).and_then(|at| authority.get(at + 1..)).unwrap_or(authority);
    text::site(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_name_its_host() {
        let cases = [
            ("GET", "/a?u=http://x/", ""),
            ("GET", "http://gw.example/refused/x", "gw.example"),
            ("GET", "https://user:pw@gw.example:8443?x", "gw.example"),
            ("GET", "https://[2001:db8::1]:443/", "2001:db8::1"),
            ("CONNECT", "a.example:443", "a.example"),
            ("OPTIONS", "*", ""),
            ("", "<BADREQ>", ""),
            ("GET", "x?u=http://evil/", ""),
        ];
        for (method, target, want) in cases {
            assert_eq!(asked_for(method.as_bytes(), target.as_bytes()), want.as_bytes(), "{target}");
        }
    }
}
