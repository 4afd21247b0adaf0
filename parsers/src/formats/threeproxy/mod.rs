//! `3proxy` — a `logformat` as it stands in 3proxy.cfg; without one, that of its sample configuration. It logs no
//! statuses but an error code (`%E`), which says how far a request came. Stamps are those of the end.

mod codes;
mod spec;

use memchr::{memchr, memrchr};

use super::{Field, Format, Kind, Malformed, Parsed};
use crate::context::Context;
use crate::fields::offset_in;
use crate::record::{EXTRA_LABELS_MAX, Extra, Millis, Record, Status};
use crate::text;
use crate::upstreams::{Attempt, Attempts};
use spec::{Spec, Step, Variable};

/// `3proxy:…`
pub const KIND: Kind = Kind {
    name: "3proxy",
    summary: "3proxy: its sample logformat, or any other; its error codes say what failed",
    example: "3proxy:L%d-%m-%Y %H:%M:%S %z %N.%p %E %U %C:%c %R:%r %O %I %h %T",
    compile: |setting| {
        let spec = Spec::compile(setting.unwrap_or(spec::SAMPLE))?;
        let name = setting.map_or("3proxy".to_owned(), |setting| format!("3proxy:{setting}"));
        Ok(Box::new(ThreeProxy::new(name, spec)))
    },
    built_in: || {
        let sample = Spec::compile(spec::SAMPLE).ok();
        sample
            .map(|spec| Box::new(ThreeProxy::new("3proxy".to_owned(), spec)) as Box<dyn Format>)
            .into_iter()
            .collect()
    },
};

#[derive(Debug)]
struct ThreeProxy {
    name: String,
    spec: Spec,
    labels: Vec<String>,
}

/// The values of a line by variable.
struct Values<'a> {
    line: &'a [u8],
    by_variable: [&'a [u8]; Variable::COUNT],
    /// Where the stamp begins and ends, if its parts stand together.
    stamp: Option<(usize, usize)>,
}

impl<'a> Values<'a> {
    fn get(&self, variable: Variable) -> &'a [u8] {
        self.by_variable.get(variable as usize).copied().unwrap_or_default()
    }
}

impl ThreeProxy {
    fn new(name: String, spec: Spec) -> ThreeProxy {
        // Which way out was taken: what a pool of exits is judged by.
        let labels = if spec.has(Variable::External) { vec!["exit_ip".to_owned()] } else { Vec::new() };
        ThreeProxy { name, spec, labels }
    }

    /// Takes a line apart as far as it goes; `Err`: the step whose value or literal is not there, and where.
    fn read<'a>(
        &self,
        line: &'a [u8],
        mut each: impl FnMut(&Step, &'a [u8]),
    ) -> Result<Values<'a>, (Option<&Step>, usize)> {
        let mut values = Values { line, by_variable: [b""; Variable::COUNT], stamp: None };
        let mut rest = line.strip_prefix(self.spec.head.as_bytes()).ok_or((None, 0))?;
        for step in &self.spec.steps {
            let failed = (Some(step), offset_in(line, rest));
            let (value, after) = step.read(rest).ok_or(failed)?;
            if step.variable.is_stamp() {
                let (at, end) = (offset_in(line, value), offset_in(line, value) + value.len());
                values.stamp = Some((values.stamp.map_or(at, |(from, _)| from), end));
            }
            if let Some(place) = values.by_variable.get_mut(step.variable as usize) {
                *place = value;
            }
            each(step, value);
            rest = after;
        }
        Ok(values)
    }

    fn bad(&self, values: &Values<'_>, variable: Variable, reason: &'static str) -> Malformed<'static> {
        Malformed { field: variable.name(), at: offset_in(values.line, values.get(variable)), reason }
    }

    fn record<'a>(&self, values: &Values<'a>, end: Millis, code: u16) -> Record<'a> {
        let mut record = Record::new(end, Status::NONE);
        let (received, sent) = (values.get(Variable::BytesIn), values.get(Variable::BytesOut));
        let progress = codes::Progress {
            asked: self.spec.has(Variable::BytesOut).then(|| sent != b"0"),
            answered: self.spec.has(Variable::BytesIn).then(|| received != b"0"),
        };
        record.outcome = codes::outcome(code, progress);
        record.request_time = text::millis(values.get(Variable::Duration)).map(|thousands| thousands / 1_000);
        let request = request(values.get(Variable::Text));
        (record.method, record.path) = (request.method, request.path);
        let named = text::dash(values.get(Variable::Hostname));
        let remote = values.get(Variable::Remote);
        record.site = text::site(
            [named, request.host, remote].into_iter().find(|host| !host.is_empty()).unwrap_or_default(),
        );
        let upstream = with_port(values.line, remote, values.get(Variable::RemotePort));
        // Nothing was connected to.
        if !matches!(remote, b"" | b"-" | b"0.0.0.0" | b"::" | b"[::]" | b"[0:0:0:0:0:0:0:0]") {
            let failure = record.outcome.gateway_error();
            record.attempts = Attempts::One(Attempt { upstream, pool: b"", status: Status::NONE, failure });
        } else if named.is_empty() && request.host.is_empty() {
            record.site = b"";
        }
        if !self.labels.is_empty() {
            let mut extra = [&b""[..]; EXTRA_LABELS_MAX];
            extra[0] = text::dash(values.get(Variable::External));
            record.extra = Extra::new(values.line, &extra);
        }
        record
    }
}

