use crate::context::Context;
use crate::formats::{Format, Parsed, compile};
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};
use crate::time::Zone;

const JSON: &[u8] = include_bytes!("../../../../tests/corpus/nginx-haproxy/nginx-json.log");
const COMBINED: &[u8] = include_bytes!("../../../../tests/corpus/nginx-haproxy/nginx-combined.log");
const UPSTREAM: &[u8] = include_bytes!("../../../../tests/corpus/nginx-haproxy/nginx-upstream.log");
const INGRESS: &[u8] = include_bytes!("../../../../tests/corpus/nginx-haproxy/nginx-ingress.log");
const SYSLOG: &[u8] = include_bytes!("../../../../tests/corpus/nginx-haproxy/nginx-access.syslog");
const TIMED: &[u8] = include_bytes!("../../../../tests/corpus/lab/nginx-timed.log");
const SQUID: &[u8] = include_bytes!("../../../../tests/corpus/lab/squid-native.log");

const COMBINED_PATTERN: &str =
    r#"pattern:<client> - <_> [<time>] "<method> <uri> <_>" <status> <bytes> "<_>" "<_>""#;
const UPSTREAM_PATTERN: &str = concat!(
    r#"pattern:<_> - <_> [<time>] "<method> <uri> <_>" <status> <_> "<_>" "<_>" rt=<request_time> "#,
    r#"uct="<upstream_connect_time>" uht="<upstream_header_time>" urt="<upstream_response_time>" "#,
    r#"ua="<upstream_addr>" us="<upstream_status>""#
);
const INGRESS_PATTERN: &str = concat!(
    r#"pattern:<_> - <_> [<time>] "<request>" <status> <_> "<_>" "<_>" <_> <request_time> [<pool>] [] "#,
    "<upstream_addr> <upstream_response_length> <upstream_response_time> <upstream_status> <_>"
);
const INGRESS_REGEX: &str = concat!(
    r#"regex:\[(?<time>[^\]"]+)\] "(?<request>[^"]*)" (?<status>\d{3}) \d+ "[^"]*" "[^"]*" \d+ (?<request_time>[\d.]+) "#,
    r#"\[(?<pool>[^\]]*)\] \[\] (?<upstream_addr>\S+(?:(?: :)?,? \S+:\S+)*(?: : )?) "#
);

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record<'a>(format: &'a dyn Format, line: &'a [u8]) -> Record<'a> {
    match format.parse(line, &mut context()) {
        Ok(Parsed::Record(record)) => record,
        other => panic!("{}: {other:?}", text(line)),
    }
}

fn servers(record: &Record<'_>) -> Vec<(String, Option<u16>)> {
    let server =
        |a: &crate::upstreams::Attempt<'_>| text(if a.upstream.is_empty() { a.pool } else { a.upstream });
    record.attempts.iter().map(|a| (server(&a), a.status.code())).collect()
}

/// nginx wrote the same requests as JSON, line by line.
fn equals_nginx_own_account(setting: &str, file: &[u8], with_upstreams: bool) {
    let format = compile(setting).unwrap();
    let json = compile("json").unwrap();
    let mut seen = 0;
    for (line, truth) in lines(file).zip(lines(JSON)) {
        let (got, want) = (record(&*format, line), record(&*json, truth));
        assert_eq!(got.status, want.status, "{}", text(line));
        // One stamp has seconds, the other milliseconds.
        assert_eq!(got.end, want.end / 1000 * 1000, "{}", text(line));
        if with_upstreams {
            assert_eq!(servers(&got), servers(&want), "{}", text(line));
            assert_eq!(got.request_time, want.request_time);
        }
        seen += 1;
    }
    assert_eq!(seen, 74);
}

#[test]
fn patterns_read_nginx_as_its_own_account_says() {
    equals_nginx_own_account(COMBINED_PATTERN, COMBINED, false);
    equals_nginx_own_account(UPSTREAM_PATTERN, UPSTREAM, true);
    equals_nginx_own_account(INGRESS_PATTERN, INGRESS, true);
}

