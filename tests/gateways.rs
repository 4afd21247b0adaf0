//! Real nginx and real HAProxy in front of upstreams that fail in one known way: the agent follows their logs, and the
//! alert arrives, names the failing upstream, and says why; also after SIGHUP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::servers::{Certificates, Server, lacks_servers};
use support::{Behaviour, Process, Traffic, Webhook, program, skip, upstream, wait_for};

/// Paths, and the servers behind each: only the second one fails.
type Servers<'a> = [(&'a str, [SocketAddr; 3])];

/// A gateway that runs, and where its access log is.
struct Gateway {
    _process: Process,
    socket: PathBuf,
    log: PathBuf,
}

/// What fails, how the log will say it, and what the label is called.
struct Case {
    path: &'static str,
    behaviour: Behaviour,
    reason: &'static str,
}

const NGINX: [Case; 4] = [
    Case { path: "/refuse", behaviour: Behaviour::Refuse, reason: "connection_failed" },
    Case { path: "/close", behaviour: Behaviour::Close, reason: "invalid_response" },
    Case { path: "/hang", behaviour: Behaviour::Hang, reason: "connection_read_timeout" },
    Case { path: "/own502", behaviour: Behaviour::Own502, reason: "upstream_response" },
];

const HAPROXY: [Case; 4] = [
    Case { path: "/refuse", behaviour: Behaviour::Refuse, reason: "connection_failed" },
    Case { path: "/close", behaviour: Behaviour::Close, reason: "connection_terminated" },
    Case { path: "/hang", behaviour: Behaviour::Hang, reason: "connection_read_timeout" },
    Case { path: "/own502", behaviour: Behaviour::Own502, reason: "upstream_response" },
];

fn nginx(dir: &Path, servers: &Servers<'_>) -> Option<Gateway> {
    let program = program("nginx")?;
    let (socket, log) = (dir.join("nginx.sock"), dir.join("access.log"));
    let mut pools = String::new();
    let mut locations = String::new();
    for (path, addresses) in servers {
        let name = path.trim_start_matches('/');
        let list: String = addresses.iter().map(|a| format!("server {a} max_fails=0; ")).collect();
        pools += &format!("upstream u_{name} {{ {list} }}\n");
        locations += &format!("location {path} {{ proxy_pass http://u_{name}; }}\n");
    }
    let d = dir.display();
    let conf = format!(
        "daemon off; master_process off; pid {d}/nginx.pid; error_log {d}/error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
         client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\n\
         log_format upstream '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
         \"$http_referer\" \"$http_user_agent\" rt=$request_time uct=\"$upstream_connect_time\" uht=\"$upstream_header_time\" \
         urt=\"$upstream_response_time\" ua=\"$upstream_addr\" us=\"$upstream_status\"';\n\
         access_log {} upstream;\n\
         proxy_connect_timeout 1s; proxy_read_timeout 1s; proxy_next_upstream off;\n\
         {pools}server {{ listen unix:{}; {locations} }}\n}}\n",
        log.display(),
        socket.display()
    );
    fs::write(dir.join("nginx.conf"), conf).unwrap();
    let mut command = Command::new(program);
    command.args(["-c", &format!("{d}/nginx.conf"), "-p", &format!("{d}/"), "-e", &format!("{d}/error.log")]);
    Some(started(Process::start(&mut command), socket, log))
}

fn haproxy(dir: &Path, servers: &Servers<'_>) -> Option<Gateway> {
    let program = program("haproxy")?;
    let (socket, log) = (dir.join("haproxy.sock"), dir.join("haproxy.log"));
    let mut backends = String::new();
    let mut rules = String::new();
    for (path, addresses) in servers {
        let name = path.trim_start_matches('/');
        rules += &format!("  use_backend b_{name} if {{ path_beg {path} }}\n");
        backends += &format!("backend b_{name}\n");
        for (i, address) in addresses.iter().enumerate() {
            backends += &format!("  server s{i} {address}\n");
        }
    }
    let conf = format!(
        "global\n  log stdout len 8192 format raw local0\n\
         defaults\n  mode http\n  log global\n  option httplog\n  timeout connect 1s\n  timeout client 5s\n  timeout server 1s\n  retries 0\n\
         frontend fe\n  bind unix@{}\n{rules}  default_backend b_refuse\n{backends}",
        socket.display()
    );
    fs::write(dir.join("haproxy.cfg"), conf).unwrap();
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
    command.stdout(fs::File::create(&log).unwrap()).stderr(Stdio::null());
    Some(started(Process::start(&mut command), socket, log))
}

fn started(process: Process, socket: PathBuf, log: PathBuf) -> Gateway {
    wait_for("the gateway's socket", Duration::from_secs(10), || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok().then_some(())
    });
    Gateway { _process: process, socket, log }
}

