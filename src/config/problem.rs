//! What is wrong with a configuration, and where: file, line, column and a caret, as compilers say it.

use std::fmt;

/// A file of the configuration, whole.
#[derive(Clone, Debug)]
pub struct Source {
    /// As it is named in messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A stretch of bytes in one of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub file: usize,
    pub start: usize,
    pub end: usize,
}

impl Spot {
    pub fn new(file: usize, span: std::ops::Range<usize>) -> Spot {
        Spot { file, start: span.start, end: span.end }
    }
}

/// A place as people name it, with the line that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line, without secrets.
    pub text: String,
    /// Carets start behind so many characters of `text` …
    before: usize,
    /// … and are so many, at least one.
    carets: usize,
}

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it can be loaded nevertheless.
    pub is_warning: bool,
    /// What is wrong.
    pub message: String,
    /// Where; `None`: the file as a whole.
    pub place: Option<Place>,
    /// Behind the carets: what would be right.
    pub label: String,
    /// Further facts, a line each.
    pub notes: Vec<String>,
}

impl Problem {
    /// A mistake of a file as a whole.
    #[must_use]
    pub fn whole(message: String, label: &str) -> Problem {
        Problem { is_warning: false, message, place: None, label: label.to_owned(), notes: Vec::new() }
    }
}

/// All mistakes of a configuration, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_warning { "warning" } else { "error" };
        writeln!(f, "{word}: {}", self.message)?;
        let mut margin = 1;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            margin = number.len();
            writeln!(f, "{:margin$}--> {}:{}:{}", "", place.path, place.line, place.column)?;
            writeln!(f, "{:margin$} |", "")?;
            writeln!(f, "{number} | {}", place.text)?;
            let carets =
                format!("{:before$}{:^<carets$}", "", "", before = place.before, carets = place.carets);
            writeln!(f, "{}", format!("{:margin$} | {carets} {}", "", self.label).trim_end())?;
        } else if !self.label.is_empty() {
            writeln!(f, "{:margin$} = {}", "", self.label)?;
        }
        for note in &self.notes {
            writeln!(f, "{:margin$} = {note}", "")?;
        }
        Ok(())
    }
}

/// Longer lines are shown in part.
const SHOWN_CHARS: usize = 160;

impl Source {
    /// Line and column (in characters) of a byte offset, from 1, and the line's own span.
    pub(super) fn line_of(&self, at: usize) -> (usize, usize, &str) {
        let at = (0..=at.min(self.text.len())).rev().find(|&i| self.text.is_char_boundary(i)).unwrap_or(0);
        let (head, tail) = self.text.split_at(at);
        let start = head.rfind('\n').map_or(0, |i| i + 1);
        let end = at + tail.find('\n').unwrap_or(tail.len());
        let line = 1 + head.bytes().filter(|&b| b == b'\n').count();
        let column = 1 + head.get(start..).unwrap_or("").chars().count();
        (line, column, self.text.get(start..end).unwrap_or("").trim_end_matches('\r'))
    }

    /// `path:line:column`, for notes.
    pub(super) fn name_of(&self, at: usize) -> String {
        let (line, column, _) = self.line_of(at);
        format!("{}:{line}:{column}", self.name)
    }

    /// By the nearest header above, since a broken file may have no tables.
    fn is_in_notify(&self, at: usize, line: &str) -> bool {
        let head = self.text.get(..at).unwrap_or("");
        let header = head.lines().rev().find(|line| is_header(line));
        let secretive = |text: &str| text.contains("notify") || text.contains("heartbeat");
        line.contains("notify.") || line.contains("heartbeat.") || header.is_some_and(secretive)
    }

    fn place(&self, spot: Spot, is_broken: bool) -> Place {
        let (line, column, text) = self.line_of(spot.start);
        let marked = self.text.get(spot.start..spot.end).unwrap_or("");
        let marked = marked.split('\n').next().unwrap_or("").trim_end_matches('\r').chars().count();
        let in_notify = self.is_in_notify(spot.start, text);
        let shown = if is_broken && in_notify { only_key(text) } else { without_secrets(text, in_notify) };
        let length = shown.chars().count();
        // A secret that was taken out may leave the line shorter than where the carets would stand.
        let before = (column - 1).min(length);
        let carets = marked.min(length - before).max(1);
        let skipped = if length > SHOWN_CHARS { before.saturating_sub(40) } else { 0 };
        let mut cut: String = shown.chars().skip(skipped).take(SHOWN_CHARS).map(printable).collect();
        if skipped > 0 {
            cut = format!("…{}", cut.chars().skip(1).collect::<String>());
        }
        let before = before - skipped;
        let carets = carets.min(SHOWN_CHARS.saturating_sub(before)).max(1);
        Place { path: self.name.clone(), line, column, text: cut, before, carets }
    }
}

