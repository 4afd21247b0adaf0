//! A world's traffic as counts, five minutes at a time. Requests are independent, so what becomes of them are independent
//! Poisson variables: nothing is rounded and no line is made.

use crate::faults::{Fault, What};
use crate::parameters::{DAY, EPOCH, HOUR, IMPATIENT, LEAVING, STEP, SWING, WANDER};
use crate::rng::Rng;
use crate::world::{Series, World};
use gatewatch_parsers::{Cause, Millis, Outcome, Reason, Status};
use gatewatch_rules::block::{Alike, Block};
use gatewatch_rules::series::Plan;

/// So many steps are made at a time.
pub const AT_A_TIME: usize = 60;
/// A request that hangs shows so many steps later at most.
const AHEAD: usize = 12;

/// What became of the requests of one series that ended in one step.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    fine: u32,
    /// Fails now and then when nothing is wrong.
    usual: u32,
    /// Failed for the fault's reason.
    struck: u32,
    /// The client left.
    left: u32,
    /// Failed here, tried again elsewhere.
    tried: u32,
    /// Failed elsewhere, saved here.
    saved: u32,
}

/// Makes a world's traffic.
#[derive(Debug)]
pub struct Traffic<'a> {
    world: &'a World,
    faults: &'a [Fault],
    /// The first fault that is not over.
    next: usize,
    /// By series: cells of this stretch, and of the steps behind it that hang over.
    cells: Vec<Vec<Cell>>,
    wander: Vec<f64>,
    rng: Rng,
}

impl<'a> Traffic<'a> {
    /// From the world's beginning on.
    pub fn new(world: &'a World, faults: &'a [Fault], rng: Rng) -> Traffic<'a> {
        let cells = vec![vec![Cell::default(); AT_A_TIME + AHEAD]; world.series.len()];
        Traffic { world, faults, next: 0, cells, wander: vec![1.0; world.series.len()], rng }
    }

    /// Counts the stretch that begins at `from`.
    pub fn make(&mut self, from: Millis, plan: &Plan, block: &mut Block) {
        let to = from + STEP * AT_A_TIME as Millis;
        while self.faults.get(self.next).is_some_and(|fault| fault.shown_until() <= from) {
            self.next += 1;
        }
        // Two are further apart than a stretch is long.
        let active = self.faults.get(self.next).filter(|fault| fault.start < to);
        if (from - EPOCH) % HOUR == 0 {
            let groups = self.world.groups;
            let all: Vec<f64> = (0..=groups).map(|_| (WANDER * self.rng.normal()).exp()).collect();
            for (factor, series) in self.wander.iter_mut().zip(&self.world.series) {
                *factor = all.get(series.group.unwrap_or(groups)).copied().unwrap_or(1.0);
            }
        }
        for (i, series) in self.world.series.iter().enumerate() {
            let base = (series.base * self.wander.get(i).copied().unwrap_or(1.0)).min(0.9);
            let mean = series.rate * STEP as f64 * day(series.phase, from);
            let fault = active.filter(|fault| fault.series.contains(&i));
            self.make_series(i, (mean, base), fault, from);
        }
        block.clear();
        self.give(from, active.map_or(What::Refuses, |fault| fault.what), plan, block);
    }

    fn make_series(&mut self, at: usize, (mean, base): (f64, f64), fault: Option<&Fault>, from: Millis) {
        let leaving = LEAVING;
        for i in 0..AT_A_TIME {
            let start = from + STEP * i as Millis;
            let struck = fault.map_or(0.0, |fault| overlap(fault, start) * fault.share);
            let well = mean * (1.0 - struck);
            let fine = self.rng.poisson(well * (1.0 - base - leaving));
            let usual = self.rng.poisson(well * base);
            let left = self.rng.poisson(well * leaving);
            if let Some(cell) = self.cells.get_mut(at).and_then(|cells| cells.get_mut(i)) {
                (cell.fine, cell.usual, cell.left) = (cell.fine + fine, cell.usual + usual, cell.left + left);
            }
            if let Some(fault) = fault.filter(|_| struck > 0.0) {
                self.strike(at, i, fault, mean * struck);
            }
        }
    }

    /// So many requests of a step, on average, meet the fault.
    fn strike(&mut self, at: usize, step: usize, fault: &Fault, mean: f64) {
        let steps = |length: Millis| usize::try_from(length / STEP).unwrap_or(0);
        let Some(series) = self.world.series.get(at) else { return };
        if fault.impatient > 0.0 {
            let left = self.rng.poisson(mean * fault.impatient);
            self.cell(at, step + steps(IMPATIENT.2)).left += left;
        }
        let mean = mean * (1.0 - fault.impatient);
        let shown = step + steps(fault.timeout);
        if fault.masked {
            let peers: Vec<usize> = (0..)
                .zip(&self.world.series)
                .filter(|(i, s)| {
                    *i != at && s.group.is_some() && (s.node, s.pool) == (series.node, series.pool)
                })
                .map(|(i, _)| i)
                .collect();
            for &peer in &peers {
                let count = self.rng.poisson(mean / peers.len() as f64);
                self.cell(at, shown).tried += count;
                self.cell(peer, shown).saved += count;
            }
            return;
        }
        let count = self.rng.poisson(mean);
        let shown_at = if fault.shown_in.contains(&at) {
            Some(at)
        } else {
            let is_own = |i: &&usize| self.world.series.get(**i).is_some_and(|s| s.pool == series.pool);
            fault.shown_in.iter().find(is_own).copied()
        };
        if let Some(shown_at) = shown_at {
            self.cell(shown_at, shown).struck += count;
        }
    }

    /// Beyond what is kept, the last one.
    fn cell(&mut self, series: usize, step: usize) -> &mut Cell {
        let cells = &mut self.cells[series];
        let last = cells.len() - 1;
        &mut cells[step.min(last)]
    }

    /// Hands the stretch over; what hangs over it comes next.
    fn give(&mut self, from: Millis, what: What, plan: &Plan, block: &mut Block) {
        for (series, cells) in self.world.series.iter().zip(&mut self.cells) {
            let first = from.div_euclid(STEP);
            let all = (first..)
                .zip(cells.iter().take(AT_A_TIME))
                .flat_map(|(step, cell)| alike(step, series, what, *cell));
            block.add_alike(plan, &series.set, STEP, all.flatten());
            cells.copy_within(AT_A_TIME.., 0);
            cells[AHEAD..].fill(Cell::default());
        }
    }
}

