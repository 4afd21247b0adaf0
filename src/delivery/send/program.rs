//! One program, run to its end: what its exit code means.

use super::{failed, retry};
use crate::notification::Outcome;
use crate::notifiers::Program;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// "Temporary failure: try again", in sysexits.h.
const EX_TEMPFAIL: i32 = 75;
/// So much is read of what it complains.
const COMPLAINT_MAX: u64 = 1_024;
/// A child of its own may hold its standard error open; nobody waits for that.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Its text is not yet clean.
pub(super) async fn run(program: &Program) -> Outcome {
    let spawned = Command::new(&program.program)
        .args(program.args.iter().map(|arg| arg.expose()))
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (*name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A group of its own: what it starts ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if is_passing(&error) => return retry(&format!("cannot be started: {error}"), false),
        Err(error) => return failed(&format!("cannot be started: {error}")),
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let timeout = Duration::from_millis(program.timeout.max(0).unsigned_abs());
    let ended = tokio::time::timeout(timeout, talk(&mut child, &program.input)).await;
    if let (Err(_), Some(group)) = (&ended, group) {
        // With all that it has started. Nobody has waited for it yet: the number is still its own.
        let _ = kill_process_group(group, Signal::KILL);
    }
    match ended {
        Ok((Ok(status), complaint)) => meaning(status, &complaint),
        Ok((Err(error), _)) => retry(&format!("cannot be waited for: {error}"), true),
        Err(_) => retry(&format!("took longer than {} s and was killed", timeout.as_secs()), true),
    }
}

/// Memory, processes or files are short, or it is being replaced.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ExecutableFileBusy, OutOfMemory, WouldBlock};
    matches!(error.kind(), WouldBlock | OutOfMemory | ExecutableFileBusy)
        || matches!(error.raw_os_error(), Some(23 | 24))
}

/// Gives it its input and hears its complaints until it ends. One that reads nothing is no error.
async fn talk(child: &mut Child, input: &str) -> (io::Result<ExitStatus>, String) {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let give = async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let mut complaint = Vec::new();
    let hear = async {
        if let Some(stderr) = stderr {
            let mut stderr = stderr.take(COMPLAINT_MAX);
            while matches!(stderr.read_buf(&mut complaint).await, Ok(n) if n > 0) {}
            // The rest is read, or it would wait for us.
            let _ = tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await;
        }
    };
    let status = {
        let talk = async { tokio::join!(give, hear) };
        tokio::pin!(talk);
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(LAST_WORDS, &mut talk).await;
                status
            }
            _ = &mut talk => child.wait().await,
        }
    };
    (status, String::from_utf8_lossy(&complaint).into_owned())
}

fn meaning(status: ExitStatus, complaint: &str) -> Outcome {
    use std::os::unix::process::ExitStatusExt as _;
    let why = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}: {}", complaint.trim()),
        (None, signal) => format!("killed by signal {}: {}", signal.unwrap_or(0), complaint.trim()),
    };
    let why = why.trim_end_matches([':', ' ']);
    match status.code() {
        Some(0) => Outcome::Sent,
        Some(EX_TEMPFAIL) => retry(why, false),
        Some(_) => failed(why),
        // Somebody killed it half-way.
        None => retry(why, true),
    }
}
