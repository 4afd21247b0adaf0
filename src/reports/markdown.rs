//! For tickets: the headline, the incidents and the groups as Markdown tables.

use super::headline::headline;
use super::text::{commas, duration_ms, percent, ratio, stamp};
use super::{Look, exits, table};
use gatewatch_rules::report::Report;
use std::fmt::Write;

/// Renders it.
pub fn render(report: &Report, look: &Look) -> String {
    let mut text = String::from("## gatewatch\n\n");
    for line in headline(report) {
        let _ = writeln!(text, "{}\n", escape(&line));
    }
    if !report.incidents.is_empty() {
        text.push_str("| incident | where | from | to | errors | peak |\n|---|---|---|---|---:|---:|\n");
        for i in &report.incidents {
            let _ = writeln!(
                text,
                "| {} {} | {} | {} | {} | {} of {} | {} |",
                i.severity.name(),
                escape(&i.rule),
                escape(&table::place(&i.labels)),
                stamp(i.started),
                i.ended.map_or("the log's end".to_owned(), stamp),
                commas(i.gateway_errors),
                commas(i.requests),
                percent(i.peak_ratio)
            );
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "| {} | requests | 502 | 503 | 504 | ratio | p95 | p99 | masked | reason |",
        escape(&report.by.join(", "))
    );
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|\n");
    for g in report.groups.iter().take(look.top.unwrap_or(10)) {
        let p = |i: usize| {
            g.percentiles.as_ref().and_then(|p| p.get(i)).map_or(String::new(), |ms| duration_ms(*ms))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            escape(&table::group_name(&report.by, &g.labels).join(", ")),
            commas(g.counted.requests),
            commas(g.status[0]),
            commas(g.status[1]),
            commas(g.status[2]),
            percent(ratio(g.counted.gateway_errors, g.counted.requests)),
            p(1),
            p(2),
            commas(g.counted.masked),
            table::main_reason(&g.reasons)
        );
    }
    let found = report.two_way.as_ref().map(exits::sentences).unwrap_or_default();
    for (i, line) in found.iter().enumerate() {
        let gap = if i == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}- {}", escape(line));
    }
    text
}

/// Log text must not become markup: what Markdown or HTML would take for its own is escaped.
fn escape(value: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    for c in super::text::printable(value).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '`' | '*' | '[' | ']' | '\\' | '#' => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn log_text_is_no_markup() {
        assert_eq!(super::escape("a|b<img>[x](y)"), "a\\|b&lt;img>\\[x\\](y)");
    }
}
