//! What came of the cases, for people: a line a case, and what is wrong with those that failed.

use super::Ran;
use crate::reports::table::plural;
use crate::reports::text::{printable, wrap};

/// Renders it.
pub fn render(ran: &[Ran], color: bool, width: usize) -> String {
    let paint = |code: &str, word: &str| {
        if color { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    };
    let mut out = String::new();
    let mut file = "";
    for one in ran {
        if one.file != file {
            file = &one.file;
            out.push_str(&printable(file));
            out.push('\n');
        }
        let word = if one.problems.is_empty() { paint("32", "PASS") } else { paint("31", "FAIL") };
        let alerts = plural(one.incidents.len() as u64, "alert");
        let lines = plural(one.lines, "line");
        out.push_str(&format!("  {word} {} ({alerts}, {lines})\n", printable(&one.case)));
        for problem in &one.problems {
            out.push_str(&format!("       {}\n", wrap(problem, width.saturating_sub(7), 9)));
        }
    }
    let failed = ran.iter().filter(|one| !one.problems.is_empty()).count();
    if !ran.is_empty() {
        let cases = plural(ran.len() as u64, "case");
        out.push_str(&format!(
            "{cases}, {}\n",
            if failed == 0 { "all passed".to_owned() } else { format!("{failed} failed") }
        ));
    }
    out
}
