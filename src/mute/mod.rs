//! What is known and not told: silences, maintenance windows, and rules that mute others. A stage before the outbox: an
//! alert is judged, counted and shown as ever, and only telling waits. Pure: the time is an argument, and [`State`] is all
//! that a snapshot needs.
//!
//! Invariants: of a muted alert nothing that fires passes; the end of what has passed always does; what still fires when
//! it is muted no longer passes once, marked. In doubt (at a cap, of an alert that is not known) it passes.

pub mod about;
pub mod inhibit;
pub mod maintenance;
pub mod silences;

use about::About;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, Change, ChangeKind, Hushed};
use gatewatch_rules::rule::Rule;
use inhibit::{Inhibition, Muting};
use maintenance::Window;
use serde::{Deserialize, Serialize};
use silences::{Silence, Silences, Wanted};
use std::collections::BTreeMap;

/// Alerts that are held back at most; further ones pass.
pub const HELD_MAX: usize = 2_000;
/// Alerts that fire and are known at most; further ones pass, and mute nobody.
const OPEN_MAX: usize = 20_000;
/// An alert that mutes others does so for a while after its end: most of them are over soon, too, and who is told of each
/// for those seconds wonders why.
const LINGER: Millis = 60_000;
/// Incidents that came and went muted, remembered in case they come back.
const UNSEEN_MAX: usize = 1_000;

/// Why an alert is told to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// A silence, by its number.
    Silence(u64),
    /// `[maintenance.NAME]`.
    Maintenance(String),
    /// The rule of the alert that mutes it.
    Rule(String),
}

/// What has happened since the state was new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Alerts that were held back.
    pub held: u64,
    /// Those among them that came and went meanwhile: nobody was ever told.
    pub unseen: u64,
    /// Those that should have been held back, and passed at the cap.
    pub overflow: u64,
}

/// An alert that fires.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    about: About,
    /// The outbox knows that it fires, so its end is to be told.
    passed: bool,
    /// It is over with the changes that are being taken.
    over: bool,
    /// The silence or the window that mutes it now.
    quiet: Option<Reason>,
    /// Whatever mutes it now.
    by: Option<Reason>,
    held: Option<Box<Held>>,
}

/// What the outbox does not know yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Held {
    /// The newest state, and what is to be said of it.
    change: Change,
    /// Why, in words: what muted it may be forgotten before it passes.
    by: String,
}

/// All that outlives the process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    silences: Silences,
    /// By fingerprint.
    open: BTreeMap<String, Open>,
    /// Alerts that muted others and are over, by fingerprint: until when they still do.
    lingering: BTreeMap<String, (About, Millis)>,
    /// Incident → when it was over, and what had muted it.
    unseen: BTreeMap<String, (Millis, String)>,
    counters: Counters,
}

impl State {
    /// All silences, in force or over.
    #[must_use]
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// What has happened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What mutes this alert, by its fingerprint; in words.
    #[must_use]
    pub fn muted(&self, fingerprint: &str) -> Option<String> {
        self.open.get(fingerprint)?.by.as_ref().map(|by| self.name(by))
    }

    /// The alerts that are held back: of their newest state nobody was told.
    pub fn held(&self) -> impl Iterator<Item = &Alert> {
        self.open.values().filter_map(|open| open.held.as_ref()).map(|held| &held.change.alert)
    }

    fn name(&self, reason: &Reason) -> String {
        match reason {
            Reason::Silence(id) => {
                self.silences.get(*id).map_or_else(|| format!("silence {id}"), Silence::name)
            }
            Reason::Maintenance(name) => format!("maintenance {name}"),
            Reason::Rule(rule) => format!("rule {rule}"),
        }
    }
}

/// A window, and whether it is open: known for a stretch of time, so that it need not be asked for every turn.
#[derive(Clone, Debug)]
struct Timed {
    window: Window,
    is_open: bool,
    from: Millis,
    until: Millis,
}

