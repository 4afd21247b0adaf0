//! Messages → streams: one for each sending host and program, with a clock and a format of its own.
//!
//! Whose a message is: the peer that sent it, and where `allow` lists that peer, the host that the message names (a relay
//! sends for many). A name from anybody else is taken off: a process of this host speaks for this host. More hosts than
//! the table holds share one stream; their messages still count.

use super::address::{Network, Peer};
use super::ring::{Counters, count};
use crate::inputs::file::{Happening, Placing};
use crate::inputs::streams;
use crate::tail::{CHUNK, FileId, FileKey, Placed, Progress};
use gatewatch_parsers::Millis;
use gatewatch_parsers::syslog::{Header, Prefix, strip_before_date};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Streams of one input.
pub const STREAMS_MAX: usize = 512;
/// A stream that gave nothing for so long is let go.
const IDLE: Millis = 600_000;
/// The same where another one needs its place.
const IDLE_IN_NEED: Millis = 60_000;
/// Names are compared up to here.
const NAME_MAX: usize = 128;
/// Headers in headers.
const LAYERS_MAX: usize = 4;
/// The node of hosts that share a stream; as rules call series beyond their cap.
const OTHERS: &str = "__other__";

/// How an input's messages are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The input's name.
    pub name: String,
    /// Its number, for [`Placing::input`].
    pub number: usize,
    /// Who is heard, beside this host, and whose host names are believed.
    pub allow: Vec<Network>,
    /// The configuration names the node of messages that name none.
    pub has_node: bool,
}

impl Setup {
    /// Whether it is listed.
    fn lists(&self, peer: Peer) -> bool {
        self.allow.iter().any(|network| network.has(peer))
    }
}

/// Whether a peer's messages are taken at all: those of this host are, and of whom `allow` lists.
#[must_use]
pub fn hears(allow: &[Network], peer: Peer) -> bool {
    peer.is_here() || allow.iter().any(|network| network.has(peer))
}

/// Takes what the streams give; false: nobody listens any more.
pub type Out<'a> = dyn FnMut(Happening) -> bool + 'a;

struct Stream {
    file: FileId,
    /// Lines that were not handed on yet.
    lines: Vec<u8>,
    offset: u64,
    heard: Millis,
    /// It gave lines since it was last said to be idle.
    busy: bool,
}

/// The streams of one input.
pub struct Senders {
    setup: Setup,
    counters: Arc<Counters>,
    streams: HashMap<Vec<u8>, Stream>,
    /// Who spoke last: what is lost, is lost of everybody, and is told with the time of that one.
    latest: Option<FileId>,
    /// Messages of hosts that found no place.
    pub crowded: u64,
    key: Vec<u8>,
}

impl Senders {
    /// None yet.
    #[must_use]
    pub fn new(setup: Setup, counters: Arc<Counters>) -> Senders {
        Senders { setup, counters, streams: HashMap::new(), latest: None, crowded: 0, key: Vec::new() }
    }

    /// The stream that spoke last.
    #[must_use]
    pub fn latest(&self) -> Option<FileId> {
        self.latest
    }

