//! `access_log`: which of them a request comes to, and how its lines look.

use super::shape;
use super::syntax::Directive;
use crate::discover::{Found, Remark, Shape, Spot, tells_upstream};
use std::collections::HashMap;

/// nginx's own.
const COMBINED: &str = "combined";
/// Where it is not set.
const BUFFER: &str = "64k";

/// What cannot be read from here.
pub(super) const UNREADABLE: u8 = 9;

/// One `access_log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AccessLog {
    /// As written: a path, `syslog:…`.
    pub(super) place: String,
    /// The name of its `log_format`.
    pub(super) format: String,
    pub(super) at: Spot,
    buffer: Option<String>,
    flush: Option<String>,
    condition: Option<String>,
}

impl AccessLog {
    pub(super) fn default_at(place: String, at: Spot) -> AccessLog {
        AccessLog { place, format: COMBINED.to_owned(), at, ..AccessLog::default() }
    }

    fn of(directive: &Directive) -> AccessLog {
        let mut log = AccessLog::default_at(directive.arg(0).to_owned(), directive.at.clone());
        for (i, arg) in directive.args.iter().enumerate().skip(1) {
            match arg.split_once('=') {
                Some(("buffer", size)) => log.buffer = Some(size.to_owned()),
                Some(("flush", time)) => log.flush = Some(time.to_owned()),
                Some(("if", condition)) => log.condition = Some(condition.to_owned()),
                Some(("gzip", _)) => _ = log.buffer.get_or_insert_with(|| BUFFER.to_owned()),
                None if arg == "gzip" => _ = log.buffer.get_or_insert_with(|| BUFFER.to_owned()),
                None if i == 1 => log.format.clone_from(arg),
                _ => {}
            }
        }
        log
    }

    /// How long lines wait in the buffer, where that is bounded.
    pub(super) fn held(&self) -> i64 {
        let flush = self.flush.as_deref().filter(|_| self.buffer.is_some());
        flush.and_then(millis).unwrap_or(0)
    }

    /// Why it does not tell everything, or not in time.
    pub(super) fn warnings(&self) -> Vec<Remark> {
        let mut warnings = Vec::new();
        let mut warn = |text: String, help: String| warnings.push(Remark { at: self.at.clone(), text, help });
        if let (Some(size), false) = (&self.buffer, self.flush.is_some()) {
            warn(
                format!(
                    "access_log has buffer={size} without flush=: lines come when {size} are full, minutes late"
                ),
                format!("access_log {} {} buffer={size} flush=1s;", self.place, self.format),
            );
        }
        if let Some(condition) = &self.condition {
            warn(
                format!(
                    "access_log has if={condition}: requests that it leaves out are not counted, so ratios are wrong"
                ),
                "log every request, at least every failure and every proxied one".to_owned(),
            );
        }
        warnings
    }
}

/// A time as nginx writes it: `500ms`, `5s`, `1m`, and `5` are seconds.
fn millis(time: &str) -> Option<i64> {
    let end = time.find(|c: char| !c.is_ascii_digit()).unwrap_or(time.len());
    let (digits, unit) = time.split_at(end);
    let unit = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(unit)
}

/// Goes through the blocks.
pub(super) struct Walk<'f> {
    formats: &'f Formats,
    /// How well a place can be read: 0 is best.
    reach: &'f dyn Fn(&str) -> u8,
    /// The logs that a request may come to, each once.
    pub(super) used: Vec<AccessLog>,
    /// Logs of requests that another log has as well, and which.
    pub(super) twice: Vec<(AccessLog, String)>,
}

