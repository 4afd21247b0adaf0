//! What was found, as a configuration for people to read and change.

use super::probe::Source;
use super::{Found, Installed, Log, Place, Pool, tells_upstream};
use std::fmt::Write as _;

const HEAD: &str = "\
# gatewatch's configuration, as `gatewatch init` found this host. `gatewatch check` names every mistake and prints what
# holds; SIGHUP (`systemctl reload gatewatch`) takes a change over. Rules for servers, sites, nodes and regions are built in.
";

const TAIL: &str = "
# Who is told. Without any, alerts are lines on standard error (the journal).
#[notify.slack.ops]
#url_file = \"/etc/gatewatch/slack.url\"

#[notify.email.duty]
#smtp = \"smtp://mail.example.net:587\"
#from = \"gatewatch@example.net\"
#to = [\"duty@example.net\"]
";

/// The whole file.
#[must_use]
pub fn configuration(installed: &[Installed], sources: &[Source]) -> String {
    let mut text = HEAD.to_owned();
    lateness(&mut text, sources);
    for one in installed {
        let _ = write!(text, "\n# {}: {}\n", one.product.title, one_line(&one.found.config));
        let own = sources.iter().filter(|s| s.product.name == one.product.name);
        let mut is_first = true;
        for source in own {
            if !is_first {
                text.push('\n');
            }
            is_first = false;
            input(&mut text, source);
        }
        not_followed(&mut text, &one.found);
        for remark in &one.found.remarks {
            let _ = writeln!(text, "# {}: {}", one_line(&remark.at.to_string()), one_line(&remark.text));
        }
    }
    pools(&mut text, installed);
    text.push_str(TAIL);
    text
}

/// By default lines may be so late, in seconds.
const LATENESS: i64 = 2;
/// More cannot be set.
const LATENESS_MAX: i64 = 3_600;

/// How late lines come that were held back for so long; `None`: within what holds by default.
#[must_use]
pub fn late(held: i64) -> Option<i64> {
    (held > 0).then(|| (held.saturating_add(999) / 1_000 + LATENESS).min(LATENESS_MAX))
}

fn lateness(text: &mut String, sources: &[Source]) {
    let longest = sources.iter().max_by_key(|source| source.held);
    if let Some((source, late)) = longest.and_then(|source| Some((source, late(source.held)?))) {
        let (title, held) = (source.product.title, source.held.div_euclid(1_000).max(1));
        let _ = write!(
            text,
            "\n# {title} holds lines back for up to {held} s: what is later than this is in no window.\n"
        );
        let _ = write!(text, "[agent]\nlateness = \"{late}s\"\n");
    }
}

/// A source as its table.
fn input(text: &mut String, source: &Source) {
    if let Some(words) = understood(source) {
        let _ = writeln!(text, "# {words}");
    }
    for (shape, why) in &source.looked.refused {
        let _ = writeln!(text, "# {} cannot be read: {}", one_line(&shape.called), one_line(why));
    }
    let name = &source.name;
    match source.places.first() {
        Some(Place::Socket(listen)) => {
            let _ = writeln!(text, "[input.syslog.{name}]\nlisten = [{}]", quoted(listen));
        }
        Some(Place::Journal(unit)) => {
            let _ = writeln!(text, "[input.journald.{name}]\nunits = [{}]", quoted(unit));
        }
        _ => {
            let _ = writeln!(text, "[input.file.{name}]");
            let paths: Vec<_> = source.places.iter().map(|place| quoted(&place.to_string())).collect();
            match &paths[..] {
                [path] => drop(writeln!(text, "paths = [{path}]")),
                paths => drop(writeln!(text, "paths = [\n    {},\n]", paths.join(",\n    "))),
            }
        }
    }
    if let Some(shape) = &source.looked.shape {
        let _ = writeln!(text, "log_format = {}", quoted(&shape.spec));
    }
}

/// How well its lines were understood, in words.
#[must_use]
pub fn understood(source: &Source) -> Option<String> {
    let looked = &source.looked;
    let called = looked.shape.as_ref().map(|shape| one_line(&shape.called))?;
    if source.is_errors {
        return Some("an error log: why upstreams failed, beside the requests".to_owned());
    }
    let kind = if looked.is_detected { "detected, not as configured:" } else { "format" };
    Some(match looked.share() {
        Some(share) => {
            let percent = percent(share);
            let lines = looked.lines;
            format!(
                "{kind} `{called}`, {percent} of {lines} line{} parsed",
                if lines == 1 { "" } else { "s" }
            )
        }
        None if looked.files > looked.unreadable.len() || looked.files == 0 && is_file(source) => {
            format!("{kind} `{called}`, no requests in it yet")
        }
        None => format!("{kind} `{called}`"),
    })
}

