//! notify as a hint: a change in a watched directory makes the tailer look sooner. Nothing depends on it: events are lost
//! when the queue overflows, never sent by network filesystems, and refused when the user's watches are used up.

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Thread;

/// More events in a second than this, from directories thought quiet: somebody else writes there all the time. Looking once
/// a second is cheaper.
const STORM: u32 = 200;
/// Then nothing is watched for so long.
const STORM_PAUSE: i64 = 30_000;

#[derive(Default)]
struct Shared {
    hinted: AtomicBool,
    events: AtomicU32,
}

/// Watches directories and wakes a thread.
pub struct Wake {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    asked: BTreeSet<PathBuf>,
    asked_at: i64,
    shared: Arc<Shared>,
    second: i64,
    paused_until: i64,
    warning: Option<String>,
}

impl Wake {
    /// Unparks this thread whenever something changes in a directory given to [`Wake::watch`].
    #[must_use]
    pub fn new(thread: Thread) -> Wake {
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let handler = move |event: notify::Result<Event>| {
            // Opening and reading are events, too, our own among them. An overflow comes as an event without paths, and
            // counts like any other; so does an error.
            if !matches!(&event, Ok(Event { kind: EventKind::Access(_), .. })) {
                told.events.fetch_add(1, Ordering::Relaxed);
                if !told.hinted.swap(true, Ordering::AcqRel) {
                    thread.unpark();
                }
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let (watcher, warning) = match RecommendedWatcher::new(handler, config) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(degraded(&error))),
        };
        Wake {
            watcher,
            watched: BTreeSet::new(),
            asked: BTreeSet::new(),
            asked_at: 0,
            shared,
            second: 0,
            paused_until: 0,
            warning,
        }
    }

    /// Was there a hint since the last time?
    pub fn take_hint(&self) -> bool {
        self.shared.hinted.swap(false, Ordering::AcqRel)
    }

    /// Why looking once a second has to do, once.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// Watches these directories and no others. True if one was added: what happened in it before is not known.
    pub fn watch(&mut self, wanted: &BTreeSet<PathBuf>, now: i64) -> bool {
        if self.storms(now) {
            self.set(&BTreeSet::new(), now);
            return false;
        }
        self.set(wanted, now)
    }

    fn storms(&mut self, now: i64) -> bool {
        if now.saturating_sub(self.second).unsigned_abs() >= 1_000 {
            self.second = now;
            if self.shared.events.swap(0, Ordering::Relaxed) > STORM {
                self.paused_until = now.saturating_add(STORM_PAUSE);
            }
        }
        now < self.paused_until && self.paused_until - now <= STORM_PAUSE
    }

    fn set(&mut self, wanted: &BTreeSet<PathBuf>, now: i64) -> bool {
        // Again after a second: one that was not there, or may not be watched, may be different now.
        let asked_lately = now.saturating_sub(self.asked_at).unsigned_abs() < 1_000;
        if self.watched == *wanted || (asked_lately && self.asked == *wanted) {
            return false;
        }
        let Some(watcher) = self.watcher.as_mut() else { return false };
        (self.asked, self.asked_at) = (wanted.clone(), now);
        for path in self.watched.difference(wanted) {
            // A directory that is gone has lost its watch already.
            let _gone = watcher.unwatch(here(path));
        }
        self.watched.retain(|path| wanted.contains(path));
        let mut added = false;
        for path in wanted {
            if self.watched.contains(path) {
                continue;
            }
            match watcher.watch(here(path), RecursiveMode::NonRecursive) {
                Ok(()) => added |= self.watched.insert(path.clone()),
                Err(error) if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) => {
                    // Every further watch would fail as well.
                    self.warning = Some(degraded(&error));
                    self.watcher = None;
                    self.watched.clear();
                    return false;
                }
                Err(_not_there_or_not_ours) => {}
            }
        }
        added
    }
}

fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn degraded(error: &notify::Error) -> String {
    format!("no change notifications ({error}): files are looked at once a second instead")
}
