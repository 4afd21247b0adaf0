//! The values of one line → a record.

use crate::fields::{self, Unit, offset_in};
use crate::reason::Cause;
use crate::record::{Millis, Outcome, Record, Status};
use crate::text;
use crate::upstreams::{Attempt, Attempts};

/// What a value means to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    // Stamps, whole or in parts.
    /// `22/Nov/2026:14:53:53 +0000`
    Clf,
    /// Since the epoch: seconds, milliseconds or microseconds.
    Epoch,
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    Hour,
    Hour12,
    HalfDay,
    Minute,
    Second,
    Zone,
    /// Milliseconds of the second.
    Millis,
    /// Microseconds of the second.
    Micros,
    // The request.
    /// Total time.
    Duration,
    /// The status that the client got.
    Status,
    /// That of the request as it first came (Apache's `%s`).
    FirstStatus,
    /// The request line.
    Request,
    Method,
    /// What was asked for, with or without its host.
    Target,
    /// A path, where nothing says more.
    Path,
    /// The `Host` header.
    Host,
    /// The name of the virtual host.
    ServerName,
    // The upstream, and what became of it.
    /// Its address or URL.
    Upstream,
    /// Its port, where that is a value of its own.
    UpstreamPort,
    /// Its name, where no address is known.
    UpstreamName,
    /// Its group.
    Pool,
    /// What it answered.
    UpstreamStatus,
    /// Squid's request status: `TCP_MISS_ABORTED`.
    Tag,
    /// Squid's hierarchy status: `HIER_DIRECT`.
    Hierarchy,
    /// Squid's error: `ERR_CONNECT_FAIL`.
    ErrorCode,
    /// More about it: `errno=111`.
    ErrorDetail,
    /// The answer's content type.
    Mime,
    /// How many bytes were sent.
    Bytes,
    /// How Varnish handled the request: `miss`, `synth`.
    Handling,
    /// The proxy's own words about a failure.
    Notes,
    /// A header of the answer that tells of an error.
    Told,
}

impl Slot {
    /// How many there are.
    pub const COUNT: usize = Slot::Told as usize + 1;

    /// Whether it is a stamp or a part of one.
    pub fn is_stamp(self) -> bool {
        self as usize <= Slot::Micros as usize
    }
}

/// What bears on counts: readings of a line that differ in these are two.
const COUNTED: &[Slot] = &[
    Slot::Clf,
    Slot::Epoch,
    Slot::Duration,
    Slot::Status,
    Slot::FirstStatus,
    Slot::Upstream,
    Slot::UpstreamName,
    Slot::Pool,
    Slot::UpstreamStatus,
    Slot::Tag,
    Slot::Hierarchy,
    Slot::ErrorCode,
];

/// What a product says of a request.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// What its end means.
    pub outcome: Outcome,
    /// The cause, should this status count although it does not by itself (`gateway_statuses`).
    pub otherwise: Cause,
    /// Why the upstream failed although the request ended well: Squid's stale copies.
    pub failed_attempt: Option<Cause>,
}

impl Verdict {
    /// A gateway error.
    pub fn error(cause: Cause) -> Verdict {
        Verdict { outcome: Outcome::GatewayError(cause), otherwise: cause, failed_attempt: None }
    }

    /// None, but this would be its cause.
    pub fn fine(otherwise: Cause) -> Verdict {
        Verdict { outcome: Outcome::Fine, otherwise, failed_attempt: None }
    }
}

/// The values of one line.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    line: &'a [u8],
    slots: [&'a [u8]; Slot::COUNT],
    carried: u64,
}

impl<'a> Values<'a> {
    /// None yet, of a format that carries these slots.
    pub fn new(line: &'a [u8], carried: u64) -> Values<'a> {
        Values { line, slots: [b""; Slot::COUNT], carried }
    }

    pub fn set(&mut self, slot: Slot, value: &'a [u8]) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = value;
        }
    }

