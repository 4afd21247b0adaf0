//! HAProxy: where each frontend logs, as which format, by its own words, its defaults section's and the global ones.

use super::host::Host;
use super::lines::{Opened, folder};
use super::places::{self, Sender};
use super::{Found, Log, Place, Pool, Product, Remark, Shape, Spot};

/// HAProxy
pub const PRODUCT: Product = Product {
    name: "haproxy",
    title: "HAProxy",
    summary: "haproxy.cfg and conf.d: log targets, formats and their defaults sections, backends; rsyslog's files",
    configurations: &["/etc/haproxy/haproxy.cfg", "/usr/local/etc/haproxy/haproxy.cfg"],
    read,
    advice: Some(ADVICE),
};

const ADVICE: &str = "to see which server and why, log requests in full: in `defaults`, or in each frontend\n\
                      option httplog";

const SENDER: Sender<'_> = Sender { program: "haproxy", unit: "haproxy.service", facility: "local0" };

/// The levels that let a finished request through, and all below.
const LOUD: [&str; 2] = ["info", "debug"];

/// `log <address> …`, but for `log global`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    address: String,
    facility: String,
    /// Only messages as grave as that.
    level: Option<String>,
    sample: Option<String>,
    at: Spot,
}

/// How a proxy logs a request, where that is said; else it logs who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// One of those that have a name.
    Option(String),
    /// `log-format`
    Format(String),
}

/// A section's words about logging; `None`, empty: it says nothing.
#[derive(Clone, Debug, Default)]
struct Section {
    kind: String,
    name: String,
    at: Spot,
    targets: Vec<Target>,
    is_global: bool,
    line: Option<(Line, Spot)>,
    only_failures: Option<Spot>,
    separate_errors: Option<Spot>,
    silent: Option<Spot>,
    servers: Vec<String>,
    server_count: usize,
}

fn read(host: &dyn Host, config: &str, found: &mut Found) {
    let mut files = vec![config.to_owned()];
    // Where packages put further files that belong to the first.
    files.extend(host.names(&format!("{}/conf.d/*.cfg", folder(config))));
    let mut sections: Vec<Section> = Vec::new();
    let mut opened = Opened::default();
    for path in files {
        let at = Spot { file: path.clone(), line: 0 };
        let Some(text) = opened.text(host, &path, &at, found) else { continue };
        for (number, line) in text.lines().enumerate() {
            let at = Spot { file: path.clone(), line: number + 1 };
            let words = words(line);
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            let is_no = words.first() == Some(&"no");
            if is_no {
                words.remove(0);
            }
            take(&mut sections, &words, is_no, &at);
        }
        opened.done();
    }
    let global = sections.iter().find(|s| s.kind == "global").map(|s| s.targets.clone()).unwrap_or_default();
    for section in &sections {
        match section.kind.as_str() {
            "frontend" => frontend(host, section, &global, found),
            "listen" => {
                frontend(host, section, &global, found);
                found.pools.extend(pool(section));
            }
            "backend" => found.pools.extend(pool(section)),
            _ => {}
        }
    }
    if found.logs.is_empty() {
        nothing_yet(host, &sections, &global, found);
    }
    mixed(found);
}

const SECTIONS: [&str; 5] = ["global", "defaults", "frontend", "backend", "listen"];
/// Sections that say nothing about requests' logs.
const OTHERS: [&str; 11] = [
    "peers",
    "userlist",
    "mailers",
    "resolvers",
    "program",
    "cache",
    "ring",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-store",
];

/// Takes one line in.
fn take(sections: &mut Vec<Section>, words: &[&str], is_no: bool, at: &Spot) {
    let Some((&keyword, args)) = words.split_first() else { return };
    if SECTIONS.contains(&keyword) || OTHERS.contains(&keyword) {
        let section = begun(sections, keyword, args, at);
        sections.push(section);
        return;
    }
    let Some(section) = sections.last_mut() else { return };
    let arg = |i: usize| args.get(i).copied().unwrap_or_default();
    match (keyword, arg(0)) {
        ("log", _) if is_no => (section.targets, section.is_global) = (Vec::new(), false),
        ("log", "global") => section.is_global = true,
        ("log", address) => section.targets.push(target(address, args, at)),
        ("log-format", format) => section.line = Some((Line::Format(format.to_owned()), at.clone())),
        ("option", "httplog") => {
            let name = if arg(1) == "clf" { "httplog clf" } else { "httplog" };
            section.option(name, is_no, at);
        }
        ("option", name @ ("tcplog" | "httpslog")) => section.option(name, is_no, at),
        ("option", "dontlog-normal") => section.only_failures = (!is_no).then(|| at.clone()),
        ("option", "log-separate-errors") => section.separate_errors = (!is_no).then(|| at.clone()),
        ("http-request" | "http-response" | "tcp-request", _)
            if args.windows(2).any(|pair| pair == ["set-log-level", "silent"]) =>
        {
            section.silent = Some(at.clone());
        }
        ("server", _) => {
            section.server_count += 1;
            section.servers.push(arg(1).to_owned());
        }
        ("server-template", _) => {
            let count = arg(1).rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(1usize);
            section.server_count += count.min(10_000);
        }
        _ => {}
    }
}

