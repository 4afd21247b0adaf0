//! Log lines that show a fault, kept by series before anybody knows whether it will be one: a line a step, the last three.

use crate::alert::Sample;
use crate::redact::{SAMPLE_MAX, redact};
use crate::saved::is_time;
use crate::series::LabelSet;
use gatewatch_parsers::Millis;
use std::collections::{HashMap, VecDeque};

/// So many lines are kept of a series, and shown of an alert.
pub(crate) const SAMPLES_MAX: usize = 3;

#[derive(Debug)]
pub(crate) struct Samples {
    of: HashMap<LabelSet, VecDeque<Sample>>,
    step: Millis,
    cap: usize,
}

impl Samples {
    /// Of at most `cap` series.
    pub fn new(step: Millis, cap: usize) -> Samples {
        Samples { of: HashMap::new(), step: step.max(1), cap }
    }

    /// Takes a line, unless one of this series is known that ended in the same step or later.
    pub fn offer(&mut self, labels: &LabelSet, end: Millis, line: &[u8]) {
        let step = |end: Millis| end.div_euclid(self.step);
        let has_room = self.of.len() < self.cap;
        match self.of.get_mut(labels) {
            Some(known) if known.back().is_some_and(|last| step(last.end) >= step(end)) => {}
            Some(known) => {
                if known.len() >= SAMPLES_MAX {
                    known.pop_front();
                }
                known.push_back(Sample { end, line: redact(line) });
            }
            None if has_room => {
                let sample = Sample { end, line: redact(line) };
                self.of.insert(labels.clone(), VecDeque::from([sample]));
            }
            None => {}
        }
    }

    /// Every series' lines, by its labels.
    pub fn all(&self) -> Vec<(&LabelSet, &VecDeque<Sample>)> {
        let mut all: Vec<_> = self.of.iter().collect();
        all.sort_unstable_by_key(|(labels, _)| *labels);
        all
    }

    /// Takes a series' lines as they were; `false`: they were not so.
    pub fn restore(&mut self, labels: LabelSet, lines: VecDeque<Sample>) -> bool {
        let is_kept = |sample: &Sample| is_time(sample.end) && sample.line.len() <= SAMPLE_MAX;
        let is_sound = (1..=SAMPLES_MAX).contains(&lines.len()) && lines.iter().all(is_kept);
        if is_sound && self.of.len() < self.cap {
            self.of.insert(labels, lines);
        }
        is_sound
    }

    /// The lines of a series, oldest first.
    pub fn of(&self, labels: &LabelSet) -> impl Iterator<Item = &Sample> {
        self.of.get(labels).into_iter().flatten()
    }

    /// Forgets series whose last line is older.
    pub fn forget_before(&mut self, time: Millis) {
        self.of.retain(|_, known| known.back().is_some_and(|last| last.end >= time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_step_and_the_last_three() {
        let mut samples = Samples::new(5_000, 2);
        let set = |name: &str| LabelSet::new([name.as_bytes()]);
        for end in [0, 1, 4_999, 5_000, 2_000, 10_000, 15_000, 15_001] {
            samples.offer(&set("a"), end, format!("at {end}").as_bytes());
        }
        let ends = |samples: &Samples, name| samples.of(&set(name)).map(|s| s.end).collect::<Vec<_>>();
        assert_eq!(ends(&samples, "a"), [5_000, 10_000, 15_000]);
        samples.offer(&set("b"), 1, b"x");
        samples.offer(&set("c"), 1, b"x");
        assert_eq!(ends(&samples, "b"), [1]);
        assert!(ends(&samples, "c").is_empty(), "the cap");
        samples.forget_before(10_000);
        assert!(ends(&samples, "b").is_empty());
        assert_eq!(ends(&samples, "a").len(), 3);
    }
}
