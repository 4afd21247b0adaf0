use proptest::prelude::*;

use crate::formats::{Format, Parsed, compile};
use crate::record::{Outcome, Record, Status};
use crate::time::Zone;
use crate::{Cause, Context};

/// In the middle of the corpus.
pub const NEAR: i64 = 1_795_360_700_000;

pub fn context() -> Context {
    Context::new(Zone::Fixed(0), NEAR)
}

pub fn format(setting: &str) -> Box<dyn Format> {
    compile(setting).unwrap_or_else(|e| panic!("{setting}: {e}"))
}

/// `503 proxy/dns_error`, `200 fine`
pub fn outcome(record: &Record<'_>) -> String {
    let status = record.status.code().map_or("-".to_owned(), |code| code.to_string());
    match record.outcome {
        Outcome::Fine => format!("{status} fine"),
        Outcome::Aborted => format!("{status} aborted"),
        Outcome::Abandoned => format!("{status} abandoned"),
        Outcome::GatewayError(Cause { origin, reason }) => {
            format!("{status} {}/{}", origin.name(), reason.name())
        }
    }
}

/// The same of a line; or where it stops making sense.
pub fn outcome_of(setting: &str, line: &str) -> String {
    match format(setting).parse(line.as_bytes(), &mut context()) {
        Ok(Parsed::Record(record)) => outcome(&record),
        Ok(_) => "no record".to_owned(),
        Err(malformed) => format!("{} at {}: {}", malformed.field, malformed.at, malformed.reason),
    }
}

/// Everything else of a line: end, time, method, path, site, node, pool, upstream.
pub fn fields_of(setting: &str, line: &str) -> String {
    let format = format(setting);
    let mut context = context();
    let Ok(Parsed::Record(record)) = format.parse(line.as_bytes(), &mut context) else {
        return outcome_of(setting, line);
    };
    let upstream = record.attempts.last().map_or(&b""[..], |attempt| attempt.upstream);
    let text = |bytes: &[u8]| match bytes {
        b"" => "-".to_owned(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    };
    let time = record.request_time.map_or("-".to_owned(), |ms| ms.to_string());
    let parts = [record.method, record.path, record.site, record.node, record.pool, upstream].map(text);
    format!("{} {time} {}", record.end, parts.join(" "))
}

/// Each line of a file with its outcome, and the path's first part.
pub fn each(setting: &str, text: &[u8], mut check: impl FnMut(&str, &Record<'_>)) {
    let (format, mut context) = (format(setting), context());
    let mut count = 0;
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let shown = String::from_utf8_lossy(line);
        match format.parse(line, &mut context) {
            Ok(Parsed::Record(record)) => check(&shown, &record),
            other => panic!("{shown}: {other:?}"),
        }
        count += 1;
    }
    assert!(count > 30, "{count}");
}

/// `/refuse/0?q` → `refuse`
pub fn scenario(line: &str) -> &str {
    let path = line.split_once("GET ").map_or(line, |(_, request)| request);
    let path = path.split_once("http://").map_or(path, |(_, url)| url);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    path.split(['/', '?', ' ']).next().unwrap_or_default()
}

/// Every line of a file, cut anywhere: an error, or the same status.
pub fn cut_lines_give_no_other_status(setting: &str, text: &[u8]) {
    let (format, mut context) = (format(setting), context());
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let Ok(Parsed::Record(whole)) = format.parse(line, &mut context) else { panic!("{setting}") };
        for cut in 0..line.len() {
            if let Ok(Parsed::Record(record)) = format.parse(&line[..cut], &mut context) {
                assert_eq!(record.status, whole.status, "{}", String::from_utf8_lossy(&line[..cut]));
            }
        }
    }
}

/// The corpus' truth: statuses by proxy and scenario.
pub fn truth(proxy: &str) -> Vec<(String, String, usize)> {
    let text = include_str!("../../../../tests/corpus/lab/truth.tsv");
    let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let rows = rows.filter(|row| row[0] == proxy);
    rows.map(|row| (row[1].to_owned(), row[2].to_owned(), row[3].parse().unwrap())).collect()
}

