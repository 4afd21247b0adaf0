//! Tables that say what a name or an address belongs to: names, globs and networks, each with its word. `[regions]` and
//! its file, `[pools]`.

use core::net::IpAddr;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// An address or a network of addresses. IPv4 lies where IPv6 maps it (`::ffff:a.b.c.d`), so that both spellings of an
/// address are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Bits of `address` that count.
    bits: u8,
    address: u128,
}

/// Why a key that is written like a network is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotANetwork {
    /// The length behind `/` is no number, or too long.
    Length,
    /// The address has bits beyond its network: the network that it lies in.
    HostBits(String),
}

const V4: u128 = 0xffff << 32;

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => V4 | u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

impl Network {
    /// `10.1.0.0/16`, `2001:db8::/32`, or one address. `Ok(None)`: it is not written like a network, but is a name or a glob.
    ///
    /// # Errors
    /// It is written like a network, and is none.
    pub fn parse(text: &str) -> Result<Option<Network>, NotANetwork> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let Ok(address) = address.parse::<IpAddr>() else { return Ok(None) };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(length) => {
                let is_plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
                let length = length.parse::<u8>().ok().filter(|length| is_plain && *length <= most);
                length.ok_or(NotANetwork::Length)?
            }
        };
        let bits = length + (128 - most);
        let network = bits_of(address) & mask(bits);
        if network != bits_of(address) {
            return Err(NotANetwork::HostBits(format!("{}/{length}", printed(address.is_ipv4(), network))));
        }
        Ok(Some(Network { bits, address: network }))
    }
}

fn printed(is_v4: bool, address: u128) -> String {
    match u32::try_from(address & 0xffff_ffff) {
        Ok(v4) if is_v4 => core::net::Ipv4Addr::from(v4).to_string(),
        _ => core::net::Ipv6Addr::from(address).to_string(),
    }
}

/// The address in a label's value: `10.0.0.1`, `10.0.0.1:8080`, `2001:db8::1`, `[2001:db8::1]:8080`.
#[must_use]
pub fn address_of(value: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(value).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']')?.0.parse().ok();
    }
    let bare = text.parse().ok();
    bare.or_else(|| text.rsplit_once(':')?.0.parse::<core::net::Ipv4Addr>().ok().map(IpAddr::V4))
}

/// The place of an entry's word.
pub(crate) type Word = u32;
/// No entry matches.
pub(crate) const NO_WORD: Word = u32::MAX;

/// Names, globs (`*` and `?`) and networks, with their words.
///
/// Of a value that several entries match: its own name, unless a glob that matches stands before it; else the longest
/// network; else the first glob.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Table {
    words: Vec<Box<str>>,
    /// By name; the order in which they were written, and the word.
    names: Vec<(Box<str>, u32, Word)>,
    globs: Vec<(Box<str>, u32, Word)>,
    /// The longest first, then by address.
    networks: Vec<(Network, Word)>,
    entries: usize,
}

