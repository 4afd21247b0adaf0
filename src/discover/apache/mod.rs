//! Apache: `LogFormat`, `CustomLog` and `ErrorLog` of the main server and of each virtual host, balancers.

mod envvars;

use super::host::{Host, is_pattern};
use super::lines::{Opened, absolute, folder, included};
use super::places::{self, Sender};
use super::{Found, Log, Place, Pool, Product, Remark, Shape, Spot, tells_upstream};
use crate::wiring;
use std::collections::HashMap;

/// Apache
pub const PRODUCT: Product = Product {
    name: "apache",
    title: "Apache",
    summary: "apache2.conf or httpd.conf with what it includes and envvars: LogFormat, CustomLog, ErrorLog, balancers",
    configurations: &[
        "/etc/apache2/apache2.conf",
        "/etc/httpd/conf/httpd.conf",
        "/etc/apache2/httpd.conf",
        "/usr/local/apache2/conf/httpd.conf",
    ],
    read,
    advice: Some(wiring::APACHE_ADVICE),
};

/// `CustomLog`, `TransferLog` or `GlobalLog`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Custom {
    place: String,
    /// A name, or the format itself.
    format: String,
    condition: Option<String>,
    at: Spot,
}

/// The main server (the first one) or a virtual host.
#[derive(Debug, Default)]
struct Server {
    customs: Vec<Custom>,
    errors: Vec<(String, Spot)>,
}

struct Apache<'a> {
    host: &'a dyn Host,
    root: String,
    unit: &'static str,
    variables: HashMap<String, String>,
    formats: HashMap<String, String>,
    servers: Vec<Server>,
    globals: Vec<Custom>,
    inside: usize,
    pools: Vec<Pool>,
    in_pool: bool,
    buffered: Option<Spot>,
    opened: Opened,
}

