//! One alert in words.

use super::beside::{clues, impact, not_affected};
use super::figures::{Clock, count, percent, ratio, rfc3339, share, span};
use super::silence;
use super::words::{clean, made_by, of, past, place, plural, share_of};
use super::{About, kind};
use crate::causes::{rotation, server_name, why};
use crate::findings::sentence;
use crate::notification::{Item, News};
use gatewatch_parsers::{Millis, Reason};
use gatewatch_rules::alert::{Alert, End, Kind, Labels, Sample};
use gatewatch_rules::rule::{Counts, Severity};
use gatewatch_rules::servers::Server;

const MINUTE: Millis = 60_000;
const RECENT: Millis = 20_000;
const HEAD_MAX: usize = 150;
const SAMPLE_MAX: usize = 512;

/// How bad it is, for targets with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Fires, critical.
    Critical,
    /// Fires.
    Warning,
    /// Seen to recover.
    Good,
    /// Over, but nobody saw it recover.
    Unknown,
}

/// A named line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// `Where`, `Why`
    pub label: &'static str,
    /// One line.
    pub text: String,
}

/// One alert in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// How bad.
    pub tone: Tone,
    /// The first line; at most 150 characters.
    pub head: String,
    /// Figures and times.
    pub lead: Vec<String>,
    /// Where and why.
    pub facts: Vec<Fact>,
    /// What to try, for a shell.
    pub command: Option<String>,
    /// Lines of the log.
    pub samples: Vec<String>,
    /// Where it is written what to do.
    pub runbook: Option<String>,
    /// Which incident.
    pub incident: String,
}

impl Section {
    /// `item` in words, at the time `at`.
    #[must_use]
    pub fn of(item: &Item, at: Millis, about: &About) -> Section {
        let alert = &item.alert;
        let clock = Clock::new(about.zone, at);
        if let Some(note) = &alert.note {
            return super::note::section(item, note, &clock);
        }
        let facts = [
            Fact { label: "Where", text: incident(alert).unwrap_or_else(|| whereabouts(alert)) },
            Fact { label: "Why", text: causes(alert).unwrap_or_default() },
            Fact { label: "Not", text: alert.around.as_ref().map_or(String::new(), not_affected) },
            Fact { label: "Impact", text: alert.around.as_ref().map_or(String::new(), |a| impact(alert, a)) },
            Fact { label: "Servers", text: servers(item, &clock).unwrap_or_default() },
            Fact { label: "Exits", text: exits(alert) },
            Fact { label: "Again", text: again(item) },
            Fact { label: "Lost", text: lost(alert).unwrap_or_default() },
        ];
        let facts = facts.into_iter().chain(silence::facts(alert, item.news.is_firing(), &clock));
        Section {
            tone: tone(item),
            head: head(item, at),
            lead: if item.news.is_firing() { lead(item, &clock) } else { lead_of_the_past(alert, &clock) },
            facts: facts.filter(|fact| !fact.text.is_empty()).collect(),
            command: Some(command(alert, item.news.is_firing(), about)),
            samples: alert.samples.iter().filter(|_| item.news != News::Resolved).map(sample).collect(),
            runbook: alert.runbook.as_deref().map(|runbook| clean(runbook, 500)),
            incident: clean(&alert.incident, 40),
        }
    }

    /// Everything but the first line, as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: &str| {
            out.push_str(text);
            out.push('\n');
        };
        self.lead.iter().for_each(|text| line(text));
        self.facts.iter().for_each(|fact| line(&format!("{:<8}{}", fact.label, fact.text)));
        if let Some(command) = &self.command {
            line(&format!("{:<8}{command}", "Try"));
        }
        for (i, sample) in self.samples.iter().enumerate() {
            let edge = match (i, i + 1 == self.samples.len()) {
                (0, true) => '╶',
                (0, false) => '┌',
                (_, false) => '│',
                (_, true) => '└',
            };
            line(&format!("{edge} {sample}"));
        }
        if let Some(runbook) = &self.runbook {
            line(&format!("{:<8}{runbook}", "Runbook"));
        }
        line(&format!("incident {}", self.incident));
        out
    }
}

fn sample(sample: &Sample) -> String {
    clean(&sample.line, SAMPLE_MAX)
}

pub(super) fn tone(item: &Item) -> Tone {
    match (item.news.is_firing(), item.alert.severity, item.alert.end) {
        (true, Severity::Critical, _) => Tone::Critical,
        (true, Severity::Warning, _) => Tone::Warning,
        (false, _, None | Some(End::Recovered)) => Tone::Good,
        (false, ..) => Tone::Unknown,
    }
}

