//! `mutes` of a rule: while an alert of it fires, those of the rules that it names are held back, where the labels that
//! both group by are equal. One level: an alert that is muted so mutes nobody.

use super::about::About;
use gatewatch_rules::rule::Rule;
use std::collections::BTreeMap;

/// Whose alerts mute whose.
#[derive(Clone, Debug, Default)]
pub struct Inhibition {
    /// Muted rule → rules that mute it, and the labels that both group by.
    muters: BTreeMap<String, Vec<(String, Vec<String>)>>,
    /// Muted rule → how many levels stand above it.
    depth: BTreeMap<String, usize>,
}

/// The alerts that mute others: muting rule, muted rule, values of the labels that both group by.
pub type Muting = BTreeMap<(String, String, Vec<String>), ()>;

impl Inhibition {
    /// As these rules say. Of rules that mute each other in a circle, none does.
    #[must_use]
    pub fn of(rules: &[Rule]) -> Inhibition {
        let mut muters: BTreeMap<String, Vec<(String, Vec<String>)>> = BTreeMap::new();
        for rule in rules {
            for muted in &rule.mutes {
                let Some(other) = rules.iter().find(|other| other.name == *muted) else { continue };
                let shared = rule.group_by.iter().filter(|label| other.group_by.contains(label)).cloned();
                muters.entry(muted.clone()).or_default().push((rule.name.clone(), shared.collect()));
            }
        }
        // A rule stands once all that mute it stand; what never may is part of a circle, or below one.
        let mut depth: BTreeMap<String, usize> = BTreeMap::new();
        for level in 1..=rules.len() {
            let stands = |name: &String| !muters.contains_key(name) || depth.contains_key(name);
            let next: Vec<String> = muters
                .iter()
                .filter(|(name, by)| !depth.contains_key(*name) && by.iter().all(|(by, _)| stands(by)))
                .map(|(name, _)| name.clone())
                .collect();
            depth.extend(next.into_iter().map(|name| (name, level)));
        }
        muters.retain(|name, _| depth.contains_key(name));
        Inhibition { muters, depth }
    }

    /// The rules of the first circle, in order; empty: there is none. A rule that mutes itself is another mistake.
    #[must_use]
    pub fn circle(rules: &[Rule]) -> Vec<&str> {
        let find = |name: &str| rules.iter().find(|rule| rule.name == name);
        for first in rules {
            let mut paths: Vec<Vec<&str>> = vec![vec![first.name.as_str()]];
            let mut seen: Vec<&str> = Vec::new();
            while let Some(path) = paths.pop() {
                let Some(last) = path.last().and_then(|name| find(name)) else { continue };
                let others = last.mutes.iter().filter(|name| **name != last.name);
                for next in others.filter_map(|name| find(name)) {
                    if next.name == first.name {
                        return path;
                    }
                    if !seen.contains(&next.name.as_str()) {
                        seen.push(&next.name);
                        paths.push(path.iter().copied().chain([next.name.as_str()]).collect());
                    }
                }
            }
        }
        Vec::new()
    }

    /// Whether no rule mutes another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.muters.is_empty()
    }

    /// Whether alerts of this rule mute others.
    #[must_use]
    pub fn mutes(&self, rule: &str) -> bool {
        self.muters.values().flatten().any(|(by, _)| by == rule)
    }

    /// Those of less depth are to be judged first.
    #[must_use]
    pub fn depth(&self, rule: &str) -> usize {
        self.depth.get(rule).copied().unwrap_or(0)
    }

    /// This alert fires and is not muted so: it mutes others.
    pub fn fires(&self, about: &About, muting: &mut Muting) {
        for (muted, by) in &self.muters {
            for (_, shared) in by.iter().filter(|(rule, _)| *rule == about.rule) {
                muting.insert((about.rule.clone(), muted.clone(), values(about, shared)), ());
            }
        }
    }

    /// The rule whose alert mutes this one.
    #[must_use]
    pub fn muter(&self, about: &About, muting: &Muting) -> Option<&str> {
        let by = self.muters.get(&about.rule)?;
        let mutes = |(rule, shared): &&(String, Vec<String>)| {
            muting.contains_key(&(rule.clone(), about.rule.clone(), values(about, shared)))
        };
        by.iter().find(mutes).map(|(rule, _)| rule.as_str())
    }
}

/// Of the group alone: what a rule adds is the same for all of its alerts.
fn values(about: &About, labels: &[String]) -> Vec<String> {
    let of = |name: &String| about.labels.iter().find(|(label, _)| label == name);
    labels.iter().map(|name| of(name).map_or_else(String::new, |(_, value)| value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewatch_rules::rule::Severity;

    fn rule(name: &str, group_by: &str, mutes: &str) -> Rule {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let mut rule = Rule::new(name, "ratio", vec![(Severity::Warning, 0.1)]);
        (rule.group_by, rule.mutes) = (words(group_by), words(mutes));
        rule
    }

    /// `errors node=a upstream=b`
    fn about(text: &str) -> About {
        let mut words = text.split(' ');
        let rule = words.next().unwrap();
        let labels = words.filter_map(|word| word.split_once('=')).map(|(n, v)| (n.into(), v.into()));
        About::new(rule, labels.collect(), Vec::new(), Severity::Warning)
    }

    #[test]
    fn who_mutes_whom() {
        let rules = [
            rule("region", "region", "node"),
            rule("node", "region node", "errors site"),
            rule("errors", "node upstream", ""),
            rule("site", "site", ""),
        ];
        let inhibition = Inhibition::of(&rules);
        assert!(Inhibition::circle(&rules).is_empty());
        assert_eq!(["region", "node", "errors"].map(|name| inhibition.depth(name)), [0, 1, 2]);
        let cases = [
            ("node region=eu node=a", "errors node=a upstream=x", true),
            ("node region=eu node=a", "errors node=b upstream=x", false),
            // Both without it: equal.
            ("node region=eu", "errors upstream=x", true),
            ("node region=eu node=a", "errors upstream=x", false),
            // No label in common: all of them.
            ("node region=eu node=a", "site site=shop", true),
            ("region region=eu", "errors node=a upstream=x", false),
            ("region region=eu", "node region=eu node=a", true),
            ("errors node=a upstream=x", "node node=a", false),
        ];
        for (firing, other, expected) in cases {
            let mut muting = Muting::new();
            inhibition.fires(&about(firing), &mut muting);
            assert_eq!(inhibition.muter(&about(other), &muting).is_some(), expected, "{firing} {other}");
        }
    }

    #[test]
    fn a_circle_mutes_nobody() {
        let rules = [rule("a", "", "b"), rule("b", "", "c"), rule("c", "", "a d"), rule("d", "", "")];
        assert_eq!(Inhibition::circle(&rules), ["a", "b", "c"]);
        assert!(Inhibition::of(&rules).is_empty());
        let itself = [rule("a", "", "a")];
        assert!(Inhibition::circle(&itself).is_empty() && Inhibition::of(&itself).is_empty());
    }
}
