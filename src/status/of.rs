//! From what an agent keeps, in its memory or in its snapshot, to what is shown of it.

use super::{
    AgentView, AlertView, Deliveries, InputView, Lines, Losses, PartOf, Promise, ReceiverView, SCHEMA,
    SilenceView, SnapshotView, Standing, View, WindowView, seconds,
};
use crate::delivery::outbox;
use crate::mute;
use crate::mute::maintenance::Window;
use crate::mute::silences::Silence;
use crate::state::{Counters, FileState, Snapshot, Told};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, Labels, fingerprint};
use gatewatch_rules::engine::Standing as AlertStanding;
use gatewatch_rules::filter::status_text;
use gatewatch_rules::total::Totals;
use std::collections::BTreeMap;

/// A file, as far as a snapshot would know it.
#[must_use]
pub fn input(file: &FileState) -> InputView {
    let key = file.position.key;
    let offset = file.position.progress.offset;
    InputView {
        path: file.position.path.display().to_string(),
        format: file.reading.as_ref().and_then(|reading| reading.format.clone()).unwrap_or_default(),
        offset,
        size: offset,
        input: file.input.clone(),
        kind: "file".to_owned(),
        standing: if file.followed { Standing::Fine } else { Standing::Gone },
        newest: file.clock.newest(),
        key: (key.ino != 0).then_some((key.dev, key.ino)),
        ..counted(file.lines)
    }
}

fn counted(lines: Lines) -> InputView {
    let promise = if lines.truncations > 0 { Promise::Copytruncate } else { Promise::Exact };
    InputView {
        lines: lines.read,
        parsed: lines.parsed,
        unparsed: lines.unparsed,
        other: lines.other,
        late: lines.late,
        rotations: lines.rotations,
        truncations: lines.truncations,
        possible_loss: lines.possible_loss,
        lost: lines.lost,
        lines_too_long: lines.too_long,
        promise,
        ..InputView::default()
    }
}

/// One a path: what is read now through it, with the counts of what was read through it before. What an input counted in
/// files that nobody remembers any more belongs to its one path, or stands by itself.
#[must_use]
pub fn inputs(files: Vec<InputView>, gone: &BTreeMap<String, Lines>) -> Vec<InputView> {
    let mut by_path: BTreeMap<(String, String), InputView> = BTreeMap::new();
    let (followed, remembered): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.standing != Standing::Gone);
    for file in followed {
        // The newest file of a path is the last.
        let path = (file.input.clone(), file.path.clone());
        let before = by_path.remove(&path);
        by_path.insert(path, before.map_or(file.clone(), |before| file.after(&before)));
    }
    for file in remembered.into_iter().filter(|file| file.lines > 0 || file.truncations > 0) {
        let path = (file.input.clone(), file.path.clone());
        let sum = by_path.remove(&path).map_or(file.clone(), |now| now.after(&file));
        by_path.insert(path, sum);
    }
    for (input, lines) in gone.iter().filter(|(_, lines)| **lines != Lines::default()) {
        let gone = InputView { input: input.clone(), standing: Standing::Gone, ..counted(*lines) };
        let mut own = by_path.iter_mut().filter(|((of, _), _)| of == input);
        match (own.next(), own.next()) {
            (Some((_, only)), None) => *only = only.clone().after(&gone),
            _ => drop(by_path.insert((input.clone(), String::new()), gone)),
        }
    }
    by_path.into_values().collect()
}

impl InputView {
    /// With the counts of what was read in its place before.
    fn after(self, before: &InputView) -> InputView {
        InputView {
            lines: self.lines + before.lines,
            parsed: self.parsed + before.parsed,
            unparsed: self.unparsed + before.unparsed,
            other: self.other + before.other,
            late: self.late + before.late,
            rotations: self.rotations + before.rotations,
            truncations: self.truncations + before.truncations,
            possible_loss: self.possible_loss + before.possible_loss,
            lost: self.lost + before.lost,
            lines_too_long: self.lines_too_long + before.lines_too_long,
            promise: self.promise.max(before.promise),
            ..self
        }
    }
}

impl View {
    /// The part that agents and snapshots have alike.
    #[must_use]
    pub fn of(
        inputs: Vec<InputView>,
        outbox: &outbox::State,
        mutes: &mute::State,
        counters: &Counters,
        now: Millis,
    ) -> View {
        let mut lines = Lines::default();
        for one in &inputs {
            lines += Lines {
                read: one.lines,
                parsed: one.parsed,
                unparsed: one.unparsed,
                other: one.other,
                late: one.late,
                rotations: one.rotations,
                truncations: one.truncations,
                possible_loss: one.possible_loss,
                lost: one.lost,
                too_long: one.lines_too_long,
            };
        }
        let deliveries = outbox.counters();
        View {
            schema: SCHEMA,
            inputs,
            lines,
            losses: Losses {
                lines_too_long: lines.too_long,
                deliveries_dropped: deliveries.deliveries_dropped,
                state_rebuilt: counters.state_rebuilt,
                ..Losses::default()
            },
            outbox: outbox.pending() as u64,
            deliveries: Deliveries {
                sent: deliveries.sent,
                retried: deliveries.retried,
                failed: deliveries.failed,
            },
            silences: mutes.silences().iter().map(|one| silence(one, now)).collect(),
            muted: mutes.counters(),
            ..View::default()
        }
    }
}

