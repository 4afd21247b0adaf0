//! Those who speak JSON, line by line. Lines are as the products write them, with names and addresses changed.

use super::map::compile;
use super::*;
use crate::diagnosis::Effect;
use crate::event::Happened;
use crate::reason::{Cause, Origin, Reason};
use crate::record::{Outcome, Record, Status};
use crate::time::Zone;

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record<'a>(format: &'a dyn Format, line: &'a str) -> Record<'a> {
    match format.parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Record(record)) => record,
        other => panic!("{line}: {other:?}"),
    }
}

const fn proxy(reason: Reason) -> Outcome {
    Outcome::GatewayError(Cause::proxy(reason))
}

const UNKNOWN: Outcome = Outcome::GatewayError(Cause::UNKNOWN);
const PASSED: Outcome = Outcome::GatewayError(Cause::upstream());
const NONE: u16 = 1000;

#[test]
fn cloudflare_by_status() {
    let json = compile(None).unwrap();
    let cases: &[(u16, &str, Outcome)] = &[
        (200, r#""OriginResponseStatus":200"#, Outcome::Fine),
        (503, r#""OriginResponseStatus":503"#, Outcome::Fine),
        (502, r#""OriginResponseStatus":502"#, PASSED),
        (504, r#""OriginResponseStatus":"504""#, PASSED),
        (502, r#""OriginResponseStatus":0"#, proxy(Reason::Unknown)),
        (504, r#""OriginResponseStatus":0"#, proxy(Reason::Unknown)),
        (502, r#""CacheCacheStatus":"dynamic""#, UNKNOWN),
        (502, r#""OriginResponseStatus":522"#, proxy(Reason::ConnectionTimeout)),
        (504, r#""OriginResponseStatus":200"#, proxy(Reason::Unknown)),
        (520, r#""OriginResponseStatus":0"#, proxy(Reason::InvalidResponse)),
        (521, r#""OriginResponseStatus":0"#, proxy(Reason::ConnectionRefused)),
        (522, r#""OriginResponseStatus":522"#, proxy(Reason::ConnectionTimeout)),
        (523, r#""OriginResponseStatus":0"#, proxy(Reason::ConnectionFailed)),
        (524, r#""OriginResponseStatus":0"#, proxy(Reason::HttpResponseTimeout)),
        (525, r#""OriginResponseStatus":0"#, proxy(Reason::TlsProtocolError)),
        (526, r#""OriginResponseStatus":0"#, proxy(Reason::TlsCertificateError)),
        (530, r#""OriginResponseStatus":0"#, proxy(Reason::Unknown)),
        (530, r#""OriginResponseStatus":0,"error_code":1016"#, proxy(Reason::DnsError)),
        (499, r#""OriginResponseStatus":0"#, Outcome::Abandoned),
        (499, r#""OriginResponseStatus":200"#, Outcome::Fine),
        (0, r#""OriginResponseStatus":0"#, Outcome::Fine),
    ];
    for (status, origin, outcome) in cases {
        let line = format!(
            r#"{{"CacheCacheStatus":"unknown","ClientIP":"192.0.2.7","ClientRequestHost":"www.example","ClientRequestMethod":"GET","ClientRequestURI":"/a?b=1","EdgeColoCode":"FRA","EdgeEndTimestamp":1795359233250000000,"EdgeResponseBytes":9007199254740993,"EdgeResponseStatus":{status},"EdgeStartTimestamp":1795359232000000000,"OriginIP":"203.0.113.9",{origin},"RayID":"8f0"}}"#
        );
        let record = record(&*json, &line);
        assert_eq!((record.status, record.outcome), (Status::new(*status), *outcome), "{line}");
        assert_eq!((record.end, record.request_time), (1_795_359_233_250, Some(1_250)));
        let fields = [record.method, record.path, record.site, record.region].map(text);
        assert_eq!(fields, ["GET", "/a?b=1", "www.example", "FRA"]);
        assert_eq!(record.attempts.last().unwrap().upstream, b"203.0.113.9");
    }
}

#[test]
fn cloudflare_times() {
    let json = compile(None).unwrap();
    let cases = [
        (r#""EdgeEndTimestamp":1795359233,"EdgeStartTimestamp":1795359232"#, 1_795_359_233_000, None),
        (
            r#""EdgeEndTimestamp":"2026-11-22T14:53:53Z","EdgeStartTimestamp":"2026-11-22T14:53:52Z""#,
            1_795_359_233_000,
            None,
        ),
        (r#""EdgeStartTimestamp":"2026-11-22T14:53:53Z""#, 1_795_359_233_000, None),
        (
            r#""EdgeEndTimestamp":"1795359233250000000","EdgeStartTimestamp":"1795359233000000000""#,
            1_795_359_233_250,
            Some(250),
        ),
        (
            r#""EdgeEndTimestamp":"2026-11-22T14:53:53.25Z","EdgeStartTimestamp":"2026-11-22T14:53:53.000Z""#,
            1_795_359_233_250,
            Some(250),
        ),
    ];
    for (times, end, request_time) in cases {
        let line = format!(r#"{{"EdgeResponseStatus":200,{times}}}"#);
        let record = record(&*json, &line);
        assert_eq!((record.end, record.request_time), (end, request_time), "{times}");
    }
}

#[test]
fn fastly_by_phrase() {
    let json = compile(None).unwrap();
    let cases: &[(u16, &str, &str, Outcome)] = &[
        (200, "HIT", "OK", Outcome::Fine),
        (503, "ERROR", "first byte timeout", proxy(Reason::HttpResponseTimeout)),
        (503, "ERROR", "backend read error", proxy(Reason::InvalidResponse)),
        (503, "ERROR", "connection refused", proxy(Reason::ConnectionRefused)),
        (503, "ERROR", "connection timed out", proxy(Reason::ConnectionTimeout)),
        (503, "ERROR", "All backends failed or unhealthy", proxy(Reason::DestinationUnavailable)),
        (503, "ERROR", "certificate has expired", proxy(Reason::TlsCertificateError)),
        (503, "ERROR", "SSL handshake error", proxy(Reason::TlsProtocolError)),
        (503, "ERROR", "Backend.max_conn reached", proxy(Reason::ConnectionLimitReached)),
        (503, "ERROR", "between bytes timeout", proxy(Reason::ConnectionReadTimeout)),
        (503, "ERROR", "Backend fetch failed", proxy(Reason::Unknown)),
        // Somebody's own page, the origin's own answer.
        (503, "ERROR", "Maintenance", Outcome::Fine),
        (503, "MISS", "Service Unavailable", Outcome::Fine),
        (502, "MISS", "Bad Gateway", PASSED),
        (504, "PASS", "Gateway Timeout", PASSED),
        (502, "", "Bad Gateway", UNKNOWN),
        (502, "ERROR", "Bad Gateway", proxy(Reason::Unknown)),
    ];
    for (status, state, phrase, outcome) in cases {
        let line = format!(
            r#"{{"timestamp":"2026-11-22T14:53:53+0000","client_ip":"192.0.2.7","geo_country":"germany","host":"www.example","url":"/a","request_method":"GET","request_protocol":"HTTP/2","request_referer":"","request_user_agent":"x","response_state":"{state}","response_status":{status},"response_reason":"{phrase}","response_body_size":31,"fastly_server":"cache-fra-1","fastly_is_edge":true}}"#
        );
        let record = record(&*json, &line);
        assert_eq!((record.status, record.outcome), (Status::new(*status), *outcome), "{line}");
        assert_eq!(record.end, 1_795_359_233_000);
        let fields = [record.method, record.path, record.site, record.node].map(text);
        assert_eq!(fields, ["GET", "/a", "www.example", "cache-fra-1"]);
    }
    // The other usual form: its request is the method, its time is counted in microseconds.
    let line = r#"{"service_id":"x","time_start":"2026-11-22T14:53:52Z","time_end":"2026-11-22T14:53:53Z","time_elapsed":1250000,"request":"POST","host":"www.example","url":"/a","status":503,"response_reason":"connection refused","server":{"datacenter":"FRA","identity":"cache-fra-1"},"beresp":{"backend":{"name":"F_origin"}},"fastly_info":{"state":"ERROR"}}"#;
    let record = record(&*json, line);
    assert_eq!((record.end, record.request_time), (1_795_359_233_250, Some(1_250)));
    assert_eq!(record.outcome, proxy(Reason::ConnectionRefused));
    let fields = [record.method, record.path, record.site, record.node, record.region, record.pool].map(text);
    assert_eq!(fields, ["POST", "/a", "www.example", "cache-fra-1", "FRA", "F_origin"]);
}

/// A scraper's line; status; outcome; site, upstream, exit, provider.
type Fetch = (&'static str, u16, Outcome, [&'static str; 4]);

const FETCHES: &[Fetch] = &[
    (
        r#"{"ts":"2026-11-22T14:53:53.000Z","exit_ip":"203.0.113.7","provider":"acme","target":"shop.example","status":200,"elapsed_ms":431,"error":null}"#,
        200,
        Outcome::Fine,
        ["shop.example", "203.0.113.7", "203.0.113.7", "acme"],
    ),
    (
        r#"{"ts":"2026-11-22T14:53:53.000Z","exit":"203.0.113.7","provider":"acme","target":"https://shop.example:8443/p/1?q=a/b","status":null,"exception":"ConnectTimeout"}"#,
        NONE,
        proxy(Reason::ConnectionTimeout),
        ["shop.example", "203.0.113.7", "203.0.113.7", "acme"],
    ),
    // The proxy's name and password never become a label.
    (
        r#"{"time":1795359233.0,"session":"s17","proxy":"http://user:p%40ss@gate.example:7777","url":"https:\/\/shop.example\/p","status_code":0,"exc":"requests.exceptions.ProxyError","error_message":"('Unable to connect to proxy', OSError('Tunnel connection failed: 407 Proxy Authentication Required'))"}"#,
        NONE,
        proxy(Reason::ProxyConfigurationError),
        ["shop.example", "gate.example:7777", "s17", ""],
    ),
    (
        r#"{"timestamp":"2026-11-22 14:53:53,000","level":"ERROR","proxy_ip":"203.0.113.7","domain":"shop.example","error_type":"ReadTimeout","msg":"fetch failed"}"#,
        NONE,
        proxy(Reason::ConnectionReadTimeout),
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    // A session proves no exit; a target and an error that fetches end in are enough.
    (
        r#"{"ts":1795359233000,"session_id":"s17","url":"https://shop.example/p","exception":"ReadTimeout"}"#,
        NONE,
        proxy(Reason::ConnectionReadTimeout),
        ["shop.example", "s17", "s17", ""],
    ),
    // A target may be a path.
    (
        r#"{"ts":1795359233000,"exit":"203.0.113.7","target":"/p/1","host":"shop.example","status":200}"#,
        200,
        Outcome::Fine,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    // A word, or the exception itself, where the status stands.
    (
        r#"{"ts":1795359233000,"exit":"203.0.113.7","target":"shop.example","status":"SSLError"}"#,
        NONE,
        proxy(Reason::TlsProtocolError),
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"ts":1795359233000,"exit":"203.0.113.7","target":"shop.example","status":"ok"}"#,
        NONE,
        Outcome::Fine,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"ts":1795359233000,"exit":"203.0.113.7","target":"shop.example","status":"failed","status_code":504}"#,
        504,
        UNKNOWN,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"ts":1795359233000,"exit":"203.0.113.7","target":"shop.example","status":"failed","error":"OurOwnError"}"#,
        NONE,
        UNKNOWN,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    // Node, with the error as an object; a machine's name beside the URL.
    (
        r#"{"level":50,"time":1795359233000,"hostname":"crawl-3","url":"https://shop.example/p","proxy":"203.0.113.7:3128","err":{"type":"Error","message":"connect ECONNREFUSED 203.0.113.7:3128","code":"ECONNREFUSED","stack":"Error: connect"},"msg":"request failed"}"#,
        NONE,
        proxy(Reason::ConnectionRefused),
        ["shop.example", "203.0.113.7:3128", "203.0.113.7:3128", ""],
    ),
    (
        r#"{"time":1795359233000,"host":"crawl-3","url":"https://shop.example/p","exit":"203.0.113.7","error":"read ECONNRESET"}"#,
        NONE,
        proxy(Reason::ConnectionTerminated),
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    // Go
    (
        r#"{"time":"2026-11-22T14:53:53Z","exit":"203.0.113.7","target":"shop.example","error":"Get \"https://shop.example/\": dial tcp: lookup shop.example: no such host"}"#,
        NONE,
        proxy(Reason::DnsError),
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    // Given up, never sent, cut after the header, no failure of ours.
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","error":"context canceled"}"#,
        NONE,
        Outcome::Abandoned,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","error":"TooManyRedirects"}"#,
        NONE,
        Outcome::Fine,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","status":200,"error":"IncompleteRead(512 bytes read)"}"#,
        200,
        Outcome::Aborted,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","status":403,"error":"Forbidden"}"#,
        403,
        Outcome::Fine,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","status":503}"#,
        503,
        Outcome::Fine,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","status":"502","error":"502 Server Error: Bad Gateway for url"}"#,
        502,
        UNKNOWN,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    // What the provider says.
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","provider":"brd","target":"shop.example","status":502,"headers":{"x-brd-err-code":"target_40001"}}"#,
        502,
        proxy(Reason::DnsError),
        ["shop.example", "203.0.113.7", "203.0.113.7", "brd"],
    ),
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","status":504,"proxy_status":"brd.example; error=connection_timeout; details=\"a, b\""}"#,
        504,
        proxy(Reason::ConnectionTimeout),
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
    // It never makes an error.
    (
        r#"{"time":1795359233,"exit":"203.0.113.7","target":"shop.example","status":200,"proxy_status":"brd.example; error=connection_timeout"}"#,
        200,
        Outcome::Fine,
        ["shop.example", "203.0.113.7", "203.0.113.7", ""],
    ),
];

#[test]
fn a_scraper_s_own_log() {
    let json = compile(None).unwrap();
    assert_eq!(json.extra_labels(), ["exit_ip", "provider"]);
    for (line, status, outcome, fields) in FETCHES {
        let record = record(&*json, line);
        assert_eq!(record.status, Status::new(*status), "{line}");
        assert_eq!(record.outcome, *outcome, "{line}");
        assert_eq!(record.end, 1_795_359_233_000, "{line}");
        let upstream = record.attempts.last().map_or(&b""[..], |attempt| attempt.upstream);
        let seen = [record.site, upstream, record.extra.get(0), record.extra.get(1)].map(text);
        assert_eq!(seen, *fields, "{line}");
        assert!(!format!("{seen:?}").contains("p%40ss"));
    }
    let with_node = record(&*json, FETCHES[11].0);
    assert_eq!(with_node.node, b"crawl-3");
}

#[test]
fn what_a_scraper_says_beside_fetches() {
    let json = compile(None).unwrap();
    for line in [
        r#"{"time":"2026-11-22T14:53:53Z","level":"error","msg":"queue","error":"EOF"}"#,
        r#"{"time":"2026-11-22T14:53:53Z","level":"info","message":"started","provider":"acme"}"#,
        // Programs that open files, ask databases: no fetch.
        r#"{"time":"2026-11-22T14:53:53Z","level":"error","msg":"open","path":"/etc/x","error":"no such file"}"#,
        r#"{"time":"2026-11-22T14:53:53Z","level":"error","msg":"query","host":"db-1","error":"connection refused"}"#,
        r#"{"time":"2026-11-22T14:53:53Z","level":"error","msg":"parse","url":"https://a.example/","error":"OurOwnError"}"#,
    ] {
        assert!(matches!(json.parse(line.as_bytes(), &mut context()), Ok(Parsed::Other)), "{line}");
    }
    for (line, field) in [
        (r#"{"time":"2026-11-22T14:53:53Z","exit":"203.0.113.7","target":"a"}"#, "status"),
        (r#"{"time":"2026-11-22T14:53:53Z","exit":"203.0.113.7","target":"a","status":"50x"}"#, "status"),
        (r#"{"exit":"203.0.113.7","target":"a","error":"ReadTimeout"}"#, "time"),
    ] {
        assert_eq!(json.parse(line.as_bytes(), &mut context()).unwrap_err().field, field, "{line}");
    }
}

#[test]
fn statuses_that_an_input_counts() {
    let json = compile(None).unwrap();
    let outcome = |line: &'static str| {
        let mut context = context();
        context.gateway_statuses = Some(vec![503]);
        match json.parse(line.as_bytes(), &mut context) {
            Ok(Parsed::Record(record)) => record.outcome,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(outcome(r#"{"EdgeEndTimestamp":1795359233,"EdgeResponseStatus":503}"#), UNKNOWN);
    assert_eq!(outcome(r#"{"EdgeEndTimestamp":1795359233,"EdgeResponseStatus":522}"#), Outcome::Fine);
    // What has no status is not what the setting speaks of.
    assert_eq!(
        outcome(r#"{"time":1795359233,"exit":"a","target":"b","error":"ReadTimeout"}"#),
        proxy(Reason::ConnectionReadTimeout)
    );
}

#[test]
fn proxy_status_in_a_map_and_in_nginx_words() {
    let map = compile(Some("time=t,status=s,proxy_status=ps")).unwrap();
    let line = r#"{"t":1795359233,"s":502,"ps":"a; error=connection_refused"}"#;
    assert_eq!(record(&*map, line).outcome, proxy(Reason::ConnectionRefused));
    let map = compile(Some("time=t,status=s,x_crawlera_error=ps")).unwrap();
    let line = r#"{"t":1795359233,"s":502,"ps":"nxdomain"}"#;
    assert_eq!(record(&*map, line).outcome, proxy(Reason::DnsError));
    assert!(compile(Some("time=t,status=s,proxy_status=a,x_brd_err_code=b")).is_err());

    let json = compile(None).unwrap();
    let line = r#"{"msec":"1795359233.000","status":"502","upstream_addr":"10.0.0.7:80","upstream_status":"502","upstream_http_proxy_status":"cdn; error=dns_timeout"}"#;
    let upstreams = Cause { origin: Origin::Upstream, reason: Reason::DnsTimeout };
    assert_eq!(record(&*json, line).outcome, Outcome::GatewayError(upstreams));
    // nginx failed before an answer came: the header is of no answer to this.
    let line = r#"{"msec":"1795359233.000","status":"502","upstream_addr":"10.0.0.7:80","upstream_status":"502","uct":"-","uht":"-","upstream_http_proxy_status":"cdn; error=dns_timeout"}"#;
    assert_eq!(record(&*json, line).outcome, proxy(Reason::ConnectionFailed));
}

#[test]
fn traefik_passes_a_body_on() {
    let json = compile(None).unwrap();
    let cases: &[(u16, u16, &str, Outcome)] = &[
        (502, 502, "11", UNKNOWN),
        (502, 502, "0", UNKNOWN),
        (502, 502, "157", PASSED),
        (504, 504, "15", UNKNOWN),
        (504, 504, "497", PASSED),
        (502, 0, "0", proxy(Reason::Unknown)),
    ];
    for (status, origin, size, outcome) in cases {
        let line = format!(
            r#"{{"DownstreamStatus":{status},"Duration":1000000,"OriginContentSize":{size},"OriginStatus":{origin},"RequestHost":"a","ServiceName":"s@file","ServiceURL":"http://10.0.0.7:80","time":"2026-05-18T09:52:41Z"}}"#
        );
        assert_eq!(record(&*json, &line).outcome, *outcome, "{line}");
    }
}

const BESIDE: &[(&str, Reason, Effect, &str, &str)] = &[
    (
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"dial tcp 10.0.0.7:80: connect: connection refused","request":{"remote_ip":"192.0.2.7","method":"GET","host":"api.example:8443","uri":"/"},"duration":0.0006,"status":502,"err_id":"x","err_trace":"reverseproxy.statusError (reverseproxy.go:1267)"}"#,
        Reason::ConnectionRefused,
        Effect::Failed,
        "10.0.0.7:80",
        "api.example",
    ),
    (
        r#"caddy  | {"level":"error","ts":"2026-11-22T14:53:53Z","logger":"http.log.error.log0","msg":"dial tcp [2001:db8::1]:80: i/o timeout","request":{"host":"a"},"status":504}"#,
        Reason::ConnectionTimeout,
        Effect::Failed,
        "[2001:db8::1]:80",
        "a",
    ),
    (
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"dial tcp: lookup app on 127.0.0.11:53: no such host","request":{"host":"a"},"status":502}"#,
        Reason::DnsError,
        Effect::Failed,
        "",
        "a",
    ),
    (
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"no upstreams available","request":{"host":"a"},"status":503}"#,
        Reason::DestinationUnavailable,
        Effect::Failed,
        "",
        "a",
    ),
    (
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"EOF","request":{"host":"a"},"status":502}"#,
        Reason::ConnectionTerminated,
        Effect::Failed,
        "",
        "a",
    ),
    (
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"tls: failed to verify certificate: x509: certificate signed by unknown authority","request":{"host":"a"},"status":502}"#,
        Reason::TlsCertificateError,
        Effect::Failed,
        "",
        "a",
    ),
    (
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"read tcp 10.0.0.2:5000->10.0.0.7:80: read: connection reset by peer","request":{"host":"a"},"status":502}"#,
        Reason::ConnectionTerminated,
        Effect::Failed,
        "10.0.0.7:80",
        "a",
    ),
    (
        r#"{"level":"warn","ts":1795359233.0,"logger":"http.handlers.reverse_proxy","msg":"aborting with incomplete response","upstream":"10.0.0.7:80","duration":0.1,"request":{"host":"a"},"error":"reading: unexpected EOF"}"#,
        Reason::HttpResponseIncomplete,
        Effect::Aborted,
        "10.0.0.7:80",
        "a",
    ),
    (
        r#"{"level":"debug","msg":"'502 Bad Gateway' caused by: dial tcp 10.0.0.7:80: connect: connection refused","time":"2026-11-22T14:53:53Z"}"#,
        Reason::ConnectionRefused,
        Effect::Failed,
        "10.0.0.7:80",
        "",
    ),
    (
        r#"{"level":"debug","error":"dial tcp 10.0.0.7:80: connect: no route to host","time":"2026-11-22T14:53:53Z","message":"502 Bad Gateway"}"#,
        Reason::ConnectionFailed,
        Effect::Failed,
        "10.0.0.7:80",
        "",
    ),
];

#[test]
fn errors_beside_requests_are_diagnoses() {
    let json = compile(None).unwrap();
    for (line, reason, effect, upstream, site) in BESIDE {
        let diagnosis = match json.parse(line.as_bytes(), &mut context()) {
            Ok(Parsed::Diagnosis(diagnosis)) => diagnosis,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(diagnosis.cause, Cause::proxy(*reason), "{line}");
        assert_eq!((diagnosis.at, diagnosis.effect), (1_795_359_233_000, *effect), "{line}");
        assert_eq!([diagnosis.upstream, diagnosis.site].map(text), [*upstream, *site], "{line}");
    }
}

#[test]
fn what_is_neither_request_nor_failure() {
    let json = compile(None).unwrap();
    for line in [
        // The client left; a handler's own error; a retry's note.
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"context canceled","request":{"host":"a"},"status":499}"#,
        r#"{"level":"error","ts":1795359233.0,"logger":"http.log.error","msg":"rate limited","request":{"host":"a"},"status":503}"#,
        r#"{"level":"warn","ts":1795359233.0,"logger":"http.handlers.reverse_proxy","msg":"aborting with incomplete response","error":"writing: write tcp: broken pipe"}"#,
        r#"{"level":"debug","ts":1795359233.0,"logger":"http.handlers.reverse_proxy","msg":"upstream roundtrip","upstream":"10.0.0.7:80","duration":0.1,"error":"dial tcp 10.0.0.7:80: connect: connection refused"}"#,
        r#"{"level":"debug","msg":"'499 Client Closed Request' caused by: context canceled","time":"2026-11-22T14:53:53Z"}"#,
    ] {
        let parsed = json.parse(line.as_bytes(), &mut context());
        assert!(matches!(parsed, Ok(Parsed::Other)), "{line}: {parsed:?}");
    }
    let line = r#"{"level":"info","ts":1795359233.0,"logger":"http.handlers.reverse_proxy.health_checker.active","msg":"host is down","host":"10.0.0.7:80"}"#;
    match json.parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Event(event)) => {
            assert_eq!((event.happened, event.at), (Happened::Down, Some(1_795_359_233_000)));
            assert_eq!(event.upstream, b"10.0.0.7:80");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cut_line_is_no_request() {
    let json = compile(None).unwrap();
    for (line, ..) in FETCHES {
        for end in 0..line.len() {
            let parsed = json.parse(line.as_bytes().get(..end).unwrap(), &mut context());
            assert!(matches!(parsed, Err(_) | Ok(Parsed::Other)), "{}", &line[..end]);
        }
    }
}

proptest::proptest! {
    #[test]
    fn a_flipped_byte_never_panics(which in 0..FETCHES.len(), at: proptest::sample::Index, byte: u8) {
        let mut line = FETCHES[which].0.as_bytes().to_vec();
        let at = at.index(line.len());
        line[at] = byte;
        let _ = compile(None).unwrap().parse(&line, &mut context());
    }
}

#[test]
fn the_setting_says_whose_lines_they_are() {
    let compiled = |spec: &str| crate::formats::compile(spec).unwrap();
    for spec in ["caddy", "cloudflare", "fastly", "scraper", "traefik:json"] {
        assert_eq!(compiled(spec).name(), spec);
        assert_eq!(compiled(compiled(spec).name()).name(), spec);
    }
    assert!(crate::formats::compile("caddy:x").unwrap_err().message.contains("a map"));
    // Filtered lines: nothing in them is Caddy's alone.
    // A session's name makes no scraper of nginx.
    let nginx = r#"{"msec":"1795359233.000","status":499,"session_id":"x"}"#;
    assert_eq!(record(&*compile(None).unwrap(), nginx).outcome, Outcome::Abandoned);
    let line = r#"{"ts":1795359233.0,"duration":0.25,"status":503}"#;
    let caddy = compiled("caddy");
    let seen = record(&*caddy, line);
    assert_eq!((seen.outcome, seen.request_time), (UNKNOWN, Some(250)));
    let json = compile(None).unwrap();
    let seen = record(&*json, line);
    assert_eq!((seen.outcome, seen.request_time), (Outcome::Fine, None));
}

#[test]
fn a_map_may_name_the_error() {
    let map = compile(Some("time=t,status=s,site=u,error=why,kind=k")).unwrap();
    assert_eq!(map.extra_labels(), ["kind"]);
    let failed =
        record(&*map, r#"{"t":1795359233,"u":"https://a.example/x","why":"ReadTimeout","k":"list"}"#);
    assert_eq!((failed.status, failed.outcome), (Status::NONE, proxy(Reason::ConnectionReadTimeout)));
    assert_eq!((failed.site, failed.extra.get(0)), (&b"a.example"[..], &b"list"[..]));
}