/// `20.9 %`, or `123 gateway errors`.
pub(super) fn short_figure(alert: &Alert) -> String {
    if let Some(figure) = kind::figure(alert) {
        figure
    } else if alert.is_count {
        format!("{}{} {}", at_least(alert), count(alert.window_errors), plural(alert.counts))
    } else {
        // What was lost may have been good or bad: a ratio is no lower bound.
        let about = if alert.undercount > 0 { "about " } else { "" };
        format!("{about}{}", percent(ratio(alert.window_errors, alert.window_requests)))
    }
}

/// The first line.
pub(super) fn head(item: &Item, at: Millis) -> String {
    let head = if let Some(note) = &item.alert.note {
        super::note::head(item, note)
    } else if item.news.is_firing() {
        head_firing(item, at)
    } else {
        head_over(item, at)
    };
    clean(&head, HEAD_MAX)
}

fn head_firing(item: &Item, at: Millis) -> String {
    let alert = &item.alert;
    let severity = alert.severity.name();
    let start = match item.news {
        News::Escalated { from } => format!("FIRING {severity} (was {})", from.name()),
        News::Repeated => format!("STILL FIRING {severity}"),
        News::Reopened => format!("FIRING {severity} again"),
        _ if alert.detected_late => format!("FIRING {severity} (detected late)"),
        _ => format!("FIRING {severity}"),
    };
    let place = place(&alert.labels).full;
    if let Some(rest) = kind::head(alert, &Clock::new(gatewatch_parsers::Zone::Fixed(0), at)) {
        return format!("{start}: {place}{rest}");
    }
    if alert.is_count {
        return format!("{start}: {place}, {} in {}", short_figure(alert), span(alert.window));
    }
    let normal = alert.normal.map_or(String::new(), |normal| format!(" (normal {})", percent(normal)));
    format!("{start}: {place} {}{normal}", share_of(alert.counts, &short_figure(alert)))
}

fn head_over(item: &Item, at: Millis) -> String {
    let alert = &item.alert;
    let place = place(&alert.labels).full;
    let clock = Clock::new(gatewatch_parsers::Zone::Fixed(0), at);
    let figures = past_figures(alert);
    let word = end_word(item);
    if let Some(unseen) = kind::unseen(alert, &clock) {
        return format!("{word} {place}: {unseen}");
    }
    match alert.end {
        Some(End::Expired) => format!(
            "{word} {place}: no traffic since {}; {figures} before, never seen to recover",
            clock.utc_minute(alert.last_traffic)
        ),
        Some(End::Config) => {
            format!("{word} {place}: its rule was changed or removed; {figures} before, not seen to recover")
        }
        Some(End::Evicted) => {
            format!(
                "{word} {place}: no longer watched, too many groups; {figures} before, not seen to recover"
            )
        }
        None | Some(End::Recovered | End::Usual) => {
            let range = clock.utc_range(alert.started, alert.last_bad);
            // Told late, its last window is no longer "now".
            let old = at.saturating_sub(alert.resolved.unwrap_or(at)) > 5 * MINUTE;
            let has_no_share = alert.is_count || !has_share(alert) || alert.window_requests == 0;
            let now = match has_no_share || alert.detected_late || old {
                true => String::new(),
                false => format!(", now {}", percent(ratio(alert.window_errors, alert.window_requests))),
            };
            format!(
                "{word} {place} after {} ({range}): {figures}{}{now}",
                span(seconds_of(alert)),
                limits(alert)
            )
        }
    }
}

/// How its end is called.
pub(super) fn end_word(item: &Item) -> &'static str {
    match (item.alert.end, item.news) {
        (Some(End::Expired), _) => "ENDED",
        (Some(End::Config | End::Evicted | End::Usual), _) => "CLOSED",
        (_, News::FiredAndResolved) => "FIRED AND RESOLVED",
        _ => "RESOLVED",
    }
}

/// How long it was bad.
pub(super) fn seconds_of(alert: &Alert) -> Millis {
    super::whole_seconds(alert.last_bad - alert.started)
}

/// `14,946 of 25,016 failed`
pub(super) fn past_figures(alert: &Alert) -> String {
    if let Some(past) = kind::past(alert) {
        return past;
    }
    let at_least = at_least(alert);
    format!("{at_least}{} of {} {}", count(alert.errors), count(alert.requests), past(alert.counts))
}

/// Where messages were lost, more may have happened than was counted.
fn at_least(alert: &Alert) -> &'static str {
    if alert.undercount > 0 { "at least " } else { "" }
}

