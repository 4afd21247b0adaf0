//! nginx's logs of the corpus, against nginx's own account of what happened.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test outside the crate reads its corpus and fails aloud"
)]

use std::collections::BTreeMap;
use std::path::Path;

use gatewatch_parsers::formats::{self, Format};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Cause, Context, Origin, Outcome, Parsed, Reason, Record, Zone};
use proptest::prelude::*;

fn corpus(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus").join(path)).unwrap()
}

fn lines(path: &str) -> Vec<Vec<u8>> {
    Lines::new(&corpus(path), true).map(<[u8]>::to_vec).collect()
}

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

const NONE: &str = r#"nginx:escape=none $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// Each corpus file of nginx's, and the format that reads it.
const FILES: &[(&str, &str)] = &[
    ("nginx-haproxy/nginx-combined.log", "nginx:combined"),
    ("nginx-haproxy/nginx-upstream.log", "nginx:combined_upstream"),
    ("nginx-haproxy/nginx-ingress.log", "nginx:upstreaminfo"),
    ("nginx-haproxy/nginx-json.log", "nginx:json_upstream"),
    ("nginx-haproxy/nginx-escape-none.log", NONE),
    ("nginx-haproxy/nginx-access.syslog", "nginx:combined_upstream"),
    ("lab/nginx-combined.log", "nginx:combined"),
    ("lab/nginx-main_ext.log", "nginx:main_ext"),
    ("lab/nginx-timed.log", "nginx:timed"),
    ("lab/nginx-json.log", "nginx:json"),
];

fn format(setting: &str) -> Box<dyn Format> {
    formats::compile(setting).unwrap_or_else(|e| panic!("{setting}: {e}"))
}

