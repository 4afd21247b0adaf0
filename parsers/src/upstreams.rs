//! Attempts: one request may have tried several servers. nginx writes them as lists (`"a, b : c"`, `"502, 504 : 200"`),
//! HAProxy as a count of retries. Split only when asked for, so that nothing is allocated and the usual single attempt
//! costs next to nothing.

use crate::reason::{Cause, Reason};
use crate::record::Status;
use crate::text::{self, find, find_either};

/// One try at one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// A server on its own: `addr:port`, `unix:/path`, HAProxy's `backend/server`; empty if no single server is known
    /// (nginx's group name in place of an address, `<NOSRV>`, the failed tries of a redispatched request).
    pub upstream: &'a [u8],
    /// The group it belongs to; empty: that of the record.
    pub pool: &'a [u8],
    /// What it answered, or what the proxy noted for it.
    pub status: Status,
    /// Why it failed; `None`: it did not.
    pub failure: Option<Cause>,
}

/// What was tried, in order. Iterate with [`Attempts::iter`]; the last item gave the answer.
#[derive(Clone, Copy, Debug)]
pub enum Attempts<'a> {
    /// No upstream was involved, or the format does not say.
    None,
    /// One try.
    One(Attempt<'a>),
    /// nginx's lists, as logged.
    Lists(Lists<'a>),
    /// HAProxy: the logged server, and how many tries came before the last one.
    Retries(Retries<'a>),
}

/// nginx's upstream variables as logged (`$upstream_addr` and friends): item i of each belongs to attempt i. A missing
/// variable is empty; so is a list that is shorter than the others from there on.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// `$upstream_addr`
    pub addr: &'a [u8],
    /// `$upstream_status`
    pub status: &'a [u8],
    /// `$upstream_connect_time`; `None`: the format does not carry it, so nothing can be concluded from a dash.
    pub connect_time: Option<&'a [u8]>,
    /// `$upstream_header_time`; `None`: the format does not carry it.
    pub header_time: Option<&'a [u8]>,
    /// `$upstream_response_time`; `None`: the format does not carry it.
    pub response_time: Option<&'a [u8]>,
    /// `$upstream_response_length`; `None`: the format does not carry it.
    pub response_length: Option<&'a [u8]>,
    /// The request's own status: 009 says that the last attempt's answer was no HTTP.
    pub request_status: Status,
    /// A session of the stream module: it has no statuses of attempts, and tries the next server only if it could not
    /// connect to one.
    pub of_session: bool,
}

/// HAProxy's retries (`%rc`).
#[derive(Clone, Copy, Debug)]
pub struct Retries<'a> {
    /// The last attempt, at the logged server.
    pub last: Attempt<'a>,
    /// How many tries failed before it; bounded by the parser.
    pub before: u16,
    /// `+`: the request was redispatched, so the failed tries belong to the pool and to no known server.
    pub redispatched: bool,
    /// Why those failed, as far as is known.
    pub cause: Cause,
}

impl<'a> Attempts<'a> {
    /// Every attempt in order; allocates nothing.
    #[must_use]
    pub fn iter(&self) -> AttemptIter<'a> {
        AttemptIter(match *self {
            Attempts::None => Left::Nothing,
            Attempts::One(attempt) => Left::One(attempt),
            Attempts::Lists(lists) => Left::Lists(ListIter::new(lists)),
            Attempts::Retries(retries) => Left::Retries(retries),
        })
    }

    /// The attempt that gave the answer.
    #[must_use]
    pub fn last(&self) -> Option<Attempt<'a>> {
        match *self {
            Attempts::None => None,
            Attempts::One(attempt) => Some(attempt),
            Attempts::Lists(lists) => ListIter::new(lists).last(),
            Attempts::Retries(retries) => Some(retries.last),
        }
    }
}

impl<'a> IntoIterator for &Attempts<'a> {
    type Item = Attempt<'a>;
    type IntoIter = AttemptIter<'a>;

    fn into_iter(self) -> AttemptIter<'a> {
        self.iter()
    }
}

/// See [`Attempts::iter`].
#[derive(Clone, Debug)]
pub struct AttemptIter<'a>(Left<'a>);

