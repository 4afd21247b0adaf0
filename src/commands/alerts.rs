//! `gatewatch alerts`: what fires now, and what keeps it from being told.

use super::asked::{folder, json, look, seen};
use super::status::table::{Look, state};
use super::{complain, print};
use crate::cli::{Alerts, Form};
use crate::exit::Exit;
use crate::mute::about::About;
use crate::reports::table::{fitting, place};
use crate::reports::text::{self, Align, commas, percent, printable};
use crate::status::{AlertView, SCHEMA};
use gatewatch_rules::alert::State;
use gatewatch_rules::matcher::Matcher;
use serde::Serialize;

/// What is printed for programs.
#[derive(Serialize)]
struct Answer {
    schema: u32,
    alerts: Vec<AlertView>,
}

/// Runs it.
pub fn run(args: &Alerts) -> Exit {
    let mut matchers = Vec::new();
    for written in &args.matchers {
        match Matcher::parse(written) {
            Ok(matcher) => matchers.push(matcher),
            Err(e) => {
                complain(&format!("{written}: {e} (like upstream=be/s1)"));
                return Exit::Usage;
            }
        }
    }
    let folder = match folder(&args.which.config, args.which.state_dir.as_deref()) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let (view, agent) = match seen(&folder, false) {
        Ok(seen) => seen,
        Err(text) => {
            complain(&text);
            return Exit::Error;
        }
    };
    let mut alerts = view.alerts;
    alerts.retain(|alert| {
        let about = About::new(&alert.rule, alert.labels.clone(), Vec::new(), alert.severity);
        alert.state != State::Pending && about.is_matched(&matchers)
    });
    alerts.sort_by_key(|alert| (alert.muted.is_some(), std::cmp::Reverse(alert.severity), alert.since));
    match args.format {
        Form::Json => json(&Answer { schema: SCHEMA, alerts }),
        Form::Table => print(&table(&alerts, &look(agent))),
    }
}

fn table(alerts: &[AlertView], look: &Look) -> String {
    if alerts.is_empty() {
        return "No alert fires.\n".to_owned();
    }
    let titles = ["ALERT", "STATE", "WHERE", "RULE", "SINCE", "FOR", "FAILS", "INCIDENT", "TOLD"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for alert in alerts {
        let since = alert.since.unwrap_or(look.now);
        rows.push(vec![
            alert.severity.name().to_owned(),
            state(&AlertView { muted: None, ..alert.clone() }),
            place(&alert.labels),
            printable(&alert.rule).into_owned(),
            text::clock(since, !text::same_day(since, look.now)),
            look.since(since),
            fails(alert),
            alert.incident.as_deref().map_or("–".into(), printable).into_owned(),
            alert.muted.as_deref().map_or("yes".to_owned(), |by| format!("no: {}", printable(by))),
        ]);
    }
    let align = [Align::Left; 9];
    let rows = fitting(rows, &align, look.width, &[4, 7, 3, 6]);
    let align = vec![Align::Left; rows.first().map_or(0, Vec::len)];
    text::grid(&rows, &align, look.width).iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// `20 of 60, 33.3 %` of its last window; of an input there is no such number.
fn fails(alert: &AlertView) -> String {
    match (alert.errors, alert.requests) {
        (_, 0) => "–".to_owned(),
        (errors, requests) => {
            let share = percent(crate::figures::ratio(errors, requests));
            format!("{} of {}, {share}", commas(errors), commas(requests))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_rules::rule::Severity;

    const NOW: i64 = 1_795_359_233_243;

    #[test]
    fn the_table() {
        let alert = AlertView {
            rule: "errors".into(),
            labels: vec![("upstream".into(), "be/s1".into())],
            state: State::Firing,
            since: Some(NOW - 90_000),
            severity: Severity::Critical,
            undercount: 0,
            incident: Some("4f2a-1".into()),
            errors: 1_058,
            requests: 5_056,
            muted: None,
            envelope: None,
        };
        let muted = Some("silence 3 of anna (dep\u{1b}[2Jloy)".to_owned());
        let other =
            AlertView { labels: vec![("path".into(), "/a\nb".into())], requests: 0, muted, ..alert.clone() };
        let look = |width| Look { now: NOW, width, color: false, agent: "running" };
        let shown = table(&[alert.clone(), other], &look(140));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(lines[1].contains("be/s1") && lines[1].contains("1,058 of 5,056, 20.9 %"), "{shown}");
        assert!(lines[1].ends_with("yes") && lines[2].contains("no: silence 3 of anna"), "{shown}");
        assert!(!shown.contains('\u{1b}'));
        assert!(table(&[alert], &look(60)).lines().all(|line| text::columns(line) <= 60));
        assert_eq!(table(&[], &look(60)), "No alert fires.\n");
    }
}
