use super::*;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record};
use crate::time::Zone;

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_286_427_097_000)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn record<'a>(format: &'a Labelled, line: &'a str) -> Record<'a> {
    match format.parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Record(record)) => record,
        other => panic!("{line}: {other:?}"),
    }
}

const fn proxy(reason: Reason) -> Outcome {
    Outcome::GatewayError(Cause::proxy(reason))
}

const UNKNOWN: Outcome = Outcome::GatewayError(Cause::UNKNOWN);

/// Line; end, request_time; status; outcome; method path site node upstream.
type Case = (&'static str, (i64, Option<u32>), Option<u16>, Outcome, [&'static str; 5]);

const LTSV_LINES: &[Case] = &[
    (
        "host:127.0.0.1\tident:-\tuser:frank\ttime:[10/Oct/2000:13:55:36 -0700]\treq:GET /apache_pb.gif HTTP/1.0\tstatus:200\tsize:2326\treferer:http://www.example.com/start.html\tua:Mozilla/4.08 [en] (Win98; I ;Nav)",
        (971_211_336_000, None),
        Some(200),
        Outcome::Fine,
        ["GET", "/apache_pb.gif", "", "", ""],
    ),
    (
        "time:28/Feb/2013:12:00:00 +0900\thost:192.168.0.1\treq:GET /list HTTP/1.1\tstatus:502\tsize:5316\tua:x\treqtime:9.789\tvhost:api.example:443\tupstream_addr:10.0.0.1:80\tupstream_status:502\tupstream_connect_time:-\tupstream_header_time:-",
        (1_362_020_400_000, Some(9_789)),
        Some(502),
        proxy(Reason::ConnectionFailed),
        ["GET", "/list", "api.example", "", "10.0.0.1:80"],
    ),
    (
        "time:2013-02-28T12:00:00+09:00\tmethod:POST\turi:/a:b\tstatus:504\treqtime_microsec:97890\tua:status:200\t",
        (1_362_020_400_000, Some(98)),
        Some(504),
        UNKNOWN,
        ["POST", "/a:b", "", "", ""],
    ),
    // What a client put there counts after what stood before it.
    (
        "time:2013-02-28T12:00:00Z\tstatus:504\tua:x\tstatus:200\tx:",
        (1_362_052_800_000, None),
        Some(504),
        UNKNOWN,
        ["", "", "", "", ""],
    ),
];

