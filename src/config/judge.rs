//! What the keys of a rule say together, and rules and receivers: what contradicts itself, and what can never work.

use super::document::Entry;
use super::problem::{Log, Spot};
use super::reader::Reader;
use super::values::tidy;
use crate::receiver::Receiver;
use gatewatch_parsers::Millis;
use gatewatch_rules::rule::Rule;
use gatewatch_rules::window::{Span, lengths};

/// A rule whose keys could all be read.
pub(super) fn rule(reader: &mut Reader<'_, '_, '_>, rule: &Rule, step: Millis) {
    for problem in rule.problems(step) {
        match problem.key {
            // Its elements were refused where they stand, or `above` was; of a stall 0 % can be read, and is none.
            "group_by" => {}
            "above" if rule.detector != "stall" => {}
            "recover_below" => recover_below(reader, rule),
            "min_bad_steps" => {}
            key => {
                let spot = reader.own(key).unwrap_or(reader.section.spot);
                reader.log.error(spot, format!("`{key}` {}", problem.message), "");
            }
        }
    }
    enough_steps(reader, rule, step);
}

/// An override of `above` may leave the preset's `recover_below` higher.
fn recover_below(reader: &mut Reader<'_, '_, '_>, rule: &Rule) {
    let level = |n: f64| {
        if rule.detector == "count" { format!("{n}") } else { format!("{} %", tidy(n * 100.0)) }
    };
    let message = "`recover_below` must not be higher than `above`".to_owned();
    match (reader.own("recover_below"), reader.own("above")) {
        (None, Some(above)) => {
            let label = format!("the preset's recover_below is {}; set it, too", level(rule.recover_level()));
            reader.log.error(above, message, &label);
        }
        (own, _) => {
            let spot = own.unwrap_or(reader.section.spot);
            reader.log.error(spot, message, &format!("`above` is {}", level(rule.lowest_above())));
        }
    }
}

/// Depends on the step, so it is said and not refused: a rule must not break a whole host's alerts.
fn enough_steps(reader: &mut Reader<'_, '_, '_>, rule: &Rule, step: Millis) {
    let points = |length| Span::ending(0, length, step).points();
    let most = lengths(rule.window, rule.stretch).map(points).max().unwrap_or(0);
    if usize::try_from(rule.min_bad_steps).is_ok_and(|least| least > most) {
        let spot = reader.own("min_bad_steps").unwrap_or(reader.section.spot);
        let message = format!("rule `{}` can never fire: min_bad_steps is {}", rule.name, rule.min_bad_steps);
        reader.log.warn(spot, message, &format!("its window has {most}"));
    }
}

/// Rules that nobody hears of, and receivers that hear of nothing.
pub(super) fn told(rules: &[Rule], written: &[Entry<'_>], receivers: &[(Receiver, Spot)], log: &mut Log<'_>) {
    let takes = |receiver: &Receiver, rule: &Rule| {
        let named = rule.notify.is_empty() && !receiver.fallback_only || rule.notify.contains(&receiver.name);
        let severe =
            rule.above.iter().any(|a| receiver.severity.is_empty() || receiver.severity.contains(&a.0));
        named && severe
    };
    for entry in written {
        let Some(rule) = rules.iter().find(|r| r.name == entry.name) else { continue };
        let named = receivers.iter().any(|r| rule.notify.contains(&r.0.name));
        if !receivers.is_empty()
            && (named || rule.notify.is_empty())
            && !receivers.iter().any(|r| takes(&r.0, rule))
        {
            let message = format!("nobody is told of rule `{}`", rule.name);
            log.warn(entry.section.spot, message, "no receiver of it takes its severity");
        }
    }
    let stands_in = |name: &String| receivers.iter().any(|other| other.0.fallback.as_ref() == Some(name));
    for (receiver, spot) in receivers {
        if !rules.iter().any(|rule| takes(receiver, rule)) && !stands_in(&receiver.name) {
            log.warn(
                *spot,
                format!("receiver `{}` is told of nothing", receiver.name),
                "no rule notifies it",
            );
        }
    }
}