#[test]
fn origins_are_those_of_nginx_own_account_where_the_times_are_captured() {
    let (format, json) = (compile(UPSTREAM_PATTERN).unwrap(), compile("json").unwrap());
    for (line, truth) in lines(UPSTREAM).zip(lines(JSON)) {
        assert_eq!(record(&*format, line).outcome, record(&*json, truth).outcome, "{}", text(line));
    }
    // A combined log's 502 says nothing.
    let format = compile(COMBINED_PATTERN).unwrap();
    for line in lines(COMBINED) {
        let outcome = record(&*format, line).outcome;
        let known = [Outcome::Fine, Outcome::Abandoned, Outcome::GatewayError(Cause::UNKNOWN)];
        assert!(known.contains(&outcome), "{}", text(line));
    }
}

#[test]
fn a_syslog_header_needs_no_mention() {
    let format = compile(UPSTREAM_PATTERN).unwrap();
    let mut seen = 0;
    for line in lines(SYSLOG) {
        // What syslog cut at 2 KiB stays malformed, everything else is read.
        if line.len() < 2000 {
            record(&*format, line);
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn other_layouts() {
    let timed = "pattern:<_>|<msec>|<_>|<method> <path>|<status>|<upstream>|<upstream_status>|<upstream_connect_time>\
        |<upstream_header_time>|<upstream_response_time>|<request_time>";
    let format = compile(timed).unwrap();
    let causes: Vec<_> = lines(TIMED)
        .map(|line| record(&*format, line))
        .filter_map(|r| Some((text(r.path).split('/').nth(1)?.to_owned(), r.outcome.gateway_error()?)))
        .collect();
    let cause = |name: &str| causes.iter().find(|(scenario, _)| scenario == name).map(|(_, cause)| *cause);
    assert_eq!(cause("refuse"), Some(Cause::proxy(Reason::ConnectionFailed)));
    assert_eq!(cause("timeout"), Some(Cause::proxy(Reason::ConnectionReadTimeout)));
    assert_eq!(cause("partial"), Some(Cause::proxy(Reason::InvalidResponse)));
    assert_eq!(cause("own502"), Some(Cause::upstream()));
    assert_eq!(cause("own504"), Some(Cause::upstream()));

    // A forward proxy's log with labels of its own.
    let format = compile(r"regex:^(?<time>[\d.]+) +(?<request_time_ms>\d+) \S+ (?<result>\w+)/(?<status>\d{3}) \d+ (?<method>\S+) (?<uri>.*) \S+ \w+/(?<upstream>\S+) \S+$").unwrap();
    assert_eq!(format.extra_labels(), ["result"]);
    let first = lines(SQUID).next().unwrap();
    let first = record(&*format, first);
    assert_eq!(
        (first.end, first.request_time, first.extra.get(0)),
        (1_795_360_698_757, Some(1), &b"TCP_MISS"[..])
    );
    assert!(
        lines(SQUID)
            .filter(|line| matches!(format.parse(line, &mut context()), Ok(Parsed::Record(_))))
            .count()
            > 20
    );
}

#[test]
fn an_ingress_log_by_a_regular_expression() {
    let (format, json) = (compile(INGRESS_REGEX).unwrap(), compile("json").unwrap());
    for (line, truth) in lines(INGRESS).zip(lines(JSON)) {
        assert_eq!(record(&*format, line).status, record(&*json, truth).status, "{}", text(line));
    }
}

/// end, status, request_time, method, path, site, pool
type Want = (i64, Option<u16>, Option<u32>, &'static str, &'static str, &'static str, &'static str);

struct Case {
    setting: &'static str,
    line: &'static [u8],
    want: Option<Want>,
    servers: &'static [&'static str],
}

const END: i64 = 1_795_359_233_000;
const FULL: &str = r#"pattern:<client> - <_> [<time>] "<method> <uri> <_>" <status> <_> "<_>" "<_>" <request_time:ms> <host>"#;

#[test]
fn lines_that_are_tricky() {
    for case in CASES {
        let format = compile(case.setting).unwrap();
        let parsed = format.parse(case.line, &mut context());
        let Some((end, status, request_time, method, path, site, pool)) = case.want else {
            assert!(parsed.is_err(), "{}: {parsed:?}", text(case.line));
            continue;
        };
        let Ok(Parsed::Record(got)) = parsed else { panic!("{}: {parsed:?}", text(case.line)) };
        assert_eq!(
            (got.end, got.status.code(), got.request_time),
            (end, status, request_time),
            "{}",
            text(case.line)
        );
        assert_eq!(
            [got.method, got.path, got.site, got.pool].map(text),
            [method, path, site, pool],
            "{}",
            text(case.line)
        );
        assert_eq!(servers(&got).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), case.servers);
    }
}

const CASES: &[Case] = &[
    Case {
        setting: FULL,
        line: br#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET /a b c HTTP/1.1" 200 6 "-" "x" 12 gw.example:443"#,
        want: Some((END, Some(200), Some(12), "GET", "/a", "gw.example", "")),
        servers: &[],
    },
    // An empty, a one-word and a version-less request shift nothing.
    Case {
        setting: FULL,
        line: br#"1.2.3.4 - - [22/Nov/2026:15:53:53 +0100] "" 400 0 "-" "-" 0 -"#,
        want: Some((END, Some(400), Some(0), "", "", "", "")),
        servers: &[],
    },
    Case {
        setting: FULL,
        line: br#"::1 - - [22/Nov/2026:14:53:53 +0000] "batman" 400 502 "-" "-" 0 gw"#,
        want: Some((END, Some(400), Some(0), "batman", "", "gw", "")),
        servers: &[],
    },
    Case {
        setting: FULL,
        line: br#"unix: - - [22/Nov/2026:14:53:53 +0000] "GET /plain" 200 502 "-" "-" 0 gw"#,
        want: Some((END, Some(200), Some(0), "GET", "/plain", "gw", "")),
        servers: &[],
    },
    // A user with spaces and brackets; bytes that are no UTF-8; a quote escaped as Apache does, and what looks like a line.
    Case {
        setting: FULL,
        line: b"1.2.3.4 - joe bloggs [x] \\x22q\\x22 [22/Nov/2026:14:53:53 +0000] \"GET /\xff HTTP/1.1\" 200 6 \"-\" \"\xfe\" 0 a",
        want: Some((END, Some(200), Some(0), "GET", "/\u{fffd}", "a", "")),
        servers: &[],
    },
    Case {
        setting: FULL,
        line: br#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET /\" 502 \" HTTP/1.1" 200 6 "-" "x\" 502 9 \"\\" 0 a"#,
        want: Some((END, Some(200), Some(0), "GET", r#"/\""#, "a", "")),
        servers: &[],
    },
    // The setting's own words: HAProxy's timers, a pool with its server.
    Case {
        setting: "pattern:<_> [<time>] <_> <backend>/<server> <_>/<request_time:ms> <status> <_>",
        line: b"1.2.3.4:5 [22/Nov/2026:14:53:53.000] fe be_app/s1 0/0/0/1/7 504 12",
        want: Some((END, Some(504), None, "", "", "", "be_app")),
        servers: &["be_app/s1"],
    },
    Case {
        setting: "pattern:<_> [<time>] <_> <backend>/<server> <status> <_>",
        line: b"1.2.3.4:5 [22/Nov/2026:14:53:53.000] fe be_app/<NOSRV> 503 12",
        want: Some((END, Some(503), None, "", "", "", "be_app")),
        servers: &[],
    },
    // The start and the total time; a server by any name.
    Case {
        setting: "pattern:<start_time> <request_time:us> <status> <upstream> <_>",
        line: b"1795359232.5 500400 502 exit-17 x",
        want: Some((END, Some(502), Some(500), "", "", "", "")),
        servers: &["exit-17"],
    },
    Case {
        setting: "pattern:<time> <status> <_>",
        line: b"2026-11-22T14:53:53Z - x",
        want: Some((END, None, None, "", "", "", "")),
        servers: &[],
    },
    // Unquoted lists, a trailing separator, an address in brackets.
    Case {
        setting: "pattern:<epoch> <status> <upstream> <upstream_status> end",
        line: b"1795359233 200 a:1, [::1]:2 : unix:/run/x.sock, b:3 502, 504 : -, 200 end",
        want: Some((END, Some(200), None, "", "", "", "")),
        servers: &["a:1", "[::1]:2", "unix:/run/x.sock", "b:3"],
    },
    Case {
        setting: "pattern:<epoch> <status> <upstream> <upstream_status> end",
        line: b"1795359233 502 a:1 :  502 :  end",
        want: Some((END, Some(502), None, "", "", "", "")),
        servers: &["a:1"],
    },
    // Not what the setting says.
    Case { setting: FULL, line: b"x", want: None, servers: &[] },
    Case { setting: "pattern:<epoch> <status>", line: b"1795359233 50", want: None, servers: &[] },
    Case { setting: "pattern:<epoch> <status>", line: b"1795359233 5022", want: None, servers: &[] },
    Case { setting: "pattern:<time> <status>", line: b"yesterday 502", want: None, servers: &[] },
    Case { setting: "pattern:<134>1 <epoch> <status>", line: b"<135>1 1795359233 502", want: None, servers: &[] },
    Case {
        setting: "pattern:<134>1 <epoch> <status>",
        line: b"<134>1 1795359233 502",
        want: Some((END, Some(502), None, "", "", "", "")),
        servers: &[],
    },
    Case {
        setting: r"regex:(?<epoch>\d+) (?P<status>\d{3}) (?<upstream>\S+)(?: in (?<request_time_s>[\d.]+))? (?<site>\S+)$",
        line: b"x\xff 1795359233 504 10.0.0.7:80 www.example:8443",
        want: Some((END, Some(504), None, "", "", "www.example", "")),
        servers: &["10.0.0.7:80"],
    },
];

#[test]
fn further_captures_are_labels() {
    let format = compile("pattern:<epoch> <status> <exit_ip> <provider>;<region>;<node>").unwrap();
    assert_eq!(format.extra_labels(), ["exit_ip", "provider"]);
    assert!(!format.knows_upstream());
    let record = record(&*format, b"1795359233 504 10.9.8.7 -;eu;edge-1");
    assert_eq!([0, 1, 2].map(|i| record.extra.get(i)), [&b"10.9.8.7"[..], b"", b""]);
    assert_eq!((record.region, record.node), (&b"eu"[..], &b"edge-1"[..]));
    assert_eq!(record.status, Status::new(504));
}

#[test]
fn settings_that_are_wrong_say_where_and_what_to_do() {
    let cases = [
        ("pattern", 7, "write for instance pattern:<client>"),
        ("pattern:", 8, "write for instance pattern:<client>"),
        ("pattern:<time><status>", 14, "nothing between"),
        ("pattern:<time> <_>", 18, "nothing captures `status`"),
        ("pattern:<stauts> <time>", 23, "would become labels: stauts"),
        ("pattern:x", 9, "nothing captures `time` and `status`"),
        ("pattern:<time> <msec> <status>", 15, "`msec` and `time` mean the same"),
        ("pattern:<time> <a> <a> <status>", 19, "captured twice"),
        ("pattern:<time:ms> <status>", 8, "only request_time takes a unit"),
        ("pattern:<time> <status> <request_time:h>", 24, "one of s, ms, us, ns"),
        ("pattern:<time> <status> <x:ms>", 24, "takes no unit"),
        ("pattern:<time> <status> <input>", 24, "choose another name"),
        (
            "pattern:<time> <status> <a> <b> <c> <d> <e> <f> <g> <h> <i>",
            56,
            "at most 8 (a, b, c, d, e, f, g, h)",
        ),
        ("regex:", 6, "write for instance regex:"),
        ("regex:(?<time>x", 6, "unclosed group"),
        ("regex:(?<time>.) (?<x", 21, "group name"),
        (r"regex:(?<time>\S+) x", 20, "nothing captures `status`"),
        (r"regex:(?<time>\S+) (?<epoch>\d+)", 21, "mean the same"),
        (r"regex:(?<time>\w{1000}{1000}) (?<status>\d+)", 6, "needs more than"),
    ];
    for (setting, at, message) in cases {
        let error = compile(setting).unwrap_err();
        assert!(error.message.contains(message), "{setting}: {error}");
        assert_eq!(error.at, at, "{setting}: {error}");
    }
}

#[test]
fn what_a_line_was_and_where_it_stopped() {
    let format = compile(FULL).unwrap();
    let line = br#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 6 "-""#;
    let error = format.parse(line, &mut context()).unwrap_err();
    assert_eq!((error.field, error.at), ("_", 65));
    let fields: Vec<_> =
        format.explain(line, &mut context()).into_iter().map(|f| (f.name, text(f.value), f.at)).collect();
    let want = [
        ("client", "1.2.3.4", 0),
        ("time", "22/Nov/2026:14:53:53 +0000", 13),
        ("method", "GET", 42),
        ("uri", "/", 46),
        ("status", "502", 58),
    ];
    assert_eq!(fields, want.map(|(name, value, at)| (name.to_owned(), value.to_owned(), at)));

    let line = br#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" abc 6 "-" "x" 1 a"#;
    let error = format.parse(line, &mut context()).unwrap_err();
    assert_eq!((error.field, error.at), ("status", 58));
    assert!(matches!(format.parse(b" \t", &mut context()), Ok(Parsed::Other)));
}

#[test]
fn a_prefix_never_has_another_status() {
    for (setting, file) in
        [(COMBINED_PATTERN, COMBINED), (UPSTREAM_PATTERN, UPSTREAM), (INGRESS_PATTERN, INGRESS)]
    {
        let format = compile(setting).unwrap();
        for line in lines(file) {
            let status = record(&*format, line).status;
            for end in 0..line.len() {
                if let Ok(Parsed::Record(cut)) = format.parse(&line[..end], &mut context()) {
                    assert_eq!(cut.status, status, "{}", text(&line[..end]));
                }
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_settings_and_lines_never_panic(setting in "(pattern|regex):[<>a-z_ :\"\\[\\]()?]{0,40}", line: Vec<u8>) {
        if let Ok(format) = compile(&setting) {
            let _ = format.parse(&line, &mut context());
            let _ = format.explain(&line, &mut context());
        }
    }

    #[test]
    fn random_lines_never_panic(line: Vec<u8>) {
        for setting in [FULL, INGRESS_PATTERN, INGRESS_REGEX] {
            let format = compile(setting).unwrap();
            let _ = format.parse(&line, &mut context());
            let _ = format.explain(&line, &mut context());
        }
    }
}

#[test]
fn a_captured_header_refines_the_cause() {
    let line = br#"2026-11-22T14:53:53Z 502 "p; error=connection_refused; details=\"a\"""#;
    let other = br#"2026-11-22T14:53:53Z 502 "nxdomain""#;
    for (setting, line, reason) in [
        ("pattern:<time> <status> \"<proxy_status>\"", &line[..], Reason::ConnectionRefused),
        (
            r#"regex:^(?<time>\S+) (?<status>\d+) "(?<proxy_status>.*)"$"#,
            &line[..],
            Reason::ConnectionRefused,
        ),
        ("pattern:<time> <status> \"<x_crawlera_error>\"", &other[..], Reason::DnsError),
    ] {
        let format = compile(setting).unwrap();
        assert_eq!(format.extra_labels(), [""; 0]);
        match format.parse(line, &mut context()) {
            Ok(Parsed::Record(record)) => {
                assert_eq!(record.outcome, Outcome::GatewayError(Cause::proxy(reason)), "{setting}");
            }
            other => panic!("{setting}: {other:?}"),
        }
    }
}
