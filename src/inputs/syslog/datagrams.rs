//! UDP and unix datagrams: a thread for each socket, which does nothing but copy them into the ring, so that the kernel's
//! queue is empty when the next burst comes.

use super::address::Peer;
use super::drops::Drops;
use super::ring::{Batch, Ring, count};
use gatewatch_parsers::Millis;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, getsockopt, recvmmsg, setsockopt, sockopt};
use std::fs;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest datagram that is taken whole; UDP has none that are longer.
const DATAGRAM: usize = 64 * 1024;
/// Datagrams taken in one call.
const AT_ONCE: usize = 32;
/// What the kernel is asked to keep for us: half a second of 40,000 messages a second.
const RECEIVE_BUFFER: usize = 16 << 20;
/// So many messages should wait in a unix socket's queue.
const QUEUE: u32 = 512;
/// Between two calls that found the queue short: waking for each datagram costs more than the datagram.
const PAUSE: Duration = Duration::from_millis(1);
/// How often a thread that waits looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often the kernel's drops are looked at.
const DROPS_EVERY: Duration = Duration::from_secs(1);

/// A socket that gives datagrams.
pub enum Socket {
    /// Messages of hosts.
    Udp(UdpSocket),
    /// Messages of this host's processes; the path to remove at the end, and the inode that is ours.
    Unix(UnixDatagram, PathBuf, u64),
}

/// Who may write to a unix socket, beside us.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// Its permissions: 0o660 unless told otherwise.
    pub mode: u32,
    /// Its group's name or number; `None`: ours.
    pub group: Option<String>,
}

impl Default for Access {
    fn default() -> Access {
        Access { mode: 0o660, group: None }
    }
}

/// Binds a UDP socket with a large queue; what is worth saying, with it.
///
/// # Errors
/// The system says no.
pub fn bind_udp(address: std::net::SocketAddr) -> io::Result<(Socket, Option<String>)> {
    let socket = UdpSocket::bind(address)?;
    let warning = enlarge(&socket, RECEIVE_BUFFER);
    Ok((Socket::Udp(socket), warning))
}

/// Asks for a queue of so many bytes. The kernel cuts in silence, so it is asked what it gave.
fn enlarge(socket: &impl AsFd, bytes: usize) -> Option<String> {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        let _cut = setsockopt(socket, sockopt::RcvBuf, &bytes);
    }
    // It gives twice what it was asked for, to keep its books in, and says so.
    let given = getsockopt(socket, sockopt::RcvBuf).unwrap_or(0) / 2;
    (given < bytes).then(|| {
        format!(
            "its receive buffer is {given} bytes of {bytes}: bursts may be lost; set sysctl net.core.rmem_max={bytes}"
        )
    })
}

/// Binds a unix datagram socket. What lies at its path is removed only if it is a socket that nobody listens at.
///
/// # Errors
/// The system says no, or something else is there.
pub fn bind_unix(path: &Path, access: &Access) -> io::Result<(Socket, Option<String>)> {
    if let Ok(meta) = fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "is there, and is no socket"));
        }
        match UnixDatagram::unbound()?.connect(path) {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            // Connected, or of another type: somebody listens there.
            Ok(()) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            Err(e) => return Err(e),
        }
    }
    let socket = UnixDatagram::bind(path)?;
    let socket = Socket::Unix(socket, path.to_owned(), fs::symlink_metadata(path)?.ino());
    permit(path, access)?;
    let queue = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap_or_default();
    let short = queue.trim().parse().is_ok_and(|length: u32| length < QUEUE);
    let warning = short.then(|| {
        format!("its queue holds {} messages: writers drop what comes faster; set sysctl net.unix.max_dgram_qlen={QUEUE}", queue.trim())
    });
    Ok((socket, warning))
}

fn permit(path: &Path, access: &Access) -> io::Result<()> {
    if let Some(group) = &access.group {
        let gid = group_id(group)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no group `{group}`")))?;
        std::os::unix::fs::chown(path, None, Some(gid))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode))
}

fn group_id(group: &str) -> Option<u32> {
    group.parse().ok().or_else(|| {
        let groups = fs::read_to_string("/etc/group").ok()?;
        groups.lines().find_map(|line| {
            let mut parts = line.split(':');
            (parts.next()? == group).then(|| parts.nth(1)?.parse().ok())?
        })
    })
}

