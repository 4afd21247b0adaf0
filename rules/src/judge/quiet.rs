//! What does not come: groups that have fallen silent, and those whose requests are not completed.

use super::{Seen, View};
use crate::alert::End;
use crate::case::Case;
use crate::detectors::normal::score_below;
use crate::detectors::pace::Pace;
use crate::groups::{Group, counted};
use crate::judge::Scratch;
use crate::judge::past::whole_minute;
use crate::life::Judgement;
use crate::window::{MINUTE, STEPS_HELD, Span};
use gatewatch_parsers::Millis;

impl View<'_> {
    /// Bad once there has been nothing for as long as the group's pace says; recovered while it is half as long at most.
    pub(super) fn by_silence(&self, group: &Group, case: Option<&Case>, scratch: &mut Scratch) -> Seen {
        let rule = &self.groups.rule;
        let since = group.last_error;
        let silent = self.end.saturating_sub(since);
        let pace = match case {
            Some(case) => case.pace(),
            // The one question that nearly all groups are asked in nearly all steps.
            None if silent < rule.window => None,
            None => self.pace(group),
        };
        let Some(pace) = pace else { return Seen::of(Seen::WELL) };
        let span = Span { from: since, to: self.end, unit: self.buckets.step() };
        scratch.window.set(span, pace.missing(silent, 0));
        let judgement = if silent >= rule.stale_after {
            Judgement::Over(End::Expired)
        } else {
            let is_bad = silent >= pace.patience;
            let bad = rule.above.last().map(|above| above.0).filter(|_| is_bad);
            Judgement::Judged { bad, above_recover: silent.saturating_mul(2) >= pace.patience }
        };
        Seen { pace: Some(pace), ..Seen::of(judgement) }
    }

    /// How fast requests came up to the last one, and for how long none may come.
    fn pace(&self, group: &Group) -> Option<Pace> {
        let rule = &self.groups.rule;
        let baseline = rule.baseline?;
        let (from, to) = (whole_minute(group.last_error - baseline), group.last_error);
        let minute_of = |at: Millis| usize::try_from((at - from).div_euclid(MINUTE)).ok();
        let mut seen = vec![false; minute_of(to).map_or(0, |last| last + 1)];
        let (mut requests, mut first) = (0u64, Millis::MAX);
        self.each_past(group, from, to, |start, _, tally| {
            let came = counted(rule, tally).requests;
            if came > 0 {
                requests += came;
                first = first.min(start);
                minute_of(start).and_then(|at| seen.get_mut(at)).into_iter().for_each(|seen| *seen = true);
            }
        });
        if requests < rule.min_requests.max(1) || first > to - baseline / 2 {
            return None;
        }
        let rate = requests as f64 / (to - first).max(1) as f64;
        let chance = (1.0 / rule.alpha).ln();
        let gap = if chance > 0.0 { longest_gap(&seen) } else { 0 };
        let patience = rule.window.max(3 * gap * MINUTE).max((chance / rate).ceil() as Millis);
        Some(Pace { rate, patience })
    }

    /// Bad while far too few requests are completed for chance, and for what the group was like before.
    pub(super) fn by_stall(&self, group: &Group, case: Option<&Case>, scratch: &mut Scratch) -> Seen {
        let rule = &self.groups.rule;
        let span =
            Span::ending(self.end, rule.window.min(STEPS_HELD * self.buckets.step()), self.buckets.step());
        let length = span.to - span.from;
        let came = self.requests(group, span.from, span.to);
        let pace = match case {
            Some(case) => case.pace(),
            None => self.steady_pace(group, length, came),
        };
        let Some(pace) = pace else { return Seen::of(Seen::WELL) };
        let missing = pace.missing(length, came);
        scratch.window.set(span, missing);
        let judgement = if case.is_some() && self.end.saturating_sub(group.last_error) >= rule.stale_after {
            Judgement::Over(End::Expired)
        } else if came > 0 && case.is_some_and(|case| case.is_usual(self.end, rule.stale_after)) {
            Judgement::Over(End::Usual)
        } else {
            let is_no_chance = score_below(came as f64, pace.expected(length)) > (1.0 / rule.alpha).ln();
            let is_enough = is_no_chance && missing.requests >= rule.min_requests;
            let worst = rule.above.iter().rev().find(|(_, above)| missing.ratio() > *above);
            let bad = worst.map(|worst| worst.0).filter(|_| is_enough);
            let is_up = missing.ratio() > rule.recover_level();
            Judgement::Judged { bad, above_recover: is_up || bad.is_some() }
        };
        Seen { pace: Some(pace), ..Seen::of(judgement) }
    }

    /// How fast requests came before the last `length`, in which so many did; `None`: that is not too few for what any
    /// stretch of that length before it had. Nearly always the one just before it says so already.
    fn steady_pace(&self, group: &Group, length: Millis, came: u64) -> Option<Pace> {
        let (from, to, step) = (self.held_from(), self.end - length, self.buckets.step());
        let share = 1.0 - self.groups.rule.lowest_above();
        let is_enough_for = |before: u64| came as f64 >= share * before as f64;
        if to - length < from || is_enough_for(self.requests(group, to - length, to)) {
            return None;
        }
        let mut by_step = vec![0u64; usize::try_from((to - from) / step).unwrap_or(0)];
        for (start, tally) in group.members.iter().flat_map(|id| self.buckets.steps(*id, from, to)) {
            let at = usize::try_from((start - from) / step).ok();
            let requests = counted(&self.groups.rule, tally).requests;
            at.and_then(|at| by_step.get_mut(at)).into_iter().for_each(|sum| *sum += requests);
        }
        let steps = usize::try_from(length / step).unwrap_or(1).max(1);
        if by_step.windows(steps).any(|stretch| is_enough_for(stretch.iter().sum())) {
            return None;
        }
        let rate = by_step.iter().sum::<u64>() as f64 / (to - from).max(1) as f64;
        Some(Pace { rate, patience: length })
    }

    /// Requests of a group in held steps.
    fn requests(&self, group: &Group, from: Millis, to: Millis) -> u64 {
        let of = |tally| counted(&self.groups.rule, tally).requests;
        let members = group.members.iter();
        members.flat_map(|id| self.buckets.steps(*id, from, to)).map(|(_, tally)| of(tally)).sum()
    }
}

/// The longest run of minutes without a request between two with some.
fn longest_gap(seen: &[bool]) -> Millis {
    let (mut longest, mut gap, mut has_begun) = (0, 0, false);
    for seen in seen {
        if *seen {
            (longest, gap, has_begun) = (longest.max(gap), 0, true);
        } else if has_begun {
            gap += 1;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps() {
        let of = |text: &str| longest_gap(&text.bytes().map(|b| b == b'x').collect::<Vec<_>>());
        for (minutes, gap) in [("", 0), ("xxx", 0), ("..x.x", 1), ("x...x.x..", 3), ("....", 0)] {
            assert_eq!(of(minutes), gap, "{minutes}");
        }
    }
}
