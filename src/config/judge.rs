//! What a rule's keys say together: windows against steps, levels against each other, and what can never fire.

use super::document::Entry;
use super::problem::{Log, Spot};
use super::rules::{Ruled, Surroundings};
use super::values::{print_duration, tidy};
use crate::receiver::Receiver;
use gatewatch_parsers::Millis;
use gatewatch_rules::rule::Rule;

const MINUTE: Millis = 60_000;
/// So many steps are held in full; what is longer slides by the minute.
pub(super) const STEPS_HELD: Millis = 60;
/// So many minutes are held.
pub(super) const MINUTES_HELD: Millis = 360;

pub(super) fn rule(ruled: &Ruled, around: &Surroundings<'_>, log: &mut Log<'_>) {
    let fits = window_fits(ruled, around.step, log);
    let fits = stretch_fits(ruled, around.step, log) && fits;
    recovers_below(ruled, log);
    if fits {
        enough_bad_steps(ruled, around.step, log);
    }
    has_no_effect(ruled, log);
}

/// Where a key stands; one that was inherited or left out is the business of the whole rule.
fn spot_of<T>(found: &Option<super::reader::Found<T>>, ruled: &Ruled) -> Spot {
    found.as_ref().filter(|f| !f.inherited).map_or(ruled.section, |f| f.written)
}

fn window_fits(ruled: &Ruled, step: Millis, log: &mut Log<'_>) -> bool {
    let window = ruled.rule.window;
    let spot = spot_of(&ruled.window, ruled);
    let (message, label) = if window > MINUTES_HELD * MINUTE {
        ("`window` must be at most 6h".to_owned(), "so many minutes are held in memory".to_owned())
    } else if window < step || window % step != 0 {
        let step = print_duration(step);
        (format!("`window` must be a multiple of the step, {step}"), print_duration(window))
    } else if window > STEPS_HELD * step && window % MINUTE != 0 {
        let label = format!("over {} steps it slides by the minute", STEPS_HELD);
        ("`window` must be whole minutes".to_owned(), label)
    } else {
        return true;
    };
    log.error(spot, message, &label);
    false
}

fn stretch_fits(ruled: &Ruled, step: Millis, log: &mut Log<'_>) -> bool {
    let Some(stretch) = ruled.rule.stretch else { return true };
    let spot = spot_of(&ruled.stretch, ruled);
    let window = ruled.rule.window;
    if stretch > MINUTES_HELD * MINUTE {
        log.error(spot, "`stretch` must be at most 6h".to_owned(), "so many minutes are held in memory");
        return false;
    }
    if stretch < window {
        let label = format!("the window is {}", print_duration(window));
        log.error(spot, "`stretch` must be at least the window".to_owned(), &label);
        return false;
    }
    if let Some(odd) =
        lengths(window, stretch).find(|length| length > &(STEPS_HELD * step) && length % MINUTE != 0)
    {
        let label = format!(
            "the window, doubled, becomes {}; over {STEPS_HELD} steps it must be whole minutes",
            print_duration(odd)
        );
        log.error(spot, "`stretch` does not fit the window".to_owned(), &label);
        return false;
    }
    true
}

/// The window and its doublings up to `stretch`.
fn lengths(window: Millis, stretch: Millis) -> impl Iterator<Item = Millis> {
    std::iter::successors(Some(window.max(1)), |length| length.checked_mul(2))
        .take_while(move |length| *length <= stretch.max(window))
}

fn recovers_below(ruled: &Ruled, log: &mut Log<'_>) {
    let (Some(recover), Some(above)) = (&ruled.recover_below, ruled.above) else { return };
    let lowest = ruled.rule.lowest_above();
    if recover.value <= lowest {
        return;
    }
    let percent = |n: f64| {
        if ruled.rule.detector == "count" { format!("{n}") } else { format!("{} %", tidy(n * 100.0)) }
    };
    let message = "`recover_below` must not be higher than `above`".to_owned();
    if recover.inherited {
        let label = format!("the preset's recover_below is {}; set it, too", percent(recover.value));
        log.error(above, message, &label);
    } else {
        log.error(recover.written, message, &format!("`above` is {}", percent(lowest)));
    }
}

/// Steps of the longest window that the rule judges; minutes, where it slides by the minute.
fn most_steps(window: Millis, stretch: Option<Millis>, step: Millis) -> Millis {
    lengths(window, stretch.unwrap_or(window))
        .map(|length| if length > STEPS_HELD * step { length / MINUTE } else { length / step })
        .max()
        .unwrap_or(1)
}

fn enough_bad_steps(ruled: &Ruled, step: Millis, log: &mut Log<'_>) {
    let rule = &ruled.rule;
    let most = most_steps(rule.window, rule.stretch, step);
    if Millis::from(rule.min_bad_steps) > most {
        let message = format!("rule `{}` can never fire: its window has {most} steps", rule.name);
        let label = format!("min_bad_steps is {}", rule.min_bad_steps);
        log.warn(spot_of(&ruled.min_bad_steps, ruled), message, &label);
    }
}

fn has_no_effect(ruled: &Ruled, log: &mut Log<'_>) {
    let rule = &ruled.rule;
    if rule.times_rest > 0.0 && rule.group_by.is_empty() {
        let message = format!("rule `{}` can never fire: without `group_by` there is no rest", rule.name);
        log.warn(ruled.section, message, "times_rest compares a group with all others");
    }
}

/// Rules that nobody hears of, and receivers that hear of nothing.
pub(super) fn told(rules: &[Rule], written: &[Entry<'_>], receivers: &[(Receiver, Spot)], log: &mut Log<'_>) {
    let takes = |receiver: &Receiver, rule: &Rule| {
        let named = rule.notify.is_empty() || rule.notify.contains(&receiver.name);
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
    for (receiver, spot) in receivers {
        if !rules.iter().any(|rule| takes(receiver, rule)) {
            log.warn(
                *spot,
                format!("receiver `{}` is told of nothing", receiver.name),
                "no rule notifies it",
            );
        }
    }
}
