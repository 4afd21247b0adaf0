//! Two windows at once: how fast an SLO's budget is used up.

use super::{Seen, View};
use crate::case::Case;
use crate::detectors::burn_rate::PAIRS;
use crate::groups::Group;
use crate::judge::Scratch;
use crate::life::Judgement;
use crate::window::{Point, Span};
use gatewatch_parsers::Millis;

impl View<'_> {
    /// It has recovered once no pair is left whose long window is above its limit and whose short one above half of it.
    /// What is told is the long window of the pair that is bad; without one, the shortest of them.
    pub(super) fn by_burn(&self, group: &Group, case: Option<&Case>, scratch: &mut Scratch) -> Seen {
        let rule = &self.groups.rule;
        let slo = rule.slo.unwrap_or(0.0);
        let mut above_recover = false;
        for pair in PAIRS {
            let limit = pair.limit(slo);
            let short = self.over(group, pair.short, scratch).ratio();
            // The long window costs more, and matters only if the short one does.
            if short <= if case.is_some() { limit / 2.0 } else { limit } {
                continue;
            }
            let long = self.over(group, pair.long, scratch);
            let is_above = long.ratio() * self.known_part(scratch.window.span()) > limit;
            above_recover |= is_above;
            let are_enough = long.requests >= rule.min_requests && long.errors >= rule.min_errors;
            if short > limit && is_above && are_enough {
                let bad = rule.above.last().map(|above| above.0);
                return Seen::of(Judgement::Judged { bad, above_recover: true });
            }
        }
        if case.is_some() && self.over(group, PAIRS[0].long, scratch).requests == 0 {
            return Seen::of(Judgement::Silent);
        }
        Seen::of(Judgement::Judged { bad: None, above_recover })
    }

    /// How much of a long window anything is known of (0–1). Of the rest it is assumed that all was well, with as many
    /// requests: a bad minute just after the first start has not used up the budget of an hour.
    fn known_part(&self, span: Span) -> f64 {
        let firsts = self.groups.members().filter_map(|id| {
            let minute = self.buckets.minutes(id, span.from, span.to).next();
            minute.or_else(|| self.buckets.steps(id, span.from, span.to).next()).map(|(start, _)| start)
        });
        let known = span.to - firsts.min().unwrap_or(span.from);
        known as f64 / (span.to - span.from).max(1) as f64
    }

    fn over(&self, group: &Group, length: Millis, scratch: &mut Scratch) -> Point {
        let span = Span::ending(self.end, length, self.buckets.step());
        self.roll_up(group, span, Millis::MIN, &mut scratch.window);
        scratch.window.sum()
    }
}
