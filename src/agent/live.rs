//! One followed file: bytes in any pieces → lines → records → leaves, by the file's own clock.

use crate::inputs::unwrapped::unwrapped;
use crate::reports::text::printable;
use crate::state::{FileState, Lines, Reading};
use crate::tail::Position;
use crate::wiring::{self, FileSettings, Recognised};
use gatewatch_parsers::container::{Runtime, Unwrapper};
use gatewatch_parsers::lines::LineBuffer;
use gatewatch_parsers::{Context, Dated, Format, Millis, Parsed, Zone};
use gatewatch_rules::clock::{Admit, FileClock, Held};
use gatewatch_rules::collector::{Collector, Place};
use gatewatch_rules::series::LabelSet;
use gatewatch_rules::source::Source;
use gatewatch_rules::watermark::Mark;

/// Bytes of a head that recognition waits for, if the first lines tell nothing.
const HEAD: usize = 64 * 1024;
/// Lines of a head that are enough to give up on.
const HEAD_LINES: usize = 50;

/// What was said already.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    unparsed: bool,
    late: bool,
}

/// So many lines have to be wrong before it is said.
const ENOUGH: u64 = 10;

/// Told of each counted gateway error: its series, its end, its line.
pub type OnError<'a> = dyn FnMut(&LabelSet, Millis, &[u8]) + 'a;

/// A followed file.
pub struct LiveFile {
    pub path: String,
    settings: FileSettings,
    recognised: Option<Recognised>,
    /// What came before it was recognised.
    head: Vec<u8>,
    buffer: LineBuffer,
    /// Of a container's log: what takes its wrapping off.
    unwrapper: Option<Unwrapper>,
    pub clock: FileClock,
    lateness: Millis,
    step: Millis,
    /// The line that the clock holds.
    held: Vec<u8>,
    pub lines: Lines,
    /// The longest that a line was behind.
    late_needed: Millis,
    told: Told,
    /// Worth saying, once.
    pub notes: Vec<String>,
}

impl LiveFile {
    /// A file of which nothing was read yet; reading begins at `offset`.
    #[must_use]
    pub fn new(
        path: String,
        offset: u64,
        settings: FileSettings,
        lateness: Millis,
        step: Millis,
    ) -> LiveFile {
        LiveFile {
            path,
            settings,
            recognised: None,
            head: Vec::new(),
            buffer: if offset == 0 { LineBuffer::new() } else { LineBuffer::inside_a_file() },
            unwrapper: None,
            clock: FileClock::new(lateness, step),
            lateness,
            step: step.max(1),
            held: Vec::new(),
            lines: Lines::default(),
            late_needed: 0,
            told: Told::default(),
            notes: Vec::new(),
        }
    }

