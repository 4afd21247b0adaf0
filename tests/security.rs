//! What an attacker can put into a log, an archive, a configuration or a directory, and what must not come of it. One test
//! per thing attacked; those of deliveries, followed files, the snapshot and the status port stand with what they attack.
//!
//! | attacked | test |
//! |---|---|
//! | root's powers | `root_is_warned_of_and_group_adm_is_enough` |
//! | the service | `the_unit_is_hardened` |
//! | the terminal | `no_output_carries_an_escape`, `no_notice_carries_an_escape` |
//! | spreadsheets | `a_csv_cell_is_no_formula_and_parses_back` |
//! | paths | `no_field_of_a_line_becomes_a_path` |
//! | time, by lines | `a_hostile_line_costs_milliseconds` |
//! | time, by expressions | `an_expression_that_explodes_is_refused` |
//! | memory and time, by archives | `a_decompression_bomb_ends_by_a_limit_in_little_memory` |
//! | memory, by names | `a_flood_of_sites_costs_no_memory_and_no_count`, `a_flood_of_sites_hides_no_upstream` |
//! | the verdict | `a_field_is_no_structure` |
//! | secrets in lines | `tokens_reach_neither_alerts_nor_state` |
//! | the state directory | `a_link_in_the_state_directory_is_not_written_through`, `src/state/lock.rs` |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use gatewatch_parsers::{Context, Zone, detect, formats};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::agent::{Place, line_of, lines};
use support::{Process, Webhook, program, skip, wait_for};

const SOON: Duration = Duration::from_secs(30);
const TEN: &str = "[rule.count.ten]\ngroup_by = [\"site\", \"upstream\"]\nabove = 9\nwindow = \"30s\"\nseverity = \"critical\"\n";

fn gatewatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(arguments).env("TZ", "UTC").env("COLUMNS", "120");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    gatewatch(arguments).output().unwrap()
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8, whatever the log is")
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn input(path: &Path, more: &str) -> String {
    format!("[input.file.edge]\npaths = [{:?}]\n{more}\n", path.display().to_string())
}

// --- root's powers, and the service

#[test]
fn root_is_warned_of_and_group_adm_is_enough() {
    let place = Place::new();
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input(&log, "") + TEN));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    assert_eq!(agent.count("runs as root"), usize::from(place.is_root()), "{}", agent.said());
    agent.ends("TERM");
    if !place.is_root() {
        return;
    }
    // As Debian's logs are: root:adm, 0640; the agent is nobody, in group adm alone.
    let Some(setpriv) = program("setpriv") else { return skip("no setpriv") };
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let adm = groups.lines().find_map(|line| line.strip_prefix("adm:")?.split(':').nth(1)?.parse().ok());
    std::os::unix::fs::chown(&log, Some(0), Some(adm.unwrap_or(4))).unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_dir_all(place.path("state")).unwrap();
    let binary = place.path("gatewatch");
    fs::copy(env!("CARGO_BIN_EXE_gatewatch"), &binary).unwrap();
    let mut command = Command::new(setpriv);
    command.args(["--reuid=65534", "--regid=65534", &format!("--groups={}", adm.unwrap_or(4))]);
    command.args(["--bounding-set=-all", "--no-new-privs"]);
    let mut agent = place.start(command.arg(&binary).args(["run", "-c", "gatewatch.toml"]));
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    assert!(agent.says("FIRING critical").contains("10.0.0.2:8080"));
    assert_eq!(agent.count("runs as root") + agent.count("denied"), 0, "{}", agent.said());
    agent.ends("TERM");
}

#[test]
fn the_unit_is_hardened() {
    let Some(analyze) = program("systemd-analyze") else { return skip("no systemd-analyze") };
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/gatewatch.service");
    let mut command = Command::new(&analyze);
    let output = command.args(["security", "--offline=true", "--threshold=30"]).arg(&unit).output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output.stdout));
    // Its binary need not be installed to check the rest.
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(&unit).unwrap().replace("/usr/bin/gatewatch", "/bin/true");
    let copy = dir.path().join("gatewatch.service");
    fs::write(&copy, text).unwrap();
    let output = Command::new(&analyze).arg("verify").arg(&copy).output().unwrap();
    let said = text_of(&output.stderr);
    assert!(output.status.success() && !said.contains("gatewatch.service"), "{said}");
}