/// `: 312 log messages were lost meanwhile`
fn lost(alert: &Alert) -> Option<String> {
    let (messages, were) = if alert.undercount == 1 { ("message", "was") } else { ("messages", "were") };
    (alert.undercount > 0)
        .then(|| format!("{} log {messages} {were} lost meanwhile", count(alert.undercount)))
}

/// `, peak 61.1 %`
pub(super) fn limits(alert: &Alert) -> String {
    if alert.is_count || !has_share(alert) {
        String::new()
    } else {
        format!(", peak {}", percent(alert.peak))
    }
}

/// Of what does not come, the share is all of it.
fn has_share(alert: &Alert) -> bool {
    !matches!(alert.kind, Kind::Absent | Kind::Stall)
}

fn lead(item: &Item, clock: &Clock) -> Vec<String> {
    let alert = &item.alert;
    let (limit, of) = (kind::limit(alert), of(alert.counts));
    let (errors, requests) = (count(alert.window_errors), count(alert.window_requests));
    let at_least = at_least(alert);
    let plain = || format!("{at_least}{errors} of {requests} {of} in {} (limit {limit})", span(alert.window));
    let mut figures = kind::figures(alert).unwrap_or_else(plain);
    let (recent_errors, recent_requests) = alert.recent;
    if alert.window > RECENT && recent_requests > 0 {
        let recent = percent(ratio(recent_errors, recent_requests));
        figures.push_str(&format!("; {recent} in the last 20 s"));
    }
    let mut times = format!("Since {}", clock.both(alert.started));
    if matches!(item.news, News::Repeated | News::Reopened) {
        let so_far = past_figures(alert);
        times.push_str(&format!(", {so_far} so far{}", limits(alert)));
    } else {
        times.push_str(&format!(", seen {} later", span(super::whole_seconds(alert.fired - alert.started))));
    }
    if alert.detected_late {
        times.push_str(" and told late: the agent was catching up");
    }
    if let Some(users) = users(alert) {
        times.push_str(&format!(" · {users}"));
    }
    vec![figures, times]
}

fn lead_of_the_past(alert: &Alert, clock: &Clock) -> Vec<String> {
    let (severity, started, fired) =
        (alert.severity.name(), clock.both(alert.started), clock.utc(alert.fired));
    let over = alert.resolved.map_or(String::new(), |resolved| format!(", over {}", clock.utc(resolved)));
    vec![format!("Was {severity}: bad from {started}, fired {fired}{over}")]
}

/// What users see of it, as far as the log shows.
fn users(alert: &Alert) -> Option<String> {
    match alert.counts {
        Counts::Masked => return Some("users do not see it: the retry helped".into()),
        Counts::Retried => return Some("users see what came of the next try".into()),
        Counts::Abandoned => return Some("users leave without an answer".into()),
        Counts::Aborted => return Some("users see answers that end too early".into()),
        Counts::FailedAttempts => return None,
        Counts::GatewayErrors if !kind::is_of_errors(alert) => return None,
        Counts::GatewayErrors => {}
    }
    let seen = || alert.statuses.iter().filter(|(status, _)| *status >= 500 || *status == 9);
    let all: u64 = seen().map(|(_, n)| n).sum();
    let words: Vec<String> = match seen().next() {
        Some((status, n)) if ratio(*n, all) >= 0.95 => vec![format!("{status:03}")],
        _ => seen().take(3).map(|(status, n)| format!("{status:03} ({})", share(ratio(*n, all)))).collect(),
    };
    (!words.is_empty()).then(|| format!("users see {}", words.join(", ")))
}

/// Where all of its incident is, if that was found.
fn incident(alert: &Alert) -> Option<String> {
    alert.envelope.as_ref().and_then(super::incident::whereabouts)
}

fn whereabouts(alert: &Alert) -> String {
    let place = place(&alert.labels);
    let mut text = format!("{} {}", place.noun, place.name);
    // `be_img/srv3` says its pool.
    let says = |value: &str| text.contains(&clean(value, 60));
    let beside = |(name, value): &&(String, String)| name != "pool" || !says(value);
    let beside: Vec<_> =
        alert.labels.iter().filter(beside).filter(|(_, value)| clean(value, 60) != place.name).collect();
    for (name, value) in beside {
        text.push_str(&format!(", {} {}", clean(name, 20), clean(value, 60)));
    }
    if alert.labels.is_empty() {
        return String::new();
    }
    let what = match (alert.kind, alert.counts) {
        // What does not come has no share of anything.
        (Kind::Absent | Kind::Stall, _) => return text,
        (Kind::Slow { .. }, _) => "slow requests",
        (_, Counts::GatewayErrors) => "errors",
        (_, counts) => plural(counts),
    };
    text.push_str(&format!(
        ": {} of the {what} under this rule on {} of the traffic",
        share(alert.share_of_errors),
        share(alert.share_of_requests)
    ));
    text
}

