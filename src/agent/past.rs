//! What an earlier process left → how this one begins.

use super::rebuild;
use crate::delivery::outbox;
use crate::settings::Live;
use crate::state::former::Former;
use crate::state::{Counters, FileState, Found, Lines, Snapshot};
use crate::tail::Position;
use gatewatch_parsers::Millis;
use gatewatch_rules::clock::FileClock;
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::series::Plan;
use std::sync::Arc;

/// How to begin.
pub struct Past {
    /// With the counts of before, if there are any that can be used.
    pub engine: Engine,
    /// What it counts by.
    pub plan: Arc<Plan>,
    /// The number of the last incident.
    pub incidents: u64,
    /// What receivers were told.
    pub outbox: Option<outbox::State>,
    /// Where every file stands.
    pub files: Vec<FileState>,
    /// The inputs that were followed; `None`: this is the very first start.
    pub scanned: Option<Vec<String>>,
    /// What was counted beside.
    pub counters: Counters,
    /// The number of the snapshot, and when it was taken.
    pub durable: (u64, Option<Millis>),
    /// Counts are rebuilt from the logs: what those say of the past was told, or is no news any more.
    pub is_rebuilt: bool,
    /// To be said.
    pub said: Vec<String>,
}

/// A file of which no more than the position is known.
fn unread(position: Position, (lateness, step): (Millis, Millis), now: Millis) -> FileState {
    FileState {
        position,
        input: String::new(),
        clock: FileClock::new(lateness, step),
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
            incidents: 0,
            outbox: None,
            files: Vec::new(),
            scanned: None,
            counters: Counters::default(),
            durable: (0, None),
            is_rebuilt: false,
            said: found.troubles,
        };
        if let Some((seq, snapshot)) = found.snapshot {
            past.durable = (seq, Some(snapshot.agent.saved));
            past.go_on(*snapshot);
        } else if let Some(former) = found.former {
            past.migrate(former, (agent.lateness, agent.step), now);
        } else if found.lost {
            past.rebuild(live, now);
        }
        past
    }

    fn go_on(&mut self, snapshot: Snapshot) {
        let Snapshot { agent, mut files, inputs, engine, outbox, counters } = snapshot;
        if agent.program != env!("CARGO_PKG_VERSION") {
            // Another program may know what this one did not.
            for file in &mut files {
                file.reading = file.reading.take().filter(|reading| reading.format.is_some());
            }
        }
        self.incidents = engine.incidents;
        (self.outbox, self.files, self.scanned, self.counters) =
            (Some(outbox), files, Some(inputs), counters);
    }

    /// A former program's state had no counts: they begin now, where it stopped reading.
    fn migrate(&mut self, former: Former, (lateness, step): (Millis, Millis), now: Millis) {
        let positions = former.positions.into_iter();
        self.files = positions.map(|position| unread(position, (lateness, step), now)).collect();
        (self.outbox, self.scanned, self.incidents) =
            (Some(former.outbox), Some(former.inputs), former.incidents);
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
        self.counters.state_rebuilt += 1;
        self.is_rebuilt = true;
    }

    /// What the files' thread goes on from.
    pub fn restore(&self) -> Option<(Vec<Position>, Vec<String>)> {
        let positions = self.files.iter().map(|file| file.position.clone()).collect();
        self.scanned.clone().map(|inputs| (positions, inputs))
    }
}
