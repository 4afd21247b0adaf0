//! The report for people: what, when, where and why first, then the evidence.

use super::headline::{headline, with_date, worst};
use super::text::{self, Align, commas, cut, percent, printable, ratio, share};
use super::{Look, beside, chart, exits};
use gatewatch_parsers::Reason;
use gatewatch_rules::alert::Labels;
use gatewatch_rules::report::{Group, Report};
use gatewatch_rules::rule::Severity;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows of a list that nobody asked a number for.
const ROWS: usize = 10;
/// Files whose own line the head shows; the rest are counted.
const FILES: usize = 5;

/// Renders the table.
pub fn render(report: &Report, look: &Look) -> String {
    let paint = Paint(look.color);
    let mut sections = vec![head(report, look, &paint), headlines(report, look, &paint)];
    sections.push(chart_lines(report, look, &paint));
    sections.push(incidents(report, look, &paint, 2 * ROWS));
    let mut tail = groups(report, look, &paint);
    tail.extend(sums(report, look));
    sections.push(tail);
    sections.push(exits::lines(report, look));
    sections.push(beside::error_log(report, look));
    sections.push(beside::servers(report, look));
    sections.push(samples(report, look));
    sections.push(next(report, look));
    let mut text = String::new();
    for lines in sections.iter().filter(|lines| !lines.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Colours, only where they say something.
struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn severity(&self, severity: Severity, text: &str) -> String {
        self.with(if severity == Severity::Critical { "31" } else { "33" }, text)
    }
}

/// `be_img/srv3`, `edge-1 api.example`: label values; `(none)` for a group without labels.
pub fn place(labels: &Labels) -> String {
    // The pool says nothing that its server's name does not; the input only matters where nothing else is known.
    let has = |name: &str| labels.iter().any(|l| l.0 == name);
    let said = |name: &str| match name {
        "pool" => !has("upstream"),
        "input" => labels.len() == 1,
        _ => true,
    };
    let values: Vec<_> = labels.iter().filter(|l| said(&l.0)).map(|l| printable(&l.1).into_owned()).collect();
    if values.is_empty() { "(none)".to_owned() } else { values.join(" ") }
}

/// `connection_terminated 97 %`
pub fn main_reason(reasons: &[(Reason, u64)]) -> String {
    let all: u64 = reasons.iter().map(|r| r.1).sum();
    reasons
        .first()
        .map_or(String::new(), |(reason, n)| format!("{} {}", reason.name(), share(ratio(*n, all))))
}

/// `1 line`, `3,000 lines`, `2 entries`.
#[must_use]
pub fn plural(n: u64, word: &str) -> String {
    if n == 1 {
        return format!("1 {word}");
    }
    let stem = word.strip_suffix('y').map_or_else(|| format!("{word}s"), |stem| format!("{stem}ies"));
    format!("{} {stem}", commas(n))
}

/// Path, format and counts in a line; where they do not fit, the path's folders give way, then the format.
fn input_line(path: &str, title: &str, counts: &str, width: usize) -> String {
    let room = width.saturating_sub(text::columns(counts) + 5);
    let name = path.rsplit('/').next().map_or(0, text::columns) + 2;
    let path = text::cut_start(path, room.saturating_sub(text::columns(title)).max(name.min(room / 2)));
    let title = cut(title, room.saturating_sub(text::columns(&path)).max(12));
    format!("{path}  {title}   {counts}")
}

fn head(report: &Report, look: &Look, paint: &Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for input in report.inputs.iter().take(FILES) {
        let lines_read = input.lines.saturating_sub(input.other);
        let parsed = ratio(input.parsed, lines_read);
        if input.lines == 0 {
            lines.push(cut(&format!("{}  empty", printable(&input.path)), look.width).into_owned());
            continue;
        }
        let mut counts = plural(input.lines, "line");
        if lines_read > 0 {
            let _ = write!(counts, ", {} parsed", percent(parsed));
        }
        if input.other > 0 {
            let _ = write!(counts, ", {} other", commas(input.other));
        }
        if input.too_long > 0 {
            let _ = write!(counts, ", {} cut at 64 KiB", commas(input.too_long));
        }
        lines.push(input_line(&printable(&input.path), &input.title, &counts, look.width));
    }
    if report.inputs.len() > FILES {
        lines.push(format!("… and {}", plural((report.inputs.len() - FILES) as u64, "more file")));
    }
    if let Some(zone) = &report.timezone {
        let assumed = if report.timezone_assumed { ", assumed (--timezone)" } else { "" };
        let add = format!("zone {zone}{assumed}");
        match lines.last_mut().filter(|l| text::columns(l) + 3 + text::columns(&add) <= look.width) {
            Some(last) => *last += &format!("   {add}"),
            None => lines.push(add),
        }
    }
    if let Some(span) = span(report) {
        let mut counts: Vec<String> = Vec::new();
        for name in ["node", "pool", "upstream"] {
            let n = report.by_label.iter().find(|l| l.0 == name).map_or(0, |l| l.1.len());
            if n > 0 {
                counts.push(plural(n as u64, name));
            }
        }
        lines.push(format!("{span}   {}", counts.join(", ")).trim_end().to_owned());
    }
    if report.partial {
        lines.push(paint.bold("PARTIAL: interrupted before the end; these are the counts so far"));
    }
    lines
}

/// `2026-11-01 00:00:00 – 00:50:00 UTC`
fn span(report: &Report) -> Option<String> {
    let first = report.inputs.iter().filter_map(|i| i.first).min()?;
    let last = report.inputs.iter().filter_map(|i| i.last).max()?;
    let end = if text::same_day(first, last) { text::clock(last, false) } else { text::stamp(last) };
    Some(format!("{} – {end} UTC", text::stamp(first)))
}

fn headlines(report: &Report, look: &Look, paint: &Paint) -> Vec<String> {
    let mut lines: Vec<String> = headline(report).iter().map(|l| text::wrap(l, look.width, 2)).collect();
    if let Some(first) = lines.first_mut() {
        *first = paint.bold(first);
    }
    lines
}

fn chart_lines(report: &Report, look: &Look, paint: &Paint) -> Vec<String> {
    match chart::render(&report.timeline, look.width.min(120)) {
        Some([title, bars, axis]) => vec![title, paint.with("31", &bars), axis],
        None => Vec::new(),
    }
}

/// The report's incidents, one a row.
#[must_use]
pub fn incident_rows(report: &Report, look: &Look) -> Vec<String> {
    incidents(report, look, &Paint(look.color), usize::MAX)
}

fn incidents(report: &Report, look: &Look, paint: &Paint, most: usize) -> Vec<String> {
    if report.incidents.is_empty() {
        return Vec::new();
    }
    let with_date = with_date(report);
    let mut rows = vec![
        ["INCIDENT", "RULE", "WHERE", "FROM", "TO", "ERRORS", "PEAK", "FIRED", "RESOLVED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let shown = report.incidents.len().min(most);
    for i in report.incidents.iter().take(shown) {
        // A date that is the row's first one is not said again.
        let time =
            |at: Option<i64>| at.map_or("–".to_owned(), |t| text::clock_after(t, i.started, with_date));
        let mut fired = time(i.fired);
        if let Some(at) = i.escalated.filter(|at| Some(*at) != i.fired && i.severity == Severity::Critical) {
            // The same minute is not said twice.
            let same_minute = i.fired.is_some_and(|f| f.div_euclid(60_000) == at.div_euclid(60_000));
            let clock = text::clock_after(at, i.started, with_date);
            let short = clock.get(clock.len().saturating_sub(3)..).filter(|_| same_minute);
            let _ = write!(fired, ", crit {}", short.unwrap_or(&clock));
        }
        rows.push(vec![
            i.severity.name().to_owned(),
            i.rule.clone(),
            place(&i.labels),
            text::clock(i.started, with_date),
            time(i.ended),
            format!("{} of {}", commas(i.gateway_errors), commas(i.requests)),
            percent(i.peak_ratio),
            fired,
            time(i.resolved),
        ]);
    }
    let align = [Align::Left; 9];
    // The rule is only worth its room where there are several.
    let one_rule = report.incidents.windows(2).all(|w| matches!(w, [a, b] if a.rule == b.rule));
    let spare: &[usize] = if one_rule { &[1, 8, 7, 6] } else { &[8, 7, 6, 1] };
    let mut lines = text::grid(&fitting(rows, &align, look.width, spare), &align[..], look.width);
    for (line, i) in lines.iter_mut().skip(1).zip(&report.incidents) {
        *line = line.replacen(i.severity.name(), &paint.severity(i.severity, i.severity.name()), 1);
    }
    if report.incidents.len() > shown {
        lines.push(format!("… {} more (--format json)", report.incidents.len() - shown));
    }
    lines.extend(together(report));
    lines
}

/// Which rows are one fault: `one incident, node n3: 40 rows`.
fn together(report: &Report) -> Vec<String> {
    let mut rows: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for incident in &report.incidents {
        if let (Some(id), Some(cause)) = (&incident.envelope, &incident.cause) {
            rows.entry(id).or_insert((0, cause)).0 += 1;
        }
    }
    let mut several: Vec<_> = rows.into_values().filter(|(rows, _)| *rows > 1).collect();
    several.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    several
        .iter()
        .take(5)
        .map(|(rows, cause)| format!("one incident, {}: {rows} rows", cut(&printable(cause), 100)))
        .collect()
}

/// Drops columns, in the order given, until the rows fit.
#[must_use]
pub fn fitting(
    mut rows: Vec<Vec<String>>,
    align: &[Align],
    width: usize,
    spare: &[usize],
) -> Vec<Vec<String>> {
    let mut dropped: Vec<usize> = Vec::new();
    for column in spare {
        let needs: usize = (0..align.len())
            .map(|i| rows.iter().filter_map(|r| r.get(i)).map(|c| text::columns(c) + 2).max().unwrap_or(0))
            .sum();
        if needs <= width + 2 {
            break;
        }
        let at = column - dropped.iter().filter(|d| *d < column).count();
        for row in &mut rows {
            row.remove(at);
        }
        dropped.push(*column);
    }
    rows
}

fn groups(report: &Report, look: &Look, paint: &Paint) -> Vec<String> {
    if report.groups.is_empty() {
        return Vec::new();
    }
    let shown = look.top.unwrap_or(ROWS).min(report.groups.len());
    let mut rows = vec![match report.by.as_slice() {
        [] => vec!["ALL".to_owned()],
        by => by.iter().map(|name| name.to_uppercase()).collect(),
    }];
    let labels = rows.first().map_or(1, Vec::len);
    let head = ["REQUESTS", "502", "503", "504", "RATIO", "P95", "P99", "MASKED", "REASON"];
    if let Some(row) = rows.first_mut() {
        row.extend(head.map(str::to_owned));
    }
    for g in report.groups.iter().take(shown) {
        let p = |i: usize| {
            g.percentiles
                .as_ref()
                .and_then(|p| p.get(i))
                .map_or("–".to_owned(), |ms| text::duration_ms(*ms))
        };
        let mut row = group_name(&report.by, &g.labels);
        row.extend([
            commas(g.counted.requests),
            commas(g.status[0]),
            commas(g.status[1]),
            commas(g.status[2]),
            percent(ratio(g.counted.gateway_errors, g.counted.requests)),
            p(1),
            p(2),
            commas(g.counted.masked),
            main_reason(&g.reasons),
        ]);
        rows.push(row);
    }
    let align = vec![Align::Right; labels + 9];
    // Latencies and what is 0 everywhere go before a reason is cut.
    let masked = report.groups.iter().take(shown).any(|g| g.counted.masked > 0);
    let spare = if masked { [5, 6, 7] } else { [7, 5, 6] }.map(|column| labels + column);
    let rows = fitting(rows, &align, look.width, &spare);
    let columns = rows.first().map_or(0, Vec::len);
    let mut align = vec![Align::Right; columns];
    for (i, a) in align.iter_mut().enumerate() {
        if i < labels || i + 1 == columns {
            *a = Align::Left;
        }
    }
    let mut lines = text::grid(&rows, &align, look.width);
    if let Some(first) = lines.first_mut() {
        *first = paint.bold(first);
    }
    if let Some(more) = more(report.groups.get(shown..).unwrap_or_default(), report.groups.len()) {
        lines.push(more);
    }
    lines
}

/// The values of what it is grouped by; what a group lacks is named: `(no upstream)`.
pub fn group_name(by: &[String], labels: &Labels) -> Vec<String> {
    let of = |name: &String| labels.iter().find(|l| l.0 == *name).map(|l| printable(&l.1).into_owned());
    match by {
        [] => vec!["all".to_owned()],
        by => by.iter().map(|name| of(name).unwrap_or_else(|| format!("(no {name})"))).collect(),
    }
}

/// `… 9 more, 0.39 – 0.41 % (--top 12)`
fn more(hidden: &[Group], all: usize) -> Option<String> {
    let ratios = || hidden.iter().map(|g| ratio(g.counted.gateway_errors, g.counted.requests));
    let (low, high) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    if hidden.is_empty() {
        return None;
    }
    let range = if high <= 0.0 {
        "no errors".to_owned()
    } else if low >= high {
        percent(high)
    } else {
        format!("{} – {}", percent(low).trim_end_matches(" %"), percent(high))
    };
    Some(format!("… {} more, {range} (--top {all})", hidden.len()))
}

fn sums(report: &Report, look: &Look) -> Vec<String> {
    let c = &report.counted;
    if c.requests == 0 {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let list = |name: &str, parts: Vec<String>| {
        // A name and its number stay together.
        let parts: Vec<String> = parts.iter().map(|p| p.replace(' ', "\u{a0}")).collect();
        text::wrap(&format!("{name:<8} {}", parts.join(" · ")), look.width, 9)
    };
    if !report.reasons.is_empty() {
        lines.push(list(
            "REASONS",
            report.reasons.iter().map(|(r, n)| format!("{} {}", r.name(), commas(*n))).collect(),
        ));
        lines.push(list(
            "ORIGIN",
            report.origin.iter().map(|(o, n)| format!("{} {}", o.name(), commas(*n))).collect(),
        ));
    }
    for (label, name) in [("node", "NODES"), ("region", "REGIONS")] {
        let Some((_, groups)) = report.by_label.iter().find(|l| l.0 == label).filter(|l| l.1.len() > 1)
        else {
            continue;
        };
        let mut parts: Vec<String> = groups
            .iter()
            .take(ROWS)
            .map(|g| {
                format!(
                    "{} {}",
                    place(&g.labels),
                    percent(ratio(g.counted.gateway_errors, g.counted.requests))
                )
            })
            .collect();
        if groups.len() > ROWS {
            parts.push(format!("{} more", groups.len() - ROWS));
        }
        lines.push(list(name, parts));
    }
    let unparsed: u64 = report.inputs.iter().map(|i| i.unparsed).sum();
    let mut beside = vec![
        format!("saved by a retry {}", commas(c.masked)),
        format!("client gave up first {}", commas(c.abandoned)),
        format!("cut bodies {}", commas(c.aborted)),
        format!("unparsed {}", commas(unparsed)),
    ];
    for (name, n) in
        [("late", report.late), ("future", report.future), ("series overflow", report.series_overflow)]
    {
        if n > 0 {
            beside.push(format!("{name} {}", commas(n)));
        }
    }
    lines.push(list("BESIDE", beside));
    lines
}

/// The first lines that were not understood: three here, ten in JSON.
fn samples(report: &Report, look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    for s in report.unparsed_samples.iter().take(3) {
        lines.push(
            cut(&format!("{}:{}: {}: {}", printable(&s.path), s.line, s.field, s.reason), look.width)
                .into_owned(),
        );
        let text = String::from_utf8_lossy(&s.text);
        lines.push(cut(&format!("  {}", printable(&text)), look.width).into_owned());
    }
    if !lines.is_empty() {
        lines.insert(0, "UNPARSED".to_owned());
    }
    lines
}

/// The log_format to add where the log cannot name upstreams; else the command that looks closer.
fn next(report: &Report, look: &Look) -> Vec<String> {
    if let Some(advice) = &report.advice {
        return vec![advice.clone()];
    }
    let Some(worst) = worst(report) else {
        return Vec::new();
    };
    let with_date = with_date(report);
    let since = text::minute(worst.started, with_date);
    let until =
        worst.ended.map(|e| format!(" --until {}", text::minute(e + 59_999, with_date))).unwrap_or_default();
    let by = if report.by.iter().any(|b| b == "upstream") { "site" } else { "upstream" };
    vec![format!("next: gatewatch analyze {} --since {since}{until} --by {by}", printable(&look.again))]
}
