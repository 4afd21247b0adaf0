//! A rule: what counts, how it is grouped, when it is bad, how long it must last. The keys are those of the
//! configuration, typed; defaults are in [`Rule::new`].

use crate::detectors::{self, burn_rate};
use crate::matcher::Matcher;
use crate::window::{MINUTE, MINUTES_HELD, STEPS_HELD};
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};

mod saved;

use saved::Judged;
pub(crate) use saved::RuleState;

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
    /// Failed attempts after which the request was tried again ÷ attempts.
    Retried,
    /// Requests that ended well after a failed attempt ÷ attempts, at the upstream that saved them.
    Masked,
    /// Requests whose client left before the upstream's header ÷ requests.
    Abandoned,
    /// Requests cut after the header ÷ requests.
    Aborted,
}

impl Counts {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Counts; 6] = [
        Counts::GatewayErrors,
        Counts::FailedAttempts,
        Counts::Retried,
        Counts::Masked,
        Counts::Abandoned,
        Counts::Aborted,
    ];

    /// The word as it stands in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Counts::GatewayErrors => "gateway_errors",
            Counts::FailedAttempts => "failed_attempts",
            Counts::Retried => "retried",
            Counts::Masked => "masked",
            Counts::Abandoned => "abandoned",
            Counts::Aborted => "aborted",
        }
    }

    /// What it is divided by: `requests` or `attempts`.
    #[must_use]
    pub fn of(self) -> &'static str {
        match self {
            Counts::FailedAttempts | Counts::Retried | Counts::Masked => "attempts",
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
    /// A name in `DETECTORS`.
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
    /// Strictly above it is bad: a ratio, or for `count` a number; worst severity last; never empty. Where the detector has
    /// no such key, it names the severity.
    pub above: Vec<(Severity, f64)>,
    /// Fewer in the window (requests, or attempts) are not judged bad.
    pub min_requests: u64,
    /// Fewer errors are not judged bad.
    pub min_errors: u64,
    /// The Wilson lower bound at this two-sided confidence (0–1) must be above, too.
    pub confidence: Option<f64>,
    /// So many steps of the window must be above by themselves.
    pub min_bad_steps: u32,
    /// A total failure of so long is no incident: without what one explains it must still be bad.
    pub blip: Option<Millis>,
    /// And above this many times the ratio of all other groups of the rule together; 0: off.
    pub times_rest: f64,
    /// How much of a group's own past is its normal; `None`: only the thresholds count.
    pub baseline: Option<Millis>,
    /// Beyond its normal is what chance alone brings with at most this probability.
    pub alpha: f64,
    /// And above this many times its normal.
    pub times: f64,
    /// Above this it is bad whatever its normal; 1: off.
    pub ceiling: f64,
    /// The share of requests that must be well, for `burn_rate` ([`Rule::set_slo`]).
    pub slo: Option<f64>,
    /// What took longer is an error, for `slow`.
    pub longer_than: Option<Millis>,
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
    /// Rules whose alerts are held back while an alert of this one fires, where the labels that both group by are equal.
    pub mutes: Vec<String>,
    /// Sent again while firing, so often.
    pub repeat_interval: Millis,
    /// Passed on.
    pub labels: Vec<(String, String)>,
    /// Passed on.
    pub runbook: Option<String>,
}

impl Rule {
    /// A rule with the documented defaults. A `count` rule has no minima: they guard a ratio, and would silently
    /// weaken a number.
    #[must_use]
    pub fn new(name: &str, detector: DetectorName, above: Vec<(Severity, f64)>) -> Rule {
        let mut rule = Rule {
            name: name.to_owned(),
            detector,
            group_by: Vec::new(),
            matchers: Vec::new(),
            counts: Counts::GatewayErrors,
            status: Vec::new(),
            window: MINUTE,
            stretch: None,
            above,
            min_requests: 50,
            min_errors: 10,
            confidence: None,
            min_bad_steps: 1,
            blip: None,
            times_rest: 0.0,
            baseline: None,
            alpha: 1e-6,
            times: 1.5,
            ceiling: 0.5,
            slo: None,
            longer_than: None,
            recover_below: None,
            for_: 0,
            keep_firing_for: 120_000,
            stale_after: 600_000,
            notify: Vec::new(),
            mutes: Vec::new(),
            repeat_interval: 4 * 3_600_000,
            labels: Vec::new(),
            runbook: None,
        };
        match detector {
            "count" => (rule.min_requests, rule.min_errors) = (0, 0),
            "spike" => (rule.baseline, rule.times, rule.ceiling) = (Some(30 * MINUTE), 3.0, 1.0),
            "absent" => {
                (rule.window, rule.baseline, rule.stale_after) =
                    (2 * MINUTE, Some(30 * MINUTE), 24 * 60 * MINUTE);
            }
            "unparsed" => (rule.min_requests, rule.keep_firing_for) = (10, 5 * MINUTE),
            "stall" => (rule.window, rule.min_requests) = (15_000, 30),
            _ => {}
        }
        rule
    }

