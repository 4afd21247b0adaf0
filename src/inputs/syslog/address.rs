//! Where an input listens and whom it hears, as written in the configuration.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// `udp://127.0.0.1:5140`: a datagram is a message.
    Udp(SocketAddr),
    /// `tcp://127.0.0.1:5140`: framed as RFC 6587 says.
    Tcp(SocketAddr),
    /// `tls://127.0.0.1:6514`: octet counting inside TLS, as RFC 5425 says.
    Tls(SocketAddr),
    /// `unix:///run/gatewatch/log.sock`: a datagram is a message.
    Unix(PathBuf),
}

/// Why an address was refused, and at which byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// In a few words.
    pub why: String,
    /// Byte offset.
    pub at: usize,
}

fn refused<T>(why: &str, at: usize) -> Result<T, Refused> {
    Err(Refused { why: why.to_owned(), at })
}

impl Listen {
    /// Reads `udp://`, `tcp://`, `tls://ADDRESS:PORT` or `unix:///PATH`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Listen, Refused> {
        const WANTS: &str = "write udp://, tcp:// or tls://ADDRESS:PORT, or unix:///PATH";
        let Some((scheme, rest)) = text.split_once("://") else { return refused(WANTS, 0) };
        let at = scheme.len() + 3;
        let address = || match rest.parse::<SocketAddr>() {
            Ok(address) => Ok(address),
            Err(_) if rest.parse::<IpAddr>().is_ok() => refused("lacks a port", at),
            Err(_) if rest.starts_with("localhost:") => rest
                .to_socket_addrs()
                .ok()
                .and_then(|mut found| found.find(SocketAddr::is_ipv4))
                .map_or_else(|| refused("no port", at), Ok),
            Err(_) => refused("no ADDRESS:PORT, like 127.0.0.1:5140 or [::1]:5140", at),
        };
        match scheme {
            "udp" => address().map(Listen::Udp),
            "tcp" => address().map(Listen::Tcp),
            "tls" => address().map(Listen::Tls),
            "unix" if !rest.starts_with('/') => refused("the path begins with /: unix:///run/…", at),
            // sun_path has 108 bytes, one of them for its end.
            "unix" if rest.len() > 107 => refused("longer than the 107 bytes that the system allows", at),
            "unix" => Ok(Listen::Unix(PathBuf::from(rest))),
            _ => refused(WANTS, 0),
        }
    }

    /// The address of a network socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listen::Udp(address) | Listen::Tcp(address) | Listen::Tls(address) => Some(*address),
            Listen::Unix(_) => None,
        }
    }

    /// Whether other hosts can reach it.
    #[must_use]
    pub fn is_open_to_others(&self) -> bool {
        self.address().is_some_and(|address| !address.ip().is_loopback())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Udp(address) => write!(f, "udp://{address}"),
            Listen::Tcp(address) => write!(f, "tcp://{address}"),
            Listen::Tls(address) => write!(f, "tls://{address}"),
            Listen::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A process of this host, through a unix socket.
    Local,
    /// A host.
    Host(IpAddr),
}

impl Peer {
    /// Of a network socket; an IPv4 address that an IPv6 socket shows is one of IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Peer {
        Peer::Host(address.to_canonical())
    }

    /// Whether it is this host itself.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            Peer::Local => true,
            Peer::Host(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Local => f.write_str("local"),
            Peer::Host(address) => write!(f, "{address}"),
        }
    }
}

/// One entry of `allow`: addresses that share their first bits, or `"unix"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Who writes to a unix socket: its mode decides who may; the entry says that their host names are believed.
    Unix,
    /// `10.0.0.0/8`, `2001:db8::/32`, `10.1.2.3`.
    Prefix(IpAddr, u8),
}

impl Network {
    /// Reads `10.0.0.0/8`, `::1` or `unix`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Network, Refused> {
        if text == "unix" {
            return Ok(Network::Unix);
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let Ok(ip) = address.parse::<IpAddr>() else {
            return refused("write addresses like \"10.0.0.0/8\" or \"10.1.2.3\", or \"unix\"", 0);
        };
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits.map(str::parse::<u8>) {
            None => most,
            Some(Ok(bits)) if bits <= most => bits,
            Some(_) => return refused(&format!("a prefix has 0 to {most} bits"), address.len() + 1),
        };
        let network = Network::Prefix(ip, bits);
        if masked(ip, bits) == value(ip) {
            Ok(network)
        } else {
            refused("has bits behind its prefix: which part is meant?", 0)
        }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, peer: Peer) -> bool {
        match (*self, peer) {
            (Network::Unix, Peer::Local) => true,
            (Network::Prefix(ip, bits), Peer::Host(address)) => {
                ip.is_ipv4() == address.is_ipv4() && masked(address, bits) == value(ip)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Unix => f.write_str("unix"),
            Network::Prefix(ip, bits) => write!(f, "{ip}/{bits}"),
        }
    }
}

/// The address as a number, its first bit the highest.
fn value(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn masked(ip: IpAddr, bits: u8) -> u128 {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
    value(ip) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_listen_at() {
        for text in [
            "udp://127.0.0.1:5140",
            "tcp://[::1]:601",
            "tls://0.0.0.0:6514",
            "unix:///run/gatewatch/log.sock",
            "udp://[::]:0",
        ] {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Listen::parse("udp://localhost:514"), Listen::parse("udp://127.0.0.1:514"));
        for (text, at, why) in [
            ("127.0.0.1:514", 0, "udp://"),
            ("http://127.0.0.1:514", 0, "udp://"),
            ("udp://127.0.0.1", 6, "lacks a port"),
            ("udp://:514", 6, "ADDRESS:PORT"),
            ("udp://localhost:99999", 6, "port"),
            ("tcp://127.0.0.1:99999", 6, "ADDRESS:PORT"),
            ("unix://run/x", 7, "begins with /"),
            ("", 0, "udp://"),
        ] {
            let refused = Listen::parse(text).unwrap_err();
            assert!(refused.at == at && refused.why.contains(why), "{text}: {refused:?}");
        }
        let long = format!("unix:///{}", "x".repeat(120));
        assert!(Listen::parse(&long).unwrap_err().why.contains("107"));
    }

    #[test]
    fn who_is_open_to_others() {
        for (text, open) in [
            ("udp://127.0.0.1:1", false),
            ("udp://127.8.9.1:1", false),
            ("tcp://[::1]:1", false),
            ("unix:///x", false),
            ("udp://0.0.0.0:1", true),
            ("udp://[::]:1", true),
            ("tcp://10.0.0.1:1", true),
        ] {
            assert_eq!(Listen::parse(text).unwrap().is_open_to_others(), open, "{text}");
        }
    }

    #[test]
    fn networks() {
        let has = |network: &str, peer: &str| {
            let peer = peer.parse().map_or(Peer::Local, Peer::of);
            Network::parse(network).unwrap().has(peer)
        };
        for (network, peer, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "a00::1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.4", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("unix", "local", true),
            ("unix", "127.0.0.1", false),
            ("0.0.0.0/0", "local", false),
        ] {
            assert_eq!(has(network, peer), expected, "{network} {peer}");
        }
        for (text, at) in [("10.0.0.0/33", 9), ("10.0.0.0/-1", 9), ("10.0.0.1/8", 0), ("host", 0), ("", 0)] {
            assert_eq!(Network::parse(text).unwrap_err().at, at, "{text}");
        }
    }
}
