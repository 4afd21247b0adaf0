//! A running agent without threads, files and clocks: events are made up as the tail would tell them, in pieces and at
//! times that dice choose, and the engine is asked as often as dice choose.

use crate::dice::Dice;
use crate::logs::{HOUR, Line};
use crate::reference::Setup;
use gatewatch::agent::files::LiveFiles;
use gatewatch::inputs::file::{Happening, Message, Placing};
use gatewatch::tail::{FileId, FileKey, Placed, Progress, Trouble};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Change;
use gatewatch_rules::engine::Engine;
use gatewatch_rules::report::Incident;
use gatewatch_rules::watermark::Standing;
use std::path::PathBuf;

/// `run`'s, by default.
pub const LATENESS: Millis = 2_000;

/// A log that is being written.
#[derive(Clone, Debug)]
pub struct Host {
    pub node: String,
    pub lines: Vec<Line>,
    /// It appears then; `None`: it was there at the start.
    pub appears: Option<Millis>,
    /// It is read no more after its last line: rotated away.
    pub ends: bool,
    /// No read succeeds in this time.
    pub unreadable: Option<(Millis, Millis)>,
    /// One visit reads so many bytes at most: what was there at the start is a backlog.
    pub turn: usize,
}

impl Host {
    pub fn new(node: &str, lines: Vec<Line>) -> Host {
        Host { node: node.into(), lines, appears: None, ends: false, unreadable: None, turn: 256 * 1024 }
    }
}

struct Tail<'a> {
    host: &'a Host,
    file: FileId,
    /// Bytes of all lines, and where each ends and when it is there.
    bytes: Vec<u8>,
    ends: Vec<(Millis, usize)>,
    at: usize,
    is_open: bool,
    is_idle: bool,
    is_over: bool,
}

/// What the agent said.
#[allow(dead_code, reason = "shown when a test fails")]
pub struct Said {
    pub incidents: Vec<Incident>,
    pub changes: Vec<Change>,
    pub standings: Vec<(String, Standing)>,
    /// Requests that the engine had closed the step of.
    pub late: u64,
}

struct Agent {
    files: LiveFiles,
    engine: Engine,
    changes: Vec<Change>,
    late: u64,
    closed: Option<Millis>,
}

impl Agent {
    fn take(&mut self, at: Millis, what: Happening) {
        self.files.take(Message { at, what }, &mut self.engine);
    }

    /// As a turn of the real one.
    fn turn(&mut self, now: Millis) {
        self.late += self.files.flush(&mut self.engine);
        let Some(watermark) = self.files.watermark(now) else { return };
        let changes = self.engine.advance(watermark);
        let closed = self.engine.buckets().closed_until();
        assert!(closed >= self.closed, "a closed step is opened again");
        for change in &changes {
            assert!(Some(change.at) > self.closed && Some(change.at) <= closed, "judged once, in order");
        }
        assert!(changes.is_sorted_by_key(|change| change.at));
        self.closed = closed;
        self.changes.extend(changes);
    }
}

/// Follows logs from their first line's time to their last one's.
pub fn follow(setup: &Setup, hosts: &[Host], seed: u64) -> Said {
    let mut dice = Dice::new(seed);
    let plan = setup.plan();
    let settings = hosts.iter().map(|host| {
        let mut settings = setup.settings.clone();
        settings.node.clone_from(&host.node);
        settings
    });
    let mut agent = Agent {
        files: LiveFiles::new(settings.collect(), plan.clone(), setup.step, LATENESS),
        engine: setup.engine(&plan),
        changes: Vec::new(),
        late: 0,
        closed: None,
    };
    let mut tails: Vec<Tail<'_>> =
        hosts.iter().zip(1..).map(|(host, n)| Tail::new(host, FileId(n))).collect();
    let written = || hosts.iter().flat_map(|host| &host.lines).map(|line| line.written);
    // Hosts whose lines were all there before begin in the past: the agent starts with the live ones.
    let start =
        hosts.iter().filter_map(|host| host.lines.first()).map(|line| line.written).max().unwrap_or(0);
    let readable = hosts.iter().filter_map(|host| host.unreadable).map(|(_, to)| to).max().unwrap_or(0);
    let end = written().max().unwrap_or(0).max(start).max(readable);
    for (input, tail) in tails.iter_mut().enumerate().filter(|(_, tail)| tail.host.appears.is_none()) {
        agent.take(start, tail.open(input, start));
        if dice.one_in(3) {
            agent.turn(start);
        }
    }
    agent.take(start, Happening::FirstScanDone);
    let (mut now, mut reconciled) = (start, start);
    loop {
        if dice.one_in(3) {
            agent.turn(now);
        }
        for (input, tail) in tails.iter_mut().enumerate() {
            tail.visit(input, now, &mut dice, &mut agent);
        }
        if now - reconciled >= 1_000 {
            reconciled = now;
            agent.take(now, Happening::Reconciled);
        }
        agent.turn(now);
        if now >= end
            && tails.iter().all(|tail| tail.at == tail.bytes.len() && (tail.is_idle || tail.is_over))
        {
            break;
        }
        let wait = if dice.one_in(20) { 5_000 } else { 150 };
        now = (now + 20 + dice.below(wait) as Millis).min(end.max(now));
        if tails.iter().all(|tail| tail.next().is_none_or(|next| next > now + HOUR / 12)) {
            // A quiet time, in larger steps.
            now = (now + 30_000).min(end.max(now));
        }
    }
    let standings =
        agent.files.reports(now).map(|(path, report)| (path.to_owned(), report.standing)).collect();
    agent.late += agent.files.flush(&mut agent.engine);
    let rest = agent.engine.finish();
    agent.changes.extend(rest);
    Said { incidents: agent.engine.incidents(), changes: agent.changes, standings, late: agent.late }
}

