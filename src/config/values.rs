//! One value as written → one typed value. Each function says what would be right.

use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::rule::{Counts, Severity};
use std::net::SocketAddr;
use toml::de::DeValue;

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What it must be, as the end of "`window` must be …".
    pub wants: String,
    /// What was found, or what to write.
    pub label: String,
    /// Byte offset into a string value, where the caret should stand.
    pub at: Option<usize>,
}

impl Refusal {
    pub fn new(wants: &str, label: impl Into<String>) -> Refusal {
        Refusal { wants: wants.to_owned(), label: label.into(), at: None }
    }
}

pub(super) type Read<T> = Result<T, Refusal>;

/// With its article.
pub(super) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A number, integer or not; never infinite or NaN.
fn number_of(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(_) => integer_of(value).map(|n| n as f64),
        DeValue::Float(f) => f.as_str().replace('_', "").parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(n) = value else { return None };
    i64::from_str_radix(n.as_str(), n.radix()).ok()
}

pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| Refusal::new("true or false", type_of(value)))
}

/// Any text but none.
pub(super) fn text(value: &DeValue<'_>) -> Read<String> {
    match value.as_str() {
        Some("") => Err(Refusal::new("a string", "empty")),
        Some(s) if s.chars().any(char::is_control) => {
            Err(Refusal::new("a string", "has a control character (a line end, a tab) in it"))
        }
        Some(s) => Ok(s.to_owned()),
        None => Err(Refusal::new("a string", type_of(value))),
    }
}

/// A number from 0 up to `max`.
pub(super) fn count_up_to(max: i64) -> impl Fn(&DeValue<'_>) -> Read<i64> {
    move |value| match integer_of(value) {
        Some(n) if (0..=max).contains(&n) => Ok(n),
        Some(n) if n < 0 => Err(Refusal::new("a number from 0", "less than 0")),
        Some(_) => Err(Refusal::new(&format!("a number up to {max}"), "too large")),
        None => Err(Refusal::new("a whole number", type_of(value))),
    }
}

/// A number from 0, not necessarily whole.
pub(super) fn quantity(value: &DeValue<'_>) -> Read<f64> {
    match (number_of(value), value) {
        (Some(n), _) if n >= 0.0 => Ok(n),
        (Some(_), _) => Err(Refusal::new("a number from 0", "less than 0")),
        (None, DeValue::String(s)) if s.trim_end().ends_with('%') => {
            Err(Refusal::new("a number", "a percentage; ratios are the business of [rule.ratio.…]"))
        }
        (None, DeValue::String(s)) if s.trim().parse::<f64>().is_ok() => {
            Err(Refusal::new("a number", "a string; write it without quotes"))
        }
        _ => Err(Refusal::new("a number", type_of(value))),
    }
}

/// `"5%"`, or 0.05. From 0 to 1.
pub(super) fn ratio(value: &DeValue<'_>) -> Read<f64> {
    const WANTS: &str = "a percentage";
    let ratio = match value {
        DeValue::String(s) => {
            let (digits, percent) = match s.trim().strip_suffix('%') {
                Some(digits) => (digits.trim_end(), true),
                None => (s.trim(), false),
            };
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            match digits.parse::<f64>().ok().filter(|_| plain) {
                Some(n) if percent => n / 100.0,
                Some(n) => n,
                None => return Err(Refusal::new(WANTS, "write \"5%\" or 0.05")),
            }
        }
        _ => match number_of(value) {
            Some(n) => n,
            None => return Err(Refusal::new(WANTS, format!("{}; write \"5%\" or 0.05", type_of(value)))),
        },
    };
    if ratio < 0.0 {
        return Err(Refusal::new(WANTS, "less than 0"));
    }
    if ratio > 1.0 {
        let label = match number_of(value) {
            Some(n) if n <= 100.0 => format!("that is {} %; write \"{n}%\"", tidy(n * 100.0)),
            _ => "more than 100 %".to_owned(),
        };
        return Err(Refusal::new(WANTS, label));
    }
    Ok(ratio)
}

