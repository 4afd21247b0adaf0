//! An arbitrary setting, compiled; and the rest of the input as a line of it. What must hold: nothing panics, a refused
//! setting's caret lies within it, and a setting compiles to a format that goes by its own name.
#![no_main]

use gatewatch_parsers::formats::compile;
use gatewatch_parsers::{Context, EXTRA_LABELS_MAX, Zone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let at = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let (setting, line) = input.split_at(at);
    let Ok(setting) = std::str::from_utf8(setting) else { return };
    let line = line.get(1..).unwrap_or_default();
    match compile(setting) {
        Ok(format) => {
            assert!(format.extra_labels().len() <= EXTRA_LABELS_MAX);
            assert!(compile(format.name()).is_ok(), "{}", format.name());
            let mut context = Context::new(Zone::Fixed(0), 1_795_359_233_000);
            let _ = format.parse(line, &mut context);
            let _ = format.explain(line, &mut context);
        }
        Err(error) => {
            assert!(error.at <= setting.len(), "{} in {setting:?}: {error}", error.at);
            assert!(!error.message.is_empty());
        }
    }
});
