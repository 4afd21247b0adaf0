//! Arbitrary bytes as a snapshot's file, and as the payload of one whose checksum is right. What must hold: nothing panics
//! and nothing large is allocated; what is read can be gone on with, written again, and read to the same.
#![no_main]

use std::sync::{Arc, LazyLock};

use gatewatch::config::{Config, parse_str};
use gatewatch::delivery::outbox::Outbox;
use gatewatch::mute::Mutes;
use gatewatch::state::{Snapshot, decode, encode, frame, pack};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::series::Plan;
use libfuzzer_sys::fuzz_target;

const NOW: i64 = 1_800_000_000_000;

/// The presets: what a snapshot of an agent without a configuration was judged by.
static CONFIG: LazyLock<Config> =
    LazyLock::new(|| parse_str("gatewatch.toml", "").unwrap_or_else(|_| panic!("presets are refused")));

fn go_on(snapshot: Snapshot) {
    let written = encode(&snapshot);
    let again = decode(&frame::wrap(1, &written.unwrap_or_else(|e| panic!("{e}"))));
    assert!(again.is_ok());
    let Snapshot { files, engine, outbox, mutes, .. } = snapshot;
    for file in files {
        let mut clock = file.clock.with(2_000, 5_000);
        let _ = (clock.admit(NOW), clock.idle(1_000, NOW), clock.finish());
    }
    let plan = Arc::new(Plan::new(&CONFIG.rules, &[]));
    let options = EngineOptions { step: 5_000, series_cap: 2_000 };
    if let Ok((mut engine, _)) = Engine::restore(engine, CONFIG.rules.clone(), plan, options) {
        let _ = (engine.advance(NOW), engine.advance(NOW + 60_000), engine.incidents(), engine.alerts());
        assert!(encode(&engine.state()).is_ok());
    }
    let mut mutes = Mutes::restored(mutes, &CONFIG.rules, &CONFIG.maintenance);
    let _ = (mutes.pass(Vec::new(), NOW, &|_| None), mutes.muted().map(Iterator::count));
    let mut outbox = Outbox::restored(outbox, &CONFIG.receivers, &CONFIG.rules, NOW);
    let _ = (outbox.due(NOW), outbox.next_due(), outbox.pending());
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok((_, snapshot)) = decode(bytes) {
        go_on(snapshot);
    }
    // A mutation hardly ever makes the checksum right: what is packed comes without it, and what is in that as it is.
    let packed = frame::unwrap(bytes).map_or(bytes, |(_, payload)| payload);
    let again = pack::pack(bytes);
    for payload in [Some(packed), again.as_deref().ok()].into_iter().flatten() {
        if let Ok((_, snapshot)) = decode(&frame::wrap(1, payload)) {
            go_on(snapshot);
        }
    }
});
