//! What must not hold the others' time back, nor push it on.

use crate::follow::{Host, Said, follow};
use crate::logs::{self, HOUR, Kind, Line, Spec, T, YEAR_2099};
use crate::reference::{Setup, line_by_line};
use gatewatch_parsers::Millis;
use gatewatch_rules::report::Incident;
use gatewatch_rules::watermark::Standing;
use proptest::prelude::*;

/// Rules that judge each node by itself.
fn setup(kind: Kind) -> Setup {
    let mut setup = Setup::new(kind);
    setup.rules.retain(|rule| matches!(rule.name.as_str(), "quick" | "attempts"));
    for rule in &mut setup.rules {
        rule.group_by = vec!["node".into(), "upstream".into()];
        rule.keep_firing_for = 5_000;
    }
    setup
}

/// A log of some minutes whose last ones are in order, so that every alert is over by then.
fn log(kind: Kind, seed: u64, start: Millis) -> Vec<Line> {
    let spec = Spec { start, gap: 300, quiet_end: true, ..Spec::plain(kind, seed, 2_000) };
    logs::lines(&spec)
}

/// The same log, by a clock that is off by so much.
fn off_by(kind: Kind, seed: u64, off: Millis) -> Vec<Line> {
    let mut lines = log(kind, seed, T + off);
    lines.iter_mut().for_each(|line| line.written -= off);
    lines
}

/// The incidents of one host's upstreams: its pool, where a retry counts, has no traffic to end them; and shares are
/// those of all hosts.
fn of(incidents: &[Incident], node: &str) -> Vec<Incident> {
    let is_of = |i: &&Incident| {
        let value =
            |wanted: &str| i.labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        value("node") == Some(node) && value("upstream").is_some()
    };
    // What the others do at that time decides how large its part is, and which alerts are of one fault with it.
    let alone = |i: Incident| Incident {
        share_of_errors: 0.0,
        share_of_requests: 0.0,
        envelope: None,
        cause: None,
        ..i
    };
    incidents.iter().filter(is_of).cloned().map(alone).collect()
}

fn standing(said: &Said, path: &str) -> Standing {
    said.standings.iter().find(|s| s.0 == path).unwrap().1
}

/// What is said of the host that is right, and what becomes of the other.
fn beside(kind: Kind, seeds: (u64, u64), other: Host) -> Result<Said, TestCaseError> {
    let setup = setup(kind);
    let right = Host::new("right", log(kind, seeds.0, T));
    let alone = follow(&setup, std::slice::from_ref(&right), seeds.1);
    let both = follow(&setup, &[right, other], seeds.1 ^ 1);
    prop_assert_eq!(of(&both.incidents, "right"), of(&alone.incidents, "right"));
    prop_assert!(of(&alone.incidents, "right").iter().all(|i| i.ended.is_some()));
    Ok(both)
}

proptest! {
    #![proptest_config(logs::cases(24))]

    #[test]
    fn one_line_stamped_2099(kind in logs::kinds(), seed: u64, at in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0]) {
        let setup = setup(kind);
        let lines = log(kind, seed, T);
        let mut with = lines.clone();
        let at = (lines.len() as f64 * at) as usize;
        let mut wrong = logs::lines(&Spec { start: YEAR_2099, ..Spec::plain(kind, seed, 1) }).remove(0);
        wrong.written = lines.get(at).or(lines.last()).unwrap().written;
        with.insert(at, wrong);
        let without = follow(&setup, &[Host::new("right", lines)], seed);
        let with = follow(&setup, &[Host::new("right", with)], seed ^ 1);
        prop_assert_eq!(with.late, 0);
        prop_assert_eq!(with.incidents, without.incidents);
    }

    #[test]
    fn a_host_45_s_fast(kind in logs::kinds(), seeds: (u64, u64)) {
        let both = beside(kind, seeds, Host::new("fast", off_by(kind, seeds.0 ^ 5, 45_000)))?;
        prop_assert_eq!(both.late, 0);
        prop_assert_eq!(standing(&both, "fast"), Standing::Fine);
        prop_assert_eq!(standing(&both, "right"), Standing::Fine);
    }

    #[test]
    fn a_host_in_another_zone(kind in logs::kinds(), seeds: (u64, u64), quarters in prop_oneof![Just(-4i64), -40i64..40]) {
        prop_assume!(quarters != 0);
        let off = quarters * HOUR / 4;
        let both = beside(kind, seeds, Host::new("zone", off_by(kind, seeds.0 ^ 5, off)))?;
        prop_assert_eq!(standing(&both, "zone"), Standing::Skewed { offset: -off });
        prop_assert_eq!(standing(&both, "right"), Standing::Fine);
    }

    #[test]
    fn a_stalled_file(kind in logs::kinds(), seeds: (u64, u64), ago in 2 * HOUR..48 * HOUR) {
        let old = log(kind, seeds.0 ^ 5, T - ago);
        let both = beside(kind, seeds, Host::new("old", old))?;
        prop_assert!(matches!(standing(&both, "old"), Standing::Stalled { .. }), "{:?}", both.standings);
    }

    #[test]
    fn an_unreadable_file(kind in logs::kinds(), seeds: (u64, u64), from in 0i64..100_000, length in prop_oneof![0i64..29_000, 0i64..400_000]) {
        let mut other = Host::new("torn", log(kind, seeds.0 ^ 5, T));
        other.unreadable = Some((T + from, T + from + length));
        let lines = logs::bytes(&other.lines);
        let both = beside(kind, seeds, other)?;
        // One that comes back in time is waited for: nothing of it is lost.
        if length < 29_000 {
            let mut alone = setup(kind);
            alone.settings.node = "torn".into();
            let finished = line_by_line(&alone, &[("torn", &lines)]);
            prop_assert_eq!(both.late, 0);
            prop_assert_eq!(of(&both.incidents, "torn"), of(&finished.incidents, "torn"));
        }
    }

    #[test]
    fn a_backlog_beside_a_live_file(kind in logs::kinds(), seeds: (u64, u64), turn in 2_000usize..100_000, ago in 1..3 * HOUR) {
        let mut old = Host::new("old", log(kind, seeds.0 ^ 5, T - HOUR / 4 - ago));
        old.turn = turn;
        let lines = logs::bytes(&old.lines);
        let both = beside(kind, seeds, old)?;
        // It is read first: its own alerts are found, late.
        let mut alone = setup(kind);
        alone.settings.node = "old".into();
        let finished = line_by_line(&alone, &[("old", &lines)]);
        prop_assert_eq!(both.late, 0);
        prop_assert_eq!(of(&both.incidents, "old"), of(&finished.incidents, "old"));
    }
}