#[derive(Clone, Debug)]
enum Left<'a> {
    Nothing,
    One(Attempt<'a>),
    Lists(ListIter<'a>),
    Retries(Retries<'a>),
}

impl<'a> Iterator for AttemptIter<'a> {
    type Item = Attempt<'a>;

    fn next(&mut self) -> Option<Attempt<'a>> {
        match &mut self.0 {
            Left::Nothing => None,
            Left::Lists(lists) => lists.next(),
            Left::Retries(retries) if retries.before > 0 => {
                retries.before -= 1;
                Some(retries.failed())
            }
            Left::One(last) | Left::Retries(Retries { last, .. }) => {
                let last = *last;
                self.0 = Left::Nothing;
                Some(last)
            }
        }
    }
}

impl<'a> Retries<'a> {
    /// A try before the last one.
    fn failed(&self) -> Attempt<'a> {
        let upstream: &[u8] = if self.redispatched { b"" } else { self.last.upstream };
        Attempt { upstream, pool: self.last.pool, status: Status::NONE, failure: Some(self.cause) }
    }
}

impl<'a> Lists<'a> {
    /// The attempts in these lists, in their cheapest form.
    #[must_use]
    #[inline]
    pub fn attempts(self) -> Attempts<'a> {
        match usual(self.addr, self.status).filter(|_| self.request_status != Status::new(9)) {
            Some(attempt) => Attempts::One(attempt),
            None => self.any_attempts(),
        }
    }

    #[inline(never)]
    fn any_attempts(self) -> Attempts<'a> {
        if is_absent(self.addr) && is_absent(self.status) {
            return Attempts::None;
        }
        if is_single(self.addr) && is_single(self.status) {
            return Attempts::One(self.attempt(self.addr, self.status, true, || self.evidence().next()));
        }
        Attempts::Lists(self)
    }

    /// Whether the last group was entered and none of its servers was tried (`502 : `): the name did not resolve. The
    /// answer is then nginx's own, whatever the attempts before it got.
    #[must_use]
    pub fn ends_before_connecting(&self) -> bool {
        [self.addr, self.status].iter().any(|list| list.trim_ascii_end().ends_with(b" :"))
    }

    /// Whether the last attempt got a header: `None` if the format does not say.
    #[must_use]
    pub fn last_header_came(&self) -> Option<bool> {
        let list = self.header_time.unwrap_or(self.status);
        if self.header_time.is_none() && self.status.is_empty() {
            return None;
        }
        Some(Items::new(list).last().is_some_and(|item| item.first().is_some_and(u8::is_ascii_digit)))
    }

    fn attempt(
        &self,
        addr: &'a [u8],
        status: &'a [u8],
        is_last: bool,
        seen: impl FnOnce() -> Seen,
    ) -> Attempt<'a> {
        let status = text::status(status).unwrap_or(Status::NONE);
        let is_group = is_group_name(addr);
        let upstream: &[u8] = if is_group || addr == b"-" { b"" } else { addr };
        // ingress-nginx has one group for everything and logs the real one beside it.
        let pool: &[u8] = if is_group && addr != b"upstream_balancer" { addr } else { b"" };
        let failure = match status.code() {
            Some(502) if is_group => Some(NO_SERVER),
            Some(code @ (502 | 504)) => Some(seen().cause(code)),
            _ if self.of_session => {
                let has_failed = !is_last || self.request_status == Status::new(502);
                has_failed.then(|| if is_group { NO_SERVER } else { seen().cause_of_session() })
            }
            _ if is_last && self.request_status == Status::new(9) => {
                Some(Cause::proxy(Reason::HttpProtocolError))
            }
            _ => None,
        };
        Attempt { upstream, pool, status, failure }
    }

    fn evidence(&self) -> Evidence<'a> {
        Evidence {
            connect_time: self.connect_time.map(Items::new),
            header_time: self.header_time.map(Items::new),
            response_length: self.response_length.map(Items::new),
        }
    }
}

/// One attempt that did not fail, at an address: nearly every request. The request's own status must not be 009.
#[inline(always)]
pub(crate) fn usual<'a>(addr: &'a [u8], status: &[u8]) -> Option<Attempt<'a>> {
    let &[a @ b'1'..=b'4', b @ b'0'..=b'9', c @ b'0'..=b'9'] = status else { return None };
    let [a, b, c] = [a, b, c].map(|digit| u16::from(digit - b'0'));
    let status = Status::new(a * 100 + b * 10 + c);
    text::is_ip_and_port(addr).then_some(Attempt { upstream: addr, pool: b"", status, failure: None })
}

/// The lists that tell how far an attempt came.
#[derive(Clone, Debug)]
struct Evidence<'a> {
    connect_time: Option<Items<'a>>,
    header_time: Option<Items<'a>>,
    response_length: Option<Items<'a>>,
}

