//! `gatewatch silence add|list|expire`: what people do not want to be told for a while.

use super::asked::{folder, json, look, refused, seen};
use super::check::reader::name_of;
use super::status::table::{Look, span};
use super::{complain, print};
use crate::cli::{Form, Silence, SilenceAdd, SilenceExpire, SilenceList, Which};
use crate::clock;
use crate::config;
use crate::control::{Order, client};
use crate::exit::Exit;
use crate::mute::maintenance::{reading_of, stamp};
use crate::mute::silences::{Wanted, read};
use crate::reports::table::{fitting, plural};
use crate::reports::text::{self, Align, commas, printable};
use crate::status::{SCHEMA, SilenceView, View, WindowView, seconds};
use crate::wiring::ZoneSetting;
use gatewatch_parsers::{Millis, Zone};
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// What is printed for programs.
#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    silences: &'a [SilenceView],
    maintenance: &'a [WindowView],
}

/// Runs it.
pub fn run(args: &Silence) -> Exit {
    let done = match args {
        Silence::Add(args) => add(args),
        Silence::List(args) => list(args),
        Silence::Expire(args) => expire(args),
    };
    done.unwrap_or_else(|exit| exit)
}

fn no(exit: Exit, text: &str) -> Exit {
    complain(text);
    exit
}

fn add(args: &SilenceAdd) -> Result<Exit, Exit> {
    read(&args.matchers).map_err(|why| no(Exit::Usage, &why))?;
    let (folder, zone) = place(&args.which)?;
    let now = clock::now();
    let ends = end(args, zone, now).map_err(|why| no(Exit::Usage, &why))?;
    let wanted = Wanted {
        matchers: args.matchers.clone(),
        ends,
        author: args.author.clone().unwrap_or_else(user),
        comment: args
            .comment
            .clone()
            .map_or_else(ask_why, Ok)
            .map_err(|e| no(Exit::Error, &e.to_string()))?,
    };
    let silence = order(&folder, &Order::Silence(wanted))?;
    Ok(match args.format {
        Form::Json => json(&silence),
        Form::Table => {
            let ends = silence.ends.unwrap_or(ends);
            let (left, at) = (span(seconds(ends - now)), both(ends, zone));
            let matchers = printable(&silence.matchers.join(" ")).into_owned();
            print(&format!(
                "silence {}: {matchers}, for {left}, until {at}{}\n",
                silence.id,
                muted(&folder, &silence)
            ))
        }
    })
}

/// `; 2 alerts that fire are muted by it`
fn muted(folder: &Path, silence: &SilenceView) -> String {
    let Ok(Some(View { alerts, .. })) = client::ask(folder) else { return String::new() };
    let name = format!("silence {} of ", silence.id);
    let is_muted = |by: &Option<String>| by.as_ref().is_some_and(|by| by.starts_with(&name));
    match alerts.iter().filter(|alert| is_muted(&alert.muted)).count() as u64 {
        0 => "; nothing that fires now matches".to_owned(),
        1 => "; it mutes 1 alert that fires now".to_owned(),
        n => format!("; it mutes {} that fire now", plural(n, "alert")),
    }
}

fn list(args: &SilenceList) -> Result<Exit, Exit> {
    let (folder, zone) = place(&args.which)?;
    let (view, agent) = seen(&folder, false).map_err(|why| no(Exit::Error, &why))?;
    let mut silences = view.silences;
    silences.retain(|silence| silence.active || args.expired);
    // What is in force first, and of that what ends first.
    silences.sort_by_key(|silence| (!silence.active, silence.ends));
    let windows = view.maintenance;
    Ok(match args.format {
        Form::Json => json(&Answer { schema: SCHEMA, silences: &silences, maintenance: &windows }),
        Form::Table => print(&table(&silences, &windows, &look(agent), zone)),
    })
}

fn expire(args: &SilenceExpire) -> Result<Exit, Exit> {
    let (folder, _) = place(&args.which)?;
    let mut exit = Exit::Fine;
    for id in &args.ids {
        exit = exit.and(match order(&folder, &Order::Expire(*id)) {
            Ok(silence) => {
                print(&format!("silence {} is over: it held back {}\n", silence.id, held(&silence)))
            }
            Err(exit) => exit,
        });
    }
    Ok(exit)
}

