//! The engine as it is saved, and as it comes back: so that every later change is the one that an engine which was never
//! interrupted would make. What follows from the rest is left out: which series belong to which group, which are pinned.

use super::{Engine, EngineOptions, INCIDENTS_MAX, Standing, minutes};
use crate::alert::{Change, Sample, State};
use crate::buckets::{Buckets, BucketsState};
use crate::case::{Case, labels};
use crate::clues::Clues;
use crate::detectors;
use crate::groups::{Groups, Memory, SPANS_MAX, Stretch};
use crate::incident::Envelope;
use crate::recent::{Recent, RecentState};
use crate::report::Incident;
use crate::rule::{Rule, RuleState};
use crate::saved::{Unsound, ensure, is_count, is_time};
use crate::series::{LabelSet, Plan, SeriesId};
use crate::servers::Servers;
use crate::total::Totals;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Everything that an [`Engine`] owns: by reference when it is saved ([`Engine::state`]), and for [`Engine::restore`] when
/// it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EngineState<'a> {
    buckets: BucketsState<'a>,
    rules: Vec<Judging<'a>>,
    samples: Vec<(Cow<'a, LabelSet>, Cow<'a, VecDeque<Sample>>)>,
    over: Cow<'a, VecDeque<Incident>>,
    incidents_dropped: u64,
    number: u64,
    /// By fingerprint.
    former: Vec<(Cow<'a, str>, u64)>,
    totals: Cow<'a, Totals>,
    servers: Cow<'a, Servers>,
    recent: RecentState,
    clues: Cow<'a, Clues>,
    envelopes: Cow<'a, BTreeMap<String, Envelope>>,
}

/// A rule with what it remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Judging<'a> {
    rule: RuleState,
    groups: Vec<Remembered<'a>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remembered<'a> {
    key: Cow<'a, LabelSet>,
    last_error: Millis,
    spans: Vec<Stretch>,
    /// Boxed, so that a byte read does not become hundreds.
    case: Option<Cow<'a, Box<Case>>>,
}

/// What a saved state can do without, and in which order: what is missed least goes first. No count of an alert and no
/// total is among it.
type LeaveOut = (&'static str, fn(&mut EngineState<'_>));
const LEFT_OUT: [LeaveOut; 7] = [
    ("sample lines of series", |state| state.samples.clear()),
    ("exits and targets", |state| state.recent = RecentState::default()),
    ("sample lines of alerts", |state| state.forget_samples()),
    ("minutes before the last 180", |state| state.buckets.leave_out_minutes(180)),
    ("minutes before the last 90", |state| state.buckets.leave_out_minutes(90)),
    ("minutes before the last 30", |state| state.buckets.leave_out_minutes(30)),
    ("minutes", |state| state.buckets.leave_out_minutes(0)),
];

impl Judging<'_> {
    /// Hands what is remembered to the groups of the rule that goes on; steps are closed up to there.
    fn hand_over(self, groups: &mut Groups, closed: Option<Millis>) -> Result<(), Unsound> {
        let labels = self.rule.group_by();
        for Remembered { key, last_error, spans, case } in self.groups {
            let closed = closed.ok_or(Unsound("a group before anything was judged"))?;
            ensure(key.len() == labels && last_error <= closed, "a group")?;
            ensure(case.as_deref().is_none_or(|case| case.is_sound(closed)), "an alert")?;
            let is_past = |span: &Stretch| {
                let is_sound = span.2.is_none_or(|normal| normal.is_sound());
                is_sound && is_time(span.0) && is_time(span.1) && span.1 <= closed
            };
            ensure(spans.len() <= SPANS_MAX && spans.iter().all(is_past), "a group's incidents")?;
            let memory = Memory { last_error, spans, case: case.map(Cow::into_owned) };
            let is_new = groups.remember(key.into_owned(), memory);
            ensure(is_new, "a group is there twice")?;
        }
        Ok(())
    }
}

/// The words of rules that can be judged.
fn words(rules: &[Rule]) -> Vec<RuleState> {
    rules
        .iter()
        .filter(|rule| detectors::find_of_counts(rule.detector).is_some())
        .map(RuleState::of)
        .collect()
}

