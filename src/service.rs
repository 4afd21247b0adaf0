//! What systemd is told of a service (`Type=notify`, sd_notify(3)): that it is ready, reloads, stops, how it is, and that
//! its engine turns. Nothing happens where nobody asked, as `NOTIFY_SOCKET` says.
//!
//! By hand: it is one datagram, and the crates for it leave out abstract sockets.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// Between two texts of how it is.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The service manager that started this process, if one did and wants to know.
#[derive(Debug, Default)]
pub struct Service {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// The watchdog is fed so often; `None`: there is none.
    feed: Option<Duration>,
    fed: Option<Instant>,
    said: Option<(Instant, String)>,
    is_ready: bool,
}

impl Service {
    /// As the environment says.
    #[must_use]
    pub fn of_environment() -> Service {
        let socket = std::env::var_os("NOTIFY_SOCKET");
        let text = |name: &str| std::env::var(name).ok();
        Service::new(socket.as_deref(), text("WATCHDOG_USEC").as_deref(), text("WATCHDOG_PID").as_deref())
    }

    fn new(socket: Option<&OsStr>, watchdog: Option<&str>, watchdog_pid: Option<&str>) -> Service {
        let to = socket.and_then(|name| {
            let address = address(name)?;
            let socket = UnixDatagram::unbound().ok()?;
            // A manager that does not listen must not hold up the engine.
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        // The variable is inherited: by its pid it says whom it means.
        let is_ours = watchdog_pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let limit = watchdog.filter(|_| is_ours && to.is_some()).and_then(|usec| usec.parse().ok());
        let feed = limit.filter(|usec| *usec > 0).map(|usec: u64| Duration::from_micros(usec / 2));
        Service { to, feed, ..Service::default() }
    }

    /// The engine has turned: feeds the watchdog, half its time after the last time. `status` is how it is, once it is
    /// ready; said when it changes, not too often.
    pub fn turned(&mut self, now: Instant, status: Option<impl FnOnce() -> String>) {
        if self.to.is_none() {
            return;
        }
        let is_due = |last: Option<Instant>, every| last.is_none_or(|last| now.duration_since(last) >= every);
        if let Some(every) = self.feed
            && is_due(self.fed, every)
        {
            self.fed = Some(now);
            self.tell("WATCHDOG=1");
        }
        let Some(status) = status else { return };
        if !self.is_ready {
            self.is_ready = true;
            self.tell("READY=1");
        }
        if is_due(self.said.as_ref().map(|said| said.0), STATUS_EVERY) {
            let text = status();
            if self.said.as_ref().is_none_or(|said| said.1 != text) {
                self.tell(&format!("STATUS={text}"));
            }
            self.said = Some((now, text));
        }
    }

    /// The configuration is being read again; [`Service::reloaded`] must follow.
    pub fn reloading(&self) {
        if !self.is_ready {
            return;
        }
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// It is read, or refused: either way the service goes on.
    pub fn reloaded(&self) {
        if self.is_ready {
            self.tell("READY=1");
        }
    }

    /// The end begins.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    /// Best effort: nobody can be told that nobody can be told.
    fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(what.as_bytes(), address);
        }
    }
}

/// `/run/systemd/notify`, or `@name` in the abstract namespace.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        [b'/', ..] => SocketAddr::from_pathname(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut all = Vec::new();
        let mut buffer = [0; 256];
        while let Ok(n) = socket.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
        all
    }

    fn life(service: &mut Service, socket: &UnixDatagram) {
        socket.set_nonblocking(true).unwrap();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let none = || None::<fn() -> String>;
        service.turned(at(0), none());
        assert_eq!(heard(socket), ["WATCHDOG=1"]);
        service.turned(at(999), none());
        assert!(heard(socket).is_empty(), "not ready before it is");
        service.turned(at(1_000), Some(|| "following 1 file".to_owned()));
        assert_eq!(heard(socket), ["WATCHDOG=1", "READY=1", "STATUS=following 1 file"]);
        service.turned(at(1_500), Some(|| "following 2 files".to_owned()));
        assert!(heard(socket).is_empty(), "not all the time");
        service.turned(at(6_000), Some(|| "following 2 files".to_owned()));
        assert_eq!(heard(socket), ["WATCHDOG=1", "STATUS=following 2 files"]);
        service.reloading();
        service.reloaded();
        service.stopping();
        let last = heard(socket);
        assert!(last[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{last:?}");
        assert!(last[0].rsplit('=').next().unwrap().parse::<u64>().unwrap() > 0);
        assert_eq!(last[1..], ["READY=1", "STOPPING=1\nSTATUS=stopping"]);
    }

    #[test]
    fn a_socket_at_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        life(&mut Service::new(Some(path.as_os_str()), Some("2000000"), None), &socket);
    }

    #[test]
    fn a_socket_without_a_path() {
        let name = format!("gatewatch-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let pid = std::process::id().to_string();
        let name = format!("@{name}");
        life(&mut Service::new(Some(OsStr::new(&name)), Some("2000000"), Some(&pid)), &socket);
    }

    #[test]
    fn a_watchdog_that_means_another_process_is_not_fed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        for (usec, pid) in
            [(Some("2000000"), Some("1")), (Some("0"), None), (Some("soon"), None), (None, None)]
        {
            let mut service = Service::new(Some(path.as_os_str()), usec, pid);
            service.turned(Instant::now(), None::<fn() -> String>);
            assert!(heard(&socket).is_empty(), "{usec:?} {pid:?}");
        }
    }

    #[test]
    fn nobody_asked_or_nobody_listens() {
        for socket in [None, Some("/nowhere/notify"), Some("relative"), Some("")] {
            let mut service = Service::new(socket.map(OsStr::new), Some("2000000"), None);
            service.turned(Instant::now(), Some(|| "fine".to_owned()));
            service.reloading();
            service.reloaded();
            service.stopping();
        }
    }
}
