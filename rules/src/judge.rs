//! Judges the groups of one rule in one closed step. All it says follows from the closed buckets and the groups' alerts.
//!
//! A group is judged over the shortest doubling of the window that has `min_requests`, else over the longest. To become
//! bad, every condition must hold there, for each severity by its own threshold; the worst that holds counts. An alert
//! that is open goes on while its window is above `recover_below`, however little traffic that has; without any, nothing
//! is said. An incident starts with the first step of its window that is bad by itself (above the lowest threshold) and
//! ends with the last such step while it fires: one that comes while it recovers counts only if it fires again.
//!
//! Where a rule has a baseline, a group is compared with its own normal, too (`detectors/normal.rs`), over the time before
//! its window; from its first bad step until its alert can no longer reopen, with what was normal then.

use crate::alert::End;
use crate::buckets::Buckets;
use crate::case::{Beginning, Case, Totals};
use crate::detectors::normal::{Normal, bar, is_still_up};
use crate::detectors::pace::Pace;
use crate::detectors::{Above, Detector, Judge, Verdict, Way, above_rest};
use crate::groups::{Group, Groups, counted};
use crate::life::{Event, Judgement};
use crate::refine::ByUpstream;
use crate::report::Incident;
use crate::rule::Counts;
use crate::series::SeriesId;
use crate::tally::Tally;
use crate::window::{MINUTE, Point, STEPS_HELD, Span, Window, lengths};
use gatewatch_parsers::Millis;

mod burn;
mod past;
mod quiet;

/// What was half as bad as in the whole of a stretched window for so long is over, whatever that window says.
const LATELY: Millis = 2 * MINUTE;

/// What a step brought under a rule.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Groups whose alerts changed, and how; by group labels.
    pub events: Vec<(u32, Event)>,
    /// Incidents that can no longer reopen; by group labels.
    pub over: Vec<(u32, Incident)>,
}

/// Memory that is used again from group to group.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    window: Window,
    /// The same without a blip.
    spared: Window,
    /// All groups together in a span: the same for each of them.
    all: Vec<(Span, Point)>,
    /// The same of their normal times, between two times.
    normal: Vec<((Millis, Millis), Point)>,
}

/// Judges every group that may be bad or has an alert, in the step that ends at `end`.
pub(crate) fn judge(
    groups: &mut Groups,
    buckets: &Buckets,
    detector: &'static Detector,
    end: Millis,
    scratch: &mut Scratch,
) -> Outcome {
    let mut outcome = Outcome::default();
    let active = groups.take_active(end);
    scratch.all.clear();
    scratch.normal.clear();
    for &at in &active {
        let Some(group) = groups.group_mut(at) else { continue };
        let mut case = group.case.take();
        if let Some(over) = case.take_if(|case| case.life().is_over(end)) {
            let incident = groups.group(at).and_then(|group| over.incident(&groups.rule, &group.key));
            outcome.over.extend(incident.map(|incident| (at, incident)));
            if groups.rule.normal_of().is_some()
                && over.has_fired()
                && let Some(group) = groups.group_mut(at)
            {
                group.add_span((over.abnormal_from(), over.last_bad(), over.own_normal().copied()));
            }
        }
        let view = View { groups, buckets, detector, end };
        let events = view.judge(at, &mut case, scratch);
        outcome.events.extend(events.into_iter().map(|event| (at, event)));
        // One that never fired leaves nothing to remember.
        case.take_if(|case| case.life().is_over(end));
        if let Some(group) = groups.group_mut(at) {
            group.case = case;
        }
    }
    groups.give_back(active);
    groups.sort(&mut outcome.events);
    groups.sort(&mut outcome.over);
    outcome
}

/// Errors of requests of some series in the last 20 s, or in the last step if that is longer.
pub(crate) fn recent(groups: &Groups, buckets: &Buckets, members: &[SeriesId], end: Millis) -> Point {
    let step = buckets.step();
    let from = end - (20_000 / step).max(1) * step;
    let mut sum = Point::default();
    for &id in members {
        buckets.steps(id, from, end).for_each(|(_, tally)| sum += counted(&groups.rule, tally));
    }
    sum
}

