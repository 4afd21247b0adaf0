//! `tinyproxy` — its log of messages. It has no line for a finished request, and no status: what is counted are
//! connections to targets. `Established connection to …` is one that was made, `opensock: Could not …` one that failed;
//! every request needs just one. What fails later (a target that answers nothing) is not told apart by its log. At
//! `LogLevel Error` the ones that were made are not logged: then there are failures without requests that went well.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while, take_while1};
use nom::character::complete::{char, digit1, space1};
use nom::sequence::{delimited, preceded, terminated};

use super::{Field, Format, Kind, Malformed, Parsed, SpecError};
use crate::context::Context;
use crate::fields::offset_in;
use crate::reason::{Cause, Reason};
use crate::record::{Outcome, Record, Status};
use crate::syslog::{self, Header};
use crate::text::{self, Failed, Piece};
use crate::upstreams::{Attempt, Attempts};

/// `tinyproxy`
pub const KIND: Kind = Kind {
    name: "tinyproxy",
    summary: "tinyproxy's log: connections to targets that were made or failed; it logs no statuses",
    example: "tinyproxy",
    compile: |setting| match setting {
        None => Ok(Box::new(Tinyproxy)),
        Some(_) => Err(SpecError { message: "`tinyproxy` takes no setting".to_owned(), at: 0 }),
    },
    built_in: || vec![Box::new(Tinyproxy)],
};

/// syslog has a level of its own, so the log has none then.
const LEVELS: [&[u8]; 7] = [b"CRITICAL", b"ERROR", b"WARNING", b"NOTICE", b"INFO", b"CONNECT", b"DEBUG"];

#[derive(Debug)]
struct Tinyproxy;

/// A line taken apart.
struct Line<'a> {
    node: &'a [u8],
    level: &'a [u8],
    stamp: &'a [u8],
    pid: &'a [u8],
    message: &'a [u8],
}

/// `CONNECT   Nov 22 14:54:06.123 [4242]: message`
fn own(line: &[u8]) -> Piece<'_, Line<'_>> {
    let (rest, level) =
        terminated(take_while1(|b: u8| b.is_ascii_uppercase()), space1).parse_complete(line)?;
    if !LEVELS.contains(&level) {
        return text::fail(line);
    }
    let (rest, date) = take::<_, _, Failed<'_>>(15usize).parse_complete(rest)?;
    let (after, _) = take_while(|b: u8| b == b'.' || b.is_ascii_digit()).parse_complete(rest)?;
    let stamp = line.get(offset_in(line, date)..offset_in(line, after)).unwrap_or(date);
    let (message, pid) = delimited(tag(&b" ["[..]), digit1, tag(&b"]:"[..])).parse_complete(after)?;
    let message = message.strip_prefix(b" ").unwrap_or(message);
    Ok((&[], Line { node: b"", level, stamp, pid, message }))
}

fn read<'a>(line: &'a [u8], context: &mut Context) -> Option<Line<'a>> {
    if let Ok((_, own)) = own(line) {
        return Some(own);
    }
    let mut prefix = context.prefix;
    let Header { rest, host, tag, stamp, .. } = syslog::strip(line, &mut prefix);
    if let Ok((_, own)) = own(rest) {
        context.prefix = prefix;
        return Some(Line { node: host, ..own });
    }
    if tag != b"tinyproxy" || stamp.is_empty() {
        return None;
    }
    context.prefix = prefix;
    Some(Line { node: host, level: b"", stamp, pid: b"", message: rest })
}

/// A connection to a target, or to the proxy behind this one.
struct Connection<'a> {
    to: &'a [u8],
    failure: Option<Reason>,
}

/// `None`: a message about anything else. A connection that the next proxy did not take is told twice; its first message
/// names the address.
fn connection(message: &[u8]) -> Option<Connection<'_>> {
    let quoted = || delimited(char('"'), take_while1(|b| b != b'"'), char('"'));
    let made = preceded(
        alt((
            tag(&b"Established connection to host "[..]),
            tag(&b"Established connection to upstream proxy "[..]),
        )),
        quoted(),
    );
    let target = || take_while1::<_, _, Failed<'_>>(|b| b > b' ' && b != b'"');
    let failed = preceded(tag(&b"opensock: Could not establish a connection to "[..]), target());
    let unresolved = preceded(
        alt((
            tag(&b"opensock: Could not retrieve address info for "[..]),
            tag(&b"opensock: Could not retrieve info for "[..]),
        )),
        target(),
    );
    let mut any = alt((
        made.map(|to| Connection { to, failure: None }),
        failed.map(|to| Connection { to, failure: Some(Reason::ConnectionFailed) }),
        unresolved.map(|to: &[u8]| Connection {
            to: to.strip_suffix(b":").unwrap_or(to),
            failure: Some(Reason::DnsError),
        }),
    ));
    any.parse_complete(message).ok().map(|(_, connection)| connection)
}

