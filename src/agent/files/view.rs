//! What `status` shows of the files.

use super::{Followed, LiveFiles};
use crate::status::{InputView, Standing, seconds};
use gatewatch_parsers::Millis;
use gatewatch_rules::watermark;

impl LiveFiles {
    /// Every followed file, by path.
    pub fn shown(&self, now: Millis) -> Vec<InputView> {
        let mut shown: Vec<InputView> = self.files.values().map(|file| file.shown(now)).collect();
        for report in self.watermarks.reports(now) {
            let Some(at) = self.files.keys().position(|file| file.0 == report.file) else { continue };
            let Some(one) = shown.get_mut(at) else { continue };
            one.newest = report.newest.map(|(newest, _)| newest);
            one.behind = report.watermark.map(|watermark| seconds(now.saturating_sub(watermark).max(0)));
            let (standing, why) = standing(report.standing, one.standing);
            (one.standing, one.why) = (standing, why);
        }
        shown.sort_by(|a, b| a.path.cmp(&b.path));
        shown
    }
}

impl Followed {
    fn shown(&self, _now: Millis) -> InputView {
        let key = self.place.key;
        let offset = self.progress.offset;
        InputView {
            offset,
            size: self.size.max(offset),
            kind: "file".to_owned(),
            standing: if self.backlog { Standing::CatchingUp } else { Standing::Fine },
            key: Some((key.dev, key.ino)),
            ..self.live.shown()
        }
    }
}

/// What its time says goes before what its reading does.
fn standing(of_time: watermark::Standing, of_reading: Standing) -> (Standing, String) {
    match of_time {
        watermark::Standing::Fine => (of_reading, String::new()),
        watermark::Standing::Empty => match of_reading {
            Standing::CatchingUp => (Standing::CatchingUp, String::new()),
            _ => (Standing::Empty, String::new()),
        },
        watermark::Standing::Unreadable { waited_for, .. } => {
            let why = if waited_for { "it cannot be read" } else { "it cannot be read: not waited for" };
            (Standing::Unreadable, why.to_owned())
        }
        watermark::Standing::Stalled { behind } => {
            let why = format!("read to its end, {} s behind the others: not waited for", behind / 1_000);
            (Standing::Stalled, why)
        }
        watermark::Standing::Skewed { offset } => {
            let why = format!("its times are off by {} min: is its timezone set right?", offset / 60_000);
            (Standing::Skewed, why)
        }
    }
}
