use super::*;
use crate::formats::compile;
use crate::{Zone, detect};
use proptest::prelude::*;

macro_rules! corpus {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/", $file))
    };
}

const LAB: &[u8] = corpus!("lab/nginx-error.log");
const WILD: &[u8] = corpus!("nginx-haproxy/nginx-error.log");
const SYSLOG: &[u8] = corpus!("nginx-haproxy/nginx-error.syslog");
const APACHE_LAB: &[u8] = corpus!("lab/apache-error.log");

/// 22 November 2026, 00:00 UTC.
const DAY: Millis = 1_795_305_600_000;

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

fn context() -> Context {
    Context::new(Zone::Fixed(0), DAY)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A line in few words: `connection_refused failed @10.0.0.1:80 #pool site`, `Down …`, `other`, `malformed FIELD`.
fn told(format: &str, line: &[u8]) -> String {
    let format = compile(format).unwrap();
    let named = |sign: &str, value: &[u8]| {
        if value.is_empty() { String::new() } else { format!(" {sign}{}", text(value)) }
    };
    match format.parse(line, &mut context()) {
        Ok(Parsed::Diagnosis(d)) => {
            assert_eq!(d.cause, Cause::proxy(d.cause.reason));
            let effect = if d.effect == Effect::Aborted { "aborted" } else { "failed" };
            let named = named("@", d.upstream) + &named("#", d.pool) + &named("", d.site);
            format!("{} {effect}{named}", d.cause.reason.name())
        }
        Ok(Parsed::Event(e)) => {
            format!("{:?}{}{}", e.happened, named("@", e.upstream), named("#", e.pool))
        }
        Ok(Parsed::Record(_)) => "record".to_owned(),
        Ok(Parsed::Other) => "other".to_owned(),
        Err(malformed) => format!("malformed {}", malformed.field),
    }
}

/// What nginx's lines say, by what the URI says that the upstream does.
fn expected(scenario: &str) -> &'static [&'static str] {
    match scenario {
        "refuse" | "v6" | "unix" | "retry" | "u_nounix" | "u_refused" | "u_two_refused" | "u_refused_ok"
        | "u_unix_v6_v4" | "fb_502" | "fb_static" | "v6client" => &["connection_refused failed"],
        "reset" | "partial" | "u_rst" | "u_rst_ok" | "u_close" | "u_halfhdr" => {
            &["connection_terminated failed"]
        }
        "timeout" | "u_hang" | "u_hang_ok" | "post_hang_ok" => &["connection_read_timeout failed"],
        "garbage" | "u_garbage" | "u_badhdr" | "u_badhdr2" | "u_badstatus" => &["http_protocol_error failed"],
        "bighdr" | "u_bighdr" => &["http_response_header_section_size failed"],
        "short" | "u_partial" | "u_dupcl" => &["http_response_incomplete aborted"],
        "u_slowbody" => &["connection_read_timeout aborted"],
        "tls" | "tls_mismatch" | "u_blackhole" => &["connection_timeout failed"],
        "tls_verify" => &["tls_certificate_error failed"],
        "dns" | "dns_nx" | "dns_servfail" | "fb_down" => &["dns_error failed"],
        "dns_silent" => &["dns_timeout failed"],
        "u_nolive2" | "u_nolive3" => &["destination_unavailable failed #u_nolive"],
        "nolive" | "u_nolive" => &["connection_refused failed", "connection_terminated failed", "Paused"],
        "u_blackhole_refused" => &["connection_timeout failed", "connection_refused failed"],
        "fb_504" => &["connection_read_timeout failed", "connection_refused failed"],
        _ => &["other"],
    }
}

/// `request: "GET /refuse/0?sc=x` → `x`, else `refuse`.
fn scenario(line: &str) -> &str {
    let Some((_, request)) = line.split_once("request: \"") else { return "" };
    let target = request.split(' ').nth(1).unwrap_or("");
    match target.split_once("sc=") {
        Some((_, scenario)) => scenario.split(['"', '&']).next().unwrap_or(""),
        None => target.trim_start_matches('/').split('/').next().unwrap_or(""),
    }
}