#[test]
fn a_string_that_says_too_little_is_refused_with_its_place() {
    let cases = [
        ("apache:%h %l %u", "status", 0),
        ("apache:%h %>s", "no time", 0),
        ("apache:%t %Q %>s", "`%Q`: Apache has no such directive", 0),
        ("apache:%{Referer", "brace is not closed", 0),
        ("apache:%t %>s %", "bare %", 0),
        ("apache:%{%Y-%m}t %>s", "lacks the day", 0),
        ("apache:%{%Q}t %>s", "%Q in `%Q` is not supported", 0),
        ("apache:%t %{Referer}i%>s", "where `%{Referer}i` ends cannot be seen", 10),
        ("apache:%u%b %t %>s", "where `%u` ends cannot be seen", 7),
        ("apache:nosuch", "known: combined, vhost_combined", 0),
        ("apache:agent", "no status", 0),
        ("apache:%{min}T %t %>s", "the units are s, ms and us", 0),
        ("squid:referrer", "no status", 0),
        ("squid:nosuch", "known: squid, combined, common", 0),
        ("squid:%ts %zz %>Hs", "no such code", 0),
        ("squid:%ts %Ss", "without the status", 0),
        ("varnish:nosuch", "-F", 0),
        ("varnish:%t %Z %s", "varnishncsa has no such directive", 0),
    ];
    for (setting, message, at) in cases {
        let error = compile(setting).unwrap_err();
        assert!(error.message.contains(message), "{setting}: {error}");
        let begin = setting.find(':').unwrap() + 1;
        assert_eq!(error.at, if at == 0 { begin } else { at }, "{setting}");
    }
}

#[test]
fn stamps_of_any_make_are_read() {
    const AT: i64 = 1_795_360_728_000;
    let cases = [
        ("%t", "[22/Nov/2026:15:18:48 +0000]", AT),
        ("%t", "[22/Nov/2026:18:48:48 +0330]", AT),
        ("%t", "[22/Nov/2026:05:48:48 -0930]", AT),
        ("[%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t]", "[22/Nov/2026 15:18:48.250 +0000]", AT + 250),
        ("%{%F %T}t.%{usec_frac}t", "2026-11-22 15:18:48.250999", AT + 250),
        ("%{%Y-%m-%dT%H:%M:%S%z}t", "2026-11-22T15:18:48+0000", AT),
        ("%{%Y%m%d%H%M%S}t", "20261122151848", AT),
        ("%{sec}t", "1795360728", AT),
        ("%{msec}t", "1795360728250", AT + 250),
        ("%{usec}t", "1795360728250999", AT + 250),
        ("%{begin:msec}t", "1795360728250", AT + 250),
        ("%{%s}t", "1795360728", AT),
        ("%{%b %e %T}t", "Nov 22 15:18:48", AT),
        ("%{%D %r}t", "11/22/26 03:18:48 PM", AT),
        ("%{%c}t", "Sun Nov 22 15:18:48 2026", AT),
        ("%{%d/%m/%Y %k:%M}t", "22/11/2026 15:18", AT - 48_000),
        ("%{%a, %d %b %Y %T %Z}t", "Sun, 22 Nov 2026 15:18:48 GMT", AT),
        ("%t %{end:msec}t", "[22/Nov/2026:15:18:40 +0000] 1795360728250", AT + 250),
    ];
    for (stamp, logged, at) in cases {
        let (setting, line) = (format!("apache:{stamp} %>s %T"), format!("{logged} 200 0"));
        let fields = fields_of(&setting, &line);
        assert!(fields.starts_with(&format!("{at} ")), "{setting} {line}: {fields}, not {at}");
    }
    for (stamp, logged) in [
        ("%t", "[31/Feb/2026:15:18:48 +0000]"),
        ("%t", "[22/Nov/2026:15:18:48 +9900]"),
        ("%{%F %T}t", "2026-13-22 15:18:48"),
        ("%{%F %T}t", "2026-11-22 25:18:48"),
        ("%{%D %r}t", "11/22/26 13:18:48 PM"),
    ] {
        let got = outcome_of(&format!("apache:{stamp} %>s"), &format!("{logged} 200"));
        assert!(got.contains("no such date"), "{stamp} {logged}: {got}");
    }
}

