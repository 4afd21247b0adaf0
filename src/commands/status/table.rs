//! `status` for people: is it well, what fires, does it keep up, are those told who have to be.

use crate::reports::table::{fitting, place, plural};
use crate::reports::text::{self, Align, commas, percent, printable, ratio};
use crate::status::{AlertView, InputView, ReceiverView, Standing, View, seconds};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::State;
use gatewatch_rules::rule::Severity;

/// Rows of a list.
const ROWS: usize = 20;
const RED: &str = "31";
const YELLOW: &str = "33";
const BOLD: &str = "1";

/// How it is to look.
pub struct Look {
    /// The time of day.
    pub now: Millis,
    /// Columns.
    pub width: usize,
    /// Whether to colour it.
    pub color: bool,
    /// How the agent is whose last snapshot this is.
    pub agent: &'static str,
}

impl Look {
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn since(&self, at: Millis) -> String {
        span(seconds(self.now.saturating_sub(at)))
    }
}

/// Renders it.
pub fn render(view: &View, look: &Look) -> String {
    let sections = [
        head(view, look),
        troubles(view, look),
        alerts(view, look),
        inputs(view, look),
        receivers(view, look),
        sums(view, look),
    ];
    let mut text = String::new();
    for lines in sections.iter().filter(|lines| !lines.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    }
    text
}

/// `0.8 s`, `42 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
pub fn span(length: f64) -> String {
    if length < 9.95 {
        return format!("{:.1} s", length.max(0.0));
    }
    let all = length.round() as u64;
    let two = |big: u64, unit: &str, small: u64, part: &str| match small {
        0 => format!("{big} {unit}"),
        small => format!("{big} {unit} {small} {part}"),
    };
    match all {
        0..60 => format!("{all} s"),
        60..3_600 => format!("{} min", all / 60),
        3_600..86_400 => two(all / 3_600, "h", all % 3_600 / 60, "min"),
        _ => two(all / 86_400, "d", all % 86_400 / 3_600, "h"),
    }
}

/// `512 B`, `1.2 MB`.
fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 999.5 || unit == "GB" {
            return if unit == "B" || size >= 9.95 {
                format!("{size:.0} {unit}")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1_000.0;
    }
    String::new()
}

fn head(view: &View, look: &Look) -> Vec<String> {
    let agent = &view.agent;
    let name = format!("gatewatch {} on {}", printable(&agent.version), printable(&agent.node));
    let state = match (agent.running, agent.since) {
        (true, Some(since)) => {
            let pid = agent.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            let beat = agent.heartbeat.as_ref().and_then(|heartbeat| heartbeat.last);
            let beat = beat.map(|at| format!(", heartbeat {} ago", look.since(at))).unwrap_or_default();
            format!("running for {}{pid}{beat}", look.since(since))
        }
        (true, None) => "running".to_owned(),
        (false, _) => format!("{}: the last snapshot", look.agent),
    };
    let of = |wanted: State| view.alerts.iter().filter(|alert| alert.state == wanted).count() as u64;
    let mut verdict = match of(State::Firing) {
        0 => "No alert fires".to_owned(),
        1 => "1 alert fires".to_owned(),
        n => format!("{} alerts fire", commas(n)),
    };
    for (state, word) in [(State::Pending, "pending"), (State::Recovering, "recovering")] {
        if of(state) > 0 {
            verdict += &format!(", {} {word}", commas(of(state)));
        }
    }
    let verdict = look.paint(if of(State::Firing) > 0 { RED } else { BOLD }, &(verdict + "."));
    vec![text::wrap(&format!("{name}   {state}"), look.width, 2), verdict]
}

/// What is wrong with the agent itself, in the order of how much it costs.
fn troubles(view: &View, look: &Look) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(error) = &view.snapshot.error {
        said.push(format!(
            "The snapshot cannot be written: {}: a restart would go on from an older one.",
            printable(error)
        ));
    }
    if let Some(at) = view.agent.configuration_refused {
        said.push(format!(
            "The configuration was refused {} ago: the old one holds (`gatewatch check`).",
            look.since(at)
        ));
    }
    if let Some(why) = view.agent.heartbeat.as_ref().and_then(|heartbeat| heartbeat.why.as_ref()) {
        let last = view.agent.heartbeat.as_ref().and_then(|heartbeat| heartbeat.last);
        let last =
            last.map_or("never since the start".to_owned(), |at| format!("last {} ago", look.since(at)));
        said.push(format!("The heartbeat is not heard ({last}): {}.", printable(why)));
    }
    for receiver in &view.receivers {
        if let (Some(since), Some(why)) = (receiver.failing_since, &receiver.why) {
            let (name, since) = (printable(&receiver.name), look.since(since));
            said.push(format!("Receiver {name} has taken nothing for {since}: {}.", printable(why)));
        }
    }
    for input in &view.inputs {
        if !input.why.is_empty() {
            said.push(format!(
                "{} is {}: {}.",
                printable(&input.path),
                input.standing.name(),
                printable(&input.why)
            ));
        }
    }
    let more = said.len().saturating_sub(ROWS);
    said.truncate(ROWS);
    if more > 0 {
        said.push(format!("… {more} more (--format json)"));
    }
    said.iter().map(|line| look.paint(YELLOW, &text::wrap(line, look.width, 2))).collect()
}

