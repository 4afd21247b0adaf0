//! Syslog as nginx and HAProxy send it, over UDP, TCP, TLS and unix datagram sockets.
//!
//! - [`address`] where to listen, whom to hear · [`datagrams`] UDP and unix: a thread for each socket, which only copies
//! - [`connections`] TCP and TLS · [`frames`] a connection's bytes → messages
//! - [`ring`] what waits to be sorted, bounded · [`senders`] messages → streams · `drops` what the kernel lost

pub mod address;
pub mod connections;
pub mod datagrams;
mod drops;
pub mod frames;
pub mod ring;
pub mod senders;

pub use datagrams::Access;
pub use senders::Setup;

use super::file::{Happening, Sender};
use super::streams::Clock;
use address::{Listen, Network};
use connections::Connections;
use datagrams::Socket;
use gatewatch_parsers::Millis;
use ring::{Counters, Drain, Item, Ring};
use senders::Senders;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Messages are gathered for so long before they are handed on: a chunk costs the same with one line or a hundred.
const GATHER: Duration = Duration::from_millis(50);
/// How often streams and counters are looked after.
const TICK: Duration = Duration::from_secs(1);
/// A warning that lasts is said again after so long, at the earliest.
const WARN_EVERY: Millis = 60_000;
/// A socket that cannot be bound is tried again after so long, then after twice as long, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// `[input.syslog.NAME]`, without what every input has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Who is heard beside this host, and whose host names are believed.
    pub allow: Vec<Network>,
    /// Of unix sockets.
    pub access: Access,
    /// Of TLS.
    pub tls: Option<TlsFiles>,
}

/// What TLS needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, and those between it and its authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who must have signed the senders' certificates; `None`: they need none.
    pub client_ca: Option<PathBuf>,
}

/// A running input.
pub struct Syslog {
    ring: Option<Ring>,
    sender: Sender,
    clock: Clock,
    sorter: Option<JoinHandle<()>>,
    listeners: Vec<Listener>,
}

struct Listener {
    place: Place,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Syslog {
    /// Starts it. What cannot be bound is said, and tried again.
    #[must_use]
    pub fn start(settings: &Settings, setup: Setup, sender: Sender, clock: &Clock) -> Syslog {
        let setup = Setup { allow: settings.allow.clone(), ..setup };
        let (ring, drain) = ring::ring();
        let (to, by) = (sender.clone(), Arc::clone(clock));
        let sorter = spawn("syslog", move || sort(&drain, setup, &to, &by));
        let mut input =
            Syslog { ring: Some(ring), sender, clock: Arc::clone(clock), sorter, listeners: Vec::new() };
        input.listen(settings);
        input
    }

    /// Set up so from now on; sockets that are to listen as before stay bound.
    pub fn reconfigure(&mut self, settings: &Settings, setup: Setup) {
        let stays = |listener: &Listener| {
            settings.listen.iter().any(|listen| Place::of(listen, settings) == listener.place)
        };
        let (kept, mut gone) = std::mem::take(&mut self.listeners).into_iter().partition(stays);
        self.listeners = kept;
        end(&mut gone);
        if let Some(ring) = &self.ring {
            ring.renew(Setup { allow: settings.allow.clone(), ..setup });
        }
        self.listen(settings);
    }

    fn listen(&mut self, settings: &Settings) {
        let Some(ring) = &self.ring else { return };
        for listen in &settings.listen {
            if self.listeners.iter().any(|l| l.place.listen == *listen) {
                continue;
            }
            let stop = Arc::new(AtomicBool::new(false));
            let (place, bound) = (Place::of(listen, settings), Place::of(listen, settings));
            let (ring, sender) = (ring.clone(), self.sender.clone());
            let (clock, stopped) = (Arc::clone(&self.clock), Arc::clone(&stop));
            let thread = spawn("syslog socket", move || bound.receive(&ring, &sender, &clock, &stopped));
            self.listeners.push(Listener { place, stop, thread });
        }
    }

    /// Lets go of the sockets; what was received is still sorted and handed on.
    pub fn stop(&mut self) {
        end(&mut self.listeners);
        self.ring = None;
    }

    /// Whether everything was handed on, after [`Syslog::stop`].
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.sorter.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// Ends the threads, and waits until their addresses are free.
fn end(listeners: &mut Vec<Listener>) {
    listeners.iter().for_each(|listener| listener.stop.store(true, Ordering::Relaxed));
    for thread in listeners.drain(..).filter_map(|listener| listener.thread) {
        thread.thread().unpark();
        let _ = thread.join();
    }
}

/// A thread; without one, the system says so as of any other trouble: the input stays silent.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work).ok()
}

/// A socket to be: where, and what else of the settings decides how it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    listen: Listen,
    access: Access,
    tls: Option<TlsFiles>,
    allow: Vec<Network>,
}

/// A socket that is bound.
enum Bound {
    Datagrams(Socket),
    Connections(Connections),
}

impl Place {
    fn of(listen: &Listen, settings: &Settings) -> Place {
        let mut place =
            Place { listen: listen.clone(), access: Access::default(), tls: None, allow: Vec::new() };
        match listen {
            Listen::Udp(_) => {}
            Listen::Unix(_) => place.access = settings.access.clone(),
            Listen::Tcp(_) => place.allow.clone_from(&settings.allow),
            Listen::Tls(_) => {
                place.allow.clone_from(&settings.allow);
                place.tls.clone_from(&settings.tls);
            }
        }
        place
    }

