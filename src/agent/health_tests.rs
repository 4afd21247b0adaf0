use super::*;
use gatewatch_rules::matcher::Matcher;

const NOW: Millis = 1_800_000_000_000;
const PATH: &str = "/var/log/nginx/a.log";

fn observed(standing: Standing, lines: (u64, u64), late: (u64, Millis)) -> Observed<'static> {
    let (read, unparsed) = lines;
    let lines = Lines { read, parsed: read - unparsed, unparsed, late: late.0, ..Lines::default() };
    let zone = Zone::Named(chrono_tz::Europe::Berlin);
    Observed { file: FileId(1), path: PATH, input: "edge", zone, standing, lines, late_needed: late.1 }
}

/// Seconds → what changed then, with how it stands every second from 0 on.
fn over_time(health: &mut Health, until: i64, of: impl Fn(i64) -> Observed<'static>) -> Vec<(i64, Change)> {
    let mut all = Vec::new();
    for second in 0..until {
        let changes = health.judge(NOW + second * 1_000, std::iter::once(of(second)));
        all.extend(changes.into_iter().map(|change| (second, change)));
    }
    all
}

fn shown(changes: &[(i64, Change)]) -> Vec<(i64, &str, ChangeKind)> {
    changes.iter().map(|(second, change)| (*second, change.alert.rule.as_str(), change.kind)).collect()
}

fn note(change: &Change) -> &Note {
    change.alert.note.as_ref().unwrap()
}

const UNPARSED: &str = "input_unparsed";

/// With the preset.
fn health() -> Health {
    let mut rule = Rule::new(UNPARSED, "unparsed", vec![(Severity::Warning, 0.01)]);
    rule.runbook = Some("https://wiki.example.net/formats".into());
    let mut health = Health::default();
    health.take_rules(&[rule, Rule::new("errors", "ratio", vec![(Severity::Warning, 0.0)])]);
    health
}

#[test]
fn rules_about_lines_have_windows_thresholds_and_matchers() {
    let of = |edit: fn(&mut Rule)| {
        let mut rule =
            Rule::new("strange", "unparsed", vec![(Severity::Warning, 0.05), (Severity::Critical, 0.5)]);
        edit(&mut rule);
        assert_eq!(rule.problems(5_000), []);
        let mut health = Health::default();
        health.take_rules(&[rule]);
        // 10 lines a second; from second 300 to 600, 6 of 10 are strange.
        let strange = |second: i64| u64::try_from((second.clamp(300, 600) - 300) * 6).unwrap();
        let changes = over_time(&mut health, 2_000, |second| {
            observed(Standing::Fine, (u64::try_from(second).unwrap() * 10, strange(second)), (0, 0))
        });
        let shown = |(second, change): &(i64, Change)| (*second, change.alert.severity, change.kind);
        changes.iter().map(shown).collect::<Vec<_>>()
    };
    let (fires, ends) = (ChangeKind::Firing, ChangeKind::Resolved);
    assert_eq!(of(|_| {}), [(360, Severity::Critical, fires), (960, Severity::Critical, ends)]);
    // Over 10 minutes it is a third at most; and half of 5 % is reached when nearly all of it is out of the window.
    let long = of(|rule| rule.window = 600_000);
    assert_eq!(long, [(360, Severity::Warning, fires), (1500, Severity::Warning, ends)]);
    let patient = of(|rule| (rule.for_, rule.keep_firing_for) = (120_000, 0));
    assert_eq!(patient, [(480, Severity::Critical, fires), (660, Severity::Critical, ends)]);
    assert_eq!(of(|rule| rule.matchers = vec![Matcher::parse("input=other").unwrap()]), []);
    assert_eq!(of(|rule| rule.min_requests = 601), []);
}

#[test]
fn a_file_that_stands_still_is_told_after_a_minute_and_over_after_five_without() {
    let standing = |second: i64| match second {
        10..200 => Standing::Stalled { behind: 300_000 },
        _ => Standing::Fine,
    };
    let changes = over_time(&mut Health::default(), 600, |second| observed(standing(second), (0, 0), (0, 0)));
    assert_eq!(shown(&changes), [(70, STALLED, ChangeKind::Firing), (500, STALLED, ChangeKind::Resolved)]);
    assert_eq!(note(&changes[0].1).what, format!("{PATH} stands still, 5 min behind the other logs"));
    let (fired, over) = (&changes[0].1.alert, &changes[1].1.alert);
    assert_eq!((fired.started, fired.fired), (NOW + 10_000, NOW + 70_000));
    assert_eq!((over.state, over.end, over.last_bad), (State::Resolved, Some(End::Recovered), NOW + 200_000));
    assert_eq!((&fired.fingerprint, &fired.incident), (&over.fingerprint, &over.incident));
    assert_eq!(fired.labels, [("input", "edge"), ("path", PATH)].map(|(n, v)| (n.to_owned(), v.to_owned())));
}

#[test]
fn what_comes_and_goes_is_one_alert_and_what_is_short_is_none() {
    let flapping = |second: i64| match second {
        0..1_000 if second % 200 < 100 => Standing::Stalled { behind: 90_000 },
        _ => Standing::Fine,
    };
    let changes =
        over_time(&mut Health::default(), 1_500, |second| observed(flapping(second), (0, 0), (0, 0)));
    assert_eq!(shown(&changes), [(60, STALLED, ChangeKind::Firing), (1_200, STALLED, ChangeKind::Resolved)]);
    let short = |second: i64| match second % 60 {
        0..50 => Standing::Skewed { offset: 3_600_000 },
        _ => Standing::Fine,
    };
    assert!(over_time(&mut Health::default(), 600, |s| observed(short(s), (0, 0), (0, 0))).is_empty());
}