#[test]
fn every_line_of_nginx_says_what_its_upstream_did() {
    let mut failures = 0;
    for line in lines(LAB).chain(lines(WILD)).chain(lines(SYSLOG)) {
        let line = text(line);
        let told = told("nginx-error", line.as_bytes());
        if line.contains("bytes from/to client:0/0") {
            let at = line.split_once("upstream: \"").unwrap().1.split('"').next().unwrap();
            let reason = if line.contains("timed out") { "connection_timeout" } else { "connection_refused" };
            assert_eq!(told, format!("{reason} failed @{at}"), "{line}");
            continue;
        }
        let scenario = scenario(&line);
        let is_client = line.contains("client prematurely closed") || line.contains("[info]");
        let expected: &[&str] = if is_client { &["other"] } else { expected(scenario) };
        assert!(expected.iter().any(|e| told.starts_with(e)), "{scenario}: {told}\n{line}");
        // The address as it stands in the line, and the host.
        if let Some((_, url)) = line.split_once("upstream: \"http").filter(|_| told != "other") {
            let url = url.trim_start_matches('s').trim_start_matches("://");
            let address = if url.starts_with("unix:") {
                url.rsplit_once(":/").unwrap().0
            } else {
                url.split('/').next().unwrap()
            };
            assert!(
                told.contains(&format!("{}{address}", if told.contains('#') { '#' } else { '@' })),
                "{told}\n{line}"
            );
        }
        if told.contains(" failed") || told.contains(" aborted") {
            failures += 1;
            assert!(told.ends_with(" lab.example") || told.ends_with(" gw.example"), "{told}");
        }
    }
    // All that nginx calls an error there but the six lines of sessions.
    let is_error = |line: &&[u8]| text(line).contains(" [error] ") || text(line).contains(" [crit] ");
    let errors = lines(LAB).chain(lines(WILD)).chain(lines(SYSLOG)).filter(is_error).count();
    assert_eq!((failures, errors), (125, 131));
}

#[test]
fn every_failure_of_apache_is_counted_once() {
    let mut told: Vec<String> = lines(APACHE_LAB).map(|line| told("apache-error", line)).collect();
    told.retain(|told| told != "other");
    let round = |terminated: &str| {
        [
            "connection_refused failed @127.0.0.1:24002",
            terminated,
            "connection_read_timeout failed @127.0.0.1:24004",
            "http_protocol_error failed @127.0.0.1:24005",
            "connection_terminated failed",
            "http_response_header_section_size failed",
            "http_response_incomplete aborted",
        ]
        .map(str::to_owned)
    };
    assert_eq!(told.len(), 21);
    for round_told in told.chunks(7) {
        assert_eq!(round_told, round("connection_terminated failed @127.0.0.1:24003"));
    }
}

