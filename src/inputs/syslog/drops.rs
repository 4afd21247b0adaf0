//! What the kernel threw away since a socket's queue was full. `/proc/net/udp` counts it for each socket, also what was
//! lost after the last message that came through, which `SO_RXQ_OVFL` would tell only with the next one.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Counts one socket's drops.
#[derive(Debug)]
pub struct Drops {
    table: &'static str,
    inode: u64,
    last: u32,
}

impl Drops {
    /// From now on.
    ///
    /// # Errors
    /// The system does not tell: `/proc` is not there.
    pub fn of(socket: &UdpSocket) -> io::Result<Drops> {
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()))?;
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse().ok());
        let inode = inode.ok_or_else(|| io::Error::other("no socket"))?;
        // Ours, not the whole system's: a network namespace has its own.
        let table = if socket.local_addr()?.is_ipv4() { "/proc/self/net/udp" } else { "/proc/self/net/udp6" };
        let mut drops = Drops { table, inode, last: 0 };
        drops.more()?;
        Ok(drops)
    }

    /// How many more there are since the last call.
    ///
    /// # Errors
    /// As [`Drops::of`].
    pub fn more(&mut self) -> io::Result<u64> {
        let now = drops_in(&fs::read_to_string(self.table)?, self.inode)
            .ok_or_else(|| io::Error::other("the socket is not listed"))?;
        // The kernel's counter is 32 bits wide, and wraps.
        Ok(u64::from(now.wrapping_sub(std::mem::replace(&mut self.last, now))))
    }
}

/// The last column of the line whose tenth is the inode.
fn drops_in(table: &str, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        (columns.nth(9)? == inode).then(|| columns.last()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n  \
        417: 0100007F:1414 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 38912 2 00000000ec66c0ad 7        \n \
        1062: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000   998        0 1234 2 0000000012a81ee1 4294967295      \n";

    #[test]
    fn the_column_of_our_inode() {
        assert_eq!(drops_in(TABLE, 38_912), Some(7));
        assert_eq!(drops_in(TABLE, 1_234), Some(u32::MAX));
        assert_eq!(drops_in(TABLE, 1), None);
        assert_eq!(drops_in("", 1), None);
    }

    #[test]
    fn what_overflows_is_counted() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &2_048).unwrap();
            let mut drops = Drops::of(&socket).unwrap();
            let to = socket.local_addr().unwrap();
            let from = UdpSocket::bind((to.ip(), 0)).unwrap();
            for _ in 0..100 {
                from.send_to(&[b'x'; 300], to).unwrap();
            }
            socket.set_nonblocking(true).unwrap();
            let kept = std::iter::from_fn(|| socket.recv(&mut [0; 400]).ok()).count() as u64;
            assert!((1..100).contains(&kept), "{kept}");
            assert_eq!((kept + drops.more().unwrap(), drops.more().unwrap()), (100, 0));
        }
    }
}
