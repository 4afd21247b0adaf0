//! HAProxy's real logs, with what was really the matter, and lines that others stumbled over.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gatewatch_parsers::formats::compile;
use gatewatch_parsers::{Context, Format, Outcome, Parsed, Record, Zone};
use proptest::prelude::*;

macro_rules! corpus {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/", $name))
    };
}

const RAW: &str = corpus!("nginx-haproxy/haproxy.raw.log");
const LAB: &str = corpus!("lab/haproxy.log");
const EVENTS: &str = corpus!("lab/haproxy-events.log");
const RFC3164: &str = corpus!("nginx-haproxy/haproxy.rfc3164.log");
/// Every `log … format`; the same sessions in each, and a few more in two of them.
const HEADERS: [&str; 7] = [
    corpus!("nginx-haproxy/haproxy.local.log"),
    RFC3164,
    corpus!("nginx-haproxy/haproxy.rfc5424.log"),
    RAW,
    corpus!("nginx-haproxy/haproxy.short.log"),
    corpus!("nginx-haproxy/haproxy.timed.log"),
    corpus!("nginx-haproxy/haproxy.iso.log"),
];

fn haproxy() -> Box<dyn Format> {
    compile("haproxy").unwrap()
}

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a record means, in short: the word of its outcome, who made a gateway error.
fn meaning(record: &Record<'_>) -> String {
    match record.outcome {
        Outcome::Fine if record.attempts.iter().any(|attempt| attempt.failure.is_some()) => {
            "masked".to_owned()
        }
        Outcome::Fine => "fine".to_owned(),
        Outcome::GatewayError(cause) => format!("{} {}", cause.origin.name(), cause.reason.name()),
        Outcome::Aborted => "aborted".to_owned(),
        Outcome::Abandoned => "abandoned".to_owned(),
    }
}

fn status(record: &Record<'_>) -> String {
    record.status.code().map_or("-".to_owned(), |code| format!("{code:03}"))
}

/// Everything in a record but its node.
fn shown(record: &Record<'_>) -> String {
    let mut out = format!("{} {} {} {:?}", record.end, status(record), meaning(record), record.request_time);
    for part in [record.method, record.path, record.pool, record.site] {
        let _ = write!(out, " '{}'", text(part));
    }
    for attempt in &record.attempts {
        let _ = write!(out, " {}={:?}:{:?}", text(attempt.upstream), attempt.status.code(), attempt.failure);
    }
    out
}

/// Lines → what became of them, and the line.
fn parsed<'a>(format: &dyn Format, log: &'a str) -> Vec<(String, &'a str)> {
    let mut context = context();
    let lines = log.lines();
    lines
        .map(|line| match format.parse(line.as_bytes(), &mut context) {
            Ok(Parsed::Record(record)) => (shown(&record), line),
            Ok(Parsed::Diagnosis(_) | Parsed::Event(_) | Parsed::Other) => ("other".to_owned(), line),
            Err(malformed) => (format!("{malformed:?}"), line),
        })
        .collect()
}

/// One line → status, pool, upstreams, method, path, site, meaning; or `other`, or the field at which it stopped.
fn summary(format: &dyn Format, line: &str) -> String {
    match format.parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Record(r)) => {
            let upstreams: Vec<_> = r.attempts.iter().map(|attempt| text(attempt.upstream)).collect();
            let what = [r.method, r.path, r.site].map(text).join(" ");
            format!("{} {} {upstreams:?} {what}: {}", status(&r), text(r.pool), meaning(&r))
        }
        Ok(Parsed::Diagnosis(_) | Parsed::Event(_) | Parsed::Other) => "other".to_owned(),
        Err(malformed) => format!("stopped at {}", malformed.field),
    }
}