/// 7.000000001 → 7: percentages are products of decimal fractions.
pub(super) fn tidy(n: f64) -> f64 {
    let rounded = (n * 1e9).round() / 1e9;
    if rounded.is_finite() { rounded } else { n }
}

/// Millisecond lengths of the units, longest first.
const UNITS: [(&str, Millis); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Nothing that is configured is longer: sums of times stay far from overflow.
const LONGEST: Millis = 10 * 366 * 86_400_000;

/// `500ms`, `5s`, `1m`, `1h30m`, `2d`, `1w`; `0` alone, too.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Millis> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum: Millis = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let length = UNITS.iter().find(|u| u.0 == unit)?.1;
        let part = number.parse::<Millis>().ok()?.checked_mul(length)?;
        sum = sum.checked_add(part).filter(|&sum| sum <= LONGEST)?;
        rest = tail;
    }
    Some(sum)
}

/// As one would write it: `1h30m`; the shortest form that reads back the same.
#[must_use]
pub fn print_duration(mut length: Millis) -> String {
    if length == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    // Weeks are read, but not written: 14d is plainer.
    for (unit, millis) in &UNITS[1..] {
        if length >= *millis {
            out.push_str(&format!("{}{unit}", length / millis));
            length %= millis;
        }
    }
    out
}

pub(super) fn duration(value: &DeValue<'_>) -> Read<Millis> {
    const WANTS: &str = "a duration";
    match value {
        DeValue::String(s) => parse_duration(s).ok_or_else(|| {
            Refusal::new(WANTS, "write numbers and units (ms s m h d w), like \"90s\" or \"1h30m\"")
        }),
        DeValue::Integer(n) => Err(Refusal::new(WANTS, format!("no unit; write \"{n}s\""))),
        _ => Err(Refusal::new(WANTS, format!("{}; write \"90s\" or \"1h30m\"", type_of(value)))),
    }
}

/// The same, or `"off"`.
pub(super) fn duration_or_off(value: &DeValue<'_>) -> Read<Option<Millis>> {
    if value.as_str() == Some("off") { Ok(None) } else { duration(value).map(Some) }
}

/// From 50 % to below 100 %, or `"off"`.
pub(super) fn confidence(value: &DeValue<'_>) -> Read<Option<f64>> {
    if value.as_str() == Some("off") {
        return Ok(None);
    }
    match ratio(value)? {
        c if (0.5..1.0).contains(&c) => Ok(Some(c)),
        _ => Err(Refusal::new("a percentage", "from 50 % to below 100 %, like \"99%\", or \"off\"")),
    }
}

