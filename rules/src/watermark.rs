//! How far time has come: the least of all files' watermarks. A file holds the others back while it has lines to be
//! read; not when it has none, cannot be read, or was read to its end and lies far behind the others.

use crate::saved;
use gatewatch_parsers::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file that cannot be read is waited for so long.
const UNREADABLE: Millis = 30_000;
/// A file read to its end may trail the furthest by so much.
const TRAILING: Millis = 60_000;
/// A file is known to be at its end for so long after a look: while nobody looks (stopped, suspended), lines are written.
const LOOKED: Millis = 10_000;
/// Zones differ by multiples of this.
const QUARTER: Millis = 900_000;

/// A file, or a sending host of a socket, as the caller numbers them.
pub type FileId = u64;

/// The watermarks of all files.
#[derive(Clone, Debug, Default)]
pub struct Watermarks {
    files: BTreeMap<FileId, File>,
    placed: bool,
    /// The last file that had a time, now that no file has one: rotated away, and its successor has no line yet. Time goes
    /// on from there, or an open alert would never end.
    left: Option<File>,
}

#[derive(Clone, Debug, Default)]
struct File {
    lateness: Millis,
    /// The newest end, and when it was read.
    newest: Option<(Millis, Millis)>,
    /// It was read to its end: what comes from now on was written while it was being followed.
    followed: bool,
    /// The newest line came so.
    fresh: bool,
    /// No line was counted yet, and there are some.
    has_lines: bool,
    /// When a read last found nothing more; `None`: there may be more.
    at_end: Option<Millis>,
    unreadable_since: Option<Millis>,
}

/// What a later process must know of a file's time. That it had been read to its end is not part of it: there may be more
/// by then, to be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The newest end, and when it was read; `None`: no line was counted yet.
    newest: Option<Read>,
    /// It was written while the file was being followed.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    #[serde(deserialize_with = "saved::time")]
    end: Millis,
    #[serde(deserialize_with = "saved::time")]
    at: Millis,
}

/// Where a file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its watermark counts.
    Fine,
    /// No line yet: not waited for.
    Empty,
    /// Cannot be read, since then; not waited for after 30 s.
    Unreadable {
        /// Since when.
        since: Millis,
        /// Whether it is still waited for.
        waited_for: bool,
    },
    /// Read to its end and over a minute behind the furthest: not waited for.
    Stalled {
        /// How far behind.
        behind: Millis,
    },
    /// Its lines are fresh, and their times are off by what looks like a zone. Far behind the furthest, it is not waited
    /// for; ahead of the present, it holds nobody back.
    Skewed {
        /// What to add to its times, in whole quarters of an hour.
        offset: Millis,
    },
}

/// What is known of a file's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Which file.
    pub file: FileId,
    /// Where it stands.
    pub standing: Standing,
    /// The newest end, and when it was read: for [`Watermarks::restore`].
    pub newest: Option<(Millis, Millis)>,
    /// Its own watermark.
    pub watermark: Option<Millis>,
}

impl File {
    /// The newest end less `lateness`, and once a read found nothing more, plus the time since that end was read.
    fn watermark(&self) -> Option<Millis> {
        let (newest, read) = self.newest?;
        let passed = self.at_end.map_or(0, |at| at.saturating_sub(read).max(0));
        Some(newest.saturating_sub(self.lateness).saturating_add(passed))
    }

    /// Nobody can tell its time yet, and it is about to be read.
    fn is_awaited(&self, now: Millis) -> bool {
        self.has_lines && self.newest.is_none() && !self.is_given_up(now)
    }

    fn is_given_up(&self, now: Millis) -> bool {
        self.unreadable_since.is_some_and(|since| now.saturating_sub(since) >= UNREADABLE)
    }

    /// What to add to this file's times to make them those at which they were read, if it can be a zone.
    fn offset(&self) -> Option<Millis> {
        let (newest, read) = self.newest.filter(|_| self.fresh)?;
        let quarters = read.saturating_sub(newest).saturating_add(QUARTER / 2).div_euclid(QUARTER);
        // Zones span 26 hours.
        (quarters != 0 && quarters.abs() <= 26 * 4).then_some(quarters * QUARTER)
    }
}

impl Watermarks {
    /// No files yet; nothing advances before [`Watermarks::all_placed`].
    #[must_use]
    pub fn new() -> Watermarks {
        Watermarks::default()
    }

