//! The whole corpus: every file is detected as what it is, every line is a record, a diagnosis, an event, other by
//! nature, or malformed with the field where it stopped, and no scenario comes to a cause that it did not have.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test outside the crate reads its corpus and fails aloud"
)]

use std::fmt::Write as _;
use std::path::Path;

use gatewatch_parsers::detect::detect;
use gatewatch_parsers::formats::{self, Format};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Outcome, Parsed, Record, Zone};

/// File; format detected; records, diagnoses, events, others, malformed.
type File = (&'static str, &'static str, [usize; 5]);

const FILES: &[File] = &[
    ("lab/apache-combined.log", "nginx:combined", [51, 0, 0, 0, 0]),
    ("lab/apache-error.log", "apache-error", [0, 21, 0, 25, 0]),
    (OWN.0, OWN.1, [51, 0, 0, 0, 0]),
    ("lab/envoy-default.log", "envoy", [51, 0, 0, 0, 0]),
    ("lab/envoy-json.log", "json", [51, 0, 0, 0, 0]),
    ("lab/haproxy-events.log", "haproxy", [13, 0, 4, 0, 0]),
    ("lab/haproxy.log", "haproxy", [59, 0, 0, 0, 0]),
    ("lab/nginx-combined.log", "nginx:combined", [56, 0, 0, 0, 0]),
    ("lab/nginx-error.log", "nginx-error", [0, 41, 6, 0, 0]),
    ("lab/nginx-json.log", "json", [56, 0, 0, 0, 0]),
    ("lab/nginx-main_ext.log", "nginx:main_ext", [56, 0, 0, 0, 0]),
    ("lab/nginx-timed.log", "nginx:timed", [56, 0, 0, 0, 0]),
    ("lab/squid-combined.log", "squid:combined", [36, 0, 0, 0, 0]),
    ("lab/squid-native.log", "squid", [36, 0, 0, 0, 0]),
    ("lab/syslog-raw.log", "haproxy", [59, 0, 0, 0, 56]),
    ("lab/varnish-ncsa.log", "varnish", [51, 0, 0, 0, 0]),
    ("nginx-haproxy/haproxy.iso.log", "haproxy", [51, 0, 0, 0, 0]),
    ("nginx-haproxy/haproxy.local.log", "haproxy", [51, 0, 0, 0, 0]),
    ("nginx-haproxy/haproxy.raw.log", "haproxy", [55, 0, 0, 0, 0]),
    ("nginx-haproxy/haproxy.rfc3164.log", "haproxy", [57, 0, 0, 3, 0]),
    ("nginx-haproxy/haproxy.rfc5424.log", "haproxy", [51, 0, 0, 0, 0]),
    ("nginx-haproxy/haproxy.short.log", "haproxy", [51, 0, 0, 0, 0]),
    ("nginx-haproxy/haproxy.timed.log", "haproxy", [51, 0, 0, 0, 0]),
    ("nginx-haproxy/nginx-access.syslog", "nginx:combined_upstream", [74, 0, 0, 0, 0]),
    ("nginx-haproxy/nginx-combined.log", "nginx:combined", [74, 0, 0, 0, 0]),
    ("nginx-haproxy/nginx-error.log", "nginx-error", [0, 45, 2, 26, 0]),
    ("nginx-haproxy/nginx-error.syslog", "nginx-error", [0, 45, 0, 0, 0]),
    ("nginx-haproxy/nginx-escape-none.log", "nginx:combined", [69, 0, 0, 0, 5]),
    ("nginx-haproxy/nginx-ingress.log", "nginx:upstreaminfo", [74, 0, 0, 0, 0]),
    ("nginx-haproxy/nginx-json.log", "json", [74, 0, 0, 0, 0]),
    ("nginx-haproxy/nginx-stream.log", "nginx:stream_proxy", [3, 0, 0, 0, 0]),
    ("nginx-haproxy/nginx-upstream.log", "nginx:combined_upstream", [74, 0, 0, 0, 0]),
];

