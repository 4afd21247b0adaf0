use crate::context::Context;
use crate::detect::detect;
use crate::formats::percent::tests::{
    context, cut_lines_give_no_other_status, each, fields_of, format, outcome, outcome_of, scenario, truth,
};

const COMBINED: &[u8] = include_bytes!("../../../../tests/corpus/lab/apache-combined.log");
const PX: &[u8] = include_bytes!("../../../../tests/corpus/lab/apache-px.log");
const PX_FORMAT: &str =
    r#"apache:%v:%p %h %{%FT%T}t.%{usec_frac}t%{%z}t "%r" %>s %b %D %{BALANCER_WORKER_NAME}e"#;

#[test]
fn cut_lines_of_the_corpus() {
    cut_lines_give_no_other_status("apache", COMBINED);
    cut_lines_give_no_other_status(PX_FORMAT, PX);
}

#[test]
fn the_corpus_agrees_with_its_truth() {
    for (setting, text) in [("apache", COMBINED), ("apache:combined", COMBINED), (PX_FORMAT, PX)] {
        let mut seen = std::collections::BTreeMap::new();
        each(setting, text, |line, record| {
            let code = record.status.code().unwrap();
            let want = if code >= 500 { format!("{code} unknown/unknown") } else { format!("{code} fine") };
            assert_eq!(outcome(record), want, "{line}");
            let path = line.split_once("\"GET ").unwrap().1.split(' ').next().unwrap();
            assert_eq!((record.method, record.path), (&b"GET"[..], path.as_bytes()), "{line}");
            let site: &[u8] = if text == PX { b"lab.example" } else { b"" };
            assert_eq!(record.site, site, "{line}");
            assert_eq!(record.request_time.is_some(), text == PX, "{line}");
            *seen.entry((scenario(line).to_owned(), code.to_string())).or_insert(0) += 1;
        });
        for (scenario, status, count) in truth("apache") {
            let status = if status == "IncompleteRead" { "200".to_owned() } else { status };
            assert_eq!(seen.remove(&(scenario.clone(), status)), Some(count), "{scenario}");
        }
        assert!(seen.is_empty(), "{seen:?}");
    }
}

#[test]
fn the_end_is_the_start_and_the_time_taken() {
    let line = PX.split(|b| *b == b'\n').nth(3).unwrap();
    let line = std::str::from_utf8(line).unwrap();
    // 15:18:28.775841 and 1001757 µs.
    assert_eq!(fields_of(PX_FORMAT, line), "1795360709777 1002 GET /timeout/0?q=a%20b lab.example - - -");
    let at = "[22/Nov/2026:15:18:28 +0000]";
    let cases = [
        ("%t %>s %T", "200 3", 1_795_360_711_000_i64),
        ("%t %>s %T %D", "200 3 3500000", 1_795_360_711_500),
        ("%t %>s %{ms}T", "200 250", 1_795_360_708_250),
        ("%t %>s %{end:sec}t %D", "200 1795360777 9000000", 1_795_360_777_000),
    ];
    for (setting, values, end) in cases {
        let fields = fields_of(&format!("apache:{setting}"), &format!("{at} {values}"));
        assert!(fields.starts_with(&format!("{end} ")), "{setting}: {fields}");
    }
}

/// A line, its outcome, its fields.
const LINES: &[(&str, &str, &str)] = &[
    // 9, 8: quotes and backslashes of clients.
    (
        r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET /a\"b HTTP/1.1" 502 5 "-" "a \"b\" \\""#,
        "502 unknown/unknown",
        r#"1795360708000 - GET /a\"b - - - -"#,
    ),
    // 3: the client said nothing.
    (
        r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "-" 408 - "-" "-""#,
        "408 fine",
        "1795360708000 - - - - - - -",
    ),
    // 22, 19: IPv6, a user's name with blanks and brackets, and an empty one.
    (
        r#"2001:db8::7 - joe [x] bloggs [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 503 5"#,
        "503 unknown/unknown",
        "1795360708000 - GET / - - - -",
    ),
    (
        r#"::1 - "" [22/Nov/2026:15:18:28 +0330] "GET / HTTP/1.1" 401 5 "-" "x""#,
        "401 fine",
        "1795348108000 - GET / - - - -",
    ),
    // 24: the virtual host before it.
    (
        r#"www.example.com:443 203.0.113.7 - - [22/Nov/2026:15:18:28 -0930] "GET / HTTP/1.1" 504 5 "-" "x""#,
        "504 unknown/unknown",
        "1795394908000 - GET / www.example.com - - -",
    ),
    (
        r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 200 5 "-" "x" 120 1480"#,
        "200 fine",
        "1795360708000 - GET / - - - -",
    ),
    // 1, 4, 7, 11: what scanners send.
    (
        r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "\x16\x03\x01" 400 226 "-" "-""#,
        "400 fine",
        r"1795360708000 - - \x16\x03\x01 - - - -",
    ),
    (
        r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET /a b c HTTP/1.1" 400 226 "-" "-""#,
        "400 fine",
        "1795360708000 - GET /a b c - - - -",
    ),
    (
        r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "CONNECT a.example:443 HTTP/1.1" 503 226 "-" "-""#,
        "503 unknown/unknown",
        "1795360708000 - CONNECT a.example:443 a.example - - -",
    ),
    // 70: a whole line inside of a value.
    (
        r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET /\" 502 7 \"-\" \"x\" HTTP/1.1" 200 5 "-" "\" 504 5""#,
        "200 fine",
        r#"1795360708000 - GET /\" 502 7 \"-\" \"x\" - - - -"#,
    ),
    (
        r#"Nov 22 15:18:28 web3 httpd: 203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 502 5 "-" "x""#,
        "502 unknown/unknown",
        "1795360708000 - GET / - web3 - -",
    ),
];

