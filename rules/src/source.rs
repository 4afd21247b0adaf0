//! Where a record came from: what its line does not say of input, node, region, pool and site.

use crate::regions::By;
use gatewatch_parsers::{Attempt, Record};
use std::sync::Arc;

pub use crate::regions::{Countries, Regions};
pub use crate::table::Table;

/// What is known of a file or sender beside its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The input's name.
    pub input: String,
    /// The node, where neither the line nor the path names one.
    pub node: String,
    /// The region, where neither the line, the path nor `regions` names one.
    pub region: String,
    /// The site, where the line names none: the file's name without `access` and `.log`.
    pub site: String,
    /// `[regions]`
    pub regions: Arc<Regions>,
    /// `[pools]`: upstream → pool, where the line names none.
    pub pools: Arc<Table>,
    /// The names of `Record::extra` in this file's format.
    pub extra: Vec<String>,
    /// `<label>` captures of the path. A line's own non-empty field wins over them; they win over the fields above.
    pub path_labels: Vec<(String, String)>,
}

impl Source {
    /// The capture of the path by this name.
    pub(crate) fn path_label(&self, name: &str) -> &[u8] {
        self.path_labels.iter().find(|(n, _)| n == name).map_or(b"", |(_, value)| value.as_bytes())
    }

    /// The node of a record.
    #[must_use]
    #[inline]
    pub fn node<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        self.choose(record.node, "node", &self.node)
    }

    /// The region that the line or the path names.
    #[inline]
    pub(crate) fn own_region<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        self.choose(record.region, "region", "")
    }

    /// The region of a record whose (last) attempt went to this upstream.
    #[must_use]
    pub fn region<'a>(&'a self, record: &Record<'a>, upstream: &[u8]) -> &'a [u8] {
        let own = self.own_region(record);
        if !own.is_empty() {
            return own;
        }
        let found = match self.regions.whose() {
            By::Upstream => self.regions.find(upstream),
            _ => self.regions.find(self.decides_region(record)),
        };
        self.region_of(found)
    }

    /// Whose region is that of the record, unless it is the upstream.
    pub(crate) fn decides_region<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        match self.regions.whose() {
            By::Node => self.node(record),
            By::Site => self.site(record),
            By::Capture(name) => self.capture(record, name),
            By::Upstream => b"",
        }
    }

    /// What `[regions]` says, or the file's own region.
    pub(crate) fn region_of<'a>(&'a self, found: &'a str) -> &'a [u8] {
        if found.is_empty() { self.region.as_bytes() } else { found.as_bytes() }
    }

    /// The site of a record.
    #[must_use]
    #[inline]
    pub fn site<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        self.choose(record.site, "site", &self.site)
    }

    /// The pool of an attempt: as the attempt, the line or the path names it, else as `[pools]` says of its upstream.
    #[must_use]
    pub fn pool_of<'a>(&'a self, record: &Record<'a>, attempt: &Attempt<'a>) -> &'a [u8] {
        let own = if attempt.pool.is_empty() { self.pool(record) } else { attempt.pool };
        let is_open = own.is_empty() && !attempt.upstream.is_empty();
        if is_open { self.pools.find(attempt.upstream).as_bytes() } else { own }
    }

    /// The pool of a record, where its attempt names none.
    #[must_use]
    #[inline]
    pub fn pool<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        self.choose(record.pool, "pool", "")
    }

    /// A capture of the format, or else of the path, by name.
    #[must_use]
    pub fn capture<'a>(&'a self, record: &Record<'a>, name: &str) -> &'a [u8] {
        let position = self.extra.iter().position(|n| n == name);
        let own = position.map_or(&b""[..], |i| record.extra.get(i));
        self.choose(own, name, "")
    }

    /// The line's own word, else the path's, else the file's.
    #[inline(always)]
    pub(crate) fn choose<'a>(&'a self, own: &'a [u8], name: &str, otherwise: &'a str) -> &'a [u8] {
        match () {
            () if !own.is_empty() => own,
            () if self.path_labels.is_empty() => otherwise.as_bytes(),
            () => self.choose_of_path(name, otherwise),
        }
    }

    fn choose_of_path<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a [u8] {
        match self.path_label(name) {
            b"" => otherwise.as_bytes(),
            found => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_parsers::Extra;
    use gatewatch_parsers::Status;

    #[test]
    fn a_line_wins_over_the_path_and_the_path_over_the_file() {
        let mut source =
            Source { node: "host".into(), site: "shop".into(), region: "r0".into(), ..Source::default() };
        source.regions = Arc::new(Regions::new(Table::new([("far*", "r9"), ("10.0.0.0/8", "r10")])));
        let mut record = Record::new(0, Status::new(200));
        assert_eq!(source.node(&record), b"host");
        assert_eq!(source.region(&record, b""), b"r0");
        record.node = b"far7";
        assert_eq!(source.region(&record, b"10.0.0.1:80"), b"r9");
        record.node = b"10.2.0.1";
        assert_eq!(source.region(&record, b""), b"r10");
        record.node = b"";
        source.path_labels = vec![("node".into(), "far1".into()), ("tenant".into(), "t".into())];
        assert_eq!(source.node(&record), b"far1");
        record.node = b"line";
        assert_eq!(source.node(&record), b"line");
        assert_eq!(source.site(&record), b"shop");
        assert_eq!(source.capture(&record, "tenant"), b"t");
        source.extra = vec!["exit_ip".into(), "tenant".into()];
        let line = b"u";
        let none = &b""[..];
        record.extra = Extra::new(line, &[none, line, none, none, none, none, none, none]);
        assert_eq!(source.capture(&record, "tenant"), b"u");
        assert_eq!(source.capture(&record, "exit_ip"), b"");
    }

    #[test]
    fn a_region_may_be_that_of_another_label() {
        let table = Table::new([("10.0.0.0/8", "r10"), ("shop.*", "shops"), ("203.0.113.0/24", "exits")]);
        let mut source = Source { region: "r0".into(), extra: vec!["exit_ip".into()], ..Source::default() };
        let mut record = Record::new(0, Status::new(200));
        record.site = b"shop.example";
        let line = b"203.0.113.7";
        let none = &b""[..];
        record.extra = Extra::new(line, &[line, none, none, none, none, none, none, none]);
        let cases =
            [("node", "r0"), ("upstream", "r10"), ("site", "shops"), ("exit_ip", "exits"), ("no", "r0")];
        for (by, expected) in cases {
            source.regions = Arc::new(Regions::new(table.clone()).by(By::of(by)));
            assert_eq!(source.region(&record, b"10.0.0.1:80"), expected.as_bytes(), "{by}");
        }
        record.region = b"line";
        assert_eq!(source.region(&record, b"10.0.0.1:80"), b"line");
    }

    #[test]
    fn a_pool_is_looked_up_where_nothing_names_one() {
        let mut source = Source::default();
        let mut record = Record::new(0, Status::new(200));
        let attempt = |upstream, pool| Attempt { upstream, pool, status: Status::new(200), failure: None };
        assert_eq!(source.pool_of(&record, &attempt(b"10.0.0.1:80", b"")), b"");
        source.pools = Arc::new(Table::new([("10.0.0.1:80", "api"), ("", "nothing")]));
        assert_eq!(source.pool_of(&record, &attempt(b"10.0.0.1:80", b"")), b"api");
        assert_eq!(source.pool_of(&record, &attempt(b"10.0.0.1:81", b"")), b"");
        assert_eq!(source.pool_of(&record, &attempt(b"10.0.0.1:80", b"group")), b"group");
        assert_eq!(source.pool_of(&record, &attempt(b"", b"")), b"");
        source.path_labels = vec![("pool".into(), "path".into())];
        assert_eq!(source.pool_of(&record, &attempt(b"10.0.0.1:80", b"")), b"path");
        record.pool = b"line";
        assert_eq!(source.pool_of(&record, &attempt(b"10.0.0.1:80", b"")), b"line");
    }
}
