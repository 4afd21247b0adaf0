use crate::detect::detect;
use crate::formats::percent::tests::{
    context, cut_lines_give_no_other_status, each, fields_of, outcome, outcome_of, scenario, truth,
};

const NCSA: &[u8] = include_bytes!("../../../../tests/corpus/lab/varnish-ncsa.log");

#[test]
fn cut_lines_of_the_corpus() {
    cut_lines_give_no_other_status("varnish", NCSA);
}

#[test]
fn the_corpus_agrees_with_its_truth() {
    let mut seen = std::collections::BTreeMap::new();
    each("varnish", NCSA, |line, record| {
        let code = record.status.code().unwrap();
        let want = match code {
            502 | 504 => format!("{code} upstream/upstream_response"),
            503 => "503 unknown/unknown".to_owned(),
            code => format!("{code} fine"),
        };
        assert_eq!(outcome(record), want, "{line}");
        assert_eq!((record.method, record.site), (&b"GET"[..], &b"lab.example"[..]), "{line}");
        *seen.entry((scenario(line).to_owned(), code.to_string())).or_insert(0) += 1;
    });
    for (scenario, status, count) in truth("varnish") {
        let status = if status == "IncompleteRead" { "200".to_owned() } else { status };
        assert_eq!(seen.remove(&(scenario.clone(), status)), Some(count), "{scenario}");
    }
    assert!(seen.is_empty(), "{seen:?}");
}

#[test]
fn its_lines_are_told_by_their_hosts() {
    let lines: Vec<&[u8]> = NCSA.split(|b| *b == b'\n').collect();
    let found = detect(&lines, &context());
    assert_eq!(found.best().map(|best| best.format.name()), Some("varnish"));
    assert!(found.ambiguous.is_empty(), "{:?}", found.ambiguous);
    // A client that takes a web server for a proxy makes no Varnish of it.
    let path: &[u8] = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 200 5 "-" "x""#;
    let mut mixed = vec![path];
    mixed.extend(lines.iter().take(40));
    let found = detect(&mixed, &context());
    assert_eq!(found.best().map(|best| best.format.name()), Some("nginx:combined"));
    let garbage: &[u8] = br#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "-" 400 5 "-" "-""#;
    assert_eq!(detect(&[garbage], &context()).best().map(|best| best.format.name()), Some("nginx:combined"));
}

#[test]
fn a_path_without_its_host_is_refused() {
    let line = r#"203.0.113.7 - - [22/Nov/2026:15:18:28 +0000] "GET / HTTP/1.1" 200 5 "-" "x""#;
    assert_eq!(outcome_of("varnish", line), "%r at 46: Varnish names the host in it");
}

#[test]
fn any_format_of_varnishncsa() {
    let at = "[22/Nov/2026:15:18:28 +0000]";
    let cases = [
        (
            r#"%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-agent}i" %{Varnish:time_firstbyte}x %{Varnish:hitmiss}x %D"#,
            r#"::1 - - AT "GET http://a.example:80/x HTTP/1.1" 503 278 "-" "\"x\"" 0.000123 miss 1500123"#,
            "503 unknown/unknown",
            "1795360709500 1500 GET http://a.example:80/x a.example - - -",
        ),
        (
            r#"%t %s %{Varnish:handling}x %{VCL_Log:Backend}x %m http://%{Host}i%U%q %T"#,
            "AT 503 synth boot.default GET http://a.example/x?y 2",
            "503 proxy/unknown",
            "1795360710000 2000 GET /x?y a.example - - boot.default",
        ),
        (
            r#"%t %s "%{VSL:FetchError}x" %{VSL:BackendOpen[2]}x"#,
            r#"AT 503 "first byte timeout" boot.b1"#,
            "503 proxy/connection_read_timeout",
            "1795360708000 - - - - - - boot.b1",
        ),
        (
            r#"%t %s "%{VSL:FetchError}x""#,
            r#"AT 503 "no backend connection""#,
            "503 proxy/connection_failed",
            "1795360708000 - - - - - - -",
        ),
        (
            r#"%{%F %T}t %s\t%{x}o"#,
            "2026-11-22 15:18:28 200\tabc def",
            "200 fine",
            "1795360708000 - - - - - - -",
        ),
        (
            r#"%t %s %{VCL_Log:backend}x"#,
            "AT 504 -",
            "504 upstream/upstream_response",
            "1795360708000 - - - - - - -",
        ),
    ];
    for (setting, line, want, fields) in cases {
        let (setting, line) = (format!("varnish:{setting}"), line.replace("AT", at));
        assert_eq!(outcome_of(&setting, &line), want, "{setting}");
        assert_eq!(fields_of(&setting, &line), fields, "{setting}");
    }
}
