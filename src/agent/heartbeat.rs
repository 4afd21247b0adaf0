//! Says at intervals that gatewatch works, only while it does: whoever misses that raises the alarm. Pure: how the agent is
//! goes in, whether to say so comes out.

use gatewatch_parsers::Millis;

/// A watermark that moves less often stands still.
const MOVES_WITHIN: Millis = 60_000;

/// How the agent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// What is wrong with an input; `None`: all are read.
    pub inputs: Option<String>,
    /// How far the log's time has come; `None`: there was no line yet.
    pub watermark: Option<Millis>,
    /// A receiver that takes nothing.
    pub failing: Option<String>,
}

/// When to say that all is well.
#[derive(Debug, Default)]
pub struct Heartbeat {
    next: Option<Millis>,
    /// Where the watermark was seen, and when it moved there.
    seen: Option<(Option<Millis>, Millis)>,
    /// When it arrived last.
    pub last: Option<Millis>,
    /// Why it is not said, or did not arrive.
    pub why: Option<String>,
}

impl Heartbeat {
    /// Whether to say it now; it is said every `every`, and at once when what was wrong is well again.
    pub fn due(&mut self, now: Millis, every: Millis, condition: &Condition) -> bool {
        if let Some(trouble) = self.trouble(now, condition) {
            self.why = Some(trouble);
            self.next = None;
            return false;
        }
        // A clock that was set back must not silence it.
        let waits = self.next.is_some_and(|next| next > now && next - now <= every);
        if !waits {
            self.next = Some(now + every);
        }
        !waits
    }

    /// What became of it; `why`: it did not arrive.
    pub fn told(&mut self, now: Millis, why: Option<String>) {
        if why.is_none() {
            self.last = Some(now);
        }
        self.why = why;
    }

    fn trouble(&mut self, now: Millis, condition: &Condition) -> Option<String> {
        let since = match self.seen {
            Some((watermark, since)) if watermark == condition.watermark && since <= now => since,
            _ => now,
        };
        self.seen = Some((condition.watermark, since));
        let still = condition.watermark.is_some() && now - since >= MOVES_WITHIN;
        let failing = || condition.failing.as_ref().map(|name| format!("receiver {name} takes nothing"));
        let still = || still.then(|| "the log's time stands still".to_owned());
        condition.inputs.clone().or_else(still).or_else(failing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Millis = 60_000;
    const T: Millis = 1_793_492_552_000;

    fn well(watermark: Millis) -> Condition {
        Condition { watermark: Some(watermark), ..Condition::default() }
    }

    /// When it is said, in seconds from the beginning, if it is asked each second.
    fn said(seconds: i64, condition: impl Fn(i64) -> Condition) -> Vec<i64> {
        let mut heartbeat = Heartbeat::default();
        let mut said = Vec::new();
        for second in 0..seconds {
            let now = T + second * 1_000;
            if heartbeat.due(now, EVERY, &condition(second)) {
                heartbeat.told(now, None);
                said.push(second);
            }
        }
        said
    }

    #[test]
    fn every_minute_while_all_is_well() {
        assert_eq!(said(200, well), [0, 60, 120, 180]);
        // There was no line yet: nothing to judge is no trouble.
        assert_eq!(said(100, |_| Condition::default()), [0, 60]);
    }

    #[test]
    fn not_while_anything_is_wrong() {
        let between = |second: i64| (50..130).contains(&second);
        let stalled = |second| match between(second) {
            true => Condition { inputs: Some("input_stalled: a.log".into()), ..well(second) },
            false => well(second),
        };
        assert_eq!(said(200, stalled), [0, 130, 190]);
        let failing = |second| match between(second) {
            true => Condition { failing: Some("ops".into()), ..well(second) },
            false => well(second),
        };
        assert_eq!(said(200, failing), [0, 130, 190]);
        let still = |second: i64| well(second.min(70).max(second - 100));
        assert_eq!(said(300, still), [0, 60, 120, 171, 231, 291]);
    }

    #[test]
    fn it_says_why_not_and_how_it_went() {
        let mut heartbeat = Heartbeat::default();
        let failing = Condition { failing: Some("ops".into()), ..well(1) };
        assert!(!heartbeat.due(T, EVERY, &failing));
        assert_eq!(heartbeat.why.as_deref(), Some("receiver ops takes nothing"));
        assert!(heartbeat.due(T + 1, EVERY, &well(2)));
        heartbeat.told(T + 2, Some("answered 500".into()));
        assert_eq!((heartbeat.last, heartbeat.why.as_deref()), (None, Some("answered 500")));
        assert!(heartbeat.due(T + 1 + EVERY, EVERY, &well(3)));
        heartbeat.told(T + 2 + EVERY, None);
        assert_eq!((heartbeat.last, heartbeat.why.as_deref()), (Some(T + 2 + EVERY), None));
        // The clock is set back by an hour.
        assert!(heartbeat.due(T - 3_600_000, EVERY, &well(4)));
    }
}
