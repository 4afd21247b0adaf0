//! The backtest for people: how often, then which rules, then each incident.

use super::tally::Row;
use super::{Judged, json};
use crate::reports::Look;
use crate::reports::table::{incident_rows, place, plural};
use crate::reports::text::{self, Align, commas, percent, printable, ratio};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Change, State};
use gatewatch_rules::report::{Incident, Report};

/// Renders it.
pub fn render(new: &Judged, old: Option<&Judged>, look: &Look) -> String {
    let mut sections = vec![head(new, old, look)];
    sections.push(match old {
        None => rules(new, look),
        Some(old) => compared(new, old, look),
    });
    match old {
        None => sections.push(incidents(new, &new.incidents, None, look)),
        Some(old) => {
            let (both, only_new) = split(&new.incidents, &old.incidents);
            let (_, only_old) = split(&old.incidents, &new.incidents);
            sections.push(incidents(new, &only_new, Some(format!("Only {}:", new.name)), look));
            sections.push(incidents(old, &only_old, Some(format!("Only {}:", old.name)), look));
            sections.push(incidents(new, &both, Some("Both:".to_owned()), look));
        }
    }
    sections.push(every(new, look));
    let mut out = String::new();
    for lines in sections.iter().filter(|lines| !lines.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        lines.iter().for_each(|line| out.extend([line.as_str(), "\n"]));
    }
    out
}

