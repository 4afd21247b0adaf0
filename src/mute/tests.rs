//! Episodes of the stage, and whatever may happen to it.

use super::*;
use gatewatch_parsers::Zone;
use gatewatch_rules::alert::{End, State as AlertState};
use gatewatch_rules::rule::Severity;
use proptest::prelude::*;
use std::collections::BTreeSet;

const T: Millis = 1_793_492_552_000;
const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

fn alert(n: u32, rule: &str, node: &str) -> Alert {
    let mut alert: Alert = serde_json::from_str(include_str!("../../tests/messages/alert.json")).unwrap();
    rule.clone_into(&mut alert.rule);
    alert.labels = vec![("node".into(), node.into()), ("upstream".into(), format!("be/s{n}"))];
    alert.fingerprint = format!("{n:016x}");
    alert.incident = format!("{n:04x}-1");
    (alert.state, alert.severity) = (AlertState::Firing, Severity::Warning);
    alert
}

fn change(kind: ChangeKind, alert: &Alert, at: Millis) -> Change {
    let mut alert = alert.clone();
    if kind == ChangeKind::Resolved {
        (alert.state, alert.end, alert.resolved) = (AlertState::Resolved, Some(End::Recovered), Some(at));
    }
    Change { kind, at, alert }
}

fn rules() -> Vec<Rule> {
    let rule = |name: &str, group_by: &[&str], mutes: &[&str]| {
        let mut rule = Rule::new(name, "ratio", vec![(Severity::Warning, 0.1)]);
        rule.group_by = group_by.iter().map(|&l| l.to_owned()).collect();
        rule.mutes = mutes.iter().map(|&l| l.to_owned()).collect();
        rule
    };
    vec![rule("errors", &["node", "upstream"], &[]), rule("node", &["node"], &["errors"])]
}

fn wanted(matcher: &str, ends: Millis) -> Wanted {
    Wanted { matchers: vec![matcher.into()], ends, author: "anna".into(), comment: "deploy".into() }
}

fn none(_: &str) -> Option<Alert> {
    None
}

/// Episodes of alert 1 of the rule `errors` on node `a`. `+firing`: what happens; `N:firing`: what passes of a node's
/// alert on the same node; `silence 60`: for so many minutes; `expire`; `60m`: time passes; `restart`. `>…`: what passes.
fn episode(text: &str) -> Result<(), String> {
    let mut mutes = Mutes::restored(State::default(), &rules(), &[]);
    let (mut now, mut alert, node) = (T, alert(1, "errors", "a"), alert(2, "node", "a"));
    for line in text.split(';').map(str::trim) {
        let (act, expected) = line.split_once('>').unwrap_or((line, "-"));
        let kind = |word: &str| match word {
            "firing" => ChangeKind::Firing,
            "escalated" => ChangeKind::Escalated,
            "reopened" => ChangeKind::Reopened,
            _ => ChangeKind::Resolved,
        };
        let mut changes = Vec::new();
        for act in act.split_whitespace() {
            if let Some(word) = act.strip_prefix('+') {
                if word == "escalated" {
                    alert.severity = Severity::Critical;
                }
                changes.push(change(kind(word), &alert, now));
            } else if let Some(word) = act.strip_prefix("node+") {
                changes.push(change(kind(word), &node, now));
            } else if let Some(minutes) = act.strip_prefix("silence=") {
                let ends = now + minutes.parse::<Millis>().unwrap() * MINUTE;
                mutes.add(&wanted("rule=errors", ends), now).unwrap();
            } else if act == "expire" {
                mutes.expire(1, now).unwrap();
            } else if act == "restart" {
                let saved = serde_json::to_string(mutes.state()).unwrap();
                mutes = Mutes::restored(serde_json::from_str(&saved).unwrap(), &rules(), &[]);
            } else if let Some(minutes) = act.strip_suffix('m') {
                now += minutes.parse::<Millis>().unwrap() * MINUTE;
            } else {
                return Err(format!("what is {act}?"));
            }
        }
        let passed = mutes.pass(changes, now, &none);
        let word = |change: &Change| {
            let mark = if change.alert.hushed.is_some() { "*" } else { "" };
            let node = if change.alert.rule == "node" { "node " } else { "" };
            format!("{node}{:?}{mark}", change.kind).to_lowercase()
        };
        let said = if passed.is_empty() {
            "-".to_owned()
        } else {
            passed.iter().map(word).collect::<Vec<_>>().join(", ")
        };
        if said != expected.trim() {
            return Err(format!("{line}: {said}"));
        }
    }
    Ok(())
}

