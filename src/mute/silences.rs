//! Silences: what people do not want to hear of for a while. Each has an end, an author and matchers as Alertmanager's; one
//! that is over is remembered for five days.

use super::about::About;
use gatewatch_parsers::Millis;
use gatewatch_rules::matcher::Matcher;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Silences in force at most.
pub const ACTIVE_MAX: usize = 500;
/// Those that are over and remembered at most.
const OVER_MAX: usize = 500;
/// One that is over is remembered so long.
const OVER_KEPT: Millis = 120 * 3_600_000;
/// None is longer.
pub const LONGEST: Millis = 366 * 86_400_000;
const MATCHERS_MAX: usize = 32;
const MATCHER_BYTES: usize = 1_024;
const AUTHOR_CHARS: usize = 64;
const COMMENT_CHARS: usize = 500;

/// A silence as somebody wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// As written: `upstream="a"`; all must match.
    pub matchers: Vec<String>,
    /// When it is over.
    pub ends: Millis,
    /// Who wants it.
    pub author: String,
    /// Why; may be empty.
    pub comment: String,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Which: numbers are never used twice.
    pub id: u64,
    /// As they would be written.
    pub matchers: Vec<String>,
    /// When it was made.
    pub starts: Millis,
    /// When it is over.
    pub ends: Millis,
    /// Whose it is.
    pub author: String,
    /// Why; may be empty.
    pub comment: String,
    /// Ended by hand, not by its time.
    pub by_hand: bool,
    /// Alerts of which it kept somebody from being told.
    pub held: u64,
    /// Those that came and went meanwhile: nobody was ever told.
    pub unseen: u64,
}

impl Silence {
    /// Whether it is in force.
    #[must_use]
    pub fn is_active(&self, now: Millis) -> bool {
        // A clock that is set back brings none back that was ended by hand.
        now < self.ends && !self.by_hand
    }

    /// `silence 3 of anna (deploy)`
    #[must_use]
    pub fn name(&self) -> String {
        let comment = if self.comment.is_empty() { String::new() } else { format!(" ({})", self.comment) };
        format!("silence {} of {}{comment}", self.id, self.author)
    }
}

/// All silences, in force or over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Silences {
    all: BTreeMap<u64, Silence>,
    last: u64,
    /// Those in force, ready to match. A matcher that this program does not know any more matches nothing.
    #[serde(skip)]
    compiled: BTreeMap<u64, Vec<Matcher>>,
}

impl Silences {
    /// Makes those that were saved ready to match.
    pub fn compile(&mut self) {
        let compile = |(id, silence): (&u64, &Silence)| {
            let matchers: Result<Vec<_>, _> = silence.matchers.iter().map(|m| Matcher::parse(m)).collect();
            matchers.ok().filter(|matchers| !matchers.is_empty()).map(|matchers| (*id, matchers))
        };
        self.compiled = self.all.iter().filter_map(compile).collect();
    }

    /// Takes a silence, from now on.
    ///
    /// # Errors
    /// Why it is refused, and what would be right.
    pub fn add(&mut self, wanted: &Wanted, now: Millis) -> Result<&Silence, String> {
        let matchers = read(&wanted.matchers)?;
        if wanted.ends <= now {
            return Err("its end is over already".to_owned());
        }
        if wanted.ends - now > LONGEST {
            return Err("it may last a year at most: what is never to be told is no rule".to_owned());
        }
        let author = one_line(&wanted.author, AUTHOR_CHARS);
        if author.is_empty() {
            return Err("it needs an author: --author NAME".to_owned());
        }
        if self.all.values().filter(|silence| silence.is_active(now)).count() >= ACTIVE_MAX {
            return Err(format!(
                "there are {ACTIVE_MAX} silences already: expire some, or match more with one"
            ));
        }
        self.last = self.last.saturating_add(1);
        let id = self.last;
        let silence = Silence {
            id,
            matchers: matchers.iter().map(ToString::to_string).collect(),
            starts: now,
            ends: wanted.ends,
            author,
            comment: one_line(&wanted.comment, COMMENT_CHARS),
            by_hand: false,
            held: 0,
            unseen: 0,
        };
        self.compiled.insert(id, matchers);
        Ok(self.all.entry(id).or_insert(silence))
    }

    /// Ends one now.
    ///
    /// # Errors
    /// There is none of this number, or it is over.
    pub fn expire(&mut self, id: u64, now: Millis) -> Result<&Silence, String> {
        match self.all.get_mut(&id) {
            None => Err(format!("there is no silence {id}")),
            Some(silence) if !silence.is_active(now) => Err(format!("silence {id} is over already")),
            Some(silence) => {
                (silence.ends, silence.by_hand) = (now, true);
                Ok(silence)
            }
        }
    }

    /// The one that silences this now; of several the one that lasts longest.
    #[must_use]
    pub fn of(&self, about: &About, now: Millis) -> Option<&Silence> {
        let active = self.all.values().filter(|silence| silence.is_active(now));
        let matching = active.filter(|silence| {
            let matchers = self.compiled.get(&silence.id);
            matchers.is_some_and(|matchers| about.is_matched(matchers))
        });
        matching.max_by_key(|silence| (silence.ends, silence.id))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Silence> {
        self.all.get(&id)
    }

    /// All, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.all.values()
    }

    /// When the next one is over.
    #[must_use]
    pub fn next_end(&self, now: Millis) -> Option<Millis> {
        self.all.values().filter(|silence| silence.is_active(now)).map(|silence| silence.ends).min()
    }

    /// It has kept somebody from being told.
    pub(super) fn count(&mut self, id: u64, held: u64, unseen: u64) {
        if let Some(silence) = self.all.get_mut(&id) {
            (silence.held, silence.unseen) = (silence.held + held, silence.unseen + unseen);
        }
    }

