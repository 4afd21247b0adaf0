//! A message within a target's limits: it loses first what is missed least.

use crate::message::Message;

/// Longer lines of a log are unreadable in a chat; email and webhook have them whole.
pub(super) const SAMPLE_MAX: usize = 240;

/// The fullest form of `message` that fits: lines of the log go first, then the milder alerts, which are counted; in the
/// end there is the headline alone, which fits everywhere.
pub(super) fn fitting(message: &Message, fits: impl Fn(&Message) -> bool) -> Message {
    if fits(message) {
        return message.clone();
    }
    let all = message.sections.len();
    for shown in [all, 7, 5, 3, 2, 1, 0].into_iter().filter(|shown| *shown <= all) {
        let mut shorter = with_sections(message, shown);
        if fits(&shorter) {
            return shorter;
        }
        shorter.sections.iter_mut().for_each(|section| section.facts.clear());
        if shown == 1 && fits(&shorter) {
            return shorter;
        }
    }
    with_sections(message, 0)
}

fn with_sections(message: &Message, shown: usize) -> Message {
    let mut shorter = message.clone();
    shorter.sections.truncate(shown);
    shorter.sections.iter_mut().for_each(|section| section.samples.clear());
    // The only one is in the headline.
    let hidden = if message.sections.len() == 1 { 0 } else { message.sections.len() - shown };
    if hidden > 0 {
        let more = shorter.more.take().map_or(String::new(), |more| format!("; {more}"));
        shorter.more = Some(format!("{hidden} more do not fit here{more}"));
    }
    shorter
}

/// At most `max` characters.
pub(super) fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// At most `max` as most chats count.
pub(super) fn cut_utf16(text: &str, max: usize) -> String {
    if utf16(text) <= max {
        return text.to_owned();
    }
    let mut length = 1;
    let fits = |c: &char| {
        length += c.len_utf16();
        length <= max
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// At most `max` bytes.
pub(super) fn cut_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or(""))
}

/// Its length as most chats count it.
pub(super) fn utf16(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Whether it may stand behind a link.
pub(super) fn is_link(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && !url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>|\"'`\\()[]".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc…");
        assert_eq!(cut_bytes("äöü", 6), "äöü");
        assert_eq!(cut_bytes("äöüx", 6), "ä…");
        assert_eq!(cut_bytes("äöüx", 5), "ä…");
        assert_eq!(utf16("a😀"), 3);
        assert_eq!(cut_utf16("a😀😀", 5), "a😀😀");
        assert_eq!(cut_utf16("a😀😀b", 5), "a😀…");
        assert!(is_link("https://a/b?c&d=e"));
        for bad in ["javascript:x", "https://a/>x", "https://a b", "https://a/)", "ftp://a"] {
            assert!(!is_link(bad), "{bad}");
        }
    }
}
