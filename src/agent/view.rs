//! What others see of a running agent.

use super::Agent;
use crate::delivery::Done;
use crate::metrics::Picture;
use crate::notification::Outcome;
use crate::receiver::Receiver;
use crate::state::{Counters, Told};
use crate::status::{self, AgentView, Losses, SnapshotView, View, seconds};
use gatewatch_parsers::Millis;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What receivers have answered.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<String, Told>);

impl Answers {
    /// As an earlier process left them.
    pub fn of(told: BTreeMap<String, Told>) -> Answers {
        Answers(told)
    }

    /// What these receivers have answered; others are forgotten.
    pub fn of_these(&self, receivers: &[Receiver]) -> BTreeMap<String, Told> {
        let of = |receiver: &Receiver| {
            let told = self.0.get(&receiver.name).cloned().unwrap_or_default();
            (receiver.name.clone(), Told { kind: receiver.kind.name().to_owned(), ..told })
        };
        receivers.iter().map(of).collect()
    }

    /// What became of a delivery.
    pub fn outcome(&mut self, done: &Done, now: Millis) {
        let told = self.0.entry(done.receiver.clone()).or_default();
        let why = match &done.outcome {
            Outcome::Sent | Outcome::SentAs(_) => {
                told.sent += 1;
                (told.last_success, told.failing_since, told.why) = (Some(now), None, None);
                return;
            }
            Outcome::Retry { why, .. } => {
                told.retried += 1;
                why
            }
            Outcome::Failed { why } => {
                told.failed += 1;
                why
            }
        };
        told.failing_since.get_or_insert(now);
        told.why = Some(why.clone());
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
            series: buckets.totals().map(|(set, total)| (set.clone(), total.clone())).collect(),
            apart: buckets.totals_apart().map(|(set, total)| (set.clone(), *total.counted())).collect(),
            rules: self.config.rules.iter().map(|rule| rule.name.clone()).collect(),
        }
    }

    fn view(&self, now: Millis, listen: Option<SocketAddr>) -> View {
        let buckets = self.engine.buckets();
        let counters = Counters { state_rebuilt: self.state_rebuilt, ..Counters::default() };
        let view = View::of(self.files.shown(now), self.outbox.state(), self.mutes.state(), &counters, now);
        let (seq, saved) = self.keeper.durable();
        let told = self.answers.of_these(&self.config.receivers);
        View {
            series: buckets.len() as u64,
            series_overflow: buckets.series_overflow(),
            alerts: status::alerts(self.engine.alerts(), self.health.alerts(), self.mutes.state()),
            maintenance: self.config.maintenance.iter().map(|window| status::window(window, now)).collect(),
            snapshot: SnapshotView {
                seq,
                age: saved.map(|at| seconds(now.saturating_sub(at).max(0))),
                error: self.notices.snapshot_trouble(),
            },
            agent: self.itself(now, listen),
            receivers: told.iter().map(status::receiver).collect(),
            losses: Losses {
                incidents_dropped: self.engine.incidents_dropped(),
                input_waits: self.thread.waits(),
                ..view.losses
            },
            ..view
        }
        .with_totals(self.engine.totals())
        .with_kinds(|name| self.config.inputs.iter().find(|input| input.name == name).map(|input| input.kind))
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
            heartbeat: self.heartbeat_view(),
        }
    }
}
