//! What fired against what was to fire: these alerts and no others.

use super::case::{Case, Expected};
use crate::reports::rfc3339;
use crate::reports::text::printable;
use gatewatch_parsers::Millis;
use gatewatch_rules::report::{Incident, Input, UnparsedSample};
use gatewatch_rules::rule::Rule;

/// Lines that say nothing would pass for quiet ones.
pub fn unread(case: &Case, inputs: &[Input], samples: &[UnparsedSample]) -> Vec<String> {
    let unparsed: u64 = inputs.iter().map(|input| input.unparsed).sum();
    let mut problems = Vec::new();
    if unparsed != case.unparsed {
        let mut said = format!("lines that are not understood: {unparsed}, not {}", case.unparsed);
        if let Some(sample) = samples.first() {
            said.push_str(&format!(
                "; the first is line {}: {} at `{}`: {}",
                sample.line,
                sample.reason,
                sample.field,
                printable(&String::from_utf8_lossy(&sample.text))
            ));
        }
        problems.push(said);
    }
    if inputs.iter().all(|input| input.parsed == 0) {
        problems.push("no line is a request".to_owned());
    }
    problems
}

/// Rules that the configuration does not have: they cannot fire.
pub fn unknown_rules(case: &Case, rules: &[Rule]) -> Vec<String> {
    let mut wanted: Vec<&str> = case.alert.iter().map(|expected| expected.rule.as_str()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted.retain(|name| rules.iter().all(|rule| rule.name != *name));
    let known: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    wanted
        .into_iter()
        .map(|name| format!("no rule is called {name}; there are {}", known.join(", ")))
        .collect()
}

/// What is wrong with the alerts that fired. `start`: when the first record ended.
pub fn differences(expected: &[Expected], fired: &[Incident], start: Millis) -> Vec<String> {
    let mut left: Vec<Option<&Incident>> = fired.iter().map(Some).collect();
    let mut missing = Vec::new();
    // Those that say more choose first: one that fits anything must not take what only another fits.
    let mut order: Vec<&Expected> = expected.iter().collect();
    order.sort_by_key(|expected| std::cmp::Reverse(weight(expected)));
    for expected in order {
        let fits = |i: &&mut Option<&Incident>| i.is_some_and(|i| wrong(expected, i, start).is_empty());
        match left.iter_mut().find(fits) {
            Some(found) => *found = None,
            None => missing.push(expected),
        }
    }
    let mut problems = Vec::new();
    for expected in missing {
        // The one that was meant: of this rule and group, and unlike in what the rest of the problem says.
        let meant = left.iter_mut().find(|i| i.is_some_and(|i| is_of(expected, i)));
        match meant.and_then(Option::take) {
            Some(incident) => {
                let wrong = wrong(expected, incident, start).join(", ");
                problems.push(format!("{}: {wrong}", named(&expected.rule, expected.labels.iter())));
            }
            None => problems.push(format!("{} did not fire", named(&expected.rule, expected.labels.iter()))),
        }
    }
    for incident in left.into_iter().flatten() {
        let labels = incident.labels.iter().map(|(name, value)| (name, value));
        let at = when(incident.fired, start);
        let severity = incident.severity.name();
        problems.push(format!(
            "{} fired ({severity}, {at}), which no alert of the case says",
            named(&incident.rule, labels)
        ));
    }
    problems
}

fn weight(expected: &Expected) -> usize {
    let said = [
        expected.severity.is_some(),
        expected.fired.is_some(),
        expected.resolved.is_some(),
        expected.reason.is_some(),
    ];
    expected.labels.len() + said.iter().filter(|said| **said).count()
}

/// Of this rule and group.
fn is_of(expected: &Expected, incident: &Incident) -> bool {
    let has = |(name, value): (&String, &String)| {
        let found = incident.labels.iter().find(|(own, _)| own == name);
        found.map_or(value.is_empty(), |(_, own)| own == value)
    };
    incident.rule == expected.rule && expected.labels.iter().all(has)
}

/// What of an incident is not as expected.
fn wrong(expected: &Expected, incident: &Incident, start: Millis) -> Vec<String> {
    if !is_of(expected, incident) {
        return vec!["another rule or group".to_owned()];
    }
    let mut wrong = Vec::new();
    let severity = incident.severity.name();
    if expected.severity.as_ref().is_some_and(|wanted| wanted != severity) {
        wrong.push(format!(
            "severity is {severity}, not {}",
            expected.severity.as_deref().unwrap_or_default()
        ));
    }
    for (what, wanted, at) in
        [("fired", &expected.fired, incident.fired), ("resolved", &expected.resolved, incident.resolved)]
    {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| !wanted.is(at, start)) {
            wrong.push(format!("{what} {}, not {wanted}", when(at, start)));
        }
    }
    let reason = incident.reasons.first().map_or("none", |(reason, _)| reason.name());
    if expected.reason.as_ref().is_some_and(|wanted| wanted != reason) {
        wrong.push(format!("reason is {reason}, not {}", expected.reason.as_deref().unwrap_or_default()));
    }
    wrong
}