/// What a rule says of a group, and by what it was judged.
struct Seen {
    judgement: Judgement,
    normal: Option<Normal>,
    pace: Option<Pace>,
}

impl Seen {
    /// Nothing is wrong.
    const WELL: Judgement = Judgement::Judged { bad: None, above_recover: false };

    fn of(judgement: Judgement) -> Seen {
        Seen { judgement, normal: None, pace: None }
    }
}

/// What a rule sees at the end of a step.
struct View<'a> {
    groups: &'a Groups,
    buckets: &'a Buckets,
    detector: &'static Detector,
    end: Millis,
}

impl View<'_> {
    fn judge(&self, at: u32, case: &mut Option<Box<Case>>, scratch: &mut Scratch) -> Vec<Event> {
        let rule = &self.groups.rule;
        let Some(group) = self.groups.group(at) else { return Vec::new() };
        let seen = match self.detector.way {
            Way::Window(_) if case.is_none() && !self.window_moved() => return Vec::new(),
            Way::Window(judge) => self.by_window(judge, group, case.as_deref_mut(), scratch),
            Way::Burn => self.by_burn(group, case.as_deref(), scratch),
            Way::Silence => self.by_silence(group, case.as_deref(), scratch),
            Way::Stall => self.by_stall(group, case.as_deref(), scratch),
            Way::Lines => return Vec::new(),
        };
        let judgement = seen.judgement;
        match case {
            Some(case) => {
                let mut step =
                    self.sum(group, |id| self.buckets.steps(id, self.end - self.buckets.step(), self.end));
                step.all = self.groups.step_sum();
                let is_bad = self.is_bad(step.own, &seen);
                case.count(self.end, step, is_bad);
                case.lose(self.buckets.lost(self.end - self.buckets.step(), self.end));
            }
            None if matches!(judgement, Judgement::Judged { bad: Some(_), .. }) => {
                *case = Some(Box::new(Case::new(self.beginning(group, &seen, scratch))));
            }
            None => return Vec::new(),
        }
        case.as_mut().map(|case| case.judge(rule, self.end, judgement, &scratch.window)).unwrap_or_default()
    }

    /// A window of minutes says the same until the next minute is full.
    fn window_moved(&self) -> bool {
        let step = self.buckets.step();
        let span = |end| Span::ending(end, self.groups.rule.window, step);
        span(self.end) != span(self.end - step)
    }

    /// And what is normal for the group, as far as it was asked. Of a group whose incident has resolved, a stretched window
    /// reaches no further back than that, lest one whose traffic stops reopens for what it fired for.
    fn by_window(&self, judge: Judge, group: &Group, case: Option<&mut Case>, scratch: &mut Scratch) -> Seen {
        let rule = &self.groups.rule;
        let known = case.as_deref();
        let over = known.filter(|case| case.life().has_resolved()).map(Case::last_bad);
        let mut normal = known.and_then(Case::own_normal).copied();
        let mut is_known = known.is_some() || rule.baseline.is_none();
        let enough = rule.min_requests.max(1);
        for length in lengths(rule.window, rule.stretch) {
            let since = over.filter(|_| length > rule.window).unwrap_or(Millis::MIN);
            let span = Span::ending(self.end, length, self.buckets.step());
            self.roll_up(group, span, since, &mut scratch.window);
            if scratch.window.sum().requests >= enough {
                break;
            }
        }
        let sum = scratch.window.sum();
        if sum.requests == 0 {
            return Seen { normal, ..Seen::of(Judgement::Silent) };
        }
        if let Some(case) = case
            && let Some(usual) = self.usual(group, case, &scratch.window)
        {
            case.learn(self.end, usual);
            return Seen { normal: Some(usual), ..Seen::of(Judgement::Over(End::Usual)) };
        }
        // A stretched window would else say so of a fault that is over, once it has gathered enough.
        let span = scratch.window.span();
        let is_stretched = span != Span::ending(self.end, rule.window, self.buckets.step());
        let is_over = is_stretched && scratch.window.last(LATELY).ratio() < sum.ratio() / 2.0;
        let bad = rule.above.iter().rev().filter(|_| !is_over).find(|(_, above)| {
            let mut verdict = self.verdict(judge, *above, normal, scratch);
            // It costs more than all the rest: only asked for where it matters.
            if matches!(verdict, Verdict::Bad | Verdict::NoHistory) && !std::mem::replace(&mut is_known, true)
            {
                normal = self.normal(group, scratch);
                verdict = self.verdict(judge, *above, normal, scratch);
            }
            verdict == Verdict::Bad
        });
        let is_up = if rule.baseline.is_some() {
            is_still_up(rule, normal.as_ref(), sum)
        } else {
            (self.detector.level)(sum) > rule.recover_level()
        };
        let above_recover = is_up || bad.is_some();
        Seen { normal, ..Seen::of(Judgement::Judged { bad: bad.map(|b| b.0), above_recover }) }
    }

    /// Bad at this threshold, or what spares it.
    fn verdict(&self, judge: Judge, above: f64, normal: Option<Normal>, scratch: &mut Scratch) -> Verdict {
        let rule = &self.groups.rule;
        let found = self.verdict_of(judge, &scratch.window, above, normal);
        if found != Verdict::Bad {
            return found;
        }
        if rule.times_rest > 0.0 && !self.above_rest(&scratch.window, &mut scratch.all) {
            return Verdict::LikeTheRest;
        }
        if let Some(blip) = rule.blip {
            scratch.window.without(blip, &mut scratch.spared);
            if self.verdict_of(judge, &scratch.spared, above, normal) != Verdict::Bad {
                return Verdict::Blip;
            }
        }
        Verdict::Bad
    }

    fn verdict_of(&self, judge: Judge, window: &Window, above: f64, normal: Option<Normal>) -> Verdict {
        let rule = &self.groups.rule;
        let found = judge(rule, bar(rule, above, normal.as_ref()), window);
        if found != Verdict::Bad {
            return found;
        }
        match normal {
            Some(normal) if !normal.is_passed(rule, window.sum()) => Verdict::LikeItself,
            None if self.detector.above == Above::Floor => Verdict::NoHistory,
            _ => Verdict::Bad,
        }
    }

    fn above_rest(&self, window: &Window, all: &mut Vec<(Span, Point)>) -> bool {
        let sum = window.sum();
        let all = self.all(window.span(), all);
        let rest = Point { errors: all.errors - sum.errors, requests: all.requests - sum.requests };
        above_rest(self.groups.rule.times_rest, sum, rest)
    }

    /// Whether a step or minute is bad by itself.
    fn is_bad(&self, point: Point, seen: &Seen) -> bool {
        let rule = &self.groups.rule;
        let lowest = rule.lowest_above();
        match (self.detector.way, seen.pace) {
            // Of what was expected in it, too little was completed.
            (Way::Stall, Some(pace)) => pace.missing(self.buckets.step(), point.requests).ratio() > lowest,
            _ => (self.detector.bad_point)(bar(rule, lowest, seen.normal.as_ref()), point),
        }
    }

    /// What the group did in a span, points that start before `since` apart.
    fn roll_up(&self, group: &Group, span: Span, since: Millis, window: &mut Window) {
        let rule = &self.groups.rule;
        window.reset(span);
        let from = span.from.max(since).min(span.to);
        for &id in &group.members {
            if span.is_minutes(self.buckets.step()) {
                let minutes = self.buckets.minutes(id, from, span.to);
                minutes.for_each(|(start, tally)| window.add(start, counted(rule, tally)));
            } else {
                let steps = self.buckets.steps(id, from, span.to);
                steps.for_each(|(start, tally)| window.add(start, counted(rule, tally)));
            }
        }
    }

    /// All groups of the rule in a span.
    fn all(&self, span: Span, known: &mut Vec<(Span, Point)>) -> Point {
        if let Some((_, sum)) = known.iter().find(|(of, _)| *of == span) {
            return *sum;
        }
        let mut sum = Point::default();
        for id in self.groups.members() {
            if span.is_minutes(self.buckets.step()) {
                let minutes = self.buckets.minutes(id, span.from, span.to);
                minutes.for_each(|(_, tally)| sum += counted(&self.groups.rule, tally));
            } else {
                let steps = self.buckets.steps(id, span.from, span.to);
                steps.for_each(|(_, tally)| sum += counted(&self.groups.rule, tally));
            }
        }
        known.push((span, sum));
        sum
    }

    /// What is known of a group that is bad now and was not before; its window is rolled up already.
    fn beginning(&self, group: &Group, seen: &Seen, scratch: &mut Scratch) -> Beginning {
        let span = scratch.window.span();
        let (started, last_bad) =
            scratch.window.bad_between(|p| self.is_bad(p, seen)).unwrap_or((span.from, span.to));
        let before = Span { from: self.held_from(), to: started, unit: self.buckets.step() };
        let mut normal = Point::default();
        if before.from < before.to {
            for &id in &group.members {
                let steps = self.buckets.steps(id, before.from, before.to);
                steps.for_each(|(_, tally)| normal += counted(&self.groups.rule, tally));
            }
        }
        Beginning {
            at: self.end,
            started,
            last_bad,
            normal: (normal.requests > 0 && seen.pace.is_none()).then(|| normal.ratio()),
            own_normal: seen.normal,
            learns: self.is_hardly_known(group, &scratch.window),
            pace: seen.pace,
            last_traffic: if seen.pace.is_some() { group.last_error } else { last_bad },
            confirmed: self.totals(group, started, last_bad, scratch),
            after: self.totals(group, last_bad, self.end, scratch),
            lost: self.buckets.lost(span.from, self.end),
        }
    }

    /// Steps from here on are held one by one.
    fn held_from(&self) -> Millis {
        self.end - STEPS_HELD * self.buckets.step()
    }

    /// What the group counted in these tallies of its series, without what its rule did.
    fn sum<'b, I>(&'b self, group: &Group, tallies: impl Fn(SeriesId) -> I) -> Totals
    where
        I: Iterator<Item = (Millis, &'b Tally)>,
    {
        let rule = &self.groups.rule;
        let place = self.buckets.plan().index("upstream");
        let mut totals = Totals::default();
        let mut why = ByUpstream::default();
        for &id in &group.members {
            let upstream = place.zip(self.buckets.labels(id)).map_or(&b""[..], |(at, set)| set.get(at));
            for (_, tally) in tallies(id) {
                totals.count(rule, tally);
                let (told, nobody) = (tally.diagnosed(), std::iter::empty());
                match rule.counts {
                    _ if rule.longer_than.is_some() => {}
                    Counts::GatewayErrors => why.add(upstream, tally.reasons(), told, tally.origins()),
                    // Of attempts nobody counts the origins.
                    Counts::FailedAttempts | Counts::Retried => {
                        why.add(upstream, tally.failed_reasons(), told, nobody);
                    }
                    _ => {}
                }
            }
        }
        totals.give_reasons(why.reasons());
        totals
    }

    /// What the group and its rule counted: in minutes where steps are no longer held.
    fn totals(&self, group: &Group, from: Millis, to: Millis, scratch: &mut Scratch) -> Totals {
        let held_from = self.held_from();
        let split =
            if from >= held_from { from } else { (held_from + MINUTE - 1).div_euclid(MINUTE) * MINUTE }
                .min(to);
        let mut totals = self
            .sum(group, |id| self.buckets.minutes(id, from, split).chain(self.buckets.steps(id, split, to)));
        for (from, to, unit) in [(from, split, MINUTE), (split, to, self.buckets.step())] {
            if from < to {
                totals.all += self.all(Span { from, to, unit }, &mut scratch.all);
            }
        }
        totals
    }
}