/// Every way a mail can go: the receiver's name, its server.
struct Mail {
    certificates: Certificates,
    servers: [(&'static str, Server); 3],
}

impl Mail {
    fn start() -> Mail {
        let certificates = Certificates::new();
        let servers = [
            ("starttls", Server::smtp("starttls", &certificates, false)),
            ("implicit", Server::smtp("implicit", &certificates, false)),
            ("password", Server::smtp("starttls", &certificates, true)),
        ];
        std::fs::write(certificates.path("password"), "correct horse\n").unwrap();
        Mail { certificates, servers }
    }

    /// The tables of its receivers.
    fn config(&self) -> String {
        let table = |(name, server): &(&str, Server)| {
            let scheme = if *name == "implicit" { "smtps" } else { "smtp" };
            let login = match *name {
                "password" => format!(
                    "username = \"gatewatch\"\npassword_file = {:?}\n",
                    self.certificates.path("password")
                ),
                _ => String::new(),
            };
            format!(
                "[notify.email.{name}]\nsmtp = \"{scheme}://localhost:{}\"\nca_file = {:?}\n{login}\
                 from = \"gatewatch@example.net\"\nto = [\"duty@example.net\"]\n",
                server.port,
                self.certificates.path("ca.pem")
            )
        };
        self.servers.iter().map(table).collect()
    }

    /// Waits for the mail that says it, at each of them.
    fn wait(&self, upstream: &str, reason: &str) {
        for (name, server) in &self.servers {
            // Bounded: each mail is waited for so long, and there are two per case at most.
            let mail = (0..20).map(|_| server.next()).find(|mail| {
                let subject = mail["subject"].as_str().unwrap();
                subject.starts_with("[FIRING critical]") && subject.contains(upstream)
            });
            let mail = mail.unwrap_or_else(|| panic!("{name}: no mail names {upstream}"));
            assert!(mail["text"].as_str().unwrap().contains(reason), "{name}: no {reason} in {mail}");
            assert_eq!(mail["tls"], true, "{name}");
            assert_eq!(mail["user"] == "gatewatch", *name == "password", "{name}");
        }
    }
}

fn config(dir: &Path, gateway: &Gateway, webhook: &Webhook, mail: Option<&Mail>, rule: &str) -> PathBuf {
    let path = dir.join("gatewatch.toml");
    let text = format!(
        "[agent]\nnode = \"edge-1\"\nstate_dir = \"{}\"\nstep = \"1s\"\nlateness = \"1s\"\npresets = false\n\
         [input.file.gateway]\npaths = [\"{}\"]\nstart = \"beginning\"\n\
         [rule.ratio.{rule}]\ngroup_by = [\"upstream\"]\nmatch = ['upstream!=\"\"']\nwindow = \"5s\"\nabove = {{ critical = \"5%\" }}\n\
         min_requests = 5\nmin_errors = 3\nkeep_firing_for = \"2s\"\n\
         [notify.webhook.ops]\nurl = \"{}\"\n{}",
        dir.join("state").display(),
        gateway.log.display(),
        webhook.url,
        mail.map(Mail::config).unwrap_or_default()
    );
    fs::write(&path, text).unwrap();
    path
}

fn alerts(
    start: fn(&Path, &Servers<'_>) -> Option<Gateway>,
    cases: &[Case],
    name_of: impl Fn(&Case, [SocketAddr; 3]) -> String,
) {
    let dir = tempfile::tempdir().unwrap();
    let servers: Vec<(&str, [SocketAddr; 3])> = cases
        .iter()
        .map(|c| (c.path, [upstream(Behaviour::Ok), upstream(c.behaviour), upstream(Behaviour::Ok)]))
        .collect();
    let Some(gateway) = start(dir.path(), &servers) else { return skip("the gateway is not installed") };
    let webhook = Webhook::start();
    let mail = (!lacks_servers()).then(Mail::start);
    let config_path = config(dir.path(), &gateway, &webhook, mail.as_ref(), "first");
    let mut agent =
        Process::start(Command::new(env!("CARGO_BIN_EXE_gatewatch")).arg("run").arg("-c").arg(&config_path));

    for (i, case) in cases.iter().enumerate() {
        if i == cases.len() / 2 {
            // Half of the cases are seen after a reload that renames the rule.
            config(dir.path(), &gateway, &webhook, mail.as_ref(), "second");
            agent.signal("HUP");
        }
        let expected = name_of(case, servers[i].1);
        let traffic = Traffic::to(&gateway.socket, case.path);
        let is_ours = |status: &str, body: &serde_json::Value| {
            body["status"] == status
                && body["alerts"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|a| a["labels"]["upstream"] == expected.as_str())
        };
        let body =
            webhook.wait(&format!("{} firing", case.path), Duration::from_secs(25), |b| is_ours("firing", b));
        drop(traffic);
        if let Some(mail) = &mail {
            mail.wait(&expected, case.reason);
        }
        let alert = body["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|a| a["labels"]["upstream"] == expected.as_str())
            .unwrap();
        assert_eq!(alert["labels"]["severity"], "critical");
        let text = alert["annotations"]["description"].as_str().unwrap();
        assert!(text.contains(case.reason), "{}: {} not in:\n{text}", case.path, case.reason);
        let rule = if i < cases.len() / 2 { "first" } else { "second" };
        assert_eq!(alert["labels"]["alertname"], rule);
    }

    agent.signal("TERM");
    let status = agent.end_within(Duration::from_secs(5)).expect("SIGTERM ends it within 5 s");
    assert!(status.success(), "{status}");
}

#[test]
fn nginx_alerts_name_the_upstream_and_the_reason() {
    alerts(nginx, &NGINX, |_, addresses| addresses[1].to_string());
}

#[test]
fn haproxy_alerts_name_the_server_and_the_reason() {
    alerts(haproxy, &HAPROXY, |case, _| format!("b_{}/s1", case.path.trim_start_matches('/')));
}
