//! What HAProxy writes beside sessions: its own start and stop, servers going down and up, health checks. No access-log
//! lines, and never "malformed"; but half an access-log line is not an event.

use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, space1};
use nom::combinator::eof;
use nom::sequence::delimited;

use super::fields::{Notes, Step, stop};
use crate::event::Happened;

/// How the messages begin that HAProxy itself sends to its logs.
const BEGINNINGS: &[&str] = &[
    "Server ",
    "Backup Server ",
    "Proxy ",
    "proxy ",
    "Backend ",
    "backend ",
    "Frontend ",
    "frontend ",
    "Listener ",
    "Health check for ",
    "Agent check for ",
    "Starting ",
    "Started ",
    "Stopping ",
    "Stopped ",
    "Pausing ",
    "Paused ",
    "Resuming ",
    "Resumed ",
    "Enabling ",
    "Disabling ",
    "Loading ",
    "Initializing ",
    "Reexecuting ",
    "Exiting ",
    "New worker ",
    "New program ",
    "Current worker ",
    "Current program ",
    "Former worker ",
    "Former program ",
    "All workers exited",
    "Process ",
    "Peers ",
    "[NOTICE]",
    "[WARNING]",
    "[ALERT]",
    "[INFO]",
    "[DIAG]",
];

/// Whether this is one of HAProxy's messages by its first words.
pub(super) fn is_known(message: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| message.starts_with(beginning.as_bytes())) || is_address_change(message)
}

/// What a message says of a server or a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change<'a> {
    pub(super) happened: Happened,
    pub(super) pool: &'a [u8],
    /// `backend/server`
    pub(super) upstream: &'a [u8],
    /// `Layer4 connection problem, info: "Connection refused"`
    pub(super) detail: &'a [u8],
}

/// `Server be/s1 is DOWN, reason: …, info: "…", check duration: 0ms. …`, `Backup Server be/s2 is UP/READY (leaving forced
/// maintenance).`, `backend be has no server available!`. `None`: nothing of a change, or not all of it.
pub(super) fn change(message: &[u8]) -> Option<Change<'_>> {
    let message = without_level(message);
    let after = |text: &'_ [u8], words: &[u8]| memchr::memmem::find(text, words).map(|at| at + words.len());
    if let Some(behind) =
        [&b"backend "[..], b"Backend ", b"proxy ", b"Proxy "].iter().find_map(|w| message.strip_prefix(*w))
    {
        let end = memchr::memchr(b' ', behind)?;
        let (pool, rest) = behind.split_at_checked(end)?;
        let is_empty = rest.starts_with(b" has no server available");
        let (upstream, detail) = (&b""[..], &b""[..]);
        return is_empty.then_some(Change { happened: Happened::NoServer, pool, upstream, detail });
    }
    let rest = [&b"Server "[..], b"Backup Server "].iter().find_map(|words| message.strip_prefix(*words))?;
    let (upstream, rest) = rest.split_at_checked(memchr::memchr(b' ', rest)?)?;
    let (pool, server) = upstream.split_at_checked(memchr::memchr(b'/', upstream)?)?;
    let state = rest.strip_prefix(b" is ")?;
    let (happened, told) =
        if let Some(told) = state.strip_prefix(b"going DOWN").or_else(|| state.strip_prefix(b"DOWN")) {
            (Happened::Down, told)
        } else {
            (Happened::Up, state.strip_prefix(b"UP/READY").or_else(|| state.strip_prefix(b"UP"))?)
        };
    // `UP/DRAIN` is neither.
    if pool.is_empty() || server.len() < 2 || !matches!(told.first(), None | Some(b',' | b'.' | b' ')) {
        return None;
    }
    let from = after(told, b", reason: ").or_else(|| after(told, b" for ")).or_else(|| after(told, b" ("));
    let detail = from.and_then(|from| told.get(from..)).unwrap_or_default();
    let ends = [&b", check duration"[..], b". ", b")"].into_iter();
    let end = ends.filter_map(|end| memchr::memmem::find(detail, end)).min().unwrap_or(detail.len());
    Some(Change { happened, pool, upstream, detail: detail.get(..end)? })
}

/// `[WARNING] 325/141500 (7) : `, as HAProxy writes it on its standard error, and what is behind.
fn without_level(message: &[u8]) -> &[u8] {
    if !message.starts_with(b"[") {
        return message;
    }
    let behind = memchr::memmem::find(message, b") : ").and_then(|at| message.get(at + 4..));
    behind.unwrap_or(message)
}

/// `be/s1 changed its IP from 10.0.0.1 to 10.0.0.2 by dns/ns1.`
fn is_address_change(message: &[u8]) -> bool {
    memchr::memmem::find(message, b" changed its IP from ")
        .and_then(|at| message.get(..at))
        .is_some_and(|server| !server.contains(&b' '))
}

/// Whether a message that bears HAProxy's name in its header can be no line of a log: at least two words, of which the
/// first is one, and no client (`127.0.0.1:5`, `unix:2`, `fe80::1:5`).
pub(super) fn is_message(program: &[u8], message: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b' ', message) else { return false };
    let (first, _) = message.split_at(at);
    let first = first.strip_suffix(b":").unwrap_or(first);
    memchr::memmem::find(&program.to_ascii_lowercase(), b"haproxy").is_some()
        && message.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'[')
        && !first.contains(&b':')
}

