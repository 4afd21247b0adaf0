use super::*;
use crate::record::Status;
use crate::time::Zone;

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

fn traefik() -> Box<dyn Format> {
    compile(None).unwrap()
}

const UNKNOWN: Outcome = Outcome::GatewayError(Cause::UNKNOWN);

struct Case {
    line: &'static str,
    end: i64,
    status: Status,
    request_time: Option<u32>,
    outcome: Outcome,
    /// method path node pool upstream
    fields: [&'static str; 5],
}

const CASES: &[Case] = &[
    Case {
        line: r#"10.42.0.1 - - [18/May/2026:09:52:41 +0000] "GET /api?x=1 HTTP/1.1" 200 1234 "-" "Mozilla/5.0 (X11; Linux x86_64)" 43 "web@docker" "http://172.18.0.4:8080" 12ms"#,
        end: 1_779_097_961_012,
        status: Status::new(200),
        request_time: Some(12),
        outcome: Outcome::Fine,
        fields: ["GET", "/api?x=1", "", "web@docker", "172.18.0.4:8080"],
    },
    Case {
        line: r#"192.0.2.7 - joe bloggs [x] [18/May/2026:11:52:41 +0200] "POST /a HTTP/2.0" 502 11 "https://a.example/" "say \"hi\" \\" 44 "shop router@file" "http://10.0.0.7:80/base" 60001ms"#,
        end: 1_779_097_961_000 + 60_001,
        status: Status::new(502),
        request_time: Some(60_001),
        outcome: UNKNOWN,
        fields: ["POST", "/a", "", "shop router@file", "10.0.0.7:80"],
    },
    // Nothing of the request was understood; the referer without quotes, nothing was asked.
    Case {
        line: r#"- - - [18/May/2026:09:52:41 +0000] "- - -" - - "-" "-" 45 "-" "-" 0ms"#,
        end: 1_779_097_961_000,
        status: Status::NONE,
        request_time: Some(0),
        outcome: Outcome::Fine,
        fields: ["", "", "", "", ""],
    },
    Case {
        line: r#"::1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 504 15 - "-" - "r@k8s" - 30000ms"#,
        end: 1_779_097_991_000,
        status: Status::new(504),
        request_time: Some(30_000),
        outcome: Outcome::GatewayError(Cause::proxy(Reason::Unknown)),
        fields: ["GET", "/", "", "r@k8s", ""],
    },
    Case {
        line: r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 503 20 "-" "-" 7 "r@k8s" "-" 0ms"#,
        end: 1_779_097_961_000,
        status: Status::new(503),
        request_time: Some(0),
        outcome: Outcome::GatewayError(Cause::proxy(Reason::DestinationUnavailable)),
        fields: ["GET", "/", "", "r@k8s", ""],
    },
    // A service's own, a maintenance page, a client that left.
    Case {
        line: r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 503 20 "-" "-" 7 "r" "http://[2001:db8::1]:80" 1ms"#,
        end: 1_779_097_961_001,
        status: Status::new(503),
        request_time: Some(1),
        outcome: Outcome::Fine,
        fields: ["GET", "/", "", "r", "[2001:db8::1]:80"],
    },
    Case {
        line: r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 503 4021 "-" "-" 7 "r" "-" 1ms"#,
        end: 1_779_097_961_001,
        status: Status::new(503),
        request_time: Some(1),
        outcome: Outcome::Fine,
        fields: ["GET", "/", "", "r", ""],
    },
    Case {
        line: r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET /slow HTTP/1.1" 499 21 "-" "-" 7 "r" "http://10.0.0.7:80" 900ms"#,
        end: 1_779_097_961_900,
        status: Status::new(499),
        request_time: Some(900),
        outcome: Outcome::Abandoned,
        fields: ["GET", "/slow", "", "r", "10.0.0.7:80"],
    },
    // A path may hold anything, a whole line among it.
    Case {
        line: r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET /x HTTP/1.1" 502 11 "-" "-" 1 "r" "u" 1ms HTTP/2.0" 200 5 "a] \" 502 11" "[18/May/2026:09:52:41 +0000] \"GET" 9 "r" "http://10.0.0.7:80" 3ms"#,
        end: 1_779_097_961_003,
        status: Status::new(200),
        request_time: Some(3),
        outcome: Outcome::Fine,
        fields: ["GET", r#"/x HTTP/1.1" 502 11 "-" "-" 1 "r" "u" 1ms"#, "", "r", "10.0.0.7:80"],
    },
    // Behind docker compose, and behind syslog.
    Case {
        line: r#"traefik  | 10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 404 19 "-" "-" 7 "-" "-" 0ms"#,
        end: 1_779_097_961_000,
        status: Status::new(404),
        request_time: Some(0),
        outcome: Outcome::Fine,
        fields: ["GET", "/", "", "", ""],
    },
    Case {
        line: r#"<134>May 18 09:52:41 edge-7 traefik[7]: 10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 200 19 "-" "-" 7 "r" "http://a:1" 0ms"#,
        end: 1_779_097_961_000,
        status: Status::new(200),
        request_time: Some(0),
        outcome: Outcome::Fine,
        fields: ["GET", "/", "edge-7", "r", "a:1"],
    },
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn lines_field_by_field() {
    let format = traefik();
    for case in CASES {
        let record = match format.parse(case.line.as_bytes(), &mut context()) {
            Ok(Parsed::Record(record)) => record,
            other => panic!("{}: {other:?}", case.line),
        };
        assert_eq!(record.end, case.end, "{}", case.line);
        assert_eq!(record.status, case.status, "{}", case.line);
        assert_eq!(record.request_time, case.request_time, "{}", case.line);
        assert_eq!(record.outcome, case.outcome, "{}", case.line);
        let upstream = record.attempts.last().map_or(&b""[..], |attempt| attempt.upstream);
        let fields = [record.method, record.path, record.node, record.pool, upstream].map(text);
        assert_eq!(fields, case.fields, "{}", case.line);
    }
}

#[test]
fn generic_is_without_the_last_four() {
    let format = compile(Some("generic")).unwrap();
    assert_eq!(format.name(), "traefik:generic");
    let line = r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 502 11 "-" "say \"502 1\"""#;
    let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context()) else { panic!() };
    assert_eq!((record.status, record.outcome, record.request_time), (Status::new(502), UNKNOWN, None));
    assert!(compile(Some("combined")).is_err());
    assert!(compile(Some("traefik")).is_err());
}

#[test]
fn where_a_line_breaks() {
    let format = traefik();
    let cases = [
        (
            r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 502 11 "-" "-" 7 "r" "u" 12"#,
            "Duration",
        ),
        (
            r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 50 11 "-" "-" 7 "r" "u" 12ms"#,
            "DownstreamStatus",
        ),
        (
            r#"10.0.0.1 - - [18/Foo/2026:09:52:41 +0000] "GET / HTTP/1.1" 502 11 "-" "-" 7 "r" "u" 12ms"#,
            "StartUTC",
        ),
        (r#"10.0.0.1 - - [18/May/2026] "GET / HTTP/1.1" 502 11 "-" "-" 7 "r" "u" 12ms"#, "StartUTC"),
        (
            r#"10.0.0.1 - - [18/May/2026:09:52:41 +0000] "GET / HTTP/1.1" 502 11 "-" "-" 7 r "u" 12ms"#,
            "RouterName",
        ),
        ("panic: runtime error", "Duration"),
    ];
    for (line, field) in cases {
        let error = format.parse(line.as_bytes(), &mut context()).unwrap_err();
        assert_eq!(error.field, field, "{line}: {error:?}");
    }
    for line in [
        "  ",
        "time=\"2026-05-18T09:52:41Z\" level=info msg=\"Configuration loaded\"",
        "traefik  | time=\"2026-05-18T09:52:41Z\" level=debug msg=\"'502 Bad Gateway' caused by: EOF\"",
        "2026-05-18T09:52:41Z INF Traefik version 3.1.0 built on 2024-07-15T13:33:48Z version=3.1.0",
    ] {
        assert!(matches!(format.parse(line.as_bytes(), &mut context()), Ok(Parsed::Other)), "{line}");
    }
}

#[test]
fn what_is_explained() {
    let format = traefik();
    let fields = format.explain(CASES[0].line.as_bytes(), &mut context());
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, NAMES);
    for field in &fields {
        assert_eq!(CASES[0].line.as_bytes().get(field.at..field.at + field.value.len()), Some(field.value));
    }
}

#[test]
fn a_prefix_is_never_another_status() {
    for form in [None, Some("generic")] {
        let format = compile(form).unwrap();
        for case in CASES {
            for end in 0..case.line.len() {
                let Ok(Parsed::Record(cut)) = format.parse(&case.line.as_bytes()[..end], &mut context())
                else {
                    continue;
                };
                // The line in a line is a line; and it is the same one for the form that it has.
                let injected = case.line.contains("1ms HTTP/2.0");
                assert!(cut.status == case.status || injected, "{}", &case.line[..end]);
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(line: Vec<u8>) {
        for form in [None, Some("generic")] {
            let format = compile(form).unwrap();
            let _ = format.parse(&line, &mut context());
            let _ = format.explain(&line, &mut context());
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(which in 0..CASES.len(), at: proptest::sample::Index, byte: u8) {
        let mut line = CASES[which].line.as_bytes().to_vec();
        let at = at.index(line.len());
        line[at] = byte;
        let _ = traefik().parse(&line, &mut context());
    }
}
