//! What an earlier process left → how this one begins.

use crate::delivery::outbox;
use crate::settings::Live;
use crate::state::former::Former;
use crate::state::{Counters, FileState, Found, Snapshot};
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
    /// To be said.
    pub said: Vec<String>,
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
            said: found.troubles,
        };
        if let Some((seq, snapshot)) = found.snapshot {
            past.durable = (seq, Some(snapshot.agent.saved));
            past.go_on(*snapshot);
        } else if let Some(former) = found.former {
            past.migrate(former, (agent.lateness, agent.step), now);
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
        let file = |position: Position| FileState {
            position,
            input: String::new(),
            clock: FileClock::new(lateness, step),
            read: now,
            reading: None,
            held: Vec::new(),
            lines: Default::default(),
            late_needed: 0,
        };
        self.files = former.positions.into_iter().map(file).collect();
        (self.outbox, self.scanned, self.incidents) =
            (Some(former.outbox), Some(former.inputs), former.incidents);
        self.said.push("goes on from the state of a former version: its windows fill anew".to_owned());
    }

    /// What the files' thread goes on from.
    pub fn restore(&self) -> Option<(Vec<Position>, Vec<String>)> {
        let positions = self.files.iter().map(|file| file.position.clone()).collect();
        self.scanned.clone().map(|inputs| (positions, inputs))
    }
}
