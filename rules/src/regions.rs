//! `[regions]`: of which region a node is, or an upstream, or what another label names. And of which country an address
//! is, where somebody knows.

use crate::table::{NO_WORD, Table, Word, address_of};
use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;

/// Knows the countries of addresses.
pub trait Countries: fmt::Debug + Send + Sync {
    /// The two letters of ISO 3166, in capitals; `None`: nobody knows. Always the same for the same address.
    fn country(&self, address: IpAddr) -> Option<[u8; 2]>;
}

/// Whose name or address decides the region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The node's: the region is where the proxy stands.
    #[default]
    Node,
    /// The upstream's: of each attempt, where its server stands.
    Upstream,
    /// That of the site, which is a forward proxy's target.
    Site,
    /// That of a capture of the format or the path, such as `exit_ip`.
    Capture(String),
}

impl By {
    /// By the name of a label.
    #[must_use]
    pub fn of(label: &str) -> By {
        match label {
            "node" => By::Node,
            "upstream" => By::Upstream,
            "site" => By::Site,
            other => By::Capture(other.to_owned()),
        }
    }

    /// The label's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            By::Node => "node",
            By::Upstream => "upstream",
            By::Site => "site",
            By::Capture(name) => name,
        }
    }
}

/// What says the region where neither line nor path does: the table, else the country of the address.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    table: Table,
    by: By,
    countries: Option<Arc<dyn Countries>>,
}

impl PartialEq for Regions {
    fn eq(&self, other: &Regions) -> bool {
        let same = match (&self.countries, &other.countries) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same && self.table == other.table && self.by == other.by
    }
}

impl Eq for Regions {}

/// Words from here on are countries: their two letters.
const COUNTRIES: Word = 1 << 31;
const LETTERS: usize = 26;

/// Every pair of letters, `AA` to `ZZ`: a country's name must live as long as the regions do.
static PAIRS: [[u8; 2]; LETTERS * LETTERS] = pairs();

const fn pairs() -> [[u8; 2]; LETTERS * LETTERS] {
    let mut pairs = [[0; 2]; LETTERS * LETTERS];
    let mut at = 0;
    while at < pairs.len() {
        pairs[at] = [b'A' + (at / LETTERS) as u8, b'A' + (at % LETTERS) as u8];
        at += 1;
    }
    pairs
}

impl Regions {
    /// By the nodes' names and addresses.
    #[must_use]
    pub fn new(table: Table) -> Regions {
        Regions { table, by: By::Node, countries: None }
    }

    /// By something else than the node.
    #[must_use]
    pub fn by(self, by: By) -> Regions {
        Regions { by, ..self }
    }

    /// Where the table says nothing, the country.
    #[must_use]
    pub fn with_countries(self, countries: Option<Arc<dyn Countries>>) -> Regions {
        Regions { countries, ..self }
    }

    /// Whose name or address decides.
    pub(crate) fn whose(&self) -> &By {
        &self.by
    }

    /// The region that a name or address is of; empty if nothing says.
    #[must_use]
    pub fn find(&self, value: &[u8]) -> &str {
        self.word(self.position(value))
    }

    pub(crate) fn position(&self, value: &[u8]) -> Word {
        let word = self.table.position(value);
        let countries = self.countries.as_ref().filter(|_| word == NO_WORD);
        let Some([first, second]) = countries.and_then(|known| known.country(address_of(value)?)) else {
            return word;
        };
        if !(first.is_ascii_uppercase() && second.is_ascii_uppercase()) {
            return word;
        }
        COUNTRIES + Word::from(first - b'A') * LETTERS as Word + Word::from(second - b'A')
    }

    pub(crate) fn word(&self, word: Word) -> &str {
        let country = word.checked_sub(COUNTRIES).and_then(|at| PAIRS.get(at as usize));
        country.map_or_else(|| self.table.word(word), |letters| str::from_utf8(letters).unwrap_or(""))
    }

    /// Whether nothing says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty() && self.countries.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Known;

    impl Countries for Known {
        fn country(&self, address: IpAddr) -> Option<[u8; 2]> {
            match address {
                IpAddr::V4(v4) if v4.octets()[0] == 203 => Some(*b"DE"),
                IpAddr::V4(v4) if v4.octets()[0] == 204 => Some(*b"1x"),
                IpAddr::V6(_) => Some(*b"ZZ"),
                IpAddr::V4(_) => None,
            }
        }
    }

    #[test]
    fn the_table_goes_before_the_country() {
        let regions = Regions::new(Table::new([("203.0.113.0/24", "lab"), ("edge-*", "eu")]));
        assert!(!regions.is_empty() && Regions::default().is_empty());
        let regions = regions.with_countries(Some(Arc::new(Known)));
        for (value, expected) in [
            ("203.0.113.9", "lab"),
            ("203.0.114.9:3128", "DE"),
            ("204.0.0.1", ""),
            ("10.0.0.1", ""),
            ("2001:db8::1", "ZZ"),
            ("edge-203.0.114.9", "eu"),
            ("host", ""),
            ("", ""),
        ] {
            assert_eq!(regions.find(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn labels_have_their_names() {
        for label in ["node", "upstream", "site", "exit_ip"] {
            assert_eq!(By::of(label).name(), label);
        }
    }
}
