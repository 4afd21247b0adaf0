//! Every followed file: its lines, its place in the snapshot, its part in the watermark.

use super::live::LiveFile;
use crate::inputs::file::{Happening, Message, Placing};
use crate::state::{FileState, Lines};
use crate::tail::{FileId, FileKey, Placed, Position, Progress};
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
    fn state(&self) -> FileState {
        let Placing { path, key, .. } = &self.place;
        let position = Position { path: path.clone(), key: *key, progress: self.progress };
        self.live.state(position, self.read)
    }

    /// No file: what it gave is not there to be read again, and there is no place in it to go on from.
    fn is_stream(&self) -> bool {
        self.place.key == FileKey { dev: 0, ino: 0, birth: 0 }
    }
}

/// Every followed file.
pub struct LiveFiles {
    files: BTreeMap<FileId, Followed>,
    settings: Vec<FileSettings>,
    collector: Collector,
    block: Block,
    watermarks: Watermarks,
    /// Files that are not followed now: gone, or not to be read since the start; and in which order they went.
    remembered: BTreeMap<FileKey, (u64, FileState)>,
    forgotten: u64,
    /// By input: what the lines came to of files that are gone.
    gone: BTreeMap<String, Lines>,
    /// Inputs whose files were placed once: what appears in them later begins at its beginning.
    scanned: Vec<String>,
    /// Something was read or placed since this was last asked.
    changed: bool,
    /// The list of inputs is new since the last scan.
    relisted: bool,
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
            forgotten: 0,
            gone: BTreeMap::new(),
            scanned: Vec::new(),
            changed: false,
            relisted: false,
            behind: false,
            step,
            lateness,
            counted: 0,
        }
    }

    /// Where an earlier process was: in files that may not be followed yet; which inputs' files it had placed; and what the
    /// lines of those came to that were gone.
    pub fn remember(&mut self, files: Vec<FileState>, scanned: Vec<String>, gone: BTreeMap<String, Lines>) {
        files.into_iter().for_each(|file| self.keep(file));
        (self.scanned, self.gone) = (scanned, gone);
    }

    fn keep(&mut self, file: FileState) {
        self.remembered.insert(file.position.key, (self.forgotten, file));
        self.forgotten += 1;
    }

    /// Counts by other labels from now on; what was counted must have been flushed.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        self.collector = Collector::new(plan, self.step, false);
    }

    /// The inputs' settings from now on.
    pub fn reconfigure(&mut self, settings: Vec<FileSettings>) {
        (self.settings, self.relisted) = (settings, true);
    }

    /// What the files' thread tells.
    pub fn take(&mut self, message: Message, engine: &mut Engine) {
        let at = message.at;
        self.changed |= !matches!(
            message.what,
            Happening::Idle { .. }
                | Happening::Reconciled
                | Happening::Unreadable { .. }
                | Happening::Recovered { .. }
                | Happening::Rotated { .. }
                | Happening::Gone { .. }
                | Happening::Warning(_)
        );
        match message.what {
            Happening::Opened { file, place, from, size, placed, .. } => {
                self.open(file, place, (from, placed), size, at);
            }
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
                if std::mem::take(&mut self.relisted) {
                    self.all_scanned();
                }
            }
            Happening::Truncated { file } => {
                if let Some(f) = self.files.get_mut(&file) {
                    f.live.restart();
                    f.progress = Progress::default();
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
            Happening::Dropped { file } => {
                if let Some(f) = self.files.get_mut(&file) {
                    f.live.settle(&mut self.collector);
                }
                self.close(file);
            }
            Happening::Unreadable { file: Some(file), .. } => {
                // No time passes for it until it is read again.
                if let Some(f) = self.files.get_mut(&file) {
                    f.caught_up = false;
                }
                self.watermarks.unreadable(file.0, at);
            }
            Happening::FirstScanDone => {
                self.watermarks.all_placed();
                self.all_scanned();
            }
            _ => {}
        }
    }

    fn settings_of(&self, place: &Placing) -> Option<FileSettings> {
        let mut settings = self.settings.get(place.input)?.clone();
        settings.path_labels.clone_from(&place.labels);
        Some(settings)
    }

    fn all_scanned(&mut self) {
        self.scanned = self.settings.iter().map(|settings| settings.input.clone()).collect();
        self.changed = true;
    }

    fn open(
        &mut self,
        file: FileId,
        place: Placing,
        (from, placed): (Progress, Placed),
        size: u64,
        at: Millis,
    ) {
        let Some(settings) = self.settings_of(&place) else { return };
        let path = place.path.display().to_string();
        let terms = (self.lateness, self.step);
        self.watermarks.register(file.0, self.lateness);
        self.behind = true;
        if size > from.offset {
            self.watermarks.has_lines(file.0);
        }
        let (live, read) = match self.recall(&place, from, placed) {
            Some(known) => {
                let read = known.read;
                if let Some(newest) = known.clock.newest() {
                    self.watermarks.restore(file.0, newest, read);
                }
                (LiveFile::restored(path, from.offset, settings, known, terms), read)
            }
            None => (LiveFile::new(path, from.offset, settings, self.lateness, self.step), at),
        };
        let followed = Followed { live, place, progress: from, backlog: true, caught_up: false, read };
        self.files.insert(file, followed);
    }

    /// What is remembered of a file that is followed again: under its key; or, if it has another one by now (written anew,
    /// or on another device number), by the place that was found in it. One that was replaced in place goes on as if it
    /// had been truncated while it was followed.
    fn recall(&mut self, place: &Placing, from: Progress, placed: Placed) -> Option<FileState> {
        if matches!(placed, Placed::Beginning | Placed::End) {
            return None;
        }
        let same_place = |file: &FileState| placed == Placed::Resumed && file.position.progress == from;
        let key = match self.remembered.get(&place.key) {
            Some(_) => place.key,
            None => *self.remembered.iter().find(|(_, (_, file))| same_place(file))?.0,
        };
        self.remembered.remove(&key).map(|(_, file)| file)
    }

    fn close(&mut self, file: FileId) {
        self.watermarks.gone(file.0);
        let Some(f) = self.files.remove(&file) else { return };
        *self.gone.entry(f.live.input().to_owned()).or_default() += f.live.lines;
        if f.is_stream() {
            return;
        }
        self.keep(FileState { lines: Lines::default(), ..f.state() });
        while self.remembered.len() > REMEMBERED_MAX
            && let Some(oldest) = self.remembered.iter().min_by_key(|(_, (age, _))| *age).map(|(key, _)| *key)
            && let Some((_, file)) = self.remembered.remove(&oldest)
        {
            *self.gone.entry(file.input).or_default() += file.lines;
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
            self.changed = true;
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

    /// Every file, for the snapshot: what comes before its position is counted.
    pub fn states(&self) -> Vec<FileState> {
        let followed = self.files.values().filter(|f| !f.is_stream()).map(Followed::state);
        let mut remembered: Vec<&(u64, FileState)> = self.remembered.values().collect();
        remembered.sort_by_key(|(age, _)| *age);
        followed.chain(remembered.into_iter().map(|(_, file)| file.clone())).collect()
    }

    /// The inputs whose files were placed once.
    pub fn scanned(&self) -> &[String] {
        &self.scanned
    }

    /// By input: what the lines came to that no file of [`LiveFiles::states`] has.
    pub fn gone(&self) -> BTreeMap<String, Lines> {
        let mut gone = self.gone.clone();
        for stream in self.files.values().filter(|f| f.is_stream()) {
            *gone.entry(stream.live.input().to_owned()).or_default() += stream.live.lines;
        }
        gone
    }

    /// Whether something was read or placed since this was last asked. Time that passes does not count: a restart comes to
    /// the same by itself.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}