/// Orders it of the running agent; why that fails is said.
fn order(folder: &Path, order: &Order) -> Result<SilenceView, Exit> {
    match client::order(folder, order) {
        Ok(Some(silence)) => Ok(silence),
        Ok(None) => {
            let shown = folder.display().to_string();
            let text = format!(
                "no agent is running with {}: silences are kept by it. Start `gatewatch run` (or systemctl start gatewatch), \
                 or name its configuration with -c, or its state directory with --state-dir",
                printable(&shown)
            );
            Err(no(Exit::Error, &text))
        }
        Err(e) => Err(no(Exit::Error, &refused(&e, folder))),
    }
}

/// The state directory, and the zone in which people read the clock.
fn place(which: &Which) -> Result<(PathBuf, Zone), Exit> {
    let host = || ZoneSetting::new(None).map_or(Zone::Fixed(0), |host| host.zone);
    if which.state_dir.is_some() {
        return Ok((folder(&which.config, which.state_dir.as_deref())?, host()));
    }
    match config::load(&which.config) {
        Ok(config) => Ok((config.agent.state_dir, config.agent.timezone.unwrap_or_else(host))),
        Err(_) => Ok((folder(&which.config, None)?, host())),
    }
}

/// When it is over.
fn end(args: &SilenceAdd, zone: Zone, now: Millis) -> Result<Millis, String> {
    if let Some(written) = &args.duration {
        let length = config::parse_duration(written).filter(|length| *length > 0);
        let length =
            length.ok_or_else(|| format!("-d {written}: write a length of time like 30m, 2h or 1d12h"))?;
        return Ok(now.saturating_add(length));
    }
    let written = args.until.as_deref().unwrap_or_default();
    until(written, zone, now).ok_or_else(|| {
        format!("--until {written}: write a time like '2026-01-31 03:00', 2026-01-31T03:00:00Z or 03:00")
    })
}

/// A time of day is the next one there is.
fn until(written: &str, zone: Zone, now: Millis) -> Option<Millis> {
    if let Some((_, last)) = stamp(written, zone) {
        return Some(last);
    }
    let of_day = |at: Millis| {
        let reading = reading_of(zone, at);
        let (day, _) = reading.split_once(' ')?;
        stamp(&format!("{day} {}", written.trim()), zone).map(|(_, last)| last)
    };
    let is_time = written.contains(':') && !written.contains('-');
    [now, now + 86_400_000].into_iter().filter(|_| is_time).filter_map(of_day).find(|at| *at > now)
}

/// Whoever typed it.
fn user() -> String {
    let of = |name: &str| std::env::var(name).ok().filter(|user| !user.trim().is_empty());
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(of);
    let uid = rustix::process::getuid().as_raw();
    named.or_else(|| name_of("/etc/passwd", uid)).unwrap_or_else(|| format!("user id {uid}"))
}

/// Records are worth what stands in them, so whoever is there is asked; a script says it with -m.
fn ask_why() -> io::Result<String> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(String::new());
    }
    write!(io::stderr(), "Why (for whoever wonders later): ")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// `2026-01-31 03:00 Europe/Berlin (02:00 UTC)`
fn both(at: Millis, zone: Zone) -> String {
    let (here, utc) = (reading_of(zone, at), reading_of(Zone::Fixed(0), at));
    if here == utc {
        return format!("{utc} UTC");
    }
    let same_day = here.get(..10) == utc.get(..10);
    let utc = if same_day { utc.get(11..).unwrap_or_default() } else { &utc };
    format!("{here} {zone} ({utc} UTC)")
}

/// `3 alerts, 2 of them came and went untold`
fn held(silence: &SilenceView) -> String {
    let unseen = match silence.unseen {
        0 => String::new(),
        n => format!(", {} came and went untold", commas(n)),
    };
    format!("{}{unseen}", plural(silence.held, "alert"))
}

