//! Asks a running agent, over the socket in its state directory.

use super::socket;
use crate::status::View;
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
    let mut stream = match socket::connect(state_dir) {
        Ok(stream) => stream,
        Err(e) if socket::is_nobody(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // 1.0: the answer ends with the connection, and is not sent in chunks.
    stream.write_all(b"GET /status HTTP/1.0\r\nHost: gatewatch\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "the agent does not answer: it is stuck or overloaded")
        }
        _ => e,
    })?;
    body(&answer).map(Some)
}

fn body(answer: &[u8]) -> io::Result<View> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or_else(|| wrong("no answer came"))?;
    let (head, body) = answer.split_at_checked(end + 4).ok_or_else(|| wrong("no answer came"))?;
    if head.get(8..13) != Some(b" 200 ") {
        return Err(wrong(String::from_utf8_lossy(body).trim()));
    }
    Ok(serde_json::from_slice(body)?)
}
