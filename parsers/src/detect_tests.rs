use super::*;
use crate::time::Zone;

macro_rules! corpus {
    ($file:literal) => {
        ($file, include_bytes!(concat!("../../tests/corpus/", $file)).as_slice())
    };
}

/// Which format the file has; empty: none.
const FILES: &[((&str, &[u8]), &str)] = &[
    (corpus!("nginx-haproxy/haproxy.iso.log"), "haproxy"),
    (corpus!("nginx-haproxy/haproxy.local.log"), "haproxy"),
    (corpus!("nginx-haproxy/haproxy.raw.log"), "haproxy"),
    (corpus!("nginx-haproxy/haproxy.rfc3164.log"), "haproxy"),
    (corpus!("nginx-haproxy/haproxy.rfc5424.log"), "haproxy"),
    (corpus!("nginx-haproxy/haproxy.short.log"), "haproxy"),
    (corpus!("nginx-haproxy/haproxy.timed.log"), "haproxy"),
    (corpus!("lab/haproxy.log"), "haproxy"),
    (corpus!("lab/haproxy-events.log"), "haproxy"),
    (corpus!("nginx-haproxy/nginx-json.log"), "json"),
    (corpus!("lab/nginx-json.log"), "json"),
    (corpus!("lab/envoy-json.log"), "json"),
    (corpus!("lab/envoy-default.log"), "envoy"),
    (corpus!("nginx-haproxy/nginx-error.log"), "nginx-error"),
    (corpus!("nginx-haproxy/nginx-error.syslog"), "nginx-error"),
    (corpus!("lab/nginx-error.log"), "nginx-error"),
    (corpus!("lab/apache-error.log"), "apache-error"),
];

/// A few lines of each format that says itself what it is, and the name that it is found by.
const SAMPLES: &[(&str, &str)] = &[
    (
        r#"http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"
ws 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 10.0.0.140:40914 10.0.1.192:8010 0.001 0.003 0.000 101 101 218 587 "GET http://10.0.0.30:80/ HTTP/1.1" "-" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337364-23a8c76965a2ef7629b185e3" "-" "-" 1 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.1.192:8010" "101" "-" "-""#,
        "alb",
    ),
    (
        r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -
2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001069 0.000028 0.000041 - - 82 305 "- - - " "-" - -"#,
        "elb",
    ),
    (
        "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0%20(X11)\t-\t-\tHit\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\td111111abcdef8.cloudfront.net\thttps\t23\t0.001\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\ttext/html\t78\t-\t-",
        "cloudfront",
    ),
    (
        "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status\n2014-05-23\t01:13:11\tFRA2\t182\t192.0.2.10\tGET\td111111abcdef8.cloudfront.net\t/view/my/file.html\t200\n2014-05-23\t01:13:12\tLAX1\t2390282\t192.0.2.202\tGET\td111111abcdef8.cloudfront.net\t/soundtrack/happy.mp3\t304",
        "w3c:date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status",
    ),
    (
        "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-08-31 00:00:04\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n2026-08-30 23:59:27 172.18.102.130 POST /webservice/v2/NaregService.svc - 443 - 159.144.156.69 - - 200 0 0 606",
        "w3c:date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken",
    ),
    (
        "time:28/Feb/2013:12:00:00 +0900\thost:192.168.0.1\treq:GET /list HTTP/1.1\tstatus:200\tsize:5316\tua:x\treqtime:9.789\nhost:127.0.0.1\tident:-\tuser:frank\ttime:[10/Oct/2000:13:55:36 -0700]\treq:GET /apache_pb.gif HTTP/1.0\tstatus:200\tsize:2326",
        "ltsv",
    ),
    (
        r#"2010-10-06T21:51:37-07:00 heroku[router]: at=error code=H12 desc="Request timeout" method=GET path="/" host=myapp.herokuapp.com fwd=17.17.17.17 dyno=web.1 connect=6ms service=30001ms status=503 bytes=0
2018-01-01T00:00:00.00+00:00 heroku[router]: at=info method=POST path="/record?start=123&end=321" host=cli-analytics.heroku.com request_id=0fb9c505-5d65-4e63-8fee-fa18da33ee47 fwd="50.233.199.252" dyno=web.1 connect=1ms service=14ms status=201 bytes=255 protocol=https"#,
        "logfmt",
    ),
    (
        "1504018402.123 PROXY.3128 00000 user 10.0.0.1:54321 93.184.216.34:80 123 456 0 GET_http://example.com/_HTTP/1.1\n1504018402.523 SOCK5.1080 00013 - 10.0.0.1:54321 93.184.216.34:443 0 0 0 CONNECT_example.com:443",
        "3proxy",
    ),
    (
        r#"CONNECT   May 26 22:51:52 [4414]: Connect (file descriptor 6): 192.168.162.73
CONNECT   May 26 22:51:52 [4414]: Request (file descriptor 6): CONNECT fonts.gstatic.com:443 HTTP/1.1
INFO      May 26 22:51:52 [4414]: No upstream proxy for fonts.gstatic.com
CONNECT   May 26 22:51:52 [4414]: Established connection to host "fonts.gstatic.com" using file descriptor 7.
ERROR     May 26 22:51:53 [4415]: opensock: Could not establish a connection to ipv6.msftconnecttest.com"#,
        "tinyproxy",
    ),
    (
        r#"[22/Nov/2026:14:53:53 +0000] - 502 502 - GET https app.example "/x" [Client 1.2.3.4] [Length 552] [Gzip -] [Sent-to 10.0.0.9] "Mozilla/5.0" "-""#,
        "nginx:npm",
    ),
    (
        r#"[22/Nov/2026:14:53:53 +0000] 404 - GET http localhost "/" [Client 1.2.3.4] [Length 552] [Gzip 2.53] "Mozilla/5.0" "-""#,
        "nginx:npm_standard",
    ),
    (
        "[22/Nov/2026:14:53:53 +0000] [Client 1.2.3.4:5555] TCP 200 62 77 0.001 [Sent-to 10.0.0.1:22] [Sent 77] [Received 62] [Time 0.000] - -",
        "nginx:npm_stream",
    ),
    ("127.0.0.1 [22/Nov/2026:14:54:05 +0000] TCP 200 62 77 0.001", "nginx:stream"),
];

