//! What a notification says, before any target's markup: one headline, and for each of the worst alerts its figures,
//! its place, its probable cause, and what to do. Pure. Everything from a log is cleaned here and escaped by the target.

mod beside;
pub mod figures;
mod incident;
pub mod kind;
mod note;
mod section;
mod silence;
pub mod words;

pub use section::{Fact, Section, Tone};

use crate::notification::{Item, News, Notification, Subject};
use gatewatch_parsers::{Millis, Zone};
use section::{limits, past_figures, seconds_of};
use words::{clean, place};

/// So many alerts are shown; the others are counted.
pub const SHOWN: usize = 10;
const HEADLINE_MAX: usize = 150;
const SUBJECT_MAX: usize = 120;

/// What messages say of the agent that sends them.
#[derive(Clone, Debug)]
pub struct About {
    /// The zone of local times.
    pub zone: Zone,
    /// The agent's own name.
    pub node: String,
    /// The log, for the command to try; `None`: there are several.
    pub log_file: Option<String>,
}

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line; at most 150 characters.
    pub headline: String,
    /// A mail's subject; at most 120 characters, one line.
    pub subject: String,
    /// Why this receiver is told, if it is not the plain news.
    pub note: Option<String>,
    /// The worst alerts.
    pub sections: Vec<Section>,
    /// `2 more: …`
    pub more: Option<String>,
    /// Who says so.
    pub foot: String,
}

impl Message {
    /// What `notification` says.
    #[must_use]
    pub fn of(notification: &Notification, about: &About) -> Message {
        let items = &notification.items;
        let mut sections = sections(notification, about);
        sections.truncate(SHOWN);
        // Of several, only the worst shows its lines and what to try: the rest are read at a glance.
        for section in sections.iter_mut().skip(1) {
            section.samples.clear();
            section.command = None;
            section.runbook = None;
            section.facts.retain(|fact| fact.label != silence::SILENCE);
        }
        if let Some((first, others)) = sections.split_first_mut().filter(|_| is_one(notification)) {
            others.iter_mut().for_each(|section| section.facts.retain(|fact| !first.facts.contains(fact)));
        }
        let rule = match &notification.subject {
            Subject::Rule(rule) => format!("rule {} · ", clean(rule, 60)),
            _ => String::new(),
        };
        let headline = match (items.as_slice(), sections.first()) {
            ([_], Some(section)) if !notification.subject.is_summary() => section.head.clone(),
            _ => clean(&headline(notification, about), HEADLINE_MAX),
        };
        Message {
            headline,
            subject: clean(&(marked(notification) + &subject(notification, about)), SUBJECT_MAX),
            note: note(notification),
            sections,
            more: more(notification),
            foot: format!("{rule}agent {}", clean(&about.node, 60)),
        }
    }

    /// The message as plain text, without its headline.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Some(note) = &self.note {
            out.push_str(note);
            out.push_str("\n\n");
        }
        for section in &self.sections {
            if self.sections.len() > 1 {
                out.push_str(&section.head);
                out.push('\n');
            }
            out.push_str(&section.text());
            out.push('\n');
        }
        if let Some(more) = &self.more {
            out.push_str(more);
            out.push_str("\n\n");
        }
        out.push_str(&self.foot);
        out.push('\n');
        out
    }
}

/// What stands before the subject of what is no news.
fn marked(notification: &Notification) -> String {
    if notification.subject == Subject::Test { "TEST ".to_owned() } else { String::new() }
}

/// Whether all its alerts are of one incident: what they say alike is said once.
fn is_one(notification: &Notification) -> bool {
    matches!(notification.subject, Subject::Incident(_))
}

fn worst_word(item: &Item) -> String {
    if let Some(note) = &item.alert.note {
        return clean(&note.what, HEADLINE_MAX);
    }
    let place = place(&item.alert.labels);
    format!("{} {}", place.full, section::short_figure(&item.alert))
}

fn headline(notification: &Notification, about: &About) -> String {
    let items = &notification.items;
    let firing = notification.firing().count();
    let over = items.len() - firing;
    let nouns = nouns(notification);
    let Some(worst) = items.first() else { return String::new() };
    if let Some(totals) = notification.totals {
        let clock = figures::Clock::new(about.zone, notification.at);
        let between = clock.utc_range(totals.from, totals.to);
        let what = incidents(totals.incidents);
        return format!("{}: {what} fired and resolved, {between}", while_what(notification));
    }
    let severity = notification.severity().name();
    if let Some(cause) = incident::cause(notification) {
        return match firing {
            0 => format!("RESOLVED {cause}: all {over} alerts"),
            1 => format!("FIRING {severity}: {cause}: {}", worst_word(worst)),
            _ => format!("FIRING {severity}: {cause}: {firing} alerts, worst {}", worst_word(worst)),
        };
    }
    match (firing, over) {
        (0, _) => format!("RESOLVED {over} {nouns}: {}", names(items)),
        (1, _) => format!("{}; {over} over", section::head(worst, notification.at)),
        (_, 0) => format!("FIRING {severity}: {firing} {nouns}, worst {}", worst_word(worst)),
        _ => format!("FIRING {severity}: {firing} {nouns}, worst {}; {over} over", worst_word(worst)),
    }
}

fn names(items: &[Item]) -> String {
    let names: Vec<String> = items.iter().take(5).map(|item| place(&item.alert.labels).full).collect();
    let rest = if items.len() > 5 { ", …" } else { "" };
    format!("{}{rest}", names.join(", "))
}

