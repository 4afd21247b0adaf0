use super::*;
use crate::reason::{Cause, Origin, Reason};
use crate::record::{Outcome, Record, Status};
use crate::time::Zone;

const END: i64 = 1_795_359_233_000; // 2026-11-22T14:53:53Z
const START: &str = "1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] ";

fn context() -> Context {
    Context::new(Zone::Fixed(0), END)
}

fn format(setting: &str) -> Box<dyn Format> {
    compile(Some(setting)).unwrap_or_else(|e| panic!("{setting}: {e}"))
}

/// The status of a line; `None` if it is refused or none of ours.
fn status(setting: &str, line: &str) -> Option<u16> {
    match format(setting).parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Record(record)) => record.status.code(),
        _ => None,
    }
}

fn with_record<T>(setting: &str, line: &str, with: impl FnOnce(&Record<'_>) -> T) -> T {
    match format(setting).parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Record(record)) => with(&record),
        other => panic!("{setting}\n{line}\n{other:?}"),
    }
}

/// `method path site pool node attempts outcome`, for comparison.
fn shown(record: &Record<'_>) -> String {
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let attempts: Vec<_> = record
        .attempts
        .iter()
        .map(|a| {
            let name = if a.upstream.is_empty() { format!("[{}]", text(a.pool)) } else { text(a.upstream) };
            format!("{name}={}", a.status.code().map_or("-".to_owned(), |c| c.to_string()))
        })
        .collect();
    let outcome = match record.outcome {
        Outcome::GatewayError(cause) => format!("{} {}", cause.origin.name(), cause.reason.name()),
        other => format!("{other:?}").to_lowercase(),
    };
    let labels = [record.method, record.path, record.site, record.pool, record.node].map(text);
    format!("{} | {} | {outcome}", labels.join(" "), attempts.join(" "))
}

