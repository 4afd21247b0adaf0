//! What an answer means: taken, later, the shorter form, or never. Pure.

use crate::notification::Outcome;
use crate::notifiers::Answer;
use chrono::DateTime;
use gatewatch_parsers::Millis;
use serde_json::Value;

/// A receiver's answer as it came.
pub(super) struct Heard {
    /// Of the status line.
    pub(super) status: u16,
    /// The header `Retry-After`.
    pub(super) retry_after: Option<String>,
    /// The beginning of the body.
    pub(super) text: String,
    /// When it came, by the wall clock.
    pub(super) at: Millis,
}

/// What it means.
pub(super) enum Verdict {
    /// This became of it.
    Is(Outcome),
    /// The receiver cannot take the body, or not as it is.
    TooMuch,
}

/// What an answer means to a body that has another form, or has not. Its text is not yet clean: an answer may repeat the
/// URL.
pub(super) fn verdict(heard: &Heard, answer: Answer, has_another: bool) -> Verdict {
    let json: Value = serde_json::from_str(&heard.text).unwrap_or_default();
    if let Some(sent) = taken(heard, answer, &json) {
        return Verdict::Is(sent);
    }
    let unreadable = match answer {
        Answer::Telegram => heard.status == 400,
        Answer::SlackApi => NO_THREAD.contains(&slack_error(&json)),
        Answer::Success | Answer::SlackOk | Answer::SlackChange => false,
    };
    if has_another && (heard.status == 413 || unreadable) {
        return Verdict::TooMuch;
    }
    let slack = matches!(answer, Answer::SlackApi | Answer::SlackChange) && heard.status == 200;
    let refused = if slack { slack_refusal(heard, &json) } else { refusal(heard, &json) };
    match (answer, refused) {
        // The message is gone, or may no longer be changed.
        (Answer::SlackChange, Outcome::Failed { .. }) => Verdict::Is(Outcome::Sent),
        (_, refused) => Verdict::Is(refused),
    }
}

/// A thread that there is no more.
const NO_THREAD: [&str; 3] = ["thread_not_found", "message_not_found", "cannot_reply_to_message"];
const SLACK_LATER: [&str; 3] = ["ratelimited", "rate_limited", "service_unavailable"];
const SLACK_UNKNOWN: [&str; 3] = ["internal_error", "fatal_error", "request_timeout"];

fn slack_error(json: &Value) -> &str {
    json.get("error").and_then(Value::as_str).unwrap_or_default()
}

/// Slack says 200, and `"ok": false`.
fn slack_refusal(heard: &Heard, json: &Value) -> Outcome {
    let error = slack_error(json);
    let why = if error.is_empty() {
        "answered 200, and no \"ok\": true".to_owned()
    } else {
        format!("answered {error}")
    };
    let after = heard.retry_after.as_deref().and_then(|value| retry_after(value, heard.at));
    if SLACK_LATER.contains(&error) {
        Outcome::Retry { after, why, may_have_arrived: false }
    } else if SLACK_UNKNOWN.contains(&error) {
        Outcome::Retry { after, why, may_have_arrived: true }
    } else {
        Outcome::Failed { why }
    }
}

fn taken(heard: &Heard, answer: Answer, json: &Value) -> Option<Outcome> {
    let success = (200..=299).contains(&heard.status);
    match answer {
        Answer::Success => success.then_some(Outcome::Sent),
        Answer::SlackOk => (heard.status == 200 && heard.text.trim() == "ok").then_some(Outcome::Sent),
        Answer::SlackApi | Answer::SlackChange => {
            let part = |name| json.get(name).and_then(Value::as_str).filter(|part| !part.contains('/'));
            let name = part("channel").zip(part("ts")).map(|(channel, ts)| format!("{channel}/{ts}"));
            let sent = name.map_or(Outcome::Sent, Outcome::SentAs);
            (success && json.get("ok") == Some(&Value::Bool(true))).then_some(sent)
        }
        Answer::Telegram => {
            let number = json.pointer("/result/message_id").and_then(Value::as_i64);
            let sent = number.map_or(Outcome::Sent, |number| Outcome::SentAs(number.to_string()));
            (success && json.get("ok") == Some(&Value::Bool(true))).then_some(sent)
        }
    }
}

fn refusal(heard: &Heard, json: &Value) -> Outcome {
    let after = heard.retry_after.as_deref().and_then(|value| retry_after(value, heard.at));
    // Both may be there: the longer one is safe.
    let after = after.max(asked_for(json));
    let why = format!("answered {}: {}", heard.status, heard.text.trim());
    let why: String = why.trim_end_matches([':', ' ']).into();
    match heard.status {
        408 | 425 | 429 | 503 => Outcome::Retry { after, why, may_have_arrived: false },
        // A gateway on the way, or a crash half-way through: it may have been taken before.
        500..=599 => Outcome::Retry { after, why, may_have_arrived: true },
        300..=399 => Outcome::Failed { why: format!("{why} (redirects are not followed)") },
        _ => Outcome::Failed { why },
    }
}

