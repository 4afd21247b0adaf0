//! The values of a line → a record, and what the request's end means.

use super::steps::Slots;
use super::variables::Slot;
use crate::context::Context;
use crate::proxy_status::{self, Header};
use crate::reason::{Cause, Origin, Reason};
use crate::record::{Extra, Millis, Outcome, Record, Status};
use crate::text::{self, RequestLine};
use crate::upstreams::{self, Attempts, Lists};

/// Which of the slots the format carries: an empty value and a missing variable say different things.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried {
    slots: u32,
    /// Whose value `Slot::ProxyStatus` is.
    header: Option<Header>,
}

impl Carried {
    pub(super) fn with(self, slot: Slot) -> Carried {
        Carried { slots: self.slots | 1 << slot as u32, ..self }
    }

    /// With the header that `Slot::ProxyStatus` holds.
    pub(super) fn telling(self, header: Option<Header>) -> Carried {
        Carried { header, ..self }
    }

    pub(super) fn has(self, slot: Slot) -> bool {
        self.slots & (1 << slot as u32) != 0
    }

    /// A log of the stream module: no other has these variables.
    fn is_of_sessions(self) -> bool {
        self.has(Slot::SessionTime) || self.has(Slot::Protocol)
    }
}

/// Values by slot.
struct Values<'s, 'a> {
    slots: &'s Slots<'a>,
    carried: Carried,
}

impl<'a> Values<'_, 'a> {
    fn get(&self, slot: Slot) -> &'a [u8] {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    fn if_carried(&self, slot: Slot) -> Option<&'a [u8]> {
        self.carried.has(slot).then(|| self.get(slot))
    }
}

/// The record, of this node if the line names none. Inlined, so that it is built where it is wanted.
#[inline(always)]
pub(super) fn record<'a>(
    slots: &Slots<'a>,
    carried: Carried,
    end: Millis,
    node: &'a [u8],
    context: &Context,
) -> Record<'a> {
    let values = Values { slots, carried };
    let status = text::status(values.get(Slot::Status)).unwrap_or(Status::NONE);
    let is_fine = context.gateway_statuses.is_none() && !matches!(status.code(), Some(9 | 499 | 502 | 504));
    // One try that an address answered, of a request that ended well whatever it was: nearly every line. What is read
    // here is what `judged` would say of it.
    if is_fine
        && let Some(mut attempt) = upstreams::usual(values.get(Slot::Addr), values.get(Slot::UpstreamStatus))
    {
        if carried.has(Slot::Server) {
            attempt.upstream = text::dash(values.get(Slot::Server));
        }
        let request = request(&values);
        return of(&values, (end, status, node), request, Attempts::One(attempt), Outcome::Fine);
    }
    judged(&values, (end, status, node), context)
}

#[inline(always)]
fn of<'a>(
    values: &Values<'_, 'a>,
    (end, status, node): (Millis, Status, &'a [u8]),
    request: RequestLine<'a>,
    attempts: Attempts<'a>,
    outcome: Outcome,
) -> Record<'a> {
    let hostname = text::dash(values.get(Slot::Hostname));
    let time = if values.carried.is_of_sessions() { Slot::SessionTime } else { Slot::RequestTime };
    Record {
        request_time: text::millis(values.get(time)),
        method: request.method,
        path: request.target,
        node: if hostname.is_empty() { node } else { hostname },
        pool: text::dash(values.get(Slot::Pool)),
        site: site(values),
        attempts,
        outcome,
        end,
        status,
        region: b"",
        extra: Extra::NONE,
    }
}

/// The same of any line.
#[inline(never)]
fn judged<'a>(values: &Values<'_, 'a>, head: (Millis, Status, &'a [u8]), context: &Context) -> Record<'a> {
    let (request, status) = (request(values), head.1);
    let lists = lists(values, status);
    let mut attempts = lists.map_or(Attempts::None, Lists::attempts);
    if values.carried.has(Slot::Server)
        && let Attempts::One(attempt) = &mut attempts
    {
        attempt.upstream = text::dash(values.get(Slot::Server));
    }
    let outcome = Evidence {
        status,
        protocol: request.protocol,
        cache_status: values.get(Slot::CacheStatus),
        lists: lists.as_ref(),
        attempts: &attempts,
        told: values.carried.header.and_then(|header| header.cause(values.get(Slot::ProxyStatus))),
        is_session: values.carried.is_of_sessions(),
    }
    .outcome(context);
    of(values, head, request, attempts, outcome)
}

/// All of nginx's times are taken when the line is written: the request's end. The most exact one counts.
/// `Err`: the slot whose value is no date.
pub(super) fn time(slots: &Slots<'_>, carried: Carried, context: &mut Context) -> Result<Millis, Slot> {
    let values = Values { slots, carried };
    if let Some(msec) = values.if_carried(Slot::Msec) {
        return crate::time::epoch(msec).ok_or(Slot::Msec);
    }
    if let Some(iso) = values.if_carried(Slot::TimeIso) {
        return context.dates.iso(iso).ok_or(Slot::TimeIso);
    }
    context.dates.clf(values.get(Slot::TimeLocal)).ok_or(Slot::TimeLocal)
}