/// A share, or `"off"`: all of it.
pub(super) fn share_or_off(value: &DeValue<'_>) -> Read<f64> {
    if value.as_str() == Some("off") { Ok(1.0) } else { ratio(value) }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(words: &[(&'static str, T)], value: &DeValue<'_>) -> Read<T> {
    let names: Vec<_> = words.iter().map(|w| w.0).collect();
    let wants = format!("one of {}", names.join(", "));
    let Some(text) = value.as_str() else { return Err(Refusal::new(&wants, type_of(value))) };
    match words.iter().find(|w| w.0 == text) {
        Some(word) => Ok(word.1),
        None => Err(Refusal::new(&wants, did_you_mean(text, &names).unwrap_or_default())),
    }
}

pub(super) fn severity(value: &DeValue<'_>) -> Read<Severity> {
    one_of(&[Severity::Warning, Severity::Critical].map(|s| (s.name(), s)), value)
}

pub(super) fn counts(value: &DeValue<'_>) -> Read<Counts> {
    one_of(&Counts::ALL.map(|c| (c.name(), c)), value)
}

/// A status as logged; 9 and 0 are real.
pub(super) fn status(value: &DeValue<'_>) -> Read<u16> {
    let n = integer_of(value).ok_or_else(|| Refusal::new("a list of HTTP statuses", type_of(value)))?;
    u16::try_from(n)
        .ok()
        .filter(|n| *n <= 999)
        .ok_or_else(|| Refusal::new("a list of HTTP statuses", "0 to 999"))
}

/// Whether it can name a label: Prometheus' rule.
#[must_use]
pub(super) fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(super) fn label_name(value: &DeValue<'_>) -> Read<String> {
    const WANTS: &str = "a list of labels";
    let Some(name) = value.as_str() else { return Err(Refusal::new(WANTS, type_of(value))) };
    if is_label_name(name) {
        Ok(name.to_owned())
    } else {
        Err(Refusal::new(WANTS, "letters, digits and _, no digit first"))
    }
}

/// Where to listen, or nowhere.
pub(super) fn listen(value: &DeValue<'_>) -> Read<Option<SocketAddr>> {
    const WANTS: &str = "an address and a port, or \"off\"";
    match text(value).map_err(|r| Refusal { wants: WANTS.to_owned(), ..r })? {
        off if off == "off" => Ok(None),
        at => at.parse().map(Some).map_err(|_| Refusal::new(WANTS, "like 127.0.0.1:25024 or [::1]:25024")),
    }
}

pub(super) fn zone(value: &DeValue<'_>) -> Read<Zone> {
    const WANTS: &str = "a time zone";
    let Some(name) = value.as_str() else { return Err(Refusal::new(WANTS, type_of(value))) };
    Zone::parse(name).ok_or_else(|| {
        let names: Vec<_> = chrono_tz::TZ_VARIANTS.iter().map(|z| z.name()).collect();
        let label =
            did_you_mean(name, &names).unwrap_or_else(|| "like \"Europe/Berlin\" or \"UTC\"".to_owned());
        Refusal::new(WANTS, label)
    })
}

/// "did you mean `x`?", if any of the words is near enough.
#[must_use]
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    // The comparison is quadratic, and nobody means a known word by one that is this long.
    if word.len() > 64 {
        return None;
    }
    let folded = word.to_lowercase().replace('-', "_");
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&folded, &k.to_lowercase().replace('-', "_")), k))
        .min_by_key(|near| near.0)?;
    let begins = folded.len() >= 4 && near.1.starts_with(&folded);
    let enough = near.0 <= (word.chars().count() / 3).max(1);
    (enough || begins).then(|| format!("did you mean `{}`?", near.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("0s", 0),
            ("0", 0),
            (" 10s ", 10_000),
        ] {
            assert_eq!(parse_duration(text), Some(millis), "{text}");
        }
        for text in [
            "",
            " ",
            "5",
            "s",
            "5 s",
            "5sec",
            "1.5h",
            "-5s",
            "5s5",
            "99999999999999999999s",
            "9999w",
            "5µs",
            "1M",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn ratios() {
        let read = |text: &str| ratio(toml::de::DeValue::parse(text).unwrap().get_ref()).ok();
        for (text, n) in
            [("'5%'", 0.05), ("'0.5 %'", 0.005), ("0.05", 0.05), ("1", 1.0), ("'0.2'", 0.2), ("'0%'", 0.0)]
        {
            assert_eq!(read(text), Some(n), "{text}");
        }
        for text in ["'5'", "5", "'%'", "'-5%'", "-0.1", "'101%'", "nan", "inf", "'1e1%'", "true", "'5%%'"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn near_words() {
        let known = ["min_requests", "min_errors", "above", "for", "keep_firing_for"];
        for (word, meant) in [
            ("min_request", "min_requests"),
            ("min-errors", "min_errors"),
            ("Above", "above"),
            ("keep_firing", "keep_firing_for"),
        ] {
            assert_eq!(did_you_mean(word, &known), Some(format!("did you mean `{meant}`?")));
        }
        assert_eq!(did_you_mean("colour", &known), None);
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back(millis in 0..LONGEST) {
            prop_assert_eq!(parse_duration(&print_duration(millis)), Some(millis));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = (parse_duration(&text), did_you_mean(&text, &["above"]));
        }
    }
}
