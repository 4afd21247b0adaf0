//! What the traffic is like: every number that the generator has, in one place. The other half, what is judged and how, is
//! `presets/default.toml`.

use gatewatch_parsers::Millis;

pub const SECOND: Millis = 1_000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;

/// Length of a step, and how long after its end it is judged: as in `[agent]`.
pub const STEP: Millis = 5 * SECOND;
pub const LATENESS: Millis = 2 * SECOND;
/// A world begins at a midnight, so that its hours are round.
pub const EPOCH: Millis = 20_000 * DAY;
/// What a first start may say about a host that it has never seen is counted apart.
pub const WARM_UP: Millis = 90 * MINUTE;

/// Requests a minute of one group (a server, or the site that is asked for), on a day's average.
pub const LOADS: [u32; 7] = [10, 30, 100, 300, 1_000, 3_000, 10_000];
/// What the table reports. The presets are tuned on 1 to 10, and on nothing else.
pub const REPORTED_ON: std::ops::RangeInclusive<u64> = 11..=30;
/// Group-days of each load, over all seeds.
pub const GROUP_DAYS: f64 = 2_000.0;

/// The day's swing: from `1 - SWING` at night to `1 + SWING` by day, each group at its own hours.
pub const SWING: f64 = 0.6;
/// Share of errors when nothing is wrong; as likely in each factor of ten.
pub const BASE: (f64, f64) = (0.001, 0.03);
/// A tenth of the groups always fails so often.
pub const CHRONIC: (f64, f64) = (0.1, 0.2);
/// The base wanders: times e to the power of so many standard normals, another one each hour.
pub const WANDER: f64 = 0.1;
/// Share of clients that leave before the answer when nothing is wrong.
pub const LEAVING: f64 = 0.003;
/// Share of requests that a proxy answers by itself: they have a site and no upstream.
pub const OWN_ANSWERS: f64 = 0.05;

/// Faults of one group a group-day, of each wider kind a day of the whole host or fleet; restarts a group-day.
pub const FAULTS_A_DAY: f64 = 1.0;
pub const WIDE_A_DAY: f64 = 1.0;
pub const BLIPS_A_DAY: f64 = 1.0;
/// Share of the requests that a fault strikes, and how long it lasts; as likely in each factor of ten.
pub const SHARE: (f64, f64) = (0.2, 1.0);
/// So many strike all requests.
pub const TOTAL: f64 = 0.2;
pub const LASTS: (Millis, Millis) = (MINUTE, 30 * MINUTE);
/// The share of a server that "fails 30 %".
pub const FAILING: f64 = 0.3;
/// A restart: everything fails for so long. No fault.
pub const BLIP: (Millis, Millis) = (5 * SECOND, 8 * SECOND);
/// The proxies' timeouts for an answer: whole steps.
pub const TIMEOUTS: [Millis; 3] = [10 * SECOND, 30 * SECOND, 60 * SECOND];
/// In half of the hangs with a longer timeout, half of the clients leave after so long.
pub const IMPATIENT: (f64, f64, Millis) = (0.5, 0.5, 20 * SECOND);
/// Between two faults of a host or fleet nothing else is wrong for so long.
pub const APART: Millis = 5 * MINUTE;
/// An alarm is false if no fault of its group is nearer than this; a fault is missed if no alert has come by so long after it.
pub const NEAR: Millis = 2 * MINUTE;

/// What is simulated for each load and seed: kind, and its share of the group-days.
pub const WORLDS: [(Kind, f64); 3] = [(Kind::Host, 0.4), (Kind::Fleet, 0.3), (Kind::Forward, 0.3)];

/// Whose logs these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One reverse proxy: the usual agent. Every other pool retries at its other servers.
    Host,
    /// Six reverse proxies in three regions, read by one agent; every server serves all of them.
    Fleet,
    /// One forward proxy: the sites asked for, no upstreams.
    Forward,
}

impl Kind {
    /// Nodes and their regions, pools, servers of a pool; a forward proxy has sites in place of servers.
    pub fn size(self) -> (usize, usize, usize, usize) {
        match self {
            Kind::Host => (1, 1, 4, 5),
            Kind::Fleet => (6, 3, 3, 4),
            Kind::Forward => (1, 1, 1, 20),
        }
    }
}