/// Envoy's outlier detection in a file of its own.
const EJECTIONS: &str = r#"{"type":"CONSECUTIVE_5XX","cluster_name":"a","upstream_url":"10.0.0.1:80","action":"EJECT","num_ejections":1,"enforced":true,"eject_consecutive_event":{},"timestamp":"2026-11-22T15:18:15.430Z","secs_since_last_action":"12"}
{"cluster_name":"a","upstream_url":"10.0.0.1:80","action":"UNEJECT","num_ejections":1,"timestamp":"2026-11-22T15:19:15.430Z"}"#;

#[test]
fn ejections_alone_are_a_log() {
    let found = found(EJECTIONS.as_bytes());
    assert_eq!(found.best().map(|best| best.format.name()), Some("json"), "{:?}", found.note);
}

const NGINX_FILES: &[((&str, &[u8]), &str)] = &[
    (corpus!("nginx-haproxy/nginx-access.syslog"), "nginx:combined_upstream"),
    (corpus!("nginx-haproxy/nginx-combined.log"), "nginx:combined"),
    (corpus!("nginx-haproxy/nginx-escape-none.log"), "nginx:combined"),
    (corpus!("nginx-haproxy/nginx-ingress.log"), "nginx:upstreaminfo"),
    (corpus!("nginx-haproxy/nginx-upstream.log"), "nginx:combined_upstream"),
    (corpus!("nginx-haproxy/nginx-stream.log"), "nginx:stream_proxy"),
    (corpus!("lab/nginx-combined.log"), "nginx:combined"),
    (corpus!("lab/nginx-main_ext.log"), "nginx:main_ext"),
    (corpus!("lab/nginx-timed.log"), "nginx:timed"),
];

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

fn lines(file: &[u8]) -> Vec<&[u8]> {
    file.split(|b| *b == b'\n').collect()
}