impl Format for ThreeProxy {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        if self.name == "3proxy" { "3proxy".to_owned() } else { "3proxy logformat".to_owned() }
    }

    fn extra_labels(&self) -> &[String] {
        &self.labels
    }

    fn knows_upstream(&self) -> bool {
        self.spec.has(Variable::Remote)
    }

    fn needs_zone(&self) -> bool {
        self.spec.needs_zone()
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        if line.trim_ascii().is_empty() {
            return Ok(Parsed::Other);
        }
        let values = self.read(line, |_, _| {}).map_err(|(step, at)| Malformed {
            field: step.map_or("logformat", |step| step.variable.name()),
            at,
            reason: "does not fit the logformat",
        })?;
        let code = values.get(Variable::Code);
        let code = code.iter().all(u8::is_ascii_digit).then(|| crate::fields::count(code)).flatten();
        let code = code.filter(|code| *code <= 999);
        let Some(code) = code else { return Err(self.bad(&values, Variable::Code, "no error code")) };
        if is_service(values.get(Variable::Text)) {
            return Ok(Parsed::Other);
        }
        match self.spec.time(&values.by_variable, context) {
            Some(end) => Ok(Parsed::Record(self.record(&values, end, code))),
            None => {
                let at = values.stamp.map_or(0, |(at, _)| at);
                Err(Malformed { field: self.spec.stamp_name(), at, reason: "no such date" })
            }
        }
    }

    fn explain<'a>(&'a self, line: &'a [u8], _context: &mut Context) -> Vec<Field<'a>> {
        let mut fields = Vec::new();
        // What was seen before the break is what people want; where it broke, `parse` says.
        let _ = self.read(line, |step, value| {
            let name = format!("%{}", char::from(step.letter));
            fields.push(Field { name, value, at: offset_in(line, value) });
        });
        fields
    }
}

/// A service that starts or ends logs in the same format.
fn is_service(text: &[u8]) -> bool {
    [&b"Accepting connections"[..], b"Accepting_connections", b"Exiting thread", b"Exiting_thread"]
        .iter()
        .any(|own| text.starts_with(own))
}

/// What a service's own text says of a request.
struct Request<'a> {
    method: &'a [u8],
    path: &'a [u8],
    host: &'a [u8],
}

/// `GET http://a.example/x HTTP/1.1`, `CONNECT a.example:443 HTTP/1.1`, and whatever SOCKS and others write. Blanks may
/// have been replaced.
fn request(text: &[u8]) -> Request<'_> {
    let none = Request { method: b"", path: b"", host: b"" };
    let letters = text.iter().position(|b| !b.is_ascii_uppercase()).unwrap_or(text.len());
    let (Some((method, rest)), true) = (text.split_at_checked(letters), letters > 2) else { return none };
    let Some((separator @ (b' ' | b'_'), rest)) = rest.split_first() else { return none };
    let end = memrchr(*separator, rest)
        .filter(|at| rest.get(at + 1..).is_some_and(|tail| tail.starts_with(b"HTTP/")));
    let target = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
    let Some(scheme) = text::find_literal(b"://", target) else {
        let is_tunnel = method == b"CONNECT";
        return Request { method, path: target, host: if is_tunnel { target } else { b"" } };
    };
    let after = target.get(scheme + 3..).unwrap_or_default();
    let (host, path) =
        after.split_at_checked(memchr(b'/', after).unwrap_or(after.len())).unwrap_or((after, b""));
    // Credentials are nobody's site.
    let host = memrchr(b'@', host).and_then(|at| host.get(at + 1..)).unwrap_or(host);
    Request { method, path, host }
}

/// `%R:%r` where they stand so.
fn with_port<'a>(line: &'a [u8], host: &'a [u8], port: &'a [u8]) -> &'a [u8] {
    let (from, at) = (offset_in(line, host), offset_in(line, port));
    if port.is_empty() || from + host.len() + 1 != at || line.get(at - 1) != Some(&b':') {
        return host;
    }
    line.get(from..at + port.len()).unwrap_or(host)
}

#[cfg(test)]
mod tests;