/// `Connect from 127.0.0.1:55040 to 127.0.0.1:41746 (fe/HTTP)`: the default log, written when a connection comes. It
/// knows neither what was asked for nor how that ended.
pub(super) fn connect<'a, N: Notes<'a>>(input: &'a [u8], notes: &mut N) -> Step<'a, ()> {
    let place = |i| take_while1::<_, &[u8], nom::error::Error<&[u8]>>(|b: u8| b != b' ').parse(i);
    let name = take_while1(|b: u8| b != b')');
    let mut whole = (
        tag(&b"Connect from "[..]),
        place,
        (space1, tag(&b"to"[..]), space1),
        place,
        space1,
        delimited(char('('), name, char(')')),
        eof,
    );
    match whole.parse(input.trim_ascii_end()) {
        Ok((_, (_, from, _, to, _, frontend, _))) => {
            notes.note("source_ip:port", from);
            notes.note("destination_ip:port", to);
            notes.note("frontend/mode", frontend);
            Ok((&[], ()))
        }
        Err(_) => stop(input, "Connect from", "the line ends too early"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_halves_of_lines() {
        let cases = [
            ("Server be_app/s1 is DOWN, reason: Layer4 connection problem", true),
            ("backend be_app has no server available!", true),
            ("Proxy fe_main started.", true),
            ("Proxy fe_main stopped (cumulated conns: FE: 10, BE: 0).", true),
            ("Stopping frontend GLOBAL in 0 ms.", true),
            ("Health check for server be/s1 succeeded, reason: Layer4 check passed", true),
            ("be/s1 changed its IP from 10.0.0.1 to 10.0.0.2 by dns/ns1.", true),
            ("[WARNING] 325/141500 (7) : Server be/s1 is DOWN", true),
            ("sendmsg()/writev() failed in logger #1: No such file or directory (errno=2)", true),
            ("127.0.0.1:53900 [22/Nov/20", false),
            ("fe80::1:53900 [22/Nov/20", false),
            ("unix:2 [22/Nov/20", false),
            ("-:22222 [22/Nov/20", false),
            ("127.0.0.1 - - [22/Nov", false),
            ("unix", false),
            ("", false),
        ];
        for (message, want) in cases {
            let message = message.as_bytes();
            assert_eq!(is_known(message) || is_message(b"haproxy", message), want, "{message:?}");
        }
        assert!(!is_message(b"sshd", b"Accepted publickey for root"));
    }

    type Changed = (&'static str, Happened, &'static str, &'static str, &'static str);

    const CHANGES: &[Changed] = &[
        (
            r#"Server be_app/s1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."#,
            Happened::Down,
            "be_app",
            "be_app/s1",
            r#"Layer4 connection problem, info: "Connection refused""#,
        ),
        (
            "Server be_app/s1 is UP, reason: Layer7 check passed, code: 200, check duration: 1ms. 1 active",
            Happened::Up,
            "be_app",
            "be_app/s1",
            "Layer7 check passed, code: 200",
        ),
        (
            "Backup Server b/s2 is DOWN, reason: Layer4 timeout, check duration: 2001ms.",
            Happened::Down,
            "b",
            "b/s2",
            "Layer4 timeout",
        ),
        (
            "Server b/s is going DOWN for maintenance. 1 active and 0 backup servers left.",
            Happened::Down,
            "b",
            "b/s",
            "maintenance",
        ),
        (
            "Server b/s is UP/READY (leaving forced maintenance).",
            Happened::Up,
            "b",
            "b/s",
            "leaving forced maintenance",
        ),
        ("Server b/s is DOWN", Happened::Down, "b", "b/s", ""),
        ("[WARNING] 325/141500 (7) : Server b/s1 is DOWN, reason: x", Happened::Down, "b", "b/s1", "x"),
        ("backend be_app has no server available!", Happened::NoServer, "be_app", "", ""),
        ("proxy be_app has no server available!", Happened::NoServer, "be_app", "", ""),
    ];

    #[test]
    #[allow(clippy::too_many_lines, reason = "one table")]
    fn changes_of_servers_and_backends() {
        for &(message, happened, pool, upstream, detail) in CHANGES {
            let bytes = |text: &'static str| text.as_bytes();
            let (pool, upstream, detail) = (bytes(pool), bytes(upstream), bytes(detail));
            assert_eq!(
                change(message.as_bytes()),
                Some(Change { happened, pool, upstream, detail }),
                "{message}"
            );
        }
        for message in [
            "Server b/s is UP/DRAIN (leaving forced drain).",
            "Server b/s is D",
            "Server b/s is stopping",
            "Server s is DOWN",
            "Proxy fe started.",
            "backend be has no",
            "",
        ] {
            assert_eq!(change(message.as_bytes()), None, "{message}");
        }
    }

    #[test]
    fn connects_are_whole_or_not_at_all() {
        let line = b"Connect from 10.0.1.2:33312 to 10.0.3.31:8012  (www/HTTP)";
        assert!(connect(line, &mut ()).is_ok());
        for end in 0..line.len() {
            assert!(connect(&line[..end], &mut ()).is_err(), "{end}");
        }
    }
}