fn more(notification: &Notification) -> Option<String> {
    if let Some(totals) = notification.totals {
        let shown = notification.items.len() as u64;
        let rest = totals.incidents.saturating_sub(shown);
        return (rest > 0).then(|| format!("{} more, milder or shorter", figures::count(rest)));
    }
    let rest = notification.items.get(SHOWN..).filter(|rest| !rest.is_empty())?;
    Some(format!("{} more: {}", rest.len(), names(rest)))
}

/// `1 incident`, `12 incidents`
fn incidents(n: u64) -> String {
    format!("{} incident{}", figures::count(n), if n == 1 { "" } else { "s" })
}

/// What the alerts of a message are called together.
fn nouns(notification: &Notification) -> &'static str {
    let first = notification.items.first().filter(|_| matches!(notification.subject, Subject::Rule(_)));
    first.map_or("alerts", |item| place(&item.alert.labels).nouns)
}

/// Why this receiver is told, if it is not the plain news.
#[must_use]
pub fn note(notification: &Notification) -> Option<String> {
    match &notification.subject {
        Subject::StandsIn { receiver, since } => {
            let (receiver, clock) =
                (clean(receiver, 60), figures::Clock::new(Zone::Fixed(0), notification.at));
            let since = clock.utc_minute(*since);
            Some(format!(
                "In place of receiver {receiver}, which has taken nothing since {since}: it is tried on."
            ))
        }
        Subject::Introduced => Some("This receiver is new, and this fires already.".into()),
        Subject::Several => Some("News of several rules in one message: the rate limit is reached.".into()),
        Subject::WhileDown => Some(
            "Found when gatewatch caught up with the log. All of it is over: nothing is to be done.".into(),
        ),
        Subject::WhileAway => {
            Some("This receiver could not be told. All of it is over: nothing is to be done.".into())
        }
        Subject::Test => Some("This is a test: nothing is wrong, and all figures are made up.".into()),
        Subject::Rule(_) | Subject::Standing | Subject::Incident(_) => None,
    }
}

/// Why nobody was told.
fn while_what(notification: &Notification) -> &'static str {
    match notification.subject {
        Subject::WhileDown => "WHILE GATEWATCH WAS DOWN",
        _ => "WHILE RECEIVER WAS AWAY",
    }
}

fn subject(notification: &Notification, about: &About) -> String {
    let items = &notification.items;
    let seen_from = format!("seen from {}", clean(&about.node, 40));
    if let Some(totals) = notification.totals {
        let worst = items.first().map_or(String::new(), |item| place(&item.alert.labels).full);
        let (when, what) = (while_what(notification), incidents(totals.incidents));
        return format!("[{when}] {what}, all over, worst {worst}, {seen_from}");
    }
    let [item] = items.as_slice() else {
        let severity = notification.severity().name();
        if let Some((cause, worst)) = incident::cause(notification).zip(items.first()) {
            let firing = notification.firing().count();
            return match firing {
                0 => format!("[RESOLVED] {cause}: {} alerts, {seen_from}", items.len()),
                _ => format!(
                    "[FIRING {severity}] {cause}: {firing} alerts, worst {}, {seen_from}",
                    worst_word(worst)
                ),
            };
        }
        let nouns = nouns(notification);
        let firing = notification.firing().count();
        return match (items.first(), firing) {
            (Some(worst), 1) => {
                let over = items.len() - 1;
                format!("[FIRING {severity}] {}; {over} over, {seen_from}", worst_word(worst))
            }
            (Some(worst), 2..) => {
                format!("[FIRING {severity}] {firing} {nouns}, worst {}, {seen_from}", worst_word(worst))
            }
            _ => format!("[RESOLVED] {} {nouns}: {}, {seen_from}", items.len(), names(items)),
        };
    };
    let alert = &item.alert;
    if let Some(note) = &alert.note {
        return note::subject(item, note);
    }
    let place = place(&alert.labels).full;
    if item.news.is_firing() {
        let again = match item.news {
            News::Repeated => "STILL ",
            News::Reopened => "AGAIN ",
            _ => "",
        };
        let mut statuses = alert.statuses.iter().filter(|_| kind::is_of_errors(alert));
        let status = statuses.find(|(status, _)| *status >= 500 || *status == 9);
        let status = status.map_or(String::new(), |(status, _)| format!("{status:03} "));
        let reason =
            alert.reasons.first().map_or(String::new(), |(reason, _)| format!(", {}", reason.name()));
        let since = figures::Clock::new(about.zone, notification.at).utc(alert.started);
        let figure = section::short_figure(alert);
        return format!(
            "[{again}FIRING {}] {place} {status}{figure} since {since}{reason}",
            alert.severity.name()
        );
    }
    let length = figures::span(seconds_of(alert));
    format!("[{} {length}] {place}: {}{}", section::end_word(item), past_figures(alert), limits(alert))
}

/// Every alert by itself, for a target that shows each on its own.
#[must_use]
pub fn sections(notification: &Notification, about: &About) -> Vec<Section> {
    let of = |item: &Item| {
        let mut section = Section::of(item, notification.at, about);
        if notification.subject == Subject::Test {
            section.head = clean(&format!("TEST {}", section.head), HEADLINE_MAX);
        } else if !matches!(notification.subject, Subject::Rule(_)) {
            section.incident.push_str(&format!(" · rule {}", clean(&item.alert.rule, 60)));
        }
        section
    };
    notification.items.iter().map(of).collect()
}

/// A length of time never shows milliseconds that nobody asked for.
fn whole_seconds(length: Millis) -> Millis {
    if length >= 1_000 { length - length % 1_000 } else { length }
}
