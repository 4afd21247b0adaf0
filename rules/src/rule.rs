//! A rule: what counts, how it is grouped, when it is bad, how long it must last. The keys are those of the
//! configuration, typed; defaults are in [`Rule::new`].

use crate::matcher::Matcher;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

/// At most so many labels in `group_by`.
pub const GROUP_BY_MAX: usize = 6;

/// What a rule counts, and what it divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Gateway errors ÷ requests.
    #[default]
    GatewayErrors,
    /// Failed attempts ÷ attempts.
    FailedAttempts,
    /// Requests that ended well after a failed attempt ÷ attempts.
    Masked,
    /// Requests whose client left before the upstream's header ÷ requests.
    Abandoned,
    /// Requests cut after the header ÷ requests.
    Aborted,
}

impl Counts {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Counts; 5] =
        [Counts::GatewayErrors, Counts::FailedAttempts, Counts::Masked, Counts::Abandoned, Counts::Aborted];

    /// The word as it stands in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Counts::GatewayErrors => "gateway_errors",
            Counts::FailedAttempts => "failed_attempts",
            Counts::Masked => "masked",
            Counts::Abandoned => "abandoned",
            Counts::Aborted => "aborted",
        }
    }

    /// What it is divided by: `requests` or `attempts`.
    #[must_use]
    pub fn of(self) -> &'static str {
        match self {
            Counts::FailedAttempts | Counts::Masked => "attempts",
            _ => "requests",
        }
    }
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Look at it today.
    #[default]
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// The word as it stands in configuration and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// Which detector judges: the middle word of `[rule.ratio.errors]`, a name in `DETECTORS`.
pub type DetectorName = &'static str;

/// A rule, ready to judge. Ratios are 0–1; lengths of time are milliseconds.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique among rules.
    pub name: String,
    /// `ratio` or `count`.
    pub detector: DetectorName,
    /// Label names that make a group; at most [`GROUP_BY_MAX`].
    pub group_by: Vec<String>,
    /// All must match; an absent label is empty.
    pub matchers: Vec<Matcher>,
    /// What counts.
    pub counts: Counts,
    /// Of these statuses only, whoever made them; sorted; empty: as `counts` says.
    pub status: Vec<u16>,
    /// Length of the window.
    pub window: Millis,
    /// Judged over the shortest doubling of the window, up to this, that has `min_requests`.
    pub stretch: Option<Millis>,
    /// Strictly above it is bad: a ratio, or for `count` a number; worst severity last; never empty.
    pub above: Vec<(Severity, f64)>,
    /// Fewer in the window (requests, or attempts) are not judged bad.
    pub min_requests: u64,
    /// Fewer errors are not judged bad.
    pub min_errors: u64,
    /// The Wilson lower bound at this two-sided confidence (0–1) must be above, too.
    pub confidence: Option<f64>,
    /// So many steps of the window must be above by themselves.
    pub min_bad_steps: u32,
    /// And above this many times the ratio of all other groups of the rule together; 0: off.
    pub times_rest: f64,
    /// Recovering once not above this; `None`: half of the lowest `above`.
    pub recover_below: Option<f64>,
    /// How long it must be bad before it fires.
    pub for_: Millis,
    /// How long it must have recovered before it resolves.
    pub keep_firing_for: Millis,
    /// Ends as expired after so long without traffic.
    pub stale_after: Millis,
    /// Receivers; empty: every one.
    pub notify: Vec<String>,
    /// Sent again while firing, so often.
    pub repeat_interval: Millis,
    /// Passed on.
    pub labels: Vec<(String, String)>,
    /// Passed on.
    pub runbook: Option<String>,
}

impl Rule {
    /// A rule with the documented defaults.
    #[must_use]
    pub fn new(name: &str, detector: DetectorName, above: Vec<(Severity, f64)>) -> Rule {
        Rule {
            name: name.to_owned(),
            detector,
            group_by: Vec::new(),
            matchers: Vec::new(),
            counts: Counts::GatewayErrors,
            status: Vec::new(),
            window: 60_000,
            stretch: None,
            above,
            min_requests: 50,
            min_errors: 10,
            confidence: None,
            min_bad_steps: 1,
            times_rest: 0.0,
            recover_below: None,
            for_: 0,
            keep_firing_for: 120_000,
            stale_after: 600_000,
            notify: Vec::new(),
            repeat_interval: 4 * 3_600_000,
            labels: Vec::new(),
            runbook: None,
        }
    }

    /// The lowest threshold: above it a step is bad by itself.
    #[must_use]
    pub fn lowest_above(&self) -> f64 {
        self.above.iter().map(|a| a.1).fold(f64::INFINITY, f64::min)
    }

    /// Recovering once not above this.
    #[must_use]
    pub fn recover_level(&self) -> f64 {
        self.recover_below.unwrap_or_else(|| self.lowest_above() / 2.0)
    }
}
