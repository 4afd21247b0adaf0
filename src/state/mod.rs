//! The snapshot: everything that outlives the process, of one instant, in one file that is replaced as a whole. Counts
//! and positions stand in the same file, so that a restart, reading on from the positions, adds each line once to just
//! the counts that had not seen it.
//!
//! - [`cadence`] when one is due (pure) · [`fit`] within its size · [`pack`] with zstd · [`frame`] whole or not · [`store`] two generations in a directory ·
//!   [`writer`] the thread that waits for the disk · [`former`] what older programs left · [`lock`] whose directory it is

pub mod cadence;
pub mod fit;
pub mod former;
pub mod frame;
pub mod lock;
pub mod pack;
pub mod store;
pub mod writer;

pub use store::{Found, Refused, Store, decode, encode, peek, plain};

use crate::delivery::outbox;
use crate::mute;
use crate::tail::Position;
use gatewatch_parsers::container::Unwrapper;
use gatewatch_parsers::{Dated, Millis};
use gatewatch_rules::clock::FileClock;
use gatewatch_rules::engine::EngineState;
use gatewatch_rules::watermark::Mark;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// All that outlives the process. `E`, `O` and `M` are borrowed while it is written, and owned once it is read.
///
/// Its fields are not named in the file: whoever changes a type in here raises [`frame::VERSION`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot<E = EngineState<'static>, O = outbox::State, M = mute::State> {
    /// Who wrote it, and under which settings.
    pub agent: AgentState,
    /// Every file that is followed, or was.
    pub files: Vec<FileState>,
    /// The inputs that were followed: a file of a new one is at its very first start.
    pub inputs: Vec<String>,
    /// By input: up to where a journal was counted.
    pub cursors: BTreeMap<String, String>,
    /// Counts, windows, alerts.
    pub engine: E,
    /// What receivers were told, and are still to be told.
    pub outbox: O,
    /// Silences, and what is held back.
    pub mutes: M,
    /// What is counted beside.
    pub counters: Counters,
}

/// Who wrote a snapshot, and under which settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentState {
    /// The program's version.
    pub program: String,
    /// The node's name.
    pub node: String,
    /// The step of its counts.
    pub step: Millis,
    /// When it was taken.
    pub saved: Millis,
}

/// What is counted beside the engine, since the state was new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By input: what the lines of files came to that are gone.
    pub gone: BTreeMap<String, Lines>,
    /// How often counts were lost and rebuilt from the logs.
    pub state_rebuilt: u64,
    /// By receiver: what it has answered.
    pub told: BTreeMap<String, Told>,
}

/// What a receiver has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// webhook, slack, email.
    pub kind: String,
    /// When it last took something.
    pub last_success: Option<Millis>,
    /// Since when it takes nothing.
    pub failing_since: Option<Millis>,
    /// Why; without secrets.
    pub why: Option<String>,
    /// Notifications that arrived.
    pub sent: u64,
    /// Tries that were or will be repeated.
    pub retried: u64,
    /// Notifications that were refused.
    pub failed: u64,
}

/// What lines came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// All.
    pub read: u64,
    /// Requests.
    pub parsed: u64,
    /// Not understood.
    pub unparsed: u64,
    /// No requests by nature.
    pub other: u64,
    /// Of `parsed`: came after their step was closed.
    pub late: u64,
    /// Cut at the longest line.
    pub too_long: u64,
    /// Never arrived: messages that a socket dropped. Not in `read`.
    pub lost: u64,
    /// Files of which another one took the place.
    pub rotations: u64,
    /// Times that a file was truncated in place.
    pub truncations: u64,
    /// Times that lines may have been lost.
    pub possible_loss: u64,
}

impl AddAssign for Lines {
    fn add_assign(&mut self, more: Lines) {
        let Lines { read, parsed, unparsed, other, late, too_long, lost, .. } = more;
        let Lines { rotations, truncations, possible_loss, .. } = more;
        for (sum, more) in [
            (&mut self.read, read),
            (&mut self.parsed, parsed),
            (&mut self.unparsed, unparsed),
            (&mut self.other, other),
            (&mut self.late, late),
            (&mut self.too_long, too_long),
            (&mut self.lost, lost),
            (&mut self.rotations, rotations),
            (&mut self.truncations, truncations),
            (&mut self.possible_loss, possible_loss),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A file, as far as its lines were counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Where its reading stands: just after the last line that was counted or is `held`.
    pub position: Position,
    /// It was being read when this was taken; else it is remembered, for when it comes back.
    pub followed: bool,
    /// The input's name.
    pub input: String,
    /// Its time, with the newest end.
    pub clock: FileClock,
    /// What others wait for: the newest end, and when it was read.
    pub mark: Mark,
    /// From when on a held line waits.
    pub read: Millis,
    /// How its lines are read; `None`: not known yet, so that none was counted.
    pub reading: Option<Reading>,
    /// The line that its clock holds: no count has it yet.
    pub held: Vec<u8>,
    /// What its lines came to.
    pub lines: Lines,
    /// How late the latest line was.
    pub late_needed: Millis,
}

/// How a file's lines are read: found once, and in force until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The format's name, which compiles to it; `None`: no format that is known explains the lines.
    pub format: Option<String>,
    /// Zone and year of stamps without one.
    pub dated: Dated,
    /// Of a container's log: what takes its wrapping off, with what it holds.
    pub unwrapper: Option<Unwrapper>,
}