impl Timed {
    /// Whether that has changed.
    fn turn(&mut self, now: Millis) -> bool {
        if (self.from..self.until).contains(&now) {
            return false;
        }
        let was_open = self.is_open;
        (self.is_open, self.from, self.until) = match self.window.next(now) {
            Some(span) if span.start <= now => (true, span.start, span.end),
            Some(span) => (false, now, span.start),
            None => (false, now, Millis::MAX),
        };
        was_open != self.is_open
    }
}

/// The stage.
#[derive(Debug, Default)]
pub struct Mutes {
    state: State,
    inhibition: Inhibition,
    windows: Vec<Timed>,
    /// Silences, windows or rules are not what they were when alerts were judged.
    stale: bool,
    /// When the next silence is over, or an alert that is over mutes no more.
    next_end: Option<Millis>,
    /// Which alerts are muted may have changed since it was asked.
    changed: bool,
}

impl Mutes {
    /// As it was when `state` was saved, under what is configured now.
    #[must_use]
    pub fn restored(mut state: State, rules: &[Rule], windows: &[Window]) -> Mutes {
        state.silences.compile();
        let mut mutes = Mutes { state, ..Mutes::default() };
        mutes.reconfigure(rules, windows);
        mutes
    }

    /// Takes another configuration.
    pub fn reconfigure(&mut self, rules: &[Rule], windows: &[Window]) {
        let timed = |window: &Window| Timed { window: window.clone(), is_open: false, from: 0, until: 0 };
        self.windows = windows.iter().map(timed).collect();
        self.inhibition = Inhibition::of(rules);
        (self.stale, self.changed) = (true, true);
    }

    /// What to save.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes a silence, from now on.
    ///
    /// # Errors
    /// Why it is refused, and what would be right.
    pub fn add(&mut self, wanted: &Wanted, now: Millis) -> Result<Silence, String> {
        self.stale = true;
        self.state.silences.prune(now);
        self.state.silences.add(wanted, now).cloned()
    }

    /// Ends a silence now.
    ///
    /// # Errors
    /// There is none of this number, or it is over.
    pub fn expire(&mut self, id: u64, now: Millis) -> Result<Silence, String> {
        self.stale = true;
        self.state.silences.expire(id, now).cloned()
    }

    /// Takes what has happened to alerts, and gives what may be told now: also what was held back and need not be any
    /// more. `fresh` is an alert as it stands now, by its fingerprint: what is held may be of hours ago. To be called
    /// every turn, with nothing too.
    pub fn pass(
        &mut self,
        changes: Vec<Change>,
        now: Millis,
        fresh: &dyn Fn(&str) -> Option<Alert>,
    ) -> Vec<Change> {
        self.turn(now);
        if changes.is_empty() && !self.stale {
            return Vec::new();
        }
        let mut passed = Vec::new();
        let mut changes = changes.into_iter().peekable();
        // What happens at once is known at once: which rule is judged first must not matter.
        while let Some(first) = changes.next() {
            let mut together = vec![first];
            while let Some(next) = changes.next_if(|next| together.first().is_some_and(|f| f.at == next.at)) {
                together.push(next);
            }
            together.iter().for_each(|change| self.note(change, now));
            self.judge(now);
            let mut held = self.state.open.values().filter(|open| open.held.is_some()).count();
            passed.extend(together.into_iter().filter_map(|change| self.take(change, now, &mut held)));
        }
        // Whoever mutes may have ended.
        self.judge(now);
        passed.extend(self.release(now, fresh));
        passed
    }

    /// The alerts that are muted and of which somebody may know, by fingerprint; `None`: the same as when it was asked last.
    pub fn muted(&mut self) -> Option<impl Iterator<Item = &String>> {
        let muted = |(fingerprint, open)| {
            let open: &Open = open;
            (open.passed && open.by.is_some()).then_some(fingerprint)
        };
        std::mem::take(&mut self.changed).then(|| self.state.open.iter().filter_map(muted))
    }

