//! Inputs that are no files: what is said there is said once. Each runs in threads of its own and sends what it hears
//! into the same channel as the files' thread, a stream for each sender. Nothing of it can be read again: a restart goes
//! on with what comes then.

use super::file::Sender;
use super::journald::{self, Journald};
use super::syslog::{self, Setup, Syslog};
use crate::tail::FileId;
use gatewatch_parsers::Millis;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of such inputs, which [`Placing::input`](super::file::Placing) bears, begin here: below are indexes into the
/// list of files' inputs, which may change its order; these stay with the input's name.
const FIRST_NUMBER: usize = 1 << 24;

/// The next stream's number, different from every file's.
#[must_use]
pub fn next_id() -> FileId {
    static NEXT: AtomicU64 = AtomicU64::new(FileId::FIRST_STREAM);
    FileId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What the threads know the time by.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// An input to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The configuration names the node of messages that name none.
    pub has_node: bool,
    /// Anything else of its table that decides how its lines are counted: another one, and its streams begin anew.
    pub counted_by: String,
}

/// What an input is, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sockets.
    Syslog(syslog::Settings),
    /// The journal.
    Journald(journald::Settings),
}

enum Input {
    Syslog(Syslog),
    Journald(Journald),
}

impl Input {
    fn stop(&mut self) {
        match self {
            Input::Syslog(input) => input.stop(),
            Input::Journald(input) => input.stop(),
        }
    }

    fn is_ended(&self) -> bool {
        match self {
            Input::Syslog(input) => input.is_ended(),
            Input::Journald(input) => input.is_ended(),
        }
    }
}

struct Running {
    wanted: Wanted,
    input: Input,
}

/// Every input that is no file.
pub struct Streams {
    sender: Sender,
    clock: Clock,
    running: BTreeMap<String, Running>,
    /// Name → number; a name keeps its own for good.
    numbers: BTreeMap<String, usize>,
    ending: Vec<Input>,
}

impl Streams {
    /// None yet.
    #[must_use]
    pub fn new(sender: Sender, clock: Clock) -> Streams {
        let (running, numbers) = (BTreeMap::new(), BTreeMap::new());
        Streams { sender, clock, running, numbers, ending: Vec::new() }
    }

    /// The number of the input of this name.
    pub fn number(&mut self, name: &str) -> usize {
        let next = FIRST_NUMBER + self.numbers.len();
        *self.numbers.entry(name.to_owned()).or_insert(next)
    }

    /// Runs these from now on. What did not change goes on: its sockets stay bound. `cursors`: by name, up to where
    /// journals were counted.
    pub fn reconfigure(&mut self, wanted: Vec<Wanted>, cursors: &BTreeMap<String, String>) {
        let gone: Vec<_> =
            self.running.keys().filter(|name| !wanted.iter().any(|w| w.name == **name)).cloned().collect();
        // First what is to be let go, so that its address is free for another input.
        gone.iter().for_each(|name| self.end(name));
        for wanted in wanted {
            let number = self.number(&wanted.name);
            let setup =
                Setup { name: wanted.name.clone(), number, has_node: wanted.has_node, allow: Vec::new() };
            match (self.running.get_mut(&wanted.name), &wanted.kind) {
                (Some(running), _) if running.wanted == wanted => {}
                (Some(Running { wanted: now, input: Input::Syslog(input) }), Kind::Syslog(settings)) => {
                    input.reconfigure(settings, setup);
                    *now = wanted;
                }
                _ => {
                    self.end(&wanted.name);
                    let cursor = cursors.get(&wanted.name).cloned();
                    let input = self.start(&wanted.kind, setup, cursor);
                    self.running.insert(wanted.name.clone(), Running { wanted, input });
                }
            }
        }
        self.ending.retain(|input| !input.is_ended());
    }

    fn start(&self, kind: &Kind, setup: Setup, cursor: Option<String>) -> Input {
        let sender = self.sender.clone();
        match kind {
            Kind::Syslog(settings) => Input::Syslog(Syslog::start(settings, setup, sender, &self.clock)),
            Kind::Journald(settings) => {
                Input::Journald(Journald::start(settings, setup, cursor, sender, &self.clock))
            }
        }
    }

    fn end(&mut self, name: &str) {
        if let Some(mut running) = self.running.remove(name) {
            running.input.stop();
            self.ending.push(running.input);
        }
    }

    /// Ends soon; what was received is still handed on, as long as somebody takes it.
    pub fn stop(&mut self) {
        self.reconfigure(Vec::new(), &BTreeMap::new());
    }

    /// Whether everything that was received has been handed on, after [`Streams::stop`].
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.running.is_empty() && self.ending.iter().all(Input::is_ended)
    }
}
