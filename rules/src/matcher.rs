//! Alertmanager's matchers: `upstream!=""`, `site=~"api.*"`. An absent label is empty. Regular expressions are anchored.

use regex::Regex;

/// How a label is compared.
#[derive(Clone, Debug)]
pub enum Op {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored
    Match(Regex),
    /// `!~`, anchored
    NotMatch(Regex),
}

/// One matcher.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// How it is compared.
    pub op: Op,
}
