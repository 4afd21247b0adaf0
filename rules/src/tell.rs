//! From what happened to an alert to what others are told of it.

use crate::alert::{Alert, Change, ChangeKind, FINDINGS_MAX, Sample};
use crate::around::Surroundings;
use crate::case::{Case, fingerprint, labels};
use crate::clues::are_told_of;
use crate::detectors::Detector;
use crate::engine::Engine;
use crate::groups::{Group, Groups};
use crate::incident::Envelope;
use crate::judge::recent;
use crate::life::Event;
use crate::series::SeriesId;
use crate::servers::Stands;
use crate::two_way::TwoWay;
use gatewatch_parsers::Millis;

impl Engine {
    /// Changes as told, in the order of the events.
    pub(crate) fn tell(
        &mut self,
        groups: &mut Groups,
        detector: &Detector,
        at: Millis,
        events: &[(u32, Event)],
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let exits = (!events.is_empty()).then(|| self.recent.view()).flatten();
        let beside = (!events.is_empty()).then(|| Surroundings::of(groups, &self.buckets, at));
        for &(group, event) in events {
            // Before its members are taken out.
            let around = beside.as_ref().and_then(|beside| beside.around(groups, group, &self.buckets));
            let around = around.filter(|_| !matches!(event, Event::Resolved(_)));
            let Some((mut case, members)) = groups.group_mut(group).and_then(|group| {
                // Taken out, since the group's labels and the rule are read meanwhile.
                Some((group.case.take()?, std::mem::take(&mut group.members)))
            }) else {
                continue;
            };
            if matches!(event, Event::Fired(_)) {
                let number = self.number_of(groups, group);
                case.set_number(number);
            }
            self.keep(&mut case, &members);
            self.gather_samples(&mut case, &members);
            let recent = recent(groups, &self.buckets, &members, at);
            if let Some(group) = groups.group(group) {
                let lost = self.buckets.lost(at, Millis::MAX);
                let mut alert = case.alert(&groups.rule, &group.key, detector, recent, lost);
                find(exits.as_ref(), &mut alert);
                self.find_clues(&mut alert, &members);
                alert.around = around;
                alert.envelope = self.envelope_of(&case);
                let alert = self.with_events(alert);
                changes.push(Change { kind: kind(event), at, alert });
            }
            if let Some(group) = groups.group_mut(group) {
                (group.case, group.members) = (Some(case), members);
            }
        }
        changes
    }

    /// An alert that is firing or recovering, as it would be told of now: what was told of it may be of hours ago.
    #[must_use]
    pub fn alert(&self, wanted: &str) -> Option<Alert> {
        let at = self.buckets.closed_until()?;
        for (groups, detector) in self.rules() {
            let of = |group: &Group| fingerprint(&groups.rule.name, &labels(&groups.rule, &group.key));
            let mut open = groups.with_case().filter(|(_, case)| case.life().is_open());
            if let Some((group, case)) = open.find(|(group, _)| of(group) == wanted) {
                let place = groups.placed().find(|(_, other)| other.key == group.key);
                let recent = recent(groups, &self.buckets, &group.members, at);
                let lost = self.buckets.lost(at, Millis::MAX);
                let mut alert = case.alert(&groups.rule, &group.key, detector, recent, lost);
                find(self.recent.view().as_ref(), &mut alert);
                self.find_clues(&mut alert, &group.members);
                let beside = Surroundings::of(groups, &self.buckets, at);
                alert.around = place.and_then(|(place, _)| beside.around(groups, place, &self.buckets));
                alert.envelope = self.envelope_of(case);
                return Some(self.with_events(alert));
            }
        }
        None
    }

    /// What its requests of the last minutes show.
    fn find_clues(&self, alert: &mut Alert, members: &[SeriesId]) {
        if are_told_of(alert.state) {
            let found = self.clues.of(members.iter().filter_map(|id| self.buckets.labels(*id)));
            alert.clues = Some(found).filter(|found| !found.is_empty());
        }
    }

    /// With what is known of its servers' states. That one is in rotation says something only where the log tells when
    /// servers are not.
    fn with_events(&self, mut alert: Alert) -> Alert {
        alert.events = self.servers.of(&alert.labels);
        let is_server = alert.labels.iter().any(|(name, _)| name == "upstream");
        let is_out =
            alert.events.iter().any(|s| !s.upstream.is_empty() && matches!(s.stands(), Stands::Out(_)));
        let tells = self.servers.all().next().is_some();
        let requests = alert.recent.1;
        alert.in_rotation = (is_server && tells && !is_out && requests > 0).then_some(requests);
        alert
    }

    /// The incident of an alert, as it stands.
    pub(crate) fn envelope_of(&self, case: &Case) -> Option<Envelope> {
        case.envelope.as_ref().and_then(|id| self.envelopes.get(id)).cloned()
    }

    /// The number of an incident that begins, unless it began in an earlier process.
    fn number_of(&mut self, groups: &Groups, group: u32) -> u64 {
        if !self.former.is_empty()
            && let Some(group) = groups.group(group)
            && let Some(number) =
                self.former.remove(&fingerprint(&groups.rule.name, &labels(&groups.rule, &group.key)))
        {
            return number;
        }
        self.number += 1;
        self.number
    }

    /// While an alert is open, one of its group's series is kept from leaving, and so the group.
    pub(crate) fn keep(&mut self, case: &mut Case, members: &[SeriesId]) {
        if !case.life().is_open() {
            if let Some(id) = case.pinned.take() {
                self.unpin(id);
            }
        } else if case.pinned.is_none()
            // The least: the same whatever the order in which they came.
            && let Some(&id) = members.iter().min()
        {
            case.pinned = Some(id);
            *self.pins.entry(id).or_default() += 1;
            self.buckets.pin(id, true);
        }
    }

    fn unpin(&mut self, id: SeriesId) {
        if let Some(count) = self.pins.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&id);
                self.buckets.pin(id, false);
            }
        }
    }

    fn gather_samples(&self, case: &mut Case, members: &[SeriesId]) {
        if case.wants_samples() == 0 {
            return;
        }
        let labels = members.iter().filter_map(|id| self.buckets.labels(*id));
        let lines: Vec<Sample> = labels.flat_map(|set| self.samples.of(set)).cloned().collect();
        case.offer_samples(lines);
    }
}

/// What exits and targets show of it.
fn find(exits: Option<&TwoWay>, alert: &mut Alert) {
    alert.findings = exits.map_or(Vec::new(), |view| view.findings_for(&alert.labels, FINDINGS_MAX));
}

fn kind(event: Event) -> ChangeKind {
    match event {
        Event::Fired(_) => ChangeKind::Firing,
        Event::Escalated(_) => ChangeKind::Escalated,
        Event::Reopened => ChangeKind::Reopened,
        Event::Resolved(_) => ChangeKind::Resolved,
    }
}
