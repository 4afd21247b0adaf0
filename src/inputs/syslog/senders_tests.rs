use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn host(address: &str) -> Peer {
    address.parse().map_or(Peer::Local, Peer::of)
}

fn senders(allow: &[&str], has_node: bool) -> Senders {
    let allow = allow.iter().map(|text| Network::parse(text).unwrap()).collect();
    Senders::new(Setup { name: "edge".into(), number: 7, allow, has_node }, Arc::default())
}

/// What came out: by stream its path, its node and its lines.
#[derive(Default)]
struct Heard {
    open: BTreeMap<FileId, (String, String)>,
    lines: BTreeMap<String, String>,
    nodes: BTreeMap<String, String>,
    finished: usize,
    idle: usize,
}

impl Heard {
    fn take(&mut self, what: Happening) -> bool {
        match what {
            Happening::Opened { file, place, .. } => {
                assert_eq!(place.input, 7);
                let path = place.path.display().to_string();
                let node = place.labels.first().map_or(String::new(), |label| label.1.clone());
                self.nodes.insert(path.clone(), node.clone());
                self.open.insert(file, (path, node));
            }
            Happening::Chunk { file, bytes, .. } => {
                let path = self.open[&file].0.clone();
                *self.lines.entry(path).or_default() += &String::from_utf8_lossy(&bytes);
            }
            Happening::Finished { file, .. } => {
                self.open.remove(&file).unwrap();
                self.finished += 1;
            }
            Happening::Idle { file } => {
                assert!(self.open.contains_key(&file));
                self.idle += 1;
            }
            other => unreachable!("{other:?}"),
        }
        true
    }
}

/// One message: the stream it went to, that stream's node, and the line.
fn one(allow: &[&str], has_node: bool, peer: &str, message: &[u8]) -> Option<(String, String, String)> {
    let (mut senders, mut heard) = (senders(allow, has_node), Heard::default());
    assert!(senders.take(host(peer), message, 0, &mut |what| heard.take(what)));
    assert!(senders.settle(&mut |what| heard.take(what)));
    let (path, line) = heard.lines.pop_first()?;
    Some((path.clone(), heard.nodes[&path].clone(), line))
}

/// Allowed, peer, message, and what comes of them.
type Row = (&'static [&'static str], &'static str, &'static str, &'static str, &'static str, &'static str);

#[test]
fn whose_a_message_is() {
    const NGINX: &str = "<190>Nov 22 14:53:53 vm nginx: a";
    const BARE: &str = "<190>Nov 22 14:53:53 nginx: a";
    const NEW: &str = "<134>1 2026-11-22T14:54:06Z edge-1 haproxy 7 - - a";
    const RELAYED: &str = "Nov 22 14:54:06 relay <134>Nov 22 14:54:05 edge haproxy[7229]: a";
    // Allowed, peer, message → stream, its node if the line names none, the line.
    let table: [Row; 12] = [
        (&[], "local", NGINX, "edge:local/nginx", "", BARE),
        (&[], "127.0.0.1", NGINX, "edge:127.0.0.1/nginx", "", BARE),
        (&["unix"], "local", NGINX, "edge:local/vm/nginx", "", NGINX),
        (&["unix"], "::1", NGINX, "edge:::1/nginx", "", BARE),
        (&["10.0.0.0/8"], "local", NGINX, "edge:local/nginx", "", BARE),
        (&["10.0.0.0/8"], "10.1.2.3", NGINX, "edge:10.1.2.3/vm/nginx", "10.1.2.3", NGINX),
        (&["10.0.0.0/8"], "::ffff:10.1.2.3", BARE, "edge:10.1.2.3/nginx", "10.1.2.3", BARE),
        (&["127.0.0.1"], "127.0.0.1", NEW, "edge:127.0.0.1/edge-1/haproxy", "", NEW),
        (&[], "local", NEW, "edge:local/haproxy", "", "<134>1 2026-11-22T14:54:06Z - haproxy 7 - - a"),
        (&["unix"], "local", RELAYED, "edge:local/edge/haproxy", "", RELAYED),
        (
            &[],
            "local",
            RELAYED,
            "edge:local/haproxy",
            "",
            "Nov 22 14:54:06 <134>Nov 22 14:54:05 haproxy[7229]: a",
        ),
        (&[], "local", "a b c", "edge:local/-", "", "a b c"),
    ];
    for (allow, peer, message, path, node, line) in table {
        let got = one(allow, false, peer, message.as_bytes()).unwrap();
        assert_eq!(
            got,
            (path.to_owned(), node.to_owned(), format!("{line}\n")),
            "{allow:?} {peer} {message}"
        );
        // A node that the configuration names goes before the peer's address.
        assert_eq!(one(allow, true, peer, message.as_bytes()).unwrap().1, "");
    }
}

#[test]
fn who_is_not_listed_is_not_heard() {
    for (allow, peer) in [(&["10.0.0.0/8"][..], "11.0.0.1"), (&[], "10.0.0.1"), (&["unix"], "2001:db8::1")] {
        let mut senders = senders(allow, false);
        for _ in 0..3 {
            assert!(senders.take(host(peer), b"x", 0, &mut |what| unreachable!("{what:?}")));
        }
        assert_eq!(senders.counters.refused.load(std::sync::atomic::Ordering::Relaxed), 3);
    }
}

