//! Finished logs: threads, blocks, files, compression.

use crate::logs::{self, Kind, Line, Spec, YEAR_2099};
use crate::reference::{Setup, line_by_line};
use crate::running::{Cut, analyze, analyze_sources, write};
use gatewatch::inputs::Source;
use gatewatch_parsers::Zone;
use gatewatch_rules::report::Report;
use proptest::prelude::*;
use std::io::Write;

/// Only one side of a comparison may have them.
fn without_samples(mut report: Report) -> Report {
    report.unparsed_samples.clear();
    report
}

/// What does not depend on how many files there are.
fn without_inputs(mut report: Report) -> Report {
    report.inputs.clear();
    without_samples(report)
}

fn setup_of(kind: Kind, presets: bool) -> Setup {
    if presets { Setup::presets(kind) } else { Setup::new(kind) }
}

proptest! {
    #![proptest_config(logs::cases(60))]

    #[test]
    fn any_number_of_threads_says_what_line_by_line_says(
        spec in logs::any_spec(),
        block in prop_oneof![200usize..3_000, 3_000usize..40_000, Just(gatewatch::batch::BLOCK)],
        lateness in prop_oneof![Just(300_000i64), Just(2_000), Just(0)],
        presets: bool,
    ) {
        let lines = logs::lines(&spec);
        let bytes = logs::bytes(&lines);
        let setup = Setup { lateness, ..setup_of(spec.kind, presets) };
        let expected = line_by_line(&setup, &[("access.log", &bytes)]);
        let (_dir, paths) = write(&[("access.log", &bytes)]);
        let one = analyze(&setup, &paths, Cut { jobs: 1, block });
        for jobs in [2, 5] {
            prop_assert_eq!(&analyze(&setup, &paths, Cut { jobs, block }), &one);
        }
        prop_assert_eq!(without_samples(one), expected);
    }

    #[test]
    fn ten_files_one_after_the_other_are_one(
        spec in logs::orderly_spec(),
        jobs in 1usize..4,
        block in 200usize..20_000,
        order in any::<u64>(),
    ) {
        let setup = Setup::new(spec.kind);
        let lines = logs::lines(&spec);
        let one = logs::bytes(&lines);
        let expected = without_inputs(line_by_line(&setup, &[("access.log", &one)]));
        prop_assert_eq!((expected.late, expected.future, expected.series_overflow), (0, 0, 0));
        let parts: Vec<Vec<u8>> = lines.chunks(lines.len().div_ceil(10)).map(logs::bytes).collect();
        let names: Vec<String> = (0..parts.len()).map(|i| format!("access.log.{i}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(parts.iter().map(Vec::as_slice)).collect();
        let (_dir, mut paths) = write(&files);
        shuffle(&mut paths, order);
        prop_assert_eq!(without_inputs(analyze(&setup, &paths, Cut { jobs, block })), expected);
    }

    #[test]
    fn ten_hosts_in_any_order_are_the_same(
        spec in logs::orderly_spec(),
        jobs in 1usize..4,
        block in 200usize..20_000,
        order in any::<u64>(),
    ) {
        let setup = Setup::new(spec.kind);
        let mut hosts: Vec<Vec<Line>> = vec![Vec::new(); 10];
        for (i, line) in logs::lines(&spec).into_iter().enumerate() {
            let host = (i * 7 + i / 13) % 10;
            hosts[host].push(line);
        }
        let parts: Vec<Vec<u8>> = hosts.iter().map(logs::bytes).collect();
        let names: Vec<String> = (0..10).map(|i| format!("host{i}.log")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(parts.iter().map(Vec::as_slice)).collect();
        let (_dir, mut paths) = write(&files);
        let first = without_inputs(analyze(&setup, &paths, Cut { jobs: 1, block: 1 << 18 }));
        prop_assert_eq!((first.late, first.future, first.series_overflow), (0, 0, 0));
        prop_assert_eq!(first.counted.requests, spec.requests as u64);
        shuffle(&mut paths, order);
        prop_assert_eq!(without_inputs(analyze(&setup, &paths, Cut { jobs, block })), first);
    }

    #[test]
    fn compressed_is_the_same(spec in logs::any_spec(), jobs in 1usize..4, block in 200usize..20_000, cut in 0.0f64..1.0) {
        let setup = Setup::new(spec.kind);
        let bytes = logs::bytes(&logs::lines(&spec));
        let expected = without_samples(line_by_line(&setup, &[("a", &bytes)]));
        let at = (bytes.len() as f64 * cut) as usize;
        for (name, both) in COMPRESSIONS.iter().map(|(n, c)| (*n, [c(&bytes[..at]), c(&bytes[at..])].concat())) {
            let (_dir, paths) = write(&[("a", &both)]);
            let report = without_samples(analyze(&setup, &paths, Cut { jobs, block }));
            prop_assert_eq!(&report, &expected, "{} in two members", name);
        }
        let (_dir, paths) = write(&[("a", &bytes)]);
        let piped = analyze_sources(&setup, vec![Source::Pipe(paths[0].clone())], Cut { jobs, block });
        let plain = analyze(&setup, &paths, Cut { jobs, block });
        prop_assert_eq!(&piped, &plain);
        prop_assert_eq!(without_samples(plain), expected);
    }

    /// HAProxy's stamps carry no zone: the hour in which the clock goes back comes twice, the one in which it goes forward never.
    #[test]
    fn a_night_in_which_the_clock_changes(
        seed: u64,
        autumn: bool,
        requests in 100usize..800,
        block in 200usize..8_000,
        minutes_before in 0i64..200,
        wrong_stamps: bool,
        jumps: bool,
    ) {
        // 2026-10-25T01:00Z and 2026-03-29T01:00Z.
        let change = if autumn { 1_792_890_000_000 } else { 1_774_746_000_000 };
        let spec = Spec {
            start: change - minutes_before * 60_000,
            gap: 60_000,
            zone: chrono_tz::Europe::Berlin,
            wrong_stamps,
            jumps,
            ..Spec::plain(Kind::HaProxy, seed, requests)
        };
        let mut setup = Setup::new(Kind::HaProxy);
        setup.settings.zone.zone = Zone::Named(chrono_tz::Europe::Berlin);
        let bytes = logs::bytes(&logs::lines(&spec));
        let expected = line_by_line(&setup, &[("access.log", &bytes)]);
        let (_dir, paths) = write(&[("access.log", &bytes)]);
        let reports = [1, 2, 5].map(|jobs| without_samples(analyze(&setup, &paths, Cut { jobs, block })));
        for report in &reports {
            prop_assert_eq!(report, &expected);
        }
    }
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut dice = crate::dice::Dice::new(seed);
    for i in (1..items.len()).rev() {
        items.swap(i, dice.below(i as u64 + 1) as usize);
    }
}

type Compress = fn(&[u8]) -> Vec<u8>;

const COMPRESSIONS: &[(&str, Compress)] = &[
    ("gzip", |bytes| {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }),
    ("zstd", |bytes| zstd::encode_all(bytes, 1).unwrap()),
    ("xz", |bytes| {
        let mut to = liblzma::write::XzEncoder::new(Vec::new(), 1);
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }),
    ("bzip2", |bytes| {
        let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }),
];

/// A wrong stamp at a file's head must not let the others pass it.
#[test]
fn a_wrong_first_line_of_one_of_two_files() {
    for kind in [Kind::HaProxy, Kind::Nginx] {
        let setup = Setup::new(kind);
        let mut lines = logs::lines(&Spec::plain(kind, 7, 600));
        let (mut a, mut b): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
        for (i, line) in lines.drain(..).enumerate() {
            if i % 2 == 0 { a.push(line) } else { b.push(line) }
        }
        let without = [logs::bytes(&a), logs::bytes(&b)];
        let wrong = Spec { start: YEAR_2099, ..Spec::plain(kind, 1, 1) };
        b.insert(0, logs::lines(&wrong).remove(0));
        let with = [logs::bytes(&a), logs::bytes(&b)];
        let run = |files: &[Vec<u8>; 2]| {
            let (_dir, paths) = write(&[("host0.log", &files[0]), ("host1.log", &files[1])]);
            analyze(&setup, &paths, Cut { jobs: 1, block: 2_000 })
        };
        let (without, with) = (run(&without), run(&with));
        assert!(!without.incidents.is_empty());
        assert_eq!((with.late, with.future), (0, 1), "{kind:?}");
        assert_eq!(with.incidents, without.incidents);
        assert_eq!(with.timeline, without.timeline);
    }
}

/// A file whose head has no request holds the others back all the same.
#[test]
fn a_head_without_requests() {
    let setup = Setup::new(Kind::HaProxy);
    let lines = logs::lines(&Spec { gap: 20_000, ..Spec::plain(Kind::HaProxy, 7, 800) });
    let bytes = logs::bytes(&lines);
    let mut quiet = b"# nothing here\n".repeat(3_000);
    quiet.extend_from_slice(&bytes);
    let gz = COMPRESSIONS[0].1(&quiet);
    let (_dir, paths) = write(&[("host0.log", &bytes), ("host1.log", &gz)]);
    for jobs in [1, 3] {
        let report = analyze(&setup, &paths, Cut { jobs, block: 1_000 });
        assert_eq!((report.late, report.future), (0, 0));
    }
}