fn request<'a>(values: &Values<'_, 'a>) -> RequestLine<'a> {
    if let Some(line) = values.if_carried(Slot::Request) {
        return text::request_line(line);
    }
    let target = [Slot::RequestUri, Slot::Uri].into_iter().find_map(|slot| values.if_carried(slot));
    RequestLine {
        method: text::dash(values.get(Slot::Method)),
        target: text::dash(target.unwrap_or_default()),
        protocol: b"",
    }
}

fn site<'a>(values: &Values<'_, 'a>) -> &'a [u8] {
    let hosts = [Slot::Host, Slot::HttpHost, Slot::ServerName].into_iter();
    let mut hosts = hosts.filter_map(|slot| values.if_carried(slot)).map(text::site);
    // `_` is nginx's customary name for a server that takes any host.
    hosts.find(|host| !host.is_empty() && *host != b"_").unwrap_or_default()
}

fn lists<'a>(values: &Values<'_, 'a>, status: Status) -> Option<Lists<'a>> {
    if !values.carried.has(Slot::Addr) && !values.carried.has(Slot::UpstreamStatus) {
        return None;
    }
    Some(Lists {
        addr: values.get(Slot::Addr),
        status: values.get(Slot::UpstreamStatus),
        connect_time: values.if_carried(Slot::ConnectTime),
        header_time: values.if_carried(Slot::HeaderTime),
        response_time: values.if_carried(Slot::ResponseTime),
        response_length: values.if_carried(Slot::ResponseLength),
        request_status: status,
        of_session: values.carried.is_of_sessions(),
    })
}

/// What bears on the outcome, from whatever format nginx wrote it in.
pub(crate) struct Evidence<'e, 'a> {
    pub(crate) status: Status,
    /// Of the request line.
    pub(crate) protocol: &'a [u8],
    /// `$upstream_cache_status`
    pub(crate) cache_status: &'a [u8],
    /// `None`: the format carries none of them.
    pub(crate) lists: Option<&'e Lists<'a>>,
    pub(crate) attempts: &'e Attempts<'a>,
    /// What a header told of the error.
    pub(crate) told: Option<Cause>,
    /// A session of nginx's stream module.
    pub(crate) is_session: bool,
}

impl Evidence<'_, '_> {
    pub(crate) fn outcome(&self, context: &Context) -> Outcome {
        let code = self.status.code();
        // nginx's 503 is its own limits' or the upstream's answer: neither is a failed upstream.
        let by_default = match code {
            Some(502 | 504) => true,
            // 009 is an upstream's answer without a status line. A client's own HTTP/0.9 ends so only if nothing was sent.
            Some(9) => self.lists.is_none() || !matches!(self.attempts, Attempts::None),
            _ => false,
        };
        if context.is_gateway_status(self.status, by_default) {
            let own = self.cause();
            return Outcome::GatewayError(self.told.map_or(own, |told| proxy_status::refined(own, told)));
        }
        // nginx logs 499 only if it had sent nothing: unless the line shows that the upstream's header had come, the client
        // did not wait for it.
        if code == Some(499) && self.lists.and_then(Lists::last_header_came) != Some(true) {
            return Outcome::Abandoned;
        }
        Outcome::Fine
    }

    /// Who made the answer, and why.
    fn cause(&self) -> Cause {
        if self.status == Status::new(499) {
            return Cause { origin: Origin::Client, reason: Reason::ClientAborted };
        }
        let Some(lists) = self.lists else {
            // No upstream speaks statuses here: no server could be chosen or reached.
            if self.is_session {
                return Cause::proxy(Reason::Unknown);
            }
            let is_upstreams = self.status == Status::new(9) && !self.protocol.is_empty();
            return if is_upstreams { Cause::proxy(Reason::HttpProtocolError) } else { Cause::UNKNOWN };
        };
        let Some(last) = self.attempts.last() else {
            // No upstream was asked: the name did not resolve, or the configuration says so. Or the cache had an old answer.
            let from_cache = matches!(self.cache_status, b"HIT" | b"STALE" | b"UPDATING" | b"REVALIDATED");
            return if from_cache { Cause::UNKNOWN } else { Cause::proxy(Reason::Unknown) };
        };
        if lists.ends_before_connecting() {
            return Cause::proxy(Reason::Unknown);
        }
        match last.failure {
            Some(cause) => cause,
            // Other numbers than 502 and 504 nginx does not note for a failed attempt: the upstream answered so.
            None if last.status == self.status => Cause::upstream(),
            None => Cause::UNKNOWN,
        }
    }
}
