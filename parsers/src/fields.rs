//! Named values → [`Record`]: what the formats share whose fields have names of their own (`json`, `pattern`, `regex`).
//! A format puts each value it recognises into a slot; [`Values::record`] makes the request of them.

use memchr::{memchr, memchr3, memmem, memrchr};

use crate::context::Context;
use crate::formats::nginx::verdict::Evidence;
use crate::proxy_status::{self, Header};
use crate::reason::Cause;
use crate::record::{EXTRA_LABELS_MAX, Extra, Millis, Outcome, Record, Status};
use crate::text;
use crate::upstreams::{Attempt, Attempts, Lists};

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// When the request ended.
    Time,
    /// When it began; its total time is added.
    StartTime,
    /// The status that the client got.
    Status,
    /// The method.
    Method,
    /// The request target.
    Path,
    /// The request line: method, target, protocol.
    Request,
    /// Total time.
    RequestTime,
    /// Servers tried: `$upstream_addr`, or a single server's name.
    Upstream,
    /// `$upstream_status`
    UpstreamStatus,
    /// `$upstream_connect_time`
    ConnectTime,
    /// `$upstream_header_time`
    HeaderTime,
    /// `$upstream_response_time`
    ResponseTime,
    /// `$upstream_response_length`
    ResponseLength,
    /// Backend or upstream group.
    Pool,
    /// A server inside the pool.
    Server,
    /// The host asked for.
    Site,
    /// The machine that logged.
    Node,
    /// Its region.
    Region,
    /// What a header tells of an error: `Proxy-Status`, or a forward-proxy provider's.
    ProxyStatus,
}

impl Slot {
    /// How many there are.
    pub const COUNT: usize = Slot::ProxyStatus as usize + 1;

    /// The slots that a setting can name, by the names it may use; the first name of a slot is the one that messages
    /// recommend.
    pub const NAMES: &[(&str, Slot)] = &[
        ("time", Slot::Time),
        ("msec", Slot::Time),
        ("epoch", Slot::Time),
        ("time_local", Slot::Time),
        ("time_iso8601", Slot::Time),
        ("start_time", Slot::StartTime),
        ("status", Slot::Status),
        ("method", Slot::Method),
        ("request_method", Slot::Method),
        ("path", Slot::Path),
        ("uri", Slot::Path),
        ("request_uri", Slot::Path),
        ("request", Slot::Request),
        ("request_time", Slot::RequestTime),
        ("upstream", Slot::Upstream),
        ("upstream_addr", Slot::Upstream),
        ("upstream_status", Slot::UpstreamStatus),
        ("upstream_connect_time", Slot::ConnectTime),
        ("upstream_header_time", Slot::HeaderTime),
        ("upstream_response_time", Slot::ResponseTime),
        ("upstream_response_length", Slot::ResponseLength),
        ("pool", Slot::Pool),
        ("backend", Slot::Pool),
        ("server", Slot::Server),
        ("site", Slot::Site),
        ("host", Slot::Site),
        ("node", Slot::Node),
        ("hostname", Slot::Node),
        ("region", Slot::Region),
        ("proxy_status", Slot::ProxyStatus),
    ];

    /// The slot of this name.
    pub fn named(name: &str) -> Option<Slot> {
        let told = || Header::named(name.as_bytes()).map(|_| Slot::ProxyStatus);
        Slot::NAMES.iter().find(|(known, _)| *known == name).map(|(_, slot)| *slot).or_else(told)
    }

    /// The name that messages use.
    pub fn name(self) -> &'static str {
        Slot::NAMES.iter().find(|(_, slot)| *slot == self).map_or("", |(name, _)| name)
    }
}

/// Where a format puts a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A field of ours.
    Slot(Slot),
    /// A label of its own: its index in `Format::extra_labels`.
    Extra(u8),
}

/// What a logged duration counts, where its text does not say (`50ms`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, with or without a fraction.
    #[default]
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
    /// Unknown: only a text that carries its unit is taken.
    Written,
}

impl Unit {
    /// A unit's name as settings and durations have it.
    pub fn named(name: &[u8]) -> Option<Unit> {
        match name {
            b"s" => Some(Unit::Seconds),
            b"ms" => Some(Unit::Millis),
            b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => Some(Unit::Micros),
            b"ns" => Some(Unit::Nanos),
            _ => None,
        }
    }

    /// Powers of ten from this unit to milliseconds.
    fn exponent(self) -> Option<i32> {
        match self {
            Unit::Seconds => Some(3),
            Unit::Millis => Some(0),
            Unit::Micros => Some(-3),
            Unit::Nanos => Some(-6),
            Unit::Written => None,
        }
    }
}

