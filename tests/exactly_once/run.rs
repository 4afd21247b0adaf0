//! Actions on the world and the system, and the oracle.

use crate::actions::{Action, STREAMS, Step};
use crate::system::{Saved, System};
use crate::world::World;

/// What is put back that is known to be wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wrong {
    /// Counts and positions are saved apart, at different instants.
    pub two_files: bool,
}

/// The state directory: two generations, as bytes.
#[derive(Default)]
struct Disk {
    generations: [Option<Vec<u8>>; 2],
    newest: usize,
    full: bool,
}

impl Disk {
    fn save(&mut self, saved: &Saved, step: Step) {
        let bytes = serde_json::to_vec(saved).unwrap();
        // Before the rename, nothing of what is valid is touched.
        if step == Step::Renamed && !self.full {
            self.newest = 1 - self.newest;
            self.generations[self.newest] = Some(bytes);
        }
    }

    fn load(&self) -> Option<Saved> {
        let read = |at: usize| serde_json::from_slice(self.generations[at].as_ref()?).ok();
        read(self.newest).or_else(|| read(1 - self.newest))
    }

    fn corrupt(&mut self, at: u16) {
        if let Some(bytes) = &mut self.generations[self.newest] {
            bytes.truncate(usize::from(at) % bytes.len());
        }
    }
}

pub struct Run {
    world: World,
    system: Option<System>,
    disk: Disk,
    wrong: Wrong,
}

impl Run {
    pub fn new(wrong: Wrong) -> Run {
        let world = World::new();
        let mut run = Run { system: None, world, disk: Disk::default(), wrong };
        run.start();
        run
    }

    fn start(&mut self) {
        let mut saved = self.disk.load();
        if self.wrong.two_files
            && let Some(saved) = &mut saved
            && let Some(Ok(other)) = self.disk.generations[1 - self.disk.newest]
                .as_ref()
                .map(|b| serde_json::from_slice::<Saved>(b))
        {
            saved.ledger = other.ledger;
        }
        self.system = Some(System::start(&self.world.logs(), saved));
    }

    fn die(&mut self) {
        self.system = None;
        self.world.let_go();
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
            Action::Start => self.start(),
            Action::CorruptNewest(at) => self.disk.corrupt(*at),
            Action::FillDisk => self.disk.full = true,
            Action::FreeDisk => self.disk.full = false,
            Action::Kill => self.die(),
            _ => self.agent(action),
        }
        match (&self.system, self.disk.load()) {
            (Some(system), _) => self.world.settle(|n| system.ledger().contains_key(&n)),
            (None, Some(saved)) => self.world.settle(|n| saved.ledger.contains_key(&n)),
            (None, None) => self.world.settle(|_| false),
        }
    }

    fn agent(&mut self, action: &Action) {
        let Some(system) = &mut self.system else { return };
        match action {
            Action::Glance => {
                self.world.now += 1;
                system.glance(self.world.now);
            }
            Action::Hint => system.hint(),
            Action::Reload => system.reload(),
            Action::Save => self.disk.save(&system.save(), Step::Renamed),
            Action::Crash(step) => {
                self.disk.save(&system.save(), *step);
                self.die();
            }
            Action::Stop => {
                self.disk.save(&system.save(), Step::Renamed);
                self.die();
            }
            _ => {}
        }
    }

    fn files(&mut self, action: &Action) {
        let world = &mut self.world;
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
            Action::Copy(s) => world.copy(*s),
            Action::Truncate(s, refill) => world.truncate(*s, *refill),
            Action::Delete(s) => world.delete(*s),
            Action::Recreate(s) => world.recreate(*s),
            Action::Replace(s, n) => world.replace(*s, *n),
            Action::Compress(s, n) => world.compress(*s, *n),
            Action::HardLink(s) => world.hard_link(*s),
            Action::Unlink(s) => world.unlink(*s),
            Action::RenameDirectory => world.rename_directory(),
            Action::SetClock(seconds) => world.set_clock(*seconds),
            _ => {}
        }
    }

    /// Everything comes to rest, and is looked at.
    pub fn finish(mut self) -> Result<(), String> {
        self.disk.full = false;
        if self.system.is_none() {
            self.act(&Action::Start);
        }
        for s in 0..STREAMS {
            self.act(&Action::Reopen(s));
        }
        for wait in [1_500, 1_500, 40_000, 40_000, 700_000, 700_000] {
            self.act(&Action::Poll(wait));
        }
        let Some(system) = &self.system else { return Err("not running".into()) };
        let ledger = system.ledger();
        for (number, line) in self.world.lines.iter().enumerate() {
            match (ledger.get(&number).copied().unwrap_or(0), line.whole) {
                (0, true) if !line.may_be_missing => return Err(format!("lost: line {number}")),
                (1.., false) => return Err(format!("never whole: line {number}")),
                (2.., _) => return Err(format!("twice: line {number}")),
                _ => {}
            }
        }
        Ok(())
    }
}
