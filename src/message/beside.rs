//! What stands beside an alert, in words: what its failures have in common, what does not fail, what of the whole does,
//! and what another try would have saved. Probable, never certain: the figures stand with it.

use super::figures::{count, percent, ratio, share, span};
use super::words::clean;
use gatewatch_parsers::{Millis, Reason};
use gatewatch_rules::alert::Alert;
use gatewatch_rules::around::Around;
use gatewatch_rules::clues::{Found, Pile};
use gatewatch_rules::rule::Counts;

/// So many 403 and 429 in ten minutes are worth a word.
const REFUSED_MIN: u64 = 10;

/// What the failures have in common, sentence by sentence.
#[must_use]
pub fn clues(alert: &Alert) -> Vec<String> {
    let Some(found) = &alert.clues else { return Vec::new() };
    let mut told = Vec::new();
    if let Some(pile) = &found.pile {
        told.push(timeout(alert, pile));
    }
    if found.refused >= REFUSED_MIN {
        let refused = count(found.refused);
        told.push(format!(
            "{refused} answers of 403 or 429 beside them: probably the target blocks or limits you"
        ));
    }
    told
}

/// `93 % took 60 s: a timeout of that length was hit; 9 answers came just under it, so it may be too strict`
fn timeout(alert: &Alert, pile: &Pile) -> String {
    let took = format!("{} took {}", share(pile.share), length(pile.millis));
    // What the server itself answers after so long is its own timeout, or its own server's.
    let whose = match alert.reasons.first() {
        Some((Reason::UpstreamResponse, _)) => "a timeout of that length behind the server",
        _ => "a timeout of that length was hit",
    };
    match pile.just_under {
        0 => format!(
            "{took}: {whose}, and no other answer took nearly as long: it hangs rather than being slow"
        ),
        n => {
            let (came, answers) = if n == 1 { ("came", "answer") } else { ("came", "answers") };
            format!(
                "{took}: {whose}; {} {answers} {came} just under it: saturated, or the timeout is too strict",
                count(n)
            )
        }
    }
}

/// `60 s`, `2.5 s`, `500 ms`
fn length(millis: Millis) -> String {
    match millis {
        ..1_000 => format!("{millis} ms"),
        1_000..60_000 if millis % 1_000 != 0 => {
            let text = format!("{:.2}", millis as f64 / 1_000.0);
            format!("{} s", text.trim_end_matches('0'))
        }
        60_000..120_000 if millis % 1_000 == 0 => format!("{} s", millis / 1_000),
        _ => span(millis),
    }
}

/// `be_img/srv0 (0.3 %), be_img/srv1 (0.4 %) and 5 others: up to 0.5 %`
#[must_use]
pub fn not_affected(around: &Around) -> String {
    let Some(rest) = around.healthy_groups.checked_sub(around.healthy.len() as u64) else {
        return String::new();
    };
    let named = |(name, ratio): &(String, f64)| {
        let name = if name.is_empty() { "(none)".to_owned() } else { clean(name, 60) };
        format!("{name} ({})", percent(*ratio))
    };
    let mut text = around.healthy.iter().map(named).collect::<Vec<_>>().join(", ");
    if rest > 0 && !text.is_empty() {
        let (others, most) = (count(rest), percent(around.healthy_range.1));
        text.push_str(&format!(" and {others} more, none above {most}"));
    }
    if around.bad_groups > 0 {
        let also = count(around.bad_groups);
        let beside = if text.is_empty() { "none of the others is well".to_owned() } else { text };
        text = format!("{beside}; {also} more fail, too");
    }
    text
}

/// `pool be_img 5.5 %, all 2.2 % · retries saved 12; one more try on another server: about 99 % of them (GET and HEAD)`
#[must_use]
pub fn impact(alert: &Alert, around: &Around) -> String {
    if !matches!(alert.counts, Counts::GatewayErrors) || alert.is_count {
        return String::new();
    }
    let mut told = Vec::new();
    // Of the only group, everything is the same figure again.
    if let Some((pool, point)) =
        around.pool.as_ref().filter(|(_, point)| point.requests > alert.window_requests)
    {
        told.push(format!("pool {} {}", clean(pool, 60), percent(point.ratio())));
    }
    if around.all.requests > alert.window_requests {
        told.push(format!("all {}", percent(around.all.ratio())));
    }
    let mut text = told.join(", ");
    if let Some(retries) = retries(alert, around) {
        if !text.is_empty() {
            text.push_str(" · ");
        }
        text.push_str(&retries);
    }
    text
}

/// What retries saved, and what one more would have.
fn retries(alert: &Alert, around: &Around) -> Option<String> {
    let saved = (around.saved > 0).then(|| format!("retries saved {}", count(around.saved)));
    let safe = alert.clues.as_ref().map_or(0, |Found { retryable: (safe, _), .. }| *safe);
    let other = alert.clues.as_ref().map_or(0, |Found { retryable: (_, other), .. }| *other);
    // Few tries elsewhere promise nothing.
    let elsewhere = (around.others.requests >= 20 && safe > 0).then(|| 1.0 - around.others.ratio().min(1.0));
    let one_more = elsewhere.filter(|works| *works >= 0.5).map(|works| {
        let which = match other {
            0 => "them (GET and HEAD)".to_owned(),
            _ => format!("the {} that are GET or HEAD", share(ratio(safe, safe + other))),
        };
        format!("one more try on another server: about {} of {which}", share(works))
    });
    let told: Vec<String> = saved.into_iter().chain(one_more).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let cases = [
            (500, "500 ms"),
            (2_500, "2.5 s"),
            (5_010, "5.01 s"),
            (30_000, "30 s"),
            (60_000, "60 s"),
            (90_000, "90 s"),
            (150_000, "2 min 30 s"),
        ];
        for (millis, text) in cases {
            assert_eq!(length(millis), text);
        }
    }
}