impl Format for Tinyproxy {
    fn name(&self) -> &'static str {
        "tinyproxy"
    }

    fn title(&self) -> String {
        "tinyproxy (connections; it logs no statuses)".to_owned()
    }

    fn knows_upstream(&self) -> bool {
        true
    }

    fn needs_zone(&self) -> bool {
        true
    }

    fn is_own(&self, line: &[u8], context: &mut Context) -> bool {
        read(line, context).is_some()
    }

    fn parse<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Result<Parsed<'a>, Malformed<'a>> {
        if line.trim_ascii().is_empty() {
            return Ok(Parsed::Other);
        }
        let Some(read) = read(line, context) else {
            return Err(Malformed { field: "level", at: 0, reason: "no line of tinyproxy's" });
        };
        let Some(Connection { to, failure }) = connection(read.message) else { return Ok(Parsed::Other) };
        let Some(end) = context.dates.any(read.stamp) else {
            return Err(Malformed { field: "time", at: offset_in(line, read.stamp), reason: "no such date" });
        };
        let mut record = Record::new(end, Status::NONE);
        let failure = failure.map(Cause::proxy);
        record.outcome = failure.map_or(Outcome::Fine, Outcome::GatewayError);
        record.node = read.node;
        record.site = text::site(to);
        record.attempts = Attempts::One(Attempt { upstream: to, pool: b"", status: Status::NONE, failure });
        Ok(Parsed::Record(record))
    }

    fn explain<'a>(&'a self, line: &'a [u8], context: &mut Context) -> Vec<Field<'a>> {
        let Some(read) = read(line, context) else { return Vec::new() };
        let to = connection(read.message).map_or(&b""[..], |connection| connection.to);
        let fields = [
            ("level", read.level),
            ("time", read.stamp),
            ("pid", read.pid),
            ("message", read.message),
            ("host", to),
        ];
        let seen = fields.into_iter().filter(|(_, value)| !value.is_empty());
        seen.map(|(name, value)| Field { name: name.to_owned(), value, at: offset_in(line, value) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Zone;

    fn context() -> Context {
        Context::new(Zone::Fixed(3_600_000), 1_795_359_233_000)
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// Line; `None`: other. Else end, upstream, site, why it failed.
    type Case = (&'static str, Option<(i64, &'static str, &'static str, Option<Reason>)>);

    const LINES: &[Case] = &[
        ("CONNECT   Nov 22 14:54:06.123 [4242]: Connect (file descriptor 6): 192.168.162.73", None),
        ("CONNECT   Nov 22 14:54:06.123 [4242]: Request (file descriptor 7): GET http://x/ HTTP/1.1", None),
        (
            r#"CONNECT   Nov 22 14:54:06.123 [4242]: Established connection to host "api.example" using file descriptor 10."#,
            Some((1_795_355_646_123, "api.example", "api.example", None)),
        ),
        (
            r#"CONNECT   Nov 22 14:54:06 [4242]: Established connection to upstream proxy "p1:3128" using file descriptor 10."#,
            Some((1_795_355_646_000, "p1:3128", "p1", None)),
        ),
        (
            "ERROR     Nov 22 14:54:06 [275293]: opensock: Could not establish a connection to ipv6.msftconnecttest.com",
            Some((
                1_795_355_646_000,
                "ipv6.msftconnecttest.com",
                "ipv6.msftconnecttest.com",
                Some(Reason::ConnectionFailed),
            )),
        ),
        (
            "ERROR     Nov 22 14:54:06.999 [1]: opensock: Could not retrieve address info for no.such:443: Name does not resolve",
            Some((1_795_355_646_999, "no.such:443", "no.such", Some(Reason::DnsError))),
        ),
        (
            "ERROR     Nov 22 14:54:06 [1]: opensock: Could not retrieve info for github.com",
            Some((1_795_355_646_000, "github.com", "github.com", Some(Reason::DnsError))),
        ),
        ("WARNING   Nov 22 14:54:06 [1]: Unable to connect to upstream proxy.", None),
        (
            "ERROR     Nov 22 14:54:06 [1]: read_request_line: Client (file descriptor: 6) closed socket before read.",
            None,
        ),
        (
            "INFO      Nov 22 14:54:06.1 [1]: Closed connection between local client (fd:6) and remote client (fd:7)",
            None,
        ),
        (
            "Nov 22 14:54:06 px1 tinyproxy[4570]: opensock: Could not establish a connection to a:80",
            Some((1_795_355_646_000, "a:80", "a", Some(Reason::ConnectionFailed))),
        ),
        ("", None),
    ];

    #[test]
    fn connections_are_counted_and_messages_are_not() {
        for (line, want) in LINES {
            let got = match Tinyproxy.parse(line.as_bytes(), &mut context()).unwrap() {
                Parsed::Record(record) => {
                    assert_eq!(record.status, Status::NONE);
                    let upstream = record.attempts.last().unwrap().upstream;
                    let reason = record.outcome.gateway_error().map(|cause| cause.reason);
                    Some((record.end, text(upstream), text(record.site), reason))
                }
                _ => None,
            };
            assert_eq!(got, *want, "{line}");
        }
    }

    #[test]
    fn what_is_no_such_line_says_where() {
        for (line, field, at) in [
            ("hello", "level", 0),
            ("CONNECT   Nov 22 14:54:06.123 [x]: y", "level", 0),
            (r#"CONNECT   Nov 42 14:54:06.123 [4]: Established connection to host "a" using"#, "time", 10),
        ] {
            let error = Tinyproxy.parse(line.as_bytes(), &mut context()).unwrap_err();
            assert_eq!((error.field, error.at), (field, at), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(line: Vec<u8>) {
            let _ = Tinyproxy.parse(&line, &mut context());
            let _ = Tinyproxy.parse(&[b"ERROR     Nov 22 14:54:06 [1]: opensock: ", line.as_slice()].concat(), &mut context());
            let _ = Tinyproxy.explain(&line, &mut context());
        }
    }
}