impl EngineState<'_> {
    /// What everything came to, since the state was new.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The end of the last closed step.
    #[must_use]
    pub fn closed_until(&self) -> Option<Millis> {
        self.buckets.closed()
    }

    /// Every alert that was pending, firing or recovering, by rule and labels.
    #[must_use]
    pub fn alerts(&self) -> Vec<Standing<'_>> {
        let mut all = Vec::new();
        for judging in &self.rules {
            let rule = judging.rule.clone().over();
            for remembered in &judging.groups {
                let Some(case) = remembered.case.as_deref() else { continue };
                if case.life().state() != State::Resolved {
                    all.push(Standing {
                        envelope: case.envelope.as_ref().and_then(|id| self.envelopes.get(id)).cloned(),
                        ..case.standing(judging.rule.name(), labels(&rule, &remembered.key))
                    });
                }
            }
        }
        all.sort_by(|a, b| (a.rule, &a.labels).cmp(&(b.rule, &b.labels)));
        all
    }

    /// How many series there were.
    #[must_use]
    pub fn series(&self) -> usize {
        self.buckets.len()
    }

    /// Requests that were counted under `__other__`.
    #[must_use]
    pub fn series_overflow(&self) -> u64 {
        self.buckets.overflow()
    }

    /// How many rules judged.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// How many incidents were no longer remembered.
    #[must_use]
    pub fn incidents_dropped(&self) -> u64 {
        self.incidents_dropped
    }

    /// Leaves out the `nth` of what a state that is too large to be written every few seconds can do without, those before
    /// it being left out already; says what that is. `None`: there is nothing more.
    pub fn leave_out(&mut self, nth: usize) -> Option<&'static str> {
        let (what, leave_out) = LEFT_OUT.get(nth)?;
        leave_out(self);
        Some(what)
    }

    fn forget_samples(&mut self) {
        let cases = self.rules.iter_mut().flat_map(|rule| &mut rule.groups).filter_map(|of| of.case.as_mut());
        cases.for_each(|case| case.to_mut().forget_samples());
    }

    fn check(&self) -> Result<(), Unsound> {
        let is_sound = |over: &Incident| {
            let some = [over.ended, over.fired, over.escalated, over.resolved];
            is_time(over.started) && some.into_iter().flatten().all(is_time)
        };
        ensure(
            self.over.len() <= INCIDENTS_MAX && self.over.iter().all(is_sound),
            "incidents that are over",
        )?;
        let is_sound = |(id, envelope): (&String, &Envelope)| *id == envelope.id && envelope.is_sound();
        ensure(self.envelopes.iter().all(is_sound), "what alerts have in common")?;
        let of = |group: &Remembered<'_>| group.case.as_ref().and_then(|case| case.envelope.clone());
        let mut known = self.rules.iter().flat_map(|rule| rule.groups.iter().filter_map(of));
        ensure(known.all(|id| self.envelopes.contains_key(&id)), "the incident of an alert")?;
        ensure(self.servers.is_sound(), "the states of servers")?;
        ensure(is_count(self.number) && is_count(self.incidents_dropped), "the number of incidents")
    }
}