fn read(host: &dyn Host, config: &str, found: &mut Found) {
    let folder = folder(config);
    let mut apache = Apache {
        host,
        root: folder.strip_suffix("/conf").unwrap_or(folder).to_owned(),
        unit: if config.contains("/httpd") { "httpd.service" } else { "apache2.service" },
        variables: envvars::variables(&host.text(&format!("{folder}/envvars")).unwrap_or_default()),
        formats: HashMap::from([("clf".to_owned(), r#"%h %l %u %t "%r" %>s %b"#.to_owned())]),
        servers: vec![Server::default()],
        globals: Vec::new(),
        inside: 0,
        pools: Vec::new(),
        in_pool: false,
        buffered: None,
        opened: Opened::default(),
    };
    apache.file(config, &Spot { file: config.to_owned(), line: 0 }, found);
    apache.conclude(found);
}

impl Apache<'_> {
    fn file(&mut self, path: &str, from: &Spot, found: &mut Found) {
        let Some(text) = self.opened.text(self.host, path, from, found) else { return };
        let mut long = String::new();
        let mut first = 0;
        for (number, line) in text.lines().enumerate() {
            if long.is_empty() {
                first = number + 1;
            }
            if let Some(part) = line.strip_suffix('\\') {
                long.push_str(part);
                continue;
            }
            long.push_str(line);
            let at = Spot { file: path.to_owned(), line: first };
            self.line(std::mem::take(&mut long).trim(), &at, found);
        }
        self.opened.done();
    }

    fn line(&mut self, line: &str, at: &Spot, found: &mut Found) {
        if line.starts_with('#') {
            return;
        }
        let words = words(&self.expanded(line));
        let Some((name, args)) = words.split_first() else { return };
        let arg = |i: usize| args.get(i).cloned().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "serverroot" => self.root = arg(0),
            "define" => _ = self.variables.insert(arg(0), arg(1)),
            "include" | "includeoptional" => {
                let is_optional = name.eq_ignore_ascii_case("IncludeOptional");
                self.include(&arg(0), is_optional, at, found);
            }
            "<virtualhost" => {
                self.servers.push(Server::default());
                self.inside = self.servers.len() - 1;
            }
            "</virtualhost>" => self.inside = 0,
            "<proxy" => self.begin_pool(arg(0).trim_end_matches('>')),
            "</proxy>" => self.in_pool = false,
            "balancermember" => self.member(args),
            // Without a name it is what TransferLog writes.
            "logformat" => {
                let name = if args.len() > 1 { arg(1) } else { "clf".to_owned() };
                self.formats.insert(name, arg(0));
            }
            "bufferedlogs" if arg(0).eq_ignore_ascii_case("on") => self.buffered = Some(at.clone()),
            "customlog" | "transferlog" | "globallog" => self.custom(&name.to_ascii_lowercase(), args, at),
            "errorlog" => {
                let inside = self.inside;
                let errors = self.servers.get_mut(inside).map(|server| &mut server.errors);
                errors.into_iter().for_each(|errors| errors.push((arg(0), at.clone())));
            }
            _ => {}
        }
    }

    /// `${NAME}`, where it is set.
    fn expanded(&self, line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            match after.split_once('}').and_then(|(name, behind)| Some((self.variables.get(name)?, behind))) {
                Some((value, behind)) => {
                    out.push_str(value);
                    rest = behind;
                }
                None => {
                    out.push_str("${");
                    rest = after;
                }
            }
        }
        out + rest
    }

    fn include(&mut self, pattern: &str, is_optional: bool, at: &Spot, found: &mut Found) {
        let pattern = absolute(pattern, &self.root);
        let names = if is_optional || is_pattern(&pattern) {
            self.host.names(&pattern)
        } else {
            included(self.host, &pattern, at, found)
        };
        for name in names {
            // A directory means all that is in it.
            let inside = self.host.names(&format!("{}/*", name.trim_end_matches('/')));
            if inside.is_empty() {
                self.file(&name, at, found);
            }
            for name in inside {
                self.file(&name, at, found);
            }
        }
    }

    fn custom(&mut self, directive: &str, args: &[String], at: &Spot) {
        let arg = |i: usize| args.get(i).cloned().unwrap_or_default();
        let has_format = directive != "transferlog";
        let condition =
            args.iter().skip(2).find(|a| a.starts_with("env=") || a.starts_with("expr=")).cloned();
        let format = if has_format && args.len() > 1 { arg(1) } else { "clf".to_owned() };
        let custom = Custom { place: arg(0), format, condition, at: at.clone() };
        if directive == "globallog" {
            self.globals.push(custom);
        } else if let Some(server) = self.servers.get_mut(self.inside) {
            server.customs.push(custom);
        }
    }

    fn begin_pool(&mut self, name: &str) {
        if let Some(name) = name.strip_prefix("balancer://") {
            let name = name.trim_end_matches('/').to_owned();
            self.pools.push(Pool { name, ..Pool::default() });
            self.in_pool = true;
        }
    }

    /// `BalancerMember [balancer://pool] http://10.0.0.1:8080 …`
    fn member(&mut self, args: &[String]) {
        let mut args = args.iter().map(String::as_str).peekable();
        if let Some(name) = args.peek().and_then(|first| first.strip_prefix("balancer://")) {
            let name = name.trim_end_matches('/').to_owned();
            if !self.pools.iter().any(|pool| pool.name == name) {
                self.pools.push(Pool { name: name.clone(), ..Pool::default() });
            }
            let at = self.pools.iter().position(|pool| pool.name == name).unwrap_or_default();
            let last = self.pools.len() - 1;
            self.pools.swap(at, last);
            args.next();
        } else if !self.in_pool {
            return;
        }
        let (Some(pool), Some(url)) = (self.pools.last_mut(), args.next()) else { return };
        pool.servers += 1;
        let Some((_, rest)) = url.split_once("://") else { return };
        let address = rest.split('/').next().unwrap_or_default();
        if !address.is_empty() {
            pool.addresses.push(address.to_owned());
        }
    }

    fn shape(&self, custom: &Custom) -> Option<Shape> {
        let called = custom.format.clone();
        if called.contains('%') {
            return Some(Shape { called: "CustomLog".to_owned(), spec: spec(&called) });
        }
        self.formats.get(&called).map(|format| Shape { spec: spec(format), called })
    }

    fn conclude(&mut self, found: &mut Found) {
        found.pools.append(&mut self.pools);
        let global = self.globals.first().map(|global| global.place.clone());
        let globals = std::mem::take(&mut self.globals);
        let servers = std::mem::take(&mut self.servers);
        let mut all = vec![globals];
        all.extend(servers.iter().map(|server| server.customs.clone()));
        for (i, customs) in all.iter().enumerate() {
            let best = self.best(customs);
            for (j, custom) in customs.iter().enumerate() {
                let same = match (&global, best) {
                    (Some(global), _) if i > 0 => Some(global.clone()),
                    (_, Some(best)) if best != j => customs.get(best).map(|best| best.place.clone()),
                    _ => None,
                };
                self.log(custom, same, found);
            }
        }
        for (written, at) in servers.iter().flat_map(|server| &server.errors) {
            let Some(place) = self.place(written, "error") else { continue };
            if !found.logs.iter().any(|log| log.place == place) {
                let shapes = vec![Shape { called: "ErrorLog".to_owned(), spec: "apache-error".to_owned() }];
                let (at, warnings) = (at.clone(), Vec::new());
                found.log(Log { place, shapes, is_errors: true, held: 0, at, left_out: None, warnings });
            }
        }
        if !found.logs.iter().any(|log| !log.is_errors) {
            let at = Spot { file: found.config.clone(), line: 0 };
            found.remark(&at, "there is no CustomLog: requests are not logged");
        }
    }

    /// Of several logs of the same requests, which one; `None`: each may hold what the others do not.
    fn best(&self, customs: &[Custom]) -> Option<usize> {
        let whole = customs.iter().enumerate().filter(|(_, custom)| custom.condition.is_none());
        let rank = |(_, custom): &(usize, &Custom)| {
            let is_file = matches!(self.place(&custom.place, ""), Some(Place::File(_)));
            let tells = self.shape(custom).map(|shape| tells_upstream(&shape.spec));
            (!is_file, tells != Some(Some(true)), !matches!(tells, Some(Some(_))))
        };
        whole.min_by_key(rank).map(|(i, _)| i)
    }

    fn log(&self, custom: &Custom, same: Option<String>, found: &mut Found) {
        let at = &custom.at;
        let Some(place) = self.place(&custom.place, "access") else { return };
        let shape = self.shape(custom);
        if shape.is_none() {
            found.remark(at, format!("LogFormat {} is not there", custom.format));
        }
        let mut warnings = Vec::new();
        if let Some(condition) = &custom.condition {
            let text = format!(
                "CustomLog has {condition}: requests that it leaves out are not counted, so ratios are wrong"
            );
            let help = "log every request, at least every failure and every proxied one".to_owned();
            warnings.push(Remark { at: at.clone(), text, help });
        }
        if let Some(at) = &self.buffered {
            let text = "BufferedLogs On: lines come when 4 kB are full, minutes late".to_owned();
            warnings.push(Remark { at: at.clone(), text, help: "BufferedLogs Off".to_owned() });
        }
        let left_out = same.map(|best| format!("the same requests as in {best}"));
        let shapes = shape.into_iter().collect();
        found.log(Log { place, shapes, is_errors: false, held: 0, at: at.clone(), left_out, warnings });
    }

    /// What is written where; `None`: nowhere.
    fn place(&self, written: &str, kind: &str) -> Option<Place> {
        if written.is_empty() || written == "/dev/null" {
            return None;
        }
        let sender = Sender { program: "apache2", unit: self.unit, facility: "local7" };
        if let Some(program) = written.strip_prefix('|') {
            return Some(piped(self.host, program, sender));
        }
        if kind == "error" && (written == "syslog" || written.starts_with("syslog:")) {
            let facility = written.split(':').nth(1).filter(|f| !f.is_empty()).unwrap_or(sender.facility);
            return Some(places::system(self.host, Sender { facility, ..sender }));
        }
        if written.starts_with("/proc/self/fd/") || matches!(written, "/dev/stdout" | "/dev/stderr") {
            return Some(places::output(self.unit));
        }
        if written.contains("${") {
            return Some(Place::Elsewhere(format!("{written}, which no file of the configuration explains")));
        }
        Some(Place::File(places::literal(&absolute(written, &self.root))))
    }
}

