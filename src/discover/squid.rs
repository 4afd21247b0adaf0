//! Squid: `logformat`, `access_log` in its old and its new way of writing, and what it does where none is set.

use super::host::{Host, is_pattern};
use super::lines::{Opened, absolute, folder, included};
use super::places::{self, Sender};
use super::{Found, Log, Place, Product, Remark, Shape, Spot, tells_upstream};
use std::collections::HashMap;

/// Squid
pub const PRODUCT: Product = Product {
    name: "squid",
    title: "Squid",
    summary: "squid.conf with what it includes: logformat, access_log with its modules and conditions, cache_peer",
    configurations: &["/etc/squid/squid.conf", "/usr/local/squid/etc/squid.conf", "/etc/squid3/squid.conf"],
    read,
    advice: Some(ADVICE),
};

const ADVICE: &str = "to see which peer or server, and why, use the native format with the error's code: add this and `access_log … gatewatch`\n\
     logformat gatewatch %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt %err_code/%err_detail";

/// Formats that Squid brings along.
const BUILT_IN: [&str; 6] = ["squid", "common", "combined", "referrer", "useragent", "icap_squid"];
const DEFAULT: &str = "/var/log/squid/access.log";

struct Access {
    place: String,
    format: String,
    /// Only requests that these match.
    acls: Vec<String>,
    at: Spot,
}

struct Squid<'a> {
    host: &'a dyn Host,
    folder: String,
    formats: HashMap<String, String>,
    logs: Vec<Access>,
    is_none: Option<Spot>,
    buffered: Option<Spot>,
    opened: Opened,
}

fn read(host: &dyn Host, config: &str, found: &mut Found) {
    let mut squid = Squid {
        host,
        folder: folder(config).to_owned(),
        formats: HashMap::new(),
        logs: Vec::new(),
        is_none: None,
        buffered: None,
        opened: Opened::default(),
    };
    let start = Spot { file: config.to_owned(), line: 0 };
    squid.file(config, &start, found);
    if squid.logs.is_empty() && squid.is_none.is_none() {
        let place = if config.starts_with("/usr/local/squid") {
            "/usr/local/squid/var/logs/access.log"
        } else {
            DEFAULT
        };
        let format = "squid".to_owned();
        squid.logs.push(Access { place: place.to_owned(), format, acls: Vec::new(), at: start });
    }
    squid.conclude(found);
}

