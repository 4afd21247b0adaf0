//! The driver of a running host's logs. One thread owns all state: it takes what the files' thread sends, counts it, closes
//! steps as time passes, and hands what is due to the courier.

mod beats;
pub mod files;
mod health;
mod heartbeat;
mod hush;
mod keeper;
mod live;
pub mod memory;
mod notices;
mod past;
mod rebuild;
mod view;

use crate::clock::Steady;
use crate::config::Config;
use crate::control::{Desk, Doors};
use crate::delivery::outbox::{self, Outbox};
use crate::delivery::{Courier, Done};
use crate::inputs::file::{self, Beginning, Files, Message, Sender};
use crate::inputs::streams::Streams;
use crate::message::About;
use crate::mute::Mutes;
use crate::notification::{Notification, Outcome};
use crate::notifiers;
use crate::service::Service;
use crate::settings::Live;
use crate::state::cadence::Changed;
use crate::state::lock::Lock;
use crate::state::{AgentState, Counters, Snapshot, Store};
use files::LiveFiles;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Change, ChangeKind, State};
use gatewatch_rules::engine::Engine;
use gatewatch_rules::series::Plan;
use health::Health;
use heartbeat::Heartbeat;
use hush::Promised;
use keeper::Keeper;
use memory::Memory;
use notices::Notices;
use past::Past;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use view::Answers;

/// Series held at most.
const SERIES: usize = 2_000;
/// So many chunks are counted in one go: a backlog must not keep it from closing steps and from hearing signals.
const BURST: u64 = 32;
/// How long it waits for something to happen, at most.
const TICK: Duration = Duration::from_millis(100);
/// What a snapshot gets to be written, at the end.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// What deliveries under way get at the end.
const GRACE: Duration = Duration::from_secs(3);
/// What sockets' threads get at the end, to hand on what they have received.
const DRAIN: Duration = Duration::from_secs(1);
/// Older than this when found, an alert was detected late.
const LATE: Millis = 10 * 60_000;

/// What the world tells a running agent.
#[derive(Clone, Default)]
pub struct Signals {
    /// End soon.
    pub stop: Arc<AtomicBool>,
    /// Read the configuration again.
    pub reload: Arc<AtomicBool>,
}

/// Where the configuration comes from: read at the start, and again at a reload. The error is text for people.
pub type Load<'a> = dyn Fn() -> Result<Live, String> + 'a;

/// Runs until it is told to stop. `lock` is of its state directory; if that could not be had, it is tried again before
/// each snapshot.
///
/// # Errors
/// A thread could not be started, or a newer program's snapshot is in the way.
pub fn run(live: Live, lock: Lock, load: &Load<'_>, signals: &Signals) -> io::Result<()> {
    let mut service = Service::of_environment();
    let mut agent = Agent::start(live, lock)?;
    while !signals.stop.load(Ordering::Relaxed) {
        agent.turn();
        service.turned(Instant::now(), agent.files.all_placed().then_some(|| agent.status()));
        if signals.reload.swap(false, Ordering::Relaxed) {
            service.reloading();
            match load() {
                Ok(live) => agent.reload(live),
                Err(problems) => {
                    agent.refused = Some(agent.clock.now());
                    agent
                        .notices
                        .say(&format!("{problems}\nthe configuration is refused: the old one stays"));
                }
            }
            service.reloaded();
        }
    }
    service.stopping();
    agent.stop();
    Ok(())
}

struct Agent {
    config: Config,
    engine: Engine,
    files: LiveFiles,
    /// What is known and not told; what passes goes to the outbox.
    mutes: Mutes,
    /// Who has ordered something, and is answered once that is durable.
    promised: Promised,
    outbox: Outbox,
    about: About,
    thread: Files,
    streams: Streams,
    messages: Receiver<Message>,
    /// Until the end.
    courier: Option<Courier>,
    outcomes: Receiver<Done>,
    keeper: Keeper,
    state_rebuilt: u64,
    /// While counts are rebuilt: fingerprint → what fires by the logs of the past.
    replayed: Option<BTreeMap<String, Change>>,
    notices: Notices,
    health: Health,
    heartbeat: Heartbeat,
    clock: Steady,
    /// There, but while it is being answered at.
    desk: Option<Desk>,
    answers: Answers,
    started: Millis,
    /// When a configuration was refused; `None`: the last one was taken.
    refused: Option<Millis>,
    /// What reads are to be counted by, once the files' thread has taken over.
    next: Option<Live>,
}

