//! The parallel half: a block's bytes → its leaves. Knows nothing of the blocks before it.

use super::blocks::{self, Stream};
use super::job::{Job, Selection};
use gatewatch_parsers::formats::Columns;
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Malformed, Millis, Parsed};
use gatewatch_rules::block::Block;
use gatewatch_rules::clock::{Admit, BlockClock, BlockStats};
use gatewatch_rules::collector::{Collector, Place};
use gatewatch_rules::latency::Latency;
use gatewatch_rules::report::UnparsedSample;
use gatewatch_rules::series::LabelSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

/// Samples of lines that were not understood, a block at most.
pub const SAMPLES: usize = 10;
/// Bytes of a sample.
pub const SAMPLE_BYTES: usize = 512;

/// Something for a worker to do.
pub enum Task {
    /// Read block `index` of a plain file and count it.
    Plain { job: Arc<Job>, file: Arc<File>, size: u64, index: u64, seq: u64, buffers: Buffers },
    /// Read a stream's next block; counting it is another task, so that both cores have work.
    Fill { job: Arc<Job>, stream: Box<Stream>, seq: u64, buffers: Buffers },
    /// Count a block that was read.
    Count { job: Arc<Job>, seq: u64, buffers: Buffers },
}

/// What a block needs memory for; handed back and used again.
#[derive(Default)]
pub struct Buffers {
    pub bytes: Vec<u8>,
    pub lines: Range<usize>,
    /// Whether the file starts here.
    pub at_start: bool,
    pub block: Block,
}

/// What became of a task.
pub enum Done {
    /// A block was counted.
    Counted { file: usize, seq: u64, counted: Counted, buffers: Buffers, worker: usize },
    /// A stream's block was read; an empty one is the end.
    Filled {
        file: usize,
        seq: u64,
        stream: Box<Stream>,
        buffers: Buffers,
        error: Option<io::Error>,
        worker: usize,
    },
    /// Reading failed.
    Failed { file: usize, seq: u64, error: io::Error, buffers: Buffers, worker: usize },
    /// The worker has nothing more to do; its request latencies.
    Finished { latencies: Vec<(LabelSet, Latency)> },
}

/// A block's lines, counted, beside its leaves.
#[derive(Default)]
pub struct Counted {
    pub clock: Option<BlockStats>,
    pub bytes: u64,
    pub lines: u64,
    pub parsed: u64,
    pub unparsed: u64,
    pub other: u64,
    pub too_long: u64,
    pub first: Option<Millis>,
    pub last: Option<Millis>,
    /// `line` is its number within the block, from 1.
    pub samples: Vec<UnparsedSample>,
    /// Holds stamps that only the lines before it can date: to be read again in order.
    pub ambiguous: bool,
    /// What its last `#Fields` line said, or one before it.
    pub columns: Option<Arc<Columns>>,
    /// Holds stamps without a zone.
    pub zoneless: bool,
}

/// Performs tasks, and keeps the request latencies of all of them.
pub struct Worker {
    collector: Collector,
    selection: Arc<Selection>,
}

impl Worker {
    /// One that has done nothing yet.
    pub fn new(collector: Collector, selection: Arc<Selection>) -> Worker {
        Worker { collector, selection }
    }

    /// Performs tasks until there are none.
    pub fn run(mut self, number: usize, tasks: &Receiver<Task>, done: &SyncSender<Done>) {
        for task in tasks {
            if done.send(self.perform(task, number)).is_err() {
                return;
            }
        }
        let _ = done.send(self.finish());
    }