/// The first part of the path → status, pool, last upstream, meaning.
fn by_scenario(log: &str) -> BTreeMap<String, Vec<String>> {
    let (format, mut context) = (haproxy(), context());
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in log.lines() {
        let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context) else { continue };
        let path = text(record.path);
        let scenario = path.trim_start_matches("http://gw.example").split('/').nth(1).unwrap_or("-");
        let upstream = record.attempts.last().map_or(String::new(), |attempt| text(attempt.upstream));
        let line = format!("{} {} {upstream}: {}", status(&record), text(record.pool), meaning(&record));
        let entry = found.entry(scenario.to_owned()).or_default();
        if !entry.contains(&line) {
            entry.push(line);
        }
    }
    found
}

#[test]
fn the_lab_is_told_as_it_was() {
    let truth = [
        ("bighdr", "502 be_bighdr be_bighdr/s1: proxy invalid_response"),
        ("garbage", "502 be_garbage be_garbage/s1: proxy invalid_response"),
        ("nolive", "503 be_nosrv : proxy destination_unavailable"),
        ("ok", "200 be_ok be_ok/s1: fine"),
        ("own502", "502 be_own502 be_own502/s1: upstream upstream_response"),
        ("own504", "504 be_own504 be_own504/s1: upstream upstream_response"),
        ("partial", "502 be_partial be_partial/s1: proxy connection_terminated"),
        ("refuse", "503 be_refuse be_refuse/s1: proxy connection_failed"),
        ("reset", "502 be_reset be_reset/s1: proxy connection_terminated"),
        ("retry", "200 be_retry be_retry/live: masked"),
        ("short", "200 be_short be_short/s1: aborted"),
        ("slow", "200 be_slow be_slow/s1: fine"),
        ("timeout", "504 be_timeout be_timeout/s1: proxy connection_read_timeout"),
        ("tls", "503 be_tls be_tls/s1: proxy connection_timeout"),
    ];
    let found = by_scenario(LAB);
    for (path, want) in truth {
        assert_eq!(found.get(path), Some(&vec![want.to_owned()]), "{path}");
    }
    let lines = parsed(&*haproxy(), LAB);
    assert!(lines.iter().all(|(shown, _)| shown != "other" && !shown.starts_with("Malformed")));
    // What the clients saw, and how often.
    for row in corpus!("lab/truth.tsv").lines() {
        let [proxy, path, saw, times] = row.split('\t').collect::<Vec<_>>()[..] else { continue };
        if proxy != "haproxy" {
            continue;
        }
        let saw = if path == "short" { "200" } else { saw };
        let count = lines.iter().filter(|(shown, line)| {
            line.contains(&format!("GET /{path}/")) && shown.split(' ').nth(1) == Some(saw)
        });
        assert_eq!(count.count().to_string(), times, "{path}");
    }
}

#[test]
fn seventy_scenarios_are_told_as_they_were() {
    let truth = [
        ("refused", "503 b_refused b_refused/s1: proxy connection_failed"),
        ("noserver", "503 b_noserver : proxy destination_unavailable"),
        ("down", "503 b_down : proxy destination_unavailable"),
        ("redis", "503 b_redis b_redis/s1: proxy connection_failed"),
        ("redis2", "503 b_redis2 b_redis2/s1: proxy connection_failed"),
        ("blackhole", "503 b_blackhole b_blackhole/s1: proxy connection_timeout"),
        ("tlsmis", "503 b_tlsmis b_tlsmis/s1: proxy connection_timeout"),
        ("deny502", "502 b_deny502 b_deny502/s1: proxy invalid_response"),
        ("l7retry", "502 b_l7retry b_l7retry/s1: upstream upstream_response"),
        ("close", "502 b_close b_close/s1: proxy connection_terminated"),
        ("rst", "502 b_rst b_rst/s1: proxy connection_terminated"),
        ("hang", "504 b_hang b_hang/s1: proxy connection_read_timeout"),
        ("badstatus", "502 b_badstatus b_badstatus/s1: proxy invalid_response"),
        ("bighdr", "502 b_bighdr b_bighdr/s1: proxy invalid_response"),
        ("partial", "200 b_partial b_partial/s1: aborted"),
        ("slowbody", "200 b_slowbody b_slowbody/s1: aborted"),
        ("e502", "502 b_e502 b_e502/s1: upstream upstream_response"),
        ("e503", "503 b_e503 b_e503/s1: fine"),
        ("e504", "504 b_e504 b_e504/s1: upstream upstream_response"),
        ("e500", "500 b_e500 b_e500/s1: fine"),
        ("denied", "403 fe_http : fine"),
        ("tarpit", "500 fe_http : fine"),
        ("applet", "200 fe_http : fine"),
        ("stats", "200 fe_http : fine"),
    ];
    for log in HEADERS {
        let found = by_scenario(log);
        for (path, want) in truth {
            assert_eq!(found.get(path), Some(&vec![want.to_owned()]), "{path}");
        }
        let queue = [
            "503 b_queue : proxy destination_unavailable",
            "504 b_queue b_queue/s1: proxy connection_read_timeout",
        ];
        assert_eq!(found.get("queue").unwrap(), &queue);
    }
}

