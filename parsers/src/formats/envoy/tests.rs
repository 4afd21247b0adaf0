use proptest::prelude::*;

use super::*;
use crate::event::Happened;
use crate::formats;
use crate::reason::{Cause, Origin, Reason};
use crate::record::{Outcome, Record, Status};
use crate::time::Zone;

const DEFAULT: &str = include_str!("../../../../tests/corpus/lab/envoy-default.log");
const JSON: &str = include_str!("../../../../tests/corpus/lab/envoy-json.log");
const TRUTH: &str = include_str!("../../../../tests/corpus/lab/truth.tsv");

/// `2026-11-22T15:18:15.430Z`
const AT: i64 = 1_795_360_695_430;

fn context() -> Context {
    Context::new(Zone::Fixed(0), AT)
}

fn format(setting: &str) -> Box<dyn Format> {
    formats::compile(setting).unwrap_or_else(|e| panic!("{setting}: {e}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record<'a>(format: &'a dyn Format, line: &'a str) -> Record<'a> {
    match format.parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Record(record)) => record,
        other => panic!("{}: {line}: {other:?}", format.name()),
    }
}

fn shown(outcome: Outcome) -> String {
    match outcome {
        Outcome::Fine => "fine".to_owned(),
        Outcome::Aborted => "aborted".to_owned(),
        Outcome::Abandoned => "abandoned".to_owned(),
        Outcome::GatewayError(cause) => format!("{} {}", cause.origin.name(), cause.reason.name()),
    }
}

fn outcome(setting: &str, line: &str) -> String {
    shown(record(&*format(setting), line).outcome)
}

