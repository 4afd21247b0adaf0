//! What was counted and told against what was written.

use crate::host::{Counted, Host};
use crate::writer::{RATE, Written};
use std::collections::{BTreeMap, BTreeSet};

/// Every number is the writer's own.
pub fn exact(counted: &Counted, written: &Written) {
    let errors: u64 = written.gateway_errors.values().sum();
    assert_eq!(counted.requests, written.lines, "lines (counted, written): {counted:#?}");
    assert_eq!(counted.status, written.status, "statuses (counted, written)");
    assert_eq!(counted.gateway_errors, errors, "gateway errors (counted, written)");
    assert_eq!((counted.late, counted.future), (0, 0), "late, future");
    assert_eq!(counted.possible_loss, 0, "nothing was destroyed");
    if let Some(by_upstream) = &counted.by_upstream {
        assert_eq!(*by_upstream, written.gateway_errors, "gateway errors by upstream (counted, written)");
    }
    println!("{} lines, {} gateway errors: exactly", counted.requests, counted.gateway_errors);
}

/// Nothing twice, nothing missing that the source did not lose or that was not said to be possibly lost.
pub fn weaker(counted: &Counted, written: &Written, lost: u64) {
    assert!(counted.requests <= written.lines, "twice: {} of {}", counted.requests, written.lines);
    for (status, count) in &counted.status {
        let most = written.status.get(status).copied().unwrap_or(0);
        assert!(*count <= most, "status {status} twice: {count} of {most}");
    }
    let missing = written.lines - counted.requests;
    println!(
        "{} lines, the source lost {lost}, missing {missing}, possible_loss {}",
        written.lines, counted.possible_loss
    );
    // It is said how often lines may have been lost, not how many: a look comes at least once a second.
    let said = counted.possible_loss * RATE;
    assert!(missing <= lost + said, "missing {missing}: more than lost {lost} and said {said}: {counted:?}");
}

/// Every incident that `analyze` finds was told, firing before resolved; one key, one content.
pub fn alerts(host: &Host) {
    let posts = host.receiver.posts();
    let mut contents: BTreeMap<&str, &str> = BTreeMap::new();
    for post in &posts {
        assert!(!post.key.is_empty(), "no Idempotency-Key: {}", post.body);
        let known = contents.entry(&post.key).or_insert(&post.body);
        assert_eq!(*known, post.body, "one key, two contents: {}", post.key);
    }
    // (upstream, started) → what was taken of it, in order, and by which key.
    let mut told: BTreeMap<(String, String), Vec<(String, &str)>> = BTreeMap::new();
    for post in posts.iter().filter(|post| post.taken) {
        for alert in post.alerts() {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let which = (text(&alert["labels"]["upstream"]), text(&alert["startsAt"]));
            told.entry(which).or_default().push((text(&alert["status"]), &post.key));
        }
    }
    for (which, states) in &told {
        let is_over = states.last().is_some_and(|(state, _)| state == "resolved");
        assert!(is_over, "{which:?} was not told to be over in the end: {states:?}");
        // Bad again within ten minutes it is the same incident, and fires anew: under a key of its own. What was told before
        // it was over is never repeated after that.
        let mut last = BTreeSet::new();
        let mut before = BTreeSet::new();
        for (state, key) in states {
            assert!(state == "resolved" || !before.contains(key), "{which:?} told out of order: {states:?}");
            last.insert(*key);
            if state == "resolved" {
                before.extend(last.iter().copied());
            }
        }
    }
    let analyzed = host.analyzed();
    let incidents = analyzed["incidents"].as_array().unwrap();
    let wanted: BTreeSet<(String, String)> = incidents
        .iter()
        .map(|i| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            (text(&i["labels"]["upstream"]), text(&i["started"]))
        })
        .collect();
    assert!(!wanted.is_empty(), "the writer made no incident: {analyzed:#}");
    let told: BTreeSet<(String, String)> = told.into_keys().collect();
    assert_eq!(told, wanted, "told, and what analyze finds in all of it");
    println!(
        "{} incidents told in {} requests, {} of them repeats: none lost",
        wanted.len(),
        posts.len(),
        posts.len() - contents.len()
    );
}
