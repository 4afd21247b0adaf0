//! `--fail-on 'METRIC OP NUMBER[%]'` and `--min-parsed`: when a report makes a build fail.

use crate::reports::text::{percent, ratio};
use gatewatch_rules::report::{Input, Report};

/// What can be compared: its value, and the whole that a percentage of it is meant of.
#[derive(Clone, Copy, Debug)]
struct Metric(&'static str, fn(&Report) -> f64, Option<fn(&Report) -> u64>);
type Operator = fn(f64, f64) -> bool;

const METRICS: [Metric; 7] = [
    Metric("ratio", |r| ratio(r.counted.gateway_errors, r.counted.requests), Some(|_| 1)),
    Metric("gateway_errors", |r| r.counted.gateway_errors as f64, Some(|r| r.counted.requests)),
    Metric("502", |r| status(r, "502"), Some(|r| r.counted.requests)),
    Metric("504", |r| status(r, "504"), Some(|r| r.counted.requests)),
    Metric("masked", |r| r.counted.masked as f64, Some(|r| r.counted.requests)),
    Metric("incidents", |r| r.incidents.len() as f64, None),
    Metric("unparsed", |r| lines(r, |i| i.unparsed) as f64, Some(|r| lines(r, |i| i.lines))),
];

fn lines(report: &Report, of: fn(&Input) -> u64) -> u64 {
    report.inputs.iter().map(of).sum()
}

/// A longer operator before the shorter one that it starts with.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", |a, b| a <= b),
    (">=", |a, b| a >= b),
    ("!=", |a, b| (a - b).abs() > f64::EPSILON),
    ("=", |a, b| (a - b).abs() <= f64::EPSILON),
    ("<", |a, b| a < b),
    (">", |a, b| a > b),
];

fn status(report: &Report, code: &str) -> f64 {
    report.status.iter().find(|s| s.0 == code).map_or(0.0, |s| s.1 as f64)
}

/// One `--fail-on`.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    metric: Metric,
    operator: Operator,
    number: f64,
    /// The number is a percentage.
    of_whole: bool,
}

impl Condition {
    /// # Errors
    /// A sentence that says what is understood.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let names = || METRICS.map(|m| m.0).join(", ");
        let wrong = |what: &str| {
            format!("--fail-on `{text}`: {what}; write e.g. 'ratio > 1%' (metrics: {})", names())
        };
        let (at, (symbol, operator)) = OPERATORS
            .iter()
            .filter_map(|o| text.find(o.0).map(|at| (at, *o)))
            .min_by_key(|(at, o)| (*at, usize::MAX - o.0.len()))
            .ok_or_else(|| wrong("no operator"))?;
        let (name, number) = (text[..at].trim(), text[at + symbol.len()..].trim());
        let metric = *METRICS.iter().find(|m| m.0 == name).ok_or_else(|| wrong("unknown metric"))?;
        let of_whole = number.ends_with('%');
        if of_whole && metric.2.is_none() {
            return Err(wrong("there is nothing that it could be a percentage of"));
        }
        let number = number_or_percent(number).ok_or_else(|| wrong("no number"))?;
        Ok(Condition { text: text.to_owned(), metric, operator, number, of_whole })
    }

    /// What it says if it is crossed.
    #[must_use]
    pub fn crossed(&self, report: &Report) -> Option<String> {
        let Metric(name, of, whole) = self.metric;
        let mut value = of(report);
        if let (true, Some(whole)) = (self.of_whole, whole) {
            value /= whole(report).max(1) as f64;
        }
        let shown = if self.of_whole || name == "ratio" { percent(value) } else { value.to_string() };
        (self.operator)(value, self.number).then(|| format!("--fail-on {}: it is {shown}", self.text))
    }
}

/// `1%` → 0.01, `20` → 20.
#[must_use]
pub fn number_or_percent(text: &str) -> Option<f64> {
    let (digits, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 0.01),
        None => (text, 1.0),
    };
    digits.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).map(|n| n * scale)
}

/// Whether fewer of the lines that should be records were parsed than `min_parsed` (0–1). No lines at all are enough.
#[must_use]
pub fn too_few_parsed(report: &Report, min_parsed: f64) -> bool {
    let parsed: u64 = report.inputs.iter().map(|i| i.parsed).sum();
    let unparsed: u64 = report.inputs.iter().map(|i| i.unparsed).sum();
    parsed + unparsed > 0 && ratio(parsed, parsed + unparsed) < min_parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_rules::report::Counted;

    #[test]
    fn conditions() {
        let report = Report {
            counted: Counted { requests: 1000, gateway_errors: 20, ..Counted::default() },
            status: vec![("200".into(), 980), ("502".into(), 20)],
            ..Report::default()
        };
        let table = [
            ("ratio > 1%", true),
            ("ratio>2%", false),
            ("ratio >= 2 %", true),
            ("502 > 19", true),
            ("504 != 0", false),
            ("gateway_errors <= 20", true),
            ("incidents > 0", false),
            ("502 > 1%", true),
            ("502 > 2%", false),
            ("unparsed > 0%", false),
        ];
        for (text, crossed) in table {
            assert_eq!(Condition::parse(text).unwrap().crossed(&report).is_some(), crossed, "{text}");
        }
        for text in ["ratio", "speed > 1", "ratio > fast", "> 3", "", "incidents > 1%"] {
            assert!(Condition::parse(text).unwrap_err().contains("ratio > 1%"), "{text}");
        }
    }

    #[test]
    fn parsed_share() {
        let report = |parsed, unparsed| Report {
            inputs: vec![Input { parsed, unparsed, other: 100, ..Input::default() }],
            ..Report::default()
        };
        assert!(too_few_parsed(&report(89, 11), 0.9));
        assert!(!too_few_parsed(&report(90, 10), 0.9));
        assert!(!too_few_parsed(&report(0, 0), 0.9));
    }
}
