//! Random changes, answers, crashes, clock steps and reloads, against receivers that know keys.

use super::tests::{T, alert, change, receiver, rules};
use super::*;
use crate::notification::Subject;
use crate::receiver::{ReceiverKind, Secret};
use gatewatch_rules::alert::State as AlertState;
use proptest::prelude::*;

const MINUTE: Millis = 60_000;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Alert, what happens to it, whether it was found late.
    Push(u32, ChangeKind, bool),
    Wait(Millis),
    /// The clock is set.
    Set(Millis),
    Answer(u8, Answer),
    /// The snapshot is written.
    Save,
    /// It ends, and starts from the last snapshot; the receivers had what was on its way, or not.
    Crash(bool),
    Reload,
    CatchingUp(bool),
    /// These alerts are muted, a bit each.
    Mute(u8),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Sent,
    /// Taken, but nobody learns of it.
    Unheard,
    /// Not taken, and nobody can know that.
    Unclear,
    /// Not taken for sure.
    Busy(Option<Millis>),
    Refused,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let kind = prop_oneof![
        3 => Just(ChangeKind::Firing), 1 => Just(ChangeKind::Escalated),
        1 => Just(ChangeKind::Reopened), 3 => Just(ChangeKind::Resolved),
    ];
    let answer = prop_oneof![
        4 => Just(Answer::Sent), 2 => Just(Answer::Unheard), 2 => Just(Answer::Unclear),
        2 => prop::option::of(0..300_000_i64).prop_map(Answer::Busy), 1 => Just(Answer::Refused),
    ];
    let act = prop_oneof![
        10 => (0..6_u32, kind, prop::bool::weighted(0.2)).prop_map(|(n, kind, late)| Act::Push(n, kind, late)),
        6 => prop_oneof![0..20_000_i64, 0..5 * 3_600_000_i64].prop_map(Act::Wait),
        1 => (-86_400_000..86_400_000_i64).prop_map(Act::Set),
        10 => (any::<u8>(), answer).prop_map(|(n, answer)| Act::Answer(n, answer)),
        2 => Just(Act::Save),
        2 => any::<bool>().prop_map(Act::Crash),
        1 => Just(Act::Reload),
        1 => any::<bool>().prop_map(Act::CatchingUp),
        1 => any::<u8>().prop_map(Act::Mute),
    ];
    prop::collection::vec(act, 1..150)
}

/// Alerts as an engine makes them: only changes that follow from the state before.
fn engine(
    alerts: &mut BTreeMap<u32, Alert>,
    n: u32,
    kind: ChangeKind,
    (late, with_envelopes): (bool, bool),
) -> Option<Change> {
    let fresh = alert(n, if n.is_multiple_of(2) { "errors" } else { "node" }, Severity::Warning);
    let known = alerts.entry(n).or_insert(Alert { state: AlertState::Pending, ..fresh });
    let number: u32 = known.incident[5..].parse().unwrap();
    match (kind, known.state) {
        (ChangeKind::Firing, AlertState::Pending | AlertState::Resolved) => {
            known.incident = format!("{n:04x}-{}", number + 1);
            known.severity = Severity::Warning;
            known.detected_late = late;
        }
        (ChangeKind::Escalated, AlertState::Firing) if known.severity == Severity::Warning => {
            known.severity = Severity::Critical;
        }
        (ChangeKind::Reopened, AlertState::Resolved) => {}
        (ChangeKind::Resolved, AlertState::Firing) => {}
        _ => return None,
    }
    if kind == ChangeKind::Firing {
        let open = alerts.values().filter(|other| other.state == AlertState::Firing);
        let mut open = open.filter_map(|other| other.envelope.clone());
        // Two kinds of faults; whatever fires meanwhile belongs to the one that is open.
        let fault = format!("f{}", n % 2);
        let found = open.find(|envelope| envelope.id.starts_with(&fault)).map(|envelope| envelope.id);
        let id = found.unwrap_or_else(|| format!("{fault}-{n}-{}", number + 1));
        let labels = vec![("node".to_owned(), format!("n{}", number % 2))];
        let envelope = Envelope { members: 1, ..Envelope::opened(id, T, labels) };
        if let Some(known) = alerts.get_mut(&n) {
            known.envelope = with_envelopes.then_some(envelope);
        }
    }
    let known = alerts.get_mut(&n)?;
    // No two states of an alert are the same.
    known.last_bad += 5_000;
    known.state = if kind == ChangeKind::Resolved { AlertState::Resolved } else { AlertState::Firing };
    let said = known.clone();
    let id = said.envelope.as_ref().map(|envelope| envelope.id.clone());
    let firing = alerts.values().filter(|other| other.state == AlertState::Firing);
    let members = firing.filter(|other| other.envelope.as_ref().map(|e| &e.id) == id.as_ref()).count();
    let envelope = said.envelope.clone();
    let envelope = envelope.map(|e| Envelope { members: u32::try_from(members).unwrap(), ..e });
    Some(change(kind, &Alert { envelope, ..said }))
}

