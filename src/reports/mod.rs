//! Print a summary. One file a kind; a kind is one line in [`REPORTS`].

mod chart;
mod csv;
mod json;
mod markdown;
pub mod table;
pub mod text;

use gatewatch_parsers::Millis;
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
    /// The files as they were given, for the command at the end.
    pub files: Vec<String>,
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

/// `2026-11-01T00:22:30Z`, with milliseconds only if there are any. Times beyond chrono's range are printed as they are.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(at)
        .map_or_else(|| at.to_string(), |t| t.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_documented_and_renders_nothing_at_all() {
        let look = Look { width: 80, color: false, top: None, files: vec![] };
        for kind in REPORTS {
            assert!(!kind.summary.is_empty());
            let text = (kind.render)(&Report::default(), &look);
            assert!(text.ends_with('\n'), "{}: {text:?}", kind.name);
        }
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_359_233_243), "2026-11-22T14:53:53.243Z");
    }
}
