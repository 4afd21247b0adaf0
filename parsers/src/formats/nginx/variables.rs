//! nginx's variables: what a value can look like, and which of them bear on a record.

use nom::Parser;
use nom::bytes::complete::take_while1;
use nom::character::complete::digit1;

use crate::proxy_status::Header;
use crate::text::{self, Piece};

/// A value that a record needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    TimeLocal,
    TimeIso,
    Msec,
    Request,
    Method,
    RequestUri,
    Uri,
    Host,
    HttpHost,
    ServerName,
    Status,
    RequestTime,
    Addr,
    UpstreamStatus,
    ConnectTime,
    HeaderTime,
    ResponseTime,
    ResponseLength,
    CacheStatus,
    Pool,
    Hostname,
    /// Nginx Proxy Manager's `$server`: the one server behind a host.
    Server,
    /// `$session_time`, which only stream's logs have.
    SessionTime,
    /// `$protocol`, the same.
    Protocol,
    /// What a header tells of an error.
    ProxyStatus,
}

/// How many slots there are.
pub(super) const SLOTS: usize = Slot::ProxyStatus as usize + 1;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `22/Nov/2026:14:53:53 +0000`
    Clf,
    /// `2026-11-22T14:53:53+00:00`
    Iso,
    /// Three digits.
    Status,
    /// `157`, `-` or nothing.
    Number,
    /// `0.001`, `-` or nothing.
    Decimal,
    /// No blank in it.
    Token,
    /// Anything: what clients send, and variables that nobody here knows.
    Free,
    /// Upstream lists of addresses, of statuses, of times and lengths.
    Addresses,
    /// See `Addresses`.
    Statuses,
    /// See `Addresses`.
    Numbers,
}

/// Variables that bear on nothing and hold no blank.
const TOKENS: &[&str] = &[
    "remote_addr",
    "realip_remote_addr",
    "server_addr",
    "binary_remote_addr",
    "scheme",
    "request_id",
    "req_id",
    "server_protocol",
    "pipe",
    "gzip_ratio",
    "proxy_alternative_upstream_name",
    "ssl_protocol",
    "ssl_cipher",
    "ssl_session_reused",
    "connection_time",
    "request_completion",
    "http2",
    "http3",
];

/// What is known of a variable.
pub(super) fn variable(name: &str) -> (Shape, Option<Slot>) {
    match name {
        "time_local" => (Shape::Clf, Some(Slot::TimeLocal)),
        "time_iso8601" => (Shape::Iso, Some(Slot::TimeIso)),
        "msec" => (Shape::Decimal, Some(Slot::Msec)),
        "status" => (Shape::Status, Some(Slot::Status)),
        "request" => (Shape::Free, Some(Slot::Request)),
        "request_method" => (Shape::Token, Some(Slot::Method)),
        "request_uri" => (Shape::Free, Some(Slot::RequestUri)),
        "uri" | "document_uri" => (Shape::Free, Some(Slot::Uri)),
        "host" => (Shape::Free, Some(Slot::Host)),
        "http_host" => (Shape::Free, Some(Slot::HttpHost)),
        "server_name" => (Shape::Free, Some(Slot::ServerName)),
        "request_time" => (Shape::Decimal, Some(Slot::RequestTime)),
        "upstream_addr" => (Shape::Addresses, Some(Slot::Addr)),
        "upstream_status" => (Shape::Statuses, Some(Slot::UpstreamStatus)),
        "upstream_connect_time" => (Shape::Numbers, Some(Slot::ConnectTime)),
        "upstream_header_time" => (Shape::Numbers, Some(Slot::HeaderTime)),
        "upstream_response_time" => (Shape::Numbers, Some(Slot::ResponseTime)),
        "upstream_response_length" => (Shape::Numbers, Some(Slot::ResponseLength)),
        "upstream_cache_status" => (Shape::Token, Some(Slot::CacheStatus)),
        "proxy_host" | "proxy_upstream_name" => (Shape::Token, Some(Slot::Pool)),
        "server" => (Shape::Token, Some(Slot::Server)),
        "hostname" => (Shape::Token, Some(Slot::Hostname)),
        "body_bytes_sent"
        | "bytes_sent"
        | "bytes_received"
        | "request_length"
        | "connection"
        | "connection_requests"
        | "pid"
        | "remote_port"
        | "server_port"
        | "content_length" => (Shape::Number, None),
        token if TOKENS.contains(&token) => (Shape::Token, None),
        _ => of_headers_and_sessions(name),
    }
}

