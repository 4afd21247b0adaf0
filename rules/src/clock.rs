//! One file's own time. Lines stand in the order in which requests ended, nearly; the newest end less `lateness` is the
//! file's watermark. A record whose step ended at or before the watermark is late. An end over an hour ahead of it waits
//! for the next line: as far ahead, time jumped; else that one line was stamped wrongly.
//!
//! [`FileClock`] is exact, line by line. [`BlockClock`] does the same for a block of lines whose predecessors are not
//! known yet, so that blocks can be counted in parallel; its [`BlockStats`] tell whether the result is the same.

use crate::saved;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileClock {
    #[serde(deserialize_with = "saved::time")]
    lateness: Millis,
    #[serde(deserialize_with = "saved::step")]
    step: Millis,
    #[serde(deserialize_with = "saved::some_time")]
    newest: Option<Millis>,
    #[serde(deserialize_with = "saved::some_time")]
    held: Option<Millis>,
    /// Time passed since the newest line was read, once a read found nothing more.
    #[serde(deserialize_with = "saved::time")]
    idle: Millis,
}

impl FileClock {
    /// A file of which nothing was read yet. `step` is at least 1.
    #[must_use]
    pub fn new(lateness: Millis, step: Millis) -> FileClock {
        FileClock { lateness, step: step.max(1), newest: None, held: None, idle: 0 }
    }

    /// The same file's time, where `lateness` and `step` may have been set anew.
    #[must_use]
    pub fn with(self, lateness: Millis, step: Millis) -> FileClock {
        FileClock { lateness, step: step.max(1), ..self }
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
            Some(watermark) if is_late(end, self.step, watermark) => Admit::Late,
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

/// Whether the step of a record ended at or before the watermark. Most records end after it, which needs no division.
#[inline]
fn is_late(end: Millis, step: Millis, watermark: Millis) -> bool {
    end < watermark && step_end(end, step) <= watermark
}

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
        if is_late(end, self.step, watermark) { Admit::Late } else { Admit::Count }
    }