#[test]
fn every_header_gives_the_same_records() {
    let format = haproxy();
    let sessions =
        |log: &str| -> Vec<String> { parsed(&*format, log).into_iter().map(|(shown, _)| shown).collect() };
    let local = sessions(HEADERS[0]);
    assert_eq!(local.len(), 51);
    for log in HEADERS {
        let found = sessions(log);
        assert!(found.iter().all(|shown| !shown.starts_with("Malformed")), "{found:?}");
        for session in &local {
            assert!(found.contains(session), "{session}");
        }
    }
    // And what else stands in two of them.
    let count = |log: &str, what: &str| sessions(log).iter().filter(|shown| *shown == what).count();
    assert_eq!(sessions(RFC3164).len(), 60);
    assert_eq!(count(RFC3164, "other"), 3);
    assert_eq!(count(EVENTS, "other"), 4);
}

#[test]
fn the_header_names_the_node_and_its_zone() {
    let line = RAW.lines().next().unwrap();
    let cases = [
        ("", "", 0),
        ("<134>Nov 22 14:54:06 edge-1 haproxy[7229]: ", "edge-1", 0),
        ("<134>1 2026-11-22T14:54:06.958885+02:00 edge-1 haproxy 7229 - - ", "edge-1", 2),
        ("2026-11-22T14:54:06-03:00 edge-1 haproxy[7229]: ", "edge-1", -3),
    ];
    let format = haproxy();
    for (header, node, hours) in cases {
        let whole = format!("{header}{line}");
        let mut context = context();
        for _ in 0..2 {
            let Ok(Parsed::Record(record)) = format.parse(whole.as_bytes(), &mut context) else {
                panic!("{whole}")
            };
            assert_eq!(text(record.node), node);
            assert_eq!(record.end, 1_795_359_246_957 - hours * 3_600_000, "{whole}");
        }
    }
}

