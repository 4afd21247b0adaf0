//! The groups of one rule: which series belong to which, which of them had errors lately, and roll-ups of their counts.

use crate::case::Case;
use crate::detectors::normal::Normal;
use crate::detectors::{self, Way};
use crate::rule::{Counts, Rule};
use crate::series::{LabelSet, Plan, SeriesId, family_name};
use crate::tally::Tally;
use crate::window::{MINUTE, Point, STEPS_HELD, Span};
use gatewatch_parsers::{Millis, Status};
use std::collections::HashMap;

/// A series that belongs to no group of the rule.
const NONE: u32 = u32::MAX;

/// So many incidents of a group are kept out of its normal; then the first ones are part of it.
pub(crate) const SPANS_MAX: usize = 8;

/// From, to, and what was normal before.
pub(crate) type Stretch = (Millis, Millis, Option<Normal>);

/// The same, by reference.
pub(crate) type Shown<'a> = Memory<&'a Box<Case>>;

/// Everything that has the same values of the rule's `group_by`.
#[derive(Debug)]
pub(crate) struct Group {
    /// Those values, in the rule's order.
    pub key: LabelSet,
    /// Its series.
    pub members: Vec<SeriesId>,
    /// Its alert, from pending until it can no longer reopen.
    pub case: Option<Box<Case>>,
    /// End of the last step with an error; or with a request, where those matter.
    pub last_error: Millis,
    /// Its incidents of late, each from its first bad step to the end of its last: no part of what is normal.
    pub spans: Vec<Stretch>,
    /// Since when it has the alert that it had before this step: all of that is not normal, either.
    abnormal: Option<Millis>,
    /// In `active`.
    is_active: bool,
}

impl Group {
    /// Whether nothing that lasted so long from there on is part of an incident.
    pub fn was_normal(&self, from: Millis, length: Millis) -> bool {
        let to = from.saturating_add(length);
        self.abnormal.is_none_or(|since| to <= since) && !self.spans.iter().any(|s| from < s.1 && s.0 < to)
    }

    /// What was normal before the last incident.
    pub fn last_normal(&self) -> Option<Normal> {
        self.spans.iter().rev().find_map(|span| span.2)
    }

    /// An incident that is over.
    pub fn add_span(&mut self, span: Stretch) {
        if span.0 >= span.1 {
            return;
        }
        if self.spans.len() == SPANS_MAX {
            self.spans.remove(0);
        }
        self.spans.push(span);
    }
}

/// What is remembered of a group beside its labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory<C> {
    /// The end of its last step with an error.
    pub last_error: Millis,
    /// Its incidents of late.
    pub spans: Vec<Stretch>,
    /// Its alert.
    pub case: Option<C>,
}

/// A rule and its groups.
#[derive(Debug)]
pub(crate) struct Groups {
    pub rule: Rule,
    /// Where the plan has the labels of `group_by`.
    by: Vec<Option<usize>>,
    /// Where the plan has the labels of the matchers.
    matched: Vec<Option<usize>>,
    /// Where the plan has the family's name, and which family the rule looks at.
    family: (Option<usize>, usize),
    /// By series.
    of: Vec<u32>,
    groups: Vec<Option<Group>>,
    free: Vec<u32>,
    // Keys come from log lines: the map's hash is keyed at random. Its order is never used.
    by_key: HashMap<LabelSet, u32>,
    /// Groups that had an error lately or have an alert. All others are not bad, whatever else they are.
    active: Vec<u32>,
    /// Whether a group matters for its requests, not for its errors.
    is_of_traffic: bool,
    /// An error (or request) matters for so long.
    reach: Millis,
    has_case: bool,
    step_sum: Point,
}

impl Groups {
    pub fn new(rule: Rule, plan: &Plan, step: Millis) -> Groups {
        let mut groups = Groups {
            by: Vec::new(),
            matched: Vec::new(),
            family: (None, 0),
            of: Vec::new(),
            groups: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            active: Vec::new(),
            is_of_traffic: detectors::find(rule.detector).is_some_and(|d| d.way.is_of_traffic()),
            reach: reach(&rule, step),
            has_case: false,
            step_sum: Point::default(),
            rule,
        };
        groups.rebind(plan);
        groups
    }

    /// The series are others now: only groups with an alert stay, and wait for theirs.
    pub fn rebind(&mut self, plan: &Plan) {
        self.by = self.rule.group_by.iter().map(|name| plan.index(name)).collect();
        self.matched = self.rule.matchers.iter().map(|m| plan.index(&m.label)).collect();
        self.family = (plan.family_label(), plan.family_of(&self.rule));
        self.of.clear();
        for at in 0..self.groups.len() {
            if let Some(Some(group)) = self.groups.get_mut(at) {
                group.members.clear();
                if let Some(case) = &mut group.case {
                    case.pinned = None;
                }
            }
            self.drop_if_empty(u32::try_from(at).unwrap_or(NONE));
        }
    }

