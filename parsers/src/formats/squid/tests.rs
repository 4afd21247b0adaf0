use crate::formats::percent::tests::{
    context, cut_lines_give_no_other_status, each, fields_of, format, outcome, outcome_of, scenario, truth,
};
use crate::upstreams::Attempts;

const NATIVE: &[u8] = include_bytes!("../../../../tests/corpus/lab/squid-native.log");
const COMBINED: &[u8] = include_bytes!("../../../../tests/corpus/lab/squid-combined.log");

/// What the two formats show of each scenario.
fn shown(scenario: &str, status: &str) -> [&'static str; 2] {
    match (scenario, status) {
        ("own502", _) => ["502 upstream/upstream_response", "502 unknown/unknown"],
        ("own504", _) => ["504 upstream/upstream_response", "504 unknown/unknown"],
        ("", _) => ["0 abandoned"; 2],
        (_, "200") => ["200 fine"; 2],
        (_, "502") => ["502 unknown/unknown"; 2],
        (_, "503") => ["503 unknown/unknown"; 2],
        (_, "504") => ["504 unknown/unknown"; 2],
        other => panic!("{other:?}"),
    }
}

#[test]
fn cut_lines_of_the_corpus() {
    cut_lines_give_no_other_status("squid", NATIVE);
    cut_lines_give_no_other_status("squid:combined", COMBINED);
}

#[test]
fn the_corpus_agrees_with_its_truth() {
    let truth = truth("squid");
    for (i, (setting, text)) in [("squid", NATIVE), ("squid:combined", COMBINED)].into_iter().enumerate() {
        let mut seen = std::collections::BTreeMap::new();
        each(setting, text, |line, record| {
            let scenario = scenario(line);
            let status = record.status.code().unwrap().to_string();
            assert_eq!(outcome(record), shown(scenario, &status)[i], "{line}");
            let site: &[u8] = if scenario.is_empty() { b"nosuch.example" } else { b"127.0.0.1" };
            assert_eq!((record.method, record.site), (&b"GET"[..], site), "{line}");
            let upstream = record.attempts.last().map(|attempt| attempt.upstream);
            let known = i == 0 && !scenario.is_empty();
            assert_eq!(upstream, known.then_some(&b"127.0.0.1"[..]), "{line}");
            let elapsed = line.get(14..21).and_then(|text| text.trim().parse().ok());
            assert_eq!(record.request_time, elapsed.filter(|_| i == 0), "{line}");
            *seen.entry((scenario.to_owned(), status)).or_insert(0) += 1;
        });
        for (scenario, status, count) in &truth {
            let (scenario, status) = match status.as_str() {
                "IncompleteRead" => (scenario.as_str(), "200"),
                "TimeoutError" => ("", "0"),
                status => (scenario.as_str(), status),
            };
            assert_eq!(seen.remove(&(scenario.to_owned(), status.to_owned())), Some(*count), "{scenario}");
        }
        assert!(seen.is_empty(), "{seen:?}");
    }
}