/// A `LogFormat` of somebody's own: nobody can know it, and the page says how to set it.
const OWN: (&str, &str) = (
    "lab/apache-px.log",
    r#"apache:%v:%p %h %{%FT%T}t.%{usec_frac}t%{%z}t "%r" %>s %b %D %{BALANCER_WORKER_NAME}e"#,
);

/// `escape=none` looks like `combined`, save where a client sent quotes: those lines are malformed there, not wrong.
const NONE: &str = r#"nginx:escape=none $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// What the upstream of a path of the lab did: the reasons that may be given for it, the finest first. Where a line shows
/// neither who nor why it is unknown, which is never wrong.
const CAUSES: &[(&str, &[&str])] = &[
    ("ok", &[]),
    ("slow", &[]),
    ("refuse", &["proxy connection_refused", "proxy connection_failed"]),
    // Envoy, too, may see the reset while it connects (`UF`, "Connection reset by peer").
    ("reset", &["proxy connection_terminated", "proxy invalid_response", "proxy connection_failed"]),
    ("timeout", &["proxy connection_read_timeout", "proxy http_response_timeout"]),
    ("garbage", &["proxy http_protocol_error", "proxy invalid_response"]),
    ("partial", &["proxy connection_terminated", "proxy invalid_response"]),
    (
        "bighdr",
        &["proxy http_response_header_section_size", "proxy http_protocol_error", "proxy invalid_response"],
    ),
    ("short", &["aborted"]),
    ("own502", &["upstream upstream_response"]),
    ("own504", &["upstream upstream_response"]),
    ("retry", &["masked"]),
    // nginx's first request goes to the servers themselves: one is refused, one reset.
    ("nolive", &["proxy destination_unavailable", "proxy connection_failed", "proxy invalid_response"]),
    ("unix", &["proxy connection_refused", "proxy connection_failed"]),
    ("v6", &["proxy connection_refused", "proxy connection_failed"]),
    // Envoy's route timeout (`UT`) may run out before the handshake's does.
    (
        "tls",
        &[
            "proxy connection_timeout",
            "proxy tls_protocol_error",
            "proxy connection_failed",
            "proxy http_response_timeout",
        ],
    ),
    ("dns", &["proxy dns_error"]),
];

fn lines(file: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus").join(file);
    Lines::new(&std::fs::read(path).unwrap(), true).map(<[u8]>::to_vec).collect()
}

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_360_700_000)
}

fn detected(file: &str, lines: &[Vec<u8>]) -> Box<dyn Format> {
    let sample: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    if file == OWN.0 {
        assert!(detect(&sample, &context()).into_best().is_none());
        return formats::compile(OWN.1).unwrap();
    }
    detect(&sample, &context()).into_best().unwrap_or_else(|| panic!("{file}: no format"))
}

