//! What others see of a running agent.

use super::Agent;
use crate::delivery::Done;
use crate::metrics::Picture;
use crate::notification::Outcome;
use crate::receiver::Receiver;
use crate::status::{
    AgentView, AlertView, Deliveries, Lines, Losses, ReceiverView, SCHEMA, SnapshotView, View,
};
use gatewatch_parsers::Millis;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What receivers have answered.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<String, ReceiverView>);

impl Answers {
    /// What became of a delivery.
    pub fn outcome(&mut self, done: &Done, now: Millis) {
        let receiver = self.0.entry(done.receiver.clone()).or_default();
        let Deliveries { sent, retried, failed } = &mut receiver.deliveries;
        let why = match &done.outcome {
            Outcome::Sent => {
                *sent += 1;
                (receiver.last_success, receiver.failing_since, receiver.why) = (Some(now), None, None);
                return;
            }
            Outcome::Retry { why, .. } => {
                *retried += 1;
                why
            }
            Outcome::Failed { why } => {
                *failed += 1;
                why
            }
        };
        receiver.failing_since.get_or_insert(now);
        receiver.why = Some(why.clone());
    }

    fn of(&self, receiver: &Receiver) -> ReceiverView {
        let known = self.0.get(&receiver.name).cloned().unwrap_or_default();
        ReceiverView { name: receiver.name.clone(), kind: receiver.kind.name().to_owned(), ..known }
    }
}

impl Agent {
    /// Answers who has asked since the last turn.
    pub(super) fn answer(&mut self, now: Millis) {
        // Apart for its while: the picture is of everything else.
        let Some(mut desk) = self.desk.take() else { return };
        for text in desk.turn(now, |listen| self.picture(now, listen)) {
            self.notices.say(&text);
        }
        self.desk = Some(desk);
    }

    /// The whole picture.
    fn picture(&self, now: Millis, listen: Option<SocketAddr>) -> Picture {
        let buckets = self.engine.buckets();
        Picture {
            view: self.view(now, listen),
            names: buckets.plan().names().to_vec(),
            series: Vec::new(),
            rules: self.config.rules.iter().map(|rule| rule.name.clone()).collect(),
        }
    }

    fn view(&self, now: Millis, listen: Option<SocketAddr>) -> View {
        let buckets = self.engine.buckets();
        let inputs = self.files.shown(now);
        let mut lines = Lines::default();
        for i in &inputs {
            lines.add(Lines { read: i.lines, parsed: i.parsed, unparsed: i.unparsed, other: i.other });
        }
        let counters = self.outbox.counters();
        View {
            schema: SCHEMA,
            inputs,
            series: buckets.len() as u64,
            series_overflow: buckets.series_overflow(),
            alerts: self.alerts(),
            outbox: self.outbox.pending() as u64,
            snapshot: SnapshotView { age: None, seq: 0, error: self.notices.snapshot_trouble() },
            agent: self.itself(now, listen),
            lines,
            receivers: self.config.receivers.iter().map(|receiver| self.answers.of(receiver)).collect(),
            deliveries: Deliveries {
                sent: counters.sent,
                retried: counters.retried,
                failed: counters.failed,
            },
            losses: Losses {
                deliveries_dropped: counters.deliveries_dropped,
                incidents_dropped: self.engine.incidents_dropped(),
                ..Losses::default()
            },
            ..View::default()
        }
    }

    fn alerts(&self) -> Vec<AlertView> {
        let alert = |standing: gatewatch_rules::engine::Standing<'_>| AlertView {
            rule: standing.rule.to_owned(),
            labels: standing.labels,
            state: standing.state,
            since: Some(standing.since),
            severity: standing.severity,
        };
        self.engine.alerts().into_iter().map(alert).collect()
    }

    fn itself(&self, now: Millis, listen: Option<SocketAddr>) -> AgentView {
        AgentView {
            running: true,
            pid: Some(std::process::id()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.config.agent.node.clone(),
            since: Some(self.started),
            rules: self.config.rules.len() as u64,
            listen: listen.map(|at| at.to_string()),
            scanned: self.files.is_scanned(),
            configuration_refused: self.refused,
            watermark: self.files.watermark(now),
        }
    }
}