    /// The zone of stamps that carry none.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.settings.zone.zone
    }

    /// The `lateness` that would have been enough for all lines so far.
    #[must_use]
    pub fn late_needed(&self) -> Millis {
        self.late_needed
    }

    /// A file of which a snapshot tells: read on from `offset` as it was read before, under these settings.
    #[must_use]
    pub fn restored(
        path: String,
        offset: u64,
        settings: FileSettings,
        known: FileState,
        (lateness, step): (Millis, Millis),
    ) -> LiveFile {
        let (reading, unwrapper) = match known.reading {
            Some(Reading { format, dated, unwrapper }) => (Some((format, dated)), unwrapper),
            None => (None, None),
        };
        let again = |(format, dated): (Option<String>, Dated)| {
            Recognised::again(&path, format.as_deref(), &dated, &settings)
        };
        let recognised = reading.and_then(again);
        LiveFile {
            // Without its format, all is found anew.
            unwrapper: unwrapper.filter(|_| recognised.is_some()),
            recognised,
            clock: known.clock.with(lateness, step),
            held: known.held,
            lines: known.lines,
            late_needed: known.late_needed,
            ..LiveFile::new(path, offset, settings, lateness, step)
        }
    }

    /// What a snapshot keeps of it: beside `position`, `mark` and `read`, which whoever reads it knows.
    #[must_use]
    pub fn state(&self, position: Position, mark: Mark, read: Millis) -> FileState {
        let reading = |recognised: &Recognised| Reading {
            format: recognised.format.as_ref().map(|format| format.name_in(&recognised.context)),
            dated: recognised.context.dates.dated(),
            unwrapper: self.unwrapper.clone(),
        };
        FileState {
            position,
            followed: true,
            input: self.settings.input.clone(),
            clock: self.clock.clone(),
            mark,
            read,
            reading: self.recognised.as_ref().map(reading),
            held: if self.clock.holds() { self.held.clone() } else { Vec::new() },
            lines: self.lines,
            late_needed: self.late_needed,
        }
    }

    /// The name of its input.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.settings.input
    }

    /// Whether it is known what its lines are: before, none is counted.
    #[must_use]
    pub fn is_recognised(&self) -> bool {
        self.recognised.is_some()
    }

    /// It belongs elsewhere now: its labels do, and its path; its lines go on.
    pub fn move_to(&mut self, path: String, settings: Option<FileSettings>) {
        if let (Some(recognised), Some(settings)) = (&mut self.recognised, &settings) {
            recognised.relabel(&path, settings);
        }
        self.settings = settings.unwrap_or_else(|| self.settings.clone());
        self.path = path;
    }

    /// Counts the next bytes.
    pub fn feed(&mut self, bytes: &[u8], now: Millis, collector: &mut Collector, on_error: &mut OnError<'_>) {
        if self.recognised.is_some() {
            return self.count(bytes, collector, on_error);
        }
        self.head.extend_from_slice(bytes);
        if !self.recognise(now) {
            return;
        }
        let head = std::mem::take(&mut self.head);
        self.count(&head, collector, on_error);
    }

    /// Whether it is known by now what its lines are.
    fn recognise(&mut self, now: Millis) -> bool {
        let lines = memchr::memchr_iter(b'\n', &self.head).count();
        if lines == 0 && self.head.len() < HEAD {
            return false;
        }
        let whole = memchr::memrchr(b'\n', &self.head).map_or(self.head.len(), |at| at + 1);
        let head = self.head.get(..whole).unwrap_or_default();
        let runtime = Runtime::of(head);
        let bare = runtime.map(|runtime| unwrapped(head, runtime));
        let recognised = wiring::recognise(&self.path, bare.as_deref().unwrap_or(head), now, &self.settings);
        if recognised.format.is_none() && self.head.len() < HEAD && lines < HEAD_LINES {
            return false;
        }
        if recognised.format.is_none() {
            let note =
                recognised.note.clone().unwrap_or_else(|| "unknown log format; set log_format".to_owned());
            self.notes
                .push(format!("{note} (`gatewatch explain {}` shows its lines)", printable(&self.path)));
            self.told.unparsed = true;
        }
        self.recognised = Some(recognised);
        self.unwrapper = runtime.map(Unwrapper::new);
        true
    }

    fn count(&mut self, mut bytes: &[u8], collector: &mut Collector, on_error: &mut OnError<'_>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let too_long = buffer.too_long();
        let mut unwrapper = self.unwrapper.take();
        while let Some(line) = buffer.next_line(&mut bytes) {
            if let Some(line) = bare(&mut unwrapper, line) {
                self.line(line, collector, on_error);
            }
        }
        if let Some(unwrapper) = &mut unwrapper {
            unwrapper.settle();
        }
        self.lines.too_long += buffer.too_long() - too_long;
        (self.buffer, self.unwrapper) = (buffer, unwrapper);
        self.take_stock();
    }

    /// Says once what no one would see in the figures.
    fn take_stock(&mut self) {
        let Lines { read, parsed, unparsed, late, .. } = self.lines;
        if !self.told.unparsed && unparsed >= ENOUGH && unparsed * 100 > read {
            self.told.unparsed = true;
            self.notes.push(format!(
                "{unparsed} of {read} lines are not understood: `gatewatch explain {}` says where it stops",
                printable(&self.path)
            ));
        }
        if !self.told.late && late >= ENOUGH && late * 100 > parsed {
            self.told.late = true;
            self.notes.push(format!(
                "{late} of {parsed} lines came too late to be judged: agent.lateness = \"{}s\" would have been enough",
                self.late_needed.div_euclid(1_000) + 1
            ));
        }
    }

    fn line(&mut self, line: &[u8], collector: &mut Collector, on_error: &mut OnError<'_>) {
        let Some(recognised) = &mut self.recognised else { return };
        self.lines.read += 1;
        let Recognised { format, source, context, .. } = recognised;
        let Some(format) = format else {
            self.lines.unparsed += 1;
            return;
        };
        if let Some(newest) = self.clock.newest() {
            context.dates.set_near(newest);
        }
        let Ok(parsed) = format.parse(line, context) else {
            self.lines.unparsed += 1;
            return;
        };
        let Some(end) = parsed.end() else {
            self.lines.other += 1;
            if let Parsed::Event(event) = &parsed {
                collector.note(source, event, self.clock.newest());
            }
            return;
        };
        self.lines.parsed += 1;
        let before = self.clock.watermark();
        let verdict = self.clock.admit(end);
        let place = match verdict.this {
            Admit::Count => Some(Place::Step),
            Admit::Late => Some(Place::Late),
            Admit::Hold => None,
        };
        if let (Admit::Late, Some(watermark)) = (verdict.this, before) {
            self.lines.late += 1;
            let step_end = end.div_euclid(self.step).saturating_add(1).saturating_mul(self.step);
            self.late_needed =
                self.late_needed.max(watermark.saturating_add(self.lateness).saturating_sub(step_end));
        }
        if let Some(held) = verdict.held {
            settle(format.as_ref(), source, context, &self.held, held, collector);
        }
        match place {
            Some(place) => {
                collector.count_parsed(source, &parsed, place);
                if let Parsed::Record(record) = &parsed
                    && record.outcome.gateway_error().is_some()
                {
                    collector.last_in_families().for_each(|series| on_error(series, record.end, line));
                }
            }
            None => {
                self.held.clear();
                self.held.extend_from_slice(line);
            }
        }
    }

    /// A read found nothing more, `passed` after the last one that did.
    pub fn idle(&mut self, passed: Millis, now: Millis, collector: &mut Collector) {
        if let Some(held) = self.clock.idle(passed, now) {
            settle_in(&mut self.recognised, &self.held, held, collector);
        }
    }

    /// It was truncated: a cut line is void.
    pub fn restart(&mut self) {
        self.buffer = LineBuffer::new();
        self.head.clear();
        if let Some(unwrapper) = &mut self.unwrapper {
            unwrapper.restart();
        }
    }

    /// Its end: a cut last line is all there will be of it.
    pub fn finish(&mut self, now: Millis, collector: &mut Collector, on_error: &mut OnError<'_>) {
        if self.recognised.is_none() && !self.head.is_empty() {
            self.head.push(b'\n');
            if self.recognise(now) {
                let head = std::mem::take(&mut self.head);
                self.count(&head, collector, on_error);
            }
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let too_long = buffer.too_long();
        let mut unwrapper = self.unwrapper.take();
        if let Some(line) = buffer.finish().and_then(|line| bare(&mut unwrapper, line)) {
            self.line(line, collector, on_error);
        }
        while let Some(line) = unwrapper.as_mut().and_then(Unwrapper::finish) {
            self.line(line, collector, on_error);
        }
        self.lines.too_long += buffer.too_long() - too_long;
        self.settle(collector);
    }

    /// So many bytes of lines that nobody has counted yet: the one that its clock holds, and those whose rest has not come.
    #[must_use]
    pub fn holding(&self) -> usize {
        let held = if self.clock.holds() { self.held.len() } else { 0 };
        held + self.unwrapper.as_ref().map_or(0, Unwrapper::waiting)
    }

    /// Holds them no longer: what waits to be decided is decided, what waits for its rest is void, as what is too long.
    pub fn let_go(&mut self, collector: &mut Collector) {
        self.settle(collector);
        if let Some(unwrapper) = self.unwrapper.as_mut().filter(|unwrapper| unwrapper.waiting() > 0) {
            unwrapper.restart();
            self.lines.too_long += 1;
        }
    }

    /// Nothing more will come to decide about a held line.
    pub fn settle(&mut self, collector: &mut Collector) {
        if let Some(held) = self.clock.finish() {
            settle_in(&mut self.recognised, &self.held, held, collector);
        }
    }
}

/// The line without what a container's runtime put around it; `None`: it goes on.
fn bare<'l>(unwrapper: &'l mut Option<Unwrapper>, line: &'l [u8]) -> Option<&'l [u8]> {
    match unwrapper {
        None => Some(line),
        Some(unwrapper) => unwrapper.line(line),
    }
}

/// The held line's fate is known: it is parsed again, which is rarer than keeping every record would be dear.
fn settle(
    format: &dyn Format,
    source: &Source,
    context: &mut Context,
    line: &[u8],
    held: Held,
    collector: &mut Collector,
) {
    if let Ok(parsed) = format.parse(line, context) {
        let place = match held {
            Held::Count => Place::Step,
            Held::Future => Place::Future,
        };
        collector.count_parsed(source, &parsed, place);
    }
}

/// The same, for a file that may not be recognised yet.
fn settle_in(recognised: &mut Option<Recognised>, line: &[u8], held: Held, collector: &mut Collector) {
    if let Some(Recognised { format: Some(format), source, context, .. }) = recognised {
        settle(format.as_ref(), source, context, line, held, collector);
    }
}