const EPISODES: &[(&str, &str)] = &[
    ("unmuted", "+firing > firing; +escalated > escalated; +resolved > resolved"),
    ("silenced, and fires at its end", "silence=60; +firing; 59m; 1m > firing*; +resolved > resolved"),
    ("silenced, and over", "silence=60; +firing; +resolved; 60m"),
    ("expired by hand", "silence=60; +firing; 5m; expire > firing*; +resolved > resolved"),
    ("fired before", "+firing > firing; silence=60; +resolved > resolved; 60m"),
    ("fired before, and goes on", "+firing > firing; silence=60; 60m; +resolved > resolved"),
    ("fired before, worse meanwhile", "+firing > firing; silence=60; +escalated; 60m > escalated*"),
    ("fired before, worse and over", "+firing > firing; silence=60; +escalated; +resolved > resolved; 60m"),
    ("fired and worse meanwhile", "silence=60; +firing; +escalated; 60m > firing*"),
    (
        "back after its end was told",
        "+firing > firing; +resolved > resolved; silence=60; +reopened; 60m > reopened*",
    ),
    (
        "back and worse",
        "+firing > firing; +resolved > resolved; silence=60; +reopened; +escalated; 60m > escalated*",
    ),
    (
        "back and over",
        "+firing > firing; +resolved > resolved; silence=60; +reopened; +resolved; 60m; +reopened > reopened",
    ),
    (
        "nobody knows it, and it comes back",
        "silence=5; +firing; +resolved; 5m; +reopened > firing*; +resolved > resolved",
    ),
    ("comes back while silenced", "silence=5; +firing; +resolved; +reopened; 5m > firing*"),
    ("a second silence", "silence=5; +firing; silence=10; 5m; 5m > firing*"),
    (
        "restarted",
        "silence=5; restart; +firing; restart; restart 5m > firing*; restart; +resolved > resolved",
    ),
    ("fired before, restarted", "+firing > firing; silence=5; restart; +resolved > resolved"),
    ("muted by a rule", "node+firing > node firing; +firing; node+resolved > node resolved; 1m > firing*"),
    (
        "at once, whichever is first",
        "+firing node+firing > node firing; +resolved; node+resolved > node resolved",
    ),
    ("fired before the one that mutes", "+firing > firing; node+firing > node firing; +resolved > resolved"),
    ("over at once", "node+firing > node firing; +firing; node+resolved +resolved > node resolved; 2m"),
    (
        "over soon after",
        "node+firing > node firing; +firing; node+resolved > node resolved; restart +resolved; 2m",
    ),
    (
        "back soon after",
        "node+firing > node firing; +firing; node+resolved > node resolved; node+reopened > node reopened; 2m",
    ),
    (
        "silence over, rule goes on",
        "silence=5; node+firing > node firing; +firing; 5m; node+resolved > node resolved; 1m > firing*",
    ),
];