/// What the scenario's outcome may be called in a line with these flags and details or without the latter.
fn expected(scenario: &str, flags: &str, is_json: bool) -> &'static str {
    match (scenario, flags) {
        ("refuse", "UF") if is_json => "proxy connection_refused",
        ("reset", _) if is_json => "proxy connection_terminated",
        ("tls", "UF") if is_json => "proxy connection_timeout",
        // Without details, no connection is no connection.
        ("refuse" | "reset" | "tls", "UF") => "proxy connection_failed",
        ("reset", "UC") => "proxy connection_terminated",
        ("timeout" | "tls", "UT") => "proxy http_response_timeout",
        ("garbage" | "partial" | "bighdr", "UPE") => "proxy invalid_response",
        ("short", "UPE") => "aborted",
        ("own502" | "own504", "-") => "upstream upstream_response",
        ("retry" | "nolive" | "unix" | "v6" | "dns", "NR") | ("ok" | "slow", "-") => "fine",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_lab_line_by_line() {
    let (plain, json) = (format("envoy"), format("json"));
    let mut counted = std::collections::BTreeMap::<(String, String), u32>::new();
    for (line, other) in DEFAULT.lines().zip(JSON.lines()) {
        let account: serde_json::Value = serde_json::from_str(other).unwrap();
        let field = |name: &str| account[name].as_str().unwrap_or_default();
        let (record, twin) = (record(&*plain, line), record(&*json, other));
        let scenario = text(record.path).split('/').nth(1).unwrap().to_owned();
        let code = u16::try_from(account["response_code"].as_u64().unwrap()).unwrap();
        assert_eq!(record.status, Status::new(code), "{line}");
        assert_eq!(u64::from(record.request_time.unwrap()), account["duration"].as_u64().unwrap(), "{line}");
        assert_eq!((record.end, record.request_time), (twin.end, twin.request_time), "{line}");
        assert_eq!((text(record.method), text(record.path)), (field("method").into(), field("path").into()));
        assert_eq!((text(record.site), record.site), (field("authority").into(), twin.site));
        let upstream = record.attempts.last().map(|a| text(a.upstream)).unwrap_or_default();
        assert_eq!(upstream, field("upstream_host"), "{line}");
        let flags = field("response_flags");
        assert_eq!(shown(record.outcome), expected(&scenario, flags, false), "{line}");
        assert_eq!(shown(twin.outcome), expected(&scenario, flags, true), "{other}");
        let seen = if scenario == "short" { "IncompleteRead".to_owned() } else { code.to_string() };
        *counted.entry((scenario, seen)).or_default() += 1;
    }
    let truth = TRUTH.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let truth = truth.filter(|row| row.first() == Some(&"envoy"));
    let truth: std::collections::BTreeMap<_, _> =
        truth.map(|row| ((row[1].to_owned(), row[2].to_owned()), row[3].parse().unwrap())).collect();
    assert_eq!(counted, truth);
}

#[test]
fn the_stamp_is_the_start() {
    let line = DEFAULT.lines().find(|line| line.contains("/slow/0")).unwrap();
    assert_eq!(record(&*format("envoy"), line).end, 1_795_360_697_443 + 303);
}

struct Case {
    setting: &'static str,
    line: &'static str,
    /// status, outcome
    says: (&'static str, &'static str),
    /// method path site pool upstream
    fields: [&'static str; 5],
    request_time: Option<u32>,
}

const CASES: &[Case] = &[
    Case {
        setting: r#"envoy:json:{"when":"%START_TIME(%Y-%m-%dT%H:%M:%S)%","http":{"code":"%RESPONSE_CODE%","host":"%REQ(:AUTHORITY)%","line":"%REQ(:METHOD)% %REQ(:PATH)%"},"why":"%RESPONSE_FLAGS%","how":"%RESPONSE_CODE_DETAILS%","ms":"%DURATION%","to":"%UPSTREAM_HOST%","cluster":"%UPSTREAM_CLUSTER%","m":"%REQ(:METHOD)%","fixed":"x"}"#,
        line: r#"{"cluster":"c","fixed":"x","how":"upstream_reset_before_response_started{connection_timeout}","http":{"code":503,"host":"a.example:80","line":"GET /"},"m":"GET","ms":250,"to":"10.0.0.1:80","when":"2026-11-22T15:18:15","why":"UF"}"#,
        says: ("503", "proxy connection_timeout"),
        fields: ["GET", "", "a.example", "c", "10.0.0.1:80"],
        request_time: Some(250),
    },
    Case {
        setting: "envoy",
        line: r#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#,
        says: ("204", "fine"),
        fields: ["POST", "/api/v1/locations", "locations", "", "10.0.2.1:80"],
        request_time: Some(226),
    },
    Case {
        setting: "envoy",
        line: r#"[2019-03-06T09:31:27.360Z] "- - -" 0 UF,URX 0 0 1000 - "-" "-" "-" "-" "127.0.0.1:9000""#,
        says: ("0", "proxy connection_failed"),
        fields: ["", "", "", "", "127.0.0.1:9000"],
        request_time: Some(1000),
    },
    Case {
        setting: "envoy",
        line: r#"[2019-03-06T09:31:27.360Z] "- - -" 0 - 120 3000 60000 - "-" "-" "-" "-" "127.0.0.1:9000""#,
        says: ("0", "fine"),
        fields: ["", "", "", "", "127.0.0.1:9000"],
        request_time: Some(60_000),
    },
    Case {
        setting: "envoy",
        line: r#"[2019-03-06T09:31:27.360Z] "GET /slow HTTP/1.1" 0 DC 0 0 5000 - "-" "curl/7" "id" "a.example:8443" "[fd00::1]:9000""#,
        says: ("0", "abandoned"),
        fields: ["GET", "/slow", "a.example", "", "[fd00::1]:9000"],
        request_time: Some(5000),
    },
    Case {
        setting: "envoy",
        line: r#"[2019-03-06T09:31:27.360Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-""#,
        says: ("400", "fine"),
        fields: ["", "", "", "", ""],
        request_time: Some(0),
    },
    Case {
        setting: "envoy:ambassador",
        line: r#"ACCESS [2018-11-28T15:49:14.561Z] "GET /backend/ HTTP/1.1" 504 UT 0 24 3001 - "10.0.0.9" "curl/7.54.0" "7b-1" "35.1.2.3" "10.11.10.7:80""#,
        says: ("504", "proxy http_response_timeout"),
        fields: ["GET", "/backend/", "35.1.2.3", "", "10.11.10.7:80"],
        request_time: Some(3001),
    },
    Case {
        setting: "envoy:istio",
        line: r#"[2022-09-01T13:15:09.085Z] "GET /reviews/0 HTTP/1.1" 503 UF upstream_reset_before_response_started{connection_failure,delayed_connect_error:_111} - "delayed connect error: 111" 0 145 0 - "-" "python-requests/2.18.4" "2c8c-1" "reviews:9080" "10.124.2.14:9080" inbound|9080|| - 10.124.2.14:9080 10.124.0.3:52314 outbound_.9080_._.reviews.default.svc.cluster.local default"#,
        says: ("503", "proxy connection_refused"),
        fields: ["GET", "/reviews/0", "reviews", "inbound|9080||", "10.124.2.14:9080"],
        request_time: Some(0),
    },
    Case {
        setting: "envoy:istio",
        line: r#"[2022-09-01T13:15:09.085Z] "GET /productpage HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 19 0 - "10.1.1.1" "Mozilla/5.0 (X11; Linux)" "9" "bookinfo.example" "-" outbound|9080||productpage.default.svc.cluster.local - 10.4.0.1:9080 10.4.0.2:1 - -"#,
        says: ("503", "proxy destination_unavailable"),
        fields: [
            "GET",
            "/productpage",
            "bookinfo.example",
            "outbound|9080||productpage.default.svc.cluster.local",
            "",
        ],
        request_time: Some(0),
    },
    Case {
        setting: "envoy:istio",
        line: r#"[2025-05-19T13:09:04.747Z] "- - -" 0 UF,URX - - "-" 0 0 9995 - "-" "-" "-" "-" "4.208.26.200:443" InboundPassthroughCluster - 4.208.26.200:443 172.17.0.2:55322 api.github.com -"#,
        says: ("0", "proxy connection_failed"),
        fields: ["", "", "api.github.com", "InboundPassthroughCluster", "4.208.26.200:443"],
        request_time: Some(9995),
    },
    Case {
        setting: "envoy:istio",
        line: r#"[2023-01-01T00:00:00.000Z] "GET / HTTP/1.1" 502 - direct_response - "-" 0 0 0 - "-" "curl" "1" "blocked.example" "-" - - 1.2.3.4:80 10.0.0.1:5 - block_all"#,
        says: ("502", "proxy proxy_configuration_error"),
        fields: ["GET", "/", "blocked.example", "", ""],
        request_time: Some(0),
    },
    Case {
        setting: "envoy:istio",
        line: r#"[2023-01-01T00:00:00.000Z] "GET / HTTP/1.1" 503 URX via_upstream - "-" 0 9 77 76 "-" "curl" "1" "a" "10.0.0.1:80" outbound|80||a.b.svc.cluster.local 10.0.0.2:9 1.2.3.4:80 10.0.0.1:5 - default"#,
        says: ("503", "fine"),
        fields: ["GET", "/", "a", "outbound|80||a.b.svc.cluster.local", "10.0.0.1:80"],
        request_time: Some(77),
    },
    Case {
        setting: "envoy:istio",
        line: r#"[2026-05-27T15:02:22.472Z] "GET /delay/75 HTTP/1.1" 0 DC downstream_local_disconnect(filter_chain_is_being_removed) - "-" 0 0 68710 - "-" "curl/8.16.0" "8ecb" "slow-service.httpbin:8080" "10.244.0.50:8080" inbound|8080|| 127.0.0.6:41209 10.244.0.50:8080 10.244.0.48:33540 outbound_.8080_._.slow-service.httpbin.svc.cluster.local default"#,
        says: ("0", "fine"),
        fields: ["GET", "/delay/75", "slow-service.httpbin", "inbound|8080||", "10.244.0.50:8080"],
        request_time: Some(68_710),
    },
    Case {
        setting: "envoy:istio",
        line: r#"[2026-04-15T12:03:21.043Z] "- - -" 0 UF,URX - - "TLS_error:|268435588:SSL_routines:OPENSSL_internal:CLIENTHELLO_TLSEXT|268435646:SSL_routines:OPENSSL_internal:PARSE_TLSEXT:TLS_error_end" 0 0 10002 - "-" "-" "-" "-" "100.68.34.241:443" outbound|443||fqdn.example - 10.105.0.249:443 100.64.3.68:49884 fqdn.example -"#,
        says: ("0", "proxy tls_protocol_error"),
        fields: ["", "", "fqdn.example", "outbound|443||fqdn.example", "100.68.34.241:443"],
        request_time: Some(10_002),
    },
    Case {
        setting: "envoy:istio-1.3",
        line: r#"[2022-04-18T09:29:59.633Z] "GET /service_a/v2.1/get?ids=1 HTTP/1.1" 503 UC "-" "-" 0 95 11 - "-" "-" "bc6f" "srv-a.example" "127.0.0.1:8080" inbound|80|http|srv-a.example.svc.cluster.local - 100.64.121.11:8080 100.64.254.9:35174 -"#,
        says: ("503", "proxy connection_terminated"),
        fields: [
            "GET",
            "/service_a/v2.1/get?ids=1",
            "srv-a.example",
            "inbound|80|http|srv-a.example.svc.cluster.local",
            "127.0.0.1:8080",
        ],
        request_time: Some(11),
    },
    Case {
        setting: "envoy:istio-1.0",
        line: r#"[2019-03-28T12:53:32.264Z] "GET /api/weather HTTP/1.1" 503 UC 0 57 1 - "-" "python-requests/2.21.0" "b378" "weather-backend:5000" "10.52.1.12:5000" outbound|5000|multiple|weather-backend.default.svc.cluster.local - 10.55.253.172:5000 10.52.2.22:54984"#,
        says: ("503", "proxy connection_terminated"),
        fields: [
            "GET",
            "/api/weather",
            "weather-backend",
            "outbound|5000|multiple|weather-backend.default.svc.cluster.local",
            "10.52.1.12:5000",
        ],
        request_time: Some(1),
    },
    Case {
        setting: r#"envoy:"[%START_TIME(%d/%m/%YT%H:%M:%S%z %s)%] method=%REQ(:METHOD)% authority=%REQ(:AUTHORITY)% txId=%RESP(TID)% request=%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% alpn=%PROTOCOL% response_flag=%RESPONSE_FLAGS% ssl_protocol=%DOWNSTREAM_TLS_VERSION% status=%RESPONSE_CODE% status_details=%RESPONSE_CODE_DETAILS% user-agent=%REQ(USER-AGENT)% xFor=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% x-envoy-upstream-service-time=%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% total_time_ms=%DURATION% upstream=%UPSTREAM_HOST%\n""#,
        line: "[05/12/2019T16:14:53+0000 1575562493] method=POST authority=localhost:443 txId=- request=/StudentService/get alpn=HTTP/2 response_flag=UT ssl_protocol=TLSv1.3 status=200 status_details=upstream_response_timeout user-agent=Mozilla/5.0 (X11; Linux) xFor=192.0.2.91 x-envoy-upstream-service-time=- total_time_ms=15001 upstream=127.0.0.1:7000",
        says: ("200", "proxy http_response_timeout"),
        fields: ["POST", "/StudentService/get", "localhost", "", "127.0.0.1:7000"],
        request_time: Some(15_001),
    },
    // Contour calls the start `@timestamp`.
    Case {
        setting: "json",
        line: r#"{"@timestamp":"2026-11-22T15:18:15.430Z","authority":"a.example","bytes_received":0,"bytes_sent":57,"duration":1234,"method":"GET","path":"/","protocol":"HTTP/1.1","requested_server_name":null,"response_code":503,"response_flags":"UC","upstream_cluster":"default_s1_80","upstream_host":"10.0.0.1:80","upstream_service_time":null,"user_agent":"curl"}"#,
        says: ("503", "proxy connection_terminated"),
        fields: ["GET", "/", "a.example", "default_s1_80", "10.0.0.1:80"],
        request_time: Some(1234),
    },
    // Envoy Gateway.
    Case {
        setting: "json",
        line: r#"{":authority":null,"bytes_received":0,"bytes_sent":0,"connection_termination_details":null,"duration":10002,"method":null,"protocol":null,"requested_server_name":"tls.example","response_code":0,"response_code_details":null,"response_flags":"UF,URX","route_name":null,"start_time":"2026-11-22T15:18:15.430Z","upstream_cluster":"tlsroute/default/x/rule/-1","upstream_host":"10.0.0.1:443","upstream_transport_failure_reason":"delayed_connect_error:_111","x-envoy-origin-path":null,"x-envoy-upstream-service-time":null}"#,
        says: ("0", "proxy connection_refused"),
        fields: ["", "", "tls.example", "tlsroute/default/x/rule/-1", "10.0.0.1:443"],
        request_time: Some(10_002),
    },
    Case {
        setting: "envoy:istio-1.4",
        line: r#"[2020-03-01T00:00:00.000Z] "GET /x HTTP/2" 503 UF,URX "-" "TLS error: 268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED" 0 91 60 - "-" "curl" "1" "a" "10.0.0.1:80" outbound|80||a - 1.2.3.4:80 10.0.0.1:5 - default"#,
        says: ("503", "proxy tls_certificate_error"),
        fields: ["GET", "/x", "a", "outbound|80||a", "10.0.0.1:80"],
        request_time: Some(60),
    },
    Case {
        setting: "envoy:istio-1.1",
        line: r#"[2019-05-01T00:00:00.000Z] "- - -" 0 UH "-" 0 0 8 - "-" "-" "-" "-" "-" BlackHoleCluster - 13.249.75.75:443 172.17.3.28:35070 www.espn.com"#,
        says: ("0", "proxy proxy_configuration_error"),
        fields: ["", "", "www.espn.com", "BlackHoleCluster", ""],
        request_time: Some(8),
    },
    Case {
        setting: "envoy:%START_TIME(%s.%3f)%|%REQ(:AUTHORITY):20%|%RESPONSE_CODE%|%RESPONSE_FLAGS_LONG%|%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%|%UPSTREAM_HOST%|%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        line: "1795360695.430|a.example|503|UpstreamConnectionTermination,UpstreamRetryLimitExceeded|12999|10.0.0.7:80|3",
        says: ("503", "proxy connection_terminated"),
        fields: ["", "", "a.example", "", "10.0.0.7:80"],
        request_time: Some(13),
    },
    Case {
        setting: r#"envoy:{"t":"%START_TIME%","code":%RESPONSE_CODE%,"flags":"%RESPONSE_FLAGS%","ms":%DURATION%,"up":"%UPSTREAM_HOST%","pool":"%UPSTREAM_CLUSTER%","ua":"%REQ(USER-AGENT)%"}"#,
        line: r#"{"t":"2026-11-22T15:18:15.430Z","code":504,"flags":"UT","ms":1000,"up":"10.0.0.7:80","pool":"c","ua":"Mozilla/5.0 (X11, \"x\")"}"#,
        says: ("504", "proxy http_response_timeout"),
        fields: ["", "", "", "c", "10.0.0.7:80"],
        request_time: Some(1000),
    },
    Case {
        setting: r#"envoy:"[%START_TIME%] %DYNAMIC_METADATA(com.test.my_filter:test_key):25% \"%REQ(X-FORWARDED-FOR)%\" %RESPONSE_FLAGS% %RESPONSE_DURATION% %RESPONSE_TX_DURATION% %UPSTREAM_CLUSTER%\n""#,
        line: r#"[2026-11-22T15:18:15.430Z] {"a b":1} "10.0.0.1, 10.0.0.2" UF 7 8 c"#,
        says: ("-", "proxy connection_failed"),
        fields: ["", "", "", "c", ""],
        request_time: Some(15),
    },
];

#[test]
fn lines_of_many_formats() {
    for case in CASES {
        let format = format(case.setting);
        let record = record(&*format, case.line);
        let status = record.status.code().map_or("-".to_owned(), |code| code.to_string());
        assert_eq!((&*status, &*shown(record.outcome)), case.says, "{}", case.line);
        let upstream = record.attempts.last().map_or(&b""[..], |a| a.upstream);
        let fields = [record.method, record.path, record.site, record.pool, upstream].map(text);
        assert_eq!(fields, case.fields, "{}", case.line);
        assert_eq!(record.request_time, case.request_time, "{}", case.line);
        if case.line.contains("2026-11-22T15:18:15.430Z") {
            assert_eq!(record.end, AT + i64::from(case.request_time.unwrap()), "{}", case.line);
        }
        assert_eq!(formats::compile(format.name()).unwrap().name(), format.name());
        let names: Vec<_> = format.explain(case.line.as_bytes(), &mut context());
        assert!(names.len() >= 6, "{names:?}");
        for field in names {
            assert_eq!(case.line.as_bytes().get(field.at..field.at + field.value.len()), Some(field.value));
        }
    }
}

/// Status, flags, what then.
const VERDICTS: &[(&str, &str, &str)] = &[
    ("503", "UH", "proxy destination_unavailable"),
    ("503", "UF", "proxy connection_failed"),
    ("503", "UF,URX", "proxy connection_failed"),
    ("503", "URX,UF", "proxy connection_failed"),
    ("503", "UO", "proxy connection_limit_reached"),
    ("503", "LR", "proxy unknown"),
    ("503", "UR", "proxy connection_terminated"),
    ("503", "UC", "proxy connection_terminated"),
    ("503", "LH", "proxy destination_unavailable"),
    ("503", "NC", "proxy proxy_configuration_error"),
    ("503", "DF", "proxy dns_error"),
    ("503", "DI,UF", "proxy connection_failed"),
    ("503", "UpstreamOverflow", "proxy connection_limit_reached"),
    ("504", "UT", "proxy http_response_timeout"),
    ("504", "SI", "proxy http_response_timeout"),
    ("504", "UMSDR", "proxy http_response_timeout"),
    ("502", "UPE", "proxy invalid_response"),
    ("502", "DI", "upstream upstream_response"),
    ("502", "-", "upstream upstream_response"),
    ("504", "-", "upstream upstream_response"),
    ("504", "URX", "upstream upstream_response"),
    ("502", "RFCF", "unknown unknown"),
    ("502", "MINE", "proxy unknown"),
    ("503", "-", "fine"),
    ("503", "URX", "fine"),
    ("503", "DO", "fine"),
    ("503", "UnconditionalDropOverload", "fine"),
    ("503", "OM", "fine"),
    ("503", "RL", "fine"),
    ("503", "UAEX", "fine"),
    ("503", "FI", "fine"),
    ("504", "FI", "fine"),
    ("504", "DI,FI", "fine"),
    ("500", "RLSE", "fine"),
    ("500", "NFCF", "fine"),
    ("429", "RL", "fine"),
    ("400", "IH", "fine"),
    ("404", "NR", "fine"),
    ("404", "NC", "fine"),
    ("408", "SI", "fine"),
    ("200", "DC", "fine"),
    ("200", "DT", "fine"),
    ("200", "UPE", "aborted"),
    ("200", "UC", "aborted"),
    ("200", "UT", "aborted"),
    ("404", "UC", "aborted"),
    ("200", "UF", "proxy connection_failed"),
    ("200", "UH", "proxy destination_unavailable"),
    ("500", "UF", "proxy connection_failed"),
    ("0", "DC", "abandoned"),
    ("0", "DR", "abandoned"),
    ("0", "UF,URX", "proxy connection_failed"),
    ("0", "URX", "proxy connection_failed"),
    ("0", "UH", "proxy destination_unavailable"),
    ("0", "NR", "fine"),
    ("0", "-", "fine"),
];

#[test]
fn what_the_flags_say() {
    for (status, flags, want) in VERDICTS {
        let line = format!("2026-11-22T15:18:15.430Z {status} {flags} 10.0.0.1:80");
        let setting = "envoy:%START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_HOST%";
        assert_eq!(outcome(setting, &line), *want, "{line}");
    }
}

/// Status, flags, details, what then.
const DETAILS: &[(&str, &str)] = &[
    ("503 UF upstream_reset_before_response_started{connection_timeout}", "proxy connection_timeout"),
    (
        "503 UF upstream_reset_before_response_started{connection_failure,delayed_connect_error:_110}",
        "proxy connection_timeout",
    ),
    (
        "503 UF upstream_reset_before_response_started{connection_failure,immediate_connect_error:_113}",
        "proxy connection_failed",
    ),
    (
        "503 UF upstream_reset_before_response_started{remote_connection_failure|immediate_connect_error:_Network_is_unreachable|remote_address:[fd::1]:1}",
        "proxy connection_failed",
    ),
    (
        "503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        "proxy connection_refused",
    ),
    (
        "503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_104}",
        "proxy connection_terminated",
    ),
    (
        "503 UF upstream_reset_before_response_started{connection_failure,TLS_error:_268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED}",
        "proxy tls_certificate_error",
    ),
    (
        "503 URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end}",
        "proxy tls_protocol_error",
    ),
    (
        "503 UF upstream_reset_before_response_started{connection_failure,TLS_error:_Secret_is_not_supplied_by_SDS}",
        "proxy proxy_configuration_error",
    ),
    (
        "503 UC upstream_reset_before_response_started{connection_termination|TLS_error:_268436501:SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_EXPIRED}",
        "proxy tls_protocol_error",
    ),
    ("503 UC upstream_reset_before_response_started{connection termination}", "proxy connection_terminated"),
    ("503 UC upstream_reset_after_response_started{connection_termination}", "aborted"),
    ("502 UC upstream_reset_after_response_started{connection_termination}", "upstream upstream_response"),
    (
        "502 UPE upstream_reset_before_response_started{protocol_error|http1.headers_too_large}",
        "proxy http_response_header_section_size",
    ),
    ("200 UPE upstream_reset_after_response_started{protocol_error}", "aborted"),
    ("200 UC upstream_reset_before_response_started{connection_termination}", "proxy connection_terminated"),
    ("200 UT response_timeout", "proxy http_response_timeout"),
    ("503 DF dns_resolution_failure{c-ares:_Timeout}", "proxy dns_timeout"),
    ("503 - via_upstream", "fine"),
    ("504 - via_upstream", "upstream upstream_response"),
    ("504 - lua_script", "proxy unknown"),
    ("502 - direct_response", "proxy proxy_configuration_error"),
    ("0 DC downstream_remote_disconnect", "abandoned"),
    ("0 DC downstream_local_disconnect(filter_chain_is_being_removed)", "fine"),
];

#[test]
fn what_details_and_reasons_say() {
    for (said, want) in DETAILS {
        let line = format!("2026-11-22T15:18:15.430Z {said} 10.0.0.1:80");
        let setting =
            "envoy:%START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_HOST%";
        assert_eq!(outcome(setting, &line), *want, "{line}");
        // Details alone say the same, a client that left and a limit apart.
        let mut words = said.splitn(3, ' ');
        let (code, details) = (words.next().unwrap(), words.nth(1).unwrap());
        let line = format!("2026-11-22T15:18:15.430Z {code} {details}|");
        let setting = "envoy:%START_TIME% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%|";
        assert_eq!(outcome(setting, &line), *want, "{line}");
    }
}

#[test]
fn a_service_time_tells_whether_the_header_came() {
    let line = |method: &str, protocol: &str, said: &str, time: &str| {
        format!(
            r#"[2026-11-22T15:18:15.430Z] "{method} / {protocol}" {said} 0 0 5 {time} "-" "-" "-" "-" "a:1""#
        )
    };
    let cases = [
        ("GET", "HTTP/1.1", "200 UC", "3", "aborted"),
        ("GET", "HTTP/1.1", "200 UC", "-", "aborted"),
        ("POST", "HTTP/2", "200 UC", "-", "proxy connection_terminated"),
        ("POST", "HTTP/2", "200 UC", "3", "aborted"),
        ("GET", "HTTP/1.1", "503 UC", "3", "aborted"),
        ("GET", "HTTP/1.1", "503 UC", "-", "proxy connection_terminated"),
        ("GET", "HTTP/1.1", "502 UPE", "3", "upstream upstream_response"),
        ("GET", "HTTP/1.1", "0 -", "-", "abandoned"),
        ("-", "-", "0 DC", "-", "fine"),
    ];
    for (method, protocol, said, time, want) in cases {
        let line = line(method, protocol, said, time);
        assert_eq!(outcome("envoy", &line), want, "{line}");
    }
}

#[test]
fn the_input_says_what_counts() {
    let format = format("envoy:%START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_HOST%");
    let mut context = context();
    context.gateway_statuses = Some(vec![0, 500, 503]);
    let mut cause = |said: &str| {
        let line = format!("2026-11-22T15:18:15.430Z {said} 10.0.0.1:80");
        match format.parse(line.as_bytes(), &mut context) {
            Ok(Parsed::Record(record)) => record.outcome.gateway_error(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(cause("503 -"), Some(Cause::upstream()));
    assert_eq!(cause("500 -"), Some(Cause::upstream()));
    assert_eq!(cause("503 RL"), Some(Cause::proxy(Reason::Unknown)));
    assert_eq!(cause("0 DC"), Some(Cause { origin: Origin::Client, reason: Reason::ClientAborted }));
    assert_eq!(cause("502 -"), None);
    assert_eq!(cause("504 UT"), None);
}

#[test]
fn a_header_tells_why() {
    let setting =
        r#"envoy:%START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_HOST% "%RESP(PROXY-STATUS)%""#;
    let cases = [
        ("503 UF a:1", "envoy; error=connection_refused", "proxy connection_refused"),
        (
            "502 UPE a:1",
            "envoy; error=http_response_header_section_size",
            "proxy http_response_header_section_size",
        ),
        ("504 UT a:1", "-", "proxy http_response_timeout"),
        ("200 - a:1", "envoy; error=connection_refused", "fine"),
    ];
    for (said, header, want) in cases {
        let line = format!(r#"2026-11-22T15:18:15.430Z {said} "{header}""#);
        assert_eq!(outcome(setting, &line), want, "{line}");
    }
}

#[test]
fn attempts_are_counted() {
    let tail = "%UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%";
    let counted = format(&format!("envoy:%START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% {tail}"));
    let servers = |line: &str| {
        let record = record(&*counted, line);
        let attempts: Vec<_> = record.attempts.iter().map(|a| (text(a.upstream), a.failure)).collect();
        attempts
    };
    let at = "2026-11-22T15:18:15.430Z";
    let server = || "10.0.0.1:80".to_owned();
    let failed = Some(Cause::proxy(Reason::ConnectionFailed));
    assert_eq!(servers(&format!("{at} 200 - 10.0.0.1:80 1")), [(server(), None)]);
    assert_eq!(
        servers(&format!("{at} 200 - 10.0.0.1:80 2")),
        [(String::new(), Some(Cause::UNKNOWN)), (server(), None)]
    );
    assert_eq!(
        servers(&format!("{at} 503 UF,URX 10.0.0.1:80 2")),
        [(String::new(), Some(Cause::UNKNOWN)), (server(), failed)]
    );
    assert_eq!(servers(&format!("{at} 503 UH - 0")), []);
    assert_eq!(servers(&format!("{at} 200 - 10.0.0.1:80 65535")).len(), 65);
}

#[test]
fn clients_do_not_choose_their_status() {
    let line = |agent: &str| {
        format!(
            r#"[2026-11-22T15:18:15.430Z] "GET / HTTP/1.1" 502 UPE 0 87 0 - "-" "{agent}" "id" "a.example" "10.0.0.1:80""#
        )
    };
    let plain = format("envoy");
    for agent in [r#"a "quoted" word"#, r#"""#, r#"x" "y"#, r#"\""#, ""] {
        let line = line(agent);
        let record = record(&*plain, &line);
        assert_eq!((record.status, text(record.site)), (Status::new(502), "a.example".to_owned()), "{line}");
    }
    // Here it could: two readings, so none.
    let forged = line(r#"" 200 - 0 0 0 - "-" "-"#);
    let malformed = plain.parse(forged.as_bytes(), &mut context()).map(|_| ()).unwrap_err();
    assert_eq!(malformed.reason, "two readings of this line differ");
    let open = format("envoy:%START_TIME% %REQ(USER-AGENT)% %RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(REFERER)%");
    let two = "2026-11-22T15:18:15.430Z x 200 - y 502 UPE z";
    let malformed = open.parse(two.as_bytes(), &mut context()).map(|_| ()).unwrap_err();
    assert_eq!(malformed.reason, "two readings of this line differ");
    assert_eq!(record(&*open, "2026-11-22T15:18:15.430Z x y 502 UPE z").status, Status::new(502));
}

#[test]
fn where_a_line_stops_making_sense() {
    let cases = [
        (r#"[2026-11-22T15:18:15.430Z] "GET / HTTP/1.1" 50x - 0"#, "%RESPONSE_CODE%", 44),
        (
            r#"[2026-13-22T15:18:15.430Z] "GET / HTTP/1.1" 502 - 0 0 0 - "-" "-" "-" "-" "-""#,
            "%START_TIME%",
            1,
        ),
        (r#"[yesterday] "GET / HTTP/1.1" 502"#, "%START_TIME%", 1),
        ("garbage", "%START_TIME%", 0),
    ];
    for (line, field, at) in cases {
        let format = format("envoy");
        let malformed = format.parse(line.as_bytes(), &mut context()).map(|_| ()).unwrap_err();
        assert_eq!((malformed.field, malformed.at), (field, at), "{line}: {malformed:?}");
    }
}

#[test]
fn settings_that_are_wrong_say_so() {
    let cases = [
        ("istioo", "known: istio, ", 6),
        ("%START_TIME% %DURATION%", "neither %RESPONSE_CODE% nor", 6),
        ("%RESPONSE_CODE%", "add %START_TIME%", 6),
        ("%START_TIME(%H:%M)% %RESPONSE_CODE%", "not a whole date", 6),
        ("%START_TIME% %RESPONSE_CODE% %UPSTREAM_HOST%%UPSTREAM_CLUSTER%", "put a space between", 35),
        ("json:{\"a\":\"%START_TIME%\"", "no JSON", 30),
        ("json:{\"a\":\"%RESPONSE_CODE%\"}", "add %START_TIME%", 11),
        ("%START_TIME% %RESPONSE_CODE% 100%", "a % that no operator follows", 6),
        ("%START_TIME% %RESPONSE_CODE% %REQ(X", "where it ends cannot be seen", 35),
    ];
    for (setting, message, at) in cases {
        let error = formats::compile(&format!("envoy:{setting}")).unwrap_err();
        assert!(error.message.contains(message), "{setting}: {error}");
        assert_eq!(error.at, at, "{setting}: {error}");
    }
    let quoted = [
        r#"'[%START_TIME%] %RESPONSE_CODE% "%UPSTREAM_HOST%"'"#,
        r#""[%START_TIME%] %RESPONSE_CODE% \"%UPSTREAM_HOST%\"\n""#,
        r#"[%START_TIME%] %RESPONSE_CODE% \"%UPSTREAM_HOST%\""#,
        "[%START_TIME%] %RESPONSE_CODE% \"%UPSTREAM_HOST%\"\n",
    ];
    for setting in quoted {
        let line = r#"[2026-11-22T15:18:15.430Z] 502 "10.0.0.1:80""#;
        assert_eq!(outcome(&format!("envoy:{setting}"), line), "unknown unknown", "{setting}");
    }
}

#[test]
fn detection_finds_the_built_in_ones() {
    for case in CASES.iter().filter(|case| !case.setting.contains('%')) {
        let found = crate::detect::detect(&[case.line.as_bytes()], &context());
        assert_eq!(found.best().map(|best| best.format.name()), Some(case.setting), "{}", case.line);
        assert!(found.ambiguous.is_empty(), "{}: {:?}", case.line, found.ambiguous);
    }
}

#[test]
fn headers_and_what_is_no_request() {
    let plain = format("envoy:istio");
    let line = CASES[7].line;
    for (header, node) in [("", ""), ("<134>Nov 22 15:18:15 edge-1 envoy[7]: ", "edge-1"), ("envoy  | ", "")]
    {
        let line = format!("{header}{line}");
        assert_eq!(text(record(&*plain, &line).node), node, "{line}");
    }
    let others = [
        "",
        "  ",
        "[2026-11-22 15:18:15.430][7][info][main] [source/server/server.cc:404] initializing epoch 0",
        "2022-09-01T13:15:09.085158Z\tinfo\tReadiness succeeded in 1.2s",
        "2022-09-01T13:15:09.085158Z     debug   envoy pool external/envoy/source/common/conn_pool.cc:265",
    ];
    for line in others {
        assert!(matches!(plain.parse(line.as_bytes(), &mut context()), Ok(Parsed::Other)), "{line}");
    }
}

#[test]
fn ejections_are_events() {
    let json = format("json");
    let line = r#"{"type":"CONSECUTIVE_5XX","cluster_name":"outbound|80||a","upstream_url":"10.0.0.1:80","action":"EJECT","num_ejections":1,"enforced":true,"eject_consecutive_event":{},"timestamp":"2026-11-22T15:18:15.430Z","secs_since_last_action":"12"}"#;
    let event = |line: &'static str| match json.parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Event(event)) => Some(event),
        _ => None,
    };
    let down = event(line).unwrap();
    assert_eq!(
        (down.at, down.happened, text(down.detail)),
        (Some(AT), Happened::Down, "CONSECUTIVE_5XX".to_owned())
    );
    assert_eq!((text(down.pool), text(down.upstream)), ("outbound|80||a".into(), "10.0.0.1:80".into()));
    let old = r#"{"time": "2026-11-22T15:18:15.430Z", "secs_since_last_action": "-1", "cluster": "c", "upstream_url": "tcp://10.0.0.1:80", "action": "uneject", "num_ejections": 2}"#;
    let up = event(old).unwrap();
    assert_eq!((up.at, up.happened, text(up.upstream)), (Some(AT), Happened::Up, "10.0.0.1:80".into()));
    assert!(up.detail.is_empty());
    let not = r#"{"type":"CONSECUTIVE_5XX","cluster_name":"c","upstream_url":"10.0.0.1:80","action":"EJECT","enforced":false,"timestamp":"2026-11-22T15:18:15.430Z"}"#;
    assert!(event(not).is_none());
}

#[test]
fn a_prefix_is_never_another_request() {
    let lines = CASES.iter().map(|case| (case.setting, case.line));
    let lines = lines.chain(DEFAULT.lines().map(|line| ("envoy", line)));
    for (setting, line) in lines {
        let format = format(setting);
        let whole = record(&*format, line);
        for end in 0..line.len() {
            match format.parse(&line.as_bytes()[..end], &mut context()) {
                Ok(Parsed::Record(cut)) => assert_eq!(cut.status, whole.status, "{}", &line[..end]),
                Ok(Parsed::Other) => assert!(line[..end].trim().is_empty(), "{}", &line[..end]),
                _ => {}
            }
        }
    }
}

/// An operator, and what may stand for it.
fn operators() -> impl Strategy<Value = (&'static str, String)> {
    const WORDS: &[&str] = &["-", "10.0.0.1:80", "outbound|80||a.b", "HTTP/1.1", "a.example"];
    prop_oneof![
        (select(&["%BYTES_SENT%", "%BYTES_RECEIVED%", "%UPSTREAM_WIRE_BYTES_SENT%"]), "-|[0-9]{1,5}"),
        (
            select(&[
                "%UPSTREAM_LOCAL_ADDRESS%",
                "%REQUESTED_SERVER_NAME%",
                "%PROTOCOL%",
                "%REQ(:AUTHORITY)%"
            ]),
            select(WORDS).prop_map(str::to_owned)
        ),
        (
            select(&["%REQ(USER-AGENT)%", "%FILTER_STATE(a:PLAIN)%", "%SOMETHING_NEW(x)%", "%ROUTE_NAME%"]),
            "[a-zA-Z/;.]{1,12}"
        ),
    ]
}

fn select(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(of)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_format_reads_the_line_it_describes(
        before in proptest::collection::vec(operators(), 0..4),
        after in proptest::collection::vec(operators(), 0..4),
        between in select(&[" ", "|", "\" \"", ",", "\t", " - "]),
        code in 100u16..600,
        duration in 0u32..100_000,
        stamp in select(&["", "(%s.%3f)", "(%Y-%m-%dT%H:%M:%S.%3fZ)", "(%d/%b/%Y:%H:%M:%S %z)"]),
    ) {
        let at = match stamp {
            "(%s.%3f)" => "1795360695.430",
            "(%d/%b/%Y:%H:%M:%S %z)" => "22/Nov/2026:15:18:15 +0000",
            _ => "2026-11-22T15:18:15.430Z",
        };
        let fixed = [
            (format!("%START_TIME{stamp}%"), at.to_owned()),
            ("%RESPONSE_CODE%".to_owned(), code.to_string()),
            ("%DURATION%".to_owned(), duration.to_string()),
            ("%UPSTREAM_HOST%".to_owned(), "10.9.8.7:80".to_owned()),
        ];
        let owned = |(name, value): (&'static str, String)| (name.to_owned(), value);
        let all: Vec<(String, String)> =
            before.into_iter().map(owned).chain(fixed).chain(after.into_iter().map(owned)).collect();
        let join = |of: Vec<String>| format!("<\"{}\">", of.join(between));
        let setting = format!("envoy:{}", join(all.iter().map(|(name, _)| name.clone()).collect()));
        let line = join(all.iter().map(|(_, value)| value.clone()).collect());
        let format = formats::compile(&setting).unwrap();
        let start = if stamp.starts_with("(%d") { AT - 430 } else { AT };
        match format.parse(line.as_bytes(), &mut context()) {
            Ok(Parsed::Record(record)) => {
                prop_assert_eq!(record.status, Status::new(code));
                prop_assert_eq!(record.request_time, Some(duration));
                prop_assert_eq!(record.end, start + i64::from(duration));
                prop_assert_eq!(record.attempts.last().unwrap().upstream, b"10.9.8.7:80");
            }
            // Values may hold the delimiter: never another reading than the right one.
            Err(malformed) => prop_assert!(malformed.reason.contains("readings"), "{setting} {line} {malformed:?}"),
            other => prop_assert!(false, "{setting} {line} {other:?}"),
        }
    }

    #[test]
    fn nothing_panics(setting in "(%[A-Z_]{0,9}(\\([%a-zA-Z:?]{0,9}\\))?(:[0-9])?%?[ \"|]?){0,6}", line in ".{0,80}") {
        for setting in [&setting, "%START_TIME% %RESPONSE_CODE% %REQ(X)% %RESPONSE_FLAGS%"] {
            if let Ok(format) = formats::compile(&format!("envoy:{setting}")) {
                let _ = format.parse(line.as_bytes(), &mut context());
                let _ = format.explain(line.as_bytes(), &mut context());
            }
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(case in 0..CASES.len(), at in 0..400usize, byte in any::<u8>()) {
        let case = &CASES[case];
        let mut line = case.line.as_bytes().to_vec();
        let len = line.len();
        line[at % len] = byte;
        let format = format(case.setting);
        let _ = format.parse(&line, &mut context());
        let _ = format.explain(&line, &mut context());
    }
}