    /// A series has come.
    pub fn add(&mut self, id: SeriesId, labels: &LabelSet) {
        let value = |at: &Option<usize>| at.map_or(&b""[..], |i| labels.get(i));
        // Every family has counted everything: one of them is enough.
        if value(&self.family.0) != family_name(self.family.1) {
            return;
        }
        if !self.rule.matchers.iter().zip(&self.matched).all(|(m, at)| m.matches(value(at))) {
            return;
        }
        let key = LabelSet::new(self.by.iter().map(value));
        let at = match self.by_key.get(&key) {
            Some(at) => *at,
            None => self.add_group(key),
        };
        if self.of.len() <= id.index() {
            self.of.resize(id.index() + 1, NONE);
        }
        if let Some(slot) = self.of.get_mut(id.index()) {
            *slot = at;
        }
        if let Some(group) = self.group_mut(at) {
            group.members.push(id);
        }
    }

    fn add_group(&mut self, key: LabelSet) -> u32 {
        let at = self.free.pop().unwrap_or(u32::try_from(self.groups.len()).unwrap_or(NONE));
        self.by_key.insert(key.clone(), at);
        let group = Group {
            key,
            members: Vec::new(),
            case: None,
            last_error: Millis::MIN,
            spans: Vec::new(),
            abnormal: None,
            is_active: false,
        };
        match self.groups.get_mut(at as usize) {
            Some(slot) => *slot = Some(group),
            None => self.groups.push(Some(group)),
        }
        at
    }

    /// Series have left. All at once: of a flood's series tens of thousands go together, of one group perhaps.
    pub fn remove(&mut self, ids: &[SeriesId]) {
        let mut touched: Vec<u32> = Vec::new();
        for id in ids {
            touched.extend(self.of.get_mut(id.index()).map(|slot| std::mem::replace(slot, NONE)));
        }
        touched.sort_unstable();
        touched.dedup();
        for at in touched {
            if let Some(Some(group)) = self.groups.get_mut(at as usize) {
                let of = &self.of;
                group.members.retain(|member| of.get(member.index()) == Some(&at));
            }
            self.drop_if_empty(at);
        }
    }

    /// A group leaves once it has neither series nor an alert, nor is listed as active.
    fn drop_if_empty(&mut self, at: u32) {
        let Some(slot) = self.groups.get_mut(at as usize) else { return };
        let is_empty = |g: &mut Group| g.members.is_empty() && g.case.is_none() && !g.is_active;
        if let Some(group) = slot.take_if(is_empty) {
            self.by_key.remove(&group.key);
            self.free.push(at);
        }
    }

    pub fn group(&self, at: u32) -> Option<&Group> {
        self.groups.get(at as usize)?.as_ref()
    }

    /// Every group, and its place.
    pub fn placed(&self) -> impl Iterator<Item = (u32, &Group)> {
        (0..).zip(&self.groups).filter_map(|(at, group)| Some((at, group.as_ref()?)))
    }

    pub fn group_mut(&mut self, at: u32) -> Option<&mut Group> {
        self.groups.get_mut(at as usize)?.as_mut()
    }

    /// What is remembered of the groups to judge, by their labels.
    pub fn remembered(&self) -> Vec<(&LabelSet, Shown<'_>)> {
        let groups = self.active.iter().filter_map(|at| self.group(*at));
        let memory = |group: &'_ Group| (group.last_error, group.spans.clone());
        let mut all: Vec<_> = groups
            .map(|group| {
                let (last_error, spans) = memory(group);
                (&group.key, Memory { last_error, spans, case: group.case.as_ref() })
            })
            .collect();
        all.sort_unstable_by_key(|group| group.0);
        all
    }

    /// Remembers a group, before any series is added; `false`: it was remembered already.
    pub fn remember(&mut self, key: LabelSet, memory: Memory<Box<Case>>) -> bool {
        if self.by_key.contains_key(&key) {
            return false;
        }
        let at = self.add_group(key);
        self.active.push(at);
        self.has_case |= memory.case.is_some();
        if let Some(group) = self.group_mut(at) {
            (group.last_error, group.is_active) = (memory.last_error, true);
            (group.spans, group.case) = (memory.spans, memory.case);
        }
        true
    }

    /// Every group with an alert.
    pub fn with_case(&self) -> impl Iterator<Item = (&Group, &Case)> {
        self.active.iter().filter_map(|at| self.group(*at)).filter_map(|g| Some((g, g.case.as_deref()?)))
    }

