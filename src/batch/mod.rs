//! The driver of finished logs: `analyze`, `replay`, `test`. Workers turn blocks into leaves; this thread, the one
//! owner of all counts, takes them in file order, drops as late what the file had already passed, and moves the engine's
//! time with the file that is furthest behind. So only open steps are held, however long the logs are, and the result is
//! that of reading every file line by line.

mod blocks;
mod file;
pub mod job;
pub mod open;
mod serial;
mod worker;

pub use blocks::BLOCK;

use crate::batch::file::{Back, Feed, OnItsWay};
use crate::batch::job::{Job, Selection};
use crate::batch::worker::{Buffers, Counted, Done, SAMPLES, Task, Worker};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Change;
use gatewatch_rules::clock::FileClock;
use gatewatch_rules::collector::Collector;
use gatewatch_rules::engine::Engine;
use gatewatch_rules::report::{Input, UnparsedSample};
use gatewatch_rules::series::Plan;
use gatewatch_rules::summary::Summary;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Blocks out at once, a worker: one being counted, and so many waiting that it is not idle while this thread counts one.
const AHEAD: usize = 3;
/// Blocks out or waiting for one before them at most (4 MiB), should one thread be held up while the others go on; with
/// many threads two each.
const IN_FLIGHT: u64 = 16;
/// How long to wait for a worker before looking around.
const WAIT: Duration = Duration::from_millis(100);

/// A file to be counted.
pub struct BatchInput {
    /// What its workers must know.
    pub job: Job,
    /// When the first record of its head ended.
    pub first_stamp: Option<Millis>,
    /// Opened when its turn has come.
    pub log: open::Log,
}

/// What everything came to.
pub struct Outcome {
    /// Judged to the end: its incidents.
    pub engine: Engine,
    /// The counts.
    pub summary: Summary,
    /// Each input as it was read.
    pub inputs: Vec<Input>,
    /// The first lines that were not understood, in input and line order.
    pub unparsed_samples: Vec<UnparsedSample>,
    /// Files that could not be read, or only in part.
    pub errors: Vec<(String, io::Error)>,
    /// Stopped before the end.
    pub partial: bool,
}

/// What the driver tells while it runs.
pub struct Progress {
    /// Bytes on disk that were read.
    pub bytes: u64,
    /// Lines counted.
    pub lines: u64,
}

/// Who is told while it runs.
pub struct Listener<'a> {
    /// Called after each block, and while there is nothing to do; it returns `false` to stop with what there is.
    pub on_progress: &'a mut dyn FnMut(&Progress) -> bool,
    /// What would have been told of alerts, in order; never called with nothing.
    pub on_changes: &'a mut dyn FnMut(Vec<Change>),
}

/// Counts every input on `jobs` threads, this one among them.
pub fn run<'a>(
    inputs: Vec<BatchInput>,
    engine: Engine,
    plan: &Arc<Plan>,
    selection: &'a Arc<Selection>,
    jobs: usize,
    listener: Listener<'a>,
) -> Outcome {
    // A pipe may keep its reader waiting, and this thread has to answer Ctrl-C: then another one reads.
    let others = if inputs.iter().any(|i| i.log.is_pipe()) { jobs.max(2) - 1 } else { jobs - 1 };
    // A worker never waits to hand something back: there are at most so many tasks.
    let (done, results) = sync_channel(others * (AHEAD + 1));
    let worker =
        || Worker::new(Collector::new(Arc::clone(plan), selection.step, true), Arc::clone(selection));
    let tasks = (0..others)
        .map(|number| {
            let (sender, receiver) = sync_channel(AHEAD);
            let (done, worker) = (done.clone(), worker());
            // Not joined: one that waits for a pipe must not hold up a partial report.
            std::thread::spawn(move || worker.run(number, &receiver, &done));
            sender
        })
        .collect();
    drop(done);
    let mut driver = Driver::new(inputs, engine, plan, selection, listener);
    driver.in_flight = IN_FLIGHT.max(2 * jobs as u64);
    driver.drive(worker(), tasks, &results)
}

