//! A stream of bytes → messages, as RFC 6587 frames them: `LEN SP MSG`, or a message a line. Pure, and bounded: a length
//! is judged digit by digit, before anything is kept for it.

/// The longest message.
pub const MESSAGE_MAX: usize = 64 * 1024;
/// A length of more digits is none.
const DIGITS_MAX: u32 = 5;

/// How a connection frames its messages; its first byte decides for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Nothing came yet.
    Unknown,
    /// Of a length so far, and how many digits it has.
    Length(usize, u32),
    /// So many bytes of the message are to come.
    Octets(usize),
    /// A message a line.
    Lines,
    /// The rest of a line that was too long.
    RestOfLine,
    /// It made no sense: nothing behind it can.
    Broken,
}

/// What came is no syslog framing: nobody can tell where the next message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame;

/// Cuts one connection's bytes into messages.
#[derive(Debug)]
pub struct Frames {
    framing: Framing,
    /// The beginning of a message whose end has not come.
    held: Vec<u8>,
    only_octets: bool,
    /// Lines that were cut.
    pub truncated: u64,
}

impl Frames {
    /// Of a new connection. `only_octets`: lines are no messages there (TLS).
    #[must_use]
    pub fn new(only_octets: bool) -> Frames {
        Frames { framing: Framing::Unknown, held: Vec::new(), only_octets, truncated: 0 }
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        !self.held.is_empty()
            || !matches!(self.framing, Framing::Unknown | Framing::Lines | Framing::Length(0, 0))
    }

    /// Takes the next bytes; gives the messages that end in them.
    ///
    /// # Errors
    /// The connection is to be closed. Messages before the bad frame were given.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), BadFrame> {
        while let Some((&first, rest)) = bytes.split_first() {
            match self.framing {
                Framing::Unknown if first.is_ascii_digit() || self.only_octets => {
                    self.framing = Framing::Length(0, 0);
                }
                Framing::Unknown => self.framing = Framing::Lines,
                Framing::Length(length, digits) => {
                    bytes = rest;
                    self.framing = length_with(first, length, digits).ok_or_else(|| {
                        self.framing = Framing::Broken;
                        BadFrame
                    })?;
                }
                Framing::Octets(missing) => {
                    let (part, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
                    bytes = rest;
                    let missing = missing - part.len();
                    let ends = missing == 0;
                    self.framing = if ends { Framing::Length(0, 0) } else { Framing::Octets(missing) };
                    self.give(part, ends, out);
                }
                Framing::Lines => bytes = self.line(bytes, out),
                Framing::RestOfLine => {
                    bytes =
                        memchr::memchr(b'\n', bytes).and_then(|at| bytes.get(at + 1..)).map_or(&[], |rest| {
                            self.framing = Framing::Lines;
                            rest
                        });
                }
                Framing::Broken => return Err(BadFrame),
            }
        }
        Ok(())
    }

    /// A line, or as much of it as there is; what is behind it.
    fn line<'b>(&mut self, bytes: &'b [u8], out: &mut impl FnMut(&[u8])) -> &'b [u8] {
        let end = memchr::memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        let room = MESSAGE_MAX - self.held.len().min(MESSAGE_MAX);
        if let Some(beginning) = part.get(..room).filter(|_| part.len() > room) {
            self.truncated += 1;
            self.framing = Framing::RestOfLine;
            self.give(beginning, true, out);
            return bytes.get(room..).unwrap_or_default();
        }
        self.give(part, end.is_some(), out);
        end.and_then(|at| bytes.get(at + 1..)).unwrap_or_default()
    }

    fn give(&mut self, part: &[u8], ends: bool, out: &mut impl FnMut(&[u8])) {
        if !ends {
            self.held.extend_from_slice(part);
        } else if self.held.is_empty() {
            out(part);
        } else {
            self.held.extend_from_slice(part);
            out(&self.held);
            self.held.clear();
        }
    }

    /// The connection was closed: a last line needs no end.
    pub fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        if self.framing == Framing::Lines && !self.held.is_empty() {
            out(&self.held);
        }
        self.held.clear();
    }
}

