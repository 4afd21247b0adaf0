//! MaxMind files (`regions_mmdb`): of which country an address is.

use gatewatch_rules::source::Countries;
use maxminddb::{PathElement, Reader};
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, fs};

/// Larger is no table of countries: GeoLite2-Country has 10 MB, the cities 70. It is held in memory as it is.
const LARGEST: u64 = 256 << 20;

struct File {
    reader: Reader<Vec<u8>>,
}

/// Reads a file of countries, or of cities, which have theirs.
///
/// # Errors
/// It cannot be read, or is none.
pub(super) fn open(path: &Path) -> io::Result<Arc<dyn Countries>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("larger than 256 MiB"));
    }
    read(bytes)
}

fn read(bytes: Vec<u8>) -> io::Result<Arc<dyn Countries>> {
    let reader = Reader::from_source(bytes).map_err(|e| io::Error::other(e.to_string()))?;
    let kind = &reader.metadata().database_type;
    if !["Country", "City", "Enterprise"].iter().any(|known| kind.contains(known)) {
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
        return Err(io::Error::other(format!("it is a {kind}; countries are in GeoLite2-Country")));
    }
    Ok(Arc::new(File { reader }))
}

impl Countries for File {
    fn country(&self, address: IpAddr) -> Option<[u8; 2]> {
        let found = self.reader.lookup(address).ok().filter(|found| found.has_data())?;
        // Where the address is; else where its network is registered.
        let code = ["country", "registered_country"].iter().find_map(|of| {
            let path = [PathElement::Key(of), PathElement::Key("iso_code")];
            found.decode_path::<&str>(&path).ok().flatten()
        })?;
        code.as_bytes().try_into().ok()
    }
}

/// What tells one file from another: settings are compared by what they print.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = self.reader.metadata();
        write!(f, "Countries({}, {}, {} nodes)", about.database_type, about.build_epoch, about.node_count)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn text(text: &str) -> Vec<u8> {
        [&[0x40 | text.len() as u8], text.as_bytes()].concat()
    }

    fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0xe0 | entries.len() as u8];
        entries.iter().for_each(|(key, value)| bytes.extend([text(key), value.clone()].concat()));
        bytes
    }

    /// A file in which one IPv4 /24 is in `code`.
    pub fn mmdb(network: Ipv4Addr, code: &str, kind: &str) -> Vec<u8> {
        const NODES: u32 = 24;
        let mut bytes = Vec::new();
        for node in 0..NODES {
            // The last bit leads into the data, every other one to the next node; all else to nothing.
            let to = if node + 1 < NODES { node + 1 } else { NODES + 16 };
            let right = u32::from(network) >> (31 - node) & 1 == 1;
            for side in [false, true] {
                let record = if side == right { to } else { NODES };
                bytes.extend(&record.to_be_bytes()[1..]);
            }
        }
        bytes.extend([0; 16]);
        bytes.extend(map(&[("country", map(&[("iso_code", text(code))]))]));
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let number = |bytes: &[u8]| [&[0xa0 | bytes.len() as u8], bytes].concat();
        let long = |bytes: &[u8]| [&[0xc0 | bytes.len() as u8], bytes].concat();
        bytes.extend(map(&[
            ("binary_format_major_version", number(&[2])),
            ("binary_format_minor_version", number(&[])),
            ("build_epoch", [&[0x04, 0x02], &[0x65, 0, 0, 0][..]].concat()),
            ("database_type", text(kind)),
            ("description", map(&[])),
            ("ip_version", number(&[4])),
            ("languages", vec![0x00, 0x04]),
            ("node_count", long(&NODES.to_be_bytes())),
            ("record_size", number(&[24])),
        ]));
        bytes
    }

    #[test]
    fn an_address_has_its_country() {
        let known = read(mmdb(Ipv4Addr::new(203, 0, 113, 0), "DE", "GeoLite2-Country")).unwrap();
        for (address, expected) in
            [("203.0.113.7", Some(*b"DE")), ("203.0.114.7", None), ("10.0.0.1", None), ("2001:db8::1", None)]
        {
            assert_eq!(known.country(address.parse().unwrap()), expected, "{address}");
        }
        assert!(format!("{known:?}").contains("GeoLite2-Country"));
        let odd = read(mmdb(Ipv4Addr::new(203, 0, 113, 0), "DEU", "GeoLite2-City")).unwrap();
        assert_eq!(odd.country("203.0.113.7".parse().unwrap()), None);
    }

    #[test]
    fn what_is_no_table_of_countries() {
        let said = |bytes: Vec<u8>| read(bytes).map(|_| ()).unwrap_err().to_string();
        assert!(said(mmdb(Ipv4Addr::LOCALHOST, "DE", "GeoLite2-ASN")).contains("GeoLite2-ASN"));
        for bytes in [Vec::new(), b"network,country\n".to_vec()] {
            assert!(!said(bytes).is_empty());
        }
        // Cut or with a byte changed: refused, or an answer, but never a panic.
        let whole = mmdb(Ipv4Addr::new(203, 0, 113, 0), "DE", "GeoLite2-Country");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            for bytes in [whole[..at].to_vec(), changed] {
                if let Ok(known) = read(bytes) {
                    let _ = known.country("203.0.113.7".parse().unwrap());
                }
            }
        }
    }
}
