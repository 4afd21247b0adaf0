//! Logs that are being written: what `run` says of them is what `analyze` says of them later.

use crate::follow::{Host, follow};
use crate::logs::{self, Kind, Line, Spec};
use crate::reference::{Setup, line_by_line};
use gatewatch_rules::alert::ChangeKind;
use gatewatch_rules::report::{Incident, Report};
use proptest::prelude::*;

/// Written within `lateness`; nginx's stamps are cut to the second.
fn live_spec() -> impl Strategy<Value = Spec> {
    let gaps = prop_oneof![Just(50u64), Just(300), Just(3_000)];
    (logs::kinds(), any::<u64>(), 2usize..700, gaps, any::<bool>(), any::<bool>()).prop_map(
        |(kind, seed, requests, gap, noise, jumps)| Spec {
            gap,
            noise,
            jumps,
            ..Spec::plain(kind, seed, requests)
        },
    )
}

fn expected(setup: &Setup, lines: &[Line]) -> Report {
    line_by_line(setup, &[("access.log", &logs::bytes(lines))])
}

fn setup_of(kind: Kind, presets: bool) -> Setup {
    if presets { Setup::presets(kind) } else { Setup::new(kind) }
}

/// Without their envelopes: a report carries labels (sites, say) that no rule asks `run` for, and tells causes by them.
fn as_judged(mut incidents: Vec<Incident>) -> Vec<Incident> {
    incidents.iter_mut().for_each(|incident| (incident.cause, incident.envelope) = (None, None));
    incidents
}

proptest! {
    #![proptest_config(logs::cases(150))]

    #[test]
    fn run_says_what_analyze_says(spec in live_spec(), seed: u64, presets: bool) {
        let setup = setup_of(spec.kind, presets);
        let lines = logs::lines(&spec);
        let finished = expected(&setup, &lines);
        // A last line after a jump is nobody's to confirm in a finished log; time confirms it in a live one.
        prop_assume!(finished.late == 0 && finished.future == 0);
        let said = follow(&setup, &[Host::new("n", lines)], seed);
        prop_assert_eq!(said.late, 0);
        let mut fired: Vec<_> = finished.incidents.iter().filter_map(|incident| incident.fired).collect();
        fired.sort_unstable();
        let told = said.changes.iter().filter(|change| change.kind == ChangeKind::Firing);
        prop_assert_eq!(told.map(|change| change.at).collect::<Vec<_>>(), fired);
        prop_assert_eq!(as_judged(said.incidents), as_judged(finished.incidents));
    }

    #[test]
    fn rotation_changes_nothing(spec in live_spec(), seed: u64, at in 0.0f64..1.0, presets: bool) {
        let setup = setup_of(spec.kind, presets);
        let lines = logs::lines(&Spec { jumps: false, ..spec });
        let finished = expected(&setup, &lines);
        let at = (lines.len() as f64 * at) as usize;
        let mut dice = crate::dice::Dice::new(seed);
        // The old file's writer may go on for a while.
        let (mut old, mut new) = (Host::new("n", Vec::new()), Host::new("n", Vec::new()));
        for (i, line) in lines.into_iter().enumerate() {
            let host = if i < at || (i < at + 20 && dice.one_in(3)) { &mut old } else { &mut new };
            host.lines.push(line);
        }
        prop_assume!(!old.lines.is_empty());
        old.ends = true;
        new.appears = new.lines.first().map(|line| line.written);
        let said = follow(&setup, &[old, new], seed);
        prop_assert_eq!(said.late, 0);
        prop_assert_eq!(as_judged(said.incidents), as_judged(finished.incidents));
    }

    #[test]
    fn several_files_are_one(spec in live_spec(), seed: u64, presets: bool) {
        let setup = setup_of(spec.kind, presets);
        let lines = logs::lines(&Spec { jumps: false, ..spec });
        let finished = expected(&setup, &lines);
        let mut hosts = vec![Host::new("n", Vec::new()); 3];
        let mut dice = crate::dice::Dice::new(seed);
        for line in lines {
            hosts[dice.below(3) as usize].lines.push(line);
        }
        prop_assume!(hosts.iter().all(|host| !host.lines.is_empty()));
        let said = follow(&setup, &hosts, seed);
        prop_assert_eq!(said.late, 0);
        prop_assert_eq!(as_judged(said.incidents), as_judged(finished.incidents));
    }
}

/// A jump of over an hour, then lines at the edge of what may come late.
#[test]
fn a_jump_makes_nothing_late() {
    let spec = Spec {
        gap: 3_000,
        delay: 900,
        jumps: true,
        noise: true,
        ..Spec::plain(Kind::Nginx, 5_288_680_408_793_874_998, 444)
    };
    let setup = setup_of(spec.kind, false);
    let said = follow(&setup, &[Host::new("n", logs::lines(&spec))], 3_579_952_020_170_823_221);
    assert_eq!(said.late, 0);
}