/// A section, with what its defaults say.
fn begun(sections: &[Section], kind: &str, args: &[&str], at: &Spot) -> Section {
    let name = args.first().copied().unwrap_or_default();
    let from = args.windows(2).find_map(|pair| pair.first().filter(|w| **w == "from").and(pair.get(1)));
    let mut defaults = sections.iter().rev().filter(|s| s.kind == "defaults");
    let inherits = kind != "global" && !OTHERS.contains(&kind) && (kind != "defaults" || from.is_some());
    let base = match from {
        Some(name) => defaults.find(|s| s.name == *name),
        None => defaults.next(),
    };
    let base = base.filter(|_| inherits).cloned().unwrap_or_default();
    let (servers, server_count) = (Vec::new(), 0);
    Section { kind: kind.to_owned(), name: name.to_owned(), at: at.clone(), servers, server_count, ..base }
}

impl Section {
    fn option(&mut self, name: &str, is_no: bool, at: &Spot) {
        let line = Line::Option(name.to_owned());
        if !is_no {
            self.line = Some((line, at.clone()));
        } else if self
            .line
            .as_ref()
            .is_some_and(|l| matches!(&l.0, Line::Option(was) if was.starts_with(name)))
        {
            self.line = None;
        }
    }
}

/// `log <address> [len <n>] [format <f>] [sample <ranges>:<n>] <facility> [<level> [<minimum>]]`
fn target(address: &str, args: &[&str], at: &Spot) -> Target {
    let mut target = Target {
        address: address.to_owned(),
        facility: String::new(),
        level: None,
        sample: None,
        at: at.clone(),
    };
    let mut rest = args.iter().skip(1);
    while let Some(word) = rest.next() {
        match *word {
            "len" | "format" | "profile" => _ = rest.next(),
            "sample" => target.sample = rest.next().map(|s| (*s).to_owned()),
            word if target.facility.is_empty() => target.facility = word.to_owned(),
            word => _ = target.level.get_or_insert_with(|| word.to_owned()),
        }
    }
    target
}

impl Target {
    /// Whether a request that ended well is sent.
    fn takes_requests(&self) -> bool {
        self.level.as_ref().is_none_or(|level| LOUD.contains(&level.as_str()))
    }

    fn place(&self, host: &dyn Host) -> Place {
        let sender = Sender { facility: &self.facility, ..SENDER };
        let address = self.address.as_str();
        if matches!(address, "stdout" | "stderr")
            || address.starts_with("fd@")
            || address.starts_with("ring@")
        {
            return places::output(SENDER.unit);
        }
        let prefixes = ["ipv4@", "ipv6@", "udp@", "udp4@", "udp6@", "uxdg@", "abns@"];
        let address = prefixes.iter().find_map(|p| address.strip_prefix(p)).unwrap_or(address);
        places::socket(host, address, sender)
    }
}

fn shape(line: Option<&(Line, Spot)>) -> Shape {
    match line.map(|l| &l.0) {
        Some(Line::Format(format)) => {
            Shape { called: "log-format".to_owned(), spec: format!("haproxy:{format}") }
        }
        Some(Line::Option(name)) => Shape { called: format!("option {name}"), spec: "haproxy".to_owned() },
        None => Shape { called: "default".to_owned(), spec: "haproxy".to_owned() },
    }
}

