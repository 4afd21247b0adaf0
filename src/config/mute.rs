//! `[maintenance.NAME]`, in the words of Alertmanager's time intervals; and which rules mute which.

use super::document::Entry;
use super::problem::{Log, Spot};
use super::reader::{Found, Reader, shown};
use super::rules::{Surroundings, known_label, matcher};
use super::values::{self, Read, Refusal, did_you_mean, type_of};
use crate::mute::inhibit::Inhibition;
use crate::mute::maintenance::{DAY, Window, reading_of, stamp};
use gatewatch_parsers::{Millis, Zone};
use gatewatch_rules::rule::Rule;
use toml::de::DeValue;

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Labels that every alert has beside those of its group.
const ALERT_LABELS: [&str; 5] = ["rule", "alertname", "severity", "input", "path"];

/// The windows as written. `zone` is that of the agent, if one is set.
pub(super) fn windows(
    written: &[Entry<'_>],
    zone: Option<Zone>,
    around: &Surroundings<'_>,
    rules: &[Rule],
    log: &mut Log<'_>,
) -> Vec<Window> {
    let mut labels = around.labels.clone();
    labels.extend(ALERT_LABELS.map(str::to_owned));
    labels.extend(rules.iter().flat_map(|rule| rule.labels.iter().map(|(name, _)| name.clone())));
    let around = Surroundings { labels, receivers: around.receivers.clone(), ..*around };
    written.iter().filter_map(|entry| window(entry, zone, &around, log)).collect()
}

fn window(
    entry: &Entry<'_>,
    zone: Option<Zone>,
    around: &Surroundings<'_>,
    log: &mut Log<'_>,
) -> Option<Window> {
    let mut reader = Reader::new(&entry.section, None, log);
    let before = reader.log.errors();
    let matchers = reader.list("match", matcher).unwrap_or_default();
    for matcher in &matchers {
        known_label(&matcher.value.label, matcher.written, around, reader.log);
    }
    let named = reader.value("zone", values::zone);
    if reader.get("zone").is_none() && zone.is_none() {
        reader.lacks("zone", "like zone = \"Europe/Berlin\", or timezone in [agent]");
    }
    let zone = named.or(zone).unwrap_or(Zone::Fixed(0));
    let mut window = Window::new(entry.name, zone);
    window.matchers = matchers.into_iter().map(|found| found.value).collect();
    window.times = plain(reader.list("times", times));
    for (from, to) in plain(reader.list("weekdays", |value| names(value, &WEEKDAYS, "days of the week"))) {
        around_from(from, to, &mut window.weekdays);
    }
    for (from, to) in plain(reader.list("months", |value| names(value, &MONTHS, "months"))) {
        around_from(from, to, &mut window.months);
    }
    window.days_of_month = plain(reader.list("days_of_month", days));
    let from = reader.read("from", |value| stamp_of(value, zone));
    let until = reader.read("until", |value| stamp_of(value, zone));
    window.from = from.map(|found| found.value.0);
    window.until = until.map(|found| found.value.1);
    window.comment = reader.value("comment", values::text);
    let is_sound = reader.log.errors() == before;
    if is_sound {
        never(&window, &mut reader, until);
    }
    reader.finish();
    Some(window)
}

/// A window that never opens, or never closes, is a mistake.
fn never(window: &Window, reader: &mut Reader<'_, '_, '_>, until: Option<Found<(Millis, Millis)>>) {
    let (title, spot) = (reader.section.title.clone(), reader.section.spot);
    if !window.recurs() && until.is_none() {
        let label = "say weekdays, times, days_of_month, months, or until";
        reader.log.missing(spot, format!("[{title}] would never close"), label);
        return;
    }
    if let (Some(from), Some(until)) = (window.from, until)
        && from >= until.value.1
    {
        let label = format!("`from` is {}", reading_of(window.zone, from));
        reader.log.error(until.written, "`until` must be after `from`".to_owned(), &label);
        return;
    }
    // Of all time: whether it is over by now is for those who have a clock.
    if window.next(window.from.unwrap_or(0)).is_none() {
        reader.log.error(spot, format!("[{title}] never opens"), "there is no such day");
    }
}

fn plain<T>(found: Option<Vec<Found<T>>>) -> Vec<T> {
    found.unwrap_or_default().into_iter().map(|found| found.value).collect()
}

/// From one to the other, and from the end on at the beginning.
fn around_from(from: usize, to: usize, set: &mut [bool]) {
    let length = set.len();
    let count = (to + length - from) % length;
    for n in 0..=count {
        if let Some(one) = set.get_mut((from + n) % length) {
            *one = true;
        }
    }
}

/// `02:00-04:00`, in minutes of the day.
fn times(value: &DeValue<'_>) -> Read<(u16, u16)> {
    const WANTS: &str = "a list of times";
    let wrong = |label: &str| Refusal::new(WANTS, label);
    let Some(text) = value.as_str() else { return Err(wrong(type_of(value))) };
    let minute = |text: &str| {
        let (hours, minutes) = text.trim().split_once(':')?;
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let (hours, minutes) = (Some(hours).filter(|t| digits(t))?, Some(minutes).filter(|t| digits(t))?);
        let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
        (hours < 24 && minutes < 60 || (hours, minutes) == (24, 0)).then_some(hours * 60 + minutes)
    };
    let ends = text.split_once('-').and_then(|(from, to)| minute(from).zip(minute(to)));
    match ends {
        None => Err(wrong("like \"02:00-04:00\", or \"22:00-02:00\" over midnight")),
        Some((DAY, _)) => Err(wrong("a day begins at 00:00")),
        Some((from, to)) if from == to => Err(wrong("it ends when it begins; a whole day is 00:00-24:00")),
        Some(ends) => Ok(ends),
    }
}

/// `sat`, `monday:friday`, `3`; as places in the list of names.
fn names(value: &DeValue<'_>, names: &[&str], what: &str) -> Read<(usize, usize)> {
    let wants = format!("a list of {what}");
    let one = |text: &str| {
        let text = text.trim().to_lowercase();
        let number =
            text.parse::<usize>().ok().filter(|n| names.len() == MONTHS.len() && (1..=12).contains(n));
        let named =
            || names.iter().position(|name| *name == text || text.len() == 3 && name.starts_with(&text));
        number.map(|n| n - 1).or_else(named).ok_or(text)
    };
    let text = match value {
        DeValue::Integer(n) => n.to_string(),
        _ => value.as_str().ok_or_else(|| Refusal::new(&wants, type_of(value)))?.to_owned(),
    };
    let (from, to) = text.split_once([':', '-']).unwrap_or((&text, &text));
    one(from).and_then(|from| Ok((from, one(to)?))).map_err(|word| {
        let example = format!("like \"{}\" or \"{}\"", &names.first().map_or("", |n| n), range(names));
        Refusal::new(&wants, did_you_mean(&word, names).unwrap_or(example))
    })
}

fn range(names: &[&str]) -> String {
    let short = |name: Option<&&str>| name.and_then(|name| name.get(..3)).unwrap_or_default().to_owned();
    format!("{}:{}", short(names.first()), short(names.get(2)))
}

/// `1`, `-1`, `1:7`, `-7:-1`.
fn days(value: &DeValue<'_>) -> Read<(i8, i8)> {
    const WANTS: &str = "a list of days of the month";
    let text = match value {
        DeValue::Integer(n) => n.to_string(),
        _ => value.as_str().ok_or_else(|| Refusal::new(WANTS, type_of(value)))?.to_owned(),
    };
    let one = |text: &str| text.trim().parse::<i8>().ok().filter(|n| *n != 0 && (-31..=31).contains(n));
    let (from, to) = text.split_once(':').unwrap_or((&text, &text));
    match one(from).zip(one(to)) {
        None => Err(Refusal::new(WANTS, "like \"1\", \"1:7\" or \"-1\", the last one")),
        Some((from, to)) if (from > 0) == (to > 0) && from > to || from < 0 && to > 0 => {
            Err(Refusal::new(WANTS, "it ends before it begins"))
        }
        Some(ends) => Ok(ends),
    }
}

/// The first moment and the last that it may mean.
fn stamp_of(value: &DeValue<'_>, zone: Zone) -> Read<(Millis, Millis)> {
    const WANTS: &str = "a date and a time";
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(stamp) => stamp.to_string(),
        _ => return Err(Refusal::new(WANTS, type_of(value))),
    };
    stamp(&text, zone).ok_or_else(|| Refusal::new(WANTS, "like \"2026-12-24 18:00\""))
}