#[test]
fn a_text_without_quotes_ends_where_the_rest_fits() {
    let setting = "apache:%t %u %{User-Agent}i %>s %b";
    let at = "[22/Nov/2026:15:18:48 +0000]";
    assert_eq!(outcome_of(setting, &format!("{at} joe bloggs curl 1 200 5")), "200 fine");
    // A client must not choose its own status.
    let two = outcome_of("apache:%t %{User-Agent}i %>s %{X}i", &format!("{at} curl 200 7 502 x"));
    assert!(two.contains("two readings of this line differ"), "{two}");
}

/// Directives that random formats are made of, and a value of each: Apache's, Squid's, Varnish's.
const PARTS: [&[(&str, &str)]; 3] = [
    &[
        ("%h", "203.0.113.7"),
        ("%v", "example.com"),
        ("%D", "1234"),
        ("%b", "-"),
        ("%X", "+"),
        (r#""%r""#, r#""GET /a\"b HTTP/1.1""#),
        (r#""%{User-Agent}i""#, r#""a \\ b""#),
        ("[%u]", "[joe bloggs]"),
        ("<%{x}n>", "<->"),
        ("%m", "GET"),
        ("pool=%{BALANCER_NAME}e;", "pool=balancer://b;"),
    ],
    &[
        ("%6tr", "     7"),
        ("%-8rm", "GET     "),
        ("%Ss:%Sh", "TCP_MISS_ABORTED:HIER_DIRECT"),
        ("%<a:%<p", "2001:db8::1:80"),
        (r#""%{User-Agent}>h""#, r#""a \"b\" c""#),
        (r#"%"{Referer}>h"#, "-"),
        ("[%{Host}>h]", "[a b]"),
        ("%#un", "joe%20bloggs"),
        ("%mt", "text/html"),
        ("%dt/%<pt/%<tt", "-/12/13"),
        ("%ssl::>sni", "a.example"),
        ("%%", "%"),
    ],
    &[
        ("%D", "1500123"),
        ("%T", "1"),
        ("%{Varnish:time_firstbyte}x", "0.000123"),
        ("%{Varnish:hitmiss}x", "miss"),
        (r#""%{X-A}i""#, r#""\"x\" y""#),
        ("(%{VCL_Log:k}x)", "(a b)"),
        ("%m http://%{Host}i%U%q;", "GET http://a.example/x?y;"),
        ("%H", "HTTP/1.1"),
    ],
];

/// How each product's random formats begin: a stamp and the status.
const BEGINS: [(&str, &str); 3] = [
    ("apache:%t %>s", "[22/Nov/2026:15:18:48 +0000] 503"),
    ("squid:%ts.%03tu %03>Hs", "1795360728.000 503"),
    ("varnish:%t %s", "[22/Nov/2026:15:18:48 +0000] 503"),
];

fn formats_and_lines() -> impl Strategy<Value = (String, String)> {
    (0..3usize, proptest::collection::vec(0..12usize, 0..8)).prop_map(|(product, picked)| {
        let (mut format, mut line) = (BEGINS[product].0.to_owned(), BEGINS[product].1.to_owned());
        for (directive, value) in picked.into_iter().filter_map(|i| PARTS[product].get(i)) {
            format.extend([" ", directive]);
            line.extend([" ", value]);
        }
        (format, line)
    })
}

const SETTINGS: &[&str] = &[
    "squid",
    "squid:combined",
    "squid:common",
    "squid:%ts.%03tu %6tr %>a %Ss/%03>Hs %err_code/%err_detail %\"{User-Agent}>h",
    "apache",
    "apache:combined",
    "apache:%v:%p %h %{%FT%T}t.%{usec_frac}t%{%z}t \"%r\" %>s %b %D %{BALANCER_WORKER_NAME}e",
    "varnish",
    "varnish:%h %t \"%r\" %s %{Varnish:handling}x",
];

const LINES: &[&str] = &[
    "1795360698.759      0 127.0.0.1 TCP_MISS/503 3446 GET http://a.example/x - HIER_DIRECT/127.0.0.1 text/html",
    r#"127.0.0.1 - - [22/Nov/2026:15:18:18 +0000] "GET http://a.example/ok HTTP/1.1" 503 186 "-" "lab/1" TCP_MISS:HIER_DIRECT"#,
    r#"127.0.0.1 - - [22/Nov/2026:15:18:28 +0000] "GET /ok/0?q=a%20b HTTP/1.1" 503 3 "-" "lab \"1\"""#,
    "lab.example:80 127.0.0.1 2026-11-22T15:18:28.771622+0000 \"GET /ok HTTP/1.1\" 503 3 1141 http://10.0.0.1:80",
];

proptest! {
    #[test]
    fn random_formats_read_their_own_lines((setting, line) in formats_and_lines()) {
        let got = outcome_of(&setting, &line);
        prop_assert!(matches!(&*got, "503 unknown/unknown" | "503 fine"), "{}", got);
        // A line that was cut: the same status, or none.
        let format = format(&setting);
        for cut in 0..line.len() {
            if let Ok(Parsed::Record(record)) = format.parse(&line.as_bytes()[..cut], &mut context()) {
                prop_assert_eq!(record.status, Status::new(503), "{} {}", setting, &line[..cut]);
            }
        }
    }

    #[test]
    fn random_settings_never_panic(kind in 0..3usize, setting in "[%{}\"\\[\\]<>a-zA-Z0-9:^ .!',-]{0,40}") {
        let _ = compile(&format!("{}:{setting}", ["squid", "apache", "varnish"][kind]));
    }

    #[test]
    fn no_line_panics(setting in 0..SETTINGS.len(), line: Vec<u8>) {
        let format = format(SETTINGS[setting]);
        let _ = format.parse(&line, &mut context());
        let _ = format.explain(&line, &mut context());
    }

    #[test]
    fn a_changed_line_gives_no_panic_and_a_cut_one_no_other_status(
        setting in 0..SETTINGS.len(), line in 0..LINES.len(), at in 0..200usize, byte: u8,
    ) {
        let format = format(SETTINGS[setting]);
        let mut line = LINES[line].as_bytes().to_vec();
        for cut in 0..line.len() {
            if let Ok(Parsed::Record(record)) = format.parse(&line[..cut], &mut context()) {
                prop_assert_eq!(record.status, Status::new(503), "{}", String::from_utf8_lossy(&line[..cut]));
            }
        }
        let at = at % line.len();
        line[at] = byte;
        let _ = format.parse(&line, &mut context());
        let _ = format.explain(&line, &mut context());
    }
}

#[test]
fn explain_shows_each_value_at_its_place() {
    let line = "Nov 22 15:18:18 proxy7 squid[812]: 1795360698.759      0 ::1 TCP_MISS/503 3446 GET http://a.example/x - HIER_DIRECT/127.0.0.1 text/html";
    let native = format("squid");
    for cut in 0..=line.len() {
        let line = &line[..cut];
        for field in native.explain(line.as_bytes(), &mut context()) {
            let at = field.at..field.at + field.value.len();
            assert_eq!(line.as_bytes().get(at), Some(field.value), "{line}: {}", field.name);
        }
    }
    let fields = native.explain(line.as_bytes(), &mut context());
    let shown: Vec<_> =
        fields.iter().map(|f| format!("{}={}", f.name, String::from_utf8_lossy(f.value))).collect();
    let want = "syslog time=Nov 22 15:18:18, syslog host=proxy7, syslog tag=squid, %ts=1795360698, %03tu=759, %6tr=0, \
        %>a=::1, %Ss=TCP_MISS, %03>Hs=503, %<st=3446, %rm=GET, %ru=http://a.example/x, %[un=-, %Sh=HIER_DIRECT, \
        %<a=127.0.0.1, %mt=text/html";
    assert_eq!(shown.join(", "), want);
}

#[test]
fn every_setting_of_these_tests_reads_a_line() {
    let lines = [0, 1, 1, 0, 2, 2, 3, 1, 1];
    for (setting, line) in SETTINGS.iter().zip(lines) {
        let got = outcome_of(setting, LINES[line]);
        let tail = matches!(*setting, "squid:common" | "varnish")
            || setting.contains("err_code")
            || setting.starts_with("varnish:");
        assert!(tail || got.starts_with("503 "), "{setting}: {got}");
    }
}
