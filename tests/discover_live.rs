//! Real proxies that log as their own configurations say, and an agent that got its configuration from `init` alone: no edit
//! between the proxy's configuration and an alert that names pool, server and cause.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Behaviour, Process, Traffic, Webhook, get, program, skip, upstream, wait_for};

/// A host of our own below a temporary directory: what its files say of themselves as absolute paths holds outside, too,
/// since that directory's own path leads back to the tree's root.
struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new() -> Tree {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let within = root.join(root.strip_prefix("/").unwrap());
        fs::create_dir_all(within.parent().unwrap()).unwrap();
        symlink("/", within).unwrap();
        Tree { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a verb to its end; what it says, and its exit code.
    fn gatewatch(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
        let output = command.args(arguments).current_dir(self.folder.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// `init` for this host: what it said, and what it wrote.
    fn init(&self) -> (String, String) {
        let root = self.folder.path().to_str().unwrap();
        let (code, said) = self.gatewatch(&["init", "--root", root, "-o", "found.toml"]);
        assert_eq!(code, Some(0), "{said}");
        let written = fs::read_to_string(self.path("found.toml")).unwrap();
        let (code, checked) = self.gatewatch(&["check", "-c", "found.toml"]);
        assert_eq!(code, Some(0), "{checked}\n{written}");
        // Of the log alone: that nobody is told, and that this host has no state directory, is true.
        for mistake in ["no file matches", "may not be read", "buffer=", "log_format"] {
            let warned = checked.lines().filter(|line| line.contains("warning") && line.contains(mistake));
            assert_eq!(warned.count(), 0, "{checked}");
        }
        (said, written)
    }

    /// An agent with what `init` wrote; beside it stands only what makes a test quick, and who is told.
    fn run(&self, group_by: &str, webhook: &Webhook) -> Process {
        let quick = format!(
            "[agent]\nstate_dir = {:?}\nlisten = \"127.0.0.1:0\"\nstep = \"1s\"\nlateness = \"1s\"\n\
             [rule.ratio.live]\ngroup_by = [{group_by}]\nwindow = \"5s\"\nabove = {{ critical = \"5%\" }}\n\
             min_requests = 5\nmin_errors = 3\n{}",
            self.path("state"),
            webhook.table("ops")
        );
        self.write("quick.toml", &quick);
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
        command.args(["run", "-c", "found.toml", "-c", "quick.toml"]).current_dir(self.folder.path());
        Process::start(command.stderr(fs::File::create(self.path("agent.log")).unwrap()))
    }

    /// What its agent counts.
    fn metrics(&self) -> String {
        let said = fs::read_to_string(self.path("agent.log")).unwrap();
        let url = said.split("metrics are at http://").nth(1).unwrap_or_else(|| panic!("{said}"));
        let address = url.split('/').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

/// The first alert of our rule for each of these: a label, and its value.
fn alerts<const N: usize>(webhook: &Webhook, wanted: [(&str, &str); N]) -> [serde_json::Value; N] {
    let found = RefCell::new(wanted.map(|_| serde_json::Value::Null));
    webhook.wait(&format!("{wanted:?}"), Duration::from_secs(12), |body| {
        let mut found = found.borrow_mut();
        for alert in body["alerts"].as_array().into_iter().flatten() {
            for ((label, value), found) in wanted.iter().zip(found.iter_mut()) {
                let labels = &alert["labels"];
                if labels["alertname"] == "live" && labels[label] == *value && found.is_null() {
                    found.clone_from(alert);
                }
            }
        }
        found.iter().all(|alert| !alert.is_null())
    });
    found.into_inner()
}

fn description(alert: &serde_json::Value) -> &str {
    alert["annotations"]["description"].as_str().unwrap()
}

fn started(process: Process, socket: &Path) -> Process {
    wait_for("the proxy's socket", Duration::from_secs(5), || {
        std::os::unix::net::UnixStream::connect(socket).is_ok().then_some(())
    });
    process
}

fn ended(mut agent: Process) {
    agent.signal("TERM");
    let status = agent.end_within(Duration::from_secs(5)).expect("SIGTERM ends it within 5 s");
    assert!(status.success(), "{status}");
}

/// As people have it: a format of their own that is included, logs per server, pools in a file apart.
fn nginx(tree: &Tree, servers: [SocketAddr; 3]) -> Option<Process> {
    let program = program("nginx")?;
    let d = tree.folder.path().display();
    let [a, dead, b] = servers;
    tree.write(
        "etc/nginx/nginx.conf",
        &format!(
            "daemon off;\nmaster_process off;\npid {d}/run/nginx.pid;\nerror_log {d}/var/log/nginx/error.log warn;\n\
             events {{\n    worker_connections 256;\n}}\n\
             http {{\n    client_body_temp_path {d}/b;\n    proxy_temp_path {d}/p;\n    fastcgi_temp_path {d}/f;\n    \
             uwsgi_temp_path {d}/u;\n    scgi_temp_path {d}/s;\n    \
             include conf.d/*.conf;\n    access_log {d}/var/log/nginx/access.log shop;\n    include sites-enabled/*;\n}}\n"
        ),
    );
    tree.write(
        "etc/nginx/conf.d/log.conf",
        "log_format shop '$host $remote_addr [$time_iso8601] \"$request\" $status $body_bytes_sent '\n                \
         '\"$http_user_agent\" $request_time \"$upstream_addr\" \"$upstream_status\" '\n                \
         '\"$upstream_connect_time\" \"$upstream_header_time\" \"$upstream_response_time\"';\n",
    );
    tree.write(
        "etc/nginx/conf.d/pools.conf",
        &format!(
            "upstream checkout {{\n    server {a} max_fails=0;\n    server {dead} max_fails=0;\n    server {b} max_fails=0;\n}}\n\
             upstream search {{ server 10.9.8.7:80; }}\n"
        ),
    );
    tree.write(
        "etc/nginx/sites-enabled/shop",
        &format!(
            "server {{\n    listen unix:{d}/nginx.sock;\n    proxy_next_upstream off;\n    \
             location /health {{ access_log off; return 200; }}\n    location / {{ proxy_pass http://checkout; }}\n}}\n"
        ),
    );
    for folder in ["run", "var/log/nginx"] {
        fs::create_dir_all(tree.path(folder)).unwrap();
    }
    let mut command = Command::new(program);
    command.arg("-c").arg(tree.path("etc/nginx/nginx.conf")).arg("-p").arg(tree.folder.path());
    command.arg("-e").arg(tree.path("var/log/nginx/error.log"));
    Some(started(Process::start(&mut command), &tree.path("nginx.sock")))
}

#[test]
fn nginx_as_it_is_configured_gives_an_alert_with_pool_server_and_cause() {
    let tree = Tree::new();
    let servers = [upstream(Behaviour::Ok), upstream(Behaviour::Refuse), upstream(Behaviour::Ok)];
    let Some(_nginx) = nginx(&tree, servers) else { return skip("nginx is not installed") };
    let statuses: Vec<u16> = (0..6).map(|_| get(&tree.path("nginx.sock"), "/checkout")).collect();
    assert!(statuses.contains(&200) && statuses.contains(&502), "{statuses:?}");

    let (said, written) = tree.init();
    assert!(said.contains("nginx format `shop`, 100 % parsed, 4 upstreams in 2 pools"), "{said}");
    assert!(written.contains(&format!("\"{}\" = \"checkout\"", servers[1])), "{written}");

    let webhook = Webhook::start();
    let agent = tree.run(r#""pool", "upstream""#, &webhook);
    let traffic = Traffic::to(&tree.path("nginx.sock"), "/checkout");
    let [alert] = alerts(&webhook, [("upstream", &servers[1].to_string())]);
    drop(traffic);
    assert_eq!(alert["labels"]["pool"], "checkout", "{alert:#}");
    let text = description(&alert);
    // The access log knows that no connection came about; why it did not stands in the error log alone.
    assert!(text.contains("connection_refused"), "{text}");
    let metrics = tree.metrics();
    let wanted = |line: &&str| {
        line.starts_with("gatewatch_error_log_failures_total{")
            && [format!("upstream=\"{}\"", servers[1]), "reason=\"connection_refused\"".to_owned()]
                .iter()
                .all(|part| line.contains(part))
    };
    assert_eq!(metrics.lines().filter(wanted).count(), 1, "{metrics}");
    ended(agent);
}

/// One pool has a server that refuses, and is not checked; the other's only server is checked, and down from the beginning.
fn haproxy_configuration(tree: &Tree, [a, dead]: [SocketAddr; 2]) {
    let d = tree.folder.path().display();
    fs::create_dir_all(tree.path("run")).unwrap();
    tree.write(
        "etc/haproxy/haproxy.cfg",
        &format!(
            "global\n    log {d}/run/log.sock local0\n    log {d}/run/log.sock local1 notice\n\n\
             defaults\n    mode http\n    log global\n    option httplog\n    retries 0\n    \
             timeout connect 1s\n    timeout client 5s\n    timeout server 1s\n\n\
             frontend shop\n    bind unix@{d}/haproxy.sock\n    use_backend search if {{ path_beg /search }}\n    \
             default_backend checkout\n\n\
             backend checkout\n    server c1 {a}\n    server c2 {dead}\n\n\
             backend search\n    server s1 {dead} check inter 500ms\n"
        ),
    );
}

#[test]
fn haproxy_as_it_is_configured_gives_alerts_by_syslog() {
    let tree = Tree::new();
    let Some(program) = program("haproxy") else { return skip("HAProxy is not installed") };
    haproxy_configuration(&tree, [upstream(Behaviour::Ok), upstream(Behaviour::Refuse)]);
    let (said, written) = tree.init();
    assert!(said.contains("HAProxy format `option httplog`, 3 upstreams in 2 pools"), "{said}");
    assert!(written.contains("[input.syslog.haproxy]"), "{written}");

    let webhook = Webhook::start();
    let agent = tree.run(r#""pool", "upstream""#, &webhook);
    wait_for("the agent's socket", Duration::from_secs(5), || {
        tree.path("run/log.sock").exists().then_some(())
    });
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(tree.path("etc/haproxy/haproxy.cfg"));
    let haproxy = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let _haproxy = started(haproxy, &tree.path("haproxy.sock"));
    let traffic = ["/checkout", "/search"].map(|path| Traffic::to(&tree.path("haproxy.sock"), path));
    let [refused, empty] = alerts(&webhook, [("upstream", "checkout/c2"), ("pool", "search")]);
    drop(traffic);
    let text = description(&refused);
    assert!(text.contains("connection_failed"), "{text}");
    let text = description(&empty);
    assert!(text.contains("no server left since") && text.contains("destination_unavailable"), "{text}");
    ended(agent);
}
