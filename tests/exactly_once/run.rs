//! Actions on the world and the system, and the oracle.

use crate::actions::{Action, STREAMS, Step};
use crate::disk::Disk;
use crate::system::{Account, System, in_one_go};
use crate::world::World;
use gatewatch::notification::{Notification, Outcome};
use gatewatch::tail::Design;
use gatewatch_parsers::Millis;
use gatewatch_rules::alert::Labels;
use std::collections::BTreeMap;

/// What is put back that is known to be wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wrong {
    /// Counts and positions are saved apart, at different instants.
    pub two_files: bool,
    pub design: Design,
    /// Not wrong: no line is written after the last action, so that no new one tells where the writer is.
    pub quiet: bool,
}

/// Who is told.
#[derive(Default)]
struct Sink {
    blocked: bool,
    /// Idempotency key → content.
    told: BTreeMap<String, String>,
    /// An alert, by rule, labels and beginning → whether it was told to be over, last.
    over: BTreeMap<(String, Labels, Millis), bool>,
    complaint: Option<String>,
}

impl Sink {
    fn take(&mut self, notification: &Notification) -> Outcome {
        if self.blocked {
            return Outcome::Retry { after: None, why: "blocked".into(), may_have_arrived: false };
        }
        // What changes from try to try is no content: when it was put together.
        let content = format!("{:?}", notification.items);
        let known = self.told.entry(notification.key.clone()).or_insert_with(|| content.clone());
        if *known != content {
            self.complaint = Some(format!("key {}: {known}, then {content}", notification.key));
        }
        for item in &notification.items {
            let alert = &item.alert;
            let which = (alert.rule.clone(), alert.labels.clone(), alert.started);
            self.over.insert(which, !item.news.is_firing());
        }
        Outcome::Sent
    }
}

pub struct Run {
    world: World,
    system: Option<System>,
    disk: Disk,
    sink: Sink,
    wrong: Wrong,
}

impl Run {
    pub fn new(wrong: Wrong) -> Run {
        let world = World::new();
        let disk = Disk::new();
        let mut run = Run { system: None, world, disk, sink: Sink::default(), wrong };
        run.start();
        // Logs that were never seen have no rotated ones that anybody knows of.
        run.act(&Action::Poll(0));
        run.act(&Action::Save);
        run
    }

    fn start(&mut self) {
        let now = self.world.now;
        let found = if self.wrong.two_files { self.disk.load_apart(now) } else { self.disk.load(now) };
        self.system = Some(System::start(&self.world.logs(), found, self.wrong.design, now));
    }

    fn die(&mut self) {
        self.system = None;
        self.world.let_go();
    }

    /// A snapshot, and what waited for it.
    fn save(&mut self, step: Step) {
        let now = self.world.now;
        let Some(system) = &mut self.system else { return };
        let held = system.due(now);
        self.disk.save(&system.save(now), system.account(), step);
        // Where nothing can be written, nothing can be waited for.
        if step == Step::Renamed {
            for notification in held {
                let outcome = self.sink.take(&notification);
                system.told(notification.id, &outcome, now);
            }
        } else if step == Step::Told {
            for notification in held {
                self.sink.take(&notification);
            }
        }
    }

    pub fn act(&mut self, action: &Action) {
        self.files(action);
        match action {
            Action::Poll(ms) => {
                self.world.now += ms;
                if let Some(system) = &mut self.system {
                    system.poll(self.world.now);
                    self.world.looked();
                }
            }
            Action::Start if self.system.is_none() => self.start(),
            Action::CorruptNewest(at) if self.system.is_none() => {
                self.disk.corrupt(*at);
                self.world.forgot(self.disk.ledger().unwrap_or(&BTreeMap::new()));
            }
            Action::RestoreOldSnapshot(back) if self.system.is_none() => {
                self.disk.restore(*back);
                // What was told since is told again: of that no snapshot knows.
                self.world.disorder = true;
                self.sink.told.clear();
                self.world.forgot(self.disk.ledger().unwrap_or(&BTreeMap::new()));
            }
            Action::FillDisk => self.disk.fill(true),
            Action::FreeDisk => self.disk.fill(false),
            Action::BlockSink => self.sink.blocked = true,
            Action::UnblockSink => self.sink.blocked = false,
            Action::Kill => self.die(),
            Action::Save => self.save(Step::Renamed),
            Action::Crash(step) => {
                self.save(*step);
                self.die();
            }
            Action::Stop => {
                self.save(Step::Renamed);
                self.save(Step::Renamed);
                self.die();
            }
            _ => self.agent(action),
        }
        match &self.system {
            Some(system) => self.world.settle(system.ledger()),
            None => self.world.settle(self.disk.ledger().unwrap_or(&BTreeMap::new())),
        }
    }

    fn agent(&mut self, action: &Action) {
        let Some(system) = &mut self.system else { return };
        match action {
            Action::Glance => {
                self.world.now += 1;
                system.glance(self.world.now);
            }
            Action::Look(ms) => {
                self.world.now += ms;
                system.glance(self.world.now);
            }
            Action::Hint => system.hint(),
            Action::Reload => system.reload(self.world.now),
            _ => {}
        }
    }

