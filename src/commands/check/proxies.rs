//! What the proxies' and logrotate's own configurations do to a log that is read: each a reason why counts would be
//! late, wrong or blind.

use crate::config::{self, Config, Input};
use crate::discover::host::Host;
use crate::discover::logrotate::Logrotate;
use crate::discover::written::late;
use crate::discover::{Installed, Log, Place, Product, Remark, Spot, discover};
use crate::inputs::streams::Kind;
use gatewatch_parsers::formats;

/// The warnings, an input after the other.
pub fn warnings(config: &Config, host: &dyn Host) -> Vec<String> {
    let installed = discover(host);
    let rotation = Logrotate::read(host);
    let mut warnings = Vec::new();
    for input in &config.inputs {
        let files = files(input, host);
        let mut said = Said { input: &input.name, warnings: &mut warnings };
        for file in &files {
            if let Some(at) = rotation.copytruncate(file) {
                said.copytruncate(file, at);
            }
        }
        for Installed { product, found } in &installed {
            for log in found.logs.iter().filter(|log| is_read(log, input, &files, host)) {
                log.warnings.iter().for_each(|warning| said.remark(warning));
                said.blind(product, log, input);
                said.late(log, config.agent.lateness);
            }
        }
    }
    warnings
}

/// The files that an input reads now.
fn files(input: &Input, host: &dyn Host) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for path in &input.paths {
        let glob = config::path_glob(path);
        let names = host.names(&glob);
        // A log that is not there yet is meant all the same.
        let names = if names.is_empty() { vec![glob] } else { names };
        files.extend(names.into_iter().filter(|name| !files.contains(name)).collect::<Vec<_>>());
    }
    files
}

/// Whether this input reads that log.
fn is_read(log: &Log, input: &Input, files: &[String], host: &dyn Host) -> bool {
    match (&log.place, &input.stream) {
        (Place::File(pattern), None) => {
            let is_named = |path: &String| glob::Pattern::new(path).is_ok_and(|p| p.matches(pattern));
            files.contains(pattern)
                || input.paths.iter().any(is_named)
                || host.names(pattern).iter().any(|file| files.contains(file))
        }
        (Place::Socket(listen), Some(Kind::Syslog(syslog))) => {
            syslog.listen.iter().any(|at| at.to_string() == *listen)
        }
        (Place::Journal(unit), Some(Kind::Journald(journal))) => journal.units.contains(unit),
        _ => false,
    }
}

struct Said<'a> {
    input: &'a str,
    warnings: &'a mut Vec<String>,
}

