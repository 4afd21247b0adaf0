//! Servers of tests/servers: a real aiosmtpd, a webhook behind TLS. Certificates by openssl.

use super::{Process, skip};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// What does not come within this does not come.
const WAIT: Duration = Duration::from_secs(25);
/// Debian's python3-aiosmtpd is for Debian's Python, whatever comes first in PATH.
pub const PYTHON: &str = "/usr/bin/python3";

/// Whether the machine has no mail server for tests: said, and in CI a failure.
pub fn lacks_servers() -> bool {
    let works = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !works(Command::new("openssl").arg("version")) {
        skip("no openssl to make certificates");
        return true;
    }
    if !works(Command::new(PYTHON).args(["-c", "import aiosmtpd"])) {
        skip("no aiosmtpd (Debian: python3-aiosmtpd)");
        return true;
    }
    false
}

/// A certificate authority of our own, and a certificate for localhost by it.
pub struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// Makes them.
    pub fn new() -> Certificates {
        Certificates::with("DNS:localhost,IP:127.0.0.1", "2")
    }

    /// A certificate for these names and so many days.
    pub fn with(names: &str, days: &str) -> Certificates {
        let folder = tempfile::tempdir().unwrap();
        let sign = format!(
            "x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -out cert.pem -extfile san"
        );
        let steps = [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ca.key -out ca.pem \
             -subj /CN=tests -addext basicConstraints=critical,CA:TRUE",
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.csr \
             -subj /CN=localhost",
            &sign,
        ];
        std::fs::write(folder.path().join("san"), format!("subjectAltName={names}\n")).unwrap();
        for step in steps {
            let mut command = Command::new("openssl");
            let output = command.args(step.split_whitespace()).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{step}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Certificates { folder }
    }

    /// `ca.pem`, `cert.pem`, `key.pem`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A server of tests/servers; ends with its value.
pub struct Server {
    _process: Process,
    /// Where it listens.
    pub port: u16,
    lines: Receiver<String>,
}

impl Server {
    /// Starts it.
    pub fn start(script: &str, arguments: &[&str], certificates: &Certificates, auth: bool) -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script);
        let mut command = Command::new(PYTHON);
        command
            .arg(script)
            .args(arguments)
            .args([certificates.path("cert.pem"), certificates.path("key.pem")]);
        // aiosmtpd complains at length of what these tests do on purpose.
        command.env_remove("PASSWORD").stdout(Stdio::piped()).stderr(Stdio::null());
        if auth {
            command.env("USER", "gatewatch").env("PASSWORD", "correct horse");
        }
        let mut process = Process::start(&mut command);
        let stdout = process.0.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let port = lines.recv_timeout(WAIT).expect("the server says its port").parse().unwrap();
        Server { _process: process, port, lines }
    }

    /// A mail server: `starttls`, `implicit` or `plain`.
    pub fn smtp(mode: &str, certificates: &Certificates, auth: bool) -> Server {
        Server::start("smtp.py", &[mode], certificates, auth)
    }

    /// What it got next.
    pub fn next(&self) -> serde_json::Value {
        serde_json::from_str(&self.lines.recv_timeout(WAIT).expect("nothing came")).unwrap()
    }
}