    fn files(&mut self, action: &Action) {
        let world = &mut self.world;
        let none = BTreeMap::new();
        let durable = self.disk.ledger().unwrap_or(&none);
        match action {
            Action::Append(s, n) => world.append(*s, *n, false),
            Action::AppendLong(s, n) => world.append(*s, *n, true),
            Action::AppendPartial(s, n) => world.partial(*s, *n),
            Action::FinishPartial(s) => world.finish_partial(*s),
            Action::Abandon(s) => world.abandon(*s),
            Action::AppendHuge(s) => world.huge(*s),
            Action::Hole(s) => world.hole(*s),
            Action::Rotate(s) => world.rotate(*s, false),
            Action::RotateCreate(s) => world.rotate(*s, true),
            Action::Reopen(s) => world.reopen(*s),
            Action::Copy(s) => world.copy(*s, durable),
            Action::Truncate(s, refill) => world.truncate(*s, *refill),
            Action::Delete(s) => world.delete(*s),
            Action::Recreate(s) => world.recreate(*s),
            Action::Replace(s, n) => world.replace(*s, *n, durable),
            Action::Compress(s, n) => world.compress(*s, *n),
            Action::HardLink(s) => world.hard_link(*s),
            Action::Unlink(s) => world.unlink(*s),
            Action::SymlinkSwap { back } => world.swap_link(*back),
            Action::Chmod(s) => world.chmod(*s),
            Action::RenameDirectory => world.rename_directory(),
            Action::SetClock(seconds) => world.set_clock(*seconds),
            _ => {}
        }
    }

    /// Everything comes to rest, and is looked at.
    pub fn finish(mut self) -> Result<(), String> {
        self.act(&Action::FreeDisk);
        self.act(&Action::UnblockSink);
        if self.system.is_none() {
            self.act(&Action::Start);
        }
        self.world.allow_all();
        for s in 0..STREAMS {
            self.act(&Action::Reopen(s));
            if !self.wrong.quiet {
                self.act(&Action::Append(s, 1));
            }
        }
        for wait in [1_500, 1_500, 40_000, 40_000, 700_000, 700_000] {
            self.act(&Action::Poll(wait));
            self.act(&Action::Save);
            self.act(&Action::Save);
        }
        self.lines()?;
        self.losses()?;
        self.counts()?;
        self.alerts()
    }

    /// Each line once.
    fn lines(&self) -> Result<(), String> {
        let Some(system) = &self.system else { return Err("not running".into()) };
        let ledger = system.ledger();
        for (number, line) in self.world.lines.iter().enumerate() {
            match (ledger.get(&number).copied().unwrap_or(0), line.whole) {
                (0, true) if !line.may_be_missing => return Err(format!("lost: line {number}")),
                (1.., false) => return Err(format!("never whole: line {number}")),
                (2.., _) if !line.may_come_twice => return Err(format!("twice: line {number}")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Said to be lost is what may be, and nothing is lost in silence that anybody could know of.
    fn losses(&self) -> Result<(), String> {
        let Some(system) = &self.system else { return Ok(()) };
        let Account { lines, flagged } = system.account();
        if let Some(name) = flagged.iter().find(|name| !self.world.may_be_flagged(name)) {
            return Err(format!("said to be lost, though nothing was: {name}"));
        }
        match self.world.lost_noticeably(lines) {
            Some((number, name)) if !flagged.iter().any(|flag| flag.ends_with(&name)) => {
                Err(format!("lost in silence: line {number} of {name}"))
            }
            _ => Ok(()),
        }
    }

    /// Totals and incidents are those of the same lines read in one go.
    fn counts(&self) -> Result<(), String> {
        let Some(system) = &self.system else { return Ok(()) };
        let counted: String =
            system.ledger().keys().map(|number| self.world.lines[*number].text.as_str()).collect();
        let (engine, incidents) = in_one_go(&counted, self.world.now + self.world.skew);
        let (is, should) = (system.engine().totals(), engine.totals());
        let twice = system.ledger().values().any(|count| *count > 1);
        if !twice && is.status != should.status {
            return Err(format!("totals are {is:?}, not {should:?}"));
        }
        if self.world.disorder || twice {
            return Ok(());
        }
        if (is.late, is.future) != (0, 0) {
            return Err(format!("late or future: {is:?}"));
        }
        if system.engine().incidents() != incidents {
            return Err(format!("incidents are {:#?}, not {incidents:#?}", system.engine().incidents()));
        }
        Ok(())
    }

    /// Every incident was told, and told to be over.
    fn alerts(&self) -> Result<(), String> {
        let Some(system) = &self.system else { return Ok(()) };
        if let Some(complaint) = &self.sink.complaint {
            return Err(format!("one key, two contents: {complaint}"));
        }
        if self.world.disorder {
            // Old by the wall clock, or in its future: told late, in a summary, or not yet over.
            return Ok(());
        }
        for incident in system.engine().incidents() {
            let Some(_fired) = incident.fired else { continue };
            let which = (incident.rule.clone(), incident.labels.clone(), incident.started);
            match self.sink.over.get(&which) {
                None => return Err(format!("not told: {which:?}, but {:?}", self.sink.over)),
                Some(false) => return Err(format!("not told to be over: {which:?}")),
                Some(true) => {}
            }
        }
        Ok(())
    }
}
