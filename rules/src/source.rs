//! Where a record came from: what its line does not say of input, node, region and site.

use gatewatch_parsers::Record;
use std::sync::Arc;

/// `[regions]`: node → region by glob (`*` and `?`); the first match holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions(Vec<(String, String)>);

impl Regions {
    /// Globs and their regions, in order.
    #[must_use]
    pub fn new(globs: Vec<(String, String)>) -> Regions {
        Regions(globs)
    }

    /// The region of a node; empty if no glob matches.
    #[must_use]
    pub fn find(&self, node: &[u8]) -> &str {
        self.name(self.position(node))
    }

    pub(crate) fn position(&self, node: &[u8]) -> usize {
        self.0.iter().position(|(glob, _)| glob_matches(glob.as_bytes(), node)).unwrap_or(usize::MAX)
    }

    pub(crate) fn name(&self, position: usize) -> &str {
        self.0.get(position).map_or("", |(_, region)| region)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Linear in practice: on a mismatch only the last `*` takes one byte more.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match glob.get(g) {
            Some(b'*') => {
                retry = Some((g, t));
                g += 1;
            }
            Some(b'?') => (g, t) = (g + 1, t + 1),
            Some(wanted) if wanted == byte => (g, t) = (g + 1, t + 1),
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                (g, t) = (star + 1, from + 1);
            }
        }
    }
    glob.get(g..).unwrap_or_default().iter().all(|b| *b == b'*')
}

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
    pub fn node<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        self.choose(record.node, "node", &self.node)
    }

    /// The region of a record of this node.
    #[must_use]
    pub fn region<'a>(&'a self, record: &Record<'a>, node: &[u8]) -> &'a [u8] {
        let own = self.choose(record.region, "region", "");
        if own.is_empty() { self.region_of(self.regions.find(node)) } else { own }
    }

    /// What `[regions]` says, or the file's own region.
    pub(crate) fn region_of<'a>(&'a self, found: &'a str) -> &'a [u8] {
        if found.is_empty() { self.region.as_bytes() } else { found.as_bytes() }
    }

    /// The site of a record.
    #[must_use]
    pub fn site<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        self.choose(record.site, "site", &self.site)
    }

    /// The pool of a record, where its attempt names none.
    #[must_use]
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
    pub(crate) fn choose<'a>(&'a self, own: &'a [u8], name: &str, otherwise: &'a str) -> &'a [u8] {
        if !own.is_empty() {
            return own;
        }
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
    fn globs_match_like_a_shell() {
        let cases = [
            ("edge-fra*", "edge-fra1-03", true),
            ("edge-fra*", "edge-ams1", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("edge-?", "edge-1", true),
            ("edge-?", "edge-12", false),
            ("*-*-3", "a-b-c-3", true),
            ("*a*b", "aXXb", true),
            ("*a*b", "aXXbc", false),
            ("**", "x", true),
        ];
        for (glob, text, expected) in cases {
            assert_eq!(glob_matches(glob.as_bytes(), text.as_bytes()), expected, "{glob} {text}");
        }
    }

    #[test]
    fn the_first_glob_holds() {
        let pairs = [("edge-fra9*", "lab"), ("edge-*", "eu")];
        let regions = Regions::new(pairs.map(|(a, b)| (a.into(), b.into())).to_vec());
        assert_eq!(regions.find(b"edge-fra91"), "lab");
        assert_eq!(regions.find(b"edge-fra1"), "eu");
        assert_eq!(regions.find(b"db"), "");
    }

    #[test]
    fn a_line_wins_over_the_path_and_the_path_over_the_file() {
        let mut source =
            Source { node: "host".into(), site: "shop".into(), region: "r0".into(), ..Source::default() };
        source.regions = Arc::new(Regions::new(vec![("far*".into(), "r9".into())]));
        let mut record = Record::new(0, Status::new(200));
        assert_eq!(source.node(&record), b"host");
        assert_eq!(source.region(&record, b"host"), b"r0");
        assert_eq!(source.region(&record, b"far7"), b"r9");
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
}
