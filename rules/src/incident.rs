//! The incident: an envelope around the alerts of one fault, for people. Alerts stay what they are; the incident says what
//! they have in common, is opened by the first that fires, keeps its id, and is over when its last member is.

use crate::alert::Labels;
use crate::localise::{CAUSES_MAX, Spared, Suspect, Verdict};
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

/// An alert is explained by a cause if so much of its errors lies there.
pub(crate) const EXPLAINED: f64 = 0.6;
/// Firings are compared with so many open incidents, the newest ones.
pub(crate) const CONSIDERED_MAX: usize = 64;
/// An incident takes another cause if most of its members are explained by it; of many, so many are asked.
pub(crate) const ASKED_MAX: usize = 32;

/// What kind of place a fault is in: whom to call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// One node of several, whatever it talks to: the proxy itself, its host or its network.
    OwnProxy,
    /// A server.
    Upstream,
    /// A pool of servers.
    Pool,
    /// What was asked for.
    Site,
    /// A region.
    Region,
    /// Everything alike.
    #[default]
    Everything,
    /// Something else that has a label: an exit, a provider, an input.
    Other,
}

impl Place {
    /// Of a cause with these labels: the narrowest decides.
    #[must_use]
    pub fn of(labels: &Labels) -> Place {
        let places = [
            ("upstream", Place::Upstream),
            ("site", Place::Site),
            ("pool", Place::Pool),
            ("node", Place::OwnProxy),
            ("region", Place::Region),
        ];
        let is_named = |name: &str| labels.iter().any(|(known, _)| known == name);
        match places.into_iter().find(|(name, _)| is_named(name)) {
            Some((_, place)) => place,
            None if labels.is_empty() => Place::Everything,
            None => Place::Other,
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Place::OwnProxy => "own proxy or network",
            Place::Upstream => "upstream",
            Place::Pool => "pool",
            Place::Site => "target site",
            Place::Region => "region",
            Place::Everything => "everything",
            Place::Other => "other",
        }
    }
}

/// How many of the things in a cause fail: `40 of 41 upstreams`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// The label that tells them apart.
    pub label: String,
    /// How many of its values fail.
    pub failing: u32,
    /// How many there are.
    pub of: u32,
}

/// An incident as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Which: that of the alert that opened it. Never changes.
    pub id: String,
    /// When it was opened, in event time.
    pub opened: Millis,
    /// Whom to call.
    pub place: Place,
    /// The cause: labels that hold the fault; none: everything.
    pub labels: Labels,
    /// Labels that would name the very same.
    pub same: Labels,
    /// The one node whose log is read, if it is only one: others may see it otherwise.
    pub seen_from: Option<String>,
    /// Share of all errors beyond what is usual that lie there (0–1), when it was looked for last; `None`: nothing was
    /// found, and the labels are those of the first alert.
    pub excess_share: Option<f64>,
    /// Its share of all requests then.
    pub traffic_share: f64,
    /// The likeliest causes, this one among them; at most three.
    pub suspects: Vec<Suspect>,
    /// How much of what is there fails.
    pub affected: Option<Affected>,
    /// What beside it does not fail.
    pub not_affected: Option<Spared>,
    /// How many of its alerts fire or recover.
    pub members: u32,
}

impl Envelope {
    /// One that an alert opens, of which nothing but its labels is known.
    #[must_use]
    pub fn opened(id: String, at: Millis, labels: Labels) -> Envelope {
        Envelope { id, opened: at, place: Place::of(&labels), labels, ..Envelope::default() }
    }

    /// The cause in words: `node n3 (= all of region eu)`, `everything, as seen from edge-1 only`.
    #[must_use]
    pub fn words(&self) -> String {
        let suspect = Suspect { labels: self.labels.clone(), same: self.same.clone(), ..Suspect::default() };
        match &self.seen_from {
            Some(node) if self.labels.is_empty() => format!("all upstreams, as seen from {node} only"),
            _ => suspect.words(),
        }
    }

    /// Takes what was found, with this as the cause.
    pub(crate) fn take(&mut self, verdict: &Verdict, cause: &Suspect) {
        self.labels.clone_from(&cause.labels);
        self.same.clone_from(&cause.same);
        self.place = Place::of(&self.labels);
        self.excess_share = Some(cause.excess_share);
        self.traffic_share = cause.traffic_share;
        self.suspects = std::iter::once(cause)
            .chain(verdict.ranked.iter().filter(|other| other.labels != cause.labels))
            .take(CAUSES_MAX)
            .cloned()
            .collect();
    }

    /// Whether it can have been saved.
    pub(crate) fn is_sound(&self) -> bool {
        crate::saved::is_time(self.opened) && self.suspects.len() <= CAUSES_MAX && self.id.len() <= 40
    }
}

/// What explains a firing: the causes that were found, or everything.
pub(crate) fn causes(verdict: &Verdict) -> &[Suspect] {
    if verdict.is_global { std::slice::from_ref(&verdict.whole) } else { &verdict.causes }
}