    /// What is worth saying, with it.
    fn bind(&self) -> io::Result<(Bound, Option<String>)> {
        let datagrams = |(socket, warning)| (Bound::Datagrams(socket), warning);
        match &self.listen {
            Listen::Udp(address) => datagrams::bind_udp(*address).map(datagrams),
            Listen::Unix(path) => datagrams::bind_unix(path, &self.access).map(datagrams),
            Listen::Tcp(_) | Listen::Tls(_) => {
                let bound = Connections::bind(&self.listen, self.tls.as_ref(), &self.allow)?;
                Ok((Bound::Connections(bound), None))
            }
        }
    }

    fn receive(&self, ring: &Ring, sender: &Sender, clock: &Clock, stop: &AtomicBool) {
        let mut wait = RETRY.0;
        let mut said = String::new();
        let say = |text: String| sender.send(clock(), Happening::Warning(text));
        while !stop.load(Ordering::Relaxed) {
            let received = self.bind().and_then(|(bound, warning)| {
                let shown = match &bound {
                    Bound::Datagrams(socket) => socket.shown(),
                    Bound::Connections(connections) => connections.shown(),
                };
                say(format!("listening on {shown}"));
                if let Some(warning) = warning {
                    say(format!("{}: {warning}", self.listen));
                }
                match bound {
                    Bound::Datagrams(socket) => {
                        socket.receive(ring, &|| clock(), stop);
                        Ok(())
                    }
                    Bound::Connections(connections) => connections.receive(ring, clock, stop),
                }
            });
            let Err(error) = received else { return };
            if error.to_string() != said {
                said = error.to_string();
                say(format!("{}: {said}: cannot listen there, trying again", self.listen));
            }
            thread::park_timeout(wait);
            wait = (wait * 2).min(RETRY.1);
        }
    }
}

/// Sorts what the receivers put into the ring, until there are none any more.
fn sort(drain: &Drain, setup: Setup, sender: &Sender, clock: &Clock) {
    let mut senders = Senders::new(setup, Arc::clone(&drain.counters));
    let mut losses = Losses::default();
    let mut ticked = Instant::now();
    loop {
        let out = &mut |what| sender.send(clock(), what);
        let mut more = drain.next(TICK);
        let first = Instant::now();
        let mut heard = true;
        // Until what came together is gathered, or a chunk of it is full and was handed on.
        while let Ok(item) = more {
            heard = match item {
                Item::Batch(batch) => {
                    batch.iter().all(|(peer, message)| senders.take(peer, message, batch.at, out))
                }
                Item::Renew(setup) => senders.renew(setup, out),
            };
            let left = GATHER.saturating_sub(first.elapsed());
            if !heard || left.is_zero() {
                more = Err(RecvTimeoutError::Timeout);
                break;
            }
            more = drain.next(left);
        }
        heard = heard && senders.settle(out);
        let ended = matches!(more, Err(RecvTimeoutError::Disconnected));
        if ended || ticked.elapsed() >= TICK {
            ticked = Instant::now();
            heard = heard && losses.tell(&senders, &drain.counters, clock(), out);
            heard = heard && senders.tidy(clock(), out);
        }
        if ended || !heard {
            senders.finish(out);
            return;
        }
    }
}

/// What of the counters was told.
#[derive(Default)]
struct Losses {
    lost: u64,
    said: [u64; 7],
    at: Option<Millis>,
}

impl Losses {
    /// Hands on what was lost since the last time, and says what goes wrong, not too often.
    fn tell(
        &mut self,
        senders: &Senders,
        counters: &Counters,
        now: Millis,
        out: &mut senders::Out<'_>,
    ) -> bool {
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (kernel, ring) = (get(&counters.kernel_drops), get(&counters.ring_drops));
        let count = (kernel + ring).saturating_sub(self.lost);
        let mut heard = true;
        // Nothing is lost before something came, so that there is a stream to tell it of.
        if let (1.., Some(file)) = (count, senders.latest()) {
            self.lost += count;
            heard = out(Happening::Lost { file, count });
        }
        let now_is = [
            (kernel, "messages were lost in the kernel's queue: net.core.rmem_max may be raised"),
            (ring, "messages were lost here: they come faster than they are counted"),
            (get(&counters.truncated), "messages were longer than 64 KiB, and cut"),
            (get(&counters.refused), "messages came from senders that `allow` does not list"),
            (get(&counters.bad_frames), "connections were closed: what they sent is no syslog framing"),
            (get(&counters.closed), "connections were closed: too many, or silent for too long"),
            (senders.crowded, "messages of more hosts than are told apart were counted as one"),
        ];
        if !heard || self.at.is_some_and(|at| now.saturating_sub(at) < WARN_EVERY) {
            return heard;
        }
        for ((n, what), said) in now_is.iter().zip(&mut self.said) {
            if *n > *said {
                heard = heard
                    && out(Happening::Warning(format!("input {}: {} {what}", senders.name(), *n - *said)));
                *said = *n;
                self.at = Some(now);
            }
        }
        heard
    }
}