/// Why no record came of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable<'a> {
    /// The field.
    pub slot: Slot,
    /// Its value; `None`: it was missing.
    pub value: Option<&'a [u8]>,
    /// What was wrong.
    pub reason: &'static str,
}

/// The values of one line.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The line that all of them lie in.
    line: &'a [u8],
    slots: [Option<&'a [u8]>; Slot::COUNT],
    extra: [&'a [u8]; EXTRA_LABELS_MAX],
    /// What `Slot::RequestTime` counts.
    pub unit: Unit,
    /// Whose value `Slot::ProxyStatus` is.
    pub header: Header,
}

impl<'a> Values<'a> {
    /// No values yet.
    pub fn new(line: &'a [u8], unit: Unit) -> Values<'a> {
        Values {
            line,
            slots: [None; Slot::COUNT],
            extra: [b""; EXTRA_LABELS_MAX],
            unit,
            header: Header::PROXY_STATUS,
        }
    }

    /// Puts a value into its place, over what was there.
    pub fn set(&mut self, target: Target, value: &'a [u8]) {
        match target {
            Target::Slot(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = Some(value);
                }
            }
            Target::Extra(index) => {
                if let Some(place) = self.extra.get_mut(usize::from(index)) {
                    *place = if is_missing(value) { b"" } else { value };
                }
            }
        }
    }

    /// Puts a label's value into its place unless one is there.
    pub fn set_first(&mut self, target: Target, value: &'a [u8]) {
        if let Target::Extra(index) = target
            && self.extra.get(usize::from(index)).is_some_and(|held| held.is_empty())
        {
            self.set(target, value);
        }
    }

    /// The value as logged.
    pub fn get(&self, slot: Slot) -> Option<&'a [u8]> {
        self.slots.get(slot as usize).copied().flatten()
    }

    /// The value, empty where it is missing or was logged as missing.
    pub fn or_empty(&self, slot: Slot) -> &'a [u8] {
        self.get(slot).filter(|value| !is_missing(value)).unwrap_or_default()
    }

    /// The request that these values tell of, with the outcome left open and attempts as far as they need no verdict.
    ///
    /// # Errors
    /// If the time or the status is missing or no such thing.
    pub fn bare_record(&self, context: &mut Context) -> Result<Record<'a>, Unusable<'a>> {
        let request_time = self.get(Slot::RequestTime).and_then(|value| duration(value, self.unit));
        let end = self.end(request_time, context)?;
        let status = match self.get(Slot::Status) {
            Some(value) => status(value).ok_or(self.bad(Slot::Status, "no status"))?,
            None => return Err(self.bad(Slot::Status, "no field holds the status")),
        };
        let mut record = Record::new(end, status);
        record.request_time = request_time.and_then(|ms| u32::try_from(ms).ok());
        let request = text::request_line(self.or_empty(Slot::Request));
        let own = |slot, other| Some(self.or_empty(slot)).filter(|own| !own.is_empty()).unwrap_or(other);
        record.method = own(Slot::Method, request.method);
        record.path = own(Slot::Path, request.target);
        record.node = self.or_empty(Slot::Node);
        record.region = self.or_empty(Slot::Region);
        record.pool = self.or_empty(Slot::Pool);
        record.site = text::site(authority(self.or_empty(Slot::Site)));
        record.extra = Extra::new(self.line, &self.extra);
        Ok(record)
    }

    /// The request, its attempts and its outcome as far as nginx's variables (if there are any) tell.
    ///
    /// # Errors
    /// If the time or the status is missing or no such thing.
    pub fn record(&self, context: &mut Context) -> Result<Record<'a>, Unusable<'a>> {
        let mut record = self.bare_record(context)?;
        let lists = self.lists(record.status);
        record.attempts = lists.map_or(Attempts::None, Lists::attempts);
        record.outcome = Evidence {
            status: record.status,
            protocol: text::request_line(self.or_empty(Slot::Request)).protocol,
            cache_status: b"",
            lists: lists.as_ref(),
            attempts: &record.attempts,
            told: self.told(),
            is_session: false,
        }
        .outcome(context);
        if lists.is_none() {
            record.attempts = self.single(&record);
        }
        Ok(record)
    }

    /// What a header tells of an error.
    fn told(&self) -> Option<Cause> {
        self.header.cause(self.get(Slot::ProxyStatus)?)
    }

    /// A gateway error with what a header told of it.
    pub fn refined(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::GatewayError(own) => {
                Outcome::GatewayError(self.told().map_or(own, |told| proxy_status::refined(own, told)))
            }
            outcome => outcome,
        }
    }

    /// nginx's lists, if anything that only nginx logs is there.
    fn lists(&self, request_status: Status) -> Option<Lists<'a>> {
        let addr = self.get(Slot::Upstream).unwrap_or_default();
        let is_list = text::find(b' ', addr).is_some()
            && (memmem::find(addr, b", ").is_some() || memmem::find(addr, b" : ").is_some());
        let own = [Slot::UpstreamStatus, Slot::ConnectTime, Slot::HeaderTime];
        if !is_list && own.iter().all(|slot| self.get(*slot).is_none()) {
            return None;
        }
        Some(Lists {
            addr,
            status: self.get(Slot::UpstreamStatus).unwrap_or_default(),
            connect_time: self.get(Slot::ConnectTime),
            header_time: self.get(Slot::HeaderTime),
            response_time: self.get(Slot::ResponseTime),
            response_length: self.get(Slot::ResponseLength),
            request_status,
            of_session: false,
        })
    }

    /// A single server by its name, whatever it looks like: it shared the fate of the request.
    pub fn single(&self, record: &Record<'a>) -> Attempts<'a> {
        let upstream = match self.or_empty(Slot::Upstream) {
            b"" => with_pool(self.line, record.pool, self.or_empty(Slot::Server)),
            upstream => upstream,
        };
        // HAProxy's `<NOSRV>`, `<STATS>`: no server.
        if upstream.is_empty() || memchr(b'<', upstream).is_some() {
            return Attempts::None;
        }
        let failure = record.outcome.gateway_error();
        Attempts::One(Attempt { upstream, pool: b"", status: record.status, failure })
    }

    /// The end: as logged, or the start and the total time (which is the finer stamp where both are logged).
    fn end(&self, request_time: Option<Millis>, context: &mut Context) -> Result<Millis, Unusable<'a>> {
        let start = self.get(Slot::StartTime).filter(|value| !is_missing(value));
        let end = self.get(Slot::Time).filter(|value| !is_missing(value));
        if let (Some(start), true) = (start, end.is_none() || request_time.is_some()) {
            let start = time(start, context).ok_or(self.bad(Slot::StartTime, "no known form of date"))?;
            return Ok(start.saturating_add(request_time.unwrap_or(0)));
        }
        match end {
            Some(end) => time(end, context).ok_or(self.bad(Slot::Time, "no known form of date")),
            None => Err(self.bad(Slot::Time, "no field holds the time")),
        }
    }

    /// When it was logged; `None`: no time, or none that is known.
    pub fn at(&self, context: &mut Context) -> Option<Millis> {
        self.end(None, context).ok()
    }

    fn bad(&self, slot: Slot, reason: &'static str) -> Unusable<'a> {
        Unusable { slot, value: self.get(slot), reason }
    }
}