#[test]
fn a_message_is_one_line() {
    for (message, line) in [
        (&b"a"[..], "a\n"),
        (b"a\n", "a\n"),
        (b"a\r\n", "a\n"),
        (b"a\n\0", "a\n"),
        (b"a\0\0", "a\n"),
        (b"a\nb\n", "a\\x0Ab\n"),
        (b"a\n\n", "a\\x0A\n"),
        (b"\n\na", "\\x0A\\x0Aa\n"),
    ] {
        assert_eq!(one(&[], false, "local", message).unwrap().2, line, "{message:?}");
    }
    for message in [&b""[..], b"\n", b"\0", b"\r\n"] {
        assert_eq!(one(&[], false, "local", message), None);
    }
}

#[test]
fn programs_and_hosts_have_streams_of_their_own() {
    let (mut senders, mut heard) = (senders(&["10.0.0.0/8"], false), Heard::default());
    for (peer, message) in [
        ("10.0.0.1", "<1>Nov 22 14:53:53 a nginx: 1"),
        ("10.0.0.1", "<1>Nov 22 14:53:53 b nginx: 2"),
        ("10.0.0.1", "<1>Nov 22 14:53:53 a haproxy[3]: 3"),
        ("10.0.0.1", "<1>Nov 22 14:53:53 a haproxy[4]: 4"),
        ("10.0.0.2", "<1>Nov 22 14:53:53 a nginx: 5"),
    ] {
        assert!(senders.take(host(peer), message.as_bytes(), 0, &mut |what| heard.take(what)));
    }
    assert!(heard.lines.is_empty());
    assert!(senders.settle(&mut |what| heard.take(what)));
    assert_eq!((heard.lines.len(), heard.idle), (4, 4));
    assert_eq!(heard.lines["edge:10.0.0.1/a/haproxy"].lines().count(), 2);
    // Nothing new: nobody is said to be idle once more.
    assert!(senders.settle(&mut |what| heard.take(what)));
    assert_eq!(heard.idle, 4);
    assert!(senders.finish(&mut |what| heard.take(what)));
    assert_eq!((heard.open.len(), heard.finished), (0, 4));
}

#[test]
fn more_hosts_than_the_table_holds_share_a_stream() {
    let (mut senders, mut heard) = (senders(&["0.0.0.0/0"], false), Heard::default());
    let peer = |n: u32| Peer::of(std::net::Ipv4Addr::from(0x0a00_0000 + n).into());
    for n in 0..2_000 {
        assert!(senders.take(peer(n), b"x", 1_000, &mut |what| heard.take(what)));
    }
    assert_eq!(senders.streams.len(), STREAMS_MAX + 1);
    assert_eq!(senders.crowded, 2_000 - STREAMS_MAX as u64);
    assert!(senders.settle(&mut |what| heard.take(what)));
    assert_eq!(heard.nodes["edge:others/-"], "__other__");
    let lines: usize = heard.lines.values().map(|lines| lines.lines().count()).sum();
    assert_eq!(lines, 2_000);
    // Who was silent for a minute makes room for who is not.
    assert!(senders.take(peer(3_000), b"x", 1_000 + IDLE_IN_NEED, &mut |what| heard.take(what)));
    assert_eq!((senders.streams.len(), heard.finished), (STREAMS_MAX + 1, 1));
    assert!(heard.nodes.contains_key("edge:10.0.11.184/-"));
    // All that are silent for long go, the new one stays.
    assert!(senders.tidy(1_000 + IDLE, &mut |what| heard.take(what)));
    assert_eq!(senders.streams.len(), 1);
}

#[test]
fn it_ends_when_nobody_listens() {
    let mut senders = senders(&[], false);
    assert!(!senders.take(Peer::Local, b"x", 0, &mut |_| false));
}

proptest! {
    /// Whatever comes: no line more or less than messages that are not empty, and a local process names no host.
    #[test]
    fn any_message(
        message in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "(<[0-9]{1,3}>)?(1 )?(Nov 22 14:53:53|2026-11-22T14:54:06Z|-) [a-z0-9:.-]{0,6} [a-z]{1,5}(\\[1\\])?:? (<1>)?[ -~\n]{0,30}"
                .prop_map(String::into_bytes),
        ],
        trusted: bool,
    ) {
        let allow: &[&str] = if trusted { &["unix"] } else { &[] };
        if let Some((_, _, line)) = one(allow, false, "local", &message) {
            prop_assert_eq!(line.matches('\n').count(), 1);
            if !trusted {
                let line = line.trim_end_matches('\n').as_bytes();
                let mut left = strip_before_date(line, &mut Prefix::None);
                // A name behind as many headers as are looked at is none.
                if message.len() < 60 {
                    left.host = if left.host == b"-" { b"" } else { left.host };
                    prop_assert_eq!(left.host, b"", "{:?}", String::from_utf8_lossy(line));
                }
            }
        } else {
            prop_assert!(trimmed(&message).is_empty());
        }
    }
}
