//! When a snapshot is due. Pure: the time is an argument, by a clock that does not jump.
//!
//! What counts as a change is what reading, deliveries and people do. Time that passes while nothing is read changes
//! nothing that a restart would not come to by itself, so an idle agent writes nothing.

use gatewatch_parsers::Millis;

/// Snapshots are not written more often,
const EVERY: Millis = 1_000;
/// nor more bytes a second in the long run.
const BYTES_A_SECOND: u64 = 128 << 10;
/// After a failure it waits so long, and each time twice that,
const BACKOFF: Millis = 1_000;
/// up to this.
const BACKOFF_MAX: Millis = 60_000;

/// What has changed since the last snapshot began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// Nothing.
    #[default]
    Nothing,
    /// Counts, positions, what became of deliveries.
    Something,
    /// An alert: somebody waits to be told.
    Alert,
}

/// When the last snapshots were written, and how that went.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    step: Millis,
    changed: Changed,
    /// When the last one was begun.
    begun: Option<Millis>,
    /// When the last one was begun for an alert's sake.
    hurried: Option<Millis>,
    /// Its size.
    size: u64,
    writing: bool,
    failures: u32,
}

impl Cadence {
    /// Nothing was written yet; an alert's change hurries once a `step` at most.
    #[must_use]
    pub fn new(step: Millis) -> Cadence {
        Cadence {
            step,
            changed: Changed::Nothing,
            begun: None,
            hurried: None,
            size: 0,
            writing: false,
            failures: 0,
        }
    }

    /// Something has changed.
    pub fn change(&mut self, what: Changed) {
        self.changed = self.changed.max(what);
    }

    /// Whether to begin one now.
    #[must_use]
    pub fn is_due(&self, now: Millis) -> bool {
        if self.writing || self.changed == Changed::Nothing {
            return false;
        }
        let Some(begun) = self.begun else { return true };
        // A clock that was set back must hold up nothing.
        let since = |then: Millis| if then > now { Millis::MAX } else { now - then };
        if self.failures > 0 {
            return since(begun) >= self.backoff();
        }
        let hurry =
            self.changed == Changed::Alert && self.hurried.is_none_or(|then| since(then) >= self.step);
        hurry || since(begun) >= self.interval()
    }

    /// One of this size was begun. Changes from now on are the next one's.
    pub fn begin(&mut self, now: Millis, size: u64) {
        if self.changed == Changed::Alert {
            self.hurried = Some(now);
        }
        (self.begun, self.size, self.writing, self.changed) = (Some(now), size, true, Changed::Nothing);
    }

    /// The one that was begun has ended. One that failed is still to be written.
    pub fn end(&mut self, written: bool) {
        self.writing = false;
        if written {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.change(Changed::Something);
        }
    }

    /// The last one could not be written.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// One is being written, since then.
    #[must_use]
    pub fn writing_since(&self) -> Option<Millis> {
        self.begun.filter(|_| self.writing)
    }

    /// An alert has changed since the last one was begun.
    #[must_use]
    pub fn owes_an_alert(&self) -> bool {
        self.changed == Changed::Alert
    }

    fn interval(&self) -> Millis {
        let millis = self.size.saturating_mul(1_000) / BYTES_A_SECOND;
        EVERY.max(Millis::try_from(millis).unwrap_or(Millis::MAX))
    }

