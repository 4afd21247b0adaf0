//! Chunks in, whole lines out, bounded. A line is copied only where two chunks meet in it.
//!
//! What is taken off a line here: its end (`\n`, `\r\n`), NUL bytes at its start (the hole that a truncated file leaves
//! before what is appended to it), the UTF-8 byte order mark of a file, and whatever goes beyond [`LINE_MAX`].

use memchr::memchr;

/// The longest line; the rest of a longer one is skipped.
pub const LINE_MAX: usize = 64 * 1024;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Whether a file that starts so is UTF-16: its lines are none of ours, and saying so helps more than "unknown format".
#[must_use]
pub fn is_utf16(start_of_file: &[u8]) -> bool {
    start_of_file.starts_with(b"\xFF\xFE") || start_of_file.starts_with(b"\xFE\xFF")
}

/// Lines of a stream that comes in chunks. Keeps the last, partial line until its end comes.
///
/// ```
/// # use gatewatch_parsers::lines::LineBuffer;
/// let mut buffer = LineBuffer::new();
/// let mut seen = Vec::new();
/// for mut chunk in [&b"one\ntw"[..], b"o\r\nthree"] {
///     while let Some(line) = buffer.next_line(&mut chunk) {
///         seen.push(line.to_vec());
///     }
/// }
/// assert_eq!(seen, [b"one", b"two"]);
/// assert_eq!(buffer.pending(), 5);
/// assert_eq!(buffer.finish(), Some(&b"three"[..]));
/// ```
#[derive(Debug)]
pub struct LineBuffer {
    /// The start of the line whose end has not come, or the line that was given out last.
    held: Vec<u8>,
    /// `held` has been given out; the next call empties it.
    given: bool,
    /// Bytes of the stream since the last line end, kept or not.
    pending: u64,
    at_file_start: bool,
    too_long: u64,
}

impl LineBuffer {
    /// At the start of a file.
    #[must_use]
    pub fn new() -> LineBuffer {
        LineBuffer { at_file_start: true, ..LineBuffer::inside_a_file() }
    }

    /// In the middle of a file, at the start of a line.
    #[must_use]
    pub fn inside_a_file() -> LineBuffer {
        LineBuffer { held: Vec::new(), given: false, pending: 0, at_file_start: false, too_long: 0 }
    }

    /// The next whole line, taking its bytes from the chunk. `None`: the chunk is used up; come back with the next one.
    pub fn next_line<'s, 'c: 's>(&'s mut self, chunk: &mut &'c [u8]) -> Option<&'s [u8]> {
        self.forget_given();
        let Some(at) = memchr(b'\n', chunk) else {
            self.pending += chunk.len() as u64;
            self.hold(chunk);
            *chunk = &[];
            return None;
        };
        let (line, rest) = chunk.split_at(at);
        *chunk = rest.get(1..).unwrap_or_default();
        let at_file_start = std::mem::take(&mut self.at_file_start);
        let was_pending = std::mem::take(&mut self.pending);
        if was_pending == 0 {
            return Some(clean(line, at_file_start, &mut self.too_long));
        }
        self.hold(line);
        self.given = true;
        Some(clean(&self.held, at_file_start, &mut self.too_long))
    }

    /// The last line of a stream that has ended, if it has no line end.
    pub fn finish(&mut self) -> Option<&[u8]> {
        self.forget_given();
        if std::mem::take(&mut self.pending) == 0 {
            return None;
        }
        self.given = true;
        let at_file_start = std::mem::take(&mut self.at_file_start);
        Some(clean(&self.held, at_file_start, &mut self.too_long))
    }

    /// Bytes of the stream that belong to the line whose end has not come: where a reader that starts again must go
    /// back to.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// How many lines were cut at [`LINE_MAX`].
    #[must_use]
    pub fn too_long(&self) -> u64 {
        self.too_long
    }

    fn forget_given(&mut self) {
        if self.given {
            self.held.clear();
            self.given = false;
        }
    }

    /// Keeps a part of a line, up to just beyond the cap: so much that `clean` sees that it was too long.
    fn hold(&mut self, part: &[u8]) {
        // A hole may be longer than the cap.
        let part = if self.held.is_empty() { without_hole(part) } else { part };
        let room = (LINE_MAX + BOM.len() + 2).saturating_sub(self.held.len());
        self.held.extend_from_slice(part.get(..room).unwrap_or(part));
    }
}

impl Default for LineBuffer {
    fn default() -> LineBuffer {
        LineBuffer::new()
    }
}

/// The lines of a block that is in memory; the last one may lack its end.
#[derive(Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    at_file_start: bool,
    too_long: u64,
}

