//! nginx: `log_format`, `access_log` as it is inherited, `error_log`, `upstream {}`.

mod access;
mod syntax;

use super::host::Host;
use super::lines::{absolute, folder};
use super::places::{self, Sender};
use super::{Found, Log, Place, Pool, Product, Remark, Shape, Spot};
use crate::wiring;
use access::{AccessLog, Formats, Walk};
use syntax::{Directive, Reader};

/// nginx
pub const PRODUCT: Product = Product {
    name: "nginx",
    title: "nginx",
    summary: "nginx.conf with what it includes: log_format, access_log, error_log, upstream blocks, stream, too",
    configurations: &[
        "/etc/nginx/nginx.conf",
        "/usr/local/openresty/nginx/conf/nginx.conf",
        "/usr/local/nginx/conf/nginx.conf",
        "/usr/local/etc/nginx/nginx.conf",
    ],
    read,
    advice: Some(wiring::NGINX_ADVICE),
};

const SENDER: Sender<'_> = Sender { program: "nginx", unit: "nginx.service", facility: "local7" };

/// What holds for the whole file.
struct Nginx<'a> {
    host: &'a dyn Host,
    /// Relative names of logs begin here.
    prefix: String,
}

fn read(host: &dyn Host, config: &str, found: &mut Found) {
    let start = Spot { file: config.to_owned(), line: 0 };
    let tree = Reader::new(host, folder(config)).file(config, &start, found);
    let nginx = Nginx { host, prefix: prefix(host, config) };
    let mut errors = Vec::new();
    let main =
        error_logs(&tree).unwrap_or_else(|| vec![(nginx.default_log("error.log"), start.clone(), "error")]);
    for directive in &tree {
        let is_stream = match directive.name.as_str() {
            "http" => false,
            "stream" => true,
            _ => continue,
        };
        nginx.part(directive, is_stream, found);
        nginx.errors(directive.inside(), &main, &mut errors);
        found.pools.extend(directive.inside().iter().filter_map(|d| pool(d, is_stream)));
    }
    for (place, at, level) in errors {
        nginx.error_log(&place, &at, &level, found);
    }
}

/// Where relative names begin: what nginx was built with, which its configuration's own place tells.
fn prefix(host: &dyn Host, config: &str) -> String {
    let folder = folder(config);
    if let Some(prefix) = folder.strip_suffix("/conf") {
        return prefix.to_owned();
    }
    // Debian's packages; nginx's own begin at /etc/nginx.
    let debian = "/usr/share/nginx";
    if host.has("/etc/nginx/sites-available") && host.has(debian) {
        debian.to_owned()
    } else {
        folder.to_owned()
    }
}

type ErrorLog<'t> = (String, Spot, &'t str);

/// The `error_log`s of one level; `None`: it inherits.
fn error_logs(level: &[Directive]) -> Option<Vec<ErrorLog<'_>>> {
    let own = level.iter().filter(|d| d.name == "error_log");
    let own: Vec<_> = own
        .map(|d| (d.arg(0).to_owned(), d.at.clone(), d.args.get(1).map_or("error", String::as_str)))
        .collect();
    (!own.is_empty()).then_some(own)
}