impl Tail<'_> {
    fn new(host: &Host, file: FileId) -> Tail<'_> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for line in &host.lines {
            bytes.extend_from_slice(&line.text);
            bytes.push(b'\n');
            ends.push((line.written, bytes.len()));
        }
        Tail { host, file, bytes, ends, at: 0, is_open: false, is_idle: false, is_over: false }
    }

    /// When there is something more.
    fn next(&self) -> Option<Millis> {
        self.ends.get(self.ends.partition_point(|(_, end)| *end <= self.at)).map(|(written, _)| *written)
    }

    /// How many bytes are there.
    fn size(&self, now: Millis) -> usize {
        self.ends.iter().take_while(|(written, _)| *written <= now).last().map_or(0, |(_, end)| *end)
    }

    fn open(&mut self, input: usize, now: Millis) -> Happening {
        self.is_open = true;
        let place = Placing {
            path: PathBuf::from(&self.host.node),
            input,
            labels: Vec::new(),
            key: FileKey { dev: 1, ino: self.file.0, birth: 0 },
        };
        let size = self.size(now) as u64;
        let from = Progress::default();
        Happening::Opened { file: self.file, place, from, size, placed: Placed::Beginning, follows: None }
    }

    fn visit(&mut self, input: usize, now: Millis, dice: &mut Dice, agent: &mut Agent) {
        if self.is_over || self.host.appears.is_some_and(|appears| now < appears) {
            return;
        }
        if !self.is_open {
            let opened = self.open(input, now);
            agent.take(now, opened);
        }
        let file = self.file;
        if self.host.unreadable.is_some_and(|(from, to)| (from..to).contains(&now)) {
            let trouble = Trouble::from(&std::io::Error::other("torn"));
            let (path, repeated) = (PathBuf::from(&self.host.node), false);
            return agent.take(now, Happening::Unreadable { file: Some(file), path, trouble, repeated });
        }
        let mut size = self.size(now);
        // The writer may be amid a line.
        if size < self.bytes.len() && self.next().is_some_and(|next| next <= now + 200) && dice.one_in(4) {
            let line = self.ends.iter().find(|(_, end)| *end > size).map_or(size, |(_, end)| *end);
            size += dice.below((line - size) as u64) as usize;
        }
        let until = size.min(self.at + self.host.turn);
        while self.at < until {
            let most = if dice.one_in(2) { 64 * 1024 } else { 300 };
            let to = until.min(self.at + 1 + dice.below(most) as usize);
            let bytes = self.bytes[self.at..to].to_vec();
            let chunk = Happening::Chunk { file, offset: self.at as u64, bytes, after: Progress::default() };
            (self.at, self.is_idle) = (to, false);
            agent.take(now, chunk);
            if dice.one_in(5) {
                agent.turn(now);
            }
        }
        if self.at < size {
            return;
        }
        if !self.is_idle && dice.below(3) > 0 {
            self.is_idle = true;
            agent.take(now, Happening::Idle { file });
        }
        if self.host.ends && self.at == self.bytes.len() {
            self.is_over = true;
            agent.take(now, Happening::Finished { file, after: Progress::default() });
        }
    }
}
