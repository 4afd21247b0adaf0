//! What proxies write of their servers beside requests: out of rotation, back, none left. Kept by server, with its last
//! changes in order of time, so that the order in which they were read does not matter.

use crate::alert::Labels;
use crate::saved::{is_count, is_time};
use gatewatch_parsers::{Happened, Millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many servers are remembered; then the one that changed longest ago goes.
pub const SERVERS_MAX: usize = 1_000;
/// So many changes of one.
const CHANGES_MAX: usize = 8;
/// A value or a reason is no longer.
const TEXT_MAX: usize = 128;
/// So many are told of with an alert.
const TOLD_MAX: usize = 3;

/// A server that changed its state, or a pool that lost its last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Who wrote so.
    pub node: String,
    /// Backend or upstream group; empty if not logged.
    pub pool: String,
    /// The server; empty: it is about the pool.
    pub upstream: String,
    /// Its last changes, oldest first; never empty.
    pub changes: Vec<(Millis, Happened)>,
    /// How often it went out of rotation, or was the last one to.
    pub times: u64,
    /// Why it last did, in the proxy's own words; empty if not logged.
    pub detail: String,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Out of rotation since then; of a pool: without a server.
    Out(Millis),
    /// Back since then; it had been out since the first, if that is known.
    Back(Option<Millis>, Millis),
    /// Taken out for a while, last then; nobody told when it came back.
    Paused(Millis),
}

impl Server {
    /// Where it stands after its last change.
    #[must_use]
    pub fn stands(&self) -> Stands {
        let Some(&(last, happened)) = self.changes.last() else { return Stands::Back(None, 0) };
        // Said again and again, it is out since it was said first.
        let since = |before: usize| {
            let older = self.changes.get(..before).unwrap_or_default().iter().rev();
            older.take_while(|(_, h)| is_out(*h)).last().map(|(at, _)| *at)
        };
        match happened {
            Happened::Down | Happened::NoServer => Stands::Out(since(self.changes.len()).unwrap_or(last)),
            Happened::Paused => Stands::Paused(last),
            Happened::Up => {
                let ups = self.changes.iter().rev().take_while(|(_, h)| *h == Happened::Up).count();
                let first = self.changes.len() - ups;
                let back = self.changes.get(first).map_or(last, |(at, _)| *at);
                Stands::Back(since(first), back)
            }
        }
    }

    fn key(&self) -> Key {
        (self.node.clone(), self.pool.clone(), self.upstream.clone())
    }

    fn is_of(&self, labels: &Labels) -> bool {
        let label = |name: &str| labels.iter().find(|l| l.0 == name).map(|l| l.1.as_str());
        let fits = |name: &str, own: &str| label(name).is_none_or(|value| value == own);
        if !fits("node", &self.node) {
            return false;
        }
        match (label("upstream"), label("pool")) {
            (Some(upstream), _) => upstream == self.upstream,
            (None, Some(pool)) => pool == self.pool,
            (None, None) => false,
        }
    }

    fn is_sound(&self) -> bool {
        let texts = [&self.node, &self.pool, &self.upstream, &self.detail];
        (1..=CHANGES_MAX).contains(&self.changes.len())
            && self.changes.iter().all(|(at, _)| is_time(*at))
            && self.changes.is_sorted()
            && is_count(self.times)
            && texts.into_iter().all(|text| text.len() <= 4 * TEXT_MAX)
    }
}

fn is_out(happened: Happened) -> bool {
    matches!(happened, Happened::Down | Happened::NoServer)
}

/// A change that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    at: Millis,
    happened: Happened,
    server: Server,
}

impl Seen {
    pub fn new(at: Millis, happened: Happened, [node, pool, upstream, detail]: [&[u8]; 4]) -> Seen {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..TEXT_MAX).unwrap_or(bytes)).into_owned();
        let (node, pool, upstream, detail) = (text(node), text(pool), text(upstream), text(detail));
        let server = Server { node, pool, upstream, detail, ..Server::default() };
        Seen { at, happened, server }
    }
}

/// Node, pool, server.
type Key = (String, String, String);

/// All that is known of servers' states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct Servers {
    known: BTreeMap<Key, Server>,
    dropped: u64,
}

/// As it is saved: what a server is known by follows from itself.
#[derive(Serialize, Deserialize)]
struct Saved {
    known: Vec<Server>,
    dropped: u64,
}

impl From<Servers> for Saved {
    fn from(servers: Servers) -> Saved {
        Saved { known: servers.known.into_values().collect(), dropped: servers.dropped }
    }
}

impl From<Saved> for Servers {
    fn from(saved: Saved) -> Servers {
        let keyed = saved.known.into_iter().map(|server| (server.key(), server));
        Servers { known: keyed.collect(), dropped: saved.dropped }
    }
}

impl Servers {
    pub(crate) fn take(&mut self, seen: &Seen) {
        let Seen { at, happened, server } = seen;
        let key = server.key();
        if *happened == Happened::Up && !server.upstream.is_empty() {
            self.pool_is_back(&key, *at);
        }
        if !self.known.contains_key(&key) && self.known.len() >= SERVERS_MAX {
            self.drop_oldest();
        }
        let known =
            self.known.entry(key).or_insert_with(|| Server { detail: String::new(), ..server.clone() });
        let change = (*at, *happened);
        let place = match known.changes.binary_search(&change) {
            // Two copies of one message.
            Ok(_) => return,
            Err(place) => place,
        };
        if *happened != Happened::Up {
            known.times = known.times.saturating_add(1);
            if known.changes.iter().skip(place).all(|(_, h)| *h == Happened::Up) {
                known.detail.clone_from(&server.detail);
            }
        }
        known.changes.insert(place, change);
        if known.changes.len() > CHANGES_MAX {
            known.changes.remove(0);
        }
    }