fn table(silences: &[SilenceView], windows: &[WindowView], look: &Look, zone: Zone) -> String {
    let mut text = String::new();
    if silences.is_empty() {
        text.push_str("No silence is in force.\n");
    } else {
        let titles = ["ID", "MATCHERS", "UNTIL", "LEFT", "BY", "HELD BACK", "COMMENT"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        for silence in silences {
            let ends = silence.ends.unwrap_or(look.now);
            let left = if silence.active { span(seconds(ends - look.now)) } else { "over".to_owned() };
            rows.push(vec![
                silence.id.to_string(),
                printable(&silence.matchers.join(" ")).into_owned(),
                both(ends, zone),
                left,
                printable(&silence.author).into_owned(),
                if silence.held == 0 { "–".to_owned() } else { held(silence) },
                if silence.comment.is_empty() {
                    "–".to_owned()
                } else {
                    printable(&silence.comment).into_owned()
                },
            ]);
        }
        let align = [Align::Left; 7];
        let rows = fitting(rows, &align, look.width, &[6, 5, 4]);
        let align = vec![Align::Left; rows.first().map_or(0, Vec::len)];
        text::grid(&rows, &align, look.width).iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    }
    for window in windows {
        let name = printable(&window.name).into_owned();
        let zone = Zone::parse(&window.zone).unwrap_or(zone);
        let line = match (window.open, window.from, window.until) {
            (true, _, Some(until)) => format!("Maintenance {name} is open until {}.", both(until, zone)),
            (false, Some(from), _) => format!("Maintenance {name} opens next {}.", both(from, zone)),
            _ => format!("Maintenance {name} opens no more."),
        };
        text.extend([text::wrap(&line, look.width, 2).as_str(), "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 14:53:53 UTC
    const NOW: Millis = 1_795_359_233_243;

    #[test]
    fn when_it_is_over() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let cases = [
            ("2026-11-23 03:00", "2026-11-23 03:00 Europe/Berlin (02:00 UTC)"),
            ("2026-11-23T03:00:00Z", "2026-11-23 04:00 Europe/Berlin (03:00 UTC)"),
            ("2026-11-23T03:00+05:00", ""),
            ("2026-11-23", "2026-11-23 00:00 Europe/Berlin (2026-11-22 23:00 UTC)"),
            ("18:00", "2026-11-22 18:00 Europe/Berlin (17:00 UTC)"),
            ("15:00", "2026-11-23 15:00 Europe/Berlin (14:00 UTC)"),
            // The doubled hour: to its end.
            ("2027-10-31 02:30", "2027-10-31 02:30 Europe/Berlin (01:30 UTC)"),
            ("tomorrow", ""),
            ("25:00", ""),
            ("", ""),
        ];
        for (written, expected) in cases {
            let shown = until(written, berlin, NOW).map_or(String::new(), |at| both(at, berlin));
            assert_eq!(shown, expected, "{written}");
        }
        assert_eq!(both(NOW, Zone::Fixed(0)), "2026-11-22 14:53 UTC");
    }

    #[test]
    fn the_table() {
        let silence = SilenceView {
            id: 3,
            matchers: vec!["rule=\"errors\"".into(), "upstream=\"a\u{1b}[2J\"".into()],
            active: true,
            starts: Some(NOW),
            ends: Some(NOW + 3_600_000),
            author: "anna".into(),
            comment: "deploy\nnow".into(),
            held: 3,
            unseen: 2,
        };
        let over = SilenceView { id: 2, active: false, held: 0, comment: String::new(), ..silence.clone() };
        let window = WindowView {
            name: "weekly".into(),
            open: true,
            from: None,
            until: Some(NOW + 60_000),
            zone: "UTC".into(),
        };
        let look = |width| Look { now: NOW, width, color: false, agent: "running" };
        let shown = table(&[silence.clone(), over], &[window], &look(160), Zone::Fixed(0));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 4, "{shown}");
        assert!(lines[1].contains("60 min") || lines[1].contains("1 h"), "{shown}");
        assert!(
            lines[1].contains("3 alerts, 2 came and went untold") && lines[2].contains("over"),
            "{shown}"
        );
        assert_eq!(lines[3], "Maintenance weekly is open until 2026-11-22 14:54 UTC.");
        assert!(!shown.contains('\u{1b}'));
        let narrow = table(&[silence], &[], &look(60), Zone::Fixed(0));
        assert!(narrow.lines().all(|line| text::columns(line) <= 60), "{narrow}");
        assert_eq!(table(&[], &[], &look(60), Zone::Fixed(0)), "No silence is in force.\n");
    }
}