/// What the programs that logs are piped into make of them, as far as they are known.
fn piped(host: &dyn Host, command: &str, sender: Sender<'_>) -> Place {
    let command = command.trim_start_matches(['|', '$', ' ']);
    let words = words(command);
    let mut args = words.iter().map(String::as_str);
    let program = args.next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    match program {
        "rotatelogs" | "cronolog" => {
            let Some(path) = args.find(|arg| arg.starts_with('/')) else {
                return Place::Elsewhere(format!("a pipe into {program}"));
            };
            // rotatelogs adds the time where the name has none.
            let pattern = stamped(path);
            Place::File(if pattern.contains('*') || program == "cronolog" { pattern } else { pattern + ".*" })
        }
        "logger" => {
            let args: Vec<&str> = args.collect();
            let option = |name: &str| {
                args.iter().position(|arg| *arg == name).and_then(|at| args.get(at + 1)).copied()
            };
            let facility = option("-p").and_then(|p| p.split('.').next()).unwrap_or("user");
            let program = option("-t").unwrap_or("logger");
            places::system(host, Sender { program, facility, ..sender })
        }
        _ => Place::Elsewhere(format!("a pipe into {program}")),
    }
}

/// strftime's letters match anything.
fn stamped(path: &str) -> String {
    let mut pattern = String::new();
    for (i, part) in path.split('%').enumerate() {
        if i == 0 {
            pattern.push_str(&places::literal(part));
            continue;
        }
        if !pattern.ends_with('*') {
            pattern.push('*');
        }
        let mut rest = part.chars();
        rest.next();
        pattern.push_str(&places::literal(rest.as_str()));
    }
    pattern
}

/// The format as one `--log-format`, in the quotes that Apache itself would want.
fn spec(format: &str) -> String {
    let escaped = format.replace('\\', "\\\\").replace('"', "\\\"");
    format!("apache:LogFormat \"{escaped}\"")
}

/// Words of a line; within quotes, backslashes before the quote and before themselves are taken off.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quote = Some(first).filter(|c| matches!(c, '"' | '\''));
        let mut chars = rest.char_indices().skip(usize::from(quote.is_some())).peekable();
        let mut word = String::new();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|next| next.1);
            match quote {
                _ if c == '\\' && next.is_some() && (next == Some('\\') || next == quote) => {
                    word.extend(next);
                    chars.next();
                }
                Some(quote) if c == quote => {
                    end = at + 1;
                    break;
                }
                None if c.is_whitespace() => {
                    end = at;
                    break;
                }
                _ => word.push(c),
            }
        }
        words.push(word);
        rest = rest.get(end..).unwrap_or_default().trim_start();
    }
    words
}