    /// What the block tells; the clock starts afresh.
    pub fn take(&mut self) -> BlockStats {
        std::mem::replace(&mut self.stats, BlockClock::FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP: Millis = 5_000;
    const T: Millis = 1_800_000_000_000;
    const HOUR: Millis = 3_600_000;
    const YEAR_2099: Millis = 4_070_908_800_000;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Place {
        Step,
        Late,
        Future,
    }

    /// Where each record counts, line by line; the clock goes on.
    struct Places {
        clock: FileClock,
        places: Vec<Place>,
        held: Option<usize>,
    }

    impl Places {
        fn new(lateness: Millis) -> Places {
            Places { clock: FileClock::new(lateness, STEP), places: Vec::new(), held: None }
        }

        fn line(&mut self, end: Millis) {
            let verdict = self.clock.admit(end);
            self.settle(verdict.held);
            self.places.push(match verdict.this {
                Admit::Late => Place::Late,
                _ => Place::Step,
            });
            if verdict.this == Admit::Hold {
                self.held = Some(self.places.len() - 1);
            }
        }

        fn settle(&mut self, held: Option<Held>) {
            if let Some(held) = held {
                let place = if held == Held::Count { Place::Step } else { Place::Future };
                self.places[self.held.take().unwrap()] = place;
            }
        }

        fn finish(mut self) -> Vec<Place> {
            let held = self.clock.finish();
            self.settle(held);
            assert_eq!(self.held, None);
            self.places
        }
    }

    fn line_by_line(lateness: Millis, ends: &[Millis]) -> Vec<Place> {
        let mut places = Places::new(lateness);
        ends.iter().for_each(|end| places.line(*end));
        places.finish()
    }

    /// The same in blocks of these lengths; and how many were taken whole.
    fn by_blocks(lateness: Millis, ends: &[Millis], lengths: &[usize]) -> (Vec<Place>, usize) {
        let mut places = Places::new(lateness);
        let (mut rest, mut whole) = (ends, 0);
        for length in lengths.iter().copied().cycle() {
            if rest.is_empty() {
                return (places.finish(), whole);
            }
            let (block, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            let mut clock = BlockClock::new(lateness, STEP);
            let own: Vec<Admit> = block.iter().map(|end| clock.admit(*end)).collect();
            let stats = clock.take();
            if !places.clock.takes_whole(&stats) {
                block.iter().for_each(|end| places.line(*end));
                continue;
            }
            whole += 1;
            let late_before = places.clock.take_block(&stats);
            places.places.extend(block.iter().zip(own).map(|(end, own)| {
                if own == Admit::Late || step_end(*end, STEP) <= late_before {
                    Place::Late
                } else {
                    Place::Step
                }
            }));
        }
        unreachable!("lengths are not empty")
    }

    /// Ends that mostly go on in small steps, in some disorder, with jumps and a wrong stamp now and then.
    fn ends() -> impl Strategy<Value = Vec<Millis>> {
        let line = prop_oneof![
            40 => (0..3_000i64).prop_map(|d| (d, false)),
            10 => (-20_000..20_000i64).prop_map(|d| (d, false)),
            2 => (-400_000..400_000i64).prop_map(|d| (d, false)),
            2 => (-2 * HOUR..2 * HOUR).prop_map(|d| (d, false)),
            1 => Just((0, true)),
        ];
        proptest::collection::vec(line, 0..120).prop_map(|lines| {
            let mut time = T;
            let end = |(by, wrong): &(Millis, bool)| {
                if *wrong {
                    return YEAR_2099;
                }
                time += by;
                time
            };
            lines.iter().map(end).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn blocks_are_the_same_as_line_by_line(
            ends in ends(),
            lengths in proptest::collection::vec(1usize..20, 1..8),
            lateness in prop_oneof![Just(2_000), Just(0), Just(300_000), Just(2 * HOUR)],
        ) {
            let (blocks, _) = by_blocks(lateness, &ends, &lengths);
            prop_assert_eq!(blocks, line_by_line(lateness, &ends));
        }

        #[test]
        fn orderly_lines_are_taken_whole_and_never_late(
            steps in proptest::collection::vec(-900..3_000i64, 2..200),
            length in 2usize..50,
        ) {
            let mut time = T;
            let ends: Vec<Millis> = steps.iter().map(|by| { time += by.max(&0); time + by.min(&0) }).collect();
            let (places, whole) = by_blocks(2_000, &ends, &[length]);
            prop_assert!(places.iter().all(|place| *place == Place::Step));
            prop_assert!(whole >= ends.len() / length);
        }
    }

    #[test]
    fn one_line_stamped_2099_changes_nothing_else() {
        use Place::{Future, Late, Step};
        let cases: [(&[Millis], &[Place]); 10] = [
            (&[T, T + 1, YEAR_2099, T + 2, T + 3], &[Step, Step, Future, Step, Step]),
            (&[YEAR_2099, T, T + 1], &[Future, Step, Step]),
            (&[T, T + 1, YEAR_2099], &[Step, Step, Future]),
            (&[T, YEAR_2099], &[Step, Future]),
            (&[YEAR_2099], &[Step]),
            (&[], &[]),
            // Twice in a row: time jumped, for all that the file tells.
            (&[T, YEAR_2099, YEAR_2099 + 1, T], &[Step, Step, Step, Late]),
            (&[T, T + 2 * HOUR, T + 2 * HOUR + 1], &[Step, Step, Step]),
            (&[T, T + 2 * HOUR, T + 1, T + 2 * HOUR, T + 2 * HOUR], &[Step, Future, Step, Step, Step]),
            (&[T, T - 20_000, T + 1], &[Step, Late, Step]),
        ];
        for (ends, expected) in cases {
            assert_eq!(line_by_line(2_000, ends), expected, "{ends:?}");
        }
    }

    proptest! {
        /// Saved after any line and read on later, a file's lines count as they would have.
        #[test]
        fn a_file_goes_on_exactly(ends in ends(), cut in any::<prop::sample::Index>(), idle in 0..100_000i64) {
            let mut here = FileClock::new(2_000, STEP);
            let cut = cut.index(ends.len() + 1);
            for end in ends.iter().take(cut) {
                here.admit(*end);
            }
            here.idle(idle, T);
            let saved = serde_json::to_vec(&here).unwrap();
            let mut there: FileClock = serde_json::from_slice::<FileClock>(&saved).unwrap().with(2_000, STEP);
            prop_assert_eq!(&there, &here);
            for end in ends.iter().skip(cut) {
                prop_assert_eq!(there.admit(*end), here.admit(*end));
            }
            prop_assert_eq!(there.finish(), here.finish());
        }
    }

    #[test]
    fn a_clock_that_cannot_have_been_saved_is_refused() {
        let sound = serde_json::to_value(FileClock::new(2_000, STEP)).unwrap();
        assert!(serde_json::from_value::<FileClock>(sound.clone()).is_ok());
        for (field, value) in
            [("step", 0), ("step", -1), ("newest", i64::MAX), ("held", i64::MIN), ("idle", i64::MAX)]
        {
            let mut value_of = sound.clone();
            value_of[field] = value.into();
            assert!(serde_json::from_value::<FileClock>(value_of).is_err(), "{field} {value}");
        }
    }

    #[test]
    fn late_is_a_step_that_the_watermark_has_passed() {
        let mut clock = FileClock::new(2_000, STEP);
        clock.admit(T);
        clock.admit(T + 6_999);
        assert_eq!(clock.watermark(), Some(T + 4_999));
        assert_eq!(clock.admit(T + 1).this, Admit::Count);
        clock.admit(T + 7_000);
        assert_eq!(clock.admit(T + 1).this, Admit::Late);
        assert_eq!(clock.admit(T + 5_000).this, Admit::Count);
    }

    #[test]
    fn time_passes_while_the_file_is_idle() {
        let mut clock = FileClock::new(2_000, STEP);
        assert_eq!(clock.admit(T).this, Admit::Hold);
        assert_eq!(clock.idle(0, T + 300), Some(Held::Count), "a first line near the present need not wait");
        assert_eq!(clock.idle(2 * HOUR, T + 2 * HOUR), None);
        assert_eq!(clock.watermark(), Some(T - 2_000 + 2 * HOUR));
        assert_eq!(clock.admit(T + 2 * HOUR).this, Admit::Count, "after a quiet night no line waits");
    }

    #[test]
    fn a_held_line_waits_until_time_has_come_near() {
        let mut clock = FileClock::new(2_000, STEP);
        clock.admit(T);
        clock.idle(0, T);
        assert_eq!(clock.admit(T + 90 * 60_000).this, Admit::Hold);
        assert_eq!(clock.idle(20 * 60_000, T), None);
        assert!(clock.holds());
        assert_eq!(clock.idle(31 * 60_000, T), Some(Held::Count));
        let mut clock = FileClock::new(2_000, STEP);
        clock.admit(YEAR_2099);
        assert_eq!(clock.idle(0, T), None, "a first line far ahead of the present waits for the second");
        assert_eq!(clock.admit(T), Verdict { held: Some(Held::Future), this: Admit::Hold });
    }
}