impl Agent {
    fn start(live: Live, lock: Lock) -> io::Result<Agent> {
        let clock = Steady::start();
        let mut notices = Notices::default();
        let mut store = Store::new(lock.folder()).locked(lock);
        let found = store.load(clock.now()).map_err(io::Error::other)?;
        let past = Past::of(found, &live, clock.now());
        past.said.iter().for_each(|text| notices.say(text));
        let (sender, messages) = Sender::new();
        let beginning =
            Beginning { inputs: live.inputs.clone(), restore: past.restore(), max_open: file::max_open() };
        let mut streams = Streams::new(sender.clone(), Arc::new(move || clock.now()));
        let thread = file::start(beginning, sender, move || clock.now())?;
        let doors =
            Doors { state_dir: live.config.agent.state_dir.clone(), listen: live.config.agent.listen };
        let desk = Desk::open(doors, clock)?;
        let (wanted, counted) = live.streams(&mut streams);
        let (done, outcomes) = std::sync::mpsc::channel();
        let courier = Courier::start(move |outcome| drop(done.send(outcome)))?;
        let (zone, log_file) = (live.zone(), live.log_file());
        let Live { config, settings, .. } = live;
        let outbox = outbox_of(past.outbox, &config, clock.now());
        let mut files = LiveFiles::new(settings, past.plan, config.agent.step, config.agent.lateness);
        let memory = Memory::of(past.files, past.counters.gone);
        files.remember(memory, past.scanned.unwrap_or_default(), past.cursors);
        files.set_streams(counted);
        streams.reconfigure(wanted, files.cursors());
        let mutes = Mutes::restored(past.mutes, &config.rules, &config.maintenance);
        let mut health = Health::resume(outbox.open_alerts().chain(mutes.state().held()));
        health.take_rules(&config.rules);
        let mut agent = Agent {
            keeper: Keeper::start(store, past.durable, config.agent.step)?,
            state_rebuilt: past.counters.state_rebuilt,
            replayed: past.is_rebuilt.then(BTreeMap::new),
            engine: past.engine,
            files,
            mutes,
            promised: Promised::default(),
            outbox,
            about: About { zone, node: config.agent.node.clone(), log_file },
            thread,
            streams,
            messages,
            courier: Some(courier),
            outcomes,
            notices,
            health,
            heartbeat: Heartbeat::default(),
            clock,
            desk: Some(desk),
            answers: Answers::of(past.counters.told),
            started: clock.now(),
            refused: None,
            config,
            next: None,
        };
        agent.take_over(past.changes, clock.now());
        Ok(agent)
    }

