//! TCP and TLS: a thread for each listening socket, a task for each connection. Here nobody is dropped: when the ring is
//! full, a connection is not read, and its sender waits.

use super::TlsFiles;
use super::address::{Listen, Network, Peer};
use super::frames::Frames;
use super::ring::{Batch, Counters, Ring, count};
use super::senders::hears;
use crate::inputs::streams::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Connections of one listening socket,
const CONNECTIONS_MAX: usize = 256;
/// and of one peer.
const OF_A_PEER: usize = 32;
/// A handshake, and a message once begun, may take so long.
const HURRY: Duration = Duration::from_secs(10);
/// A connection may be silent for so long: a proxy without requests logs none, and to close on it loses its next line.
const SILENCE: Duration = Duration::from_secs(3_600);
/// How often it is looked whether to stop.
const PATIENCE: Duration = Duration::from_millis(250);
/// While the ring is full, it is looked at so often.
const FULL: Duration = Duration::from_millis(5);
/// Bytes of a read.
const READ: usize = 64 * 1024;

/// A listening socket.
pub struct Connections {
    listener: TcpListener,
    tls: Option<Tls>,
    allow: Vec<Network>,
}

impl Connections {
    /// Binds it; with TLS, its certificate must be readable.
    ///
    /// # Errors
    /// The system says no, or the certificate is no good.
    pub fn bind(listen: &Listen, tls: Option<&TlsFiles>, allow: &[Network]) -> io::Result<Connections> {
        let address = listen.address().ok_or(io::ErrorKind::Unsupported)?;
        let tls = match listen {
            Listen::Tls(_) => Some(Tls::new(tls.ok_or(io::ErrorKind::Unsupported)?)?),
            _ => None,
        };
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Connections { listener, tls, allow: allow.to_vec() })
    }

    /// Where it is bound: what a port of 0 became.
    #[must_use]
    pub fn shown(&self) -> String {
        let word = if self.tls.is_some() { "tls" } else { "tcp" };
        self.listener.local_addr().map_or_else(|_| word.to_owned(), |address| format!("{word} {address}"))
    }

    /// Takes connections until told to stop.
    ///
    /// # Errors
    /// The system gives no event queue.
    pub fn receive(mut self, ring: &Ring, clock: &Clock, stop: &AtomicBool) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
            let mut open = Open::default();
            while !stop.load(Ordering::Relaxed) {
                while let Some(ended) = open.tasks.try_join_next() {
                    open.ended(ended.ok());
                }
                match timeout(PATIENCE, listener.accept()).await {
                    Ok(Ok((stream, from))) => self.accept(stream, from, &mut open, ring, clock),
                    // Out of file descriptors: those that are open go on, and one of them may end.
                    Ok(Err(_)) => tokio::time::sleep(PATIENCE).await,
                    Err(_) => {}
                }
            }
            Ok(())
        })
    }

    fn accept(&mut self, stream: TcpStream, from: SocketAddr, open: &mut Open, ring: &Ring, clock: &Clock) {
        let peer = Peer::of(from.ip());
        if !hears(&self.allow, peer) {
            return count(&ring.counters.refused, 1);
        }
        if !open.has_room(peer) {
            return count(&ring.counters.closed, 1);
        }
        let connection = Connection { peer, ring: ring.clone(), clock: Arc::clone(clock) };
        let acceptor = self.tls.as_mut().map(Tls::acceptor);
        open.tasks.spawn(async move {
            match acceptor {
                None => connection.read(stream, Frames::new(false)).await,
                Some(acceptor) => match timeout(HURRY, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection.read(stream, Frames::new(true)).await,
                    _ => count(&connection.ring.counters.closed, 1),
                },
            }
            peer
        });
        *open.peers.entry(peer).or_default() += 1;
    }
}

/// The connections that are open.
#[derive(Default)]
struct Open {
    tasks: JoinSet<Peer>,
    peers: HashMap<Peer, usize>,
}

impl Open {
    fn has_room(&self, peer: Peer) -> bool {
        self.tasks.len() < CONNECTIONS_MAX && self.peers.get(&peer).is_none_or(|n| *n < OF_A_PEER)
    }

    fn ended(&mut self, peer: Option<Peer>) {
        if let Some(n) = peer.and_then(|peer| self.peers.get_mut(&peer)) {
            *n = n.saturating_sub(1);
        }
        self.peers.retain(|_, n| *n > 0);
    }
}

struct Connection {
    peer: Peer,
    ring: Ring,
    clock: Clock,
}

impl Connection {
    async fn read(&self, mut stream: impl AsyncRead + Unpin, mut frames: Frames) {
        let counters: &Counters = &self.ring.counters;
        let mut buffer = vec![0; READ];
        let mut truncated = 0;
        loop {
            let limit = if frames.is_inside() { HURRY } else { SILENCE };
            let length = match timeout(limit, stream.read(&mut buffer)).await {
                Ok(Ok(length)) => length,
                Ok(Err(_)) => 0,
                Err(_) => return count(&counters.closed, 1),
            };
            let mut batch = Batch::new((self.clock)());
            let mut take = |message: &[u8]| batch.push(self.peer, message);
            let bytes = buffer.get(..length).unwrap_or_default();
            let good = frames.push(bytes, &mut take);
            if length == 0 {
                frames.finish(&mut take);
            }
            count(
                &counters.truncated,
                frames.truncated - std::mem::replace(&mut truncated, frames.truncated),
            );
            while !self.ring.has_room(batch.cost()) {
                tokio::time::sleep(FULL).await;
            }
            if !batch.is_empty() && !self.ring.put(batch) {
                return;
            }
            if good.is_err() {
                return count(&counters.bad_frames, 1);
            }
            if length == 0 {
                return;
            }
        }
    }
}

/// Our certificate, read again when its file is another one: a renewed one holds from the next connection on.
struct Tls {
    files: TlsFiles,
    stamps: Vec<Option<SystemTime>>,
    acceptor: TlsAcceptor,
}

impl Tls {
    fn new(files: &TlsFiles) -> io::Result<Tls> {
        Ok(Tls { acceptor: load(files)?, stamps: stamps(files), files: files.clone() })
    }

    fn acceptor(&mut self) -> TlsAcceptor {
        let stamps = stamps(&self.files);
        if stamps != self.stamps
            && let Ok(acceptor) = load(&self.files)
        {
            (self.stamps, self.acceptor) = (stamps, acceptor);
        }
        self.acceptor.clone()
    }
}

fn stamps(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let all = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
    all.into_iter().flatten().map(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok()).collect()
}

fn load(files: &TlsFiles) -> io::Result<TlsAcceptor> {
    let wrong = |path: &std::path::Path, e: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {e}", path.display()))
    };
    let certificates = |path: &std::path::Path| -> io::Result<Vec<CertificateDer<'static>>> {
        let list: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        list.map_err(|e| wrong(path, &e))
    };
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong(&files.key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let config = match &files.client_ca {
        None => config.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| wrong(path, &e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().map_err(|e| wrong(path, &e))?)
        }
    };
    let config = config.with_single_cert(chain, key).map_err(|e| wrong(&files.cert, &e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
