//! One file on its way through: which of its blocks are out, which are back, how far its time has come.

use super::blocks::{self, Stream};
use super::job::Job;
use super::worker::{Buffers, Counted, Task};
use gatewatch_parsers::Millis;
use gatewatch_parsers::formats::Columns;
use gatewatch_rules::clock::FileClock;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// How its bytes come.
pub enum Feed {
    /// Not opened yet: the others have not reached its first stamp.
    Waiting,
    /// Blocks can be read in any order.
    Plain { file: Arc<File>, size: u64 },
    /// Blocks come one after the other; `None` while a worker reads the next one.
    Stream(Option<Box<Stream>>),
}

/// A block that is back.
#[allow(clippy::large_enum_variant, reason = "nearly every one is a block")]
pub enum Back {
    /// Counted.
    Block(Counted, Buffers),
    /// It could not be read.
    Failed(io::Error),
}

/// A file on its way.
pub struct OnItsWay {
    pub job: Arc<Job>,
    pub feed: Feed,
    /// When its first record ended, as far as its head shows; it is not opened before.
    pub first_stamp: Option<Millis>,
    /// The next block to be handed out.
    next: u64,
    /// The next block to be taken.
    pub take: u64,
    /// No block after this one.
    end: Option<u64>,
    pub back: BTreeMap<u64, Back>,
    /// Read and not yet handed out to be counted.
    ready: Option<(u64, Buffers)>,
    pub clock: FileClock,
    pub lines_before: u64,
    pub error: Option<io::Error>,
}

impl OnItsWay {
    /// A file that waits for its turn.
    pub fn new(job: Job, first_stamp: Option<Millis>, clock: FileClock) -> OnItsWay {
        OnItsWay {
            job: Arc::new(job),
            feed: Feed::Waiting,
            first_stamp,
            next: 0,
            take: 0,
            end: None,
            back: BTreeMap::new(),
            ready: None,
            clock,
            lines_before: 0,
            error: None,
        }
    }

    /// Starts it.
    pub fn open(&mut self, feed: Feed, block: usize) {
        self.end = match &feed {
            Feed::Plain { size, .. } => Some(blocks::count(*size, block)),
            _ => None,
        };
        self.feed = feed;
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.feed, Feed::Waiting)
    }

    /// Nothing more of it is read.
    pub fn give_up(&mut self) {
        self.end = Some(self.take);
    }

    /// Every block was taken.
    pub fn is_finished(&self) -> bool {
        self.end.is_some_and(|end| self.take >= end)
    }

    /// Blocks that are out or wait to be taken.
    pub fn in_flight(&self) -> u64 {
        self.next - self.take
    }

    /// Whether a block was read and waits to be counted.
    pub fn has_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// Whether `task` would give one; `pipes`: one that waits for a pipe counts, too.
    pub fn has_task(&self, pipes: bool) -> bool {
        if self.ready.is_some() {
            return true;
        }
        match &self.feed {
            Feed::Waiting => false,
            _ if self.must_wait() => false,
            Feed::Plain { .. } => self.end.is_some_and(|end| self.next < end),
            Feed::Stream(stream) => stream.is_some() && self.end.is_none() && (pipes || !self.job.is_pipe),
        }
    }

    /// The block that is out may say how the next one reads.
    fn must_wait(&self) -> bool {
        self.job.reads_in_order() && self.in_flight() > 0
    }

    /// Behind this block the file's columns are these.
    pub fn learn(&mut self, columns: Option<Arc<Columns>>) {
        let same = match (&columns, &self.job.context.columns) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (new, _) => new.is_none(),
        };
        if !same {
            Arc::make_mut(&mut self.job).context.columns = columns;
        }
    }

    /// The next thing to do for it.
    pub fn task(&mut self, buffers: impl FnOnce() -> Buffers) -> Option<Task> {
        let job = Arc::clone(&self.job);
        if let Some((seq, buffers)) = self.ready.take() {
            return Some(Task::Count { job, seq, buffers });
        }
        if self.must_wait() || self.end.is_some_and(|end| self.next >= end) {
            return None;
        }
        let seq = self.next;
        let task = match &mut self.feed {
            Feed::Waiting => return None,
            Feed::Plain { file, size } => {
                Task::Plain { job, file: Arc::clone(file), size: *size, index: seq, seq, buffers: buffers() }
            }
            Feed::Stream(stream) => Task::Fill { job, stream: stream.take()?, seq, buffers: buffers() },
        };
        self.next += 1;
        Some(task)
    }

    /// A stream's block is back from being read. Returns buffers that are free again.
    pub fn filled(
        &mut self,
        seq: u64,
        stream: Box<Stream>,
        buffers: Buffers,
        error: Option<io::Error>,
    ) -> Option<Buffers> {
        self.feed = Feed::Stream(Some(stream));
        if let Some(error) = error {
            self.error = Some(error);
            self.end = Some(seq);
            self.next = seq;
            return Some(buffers);
        }
        if buffers.bytes.is_empty() {
            self.end = Some(seq);
            self.next = seq;
            return Some(buffers);
        }
        self.ready = Some((seq, buffers));
        None
    }

    /// How far it has come, guessing at what is out: the file furthest behind is read next.
    pub fn position(&self) -> Millis {
        let Some(newest) = self.clock.newest() else { return self.first_stamp.unwrap_or(Millis::MIN) };
        let first = self.first_stamp.unwrap_or(newest);
        let a_block = newest.saturating_sub(first) / (self.take.max(1) as Millis);
        newest.saturating_add(a_block.saturating_mul(self.in_flight() as Millis))
    }

    /// Its part in the engine's watermark: nothing before it can come any more. `None`: it has no say. A file of which no
    /// time is known yet lets nobody pass.
    pub fn watermark(&self, lateness: Millis) -> Option<Millis> {
        if self.is_finished() || self.job.format.is_none() {
            return None;
        }
        let first = || self.first_stamp.map(|first| first.saturating_sub(lateness));
        Some(self.clock.watermark().or_else(first).unwrap_or(Millis::MIN))
    }
}