/// What one receiver has, one entry a key.
#[derive(Default)]
struct Taken {
    keys: BTreeSet<String>,
    /// Fingerprint → whether it fires, by the last word.
    last: BTreeMap<String, bool>,
    /// Incident → whether it fires, by the last word, when that was put together, and which of its ends it was.
    incidents: BTreeMap<String, (bool, Millis, Millis)>,
    /// Incidents that hold alerts, of those that were told.
    together: BTreeSet<String>,
    /// Incidents of summaries.
    summed_up: u64,
    /// Paged again for the same, under another key.
    twice: Vec<String>,
}

impl Taken {
    fn take(&mut self, notification: &Notification, now: Millis) {
        if !self.keys.insert(notification.key.clone()) {
            return;
        }
        if notification.subject == Subject::Standing {
            for item in &notification.items {
                self.last.insert(item.alert.fingerprint.clone(), item.news.is_firing());
            }
            return;
        }
        self.summed_up += notification.totals.map_or(0, |totals| totals.incidents);
        for item in &notification.items {
            let fires = item.news.is_firing();
            self.together.extend(item.alert.envelope.iter().map(|envelope| envelope.id.clone()));
            let page = matches!(item.news, News::Firing);
            let told = (fires, notification.at, item.alert.last_bad);
            let before = self.incidents.insert(item.alert.incident.clone(), told);
            // What came back between is over a second time, and that is no repetition.
            let is_same = |end: Millis| fires || end == item.alert.last_bad;
            let same = before
                .is_some_and(|(fired, at, end)| fired == fires && is_same(end) && (now - at).abs() < TTL);
            // Whether the first page arrived is unclear, it was over, and has come back: that pages.
            if same && item.reopened == 0 && (page || !fires) {
                self.twice.push(format!("{} {:?}", item.alert.incident, item.news));
            }
            if notification.totals.is_none() {
                self.last.insert(item.alert.fingerprint.clone(), fires);
            } else {
                self.last.entry(item.alert.fingerprint.clone()).or_insert(fires);
            }
        }
    }
}

const FORGETS: &str = "c";

fn forgetful() -> ReceiverKind {
    let urls = vec![Secret::new("http://127.0.0.1:9".into())];
    ReceiverKind::Alertmanager { urls, bearer_token: None, resend: 3_600_000 }
}

struct World {
    outbox: Outbox,
    receivers: Vec<Receiver>,
    alerts: BTreeMap<u32, Alert>,
    muted: BTreeSet<String>,
    /// How the incidents begin of alerts that ever were: a page that may have arrived before is sent again after.
    ever_muted: BTreeSet<String>,
    now: Millis,
    flying: Vec<Notification>,
    contents: BTreeMap<String, Notification>,
    taken: BTreeMap<String, Taken>,
    saved: String,
    /// What the engine said since: after a crash it says so again.
    since: Vec<Change>,
    /// Nothing is refused and the clock goes right: then nobody is told anything twice.
    calm: bool,
    /// Alerts belong to incidents.
    together: bool,
    /// Incident of an alert → the one that it belongs to.
    part_of: BTreeMap<String, String>,
}

