use super::*;
use crate::reason::{Cause, Reason};
use crate::record::Outcome;
use crate::time::Zone;

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_530_570_180_000)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const UNKNOWN: Outcome = Outcome::GatewayError(Cause::proxy(Reason::Unknown));

/// Line; end, request_time; status; outcome; method path site node region pool upstream.
type Case = (&'static str, (i64, Option<u32>), Option<u16>, Outcome, [&'static str; 7]);

const ALB_LINES: &[Case] = &[
    (
        r#"http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90"#,
        (1_530_570_180_186, Some(1)),
        Some(200),
        Outcome::Fine,
        [
            "GET",
            "/",
            "www.example.com",
            "app/my-loadbalancer/50dc6c495c0c9188",
            "us-east-2",
            "my-targets",
            "10.0.0.1:80",
        ],
    ),
    (
        r#"https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 504 504 0 57 "GET https://www.example.com:443/a b?c=%%32%65 HTTP/1.1" "x \"200 200\" y" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" 1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80 10.0.0.2:80" "200 504" "-" "-" TID_1 "-" "-" "-" "later" new"#,
        (1_530_570_180_186, Some(171)),
        Some(504),
        Outcome::GatewayError(Cause::upstream()),
        [
            "GET",
            "/a b?c=%%32%65",
            "www.example.com",
            "app/my-loadbalancer/50dc6c495c0c9188",
            "us-east-2",
            "my-targets",
            "10.0.0.1:80",
        ],
    ),
    // HTTP/2 and no scheme that is worth more; IPv6
    (
        r#"h2 2018-07-02T22:23:00.186641Z app/lb/50dc 2001:db8::1:2817 [2001:db8::2]:9000 0.000 0.066 0.000 502 - 34 366 "GET https://10.0.2.105:773/ HTTP/2.0" "curl\" ECDHE TLSv1.2 arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/7 "Root=1""#,
        (1_530_570_180_186, Some(66)),
        Some(502),
        Outcome::GatewayError(Cause::proxy(Reason::InvalidResponse)),
        ["GET", "/", "10.0.2.105", "app/lb/50dc", "eu-west-1", "t", "[2001:db8::2]:9000"],
    ),
    // The time is that of the answer; without its parts, the creation time says how long it took.
    (
        r#"http 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 10.0.0.1:80 -1 -1 -1 504 - 34 366 "GET http://a:80/ HTTP/1.1" "-" - - arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/7 "Root=1" "-" "-" 0 2018-07-02T22:22:50.186641Z "forward" "-" "-" "10.0.0.1:80" "-" "-" "-""#,
        (1_530_570_180_186, Some(10_000)),
        Some(504),
        UNKNOWN,
        ["GET", "/", "a", "app/lb/50dc", "us-east-2", "t", "10.0.0.1:80"],
    ),
    (
        r#"http 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 10.0.0.1:80 0.000 -1 -1 504 - 34 366 "GET http://a:80/ HTTP/1.1" "-" - - arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/7 "Root=1" "-" "-" 0 2018-07-02T22:22:00.186641Z "forward" "-" "-" "10.0.0.1:80" "-" "-" "-""#,
        (1_530_570_180_186, Some(60_000)),
        Some(504),
        Outcome::GatewayError(Cause::proxy(Reason::HttpResponseTimeout)),
        ["GET", "/", "a", "app/lb/50dc", "us-east-2", "t", "10.0.0.1:80"],
    ),
    (
        r#"http 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 - -1 -1 -1 503 - 34 366 "GET http://a:80/ HTTP/1.1" "-" - - arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/7 "Root=1" "-" "-" 0 2018-07-02T22:23:00.185000Z "forward" "-" "-" "-" "-" "-" "-""#,
        (1_530_570_180_186, Some(1)),
        Some(503),
        Outcome::GatewayError(Cause::proxy(Reason::DestinationUnavailable)),
        ["GET", "/", "a", "app/lb/50dc", "us-east-2", "t", ""],
    ),
    // An upstream's own 503, and a configured one, are none.
    (
        r#"http 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 10.0.0.1:80 0.000 0.001 0.000 503 503 34 366 "GET http://a:80/ HTTP/1.1" "-" - - arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/7 "Root=1""#,
        (1_530_570_180_186, Some(1)),
        Some(503),
        Outcome::Fine,
        ["GET", "/", "a", "app/lb/50dc", "us-east-2", "t", "10.0.0.1:80"],
    ),
    (
        r#"https 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 - -1 -1 -1 503 - 34 366 "GET https://a:443/ HTTP/1.1" "-" C T - "Root=1" "sni.example" "arn:aws:acm:eu-central-1:1:certificate/1" 0 2018-07-02T22:23:00.186641Z "waf,fixed-response" "-" "-" "-" "-" "-" "-""#,
        (1_530_570_180_186, Some(0)),
        Some(503),
        Outcome::Fine,
        ["GET", "/", "a", "app/lb/50dc", "eu-central-1", "", ""],
    ),
    (
        r#"http 2018-11-30T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 - 0.000 0.001 0.000 502 - 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337364-23a8c76965a2ef7629b185e3" "-" "-" 0 2018-11-30T22:22:48.364000Z "forward" "-" "LambdaInvalidResponse" "-" "-" "-" "-""#,
        (1_543_616_580_186, Some(1)),
        Some(502),
        Outcome::GatewayError(Cause::proxy(Reason::InvalidResponse)),
        [
            "GET",
            "/",
            "www.example.com",
            "app/my-loadbalancer/50dc6c495c0c9188",
            "us-east-2",
            "my-targets",
            "",
        ],
    ),
    // What was no HTTP; a client that left; a protocol error of HTTP/2.
    (
        r#"http 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 - -1 -1 -1 400 - 0 272 "- http://lb.example:80- -" "-" - - - "-" "-" "-" - 2018-07-02T22:23:00.186641Z "-" "-" "-" "-" "-" "-" "-""#,
        (1_530_570_180_186, Some(0)),
        Some(400),
        Outcome::Fine,
        ["", "", "lb.example", "app/lb/50dc", "", "", ""],
    ),
    (
        r#"https 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 10.0.0.1:80 0.001 -1 -1 460 - 0 0 "GET https://a:443/ HTTP/1.1" "-" C T arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/7 "Root=1" "-" "-" 0 2018-07-02T22:22:59.186641Z "forward" "-" "-" "10.0.0.1:80" "-" "-" "-""#,
        (1_530_570_180_186, Some(1_000)),
        Some(460),
        Outcome::Abandoned,
        ["GET", "/", "a", "app/lb/50dc", "us-east-2", "t", "10.0.0.1:80"],
    ),
    (
        r#"h2 2018-07-02T22:23:00.186641Z app/lb/50dc 1.2.3.4:1 - -1 -1 -1 000 - 0 0 "- https://a:443- -" "-" C T - "-" "-" "-" - 2018-07-02T22:23:00.186641Z "-" "-" "-" "-" "-" "-" "-""#,
        (1_530_570_180_186, Some(0)),
        Some(0),
        Outcome::Fine,
        ["", "", "a", "app/lb/50dc", "", "", ""],
    ),
];

