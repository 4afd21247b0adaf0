//! One matcher as text, both ways.

use gatewatch_rules::matcher::{Matcher, Op};
use regex::Regex;

/// `upstream!=""`, `site=~"api.*"`; the quotes may be left out.
pub(super) fn parse(text: &str) -> Result<Matcher, String> {
    let end = text.find(['=', '!']).ok_or("like 'upstream!=\"\"': label, = != =~ or !~, value")?;
    let (label, rest) = text.split_at(end);
    let label = label.trim();
    if !super::values::is_label_name(label) {
        return Err("a label's name comes first: letters, digits and _".to_owned());
    }
    let ops = ["=~", "!~", "!=", "="];
    let op = ops.iter().find(|op| rest.starts_with(**op)).ok_or("known: = != =~ !~")?;
    let value = rest.get(op.len()..).unwrap_or("").trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').ok_or("the value's closing quote lacks")?,
        None => value,
    };
    let regex = || Regex::new(&format!("^(?:{value})$")).map_err(|_| "no regular expression".to_owned());
    let op = match *op {
        "=~" => Op::Match(regex()?),
        "!~" => Op::NotMatch(regex()?),
        "!=" => Op::NotEqual(value.to_owned()),
        _ => Op::Equal(value.to_owned()),
    };
    Ok(Matcher { label: label.to_owned(), op })
}

/// As one would write it.
pub(super) fn print(matcher: &Matcher) -> String {
    let plain = |regex: &Regex| {
        let text = regex.as_str();
        text.strip_prefix("^(?:").and_then(|t| t.strip_suffix(")$")).unwrap_or(text).to_owned()
    };
    let (op, value) = match &matcher.op {
        Op::Equal(value) => ("=", value.clone()),
        Op::NotEqual(value) => ("!=", value.clone()),
        Op::Match(regex) => ("=~", plain(regex)),
        Op::NotMatch(regex) => ("!~", plain(regex)),
    };
    format!("{}{op}\"{value}\"", matcher.label)
}