    /// A server of a pool is up: the pool has one again.
    fn pool_is_back(&mut self, (node, pool, _): &Key, at: Millis) {
        let Some(pool) = self.known.get_mut(&(node.clone(), pool.clone(), String::new())) else { return };
        if pool.changes.last().is_some_and(|(since, happened)| is_out(*happened) && *since <= at) {
            pool.changes.push((at, Happened::Up));
            if pool.changes.len() > CHANGES_MAX {
                pool.changes.remove(0);
            }
        }
    }

    fn drop_oldest(&mut self) {
        let last = |server: &Server| server.changes.last().map(|(at, _)| *at);
        let oldest = self.known.iter().min_by_key(|(key, server)| (last(server), (*key).clone()));
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.known.remove(&key);
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// All, by node, pool and server.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        self.known.values()
    }

    /// How many are no longer remembered.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Those that a group with these labels is about, and the pools without a server that they belong to: what changed
    /// last first, a few.
    #[must_use]
    pub fn of(&self, labels: &Labels) -> Vec<Server> {
        let mut found: Vec<&Server> = self.all().filter(|server| server.is_of(labels)).collect();
        let pools = self.all().filter(|pool| {
            pool.upstream.is_empty() && found.iter().any(|s| (&s.node, &s.pool) == (&pool.node, &pool.pool))
        });
        let more: Vec<&Server> = pools.filter(|pool| !found.contains(pool)).collect();
        found.extend(more);
        let last = |server: &Server| server.changes.last().map(|(at, _)| *at);
        found.sort_by_key(|server| std::cmp::Reverse(last(server)));
        found.into_iter().take(TOLD_MAX).cloned().collect()
    }

    /// The same, as far as it changed in this time.
    #[must_use]
    pub fn of_time(&self, labels: &Labels, from: Millis, to: Millis) -> Vec<Server> {
        let mut of = self.of(labels);
        for server in &mut of {
            server.changes.retain(|(at, _)| (from..to).contains(at));
        }
        of.retain(|server| !server.changes.is_empty());
        of
    }

    /// Whether it can have been kept, and not just read from a file.
    pub(crate) fn is_sound(&self) -> bool {
        self.known.len() <= SERVERS_MAX && is_count(self.dropped) && self.all().all(Server::is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Happened::{Down, NoServer, Paused, Up};
    use proptest::prelude::*;

    fn seen(at: Millis, happened: Happened, upstream: &str) -> Seen {
        Seen::new(at, happened, [b"n", b"be", upstream.as_bytes(), b"why"])
    }

    fn taken(all: &[Seen]) -> Servers {
        let mut servers = Servers::default();
        all.iter().for_each(|seen| servers.take(seen));
        servers
    }

    fn stands(servers: &Servers, upstream: &str) -> Stands {
        servers.all().find(|server| server.upstream == upstream).unwrap().stands()
    }

    #[test]
    fn a_server_goes_and_comes_back() {
        let mut servers = taken(&[seen(5, Down, "s1"), seen(7, Down, "s1")]);
        assert_eq!(stands(&servers, "s1"), Stands::Out(5));
        servers.take(&seen(9, Up, "s1"));
        servers.take(&seen(11, Up, "s1"));
        assert_eq!(stands(&servers, "s1"), Stands::Back(Some(5), 9));
        servers.take(&seen(12, Paused, "s2"));
        servers.take(&seen(12, Paused, "s2"));
        assert_eq!(stands(&servers, "s2"), Stands::Paused(12));
        let times: Vec<u64> = servers.all().map(|server| server.times).collect();
        assert_eq!(times, [2, 1]);
        assert!(servers.is_sound());
    }

    #[test]
    fn a_pool_without_servers_has_one_again() {
        let mut servers = taken(&[seen(5, Down, "be/s1"), seen(5, NoServer, "")]);
        assert_eq!(stands(&servers, ""), Stands::Out(5));
        let upstream = vec![("upstream".to_owned(), "be/s1".to_owned())];
        assert_eq!(servers.of(&upstream).len(), 2);
        assert_eq!(servers.of(&vec![("site".to_owned(), "x".to_owned())]).len(), 0);
        let elsewhere = [("node", "m"), ("pool", "be")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(servers.of(&elsewhere.to_vec()).len(), 0);
        servers.take(&seen(8, Up, "be/s1"));
        assert_eq!(stands(&servers, ""), Stands::Back(Some(5), 8));
        assert!(servers.of_time(&upstream, 6, 9).iter().all(|server| server.changes == [(8, Up)]));
        assert!(servers.of_time(&upstream, 9, 19).is_empty());
    }

    #[test]
    fn the_one_that_changed_longest_ago_goes() {
        let mut servers = Servers::default();
        for i in 0..=SERVERS_MAX {
            servers.take(&seen(i as Millis, Down, &format!("s{i}")));
        }
        assert_eq!((servers.all().count(), servers.dropped()), (SERVERS_MAX, 1));
        assert!(servers.all().all(|server| server.upstream != "s0"));
    }

    proptest! {
        #[test]
        fn the_order_of_reading_does_not_matter(
            all in proptest::collection::vec((0..30i64, prop::sample::select(vec![Down, Up, Paused])), 0..20),
            seed in any::<prop::sample::Index>(),
        ) {
            let mut all: Vec<Seen> = all.into_iter().map(|(at, happened)| seen(at, happened, "s")).collect();
            let servers = taken(&all);
            prop_assert!(servers.is_sound());
            if !all.is_empty() && servers.all().all(|server| server.changes.len() < CHANGES_MAX) {
                let at = seed.index(all.len());
                all.rotate_left(at);
                prop_assert_eq!(taken(&all), servers);
            }
        }
    }
}
