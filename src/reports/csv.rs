//! One line a group (RFC 4180). A value that a spreadsheet would take for a formula is quoted with an apostrophe.

use super::Look;
use super::text::{printable, ratio};
use gatewatch_rules::report::Report;

const NUMBERS: &str = "requests,gateway_errors,ratio,502,503,504,attempts,failed_attempts,masked,aborted,abandoned,p50,p95,p99,reason";

/// Renders the lines, head first.
pub fn render(report: &Report, look: &Look) -> String {
    let mut text = String::new();
    for name in &report.by {
        text.push_str(&cell(name));
        text.push(',');
    }
    text.push_str(NUMBERS);
    text.push('\n');
    for group in report.groups.iter().take(look.top.unwrap_or(usize::MAX)) {
        for name in &report.by {
            let value = group.labels.iter().find(|l| l.0 == *name).map_or("", |l| l.1.as_str());
            text.push_str(&cell(value));
            text.push(',');
        }
        let c = &group.counted;
        let counts = [c.requests, c.gateway_errors].map(|n| n.to_string());
        let rest =
            [group.status[0], group.status[1], group.status[2], c.attempts, c.failed_attempts, c.masked];
        let mut cells: Vec<String> = counts.to_vec();
        cells.push(format!("{:.6}", ratio(c.gateway_errors, c.requests)));
        cells.extend(rest.map(|n| n.to_string()));
        cells.extend([c.aborted, c.abandoned].map(|n| n.to_string()));
        let seconds = |p: &[u32; 3]| p.map(|ms| format!("{}", f64::from(ms) / 1000.0)).to_vec();
        cells.extend(group.percentiles.as_ref().map_or_else(|| vec![String::new(); 3], seconds));
        cells.push(group.reasons.first().map_or("", |r| r.0.name()).to_owned());
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

/// Quoted where needed. Log text is an attacker's: `=cmd|…` must not become a formula, nor anything an escape of the
/// terminal that shows it.
fn cell(value: &str) -> String {
    let value = printable(value);
    let formula = value.starts_with(['=', '+', '-', '@']);
    let guarded = if formula { format!("'{value}") } else { value.into_owned() };
    if guarded.contains([',', '"']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells_are_quoted() {
        let table = [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=1+1", "'=1+1"),
            ("-", "'-"),
            ("\u{1b}[2J\n", "\\u{1b}[2J\\u{a}"),
        ];
        for (value, expected) in table {
            assert_eq!(cell(value), expected);
        }
    }
}
