//! Where to read again when counts are lost: in each file, the first line that a window still open at its end may need.
//! Found by bisection, since lines stand in the order of their ends, nearly.

use crate::settings::Live;
use crate::tail::paths::Listing;
use crate::tail::{self, Position};
use crate::wiring::{self, FileSettings, Recognised};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Format, Millis};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// One look into a file: the longest line fits in whole, wherever it begins.
const LOOK: usize = 256 << 10;
/// Lines may be out of order by so much: a writer's buffer.
const DISORDER: Millis = 60_000;

/// A place in every file of these inputs from which its open windows can be counted again. `now`: no line is newer.
pub fn positions(live: &Live, now: Millis) -> Vec<Position> {
    let longest = live.config.rules.iter().map(|rule| rule.longest_window()).max().unwrap_or(0);
    let back = longest.saturating_add(live.config.agent.lateness).saturating_add(DISORDER);
    let mut positions = Vec::new();
    let mut known = BTreeSet::new();
    for (input, settings) in live.inputs.iter().zip(&live.settings) {
        let mut listing = Listing::default();
        input.paths.iter().for_each(|pattern| pattern.find(&mut listing));
        for found in listing.found {
            // One that is no log of ours is refused by whoever follows it, and says why.
            let Ok(position) = position(&found.path, settings, back, now) else { continue };
            if known.insert(position.key) {
                positions.push(position);
            }
        }
    }
    positions
}

fn position(path: &Path, settings: &FileSettings, back: Millis, now: Millis) -> io::Result<Position> {
    // Opens nothing that could hang, and no archive.
    let begin = tail::position_at(path, 0)?;
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let near = file.metadata()?.modified().map_or(now, crate::clock::millis);
    let head = look(&file, 0)?;
    let recognised = wiring::recognise(&path.display().to_string(), &head, near, settings);
    let Recognised { format, mut context, .. } = recognised;
    let mut end_of =
        |line: &[u8]| format.as_ref().and_then(|format| end_of(format.as_ref(), line, &mut context));
    let mut log = Log { file, size, end_of: &mut end_of };
    let offset = match log.newest()? {
        Some(newest) => log.first_from(newest.min(now).saturating_sub(back))?,
        // Nobody knows how old its lines are: all of a few, none of many.
        None if size <= LOOK as u64 => return Ok(begin),
        None => log.last_line_end()?,
    };
    tail::position_at(path, offset)
}

fn end_of(format: &dyn Format, line: &[u8], context: &mut gatewatch_parsers::Context) -> Option<Millis> {
    format.parse(line, context).ok()?.end()
}

fn look(file: &File, from: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; LOOK];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, from.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// A file, and when the request of one of its lines ended.
struct Log<'a> {
    file: File,
    size: u64,
    end_of: &'a mut dyn FnMut(&[u8]) -> Option<Millis>,
}

impl Log<'_> {
    /// The newest end in its last lines.
    fn newest(&mut self) -> io::Result<Option<Millis>> {
        let from = self.size.saturating_sub(LOOK as u64);
        let bytes = look(&self.file, from)?;
        let skip = if from == 0 { 0 } else { line_start(&bytes).unwrap_or(bytes.len()) };
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let lines = Lines::new(bytes.get(skip..whole).unwrap_or_default(), false);
        Ok(lines.filter_map(&mut self.end_of).max())
    }

    /// Just after its last whole line, as far as that is near the end.
    fn last_line_end(&self) -> io::Result<u64> {
        let from = self.size.saturating_sub(LOOK as u64);
        let bytes = look(&self.file, from)?;
        Ok(from + memchr::memrchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1) as u64)
    }

    /// The start of a line before which every line ended before `time`. Where a stretch holds no line that tells, it is
    /// taken for one that may be needed.
    fn first_from(&mut self, time: Millis) -> io::Result<u64> {
        let (mut before, mut from) = (0, self.size);
        while from - before > LOOK as u64 {
            let middle = before + (from - before) / 2;
            match self.after(middle)? {
                Some((start, end)) if end < time && start > before && start < from => before = start,
                _ => from = middle,
            }
        }
        Ok(before)
    }

    /// The first line behind this place that tells when it ended, and where it starts.
    fn after(&mut self, at: u64) -> io::Result<Option<(u64, Millis)>> {
        let bytes = look(&self.file, at)?;
        let Some(mut start) = line_start(&bytes) else { return Ok(None) };
        while let Some(rest) = bytes.get(start..)
            && let Some(length) = memchr::memchr(b'\n', rest)
        {
            let line = Lines::new(rest.get(..length).unwrap_or_default(), false).next();
            if let Some(end) = line.and_then(&mut self.end_of) {
                return Ok(Some((at + start as u64, end)));
            }
            start += length + 1;
        }
        Ok(None)
    }
}

/// Just after the first line end.
fn line_start(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Lines `<end> <filling>`, some of which tell nothing.
    fn log(ends: &[Millis], filling: usize) -> (tempfile::TempDir, File, Vec<(u64, Millis)>) {
        let folder = tempfile::tempdir().unwrap();
        let mut text = Vec::new();
        let mut starts = Vec::new();
        for (i, end) in ends.iter().enumerate() {
            if i % 7 == 0 {
                text.extend_from_slice(b"# nothing\n");
            }
            starts.push((text.len() as u64, *end));
            text.extend_from_slice(format!("{end} {}\n", "x".repeat(filling)).as_bytes());
        }
        let path = folder.path().join("log");
        File::create(&path).unwrap().write_all(&text).unwrap();
        let file = File::open(path).unwrap();
        (folder, file, starts)
    }

    fn told(line: &[u8]) -> Option<Millis> {
        std::str::from_utf8(line).ok()?.split(' ').next()?.parse().ok()
    }

    #[test]
    fn the_place_is_found_and_it_is_not_far_off() {
        let table: [(Vec<Millis>, usize); 5] = [
            (Vec::new(), 1),
            ((0..10).collect(), 1),
            ((0..20_000).collect(), 80),
            ((0..20_000).map(|i| i / 1_000 * 1_000).collect(), 80),
            ((0..300).collect(), 40_000),
        ];
        for (ends, filling) in table {
            let (_folder, file, starts) = log(&ends, filling);
            let size = file.metadata().unwrap().len();
            let mut tell = told;
            let mut log = Log { file, size, end_of: &mut tell };
            assert_eq!(log.newest().unwrap(), ends.last().copied());
            for time in (-1_000..=21_000).step_by(997) {
                let place = log.first_from(time).unwrap();
                let first = starts.iter().find(|(_, end)| *end >= time).map_or(size, |(start, _)| *start);
                assert!(place <= first, "a line that ended at {time} or later is left out");
                assert!(place + 3 * LOOK as u64 >= first, "{place} is far before {first}");
                assert!(
                    place == 0 || starts.iter().any(|(start, _)| *start == place),
                    "no line starts at {place}"
                );
            }
        }
    }

    #[test]
    fn a_log_that_tells_nothing_is_read_from_its_beginning() {
        let (_folder, file, _) = log(&(0..20_000).collect::<Vec<_>>(), 80);
        let size = file.metadata().unwrap().len();
        let mut tell = |_: &[u8]| None;
        let mut log = Log { file, size, end_of: &mut tell };
        assert_eq!(log.newest().unwrap(), None);
        assert_eq!(log.first_from(5).unwrap(), 0);
    }
}