    fn backoff(&self) -> Millis {
        BACKOFF_MAX.min(BACKOFF << (self.failures - 1).min(6)).max(self.interval().min(BACKOFF_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Do {
        Change(Changed),
        /// If due: begins one of so many bytes.
        Look(u64),
        Written,
        Failed,
    }
    use Changed::{Alert, Nothing, Something};
    use Do::{Change, Failed, Look, Written};

    const KIB: u64 = 1 << 10;

    /// The times at which a snapshot is begun.
    fn begun(story: &[(Millis, Do)]) -> Vec<Millis> {
        let mut cadence = Cadence::new(5_000);
        let mut begun = Vec::new();
        for (at, what) in story {
            match what {
                Change(what) => cadence.change(*what),
                Look(size) if cadence.is_due(*at) => {
                    cadence.begin(*at, *size);
                    begun.push(*at);
                }
                Look(_) => {}
                Written => cadence.end(true),
                Failed => cadence.end(false),
            }
        }
        begun
    }

    /// What it is about, what happens, and when a snapshot is begun.
    type Row = (&'static str, Vec<(Millis, Do)>, Vec<Millis>);

    fn come_out(table: Vec<Row>) {
        for (what, story, expected) in table {
            assert_eq!(begun(&story), expected, "{what}");
        }
    }

    #[test]
    fn an_idle_agent_writes_nothing() {
        let idle: Vec<(Millis, Do)> = (0..10_000).map(|i| (i * 100, Look(KIB))).collect();
        assert_eq!(begun(&idle), Vec::<Millis>::new());
    }

    #[test]
    fn what_is_due_when() {
        come_out(vec![
            ("the first at once", vec![(7, Change(Something)), (7, Look(1))], vec![7]),
            ("no change is none", vec![(7, Change(Nothing)), (7, Look(1))], vec![]),
            (
                "small ones every second, and the last change is not forgotten",
                vec![
                    (0, Change(Something)),
                    (0, Look(KIB)),
                    (10, Written),
                    (100, Change(Something)),
                    (999, Look(KIB)),
                    (1_000, Look(KIB)),
                    (1_010, Written),
                    (9_000, Look(KIB)),
                ],
                vec![0, 1_000],
            ),
            (
                "8 MiB every 64 s",
                vec![
                    (0, Change(Something)),
                    (0, Look(8 << 20)),
                    (50, Written),
                    (100, Change(Something)),
                    (63_999, Look(8 << 20)),
                    (64_000, Look(8 << 20)),
                ],
                vec![0, 64_000],
            ),
            (
                "an alert at once, once a step",
                vec![
                    (0, Change(Something)),
                    (0, Look(8 << 20)),
                    (50, Written),
                    (100, Change(Alert)),
                    (100, Look(8 << 20)),
                    (150, Written),
                    (5_000, Change(Alert)),
                    (5_000, Look(8 << 20)),
                    (5_100, Look(8 << 20)),
                ],
                vec![0, 100, 5_100],
            ),
        ]);
    }

    #[test]
    fn what_is_due_when_disks_are_slow_or_full() {
        come_out(vec![
            (
                "one in flight, and what changes meanwhile is the next one's",
                vec![
                    (0, Change(Alert)),
                    (0, Look(KIB)),
                    (20, Change(Alert)),
                    (9_000, Look(KIB)),
                    (9_001, Written),
                    (9_002, Look(KIB)),
                ],
                vec![0, 9_002],
            ),
            (
                "a failed one is tried again, more and more seldom, whatever changes",
                vec![
                    (0, Change(Something)),
                    (0, Look(KIB)),
                    (1, Failed),
                    (999, Change(Alert)),
                    (999, Look(KIB)),
                    (1_000, Look(KIB)),
                    (1_001, Failed),
                    (2_999, Look(KIB)),
                    (3_000, Look(KIB)),
                    (3_001, Failed),
                    (6_999, Look(KIB)),
                    (7_000, Look(KIB)),
                    (7_001, Written),
                    (8_000, Change(Something)),
                    (8_000, Look(KIB)),
                ],
                vec![0, 1_000, 3_000, 7_000, 8_000],
            ),
            (
                "a minute at most, also for a large one",
                std::iter::once((0, Change(Something)))
                    .chain((0..20).flat_map(|i| [(i * 60_000, Look(32 << 20)), (i * 60_000 + 1, Failed)]))
                    .collect(),
                (0..20).map(|i| i * 60_000).collect(),
            ),
            (
                "a clock set back holds up nothing",
                vec![
                    (1_000_000, Change(Something)),
                    (1_000_000, Look(KIB)),
                    (1_000_001, Written),
                    (5, Change(Something)),
                    (5, Look(KIB)),
                ],
                vec![1_000_000, 5],
            ),
        ]);
    }
}
