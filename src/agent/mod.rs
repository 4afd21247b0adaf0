//! The driver of a running host's logs. One thread owns all state: it takes what the files' thread sends, counts it, closes
//! steps as time passes, and hands what is due to the courier.

pub mod files;
mod former;
mod health;
mod live;
mod notices;

use crate::clock::Steady;
use crate::config::Config;
use crate::delivery::outbox::Outbox;
use crate::delivery::{Courier, Done};
use crate::inputs::file::{self, Beginning, Files, Message, Sender};
use crate::message::About;
use crate::notification::Outcome;
use crate::notifiers;
use crate::service::Service;
use crate::settings::Live;
use crate::state::lock::Lock;
use crate::state::{Snapshot, Store};
use files::LiveFiles;
use former::Former;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::{Change, ChangeKind, State};
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::series::Plan;
use health::Health;
use notices::Notices;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Series held at most.
const SERIES: usize = 2_000;
/// So many chunks are counted in one go: a backlog must not keep it from closing steps and from hearing signals.
const BURST: u64 = 32;
/// How long it waits for something to happen, at most.
const TICK: Duration = Duration::from_millis(100);
/// Time between snapshots.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);
/// What deliveries under way get at the end.
const GRACE: Duration = Duration::from_secs(3);
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
/// A thread could not be started.
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
    former: Former,
    files: LiveFiles,
    outbox: Outbox,
    about: About,
    thread: Files,
    messages: Receiver<Message>,
    courier: Courier,
    outcomes: Receiver<Done>,
    store: Store,
    saved: Instant,
    notices: Notices,
    health: Health,
    clock: Steady,
    /// What reads are to be counted by, once the files' thread has taken over.
    next: Option<Live>,
}