    /// The SLO whose budget burns; its lowest limit is the threshold of a step.
    pub fn set_slo(&mut self, slo: f64) {
        self.slo = Some(slo);
        let limit = burn_rate::lowest_limit(slo);
        self.above.iter_mut().for_each(|above| above.1 = limit);
    }

    /// Whether it judges what an engine counts, and not lines as an agent reads them (`unparsed`).
    #[must_use]
    pub fn judges_requests(&self) -> bool {
        detectors::find_of_counts(self.detector).is_some()
    }

    /// Whether what it counts has origins and reasons: requests that are no gateway errors have none.
    #[must_use]
    pub fn has_reasons(&self) -> bool {
        self.counts == Counts::GatewayErrors && self.longer_than.is_none()
    }

    /// The length of time before a window that says what is normal for a group's ratio; `None`: nobody asks.
    #[must_use]
    pub fn normal_of(&self) -> Option<Millis> {
        self.baseline.filter(|_| self.detector != "absent")
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

    /// The longest window that it is ever judged over.
    #[must_use]
    pub fn longest_window(&self) -> Millis {
        if self.slo.is_some() {
            return burn_rate::PAIRS.iter().map(|pair| pair.long).max().unwrap_or(self.window);
        }
        self.stretch.unwrap_or(self.window).max(self.window)
    }

    /// How far back it looks: its longest window, and its baseline before that. That of `absent` ends with the last request,
    /// which may be as long ago.
    #[must_use]
    pub fn look_back(&self) -> Millis {
        let baseline = self.baseline.unwrap_or(0);
        let silence = if self.detector == "absent" { baseline } else { 0 };
        self.longest_window().saturating_add(baseline).saturating_add(silence)
    }

    /// Whether the other rule judges the same groups in the same way, so that alerts of one go on under the other. What
    /// is only passed on (receivers, labels, runbook) may differ.
    #[must_use]
    pub fn judges_like(&self, other: &Rule) -> bool {
        Judged::of(self) == Judged::of(other)
    }

    /// Everything that keeps it from being judged as written, by key; empty: it is sound.
    #[must_use]
    pub fn problems(&self, step: Millis) -> Vec<Problem> {
        let mut found = Vec::new();
        self.problems_of_groups(&mut found);
        self.problems_of_windows(step, &mut found);
        self.problems_of_thresholds(&mut found);
        match detectors::find(self.detector) {
            Some(detector) => found.extend((detector.problems)(self)),
            None => found.push(Problem::new("detector", "is not known")),
        }
        found
    }

    fn problems_of_groups(&self, found: &mut Vec<Problem>) {
        if self.group_by.len() > GROUP_BY_MAX {
            found.push(Problem::new("group_by", format!("may name at most {GROUP_BY_MAX} labels")));
        }
        if self.group_by.iter().any(String::is_empty) {
            found.push(Problem::new("group_by", "has an empty label name"));
        }
        if let Some(twice) = self
            .group_by
            .iter()
            .enumerate()
            .find(|&(i, name)| self.group_by.iter().take(i).any(|n| n == name))
        {
            found.push(Problem::new("group_by", format!("names {} twice", twice.1)));
        }
        if !self.status.is_empty() && self.counts != Counts::GatewayErrors {
            let counts = self.counts.name();
            found.push(Problem::new(
                "status",
                format!("picks requests by status and so excludes counts = \"{counts}\""),
            ));
        }
        if let Some(code) = self.status.iter().find(|&&code| code > 999) {
            found.push(Problem::new("status", format!("{code} is no status")));
        }
    }

    fn problems_of_windows(&self, step: Millis, found: &mut Vec<Problem>) {
        let step = step.max(1);
        let steps_span = STEPS_HELD * step;
        for (key, length) in [("window", Some(self.window)), ("stretch", self.stretch)] {
            let Some(length) = length else { continue };
            // Rounded up there: a default must do for every step.
            let is_rounded = self.detector == "stall";
            if length <= 0 {
                found.push(Problem::new(key, "must be longer than nothing"));
            } else if length <= steps_span && length % step != 0 && !is_rounded {
                found.push(Problem::new(key, format!("must be a multiple of the step, {} s", seconds(step))));
            } else if length > steps_span && length % MINUTE != 0 {
                let limit = seconds(steps_span);
                found.push(Problem::new(
                    key,
                    format!("must be whole minutes, being over {STEPS_HELD} steps ({limit} s)"),
                ));
            } else if length > steps_span && length > MINUTES_HELD * MINUTE {
                found.push(Problem::new(key, format!("may be at most {MINUTES_HELD} min")));
            }
        }
        if self.longest_window() > steps_span && MINUTE % step != 0 {
            let key = if self.window > steps_span { "window" } else { "stretch" };
            let message =
                format!("is over {STEPS_HELD} steps; minutes are kept only of a step that divides one");
            found.push(Problem::new(key, message));
        }
        if self.stretch.is_some_and(|stretch| stretch < self.window) {
            found.push(Problem::new("stretch", "must not be shorter than window"));
        }
        let has = (self.window / step).max(i64::from(self.window > 0));
        if self.window <= steps_span && i64::from(self.min_bad_steps) > has {
            found.push(Problem::new(
                "min_bad_steps",
                format!("can never be reached: the window has {has} steps"),
            ));
        }
        if self.blip.is_some_and(|blip| blip <= 0 || blip > self.window / 2) {
            found.push(Problem::new("blip", "must be longer than nothing, and at most half of the window"));
        }
        self.problems_of_baseline(step, found);
        for (key, length, least) in [
            ("for", self.for_, 0),
            ("keep_firing_for", self.keep_firing_for, 0),
            ("stale_after", self.stale_after, step),
            ("repeat_interval", self.repeat_interval, 1000),
        ] {
            if length < least {
                found.push(Problem::new(key, format!("must be at least {} s", seconds(least))));
            }
        }
    }

    fn problems_of_baseline(&self, step: Millis, found: &mut Vec<Problem>) {
        let Some(baseline) = self.baseline else { return };
        let step = step.max(1);
        if baseline <= 0 || baseline % MINUTE != 0 {
            found.push(Problem::new("baseline", "must be whole minutes"));
        } else if MINUTE % step != 0 {
            found.push(Problem::new("baseline", "needs a step that divides a minute"));
        } else if self.look_back() > MINUTES_HELD * MINUTE {
            found.push(Problem::new(
                "baseline",
                format!("is too long: with its window a rule may look back over {MINUTES_HELD} min at most"),
            ));
        }
        // Of silence, 1 says: do not ask how likely it is.
        let most = if self.detector == "absent" { 1.0 } else { 0.1 };
        if !(self.alpha > 0.0 && self.alpha <= most) {
            found.push(Problem::new(
                "alpha",
                format!("must be a probability above 0, at most {most}; 1e-6 is usual"),
            ));
        }
        if !(self.times.is_finite() && self.times >= 1.0) {
            found.push(Problem::new("times", "must be a number from 1"));
        }
        if !(self.ceiling > 0.0 && self.ceiling <= 1.0) {
            found.push(Problem::new("ceiling", "must be a share above 0 %, at most 100 % (off)"));
        }
    }

    fn problems_of_thresholds(&self, found: &mut Vec<Problem>) {
        if self.above.is_empty() {
            found.push(Problem::new("above", "is missing: the one key that every rule needs"));
            return;
        }
        let ascending = self.above.windows(2).all(|pair| match pair {
            [low, high] => low.0 < high.0 && low.1 < high.1,
            _ => true,
        });
        if !ascending {
            found.push(Problem::new("above", "critical must be above warning"));
        }
        // Written so that a number that is none (NaN) is refused, too.
        let level = self.recover_level();
        let sound = level >= 0.0 && level <= self.lowest_above();
        if self.recover_below.is_some() && !sound {
            found.push(Problem::new("recover_below", "must be from 0 to the lowest of above"));
        }
    }
}

/// Something that is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, as it stands in the configuration; `detector`: the table's middle word.
    pub key: &'static str,
    /// What is wrong with it; reads on from the key.
    pub message: String,
}

