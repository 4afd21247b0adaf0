//! What shows why requests fail, beside their reasons: how long failures took, how long slow answers took that came after
//! all, who else was refused, and which failures a retry could have saved. Of the last minutes, by series, and only where
//! something fails or is slow: nearly all requests leave no clue.

use crate::alert::State;
use crate::block::{Block, FUTURE, LATE};
use crate::saved::{Unsound, ensure, is_count, is_time};
use crate::series::LabelSet;
use gatewatch_parsers::{Millis, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::Hasher;

/// Length of a table; the current one and the one before are kept.
const PERIOD: Millis = 300_000;
/// Series of a table, and of open steps together; beyond, they leave no clues.
const SERIES_MAX: usize = 300;
/// Kinds of clues of a series in a table; the rarest beyond are not told apart.
const KINDS_MAX: usize = 40;
/// An answer that takes as long is slow.
pub(crate) const SLOW: u32 = 1_000;
/// Failures that took as long, to so many hundredths, took the same time.
const SAME: f64 = 0.015;
/// So many failures of the same time are no accident, and
const PILE_MIN: u64 = 10;
/// this share of them.
const PILE_SHARE: f64 = 0.6;

/// What a request leaves behind, in two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Clue(u16);

/// Failed, and as GET or HEAD would have done no harm a second time.
const SAFE: Clue = Clue(0);
/// Failed, and of another method.
const OTHER: Clue = Clue(1);
/// 403 or 429.
const REFUSED: Clue = Clue(2);
/// Answers that took [`SLOW`] or more, in eighths of an octave.
const SLOWLY: u16 = 256;
/// Failures by their time, to three digits.
const TOOK: u16 = 4096;
/// Failures of any other time.
const TOOK_OTHERWISE: Clue = Clue(3);

impl Clue {
    fn slowly(millis: u32) -> Clue {
        let octave = millis.max(1).ilog2();
        let eighth = if octave >= 3 { (millis >> (octave - 3)) & 7 } else { 0 };
        Clue(SLOWLY + u16::try_from(octave * 8 + eighth).unwrap_or(0))
    }

    /// 60,003 ms and 59,980 ms both took 60.0 s.
    fn took(millis: u32) -> Clue {
        let (mut digits, mut exponent) = (millis, 0);
        while digits >= 1_000 {
            digits = digits.saturating_add(5) / 10;
            exponent += 1;
        }
        Clue(TOOK + u16::try_from(exponent * 1_000 + digits).unwrap_or(0))
    }

    fn slow(self) -> Option<u64> {
        let at = u64::from(self.0.checked_sub(SLOWLY).filter(|_| self.0 < TOOK)?);
        let (octave, eighth) = (at / 8, at % 8);
        Some(if octave >= 3 { (8 + eighth) << (octave - 3).min(50) } else { 1 << octave })
    }

    fn time(self) -> Option<u64> {
        let at = u64::from(self.0.checked_sub(TOOK)?);
        Some((at % 1_000).saturating_mul(10u64.pow(u32::try_from(at / 1_000).unwrap_or(0).min(9))))
    }
}

/// The clues of a request, at most three.
pub(crate) fn clues_of(record: &Record<'_>) -> impl Iterator<Item = Clue> {
    let failed = record.outcome.gateway_error().is_some();
    let code = record.status.code();
    let method = failed && !record.method.is_empty();
    let is_safe = matches!(record.method, b"GET" | b"HEAD");
    let time = record.request_time.filter(|_| !record.is_tunnel());
    let took = time.map(|time| match (failed, time >= SLOW) {
        (true, _) => Some(Clue::took(time)),
        (false, true) => Some(Clue::slowly(time)),
        (false, false) => None,
    });
    let retry = method.then_some(if is_safe { SAFE } else { OTHER });
    let refused = (!failed && matches!(code, Some(403 | 429))).then_some(REFUSED);
    [took.flatten(), retry, refused].into_iter().flatten()
}

/// Counted by clue.
type Counts = BTreeMap<Clue, u64>;

fn add(to: &mut Counts, clue: Clue, count: u64) {
    let is_known = to.contains_key(&clue);
    let clue = match clue.0 {
        _ if is_known || to.len() < KINDS_MAX => clue,
        TOOK.. => TOOK_OTHERWISE,
        _ => return,
    };
    let sum = to.entry(clue).or_default();
    *sum = sum.saturating_add(count);
}

/// Clues of the last five to ten minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clues {
    /// Steps that are not closed yet, by series.
    open: BTreeMap<i64, BTreeMap<u64, Counts>>,
    /// Series in them.
    waiting: usize,
    /// By period, by series.
    closed: BTreeMap<i64, BTreeMap<u64, Counts>>,
    /// Clues that found no room.
    left: u64,
}

/// A series in eight bytes: names may be long, and what is remembered must stay small.
fn hash(set: &[u8]) -> u64 {
    #[expect(
        deprecated,
        reason = "the one hash of the standard library whose algorithm (SipHash-2-4) will not change"
    )]
    let mut hash = std::hash::SipHasher::new();
    hash.write(set);
    hash.finish()
}