const MESSAGES: &[(&str, &str)] = &[
    (
        "connect() failed (110: Connection timed out) while connecting to upstream",
        "connection_timeout failed",
    ),
    ("connect() failed (110: Operation timed out) while connecting to upstream", "connection_timeout failed"),
    ("connect() failed (113: No route to host) while connecting to upstream", "connection_failed failed"),
    ("connect() failed (113: Host is unreachable) while connecting to upstream", "connection_failed failed"),
    (
        "connect() failed (101: Network is unreachable) while connecting to upstream",
        "connection_failed failed",
    ),
    (
        "connect() to 10.0.0.1:80 failed (13: Permission denied) while connecting to upstream",
        "connection_failed failed",
    ),
    (
        "connect() to unix:/x failed (11: Resource temporarily unavailable) while connecting to upstream",
        "connection_failed failed",
    ),
    (
        "connect() to 10.0.0.1:80 failed (99: Cannot assign requested address) while connecting to upstream",
        "connection_limit_reached failed",
    ),
    (
        "kevent() reported that connect() failed (61: Connection refused) while connecting to upstream",
        "connection_refused failed",
    ),
    (
        "upstream timed out (110: Operation timed out) while reading response header from upstream",
        "connection_read_timeout failed",
    ),
    (
        "upstream timed out (110: Connection timed out) while sending request to upstream",
        "connection_read_timeout failed",
    ),
    (
        "upstream timed out (110: Connection timed out) while proxying upgraded connection",
        "connection_read_timeout aborted",
    ),
    (
        "upstream prematurely closed FastCGI stdout while reading response header from upstream",
        "connection_terminated failed",
    ),
    ("upstream prematurely closed FastCGI stdout while reading upstream", "http_response_incomplete aborted"),
    (
        "upstream prematurely closed stream while reading response header from upstream",
        "connection_terminated failed",
    ),
    ("writev() failed (32: Broken pipe) while sending request to upstream", "connection_terminated failed"),
    (
        "recv() failed (110: Connection timed out) while reading response header from upstream",
        "connection_read_timeout failed",
    ),
    (
        "readv() failed (104: Connection reset by peer) while reading upstream",
        "http_response_incomplete aborted",
    ),
    ("recv() failed (104: Connection reset by peer) while proxying upgraded connection", "other"),
    ("recv() failed (104: Connection reset by peer) while sending to client", "other"),
    (
        "SSL_read() failed (SSL: error:0A000126:SSL routines::unexpected eof while reading) while reading response header from upstream",
        "invalid_response failed",
    ),
    (
        "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number) while SSL handshaking to upstream",
        "tls_protocol_error failed",
    ),
    (
        "SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed) while SSL handshaking to upstream",
        "tls_certificate_error failed",
    ),
    (
        "SSL_do_handshake() failed (SSL: error:0A00006C:SSL routines::bad key share) while SSL handshaking",
        "other",
    ),
    (
        "peer closed connection in SSL handshake (104: Connection reset by peer) while SSL handshaking to upstream",
        "tls_protocol_error failed",
    ),
    (
        "upstream SSL certificate does not match \"x\" while SSL handshaking to upstream",
        "tls_certificate_error failed",
    ),
    (
        "upstream sent duplicate header line: \"Content-Length: 1\", previous value: \"Content-Length: 2\" while reading response header from upstream",
        "http_protocol_error failed",
    ),
    (
        "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time while reading response header from upstream",
        "http_protocol_error failed",
    ),
    (
        "upstream sent unexpected FastCGI record: 3 while reading response header from upstream",
        "http_protocol_error failed",
    ),
    (
        "upstream sent invalid status \"x\" while reading response header from upstream",
        "http_protocol_error failed",
    ),
    (
        "upstream sent too big header while reading response header from upstream",
        "http_response_header_section_size failed",
    ),
    ("upstream prematurely sent response while sending request to upstream", "http_protocol_error failed"),
    ("upstream sent invalid chunked response while reading upstream", "http_protocol_error aborted"),
    (
        "upstream rejected request with error 2 while reading response header from upstream",
        "connection_terminated failed",
    ),
    (
        "upstream sent goaway with error 1 while reading response header from upstream",
        "connection_terminated failed",
    ),
    (
        "upstream sent unexpected http2 frame: 9 while reading response header from upstream",
        "http_protocol_error failed",
    ),
    ("no resolver defined to resolve x", "dns_error failed"),
    (
        "x could not be resolved (110: Operation timed out) while processing HTTP/2 connection",
        "dns_timeout failed",
    ),
    (
        "ocsp.example could not be resolved (2: Server failure) while requesting certificate status, responder: ocsp.example",
        "other",
    ),
    (
        "FastCGI sent in stderr: \"Primary script unknown\" while reading response header from upstream",
        "other",
    ),
    ("no port in upstream \"x\"", "other"),
    ("[lua] balancer.lua:348: no endpoints", "other"),
    ("open() \"/srv/x\" failed (2: No such file or directory)", "other"),
];

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn the_rest_of_the_grammar() {
    let head = "2026/11/22 14:53:53 [error] 7#7: *9 ";
    let tail = r#", client: 1.2.3.4, server: _, request: "GET / HTTP/1.1", upstream: "http://10.0.0.1:80/", host: "h.example:8443""#;
    for (message, expected) in MESSAGES {
        let told = told("nginx-error", format!("{head}{message}{tail}").as_bytes());
        assert!(told.starts_with(expected), "{message}: {told}");
        assert!(told == "other" || told.ends_with(" @10.0.0.1:80 h.example"), "{told}");
    }
}

