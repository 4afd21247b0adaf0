use super::*;
use proptest::prelude::*;

/// What comes out of these lines, one by one, and at the end.
fn unwrapped(runtime: Runtime, lines: &[&[u8]]) -> Vec<String> {
    let mut unwrapper = Unwrapper::new(runtime);
    let mut out = Vec::new();
    for line in lines {
        out.extend(unwrapper.line(line).map(|l| String::from_utf8_lossy(l).into_owned()));
    }
    while let Some(line) = unwrapper.finish() {
        out.push(String::from_utf8_lossy(line).into_owned());
    }
    out
}

#[test]
fn who_wrapped_it() {
    let docker = br#"{"log":"127.0.0.1 - - [x]\n","stream":"stdout","time":"2026-11-22T14:54:06.9Z"}"#;
    let cri = b"2026-11-22T14:54:06.958885Z stdout F 127.0.0.1 - - [x]";
    let table: [(&[u8], Option<Runtime>); 12] = [
        (docker, Some(Runtime::Docker)),
        (cri, Some(Runtime::Cri)),
        (b"2026-11-22T14:54:06.958885+01:00 stderr P:x y", Some(Runtime::Cri)),
        (b"\n\n2026-11-22T14:54:06Z stdout F\n", Some(Runtime::Cri)),
        (b"", None),
        (b"\0\0\n", None),
        (br#"{"log":"a","status":200}"#, None),
        (br#"{"time":"2026-11-22T14:53:53+00:00","status":"200"}"#, None),
        (b"2026-11-22T14:54:06.958885Z stdout X a", None),
        (b"2026-11-22T14:54:06.958885Z host haproxy[1]: a", None),
        (b"127.0.0.1 stdout F a", None),
        (b"127.0.0.1 - - [22/Nov/2026:14:53:53 +0000]", None),
    ];
    for (head, runtime) in table {
        assert_eq!(Runtime::of(head), runtime, "{}", String::from_utf8_lossy(head));
    }
    // Few such lines among others are the others' affair.
    assert_eq!(Runtime::of(&[&cri[..], b"\na\nb\nc\n"].concat()), None);
    assert_eq!(Runtime::of(&[&cri[..], b"\n", cri, b"\n1 a\n"].concat()), Some(Runtime::Cri));
}

#[test]
fn parts_are_joined_each_stream_for_itself() {
    let lines: [&[u8]; 7] = [
        b"2026-11-22T14:54:06Z stdout P one, ",
        b"2026-11-22T14:54:06Z stderr P error, ",
        b"2026-11-22T14:54:06Z stdout F two",
        b"no wrapping",
        b"2026-11-22T14:54:06Z stderr F and end",
        b"2026-11-22T14:54:06Z stdout F ",
        b"2026-11-22T14:54:06Z stdout P begun",
    ];
    assert_eq!(unwrapped(Runtime::Cri, &lines), ["one, two", "no wrapping", "error, and end", "", "begun"]);
    let lines: [&[u8]; 5] = [
        br#"{"log":"one, ","stream":"stdout","time":"t"}"#,
        br#"{"log":"error\n","stream":"stderr","time":"t"}"#,
        br#"{"log":"two\n","stream":"stdout","attrs":{"a":"b"},"time":"t"}"#,
        br#"{"log":"three\r\n","stream":"stdout","time":"t"}"#,
        br#"{"log":"begun","stream":"stderr","time":"t"}"#,
    ];
    assert_eq!(unwrapped(Runtime::Docker, &lines), ["error", "one, two", "three", "begun"]);
}

#[test]
fn escapes() {
    for (escaped, text) in [
        (r#"\"GET / HTTP\/1.1\" \\x22"#, r#""GET / HTTP/1.1" \x22"#),
        (r"\u003chtml\u003e \u00fc \ud83d\ude00", "<html> ü 😀"),
        (r"\ud83d \ude00 \ud83d\u0041", "\u{fffd} \u{fffd} \u{fffd}A"),
        (r"a\tb\u001bc\b\f", "a\tb\u{1b}c\u{8}\u{c}"),
        (r"two\nlines", "two lines"),
    ] {
        let line = format!(r#"{{"log":"{escaped}\n","stream":"stdout","time":"t"}}"#);
        assert_eq!(unwrapped(Runtime::Docker, &[line.as_bytes()]), [text], "{escaped}");
    }
    // Broken, or cut at the cap of a line: what is there, once.
    for (line, text) in [
        (r#"{"log":"cut \"he"#, "cut \"he"),
        (r#"{"log":"cut \u00"#, "cut "),
        (r#"{"log":"cut \"#, "cut "),
        (r#"{"log":"a\n","status":1}"#, r#"{"log":"a\n","status":1}"#),
        (r#"{"log":1}"#, r#"{"log":1}"#),
    ] {
        assert_eq!(unwrapped(Runtime::Docker, &[line.as_bytes()]), [text], "{line}");
    }
}

#[test]
fn a_line_of_endless_parts_is_cut() {
    let part = [b"2026-11-22T14:54:06Z stdout P ", &[b'x'; 16_384][..]].concat();
    let mut unwrapper = Unwrapper::new(Runtime::Cri);
    for _ in 0..1_000 {
        assert_eq!(unwrapper.line(&part), None);
    }
    assert!(unwrapper.begun[0].capacity() <= 2 * LINE_MAX + 64);
    assert_eq!(unwrapper.line(b"2026-11-22T14:54:06Z stdout F end").map(<[u8]>::len), Some(LINE_MAX));
    assert_eq!(unwrapper.line(b"2026-11-22T14:54:06Z stdout F next"), Some(&b"next"[..]));
}

#[test]
fn what_was_begun_is_kept_across_a_restart() {
    let mut unwrapper = Unwrapper::new(Runtime::Cri);
    assert_eq!(unwrapper.line(b"2026-11-22T14:54:06Z stdout P one, "), None);
    let saved = serde_json::to_string(&unwrapper).unwrap();
    let mut again: Unwrapper = serde_json::from_str(&saved).unwrap();
    assert_eq!(again, unwrapper);
    assert_eq!(again.line(b"2026-11-22T14:54:06Z stdout F two"), Some(&b"one, two"[..]));
}

proptest! {
    /// Whatever is written comes out again, however the runtime cuts it.
    #[test]
    fn wrapping_changes_nothing(
        lines in prop::collection::vec(("[ -~é\t\"\\\\<]{0,60}", any::<bool>()), 0..12),
        sizes in prop::collection::vec(1usize..30, 12),
        docker: bool,
    ) {
        let runtime = if docker { Runtime::Docker } else { Runtime::Cri };
        let mut wrapped = Vec::new();
        for ((line, error), size) in lines.iter().zip(sizes) {
            let letters: Vec<char> = line.chars().collect();
            let mut parts: Vec<String> = letters.chunks(size).map(|part| part.iter().collect()).collect();
            let last = parts.pop().unwrap_or_default();
            let stream = if *error { "stderr" } else { "stdout" };
            let all = parts.iter().map(|p| (p, false)).chain([(&last, true)]);
            for (part, ends) in all {
                wrapped.push(if docker {
                    let log = serde_json::to_string(&format!("{part}{}", if ends { "\n" } else { "" })).unwrap();
                    format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"2026-11-22T14:54:06.9Z\"}}")
                } else {
                    format!("2026-11-22T14:54:06.9Z {stream} {} {part}", if ends { 'F' } else { 'P' })
                });
            }
        }
        let wrapped: Vec<&[u8]> = wrapped.iter().map(String::as_bytes).collect();
        let expected: Vec<String> = lines.into_iter().map(|l| l.0).collect();
        prop_assert_eq!(unwrapped(runtime, &wrapped), expected);
    }

    #[test]
    fn no_bytes_break_it(lines in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "\\{\"log\":\"[ -~]{0,40}".prop_map(String::into_bytes),
        "2026-11-22T14:54:06Z std(out|err) [FPX:]{0,3} [ -~]{0,20}".prop_map(String::into_bytes),
    ], 0..8), docker: bool) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        unwrapped(if docker { Runtime::Docker } else { Runtime::Cri }, &lines);
        let _ = Runtime::of(&lines.join(&b'\n'));
    }
}
