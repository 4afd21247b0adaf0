use super::*;
use crate::reason::{Cause, Origin, Reason};
use crate::record::Outcome;
use crate::time::Zone;

fn context() -> Context {
    Context::new(Zone::Fixed(3_600_000), 1_504_018_402_000)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const fn proxy(reason: Reason) -> Outcome {
    Outcome::GatewayError(Cause::proxy(reason))
}

/// Line; outcome; method path site upstream.
type Case = (&'static str, Outcome, [&'static str; 4]);

const LINES: &[Case] = &[
    (
        "1504018402.123 PROXY.3128 00000 user 10.0.0.1:54321 93.184.216.34:80 123 456 0 GET_http://user@example.com:8080/a_b_HTTP/1.1",
        Outcome::Fine,
        ["GET", "/a_b", "example.com", "93.184.216.34:80"],
    ),
    (
        "1504018402.123 PROXY.3128 00013 - 10.0.0.1:54321 93.184.216.34:443 0 0 0 CONNECT_example.com:443_HTTP/1.1",
        proxy(Reason::ConnectionFailed),
        ["CONNECT", "example.com:443", "example.com", "93.184.216.34:443"],
    ),
    (
        "1504018402.123 PROXY.3128 00100 - 10.0.0.1:54321 0.0.0.0:0 0 0 0 CONNECT no.such:443 HTTP/1.1",
        proxy(Reason::DnsError),
        ["CONNECT", "no.such:443", "no.such", ""],
    ),
    (
        "1504018402.123 SOCK5.1080 00092 u 2001:db8::1:54321 93.184.216.34:443 517 0 0 CONNECT_example.com:443",
        proxy(Reason::ConnectionReadTimeout),
        ["CONNECT", "example.com:443", "example.com", "93.184.216.34:443"],
    ),
    // A tunnel that was quiet at last is no failure.
    (
        "1504018402.123 SOCK5.1080 00092 u 10.0.0.1:54321 93.184.216.34:443 517 4000 0 CONNECT_example.com:443",
        Outcome::Fine,
        ["CONNECT", "example.com:443", "example.com", "93.184.216.34:443"],
    ),
    (
        "1504018402.123 PROXY.3128 00033 - 10.0.0.1:5 10.9.9.9:3128 200 0 1 CONNECT_example.com:443_HTTP/1.1",
        Outcome::GatewayError(Cause { origin: Origin::Upstream, reason: Reason::UpstreamResponse }),
        ["CONNECT", "example.com:443", "example.com", "10.9.9.9:3128"],
    ),
    (
        "1504018402.123 PROXY.3128 00004 - 10.0.0.1:5 0.0.0.0:0 0 0 0 GET_http://a/_HTTP/1.1",
        Outcome::Fine,
        ["GET", "/", "a", ""],
    ),
    ("1504018402.123 TCPPM.7 00000 - 10.0.0.1:5 [::]:0 0 0 0 -", Outcome::Fine, ["", "", "", ""]),
];

fn format(setting: &str) -> Box<dyn Format> {
    crate::formats::compile(setting).unwrap()
}

#[test]
fn lines_of_the_sample_format() {
    let format = format("3proxy");
    for (line, outcome, fields) in LINES {
        let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context()) else {
            panic!("{line}: {:?}", format.parse(line.as_bytes(), &mut context()))
        };
        assert_eq!((record.end, record.status), (1_504_018_402_123, Status::NONE), "{line}");
        assert_eq!(record.outcome, *outcome, "{line}");
        let upstream = record.attempts.last().map_or(&b""[..], |a| a.upstream);
        assert_eq!([record.method, record.path, record.site, upstream].map(text), *fields, "{line}");
    }
    let other =
        b"1504018402.123 PROXY.3128 00000 - 0.0.0.0:3128 0.0.0.0:0 0 0 0 Accepting_connections_[1234/5678]";
    assert!(matches!(format.parse(other, &mut context()), Ok(Parsed::Other)));
}

#[test]
fn any_logformat() {
    let cases = [
        (
            "3proxy:L%d-%m-%Y %H:%M:%S %z %N.%p %E %U %C:%c %R:%r %O %I %h %T",
            "29-08-2017 16:53:22 +0200 PROXY.3128 00013 - 10.0.0.1:5 10.9.9.9:80 0 0 0 GET http://a/ HTTP/1.1",
            1_504_018_402_000,
            "",
        ),
        (
            r#"3proxy:-""+_G%y%m%d%H%M%S.%. %E %D %n %e %R:%r %T"#,
            "170829145322.005 00100 1250 a.example 198.51.100.7 0.0.0.0:0 CONNECT a.example:443",
            1_504_018_402_005,
            "198.51.100.7",
        ),
        (
            r#"3proxy:L[%o %d %Y %H:%M:%S] "%E" %R:%r "%T""#,
            r#"[Aug 29 2017 15:53:22] "00013" 10.9.9.9:80 "GET http://a/ HTTP/1.1""#,
            1_504_018_402_000,
            "",
        ),
    ];
    for (setting, line, end, exit) in cases {
        let format = format(setting);
        assert_eq!(format.name(), setting);
        let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context()) else {
            panic!("{line}: {:?}", format.parse(line.as_bytes(), &mut context()))
        };
        assert_eq!(record.end, end, "{line}");
        assert!(record.outcome.gateway_error().is_some());
        assert_eq!(text(record.extra.get(0)), exit);
        assert_eq!(format.extra_labels(), if exit.is_empty() { &[][..] } else { &["exit_ip"][..] });
    }
}

#[test]
fn a_logformat_that_is_wrong_says_so() {
    for (setting, message) in [
        ("3proxy:%t %E", "begins with L"),
        ("3proxy:L%t %T", "%E"),
        ("3proxy:L%E %T", "no time"),
        ("3proxy:L%t %E%U%T", "cannot be seen"),
        ("3proxy:L%t %E %", "without a letter"),
    ] {
        let error = crate::formats::compile(setting).unwrap_err();
        assert!(error.message.contains(message), "{setting}: {error}");
    }
}

#[test]
fn what_is_no_such_line_says_where() {
    let format = format("3proxy");
    for (line, field, at) in [
        ("hello world", "%t", 0),
        ("1504018402.123 PROXY.3128 0x013 - 10.0.0.1:5 10.9.9.9:80 0 0 0 x", "%E", 26),
        ("x.123 PROXY.3128 00013 - 10.0.0.1:5 10.9.9.9:80 0 0 0 x", "%t", 0),
    ] {
        let error = format.parse(line.as_bytes(), &mut context()).unwrap_err();
        assert_eq!((error.field, error.at), (field, at), "{line}: {error:?}");
    }
}

#[test]
fn no_prefix_is_another_failure() {
    let format = format("3proxy");
    for (line, outcome, _) in LINES {
        for end in 0..line.len() {
            if let Ok(Parsed::Record(cut)) = format.parse(&line.as_bytes()[..end], &mut context()) {
                assert_eq!((cut.status, cut.outcome), (Status::NONE, *outcome), "{}", &line[..end]);
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(line: Vec<u8>, setting in "3proxy:[-LG ]{0,3}(%[A-Za-z.][ :\\[]?){0,9}") {
        let _ = format("3proxy").parse(&line, &mut context());
        let _ = format("3proxy").explain(&line, &mut context());
        if let Ok(format) = crate::formats::compile(&setting) {
            let _ = format.parse(&line, &mut context());
        }
    }
}
