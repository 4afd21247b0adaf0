//! Log dates → time, by hand: a strptime costs more than the rest of the line. The zone of a stamp without one is a
//! setting.

use crate::record::Millis;

/// The zone of stamps that carry none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// A fixed offset: milliseconds east of UTC.
    Fixed(i32),
    /// An IANA zone, with its summer times.
    Named(chrono_tz::Tz),
}

/// Dates of one file → time. Remembers the last second it parsed: log lines repeat it.
#[derive(Clone, Debug)]
pub struct Dates {
    zone: Zone,
    /// A time that this file's stamps are close to: its watermark, before the first line its modification time.
    near: Millis,
}

impl Dates {
    /// Dates of a file whose zoneless stamps are in `zone` and close to `near`.
    #[must_use]
    pub fn new(zone: Zone, near: Millis) -> Dates {
        Dates { zone, near }
    }

    /// Tells it how far the file has come.
    pub fn set_near(&mut self, near: Millis) {
        self.near = near;
    }

    /// The zone of stamps that carry none.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }
}
