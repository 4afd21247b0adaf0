use super::*;
use crate::reason::Reason;
use crate::time::Zone;

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_575_493_351_000)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn w3c(setting: &str) -> Box<dyn Format> {
    crate::formats::compile(setting).unwrap()
}

const fn proxy(reason: Reason) -> Outcome {
    Outcome::GatewayError(Cause::proxy(reason))
}

const UNKNOWN: Outcome = Outcome::GatewayError(Cause::UNKNOWN);

/// AWS's own example, and the same with other results.
const CLOUDFRONT: &str = "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t{status}\t-\tMozilla/5.0%20(Windows%20NT%2010.0;%20Win64;%20x64)\t-\t-\t{result}\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\twww.example.com\thttps\t23\t0.201\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\t{result}\tHTTP/2.0\t-\t-\t11040\t0.001\t{detailed}\ttext/html\t78\t-\t-";

fn cloudfront(status: &str, result: &str, detailed: &str) -> String {
    CLOUDFRONT.replace("{status}", status).replace("{result}", result).replace("{detailed}", detailed)
}

const RESULTS: &[(&str, &str, &str, Outcome)] = &[
    ("200", "Hit", "Hit", Outcome::Fine),
    ("502", "Error", "OriginConnectError", proxy(Reason::ConnectionFailed)),
    ("502", "Error", "OriginDnsError", proxy(Reason::DnsError)),
    ("502", "Error", "OriginReadError", proxy(Reason::InvalidResponse)),
    ("502", "Error", "OriginWriteError", proxy(Reason::InvalidResponse)),
    ("502", "Error", "OriginHeaderTooBigError", proxy(Reason::HttpResponseHeaderSectionSize)),
    ("502", "Error", "OriginInvalidResponseError", proxy(Reason::HttpProtocolError)),
    ("502", "Error", "OriginZeroSizeObjectError", proxy(Reason::InvalidResponse)),
    ("504", "Error", "OriginCommError", proxy(Reason::HttpResponseTimeout)),
    ("502", "Error", "OriginError", UNKNOWN),
    ("502", "Error", "Error", UNKNOWN),
    ("502", "Error", "LambdaValidationError", proxy(Reason::ProxyConfigurationError)),
    ("503", "Error", "OriginConnectError", proxy(Reason::ConnectionFailed)),
    ("503", "Error", "OriginError", Outcome::Fine),
    ("503", "CapacityExceeded", "CapacityExceeded", Outcome::Fine),
    ("503", "Error", "FunctionExecutionError", Outcome::Fine),
    ("404", "Error", "Error", Outcome::Fine),
    ("000", "Error", "ClientCommError", Outcome::Abandoned),
    ("200", "Miss", "OriginReadError", Outcome::Aborted),
];

#[test]
fn cloudfront_says_why() {
    let format = w3c("cloudfront");
    for (status, result, detailed, outcome) in RESULTS {
        let line = cloudfront(status, result, detailed);
        let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context()) else {
            panic!("{line}")
        };
        assert_eq!(record.outcome, *outcome, "{line}");
        assert_eq!(record.status.code(), status.parse().ok());
        assert_eq!((record.end, record.request_time), (1_575_493_351_000, Some(201)));
        let fields = [record.method, record.path, record.site, record.node].map(text);
        assert_eq!(fields, ["GET", "/index.html", "www.example.com", "LAX1"]);
    }
}

