//! Configurations as tables: names and texts in, logs and pools out.

use super::*;
use std::io;

/// A host that is a table of paths and texts.
pub(super) struct Texts<'t>(pub(super) &'t [(&'t str, &'t str)]);

impl Host for Texts<'_> {
    fn text(&self, path: &str) -> io::Result<String> {
        let found = self.0.iter().find(|file| file.0 == path);
        found.map(|file| file.1.to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn names(&self, pattern: &str) -> Vec<String> {
        let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
        let Ok(pattern) = glob::Pattern::new(pattern) else { return Vec::new() };
        let names = self.0.iter().map(|file| file.0).filter(|name| pattern.matches_with(name, options));
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    fn has(&self, path: &str) -> bool {
        self.0.iter().any(|file| file.0 == path || file.0.starts_with(&format!("{path}/")))
    }

    fn sample(&self, path: &str) -> io::Result<host::Sample> {
        Ok(host::Sample { bytes: self.text(path)?.into_bytes(), modified: 1_795_000_000_000 })
    }
}

/// Everything that was found, a line each: what a table can be compared with.
fn shown(texts: &[(&str, &str)]) -> String {
    let mut lines = Vec::new();
    for Installed { product, found } in discover(&Texts(texts)) {
        for log in &found.logs {
            let shapes: Vec<_> = log.shapes.iter().map(|s| format!("{} = {}", s.called, s.spec)).collect();
            let kind = if log.is_errors { "errors" } else { "log" };
            let out = log.left_out.as_ref().map_or(String::new(), |why| format!(" ({why})"));
            let shapes = shapes.join(" | ");
            let held = if log.held > 0 { format!(" +{}ms", log.held) } else { String::new() };
            lines.push(
                format!("{} {kind} {} {shapes}{out}{held}", product.name, log.place).trim_end().to_owned(),
            );
            lines.extend(log.warnings.iter().map(|w| format!("  ! {}: {}", w.at, w.text)));
        }
        for pool in &found.pools {
            lines.push(format!("pool {} {} [{}]", pool.name, pool.servers, pool.addresses.join(" ")));
        }
        lines.extend(found.remarks.iter().map(|r| format!("? {}: {}", r.at, r.text)));
    }
    lines.join("\n")
}

fn expect(texts: &[(&str, &str)], lines: &[&str]) {
    let shown = shown(texts);
    assert_eq!(shown.lines().collect::<Vec<_>>(), lines, "{texts:#?}\n{shown}");
}

/// Whatever the files hold: something comes of it, and what is written is a configuration.
fn survives(texts: &[(&str, &str)]) {
    let host = Texts(texts);
    let installed = discover(&host);
    let sources = probe::sources(&host, &installed);
    let text = written::configuration(&installed, &sources);
    if let Err(problems) = crate::config::parse_str("written", &text) {
        panic!("{problems}\n{texts:?}\n{text}");
    }
}

/// The main files of the trees, with their names.
const WHOLE: [(&str, &str); 9] = [
    ("/etc/nginx/nginx.conf", include_str!("../../tests/discover/edge/etc/nginx/nginx.conf")),
    ("/etc/nginx/nginx.conf", include_str!("../../tests/discover/edge/etc/nginx/conf.d/api.conf")),
    ("/etc/haproxy/haproxy.cfg", include_str!("../../tests/discover/edge/etc/haproxy/haproxy.cfg")),
    ("/etc/apache2/apache2.conf", include_str!("../../tests/discover/apache2/etc/apache2/apache2.conf")),
    ("/etc/squid/squid.conf", include_str!("../../tests/discover/squid/etc/squid/squid.conf")),
    ("/etc/envoy/envoy.yaml", include_str!("../../tests/discover/envoy/etc/envoy/envoy.yaml")),
    ("/etc/caddy/Caddyfile", include_str!("../../tests/discover/caddy/etc/caddy/Caddyfile")),
    ("/etc/traefik/traefik.yml", include_str!("../../tests/discover/traefik/etc/traefik/traefik.yml")),
    ("/etc/rsyslog.conf", include_str!("../../tests/discover/haproxy/etc/rsyslog.conf")),
];

#[test]
fn a_file_that_is_cut_anywhere_is_no_reason_to_stop() {
    for (path, text) in WHOLE {
        let ends = (0..text.len()).step_by(1 + text.len() / 100).filter(|at| text.is_char_boundary(*at));
        for end in ends {
            survives(&[(path, &text[..end])]);
        }
    }
}

/// Words that mean something to somebody, and some that mean nothing.
const WORDS: &[&str] = &[
    "http",
    "server",
    "stream",
    "upstream",
    "{",
    "}",
    ";",
    "\n",
    " ",
    "access_log",
    "log_format",
    "error_log",
    "include",
    "'",
    "\"",
    "\\",
    "$",
    "${",
    "%",
    "*",
    "[",
    "#",
    "main",
    "/var/log/a.log",
    "syslog:server=127.0.0.1:5140",
    "combined",
    "off",
    "if=$x",
    "global\n",
    "defaults\n",
    "frontend f\n",
    "backend b\n",
    "log",
    "local0",
    "option httplog\n",
    "log-format",
    "stdout",
    "127.0.0.1",
    "CustomLog",
    "LogFormat",
    "<VirtualHost",
    "</VirtualHost>",
    "Define",
    "|/usr/bin/rotatelogs",
    "ErrorLog",
    "<Proxy balancer://b>",
    "BalancerMember",
    "logformat",
    "stdio:",
    "none",
    "acl",
    "- ",
    ": ",
    "access_log:\n",
    "typed_config:",
    "path:",
    "&a",
    "*a",
    "<<: ",
    "log {\n",
    "output file",
    "import",
    "(x) {\n",
    "accessLog:",
    "filePath:",
    "\u{0}",
    "\u{fffd}",
    "é",
    "10.0.0.1:80",
    "unix:/x",
    "<",
    "<a>",
    "?T",
    "$template T,",
    "local0.* /var/log/h.log\n",
];

proptest::proptest! {
    #[test]
    fn nothing_that_stands_there_is_a_reason_to_stop(
        picks in proptest::collection::vec(0..WORDS.len(), 0..60),
        spaced in proptest::bool::ANY,
    ) {
        let words: Vec<&str> = picks.iter().map(|i| WORDS[*i]).collect();
        let text = words.join(if spaced { " " } else { "" });
        let mut paths: Vec<&str> = PRODUCTS.iter().filter_map(|p| p.configurations.first().copied()).collect();
        paths.extend(["/etc/rsyslog.conf", "/etc/traefik/traefik.toml", "/etc/caddy/caddy.json", "/etc/apache2/envvars"]);
        let texts: Vec<(&str, &str)> = paths.into_iter().map(|path| (path, text.as_str())).collect();
        survives(&texts);
    }
}

mod apache;
mod haproxy;
mod nginx;
mod squid;
mod trees;
