//! A receiver that forgets is told again; one that keeps threads is answered in them.

use super::tests::{T, alert, change, receiver, rules};
use super::*;
use crate::notification::{Notification, Thread};
use crate::receiver::{ReceiverKind, Secret};
use std::collections::BTreeMap;

const MINUTE: Millis = 60_000;

fn alertmanager() -> Receiver {
    let urls = vec![Secret::new("http://127.0.0.1:9".into())];
    let kind = ReceiverKind::Alertmanager { urls, bearer_token: None, resend: MINUTE };
    Receiver { group_wait: Some(0), ..Receiver::new("am", kind) }
}

fn outbox() -> Outbox {
    Outbox::new(&[alertmanager()], &rules(), 7)
}

fn firing(n: u32) -> Change {
    change(ChangeKind::Firing, &alert(n, "errors", Severity::Critical))
}

fn resolved(n: u32) -> Change {
    change(ChangeKind::Resolved, &alert(n, "errors", Severity::Critical))
}

fn retry() -> Outcome {
    Outcome::Retry { after: None, why: "500".into(), may_have_arrived: true }
}

/// The one message that is due.
fn due(outbox: &mut Outbox, now: Millis) -> Option<Notification> {
    let mut due = outbox.due(now);
    assert!(due.len() <= 1);
    due.pop()
}

fn said(notification: &Notification) -> Vec<(u32, News)> {
    let said = notification.items.iter();
    said.map(|item| (u32::from_str_radix(&item.alert.fingerprint, 16).unwrap(), item.news)).collect()
}

/// Sends all that is due until `end`; when, and what was said.
fn run(outbox: &mut Outbox, from: Millis, end: Millis) -> Vec<(Millis, Vec<(u32, News)>)> {
    let mut told = Vec::new();
    let mut now = from;
    while now <= end {
        while let Some(notification) = due(outbox, now) {
            told.push((now - T, said(&notification)));
            outbox.done(notification.id, &Outcome::Sent, now);
        }
        let Some(next) = outbox.next_due() else { break };
        assert!(next > now, "due and not told");
        now = next;
    }
    told
}

#[test]
fn what_fires_is_told_every_minute_and_its_end_for_some_more() {
    let mut outbox = outbox();
    outbox.push(firing(1), T);
    let told = run(&mut outbox, T, T + 3 * MINUTE);
    let again = |minute: Millis| (minute * MINUTE, vec![(1, News::Repeated)]);
    assert_eq!(told, [(0, vec![(1, News::Firing)]), again(1), again(2), again(3)]);

    // A new one is told at once; from then on both together.
    outbox.push(firing(2), T + 3 * MINUTE + 1);
    let told = run(&mut outbox, T + 3 * MINUTE + 1, T + 4 * MINUTE);
    let both = vec![(1, News::Repeated), (2, News::Repeated)];
    assert_eq!(told, [(3 * MINUTE + 1, vec![(2, News::Firing)]), (4 * MINUTE, both)]);

    for n in [1, 2] {
        outbox.push(resolved(n), T + 4 * MINUTE + 5_000);
    }
    let told = run(&mut outbox, T + 4 * MINUTE + 5_000, T + 60 * MINUTE);
    let ends = vec![(1, News::Resolved), (2, News::Resolved)];
    assert!(told.iter().all(|(_, said)| *said == ends), "{told:?}");
    assert_eq!(told.len(), 1 + 6, "the end, and its repetitions");
    let last = told.last().unwrap().0;
    assert!(last - told[0].0 >= 5 * MINUTE && last <= 11 * MINUTE, "{told:?}");
    // Nothing stands any more.
    assert_eq!(outbox.next_due(), None);
    assert_eq!(outbox.pending(), 0);
}

#[test]
fn others_are_told_once() {
    let mut outbox = Outbox::new(&[receiver("ops")], &rules(), 7);
    outbox.push(firing(1), T);
    assert_eq!(run(&mut outbox, T, T + 60 * MINUTE).len(), 1);
    outbox.push(resolved(1), T + 60 * MINUTE);
    assert_eq!(run(&mut outbox, T + 60 * MINUTE, T + 24 * 60 * MINUTE).len(), 1);
}

/// A stale "fires until" would be read as an end: what is put together anew says how it is now.
#[test]
fn after_a_failure_it_is_put_together_anew() {
    let mut outbox = outbox();
    outbox.push(firing(1), T);
    let first = due(&mut outbox, T).unwrap();
    outbox.done(first.id, &retry(), T);
    let next = outbox.next_due().unwrap();
    let second = due(&mut outbox, next + MINUTE).unwrap();
    assert_eq!((said(&second), second.at), (vec![(1, News::Firing)], next + MINUTE));
    outbox.done(second.id, &Outcome::Sent, second.at);

    let third = due(&mut outbox, second.at + MINUTE).unwrap();
    assert_eq!((&third.subject, said(&third)), (&Subject::Standing, vec![(1, News::Repeated)]));
    outbox.done(third.id, &retry(), third.at);
    // It is over before the next try: that is said first, and not that it fires.
    outbox.push(resolved(1), third.at + 500);
    let told = run(&mut outbox, third.at + MINUTE, third.at + 3 * MINUTE);
    assert!(told.iter().all(|(_, said)| *said == [(1, News::Resolved)]), "{told:?}");
}

