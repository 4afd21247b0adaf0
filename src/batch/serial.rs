//! The few blocks that a worker cannot judge by itself, line by line in file order: a jump of over an hour, a held line
//! before them, a stamp that only its neighbours can date.

use super::job::{Job, Selection};
use super::worker::{Buffers, Counted};
use gatewatch_parsers::Millis;
use gatewatch_parsers::formats::Columns;
use gatewatch_parsers::lines::Lines;
use gatewatch_rules::block::Block;
use gatewatch_rules::clock::{Admit, FileClock, Held};
use gatewatch_rules::collector::{Collector, Place};
use gatewatch_rules::series::Plan;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counts line by line; keeps each file's held line.
pub struct Serial {
    collector: Collector,
    held: BTreeMap<usize, Waits>,
}

/// A line that waits for the next one of its file.
struct Waits {
    line: Vec<u8>,
    /// How far the file had come.
    come: Option<Millis>,
    /// What its columns were: the file may have named others since.
    columns: Option<Arc<Columns>>,
}

impl Serial {
    /// Latencies are the workers' to count: they have seen these lines, too.
    pub fn new(plan: &Arc<Plan>, step: Millis) -> Serial {
        Serial { collector: Collector::new(Arc::clone(plan), step, false), held: BTreeMap::new() }
    }

    /// Counts a block's lines anew. Gives its first and last end: those that the worker found may be an hour off.
    pub fn count(
        &mut self,
        job: &Job,
        selection: &Selection,
        clock: &mut FileClock,
        buffers: &mut Buffers,
    ) -> (Option<Millis>, Option<Millis>) {
        let bytes = buffers.bytes.get(buffers.lines.clone()).unwrap_or_default();
        let mut context = job.context();
        // The worker has counted the lines themselves.
        let mut counted = Counted::default();
        let mut before = None;
        for line in Lines::new(bytes, buffers.at_start) {
            // A file's first line waits for its second: until then it alone tells what is near.
            if let Some(newest) = clock.newest().or(before) {
                context.dates.set_newest(newest);
            }
            let Ok(parsed) = job.parse(line, &mut context) else { continue };
            let Some(end) = parsed.end() else {
                if selection.takes_parsed(&job.source, &parsed) {
                    self.collector.count_parsed(&job.source, &parsed, Place::Step);
                }
                continue;
            };
            before = Some(end);
            counted.see(end);
            let come = clock.newest();
            let verdict = clock.admit(end);
            if let Some(held) = verdict.held {
                self.settle(job, selection, held);
            }
            let place = match verdict.this {
                Admit::Count => Place::Step,
                Admit::Late => Place::Late,
                Admit::Hold => {
                    self.held.insert(
                        job.index,
                        Waits { line: line.to_vec(), come, columns: context.columns.clone() },
                    );
                    continue;
                }
            };
            if selection.takes_parsed(&job.source, &parsed) {
                self.collector.count_parsed(&job.source, &parsed, place);
            }
        }
        self.collector.take(&mut buffers.block);
        (counted.first, counted.last)
    }

    /// The end of a file: what it held is decided.
    pub fn finish(&mut self, job: &Job, selection: &Selection, clock: &mut FileClock, block: &mut Block) {
        if let Some(held) = clock.finish() {
            self.settle(job, selection, held);
        }
        self.collector.take(block);
    }

    fn settle(&mut self, job: &Job, selection: &Selection, held: Held) {
        let Some(Waits { line, come, columns }) = self.held.remove(&job.index) else { return };
        let mut context = job.context();
        context.columns = columns;
        // Dated as when it was read.
        if let Some(newest) = come {
            context.dates.set_newest(newest);
        }
        let Ok(parsed) = job.parse(&line, &mut context) else { return };
        let place = match held {
            Held::Count => Place::Step,
            Held::Future => Place::Future,
        };
        if selection.takes_parsed(&job.source, &parsed) {
            self.collector.count_parsed(&job.source, &parsed, place);
        }
    }
}