    /// Waits for something to happen, and does what has become due.
    fn turn(&mut self) {
        match self.messages.recv_timeout(TICK) {
            Ok(message) => {
                self.take(message);
                // What else is there already, so that a burst costs one look at the clock.
                while let Ok(message) = self.messages.try_recv() {
                    self.take(message);
                    if self.files.counted() >= BURST {
                        break;
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
        }
        self.files.flush(&mut self.engine);
        let now = self.clock.now();
        let behind = self.files.were_behind();
        if let Some(watermark) = self.files.watermark(now) {
            let mut changes = self.engine.advance(watermark);
            for change in &mut changes {
                change.alert.detected_late =
                    behind && change.kind == ChangeKind::Firing && now.saturating_sub(change.at) > LATE;
            }
            self.tell(changes, now);
        }
        self.notices.files(&mut self.files, now);
        let changes = self.health.judge(now, self.files.observed(now));
        self.tell(changes, now);
        self.deliver(now);
        self.beat(now);
        if self.files.take_changed() {
            self.keeper.change(Changed::Something);
        }
        if self.keeper.is_due(now) {
            let held = if self.keeper.may_tell() { Vec::new() } else { self.due(now) };
            self.save(held, now);
        }
        self.obey(now);
        self.answer(now);
    }

    fn take(&mut self, message: Message) {
        if matches!(message.what, file::Happening::Reconfigured)
            && let Some(live) = self.next.take()
        {
            self.files.reconfigure(live.settings);
        }
        self.notices.happening(&message);
        self.health.happening(&message.what);
        self.files.take(message, &mut self.engine);
    }

    fn tell(&mut self, changes: Vec<Change>, now: Millis) {
        let changes = self.without_the_past(changes);
        self.outbox.set_catching_up(self.files.catching_up());
        if !changes.is_empty() {
            self.keeper.change(Changed::Alert);
        }
        for change in self.unmuted(changes, now) {
            if self.config.receivers.is_empty() {
                self.notices.change(&change);
            }
            self.outbox.push(change, now);
        }
    }

    /// While counts are rebuilt, only what still fires at the logs' end is news.
    fn without_the_past(&mut self, changes: Vec<Change>) -> Vec<Change> {
        let Some(replayed) = &mut self.replayed else { return changes };
        for mut change in changes {
            let known = replayed.remove(&change.alert.fingerprint);
            if change.kind != ChangeKind::Resolved {
                change.alert.detected_late = true;
                change.kind = known.map_or(change.kind, |known| known.kind);
                replayed.insert(change.alert.fingerprint.clone(), change);
            }
        }
        if !self.files.has_caught_up() {
            return Vec::new();
        }
        self.replayed.take().map(|replayed| replayed.into_values().collect()).unwrap_or_default()
    }

    /// What is to be sent now, with the figures of now.
    fn due(&mut self, now: Millis) -> Vec<Notification> {
        let stale: Vec<String> = self.outbox.may_be_stale(now).into_iter().map(str::to_owned).collect();
        for alert in stale.iter().filter_map(|fingerprint| self.engine.alert(fingerprint)) {
            self.outbox.refresh(&alert);
        }
        self.outbox.due(now)
    }

    /// Hands on what is due and durable, and learns what became of what was handed on.
    fn deliver(&mut self, now: Millis) {
        while let Ok(done) = self.outcomes.try_recv() {
            self.done(&done, now);
        }
        let mut ready = self.keeper.hear(now, Duration::ZERO, &mut self.notices);
        if self.keeper.may_tell() {
            ready.extend(self.due(now));
        }
        ready.into_iter().for_each(|notification| self.send(notification, now));
    }

    fn done(&mut self, done: &Done, now: Millis) {
        if done.id == 0 {
            return self.beaten(done, now);
        }
        self.notices.outcome(done);
        self.answers.outcome(done, now);
        self.outbox.done(done.id, &done.outcome, now);
        self.keeper.change(Changed::Something);
    }

    fn send(&mut self, notification: Notification, now: Millis) {
        let receiver = self.config.receivers.iter().find(|r| r.name == notification.receiver);
        let rendered = match receiver {
            Some(receiver) => notifiers::render(&notification, receiver, &self.about),
            None => Err("no such receiver any more".to_owned()),
        };
        let (id, receiver) = (notification.id, notification.receiver);
        let refused = match (rendered, &self.courier) {
            (Ok(delivery), Some(courier)) => courier.send(delivery).err(),
            // It goes out after the next start.
            (Ok(_), None) => None,
            (Err(why), _) => Some(Done { id, receiver, outcome: Outcome::Failed { why } }),
        };
        if let Some(done) = refused {
            self.done(&done, now);
        }
    }

    /// Takes another configuration; what did not change goes on as if nothing had happened.
    fn reload(&mut self, live: Live) {
        let now = self.clock.now();
        let agent = &live.config.agent;
        let now_set = &self.config.agent;
        if (agent.step, agent.lateness, &agent.state_dir, agent.listen)
            != (now_set.step, now_set.lateness, &now_set.state_dir, now_set.listen)
        {
            self.notices.say("step, lateness, state_dir and listen change at the next start");
        }
        self.files.flush(&mut self.engine);
        let plan = Arc::new(Plan::new(&live.config.rules, &[]));
        let changes = self.engine.reload(live.config.rules.clone(), Arc::clone(&plan));
        self.files.set_plan(plan);
        self.mutes.reconfigure(&live.config.rules, &live.config.maintenance);
        self.tell(changes, now);
        self.outbox.reconfigure(&live.config.receivers, &live.config.rules, now);
        self.health.take_rules(&live.config.rules);
        self.thread.reconfigure(live.inputs.clone());
        let (wanted, counted) = live.streams(&mut self.streams);
        self.files.set_streams(counted);
        self.streams.reconfigure(wanted, self.files.cursors());
        (self.about.zone, self.about.log_file) = (live.zone(), live.log_file());
        self.refused = None;
        self.config = live.config.clone();
        self.next = Some(live);
        self.keeper.change(Changed::Something);
        self.notices.say("configuration reloaded");
    }

    /// How it is, in a line.
    fn status(&self) -> String {
        let open = self.engine.alerts().iter().filter(|alert| alert.state != State::Pending).count();
        let (files, firing) = (self.files.count(), open + self.health.firing());
        let s = |n: usize| if n == 1 { "" } else { "s" };
        format!("following {files} file{}, {firing} alert{} firing", s(files), s(firing))
    }

    /// Takes a snapshot. `held` tells of changes that no snapshot has held yet, and waits for it.
    fn save(&mut self, held: Vec<Notification>, now: Millis) {
        let mut snapshot = Snapshot {
            agent: AgentState {
                program: env!("CARGO_PKG_VERSION").to_owned(),
                node: self.config.agent.node.clone(),
                step: self.config.agent.step,
                saved: now,
            },
            files: self.files.states(),
            inputs: self.files.scanned().to_vec(),
            cursors: self.files.cursors().clone(),
            engine: self.engine.state(),
            outbox: self.outbox.state(),
            mutes: self.mutes.state(),
            counters: Counters {
                gone: self.files.gone(),
                state_rebuilt: self.state_rebuilt,
                told: self.answers.of_these(&self.config.receivers),
            },
        };
        if let Err(flaw) = self.keeper.save(&mut snapshot, held, now, &mut self.notices) {
            self.notices.snapshot(Err(io::Error::other(flaw)));
        }
    }

    /// What sockets have received cannot be read again: it is counted before the end, in a bounded time.
    fn drain(&mut self) {
        self.streams.stop();
        let end = Instant::now() + DRAIN;
        let mut over = false;
        while !over && Instant::now() < end {
            over = self.streams.is_ended();
            while let Ok(message) = self.messages.recv_timeout(DRAIN / 100) {
                self.take(message);
            }
        }
        self.files.flush(&mut self.engine);
    }

    /// Ends: what is still to be told is made durable first, deliveries under way get a little time, and the snapshot after
    /// them is the last word.
    fn stop(mut self) {
        self.thread.stop();
        self.drain();
        let now = self.clock.now();
        self.files.finish_streams(now, &mut self.engine);
        self.files.flush(&mut self.engine);
        let mut ready = self.keeper.hear(now, LAST_WRITE, &mut self.notices);
        if !self.keeper.may_tell() && !self.keeper.is_writing() {
            let held = self.due(now);
            self.save(held, now);
            ready.extend(self.keeper.hear(now, LAST_WRITE, &mut self.notices));
        }
        ready.into_iter().for_each(|notification| self.send(notification, now));
        self.deliver(now);
        if let Some(courier) = self.courier.take() {
            courier.stop(GRACE);
        }
        let now = self.clock.now();
        while let Ok(done) = self.outcomes.try_recv() {
            self.done(&done, now);
        }
        self.keeper.hear(now, LAST_WRITE, &mut self.notices);
        if !self.keeper.is_writing() {
            self.save(Vec::new(), now);
            self.keeper.hear(now, LAST_WRITE, &mut self.notices);
        }
        drop(self.messages);
        self.keeper.stop();
        let _ = self.thread.join();
    }
}

fn outbox_of(state: Option<outbox::State>, config: &Config, now: Millis) -> Outbox {
    let Config { receivers, rules, .. } = config;
    match state {
        Some(state) => Outbox::restored(state, receivers, rules, now),
        // Differs between hosts and starts, so that retries do not come together.
        None => Outbox::new(receivers, rules, RandomState::new().hash_one(&config.agent.node)),
    }
}
