//! The logs as they really are, and the trivial account of them: which numbered line is in which file.

use crate::actions::{LINKED, Refill, STREAMS};
use crate::system::Ledger;
use chrono::DateTime;
use flate2::Compression;
use flate2::write::GzEncoder;
use gatewatch_parsers::Millis;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// 2026-11-22T12:00:00Z.
pub const T: Millis = 1_795_348_800_000;
/// A deleted file is let go after so long without a new byte; a little before that, nobody can rely on it any more.
const HELD_FOR: Millis = 9_000;

/// The wall clock is off by less than an hour: a line further in the future waits for its time to come, as it should.
const SKEW_MAX: Millis = 3_500_000;

/// A line's number.
pub type Number = usize;

/// A file with bytes: a log, a rotated one, a copy, an archive.
#[derive(Clone, Debug)]
struct Content {
    lines: Vec<Number>,
    /// Names below the log directory that the agent is to find it by.
    names: BTreeSet<String>,
    /// The running agent has it open.
    held: bool,
    /// When a byte came last.
    touched: Millis,
    archive: bool,
    /// A copy of which nothing was ever read proves nothing: nobody can know it for one. Two unknown files that begin alike
    /// may be two logs of one proxy; to leave one out could lose lines for good, to count both is seen. (A file's beginning
    /// is stored as soon as it is placed. What is left is what was written and copied after the last durable look.)
    known: bool,
    /// It began as a copy, or is the archive of one.
    copied: bool,
    /// It was copied: of what was written between that and a truncation nobody can know.
    has_copy: bool,
    /// Deleted, read to its end, and let go: of what is written to it then nobody can know.
    let_go: bool,
    /// Nobody may read it.
    closed: bool,
    /// Below the logs, of what a symlink leads to.
    target: Option<String>,
}

struct Stream {
    file: Option<File>,
    /// Which content the writer writes to.
    to: usize,
    /// The rest of the line that was begun.
    rest: Option<(Number, String, Millis)>,
}

/// What is known of one line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub whole: bool,
    /// It was destroyed before anybody could keep that it was counted.
    pub may_be_missing: bool,
    /// It was copied before anything of its file was read: nothing tells the copy from another file.
    pub may_come_twice: bool,
    /// The content that it was written to.
    of: usize,
    stream: usize,
    pub text: String,
}

pub struct World {
    folder: tempfile::TempDir,
    contents: Vec<Content>,
    streams: Vec<Stream>,
    pub lines: Vec<Line>,
    pub now: Millis,
    /// The wall clock's error.
    pub skew: Millis,
    /// Lines were destroyed unseen.
    pub destroyed: bool,
    /// Something made the order of lines' times impossible to judge by.
    pub disorder: bool,
    directories: usize,
    /// Where the symlink led, in order.
    targets: Vec<usize>,
    /// By log: something of it was truncated, or lost its last name.
    incidents: [usize; STREAMS],
}

