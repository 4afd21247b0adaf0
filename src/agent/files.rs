//! Every followed file: its lines, its place in the snapshot, its part in the watermark.

use super::live::LiveFile;
use crate::inputs::file::{Happening, Message, Placing};
use crate::tail::{FileId, FileKey, Position, Progress};
use crate::wiring::FileSettings;
use gatewatch_parsers::Millis;
use gatewatch_rules::block::Block;
use gatewatch_rules::collector::Collector;
use gatewatch_rules::engine::Engine;
use gatewatch_rules::series::Plan;
use gatewatch_rules::watermark::{FileReport, Watermarks};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file, and what a snapshot says of it.
struct Followed {
    live: LiveFile,
    place: Placing,
    progress: Progress,
    /// No read has found its end yet.
    backlog: bool,
    /// The last read found nothing more.
    caught_up: bool,
    /// When the newest end was read: what a held line waits for passes from then, as it does for the engine.
    read: Millis,
}

/// So many files that are not followed now are remembered, for when they come back.
const REMEMBERED_MAX: usize = 1_000;

impl Followed {
    fn position(&self) -> Position {
        Position { path: self.place.path.clone(), key: self.place.key, progress: self.progress }
    }
}

/// Every followed file.
pub struct LiveFiles {
    files: BTreeMap<FileId, Followed>,
    settings: Vec<FileSettings>,
    collector: Collector,
    block: Block,
    watermarks: Watermarks,
    /// Files that are not followed now: gone, or not to be read since the start.
    remembered: BTreeMap<FileKey, Position>,
    /// Some file was not read to its end when this was last asked.
    behind: bool,
    step: Millis,
    lateness: Millis,
    counted: u64,
}

impl LiveFiles {
    /// None yet; `settings` by input.
    pub fn new(settings: Vec<FileSettings>, plan: Arc<Plan>, step: Millis, lateness: Millis) -> LiveFiles {
        LiveFiles {
            files: BTreeMap::new(),
            settings,
            collector: Collector::new(plan, step, false),
            block: Block::default(),
            watermarks: Watermarks::new(),
            remembered: BTreeMap::new(),
            behind: false,
            step,
            lateness,
            counted: 0,
        }
    }

    /// Where an earlier process was in files that may not be followed yet.
    pub fn remember(&mut self, positions: Vec<Position>) {
        self.remembered.extend(positions.into_iter().map(|position| (position.key, position)));
    }

