//! One file's own time. Lines stand in the order in which requests ended, nearly; the newest end less `lateness` is the
//! file's watermark. A record whose step ended at or before the watermark is late. An end over an hour ahead of it waits
//! for the next line: as far ahead, time jumped; else that one line was stamped wrongly.
//!
//! [`FileClock`] is exact, line by line. [`BlockClock`] does the same for a block of lines whose predecessors are not
//! known yet, so that blocks can be counted in parallel; its [`BlockStats`] tell whether the result is the same.

use gatewatch_parsers::Millis;

/// An end further ahead of the file's watermark than this is not believed at once.
const JUMP: Millis = 3_600_000;

/// What to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Count it in its step.
    Count,
    /// Count it as late.
    Late,
    /// Keep it: the next line decides.
    Hold,
}

/// What becomes of the record that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Count it in its step. It cannot be late.
    Count,
    /// Count it as future.
    Future,
}

/// What [`FileClock::admit`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// First, what becomes of the held record, if there was one.
    pub held: Option<Held>,
    /// Then, what to do with this one.
    pub this: Admit,
}

/// The time of one file, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileClock {
    lateness: Millis,
    step: Millis,
    newest: Option<Millis>,
    held: Option<Millis>,
    /// Time passed since the newest line was read, once a read found nothing more.
    idle: Millis,
}

impl FileClock {
    /// A file of which nothing was read yet. `step` is at least 1.
    #[must_use]
    pub fn new(lateness: Millis, step: Millis) -> FileClock {
        FileClock { lateness, step: step.max(1), newest: None, held: None, idle: 0 }
    }

    /// A record that ended at `end` was read.
    pub fn admit(&mut self, end: Millis) -> Verdict {
        let held = self.held.take().map(|held| {
            if end > held.saturating_sub(JUMP) {
                self.advance(held);
                Held::Count
            } else {
                Held::Future
            }
        });
        let this = match self.watermark() {
            None => Admit::Hold,
            Some(watermark) if end > watermark.saturating_add(JUMP) => Admit::Hold,
            Some(watermark) if step_end(end, self.step) <= watermark => Admit::Late,
            Some(_) => Admit::Count,
        };
        if this == Admit::Hold {
            self.held = Some(end);
        } else {
            self.advance(end);
        }
        Verdict { held, this }
    }

    /// The file ended: a sole first line counts, one that would have been a jump is future.
    pub fn finish(&mut self) -> Option<Held> {
        let held = self.held.take()?;
        if self.newest.is_some() {
            return Some(Held::Future);
        }
        self.advance(held);
        Some(Held::Count)
    }

    /// A read found nothing more, `passed` after the newest line was read: the watermark moves on by that time. A held
    /// record counts once the watermark has come within an hour of it; a held first line, unless it lies over an hour
    /// ahead of `now`.
    pub fn idle(&mut self, passed: Millis, now: Millis) -> Option<Held> {
        self.idle = passed.max(0);
        let near = self.watermark().unwrap_or(now);
        let held = self.held.filter(|held| *held <= near.saturating_add(JUMP))?;
        self.held = None;
        self.idle = 0;
        self.advance(held);
        Some(Held::Count)
    }

    /// The newest end less `lateness`, plus the time that was idle since; `None`: nothing was counted yet.
    #[must_use]
    pub fn watermark(&self) -> Option<Millis> {
        self.newest.map(|newest| newest.saturating_sub(self.lateness).saturating_add(self.idle))
    }

    /// The newest end counted.
    #[must_use]
    pub fn newest(&self) -> Option<Millis> {
        self.newest
    }

    /// Whether a record is held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Whether counting this block as its [`BlockClock`] did, and taking the cells below what [`FileClock::take_block`]
    /// gives as late, is the same as line by line.
    #[must_use]
    pub fn takes_whole(&self, block: &BlockStats) -> bool {
        let Some((first, _)) = block.ends else { return true };
        if self.held.is_some() || !block.calm {
            return false;
        }
        match self.watermark() {
            Some(watermark) => first <= watermark.saturating_add(JUMP),
            None => block.begins_well,
        }
    }

    /// Takes a whole block. Gives the time at or before which the steps end whose cells are late: the watermark before
    /// the block, or `Millis::MIN`.
    pub fn take_block(&mut self, block: &BlockStats) -> Millis {
        let before = self.watermark().unwrap_or(Millis::MIN);
        if let Some((_, newest)) = block.ends {
            self.advance(newest);
        }
        before
    }

    fn advance(&mut self, end: Millis) {
        self.idle = 0;
        self.newest = Some(self.newest.map_or(end, |newest| newest.max(end)));
    }
}

/// When the step of a record ends.
fn step_end(end: Millis, step: Millis) -> Millis {
    end.div_euclid(step).saturating_add(1).saturating_mul(step)
}

/// What the lines of a block alone tell of its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockStats {
    /// The first and the newest end; `None`: the block has no record.
    ends: Option<(Millis, Millis)>,
    /// No line is over an hour ahead of the watermark that the lines before it in this block make.
    calm: bool,
    /// Had this block begun the file, its first line would have counted.
    begins_well: bool,
}

/// The time of a block of lines, without knowledge of the lines before it.
#[derive(Clone, Debug)]
pub struct BlockClock {
    lateness: Millis,
    step: Millis,
    stats: BlockStats,
}

impl BlockClock {
    /// A block of which nothing was read yet; `lateness` and `step` as of its [`FileClock`].
    #[must_use]
    pub fn new(lateness: Millis, step: Millis) -> BlockClock {
        BlockClock { lateness, step: step.max(1), stats: BlockClock::FRESH }
    }

    const FRESH: BlockStats = BlockStats { ends: None, calm: true, begins_well: false };

    /// A record that ended at `end` was read: [`Admit::Count`] or [`Admit::Late`].
    pub fn admit(&mut self, end: Millis) -> Admit {
        let stats = &mut self.stats;
        let Some((first, newest)) = &mut stats.ends else {
            stats.ends = Some((end, end));
            return Admit::Count;
        };
        // Only the second line can doubt the first, so `begins_well` is settled once; a first line on its own is held.
        if !stats.begins_well && end > first.saturating_sub(JUMP) {
            stats.begins_well = true;
        } else if !stats.begins_well {
            stats.calm = false;
        }
        let watermark = newest.saturating_sub(self.lateness);
        if end > watermark.saturating_add(JUMP) {
            stats.calm = false;
        }
        *newest = end.max(*newest);
        if step_end(end, self.step) <= watermark { Admit::Late } else { Admit::Count }
    }

    /// What the block tells; the clock starts afresh.
    pub fn take(&mut self) -> BlockStats {
        std::mem::replace(&mut self.stats, BlockClock::FRESH)
    }
}