const ELB_LINES: &[Case] = &[
    (
        r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -"#,
        (1_431_560_383_946, Some(1)),
        Some(200),
        Outcome::Fine,
        ["GET", "/", "www.example.com", "my-loadbalancer", "", "", "10.0.0.1:80"],
    ),
    // The stamp is the request's.
    (
        r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 1.501048 0.000057 502 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -"#,
        (1_431_560_385_446, Some(1_501)),
        Some(502),
        Outcome::GatewayError(Cause::proxy(Reason::InvalidResponse)),
        ["GET", "/", "www.example.com", "my-loadbalancer", "", "", "10.0.0.1:80"],
    ),
    (
        r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 - -1 -1 -1 503 0 0 0 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -"#,
        (1_431_560_383_945, None),
        Some(503),
        Outcome::GatewayError(Cause::proxy(Reason::DestinationUnavailable)),
        ["GET", "/", "www.example.com", "my-loadbalancer", "", "", ""],
    ),
    (
        r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 -1 -1 -1 504 0 0 0 "GET http://www.example.com:80/ HTTP/1.1" "-" - -"#,
        (1_431_560_383_945, None),
        Some(504),
        UNKNOWN,
        ["GET", "/", "www.example.com", "my-loadbalancer", "", "", "10.0.0.1:80"],
    ),
    // TCP, with 502 bytes
    (
        r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001065 0.000015 0.000023 - - 57 502 "- - - " "-" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2"#,
        (1_431_560_383_946, Some(1)),
        None,
        Outcome::Fine,
        ["", "", "", "my-loadbalancer", "", "", "10.0.0.1:80"],
    ),
    // Before 2014, without user agent and TLS
    (
        r#"2013-05-13T23:39:43.945958Z lb 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 504 504 0 29 "GET http://a:80/x HTTP/1.1""#,
        (1_368_488_383_946, Some(1)),
        Some(504),
        Outcome::GatewayError(Cause::upstream()),
        ["GET", "/x", "a", "lb", "", "", "10.0.0.1:80"],
    ),
];

