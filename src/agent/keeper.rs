//! Keeps the snapshot: when one is due, what waits for it, and what is said when it cannot be written.
//!
//! What tells of an alert's change is sent once a snapshot that holds the change is durable, so that no restart tells it
//! otherwise. It waits no longer than a disk can be expected to take, and not at all while nothing can be written.

use super::notices::Notices;
use crate::notification::Notification;
use crate::state::cadence::{Cadence, Changed};
use crate::state::frame::Flaw;
use crate::state::writer::Writer;
use crate::state::{Store, encode};
use gatewatch_parsers::Millis;
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
}

impl Keeper {
    /// Goes on after the snapshot of this number, taken then.
    pub fn start(store: Store, durable: (u64, Option<Millis>), step: Millis) -> io::Result<Keeper> {
        let writer = Writer::start(store)?;
        let cadence = Cadence::new(step);
        Ok(Keeper { cadence, writer, held: Vec::new(), tells: false, durable, is_slow: false })
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
    pub fn save(
        &mut self,
        snapshot: &impl Serialize,
        held: Vec<Notification>,
        now: Millis,
    ) -> Result<(), Flaw> {
        self.tells = self.cadence.owes_an_alert();
        self.held.extend(held);
        let encoded = encode(snapshot);
        self.cadence.begin(now, encoded.as_ref().map_or(0, |payload| payload.len() as u64));
        match encoded {
            Ok(payload) => self.writer.submit(payload),
            Err(flaw) => {
                self.cadence.end(false);
                return Err(flaw);
            }
        }
        Ok(())
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