impl Squid<'_> {
    fn file(&mut self, path: &str, from: &Spot, found: &mut Found) {
        let Some(text) = self.opened.text(self.host, path, from, found) else { return };
        for (number, line) in text.lines().enumerate() {
            let at = Spot { file: path.to_owned(), line: number + 1 };
            let line = line.trim();
            let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let rest = rest.trim();
            match name {
                "include" => {
                    for pattern in rest.split_whitespace() {
                        let pattern = absolute(pattern.trim_matches('"'), &self.folder);
                        let names = if is_pattern(&pattern) {
                            self.host.names(&pattern)
                        } else {
                            included(self.host, &pattern, &at, found)
                        };
                        names.iter().for_each(|name| self.file(name, &at, found));
                    }
                }
                "logformat" => {
                    if let Some((name, format)) = rest.split_once(char::is_whitespace) {
                        let format = format.trim().trim_start_matches('"').trim_end_matches('"');
                        self.formats.insert(name.to_owned(), format.to_owned());
                    }
                }
                "access_log" | "cache_access_log" => self.access(rest, &at),
                "buffered_logs" => self.buffered = (rest == "on").then(|| at.clone()),
                _ => {}
            }
        }
        self.opened.done();
    }

    /// `none [acl …]` · `place [format [acl …]]` · `place [logformat=name] [option=value …] [acl …]`
    fn access(&mut self, rest: &str, at: &Spot) {
        let mut words = rest.split_whitespace().take_while(|word| !word.starts_with('#')).map(str::to_owned);
        let Some(place) = words.next() else { return };
        let mut words = words.peekable();
        if place == "none" {
            // With conditions it leaves out some requests of the logs behind it.
            let acls: Vec<_> = words.collect();
            if acls.is_empty() {
                self.is_none = Some(at.clone());
            }
            return;
        }
        let mut format = "squid".to_owned();
        let is_named = |word: &String| self.formats.contains_key(word) || BUILT_IN.contains(&word.as_str());
        if words.peek().is_some_and(is_named) {
            format = words.next().unwrap_or_default();
        }
        let mut acls = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some(("logformat", name)) => name.clone_into(&mut format),
                Some(_) => {}
                None => acls.push(word),
            }
        }
        self.logs.push(Access { place, format, acls, at: at.clone() });
    }

    fn shape(&self, format: &str) -> Option<Shape> {
        let called = format.to_owned();
        if let Some(text) = self.formats.get(format) {
            return Some(Shape { spec: format!("squid:logformat {format} {text}"), called });
        }
        let spec = if format == "squid" { "squid".to_owned() } else { format!("squid:{format}") };
        BUILT_IN.contains(&format).then_some(Shape { called, spec })
    }

    /// `stdio:/path`, `daemon:/path`, `syslog:facility.level`, `udp://host:port`, `/path`
    fn place(&self, written: &str) -> Option<Place> {
        let unit = "squid.service";
        let (module, rest) = match written.split_once(':') {
            Some((module, rest)) if !module.contains('/') => (module, rest),
            _ => ("stdio", written),
        };
        match module {
            "syslog" => {
                let facility = rest.split(['.', '|']).next().unwrap_or_default();
                Some(places::system(self.host, Sender { program: "squid", unit, facility }))
            }
            "udp" => {
                let sender = Sender { program: "squid", unit, facility: "" };
                Some(places::socket(self.host, rest.trim_start_matches('/'), sender))
            }
            "tcp" => Some(Place::Elsewhere(format!("tcp:{rest}, a program's own socket"))),
            _ if rest.is_empty() || rest == "/dev/null" => None,
            _ if matches!(rest, "/dev/stdout" | "/dev/stderr" | "/proc/self/fd/1") => {
                Some(places::output(unit))
            }
            _ => Some(Place::File(places::literal(rest))),
        }
    }

    fn conclude(&self, found: &mut Found) {
        if let (Some(at), true) = (&self.is_none, self.logs.is_empty()) {
            found.remark(at, "access_log none: requests are not logged");
        }
        // Every log without a condition has every request: one of them is enough.
        let rank = |access: &&Access| {
            let is_file = matches!(self.place(&access.place), Some(Place::File(_)));
            (!is_file, self.shape(&access.format).and_then(|s| tells_upstream(&s.spec)) != Some(true))
        };
        let best = self.logs.iter().filter(|access| access.acls.is_empty()).min_by_key(rank);
        for access in &self.logs {
            let Some(place) = self.place(&access.place) else { continue };
            let shape = self.shape(&access.format);
            if shape.is_none() {
                found.remark(&access.at, format!("logformat {} is not there", access.format));
            }
            let other = best.filter(|best| best.at != access.at);
            let left_out = other.map(|best| format!("the same requests as in {}", best.place));
            let warnings = self.warnings(access);
            let shapes = shape.into_iter().collect();
            found.log(Log {
                place,
                shapes,
                is_errors: false,
                held: 0,
                at: access.at.clone(),
                left_out,
                warnings,
            });
        }
    }

    fn warnings(&self, access: &Access) -> Vec<Remark> {
        let mut warnings = Vec::new();
        if !access.acls.is_empty() {
            let acls = access.acls.join(" ");
            let text = format!(
                "access_log has acl {acls}: requests that it leaves out are not counted, so ratios are wrong"
            );
            let help = "log every request to one place".to_owned();
            warnings.push(Remark { at: access.at.clone(), text, help });
        }
        if let Some(at) = &self.buffered {
            let text = "buffered_logs on: lines come when a buffer is full, minutes late".to_owned();
            warnings.push(Remark { at: at.clone(), text, help: "buffered_logs off".to_owned() });
        }
        warnings
    }
}