/// A value as it is written.
pub(super) enum Words {
    One(String),
    List(Vec<String>),
}

/// The keys of a window, as one would write them.
pub(super) fn written(window: &Window) -> Vec<(&'static str, Words)> {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let set = |names: &[&str], set: &[bool]| -> Vec<String> {
        names.iter().zip(set).filter(|(_, is_set)| **is_set).map(|(name, _)| (*name).to_owned()).collect()
    };
    let day = |&(from, to): &(i8, i8)| if from == to { from.to_string() } else { format!("{from}:{to}") };
    let lists = [
        ("match", window.matchers.iter().map(ToString::to_string).collect()),
        ("weekdays", set(&WEEKDAYS, &window.weekdays)),
        ("times", window.times.iter().map(|(from, to)| format!("{}-{}", clock(*from), clock(*to))).collect()),
        ("days_of_month", window.days_of_month.iter().map(day).collect()),
        ("months", set(&MONTHS, &window.months)),
    ];
    let mut keys: Vec<(&'static str, Words)> = lists
        .into_iter()
        .filter(|(_, list): &(_, Vec<String>)| !list.is_empty())
        .map(|(k, l)| (k, Words::List(l)))
        .collect();
    keys.push(("zone", Words::One(window.zone.to_string())));
    // With its offset: an hour that comes twice is told apart.
    for (key, at) in [("from", window.from), ("until", window.until)] {
        keys.extend(at.map(|at| (key, Words::One(crate::figures::rfc3339(at)))));
    }
    keys.extend(window.comment.clone().map(|comment| ("comment", Words::One(comment))));
    keys
}