fn causes(alert: &Alert) -> Option<String> {
    let all: u64 = alert.reasons.iter().map(|(_, n)| n).sum();
    let (reason, n) = alert.reasons.first()?;
    let part = |n: u64| share(ratio(n, all));
    let (happened, probable) = why(*reason);
    let mut text = format!("{} {}: ", part(*n), reason.name());
    // Of these the words themselves say who made it.
    let told = matches!(reason, Reason::UpstreamResponse | Reason::ClientAborted);
    let made = alert.origins.first().filter(|_| !told).and_then(|(origin, n)| Some((made_by(*origin)?, n)));
    if let Some((made, by)) = made {
        let share_of_origin =
            if ratio(*by, all) < 0.95 { format!(" ({})", part(*by)) } else { String::new() };
        text.push_str(&format!("{made}{share_of_origin}; "));
    }
    text.push_str(happened);
    let others: Vec<String> = alert
        .reasons
        .iter()
        .skip(1)
        .filter(|(_, n)| ratio(*n, all) >= 0.05)
        .take(3)
        .map(|(reason, n)| format!("{} {}", part(*n), reason.name()))
        .collect();
    if let Some(probable) = probable {
        text.push_str(&format!(". Probable: {probable}"));
    }
    for clue in clues(alert) {
        text.push_str(&format!(". {clue}"));
    }
    if !others.is_empty() {
        text.push_str(&format!(". Also {}", others.join(", ")));
    }
    Some(text)
}

/// `be/s1 out of rotation since 16:23:35 UTC (Layer4 timeout)`, `still in rotation: 419 requests in the last 20 s`
fn servers(item: &Item, clock: &Clock) -> Option<String> {
    let alert = &item.alert;
    let named = |server: &Server| {
        let words = rotation(server, &|at| clock.utc(at));
        format!("{} {}", clean(server_name(server), 60), clean(&words, 200))
    };
    let mut told: Vec<String> = alert.events.iter().map(named).collect();
    if let Some(requests) = alert.in_rotation.filter(|_| item.news.is_firing()) {
        told.push(format!("still in rotation: {} requests in the last 20 s", count(requests)));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// What exits and targets show of it.
fn exits(alert: &Alert) -> String {
    let found = alert.findings.iter().map(|finding| sentence(finding, |name| clean(name, 60)));
    found.collect::<Vec<_>>().join("; ")
}

pub(super) fn again(item: &Item) -> String {
    match item.reopened {
        0 => String::new(),
        1 => "came back once within 10 min of its end: the same incident".into(),
        n => format!("came back {n} times within 10 min of its end: the same incident, and it flaps"),
    }
}

/// What shows more of it. A label goes into the command only if no shell could misread it: labels come from a log, and
/// this line is made to be pasted.
fn command(alert: &Alert, firing: bool, about: &About) -> String {
    let minute = |time: Millis| time - time.rem_euclid(MINUTE);
    let mut out = String::from("gatewatch analyze ");
    // A glob is as good: `analyze` takes several files.
    let harmless = |path: &&str| is_harmless(&path.replace(['*', '?'], ""));
    out.push_str(about.log_file.as_deref().filter(harmless).unwrap_or("LOGFILE"));
    out.push_str(&format!(" --since {}", rfc3339(minute(alert.started - 2 * MINUTE))));
    if !firing {
        out.push_str(&format!(" --until {}", rfc3339(minute(alert.last_bad + 2 * MINUTE))));
    }
    let conditions = conditions(&alert.labels);
    if !conditions.is_empty() {
        out.push_str(&format!(" --where '{}'", conditions.join(" and ")));
    }
    out
}

fn conditions(labels: &Labels) -> Vec<String> {
    let has_upstream = labels.iter().any(|(name, value)| name == "upstream" && is_harmless(value));
    labels
        .iter()
        // An input is called otherwise there, and an upstream names its pool.
        .filter(|(name, _)| name != "input" && !(has_upstream && name == "pool"))
        .filter(|(name, value)| is_harmless(name) && is_harmless(value) && value != "__other__")
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect()
}

pub(super) fn is_harmless(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._:/@%+,[]~-".contains(c))
}