/// A length with one more digit, or the space behind it.
fn length_with(byte: u8, length: usize, digits: u32) -> Option<Framing> {
    match byte {
        b' ' if digits > 0 && length <= MESSAGE_MAX => Some(Framing::Octets(length)),
        b'0' if digits == 0 => None,
        b'0'..=b'9' if digits < DIGITS_MAX => {
            Some(Framing::Length(length * 10 + usize::from(byte - b'0'), digits + 1))
        }
        // What some senders put behind a message; it is in no length, and no length begins so.
        b'\n' if digits == 0 => Some(Framing::Length(0, 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Cut = (Vec<Vec<u8>>, bool, u64);

    /// The messages, whether it broke, and how many were cut.
    fn cut<'b>(reads: impl IntoIterator<Item = &'b [u8]>, only_octets: bool) -> Cut {
        let (mut frames, mut messages) = (Frames::new(only_octets), Vec::new());
        let mut out = |message: &[u8]| messages.push(message.to_vec());
        let broken = reads.into_iter().any(|bytes| frames.push(bytes, &mut out).is_err());
        frames.finish(&mut out);
        assert!(frames.held.capacity() <= 2 * MESSAGE_MAX);
        (messages, broken, frames.truncated)
    }

    #[test]
    fn framing() {
        let table: [(&[u8], &[&str], bool); 24] = [
            (b"", &[], false),
            (b"5 hello3 <1>", &["hello", "<1>"], false),
            (b"5 hell", &[], false),
            (b"7 one\ntwo2 x\n", &["one\ntwo", "x\n"], false),
            (b"5 hello\n3 <1>", &["hello", "<1>"], false),
            (b"<1>one\n<1>two\n", &["<1>one", "<1>two"], false),
            (b"<1>one\n\n<1>two", &["<1>one", "", "<1>two"], false),
            (b"<1>one\n5 two\n", &["<1>one", "5 two"], false),
            (b"{\"a\":1}\n", &["{\"a\":1}"], false),
            // Hostile or broken lengths.
            (b"0 x", &[], true),
            (b"05 hello", &[], true),
            (b"5hello", &[], true),
            (b"5  hello", &[" hell"], true),
            (b"65537 x", &[], true),
            (b"99999 x", &[], true),
            (b"655360 x", &[], true),
            (b"18446744073709551617 x", &[], true),
            (b"999999999999999999999999999999999999", &[], true),
            (b"-1 x", &["-1 x"], false),
            (b"1 x-1 y", &["x"], true),
            (b"1 x<1>two\n", &["x"], true),
            (b"127.0.0.1:5 [x]\n", &[], true),
            (b"3 one 3 two", &["one"], true),
            (b"5\nhello", &[], true),
        ];
        for (bytes, messages, broken) in table {
            let name = String::from_utf8_lossy(bytes).into_owned();
            let got = cut([bytes], false);
            let got_messages: Vec<_> =
                got.0.iter().map(|m| String::from_utf8_lossy(m).into_owned()).collect();
            assert_eq!(
                (got_messages, got.1),
                (messages.iter().map(|m| (*m).to_owned()).collect(), broken),
                "{name}"
            );
        }
        assert_eq!(cut([&b"<1>one\n"[..]], true), (vec![], true, 0));
        assert_eq!(cut([&b"1 x"[..]], true), (vec![b"x".to_vec()], false, 0));
    }

    #[test]
    fn the_longest_message_is_whole_and_a_longer_line_is_cut() {
        let long = "x".repeat(MESSAGE_MAX);
        for (bytes, lines_cut) in [
            (format!("{MESSAGE_MAX} {long}1 y"), 0),
            (format!("<{}\ny\n", &long[1..]), 0),
            (format!("<{long}xx\ny\n"), 1),
        ] {
            let whole = bytes.as_bytes();
            for size in [1, 7, 4_096, whole.len()] {
                let (messages, broken, truncated) = cut(whole.chunks(size), false);
                assert_eq!((broken, truncated), (false, lines_cut));
                assert_eq!((messages[0].len(), messages[1].as_slice()), (MESSAGE_MAX, &b"y"[..]));
            }
        }
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let message = prop::collection::vec(
            prop_oneof![Just(b'\n'), Just(b' '), b'0'..=b'9', Just(b'<'), any::<u8>()],
            1..40,
        );
        let octets = message.prop_map(|m| [m.len().to_string().as_bytes(), b" ", &m].concat());
        let line = prop::collection::vec(any::<u8>(), 0..40).prop_map(|m| [b"<1>", &m[..], b"\n"].concat());
        let junk = prop::collection::vec(prop_oneof![b'0'..=b'9', Just(b' '), any::<u8>()], 0..20);
        prop_oneof![
            prop::collection::vec(octets.clone(), 0..8).prop_map(|m| m.concat()),
            prop::collection::vec(line, 0..8).prop_map(|m| m.concat()),
            (prop::collection::vec(octets, 0..4), junk).prop_map(|(m, junk)| [m.concat(), junk].concat()),
        ]
    }

    proptest! {
        #[test]
        fn reads_make_no_difference(bytes in stream(), sizes in prop::collection::vec(1usize..9, 400), only: bool) {
            let mut rest = &bytes[..];
            let mut reads = Vec::new();
            for size in sizes {
                let (read, after) = rest.split_at(size.min(rest.len()));
                reads.push(read);
                rest = after;
            }
            reads.push(rest);
            prop_assert_eq!(cut(reads, only), cut([&bytes[..]], only));
        }

        #[test]
        fn what_is_counted_comes_back(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..99), 0..9)) {
            let framed: Vec<u8> = messages.iter().flat_map(|m| [m.len().to_string().as_bytes(), b" ", m].concat()).collect();
            prop_assert_eq!(cut([&framed[..]], true), (messages, false, 0));
        }
    }
}
