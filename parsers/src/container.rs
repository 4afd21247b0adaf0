//! What a container runtime puts around each line: Docker's `{"log":"…\n","stream":"stdout","time":"…"}`, and the
//! `2026-11-22T14:54:06.958885Z stdout F …` of containerd and CRI-O, which cut long lines into parts (`P`). A file is
//! looked at once; of one that is no container's log, no line is looked at again.

use crate::lines::{LINE_MAX, Lines};
use serde::{Deserialize, Serialize};

/// Who wrapped the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// Docker's `json-file`.
    Docker,
    /// The Kubernetes container runtime interface: containerd, CRI-O, podman.
    Cri,
}

/// Lines of a head that are looked at.
const SAMPLE: usize = 50;

impl Runtime {
    /// Whose log begins so; most of its lines must be wrapped.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Runtime> {
        // What a hot path may meet in vain: nearly every file ends here.
        let first = head.iter().find(|b| !b.is_ascii_whitespace() && **b != 0)?;
        if !matches!(first, b'{' | b'0'..=b'9') {
            return None;
        }
        let lines: Vec<&[u8]> = Lines::new(head, true).filter(|line| !line.is_empty()).take(SAMPLE).collect();
        let all = |runtime: Runtime| {
            lines.iter().filter(|line| part(runtime, line, &mut Vec::new()).is_some()).count() * 2
                > lines.len()
        };
        [Runtime::Docker, Runtime::Cri].into_iter().find(|runtime| all(*runtime))
    }

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Runtime::Docker => "Docker json-file",
            Runtime::Cri => "CRI container log",
        }
    }
}

/// Takes the wrapping off, and joins what was cut. What it holds is at most one line of each of the two streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwrapper {
    runtime: Runtime,
    /// The beginnings of lines whose rest has not come, of stdout and stderr.
    begun: [Vec<u8>; 2],
    #[serde(skip)]
    text: Vec<u8>,
    /// Which of `begun` was given out, and is void.
    #[serde(skip)]
    given: Option<usize>,
}

/// A piece of what a program wrote.
struct Part<'a> {
    /// `None`: in the buffer for what had to be unescaped.
    text: Option<&'a [u8]>,
    is_error: bool,
    /// The line ends with it.
    ends: bool,
}

impl Unwrapper {
    /// At the beginning of a log.
    #[must_use]
    pub fn new(runtime: Runtime) -> Unwrapper {
        Unwrapper { runtime, begun: [Vec::new(), Vec::new()], text: Vec::new(), given: None }
    }

    /// Who wrapped the lines.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// The line that ends with this line of the file; `None`: it goes on. A line that is not wrapped is itself.
    pub fn line<'s>(&'s mut self, raw: &'s [u8]) -> Option<&'s [u8]> {
        self.forget_given();
        let Unwrapper { runtime, begun, text, given } = self;
        text.clear();
        let Some(part) = part(*runtime, raw, text) else { return Some(raw) };
        let piece = part.text.unwrap_or(text);
        let which = usize::from(part.is_error);
        let held = begun.get_mut(which)?;
        if part.ends && held.is_empty() {
            return Some(clean(piece));
        }
        let room = (LINE_MAX + 2).saturating_sub(held.len());
        held.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if !part.ends {
            return None;
        }
        *given = Some(which);
        Some(clean(held))
    }

    /// The log has ended: a line that was begun and never ended; ask until there is none.
    pub fn finish(&mut self) -> Option<&[u8]> {
        self.forget_given();
        let which = self.begun.iter().position(|held| !held.is_empty())?;
        self.given = Some(which);
        self.begun.get(which).map(|held| clean(held))
    }

    /// What was given out is void now, and not only when the next line comes: else it would be saved as begun.
    pub fn settle(&mut self) {
        self.forget_given();
    }

    /// So many bytes wait for the rest of their lines.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let of = |(which, held): (usize, &Vec<u8>)| if self.given == Some(which) { 0 } else { held.len() };
        self.begun.iter().enumerate().map(of).sum()
    }

    /// Forgets what was begun: the file was truncated.
    pub fn restart(&mut self) {
        self.begun.iter_mut().for_each(Vec::clear);
    }

    fn forget_given(&mut self) {
        if let Some(held) = self.given.take().and_then(|which| self.begun.get_mut(which)) {
            held.clear();
        }
    }
}

/// As a line of a file is cleaned: no `\r` at its end, and not too long.
fn clean(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.get(..LINE_MAX).unwrap_or(line)
}

fn part<'a>(runtime: Runtime, line: &'a [u8], text: &mut Vec<u8>) -> Option<Part<'a>> {
    match runtime {
        Runtime::Docker => docker(line, text),
        Runtime::Cri => cri(line),
    }
}

/// `2016-10-06T00:17:09.669794202Z stdout F line`, `… stderr P part`; tags after the first, behind colons, are to come.
fn cri(line: &[u8]) -> Option<Part<'_>> {
    let mut words = line.splitn(4, |b| *b == b' ');
    let (stamp, stream, tags) = (words.next()?, words.next()?, words.next()?);
    let is_stamp = matches!(stamp, [y, _, _, _, b'-', _, _, b'-', _, _, b'T', ..] if y.is_ascii_digit());
    let is_error = match stream {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let ends = match tags.split(|b| *b == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    is_stamp.then_some(Part { text: Some(words.next().unwrap_or_default()), is_error, ends })
}

/// `{"log":"line\n","stream":"stdout","time":"…"}`; a part has no line feed.
fn docker<'a>(line: &'a [u8], text: &mut Vec<u8>) -> Option<Part<'a>> {
    let log = line.strip_prefix(br#"{"log":""#)?;
    let Some(after) = unescape(log, text) else {
        // Cut at the cap of a line: there will be no more of it.
        return Some(Part { text: None, is_error: false, ends: true });
    };
    let stream = after.strip_prefix(br#","stream":""#)?;
    let is_error = match stream.split(|b| *b == b'"').next()? {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let ends = text.last() == Some(&b'\n');
    if ends {
        text.pop();
    }
    // Docker ends a line at each line feed; one within would make two lines of one.
    text.iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b' ');
    Some(Part { text: None, is_error, ends })
}

/// The content of a JSON string that began before `text`; what stands behind it, `None` if it does not end.
fn unescape<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest);
        out.extend_from_slice(rest.get(..at.unwrap_or(rest.len())).unwrap_or_default());
        rest = rest.get(at?..)?;
        let (&first, after) = rest.split_first()?;
        if first == b'"' {
            return Some(after);
        }
        let (&escape, after) = after.split_first()?;
        rest = after;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unicode(rest, out)?,
            other => out.push(other),
        }
    }
}

/// `003c`, or `d83d\ude00`: what stands behind it.
fn unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let hex = |text: &[u8]| u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok();
    let (digits, mut after) = rest.split_at_checked(4)?;
    let mut code = hex(digits)?;
    if (0xD800..0xDC00).contains(&code)
        && let Some((low, behind)) = after.strip_prefix(b"\\u").and_then(|low| low.split_at_checked(4))
        && let Some(low) = hex(low).filter(|low| (0xDC00..0xE000).contains(low))
    {
        code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        after = behind;
    }
    let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    Some(after)
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