/// The upstream's headers, and what the stream module has.
fn of_headers_and_sessions(name: &str) -> (Shape, Option<Slot>) {
    match name {
        "session_time" => (Shape::Decimal, Some(Slot::SessionTime)),
        "protocol" => (Shape::Token, Some(Slot::Protocol)),
        "ssl_preread_server_name" => (Shape::Free, Some(Slot::ServerName)),
        "upstream_bytes_received"
        | "upstream_bytes_sent"
        | "upstream_queue_time"
        | "upstream_first_byte_time"
        | "upstream_session_time" => (Shape::Numbers, None),
        _ => (Shape::Free, told(name)),
    }
}

/// The slot of a header that tells of an error, as far as it is an answer's: `$http_proxy_status` is the client's.
fn told(name: &str) -> Option<Slot> {
    let is_answers = name.starts_with("upstream_http_") || name.starts_with("sent_http_");
    Header::named(name.as_bytes()).filter(|_| is_answers).map(|_| Slot::ProxyStatus)
}

impl Shape {
    /// The value's end follows from the value itself.
    pub(super) fn is_fixed(self) -> bool {
        matches!(self, Shape::Clf | Shape::Iso | Shape::Status | Shape::Number | Shape::Decimal)
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Shape::Addresses | Shape::Statuses | Shape::Numbers)
    }

    /// As much as can belong to such a value; all of it for what has no shape.
    pub(super) fn take(self, rest: &[u8]) -> Piece<'_> {
        match self {
            Shape::Clf => clf(rest),
            Shape::Iso => iso(rest),
            Shape::Status => text::three_digits(rest).or_else(|_| text::literal(b"-", rest)),
            Shape::Number | Shape::Decimal => text::number_or_dash(rest).or_else(|_| nothing(rest)),
            Shape::Token => text::word(rest),
            Shape::Free => Ok((&[], rest)),
            Shape::Addresses => list(address, rest),
            Shape::Statuses => list(text::status_or_dash, rest),
            Shape::Numbers => list(text::number_or_dash, rest),
        }
    }

    /// Whether this can be such a value, as far as it needs to be known of what a quote ends: no other end is possible.
    pub(super) fn fits_between_quotes(self, value: &[u8]) -> bool {
        match self {
            Shape::Statuses | Shape::Numbers => {
                value.iter().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'.' | b',' | b' ' | b':'))
            }
            Shape::Addresses => true,
            _ => self.fits(value),
        }
    }

    /// Whether all of this can be such a value.
    pub(super) fn fits(self, value: &[u8]) -> bool {
        self == Shape::Free || self.take(value).is_ok_and(|(rest, _)| rest.is_empty())
    }
}

/// `list = group *(" : " group) ; group = item *(", " item)`, and an empty item where a group was entered and no server
/// of it tried.
fn list(item: fn(&[u8]) -> Piece<'_>, start: &[u8]) -> Piece<'_> {
    let mut rest = item(start).map_or(start, |(rest, _)| rest);
    loop {
        rest = match rest {
            [b' ', b':', b' ', after @ ..] => item(after).map_or(after, |(rest, _)| rest),
            [b' ', b':'] => &[],
            [b',', b' ', after @ ..] => match item(after) {
                Ok((rest, _)) => rest,
                // A comma without an item is the format's own.
                Err(_) => break,
            },
            _ => break,
        };
    }
    let (taken, rest) = start.split_at(start.len() - rest.len());
    Ok((rest, taken))
}

fn address(rest: &[u8]) -> Piece<'_> {
    take_while1(|b: u8| {
        !matches!(b, b' ' | b'\t' | b',' | b'"' | b'\'' | b'|' | b';' | b'{' | b'}' | b'(' | b')')
    })
    .parse_complete(rest)
}