/// `after 45s (2026-01-01T00:00:45Z)`
fn when(at: Option<Millis>, start: Millis) -> String {
    at.map_or("never".to_owned(), |at| {
        let whole = (at - start) / 1000 * 1000;
        format!("after {} ({})", crate::config::print_duration(whole), rfc3339(at))
    })
}

/// `errors{upstream="a:1"}`
fn named<'a>(rule: &str, labels: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}{{{}}}", printable(rule), printable(&labels.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test::case::File;
    use gatewatch_parsers::Reason;
    use gatewatch_rules::rule::Severity;

    fn incident(rule: &str, upstream: &str, fired: Millis, resolved: Option<Millis>) -> Incident {
        Incident {
            rule: rule.to_owned(),
            severity: Severity::Critical,
            labels: vec![("upstream".to_owned(), upstream.to_owned())],
            started: fired - 10_000,
            ended: resolved,
            fired: Some(fired),
            escalated: None,
            resolved,
            peak_ratio: 1.0,
            requests: 100,
            gateway_errors: 90,
            reasons: vec![(Reason::ConnectionRefused, 90)],
            origins: Vec::new(),
            share_of_errors: 1.0,
            share_of_requests: 0.5,
            undercount: 0,
            envelope: None,
            cause: None,
            events: Vec::new(),
        }
    }

    /// What the alerts of a case say of two that fired: `errors` of a:1 after 40 s, and of b:1 after 60 s, over after 120.
    #[test]
    fn these_and_no_others() {
        let fired =
            [incident("errors", "a:1", 41_000, None), incident("errors", "b:1", 61_000, Some(121_000))];
        let cases: &[(&str, &[&str])] = &[
            ("{ rule = 'errors' }, { rule = 'errors' }", &[]),
            // The one that fits both must not take what only the other fits.
            ("{ rule = 'errors' }, { rule = 'errors', labels = { upstream = 'a:1' } }", &[]),
            (
                "{ rule = 'errors', labels = { upstream = 'a:1' }, fired = '40s', resolved = 'never' }, \
              { rule = 'errors', severity = 'critical', resolved = '1m..2m', reason = 'connection_refused' }",
                &[],
            ),
            (
                "{ rule = 'errors', labels = { upstream = 'a:1', pool = '' } }",
                &["errors{upstream=\"b:1\"} fired"],
            ),
            ("", &["a:1\"} fired", "b:1\"} fired"]),
            ("{ rule = 'errors' }, { rule = 'errors' }, { rule = 'errors' }", &["errors{} did not fire"]),
            ("{ rule = 'errors' }, { rule = 'errors', fired = '1s' }", &["fired after 1m", "not 1s"]),
            ("{ rule = 'errors' }, { rule = 'masked' }", &["masked{} did not fire", "errors{upstream="]),
            (
                "{ rule = 'errors' }, { rule = 'errors', reason = 'dns_error' }",
                &["reason is connection_refused, not dns_error"],
            ),
        ];
        for (alerts, says) in cases {
            let file: File = toml::from_str(&format!("[case.a]\nalert = [{alerts}]")).unwrap();
            let found = differences(&file.cases["a"].alert, &fired, 1_000);
            let all = found.join("\n");
            assert_eq!(found.is_empty(), says.is_empty(), "{alerts}: {all}");
            assert!(says.iter().all(|say| all.contains(say)), "{alerts}: {all}");
        }
    }
}