    /// Another step has closed.
    pub fn begin_step(&mut self) {
        self.step_sum = Point::default();
    }

    /// What a series counted in the step that ends at `end`; `may_count`: it has errors of some kind.
    pub fn note(&mut self, id: SeriesId, tally: &Tally, end: Millis, may_count: bool) {
        if !may_count && !self.has_case && !self.is_of_traffic {
            return;
        }
        let at = self.of.get(id.index()).copied().unwrap_or(NONE);
        let Some(Some(group)) = self.groups.get_mut(at as usize) else { return };
        let counted = counted(&self.rule, tally);
        self.step_sum += counted;
        if counted.errors > 0 && !self.is_of_traffic || counted.requests > 0 && self.is_of_traffic {
            group.last_error = group.last_error.max(end);
            if !group.is_active {
                group.is_active = true;
                self.active.push(at);
            }
        }
    }

    /// All groups together in the step noted last. Known only if there was an alert before it.
    pub fn step_sum(&self) -> Point {
        self.step_sum
    }

    /// Takes the list of groups to judge in the step that ends at `end`: those with an alert, or an error that may be
    /// in their window. Give it back.
    pub fn take_active(&mut self, end: Millis) -> Vec<u32> {
        let mut active = std::mem::take(&mut self.active);
        let matters_after = end.saturating_sub(self.reach);
        let normal_after = end.saturating_sub(self.rule.look_back().saturating_add(2 * MINUTE));
        active.retain(|&at| {
            let Some(group) = self.group_mut(at) else { return false };
            group.spans.retain(|span| span.1 > normal_after);
            // As it was before this step, so that it does not matter which group is judged first.
            group.abnormal = group.case.as_deref().map(Case::abnormal_from);
            group.is_active =
                group.case.is_some() || group.last_error > matters_after || !group.spans.is_empty();
            let stays = group.is_active;
            if !stays {
                self.drop_if_empty(at);
            }
            stays
        });
        active
    }

    /// Gives the list back, judged.
    pub fn give_back(&mut self, active: Vec<u32>) {
        self.has_case = active.iter().any(|at| self.group(*at).is_some_and(|g| g.case.is_some()));
        self.active = active;
    }

    /// The groups to judge, in no order of meaning.
    pub fn active(&self) -> &[u32] {
        &self.active
    }

    /// Sorts by group.
    pub fn sort<T>(&self, of: &mut [(u32, T)]) {
        let key = |at: u32| self.group(at).map(|g| &g.key);
        of.sort_by(|a, b| key(a.0).cmp(&key(b.0)));
    }

    /// Hands over every alert with its group's series.
    pub fn each_case(&mut self, mut take: impl FnMut(&mut Case, &[SeriesId])) {
        for at in &self.active {
            let Some(Some(group)) = self.groups.get_mut(*at as usize) else { continue };
            if let Some(case) = group.case.as_deref_mut() {
                take(case, &group.members);
            }
        }
    }

    /// Every group.
    pub fn all(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().flatten()
    }

    /// Every series of every group.
    pub fn members(&self) -> impl Iterator<Item = SeriesId> {
        self.groups.iter().flatten().flat_map(|group| group.members.iter().copied())
    }
}

/// How long an error may stay in a window: its length, and where that consists of whole minutes, up to one at either end;
/// or how long after a request it may come to light that there are no more.
fn reach(rule: &Rule, step: Millis) -> Millis {
    match detectors::find(rule.detector).map(|detector| detector.way) {
        Some(Way::Silence) => return rule.window.max(rule.baseline.unwrap_or(0)).saturating_add(step),
        Some(Way::Stall) => return STEPS_HELD * step,
        _ => {}
    }
    let longest = rule.longest_window();
    if Span::ending(0, longest, step).is_minutes(step) {
        longest.saturating_add(2 * MINUTE)
    } else {
        longest.max(step)
    }
}

/// What a tally is to a rule: errors of requests (or attempts).
pub(crate) fn counted(rule: &Rule, tally: &Tally) -> Point {
    let errors = match (rule.longer_than, rule.status.as_slice()) {
        (Some(longer_than), _) => tally.slow(longer_than),
        (None, []) => tally.count(rule.counts),
        (None, statuses) => statuses.iter().map(|code| tally.status(Status::new(*code))).sum(),
    };
    Point { errors, requests: tally.of(rule.counts) }
}

/// Whether a tally can have errors in the sense of any rule.
pub(crate) fn may_count(tally: &Tally) -> bool {
    Counts::ALL.iter().any(|counts| tally.count(*counts) > 0) || tally.has_watched()
}