#[test]
fn upstreams_are_named_as_the_access_log_names_them() {
    let cases = [
        ("http://10.0.0.1:80/uri", "10.0.0.1:80"),
        ("https://[2001:db8::1]:443/?x", "[2001:db8::1]:443"),
        ("http://unix:/p.sock:/uri", "unix:/p.sock"),
        ("fastcgi://unix:/run/php/php-fpm.sock:", "unix:/run/php/php-fpm.sock"),
        ("fastcgi://127.0.0.1:9000", "127.0.0.1:9000"),
        ("grpc://backend", "backend"),
        ("uwsgi://10.0.0.1:3031", "10.0.0.1:3031"),
        ("127.0.0.1:5432", "127.0.0.1:5432"),
        ("unix:/p.sock", "unix:/p.sock"),
        ("", ""),
    ];
    for (url, expected) in cases {
        let whole = url == "unix:/p.sock" || !url.is_empty();
        assert_eq!(text(place::upstream(url.as_bytes(), whole)), expected, "{url}");
    }
    for cut in ["http://10.0.0.1:80", "http://unix:/p.so", "http:/"] {
        assert!(place::upstream(cut.as_bytes(), false).len() <= 5, "{cut}");
    }
    let workers = [
        ("127.0.0.1:80", "backend:80", "backend:80"),
        ("127.0.0.1:80", "backend", "127.0.0.1:80"),
        ("127.0.0.1:80", "*", "127.0.0.1:80"),
        ("[::1]:80", "::1", "[::1]:80"),
        ("[::1]:80", "[::1]:80", "[::1]:80"),
    ];
    for (address, name, expected) in workers {
        assert_eq!(text(place::worker(address.as_bytes(), name.as_bytes())), expected);
    }
}

