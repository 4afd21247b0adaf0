//! Every followed file: its lines, its place in the snapshot, its part in the watermark.

mod view;

use super::health::Observed;
use super::live::LiveFile;
use super::memory::Memory;
use crate::inputs::file::{Happening, Message, Placing};
use crate::state::{FileState, Lines};
use crate::tail::{FileId, Placed, Position, Progress};
use crate::wiring::FileSettings;
use gatewatch_parsers::Millis;
use gatewatch_rules::block::Block;
use gatewatch_rules::collector::Collector;
use gatewatch_rules::engine::Engine;
use gatewatch_rules::series::Plan;
use gatewatch_rules::watermark::{FileReport, Mark, Watermarks};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A file, and what a snapshot says of it.
struct Followed {
    live: LiveFile,
    place: Placing,
    progress: Progress,
    /// How long it was when it was opened.
    size: u64,
    /// No read has found its end yet.
    backlog: bool,
    /// The last read found nothing more.
    caught_up: bool,
    /// When the newest end was read: what a held line waits for passes from then, as it does for the engine.
    read: Millis,
    /// Bytes of lines that are not counted yet, when that was last looked at.
    holding: usize,
}

impl Followed {
    fn state(&self, mark: Mark) -> FileState {
        let Placing { path, key, .. } = &self.place;
        let position = Position { path: path.clone(), key: *key, progress: self.progress };
        self.live.state(position, mark, self.read)
    }
}

/// Lines that are not counted yet go into the snapshot: so many bytes of them, over all files. Beyond, nobody waits for what
/// would tell more of them.
const HELD_MAX: usize = 512 << 10;

/// Every followed file.
pub struct LiveFiles {
    files: BTreeMap<FileId, Followed>,
    settings: Vec<FileSettings>,
    /// Of inputs that are no files, by their number.
    streams: BTreeMap<usize, FileSettings>,
    /// By input: up to where a journal was counted.
    cursors: BTreeMap<String, String>,
    collector: Collector,
    block: Block,
    watermarks: Watermarks,
    memory: Memory,
    /// Inputs whose files were placed once: what appears in them later begins at its beginning.
    scanned: Vec<String>,
    /// Something was read or placed since this was last asked.
    changed: bool,
    /// Every file that was there at the start has been placed.
    placed: bool,
    /// The list of inputs is new since the last scan.
    relisted: bool,
    /// Some file was not read to its end when this was last asked.
    behind: bool,
    step: Millis,
    lateness: Millis,
    counted: u64,
    /// What the files hold of lines that are not counted yet, in bytes.
    holding: usize,
}

impl LiveFiles {
    /// None yet; `settings` by input.
    pub fn new(settings: Vec<FileSettings>, plan: Arc<Plan>, step: Millis, lateness: Millis) -> LiveFiles {
        LiveFiles {
            files: BTreeMap::new(),
            settings,
            streams: BTreeMap::new(),
            cursors: BTreeMap::new(),
            collector: Collector::new(plan, step, false),
            block: Block::default(),
            watermarks: Watermarks::new(),
            memory: Memory::default(),
            scanned: Vec::new(),
            changed: false,
            placed: false,
            relisted: false,
            behind: false,
            step,
            lateness,
            counted: 0,
            holding: 0,
        }
    }

    /// Where an earlier process was: in files that may not be followed yet, and in journals; and which inputs' files it had
    /// placed.
    pub fn remember(&mut self, memory: Memory, scanned: Vec<String>, cursors: BTreeMap<String, String>) {
        memory.files().for_each(|file| self.watermarks.gone_before(self.lateness, file.mark));
        (self.memory, self.scanned, self.cursors) = (memory, scanned, cursors);
    }