fn alerts(view: &View, look: &Look) -> Vec<String> {
    if view.alerts.is_empty() {
        return Vec::new();
    }
    let mut sorted: Vec<_> = view.alerts.iter().collect();
    let order = |state| match state {
        State::Firing => 0,
        State::Recovering => 1,
        _ => 2,
    };
    sorted.sort_by_key(|alert| (order(alert.state), std::cmp::Reverse(alert.severity), alert.since));
    let mut rows = vec![["ALERT", "STATE", "WHERE", "RULE", "SINCE", "FOR"].map(str::to_owned).to_vec()];
    for alert in sorted.iter().take(ROWS) {
        // Of a pending one it is not known yet.
        let severity = if alert.state == State::Pending { "–" } else { alert.severity.name() };
        let since = alert.since.unwrap_or(look.now);
        rows.push(vec![
            severity.to_owned(),
            state(alert),
            place(&alert.labels),
            printable(&alert.rule).into_owned(),
            text::clock(since, !text::same_day(since, look.now)),
            look.since(since),
        ]);
    }
    let align = [Align::Left; 6];
    let mut lines = text::grid(&fitting(rows, &align, look.width, &[4, 3]), &align, look.width);
    for (line, alert) in lines.iter_mut().skip(1).zip(&sorted) {
        if alert.state == State::Firing {
            let code = if alert.severity == Severity::Critical { RED } else { YELLOW };
            *line = line.replacen(alert.severity.name(), &look.paint(code, alert.severity.name()), 1);
        }
    }
    if sorted.len() > ROWS {
        lines.push(format!("… {} more (--format json)", sorted.len() - ROWS));
    }
    lines
}

/// Where messages were lost, more may have happened than was counted.
pub fn state(alert: &AlertView) -> String {
    let undercount = if alert.undercount > 0 { ", undercount" } else { "" };
    let muted = if alert.muted.is_some() { ", muted" } else { "" };
    format!("{}{undercount}{muted}", alert.state.name())
}

fn inputs(view: &View, look: &Look) -> Vec<String> {
    if view.inputs.is_empty() {
        return vec!["No log is followed yet.".to_owned()];
    }
    // What is wrong first, then what has most to say.
    let mut sorted: Vec<&InputView> = view.inputs.iter().collect();
    let is_well = |i: &InputView| matches!(i.standing, Standing::Fine | Standing::Empty);
    sorted.sort_by_key(|i| (is_well(i), std::cmp::Reverse(i.lines)));
    let head = ["INPUT", "LINES", "UNPARSED", "LATE", "NEWEST", "UNREAD", "STATE", "PROMISE", "FORMAT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for input in sorted.iter().take(ROWS) {
        let newest = input.newest.map_or("–".to_owned(), |at| format!("{} ago", look.since(at)));
        rows.push(vec![
            text::cut_start(&printable(&shown(input)), look.width.div_ceil(2).saturating_sub(5)).into_owned(),
            commas(input.lines),
            share(input.unparsed, input.lines),
            commas(input.late),
            newest,
            if input.bytes_behind == 0 { "–".to_owned() } else { bytes(input.bytes_behind) },
            input.standing.name().to_owned(),
            promise(input),
            printable(&input.format).into_owned(),
        ]);
    }
    // Where nothing came late, the column says nothing.
    let spare: &[usize] = if view.inputs.iter().all(|i| i.late == 0) { &[8, 3, 7, 2] } else { &[8, 7, 2, 3] };
    let rows = fitting(rows, &[Align::Left; 9], look.width, spare);
    let is_number =
        |title: &String| ["LINES", "UNPARSED", "LATE", "NEWEST", "UNREAD"].contains(&title.as_str());
    let titles = rows.first().map(Vec::as_slice).unwrap_or_default();
    let align: Vec<Align> =
        titles.iter().map(|title| if is_number(title) { Align::Right } else { Align::Left }).collect();
    let mut lines = text::grid(&rows, &align, look.width);
    if sorted.len() > ROWS {
        lines.push(format!("… {} (--format json)", plural((sorted.len() - ROWS) as u64, "more file")));
    }
    lines
}

