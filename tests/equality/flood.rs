//! A flood of sites that nobody has, while an upstream fails: the sites fold, the upstreams stay, live and finished.

use crate::dice::Dice;
use crate::follow::{Host, follow};
use crate::logs::{self, Kind, Line, Spec};
use crate::reference::Setup;
use crate::running::{Cut, analyze, write};
use gatewatch::wiring;
use gatewatch_rules::report::Incident;

const LOG_FORMAT: &str = r#"nginx:$host $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time" ua="$upstream_addr" us="$upstream_status""#;
/// More than either side holds.
const REQUESTS: usize = 100_000;

/// Judged by upstream; sites are carried because somebody may group by them.
fn setup(cap: usize) -> Setup {
    let mut setup = Setup::new(Kind::Nginx);
    setup.settings.format = Some(wiring::compile_format(LOG_FORMAT).unwrap());
    setup.rules.retain(|rule| matches!(rule.name.as_str(), "quick" | "attempts"));
    setup.by = vec!["upstream".into(), "site".into()];
    setup.cap = cap;
    setup
}

/// The same requests at these sites.
fn at_sites(lines: &[Line], mut site: impl FnMut() -> String) -> Vec<Line> {
    let at = |line: &Line| Line { text: [site().as_bytes(), b" ", &line.text].concat(), ..line.clone() };
    lines.iter().map(at).collect()
}

/// There must be some.
fn verdicts(incidents: &[Incident]) -> &[Incident] {
    assert!(incidents.len() >= 2, "{incidents:?}");
    incidents
}

#[test]
fn random_sites_change_no_verdict_by_upstream() {
    // Fast enough that more sites come in the steps held than a cap allows.
    let spec = Spec { gap: 6, quiet_end: true, ..Spec::plain(Kind::Nginx, 11, REQUESTS) };
    let lines = logs::lines(&spec);
    let calm = at_sites(&lines, || "shop.example".to_owned());
    let mut dice = Dice::new(3);
    let flood = at_sites(&lines, || format!("{:x}.example", dice.below(u64::MAX)));

    let finished = |lines: &[Line]| {
        let (_dir, paths) = write(&[("access.log", &logs::bytes(lines))]);
        analyze(&setup(50_000), &paths, Cut { jobs: 2, block: gatewatch::batch::BLOCK })
    };
    let (without, with) = (finished(&calm), finished(&flood));
    assert_eq!(without.series_overflow, 0);
    assert!(with.series_overflow > 0);
    assert_eq!(with.counted, without.counted);
    assert_eq!(verdicts(&with.incidents), verdicts(&without.incidents));

    let live = |lines: Vec<Line>| follow(&setup(2_000), &[Host::new("n", lines)], 5).incidents;
    assert_eq!(verdicts(&live(flood)), verdicts(&live(calm)));
}