impl<'f> Walk<'f> {
    pub(super) fn new(formats: &'f Formats, reach: &'f dyn Fn(&str) -> u8) -> Walk<'f> {
        Walk { formats, reach, used: Vec::new(), twice: Vec::new() }
    }

    /// A block and those within it; `above`: the logs that it inherits.
    pub(super) fn block(&mut self, block: &Directive, above: &[AccessLog], found: &mut Found) {
        let own: Vec<&Directive> = block.inside().iter().filter(|d| d.name == "access_log").collect();
        let off = own.iter().find(|d| d.arg(0) == "off");
        let here = match off {
            Some(_) => Vec::new(),
            None if own.is_empty() => above.to_vec(),
            None => self.best(own.iter().map(|d| AccessLog::of(d)).collect()),
        };
        // What stands in http { } is for the servers that say nothing else.
        let is_container = matches!(block.name.as_str(), "http" | "stream")
            && block.inside().iter().any(|d| d.name == "server");
        if !is_container {
            for log in &here {
                if !self.used.contains(log) {
                    self.used.push(log.clone());
                }
            }
        }
        if let Some(off) = off {
            unlogged(block, off, found);
        }
        for directive in block.inside() {
            if let "server" | "location" | "if" | "limit_except" = directive.name.as_str() {
                self.block(directive, &here, found);
            }
        }
    }

    /// Of several logs of the same requests, one: read twice, they would count twice.
    fn best(&mut self, logs: Vec<AccessLog>) -> Vec<AccessLog> {
        let rank = |log: &&AccessLog| {
            let reach = (self.reach)(&log.place);
            (reach == UNREADABLE, self.formats.rank(log), reach, log.buffer.is_some() && log.flush.is_none())
        };
        let whole = logs.iter().filter(|log| log.condition.is_none());
        // With conditions, each may hold what the others do not.
        let Some(best) = whole.min_by_key(rank).cloned() else { return logs };
        for log in logs.into_iter().filter(|log| *log != best) {
            self.twice.push((log, best.place.clone()));
        }
        vec![best]
    }
}

/// A location may well be left out; a whole server is worth saying.
fn unlogged(block: &Directive, off: &Directive, found: &mut Found) {
    match block.name.as_str() {
        "server" => {
            let name = block.inside().iter().find(|d| d.name == "server_name").map_or("", |d| d.arg(0));
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            found.remark(&off.at, format!("server{name} has access_log off: its failures are not seen"));
        }
        "http" => {
            found.remark(
                &off.at,
                "http has access_log off: servers without an access_log of their own are not seen",
            );
        }
        _ => {}
    }
}

/// The `log_format`s by their names.
pub(super) struct Formats {
    formats: HashMap<String, String>,
    is_stream: bool,
}

impl Formats {
    pub(super) fn of(part: &[Directive], is_stream: bool, found: &mut Found) -> Formats {
        let mut formats = HashMap::new();
        for directive in part.iter().filter(|d| d.name == "log_format") {
            let name = directive.arg(0).to_owned();
            if directive.args.len() < 2 {
                found.remark(&directive.at, format!("log_format {name} is empty"));
                continue;
            }
            formats.insert(name, written(directive));
        }
        Formats { formats, is_stream }
    }

    fn spec(&self, written: &str) -> String {
        format!("{}:{written}", if self.is_stream { "nginx-stream" } else { "nginx" })
    }

    /// How much a log tells: 0 is most.
    fn rank(&self, log: &AccessLog) -> u8 {
        let spec = self.formats.get(&log.format).map_or("nginx:combined".to_owned(), |text| self.spec(text));
        match tells_upstream(&spec) {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        }
    }

    /// How a log's lines look.
    pub(super) fn shape(&self, log: &AccessLog, found: &mut Found) -> Option<Shape> {
        if let Some(written) = self.formats.get(&log.format) {
            return Some(shape(&log.format, self.spec(written)));
        }
        if log.format == COMBINED && !self.is_stream {
            return Some(shape(COMBINED, "nginx:combined".to_owned()));
        }
        found.remark(&log.at, format!("log_format {} is not there", log.format));
        None
    }
}

/// The directive on one line, its text as one string.
fn written(directive: &Directive) -> String {
    let (mut escape, mut text) = (String::new(), String::new());
    for (i, arg) in directive.args.iter().enumerate().skip(1) {
        if i == 1 && arg.starts_with("escape=") {
            escape = format!("{arg} ");
        } else {
            text.push_str(arg);
        }
    }
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    format!("log_format {} {escape}'{quoted}'", directive.arg(0))
}
