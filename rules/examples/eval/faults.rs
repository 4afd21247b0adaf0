//! What goes wrong, where and for how long; one at a time in a host or fleet.

use crate::parameters::{
    APART, BLIP, BLIPS_A_DAY, EPOCH, FAILING, FAULTS_A_DAY, IMPATIENT, Kind, LASTS, NEAR, SHARE, TIMEOUTS,
    TOTAL, WARM_UP, WIDE_A_DAY,
};
use crate::rng::Rng;
use crate::world::{Labels, World};
use gatewatch_parsers::{Cause, Millis, Reason};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// One server refuses connections.
    Refuses,
    /// One server accepts and does not answer until the proxy's timeout.
    Hangs,
    /// One server fails 30 % of requests.
    Fails,
    /// One server resets connections.
    Resets,
    /// One node reaches none of its upstreams.
    Node,
    /// All nodes of one region.
    Region,
    /// One target blocks the forward proxy.
    Target,
    /// One node's resolver.
    Dns,
    /// Everything.
    Everything,
    /// One server is away for some seconds: no fault.
    Blip,
}

impl What {
    pub const FAULTS: [What; 9] = [
        What::Refuses,
        What::Hangs,
        What::Fails,
        What::Resets,
        What::Node,
        What::Region,
        What::Target,
        What::Dns,
        What::Everything,
    ];

    pub fn name(self) -> &'static str {
        match self {
            What::Refuses => "one server refuses",
            What::Hangs => "one server hangs to the timeout",
            What::Fails => "one server fails 30 %",
            What::Resets => "one server resets",
            What::Node => "one node, all upstreams",
            What::Region => "one region",
            What::Target => "one target blocks",
            What::Dns => "DNS",
            What::Everything => "everything",
            What::Blip => "blip",
        }
    }

    /// Whose kinds they are.
    fn of(kind: Kind) -> (&'static [What], &'static [What]) {
        let servers = &[What::Refuses, What::Hangs, What::Fails, What::Resets];
        match kind {
            Kind::Host => (servers, &[What::Dns, What::Everything]),
            Kind::Fleet => (servers, &[What::Node, What::Region, What::Dns, What::Everything]),
            Kind::Forward => (&[What::Target, What::Hangs], &[What::Dns, What::Everything]),
        }
    }

    /// What the log says of it.
    pub fn cause(self) -> (Cause, u16) {
        match self {
            What::Refuses | What::Blip => (Cause::proxy(Reason::ConnectionRefused), 502),
            What::Hangs => (Cause::proxy(Reason::ConnectionReadTimeout), 504),
            What::Fails => (Cause::UNKNOWN, 502),
            What::Resets => (Cause::proxy(Reason::ConnectionTerminated), 502),
            What::Target => (Cause::proxy(Reason::ConnectionTimeout), 504),
            What::Dns => (Cause::proxy(Reason::DnsError), 502),
            What::Node | What::Region | What::Everything => (Cause::proxy(Reason::ConnectionFailed), 502),
        }
    }

    /// Whether it is one server's (or site's), so that another server may save the request.
    pub fn is_one_server(self) -> bool {
        matches!(self, What::Refuses | What::Hangs | What::Fails | What::Resets | What::Blip)
    }
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    pub what: What,
    pub start: Millis,
    pub end: Millis,
    /// Of the requests that begin meanwhile.
    pub share: f64,
    /// How long a request hangs; 0: it fails at once.
    pub timeout: Millis,
    /// Of those that hang, so many leave before.
    pub impatient: f64,
    /// Series whose requests it strikes.
    pub series: Vec<usize>,
    /// Series that show it.
    pub shown_in: Vec<usize>,
    /// The labels that name its place.
    pub place: Labels,
    /// Other servers save the requests: users do not see it.
    pub masked: bool,
}

impl Fault {
    /// The last line that shows it is written by then.
    pub fn shown_until(&self) -> Millis {
        self.end + self.timeout
    }

    pub fn is_blip(&self) -> bool {
        self.what == What::Blip
    }
}

