//! The thread that follows files: a [`Tailer`], a [`Wake`] and a bounded channel. When the receiver is slow, the channel is
//! full, the thread waits, and what was not read yet stays where it is best kept: in the files.

use crate::tail::wake::Wake;
use crate::tail::{
    CHUNK, Counters, Event, FileId, FileKey, Input, Loss, Place, Placed, Position, Progress, Tailer, Trouble,
};
use gatewatch_parsers::Millis;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// So many bytes are on their way to the receiver, at most.
pub const IN_FLIGHT: usize = 4 << 20;
/// Each message carries a chunk at most.
const MESSAGES: usize = IN_FLIGHT / CHUNK;
/// Sockets, pipes and the like that are open beside the logs.
const OTHERS: usize = 24;
/// Used without a limit of the system being known.
const OPEN_FILES: usize = 1_024;

/// An [`Event`] that owns what it tells.
#[derive(Clone, Debug)]
pub enum Happening {
    /// From now on followed.
    Opened {
        /// Its number.
        file: FileId,
        /// Where it belongs.
        place: Placing,
        /// Where the first byte that will come is, and what to go on from until a chunk was counted.
        from: Progress,
        /// Its length now.
        size: u64,
        /// Why there.
        placed: Placed,
        /// The file that had the path before it.
        follows: Option<FileId>,
    },
    /// Where it belongs now; its stream goes on.
    Moved {
        /// The file.
        file: FileId,
        /// Where it belongs.
        place: Placing,
    },
    /// The next bytes.
    Chunk {
        /// The file.
        file: FileId,
        /// Offset of the first.
        offset: u64,
        /// Never empty.
        bytes: Vec<u8>,
        /// Where to go on after a restart, if everything up to here is counted.
        after: Progress,
    },
    /// A read found nothing more.
    Idle {
        /// The file.
        file: FileId,
    },
    /// A cut line is void; what comes is from the file's beginning.
    Truncated {
        /// The file.
        file: FileId,
    },
    /// Another file has its path.
    Rotated {
        /// The file.
        file: FileId,
    },
    /// Nothing is at its path.
    Gone {
        /// The file.
        file: FileId,
    },
    /// Its confirmed end: a cut line is all there will be.
    Finished {
        /// The file.
        file: FileId,
        /// Where to go on, should it come back.
        after: Progress,
    },
    /// No input's any more: a cut line is void.
    Dropped {
        /// The file.
        file: FileId,
    },
    /// Cannot be read.
    Unreadable {
        /// The file, if it is followed.
        file: Option<FileId>,
        /// Its path, or a pattern.
        path: PathBuf,
        /// Why.
        trouble: Trouble,
        /// It was said before.
        repeated: bool,
    },
    /// The trouble is over.
    Recovered {
        /// The file, if it is followed.
        file: Option<FileId>,
        /// As in `Unreadable`.
        path: PathBuf,
    },
    /// Lines may be lost.
    PossibleLoss {
        /// Where they were written to.
        path: PathBuf,
        /// What happened.
        loss: Loss,
    },
    /// What the tail counted since the start, each time that it changed.
    Counted(Counters),
    /// Lines of several streams of a journal, and the cursor up to which they were read: both are counted, or neither.
    Journal {
        /// The input's name.
        input: String,
        /// Where to go on after a restart.
        cursor: String,
        /// The lines.
        chunks: Vec<(FileId, Vec<u8>)>,
    },
    /// Messages of a socket that never arrived, of this stream or of others of its input.
    Lost {
        /// The stream of the input that spoke last.
        file: FileId,
        /// How many.
        count: u64,
    },
    /// Every file that was there at the start has been placed.
    FirstScanDone,
    /// Every file was looked at: those that are idle still are.
    Reconciled,
    /// From here on `input` is an index into the list given by [`Files::reconfigure`].
    Reconfigured,
    /// Something to tell the user that concerns no file.
    Warning(String),
}

/// A [`Place`] that owns what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    /// The path it is read through.
    pub path: PathBuf,
    /// Which input, an index into the list last given.
    pub input: usize,
    /// What the pattern's `<label>`s matched.
    pub labels: Vec<(String, String)>,
    /// Which file of the filesystem.
    pub key: FileKey,
}

