//! Entries for the host's journal, each a datagram.

use super::{failed, retry};
use crate::notification::Outcome;
use std::io::ErrorKind;
use std::path::Path;
use tokio::net::UnixDatagram;

/// What was sent before an error comes twice: an entry too many is better than one too few.
pub(super) async fn send_all(socket: &Path, datagrams: &[Vec<u8>]) -> Outcome {
    let from = match UnixDatagram::unbound() {
        Ok(from) => from,
        Err(error) => return retry(&format!("no socket: {error}"), false),
    };
    for (i, datagram) in datagrams.iter().enumerate() {
        if let Err(error) = from.send_to(datagram, socket).await {
            let why = format!("{}: {error}", socket.display());
            return match error.kind() {
                ErrorKind::PermissionDenied => failed(&why),
                // Not there, or not listening: journald is being started again.
                _ => retry(&why, i > 0),
            };
        }
    }
    Outcome::Sent
}