#[test]
fn what_a_client_writes_names_no_upstream() {
    let line = r#"2026/11/22 14:53:53 [error] 7#7: *9 no live upstreams while connecting to upstream, client: 1.2.3.4, server: s.example, request: "GET /", host: "evil" HTTP/1.1", upstream: "http://pool/", host: "good", referrer: "x", upstream: "http://evil/", host: "evil""#;
    let told_of = told("nginx-error", line.as_bytes());
    // A blank in a request is refused before an upstream is asked: the request's own end is not told from its text.
    assert!(told_of.starts_with("destination_unavailable failed"), "{told_of}");
    let line = line.replace(r#"", host: "evil" HTTP"#, " HTTP");
    assert_eq!(told("nginx-error", line.as_bytes()), "destination_unavailable failed #pool good");
}

#[test]
fn a_line_cut_by_nginx_itself_is_counted_and_half_a_line_is_not() {
    let head = r#"2026/11/22 14:53:53 [error] 7#7: *9 connect() failed (111: Connection refused) while connecting to upstream, client: 1.2.3.4, server: s.example, request: "GET /"#;
    let cut = format!("{head}{}", "a".repeat(LINE_BYTES - head.len()));
    assert_eq!(told("nginx-error", cut.as_bytes()), "connection_refused failed s.example");
    assert_eq!(told("nginx-error", &cut.as_bytes()[..1000]), "malformed upstream");
    let raw =
        head.replace("GET /", "GET /\u{1}\u{ff}") + r#" HTTP/1.1", upstream: "http://1.2.3.4:5/", host: "h""#;
    assert_eq!(told("nginx-error", raw.as_bytes()), "connection_refused failed @1.2.3.4:5 h");
}

const LINE_BYTES: usize = 2047;

const LINES: &[(&str, &str, &str)] = &[
    ("nginx-error", "", "other"),
    ("nginx-error", "PHP message: PHP Warning:  x in /y on line 3", "other"),
    ("nginx-error", "#0 /var/www/index.php(12): f()", "other"),
    (
        "nginx-error",
        "1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] \"GET / HTTP/1.1\" 502 0 \"-\" \"-\"",
        "malformed date",
    ),
    ("nginx-error", "2026/11/22 14:53:53 [er", "malformed level"),
    ("nginx-error", "2026/11/22 14:53:53 [error] 7#7", "malformed process"),
    (
        "nginx-error",
        "2026/11/22 14:53:53 [warn] 7#7: peer is unhealthy while connecting to upstream, health check \"\" of peer 10.0.0.1:80 in upstream \"app\"",
        "Down @10.0.0.1:80 #app",
    ),
    ("nginx-error", "2026/11/22 14:53:53 [error] 7#7: enable check peer: 10.0.0.1:80 ", "Up @10.0.0.1:80"),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05 2019] [error] (111)Connection refused: proxy: HTTP: attempt to connect to 127.0.0.1:8080 (*) failed",
        "connection_refused failed @127.0.0.1:8080",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05 2019] [error] ap_proxy_connect_backend disabling worker for (backend)",
        "Paused @backend",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy:error] [pid 17007] AH00959: ap_proxy_connect_backend disabling worker for (54.37.225.201:7777) for 60s",
        "Paused @54.37.225.201:7777",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy:error] [pid 17007] (111)Connection refused: AH00957: HTTP: attempt to connect to 54.37.225.201:7777 (*) failed",
        "connection_refused failed @54.37.225.201:7777",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy:error] [pid 1] AH00940: HTTP: disabled connection for (backend:80)",
        "destination_unavailable failed @backend:80",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy:error] [pid 1:tid 2] (2)No such file or directory: AH02454: FCGI: attempt to connect to Unix domain socket /run/php.sock (*) failed",
        "connection_refused failed @/run/php.sock",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy_fcgi:error] [pid 1] (70007)The timeout specified has expired: [client 1.2.3.4:5] AH01075: Error dispatching request to : (polling)",
        "connection_read_timeout failed",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy:error] [pid 1] (32)Broken pipe: [client 1.2.3.4:5] AH01084: pass request body failed to 10.0.0.1:80 (b)",
        "connection_terminated failed @10.0.0.1:80",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy_http:error] [pid 1] [client 1.2.3.4:5] AH01097: pass request body failed to 10.0.0.1:80 (b) from 1.2.3.4 ()",
        "other",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy:error] [pid 1] [client 1.2.3.4:5] AH00898: DNS lookup failure for: b.example returned by /x, referer: http://evil/",
        "dns_error failed @b.example",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy_balancer:error] [pid 1] [client 1.2.3.4:5] AH01167: balancer://app: All workers are in error state",
        "destination_unavailable failed #balancer://app",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy_hcheck:info] [pid 1] AH03303: Health check DISABLING http://10.0.0.1:80",
        "Down @10.0.0.1:80",
    ),
    (
        "apache-error",
        "[Wed Jul 03 15:07:05.092133 2019] [proxy:error] [pid 1] (111)Connection refused: AH00957: HTTP: attempt to connect to 54.37",
        "malformed upstream",
    ),
    (
        "apache-error",
        "Nov 22 15:18:28 edge httpd[12]: [proxy:error] [pid 12] (111)Connection refused: AH00957: http: attempt to connect to 10.0.0.1:80 (*) failed",
        "connection_refused failed @10.0.0.1:80",
    ),
    ("apache-error", "[x] [y]", "malformed level"),
    (
        "apache-error",
        "AH00558: apache2: Could not reliably determine the server's fully qualified domain name",
        "other",
    ),
];

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn lines_of_other_kinds() {
    for (format, line, expected) in LINES {
        assert_eq!(told(format, line.as_bytes()), *expected, "{line}");
    }
}

