//! Sockets: what real gateways and recorded ones send comes to the same as their log files; what is lost is counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use gatewatch::inputs::file::{Happening, Message, Sender};
use gatewatch::inputs::streams::{Kind, Streams, Wanted};
use gatewatch::inputs::syslog::Settings;
use gatewatch::inputs::syslog::address::Listen;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use support::agent::{Agent, Place, lines};
use support::servers::Certificates;
use support::{Behaviour, Process, get, program, skip, upstream, wait_for};

const SOON: Duration = Duration::from_secs(30);

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|b| *b == b'\n').collect()
}

/// The port that a running agent says it listens at.
fn port(agent: &Agent, transport: &str) -> SocketAddr {
    let said = agent.says(&format!("listening on {transport} "));
    said.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A datagram; while the receiver's queue is full, the sender waits, as a gateway would not.
fn send_unix(socket: &UnixDatagram, path: &Path, message: &[u8]) {
    wait_for("room in the socket's queue", SOON, || socket.send_to(message, path).ok());
}

fn octets(message: &[u8]) -> Vec<u8> {
    [message.len().to_string().as_bytes(), b" ", message].concat()
}

/// Sends over TLS, and closes well.
fn send_tls(certificates: &Certificates, to: SocketAddr, bytes: &[u8]) {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_file(certificates.path("ca.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, TcpStream::connect(to).unwrap());
    stream.write_all(bytes).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
}

/// What `analyze` says of these bytes.
fn analyzed(bytes: &[u8]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    fs::write(&path, bytes).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    let output =
        command.args(["analyze", "--format", "json", "--min-parsed", "0%"]).arg(path).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is counted of a log: name, condition, number.
fn counts(reports: &[Value]) -> Vec<(String, String, u64)> {
    let sum = |path: &str| {
        reports.iter().map(|r| r.pointer(path).and_then(Value::as_u64).unwrap_or(0)).sum::<u64>()
    };
    let mut counts = vec![("errors".to_owned(), String::new(), sum("/gateway_errors"))];
    for status in ["502", "503", "504"] {
        counts.push((
            format!("s{status}"),
            format!("status = [{status}]\n"),
            sum(&format!("/status/{status}")),
        ));
    }
    for name in ["masked", "abandoned", "aborted", "failed_attempts"] {
        counts.push((name.to_owned(), format!("counts = \"{name}\"\n"), sum(&format!("/{name}"))));
    }
    counts
}

/// For each number a rule that fires when it is reached, and one that fires beyond.
fn rules(counts: &[(String, String, u64)]) -> String {
    let mut text = String::new();
    for (name, condition, n) in counts {
        let common = format!("group_by = [\"input\"]\nwindow = \"1m\"\n{condition}");
        if *n > 0 {
            let _ = write!(text, "[rule.count.{name}-reached]\n{common}above = {}\n", n - 1);
        }
        let _ = write!(text, "[rule.count.{name}-over]\n{common}above = {n}\n");
    }
    text
}

/// The input has reached each number, and passed none.
fn all_reached(agent: &Agent, counts: &[(String, String, u64)], input: &str) {
    for (name, _, n) in counts.iter().filter(|count| count.2 > 0) {
        let said = agent.says(&format!("{name}-reached: {input} "));
        assert!(said.contains(&format!(" {n} errors")), "{said}");
    }
    let said = agent.said();
    assert!(!said.contains("-over:"), "{said}");
}

/// A way to send, the table of its input, and what is sent how.
const TRANSPORTS: [&str; 5] = ["udp", "unix", "octets", "lines", "tls"];

fn table(transport: &str, place: &Place, certificates: &Certificates) -> String {
    let listen = match transport {
        "udp" => "udp://127.0.0.1:0".to_owned(),
        "unix" => format!("unix://{}", place.path("log.sock").display()),
        "tls" => "tls://127.0.0.1:0".to_owned(),
        _ => "tcp://127.0.0.1:0".to_owned(),
    };
    let files = match transport {
        "tls" => format!(
            "cert_file = {:?}\nkey_file = {:?}\n",
            certificates.path("cert.pem"),
            certificates.path("key.pem")
        ),
        _ => String::new(),
    };
    format!("[input.syslog.{transport}]\nlisten = [\"{listen}\"]\n{files}")
}

fn send(transport: &str, agent: &Agent, place: &Place, certificates: &Certificates, list: &[&[u8]]) {
    let framed = || list.iter().flat_map(|message| octets(message)).collect::<Vec<u8>>();
    match transport {
        "udp" => {
            let (socket, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), port(agent, "udp"));
            list.iter().for_each(|message| assert!(socket.send_to(message, to).is_ok()));
        }
        "unix" => {
            agent.says("listening on unix ");
            let socket = UnixDatagram::unbound().unwrap();
            socket.set_nonblocking(true).unwrap();
            list.iter().for_each(|message| send_unix(&socket, &place.path("log.sock"), message));
        }
        "octets" => TcpStream::connect(port(agent, "tcp")).unwrap().write_all(&framed()).unwrap(),
        "lines" => TcpStream::connect(port(agent, "tcp")).unwrap().write_all(&list.concat()).unwrap(),
        _ => send_tls(certificates, port(agent, "tls"), &framed()),
    }
}

/// The bytes that gateways sent, over each transport, are what the file with them is.
#[test]
fn every_transport_gives_what_the_file_gives() {
    if program("openssl").is_none() {
        return skip("no openssl to make certificates");
    }
    let certificates = Certificates::new();
    let all: &[&str] = &TRANSPORTS;
    for (name, transports) in [
        ("nginx-access.syslog", all),
        ("haproxy.local.log", &["udp", "unix"]),
        ("haproxy.rfc5424.log", &["octets", "tls"]),
        // Lines without a header: a connection's first digit would be a length.
        ("haproxy.raw.log", &["udp", "octets"]),
    ] {
        let bytes = fs::read(corpus(&format!("nginx-haproxy/{name}"))).unwrap();
        let counts = counts(&[analyzed(&bytes)]);
        assert!(counts[0].2 > 10, "{name}: {counts:?}");
        for transport in transports {
            // nginx sends no line end, HAProxy does.
            let bare = name.starts_with("nginx") && *transport != "lines";
            let list: Vec<&[u8]> =
                messages(&bytes).into_iter().map(|m| if bare { m.trim_ascii_end() } else { m }).collect();
            let place = Place::new();
            place.configure(&(table(transport, &place, &certificates) + &rules(&counts)));
            let mut agent = place.run_configured();
            send(transport, &agent, &place, &certificates, &list);
            all_reached(&agent, &counts, transport);
            agent.ends("TERM");
            assert!(!place.path("log.sock").exists());
        }
    }
}

/// nginx and HAProxy in one socket: each program's format is found.
#[test]
fn programs_that_share_a_socket() {
    let bytes = fs::read(corpus("lab/syslog-raw.log")).unwrap();
    let of = |nginx: bool| -> Vec<u8> {
        let is_nginx = |line: &&[u8]| String::from_utf8_lossy(line).contains(" nginx: ") == nginx;
        messages(&bytes).into_iter().filter(is_nginx).collect::<Vec<_>>().concat()
    };
    let counts = counts(&[analyzed(&of(true)), analyzed(&of(false))]);
    assert!(counts[0].2 > 10, "{counts:?}");
    let place = Place::new();
    place.configure(
        &("[input.syslog.lines]\nlisten = [\"tcp://127.0.0.1:0\"]\n".to_owned() + &rules(&counts)),
    );
    // It spans 79 s: sixty longer steps hold it.
    let file = place.path("gatewatch.toml");
    let text = fs::read_to_string(&file).unwrap().replace("step = \"1s\"", "step = \"2s\"");
    fs::write(&file, text.replace("window = \"1m\"", "window = \"2m\"")).unwrap();
    let mut agent = place.run_configured();
    TcpStream::connect(port(&agent, "tcp")).unwrap().write_all(&bytes).unwrap();
    all_reached(&agent, &counts, "lines");
    agent.ends("TERM");
}

/// Both gateways, each logging to a UDP socket and to a unix one.
fn gateways(place: &Place, programs: (&Path, &Path), ports: &[SocketAddr]) -> [Process; 2] {
    let (refuses, d) = (upstream(Behaviour::Refuse), place.path(""));
    let d = d.display();
    fs::write(
        place.path("nginx.conf"),
        format!(
            "daemon off; master_process off; pid {d}/nginx.pid; error_log {d}/error.log;\nevents {{}}\nhttp {{\n\
             client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\n\
             access_log syslog:server={}; access_log syslog:server=unix:{d}/nx.sock,nohostname,tag=ngx;\n\
             server {{ listen unix:{d}/nginx.sock; location / {{ proxy_pass http://{refuses}; }} }} }}\n",
            ports[0]
        ),
    )
    .unwrap();
    fs::write(
        place.path("haproxy.cfg"),
        format!(
            "global\n  log {} len 8192 local0\n  log {d}/hx.sock len 8192 local0\n\
             defaults\n  mode http\n  log global\n  option httplog\n  timeout connect 1s\n  timeout client 5s\n  timeout server 1s\n  retries 0\n\
             frontend fe\n  bind unix@{d}/haproxy.sock\n  default_backend b\nbackend b\n  server s1 {refuses}\n",
            ports[1]
        ),
    )
    .unwrap();
    let mut command = Command::new(programs.0);
    command.args(["-c", &format!("{d}/nginx.conf"), "-p", &format!("{d}/"), "-e", &format!("{d}/error.log")]);
    let nginx = Process::start(&mut command);
    let mut command = Command::new(programs.1);
    command.arg("-db").arg("-f").arg(place.path("haproxy.cfg")).stdout(Stdio::null()).stderr(Stdio::null());
    [nginx, Process::start(&mut command)]
}

/// Real gateways in front of a server that refuses: ten requests are ten errors, over UDP and a unix socket.
#[test]
fn real_gateways_send_to_sockets() {
    let (Some(nginx), Some(haproxy)) = (program("nginx"), program("haproxy")) else {
        return skip("no nginx or no haproxy");
    };
    let place = Place::new();
    place.configure(
        &["nu", "nx", "hu", "hx"]
            .map(|name| {
                let listen = if name.ends_with('u') {
                    "udp://127.0.0.1:0".to_owned()
                } else {
                    format!("unix://{}", place.path(&format!("{name}.sock")).display())
                };
                format!(
                    "[input.syslog.{name}]\nlisten = [\"{listen}\"]\n\
                     [rule.count.{name}-reached]\ngroup_by = [\"input\", \"node\"]\nmatch = ['input=\"{name}\"']\nwindow = \"1m\"\nabove = 9\n\
                     [rule.count.{name}-over]\ngroup_by = [\"input\"]\nmatch = ['input=\"{name}\"']\nwindow = \"1m\"\nabove = 10\n"
                )
            })
            .concat(),
    );
    let mut agent = place.run_configured();
    wait_for("two ports", SOON, || (agent.count("listening on udp") == 2).then_some(()));
    let ports: Vec<SocketAddr> = agent
        .said()
        .lines()
        .filter(|l| l.contains("listening on udp"))
        .map(|l| l.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    for name in ["nx.sock", "hx.sock"] {
        wait_for("a socket", SOON, || place.path(name).exists().then_some(()));
    }
    let _gateways = gateways(&place, (&nginx, &haproxy), &ports);
    for (socket, status) in [("nginx.sock", 502), ("haproxy.sock", 503)] {
        let socket = place.path(socket);
        wait_for("the gateway", SOON, || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok().then_some(())
        });
        for _ in 0..10 {
            assert_eq!(get(&socket, "/x"), status);
        }
    }
    // The node is the agent's own: a local process names no other.
    for name in ["nu", "nx", "hu", "hx"] {
        agent.says(&format!("{name}-reached: edge-1 10 errors"));
    }
    assert!(!agent.said().contains("-over:"), "{}", agent.said());
    agent.ends("TERM");
}

/// Started in this process: what is heard, and the port of the first socket.
fn started(listen: &str) -> (Streams, Receiver<Message>, SocketAddr) {
    let (sender, receiver) = Sender::new();
    let start = Instant::now();
    let mut streams = Streams::new(sender, Arc::new(move || start.elapsed().as_millis() as i64));
    let settings = Settings { listen: vec![Listen::parse(listen).unwrap()], ..Settings::default() };
    let wanted = Wanted {
        name: "edge".into(),
        kind: Kind::Syslog(settings),
        has_node: false,
        counted_by: String::new(),
    };
    streams.reconfigure(vec![wanted], &BTreeMap::new());
    let said = receiver.recv_timeout(SOON).unwrap();
    let Happening::Warning(said) = said.what else { panic!("{said:?}") };
    let port = said.rsplit(' ').next().unwrap().parse().unwrap();
    (streams, receiver, port)
}

/// Far more than anybody takes: what came and what is said to be lost are what was sent.
#[test]
fn a_flood_is_counted_to_the_last_message() {
    let (mut streams, receiver, port) = started("udp://127.0.0.1:0");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sent = 60_000;
    let text = [b'x'; 1_000];
    for _ in 0..sent {
        socket.send_to(&text, port).unwrap();
    }
    // Nobody took anything so far: channel, ring and kernel are full.
    let (mut came, mut lost) = (0, 0);
    let end = Instant::now() + SOON;
    while came + lost < sent && Instant::now() < end {
        match receiver.recv_timeout(Duration::from_millis(100)).map(|message| message.what) {
            Ok(Happening::Chunk { bytes, .. }) => came += messages(&bytes).len() as u64,
            Ok(Happening::Lost { count, .. }) => lost += count,
            _ => {}
        }
    }
    assert_eq!(came + lost, sent, "{came} came, {lost} are lost");
    assert!(lost > 0 && came > 1_000, "{came} came, {lost} are lost");
    // And again everything comes.
    for _ in 0..100 {
        socket.send_to(b"y", port).unwrap();
    }
    let mut more = 0;
    while more < 100 {
        if let Happening::Chunk { bytes, .. } = receiver.recv_timeout(SOON).unwrap().what {
            more += messages(&bytes).len();
        }
    }
    streams.stop();
    wait_for("its end", SOON, || {
        while receiver.try_recv().is_ok() {}
        streams.is_ended().then_some(())
    });
}

/// A connection is never dropped for want of room: it waits.
#[test]
fn connections_wait_for_a_slow_reader() {
    let (mut streams, receiver, port) = started("tcp://127.0.0.1:0");
    let sent = 60_000;
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(port).unwrap();
        for _ in 0..sent {
            stream.write_all(&octets(&[b'x'; 1_000])).unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    let mut came = 0;
    while came < sent {
        match receiver.recv_timeout(SOON).unwrap().what {
            Happening::Chunk { bytes, .. } => came += messages(&bytes).len(),
            Happening::Lost { count, .. } => panic!("{count} are lost"),
            _ => {}
        }
    }
    sender.join().unwrap();
    streams.stop();
}

/// A stopped reader, and more than the kernel keeps for it.
#[test]
fn what_the_kernel_drops_is_said() {
    let place = Place::new();
    place.configure(
        "[input.syslog.edge]\nlisten = [\"udp://127.0.0.1:0\"]\n[rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\n\
         window = \"1m\"\nseverity = \"critical\"\n",
    );
    let mut agent = place.run_configured();
    let port = port(&agent, "udp");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(lines(1, 1, 200).as_bytes(), port).unwrap();
    agent.says("following edge:127.0.0.1/-");
    agent.process.signal("STOP");
    let line = lines(1, 1, 200);
    for _ in 0..200_000 {
        socket.send_to(line.as_bytes(), port).unwrap();
    }
    agent.process.signal("CONT");
    let said = agent.says("were lost in the kernel's queue");
    let lost: u64 = said.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!((1..200_000).contains(&lost), "{said}");
    // Every verdict that it touches says so, and status what can be promised of such an input.
    wait_for("an alert", SOON, || {
        // The queue may be full still.
        for _ in 0..12 {
            socket.send_to(lines(1, 2, 502).as_bytes(), port).unwrap();
        }
        std::thread::sleep(Duration::from_millis(500));
        (agent.count("FIRING critical ten") > 0).then_some(())
    });
    let said = agent.says("FIRING critical ten: 10.0.0.2:8080");
    assert!(said.contains("(undercount: "), "{said}");
    let status = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
        let command = command.args(["status", "-c", "gatewatch.toml"]).args(more).current_dir(place.path(""));
        String::from_utf8(command.env("COLUMNS", "160").output().unwrap().stdout).unwrap()
    };
    let view: Value = serde_json::from_str(&status(&["--format", "json"])).unwrap();
    let input = &view["inputs"][0];
    assert_eq!((&input["kind"], &input["promise"]), (&"syslog".into(), &"at_most_once".into()), "{view:#}");
    assert!(input["lost"].as_u64().unwrap() >= lost, "{view:#}");
    assert!(view["alerts"][0]["undercount"].as_u64().unwrap() >= lost, "{view:#}");
    let table = status(&[]);
    assert!(table.contains("firing, undercount") && table.contains("at most once"), "{table}");
    agent.ends("TERM");
}

/// What floods a socket takes nothing from a file: its lines are counted once each, and what the socket lost is said.
#[test]
fn a_flood_takes_nothing_from_a_file() {
    let place = Place::new();
    let log = place.path("access.log");
    std::fs::write(&log, "").unwrap();
    place.configure(&format!(
        "[input.syslog.edge]\nlisten = [\"udp://127.0.0.1:0\"]\n[input.file.own]\npaths = [{:?}]\nstart = \"beginning\"\n",
        log.display().to_string()
    ));
    let mut agent = place.run_configured();
    let port = port(&agent, "udp");
    agent.says("access.log from byte");
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let flood = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let line = lines(1, 1, 200);
        let mut sent = 0u64;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            sent += u64::from(socket.send_to(line.as_bytes(), port).is_ok());
        }
        sent
    });
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    let mut written = 0;
    for _ in 0..100 {
        file.write_all(lines(200, 2, 200).as_bytes()).unwrap();
        written += 200;
        std::thread::sleep(Duration::from_millis(20));
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let sent = flood.join().unwrap();
    let of = |snapshot: &gatewatch::state::Snapshot, input: &str| {
        let mut sum = gatewatch::state::Lines::default();
        snapshot.files.iter().filter(|file| file.input == input).for_each(|file| sum += file.lines);
        snapshot.counters.gone.iter().filter(|(name, _)| *name == input).for_each(|(_, lines)| sum += *lines);
        sum
    };
    let snapshot = agent.saved(&place, "everything", |snapshot| {
        of(snapshot, "own").parsed >= written && {
            let heard = of(snapshot, "edge");
            heard.read + heard.lost >= sent
        }
    });
    assert_eq!(of(&snapshot, "own").parsed, written);
    let heard = of(&snapshot, "edge");
    assert_eq!(heard.read + heard.lost, sent, "{heard:?}");
    agent.ends("TERM");
}

/// Only what changed is bound anew; what is gone is let go.
#[test]
fn a_reload_keeps_sockets() {
    let place = Place::new();
    let tables = |node: &str, more: &str| {
        format!(
            "[input.syslog.edge]\nlisten = [\"udp://127.0.0.1:0\"{more}]\nnode = \"{node}\"\n\
             [rule.count.ten]\ngroup_by = [\"node\"]\nabove = 9\nwindow = \"30s\"\nkeep_firing_for = \"1s\"\n"
        )
    };
    let unix = format!(", \"unix://{}\"", place.path("log.sock").display());
    place.configure(&tables("one", &unix));
    let mut agent = place.run_configured();
    let port = port(&agent, "udp");
    agent.says("listening on unix ");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |upstream| {
        for _ in 0..10 {
            socket.send_to(lines(1, upstream, 502).as_bytes(), port).unwrap();
        }
    };
    send(1);
    agent.says("ten: one ");
    place.configure(&tables("two", ""));
    agent.process.signal("HUP");
    agent.says("configuration reloaded");
    wait_for("the socket to go", SOON, || (!place.path("log.sock").exists()).then_some(()));
    send(1);
    agent.says("ten: two ");
    assert_eq!(agent.count("listening on"), 2, "{}", agent.said());
    // A bad one changes nothing.
    place.configure("[input.syslog.edge]\nlisten = [\"udp://0.0.0.0:0\"]\n");
    agent.process.signal("HUP");
    agent.says("the old one stays");
    place.configure(&tables("three", ""));
    agent.process.signal("HUP");
    wait_for("the reload", SOON, || (agent.count("configuration reloaded") == 2).then_some(()));
    send(1);
    agent.says("ten: three ");
    agent.ends("TERM");
}

/// A socket that cannot be bound costs that socket only, and is tried again.
#[test]
fn an_address_in_use_is_tried_again() {
    let place = Place::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    fs::write(place.path("no.sock"), "").unwrap();
    place.configure(&format!(
        "[input.syslog.edge]\nlisten = [\"udp://{address}\", \"unix://{}\", \"tcp://127.0.0.1:0\"]\n",
        place.path("no.sock").display()
    ));
    let mut agent = place.run_configured();
    agent.says("Address already in use");
    agent.says("is there, and is no socket");
    agent.says("listening on tcp");
    drop(taken);
    agent.says(&format!("listening on udp {address}"));
    assert_eq!(agent.count("Address already in use"), 1);
    agent.ends("TERM");
}
