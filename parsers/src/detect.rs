//! Which format a sample of lines has, and how sure that is: every built-in format tries every line.

use std::fmt::Write as _;

use crate::context::Context;
use crate::formats::{FORMATS, Format, Parsed, json};
use crate::looks;
use crate::record::Record;
use crate::whose;

/// How many lines of a sample are looked at.
pub const SAMPLE_MAX: usize = 300;

/// Shares this near to each other are equal: a scanner's lines decide nothing.
const TIE: f64 = 0.02;

/// What less than this share of the lines is, is not named.
const PART_MIN: f64 = 0.05;

/// How many lines are taken apart to see which of two formats sees more in them.
const COMPARED_MAX: usize = 20;

/// A format that explains some of the sample.
#[derive(Debug)]
pub struct Candidate {
    /// The format.
    pub format: Box<dyn Format>,
    /// Lines that are requests in it, or an error log's own.
    pub explained: usize,
    /// `explained` by the lines that are not other by nature, 0–1.
    pub share: f64,
    /// How many fields it sees in a line, on average.
    pub fields: f64,
    /// Whether its stamps carry no zone, so that the zone setting decides their time.
    pub needs_zone: bool,
    /// How many of them bear a mark of its product; `None`: it has none.
    marks: Option<usize>,
    /// Which lines of the sample they are.
    lines: Vec<bool>,
}

/// What a part of the sample is.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The format's name, or what the lines look like.
    pub title: String,
    /// By all lines that are not blank, 0–1.
    pub share: f64,
}

/// What detection found.
#[derive(Debug, Default)]
pub struct Detection {
    /// Lines that are not blank.
    pub lines: usize,
    /// Formats that explain at least one line, the best first: the greater share; of equal shares the one that sees
    /// more fields.
    pub candidates: Vec<Candidate>,
    /// Names of formats that explain as many lines and as many fields as the best, and read something else in them.
    pub ambiguous: Vec<String>,
    /// What the sample consists of, the greatest part first; more than one where files are mixed.
    pub parts: Vec<Part>,
    /// One or two sentences for people where no format fits: what it is instead, and what to do.
    pub note: Option<String>,
}

impl Detection {
    /// The format to take: one that explains at least half of the lines.
    #[must_use]
    pub fn best(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|best| best.share >= 0.5)
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_best(mut self) -> Option<Box<dyn Format>> {
        self.best()?;
        Some(self.candidates.swap_remove(0).format)
    }
}

/// Looks at the first lines of a file (or any others), without their line ends. What the context remembers stays as it is.
#[must_use]
pub fn detect(sample: &[&[u8]], context: &Context) -> Detection {
    detect_at("", sample, context)
}

/// The same for a file whose path is known: it decides between products that write the same lines, and nothing else.
#[must_use]
pub fn detect_at(path: &str, sample: &[&[u8]], context: &Context) -> Detection {
    if let Some(note) = looks::unreadable(sample) {
        return Detection { note: Some(note), ..Detection::default() };
    }
    let lines: Vec<&[u8]> =
        sample.iter().copied().filter(|line| !line.trim_ascii().is_empty()).take(SAMPLE_MAX).collect();
    let mut formats: Vec<Box<dyn Format>> = Vec::new();
    for format in FORMATS.iter().flat_map(|kind| (kind.built_in)()) {
        let format = format.for_head(&lines).unwrap_or(format);
        // What the file says of itself may be what another one is already.
        if formats.iter().all(|known| known.name() != format.name()) {
            formats.push(format);
        }
    }
    let tried = formats.into_iter().map(|format| attempt(format, &lines, context));
    let mut tried: Vec<(Candidate, Vec<bool>)> = tried.collect();
    tried.retain(|(candidate, _)| candidate.explained > 0);
    let known: Vec<bool> = (0..lines.len()).map(|i| tried.iter().any(|(c, _)| is_set(&c.lines, i))).collect();
    let mut candidates: Vec<Candidate> = Vec::with_capacity(tried.len());
    for (mut candidate, other) in tried {
        // A line that a format calls other by nature counts against it all the same if it is a request in another one.
        let others = (0..lines.len()).filter(|i| is_set(&other, *i) && !is_set(&known, *i)).count();
        candidate.share = ratio(candidate.explained, lines.len() - others);
        candidates.push(candidate);
    }
    for candidate in &mut candidates {
        candidate.fields = fields(candidate, &lines, context);
    }
    order(&mut candidates);
    let is_settled = whose::kind_of(path).is_some_and(|kind| lean(&mut candidates, kind));
    let ambiguous = if is_settled { Vec::new() } else { ambiguous(&candidates, &lines, context) };
    let parts = parts(&candidates, &lines, context);
    let mut found = Detection { lines: lines.len(), candidates, ambiguous, parts, note: None };
    if found.best().is_none() {
        found.note = Some(note(&found, &lines, context));
    }
    if let Some(best) = found.candidates.first_mut() {
        best.needs_zone = best.format.needs_zone() || zone_matters(best, &lines, context);
    }
    found
}