    /// Forgets alerts that nobody judges any more, by what they are about.
    pub fn retain(&mut self, is_judged: impl Fn(&About) -> bool) {
        self.state.open.retain(|_, open| is_judged(&open.about));
        (self.stale, self.changed) = (true, true);
    }

    /// What the time of day alone changes.
    fn turn(&mut self, now: Millis) {
        for timed in &mut self.windows {
            self.stale |= timed.turn(now);
        }
        self.stale |= self.next_end.is_some_and(|end| now >= end);
    }

    /// That an alert fires, or is over.
    fn note(&mut self, change: &Change, now: Millis) {
        let fingerprint = &change.alert.fingerprint;
        if change.kind == ChangeKind::Resolved {
            self.state.open.entry(fingerprint.clone()).and_modify(|open| open.over = true);
            return;
        }
        let about = About::of(&change.alert);
        if let Some(open) = self.state.open.get_mut(fingerprint) {
            (open.about, open.over) = (about, false);
        } else if self.state.open.len() < OPEN_MAX {
            let open = Open { about, passed: false, over: false, quiet: None, by: None, held: None };
            self.state.open.insert(fingerprint.clone(), open);
        }
        if let Some(quiet) = self.state.open.get(fingerprint).map(|open| self.quiet(&open.about, now))
            && let Some(open) = self.state.open.get_mut(fingerprint)
        {
            open.quiet = quiet;
        }
    }

    /// The silence or the window that mutes it.
    fn quiet(&self, about: &About, now: Millis) -> Option<Reason> {
        if let Some(silence) = self.state.silences.of(about, now) {
            return Some(Reason::Silence(silence.id));
        }
        let mut open = self.windows.iter().filter(|timed| timed.is_open);
        let of = open.find(|timed| about.is_matched(&timed.window.matchers));
        of.map(|timed| Reason::Maintenance(timed.window.name.clone()))
    }

    /// Who is muted by what, now.
    fn judge(&mut self, now: Millis) {
        if std::mem::take(&mut self.stale) {
            self.state.silences.prune(now);
            let quiet: Vec<_> = self.state.open.values().map(|open| self.quiet(&open.about, now)).collect();
            for (open, quiet) in self.state.open.values_mut().zip(quiet) {
                open.quiet = quiet;
            }
        }
        // A clock that was set back makes none of them last.
        self.state.lingering.retain(|_, (_, until)| now < *until && *until - now <= LINGER);
        let lingering = self.state.lingering.values();
        self.next_end =
            lingering.clone().map(|(_, until)| *until).chain(self.state.silences.next_end(now)).min();
        let mut muting = Muting::new();
        lingering.for_each(|(about, _)| self.inhibition.fires(about, &mut muting));
        let mut open: Vec<&mut Open> = self.state.open.values_mut().collect();
        if !self.inhibition.is_empty() {
            open.sort_by_key(|open| self.inhibition.depth(&open.about.rule));
        }
        for open in open {
            let muter = self.inhibition.muter(&open.about, &muting);
            let by = open.quiet.clone().or_else(|| muter.map(|rule| Reason::Rule(rule.to_owned())));
            self.changed |= by != open.by;
            if muter.is_none() && !open.over {
                self.inhibition.fires(&open.about, &mut muting);
            }
            open.by = by;
        }
    }

