//! Logs of containers: what a runtime put around them changes nothing, in a file, an archive, a pipe, and while it is written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use support::agent::{Place, lines};

/// Docker's json-file, in parts of so many bytes (Docker's are 16 KiB).
fn docker(text: &str, size: usize) -> String {
    wrapped(text, size, |part, ends| {
        let log = if ends { format!("{part}\n") } else { part.to_owned() };
        format!(
            "{{\"log\":{},\"stream\":\"stdout\",\"time\":\"2026-11-22T14:54:06.958885123Z\"}}\n",
            json!(log)
        )
    })
}

/// As containerd and CRI-O write.
fn cri(text: &str, size: usize) -> String {
    wrapped(text, size, |part, ends| {
        format!("2026-11-22T14:54:06.958885123Z stdout {} {part}\n", if ends { "F" } else { "P" })
    })
}

fn wrapped(text: &str, size: usize, wrap: impl Fn(&str, bool) -> String) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let letters: Vec<char> = line.chars().collect();
        let mut parts: Vec<String> = letters.chunks(size).map(|part| part.iter().collect()).collect();
        let last = parts.pop().unwrap_or_default();
        parts.iter().for_each(|part| out += &wrap(part, false));
        out += &wrap(&last, true);
    }
    out
}

/// The report, without what speaks of the file itself.
fn report(mut command: Command) -> Value {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let mut report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    for input in report["inputs"].as_array_mut().unwrap() {
        let input = input.as_object_mut().unwrap();
        input.remove("path");
        input.remove("bytes");
    }
    for sample in report["unparsed_samples"].as_array_mut().unwrap() {
        sample.as_object_mut().unwrap().remove("path");
    }
    report
}

fn analyze(path: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command.args(["analyze", "--format", "json", "--min-parsed", "0%"]).arg(path);
    report(command)
}

#[test]
fn the_report_is_that_of_the_plain_log() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for name in [
        "nginx-haproxy/nginx-upstream.log",
        "nginx-haproxy/nginx-json.log",
        "nginx-haproxy/haproxy.raw.log",
        "nginx-haproxy/haproxy.local.log",
        "lab/envoy-json.log",
    ] {
        // Docker writes JSON, which is UTF-8.
        let text = String::from_utf8_lossy(&fs::read(corpus.join(name)).unwrap()).into_owned();
        let folder = tempfile::tempdir().unwrap();
        // Under one name: a site may come of it.
        let path = folder.path().join("access.log");
        fs::write(&path, &text).unwrap();
        let plain = analyze(&path);
        assert!(plain["requests"].as_u64().unwrap() > 20, "{name}");
        for size in [7, 100, 16_384] {
            for wrapped in [docker(&text, size), cri(&text, size)] {
                fs::write(&path, &wrapped).unwrap();
                assert_eq!(analyze(&path), plain, "{name} in parts of {size}");
            }
        }
        // A last line without its end; an archive; a pipe.
        fs::write(&path, cri(&text, 100).trim_end()).unwrap();
        assert_eq!(analyze(&path), plain, "{name}");
        let mut archive = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        archive.write_all(docker(&text, 100).as_bytes()).unwrap();
        fs::write(&path, archive.finish().unwrap()).unwrap();
        assert_eq!(analyze(&path), plain, "{name}");
        fs::write(&path, docker(&text, 100)).unwrap();
        let mut piped = Command::new("sh");
        let script = "cat \"$1\" | \"$0\" analyze --format json --min-parsed 0% -";
        piped.args(["-c", script, env!("CARGO_BIN_EXE_gatewatch")]).arg(&path);
        assert_eq!(report(piped)["status"], plain["status"], "{name}");
    }
}

/// While it is written, in pieces that end anywhere.
#[test]
fn a_containers_log_is_followed() {
    for wrap in [docker, cri] {
        let place = Place::new();
        let log = place.path("0.log");
        fs::write(&log, wrap(&lines(3, 1, 200), 50)).unwrap();
        place.configure(&format!(
            "[input.file.pods]\npaths = [{log:?}]\n\
             [rule.count.ten]\ngroup_by = [\"upstream\"]\nabove = 9\nwindow = \"30s\"\n\
             [rule.count.more]\ngroup_by = [\"upstream\"]\nabove = 10\nwindow = \"30s\"\n"
        ));
        let mut agent = place.run_configured();
        agent.says("0.log from byte");
        let mut file = OpenOptions::new().append(true).open(&log).unwrap();
        for piece in wrap(&lines(10, 2, 502), 50).as_bytes().chunks(333) {
            file.write_all(piece).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let said = agent.says(" ten: ");
        assert!(said.contains("10.0.0.2:8080") && said.contains("10 errors"), "{said}");
        assert_eq!(agent.count(" more: "), 0, "{}", agent.said());
        agent.ends("TERM");
    }
}
