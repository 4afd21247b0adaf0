use proptest::prelude::*;

use super::super::built_in::BUILT_IN;
use super::super::spec;
use super::super::steps::{self, empty};
use super::*;

const MORE: &[&str] = &[
    "[$time_local] $status $upstream_addr $upstream_response_time $upstream_status $request_time",
    "$msec $status [$upstream_cache_status] ($upstream_addr) $upstream_status : $request_time",
    r#"head "$upstream_status" "$upstream_addr" $status.$request_time-$msec"#,
    r#"escape=none [$time_local] "$request" $status "$upstream_connect_time" "$http_user_agent""#,
];

/// What a value may be, ill-fitting ones among them.
fn value(name: &str) -> BoxedStrategy<String> {
    let list = "(-|[0-9]\\.[0-9]{3}|[0-9]{1,9})((, | : | :|,)(-|[0-9.]{1,9})?){0,2}";
    let text = prop_oneof!["[a-zA-Z0-9/.-]{0,12}", "[a-z \\]\\[|:,]{0,40}", Just("-".to_owned())];
    match name.trim_start_matches('$') {
        "time_local" => Just("22/Nov/2026:14:53:53 +0000".to_owned()).boxed(),
        "time_iso8601" => Just("2026-11-22T14:53:53+00:00".to_owned()).boxed(),
        "status" => prop_oneof![4 => "[0-9]{3}", 1 => "[0-9-]{0,4}"].boxed(),
        "upstream_status" => prop_oneof!["[0-9]{3}", "([0-9]{3}|-)((, | : )([0-9]{3}|-)?){0,2}"].boxed(),
        "upstream_addr" => {
            prop_oneof!["[0-9.]{3,12}:[0-9]{2}", "-", "[a-z_/:.]{1,20}((, | : )[a-z:]{0,8}){0,2}"].boxed()
        }
        "request" => prop_oneof!["[A-Z]{1,8} /[a-z ]{0,20} HTTP/[0-9. ]{3}", text].boxed(),
        name if name.contains("time") || name == "msec" || name.contains("length") => {
            prop_oneof![3 => "[0-9]\\.[0-9]{3}", 1 => "[0-9.-]{0,10}", 2 => list].boxed()
        }
        _ => text.boxed(),
    }
}

fn line() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let formats = BUILT_IN.iter().map(|known| known.log_format).chain(MORE.iter().copied());
    let formats: Vec<_> = formats.collect();
    let damage =
        (any::<prop::sample::Index>(), prop_oneof![Just(b'"'), Just(b' '), Just(b'-'), any::<u8>()], 0..4);
    (prop::sample::select(formats), damage).prop_flat_map(|(format, (at, byte, how))| {
        let spec = spec::compile(format).unwrap();
        let values: Vec<_> = spec.steps.iter().map(|step| value(&step.name)).collect();
        let literals: Vec<_> = spec.steps.iter().map(|step| step.literal.text().to_vec()).collect();
        let head = spec.head.text().to_vec();
        values.prop_map(move |values| {
            let mut line = head.clone();
            for (value, literal) in values.iter().zip(&literals) {
                line.extend_from_slice(value.as_bytes());
                line.extend_from_slice(literal);
            }
            match how {
                1 if !line.is_empty() => {
                    let at = at.index(line.len());
                    line[at] = byte;
                }
                2 => line.truncate(at.index(line.len() + 1)),
                3 => line.insert(at.index(line.len() + 1), byte),
                _ => {}
            }
            (format, line)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_quick_way_reads_as_the_steps_do((format, line) in line()) {
        let spec = spec::compile(format).unwrap();
        let (mut quick, mut slow) = (empty(), empty());
        if read(&spec.head, &spec.steps, &line, &mut quick).is_some() {
            let refused = steps::read(&spec.head, &spec.steps, &line, &mut slow).err();
            prop_assert!(refused.is_none(), "{:?}", refused);
            prop_assert_eq!(quick, slow);
        }
    }

    #[test]
    fn runs_end_where_bytes_do_not_fit(text in "[-.0-9/,: \"a\\x00]{0,9}") {
        let text = text.as_bytes();
        for low in [b'-', b'.', b'0'] {
            let fits = |b: &u8| b.is_ascii_digit() || (low..=b'.').contains(b);
            let want = text.iter().position(|b| !fits(b)).unwrap_or(text.len()).min(8);
            prop_assert_eq!(run(word_at(text, 0), low), want);
        }
    }
}

#[test]
fn usual_lines_take_the_quick_way() {
    let start = r#"10.1.154.5 - - [01/Nov/2026:00:00:00 +0000] "GET /v1?page=3 HTTP/1.1" 200 3463 "https://e/" "Mozilla/5.0 (X11; Linux)""#;
    let cases = [
        ("combined", ""),
        (
            "combined_upstream",
            r#" rt=0.019 uct="0.001" uht="0.019" urt="0.019" ua="10.0.2.14:8080" us="200""#,
        ),
        ("combined_upstream", r#" rt=0.019 uct="-" uht="-" urt="12.345" ua="a:1, b:2" us="502, 502""#),
        ("upstreaminfo", " 512 0.019 [default-svc-80] [] 10.0.2.14:8080 3463 0.019 200 a54eb6e7"),
        ("main_ext", r#" "-" "e" sn="e" rt=0.019 ua="10.0.2.14:8080" us="200" ut="0.019" ul="3463" cs=-"#),
    ];
    for (name, tail) in cases {
        let known = BUILT_IN.iter().find(|known| known.name == name).unwrap();
        let spec = spec::compile(known.log_format).unwrap();
        let line = format!("{start}{tail}");
        assert!(read(&spec.head, &spec.steps, line.as_bytes(), &mut empty()).is_some(), "{line}");
    }
}