// --- output

/// Clears a screen, sets a title, turns the direction of writing, is no UTF-8.
const ESCAPES: &[&[u8]] = &[
    b"\x1b]0;pwn\x07\x1b[2J",
    "\u{202e}gnp".as_bytes(),
    b"\x9b31m",
    b"\xc2\x9b2J",
    b"\x7f\x08\x08",
    b"\xff\xfe",
    b"a\rb",
    "\u{2066}x\u{61c}\u{200b}".as_bytes(),
];

fn assert_harmless(what: &str, output: &[u8]) {
    let text = text_of(output);
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(c) = text.chars().find(|c| bad(*c)) {
        let line = text.lines().find(|line| line.contains(c)).unwrap_or_default();
        panic!("{what}: {c:?} in {line:?}");
    }
}

/// Lines of nginx with these bytes in the host, the path, the upstream, the user agent.
fn with(escape: &[u8], stamp: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for field in 0..4 {
        let at = |wanted: usize| if field == wanted { escape } else { b"x" };
        let time = format!("[{stamp}]");
        for part in [
            b"h".as_slice(),
            at(0),
            b" ",
            time.as_bytes(),
            b" \"GET /p",
            at(1),
            b" HTTP/1.1\" 502 \"10.0.0.1",
            at(2),
            b"\" \"UA",
            at(3),
            b"\"\n",
        ] {
            out.extend_from_slice(part);
        }
    }
    out
}

