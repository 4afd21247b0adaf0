//! From a change to a message that has arrived: the outbox decides, a notifier renders, one thread sends.

mod flight;
mod missed;
pub mod outbox;
mod pace;
mod queue;
pub mod send;
mod standing;

use crate::notification::Outcome;
use crate::notifiers::Delivery;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Deliveries that wait for the thread. There is one per receiver at most, so this is reached only with as many.
const WAITING_MAX: usize = 64;
/// Deliveries under way at once: receivers that hang hold up no other.
const AT_ONCE: usize = WAITING_MAX;

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// [`Delivery::id`]
    pub id: u64,
    /// [`Delivery::receiver`]
    pub receiver: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// The thread that sends.
#[derive(Debug)]
pub struct Courier {
    deliveries: mpsc::Sender<Delivery>,
    stop: oneshot::Sender<Duration>,
    thread: JoinHandle<()>,
}

impl Courier {
    /// Starts the thread. `done` is called on it, once for every delivery that it took and did not have to give up at
    /// the end; it must not block for long.
    pub fn start(done: impl Fn(Done) + Send + 'static) -> io::Result<Courier> {
        send::install_crypto();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (deliveries, taken) = mpsc::channel(WAITING_MAX);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("delivery".into()).spawn(move || {
            runtime.block_on(run(taken, stopped, done));
            // A name that is being looked up cannot be interrupted; it must not hold up the end.
            runtime.shutdown_background();
        })?;
        Ok(Courier { deliveries, stop, thread })
    }

    /// Hands over a delivery. If there are too many, what becomes of it comes back at once.
    pub fn send(&self, delivery: Delivery) -> Result<(), Done> {
        self.deliveries.try_send(delivery).map_err(|error| {
            let (delivery, why) = match error {
                TrySendError::Full(delivery) => (delivery, "too many deliveries under way"),
                TrySendError::Closed(delivery) => (delivery, "the delivery thread has ended"),
            };
            let Delivery { id, receiver, .. } = delivery;
            Done {
                id,
                receiver,
                outcome: Outcome::Retry { after: None, why: why.into(), may_have_arrived: false },
            }
        })
    }

    /// Takes no more, and waits for what it has taken, at most for `grace`. What it gives up is in the outbox still, and
    /// goes out after the next start.
    pub fn stop(self, grace: Duration) {
        // Both fail only if the thread has ended by itself, and then there is nothing to stop.
        let _ = self.stop.send(grace);
        let _ = self.thread.join();
    }
}

async fn run(
    mut deliveries: mpsc::Receiver<Delivery>,
    mut stopped: oneshot::Receiver<Duration>,
    done: impl Fn(Done),
) {
    let mut under_way = JoinSet::new();
    let grace = loop {
        tokio::select! {
            grace = &mut stopped => break grace.unwrap_or_default(),
            Some(delivery) = deliveries.recv(), if under_way.len() < AT_ONCE => {
                under_way.spawn(deliver(delivery));
            }
            Some(one) = under_way.join_next() => one.into_iter().for_each(&done),
        }
    };
    deliveries.close();
    while let Ok(delivery) = deliveries.try_recv() {
        under_way.spawn(deliver(delivery));
    }
    let rest = async {
        while let Some(one) = under_way.join_next().await {
            one.into_iter().for_each(&done);
        }
    };
    // Timed out or not: it ends.
    let _ = tokio::time::timeout(grace, rest).await;
}

/// In a task of its own: whatever happens in there, its end is told, or its receiver would wait for ever.
async fn deliver(delivery: Delivery) -> Done {
    let (id, receiver) = (delivery.id, delivery.receiver.clone());
    let sending = tokio::spawn(async move { send::send(&delivery, send::TIMEOUT).await });
    let crashed = |_| Outcome::Failed { why: "sending crashed; please report this".into() };
    Done { id, receiver, outcome: sending.await.unwrap_or_else(crashed) }
}
