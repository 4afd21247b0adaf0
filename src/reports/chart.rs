//! A line of bars: how many errors, when.

use super::text;
use gatewatch_parsers::Millis;
use gatewatch_rules::report::Timeline;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Lengths that a column may have: those of the timeline, so that columns never split a point.
const STEPS: [Millis; 9] = [5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400];

/// Title, bars and axis; `None` if there is nothing to show.
pub fn render(timeline: &Timeline, width: usize) -> Option<[String; 3]> {
    let (step, columns) = fit(timeline, width)?;
    let most = columns.iter().map(|c| c.1).max().filter(|m| *m > 0)?;
    let bar = |errors: u64| {
        let level = (errors * (BARS.len() as u64 - 1)).div_ceil(most) as usize;
        BARS.get(level).copied().unwrap_or('█')
    };
    let bars: String = columns.iter().map(|c| bar(c.1)).collect();

    let ratio = |c: &(u64, u64)| text::ratio(c.1, c.0);
    let (peak, at) = columns
        .iter()
        .enumerate()
        .map(|(i, c)| (ratio(c), i))
        .fold((0.0, 0), |best, this| if this.0 > best.0 { this } else { best });
    let first = timeline.start.div_euclid(step) * step;
    let time = |i: usize| first + i as Millis * step;
    let with_date = !text::same_day(first, time(columns.len()));
    let title = format!(
        "errors {}, peak {} at {}",
        text::every(step),
        text::percent(peak),
        text::minute_or_second(time(at), step, with_date)
    );
    Some([title, bars, axis(&columns, at, |i| text::minute_or_second(time(i), step, with_date))])
}

/// The smallest step at which the timeline fits, and (requests, errors) of each column.
fn fit(timeline: &Timeline, width: usize) -> Option<(Millis, Vec<(u64, u64)>)> {
    if timeline.step <= 0 || timeline.requests.is_empty() {
        return None;
    }
    let last = timeline.start + (timeline.requests.len() as Millis - 1) * timeline.step;
    let span = |step: Millis| (last.div_euclid(step) - timeline.start.div_euclid(step) + 1) as usize;
    let step = STEPS
        .iter()
        .map(|s| s * 1000)
        .filter(|s| s % timeline.step == 0)
        .find(|s| span(*s) <= width)
        .unwrap_or(timeline.step.max(86_400_000));
    let mut columns = vec![(0, 0); span(step).min(width.max(1))];
    for (i, (requests, errors)) in timeline.requests.iter().zip(&timeline.gateway_errors).enumerate() {
        let at = timeline.start + i as Millis * timeline.step;
        let column = (at.div_euclid(step) - timeline.start.div_euclid(step)) as usize;
        if let Some(c) = columns.get_mut(column) {
            c.0 += requests;
            c.1 += errors;
        }
    }
    Some((step, columns))
}

/// The first, the peak's and the last column's time, where they do not run into each other.
fn axis(columns: &[(u64, u64)], peak: usize, label: impl Fn(usize) -> String) -> String {
    let mut axis = String::new();
    for (i, at) in [(0, 0), (peak, peak), (columns.len(), columns.len())] {
        let label = label(at);
        let used = text::columns(&axis);
        let column = if i == columns.len() { i.saturating_sub(label.len()) } else { i };
        if used == 0 || column > used {
            axis.push_str(&" ".repeat(column - used));
            axis.push_str(&label);
        }
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_stands_out() {
        let timeline = Timeline {
            step: 10_000,
            start: 1_793_491_200_000,
            requests: vec![100; 300],
            gateway_errors: (0..300).map(|i| if (130..165).contains(&i) { 40 } else { 1 }).collect(),
        };
        let [title, bars, axis] = render(&timeline, 78).unwrap();
        assert_eq!(title, "errors a minute, peak 40.0 % at 00:22");
        assert_eq!(bars.chars().count(), 50);
        assert_eq!(bars.chars().filter(|c| *c == '█').count(), 5);
        assert_eq!(axis, "00:00                 00:22                  00:50");
    }

    #[test]
    fn nothing_to_show() {
        assert!(render(&Timeline::default(), 80).is_none());
        let calm = Timeline { step: 5000, start: 0, requests: vec![1], gateway_errors: vec![0] };
        assert!(render(&calm, 80).is_none());
    }
}