    /// The first scan has registered every file.
    pub fn all_placed(&mut self) {
        self.placed = true;
    }

    /// Whether the first scan has registered every file.
    #[must_use]
    pub fn are_placed(&self) -> bool {
        self.placed
    }

    /// A file to be read.
    pub fn register(&mut self, file: FileId, lateness: Millis) {
        self.files.entry(file).or_default().lateness = lateness;
    }

    /// A registered file has lines that were not read yet: nothing advances before its time is known.
    pub fn has_lines(&mut self, file: FileId) {
        if let Some(file) = self.files.get_mut(&file) {
            file.has_lines = true;
        }
    }

    /// A registered file that a former run knew: its newest end, and when that was read.
    pub fn restore(&mut self, file: FileId, newest: Millis, read: Millis) {
        if let Some(file) = self.files.get_mut(&file) {
            file.newest = Some((newest, read));
        }
    }

    /// What a later process must know of a file.
    #[must_use]
    pub fn mark(&self, file: FileId) -> Mark {
        let Some(file) = self.files.get(&file) else { return Mark::default() };
        Mark { newest: file.newest.map(|(end, at)| Read { end, at }), fresh: file.fresh }
    }

    /// A registered file that an earlier process knew so.
    pub fn resume(&mut self, file: FileId, mark: Mark) {
        if let Some(file) = self.files.get_mut(&file) {
            (file.newest, file.fresh) = (mark.newest.map(|read| (read.end, read.at)), mark.fresh);
        }
    }

    /// A registered file of finished logs that is not opened yet: its first line's time.
    pub fn first_stamp(&mut self, file: FileId, first: Millis) {
        self.restore(file, first, 0);
    }

    /// Lines were read; `newest` is the newest end that the file's clock has counted.
    pub fn read(&mut self, file: FileId, newest: Millis, now: Millis) {
        let Some(file) = self.files.get_mut(&file) else { return };
        if file.newest.is_none_or(|(known, _)| newest > known) {
            (file.newest, file.fresh) = (Some((newest, now)), file.followed);
        }
        file.at_end = None;
        file.unreadable_since = None;
    }

    /// A read found nothing more.
    pub fn idle(&mut self, file: FileId, now: Millis) {
        let Some(file) = self.files.get_mut(&file) else { return };
        file.at_end = Some(now);
        (file.followed, file.has_lines) = (true, false);
        file.unreadable_since = None;
    }

    /// A read failed.
    pub fn unreadable(&mut self, file: FileId, now: Millis) {
        if let Some(file) = self.files.get_mut(&file) {
            file.unreadable_since.get_or_insert(now);
            // What comes after it may be old.
            file.followed = false;
        }
    }

    /// The file is read to its end and will not come back.
    pub fn gone(&mut self, file: FileId) {
        let gone = self.files.remove(&file).filter(|file| file.newest.is_some());
        if gone.is_some() && self.files.values().all(|file| file.newest.is_none()) {
            self.left = gone;
        }
    }

    /// A file of which an earlier process knew this much, and which is not there now.
    pub fn gone_before(&mut self, lateness: Millis, mark: Mark) {
        let newest = mark.newest.map(|read| (read.end, read.at));
        if newest > self.left.as_ref().and_then(|left| left.newest) {
            self.left = Some(File { lateness, newest, ..File::default() });
        }
    }

    /// How far time has come; `None`: nobody can tell. It may step back when a file gives lines again; what is closed
    /// stays closed.
    #[must_use]
    pub fn watermark(&self, now: Millis) -> Option<Millis> {
        if !self.placed || self.files.values().any(|file| file.is_awaited(now)) {
            return None;
        }
        let Some(furthest) = self.furthest(now) else {
            let nobody_has_one = self.files.values().all(|file| file.newest.is_none());
            let left = self.left.as_ref().filter(|_| nobody_has_one)?;
            return File { at_end: Some(now), ..left.clone() }.watermark();
        };
        let waited_for = self.files.values().filter(|file| !left_out(file, furthest, now));
        waited_for.filter_map(File::watermark).min()
    }

    /// Every file, by number.
    pub fn reports(&self, now: Millis) -> impl Iterator<Item = FileReport> {
        let furthest = self.furthest(now);
        self.files.iter().map(move |(&id, file)| FileReport {
            file: id,
            standing: standing(file, furthest, now),
            newest: file.newest,
            watermark: file.watermark(),
        })
    }