/// A line, its outcome, its fields.
const LINES: &[(&str, &str, &str)] = &[
    (
        "1157689312.049   5006 10.105.21.199 TCP_MISS/200 19763 CONNECT login.yahoo.com:443 badeyek DIRECT/209.73.177.115 -",
        "200 fine",
        "1157689312049 5006 CONNECT login.yahoo.com:443 login.yahoo.com - - 209.73.177.115",
    ),
    (
        "1787975617.589  35022 10.88.0.4 TCP_TUNNEL/503 0 CONNECT api.example.com:443 - HIER_NONE/- -",
        "503 proxy/unknown",
        "1787975617589 35022 CONNECT api.example.com:443 api.example.com - - -",
    ),
    (
        "1613260847.813      0 172.17.0.1 NONE/503 0 CONNECT https:443 - HIER_NONE/- -",
        "503 proxy/unknown",
        "1613260847813 0 CONNECT https:443 https - - -",
    ),
    (
        "1787975617.589     12 10.88.0.4 TCP_TUNNEL/503 0 CONNECT db.example:6379 - HIER_DIRECT/10.1.2.3 -",
        "503 proxy/connection_failed",
        "1787975617589 12 CONNECT db.example:6379 db.example - - 10.1.2.3",
    ),
    (
        "1787975617.589  60012 10.88.0.4 TCP_TUNNEL/504 0 CONNECT db.example:6379 - HIER_DIRECT/2001:db8::1 -",
        "504 proxy/connection_timeout",
        "1787975617589 60012 CONNECT db.example:6379 db.example - - 2001:db8::1",
    ),
    (
        "1787975617.589  60012 10.88.0.4 TCP_TUNNEL/503 0 CONNECT db.example:6379 - FIRSTUP_PARENT/10.9.9.9 -",
        "503 unknown/unknown",
        "1787975617589 60012 CONNECT db.example:6379 db.example - - 10.9.9.9",
    ),
    (
        "1787975454.753      0 10.88.0.5 TCP_DENIED/403 3370 CONNECT pypi.org:443 - HIER_NONE/- text/html",
        "403 fine",
        "1787975454753 0 CONNECT pypi.org:443 pypi.org - - -",
    ),
    (
        "1787975454.753      0 10.88.0.5 TCP_DENIED/503 3370 GET http://pypi.org/ - HIER_NONE/- text/html",
        "503 fine",
        "1787975454753 0 GET http://pypi.org/ pypi.org - - -",
    ),
    // Passed on: Squid's own pages are text/html.
    (
        "1787975454.753     10 10.88.0.5 TCP_MISS/503 3370 GET http://api.example/ - HIER_DIRECT/10.0.0.1 application/json",
        "503 fine",
        "1787975454753 10 GET http://api.example/ api.example - - 10.0.0.1",
    ),
    (
        "1787975454.753     10 10.88.0.5 TCP_MISS/502 3370 GET http://api.example/ - HIER_DIRECT/10.0.0.1 application/json",
        "502 upstream/upstream_response",
        "1787975454753 10 GET http://api.example/ api.example - - 10.0.0.1",
    ),
    (
        "1787975454.753     10 10.88.0.5 TCP_MISS/502 0 GET http://api.example/ - HIER_DIRECT/10.0.0.1 -",
        "502 unknown/unknown",
        "1787975454753 10 GET http://api.example/ api.example - - 10.0.0.1",
    ),
    (
        "Nov 22 15:18:18 proxy7 (squid-1)[812]: 1787975454.753     10 ::1 TCP_HIT/200 0 GET http://a.example/ - HIER_NONE/- text/html",
        "200 fine",
        "1787975454753 10 GET http://a.example/ a.example proxy7 - -",
    ),
    (
        "1788678019.588 120972 192.168.2.1 TCP_TUNNEL/500 3088 CONNECT a.example:443 - HIER_DIRECT/192.0.2.26 -",
        "500 proxy/connection_failed",
        "1788678019588 120972 CONNECT a.example:443 a.example - - 192.0.2.26",
    ),
    (
        "1752030357.582     12 10.200.123.141 TCP_MISS_ABORTED/503 4019 GET http://a.example/ - HIER_DIRECT/2600:1407:b800::6872:4fd0 text/html",
        "503 unknown/unknown",
        "1752030357582 12 GET http://a.example/ a.example - - 2600:1407:b800::6872:4fd0",
    ),
    (
        "1787975454.753     10 10.88.0.5 NONE_NONE/000 0 - error:transaction-end-before-headers - HIER_NONE/- -",
        "0 fine",
        "1787975454753 10 - error:transaction-end-before-headers - - - -",
    ),
    (
        "1787975454.753     10 10.88.0.5 NONE/400 3500 GET error:invalid-request - HIER_NONE/- text/html",
        "400 fine",
        "1787975454753 10 GET error:invalid-request - - - -",
    ),
    (
        "1787975454.753     10 10.88.0.5 TCP_MISS_ABORTED/200 0 GET http://a.example/ - TIMEOUT_HIER_DIRECT/10.0.0.1 -",
        "200 fine",
        "1787975454753 10 GET http://a.example/ a.example - - 10.0.0.1",
    ),
    (
        "1787975454.753     10 ::1 TCP_MISS/200 0 GET http://u:p@[2001:db8::1]:80/ joe bloggs HIER_DIRECT/10.0.0.1 text/plain",
        "200 fine",
        "1787975454753 10 GET http://u:p@[2001:db8::1]:80/ 2001:db8::1 - - 10.0.0.1",
    ),
    // log_mime_hdrs
    (
        "1787975454.753     10 ::1 TCP_MISS/504 0 GET http://a.example/ - HIER_NONE/- text/html [Host: a.example\\r\\n] [HTTP/1.1 504]",
        "504 proxy/unknown",
        "1787975454753 10 GET http://a.example/ a.example - - -",
    ),
    // Traffic Server's log of the same shape.
    (
        "1332362171.521 114 127.0.0.1 ERR_CONNECT_FAIL/502 890 GET http://blag.example/ - NONE/- text/html -",
        "502 proxy/connection_failed",
        "1332362171521 114 GET http://blag.example/ blag.example - - -",
    ),
    (
        "Nov 22 15:18:18 proxy7 squid[812]: 1787975454.753     10 ::1 TCP_HIT/200 0 GET http://a.example/ - HIER_NONE/- text/html",
        "200 fine",
        "1787975454753 10 GET http://a.example/ a.example proxy7 - -",
    ),
];

