//! Where others ask a running agent how it does: `/metrics`, `/healthz` and `/readyz` on a port, `/status` too on a socket
//! in the state directory, where silences are ordered, too. One thread serves both; the agent answers between two turns and waits for nobody.

pub mod client;
mod orders;
mod server;
mod socket;

pub use socket::{NAME, measure};

use crate::clock::Steady;
use crate::metrics::Picture;
use crate::mute::silences::Wanted;
use crate::status::SilenceView;
use gatewatch_parsers::Millis;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Questions that wait for the agent's next turn; more are refused.
const QUESTIONS_MAX: usize = 64;
/// The agent makes no more than one picture in so long, however many ask,
const PICTURE_EVERY: Duration = Duration::from_millis(100);
/// and is at it for this part of its time at most: thousands of files take long to be shown.
const PART: u32 = 50;

/// Orders that wait for it; more are refused.
const ORDERS_MAX: usize = 16;

type Question = oneshot::Sender<Arc<Picture>>;

/// What the owner of the socket may order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A silence, from now on.
    Silence(Wanted),
    /// The end of a silence.
    Expire(u64),
}

/// Where the answer to an order goes: the silence as it is then, or why it is refused.
pub type Reply = oneshot::Sender<Result<SilenceView, String>>;

/// What the serving thread tells the agent.
pub(crate) enum Word {
    /// Worth saying on stderr.
    Say(String),
    /// The port is open, here.
    Listens(SocketAddr),
}

/// The agent's end: questions come in, pictures go out.
pub struct Desk {
    questions: Receiver<Question>,
    orders: Receiver<(Order, Reply)>,
    words: Receiver<Word>,
    /// When the agent last turned, by its clock.
    beat: Arc<AtomicI64>,
    /// When the next picture may be made.
    rested: Instant,
    listens: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where to serve.
pub struct Doors {
    /// The state directory: the socket's place.
    pub state_dir: PathBuf,
    /// The port; `None`: none.
    pub listen: Option<SocketAddr>,
}

impl Desk {
    /// Opens. A door that cannot be opened is said, and tried again: it stops nothing.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn open(doors: Doors, clock: Steady) -> io::Result<Desk> {
        let (asking, questions) = mpsc::sync_channel(QUESTIONS_MAX);
        let (ordering, orders) = mpsc::sync_channel(ORDERS_MAX);
        let (saying, words) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let beat = Arc::new(AtomicI64::new(clock.now()));
        let asked = Asked { questions: asking, orders: ordering, beat: Arc::clone(&beat), clock };
        let thread = server::start(doors, asked, saying, stopped)?;
        Ok(Desk {
            questions,
            orders,
            words,
            beat,
            rested: Instant::now(),
            listens: None,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// To be called every turn: who has asked is answered. What is worth saying comes back.
    pub fn turn(&mut self, now: Millis, picture: impl FnOnce(Option<SocketAddr>) -> Picture) -> Vec<String> {
        self.beat.store(now, Ordering::Relaxed);
        let mut said = Vec::new();
        for word in self.words.try_iter() {
            match word {
                Word::Say(text) => said.push(text),
                Word::Listens(at) => self.listens = Some(at),
            }
        }
        let begun = Instant::now();
        if begun >= self.rested
            && let Ok(first) = self.questions.try_recv()
        {
            let picture = Arc::new(picture(self.listens));
            for question in std::iter::once(first).chain(self.questions.try_iter()) {
                // Who has gone needs no answer.
                let _gone = question.send(Arc::clone(&picture));
            }
            self.rested = begun + PICTURE_EVERY.max(begun.elapsed() * PART);
        }
        said
    }
}

impl Desk {
    /// What was ordered since it was asked last.
    pub fn orders(&mut self) -> Vec<(Order, Reply)> {
        self.orders.try_iter().collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// The other end of a [`Desk`].
#[derive(Clone)]
pub(crate) struct Asked {
    questions: SyncSender<Question>,
    orders: SyncSender<(Order, Reply)>,
    beat: Arc<AtomicI64>,
    clock: Steady,
}

impl Asked {
    /// The picture of the agent's next turn; `None`: too many ask already, or it has ended.
    fn ask(&self) -> Option<oneshot::Receiver<Arc<Picture>>> {
        let (reply, answer) = oneshot::channel();
        self.questions.try_send(reply).ok().map(|()| answer)
    }

    /// What becomes of an order; `None`: too many wait already, or it has ended.
    fn order(&self, order: Order) -> Option<oneshot::Receiver<Result<SilenceView, String>>> {
        let (reply, answer) = oneshot::channel();
        self.orders.try_send((order, reply)).ok().map(|()| answer)
    }

    /// How long ago the agent last turned.
    fn since_turn(&self) -> Millis {
        self.clock.now().saturating_sub(self.beat.load(Ordering::Relaxed))
    }
}
