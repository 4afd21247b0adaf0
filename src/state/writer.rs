//! The thread that writes snapshots: a sync may take as long as a disk likes, and counting goes on meanwhile.

use super::store::Store;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The thread, from outside. One snapshot is in flight at most.
#[derive(Debug)]
pub struct Writer {
    payloads: Option<SyncSender<Vec<u8>>>,
    written: Receiver<io::Result<u64>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(mut store: Store) -> io::Result<Writer> {
        let (payloads, taken) = mpsc::sync_channel::<Vec<u8>>(1);
        let (told, written) = mpsc::channel();
        let thread = thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            while let Ok(payload) = taken.recv() {
                if told.send(store.write(&payload)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Writer { payloads: Some(payloads), written, thread: Some(thread) })
    }

    /// Hands over a payload. The one before must have been heard of.
    pub fn submit(&self, payload: Vec<u8>) {
        if let Some(payloads) = &self.payloads {
            // An ended thread is heard of when its answer is asked for.
            let _ = payloads.try_send(payload);
        }
    }

    /// What became of it, if that is known: its number once it is durable. Waits for it this long.
    pub fn heard(&self, wait: Duration) -> Option<io::Result<u64>> {
        let ended = || Err(io::Error::other("its thread has ended"));
        if wait.is_zero() {
            return match self.written.try_recv() {
                Ok(written) => Some(written),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(ended()),
            };
        }
        match self.written.recv_timeout(wait) {
            Ok(written) => Some(written),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(ended()),
        }
    }

    /// Ends the thread. One that still waits for its disk is left to it.
    pub fn stop(mut self, is_idle: bool) {
        drop(self.payloads.take());
        if let Some(thread) = self.thread.take().filter(|_| is_idle) {
            let _ = thread.join();
        }
    }
}
