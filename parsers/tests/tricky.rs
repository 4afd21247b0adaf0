//! What logs hold that parsers trip over, by number: what comes out of each, in one line.

#![allow(clippy::unwrap_used, reason = "a test outside the crate fails aloud")]

use std::fmt::Write as _;

use gatewatch_parsers::formats;
use gatewatch_parsers::{Context, Outcome, Parsed, Record, Status, Zone};

/// 22 November 2026, 14:53:53 UTC.
const NEAR: i64 = 1_795_359_233_000;

fn context() -> Context {
    Context::new(Zone::Fixed(0), NEAR)
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn code(status: Status) -> String {
    status.code().map_or("-".to_owned(), |code| format!("{code:03}"))
}

/// `status outcome method path site|attempts`, and the end where it is not `NEAR`'s minute.
fn shown(record: &Record<'_>) -> String {
    let outcome = match record.outcome {
        Outcome::Fine => "fine".to_owned(),
        Outcome::GatewayError(cause) => format!("{}:{}", cause.origin.name(), cause.reason.name()),
        Outcome::Aborted => "aborted".to_owned(),
        Outcome::Abandoned => "abandoned".to_owned(),
    };
    let mut shown = format!("{} {outcome}", code(record.status));
    let short = |bytes: &[u8]| if bytes.len() > 60 { format!("{} bytes", bytes.len()) } else { text(bytes) };
    for part in [record.method, record.path, record.site] {
        let _ = write!(shown, " {}", if part.is_empty() { "-".to_owned() } else { short(part) });
    }
    for attempt in &record.attempts {
        let name = if attempt.upstream.is_empty() { attempt.pool } else { attempt.upstream };
        let _ = write!(shown, " {}={}", text(name), code(attempt.status));
    }
    shown
}

fn outcome_of(setting: &str, line: &[u8]) -> String {
    let format = formats::compile(setting).unwrap();
    match format.parse(line, &mut context()) {
        Ok(Parsed::Record(record)) => shown(&record),
        Ok(Parsed::Other | Parsed::Event(_) | Parsed::Diagnosis(_)) => "other".to_owned(),
        Err(malformed) => format!("malformed {} at {}", malformed.field, malformed.at),
    }
}

/// Number, format, line, what comes out.
type Case = (u32, &'static str, &'static [u8], &'static str);

macro_rules! clf {
    ($rest:literal) => {
        concat!("1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] ", $rest).as_bytes()
    };
}

macro_rules! up {
    ($status:literal, $addr:literal, $upstream:literal, $connect:literal, $header:literal) => {
        concat!(
            r#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" "#,
            $status,
            r#" 6 "-" "-" rt=1.004 uct=""#,
            $connect,
            r#"" uht=""#,
            $header,
            r#"" urt="-" ua=""#,
            $addr,
            r#"" us=""#,
            $upstream,
            "\""
        )
        .as_bytes()
    };
}

macro_rules! ha {
    ($rest:literal) => {
        concat!("10.0.0.1:33317 [22/Nov/2026:14:53:53.243] fe ", $rest).as_bytes()
    };
}

const COMBINED: &str = "nginx:combined";
const UPSTREAM: &str = "nginx:combined_upstream";

const CASES: &[Case] = &[
    (1, COMBINED, clf!(r#""\x16\x03\x01\x02" 400 157 "-" "-""#), r"400 fine - \\x16\\x03\\x01\\x02 -"),
    (2, COMBINED, clf!(r#""" 400 0 "-" "-""#), "400 fine - - -"),
    (3, COMBINED, clf!(r#""-" 408 0 "-" "-""#), "408 fine - - -"),
    (4, COMBINED, clf!(r#""batman" 400 157 "-" "-""#), "400 fine - batman -"),
    (5, COMBINED, clf!(r#""GET /plain" 200 3 "-" "-""#), "200 fine GET /plain -"),
    (6, COMBINED, clf!(r#""geti / HTTP/1.1" 400 3 "-" "-""#), "400 fine geti / -"),
    (6, COMBINED, clf!(r#""PROPFIND / HTTP/1.1" 405 3 "-" "-""#), "405 fine PROPFIND / -"),
    (7, COMBINED, clf!(r#""GET /a b c HTTP/1.1" 200 3 "-" "-""#), "200 fine GET /a b c -"),
    (8, COMBINED, clf!(r#""GET /\x22 502 HTTP/1.1" 200 3 "-" "a\x22 502 \x22""#), r"200 fine GET /\\x22 502 -"),
    (9, "nginx:escape=json $remote_addr [$time_local] \"$request\" $status \"$http_user_agent\"", br#"1.2.3.4 [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 "a\" 502 \\""#, "200 fine GET / -"),
    (10, "nginx:escape=none $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"", clf!(r#""GET /"x" HTTP/1.1" 200 3 "-" "a "b" c""#), r#"200 fine GET /\"x\" -"#),
    (10, "nginx:escape=none $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"", clf!(r#""GET /" 502 3 "-" " HTTP/1.1" 200 3 "-" "x""#), "malformed $status at 81"),
    (11, COMBINED, clf!(r#""GET http://h.example/x HTTP/1.1" 200 3 "-" "-""#), "200 fine GET http://h.example/x -"),
    (11, COMBINED, clf!(r#""CONNECT h:443 HTTP/1.1" 405 3 "-" "-""#), "405 fine CONNECT h:443 -"),
    (11, COMBINED, clf!(r#""OPTIONS * HTTP/1.1" 204 3 "-" "-""#), "204 fine OPTIONS * -"),
    (11, COMBINED, clf!(r#""PRI * HTTP/2.0" 400 3 "-" "-""#), "400 fine PRI * -"),
    (13, COMBINED, clf!(r#""GET /a\x00b HTTP/1.1" 400 3 "-" "-""#), r"400 fine GET /a\\x00b -"),
    (14, "json", b"{\"time\":\"2026-11-22T14:53:53Z\",\"status\":\"502\",\"uri\":\"/\xff\xfe\"}", r"502 unknown:unknown - /\xff\xfe -"),
    (16, COMBINED, clf!("\"GET / HTTP/1.1\" 200 3 \"-\" \"-\"\r"), "200 fine GET / -"),
    (17, COMBINED, clf!(r#""GET /%0a1.2.3.4%20-%20- HTTP/1.1" 200 3 "-" "-""#), "200 fine GET /%0a1.2.3.4%20-%20- -"),
    (18, "json", br#"{"time":"2026-11-22T14:53:53Z","status":"200","ua":"x\",\"status\":\"502"}"#, "200 fine - - -"),
    (19, COMBINED, br#"1.2.3.4 - joe bloggs [x] \x22q\x22 [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, "200 fine GET / -"),
    (19, COMBINED, br#"1.2.3.4 - a@b.example [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, "200 fine GET / -"),
    (20, COMBINED, br#"1.2.3.4 - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, "200 fine GET / -"),
    (21, COMBINED, br#"unix: - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, "200 fine GET / -"),
    (22, COMBINED, br#"2001:db8::1 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, "200 fine GET / -"),
    (23, "nginx:\"$http_x_forwarded_for\" $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent", br#""10.0.0.2, 10.0.0.1, 127.0.0.1" 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3"#, "502 unknown:unknown GET / -"),
    (
        23,
        "nginx:combined_forwarded",
        br#"10.0.0.2, 10.0.0.1, 127.0.0.1 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#,
        "502 unknown:unknown GET / -",
    ),
    (23, COMBINED, br#"10.0.0.2, 10.0.0.1 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "malformed $remote_addr at 9"),
    (24, "nginx:vhost_combined", br#"shop.example:80 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "502 unknown:unknown GET / shop.example"),
    (24, "nginx:$http_host $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent", br#"localhost, localhost 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3"#, "200 fine GET / localhost, localhost"),
    (25, COMBINED, clf!(r#""GET / HTTP/1.1" 000 0 "-" "-""#), "000 fine GET / -"),
    (25, COMBINED, clf!(r#""GET / HTTP/1.1" 009 0 "-" "-""#), "009 proxy:http_protocol_error GET / -"),
    (25, COMBINED, clf!(r#""GET / HTTP/1.1" 444 0 "-" "-""#), "444 fine GET / -"),
    (25, COMBINED, clf!(r#""GET / HTTP/1.1" 499 0 "-" "-""#), "499 abandoned GET / -"),
    (25, COMBINED, clf!(r#""GET / HTTP/1.1" - 0 "-" "-""#), "- fine GET / -"),
    (25, "haproxy", ha!(r#"be/s1 0/0/-1/-1/2 -1 0 - - CC-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#), "- abandoned GET / - be/s1=-"),
    (26, UPSTREAM, up!("502", "a:1, b:2", "502, 502", "-, -", "-, -"), "502 proxy:connection_failed GET / - a:1=502 b:2=502"),
    (27, UPSTREAM, up!("200", "a:1, b:2", "502, 200", "-, 0.000", "-, 0.001"), "200 fine GET / - a:1=502 b:2=200"),
    (28, UPSTREAM, up!("200", "a:1 : b:2, c:3", "504 : 502, 200", "0.000 : -, 0.000", "- : -, 0.002"), "200 fine GET / - a:1=504 b:2=502 c:3=200"),
    (29, UPSTREAM, up!("200", "a:1, b:2 : a:1, c:3", "502, 502 : 502, 200", "-, - : -, 0.000", "-, - : -, 0.001"), "200 fine GET / - a:1=502 b:2=502 a:1=502 c:3=200"),
    (30, UPSTREAM, up!("502", "a:1 : ", "502 : ", "- : ", "- : "), "502 proxy:unknown GET / - a:1=502"),
    (31, UPSTREAM, up!("200", "a:1 : , b:2", "502 : , 200", "- : , 0.000", "- : , 0.001"), "200 fine GET / - a:1=502 b:2=200"),
    (32, "nginx:upstreaminfo", clf!(r#""GET / HTTP/1.1" 200 3 "-" "-" 100 0.100 [ns-app-80] [] 10.0.0.1:80, 10.0.0.2:80 -, 200 -, 0.100 502, 200 id"#), "200 fine GET / - 10.0.0.1:80=502 10.0.0.2:80=200"),
    (33, UPSTREAM, up!("200", "a:1, b:2", "-, 200", "-, 1.394", "-, 1.394"), "200 fine GET / - a:1=- b:2=200"),
    (34, UPSTREAM, up!("502", "u_nolive", "502", "-", "-"), "502 proxy:destination_unavailable GET / - u_nolive=502"),
    (35, UPSTREAM, up!("200", "unix:/run/x.sock, [::1]:80, 127.0.0.1:80", "502, 502, 200", "-, -, 0.000", "-, -, 0.001"), "200 fine GET / - unix:/run/x.sock=502 [::1]:80=502 127.0.0.1:80=200"),
    (36, UPSTREAM, up!("502", "-", "-", "-", "-"), "502 proxy:unknown GET / -"),
    (37, UPSTREAM, up!("504", "[2a02:cf40::::::::4e36]:500000000", "504", "0.000", "-"), "504 proxy:connection_read_timeout GET / - [2a02:cf40::::::::4e36]:500000000=504"),
    (38, "nginx:upstreaminfo", clf!(r#""GET / HTTP/1.1" 504 562 "-" "-" 1100 14.998 [pc-dev-example-web-service-80] [] 192.168.215.1:80, 192.168.215.1:80, 192.168.215.1:80 0, 0, 0 5.000, 5.000, 5.000 504, 504, 504 a7c98d98"#), "504 unknown:unknown GET / - 192.168.215.1:80=504 192.168.215.1:80=504 192.168.215.1:80=504"),
    (39, "nginx:$remote_addr [$time_local] \"$request\" $status proxy ($upstream_cache_status) : $upstream_addr $upstream_response_time $upstream_status", br#"1.2.3.4 [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 proxy (-) : 127.0.0.1:80, [::]:80 0.000, 0.001 502, 200 "#, "200 fine GET / - 127.0.0.1:80=502 [::]:80=200"),
    (40, "haproxy", ha!(r#"be/<NOSRV> -1/-1/-1/-1/0 503 217 - - SC-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#), "503 proxy:destination_unavailable GET / - =503"),
    (40, "haproxy", ha!(r#"be/s1 0/0/-1/-1/1002 503 217 - - sC-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#), "503 proxy:connection_timeout GET / - be/s1=503"),
    (41, "haproxy", ha!(r#"be/s1 0/0/0/1/+30 200 +243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#), "200 fine GET / - be/s1=200"),
    (41, "haproxy", ha!(r#"be/s2 0/0/1/1/3 200 243 - - ---- 1/1/0/0/+2 0/0 "GET / HTTP/1.1""#), "200 fine GET / - =- =- be/s2=200"),
    (42, "haproxy", ha!(r#"fe/<NOSRV> -1/-1/-1/-1/0 400 187 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>""#), "400 fine - - -"),
    (42, "haproxy", ha!(r#"fe/<STATS> 0/0/0/0/0 200 187 - - LR-- 1/1/0/0/0 0/0 "GET /stats HTTP/1.1""#), "200 fine GET /stats -"),
    (42, "haproxy", ha!(r#"fe/<NOSRV> -1/-1/-1/-1/0 400 187 - - CR-- 1/1/0/0/0 0/0 """#), "400 fine - - -"),
    (43, "haproxy", ha!(r#"be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 {} "GET / HTTP/1.1""#), "200 fine GET / - be/s1=200"),
    (43, "haproxy", ha!(r#"be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 {x|} {|||} "GET / HTTP/1.1""#), "200 fine GET / - be/s1=200"),
    (43, "haproxy", ha!(r#"be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 {a b #7D #22GET /fake#22} "GET / HTTP/1.1""#), "200 fine GET / - be/s1=200"),
    (44, "haproxy", br#"2001:db8::1:58430 [22/Nov/2026:14:53:53.243] fe be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#, "200 fine GET / - be/s1=200"),
    (44, "haproxy", br#"::ffff:10.0.0.1:5 [22/Nov/2026:14:53:53.243] fe be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#, "200 fine GET / - be/s1=200"),
    (44, "haproxy", br#"-:22222 [22/Nov/2026:14:53:53.243] fe be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#, "200 fine GET / - be/s1=200"),
    (44, "haproxy", br#"unix:2 [22/Nov/2026:14:53:53.243] fe be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#, "200 fine GET / - be/s1=200"),
    (45, COMBINED, br#"1.2.3.4 - - [] "GET / HTTP/1.1" 200 3 "-" "-""#, "malformed $remote_user at 10"),
    (45, "haproxy", br#"10.0.0.1:5 [] fe be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#, "malformed %tr at 11"),
    (46, "haproxy", ha!(r#"be/s1 app.domain.com 0/0/0/1/1 502 243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#), "502 upstream:upstream_response GET / - be/s1=502"),
    (47, "haproxy", b"<134>Nov 22 14:53:53 lb haproxy[1]: 10.0.0.1:5 [22/Nov/2026:14:53:53.243]  fe be/s1 0/0/0/1/63387    504 194 - - sH-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"", "504 proxy:connection_read_timeout GET / - be/s1=504"),
    (48, "haproxy", ha!(r#"be/s1 0/0/0/1/1 502 243 - - SH-- 1/1/0/0/0 0/0 "GET /a?b=cccccccc"#), "502 proxy:connection_terminated GET /a?b=cccccccc - be/s1=502"),
    (49, "haproxy", ha!(r#"be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" 0/0000000000000000/0/0/0 a.example/TLSv1.3/TLS_AES_256_GCM_SHA384"#), "200 fine GET / - be/s1=200"),
    (50, "haproxy", br#"10.0.0.1 - - [22/Nov/2026:14:53:53 +0000] "GET /\a HTTP/1.1" 502 243 "" "" 33317 243 "fe" "be" "s1" 0 0 0 1 1 SH-- 1 1 0 0 0 0 0 "" "" "#, r"502 proxy:connection_terminated GET /\\a - be/s1=502"),
    (51, COMBINED, br#"<134>Nov 22 14:53:53 web1 nginx: 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "502 unknown:unknown GET / -"),
    (51, COMBINED, br#"<6>Nov 22 14:53:53 nginx: 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "502 unknown:unknown GET / -"),
    (51, COMBINED, br#"<134>1 2026-11-22T14:53:53Z web1 nginx 12 - - 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "502 unknown:unknown GET / -"),
    (51, COMBINED, br#"2026-11-22T14:53:53.1+00:00 web1 nginx: 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "502 unknown:unknown GET / -"),
    (51, "haproxy", br#"2026/11/22 14:53:53 <local0,info> haproxy[1]: 10.0.0.1:5 [22/Nov/2026:14:53:53.243] fe be/s1 0/0/0/1/1 504 194 - - sH-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#, "504 proxy:connection_read_timeout GET / - be/s1=504"),
    (51, "json", br#"caddy  | {"time":"2026-11-22T14:53:53Z","status":502}"#, "502 unknown:unknown - - -"),
    (51, "json", br#"2026-11-22T14:53:53.123456789Z stdout F {"time":"2026-11-22T14:53:53Z","status":502}"#, "502 unknown:unknown - - -"),
    (52, COMBINED, br#"Feb  6 14:53:53 web1 nginx: 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "502 unknown:unknown GET / -"),
    (52, COMBINED, "f\u{e9}vr. 25 14:53:53 web1 nginx: 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] \"GET / HTTP/1.1\" 502 3 \"-\" \"-\"".as_bytes(), "502 unknown:unknown GET / -"),
    (55, COMBINED, br#"1.2.3.4 - - [22/Nov/2026:18:23:53 +0330] "GET / HTTP/1.1" 200 3 "-" "-""#, "200 fine GET / -"),
    (55, COMBINED, br#"1.2.3.4 - - [22/Nov/2026:05:23:53 -0930] "GET / HTTP/1.1" 200 3 "-" "-""#, "200 fine GET / -"),
    (55, COMBINED, br#"1.2.3.4 - - [22/Nov/2026:14:53:53 +9999] "GET / HTTP/1.1" 200 3 "-" "-""#, "malformed $time_local at 13"),
    (57, COMBINED, clf!(r#""GET / HTTP/1.1" 50"#), "malformed $status at 58"),
    (57, COMBINED, clf!(r#""GET / HTTP/1.1" 502 3 "-" "Mozil"#), "malformed $http_user_agent at 69"),
    (58, COMBINED, b"", "other"),
    (58, COMBINED, b"\0\0\0\0\0\0", "malformed $remote_addr at 6"),
    (59, COMBINED, clf!(r#""GET /1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#), "malformed $request at 88"),
    (60, "haproxy", b"Proxy fe started.", "other"),
    (60, "haproxy", b"Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.", "other"),
    (60, COMBINED, b"I1215 14:53:53.000000       7 main.go:1] starting", "malformed $remote_addr at 5"),
    (60, COMBINED, b"goroutine 1 [running]:", "malformed $remote_addr at 9"),
    (60, COMBINED, b"PHP message: PHP Warning:  x in /a.php on line 502", "malformed $remote_addr at 3"),
    (61, "cloudfront", b"#Version: 1.0", "other"),
    (61, "cloudfront", b"#Fields: date time x-edge-location", "other"),
    (62, "alb", br#"http 2026-11-22T14:53:53.186641Z app/lb/50dc 1.2.3.4:1 10.0.0.1:80 -1 -1 -1 504 - 34 366 "GET http://a:80/x y?%%32%65 HTTP/1.1" "-" - - arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/7 "Root=1" "-" "-" 0 2026-11-22T14:53:43.186641Z "forward" "-" "-" "10.0.0.1:80 10.0.0.2:80" "- -" "-" "-" TID_1 "new" 502"#, "504 proxy:unknown GET /x y?%%32%65 a 10.0.0.1:80=504"),
    (63, "elb", br#"2026-11-22T14:53:53.945958Z lb 192.168.131.39:2817 10.0.0.1:80 0.001065 0.000015 0.000023 - - 57 502 "- - - " "-" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2"#, "- fine - - - 10.0.0.1:80=-"),
    (65, "json", br#"{"BackendName":"b","BackendURL":{"Scheme":"http","Host":"10.0.0.9:80"},"DownstreamStatus":502,"Duration":2000000,"OriginStatus":0,"RequestHost":"a","RequestMethod":"GET","RequestPath":"/","StartUTC":"2026-11-22T14:53:53Z"}"#, "502 proxy:unknown GET / a 10.0.0.9:80=502"),
    (66, "json", br#"{"level":"info","ts":1795359233.75,"logger":"http.log.access","request":{"method":"GET","host":"a","uri":"/"},"duration":"50ms","status":0}"#, "000 abandoned GET / a"),
    (68, COMBINED, br#""1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] \"GET / HTTP/1.1\" 502 3 \"-\" \"-\"""#, "malformed $remote_user at 13"),
    (69, "json", br#"{"time":"2026-11-22T14:53:53Z","status":"502","size":"9007199254740993","#, "malformed object at 72"),
    (69, "json", br#"{"time":"2026-11-22T14:53:53Z","status":"502","size":9007199254740993}"#, "502 unknown:unknown - - -"),
    (70, COMBINED, clf!(r#""GET /x\x22 502 0 \x22-\x22 HTTP/1.1" 200 3 "-" "\x22 502 3""#), r"200 fine GET /x\\x22 502 0 \\x22-\\x22 -"),
    (70, "haproxy", ha!(r#"be/s1 0/0/0/1/1 200 243 - - ---- 1/1/0/0/0 0/0 "GET /#22GET /fake HTTP/1.1#22 502 HTTP/1.1""#), "200 fine GET /#22GET /fake HTTP/1.1#22 502 - be/s1=200"),
    (70, "alb", br#"http 2026-11-22T14:53:53Z app/lb/50dc 1.2.3.4:1 10.0.0.1:80 0.001 0.001 0.000 200 200 34 366 "GET http://a:80/ HTTP/1.1" "x\x22 502 502" - - - "Root=1""#, "200 fine GET / a 10.0.0.1:80=200"),
    (70, "ltsv", b"time:2026-11-22T14:53:53Z\tstatus:200\tua:x status:502\turi:/", "200 fine - / -"),
    (70, "logfmt", br#"time=2026-11-22T14:53:53Z status=200 ua="x\" status=502 \"""#, "200 fine - - -"),
    (70, "3proxy", b"1795359233.123 PROXY.3128 00000 u 10.0.0.1:5 10.9.9.9:80 1 1 0 GET_http://a/_00013_HTTP/1.1", "- fine GET /_00013 a 10.9.9.9:80=-"),
    (71, COMBINED, clf!(r#""GET /502 HTTP/1.1" 200 502 "504" "502""#), "200 fine GET /502 -"),
    (72, COMBINED, b"\xef\xbb\xbf1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] \"GET / HTTP/1.1\" 502 3 \"-\" \"-\"", "502 unknown:unknown GET / -"),
];

#[test]
fn long_ones() {
    let line = |uri: usize, agent: usize| {
        let (uri, agent) = ("a".repeat(uri), "u".repeat(agent));
        format!("1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] \"GET /{uri} HTTP/1.1\" 414 3 \"-\" \"{agent}\"")
    };
    for (uri, agent) in [(7_000, 10), (10, 5_000), (30_000, 30_000)] {
        let shown = outcome_of(COMBINED, line(uri, agent).as_bytes());
        assert!(shown.starts_with("414 fine GET "), "{shown}");
    }
}

#[test]
fn what_comes_out_of_each() {
    let mut wrong = String::new();
    for (number, setting, line, want) in CASES {
        let got = outcome_of(setting, line);
        if got != *want {
            let _ = writeln!(wrong, "{number} {setting} {}\n  got  {got}\n  want {want}", text(line));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