#[test]
fn every_file_is_what_it_is_and_every_line_too() {
    let mut wrong = String::new();
    for (file, name, counts) in FILES {
        let lines = lines(file);
        let (format, mut context) = (detected(file, &lines), context());
        let mut got = [0; 5];
        for line in &lines {
            let kind = match format.parse(line, &mut context) {
                Ok(Parsed::Record(_)) => 0,
                Ok(Parsed::Diagnosis(_)) => 1,
                Ok(Parsed::Event(_)) => 2,
                Ok(Parsed::Other) => 3,
                Err(e) => {
                    assert!(
                        !e.field.is_empty() && e.at <= line.len() && !e.reason.is_empty(),
                        "{file}: {e:?}"
                    );
                    4
                }
            };
            got[kind] += 1;
        }
        if (format.name(), got) != (*name, *counts) {
            let _ = writeln!(wrong, "    (\"{file}\", r#\"{}\"#, {got:?}),", format.name());
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn word(record: &Record<'_>) -> String {
    match record.outcome {
        Outcome::Fine if record.attempts.iter().any(|a| a.failure.is_some()) => "masked".to_owned(),
        Outcome::Fine => String::new(),
        Outcome::GatewayError(cause) => format!("{} {}", cause.origin.name(), cause.reason.name()),
        Outcome::Aborted => "aborted".to_owned(),
        Outcome::Abandoned => "abandoned".to_owned(),
    }
}

/// `/refuse/0?q=…`, `http://127.0.0.1:24002/refuse` → `refuse`
fn scenario(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path).into_owned();
    let after_host = path
        .split_once("://")
        .map_or(path.as_str(), |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    after_host.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default().to_owned()
}

#[test]
fn no_line_of_the_lab_has_a_cause_that_it_did_not_have() {
    let mut wrong = String::new();
    let mut seen = 0;
    for (file, ..) in FILES.iter().filter(|(file, ..)| file.starts_with("lab/")) {
        let lines = lines(file);
        let (mut format, mut context) = (detected(file, &lines), context());
        if *file == "lab/apache-combined.log" {
            // nginx writes the same shape, and its 503 is no gateway error: whose it is must be said.
            format = formats::compile("apache:combined").unwrap();
        }
        for (i, line) in lines.iter().enumerate() {
            let Ok(Parsed::Record(record)) = format.parse(line, &mut context) else { continue };
            let scenario = scenario(record.path);
            let Some((_, allowed)) = CAUSES.iter().find(|(path, _)| *path == scenario) else { continue };
            seen += 1;
            let got = word(&record);
            // The proxy knew no such path (404), or passed on what came (Squid: garbage as 200).
            let is_silent =
                got.is_empty() && record.status.code().is_some_and(|code| (100..500).contains(&code));
            let is_unknown = got.ends_with(" unknown") && !allowed.is_empty();
            if !(is_silent || is_unknown || allowed.contains(&got.as_str())) {
                let _ = writeln!(wrong, "{file}:{}: {scenario}: {got} ({:?})", i + 1, record.status);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(seen > 500, "{seen} lines");
}

/// The same requests under another header each.
const PARALLEL: &[&str] =
    &["nginx-combined", "nginx-upstream", "nginx-ingress", "nginx-escape-none", "nginx-json"];

#[test]
fn the_same_requests_are_the_same_in_every_format() {
    let files: Vec<_> = PARALLEL.iter().map(|name| lines(&format!("nginx-haproxy/{name}.log"))).collect();
    let format = |(name, lines): (&&str, &Vec<_>)| match *name {
        "nginx-escape-none" => formats::compile(NONE).unwrap(),
        name => detected(name, lines),
    };
    let formats: Vec<_> = PARALLEL.iter().zip(&files).map(format).collect();
    for i in 0..files[0].len() {
        let mut known: Option<Record<'_>> = None;
        for ((name, lines), format) in PARALLEL.iter().zip(&files).zip(&formats) {
            let mut context = context();
            let record = match format.parse(&lines[i], &mut context) {
                Ok(Parsed::Record(record)) => record,
                other => panic!("{name}:{}: {other:?}", i + 1),
            };
            let other = *known.get_or_insert(record);
            assert_eq!(record.status, other.status, "{name}:{}", i + 1);
            assert!((record.end - other.end).abs() <= 1000, "{name}:{}", i + 1);
            if let (Some(a), Some(b)) = (record.request_time, other.request_time) {
                assert_eq!(a, b, "{name}:{}", i + 1);
            }
            let attempts = |record: &Record<'_>| {
                record.attempts.iter().map(|a| (a.upstream.to_vec(), a.status)).collect::<Vec<_>>()
            };
            let (own, others) = (attempts(&record), attempts(&other));
            assert!(
                own.is_empty() || others.is_empty() || own == others,
                "{name}:{}: {own:?} {others:?}",
                i + 1
            );
            if others.is_empty() {
                known = Some(record);
            }
        }
    }
}