fn frontend(host: &dyn Host, section: &Section, global: &[Target], found: &mut Found) {
    let name = format!("{} {}", section.kind, section.name);
    let own = section.targets.iter();
    let all: Vec<&Target> = own.chain(global.iter().filter(|_| section.is_global)).collect();
    let mut targets = all.iter().filter(|t| t.takes_requests()).map(|t| (*t, t.place(host)));
    let Some((first, place)) = best(&mut targets) else {
        let why = if all.is_empty() { "has no log" } else { "logs only what is graver than a request" };
        found.remark(&section.at, format!("{name} {why}: its failures are not seen"));
        return;
    };
    let mut warnings = Vec::new();
    let mut warn = |at: &Spot, text: String, help: &str| {
        warnings.push(Remark { at: at.clone(), text, help: help.to_owned() });
    };
    if section.line.is_none() {
        let text = format!("{name} logs who connects, and neither status nor server");
        warn(&section.at, text, "option httplog, with mode tcp: option tcplog");
    }
    if let Some(at) = &section.only_failures {
        let text = format!(
            "{name} has option dontlog-normal: without the requests that went well, every ratio is wrong"
        );
        warn(at, text, "no option dontlog-normal");
    }
    if let Some(sample) = &first.sample {
        let text = format!("{name} logs a sample of its requests ({sample}): counts are that much too small");
        warn(&first.at, text, "log every request to one target");
    }
    if let Some(at) = &section.silent {
        let text = format!("{name} logs some requests not at all (set-log-level silent)");
        warn(at, text, "silence only what has no server behind it");
    }
    let same = all.iter().filter(|t| t.place(host) == place).count();
    if let Some(at) = section.separate_errors.as_ref().filter(|_| same > 1) {
        let text = format!(
            "{name} has option log-separate-errors and several log lines to one place: failures stand there twice"
        );
        warn(at, text, "leave one log line, or the option out");
    }
    let at = first.at.clone();
    let shapes = vec![shape(section.line.as_ref())];
    found.log(Log { place, shapes, is_errors: false, held: 0, at, left_out: None, warnings });
}

/// Each target gets every request: a file is best.
fn best<'t>(targets: &mut dyn Iterator<Item = (&'t Target, Place)>) -> Option<(&'t Target, Place)> {
    targets.min_by_key(|(target, place)| {
        let rank = match place {
            Place::File(_) => 0,
            Place::Journal(_) => 1,
            Place::Socket(_) => 2,
            Place::Elsewhere(_) => 3,
        };
        (rank, target.sample.is_some())
    })
}

/// The package as it comes has defaults and no frontend: what those will log is known all the same.
fn nothing_yet(host: &dyn Host, sections: &[Section], global: &[Target], found: &mut Found) {
    if sections.iter().any(|s| matches!(s.kind.as_str(), "frontend" | "listen")) {
        return;
    }
    let Some(defaults) = sections.iter().rev().find(|s| s.kind == "defaults") else { return };
    found.remark(&defaults.at, "there is no frontend yet");
    let own = defaults.targets.iter().chain(global.iter().filter(|_| defaults.is_global));
    let mut targets = own.filter(|t| t.takes_requests()).map(|t| (t, t.place(host)));
    if let Some((target, place)) = best(&mut targets) {
        let (at, shapes) = (target.at.clone(), vec![shape(defaults.line.as_ref())]);
        found.log(Log { place, shapes, is_errors: false, held: 0, at, left_out: None, warnings: Vec::new() });
    }
}

/// The formats that have names are read by one reader: together in a file they are no mixture.
fn mixed(found: &mut Found) {
    for log in &mut found.logs {
        let is_plain = log.shapes.iter().all(|shape| shape.spec == "haproxy");
        if is_plain && log.shapes.len() > 1 {
            let called: Vec<_> = log.shapes.iter().map(|s| s.called.clone()).collect();
            log.shapes = vec![Shape { called: called.join(", "), spec: "haproxy".to_owned() }];
            log.warnings.retain(|w| !w.text.contains("holds lines of two formats"));
        }
    }
}

/// Requests name their server as `backend/server`: addresses need no table.
fn pool(section: &Section) -> Option<Pool> {
    let pool = Pool { name: section.name.clone(), servers: section.server_count, addresses: Vec::new() };
    (section.server_count > 0).then_some(pool)
}

/// Words of a line, quotes and backslashes taken off; a `#` that begins a word ends the line.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
            (Some(q), c) if c == q => quote = None,
            (None | Some('"'), '\\') => {
                let meant = match chars.peek() {
                    Some(c @ (' ' | '\\' | '#' | '"' | '\'' | '$')) => Some(*c),
                    Some('t') => Some('\t'),
                    Some('n') => Some('\n'),
                    Some('r') => Some('\r'),
                    _ => None,
                };
                if meant.is_some() {
                    chars.next();
                }
                word.get_or_insert_default().push(meant.unwrap_or('\\'));
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_quotes() {
        let table: [(&str, &[&str]); 8] = [
            ("  log  global # more", &["log", "global"]),
            (r#"log-format "%ci %{+Q}r""#, &["log-format", "%ci %{+Q}r"]),
            (r"log-format %ci\ %b\#", &["log-format", "%ci %b#"]),
            (r#"a "b \"c\"\ #d" e#f"#, &["a", r#"b "c" #d"#, "e#f"]),
            (r"a 'b \ c' d\.e", &["a", r"b \ c", r"d\.e"]),
            (r#"a"b"'c'"#, &["abc"]),
            ("a \"open", &["a", "open"]),
            ("# nothing", &[]),
        ];
        for (line, expected) in table {
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
