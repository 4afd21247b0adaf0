//! What programs call a failed fetch: errno names, exceptions of Python, Node and Java, sentences of Go, curl and Fastly.
//! Words that name the failure are looked for, wherever they stand; names qualify (`httpx.ConnectTimeout`), sentences nest
//! (`ProxyError('Cannot connect to proxy.', NewConnectionError('… [Errno 111] Connection refused'))`).

use memchr::memmem;

use crate::reason::Reason;

/// What a text tells of a fetch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It failed on the way to the upstream, or there.
    Upstream(Reason),
    /// Whoever asked gave up.
    GivenUp,
    /// Nothing failed on the way: what came was not wanted, or never asked for.
    Elsewhere,
}

/// So much of a text is looked at.
const LOOKED_AT: usize = 1024;

/// What these texts say together; `None`: nothing that is known. The first word of the table that any of them has
/// decides, so that a name that says little (`ConnectionError`) does not hide a sentence that says more.
pub fn of(first: &[u8], others: &[&[u8]]) -> Option<Failure> {
    let text = Text::new(first, others);
    let has = |word: &str| text.has(word);
    // Go's sentences name the step first and what went wrong last.
    if has("i/o timeout") || has("deadline exceeded") {
        return Some(Failure::Upstream(match () {
            () if has("lookup ") => Reason::DnsTimeout,
            () if has("dial ") || has("proxyconnect") => Reason::ConnectionTimeout,
            () if has("read tcp") || has("write tcp") => Reason::ConnectionReadTimeout,
            () => Reason::HttpResponseTimeout,
        }));
    }
    let is_text =
        |word| first.eq_ignore_ascii_case(word) || others.iter().any(|t| t.eq_ignore_ascii_case(word));
    if is_text(&b"EOF"[..]) {
        return Some(is(Reason::ConnectionTerminated));
    }
    if is_text(&b"EPROTO"[..]) {
        return Some(is(Reason::TlsProtocolError));
    }
    let timed_out = || TIMED_OUT.iter().any(|word| has(word));
    let found = PLACES.iter().find(|place| text.may_have(place.hash) && place.word().is_some_and(has));
    match found.and_then(|place| WORDS.get(usize::from(place.group))) {
        // Not connected, and that took too long.
        Some((Failure::Upstream(Reason::ConnectionFailed), _)) if timed_out() => {
            Some(is(Reason::ConnectionTimeout))
        }
        Some((failure, _)) => Some(*failure),
        // A status' own words say nothing of how it came about. Else: where it stood still is not said.
        None if has("gateway time") => None,
        None => timed_out().then_some(is(Reason::HttpResponseTimeout)),
    }
}

/// Texts in lower case, and which four bytes in a row they may have: most words are ruled out by their first four, which
/// is what makes a table of so many cheap.
struct Text {
    lower: [u8; LOOKED_AT],
    len: usize,
    /// A bit for each hash of four bytes.
    fours: [u64; FOURS / 64],
}

/// How many hashes of four bytes there are.
const FOURS: usize = 4096;

impl Text {
    fn new(first: &[u8], others: &[&[u8]]) -> Text {
        let (mut lower, mut len) = ([0; LOOKED_AT], 0);
        for text in std::iter::once(&first).chain(others) {
            let room = lower.get_mut(len..).unwrap_or_default();
            let taken = text.len().min(room.len().saturating_sub(1));
            for (to, from) in room.iter_mut().zip(text.iter().take(taken)) {
                *to = from.to_ascii_lowercase();
            }
            // A zero between them: no word reaches from one text into the next.
            len += taken + usize::from(taken < room.len());
        }
        let mut fours = [0; FOURS / 64];
        for four in lower.get(..len).unwrap_or_default().windows(4) {
            let hash = hash(four);
            if let Some(bits) = fours.get_mut(hash / 64) {
                *bits |= 1 << (hash % 64);
            }
        }
        Text { lower, len, fours }
    }

    fn has(&self, word: &str) -> bool {
        let word = word.as_bytes();
        let may = word.get(..4).is_none_or(|four| self.may_have(hash(four)));
        may && memmem::find(self.lower.get(..self.len).unwrap_or_default(), word).is_some()
    }

    #[inline(always)]
    fn may_have(&self, hash: usize) -> bool {
        self.fours.get(hash / 64).is_some_and(|bits| bits & (1 << (hash % 64)) != 0)
    }
}