/// What formats write where there is nothing.
pub fn is_missing(value: &[u8]) -> bool {
    value.len() <= 4 && matches!(value, b"" | b"-" | b"null" | b"\"-\"")
}

/// The server with its pool, as HAProxy writes them, where the line has them so: what is borrowed cannot be joined.
fn with_pool<'a>(line: &'a [u8], pool: &'a [u8], server: &'a [u8]) -> &'a [u8] {
    let (from, at) = (offset_in(line, pool), offset_in(line, server));
    if !pool.is_empty()
        && !server.is_empty()
        && from + pool.len() + 1 == at
        && line.get(at - 1) == Some(&b'/')
    {
        return line.get(from..at + server.len()).unwrap_or(server);
    }
    server
}

/// Where a part of the line begins in it; 0 for anything that is no part of it.
pub fn offset_in(line: &[u8], part: &[u8]) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    if offset <= line.len() { offset } else { 0 }
}

/// The host and port of a URL, without what somebody may log in with: `http://user:pass@10.0.0.7:8080/base` →
/// `10.0.0.7:8080`. JSON may escape a slash. A value that is no URL is itself, as far as a host can reach.
pub fn authority(url: &[u8]) -> &[u8] {
    if memchr3(b'/', b'@', b'?', url).is_none() {
        return url;
    }
    let scheme = [&b"://"[..], b":\\/\\/"]
        .into_iter()
        .find_map(|mark| text::find_literal(mark, url).map(|at| at + mark.len()));
    let rest = url.get(scheme.unwrap_or(0)..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'\\' | b'?' | b'#')).unwrap_or(rest.len());
    let rest = rest.get(..end).unwrap_or_default();
    memrchr(b'@', rest).and_then(|at| rest.get(at + 1..)).unwrap_or(rest)
}