impl Said<'_> {
    fn push(&mut self, text: &str, at: &Spot, help: &str) {
        let mut said = format!("warning: input `{}`: {text}\n --> {at}\n", self.input);
        for line in help.lines() {
            said.push_str(&format!("  = {line}\n"));
        }
        if !self.warnings.contains(&said) {
            self.warnings.push(said);
        }
    }

    fn remark(&mut self, remark: &Remark) {
        self.push(&remark.text, &remark.at, &remark.help);
    }

    fn copytruncate(&mut self, file: &str, at: &Spot) {
        let text = format!("logrotate copies and truncates {file}: lines written in between are lost");
        self.push(&text, at, "create, and a postrotate that makes the proxy open its log anew");
    }

    /// Lines that come after their windows were judged.
    fn late(&mut self, log: &Log, lateness: i64) {
        if let Some(late) = late(log.held).filter(|_| lateness < log.held) {
            let text = format!(
                "{} is written with a delay of up to {} s, and `lateness` is less",
                log.place,
                log.held.div_euclid(1_000).max(1)
            );
            self.push(&text, &log.at, &format!("[agent] lateness = \"{late}s\", or a shorter delay"));
        }
    }

    /// A format that cannot name upstreams: the input's own, else the proxy's.
    fn blind(&mut self, product: &Product, log: &Log, input: &Input) {
        let shape = log.shapes.first();
        let Some(spec) = input.log_format.as_deref().or(shape.map(|s| s.spec.as_str())) else { return };
        let is_blind = formats::compile(spec).is_ok_and(|format| !format.knows_upstream());
        if let Some(advice) = product.advice.filter(|_| is_blind && !log.is_errors) {
            let called = shape.map_or(spec, |s| s.called.as_str());
            let text =
                format!("`{called}` does not name upstreams: failures are counted by site and node only");
            // Fifty logs of one format are told once.
            let beginning = format!("warning: input `{}`: {text}\n", self.input);
            if !self.warnings.iter().any(|said| said.starts_with(&beginning)) {
                self.push(&text, &log.at, advice);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Rooted;
    use std::fs;

    /// Warnings of a tree and a configuration, without their help.
    fn warned(tree: &[(&str, &str)], text: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in tree {
            let path = root.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let config = config::parse_str("x", text).unwrap();
        let all = warnings(&config, &Rooted::below(root.path()));
        let head = |said: String| said.lines().take(2).collect::<Vec<_>>().join("");
        all.into_iter().map(head).collect()
    }

    #[test]
    fn what_is_read_is_warned_of_and_nothing_else() {
        let nginx = "http {\n access_log /var/log/nginx/a.log combined buffer=64k;\n\
                     server { listen 80; }\n server { access_log /var/log/nginx/b.log combined gzip if=$x; }\n}\n";
        let haproxy = "global\n log 127.0.0.1:5140 local0\ndefaults\n log global\n option httplog\n option dontlog-normal\nfrontend f\n";
        let tree = [
            ("/etc/nginx/nginx.conf", nginx),
            ("/etc/haproxy/haproxy.cfg", haproxy),
            ("/etc/logrotate.d/nginx", "/var/log/nginx/*.log {\n copytruncate\n}\n"),
            ("/var/log/nginx/a.log", ""),
        ];
        let a = [
            "warning: input `e`: logrotate copies and truncates /var/log/nginx/a.log: lines written in between are lost --> /etc/logrotate.d/nginx:2",
            "warning: input `e`: access_log has buffer=64k without flush=: lines come when 64k are full, minutes late --> /etc/nginx/nginx.conf:2",
            "warning: input `e`: `combined` does not name upstreams: failures are counted by site and node only --> /etc/nginx/nginx.conf:2",
        ];
        assert_eq!(warned(&tree, "[input.file.e]\npaths = [\"/var/log/nginx/a*.log\"]\n"), a);
        let slow = "http { access_log /var/log/nginx/a.log combined buffer=1m flush=9s; server { } }";
        let slow = [("/etc/nginx/nginx.conf", slow)];
        let said = warned(&slow, "[input.file.e]\npaths = [\"/var/log/nginx/a.log\"]\n");
        assert!(said.len() == 2 && said[1].contains("a delay of up to 9 s"), "{said:?}");
        let patient = "[agent]\nlateness = \"11s\"\n[input.file.e]\npaths = [\"/var/log/nginx/a.log\"]\n";
        assert_eq!(warned(&slow, patient).len(), 1);
        let other = "[input.file.e]\npaths = [\"/var/log/other.log\"]\n";
        assert_eq!(warned(&tree, other), [""; 0]);
        let syslog = "[input.syslog.h]\nlisten = [\"udp://127.0.0.1:5140\"]\n";
        let said = warned(&tree, syslog);
        assert!(said.len() == 1 && said[0].contains("dontlog-normal"), "{said:?}");
        // A log that is not there yet; and a format that says it names upstreams.
        let b =
            "[input.file.e]\npaths = [\"/var/log/nginx/b.log\"]\nlog_format = \"nginx:combined_upstream\"\n";
        let said = warned(&tree, b);
        assert!(said.len() == 3 && said[1].contains("buffer=64k") && said[2].contains("if=$x"), "{said:?}");
    }
}
