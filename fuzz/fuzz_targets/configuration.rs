//! Arbitrary text as a configuration. What must hold: nothing panics; a refused one names at least one mistake, each of
//! which can be shown; one that loads can be printed, and what is printed loads again to the same.
#![no_main]

use gatewatch::config::{effective, memory, parse_str};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match parse_str("fuzz.toml", text) {
    Ok(config) => {
        let printed = effective(&config);
        let _ = (memory(&config), config.warnings.iter().map(ToString::to_string).collect::<String>());
        // Secrets are not printed, so receivers do not load again.
        if config.receivers.is_empty() {
            match parse_str("printed.toml", &printed) {
                Ok(again) => assert_eq!(effective(&again), printed),
                Err(problems) => panic!("what is printed does not load:\n{problems}\n{printed}"),
            }
        }
    }
    Err(problems) => {
        assert!(!problems.0.is_empty());
        assert!(!problems.to_string().is_empty());
    }
});