    /// The furthest watermark of a file that can be read. A file whose times lie in the future leads nobody, unless all
    /// do.
    fn furthest(&self, now: Millis) -> Option<Millis> {
        let all = || self.files.values().filter(|f| !f.is_given_up(now)).filter_map(File::watermark);
        all().filter(|watermark| *watermark <= now.saturating_add(TRAILING)).max().or_else(|| all().max())
    }
}

/// Behind the furthest by more than a minute, although all that it has was read.
fn behind(file: &File, furthest: Millis, now: Millis) -> Option<Millis> {
    file.at_end.filter(|at| now.saturating_sub(*at) <= LOOKED)?;
    Some(furthest.saturating_sub(file.watermark()?)).filter(|behind| *behind > TRAILING)
}

fn left_out(file: &File, furthest: Millis, now: Millis) -> bool {
    file.is_given_up(now) || behind(file, furthest, now).is_some()
}

fn standing(file: &File, furthest: Option<Millis>, now: Millis) -> Standing {
    if let Some(since) = file.unreadable_since {
        return Standing::Unreadable { since, waited_for: !file.is_given_up(now) };
    }
    let Some((watermark, furthest)) = file.watermark().zip(furthest) else { return Standing::Empty };
    let behind = behind(file, furthest, now);
    let is_ahead = watermark > now.saturating_add(TRAILING);
    match file.offset() {
        Some(offset) if behind.is_some() || (is_ahead && offset < 0) => Standing::Skewed { offset },
        _ => behind.map_or(Standing::Fine, |behind| Standing::Stalled { behind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;
    const NOW: Millis = 1_800_000_000_000;
    const LATENESS: Millis = 2_000;

    /// Files 1… that were read to their end a second ago, and since then gave a line off by this much.
    fn live(offsets: &[Millis]) -> Watermarks {
        let mut all = Watermarks::new();
        for (id, offset) in (1..).zip(offsets) {
            all.register(id, LATENESS);
            all.read(id, NOW - 1_000 + offset, NOW - 1_000);
            all.idle(id, NOW - 1_000);
            all.read(id, NOW + offset, NOW);
            all.idle(id, NOW);
        }
        all.all_placed();
        all
    }

    fn standing_of(all: &Watermarks, file: FileId, now: Millis) -> Standing {
        all.reports(now).find(|report| report.file == file).unwrap().standing
    }

    #[test]
    fn the_least_watermark_counts() {
        assert_eq!(live(&[0, -700, 0]).watermark(NOW), Some(NOW - 700 - LATENESS));
    }

    #[test]
    fn nothing_advances_before_the_first_scan_is_done() {
        let mut all = Watermarks::new();
        all.register(1, LATENESS);
        all.read(1, NOW, NOW);
        assert_eq!(all.watermark(NOW), None);
        all.register(2, LATENESS);
        all.read(2, NOW - 500, NOW);
        all.all_placed();
        assert_eq!(all.watermark(NOW), Some(NOW - 500 - LATENESS));
    }

    #[test]
    fn after_a_pause_a_file_is_waited_for_until_it_is_looked_at() {
        // The process was stopped for five minutes; the first file is read on, the second one is not yet.
        let mut all = live(&[0, 0]);
        let now = NOW + 5 * 60_000;
        all.read(1, now, now);
        assert_eq!(all.watermark(now), Some(NOW - LATENESS));
        assert_eq!(standing_of(&all, 2, now), Standing::Fine);
        all.read(2, now - 1_000, now);
        assert_eq!(all.watermark(now), Some(now - 1_000 - LATENESS));
        // Looked at without a line in those minutes: it is quiet, and as far as its idle time says.
        let mut quiet = live(&[0, 0]);
        quiet.read(1, now, now);
        quiet.idle(2, now);
        assert_eq!(quiet.watermark(now), Some(now - LATENESS));
    }

    #[test]
    fn time_goes_on_when_the_last_file_with_a_time_is_gone() {
        let mut all = live(&[0, -700]);
        all.register(7, LATENESS);
        all.gone(1);
        assert_eq!(all.watermark(NOW), Some(NOW - 700 - LATENESS));
        all.gone(2);
        assert_eq!(all.watermark(NOW + HOUR), Some(NOW - 700 - LATENESS + HOUR));
        // Its successor's own time goes before.
        all.has_lines(7);
        assert_eq!(all.watermark(NOW + HOUR), None);
        all.read(7, NOW + HOUR, NOW + HOUR);
        assert_eq!(all.watermark(NOW + HOUR), Some(NOW + HOUR - LATENESS));
        // Over a restart.
        let mut after = Watermarks::new();
        after.gone_before(LATENESS, live(&[0, -700]).mark(2));
        after.gone_before(LATENESS, live(&[0, -700]).mark(1));
        after.gone_before(LATENESS, Mark::default());
        assert_eq!(after.watermark(NOW), None, "not before the first scan");
        after.all_placed();
        assert_eq!(after.watermark(NOW + HOUR), Some(NOW - LATENESS + HOUR));
    }

    #[test]
    fn a_file_without_lines_is_not_waited_for() {
        let mut all = live(&[0]);
        all.register(7, LATENESS);
        assert_eq!(all.watermark(NOW), Some(NOW - LATENESS));
        assert_eq!(standing_of(&all, 7, NOW), Standing::Empty);
        assert_eq!(Watermarks::new().watermark(NOW), None);
    }

    #[test]
    fn a_file_whose_lines_are_not_read_yet_is_waited_for() {
        let mut all = live(&[0]);
        all.register(7, LATENESS);
        all.has_lines(7);
        assert_eq!(all.watermark(NOW), None);
        let mut read = all.clone();
        read.read(7, NOW - HOUR, NOW);
        assert_eq!(read.watermark(NOW), Some(NOW - HOUR - LATENESS));
        let mut junk = all.clone();
        junk.idle(7, NOW);
        assert_eq!(junk.watermark(NOW), Some(NOW - LATENESS), "none of them was a request");
        all.unreadable(7, NOW);
        all.idle(1, NOW + 31_000);
        assert_eq!(all.watermark(NOW + 31_000), Some(NOW + 31_000 - LATENESS));
    }

    #[test]
    fn a_later_process_knows_a_file_again() {
        let before = live(&[0, -HOUR]);
        let mut after = Watermarks::new();
        for id in [1, 2] {
            let saved = serde_json::to_vec(&before.mark(id)).unwrap();
            after.register(id, LATENESS);
            after.resume(id, serde_json::from_slice(&saved).unwrap());
            assert_eq!(after.mark(id), before.mark(id));
        }
        after.all_placed();
        // There may be more in both by now.
        assert_eq!(after.watermark(NOW), Some(NOW - HOUR - LATENESS));
        after.idle(2, NOW + 60_000);
        assert_eq!(standing_of(&after, 2, NOW + 60_000), Standing::Skewed { offset: HOUR });
        after.idle(1, NOW + 60_000);
        assert_eq!(after.watermark(NOW + 60_000), Some(NOW + 60_000 - LATENESS), "time passed meanwhile");
        assert_eq!(after.mark(7), Mark::default());
    }

    #[test]
    fn a_wrong_zone_is_seen_however_many_reads_a_look_takes() {
        let mut all = live(&[0, -HOUR]);
        for i in 1..4 {
            all.read(2, NOW - HOUR + i, NOW + i);
        }
        all.idle(2, NOW + 4);
        assert_eq!(standing_of(&all, 2, NOW + 4), Standing::Skewed { offset: HOUR });
    }

    #[test]
    fn time_passes_while_a_file_is_idle() {
        let mut all = live(&[0, 0]);
        all.idle(1, NOW + 10_000);
        assert_eq!(all.watermark(NOW + 10_000), Some(NOW - LATENESS), "the other was not looked at since");
        all.idle(2, NOW + 9_000);
        assert_eq!(all.watermark(NOW + 10_000), Some(NOW + 9_000 - LATENESS));
    }

    #[test]
    fn a_host_45_s_fast_holds_nobody_back_and_is_fine() {
        let all = live(&[0, 45_000]);
        assert_eq!(all.watermark(NOW), Some(NOW - LATENESS));
        assert_eq!(standing_of(&all, 1, NOW), Standing::Fine);
        assert_eq!(standing_of(&all, 2, NOW), Standing::Fine);
    }

    #[test]
    fn a_host_45_s_slow_is_waited_for() {
        let all = live(&[0, -45_000]);
        assert_eq!(all.watermark(NOW), Some(NOW - 45_000 - LATENESS));
        assert_eq!(standing_of(&all, 2, NOW), Standing::Fine);
    }

    #[test]
    fn a_wrong_zone_is_skewed_by_what_fits() {
        for (off, offset) in
            [(-HOUR, HOUR), (-HOUR - 1_500, HOUR), (-5 * HOUR - HOUR / 2, 5 * HOUR + HOUR / 2)]
        {
            let all = live(&[0, off, 0]);
            assert_eq!(all.watermark(NOW), Some(NOW - LATENESS), "{off}");
            assert_eq!(standing_of(&all, 2, NOW), Standing::Skewed { offset });
            assert_eq!(standing_of(&all, 1, NOW), Standing::Fine);
        }
    }

    #[test]
    fn a_zone_ahead_is_skewed_and_leaves_the_others_in() {
        let all = live(&[0, 2 * HOUR]);
        assert_eq!(all.watermark(NOW), Some(NOW - LATENESS));
        assert_eq!(standing_of(&all, 1, NOW), Standing::Fine);
        assert_eq!(standing_of(&all, 2, NOW), Standing::Skewed { offset: -2 * HOUR });
    }

    #[test]
    fn an_old_file_read_to_its_end_is_stalled() {
        let mut all = live(&[0]);
        all.register(2, LATENESS);
        all.read(2, NOW - 24 * HOUR, NOW);
        assert_eq!(all.watermark(NOW), Some(NOW - 24 * HOUR - LATENESS), "it may have more lines: a backlog");
        all.idle(2, NOW);
        assert_eq!(all.watermark(NOW), Some(NOW - LATENESS));
        assert_eq!(standing_of(&all, 2, NOW), Standing::Stalled { behind: 24 * HOUR });
    }

    #[test]
    fn lines_held_in_a_buffer_for_minutes_are_no_zone() {
        let all = live(&[0, -300_000]);
        assert_eq!(standing_of(&all, 2, NOW), Standing::Stalled { behind: 300_000 });
    }

    #[test]
    fn replayed_logs_that_are_all_old_hold_together() {
        let all = live(&[-24 * HOUR, -24 * HOUR - 1_000]);
        assert_eq!(all.watermark(NOW), Some(NOW - 24 * HOUR - 1_000 - LATENESS));
        assert_eq!(standing_of(&all, 1, NOW), Standing::Fine);
    }

    #[test]
    fn an_unreadable_file_is_waited_for_30_s() {
        let mut all = live(&[0, 0]);
        all.unreadable(1, NOW);
        let later = NOW + 29_000;
        all.idle(2, later);
        all.unreadable(1, later);
        assert_eq!(all.watermark(later), Some(NOW - LATENESS));
        assert_eq!(standing_of(&all, 1, later), Standing::Unreadable { since: NOW, waited_for: true });
        let later = NOW + 31_000;
        all.idle(2, later);
        assert_eq!(all.watermark(later), Some(later - LATENESS));
        assert_eq!(standing_of(&all, 1, later), Standing::Unreadable { since: NOW, waited_for: false });
        all.idle(1, later);
        assert_eq!(standing_of(&all, 1, later), Standing::Fine);
    }

    #[test]
    fn a_file_that_is_gone_is_forgotten() {
        let mut all = live(&[0, -30_000]);
        all.gone(2);
        assert_eq!(all.watermark(NOW), Some(NOW - LATENESS));
        assert_eq!(all.reports(NOW).count(), 1);
    }

    #[test]
    fn a_former_run_is_gone_on_with() {
        let mut all = Watermarks::new();
        all.register(1, LATENESS);
        all.restore(1, NOW - 60_000, NOW - 60_000);
        all.all_placed();
        assert_eq!(all.watermark(NOW), Some(NOW - 60_000 - LATENESS));
        all.idle(1, NOW);
        assert_eq!(all.watermark(NOW), Some(NOW - LATENESS));
    }

    #[test]
    fn a_file_of_finished_logs_waits_for_its_turn() {
        let mut all = Watermarks::new();
        for (id, first) in [(1, NOW), (2, NOW + HOUR)] {
            all.register(id, 300_000);
            all.first_stamp(id, first);
        }
        all.all_placed();
        all.read(1, NOW + 3 * HOUR, 0);
        assert_eq!(all.watermark(0), Some(NOW + HOUR - 300_000), "the second must be opened first");
        all.gone(1);
        all.read(2, NOW + 4 * HOUR, 0);
        assert_eq!(all.watermark(0), Some(NOW + 4 * HOUR - 300_000));
    }
}
