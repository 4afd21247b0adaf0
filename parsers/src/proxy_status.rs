//! What proxies say of their own errors in a response's header: RFC 9209's `Proxy-Status`, and the error headers of
//! forward-proxy providers. It refines what the line itself shows; it never makes a gateway error of anything.

use memchr::{memchr, memmem};

use crate::reason::{Cause, Origin, Reason};

/// A header that tells of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    kind: Kind,
    /// Logged as the upstream's: then whoever made the error, it was not the proxy that wrote the line.
    passed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// RFC 9209.
    ProxyStatus,
    /// Bright Data's code: `target_40001`.
    BrightData,
    /// Smart Proxy Manager's word: `nxdomain`.
    Crawlera,
    /// Zyte API's type: `/download/temporary-error`.
    Zyte,
    /// Webshare's word: `target_connect_resolve_failed`.
    Webshare,
    /// A sentence: Bright Data's text, Oxylabs' description.
    Sentence,
}

/// The names of the headers that are understood, in lower case with underscores, as nginx's variables have them.
const HEADERS: &[(&str, Kind)] = &[
    ("proxy_status", Kind::ProxyStatus),
    ("x_brd_err_code", Kind::BrightData),
    ("x_brd_error_code", Kind::BrightData),
    ("x_brd_error", Kind::Sentence),
    ("x_brd_err_msg", Kind::Sentence),
    ("x_luminati_error", Kind::Sentence),
    ("x_crawlera_error", Kind::Crawlera),
    ("zyte_error_type", Kind::Zyte),
    ("zyte_error", Kind::Zyte),
    ("x_webshare_reason", Kind::Webshare),
    ("x_webshare_error_reason", Kind::Webshare),
    ("x_error_description", Kind::Sentence),
];

impl Header {
    /// `Proxy-Status` itself.
    pub const PROXY_STATUS: Header = Header { kind: Kind::ProxyStatus, passed: false };

    /// The names of those that are known, in lower case with underscores.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        HEADERS.iter().map(|(name, _)| *name)
    }

    /// The header of this name: `Proxy-Status`, `proxy_status`, `upstream_http_proxy_status`, `origin_Proxy-Status`.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Header> {
        let same = |known: &[u8], name: &[u8]| {
            known.len() == name.len()
                && known
                    .iter()
                    .zip(name)
                    .all(|(k, b)| *k == b.to_ascii_lowercase() || (*k == b'_' && *b == b'-'))
        };
        let whose = [(&b""[..], false), (b"upstream_http_", true), (b"origin_", true)];
        let own = [(&b"sent_http_"[..], false), (b"downstream_", false)];
        whose.into_iter().chain(own).find_map(|(prefix, passed)| {
            let name = name.strip_prefix(prefix)?;
            let (_, kind) = HEADERS.iter().find(|(known, _)| same(known.as_bytes(), name))?;
            Some(Header { kind: *kind, passed })
        })
    }

    /// What its value says; `None`: nothing.
    #[must_use]
    pub fn cause(self, value: &[u8]) -> Option<Cause> {
        let value = value.trim_ascii();
        if matches!(value, b"" | b"-") {
            return None;
        }
        let told = match self.kind {
            Kind::ProxyStatus => cause(value)?,
            Kind::BrightData => bright_data(value),
            Kind::Crawlera => crawlera(value),
            Kind::Zyte => zyte(value),
            Kind::Webshare => webshare(value),
            Kind::Sentence => sentence(value),
        };
        match told.origin {
            Origin::Proxy if self.passed => Some(Cause { origin: Origin::Upstream, ..told }),
            _ => Some(told),
        }
    }
}

/// What a provider's error header says; `None`: it is none that is known, or empty.
#[must_use]
pub fn provider(header: &[u8], value: &[u8]) -> Option<Cause> {
    Header::named(header).filter(|header| header.kind != Kind::ProxyStatus)?.cause(value)
}

/// A `Proxy-Status` value: a structured list of the proxies that handled the response, the one nearest to the origin
/// first. The first one that reports an error counts: it is where the failure was seen, those behind it only saw its
/// answer. Where none does, a server's error that was received and passed on is the upstream's own.
///
/// Quotes may stand as logs escape them (`\"`, `\x22`). `None`: no proxy reports an error.
#[must_use]
pub fn cause(value: &[u8]) -> Option<Cause> {
    let quotes = Quotes::of(value);
    let mut passed_on = false;
    for member in quotes.split(value, b',') {
        let mut parameters = quotes.split(member, b';');
        // The first part is the proxy's own name.
        parameters.next();
        for parameter in parameters {
            let Some(at) = memchr(b'=', parameter) else { continue };
            let (name, value) =
                (parameter.get(..at).unwrap_or_default(), parameter.get(at + 1..).unwrap_or_default());
            match name.trim_ascii() {
                b"error" => return Some(of_error(quotes.bare(value))),
                b"received-status" => passed_on |= matches!(value.trim_ascii(), [b'5', _, _]),
                _ => {}
            }
        }
    }
    passed_on.then(Cause::upstream)
}