fn is_file(source: &Source) -> bool {
    source.places.iter().any(|place| matches!(place, Place::File(_)))
}

/// With one digit behind the point, and never rounded up to all.
#[must_use]
pub fn percent(share: f64) -> String {
    if share >= 1.0 { "100 %".to_owned() } else { format!("{:.1} %", (share * 1000.0).floor() / 10.0) }
}

/// What is not read is said where somebody would look for it.
fn not_followed(text: &mut String, found: &Found) {
    for log in &found.logs {
        let why = match (&log.left_out, &log.place) {
            (Some(why), _) => why.clone(),
            (None, place) if !place.is_readable() => "it cannot be read from here".to_owned(),
            (None, _) if log.is_errors && !is_known(log) => "an error log".to_owned(),
            (None, _) => continue,
        };
        let _ = writeln!(
            text,
            "# Not followed: {} ({}): {}",
            one_line(&log.place.to_string()),
            one_line(&log.at.to_string()),
            one_line(&why)
        );
    }
}

fn is_known(log: &Log) -> bool {
    log.shapes.iter().any(|shape| tells_upstream(&shape.spec).is_some())
}

/// Addresses that stand in a log, with the pools that they belong to.
fn addresses(installed: &[Installed]) -> Vec<(&str, Vec<&str>)> {
    let mut table: Vec<(&str, Vec<&str>)> = Vec::new();
    for pool in installed.iter().flat_map(|one| &one.found.pools) {
        let is_word = |word: &String| !word.is_empty() && !word.contains(char::is_control);
        for address in pool.addresses.iter().filter(|address| is_word(address) && is_word(&pool.name)) {
            match table.iter_mut().find(|known| known.0 == address) {
                Some((_, pools)) if pools.contains(&pool.name.as_str()) => {}
                Some((_, pools)) => pools.push(&pool.name),
                None => table.push((address, vec![&pool.name])),
            }
        }
    }
    table
}

fn pools(text: &mut String, installed: &[Installed]) {
    let table = addresses(installed);
    if table.is_empty() {
        return;
    }
    text.push_str("\n# Which pool a server belongs to.\n[pools]\n");
    for (address, pools) in table {
        match &pools[..] {
            [pool] => drop(writeln!(text, "{} = {}", quoted(address), quoted(pool))),
            // In two pools an address tells neither.
            pools => drop(writeln!(text, "# {} is in {}", one_line(address), one_line(&pools.join(", ")))),
        }
    }
}

/// How many upstreams in how many pools, in words; `None`: there are none.
#[must_use]
pub fn counted(pools: &[Pool]) -> Option<String> {
    let servers: usize = pools.iter().map(|pool| pool.servers).sum();
    let many = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    (servers > 0).then(|| format!("{} in {}", many(servers, "upstream"), many(pools.len(), "pool")))
}

/// "2 sources, nginx format `main`, 99.8 % parsed, 14 upstreams in 3 pools"
#[must_use]
pub fn summary(installed: &[Installed], sources: &[Source]) -> String {
    let mut parts = vec![match sources.len() {
        0 => "no source yet".to_owned(),
        1 => "1 source".to_owned(),
        count => format!("{count} sources"),
    }];
    for source in sources.iter().filter(|s| !s.is_errors) {
        if let Some(shape) = &source.looked.shape {
            let share =
                source.looked.share().map_or(String::new(), |share| format!(", {} parsed", percent(share)));
            parts.push(format!("{} format `{}`{share}", source.product.title, shape.called));
        }
    }
    let pools: Vec<_> = installed.iter().flat_map(|one| one.found.pools.iter().cloned()).collect();
    parts.extend(counted(&pools));
    parts.join(", ")
}

/// A comment must not end before its line does.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// A TOML string, in single quotes where that saves escapes.
fn quoted(text: &str) -> String {
    let is_plain = !text.chars().any(char::is_control);
    if is_plain && text.contains(['"', '\\']) {
        if !text.contains('\'') {
            return format!("'{text}'");
        }
        // One quote more at an end is part of the text.
        if !text.contains("'''") && !text.ends_with("''") && !text.starts_with("''") {
            return format!("'''{text}'''");
        }
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
