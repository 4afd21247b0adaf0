//! The life of an alert as a pure machine: what a closed step says about its group goes in, what has changed comes out.
//! Pending → firing → recovering → resolved, and back to firing within [`REOPEN`].

use crate::alert::{End, State};
use crate::rule::{Rule, Severity};
use crate::saved::is_time;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

/// Bad again within this of resolving is the same incident.
pub const REOPEN: Millis = 600_000;

/// What a closed step says about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// No traffic in the longest window: nothing can be said.
    Silent,
    /// It was judged.
    Judged {
        /// The worst severity all of whose conditions hold.
        bad: Option<Severity>,
        /// Still above `recover_below`. Whatever is bad is.
        above_recover: bool,
    },
    /// Whatever it was judged by says nothing any more.
    Over(End),
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It fires: a new incident.
    Fired(Severity),
    /// Its severity rose.
    Escalated(Severity),
    /// It fires again: the same incident.
    Reopened,
    /// It is over.
    Resolved(End),
}

/// Where an alert stands, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    state: State,
    /// When it came to this state; while nothing can be said, the time of recovering stands still.
    since: Millis,
    /// Since when the conditions of warning, and of critical, have held without a break.
    held: [Option<Millis>; 2],
    /// The worst severity of this incident.
    severity: Severity,
    /// Since when nothing can be said.
    silent: Option<Millis>,
    /// When it last resolved, as long as it may reopen.
    resolved: Option<Millis>,
    /// The step that was judged last.
    at: Millis,
}

