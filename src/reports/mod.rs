//! Print a summary. One file a kind; a kind is one line in [`REPORTS`].

mod beside;
mod chart;
mod csv;
mod exits;
mod headline;
pub mod json;
mod markdown;
pub mod table;
pub mod text;

pub use crate::figures::rfc3339;
use gatewatch_rules::report::Report;

/// How it is to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether to colour it.
    pub color: bool,
    /// So many groups; `None`: as the kind does by itself.
    pub top: Option<usize>,
    /// Files and flags as they were given, quoted for a shell: for the command at the end.
    pub again: String,
}

/// A kind of report.
pub struct Kind {
    /// The word after `--format`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Extensions of `-o` that imply it.
    pub extensions: &'static [&'static str],
    /// Renders it, newline and all.
    pub render: fn(&Report, &Look) -> String,
}

/// Every kind.
pub const REPORTS: &[Kind] = &[
    Kind { name: "table", summary: "for people", extensions: &["txt"], render: table::render },
    Kind {
        name: "json",
        summary: "for programs: one object, schema 1",
        extensions: &["json"],
        render: json::render,
    },
    Kind { name: "csv", summary: "one line a group", extensions: &["csv"], render: csv::render },
    Kind {
        name: "markdown",
        summary: "for tickets",
        extensions: &["md", "markdown"],
        render: markdown::render,
    },
];

/// Columns to write in: the terminal's, else `COLUMNS`, else 120.
#[must_use]
pub fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    let set = || std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    terminal.or_else(set).unwrap_or(120).clamp(40, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_documented_and_renders_nothing_at_all() {
        let look = Look { width: 80, color: false, top: None, again: String::new() };
        for kind in REPORTS {
            assert!(!kind.summary.is_empty());
            let text = (kind.render)(&Report::default(), &look);
            assert!(text.ends_with('\n'), "{}: {text:?}", kind.name);
        }
    }
}
