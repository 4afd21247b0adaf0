//! A rule as it is saved: by its words, as they stand in the configuration. One that goes on must say the same; one that
//! does not is over, and of that the last others hear needs a few of its words only. So none is ever read back as a rule.

use super::{Counts, Rule, Severity};
use crate::alert::Labels;
use crate::detectors;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

/// The words of a rule that decide what it judges and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    name: String,
    detector: String,
    group_by: Vec<String>,
    /// As written: a regular expression cannot be compared, its text can.
    matchers: Vec<String>,
    counts: Counts,
    status: Vec<u16>,
    window: Millis,
    stretch: Option<Millis>,
    above: Vec<(Severity, f64)>,
    min_requests: u64,
    min_errors: u64,
    confidence: Option<f64>,
    min_bad_steps: u32,
    blip: Option<Millis>,
    times_rest: f64,
    baseline: Option<Millis>,
    alpha: f64,
    times: f64,
    ceiling: f64,
    slo: Option<f64>,
    longer_than: Option<Millis>,
    recover_below: Option<f64>,
    /// `for`, `keep_firing_for` and `stale_after`.
    timers: [Millis; 3],
}

impl Judged {
    /// The words of this rule.
    // Every key is named, so that a new one cannot be forgotten here.
    pub fn of(rule: &Rule) -> Judged {
        let Rule {
            name,
            detector,
            group_by,
            matchers,
            counts,
            status,
            window,
            stretch,
            above,
            min_requests,
            min_errors,
            confidence,
            min_bad_steps,
            blip,
            times_rest,
            baseline,
            alpha,
            times,
            ceiling,
            slo,
            longer_than,
            recover_below,
            for_,
            keep_firing_for,
            stale_after,
            notify: _,
            repeat_interval: _,
            labels: _,
            runbook: _,
            mutes: _,
        } = rule;
        Judged {
            name: name.clone(),
            detector: (*detector).to_owned(),
            group_by: group_by.clone(),
            matchers: matchers.iter().map(ToString::to_string).collect(),
            counts: *counts,
            status: status.clone(),
            window: *window,
            stretch: *stretch,
            above: above.clone(),
            min_requests: *min_requests,
            min_errors: *min_errors,
            confidence: *confidence,
            min_bad_steps: *min_bad_steps,
            blip: *blip,
            times_rest: *times_rest,
            baseline: *baseline,
            alpha: *alpha,
            times: *times,
            ceiling: *ceiling,
            slo: *slo,
            longer_than: *longer_than,
            recover_below: *recover_below,
            timers: [*for_, *keep_firing_for, *stale_after],
        }
    }
}

/// A rule as it is saved: what it judges, and what is passed on with its alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleState {
    judged: Judged,
    notify: Vec<String>,
    repeat_interval: Millis,
    labels: Labels,
    runbook: Option<String>,
}

impl RuleState {
    /// The words of this rule.
    pub fn of(rule: &Rule) -> RuleState {
        RuleState {
            judged: Judged::of(rule),
            notify: rule.notify.clone(),
            repeat_interval: rule.repeat_interval,
            labels: rule.labels.clone(),
            runbook: rule.runbook.clone(),
        }
    }

    /// Whether this rule judges as the saved one did.
    pub fn judges_like(&self, rule: &Rule) -> bool {
        self.judged == Judged::of(rule)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.judged.name
    }

    /// How many labels make a group.
    pub fn group_by(&self) -> usize {
        self.judged.group_by.len()
    }

    /// What is told of it when it is over. It judges nothing, so that what it looked for does not matter, even if its
    /// kind is not known any more.
    pub fn over(self) -> Rule {
        let Judged { name, detector, group_by, counts, above, times, slo, longer_than, .. } = self.judged;
        let kind = detectors::find(&detector).map_or("ratio", |detector| detector.name);
        let mut rule = Rule::new(&name, kind, above);
        (rule.group_by, rule.counts) = (group_by, counts);
        (rule.times, rule.slo, rule.longer_than) = (times, slo, longer_than);
        (rule.notify, rule.repeat_interval) = (self.notify, self.repeat_interval);
        (rule.labels, rule.runbook) = (self.labels, self.runbook);
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::Matcher;

    #[test]
    fn a_rule_is_known_again_by_its_words() {
        let mut rule = Rule::new("r", "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
        rule.group_by = vec!["node".into(), "upstream".into()];
        rule.matchers =
            vec![Matcher::parse(r#"site=~"a\.b|c""#).unwrap(), Matcher::parse("node!=x").unwrap()];
        let saved = postcard::to_allocvec(&RuleState::of(&rule)).unwrap();
        let saved: RuleState = postcard::from_bytes(&saved).unwrap();
        assert!(saved.judges_like(&rule) && saved == RuleState::of(&rule));
        let mut other = rule.clone();
        other.runbook = Some("https://…".into());
        assert!(saved.judges_like(&other) && saved != RuleState::of(&other));
        other.matchers[0] = Matcher::parse(r#"site=~"a.b""#).unwrap();
        assert!(!saved.judges_like(&other));
        let over = saved.clone().over();
        assert_eq!((over.name.as_str(), over.detector, over.group_by), ("r", "ratio", rule.group_by));
        let mut strange = saved;
        strange.judged.detector = "astrology".into();
        assert_eq!(strange.over().detector, "ratio");
    }
}
