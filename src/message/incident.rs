//! An incident in words: what its alerts have in common.

use super::figures::share;
use super::words::{clean, place};
use crate::notification::{Notification, Subject};
use gatewatch_rules::incident::{Affected, Envelope, Place};

/// What several of these are called.
const PLURALS: [(&str, &str); 5] = [
    ("upstream", "upstreams"),
    ("node", "nodes"),
    ("pool", "pools"),
    ("region", "regions"),
    ("site", "sites"),
];

/// `node n3: 97 % of the extra errors on 12 % of the traffic; 40 of 41 upstreams`; `None`: nothing was found.
pub(super) fn whereabouts(envelope: &Envelope) -> Option<String> {
    let excess = envelope.excess_share?;
    let affected = envelope.affected.as_ref().map(affected);
    if envelope.labels.is_empty() {
        let all = clean(&envelope.words(), 80);
        return Some(affected.map_or_else(|| all.clone(), |affected| format!("{all}: {affected}")));
    }
    let mut text = name(envelope);
    if envelope.place == Place::OwnProxy {
        text.push_str(", own proxy or network");
    }
    if !envelope.same.is_empty() {
        let same: Vec<String> = envelope
            .same
            .iter()
            .map(|(name, value)| format!("{} {}", clean(name, 20), clean(value, 60)))
            .collect();
        text.push_str(&format!(" (= all of {})", same.join(", ")));
    }
    text.push_str(&format!(
        ": {} of the extra errors on {} of the traffic",
        share(excess),
        share(envelope.traffic_share)
    ));
    if let Some(affected) = affected {
        text.push_str(&format!("; {affected}"));
    }
    Some(text)
}

/// `server be_img/srv3, node edge-1`
fn name(envelope: &Envelope) -> String {
    let place = place(&envelope.labels);
    let mut text = format!("{} {}", place.noun, place.name);
    let beside = envelope.labels.iter().filter(|(_, value)| clean(value, 60) != place.name);
    for (name, value) in beside {
        text.push_str(&format!(", {} {}", clean(name, 20), clean(value, 60)));
    }
    text
}

/// `40 of 41 upstreams`, `all 12 upstreams`
fn affected(affected: &Affected) -> String {
    let plural = PLURALS.iter().find(|(name, _)| *name == affected.label).map_or("groups", |(_, many)| many);
    match (affected.failing, affected.of) {
        (failing, of) if failing == of => format!("all {of} {plural}"),
        (failing, of) => format!("{failing} of {of} {plural}"),
    }
}

/// The cause that all alerts of a message have in common, in a few words.
pub(super) fn cause(notification: &Notification) -> Option<String> {
    let Subject::Incident(id) = &notification.subject else { return None };
    let mut envelopes = notification.items.iter().filter_map(|item| item.alert.envelope.as_ref());
    let envelope = envelopes.find(|envelope| envelope.id == *id)?;
    Some(if envelope.labels.is_empty() { clean(&envelope.words(), 60) } else { clean(&name(envelope), 60) })
}