    /// What of a change may be told now; so many are `held` at most.
    fn take(&mut self, mut change: Change, now: Millis, held: &mut usize) -> Option<Change> {
        if change.kind == ChangeKind::Resolved {
            return self.end(change, now);
        }
        let unseen =
            self.state.unseen.remove(&change.alert.incident).filter(|_| change.kind == ChangeKind::Reopened);
        if unseen.is_some() {
            // Nobody was told of it before.
            change.kind = ChangeKind::Firing;
        }
        let Some(open) = self.state.open.get_mut(&change.alert.fingerprint) else { return Some(change) };
        let before = open.held.take();
        change.kind = before.as_ref().map_or(change.kind, |held| both(held.change.kind, change.kind));
        let reason = open.by.clone().filter(|_| before.is_some() || *held < HELD_MAX);
        if open.by.is_some() && reason.is_none() {
            self.state.counters.overflow += 1;
        }
        let Some(reason) = reason else {
            open.passed = true;
            self.changed = true;
            let by = before.map(|held| held.by).or(unseen.map(|(_, by)| by));
            change.alert.hushed = by.map(|by| Hushed { by, until: now });
            return Some(change);
        };
        if before.is_none() {
            self.count(&reason, 1, 0);
            *held += 1;
        }
        // It passes as it stands then, lines and all.
        change.alert.samples.clear();
        let by = self.state.name(&reason);
        if let Some(open) = self.state.open.get_mut(&change.alert.fingerprint) {
            open.held = Some(Box::new(Held { change, by }));
        }
        None
    }

    /// It is over: told to those who may know that it fired.
    fn end(&mut self, change: Change, now: Millis) -> Option<Change> {
        // Over and back within the same moment.
        let open = match self.state.open.get_mut(&change.alert.fingerprint) {
            Some(open) if !open.over => Some(Open { held: open.held.take(), ..open.clone() }),
            Some(_) => self.state.open.remove(&change.alert.fingerprint),
            None => None,
        };
        let Some(open) = open else { return Some(change) };
        self.changed = true;
        if self.inhibition.mutes(&open.about.rule) && !matches!(open.by, Some(Reason::Rule(_))) {
            let until = now.saturating_add(LINGER);
            self.state.lingering.insert(change.alert.fingerprint.clone(), (open.about.clone(), until));
        }
        let Some(held) = open.held.filter(|_| !open.passed) else { return Some(change) };
        if let Some(by) = &open.by {
            self.count(by, 0, 1);
        }
        if held.change.kind == ChangeKind::Firing {
            self.state.unseen.insert(change.alert.incident, (now, held.by));
            if self.state.unseen.len() > UNSEEN_MAX {
                let first =
                    self.state.unseen.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone());
                first.and_then(|key| self.state.unseen.remove(&key));
            }
        }
        None
    }

    fn count(&mut self, reason: &Reason, held: u64, unseen: u64) {
        self.state.counters.held += held;
        self.state.counters.unseen += unseen;
        if let Reason::Silence(id) = reason {
            self.state.silences.count(*id, held, unseen);
        }
    }

    /// What was held back and is muted no longer.
    fn release(&mut self, now: Millis, fresh: &dyn Fn(&str) -> Option<Alert>) -> Vec<Change> {
        let mut released = Vec::new();
        for (fingerprint, open) in &mut self.state.open {
            let Some(held) = open.held.take_if(|_| open.by.is_none()) else { continue };
            let Held { mut change, by } = *held;
            let late = change.alert.detected_late;
            if let Some(now) = fresh(fingerprint).filter(|now| now.incident == change.alert.incident) {
                change.alert = now;
                change.alert.detected_late |= late;
            }
            change.alert.hushed = Some(Hushed { by, until: now });
            open.passed = true;
            self.changed = true;
            released.push(change);
        }
        // The first to fire first.
        released.sort_by_key(|change| change.at);
        released
    }
}

/// What is to be said of two changes together, of which nothing was said.
fn both(before: ChangeKind, after: ChangeKind) -> ChangeKind {
    match (before, after) {
        (ChangeKind::Firing, _) | (_, ChangeKind::Firing) => ChangeKind::Firing,
        (ChangeKind::Escalated, _) | (_, ChangeKind::Escalated) => ChangeKind::Escalated,
        (_, after) => after,
    }
}

#[cfg(test)]
mod tests;