fn check(kind: Balancer, cases: &[Case]) {
    for (line, (end, request_time), status, outcome, fields) in cases {
        let Ok(Parsed::Record(record)) = kind.parse(line.as_bytes(), &mut context()) else {
            panic!("{line}: {:?}", kind.parse(line.as_bytes(), &mut context()))
        };
        assert_eq!(record.end, *end, "{line}");
        assert_eq!(record.request_time, *request_time, "{line}");
        assert_eq!(record.status.code(), *status, "{line}");
        assert_eq!(record.outcome, *outcome, "{line}");
        let last = record.attempts.last();
        let upstream = last.map_or(&b""[..], |a| a.upstream);
        let own =
            [record.method, record.path, record.site, record.node, record.region, record.pool, upstream];
        assert_eq!(own.map(text), *fields, "{line}");
        assert_eq!(last.and_then(|a| a.failure), record.outcome.gateway_error().filter(|_| last.is_some()));
    }
}

#[test]
fn lines_of_an_application_load_balancer() {
    check(Balancer::Alb, ALB_LINES);
}

#[test]
fn lines_of_a_classic_load_balancer() {
    check(Balancer::Elb, ELB_LINES);
}

#[test]
fn what_is_no_such_line_says_where() {
    let cases = [
        (Balancer::Alb, "hello world", "elb", 11),
        (Balancer::Alb, ELB_LINES[0].0, "ssl_protocol", 175),
        (Balancer::Elb, ALB_LINES[0].0, "client:port", 33),
        (
            Balancer::Alb,
            r#"http 2018-07-02T22:23:00Z a b:1 c:1 0.000 0.001 x 200 200 34 366 "G" "U" - - - "-""#,
            "response_processing_time",
            48,
        ),
        (
            Balancer::Alb,
            r#"http 2018-07-02T22:23:00Z a b:1 c:1 0.000 0.001 0.000 20 200 34 366 "G" "U" - - - "-""#,
            "elb_status_code",
            54,
        ),
        (
            Balancer::Alb,
            r#"http yesterday a b:1 c:1 0.000 0.001 0.000 200 200 34 366 "G" "U" - - - "-""#,
            "time",
            5,
        ),
        (
            Balancer::Alb,
            r#"http 2018-07-02T22:23:00Z a b:1 c:1 0.000 0.001 0.000 200 200 34 366 "G" "U - - - "-""#,
            "user_agent",
            73,
        ),
    ];
    for (kind, line, field, at) in cases {
        let error = kind.parse(line.as_bytes(), &mut context()).unwrap_err();
        assert_eq!((error.field, error.at), (field, at), "{line}: {error:?}");
    }
}

#[test]
fn the_input_says_what_counts() {
    let mut context = Context { gateway_statuses: Some(vec![200]), ..context() };
    for (line, _, status, ..) in ALB_LINES {
        let Ok(Parsed::Record(record)) = Balancer::Alb.parse(line.as_bytes(), &mut context) else { panic!() };
        assert_eq!(record.outcome.gateway_error().is_some(), *status == Some(200), "{line}");
    }
}

#[test]
fn no_prefix_has_another_status() {
    for (kind, cases) in [(Balancer::Alb, ALB_LINES), (Balancer::Elb, ELB_LINES)] {
        for (line, _, status, ..) in cases {
            for end in 0..line.len() {
                if let Ok(Parsed::Record(cut)) = kind.parse(&line.as_bytes()[..end], &mut context()) {
                    assert_eq!(cut.status.code(), *status, "{}", &line[..end]);
                }
            }
        }
    }
}

#[test]
fn fields_are_explained_by_their_names() {
    let fields = Balancer::Elb.explain(ELB_LINES[4].0.as_bytes(), &mut context());
    assert_eq!((fields[0].name.as_str(), fields[0].at), ("timestamp", 0));
    assert_eq!((fields[3].name.as_str(), fields[3].value), ("backend:port", &b"10.0.0.1:80"[..]));
    assert_eq!(Balancer::Alb.explain(ALB_LINES[1].0.as_bytes(), &mut context()).len(), FIELDS.len());
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(line: Vec<u8>) {
        for kind in [Balancer::Alb, Balancer::Elb] {
            let _ = kind.parse(&line, &mut context());
            let _ = kind.explain(&line, &mut context());
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(which in 0..ALB_LINES.len(), at: proptest::sample::Index, byte: u8) {
        let mut line = ALB_LINES[which].0.as_bytes().to_vec();
        let at = at.index(line.len());
        line[at] = byte;
        let _ = Balancer::Alb.parse(&line, &mut context());
    }
}