impl From<Place<'_>> for Placing {
    fn from(place: Place<'_>) -> Placing {
        let Place { path, input, labels, key } = place;
        Placing { path: path.to_path_buf(), input, labels: labels.to_vec(), key }
    }
}

impl Happening {
    /// Standard input begins.
    pub(super) fn stream_opened(input: usize) -> Happening {
        let key = FileKey { dev: 0, ino: 0, birth: 0 };
        let place = Placing { path: PathBuf::from(super::stdin::NAME), input, labels: Vec::new(), key };
        Happening::Opened {
            file: FileId::STDIN,
            place,
            from: Progress::default(),
            size: 0,
            placed: Placed::Beginning,
            follows: None,
        }
    }

    /// Standard input cannot be read on.
    pub(super) fn stream_failed(error: &io::Error) -> Happening {
        Happening::Unreadable {
            file: Some(FileId::STDIN),
            path: PathBuf::from(super::stdin::NAME),
            trouble: Trouble::from(error),
            repeated: false,
        }
    }

    /// What a [`Tailer`] told.
    #[must_use]
    pub fn owned(event: Event<'_>) -> Happening {
        match event {
            Event::Opened { file, place, from, size, placed, follows } => {
                Happening::Opened { file, place: place.into(), from, size, placed, follows }
            }
            Event::Moved { file, place } => Happening::Moved { file, place: place.into() },
            Event::Chunk { file, offset, bytes, after } => {
                Happening::Chunk { file, offset, bytes: bytes.to_vec(), after }
            }
            Event::Idle { file } => Happening::Idle { file },
            Event::Truncated { file } => Happening::Truncated { file },
            Event::Rotated { file } => Happening::Rotated { file },
            Event::Gone { file } => Happening::Gone { file },
            Event::Finished { file, after } => Happening::Finished { file, after },
            Event::Dropped { file } => Happening::Dropped { file },
            Event::Unreadable { file, path, trouble, repeated } => {
                Happening::Unreadable { file, path: path.to_path_buf(), trouble: trouble.clone(), repeated }
            }
            Event::Recovered { file, path } => Happening::Recovered { file, path: path.to_path_buf() },
            Event::PossibleLoss { path, loss } => Happening::PossibleLoss { path: path.to_path_buf(), loss },
            Event::FirstScanDone => Happening::FirstScanDone,
            Event::Reconciled => Happening::Reconciled,
        }
    }
}

/// What happened, and when it was read.
#[derive(Clone, Debug)]
pub struct Message {
    /// By the clock given to [`start`].
    pub at: Millis,
    /// What.
    pub what: Happening,
}

/// The sending end: waits when too much is on its way, and counts that.
#[derive(Clone)]
pub struct Sender {
    messages: SyncSender<Message>,
    waits: Arc<AtomicU64>,
}

impl Sender {
    /// A channel that holds [`IN_FLIGHT`] bytes.
    #[must_use]
    pub fn new() -> (Sender, Receiver<Message>) {
        let (messages, receiver) = mpsc::sync_channel(MESSAGES);
        (Sender { messages, waits: Arc::default() }, receiver)
    }

    /// False: nobody listens any more.
    pub fn send(&self, at: Millis, what: Happening) -> bool {
        match self.messages.try_send(Message { at, what }) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(message)) => {
                self.waits.fetch_add(1, Ordering::Relaxed);
                self.messages.send(message).is_ok()
            }
        }
    }

    /// How often the receiver was too slow.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }
}

enum Order {
    Stop,
    Inputs(Vec<Input>),
}

/// The thread that follows files, from outside.
pub struct Files {
    orders: mpsc::Sender<Order>,
    waits: Arc<AtomicU64>,
    thread: Option<JoinHandle<Tailer>>,
}

/// How to begin.
pub struct Beginning {
    /// What to follow.
    pub inputs: Vec<Input>,
    /// Where an earlier process was, and which inputs it followed; `None`: the very first start.
    pub restore: Option<(Vec<Position>, Vec<String>)>,
    /// So many files stay open.
    pub max_open: usize,
}