/// What rules mute: rules that there are, none that mutes itself in the end.
pub(super) fn mutes(rules: &[Rule], written: &[Entry<'_>], dropped: &[(String, String)], log: &mut Log<'_>) {
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let circle = Inhibition::circle(rules);
    let mut told = false;
    for entry in written {
        let Some((name, spot)) = value_of(entry, "mutes") else { continue };
        let Some(rule) = rules.iter().find(|rule| rule.name == entry.name) else { continue };
        for (muted, spot) in elements(name, spot.file) {
            if muted == entry.name {
                log.error(spot, format!("`{}` cannot mute itself", entry.name), "");
            } else if dropped.iter().any(|(_, name)| *name == muted) {
                log.error(spot, format!("no rule `{}`", shown(&muted)), "enabled = false drops it");
            } else if let Some(other) = rules.iter().find(|rule| rule.name == muted) {
                unlike(rule, other, spot, log);
            } else {
                let known = format!("known: {}", names.join(", "));
                let label = did_you_mean(&muted, &names).unwrap_or(known);
                log.missing(spot, format!("no rule `{}`", shown(&muted)), &label);
            }
        }
        if circle.contains(&entry.name) && !std::mem::replace(&mut told, true) {
            let round = format!("{} → {}", circle.join(" → "), circle.first().unwrap_or(&""));
            log.error(spot, "`mutes` goes round in a circle".to_owned(), &round);
        }
    }
}

/// Rules that share no label mute all or nothing.
fn unlike(rule: &Rule, muted: &Rule, spot: Spot, log: &mut Log<'_>) {
    if !rule.group_by.iter().any(|label| muted.group_by.contains(label)) {
        let (name, other) = (&rule.name, &muted.name);
        let message = format!("while any alert of `{name}` fires, every alert of `{other}` is held back");
        log.warn(spot, message, "they group by no label in common");
    }
}

fn value_of<'e>(entry: &'e Entry<'_>, key: &str) -> Option<(&'e DeValue<'e>, Spot)> {
    let (_, value) = entry.section.table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some((value.get_ref(), Spot::new(entry.section.spot.file, value.span())))
}

fn elements(value: &DeValue<'_>, file: usize) -> Vec<(String, Spot)> {
    let list = value.as_array().into_iter().flatten();
    let one = |element: &toml::Spanned<DeValue<'_>>| {
        Some((element.get_ref().as_str()?.to_owned(), Spot::new(file, element.span())))
    };
    list.filter_map(one).collect()
}
