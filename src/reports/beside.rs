//! What stands beside requests in the report: what error logs tell, and what proxies wrote of their servers' states.

use super::Look;
use super::headline::with_date;
use super::table::{main_reason, place};
use super::text::{self, Align, commas, cut, printable};
use crate::causes::{rotation, server_name};
use gatewatch_rules::report::{Diagnosed, Report};
use gatewatch_rules::servers::Server;

/// Rows of a list.
const ROWS: usize = 10;

/// Failures by upstream, as error logs have them: what the access log cannot say, or did not.
pub fn error_log(report: &Report, look: &Look) -> Vec<String> {
    if report.diagnosed.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![["ERROR LOG", "FAILURES", "CUT BODIES", "REASON"].map(str::to_owned).to_vec()];
    let shown = look.top.unwrap_or(ROWS).min(report.diagnosed.len());
    for d in report.diagnosed.iter().take(shown) {
        let count = |reasons: &[(_, u64)]| commas(reasons.iter().map(|(_, n)| n).sum());
        let reasons = if d.failed.is_empty() { &d.aborted } else { &d.failed };
        rows.push(vec![name(d), count(&d.failed), count(&d.aborted), main_reason(reasons)]);
    }
    let align = [Align::Left, Align::Right, Align::Right, Align::Left];
    let mut lines = text::grid(&rows, &align[..], look.width);
    if report.diagnosed.len() > shown {
        lines.push(format!("… {} more (--top {})", report.diagnosed.len() - shown, report.diagnosed.len()));
    }
    lines
}

fn name(diagnosed: &Diagnosed) -> String {
    if diagnosed.labels.is_empty() { "(no upstream)".to_owned() } else { place(&diagnosed.labels) }
}

/// Servers that went out of rotation, and pools without any.
pub fn servers(report: &Report, look: &Look) -> Vec<String> {
    let with_date = with_date(report);
    let line = |server: &Server| {
        let words = rotation(server, &|at| text::clock(at, with_date));
        let line = format!("{}  {}", printable(server_name(server)), printable(&words));
        cut(&line, look.width).into_owned()
    };
    let mut lines: Vec<String> = report.events.iter().take(ROWS).map(line).collect();
    if report.events.len() > ROWS {
        lines.push(format!("… {} more (--format json)", report.events.len() - ROWS));
    }
    if !lines.is_empty() {
        lines.insert(0, "SERVERS".to_owned());
    }
    lines
}
