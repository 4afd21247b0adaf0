//! What is not told: silences that people order, and what becomes of alerts that are muted.

use super::Agent;
use crate::control::{Order, Reply};
use crate::mute::silences::Silence;
use crate::reports::text::printable;
use crate::state::cadence::Changed;
use crate::status;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, Change};
use std::cell::Cell;

/// So many alerts that pass are looked up as they stand now: more than any message shows.
const FRESH_MAX: usize = 100;
/// Who has ordered something waits so long for the disk at most.
const PATIENCE: Millis = 3_000;

/// Answers that wait for a snapshot, and since when.
pub(super) type Promised = Vec<(Reply, Silence, Millis)>;

impl Agent {
    /// What of the changes may be told, and what was held back and may be told now.
    pub(super) fn unmuted(&mut self, changes: Vec<Change>, now: Millis) -> Vec<Change> {
        let engine = &self.engine;
        let looked_up = Cell::new(0);
        let fresh = |fingerprint: &str| -> Option<Alert> {
            looked_up.set(looked_up.get() + 1);
            (looked_up.get() <= FRESH_MAX).then(|| engine.alert(fingerprint)).flatten()
        };
        let mut passed = self.mutes.pass(changes, now, &fresh);
        if !passed.is_empty() {
            self.keeper.change(Changed::Alert);
        }
        if self.files.catching_up() {
            // What was held back before the start may be over before the end of the log.
            passed.iter_mut().for_each(|change| change.alert.detected_late |= change.alert.hushed.is_some());
        }
        if let Some(muted) = self.mutes.muted() {
            self.outbox.set_muted(muted.cloned().collect());
        }
        passed
    }

    /// Forgets what an earlier process held back or muted of alerts that are judged no more.
    pub(super) fn forget_unjudged(&mut self) {
        let judged = self.engine.alerts();
        let inputs = self.health.alerts().map(|alert| (alert.rule.clone(), alert.labels.clone()));
        let inputs: Vec<_> = inputs.collect();
        self.mutes.retain(|about| {
            judged.iter().any(|at| at.rule == about.rule && at.labels == about.labels)
                || inputs.iter().any(|(rule, labels)| *rule == about.rule && *labels == about.labels)
        });
    }

    /// Does what was ordered since the last turn, and answers once it is durable.
    pub(super) fn obey(&mut self, now: Millis) {
        let orders = self.desk.as_mut().map(|desk| desk.orders()).unwrap_or_default();
        for (order, reply) in orders {
            let done = match &order {
                Order::Silence(wanted) => self.mutes.add(wanted, now),
                Order::Expire(id) => self.mutes.expire(*id, now),
            };
            match done {
                Ok(silence) => {
                    self.keeper.change(Changed::Alert);
                    let matchers = silence.matchers.join(" ");
                    let what = if silence.is_active(now) { "is in force" } else { "is over" };
                    self.notices.say(&format!(
                        "{} {what}: {}",
                        printable(&silence.name()),
                        printable(&matchers)
                    ));
                    self.promised.push((reply, silence, now));
                }
                // Who has gone needs no answer.
                Err(why) => drop(reply.send(Err(why))),
            }
        }
        let is_durable = self.keeper.may_tell();
        for (reply, silence, since) in std::mem::take(&mut self.promised) {
            if is_durable || now.saturating_sub(since) >= PATIENCE {
                let _gone = reply.send(Ok(status::silence(&silence, now)));
            } else {
                self.promised.push((reply, silence, since));
            }
        }
    }
}
