use super::*;
use crate::notification::{News, Subject};
use crate::receiver::{Receiver, ReceiverKind};
use gatewatch_rules::alert::{End, State as AlertState};

pub(super) const T: Millis = 1_793_492_552_000;
const MINUTE: Millis = 60_000;

pub(super) fn alert(n: u32, rule: &str, severity: Severity) -> Alert {
    let mut alert: Alert = serde_json::from_str(include_str!("../../../tests/messages/alert.json")).unwrap();
    rule.clone_into(&mut alert.rule);
    alert.fingerprint = format!("{n:016x}");
    alert.incident = format!("{n:04x}-1");
    alert.severity = severity;
    alert
}

pub(super) fn change(kind: ChangeKind, alert: &Alert) -> Change {
    let mut alert = alert.clone();
    if kind == ChangeKind::Resolved {
        alert.state = AlertState::Resolved;
        alert.end = Some(End::Recovered);
    }
    Change { kind, at: T, alert }
}

pub(super) fn receiver(name: &str) -> Receiver {
    Receiver { rate_limit: None, ..Receiver::new(name, ReceiverKind::webhook("http://127.0.0.1:9/x")) }
}

pub(super) fn rules() -> [Rule; 1] {
    [Rule::new("errors", "ratio", vec![(Severity::Critical, 0.2)])]
}

fn outbox() -> Outbox {
    Outbox::new(&[receiver("ops")], &rules(), 7)
}

fn retry(after: Option<Millis>) -> Outcome {
    Outcome::Retry { after, why: "503".into(), may_have_arrived: false }
}

fn refused() -> Outcome {
    Outcome::Failed { why: "404".into() }
}

/// What is said to `ops`, as words.
fn said(notifications: &[Notification]) -> Vec<Vec<News>> {
    notifications.iter().map(|n| n.items.iter().map(|item| item.news).collect()).collect()
}

/// Episodes of one alert: what happens, who is told, how bad it is at first, and the steps. `+firing`: a change;
/// `10s:firing`: what is due after 10 s (`-`: nothing); `sent`, `retry`, `refused`: what becomes of it.
const EPISODES: &[(&str, &str, Severity, &str)] = {
    use Severity::{Critical, Warning};
    &[
        ("critical: at once", "all", Critical, "+firing 0:firing"),
        ("warning: group_wait", "all", Warning, "+firing 9999ms:- 1ms:firing"),
        ("its own group_wait", "slow", Critical, "+firing 29s:- 1s:firing"),
        ("there and back", "all", Critical, "+firing 0:firing sent +resolved 0:resolved sent 9h:-"),
        ("send_resolved = false", "quiet", Critical, "+firing 0:firing sent +resolved 9h:-"),
        ("the same, over while in flight", "quiet", Critical, "+firing 0:firing +resolved sent 9h:-"),
        ("came and went unseen", "all", Warning, "+firing +resolved 10s:both sent 9h:-"),
        ("said twice", "all", Critical, "+firing 0:firing sent +firing 1h:-"),
        (
            "over while firing is in flight",
            "all",
            Critical,
            "+firing 0:firing +resolved 1h:- sent 0:resolved",
        ),
        ("over while firing fails", "all", Critical, "+firing 0:firing +resolved retry 1m:both"),
        (
            "reopened before its end was told",
            "all",
            Critical,
            "+firing 0:firing sent +resolved +reopened 1h:-",
        ),
        (
            "reopened for a while: no page",
            "all",
            Critical,
            "+firing 0:firing sent +resolved 0:resolved sent +reopened 599s:- +resolved 9h:-",
        ),
        (
            "reopened for long: the last word must not stay wrong",
            "all",
            Critical,
            "+firing 0:firing sent +resolved 0:resolved sent +reopened 10m:reopened sent +resolved 0:resolved",
        ),
        (
            "reopened and escalated",
            "all",
            Warning,
            "+firing 10s:firing sent +resolved 10s:resolved sent +reopened 1m:- +escalated 0:escalated",
        ),
        ("escalated", "all", Warning, "+firing 10s:firing sent +escalated 0:escalated sent 1h:-"),
        ("escalated unseen", "all", Warning, "+firing +escalated 0:firing sent 1h:-"),
        ("escalated while in flight", "all", Warning, "+firing 10s:firing +escalated sent 0:escalated"),
        (
            "a pager takes it once it is critical",
            "pager",
            Warning,
            "+firing 1h:- +escalated 0:firing sent +resolved 0:resolved",
        ),
        ("never the pager's", "pager", Warning, "+firing 1h:- +resolved 1h:-"),
        (
            "who was told is told the end",
            "mild",
            Warning,
            "+firing 10s:firing sent +escalated 1h:- +resolved 0:resolved",
        ),
        ("repeat_interval", "all", Critical, "+firing 0:firing sent 14399s:- 1s:repeated sent 4h:repeated"),
        (
            "over while a reminder is in flight",
            "all",
            Critical,
            "+firing 0:firing sent 4h:repeated +resolved 1h:- retry 1m:resolved sent 9h:-",
        ),
        (
            "the next incident pages, though the last end was not told",
            "all",
            Critical,
            "+firing 0:firing sent +resolved 0:resolved retry next-incident +firing 1m:firing sent \
             +resolved 0:resolved sent 9h:-",
        ),
        ("an end of nothing", "all", Critical, "+resolved 1h:-"),
        ("refused, then taken", "all", Critical, "+firing 0:firing refused 899s:- 1s:firing sent 1h:-"),
        (
            "refused for an hour",
            "all",
            Critical,
            "+firing 0:firing refused 1h:firing refused 14399s:- 1s:firing refused +resolved 1h:-",
        ),
        (
            "an end is refused for an hour",
            "all",
            Critical,
            "+firing 0:firing sent +resolved 0:resolved refused 15m:resolved refused 45m:resolved refused 9h:-",
        ),
        ("refused, and news of it", "all", Critical, "+firing 0:firing refused 1m:- +resolved 0:both"),
        ("found late, and still fires", "all", Critical, "catching-up +firing 1h:- caught-up 0:firing"),
        ("found late, and over", "all", Critical, "catching-up +firing +resolved 1h:- caught-up 0:both"),
        (
            "found late, when told before",
            "all",
            Critical,
            "+firing 0:firing sent catching-up +resolved 0:resolved",
        ),
    ]
};

