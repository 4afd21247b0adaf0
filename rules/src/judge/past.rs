//! What groups were like before the window that is judged.

use super::{Scratch, View};
use crate::case::Case;
use crate::detectors::normal::{Normal, PRIOR, bar};
use crate::groups::{Group, counted};
use crate::tally::Tally;
use crate::window::{MINUTE, Point, Window};
use gatewatch_parsers::Millis;

impl View<'_> {
    /// What is normal for a group without an alert: its baseline ends where the window that is rolled up begins. `None`:
    /// nothing is known yet, or the rule does not ask.
    pub(super) fn normal(&self, group: &Group, scratch: &mut Scratch) -> Option<Normal> {
        let to = scratch.window.span().from;
        let from = to - self.groups.rule.baseline?;
        let known = scratch.normal.iter().find(|(of, _)| *of == (from, to)).map(|(_, sum)| *sum);
        let all = known.unwrap_or_else(|| {
            let mut sum = Point::default();
            self.groups.all().for_each(|group| sum += self.past(group, from, to));
            scratch.normal.push(((from, to), sum));
            sum
        });
        let own = self.past(group, from, to);
        // Incidents took all of that time: what was normal before them.
        let before = group.last_normal().filter(|_| own.requests < PRIOR);
        before.or_else(|| Normal::of(own, all))
    }

    /// What turns out to be normal for a group that was hardly known when its alert began: what it has been like since, if
    /// that has lasted for a baseline, goes on, and is not above the rule's ceiling.
    pub(super) fn usual(&self, group: &Group, case: &Case, window: &Window) -> Option<Normal> {
        let rule = &self.groups.rule;
        let baseline = rule.normal_of().filter(|baseline| case.may_be_usual(self.end, *baseline))?;
        let (to, mut own) = (window.span().from, Point::default());
        let from = case.abnormal_from().max(to - baseline);
        self.each_past(group, from, to, |_, _, tally| own += counted(rule, tally));
        let (normal, sum) = (Normal::of(own, own)?, window.sum());
        let goes_on = sum.requests > 0
            && sum.ratio() <= bar(rule, rule.lowest_above(), Some(&normal))
            && !normal.is_passed(rule, sum);
        (goes_on && normal.ratio <= rule.ceiling).then_some(normal)
    }

    /// Whether a group was seen for less than half of a baseline before the window.
    pub(super) fn is_hardly_known(&self, group: &Group, window: &Window) -> bool {
        let Some(baseline) = self.groups.rule.normal_of() else { return false };
        let (to, mut first) = (window.span().from, Millis::MAX);
        self.each_past(group, to - baseline, to, |start, _, _| first = first.min(start));
        first > to - baseline / 2
    }

    /// What a group did in normal times between two times: in minutes where steps are no longer held.
    fn past(&self, group: &Group, from: Millis, to: Millis) -> Point {
        let mut sum = Point::default();
        self.each_past(group, from, to, |start, length, tally| {
            if group.was_normal(start, length) {
                sum += counted(&self.groups.rule, tally);
            }
        });
        sum
    }

    /// Hands over what a group's series counted between two times, with where each minute or step begins and its length.
    pub(super) fn each_past(
        &self,
        group: &Group,
        from: Millis,
        to: Millis,
        mut take: impl FnMut(Millis, Millis, &Tally),
    ) {
        let (from, split) = (whole_minute(from), whole_minute(self.held_from()).min(to));
        for &id in &group.members {
            self.buckets.minutes(id, from, split).for_each(|(start, tally)| take(start, MINUTE, tally));
            let steps = self.buckets.steps(id, split.max(from), to);
            steps.for_each(|(start, tally)| take(start, self.buckets.step(), tally));
        }
    }
}

/// The first minute that begins there or later.
pub(super) fn whole_minute(at: Millis) -> Millis {
    (at + MINUTE - 1).div_euclid(MINUTE) * MINUTE
}
