//! The time of day: the only place that asks for it. Everything behind it takes time as an argument.

use gatewatch_parsers::Millis;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time of day.
#[must_use]
pub fn now() -> Millis {
    millis(SystemTime::now())
}

/// A time of the system's, as ours.
#[must_use]
pub fn millis(time: SystemTime) -> Millis {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as Millis)
}

/// The time of day may lead what has passed by so much before it is believed.
const STEP: Millis = 60_000;

/// A clock that does not jump back: the time of day at the start, and what has passed since. It follows the time of day
/// forward over a minute, which is a clock that was set or a host that was suspended: the logs' stamps do, too.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    started: Instant,
    wall: Millis,
}

impl Steady {
    /// Starts it.
    #[must_use]
    pub fn start() -> Steady {
        Steady { started: Instant::now(), wall: now() }
    }

    /// The time by it.
    #[must_use]
    pub fn now(&self) -> Millis {
        let passed = Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX);
        steady(self.wall.saturating_add(passed), now())
    }
}

/// What holds if so much time has passed, and the time of day is this.
fn steady(passed: Millis, wall: Millis) -> Millis {
    if wall.saturating_sub(passed) > STEP { wall } else { passed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set() {
        const HOUR: Millis = 3_600_000;
        let now = 1_800_000_000_000;
        let cases = [
            ("as it was", 0, 0),
            ("slewed", 800, 0),
            ("set back", -HOUR, 0),
            ("set forward, or suspended", HOUR, HOUR),
            ("back to the epoch", -now, 0),
        ];
        for (what, step, follows) in cases {
            assert_eq!(steady(now, now + step), now + follows, "{what}");
        }
    }
}
