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
        let pattern = glob::Pattern::new(pattern).unwrap();
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
            lines.push(format!("{} {kind} {} {shapes}{out}", product.name, log.place).trim_end().to_owned());
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

mod apache;
mod haproxy;
mod nginx;
mod squid;
mod trees;