#[test]
fn older_cloudfront_has_fewer_columns_and_a_new_one_more() {
    let header = b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields";
    let line = "2019-06-03\t08:53:51\tBOS50-C1\t708\t159.65.224.212\tGET\td2bau79chpbdbg.cloudfront.net\t/index.xml\t502\t-\tNewsBlur%2520Feed\t-\t-\tError\tOpEFs4f8-BiSQBK9fWLCyc8ueiLtORLV9l-4TY_DpngcR7JWDmeUkg==\tfale.io\thttps\t591\t0.014\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tOriginDnsError\tHTTP/1.1\t-\t-";
    let (format, mut context) = (w3c("w3c"), context());
    let before = format.parse(line.as_bytes(), &mut context).unwrap_err();
    assert_eq!(before.field, "#Fields");
    assert!(matches!(format.parse(b"#Version: 1.0", &mut context), Ok(Parsed::Other)));
    assert!(matches!(format.parse(header, &mut context), Ok(Parsed::Other)));
    for line in [line.to_owned(), format!("{line}\tnew\tcolumns")] {
        let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context) else {
            panic!("{line}")
        };
        assert_eq!((record.end, record.outcome), (1_559_552_031_000, proxy(Reason::DnsError)));
    }
}

const IIS: &str = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken";

#[test]
fn iis_says_why() {
    let cases = [
        ("200 0 0", Some(200), Outcome::Fine),
        ("502 3 12002", Some(502), proxy(Reason::HttpResponseTimeout)),
        ("502 3 2147954402", Some(502), proxy(Reason::HttpResponseTimeout)),
        ("502 3 12029", Some(502), proxy(Reason::ConnectionFailed)),
        ("502 3 12030", Some(502), proxy(Reason::ConnectionTerminated)),
        ("502 3 12152", Some(502), proxy(Reason::HttpProtocolError)),
        ("502 3 12007", Some(502), proxy(Reason::DnsError)),
        ("502 3 0", Some(502), proxy(Reason::Unknown)),
        ("502 4 0", Some(502), proxy(Reason::DestinationUnavailable)),
        ("502 0 0", Some(502), UNKNOWN),
        ("503 0 64", Some(503), Outcome::Fine),
    ];
    let format = w3c(&format!("w3c:{IIS}"));
    for (status, code, outcome) in cases {
        let line = format!(
            "2026-05-31 20:00:01 127.0.0.1 GET /open/api.asp source_id=01&book_id=0 80 - 127.0.0.1 Mozilla/5.0+(X11) - {status} 395 151 34"
        );
        let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context()) else {
            panic!("{line}")
        };
        assert_eq!((record.status.code(), record.outcome), (code, outcome), "{line}");
        assert_eq!((record.end, record.request_time), (1_780_257_601_000, Some(34)));
        assert_eq!([record.method, record.path].map(text), ["GET", "/open/api.asp"]);
    }
}

#[test]
fn a_header_amid_a_file_counts_from_there_on() {
    let (format, mut context) = (w3c(&format!("w3c:{IIS}")), context());
    let short = "2026-05-31 20:00:01 GET / 504 0 0 34";
    assert_eq!(format.parse(short.as_bytes(), &mut context).unwrap_err().field, "#Fields");
    let header =
        b"#Fields: date time cs-method cs-uri-stem sc-status sc-substatus sc-win32-status time-taken";
    format.parse(header, &mut context).unwrap();
    let Ok(Parsed::Record(record)) = format.parse(short.as_bytes(), &mut context) else { panic!() };
    assert_eq!(record.status, Status::new(504));
    // A reading that goes on later knows them still.
    let name = format.name_in(&context);
    assert_eq!(name, "w3c:date time cs-method cs-uri-stem sc-status sc-substatus sc-win32-status time-taken");
    assert!(w3c("w3c").is_learned_as(&name));
    let again = w3c(&name);
    assert!(matches!(again.parse(short.as_bytes(), &mut self::context()), Ok(Parsed::Record(_))));
    // One that says nothing we need leaves nothing that could be misread.
    format.parse(b"#Fields: date time x-a x-b x-c x-d x-e x-f", &mut context).unwrap();
    assert!(format.parse(short.as_bytes(), &mut context).is_err());
}