/// Lines that others stumbled over → what they are here.
const TRICKY: &[(&str, &str)] = &[
    // 40: nothing was reached.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe fe/<NOSRV> -1/-1/-1/-1/0 408 212 - - cR-- 1/1/0/0/0 0/0 "<BADREQ>""#,
        "408 fe []   : fine",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/5001/-1/-1/5001 -1 0 - - CC-- 1/1/0/0/2 0/0 "GET / HTTP/1.1""#,
        r#"- be ["be/s1", "be/s1", "be/s1"] GET / : abandoned"#,
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/<NOSRV> 0/501/-1/-1/501 -1 0 - - CQ-- 1/1/0/0/0 0/1 "GET / HTTP/1.1""#,
        "- be [] GET / : abandoned",
    ),
    // 41: logged before its end, redispatched.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 10/0/30/69/+109 200 +2750 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s2 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/+2 0/0 "GET / HTTP/1.1""#,
        r#"200 be ["", "", "be/s2"] GET / : masked"#,
    ),
    // 42: no server, statistics, no request.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/<NOSRV> 0/-1/-1/-1/0 503 212 - - SC-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"503 be [""] GET / : proxy destination_unavailable"#,
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe fe/<STATS> 0/0/0/0/0 200 174240 - - LR-- 1/1/0/0/0 0/0 "GET /stats HTTP/1.1""#,
        "200 fe [] GET /stats : fine",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe fe/<NOSRV> 0/-1/-1/-1/0 502 212 - - LR-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        "502 fe [] GET / : fine",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe fe/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 """#,
        "400 fe []   : fine",
    ),
    // 43: captures, with what attackers put there.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 a=b c=d --NI 1/1/0/0/0 0/0 {} {} "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 {x|} "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 {|||} {a b (c) #7D #22GET /fake HTTP/1.1#22 502 sH--} "GET /x HTTP/1.1""#,
        r#"200 be ["be/s1"] GET /x : fine"#,
    ),
    // 44: clients.
    (
        r#"2001:db8::1:58430 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    (
        r#"::ffff:1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    (
        r#"-:22222 [22/Nov/2026:14:54:06.956] fe~ be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    (
        r#"unix:2 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    // 45: dates.
    (r#"1.2.3.4:5 [] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#, "stopped at %tr"),
    (
        r#"1.2.3.4:5 [22/Foo/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        "stopped at %tr",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"200 be ["be/s1"] GET / : fine"#,
    ),
    // 46: somebody's own field; 47: two spaces.
    (
        r#"Jun 22 12:02:53 node2 haproxy[23034]: -:47625 [22/Jun/2021:12:02:53.473] www~ app/node2 app.example.com 0/0/1/17/18 302 291 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
        r#"302 app ["app/node2"] GET / : fine"#,
    ),
    (
        r#"Feb  6 12:14:14 edge haproxy[1]:  1.2.3.4:63387  [22/Nov/2026:14:54:06.956]  fe be/s1 0/0/0/-1/1001  504 198 - -  sH-- 1/1/0/0/0 0/0  "GET /  HTTP/1.1""#,
        r#"504 be ["be/s1"] GET /  : proxy connection_read_timeout"#,
    ),
    // 48: cut by the log's `len`, in the request and in the captures.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/-1/1001 504 198 - - sH-- 1/1/0/0/0 0/0 {h} "GET /aaaaaaaaaa"#,
        r#"504 be ["be/s1"] GET /aaaaaaaaaa : proxy connection_read_timeout"#,
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/-1/1001 504 198 - - sH-- 1/1/0/0/0 0/0 {Mozilla/5.0 (X"#,
        r#"504 be ["be/s1"]   : proxy connection_read_timeout"#,
    ),
    // 49: httpslog, old and new.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe~ be/s1 0/0/0/-1/1001 504 198 - - sH-- 1/1/0/0/0 0/0 "GET / HTTP/1.1" 0/0000000000000000/0/0/0 gw.example/TLSv1.3/TLS_AES_256_GCM_SHA384"#,
        r#"504 be ["be/s1"] GET / : proxy connection_read_timeout"#,
    ),
    // 50: a common log line, and one whose configuration left backslashes in it.
    (
        r#"1.2.3.4 - - [22/Nov/2026:14:54:21 +0000] "GET /x HTTP/1.1" 503 217 "" "" 53822 232 "fe" "be" "s1" 0 0 -1 -1 1001 SC-- 1 1 0 0 1 0 0 "" "" "#,
        r#"503 be ["be/s1", "be/s1"] GET /x : proxy connection_failed"#,
    ),
    (
        r#"Sep 13 10:43:45 serv haproxy[666]: 1.1.1.1 - - [13/Sep/2018:08:43:45 +0000] "HEAD / HTTP/1.0" 301 93 \"\" \"\" 10976 \828 "https" "https" "<NOSRV>" \0 -1 -1 -1 0 LR-- 1 1 \0 0 0 0 0 "" "" \"#,
        "301 https [] HEAD / : fine",
    ),
    // 56: HTTP/2 and forward proxies name the host.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe~ be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET https://shop.example:8443/a HTTP/2.0""#,
        r#"200 be ["be/s1"] GET https://shop.example:8443/a shop.example: fine"#,
    ),
    // 60: what is no session.
    ("<134>Nov 22 14:54:06 haproxy[7229]: Proxy fe_main started.", "other"),
    ("Server be/s1 is DOWN, reason: Layer4 connection problem", "other"),
    ("<133>Nov 22 14:54:06 haproxy[7229]: Something this program has never seen.", "other"),
    ("1.2.3.4:5 [22/Nov/2026:14:54:25.380] fe_tls/1: Connection closed during SSL handshake", "other"),
    (
        "1.2.3.4:5 [22/Nov/2026:14:54:25.380] fe_tls/bind@1.2.3.4:443: SSL handshake failure (error:0A000076:SSL)",
        "other",
    ),
    ("Connect from 10.0.1.2:33312 to 10.0.3.31:8012  (www/HTTP)", "other"),
    ("", "other"),
    ("# a comment", "other"),
    ("I1215 10:00:00.000000 1 main.go:1] starting", "stopped at %tr"),
    ("goroutine 1 [running]:", "stopped at %tr"),
    ("<134>Nov 22 14:54:06 edge sshd[7229]: Accepted publickey for root", "stopped at %tr"),
    // TCP.
    ("1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe t/s1 1/0/100 62 -- 2/1/0/0/0 0/0", r#"- t ["t/s1"]   : fine"#),
    (
        "1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe t/s1 1/-1/+1001 +0 SC 1/1/0/0/1 0/0",
        r#"- t ["t/s1", "t/s1"]   : proxy connection_failed"#,
    ),
    (
        "1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe t/s1 1/-1/3000 0 sC 1/1/0/0/0 0/0",
        r#"- t ["t/s1"]   : proxy connection_timeout"#,
    ),
    (
        "1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe t/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0",
        r#"- t [""]   : proxy destination_unavailable"#,
    ),
    ("1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe t/s1 1/0/100 62 sD 2/1/0/0/0 0/0", r#"- t ["t/s1"]   : fine"#),
    // 70, 71: 502 and 504 where they are no status.
    (
        r#"1.2.3.4:504 [22/Nov/2026:14:54:06.502] fe502 be504/s502 504/502/504/502/504 200 502 504 - ---- 502/504/502/504/0 502/504 {504} "GET /502/#22 504 sH-- HTTP/1.1""#,
        r#"200 be504 ["be504/s502"] GET /502/#22 504 sH-- : fine"#,
    ),
    // Fields that are not what they should be.
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET /""#,
        "stopped at %TR/%Tw/%Tc/%Tr/%Ta",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/x 200 1 - - ---- 1/1/0/0/0 0/0 "GET /""#,
        "stopped at %TR/%Tw/%Tc/%Tr/%Ta",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 2000 1 - - ---- 1/1/0/0/0 0/0 "GET /""#,
        "stopped at %ST",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - --- 1/1/0/0/0 0/0 "GET /""#,
        "stopped at %tsc",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET /""#,
        "stopped at %b/%s",
    ),
    (
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 GET /"#,
        "stopped at %r",
    ),
];

#[test]
fn lines_that_others_stumbled_over() {
    let format = haproxy();
    for (line, want) in TRICKY {
        assert_eq!(summary(&*format, line), *want, "{line}");
    }
}

#[test]
fn a_lower_bound_places_the_end_and_measures_nothing() {
    let format = haproxy();
    let line = r#"1.2.3.4:5 [22/Nov/2026:14:54:06.000] fe be/s1 0/0/0/9/+109 200 +9 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1""#;
    let mut context = context();
    let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context) else { panic!() };
    assert_eq!((record.end, record.request_time), (1_795_359_246_109, None));
    let line = line.replace("+109", "-1");
    let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context) else { panic!() };
    assert_eq!((record.end, record.request_time), (1_795_359_246_000, None));
}

const HTTPLOG: &str = "haproxy:%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
const HTTPSLOG: &str = r#"haproxy:log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc""#;
const TCPLOG: &str = r"haproxy:%ci:%cp\ [%t]\ %ft\ %b/%s\ %Tw/%Tc/%Tt\ %B\ %ts\ %ac/%fc/%bc/%sc/%rc\ %sq/%bq";
const CLF: &str = r#"haproxy:%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl"#;

#[test]
fn the_built_in_formats_spelled_out_give_the_same() {
    let built_in = haproxy();
    let cases = [
        (HTTPLOG, RAW, 51),
        (HTTPLOG, LAB, 56),
        (TCPLOG, LAB, 3),
        (CLF, RAW, 4),
        (TCPLOG, RFC3164, 2),
        (HTTPSLOG, RFC3164, 55),
    ];
    for (setting, log, want) in cases {
        let format = compile(setting).unwrap();
        let pairs: Vec<_> = parsed(&*built_in, log).into_iter().zip(parsed(&*format, log)).collect();
        let mut same = 0;
        for ((built_in, line), (compiled, _)) in pairs {
            if compiled == "other" {
                assert_eq!(built_in, "other");
            } else if !compiled.starts_with("Malformed") {
                // Only httpslog logs the name that the client asked for.
                let built_in = if line.contains(" gw.example/TLS") && setting == HTTPSLOG {
                    built_in.replacen("''", "'gw.example'", 1)
                } else {
                    built_in
                };
                assert_eq!(compiled, built_in, "{line}");
                same += 1;
            }
        }
        assert_eq!(same, want, "{setting}");
    }
}

/// A `log-format`, a line, what it is.
const OWN_FORMATS: &[(&str, &str, &str)] = &[
    (
        r#"haproxy:{"time":"%Tl","host":"%[capture.req.hdr(0),lower]","ua":"%[capture.req.hdr(1),json]","method":"%HM","uri":"%HU","status":%ST,"backend":"%b","server":"%s","state":"%tsc","rc":%rc,"ta":%Ta}"#,
        r#"{"time":"22/Nov/2026:14:54:06 +0100","host":"gw.example","ua":"a\",\"status\":504,","method":"GET","uri":"/a?b","status":503,"backend":"be","server":"s1","state":"SC--","rc":1,"ta":1001}"#,
        r#"503 be ["be/s1", "be/s1"] GET /a?b : proxy connection_failed"#,
    ),
    (
        "haproxy:%ci:%cp [%t] %b %s %Tt %ST %ts %{+Q}[req.hdr(host)] %{+Q}r",
        r#"2001:db8::1:58430 [22/Nov/2026:14:54:06.956] be s1 1001 504 sH "gw.example:8080" "GET / HTTP/1.1""#,
        r#"504 be ["be/s1"] GET / gw.example: proxy connection_read_timeout"#,
    ),
    (
        "haproxy:%H %Ts.%ms %si:%sp %HM %HP %ST %tsc %Ta",
        "edge-1 1795359246.956 10.0.0.7:8080 GET /x 502 SH-- 12",
        r#"502  ["10.0.0.7:8080"] GET /x : proxy connection_terminated"#,
    ),
    (
        "haproxy:%[request_id] %ci [%tr] %b/%s %Ta %ST %[capture.req.hdr(0)] %tsc",
        "8a 5 z 1.2.3.4 [22/Nov/2026:14:54:06.956] be/s1 5 502 some agent 504 with words ----",
        r#"502 be ["be/s1"]   : upstream upstream_response"#,
    ),
    (
        "haproxy:%tr %ci %b/%s %ST 100%% %tsc %{+X}pid",
        "22/Nov/2026:14:54:06.956 1.2.3.4 be/s1 504 100% sH-- 1A2B",
        r#"504 be ["be/s1"]   : proxy connection_read_timeout"#,
    ),
    (
        "haproxy:%(client)ci [%tr] %(st:sint){+Q}ST %[be_name]/%[srv_name] %[status] %ts",
        "1.2.3.4 [22/Nov/2026:14:54:06.956] 200 be/s1 200 --",
        r#"200 be ["be/s1"]   : fine"#,
    ),
    (
        r#"haproxy:%ci [%tr] %b/%s %ST %tsc "%[res.hdr(Proxy-Status)]" %[res.fhdr(x-luminati-error)]"#,
        r#"1.2.3.4 [22/Nov/2026:14:54:06.956] be/s1 502 ---- "cache-7; error=connection_refused; details=\"a b\"" -"#,
        r#"502 be ["be/s1"]   : upstream connection_refused"#,
    ),
    (
        r#"haproxy:%ci [%tr] %b/%s %ST %tsc %[res.hdr(proxy-status,1)] %[res.hdr(server)]"#,
        "1.2.3.4 [22/Nov/2026:14:54:06.956] be/s1 200 ---- a;error=dns_error x",
        r#"200 be ["be/s1"]   : fine"#,
    ),
    (HTTPLOG, "<134>Nov 22 14:54:06 haproxy[1]: Server be/s1 is DOWN, reason: Layer4 timeout", "other"),
    (HTTPLOG, "1.2.3.4:5 [22/Nov/2026:14:54:25.380] fe_tls/1: SSL handshake failure", "other"),
    (HTTPLOG, "1.2.3.4:5 [22/Nov/2026:14:54:25.380] fe be/s1 0/0/0/0/0 50", "stopped at %B"),
    (HTTPLOG, "1.2.3.4:5 [] fe be/s1 0/0/0/0/0 500", "stopped at %tr"),
    (
        HTTPLOG,
        r#"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/-1/1001 504 198 - - sH-- 1/1/0/0/0 0/0 {Mozil"#,
        r#"504 be ["be/s1"]   : proxy connection_read_timeout"#,
    ),
];

#[test]
fn log_formats_of_ones_own() {
    for (setting, line, want) in OWN_FORMATS {
        let format = compile(setting).unwrap();
        assert_eq!(format.name(), *setting);
        assert_eq!(summary(&*format, line), *want, "{setting}");
    }
}

#[test]
fn a_log_format_that_cannot_be_is_refused() {
    let cases = [
        ("haproxy:%ci %ST", "no date"),
        ("haproxy:[%tr] %ci", "neither a status"),
        ("haproxy:[%tr] %ST %xyzzy", "no variable %xyzzy"),
        ("haproxy:[%tr] %ST %", "a variable should follow"),
        ("haproxy:[%tr] %ST %[unfinished", "a variable should follow"),
        ("haproxy:[%tr] %b%s %ST", "nothing separates %b from %s"),
        ("haproxy:", "no date"),
        ("haproxy:nonsense", "no date"),
    ];
    for (setting, want) in cases {
        let error = compile(setting).unwrap_err();
        assert!(error.message.contains(want), "{setting}: {error}");
        assert!(error.at <= setting.len());
    }
    let error = compile("haproxy:[%tr] %ST %xyzzy").unwrap_err();
    assert_eq!(error.at, "haproxy:[%tr] %ST ".len());
    for name in ["httplog", "httpslog", "tcplog", "clf"] {
        assert_eq!(compile(&format!("haproxy:{name}")).unwrap().name(), "haproxy");
    }
}

#[test]
fn explained_fields_bear_the_manuals_names() {
    let line = r#"<134>Nov 22 14:54:06 edge haproxy[7]: 2001:db8::1:5 [22/Nov/2026:14:54:06.956] fe~ be/s1 0/1/2/-1/1001 504 198 - c=1 sH-- 1/2/3/4/+5 6/7 {h} "GET / HTTP/1.1" 0/0"#;
    let (built_in, compiled) = (haproxy(), compile(HTTPLOG).unwrap());
    let fields = built_in.explain(line.as_bytes(), &mut context());
    let found: Vec<_> = fields.iter().map(|field| format!("{}={}", field.name, text(field.value))).collect();
    let want = "syslog date=Nov 22 14:54:06|syslog host=edge|syslog program=haproxy|%ci=2001:db8::1|%cp=5|%tr=22/Nov/2026:14:54:06.956|\
                %ft=fe~|%b=be|%s=s1|%TR=0|%Tw=1|%Tc=2|%Tr=-1|%Ta=1001|%ST=504|%B=198|%CC=-|%CS=c=1|%tsc=sH--|\
                %ac=1|%fc=2|%bc=3|%sc=4|%rc=+5|%sq=6|%bq=7|%hr=h|%r=GET / HTTP/1.1|further fields=0/0";
    assert_eq!(found.join("|"), want);
    for field in fields {
        assert_eq!(&line.as_bytes()[field.at..field.at + field.value.len()], field.value, "{}", field.name);
    }
    // As far as the line goes.
    let fields =
        built_in.explain(b"1.2.3.4:5 [22/Nov/2026:14:54:06.956] fe be/s1 0/0/0/0/0 50", &mut context());
    assert_eq!(fields.last().unwrap().name, "%Ta");
    let fields = compiled.explain(line.as_bytes(), &mut context());
    assert!(fields.iter().any(|field| field.name == "%ST" && field.value == b"504"));
}

#[test]
fn the_beginning_of_a_line_never_says_another_status() {
    let compiled = [HTTPLOG, TCPLOG, CLF].map(|setting| compile(setting).unwrap());
    let formats: Vec<_> = std::iter::once(haproxy()).chain(compiled).collect();
    let lines = HEADERS.iter().chain([&LAB, &EVENTS]).flat_map(|log| log.lines());
    for line in lines.filter(|line| line.len() < 400) {
        for format in &formats {
            let Ok(Parsed::Record(whole)) = format.parse(line.as_bytes(), &mut context()) else { continue };
            let whole = (whole.status, meaning(&whole));
            for cut in 0..line.len() {
                match format.parse(&line.as_bytes()[..cut], &mut context()) {
                    Ok(Parsed::Record(record)) => {
                        assert_eq!((record.status, meaning(&record)), whole, "{}", &line[..cut]);
                    }
                    // Half a line is no event.
                    Ok(_) => assert_eq!(cut, 0, "{}", &line[..cut]),
                    Err(malformed) => assert!(malformed.at <= cut),
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn anything_at_all_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for setting in ["haproxy", HTTPLOG, CLF, OWN_FORMATS[0].0] {
            let format = compile(setting).unwrap();
            let _ = format.parse(&bytes, &mut context());
            let _ = format.explain(&bytes, &mut context());
        }
    }

    /// A real line with a few bytes changed: whatever it says then, no panic, and the place of a mistake is in the line.
    #[test]
    fn damaged_lines_are_survived(
        log in prop::sample::select(&HEADERS[..]),
        at in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let lines: Vec<_> = log.lines().collect();
        let mut line = lines[at.index(lines.len())].as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line.truncate(line.len() - cut.index(line.len()) / 8);
        for setting in ["haproxy", HTTPLOG, TCPLOG, CLF] {
            let format = compile(setting).unwrap();
            if let Err(malformed) = format.parse(&line, &mut context()) {
                prop_assert!(malformed.at <= line.len());
            }
            let _ = format.explain(&line, &mut context());
        }
    }

    #[test]
    fn any_log_format_is_compiled_or_refused(setting in "(%[a-zA-Z{}+\\[\\]()]{0,4}| |[a-z\"\\\\/é]){0,20}", line in "[ -~]{0,80}") {
        if let Ok(format) = compile(&format!("haproxy:[%tr] %ST {setting}")) {
            let _ = format.parse(line.as_bytes(), &mut context());
        }
    }
}
