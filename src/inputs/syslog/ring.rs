//! What was received and is not sorted yet: a queue between the threads that receive and the one that sorts, bounded by
//! its bytes. A receiver of datagrams never waits: what does not fit is counted and gone, as it would be in the kernel.

use super::address::Peer;
use super::senders::Setup;
use gatewatch_parsers::Millis;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// So many bytes may wait to be sorted, of each input.
pub const RING: usize = 8 << 20;
/// What a message costs beside its bytes.
const OVERHEAD: usize = 32;

/// Messages that came together.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Who sent each message, and where it ends in `bytes`.
    messages: Vec<(Peer, usize)>,
    /// When they came.
    pub at: Millis,
}

impl Batch {
    /// An empty one of that time.
    #[must_use]
    pub fn new(at: Millis) -> Batch {
        Batch { at, ..Batch::default() }
    }

    /// Adds a message.
    pub fn push(&mut self, peer: Peer, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.messages.push((peer, self.bytes.len()));
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages in order.
    pub fn iter(&self) -> impl Iterator<Item = (Peer, &[u8])> {
        let mut start = 0;
        self.messages.iter().map(move |(peer, end)| {
            let message = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            (*peer, message)
        })
    }

    /// What it takes of the ring.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.bytes.len() + self.messages.len() * OVERHEAD
    }
}

/// What did not go as it should, of one input since it was started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lost in the kernel: its queue was full.
    pub kernel_drops: AtomicU64,
    /// Lost here: the ring was full.
    pub ring_drops: AtomicU64,
    /// Longer than what is taken: their beginning was.
    pub truncated: AtomicU64,
    /// From senders that `allow` does not list.
    pub refused: AtomicU64,
    /// Connections closed because of a frame that is none.
    pub bad_frames: AtomicU64,
    /// Connections closed because there were too many, or because they gave no whole message in time.
    pub closed: AtomicU64,
}

/// Adds to a counter.
pub fn count(counter: &AtomicU64, more: u64) {
    if more > 0 {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

/// What the sorting thread takes out.
#[derive(Debug)]
pub enum Item {
    /// Messages.
    Batch(Batch),
    /// The input is set up so now: every stream begins anew.
    Renew(Setup),
}

/// The receiving threads' end.
#[derive(Clone)]
pub struct Ring {
    items: mpsc::Sender<Item>,
    held: Arc<AtomicUsize>,
    /// What was lost, and why.
    pub counters: Arc<Counters>,
}

/// The sorting thread's end.
pub struct Drain {
    items: Receiver<Item>,
    held: Arc<AtomicUsize>,
    /// What was lost, and why.
    pub counters: Arc<Counters>,
}

/// Both ends of an empty ring.
#[must_use]
pub fn ring() -> (Ring, Drain) {
    let (sender, items) = mpsc::channel();
    let (held, counters) = (Arc::default(), Arc::default());
    let ring = Ring { items: sender, held: Arc::clone(&held), counters: Arc::clone(&counters) };
    (ring, Drain { items, held, counters })
}

impl Ring {
    /// Whether there is room for so many bytes more.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.held.load(Ordering::Relaxed).saturating_add(bytes) <= RING
    }

    /// Puts messages in. What does not fit is counted as dropped. False: nobody takes them any more.
    pub fn put(&self, batch: Batch) -> bool {
        if !self.has_room(batch.cost()) {
            count(&self.counters.ring_drops, batch.len() as u64);
            return true;
        }
        self.held.fetch_add(batch.cost(), Ordering::Relaxed);
        self.items.send(Item::Batch(batch)).is_ok()
    }

    /// Begins every stream anew, set up so.
    pub fn renew(&self, setup: Setup) {
        // An ended thread has no streams.
        let _ended = self.items.send(Item::Renew(setup));
    }
}

impl Drain {
    /// The next item, if one is there by then.
    ///
    /// # Errors
    /// None came, or none will: nobody receives any more.
    pub fn next(&self, wait: Duration) -> Result<Item, RecvTimeoutError> {
        let item = self.items.recv_timeout(wait)?;
        if let Item::Batch(batch) = &item {
            self.held.fetch_sub(batch.cost(), Ordering::Relaxed);
        }
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(messages: usize, length: usize) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..messages {
            batch.push(Peer::Local, &vec![b'x'; length]);
        }
        batch
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut batch = Batch::default();
        for message in [&b"one"[..], b"", b"three"] {
            batch.push(Peer::Local, message);
        }
        let (ring, drain) = ring();
        assert!(ring.put(batch));
        let Ok(Item::Batch(batch)) = drain.next(Duration::ZERO) else { unreachable!() };
        assert_eq!(batch.iter().map(|m| m.1).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert!(matches!(drain.next(Duration::ZERO), Err(RecvTimeoutError::Timeout)));
        drop(ring);
        assert!(matches!(drain.next(Duration::ZERO), Err(RecvTimeoutError::Disconnected)));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (ring, drain) = ring();
        let mut put = 0;
        while ring.counters.ring_drops.load(Ordering::Relaxed) == 0 {
            assert!(ring.put(batch(32, 1_000)));
            put += 32;
        }
        let kept = put - 32;
        assert_eq!(ring.counters.ring_drops.load(Ordering::Relaxed), 32);
        assert!(kept * 1_000 > RING / 2 && kept * 1_000 < RING, "{kept}");
        // An order is never lost.
        ring.renew(Setup::default());
        drop(drain.next(Duration::ZERO));
        assert!(ring.put(batch(32, 1_000)));
        assert_eq!(ring.counters.ring_drops.load(Ordering::Relaxed), 32);
        drop(drain);
        assert!(!ring.put(batch(1, 1)));
    }
}