fn nothing(rest: &[u8]) -> Piece<'_> {
    Ok((rest, &[]))
}

/// The date of `$time_local`. Only its outline: `Dates` reads it.
fn clf(rest: &[u8]) -> Piece<'_> {
    match rest {
        [
            _,
            _,
            b'/',
            _,
            _,
            _,
            b'/',
            _,
            _,
            _,
            _,
            b':',
            _,
            _,
            b':',
            _,
            _,
            b':',
            _,
            _,
            b' ',
            b'+' | b'-',
            zone @ ..,
        ] if zone.len() >= 4 => {
            let (taken, rest) = rest.split_at(26);
            Ok((rest, taken))
        }
        _ => text::fail(rest),
    }
}

/// The date of `$time_iso8601`, with or without a fraction and a zone. Only its outline.
fn iso(rest: &[u8]) -> Piece<'_> {
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b' ', _, _, b':', _, _, b':', _, _, tail @ ..] = rest
    else {
        return text::fail(rest);
    };
    let fraction = match tail {
        [b'.', digits @ ..] => digit1::<_, text::Failed<'_>>(digits).map_or(tail, |(tail, _)| tail),
        _ => tail,
    };
    let tail = match fraction {
        [b'Z', tail @ ..] => tail,
        [b'+' | b'-', h1, h2, b':', m1, m2, tail @ ..] | [b'+' | b'-', h1, h2, m1, m2, tail @ ..]
            if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
        {
            tail
        }
        tail => tail,
    };
    let (taken, rest) = rest.split_at(rest.len() - tail.len());
    Ok((rest, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_take_what_is_theirs() {
        let cases = [
            (Shape::Clf, "22/Nov/2026:14:53:53 +0000] x", Some("22/Nov/2026:14:53:53 +0000")),
            (Shape::Clf, "22/Nov/2026:14:53:53 +00", None),
            (Shape::Iso, "2026-11-22T14:53:53+00:00|", Some("2026-11-22T14:53:53+00:00")),
            (Shape::Iso, "2026-11-22T14:53:53.123Z|", Some("2026-11-22T14:53:53.123Z")),
            (Shape::Iso, "2026-11-22T14:53:53-0930|", Some("2026-11-22T14:53:53-0930")),
            (Shape::Iso, "2026-11-22T14:53:53|", Some("2026-11-22T14:53:53")),
            (Shape::Status, "502 157", Some("502")),
            (Shape::Status, "50", None),
            (Shape::Status, "5021", None),
            (Shape::Number, "157 x", Some("157")),
            (Shape::Number, ",", Some("")),
            (Shape::Decimal, "1.004 x", Some("1.004")),
            (Shape::Decimal, "- x", Some("-")),
            (Shape::Numbers, "0, 0 0.000, 0.000 502", Some("0, 0")),
            (Shape::Numbers, "0.1 : 0.2, - 502", Some("0.1 : 0.2, -")),
            (Shape::Numbers, "0.000 :  502 :  id", Some("0.000 : ")),
            (Shape::Statuses, "502 : , 200 id", Some("502 : , 200")),
            (Shape::Statuses, "502, \"x\"", Some("502")),
            (Shape::Statuses, "502 :", Some("502 :")),
            (
                Shape::Addresses,
                "unix:/run/x.sock, [::1]:80 : b:1 0",
                Some("unix:/run/x.sock, [::1]:80 : b:1"),
            ),
            (Shape::Addresses, "- - -", Some("-")),
            (Shape::Addresses, "a:1|502", Some("a:1")),
        ];
        for (shape, line, want) in cases {
            assert_eq!(
                shape.take(line.as_bytes()).ok().map(|(_, v)| v),
                want.map(str::as_bytes),
                "{shape:?} {line}"
            );
        }
    }
}
