//! A reason in words: what happened, and what to look at first. Probable, never certain: the evidence stands beside it.
//! Reports and messages say the same.

use gatewatch_parsers::Reason;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words() {
        for reason in Reason::ALL {
            let (happened, probable) = why(reason);
            assert!(!happened.is_empty() && happened.len() < 100);
            assert_eq!(probable.is_none(), reason == Reason::Unknown);
        }
    }
}