    /// Performs one.
    pub fn perform(&mut self, task: Task, worker: usize) -> Done {
        match task {
            Task::Plain { job, file, size, index, seq, mut buffers } => {
                match blocks::read_plain(&file, size, self.selection.block, index, &mut buffers.bytes) {
                    Ok(range) => {
                        buffers.lines = range;
                        buffers.at_start = seq == 0;
                        let mut counted = count(&job, &self.selection, &mut self.collector, &mut buffers);
                        // All of the block's bytes, those that are no line's, too.
                        let block = self.selection.block as u64;
                        counted.bytes = size.saturating_sub(index * block).min(block);
                        Done::Counted { file: job.index, seq, counted, buffers, worker }
                    }
                    Err(error) => Done::Failed { file: job.index, seq, error, buffers, worker },
                }
            }
            Task::Fill { job, mut stream, seq, mut buffers } => {
                let error = stream.fill(&mut buffers.bytes).err();
                buffers.lines = 0..buffers.bytes.len();
                buffers.at_start = seq == 0;
                Done::Filled { file: job.index, seq, stream, buffers, error, worker }
            }
            Task::Count { job, seq, mut buffers } => {
                let counted = count(&job, &self.selection, &mut self.collector, &mut buffers);
                Done::Counted { file: job.index, seq, counted, buffers, worker }
            }
        }
    }

    /// Nothing more to do: its latencies.
    pub fn finish(&mut self) -> Done {
        Done::Finished { latencies: self.collector.latencies() }
    }
}

/// Counts the lines of a block by themselves.
fn count(job: &Job, selection: &Selection, collector: &mut Collector, buffers: &mut Buffers) -> Counted {
    let mut counted = Counted::default();
    let mut context = job.context();
    let mut clock = BlockClock::new(selection.lateness, selection.step);
    let bytes = buffers.bytes.get(buffers.lines.clone()).unwrap_or_default();
    counted.bytes = bytes.len() as u64;
    let takes_all = selection.takes_all();
    let of = collector.of(&job.source);
    let mut lines = Lines::new(bytes, buffers.at_start);
    for line in &mut lines {
        counted.lines += 1;
        // By reference: a record is some hundred bytes, and is used where it was made.
        match &job.parse(line, &mut context) {
            Ok(Parsed::Record(record)) => {
                counted.parsed += 1;
                if !takes_all {
                    counted.see(record.end);
                }
                let place = match clock.admit(record.end) {
                    Admit::Late => Place::Late,
                    _ => Place::Step,
                };
                if takes_all || selection.takes(&job.source, record) {
                    collector.count_of(&of, record, place);
                }
            }
            Ok(Parsed::Diagnosis(diagnosis)) => {
                counted.parsed += 1;
                counted.see(diagnosis.at);
                let place = match clock.admit(diagnosis.at) {
                    Admit::Late => Place::Late,
                    _ => Place::Step,
                };
                if takes_all || selection.takes(&job.source, &diagnosis.as_record()) {
                    collector.count_diagnosis(&job.source, diagnosis, place);
                }
            }
            Ok(parsed @ Parsed::Event(_)) => {
                counted.other += 1;
                if selection.takes_parsed(&job.source, parsed) {
                    collector.count_parsed(&job.source, parsed, Place::Step);
                }
            }
            Ok(Parsed::Other) => counted.other += 1,
            Err(malformed) => counted.keep(line, *malformed),
        }
    }
    counted.too_long = lines.too_long();
    counted.clock = Some(clock.take());
    counted.ambiguous = context.dates.saw_ambiguous();
    counted.zoneless = context.dates.saw_zoneless();
    counted.columns = context.columns;
    collector.take(&mut buffers.block);
    if takes_all {
        // The block has seen every end already.
        (counted.first, counted.last) = buffers.block.ends().unzip();
    }
    counted
}

impl Counted {
    /// A record ended then.
    #[inline]
    pub fn see(&mut self, end: Millis) {
        self.first = Some(self.first.map_or(end, |first| first.min(end)));
        self.last = Some(self.last.map_or(end, |last| last.max(end)));
    }

    #[cold]
    fn keep(&mut self, line: &[u8], malformed: Malformed<'_>) {
        self.unparsed += 1;
        if self.samples.len() < SAMPLES {
            self.samples.push(UnparsedSample {
                path: String::new(),
                line: self.lines,
                text: line.get(..SAMPLE_BYTES).unwrap_or(line).to_vec(),
                field: malformed.field.to_owned(),
                reason: malformed.reason.to_owned(),
            });
        }
    }
}