/// Starts the thread. The clock should not jump; what it says comes back in [`Message::at`].
pub fn start(
    beginning: Beginning,
    sender: Sender,
    clock: impl Fn() -> Millis + Send + 'static,
) -> io::Result<Files> {
    let (orders, received) = mpsc::channel();
    let waits = Arc::clone(&sender.waits);
    let thread = thread::Builder::new().name("files".to_owned()).spawn(move || {
        let mut tailer = Tailer::new(beginning.inputs, beginning.max_open);
        if let Some((positions, inputs)) = beginning.restore {
            tailer.restore(positions, inputs);
        }
        follow(&mut tailer, &received, &sender, &clock);
        tailer
    })?;
    Ok(Files { orders, waits, thread: Some(thread) })
}

fn follow(tailer: &mut Tailer, orders: &Receiver<Order>, sender: &Sender, clock: &impl Fn() -> Millis) {
    let mut wake = Wake::new(thread::current());
    let mut heard = true;
    let mut counted = Counters::default();
    while heard {
        match orders.try_recv() {
            Ok(Order::Inputs(inputs)) => {
                tailer.reconfigure(inputs);
                heard = sender.send(clock(), Happening::Reconfigured);
            }
            Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
        }
        if wake.take_hint() {
            tailer.hint();
        }
        let now = clock();
        let next = tailer.poll(now, &mut |event| {
            heard = heard && sender.send(now, Happening::owned(event));
        });
        if tailer.counters() != counted {
            counted = tailer.counters();
            heard = heard && sender.send(now, Happening::Counted(counted));
        }
        if wake.watch(&tailer.quiet_directories(now), now) {
            // What happened before the watch was there made no event.
            tailer.hint();
        }
        if let Some(warning) = wake.take_warning() {
            heard = heard && sender.send(now, Happening::Warning(warning));
        }
        let wait = next.saturating_sub(clock());
        if wait > 0 && heard {
            thread::park_timeout(Duration::from_millis(wait.unsigned_abs()));
        }
    }
}

impl Files {
    /// Follow these instead; what both lists match goes on where it is.
    pub fn reconfigure(&self, inputs: Vec<Input>) {
        self.order(Order::Inputs(inputs));
    }

