//! The logs that were found, looked at: does the format that the configuration names explain their lines? And then what
//! is to be followed, as inputs.

use super::host::{Host, Sample};
use super::lines::reason;
use super::{Installed, Log, Place, Product, Shape};
use gatewatch_parsers::formats::{self, Format};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Parsed, Zone, detect};
use std::cmp::Reverse;

/// Files of a pattern that are looked at: those that were written last.
const FILES_MAX: usize = 3;
/// Lines of each.
const LINES_MAX: usize = 1_000;
/// A configured format that explains less has a rival in what detection finds.
const ENOUGH: f64 = 0.5;

/// What a look at a log gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Looked {
    /// How its lines look, as far as that is known.
    pub shape: Option<Shape>,
    /// The lines do not look as the configuration says; this was detected.
    pub is_detected: bool,
    /// Whether the format can name upstreams.
    pub knows_upstream: bool,
    /// Files that are there.
    pub files: usize,
    /// Lines looked at that are or should be requests.
    pub lines: usize,
    /// Those that were understood.
    pub parsed: usize,
    /// Formats that the configuration names and that cannot be read here, and why.
    pub refused: Vec<(Shape, String)>,
    /// Files that could not be looked at, and why.
    pub unreadable: Vec<(String, String)>,
}

impl Looked {
    /// How much was understood, 0–1; `None`: there was nothing to understand.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.lines > 0).then(|| self.parsed as f64 / self.lines as f64)
    }

    fn add(&mut self, other: &Looked) {
        self.files += other.files;
        self.lines += other.lines;
        self.parsed += other.parsed;
        self.knows_upstream &= other.knows_upstream;
        self.is_detected |= other.is_detected;
        self.refused.extend(other.refused.iter().cloned());
        self.unreadable.extend(other.unreadable.iter().cloned());
    }
}

/// Requests of some samples, and how many of them a format understands.
fn counted(format: &dyn Format, samples: &[Sample]) -> (usize, usize) {
    let (mut lines, mut parsed) = (0, 0);
    for sample in samples {
        let mut context = Context::new(Zone::Fixed(0), sample.modified);
        for line in whole_lines(sample) {
            match format.parse(line, &mut context) {
                Ok(Parsed::Record(_)) => (lines, parsed) = (lines + 1, parsed + 1),
                Ok(_) => {}
                Err(_) => lines += 1,
            }
        }
    }
    (lines, parsed)
}

/// A last line that is still being written is nobody's fault.
fn whole_lines(sample: &Sample) -> impl Iterator<Item = &[u8]> {
    let end = sample.bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let whole = sample.bytes.get(..end).unwrap_or_default();
    Lines::new(whole, true).filter(|line| !line.trim_ascii().is_empty()).take(LINES_MAX)
}

fn share((lines, parsed): (usize, usize)) -> f64 {
    if lines == 0 { 0.0 } else { parsed as f64 / lines as f64 }
}

/// A format, and how many requests there are and how many of them it understands.
type Candidate = (Box<dyn Format>, Shape, (usize, usize));

/// Looks at a log.
pub fn look(host: &dyn Host, log: &Log) -> Looked {
    let mut looked = Looked::default();
    let samples = samples(host, log, &mut looked);
    let mut best: Option<Candidate> = None;
    for shape in &log.shapes {
        if shape.spec.contains(char::is_control) {
            let why = "it holds a control character, which a configuration cannot".to_owned();
            looked.refused.push((shape.clone(), why));
            continue;
        }
        match formats::compile(&shape.spec) {
            Ok(format) => {
                let count = counted(format.as_ref(), &samples);
                if best.as_ref().is_none_or(|b| share(count) > share(b.2)) {
                    best = Some((format, shape.clone(), count));
                }
            }
            Err(e) => looked.refused.push((shape.clone(), e.message)),
        }
    }
    let has_lines = samples.iter().any(|sample| whole_lines(sample).next().is_some());
    if has_lines && best.as_ref().is_none_or(|b| share(b.2) < ENOUGH && b.2.0 > 0) {
        let found = detected(&log.place.to_string(), &samples).map(|format| {
            let spec = format.name().to_owned();
            let called = spec.clone();
            let count = counted(format.as_ref(), &samples);
            (format, Shape { called, spec }, count)
        });
        if let Some(found) = found.filter(|f| best.as_ref().is_none_or(|b| share(f.2) > share(b.2))) {
            looked.is_detected = true;
            best = Some(found);
        }
    }
    if let Some((format, shape, count)) = best {
        looked.knows_upstream = format.knows_upstream();
        (looked.lines, looked.parsed) = count;
        looked.shape = Some(shape);
    }
    looked
}

fn samples(host: &dyn Host, log: &Log, looked: &mut Looked) -> Vec<Sample> {
    let Place::File(pattern) = &log.place else { return Vec::new() };
    let mut samples = Vec::new();
    for path in host.names(&plain(pattern)) {
        looked.files += 1;
        match host.sample(&path) {
            Ok(sample) => samples.push(sample),
            Err(e) => looked.unreadable.push((path, reason(&e))),
        }
    }
    samples.sort_by_key(|sample| Reverse(sample.modified));
    samples.truncate(FILES_MAX);
    samples
}