/// Calls with the record of every line; panics at a line that is none.
fn for_each_record(path: &str, setting: &str, mut each: impl FnMut(usize, &Record<'_>)) {
    let (format, mut context) = (format(setting), context());
    for (i, line) in lines(path).iter().enumerate() {
        match format.parse(line, &mut context) {
            Ok(Parsed::Record(record)) => each(i, &record),
            other => panic!("{path}:{}: {other:?}\n{}", i + 1, String::from_utf8_lossy(line)),
        }
    }
}

/// `addr=status` of every attempt, a group name in brackets.
fn attempts(record: &Record<'_>) -> String {
    let shown = record.attempts.iter().map(|a| {
        let name =
            String::from_utf8_lossy(if a.upstream.is_empty() { a.pool } else { a.upstream }).into_owned();
        let name = if a.upstream.is_empty() { format!("[{name}]") } else { name };
        format!("{name}={}", a.status.code().map_or("-".to_owned(), |c| c.to_string()))
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// What `nginx-truth.tsv` says: status, and attempts as `attempts` shows them.
fn truth() -> Vec<(u16, String)> {
    let text = String::from_utf8(corpus("nginx-haproxy/nginx-truth.tsv")).unwrap();
    let line = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        let items = |list: &str| list.replace(" : ", ", ").split(", ").map(str::to_owned).collect::<Vec<_>>();
        let pairs = items(fields[3]).into_iter().zip(items(fields[2]));
        let pairs = pairs.filter(|(addr, status)| !(addr.is_empty() || addr == "-" && status == "-"));
        let shown = pairs.map(|(addr, status)| {
            if addr.contains(':') { format!("{addr}={status}") } else { format!("[{addr}]={status}") }
        });
        (fields[1].parse().unwrap(), shown.collect::<Vec<_>>().join(" "))
    };
    text.lines().map(line).collect()
}

#[test]
fn every_format_tells_the_same_statuses_and_attempts() {
    let truth = truth();
    for (path, setting) in FILES.iter().filter(|(path, _)| path.starts_with("nginx-haproxy/")) {
        let knows_upstream = format(setting).knows_upstream();
        let mut count = 0;
        for_each_record(path, setting, |i, record| {
            let (status, tried) = &truth[i];
            assert_eq!(record.status.code(), Some(*status), "{path}:{}", i + 1);
            if knows_upstream {
                assert_eq!(attempts(record), *tried, "{path}:{}", i + 1);
            }
            count += 1;
        });
        assert_eq!(count, 74, "{path}");
    }
}

/// nginx's own JSON log, read by a JSON parser, is the oracle for the fields of the others.
#[test]
fn fields_equal_nginxs_own_json() {
    let oracle = lines("nginx-haproxy/nginx-json.log");
    let oracle: Vec<serde_json::Value> =
        oracle.iter().map(|l| serde_json::from_str(&String::from_utf8_lossy(l)).unwrap()).collect();
    for (path, setting) in FILES.iter().filter(|(path, _)| path.starts_with("nginx-haproxy/")) {
        for_each_record(path, setting, |i, record| {
            let text = |key: &str| oracle[i][key].as_str().unwrap().to_owned();
            let end: f64 = text("msec").parse().unwrap();
            let end = (end * 1_000.0).round() as i64;
            let exact = setting.ends_with("json_upstream");
            assert_eq!(record.end, if exact { end } else { end / 1_000 * 1_000 }, "{path}:{}", i + 1);
            if let Some(request_time) = record.request_time {
                let rt: f64 = text("rt").parse().unwrap();
                assert_eq!(request_time, (rt * 1_000.0).round() as u32, "{path}:{}", i + 1);
            }
            let method = text("method");
            // nginx knows no method of a request that it could not read; the line shows its first word.
            if !method.is_empty() {
                assert_eq!(record.method, method.as_bytes(), "{path}:{}", i + 1);
            }
            let uri = text("uri");
            if uri.is_ascii()
                && !uri.contains(['"', '\\', '\0'])
                && !uri.is_empty()
                && !text("request").contains("http://")
            {
                assert_eq!(String::from_utf8_lossy(record.path), uri, "{path}:{}", i + 1);
            }
            if exact {
                assert_eq!((record.site, record.node), (text("host").as_bytes(), &b"vm"[..]));
            }
            if path.ends_with(".syslog") {
                assert_eq!(record.node, b"vm");
            }
        });
    }
}

/// What the upstream of each scenario did, and what the variables of the format can show of it.
#[test]
fn causes_are_those_of_the_scenarios() {
    let p = Cause::proxy;
    let exact: BTreeMap<&str, Cause> = BTreeMap::from([
        ("u_nounix", p(Reason::ConnectionFailed)),
        ("u_refused", p(Reason::ConnectionFailed)),
        ("u_two_refused", p(Reason::ConnectionFailed)),
        ("u_nolive", p(Reason::ConnectionFailed)),
        ("u_nolive2", p(Reason::DestinationUnavailable)),
        ("u_nolive3", p(Reason::DestinationUnavailable)),
        ("u_blackhole_refused", p(Reason::ConnectionFailed)),
        ("u_close", p(Reason::InvalidResponse)),
        ("u_rst", p(Reason::InvalidResponse)),
        ("u_hang", p(Reason::ConnectionReadTimeout)),
        ("u_garbage", p(Reason::HttpProtocolError)),
        ("u_badstatus", p(Reason::HttpProtocolError)),
        ("u_badhdr", p(Reason::InvalidResponse)),
        ("u_badhdr2", p(Reason::InvalidResponse)),
        ("u_bighdr", p(Reason::InvalidResponse)),
        ("u_halfhdr", p(Reason::InvalidResponse)),
        ("u_e502", Cause::upstream()),
        ("u_e504", Cause::upstream()),
        ("u_blackhole", p(Reason::ConnectionTimeout)),
        ("tls_mismatch", p(Reason::ConnectionTimeout)),
        ("tls_verify", p(Reason::ConnectionFailed)),
        ("dns_nx", p(Reason::Unknown)),
        ("dns_servfail", p(Reason::Unknown)),
        ("dns_silent", p(Reason::Unknown)),
        ("fb_down", p(Reason::Unknown)),
        ("r502", p(Reason::Unknown)),
        ("post_hang_ok", p(Reason::ConnectionReadTimeout)),
        ("v6client", p(Reason::ConnectionFailed)),
    ]);
    for (path, setting) in FILES.iter().filter(|(path, _)| path.starts_with("nginx-haproxy/")) {
        let has_times = !path.contains("ingress") && format(setting).knows_upstream();
        let mut seen = 0;
        for_each_record(path, setting, |i, record| {
            let Some(cause) = record.outcome.gateway_error() else { return };
            seen += 1;
            let uri = String::from_utf8_lossy(record.path).into_owned();
            let scenario = uri.split("sc=").nth(1).unwrap_or_default();
            let truth = exact.get(scenario).unwrap_or_else(|| panic!("{path}:{}: {uri}", i + 1));
            if has_times {
                assert_eq!(cause, *truth, "{path}:{}", i + 1);
            }
            // Whatever the format lacks: coarser, never otherwise.
            assert!(
                cause.origin == truth.origin || cause.origin == Origin::Unknown,
                "{path}:{}: {cause:?}",
                i + 1
            );
            assert!(
                cause.reason == truth.reason || cause.reason == Reason::Unknown,
                "{path}:{}: {cause:?}",
                i + 1
            );
        });
        assert_eq!(seen, exact.len(), "{path}");
    }
}

#[test]
fn abandoned_and_masked() {
    for (path, setting) in FILES.iter().filter(|(path, _)| path.starts_with("nginx-haproxy/")) {
        let (mut abandoned, mut masked) = (0, 0);
        for_each_record(path, setting, |_, record| {
            abandoned += usize::from(record.outcome == Outcome::Abandoned);
            let is_fine = record.outcome == Outcome::Fine;
            masked += usize::from(is_fine && record.attempts.iter().any(|a| a.failure.is_some()));
        });
        assert_eq!(abandoned, 2, "{path}");
        assert_eq!(masked, if format(setting).knows_upstream() { 9 } else { 0 }, "{path}");
    }
}

#[test]
fn the_lab_counts_what_the_clients_saw() {
    let p = Cause::proxy;
    // Path, status, cause with connect and header times, cause with less.
    let fine: &[(&str, Option<Cause>, Option<Cause>)] = &[
        ("refuse", Some(p(Reason::ConnectionFailed)), Some(Cause::UNKNOWN)),
        ("reset", Some(p(Reason::InvalidResponse)), Some(Cause::UNKNOWN)),
        ("timeout", Some(p(Reason::ConnectionReadTimeout)), Some(Cause::UNKNOWN)),
        ("garbage", Some(p(Reason::HttpProtocolError)), Some(p(Reason::HttpProtocolError))),
        ("partial", Some(p(Reason::InvalidResponse)), Some(Cause::UNKNOWN)),
        ("bighdr", Some(p(Reason::InvalidResponse)), Some(Cause::UNKNOWN)),
        ("own502", Some(Cause::upstream()), Some(Cause::UNKNOWN)),
        ("own504", Some(Cause::upstream()), Some(Cause::UNKNOWN)),
        ("unix", Some(p(Reason::ConnectionFailed)), Some(Cause::UNKNOWN)),
        ("v6", Some(p(Reason::ConnectionFailed)), Some(Cause::UNKNOWN)),
        ("tls", Some(p(Reason::ConnectionTimeout)), Some(Cause::UNKNOWN)),
        ("dns", Some(p(Reason::Unknown)), Some(p(Reason::Unknown))),
        ("ok", None, None),
        ("slow", None, None),
        ("short", None, None),
        ("retry", None, None),
    ];
    for (path, setting) in FILES.iter().filter(|(path, _)| path.starts_with("lab/")) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut errors = 0;
        for_each_record(path, setting, |_, record| {
            let uri = String::from_utf8_lossy(record.path).into_owned();
            let name = uri.split('/').nth(1).unwrap_or_default().to_owned();
            *seen.entry(name.clone()).or_default() += 1;
            let cause = record.outcome.gateway_error();
            errors += usize::from(cause.is_some());
            let Some((_, full, less)) = fine.iter().find(|(n, _, _)| *n == name) else { return };
            let want = if path.contains("timed") { *full } else { *less };
            let shows_length = path.contains("main_ext");
            match name.as_str() {
                "own502" | "own504" if shows_length => assert_eq!(cause, Some(Cause::upstream()), "{path}"),
                "dns" if !format(setting).knows_upstream() => assert_eq!(cause, Some(Cause::UNKNOWN)),
                _ => assert_eq!(cause, want, "{path} {uri}"),
            }
        });
        // 3 of each of the paths that fail, `nolive` among them.
        assert_eq!(errors, 39, "{path}");
        assert!(fine.iter().all(|(name, _, _)| seen[*name] == 3), "{path}: {seen:?}");
    }
}

/// The statuses of a file's lines, by a reader that knows only where the file's own format puts them.
fn statuses(path: &str, setting: &str) -> Vec<Option<u16>> {
    let mut statuses = Vec::new();
    for_each_record(path, setting, |_, record| statuses.push(record.status.code()));
    statuses
}

#[test]
fn every_prefix_has_the_same_status_or_none() {
    for (path, setting) in FILES {
        let (format, mut context) = (format(setting), context());
        for (line, status) in lines(path).iter().zip(statuses(path, setting)) {
            // A long line's middle is one letter repeated.
            let ends = (0..line.len()).filter(|end| *end < 600 || line.len() - end < 300 || end % 97 == 0);
            for end in ends {
                if let Ok(Parsed::Record(record)) = format.parse(&line[..end], &mut context) {
                    let prefix = String::from_utf8_lossy(&line[..end]);
                    assert_eq!(record.status.code(), status, "{path}: {prefix}");
                    let _ = record.attempts.iter().count();
                }
                let _ = format.explain(&line[..end.min(300)], &mut context);
            }
        }
    }
}

#[test]
fn no_other_built_in_reads_a_wrong_status() {
    let kind = formats::FORMATS.iter().find(|kind| kind.name == "nginx").unwrap();
    let built_in = (kind.built_in)();
    for (path, setting) in FILES {
        let statuses = statuses(path, setting);
        for format in &built_in {
            let mut context = context();
            for (line, status) in lines(path).iter().zip(&statuses) {
                if let Ok(Parsed::Record(record)) = format.parse(line, &mut context) {
                    assert_eq!(record.status.code(), *status, "{path} as {}", format.name());
                }
            }
        }
        // The first built-in format that reads every line is the file's own.
        if !setting.contains('$') {
            let lines = lines(path);
            let mut context = context();
            let first =
                built_in.iter().find(|f| lines.iter().all(|line| f.parse(line, &mut context).is_ok()));
            assert_eq!(first.map(|f| f.name()), Some(*setting), "{path}");
        }
    }
}

#[test]
fn explain_shows_every_field_with_its_place() {
    for (path, setting) in FILES {
        let (format, mut context) = (format(setting), context());
        for line in lines(path) {
            let fields = format.explain(&line, &mut context);
            assert!(fields.iter().any(|field| field.name == "$status"), "{path}: {fields:?}");
            for field in fields {
                assert_eq!(
                    &line[field.at..field.at + field.value.len()],
                    field.value,
                    "{path} {}",
                    field.name
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_never_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (_, setting) in FILES {
            let (format, mut context) = (format(setting), context());
            let _ = format.parse(&line, &mut context);
            let _ = format.explain(&line, &mut context);
        }
    }

    /// What a client sends, escaped as nginx escapes it, changes no status.
    #[test]
    fn no_client_chooses_its_status(
        request in client_text(), referer in client_text(), agent in client_text(), user in client_text(),
    ) {
        let line = format!(
            "1.2.3.4 - {user} [22/Nov/2026:14:53:53 +0000] \"{request}\" 200 6 \"{referer}\" \"{agent}\" rt=0.001 \
             uct=\"0.000\" uht=\"0.000\" urt=\"0.000\" ua=\"127.0.0.1:41701\" us=\"200\"",
        );
        let (format, mut context) = (format("nginx:combined_upstream"), context());
        let parsed = format.parse(line.as_bytes(), &mut context);
        let Ok(Parsed::Record(record)) = parsed else { return Err(TestCaseError::fail(format!("{line}: {parsed:?}"))) };
        prop_assert_eq!(record.status.code(), Some(200));
        prop_assert_eq!(record.attempts.last().map(|a| a.upstream), Some(&b"127.0.0.1:41701"[..]));
    }

    /// With `escape=none` it may make its line unreadable, and no more.
    #[test]
    fn without_escapes_a_line_is_right_or_refused(agent in raw_text(), request in raw_text()) {
        let line = format!("1.2.3.4 -  [22/Nov/2026:14:53:53 +0000] \"GET /{request} HTTP/1.1\" 200 6 \"\" \"{agent}\"");
        let (format, mut context) = (format(NONE), context());
        if let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context) {
            prop_assert_eq!(record.status.code(), Some(200), "{}", line);
        }
    }
}

/// Text of the pieces that fake lines are made of, with quotes and backslashes as `escape=default` writes them.
fn client_text() -> impl Strategy<Value = String> {
    raw_text().prop_map(|text| text.replace('\\', "\\x5C").replace('"', "\\x22"))
}

fn raw_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\""),
        Just("\" 502 157 \""),
        Just("\" \""),
        Just(" "),
        Just("\\"),
        Just("-"),
        Just(" - "),
        Just("] \""),
        Just(" [22/Nov/2026:14:53:53 +0000] \"GET / HTTP/1.1\" 502 157 \"-\" \"x"),
        Just(" 504 "),
        Just("us=\"502\""),
        Just(" : "),
        Just(", "),
        Just("GET /fake HTTP/1.1"),
        Just("a"),
        Just("%22"),
        Just("1.2.3.4 - - ["),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// A full disk cuts a line anywhere, and the next one is glued to it: never a request that was not.
#[test]
fn a_cut_line_with_the_next_one_glued_to_it() {
    let mut tried = 0;
    for (path, setting) in FILES {
        let format = format(setting);
        let all = lines(path);
        let first = &all[0];
        let Ok(Parsed::Record(whole)) = format.parse(first, &mut context()) else { panic!("{path}") };
        let whole = (whole.status, whole.end);
        for second in all.iter().skip(1).take(3) {
            let Ok(Parsed::Record(other)) = format.parse(second, &mut context()) else { continue };
            let other = (other.status, other.end);
            for cut in 1..first.len() {
                let glued = [&first[..cut], second].concat();
                if let Ok(Parsed::Record(record)) = format.parse(&glued, &mut context()) {
                    // Where nothing tells fields apart but their order, the time may be the one's, the rest the other's.
                    let is_known = (record.status == whole.0 || record.status == other.0)
                        && (record.end == whole.1 || record.end == other.1);
                    assert!(is_known, "{path}: {record:?} in {}", String::from_utf8_lossy(&glued));
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
}
