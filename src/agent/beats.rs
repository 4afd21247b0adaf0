//! How the agent is, as its heartbeat asks; and who hears it.

use super::Agent;
use super::heartbeat::Condition;
use crate::delivery::Done;
use crate::notification::Outcome;
use crate::notifiers::{Delivery, beat};
use crate::receiver;
use crate::status::HeartbeatView;
use gatewatch_parsers::Millis;

impl Agent {
    /// Says that all is well, if it is, and if it is time.
    pub(super) fn beat(&mut self, now: Millis) {
        let heartbeat = self.config.heartbeat.as_ref();
        if heartbeat.is_none() && !self.config.receivers.iter().any(|receiver| receiver.watchdog) {
            return;
        }
        let every = heartbeat.map_or(receiver::Heartbeat::EVERY, |heartbeat| heartbeat.every);
        let condition = self.condition(now);
        if !self.heartbeat.due(now, every, &condition) {
            return;
        }
        let dogs = self.config.receivers.iter().filter(|receiver| receiver.watchdog);
        let dogs =
            dogs.filter_map(|receiver| beat::watchdog(receiver, &self.about, self.started, now, every));
        let beats: Vec<Delivery> = self.config.heartbeat.iter().map(beat::switch).chain(dogs).collect();
        for delivery in beats {
            let refused = self.courier.as_ref().and_then(|courier| courier.send(delivery).err());
            if let Some(done) = refused {
                self.beaten(&done, now);
            }
        }
    }

    /// What became of a beat: there is a next one, so nothing is done about it, but it is said.
    pub(super) fn beaten(&mut self, done: &Done, now: Millis) {
        let why = match &done.outcome {
            Outcome::Sent | Outcome::SentAs(_) => None,
            Outcome::Retry { why, .. } | Outcome::Failed { why } => Some(format!("{}: {why}", done.receiver)),
        };
        if let Some(why) = why.as_ref().filter(|why| self.heartbeat.why.as_ref() != Some(why)) {
            self.notices.say(&format!("heartbeat: {why}"));
        }
        self.heartbeat.told(now, why);
    }

    fn condition(&self, now: Millis) -> Condition {
        let looking = (!self.files.all_placed()).then(|| "files are still being looked for".to_owned());
        Condition {
            inputs: looking.or_else(|| self.health.trouble()),
            watermark: self.files.watermark(now),
            failing: self.outbox.failing().map(str::to_owned),
        }
    }

    /// For `status`; `None`: nobody hears it.
    pub(super) fn heartbeat_view(&self) -> Option<HeartbeatView> {
        let heard = self.config.heartbeat.is_some() || self.config.receivers.iter().any(|r| r.watchdog);
        heard.then(|| HeartbeatView { last: self.heartbeat.last, why: self.heartbeat.why.clone() })
    }
}
