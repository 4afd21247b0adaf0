//! Where messages are heard that a program sends by syslog or writes to its standard output.

use super::Place;
use super::host::Host;
use super::rsyslog::Rsyslog;
use std::net::IpAddr;

/// syslog's own port: not ours to listen at.
const SYSLOG_PORT: u16 = 514;
/// Ports below need a privilege that we do not have.
const PRIVILEGED: u16 = 1024;
const JOURNALD: [&str; 3] =
    ["/run/systemd/journal", "/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald"];
/// Where the system's own syslog is heard.
const SYSTEM: [&str; 3] = ["/dev/log", "/run/systemd/journal/dev-log", "/var/run/log"];

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    /// As it names itself in the header.
    pub(super) program: &'a str,
    /// As systemd names it.
    pub(super) unit: &'a str,
    /// Its facility.
    pub(super) facility: &'a str,
}

/// Where its messages go that are sent to the system's log.
pub(super) fn system(host: &dyn Host, sender: Sender<'_>) -> Place {
    let rsyslog = Rsyslog::read(host);
    let target = rsyslog.target_of(sender.program, sender.facility);
    // Without its main file rsyslog is not installed: a rule that the proxy's package brought along writes nothing.
    if let Some(target) = target.clone().filter(|t| rsyslog.is_installed || host.has(&t.file)) {
        return Place::File(target.file);
    }
    if JOURNALD.iter().any(|path| host.has(path)) {
        return Place::Journal(sender.unit.to_owned());
    }
    match target {
        Some(target) => Place::File(target.file),
        None => Place::Elsewhere(
            "the system's log, which no rsyslog and no journal of this host is known to keep".to_owned(),
        ),
    }
}

/// A path whose variables (`$name`, `${name}`) match anything; what a pattern would take for its own is taken as it stands.
pub(super) fn pattern(path: &str) -> String {
    let mut pattern = String::new();
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => {
                if chars.next_if_eq(&'{').is_some() {
                    while chars.next().is_some_and(|c| c != '}') {}
                } else {
                    while chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
                }
                if !pattern.ends_with('*') {
                    pattern.push('*');
                }
            }
            c => pattern.push_str(&literal(c.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern
}

/// A path as a pattern that means just it.
pub(super) fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
        match c {
            '*' | '?' | '[' => pattern.extend(['[', c, ']']),
            // Here it would begin a label.
            '<' => pattern.push('?'),
            c => pattern.push(c),
        }
    }
    pattern
}

/// Where its standard output goes: systemd keeps it.
pub(super) fn output(unit: &str) -> Place {
    Place::Journal(unit.to_owned())
}

/// Where its messages go that are sent to an address: `127.0.0.1:5140`, `localhost`, `/run/x.sock`, `unix:/dev/log`.
pub(super) fn socket(host: &dyn Host, address: &str, sender: Sender<'_>) -> Place {
    let path = address.strip_prefix("unix:").or_else(|| address.strip_prefix("unix@")).unwrap_or(address);
    if path.starts_with('/') {
        let is_rsyslogs = || Rsyslog::read(host).sockets.iter().any(|s| s == path);
        if SYSTEM.contains(&path) || path.ends_with("/dev/log") || is_rsyslogs() {
            return system(host, sender);
        }
        if host.has(path) {
            return Place::Elsewhere(format!("unix:{path}, where something else listens"));
        }
        return Place::Socket(format!("unix://{path}"));
    }
    let (name, port) = split(address);
    let local = match name {
        "localhost" | "" | "*" => Some(IpAddr::from([127, 0, 0, 1])),
        name => name.parse().ok().filter(IpAddr::is_loopback),
    };
    let Some(local) = local else { return Place::Elsewhere(format!("{address}, another host")) };
    let rsyslog = Rsyslog::read(host);
    if rsyslog.ports.contains(&port) || (port == SYSLOG_PORT && rsyslog.is_installed) {
        return system(host, sender);
    }
    if port < PRIVILEGED {
        return Place::Elsewhere(format!("{address}, where no syslog is known to listen"));
    }
    if is_taken(host, port) {
        return Place::Elsewhere(format!("{address}, where something listens already"));
    }
    let local = std::net::SocketAddr::new(local, port);
    Place::Socket(format!("udp://{local}"))
}

/// An address and its port; syslog's, if it has none.
fn split(address: &str) -> (&str, u16) {
    if let Some((inside, rest)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inside, rest.strip_prefix(':').and_then(|port| port.parse().ok()).unwrap_or(SYSLOG_PORT));
    }
    match address.rsplit_once(':') {
        // More than one colon and no brackets: the address alone.
        Some((name, port)) if !name.contains(':') => (name, port.parse().unwrap_or(SYSLOG_PORT)),
        _ => (address, SYSLOG_PORT),
    }
}

/// Whether the kernel has a socket at this UDP port.
fn is_taken(host: &dyn Host, port: u16) -> bool {
    let hex = format!(":{port:04X}");
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|table| {
        let text = host.text(table).unwrap_or_default();
        text.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&hex)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::tests::Texts;

    #[test]
    fn where_messages_are_heard() {
        let rule = ":programname, startswith, \"haproxy\" /var/log/haproxy.log\n";
        let installed: &[(&str, &str)] = &[("/etc/rsyslog.conf", rule)];
        let left_over: &[(&str, &str)] = &[("/etc/rsyslog.d/49-haproxy.conf", rule)];
        let journal: &[(&str, &str)] =
            &[("/etc/rsyslog.d/49-haproxy.conf", rule), ("/run/systemd/journal", "")];
        let taken: &[(&str, &str)] =
            &[("/proc/net/udp", "  sl  local_address\n  1: 0100007F:1414 00000000:0000 07\n")];
        let file = || Place::File("/var/log/haproxy.log".to_owned());
        let unit = || Place::Journal("haproxy.service".to_owned());
        let udp = |at: &str| Place::Socket(format!("udp://{at}"));
        let table = [
            (installed, "/dev/log", file()),
            (installed, "unix:/dev/log", file()),
            (installed, "/var/lib/haproxy/dev/log", file()),
            (installed, "127.0.0.1", file()),
            (installed, "localhost:514", file()),
            (installed, "127.0.0.1:5140", udp("127.0.0.1:5140")),
            (installed, "[::1]:5140", udp("[::1]:5140")),
            (installed, "/run/x.sock", Place::Socket("unix:///run/x.sock".to_owned())),
            (left_over, "/dev/log", file()),
            (journal, "/dev/log", unit()),
            (
                taken,
                "127.0.0.1:5140",
                Place::Elsewhere("127.0.0.1:5140, where something listens already".to_owned()),
            ),
            (taken, "127.0.0.1:5141", udp("127.0.0.1:5141")),
            (taken, "10.0.0.9:5140", Place::Elsewhere("10.0.0.9:5140, another host".to_owned())),
        ];
        let sender = Sender { program: "haproxy", unit: "haproxy.service", facility: "local0" };
        for (texts, address, place) in table {
            assert_eq!(socket(&Texts(texts), address, sender), place, "{address}");
        }
        assert!(matches!(system(&Texts(&[]), sender), Place::Elsewhere(_)));
    }
}
