//! The values of a line → a record.

use super::operators::{Shape, Slot};
use super::spec::Spec;
use super::steps::Slots;
use super::verdict::Evidence;
use crate::context::Context;
use crate::fields::{self, Unit, is_missing};
use crate::proxy_status::{self, Header};
use crate::reason::Cause;
use crate::record::{Millis, Outcome, Record};
use crate::text::{self, dash};
use crate::upstreams::{Attempt, Attempts, Retries};

/// A bound for a count that comes from the line.
const ATTEMPTS_MAX: u16 = 64;

/// Which of the slots the format carries, and how its times are read.
#[derive(Debug, Default)]
pub(super) struct Carried {
    slots: u32,
    /// The steps of the stamps.
    start: Option<usize>,
    emitted: Option<usize>,
    status: Option<usize>,
    unit: Unit,
    told: Option<Header>,
}

impl Carried {
    pub(super) fn of(spec: &Spec) -> Carried {
        let mut carried = Carried::default();
        for (i, step) in spec.steps.iter().enumerate() {
            let Some(slot) = step.operator.slot else { continue };
            carried.slots |= 1 << slot as u32;
            match slot {
                Slot::StartTime => carried.start = Some(i),
                Slot::EmitTime => carried.emitted = Some(i),
                Slot::Status => carried.status = Some(i),
                Slot::Duration => carried.unit = step.operator.unit,
                Slot::Told => carried.told = step.operator.told,
                _ => {}
            }
        }
        carried
    }

    pub(super) fn has(&self, slot: Slot) -> bool {
        self.slots & (1 << slot as u32) != 0
    }
}

/// A step's value, and what is wrong with it.
pub(super) struct Wrong(pub(super) usize, pub(super) &'static str);

/// The values of one line, with what their format carries.
pub(super) struct Values<'s, 'a> {
    pub(super) spec: &'s Spec,
    pub(super) carried: &'s Carried,
    pub(super) slots: &'s Slots<'a>,
}

impl<'a> Values<'_, 'a> {
    fn get(&self, slot: Slot) -> &'a [u8] {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    fn if_carried(&self, slot: Slot) -> Option<&'a [u8]> {
        self.carried.has(slot).then(|| self.get(slot))
    }

    /// The first of these that has a value.
    fn first_of(&self, slots: &[Slot]) -> &'a [u8] {
        slots.iter().map(|slot| dash(self.get(*slot))).find(|value| !value.is_empty()).unwrap_or_default()
    }

    /// The request.
    pub(super) fn record(&self, node: &'a [u8], context: &mut Context) -> Result<Record<'a>, Wrong> {
        let request_time = self.request_time();
        let end = self.end(request_time, context).map_err(|step| Wrong(step, "no such date"))?;
        let status = fields::status(self.get(Slot::Status))
            .ok_or_else(|| Wrong(self.carried.status.unwrap_or_default(), "no status"))?;
        let mut record = Record::new(end, status);
        record.request_time = request_time.and_then(|ms| u32::try_from(ms).ok());
        record.method = dash(self.get(Slot::Method));
        record.path = dash(self.get(Slot::Path));
        record.node = Some(dash(self.get(Slot::Hostname))).filter(|node| !node.is_empty()).unwrap_or(node);
        record.region = dash(self.get(Slot::Region));
        record.pool = dash(self.get(Slot::Cluster));
        record.site = text::site(self.first_of(&[Slot::Authority, Slot::ServerName]));
        let upstream = address(self.first_of(&[Slot::Host, Slot::RemoteAddress]));
        record.outcome = self.outcome(&record, upstream, context);
        if let Outcome::GatewayError(own) = record.outcome
            && let Some(told) = self.carried.told.and_then(|header| header.cause(self.get(Slot::Told)))
        {
            record.outcome = Outcome::GatewayError(proxy_status::refined(own, told));
        }
        record.attempts = self.attempts(&record, upstream);
        Ok(record)
    }

    /// Envoy logs the start. Where it logs when the line was written, too, and no total time, that is the end.
    fn end(&self, request_time: Option<Millis>, context: &mut Context) -> Result<Millis, usize> {
        let mut time = |step: Option<usize>, slot| {
            let step = step?;
            let Shape::Stamp(stamp) = &self.spec.steps.get(step)?.operator.shape else { return None };
            Some(stamp.time(self.get(slot), &mut context.dates).ok_or(step))
        };
        let start = if self.carried.emitted.is_none() || request_time.is_some() {
            time(self.carried.start, Slot::StartTime)
        } else {
            None
        };
        match start {
            Some(start) => Ok(start?.saturating_add(request_time.unwrap_or(0))),
            None => time(self.carried.emitted, Slot::EmitTime)
                .or_else(|| time(self.carried.start, Slot::StartTime))
                .unwrap_or(Err(0)),
        }
    }

    fn request_time(&self) -> Option<Millis> {
        let number = |slot, unit| fields::duration(self.get(slot), unit);
        if self.carried.has(Slot::Duration) {
            return number(Slot::Duration, self.carried.unit);
        }
        let first_byte = number(Slot::ResponseDuration, Unit::Millis)?;
        Some(first_byte + number(Slot::ResponseTxDuration, Unit::Millis)?)
    }

    fn outcome(&self, record: &Record<'_>, upstream: &[u8], context: &Context) -> Outcome {
        let names_upstream = self.carried.has(Slot::Host) || self.carried.has(Slot::RemoteAddress);
        let names_request = self.carried.has(Slot::Method) || self.carried.has(Slot::Protocol);
        let protocol = dash(self.get(Slot::Protocol));
        Evidence {
            failure: dash(self.get(Slot::Failure)),
            termination: dash(self.get(Slot::Termination)),
            pool: record.pool,
            has_upstream: names_upstream.then_some(!upstream.is_empty()),
            header_came: self.if_carried(Slot::ServiceTime).map(|value| !is_missing(value)),
            is_http: names_request.then_some(!record.method.is_empty() || !protocol.is_empty()),
            may_be_grpc: record.method == b"POST" && protocol == b"HTTP/2",
            ..Evidence::new(record.status, self.if_carried(Slot::Flags), dash(self.get(Slot::Details)))
        }
        .outcome(context)
    }

    fn attempts(&self, record: &Record<'a>, upstream: &'a [u8]) -> Attempts<'a> {
        if upstream.is_empty() {
            return Attempts::None;
        }
        let failure = record.outcome.gateway_error();
        let last = Attempt { upstream, pool: b"", status: record.status, failure };
        let listed = dash(self.get(Slot::HostsAttempted)).split(|b| *b == b',').count();
        let count = fields::count(self.get(Slot::Attempts)).or(u16::try_from(listed).ok()).unwrap_or(1);
        match count.saturating_sub(1).min(ATTEMPTS_MAX) {
            0 => Attempts::One(last),
            // Which servers the earlier tries went to is not told apart, nor how they failed.
            before => Attempts::Retries(Retries { last, before, redispatched: true, cause: Cause::UNKNOWN }),
        }
    }
}

/// `tcp://10.0.2.1:80`, as Envoy wrote before 1.5, is `10.0.2.1:80`.
fn address(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"tcp://").or_else(|| host.strip_prefix(b"udp://")).unwrap_or(host)
}