#[test]
fn the_head_says_what_the_columns_are() {
    let header = format!("#Fields: {IIS}");
    let head: Vec<&[u8]> =
        vec![b"#Software: Microsoft Internet Information Services 10.0", header.as_bytes()];
    let own = w3c("w3c").for_head(&head).unwrap();
    assert_eq!(own.name(), format!("w3c:{IIS}"));
    assert_eq!(own.title(), "IIS (W3C extended)");
    assert!(own.for_head(&head).is_none());
    assert!(w3c("w3c").for_head(&[]).is_none());
    let header = format!("#Fields: {}", cloudfront::FIELDS);
    for name in ["w3c", "cloudfront"] {
        assert_eq!(w3c(name).for_head(&[header.as_bytes()]).unwrap().name(), "cloudfront");
        assert!(w3c(name).is_learned_as("cloudfront"));
    }
}

#[test]
fn anyones_columns_quotes_and_real_time_logs() {
    let squidlike = w3c(
        "w3c:date time time-taken c-ip cs-host cs-method cs-uri sc-status cs(User-Agent) s-supplier-name",
    );
    let line = br#"2026-05-31 20:00:01 1.250 1.2.3.4 a.example:80 GET http://a.example/x 504 "Mozilla 5 502" p1.example"#;
    let Ok(Parsed::Record(record)) = squidlike.parse(line, &mut context()) else { panic!() };
    assert_eq!(
        (record.status, record.outcome, record.request_time),
        (Status::new(504), UNKNOWN, Some(1_250))
    );
    assert_eq!(
        [record.site, record.attempts.last().unwrap().upstream].map(text),
        ["a.example", "p1.example"]
    );
    let real_time = w3c(
        "w3c:timestamp c-ip time-to-first-byte sc-status x-edge-location origin-fqdn x-edge-detailed-result-type",
    );
    let line = b"1575493351.123\t1.2.3.4\t0.1\t502\tLAX1\to.example\tOriginConnectError";
    let Ok(Parsed::Record(record)) = real_time.parse(line, &mut context()) else { panic!() };
    assert_eq!((record.end, record.outcome), (1_575_493_351_123, proxy(Reason::ConnectionFailed)));
    assert_eq!(record.attempts.last().unwrap().upstream, b"o.example");
}

#[test]
fn columns_that_do_not_do_say_so() {
    for (setting, message) in [
        ("w3c:date sc-status", "no columns are date and time"),
        ("w3c:date time c-ip", "no column is sc-status"),
        ("w3c:", "date, time and sc-status"),
        ("cloudfront:x", "takes no setting"),
    ] {
        let error = crate::formats::compile(setting).unwrap_err();
        assert!(error.message.contains(message), "{setting}: {error}");
    }
}

#[test]
fn what_is_no_such_line_says_where() {
    let format = w3c("w3c:date time cs-method sc-status");
    for (line, field, at) in [
        ("2026-05-31 20:00:01 GET", "#Fields", 23),
        ("2026-05-31 20:00:01 GET 200 x", "#Fields", 29),
        ("2026-05-31 20:00 GET 200", "time", 11),
        ("2026-05-31 20:00:01 GET 20", "sc-status", 24),
        ("2026-05-31 20:00:01 GET 20x", "sc-status", 24),
    ] {
        let error = format.parse(line.as_bytes(), &mut context()).unwrap_err();
        assert_eq!((error.field, error.at), (field, at), "{line}: {error:?}");
    }
}

#[test]
fn no_prefix_has_another_status() {
    let format = w3c("cloudfront");
    for (status, result, detailed, _) in RESULTS {
        let line = cloudfront(status, result, detailed);
        for end in 0..line.len() {
            if let Ok(Parsed::Record(cut)) = format.parse(&line.as_bytes()[..end], &mut context()) {
                assert_eq!(cut.status.code(), status.parse().ok(), "{}", &line[..end]);
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(lines: Vec<Vec<u8>>) {
        for name in ["w3c", "cloudfront"] {
            let (format, mut context) = (w3c(name), context());
            for line in &lines {
                let _ = format.parse(line, &mut context);
                let _ = format.parse(&[b"#Fields: date ", line.as_slice()].concat(), &mut context);
                let _ = format.explain(line, &mut context);
            }
        }
    }
}
