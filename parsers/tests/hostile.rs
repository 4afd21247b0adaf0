//! What a writer, a shipper or a client can do to a line, to lines of every format at once: nothing panics, no other
//! status than the line shows comes of it, and whatever is refused says which field of the product it stumbled over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test outside the crate fails aloud")]

use std::collections::BTreeMap;

use gatewatch_parsers::formats::{self, FORMATS, Format};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Outcome, Parsed, Zone};

/// `> setting | …` and the line, as in the formats' page.
const SAMPLES: &str = include_str!("formats_doc/samples.txt");

/// Settings of one's own, and names that the page does not have.
const MORE: &[(&str, &str)] = &[
    (
        "pattern:<client> [<time>] \"<request>\" <status> <upstream>",
        r#"1.2.3.4 [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 502 10.0.0.1:80"#,
    ),
    (r"regex:^(?<time>\S+) (?<status>\d+) (?<upstream>\S+)$", "2026-11-22T14:53:53Z 502 10.0.0.1:80"),
    (
        "json:time=at,status=code,upstream=to",
        r#"{"at":"2026-11-22T14:53:53Z","code":502,"to":"10.0.0.1:80"}"#,
    ),
    (
        "haproxy:%ci:%cp [%trl] %ft %b/%s %ST %ts %{+Q}r",
        r#"1.2.3.4:5 [22/Nov/2026:14:53:53 +0000] fe be/s1 503 SC "GET / HTTP/1.1""#,
    ),
    ("haproxy", r#"1.2.3.4:46318 [22/Nov/2026:14:54:25.582] fe_tcp t_ref/s1 1/-1/1001 0 SC 1/1/0/0/1 0/0"#),
    (
        "haproxy",
        r#"1.2.3.4 - - [22/Nov/2026:14:54:25 +0000] "GET / HTTP/1.1" 503 217 "" "" 5 582 "fe" "be" "s1" 0 0 -1 -1 0 "SC--" 1 1 0 0 0 0 0 "-" "-" "" """#,
    ),
    (
        "envoy:[%START_TIME%] %REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_HOST%",
        "[2026-11-22T14:53:53.123Z] GET 503 UF 10.0.0.1:80",
    ),
    (
        "envoy",
        r#"[2022-09-01T13:15:09.085Z] "GET /reviews/0 HTTP/1.1" 503 UF upstream_reset_before_response_started{connection_failure,delayed_connect_error:_111} - "-" 0 145 0 - "-" "curl" "id" "reviews:9080" "10.124.2.14:9080" inbound|9080|| - 10.124.2.14:9080 10.128.2.1:5 outbound_.9080_._.reviews default"#,
    ),
    (
        "squid:%ts.%03tu %>a %Ss/%03>Hs %err_code %<a",
        "1157689312.049 10.1.2.3 TCP_MISS/503 ERR_CONNECT_FAIL 10.0.0.1",
    ),
    (
        "varnish:%h %l %u %t \"%r\" %s %b %{VSL:FetchError}x",
        r#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET http://a/ HTTP/1.1" 503 5 http first read error: EOF"#,
    ),
    (
        "apache:%v:%p %h %l %u %t \"%r\" %>s %b %D %{BALANCER_WORKER_NAME}e",
        r#"a:443 1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 503 5 1234 http://10.0.0.1:80"#,
    ),
    (
        "nginx:npm",
        r#"[22/Nov/2026:14:53:53 +0000] - 502 502 - GET https app.example "/x" [Client 1.2.3.4] [Length 552] [Gzip -] [Sent-to 10.0.0.9] "Mozilla/5.0" "-""#,
    ),
    (
        "nginx:combined_upstream",
        r#"1.2.3.4 - - [22/Nov/2026:14:53:58 +0000] "GET / HTTP/1.1" 504 6 "-" "gen/1.0" rt=1.004 uct="0.000 : -, 0.000" uht="- : -, 0.002" urt="1.001 : 0.001, 0.002" ua="10.0.0.9:1 : 10.0.0.9:2, 10.0.0.9:3" us="504 : 502, 504""#,
    ),
    (
        "traefik",
        r#"1.2.3.4 - - [22/Nov/2026:14:53:53 +0000] "GET / HTTP/1.1" 504 15 "-" "-" 7 "web@docker" "http://10.0.0.1:80" 30001ms"#,
    ),
];

fn samples() -> Vec<(String, Vec<u8>)> {
    let mut lines = SAMPLES.lines();
    let mut samples = Vec::new();
    while let (Some(head), Some(line)) = (lines.next(), lines.next()) {
        let setting = head.strip_prefix("> ").unwrap().split(" | ").next().unwrap();
        samples.push((setting.to_owned(), line.as_bytes().to_vec()));
    }
    samples.extend(MORE.iter().map(|(setting, line)| ((*setting).to_owned(), line.as_bytes().to_vec())));
    samples
}

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_360_700_000)
}

