//! Words for what is counted, for who made an error and why, and for where; and the cleaning of text from a log.

use gatewatch_parsers::Origin;
use gatewatch_rules::alert::Labels;
use gatewatch_rules::rule::Counts;

/// How a share of what is counted is put: `fails 20.9 %`.
pub(super) fn share_of(counts: Counts, percent: &str) -> String {
    match counts {
        Counts::GatewayErrors => format!("fails {percent}"),
        Counts::FailedAttempts => format!("fails {percent} of its tries"),
        Counts::Retried => format!("fails {percent} of its tries, made again elsewhere"),
        Counts::Masked => format!("needs a retry for {percent}"),
        Counts::Abandoned => format!("loses {percent} of its clients before an answer"),
        Counts::Aborted => format!("cuts {percent} of its answers short"),
    }
}

/// `gateway errors`, for rules that count.
pub(super) fn plural(counts: Counts) -> &'static str {
    match counts {
        Counts::GatewayErrors => "gateway errors",
        Counts::FailedAttempts => "failed tries",
        Counts::Retried => "failed tries, made again elsewhere",
        Counts::Masked => "requests saved by a retry",
        Counts::Abandoned => "clients that left before an answer",
        Counts::Aborted => "answers cut short",
    }
}

/// `14,946 of 25,016` …
pub(super) fn past(counts: Counts) -> &'static str {
    match counts {
        Counts::GatewayErrors => "failed",
        Counts::FailedAttempts => "tries failed",
        Counts::Retried => "tries failed and were made again",
        Counts::Masked => "tries needed a retry",
        Counts::Abandoned => "were abandoned by their clients",
        Counts::Aborted => "were cut short",
    }
}

/// `requests`, or `tries`.
pub(super) fn of(counts: Counts) -> &'static str {
    match counts {
        Counts::FailedAttempts | Counts::Retried | Counts::Masked => "tries",
        _ => "requests",
    }
}

/// Who made the error; `None`: the log does not tell.
pub(super) fn made_by(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::Proxy => Some("made by the proxy"),
        Origin::Upstream => Some("passed through from the upstream"),
        Origin::Client => Some("logged because the client left"),
        Origin::Unknown => None,
    }
}

/// Labels that name a place, the narrowest first, and how they are called.
const PLACES: [(&str, &str, &str); 6] = [
    ("upstream", "server", "upstreams"),
    ("site", "site", "sites"),
    ("pool", "pool", "pools"),
    ("node", "node", "nodes"),
    ("region", "region", "regions"),
    ("input", "input", "inputs"),
];

/// What an alert is about: its narrowest label, and what is needed beside it.
pub(super) struct Place {
    /// `server`, or the label's name.
    pub(super) noun: String,
    /// `upstreams`, or `groups`.
    pub(super) nouns: &'static str,
    /// `be_img/srv3`, `edge-1`
    pub(super) name: String,
    /// `be_img/srv3 on edge-1`; for `everything` without labels.
    pub(super) full: String,
}

/// Finds what an alert is about.
pub(super) fn place(labels: &Labels) -> Place {
    let of = |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let own = labels.iter().find(|(name, _)| PLACES.iter().all(|place| place.0 != name));
    let narrowest = PLACES.iter().find_map(|place| of(place.0).map(|value| (place, value)));
    let (key, noun, nouns, name) = match (narrowest, own) {
        // A label of one's own (an exit address, a provider) is narrower than a machine or an input.
        (Some((place, value)), None) => (place.0, place.1, place.2, value),
        (Some((place, value)), Some(_)) if ["upstream", "site", "pool"].contains(&place.0) => {
            (place.0, place.1, place.2, value)
        }
        (_, Some((name, value))) => (name.as_str(), name.as_str(), "groups", value.as_str()),
        (None, None) => ("", "all", "groups", "all traffic"),
    };
    let name = clean(name, 60);
    let mut full = name.clone();
    for (label, value) in labels.iter().filter(|(label, _)| label != key) {
        let value = clean(value, 40);
        match label.as_str() {
            "node" => full.push_str(&format!(" on {value}")),
            "region" => full.push_str(&format!(" in {value}")),
            "site" => full.push_str(&format!(" for {value}")),
            // `be_img/srv3` says it; and what an input is called helps nobody in a headline.
            "pool" if name.starts_with(&value) => {}
            "pool" => full.push_str(&format!(" of {value}")),
            "input" => {}
            _ => full.push_str(&format!(" ({} {value})", clean(label, 20))),
        }
    }
    Place { noun: clean(noun, 20), nouns, name, full: clean(&full, 80) }
}

/// Text from a log, for one line of any output: no control characters, nothing that turns the direction of writing or
/// hides, at most `max` characters.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    let mut length = 0;
    for c in text.chars() {
        let start = out.len();
        match c {
            '\t' => out.push(' '),
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
        length += out.get(start..).map_or(0, |added| added.chars().count());
        if length > max {
            out.truncate(start);
            while out.chars().count() >= max && out.pop().is_some() {}
            out.push('…');
            return out;
        }
    }
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places() {
        type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
        let cases: [Case; 9] = [
            (&[("input", "edge"), ("pool", "be_img"), ("upstream", "be_img/srv3")], "server", "be_img/srv3"),
            (&[("pool", "api"), ("upstream", "10.0.0.3:80")], "server", "10.0.0.3:80 of api"),
            (&[("region", "eu"), ("upstream", "b/s")], "server", "b/s in eu"),
            (&[("input", "edge"), ("node", "edge-1")], "node", "edge-1"),
            (&[("input", "edge"), ("node", "edge-1"), ("site", "a.example")], "site", "a.example on edge-1"),
            (&[("input", "edge"), ("exit_ip", "192.0.2.7")], "exit_ip", "192.0.2.7"),
            (&[("upstream", "b/s"), ("exit_ip", "192.0.2.7")], "server", "b/s (exit_ip 192.0.2.7)"),
            (&[("input", "edge")], "input", "edge"),
            (&[], "all", "all traffic"),
        ];
        for (labels, noun, full) in cases {
            let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let place = place(&labels);
            assert_eq!((place.noun.as_str(), place.full.as_str()), (noun, full));
        }
    }

    #[test]
    fn cleaning() {
        let cases = [
            ("plain", 10, "plain"),
            ("a\r\nBcc: x", 80, "a\\u{d}\\u{a}Bcc: x"),
            ("\u{202e}evil\u{1b}[31m", 80, "\\u{202e}evil\\u{1b}[31m"),
            ("0123456789", 10, "0123456789"),
            ("0123456789x", 10, "012345678…"),
            ("01234567\n", 10, "01234567…"),
        ];
        for (text, max, expected) in cases {
            assert_eq!(clean(text, max), expected);
        }
    }

    proptest! {
        #[test]
        fn cleaned_text_is_short_and_harmless(text in any::<String>(), max in 1..300_usize) {
            let cleaned = clean(&text, max);
            prop_assert!(cleaned.chars().count() <= max);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() || is_invisible(c)));
        }
    }
}