impl<'a> Lines<'a> {
    /// The lines of a block that starts where a line starts.
    #[must_use]
    pub fn new(block: &'a [u8], at_file_start: bool) -> Lines<'a> {
        Lines { rest: block, at_file_start, too_long: 0 }
    }

    /// How many lines were cut at [`LINE_MAX`] so far.
    #[must_use]
    pub fn too_long(&self) -> u64 {
        self.too_long
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Some(clean(line, std::mem::take(&mut self.at_file_start), &mut self.too_long))
    }
}

fn clean<'a>(line: &'a [u8], at_file_start: bool, too_long: &mut u64) -> &'a [u8] {
    let line = without_hole(line);
    let line = if at_file_start { line.strip_prefix(BOM).unwrap_or(line) } else { line };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.get(..LINE_MAX) {
        Some(cut) if line.len() > LINE_MAX => {
            *too_long += 1;
            cut
        }
        _ => line,
    }
}

/// What follows NUL bytes at a line's start.
fn without_hole(line: &[u8]) -> &[u8] {
    let hole = line.iter().position(|b| *b != 0).unwrap_or(line.len());
    line.get(hole..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All lines of a stream that comes in these chunks, and how many were too long.
    fn collect(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
        let mut buffer = LineBuffer::new();
        let mut lines = Vec::new();
        for mut chunk in chunks.iter().copied() {
            while let Some(line) = buffer.next_line(&mut chunk) {
                lines.push(line.to_vec());
            }
        }
        lines.extend(buffer.finish().map(<[u8]>::to_vec));
        assert_eq!(buffer.finish(), None);
        (lines, buffer.too_long())
    }

    #[test]
    fn lines_come_out_whole() {
        type Parts = &'static [&'static [u8]];
        let cases: &[(Parts, Parts)] = &[
            (&[], &[]),
            (&[b""], &[]),
            (&[b"\n"], &[b""]),
            (&[b"a\n\nb\n"], &[b"a", b"", b"b"]),
            (&[b"a\nb"], &[b"a", b"b"]),
            (&[b"a", b"", b"b", b"c\nd\n"], &[b"abc", b"d"]),
            (&[b"a", b"\n", b"\n"], &[b"a", b""]),
            (&[b"a\r\nb\r\n"], &[b"a", b"b"]),
            (&[b"a\r", b"\nb\r", b"\n"], &[b"a", b"b"]),
            (&[b"a\rb\n"], &[b"a\rb"]),
            (&[b"\0\0\0a\n\0\0b\n"], &[b"a", b"b"]),
            (&[b"\0\0", b"\0", b"\0a\0b\n"], &[b"a\0b"]),
            (&[b"\0\0\0"], &[b""]),
            (&[b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb\n"], &[b"a", b"\xEF\xBB\xBFb"]),
            (&[b"\xEF", b"\xBB\xBF", b"a\n"], &[b"a"]),
            (&[b"\0\0\xEF\xBB\xBFa\n"], &[b"a"]),
        ];
        for (chunks, want) in cases {
            assert_eq!(collect(chunks).0, *want, "{chunks:?}");
            let block = chunks.concat();
            assert_eq!(Lines::new(&block, true).collect::<Vec<_>>(), *want, "{block:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_and_counted() {
        for (length, cut) in [(LINE_MAX, 0), (LINE_MAX + 1, 1), (LINE_MAX * 3, 1)] {
            for end in ["\n", "\r\n"] {
                let text = format!("{}{end}short{end}", "x".repeat(length));
                for size in [1, 7, 4_096, LINE_MAX, text.len()] {
                    let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
                    let (lines, too_long) = collect(&chunks);
                    assert_eq!((lines[0].len(), too_long), (LINE_MAX, cut), "{length} in {size}");
                    assert_eq!(lines[1], b"short");
                }
                let mut lines = Lines::new(text.as_bytes(), true);
                assert_eq!(lines.by_ref().map(<[u8]>::len).collect::<Vec<_>>(), [LINE_MAX, 5]);
                assert_eq!(lines.too_long(), cut);
            }
        }
    }

    #[test]
    fn a_line_without_end_holds_no_more_than_the_cap() {
        let mut buffer = LineBuffer::new();
        for _ in 0..1_000 {
            assert_eq!(buffer.next_line(&mut &[b'x'; 4_096][..]), None);
            assert_eq!(buffer.next_line(&mut &[0; 4_096][..]), None);
        }
        assert!(buffer.held.capacity() < 3 * LINE_MAX);
        assert_eq!(buffer.pending(), 8_192_000);
        assert_eq!(buffer.finish().map(<[u8]>::len), Some(LINE_MAX));
    }

    #[test]
    fn utf16_is_recognised() {
        assert!(is_utf16(b"\xFF\xFE1\0"));
        assert!(is_utf16(b"\xFE\xFF\x001"));
        assert!(!is_utf16(b"\xEF\xBB\xBF1"));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(0), Just(0xEF), Just(0xBB), Just(0xBF), Just(b'a')], 0..60),
            sizes in proptest::collection::vec(1usize..9, 60),
        ) {
            let mut rest = &text[..];
            let mut chunks = Vec::new();
            for size in sizes {
                let (chunk, after) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let whole: Vec<_> = Lines::new(&text, true).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(collect(&chunks).0, whole);
        }
    }
}
