use super::map::compile;
use super::*;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};
use crate::time::Zone;

const NGINX: &[u8] = include_bytes!("../../../../tests/corpus/nginx-haproxy/nginx-json.log");
const LAB: &[u8] = include_bytes!("../../../../tests/corpus/lab/nginx-json.log");
const ENVOY: &[u8] = include_bytes!("../../../../tests/corpus/lab/envoy-json.log");

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

fn json() -> Box<dyn Format> {
    compile(None).unwrap()
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

fn record<'a>(format: &'a dyn Format, line: &'a [u8]) -> Record<'a> {
    match format.parse(line, &mut context()) {
        Ok(Parsed::Record(record)) => record,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(line)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// nginx's lists split the plain way: an independent reading.
fn split(list: &str) -> Vec<String> {
    list.split([',', ' ']).filter(|item| !item.is_empty() && *item != ":").map(str::to_owned).collect()
}

#[test]
fn nginx_own_account_is_read_as_serde_reads_it() {
    let json = json();
    let mut seen = 0;
    for line in lines(NGINX) {
        let truth: serde_json::Value = serde_json::from_str(&String::from_utf8_lossy(line)).unwrap();
        let field = |name: &str| truth[name].as_str().unwrap().to_owned();
        let record = record(&*json, line);
        assert_eq!(record.status.code(), field("status").parse().ok());
        assert_eq!(record.end, field("msec").replace('.', "").parse::<i64>().unwrap());
        let rt = field("rt").replace('.', "").parse::<u32>().unwrap();
        assert_eq!(record.request_time, Some(rt));
        assert_eq!(text(record.site), field("host"));
        assert_eq!(text(record.node), field("node"));
        if !field("uri").contains(['"', '\\', '\u{fffd}']) && !field("uri").is_empty() {
            assert_eq!(text(record.path), field("uri"));
            assert_eq!(text(record.method), field("method"));
        }
        let servers: Vec<_> = record
            .attempts
            .iter()
            .map(|a| text(if a.upstream.is_empty() { a.pool } else { a.upstream }))
            .collect();
        assert_eq!(servers, split(&field("upstream_addr")), "{}", field("upstream_addr"));
        let statuses: Vec<_> = record.attempts.iter().map(|a| a.status.code()).collect();
        let want: Vec<Option<u16>> =
            split(&field("upstream_status")).iter().map(|s| s.parse().ok()).collect();
        assert_eq!(statuses, want);
        let is_error = matches!(record.status.code(), Some(502 | 504 | 9));
        assert_eq!(record.outcome.gateway_error().is_some(), is_error);
        seen += 1;
    }
    assert_eq!(seen, 74);
}

#[test]
fn nginx_causes_by_the_scenario() {
    let json = json();
    for line in lines(NGINX) {
        let record = record(&*json, line);
        let Some(cause) = record.outcome.gateway_error() else { continue };
        let header = text(line).split("\"uht\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let by_upstream = header
            .rsplit([',', ' '])
            .next()
            .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
        if record.status != Status::new(9) {
            assert_eq!(cause == Cause::upstream(), by_upstream, "{}", text(line));
        }
        if text(record.path).contains("refused") {
            assert_eq!(cause, Cause::proxy(Reason::ConnectionFailed), "{}", text(record.path));
        }
        if text(record.path).contains("dns_") {
            assert_eq!(cause, Cause::proxy(Reason::Unknown));
        }
    }
    let abandoned = lines(NGINX).filter(|line| record(&*json, line).outcome == Outcome::Abandoned).count();
    assert_eq!(abandoned, lines(NGINX).filter(|line| text(line).contains(r#""status":"499""#)).count());
}

#[test]
fn the_lab_has_no_header_times_and_tells_less() {
    let json = json();
    let mut errors = 0;
    for line in lines(LAB) {
        let record = record(&*json, line);
        // nginx pads an unquoted status: `009` is no JSON number.
        let valid = text(line).replace(":009", ":9");
        let truth: serde_json::Value = serde_json::from_str(&valid).unwrap();
        assert_eq!(u64::from(record.status.code().unwrap()), truth["status"].as_u64().unwrap());
        assert_eq!(text(record.site), truth["host"].as_str().unwrap());
        let servers: Vec<_> = record
            .attempts
            .iter()
            .map(|a| text(if a.upstream.is_empty() { a.pool } else { a.upstream }))
            .collect();
        assert_eq!(servers, split(truth["upstream"].as_str().unwrap()));
        if let Some(cause) = record.outcome.gateway_error() {
            errors += 1;
            let path = text(record.path);
            let known = path.contains("/nolive") || path.contains("/dns") || path.contains("/garbage");
            assert!(known || cause == Cause::UNKNOWN, "{path}: {cause:?}");
        }
    }
    assert!(errors > 20, "{errors}");
}

#[test]
fn envoy_says_who_and_why() {
    let json = json();
    let mut seen = 0;
    for line in lines(ENVOY) {
        let record = record(&*json, line);
        let path = text(record.path);
        let scenario = path.split('/').nth(1).unwrap();
        let want: &[Outcome] = &match scenario {
            "refuse" => [Outcome::GatewayError(Cause::proxy(Reason::ConnectionRefused)); 2],
            "reset" => [Outcome::GatewayError(Cause::proxy(Reason::ConnectionTerminated)); 2],
            "timeout" => [Outcome::GatewayError(Cause::proxy(Reason::HttpResponseTimeout)); 2],
            // All three are `protocol_error` to Envoy.
            "garbage" | "partial" | "bighdr" => {
                [Outcome::GatewayError(Cause::proxy(Reason::InvalidResponse)); 2]
            }
            "own502" | "own504" => [Outcome::GatewayError(Cause::upstream()); 2],
            "tls" => [
                Outcome::GatewayError(Cause::proxy(Reason::ConnectionTimeout)),
                Outcome::GatewayError(Cause::proxy(Reason::HttpResponseTimeout)),
            ],
            "short" => [Outcome::Aborted; 2],
            _ => [Outcome::Fine; 2],
        };
        assert!(want.contains(&record.outcome), "{path}: {:?}", record.outcome);
        if record.outcome != Outcome::Fine {
            assert_eq!(text(record.pool), format!("c_{scenario}"));
            assert!(record.attempts.last().unwrap().upstream.starts_with(b"127.0.0.1:"));
        }
        seen += 1;
    }
    assert_eq!(seen, 51);
    // The stamp is the start.
    let slow = lines(ENVOY).find(|line| text(line).contains("/slow/0")).unwrap();
    assert_eq!(record(&*json, slow).end, 1_795_360_697_443 + 303);
}

struct Case {
    line: &'static str,
    end: i64,
    status: u16,
    request_time: Option<u32>,
    outcome: Outcome,
    /// method path site node pool
    fields: [&'static str; 5],
    upstreams: &'static [&'static str],
}

const UNKNOWN: Outcome = Outcome::GatewayError(Cause::UNKNOWN);

#[test]
fn caddy_traefik_and_logstash() {
    let json = json();
    for case in CASES {
        let record = record(&*json, case.line.as_bytes());
        assert_eq!(record.end, case.end, "{}", case.line);
        assert_eq!(record.status, Status::new(case.status), "{}", case.line);
        assert_eq!(record.request_time, case.request_time, "{}", case.line);
        assert_eq!(record.outcome, case.outcome, "{}", case.line);
        let fields = [record.method, record.path, record.site, record.node, record.pool].map(text);
        assert_eq!(fields, case.fields, "{}", case.line);
        let upstreams: Vec<_> = record.attempts.iter().map(|a| text(a.upstream)).collect();
        assert_eq!(upstreams, case.upstreams, "{}", case.line);
    }
}

const CASES: &[Case] = &[
    // Caddy
    Case {
        line: r#"{"level":"error","ts":1693840791.75,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"1.2.3.4","remote_port":"41342","client_ip":"1.2.3.4","proto":"HTTP/2.0","method":"GET","host":"api.example:8443","uri":"/x?a=b","headers":{"User-Agent":["curl \"status\":200"],"Accept":["*/*"]},"tls":{"resumed":false,"version":772}},"bytes_read":0,"user_id":"","duration":0.0029,"size":0,"status":502,"resp_headers":{"Server":["Caddy"]}}"#,
        end: 1_693_840_791_750,
        status: 502,
        request_time: Some(3),
        outcome: UNKNOWN,
        fields: ["GET", "/x?a=b", "api.example", "", ""],
        upstreams: &[],
    },
    Case {
        line: r#"caddy  | {"level":"info","ts":"2023-09-04T15:19:51.750Z","logger":"http.log.access.log0","msg":"handled request","request":{"method":"GET","host":"[::1]:80","uri":"/"},"duration":"50ms","size":9007199254740993,"status":200}"#,
        end: 1_693_840_791_750,
        status: 200,
        request_time: Some(50),
        outcome: Outcome::Fine,
        fields: ["GET", "/", "::1", "", ""],
        upstreams: &[],
    },
    Case {
        line: r#"{"level":"info","ts":1693840791.75,"logger":"http.log.access","request":{"method":"GET","host":"a","uri":"/"},"duration":2.7e-06,"status":0}"#,
        end: 1_693_840_791_750,
        status: 0,
        request_time: Some(0),
        outcome: Outcome::Abandoned,
        fields: ["GET", "/", "a", "", ""],
        upstreams: &[],
    },
    // Traefik 2 and 3
    Case {
        line: r#"{"ClientAddr":"172.18.0.1:38806","ClientHost":"172.18.0.1","DownstreamContentSize":11,"DownstreamStatus":502,"Duration":1500000000,"OriginContentSize":11,"OriginDuration":1499000000,"OriginStatus":502,"Overhead":1000000,"RequestAddr":"shop.example","RequestHost":"shop.example","RequestMethod":"POST","RequestPath":"/api?x=1\u0026y=2","RetryAttempts":0,"RouterName":"shop@docker","ServiceAddr":"172.18.0.4:8080","ServiceName":"shop@docker","ServiceURL":"http://172.18.0.4:8080","StartLocal":"2026-05-18T11:52:41.25+02:00","StartUTC":"2026-05-18T09:52:41.250123456Z","entryPointName":"web","level":"info","msg":"","time":"2026-05-18T09:52:42Z"}"#,
        end: 1_779_097_962_750,
        status: 502,
        request_time: Some(1500),
        outcome: UNKNOWN,
        fields: ["POST", r"/api?x=1\u0026y=2", "shop.example", "", "shop@docker"],
        upstreams: &["172.18.0.4:8080"],
    },
    Case {
        line: r#"{"DownstreamStatus":504,"Duration":1000000,"OriginStatus":0,"RequestHost":"a:80","RequestMethod":"GET","RequestPath":"/","RetryAttempts":2,"ServiceName":"s@file","ServiceURL":{"Scheme":"http","Opaque":"","User":null,"Host":"10.0.0.7:80","Path":""},"StartUTC":"2026-05-18T09:52:41Z","time":"2026-05-18T09:52:41Z"}"#,
        end: 1_779_097_961_001,
        status: 504,
        request_time: Some(1),
        outcome: Outcome::GatewayError(Cause::proxy(Reason::Unknown)),
        fields: ["GET", "/", "a", "", "s@file"],
        upstreams: &["", "", "10.0.0.7:80"],
    },
    Case {
        line: r#"{"DownstreamStatus":503,"Duration":1000000,"OriginStatus":503,"RequestHost":"a","RequestMethod":"GET","RequestPath":"/","ServiceName":"s@file","time":"2026-05-18T09:52:41Z"}"#,
        end: 1_779_097_961_000,
        status: 503,
        request_time: Some(1),
        outcome: Outcome::GatewayError(Cause::proxy(Reason::DestinationUnavailable)),
        fields: ["GET", "/", "a", "", "s@file"],
        upstreams: &[],
    },
    // Traefik 1
    Case {
        line: r#"{"BackendAddr":"10.0.0.9:80","BackendName":"backend-b","BackendURL":{"Host":"10.0.0.9:80"},"DownstreamStatus":499,"Duration":2000000,"FrontendName":"f","OriginStatus":499,"RequestHost":"a","RequestMethod":"GET","RequestPath":"/","StartUTC":"2026-05-18T09:52:41Z"}"#,
        end: 1_779_097_961_002,
        status: 499,
        request_time: Some(2),
        outcome: Outcome::Abandoned,
        fields: ["GET", "/", "a", "", "backend-b"],
        upstreams: &["10.0.0.9:80"],
    },
    // nginx in logstash's words
    Case {
        line: r#"{"@timestamp":"2026-05-18T11:52:41+02:00","@version":"1","host":"web-03","clientip":"1.2.3.4","size":157,"responsetime":1.001,"upstreamtime":"1.001","upstreamhost":"10.0.0.7:80","http_host":"www.example","url":"/index.html","agent":"x \/ y","status":"504"}"#,
        end: 1_779_097_961_000,
        status: 504,
        request_time: Some(1001),
        outcome: UNKNOWN,
        fields: ["", "/index.html", "www.example", "web-03", ""],
        upstreams: &["10.0.0.7:80"],
    },
    Case {
        line: r#"{"@timestamp":"2026-05-18T09:52:41.000Z","host":{"name":"web-03"},"http":{"request":{"method":"GET"},"response":{"status_code":502,"body":{"bytes":157}}},"url":{"original":"/a","domain":"www.example"},"event":{"duration":1500000}}"#,
        end: 1_779_097_961_000,
        status: 502,
        request_time: Some(2),
        outcome: UNKNOWN,
        fields: ["GET", "/a", "www.example", "web-03", ""],
        upstreams: &[],
    },
    // PHP and others escape slashes; grok calls the path `request`
    Case {
        line: r#"{"time":"18\/May\/2026:09:52:41 +0000","verb":"GET","request":"\/a\/b","response":"200"}"#,
        end: 1_779_097_961_000,
        status: 200,
        request_time: None,
        outcome: Outcome::Fine,
        fields: ["GET", r"\/a\/b", "", "", ""],
        upstreams: &[],
    },
    // A log_format that leaves variables unquoted
    Case {
        line: r#"{"msec":1779097961.001,"status":009,"rt":0.002,"upstream_addr":10.0.0.7:80, [::1]:80,"upstream_status":502, 200,"uct":-, 0.000,"uht":,"x":}"#,
        end: 1_779_097_961_001,
        status: 9,
        request_time: Some(2),
        outcome: Outcome::GatewayError(Cause::proxy(Reason::HttpProtocolError)),
        fields: ["", "", "", "", ""],
        upstreams: &["10.0.0.7:80", "[::1]:80"],
    },
];

#[test]
fn what_is_no_request_and_what_is_no_json() {
    let json = json();
    let other = [
        "",
        "   ",
        r#"{"level":"info","ts":1693840791.75,"logger":"admin","msg":"admin endpoint started","address":"localhost:2019"}"#,
        r#"{"level":"error","ts":1693840791.75,"logger":"http.log.error","msg":"no such file","request":{"method":"GET","host":"a","uri":"/"},"duration":0.1,"status":404,"err_id":"x"}"#,
        r#"{"level":"error","msg":"accept tcp: closed","time":"2026-05-18T09:52:41Z"}"#,
    ];
    for line in other {
        assert!(matches!(json.parse(line.as_bytes(), &mut context()), Ok(Parsed::Other)), "{line}");
    }
    let malformed = [
        ("not json", "object", 0),
        (r#"{"time":"2026-05-18T09:52:41Z","status":"502""#, "status", 45),
        (r#"{"time":"2026-05-18T09:52:41Z","status":"50x"}"#, "status", 41),
        (r#"{"time":"yesterday","status":"502"}"#, "time", 9),
        (r#"{"time":"2026-05-18T09:52:41Z","code":502}"#, "status", 0),
        (r#"{"status":502}"#, "time", 0),
        (
            r#"{"time":"2026-05-18T09:52:41Z","status":502}{"time":"2026-05-18T09:52:41Z","status":200}"#,
            "object",
            44,
        ),
        (r#"{"time":"2026-05-18T09:52:41Z","sta{"time":"2026-05-18T09:52:41Z","status":200}"#, "object", 37),
    ];
    for (line, field, at) in malformed {
        let error = json.parse(line.as_bytes(), &mut context()).unwrap_err();
        assert_eq!((error.field, error.at), (field, at), "{line}: {error:?}");
    }
}

#[test]
fn a_value_never_becomes_a_field() {
    let json = json();
    let line = br#"{"time":"2026-05-18T09:52:41Z","status":200,"ua":"x\",\"status\":\"502\",\"y\":\"","s":"\\","request":"GET \/ HTTP\/1.1"}"#;
    let one = record(&*json, line);
    assert_eq!(one.status, Status::new(200));
    // Without escapes a value can; the first of a name counts.
    let line = br#"{"time":"2026-05-18T09:52:41Z","status":200,"ua":"x","status":"502","y":""}"#;
    assert_eq!(record(&*json, line).status, Status::new(200));
}

#[test]
fn a_map_says_what_is_what() {
    let format = compile(Some(
        "status=resp.code, time=@timestamp,upstream=backend,request_time=took:ms,exit_ip=net.exit,kind=a:b",
    ))
    .unwrap();
    assert_eq!(format.extra_labels(), ["exit_ip", "kind"]);
    assert!(format.knows_upstream());
    assert_eq!(
        format.name(),
        "json:status=resp.code, time=@timestamp,upstream=backend,request_time=took:ms,exit_ip=net.exit,kind=a:b"
    );
    let line = br#"{"@timestamp":1779097961,"resp":{"code":504},"backend":"app-1","took":12.6,"net":{"exit":"10.9.8.7"},"a:b":"c","status":200}"#;
    let record = record(&*format, line);
    assert_eq!(
        (record.end, record.status, record.request_time),
        (1_779_097_961_000, Status::new(504), Some(13))
    );
    assert_eq!(record.outcome, UNKNOWN);
    assert_eq!(record.attempts.last().unwrap().upstream, b"app-1");
    assert_eq!([0, 1, 2].map(|i| record.extra.get(i)), [&b"10.9.8.7"[..], b"c", b""]);
}

#[test]
fn a_map_that_is_wrong_says_so() {
    let cases = [
        ("", 0, "write name=member"),
        ("status", 0, "write name=member"),
        ("status=a", 8, "lacks time"),
        ("time=a,foo=b", 12, "lacks status=…; these become labels: foo"),
        ("time=a,status=b,time=c", 16, "`time` is mapped twice"),
        ("time=a,status=a", 7, "`a` is mapped twice"),
        ("time=a,status=b,x-y=c", 16, "no name for a label"),
        ("time=a,status=b.c.d.e", 7, "leads through more"),
        ("time=a,status=b,l1=1,l2=2,l3=3,l4=4,l5=5,l6=6,l7=7,l8=8,l9=9", 56, "one label too many"),
    ];
    for (map, at, message) in cases {
        let error = compile(Some(map)).unwrap_err();
        assert!(error.message.contains(message), "{map}: {error}");
        assert_eq!(error.at, at, "{map}");
    }
}

#[test]
fn names_for_people() {
    assert_eq!(member_names(br#"x: {"a":{"b":1},"c":"d"}"#), ["a.b", "c"]);
    assert_eq!(member_names(b"{cut"), Vec::<String>::new());
    let json = json();
    let fields = json.explain(br#"{"a":{"b":1},"c":"d"}"#, &mut context());
    let fields: Vec<_> = fields.iter().map(|f| (f.name.as_str(), f.value, f.at)).collect();
    assert_eq!(fields, [("a.b", &b"1"[..], 10), ("c", b"d", 18)]);
}

#[test]
fn a_prefix_is_never_another_request() {
    let json = json();
    for line in
        [NGINX, LAB, ENVOY].into_iter().flat_map(lines).chain(CASES.iter().map(|case| case.line.as_bytes()))
    {
        for end in 0..line.len() {
            let parsed = json.parse(&line[..end], &mut context());
            assert!(!matches!(parsed, Ok(Parsed::Record(_))), "{}", text(&line[..end]));
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(line: Vec<u8>) {
        let _ = json().parse(&line, &mut context());
        let _ = json().explain(&line, &mut context());
    }

    #[test]
    fn a_flipped_byte_never_panics(which in 0usize..74, at: proptest::sample::Index, byte: u8) {
        let mut line = lines(NGINX).nth(which).unwrap_or_default().to_vec();
        let at = at.index(line.len());
        line[at] = byte;
        let _ = json().parse(&line, &mut context());
    }
}

#[test]
fn the_log_format_that_wrote_it_reads_the_same() {
    let (json, nginx) = (json(), crate::formats::compile("nginx:json_upstream").unwrap());
    for line in lines(NGINX) {
        let (a, b) = (record(&*json, line), record(&*nginx, line));
        assert_eq!((a.end, a.status, a.outcome), (b.end, b.status, b.outcome), "{}", text(line));
        assert!(a.attempts.iter().eq(b.attempts.iter()), "{}", text(line));
        assert_eq!((a.request_time, a.site, a.node), (b.request_time, b.site, b.node));
    }
}
