//! An alert about an input, in words: what is wrong and what to do, where others have figures.

use super::figures::Clock;
use super::section::{Fact, Section, again, end_word, is_harmless, tone};
use super::silence;
use super::words::clean;
use crate::notification::{Item, News};
use gatewatch_rules::alert::Note;

const TEXT_MAX: usize = 600;

pub(super) fn section(item: &Item, note: &Note, clock: &Clock) -> Section {
    let alert = &item.alert;
    let firing = item.news.is_firing();
    let mut lead = vec![clean(&note.what, TEXT_MAX)];
    lead.push(match alert.resolved.filter(|_| !firing) {
        Some(over) => format!("From {} to {}", clock.both(alert.started), clock.utc(over)),
        None => format!("Since {}", clock.both(alert.started)),
    });
    let path = alert.labels.iter().find(|(name, _)| name == "path").map_or("", |(_, path)| path);
    let input = alert.labels.iter().find(|(name, _)| name == "input").map_or("", |(_, input)| input);
    let whereabouts = if input.is_empty() {
        clean(path, TEXT_MAX)
    } else {
        format!("{}, input {}", clean(path, TEXT_MAX), clean(input, 60))
    };
    let facts = [
        Fact { label: "Where", text: whereabouts },
        Fact { label: "Do", text: if firing { clean(&note.advice, TEXT_MAX) } else { String::new() } },
        Fact { label: "Again", text: again(item) },
    ];
    let facts = facts.into_iter().chain(silence::facts(alert, firing, clock));
    // It is made to be pasted: a path goes into it only if no shell could misread it.
    let is_pasteable = |command: &&String| command.split(' ').all(is_harmless);
    Section {
        tone: tone(item),
        head: clean(&head(item, note), 150),
        lead,
        facts: facts.filter(|fact| !fact.text.is_empty()).collect(),
        command: note.command.as_ref().filter(|_| firing).filter(is_pasteable).cloned(),
        samples: Vec::new(),
        runbook: None,
        incident: clean(&alert.incident, 40),
    }
}

/// The first line.
pub(super) fn head(item: &Item, note: &Note) -> String {
    if !item.news.is_firing() {
        return format!("{} {}: {}", end_word(item), item.alert.rule, note.what);
    }
    let again = match item.news {
        News::Repeated => "STILL ",
        _ => "",
    };
    format!("{again}FIRING {} {}: {}", item.alert.severity.name(), item.alert.rule, note.what)
}

/// A mail's subject.
pub(super) fn subject(item: &Item, note: &Note) -> String {
    let word = if item.news.is_firing() {
        format!("FIRING {}", item.alert.severity.name())
    } else {
        end_word(item).to_owned()
    };
    format!("[{word}] {}: {}", item.alert.rule, note.what)
}