/// How long to wait, as a body says it: Discord and Slack in seconds, with a fraction, Telegram in whole ones.
fn asked_for(json: &Value) -> Option<Millis> {
    let seconds = json.get("retry_after").or_else(|| json.pointer("/parameters/retry_after"))?.as_f64()?;
    (0.0..=1e9).contains(&seconds).then(|| (seconds * 1_000.0).ceil() as Millis)
}

/// Seconds, or a date.
fn retry_after(value: &str, now: Millis) -> Option<Millis> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (0.0..=1e9).contains(&seconds).then(|| (seconds * 1_000.0).ceil() as Millis);
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.timestamp_millis() - now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let now = 1_793_492_550_000; // 2026-11-01 00:22:30 UTC
        let cases = [
            ("30", Some(30_000)),
            (" 0 ", Some(0)),
            ("1.337", Some(1_337)),
            ("Sun, 01 Nov 2026 00:23:00 GMT", Some(30_000)),
            ("Sun, 01 Nov 2026 00:20:00 GMT", Some(0)),
            ("-3", None),
            ("inf", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in cases {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }

    fn heard(status: u16, text: &str) -> Heard {
        Heard { status, retry_after: None, text: text.into(), at: 0 }
    }

    fn is(verdict: Verdict) -> Option<Outcome> {
        match verdict {
            Verdict::Is(outcome) => Some(outcome),
            Verdict::TooMuch => None,
        }
    }

    #[test]
    fn waits_that_stand_in_a_body() {
        let cases = [
            (r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#, Some(64_570)),
            (r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#, Some(35_000)),
            (r#"{"retry_after":-1}"#, None),
            (r#"{"retry_after":"soon"}"#, None),
            ("slow down", None),
        ];
        for (text, expected) in cases {
            let outcome = is(verdict(&heard(429, text), Answer::Success, true)).unwrap();
            let Outcome::Retry { after, may_have_arrived: false, .. } = outcome else { panic!("{text}") };
            assert_eq!(after, expected, "{text}");
        }
        let both = Heard { retry_after: Some("65".into()), ..heard(429, r#"{"retry_after":64.57}"#) };
        let Some(Outcome::Retry { after, .. }) = is(verdict(&both, Answer::Success, false)) else { panic!() };
        assert_eq!(after, Some(65_000));
    }

    #[test]
    fn telegram() {
        let ok = r#"{"ok":true,"result":{"message_id":4711,"chat":{"id":-1}}}"#;
        let said = |status, text, another| is(verdict(&heard(status, text), Answer::Telegram, another));
        assert_eq!(said(200, ok, true), Some(Outcome::SentAs("4711".into())));
        assert_eq!(said(200, r#"{"ok":true,"result":{}}"#, true), Some(Outcome::Sent));
        let entities = r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities"}"#;
        assert_eq!(said(400, entities, true), None);
        assert!(matches!(said(400, entities, false), Some(Outcome::Failed { .. })));
        assert!(matches!(said(200, r#"{"ok":false}"#, true), Some(Outcome::Failed { .. })));
        assert!(matches!(said(403, "", true), Some(Outcome::Failed { .. })));
    }

    #[test]
    fn slacks_api() {
        let said =
            |text: &str, answer: Answer, another: bool| is(verdict(&heard(200, text), answer, another));
        let posted = r#"{"ok":true,"channel":"C01","ts":"1730420550.000100","message":{}}"#;
        let name = Outcome::SentAs("C01/1730420550.000100".into());
        assert_eq!(said(posted, Answer::SlackApi, false), Some(name));
        let failed = |why: &str| Some(Outcome::Failed { why: why.into() });
        let error = |word: &str| format!("{{\"ok\":false,\"error\":\"{word}\"}}");
        let not_found = error("channel_not_found");
        assert_eq!(said(&not_found, Answer::SlackApi, true), failed("answered channel_not_found"));
        assert_eq!(said("<html>", Answer::SlackApi, true), failed("answered 200, and no \"ok\": true"));
        assert_eq!(said(&error("thread_not_found"), Answer::SlackApi, true), None);
        assert_eq!(said(&error("message_not_found"), Answer::SlackChange, false), Some(Outcome::Sent));
        for (word, unclear) in [("ratelimited", false), ("internal_error", true), ("fatal_error", true)] {
            let Some(Outcome::Retry { may_have_arrived, .. }) = said(&error(word), Answer::SlackApi, true)
            else {
                panic!("{word}")
            };
            assert_eq!(may_have_arrived, unclear, "{word}");
        }
        let busy = is(verdict(
            &Heard { retry_after: Some("30".into()), ..heard(429, "") },
            Answer::SlackChange,
            false,
        ));
        assert!(matches!(busy, Some(Outcome::Retry { after: Some(30_000), .. })));
    }

    #[test]
    fn what_is_too_large_has_one_more_form() {
        assert_eq!(is(verdict(&heard(413, ""), Answer::Success, true)), None);
        let last = is(verdict(&heard(413, ""), Answer::Success, false));
        assert_eq!(last, Some(Outcome::Failed { why: "answered 413".into() }));
    }
}
