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

/// A clock that does not jump: the time of day at the start, and what has passed since.
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
        self.wall.saturating_add(self.started.elapsed().as_millis() as Millis)
    }
}
