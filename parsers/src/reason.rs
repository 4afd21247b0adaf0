//! Who made a gateway error, and why: the words of RFC 9209 (the Proxy-Status header), and a few coarser ones for when
//! the evidence in a log line goes no further. A coarser word is right where a finer one would be a guess.

use serde::{Deserialize, Serialize};

/// Who made the answer that the client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The proxy that wrote this line made the error, because an upstream failed.
    Proxy,
    /// The upstream itself answered so; the proxy passed it through.
    Upstream,
    /// Logged because the client left.
    Client,
    /// The line does not tell.
    Unknown,
}

impl Origin {
    /// Every origin, in the order in which reports list them; `ALL[o as usize] == o`.
    pub const ALL: [Origin; 4] = [Origin::Proxy, Origin::Upstream, Origin::Client, Origin::Unknown];

    /// The word as it stands in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Origin::Proxy => "proxy",
            Origin::Upstream => "upstream",
            Origin::Client => "client",
            Origin::Unknown => "unknown",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why an upstream failed, in RFC 9209's words where the line shows that much.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason; `ALL[r as usize] == r`.
            pub const ALL: [Reason; [$(Reason::$variant),*].len()] = [$(Reason::$variant),*];

            /// The word as it stands in output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }
        }
    };
}

// A macro, since the variant, its word and its place in `ALL` must never drift apart.
reasons! {
    /// The upstream refused the connection.
    ConnectionRefused = "connection_refused",
    /// The connection, or its TLS handshake, was not made in time.
    ConnectionTimeout = "connection_timeout",
    /// The upstream closed or reset the connection before a complete header.
    ConnectionTerminated = "connection_terminated",
    /// Connected, and then nothing came in time.
    ConnectionReadTimeout = "connection_read_timeout",
    /// The proxy's own limit on connections, sockets or ports was reached.
    ConnectionLimitReached = "connection_limit_reached",
    /// The name did not resolve.
    DnsError = "dns_error",
    /// The resolver did not answer in time.
    DnsTimeout = "dns_timeout",
    /// No server was left to try: all down, none configured, or the wait in the queue ran out.
    DestinationUnavailable = "destination_unavailable",
    /// The TLS handshake failed.
    TlsProtocolError = "tls_protocol_error",
    /// The upstream's certificate was not accepted.
    TlsCertificateError = "tls_certificate_error",
    /// What came was not valid HTTP.
    HttpProtocolError = "http_protocol_error",
    /// The response header was too big.
    HttpResponseHeaderSectionSize = "http_response_header_section_size",
    /// The response ended before its end.
    HttpResponseIncomplete = "http_response_incomplete",
    /// The response did not come in time.
    HttpResponseTimeout = "http_response_timeout",
    /// The proxy's own configuration made the answer.
    ProxyConfigurationError = "proxy_configuration_error",
    /// Coarse: never connected; refused, no route or a failed TLS handshake.
    ConnectionFailed = "connection_failed",
    /// Coarse: connected, but no valid header came; closed, reset, garbage or too big.
    InvalidResponse = "invalid_response",
    /// The upstream itself answered with this status.
    UpstreamResponse = "upstream_response",
    /// The client left.
    ClientAborted = "client_aborted",
    /// The line does not tell.
    Unknown = "unknown",
}

/// Who and why, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// Who made the error.
    pub origin: Origin,
    /// Why.
    pub reason: Reason,
}

impl Cause {
    /// The line shows neither who nor why: a combined log's 502.
    pub const UNKNOWN: Cause = Cause { origin: Origin::Unknown, reason: Reason::Unknown };

    /// The proxy made the error, for this reason.
    #[must_use]
    pub const fn proxy(reason: Reason) -> Cause {
        Cause { origin: Origin::Proxy, reason }
    }

    /// The upstream made it; the proxy passed it through.
    #[must_use]
    pub const fn upstream() -> Cause {
        Cause { origin: Origin::Upstream, reason: Reason::UpstreamResponse }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_order_of_discriminants() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, i);
        }
        for (i, origin) in Origin::ALL.iter().enumerate() {
            assert_eq!(*origin as usize, i);
        }
    }
}