/// Now, as nginx writes it.
fn stamp() -> String {
    let now = chrono::DateTime::from_timestamp_millis(gatewatch::clock::now()).unwrap();
    now.format("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// As [`with`] writes them.
fn format() -> String {
    "nginx:$host [$time_local] \"$request\" $status \"$upstream_addr\" \"$http_user_agent\"".to_owned()
}

#[test]
fn no_output_carries_an_escape() {
    let dir = tempfile::tempdir().unwrap();
    for (i, escape) in ESCAPES.iter().enumerate() {
        // A name of a file is anybody's who may write in the directory.
        let name = [b"a".as_slice(), escape, b".log"].concat();
        let name: OsString = OsStringExt::from_vec(name);
        let path = dir.path().join(&name);
        fs::write(&path, with(escape, "22/Nov/2026:14:00:00 +0000")).unwrap();
        let garbage = dir.path().join("garbage.log");
        fs::write(&garbage, [escape, b" no line of any log\n".as_slice()].concat().repeat(3)).unwrap();
        for by in ["site,upstream", "upstream"] {
            for kind in ["table", "csv", "markdown"] {
                let mut command =
                    gatewatch(&["analyze", "--log-format", &format(), "--by", by, "--format", kind]);
                let output = command.arg(&path).arg(&garbage).output().unwrap();
                assert!(!output.stdout.is_empty() && !output.stderr.is_empty(), "{i} {kind}");
                assert_harmless(&format!("analyze {kind} {i}"), &output.stdout);
                assert_harmless(&format!("analyze {kind} {i}, stderr"), &output.stderr);
            }
        }
        for verb in ["detect", "explain", "analyze"] {
            for file in [&path, &garbage, &dir.path().join("none").join(&name)] {
                for more in [&[][..], &["--log-format", &format()]] {
                    let output = gatewatch(&[verb]).args(more).arg(file).output().unwrap();
                    assert_harmless(&format!("{verb} {i}"), &output.stdout);
                    assert_harmless(&format!("{verb} {i}, stderr"), &output.stderr);
                }
            }
        }
        // A line in quotes is shown back; a mistake in the configuration, too.
        if let Ok(line) = std::str::from_utf8(escape) {
            let output = run(&["explain", &format!("1.2.3.4 {line}")]);
            assert_harmless("explain a line", &output.stdout);
            assert_harmless("explain a line, stderr", &output.stderr);
        }
        // A name that begins a line of its own.
        for (forged, exists) in [("a\nFORGED.log", true), ("none\nFORGED.log", false)] {
            let forged = dir.path().join(forged);
            if exists {
                fs::write(&forged, "garbage\n".repeat(30)).unwrap();
            }
            for arguments in [&["analyze", "-v"][..], &["detect"], &["explain"]] {
                let output = gatewatch(arguments).arg(&forged).output().unwrap();
                let said = text_of(&output.stderr) + &text_of(&output.stdout);
                assert!(!said.lines().any(|line| line.starts_with("FORGED")), "{arguments:?}: {said}");
            }
        }
        let config = dir.path().join("c.toml");
        fs::write(
            &config,
            [b"[agent]\n\"".as_slice(), escape, b"\" = 1\nnode = \"", escape, b"\"\n"].concat(),
        )
        .unwrap();
        let output = gatewatch(&["check", "-c"]).arg(&config).output().unwrap();
        assert_harmless("check", &output.stdout);
        assert_harmless("check, stderr", &output.stderr);
        fs::remove_file(&path).unwrap();
    }
}

/// Names of exits, providers, targets, and of servers that a proxy writes of: in the sections that tell of them.
#[test]
fn sections_carry_no_escape_and_stay_within_their_width() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(300);
    let plain: [&[u8]; 3] = [long.as_bytes(), b"`a`|<b>*_", b"=cmd()"];
    for (i, name) in ESCAPES.iter().chain(&plain).enumerate() {
        let (exits, servers) = (dir.path().join("exits.log"), dir.path().join("servers.log"));
        let mut text = Vec::new();
        for (n, status) in (0..600).zip([502, 403, 200].into_iter().cycle()) {
            let place = |prefix: &str, of: u32| [format!("{prefix}{}", n % of).as_bytes(), name].concat();
            let stamp = format!("2026-11-22T14:{:02}:{:02}Z", n / 60, n % 60);
            for part in [
                br#"{"timestamp":""#,
                stamp.as_bytes(),
                br#"","exit_ip":""#,
                &place("e", 20),
                br#"","provider":""#,
                &place("p", 3),
                br#"","target":""#,
                &place("t", 7),
                br#"","status":"#,
                status.to_string().as_bytes(),
                b"}\n",
            ] {
                text.extend_from_slice(part);
            }
        }
        fs::write(&exits, text).unwrap();
        let text = [
            b"Nov 22 14:54:00 h haproxy[1]: 1.2.3.4:5 [22/Nov/2026:14:54:00.000] fe be/s1 0/0/-1/-1/0 503 217 - - SC-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n",
            b"Nov 22 14:54:00 h haproxy[1]: Server be/s".as_slice(), name,
            b" is DOWN, reason: Layer4 ", name, b" problem, info: \"", name,
            b"\", check duration: 0ms. 0 active and 0 backup servers left.\n",
        ];
        fs::write(&servers, text.concat()).unwrap();
        for (file, section) in [(&exits, "EXITS AND TARGETS"), (&servers, "SERVERS")] {
            for kind in ["table", "csv", "markdown", "json"] {
                let mut command = gatewatch(&["analyze", "--format", kind]);
                let output = command.arg(file).env("COLUMNS", "110").output().unwrap();
                let said = text_of(&output.stdout);
                assert_harmless(&format!("analyze {kind} {i}"), &output.stdout);
                if kind == "json" {
                    let _: serde_json::Value = serde_json::from_str(&said).unwrap();
                }
                if kind == "table" {
                    assert!(said.contains(section), "{i}: {said}");
                    let wide =
                        said.lines().find(|line| line.chars().count() > 110 && !line.starts_with("next: "));
                    assert_eq!(wide, None, "{i}");
                }
            }
        }
    }
}

#[test]
fn no_notice_carries_an_escape() {
    let place = Place::new();
    let logs = place.path("logs");
    fs::create_dir(&logs).unwrap();
    let named = |escape: &[u8], end: &[u8]| {
        let name: OsString = OsStringExt::from_vec([b"a".as_slice(), escape, end].concat());
        logs.join(name)
    };
    for escape in ESCAPES {
        fs::write(named(escape, b".log"), "").unwrap();
        assert!(Command::new("mkfifo").arg(named(escape, b"p.log")).status().unwrap().success());
    }
    let format = format!("log_format = {:?}\n", format());
    place.configure(&(input(&logs.join("*.log"), &format) + TEN));
    let mut child = gatewatch(&["run", "-c", "gatewatch.toml"]).current_dir(place.path("")).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut process = Process(child);
    let said = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&said);
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(n @ 1..) = stderr.read(&mut buffer) {
            hears.lock().unwrap().extend_from_slice(&buffer[..n]);
        }
    });
    let count = |what: &str| String::from_utf8_lossy(&said.lock().unwrap()).matches(what).count();
    wait_for("all logs", SOON, || (count("from byte") == ESCAPES.len()).then_some(()));
    for escape in ESCAPES {
        let mut text = with(escape, &stamp()).repeat(12);
        text.extend_from_slice(&[escape, b" garbage\n".as_slice()].concat().repeat(50));
        OpenOptions::new().append(true).open(named(escape, b".log")).unwrap().write_all(&text).unwrap();
    }
    wait_for("what is not understood", SOON, || (count("are not understood") == ESCAPES.len()).then_some(()));
    wait_for("alerts", SOON, || (count("FIRING critical ten") >= ESCAPES.len()).then_some(()));
    process.signal("TERM");
    process.end_within(Duration::from_secs(5)).unwrap();
    assert!(count("is no regular file") >= ESCAPES.len());
    assert_harmless("run", &said.lock().unwrap());
}

