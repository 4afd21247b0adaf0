//! Nanoseconds a line: `cargo run --release -p gatewatch-parsers --example parse_speed -- nginx:combined_upstream FILE`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "measuring is its purpose: it reads the clock and a file, as the crate itself must not"
)]

use std::time::Instant;

use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Parsed, Zone, formats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: parse_speed LOG_FORMAT FILE [PASSES]";
    let (setting, path) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let passes: u32 = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let format = formats::compile(&setting)?;
    let block = std::fs::read(path)?;
    for _ in 0..passes {
        let mut context = Context::new(Zone::Fixed(0), 0);
        let (mut lines, mut records, mut attempts, mut failed) = (0u32, 0, 0, 0);
        let start = Instant::now();
        for line in Lines::new(&block, true) {
            lines += 1;
            if let Ok(Parsed::Record(record)) = format.parse(line, &mut context) {
                records += 1;
                for attempt in &record.attempts {
                    attempts += 1;
                    failed += u32::from(attempt.failure.is_some());
                }
            }
        }
        let nanos = start.elapsed().as_nanos() as f64 / f64::from(lines);
        println!(
            "{nanos:.0} ns a line; {lines} lines, {records} records, {attempts} attempts, {failed} failed"
        );
    }
    Ok(())
}
