//! `analyze` as its users meet it, where a folder in tests/cases cannot say it: sums over every log of the corpus, pipes,
//! signals, permissions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn gatewatch() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    command
        .env("TZ", "UTC")
        .env("COLUMNS", "80")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn analyze(args: &[&str]) -> Output {
    gatewatch().arg("analyze").args(args).output().unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the corpus, and the log with an incident.
fn corpus() -> Vec<PathBuf> {
    let mut files = vec![root().join("tests/cases/files/haproxy-incident.log")];
    for folder in ["tests/corpus/lab", "tests/corpus/nginx-haproxy"] {
        files.extend(fs::read_dir(root().join(folder)).unwrap().map(|e| e.unwrap().path()));
    }
    files.sort();
    assert!(files.len() > 30);
    files
}

fn json(args: &[&str]) -> Value {
    let output = analyze(&[args, &["--format", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no whole number: {value}"))
}

fn sum(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().sum()
}

fn of_object(value: &Value) -> u64 {
    sum(value.as_object().unwrap().values().map(number))
}

fn of_array(value: &Value) -> u64 {
    sum(value.as_array().unwrap().iter().map(number))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort_unstable();
    words
}

const TOP: &str = "schema partial timezone late future series_overflow inputs lines unparsed_samples requests \
    gateway_errors ratio status origin reasons attempts failed_attempts masked aborted abandoned groups incidents timeline \
    diagnosed events";
const INPUT: &str = "path format bytes lines parsed unparsed other first last";
const SAMPLE: &str = "path line text field reason";
const GROUP: &str = "labels requests gateway_errors ratio status reasons attempts failed_attempts masked abandoned p50 p95 p99";
const INCIDENT: &str = "rule severity labels started ended fired resolved peak_ratio requests gateway_errors reasons events \
     envelope";
const DIAGNOSED: &str = "labels failed aborted reasons aborted_reasons";
const EVENT: &str = "node pool upstream state since times detail changes";

/// Null or RFC 3339 in UTC.
fn is_time(value: &Value) -> bool {
    value.is_null()
        || value.as_str().is_some_and(|t| t.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(t).is_ok())
}

fn shape(report: &Value, shown: &str) {
    assert_eq!(keys(report), words(TOP), "{shown}");
    assert_eq!(report["schema"], 1);
    assert!(report["partial"].is_boolean());
    assert_eq!(keys(&report["origin"]), ["client", "proxy", "unknown", "upstream"], "{shown}");
    for input in report["inputs"].as_array().unwrap() {
        assert_eq!(keys(input), words(INPUT), "{shown}");
        assert!(is_time(&input["first"]) && is_time(&input["last"]), "{shown}");
        assert_eq!(number(&input["bytes"]), fs::metadata(input["path"].as_str().unwrap()).unwrap().len());
        assert_eq!(
            number(&input["lines"]),
            sum(["parsed", "unparsed", "other"].map(|k| number(&input[k]))),
            "{shown}"
        );
    }
    for sample in report["unparsed_samples"].as_array().unwrap() {
        assert_eq!(keys(sample), words(SAMPLE), "{shown}");
    }
    for group in report["groups"].as_array().unwrap() {
        assert_eq!(keys(group), words(GROUP), "{shown}");
        assert_eq!(keys(&group["status"]), ["502", "503", "504"]);
        for p in ["p50", "p95", "p99"] {
            assert!(group[p].is_null() || group[p].as_f64().is_some_and(|s| (0.0..1000.0).contains(&s)));
        }
    }
    for diagnosed in report["diagnosed"].as_array().unwrap() {
        assert_eq!(keys(diagnosed), words(DIAGNOSED), "{shown}");
        assert_eq!(number(&diagnosed["failed"]), of_object(&diagnosed["reasons"]), "{shown}");
        assert_eq!(number(&diagnosed["aborted"]), of_object(&diagnosed["aborted_reasons"]), "{shown}");
    }
    for event in report["events"].as_array().unwrap() {
        assert_eq!(keys(event), words(EVENT), "{shown}");
        assert!(is_time(&event["since"]), "{shown}");
    }
    for incident in report["incidents"].as_array().unwrap() {
        assert_eq!(keys(incident), words(INCIDENT), "{shown}");
        for time in ["started", "ended", "fired", "resolved"] {
            assert!(is_time(&incident[time]), "{shown}");
        }
    }
}

fn sums(report: &Value, shown: &str) {
    let lines = &report["lines"];
    assert_eq!(
        number(&lines["read"]),
        sum(["parsed", "unparsed", "other"].map(|k| number(&lines[k]))),
        "{shown}"
    );
    for (total, part) in
        [("read", "lines"), ("parsed", "parsed"), ("unparsed", "unparsed"), ("other", "other")]
    {
        let parts = sum(report["inputs"].as_array().unwrap().iter().map(|i| number(&i[part])));
        assert_eq!(number(&lines[total]), parts, "{shown}");
    }
    let requests = number(&report["requests"]);
    // A line of an error log tells of a failure, not of a request.
    let told = report["diagnosed"].as_array().unwrap().iter();
    let told = sum(told.map(|d| number(&d["failed"]) + number(&d["aborted"])));
    assert_eq!(requests + told, number(&lines["parsed"]), "{shown}");
    assert_eq!(requests, of_object(&report["status"]), "{shown}");
    let groups = report["groups"].as_array().unwrap();
    for key in ["requests", "gateway_errors", "attempts", "failed_attempts", "masked", "abandoned"] {
        // What a redispatch left to its pool is in groups as well: every label set has a group.
        assert_eq!(number(&report[key]), sum(groups.iter().map(|g| number(&g[key]))), "{shown}: {key}");
    }
    let outside = number(&report["late"]) + number(&report["future"]);
    assert_eq!(requests, of_array(&report["timeline"]["requests"]) + outside, "{shown}");
    let errors = number(&report["gateway_errors"]);
    assert_eq!(errors, of_object(&report["origin"]), "{shown}");
    assert_eq!(errors, of_object(&report["reasons"]), "{shown}");
    assert!(errors - of_array(&report["timeline"]["gateway_errors"]) <= outside, "{shown}");
    assert!(report["timeline"]["requests"].as_array().unwrap().len() <= 300, "{shown}");
    let steps = [5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400];
    assert!(steps.contains(&number(&report["timeline"]["step"])) || requests == 0, "{shown}");
    for group in groups {
        assert_eq!(number(&group["gateway_errors"]), of_object(&group["reasons"]), "{shown}");
    }
}

#[test]
fn sums_hold_for_every_log() {
    for file in corpus() {
        let path = file.to_str().unwrap();
        for more in [&[][..], &["--by", "node,site"], &["-j", "1", "--by", "pool"]] {
            let report = json(&[&[path], more].concat());
            shape(&report, path);
            sums(&report, path);
        }
    }
}

/// Access log and error log of the same nginx: every failure that the error log explains has its fine word, by upstream.
#[test]
fn an_error_log_says_why_beside_the_access_log() {
    let file = |name: &str| root().join("tests/corpus").join(name).display().to_string();
    let of_lab = ["timed", "main_ext", "json", "combined"].map(|name| file(&format!("lab/nginx-{name}.log")));
    let lab = file("lab/nginx-error.log");
    let wild = [file("nginx-haproxy/nginx-upstream.log"), file("nginx-haproxy/nginx-error.log")];
    let pairs = of_lab.iter().map(|access| [access, &lab]).chain([[&wild[0], &wild[1]]]);
    for [access, errors] in pairs {
        let (one, other) =
            (json(&[access, errors, "--timezone", "UTC"]), json(&[errors, access, "--timezone", "UTC"]));
        shape(&one, access);
        sums(&one, access);
        for key in ["groups", "reasons", "origin", "diagnosed", "events", "incidents", "timeline", "aborted"]
        {
            assert_eq!(one[key], other[key], "{access}: {key}");
        }
        let alone = json(&[access]);
        for key in ["requests", "gateway_errors", "status", "origin", "failed_attempts", "timeline"] {
            assert_eq!(one[key], alone[key], "{access}: {key}");
        }
    }
    let report = json(&[&of_lab[0], &lab, "--timezone", "UTC"]);
    let reasons = |upstream: &str| {
        let group = report["groups"].as_array().unwrap().iter();
        let mut group = group.filter(|g| g["labels"]["upstream"].as_str().unwrap_or("") == upstream);
        keys(&group.next().unwrap()["reasons"]).join(" ")
    };
    let truth = [
        ("127.0.0.1:24002", "connection_refused"),
        ("127.0.0.1:24003", "connection_terminated"),
        ("127.0.0.1:24004", "connection_read_timeout"),
        ("127.0.0.1:24005", "http_protocol_error"),
        ("127.0.0.1:24006", "connection_terminated"),
        ("127.0.0.1:24007", "http_response_header_section_size"),
        ("127.0.0.1:24009", "connection_timeout"),
        ("127.0.0.1:24011", "upstream_response"),
        ("[::1]:24002", "connection_refused"),
        ("unix:/run/lab/none.sock", "connection_refused"),
        ("", "dns_error"),
    ];
    for (upstream, reason) in truth {
        assert_eq!(reasons(upstream), reason, "{upstream}");
    }
    // /short keeps its status 200.
    assert_eq!(report["aborted"], 3);
}

#[test]
fn keys_stand_in_the_documented_order() {
    let file = root().join("tests/cases/files/haproxy-incident.log");
    let output = analyze(&[file.to_str().unwrap(), "--format", "json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut at = 0;
    for key in TOP.split_whitespace() {
        let found = text[at..].find(&format!("\n  \"{key}\":"));
        at += found.unwrap_or_else(|| panic!("{key} is missing, or out of order"));
    }
}

#[test]
fn threads_change_nothing() {
    for file in corpus() {
        let path = file.to_str().unwrap();
        let one = analyze(&[path, "--format", "json", "-j", "1"]).stdout;
        for jobs in ["2", "8"] {
            assert!(one == analyze(&[path, "--format", "json", "-j", jobs]).stdout, "{path} -j {jobs}");
        }
    }
}

#[test]
fn no_table_is_wider_than_asked_but_for_what_is_copied() {
    for file in corpus() {
        for width in ["80", "120"] {
            let output = gatewatch().arg("analyze").arg(&file).env("COLUMNS", width).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let copied = ["next: ", "log_format ", "LogFormat ", "to see which "];
            let lines = text.lines().filter(|l| !copied.iter().any(|c| l.starts_with(c)));
            for line in lines {
                let columns = line.chars().count();
                assert!(columns <= width.parse().unwrap(), "{}: {columns}: {line}", file.display());
            }
        }
    }
}

#[test]
fn the_advised_log_format_is_one_that_is_known() {
    let file = root().join("tests/corpus/nginx-haproxy/nginx-combined.log");
    let text = String::from_utf8(analyze(&[file.to_str().unwrap()]).stdout).unwrap();
    let advised = |prefix, suffix| {
        text.lines().find_map(|line| line.strip_prefix(prefix)?.strip_suffix(suffix)).unwrap().to_owned()
    };
    let format = advised("log_format upstream '", "';");
    // The same requests were logged in just this format.
    let upstream = root().join("tests/corpus/nginx-haproxy/nginx-upstream.log");
    let report = json(&[upstream.to_str().unwrap(), "--log-format", &format!("nginx:{format}")]);
    assert_eq!(number(&report["lines"]["unparsed"]), 0);
    assert!(number(&report["attempts"]) > 0);
    // Nothing tells that it is not Apache's: what Apache needs is said, too, and is a format.
    assert!(text.contains("if Apache wrote it (same lines): --log-format apache counts its 503s"), "{text}");
    let format = advised("LogFormat ", " upstream");
    let apache = gatewatch_parsers::formats::compile(&format!("apache:{format}")).unwrap();
    assert!(apache.knows_upstream());
}

/// A worker's URL and an error log's address are one server, by one name.
#[test]
fn apaches_workers_are_the_servers_of_its_error_log() {
    let place = tempfile::tempdir().unwrap();
    let (access, error) = (place.path().join("access.log"), place.path().join("error.log"));
    let (mut requests, mut failures) = (String::new(), String::new());
    for second in 0..30 {
        requests += &format!(
            "a:443 1.2.3.4 - - [22/Nov/2026:14:53:{second:02} +0000] \"GET / HTTP/1.1\" 503 5 1234 http://10.0.0.7:8080/app\n\
             a:443 1.2.3.4 - - [22/Nov/2026:14:53:{second:02} +0000] \"GET / HTTP/1.1\" 200 5 1234 http://10.0.0.8:8080/app\n"
        );
        failures += &format!(
            "[Sun Nov 22 14:53:{second:02}.092133 2026] [proxy:error] [pid 17007] (111)Connection refused: AH00957: http: \
             attempt to connect to 10.0.0.7:8080 (10.0.0.7:8080) failed\n"
        );
    }
    fs::write(&access, requests).unwrap();
    fs::write(&error, failures).unwrap();
    let format = r#"apache:%v:%p %h %l %u %t "%r" %>s %b %D %{BALANCER_WORKER_NAME}e"#;
    let files = [access.to_str().unwrap(), error.to_str().unwrap()];
    let report = json(&[files[0], files[1], "--log-format", format, "--timezone", "UTC"]);
    let groups = report["groups"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|group| &group["labels"]["upstream"]).collect();
    assert_eq!(names, ["10.0.0.7:8080", "10.0.0.8:8080"]);
    assert_eq!(groups[0]["gateway_errors"], 30);
    // Whether Apache made them the access log does not tell, so that the reason stands beside, at the same name.
    let told = &report["diagnosed"];
    assert_eq!(told.as_array().unwrap().len(), 1, "{told:#}");
    assert_eq!(told[0]["labels"]["upstream"], names[0].as_str().unwrap());
    assert_eq!(told[0]["reasons"]["connection_refused"], 30, "{told:#}");
}

/// The same lines where Apache's package logs are Apache's: 503 counts, and nobody is told of nginx.
#[test]
fn a_combined_log_in_apaches_directory_is_apaches() {
    let place = tempfile::tempdir().unwrap();
    let line = "203.0.113.7 - - [22/Nov/2026:14:00:00 +0000] \"GET / HTTP/1.1\" 503 5 \"-\" \"UA\"\n";
    for (folder, format, errors) in
        [("apache2", "apache:combined", 3), ("nginx", "nginx:combined", 0), ("srv", "nginx:combined", 0)]
    {
        let file = place.path().join(folder).join("access.log");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, line.repeat(3)).unwrap();
        let file = file.to_str().unwrap();
        let report = json(&[file]);
        assert_eq!(report["inputs"][0]["format"], format, "{folder}");
        assert_eq!(number(&report["gateway_errors"]), errors, "{folder}");
        let text = String::from_utf8(analyze(&[file]).stdout).unwrap();
        for (advice, folders) in
            [("log_format upstream", &["nginx", "srv"][..]), ("LogFormat ", &["apache2", "srv"])]
        {
            assert_eq!(text.contains(advice), folders.contains(&folder), "{folder}: {text}");
        }
    }
}

#[test]
fn ctrl_c_prints_what_there_is() {
    let log = fs::read(root().join("tests/cases/files/haproxy-incident.log")).unwrap();
    let mut child =
        gatewatch().args(["analyze", "-", "--format", "json"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: it was read when this returns, so the handler is there. The writer then stays silent.
    stdin.write_all(&log).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    drop(stdin);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status.code(), &report["partial"]), (Some(130), &Value::Bool(true)));
    shape_of_partial(&report);
}

fn shape_of_partial(report: &Value) {
    let lines = &report["lines"];
    assert_eq!(number(&lines["read"]), sum(["parsed", "unparsed", "other"].map(|k| number(&lines[k]))));
    assert_eq!(number(&report["requests"]), of_object(&report["status"]));
}

#[test]
fn a_closed_pipe_is_silent() {
    let file = root().join("tests/cases/files/haproxy-incident.log");
    let mut child = gatewatch().arg("analyze").arg(file).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_named_pipe_is_read_like_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = gatewatch().args(["analyze", "--format", "csv"]).arg(&pipe).spawn().unwrap();
    fs::write(&pipe, fs::read(root().join("tests/corpus/lab/haproxy.log")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("be_bighdr/s1,3,3,"));
}

#[test]
fn what_may_not_be_read_is_said_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    fs::write(&log, "x\n").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is closed to root: the same as nobody, where that is possible at all.
    let mut command = gatewatch();
    if fs::read(&log).is_ok() {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(env!("CARGO_BIN_EXE_gatewatch"));
    }
    let output = match command.arg("analyze").arg(&log).output() {
        // A program in a folder that nobody may enter cannot be started: then there is nothing to see.
        Ok(output) if output.status.code() != Some(126) && output.status.code() != Some(127) => output,
        _ => return eprintln!("skipped: this program cannot be run as nobody"),
    };
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("permission denied: add the user to group adm"), "{said}");
}

/// The zone is named where a stamp needed it, whatever the format.
#[test]
fn the_zone_is_named_where_a_stamp_carries_none() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let pattern = "pattern:<time> <status> <uri>";
    let cases = [
        ("pattern", pattern, "2026-11-22T10:00:00 502 /a\n", Some("Asia/Tokyo")),
        ("pattern with a zone", pattern, "2026-11-22T10:00:00Z 502 /a\n", None),
        ("json", "json:time=t,status=s", "{\"t\":\"2026-11-22T10:00:00\",\"s\":502}\n", Some("Asia/Tokyo")),
        ("json with a zone", "json:time=t,status=s", "{\"t\":\"2026-11-22T10:00:00Z\",\"s\":502}\n", None),
    ];
    for (name, format, line, zone) in cases {
        fs::write(&log, line.repeat(3)).unwrap();
        let report = json(&["--timezone", "Asia/Tokyo", "--log-format", format, log.to_str().unwrap()]);
        assert_eq!(report["timezone"].as_str(), zone, "{name}");
        assert_eq!(number(&report["requests"]), 3, "{name}");
    }
}

/// A `#Fields` amid a file holds for every line behind it, however many blocks there are, and not for one before.
#[test]
fn columns_named_amid_a_file_hold_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("u_ex.log");
    let mut text = String::new();
    let parts = [
        ("10", "sc-status sc-win32-status", "200 0"),
        ("11", "sc-win32-status sc-status", "0 502"),
        ("12", "sc-status sc-win32-status", "504 0"),
    ];
    for (hour, columns, values) in parts {
        text += &format!("#Fields: date time cs-method cs-uri-stem {columns} s-computername time-taken\n");
        for i in 0..6_000 {
            let (minute, second) = (i / 100 % 60, i * 60 / 100 % 60);
            text += &format!("2026-11-20 {hour}:{minute:02}:{second:02} GET /a/{i} {values} WEB01 12\n");
        }
    }
    fs::write(&log, &text).unwrap();
    // Three blocks and more; a jump of an hour lies between the parts of the second try.
    let apart = text.replace("2026-11-20 12:", "2026-11-20 15:");
    for (text, jobs) in [(&text, "1"), (&text, "4"), (&apart, "2")] {
        fs::write(&log, text).unwrap();
        let path = log.to_str().unwrap();
        let report = json(&["--jobs", jobs, path]);
        assert_eq!(number(&report["requests"]), 18_000, "{jobs} jobs");
        assert_eq!(number(&report["gateway_errors"]), 12_000, "{jobs} jobs");
        assert_eq!(number(&report["lines"]["unparsed"]), 0, "{jobs} jobs");
        let mut piped = gatewatch();
        piped.args(["analyze", "--jobs", jobs, "--format", "json", "-"]).stdin(fs::File::open(&log).unwrap());
        let piped: Value = serde_json::from_slice(&piped.output().unwrap().stdout).unwrap();
        assert_eq!(piped["gateway_errors"], report["gateway_errors"], "{jobs} jobs, piped");
    }
}