impl Agent {
    fn start(live: Live, lock: Lock) -> io::Result<Agent> {
        let clock = Steady::start();
        let mut notices = Notices::default();
        let store = Store::new(lock);
        let snapshot = store.load().unwrap_or_else(|e| {
            notices.say(&format!("the snapshot cannot be read ({e}): starting anew"));
            None
        });
        let (sender, messages) = Sender::new();
        let (positions, outbox, incidents) = match snapshot {
            Some(Snapshot { positions, inputs, outbox, incidents, .. }) => {
                (Some((positions, inputs)), Some(outbox), incidents)
            }
            None => (None, None, 0),
        };
        let known = positions.iter().flat_map(|(positions, _)| positions).cloned().collect();
        let beginning =
            Beginning { inputs: live.inputs.clone(), restore: positions, max_open: file::max_open() };
        let thread = file::start(beginning, sender, move || clock.now())?;
        let (done, outcomes) = std::sync::mpsc::channel();
        let courier = Courier::start(move |outcome| drop(done.send(outcome)))?;
        let zone = live.zone();
        let Live { config, settings, .. } = live;
        let outbox = match outbox {
            Some(state) => Outbox::restored(state, &config.receivers, &config.rules, clock.now()),
            // Differs between hosts and starts, so that retries do not come together.
            None => {
                Outbox::new(&config.receivers, &config.rules, RandomState::new().hash_one(&config.agent.node))
            }
        };
        let plan = Arc::new(Plan::new(&config.rules, &[]));
        let mut files = LiveFiles::new(settings, Arc::clone(&plan), config.agent.step, config.agent.lateness);
        files.remember(known);
        let former = Former::new(outbox.open_alerts().filter(|a| !health::is_about_inputs(a)).cloned());
        let health = Health::resume(outbox.open_alerts());
        let options = EngineOptions { step: config.agent.step, series_cap: SERIES };
        let mut engine = Engine::new(config.rules.clone(), plan, options);
        engine.resume(incidents, former.numbers());
        Ok(Agent {
            engine,
            former,
            files,
            outbox,
            about: About { zone, node: config.agent.node.clone(), log_file: None },
            thread,
            messages,
            courier,
            outcomes,
            store,
            saved: Instant::now(),
            notices,
            health,
            clock,
            config,
            next: None,
        })
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
            changes.iter().for_each(|change| self.former.heard_of(change));
            changes.append(&mut self.former.over(watermark, &self.config.rules));
            self.tell(changes, now);
        }
        self.notices.files(&mut self.files, now);
        let changes = self.health.judge(now, self.files.observed(now));
        self.tell(changes, now);
        self.deliver(now);
        if self.saved.elapsed() >= SNAPSHOT_EVERY {
            self.save();
        }
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
        self.outbox.set_catching_up(self.files.catching_up());
        for change in changes {
            if self.config.receivers.is_empty() {
                self.notices.change(&change);
            }
            self.outbox.push(change, now);
        }
    }

    /// Hands on what is due, and learns what became of what was handed on.
    fn deliver(&mut self, now: Millis) {
        while let Ok(done) = self.outcomes.try_recv() {
            self.notices.outcome(&done);
            self.outbox.done(done.id, &done.outcome, now);
        }
        self.about.log_file = self.files.only_path();
        for notification in self.outbox.due(now) {
            let receiver = self.config.receivers.iter().find(|r| r.name == notification.receiver);
            let rendered = match receiver {
                Some(receiver) => notifiers::render(&notification, receiver, &self.about),
                None => Err("no such receiver any more".to_owned()),
            };
            let refused = match rendered {
                Ok(delivery) => self.courier.send(delivery).err(),
                Err(why) => Some(Done {
                    id: notification.id,
                    receiver: notification.receiver,
                    outcome: Outcome::Failed { why },
                }),
            };
            if let Some(done) = refused {
                self.notices.outcome(&done);
                self.outbox.done(done.id, &done.outcome, now);
            }
        }
    }

    /// Takes another configuration; what did not change goes on as if nothing had happened.
    fn reload(&mut self, live: Live) {
        let now = self.clock.now();
        let agent = &live.config.agent;
        let now_set = &self.config.agent;
        if (agent.step, agent.lateness, &agent.state_dir)
            != (now_set.step, now_set.lateness, &now_set.state_dir)
        {
            self.notices.say("step, lateness and state_dir change at the next start");
        }
        self.files.flush(&mut self.engine);
        let plan = Arc::new(Plan::new(&live.config.rules, &[]));
        let changes = self.engine.reload(live.config.rules.clone(), Arc::clone(&plan));
        self.files.set_plan(plan);
        self.tell(changes, now);
        self.outbox.reconfigure(&live.config.receivers, &live.config.rules, now);
        self.thread.reconfigure(live.inputs.clone());
        self.about.zone = live.zone();
        self.config = live.config.clone();
        self.next = Some(live);
        self.notices.say("configuration reloaded");
    }

    /// How it is, in a line.
    fn status(&self) -> String {
        let open = self.engine.alerts().iter().filter(|alert| alert.state != State::Pending).count();
        let (files, firing) = (self.files.count(), open + self.health.firing());
        let s = |n: usize| if n == 1 { "" } else { "s" };
        format!("following {files} file{}, {firing} alert{} firing", s(files), s(firing))
    }

    fn save(&mut self) {
        self.saved = Instant::now();
        let snapshot = snapshot(&self.config, &self.files, &self.engine, &self.outbox);
        self.notices.snapshot(self.store.save(&snapshot));
    }

    /// Ends: deliveries under way get a little time, then the snapshot is the last word.
    fn stop(mut self) {
        self.thread.stop();
        let now = self.clock.now();
        self.deliver(now);
        self.courier.stop(GRACE);
        while let Ok(done) = self.outcomes.try_recv() {
            self.outbox.done(done.id, &done.outcome, now);
        }
        let snapshot = snapshot(&self.config, &self.files, &self.engine, &self.outbox);
        self.notices.snapshot(self.store.save(&snapshot));
        drop(self.messages);
        let _ = self.thread.join();
    }
}

fn snapshot(config: &Config, files: &LiveFiles, engine: &Engine, outbox: &Outbox) -> Snapshot {
    let inputs = config.inputs.iter().map(|i| i.name.clone()).collect();
    Snapshot::new(files.positions(), inputs, engine.number(), outbox.state().clone())
}