#[test]
fn a_csv_cell_is_no_formula_and_parses_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let sites =
        ["=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "a,b", "plain.example", "a;b=c", "'quoted'"];
    let text: String = sites
        .iter()
        .map(|site| format!("[22/Nov/2026:14:00:00 +0000] \"GET / HTTP/1.1\" 502 <{site}>\n"))
        .collect();
    fs::write(&log, text).unwrap();
    let output = run(&[
        "analyze",
        "--log-format",
        "nginx:[$time_local] \"$request\" $status <$host>",
        "--by",
        "site",
        "--format",
        "csv",
        log.to_str().unwrap(),
    ]);
    let text = text_of(&output.stdout);
    let mut seen = BTreeSet::new();
    for line in text.lines().skip(1) {
        // RFC 4180, the first cell.
        let cell = match line.strip_prefix('"') {
            Some(rest) => {
                let end = rest.find("\",").unwrap();
                rest[..end].replace("\"\"", "\"")
            }
            None => line.split(',').next().unwrap().to_owned(),
        };
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "a formula: {line}");
        let guarded = cell.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@']));
        seen.insert(guarded.unwrap_or(&cell).to_owned());
    }
    assert_eq!(seen, sites.iter().map(|s| (*s).to_owned()).collect(), "{text}");
}

// --- paths

/// Every path below, what is in the state directory apart.
fn tree(of: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut folders = vec![of.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("state") {
                folders.push(path.clone());
            }
            all.insert(path);
        }
    }
    all
}