/// `these rules would have fired 3 times (1 critical) in 2 d 3 h of logs; old.toml 11 times.`
fn head(new: &Judged, old: Option<&Judged>, look: &Look) -> Vec<String> {
    let Some((first, last)) = new.span().filter(|_| new.requests > 0) else {
        return vec!["No requests: nothing was judged.".to_owned()];
    };
    let (name, span) = (printable(&new.name), length(last - first));
    let mut said = match new.fired() {
        0 => format!("{name} would never have fired in {span} of logs"),
        _ => format!("{name} would have fired {} in {span} of logs", times(new)),
    };
    if let Some(old) = old {
        said.push_str(&format!("; {} {}", printable(&old.name), times(old)));
    }
    said.push('.');
    // A sentence, unless a file's name begins it.
    if let Some(rest) = said.strip_prefix("these") {
        said = format!("These{rest}");
    }
    let parsed: u64 = new.inputs.iter().map(|input| input.parsed).sum();
    let unparsed: u64 = new.inputs.iter().map(|input| input.unparsed).sum();
    let mut of = format!(
        "{} – {} UTC, {} in {}",
        text::stamp(first),
        text::clock(last, !text::same_day(first, last)),
        plural(parsed, "record"),
        plural(new.inputs.len() as u64, "file")
    );
    for (count, what) in [
        (unparsed, "unparsed"),
        (new.late, "late"),
        (new.future, "future"),
        (new.series_overflow, "beyond the cap of series"),
    ] {
        if count > 0 {
            of.push_str(&format!(", {} {what}", commas(count)));
        }
    }
    let mut lines = vec![said, of];
    if new.partial || old.is_some_and(|old| old.partial) {
        lines.push("Stopped before the end: this is a part.".to_owned());
    }
    lines
        .iter()
        .flat_map(|line| text::wrap(line, look.width, 2).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn times(judged: &Judged) -> String {
    let critical: u64 = judged.rules.iter().map(|row| row.critical).sum();
    let critical = if critical > 0 { format!(" ({} critical)", commas(critical)) } else { String::new() };
    match judged.fired() {
        0 => "never".to_owned(),
        1 => format!("once{critical}"),
        n => format!("{} times{critical}", commas(n)),
    }
}

/// `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`
fn length(span: Millis) -> String {
    let all = span.max(0) / 1000;
    let two = |big: i64, unit: &str, small: i64, part: &str| match small {
        0 => format!("{big} {unit}"),
        small => format!("{big} {unit} {small} {part}"),
    };
    match all {
        0..60 => format!("{all} s"),
        60..3_600 => two(all / 60, "min", all % 60, "s"),
        3_600..86_400 => two(all / 3_600, "h", all % 3_600 / 60, "min"),
        _ => two(all / 86_400, "d", all % 86_400 / 3_600, "h"),
    }
}

fn lasted(row: &Row, length_of: Millis) -> String {
    match row.fired {
        0 => "–".to_owned(),
        _ if row.is_firing => format!("{}, on", length(length_of)),
        _ => length(length_of),
    }
}

fn rules(judged: &Judged, look: &Look) -> Vec<String> {
    let head = ["RULE", "FIRED", "CRITICAL", "CAME BACK", "FIRING FOR", "LONGEST"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for row in &judged.rules {
        rows.push(vec![
            printable(&row.rule).into_owned(),
            commas(row.fired),
            commas(row.critical),
            commas(row.reopened),
            lasted(row, row.firing),
            lasted(row, row.longest),
        ]);
    }
    let align = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right];
    text::grid(&rows, &align, look.width)
}

/// Both configurations' rules, by name: those of the new one first.
fn compared(new: &Judged, old: &Judged, look: &Look) -> Vec<String> {
    let head = ["RULE", "FIRED", "BEFORE", "CAME BACK", "BEFORE", "FIRING FOR", "BEFORE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let only_old = old.rules.iter().filter(|row| !new.rules.iter().any(|own| own.rule == row.rule));
    let names = new.rules.iter().chain(only_old).map(|row| &row.rule);
    for name in names {
        let of = |side: &Judged| side.rules.iter().find(|row| row.rule == *name).cloned();
        let (now, before) = (of(new), of(old));
        let count = |row: &Option<Row>, of: fn(&Row) -> u64| {
            row.as_ref().map_or("no rule".to_owned(), |row| commas(of(row)))
        };
        let firing = |row: &Option<Row>| row.as_ref().map_or(String::new(), |row| lasted(row, row.firing));
        rows.push(vec![
            printable(name).into_owned(),
            count(&now, |row| row.fired),
            count(&before, |row| row.fired),
            now.as_ref().map_or(String::new(), |row| commas(row.reopened)),
            before.as_ref().map_or(String::new(), |row| commas(row.reopened)),
            firing(&now),
            firing(&before),
        ]);
    }
    let mut align = [Align::Right; 7];
    align[0] = Align::Left;
    text::grid(&rows, &align, look.width)
}

/// Those that another list has, too (the same rule and group at an overlapping time), and those that it has not.
fn split(own: &[Incident], other: &[Incident]) -> (Vec<Incident>, Vec<Incident>) {
    let end = |i: &Incident| i.resolved.or(i.ended).unwrap_or(Millis::MAX);
    let is_same = |a: &Incident, b: &Incident| {
        a.rule == b.rule && a.labels == b.labels && a.started <= end(b) && b.started <= end(a)
    };
    let fired = other.iter().filter(|i| i.fired.is_some()).collect::<Vec<_>>();
    own.iter().cloned().partition(|i| fired.iter().any(|other| is_same(i, other)))
}

fn incidents(judged: &Judged, of: &[Incident], title: Option<String>, look: &Look) -> Vec<String> {
    let fired: Vec<Incident> = of.iter().filter(|i| i.fired.is_some()).cloned().collect();
    if fired.is_empty() {
        return Vec::new();
    }
    let report = Report { incidents: fired, inputs: judged.inputs.clone(), ..Report::default() };
    let mut lines: Vec<String> = title.map(|title| printable(&title).into_owned()).into_iter().collect();
    lines.extend(incident_rows(&report, look));
    if judged.incidents_dropped > 0 {
        lines.push(format!(
            "… and {} before them, which are no longer remembered",
            commas(judged.incidents_dropped)
        ));
    }
    lines
}

/// Every change, as it would have been told.
fn every(judged: &Judged, look: &Look) -> Vec<String> {
    if judged.changes.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![["AT", "CHANGE", "RULE", "WHERE", "WINDOW", ""].map(str::to_owned).to_vec()];
    rows.extend(judged.changes.iter().map(change));
    let mut lines = text::grid(&rows, &[Align::Left; 6], look.width);
    if judged.changes_dropped > 0 {
        lines.push(format!("… {} more", commas(judged.changes_dropped)));
    }
    lines
}

fn change(change: &Change) -> Vec<String> {
    let alert = &change.alert;
    let is_over = alert.state == State::Resolved;
    let figure = if alert.is_count {
        plural(alert.window_errors, "error")
    } else {
        percent(ratio(alert.window_errors, alert.window_requests))
    };
    vec![
        text::stamp(change.at),
        if is_over {
            json::word(change.kind).to_owned()
        } else {
            format!("{} {}", json::word(change.kind), alert.severity.name())
        },
        printable(&alert.rule).into_owned(),
        place(&alert.labels),
        figure,
        if change.kind == gatewatch_rules::alert::ChangeKind::Reopened {
            "no page".to_owned()
        } else {
            String::new()
        },
    ]
}
