//! A reason in words that say what to look at first. Probable, never certain: the evidence stands beside it.

use gatewatch_parsers::Reason;

/// What probably happened.
#[must_use]
pub fn probable(reason: Reason) -> &'static str {
    match reason {
        Reason::ConnectionRefused => "nothing listens there: the process is down, or the port is wrong",
        Reason::ConnectionTimeout => "no connection in time: packets dropped on the way, or the host is down",
        Reason::ConnectionTerminated => {
            "the server closes or resets before a valid header: crashing or overloaded"
        }
        Reason::ConnectionReadTimeout => "the server accepts and does not answer in time: slow or saturated",
        Reason::ConnectionLimitReached => "the proxy's own limit of connections, sockets or ports is reached",
        Reason::DnsError => "the name does not resolve: the record, or the proxy's resolver",
        Reason::DnsTimeout => "the resolver does not answer",
        Reason::DestinationUnavailable => {
            "no server was left: all marked down, or the queue's time ran out; see the errors before"
        }
        Reason::TlsProtocolError => "the TLS handshake fails: protocol or cipher",
        Reason::TlsCertificateError => "the server's certificate is not accepted: expired, or another name",
        Reason::HttpProtocolError => "what comes back is no valid HTTP, or was refused by a response rule",
        Reason::HttpResponseHeaderSectionSize => "the response header is bigger than the proxy's buffer",
        Reason::HttpResponseIncomplete => "the response ends before its end",
        Reason::HttpResponseTimeout => "the response does not come in time: slow or saturated",
        Reason::ProxyConfigurationError => "the proxy's own configuration makes this answer",
        Reason::ConnectionFailed => "no connection is made: the process is down, no route, or TLS fails",
        Reason::InvalidResponse => "connected, but no valid header comes: closed, reset, garbage or too big",
        Reason::UpstreamResponse => "the upstream answers so itself: look there, or at the proxy behind it",
        Reason::ClientAborted => "clients leave before the answer: probably slow",
        Reason::Unknown => "the log does not say; log the upstream's fields",
    }
}
