//! Arbitrary bytes, in arbitrary chunks, through the line buffer and every built-in format. What must hold: nothing
//! panics; lines do not depend on where the chunks meet; a status and attempts can be read off whatever parses.
#![no_main]

use std::sync::LazyLock;

use gatewatch_parsers::formats::FORMATS;
use gatewatch_parsers::lines::LineBuffer;
use gatewatch_parsers::{Context, Format, Parsed, Zone, detect};
use libfuzzer_sys::fuzz_target;

static BUILT_IN: LazyLock<Vec<Box<dyn Format>>> =
    LazyLock::new(|| FORMATS.iter().flat_map(|kind| (kind.built_in)()).collect());

fn lines(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut buffer = LineBuffer::new();
    let mut lines = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some(line) = buffer.next_line(&mut rest) {
            lines.push(line.to_vec());
        }
    }
    lines.extend(buffer.finish().map(<[u8]>::to_vec));
    lines
}

fuzz_target!(|input: &[u8]| {
    // The first byte says where the chunks meet.
    let Some((meet, bytes)) = input.split_first() else { return };
    let (head, tail) = bytes.split_at(usize::from(*meet).min(bytes.len()));
    let whole = lines(&[bytes]);
    assert_eq!(whole, lines(&[head, tail]));

    for format in BUILT_IN.iter() {
        let mut context = Context::new(Zone::Fixed(0), 1_795_359_233_000);
        for line in &whole {
            if let Ok(Parsed::Record(record)) = format.parse(line, &mut context) {
                assert!(record.status.code().is_none_or(|code| code <= 999));
                // In a list an attempt costs a separator at least; retries are a number of 16 bits.
                let bound = line.len() + usize::from(u16::MAX) + 1;
                assert!(record.attempts.iter().take(bound + 1).count() <= bound);
            }
            for field in format.explain(line, &mut context) {
                assert!(field.at <= line.len());
            }
        }
    }
    let sample: Vec<&[u8]> = whole.iter().map(Vec::as_slice).collect();
    let _ = detect::detect(&sample, &Context::new(Zone::Fixed(0), 1_795_359_233_000));
});