impl Problem {
    /// A problem of a key.
    pub fn new(key: &'static str, message: impl Into<String>) -> Problem {
        Problem { key, message: message.into() }
    }
}

/// Milliseconds as seconds, for people.
#[expect(clippy::cast_precision_loss, reason = "for people only")]
fn seconds(length: Millis) -> f64 {
    length as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Rule {
        let mut rule = Rule::new("r", "ratio", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.2)]);
        rule.group_by = vec!["upstream".into()];
        rule
    }

    #[test]
    fn defaults_are_sound() {
        assert_eq!(sound().problems(5_000), []);
        assert_eq!(Rule::new("c", "count", vec![(Severity::Warning, 20.0)]).problems(5_000), []);
        assert_eq!(sound().recover_level(), 0.025);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_mistake_is_named_by_its_key() {
        type Edit = fn(&mut Rule);
        let cases: &[(Edit, &[&str])] = &[
            (|r| r.group_by = (0..7).map(|i| format!("l{i}")).collect(), &["group_by"]),
            (|r| r.group_by = vec!["pool".into(), "pool".into()], &["group_by"]),
            (|r| r.group_by = vec![String::new()], &["group_by"]),
            (|r| r.window = 62_000, &["window"]),
            (|r| r.window = 0, &["window", "min_bad_steps"]),
            (|r| r.window = 330_000, &["window"]),
            (|r| r.window = 361 * 60_000, &["window"]),
            (|r| r.window = 360 * 60_000, &[]),
            (|r| r.stretch = Some(30_000), &["stretch"]),
            (|r| r.stretch = Some(63_000), &["stretch"]),
            (|r| r.stretch = Some(600_000), &[]),
            (|r| r.min_bad_steps = 13, &["min_bad_steps"]),
            (|r| r.min_bad_steps = 12, &[]),
            (|r| r.above = vec![], &["above"]),
            (|r| r.above = vec![(Severity::Warning, 0.2), (Severity::Critical, 0.05)], &["above"]),
            (|r| r.above = vec![(Severity::Critical, 0.05), (Severity::Warning, 0.2)], &["above"]),
            (|r| r.above = vec![(Severity::Warning, 1.0)], &["above"]),
            (|r| r.above = vec![(Severity::Warning, f64::NAN)], &["above"]),
            (|r| r.above = vec![(Severity::Warning, -0.1)], &["above"]),
            (|r| r.recover_below = Some(0.06), &["recover_below"]),
            (|r| r.recover_below = Some(0.05), &[]),
            (|r| r.recover_below = Some(f64::NAN), &["recover_below"]),
            (|r| r.confidence = Some(1.0), &["confidence"]),
            (|r| r.times_rest = -1.0, &["times_rest"]),
            (|r| (r.times_rest, r.group_by) = (3.0, vec![]), &["times_rest"]),
            (|r| r.status = vec![502, 1502], &["status"]),
            (|r| (r.status, r.counts) = (vec![502], Counts::Masked), &["status"]),
            (|r| r.blip = Some(0), &["blip"]),
            (|r| r.blip = Some(31_000), &["blip"]),
            (|r| r.for_ = -1, &["for"]),
            (|r| r.keep_firing_for = -1, &["keep_firing_for"]),
            (|r| r.stale_after = 0, &["stale_after"]),
            (|r| r.repeat_interval = 0, &["repeat_interval"]),
            (|r| r.detector = "astrology", &["detector"]),
            (|r| r.baseline = Some(90_000), &["baseline"]),
            (|r| r.baseline = Some(0), &["baseline"]),
            (|r| r.baseline = Some(359 * 60_000), &[]),
            (|r| r.baseline = Some(360 * 60_000), &["baseline"]),
            (|r| (r.baseline, r.alpha) = (Some(600_000), 0.0), &["alpha"]),
            (|r| (r.baseline, r.times) = (Some(600_000), 0.5), &["times"]),
            (|r| (r.baseline, r.ceiling) = (Some(600_000), f64::NAN), &["ceiling"]),
            (
                |r| {
                    (r.detector, r.above, r.confidence) =
                        ("count", vec![(Severity::Warning, 3.0)], Some(0.99));
                    (r.times_rest, r.stretch) = (3.0, Some(120_000));
                },
                &["confidence", "times_rest", "stretch"],
            ),
        ];
        for (i, (edit, keys)) in cases.iter().enumerate() {
            let mut rule = sound();
            edit(&mut rule);
            let found: Vec<&str> = rule.problems(5_000).iter().map(|p| p.key).collect();
            assert_eq!(found, *keys, "case {i}");
        }
        let mut rule = sound();
        rule.stretch = Some(600_000);
        assert_eq!(rule.problems(7_000)[0].key, "window", "a step that divides no minute");
        assert_eq!(rule.problems(1_000), [], "one second");
    }

    #[test]
    fn what_is_passed_on_may_change_while_it_fires() {
        let mut other = sound();
        (other.notify, other.repeat_interval, other.runbook) = (vec!["ops".into()], 1, Some("x".into()));
        other.labels.push(("team".into(), "edge".into()));
        assert!(sound().judges_like(&other));
        other.min_errors += 1;
        assert!(!sound().judges_like(&other));
    }
}