#[test]
fn lines_of_the_named_formats() {
    for (line, want, fields) in LINES {
        assert_eq!(outcome_of("apache", line), *want, "{line}");
        assert_eq!(fields_of("apache", line), *fields, "{line}");
    }
}

#[test]
fn workers_are_upstreams_and_notes_tell_why() {
    let setting =
        r#"apache:%t "%r" %>s %{BALANCER_NAME}e %{BALANCER_WORKER_NAME}e "%{error-notes}n" %{Host}i"#;
    let notes = "The proxy server could not handle the request<p>Reason: <strong>";
    let cases = [
        (
            "502 balancer://app http://10.0.0.7:8080",
            "DNS lookup failure for: x</strong>",
            "502 proxy/dns_error",
            "10.0.0.7:8080",
        ),
        (
            "502 balancer://app ajp://node1:8009/base",
            "Error reading from remote server</strong>",
            "502 proxy/unknown",
            "node1:8009",
        ),
        (
            "502 balancer://app unix:/run/a.sock|fcgi://localhost",
            "Corrupt status line returned by remote server: x</strong>",
            "502 proxy/http_protocol_error",
            "unix:/run/a.sock",
        ),
    ];
    for (values, note, want, upstream) in cases {
        let line = format!(
            "[22/Nov/2026:15:18:28 +0000] \"GET /x HTTP/1.1\" {values} \"{notes}{note}\" www.example:80"
        );
        assert_eq!(outcome_of(setting, &line), want, "{line}");
        assert_eq!(fields_of(setting, &line), format!("1795360708000 - GET /x www.example - app {upstream}"));
    }
    let line = "[22/Nov/2026:15:18:28 +0000] \"GET /x HTTP/1.1\" 503 - - \"-\" -";
    assert_eq!(outcome_of(setting, line), "503 unknown/unknown");
    assert_eq!(fields_of(setting, line), "1795360708000 - GET /x - - - -");
}

#[test]
fn the_string_as_it_stands_in_a_configuration() {
    let line = r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET /x HTTP/1.1" 502 5 "-" "x""#;
    for setting in [
        r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#,
        r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#,
        r#""%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"""#,
        r#"LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined"#,
        r#"LogFormat '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i" ' log_format"#,
        r#"%h %l %u %t "%m %U%q %H" %s %!200,304B "%{Referer}i" "%400,501{User-Agent}i""#,
    ] {
        let setting = format!("apache:{setting}");
        assert_eq!(outcome_of(&setting, line), "502 unknown/unknown", "{setting}");
        assert!(fields_of(&setting, line).ends_with("GET /x - - - -"), "{setting}");
    }
    // Of the original and the final status the client saw the latter.
    let line = "[22/Nov/2026:15:18:28 +0000] 200 502 /x?y";
    assert_eq!(outcome_of("apache:%t %s %>s %U%q", line), "502 unknown/unknown");
    assert_eq!(fields_of("apache:%t %s %>s %U%q", line), "1795360708000 - - /x?y - - - -");
}

#[test]
fn a_header_of_the_answer_tells_more() {
    let setting = r#"apache:%t %>s "%{Proxy-Status}o""#;
    let at = "[22/Nov/2026:15:18:28 +0000]";
    let cases = [
        ("503", r#"edge; error=connection_refused"#, "503 proxy/connection_refused"),
        ("504", "-", "504 unknown/unknown"),
        ("200", "edge; error=connection_refused", "200 fine"),
    ];
    for (status, header, want) in cases {
        assert_eq!(outcome_of(setting, &format!("{at} {status} \"{header}\"")), want);
    }
}

fn best(lines: &[&[u8]]) -> (String, Vec<String>) {
    let found = detect(lines, &context());
    (found.best().map(|best| best.format.name().to_owned()).unwrap_or_default(), found.ambiguous)
}

#[test]
fn a_combined_log_is_apaches_where_it_shows() {
    let plain: &[u8] = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 503 5 "-" "x""#;
    let quote: &[u8] = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 503 5 "-" "\"x\"""#;
    let no_bytes: &[u8] = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 304 - "-" "x""#;
    let nginx: &[u8] =
        br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 503 5 "-" "\x22x\x5C""#;
    let mut lines = vec![plain; 120];
    assert_eq!(best(&lines), ("nginx:combined".to_owned(), vec![]));
    lines.push(nginx);
    assert_eq!(best(&lines), ("nginx:combined".to_owned(), vec![]));
    for mark in [quote, no_bytes] {
        lines[60] = mark;
        assert_eq!(best(&lines).0, "apache:combined");
    }
    let common: &[u8] = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 503 5"#;
    assert_eq!(best(&[common; 5]), ("apache:common".to_owned(), vec![]));
}

#[test]
fn a_setting_decides_what_counts() {
    let line = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 503 5"#;
    let mut only_502 = Context { gateway_statuses: Some(vec![500, 502]), ..context() };
    let format = format("apache:common");
    let Ok(crate::Parsed::Record(record)) = format.parse(line, &mut only_502) else { panic!() };
    assert_eq!(outcome(&record), "503 fine");
    let line = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 500 5"#;
    let Ok(crate::Parsed::Record(record)) = format.parse(line, &mut only_502) else { panic!() };
    assert_eq!(outcome(&record), "500 unknown/unknown");
}