    /// The value as logged.
    pub fn get(&self, slot: Slot) -> &'a [u8] {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    /// The value; empty for a dash.
    pub fn known(&self, slot: Slot) -> &'a [u8] {
        text::dash(self.get(slot))
    }

    /// Whether the format has it: an empty value and a missing directive say different things.
    pub fn carries(&self, slot: Slot) -> bool {
        self.carried & 1 << slot as u32 != 0
    }

    /// The status that the client got.
    pub fn status(&self) -> Status {
        let slot = if self.carries(Slot::Status) { Slot::Status } else { Slot::FirstStatus };
        fields::status(self.get(slot)).unwrap_or(Status::NONE)
    }

    /// The same of another slot; `None` for a dash, 0 and whatever is no status.
    pub fn status_of(&self, slot: Slot) -> Option<Status> {
        text::status(self.get(slot)).filter(|status| *status != Status::new(0))
    }

    pub fn method(&self) -> &'a [u8] {
        match self.known(Slot::Method) {
            b"" => text::request_line(self.known(Slot::Request)).method,
            method => method,
        }
    }

    /// Whether two readings of a line differ in what is counted.
    pub fn differ(&self, other: &Values<'_>) -> bool {
        COUNTED.iter().any(|slot| self.get(*slot) != other.get(*slot))
    }

    /// The request, with the outcome left open. `Err`: the slot whose value is none.
    pub fn record(&self, end: Millis, unit: Unit) -> Result<Record<'a>, Slot> {
        let request = text::request_line(self.known(Slot::Request));
        let own = |slot: Slot, other: &'a [u8]| match self.known(slot) {
            b"" => other,
            own => own,
        };
        let mut record = Record::new(end, self.status());
        record.request_time = self.duration(unit).and_then(|ms| u32::try_from(ms).ok());
        record.method = own(Slot::Method, request.method);
        record.path = own(Slot::Target, own(Slot::Path, request.target));
        record.site = self.site(record.method, record.path);
        record.pool = own(Slot::Pool, b"");
        record.pool = record.pool.strip_prefix(b"balancer://").unwrap_or(record.pool);
        Ok(record)
    }

    /// Total time in milliseconds.
    pub fn duration(&self, unit: Unit) -> Option<Millis> {
        let value = self.known(Slot::Duration);
        // A clock that was set back makes a length of time negative.
        fields::duration(value, unit).filter(|_| !value.is_empty())
    }

    fn site(&self, method: &[u8], target: &'a [u8]) -> &'a [u8] {
        let asked = if method == b"CONNECT" { text::site(target) } else { url_host(target) };
        let hosts = [asked, text::site(self.get(Slot::Host)), text::site(self.get(Slot::ServerName))];
        hosts.into_iter().find(|host| !host.is_empty()).unwrap_or_default()
    }

    /// The server that was asked, if the line names one: it shared the fate of the request.
    pub fn attempts(&self, record: &Record<'a>, failed_attempt: Option<Cause>) -> Attempts<'a> {
        let upstream = self.upstream();
        let failure = record.outcome.gateway_error().or(failed_attempt);
        // An attempt at nobody known is worth noting only if the record itself does not tell of it.
        if upstream.is_empty() && failed_attempt.is_none() {
            return Attempts::None;
        }
        let status = self.status_of(Slot::UpstreamStatus).unwrap_or(match failed_attempt {
            Some(_) => Status::NONE,
            None => record.status,
        });
        Attempts::One(Attempt { upstream, pool: b"", status, failure })
    }

    fn upstream(&self) -> &'a [u8] {
        let (address, port) = (self.known(Slot::Upstream), self.known(Slot::UpstreamPort));
        if address.is_empty() {
            return self.known(Slot::UpstreamName);
        }
        // What is borrowed cannot be joined: address and port are one where the line has them so.
        let (from, at) = (offset_in(self.line, address), offset_in(self.line, port));
        if !port.is_empty() && from + address.len() + 1 == at && self.line.get(at - 1) == Some(&b':') {
            return self.line.get(from..at + port.len()).unwrap_or(address);
        }
        without_scheme(address)
    }
}

/// `http://user@host:8080/path` → `host`; empty if it is no URL.
fn url_host(url: &[u8]) -> &[u8] {
    let Some(rest) = behind_scheme(url) else { return b"" };
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let host = memchr::memrchr(b'@', authority).and_then(|at| authority.get(at + 1..)).unwrap_or(authority);
    text::site(host)
}

/// `http://a/b` → `a/b`
fn behind_scheme(url: &[u8]) -> Option<&[u8]> {
    let scheme =
        url.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_')))?;
    url.get(scheme..)?.strip_prefix(b"://").filter(|_| scheme > 0)
}

/// `http://10.0.0.7:8080/base` → `10.0.0.7:8080`; `unix:/run/app.sock|fcgi://localhost` → `unix:/run/app.sock`
fn without_scheme(url: &[u8]) -> &[u8] {
    if url.starts_with(b"unix:") {
        return url.split(|b| *b == b'|').next().unwrap_or(url);
    }
    let Some(rest) = behind_scheme(url) else { return url };
    rest.split(|b| *b == b'/').next().filter(|host| !host.is_empty()).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_their_host() {
        let cases = [
            ("http://example.com/a?b://c", "example.com"),
            ("http://u:p@example.com:8080/", "example.com"),
            ("http://[2001:db8::1]:80/", "2001:db8::1"),
            ("ftp://ftp.example/x", "ftp.example"),
            ("http://example.com?q", "example.com"),
            ("/login?to=http://example.com/", ""),
            ("error:invalid-request", ""),
            ("", ""),
            ("-", ""),
            ("http://", ""),
        ];
        for (url, host) in cases {
            assert_eq!(url_host(url.as_bytes()), host.as_bytes(), "{url}");
        }
    }

    #[test]
    fn workers_lose_their_scheme() {
        let cases = [
            ("http://10.0.0.7:8080/base", "10.0.0.7:8080"),
            ("ajp://node1:8009", "node1:8009"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("unix:/run/app.sock|fcgi://localhost", "unix:/run/app.sock"),
            ("::1", "::1"),
        ];
        for (url, want) in cases {
            assert_eq!(without_scheme(url.as_bytes()), want.as_bytes(), "{url}");
        }
    }
}