#[test]
fn the_zone_that_fits_is_named() {
    let hour = 3_600_000;
    // In November, Berlin is an hour east of UTC: an hour slow as Berlin is right as UTC.
    let cases = [
        (hour, "60 min slow", "\"UTC\""),
        (-hour, "60 min fast", "\"+02:00\""),
        (-5 * hour, "5 h fast", "\"+06:00\""),
    ];
    for (offset, how, zone) in cases {
        let changes =
            over_time(&mut Health::default(), 70, |_| observed(Standing::Skewed { offset }, (0, 0), (0, 0)));
        assert_eq!(shown(&changes), [(60, SKEWED, ChangeKind::Firing)]);
        let note = note(&changes[0].1);
        assert!(note.what.contains(how), "{note:?}");
        assert!(note.advice.contains(zone), "{note:?}");
    }
}

#[test]
fn late_and_strange_lines_are_told_once_by_the_minute() {
    // 100 lines a second; from second 120 to 300, 2 of them late and 3 not understood.
    let bad = |second: i64| u64::try_from(second.clamp(120, 300) - 120).unwrap();
    let of = |second: i64| {
        let read = u64::try_from(second).unwrap() * 100;
        observed(Standing::Fine, (read, bad(second) * 3), (bad(second) * 2, 8_400))
    };
    let changes = over_time(&mut health(), 1_000, of);
    assert_eq!(
        shown(&changes),
        [
            (180, LATE, ChangeKind::Firing),
            (180, UNPARSED, ChangeKind::Firing),
            (660, LATE, ChangeKind::Resolved),
            (660, UNPARSED, ChangeKind::Resolved)
        ]
    );
    assert!(note(&changes[0].1).advice.contains("agent.lateness = \"9s\""), "{changes:?}");
    assert_eq!(
        note(&changes[1].1).what,
        format!("180 of 6000 lines of {PATH} within a minute are not understood")
    );
    assert_eq!(changes[1].1.alert.runbook.as_deref(), Some("https://wiki.example.net/formats"));
    assert_eq!(note(&changes[1].1).command.as_deref(), Some("gatewatch explain /var/log/nginx/a.log"));
}

#[test]
fn a_few_lines_or_less_than_a_percent_are_nothing() {
    for (a_second, bad_a_second) in [(1_000, 9), (0, 0)] {
        let of = |second: i64| {
            let second = u64::try_from(second).unwrap();
            observed(Standing::Fine, (second * a_second, second * bad_a_second), (second * bad_a_second, 1))
        };
        assert!(over_time(&mut health(), 300, of).is_empty());
    }
    // Nine bad lines, once, of nine.
    let of = |second: i64| observed(Standing::Fine, if second < 30 { (0, 0) } else { (9, 9) }, (0, 0));
    assert!(over_time(&mut health(), 300, of).is_empty());
}

#[test]
fn what_cannot_be_read_is_told_until_it_is() {
    let mut health = Health::default();
    let trouble = Trouble::from(&std::io::Error::from(std::io::ErrorKind::PermissionDenied));
    let path = std::path::PathBuf::from("/var/log/nginx/secret\u{1b}[2J.log");
    health.happening(&Happening::Unreadable { file: None, path: path.clone(), trouble, repeated: false });
    let none = || std::iter::empty::<Observed<'static>>();
    assert!(health.judge(NOW, none()).is_empty());
    let changes = health.judge(NOW + 60_000, none());
    assert_eq!((changes.len(), changes[0].alert.rule.as_str()), (1, UNREADABLE));
    assert!(note(&changes[0]).advice.contains("group adm"), "{changes:?}");
    assert!(!note(&changes[0]).what.contains('\u{1b}'), "{changes:?}");
    health.happening(&Happening::Recovered { file: None, path });
    assert!(health.judge(NOW + 70_000, none()).is_empty());
    assert_eq!(health.judge(NOW + 370_000, none())[0].kind, ChangeKind::Resolved);
    // A pattern that matches nothing yet is no fault.
    let path = std::path::PathBuf::from("/var/log/none-*.log");
    health.happening(&Happening::Unreadable { file: None, path, trouble: Trouble::NoMatch, repeated: false });
    assert!(health.judge(NOW + 400_000, none()).is_empty() && health.judge(NOW + 500_000, none()).is_empty());
}

#[test]
fn a_restart_goes_on_with_what_was_told() {
    let stalled = |_| observed(Standing::Stalled { behind: 90_000 }, (0, 0), (0, 0));
    let mut first = Health::default();
    let told = over_time(&mut first, 100, stalled);
    let alert = &told[0].1.alert;
    let mut second = Health::resume(std::iter::once(alert));
    assert!(over_time(&mut second, 100, stalled).is_empty(), "it is known");
    let mut third = Health::resume(std::iter::once(alert));
    let changes = over_time(&mut third, 400, |_| observed(Standing::Fine, (0, 0), (0, 0)));
    assert_eq!(shown(&changes), [(300, STALLED, ChangeKind::Resolved)]);
    assert_eq!(changes[0].1.alert.incident, alert.incident);
}

#[test]
fn a_flood_is_bounded() {
    let paths: Vec<String> = (0..1_000).map(|i| format!("/var/log/{i}.log")).collect();
    let mut health = Health::default();
    let mut told = 0;
    for second in 0..70 {
        let files = paths.iter().zip(0..).map(|(path, id)| Observed {
            file: FileId(id),
            path,
            ..observed(Standing::Stalled { behind: 90_000 }, (0, 0), (0, 0))
        });
        told += health.judge(NOW + second * 1_000, files).len();
    }
    assert_eq!(told, TOLD_MAX);
}