/// A pattern without wildcards as the name that it means.
fn plain(pattern: &str) -> String {
    let name = pattern.replace("[[]", "[").replace("[*]", "*").replace("[?]", "?");
    if name.contains(['*', '?', '[']) { pattern.to_owned() } else { name }
}

fn detected(path: &str, samples: &[Sample]) -> Option<Box<dyn Format>> {
    let sample = samples.iter().find(|sample| whole_lines(sample).next().is_some())?;
    let lines: Vec<&[u8]> = whole_lines(sample).collect();
    detect::detect_at(path, &lines, &Context::new(Zone::Fixed(0), sample.modified)).into_best()
}

/// What is to be followed: an input.
#[derive(Clone, Debug)]
pub struct Source {
    /// The input's name.
    pub name: String,
    /// Whose logs.
    pub product: &'static Product,
    /// Where they are: files, or one socket or journal.
    pub places: Vec<Place>,
    /// All of them together.
    pub looked: Looked,
    /// The longest that lines are held back, in milliseconds.
    pub held: i64,
    /// They tell of failures only.
    pub is_errors: bool,
}

/// The inputs that the logs make: of one product, files that look alike are one.
pub fn sources(host: &dyn Host, installed: &[Installed]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for Installed { product, found } in installed {
        for log in &found.logs {
            if log.left_out.is_some() || !log.place.is_readable() {
                continue;
            }
            let looked = look(host, log);
            // An error log that nobody here can read is no source.
            if log.is_errors && looked.shape.is_none() {
                continue;
            }
            // Two products at one place: it is read once, and what its lines are is found out line by line.
            if let Some(known) = sources.iter_mut().find(|source| source.places.contains(&log.place)) {
                let spec = |looked: &Looked| looked.shape.as_ref().map(|shape| shape.spec.clone());
                if spec(&known.looked) != spec(&looked) {
                    known.looked.shape = None;
                }
                continue;
            }
            let is_file = matches!(log.place, Place::File(_));
            let alike = |source: &&mut Source| {
                is_file
                    && source.product.name == product.name
                    && source.is_errors == log.is_errors
                    && source.looked.shape.as_ref().map(|s| &s.spec) == looked.shape.as_ref().map(|s| &s.spec)
                    && matches!(source.places.first(), Some(Place::File(_)))
            };
            match sources.iter_mut().find(alike) {
                Some(source) => {
                    source.held = source.held.max(log.held);
                    source.looked.add(&looked);
                    source.places.push(log.place.clone());
                }
                None => sources.push(Source {
                    name: String::new(),
                    product,
                    places: vec![log.place.clone()],
                    looked,
                    held: log.held,
                    is_errors: log.is_errors,
                }),
            }
        }
    }
    join_errors(&mut sources);
    name(&mut sources);
    sources
}

/// An error log's failures explain the requests of the same input: where a product's files are one input, its error log is
/// another of its paths, and read as what it is.
fn join_errors(sources: &mut Vec<Source>) {
    let is_file = |source: &Source| matches!(source.places.first(), Some(Place::File(_)));
    for at in (0..sources.len()).rev() {
        let Some(errors) = sources.get(at).filter(|s| s.is_errors && is_file(s)) else { continue };
        let product = errors.product.name;
        let of_product = |s: &&mut Source| s.product.name == product && !s.is_errors;
        if sources.iter_mut().filter(of_product).count() != 1 {
            continue;
        }
        let errors = sources.remove(at);
        if let Some(access) = sources.iter_mut().find(|s| of_product(s) && is_file(s)) {
            access.places.extend(errors.places);
        } else {
            sources.insert(at, errors);
        }
    }
}

/// `nginx`; `nginx-main` and `nginx-upstream` where there are two.
fn name(sources: &mut [Source]) {
    let alike: Vec<_> = sources.iter().map(|s| (s.product.name, s.is_errors)).collect();
    let mut taken: Vec<String> = Vec::new();
    for source in sources {
        let word = source.product.name;
        let is_alone = !source.is_errors && alike.iter().filter(|a| **a == (word, false)).count() == 1;
        let called = match (&source.looked.shape, source.places.first()) {
            _ if source.is_errors => "errors".to_owned(),
            (_, Some(Place::Socket(_))) => "syslog".to_owned(),
            (_, Some(Place::Journal(_))) => "journal".to_owned(),
            (Some(shape), _) => shape
                .called
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
                .take(40)
                .collect(),
            (None, _) => String::new(),
        };
        let base = if is_alone || called.is_empty() { word.to_owned() } else { format!("{word}-{called}") };
        let numbered = (2..).map(|i| format!("{base}-{i}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        source.name = names.find(|name| !taken.contains(name)).unwrap_or(base);
        taken.push(source.name.clone());
    }
}