impl Evidence<'_> {
    /// That of the next attempt. A list that is shorter than the others says of it that it did not come so far.
    fn next(&mut self) -> Seen {
        let is = |items: &mut Option<Items<'_>>, test: fn(&[u8]) -> bool| {
            items.as_mut().map(|items| test(items.next().unwrap_or_default()))
        };
        Seen {
            connected: is(&mut self.connect_time, is_number),
            header: is(&mut self.header_time, is_number),
            body: is(&mut self.response_length, is_positive) == Some(true),
        }
    }
}

/// How far an attempt came; `None`: the format does not say.
#[derive(Clone, Copy, Debug)]
struct Seen {
    connected: Option<bool>,
    header: Option<bool>,
    body: bool,
}

/// The group's name stands in place of an address.
const NO_SERVER: Cause = Cause::proxy(Reason::DestinationUnavailable);

impl Seen {
    /// Why a session's attempt failed: its connect time is taken once there is a connection. What failed then (a TLS
    /// handshake) is not logged.
    fn cause_of_session(self) -> Cause {
        let was_connected = self.connected == Some(true);
        Cause::proxy(if was_connected { Reason::Unknown } else { Reason::ConnectionFailed })
    }

    /// Who made the 502 or 504 of an attempt, and why. nginx notes both itself for servers that failed, and logs the same
    /// number for one that answered so. A header time, or a body, proves an answer; without a connect time it never
    /// connected (the time is taken after the TLS handshake).
    fn cause(self, code: u16) -> Cause {
        let timed_out = code == 504;
        match (self.connected, self.header) {
            (_, Some(true)) => Cause::upstream(),
            _ if self.body => Cause::upstream(),
            (Some(false), _) if timed_out => Cause::proxy(Reason::ConnectionTimeout),
            (Some(false), _) => Cause::proxy(Reason::ConnectionFailed),
            (Some(true), Some(false)) if timed_out => Cause::proxy(Reason::ConnectionReadTimeout),
            (Some(true), Some(false)) => Cause::proxy(Reason::InvalidResponse),
            (None, Some(false)) => Cause::proxy(Reason::Unknown),
            (_, None) => Cause::UNKNOWN,
        }
    }
}

#[derive(Clone, Debug)]
struct ListIter<'a> {
    lists: Lists<'a>,
    addr: Items<'a>,
    status: Items<'a>,
    evidence: Evidence<'a>,
}

impl<'a> ListIter<'a> {
    fn new(lists: Lists<'a>) -> ListIter<'a> {
        let (addr, status) = (Items::new(lists.addr), Items::new(lists.status));
        ListIter { lists, addr, status, evidence: lists.evidence() }
    }
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Attempt<'a>;

    fn next(&mut self) -> Option<Attempt<'a>> {
        loop {
            let (addr, status) = (self.addr.next(), self.status.next());
            if addr.is_none() && status.is_none() {
                return None;
            }
            let (addr, status) = (addr.unwrap_or_default(), status.unwrap_or_default());
            let seen = self.evidence.next();
            // nginx marks the change of group by a state without a peer: an empty item is such a mark, not an attempt.
            if addr.is_empty() && status.is_empty() {
                continue;
            }
            let is_last = self.addr.is_over() && self.status.is_over();
            return Some(self.lists.attempt(addr, status, is_last, || seen));
        }
    }
}

/// Items of one list: separated by `, ` (the next server) and ` : ` (an internal redirect to another group). A variable
/// that is absent as a whole has none.
#[derive(Clone, Debug)]
struct Items<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Items<'a> {
    fn new(list: &'a [u8]) -> Items<'a> {
        Items { rest: (!is_absent(list)).then_some(list) }
    }

    /// Nothing but marks of a change of group is left.
    fn is_over(&self) -> bool {
        self.rest.is_none_or(|rest| rest.iter().all(|b| b" ,:".contains(b)))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (item, after) = split_item(rest);
        self.rest = after;
        Some(item)
    }
}

/// The first item, and what follows its separator.
fn split_item(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut from = 0;
    while let Some(at) = list.get(from..).and_then(|rest| find_either(b',', b' ', rest)).map(|at| from + at) {
        let (item, rest) = list.split_at(at);
        if let Some(rest) = rest.strip_prefix(b",") {
            return (item, Some(rest.strip_prefix(b" ").unwrap_or(rest)));
        }
        if let Some(rest) = rest.strip_prefix(b" :")
            && matches!(rest.first(), None | Some(b' '))
        {
            return (item, Some(rest.strip_prefix(b" ").unwrap_or(rest)));
        }
        from = at + 1;
    }
    (list, None)
}

