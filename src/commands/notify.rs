//! `gatewatch notify test`: whether receivers take what they are sent, and how that looks.

use crate::cli::NotifyTest;
use crate::clock;
use crate::config::{self, Config};
use crate::delivery::{Courier, Done};
use crate::exit::Exit;
use crate::message::About;
use crate::notification::{Outcome, trial::trial};
use crate::notifiers::{Delivery, render};
use crate::receiver::{Receiver, ReceiverKind};
use crate::reports::text::{printable, printable_lines};
use crate::wiring::ZoneSetting;
use gatewatch_parsers::{Millis, Zone};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::mpsc;
use std::time::Duration;

/// Beyond the time that sending itself may take: a program's five minutes.
const WAIT: Duration = Duration::from_secs(330);

/// Sends it, or shows it.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn test(args: &NotifyTest, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(problems) => {
            writeln!(err, "{problems}")?;
            return Ok(Exit::Configuration);
        }
    };
    let wanted = |receiver: &&Receiver| args.name.as_ref().is_none_or(|name| *name == receiver.name);
    let receivers: Vec<&Receiver> = config.receivers.iter().filter(wanted).collect();
    if receivers.is_empty() {
        let known: Vec<&str> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        return match &args.name {
            _ if known.is_empty() => {
                writeln!(err, "gatewatch: no receiver is configured: add a [notify.KIND.NAME]")?;
                Ok(Exit::Error)
            }
            name => {
                let name = printable(name.as_deref().unwrap_or_default()).into_owned();
                writeln!(err, "gatewatch: no receiver `{name}`; known: {}", known.join(", "))?;
                Ok(Exit::Usage)
            }
        };
    }
    let (about, now) = (about(&config), clock::now());
    if args.render { show(&receivers, &about, now, out) } else { send(&receivers, &about, now, out) }
}

fn about(config: &Config) -> About {
    let host = || ZoneSetting::new(None).map_or(Zone::Fixed(0), |host| host.zone);
    let zone = config.agent.timezone.unwrap_or_else(host);
    About { zone, node: config.agent.node.clone(), log_file: None }
}

fn put(receiver: &Receiver, over: bool, about: &About, now: Millis) -> Result<Delivery, String> {
    let notification = trial(&receiver.name, over, now).map_err(|error| error.to_string())?;
    render(&notification, receiver, about)
}

fn show(receivers: &[&Receiver], about: &About, now: Millis, out: &mut impl Write) -> io::Result<Exit> {
    let mut exit = Exit::Fine;
    for (n, receiver) in receivers.iter().enumerate() {
        let gap = if n > 0 { "\n" } else { "" };
        writeln!(out, "{gap}# {} ({})", printable(&receiver.name), receiver.kind.name())?;
        match put(receiver, false, about, now) {
            Ok(delivery) => write!(out, "{}", printable_lines(&delivery.payload.shown()))?,
            Err(why) => {
                writeln!(out, "cannot be put: {}", printable(&why))?;
                exit = Exit::Error;
            }
        }
    }
    Ok(exit)
}

/// Where something stays open until its end is told.
fn stays_open(receiver: &Receiver) -> bool {
    matches!(receiver.kind, ReceiverKind::PagerDuty { .. } | ReceiverKind::Alertmanager { .. })
}

fn send(receivers: &[&Receiver], about: &About, now: Millis, out: &mut impl Write) -> io::Result<Exit> {
    let begun = exchange(receivers, false, about, now)?;
    let open = |receiver: &&&Receiver| {
        stays_open(receiver) && begun.get(&receiver.name).is_some_and(Outcome::is_sent)
    };
    let open: Vec<&Receiver> = receivers.iter().filter(open).copied().collect();
    let ended = exchange(&open, true, about, now)?;
    let mut exit = Exit::Fine;
    let width = receivers.iter().map(|receiver| receiver.name.chars().count()).max().unwrap_or(0);
    for receiver in receivers {
        let answers = [begun.get(&receiver.name), ended.get(&receiver.name)].into_iter().flatten();
        if answers.clone().count() == 0 || !answers.clone().all(Outcome::is_sent) {
            exit = Exit::Error;
        }
        let said: Vec<String> = answers.map(said).collect();
        let said = if said.is_empty() { "no answer".to_owned() } else { said.join("; its end: ") };
        let name = printable(&receiver.name).into_owned();
        writeln!(out, "{name:<width$}  {:<12}  {}", receiver.kind.name(), printable(&said))?;
    }
    Ok(exit)
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Sent | Outcome::SentAs(_) => "sent".to_owned(),
        Outcome::Retry { why, after: None, .. } => format!("not now: {why}"),
        Outcome::Retry { why, after: Some(after), .. } => {
            format!("not now, but in {}: {why}", config::print_duration(*after))
        }
        Outcome::Failed { why } => format!("refused: {why}"),
    }
}

/// What became of it, by the receiver's name.
fn exchange(
    receivers: &[&Receiver],
    over: bool,
    about: &About,
    now: Millis,
) -> io::Result<BTreeMap<String, Outcome>> {
    let (tell, told) = mpsc::channel();
    let courier = Courier::start(move |done: Done| drop(tell.send(done)))?;
    let mut answers = BTreeMap::new();
    let mut waits = 0_usize;
    for receiver in receivers {
        let refused = match put(receiver, over, about, now) {
            Ok(delivery) => courier.send(delivery).err().map(|done| done.outcome),
            Err(why) => Some(Outcome::Failed { why }),
        };
        match refused {
            Some(outcome) => drop(answers.insert(receiver.name.clone(), outcome)),
            None => waits += 1,
        }
    }
    while waits > 0
        && let Ok(done) = told.recv_timeout(WAIT)
    {
        answers.insert(done.receiver, done.outcome);
        waits -= 1;
    }
    courier.stop(Duration::ZERO);
    Ok(answers)
}
