use super::*;
use crate::notification::{News, Subject};
use crate::receiver::{Rate, Receiver, ReceiverKind};
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

fn unclear() -> Outcome {
    Outcome::Retry { after: None, why: "500".into(), may_have_arrived: true }
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
        (
            "an end under way is not told once it fires again",
            "all",
            Critical,
            "+firing 0:firing sent +resolved 0:resolved unclear +reopened 1m:- 10m:reopened sent +resolved 0:resolved sent 9h:-",
        ),
        (
            "it fires again, and is over before that was told",
            "all",
            Critical,
            "+firing 0:firing sent +resolved 0:resolved unclear +reopened 1m:- +resolved 0:resolved sent 9h:-",
        ),
        (
            "its end surely did not arrive, and it fires again: nothing to tell",
            "all",
            Critical,
            "+firing 0:firing sent +resolved 0:resolved retry +reopened 1m:- 2h:- +resolved 0:resolved sent 9h:-",
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
            "unclear" => self.outbox.done(self.last, &unclear(), self.now),
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
fn of_a_muted_alert_only_the_end_is_told() {
    let one = alert(1, "errors", Severity::Critical);
    let muted = || BTreeSet::from([one.fingerprint.clone()]);
    const DAY: Millis = 86_400_000;

    // Told before: no reminder, but its end.
    let mut outbox = outbox();
    outbox.push(change(ChangeKind::Firing, &one), T);
    let due = outbox.due(T);
    outbox.done(due[0].id, &Outcome::Sent, T);
    outbox.set_muted(muted());
    assert!(outbox.due(T + DAY).is_empty() && outbox.next_due().is_none());
    outbox.push(change(ChangeKind::Resolved, &one), T + DAY);
    assert_eq!(said(&outbox.due(T + DAY)), [[News::Resolved]]);

    // Not told yet, or perhaps not: nothing, until it is muted no more.
    for answer in [None, Some(retry(None)), Some(unclear())] {
        let mut outbox = super::tests::outbox();
        outbox.push(change(ChangeKind::Firing, &one), T);
        if let Some(answer) = &answer {
            let due = outbox.due(T);
            outbox.done(due[0].id, answer, T);
        }
        outbox.set_muted(muted());
        assert!(outbox.due(T + 10 * MINUTE).is_empty(), "{answer:?}");
        outbox.set_muted(BTreeSet::new());
        assert_eq!(said(&outbox.due(T + 10 * MINUTE)), [[News::Firing]], "{answer:?}");
    }
}

#[test]
fn a_flood_of_alerts_is_kept_in_little_space() {
    let mut outbox = outbox();
    let mut firing = |n| {
        let mut alert = alert(n, "errors", Severity::Warning);
        let line = gatewatch_rules::alert::Sample { line: "x".repeat(512), ..alert.samples[0].clone() };
        alert.samples = vec![line; 3];
        outbox.push(change(ChangeKind::Firing, &alert), T);
        outbox.refresh(&alert);
    };
    (0..2_000).for_each(&mut firing);
    let with_lines = outbox.open_alerts().filter(|alert| !alert.samples.is_empty()).count();
    assert_eq!(with_lines, WITH_SAMPLES_MAX);
    let bytes = postcard::to_allocvec(outbox.state()).unwrap().len();
    assert!(bytes < 3 << 19, "{bytes}");
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
    assert!(outbox.may_be_stale(T + 1_000).is_empty());
    assert!(outbox.may_be_stale(T + 5 * 3_600_000).contains(alert.fingerprint.as_str()));
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

fn ending(n: u32, severity: Severity, minutes: Millis) -> Alert {
    let mut alert = alert(n, if n.is_multiple_of(3) { "node" } else { "errors" }, severity);
    alert.detected_late = true;
    alert.started += Millis::from(n) * 10 * MINUTE;
    alert.last_bad = alert.started + minutes * MINUTE;
    alert.resolved = Some(alert.last_bad + 2 * MINUTE);
    alert
}

/// A week of incidents, some again and again on the same server: nobody is paged about the past, and told once.
#[test]
fn a_weeks_backlog_is_one_summary() {
    let quiet = Receiver { send_resolved: false, ..receiver("quiet") };
    let pager = Receiver { severity: vec![Severity::Critical], ..receiver("pager") };
    let mut outbox = Outbox::new(&[receiver("ops"), pager, quiet], &rules(), 7);
    outbox.set_catching_up(true);
    let mut critical = 0;
    for n in 0..3_000 {
        let severity = if n % 50 == 0 { Severity::Critical } else { Severity::Warning };
        critical += u64::from(severity == Severity::Critical);
        let mut alert = ending(n % 400, severity, Millis::from(n % 90));
        alert.incident = format!("{:04x}-{n}", n % 400);
        let now = T + Millis::from(n);
        outbox.push(change(ChangeKind::Firing, &alert), now);
        outbox.push(change(ChangeKind::Resolved, &alert), now);
        assert!(n % 50 > 0 || outbox.due(now).is_empty(), "{n}");
    }
    let still = Alert { detected_late: true, ..alert(999, "errors", Severity::Critical) };
    outbox.push(change(ChangeKind::Firing, &still), T + 5_000);
    assert!(outbox.due(T + 60 * MINUTE).is_empty(), "the file is not read to its end yet");
    let size = serde_json::to_string(outbox.state()).unwrap().len();
    assert!(size < 3 << 20, "{size}");

    outbox.set_catching_up(false);
    let now = T + 60 * MINUTE;
    assert!(outbox.next_due().unwrap() <= now);
    let first = outbox.due(now);
    for notification in &first {
        assert_eq!(said(std::slice::from_ref(notification)), [[News::Firing]]);
        assert!(notification.items[0].alert.detected_late);
        outbox.done(notification.id, &Outcome::Sent, now);
    }
    assert_eq!(first.len(), 3);
    let second = outbox.due(now);
    for notification in &second {
        assert_eq!(notification.subject, Subject::WhileDown);
        let totals = notification.totals.unwrap();
        let expected = if notification.receiver == "pager" { critical } else { 3_000 };
        assert_eq!((totals.incidents, notification.items.len()), (expected, 10), "{}", notification.receiver);
        assert!(notification.items.iter().all(|item| item.news == News::FiredAndResolved));
        assert!(notification.items.iter().all(|item| item.alert.severity == Severity::Critical));
        assert!(totals.from < totals.to);
    }
    assert_eq!(second.len(), 3);
    // One of them does not get there: the same again, with nothing lost.
    outbox.done(second[0].id, &retry(None), now);
    outbox.done(second[1].id, &Outcome::Sent, now);
    outbox.done(second[2].id, &refused(), now);
    let again = outbox.due(now + MINUTE);
    assert_eq!((again.len(), &again[0].key, again[0].totals), (1, &second[0].key, second[0].totals));
    outbox.done(again[0].id, &Outcome::Sent, now + MINUTE);
    let refused = outbox.due(now + 16 * MINUTE);
    assert_eq!((refused.len(), refused[0].totals), (1, second[2].totals));
    outbox.done(refused[0].id, &Outcome::Sent, now + 16 * MINUTE);
    assert_eq!((outbox.pending(), outbox.state.alerts.len()), (0, 1));
}

/// What happened, and of what the summary speaks at the end of the backlog: `-` none.
#[test]
fn found_late() {
    type Case = (&'static str, &'static str, &'static [&'static str]);
    let cases: [Case; 6] = [
        ("over", "+firing +resolved", &["down"]),
        ("still fires", "+firing", &["firing"]),
        ("over, and another", "+firing +resolved next-incident +firing", &["firing", "down"]),
        ("over, and back", "+firing +resolved +reopened", &["firing"]),
        ("escalated", "+firing +escalated +resolved", &["down"]),
        ("told before the outage", "told +resolved next-incident +firing +resolved", &["both"]),
    ];
    for (name, steps, expected) in cases {
        let mut outbox = outbox();
        let mut alert = alert(1, "errors", Severity::Critical);
        if steps.starts_with("told") {
            outbox.push(change(ChangeKind::Firing, &alert), T);
            let due = outbox.due(T);
            outbox.done(due[0].id, &Outcome::Sent, T);
        }
        outbox.set_catching_up(true);
        for step in steps.split_whitespace() {
            alert.detected_late = step == "+firing";
            match step {
                "+firing" => outbox.push(change(ChangeKind::Firing, &alert), T),
                "+resolved" => outbox.push(change(ChangeKind::Resolved, &alert), T),
                "+reopened" => outbox.push(change(ChangeKind::Reopened, &alert), T),
                "+escalated" => outbox.push(change(ChangeKind::Escalated, &alert), T),
                "next-incident" => alert.incident = "0001-2".into(),
                _ => {}
            }
        }
        outbox.set_catching_up(false);
        let mut told = Vec::new();
        while let [due, ..] = outbox.due(T + MINUTE).as_slice() {
            told.push(if due.subject == Subject::WhileDown { "down" } else { word(due.items[0].news) });
            outbox.done(due.id, &Outcome::Sent, T + MINUTE);
        }
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn what_the_rate_holds_back_comes_in_one_message() {
    let ops = Receiver { rate_limit: Some(Rate { count: 2, per: MINUTE }), ..receiver("ops") };
    let mut outbox = Outbox::new(&[ops], &rules(), 7);
    let mut sent = Vec::new();
    // A flood: every second another alert fires under one of nine rules, and goes again a little later.
    for second in 0..600_u32 {
        let now = T + Millis::from(second) * 1_000;
        let of = |n: u32| alert(n, &format!("rule{}", n % 9), Severity::Critical);
        outbox.push(change(ChangeKind::Firing, &of(second)), now);
        if second >= 45 {
            outbox.push(change(ChangeKind::Resolved, &of(second - 45)), now);
        }
        for notification in outbox.due(now) {
            sent.push((second, notification.items.len()));
            outbox.done(notification.id, &Outcome::Sent, now);
        }
    }
    assert!(sent.len() <= 2 + 20, "{sent:?}");
    let biggest = sent.iter().map(|(_, items)| items).max().unwrap();
    assert!(*biggest > 30, "{sent:?}");
    let mut now = T + 600_000;
    for second in 555..600 {
        outbox.push(change(ChangeKind::Resolved, &alert(second, "rule", Severity::Critical)), now);
    }
    let mut last = 0;
    while let Some(next) = outbox.next_due() {
        now = now.max(next);
        for notification in outbox.due(now) {
            last += 1;
            outbox.done(notification.id, &Outcome::Sent, now);
        }
        assert!(last < 5);
    }
    assert_eq!((outbox.pending(), outbox.state.alerts.len()), (0, 0), "nothing is lost");
    assert_eq!(outbox.counters().deliveries_dropped, 0);
}

fn with_fallback() -> Outbox {
    let ops = Receiver { fallback: Some("duty".into()), ..receiver("ops") };
    // Each is the other's: nothing goes round.
    let duty = Receiver { fallback: Some("ops".into()), fallback_only: true, ..receiver("duty") };
    Outbox::new(&[ops, duty], &rules(), 7)
}

/// All that goes out until `until`, `duty` taking it and `ops` not: when, to whom, under what.
fn told_until(outbox: &mut Outbox, until: Millis, ops: &Outcome) -> Vec<(Millis, String, Subject, News)> {
    let (mut now, mut told) = (T, Vec::new());
    while let Some(next) = outbox.next_due().filter(|next| *next <= until) {
        now = next.max(now + 1);
        for due in outbox.due(now) {
            if due.receiver == "duty" {
                told.push(((now - T) / MINUTE, due.receiver.clone(), due.subject.clone(), due.items[0].news));
            }
            let outcome = if due.receiver == "duty" { &Outcome::Sent } else { ops };
            outbox.done(due.id, outcome, now);
        }
    }
    told
}

#[test]
fn a_fallback_is_told_once_after_some_minutes() {
    let alert = alert(1, "errors", Severity::Critical);
    let stands_in = Subject::StandsIn { receiver: "ops".into(), since: T + 1 };
    let mut outbox = with_fallback();
    outbox.push(change(ChangeKind::Firing, &alert), T);
    let told = told_until(&mut outbox, T + 3 * 60 * MINUTE, &retry(None));
    assert_eq!(told, [(5, "duty".to_owned(), stands_in.clone(), News::Firing)]);

    // Another alert meanwhile is handed on at once, by a process started in between.
    let state = serde_json::from_str(&serde_json::to_string(outbox.state()).unwrap()).unwrap();
    let ops = Receiver { fallback: Some("duty".into()), ..receiver("ops") };
    let mut outbox = Outbox::restored(state, &[ops, receiver("duty")], &rules(), T + 180 * MINUTE);
    outbox.done(1, &Outcome::Sent, T + 180 * MINUTE);
    outbox.push(change(ChangeKind::Resolved, &alert), T + 181 * MINUTE);
    let due = outbox.due(T + 181 * MINUTE);
    let to_duty: Vec<_> = due.iter().filter(|n| n.receiver == "duty").collect();
    assert_eq!((to_duty.len(), &to_duty[0].subject), (1, &stands_in), "its end is told, too");
    assert_eq!(to_duty[0].items[0].news, News::Resolved);
}

#[test]
fn a_refusal_goes_to_the_fallback_at_once_and_never_round() {
    let mut outbox = with_fallback();
    outbox.push(change(ChangeKind::Firing, &alert(1, "errors", Severity::Critical)), T);
    let told = told_until(&mut outbox, T + MINUTE, &refused());
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, 0);
    // Both down: each keeps its own, nobody's goes round.
    let mut outbox = with_fallback();
    outbox.push(change(ChangeKind::Firing, &alert(1, "errors", Severity::Critical)), T);
    let mut now = T;
    let mut keys = BTreeSet::new();
    while now < T + 40 * MINUTE {
        for due in outbox.due(now) {
            keys.insert((due.receiver.clone(), due.key.clone()));
            outbox.done(due.id, &refused(), now);
        }
        now = outbox.next_due().unwrap().max(now + 1);
    }
    assert_eq!(keys.len(), 2);
    // Back in time, nobody hears of it.
    let mut outbox = with_fallback();
    outbox.push(change(ChangeKind::Firing, &alert(1, "errors", Severity::Critical)), T);
    let due = outbox.due(T);
    outbox.done(due[0].id, &retry(None), T);
    let due = outbox.due(T + 4 * MINUTE);
    outbox.done(due[0].id, &Outcome::Sent, T + 4 * MINUTE);
    assert!(outbox.due(T + 60 * MINUTE).is_empty());
}

/// Crashed while it was on its way, or unclear how it ended: the very same goes out again, whatever has come since.
#[test]
fn the_same_again_under_the_same_key() {
    for crash in [true, false] {
        let mut outbox = outbox();
        let mut first = alert(1, "errors", Severity::Critical);
        outbox.push(change(ChangeKind::Firing, &first), T);
        let before = outbox.due(T).remove(0);
        if crash {
            let saved = serde_json::to_string(outbox.state()).unwrap();
            outbox = Outbox::restored(serde_json::from_str(&saved).unwrap(), &[receiver("ops")], &rules(), T);
        } else {
            let why = "timed out".into();
            outbox.done(before.id, &Outcome::Retry { after: None, why, may_have_arrived: true }, T);
        }
        outbox.push(change(ChangeKind::Firing, &alert(2, "errors", Severity::Critical)), T);
        first.errors = 77;
        outbox.refresh(&first);
        let now = T + MINUTE;
        let again = outbox.due(now).remove(0);
        assert_eq!(
            Notification { id: 0, ..again.clone() },
            Notification { id: 0, ..before },
            "crash: {crash}"
        );
        outbox.done(again.id, &Outcome::Sent, now);
        let next = outbox.due(now).remove(0);
        assert_eq!((next.items.len(), next.items[0].alert.fingerprint.as_str()), (1, "0000000000000002"));
        outbox.done(next.id, &Outcome::Sent, now);
        assert!(outbox.due(now).is_empty());
    }
}

/// Nothing that is over is paged for, though nobody knows whether the page had arrived.
#[test]
fn what_is_over_is_not_said_to_fire_again() {
    let mut outbox = outbox();
    let alert = alert(1, "errors", Severity::Critical);
    outbox.push(change(ChangeKind::Firing, &alert), T);
    let due = outbox.due(T);
    outbox.done(due[0].id, &Outcome::Retry { after: None, why: "502".into(), may_have_arrived: true }, T);
    outbox.push(change(ChangeKind::Resolved, &alert), T);
    assert_eq!(said(&outbox.due(T + MINUTE)), [[News::FiredAndResolved]]);
}

/// The state of another machine, or of an attacker: nothing in it stops the outbox.
#[test]
fn a_hostile_state_stops_nothing() {
    let mut outbox = outbox();
    outbox.push(change(ChangeKind::Firing, &alert(1, "errors", Severity::Critical)), T);
    outbox.push(change(ChangeKind::Firing, &alert(2, "errors", Severity::Warning)), T);
    let due = outbox.due(T);
    outbox.done(due[0].id, &retry(None), T);
    let text = serde_json::to_string(outbox.state()).unwrap();
    let times: BTreeSet<String> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| part.len() == 13)
        .map(str::to_owned)
        .collect();
    for (time, extreme) in times.iter().flat_map(|t| [(t, Millis::MAX), (t, Millis::MIN), (t, 0)]) {
        let text = text.replace(time.as_str(), &extreme.to_string());
        let state: State = serde_json::from_str(&text).unwrap();
        for now in [0, T, Millis::MAX, Millis::MIN] {
            let mut outbox = Outbox::restored(state.clone(), &[receiver("ops")], &rules(), now);
            for _ in 0..3 {
                for due in outbox.due(now) {
                    outbox.done(due.id, &retry(Some(Millis::MAX)), now);
                }
                let _ = outbox.next_due();
            }
        }
    }
    let orphaned = text.replacen("\"0000000000000001\":{\"rule\"", "\"x\":{\"rule\"", 1);
    assert_ne!(orphaned, text);
    let state = serde_json::from_str(&orphaned).unwrap();
    let mut outbox = Outbox::restored(state, &[receiver("ops")], &rules(), T);
    assert_eq!(said(&outbox.due(T + MINUTE)), [[News::Firing]], "the other one");
}

/// A member of the incident `id`, which has so many and this cause.
fn member(n: u32, severity: Severity, (id, members, cause): (&str, u32, &str)) -> Alert {
    let labels = vec![("node".to_owned(), cause.to_owned())];
    let envelope = gatewatch_rules::incident::Envelope {
        members,
        ..gatewatch_rules::incident::Envelope::opened(id.to_owned(), T, labels)
    };
    Alert {
        envelope: Some(envelope),
        ..alert(n, if n.is_multiple_of(2) { "errors" } else { "node" }, severity)
    }
}

/// What is due, as `subject: news, news`, answered at once.
fn heard(outbox: &mut Outbox, now: Millis) -> Vec<String> {
    let due = outbox.due(now);
    let words = |one: &Notification| {
        let news: Vec<String> = one.items.iter().map(|item| format!("{:?}", item.news)).collect();
        let subject = match &one.subject {
            Subject::Rule(rule) => format!("rule {rule}"),
            Subject::Incident(id) => format!("incident {id}"),
            other => format!("{other:?}"),
        };
        format!("{subject}: {}", news.join(" "))
    };
    let told = due.iter().map(words).collect();
    for one in due {
        outbox.done(one.id, &Outcome::Sent, now);
    }
    told
}

#[test]
fn forty_servers_of_one_node_are_one_page() {
    let mut outbox = outbox();
    for n in 0..40 {
        outbox.push(change(ChangeKind::Firing, &member(n, Severity::Critical, ("i1", n + 1, "n3"))), T);
    }
    let told = heard(&mut outbox, T);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("incident i1: Firing Firing"), "{told:?}");
    assert_eq!(told[0].matches("Firing").count(), 40);
    // They recover one by one: the end is told once.
    for n in 0..40 {
        outbox.push(
            change(ChangeKind::Resolved, &member(n, Severity::Critical, ("i1", 39 - n, "n3"))),
            T + MINUTE,
        );
        let told = heard(&mut outbox, T + MINUTE);
        assert_eq!(told.len(), usize::from(n == 39), "{n}: {told:?}");
        assert!(told.iter().all(|t| t.matches("Resolved").count() == 40), "{told:?}");
    }
    assert_eq!((outbox.pending(), outbox.next_due(), outbox.state.alerts.len()), (0, None, 0));
    assert!(outbox.state.envelopes.is_empty() && outbox.state.queues["ops"].incidents.is_empty());
}

#[test]
fn who_joins_an_incident_that_was_told_does_not_page() {
    let fire = |outbox: &mut Outbox, n, severity, members, cause, at| {
        outbox.push(change(ChangeKind::Firing, &member(n, severity, ("i1", members, cause))), at);
        heard(outbox, at)
    };
    let critical = Severity::Critical;
    let mut outbox = outbox();
    assert_eq!(fire(&mut outbox, 0, critical, 4, "n3", T), ["rule errors: Firing"]);
    // As it was told: nothing until it is repeated, and then all of it.
    assert!(fire(&mut outbox, 1, critical, 5, "n3", T + 5_000).is_empty());
    assert!(heard(&mut outbox, T + 3 * MINUTE).is_empty());
    // Twice as large.
    assert_eq!(
        fire(&mut outbox, 2, critical, 8, "n3", T + 4 * MINUTE),
        ["incident i1: Repeated Firing Firing"]
    );
    // Another cause, but the last word is of just now.
    assert!(fire(&mut outbox, 3, critical, 9, "n4", T + 4 * MINUTE + 1_000).is_empty());
    assert_eq!(heard(&mut outbox, T + 5 * MINUTE), ["incident i1: Repeated Repeated Repeated Firing"]);
    assert!(fire(&mut outbox, 4, critical, 10, "n4", T + 6 * MINUTE).is_empty());
    // One that came and went within it was never told and never will be.
    outbox.push(change(ChangeKind::Resolved, &member(4, critical, ("i1", 9, "n4"))), T + 7 * MINUTE);
    assert!(heard(&mut outbox, T + 3 * 60 * MINUTE).is_empty());
    assert_eq!(heard(&mut outbox, T + 5 * 60 * MINUTE).len(), 1, "a reminder, of all");
}

#[test]
fn an_incident_that_gets_worse_pages_at_once() {
    let mut outbox = outbox();
    let warned = member(0, Severity::Warning, ("i1", 1, "n3"));
    outbox.push(change(ChangeKind::Firing, &warned), T);
    assert_eq!(heard(&mut outbox, T + 10_000), ["rule errors: Firing"]);
    let worse = member(1, Severity::Critical, ("i1", 2, "n3"));
    outbox.push(change(ChangeKind::Firing, &worse), T + 15_000);
    assert_eq!(heard(&mut outbox, T + 15_000), ["incident i1: Firing Repeated"]);
    // It is critical already.
    let escalated = member(0, Severity::Critical, ("i1", 2, "n3"));
    outbox.push(change(ChangeKind::Escalated, &escalated), T + 20_000);
    assert!(heard(&mut outbox, T + 30 * MINUTE).is_empty());
}

#[test]
fn an_end_waits_for_no_alert_that_is_not_for_the_receiver() {
    let receivers = [Receiver { severity: vec![Severity::Critical], ..receiver("ops") }];
    let mut outbox = Outbox::new(&receivers, &rules(), 7);
    outbox.push(change(ChangeKind::Firing, &member(0, Severity::Critical, ("i1", 1, "n3"))), T);
    outbox.push(change(ChangeKind::Firing, &member(1, Severity::Warning, ("i1", 2, "n3"))), T);
    assert_eq!(heard(&mut outbox, T), ["rule errors: Firing"]);
    outbox.push(change(ChangeKind::Resolved, &member(0, Severity::Critical, ("i1", 1, "n3"))), T + MINUTE);
    assert_eq!(heard(&mut outbox, T + MINUTE), ["rule errors: Resolved"]);
}

#[test]
fn an_end_held_for_its_incident_survives_a_restart() {
    let mut outbox = outbox();
    for n in 0..2 {
        outbox.push(change(ChangeKind::Firing, &member(n, Severity::Critical, ("i1", 2, "n3"))), T);
    }
    assert_eq!(heard(&mut outbox, T), ["incident i1: Firing Firing"]);
    outbox.push(change(ChangeKind::Resolved, &member(0, Severity::Critical, ("i1", 1, "n3"))), T + MINUTE);
    assert!(heard(&mut outbox, T + MINUTE).is_empty());
    let state: State = serde_json::from_str(&serde_json::to_string(outbox.state()).unwrap()).unwrap();
    let mut outbox = Outbox::restored(state, &[receiver("ops")], &rules(), T + 2 * MINUTE);
    assert!(heard(&mut outbox, T + 2 * MINUTE).is_empty());
    // The last one ends as an orphan would: its incident says two still.
    outbox
        .push(change(ChangeKind::Resolved, &member(1, Severity::Critical, ("i1", 2, "n3"))), T + 3 * MINUTE);
    assert_eq!(heard(&mut outbox, T + 3 * MINUTE), ["incident i1: Resolved Resolved"]);
}