#[test]
fn no_field_of_a_line_becomes_a_path() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("in/access.log");
    fs::create_dir(place.path("in")).unwrap();
    append(&log, "");
    let format = format!("log_format = {:?}\n", format());
    place.configure(&(input(&log, &format) + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    agent.says("following");
    wait_for("a state directory", SOON, || place.path("state").is_dir().then_some(()));
    let before = tree(&place.path(""));
    let now = stamp();
    for host in [
        "../../pwned",
        "/../in/pwned",
        "..%2f..%2fpwned",
        "~/pwned",
        "$(touch${IFS}pwned)",
        "`touch${IFS}pwned`",
    ] {
        let line =
            format!("{host} [{now}] \"GET /../../pwned HTTP/1.1\" 502 \"../pwned\" \"|touch pwned\"\n");
        append(&log, &line.repeat(10));
    }
    let body = webhook.wait("it", SOON, |_| true);
    assert!(body.to_string().contains("pwned"), "{body:#}");
    agent.ends("TERM");
    assert_eq!(tree(&place.path("")), before, "nothing was made");
    assert!(
        fs::read_dir(place.path("state")).unwrap().all(|e| !e
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("pwned"))
    );
}

// --- time

#[test]
fn a_hostile_line_costs_milliseconds() {
    let pieces: [&[u8]; 10] =
        [b"(", b"((((", b"\"\\\"", b"\\", b"\"", b" ", b", ", b" : ", b"{\"a\":", b"[[[[{\"\\u"];
    let specs = [
        "nginx:combined",
        "nginx:combined_upstream",
        "haproxy",
        "json",
        "regex:^(?P<path>.*?) (?P<status>\\d+)",
        "nginx:$host [$time_local] \"$request\" $status \"$upstream_addr\" \"$upstream_status\"",
    ];
    let start = "1.2.3.4 - - [22/Nov/2026:14:00:00 +0000] \"GET /";
    let mut context = Context::new(Zone::Fixed(0), 1_795_000_000_000);
    // A debug build on a busy machine; an exponential is far beyond, and so is a square of 64 Ki.
    let limit = Duration::from_millis(250);
    let mut slow = Vec::new();
    for piece in pieces {
        for start in ["", start, "{\"status\": \""] {
            let mut line = start.as_bytes().to_vec();
            while line.len() < 64 * 1024 {
                line.extend_from_slice(piece);
            }
            line.truncate(64 * 1024);
            let mut timed = |what: &str, run: &mut dyn FnMut()| {
                // The best of two: what else runs here is nobody's fault.
                let best = (0..2)
                    .map(|_| {
                        let start = Instant::now();
                        run();
                        start.elapsed()
                    })
                    .min()
                    .unwrap();
                let piece = String::from_utf8_lossy(piece);
                // Detection tries every format there is.
                let limit = if what == "detect" { 4 * limit } else { limit };
                if best >= limit {
                    slow.push(format!("{what}: {best:?} for 64 KiB of {piece:?} after {start:?}"));
                }
            };
            for spec in specs {
                let Ok(format) = formats::compile(spec) else { continue };
                timed(spec, &mut || _ = format.parse(&line, &mut context));
                timed(spec, &mut || drop(format.explain(&line, &mut context)));
            }
            for format in formats::FORMATS.iter().flat_map(|kind| (kind.built_in)()) {
                timed(format.name(), &mut || _ = format.parse(&line, &mut context));
                timed(format.name(), &mut || drop(format.explain(&line, &mut context)));
            }
            timed("detect", &mut || drop(detect::detect(&[&line], &context)));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn an_expression_that_explodes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let bomb = "(a{1000}){1000}";
    for (place, text) in [
        ("match", format!("[rule.ratio.errors]\nabove = \"5%\"\nmatch = ['site=~\"{bomb}\"']\n")),
        (
            "log_format",
            format!(
                "[input.file.edge]\npaths = [\"/var/log/x.log\"]\nlog_format = 'regex:(?P<status>{bomb})'\n"
            ),
        ),
    ] {
        let config = dir.path().join("c.toml");
        fs::write(&config, text).unwrap();
        let output = gatewatch(&["check", "-c"]).arg(&config).output().unwrap();
        let said = text_of(&output.stderr) + &text_of(&output.stdout);
        assert_eq!(output.status.code(), Some(78), "{place}: {said}");
    }
    let log = dir.path().join("access.log");
    fs::write(&log, line_of(0, 1, 200)).unwrap();
    let log = log.to_str().unwrap();
    let format = format!("regex:(?P<status>{bomb})");
    for arguments in
        [["analyze", "--log-format", &format, log], ["analyze", "--where", &format!("site=~\"{bomb}\""), log]]
    {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text_of(&output.stderr));
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

// --- memory

/// Runs it, and gives what it used at most, in MiB.
fn memory_of(command: &mut Command) -> (Output, u64) {
    let child = command.spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while !ended.load(Ordering::Relaxed) {
            most = most.max(peak(&status));
            std::thread::sleep(Duration::from_millis(5));
        }
        most
    });
    let output = child.wait_with_output().unwrap();
    done.store(true, Ordering::Relaxed);
    (output, watch.join().unwrap())
}

/// `VmHWM` of a process, in MiB.
fn peak(status: &Path) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

#[test]
fn a_decompression_bomb_ends_by_a_limit_in_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    // Gigabytes of nothing in a few kilobytes: one frame, as often as one likes.
    let mut frame = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..16 {
        frame.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let frame = frame.finish().unwrap();
    let bomb = dir.path().join("bomb.zst");
    fs::write(&bomb, frame.repeat(256)).unwrap();
    let good = dir.path().join("access.log");
    fs::write(&good, line_of(0, 1, 502)).unwrap();
    let started = Instant::now();
    let (output, memory) = memory_of(gatewatch(&["analyze", "--format", "json"]).arg(&bomb).arg(&good));
    let said = text_of(&output.stderr);
    assert!(said.contains("a decompression bomb") && said.contains("zstdcat"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(memory < 64, "{memory} MiB");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    // The other file is reported on all the same.
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["requests"], 1, "{said}");
}

/// Half a gibibyte without an end of line, plain and compressed: its beginning is looked at, the next line is read.
#[test]
fn a_line_of_half_a_gibibyte_is_cut_in_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, packed) = (dir.path().join("long.log"), dir.path().join("long.zst"));
    let good = line_of(0, 1, 502);
    // A hole costs no disk: a line that begins with a letter, and goes on with zeros.
    let mut file = File::create(&plain).unwrap();
    file.write_all(format!("{}x", good.repeat(20)).as_bytes()).unwrap();
    file.set_len(512 << 20).unwrap();
    let mut file = OpenOptions::new().append(true).open(&plain).unwrap();
    file.write_all(format!("\n{}", good.repeat(20)).as_bytes()).unwrap();
    let mut to = zstd::stream::write::Encoder::new(File::create(&packed).unwrap(), 1).unwrap();
    // Not so regular that it would be taken for a bomb.
    to.write_all(good.repeat(20).as_bytes()).unwrap();
    let block: Vec<u8> =
        (0u32..1 << 20).map(|i: u32| b'a' + (i.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    for _ in 0..200 {
        to.write_all(&block).unwrap();
    }
    to.write_all(format!("\n{}", good.repeat(20)).as_bytes()).unwrap();
    to.finish().unwrap();
    for path in [&plain, &packed] {
        let (output, memory) = memory_of(gatewatch(&["analyze", "--format", "json"]).arg(path));
        let said = text_of(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["requests"], &report["gateway_errors"]), (&40.into(), &40.into()), "{said}");
        let input = &report["inputs"][0];
        assert_eq!((&input["lines"], &input["unparsed"]), (&41.into(), &1.into()), "{report:#}");
        assert!(memory < 64, "{memory} MiB, {}", path.display());
    }
}

fn flood(path: &Path, count: u32) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for i in 0..count {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let status = if i % 100 == 0 { 502 } else { 200 };
        let (minute, second) = (i / 60 % 60, i % 60);
        writeln!(file, "h{random:016x}.example [22/Nov/2026:14:{minute:02}:{second:02} +0000] \"GET / HTTP/1.1\" {status} \"10.0.0.1\" \"UA\"").unwrap();
    }
}

#[test]
fn a_flood_of_sites_costs_no_memory_and_no_count() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let of = |count: u32| {
        flood(&log, count);
        let mut command =
            gatewatch(&["analyze", "--log-format", &format(), "--by", "site", "--format", "json"]);
        let (output, memory) = memory_of(command.arg(&log));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["requests"], count, "every one is counted");
        assert_eq!(report["gateway_errors"], count.div_ceil(100));
        (report, memory)
    };
    let (_, before) = of(60_000);
    let (report, after) = of(120_000);
    assert!(report["series_overflow"].as_u64().unwrap() > 0);
    let groups = report["groups"].as_array().unwrap();
    let other = groups.iter().find(|group| group["labels"]["site"] == "__other__").unwrap();
    assert!(other["requests"].as_u64().unwrap() > 0);
    assert!(groups.len() <= 50_001, "{}", groups.len());
    let all: u64 = groups.iter().map(|group| group["requests"].as_u64().unwrap()).sum();
    assert_eq!(all, 120_000);
    assert!(after < before + 32, "{before} MiB, then {after} MiB");
}

