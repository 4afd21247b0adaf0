//! Finished logs on their way through the batch driver.

use crate::reference::Setup;
use gatewatch::batch::job::{Job, Selection};
use gatewatch::batch::open::Log;
use gatewatch::batch::{self, BatchInput};
use gatewatch::inputs::Source;
use gatewatch::wiring;
use gatewatch_rules::report::Report;
use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A temporary directory with these files, whose times are those that the reference assumes.
pub fn write(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let paths = files.iter().map(|(name, bytes)| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let modified = UNIX_EPOCH + Duration::from_millis(crate::reference::NEAR as u64);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(modified)).unwrap();
        path
    });
    let paths = paths.collect();
    (dir, paths)
}

/// How a batch is cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub jobs: usize,
    pub block: usize,
}

/// The report of finished files.
pub fn analyze(setup: &Setup, paths: &[PathBuf], cut: Cut) -> Report {
    let sources = paths.iter().cloned().map(Source::File).collect();
    analyze_sources(setup, sources, cut)
}

pub fn analyze_sources(setup: &Setup, sources: Vec<Source>, cut: Cut) -> Report {
    let inputs = sources.into_iter().enumerate().map(|(index, source)| input(setup, index, source)).collect();
    let plan = setup.plan();
    let selection = Selection {
        filter: None,
        since: None,
        until: None,
        step: setup.step,
        lateness: setup.lateness,
        block: cut.block,
    };
    let listener = batch::Listener { on_progress: &mut |_| true, on_changes: &mut |_| {} };
    let selection = Arc::new(selection);
    let outcome = batch::run(inputs, setup.engine(&plan), &plan, &selection, cut.jobs, listener);
    assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
    let mut report = outcome.summary.into_report(&setup.by);
    report.incidents = outcome.engine.incidents();
    report.inputs = outcome.inputs;
    report.unparsed_samples = outcome.unparsed_samples;
    for path in report
        .inputs
        .iter_mut()
        .map(|i| &mut i.path)
        .chain(report.unparsed_samples.iter_mut().map(|s| &mut s.path))
    {
        *path = Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
    }
    report
}

fn input(setup: &Setup, index: usize, source: Source) -> BatchInput {
    let log = Log::look(source, &std::sync::Arc::default()).unwrap();
    // Ten hosts have ten files: `host3.log` is of the node `host3`.
    let mut settings = setup.settings.clone();
    let name = log.shown();
    let name = Path::new(&name).file_name().unwrap().to_string_lossy().into_owned();
    if name.starts_with("host") {
        settings.node = name.trim_end_matches(".log").to_owned();
    }
    let recognised = wiring::recognise(&name, &log.head, log.modified, &settings);
    let job = Job {
        index,
        path: log.shown(),
        is_pipe: log.is_pipe(),
        format: recognised.format,
        title: recognised.title,
        source: recognised.source,
        context: recognised.context,
    };
    BatchInput { job, first_stamp: recognised.first_stamp, log }
}