struct Driver<'a> {
    files: Vec<OnItsWay>,
    logs: Vec<Option<open::Log>>,
    /// Bytes on disk that were read of archives and pipes.
    done: Vec<Arc<AtomicU64>>,
    engine: Engine,
    summary: Summary,
    serial: serial::Serial,
    selection: &'a Selection,
    inputs: Vec<Input>,
    samples: Vec<(usize, UnparsedSample)>,
    pool: Vec<Buffers>,
    plain_bytes: u64,
    /// Blocks out at most.
    in_flight: u64,
    progress: Progress,
    listener: Listener<'a>,
}

impl<'a> Driver<'a> {
    fn new(
        inputs: Vec<BatchInput>,
        engine: Engine,
        plan: &Arc<Plan>,
        selection: &'a Selection,
        listener: Listener<'a>,
    ) -> Driver<'a> {
        let mut files = Vec::with_capacity(inputs.len());
        let mut logs = Vec::with_capacity(inputs.len());
        let mut rows = Vec::with_capacity(inputs.len());
        for input in inputs {
            rows.push(Input {
                path: input.job.path.clone(),
                format: input.job.format.as_ref().map_or(String::new(), |f| f.name().to_owned()),
                title: input.job.title.clone(),
                ..Input::default()
            });
            let clock = FileClock::new(selection.lateness, selection.step);
            files.push(OnItsWay::new(input.job, input.first_stamp, clock));
            logs.push(Some(input.log));
        }
        Driver {
            files,
            logs,
            done: Vec::new(),
            engine,
            summary: Summary::new(Arc::clone(plan), selection.step),
            serial: serial::Serial::new(plan, selection.step),
            selection,
            inputs: rows,
            samples: Vec::new(),
            pool: Vec::new(),
            plain_bytes: 0,
            in_flight: IN_FLIGHT,
            progress: Progress { bytes: 0, lines: 0 },
            listener,
        }
    }

    fn drive(mut self, mut own: Worker, tasks: Vec<SyncSender<Task>>, results: &Receiver<Done>) -> Outcome {
        let mut load = vec![0usize; tasks.len()];
        let mut partial = false;
        loop {
            if !partial {
                self.hand_out(&tasks, &mut load);
            }
            // What is back goes first; this thread counts a block only when it has nothing else to do.
            let done = match results.try_recv() {
                Ok(done) => Some(done),
                Err(_) if partial => None,
                Err(_) => self.next_task(tasks.is_empty()).map(|task| own.perform(task, usize::MAX)),
            };
            let is_idle = load.iter().all(|l| *l == 0);
            if done.is_none() && is_idle {
                break;
            }
            let done = done.or_else(|| results.recv_timeout(WAIT).ok());
            let nothing = done.is_none();
            if let Some(l) = done.and_then(|done| self.put_back(done)).and_then(|worker| load.get_mut(worker))
            {
                *l -= 1;
            }
            self.take_blocks();
            let archives: u64 = self.done.iter().map(|d| d.load(Ordering::Relaxed)).sum();
            self.progress.bytes = self.plain_bytes + archives;
            partial = partial || !(self.listener.on_progress)(&self.progress);
            if nothing && partial {
                break;
            }
        }
        drop(tasks);
        // A thread that waits for a pipe is not waited for; else each has its times to tell.
        let next = || if partial { results.recv_timeout(WAIT).ok() } else { results.recv().ok() };
        let latencies = std::iter::from_fn(next);
        for done in latencies.chain(std::iter::once(own.finish())) {
            self.put_back(done);
        }
        self.finish(partial)
    }

    /// Keeps the other threads busy.
    fn hand_out(&mut self, tasks: &[SyncSender<Task>], load: &mut [usize]) {
        while let Some(worker) = (0..load.len()).min_by_key(|w| load.get(*w))
            && load.get(worker).is_some_and(|l| *l < AHEAD)
            && let Some(task) = self.next_task(true)
        {
            // Never full: its load is below what it takes.
            if tasks.get(worker).is_some_and(|t| t.send(task).is_ok())
                && let Some(l) = load.get_mut(worker)
            {
                *l += 1;
            }
        }
    }

    /// A task of the file furthest behind; a file is opened when the others have reached its first stamp.
    /// `pipes`: whether a task may have to wait for one.
    fn next_task(&mut self, pipes: bool) -> Option<Task> {
        loop {
            let is_full = self.files.iter().map(OnItsWay::in_flight).sum::<u64>() >= self.in_flight;
            let gives = |f: &OnItsWay| if is_full { f.has_ready() } else { f.has_task(pipes) };
            let open = (0..self.files.len()).filter(|i| self.files.get(*i).is_some_and(gives));
            let furthest = open.min_by_key(|i| self.files.get(*i).map(OnItsWay::position));
            let waiting = (0..self.files.len())
                .filter(|i| self.files.get(*i).is_some_and(OnItsWay::is_waiting))
                .min_by_key(|i| self.files.get(*i).map(|f| f.first_stamp.unwrap_or(Millis::MIN)));
            let due = waiting.filter(|_| !is_full).filter(|w| match (furthest, self.files.get(*w)) {
                (Some(open), Some(w)) => self
                    .files
                    .get(open)
                    .is_some_and(|open| w.first_stamp.unwrap_or(Millis::MIN) <= open.position()),
                // Nothing else can be handed out. While blocks are out, they may still make another file due.
                (None, Some(_)) => self.files.iter().all(|f| f.in_flight() == 0),
                _ => false,
            });
            let Some(waiting) = due else {
                let pool = &mut self.pool;
                return self.files.get_mut(furthest?)?.task(|| pool.pop().unwrap_or_default());
            };
            self.open(waiting);
        }
    }

    fn open(&mut self, index: usize) {
        let (Some(file), Some(log)) =
            (self.files.get_mut(index), self.logs.get_mut(index).and_then(Option::take))
        else {
            return;
        };
        match log.feed(self.selection.block, &mut self.done) {
            Ok(feed) => file.open(feed, self.selection.block),
            Err(error) => {
                file.error = Some(error);
                file.open(Feed::Stream(None), self.selection.block);
                file.give_up();
            }
        }
    }

    /// Stores what a worker brought; returns the worker.
    fn put_back(&mut self, done: Done) -> Option<usize> {
        match done {
            Done::Counted { file, seq, counted, buffers, worker } => {
                if let Some(f) = self.files.get_mut(file) {
                    f.back.insert(seq, Back::Block(counted, buffers));
                }
                Some(worker)
            }
            Done::Failed { file, seq, error, buffers, worker } => {
                self.pool.push(buffers);
                if let Some(f) = self.files.get_mut(file) {
                    f.back.insert(seq, Back::Failed(error));
                }
                Some(worker)
            }
            Done::Filled { file, seq, mut stream, buffers, error, worker } => {
                if let Some(row) = self.inputs.get_mut(file) {
                    row.bytes += stream.take_dropped();
                }
                let free = self.files.get_mut(file).and_then(|f| f.filled(seq, stream, buffers, error));
                self.pool.extend(free);
                Some(worker)
            }
            Done::Finished { latencies } => {
                self.summary.merge_latencies(latencies);
                None
            }
        }
    }

    /// Takes every block whose turn has come, and moves the engine's time.
    fn take_blocks(&mut self) {
        for index in 0..self.files.len() {
            while let Some(back) = self.files.get_mut(index).and_then(|f| f.back.remove(&f.take)) {
                if let Some(f) = self.files.get_mut(index) {
                    f.take += 1;
                }
                match back {
                    Back::Block(counted, buffers) => self.take_block(index, counted, buffers),
                    Back::Failed(error) => {
                        if let Some(f) = self.files.get_mut(index) {
                            f.error.get_or_insert(error);
                        }
                    }
                }
            }
            self.finish_file(index);
        }
        let lateness = self.selection.lateness;
        if let Some(watermark) = self.files.iter().filter_map(|f| f.watermark(lateness)).min() {
            let changes = self.engine.advance(watermark);
            self.tell(changes);
        }
    }

    fn tell(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            (self.listener.on_changes)(changes);
        }
    }

    fn take_block(&mut self, index: usize, mut counted: Counted, mut buffers: Buffers) {
        // What the engine has closed is late in the totals, too.
        let closed = self.engine.buckets().closed_until().unwrap_or(Millis::MIN);
        let Some(file) = self.files.get_mut(index) else { return };
        let whole = counted.clock.filter(|clock| !counted.ambiguous && file.clock.takes_whole(clock));
        if let Some(clock) = whole {
            let late_before = file.clock.take_block(&clock).max(closed);
            self.summary.absorb(&buffers.block, late_before);
            self.engine.absorb(&buffers.block, late_before);
        } else {
            (counted.first, counted.last) =
                self.serial.count(&file.job, self.selection, &mut file.clock, &mut buffers);
            self.summary.absorb(&buffers.block, closed);
            self.engine.absorb(&buffers.block, closed);
        }
        file.learn(counted.columns.take());
        let known = self.samples.iter().filter(|s| s.0 == index).count();
        for sample in counted.samples.into_iter().take(SAMPLES.saturating_sub(known)) {
            let line = file.lines_before + sample.line;
            self.samples.push((index, UnparsedSample { path: file.job.path.clone(), line, ..sample }));
        }
        file.lines_before += counted.lines;
        if matches!(file.feed, Feed::Plain { .. }) {
            self.plain_bytes += counted.bytes;
        }
        self.progress.lines += counted.lines;
        if let Some(row) = self.inputs.get_mut(index) {
            row.bytes += counted.bytes;
            row.lines += counted.lines;
            row.parsed += counted.parsed;
            row.unparsed += counted.unparsed;
            row.other += counted.other;
            row.too_long += counted.too_long;
            row.zoneless |= counted.zoneless;
            row.first = row.first.into_iter().chain(counted.first).min();
            row.last = row.last.max(counted.last);
        }
        self.pool.push(buffers);
    }

    /// At its end a file's held line is decided, and its descriptor let go.
    fn finish_file(&mut self, index: usize) {
        let Some(file) =
            self.files.get_mut(index).filter(|f| f.is_finished() && !matches!(f.feed, Feed::Stream(None)))
        else {
            return;
        };
        file.feed = Feed::Stream(None);
        let mut block = self.pool.pop().unwrap_or_default();
        self.serial.finish(&file.job, self.selection, &mut file.clock, &mut block.block);
        let closed = self.engine.buckets().closed_until().unwrap_or(Millis::MIN);
        self.summary.absorb(&block.block, closed);
        self.engine.absorb(&block.block, closed);
        self.pool.push(block);
    }

    fn finish(mut self, partial: bool) -> Outcome {
        if partial {
            // Files cut short still owe their held lines.
            for index in 0..self.files.len() {
                if let Some(f) = self.files.get_mut(index) {
                    f.give_up();
                }
                self.finish_file(index);
            }
        }
        let changes = self.engine.finish();
        self.tell(changes);
        self.samples.sort_by_key(|(index, sample)| (*index, sample.line));
        self.samples.truncate(SAMPLES);
        let errors =
            self.files.iter_mut().filter_map(|f| f.error.take().map(|e| (f.job.path.clone(), e))).collect();
        Outcome {
            engine: self.engine,
            summary: self.summary,
            inputs: self.inputs,
            unparsed_samples: self.samples.into_iter().map(|s| s.1).collect(),
            errors,
            partial,
        }
    }
}