/// One character each, so that the carets keep their column; none that steers a terminal or turns the text around.
pub(super) fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        c => c,
    }
}

/// Keys of `[notify]` whose values may be shown. Any other key there may be a misspelt `password`.
const OPEN_KEYS: [&str; 31] = [
    "smtp",
    "tls",
    "username",
    "from",
    "to",
    "severity",
    "send_resolved",
    "group_wait",
    "url_file",
    "password_file",
    "ca_file",
    "secret_file",
    "bearer_token_file",
    "rate_limit",
    "fallback",
    "fallback_only",
    "routing_key_file",
    "token_file",
    "topic_file",
    "channel",
    "chat_id",
    "message_thread_id",
    "resend",
    "timeout",
    "socket",
    "title_template",
    "title_template_file",
    "template",
    "template_file",
    "watchdog",
    "every",
];

/// The line with secrets taken out, since messages end up in journals and tickets: what stands behind `url =` or
/// `password =`, in `[notify]` behind whatever is not known to be open; and of every URL all but the host.
fn without_secrets(line: &str, in_notify: bool) -> String {
    let mut line = line.to_owned();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    for (at, _) in line.match_indices('=') {
        let head = line.get(..at).unwrap_or("").trim_end().trim_end_matches(['"', '\'']);
        let key = head.rsplit(|c| !is_word(c)).next().unwrap_or("");
        let secret = key.ends_with("url") || key.ends_with("password");
        // An inline table is searched by its own keys.
        let table = line.get(at + 1..).is_some_and(|rest| rest.trim_start().starts_with('{'));
        if secret || in_notify && !table && !OPEN_KEYS.contains(&key) {
            line.truncate(at + 1);
            line.push_str(" <secret>");
            break;
        }
    }
    let mut from = 0;
    while let Some(host) = line.get(from..).and_then(|rest| rest.find("://")).map(|i| from + i + 3) {
        let rest = line.get(host..).unwrap_or("");
        let end = rest.find(['"', '\'', ' ', '\t', ',']).unwrap_or(rest.len());
        let url = rest.get(..end).unwrap_or("");
        let user = url.rfind('@').map_or(0, |i| i + 1);
        let path = url.get(user..).unwrap_or("").find('/').map_or(end, |i| user + i);
        let kept = url.get(user..path).unwrap_or("");
        let tail = if path + 1 < end { "/<secret>" } else { url.get(path..).unwrap_or("") };
        let new = format!("{}{kept}{tail}", if user > 0 { "<secret>@" } else { "" });
        line.replace_range(host..host + end, &new);
        from = host + new.len();
    }
    line
}

/// A line of `[notify]` that cannot be parsed: its key at most, since anything in it may be a secret.
fn only_key(line: &str) -> String {
    match line.split_once('=') {
        _ if is_header(line) => line.to_owned(),
        Some((key, _)) if key.chars().all(is_plain) => format!("{key}= <secret>"),
        _ => "<secret>".to_owned(),
    }
}

fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or("").trim();
    line.starts_with('[') && line.trim_matches(['[', ']']).chars().all(is_plain)
}

/// What keys are made of.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'' | ' ' | '\t')
}

/// Collects what is found while reading.
pub(super) struct Log<'a> {
    pub sources: &'a [Source],
    /// What a file's syntax errors leave in doubt.
    pub doubts: Vec<Doubt>,
    errors: Vec<(Spot, Problem)>,
    warnings: Vec<(Spot, Problem)>,
    /// Errors found beyond [`PROBLEMS_MAX`].
    unsaid: usize,
}

/// More are counted and not said: finding a place takes a pass over the file, and nobody reads further.
const PROBLEMS_MAX: usize = 200;

/// Where a file's syntax is broken: what is said about those lines, or about what seems to be missing, may only follow
/// from that.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub file: usize,
    pub lines: Vec<usize>,
    /// Behind this offset nothing can be trusted.
    pub from: Option<usize>,
}

