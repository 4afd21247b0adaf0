//! A proxy's log writer: numbered lines at a steady rate, one write a line, O_APPEND, reopened on USR1.

use crate::dice::Dice;
use chrono::DateTime;
use signal_hook::consts::SIGUSR1;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines a second.
pub const RATE: u64 = 20_000;
pub const UPSTREAMS: u64 = 40;
/// One upstream falls sick so often,
const SICK_EVERY: u64 = 2;
/// for so many seconds.
const SICK_FOR: u64 = 3;

/// Seconds, more than everything that an alert of these tests waits for.
const QUIET_AFTER: i64 = 10;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub lines: u64,
    pub status: BTreeMap<String, u64>,
    pub gateway_errors: BTreeMap<String, u64>,
}

/// A thread that writes; the log it writes to can be changed, as by a new configuration of the proxy.
pub struct Writer {
    stop: Arc<AtomicBool>,
    path: Arc<Mutex<PathBuf>>,
    reopen: Arc<AtomicBool>,
    signal: signal_hook::SigId,
    thread: Option<JoinHandle<Written>>,
}

impl Writer {
    /// Writes to `path`, and everything once more to `truth`.
    pub fn start(path: &Path, truth: &Path, seed: u64) -> Writer {
        let (stop, reopen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let signal = signal_hook::flag::register(SIGUSR1, Arc::clone(&reopen)).unwrap();
        let path = Arc::new(Mutex::new(path.to_path_buf()));
        let truth = BufWriter::new(File::create(truth).unwrap());
        let (stopped, opened, to) = (Arc::clone(&stop), Arc::clone(&reopen), Arc::clone(&path));
        let thread = std::thread::spawn(move || write(&stopped, &opened, &to, truth, Dice::new(seed)));
        Writer { stop, path, reopen, signal, thread: Some(thread) }
    }

    /// Writes there from the next line on.
    pub fn move_to(&self, path: &Path) {
        *self.path.lock().unwrap() = path.to_path_buf();
        self.reopen.store(true, Ordering::SeqCst);
    }

    pub fn stop(&mut self) -> Written {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        signal_hook::low_level::unregister(self.signal);
    }
}

fn open(path: &Mutex<PathBuf>) -> File {
    let path = path.lock().unwrap().clone();
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

fn write(
    stop: &AtomicBool,
    reopen: &AtomicBool,
    path: &Mutex<PathBuf>,
    mut truth: BufWriter<File>,
    mut dice: Dice,
) -> Written {
    let mut written = Written::default();
    let mut file = open(path);
    let begin = Instant::now();
    let (mut line, mut stamp) = (String::new(), (0, String::new()));
    while !stop.load(Ordering::Relaxed) {
        let due = u64::try_from(begin.elapsed().as_micros()).unwrap() * RATE / 1_000_000;
        for number in written.lines..due {
            if reopen.swap(false, Ordering::SeqCst) {
                file = open(path);
            }
            let now = gatewatch::clock::now().div_euclid(1_000);
            if stamp.0 != now {
                let at = DateTime::from_timestamp(now, 0).unwrap();
                stamp = (now, at.format("%d/%b/%Y:%H:%M:%S %z").to_string());
            }
            let (upstream, status) = request(number, begin.elapsed().as_secs(), &mut dice);
            one(&mut line, number, &stamp.1, &upstream, status);
            truth.write_all(line.as_bytes()).unwrap();
            // Now and then a reader may see half a line.
            let half = if dice.below(500) == 0 { usize::try_from(dice.below(150)).unwrap() } else { 0 };
            if half > 0 {
                file.write_all(&line.as_bytes()[..half]).unwrap();
                std::thread::yield_now();
            }
            file.write_all(&line.as_bytes()[half..]).unwrap();
            written.lines += 1;
            *written.status.entry(format!("{status:03}")).or_default() += 1;
            if matches!(status, 502 | 504) {
                *written.gateway_errors.entry(upstream).or_default() += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // `analyze` judges up to the last line, the agent up to now: a quiet line, so that both see the end of the last window.
    let at = DateTime::from_timestamp(gatewatch::clock::now().div_euclid(1_000) + QUIET_AFTER, 0).unwrap();
    one(&mut line, written.lines, &at.format("%d/%b/%Y:%H:%M:%S %z").to_string(), "10.0.0.0:8080", 200);
    truth.write_all(line.as_bytes()).unwrap();
    truth.flush().unwrap();
    written
}

/// Which upstream answered what: a known share of everything, and one upstream after another that is sick for a while.
fn request(number: u64, second: u64, dice: &mut Dice) -> (String, u16) {
    let upstream = number % UPSTREAMS;
    let sick = second % (SICK_EVERY * UPSTREAMS) / SICK_EVERY == upstream
        || second.saturating_sub(SICK_FOR - SICK_EVERY) % (SICK_EVERY * UPSTREAMS) / SICK_EVERY == upstream;
    let status = match dice.below(1_000) {
        0..=399 if sick => 502,
        400..=599 if sick => 504,
        0 => 504,
        1 => 502,
        2..=9 => 503,
        10..=29 => 404,
        30..=34 => 499,
        35..=60 => 301,
        _ => 200,
    };
    (format!("10.0.0.{upstream}:8080"), status)
}

/// nginx's combined format with upstream fields; the number is in the path.
fn one(line: &mut String, number: u64, stamp: &str, upstream: &str, status: u16) {
    line.clear();
    let header = if matches!(status, 502 | 504) { "-" } else { "0.012" };
    writeln!(
        line,
        "203.0.113.{} - - [{stamp}] \"GET /n/{number}/x HTTP/1.1\" {status} 512 \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" \
         rt=0.013 uct=\"0.001\" uht=\"{header}\" urt=\"0.012\" ua=\"{upstream}\" us=\"{status}\"",
        number % 250,
    )
    .unwrap();
}

/// The number in a line that is whole: what was cut by a copy and a truncation is none, though its number may be there.
pub fn number(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok().filter(|text| text.starts_with("203.0.113."))?;
    let (request, last) = text.rsplit_once(" us=\"")?;
    let is_whole = last.len() == 4 && last.ends_with('"') && request.matches("GET /n/").count() == 1;
    let (_, rest) = request.split_once("GET /n/").filter(|_| is_whole)?;
    rest.split_once('/')?.0.parse().ok()
}