const fn hash(four: &[u8]) -> usize {
    let &[a, b, c, d, ..] = four else { return 0 };
    u32::from_le_bytes([a, b, c, d]).wrapping_mul(0x9E37_79B1) as usize >> 20
}

/// Where a word of the table stands: to part the table for each text would cost more than to look for its words.
#[derive(Clone, Copy)]
struct Place {
    /// Of its first four bytes; no word is shorter.
    hash: usize,
    group: u16,
    from: u16,
    to: u16,
}

impl Place {
    fn word(&self) -> Option<&'static str> {
        WORDS.get(usize::from(self.group))?.1.get(usize::from(self.from)..usize::from(self.to))
    }
}

/// Every word of [`WORDS`], in their order.
static PLACES: [Place; count()] = places();

/// How many words there are.
const fn count() -> usize {
    let (mut group, mut count) = (0, 0);
    while group < WORDS.len() {
        let words = WORDS[group].1.as_bytes();
        let mut at = 0;
        while at < words.len() {
            count += (words[at] == b'|') as usize;
            at += 1;
        }
        (group, count) = (group + 1, count + 1);
    }
    count
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a table of some hundred words, read when this is compiled"
)]
const fn places() -> [Place; count()] {
    let mut places = [Place { hash: 0, group: 0, from: 0, to: 0 }; count()];
    let (mut group, mut next) = (0, 0);
    while group < WORDS.len() {
        let words = WORDS[group].1.as_bytes();
        let (mut from, mut at) = (0, 0);
        while at <= words.len() {
            if at == words.len() || words[at] == b'|' {
                assert!(at - from >= 4, "every word is told by its first four bytes");
                let (_, word) = words.split_at(from);
                places[next] =
                    Place { hash: hash(word), group: group as u16, from: from as u16, to: at as u16 };
                (from, next) = (at + 1, next + 1);
            }
            at += 1;
        }
        group += 1;
    }
    places
}

/// Words of any timeout.
const TIMED_OUT: &[&str] = &["timeout", "timed out", "timed_out", "timedout"];

const fn is(reason: Reason) -> Failure {
    Failure::Upstream(reason)
}