/// Everything that goes wrong until `until`, by start; and how many found no room.
pub fn schedule(world: &World, until: Millis, rng: &mut Rng) -> (Vec<Fault>, usize) {
    let days = (until - EPOCH) as f64 / crate::parameters::DAY as f64;
    let (single, wide) = What::of(world.kind);
    let mut wanted = Vec::new();
    let times = |rng: &mut Rng, mean: f64| rng.poisson(mean * days);
    for group in 0..world.groups {
        for _ in 0..times(rng, FAULTS_A_DAY) {
            let what = single.get(rng.below(single.len())).copied().unwrap_or(What::Refuses);
            wanted.push(fault(world, what, group, rng));
        }
        for _ in 0..times(rng, BLIPS_A_DAY) {
            wanted.push(fault(world, What::Blip, group, rng));
        }
    }
    for &what in wide {
        for _ in 0..times(rng, WIDE_A_DAY) {
            wanted.push(fault(world, what, 0, rng));
        }
    }
    let mut placed: Vec<Fault> = Vec::new();
    let mut homeless = 0;
    for mut fault in wanted {
        let length = fault.end - fault.start;
        let free = (0..200).find_map(|_| {
            let room = (until - EPOCH - WARM_UP - length - fault.timeout - NEAR) as f64;
            let start = EPOCH + WARM_UP + (rng.uniform() * room.max(1.0)) as Millis;
            let end = start + length + fault.timeout;
            let is_free = |other: &Fault| end + APART < other.start || other.shown_until() + APART < start;
            placed.iter().all(is_free).then_some(start)
        });
        match free {
            Some(start) => {
                (fault.start, fault.end) = (start, start + length);
                placed.push(fault);
            }
            None => homeless += 1,
        }
    }
    placed.sort_by_key(|fault| fault.start);
    (placed, homeless)
}

/// One that has no time yet.
fn fault(world: &World, what: What, group: usize, rng: &mut Rng) -> Fault {
    let node = rng.below(world.nodes);
    let region = rng.below(world.regions);
    let strikes = |series: &crate::world::Series| match what {
        What::Node | What::Dns => series.node == node && series.group.is_some(),
        What::Region => series.region == region && series.group.is_some(),
        What::Everything => series.group.is_some(),
        _ => series.group == Some(group),
    };
    let all = |is: &dyn Fn(&crate::world::Series) -> bool| -> Vec<usize> {
        (0..).zip(&world.series).filter(|(_, s)| is(s)).map(|(i, _)| i).collect()
    };
    let series = all(&strikes);
    let has_upstreams = world.kind != Kind::Forward;
    // A name that does not resolve leaves no upstream.
    let is_elsewhere = what == What::Dns && has_upstreams;
    let shown_in = if is_elsewhere { all(&|s| s.node == node && s.group.is_none()) } else { series.clone() };
    let first = series.first().and_then(|i| world.series.get(*i));
    let named = |names: &[&str]| -> Labels {
        let value = |name: &&str| Some(((*name).to_owned(), first?.labels.get(*name)?.clone()));
        names.iter().filter_map(value).collect()
    };
    let place = match what {
        What::Node | What::Dns => named(&["node"]),
        What::Region => named(&["region"]),
        What::Everything => Labels::new(),
        _ if has_upstreams => named(&["upstream"]),
        _ => named(&["site"]),
    };
    let (lengths, share) = match what {
        What::Blip => (BLIP, 1.0),
        What::Fails => (LASTS, FAILING),
        _ if rng.uniform() < TOTAL => (LASTS, 1.0),
        _ => (LASTS, rng.log_between(SHARE.0, SHARE.1)),
    };
    let length = rng.log_between(lengths.0 as f64, lengths.1 as f64) as Millis;
    let timeout = match what {
        What::Hangs => TIMEOUTS.get(rng.below(TIMEOUTS.len())).copied().unwrap_or(0),
        _ => 0,
    };
    let may_leave = timeout > IMPATIENT.2 && rng.uniform() < IMPATIENT.0;
    let masked = what.is_one_server() && first.is_some_and(|s| s.retries);
    Fault {
        what,
        start: 0,
        end: length,
        share,
        timeout,
        impatient: if may_leave { IMPATIENT.1 } else { 0.0 },
        series,
        shown_in,
        place,
        masked,
    }
}
