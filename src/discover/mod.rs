//! The proxies of a host, by their own configurations: where they log, how their lines look, which servers are in which
//! pool. A product is one file here and one line in [`PRODUCTS`].
//!
//! The readers are tolerant: a directive that nobody here knows is skipped, a file that is broken or missing is said, and
//! nothing is ever a reason to stop. They are functions of a [`Host`], and touch nothing else.

mod apache;
mod caddy;
mod envoy;
mod haproxy;
pub mod host;
mod lines;
pub mod logrotate;
mod nginx;
mod places;
pub mod probe;
mod rsyslog;
mod squid;
mod traefik;
mod tree;
pub mod written;

pub use host::{Host, Rooted};

use std::fmt;

/// A product whose configuration is read.
#[derive(Debug)]
pub struct Product {
    /// Its word: the first part of an input's name.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// What is read, in a line.
    pub summary: &'static str,
    /// Where its configuration is; the first one that is there counts.
    pub configurations: &'static [&'static str],
    /// Reads it.
    pub read: fn(&dyn Host, &str, &mut Found),
    /// What to write into its configuration where its log cannot name upstreams.
    pub advice: Option<&'static str>,
}

/// Every product, in the order in which they are told.
pub const PRODUCTS: &[Product] = &[
    nginx::PRODUCT,
    haproxy::PRODUCT,
    apache::PRODUCT,
    squid::PRODUCT,
    envoy::PRODUCT,
    caddy::PRODUCT,
    traefik::PRODUCT,
];

/// A line of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub file: String,
    /// From 1; 0: the file as a whole.
    pub line: usize,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Something worth knowing, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where.
    pub at: Spot,
    /// What.
    pub text: String,
    /// What to do about it; may be empty.
    pub help: String,
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, or a pattern of files.
    File(String),
    /// A socket of this host that nobody reads: ours to listen at, as `listen` is written.
    Socket(String),
    /// The journal: of this unit.
    Journal(String),
    /// Nowhere where it could be read; in words.
    Elsewhere(String),
}

impl Place {
    /// Whether an input can name it.
    fn is_readable(&self) -> bool {
        !matches!(self, Place::Elsewhere(_)) && !self.to_string().contains(char::is_control)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => f.write_str(path),
            Place::Socket(listen) => f.write_str(listen),
            Place::Journal(unit) => write!(f, "the journal of {unit}"),
            Place::Elsewhere(words) => f.write_str(words),
        }
    }
}

/// How lines look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// As the product's configuration calls it: `main`, `option httplog`.
    pub called: String,
    /// As `--log-format`.
    pub spec: String,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where it goes.
    pub place: Place,
    /// How its lines look; several where several formats are written to one file, none where that is not known.
    pub shapes: Vec<Shape>,
    /// It tells of failures only, no requests: an error log.
    pub is_errors: bool,
    /// The product holds lines back for so long, in milliseconds, before it writes them.
    pub held: i64,
    /// Where it is configured.
    pub at: Spot,
    /// Why it is not followed, if it is not.
    pub left_out: Option<String>,
    /// What keeps it from telling the truth in time.
    pub warnings: Vec<Remark>,
}

/// A group of servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How many servers it has.
    pub servers: usize,
    /// Those whose address stands in the log as it stands here.
    pub addresses: Vec<String>,
}

/// What a product's configuration says.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The file that was read first.
    pub config: String,
    /// Its logs, each place once.
    pub logs: Vec<Log>,
    /// Its pools.
    pub pools: Vec<Pool>,
    /// Files that are broken or missing, and what else is worth knowing.
    pub remarks: Vec<Remark>,
}

impl Found {
    fn remark(&mut self, at: &Spot, text: impl Into<String>) {
        let remark = Remark { at: at.clone(), text: text.into(), help: String::new() };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Adds a log. What goes to a place that is known is one log with it.
    fn log(&mut self, log: Log) {
        let Some(known) = self.logs.iter_mut().find(|l| l.place == log.place && l.is_errors == log.is_errors)
        else {
            self.logs.push(log);
            return;
        };
        known.held = known.held.max(log.held);
        for warning in log.warnings {
            if !known.warnings.contains(&warning) {
                known.warnings.push(warning);
            }
        }
        if known.left_out.is_none() && log.left_out.is_some() {
            return;
        }
        if known.left_out.is_some() && log.left_out.is_none() {
            known.left_out = None;
            known.shapes = log.shapes;
            known.at = log.at;
            return;
        }
        let new: Vec<_> = log.shapes.into_iter().filter(|shape| !known.shapes.contains(shape)).collect();
        if let (Some(first), Some(other)) = (known.shapes.first(), new.first()) {
            let text = format!(
                "{} holds lines of two formats, `{}` and `{}`",
                known.place, first.called, other.called
            );
            let help = "one file is read by one format: give each its own file".to_owned();
            known.warnings.push(Remark { at: log.at, text, help });
        }
        known.shapes.extend(new);
    }
}

/// A product that is there.
pub struct Installed {
    /// Which.
    pub product: &'static Product,
    /// What its configuration says.
    pub found: Found,
}

/// The products whose configuration is there.
pub fn discover(host: &dyn Host) -> Vec<Installed> {
    let there = |product: &'static Product| {
        let config = product.configurations.iter().find(|path| host.has(path))?;
        let mut found = Found { config: (*config).to_owned(), ..Found::default() };
        (product.read)(host, config, &mut found);
        Some(Installed { product, found })
    };
    PRODUCTS.iter().filter_map(there).collect()
}

/// Whether lines of this format name upstreams; `None`: it cannot be read.
fn tells_upstream(spec: &str) -> Option<bool> {
    gatewatch_parsers::formats::compile(spec).ok().map(|format| format.knows_upstream())
}

#[cfg(test)]
mod tests;