#[test]
fn a_flood_of_sites_hides_no_upstream() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, "");
    let rule = "[rule.count.sites]\ngroup_by = [\"site\"]\nabove = 1000000\nwindow = \"30s\"\n\
                [rule.count.up]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"30s\"\nseverity = \"critical\"\n";
    let format = format!("log_format = {:?}\n", format());
    place.configure(&(input(&log, &format) + rule + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    let line = |host: &str, status: u16, upstream: &str| {
        let now = chrono::DateTime::from_timestamp_millis(gatewatch::clock::now()).unwrap();
        format!(
            "{host} [{}] \"GET / HTTP/1.1\" {status} \"{upstream}\" \"UA\"\n",
            now.format("%d/%b/%Y:%H:%M:%S +0000")
        )
    };
    let mut before = 0;
    for round in 0..5 {
        let text: String =
            (0..5_000).map(|i| line(&format!("h{round}x{i}.example"), 200, "10.0.0.1:80")).collect();
        append(&log, &text);
        std::thread::sleep(Duration::from_millis(1_500));
        if round == 1 {
            before = peak(&PathBuf::from(format!("/proc/{}/status", agent.process.0.id())));
        }
    }
    append(&log, &line("victim.example", 502, "10.0.0.7:80").repeat(10));
    let body = webhook.wait("it", SOON, |body| body["alerts"][0]["labels"]["alertname"] == "up");
    assert_eq!(body["alerts"][0]["labels"]["upstream"], "10.0.0.7:80", "{body:#}");
    let after = peak(&PathBuf::from(format!("/proc/{}/status", agent.process.0.id())));
    assert!(after < before + 24, "{before} MiB, then {after} MiB");
    agent.ends("TERM");
}

// --- the verdict

#[test]
fn a_field_is_no_structure() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let (client, time) = ("203.0.113.7 - -", "[22/Nov/2026:14:00:00 +0000]");
    // As nginx writes them: a quote of the client's is \x22.
    let nginx = [
        format!("{client} {time} \"GET /a\\x22 502 0 \\x22-\\x22 HTTP/1.1\" 200 5 \"-\" \"UA\""),
        format!("{client} {time} \"GET /a HTTP/1.1\" 200 5 \"\\x22 502 0 \\x22-\\x22\" \"UA\""),
        format!("{client} {time} \"GET /a HTTP/1.1\" 200 5 \"-\" \"UA\\x22 502 0 \\x22-\\x22\""),
        format!("203.0.113.7 - x\\x22 502 {time} \"GET /a 502 HTTP/1.1\" 200 5 \"-\" \"UA\""),
        format!("{client} {time} \"GET /?a=[22/Nov/2026:14:00:00+0000]&s=502 HTTP/1.1\" 200 5 \"-\" \"502\""),
    ];
    fs::write(&log, nginx.join("\n") + "\n").unwrap();
    let report = |more: &[&str]| -> Value {
        let output =
            run(&[&["analyze", "--format", "json", "--min-parsed", "0%"], more, &[log.to_str().unwrap()]]
                .concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for more in [&[][..], &["--log-format", "nginx:combined"]] {
        assert_eq!(report(more)["status"], serde_json::json!({ "200": 5 }), "{more:?}");
    }
    // As none of them escapes it: understood as it was, or not at all.
    let raw: String = nginx.iter().map(|line| line.replace("\\x22", "\"") + "\n").collect();
    let slashed: String = nginx.iter().map(|line| line.replace("\\x22", "\\\"") + "\n").collect();
    for text in [raw, slashed] {
        fs::write(&log, &text).unwrap();
        let report = report(&["--log-format", "nginx:combined"]);
        assert_eq!(report["gateway_errors"], 0, "{text}{report:#}");
        assert!(report["status"].as_object().unwrap().keys().all(|status| status == "200"), "{text}");
    }
    let haproxy = "Nov 22 14:00:00 lb haproxy[7]: 203.0.113.7:4242 [22/Nov/2026:14:00:00.123] fe be/s1 0/0/1/2/3 200 512 - - ---- 1/1/1/1/0 0/0 \"GET /#22 be/s2 0/0/1/2/3 502 0 - - SH-- 1/1/1/1/0 0/0 #22GET / HTTP/1.1\"\n";
    for text in [haproxy.to_owned(), haproxy.replace("#22", "\"")] {
        fs::write(&log, &text).unwrap();
        let report = report(&["--log-format", "haproxy"]);
        assert_eq!(
            (&report["gateway_errors"], &report["status"]),
            (&0.into(), &serde_json::json!({ "200": 1 })),
            "{text}"
        );
    }
}

// --- secrets, and the state directory

#[test]
fn tokens_reach_neither_alerts_nor_state() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input(&log, "") + TEN + &webhook.table("ops")));
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    let line = line_of(0, 2, 502).replace("GET /p ", "GET /p?token=TOPSECRET1&x=TOPSECRET2 ").replace(
        " \"-\" \"Mozilla",
        " \"https://a.example/?key=TOPSECRET3\" \"Mozilla Authorization: Bearer TOPSECRET4",
    );
    assert_eq!(line.matches("TOPSECRET").count(), 4, "{line}");
    append(&log, &line.repeat(10));
    let body = webhook.wait("it", SOON, |_| true).to_string();
    assert!(body.contains("/p") && !body.contains("TOPSECRET"), "{body}");
    // The last lines are those of the next ones' beginning: what is held is kept, too.
    append(&log, &line);
    std::thread::sleep(Duration::from_secs(3));
    agent.ends("TERM");
    assert!(!agent.said().contains("TOPSECRET"), "{}", agent.said());
    let mut files = 0;
    for entry in fs::read_dir(place.path("state")).unwrap().map(Result::unwrap) {
        let bytes = fs::read(entry.path()).unwrap();
        let found = bytes.windows(9).position(|w| w == b"TOPSECRET");
        assert_eq!(found, None, "in {:?}", entry.path());
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert!(files > 1, "a lock and a snapshot");
}