    /// How often the receiver was too slow, for whatever is sent through the same channel.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Stops soon. The receiver has to go on receiving, or be dropped, until [`Files::join`].
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    fn order(&self, order: Order) {
        // An ended thread needs no orders.
        let _ended = self.orders.send(order);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Waits for the end, and says where every file stands by what was sent.
    #[must_use]
    pub fn join(mut self) -> Vec<Position> {
        self.stop();
        self.thread
            .take()
            .and_then(|thread| thread.join().ok())
            .map(|tailer| tailer.positions())
            .unwrap_or_default()
    }
}

/// How many files may stay open: half of what the system allows this process, and room for what else is open.
#[must_use]
pub fn max_open() -> usize {
    let limits = std::fs::read_to_string(Path::new("/proc/self/limits")).unwrap_or_default();
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = soft.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<usize>().ok());
    soft.map_or(OPEN_FILES, |soft| soft.saturating_sub(OTHERS).min(soft / 2).clamp(1, OPEN_FILES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::Start;
    use crate::tail::paths::Pattern;
    use std::collections::HashMap;
    use std::io::Write;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(20);

    fn inputs(dir: &Path, pattern: &str) -> Vec<Input> {
        let paths = vec![Pattern::new(&dir.join(pattern).display().to_string()).unwrap()];
        vec![Input { name: "test".to_owned(), paths, start: Start::Beginning }]
    }

    fn began(dir: &Path, sender: &Sender, clock: impl Fn() -> Millis + Send + 'static) -> Files {
        let beginning = Beginning { inputs: inputs(dir, "*.log"), restore: None, max_open: 10 };
        start(beginning, sender.clone(), clock).unwrap()
    }

    fn append(path: &Path, text: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Receives until the text came, in a bounded time; everything that came before it, with it.
    fn until(receiver: &Receiver<Message>, want: &str) -> String {
        let (deadline, mut text) = (Instant::now() + LONG, String::new());
        while !text.contains(want) {
            match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Message { what: Happening::Chunk { bytes, .. }, .. }) => {
                    text.push_str(&String::from_utf8_lossy(&bytes));
                }
                Ok(_) => {}
                Err(error) => unreachable!("{want} did not come ({error}), only {text:?}"),
            }
        }
        text
    }

    /// Receives until everything was looked at, at this time.
    fn looked_at(receiver: &Receiver<Message>, time: Millis) {
        let deadline = Instant::now() + LONG;
        loop {
            let message = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap();
            if matches!(message.what, Happening::Reconciled) && message.at == time {
                return;
            }
        }
    }

    #[test]
    fn an_append_is_seen_by_its_event() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        append(&log, "one\n");
        let (sender, receiver) = Sender::new();
        // A clock that stands still but for this test: no look is due unless an event brings one.
        let time = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&time);
        let files =
            began(dir.path(), &sender, move || Millis::try_from(shown.load(Ordering::Relaxed)).unwrap_or(0));
        until(&receiver, "one");
        // Quiet by now: its directory is watched, and looked at once more because of that.
        for now in [5_000i64, 5_100] {
            time.store(now.unsigned_abs(), Ordering::Relaxed);
            looked_at(&receiver, now);
        }
        append(&log, "two\n");
        time.store(5_300, Ordering::Relaxed);
        until(&receiver, "two");
        drop(files.join());
    }

    fn wall() -> impl Fn() -> Millis + Send + 'static {
        let start = Instant::now();
        move || Millis::try_from(start.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    #[test]
    fn a_slow_receiver_makes_it_wait() {
        let dir = tempfile::tempdir().unwrap();
        let text = "0123456789abcde\n".repeat(1 << 20);
        append(&dir.path().join("a.log"), &text);
        let (sender, receiver) = Sender::new();
        let files = began(dir.path(), &sender, wall());
        while sender.waits() == 0 {
            thread::yield_now();
        }
        let mut received = 0;
        let mut last: HashMap<FileId, Progress> = HashMap::new();
        while received < text.len() {
            if let Happening::Chunk { file, bytes, after, .. } = receiver.recv_timeout(LONG).unwrap().what {
                assert!(bytes.len() <= CHUNK);
                received += bytes.len();
                last.insert(file, after);
            }
        }
        assert_eq!(received, text.len());
        let positions = files.join();
        assert_eq!(
            positions.iter().map(|p| p.progress).collect::<Vec<_>>(),
            last.into_values().collect::<Vec<_>>()
        );
    }

    #[test]
    fn it_ends_when_nobody_listens() {
        let dir = tempfile::tempdir().unwrap();
        append(&dir.path().join("a.log"), &"x\n".repeat(8 << 20));
        let (sender, receiver) = Sender::new();
        let files = began(dir.path(), &sender, wall());
        drop(receiver);
        drop(files.join());
    }

    #[test]
    fn another_list_takes_effect() {
        let dir = tempfile::tempdir().unwrap();
        append(&dir.path().join("a.log"), "one\n");
        append(&dir.path().join("b.txt"), "two\n");
        let (sender, receiver) = Sender::new();
        let files = began(dir.path(), &sender, wall());
        until(&receiver, "one");
        files.reconfigure(inputs(dir.path(), "*"));
        assert!(!until(&receiver, "two").contains("one"));
        drop(files.join());
    }

    #[test]
    fn a_pipe_comes_as_it_is_written() {
        let (sender, receiver) = Sender::new();
        let thread = super::super::stdin::follow(&b"one\ntwo"[..], 3, sender, || 7).unwrap();
        thread.join().unwrap();
        let shown: Vec<String> = receiver.iter().map(|m| format!("{} {:?}", m.at, m.what)).collect();
        assert!(shown[0].starts_with("7 Opened") && shown[0].contains("input: 3"), "{}", shown[0]);
        assert!(shown[1].starts_with("7 Chunk"), "{}", shown[1]);
        assert!(shown[2].starts_with("7 Idle") && shown[3].starts_with("7 Finished"));
        assert_eq!(shown.len(), 4);
    }

    #[test]
    fn there_is_a_limit_of_open_files() {
        assert!((1..=OPEN_FILES).contains(&max_open()));
    }
}
