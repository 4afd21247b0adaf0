//! What an alert is about, as matchers see it.

use gatewatch_rules::alert::{Alert, Labels};
use gatewatch_rules::matcher::Matcher;
use gatewatch_rules::rule::Severity;
use serde::{Deserialize, Serialize};

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its rule's name.
    pub rule: String,
    /// Its group.
    pub labels: Labels,
    /// What the rule adds.
    rule_labels: Labels,
    /// How bad.
    pub severity: Severity,
}

impl About {
    /// An alert of this rule, group and severity.
    #[must_use]
    pub fn new(rule: &str, labels: Labels, rule_labels: Labels, severity: Severity) -> About {
        About { rule: rule.to_owned(), labels, rule_labels, severity }
    }

    /// What this alert is about.
    #[must_use]
    pub fn of(alert: &Alert) -> About {
        About::new(&alert.rule, alert.labels.clone(), alert.rule_labels.clone(), alert.severity)
    }

    /// The value of a label, as a webhook would show it; an absent one is empty.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        match name {
            "rule" | "alertname" => &self.rule,
            "severity" => self.severity.name(),
            _ => {
                let mut all = self.labels.iter().chain(&self.rule_labels);
                all.find(|(label, _)| label == name).map_or("", |(_, value)| value)
            }
        }
    }

    /// Whether all of these match.
    #[must_use]
    pub fn is_matched(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|matcher| matcher.matches(self.value(&matcher.label).as_bytes()))
    }
}