#[test]
fn episodes() {
    let wrong: Vec<String> = EPISODES
        .iter()
        .filter_map(|(what, text)| episode(text).err().map(|e| format!("{what}: {e}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_passes_is_marked_and_of_now() {
    let mut mutes = Mutes::restored(State::default(), &rules(), &[]);
    let silence = mutes.add(&wanted("upstream=~be/.*", T + HOUR), T).unwrap();
    let one = alert(1, "errors", "a");
    assert!(mutes.pass(vec![change(ChangeKind::Firing, &one, T)], T, &none).is_empty());
    assert_eq!(mutes.state().muted(&one.fingerprint).unwrap(), "silence 1 of anna (deploy)");
    let held = mutes.state().held().next().unwrap();
    assert!(held.samples.is_empty() && held.incident == one.incident);
    let later = Alert { window_errors: 77, ..one.clone() };
    let passed = mutes.pass(Vec::new(), T + HOUR, &|_| Some(later.clone()));
    let hushed = Hushed { by: silence.name(), until: T + HOUR };
    assert_eq!(
        passed,
        [Change { kind: ChangeKind::Firing, at: T, alert: Alert { hushed: Some(hushed), ..later } }]
    );
    assert!(mutes.state().muted(&one.fingerprint).is_none() && mutes.state().held().next().is_none());
    let known = mutes.state().silences().get(silence.id).unwrap();
    assert_eq!((known.held, known.unseen), (1, 0));
    assert_eq!(mutes.state().counters(), Counters { held: 1, ..Counters::default() });
}

#[test]
fn a_window_opens_and_closes() {
    let mut window = Window::new("weekly", Zone::parse("UTC").unwrap());
    (window.from, window.until) = (Some(T + HOUR), Some(T + 2 * HOUR));
    let windows = [window];
    let mut mutes = Mutes::restored(State::default(), &rules(), &windows);
    let (one, two) = (alert(1, "errors", "a"), alert(2, "errors", "b"));
    assert_eq!(mutes.pass(vec![change(ChangeKind::Firing, &one, T)], T, &none).len(), 1);
    assert_eq!(mutes.muted().unwrap().count(), 0);
    mutes.pass(Vec::new(), T + HOUR, &none);
    assert_eq!(mutes.muted().unwrap().count(), 1, "whoever was told is reminded no more");
    assert!(mutes.muted().is_none(), "nothing is new");
    assert!(mutes.pass(vec![change(ChangeKind::Firing, &two, T)], T + HOUR, &none).is_empty());
    let passed = mutes.pass(Vec::new(), T + 2 * HOUR, &none);
    assert_eq!(passed[0].alert.hushed.as_ref().unwrap().by, "maintenance weekly");
    assert_eq!((passed.len(), mutes.muted().unwrap().count()), (1, 0));

    // A reload takes the window away.
    assert!(mutes.pass(vec![change(ChangeKind::Resolved, &two, T)], T + HOUR, &none).len() == 1);
    assert!(mutes.pass(vec![change(ChangeKind::Firing, &two, T)], T + HOUR, &none).is_empty());
    mutes.reconfigure(&rules(), &[]);
    assert_eq!(mutes.pass(Vec::new(), T + HOUR + 1, &none).len(), 1);
}

#[test]
fn in_doubt_it_passes() {
    let mut mutes = Mutes::restored(State::default(), &rules(), &[]);
    let unknown = change(ChangeKind::Resolved, &alert(9, "errors", "a"), T);
    assert_eq!(mutes.pass(vec![unknown.clone()], T, &none), [unknown]);
    mutes.add(&wanted("rule=errors", T + HOUR), T).unwrap();
    let changes = (0..HELD_MAX as u32 + 5).map(|n| change(ChangeKind::Firing, &alert(n, "errors", "a"), T));
    assert_eq!(mutes.pass(changes.collect(), T, &none).len(), 5);
    assert_eq!((mutes.state().held().count(), mutes.state().counters().overflow), (HELD_MAX, 5));
    // Those who were told are told the end.
    let ends = (0..HELD_MAX as u32 + 5).map(|n| change(ChangeKind::Resolved, &alert(n, "errors", "a"), T));
    assert_eq!(mutes.pass(ends.collect(), T, &none).len(), 5);
    assert_eq!((mutes.state().open.len(), mutes.state().unseen.len()), (0, UNSEEN_MAX));
}

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Alert, what happens to it.
    Push(u32, ChangeKind),
    Wait(Millis),
    /// Of the alerts of this node, for so many minutes.
    Silence(bool, i64),
    Expire(u64),
    Restart,
    /// Whether there is a window.
    Reload(bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let kind = prop_oneof![
        3 => Just(ChangeKind::Firing), 1 => Just(ChangeKind::Escalated),
        1 => Just(ChangeKind::Reopened), 3 => Just(ChangeKind::Resolved),
    ];
    let act = prop_oneof![
        10 => (0..6_u32, kind).prop_map(|(n, kind)| Act::Push(n, kind)),
        4 => (0..20 * MINUTE).prop_map(Act::Wait),
        2 => (any::<bool>(), 1..30_i64).prop_map(|(node, minutes)| Act::Silence(node, minutes)),
        1 => (1..5_u64).prop_map(Act::Expire),
        2 => Just(Act::Restart),
        1 => any::<bool>().prop_map(Act::Reload),
    ];
    prop::collection::vec(act, 1..100)
}

/// What may be seen from outside.
struct World {
    mutes: Mutes,
    now: Millis,
    windows: Vec<Window>,
    /// As an engine makes them.
    alerts: BTreeMap<u32, (Alert, bool)>,
    /// When alerts were over.
    over: BTreeMap<u32, Millis>,
    /// Fingerprints that somebody was told fire.
    told: BTreeSet<String>,
    /// Incidents of which somebody was told.
    paged: BTreeMap<String, u32>,
}

impl World {
    fn act(&mut self, act: Act) -> Vec<Change> {
        match act {
            Act::Push(n, kind) => {
                let node = if n.is_multiple_of(2) { "a" } else { "b" };
                let rule = if n < 2 { "node" } else { "errors" };
                let (alert, fires) = self.alerts.entry(n).or_insert((alert(n, rule, node), false));
                let number: u32 = alert.incident[5..].parse().unwrap();
                match (kind, *fires) {
                    (ChangeKind::Firing, false) => {
                        alert.incident = format!("{n:04x}-{}", number + 1);
                        (alert.severity, *fires) = (Severity::Warning, true);
                    }
                    (ChangeKind::Escalated, true) if alert.severity == Severity::Warning => {
                        alert.severity = Severity::Critical;
                    }
                    (ChangeKind::Reopened, false) if number > 1 => *fires = true,
                    (ChangeKind::Resolved, true) => {
                        *fires = false;
                        self.over.insert(n, self.now);
                    }
                    _ => return Vec::new(),
                }
                return vec![change(kind, alert, self.now)];
            }
            Act::Wait(wait) => self.now += wait,
            Act::Silence(node, minutes) => {
                let matcher = if node { "node=a" } else { "rule=errors" };
                self.mutes.add(&wanted(matcher, self.now + minutes * MINUTE), self.now).unwrap();
            }
            Act::Expire(id) => drop(self.mutes.expire(id, self.now)),
            Act::Restart => {
                let saved = serde_json::to_string(self.mutes.state()).unwrap();
                self.mutes = Mutes::restored(serde_json::from_str(&saved).unwrap(), &rules(), &self.windows);
            }
            Act::Reload(has_window) => {
                let mut window = Window::new("hourly", Zone::parse("UTC").unwrap());
                window.times = (0..24).map(|hour| (hour * 60, hour * 60 + 20)).collect();
                self.windows = if has_window { vec![window] } else { Vec::new() };
                self.mutes.reconfigure(&rules(), &self.windows);
            }
        }
        Vec::new()
    }

    /// Whether it is muted, found the long way.
    fn is_muted(&self, alert: &Alert) -> bool {
        let about = About::of(alert);
        let silenced = self.mutes.state().silences().of(&about, self.now).is_some();
        let open = |window: &Window| window.next(self.now).is_some_and(|span| span.start <= self.now);
        let lingers = |n: &u32| self.over.get(n).is_some_and(|over| self.now < over + LINGER);
        let node_fires = self.alerts.iter().any(|(n, (other, fires))| {
            (*fires || lingers(n))
                && other.rule == "node"
                && about.value("node") == About::of(other).value("node")
        });
        silenced || self.windows.iter().any(open) || alert.rule == "errors" && node_fires
    }

    fn check(&mut self, passed: &[Change]) -> Result<(), TestCaseError> {
        for change in passed {
            let alert = &change.alert;
            if change.kind == ChangeKind::Resolved {
                prop_assert!(self.told.remove(&alert.fingerprint), "the end of what nobody knows");
                continue;
            }
            prop_assert!(!self.is_muted(alert), "told while muted: {:?} {}", change.kind, alert.incident);
            if change.kind == ChangeKind::Firing {
                let pages = self.paged.entry(alert.incident.clone()).or_default();
                *pages += 1;
                prop_assert_eq!(*pages, 1, "paged twice: {}", &alert.incident);
            }
            prop_assert!(self.paged.contains_key(&alert.incident), "not told from its beginning");
            self.told.insert(alert.fingerprint.clone());
        }
        // Everybody knows of all that fires and is not muted, and of no other that is over.
        for (alert, fires) in self.alerts.values() {
            let known = self.told.contains(&alert.fingerprint);
            prop_assert!(*fires || !known, "its end was not told");
            prop_assert!(!fires || known || self.is_muted(alert), "fires, and nobody was told");
        }
        let muted: BTreeSet<String> = {
            self.mutes.changed = true;
            self.mutes.muted().into_iter().flatten().cloned().collect()
        };
        for (alert, _) in self.alerts.values().filter(|(alert, _)| self.told.contains(&alert.fingerprint)) {
            prop_assert_eq!(muted.contains(&alert.fingerprint), self.is_muted(alert), "{}", &alert.incident);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_happens(acts in acts()) {
        let (alerts, over, told, paged) = Default::default();
        let mutes = Mutes::restored(State::default(), &rules(), &[]);
        let mut world = World { mutes, now: T, windows: Vec::new(), alerts, over, told, paged };
        for act in acts {
            let changes = world.act(act);
            let passed = world.mutes.pass(changes, world.now, &none);
            world.check(&passed)?;
        }
    }
}