    /// What the input is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.setup.name
    }

    /// Takes a message.
    pub fn take(&mut self, peer: Peer, message: &[u8], now: Millis, out: &mut Out<'_>) -> bool {
        if !hears(&self.setup.allow, peer) {
            count(&self.counters.refused, 1);
            return true;
        }
        let message = trimmed(message);
        if message.is_empty() {
            return true;
        }
        let trusted = self.setup.lists(peer);
        let line = if trusted { Cow::Borrowed(message) } else { without_host(message) };
        let Header { host, tag, .. } = strip_before_date(&line, &mut Prefix::None);
        self.put(peer, (host, tag), &line, now, out)
    }

    /// Adds a line to the stream of this host and program.
    pub fn put(
        &mut self,
        peer: Peer,
        (host, tag): (&[u8], &[u8]),
        line: &[u8],
        now: Millis,
        out: &mut Out<'_>,
    ) -> bool {
        self.key.clear();
        self.key.extend_from_slice(peer.to_string().as_bytes());
        for name in [host, tag] {
            self.key.push(b'/');
            self.key.extend_from_slice(name.get(..NAME_MAX).unwrap_or(name));
        }
        if !self.streams.contains_key(&self.key) && !self.open(peer, (host, tag), now, out) {
            return false;
        }
        let Some(stream) = self.streams.get_mut(&self.key) else { return true };
        (stream.heard, stream.busy) = (now, true);
        self.latest = Some(stream.file);
        push_line(&mut stream.lines, line);
        stream.lines.len() < CHUNK || stream.flush(out)
    }

    /// Opens the stream of `self.key`, or where there is no room, turns to the one that such share.
    fn open(&mut self, peer: Peer, (host, tag): (&[u8], &[u8]), now: Millis, out: &mut Out<'_>) -> bool {
        let lossy = |name: &[u8]| String::from_utf8_lossy(name.get(..NAME_MAX).unwrap_or(name)).into_owned();
        let mut path = format!("{}:{peer}", self.setup.name);
        let mut node = (!peer.is_here()).then(|| peer.to_string());
        if self.streams.len() >= STREAMS_MAX && !self.make_room(now, out) {
            self.crowded += 1;
            self.key.clear();
            if self.streams.contains_key(&self.key) {
                return true;
            }
            path = format!("{}:others/-", self.setup.name);
            node = Some(OTHERS.to_owned());
        } else {
            if !host.is_empty() {
                path = format!("{path}/{}", lossy(host));
            }
            path = format!("{path}/{}", if tag.is_empty() { "-".into() } else { lossy(tag) });
        }
        let node = node.filter(|_| !self.setup.has_node);
        let place = Placing {
            path: PathBuf::from(path),
            input: self.setup.number,
            labels: node.map(|node| ("node".to_owned(), node)).into_iter().collect(),
            key: FileKey { dev: 0, ino: 0, birth: 0 },
        };
        let file = streams::next_id();
        let stream = Stream { file, lines: Vec::new(), offset: 0, heard: now, busy: false };
        self.streams.insert(self.key.clone(), stream);
        let from = Progress::default();
        out(Happening::Opened { file, place, from, size: 0, placed: Placed::Beginning, follows: None })
    }

    /// Lets the stream go that was silent for longest, if that is long.
    fn make_room(&mut self, now: Millis, out: &mut Out<'_>) -> bool {
        let oldest = self.streams.iter().filter(|(key, _)| !key.is_empty()).min_by_key(|(_, s)| s.heard);
        let Some((key, _)) = oldest.filter(|(_, s)| now.saturating_sub(s.heard) >= IDLE_IN_NEED) else {
            return false;
        };
        let key = key.clone();
        self.close(&key, out);
        true
    }

    fn close(&mut self, key: &[u8], out: &mut Out<'_>) -> bool {
        let Some(mut stream) = self.streams.remove(key) else { return true };
        stream.flush(out) && out(Happening::Finished { file: stream.file, after: Progress::default() })
    }

    /// Nothing more is there for now: hands on what is held.
    pub fn settle(&mut self, out: &mut Out<'_>) -> bool {
        self.streams.values_mut().filter(|stream| stream.busy).all(|stream| {
            stream.busy = false;
            stream.flush(out) && out(Happening::Idle { file: stream.file })
        })
    }

    /// Lets go who was silent for long.
    pub fn tidy(&mut self, now: Millis, out: &mut Out<'_>) -> bool {
        let silent = |stream: &Stream| now.saturating_sub(stream.heard) >= IDLE;
        let keys: Vec<_> = self.streams.iter().filter(|s| silent(s.1)).map(|s| s.0.clone()).collect();
        keys.iter().all(|key| self.close(key, out))
    }

    /// Every stream begins anew, set up so.
    pub fn renew(&mut self, setup: Setup, out: &mut Out<'_>) -> bool {
        self.setup = setup;
        self.finish(out)
    }

    /// Ends them all.
    pub fn finish(&mut self, out: &mut Out<'_>) -> bool {
        let keys: Vec<_> = self.streams.keys().cloned().collect();
        keys.iter().all(|key| self.close(key, out))
    }
}

impl Stream {
    fn flush(&mut self, out: &mut Out<'_>) -> bool {
        if self.lines.is_empty() {
            return true;
        }
        let (offset, bytes) = (self.offset, std::mem::take(&mut self.lines));
        self.offset += bytes.len() as u64;
        let after = Progress { offset: self.offset, ..Progress::default() };
        out(Happening::Chunk { file: self.file, offset, bytes, after })
    }
}

/// Without what some senders end a message with: a line end, a NUL.
fn trimmed(message: &[u8]) -> &[u8] {
    let end = message.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    let message = message.get(..end).unwrap_or_default();
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    message.strip_suffix(b"\r").unwrap_or(message)
}

/// Adds the message as one line: a line feed in it is written as nginx writes one, so that no sender can make up lines.
fn push_line(lines: &mut Vec<u8>, message: &[u8]) {
    let mut parts = message.split(|b| *b == b'\n');
    lines.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        lines.extend_from_slice(b"\\x0A");
        lines.extend_from_slice(part);
    }
    lines.push(b'\n');
}

/// The message without the host that its header names.
fn without_host(message: &[u8]) -> Cow<'_, [u8]> {
    let mut line = Cow::Borrowed(message);
    for _ in 0..LAYERS_MAX {
        let header = strip_before_date(&line, &mut Prefix::None);
        let length = header.host.len();
        let Some(start) = (header.host.as_ptr() as usize).checked_sub(line.as_ptr() as usize) else { break };
        if length == 0 || start + length > line.len() {
            break;
        }
        let (before, rest) = line.split_at(start);
        let after = rest.get(length..).unwrap_or_default();
        // RFC 5424 has a word for "none"; elsewhere the field is left out.
        let word = before.trim_ascii_end().rsplit(|b| *b == b' ').nth(1);
        let shorter = if word.is_some_and(|word| word.ends_with(b">1")) {
            [before, b"-", after].concat()
        } else {
            [before, after.trim_ascii_start()].concat()
        };
        line = Cow::Owned(shorter);
    }
    line
}

#[cfg(test)]
#[path = "senders_tests.rs"]
mod tests;