    /// Counts by other labels from now on; what was counted must have been flushed.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        self.collector = Collector::new(plan, self.step, false);
    }

    /// The inputs' settings from now on.
    pub fn reconfigure(&mut self, settings: Vec<FileSettings>) {
        self.settings = settings;
    }

    /// What the files' thread tells.
    pub fn take(&mut self, message: Message, engine: &mut Engine) {
        let at = message.at;
        match message.what {
            Happening::Opened { file, place, from, size, .. } => self.open(file, place, from, size, at),
            Happening::Moved { file, place } => {
                let settings = self.settings_of(&place);
                if let Some(f) = self.files.get_mut(&file) {
                    f.live.move_to(place.path.display().to_string(), settings);
                    f.place = place;
                }
            }
            Happening::Chunk { file, bytes, after, .. } => self.chunk(file, &bytes, after, at, engine),
            Happening::Idle { file } => self.idle(file, at),
            Happening::Reconciled => {
                for file in self.files.iter().filter(|f| f.1.caught_up).map(|f| *f.0).collect::<Vec<_>>() {
                    self.idle(file, at);
                }
            }
            Happening::Truncated { file } => {
                if let Some(f) = self.files.get_mut(&file) {
                    f.live.restart();
                    f.progress = f.progress.restarted();
                }
            }
            Happening::Finished { file, after } => {
                let collector = &mut self.collector;
                if let Some(f) = self.files.get_mut(&file) {
                    f.progress = after;
                    f.live.finish(at, collector, &mut |series, end, line| engine.sample(series, end, line));
                }
                self.close(file);
            }
            Happening::Dropped { file } => self.close(file),
            Happening::Unreadable { file: Some(file), .. } => {
                // No time passes for it until it is read again.
                if let Some(f) = self.files.get_mut(&file) {
                    f.caught_up = false;
                }
                self.watermarks.unreadable(file.0, at);
            }
            Happening::FirstScanDone => self.watermarks.all_placed(),
            _ => {}
        }
    }

    fn settings_of(&self, place: &Placing) -> Option<FileSettings> {
        let mut settings = self.settings.get(place.input)?.clone();
        settings.path_labels.clone_from(&place.labels);
        Some(settings)
    }

    fn open(&mut self, file: FileId, place: Placing, from: Progress, size: u64, at: Millis) {
        let Some(settings) = self.settings_of(&place) else { return };
        let path = place.path.display().to_string();
        let live = LiveFile::new(path, from.offset, settings, self.lateness, self.step);
        self.watermarks.register(file.0, self.lateness);
        self.remembered.remove(&place.key);
        self.behind = true;
        if size > from.offset {
            self.watermarks.has_lines(file.0);
        }
        self.files.insert(
            file,
            Followed { live, place, progress: from, backlog: true, caught_up: false, read: at },
        );
    }

    fn close(&mut self, file: FileId) {
        self.watermarks.gone(file.0);
        let Some(f) = self.files.remove(&file) else { return };
        self.remembered.insert(f.place.key, f.position());
        if self.remembered.len() > REMEMBERED_MAX {
            self.remembered.pop_first();
        }
    }

    fn chunk(&mut self, file: FileId, bytes: &[u8], after: Progress, at: Millis, engine: &mut Engine) {
        let Some(f) = self.files.get_mut(&file) else { return };
        let newest = f.live.clock.newest();
        f.live
            .feed(bytes, at, &mut self.collector, &mut |series, end, line| engine.sample(series, end, line));
        // What waits to be recognised is not counted: it is read again after a restart.
        if f.live.is_recognised() {
            f.progress = after;
        }
        if f.live.clock.newest() > newest {
            f.read = at;
        }
        f.caught_up = false;
        self.counted += 1;
        match f.live.clock.newest() {
            Some(newest) => self.watermarks.read(file.0, newest, at),
            // Its first line may be held until the next one, or until a read finds nothing more.
            None => self.watermarks.has_lines(file.0),
        }
    }

    fn idle(&mut self, file: FileId, at: Millis) {
        let Some(f) = self.files.get_mut(&file) else { return };
        (f.backlog, f.caught_up) = (false, true);
        let newest = f.live.clock.newest();
        f.live.idle(at.saturating_sub(f.read), at, &mut self.collector);
        if f.live.clock.newest() > newest {
            f.read = at;
        }
        if let Some(newest) = f.live.clock.newest() {
            self.watermarks.read(file.0, newest, at);
        }
        self.watermarks.idle(file.0, at);
    }

    /// Chunks counted since the last flush.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// Hands what was counted to the engine. Gives how many requests were late: by their file's clock, or since the
    /// engine had closed their step.
    pub fn flush(&mut self, engine: &mut Engine) -> u64 {
        self.counted = 0;
        self.collector.take(&mut self.block);
        engine.absorb(&self.block, Millis::MIN)
    }

    /// How far time has come.
    pub fn watermark(&self, now: Millis) -> Option<Millis> {
        self.watermarks.watermark(now)
    }

    /// Where each file's time stands, with its path.
    pub fn reports(&self, now: Millis) -> impl Iterator<Item = (&str, FileReport)> {
        self.watermarks
            .reports(now)
            .filter_map(|report| Some((self.files.get(&FileId(report.file))?.live.path.as_str(), report)))
    }

    /// What files have to say, once.
    pub fn notes(&mut self) -> Vec<(String, String)> {
        let notes = |f: &mut Followed| {
            std::mem::take(&mut f.live.notes)
                .into_iter()
                .map(|n| (f.live.path.clone(), n))
                .collect::<Vec<_>>()
        };
        self.files.values_mut().flat_map(notes).collect()
    }

    /// Whether some file has not been read to its end yet.
    pub fn catching_up(&self) -> bool {
        self.files.values().any(|f| f.backlog)
    }

    /// Whether some file was not read to its end at some time since this was last asked.
    pub fn were_behind(&mut self) -> bool {
        let now = self.catching_up();
        std::mem::replace(&mut self.behind, now)
    }

    /// The path, if there is but one file.
    pub fn only_path(&self) -> Option<String> {
        let mut paths = self.files.values().map(|f| f.live.path.clone());
        paths.next().filter(|_| paths.next().is_none())
    }

    /// Where every file stands, for the snapshot: what comes before is counted.
    pub fn positions(&self) -> Vec<Position> {
        self.files.values().map(Followed::position).chain(self.remembered.values().cloned()).collect()
    }
}
