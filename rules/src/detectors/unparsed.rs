//! `unparsed`: the share of an input's lines that could not be parsed: what is not understood is not judged either. Lines
//! have no labels but their input and path, and those that are not understood no time: a running agent judges them by the
//! minute in which they were read, and no engine does.

use super::{Above, Detector, Way};
use crate::rule::{Problem, Rule};
use crate::window::{MINUTE, Point};

/// Lines that were not understood ÷ lines.
pub const DETECTOR: Detector = Detector {
    name: "unparsed",
    summary: "the share of an input's lines that could not be parsed, as an agent reads them",
    is_count: false,
    above: Above::Share,
    keys: &["match", "window", "above", "min_requests", "min_errors", "recover_below"],
    way: Way::Lines,
    level: Point::ratio,
    bad_point: |above, point| point.ratio() > above,
    problems,
};

/// The labels that lines have.
pub const LABELS: [&str; 2] = ["input", "path"];

fn problems(rule: &Rule) -> Vec<Problem> {
    let mut found = Vec::new();
    if rule.above.iter().any(|&(_, above)| !(0.0..1.0).contains(&above)) {
        found.push(Problem::new("above", "must be a share from 0 % to below 100 %"));
    }
    if rule.window % MINUTE != 0 {
        found.push(Problem::new("window", "must be whole minutes"));
    }
    if rule.matchers.iter().any(|matcher| !LABELS.contains(&matcher.label.as_str())) {
        found.push(Problem::new(
            "match",
            "may ask for input and path only: a line that is not understood has no more",
        ));
    }
    found
}