#[test]
fn native_lines() {
    for (line, want, fields) in LINES {
        assert_eq!(outcome_of("squid", line), *want, "{line}");
        assert_eq!(fields_of("squid", line), *fields, "{line}");
    }
}

#[test]
fn what_is_cut_or_something_else_is_refused_at_its_field() {
    let cases = [
        ("1787975454.753     10 ::1 TCP_MISS/50", "%03>Hs at 36: not what the format says"),
        (
            "1787975454.753     10 ::1 TCP_MISS/502 12 GET http://a.example/ - HIER_DI",
            "%Sh at 64: not what the format says",
        ),
        (
            "1787975454.753 x 10 ::1 TCP_MISS/502 12 GET http://a.example/ - HIER_DIRECT/- -",
            "%6tr at 15: not what the format says",
        ),
        ("2026/11/22 15:18:18 kid1| Starting Squid Cache", "%ts at 4: not what the format says"),
    ];
    for (line, want) in cases {
        let got = outcome_of("squid", line);
        let (field, reason) = (want.split(' ').next().unwrap(), want.split(": ").nth(1).unwrap());
        assert!(got.contains(reason), "{line}: {got}");
        assert!(got.starts_with(field) || line.starts_with("2026"), "{line}: {got}");
    }
}

#[test]
fn error_codes_say_why() {
    let setting = "squid:%ts.%03tu %6tr %Ss/%03>Hs %rm %ru %Sh/%<a %err_code/%err_detail";
    let cases = [
        ("503", "ERR_CONNECT_FAIL/errno=111", "503 proxy/connection_refused"),
        ("503", "ERR_CONNECT_FAIL/errno=110", "503 proxy/connection_timeout"),
        ("503", "ERR_CONNECT_FAIL/errno=113", "503 proxy/connection_failed"),
        ("503", "ERR_CONNECT_FAIL/-", "503 proxy/connection_failed"),
        ("503", "ERR_DNS_FAIL/-", "503 proxy/dns_error"),
        ("504", "ERR_READ_TIMEOUT/-", "504 proxy/connection_read_timeout"),
        ("502", "ERR_READ_ERROR/errno=104", "502 proxy/connection_terminated"),
        ("502", "ERR_READ_ERROR/-", "502 proxy/invalid_response"),
        ("502", "ERR_ZERO_SIZE_OBJECT/-", "502 proxy/connection_terminated"),
        ("502", "ERR_INVALID_RESP/-", "502 proxy/http_protocol_error"),
        ("502", "ERR_TOO_BIG/-", "502 proxy/http_response_header_section_size"),
        (
            "503",
            "ERR_SECURE_CONNECT_FAIL/SQUID_TLS_ERR_CONNECT+TLS_LIB_ERR=1408F10B",
            "503 proxy/tls_protocol_error",
        ),
        ("503", "ERR_SECURE_CONNECT_FAIL/X509_V_ERR_CERT_HAS_EXPIRED", "503 proxy/tls_certificate_error"),
        ("500", "ERR_CANNOT_FORWARD/-", "500 proxy/destination_unavailable"),
        ("502", "ERR_FTP_FAILURE/-", "502 proxy/unknown"),
        ("504", "ERR_ONLY_IF_CACHED_MISS/-", "504 fine"),
        ("503", "ERR_SHUTTING_DOWN/-", "503 fine"),
        ("403", "ERR_ACCESS_DENIED/-", "403 fine"),
        ("400", "ERR_INVALID_URL/-", "400 fine"),
        ("200", "ERR_READ_ERROR/errno=104", "200 aborted"),
        // None: the upstream's own.
        ("503", "-/-", "503 fine"),
        ("502", "-/-", "502 upstream/upstream_response"),
        ("200", "-/-", "200 fine"),
    ];
    for (status, error, want) in cases {
        let line = format!(
            "1787975454.753     10 TCP_MISS/{status} GET http://a.example/ HIER_DIRECT/10.0.0.1 {error}"
        );
        assert_eq!(outcome_of(setting, &line), want, "{line}");
    }
}

