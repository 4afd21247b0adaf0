//! A reason in words: what happened, and what to look at first. Probable, never certain: the evidence stands beside it.
//! Reports and messages say the same. And what a proxy wrote of its servers' states.

use gatewatch_parsers::{Millis, Reason};
use gatewatch_rules::servers::{Server, Stands};

/// What happened, and what is the probable cause.
#[must_use]
pub fn why(reason: Reason) -> (&'static str, Option<&'static str>) {
    let (happened, probable) = match reason {
        Reason::ConnectionRefused => ("the server refused the connection", "process down or wrong port"),
        Reason::ConnectionTimeout => {
            ("no connection was made in time", "packets dropped: firewall, route or host down")
        }
        Reason::ConnectionTerminated => (
            "the server closed or reset before a header",
            "process crashing or overloaded, or a keep-alive race",
        ),
        Reason::ConnectionReadTimeout => {
            ("connected, and then no header came in time", "a slow or saturated server")
        }
        Reason::ConnectionLimitReached => (
            "the proxy's own limit on connections was reached",
            "connections, sockets or ports used up on the proxy",
        ),
        Reason::DnsError => ("its name did not resolve", "the resolver, or the record is gone"),
        Reason::DnsTimeout => ("the resolver did not answer in time", "the resolver, or the way to it"),
        Reason::DestinationUnavailable => {
            ("no server was left to try", "all marked down or saturated; look at the errors before")
        }
        Reason::TlsProtocolError => {
            ("the TLS handshake failed", "protocol version, SNI or a plain-text port")
        }
        Reason::TlsCertificateError => {
            ("the server's certificate was not accepted", "certificate expired, or another name")
        }
        Reason::HttpProtocolError => {
            ("what came was not valid HTTP", "wrong port or protocol, or a broken server")
        }
        Reason::HttpResponseHeaderSectionSize => (
            "the response header was too big",
            "a cookie or header grew; else raise the proxy's buffer for headers",
        ),
        Reason::HttpResponseIncomplete => ("the response ended too early", "process crashing or restarted"),
        Reason::HttpResponseTimeout => ("the response did not come in time", "a slow or saturated server"),
        Reason::ProxyConfigurationError => {
            ("the proxy's own configuration made the answer", "the last change on the proxy")
        }
        Reason::ConnectionFailed => (
            "the proxy could not connect (refused, no route, or TLS)",
            "process down, wrong port, firewall or certificate",
        ),
        Reason::InvalidResponse => (
            "connected, but no valid header came (closed, reset, garbage or too big)",
            "process crashing or overloaded",
        ),
        Reason::UpstreamResponse => (
            "the server itself answered so, the proxy passed it on",
            "a fault behind it: look at its own log",
        ),
        Reason::ClientAborted => ("the client left", "an answer that takes too long"),
        Reason::Unknown => return ("the log does not tell why", None),
    };
    (happened, Some(probable))
}

/// Where a server stands, in words: `out of rotation since 16:23:35 (Layer4 timeout)`, `back since …`, `no server left
/// since …`. `clock` says a time; the reason is as logged, for whoever prints it to clean.
#[must_use]
pub fn rotation(server: &Server, clock: &dyn Fn(Millis) -> String) -> String {
    let out = if server.upstream.is_empty() { "no server left" } else { "out of rotation" };
    let why = match server.detail.as_str() {
        "" => String::new(),
        why => format!(" ({why})"),
    };
    match server.stands() {
        Stands::Out(since) => format!("{out} since {}{why}", clock(since)),
        Stands::Back(Some(from), to) => format!("{out} from {}, back at {}{why}", clock(from), clock(to)),
        Stands::Back(None, at) => format!("back at {}", clock(at)),
        Stands::Paused(last) if server.times > 1 => {
            format!("taken out for a while {} times, last at {}{why}", server.times, clock(last))
        }
        Stands::Paused(last) => format!("taken out for a while at {}{why}", clock(last)),
    }
}

/// What a server, or a pool, is called.
#[must_use]
pub fn server_name(server: &Server) -> &str {
    match (server.upstream.as_str(), server.pool.as_str()) {
        ("", "") => "(a pool)",
        ("", pool) => pool,
        (upstream, _) => upstream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_go_and_come_back_in_words() {
        use gatewatch_parsers::Happened::{Down, NoServer, Paused, Up};
        let cases = [
            ("be/s1", vec![(35, Down)], "out of rotation since 35 (Layer4 timeout)"),
            ("be/s1", vec![(35, Down), (40, Up)], "out of rotation from 35, back at 40 (Layer4 timeout)"),
            ("be/s1", vec![(40, Up)], "back at 40"),
            ("", vec![(38, NoServer)], "no server left since 38 (Layer4 timeout)"),
            (
                "1.2.3.4:5",
                vec![(1, Paused), (2, Paused)],
                "taken out for a while 2 times, last at 2 (Layer4 timeout)",
            ),
        ];
        for (upstream, changes, expected) in cases {
            let (upstream, detail) = (upstream.to_owned(), "Layer4 timeout".to_owned());
            let times = changes.len() as u64;
            let server =
                Server { pool: "be".to_owned(), upstream, changes, times, detail, ..Server::default() };
            assert_eq!(rotation(&server, &|at| at.to_string()), expected);
        }
    }

    #[test]
    fn every_reason_has_words() {
        for reason in Reason::ALL {
            let (happened, probable) = why(reason);
            assert!(!happened.is_empty() && happened.len() < 100);
            assert_eq!(probable.is_none(), reason == Reason::Unknown);
        }
    }
}