impl View {
    /// With what everything came to.
    #[must_use]
    pub fn with_totals(self, totals: &Totals) -> View {
        View {
            requests: totals.counted.requests,
            gateway_errors: totals.counted.gateway_errors,
            status: totals.status.iter().map(|(status, n)| (status_text(*status), *n)).collect(),
            late: totals.late,
            future: totals.future,
            ..self
        }
    }
}

/// A receiver, by what it has answered.
#[must_use]
pub fn receiver((name, told): (&String, &Told)) -> ReceiverView {
    ReceiverView {
        name: name.clone(),
        kind: told.kind.clone(),
        last_success: told.last_success,
        failing_since: told.failing_since,
        why: told.why.clone(),
        deliveries: Deliveries { sent: told.sent, retried: told.retried, failed: told.failed },
    }
}

/// Alerts as they stand: those of rules, and those about inputs.
pub fn alerts<'a>(
    of_rules: Vec<AlertStanding<'_>>,
    about_inputs: impl Iterator<Item = &'a Alert>,
    mutes: &mute::State,
) -> Vec<AlertView> {
    let muted = |rule: &str, labels: &Labels| mutes.muted(&fingerprint(rule, labels));
    let of_rules = of_rules.into_iter().map(|standing| AlertView {
        muted: muted(standing.rule, &standing.labels),
        rule: standing.rule.to_owned(),
        labels: standing.labels,
        state: standing.state,
        since: Some(standing.since),
        severity: standing.severity,
        undercount: standing.undercount,
        incident: standing.incident,
        errors: standing.counted.0,
        requests: standing.counted.1,
        envelope: standing.envelope.map(|envelope| PartOf { cause: envelope.words(), id: envelope.id }),
    });
    let about_inputs = about_inputs.map(|alert| AlertView {
        muted: muted(&alert.rule, &alert.labels),
        rule: alert.rule.clone(),
        labels: alert.labels.clone(),
        state: alert.state,
        since: Some(alert.started),
        severity: alert.severity,
        undercount: 0,
        incident: Some(alert.incident.clone()),
        errors: 0,
        requests: 0,
        envelope: None,
    });
    of_rules.chain(about_inputs).collect()
}

/// A silence, as it is at a time.
#[must_use]
pub fn silence(silence: &Silence, now: Millis) -> SilenceView {
    let Silence { id, matchers, author, comment, held, unseen, .. } = silence.clone();
    let (starts, ends) = (Some(silence.starts), Some(silence.ends));
    let active = silence.is_active(now);
    SilenceView { id, matchers, active, starts, ends, author, comment, held, unseen }
}

/// A maintenance window, as it is at a time.
#[must_use]
pub fn window(window: &Window, now: Millis) -> WindowView {
    let next = window.next(now);
    WindowView {
        name: window.name.clone(),
        open: next.is_some_and(|span| span.start <= now),
        // One that was always there has no beginning.
        from: next.map(|span| span.start).filter(|start| *start > Millis::MIN),
        until: next.map(|span| span.end),
        zone: window.zone.to_string(),
    }
}

/// What a snapshot holds.
#[must_use]
pub fn snapshot(seq: u64, snapshot: &Snapshot, now: Millis) -> View {
    let files = snapshot.files.iter().map(input).collect();
    let inputs = inputs(files, &snapshot.counters.gone);
    let age = now.saturating_sub(snapshot.agent.saved).max(0);
    let engine = &snapshot.engine;
    // Journals have cursors, files were placed, of the rest nothing is kept but counts.
    let kind = |input: &str| match () {
        () if snapshot.cursors.contains_key(input) => Some("journald"),
        () if input.is_empty() || snapshot.inputs.iter().any(|placed| placed == input) => Some("file"),
        () => Some("syslog"),
    };
    let view = View::of(inputs, &snapshot.outbox, &snapshot.mutes, &snapshot.counters, now);
    // Of these the outbox knows, or they are held back.
    let told = snapshot.outbox.open_alerts().chain(snapshot.mutes.held());
    let about_inputs: BTreeMap<&str, &Alert> =
        told.filter(|alert| alert.note.is_some()).map(|alert| (alert.fingerprint.as_str(), alert)).collect();
    View {
        series: engine.series() as u64,
        series_overflow: engine.series_overflow(),
        alerts: alerts(engine.alerts(), about_inputs.into_values(), &snapshot.mutes),
        snapshot: SnapshotView { seq, age: Some(seconds(age)), error: None },
        agent: AgentView {
            version: snapshot.agent.program.clone(),
            node: snapshot.agent.node.clone(),
            rules: engine.rules() as u64,
            scanned: true,
            ..AgentView::default()
        },
        receivers: snapshot.counters.told.iter().map(receiver).collect(),
        losses: Losses { incidents_dropped: engine.incidents_dropped(), ..view.losses },
        ..view
    }
    .with_totals(engine.totals())
    .with_kinds(kind)
}
