//! What of a source's records is known beforehand.

use super::values::{Carried, Key, Values};
use crate::series::{Label, Plan, Source, VALUE_MAX, cut};
use gatewatch_parsers::{Attempt, Attempts, Record};

/// A source, and what of its records' series follows from it alone: see `Collector::of`.
#[derive(Debug)]
pub struct Of<'s> {
    pub(super) source: &'s Source,
    /// The key of its input and its region. `None`: records of this source need more than their own words.
    known: Option<Key>,
    /// Whether series of an upstream carry its node and its pool.
    carries: [bool; 2],
}

impl<'s> Of<'s> {
    pub(super) fn new(source: &'s Source, plan: &Plan, carried: &[[Carried; 2]]) -> Of<'s> {
        let with_upstream = carried.first().map(|carried| &carried[1]);
        let has = |label: Label| with_upstream.is_some_and(|carried| carried.built_in[label as usize]);
        let is_plain = plan.families() == 1
            && with_upstream.is_some_and(|carried| !carried.captures)
            && has(Label::Upstream)
            && !has(Label::Site)
            && source.extra.is_empty()
            && source.path_labels.is_empty()
            && source.regions.is_empty()
            && source.pools.is_empty();
        let mut key = Key::EMPTY;
        for (label, value) in [(Label::Input, &source.input), (Label::Region, &source.region)] {
            if has(label) {
                key.put(label, cut(value.as_bytes()));
            }
        }
        Of { source, known: is_plain.then_some(key), carries: [Label::Node, Label::Pool].map(has) }
    }

    /// The key of a record that asked one server, and what it asked.
    #[inline(always)]
    pub(super) fn key<'r, 'a>(&self, record: &'r Record<'a>) -> Option<(Key, &'r Attempt<'a>)> {
        let (Some(mut key), Attempts::One(attempt), b"") = (self.known, &record.attempts, record.region)
        else {
            return None;
        };
        let (node, pool) = (self.node(record), pool(record, attempt));
        // Longer values are cut.
        if attempt.upstream.is_empty() || node.len() | pool.len() | attempt.upstream.len() > VALUE_MAX {
            return None;
        }
        let [carries_node, carries_pool] = self.carries;
        if carries_node {
            key.put(Label::Node, node);
        }
        if carries_pool {
            key.put(Label::Pool, pool);
        }
        key.put(Label::Upstream, attempt.upstream);
        Some((key, attempt))
    }

    /// What that key is of.
    #[cold]
    pub(super) fn values<'a>(&'a self, record: &'a Record<'a>, attempt: &Attempt<'a>) -> Values<'a> {
        let (source, node) = (self.source, self.node(record));
        let (input, region) = (source.input.as_bytes(), source.region.as_bytes());
        let built_in = [input, node, region, pool(record, attempt), attempt.upstream, b""].map(cut);
        Values { built_in, source, record }
    }

    #[inline(always)]
    fn node<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        if record.node.is_empty() { self.source.node.as_bytes() } else { record.node }
    }
}

#[inline(always)]
fn pool<'a>(record: &Record<'a>, attempt: &Attempt<'a>) -> &'a [u8] {
    if attempt.pool.is_empty() { record.pool } else { attempt.pool }
}
