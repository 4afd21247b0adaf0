//! What end-to-end tests stand on: processes that end with the test, upstreams that fail in one known way each, a
//! receiver of webhooks. Loopback only, ports chosen by the system, every wait bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod agent;
pub mod servers;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A process that ends with the test, by its own id.
pub struct Process(pub Child);

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Process {
        Process(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }

    /// Sends it a signal, by kill(1): no unsafe code here.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; `None` if it does not end in time.
    pub fn end_within(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says why a test is skipped; with CI=true that is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot be skipped in CI: {why}");
    eprintln!("skipped: {why}");
    // Who runs the tests shows it even if they pass: packaging/scripts/test.sh.
    if let Some(file) = std::env::var_os("GATEWATCH_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).open(file);
        file.and_then(|mut file| writeln!(file, "skipped: {why}")).unwrap();
    }
}

/// A program in PATH or /usr/sbin.
pub fn program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"])
        .map(|d| Path::new(d).join(name))
        .find(|p| p.is_file())
}

/// What an upstream does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers 200.
    Ok,
    /// Nobody listens.
    Refuse,
    /// Reads the request and closes without a word.
    Close,
    /// Accepts, and never answers.
    Hang,
    /// Answers bytes that are not HTTP.
    Garbage,
    /// Answers 502 itself.
    Own502,
}

/// Starts an upstream; it lives as long as the test's process.
pub fn upstream(behaviour: Behaviour) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    if behaviour == Behaviour::Refuse {
        // A port just released: the system gives it to nobody else for a while.
        return address;
    }
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, behaviour));
        }
    });
    address
}

fn serve(mut stream: TcpStream, behaviour: Behaviour) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut seen = Vec::new();
    let mut buf = [0; 4096];
    while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut buf) {
            Ok(n) if n > 0 => seen.extend_from_slice(&buf[..n]),
            _ => return,
        }
    }
    let answer: &[u8] = match behaviour {
        Behaviour::Ok => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
        Behaviour::Own502 => {
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n"
        }
        Behaviour::Garbage => b"\x00\x01 this is not http\r\n\r\n",
        Behaviour::Close | Behaviour::Refuse => return,
        Behaviour::Hang => {
            // Until the proxy gives up and closes.
            let _ = stream.read(&mut buf);
            return;
        }
    };
    let _ = stream.write_all(answer);
}

/// One request through a proxy's unix socket; returns the status, 0 for none.
pub fn get(socket: &Path, path: &str) -> u16 {
    let ask = || -> std::io::Result<u16> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0))
    };
    ask().unwrap_or(0)
}

/// Keeps asking a proxy, some hundred times a second, until it is dropped.
pub struct Traffic(Arc<AtomicBool>);

impl Traffic {
    /// This path, through the proxy's unix socket.
    pub fn to(socket: &Path, path: &'static str) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..6 {
            let (stop, socket) = (Arc::clone(&stop), socket.to_owned());
            std::thread::spawn(move || {
                // Bounded, should the test forget it.
                for _ in 0..600 {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    get(&socket, path);
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
        Traffic(stop)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until it holds; panics with `what` if it never does.
pub fn wait_for<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// With this status, and these header lines.
    Status(u16, &'static str),
    /// Not at all.
    Hang,
}

/// A loopback HTTP server that keeps what is posted to it.
pub struct Webhook {
    /// Where it listens.
    pub url: String,
    /// Bodies as they came, those that were taken.
    pub bodies: Receiver<serde_json::Value>,
    answer: Arc<Mutex<Answer>>,
    refused: Arc<AtomicUsize>,
}

impl Webhook {
    /// Starts it.
    pub fn start() -> Webhook {
        Webhook::at(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Starts it there.
    pub fn at(listener: TcpListener) -> Webhook {
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, bodies) = mpsc::channel();
        let answer = Arc::new(Mutex::new(Answer::Status(200, "")));
        let refused = Arc::new(AtomicUsize::new(0));
        let (answers, refusals) = (Arc::clone(&answer), Arc::clone(&refused));
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let Some(body) = read_post(&stream) else { continue };
                let Answer::Status(status, headers) = *answers.lock().unwrap() else {
                    refusals.fetch_add(1, Ordering::Relaxed);
                    hanging.push(stream);
                    continue;
                };
                if status == 200 {
                    let _ = sender.send(serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null));
                } else {
                    refusals.fetch_add(1, Ordering::Relaxed);
                }
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} x\r\n{headers}Content-Length: 2\r\nConnection: close\r\n\r\nok"
                );
            }
        });
        Webhook { url, bodies, answer, refused }
    }

    /// Answers so from now on.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How many posts were not taken.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// The table of this receiver.
    pub fn table(&self, name: &str) -> String {
        format!("[notify.webhook.{name}]\nurl = \"{}\"\n", self.url)
    }

    /// The first body that `wanted` accepts, and how many came before it.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let start = Instant::now();
        let mut seen = Vec::new();
        while let Some(left) = limit.checked_sub(start.elapsed()) {
            match self.bodies.recv_timeout(left) {
                Ok(body) if wanted(&body) => return body,
                Ok(body) => seen.push(body),
                Err(_) => break,
            }
        }
        panic!("waited {limit:?} in vain for {what}; came: {seen:#?}");
    }
}

/// Reads one POST.
fn read_post(stream: &TcpStream) -> Option<Vec<u8>> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