fn shown(input: &InputView) -> String {
    match input.path.as_str() {
        "" => format!("{} (files that are gone)", input.input),
        path => path.to_owned(),
    }
}

fn promise(input: &InputView) -> String {
    let word = input.promise.name();
    match (input.lost, input.possible_loss) {
        (0, 0) => word.to_owned(),
        (0, n) => format!("{word}, {}", plural(n, "gap")),
        (n, _) => format!("{word}, {} lost", commas(n)),
    }
}

/// How many of all: a number where there are none, else with its share.
fn share(part: u64, whole: u64) -> String {
    if part == 0 { "0".to_owned() } else { format!("{} ({})", commas(part), percent(ratio(part, whole))) }
}

fn receivers(view: &View, look: &Look) -> Vec<String> {
    if view.receivers.is_empty() {
        return Vec::new();
    }
    let mut rows =
        vec![["RECEIVER", "KIND", "SENT", "RETRIED", "REFUSED", "LAST SUCCESS"].map(str::to_owned).to_vec()];
    for ReceiverView { name, kind, last_success, deliveries, .. } in view.receivers.iter().take(ROWS) {
        rows.push(vec![
            printable(name).into_owned(),
            printable(kind).into_owned(),
            commas(deliveries.sent),
            commas(deliveries.retried),
            commas(deliveries.failed),
            last_success.map_or("–".to_owned(), |at| format!("{} ago", look.since(at))),
        ]);
    }
    let align = {
        use Align::{Left, Right};
        [Left, Left, Right, Right, Right, Left]
    };
    text::grid(&rows, &align, look.width)
}

/// Totals since the state directory was new.
fn sums(view: &View, look: &Look) -> Vec<String> {
    let mut counted =
        vec![commas(view.requests), format!("gateway errors {}", share(view.gateway_errors, view.requests))];
    for status in ["502", "503", "504"] {
        if let Some(n) = view.status.get(status) {
            counted.push(format!("{status} {}", commas(*n)));
        }
    }
    let beside = vec![
        format!("unparsed {}", share(view.lines.unparsed, view.lines.read)),
        format!("late {}", commas(view.late)),
        format!("future {}", commas(view.future)),
        format!("beyond the cap of series {}", commas(view.series_overflow)),
    ];
    let snapshot = match view.snapshot.age {
        Some(age) => format!("snapshot {}, {} old", commas(view.snapshot.seq), span(age)),
        None => "no snapshot yet".to_owned(),
    };
    let mut kept = vec![
        plural(view.series, "series").replace("seriess", "series"),
        snapshot,
        format!("to be told {}", commas(view.outbox)),
    ];
    let losses = &view.losses;
    for (n, what) in [
        (losses.deliveries_dropped, "news given up"),
        (losses.lines_too_long, "lines cut at 64 KiB"),
        (losses.state_rebuilt, "times rebuilt from the logs"),
    ] {
        if n > 0 {
            kept.push(format!("{} {what}", commas(n)));
        }
    }
    if let Some(at) = &view.agent.listen {
        kept.push(format!("http://{at}/metrics"));
    }
    let lines = [("REQUESTS", counted), ("BESIDE", beside), ("KEPT", kept), ("MUTED", muted(view))];
    let lines = lines.iter().filter(|(_, parts)| !parts.is_empty());
    lines
        .map(|(title, parts)| text::wrap(&format!("{title:<8}  {}", parts.join(" · ")), look.width, 10))
        .collect()
}

