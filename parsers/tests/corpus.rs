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
use gatewatch_parsers::formats::Format;
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Outcome, Parsed, Record, Zone};

/// File; format detected; records, diagnoses, events, others, malformed.
type File = (&'static str, &'static str, [usize; 5]);

const FILES: &[File] = &[
    ("lab/apache-combined.log", "?", [0; 5]),
    ("lab/apache-error.log", "?", [0; 5]),
    ("lab/apache-px.log", "?", [0; 5]),
    ("lab/envoy-default.log", "?", [0; 5]),
    ("lab/envoy-json.log", "?", [0; 5]),
    ("lab/haproxy-events.log", "?", [0; 5]),
    ("lab/haproxy.log", "?", [0; 5]),
    ("lab/nginx-combined.log", "?", [0; 5]),
    ("lab/nginx-error.log", "?", [0; 5]),
    ("lab/nginx-json.log", "?", [0; 5]),
    ("lab/nginx-main_ext.log", "?", [0; 5]),
    ("lab/nginx-timed.log", "?", [0; 5]),
    ("lab/squid-combined.log", "?", [0; 5]),
    ("lab/squid-native.log", "?", [0; 5]),
    ("lab/syslog-raw.log", "?", [0; 5]),
    ("lab/varnish-ncsa.log", "?", [0; 5]),
    ("nginx-haproxy/haproxy.iso.log", "?", [0; 5]),
    ("nginx-haproxy/haproxy.local.log", "?", [0; 5]),
    ("nginx-haproxy/haproxy.raw.log", "?", [0; 5]),
    ("nginx-haproxy/haproxy.rfc3164.log", "?", [0; 5]),
    ("nginx-haproxy/haproxy.rfc5424.log", "?", [0; 5]),
    ("nginx-haproxy/haproxy.short.log", "?", [0; 5]),
    ("nginx-haproxy/haproxy.timed.log", "?", [0; 5]),
    ("nginx-haproxy/nginx-access.syslog", "?", [0; 5]),
    ("nginx-haproxy/nginx-combined.log", "?", [0; 5]),
    ("nginx-haproxy/nginx-error.log", "?", [0; 5]),
    ("nginx-haproxy/nginx-error.syslog", "?", [0; 5]),
    ("nginx-haproxy/nginx-escape-none.log", "?", [0; 5]),
    ("nginx-haproxy/nginx-ingress.log", "?", [0; 5]),
    ("nginx-haproxy/nginx-json.log", "?", [0; 5]),
    ("nginx-haproxy/nginx-stream.log", "?", [0; 5]),
    ("nginx-haproxy/nginx-upstream.log", "?", [0; 5]),
];

/// What the upstream of a path of the lab did: the reasons that may be given for it, the finest first. Where a line shows
/// neither who nor why it is unknown, which is never wrong.
const CAUSES: &[(&str, &[&str])] = &[
    ("ok", &[]),
    ("slow", &[]),
    ("refuse", &["proxy connection_refused", "proxy connection_failed"]),
    // HAProxy tries again, and the second try is refused now and then.
    ("reset", &["proxy connection_terminated", "proxy invalid_response"]),
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
    ("nolive", &["proxy destination_unavailable", "proxy connection_failed"]),
    ("unix", &["proxy connection_refused", "proxy connection_failed"]),
    ("v6", &["proxy connection_refused", "proxy connection_failed"]),
    ("tls", &["proxy connection_timeout", "proxy tls_protocol_error", "proxy connection_failed"]),
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
                    assert!(!e.field.is_empty() && e.at <= line.len() && !e.reason.is_empty(), "{file}: {e:?}");
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
    let after_host = path.split_once("://").map_or(path.as_str(), |(_, rest)| {
        rest.split_once('/').map_or("", |(_, path)| path)
    });
    after_host.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default().to_owned()
}

#[test]
fn no_line_of_the_lab_has_a_cause_that_it_did_not_have() {
    let mut wrong = String::new();
    let mut seen = 0;
    for (file, ..) in FILES.iter().filter(|(file, ..)| file.starts_with("lab/")) {
        let lines = lines(file);
        let (format, mut context) = (detected(file, &lines), context());
        for (i, line) in lines.iter().enumerate() {
            let Ok(Parsed::Record(record)) = format.parse(line, &mut context) else { continue };
            let scenario = scenario(record.path);
            let Some((_, allowed)) = CAUSES.iter().find(|(path, _)| *path == scenario) else { continue };
            seen += 1;
            let got = word(&record);
            let is_silent = got.is_empty() && !matches!(record.status.code(), Some(9 | 502 | 504));
            let is_unknown = got.ends_with(" unknown");
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
    let formats: Vec<_> = PARALLEL.iter().zip(&files).map(|(name, lines)| detected(name, lines)).collect();
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
            assert!(own.is_empty() || others.is_empty() || own == others, "{name}:{}: {own:?} {others:?}", i + 1);
            if others.is_empty() {
                known = Some(record);
            }
        }
    }
}
