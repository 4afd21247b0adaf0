//! The report in a few sentences: how much, where and when, the probable cause.

use super::table::{main_reason, place, plural};
use super::text::{self, commas, percent, ratio, share};
use gatewatch_parsers::Reason;
use gatewatch_rules::report::{Diagnosed, Incident, Report};
use std::fmt::Write;

/// The report in a few sentences.
pub fn headline(report: &Report) -> Vec<String> {
    let c = &report.counted;
    if c.requests == 0 {
        return vec![nothing(report)];
    }
    if c.gateway_errors == 0 {
        return vec![format!("No gateway errors in {}.", plural(c.requests, "request"))];
    }
    let all = percent(ratio(c.gateway_errors, c.requests));
    let mut first =
        format!("Gateway errors: {} of {} ({all})", commas(c.gateway_errors), plural(c.requests, "request"));
    let Some(worst) = worst(report) else {
        return vec![first + "; no rule would have fired."];
    };
    if worst.gateway_errors <= c.gateway_errors && worst.requests < c.requests {
        let outside = ratio(c.gateway_errors - worst.gateway_errors, c.requests - worst.requests);
        let _ = write!(
            first,
            "; outside the {}incident {}",
            if report.incidents.iter().any(|i| !is_of(i, worst)) { "worst " } else { "" },
            percent(outside)
        );
    }
    let mut lines = vec![first + ".", sentence(report, worst)];
    if let Some((reason, _)) = worst.reasons.first() {
        lines.push(cause(report, *reason, &worst.reasons));
    }
    lines
}

/// Why there is nothing to report on.
fn nothing(report: &Report) -> String {
    let sum = |of: fn(&gatewatch_rules::report::Input) -> u64| report.inputs.iter().map(of).sum::<u64>();
    match (sum(|i| i.parsed), sum(|i| i.unparsed)) {
        (0, 0) => "No requests.".to_owned(),
        (0, n) => format!("No requests: {} read, none understood.", plural(n, "line")),
        _ if !report.diagnosed.is_empty() => {
            let failures: u64 = report.diagnosed.iter().map(Diagnosed::count).sum();
            format!(
                "{} in the error log, and no requests to divide them by: read the access log with it.",
                plural(failures, "failure")
            )
        }
        (n, _) => format!("No requests: of {} read, --since, --until and --where leave none.", commas(n)),
    }
}

/// The incident to talk about first: of the gravest, the one with most errors, then the earliest.
pub(super) fn worst(report: &Report) -> Option<&Incident> {
    report.incidents.iter().max_by_key(|i| (i.severity, i.gateway_errors, std::cmp::Reverse(i.started)))
}

/// Whether an incident is part of another: the same place at the same time, by another rule.
fn is_of(this: &Incident, other: &Incident) -> bool {
    let end = |i: &Incident| i.ended.unwrap_or(i64::MAX);
    place(&this.labels) == place(&other.labels) && this.started < end(other) && other.started < end(this)
}

/// `Probable cause: process crashing or overloaded; the server closed or reset before a header (…).`
fn cause(report: &Report, reason: Reason, reasons: &[(Reason, u64)]) -> String {
    let (happened, probable) = crate::causes::why(reason);
    let evidence = main_reason(reasons);
    match probable {
        Some(probable) => format!("Probable cause: {probable}: {happened} ({evidence})."),
        None if report.advice.is_some() => format!("Cause: {happened}; it lacks the upstream's fields."),
        None => format!("Cause: {happened} ({evidence})."),
    }
}

/// `00:22:30 – 00:27:30  be_img/srv3 failed 59.7 % of its requests: 93 % of the errors then, on 8 % of the traffic.`
fn sentence(report: &Report, i: &Incident) -> String {
    let with_date = with_date(report);
    let from = text::clock(i.started, with_date);
    let to = i.ended.map_or("the end".to_owned(), |e| text::clock_after(e, i.started, with_date));
    let mut line = format!(
        "{from} – {to}  {} failed {} of its requests",
        place(&i.labels),
        percent(ratio(i.gateway_errors, i.requests))
    );
    // A group that is all of the traffic says nothing by its share.
    if i.share_of_requests < 0.995 {
        let _ = write!(
            line,
            ": {} of the errors then, on {} of the traffic",
            share(i.share_of_errors),
            share(i.share_of_requests)
        );
    }
    line + "."
}

/// Whether times need their date: the log, or what the rules would have said of it, covers several days.
pub(super) fn with_date(report: &Report) -> bool {
    let ends = report.inputs.iter().flat_map(|i| i.first.into_iter().chain(i.last));
    let said = report.incidents.iter().flat_map(|i| i.resolved.into_iter().chain(Some(i.started)));
    let mut times = ends.chain(said);
    times.next().is_some_and(|first| times.any(|time| !text::same_day(first, time)))
}