/// What went wrong, a few of each format.
#[derive(Default)]
struct Wrong(BTreeMap<String, Vec<String>>);

impl Wrong {
    fn add(&mut self, format: &dyn Format, what: &str, line: &[u8]) {
        let list = self.0.entry(format.name().chars().take(40).collect()).or_default();
        if list.len() < 3 {
            list.push(format!("  {what}: {}\n", line.escape_ascii()));
        }
    }

    fn assert_none(&self) {
        let text: String = self.0.iter().map(|(name, list)| format!("{name}\n{}", list.concat())).collect();
        assert!(text.is_empty(), "{text}");
    }
}

/// Of one line: its status, and whether it is a gateway error; `None`: no request.
fn read(format: &dyn Format, line: &[u8], wrong: &mut Wrong) -> Option<(Option<u16>, bool)> {
    let parsed = format.parse(line, &mut context());
    for field in format.explain(line, &mut context()) {
        assert!(field.at <= line.len(), "{} at {}", field.name, field.at);
    }
    match parsed {
        Ok(Parsed::Record(record)) => {
            // In a list an attempt costs a separator at least; retries are a number of 16 bits.
            let bound = line.len() + usize::from(u16::MAX) + 1;
            assert!(record.attempts.iter().take(bound + 1).count() <= bound);
            Some((record.status.code(), matches!(record.outcome, Outcome::GatewayError(_))))
        }
        Ok(_) => None,
        Err(malformed) => {
            if malformed.field.is_empty() || malformed.reason.is_empty() || malformed.at > line.len() {
                wrong.add(format, &format!("{malformed:?}"), line);
            }
            None
        }
    }
}

/// Whether the line shows this status; formats for lines without any have none.
fn shows(line: &[u8], code: u16) -> bool {
    let written = code.to_string();
    // Of no answer at all there are several spellings.
    code == 0 || line.windows(written.len()).any(|part| part == written.as_bytes())
}

fn holds(format: &dyn Format, line: &[u8], what: &str, wrong: &mut Wrong) {
    if let Some((Some(code), _)) =
        read(format, line, wrong).filter(|read| !read.0.is_none_or(|code| shows(line, code)))
    {
        wrong.add(format, &format!("{what}: {code}"), line);
    }
}

fn with(line: &[u8], at: usize, removed: usize, put: &[u8]) -> Vec<u8> {
    [&line[..at], put, &line[(at + removed).min(line.len())..]].concat()
}

/// Cut anywhere, and with bytes in it that no writer puts there: the same status as before, or none.
#[test]
fn what_is_cut_or_holed_has_no_other_status() {
    let mut wrong = Wrong::default();
    for (setting, line) in samples() {
        let format = formats::compile(&setting).unwrap();
        let whole = read(format.as_ref(), &line, &mut wrong);
        for at in 0..=line.len() {
            let mut same = |changed: &[u8], what: &str| {
                let status = read(format.as_ref(), changed, &mut wrong).map(|read| read.0);
                if status.is_some() && status != whole.map(|whole| whole.0) {
                    wrong.add(format.as_ref(), &format!("{what} at {at}: {status:?}"), changed);
                }
            };
            same(&line[..at], "cut");
            for put in [&b"\0"[..], b"\xff", b"\xe2\x80"] {
                same(&with(&line, at, 0, put), "inserted");
            }
            if at % 3 == 0 {
                same(&with(&line, at, 1, b"\0"), "exchanged");
                same(&with(&line, at, 4, b"\0\0\0\0"), "a hole");
            }
        }
    }
    wrong.assert_none();
}