fn attempt(format: Box<dyn Format>, lines: &[&[u8]], context: &Context) -> (Candidate, Vec<bool>) {
    let mut context = context.clone();
    let mut explained = vec![false; lines.len()];
    let mut other = vec![false; lines.len()];
    for (line, (explained, other)) in lines.iter().zip(explained.iter_mut().zip(&mut other)) {
        match format.parse(line, &mut context) {
            Ok(Parsed::Record(_) | Parsed::Diagnosis(_)) => *explained = true,
            Ok(Parsed::Event(_) | Parsed::Other) if format.is_own(line, &mut context) => *explained = true,
            Ok(Parsed::Event(_) | Parsed::Other) => *other = true,
            Err(_) => {}
        }
    }
    let count = explained.iter().filter(|e| **e).count();
    let marked = lines.iter().zip(&explained).filter(|(_, explained)| **explained);
    let marks = marked.filter_map(|(line, _)| format.marks(line)).map(usize::from).reduce(|a, b| a + b);
    let (share, fields, needs_zone) = (0.0, 0.0, false);
    (Candidate { format, explained: count, share, fields, needs_zone, marks, lines: explained }, other)
}

fn is_set(flags: &[bool], i: usize) -> bool {
    flags.get(i).copied().unwrap_or(false)
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Lines that a candidate explains, a few of them.
fn some_lines<'a>(candidate: &Candidate, lines: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let explained = lines.iter().zip(&candidate.lines).filter(|(_, explained)| **explained);
    explained.map(|(line, _)| *line).take(COMPARED_MAX).collect()
}

fn fields(candidate: &Candidate, lines: &[&[u8]], context: &Context) -> f64 {
    let mut context = context.clone();
    let lines = some_lines(candidate, lines);
    let seen: usize = lines.iter().map(|line| candidate.format.explain(line, &mut context).len()).sum();
    ratio(seen, lines.len())
}

/// The greatest share first; among those within `TIE` of it, the one that sees most. Of equals the one that explains a
/// line more, then the one that bears marks, is the one: another product of the same shape.
fn order(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.share.total_cmp(&a.share));
    let Some(best) = candidates.first().map(|best| best.share) else { return };
    let tied = candidates.iter().take_while(|c| c.share >= best - TIE).count();
    if let Some(tied) = candidates.get_mut(..tied) {
        tied.sort_by(|a, b| {
            let by_lines =
                b.explained.cmp(&a.explained).then(b.marks.unwrap_or(0).cmp(&a.marks.unwrap_or(0)));
            b.fields.total_cmp(&a.fields).then(by_lines)
        });
    }
}

/// Puts the format of this kind first that explains just as much as the best; whether there is one.
fn lean(candidates: &mut [Candidate], kind: &str) -> bool {
    let Some(best) = candidates.first() else { return false };
    let (share, explained, marks) = (best.share, best.explained, best.marks.unwrap_or(0));
    let is_equal = |c: &Candidate| {
        (c.share - share).abs() <= TIE && c.explained == explained && c.marks.unwrap_or(0) >= marks
    };
    let is_of_kind = |c: &Candidate| c.format.name().split(':').next() == Some(kind);
    let at = candidates.iter().position(|c| is_of_kind(c) && is_equal(c));
    if let Some(ahead) = at.and_then(|at| candidates.get_mut(..=at)) {
        ahead.rotate_right(1);
    }
    at.is_some()
}

fn ambiguous(candidates: &[Candidate], lines: &[&[u8]], context: &Context) -> Vec<String> {
    let Some((best, others)) = candidates.split_first() else { return Vec::new() };
    // Every line bears the mark: it is no other product's. One that could bear some and does not is no rival.
    if best.marks == Some(best.explained) {
        return Vec::new();
    }
    let others = others.iter().filter(|c| c.marks != Some(0));
    let equal = others.filter(|c| (c.share - best.share).abs() <= TIE && c.fields >= best.fields);
    equal.filter(|c| differ(best, c, lines, context)).map(|c| c.format.name().to_owned()).collect()
}