impl Clues {
    /// Adds a block's clues, but for those of steps that are closed.
    pub fn absorb(&mut self, block: &Block, first_open: i64) {
        for cell in block.cells().iter().filter(|cell| block.is_first(cell)) {
            if cell.step == LATE || cell.step == FUTURE || cell.step < first_open {
                continue;
            }
            let mut clues = block.clues(cell).peekable();
            if clues.peek().is_none() {
                continue;
            }
            let step = self.open.entry(cell.step).or_default();
            let key = hash(block.set(cell.series));
            if !step.contains_key(&key) {
                if self.waiting >= SERIES_MAX {
                    self.left = self.left.saturating_add(1);
                    continue;
                }
                self.waiting += 1;
            }
            // Not capped here: what comes first would depend on how records were cut into blocks.
            let counts = step.entry(key).or_default();
            clues.for_each(|(clue, count)| *counts.entry(clue).or_default() += u64::from(count));
        }
    }

    /// The steps that end at or before `end` are closed.
    pub fn close(&mut self, end: Millis, step: Millis) {
        let is_closed = |number: i64| number.saturating_add(1).saturating_mul(step) <= end;
        while let Some(first) = self.open.first_entry().filter(|first| is_closed(*first.key())) {
            let period = first.key().saturating_mul(step).div_euclid(PERIOD);
            let series = first.remove();
            self.waiting -= series.len().min(self.waiting);
            let table = self.closed.entry(period).or_default();
            for (key, counts) in series {
                if !table.contains_key(&key) && table.len() >= SERIES_MAX {
                    self.left = self.left.saturating_add(1);
                    continue;
                }
                let sum = table.entry(key).or_default();
                counts.into_iter().for_each(|(clue, count)| add(sum, clue, count));
            }
        }
        let current = end.saturating_sub(1).div_euclid(PERIOD);
        while self.closed.first_key_value().is_some_and(|(period, _)| *period < current.saturating_sub(1)) {
            self.closed.pop_first();
        }
    }

    /// What the closed steps show of these series.
    pub fn of<'a>(&self, series: impl Iterator<Item = &'a LabelSet>) -> Found {
        let mut sum = Counts::new();
        for key in series.map(|set| hash(set.as_bytes())) {
            for counts in self.closed.values().filter_map(|table| table.get(&key)) {
                counts.iter().for_each(|(clue, count)| *sum.entry(*clue).or_default() += count);
            }
        }
        Found::of(&sum)
    }

    /// As it was saved; of another step it says nothing.
    pub fn restore(saved: Clues, step: Millis, goes_on: bool) -> Result<Clues, Unsound> {
        saved.check(step)?;
        Ok(if goes_on { saved } else { Clues::default() })
    }

    /// Whether it can have been saved.
    fn check(&self, step: Millis) -> Result<(), Unsound> {
        let known: usize = self.open.values().map(BTreeMap::len).sum();
        ensure(known == self.waiting && known <= SERIES_MAX, "clues of open steps")?;
        ensure(self.closed.len() <= 3, "the times of clues")?;
        ensure(self.closed.values().all(|table| table.len() <= SERIES_MAX), "clues")?;
        ensure(self.open.keys().all(|number| is_time(number.saturating_mul(step))), "a step of clues")?;
        ensure(self.closed.keys().all(|number| is_time(number.saturating_mul(PERIOD))), "a time of clues")?;
        let all = self.open.values().chain(self.closed.values()).flat_map(BTreeMap::values);
        let mut counts = all.flat_map(BTreeMap::values);
        ensure(is_count(self.left) && counts.all(|count| is_count(*count)), "counts of clues")
    }
}

/// Failures that all took the same time: somebody's timeout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pile {
    /// That time, to three digits.
    pub millis: Millis,
    /// The share of all failures whose time is known (0–1).
    pub share: f64,
    /// Answers that took nearly as long (over three quarters of it), and came.
    pub just_under: u64,
}

/// What clues show of a group, in the last five to ten minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Failures of one time, if most are.
    pub pile: Option<Pile>,
    /// Answers that took a second or longer.
    pub slow: u64,
    /// Answers with 403 or 429.
    pub refused: u64,
    /// Failures of GET and HEAD requests, and of others.
    pub retryable: (u64, u64),
}

