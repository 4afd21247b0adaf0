//! Rules as TOML → `Rule`. The program's own reader belongs to a crate that takes long to build; this one knows sound rules
//! only, refuses any key that it does not know, and a test of that crate holds the two against each other.

use gatewatch_rules::detectors::{self, Above};
use gatewatch_rules::matcher::Matcher;
use gatewatch_rules::rule::{Counts, Rule, Severity};
use toml::{Table, Value};

/// What is wrong with the rules.
pub type Error = String;

/// Every rule of the text, by kind and name as they stand.
pub fn rules(text: &str) -> Result<Vec<Rule>, Error> {
    let document: Table = text.parse().map_err(|error| format!("{error}"))?;
    let mut rules = Vec::new();
    for (kind, named) in table(document.get("rule").ok_or("no [rule.…]")?)? {
        let detector = detectors::find(kind).ok_or_else(|| format!("no detector {kind}"))?;
        for (name, keys) in table(named)? {
            let keys = table(keys)?;
            let mut rule = Rule::new(name, detector.name, above(keys, detector.above == Above::Floor)?);
            for (key, value) in keys {
                set(&mut rule, key, value).map_err(|error| format!("{name}: {key}: {error}"))?;
            }
            if let Some(problem) = rule.problems(5_000).first() {
                return Err(format!("{name}: {} {}", problem.key, problem.message));
            }
            rules.push(rule);
        }
    }
    Ok(rules)
}

fn set(rule: &mut Rule, key: &str, value: &Value) -> Result<(), Error> {
    match key {
        "above" | "severity" => {}
        "group_by" => rule.group_by = texts(value)?,
        "match" => {
            let parse = |text: String| Matcher::parse(&text).map_err(|error| error.message);
            rule.matchers = texts(value)?.into_iter().map(parse).collect::<Result<_, _>>()?;
        }
        "counts" => {
            let word = text(value)?;
            let found = Counts::ALL.into_iter().find(|counts| counts.name() == word);
            rule.counts = found.ok_or_else(|| format!("no count {word}"))?;
        }
        "window" => rule.window = duration(value)?,
        "stretch" => rule.stretch = Some(duration(value)?),
        "for" => rule.for_ = duration(value)?,
        "keep_firing_for" => rule.keep_firing_for = duration(value)?,
        "stale_after" => rule.stale_after = duration(value)?,
        "min_requests" => rule.min_requests = count(value)?,
        "min_errors" => rule.min_errors = count(value)?,
        "min_bad_steps" => rule.min_bad_steps = u32::try_from(count(value)?).map_err(|e| e.to_string())?,
        "confidence" => rule.confidence = Some(number(value)?),
        "baseline" => rule.baseline = Some(duration(value)?),
        "alpha" => rule.alpha = number(value)?,
        "times" => rule.times = number(value)?,
        "ceiling" => rule.ceiling = number(value)?,
        "blip" => rule.blip = Some(duration(value)?),
        "times_rest" => rule.times_rest = number(value)?,
        "recover_below" => rule.recover_below = Some(number(value)?),
        _ => return Err("is not known here".to_owned()),
    }
    Ok(())
}

/// One value, or one a severity; the mildest first.
fn above(keys: &Table, may_lack: bool) -> Result<Vec<(Severity, f64)>, Error> {
    let severity = |word: &str| match word {
        "warning" => Ok(Severity::Warning),
        "critical" => Ok(Severity::Critical),
        _ => Err(format!("no severity {word}")),
    };
    let single = keys.get("severity").map(|word| severity(&text(word)?)).transpose()?.unwrap_or_default();
    let mut all = match keys.get("above") {
        None if may_lack => vec![(single, 0.0)],
        None => return Err("no above".to_owned()),
        Some(Value::Table(all)) => all
            .iter()
            .map(|(word, value)| Ok((severity(word)?, number(value)?)))
            .collect::<Result<_, Error>>()?,
        Some(value) => vec![(single, number(value)?)],
    };
    all.sort_by_key(|above| above.0);
    Ok(all)
}

fn table(value: &Value) -> Result<&Table, Error> {
    value.as_table().ok_or_else(|| format!("{value:?} is no table"))
}

fn text(value: &Value) -> Result<String, Error> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{value:?} is no text"))
}

fn texts(value: &Value) -> Result<Vec<String>, Error> {
    value.as_array().ok_or_else(|| format!("{value:?} is no list"))?.iter().map(text).collect()
}

fn count(value: &Value) -> Result<u64, Error> {
    value.as_integer().and_then(|n| u64::try_from(n).ok()).ok_or_else(|| format!("{value:?} is no count"))
}

/// `3`, `0.05` or `"5%"`.
#[expect(clippy::cast_precision_loss, reason = "thresholds are small")]
fn number(value: &Value) -> Result<f64, Error> {
    let percent =
        value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|n| n.trim().parse::<f64>().ok());
    let plain = value.as_float().or(value.as_integer().map(|n| n as f64));
    percent.map(|n| n / 100.0).or(plain).ok_or_else(|| format!("{value:?} is no number"))
}

/// `"30s"`, `"5m"`, `"2h"`.
fn duration(value: &Value) -> Result<i64, Error> {
    let text = text(value)?;
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let found = units.iter().find_map(|(unit, length)| {
        let number: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Some(number * length)
    });
    found.ok_or_else(|| format!("{text} is no length of time"))
}
