//! Asks a running agent, over the socket in its state directory, and orders silences there.

use super::{Order, socket};
use crate::status::{SilenceView, View};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// It answers within a turn; a disk that it looks at may take longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// More is no answer of ours.
const ANSWER_MAX: u64 = 64 << 20;

/// What the agent of this state directory is doing; `None`: none is running.
///
/// # Errors
/// One may be running, and cannot be asked: why.
pub fn ask(state_dir: &Path) -> io::Result<Option<View>> {
    let Some(answer) = request(state_dir, "GET", "/status", "")? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(body(&answer)?)?))
}

/// Orders something of the agent of this state directory; the silence as it is then. `None`: none is running.
///
/// # Errors
/// It refuses, or cannot be asked: why.
pub fn order(state_dir: &Path, order: &Order) -> io::Result<Option<SilenceView>> {
    let answer = match order {
        Order::Silence(wanted) => request(state_dir, "POST", "/silences", &serde_json::to_string(wanted)?)?,
        Order::Expire(id) => request(state_dir, "POST", &format!("/silences/{id}/expire"), "")?,
    };
    let Some(answer) = answer else { return Ok(None) };
    Ok(Some(serde_json::from_slice(body(&answer)?)?))
}

fn request(state_dir: &Path, method: &str, path: &str, body: &str) -> io::Result<Option<Vec<u8>>> {
    let mut stream = match socket::connect(state_dir) {
        Ok(stream) => stream,
        Err(e) if socket::is_nobody(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // 1.0: the answer ends with the connection, and is not sent in chunks.
    let head =
        format!("{method} {path} HTTP/1.0\r\nHost: gatewatch\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "the agent does not answer: it is stuck or overloaded")
        }
        _ => e,
    })?;
    Ok(Some(answer))
}

fn body(answer: &[u8]) -> io::Result<&[u8]> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or_else(|| wrong("no answer came"))?;
    let (head, body) = answer.split_at_checked(end + 4).ok_or_else(|| wrong("no answer came"))?;
    if head.get(8..13) != Some(b" 200 ") {
        return Err(wrong(String::from_utf8_lossy(body).trim()));
    }
    Ok(body)
}
