//! How good are the presets? Labelled traffic of hosts and fleets, with faults whose place and time are known, goes through
//! the engine; what it says is held against what was wrong.
//!
//! `cargo run --release -p gatewatch-rules --example eval -- [--seeds A-B] [--group-days N] [--loads A,B] [--threads N]
//! [--presets FILE] [--list]`. `make eval` writes what it prints to `rules/EVALUATION.md`.

mod faults;
mod intervals;
mod parameters;
mod presets;
mod rng;
mod score;
mod table;
mod traffic;
mod world;

use gatewatch_rules::block::Block;
use gatewatch_rules::engine::{Engine, EngineOptions};
use gatewatch_rules::rule::Rule;
use gatewatch_rules::series::Plan;
use parameters::{DAY, EPOCH, GROUP_DAYS, Kind, LOADS, REPORTED_ON, STEP, WARM_UP, WORLDS};
use rng::Rng;
use score::Score;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use traffic::{AT_A_TIME, Traffic};
use world::World;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is run.
pub struct Setup {
    /// The presets, and then what they are held against.
    pub rules: Vec<Rule>,
    /// How many presets there are.
    pub presets: usize,
    /// Requests a minute of a group.
    pub loads: Vec<u32>,
    /// From which chance is drawn.
    pub seeds: RangeInclusive<u64>,
    /// Of each load.
    pub group_days: f64,
    threads: usize,
    /// Every fault on its own line, on stderr.
    lists: bool,
}

/// One world to simulate.
#[derive(Clone, Copy)]
struct Job {
    load: u32,
    seed: u64,
    kind: Kind,
    days: f64,
}

fn main() -> Result<(), Error> {
    let setup = setup(std::env::args().skip(1))?;
    let seeds = setup.seeds.end() - setup.seeds.start() + 1;
    let mut jobs = Vec::new();
    for &load in setup.loads.iter().rev() {
        for seed in setup.seeds.clone() {
            for (kind, part) in WORLDS {
                let (_, _, pools, servers) = kind.size();
                let days = setup.group_days * part / seeds as f64 / (pools * servers) as f64;
                jobs.push(Job { load, seed, kind, days });
            }
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(simulate(&setup, job));
        }
        done
    };
    let scores: Vec<Vec<Score>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..setup.threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut all = Score::default();
    scores.into_iter().flatten().for_each(|score| all.merge(score));
    eprintln!("{} steps of series; {} faults found no room", all.steps, all.homeless);
    if setup.lists {
        all.told.iter().for_each(|told| eprintln!("{}", table::line(&setup, told)));
    }
    println!("{}", table::report(&setup, &all).trim_end());
    Ok(())
}

fn simulate(setup: &Setup, job: &Job) -> Score {
    let plan = Arc::new(Plan::new(&setup.rules, &[]));
    let stream = |part: u64| Rng::new(&[job.seed, u64::from(job.load), job.kind as u64, part]);
    let world = World::new(job.kind, job.load, &plan, &mut stream(1));
    let until = EPOCH + WARM_UP + (job.days * DAY as f64) as i64 / STEP * STEP;
    let (faults, homeless) = faults::schedule(&world, until, &mut stream(2));
    let options = EngineOptions { step: STEP, series_cap: 2_000 };
    let mut engine = Engine::new(setup.rules.clone(), Arc::clone(&plan), options);
    let mut traffic = Traffic::new(&world, &faults, stream(3));
    let mut block = Block::default();
    let (mut at, mut changes) = (EPOCH, Vec::new());
    while at < until {
        traffic.make(at, &plan, &mut block);
        engine.absorb(&block, i64::MIN);
        at += STEP * AT_A_TIME as i64;
        changes.append(&mut engine.advance(at));
    }
    if setup.lists {
        let at = |at: i64| (at - EPOCH) as f64 / 60_000.0;
        for fault in &faults {
            eprintln!(
                "F {} {:?} {} {:.1}-{:.1} {:?} {:.2} {:?}",
                job.seed,
                job.kind,
                job.load,
                at(fault.start),
                at(fault.shown_until()),
                fault.what,
                fault.share,
                fault.place
            );
        }
        for change in &changes {
            let a = &change.alert;
            eprintln!(
                "C {} {:?} {} {:.1} {:?} {} {:?} {}/{} normal {:?} end {:?} above {:.3}",
                job.seed,
                job.kind,
                job.load,
                at(change.at),
                change.kind,
                a.rule,
                a.labels,
                a.window_errors,
                a.window_requests,
                a.normal,
                a.end,
                a.above
            );
        }
    }
    let mut score = score::score(&world, job.load, &setup.rules, &faults, &changes, until);
    score.homeless = homeless;
    score.steps = ((until - EPOCH) / STEP) as u64 * world.series.len() as u64;
    score
}

fn setup(mut words: impl Iterator<Item = String>) -> Result<Setup, Error> {
    let mut text = gatewatch_rules::presets::presets().to_owned();
    let mut setup = Setup {
        rules: Vec::new(),
        presets: 0,
        loads: LOADS.to_vec(),
        seeds: REPORTED_ON,
        group_days: GROUP_DAYS,
        threads: 2,
        lists: false,
    };
    while let Some(word) = words.next() {
        if word == "--list" {
            setup.lists = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        match word.as_str() {
            "--seeds" => {
                let (first, last) = value.split_once('-').unwrap_or((&value, &value));
                setup.seeds = first.parse()?..=last.parse()?;
            }
            "--group-days" => setup.group_days = value.parse()?,
            "--loads" => setup.loads = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--threads" => setup.threads = value.parse()?,
            "--presets" => text = std::fs::read_to_string(&value)?,
            _ => return Err(format!("{word} is not known: see the head of eval/main.rs").into()),
        }
    }
    setup.rules = presets::rules(&text)?;
    setup.presets = setup.rules.len();
    setup.rules.extend(presets::rules(include_str!("plain.toml"))?);
    Ok(setup)
}