/// RFC 9209, 2.3. A type that is not known here is an error of the proxy all the same.
fn of_error(error: &[u8]) -> Cause {
    let reason = match error {
        b"dns_timeout" => Reason::DnsTimeout,
        b"dns_error" => Reason::DnsError,
        b"destination_unavailable" => Reason::DestinationUnavailable,
        b"connection_refused" => Reason::ConnectionRefused,
        b"connection_terminated" => Reason::ConnectionTerminated,
        b"connection_timeout" => Reason::ConnectionTimeout,
        // No route.
        b"destination_ip_unroutable" => Reason::ConnectionFailed,
        b"connection_read_timeout" | b"connection_write_timeout" => Reason::ConnectionReadTimeout,
        b"connection_limit_reached" => Reason::ConnectionLimitReached,
        b"tls_protocol_error" | b"tls_alert_received" => Reason::TlsProtocolError,
        b"tls_certificate_error" => Reason::TlsCertificateError,
        b"http_response_incomplete" => Reason::HttpResponseIncomplete,
        b"http_response_header_section_size" | b"http_response_header_size" => {
            Reason::HttpResponseHeaderSectionSize
        }
        b"http_protocol_error"
        | b"http_response_body_size"
        | b"http_response_trailer_section_size"
        | b"http_response_trailer_size"
        | b"http_response_transfer_coding"
        | b"http_response_content_coding"
        | b"http_upgrade_failed" => Reason::HttpProtocolError,
        b"http_response_timeout" => Reason::HttpResponseTimeout,
        b"destination_not_found"
        | b"destination_ip_prohibited"
        | b"http_request_denied"
        | b"proxy_configuration_error"
        | b"proxy_loop_detected" => Reason::ProxyConfigurationError,
        // `http_request_error`, `proxy_internal_response`, `proxy_internal_error`, and what is not registered.
        _ => Reason::Unknown,
    };
    Cause::proxy(reason)
}

/// How the quotes of a structured field stand in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// `"…"`, in which a backslash takes the next byte with it.
    Raw,
    /// `\"…\"` or `\x22…\x22`: the line's own escapes are around the field's.
    Escaped,
}

impl Quotes {
    fn of(value: &[u8]) -> Quotes {
        match memchr(b'"', value) {
            Some(at) if at == 0 || value.get(at - 1) != Some(&b'\\') => Quotes::Raw,
            _ => Quotes::Escaped,
        }
    }

    /// The byte that is meant here, and how many the log has for it.
    fn meant(self, rest: &[u8]) -> Option<(u8, usize)> {
        match (self, rest) {
            (Quotes::Escaped, [b'\\', b'x', b'2', b'2', ..]) => Some((b'"', 4)),
            (Quotes::Escaped, [b'\\', b'x', b'5', b'C' | b'c', ..]) => Some((b'\\', 4)),
            (Quotes::Escaped, [b'\\', byte, ..]) => Some((*byte, 2)),
            (_, [byte, ..]) => Some((*byte, 1)),
            (_, []) => None,
        }
    }

    /// The parts between separators that stand outside of quotes.
    fn split(self, text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            let text = rest?;
            let (mut at, mut inside) = (0, false);
            while let Some((byte, len)) = self.meant(text.get(at..).unwrap_or_default()) {
                match byte {
                    b'"' => inside = !inside,
                    // Inside, a backslash takes the next one with it.
                    b'\\' if inside => {
                        at += len;
                        at += self.meant(text.get(at..).unwrap_or_default()).map_or(0, |(_, len)| len);
                        continue;
                    }
                    _ if byte == separator && !inside => {
                        rest = text.get(at + len..);
                        return text.get(..at);
                    }
                    _ => {}
                }
                at += len;
            }
            rest = None;
            Some(text)
        })
    }

    /// A token, also where somebody wrote it as a string.
    fn bare(self, value: &[u8]) -> &[u8] {
        let value = value.trim_ascii();
        let quote: &[&[u8]] = match self {
            Quotes::Raw => &[b"\""],
            Quotes::Escaped => &[b"\\\"", b"\\x22"],
        };
        let without = |quote: &&[u8]| value.strip_prefix(*quote)?.strip_suffix(*quote);
        quote.iter().find_map(without).unwrap_or(value)
    }
}

/// Bright Data's error catalog: what a code's family is about, and those of the 502s.
fn bright_data(code: &[u8]) -> Cause {
    Cause::proxy(match code {
        b"target_40001" | b"target_40011" => Reason::DnsError,
        b"peer_30030" | b"no_peers" | b"proxy_no_peer" => Reason::DestinationUnavailable,
        _ if code.starts_with(b"policy_") || code.starts_with(b"client_") => Reason::ProxyConfigurationError,
        _ => Reason::Unknown,
    })
}