    /// Forgets what is over for long.
    pub(super) fn prune(&mut self, now: Millis) {
        self.all.retain(|_, silence| now.saturating_sub(silence.ends) < OVER_KEPT);
        let over = self.all.values().filter(|silence| !silence.is_active(now));
        let mut over: Vec<(Millis, u64)> = over.map(|silence| (silence.ends, silence.id)).collect();
        over.sort_unstable();
        for (_, id) in over.iter().take(over.len().saturating_sub(OVER_MAX)) {
            self.all.remove(id);
        }
        let all = &self.all;
        self.compiled.retain(|id, _| all.get(id).is_some_and(|silence| silence.is_active(now)));
    }
}

/// Reads matchers; those that match everything are refused.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn read(written: &[String]) -> Result<Vec<Matcher>, String> {
    if written.len() > MATCHERS_MAX {
        return Err(format!("it may have {MATCHERS_MAX} matchers at most"));
    }
    if written.iter().any(|text| text.len() > MATCHER_BYTES) {
        return Err(format!("a matcher may have {MATCHER_BYTES} bytes at most"));
    }
    let one = |text: &String| Matcher::parse(text).map_err(|e| format!("{text}: {e} (like upstream=be/s1)"));
    let matchers: Vec<Matcher> = written.iter().map(one).collect::<Result<_, _>>()?;
    if matchers.iter().all(|matcher| matcher.matches(b"")) {
        return Err("it would match every alert: name what is to be silent, like rule=errors upstream=be/s1"
            .to_owned());
    }
    Ok(matchers)
}

/// Without line ends, cut.
fn one_line(text: &str, chars: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars).collect();
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_rules::rule::Severity;

    const T: Millis = 1_793_492_552_000;
    const HOUR: Millis = 3_600_000;

    fn wanted(matchers: &[&str]) -> Wanted {
        let matchers = matchers.iter().map(|&m| m.to_owned()).collect();
        Wanted { matchers, ends: T + HOUR, author: "anna".into(), comment: "deploy".into() }
    }

    fn about() -> About {
        let labels = [("upstream", "be/s1"), ("node", "edge-1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        About::new("errors", labels.to_vec(), vec![("team".into(), "web".into())], Severity::Warning)
    }

    #[test]
    fn what_they_match() {
        let cases: &[(&[&str], bool)] = &[
            (&["rule=errors"], true),
            (&["alertname=errors", "upstream=be/s1"], true),
            (&["upstream=~be/.*"], true),
            (&["upstream=~be/s"], false),
            (&["rule=errors", "upstream!=be/s1"], false),
            (&["rule=errors", "site="], true),
            (&["rule=errors", "site!="], false),
            (&["severity=warning", "team=web", "node!~edge-2|edge-3"], true),
            (&["severity=critical"], false),
        ];
        for (matchers, expected) in cases {
            let mut silences = Silences::default();
            silences.add(&wanted(matchers), T).unwrap();
            assert_eq!(silences.of(&about(), T).is_some(), *expected, "{matchers:?}");
            assert!(silences.of(&about(), T + HOUR).is_none(), "its end is not in it");
        }
    }

    #[test]
    fn what_is_refused() {
        let cases: &[(&[&str], Millis, &str, &str)] = &[
            (&[], 1, "a", "every alert"),
            (&["upstream=~.*"], 1, "a", "every alert"),
            (&["upstream!=a", "site="], 1, "a", "every alert"),
            (&["upstream"], 1, "a", "expected one of"),
            (&["a=~("], 1, "a", "bad regular expression"),
            (&["a=b"], 0, "a", "over already"),
            (&["a=b"], LONGEST + 1, "a", "a year"),
            (&["a=b"], 1, " \n", "author"),
            (&["a=b"; 40], 1, "a", "32 matchers"),
        ];
        for (matchers, length, author, part) in cases {
            let wanted = Wanted { ends: T + length, author: (*author).into(), ..wanted(matchers) };
            let why = Silences::default().add(&wanted, T).unwrap_err();
            assert!(why.contains(part), "{matchers:?}: {why}");
        }
        let mut silences = Silences::default();
        assert!(silences.expire(1, T).unwrap_err().contains("no silence 1"));
        silences.add(&wanted(&["a=b"]), T).unwrap();
        assert!(silences.expire(1, T + 5).unwrap().by_hand);
        assert!(silences.expire(1, T + 5).unwrap_err().contains("over"));
    }

    #[test]
    fn there_are_never_too_many() {
        let mut silences = Silences::default();
        for _ in 0..ACTIVE_MAX {
            silences.add(&wanted(&["a=b"]), T).unwrap();
        }
        assert!(silences.add(&wanted(&["a=b"]), T).unwrap_err().contains("500"));
        silences.expire(3, T).unwrap();
        assert_eq!(silences.add(&wanted(&["a=b"]), T).unwrap().id, 501);
        silences.prune(T + 2 * HOUR);
        assert_eq!((silences.iter().count(), silences.compiled.len()), (OVER_MAX, 0));
        assert!(silences.get(3).is_none(), "the one that ended first goes first");
        silences.prune(T + HOUR + OVER_KEPT);
        assert_eq!(silences.iter().count(), 0);
    }

    #[test]
    fn what_was_saved_matches_again() {
        let mut silences = Silences::default();
        silences.add(&wanted(&["upstream=~be/.*", "rule=errors"]), T).unwrap();
        let saved = serde_json::to_string(&silences).unwrap();
        let mut again: Silences = serde_json::from_str(&saved).unwrap();
        assert!(again.of(&about(), T).is_none());
        again.compile();
        assert_eq!(again.of(&about(), T).unwrap().name(), "silence 1 of anna (deploy)");
    }
}