#[test]
fn hostile_and_odd_combined_lines() {
    let cases: &[(&str, Option<u16>)] = &[
        (r#""\x16\x03\x01\x02\x00\x01" 400 157 "-" "-""#, Some(400)),
        (r#""" 400 0 "-" "-""#, Some(400)),
        (r#""-" 408 0 "-" "-""#, Some(408)),
        (r#""batman" 400 157 "-" "-""#, Some(400)),
        (r#""GET /plain" 200 3 "-" "-""#, Some(200)),
        (r#""geti / HTTP/1.1" 400 157 "-" "-""#, Some(400)),
        (r#""PROPFIND / HTTP/1.1" 405 157 "-" "-""#, Some(405)),
        (r#""GET /a b c HTTP/1.1" 400 157 "-" "-""#, Some(400)),
        (r#""GET /x\x22 502 HTTP/1.1" 200 3 "-" "say \x22hi\x22 502 \x5C""#, Some(200)),
        (r#""GET http://e/ HTTP/1.1" 200 3 "-" "-""#, Some(200)),
        (r#""CONNECT h:443 HTTP/1.1" 400 3 "-" "-""#, Some(400)),
        (r#""OPTIONS * HTTP/1.1" 400 3 "-" "-""#, Some(400)),
        (r#""PRI * HTTP/2.0" 400 3 "-" "-""#, Some(400)),
        (r#""GET /pla\x00in HTTP/1.1" 400 157 "-" "-""#, Some(400)),
        (r#""GET /?x=%0a1.2.3.4%20-%20-%20502 HTTP/1.1" 200 3 "-" "-""#, Some(200)),
        (r#""GET /" 502 HTTP/1.1" 200 3 "-" "-""#, None),
        (r#""GET / HTTP/1.1" 000 0 "-" "-""#, Some(0)),
        (r#""GET / HTTP/1.1" 009 0 "-" "-""#, Some(9)),
        (r#""GET / HTTP/1.1" 499 0 "-" "-""#, Some(499)),
        (r#""GET / HTTP/1.1" 5021 0 "-" "-""#, None),
        (r#""GET / HTTP/1.1" 50 0 "-" "-""#, None),
        (r#""GET / HTTP/1.1" 200 502 "http://h:504/" "x 502 y""#, Some(200)),
        (r#""GET / HTTP/1.1" 200 - "-" "-""#, Some(200)),
        // More fields than the format has are another format's.
        (r#""GET / HTTP/1.1" 200 3 "-" "-" 502"#, None),
        (r#""GET / HTTP/1.1" 200 3 "-" "-" "-""#, None),
        (r#""GET / HTTP/1.1" 200 3 "-""#, None),
        // Blanks at the end are none.
        (r#""GET / HTTP/1.1" 200 3 "-" "-"  "#, Some(200)),
        // Two writes in one line.
        (
            r#""GET / HTTP/1.1" 201.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#,
            None,
        ),
        (r#""GET /1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, None),
        (
            r#""GET / HTTP/1.1" 200 3 "-" "x1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#,
            None,
        ),
    ];
    for (rest, want) in cases {
        assert_eq!(status("combined", &format!("{START}{rest}")), *want, "{rest}");
    }
}

#[test]
fn lines_that_differ_before_the_request_or_are_no_access_lines() {
    let whole: &[(&str, Option<u16>)] = &[
        (
            r#"1.2.3.4 - joe bloggs [x] \x22q\x22 [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#,
            Some(200),
        ),
        (r#"1.2.3.4 - a@b.example [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, Some(200)),
        (r#"1.2.3.4 -  [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, Some(200)),
        (r#"1.2.3.4 - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, Some(200)),
        (r#"unix: - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, Some(200)),
        (r#"2001:db8::1 - - [22/Nov/2026:14:53:53 +0330] "GET / HTTP/1.1" 200 3 "-" "-""#, Some(200)),
        (r#"1.2.3.4 - - [32/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 3 "-" "-""#, None),
        (r#"1.2.3.4 - - [22/Nov/2026:14:53:53 +9999] "GET / HTTP/1.1" 200 3 "-" "-""#, None),
        (r#"1.2.3.4 - - [22/Nov/2026:14:53:53] "GET / HTTP/1.1" 200 3 "-" "-""#, None),
        (r#""1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-"""#, None),
        (
            "2026/11/22 15:18:07 [error] 523#523: *3 connect() failed (111: Connection refused) while connecting to upstream",
            None,
        ),
        ("I1215 10:11:12.123456       7 controller.go:138] \"Configuration changes detected\" 502", None),
        ("goroutine 1 [running]:", None),
        ("PHP message: PHP Warning:  502", None),
    ];
    for (line, want) in whole {
        assert_eq!(status("combined", line), *want, "{line}");
    }
    for line in ["", "  ", "\t", "# comment", "#Fields: date"] {
        assert!(
            matches!(format("combined").parse(line.as_bytes(), &mut context()), Ok(Parsed::Other)),
            "{line:?}"
        );
    }
}

#[test]
fn upstream_lists_stand_anywhere() {
    let ingress = |tail: &str| format!(r#"{START}"GET / HTTP/1.1" 502 157 "-" "x" 88 0.001 {tail} a54eb6e7"#);
    let cases: &[(&str, &str)] = &[
        ("[ns-svc-80] [] 10.0.0.1:80 0 0.000 502", "ns-svc-80  | 10.0.0.1:80=502 | unknown unknown"),
        (
            "[ns-svc-80] [] 10.0.0.1:80 4 0.000 502",
            "ns-svc-80  | 10.0.0.1:80=502 | upstream upstream_response",
        ),
        (
            "[] [] 10.0.0.1:80, 10.0.0.2:80 0, 0 0.000, 0.001 502, 504",
            "  | 10.0.0.1:80=502 10.0.0.2:80=504 | unknown unknown",
        ),
        (
            "[p] [q] a:1 : b:2, c:3 0 : 0, 0 0.1 : 0.2, 0.3 504 : 502, 502",
            "p  | a:1=504 b:2=502 c:3=502 | unknown unknown",
        ),
        ("[p] [] a:1 :  4 :  0.001 :  502 : ", "p  | a:1=502 | proxy unknown"),
        ("[p] [] a:1 : , b:2 0 : , 0 0.1 : , 0.2 502 : , 502", "p  | a:1=502 b:2=502 | unknown unknown"),
        ("[p] [] a:1, b:2 0, - 0.1, 0.2 502, -", "p  | a:1=502 b:2=- | unknown unknown"),
        ("[p] [] a:1, b:2 - 0.1 502", "p  | a:1=502 b:2=- | unknown unknown"),
        (
            "[p] [] unix:/run/x.sock, [::1]:80 0, 0 0.1, 0.2 502, 502",
            "p  | unix:/run/x.sock=502 [::1]:80=502 | unknown unknown",
        ),
        ("[p] [] upstream_balancer 0 0.000 502", "p  | []=502 | proxy destination_unavailable"),
        ("[-] [] - - - -", "  |  | proxy unknown"),
    ];
    for (tail, want) in cases {
        let got = with_record("upstreaminfo", &ingress(tail), shown);
        assert_eq!(got, format!("GET /  {want}"), "{tail}");
    }
    // A colon between blanks as the format's own.
    let setting = "[$time_local] $status proxy ($upstream_cache_status) : $upstream_addr $upstream_response_time $upstream_status ";
    let line = "[22/Nov/2026:14:53:53 +0000] 200 proxy (-) : 127.0.0.1:80, [::]:80 0.000, 0.001 502, 200 ";
    assert_eq!(with_record(setting, line, shown), "     | 127.0.0.1:80=502 [::]:80=200 | fine");
    assert_eq!(with_record(setting, line.trim_end(), shown), "     | 127.0.0.1:80=502 [::]:80=200 | fine");
    let setting = "$msec $upstream_addr : $upstream_status : $status";
    let line = "1795359233.000 a:1, b:2 : 502, 504 : 504";
    assert_eq!(with_record(setting, line, shown), "     | a:1=502 b:2=504 | unknown unknown");
    for setting in
        ["[$upstream_addr] [$upstream_status] $status $msec", "$upstream_addr|$upstream_status|$status|$msec"]
    {
        let bars = setting.contains('|');
        let line = if bars { "[::1]:80|502|502|1.000" } else { "[[::1]:80] [502] 502 1.000" };
        assert_eq!(with_record(setting, line, shown), "     | [::1]:80=502 | unknown unknown");
    }
}

#[test]
fn json_by_its_own_log_format() {
    let quoted = r#"escape=json {"t":"$time_iso8601","s":"$status","us":"$upstream_status","ua":"$upstream_addr","agent":"$http_user_agent"}"#;
    let bare = r#"{"t":"$time_iso8601", "s": $status, "us": $upstream_status, "ua": "$upstream_addr", "agent": "$http_user_agent"}"#;
    let cases = [
        (
            quoted,
            r#"{"t":"2026-11-22T14:53:53+00:00","s":"200","us":"502, 200","ua":"a:1, b:2","agent":"x"}"#,
            "a:1=502 b:2=200",
        ),
        (
            quoted,
            r#"{"t":"2026-11-22T14:53:53+00:00","s":"200","us":"","ua":"","agent":"x\",\"s\":\"502\",\"y\":\"\\"}"#,
            "",
        ),
        (bare, r#"{"t":"2026-11-22T14:53:53+00:00", "s": 200, "us": , "ua": "", "agent": ""}"#, ""),
        (
            bare,
            r#"{"t":"2026-11-22T14:53:53+00:00", "s": 200, "us": 502, 200, "ua": "a:1, b:2", "agent": "\u001B\""}"#,
            "a:1=502 b:2=200",
        ),
        (
            bare,
            r#"{"t":"2026-11-22T14:53:53+00:00", "s": 200, "us": 504 : 502, 200, "ua": "a:1 : b:2, c:3", "agent": "\x22"}"#,
            "a:1=504 b:2=502 c:3=200",
        ),
    ];
    for (setting, line, attempts) in cases {
        assert_eq!(with_record(setting, line, shown), format!("     | {attempts} | fine"), "{line}");
    }
    let raw: &[u8] = b"{\"t\":\"2026-11-22T14:53:53+00:00\",\"s\":\"504\",\"us\":\"504\",\"ua\":\"a:1\",\"agent\":\"\xFF\xFE\xD0\"}";
    assert!(format(quoted).parse(raw, &mut context()).is_ok());
}

#[test]
fn without_escapes_two_readings_are_refused() {
    let setting = r#"escape=none [$time_local] "$request" $status $body_bytes_sent "$http_user_agent""#;
    let start = "[22/Nov/2026:14:53:53 +0000] ";
    let cases: &[(&str, Option<u16>)] = &[
        (r#""GET / HTTP/1.1" 200 3 "say "hi" \ back""#, Some(200)),
        (r#""GET /x"y HTTP/1.1" 200 3 """#, Some(200)),
        (r#""GET / HTTP/1.1" 200 3 "" 502 7 "x""#, None),
        (r#""GET /" 502 7 "x HTTP/1.1" 400 3 """#, None),
        // Both readings count the same.
        (r#""GET /" 400 7 "x HTTP/1.1" 400 3 """#, Some(400)),
    ];
    for (rest, want) in cases {
        assert_eq!(status(setting, &format!("{start}{rest}")), *want, "{rest}");
    }
}

#[test]
fn a_bar_in_the_uri_is_no_end() {
    let line =
        |uri: &str| format!("2026-11-22T14:53:53+00:00|1795359233.243|1.2.3.4|GET {uri}|200|-|-|-|-|-|0.001");
    assert_eq!(status("timed", &line("/a|b")), Some(200));
    assert_eq!(status("timed", &line("/a|502|-|-|-|-|-|0.1")), Some(200));
    assert_eq!(status("timed", &line("/a b c")), Some(200));
}

#[test]
fn a_line_of_many_readings_is_given_up() {
    let setting = "$http_a $http_b $http_c $http_d $status $msec";
    let line = format!("{} 200 x", "a ".repeat(20_000));
    let format = format(setting);
    let refused = format.parse(line.as_bytes(), &mut context()).map(|_| ()).unwrap_err();
    assert_eq!(refused.reason, "too many readings of this line");
}

#[test]
fn other_formats_of_the_wild() {
    let cases = [
        (
            "npm",
            r#"[22/Nov/2026:14:53:53 +0000] - 502 502 - GET https app.example "/x" [Client 1.2.3.4] [Length 552] [Gzip -] [Sent-to 10.0.0.9] "Mozilla/5.0" "-""#,
            " /x app.example   | 10.0.0.9=502 | unknown unknown",
        ),
        (
            "npm_standard",
            r#"[22/Nov/2026:14:53:53 +0000] 504 - GET http localhost "/" [Client 1.2.3.4] [Length 552] [Gzip 2.53] "Mozilla/5.0" "-""#,
            " / localhost   |  | unknown unknown",
        ),
        (
            "vhost_combined",
            r#"shop.example:443 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 0 "-" "-""#,
            " / shop.example   |  | unknown unknown",
        ),
        (
            "main",
            r#"10.0.0.1 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 200 0 "-" "-" "10.0.0.2, 10.0.0.1, 127.0.0.1""#,
            " /    |  | fine",
        ),
        (
            "$http_x_forwarded_for - $scheme://$host$request_uri $status $msec",
            "10.0.0.2, 10.0.0.1 - https://a.example:8443/x?y 504 1.000",
            "/x?y a.example   |  | unknown unknown",
        ),
        (
            "$msec ${status} $uri$is_args$args $hostname $proxy_host",
            "1.000 200 /x?y=1 edge-1 -",
            "/x?y=1   edge-1 |  | fine",
        ),
        ("$msec $status $server_name", "1.000 200 _", "    |  | fine"),
        ("$status\\t$time_iso8601\\t$request_method", "200\t2026-11-22T14:53:53Z\tGET", "    |  | fine"),
    ];
    for (setting, line, want) in cases {
        let got = with_record(setting, line, shown);
        assert!(got.ends_with(want), "{setting}\n{got}\n{want}");
    }
}

#[test]
fn a_pasted_directive_is_read_as_nginx_reads_it() {
    let line = r#"1.2.3.4 [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502"#;
    let settings = [
        r#"$remote_addr [$time_local] "$request" $status"#,
        r#"'$remote_addr [$time_local] "$request" $status'"#,
        "log_format main '$remote_addr [$time_local] '\n    '\"$request\" $status';",
        r#"log_format main escape=default "$remote_addr [$time_local] \"$request\" $status";"#,
        r#"main '$remote_addr [$time_local] ' '"$request" $status';"#,
        r#"escape=none $remote_addr [$time_local] "$request" $status"#,
        "  log_format  main  escape=json  '$remote_addr [$time_local] \"$request\" $status' ;\n",
    ];
    for setting in settings {
        assert_eq!(status(setting, line), Some(502), "{setting}");
    }
    assert_eq!(format(settings[2]).title(), "nginx main");
    assert_eq!(format("combined").name(), "nginx:combined");
    assert_eq!(format(settings[0]).name(), format!("nginx:{}", settings[0]));
}

#[test]
fn what_does_not_compile_says_why() {
    let cases = [
        ("combind", "no nginx format is called `combind`"),
        ("$status", "no time in it"),
        ("[$time_local] $request", "without $status"),
        ("$time_local $ $status", "a $ without"),
        ("${time_local $status", "not closed"),
        ("$msec $http_x$status", "where $http_x ends cannot be seen"),
        ("escape=xml $msec $status", "nginx knows default, json, none"),
        ("", "no nginx format is called"),
    ];
    for (setting, want) in cases {
        let error = compile(Some(setting)).map(|_| ()).unwrap_err();
        assert!(error.message.contains(want), "{setting}: {error}");
        assert!(error.at <= setting.len());
    }
    let error = compile(Some("$msec $http_x$status")).map(|_| ()).unwrap_err();
    assert_eq!(error.at, 6);
    assert!(compile(None).is_ok());
    assert_eq!(built_in().len(), BUILT_IN.len());
}

#[test]
fn malformed_lines_name_the_field_and_place() {
    let cases = [
        (r#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 50x 3 "-" "-""#, "$status", 58),
        (r#"1.2.3.4 - - [32/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 3 "-" "-""#, "$time_local", 13),
        (
            r#"<134>Nov 22 14:53:53 host nginx: 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 50x 3 "-" "-""#,
            "$status",
            91,
        ),
    ];
    for (line, field, at) in cases {
        let format = format("combined");
        let malformed = format.parse(line.as_bytes(), &mut context()).map(|_| ()).unwrap_err();
        assert_eq!((malformed.field, malformed.at), (field, at), "{line}: {malformed:?}");
    }
}

#[test]
fn outcomes_follow_the_setting_and_the_evidence() {
    let up = r#"$msec $status "$upstream_addr" "$upstream_status" "$upstream_header_time""#;
    let cases = [
        ("$msec $status", "1.000 502", "unknown unknown"),
        ("$msec $status", "1.000 009", "unknown unknown"),
        ("$msec \"$request\" $status", "1.000 \"GET / HTTP/1.1\" 009", "proxy http_protocol_error"),
        ("$msec $status", "1.000 503", "fine"),
        ("$msec $status", "1.000 499", "abandoned"),
        (up, "1.000 499 \"a:1\" \"-\" \"-\"", "abandoned"),
        (up, "1.000 499 \"a:1\" \"200\" \"0.1\"", "fine"),
        (up, "1.000 499 \"a:1, b:2\" \"502, -\" \"0.1, -\"", "abandoned"),
        (up, "1.000 502 \"-\" \"-\" \"-\"", "proxy unknown"),
        (up, "1.000 502 \"a:1\" \"500\" \"0.1\"", "unknown unknown"),
        (up, "1.000 502 \"a:1 : \" \"504 : \" \"- : \"", "proxy unknown"),
        (up, "1.000 502 \"a:1\" \"504\" \"-\"", "proxy unknown"),
        (up, "1.000 200 \"a:1\" \"502\" \"-\"", "fine"),
        (up, "1.000 009 \"-\" \"-\" \"-\"", "fine"),
        ("$msec $status $upstream_addr $upstream_cache_status", "1.000 502 - HIT", "unknown unknown"),
        ("$msec $status $upstream_status", "1.000 499 200", "fine"),
    ];
    for (setting, line, want) in cases {
        assert!(with_record(setting, line, shown).ends_with(&format!("| {want}")), "{setting} {line}");
    }
    let mut context = context();
    context.gateway_statuses = Some(vec![499, 503]);
    let format = format(up);
    let mut cause = |line: &'static str| match format.parse(line.as_bytes(), &mut context) {
        Ok(Parsed::Record(record)) => record.outcome.gateway_error(),
        other => panic!("{other:?}"),
    };
    assert_eq!(cause("1.000 503 \"a:1\" \"503\" \"0.1\""), Some(Cause::upstream()));
    assert_eq!(cause("1.000 503 \"-\" \"-\" \"-\""), Some(Cause::proxy(Reason::Unknown)));
    let client = Cause { origin: Origin::Client, reason: Reason::ClientAborted };
    assert_eq!(cause("1.000 499 \"a:1\" \"-\" \"-\""), Some(client));
    assert_eq!(cause("1.000 502 \"a:1\" \"502\" \"-\""), None);
    assert_eq!(Status::new(9).code(), Some(9));
}

#[test]
fn a_syslog_header_names_the_node() {
    let line =
        |host: &str| format!(r#"<190>Nov 22 14:53:53 {host}nginx: {START}"GET / HTTP/1.1" 502 0 "-" "-""#);
    let format = format("combined");
    let mut context = context();
    for (host, node) in [("edge-1 ", "edge-1"), ("edge-1 ", "edge-1"), ("", ""), ("edge-2 ", "edge-2")] {
        let line = line(host);
        match format.parse(line.as_bytes(), &mut context) {
            Ok(Parsed::Record(record)) => assert_eq!((record.node, record.end), (node.as_bytes(), END)),
            other => panic!("{line}: {other:?}"),
        }
    }
    let bare = format!(r#"{START}"GET / HTTP/1.1" 502 0 "-" "-""#);
    assert!(
        matches!(format.parse(bare.as_bytes(), &mut context), Ok(Parsed::Record(record)) if record.node.is_empty())
    );
}

#[test]
fn a_header_that_tells_of_the_error_refines_it() {
    let told = r#"$msec $status $upstream_addr $upstream_status "$upstream_http_proxy_status""#;
    let timed = r#"$msec $status $upstream_addr $upstream_status $upstream_header_time "$upstream_http_proxy_status""#;
    let sent = r#"$msec $status "$sent_http_proxy_status" "$upstream_http_x_brd_err_code""#;
    let brd = r#"$msec $status "$upstream_http_x_brd_err_code""#;
    let clients = r#"$msec $status "$http_proxy_status""#;
    let upstreams = |reason| Outcome::GatewayError(Cause { origin: Origin::Upstream, reason });
    let proxys = |reason| Outcome::GatewayError(Cause::proxy(reason));
    let cases = [
        (told, r#"a; error=dns_error"#, "502 10.0.0.7:80 502", upstreams(Reason::DnsError)),
        (
            told,
            r"a; details=\x22x, y\x22; error=dns_error",
            "502 10.0.0.7:80 502",
            upstreams(Reason::DnsError),
        ),
        (told, "-", "502 10.0.0.7:80 502", Outcome::GatewayError(Cause::UNKNOWN)),
        (told, "a; error=dns_error", "200 10.0.0.7:80 200", Outcome::Fine),
        (timed, "a; error=dns_error", "502 10.0.0.7:80 502 0.001", upstreams(Reason::DnsError)),
        // Without a header's time no header came.
        (timed, "a; error=dns_error", "502 10.0.0.7:80 502 -", Outcome::GatewayError(Cause::UNKNOWN)),
        (brd, "target_40001", "502", upstreams(Reason::DnsError)),
        (clients, "a; error=dns_error", "502", Outcome::GatewayError(Cause::UNKNOWN)),
    ];
    for (setting, header, fields, want) in cases {
        let line = format!("1795359233.000 {fields} \"{header}\"");
        let got = with_record(setting, &line, |record| record.outcome);
        let failed_first = setting == timed && fields.ends_with('-');
        // What nginx' own lists say stands: there the upstream did not answer.
        let want = if failed_first { got } else { want };
        assert_eq!(got, want, "{setting}\n{line}");
        assert!(!failed_first || got != upstreams(Reason::DnsError), "{line}: {got:?}");
    }
    // Of two the first one counts.
    let line = r#"1795359233.000 502 "a; error=dns_timeout" "target_40001""#;
    assert_eq!(with_record(sent, line, |record| record.outcome), proxys(Reason::DnsTimeout));
}

#[test]
fn sessions_of_the_stream_module() {
    let cases = [
        ("stream", "127.0.0.1 [22/Nov/2026:14:53:53 +0000] TCP 200 62 77 0.001", "     |  | fine", 0),
        ("stream", "127.0.0.1 [22/Nov/2026:14:53:53 +0000] TCP 502 0 0 1.001", "     |  | proxy unknown", 0),
        ("stream", "127.0.0.1 [22/Nov/2026:14:53:53 +0000] UDP 500 0 0 1.001", "     |  | fine", 0),
        (
            "stream_proxy",
            r#"127.0.0.1 [22/Nov/2026:14:53:53 +0000] TCP 200 62 77 0.001 "10.0.0.1:41701" "77" "62" "0.000""#,
            "     | 10.0.0.1:41701=- | fine",
            0,
        ),
        (
            "stream_proxy",
            r#"127.0.0.1 [22/Nov/2026:14:53:53 +0000] TCP 502 0 0 0.001 "10.0.0.1:21, 10.0.0.1:22" "0, 0" "0, 0" "-, -""#,
            "     | 10.0.0.1:21=- 10.0.0.1:22=- | proxy connection_failed",
            2,
        ),
        // The second server was reached: masked.
        (
            "stream_proxy",
            r#"127.0.0.1 [22/Nov/2026:14:53:53 +0000] TCP 200 5 5 0.001 "10.0.0.1:21, 10.0.0.1:22" "0, 5" "0, 5" "-, 0.001""#,
            "     | 10.0.0.1:21=- 10.0.0.1:22=- | fine",
            1,
        ),
        // Connected, and then something failed before the session began.
        (
            "stream_proxy",
            r#"127.0.0.1 [22/Nov/2026:14:53:53 +0000] TCP 502 0 0 0.001 "10.0.0.1:21" "0" "0" "0.001""#,
            "     | 10.0.0.1:21=- | proxy unknown",
            1,
        ),
        (
            "stream_proxy",
            r#"127.0.0.1 [22/Nov/2026:14:53:53 +0000] TCP 502 0 0 0.001 "db" "0" "0" "-""#,
            "     | [db]=- | proxy destination_unavailable",
            1,
        ),
        (
            "npm_stream",
            "[22/Nov/2026:14:53:53 +0000] [Client 1.2.3.4:5555] TCP 502 0 0 60.001 [Sent-to 10.0.0.1:22, 10.0.0.2:22] [Sent 0, 0] [Received 0, 0] [Time -, -] - -",
            "     | 10.0.0.1:22=- 10.0.0.2:22=- | proxy connection_failed",
            2,
        ),
    ];
    for (setting, line, want, failed) in cases {
        with_record(setting, line, |record| {
            assert_eq!(shown(record), want, "{line}");
            assert!(record.request_time.is_some(), "{line}");
            assert_eq!(record.attempts.iter().filter(|a| a.failure.is_some()).count(), failed, "{line}");
            for end in 0..line.len() {
                if let Some(cut) = status(setting, &line[..end]) {
                    assert_eq!(Some(cut), record.status.code(), "{}", &line[..end]);
                }
            }
        });
    }
}

#[test]
fn a_stream_log_format_of_ones_own() {
    let setting = "nginx-stream:[$time_local] $remote_addr $status $upstream_addr $ssl_preread_server_name";
    let format = crate::formats::compile(setting).unwrap();
    assert_eq!(format.name(), setting);
    let line = b"[22/Nov/2026:14:53:53 +0000] 1.2.3.4 502 10.0.0.1:443, 10.0.0.2:443 a.example";
    let mut context = context();
    let Ok(Parsed::Record(record)) = format.parse(line, &mut context) else { panic!() };
    // Whether it connected is not logged; a server that none follows in a session of 502 was not reached either.
    let want = "  a.example   | 10.0.0.1:443=- 10.0.0.2:443=- | proxy connection_failed";
    assert_eq!(shown(&record), want);
    assert_eq!(crate::formats::compile("nginx-stream").unwrap().name(), "nginx:stream");
}