impl Nginx<'_> {
    /// A log that nobody configured is where nginx was built to put it.
    fn default_log(&self, name: &str) -> String {
        match self.prefix.as_str() {
            prefix if prefix.starts_with("/usr/local") => format!("{prefix}/logs/{name}"),
            _ => format!("/var/log/nginx/{name}"),
        }
    }

    /// `http { }` or `stream { }`.
    fn part(&self, part: &Directive, is_stream: bool, found: &mut Found) {
        let formats = Formats::of(part.inside(), is_stream, found);
        let mut top = Vec::new();
        // A stream is logged only where that is said.
        if !is_stream {
            top.push(AccessLog::default_at(self.default_log("access.log"), part.at.clone()));
        }
        let reach = |written: &str| match self.place(written) {
            Some(Place::File(_)) => 0,
            Some(Place::Journal(_)) => 1,
            Some(Place::Socket(_)) => 2,
            Some(Place::Elsewhere(_)) | None => access::UNREADABLE,
        };
        let mut walk = Walk::new(&formats, &reach);
        walk.block(part, &top, found);
        let used = walk.used.into_iter().map(|log| (log, None));
        let twice =
            walk.twice.into_iter().map(|(log, best)| (log, Some(format!("the same requests as in {best}"))));
        for (log, left_out) in used.chain(twice) {
            let Some(place) = self.place(&log.place) else { continue };
            let shapes = formats.shape(&log, found).into_iter().collect();
            let (warnings, held) = (log.warnings(), log.held());
            found.log(Log { place, shapes, is_errors: false, held, at: log.at, left_out, warnings });
        }
    }

    /// What is written where; `None`: nowhere.
    fn place(&self, written: &str) -> Option<Place> {
        if let Some(options) = written.strip_prefix("syslog:") {
            let option =
                |name| options.split(',').find_map(|o| o.trim().strip_prefix(name)?.strip_prefix('='));
            let sender = Sender {
                program: option("tag").unwrap_or(SENDER.program),
                facility: option("facility").unwrap_or(SENDER.facility),
                ..SENDER
            };
            return Some(places::socket(self.host, option("server")?, sender));
        }
        if written.is_empty() || written == "/dev/null" || written.starts_with("memory:") {
            return None;
        }
        if matches!(written, "/dev/stdout" | "/dev/stderr" | "stderr" | "/proc/self/fd/1" | "/proc/self/fd/2")
        {
            return Some(places::output(SENDER.unit));
        }
        Some(Place::File(places::pattern(&absolute(written, &self.prefix))))
    }

    /// Collects the error logs of servers and locations, each once.
    fn errors(
        &self,
        level: &[Directive],
        inherited: &[ErrorLog<'_>],
        into: &mut Vec<(String, Spot, String)>,
    ) {
        let own = error_logs(level);
        let here = own.as_deref().unwrap_or(inherited);
        for (place, at, word) in here {
            if !into.iter().any(|known| known.0 == *place) {
                into.push((place.clone(), at.clone(), (*word).to_owned()));
            }
        }
        for directive in level {
            if let "server" | "location" | "if" = directive.name.as_str() {
                self.errors(directive.inside(), here, into);
            }
        }
    }

    fn error_log(&self, written: &str, at: &Spot, word: &str, found: &mut Found) {
        let Some(place) = self.place(written) else { return };
        let mut warnings = Vec::new();
        if let "crit" | "alert" | "emerg" = word {
            let text = format!("error_log at level {word} leaves out why upstreams failed");
            warnings.push(Remark { at: at.clone(), text, help: format!("error_log {written} error;") });
        }
        // What shares a place with requests is read with them.
        if !found.logs.iter().any(|log| log.place == place) {
            let at = at.clone();
            let shapes = vec![shape("error_log", "nginx-error".to_owned())];
            found.log(Log { place, shapes, is_errors: true, held: 0, at, left_out: None, warnings });
        }
    }
}

/// `upstream name { server …; }`
fn pool(directive: &Directive, is_stream: bool) -> Option<Pool> {
    if directive.name != "upstream" {
        return None;
    }
    let mut pool = Pool { name: directive.arg(0).to_owned(), ..Pool::default() };
    for server in directive.inside().iter().filter(|d| d.name == "server") {
        pool.servers += 1;
        pool.addresses.extend(logged(server.arg(0), is_stream));
    }
    Some(pool)
}

/// An address as `$upstream_addr` has it; `None`: a name, which is logged as what it resolves to.
fn logged(server: &str, is_stream: bool) -> Option<String> {
    if server.starts_with("unix:") || server.parse::<std::net::SocketAddr>().is_ok() {
        return Some(server.to_owned());
    }
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    let is_address = bare.parse::<std::net::IpAddr>().is_ok();
    (is_address && !is_stream).then(|| format!("{server}:80"))
}

/// A shape that nginx's formats understand.
fn shape(name: &str, spec: String) -> Shape {
    Shape { called: name.to_owned(), spec }
}
