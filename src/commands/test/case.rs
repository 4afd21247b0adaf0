//! A test file as it is written.

use crate::config::parse_duration;
use crate::exit::Exit;
use gatewatch_parsers::Millis;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// More is no test file.
const LARGEST: u64 = 4 << 20;
/// Where generated lines begin unless the case says otherwise: 2026-01-01 00:00 UTC, a multiple of every step.
const START: Millis = 1_767_225_600_000;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The rules under test, beside this file; the presets, if there is none.
    pub config: Option<PathBuf>,
    /// By name.
    #[serde(rename = "case", default)]
    pub cases: BTreeMap<String, Case>,
}

/// Log lines, and the alerts that they must give: these and no others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// In place of the file's.
    pub config: Option<PathBuf>,
    /// Finished logs, beside this file.
    #[serde(default)]
    pub logs: Vec<PathBuf>,
    /// As `--log-format`.
    pub log_format: Option<String>,
    /// Of stamps that carry none; UTC, if there is none.
    pub timezone: Option<String>,
    /// As `--node`.
    pub node: Option<String>,
    /// As `--region`.
    pub region: Option<String>,
    /// The lines are of this input of the configuration.
    pub input: Option<String>,
    /// When generated lines begin.
    #[serde(default = "start", deserialize_with = "stamp")]
    pub start: Millis,
    /// Lines written again and again.
    #[serde(default)]
    pub lines: Vec<Lines>,
    /// The alerts that must fire.
    #[serde(default)]
    pub alert: Vec<Expected>,
    /// So many lines are not understood, and that is meant.
    #[serde(default)]
    pub unparsed: u64,
}

/// A line, written every so often.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// With `{time}`, `{time:%d/%b/%Y:%H:%M:%S %z}`, `{msec}` and `{n}`.
    pub line: String,
    /// The first one, so long after the start.
    #[serde(default, deserialize_with = "duration")]
    pub from: Millis,
    /// None at or after; just the first, if there is none.
    #[serde(default, deserialize_with = "some_duration")]
    pub to: Option<Millis>,
    /// The time between two.
    #[serde(default, deserialize_with = "some_duration")]
    pub every: Option<Millis>,
}

/// An alert that must fire.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The rule.
    pub rule: String,
    /// The worst severity it reaches.
    pub severity: Option<String>,
    /// These labels of its group; others may be anything.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When it fires.
    pub fired: Option<Time>,
    /// When it is over; `"never"`: not before the end of the log.
    pub resolved: Option<Time>,
    /// The most frequent reason of its errors.
    pub reason: Option<String>,
}

/// When something must happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Time {
    /// So long after the first record ended, both ends included.
    After(RangeInclusive<Millis>),
    /// At that time.
    At(RangeInclusive<Millis>),
    /// Not at all.
    Never,
}

impl Time {
    /// Whether it happened then. `start`: when the first record ended.
    pub fn is(&self, at: Option<Millis>, start: Millis) -> bool {
        match (self, at) {
            (Time::Never, at) => at.is_none(),
            (Time::After(range), Some(at)) => range.contains(&(at - start)),
            (Time::At(range), Some(at)) => range.contains(&at),
            (_, None) => false,
        }
    }

    fn parse(text: &str) -> Option<Time> {
        if text == "never" {
            return Some(Time::Never);
        }
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (from.trim(), to.trim());
        if let (Some(from), Some(to)) = (parse_duration(from), parse_duration(to)) {
            return (from <= to).then_some(Time::After(from..=to));
        }
        let stamp = |text| chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp_millis());
        let (from, to) = (stamp(from)?, stamp(to)?);
        (from <= to).then_some(Time::At(from..=to))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, show): (_, fn(Millis) -> String) = match self {
            Time::Never => return f.write_str("never"),
            Time::After(range) => (range, crate::config::print_duration),
            Time::At(range) => (range, crate::reports::rfc3339),
        };
        f.write_str(&show(*range.start()))?;
        if range.start() != range.end() {
            write!(f, "..{}", show(*range.end()))?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        let text = String::deserialize(from)?;
        Time::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no time: write \"40s\", \"30s..60s\", \"2026-01-01T00:00:40Z\" or \"never\""
            ))
        })
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text)
        .ok_or_else(|| D::Error::custom(format!("`{text}` is no duration: write e.g. \"90s\"")))
}

fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
    duration(from).map(Some)
}

fn start() -> Millis {
    START
}

fn stamp<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(from)?;
    let time = chrono::DateTime::parse_from_rfc3339(&text);
    time.map(|time| time.timestamp_millis())
        .map_err(|_| D::Error::custom(format!("`{text}` is no time: write e.g. \"2026-01-01T00:00:00Z\"")))
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not understood: where, and why.
    pub fn read(path: &Path) -> Result<File, (Exit, String)> {
        let shown = path.display();
        let cannot = |e: std::io::Error| (Exit::Error, format!("cannot read {shown}: {e}"));
        if std::fs::metadata(path).map_err(cannot)?.len() > LARGEST {
            return Err((Exit::Configuration, format!("{shown}: over 4 MiB: that is no file of test cases")));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        toml::from_str(&text)
            .map_err(|e| (Exit::Configuration, format!("{shown}: {}", e.to_string().trim_end())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let cases = [
            ("40s", Some(40_000), true),
            ("40s", Some(45_000), false),
            ("40s", None, false),
            ("30s..1m", Some(30_000), true),
            ("30s..1m", Some(60_000), true),
            ("30s..1m", Some(60_001), false),
            ("0s..1m", Some(0), true),
            ("never", None, true),
            ("never", Some(1), false),
            ("1970-01-01T00:01:40Z", Some(40_000), true),
            ("1970-01-01T00:01:30Z..1970-01-01T00:01:35Z", Some(40_000), false),
        ];
        for (text, after, holds) in cases {
            let time = Time::parse(text).unwrap();
            assert_eq!(time.is(after.map(|after: Millis| 60_000 + after), 60_000), holds, "{text} {after:?}");
            assert_eq!(Time::parse(&time.to_string()), Some(time), "{text}");
        }
        for text in ["", "soon", "40", "2m..1m", "..", "40s..", "40s..2026-01-01T00:00:00Z"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_refused_with_its_place() {
        let cases = [
            ("[case.a]\nlog = ['x']", "unknown field `log`"),
            ("[case.a]\n[[case.a.alert]]\nrule = 'e'\nfired = 'soon'", "no time"),
            ("[case.a]\n[[case.a.lines]]\nline = 'x'\nevery = 'x'", "no duration"),
            ("[case.a]\nstart = 'today'", "no time"),
            ("conf = 'x'", "unknown field `conf`"),
        ];
        for (text, says) in cases {
            let said = toml::from_str::<File>(text).unwrap_err().to_string();
            assert!(said.contains(says) && said.contains("line"), "{text}: {said}");
        }
    }
}