/// Exchanged and inserted bytes that mean something to some format; a line in a line, as two writers leave it.
#[test]
fn what_is_garbled_shows_the_status_that_it_gives() {
    let mut wrong = Wrong::default();
    let structural = b" \t\"'\\[]{}()|,;:=/-%+#0257\x1b\r";
    let samples = samples();
    for (n, (setting, line)) in samples.iter().enumerate() {
        let format = formats::compile(setting).unwrap();
        for at in 0..=line.len() {
            let byte = structural[(at * 7 + n) % structural.len()];
            holds(format.as_ref(), &with(line, at, 1, &[byte]), "exchanged", &mut wrong);
            holds(format.as_ref(), &with(line, at, 0, &[byte]), "inserted", &mut wrong);
            if at % 11 == 0 {
                let end = line.len() - line.len().min(at) / 2;
                holds(format.as_ref(), &with(line, at, 0, &line[..end]), "interleaved", &mut wrong);
                holds(format.as_ref(), &with(line, at, at, b""), "without a part", &mut wrong);
            }
        }
    }
    wrong.assert_none();
}

/// Every line in every format, as the other formats' readers see it where files are mixed; and what no line holds.
#[test]
fn lines_of_other_formats_show_the_status_that_they_give() {
    let mut wrong = Wrong::default();
    let built_in: Vec<_> = FORMATS.iter().flat_map(|kind| (kind.built_in)()).collect();
    let mut lines: Vec<Vec<u8>> = samples().into_iter().map(|(_, line)| line).collect();
    let longest = lines.iter().max_by_key(|line| line.len()).unwrap().repeat(40);
    let odd: [&[u8]; 9] =
        [b"", b"\0", b"\xef\xbb\xbf", b"\"", b"{", b"[", b"<", b"- - - - - - - - - - -", &[0; 5_000]];
    lines.push(longest);
    lines.extend(odd.map(<[u8]>::to_vec));
    lines.extend([b'"', b' ', b'[', b'\\', b'{', b'=', b'\t', b'5'].map(|byte| vec![byte; 3_000]));
    for format in &built_in {
        for line in &lines {
            holds(format.as_ref(), line, "of another format", &mut wrong);
            holds(format.as_ref(), &[line, &line[..line.len() / 2]].concat(), "and a half", &mut wrong);
            holds(format.as_ref(), &[b"web-1  | ", &line[..]].concat(), "with a prefix", &mut wrong);
        }
    }
    wrong.assert_none();
}

/// What editors and other systems put around lines changes nothing: a byte-order mark, CR LF, blank lines.
#[test]
fn a_file_from_elsewhere_reads_the_same() {
    for (setting, line) in samples() {
        let format = formats::compile(&setting).unwrap();
        let plain = [&line[..], b"\n", &line, b"\n"].concat();
        let count = |text: &[u8]| {
            let mut context = context();
            let of = |line| match format.parse(line, &mut context) {
                Ok(Parsed::Record(record)) => {
                    format!("{:?} {:?} {}", record.status, record.outcome, record.end)
                }
                Ok(Parsed::Diagnosis(diagnosis)) => format!("{:?} {}", diagnosis.cause, diagnosis.at),
                Ok(Parsed::Event(event)) => format!("{:?}", event.happened),
                Ok(Parsed::Other) => String::new(),
                Err(malformed) => format!("{} {}", malformed.field, malformed.reason),
            };
            Lines::new(text, true).map(of).filter(|what| !what.is_empty()).collect::<Vec<_>>()
        };
        let expected = count(&plain);
        // What stands beside a failure is other by nature.
        assert!(matches!(expected.len(), 0 | 2), "{setting}: {expected:?}");
        let crlf = [&line[..], b"\r\n", &line, b"\r\n"].concat();
        let marked = [b"\xef\xbb\xbf", &plain[..]].concat();
        let both = [b"\xef\xbb\xbf", &crlf[..], b"\r\n\r\n \r\n"].concat();
        for (text, what) in [(&crlf, "CR LF"), (&marked, "a mark"), (&both, "both")] {
            assert_eq!(count(text), expected, "{setting}: {what}: {}", line.escape_ascii());
        }
    }
}
