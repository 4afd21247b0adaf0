//! What an earlier process left → how this one begins.

use super::{Agent, health, rebuild};
use crate::delivery::outbox;
use crate::mute;
use crate::settings::Live;
use crate::state::former::Former;
use crate::state::{Counters, FileState, Found, Lines, Snapshot};
use crate::tail::Position;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, Change, ChangeKind, End, State};
use gatewatch_rules::clock::FileClock;
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::series::Plan;
use gatewatch_rules::watermark::Mark;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How to begin.
pub struct Past {
    /// With the counts of before, if there are any that can be used.
    pub engine: Engine,
    /// What it counts by.
    pub plan: Arc<Plan>,
    /// Alerts of rules that are not what they were are over.
    pub changes: Vec<Change>,
    /// What receivers were told.
    pub outbox: Option<outbox::State>,
    /// Silences, and what is held back.
    pub mutes: mute::State,
    /// Where every file stands.
    pub files: Vec<FileState>,
    /// The inputs that were followed; `None`: this is the very first start.
    pub scanned: Option<Vec<String>>,
    /// Up to where journals were counted.
    pub cursors: BTreeMap<String, String>,
    /// What was counted beside.
    pub counters: Counters,
    /// The number of the snapshot, and when it was taken.
    pub durable: (u64, Option<Millis>),
    /// Counts are rebuilt from the logs: what those say of the past was told, or is no news any more.
    pub is_rebuilt: bool,
    /// To be said.
    pub said: Vec<String>,
}

/// Numbers of incidents go on from here where the last one is not known: one that a receiver knows must not come again.
fn unlike_any(now: Millis) -> u64 {
    now.unsigned_abs() / 1_000
}

/// Alerts that receivers believe to fire, and that the engine knows nothing of: its counts are not those of before.
pub fn orphans<'a>(open: impl Iterator<Item = &'a Alert>, engine: &Engine, now: Millis) -> Vec<Change> {
    let known = engine.alerts();
    let is_orphan =
        |alert: &&Alert| !known.iter().any(|at| at.rule == alert.rule && at.labels == alert.labels);
    let over = |alert: &Alert| {
        let (state, end, resolved) = (State::Resolved, Some(End::Config), Some(now));
        // Of another time: not what holds "now".
        let (window_errors, window_requests, recent) = (0, 0, (0, 0));
        let alert = alert.clone();
        let alert = Alert { state, end, resolved, window_errors, window_requests, recent, ..alert };
        Change { kind: ChangeKind::Resolved, at: now, alert }
    };
    open.filter(is_orphan).map(over).collect()
}

/// A file of which no more than the position is known.
fn unread(position: Position, (lateness, step): (Millis, Millis), now: Millis) -> FileState {
    FileState {
        position,
        followed: false,
        input: String::new(),
        clock: FileClock::new(lateness, step),
        mark: Mark::default(),
        read: now,
        reading: None,
        held: Vec::new(),
        lines: Lines::default(),
        late_needed: 0,
    }
}

impl Past {
    /// What was found, under this configuration.
    pub fn of(found: Found, live: &Live, now: Millis) -> Past {
        let agent = &live.config.agent;
        let plan = Arc::new(Plan::new(&live.config.rules, &[]));
        let options = EngineOptions { step: agent.step, series_cap: super::SERIES };
        let mut past = Past {
            engine: Engine::new(live.config.rules.clone(), Arc::clone(&plan), options),
            plan,
            changes: Vec::new(),
            outbox: None,
            mutes: mute::State::default(),
            files: Vec::new(),
            scanned: None,
            cursors: BTreeMap::new(),
            counters: Counters::default(),
            durable: (0, None),
            is_rebuilt: false,
            said: found.troubles,
        };
        if let Some((seq, snapshot)) = found.snapshot {
            past.durable = (seq, Some(snapshot.agent.saved));
            past.go_on(*snapshot, live, now);
        } else if let Some(former) = found.former {
            past.migrate(former, (agent.lateness, agent.step), now);
        } else if found.lost {
            past.rebuild(live, now);
        }
        past
    }

    fn go_on(&mut self, snapshot: Snapshot, live: &Live, now: Millis) {
        let Snapshot { agent, mut files, inputs, cursors, engine, outbox, mutes, counters } = snapshot;
        if agent.program != env!("CARGO_PKG_VERSION") {
            // Another program may know what this one did not.
            for file in &mut files {
                file.reading = file.reading.take().filter(|reading| reading.format.is_some());
            }
        }
        let options = EngineOptions { step: live.config.agent.step, series_cap: super::SERIES };
        match Engine::restore(engine, live.config.rules.clone(), Arc::clone(&self.plan), options) {
            Ok((engine, changes)) => (self.engine, self.changes) = (engine, changes),
            Err(unsound) => {
                self.said.push(format!("{unsound}: counts begin anew, where reading stopped"));
                self.engine.resume(unlike_any(now), []);
                self.counters.state_rebuilt += 1;
            }
        }
        if agent.step != options.step {
            self.said.push("agent.step is another one: windows fill anew, totals go on".to_owned());
        }
        self.counters.state_rebuilt += counters.state_rebuilt;
        (self.counters.gone, self.counters.told, self.cursors) = (counters.gone, counters.told, cursors);
        (self.outbox, self.mutes) = (Some(outbox), mutes);
        (self.files, self.scanned) = (files, Some(inputs));
    }

    /// A former program's state had no counts: they begin now, where it stopped reading.
    fn migrate(&mut self, former: Former, (lateness, step): (Millis, Millis), now: Millis) {
        let positions = former.positions.into_iter();
        self.files = positions.map(|position| unread(position, (lateness, step), now)).collect();
        self.engine.resume(former.incidents, []);
        (self.outbox, self.scanned) = (Some(former.outbox), Some(former.inputs));
        self.said.push("goes on from the state of a former version: its windows fill anew".to_owned());
    }

    /// All is lost: windows that are still open are counted again from the logs.
    fn rebuild(&mut self, live: &Live, now: Millis) {
        let terms = (live.config.agent.lateness, live.config.agent.step);
        let positions = rebuild::positions(live, now);
        self.said.push(format!(
            "no snapshot can be used: totals begin anew, and the open windows of {} files are counted again",
            positions.len()
        ));
        self.files = positions.into_iter().map(|position| unread(position, terms, now)).collect();
        self.scanned = Some(live.inputs.iter().map(|input| input.name.clone()).collect());
        self.engine.resume(unlike_any(now), []);
        self.counters.state_rebuilt += 1;
        self.is_rebuilt = true;
    }

    /// What the files' thread goes on from.
    pub fn restore(&self) -> Option<(Vec<Position>, Vec<String>)> {
        let positions = self.files.iter().map(|file| file.position.clone()).collect();
        self.scanned.clone().map(|inputs| (positions, inputs))
    }
}

impl Agent {
    /// What became of alerts while nobody watched; those that no rule judges any more are over.
    pub(super) fn take_over(&mut self, changes: Vec<Change>, now: Millis) {
        self.tell(changes, now);
        let of_rules = self.outbox.open_alerts().filter(|alert| !health::is_about_inputs(alert));
        let orphans = orphans(of_rules, &self.engine, now);
        self.tell(orphans, now);
        self.forget_unjudged();
    }
}
