//! One message on its way, and all that is needed to send the very same again: after a crash, and after a try of which
//! nobody knows whether it arrived.

use super::missed::Missed;
use super::queue::Told;
use super::standing::Threads;
use crate::notification::{Item, News, Notification, Subject, is_over};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Alert;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A message that is told again after longer than this is put together anew: nobody remembers its key.
const SAME_FOR: Millis = 3_600_000;

/// One alert of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Flown {
    pub(super) fingerprint: String,
    pub(super) news: News,
    pub(super) reopened: u32,
    /// The alert as it was told, if it has changed since.
    pub(super) was: Option<Alert>,
}

impl Flown {
    pub(super) fn alert<'a>(&'a self, alerts: &'a BTreeMap<String, Alert>) -> Option<&'a Alert> {
        self.was.as_ref().or_else(|| alerts.get(&self.fingerprint))
    }

    /// What the receiver knows once it has this.
    pub(super) fn told(&self, alerts: &BTreeMap<String, Alert>) -> Option<Told> {
        self.alert(alerts).map(Told::of)
    }

    /// Whether what it says of the alert holds still: that it fires, or that it is over.
    fn is_true(&self, alerts: &BTreeMap<String, Alert>) -> bool {
        let Some(now) = alerts.get(&self.fingerprint) else { return !self.news.is_firing() };
        let same = self.was.as_ref().is_none_or(|was| was.incident == now.incident);
        match self.news {
            News::FiredAndResolved => true,
            News::Resolved => same && is_over(now),
            _ => same && !is_over(now),
        }
    }

    /// Whether it ends an alert that has come back since, in the same incident.
    pub(super) fn has_come_back(&self, alerts: &BTreeMap<String, Alert>) -> bool {
        let now = alerts.get(&self.fingerprint).filter(|now| !is_over(now));
        self.news == News::Resolved
            && now.zip(self.was.as_ref()).is_some_and(|(now, was)| was.incident == now.incident)
    }
}

/// What is on its way, or may have arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Flight {
    /// 0: it is not on its way, but must go out again as it is. So is every flight after a restart.
    #[serde(skip)]
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) subject: Subject,
    /// When it was put together.
    pub(super) at: Millis,
    /// Whether an earlier try may have arrived.
    pub(super) may_have_arrived: bool,
    pub(super) items: Vec<Flown>,
    /// Of a summary, in place of items.
    pub(super) missed: Missed,
}

impl Flight {
    /// Whether it is not on its way.
    pub(super) fn is_grounded(&self) -> bool {
        self.id == 0
    }

    pub(super) fn tells(&self, fingerprint: &str) -> bool {
        self.items.iter().any(|item| item.fingerprint == fingerprint)
    }

    /// An alert is about to change: what is told stays as it was put.
    pub(super) fn keep(&mut self, before: &Alert) {
        for item in self.items.iter_mut().filter(|item| item.fingerprint == before.fingerprint) {
            item.was.get_or_insert_with(|| before.clone());
        }
    }

    /// Whether it should not go out again: nothing that it says holds any more. Whoever has it hears of that all the same.
    /// Nor if all of it is `muted` since.
    pub(super) fn is_stale(
        &self,
        alerts: &BTreeMap<String, Alert>,
        muted: &BTreeSet<String>,
        now: Millis,
    ) -> bool {
        let is_muted = |item: &Flown| item.news.is_firing() && muted.contains(&item.fingerprint);
        self.missed.is_empty() && !self.items.iter().any(|item| item.is_true(alerts) && !is_muted(item))
            || now.saturating_sub(self.at) > SAME_FOR
    }

    /// The message itself; `None`: nothing is left of it.
    pub(super) fn notification(
        &self,
        receiver: &str,
        alerts: &BTreeMap<String, Alert>,
        threads: &Threads,
    ) -> Option<Notification> {
        let of_item = |item: &Flown| {
            let alert = item.alert(alerts)?.clone();
            let thread = threads.of(&alert);
            Some(Item { reopened: item.reopened, thread, ..Item::new(item.news, alert) })
        };
        let missed = self.missed.worst().iter();
        let missed = missed.map(|alert| Item::new(News::FiredAndResolved, alert.clone()));
        let items: Vec<Item> = self.items.iter().filter_map(of_item).chain(missed).collect();
        (!items.is_empty()).then(|| Notification {
            id: self.id,
            key: self.key.clone(),
            receiver: receiver.to_owned(),
            subject: self.subject.clone(),
            at: self.at,
            items,
            totals: self.missed.totals(),
        })
    }
}

/// Those that fire first, the worst of them first.
pub(super) fn worse_first(a: (News, &Alert), b: (News, &Alert)) -> Ordering {
    let rank = |(news, alert): (News, &Alert)| (news.is_firing(), alert.severity);
    // Of what is over, the last window says nothing.
    let badness = |(news, alert): (News, &Alert)| match (news.is_firing(), alert.is_count) {
        (false, false) => alert.peak,
        (false, true) => alert.errors as f64,
        (true, false) if alert.window_requests > 0 => {
            alert.window_errors as f64 / alert.window_requests as f64
        }
        (true, _) => alert.window_errors as f64,
    };
    rank(b)
        .cmp(&rank(a))
        .then_with(|| badness(b).total_cmp(&badness(a)))
        .then_with(|| b.1.errors.cmp(&a.1.errors))
        .then_with(|| a.1.labels.cmp(&b.1.labels))
}

/// A name for the content: another as soon as anything in it is. `marks` tells apart what reads alike.
pub(super) fn key<'a>(
    receiver: &str,
    subject: &Subject,
    said: impl Iterator<Item = (News, (u32, Millis), &'a Alert)>,
    missed: &'a Missed,
) -> String {
    let mut text = format!("{receiver:?} {subject:?} {:?}", missed.totals());
    let missed = missed.worst().iter().map(|alert| (News::FiredAndResolved, (0, 0), alert));
    for (news, marks, alert) in said.chain(missed) {
        let _ = write!(text, "\n{news:?} {marks:?} {alert:?}");
    }
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().take(16).fold("gw-".to_owned(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    })
}
