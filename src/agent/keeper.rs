//! Keeps the snapshot: when one is due, what waits for it, and what is said when it cannot be written.
//!
//! What tells of an alert's change is sent once a snapshot that holds the change is durable, so that no restart tells it
//! otherwise. It waits no longer than a disk can be expected to take, and not at all while nothing can be written.

use super::notices::Notices;
use crate::notification::Notification;
use crate::state::cadence::{Cadence, Changed};
use crate::state::fit::{Fitted, fit};
use crate::state::frame::Flaw;
use crate::state::writer::Writer;
use crate::state::{Snapshot, Store};
use gatewatch_parsers::Millis;
use gatewatch_rules::engine::EngineState;
use serde::Serialize;
use std::io;
use std::time::Duration;

/// A disk that takes longer holds up no alert.
const PATIENCE: Millis = 5_000;

/// The snapshots of a running agent.
pub struct Keeper {
    cadence: Cadence,
    writer: Writer,
    /// Waits for the snapshot that is being written.
    held: Vec<Notification>,
    /// The snapshot that is being written is the first to hold some alert's change.
    tells: bool,
    /// The number of the last durable one, and when it was begun.
    durable: (u64, Option<Millis>),
    is_slow: bool,
    /// What the last one had no room for, and how much of that was said.
    left_out: Vec<&'static str>,
    said_left_out: usize,
}

impl Keeper {
    /// Goes on after the snapshot of this number, taken then.
    pub fn start(store: Store, durable: (u64, Option<Millis>), step: Millis) -> io::Result<Keeper> {
        let writer = Writer::start(store)?;
        let cadence = Cadence::new(step);
        Ok(Keeper {
            cadence,
            writer,
            held: Vec::new(),
            tells: false,
            durable,
            is_slow: false,
            left_out: Vec::new(),
            said_left_out: 0,
        })
    }

    /// Something has changed.
    pub fn change(&mut self, what: Changed) {
        self.cadence.change(what);
    }

    /// Whether a snapshot is to be taken.
    pub fn is_due(&self, now: Millis) -> bool {
        self.cadence.is_due(now)
    }

    /// Whether all that receivers could be told is durable, or cannot become so.
    pub fn may_tell(&self) -> bool {
        self.cadence.is_failing() || self.is_slow || !(self.tells || self.cadence.owes_an_alert())
    }

    /// Hands a snapshot to the thread that writes it; what is `held` tells of changes that it is the first to hold.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn save<O: Serialize, M: Serialize>(
        &mut self,
        snapshot: &mut Snapshot<EngineState<'_>, O, M>,
        held: Vec<Notification>,
        now: Millis,
        notices: &mut Notices,
    ) -> Result<(), Flaw> {
        self.tells = self.cadence.owes_an_alert();
        self.held.extend(held);
        let fitted = fit(snapshot, self.left_out.len());
        self.cadence.begin(now, fitted.as_ref().map_or(0, |fitted| fitted.payload.len() as u64));
        match fitted {
            Ok(Fitted { payload, left_out }) => {
                self.writer.submit(payload);
                self.say_left_out(left_out, notices);
            }
            Err(flaw) => {
                self.cadence.end(false);
                return Err(flaw);
            }
        }
        Ok(())
    }

    fn say_left_out(&mut self, left_out: Vec<&'static str>, notices: &mut Notices) {
        // Again and again at the edge, it is said once.
        if left_out.len() > self.said_left_out {
            self.said_left_out = left_out.len();
            notices.say(&format!(
                "the snapshot would be larger than 8 MiB: left out of it, and not there after a restart: {}",
                left_out.join(", ")
            ));
        }
        self.left_out = left_out;
    }

    /// Learns what became of the one that is being written, waiting for it so long, and gives what need not wait any more.
    pub fn hear(&mut self, now: Millis, wait: Duration, notices: &mut Notices) -> Vec<Notification> {
        let Some(begun) = self.cadence.writing_since() else { return std::mem::take(&mut self.held) };
        match self.writer.heard(wait) {
            Some(seq) => {
                self.cadence.end(seq.is_ok());
                (self.tells, self.is_slow) = (false, false);
                if let Ok(seq) = seq {
                    self.durable = (seq, Some(begun));
                }
                notices.snapshot(seq.map(drop));
            }
            None if self.is_slow => {}
            None if now.saturating_sub(begun) >= PATIENCE => {
                self.is_slow = true;
                notices.say("the snapshot takes long to be written: alerts are sent without waiting for it");
            }
            None => return Vec::new(),
        }
        std::mem::take(&mut self.held)
    }

    /// One is being written.
    pub fn is_writing(&self) -> bool {
        self.cadence.writing_since().is_some()
    }

    /// The number of the last durable snapshot, and when it was taken.
    pub fn durable(&self) -> (u64, Option<Millis>) {
        self.durable
    }

    /// Ends.
    pub fn stop(self) {
        let is_idle = !self.is_writing();
        self.writer.stop(is_idle);
    }
}
