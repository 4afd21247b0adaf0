//! The line on a terminal's stderr that says how far it is.

use crate::reports::text::commas;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A progress bar: bytes, lines per second, time left. Silent where stderr is no terminal.
pub struct Bar {
    started: Instant,
    last: Instant,
    shown: bool,
    enabled: bool,
    /// Bytes on disk, if all are known.
    total: Option<u64>,
}

impl Bar {
    /// A bar over files of `total` bytes.
    #[must_use]
    pub fn new(total: Option<u64>, quiet: bool) -> Bar {
        let now = Instant::now();
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
        Bar {
            started: now,
            last: now,
            shown: false,
            enabled: !quiet && !dumb && io::stderr().is_terminal(),
            total,
        }
    }

    /// `read`: bytes on disk so far.
    pub fn show(&mut self, read: u64, lines: u64) {
        if !self.enabled || self.last.elapsed() < Duration::from_millis(200) {
            return;
        }
        self.last = Instant::now();
        self.shown = true;
        let line = render(read, self.total, lines, self.started.elapsed());
        let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
        self.shown = false;
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / (1024.0 * 1024.0))
}

/// `[=====>    ] 210 of 645 MiB  2,100,000 lines/s  2 s left`
fn render(read: u64, total: Option<u64>, lines: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let speed = format!("{} lines/s", commas((lines as f64 / seconds) as u64));
    let Some(total) = total.filter(|t| *t > 0) else {
        return format!("{}  {} lines  {speed}", mebibytes(read), commas(lines));
    };
    let share = (read as f64 / total as f64).min(1.0);
    let filled = (share * 20.0) as usize;
    let left = if share > 0.0 { seconds * (1.0 - share) / share } else { 0.0 };
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(20 - filled));
    format!(
        "{bar} {:.0} %  {} of {}  {speed}  {left:.0} s left",
        share * 100.0,
        mebibytes(read),
        mebibytes(total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks() {
        let line = render(50 << 20, Some(200 << 20), 1_000_000, Duration::from_secs(2));
        assert_eq!(line, "█████░░░░░░░░░░░░░░░ 25 %  50 MiB of 200 MiB  500,000 lines/s  6 s left");
        assert_eq!(render(0, None, 0, Duration::from_secs(1)), "0 MiB  0 lines  0 lines/s");
        assert!(render(300, Some(200), 1, Duration::from_secs(1)).contains("100 %"));
    }
}