/// What is not told; nothing where nothing ever was.
fn muted(view: &View) -> Vec<String> {
    let active = view.silences.iter().filter(|silence| silence.active).count() as u64;
    let open = view.maintenance.iter().filter(|window| window.open);
    let mut parts: Vec<String> = Vec::new();
    if active > 0 {
        parts.push(format!("{} in force", plural(active, "silence")));
    }
    parts.extend(open.map(|window| format!("maintenance {} is open", printable(&window.name))));
    let counts = &view.muted;
    for (n, what) in [
        (counts.held, "held back"),
        (counts.unseen, "came and went untold"),
        (counts.overflow, "told all the same, too many"),
    ] {
        if n > 0 {
            parts.push(format!("{} {what}", plural(n, "alert")));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{AgentView, Deliveries};

    const NOW: Millis = 1_795_359_233_243;

    fn view() -> View {
        let input = |path: &str, standing: Standing, why: &str| InputView {
            path: path.to_owned(),
            format: "nginx:combined_upstream".into(),
            lines: 3_012_345,
            unparsed: 12,
            newest: Some(NOW - 7_500),
            bytes_behind: 1_234_567,
            standing,
            why: why.to_owned(),
            ..InputView::default()
        };
        View {
            requests: 3_012_333,
            gateway_errors: 26_926,
            status: [("200".to_owned(), 2_985_407), ("502".to_owned(), 26_926)].into(),
            inputs: vec![
                input("/var/log/nginx/shop.example.com-with-a-long-name.access.log", Standing::Fine, ""),
                input("/var/log/\u{1b}[2J\u{202e}.log", Standing::Stalled, "read to its end, 93 s behind"),
            ],
            alerts: vec![AlertView {
                rule: "errors".into(),
                labels: vec![("upstream".into(), "10.0.0.13:8080\u{1b}]0;x".into())],
                state: State::Firing,
                since: Some(NOW - 52_000),
                severity: Severity::Critical,
                undercount: 0,
                incident: Some("4f2a-1".into()),
                errors: 20,
                requests: 60,
                muted: None,
                envelope: None,
            }],
            receivers: vec![ReceiverView {
                name: "ops".into(),
                kind: "webhook".into(),
                failing_since: Some(NOW - 720_000),
                why: Some("answered 404: no_service".into()),
                deliveries: Deliveries { sent: 12, retried: 3, failed: 1 },
                ..ReceiverView::default()
            }],
            agent: AgentView { running: true, since: Some(NOW - 187_200_000), ..AgentView::default() },
            ..View::default()
        }
    }

    #[test]
    fn it_fits_and_cannot_steer_the_terminal() {
        for width in [40, 60, 80, 100, 120, 200] {
            for view in [view(), View::default()] {
                let text = render(&view, &Look { now: NOW, width, color: false, agent: "" });
                assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
                let wide: Vec<&str> =
                    text.lines().filter(|line| text::columns(line) > width.max(72)).collect();
                assert!(wide.is_empty(), "{width}: {wide:#?}");
            }
        }
    }

    #[test]
    fn a_snapshot_of_an_agent_that_runs_says_no_other() {
        for agent in ["running", "not running", "not answering"] {
            let text = render(&View::default(), &Look { now: NOW, width: 120, color: false, agent });
            let head = text.lines().next().unwrap_or_default();
            assert!(head.ends_with(&format!("   {agent}: the last snapshot")), "{head}");
        }
        let promised = |possible_loss| promise(&InputView { possible_loss, ..InputView::default() });
        assert!(promised(1).ends_with(", 1 gap") && promised(1_200).ends_with(", 1,200 gaps"));
    }

    #[test]
    fn what_is_wrong_stands_first() {
        let text = render(&view(), &Look { now: NOW, width: 120, color: false, agent: "" });
        let expected = [
            "running for 2 d 4 h",
            "1 alert fires.",
            "Receiver ops has taken nothing for 12 min: answered 404: no_service.",
            "is stalled: read to its end, 93 s behind.",
            "critical  firing",
            "INPUT ",
            "stalled",
            "shop.example.com",
            "26,926 (0.89 %) · 502 26,926",
        ];
        let mut rest = text.as_str();
        for part in expected {
            let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in order in\n{text}"));
            rest = &rest[at + part.len()..];
        }
        let painted = render(&view(), &Look { now: NOW, width: 120, color: true, agent: "" });
        assert!(painted.contains("\u{1b}[31m1 alert fires.\u{1b}[0m"), "{painted}");
    }

    #[test]
    fn spans_and_sizes() {
        let spans = [0.04, 9.9, 42.0, 754.0, 12_000.0, 7_200.0, 187_200.0];
        assert_eq!(spans.map(span), ["0.0 s", "9.9 s", "42 s", "12 min", "3 h 20 min", "2 h", "2 d 4 h"]);
        let sizes = [0, 512, 1_234, 12_345, 1_200_000, 3_400_000_000];
        assert_eq!(sizes.map(bytes), ["0 B", "512 B", "1.2 kB", "12 kB", "1.2 MB", "3.4 GB"]);
    }
}