impl Found {
    fn of(counts: &Counts) -> Found {
        let count = |clue: Clue| counts.get(&clue).copied().unwrap_or(0);
        let slow = || counts.iter().filter_map(|(clue, n)| Some((clue.slow()?, *n)));
        let mut found = Found {
            pile: None,
            slow: slow().map(|(_, n)| n).sum(),
            refused: count(REFUSED),
            retryable: (count(SAFE), count(OTHER)),
        };
        let times: Vec<(u64, u64)> = counts.iter().filter_map(|(clue, n)| Some((clue.time()?, *n))).collect();
        let all: u64 = times.iter().map(|(_, n)| n).sum::<u64>() + count(TOOK_OTHERWISE);
        #[expect(clippy::cast_precision_loss, reason = "times and counts stay far below 2^52")]
        let near = |a: u64, b: u64| (a as f64 - b as f64).abs() <= SAME * b as f64;
        let around = |at: u64| times.iter().filter(|(time, _)| near(*time, at)).map(|(_, n)| n).sum::<u64>();
        // Of several with as many, the longest: its neighbours are within it.
        if let Some((at, n)) =
            times.iter().map(|(time, _)| (*time, around(*time))).max_by_key(|(at, n)| (*n, *at))
        {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
            let share = n as f64 / all.max(1) as f64;
            // Refusals take no time at all: no timeout is that short.
            if n >= PILE_MIN && share >= PILE_SHARE && at >= 50 {
                let most =
                    times.iter().filter(|(time, _)| near(*time, at)).max_by_key(|(time, n)| (*n, *time));
                let at = most.map_or(at, |(time, _)| *time);
                let just_under =
                    slow().filter(|(time, _)| time * 4 >= at * 3 && *time < at).map(|(_, n)| n).sum();
                found.pile = Some(Pile { millis: Millis::try_from(at).unwrap_or(0), share, just_under });
            }
        }
        found
    }

    /// Whether it says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Found::default()
    }
}

/// Clues are of the present: what is over is told without them.
pub(crate) fn are_told_of(state: State) -> bool {
    state != State::Resolved
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_parsers::{Cause, Origin, Outcome, Reason, Status};

    #[test]
    fn times_keep_three_digits() {
        let cases = [(0, 0), (7, 7), (999, 999), (1_000, 1_000), (5_004, 5_000), (5_006, 5_010)];
        for (millis, kept) in cases {
            assert_eq!(Clue::took(millis).time(), Some(kept), "{millis}");
        }
        assert_eq!(Clue::took(60_003).time(), Some(60_000));
        assert_eq!(Clue::took(59_980).time(), Some(60_000));
        assert!(Clue::took(u32::MAX).time().is_some_and(|time| time > 4_200_000_000));
        assert_eq!(Clue::took(60_003).slow(), None);
    }

    #[test]
    fn slow_answers_lie_within_an_eighth_of_an_octave() {
        for millis in [1_000u32, 1_023, 1_024, 1_500, 59_999, 1_000_000, u32::MAX] {
            let lower = Clue::slowly(millis).slow().unwrap();
            let millis = u64::from(millis);
            assert!(lower <= millis && millis < lower + lower / 8 + 1, "{millis}: {lower}");
            assert_eq!(Clue::slowly(u32::try_from(millis).unwrap()).time(), None);
        }
    }

    fn record(method: &'static [u8], status: u16, time: u32) -> Record<'static> {
        let failed =
            Outcome::GatewayError(Cause { origin: Origin::Proxy, reason: Reason::HttpResponseTimeout });
        Record {
            method,
            request_time: Some(time),
            outcome: if status >= 500 { failed } else { Outcome::Fine },
            ..Record::new(0, Status::new(status))
        }
    }

    #[test]
    fn what_the_clues_of_requests_show() {
        type Requests = (&'static [u8], u16, u32, u64);
        type Shown = (Option<(Millis, u64)>, u64, (u64, u64));
        let cases: &[(&[Requests], Shown)] = &[
            // A timeout of a minute, and answers that nearly took as long.
            (
                &[
                    (b"GET", 504, 60_001, 50),
                    (b"POST", 504, 60_040, 30),
                    (b"GET", 200, 50_000, 9),
                    (b"GET", 200, 900, 99),
                ],
                (Some((60_000, 9)), 0, (50, 30)),
            ),
            // Refused at once is no timeout.
            (&[(b"GET", 502, 1, 100)], (None, 0, (100, 0))),
            (&[(b"GET", 504, 5_000, 9)], (None, 0, (9, 0))),
            // All over the place.
            (
                &[(b"GET", 502, 1_000, 20), (b"GET", 502, 2_000, 20), (b"GET", 502, 3_000, 20)],
                (None, 0, (60, 0)),
            ),
            (&[(b"GET", 403, 10, 7), (b"GET", 429, 10, 5), (b"GET", 404, 10, 5)], (None, 12, (0, 0))),
        ];
        for (i, (requests, (pile, refused, retryable))) in cases.iter().enumerate() {
            let mut counts = Counts::new();
            for (method, status, time, n) in *requests {
                clues_of(&record(method, *status, *time)).for_each(|clue| add(&mut counts, clue, *n));
            }
            let found = Found::of(&counts);
            assert_eq!(found.pile.map(|pile| (pile.millis, pile.just_under)), *pile, "case {i}");
            assert_eq!((found.refused, found.retryable), (*refused, *retryable), "case {i}");
        }
    }

    #[test]
    fn a_series_of_a_thousand_times_stays_small() {
        let mut counts = Counts::new();
        (0..100_000).for_each(|millis| add(&mut counts, Clue::took(millis), 1));
        assert!(counts.len() <= KINDS_MAX + 1);
        assert_eq!(counts.values().sum::<u64>(), 100_000);
        assert_eq!(Found::of(&counts).pile, None);
    }
}