#[test]
fn a_restart_goes_on_and_repeats_nothing_old() {
    let mut outbox = outbox();
    outbox.push(firing(1), T);
    run(&mut outbox, T, T);
    // On its way when the process ends.
    assert!(due(&mut outbox, T + MINUTE).is_some());
    let saved = serde_json::to_string(outbox.state()).unwrap();
    let state = serde_json::from_str(&saved).unwrap();
    let later = T + 30 * MINUTE;
    let mut outbox = Outbox::restored(state, &[alertmanager()], &rules(), later);
    let again = due(&mut outbox, later).unwrap();
    assert_eq!((again.at, said(&again)), (later, vec![(1, News::Repeated)]));
}

/// The first word to it may have arrived, or not: the end is told in either case.
#[test]
fn a_first_word_that_nobody_saw_arrive() {
    let mut outbox = outbox();
    outbox.push(firing(1), T);
    assert!(due(&mut outbox, T).is_some());
    let state = serde_json::from_str(&serde_json::to_string(outbox.state()).unwrap()).unwrap();
    let mut outbox = Outbox::restored(state, &[alertmanager()], &rules(), T + MINUTE);
    outbox.push(resolved(1), T + MINUTE);
    let told = run(&mut outbox, T + MINUTE, T + 2 * MINUTE);
    assert!(!told.is_empty() && told.iter().all(|(_, said)| !said[0].1.is_firing()), "{told:?}");
}

#[test]
fn so_many_at_once_and_the_rest_after() {
    let kind = ReceiverKind::PagerDuty {
        url: Secret::new("http://127.0.0.1:9".into()),
        routing_key: Secret::new("k".into()),
    };
    let pager = Receiver { group_wait: Some(0), rate_limit: None, ..Receiver::new("pager", kind) };
    let mut outbox = Outbox::new(&[pager], &rules(), 7);
    for n in 0..25 {
        outbox.push(firing(n), T);
    }
    let told = run(&mut outbox, T, T);
    let counts: Vec<usize> = told.iter().map(|(_, said)| said.len()).collect();
    assert_eq!(counts, [10, 10, 5]);
    let all: BTreeMap<u32, News> = told.into_iter().flat_map(|(_, said)| said).collect();
    assert_eq!(all.len(), 25);
}

#[test]
fn answers_go_where_the_first_word_was() {
    let mut outbox = Outbox::new(&[receiver("ops")], &rules(), 7);
    let threads = |notification: &Notification| -> Vec<Option<Thread>> {
        notification.items.iter().map(|item| item.thread.clone()).collect()
    };
    let thread = |name: &str, alone| Some(Thread { name: name.into(), alone });
    let mut now = T;
    let mut tell = |outbox: &mut Outbox, change: Vec<Change>, name: &str| {
        now += MINUTE;
        change.into_iter().for_each(|change| outbox.push(change, now));
        let notification = due(outbox, now).unwrap();
        outbox.done(notification.id, &Outcome::SentAs(name.into()), now);
        threads(&notification)
    };
    assert_eq!(tell(&mut outbox, vec![firing(1)], "C/1"), [None]);
    assert_eq!(tell(&mut outbox, vec![firing(2), firing(3)], "C/2"), [None, None]);
    // Kept over a restart.
    let state = serde_json::from_str(&serde_json::to_string(outbox.state()).unwrap()).unwrap();
    let mut outbox = Outbox::restored(state, &[receiver("ops")], &rules(), T + 3 * MINUTE);
    assert_eq!(tell(&mut outbox, vec![resolved(1)], "C/3"), [thread("C/1", true)]);
    assert_eq!(tell(&mut outbox, vec![resolved(2)], "C/4"), [thread("C/2", false)]);
    // Another incident begins another thread.
    let mut next = firing(1);
    next.alert.incident = "0001-2".into();
    assert_eq!(tell(&mut outbox, vec![next], "C/5"), [None]);
}

/// What the heartbeat asks: whether a receiver fails, as long as that can be seen to end.
#[test]
fn who_fails() {
    let mut outbox = Outbox::new(&[receiver("ops")], &rules(), 7);
    assert_eq!(outbox.failing(), None);
    outbox.push(firing(1), T);
    let mut now = T;
    let mut answer = |outbox: &mut Outbox, outcome: &Outcome| {
        now = now.max(outbox.next_due().unwrap());
        let notification = due(outbox, now).unwrap();
        outbox.done(notification.id, outcome, now);
    };
    answer(&mut outbox, &retry());
    assert_eq!(outbox.failing(), Some("ops"));
    answer(&mut outbox, &Outcome::Sent);
    assert_eq!(outbox.failing(), None);
    outbox.push(resolved(1), T + MINUTE);
    while outbox.counters().deliveries_dropped == 0 {
        answer(&mut outbox, &Outcome::Failed { why: "404".into() });
    }
    // Given up.
    assert_eq!((outbox.failing(), outbox.pending()), (None, 0));
}

#[test]
fn it_remembers_so_much() {
    let mut threads = crate::delivery::standing::Threads::default();
    let mut standing = crate::delivery::standing::Standing::default();
    for n in 0..3_000 {
        let alert = alert(n, "errors", Severity::Warning);
        threads.arrived(&alert, &format!("C/{n}"), T + Millis::from(n));
        standing.ended(alert, T);
    }
    assert!(threads.of(&alert(1_999, "errors", Severity::Warning)).is_none());
    assert!(threads.of(&alert(2_000, "errors", Severity::Warning)).is_some());
    assert_eq!(standing.over(MINUTE, T).count(), 1_000);
    assert_eq!(standing.over(MINUTE, T + 6 * MINUTE + 1).count(), 0);
}
