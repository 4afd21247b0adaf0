//! How much CPU one HAProxy httplog line takes: generated lines in memory, parsed one after the other.
//! `cargo run --release -p gatewatch-parsers --example haproxy_speed [SETTING [LINES [ROUNDS]]]`
//! The CPU's time, not the clock's: Linux only.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints, and needs a clock"
)]

use std::fmt::Write as _;

use gatewatch_parsers::{Context, Outcome, Parsed, Zone};

/// Lines in the order of ends, a thousand a second, with a pseudo-random mix of servers, times and answers.
fn generated(lines: usize) -> Vec<u8> {
    let mut out = String::with_capacity(lines * 230);
    let mut seed = 7_u64;
    for i in 0..lines {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let r = seed >> 33;
        let (second, milli) = (i / 1_000, i % 1_000);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (status, flags, tr) = match r % 250 {
            0 => (502, "SH--", "-1".to_owned()),
            1 => (504, "sH--", "-1".to_owned()),
            _ => (200, "----", (r % 250).to_string()),
        };
        let _ = writeln!(
            out,
            "<134>Nov  1 {hour:02}:{minute:02}:{second:02} edge-{} haproxy[7229]: 10.{}.{}.{}:{} \
             [01/Nov/2026:{hour:02}:{minute:02}:{second:02}.{milli:03}] fe_http be_{}/srv{} 0/0/{}/{tr}/{} {status} {} \
             - - {flags} {}/{}/{}/{}/0 0/0 {{www.shop.example}} \"GET /api/v1/items/{}?page={} HTTP/1.1\"",
            r % 3,
            r % 256,
            (r >> 8) % 256,
            (r >> 16) % 256,
            1_024 + r % 60_000,
            ["api", "web", "img"][(r % 3) as usize],
            r % 4,
            r % 3,
            r % 400,
            r % 90_000,
            r % 900,
            r % 800,
            r % 300,
            r % 90,
            r % 1_000_000,
            r % 70,
        );
    }
    out.into_bytes()
}

/// Nanoseconds that this thread has been on a CPU.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn main() {
    let mut args = std::env::args().skip(1);
    let setting = args.next().unwrap_or_else(|| "haproxy".to_owned());
    let mut number = |default: usize| args.next().and_then(|word| word.parse().ok()).unwrap_or(default);
    let (lines, rounds) = (number(3_000_000), number(7));
    let Ok(format) = gatewatch_parsers::formats::compile(&setting) else {
        println!("`{setting}` does not compile");
        return;
    };
    let log = generated(lines);
    println!("{} bytes a line", log.len() / lines.max(1));
    for _ in 0..rounds {
        let mut context = Context::new(Zone::Fixed(0), 1_793_491_200_000);
        let (mut records, mut errors, mut ends) = (0_u64, 0_u64, 0_i64);
        let mut rest = &log[..];
        let start = cpu();
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            if let Ok(Parsed::Record(record)) = format.parse(line, &mut context) {
                records += 1;
                errors += u64::from(matches!(record.outcome, Outcome::GatewayError(_)));
                ends ^= record.end ^ i64::from(record.request_time.unwrap_or(0)) ^ record.path.len() as i64;
            }
            rest = after.get(1..).unwrap_or_default();
        }
        let each = (cpu() - start) as f64 / lines as f64;
        println!("{records} records, {errors} errors, {ends}: {each:.1} ns a line");
    }
}