fn found(text: &[u8]) -> Detection {
    detect(&lines(text), &context())
}

fn check(files: &[((&str, &[u8]), &str)]) {
    for ((name, text), kind) in files {
        let found = found(text);
        let best = found.best().map_or("", |best| best.format.name());
        assert_eq!(best, *kind, "{name}: {:?} {:?}", found.parts, found.note);
        if kind.is_empty() {
            let note = found.note.unwrap_or_default();
            assert!(note.contains("not an access log"), "{name}: {note}");
        } else {
            assert!(found.ambiguous.is_empty(), "{name}: {:?}", found.ambiguous);
            assert!(found.candidates[0].share > 0.9, "{name}: {}", found.candidates[0].share);
            assert_eq!(found.note, None, "{name}");
        }
    }
}

#[test]
fn every_file_of_the_corpus() {
    check(FILES);
}

#[test]
fn every_nginx_file_of_the_corpus() {
    check(NGINX_FILES);
}

#[test]
fn every_format_that_needs_no_setting() {
    for (text, name) in SAMPLES {
        let found = found(text.as_bytes());
        let best = found.best().map_or("", |best| best.format.name());
        assert_eq!(best, *name, "{text}: {:?} {:?}", found.parts, found.note);
        assert!(found.ambiguous.is_empty(), "{name}: {:?}", found.ambiguous);
        assert_eq!(crate::formats::compile(name).unwrap().name(), *name);
    }
}

#[test]
fn mixed_files_are_said_to_be_mixed() {
    // A syslog server's file with nginx and HAProxy in it.
    let (_, text) = corpus!("lab/syslog-raw.log");
    let found = found(text);
    let titles: Vec<_> = found.parts.iter().map(|part| part.title.as_str()).collect();
    assert_eq!(titles, ["haproxy", "nginx:main_ext"], "{:?}", found.parts);
    assert!((found.parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 0.01);

    let json = lines(FILES[10].0.1);
    let combined = lines(NGINX_FILES[1].0.1);
    let mixed: Vec<&[u8]> = combined.into_iter().take(30).chain(json.into_iter().take(13)).collect();
    let found = detect(&mixed, &context());
    let titles: Vec<_> = found.parts.iter().map(|part| part.title.as_str()).collect();
    assert_eq!(titles, ["nginx:combined", "json"], "{:?}", found.parts);
    assert!((found.parts[0].share - 30.0 / 43.0).abs() < 0.01);
    assert!(found.best().is_some_and(|best| best.share < 0.75));
}

#[test]
fn what_is_no_log() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "compressed with zstd"),
        (b"\xfd7zXZ\x00\x00", "compressed with xz"),
        (b"BZh91AY&SY", "compressed with bzip2"),
        (b"\xff\xfe1\x002\x007\x00.\x00", "UTF-16"),
        (b"1\x002\x007\x00.\x000\x00.\x00", "UTF-16"),
        (b"\x00\x00\x00\x00\x00", "nothing but NUL"),
        (b"\x7fELF\x02\x01\x01\x00\x03\x00\x3e\x00\x01", "binary"),
        (b"hello\nworld\n", "no known format"),
        (
            b"{\"time\":1,\"what\":{\"code\":2}}\n",
            "JSON without a name that is known for the status; it has time, what.code",
        ),
        (b"{\"when\":1,\"status\":200}\n", "JSON without a name that is known for the time; it has when"),
        (b"[{\"time\":1,\"status\":200},{\"time\":1}]\n", "one array: jq -c '.[]'"),
        (b"\xef\xbb\xbf[\n  {\n \"time\":1,\n", "one array: jq -c '.[]'"),
        (b"{\n  \"time\": 1,\n \"status\": 200\n}\n", "over several lines: jq -c ."),
        (b"{\"when\":1,\"what\":{\"code\":2}}\n", "it has when, what.code. Map them"),
        (b"Nov 22 15:18:07 vm sshd[12]: Accepted publickey for root\n", "syslog of sshd, not an access log"),
    ];
    for (text, note) in cases {
        let found = found(text);
        assert!(found.best().is_none());
        let said = found.note.unwrap_or_default();
        assert!(said.contains(note), "{}: {said}", String::from_utf8_lossy(text));
    }
}