impl World {
    fn new(calm: bool, together: bool) -> World {
        let rate = |count| Some(crate::receiver::Rate { count, per: MINUTE });
        let receivers = vec![
            Receiver { rate_limit: rate(3), ..receiver("a") },
            Receiver { group_wait: Some(0), ..receiver("b") },
            // It forgets: it is told again at intervals, and may hear anything twice.
            Receiver { group_wait: Some(0), ..Receiver::new(FORGETS, forgetful()) },
        ];
        let outbox = Outbox::new(&receivers, &rules(), 1);
        let saved = serde_json::to_string(outbox.state()).unwrap();
        let (alerts, contents, taken) = Default::default();
        World {
            outbox,
            receivers,
            alerts,
            muted: BTreeSet::new(),
            ever_muted: BTreeSet::new(),
            now: T,
            flying: Vec::new(),
            contents,
            taken,
            saved,
            since: Vec::new(),
            calm,
            together,
            part_of: BTreeMap::new(),
        }
    }

    fn save(&mut self) {
        self.saved = serde_json::to_string(self.outbox.state()).unwrap();
        self.since.clear();
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Push(n, kind, late) => {
                if let Some(change) = engine(&mut self.alerts, n, kind, (late, self.together)) {
                    if let Some(envelope) = &change.alert.envelope {
                        self.part_of.insert(change.alert.incident.clone(), envelope.id.clone());
                    }
                    self.since.push(change.clone());
                    self.outbox.push(change, self.now);
                }
            }
            Act::Wait(wait) => self.now += wait,
            Act::Set(by) => self.now += if self.calm { 0 } else { by },
            Act::Answer(n, answer) if !self.flying.is_empty() => {
                let notification = self.flying.remove(usize::from(n) % self.flying.len());
                self.answer(&notification, answer);
            }
            Act::Answer(..) => {}
            Act::Save => self.save(),
            Act::Crash(taken) => {
                for notification in std::mem::take(&mut self.flying).iter().filter(|_| taken) {
                    self.taken(notification);
                }
                let state = serde_json::from_str(&self.saved).unwrap();
                self.outbox = Outbox::restored(state, &self.receivers, &rules(), self.now);
                self.outbox.set_muted(self.muted.clone());
                for change in &self.since {
                    self.outbox.push(change.clone(), self.now);
                }
            }
            Act::Reload => self.outbox.reconfigure(&self.receivers, &rules(), self.now),
            Act::CatchingUp(catching_up) => self.outbox.set_catching_up(catching_up),
            Act::Mute(bits) => {
                let muted: Vec<u32> = (0..6).filter(|n| bits & (1 << n) != 0).collect();
                self.muted = muted.iter().map(|n| format!("{n:016x}")).collect();
                self.ever_muted.extend(muted.iter().map(|n| format!("{n:04x}-")));
                self.outbox.set_muted(self.muted.clone());
            }
        }
    }

    fn taken(&mut self, notification: &Notification) {
        self.taken.entry(notification.receiver.clone()).or_default().take(notification, self.now);
    }

    fn answer(&mut self, notification: &Notification, answer: Answer) {
        if matches!(answer, Answer::Sent | Answer::Unheard) {
            self.taken(notification);
        }
        let retry = |after, may_have_arrived| Outcome::Retry { after, why: "503".into(), may_have_arrived };
        let outcome = match answer {
            Answer::Sent => Outcome::Sent,
            Answer::Unheard | Answer::Unclear => retry(None, true),
            Answer::Busy(after) => retry(after, false),
            Answer::Refused if self.calm => retry(None, false),
            Answer::Refused => Outcome::Failed { why: "404".into() },
        };
        self.outbox.done(notification.id, &outcome, self.now);
    }

    /// Sends what is due, saved before.
    fn send(&mut self) -> Result<(), TestCaseError> {
        let due = self.outbox.due(self.now);
        if !due.is_empty() {
            self.save();
        }
        for notification in due {
            let receiver = &notification.receiver;
            prop_assert!(self.flying.iter().all(|f| f.receiver != *receiver), "two in flight");
            prop_assert!(!notification.items.is_empty());
            let known = self.contents.get(&notification.key);
            if let Some(known) = known {
                prop_assert_eq!(&known.items, &notification.items, "one key, two contents");
                prop_assert_eq!((&known.subject, known.totals), (&notification.subject, notification.totals));
            } else if notification.subject == Subject::Standing {
                // What has come back is not told yet: its former end is told again.
                prop_assert_eq!(receiver.as_str(), FORGETS);
                for item in notification.items.iter().filter(|item| item.news.is_firing()) {
                    let now = &self.alerts[&number(&item.alert)];
                    prop_assert_eq!(now.state, AlertState::Firing, "it does not fire");
                    prop_assert_eq!(&item.alert.incident, &now.incident);
                }
            } else if notification.totals.is_none() {
                for item in &notification.items {
                    let now = &self.alerts[&number(&item.alert)];
                    prop_assert_eq!(
                        item.news.is_firing(),
                        now.state == AlertState::Firing,
                        "not what it is now"
                    );
                    prop_assert_eq!(&item.alert.incident, &now.incident);
                    let is_muted = self.muted.contains(&item.alert.fingerprint);
                    prop_assert!(!(is_muted && item.news.is_firing()), "told while muted");
                }
            }
            self.contents.insert(notification.key.clone(), notification.clone());
            self.flying.push(notification);
        }
        prop_assert!(self.outbox.pending() <= CAP);
        Ok(())
    }

    fn is_open(&self, alert: &Alert) -> bool {
        let id = |alert: &Alert| alert.envelope.as_ref().map(|envelope| envelope.id.clone());
        let mut firing = self.alerts.values().filter(|other| other.state == AlertState::Firing);
        alert.envelope.is_some() && firing.any(|other| id(other) == id(alert))
    }

    /// When everything has been answered for long enough.
    fn check(&self) -> Result<(), TestCaseError> {
        let given_up = self.outbox.counters().deliveries_dropped > 0;
        for receiver in &self.receivers {
            let nothing = Taken::default();
            let taken = self.taken.get(&receiver.name).unwrap_or(&nothing);
            if self.calm && receiver.name != FORGETS {
                let excused = |said: &&String| self.ever_muted.iter().any(|alert| said.starts_with(alert));
                let twice: Vec<&String> = taken.twice.iter().filter(|said| !excused(said)).collect();
                prop_assert!(twice.is_empty(), "{}: said twice: {twice:?}", receiver.name);
            }
            if given_up {
                continue;
            }
            for (n, alert) in &self.alerts {
                let fires = alert.state == AlertState::Firing;
                let last = taken.last.get(&alert.fingerprint);
                // The end waits for the others of its incident.
                let waits = !fires && self.is_open(alert);
                let is_right = last == Some(&fires) || last.is_none() && !fires || waits;
                prop_assert!(is_right, "{n}: the last word is wrong");
            }
            let all: u32 =
                self.alerts.values().map(|alert| alert.incident[5..].parse::<u32>().unwrap() - 1).sum();
            let joined = |(alert, id): &(&String, &String)| {
                taken.together.contains(*id) && !taken.incidents.contains_key(*alert)
            };
            let joined = self.part_of.iter().filter(joined).count();
            let told = (taken.incidents.len() + joined) as u64 + taken.summed_up;
            prop_assert!(told >= u64::from(all), "{}: {told} of {all} incidents", receiver.name);
        }
        Ok(())
    }
}

fn number(alert: &Alert) -> u32 {
    u32::from_str_radix(&alert.fingerprint, 16).unwrap()
}

proptest! {
    #[test]
    fn whatever_happens(acts in acts(), calm in any::<bool>(), together in any::<bool>()) {
        let mut world = World::new(calm, together);
        let end = [Act::CatchingUp(false), Act::Mute(0)].into_iter();
        let end = end.chain((0..400).flat_map(|_| [Act::Wait(2 * MINUTE), Act::Answer(0, super::whatever_tests::Answer::Sent)]));
        for act in acts.iter().copied().chain(end) {
            world.act(act);
            world.send()?;
        }
        world.check()?;
    }
}
