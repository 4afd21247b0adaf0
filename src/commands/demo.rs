//! `gatewatch demo`: the real agent follows a log in a temporary directory while one of three upstreams fails for six
//! seconds; the alert is shown as a loopback receiver got it. Needs nothing and leaves nothing.

use super::{complain, print};
use crate::agent::{self, Signals};
use crate::cli::{Cli, Command, Common};
use crate::config;
use crate::exit::Exit;
use crate::settings;
use crate::state::lock::Lock;
use clap::Parser;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

/// It gives up after so long.
const LIMIT: Duration = Duration::from_secs(30);
/// When the upstream fails, from the start of the log.
const FAULT: std::ops::Range<u64> = 2_000..8_000;
/// Requests come this often.
const EVERY: Duration = Duration::from_millis(5);

/// Runs it.
pub fn run() -> Exit {
    match demo() {
        Ok(exit) => exit,
        Err(e) => {
            complain(&format!("demo: {e}"));
            Exit::Error
        }
    }
}

/// A directory that is removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn demo() -> io::Result<Exit> {
    let folder = Folder(std::env::temp_dir().join(format!("gatewatch-demo-{}", std::process::id())));
    fs::create_dir_all(&folder.0)?;
    let log = folder.0.join("access.log");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (sender, bodies) = mpsc::channel();
    std::thread::spawn(move || receive(&listener, &sender));

    let signals = Signals::default();
    let live = settings::live(&Common::default(), configuration(&folder.0, &log, &url)?)
        .map_err(|e| io::Error::other(e.1))?;
    let (stop, path) = (Arc::clone(&signals.stop), log.clone());
    let writer = std::thread::spawn(move || write_log(&path, &stop));
    let agent = {
        let signals = signals.clone();
        std::thread::spawn(move || {
            let lock = Lock::of(&live.config.agent.state_dir);
            agent::run(live, lock, &|| Err("the demo has one configuration".to_owned()), &signals)
        })
    };
    say("Three upstreams behind a gateway; from second 2 to 8 one of them closes without an answer.\n");
    let arrived = watch(&bodies, &log);
    signals.stop.store(true, Ordering::Relaxed);
    let ended = [writer.join().map(|r| r.is_ok()), agent.join().map(|r| r.is_ok())];
    if ended.iter().any(|e| !matches!(e, Ok(true))) {
        return Err(io::Error::other("a thread failed"));
    }
    if !arrived {
        complain("demo: the alert and its end did not both arrive");
    }
    Ok(if arrived { Exit::Fine } else { Exit::Error })
}

fn say(text: &str) {
    let _ = print(text);
}

fn configuration(folder: &Path, log: &Path, url: &str) -> io::Result<config::Config> {
    let text = format!(
        "[agent]\nnode = \"demo\"\nstate_dir = {:?}\nlisten = \"off\"\nstep = \"1s\"\nlateness = \"1s\"\npresets = false\n\
         [input.file.demo]\npaths = [{:?}]\nstart = \"beginning\"\n\
         [rule.ratio.errors]\ngroup_by = [\"upstream\"]\nmatch = ['upstream!=\"\"']\nwindow = \"10s\"\n\
         above = {{ critical = \"20%\" }}\nmin_requests = 50\nmin_errors = 20\nmin_bad_steps = 2\nkeep_firing_for = \"2s\"\n\
         [notify.webhook.demo]\nurl = \"{url}\"\n",
        folder.join("state").display().to_string(),
        log.display().to_string(),
    );
    config::parse_str("the demo's configuration", &text)
        .map_err(|problems| io::Error::other(problems.to_string()))
}

/// Shows what arrives; whether both the alert and its end did.
fn watch(bodies: &Receiver<serde_json::Value>, log: &Path) -> bool {
    let started = Instant::now();
    let mut fired = false;
    while let Some(left) = LIMIT.checked_sub(started.elapsed()) {
        let Ok(body) = bodies.recv_timeout(left) else { break };
        let status = body["status"].as_str().unwrap_or_default().to_owned();
        let text = |name: &str| body["commonAnnotations"][name].as_str().unwrap_or_default().to_owned();
        let shown = format!("{}\n{}\n\n", text("summary"), text("description").trim_end());
        if status == "firing" && !fired {
            fired = true;
            table(log);
            say(&format!(
                "\nfiring, as the receiver got it after {:.1} s:\n\n{shown}",
                started.elapsed().as_secs_f64()
            ));
        } else if status == "resolved" && fired {
            say(&format!("resolved, after {:.1} s:\n\n{shown}", started.elapsed().as_secs_f64()));
            return true;
        }
    }
    false
}

/// The report on the log so far, by the command that anybody would use.
fn table(log: &Path) {
    let path = log.display().to_string();
    if let Ok(Cli { command: Command::Analyze(args) }) =
        Cli::try_parse_from(["gatewatch", "analyze", "--quiet", &path])
    {
        let _ = super::analyze::run(&args);
    }
}

/// Writes what nginx would, until it is told to stop.
fn write_log(path: &Path, stop: &AtomicBool) -> io::Result<()> {
    let mut file = File::create(path)?;
    let started = Instant::now();
    let mut i = 0u64;
    while !stop.load(Ordering::Relaxed) && started.elapsed() < LIMIT {
        let upstream = i % 3;
        let fails = upstream == 2 && FAULT.contains(&(started.elapsed().as_millis() as u64));
        let (status, header) = if fails { (502, "-") } else { (200, "0.012") };
        writeln!(
            file,
            "203.0.113.{} - - [{}] \"GET /products/{} HTTP/1.1\" {status} 512 \"-\" \"Mozilla/5.0\" rt=0.013 uct=\"0.001\" \
             uht=\"{header}\" urt=\"0.012\" ua=\"10.0.0.{}:8080\" us=\"{status}\"",
            i % 200,
            chrono::DateTime::from_timestamp_millis(crate::clock::now())
                .unwrap_or_default()
                .format("%d/%b/%Y:%H:%M:%S %z"),
            i % 40,
            11 + upstream,
        )?;
        i += 1;
        std::thread::sleep(EVERY);
    }
    Ok(())
}

/// Answers every POST with 200 and passes its body on.
fn receive(listener: &TcpListener, bodies: &Sender<serde_json::Value>) {
    for stream in listener.incoming().flatten() {
        if let Ok(body) = read_post(stream)
            && bodies.send(serde_json::from_slice(&body).unwrap_or_default()).is_err()
        {
            return;
        }
    }
}

fn read_post(mut stream: TcpStream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    // Only our own agent writes here; a body is a few kilobytes.
    let mut body = Vec::new();
    reader.take(1 << 20).take(length).read_to_end(&mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
    Ok(body)
}