    /// Counts by other labels from now on; what was counted must have been flushed.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        self.collector = Collector::new(plan, self.step, false);
    }

    /// The inputs' settings from now on.
    pub fn reconfigure(&mut self, settings: Vec<FileSettings>) {
        (self.settings, self.relisted) = (settings, true);
    }

    /// The settings of inputs that are no files from now on, by their number.
    pub fn set_streams(&mut self, settings: BTreeMap<usize, FileSettings>) {
        self.streams = settings;
    }

    /// Up to where journals were counted, by input.
    pub fn cursors(&self) -> &BTreeMap<String, String> {
        &self.cursors
    }

    /// What the files' thread tells.
    pub fn take(&mut self, message: Message, engine: &mut Engine) {
        let at = message.at;
        self.changed |= changes(&message.what);
        match message.what {
            Happening::Opened { file, place, from, size, placed, .. } => {
                self.open(file, place, (from, placed), size, at);
            }
            Happening::Moved { file, place } => self.move_to(file, place),
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
            Happening::PossibleLoss { path, .. } => self.possible_loss(&path),
            Happening::Rotated { file } => {
                if let Some(f) = self.files.get_mut(&file) {
                    f.live.lines.rotations += 1;
                }
            }
            Happening::Truncated { file } => self.truncated(file),
            Happening::Finished { file, after } => self.finish(file, after, at, engine),
            Happening::Dropped { file } => {
                if let Some(f) = self.files.get_mut(&file) {
                    f.live.settle(&mut self.collector);
                }
                self.close(file);
            }
            Happening::Lost { file, count } => self.lose(file, count, at, engine),
            Happening::Unreadable { file: Some(file), .. } => {
                // No time passes for it until it is read again.
                if let Some(f) = self.files.get_mut(&file) {
                    f.caught_up = false;
                }
                self.watermarks.unreadable(file.0, at);
            }
            Happening::Journal { input, cursor, chunks } => {
                for (file, bytes) in chunks {
                    self.chunk(file, &bytes, Progress::default(), at, engine);
                }
                self.cursors.insert(input, cursor);
            }
            Happening::FirstScanDone => {
                self.watermarks.all_placed();
                self.placed = true;
                self.settle_held();
                self.all_scanned();
            }
            _ => {}
        }
    }

    fn truncated(&mut self, file: FileId) {
        if let Some(f) = self.files.get_mut(&file) {
            f.live.lines.truncations += 1;
            f.live.restart();
            f.progress = f.progress.restarted();
            // What was written since comes next, and no time passes before it.
            f.caught_up = false;
            self.watermarks.has_lines(file.0);
        }
    }

    /// Belongs to what is read through this path now, else to the input that has read it.
    fn possible_loss(&mut self, path: &Path) {
        if let Some(f) = self.files.values_mut().find(|f| f.place.path == path) {
            f.live.lines.possible_loss += 1;
            return;
        }
        let of = self.memory.files().find(|file| file.position.path == path);
        let input = of.map(|file| file.input.clone()).unwrap_or_default();
        self.memory.count(&input, Lines { possible_loss: 1, ..Lines::default() });
    }

    fn settings_of(&self, place: &Placing) -> Option<FileSettings> {
        let settings = self.settings.get(place.input).or_else(|| self.streams.get(&place.input));
        let mut settings = settings?.clone();
        settings.path_labels.clone_from(&place.labels);
        Some(settings)
    }

    fn move_to(&mut self, file: FileId, place: Placing) {
        let settings = self.settings_of(&place);
        if let Some(f) = self.files.get_mut(&file) {
            f.live.move_to(place.path.display().to_string(), settings);
            f.place = place;
        }
    }

    fn finish(&mut self, file: FileId, after: Progress, at: Millis, engine: &mut Engine) {
        if let Some(f) = self.files.get_mut(&file) {
            f.progress = after;
            let on_error = &mut |series: &_, end, line: &[u8]| engine.sample(series, end, line);
            f.live.finish(at, &mut self.collector, on_error);
        }
        self.close(file);
    }

    /// Decides about lines that the clocks of files hold which an earlier process read and which are not there now: nobody
    /// will read on in them.
    fn settle_held(&mut self) {
        for file in self.memory.take_held() {
            let settings = self.settings.iter().find(|settings| settings.input == file.input);
            let Some(settings) = settings.cloned() else {
                self.memory.keep(file);
                continue;
            };
            let (position, mark, read) = (file.position.clone(), file.mark, file.read);
            let path = position.path.display().to_string();
            let offset = position.progress.offset;
            let terms = (self.lateness, self.step);
            let mut live = LiveFile::restored(path, offset, settings, file, terms);
            live.settle(&mut self.collector);
            self.memory.keep(live.state(position, mark, read));
        }
    }

    fn lose(&mut self, file: FileId, count: u64, at: Millis, engine: &mut Engine) {
        let Some(f) = self.files.get_mut(&file) else { return engine.lost(at, count) };
        f.live.lines.lost = f.live.lines.lost.saturating_add(count);
        // By the stream's own time, which may be off or behind: what was lost would have come next.
        engine.lost(f.live.clock.newest().unwrap_or(at), count);
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
        let (live, read) = match self.memory.recall(&place, from, placed) {
            Some(known) => {
                let read = known.read;
                self.watermarks.resume(file.0, known.mark);
                (LiveFile::restored(path, from.offset, settings, known, terms), read)
            }
            None => (LiveFile::new(path, from.offset, settings, self.lateness, self.step), at),
        };
        let (backlog, caught_up) = (true, false);
        let followed = Followed { live, place, progress: from, size, backlog, caught_up, read, holding: 0 };
        self.files.insert(file, followed);
        self.weigh(file);
    }

    fn close(&mut self, file: FileId) {
        let mark = self.watermarks.mark(file.0);
        self.watermarks.gone(file.0);
        let Some(f) = self.files.remove(&file) else { return };
        self.holding = self.holding.saturating_sub(f.holding);
        if file.is_stream() {
            self.memory.count(f.live.input(), f.live.lines);
        } else {
            self.memory.keep(f.state(mark));
        }
    }

    /// What a file holds of lines that are not counted yet; nothing, where all files hold too much.
    fn weigh(&mut self, file: FileId) {
        let Some(f) = self.files.get_mut(&file) else { return };
        let others = self.holding.saturating_sub(f.holding);
        f.holding = f.live.holding();
        if f.holding > 0 && others + f.holding > HELD_MAX {
            f.live.let_go(&mut self.collector);
            f.holding = f.live.holding();
        }
        self.holding = others + f.holding;
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
        self.weigh(file);
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

    /// What streams gave cannot be read again: the end of the process is their end, too.
    pub fn finish_streams(&mut self, at: Millis, engine: &mut Engine) {
        let streams: Vec<FileId> = self.files.keys().filter(|file| file.is_stream()).copied().collect();
        streams.into_iter().for_each(|file| self.finish(file, Progress::default(), at, engine));
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

    /// Every file as it stands.
    pub fn observed(&self, now: Millis) -> impl Iterator<Item = Observed<'_>> {
        self.watermarks.reports(now).filter_map(|FileReport { file, standing, .. }| {
            let live = &self.files.get(&FileId(file))?.live;
            let (path, input, zone) = (live.path.as_str(), live.input(), live.zone());
            let (lines, late_needed) = (live.lines, live.late_needed());
            Some(Observed { file: FileId(file), path, input, zone, standing, lines, late_needed })
        })
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

    /// Whether every file of the start was read to its end once.
    pub fn has_caught_up(&self) -> bool {
        self.placed && !self.catching_up()
    }

    /// Whether some file was not read to its end at some time since this was last asked.
    pub fn were_behind(&mut self) -> bool {
        let now = self.catching_up();
        std::mem::replace(&mut self.behind, now)
    }

    /// Whether every file that was there at the start is registered.
    pub fn all_placed(&self) -> bool {
        self.placed
    }

    /// How many are followed.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Every file, for the snapshot: what comes before its position is counted.
    pub fn states(&self) -> Vec<FileState> {
        let followed = self.files.iter().filter(|(file, _)| !file.is_stream());
        let followed = followed.map(|(file, f)| f.state(self.watermarks.mark(file.0)));
        followed.chain(self.memory.files().cloned()).collect()
    }

    /// The inputs whose files were placed once.
    pub fn scanned(&self) -> &[String] {
        &self.scanned
    }

    /// By input: what the lines came to that no file of [`LiveFiles::states`] has.
    pub fn gone(&self) -> BTreeMap<String, Lines> {
        let mut gone = self.memory.gone().clone();
        for stream in self.files.iter().filter(|(file, _)| file.is_stream()) {
            *gone.entry(stream.1.live.input().to_owned()).or_default() += stream.1.live.lines;
        }
        gone
    }

    /// Whether something was read or placed since this was last asked. Time that passes does not count: a restart comes to
    /// the same by itself.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

/// Whether a restart would not come to the same without having heard of it.
fn changes(what: &Happening) -> bool {
    !matches!(
        what,
        Happening::Idle { .. }
            | Happening::Reconciled
            | Happening::Unreadable { .. }
            | Happening::Recovered { .. }
            | Happening::Rotated { .. }
            | Happening::Gone { .. }
            | Happening::Warning(_)
    )
}