#[test]
fn stamps_are_in_the_zone_of_the_setting_or_of_the_header() {
    let nginx = r#"2026/11/22 14:53:53 [error] 7#7: *9 no live upstreams while connecting to upstream, client: 1.2.3.4, server: s, request: "GET / HTTP/1.1", upstream: "http://pool/", host: "h""#;
    let apache = "[Sun Nov 22 14:53:53.250000 2026] [proxy:error] [pid 1] (111)Connection refused: AH00957: HTTP: attempt to connect to 1.2.3.4:5 (*) failed";
    let second = DAY + (14 * 3600 + 53 * 60 + 53) * 1000;
    let hour = 3_600_000;
    let framed = format!("<187>1 2026-11-22T15:53:54+01:00 edge nginx 7 - - {nginx}");
    let cases = [
        ("nginx-error", nginx, 0, second),
        ("nginx-error", nginx, 2, second - 2 * hour),
        ("nginx-error", &framed, 5, second - hour),
        ("apache-error", apache, -3, second + 3 * hour + 250),
    ];
    for (format, line, zone, expected) in cases {
        let format = compile(format).unwrap();
        let mut context = Context::new(Zone::Fixed(zone * 3_600_000), DAY);
        let Ok(Parsed::Diagnosis(d)) = format.parse(line.as_bytes(), &mut context) else { panic!("{line}") };
        assert_eq!(d.at, expected, "{line}");
    }
    assert_eq!(zoned(b"2026-11-22T14:53:53.000", -12_600_000), *b"2026-11-22T14:53:53.000-03:30");
}

#[test]
fn error_logs_are_detected_quiet_ones_too() {
    for (file, expected) in
        [(LAB, "nginx-error"), (WILD, "nginx-error"), (SYSLOG, "nginx-error"), (APACHE_LAB, "apache-error")]
    {
        let all: Vec<&[u8]> = lines(file).collect();
        let quiet: Vec<&[u8]> = all.iter().copied().filter(|line| told(expected, line) == "other").collect();
        for sample in [all, quiet] {
            let found = detect::detect(&sample, &context());
            assert_eq!(found.best().map(|best| best.format.name()).unwrap_or(expected), expected);
            assert!(sample.is_empty() || found.best().is_some_and(|best| best.needs_zone));
            assert!(found.ambiguous.is_empty());
        }
    }
}

#[test]
fn every_field_is_shown() {
    let format = compile("nginx-error").unwrap();
    let line = lines(SYSLOG).next().unwrap();
    let fields = format.explain(line, &mut context());
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    let expected = "syslog date,syslog host,syslog program,date,level,process,connection,message,errno,action,client,server,request,upstream,host";
    assert_eq!(names.join(","), expected);
    assert!(fields.iter().all(|field| line[field.at..].starts_with(field.value)));
}

fn reason(told: &str) -> String {
    told.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn no_beginning_of_a_line_says_something_else() {
    for (format, file) in [("nginx-error", LAB), ("nginx-error", WILD), ("apache-error", APACHE_LAB)] {
        for line in lines(file).filter(|line| line.len() < 1000) {
            let whole = told(format, line);
            for end in 0..line.len() {
                let half = told(format, &line[..end]);
                let is_right =
                    half == "other" || half.starts_with("malformed") || reason(&half) == reason(&whole);
                assert!(is_right, "{half} of {whole}: {}", text(&line[..end]));
            }
        }
    }
}

proptest! {
    #[test]
    fn no_line_is_too_strange(
        format in prop::sample::select(vec!["nginx-error", "apache-error"]),
        at in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
            prop::sample::select(&b" ,:\"()[]/*#"[..]),
            any::<u8>(),
        ]), 0..6),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let file = if format == "nginx-error" { WILD } else { APACHE_LAB };
        let lines: Vec<&[u8]> = lines(file).collect();
        let mut line = lines[at.index(lines.len())].to_vec();
        for (at, byte) in damage {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line.truncate(cut.index(line.len() + 1));
        let compiled = compile(format).unwrap();
        for line in [&line, &noise] {
            told(format, line);
            for field in compiled.explain(line, &mut context()) {
                prop_assert!(line[field.at..].starts_with(field.value));
            }
            compiled.is_own(line, &mut context());
        }
    }
}