impl Table {
    /// Entries in order; of two with the same key the first holds.
    #[must_use]
    pub fn new<K: AsRef<str>, W: AsRef<str>>(entries: impl IntoIterator<Item = (K, W)>) -> Table {
        let mut table = Table::default();
        let mut known: std::collections::HashMap<Box<str>, Word> = std::collections::HashMap::new();
        for (order, (key, word)) in (0u32..).zip(entries) {
            let (key, word) = (key.as_ref(), word.as_ref());
            let next = Word::try_from(known.len()).unwrap_or(NO_WORD);
            let word = *known.entry(word.into()).or_insert_with(|| {
                table.words.push(word.into());
                next
            });
            table.entries += 1;
            if let Ok(Some(network)) = Network::parse(key) {
                table.networks.push((network, word));
            } else if key.contains(['*', '?']) {
                table.globs.push((key.into(), order, word));
            } else {
                table.names.push((key.into(), order, word));
            }
        }
        table.names.sort_by(|a, b| a.0.cmp(&b.0));
        table.names.dedup_by(|later, first| later.0 == first.0);
        table.networks.sort_by_key(|(n, _)| (u8::MAX - n.bits, n.address));
        table.networks.dedup_by(|later, first| later.0 == first.0);
        table
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// How many entries it was made of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// What a value belongs to; empty if no entry matches.
    #[must_use]
    pub fn find(&self, value: &[u8]) -> &str {
        self.word(self.position(value))
    }

    pub(crate) fn word(&self, word: Word) -> &str {
        self.words.get(word as usize).map_or("", |word| word)
    }

    pub(crate) fn position(&self, value: &[u8]) -> Word {
        let name = self.names.binary_search_by(|(name, ..)| name.as_bytes().cmp(value)).ok();
        let name = name.and_then(|at| self.names.get(at)).map(|(_, order, word)| (*order, *word));
        let before = name.map_or(u32::MAX, |(order, _)| order);
        let glob = || {
            let mut earlier = self.globs.iter().take_while(|(_, order, _)| *order < before);
            earlier.find(|(glob, ..)| glob_matches(glob.as_bytes(), value)).map(|(.., word)| *word)
        };
        if let Some((_, word)) = name {
            return glob().unwrap_or(word);
        }
        self.network_of(value).or_else(glob).unwrap_or(NO_WORD)
    }

    /// The longest network that an address lies in: one search for each length that is there.
    fn network_of(&self, value: &[u8]) -> Option<Word> {
        let mut rest = self.networks.as_slice();
        let address = bits_of(rest.first().and_then(|_| address_of(value))?);
        while let Some((first, _)) = rest.first() {
            let longest = first.bits;
            let (these, shorter) = rest.split_at_checked(rest.partition_point(|(n, _)| n.bits == longest))?;
            let wanted = address & mask(longest);
            if let Ok(at) = these.binary_search_by_key(&wanted, |(n, _)| n.address) {
                return these.get(at).map(|(_, word)| *word);
            }
            rest = shorter;
        }
        None
    }
}

/// Its size and a fingerprint: a table may have many thousand entries, and whoever prints settings wants to see only
/// whether they are the same.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hasher = DefaultHasher::new();
        (&self.words, &self.names, &self.globs, &self.networks).hash(&mut hasher);
        write!(f, "Table({} entries, {:016x})", self.entries, hasher.finish())
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn what_belongs_where() {
        let table = Table::new([
            ("edge-fra9*", "lab"),
            ("edge-*", "eu"),
            ("edge-ams1", "ams"),
            ("db", "data"),
            ("d*", "other"),
            ("10.0.0.0/8", "wide"),
            ("10.1.0.0/16", "narrow"),
            ("10.1.2.3", "one"),
            ("10.1.2.3:81", "port"),
            ("10.1.0.0/16", "said twice"),
            ("2001:db8::/32", "six"),
            ("0.0.0.0/0", "rest of four"),
            ("unix:/run/app.sock", "socket"),
            ("unix:*", "sockets"),
        ]);
        let cases: [(&str, &str); 22] = [
            ("edge-fra91", "lab"),
            ("edge-fra1", "eu"),
            ("edge-ams1", "eu"), // a glob that stands before its name
            ("db", "data"),
            ("dc", "other"),
            ("web", ""),
            ("", ""),
            ("10.9.9.9", "wide"),
            ("10.1.9.9:8080", "narrow"),
            ("10.1.2.3", "one"),
            ("10.1.2.3:80", "one"),
            ("10.1.2.3:81", "port"),
            ("[::ffff:10.1.9.9]:80", "narrow"),
            ("2001:db8::7", "six"),
            ("[2001:db8::7]:443", "six"),
            ("2001:db9::7", ""),
            ("192.0.2.1:1", "rest of four"),
            ("unix:/run/app.sock", "socket"),
            ("unix:/run/app.sock2", "sockets"),
            ("10.1.2", ""),
            ("[10.1.2.3", ""),
            ("\u{fffd}", ""),
        ];
        for (value, expected) in cases {
            assert_eq!(table.find(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(table.find(b"\xff\xfe"), "");
        assert!(Table::new::<&str, &str>([]).is_empty());
        assert_eq!(table.len(), 14);
    }

    #[test]
    fn what_is_written_like_a_network() {
        let host = |text: &str| Err(NotANetwork::HostBits(text.to_owned()));
        for (text, expected) in [
            ("10.1.0.0/16", Ok(true)),
            ("10.1.0.0/0", host("0.0.0.0/0")),
            ("0.0.0.0/0", Ok(true)),
            ("::/0", Ok(true)),
            ("10.1.0.1/16", host("10.1.0.0/16")),
            ("2001:db8::1/32", host("2001:db8::/32")),
            ("10.1.0.0/33", Err(NotANetwork::Length)),
            ("10.1.0.0/", Err(NotANetwork::Length)),
            ("10.1.0.0/+8", Err(NotANetwork::Length)),
            ("2001:db8::/129", Err(NotANetwork::Length)),
            ("10.1.2.3", Ok(true)),
            ("10.1.2.3:80", Ok(false)),
            ("unix:/run/app.sock", Ok(false)),
            ("edge/7", Ok(false)),
            ("10.1.*", Ok(false)),
        ] {
            assert_eq!(Network::parse(text).map(|network| network.is_some()), expected, "{text}");
        }
    }

    #[test]
    fn it_prints_small_and_tells_others_apart() {
        let many = |word: &str| Table::new((0..1000).map(|i| (format!("n{i}"), word.to_owned())));
        assert!(format!("{:?}", many("a")).len() < 60);
        assert_eq!(format!("{:?}", many("a")), format!("{:?}", many("a")));
        assert_ne!(format!("{:?}", many("a")), format!("{:?}", many("b")));
    }

    proptest! {
        /// The search by length finds what a look at every network finds.
        #[test]
        fn the_longest_network_holds(
            networks in proptest::collection::vec((any::<u32>(), 0..=32u8), 0..40),
            address in any::<u32>(),
            near in any::<prop::sample::Index>(),
            flip in 0..32u32,
        ) {
            let cut = |address: u32, length: u8| address & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let key = |(address, length): &(u32, u8)| {
                format!("{}/{length}", core::net::Ipv4Addr::from(cut(*address, *length)))
            };
            // Beside one of them, so that most addresses lie somewhere.
            let address = if networks.is_empty() { address } else { near.get(&networks).0 ^ 1 << flip };
            let table = Table::new(networks.iter().map(|n| (key(n), key(n))));
            let inside = networks.iter().filter(|n| cut(n.0, n.1) == cut(address, n.1));
            let expected = inside.max_by_key(|n| n.1).map(&key).unwrap_or_default();
            let value = format!("{}:80", core::net::Ipv4Addr::from(address));
            prop_assert_eq!(table.find(value.as_bytes()), expected);
        }

        #[test]
        fn whatever_is_looked_up(keys in proptest::collection::vec(".{0,12}", 0..8), value in prop::collection::vec(any::<u8>(), 0..24)) {
            let table = Table::new(keys.iter().map(|k| (k, k)));
            let _ = table.find(&value);
            for key in &keys {
                let _ = table.find(key.as_bytes());
            }
        }
    }
}