#[test]
fn a_link_in_the_state_directory_is_not_written_through() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let log = place.path("access.log");
    append(&log, &lines(1, 1, 200));
    place.configure(&(input(&log, "") + TEN + &webhook.table("ops")));
    // What it writes there, as it names it.
    let mut agent = place.run_configured();
    agent.says("access.log from byte");
    append(&log, &lines(10, 2, 502));
    webhook.wait("it", SOON, |_| true);
    agent.ends("TERM");
    let mut names: BTreeSet<String> = fs::read_dir(place.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.extend(["snapshot.a", "snapshot.b", "snapshot.new"].map(str::to_owned));
    let victim = place.path("victim");
    for name in &names {
        fs::write(&victim, "precious").unwrap();
        fs::remove_dir_all(place.path("state")).unwrap();
        fs::create_dir(place.path("state")).unwrap();
        fs::set_permissions(place.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&victim, place.path("state").join(name)).unwrap();
        let mut agent = place.run_configured();
        // Refused, or in its place: never through it.
        if let Some(status) = agent.process.end_within(Duration::from_secs(3)) {
            assert_eq!(status.code(), Some(1), "{name}: {}", agent.said());
            agent.says("symlink");
        } else {
            agent.ends("TERM");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
    }
    // The directory itself: a link to one of the attacker's.
    fs::remove_dir_all(place.path("state")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.path("state")).unwrap();
    let mut agent = place.run_configured();
    assert_eq!(agent.process.end_within(Duration::from_secs(5)).unwrap().code(), Some(1));
    agent.says("is a symlink");
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
}