/// Any form of date. JSON may escape a slash.
fn time(value: &[u8], context: &mut Context) -> Option<Millis> {
    let mut plain = [0; 40];
    if memchr(b'\\', value).is_none() {
        return context.dates.any(value);
    }
    let mut len = 0;
    for byte in value.iter().filter(|byte| **byte != b'\\') {
        *plain.get_mut(len)? = *byte;
        len += 1;
    }
    context.dates.any(plain.get(..len)?)
}

/// A length of time in milliseconds, rounded: `0.001`, `2.7e-06`, `12`, `50ms`, `1m30.5s`.
pub fn duration(value: &[u8], unit: Unit) -> Option<Millis> {
    if let (Unit::Seconds, [_, b'.', _, _, _]) = (unit, value)
        && let Some(millis) = text::millis(value)
    {
        return Some(millis.into());
    }
    let mut rest = value;
    let mut total = 0;
    loop {
        let (number, after) = decimal(rest)?;
        if after.is_empty() {
            // Only a number alone counts in the unit that its name implies.
            return (rest.len() == value.len()).then(|| number.scaled(unit.exponent()?)).flatten();
        }
        let letters = after.iter().position(|b| b.is_ascii_digit()).unwrap_or(after.len());
        let (written, next) = after.split_at(letters);
        let part = match written {
            b"h" => number.scaled(3)?.checked_mul(3600)?,
            b"m" => number.scaled(3)?.checked_mul(60)?,
            _ => number.scaled(Unit::named(written)?.exponent()?)?,
        };
        total = part.checked_add(total)?;
        if next.is_empty() {
            return Some(total);
        }
        rest = next;
    }
}

/// A decimal number: its digits, and the power of ten they count.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u64,
    exponent: i32,
}

impl Decimal {
    /// Rounded, times a power of ten.
    fn scaled(self, exponent: i32) -> Option<i64> {
        let exponent = self.exponent.checked_add(exponent)?;
        let power = 10u64.checked_pow(exponent.unsigned_abs());
        if exponent >= 0 {
            return i64::try_from(self.digits.checked_mul(power?)?).ok();
        }
        let Some(power) = power else { return Some(0) };
        i64::try_from((self.digits / power) + u64::from(self.digits % power >= power.div_ceil(2))).ok()
    }
}

/// So many digits fit into a word whatever they are.
const DIGITS_SAFE: usize = 18;

/// The number at the start, and what follows it.
fn decimal(text: &[u8]) -> Option<(Decimal, &[u8])> {
    let whole = text.iter().take(DIGITS_SAFE).position(|b| !b.is_ascii_digit());
    let whole = whole.unwrap_or(text.len().min(DIGITS_SAFE));
    let digits = text.get(..whole)?.iter().fold(0, |n, b| n * 10 + u64::from(b - b'0'));
    let mut number = Decimal { digits, exponent: 0 };
    let mut seen = whole > 0;
    let mut point = false;
    let mut at = whole;
    while let Some(byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                // Digits beyond what a length of time can need are dropped, not refused.
                match number.digits.checked_mul(10).and_then(|n| n.checked_add(u64::from(byte - b'0'))) {
                    Some(digits) => {
                        number.digits = digits;
                        number.exponent -= i32::from(point);
                    }
                    None if point => {}
                    None => return None,
                }
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    let after = text.get(at..)?;
    if let [b'e' | b'E', sign @ (b'-' | b'+'), digits @ ..] = after
        && (1..=2).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
    {
        let power = digits.iter().fold(0, |n, digit| n * 10 + i32::from(digit - b'0'));
        number.exponent += if *sign == b'-' { -power } else { power };
        return seen.then_some((number, b""));
    }
    seen.then_some((number, after))
}

/// A status: up to three digits (`009` and `000` are real), or none: empty, `-`, `-1`. JSON writers make `200.0` of it.
pub fn status(value: &[u8]) -> Option<Status> {
    match value {
        b"" | b"-" | b"-1" | b"null" => Some(Status::NONE),
        _ => count(value.strip_suffix(b".0").unwrap_or(value))
            .filter(|_| value.len() <= 5)
            .and_then(|code| (code <= 999).then(|| Status::new(code))),
    }
}

/// A small number.
pub fn count(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u16, |n, b| {
        let digit = b.is_ascii_digit().then(|| u16::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}