/// Whether two formats read something else in a line that both explain.
fn differ(a: &Candidate, b: &Candidate, lines: &[&[u8]], context: &Context) -> bool {
    let (mut in_a, mut in_b) = (context.clone(), context.clone());
    let both = some_lines(a, lines);
    both.iter().any(|line| match (a.format.parse(line, &mut in_a), b.format.parse(line, &mut in_b)) {
        (Ok(Parsed::Record(a)), Ok(Parsed::Record(b))) => !same(&a, &b),
        _ => false,
    })
}

fn same(a: &Record<'_>, b: &Record<'_>) -> bool {
    (a.end, a.status, a.outcome, a.request_time) == (b.end, b.status, b.outcome, b.request_time)
        && (a.method, a.path, a.node, a.region) == (b.method, b.path, b.node, b.region)
        && (a.pool, a.site) == (b.pool, b.site)
        && a.attempts.iter().eq(b.attempts.iter())
}

/// Whether the same lines have another time in another zone.
fn zone_matters(candidate: &Candidate, lines: &[&[u8]], context: &Context) -> bool {
    let ends = |offset| {
        let near = context.dates.near();
        let mut context = Context::new(crate::Zone::Fixed(offset), near);
        let lines = some_lines(candidate, lines);
        let end = |line| match candidate.format.parse(line, &mut context) {
            Ok(Parsed::Record(record)) => Some(record.end),
            _ => None,
        };
        lines.into_iter().map(end).collect::<Vec<_>>()
    };
    ends(0) != ends(3_600_000)
}

/// What the sample consists of: the best format, then whichever explains most of what is left, then what that looks like.
fn parts(candidates: &[Candidate], lines: &[&[u8]], context: &Context) -> Vec<Part> {
    let mut left: Vec<bool> = vec![true; lines.len()];
    let mut parts = Vec::new();
    let mut next = candidates.first();
    while let Some(candidate) = next {
        let mut taken = 0;
        for (left, explained) in left.iter_mut().zip(&candidate.lines) {
            taken += usize::from(*left && *explained);
            *left &= !explained;
        }
        parts.push(Part { title: candidate.format.name().to_owned(), share: ratio(taken, lines.len()) });
        let gain = |c: &&Candidate| c.lines.iter().zip(&left).filter(|(e, l)| **e && **l).count();
        // Of equals the last one is taken: backwards, so that the better one is.
        next = candidates.iter().rev().max_by_key(gain).filter(|c| ratio(gain(c), lines.len()) >= PART_MIN);
    }
    let mut rest: Vec<(String, usize)> = Vec::new();
    for (line, _) in lines.iter().zip(&left).filter(|(_, left)| **left) {
        let title = looks::not_access(line, context).unwrap_or_else(|| "unknown".to_owned());
        match rest.iter_mut().find(|(known, _)| *known == title) {
            Some((_, count)) => *count += 1,
            None => rest.push((title, 1)),
        }
    }
    let rest = rest.into_iter().map(|(title, count)| Part { title, share: ratio(count, lines.len()) });
    parts.extend(rest.filter(|part| part.share >= PART_MIN));
    parts.sort_by(|a, b| b.share.total_cmp(&a.share));
    parts
}

/// What to say where no format explains half of the lines.
fn note(found: &Detection, lines: &[&[u8]], context: &Context) -> String {
    let Some(first) = lines.first() else { return "no lines".to_owned() };
    let main = found.parts.first();
    if let Some(part) = main.filter(|part| part.share >= 0.5 && part.title != "unknown") {
        return format!("{}, not an access log", part.title);
    }
    let names = lines.iter().map(|line| json::member_names(line)).find(|names| !names.is_empty());
    if let Some(names) = names.filter(|_| looks::is_json(first, context)) {
        let lacks = match json::tells(&names) {
            (false, false) => "names that are known for the time and the status",
            (true, false) => "a name that is known for the status",
            (false, true) => "a name that is known for the time",
            (true, true) => "a time and a status that can be read",
        };
        return format!(
            "JSON without {lacks}; it has {}. Map them: json:time=…,status=…,upstream=…",
            names.join(", ")
        );
    }
    if let Some(note) = looks::json_of_many_lines(lines) {
        return note;
    }
    let mut note = "no known format".to_owned();
    for part in found.parts.iter().filter(|part| part.title != "unknown") {
        let _ = write!(note, "; {:.0} % is {}", part.share * 100.0, part.title);
    }
    note.push_str(". Give the proxy's own format string (nginx:… haproxy:… envoy:… apache:… squid:… varnish:…), or describe a line: pattern:…");
    note
}

#[cfg(test)]
#[path = "detect_tests.rs"]
mod tests;