impl<'a> Log<'a> {
    pub fn new(sources: &'a [Source]) -> Log<'a> {
        Log { sources, doubts: Vec::new(), errors: Vec::new(), warnings: Vec::new(), unsaid: 0 }
    }

    /// How many mistakes there are so far.
    pub fn errors(&self) -> usize {
        self.errors.len() + self.unsaid
    }

    /// A mistake.
    pub fn error(&mut self, spot: Spot, message: String, label: &str) {
        if self.has_room() && !self.is_doubtful(spot) {
            self.push(spot, message, label, Vec::new());
        }
    }

    /// A mistake that has to do with another place.
    pub fn clash(&mut self, spot: Spot, message: String, label: &str, other: Spot, said: &str) {
        if self.has_room() && !self.is_doubtful(spot) {
            let note = self.sources.get(other.file).map(|s| format!("{said} {}", s.name_of(other.start)));
            self.push(spot, message, label, note.into_iter().collect());
        }
    }

    /// A mistake in a file that the configuration names at `spot`.
    pub fn error_in(
        &mut self,
        spot: Spot,
        source: &Source,
        at: std::ops::Range<usize>,
        message: String,
        label: &str,
    ) {
        if !self.has_room() || self.is_doubtful(spot) {
            return;
        }
        let place = Some(source.place(Spot::new(spot.file, at), false));
        let problem =
            Problem { is_warning: false, message, place, label: label.to_owned(), notes: Vec::new() };
        self.errors.push((spot, problem));
    }

    /// Something is missing; not said if a file is broken, since it may stand there.
    pub fn missing(&mut self, spot: Spot, message: String, label: &str) {
        if self.doubts.is_empty() && self.has_room() {
            self.push(spot, message, label, Vec::new());
        }
    }

    /// It loads, but will not do what it seems to.
    pub fn warn(&mut self, spot: Spot, message: String, label: &str) {
        if self.doubts.is_empty() && self.warnings.len() < PROBLEMS_MAX {
            let place = self.sources.get(spot.file).map(|s| s.place(spot, false));
            let label = label.to_owned();
            let problem = Problem { is_warning: true, message, place, label, notes: Vec::new() };
            self.warnings.push((spot, problem));
        }
    }

    /// A syntax error.
    pub fn syntax(&mut self, spot: Spot, message: String, notes: Vec<String>) {
        if !self.has_room() {
            return;
        }
        let place = self.sources.get(spot.file).map(|s| s.place(spot, true));
        let problem = Problem { is_warning: false, message, place, label: String::new(), notes };
        self.errors.push((spot, problem));
    }

    fn has_room(&mut self) -> bool {
        self.unsaid += usize::from(self.errors.len() >= PROBLEMS_MAX);
        self.errors.len() < PROBLEMS_MAX
    }

    fn is_doubtful(&self, spot: Spot) -> bool {
        let Some(source) = self.sources.get(spot.file) else { return false };
        self.doubts.iter().filter(|d| d.file == spot.file).any(|d| {
            d.from.is_some_and(|from| spot.start >= from) || d.lines.contains(&source.line_of(spot.start).0)
        })
    }

    fn push(&mut self, spot: Spot, message: String, label: &str, notes: Vec<String>) {
        let place = self.sources.get(spot.file).map(|s| s.place(spot, false));
        let label = label.to_owned();
        self.errors.push((spot, Problem { is_warning: false, message, place, label, notes }));
    }

    /// All mistakes, and all warnings, each in the order of the files.
    pub fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.errors.sort_by_key(|found| found.0);
        self.warnings.sort_by_key(|found| found.0);
        let mut errors: Vec<_> = self.errors.into_iter().map(|found| found.1).collect();
        if self.unsaid > 0 {
            errors.push(Problem::whole(format!("and {} more", self.unsaid), ""));
        }
        (errors, self.warnings.into_iter().map(|found| found.1).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_shown_lines() {
        for (line, shown) in [
            ("url = \"https://hooks.slack.com/T/B/x\" # y", "url = <secret>"),
            ("ops = { \"url\"='https://h/x', foo = 1 }", "ops = { \"url\"= <secret>"),
            ("password=\"x", "password= <secret>"),
            ("pasword = \"x\"", "pasword = <secret>"),
            ("password_file = \"/etc/x\"", "password_file = \"/etc/x\""),
            (
                "ops = { smtp = \"smtp://u:p@mail.example/\" }",
                "ops = { smtp = \"smtp://<secret>@mail.example/\" }",
            ),
            ("to = \"http://a\", \"http://b/c\"", "to = \"http://a\", \"http://b/<secret>\""),
            ("https://", "https://"),
            ("to = [\"a\", \"b\"]", "to = [\"a\", \"b\"]"),
        ] {
            assert_eq!(without_secrets(line, true), shown, "{line}");
        }
        for (line, shown) in [
            ("pasword = \"x", "pasword = <secret>"),
            ("ops = { password \"x\", url = \"y\" }", "ops = <secret>"),
            ("password x", "<secret>"),
            ("[notify.slack", "[notify.slack"),
        ] {
            assert_eq!(only_key(line), shown, "{line}");
        }
        assert_eq!(without_secrets("window = \"5\"", false), "window = \"5\"");
        assert_eq!(without_secrets("webhook_url = \"5\"", false), "webhook_url = <secret>");
    }

    #[test]
    fn carets_stay_on_the_line() {
        let source = Source { name: "f".into(), text: format!("a\r\n{} x\tü = 1\n", "y".repeat(300)) };
        for start in 0..=source.text.len() + 2 {
            for end in [start, start + 1, start + 400] {
                let place = source.place(Spot { file: 0, start, end }, false);
                assert!(place.before + place.carets <= place.text.chars().count().max(place.before) + 1);
            }
        }
    }
}
