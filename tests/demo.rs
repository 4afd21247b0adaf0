//! `gatewatch demo`, as somebody meets it who has nothing but the binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::Process;

#[test]
fn it_shows_the_table_the_alert_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewatch"));
    // No HOME, no TERM, no PATH, no terminal.
    command.arg("demo").env_clear().env("TMPDIR", &temporary).current_dir("/").stdin(Stdio::null());
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    let status =
        Process::start(&mut command).end_within(Duration::from_secs(30)).expect("it ends within 30 s");

    let (out, err) = (fs::read_to_string(out).unwrap(), fs::read_to_string(err).unwrap());
    assert!(status.success(), "{status}\n{out}\n{err}");
    let at = |part: &str| out.find(part).unwrap_or_else(|| panic!("no {part:?} in:\n{out}\n{err}"));
    assert!(
        at("UPSTREAM        REQUESTS") < at("\nfiring, as the receiver got it"),
        "first the table:\n{out}"
    );
    assert!(at("\nfiring, as the receiver got it") < at("\nresolved, after"), "{out}");
    assert!(out.contains("10.0.0.13:8080") && out.contains("invalid_response"), "{out}");
    assert!(!out.contains('\u{1b}'), "no colours without a terminal: {out}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "it leaves something behind");
}