impl Socket {
    /// Where it is bound: what a port of 0 became.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Socket::Udp(socket) => {
                socket.local_addr().map_or_else(|_| "udp".to_owned(), |address| format!("udp {address}"))
            }
            Socket::Unix(_, path, _) => format!("unix {}", path.display()),
        }
    }

    /// Receives until told to stop, or until nobody takes what comes.
    pub fn receive(self, ring: &Ring, clock: &impl Fn() -> Millis, stop: &AtomicBool) {
        let (fd, drops) = match &self {
            Socket::Udp(socket) => {
                let _ = socket.set_read_timeout(Some(PATIENCE));
                (socket.as_raw_fd(), Drops::of(socket).ok())
            }
            Socket::Unix(socket, ..) => {
                let _ = socket.set_read_timeout(Some(PATIENCE));
                (socket.as_raw_fd(), None)
            }
        };
        let pause = matches!(self, Socket::Udp(_)).then_some(PAUSE);
        let mut watch = Watch { drops, looked: Instant::now(), received: false };
        let mut space = vec![0u8; AT_ONCE * DATAGRAM];
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(AT_ONCE, None);
        let mut heard = true;
        while heard && !stop.load(Ordering::Relaxed) {
            let mut slices: Vec<_> =
                space.chunks_exact_mut(DATAGRAM).map(|part| [IoSliceMut::new(part)]).collect();
            match recvmmsg(fd, &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
                Ok(results) => {
                    let mut batch = Batch::new(clock());
                    let mut truncated = 0;
                    for message in results {
                        truncated += u64::from(message.flags.contains(MsgFlags::MSG_TRUNC));
                        let bytes = message.iovs().next().unwrap_or_default();
                        batch.push(peer(message.address.as_ref()), bytes);
                    }
                    count(&ring.counters.truncated, truncated);
                    watch.received = true;
                    let short = batch.len() < AT_ONCE;
                    heard = ring.put(batch);
                    if let Some(pause) = pause.filter(|_| short) {
                        std::thread::sleep(pause);
                    }
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // A full system, an interface that went down: it may pass, and must not spin.
                Err(_) => std::thread::sleep(PATIENCE),
            }
            watch.look(ring);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Another process may have put its own there since.
        if let Socket::Unix(_, path, inode) = self
            && fs::symlink_metadata(&*path).is_ok_and(|meta| meta.ino() == *inode)
        {
            let _ = fs::remove_file(path);
        }
    }
}

fn peer(address: Option<&SockaddrStorage>) -> Peer {
    let v4 = address.and_then(SockaddrStorage::as_sockaddr_in).map(|a| IpAddr::from(a.ip()));
    let v6 = || address.and_then(SockaddrStorage::as_sockaddr_in6).map(|a| IpAddr::from(a.ip()));
    v4.or_else(v6).map_or(Peer::Local, Peer::of)
}

/// Looks at the kernel's drops: while messages come, and once after the last one. A socket that gave none dropped none.
struct Watch {
    drops: Option<Drops>,
    looked: Instant,
    received: bool,
}

impl Watch {
    fn look(&mut self, ring: &Ring) {
        let Some(drops) = self.drops.as_mut().filter(|_| self.received) else { return };
        if self.looked.elapsed() < DROPS_EVERY {
            return;
        }
        (self.looked, self.received) = (Instant::now(), false);
        count(&ring.counters.kernel_drops, drops.more().unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(path: &Path) -> io::Result<Socket> {
        bind_unix(path, &Access::default()).map(|bound| bound.0)
    }

    #[test]
    fn only_a_stale_socket_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sock");
        let first = bound(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let taken = bound(&path).err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        // Removed at the end.
        drop(first);
        assert!(!path.exists());
        // One that nobody listens at any more: its process was killed.
        drop(UnixDatagram::bind(&path).unwrap());
        assert!(path.exists());
        let second = bound(&path).unwrap();
        // Another process took the path over: its socket stays.
        fs::remove_file(&path).unwrap();
        let other = UnixDatagram::bind(&path).unwrap();
        drop(second);
        assert!(path.exists());
        drop(other);
        fs::remove_file(&path).unwrap();
        // Whatever else is there stays there.
        fs::write(&path, "x").unwrap();
        assert!(bound(&path).err().unwrap().to_string().contains("no socket"));
        assert_eq!(fs::read(&path).unwrap(), b"x");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(bound(&path).is_err());
    }

    #[test]
    fn modes_and_groups() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sock");
        let access = Access { mode: 0o622, group: None };
        drop(bind_unix(&path, &access).unwrap().0);
        let access = Access { mode: 0o660, group: Some("no-such-group".to_owned()) };
        assert!(bind_unix(&path, &access).err().unwrap().to_string().contains("no-such-group"));
        assert!(!path.exists());
        assert_eq!((group_id("root"), group_id("17")), (Some(0), Some(17)));
    }

    #[test]
    fn a_queue_that_is_cut_is_said() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(enlarge(&socket, 65_536), None);
        let said = enlarge(&socket, 1 << 30);
        // Root may have what it wants.
        assert!(said.is_none_or(|said| said.contains("net.core.rmem_max")));
    }

    #[test]
    fn a_datagram_that_is_too_long_is_cut_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sock");
        let socket = bound(&path).unwrap();
        let from = UnixDatagram::unbound().unwrap();
        from.send_to(&vec![b'x'; DATAGRAM + 1], &path).unwrap();
        from.send_to(b"short", &path).unwrap();
        let (ring, drain) = super::super::ring::ring();
        let counters = std::sync::Arc::clone(&ring.counters);
        let stop = AtomicBool::new(false);
        let lengths = std::thread::scope(|scope| {
            scope.spawn(|| socket.receive(&ring, &|| 0, &stop));
            let mut lengths = Vec::new();
            while lengths.len() < 2 {
                if let super::super::ring::Item::Batch(batch) = drain.next(Duration::from_secs(20)).unwrap() {
                    lengths.extend(batch.iter().map(|(peer, message)| (peer, message.len())));
                }
            }
            stop.store(true, Ordering::Relaxed);
            lengths
        });
        assert_eq!(lengths, [(Peer::Local, DATAGRAM), (Peer::Local, 5)]);
        assert_eq!(counters.truncated.load(Ordering::Relaxed), 1);
    }
}
