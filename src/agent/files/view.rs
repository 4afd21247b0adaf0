//! What `status` shows of the files.

use super::{Followed, LiveFiles};
use crate::state::Lines;
use crate::status::{self, InputView, Standing, seconds};
use gatewatch_parsers::Millis;
use gatewatch_rules::watermark::{self, Mark};
use std::collections::BTreeMap;

impl LiveFiles {
    /// What is read and was read, by path.
    pub fn shown(&self, now: Millis) -> Vec<InputView> {
        let mut shown: BTreeMap<u64, InputView> =
            self.files.iter().map(|(id, file)| (id.0, file.shown())).collect();
        for report in self.watermarks.reports(now) {
            let Some(one) = shown.get_mut(&report.file) else { continue };
            one.behind = report.watermark.map(|watermark| seconds(now.saturating_sub(watermark).max(0)));
            let is_foreign = one.parsed == 0 && one.unparsed > 0;
            (one.standing, one.why) = standing(report.standing, one.standing, is_foreign);
        }
        let lost = self.memory.files().filter(|file| file.lines != Lines::default());
        let mut shown: Vec<InputView> = shown.into_values().collect();
        shown.extend(lost.map(|file| InputView { standing: Standing::Gone, ..status::input(file) }));
        status::inputs(shown, self.memory.gone())
    }

    /// Whether every file that was there at the start was placed.
    pub fn is_scanned(&self) -> bool {
        self.watermarks.are_placed()
    }
}

impl Followed {
    fn shown(&self) -> InputView {
        let shown = status::input(&self.state(Mark::default()));
        InputView {
            size: self.size.max(shown.offset),
            standing: if self.backlog { Standing::CatchingUp } else { Standing::Fine },
            ..shown
        }
    }
}

/// What its time says goes before what its reading does. `is_foreign`: nothing of it is understood, so that it has no time.
fn standing(of_time: watermark::Standing, of_reading: Standing, is_foreign: bool) -> (Standing, String) {
    match of_time {
        watermark::Standing::Fine => (of_reading, String::new()),
        watermark::Standing::Empty => match of_reading {
            _ if is_foreign => (
                Standing::NotUnderstood,
                "no line of it fits a known format, or the one that is set".to_owned(),
            ),
            Standing::CatchingUp => (Standing::CatchingUp, String::new()),
            _ => (Standing::Empty, String::new()),
        },
        watermark::Standing::Unreadable { waited_for, .. } => {
            let why =
                if waited_for { "it cannot be read" } else { "it cannot be read, and is not waited for" };
            (Standing::Unreadable, why.to_owned())
        }
        watermark::Standing::Stalled { behind } => {
            let why = format!("read to its end, {} s behind the others, and not waited for", behind / 1_000);
            (Standing::Stalled, why)
        }
        watermark::Standing::Skewed { offset } => {
            let why = format!("its times are off by {} min: is its timezone set right?", offset / 60_000);
            (Standing::Skewed, why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_of_which_nothing_is_understood_is_not_called_empty() {
        let empty = watermark::Standing::Empty;
        let said = |of_reading, is_foreign| standing(empty, of_reading, is_foreign).0;
        assert_eq!(said(Standing::Fine, false), Standing::Empty);
        assert_eq!(said(Standing::CatchingUp, false), Standing::CatchingUp);
        assert_eq!(said(Standing::CatchingUp, true), Standing::NotUnderstood);
        let (said, why) = standing(empty, Standing::Fine, true);
        assert!(said == Standing::NotUnderstood && why.contains("fits"), "it stands under what is wrong");
    }
}
