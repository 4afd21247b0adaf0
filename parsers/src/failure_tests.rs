use super::*;

const SAYINGS: &[(&str, Option<Failure>)] = &[
    // requests and urllib3
    ("requests.exceptions.ConnectTimeout", Some(is(Reason::ConnectionTimeout))),
    ("ReadTimeout", Some(is(Reason::ConnectionReadTimeout))),
    (
        "HTTPSConnectionPool(host='a.example', port=443): Read timed out. (read timeout=10)",
        Some(is(Reason::ConnectionReadTimeout)),
    ),
    (
        "HTTPSConnectionPool(host='a.example', port=443): Max retries exceeded with url: / (Caused by ConnectTimeoutError(<urllib3.connection.HTTPSConnection object at 0x7f>, 'Connection to a.example timed out. (connect timeout=5)'))",
        Some(is(Reason::ConnectionTimeout)),
    ),
    (
        "HTTPSConnectionPool(host='a.example', port=443): Max retries exceeded with url: / (Caused by ProxyError('Cannot connect to proxy.', NewConnectionError('<x>: Failed to establish a new connection: [Errno 111] Connection refused')))",
        Some(is(Reason::ConnectionRefused)),
    ),
    (
        "ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 407 Proxy Authentication Required'))",
        Some(is(Reason::ProxyConfigurationError)),
    ),
    (
        "ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 502 Bad Gateway'))",
        Some(is(Reason::ConnectionFailed)),
    ),
    (
        "ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 504 Gateway Timeout'))",
        Some(is(Reason::ConnectionTimeout)),
    ),
    ("ProxyError", Some(is(Reason::ConnectionFailed))),
    (
        "(Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1007)')))",
        Some(is(Reason::TlsCertificateError)),
    ),
    ("SSLError", Some(is(Reason::TlsProtocolError))),
    (
        "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
        Some(is(Reason::ConnectionTerminated)),
    ),
    (
        "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
        Some(is(Reason::ConnectionTerminated)),
    ),
    ("ChunkedEncodingError", Some(is(Reason::HttpResponseIncomplete))),
    (
        "NameResolutionError(\"Failed to resolve 'a.example' ([Errno -2] Name or service not known)\")",
        Some(is(Reason::DnsError)),
    ),
    ("ConnectionRefusedError", Some(is(Reason::ConnectionRefused))),
    ("ConnectionError", None),
    ("TooManyRedirects", Some(Failure::Elsewhere)),
    // httpx
    ("httpx.ConnectTimeout", Some(is(Reason::ConnectionTimeout))),
    ("httpx.PoolTimeout", Some(is(Reason::ConnectionLimitReached))),
    ("httpx.ConnectError", Some(is(Reason::ConnectionFailed))),
    ("RemoteProtocolError", Some(is(Reason::InvalidResponse))),
    (
        "RemoteProtocolError: Server disconnected without sending a response.",
        Some(is(Reason::ConnectionTerminated)),
    ),
    ("RemoteProtocolError: illegal status line: bytearray(b'garbage')", Some(is(Reason::HttpProtocolError))),
    // aiohttp
    (
        "ClientConnectorError: Cannot connect to host a.example:443 ssl:default [Connect call failed ('10.0.0.1', 443)]",
        Some(is(Reason::ConnectionFailed)),
    ),
    ("ServerDisconnectedError", Some(is(Reason::ConnectionTerminated))),
    ("ClientPayloadError", Some(is(Reason::HttpResponseIncomplete))),
    ("ClientConnectorCertificateError", Some(is(Reason::TlsCertificateError))),
    ("ClientConnectorDNSError", Some(is(Reason::DnsError))),
    ("ClientProxyConnectionError", Some(is(Reason::ConnectionFailed))),
    ("asyncio.TimeoutError", Some(is(Reason::HttpResponseTimeout))),
    ("asyncio.CancelledError", Some(Failure::GivenUp)),
    // scrapy and twisted
    ("<class 'twisted.internet.error.TimeoutError'>", Some(is(Reason::HttpResponseTimeout))),
    ("twisted.internet.error.TCPTimedOutError", Some(is(Reason::ConnectionTimeout))),
    ("twisted.internet.error.DNSLookupError", Some(is(Reason::DnsError))),
    ("twisted.internet.error.ConnectionLost", Some(is(Reason::ConnectionTerminated))),
    (
        "[<twisted.python.failure.Failure twisted.internet.error.ConnectionDone: Connection was closed cleanly.>]",
        Some(is(Reason::ConnectionTerminated)),
    ),
    ("twisted.web._newclient.ResponseNeverReceived", Some(is(Reason::InvalidResponse))),
    (
        "scrapy.core.downloader.handlers.http11.TunnelError: Could not open CONNECT tunnel with proxy 1.2.3.4:80 [{'status': 407, 'reason': b'Proxy Authentication Required'}]",
        Some(is(Reason::ProxyConfigurationError)),
    ),
    // Go
    (
        "Get \"https://a.example/\": dial tcp 10.0.0.1:443: connect: connection refused",
        Some(is(Reason::ConnectionRefused)),
    ),
    ("dial tcp 10.0.0.1:443: i/o timeout", Some(is(Reason::ConnectionTimeout))),
    ("dial tcp: lookup a.example on 127.0.0.11:53: no such host", Some(is(Reason::DnsError))),
    ("dial tcp: lookup a.example: i/o timeout", Some(is(Reason::DnsTimeout))),
    ("read tcp 10.0.0.2:5->10.0.0.1:443: i/o timeout", Some(is(Reason::ConnectionReadTimeout))),
    (
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        Some(is(Reason::HttpResponseTimeout)),
    ),
    ("net/http: timeout awaiting response headers", Some(is(Reason::HttpResponseTimeout))),
    ("net/http: TLS handshake timeout", Some(is(Reason::ConnectionTimeout))),
    (
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        Some(is(Reason::TlsCertificateError)),
    ),
    ("remote error: tls: handshake failure", Some(is(Reason::TlsProtocolError))),
    ("http: server gave HTTP response to HTTPS client", Some(is(Reason::TlsProtocolError))),
    (
        "read tcp 10.0.0.2:5->10.0.0.1:443: read: connection reset by peer",
        Some(is(Reason::ConnectionTerminated)),
    ),
    ("Get \"https://a.example/\": EOF", Some(is(Reason::ConnectionTerminated))),
    (
        "net/http: HTTP/1.x transport connection broken: malformed HTTP response \"garbage\"",
        Some(is(Reason::HttpProtocolError)),
    ),
    ("no upstreams available", Some(is(Reason::DestinationUnavailable))),
    ("context canceled", Some(Failure::GivenUp)),
    // Node
    ("connect ECONNREFUSED 10.0.0.1:443", Some(is(Reason::ConnectionRefused))),
    ("ECONNRESET", Some(is(Reason::ConnectionTerminated))),
    ("ETIMEDOUT", Some(is(Reason::ConnectionTimeout))),
    ("getaddrinfo ENOTFOUND a.example", Some(is(Reason::DnsError))),
    ("socket hang up", Some(is(Reason::ConnectionTerminated))),
    ("UND_ERR_CONNECT_TIMEOUT", Some(is(Reason::ConnectionTimeout))),
    ("UND_ERR_HEADERS_TIMEOUT", Some(is(Reason::HttpResponseTimeout))),
    ("DEPTH_ZERO_SELF_SIGNED_CERT", Some(is(Reason::TlsCertificateError))),
    ("net::ERR_TUNNEL_CONNECTION_FAILED", Some(is(Reason::ConnectionFailed))),
    ("net::ERR_NAME_NOT_RESOLVED", Some(is(Reason::DnsError))),
    ("net::ERR_EMPTY_RESPONSE", Some(is(Reason::ConnectionTerminated))),
    // curl
    ("Could not resolve host: a.example", Some(is(Reason::DnsError))),
    (
        "Operation timed out after 30001 milliseconds with 0 bytes received",
        Some(is(Reason::HttpResponseTimeout)),
    ),
    ("Empty reply from server", Some(is(Reason::ConnectionTerminated))),
    // Fastly
    ("first byte timeout", Some(is(Reason::HttpResponseTimeout))),
    ("connection refused", Some(is(Reason::ConnectionRefused))),
    ("All backends failed or unhealthy", Some(is(Reason::DestinationUnavailable))),
    ("hostname doesn't match against certificate", Some(is(Reason::TlsCertificateError))),
    ("Backend.max_conn reached", Some(is(Reason::ConnectionLimitReached))),
    // A status, not a cause.
    ("504 Server Error: Gateway Time-out for url: https://a.example/", None),
    ("502 Bad Gateway", None),
    ("EOF", Some(is(Reason::ConnectionTerminated))),
    ("", None),
    ("OK", None),
];

#[test]
fn what_programs_say() {
    for (text, want) in SAYINGS {
        assert_eq!(of(text.as_bytes(), &[]), *want, "{text}");
    }
}

#[test]
fn a_name_does_not_hide_a_sentence() {
    assert_eq!(of(b"ProxyError", &[b"[Errno 111] Connection refused"]), Some(is(Reason::ConnectionRefused)));
    assert_eq!(of(b"ConnectionError", &[b"getaddrinfo failed"]), Some(is(Reason::DnsError)));
    // Nothing reaches from one text into the next.
    assert_eq!(of(b"read time", &[b"out"]), None);
    assert_eq!(of(&[b'x'; 2000], &[b"timeout"]), None, "only the beginning is looked at");
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(a: Vec<u8>, b: Vec<u8>) {
        let _ = of(&a, &[&b]);
    }
}