/// Words in lower case between bars, the finest first.
const WORDS: &[(Failure, &str)] = &[
    (is(Reason::DnsTimeout), "dnstimeout|dns timeout|dns_timeout|dnslookuptimeout|resolver timeout"),
    (
        is(Reason::DnsError),
        "nameresolution|name resolution|getaddrinfo|gaierror|enotfound|eai_again|dnslookup|dnserror|\
         dns_error|dns error|no such host|name or service not known|nodename nor servname|\
         could not resolve|couldn't resolve|failed to resolve|resolve failed|name_not_resolved|unknownhost|\
         no address associated|server misbehaving|nxdomain|unknown host|err_name_",
    ),
    (
        is(Reason::TlsCertificateError),
        "certificate_verify_failed|certificate verify failed|certificateerror|certverification|x509|\
         err_cert|self signed|self-signed|self_signed|cert_has_expired|certificate has expired|\
         unable_to_verify|unable_to_get_issuer|altname_invalid|issuer certificate|sslpeerunverified|\
         failed to verify certificate|against certificate|certificate subject|certificate is not",
    ),
    (
        is(Reason::ConnectionTimeout),
        "handshake timeout|handshake operation timed out|handshake timed out|handshaketimeout",
    ),
    (
        is(Reason::TlsProtocolError),
        "sslerror|ssl error|ssl_error|sslhandshake|ssl handshake|tls handshake|ssl routines|[ssl|tls:|\
         tlserror|tls alert|tlsv1|err_ssl|write eproto|wrong_version_number|wrong version number|\
         sslzeroreturn|ssleof|openssl.ssl|tls_error|http response to https client|connectorssl|ssl_connect|\
         secure tls connection",
    ),
    (
        is(Reason::ConnectionTimeout),
        "connecttimeout|connect timeout|connect_timeout|connectiontimeout|connection timeout|\
         connection_timeout|connection_timed_out|connect timed out|tcptimedout|connect etimedout|\
         timeout while connecting|timed out while connecting|timeout connecting",
    ),
    (
        is(Reason::ConnectionReadTimeout),
        "readtimeout|read timeout|read timed out|read_timeout|read etimedout|writetimeout|write timeout|\
         timeout on reading|sockettimeout|body timeout|body_timeout|between bytes timeout",
    ),
    (
        is(Reason::HttpResponseTimeout),
        "awaiting headers|awaiting response headers|headers_timeout|headers timeout|first byte timeout|\
         operation timed out after|servertimeout",
    ),
    (is(Reason::ConnectionTimeout), "etimedout|connection timed out|errno 110"),
    (
        is(Reason::ConnectionRefused),
        "connectionrefused|connection refused|connection_refused|econnrefused|errno 111|actively refused",
    ),
    (
        is(Reason::ConnectionLimitReached),
        "pooltimeout|too many open files|emfile|eaddrnotavail|cannot assign requested address|max_conn|\
         connectionpoolfull|too many connections",
    ),
    (
        is(Reason::DestinationUnavailable),
        "no upstreams available|no available server|no healthy|failed or unhealthy|is unhealthy|\
         backend unhealthy|quorum weight not reached|no proxies|no proxy available|noproxies|\
         noproxyavailable|no exit found|no exit node|no peers",
    ),
    (
        is(Reason::HttpResponseHeaderSectionSize),
        "header overflow|header_overflow|headers_overflow|headers overflow|65536 bytes when reading|\
         server response headers exceeded|too many headers|header too large",
    ),
    (
        is(Reason::HttpResponseIncomplete),
        "incompleteread|chunkedencoding|clientpayload|contentlengtherror|transferencodingerror|dataloss|\
         partialdownload|transfer closed|incomplete response|while reading body|content_length_mismatch|\
         incomplete_chunked|response ended prematurely|incomplete chunked read|premature close",
    ),
    (
        is(Reason::HttpProtocolError),
        "badstatusline|malformed|httpparser|hpe_|err_invalid_http|invalid http|invalidhttp|\
         illegal status line|illegal header|illegalheader|badhttpmessage|bad http|not http|http2 error|\
         stream error: stream id|err_http2|invalidheader|received http/0.9|\
         transport connection broken: unsupported",
    ),
    (
        is(Reason::ConnectionTerminated),
        "connectionreset|connection reset|connection_reset|econnreset|errno 104|connectionaborted|\
         connection aborted|connection_aborted|remotedisconnected|remote end closed|disconnected|\
         connectionlost|connection lost|connectiondone|connection was closed|connection closed|\
         connectionclosed|connection_closed|closed the connection|socket hang up|other side closed|\
         broken pipe|brokenpipe|epipe|empty reply|empty_response|closed by the remote|backend write error|\
         server closed|goaway|closed connection",
    ),
    (
        is(Reason::ProxyConfigurationError),
        "failed: 407|failed: 403|failed: 402|proxy authentication|err_proxy_auth|response 407|\
         'status': 407|invalid proxy|invalidproxy|loop detected|code 407",
    ),
    (
        is(Reason::ConnectionFailed),
        "no route to host|ehostunreach|enetunreach|network is unreachable|network unreachable|\
         host is unreachable|host unreachable|errno 113|errno 101|noroute|newconnection|connectorerror|\
         proxyconnection|cannot connect|can't connect|could not connect|couldn't connect|failed to connect|\
         unable to connect|connecterror|connect error|proxyerror|tunnel connection failed|\
         tunnel_connection_failed|connect tunnel|tunnelerror|err_connection_failed|proxy_connection_failed|\
         connectionfailed|connection failed|err_address_unreachable|err_internet_disconnected|sockserror|\
         socks server|socksconnection",
    ),
    (
        is(Reason::InvalidResponse),
        "remoteprotocolerror|responsefailed|responseneverreceived|backend read error",
    ),
    (is(Reason::ConnectionTerminated), "eoferror|unexpected eof|: eof"),
    (Failure::GivenUp, "cancelled|canceled|aborterror|err_aborted|keyboardinterrupt|client disconnected"),
    (
        Failure::Elsewhere,
        "toomanyredirects|too many redirects|invalidurl|invalid url|invalidschema|missingschema|\
         unsupportedprotocol|unsupportedurl|notsupported|jsondecode|unicodedecode|unicodeencode|keyerror|\
         valueerror|typeerror|attributeerror|indexerror|assertionerror|decodingerror|ignorerequest|\
         forbidden by robots|dropitem|localprotocolerror|syntaxerror|parsererror|filtered duplicate",
    ),
];

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