const LOGFMT_LINES: &[Case] = &[
    (
        r#"2010-10-06T21:51:37-07:00 heroku[router]: at=error code=H12 desc="Request timeout" method=GET path="/" host=myapp.herokuapp.com fwd=17.17.17.17 dyno=web.1 connect=6ms service=30001ms status=503 bytes=0"#,
        (1_286_427_097_000, Some(30_001)),
        Some(503),
        proxy(Reason::HttpResponseTimeout),
        ["GET", "/", "myapp.herokuapp.com", "", "web.1"],
    ),
    (
        r#"at=error code=H10 desc="App crashed" method=GET path="/?a=\"status=200" host=a.example fwd=1.2.3.4 dyno= connect= service= status=503 bytes= time=2010-10-06T21:51:37-07:00"#,
        (1_286_427_097_000, None),
        Some(503),
        proxy(Reason::DestinationUnavailable),
        ["GET", r#"/?a=\"status=200"#, "a.example", "", ""],
    ),
    (
        r#"<158>1 2010-10-07T04:51:37.520012+00:00 host heroku router - at=info method=GET path="/" host=myapp.com fwd="17.17.17.17" dyno=web.1 connect=6ms service=14ms status=502 bytes=0 protocol=https"#,
        (1_286_427_097_520, Some(14)),
        Some(502),
        Outcome::GatewayError(Cause::upstream()),
        ["GET", "/", "myapp.com", "host", "web.1"],
    ),
    (
        r#"2010-10-06T21:51:37-07:00 heroku[router]: at=warning code=H27 desc="Client Request Interrupted" method=POST path="/s" host=a dyno=web.1 connect=1ms service=0ms status=499 bytes=0"#,
        (1_286_427_097_000, Some(0)),
        Some(499),
        Outcome::Fine,
        ["POST", "/s", "a", "", "web.1"],
    ),
    (
        r#"time="2010-10-06T21:51:37-07:00" level=info msg="finished call" http_method=GET path=/x status=504 duration=1.5s upstream=10.0.0.1:80 debug"#,
        (1_286_427_097_000, Some(1_500)),
        Some(504),
        UNKNOWN,
        ["GET", "/x", "", "", "10.0.0.1:80"],
    ),
];

fn check(format: &Labelled, cases: &[Case]) {
    for (line, (end, request_time), status, outcome, fields) in cases {
        let record = record(format, line);
        assert_eq!((record.end, record.request_time), (*end, *request_time), "{line}");
        assert_eq!((record.status.code(), record.outcome), (*status, *outcome), "{line}");
        let upstream = record.attempts.last().map_or(&b""[..], |a| a.upstream);
        let own = [record.method, record.path, record.site, record.node, upstream].map(text);
        assert_eq!(own, *fields, "{line}");
    }
}

#[test]
fn ltsv_lines() {
    check(&Labelled::new(Grammar::Ltsv), LTSV_LINES);
}

#[test]
fn logfmt_lines() {
    check(&Labelled::new(Grammar::Logfmt), LOGFMT_LINES);
}

#[test]
fn every_code_of_the_router() {
    let format = Labelled::new(Grammar::Logfmt);
    let cases = [
        ("H10", proxy(Reason::DestinationUnavailable)),
        ("H11", proxy(Reason::DestinationUnavailable)),
        ("H12", proxy(Reason::HttpResponseTimeout)),
        ("H13", proxy(Reason::ConnectionTerminated)),
        ("H14", proxy(Reason::DestinationUnavailable)),
        ("H15", proxy(Reason::ConnectionReadTimeout)),
        ("H17", proxy(Reason::HttpProtocolError)),
        ("H18", proxy(Reason::ConnectionTerminated)),
        ("H19", proxy(Reason::ConnectionTimeout)),
        ("H20", proxy(Reason::DestinationUnavailable)),
        ("H21", proxy(Reason::ConnectionRefused)),
        ("H22", proxy(Reason::ConnectionLimitReached)),
        ("H23", proxy(Reason::ProxyConfigurationError)),
        ("H24", proxy(Reason::Unknown)),
        ("H25", proxy(Reason::HttpProtocolError)),
        ("H26", Outcome::Fine),
        ("H27", Outcome::Abandoned),
        ("H28", Outcome::Abandoned),
        ("H80", Outcome::Fine),
        ("H99", proxy(Reason::Unknown)),
    ];
    for (code, outcome) in cases {
        let line = format!(
            "2010-10-06T21:51:37-07:00 heroku[router]: at=error code={code} desc=\"x\" method=GET path=\"/\" host=a dyno=web.1 connect=6ms service=1ms status=503 bytes=0"
        );
        assert_eq!(record(&format, &line).outcome, outcome, "{code}");
    }
}

#[test]
fn what_is_no_request_and_what_is_no_such_line() {
    let (ltsv, logfmt) = (Labelled::new(Grammar::Ltsv), Labelled::new(Grammar::Logfmt));
    for (format, line) in [
        (&ltsv, ""),
        (&logfmt, " "),
        (&logfmt, r#"time="2010-10-06T21:51:37-07:00" level=info msg="server started" addr=:8080"#),
        (&ltsv, "time:2010-10-06T21:51:37Z\tlevel:info\tmessage:started"),
    ] {
        assert!(matches!(format.parse(line.as_bytes(), &mut context()), Ok(Parsed::Other)), "{line}");
    }
    for (format, line, field, at) in [
        (&ltsv, "time:2010-10-06T21:51:37Z status:200", "line", 0),
        (&ltsv, "time:2010-10-06T21:51:37Z\tstatus:20", "status", 33),
        (&ltsv, "time:2010-10-06T21:51:37Z\tstatus:", "status", 33),
        (&ltsv, "time:2010-10-06T21:51:37Z\tnothing\tstatus:200", "line", 26),
        (&ltsv, "time:yesterday\tstatus:200", "time", 5),
        (&ltsv, "time:2010-10-06T21:51:37Z\tsize:200", "status", 0),
        (&logfmt, "hello world", "line", 0),
        (&logfmt, "time=2010-10-06T21:51:37Z status=20", "status", 33),
        (&logfmt, r#"time=2010-10-06T21:51:37Z status=200 msg="x"#, "line", 41),
        (&logfmt, r#"time=2010-10-06T21:51:37Z status=200 msg=a"b"#, "line", 42),
        (&logfmt, "status=200 bytes=1", "time", 0),
    ] {
        let error = format.parse(line.as_bytes(), &mut context()).unwrap_err();
        assert_eq!((error.field, error.at), (field, at), "{line}: {error:?}");
    }
}

#[test]
fn no_prefix_has_another_status() {
    for (grammar, cases) in [(Grammar::Ltsv, LTSV_LINES), (Grammar::Logfmt, LOGFMT_LINES)] {
        let format = Labelled::new(grammar);
        for (line, _, status, ..) in cases {
            for end in 0..line.len() {
                if let Ok(Parsed::Record(cut)) = format.parse(&line.as_bytes()[..end], &mut context()) {
                    assert_eq!(cut.status.code(), *status, "{}", &line[..end]);
                }
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(line: Vec<u8>) {
        for grammar in [Grammar::Ltsv, Grammar::Logfmt] {
            let format = Labelled::new(grammar);
            let _ = format.parse(&line, &mut context());
            let _ = format.parse(&[b"a=\tb:", line.as_slice()].concat(), &mut context());
            let _ = format.explain(&line, &mut context());
        }
    }
}

#[test]
fn a_fetch_names_its_exit() {
    let format = crate::formats::compile("logfmt").unwrap();
    assert_eq!(format.extra_labels(), ["exit_ip", "provider"]);
    let line = r#"time=2026-11-22T14:53:53Z exit_ip=203.0.113.7 provider=acme target=shop.example error="Read timed out" status=504"#;
    let parsed = format.parse(line.as_bytes(), &mut Context::new(crate::time::Zone::Fixed(0), 0));
    let Ok(Parsed::Record(record)) = parsed else { panic!("{parsed:?}") };
    assert_eq!(
        [record.extra.get(0), record.extra.get(1), record.site],
        [&b"203.0.113.7"[..], b"acme", b"shop.example"]
    );
    assert_eq!(record.status.code(), Some(504));
    // Cut before the status: nobody knows that it had none.
    let cut = line.strip_suffix(" status=504").unwrap();
    assert!(format.parse(cut.as_bytes(), &mut Context::new(crate::time::Zone::Fixed(0), 0)).is_err());
}