impl Life {
    /// An alert that became bad at the end of this step. Call [`Life::step`] for that step next.
    #[must_use]
    pub fn new(at: Millis) -> Life {
        Life {
            state: State::Pending,
            since: at,
            held: [None, None],
            severity: Severity::Warning,
            silent: None,
            resolved: None,
            at,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it stands there.
    #[must_use]
    pub fn since(&self) -> Millis {
        self.since
    }

    /// Firing or recovering: others have been told of it, and not yet that it is over.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Firing | State::Recovering)
    }

    /// Whether nothing is left to remember: never fired and no longer bad, or resolved for so long that what comes next is
    /// another incident.
    #[must_use]
    pub fn is_over(&self, at: Millis) -> bool {
        self.state == State::Resolved && self.resolved.is_none_or(|resolved| at - resolved > REOPEN)
    }

    /// Whether it has fired and resolved, and is not firing again.
    #[must_use]
    pub fn has_resolved(&self) -> bool {
        self.resolved.is_some()
    }

    /// Whether it can have been saved when steps were closed up to there. One with a time beyond would wait for it, and
    /// keep every step until then from being skipped.
    pub(crate) fn is_sound(&self, closed: Millis) -> bool {
        let times = [Some(self.since), self.silent, self.resolved, Some(self.at)];
        times.into_iter().chain(self.held).flatten().all(|time| is_time(time) && time <= closed)
    }

    /// Judges the step that ends at `at`. Two events at most: reopened and escalated.
    pub fn step(&mut self, rule: &Rule, at: Millis, judgement: Judgement) -> Vec<Event> {
        let passed = at - self.at;
        self.at = at;
        let (bad, above_recover) = match judgement {
            Judgement::Silent if self.is_open() => return self.hold(rule, at, passed),
            Judgement::Over(end) if self.is_open() => return self.resolve(end, at),
            Judgement::Silent | Judgement::Over(_) => (None, false),
            Judgement::Judged { bad, above_recover } => (bad, above_recover),
        };
        self.silent = None;
        self.note(bad, at);
        match self.state {
            State::Pending | State::Resolved => self.enter(rule, at, bad),
            State::Firing | State::Recovering => {
                if bad.is_some() || above_recover {
                    self.go(State::Firing, at);
                    return self.escalate(rule, at).into_iter().collect();
                }
                self.go(State::Recovering, at);
                if at - self.since >= rule.keep_firing_for {
                    self.resolve(End::Recovered, at)
                } else {
                    Vec::new()
                }
            }
        }
    }

    /// Its rule or its group is gone.
    pub fn close(&mut self, end: End, at: Millis) -> Vec<Event> {
        if self.is_open() {
            return self.resolve(end, at);
        }
        self.go(State::Resolved, at);
        Vec::new()
    }

    /// Nothing can be said: every timer stands still, until that has lasted too long.
    fn hold(&mut self, rule: &Rule, at: Millis, passed: Millis) -> Vec<Event> {
        if self.state == State::Recovering {
            self.since += passed;
        }
        for held in self.held.iter_mut().flatten() {
            *held += passed;
        }
        let since = *self.silent.get_or_insert(at);
        if at - since >= rule.stale_after { self.resolve(End::Expired, at) } else { Vec::new() }
    }

    fn note(&mut self, bad: Option<Severity>, at: Millis) {
        for (severity, held) in [Severity::Warning, Severity::Critical].into_iter().zip(&mut self.held) {
            match bad {
                Some(worst) if worst >= severity => *held = held.or(Some(at)),
                _ => *held = None,
            }
        }
    }

    /// The worst severity whose conditions have held for `for`.
    fn ripe(&self, rule: &Rule, at: Millis) -> Option<Severity> {
        let [warning, critical] = self.held.map(|held| held.is_some_and(|since| at - since >= rule.for_));
        if critical { Some(Severity::Critical) } else { warning.then_some(Severity::Warning) }
    }

    fn enter(&mut self, rule: &Rule, at: Millis, bad: Option<Severity>) -> Vec<Event> {
        if bad.is_none() {
            self.go(State::Resolved, at);
            return Vec::new();
        }
        self.go(State::Pending, at);
        let Some(severity) = self.ripe(rule, at) else { return Vec::new() };
        // Whoever owns this lets it go once it is over, so that what has resolved here has done so lately.
        let again = self.resolved.take().is_some();
        self.go(State::Firing, at);
        if again {
            let mut events = vec![Event::Reopened];
            events.extend(self.escalate(rule, at));
            return events;
        }
        self.severity = severity;
        vec![Event::Fired(severity)]
    }

    fn escalate(&mut self, rule: &Rule, at: Millis) -> Option<Event> {
        let severity = self.ripe(rule, at)?;
        (severity > self.severity).then(|| {
            self.severity = severity;
            Event::Escalated(severity)
        })
    }

    fn resolve(&mut self, end: End, at: Millis) -> Vec<Event> {
        self.go(State::Resolved, at);
        self.resolved = Some(at);
        self.held = [None, None];
        self.silent = None;
        vec![Event::Resolved(end)]
    }

    fn go(&mut self, state: State, at: Millis) {
        if self.state != state {
            (self.state, self.since) = (state, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step per letter, 5 s each, the first ending at 5 s: `.` well, `-` above `recover_below` only, `w` warning, `c`
    /// critical, `_` no traffic; `x*9` repeats. Out: `second:what`.
    fn live(rule: &Rule, steps: &str) -> String {
        let mut told = Vec::new();
        let mut life = Life::new(5_000);
        let mut at = 0;
        for word in steps.split_whitespace() {
            let (letters, times) = word.split_once('*').unwrap_or((word, "1"));
            for letter in letters.repeat(times.parse().unwrap()).chars() {
                at += 5_000;
                let judged = |bad, above_recover| Judgement::Judged { bad, above_recover };
                let judgement = match letter {
                    '.' => judged(None, false),
                    '-' => judged(None, true),
                    'w' => judged(Some(Severity::Warning), true),
                    'c' => judged(Some(Severity::Critical), true),
                    _ => Judgement::Silent,
                };
                if life.is_over(at) {
                    life = Life::new(at);
                }
                for event in life.step(rule, at, judgement) {
                    let event = match event {
                        Event::Fired(severity) => format!("fired {}", severity.name()),
                        Event::Escalated(severity) => format!("escalated {}", severity.name()),
                        Event::Reopened => "reopened".to_owned(),
                        Event::Resolved(end) => format!("{end:?}").to_lowercase(),
                    };
                    told.push(format!("{}:{event}", at / 1000));
                }
            }
        }
        told.push(life.state().name().to_owned());
        told.join(" ")
    }

    #[test]
    fn lives() {
        let mut at_once = Rule::new("r", "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
        (at_once.keep_firing_for, at_once.stale_after) = (20_000, 30_000);
        let mut patient = at_once.clone();
        patient.for_ = 15_000;
        let mut brisk = at_once.clone();
        brisk.keep_firing_for = 0;
        let cases = [
            (&at_once, ".", "resolved"),
            (&at_once, "w", "5:fired warning firing"),
            (&at_once, "wwcc", "5:fired warning 15:escalated critical firing"),
            (&at_once, "c", "5:fired critical firing"),
            // severity only rises
            (&at_once, "cwwc", "5:fired critical firing"),
            // between the two thresholds it goes on as it was
            (&at_once, "w-----", "5:fired warning firing"),
            (&at_once, "-----", "resolved"),
            (&at_once, "w....", "5:fired warning recovering"),
            (&at_once, "w.....", "5:fired warning 30:recovered resolved"),
            (&brisk, "w.", "5:fired warning 10:recovered resolved"),
            // recovering → firing again starts the time anew
            (&at_once, "w...-....", "5:fired warning recovering"),
            (&at_once, "w...w.....", "5:fired warning 50:recovered resolved"),
            // no traffic holds, and the time of recovering with it
            (&at_once, "w__", "5:fired warning firing"),
            (&at_once, "w..____..", "5:fired warning recovering"),
            (&at_once, "w..____...", "5:fired warning 50:recovered resolved"),
            // … until it has lasted too long; traffic in between starts that anew
            (&at_once, "w______", "5:fired warning firing"),
            (&at_once, "w_______", "5:fired warning 40:expired resolved"),
            (&at_once, "w______-______", "5:fired warning firing"),
            (&at_once, "w._______", "5:fired warning 45:expired resolved"),
            // for
            (&patient, "www", "pending"),
            (&patient, "wwww", "20:fired warning firing"),
            (&patient, "www.www", "pending"),
            (&patient, "ww_ww", "pending"),
            (&patient, "wwwc", "20:fired warning firing"),
            (&patient, "wwwcccc", "20:fired warning 35:escalated critical firing"),
            (&patient, "ccccc", "20:fired critical firing"),
            (&patient, "wwww__c__cc", "20:fired warning firing"),
            (&patient, "wwww__c__ccc", "20:fired warning 60:escalated critical firing"),
            // the same incident within 10 min of resolving, another one after
            (&brisk, "w. .*119 w", "5:fired warning 10:recovered 610:reopened firing"),
            (&brisk, "w. .*120 w", "5:fired warning 10:recovered 615:fired warning firing"),
            (&brisk, "w. .*119 c", "5:fired warning 10:recovered 610:reopened 610:escalated critical firing"),
            (&brisk, "c.w.w", "5:fired critical 10:recovered 15:reopened 20:recovered 25:reopened firing"),
            (&at_once, "w_______w", "5:fired warning 40:expired 45:reopened firing"),
            // bad again within 10 min, firing after
            (&patient, "wwww..... .*117 wwww", "20:fired warning 45:recovered 650:reopened firing"),
        ];
        for (rule, steps, expected) in cases {
            assert_eq!(live(rule, steps), expected, "{steps}");
        }
    }

    #[test]
    fn a_rule_that_goes_resolves_what_it_fired_only() {
        let mut rule = Rule::new("r", "ratio", vec![(Severity::Warning, 0.05)]);
        rule.for_ = 10_000;
        let bad = Judgement::Judged { bad: Some(Severity::Warning), above_recover: true };
        let mut life = Life::new(0);
        assert_eq!(life.step(&rule, 0, bad), []);
        assert_eq!(life.clone().close(End::Config, 5_000), []);
        assert_eq!(life.step(&rule, 10_000, bad), [Event::Fired(Severity::Warning)]);
        assert_eq!(life.close(End::Config, 15_000), [Event::Resolved(End::Config)]);
        assert!(!life.is_over(15_000) && life.is_over(15_000 + REOPEN + 1));
    }
}
