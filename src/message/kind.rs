//! What alerts say that are not about a share or a number of errors, and the limit of those that are.

use super::figures::{Clock, count, percent, ratio, span};
use gatewatch_rules::alert::{Alert, End, Kind};
use gatewatch_rules::detectors::burn_rate::Pair;

/// Whether statuses, reasons and shares of errors say anything about it.
pub(super) fn is_of_errors(alert: &Alert) -> bool {
    matches!(alert.kind, Kind::Ratio | Kind::Count | Kind::Spike { .. } | Kind::BurnRate { .. })
}

/// Its figure in few words; `None`: a share or a number of errors.
#[must_use]
pub fn figure(alert: &Alert) -> Option<String> {
    let window = ratio(alert.window_errors, alert.window_requests);
    match alert.kind {
        Kind::Ratio | Kind::Count | Kind::Spike { .. } => None,
        Kind::BurnRate { slo } => {
            Some(format!("{} ({} × the error budget)", percent(window), times(window / (1.0 - slo))))
        }
        Kind::Absent => Some("no requests".into()),
        Kind::Stall => Some(format!("possible stall, {} requests unanswered", about(alert.window_errors))),
        Kind::Slow { longer_than } => Some(format!("{} over {}", percent(window), span(longer_than))),
    }
}

/// What follows the place in the first line.
pub(super) fn head(alert: &Alert, clock: &Clock) -> Option<String> {
    let figure = figure(alert)?;
    Some(match alert.kind {
        Kind::Absent => {
            let since = clock.utc_minute(alert.last_traffic);
            format!(": no request since {since}, {} expected", about(alert.window_requests))
        }
        Kind::BurnRate { slo } => format!(" fails {figure}, SLO {}", exact(slo)),
        Kind::Slow { longer_than } => {
            let share = percent(ratio(alert.window_errors, alert.window_requests));
            let normal =
                alert.normal.map_or(String::new(), |normal| format!(" (normal {})", percent(normal)));
            format!(" takes over {} for {share} of its requests{normal}", span(longer_than))
        }
        _ => format!(": {figure}"),
    })
}

/// The figures of its window.
pub(super) fn figures(alert: &Alert) -> Option<String> {
    let (errors, requests) = (alert.window_errors, alert.window_requests);
    match alert.kind {
        Kind::Absent => Some(format!(
            "{} requests expected in {}, as fast as they came before; none came",
            about(requests),
            span(alert.window)
        )),
        Kind::Stall => Some(format!(
            "{} of {} expected requests in {} were not completed (limit {}): they hang, or are not made",
            count(errors),
            about(requests),
            span(alert.window),
            percent(alert.above)
        )),
        Kind::Slow { longer_than } => Some(format!(
            "{} of {} requests in {} took over {} (limit {})",
            count(errors),
            count(requests),
            span(alert.window),
            span(longer_than),
            limit(alert)
        )),
        _ => None,
    }
}

/// What was crossed: `5 %`, `1.2 %, 3 × normal`, `1.44 %, 14.4 × the budget of an SLO of 99.9 %`.
pub(super) fn limit(alert: &Alert) -> String {
    match alert.kind {
        _ if alert.is_count => count(alert.above.max(0.0) as u64),
        Kind::Spike { times: n } if alert.normal.is_some() => {
            format!("{}, {} × normal", percent(alert.above), times(n))
        }
        Kind::BurnRate { slo } => {
            let burn = Pair::of(alert.window).burn;
            format!("{}, {} × the budget of an SLO of {}", exact(alert.above), times(burn), exact(slo))
        }
        _ => percent(alert.above),
    }
}

/// What it came to: `about 200 requests expected, none came`.
pub(super) fn past(alert: &Alert) -> Option<String> {
    match alert.kind {
        Kind::Absent => Some(format!("{} requests expected, none came", about(alert.requests))),
        Kind::Stall => Some(format!("{} requests unanswered at first", about(alert.errors))),
        Kind::Slow { longer_than } => Some(format!(
            "{} of {} took over {}",
            count(alert.errors),
            count(alert.requests),
            span(longer_than)
        )),
        _ => None,
    }
}

/// How one ended that nobody saw recover.
pub(super) fn unseen(alert: &Alert, clock: &Clock) -> Option<String> {
    let since = clock.utc_minute(alert.last_traffic);
    match (alert.kind, alert.end?) {
        (Kind::Absent | Kind::Stall, End::Expired) => {
            Some(format!("no traffic since {since}, no longer waited for"))
        }
        (Kind::Stall, End::Usual) => {
            let length = span(super::whole_seconds(alert.last_bad - alert.started));
            Some(format!("fewer requests than before for {length}, taken as its normal from now on"))
        }
        (_, End::Usual) => {
            let now = percent(ratio(alert.window_errors, alert.window_requests));
            Some(format!("{now} ever since it was first seen, taken as its normal from now on"))
        }
        _ => None,
    }
}

/// Of what is expected, more than two digits are a pretence.
fn about(n: u64) -> String {
    let digits = n.max(1).ilog10();
    let unit = 10u64.pow(digits.saturating_sub(1));
    format!("about {}", count((n + unit / 2) / unit * unit))
}

fn times(n: f64) -> String {
    let text = format!("{n:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// `99.95 %`, `1.44 %`: what somebody wrote, to the digit.
fn exact(share: f64) -> String {
    format!("{} %", (share * 1e7).round() / 1e5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_figures() {
        let of = |n| about(n);
        for (n, text) in [(0, "0"), (7, "7"), (14, "14"), (203, "200"), (1_104, "1,100"), (98_765, "99,000")]
        {
            assert_eq!(of(n), format!("about {text}"));
        }
        assert_eq!(
            (exact(0.9995), exact(0.999), exact(0.014_4)),
            ("99.95 %".into(), "99.9 %".into(), "1.44 %".into())
        );
        assert_eq!((times(14.4), times(3.0), times(20.33)), ("14.4".into(), "3".into(), "20.3".into()));
    }
}