#[test]
fn what_the_upstream_sent_tells_who_answered() {
    let setting = "squid:%ts.%03tu %03>Hs %<Hs %Ss %<a:%<p %<pt \"%{Host}>h\"";
    let header = "squid:%ts %03>Hs %<Hs \"%{X-Brd-Err-Code}<h\"";
    assert_eq!(outcome_of(header, "1787975454 502 502 \"-\""), "502 upstream/upstream_response");
    assert_eq!(outcome_of(header, "1787975454 503 - \"target_40011\""), "503 proxy/unknown");
    let cases = [
        ("502 502 TCP_MISS", "502 upstream/upstream_response"),
        ("503 503 TCP_MISS", "503 fine"),
        ("503 - TCP_MISS", "503 proxy/unknown"),
        ("504 0 TCP_MISS", "504 proxy/unknown"),
        ("504 200 TCP_REFRESH_FAIL_ERR", "504 proxy/unknown"),
        ("000 - TCP_MISS_ABORTED", "0 abandoned"),
    ];
    for (values, want) in cases {
        let line = format!("1787975454.753 {values} 10.0.0.1:8080 12 \"a.example:80\"");
        assert_eq!(outcome_of(setting, &line), want, "{line}");
        assert_eq!(fields_of(setting, &line), "1787975454753 - - - a.example - - 10.0.0.1:8080");
    }
}

#[test]
fn other_caches_questions_are_no_requests() {
    let line = "1787975454.753      0 10.0.0.9 UDP_HIT/000 74 ICP_QUERY http://a.example/ - HIER_NONE/- -";
    assert_eq!(outcome_of("squid", line), "no record");
}

/// An old copy instead of an upstream that failed: the request ended well, an attempt did not.
#[test]
fn stale_copies_are_masked_failures() {
    let line = b"1787975454.753 10 ::1 TCP_REFRESH_FAIL_OLD/200 5 GET http://a.example/ - HIER_DIRECT/10.0.0.1 text/html";
    let format = format("squid");
    let mut context = context();
    let Ok(crate::Parsed::Record(record)) = format.parse(line, &mut context) else { panic!() };
    assert_eq!(outcome(&record), "200 fine");
    let Attempts::One(attempt) = record.attempts else { panic!("{:?}", record.attempts) };
    assert!(attempt.failure.is_some() && attempt.upstream == b"10.0.0.1");
}

#[test]
fn any_logformat() {
    let cases = [
        (
            "logformat own %tg %>Hs %ru",
            "22/Nov/2026:15:18:18 +0000 502 http://a.example/x",
            "502 unknown/unknown",
            "1795360698000 - - http://a.example/x a.example - - -",
        ),
        (
            "%{%Y-%m-%d %H:%M:%S}tl %-10Ss %3Hs %rm %>rd %rp",
            "2026-11-22 15:18:18 TCP_MISS   200 GET a.example /x",
            "200 fine",
            "1795360698000 - GET /x a.example - - -",
        ),
        (
            "%ts %tr %>Hs %[{User-Agent}>h %'un",
            "1795360698 7 503 a b c",
            "503 unknown/unknown",
            "1795360698000 7 - - - - - -",
        ),
        (
            "%http::>Hs %tS %ssl::bump_mode \"%ssl::>sni\"",
            "504 1795360698.757 peek \"a.example\"",
            "504 unknown/unknown",
            "1795360698757 - - - - - - -",
        ),
        (
            r#"logformat json {"time":"%tl","client":"%>a","ua":"%{User-Agent}>h","status":%>Hs}"#,
            r#"{"time":"22/Nov/2026:15:18:18 +0000","client":"::1","ua":"a \"b\"","status":502}"#,
            "502 unknown/unknown",
            "1795360698000 - - - - - - -",
        ),
        (
            "<14>%{%b %d %H:%M:%S}tl web squid[0]: %ts.%03tu %6tr %Ss %03Hs",
            "<14>Nov 22 16:18:18 web squid[0]: 1795360698.007      7 TCP_MISS 200",
            "200 fine",
            "1795360698007 7 - - - - - -",
        ),
        ("%ts%% %>Hs", "1795360698% 200", "200 fine", "1795360698000 - - - - - - -"),
    ];
    for (setting, line, want, fields) in cases {
        let setting = format!("squid:{setting}");
        assert_eq!(outcome_of(&setting, line), want, "{setting}");
        assert_eq!(fields_of(&setting, line), fields, "{setting}");
    }
}