fn is_absent(list: &[u8]) -> bool {
    list.is_empty() || list == b"-"
}

fn is_single(list: &[u8]) -> bool {
    find_either(b',', b' ', list).is_none()
}

fn is_number(item: &[u8]) -> bool {
    item.first().is_some_and(u8::is_ascii_digit)
}

fn is_positive(item: &[u8]) -> bool {
    is_number(item) && item.iter().any(|b| (b'1'..=b'9').contains(b))
}

/// nginx writes the group's name in place of an address when no server of it was live. An address has a port, or is a
/// socket's path; a bare IPv4 address is what a log shortener leaves.
fn is_group_name(addr: &[u8]) -> bool {
    !is_absent(addr) && find(b':', addr).is_none() && !addr.iter().all(|b| b.is_ascii_digit() || *b == b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTHING: Lists<'static> = Lists {
        addr: b"",
        status: b"",
        connect_time: None,
        header_time: None,
        response_time: None,
        response_length: None,
        request_status: Status::NONE,
        of_session: false,
    };

    fn lists<'a>(addr: &'a str, status: &'a str) -> Lists<'a> {
        Lists { addr: addr.as_bytes(), status: status.as_bytes(), ..NOTHING }
    }

    /// `upstream|pool|status` of each attempt.
    fn shown(attempts: Attempts<'_>) -> Vec<String> {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let code = |s: Status| s.code().map_or("-".to_owned(), |c| format!("{c:03}"));
        attempts.iter().map(|a| format!("{}|{}|{}", text(a.upstream), text(a.pool), code(a.status))).collect()
    }

    #[test]
    fn lists_split_into_attempts() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("", "", &[]),
            ("-", "-", &[]),
            ("10.0.0.1:80", "200", &["10.0.0.1:80||200"]),
            ("10.0.0.1:80", "-", &["10.0.0.1:80||-"]),
            ("a:1, b:2", "502, 200", &["a:1||502", "b:2||200"]),
            ("a:1 : b:2, c:3", "504 : 502, 200", &["a:1||504", "b:2||502", "c:3||200"]),
            ("a:1, b:2 : b:2, c:3", "502, 502 : 502, 200", &["a:1||502", "b:2||502", "b:2||502", "c:3||200"]),
            ("a:1 : ", "502 : ", &["a:1||502"]),
            ("a:1 :", "502 :", &["a:1||502"]),
            ("a:1 : , b:2", "502 : , 200", &["a:1||502", "b:2||200"]),
            ("a:1, b:2", "502", &["a:1||502", "b:2||-"]),
            ("a:1", "502, 200", &["a:1||502", "||200"]),
            ("a:1, b:2", "200, -", &["a:1||200", "b:2||-"]),
            ("-, b:2", "-, 200", &["||-", "b:2||200"]),
            ("", "502, 200", &["||502", "||200"]),
            ("-", "502", &["||502"]),
            ("u_nolive", "502", &["|u_nolive|502"]),
            ("a:1, u_nolive", "502, 502", &["a:1||502", "|u_nolive|502"]),
            ("10.1.2.3", "502", &["10.1.2.3||502"]),
            (
                "unix:/run/x.sock, [::1]:41721, 127.0.0.1:41701",
                "502, 502, 200",
                &["unix:/run/x.sock||502", "[::1]:41721||502", "127.0.0.1:41701||200"],
            ),
            ("[2a02:cf40::::::::4e36]:500000000", "200", &["[2a02:cf40::::::::4e36]:500000000||200"]),
            ("a:1,b:2", "502,200", &["a:1||502", "b:2||200"]),
            ("unix:/run/my app.sock", "502", &["unix:/run/my app.sock||502"]),
            (" : ", " : ", &[]),
        ];
        for (addr, status, want) in cases {
            let lists = lists(addr, status);
            assert_eq!(shown(lists.attempts()), *want, "{addr:?} {status:?}");
            let last = lists.attempts().last().map(|a| (a.upstream, a.status));
            assert_eq!(last, lists.attempts().iter().last().map(|a| (a.upstream, a.status)));
        }
    }

    proptest! {
        #[test]
        fn the_usual_attempt_is_no_other(addr in "[-0-9.:, a]{0,2}[0-9.]{5,10}:[0-9]{1,4}[ ,a]{0,1}", status in "[0-9]{3}", code in 0..20u16) {
            let lists = Lists { request_status: Status::new(code), ..lists(&addr, &status) };
            if code != 9 && let Some(usual) = usual(lists.addr, lists.status) {
                prop_assert!(matches!(lists.any_attempts(), Attempts::One(one) if one == usual));
            }
        }
    }

    #[test]
    fn the_cause_goes_as_far_as_the_variables() {
        let p = Cause::proxy;
        type Seen = Option<&'static str>;
        let cases: &[(&str, Seen, Seen, Seen, Cause)] = &[
            ("502", Some("0.001"), Some("0.002"), None, Cause::upstream()),
            ("504", Some("0.001"), Some("0.002"), None, Cause::upstream()),
            ("502", Some("-"), Some("-"), None, p(Reason::ConnectionFailed)),
            ("504", Some("-"), Some("-"), None, p(Reason::ConnectionTimeout)),
            ("502", Some("0.000"), Some("-"), None, p(Reason::InvalidResponse)),
            ("504", Some("0.000"), Some("-"), None, p(Reason::ConnectionReadTimeout)),
            ("502", Some("-"), None, None, p(Reason::ConnectionFailed)),
            ("504", Some("-"), None, None, p(Reason::ConnectionTimeout)),
            ("502", Some("0.000"), None, None, Cause::UNKNOWN),
            ("502", None, Some("-"), None, p(Reason::Unknown)),
            ("502", None, Some("0.1"), None, Cause::upstream()),
            ("502", None, None, None, Cause::UNKNOWN),
            ("504", None, None, None, Cause::UNKNOWN),
            ("502", None, None, Some("0"), Cause::UNKNOWN),
            ("502", None, None, Some("4"), Cause::upstream()),
        ];
        for (status, connect, header, length, want) in cases {
            let lists = Lists {
                connect_time: connect.map(str::as_bytes),
                header_time: header.map(str::as_bytes),
                response_length: length.map(str::as_bytes),
                ..lists("10.0.0.1:80", status)
            };
            let got = lists.attempts().last().and_then(|a| a.failure);
            assert_eq!(got, Some(*want), "{status} {connect:?} {header:?} {length:?}");
        }
    }

    #[test]
    fn a_group_name_says_that_no_server_was_live() {
        let failure = lists("u_nolive", "502").attempts().last().and_then(|a| a.failure);
        assert_eq!(failure, Some(Cause::proxy(Reason::DestinationUnavailable)));
    }

    #[test]
    fn each_attempt_has_its_own_cause() {
        let lists = Lists {
            connect_time: Some(b"-, 0.001 : 0.002, 0.001"),
            header_time: Some(b"-, - : 0.004, 0.005"),
            ..lists("a:1, b:2 : c:3, d:4", "502, 504 : 502, 200")
        };
        let got: Vec<_> = lists.attempts().iter().map(|a| a.failure.map(|c| c.reason)).collect();
        let want = [
            Some(Reason::ConnectionFailed),
            Some(Reason::ConnectionReadTimeout),
            Some(Reason::UpstreamResponse),
            None,
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn a_hostile_list_costs_no_more_than_its_length() {
        let (addr, status) = (vec!["a:1"; 20_000].join(", "), vec!["502"; 20_000].join(" : "));
        let lists = Lists { connect_time: Some(status.as_bytes()), ..lists(&addr, &status) };
        assert_eq!(lists.attempts().iter().count(), 20_000);
    }

    #[test]
    fn only_the_last_attempt_answered_without_http() {
        let lists = Lists { request_status: Status::new(9), ..lists("a:1, b:2", "502, 200") };
        let got: Vec<_> = lists.attempts().iter().map(|a| a.failure.map(|c| c.reason)).collect();
        assert_eq!(got, [Some(Reason::Unknown), Some(Reason::HttpProtocolError)]);
    }

    #[test]
    fn retries_come_before_the_logged_server() {
        let last = Attempt { upstream: b"b/s1", pool: b"b", status: Status::new(200), failure: None };
        let cause = Cause::proxy(Reason::ConnectionFailed);
        let same = Attempts::Retries(Retries { last, before: 2, redispatched: false, cause });
        assert_eq!(shown(same), ["b/s1|b|-", "b/s1|b|-", "b/s1|b|200"]);
        let moved = Attempts::Retries(Retries { last, before: 1, redispatched: true, cause });
        assert_eq!(shown(moved), ["|b|-", "b/s1|b|200"]);
        assert_eq!(moved.last(), Some(last));
        assert_eq!(moved.iter().filter(|a| a.failure.is_some()).count(), 1);
    }
}
