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
    (corpus!("nginx-haproxy/nginx-error.log"), "nginx-error"),
    (corpus!("nginx-haproxy/nginx-error.syslog"), "nginx-error"),
    (corpus!("nginx-haproxy/nginx-stream.log"), ""),
    (corpus!("lab/nginx-error.log"), "nginx-error"),
    (corpus!("lab/apache-error.log"), "apache-error"),
];

const NGINX_FILES: &[((&str, &[u8]), &str)] = &[
    (corpus!("nginx-haproxy/nginx-access.syslog"), "nginx:combined_upstream"),
    (corpus!("nginx-haproxy/nginx-combined.log"), "nginx:combined"),
    (corpus!("nginx-haproxy/nginx-escape-none.log"), "nginx:combined"),
    (corpus!("nginx-haproxy/nginx-ingress.log"), "nginx:upstreaminfo"),
    (corpus!("nginx-haproxy/nginx-upstream.log"), "nginx:combined_upstream"),
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