impl Engine {
    /// Everything that it owns, to be saved: equal engines give equal bytes.
    #[must_use]
    pub fn state(&self) -> EngineState<'_> {
        let remembered = |(key, memory): (_, Memory<_>)| Remembered {
            key: Cow::Borrowed(key),
            last_error: memory.last_error,
            spans: memory.spans,
            case: memory.case.map(Cow::Borrowed),
        };
        let rules = self.rules.iter().map(|(groups, _)| Judging {
            rule: RuleState::of(&groups.rule),
            groups: groups.remembered().into_iter().map(remembered).collect(),
        });
        let samples = self.samples.all().into_iter();
        let mut former: Vec<_> =
            self.former.iter().map(|(print, number)| (Cow::Borrowed(print.as_str()), *number)).collect();
        former.sort_unstable();
        EngineState {
            buckets: self.buckets.state(),
            rules: rules.collect(),
            samples: samples.map(|(set, lines)| (Cow::Borrowed(set), Cow::Borrowed(lines))).collect(),
            over: Cow::Borrowed(&self.over),
            incidents_dropped: self.incidents_dropped,
            number: self.number,
            former,
            totals: Cow::Borrowed(&self.totals),
            servers: Cow::Borrowed(&self.servers),
            recent: self.recent.state(),
            clues: Cow::Borrowed(&self.clues),
            envelopes: Cow::Borrowed(&self.envelopes),
        }
    }

    /// Goes on where an earlier engine was. Rules that judge as one of its rules did go on with its alerts and timers; the
    /// others start fresh, and alerts of its other rules are over, which is what is returned. Where the step is another
    /// one, no rule goes on and all windows fill anew.
    ///
    /// # Errors
    /// What shows that no engine was ever saved so.
    pub fn restore(
        state: EngineState<'_>,
        rules: Vec<Rule>,
        plan: Arc<Plan>,
        options: EngineOptions,
    ) -> Result<(Engine, Vec<Change>), Unsound> {
        state.check()?;
        let EngineState { buckets, rules: mut saved, samples, over, former, .. } = state;
        let EngineState { totals, recent, servers, clues, envelopes, .. } = state;
        let mut engine = Engine::new(Vec::new(), Arc::clone(&plan), options);
        let step = engine.buckets.step();
        let goes_on = buckets.step() == step;
        let saved_plan = Arc::new(buckets.plan().clone());
        let closed = buckets.closed();
        engine.buckets = if goes_on {
            Buckets::restore(buckets, options.series_cap)?
        } else {
            Buckets::restore_left(buckets, step, options.series_cap)?
        };
        for (set, lines) in samples {
            let is_sound = engine.samples.restore(set.into_owned(), lines.into_owned());
            ensure(is_sound, "sample lines")?;
        }
        engine.over = over.into_owned();
        (engine.number, engine.incidents_dropped) = (state.number, state.incidents_dropped);
        engine.former = former.into_iter().map(|(print, number)| (print.into_owned(), number)).collect();
        engine.totals = totals.into_owned();
        engine.servers = servers.into_owned();
        engine.envelopes = envelopes.into_owned();
        let recent = Recent::restore(recent, step)?;
        engine.recent = if goes_on { recent } else { Recent::default() };
        engine.clues = Clues::restore(clues.into_owned(), step, goes_on)?;

        engine.buckets.hold_minutes(minutes(&rules, step));
        let are_same = saved.iter().map(|saved| &saved.rule).eq(&words(&rules));
        for rule in rules {
            let Some(detector) = detectors::find_of_counts(rule.detector) else { continue };
            let known = saved.iter().position(|saved| goes_on && saved.rule.judges_like(&rule));
            let mut groups = Groups::new(rule, &saved_plan, step);
            if let Some(at) = known {
                saved.remove(at).hand_over(&mut groups, closed)?;
            }
            engine.rules.push((groups, detector));
        }
        engine.introduce();
        engine.pin_again()?;
        let mut changes = engine.let_go(saved, &saved_plan, closed)?;
        // Else nothing has changed, and which series are pinned stays as it was.
        if !(goes_on && are_same && *saved_plan == *plan) || engine.buckets.is_over_cap() {
            engine.settle(plan);
        }
        engine.settle_envelopes(&mut changes);
        Ok((engine, changes))
    }

    /// The alerts of rules that do not go on are over.
    fn let_go(
        &mut self,
        saved: Vec<Judging<'_>>,
        plan: &Plan,
        closed: Option<Millis>,
    ) -> Result<Vec<Change>, Unsound> {
        let mut changes = Vec::new();
        for saved in saved {
            let rule = saved.rule.clone().over();
            let Some(detector) = detectors::find_of_counts(rule.detector) else { continue };
            let mut groups = Groups::new(rule, plan, self.buckets.step());
            saved.hand_over(&mut groups, closed)?;
            changes.append(&mut self.close_rule(groups, detector));
        }
        Ok(changes)
    }

    /// Keeps the series that open alerts had kept.
    fn pin_again(&mut self) -> Result<(), Unsound> {
        let mut pinned: Vec<SeriesId> = Vec::new();
        let mut are_sound = true;
        for (groups, _) in &mut self.rules {
            groups.each_case(|case, members| {
                if let Some(id) = case.pinned {
                    are_sound &= case.life().is_open() && members.contains(&id);
                    pinned.push(id);
                }
            });
        }
        for id in pinned {
            *self.pins.entry(id).or_default() += 1;
            self.buckets.pin(id, true);
        }
        ensure(are_sound, "the series of an alert")
    }
}