fn length(text: &str) -> Millis {
    let (digits, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let unit = BTreeMap::from([("", 1), ("ms", 1), ("s", 1_000), ("m", MINUTE), ("h", 60 * MINUTE)])[unit];
    digits.parse::<Millis>().unwrap() * unit
}

fn word(news: News) -> &'static str {
    match news {
        News::Firing => "firing",
        News::Escalated { .. } => "escalated",
        News::Repeated => "repeated",
        News::Reopened => "reopened",
        News::Resolved => "resolved",
        News::FiredAndResolved => "both",
    }
}

/// One episode as it goes on.
struct Episode {
    outbox: Outbox,
    alert: Alert,
    now: Millis,
    last: u64,
}

impl Episode {
    fn step(&mut self, step: &str) {
        if let Some((wait, expected)) = step.split_once(':') {
            self.now += length(wait);
            let due = self.outbox.due(self.now);
            let told: Vec<&str> = due.iter().flat_map(|n| &n.items).map(|item| word(item.news)).collect();
            assert_eq!(told, if expected == "-" { vec![] } else { vec![expected] });
            self.last = due.first().map_or(self.last, |n| n.id);
            return;
        }
        let mut push = |kind| self.outbox.push(change(kind, &self.alert), self.now);
        match step {
            "+firing" => push(ChangeKind::Firing),
            "+escalated" => {
                self.alert.severity = Severity::Critical;
                self.outbox.push(change(ChangeKind::Escalated, &self.alert), self.now);
            }
            "+reopened" => push(ChangeKind::Reopened),
            "+resolved" => push(ChangeKind::Resolved),
            "sent" => self.outbox.done(self.last, &Outcome::Sent, self.now),
            "retry" => self.outbox.done(self.last, &retry(None), self.now),
            "refused" => self.outbox.done(self.last, &refused(), self.now),
            "catching-up" => {
                self.alert.detected_late = true;
                self.outbox.set_catching_up(true);
            }
            "caught-up" => self.outbox.set_catching_up(false),
            "next-incident" => self.alert.incident = "0001-2".into(),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn episodes() {
    for (name, terms, severity, steps) in EPISODES {
        println!("{name}");
        let ops = receiver("ops");
        let ops = match *terms {
            "slow" => Receiver { group_wait: Some(30_000), ..ops },
            "quiet" => Receiver { send_resolved: false, ..ops },
            "pager" => Receiver { severity: vec![Severity::Critical], ..ops },
            "mild" => Receiver { severity: vec![Severity::Warning], ..ops },
            _ => ops,
        };
        let rule = Rule::new("errors", "ratio", vec![(Severity::Critical, 0.2)]);
        let outbox = Outbox::new(&[ops], &[rule], 7);
        let mut episode = Episode { outbox, alert: alert(1, "errors", *severity), now: T, last: 0 };
        for (i, step) in steps.split_whitespace().enumerate() {
            println!("  {i}: {step}");
            episode.step(step);
        }
    }
}

#[test]
fn one_message_per_receiver_and_rule_worst_first() {
    let mut outbox = outbox();
    let mut mild = alert(1, "errors", Severity::Warning);
    mild.window_errors = 400;
    for alert in [&mild, &alert(2, "errors", Severity::Critical), &alert(3, "node", Severity::Warning)] {
        outbox.push(change(ChangeKind::Firing, alert), T);
    }
    let due = outbox.due(T);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].subject, Subject::Rule("errors".into()));
    let severities: Vec<_> = due[0].items.iter().map(|item| item.alert.severity).collect();
    assert_eq!(severities, [Severity::Critical, Severity::Warning]);
    assert!(outbox.due(T + MINUTE).is_empty(), "one in flight");
    outbox.done(due[0].id, &Outcome::Sent, T + MINUTE);
    let due = outbox.due(T + MINUTE);
    assert_eq!(due[0].subject, Subject::Rule("node".into()));
}

#[test]
fn a_down_receiver_gets_one_coalesced_message() {
    let mut outbox = outbox();
    let mut now = T;
    let mut keys = BTreeSet::new();
    for n in 0..12 {
        outbox.push(change(ChangeKind::Firing, &alert(n, "errors", Severity::Critical)), now);
    }
    while now < T + 10 * MINUTE {
        for notification in outbox.due(now) {
            keys.insert(notification.key.clone());
            outbox.done(notification.id, &retry(None), now);
        }
        now = outbox.next_due().unwrap().max(now + 1);
        assert!(now - T < 11 * MINUTE);
    }
    assert_eq!(keys.len(), 1, "the same key for the same content");
    for n in 0..3 {
        outbox.push(change(ChangeKind::Resolved, &alert(n, "errors", Severity::Critical)), now);
    }
    let due = outbox.due(now + MINUTE);
    assert_eq!(due.len(), 1);
    assert!(!keys.contains(&due[0].key));
    let over = due[0].items.iter().filter(|item| item.news == News::FiredAndResolved).count();
    assert_eq!((due[0].items.len(), over), (12, 3));
}

#[test]
fn unseen_for_an_hour_is_one_summary_over_all_rules() {
    let mut outbox = outbox();
    for (n, rule) in ["errors", "node", "region"].iter().enumerate() {
        let alert = alert(n as u32, rule, Severity::Critical);
        outbox.push(change(ChangeKind::Firing, &alert), T);
        outbox.push(change(ChangeKind::Resolved, &alert), T);
    }
    let first = outbox.due(T);
    outbox.done(first[0].id, &retry(None), T);
    let due = outbox.due(T + TTL + 1);
    assert_eq!(due[0].subject, Subject::WhileAway);
    assert_eq!(said(&due), [vec![News::FiredAndResolved; 3]]);
    outbox.done(due[0].id, &Outcome::Sent, T + TTL + 1);
    assert_eq!((outbox.pending(), outbox.next_due(), outbox.state.alerts.len()), (0, None, 0));
}

#[test]
fn at_the_cap_undelivered_firings_go_and_ends_stay() {
    let mut outbox = outbox();
    let told = 600;
    for n in 0..told {
        outbox.push(change(ChangeKind::Firing, &alert(n, "errors", Severity::Warning)), T);
    }
    let due = outbox.due(T + MINUTE);
    outbox.done(due[0].id, &Outcome::Sent, T + MINUTE);
    for n in 0..told {
        outbox.push(change(ChangeKind::Resolved, &alert(n, "errors", Severity::Warning)), T + MINUTE);
    }
    for n in told..told + 500 {
        let severity = if n % 5 == 0 { Severity::Critical } else { Severity::Warning };
        outbox.push(change(ChangeKind::Firing, &alert(n, "errors", severity)), T + MINUTE);
    }
    assert_eq!((outbox.pending(), outbox.counters().deliveries_dropped), (CAP, 100));
    let due = outbox.due(T + 2 * MINUTE);
    let count = |news| due[0].items.iter().filter(|item| item.news == news).count();
    let critical = due[0].firing().filter(|item| item.alert.severity == Severity::Critical).count();
    assert_eq!((count(News::Resolved), count(News::Firing), critical), (told as usize, 400, 100));
}

#[test]
fn a_reload_says_nothing_and_keeps_what_is_known() {
    let mut outbox = outbox();
    let rules = rules();
    let alert = alert(1, "errors", Severity::Critical);
    outbox.push(change(ChangeKind::Firing, &alert), T);
    let due = outbox.due(T);
    for _ in 0..100 {
        outbox.reconfigure(&[receiver("ops")], &rules, T);
        assert!(outbox.due(T + MINUTE).is_empty());
    }
    outbox.done(due[0].id, &Outcome::Sent, T + MINUTE);
    for _ in 0..100 {
        outbox.reconfigure(&[receiver("ops")], &rules, T);
        assert!(outbox.due(T + MINUTE).is_empty());
    }
    outbox.push(change(ChangeKind::Resolved, &alert), T + MINUTE);
    assert_eq!(said(&outbox.due(T + MINUTE)), [[News::Resolved]]);
    outbox.reconfigure(&[], &rules, T + MINUTE);
    assert_eq!((outbox.pending(), outbox.state.alerts.len()), (0, 0));
}

/// Whether anybody was told before or not; what waits for the end of a backlog waits for new receivers, too.
#[test]
fn a_new_receiver_hears_of_what_fires_in_one_message() {
    for first in [vec![], vec![receiver("ops")]] {
        let mut outbox = Outbox::new(&first, &rules(), 7);
        outbox.set_catching_up(true);
        let late = Alert { detected_late: true, ..alert(4, "errors", Severity::Critical) };
        for alert in [&alert(1, "errors", Severity::Critical), &alert(2, "node", Severity::Warning), &late] {
            outbox.push(change(ChangeKind::Firing, alert), T);
        }
        let over = alert(3, "errors", Severity::Critical);
        outbox.push(change(ChangeKind::Firing, &over), T);
        outbox.push(change(ChangeKind::Resolved, &over), T);
        while let [due, ..] = outbox.due(T + MINUTE).as_slice() {
            outbox.done(due.id, &Outcome::Sent, T + MINUTE);
        }
        let chat = receiver("chat");
        let pager = Receiver { severity: vec![Severity::Warning], ..receiver("pager") };
        let all = [first.as_slice(), &[chat, pager]].concat();
        outbox.reconfigure(&all, &rules(), T + MINUTE);
        let due = outbox.due(T + MINUTE);
        let told: Vec<_> = due.iter().map(|n| (n.receiver.as_str(), n.items.len(), &n.subject)).collect();
        assert_eq!(told, [("chat", 2, &Subject::Introduced), ("pager", 1, &Subject::Introduced)]);
        for notification in &due {
            outbox.done(notification.id, &Outcome::Sent, T + MINUTE);
        }
        outbox.reconfigure(&all, &rules(), T + MINUTE);
        assert!(outbox.due(T + MINUTE).is_empty());
        outbox.push(change(ChangeKind::Resolved, &alert(1, "errors", Severity::Critical)), T + MINUTE);
        let due = outbox.due(T + MINUTE);
        assert_eq!(due.len(), first.len() + 1);
        assert!(due.iter().all(|n| n.subject == Subject::Rule("errors".into())));
    }
}

#[test]
fn a_reminder_shows_the_newest_figures() {
    let mut outbox = outbox();
    let mut alert = alert(1, "errors", Severity::Critical);
    outbox.push(change(ChangeKind::Firing, &alert), T);
    let due = outbox.due(T);
    outbox.done(due[0].id, &Outcome::Sent, T);
    alert.errors = 99_999;
    outbox.refresh(&alert);
    let due = outbox.due(T + REPEAT_INTERVAL);
    assert_eq!((due[0].items[0].news, due[0].items[0].alert.errors), (News::Repeated, 99_999));
    outbox.done(due[0].id, &Outcome::Sent, T + REPEAT_INTERVAL);
    let next = outbox.due(T + 2 * REPEAT_INTERVAL);
    assert_eq!(next[0].items[0].news, News::Repeated);
    assert_ne!(next[0].key, due[0].key, "another reminder is another message");
}

#[test]
fn a_clock_that_is_set_back_holds_up_nothing() {
    let mut outbox = outbox();
    outbox.push(change(ChangeKind::Firing, &alert(1, "errors", Severity::Warning)), T);
    let earlier = T - 24 * 60 * MINUTE;
    assert!(outbox.due(earlier).is_empty());
    assert_eq!(outbox.next_due(), Some(earlier + 10_000));
    let due = outbox.due(earlier + 10_000);
    outbox.done(due[0].id, &retry(None), earlier - MINUTE);
    assert!(outbox.next_due().unwrap() <= earlier - MINUTE + 1_000);
}