pub fn log(stream: usize) -> String {
    format!("{}.log", ["a", "b", "c"][stream])
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let mut world = World {
            folder,
            contents: Vec::new(),
            streams: Vec::new(),
            lines: Vec::new(),
            now: T,
            skew: 0,
            destroyed: false,
            disorder: false,
            directories: 0,
            targets: Vec::new(),
            incidents: [0; STREAMS],
        };
        world.link_anew();
        for _ in 0..STREAMS {
            world.streams.push(Stream { file: None, to: usize::MAX, rest: None });
        }
        for s in 0..STREAMS {
            world.open(s);
        }
        world
    }

    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.logs().join(name)
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.contents.iter().position(|c| c.names.contains(name))
    }

    fn make(&mut self, name: &str, lines: Vec<Number>, archive: bool) -> usize {
        let names = BTreeSet::from([name.to_owned()]);
        self.contents.push(Content {
            lines,
            names,
            held: false,
            touched: self.now,
            archive,
            known: true,
            copied: false,
            has_copy: false,
            let_go: false,
            closed: false,
            target: None,
        });
        self.contents.len() - 1
    }

    /// The symlink leads to a file that no pattern finds otherwise.
    fn link_anew(&mut self) {
        let (name, target) = (log(LINKED), format!("behind/{}", self.contents.len()));
        let at = self.make(&name, Vec::new(), false);
        fs::create_dir_all(self.path("behind")).unwrap();
        File::create(self.path(&target)).unwrap();
        self.lead_to(&target);
        self.contents[at].target = Some(target);
        self.targets.push(at);
    }

    fn lead_to(&self, target: &str) {
        symlink(target, self.path("behind/link")).unwrap();
        fs::rename(self.path("behind/link"), self.path(&log(LINKED))).unwrap();
        // Relative to where it is now.
    }

    pub fn swap_link(&mut self, back: bool) {
        let name = log(LINKED);
        let Some(at) = self.at(&name) else { return };
        let before = self.targets.iter().rev().nth(1).copied().filter(|_| back);
        self.contents[at].names.clear();
        self.incidents[LINKED] += 1;
        match before.and_then(|before| Some((before, self.contents[before].target.clone()?))) {
            Some((before, target)) => {
                self.lead_to(&target);
                self.contents[before].names.insert(name);
                self.contents[before].let_go = false;
                self.targets.push(before);
            }
            None => self.link_anew(),
        }
    }

    fn mode(&mut self, at: usize, mode: u32) {
        self.contents[at].closed = mode == 0;
        if let Some(name) = self.contents[at].names.first() {
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    pub fn chmod(&mut self, s: usize) {
        if let Some(at) = self.at(&log(s)) {
            let mode = if self.contents[at].closed { 0o644 } else { 0 };
            // Time passes without what cannot be read.
            self.disorder = true;
            self.mode(at, mode);
        }
    }

    /// Whoever copies, compresses or opens it may.
    fn allow(&mut self, at: usize) {
        if self.contents[at].closed {
            self.mode(at, 0o644);
        }
    }

    pub fn allow_all(&mut self) {
        (0..self.contents.len()).for_each(|at| self.allow(at));
    }

    fn open(&mut self, s: usize) {
        let name = log(s);
        if s == LINKED && self.at(&name).is_none() {
            self.link_anew();
        }
        if let Some(at) = self.at(&name) {
            self.allow(at);
        }
        let to = self.at(&name).unwrap_or_else(|| self.make(&name, Vec::new(), false));
        let file = OpenOptions::new().append(true).create(true).open(self.path(&name)).unwrap();
        let stream = &mut self.streams[s];
        (stream.file, stream.to) = (Some(file), to);
    }

    /// nginx's line number so and so, of now.
    fn text(&mut self, long: bool) -> (Number, String) {
        let number = self.lines.len();
        let status = [200, 200, 502, 200, 504, 404][number % 6];
        let at = DateTime::from_timestamp_millis(self.now + self.skew).unwrap();
        let path = if long { "y".repeat(1_000 + number * 37 % 3_000) } else { "y".into() };
        // Of a long line the end, too, is its own, as times and sizes make it: the anchor is of its last bytes.
        let text = format!(
            "203.0.113.7 - - [{}] \"GET /n/{number}/{path} HTTP/1.1\" {status} 512 \"-\" \"Mozilla/{number}\" rt=0.013 uct=\"0.001\" \
             uht=\"0.012\" urt=\"0.012\" ua=\"10.0.0.{}:8080\" us=\"{status}\"\n",
            at.format("%d/%b/%Y:%H:%M:%S %z"),
            number % 3,
        );
        self.lines.push(Line { text: text.clone(), ..Line::default() });
        (number, text)
    }

    fn write(&mut self, s: usize, bytes: &[u8]) {
        let stream = &mut self.streams[s];
        if let Some(file) = &mut stream.file {
            file.write_all(bytes).unwrap();
            self.contents[stream.to].touched = self.now;
        }
    }

    fn whole(&mut self, s: usize, number: Number) {
        let to = self.streams[s].to;
        (self.lines[number].whole, self.lines[number].of, self.lines[number].stream) = (true, to, s);
        self.contents[to].lines.push(number);
    }

    pub fn append(&mut self, s: usize, count: usize, long: bool) {
        self.finish_partial(s);
        let mut all = Vec::new();
        let mut numbers = Vec::new();
        for _ in 0..count {
            let (number, text) = self.text(long);
            all.extend_from_slice(text.as_bytes());
            numbers.push(number);
        }
        self.write(s, &all);
        numbers.into_iter().for_each(|number| self.whole(s, number));
    }

    pub fn partial(&mut self, s: usize, length: usize) {
        self.finish_partial(s);
        let (number, text) = self.text(false);
        let (begun, rest) = text.split_at(length.min(text.len() - 1));
        self.write(s, begun.as_bytes());
        self.streams[s].rest = Some((number, rest.to_owned(), self.now));
    }

    pub fn finish_partial(&mut self, s: usize) {
        if let Some((number, rest, begun)) = self.streams[s].rest.take() {
            // It says when it was begun: later lines may have closed that step.
            self.disorder |= self.now - begun > 500;
            self.write(s, rest.as_bytes());
            self.whole(s, number);
        }
    }

    /// What was begun is never ended; the line after it is lost in it, and here an empty one is.
    pub fn abandon(&mut self, s: usize) {
        if self.streams[s].rest.take().is_some() {
            self.write(s, b"\n");
        }
    }

    pub fn huge(&mut self, s: usize) {
        self.finish_partial(s);
        let mut bytes = vec![b'z'; 200_000];
        bytes.push(b'\n');
        self.write(s, &bytes);
    }

    fn cut(&mut self, s: usize) -> u64 {
        let stream = &mut self.streams[s];
        stream.rest = None;
        let Some(file) = &stream.file else { return 0 };
        let before = file.metadata().unwrap().len();
        // Two changes within one tick of the kernel's clock look the same by every stamp.
        let stamp = file.metadata().unwrap().modified().unwrap();
        file.set_len(0).unwrap();
        for _ in 0..10_000 {
            file.set_len(1).unwrap();
            file.set_len(0).unwrap();
            if file.metadata().unwrap().modified().unwrap() != stamp {
                break;
            }
            std::thread::yield_now();
        }
        let to = stream.to;
        self.incidents[s] += 1;
        if self.contents[to].held {
            // Whoever has it open sees that: what it held is in its copy only, which is no copy of anything any more.
            let lines = std::mem::take(&mut self.contents[to].lines);
            let copies = self.contents.iter_mut().filter(|c| c.copied && !c.lines.is_empty());
            copies.filter(|copy| lines.starts_with(&copy.lines)).for_each(|copy| copy.known = true);
        }
        self.contents[to].lines.clear();
        self.contents[to].touched = self.now;
        before
    }

    pub fn truncate(&mut self, s: usize, refill: Refill) {
        let before = usize::try_from(self.cut(s)).unwrap();
        let line = self.text(false).1.len() + 8;
        let target = match refill {
            Refill::Nothing => return,
            Refill::Less => before / 2,
            Refill::Equal => before,
            Refill::More => before + 300,
        };
        let mut length = 0;
        while length + 2 * line < target {
            let (number, text) = self.text(false);
            length += text.len();
            self.write(s, text.as_bytes());
            self.whole(s, number);
        }
        if target > length + line {
            let (number, text) = self.text(false);
            let padded =
                text.replacen("/y ", &format!("/{} ", "y".repeat(target - length - text.len() + 1)), 1);
            self.write(s, padded.as_bytes());
            self.lines[number].text = padded;
            self.whole(s, number);
        }
    }

    /// As a writer without O_APPEND does.
    pub fn hole(&mut self, s: usize) {
        let name = log(s);
        let Some(at) = self.at(&name).filter(|at| *at == self.streams[s].to) else { return };
        self.allow(at);
        let before = self.cut(s);
        let (number, text) = self.text(false);
        let mut file = OpenOptions::new().write(true).open(self.path(&name)).unwrap();
        file.seek(SeekFrom::Start(before)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.contents[at].touched = self.now;
        self.whole(s, number);
    }

    fn rename(&mut self, from: &str, to: &str) {
        let Some(at) = self.at(from) else { return };
        if let Some(over) = self.at(to) {
            self.contents[over].names.remove(to);
        }
        fs::rename(self.path(from), self.path(to)).unwrap();
        let names = &mut self.contents[at].names;
        names.remove(from);
        names.insert(to.to_owned());
    }

    /// Every rotated one gets the next number, as logrotate does it.
    fn shift(&mut self, s: usize) {
        let name = log(s);
        let prefix = format!("{name}.");
        let mut numbers: Vec<(u32, String)> = self
            .contents
            .iter()
            .flat_map(|c| &c.names)
            .filter_map(|n| {
                let rest = n.strip_prefix(&prefix)?;
                let (number, suffix) = rest.split_once('.').unwrap_or((rest, ""));
                Some((number.parse().ok()?, suffix.to_owned()))
            })
            .collect();
        numbers.sort();
        for (number, suffix) in numbers.into_iter().rev() {
            let dot = if suffix.is_empty() { "" } else { "." };
            self.rename(
                &format!("{prefix}{number}{dot}{suffix}"),
                &format!("{prefix}{}{dot}{suffix}", number + 1),
            );
        }
    }

    pub fn rotate(&mut self, s: usize, create: bool) {
        let name = log(s);
        // Links that are rotated lead anywhere: they are not looked at.
        if self.at(&name).is_none() || s == LINKED {
            return;
        }
        self.shift(s);
        self.rename(&name, &format!("{name}.1"));
        if create {
            File::create(self.path(&name)).unwrap();
            self.make(&name, Vec::new(), false);
        }
    }

    pub fn reopen(&mut self, s: usize) {
        self.finish_partial(s);
        self.open(s);
    }

    pub fn copy(&mut self, s: usize, durable: &Ledger) {
        let name = log(s);
        let Some(at) = self.at(&name).filter(|_| s != LINKED) else { return };
        self.allow(at);
        self.contents[at].has_copy = true;
        self.shift(s);
        let copy = format!("{name}.1");
        fs::copy(self.path(&name), self.path(&copy)).unwrap();
        let lines = self.contents[at].lines.clone();
        let known = self.is_known(&lines, durable);
        let new = self.make(&copy, lines, false);
        (self.contents[new].known, self.contents[new].copied) = (known, true);
    }

    /// Whether something was read of a file with these lines, so that a copy can be known for one.
    fn is_known(&mut self, lines: &[Number], durable: &Ledger) -> bool {
        let known = lines.iter().any(|number| durable.contains_key(number));
        if !known {
            lines.iter().for_each(|number| self.lines[*number].may_come_twice = true);
        }
        known
    }

    pub fn delete(&mut self, s: usize) {
        let name = log(s);
        self.incidents[s] += usize::from(self.at(&name).is_some());
        self.unlink_name(&name);
    }

    fn unlink_name(&mut self, name: &str) {
        if let Some(at) = self.at(name) {
            fs::remove_file(self.path(name)).unwrap();
            self.contents[at].names.remove(name);
        }
    }

    pub fn recreate(&mut self, s: usize) {
        let before = self.streams[s].file.as_ref().map_or(0, |file| file.metadata().unwrap().len());
        self.streams[s].rest = None;
        self.streams[s].file = None;
        self.delete(s);
        self.open(s);
        let mut length = 0;
        while length <= before {
            let (number, text) = self.text(true);
            length += text.len() as u64;
            self.write(s, text.as_bytes());
            self.whole(s, number);
        }
    }

    pub fn replace(&mut self, s: usize, more: usize, durable: &Ledger) {
        let name = log(s);
        let Some(at) = self.at(&name).filter(|at| *at == self.streams[s].to) else { return };
        if self.contents[at].names.len() > 1 || s == LINKED {
            // A file that keeps a name is not replaced, as far as anybody can tell: it and its copy are two logs.
            return;
        }
        self.finish_partial(s);
        self.allow(at);
        self.incidents[s] += 1;
        self.contents[at].has_copy = true;
        let (new, lines) = (self.path("new"), self.contents[at].lines.clone());
        self.is_known(&lines, durable);
        fs::copy(self.path(&name), &new).unwrap();
        self.contents[at].names.remove(&name);
        fs::rename(&new, self.path(&name)).unwrap();
        let new = self.make(&name, lines, false);
        self.contents[new].copied = true;
        self.open(s);
        self.append(s, more, false);
    }

    pub fn compress(&mut self, s: usize, number: usize) {
        let (plain, packed) = (format!("{}.{number}", log(s)), format!("{}.{number}.gz", log(s)));
        let Some(at) = self.at(&plain) else { return };
        // gzip refuses a file of two names; whoever compresses what is still being written loses lines by himself.
        let is_linked = self.contents[at].names.len() > 1;
        if is_linked || self.at(&packed).is_some() || self.streams.iter().any(|stream| stream.to == at) {
            return;
        }
        self.allow(at);
        let mut encoder = GzEncoder::new(File::create(self.path(&packed)).unwrap(), Compression::fast());
        encoder.write_all(&fs::read(self.path(&plain)).unwrap()).unwrap();
        encoder.finish().unwrap();
        let Content { lines, known, copied, .. } = self.contents[at].clone();
        // The archive of a copy is not read before its original is let go: its lines may be late.
        self.disorder |= copied;
        let new = self.make(&packed, lines, true);
        (self.contents[new].known, self.contents[new].copied) = (known, copied);
        self.unlink_name(&plain);
    }

    pub fn hard_link(&mut self, s: usize) {
        let (name, other) = (log(s), format!("other-{}", log(s)));
        let Some(at) = self.at(&name).filter(|_| s != LINKED) else { return };
        if self.at(&other).is_none() {
            if self.contents[at].copied && !self.contents[at].held {
                // Nobody knows yet whose copy it is, and by its other name it may be a log of its own.
                let lines = self.contents[at].lines.clone();
                lines.iter().for_each(|number| self.lines[*number].may_come_twice = true);
            }
            fs::hard_link(self.path(&name), self.path(&other)).unwrap();
            self.contents[at].names.insert(other);
        }
    }

    pub fn unlink(&mut self, s: usize) {
        self.incidents[s] += 1;
        self.unlink_name(&format!("other-{}", log(s)));
    }

    pub fn rename_directory(&mut self) {
        self.directories += 1;
        fs::rename(self.logs(), self.folder.path().join(format!("old{}", self.directories))).unwrap();
        fs::create_dir(self.logs()).unwrap();
        // No pattern leads there.
        self.contents.iter_mut().for_each(|c| c.names.clear());
        self.incidents.iter_mut().for_each(|incidents| *incidents += 1);
        self.targets.clear();
    }

    pub fn set_clock(&mut self, seconds: i64) {
        self.skew = (self.skew + seconds * 1_000).clamp(-SKEW_MAX, SKEW_MAX);
        self.disorder = true;
    }

    /// The agent has looked at everything there is.
    pub fn looked(&mut self) {
        for content in &mut self.contents {
            if content.names.is_empty() {
                // Only what it had open before it lost its last name.
                content.held &= self.now - content.touched < HELD_FOR;
                content.let_go |= !content.held;
            } else {
                content.held |= !content.archive && content.known;
            }
        }
    }

    /// Whether anything of this log may be lost as far as somebody can know who looks now and then.
    pub fn may_be_flagged(&self, name: &str) -> bool {
        (0..STREAMS).any(|s| name.ends_with(&log(s)) && self.incidents[s] > 0)
    }

    /// A line that is lost, of a file of which one before it was counted; and its log. Not one that was written after the
    /// file was copied, since it may have been truncated at once, or after it was deleted and let go.
    pub fn lost_noticeably(&self, counted: &Ledger) -> Option<(Number, String)> {
        let lost = |(number, line): &(usize, &Line)| {
            let of = self.contents.get(line.of).filter(|of| !of.has_copy && !of.let_go);
            line.whole && !counted.contains_key(number) && of.is_some()
        };
        let known = |(number, line): &(usize, &Line)| {
            counted.range(..*number).any(|(before, _)| {
                let before = &self.lines[*before];
                before.whole && before.of == line.of
            })
        };
        let mut all = self.lines.iter().enumerate();
        all.find(|line| lost(line) && known(line)).map(|(number, line)| (number, log(line.stream)))
    }

    /// The agent is gone: what it had open is nobody's.
    pub fn let_go(&mut self) {
        self.contents.iter_mut().for_each(|content| content.held = false);
    }

    /// An older snapshot is gone on from: what was copied of a file that it knows nothing of cannot be told from another file.
    pub fn forgot(&mut self, durable: &Ledger) {
        for at in 0..self.contents.len() {
            let content = &self.contents[at];
            if content.copied && content.known {
                let lines = content.lines.clone();
                self.contents[at].known = self.is_known(&lines, durable);
            }
        }
    }

    /// What nobody can read any more and is not counted by now may be missing in the end.
    pub fn settle(&mut self, counted: &Ledger) {
        let mut reachable = vec![false; self.lines.len()];
        for content in self.contents.iter().filter(|c| c.held || (c.known && !c.names.is_empty())) {
            content.lines.iter().for_each(|number| reachable[*number] = true);
        }
        for (number, line) in self.lines.iter_mut().enumerate() {
            if line.whole && !line.may_be_missing && !reachable[number] && !counted.contains_key(&number) {
                line.may_be_missing = true;
                self.destroyed = true;
            }
        }
    }
}
