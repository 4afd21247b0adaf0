//! A made-up alert, to see whether a receiver takes one.

use super::{Item, News, Notification, Subject};
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Alert, End, State};
use ring::digest;
use std::fmt::Write as _;

/// The time since it began.
const LENGTH: Millis = 30_000;

/// A made-up alert that fires, or is over, at `now`; it says that it is a test. Each `now` is an incident of its own.
///
/// # Errors
/// The alert that is built in cannot be read: never, as a test shows.
pub fn trial(receiver: &str, over: bool, now: Millis) -> Result<Notification, serde_json::Error> {
    let mut alert: Alert = serde_json::from_str(include_str!("trial.json"))?;
    let start = now - LENGTH;
    for time in [&mut alert.started, &mut alert.last_bad, &mut alert.fired, &mut alert.escalated] {
        *time += start;
    }
    alert.last_traffic += start;
    alert.samples.iter_mut().for_each(|sample| sample.end += start);
    alert.incident = format!("7e57-{}", now.div_euclid(1_000));
    let mut news = News::Firing;
    if over {
        (alert.state, alert.end, alert.resolved) = (State::Resolved, Some(End::Recovered), Some(now));
        news = News::Resolved;
    }
    let hash = digest::digest(&digest::SHA256, format!("{receiver} {news:?} {now}").as_bytes());
    let key = hash.as_ref().iter().take(16).fold("gw-".to_owned(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    });
    Ok(Notification {
        id: 1,
        key,
        receiver: receiver.to_owned(),
        subject: Subject::Test,
        at: now,
        items: vec![Item::new(news, alert)],
        totals: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_read() {
        for over in [false, true] {
            let notification = trial("ops", over, 1_793_492_572_000).unwrap();
            let [item] = notification.items.as_slice() else { panic!() };
            assert_eq!((item.news.is_firing(), item.alert.resolved.is_some()), (!over, over));
            assert_eq!(item.alert.started, 1_793_492_542_000);
        }
        let key = |now| trial("ops", false, now).unwrap().key;
        assert_ne!(key(1_000), key(2_000));
    }
}
