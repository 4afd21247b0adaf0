//! What a receiver is told again although nothing is new: one that forgets hears at intervals of all that it was told and
//! that stands, and for some minutes more of what is over. And what receivers call the first message about an incident.

use crate::notification::Thread;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Alert;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is over is told again for so long, at least: a receiver that was just starting has it then.
const OVER_FOR: Millis = 5 * 60_000;
/// Ends that are told again; beyond, the first ones are not.
const OVER_MAX: usize = 1_000;
/// Incidents whose first message is known; beyond, the first ones are forgotten.
const THREADS_MAX: usize = 1_000;

/// What a receiver that forgets is told again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Not before; `None`: it was told nothing.
    pub(super) next: Option<Millis>,
    over: Vec<(Millis, Alert)>,
}

impl Standing {
    /// An end was told.
    pub(super) fn ended(&mut self, mut alert: Alert, now: Millis) {
        self.fires(&alert.fingerprint);
        alert.samples.clear();
        self.over.push((now, alert));
        let excess = self.over.len().saturating_sub(OVER_MAX);
        self.over.drain(..excess);
    }

    /// It is told to fire: its former end is history.
    pub(super) fn fires(&mut self, fingerprint: &str) {
        self.over.retain(|(_, alert)| alert.fingerprint != fingerprint);
    }

    /// Forgets what is over for long enough; the rest.
    pub(super) fn over(&mut self, resend: Millis, now: Millis) -> impl Iterator<Item = &Alert> {
        self.over.retain(|(at, _)| now.saturating_sub(*at) <= OVER_FOR + resend);
        self.over.iter().map(|(_, alert)| alert)
    }

    /// The clock was set back by so much.
    pub(super) fn shift(&mut self, back: Millis) {
        self.next.iter_mut().for_each(|next| *next = next.saturating_sub(back));
        self.over.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(back));
    }
}

/// The first message about each incident, by the alert's fingerprint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Threads(BTreeMap<String, Begun>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Begun {
    incident: String,
    name: String,
    at: Millis,
}

impl Threads {
    /// A message about `alert` arrived under this name; if it was the first one, what follows belongs there.
    pub(super) fn arrived(&mut self, alert: &Alert, name: &str, now: Millis) {
        if self.0.get(&alert.fingerprint).is_some_and(|begun| begun.incident == alert.incident) {
            return;
        }
        let begun = Begun { incident: alert.incident.clone(), name: name.to_owned(), at: now };
        self.0.insert(alert.fingerprint.clone(), begun);
        if self.0.len() > THREADS_MAX
            && let Some(first) = self.0.iter().min_by_key(|(_, begun)| begun.at).map(|(key, _)| key.clone())
        {
            self.0.remove(&first);
        }
    }

    /// Where the receiver was told of it first.
    pub(super) fn of(&self, alert: &Alert) -> Option<Thread> {
        let begun = self.0.get(&alert.fingerprint).filter(|begun| begun.incident == alert.incident)?;
        let alone = self.0.values().filter(|other| other.name == begun.name).count() == 1;
        Some(Thread { name: begun.name.clone(), alone })
    }

    /// The clock was set back by so much.
    pub(super) fn shift(&mut self, back: Millis) {
        self.0.values_mut().for_each(|begun| begun.at = begun.at.saturating_sub(back));
    }
}