/// How busy it is, as a share of the day's average.
pub fn day(phase: f64, at: Millis) -> f64 {
    let of_day = (at - EPOCH) as f64 / DAY as f64;
    1.0 + SWING * (std::f64::consts::TAU * (of_day - phase)).cos()
}

/// Which part of the step that starts then lies in the fault.
fn overlap(fault: &Fault, start: Millis) -> f64 {
    let length = (start + STEP).min(fault.end) - start.max(fault.start);
    length.max(0) as f64 / STEP as f64
}

/// A cell as requests of up to five kinds.
fn alike(step: i64, series: &Series, what: What, cell: Cell) -> [Option<Alike>; 6] {
    let has_upstream = series.labels.contains_key("upstream");
    let of = |requests: u32, code: u16, outcome: Outcome| Alike {
        step,
        requests,
        status: Status::new(code),
        outcome,
        attempts: if has_upstream { requests } else { 0 },
        failed: None,
        retried: false,
    };
    let failed = |requests: u32, (cause, code): (Cause, u16)| {
        let alike = of(requests, code, Outcome::GatewayError(cause));
        Alike { failed: has_upstream.then_some((requests, cause.reason)), ..alike }
    };
    let usual = (Cause::proxy(Reason::ConnectionTerminated), 502);
    let tried = Alike {
        attempts: cell.tried,
        failed: Some((cell.tried, what.cause().0.reason)),
        ..of(0, 200, Outcome::Fine)
    };
    let saved = Alike { retried: true, ..of(cell.saved, 200, Outcome::Fine) };
    [
        (cell.fine > 0).then(|| of(cell.fine, 200, Outcome::Fine)),
        (cell.usual > 0).then(|| failed(cell.usual, usual)),
        (cell.struck > 0).then(|| failed(cell.struck, what.cause())),
        (cell.left > 0).then(|| of(cell.left, 499, Outcome::Abandoned)),
        (cell.tried > 0).then_some(tried),
        (cell.saved > 0).then_some(saved),
    ]
}
