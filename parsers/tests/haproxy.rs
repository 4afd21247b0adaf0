//! HAProxy's real logs, with what was really the matter.

use std::fmt::Write as _;

use gatewatch_parsers::formats::compile;
use gatewatch_parsers::{Context, Format, Outcome, Parsed, Record, Zone};

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/");

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(format!("{DIR}{name}")).unwrap();
    bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn haproxy() -> Box<dyn Format> {
    compile("haproxy").unwrap()
}

fn context() -> Context {
    Context::new(Zone::Fixed(0), 1_795_359_233_000)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Everything in a record but its node, as one line.
fn shown(record: &Record<'_>) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "{} {:?} {:?} {:?} ",
        record.end,
        record.status.code(),
        record.outcome,
        record.request_time
    );
    let _ = write!(
        out,
        "{} {} {} {}",
        text(record.method),
        text(record.path),
        text(record.pool),
        text(record.site)
    );
    for attempt in &record.attempts {
        let cause = attempt.failure.map(|c| c.reason.name());
        let _ = write!(out, " [{} {:?} {cause:?}]", text(attempt.upstream), attempt.status.code());
    }
    out
}

fn word(record: &Record<'_>) -> &'static str {
    match record.outcome {
        Outcome::Fine => "fine",
        Outcome::GatewayError(cause) => cause.reason.name(),
        Outcome::Aborted => "aborted",
        Outcome::Abandoned => "abandoned",
    }
}

#[test]
fn print() {
    let format = haproxy();
    for name in [
        "nginx-haproxy/haproxy.raw.log",
        "nginx-haproxy/haproxy.rfc3164.log",
        "lab/haproxy.log",
        "lab/haproxy-events.log",
    ] {
        let mut context = context();
        for line in corpus(name) {
            match format.parse(&line, &mut context) {
                Ok(Parsed::Record(r)) => println!("{} {}", word(&r), shown(&r)),
                Ok(Parsed::Other) => println!("OTHER {}", text(&line)),
                Err(e) => println!("ERR {e:?} {}", text(&line)),
            }
        }
    }
}