/// Smart Proxy Manager's errors reference.
fn crawlera(word: &[u8]) -> Cause {
    Cause::proxy(match word {
        b"nxdomain" => Reason::DnsError,
        b"econnrefused" => Reason::ConnectionRefused,
        b"econnreset" | b"socket_closed_remotely" => Reason::ConnectionTerminated,
        b"ehostunreach" => Reason::ConnectionFailed,
        b"ssl_tunnel_error" => Reason::TlsProtocolError,
        b"timeout" | b"msgtimeout" => Reason::HttpResponseTimeout,
        b"noslaves" => Reason::DestinationUnavailable,
        b"serverbusy" | b"too_many_conns" | b"user_session_limit" => Reason::ConnectionLimitReached,
        b"bad_proxy_auth" | b"header_auth" | b"user_suspended" | b"domain_forbidden" | b"bad_endpoint"
        | b"bad_session_id" | b"bad_uri" | b"invalid_request" => Reason::ProxyConfigurationError,
        b"client_conn_closed" => return Cause { origin: Origin::Client, reason: Reason::ClientAborted },
        // Every try was answered with a ban, or something else.
        _ => Reason::Unknown,
    })
}

/// Zyte API's types are paths: what was asked for wrongly is told from what failed by the first part. Those of
/// `/download/` do not say why.
fn zyte(path: &[u8]) -> Cause {
    Cause::proxy(match path {
        _ if path.starts_with(b"/limits/") => Reason::ConnectionLimitReached,
        _ if path.starts_with(b"/auth/") || path.starts_with(b"/request/") => Reason::ProxyConfigurationError,
        _ => Reason::Unknown,
    })
}

/// Webshare's words begin with what it was doing.
fn webshare(word: &[u8]) -> Cause {
    let has = |part: &[u8]| memmem::find(word, part).is_some();
    Cause::proxy(if word.starts_with(b"target_connect") {
        match () {
            () if has(b"resolve") => Reason::DnsError,
            () if has(b"refused") => Reason::ConnectionRefused,
            () if has(b"timeout") || has(b"timed_out") => Reason::ConnectionTimeout,
            () => Reason::ConnectionFailed,
        }
    } else if has(b"limit") || has(b"auth") || has(b"suspend") || has(b"forbidden") {
        Reason::ProxyConfigurationError
    } else {
        Reason::Unknown
    })
}

/// Sentences for people, by what they have in common.
fn sentence(text: &[u8]) -> Cause {
    const PARTS: &[(&[u8], Reason)] = &[
        (b"could not resolve", Reason::DnsError),
        (b"aaaa record", Reason::DnsError),
        (b"econnrefused", Reason::ConnectionRefused),
        (b"connection refused", Reason::ConnectionRefused),
        (b"econnreset", Reason::ConnectionTerminated),
        (b"connection reset", Reason::ConnectionTerminated),
        (b"socket hang up", Reason::ConnectionTerminated),
        (b"certificate", Reason::TlsCertificateError),
        (b"invalid http response", Reason::HttpProtocolError),
        (b"invalid response", Reason::InvalidResponse),
        (b"no exit found", Reason::DestinationUnavailable),
        (b"exit node not found", Reason::DestinationUnavailable),
        (b"no peers", Reason::DestinationUnavailable),
        (b"do not have proxies", Reason::DestinationUnavailable),
        (b"target unreachable", Reason::ConnectionTimeout),
        (b"unable to reach", Reason::ConnectionTimeout),
        (b"request timed out", Reason::HttpResponseTimeout),
        (b"request has timed out", Reason::HttpResponseTimeout),
        (b"usage limit", Reason::ProxyConfigurationError),
    ];
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    if has(b"client disconnected") {
        return Cause { origin: Origin::Client, reason: Reason::ClientAborted };
    }
    let known = PARTS.iter().find(|(part, _)| has(part));
    Cause::proxy(known.map_or(Reason::Unknown, |(_, reason)| *reason))
}

/// The line's own evidence and what a header told, together: the header fills in who made the error where the line does
/// not show it, and says why in a finer word where the line's own is a coarser one for the same. What the line shows
/// itself is never contradicted: a proxy that failed before an answer came has no answer's header to believe.
#[must_use]
pub fn refined(own: Cause, told: Cause) -> Cause {
    let origin = match (own.origin, told.origin) {
        (Origin::Unknown, origin) => origin,
        (Origin::Proxy, Origin::Upstream) | (Origin::Client, _) => return own,
        (origin, _) => origin,
    };
    let is_finer = match own.reason {
        Reason::Unknown => true,
        // The upstream is a proxy itself, and says why it answered so.
        Reason::UpstreamResponse => !matches!(told.reason, Reason::Unknown | Reason::ClientAborted),
        Reason::ConnectionFailed => matches!(
            told.reason,
            Reason::ConnectionRefused | Reason::TlsProtocolError | Reason::TlsCertificateError
        ),
        Reason::InvalidResponse => matches!(
            told.reason,
            Reason::ConnectionTerminated
                | Reason::HttpProtocolError
                | Reason::HttpResponseHeaderSectionSize
                | Reason::HttpResponseIncomplete
        ),
        _ => false,
    };
    Cause { origin, reason: if is_finer { told.reason } else { own.reason } }
}

#[cfg(test)]
#[path = "proxy_status_tests.rs"]
mod tests;
