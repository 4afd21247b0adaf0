//! Words of one's own for a receiver: minijinja templates for a title and a text. Their values are those of the webhook's
//! body, escaped for the target unless a template says `|safe`. A template that fails costs its words, never the alert.

use super::webhook;
use crate::message::{About, Message};
use crate::notification::{Notification, trial::trial};
use gatewatch_parsers::Zone;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use std::ops::Range;

/// Instructions of one template: a loop must end.
const FUEL: u64 = 200_000;
/// How deep its parts may call each other.
const DEPTH: usize = 32;

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub why: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes of the template that it is about.
    pub at: Range<usize>,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

/// Whether a template can be read, and says something of an alert that fires and of one that is over.
///
/// # Errors
/// Where it cannot.
pub fn check(source: &str) -> Result<(), Mistake> {
    let about = About { zone: Zone::Fixed(0), node: "node".into(), log_file: None };
    for over in [false, true] {
        let Ok(notification) = trial("receiver", over, 1_800_000_000_000) else { continue };
        let message = Message::of(&notification, &about);
        fill(source, &context(&notification, &about, &message), str::to_owned)?;
    }
    Ok(())
}

/// What a template may name.
pub(super) fn context(notification: &Notification, about: &About, message: &Message) -> Value {
    let mut fields = serde_json::to_value(webhook::body(notification, about)).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        let text = |text: &str| serde_json::Value::from(text);
        fields.insert("headline".into(), text(&message.headline));
        fields.insert("text".into(), text(message.text().trim_end()));
        fields.insert("subject".into(), text(&message.subject));
        fields.insert("note".into(), text(message.note.as_deref().unwrap_or_default()));
        fields.insert("severity".into(), text(notification.severity().name()));
        fields.insert("node".into(), text(&about.node));
    }
    Value::from(Serde(&fields))
}

/// What a template says.
pub(super) fn fill(source: &str, context: &Value, escape: fn(&str) -> String) -> Result<String, Mistake> {
    let mut environment = Environment::new();
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    // An alert that lacks a label must not lose its message.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("target".into()));
    environment.set_formatter(move |out, _, value| {
        let text = if value.is_undefined() || value.is_none() { String::new() } else { value.to_string() };
        let text = if value.is_safe() { text } else { escape(&text) };
        out.write_str(&text).map_err(Error::from)
    });
    let escaped = move |value: Value| {
        let text = value.to_string();
        Value::from_safe_string(if value.is_safe() { text } else { escape(&text) })
    };
    environment.add_filter("e", escaped);
    environment.add_filter("escape", escaped);
    let template = environment.template_from_str(source).map_err(|error| mistake(source, &error))?;
    template.render(context).map_err(|error| mistake(source, &error))
}

fn mistake(source: &str, error: &Error) -> Mistake {
    let why = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it does not come to an end".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let line = error.line().unwrap_or(1).max(1);
    let begins: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let at = error.range().filter(|at| source.get(at.clone()).is_some() && at.start >= begins);
    let at = at.unwrap_or(begins..begins);
    let column = 1 + source.get(begins..at.start).map_or(0, |before| before.chars().count());
    // Of a part that spans lines, where it begins.
    let more = source.get(begins..at.start).map_or(0, |before| before.matches('\n').count());
    Mistake { why, line: line + more, column, at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(source: &str) -> Result<String, String> {
        let about = About { zone: Zone::Fixed(0), node: "edge-1".into(), log_file: None };
        let mut notification = trial("ops", false, 1_800_000_000_000).unwrap();
        notification.items[0].alert.labels.push(("site".into(), "<!channel>&\n".into()));
        let message = Message::of(&notification, &about);
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        fill(source, &context(&notification, &about, &message), escape).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn what_templates_say() {
        let cases = [
            ("{{ status }} {{ alerts[0].labels.upstream }}", "firing test_pool/test-server"),
            ("{% for a in alerts %}{{ a.labels.alertname|upper }}{% endfor %}", "TEST"),
            ("{{ commonLabels.severity }} {{ severity }} {{ node }}", "critical critical edge-1"),
            // What comes from a log is escaped once; what the template says itself is not.
            ("<b>{{ alerts[0].labels.site }}</b>", "<b>&lt;!channel>&amp;\\u{a}</b>"),
            ("{{ alerts[0].labels.site|e }}", "&lt;!channel>&amp;\\u{a}"),
            ("{{ alerts[0].labels.site|safe }}", "<!channel>&\\u{a}"),
            // What is not there says nothing.
            ("[{{ nothing.at.all }}{{ alerts[9].labels.x }}]", "[]"),
            (
                "{{ headline }}",
                "TEST FIRING critical: test_pool/test-server for &lt;!channel>&amp;\\u{a} fails 20 % (normal 0.4 %)",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(filled(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        let cases = [
            ("{{ headline", "line 1, column"),
            ("a\nb {% if %}", "line 2, column"),
            ("a\n  {{ headline|shout }}", "line 2, column 15: unknown filter"),
            ("{{ 1 / 'x' }}", "line 1, column 4: invalid operation"),
            ("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}", "line 1"),
            ("{% include 'secrets' %}", "line 1"),
        ];
        for (source, expected) in cases {
            let said = filled(source).unwrap_err();
            assert!(said.starts_with(expected), "{source}: {said}");
            assert!(check(source).is_err(), "{source}");
        }
        assert_eq!(check("{{ headline }}"), Ok(()));
    }

    proptest! {
        #[test]
        fn whatever_is_written(source in "[a-z {}%|.()'\n\"0-9é]{0,80}") {
            let _ = filled(&source);
            if let Err(mistake) = check(&source) {
                prop_assert!(source.get(mistake.at).is_some());
            }
        }
    }
}