/// nginx's combined line is Apache's: then the path decides, and of lines that differ it decides nothing.
#[test]
fn where_lines_are_the_same_the_path_tells_whose_they_are() {
    let combined = b"203.0.113.7 - - [22/Nov/2026:14:00:00 +0000] \"GET / HTTP/1.1\" 503 5 \"-\" \"UA\"\n";
    let vhost = [b"shop.example:443 ", &combined[..]].concat();
    let proxied =
        b"203.0.113.7 - - [22/Nov/2026:14:00:00 +0000] \"GET http://a/ HTTP/1.1\" 503 5 \"-\" \"UA\"\n";
    let marked = b"203.0.113.7 - - [22/Nov/2026:14:00:00 +0000] \"GET / HTTP/1.1\" 304 - \"-\" \"UA\"\n";
    let (_, upstream) = corpus!("nginx-haproxy/nginx-upstream.log");
    let (_, haproxy) = corpus!("nginx-haproxy/haproxy.raw.log");
    let table: [(&str, &[u8], &str); 11] = [
        ("", combined, "nginx:combined"),
        ("/srv/access.log", combined, "nginx:combined"),
        ("/var/log/nginx/access.log", combined, "nginx:combined"),
        ("/var/log/apache2/access.log", combined, "apache:combined"),
        ("/var/log/httpd/access_log", combined, "apache:combined"),
        ("/var/log/apache2/other_vhosts_access.log", &vhost, "apache:vhost_combined"),
        ("/var/log/varnish/varnishncsa.log", proxied, "varnish"),
        ("/var/log/varnish/varnishncsa.log", combined, "nginx:combined"),
        ("/var/log/nginx/access.log", marked, "apache:combined"),
        ("/var/log/apache2/access.log", upstream, "nginx:combined_upstream"),
        ("/var/log/apache2/access.log", haproxy, "haproxy"),
    ];
    for (path, text, name) in table {
        let found = detect_at(path, &lines(text), &context());
        assert_eq!(found.best().map(|best| best.format.name()), Some(name), "{path}");
        assert!(found.ambiguous.is_empty(), "{path} {name}: {:?}", found.ambiguous);
    }
}

/// What a writer without O_APPEND leaves amid a line, of a file that was truncated under it.
#[test]
fn a_hole_amid_lines_hides_none() {
    let line = b"203.0.113.7 - - [22/Nov/2026:14:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"UA\"\n";
    let text = [&line.repeat(3)[..], b"x", &vec![0; 60_000], b"\n", line].concat();
    assert!(found(&text).best().is_some_and(|best| best.share >= 0.8));
}

#[test]
fn a_zone_matters_where_stamps_have_none() {
    let zoneless = b"{\"time\":\"2026-11-22 14:53:53\",\"status\":502}\n";
    assert!(found(zoneless).best().is_some_and(|best| best.needs_zone));
    let with_zone = b"{\"time\":\"2026-11-22T14:53:53Z\",\"status\":502}\n";
    assert!(found(with_zone).best().is_some_and(|best| !best.needs_zone));
}

#[test]
fn every_kind_has_a_summary_and_an_example_that_compiles() {
    for kind in FORMATS {
        assert!(kind.summary.len() > 20 && !kind.summary.ends_with('.'), "{}", kind.name);
        let format = crate::formats::compile(kind.example).unwrap();
        assert!(kind.example.starts_with(kind.name), "{}", kind.name);
        assert_eq!(format.name(), kind.example);
        for built_in in (kind.built_in)() {
            let again = crate::formats::compile(built_in.name()).unwrap();
            assert_eq!(again.name(), built_in.name());
            assert_eq!(again.title(), built_in.title());
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_samples_never_panic(sample: Vec<Vec<u8>>) {
        let sample: Vec<&[u8]> = sample.iter().map(Vec::as_slice).collect();
        let _ = detect(&sample, &context());
    }
}
